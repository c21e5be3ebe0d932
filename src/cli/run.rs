//! `mfa-operator run`: the operator itself.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hyper::header::{HeaderValue, USER_AGENT};
use kube::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use crate::cli::duration::duration;
use crate::controller::{self, Probe, Settings};
use crate::http;
use crate::leader::{self, Candidate, Fence, Terms};
use crate::model::{Key, Pauses};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{self, LogFormat};

#[derive(Args)]
pub struct Options {
    /// Namespaces to work in, comma-separated; all when empty
    #[arg(long, env = "MFA_OPERATOR_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,

    /// Address of /metrics; [::] is every address, IPv4 included
    #[arg(long, env = "MFA_OPERATOR_LISTEN", default_value = "[::]:8080")]
    listen: SocketAddr,

    /// Address of the probes, /livez and /readyz
    #[arg(long, env = "MFA_OPERATOR_LISTEN_PROBES", default_value = "[::]:8081")]
    listen_probes: SocketAddr,

    /// Format of the log on standard error
    #[arg(long, env = "MFA_OPERATOR_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,

    /// What to log: a level, or directives such as mfa_operator=debug,info
    #[arg(long = "log", env = "MFA_OPERATOR_LOG", default_value = "info")]
    log: String,

    /// Last path elements of images that count as an identity server, comma-separated
    #[arg(
        long,
        env = "MFA_OPERATOR_SERVER_IMAGES",
        value_delimiter = ',',
        default_value = "kratos,kratos-oel"
    )]
    server_images: Vec<String>,

    /// The operator's own Deployment as NAMESPACE/NAME; it is never governed
    #[arg(long = "self", env = "MFA_OPERATOR_SELF", value_name = "NAMESPACE/NAME", value_parser = key)]
    own_deployment: Option<Key>,

    /// Name that events carry as their reporter
    #[arg(long, env = "POD_NAME")]
    instance: Option<String>,

    /// Lease by which one of several operators is elected, as NAMESPACE/NAME; where it is empty there
    /// is no election, and no second operator must run
    #[arg(long, env = "MFA_OPERATOR_LEASE", value_name = "NAMESPACE/NAME", default_value = "", value_parser = optional_key)]
    lease: std::option::Option<Key>, // written out, so that clap lets the parser decide

    /// How long the lease must be silent before another operator takes it, in whole seconds
    #[arg(long, env = "MFA_OPERATOR_LEASE_DURATION", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    lease_duration: Duration,

    /// How long a leader goes on without having renewed the lease; then it ends
    #[arg(long, env = "MFA_OPERATOR_LEASE_RENEW_DEADLINE", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    lease_renew_deadline: Duration,

    /// Pause between two attempts to take or renew the lease
    #[arg(long, env = "MFA_OPERATOR_LEASE_RETRY_PERIOD", value_name = "DURATION", default_value = "2s", value_parser = duration)]
    lease_retry_period: Duration,

    /// Pauses that tests shorten, which play in seconds what takes hours in a cluster
    #[arg(
        long,
        env = "MFA_OPERATOR_PAUSES",
        value_name = "NAME=MILLISECONDS,…",
        default_value = "",
        hide = true
    )]
    pauses: Pauses,
}

fn optional_key(text: &str) -> Result<Option<Key>, String> {
    if text.is_empty() { Ok(None) } else { key(text).map(Some) }
}

fn key(text: &str) -> Result<Key, String> {
    let (namespace, name) = text.split_once('/').ok_or("write NAMESPACE/NAME")?;
    Ok(Key::new(namespace, name))
}

const MOST_THREADS: usize = 4;

pub fn run(options: Options) -> ExitCode {
    if let Err(error) = telemetry::start(options.log_format, &options.log) {
        return crate::cli::output::fail(&format!("--log: {error}"));
    }
    // It mostly waits. Each thread may hold an answer of the API server while it reads it.
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return crate::cli::output::fail(&error),
        };
    let outcome = runtime.block_on(operate(options));
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "the operator ends");
            ExitCode::FAILURE
        }
    }
}

async fn operate(options: Options) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut config = Config::infer().await?;
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(concat!("mfa-operator/", env!("CARGO_PKG_VERSION")))));
    let server = config.cluster_url.to_string();
    let terms = Terms {
        duration: options.lease_duration,
        renew_deadline: options.lease_renew_deadline,
        retry_period: options.lease_retry_period,
    };
    let terms = terms.check().map_err(|error| format!("--lease-…: {error}"))?;
    let fence = if options.lease.is_some() { Fence::closed() } else { Fence::open() };
    let metrics = Arc::new(Metrics::default());
    let clients = leader::clients(config, &fence, terms, &metrics)?;
    let (ready, is_ready) = watch::channel(false);
    let scrapes =
        http::bind(options.listen).await.map_err(|error| format!("--listen {}: {error}", options.listen))?;
    let probes = http::bind(options.listen_probes).await;
    let probes = probes.map_err(|error| format!("--listen-probes {}: {error}", options.listen_probes))?;
    let listen = scrapes.local_addr()?;
    info!(version = env!("CARGO_PKG_VERSION"), server, %listen, namespaces = ?options.namespaces, "the operator starts");
    let settings = Settings {
        pauses: options.pauses,
        namespaces: options.namespaces.into_iter().filter(|name| !name.is_empty()).collect(),
        server_images: options.server_images.into(),
        own_deployment: options.own_deployment,
        instance: options.instance,
    };
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: the operator ends"),
            _ = interrupt.recv() => info!("SIGINT: the operator ends"),
        }
    };
    let probe = options
        .lease
        .as_ref()
        .map(|lease| Probe { client: clients.lease.clone(), namespace: lease.namespace.clone() });
    let (mut candidate, leading) = match options.lease {
        Some(lease) => {
            let (candidate, leading) =
                Candidate::new(clients.lease, lease, settings.instance.as_deref(), terms, fence);
            (Some(candidate), leading)
        }
        None => (None, leader::alone()),
    };
    let clients = controller::Clients { reads: clients.reads, writes: clients.writes, probe };
    let standing = async {
        match &mut candidate {
            Some(candidate) => candidate.stand().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = controller::run(clients, settings, metrics.clone(), ready, leading, stop) => ended?,
        never = http::probes(probes, is_ready) => match never {},
        never = http::metrics(scrapes, metrics) => match never {},
        lost = standing => return Err(lost.into()),
    }
    if let Some(candidate) = candidate {
        candidate.release().await;
    }
    Ok(())
}
