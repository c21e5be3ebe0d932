//! The definition as the API server takes it.

use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::Request;
use mfa_operator::api::{self, MfaPolicy};

use crate::support::control_plane::{control_plane, create_namespace, definition, install_definition};

/// The cost of the rules, unknown formats and fields that are no part of a definition: the API
/// server finds all of these when it is installed, and the client's own checks none.
#[tokio::test]
async fn it_installs_strictly_and_without_a_warning() {
    let client = control_plane().client().await;
    let strictly = PatchParams::apply("test").force().validation_strict();
    let request = Request::new("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        .patch(api::CRD_NAME, &strictly, &Patch::Apply(definition()))
        .expect("a request can be built");
    let response = client.send(request.map(Body::from)).await.expect("the API server answers");
    let warnings: Vec<_> = response.headers().get_all("warning").iter().collect();
    assert!(response.status().is_success() && warnings.is_empty(), "{} {warnings:?}", response.status());
}

#[tokio::test]
async fn it_becomes_established() {
    let client = control_plane().client().await;
    install_definition(&client).await;
    let served =
        client.list_api_group_resources("mfa-operator.dev/v1alpha1").await.expect("the group is served");
    let names: Vec<_> = served.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(names, ["mfapolicies", "mfapolicies/status"]);
    let policies = &served.resources[0];
    assert_eq!(policies.short_names.as_deref(), Some(&["mfap".to_owned()][..]));
    assert_eq!(
        policies.categories, None,
        "kubectl get all would list it, and Argo CD would see a difference for ever"
    );
}

/// kstatus takes an object without any status for one that is as it should be.
#[tokio::test]
async fn a_policy_that_nobody_has_looked_at_is_in_progress() {
    let client = control_plane().client().await;
    install_definition(&client).await;
    let namespace = create_namespace(&client, "unseen").await;
    let policy: MfaPolicy =
        serde_json::from_value(crate::objects::policy("mfa", &["kratos"])).expect("it is a policy");
    let created = Api::<MfaPolicy>::namespaced(client, &namespace)
        .create(&PostParams::default(), &policy)
        .await
        .expect("it is taken");
    assert_eq!(created.status.and_then(|status| status.observed_generation), Some(-1));
}
