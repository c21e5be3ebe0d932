//! The second factors of a policy, as the settings page offers them.

use std::time::Duration;

use serde_json::json;

use crate::levels::{self, NAMESPACE};
use crate::{cluster, install};

pub fn second_factors() {
    levels::scene();
    let name = "methods";
    let mut spec = install::strict();
    spec["methods"] = json!({
        "totp": {"enabled": true, "issuer": "Example Corp"},
        "webauthn": {"enabled": true, "rp": {
            "id": "example.com",
            "displayName": "Example Keys",
            "origins": ["https://login.example.com", "https://example.com:8443"],
        }},
        "lookupSecret": {"enabled": true},
    });
    cluster::copy_of_kratos(NAMESPACE, name, 1, |_| {});
    cluster::kubectl(&["-n", NAMESPACE, "rollout", "status", "deployment/methods", "--timeout=420s"]);
    let admin = cluster::service(NAMESPACE, "kratos-admin");
    let public = cluster::service(NAMESPACE, "methods-public");
    let page = public.settings_page(&public.sign_in(&admin.create_person()));
    assert_eq!((page.status, page.relying_party()), (200, None), "no security keys before the policy");
    assert!(page.node("lookup_secret_regenerate").is_none(), "no recovery codes before the policy");

    cluster::apply(&cluster::policy(NAMESPACE, name, name, &spec));
    cluster::await_ready(NAMESPACE, name);
    for door in cluster::doors(NAMESPACE, name) {
        let person = admin.create_person();
        let session = door.sign_in(&person);
        let page = door.settings_page(&session);
        assert_eq!(page.relying_party(), Some(json!({"id": "example.com", "name": "Example Keys"})), "{}", door.name);
        assert!(page.node("lookup_secret_regenerate").is_some(), "{} offers no recovery codes", door.name);
        door.enrol(&session);
        assert_eq!(admin.issuer_of(&person), "Example Corp", "{}", door.name);
    }
    cluster::end_copy(NAMESPACE, name);
}

pub fn privileged_session() {
    levels::scene();
    let name = "privileged";
    let mut spec = install::strict();
    spec["privilegedSessionMaxAge"] = json!("59s1000ms");
    cluster::apply(&cluster::policy(NAMESPACE, name, name, &spec));
    cluster::copy_of_kratos(NAMESPACE, name, 1, |_| {});
    cluster::await_ready(NAMESPACE, name);
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    for door in cluster::doors(NAMESPACE, name) {
        let session = door.sign_in(&person);
        std::thread::sleep(Duration::from_secs(61));
        assert_eq!(door.change_password(&session).verdict(), "403 session_refresh_required", "{}", door.name);
    }
    cluster::end_copy(NAMESPACE, name);
}
