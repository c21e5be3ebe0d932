//! Speed and memory at scale, against an API server with etcd alone.
//! The operator runs as a process of its own, from the binary that is shipped. Each figure of time
//! stands beside what a bare client needs for the same writes in the same run, so that a slow or
//! busy machine shows in both. `make bench` runs it; without `--quick` it writes docs/benchmarks.md.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures a process and a cluster"
)]

mod audit;
mod burst;
mod cluster;
mod follow;
mod huge;
mod latency;
mod load;
mod object;
mod objects;
mod observer;
mod operator;
mod report;
mod rest;
mod sizes;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;
use sizes::{Result, Sizes};

fn main() -> ExitCode {
    let outcome =
        tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let sizes = Sizes::from_command_line()?;
    let binary: PathBuf = std::env::var_os("MFA_OPERATOR_BINARY")
        .ok_or("MFA_OPERATOR_BINARY is not set: use make bench")?
        .into();
    let step = |text: &str| eprintln!("bench: {text}");

    step("starting a control plane");
    let cluster = cluster::Cluster::start().await?;
    let follow = follow::Both::start(&cluster).await?;
    let operator = operator::Operator::start(&cluster, &binary)?;
    operator.ready().await?;

    step(&format!("{} changes at 1 policy", sizes.changes));
    load::one(&cluster, &follow).await?;
    let at_one = latency::at_one(&cluster, &follow, sizes.changes).await?;

    step("edits of a workload of 1.3 MB");
    let huge = huge::edits(&cluster, &operator).await?;

    step(&format!("{} workloads", sizes.policies));
    load::workloads(&cluster, &follow, sizes.policies).await?;
    step(&format!("{} policies", sizes.policies));
    let installed = load::policies(&cluster, &follow, sizes.policies).await?;
    step(&format!("all enforced after {:.0} s; waiting until nothing moves", installed.as_secs_f64()));
    rest::quiet(&cluster, sizes.policies).await?;

    step(&format!("{} s at rest", sizes.rest.as_secs()));
    let grown = rest::at_rest(&cluster, &operator, sizes.rest).await?;
    step(&format!("{} changes at {} policies", sizes.changes, sizes.policies));
    let at_many = latency::at_many(&cluster, &follow, sizes.policies, sizes.changes).await?;
    rest::quiet(&cluster, sizes.policies).await?;
    operator.stop().await?;

    step("a restart");
    let (operator, restart) = rest::restart(&cluster, &binary, sizes.policies).await?;
    let lists = rest::lists(&cluster).await?;
    let restarted = rest::at_rest(&cluster, &operator, sizes.rest).await?;
    operator.stop().await?;

    step(&format!("{} policies at once: a bare client, the operator, the bare client again", sizes.burst));
    let bare_before = burst::bare(&cluster, &follow, sizes.burst).await?;
    let operator = operator::Operator::start(&cluster, &binary)?;
    operator.ready().await?;
    rest::quiet(&cluster, sizes.policies).await?;
    let ours = burst::ours(&cluster, &follow, sizes.policies, sizes.burst).await?;
    rest::quiet(&cluster, sizes.policies).await?;
    let complaints = operator.complaints()?;
    operator.stop().await?;
    let bare_after = burst::bare(&cluster, &follow, sizes.burst).await?;

    let report = Report {
        binary: std::fs::metadata(&binary)?.len(),
        installed,
        at_one,
        at_many,
        huge,
        grown,
        restart,
        restarted,
        lists,
        ours,
        bare: [bare_before, bare_after],
        sizes,
    };
    println!("{}", report.table());
    for line in complaints {
        println!("the operator said: {line}");
    }
    if report.sizes.writes_page {
        std::fs::write("docs/benchmarks.md", report.page()?)?;
        step("wrote docs/benchmarks.md");
    }
    Ok(())
}
