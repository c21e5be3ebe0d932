//! The identity server's admin API. What answers there is a stranger: one request, on a connection of
//! its own, with no credentials; nothing is followed, little is read, and nothing of it is repeated
//! but a digest.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell: it opens a connection")]

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::plan::Answer;

/// Where Kratos tells of its configuration: a digest of it, or from 25.4 on the revision that stands in it.
const CONFIG: &str = "/admin/health/config";
/// A digest has 64 bytes.
const MAX_BODY: usize = 256;
const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Asks the server at this address for its configuration, and waits so long at most.
pub async fn config(address: SocketAddr, patience: Duration) -> Answer {
    match tokio::time::timeout(patience, ask(address)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "the admin API does not answer");
            Answer::Unreachable
        }
        Err(_) => Answer::Unreachable,
    }
}

async fn ask(address: SocketAddr) -> Result<Answer, Error> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS).handshake(TokioIo::new(stream)).await?;
    let request = Request::get(CONFIG).header(HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Ok(Answer::Other);
        }
        // One that says more is no digest.
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        Ok(body.map_or(Answer::Other, |body| read(&body.to_bytes())))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => return answer,
        // What it said before it closed the connection is there all the same.
        _ = connection => {}
    }
    answer.await
}

/// A SHA-256 digest in hex, and nothing else, is a digest of the merged configuration.
fn read(body: &[u8]) -> Answer {
    match std::str::from_utf8(body).map(str::trim_end) {
        Ok(text) if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) => Answer::Hash(text.into()),
        _ => Answer::Other,
    }
}
