//! The queue: each policy is worked on by one task at a time, at most so many at once. A request
//! for one that is being worked on is kept until it is done.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::runtime::scheduler::{ScheduleRequest, scheduler};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::plan::Key;

/// Policies worked on at once. More gain nothing against one API server and cost memory.
const AT_ONCE: usize = 32;

/// Where requests are put.
#[derive(Clone, Debug)]
pub(super) struct Queue(UnboundedSender<ScheduleRequest<Key>>);

/// Where they come out.
pub(super) struct Requests(UnboundedReceiver<ScheduleRequest<Key>>);

pub(super) fn queue() -> (Queue, Requests) {
    let (sender, receiver) = unbounded();
    (Queue(sender), Requests(receiver))
}

impl Queue {
    pub fn now(&self, key: Key) {
        self.after(key, Duration::ZERO);
    }

    pub fn after(&self, key: Key, pause: Duration) {
        // It fails only when nobody works any more.
        let _ = self.0.unbounded_send(ScheduleRequest { message: key, run_at: Instant::now() + pause });
    }
}

/// Works until `stop` resolves, then lets what is under way end.
///
/// # Errors
/// The panic of a task: what it was doing is unknown, so the process must end.
pub(super) async fn work<F>(
    requests: Requests,
    stop: impl Future<Output = ()>,
    task: impl Fn(Key) -> F,
) -> Result<(), tokio::task::JoinError>
where
    F: Future<Output = Key> + Send + 'static,
{
    let mut scheduler = std::pin::pin!(scheduler(requests.0));
    let mut stop = std::pin::pin!(stop);
    let mut busy = HashSet::new();
    let mut tasks = JoinSet::new();
    loop {
        let free = busy.len() < AT_ONCE;
        let next = async {
            match free {
                true => scheduler.as_mut().hold_unless(|key| !busy.contains(key)).next().await,
                // Takes requests in without handing them out.
                false => scheduler.as_mut().hold().next().await,
            }
        };
        tokio::select! {
            () = &mut stop => break,
            Some(done) = tasks.join_next() => {
                busy.remove(&done?);
            }
            Some(key) = next => {
                busy.insert(key.clone());
                tasks.spawn(task(key));
            }
        }
    }
    while let Some(done) = tasks.join_next().await {
        done?;
    }
    Ok(())
}
