//! `/log` on a loopback address: what is logged, changed while the operator runs. `kubectl port-forward` gets there,
//! the pod network does not: whoever turns a log up or down should have rights in the operator's namespace.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tracing::{debug, info, warn};
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::directives;

const LONGEST: usize = 4_096;

/// What is logged.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    handle: reload::Handle<EnvFilter, Registry>,
    /// As the program was started.
    initial: String,
    now: Mutex<Now>,
}

struct Now {
    directives: String,
    until: Option<Instant>,
    /// Counts changes: an end that was set by an earlier one is none any more.
    change: u64,
}

type Answer = (StatusCode, String);

impl Log {
    pub(super) fn new(handle: reload::Handle<EnvFilter, Registry>, directives: &str) -> Self {
        let now = Now { directives: directives.into(), until: None, change: 0 };
        Self(Arc::new(Shared { handle, initial: directives.into(), now: Mutex::new(now) }))
    }

    /// An address to listen at.
    ///
    /// # Errors
    /// When it is none, or others than this machine's own programs would reach it.
    pub fn address(text: &str) -> Result<SocketAddr, String> {
        let address: SocketAddr = text.parse().map_err(|error| format!("{error}"))?;
        let local = address.ip().is_loopback();
        local
            .then_some(address)
            .ok_or_else(|| "it must be a loopback address, such as 127.0.0.1:8081: kubectl port-forward reaches it".into())
    }

    /// Answers until the process ends. Another program at the address is no reason not to start.
    pub async fn serve(self, address: SocketAddr) {
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => return warn!(%address, %error, "what is logged cannot be changed while it runs; see --admin-listen"),
        };
        if let Ok(address) = listener.local_addr() {
            debug!(%address, "what is logged can be changed at /log");
        }
        let log = get(show).put(set).delete(reset).layer(DefaultBodyLimit::max(LONGEST));
        if let Err(error) = axum::serve(listener, Router::new().route("/log", log).with_state(self)).await {
            warn!(%error, "what is logged cannot be changed any more");
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, to: &str, span: Option<Duration>) -> Result<(), String> {
        let filter = directives::parse(to)?;
        let mut now = self.now();
        self.0.handle.reload(filter).map_err(|error| error.to_string())?;
        let seconds = span.map(|span| span.as_secs());
        info!(target: "logging", from = now.directives, to, seconds, "what is logged changed");
        *now = Now { directives: to.into(), until: span.map(|span| Instant::now() + span), change: now.change + 1 };
        if let Some(span) = span {
            tokio::spawn(self.clone().end(span, now.change));
        }
        Ok(())
    }

    async fn end(self, span: Duration, change: u64) {
        tokio::time::sleep(span).await;
        if self.now().change == change {
            // It was valid at the start.
            let _ = self.change(&self.0.initial, None);
        }
    }

    fn told(&self) -> String {
        let now = self.now();
        match now.until.map(|until| until.saturating_duration_since(Instant::now()).as_secs()) {
            Some(left) => format!("{} for another {left}s, then {}\n", now.directives, self.0.initial),
            None => format!("{}\n", now.directives),
        }
    }

    fn answer(&self, changed: Result<(), String>) -> Answer {
        match changed {
            Ok(()) => (StatusCode::OK, self.told()),
            Err(complaint) => (StatusCode::BAD_REQUEST, format!("{complaint}\n")),
        }
    }
}

async fn show(State(log): State<Log>) -> String {
    log.told()
}

async fn set(State(log): State<Log>, uri: Uri, body: String) -> Answer {
    let span = match uri.query().filter(|query| !query.is_empty()) {
        None => Ok(None),
        Some(query) => match query.strip_prefix("for=") {
            Some(span) => directives::span(span).map(Some),
            None => Err(format!("{query:?} is not known: write for=15m, or nothing")),
        },
    };
    log.answer(span.and_then(|span| log.change(body.trim(), span)))
}

async fn reset(State(log): State<Log>) -> Answer {
    log.answer(log.change(&log.0.initial, None))
}
