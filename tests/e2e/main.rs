//! End to end: the operator as a pod, installed by Helm, over real Kratos on a real cluster, judged by what
//! Kratos answers over HTTP. `make e2e` brings the cluster up and runs this inside; elsewhere everything is ignored.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test has a clock, files and programs; src's pure rooms have not"
)]

mod cluster;
mod config_file;
mod containers;
mod failure;
mod install;
mod kinds;
mod kratos;
mod levels;
mod methods;
mod order;
mod owners;
mod reversal;
mod rolls;
mod scaling;
mod sharing;
mod strings;
mod visitor;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// The tests mostly wait for pods.
const AT_ONCE: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let inside = std::env::var_os("MFA_OPERATOR_INSIDE").is_some() || std::env::var_os("KUBECONFIG").is_some();
    if !inside {
        eprintln!("end-to-end tests need a cluster: `make e2e` brings one and runs them in it");
    }
    let ready = |trials: Vec<Trial>| trials.into_iter().map(|trial| trial.with_ignored_flag(!inside)).collect::<Vec<_>>();

    // The summary has the message; this only adds where it happened.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            eprintln!("a test failed at {place}");
        }
    }));

    // One operator serves a namespace: that of the first part is gone before the second installs its own.
    let first =
        libtest_mimic::run(&arguments, ready(vec![test("helm 3: an operator for one namespace comes and goes", install::by_helm3)]));
    let mut trials = vec![
        test("one apply, and what rolls nothing", rolls::one_apply),
        test("helm 4: upgrades of Kratos undo nothing", owners::helm4),
        test("helm 3: upgrades and rollout undo are repaired", owners::helm3),
        test("a policy that crashes Kratos, and its correction", failure::crash),
        test("file: wired by the values that it names", config_file::by_the_values_that_it_names),
        test("file: read anew by running pods", config_file::read_anew),
        test("file: refused by Kratos", config_file::refused),
        test("file: there and back in one roll", config_file::switched),
        test("file: a deleted policy", config_file::deleted),
        test("a deleted policy is reverted after its pause", reversal::deleted),
        test("second factors arrive", methods::second_factors),
        test("the age of a privileged session arrives", methods::privileged_session),
        test("kinds: pods that follow when they are deleted", || kinds::on_delete("on-delete", "StatefulSet")),
        test("kinds: a pod that keeps a StatefulSet from going on", kinds::stuck),
        test("kinds: a partition", kinds::partition),
        test("kinds: a paused Deployment", kinds::paused),
        test("scaling: no pods at first", scaling::from_zero),
        test("scaling: during a roll", scaling::during_a_roll),
        test("order: one target after the other", order::one_after_the_other),
        test("containers: companions of the same image", containers::companions),
        test("sharing: the next policy takes over in one roll", sharing::handed_on),
    ];
    let mut shapes = kinds::rolling();
    if is_long() {
        shapes.extend(kinds::rolling_too());
        trials.extend(kinds::healing().into_iter().map(|shape| test(&format!("kinds: {}", shape.name), move || kinds::heals(&shape))));
        trials.push(test("kinds: pods of a DaemonSet that follow when they are deleted", || {
            kinds::on_delete("daemon-on-delete", "DaemonSet");
        }));
    }
    trials.extend(shapes.into_iter().map(|shape| test(&format!("kinds: {}", shape.name), move || kinds::rolls(&shape))));
    trials.extend(order::OBSTACLES.iter().map(|obstacle| test(&format!("order: {}", obstacle.name), || order::held_up(obstacle))));
    trials.extend(levels::matrix().into_iter().map(|case| test(&case.name(), move || levels::walk(&case))));
    trials.extend(
        strings::pairs().into_iter().enumerate().map(|(number, pair)| test(&strings::name(pair), move || strings::arrive(number, pair))),
    );
    trials.push(test("helm 4: the next operator rolled nothing", install::handover));
    let second = libtest_mimic::run(&arguments, ready(trials));
    if first.has_failed() || second.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
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
