//! What a token of the operator's account is worth that is of no pod of its own.

use serde_json::json;

use crate::objects::{WHOAMI, env_patch};
use crate::stage::{POD, Person};
use crate::stolen::{by_pod, everywhere, held, is_confined, lease, map};
use crate::support::control_plane::control_plane;

/// Whoever may make tokens in the namespace has one for a pod that is there; every other token is worth
/// nothing.
#[tokio::test]
async fn a_token_that_is_of_no_pod_is_worth_nothing() {
    let stage = everywhere("minted").await;
    let plane = control_plane();
    let minted = Person::with_the_token_of(plane, &stage.namespace, &stage.namespace, None).await;
    let name = format!("{}-token", stage.namespace);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": stage.namespace}},
    });
    stage.admin.create(secret).await.expect("the admin may");
    let mut lasting = None;
    stage
        .until("the Secret has a token", async || {
            let found = stage.admin.get("Secret", &name).await;
            let token = found["data"]["token"].as_str().ok_or("it has none")?;
            lasting = Some(String::from_utf8(decoded(token)).expect("a token is text"));
            Ok(())
        })
        .await;
    let lasting = Person::with(plane, &stage.namespace, &lasting.expect("a token")).await;
    for (whose, person) in [("minted for no pod", minted), ("of a Secret", lasting)] {
        for (what, answer) in [
            ("leads", person.create(lease(&stage, held(&by_pod(), 15))).await.map(drop)),
            ("gives the Lease away", person.create(lease(&stage, held("", 15))).await.map(drop)),
            (
                "lowers a level",
                person.patch("Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await.map(drop),
            ),
            ("makes a file", person.create(map("mfa-mfa", json!({"kratos.yaml": "{}\n"}))).await.map(drop)),
            (
                "says how a policy is",
                person.patch_status("MfaPolicy", "mfa", json!({"observedGeneration": 1})).await.map(drop),
            ),
        ] {
            is_confined(&format!("{whose}: {what}"), answer, "this one names none").expect("it is refused");
        }
    }
    // As docs/security.md says of whoever may do that.
    let pods = Person::with_the_token_of(plane, &stage.namespace, &stage.namespace, Some(POD)).await;
    pods.create(lease(&stage, held(&by_pod(), 15)))
        .await
        .expect("a token for a pod that is there is as good as its own");
    stage.admin.delete("Pod", POD).await.expect("the admin may");
    stage
        .until("a token goes with its pod", async || {
            let status = pods.patch("Lease", &stage.namespace, json!({"spec": held("", 15)})).await;
            match status {
                Err(status) if status.code == 401 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
}

/// Of the RFC's alphabet, without a library for the one token.
fn decoded(base64: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let letters: Vec<_> = base64.bytes().filter(|letter| *letter != b'=').map(value).collect();
    let bits = letters.chunks(4).flat_map(|four| {
        let number = four.iter().fold(0_u32, |all, six| all << 6 | u32::from(*six)) << (6 * (4 - four.len()));
        number.to_be_bytes()[1..four.len()].to_vec()
    });
    bits.collect()
}
