//! End to end: the operator as a pod, installed by Helm, over real Kratos on a real cluster, judged by what
//! Kratos answers over HTTP. `make e2e` brings the cluster up and runs this inside; elsewhere everything is
//! ignored.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test has a clock, files and programs; src's pure rooms have not"
)]

mod api;
#[path = "../control_plane/browser.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod browser;
mod cluster;
mod config_file;
mod containers;
mod disruption;
mod enrolment;
mod failure;
mod fronts;
mod guides;
mod install;
mod kills;
mod kinds;
mod kratos;
mod leader;
mod levels;
#[path = "../support/markdown.rs"]
mod markdown;
mod methods;
mod monitoring;
#[path = "../support/operator.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod operator;
mod order;
mod overrides;
mod owners;
mod readme;
mod reversal;
mod rights;
mod rollback;
mod rolls;
mod runbook;
mod scaling;
mod sharing;
mod step_up;
mod strings;
mod traffic;
mod visitor;
mod waiting;

use std::process::ExitCode;

use kratos as client;
use libtest_mimic::{Arguments, Trial};

/// The tests mostly wait for pods.
const AT_ONCE: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let inside =
        std::env::var_os("MFA_OPERATOR_INSIDE").is_some() || std::env::var_os("KUBECONFIG").is_some();
    if !inside {
        eprintln!("end-to-end tests need a cluster: `make e2e` brings one and runs them in it");
    }
    let ready = |trials: Vec<Trial>| {
        let left_out = |trial: Trial| {
            let ignored = !inside || trial.has_ignored_flag();
            trial.with_ignored_flag(ignored)
        };
        trials.into_iter().map(left_out).collect::<Vec<_>>()
    };

    // The summary has the message; this only adds where it happened.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            eprintln!("a test failed at {place}");
        }
    }));

    if inside && !arguments.list {
        monitoring::watch();
    }
    // One operator serves a namespace: that of the first part is gone before the second installs its own.
    let first = libtest_mimic::run(
        &arguments,
        ready(vec![test(
            "helm 3 and 4: an operator is upgraded, rolled back and gone",
            install::come_and_gone,
        )]),
    );
    let mut trials = vec![
        test("every command of the README", readme::every_command),
        test("one apply, and what rolls nothing", rolls::one_apply),
        test("helm 4: upgrades of Kratos undo nothing", owners::helm4),
        test("helm 3: upgrades and rollout undo are repaired", owners::helm3),
        test("a policy that crashes Kratos, and its correction", failure::crash),
        test("file: wired by the values that it names", config_file::by_the_values_that_it_names),
        test("file: read anew by running pods", config_file::read_anew),
        test("file: refused by Kratos", config_file::refused),
        test("file: there and back in one roll", config_file::switched),
        test("file: a deleted policy", config_file::deleted),
        test("file: attacked by whoever may write ConfigMaps", config_file::attacked),
        test("a deleted policy is reverted after its pause", reversal::deleted),
        test("rollback: to the last good revision, and on when it is mended", rollback::undone_and_mended),
        test("rollback: the first revision of all", rollback::first_of_all),
        test("rollback: a probe that never passes", rollback::never_ready),
        test(
            "rollback: a probe that never passes, and a StatefulSet that waits for it",
            rollback::never_ready_stateful,
        ),
        test("rollback: more memory than it may have", rollback::out_of_memory),
        test("waiting: quota", waiting::quota),
        test("rollback: a StatefulSet and its stuck pod", rollback::stateful),
        test("rollback: all pods ended first", rollback::recreate),
        test("rollback: one target keeps what another does not survive", rollback::every_target),
        test("rollback: a raised level stays while new pods are made to fail", rollback::innocent),
        test("rollback: a file that new pods do not survive", rollback::file),
        test("rollback: behind a mesh, TLS or a proxy", fronts::taken_back),
        test("rollback: pods that admission changes", fronts::mutated),
        test("guides: who is enrolled", enrolment::queries),
        test("guides: step-up by Oathkeeper", step_up::by_oathkeeper),
        test("second factors arrive", methods::second_factors),
        test("the age of a privileged session arrives", methods::privileged_session),
        test("an origin that a policy drops is refused, by variables", methods::dropped_origins_by_variables),
        test("an origin that a policy drops is refused, by a file", methods::dropped_origins_by_a_file),
        test("kinds: pods that follow when they are deleted", || {
            kinds::on_delete("on-delete", "StatefulSet")
        }),
        test("kinds: a pod that keeps a StatefulSet from going on", kinds::stuck),
        test("kinds: a partition", kinds::partition),
        test("kinds: a paused Deployment", kinds::paused),
        test("scaling: no pods at first", scaling::from_zero),
        test("scaling: during a roll", scaling::during_a_roll),
        test("order: one target after the other", order::one_after_the_other),
        test("containers: companions of the same image", containers::companions),
        test(
            "overrides: chance decides which variable counts",
            overrides::chance_decides_which_variable_counts,
        ),
        test("runbook: somebody lost the device", runbook::lost_device),
        test("sharing: the next policy takes over in one roll", sharing::handed_on),
    ];
    let mut shapes = kinds::rolling();
    if is_long() {
        shapes.extend(kinds::rolling_too());
        trials.extend(
            kinds::healing()
                .into_iter()
                .map(|shape| test(&format!("kinds: {}", shape.name), move || kinds::heals(&shape))),
        );
        trials.push(test("rollback: held", rollback::held));
        trials.push(test("rollback: what a roll drops that goes well", rollback::what_a_roll_drops));
        trials.push(test("kinds: pods of a DaemonSet that follow when they are deleted", || {
            kinds::on_delete("daemon-on-delete", "DaemonSet");
        }));
    }
    trials.extend(
        shapes.into_iter().map(|shape| test(&format!("kinds: {}", shape.name), move || kinds::rolls(&shape))),
    );
    let causes = waiting::CAUSES.iter().filter(|cause| is_long() || !cause.seldom);
    trials.extend(causes.map(|cause| test(&format!("waiting: {}", cause.name), || waiting::waits(cause))));
    trials.extend(
        order::OBSTACLES
            .iter()
            .map(|obstacle| test(&format!("order: {}", obstacle.name), || order::held_up(obstacle))),
    );
    trials.extend(levels::matrix().into_iter().map(|case| test(&case.name(), move || levels::walk(&case))));
    trials.extend(
        strings::pairs()
            .into_iter()
            .enumerate()
            .map(|(number, pair)| test(&strings::name(pair), move || strings::arrive(number, pair))),
    );
    trials.push(test("helm 4: the next operator rolled nothing", install::handover));
    let second = libtest_mimic::run(&arguments, ready(trials));
    let watched = libtest_mimic::run(
        &arguments,
        ready(vec![test(
            "monitoring of rollout and rollback: every query has data",
            monitoring::every_query_has_data,
        )]),
    );
    monitoring::end();
    // These take nodes and the database away, which only the test bed lets them.
    let bed = std::env::var_os("MFA_OPERATOR_INSIDE").is_some();
    arguments.test_threads = Some(1);
    let alone = |trials: Vec<Trial>| {
        if bed { trials } else { trials.into_iter().map(|trial| trial.with_ignored_flag(true)).collect() }
    };
    let mut trials = vec![
        test("disruption: the database hangs in the middle of a roll", disruption::database_away),
        test("killed in the middle of rollouts and rollbacks", || {
            kills::carried_on(if is_long() { 4 } else { 1 })
        }),
        test("disruption: a node is lost in the middle of a roll", disruption::lost),
    ];
    if is_long() {
        trials.push(test("disruption: a node is cut off in the middle of a roll", disruption::cut_off));
        trials.push(test("disruption: no node takes pods", disruption::cordoned));
    }
    trials.push(test("leader: killed in the middle of a rollout, and the other carries on", leader::killed));
    // It reads what all the others have left.
    let whole = arguments.filter.is_none() && arguments.skip.is_empty();
    trials.push(test("rights: each is used, and none is missing", rights::minimal).with_ignored_flag(!whole));
    let third = libtest_mimic::run(&arguments, alone(trials));
    if [first, second, watched, third].iter().any(libtest_mimic::Conclusion::has_failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Whether everything runs, however long it takes.
pub fn is_long() -> bool {
    std::env::var_os("MFA_OPERATOR_LONG").is_some()
}

fn test(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, || {
        body();
        Ok(())
    })
}
