//! Cases of `cluster`.

use super::*;
use hyper::{Request, Response};
use kube::client::Body;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Barrier;

#[tokio::test]
async fn policies_are_looked_at_together_and_stay_in_order() {
    // Nobody is answered before so many ask.
    let all = Arc::new(Barrier::new(AT_ONCE));
    let answer = tower::service_fn(move |_: Request<Body>| {
        let all = all.clone();
        async move {
            all.wait().await;
            let list = json!({"apiVersion": "apps/v1", "kind": "ControllerRevisionList", "metadata": {}, "items": []});
            Ok::<_, std::io::Error>(Response::new(Body::from(list.to_string().into_bytes())))
        }
    });
    let cluster = Cluster {
        client: Client::new(answer, "identity"),
        namespace: "identity".into(),
        server: String::new(),
    };
    let names: Vec<_> = (0..2 * AT_ONCE).map(|number| format!("policy-{number}")).collect();
    let stored =
        names.iter().map(|name| json!({"metadata": {"namespace": "identity", "name": name}})).collect();
    let overview = tokio::time::timeout(PATIENCE, cluster.with_what_belongs(stored))
        .await
        .expect("an end")
        .expect("answers");
    assert_eq!(
        overview.policies.iter().map(|policy| &policy.name).collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>()
    );
}

#[test]
fn what_may_not_be_read_is_noted_once() {
    let mut not_seen = Vec::new();
    ["pods", "deployments", "pods"].into_iter().for_each(|what| note(&mut not_seen, what.into()));
    assert_eq!(not_seen, ["pods", "deployments"]);
}
