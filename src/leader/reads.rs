//! Bounds what is read of the API server: the size of an answer, and how many are held at once. Others write
//! what stands in them, and an answer takes more than what is stored: `<` becomes six bytes.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use hyper::{Request, Response};
use tokio::sync::Semaphore;
use tower::{BoxError, Layer, Service};

/// Bytes of an answer: more than any one object can take, of which 1.5 MiB are stored.
const LARGEST: usize = 12 * 1024 * 1024;
/// Answers that are held at once.
const AT_ONCE: usize = 4;

/// The layer to put around a client that reads. Watches are no answers: they bring one object at a time, for
/// as long as they last.
#[derive(Clone, Debug)]
pub struct Reads(Arc<Semaphore>);

impl Default for Reads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

#[derive(Clone, Debug)]
pub struct Bounded<S> {
    inner: S,
    places: Arc<Semaphore>,
}

impl<S> Layer<S> for Reads {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, places: self.0.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for Bounded<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<UnsyncBoxBody<Bytes, BoxError>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_watch = request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|pair| pair.starts_with("watch=")));
        let places = self.places.clone();
        // It is sent when it is polled.
        let answer = self.inner.call(request);
        async move {
            if is_watch {
                return Ok(answer
                    .await
                    .map_err(Into::into)?
                    .map(|body| body.map_err(Into::into).boxed_unsync()));
            }
            let place = places.acquire_owned().await?;
            let answer = answer.await.map_err(Into::into)?;
            Ok(answer.map(|body| {
                // Its place is free when the body is dropped.
                let held = move |frame| {
                    let _ = &place;
                    frame
                };
                Limited::new(body, LARGEST).map_frame(held).boxed_unsync()
            }))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http_body_util::{Full, LengthLimitError};
    use kube::Client;
    use kube::client::Body as KubeBody;
    use tower::{ServiceExt, service_fn};

    use super::*;

    /// A server that answers so many bytes to whatever it is asked.
    fn answering(
        bytes: usize,
    ) -> impl Service<Request<()>, Response = Response<UnsyncBoxBody<Bytes, BoxError>>, Error = BoxError> + Clone
    {
        let answer = move |_| async move {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b' '; bytes]))))
        };
        Reads::default().layer(service_fn(answer))
    }

    fn asking(path: &str) -> Request<()> {
        Request::get(path).body(()).expect("a request")
    }

    #[tokio::test]
    async fn so_many_answers_are_held_at_once_and_no_more() {
        let server = answering(1);
        let ask = |path: &str| server.clone().oneshot(asking(path));
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(ask("/api/v1/pods?limit=8").await.expect("an answer"));
        }
        let one_more = ask("/api/v1/namespaces/a/configmaps/b");
        let mut one_more = std::pin::pin!(one_more);
        let waits = tokio::time::timeout(Duration::from_millis(50), &mut one_more).await;
        assert!(waits.is_err(), "it waits");
        ask("/api/v1/pods?limit=8&watch=true").await.expect("a watch waits for nobody");
        held.pop();
        let bytes =
            one_more.await.expect("there is a place").into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(bytes.len(), 1);
    }

    #[tokio::test]
    async fn an_answer_beyond_all_measure_is_not_read() {
        let whole = answering(LARGEST).oneshot(asking("/")).await.expect("an answer");
        assert_eq!(whole.into_body().collect().await.expect("it is read").to_bytes().len(), LARGEST);
        let answer = |_: Request<KubeBody>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b' '; LARGEST + 1]))))
        };
        let client = Client::new(Reads::default().layer(service_fn(answer)), "default");
        let read = client.request_text(Request::get("/").body(Vec::new()).expect("a request")).await;
        let error = read.expect_err("it is not read");
        assert!(matches!(&error, kube::Error::Service(error) if error.is::<LengthLimitError>()), "{error:?}");
    }
}
