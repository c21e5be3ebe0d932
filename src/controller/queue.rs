//! The queue: each policy is worked on by one task at a time, at most so many at once. A request
//! for one that is being worked on is kept until it is done.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::runtime::scheduler::{ScheduleRequest, scheduler};
use parking_lot::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::model::Key;

/// Policies worked on at once. More gain nothing against one API server and cost memory.
const AT_ONCE: usize = 32;

/// Sending end of the queue.
#[derive(Clone, Debug)]
pub struct Queue {
    requests: UnboundedSender<ScheduleRequest<Key>>,
    waiting: Waiting,
}

/// Keys that were requested at once and not handed out since.
#[derive(Clone, Debug, Default)]
struct Waiting(Arc<Mutex<HashSet<Key>>>);

/// Receiving end of the queue.
pub struct Requests {
    requests: UnboundedReceiver<ScheduleRequest<Key>>,
    waiting: Waiting,
}

pub fn queue() -> (Queue, Requests) {
    let (sender, receiver) = unbounded();
    let waiting = Waiting::default();
    (Queue { requests: sender, waiting: waiting.clone() }, Requests { requests: receiver, waiting })
}

impl Waiting {
    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock()
    }

    fn handed_out(&self, key: &Key) {
        let mut keys = self.keys();
        keys.remove(key);
        // The room that a restart with many policies takes is given back.
        if keys.is_empty() && keys.capacity() > AT_ONCE * 8 {
            keys.shrink_to_fit();
        }
    }
}

impl Queue {
    pub fn now(&self, key: Key) {
        self.waiting.keys().insert(key.clone());
        self.after(key, Duration::ZERO);
    }

    /// How many wait though something about them changed.
    pub fn depth(&self) -> usize {
        self.waiting.keys().len()
    }

    pub fn after(&self, key: Key, pause: Duration) {
        // It fails only when nobody works any more.
        let _ =
            self.requests.unbounded_send(ScheduleRequest { message: key, run_at: Instant::now() + pause });
    }
}

/// Works until `stop` resolves, then lets what is under way end.
///
/// # Errors
/// The panic of a task: what it was doing is unknown, so the process must end.
pub async fn work<F>(
    requests: Requests,
    stop: impl Future<Output = ()>,
    task: impl Fn(Key) -> F,
) -> Result<(), tokio::task::JoinError>
where
    F: Future<Output = Key> + Send + 'static,
{
    let mut scheduler = std::pin::pin!(scheduler(requests.requests));
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
                requests.waiting.handed_out(&key);
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
