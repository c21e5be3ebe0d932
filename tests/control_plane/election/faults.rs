//! What goes wrong with a leader: its clock, its API server, its own sleep, its network, its lease.

use super::*;

/// Someone holds the lease whose clock is decades off, in either direction: only its silence counts.
#[tokio::test]
async fn clocks_may_differ() {
    let plane = control_plane();
    install_definition(&plane.client().await).await;
    tokio::join!(
        skewed(plane, "ha-past", "2001-01-01T00:00:00"),
        skewed(plane, "ha-future", "2099-01-01T00:00:00")
    );
}

async fn skewed(plane: &ControlPlane, name: &str, clock: &str) {
    let lease = |spec: Value| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE}, "spec": spec});
    let spec = |renewals: u32| {
        json!({
            "holderIdentity": "other", "leaseDurationSeconds": BY_DEFAULT.duration,
            "acquireTime": format!("{clock}.000000Z"), "renewTime": format!("{clock}.{renewals:06}Z"), "leaseTransitions": 0,
        })
    };
    let mut scene = Scene::launch_as(plane, name, async |client, namespace| {
        may_lead(client, namespace, &user(namespace)).await;
        let leases = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource("Lease"));
        let held = serde_json::from_value(lease(spec(0))).expect("a lease");
        leases.create(&PostParams::default(), &held).await.expect("the lease is held by another");
        options(namespace, user(namespace), &plane.folder().join("kubeconfig"), &BY_DEFAULT)
    })
    .await;
    scene.operator.wait_until_ready();
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    let mark = scene.audit_mark();
    let mut renewals = 0;
    let span = Duration::from_secs(BY_DEFAULT.duration + 7);
    scene
        .throughout("a holder that renews keeps the lease", span, async || {
            renewals += 1;
            scene.edit("Lease", LEASE, json!({"spec": spec(renewals)})).await;
            let holder = &scene.get("Lease", LEASE).await["spec"]["holderIdentity"];
            if holder == "other" { Ok(()) } else { Err(format!("{holder} has it")) }
        })
        .await;
    let writes = scene.writes_since(mark);
    assert!(writes.is_empty(), "a standby writes nothing: {writes:?}");
    leads(&scene, &scene.operator, BY_DEFAULT.runs_out()).await;
    scene.until_ready_without_pods("mfa").await;
}

/// The API server stalls for longer than the lease, for the leader alone: what it sent arrives when the other
/// leads.
#[tokio::test]
async fn what_arrives_late_changes_nothing() {
    let wire = Wire::to(control_plane());
    wire.mend();
    let mut pair = Pair::start("ha-stall", &PATIENT, Some(wire.kubeconfig())).await;
    let before = pair.with_policies(4).await;
    wire.hold();
    let stalled = Instant::now();
    for number in 0..before.len() {
        // The leader hears of it, and its writes are on their way for long.
        pair.edit(number).await;
    }
    leads(&pair.scene, &pair.second, PATIENT.runs_out()).await;
    println!("stall: the other led after {:?}", stalled.elapsed());
    pair.each_rolled_once(&before, SOON).await;
    pair.first_gives_up("could not be renewed", SOON).await;
    pair.one_writer_at_a_time();
    let taken = pair.taken_over();
    wire.let_go();
    let late = pair
        .scene
        .until("what was on its way arrives", SOON, async || {
            let writes = pair.scene.writes_of(&pair.users[0], pair.mark);
            let late: Vec<_> = writes.into_iter().filter(|write| write.received > taken).collect();
            let [lease, work] =
                [true, false].map(|lease| late.iter().any(|write| (write.resource == "leases") == lease));
            if lease && work { Ok(late) } else { Err(format!("{late:?}")) }
        })
        .await;
    let through: Vec<_> = late.iter().filter(|write| write.code < 400).collect();
    assert!(through.is_empty(), "it was taken: {through:?}");
    pair.each_rolled_once(&before, SOON).await;
    let holder = &pair.scene.get("Lease", LEASE).await["spec"];
    assert_eq!(holder["leaseTransitions"], 1, "the second leads still: {holder}");
}

/// Stopped in the middle of its work for longer than the lease, and woken.
#[tokio::test]
async fn a_leader_that_slept_writes_nothing_more() {
    let mut pair = Pair::start("ha-sleep", &PATIENT, None).await;
    let before = pair.with_policies(MANY).await;
    for number in 0..MANY {
        pair.edit(number).await;
    }
    pair.scene.operator.signal("-STOP");
    let stopped = Instant::now();
    leads(&pair.scene, &pair.second, PATIENT.runs_out()).await;
    println!("SIGSTOP: the other led after {:?}", stopped.elapsed());
    pair.each_rolled_once(&before, SOON).await;
    let woken = pair.scene.audit_mark();
    pair.scene.operator.signal("-CONT");
    pair.first_gives_up("could not be renewed", SOON).await;
    pair.one_writer_at_a_time();
    let writes = pair.scene.writes_of(&pair.users[0], woken);
    assert!(writes.is_empty(), "it was woken, and wrote: {writes:?}");
}

/// The network of the leader alone is gone, in the middle of its work.
#[tokio::test]
async fn a_leader_that_is_cut_off_gives_up() {
    let wire = Wire::to(control_plane());
    wire.mend();
    let mut pair = Pair::start("ha-cut", &PATIENT, Some(wire.kubeconfig())).await;
    let before = pair.with_policies(MANY).await;
    for number in 0..MANY / 2 {
        pair.edit(number).await;
    }
    wire.cut();
    for number in MANY / 2..MANY {
        pair.edit(number).await;
    }
    pair.first_gives_up("could not be renewed", PATIENT.runs_out()).await;
    wire.mend();
    leads(&pair.scene, &pair.second, PATIENT.runs_out()).await;
    pair.each_rolled_once(&before, SOON).await;
    pair.one_writer_at_a_time();
}

/// A right that is taken away, or a lease that another tool writes over, is the end as well.
#[tokio::test]
async fn a_leader_whose_lease_is_taken_ends() {
    let mut pair = Pair::start("ha-taken", &ENDLESS, None).await;
    pair.scene.edit("Lease", LEASE, json!({"spec": {"holderIdentity": "someone-else"}})).await;
    pair.first_gives_up("was taken by someone-else", SOON).await;
    // The second waits for that one as for any other.
    pair.scene
        .throughout("nobody takes it from its holder", Duration::from_secs(4), async || {
            let holder = &pair.scene.get("Lease", LEASE).await["spec"]["holderIdentity"];
            if holder == "someone-else" { Ok(()) } else { Err(holder.to_string()) }
        })
        .await;
    // It was deleted: that frees nobody from what it promised.
    pair.scene.delete("Lease", LEASE).await;
    pair.scene
        .throughout("a lease that is gone still binds", Duration::from_secs(4), async || {
            match pair.scene.find("Lease", LEASE).await {
                None => Ok(()),
                Some(lease) => Err(lease["spec"].to_string()),
            }
        })
        .await;
}
