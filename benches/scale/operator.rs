//! The operator as a process, and what the kernel says of it.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::Result;
use crate::cluster::Cluster;

pub struct Operator {
    process: Child,
    started: Instant,
    port: u16,
    log: PathBuf,
}

/// Memory in MiB, and time on a processor.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub resident: f64,
    pub peak: f64,
    pub busy: Duration,
}

impl Operator {
    pub fn start(cluster: &Cluster, binary: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = cluster.folder().join("operator.log");
        // However this process ends, the operator ends with it.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(binary)
            .args(["run", "--listen", "127.0.0.1:0", "--listen-probes", &format!("127.0.0.1:{port}")])
            .env("KUBECONFIG", cluster.kubeconfig("operator"))
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { process, started: Instant::now(), port, log })
    }

    /// Waits for `/readyz`; returns how long it took from the start.
    pub async fn ready(&self) -> Result<Duration> {
        while self.started.elapsed() < Duration::from_secs(120) {
            if self.asks_ready().await.unwrap_or_default() {
                return Ok(self.started.elapsed());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Err(format!("the operator is not ready after two minutes: {}", self.complaints()?.join("\n")).into())
    }

    async fn asks_ready(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer.split_whitespace().nth(1) == Some("200"))
    }

    pub fn usage(&self) -> Result<Usage> {
        let pid = self.process.id().ok_or("the operator has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mebibytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
                .map_or(f64::NAN, |kibibytes| kibibytes / 1024.0)
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // After the name in brackets: user and system time are the 12th and 13th, in hundredths of a second.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(Usage {
            resident: mebibytes("VmRSS:"),
            peak: mebibytes("VmHWM:"),
            busy: Duration::from_millis(ticks * 10),
        })
    }

    /// The first warnings of its log.
    pub fn complaints(&self) -> Result<Vec<String>> {
        let log = std::fs::read_to_string(&self.log)?;
        Ok(log
            .lines()
            .filter(|line| line.contains("WARN") || line.contains("ERROR"))
            .take(5)
            .map(Into::into)
            .collect())
    }

    pub async fn stop(mut self) -> Result<()> {
        let pid = self.process.id().ok_or("the operator has ended by itself")?;
        Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        let ended = self.process.wait().await?;
        if ended.success() { Ok(()) } else { Err(format!("the operator ended with {ended}").into()) }
    }
}
