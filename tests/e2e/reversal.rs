//! What a policy leaves when it goes.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kratos::{AT_AAL1, PASSES, STEP_UP};
use crate::levels::{self, NAMESPACE};
use crate::{cluster, install};

const NAME: &str = "deleted";

pub fn deleted() {
    levels::scene();
    cluster::copy_of_kratos(NAMESPACE, NAME, 2, |_| {});
    cluster::apply(&cluster::policy(NAMESPACE, NAME, NAME, &install::strict()));
    cluster::await_ready(NAMESPACE, NAME);
    let public = cluster::service(NAMESPACE, &format!("{NAME}-public"));
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    public.enrol(&public.sign_in(&person));
    let session = public.sign_in(&person);
    assert_eq!(public.whoami(&session).verdict(), STEP_UP);

    let deleted = Instant::now();
    cluster::kubectl(&["-n", NAMESPACE, "delete", "mfapolicy", NAME]);
    let template = || cluster::get(NAMESPACE, &format!("deployment/{NAME}"))["spec"]["template"].to_string();
    while deleted.elapsed() < Duration::from_secs(25) {
        assert!(
            template().contains("SESSION_WHOAMI_REQUIRED_AAL"),
            "reverted after {:?}, within its pause",
            deleted.elapsed()
        );
        std::thread::sleep(Duration::from_secs(2));
    }
    cluster::until("the policy is reverted", cluster::LONG, || match template() {
        template if template.contains("REQUIRED_AAL") || template.contains("REVISION") => Err(template),
        _ => Ok(()),
    });
    cluster::kubectl(&[
        "-n",
        NAMESPACE,
        "rollout",
        "status",
        &format!("deployment/{NAME}"),
        "--timeout=420s",
    ]);
    for door in cluster::doors(NAMESPACE, NAME) {
        assert_eq!(door.whoami(&session).verdict(), AT_AAL1, "{}", door.name);
        assert_eq!(door.settings(&session).verdict(), PASSES, "{}", door.name);
    }
    cluster::until("nothing of the policy is left", cluster::LONG, || {
        let metadata = cluster::get(NAMESPACE, &format!("deployment/{NAME}"))["metadata"].clone();
        let map = cluster::get(NAMESPACE, &format!("configmap/{NAME}-mfa"));
        let left = metadata["labels"].to_string().contains("mfa-operator.dev")
            || metadata["annotations"].to_string().contains("mfa-operator.dev");
        if left || map != Value::Null { Err(format!("{metadata:#} {map:#}")) } else { Ok(()) }
    });
    cluster::end_copy(NAMESPACE, NAME);
}
