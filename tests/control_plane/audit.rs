//! What the API server's audit log says of one operator.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

use crate::scene::text;

/// A request that changes something, as the audit log has it.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "failing tests print all of it")]
pub struct Write {
    pub verb: String,
    pub resource: String,
    pub name: String,
    pub code: i64,
}

/// What `user` wrote since `mark`.
pub fn read(log: &Path, mark: u64, user: &str) -> Vec<Write> {
    let mut file = File::open(log).expect("there is an audit log");
    file.seek(SeekFrom::Start(mark)).expect("it can be read from the mark");
    let mut lines = String::new();
    file.read_to_string(&mut lines).expect("it is text");
    let own = lines.lines().filter(|line| line.contains(user)).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    own.filter(|entry| entry["impersonatedUser"]["username"] == user && entry["stage"] == "ResponseComplete")
        .filter(|entry| !matches!(entry["verb"].as_str(), Some("get" | "list" | "watch")))
        .map(|entry| Write {
            verb: text(&entry["verb"]),
            resource: text(&entry["objectRef"]["resource"]) + entry["objectRef"]["subresource"].as_str().unwrap_or_default(),
            name: text(&entry["objectRef"]["name"]),
            code: entry["responseStatus"]["code"].as_i64().unwrap_or_default(),
        })
        .collect()
}
