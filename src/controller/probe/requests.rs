//! Requests to pods, within the time that a pass has for them.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use crate::admin;
use crate::controller::decode::pod::PodView;
use crate::model::{Answer, Pod};
use crate::policy::Verification;

/// How long a look may ask pods, all together: what is silent must not hold up repairs.
pub const ASKING: Duration = Duration::from_secs(5);

/// Pods asked at once.
pub const ASKED_AT_ONCE: usize = 16;

/// What is left of the time in which one look may ask pods. A slow API server takes nothing of it.
pub struct Budget(Duration);

impl Budget {
    /// Makes the budget of one pass. It is never shorter than the patience for one pod.
    pub fn of(verification: &Verification) -> Self {
        Self(ASKING.max(patience(verification)))
    }

    /// Asks until it is used up.
    pub async fn spend<T>(&mut self, ask: impl AsyncFnOnce(Instant) -> T) -> T {
        let begun = Instant::now();
        let answer = ask(begun + self.0).await;
        self.0 = self.0.saturating_sub(begun.elapsed());
        answer
    }
}

pub fn patience(verification: &Verification) -> Duration {
    Duration::from_millis(u64::try_from(verification.timeout).unwrap_or_default())
}

/// The pods with what each ready one answers.
pub async fn each(
    pods: impl Iterator<Item = PodView>,
    container: &str,
    verification: &Verification,
    deadline: Instant,
) -> Vec<Pod> {
    let asked = pods.map(|view| async move {
        let answer = one(&view, container, verification, deadline).await;
        let answer = answer.map(|answer| if answer == Answer::NotYet { Answer::Unreachable } else { answer });
        Pod { answer, ..view.pod }
    });
    futures::stream::iter(asked).buffered(ASKED_AT_ONCE).collect().await
}

/// What the pod answers; none where it is not to be asked.
pub async fn one(
    view: &PodView,
    container: &str,
    verification: &Verification,
    deadline: Instant,
) -> Option<Answer> {
    let address =
        view.listens(container, &verification.port).filter(|_| view.pod.ready && !view.pod.deleting)?;
    if Instant::now() >= deadline {
        return Some(Answer::NotYet);
    }
    let answer = tokio::time::timeout_at(deadline, admin::config(address, patience(verification))).await;
    Some(answer.unwrap_or(Answer::NotYet))
}
