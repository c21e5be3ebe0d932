//! Writes to the API server are counted where they leave the client, so that none is forgotten. What the
//! operator's own confinement refuses is told apart by the words of the refusal.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as Streams, Bytes};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tower::{BoxError, Layer, Service};

use super::Metrics;
use super::table::RESOURCES;

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
    S::Error: Into<BoxError>,
    R: Streams<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Answer>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // A dry run writes nothing, whatever comes of it.
        let is_dry = request.uri().query().is_some_and(|query| query.contains("dryRun="));
        let verb = verb(request.method(), request.headers()).filter(|_| !is_dry);
        let (resource, metrics) = (resource(request.uri().path()), self.metrics.clone());
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await.map_err(Into::into);
            let Some(verb) = verb else { return answer.map(|answer| answer.map(streamed)) };
            metrics.wrote(resource, verb, answer.as_ref().map_or("error", |answer| result(answer.status())));
            let (head, body) = answer?.into_parts();
            if head.status != StatusCode::FORBIDDEN {
                return Ok(Response::from_parts(head, streamed(body)));
            }
            let words = Limited::new(body, MAX_REFUSAL).collect().await?.to_bytes();
            if is_by_confinement(&String::from_utf8_lossy(&words)) {
                metrics.confined(resource);
            }
            Ok(Response::from_parts(head, streamed(Full::new(words))))
        }
        .boxed()
    }
}

type Answer = UnsyncBoxBody<Bytes, BoxError>;

fn streamed(body: impl Streams<Data = Bytes, Error: Into<BoxError>> + Send + 'static) -> Answer {
    body.map_err(Into::into).boxed_unsync()
}

/// More than any Status of a refusal, in bytes.
const MAX_REFUSAL: usize = 256 * 1024;

/// Whether these are the words of an API server that refuses by the policy that the chart calls confinement.
#[must_use]
pub fn is_by_confinement(words: &str) -> bool {
    words
        .split("ValidatingAdmissionPolicy '")
        .skip(1)
        .any(|rest| rest.split('\'').next().is_some_and(|name| name.ends_with("-confinement")))
}

/// None for what reads.
fn verb(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let applies = || {
        headers
            .get(CONTENT_TYPE)
            .is_some_and(|type_| type_.as_bytes().starts_with(b"application/apply-patch"))
    };
    Some(match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::DELETE => "delete",
        Method::PATCH if applies() => "apply",
        Method::PATCH => "patch",
        _ => return None,
    })
}

/// From `/apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/SUBRESOURCE`.
fn resource(path: &str) -> &'static str {
    let mut rest = path.split('/').skip_while(|part| *part != "namespaces").skip(2);
    let (first, below) = (rest.next().unwrap_or_default(), rest.nth(1));
    let is = |resource: &&str| match resource.split_once('/') {
        None => *resource == first && below.is_none(),
        Some((resource, subresource)) => resource == first && below == Some(subresource),
    };
    RESOURCES.into_iter().find(is).unwrap_or("other")
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
            (
                "/apis/mfa-operator.dev/v1alpha1/namespaces/identity/mfapolicies/kratos/status",
                "mfapolicies/status",
            ),
            ("/api/v1/namespaces/namespaces/configmaps", "configmaps"),
            ("/api/v1/namespaces/pods/secrets/pods", "other"),
            ("/apis/apps/v1/namespaces/identity/deployments/kratos/scale", "other"),
            ("/apis/coordination.k8s.io/v1/namespaces/mfa-operator/leases/mfa-operator", "leases"),
            ("/apis/mfa-operator.dev/v1alpha1/namespaces/identity/mfapolicies/kratos", "other"),
            ("/version", "other"),
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }

    #[test]
    fn a_refusal_names_who_refuses() {
        let words = |name: &str| {
            format!(
                "pods \"a\" is forbidden: ValidatingAdmissionPolicy '{name}' with binding 'b' denied request: c"
            )
        };
        assert!(is_by_confinement(&words("mfa-operator-confinement")));
        for other in ["mfa-operator-history", "confinement-of-others", "x"] {
            assert!(!is_by_confinement(&words(other)), "{other}");
        }
        assert!(!is_by_confinement("leases.coordination.k8s.io is forbidden: User cannot create resource"));
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
