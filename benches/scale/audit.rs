//! The API server's audit log: who asked for what.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;
use crate::cluster::{Cluster, OPERATOR};

/// Reads on from where it stands.
pub struct Audit {
    path: PathBuf,
    offset: u64,
}

/// Requests of the operator; watches are none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requests {
    pub reads: usize,
    pub writes: usize,
}

#[derive(Deserialize)]
struct Entry {
    verb: String,
    stage: String,
    user: User,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

impl Audit {
    /// From the log's present end.
    pub fn from_now(cluster: &Cluster) -> Result<Self> {
        let path = cluster.audit_log();
        let offset = std::fs::metadata(&path)?.len();
        Ok(Self { path, offset })
    }

    /// What the operator asked for since the last call.
    pub fn operator(&mut self) -> Result<Requests> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut lines = BufReader::new(file);
        let mut found = Requests::default();
        let mut line = String::new();
        loop {
            line.clear();
            let read = lines.read_line(&mut line)?;
            // A line that is still being written is read the next time.
            if read == 0 || !line.ends_with('\n') {
                return Ok(found);
            }
            self.offset += read as u64;
            if !line.contains(OPERATOR) {
                continue;
            }
            let entry: Entry = serde_json::from_str(&line)?;
            if entry.user.username != OPERATOR || entry.stage != "ResponseComplete" {
                continue;
            }
            match entry.verb.as_str() {
                "watch" => {}
                "get" | "list" => found.reads += 1,
                _ => found.writes += 1,
            }
        }
    }
}
