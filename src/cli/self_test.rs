//! `mfa-operator self-test`: whether an operator serves a namespace. A policy over a Deployment of its own,
//! which has no pods, has to come into force; both go again. It proves nothing about an identity server, and
//! touches none.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{self, ConditionType, MfaPolicy};
use crate::cli::output::show;
use crate::model::bounded;

/// Tells what an earlier test left from what is somebody's.
const LABEL: &str = "app.kubernetes.io/managed-by";

const OWN: &str = "mfa-operator-self-test";

const PAUSE: Duration = Duration::from_millis(500);

/// Nothing but the API server has a part in a deletion.
const GONE: Duration = Duration::from_secs(20);

#[derive(Args)]
pub struct Options {
    /// Namespace that the operator serves
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: String,

    /// Name of the Deployment and of the policy, which exist only meanwhile
    #[arg(long, value_name = "NAME", default_value = "mfa-operator-test")]
    name: String,

    /// One of the operator's --server-images; the image is never pulled
    #[arg(long, value_name = "NAME", default_value = "kratos")]
    server_image: String,

    /// Seconds until the policy has to be in force
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// Why the test did not pass, with what to do.
type Failure = String;

pub fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return crate::cli::output::fail(&error),
    };
    match runtime.block_on(test(options)) {
        Ok(()) => {
            say(&format!("passed: the operator serves the namespace {}", options.namespace));
            ExitCode::SUCCESS
        }
        Err(failure) => crate::cli::output::fail(&format!("the test failed: {failure}")),
    }
}

async fn test(options: &Options) -> Result<(), Failure> {
    let client = client().await.map_err(|error| format!("the API server cannot be reached: {error}"))?;
    let policies = Api::<MfaPolicy>::namespaced(client.clone(), &options.namespace);
    let deployments = Api::<Deployment>::namespaced(client, &options.namespace);
    // What an earlier test left that was interrupted. The policy goes first: without its target it would
    // complain.
    remove(&policies, &options.name).await?;
    remove(&deployments, &options.name).await?;

    create(&deployments, deployment(options)).await?;
    say(&format!("created the Deployment {} without pods", options.name));
    let outcome = match create(&policies, policy(options)).await {
        Ok(()) => {
            say(&format!(
                "created the MfaPolicy {}; waiting up to {} s until it is in force",
                options.name, options.timeout
            ));
            await_ready(&policies, options).await
        }
        Err(failure) => Err(failure),
    };
    let removed = match remove(&policies, &options.name).await {
        Ok(()) => remove(&deployments, &options.name).await,
        Err(failure) => Err(failure),
    };
    outcome.and(removed.map_err(|failure| {
        format!("{failure}. Remove the MfaPolicy and the Deployment {} by hand", options.name)
    }))?;
    say("removed both");
    Ok(())
}

/// A line on the way. What counts is how it ends, and that both are removed.
fn say(line: &str) {
    let _ = show(&format!("{line}\n"));
}

async fn client() -> Result<Client, Box<dyn std::error::Error>> {
    let mut config = Config::infer().await?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(Duration::from_secs(30));
    Ok(Client::try_from(config)?)
}

/// In the shape of a Kratos, and as strict as any cluster may ask for: some look at workloads, not only at
/// pods.
fn deployment(options: &Options) -> Value {
    let labels = json!({"app.kubernetes.io/name": options.name, (LABEL): OWN});
    json!({
        "metadata": {"name": options.name, "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app.kubernetes.io/name": options.name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": false,
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": "server",
                        // A name that is reserved for nobody.
                        "image": format!("self-test.invalid/{}:none", options.server_image),
                        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "1m", "memory": "1Mi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }],
                },
            },
        },
    })
}

/// Nothing in it weakens anything, so that creating it needs no right beyond that.
fn policy(options: &Options) -> Value {
    json!({
        "apiVersion": format!("{}/{}", api::GROUP, api::VERSION),
        "kind": api::KIND,
        "metadata": {"name": options.name, "labels": {(LABEL): OWN}},
        "spec": {
            "targetRefs": [{"name": options.name}],
            "requiredAAL": {"settings": "highest_available", "whoami": "highest_available"},
        },
    })
}

fn kind<K: Resource<DynamicType = ()>>() -> String {
    K::kind(&()).into_owned()
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<(), Failure>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let object = serde_json::from_value(object)
        .map_err(|error| format!("the {} is malformed: {error}", kind::<K>()))?;
    let created = api.create(&PostParams::default(), &object).await;
    created.map(|_| ()).map_err(|error| format!("the {} cannot be created: {}", kind::<K>(), told(&error)))
}

/// Removes what is there by this name, and waits until it is gone; what is not of a test stays.
async fn remove<K>(api: &Api<K>, name: &str) -> Result<(), Failure>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let kind = kind::<K>();
    let deadline = Instant::now() + GONE;
    loop {
        let found = api
            .get_opt(name)
            .await
            .map_err(|error| format!("the {kind} {name} cannot be read: {}", told(&error)))?;
        let Some(found) = found else { return Ok(()) };
        if found.labels().get(LABEL).is_none_or(|own| own != OWN) {
            return Err(format!(
                "there is a {kind} {name} that no test made: it is left alone; choose another --name"
            ));
        }
        if Instant::now() > deadline {
            return Err(format!("the {kind} {name} does not go: see its finalizers"));
        }
        if found.meta().deletion_timestamp.is_none() {
            let preconditions = Preconditions { uid: found.uid(), resource_version: None };
            match api.delete(name, &DeleteParams::background().preconditions(preconditions)).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
                Err(error) => return Err(format!("the {kind} {name} cannot be deleted: {}", told(&error))),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn await_ready(policies: &Api<MfaPolicy>, options: &Options) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(options.timeout);
    loop {
        let policy = policies
            .get(&options.name)
            .await
            .map_err(|error| format!("the policy cannot be read: {}", told(&error)))?;
        if is_true(&policy, ConditionType::Ready) {
            say("the policy is in force");
            return Ok(());
        }
        if is_true(&policy, ConditionType::Stalled) || Instant::now() > deadline {
            return Err(missing(&policy, options));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_true(policy: &MfaPolicy, type_: ConditionType) -> bool {
    let conditions = policy.status.iter().flat_map(|status| &status.conditions);
    let mut current =
        conditions.filter(|condition| condition.observed_generation == policy.metadata.generation);
    current.any(|condition| condition.type_ == type_.as_str() && condition.status == "True")
}

/// What is known of a policy that did not come into force.
fn missing(policy: &MfaPolicy, options: &Options) -> Failure {
    let Options { namespace, timeout, .. } = options;
    let conditions = policy.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if conditions.is_empty() {
        return format!(
            "no operator looked at the policy within {timeout} s. Is one running, does it serve the namespace {namespace}, and does it reach the API server? Its log tells"
        );
    }
    let lines: String = conditions
        .iter()
        .map(|condition| {
            format!(
                "\n  {} {} {}: {}",
                condition.type_,
                condition.status,
                condition.reason,
                bounded(&condition.message)
            )
        })
        .collect();
    format!(
        "the policy did not come into force within {timeout} s, or will not without an edit; its conditions:{lines}"
    )
}

/// The API server's own words, which name the right or the admission policy that is in the way.
fn told(error: &kube::Error) -> String {
    bounded(&error.to_string())
}
