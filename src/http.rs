//! The probes, `/livez` and `/readyz`, and `/metrics`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell: it listens")]

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::telemetry::metrics::{Format, Metrics};

/// Binds `address`.
///
/// # Errors
/// When the address is taken or not allowed.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
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
