//! The real operator as a process of its own: started, restarted, asked and ended.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Longer than any start, also on a busy machine.
const START: Duration = Duration::from_secs(60);
/// A look at a policy that is under way is ended first, and may take a minute.
const STOP: Duration = Duration::from_secs(70);

/// How an operator is run.
#[derive(Clone, Debug)]
pub struct Options {
    pub kubeconfig: PathBuf,
    pub namespaces: Vec<String>,
    /// Who it is to the API server; empty where its kubeconfig says so.
    pub user: String,
    /// In text, or as JSON.
    pub log_format: &'static str,
    /// What to log.
    pub log: &'static str,
    /// What else stands on its command line.
    pub arguments: Vec<String>,
}

/// A running operator; it is ended when this value goes.
pub struct Operator {
    options: Options,
    process: Option<Child>,
    /// Of the metrics, and of the probes.
    listen: [SocketAddr; 2],
    /// Over all its starts. It stays for the reader where the test fails.
    log: PathBuf,
}

impl Operator {
    /// Starts it and waits until it is ready.
    pub fn start(options: Options) -> Self {
        let mut operator = Self::launch(options);
        operator.wait_until_ready();
        operator
    }

    /// Starts it and waits for nothing.
    pub fn launch(options: Options) -> Self {
        let listen = free_addresses();
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "operator-{}-{}.log",
            options.namespaces[0],
            listen[0].port()
        ));
        let process = Some(spawn(&options, listen, &log));
        Self { options, process, listen, log }
    }

    pub fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + START;
        while self.probe("/readyz") != Some(200) {
            let ended =
                self.process.as_mut().and_then(|process| process.try_wait().expect("a child can be asked"));
            assert!(ended.is_none(), "the operator ended with {ended:?}:\n{}", self.log());
            assert!(Instant::now() < deadline, "the operator is not ready after {START:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Status code that the path answers; none while nothing listens.
    pub fn probe(&self, path: &str) -> Option<u16> {
        self.answer(path, "*/*")?.split(' ').nth(1)?.parse().ok()
    }

    /// The whole answer, with its head.
    pub fn answer(&self, path: &str, accept: &str) -> Option<String> {
        let [metrics, probes] = &self.listen;
        let address = if path == "/metrics" { metrics } else { probes };
        let mut stream = TcpStream::connect_timeout(address, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: probe\r\nAccept: {accept}\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Ends it in an orderly way, and says how it ended.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let mut process = self.process.take()?;
        let _ = Command::new("kill").arg(process.id().to_string()).status();
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = process.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = process.kill();
        process.wait().ok()
    }

    /// Stops it and lets it go on, as `kill -STOP` and `kill -CONT` do.
    pub fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("it runs").id();
        let sent = Command::new("kill").args([signal, &id.to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "no signal {signal} for the operator");
    }

    /// The most memory that it ever had since its start, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let id = self.process.as_ref().expect("it runs").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process has a status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.unwrap_or_else(|| panic!("the operator ended:\n{}", self.log()));
        peak.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// How it ended by itself; none while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().expect("a child can be asked")?;
        // Its number may be another's from now on.
        self.process = None;
        Some(status)
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again after [`Operator::stop`] or [`Operator::kill`].
    pub fn start_again(&mut self) {
        self.launch_again();
        self.wait_until_ready();
    }

    /// Likewise, and waits for nothing.
    pub fn launch_again(&mut self) {
        self.process = Some(spawn(&self.options, self.listen, &self.log));
    }

    pub fn restart(&mut self) {
        let status = self.stop();
        assert!(
            status.is_some_and(|status| status.success()),
            "SIGTERM ended the operator with {status:?}:\n{}",
            self.log()
        );
        self.start_again();
    }

    /// Starts it again with another filter of its log.
    pub fn restart_logging(&mut self, log: &'static str) {
        self.options.log = log;
        self.restart();
    }

    /// Starts it again so that it serves one namespace more.
    pub fn serve_also(&mut self, namespace: &str) {
        self.stop();
        self.options.namespaces.push(namespace.into());
        self.start_again();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.stop();
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.log);
        }
    }
}

fn spawn(options: &Options, [metrics, probes]: [SocketAddr; 2], log: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mfa-operator"));
    if !options.user.is_empty() {
        // Of the client library: the audit log tells this operator from everybody else by it.
        command.env("KUBE_RS_DEBUG_IMPERSONATE_USER", &options.user);
    }
    command
        .args(["run", "--namespaces", &options.namespaces.join(","), "--listen", &metrics.to_string()])
        .args(["--listen-probes", &probes.to_string()])
        .args(["--log", options.log, "--log-format", options.log_format])
        .env("KUBECONFIG", &options.kubeconfig)
        .args(&options.arguments)
        .stdin(Stdio::null())
        .stdout(append(log))
        .stderr(append(log))
        .spawn()
        .expect("the operator's binary runs")
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("the log can be written")
}

/// Two at a loopback address of its own: at the usual one any connection that begins meanwhile may take the
/// ports.
fn free_addresses() -> [SocketAddr; 2] {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed));
    let listeners = [(); 2].map(|()| TcpListener::bind((own, 0)).expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("it is bound"))
}
