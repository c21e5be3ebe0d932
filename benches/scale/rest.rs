//! At rest, and after a restart.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Result;
use crate::audit::{Audit, Requests};
use crate::cluster::Cluster;
use crate::objects::{CONFIG_MAPS, DEPLOYMENTS, POLICIES, REVISIONS};
use crate::operator::{Operator, Usage};

/// Without a write for so long, and with few reads, nothing more is coming.
const SILENCE: Duration = Duration::from_secs(10);
/// The server's own configuration, one file a policy, is read again about every ten minutes.
const READ_AGAIN: Duration = Duration::from_secs(600);
const LIMIT: Duration = Duration::from_secs(600);

pub struct Rest {
    pub usage: Usage,
    pub during: Duration,
    pub requests: Requests,
}

pub struct Restart {
    pub ready: Duration,
    /// Time on a processor until the silence.
    pub busy: Duration,
    /// Until the silence.
    pub requests: Requests,
}

/// Waits until the operator writes nothing any more, and reads no more than it does for ever.
pub async fn quiet(cluster: &Cluster, policies: usize) -> Result<()> {
    until_quiet(&mut Audit::from_now(cluster)?, policies).await?;
    Ok(())
}

async fn until_quiet(audit: &mut Audit, policies: usize) -> Result<Requests> {
    let started = Instant::now();
    // Spread over that time, but not evenly.
    let few = 5 + 2 * policies * SILENCE.as_secs() as usize / READ_AGAIN.as_secs() as usize;
    let mut all = Requests::default();
    loop {
        sleep(SILENCE).await;
        let found = audit.operator()?;
        all.reads += found.reads;
        all.writes += found.writes;
        if found.writes == 0 && found.reads <= few {
            return Ok(all);
        }
        if started.elapsed() > LIMIT {
            return Err(format!("the operator does not come to rest: {all:?} in ten minutes, {found:?} in the last ten seconds").into());
        }
    }
}

pub async fn at_rest(cluster: &Cluster, operator: &Operator, during: Duration) -> Result<Rest> {
    let mut audit = Audit::from_now(cluster)?;
    sleep(during).await;
    Ok(Rest { usage: operator.usage()?, during, requests: audit.operator()? })
}

/// How long a bare client takes to receive what the operator lists at its start, decoding nothing.
pub async fn lists(cluster: &Cluster) -> Result<Duration> {
    let started = Instant::now();
    let all = [POLICIES, DEPLOYMENTS, CONFIG_MAPS, REVISIONS].map(|kind| kind.receive_all(&cluster.bare));
    futures::future::try_join_all(all).await?;
    Ok(started.elapsed())
}

pub async fn restart(cluster: &Cluster, binary: &Path, policies: usize) -> Result<(Operator, Restart)> {
    let mut audit = Audit::from_now(cluster)?;
    let operator = Operator::start(cluster, binary)?;
    let ready = operator.ready().await?;
    let requests = until_quiet(&mut audit, policies).await?;
    let busy = operator.usage()?.busy;
    Ok((operator, Restart { ready, busy, requests }))
}
