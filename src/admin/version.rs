//! Which version of Kratos answers.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use smol_str::SmolStr;

use hyper::StatusCode;

use super::get;

const VERSION: &str = "/admin/version";
/// Longer than any version.
const MAX_VERSION: usize = 32;

#[derive(Deserialize)]
struct Said {
    version: String,
}

/// Asks the server at this address for its version, and waits so long at most. Nothing but the digits and
/// dots of its beginning is kept.
pub async fn version(address: SocketAddr, patience: Duration) -> Option<SmolStr> {
    let (StatusCode::OK, Some(body)) = get(address, VERSION, patience).await.ok()? else { return None };
    let said: Said = serde_json::from_slice(&body).ok()?;
    let version: SmolStr = said
        .version
        .chars()
        .take_while(|said| matches!(said, '0'..='9' | '.' | 'v'))
        .take(MAX_VERSION)
        .collect();
    (!version.is_empty()).then_some(version)
}
