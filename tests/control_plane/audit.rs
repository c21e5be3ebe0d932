//! What the API server's audit log says of one operator.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

use crate::scene::text;

/// A request, as the audit log has it.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "failing tests print all of it")]
pub struct Write {
    pub verb: String,
    pub resource: String,
    pub name: String,
    pub code: i64,
    /// When the API server received it, in a form that sorts.
    pub received: String,
}

/// What `user` wrote since `mark`.
pub fn read(log: &Path, mark: u64, user: &str) -> Vec<Write> {
    requests(log, mark, user)
        .into_iter()
        .filter(|request| !matches!(&*request.verb, "get" | "list" | "watch"))
        .collect()
}

/// What `user` asked for since `mark`.
pub fn requests(log: &Path, mark: u64, user: &str) -> Vec<Write> {
    let request = |entry: Value| Write {
        verb: text(&entry["verb"]),
        resource: text(&entry["objectRef"]["resource"])
            + entry["objectRef"]["subresource"].as_str().unwrap_or_default(),
        name: text(&entry["objectRef"]["name"]),
        code: entry["responseStatus"]["code"].as_i64().unwrap_or_default(),
        received: text(&entry["requestReceivedTimestamp"]),
    };
    entries(log, mark, user).into_iter().map(request).collect()
}

/// How often `user` listed this resource since `mark`.
pub fn lists(log: &Path, mark: u64, user: &str, resource: &str) -> usize {
    let of = |entry: &&Value| entry["verb"] == "list" && entry["objectRef"]["resource"] == resource;
    entries(log, mark, user).iter().filter(of).count()
}

fn entries(log: &Path, mark: u64, user: &str) -> Vec<Value> {
    let mut file = File::open(log).expect("there is an audit log");
    file.seek(SeekFrom::Start(mark)).expect("it can be read from the mark");
    let mut lines = String::new();
    file.read_to_string(&mut lines).expect("it is text");
    let own = lines
        .lines()
        .filter(|line| line.contains(user))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_dry = |entry: &Value| entry["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun="));
    own.filter(|entry| {
        entry["impersonatedUser"]["username"] == user
            && entry["stage"] == "ResponseComplete"
            && !is_dry(entry)
    })
    .collect()
}
