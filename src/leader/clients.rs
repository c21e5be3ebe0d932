//! The clients: one that only reads, one for everything that is written, one for the Lease.
//!
//! The writing one asks the fence in the socket, below TLS and every buffer of the client, so that a
//! request that was begun in time and stopped on its way (by SIGSTOP, a slow handshake, a full
//! socket) is not sent after it. What the kernel has taken and cannot deliver, it drops within the
//! time between the fence and the end of the lease.

use std::future::Future;
use std::io::{Error, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use tokio::net::TcpStream;
use tower::filter::FilterLayer;
use tower::{BoxError, Service, ServiceBuilder};

use super::reads::Reads;
use super::{Fence, Terms};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::requests::Writes;

const CONNECT: Duration = Duration::from_secs(10);
/// Longer than a watch lasts, which the server ends before five minutes.
const WATCH: Duration = Duration::from_secs(300);

/// Clients by purpose.
#[derive(Clone)]
pub struct Clients {
    /// Refuses to write, and bounds what it reads.
    pub reads: Client,
    /// Sends nothing while the fence is closed.
    pub writes: Client,
    /// For the Lease alone: it shares no connection with the work.
    pub lease: Client,
}

/// None of them retries by itself.
///
/// # Errors
/// When certificates or credentials cannot be used.
pub fn clients(
    mut config: Config,
    fence: &Fence,
    terms: Terms,
    metrics: &Arc<Metrics>,
) -> kube::Result<Clients> {
    // Each look has a deadline and a backoff of its own.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(WATCH);
    config.write_timeout = Some(Duration::from_secs(30));
    let only_reads = FilterLayer::new(|request: Request<Body>| match *request.method() {
        Method::GET => Ok(request),
        _ => Err(BoxError::from("this client only reads: what is written goes through the fence")),
    });
    let reads = ClientBuilder::try_from(config.clone())?
        .with_layer(&Reads::default())
        .with_layer(&only_reads)
        .build();
    let writes = writes(&config, fence, terms, metrics)?;
    config.connect_timeout = Some(terms.renew_deadline / 2);
    config.read_timeout = config.connect_timeout;
    config.write_timeout = config.connect_timeout;
    let lease = ClientBuilder::try_from(config)?.with_layer(&Writes(metrics.clone())).build();
    Ok(Clients { reads, writes, lease })
}

fn writes(config: &Config, fence: &Fence, terms: Terms, metrics: &Arc<Metrics>) -> kube::Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_tcp_user_timeout(Some(terms.duration.saturating_sub(terms.renew_deadline)));
    let connector =
        config.rustls_https_connector_with_connector(FencedConnector { tcp, fence: fence.clone() })?;
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(Writes(metrics.clone()))
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(Client::new(service, config.default_namespace.clone()))
}

#[derive(Clone)]
struct FencedConnector {
    tcp: HttpConnector,
    fence: Fence,
}

impl Service<Uri> for FencedConnector {
    type Response = Fenced;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Fenced, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(BoxError::from)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, fence) = (self.tcp.call(to), self.fence.clone());
        Box::pin(async move { Ok(Fenced { stream: connecting.await?, fence }) })
    }
}

/// A connection that gives nothing to the kernel once the fence is closed.
struct Fenced {
    stream: TokioIo<TcpStream>,
    fence: Fence,
}

impl Fenced {
    /// The stream, for one write that follows at once.
    fn to_write(self: Pin<&mut Self>) -> Result<Pin<&mut TokioIo<TcpStream>>, Error> {
        let this = self.get_mut();
        match this.fence.is_open() {
            true => Ok(Pin::new(&mut this.stream)),
            false => Err(Error::other("this operator does not lead: nothing is sent")),
        }
    }
}

impl Write for Fenced {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        self.to_write()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        self.to_write()?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl Read for Fenced {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl Connection for Fenced {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_stands_sends_nothing_once_the_fence_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let fence = Fence::open();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let mut connector = FencedConnector { tcp, fence: fence.clone() };
        let uri: Uri = format!("https://{address}").parse().expect("a URI");
        let (fenced, accepted) = tokio::join!(connector.call(uri), listener.accept());
        let (mut near, mut far) =
            (TokioIo::new(fenced.expect("it connects")), accepted.expect("it is accepted").0);
        near.write_all(b"in time").await.expect("the fence is open");
        fence.close();
        let refused = near.write_all(b"too late").await.expect_err("the fence is closed");
        assert_eq!(refused.kind(), ErrorKind::Other);
        drop(near);
        let mut arrived = String::new();
        far.read_to_string(&mut arrived).await.expect("it is text");
        assert_eq!(arrived, "in time");
    }
}
