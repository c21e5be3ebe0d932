//! How a command ends, and what is said where it fails.

use std::process::ExitCode;

use kube::config::KubeconfigError;

/// What is said instead of a screen.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a command ends with where it does not fail.
pub type Ended = Result<ExitCode, Failure>;

/// An error as kubectl words it.
pub fn words(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(KubeconfigError::Parse(error)) = error.downcast_ref() {
        // It goes on with the text around the fault, which may hold a token.
        let all = error.to_string();
        let place = all.split_once("line ").map(|(_, rest)| rest.split(':').next().unwrap_or_default());
        return format!("the kubeconfig cannot be read, see line {}", place.unwrap_or("1"));
    }
    match error.downcast_ref::<kube::Error>() {
        // An object that is not there comes with details: here the API server knows no such path.
        Some(kube::Error::Api(status)) if status.code == 404 && status.details.is_none() => format!(
            "this cluster has no {} definition: another context may be meant, or the operator is not installed there",
            crate::api::KIND
        ),
        Some(kube::Error::Api(status)) => format!("from the API server ({}): {}", status.reason, status.message),
        // Its own words repeat the URL, which may hold a password.
        Some(kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. }) => {
            "a proxy has to be one of HTTP: correct proxy-url in the kubeconfig, or HTTPS_PROXY, to http://HOST:PORT".into()
        }
        _ => with_causes(error),
    }
}

/// An error with what lies behind it, each once.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// An error on the way to the server names the server.
pub fn reached(error: Failure, server: &str) -> Failure {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Service(_) | kube::Error::HyperError(_)) => {
            format!("{server} does not answer: {}", words(&*error)).into()
        }
        _ => error,
    }
}
