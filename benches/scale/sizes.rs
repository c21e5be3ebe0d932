//! How much is measured, and how many requests go out at once.

use std::time::Duration;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How much is measured.
pub struct Sizes {
    pub policies: usize,
    pub changes: usize,
    pub burst: usize,
    pub rest: Duration,
    pub writes_page: bool,
}

impl Sizes {
    pub fn from_command_line() -> Result<Self> {
        let quick = std::env::args().any(|argument| argument == "--quick");
        let policies = match std::env::var("BENCH_POLICIES") {
            Ok(text) => text.parse().map_err(|_| format!("BENCH_POLICIES={text}: write a number"))?,
            Err(_) if quick => 500,
            Err(_) => 10_000,
        };
        if policies < 100 {
            return Err("BENCH_POLICIES: at least 100, else nothing of it says anything".into());
        }
        Ok(Self {
            policies,
            changes: if quick { 60 } else { 300.min(policies / 2) },
            burst: 1_000.min(policies / 2),
            rest: Duration::from_secs(if quick { 10 } else { 60 }),
            writes_page: !quick && policies == 10_000,
        })
    }
}

/// Requests under way at once: as many as the operator has.
pub const AT_ONCE: usize = 32;
