//! What others may ask of the operator, at two addresses: the probes, `/livez` and `/readyz`, and `/metrics`.
//! Every pod of the cluster may reach them: connections are bounded in number and in time, and so is the work
//! behind them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell: it listens")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::telemetry::metrics::{Format, Metrics};

/// How long a client may take to say what it wants.
const HEADER: Duration = Duration::from_secs(5);
/// How long a connection may last, however slowly its answer is read.
const LONGEST: Duration = Duration::from_secs(30);
/// Connections at one address. The oldest goes for one more: those that say nothing keep no probe out.
const CONNECTIONS: usize = 64;
/// What a client may send before its answer, in bytes.
const MAX_REQUEST: usize = 16 * 1024;
/// A page of metrics this old is good enough for everybody.
const FRESH: Duration = Duration::from_secs(1);

type Answer = Response<Full<Bytes>>;

/// Binds `address`. `[::]` is every address, those of IPv4 included; a kernel without IPv6 has these alone.
///
/// # Errors
/// When the address is taken or not allowed.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) => match without_ipv6(address, &error) {
            Some(address) => TcpListener::bind(address).await,
            None => Err(error),
        },
        bound => bound,
    }
}

/// What to bind where `address` cannot be because there is no IPv6: an address that was chosen is never
/// replaced.
fn without_ipv6(address: SocketAddr, error: &std::io::Error) -> Option<SocketAddr> {
    let missing = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(Some).contains(&Errno::from_io_error(error));
    (missing && address.ip() == Ipv6Addr::UNSPECIFIED).then(|| (Ipv4Addr::UNSPECIFIED, address.port()).into())
}

/// Answers the kubelet until the process ends. Ready means that every watch has had its first list.
pub async fn probes(listener: TcpListener, ready: watch::Receiver<bool>) -> Infallible {
    serve(listener, move |request| {
        let ready = *ready.borrow();
        std::future::ready(match request.uri().path() {
            "/livez" => answer(StatusCode::OK, "ok"),
            "/readyz" if ready => answer(StatusCode::OK, "ok"),
            "/readyz" => answer(StatusCode::SERVICE_UNAVAILABLE, "the first lists are not complete"),
            _ => answer(StatusCode::NOT_FOUND, "here are /livez and /readyz"),
        })
    })
    .await
}

/// Answers scrapes until the process ends.
pub async fn metrics(listener: TcpListener, metrics: Arc<Metrics>) -> Infallible {
    let pages = Arc::new(Pages { metrics, made: Default::default() });
    serve(listener, move |request| {
        let pages = pages.clone();
        async move {
            if request.uri().path() != "/metrics" {
                return answer(StatusCode::NOT_FOUND, "here is /metrics");
            }
            let accept =
                request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
            let format = Format::accepted(accept);
            let mut page = answer(StatusCode::OK, pages.page(format).await);
            page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
            page
        }
    })
    .await
}

/// The page in each form, made at most once in its time whoever asks for it.
struct Pages {
    metrics: Arc<Metrics>,
    made: [Mutex<Option<(Instant, Bytes)>>; 2],
}

impl Pages {
    async fn page(&self, format: Format) -> Bytes {
        let mut made = self.made[usize::from(format == Format::OpenMetrics)].lock().await;
        if let Some((at, page)) = &*made
            && at.elapsed() < FRESH
        {
            return page.clone();
        }
        let page = Bytes::from(self.metrics.written(format));
        *made = Some((Instant::now(), page.clone()));
        page
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}

async fn serve<F, A>(listener: TcpListener, to: F) -> Infallible
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let mut open: VecDeque<tokio::task::AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // That client is gone, or too many files are open: both pass.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(
            tokio::spawn(tokio::time::timeout(LONGEST, converse(stream, to.clone()))).abort_handle(),
        );
    }
}

/// One question and its answer.
async fn converse<F, A>(stream: TcpStream, to: F)
where
    F: Fn(Request<Incoming>) -> A + Clone,
    A: Future<Output = Answer>,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let to = to.clone();
        async move {
            let reads = matches!(*request.method(), Method::GET | Method::HEAD);
            Ok::<_, Infallible>(if reads {
                to(request).await
            } else {
                answer(StatusCode::METHOD_NOT_ALLOWED, "there is nothing but GET")
            })
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER).keep_alive(false).max_buf_size(MAX_REQUEST);
    // What became of a stranger's connection is the stranger's affair.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

#[cfg(test)]
mod tests;
