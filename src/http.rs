//! The probes, `/livez` and `/readyz`, and `/metrics`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell: it listens")]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use rustix::io::Errno;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::telemetry::metrics::{Format, Metrics};

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

/// What to bind where `address` cannot be because there is no IPv6: an address that was chosen is never replaced.
fn without_ipv6(address: SocketAddr, error: &std::io::Error) -> Option<SocketAddr> {
    let missing = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(Some).contains(&Errno::from_io_error(error));
    (missing && address.ip() == Ipv6Addr::UNSPECIFIED).then(|| (Ipv4Addr::UNSPECIFIED, address.port()).into())
}

/// Answers until the process ends. Ready means that every watch has had its first list.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, ready: watch::Receiver<bool>, metrics: Arc<Metrics>) -> std::io::Result<()> {
    let readyz = get(move || {
        let ready = *ready.borrow();
        async move { if ready { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "the first lists are not complete") } }
    });
    let scrape = get(move |headers: HeaderMap| {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let format = Format::accepted(accept);
        let written = metrics.written(format);
        async move { ([(CONTENT_TYPE, format.content_type())], written) }
    });
    let routes = Router::new().route("/livez", get(|| async { "ok" })).route("/readyz", readyz).route("/metrics", scrape);
    axum::serve(listener, routes).await
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn every_address_is_that_of_both_families() {
        let listener = bind("[::]:0".parse().expect("an address")).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("a cluster of IPv4 can probe it");
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.expect("a cluster of IPv6 can probe it");
        }
    }

    #[test]
    fn a_kernel_without_ipv6_has_the_addresses_of_ipv4() {
        let bound =
            |address: &str, error: Errno| without_ipv6(address.parse().expect("an address"), &error.into()).map(|it| it.to_string());
        for error in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            assert_eq!(bound("[::]:8080", error).as_deref(), Some("0.0.0.0:8080"));
            assert_eq!(bound("[::1]:8080", error), None, "nobody asked for more than this address");
        }
        assert_eq!(bound("[::]:8080", Errno::ADDRINUSE), None);
    }
}
