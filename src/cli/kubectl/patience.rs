//! Waiting on while the API server is away: whoever has seen it answer knows that the question is right.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::kubectl::cluster::Cluster;
use crate::cli::kubectl::failure::{Failure, reached, words};
use crate::cli::output::tell;
use crate::model::bounded;

const PAUSE: Duration = Duration::from_secs(1);

pub struct Patience {
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

/// The time is up, and nothing was wrong with the last answer.
#[derive(Debug, thiserror::Error)]
#[error("timed out")]
pub struct Late;

impl Patience {
    pub fn new(cluster: &Cluster, until: Option<Instant>) -> Self {
        Self { until, server: cluster.server.clone(), last: Last::None }
    }

    /// Looks until there is an answer, or the time is up. The first look has to succeed, and each outage is
    /// told once.
    ///
    /// # Errors
    /// `Late` where the server answered until the time was up, or else what is wrong with it or with the
    /// question.
    pub async fn look<T>(&mut self, mut at: impl AsyncFnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        loop {
            let answer = match self.until {
                Some(until) => timeout_at(until, at()).await.unwrap_or_else(|_| Err(self.late())),
                None => at().await,
            };
            match answer {
                Ok(found) => {
                    self.last = Last::Answered;
                    return Ok(found);
                }
                Err(error)
                    if self.last == Last::None
                        || !passes(&*error)
                        || self.until.is_some_and(|until| Instant::now() >= until) =>
                {
                    return Err(error);
                }
                Err(error) => {
                    if std::mem::replace(&mut self.last, Last::Away) == Last::Answered {
                        tell(&format!(
                            "note: {}; it is asked again\n",
                            bounded(&words(&*reached(error, &self.server)))
                        ));
                    }
                    sleep(self.until.map_or(PAUSE, |until| PAUSE.min(until.duration_since(Instant::now()))))
                        .await;
                }
            }
        }
    }

    fn late(&self) -> Failure {
        match self.last {
            // The look that the end of the time cut short says nothing about the server.
            Last::Answered => Late.into(),
            Last::None | Last::Away => format!("timed out: {} does not answer", self.server).into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn a_server_that_answered_until_the_time_was_up_is_not_blamed() {
        let until = Instant::now() + Duration::from_millis(50);
        let patience = |last| Patience { until: Some(until), server: "https://server".into(), last };
        let mut answered = patience(Last::None);
        answered.look(async || Ok(())).await.expect("an answer");
        let late =
            answered.look(async || pending::<Result<(), Failure>>().await).await.expect_err("the time is up");
        assert!(late.is::<Late>(), "{late}");
        for last in [Last::None, Last::Away] {
            let away = patience(last)
                .look(async || pending::<Result<(), Failure>>().await)
                .await
                .expect_err("the time is up");
            assert_eq!(away.to_string(), "timed out: https://server does not answer");
        }
    }
}
