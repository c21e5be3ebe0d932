//! A real Kratos as a process of its own, with a database in its memory.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mfa_operator::document::Document;
use serde_json::{Value, json};

use crate::client::Door;
use crate::support::cluster_part;

/// Longer than Kratos takes to make its tables.
const START: Duration = Duration::from_secs(90);
/// Longer than it takes to read a file anew.
const RELOAD: Duration = Duration::from_secs(30);

pub struct Kratos {
    process: Child,
    folder: tempfile::TempDir,
    public: u16,
    admin: u16,
}

/// What it is started with beside its own configuration.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The text of a file that lies above it.
    pub file: Option<String>,
    pub variables: Vec<(String, String)>,
}

impl Kratos {
    /// Waits until it serves.
    ///
    /// # Errors
    /// With its own words, where it ends instead.
    pub fn start(base: &Value, beside: &Beside) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let (public, admin) = (free_port(), free_port());
        let mut command = Command::new(cluster_part("kratos").join("kratos"));
        // To a file: a pipe that nobody reads would stop it.
        let log = folder.path().join("log");
        let words = std::fs::File::create(&log).expect("a file can be written");
        command
            .args(["serve", "all", "--config"])
            .arg(write(folder.path(), &whole(base, (public, admin), folder.path())));
        if let Some(text) = &beside.file {
            let path = folder.path().join("kratos.yaml");
            std::fs::write(&path, text).expect("a file can be written");
            command.arg("--config").arg(path);
        }
        command
            .envs(beside.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words);
        let mut kratos = Self { process: command.spawn().expect("Kratos can be run"), folder, public, admin };
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if kratos.process.try_wait().expect("a child can be asked").is_some() {
                return Err(std::fs::read_to_string(log).unwrap_or_default());
            }
            if TcpStream::connect(("127.0.0.1", admin)).is_ok() {
                return Ok(kratos);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("Kratos neither serves nor ends within {START:?}");
    }

    pub fn public(&self) -> Door {
        Door::new("Kratos", self.url())
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.public)
    }

    pub fn admin(&self) -> Door {
        Door::new("its admin API", format!("http://127.0.0.1:{}", self.admin))
    }

    /// What tells one configuration from another.
    fn configuration(&self) -> String {
        let answer = ureq::get(format!("http://127.0.0.1:{}/admin/health/config", self.admin)).call();
        answer.and_then(|mut answer| answer.body_mut().read_to_string()).expect("Kratos answers")
    }

    /// Gives it another configuration, and waits until it has read it: people and sessions stay.
    pub fn configure(&self, base: &Value) {
        let before = self.configuration();
        write(self.folder.path(), &whole(base, (self.public, self.admin), self.folder.path()));
        let deadline = Instant::now() + RELOAD;
        while self.configuration() == before {
            assert!(Instant::now() < deadline, "the new configuration is not read");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Kratos {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// At once, so that nobody reads half of it.
fn write(folder: &Path, config: &Value) -> PathBuf {
    let (new, path) = (folder.join("base.new"), folder.join("base.json"));
    std::fs::write(&new, config.to_string()).expect("a file can be written");
    std::fs::rename(new, &path).expect("a file can be moved");
    path
}

/// With what Kratos needs to start at all.
fn whole(base: &Value, ports: (u16, u16), folder: &Path) -> Value {
    let schema = folder.join("identity.schema.json");
    let own: Value = serde_json::from_str(include_str!("../cluster/kratos/identity.default.schema.json"))
        .expect("it is JSON");
    std::fs::write(&schema, own.to_string()).expect("a file can be written");
    let serve = |port: u16| json!({"host": "127.0.0.1", "port": port, "base_url": format!("http://127.0.0.1:{port}/")});
    let needed = json!({
        "dsn": "memory",
        "serve": {"public": serve(ports.0), "admin": serve(ports.1)},
        "hashers": {"algorithm": "bcrypt", "bcrypt": {"cost": 4}},
        "identity": {"default_schema_id": "default", "schemas": [{"id": "default", "url": format!("file://{}", schema.display())}]},
        "selfservice": {
            "default_browser_return_url": "http://127.0.0.1/",
            "methods": {"password": {"enabled": true, "config": {"haveibeenpwned_enabled": false}}},
        },
        "courier": {"smtp": {"connection_uri": "smtp://127.0.0.1:2525/?disable_starttls=true"}},
    });
    let document = |value: &Value| Document::from_typed(value).expect("it is a tree");
    let merged = document(&needed).merge(&document(base));
    serde_yaml::from_str(&merged.to_yaml()).expect("it is YAML")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port is free")
        .port()
}
