//! The verdict of a real API server under strict field validation, as kubectl asks for it.

use kube::Client;
use kube::api::{DeleteParams, PostParams};
use kube::core::Request;
use serde_json::Value;

use super::case::{Case, Verdict};
use crate::support::control_plane::{control_plane, create_namespace, install_definition};

pub struct Server {
    client: Client,
    policies: Request,
}

impl Server {
    pub async fn start() -> Self {
        let client = control_plane().client().await;
        install_definition(&client).await;
        let namespace = create_namespace(&client, "admission").await;
        Self {
            client,
            policies: Request::new(format!(
                "/apis/mfa-operator.dev/v1alpha1/namespaces/{namespace}/mfapolicies"
            )),
        }
    }

    /// Nothing of the case is left behind.
    pub async fn judge(&self, case: &Case) -> Verdict {
        let try_only = PostParams { dry_run: true, ..PostParams::default() };
        let body = |object: &Value| object.to_string().into_bytes();
        let Some(old) = &case.old else {
            return self
                .ask(self.policies.create(&try_only, body(&case.new)))
                .await
                .map_or_else(Verdict::Refused, |_| Verdict::Accepted);
        };
        let stored = self.ask(self.policies.create(&PostParams::default(), body(old))).await;
        let stored = stored.unwrap_or_else(|words| {
            panic!("{}: {}: the old object must be acceptable: {words}", case.topic, case.name)
        });
        let name = stored["metadata"]["name"].as_str().expect("what is stored has a name");
        let mut new = case.new.clone();
        new["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
        let verdict = self
            .ask(self.policies.replace(name, &try_only, body(&new)))
            .await
            .map_or_else(Verdict::Refused, |_| Verdict::Accepted);
        let deletion = self.policies.delete(name, &DeleteParams::default()).expect("a request can be built");
        self.client.request::<Value>(deletion).await.expect("what is stored can be deleted");
        verdict
    }

    /// The answer, or the words of the refusal.
    async fn ask<E: std::error::Error>(
        &self,
        request: Result<http::Request<Vec<u8>>, E>,
    ) -> Result<Value, String> {
        let mut request = request.expect("a request can be built");
        *request.uri_mut() =
            format!("{}&fieldValidation=Strict", request.uri()).parse().expect("it stays an address");
        match self.client.request::<Value>(request).await {
            Ok(answer) => Ok(answer),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(error) => panic!("the API server did not answer: {error}"),
        }
    }
}
