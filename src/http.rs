//! The probes: `/livez` and `/readyz`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell: it listens")]

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

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
pub async fn serve(listener: TcpListener, ready: watch::Receiver<bool>) -> std::io::Result<()> {
    let readyz = get(move || {
        let ready = *ready.borrow();
        async move { if ready { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "the first lists are not complete") } }
    });
    let routes = Router::new().route("/livez", get(|| async { "ok" })).route("/readyz", readyz);
    axum::serve(listener, routes).await
}
