//! `mfa-operator run`: the operator itself.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::http::{HeaderValue, header::USER_AGENT};
use clap::Args;
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use crate::controller::{self, Settings};
use crate::http;
use crate::plan::Key;
use crate::telemetry::{self, LogFormat};

#[derive(Args)]
pub(super) struct Options {
    /// Namespaces to work in, comma-separated; all when empty
    #[arg(long, env = "MFA_OPERATOR_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,

    /// Address of /livez and /readyz
    #[arg(long, env = "MFA_OPERATOR_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,

    /// Format of the log on standard error
    #[arg(long, env = "MFA_OPERATOR_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,

    /// What to log: a level, or directives such as mfa_operator=debug,info
    #[arg(long = "log", env = "MFA_OPERATOR_LOG", default_value = "info")]
    log: String,

    /// Last path elements of images that count as an identity server, comma-separated
    #[arg(long, env = "MFA_OPERATOR_SERVER_IMAGES", value_delimiter = ',', default_value = "kratos")]
    server_images: Vec<String>,

    /// The operator's own Deployment as NAMESPACE/NAME; it is never governed
    #[arg(long = "self", env = "MFA_OPERATOR_SELF", value_name = "NAMESPACE/NAME", value_parser = key)]
    itself: Option<Key>,

    /// Name that events carry as their reporter
    #[arg(long, env = "POD_NAME")]
    instance: Option<String>,
}

fn key(text: &str) -> Result<Key, String> {
    let (namespace, name) = text.split_once('/').ok_or("write NAMESPACE/NAME")?;
    Ok(Key::new(namespace, name))
}

pub(super) fn run(options: Options) -> ExitCode {
    if let Err(error) = telemetry::start(options.log_format, &options.log) {
        return super::fail(&format!("--log: {error}"));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return super::fail(&error),
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
    // Each look has a deadline and a backoff of its own.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    // Longer than a watch lasts, which the server ends before five minutes.
    config.read_timeout = Some(Duration::from_secs(300));
    config.write_timeout = Some(Duration::from_secs(30));
    config.headers.push((USER_AGENT, HeaderValue::from_static(concat!("mfa-operator/", env!("CARGO_PKG_VERSION")))));
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config)?;
    let (ready, is_ready) = watch::channel(false);
    let listener = http::bind(options.listen).await.map_err(|error| format!("--listen {}: {error}", options.listen))?;
    info!(version = env!("CARGO_PKG_VERSION"), server, listen = %options.listen, namespaces = ?options.namespaces, "the operator starts");
    let settings = Settings {
        namespaces: options.namespaces.into_iter().filter(|name| !name.is_empty()).collect(),
        server_images: options.server_images.into(),
        itself: options.itself,
        instance: options.instance,
    };
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: the operator ends"),
            _ = interrupt.recv() => info!("SIGINT: the operator ends"),
        }
    };
    tokio::select! {
        ended = controller::run(client, settings, ready, stop) => Ok(ended?),
        ended = http::serve(listener, is_ready) => Ok(ended?),
    }
}
