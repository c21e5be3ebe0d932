//! Faults at random, several at once, on a control plane of their own. After each step the specs are in
//! force, and no version of any object on the way there said what it must not.

mod fault;
mod judge;
mod watcher;
mod world;

use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::Client;

use self::fault::{Dice, Step, Trouble};
use self::judge::Judge;
use self::watcher::Watcher;
use self::world::{Spec, World};
use crate::between::Between;
use crate::restored::{Part, Started};
use crate::rights;
use crate::scene::{Scene, tail};
use crate::stage;
use crate::support::control_plane::{ControlPlane, install_definition};
use crate::support::operator::{Operator, Options};

/// A step is over by then, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSES: &str = "gone=300,burst=200,roll_distance=300,fight=300,repair=100,longest_repair=300";

fn policy_of(workload: &str) -> &'static str {
    if workload == "reader" { "file" } else { "variables" }
}

fn config_map(policy: &str) -> &'static str {
    if policy == "file" { "file-mfa" } else { "variables-mfa" }
}

/// The same faults in every run: `MFA_OPERATOR_SEED` draws others, and `MFA_OPERATOR_LONG` many more.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_specs_come_into_force_and_nothing_else_does() {
    let seed = std::env::var("MFA_OPERATOR_SEED").unwrap_or_default();
    let most = if std::env::var_os("MFA_OPERATOR_LONG").is_some() { 1_000 } else { 60 };
    println!("{most} faults by MFA_OPERATOR_SEED={seed:?}");
    let mut game = Game::new().await;
    let mut dice = Dice::of(&format!("{seed} faults"));
    let (mut played, mut faults, begun) = (Vec::new(), 0, Instant::now());
    let mut outcome = game.end().await;
    while outcome.is_ok() && faults < most {
        let step = dice.step();
        let before = Instant::now();
        game.play(&step).await;
        outcome = game.end().await;
        faults += step.faults();
        println!("{faults:4} {:5.1} s {step:?}", before.elapsed().as_secs_f32());
        played.push(step);
    }
    if let Err(complaint) = outcome {
        let log = tail(&game.scene.operator.log(), 40);
        let steps: String = played.iter().map(|step| format!("{step:?}\n")).collect();
        panic!(
            "MFA_OPERATOR_SEED={seed:?}, step {}, the last of\n{steps}{complaint}\nthe operator's log ends:\n{log}",
            played.len()
        );
    }
    println!("{faults} faults in {} steps and {:.0} s", played.len(), begun.elapsed().as_secs_f32());
}

struct Game {
    scene: Scene,
    world: World,
    watcher: Watcher,
    judge: Judge,
    between: Between,
    /// With the token of a pod that is gone.
    stranger: Client,
    /// The API server and the controllers that were started last.
    again: [Option<Started>; 2],
    plane: ControlPlane,
}

impl Game {
    async fn new() -> Self {
        let plane = ControlPlane::start();
        let client = plane.client().await;
        install_definition(&client).await;
        let between = Between::to(&plane);
        let scene = Scene::launch_as(&plane, "faults", async |_: &Client, namespace: &str| Options {
            arguments: vec!["--pauses".into(), PAUSES.into()],
            ..rights::options(namespace, between.kubeconfig())
        })
        .await;
        let stranger = stage::with_the_token_of_a_pod_that_is_gone(&plane, &scene.namespace).await;
        let watcher = Watcher::start(&client, &scene.namespace);
        let world = World::new(client, scene.namespace.clone()).await;
        Self { scene, world, watcher, judge: Judge::default(), between, stranger, again: [None, None], plane }
    }

    /// The edits one after the other, the troubles beside them.
    async fn play(&mut self, step: &Step) {
        self.world.begin();
        let mut troubles: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
        let (between, plane, stranger) = (&self.between, &self.plane, &self.stranger);
        let mut ends_operator = Some(&mut self.scene.operator);
        let mut kills_server = Some(&mut self.again);
        for trouble in &step.troubles {
            match *trouble {
                Trouble::ServerKilled => {
                    troubles.extend(kills_server.take().map(|again| Box::pin(kill(plane, again)) as _))
                }
                Trouble::EtcdPaused(time) => troubles.push(Box::pin(pause(plane, time))),
                Trouble::WatchesCut => between.cut(),
                Trouble::Answered { code, times } => between.answer(code, times),
                Trouble::OperatorKilled => {
                    troubles.extend(ends_operator.take().map(|operator| Box::pin(restart(operator)) as _))
                }
                Trouble::PodDeleted(time) => troubles.push(Box::pin(async move {
                    between.present(Some(stranger.clone()));
                    tokio::time::sleep(time).await;
                    between.present(None);
                })),
                Trouble::Unreadable { kind, name, time } => {
                    troubles.push(Box::pin(self.world.unreadable(kind, name, time)))
                }
            }
        }
        let world = &mut self.world;
        let edits = async {
            for edit in &step.edits {
                world.play(*edit).await;
            }
        };
        tokio::join!(edits, join_all(troubles));
    }

    /// Waits until the specs are in force, and judges what there was on the way.
    async fn end(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let outcome = loop {
            let missing = match self.world.is_as_asked().await {
                Ok(found) if self.watcher.saw(&found) => break Ok(()),
                Ok(_) => "the watch of the test is late".into(),
                Err(missing) => missing,
            };
            if Instant::now() > deadline {
                break Err(format!("not after {PATIENCE:?}: {missing}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let (versions, all) = self.watcher.take();
        self.judge.step(&mut self.world.asked, &versions, all).and(outcome)
    }
}

/// The controllers are started anew with it: their pauses between attempts would grow to a minute.
async fn kill(plane: &ControlPlane, again: &mut [Option<Started>; 2]) {
    let [server, controllers] =
        ["kube-apiserver", "kube-controller-manager"].map(|name| Part::of(plane, name));
    [&server, &controllers].into_iter().for_each(Part::kill);
    *again = [None, None];
    tokio::time::sleep(Duration::from_millis(200)).await;
    again[0] = Some(server.start_again());
    let (client, ready) =
        (plane.client().await, || http::Request::get("/readyz").body(Vec::new()).expect("a request"));
    while client.request_text(ready()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    again[1] = Some(controllers.start_again());
}

async fn pause(plane: &ControlPlane, time: Duration) {
    let etcd = Part::of(plane, "etcd");
    etcd.signal("-STOP");
    tokio::time::sleep(time).await;
    etcd.signal("-CONT");
}

async fn restart(operator: &mut Operator) {
    operator.kill();
    operator.launch_again();
}
