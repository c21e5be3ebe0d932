//! The second factors of a policy, as the settings page offers them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::levels::{self, NAMESPACE};
use crate::{cluster, config_file, install};

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
        assert_eq!(
            page.relying_party(),
            Some(json!({"id": "example.com", "name": "Example Keys"})),
            "{}",
            door.name
        );
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

const KEPT: &str = "https://login.example.com";
const DROPPED: &str = "https://old.example.com";
const OLDER: &str = "https://older.example.com";

/// The server's own file names three origins, the policy less of them: no page of another one registers a
/// key.
pub fn dropped_origins(
    name: &'static str,
    deliver: impl FnOnce(Value) -> Value,
    wire: impl FnOnce(&mut Value),
) {
    levels::scene();
    let webauthn = json!({"enabled": true, "config": {"rp": {
        "id": "example.com", "display_name": "Example", "origins": [KEPT, DROPPED, OLDER],
    }}});
    let file = json!({"selfservice": {"methods": {"webauthn": webauthn}}}).to_string();
    let keys = format!("{name}-keys");
    cluster::apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": keys, "namespace": NAMESPACE}, "data": {"keys.yaml": file},
    }));
    let mut spec = deliver(install::strict());
    spec["acknowledge"] = json!(["RelyingPartyChanged:example.com"]);
    let state = |spec: &mut Value, origins: &[&str]| {
        let party = json!({"id": "example.com", "displayName": "Example", "origins": origins});
        spec["methods"] = json!({"webauthn": {"enabled": true, "rp": party}});
        cluster::apply(&cluster::policy(NAMESPACE, name, name, spec));
    };
    let admin = cluster::service(NAMESPACE, "kratos-admin");
    let takes = |origin: &str| {
        let door = cluster::doors(NAMESPACE, name).pop().expect("the Service");
        let (status, answer) = Browser::of(door.url(), &admin.create_person()).try_register_key(origin);
        // Which status a refusal has is up to the version.
        let refused = status >= 400 && answer.to_string().contains("Error validating origin");
        assert!(status == 200 || refused, "a key of {origin} answered {status}: {answer}");
        !refused
    };
    // The second item first, so that what the policy drops stood in its own list and in the file's.
    state(&mut spec, &[DROPPED, KEPT]);
    cluster::copy_of_kratos(NAMESPACE, name, 1, |deployment| {
        config_file::read_also(deployment, &keys, "/etc/keys", "keys.yaml");
        wire(deployment);
    });
    for (stated, kept) in [(vec![DROPPED, KEPT], [true, true, false]), (vec![KEPT], [true, false, false])] {
        state(&mut spec, &stated);
        cluster::await_ready(NAMESPACE, name);
        cluster::await_wanted(NAMESPACE, name);
        cluster::until(&format!("{stated:?} are what pages may be of"), cluster::LONG, || {
            let taken = [KEPT, DROPPED, OLDER].map(takes);
            if taken == kept { Ok(()) } else { Err(format!("{taken:?}")) }
        });
    }
    cluster::end_copy(NAMESPACE, name);
}

pub fn dropped_origins_by_variables() {
    dropped_origins("origins", |spec| spec, |_| {});
}

pub fn dropped_origins_by_a_file() {
    dropped_origins("origins-file", config_file::by_file, |deployment| {
        config_file::wire(deployment, "origins-file-mfa")
    });
}
