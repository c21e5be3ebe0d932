//! Waiting on while the API server is away: whoever has seen it answer knows that the question is right.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::cluster::{Cluster, Failure};
use super::{reached, tell, words};
use crate::plan::bounded;

const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Patience {
    until: Option<Instant>,
    server: String,
    last: Last,
}

/// How the last look went.
#[derive(PartialEq, Eq)]
enum Last {
    /// There was none.
    None,
    Answered,
    Away,
}

impl Patience {
    pub fn new(cluster: &Cluster, until: Option<Instant>) -> Self {
        Self { until, server: cluster.server.clone(), last: Last::None }
    }

    /// Looks until there is an answer, or the time is up. The first look has to succeed, and each outage is told once.
    pub async fn look<T>(&mut self, mut at: impl AsyncFnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        loop {
            let answer = match self.until {
                Some(until) => {
                    timeout_at(until, at()).await.unwrap_or_else(|_| Err(format!("timed out: {} does not answer", self.server).into()))
                }
                None => at().await,
            };
            match answer {
                Ok(found) => {
                    self.last = Last::Answered;
                    return Ok(found);
                }
                Err(error) if self.last == Last::None || !passes(&*error) || self.until.is_some_and(|until| Instant::now() >= until) => {
                    return Err(error);
                }
                Err(error) => {
                    if std::mem::replace(&mut self.last, Last::Away) == Last::Answered {
                        tell(&format!("note: {}; it is asked again\n", bounded(&words(&*reached(error, &self.server)))));
                    }
                    sleep(self.until.map_or(PAUSE, |until| PAUSE.min(until.duration_since(Instant::now())))).await;
                }
            }
        }
    }
}

/// Whether another attempt may succeed without anybody doing something.
fn passes(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => status.code == 429 || status.code >= 500,
        Some(kube::Error::Service(_) | kube::Error::HyperError(_)) => true,
        _ => false,
    }
}
