//! The identity server's admin API. What answers there is a stranger: one request, on a connection of
//! its own, with no credentials; nothing is followed, little is read, and nothing of it is repeated
//! but a digest.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell: it opens a connection")]

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Collected, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::model::{Answer, Health};

mod version;

pub use version::version;

/// Where Kratos tells of its configuration: a digest of it, or from 25.4 on the revision that stands in it.
const CONFIG: &str = "/admin/health/config";
/// Where it tells whether it can serve: it asks its database for it.
const READY: &str = "/admin/health/ready";
/// A digest has 64 bytes.
const MAX_BODY: usize = 256;
const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Asks the server at this address for its configuration, and waits so long at most.
pub async fn config(address: SocketAddr, patience: Duration) -> Answer {
    match get(address, CONFIG, patience).await {
        Ok((StatusCode::OK, Some(body))) => Answer::read(&body),
        Ok(_) => Answer::Other,
        Err(error) => {
            tracing::debug!(%address, %error, "the admin API does not answer");
            Answer::Unreachable
        }
    }
}

/// Asks the server at this address whether it is well, its database included, and waits so long at most for
/// the connection, and once more for the answer. The server's own "not ready" counts against it, and that it
/// takes the question and keeps silent; whatever a mesh, TLS or a proxy says in front of it does not.
pub async fn health(address: SocketAddr, patience: Duration) -> Health {
    let stream = match tokio::time::timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => return Health::NotHeard,
        Ok(Err(_)) | Err(_) => return Health::Unreachable,
    };
    match tokio::time::timeout(patience, ask(stream, address, READY, Wanted::Status)).await {
        Ok(Ok((StatusCode::OK, _))) => Health::Well,
        Ok(Ok((StatusCode::SERVICE_UNAVAILABLE, _))) | Err(_) => Health::Unwell,
        Ok(Ok(_) | Err(_)) => Health::NotHeard,
    }
}

/// One request: the status, and with 200 the body, where it is not longer than any honest one.
async fn get(
    address: SocketAddr,
    path: &str,
    patience: Duration,
) -> Result<(StatusCode, Option<Bytes>), Error> {
    let asked = async { ask(TcpStream::connect(address).await?, address, path, Wanted::Body).await };
    tokio::time::timeout(patience, asked).await?
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Status,
    Body,
}

async fn ask(
    stream: TcpStream,
    address: SocketAddr,
    path: &str,
    wanted: Wanted,
) -> Result<(StatusCode, Option<Bytes>), Error> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await?;
    let request = Request::get(path).header(HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        if status != StatusCode::OK || wanted == Wanted::Status {
            return Ok((status, None));
        }
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        Ok((status, body.ok().map(Collected::to_bytes)))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => return answer,
        // What it said before it closed the connection is there all the same.
        _ = connection => {}
    }
    answer.await
}
