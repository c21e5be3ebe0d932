//! The scene of the guides: two Kratos on one database, governed by the policies of docs/step-up.md as they
//! stand there. One takes every session, the other demands the second factor; a third, ungoverned, makes
//! security keys a first factor.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::kratos::Door;
use crate::markdown::{self, Page};
use crate::{cluster, install};

const NAMESPACE: &str = "e2e-guides";
/// The tests that share the scene.
const GUIDES: usize = 2;
pub const ORIGIN: &str = "https://login.example.com";

/// Where people sign in and pair their factors.
pub fn people() -> Door {
    cluster::service(NAMESPACE, "kratos-public")
}

/// Who demands the second factor of those who have one.
pub fn judge() -> Door {
    cluster::service(NAMESPACE, "kratos-step-up-public")
}

/// Where a security key replaces the password.
pub fn passwordless() -> Door {
    cluster::service(NAMESPACE, "kratos-passwordless-public")
}

pub fn admin() -> Door {
    cluster::service(NAMESPACE, "kratos-admin")
}

/// What the query answers, each row as its columns.
pub fn query(sql: &str) -> Vec<Vec<String>> {
    let bed = || format!("postgres://postgres@10.244.0.1/kratos_{}", NAMESPACE.replace('-', "_"));
    // Kratos' own parameters stand behind the question mark.
    let dsn = std::env::var("MFA_OPERATOR_TEST_DSN")
        .map_or_else(|_| bed(), |dsn| dsn.split('?').next().unwrap_or_default().into());
    let answer = cluster::run("psql", &[&dsn, "-qAt", "-F", "|", "-v", "ON_ERROR_STOP=1", "-c", sql]);
    answer.lines().map(|row| row.split('|').map(str::to_owned).collect()).collect()
}

pub fn guide(name: &str) -> Page {
    markdown::page(&Path::new("docs").join(name))
}

pub fn scene() {
    static SCENE: OnceLock<()> = OnceLock::new();
    SCENE.get_or_init(|| {
        install::operator();
        install::begin(NAMESPACE);
        let page = guide("step-up.md");
        let mut config: Value = serde_yaml::from_str(page.file("kratos.yaml")).expect("it is YAML");
        let rp = json!({"id": "example.com", "display_name": "Example", "origins": [ORIGIN]});
        config["selfservice"]["methods"]["webauthn"] = json!({"enabled": true, "config": {"rp": rp}});
        let config = format!("kratos.config={config}");
        cluster::kratos("helm", NAMESPACE, 1, &["--set", "courier.enabled=false", "--set-json", &config]);
        // Before any policy: a copy takes the variables along.
        cluster::copy_of_kratos(NAMESPACE, "kratos-step-up", 1, |_| {});
        cluster::copy_of_kratos(NAMESPACE, "kratos-passwordless", 1, |deployment| {
            let variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut();
            let first_factor =
                json!({"name": "SELFSERVICE_METHODS_WEBAUTHN_CONFIG_PASSWORDLESS", "value": "true"});
            variables.expect("a list").push(first_factor);
        });
        let policies = policies(&page);
        assert_eq!(policies.len(), 2, "one policy for each of the two");
        for policy in &policies {
            cluster::apply(policy);
        }
        for policy in policies {
            cluster::await_ready(NAMESPACE, policy["metadata"]["name"].as_str().expect("a name"));
        }
        cluster::await_wanted(NAMESPACE, "kratos-passwordless");
    });
}

/// The last guide that ends lets the scene go.
pub fn end() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    if ENDED.fetch_add(1, Ordering::Relaxed) + 1 == GUIDES {
        install::end(NAMESPACE);
    }
}

/// Those of the guide, in the namespace of the test.
fn policies(page: &Page) -> Vec<Value> {
    let blocks = page.blocks.iter().filter(|block| block.text.contains("kind: MfaPolicy"));
    let documents = blocks.flat_map(|block| serde_yaml::Deserializer::from_str(&block.text));
    let policies = documents.map(|document| Value::deserialize(document).expect("it is YAML"));
    policies
        .map(|mut policy| {
            policy["metadata"]["namespace"] = json!(NAMESPACE);
            policy
        })
        .collect()
}
