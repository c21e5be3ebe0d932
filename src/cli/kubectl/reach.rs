//! Which cluster is meant, and through which proxy it is reached.

use std::net::IpAddr;
use std::path::Path;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::cli::kubectl::failure::{Failure, words};

/// As a kubeconfig has it: this file, or those of KUBECONFIG, or ~/.kube/config, or else the pod that this
/// runs in.
///
/// # Errors
/// When there is none, or it cannot be used.
pub(in crate::cli) async fn config(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<Config, Failure> {
    let read = || kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    let options = KubeConfigOptions { context: context.map(Into::into), ..KubeConfigOptions::default() };
    match through(read(), &options).await {
        Err(error) if kubeconfig.is_none() && context.is_none() => {
            // What it was looked for in is more likely to be wrong than the pod.
            Config::incluster()
                .map_err(|_| format!("{}; nor is this a pod of a cluster", words(&error)).into())
        }
        found => Ok(found?),
    }
}

async fn through(
    kubeconfig: Result<Kubeconfig, KubeconfigError>,
    options: &KubeConfigOptions,
) -> Result<Config, KubeconfigError> {
    let kubeconfig = kubeconfig?;
    let named = proxy_url(&kubeconfig, options);
    let mut config = Config::from_custom_kubeconfig(kubeconfig, options).await?;
    // kube holds NO_PROXY against the address of the proxy: what it decided does not count.
    config.proxy_url = match named.map_or_else(|| of_environment(&config.cluster_url, variable), Some) {
        Some(url) => Some(url.parse().map_err(KubeconfigError::ParseProxyUrl)?),
        None => None,
    };
    Ok(config)
}

/// What the kubeconfig says of its cluster: no variable is asked then.
fn proxy_url(kubeconfig: &Kubeconfig, options: &KubeConfigOptions) -> Option<String> {
    let context = options.context.as_ref().or(kubeconfig.current_context.as_ref())?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == *context)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster)?.cluster.as_ref()?;
    cluster.proxy_url.clone().filter(|url| !url.is_empty())
}

fn variable(name: &str) -> Option<String> {
    [name.to_owned(), name.to_lowercase()]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// That of HTTPS_PROXY, unless NO_PROXY names the server or it is this machine, as kubectl has it.
fn of_environment(server: &Uri, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let url = variable("HTTPS_PROXY")?;
    let host = server.host()?.trim_matches(['[', ']']);
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        return None;
    }
    // kubectl takes *.example.com for .example.com.
    let no = variable("NO_PROXY").unwrap_or_default();
    let no = no
        .split(',')
        .map(|entry| entry.trim())
        .map(|entry| entry.strip_prefix('*').filter(|rest| !rest.is_empty()).unwrap_or(entry));
    // Which proxy it is does not matter to it.
    let matcher = Matcher::builder().all("http://proxy").no(no.collect::<Vec<_>>().join(",")).build();
    matcher.intercept(server)?;
    Some(if url.contains("://") { url } else { format!("http://{url}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_of_the_environment_is_for_servers_that_are_away_and_not_excepted() {
        let proxy = |server: &str, no_proxy: &str| {
            let variable = |name: &str| match name {
                "HTTPS_PROXY" => Some("user:secret@proxy.corp.example:3128".to_owned()),
                _ => Some(no_proxy.to_owned()),
            };
            of_environment(&server.parse().expect("a URL"), variable).is_some()
        };
        for (server, no_proxy, expected) in [
            ("https://k8s.example.com:6443", "", true),
            ("https://k8s.example.com:6443", "corp.example", true),
            ("https://k8s.example.com:6443", "other.com, example.com", false),
            ("https://k8s.example.com:6443", "*.example.com", false),
            ("https://k8s.example.com:6443", "*", false),
            ("https://10.1.2.3:6443", "10.0.0.0/8", false),
            ("https://10.1.2.3:6443", "10.2.0.0/16", true),
            ("https://localhost:6443", "", false),
            ("https://127.0.0.1:6443", "", false),
            ("https://[::1]:6443", "", false),
        ] {
            assert_eq!(proxy(server, no_proxy), expected, "{server} with NO_PROXY={no_proxy}");
        }
        let variable = |name: &str| (name == "HTTPS_PROXY").then(|| "proxy:3128".to_owned());
        assert_eq!(
            of_environment(&"https://k8s:6443".parse().expect("a URL"), variable).as_deref(),
            Some("http://proxy:3128")
        );
    }
}
