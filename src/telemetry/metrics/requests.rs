//! Writes to the API server are counted where they leave the client, so that none is forgotten.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use futures::future::{BoxFuture, Either, FutureExt};
use tower::{Layer, Service};

use super::Metrics;

/// The layer to put around a client.
#[derive(Clone, Debug)]
pub struct Writes(pub Arc<Metrics>);

#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S> Layer<S> for Writes {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(verb) = verb(request.method(), request.headers()) else { return Either::Left(self.inner.call(request)) };
        let (resource, metrics) = (resource(request.uri().path()), self.metrics.clone());
        let answer = self.inner.call(request);
        Either::Right(
            async move {
                let answer = answer.await;
                metrics.wrote(resource, verb, answer.as_ref().map_or("error", |answer| result(answer.status())));
                answer
            }
            .boxed(),
        )
    }
}

/// None for what reads.
fn verb(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let applies = || headers.get(CONTENT_TYPE).is_some_and(|type_| type_.as_bytes().starts_with(b"application/apply-patch"));
    Some(match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::DELETE => "delete",
        Method::PATCH if applies() => "apply",
        Method::PATCH => "patch",
        _ => return None,
    })
}

/// Whatever this operator writes; names of objects are never among it.
const RESOURCES: [&str; 8] =
    ["deployments", "statefulsets", "daemonsets", "configmaps", "controllerrevisions", "mfapolicies", "pods", "events"];

/// From `/apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/SUBRESOURCE`.
fn resource(path: &str) -> &'static str {
    let mut rest = path.split('/').skip_while(|part| *part != "namespaces").skip(2);
    let found = rest.next().and_then(|part| RESOURCES.into_iter().find(|resource| *resource == part));
    match (found, rest.nth(1)) {
        (Some("mfapolicies"), Some("status")) => "mfapolicies/status",
        (Some(resource), None) => resource,
        _ => "other",
    }
}

fn result(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "done",
        404 => "gone",
        409 => "conflict",
        400..=499 => "refused",
        _ => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_resource() {
        for (path, expected) in [
            ("/apis/apps/v1/namespaces/identity/deployments/kratos", "deployments"),
            ("/apis/mfa-operator.dev/v1alpha1/namespaces/identity/mfapolicies/kratos/status", "mfapolicies/status"),
            ("/api/v1/namespaces/namespaces/configmaps", "configmaps"),
            ("/api/v1/namespaces/pods/secrets/pods", "other"),
            ("/apis/apps/v1/namespaces/identity/deployments/kratos/scale", "other"),
            ("/version", "other"),
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }

    #[test]
    fn reads_are_not_counted() {
        let mut headers = HeaderMap::new();
        assert_eq!(verb(&Method::GET, &headers), None);
        assert_eq!(verb(&Method::PATCH, &headers), Some("patch"));
        headers.insert(CONTENT_TYPE, "application/apply-patch+yaml".parse().expect("a header"));
        assert_eq!(verb(&Method::PATCH, &headers), Some("apply"));
    }
}
