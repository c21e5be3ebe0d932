//! The objects that are measured with: Kratos workloads in the shape of Ory's chart, in two sizes,
//! and policies as people write them.

use futures::{AsyncBufReadExt, TryStreamExt};
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Request, WatchParams};
use mfa_operator::api as wire;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Result;
use crate::object::{Name, Object};

/// A kind by its path; requests go by it, so that answers are decoded no further than needed.
#[derive(Clone, Copy)]
pub struct Kind {
    root: &'static str,
    plural: &'static str,
}

pub const DEPLOYMENTS: Kind = Kind { root: "/apis/apps/v1", plural: "deployments" };
pub const REVISIONS: Kind = Kind { root: "/apis/apps/v1", plural: "controllerrevisions" };
pub const CONFIG_MAPS: Kind = Kind { root: "/api/v1", plural: "configmaps" };
pub const NAMESPACES: Kind = Kind { root: "/api/v1", plural: "namespaces" };
pub const POLICIES: Kind = Kind { root: "/apis/mfa-operator.dev/v1alpha1", plural: wire::PLURAL };

impl Kind {
    pub fn all(self) -> String {
        format!("{}/{}", self.root, self.plural)
    }

    fn inside(self, namespace: &str) -> Request {
        match namespace {
            "" => Request::new(self.all()),
            namespace => Request::new(format!("{}/namespaces/{namespace}/{}", self.root, self.plural)),
        }
    }

    pub async fn create(self, client: &Client, namespace: &str, body: &Value) -> Result<Object> {
        let params = PostParams { field_manager: Some("helm".into()), ..PostParams::default() };
        Ok(client.request(self.inside(namespace).create(&params, serde_json::to_vec(body)?)?).await?)
    }

    pub async fn merge(self, client: &Client, name: &Name, body: &Value) -> Result<Object> {
        self.patch(client, name, &PatchParams::default(), &Patch::Merge(body)).await
    }

    pub async fn apply(self, client: &Client, name: &Name, body: &Value) -> Result<Object> {
        self.patch(client, name, &PatchParams::apply("bare"), &Patch::Apply(body)).await
    }

    async fn patch<P: Serialize + std::fmt::Debug>(
        self,
        client: &Client,
        name: &Name,
        params: &PatchParams,
        patch: &Patch<P>,
    ) -> Result<Object> {
        Ok(client.request(self.inside(&name.namespace).patch(&name.name, params, patch)?).await?)
    }

    pub async fn apply_status(self, client: &Client, name: &Name, body: &Value) -> Result<Object> {
        let params = PatchParams::apply("bare").force();
        let request = self.inside(&name.namespace).patch_subresource(
            "status",
            &name.name,
            &params,
            &Patch::Apply(body),
        )?;
        Ok(client.request(request).await?)
    }

    /// Says in a workload's status that its generation is observed.
    pub async fn observe(self, client: &Client, name: &Name, generation: i64) -> Result<()> {
        let body = json!({"status": {"observedGeneration": generation}});
        let request = self.inside(&name.namespace).patch_subresource(
            "status",
            &name.name,
            &PatchParams::default(),
            &Patch::Merge(body),
        )?;
        let _: Object = client.request(request).await?;
        Ok(())
    }

    pub async fn get(self, client: &Client, name: &Name) -> Result<Value> {
        Ok(client
            .request(self.inside(&name.namespace).get(&name.name, &kube::api::GetParams::default())?)
            .await?)
    }

    /// Objects of a namespace that carry the label of `policy`.
    pub async fn of_policy(self, client: &Client, policy: &Name) -> Result<Vec<Value>> {
        let params =
            kube::api::ListParams::default().labels(&format!("{}={}", wire::POLICY_LABEL, policy.name));
        let mut list: Value = client.request(self.inside(&policy.namespace).list(&params)?).await?;
        Ok(serde_json::from_value(list["items"].take())?)
    }

    /// Receives every object by a streaming list.
    pub async fn receive_all(self, client: &Client) -> Result<()> {
        let params = WatchParams {
            send_initial_events: true,
            bookmarks: true,
            timeout: Some(290),
            ..WatchParams::default()
        };
        let mut lines = client.request_stream(Request::new(self.all()).watch(&params, "0")?).await?.lines();
        while let Some(line) = lines.try_next().await? {
            if line.starts_with(r#"{"type":"BOOKMARK""#) {
                return Ok(());
            }
        }
        Err(format!("the list of {} ended early", self.plural).into())
    }

    pub async fn delete(self, client: &Client, name: &Name) -> Result<()> {
        let params = DeleteParams::background();
        let _: Value = client.request(self.inside(&name.namespace).delete(&name.name, &params)?).await?;
        Ok(())
    }
}

/// Bytes of a pod template.
const SMALL: usize = 6 * 1_024;
const LARGE: usize = 40 * 1_024;

/// The workload of the policy with this number: every fifth is a large one.
pub fn deployment(index: usize, name: &Name) -> Value {
    let size = if index % 5 == 4 { LARGE } else { SMALL };
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name.name,
            "namespace": name.namespace,
            "labels": labels(&name.name),
            "annotations": {"meta.helm.sh/release-name": name.name, "meta.helm.sh/release-namespace": name.namespace},
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app.kubernetes.io/name": "kratos", "app.kubernetes.io/instance": name.name}},
            "template": template(&name.name, size),
        },
    })
}

fn labels(name: &str) -> Value {
    json!({
        "app.kubernetes.io/name": "kratos",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/version": "v1.3.1",
        "app.kubernetes.io/managed-by": "Helm",
    })
}

/// An eighth of what is missing to `size` becomes variables, whose owners are tracked each; the rest
/// an annotation.
fn template(name: &str, size: usize) -> Value {
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": 4434}, "initialDelaySeconds": 5, "periodSeconds": 10, "failureThreshold": 5});
    let mut template = json!({
        "metadata": {"labels": labels(name), "annotations": {"checksum/kratos-config": "5d41402abc4b2a76b9719d911017c592"}},
        "spec": {
            "serviceAccountName": "default",
            "initContainers": [{
                "name": "kratos-automigrate",
                "image": "docker.io/oryd/kratos:v1.3.1",
                "command": ["kratos"],
                "args": ["migrate", "sql", "-e", "--yes", "--config", "/etc/config/kratos.yaml"],
                "env": [{"name": "DSN", "valueFrom": {"secretKeyRef": {"name": name, "key": "dsn"}}}],
                "volumeMounts": [{"name": "kratos-config-volume", "mountPath": "/etc/config", "readOnly": true}],
            }],
            "containers": [{
                "name": "kratos",
                "image": "docker.io/oryd/kratos:v1.3.1",
                "command": ["kratos"],
                "args": ["serve", "all", "--config", "/etc/config/kratos.yaml"],
                "env": [
                    {"name": "DSN", "valueFrom": {"secretKeyRef": {"name": name, "key": "dsn"}}},
                    {"name": "SECRETS_DEFAULT", "valueFrom": {"secretKeyRef": {"name": name, "key": "secretsDefault"}}},
                    {"name": "SECRETS_COOKIE", "valueFrom": {"secretKeyRef": {"name": name, "key": "secretsCookie"}}},
                ],
                "ports": [{"name": "http-admin", "containerPort": 4434}, {"name": "http-public", "containerPort": 4433}],
                "livenessProbe": probe("/admin/health/alive"),
                "readinessProbe": probe("/admin/health/ready"),
                "startupProbe": probe("/admin/health/ready"),
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "volumeMounts": [{"name": "kratos-config-volume", "mountPath": "/etc/config", "readOnly": true}],
            }],
            "volumes": [{"name": "kratos-config-volume", "configMap": {"name": format!("{name}-config")}}],
        },
    });
    let missing = size.saturating_sub(template.to_string().len());
    if let Some(env) = template["spec"]["containers"][0]["env"].as_array_mut() {
        let value = "https://login.example.com/self-service/methods/";
        let each = json!({"name": "APPLICATION_SETTING_000", "value": value}).to_string().len() + 1;
        env.extend(
            (0..missing / 8 / each)
                .map(|number| json!({"name": format!("APPLICATION_SETTING_{number:03}"), "value": value})),
        );
    }
    let missing = size.saturating_sub(template.to_string().len() + 40);
    template["metadata"]["annotations"]["example.com/description"] = json!("word ".repeat(missing / 5));
    template
}

pub fn policy(name: &Name, target: &str, seconds: usize) -> Value {
    json!({
        "apiVersion": "mfa-operator.dev/v1alpha1",
        "kind": "MfaPolicy",
        "metadata": {"name": name.name, "namespace": name.namespace},
        "spec": {
            "targetRefs": [{"name": target}],
            "requiredAAL": {"settings": "highest_available", "whoami": "highest_available"},
            "privilegedSessionMaxAge": format!("{seconds}s"),
            "methods": {
                "totp": {"enabled": true, "issuer": "Example"},
                "webauthn": {"enabled": true, "rp": {"id": "example.com", "displayName": "Example", "origins": ["https://login.example.com"]}},
                "lookupSecret": {"enabled": true},
            },
        },
    })
}

/// A change of a policy that rolls its target.
pub fn change(seconds: usize) -> Value {
    json!({"spec": {"privilegedSessionMaxAge": format!("{seconds}s")}})
}

/// What the bare client applies to a workload: as many fields as the operator applies, with values
/// of the same length.
pub fn bare_deployment(name: &Name, number: usize) -> Value {
    let variables = [
        ("REVISION", format!("mfa-{number:010}")),
        ("SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE", format!("{number}s")),
        ("SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL", "highest_available".into()),
        ("SELFSERVICE_METHODS_LOOKUP_SECRET_ENABLED", "true".into()),
        ("SELFSERVICE_METHODS_TOTP_CONFIG_ISSUER", "Example".into()),
        ("SELFSERVICE_METHODS_TOTP_ENABLED", "true".into()),
        ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_DISPLAY_NAME", "Example".into()),
        ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ID", "example.com".into()),
        ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS", "https://login.example.com".into()),
        ("SELFSERVICE_METHODS_WEBAUTHN_ENABLED", "true".into()),
        ("SESSION_WHOAMI_REQUIRED_AAL", "highest_available".into()),
    ];
    let env: Vec<_> = variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name.name,
            "namespace": name.namespace,
            "labels": {"bare.example.com/policy": name.name},
            "annotations": {"bare.example.com/governed": "x".repeat(190)},
        },
        "spec": {"template": {"spec": {"containers": [{"name": "kratos", "env": env}]}}},
    })
}

pub fn bare_config_map(name: &Name, number: usize) -> Value {
    let file = format!(
        "# Number {number:010}, then as much as a policy becomes.\n{}",
        "selfservice: words\n".repeat(30)
    );
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name.name,
            "namespace": name.namespace,
            "labels": {"bare.example.com/policy": name.name},
            "annotations": {"bare.example.com/governed": "x".repeat(140)},
        },
        "data": {"kratos.yaml": file},
    })
}
