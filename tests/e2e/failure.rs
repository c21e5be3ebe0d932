//! A policy that this Kratos refuses: the old pods serve on, it is told, and the correction does not wait.

use std::time::Instant;

use serde_json::json;

use crate::kratos::{AT_AAL1, STEP_UP};
use crate::{cluster, install};

const NAMESPACE: &str = "e2e-failure";

pub fn crash() {
    install::operator();
    install::begin(NAMESPACE);
    // Kratos refuses a code as second factor where it is a first one.
    cluster::apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
    let variable = format!("deployment.extraEnv=[{}]", cluster::code_is_first_factor(NAMESPACE));
    cluster::kratos("helm", NAMESPACE, 2, &["--set", "courier.enabled=false", "--set-json", &variable]);
    let public = cluster::service(NAMESPACE, "kratos-public");
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    public.enrol(&public.sign_in(&person));
    let session = public.sign_in(&person);
    let old = cluster::uids(NAMESPACE, "kratos");

    let mut spec = cluster::code_as_second_factor(install::strict());
    // On a busy machine the way back is over before anybody looked.
    spec["rollout"] = json!({"onFailure": "Hold"});
    cluster::apply(&cluster::policy(NAMESPACE, "kratos", "kratos", &spec));
    cluster::await_condition(NAMESPACE, "kratos", ("RolledOut", "False", "Crashing"));
    let serving: std::collections::BTreeSet<_> =
        cluster::pods(NAMESPACE, "kratos").into_iter().filter(|pod| pod.ready).map(|pod| pod.uid).collect();
    assert_eq!(serving, old, "the old pods serve on");
    for door in cluster::doors(NAMESPACE, "kratos") {
        assert_eq!(door.whoami(&session).verdict(), AT_AAL1, "{}", door.name);
    }
    let status = cluster::get(NAMESPACE, "mfapolicy/kratos")["status"].clone();
    assert_ne!(
        status["requiredAAL"]["whoami"], "highest_available",
        "the status tells what the pods run: {status:#}"
    );

    let mut spec = install::strict();
    spec["acknowledge"] = json!(["MethodSwitchedOff:code"]);
    let corrected = Instant::now();
    cluster::apply(&cluster::policy(NAMESPACE, "kratos", "kratos", &spec));
    cluster::until("the correction is written", cluster::LONG, || {
        let variables =
            cluster::get(NAMESPACE, "deployment/kratos")["spec"]["template"]["spec"]["containers"][0]["env"]
                .to_string();
        if variables.contains("CODE_MFA_ENABLED") {
            Err(format!("after {:?}: {variables}", corrected.elapsed()))
        } else {
            Ok(())
        }
    });
    cluster::await_ready(NAMESPACE, "kratos");
    for door in cluster::doors(NAMESPACE, "kratos") {
        assert_eq!(door.whoami(&session).verdict(), STEP_UP, "{}", door.name);
    }
    install::end(NAMESPACE);
}
