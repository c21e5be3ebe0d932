//! Somebody who uses the Service all the time, and what they miss.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::kratos::{Door, Person, Session};

/// Ten times a second.
const PACE: Duration = Duration::from_millis(100);
/// Every so often they sign in anew.
const SIGN_IN: usize = 10;

pub struct Traffic {
    ended: Arc<AtomicBool>,
    client: JoinHandle<Served>,
}

/// What was asked and what came back.
#[derive(Debug, Default)]
pub struct Served {
    pub requests: usize,
    pub lost: Vec<String>,
}

impl Traffic {
    /// Begins to ask whoami with the session, and to sign the person in, on a new connection each time.
    pub fn begin(door: Door, person: Person, session: Session) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let stop = ended.clone();
        let begun = Instant::now();
        let client = std::thread::spawn(move || {
            let mut served = Served::default();
            let mut next = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                let answer = match served.requests % SIGN_IN {
                    0 => door.try_sign_in(&person),
                    _ => door.try_whoami(&session),
                };
                served.requests += 1;
                if let Err(error) = answer {
                    served.lost.push(format!("after {:.1} s: {error}", begun.elapsed().as_secs_f32()));
                }
                next += PACE;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            served
        });
        Self { ended, client }
    }

    pub fn end(self) -> Served {
        self.ended.store(true, Ordering::Relaxed);
        self.client.join().expect("it asks to the end")
    }
}
