//! A proxy between an operator and the API server, which says what was asked for, holds watches back, and
//! hands an object over as a newer API might: with a field of another type. The API server itself never does
//! that, today.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::json;
use tokio::sync::{Notify, oneshot};

use crate::support::control_plane::{ControlPlane, client};

/// Whatever carries this annotation cannot be read by the operator.
pub const BROKEN: (&str, &str) = ("mfa-operator.dev/allow", "broken");

pub struct Between {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    /// It serves until this goes.
    _end: oneshot::Sender<()>,
}

#[derive(Default)]
struct Shared {
    /// What watches of this kind bring stays on its way.
    held: Mutex<Option<&'static str>>,
    /// The code that so many requests are answered.
    answers: Mutex<(u16, usize)>,
    /// Of paths that end so nothing can be read.
    failing: Mutex<Option<&'static str>>,
    /// Whose credentials requests have instead of the right ones.
    stranger: Mutex<Option<Client>>,
    /// Ends all watches that there are.
    cut: Notify,
    lists: Mutex<Vec<List>>,
}

/// A list that was asked for.
#[derive(Clone, Debug)]
pub struct List {
    pub path: String,
    pub accept: String,
    /// Of the answer.
    pub bytes: usize,
}

impl Between {
    pub fn to(plane: &ControlPlane) -> Self {
        let shared = Arc::<Shared>::default();
        let (tell, told) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let direct = std::fs::read_to_string(plane.folder().join("kubeconfig")).expect("a kubeconfig");
        let (state, folder) = (shared.clone(), plane.folder().to_owned());
        // Tests block the thread that they run on.
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                tell.send(listener.local_addr().expect("it has an address")).expect("somebody listens");
                let router = Router::new().fallback(carry).with_state((state, client(&folder).await));
                tokio::select! {
                    served = axum::serve(listener, router) => served.expect("it serves"),
                    _ = ended => {}
                }
            });
        });
        let near = told.recv().expect("it begins");
        let (_, server) = direct.split_once("https://").expect("it names its server");
        let server = &server[..server
            .find(|character: char| !(character.is_ascii_digit() || ".:".contains(character)))
            .unwrap_or(server.len())];
        let kubeconfig =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("between-{}.kubeconfig", near.port()));
        std::fs::write(&kubeconfig, direct.replace(&format!("https://{server}"), &format!("http://{near}")))
            .expect("it can be written");
        Self { shared, kubeconfig, _end: end }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What watches bring whose path ends so waits for [`Between::let_go`] from now on.
    pub fn hold(&self, path: &'static str) {
        *self.shared.held.lock().expect("nobody panics") = Some(path);
    }

    pub fn let_go(&self) {
        *self.shared.held.lock().expect("nobody panics") = None;
    }

    /// So many requests are answered so from now on; of watches, what cannot be of anything else.
    pub fn answer(&self, code: u16, times: usize) {
        *self.shared.answers.lock().expect("nobody panics") = (code, times);
        if code == 410 {
            self.cut();
        }
    }

    /// The API server fails at whatever is read whose path ends so, or at nothing any more.
    pub fn fail(&self, path: Option<&'static str>) {
        *self.shared.failing.lock().expect("nobody panics") = path;
    }

    /// Requests have these credentials from now on, or the right ones again.
    pub fn present(&self, stranger: Option<Client>) {
        *self.shared.stranger.lock().expect("nobody panics") = stranger;
        self.cut();
    }

    /// Ends every watch.
    pub fn cut(&self) {
        self.shared.cut.notify_waiters();
    }

    /// Every list, those that watches begin with aside, whose answer is complete.
    pub fn lists(&self) -> Vec<List> {
        self.shared.lists.lock().expect("nobody panics").clone()
    }
}

impl Shared {
    fn holds(&self, path: &str) -> bool {
        self.held.lock().expect("nobody panics").is_some_and(|held| path.ends_with(held))
    }

    /// What a request is answered without being asked; one for a version that is gone comes of a watch or a
    /// list alone, a conflict of a write.
    fn answer(&self, method: &Method, path: &str) -> Option<Response> {
        let fails =
            self.failing.lock().expect("nobody panics").is_some_and(|failing| path.ends_with(failing));
        if fails && *method == Method::GET {
            return Some(status(500, "InternalError"));
        }
        let mut answers = self.answers.lock().expect("nobody panics");
        let (code, left) = &mut *answers;
        let reason = match (*code, *method == Method::GET) {
            (409, false) => "Conflict",
            (410, true) => "Expired",
            (429, _) => "TooManyRequests",
            (503, _) => "ServiceUnavailable",
            _ => return None,
        };
        *left = left.checked_sub(1)?;
        Some(status(*code, reason))
    }
}

fn status(code: u16, reason: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code});
    let answer = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    answer.body(Body::from(status.to_string())).expect("an answer")
}

impl Drop for Between {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

async fn carry(State((shared, far)): State<(Arc<Shared>, Client)>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Some(answer) = shared.answer(&parts.method, parts.uri.path()) {
        return answer;
    }
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let is_watch = query.contains("watch=true");
    let path = parts.uri.path().to_owned();
    let accept = parts
        .headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let is_list = parts.method == "GET" && query.contains("limit=");
    for own in [header::HOST, header::CONTENT_LENGTH, header::ACCEPT_ENCODING] {
        parts.headers.remove(own);
    }
    let body = body.collect().await.expect("the operator sends all of it").to_bytes().to_vec();
    let far = shared.stranger.lock().expect("nobody panics").clone().unwrap_or(far);
    let answer = match far.send(Request::from_parts(parts, kube::client::Body::from(body))).await {
        Ok(answer) => answer,
        Err(error) => {
            let answer =
                Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::from(error.to_string()));
            return answer.expect("an answer");
        }
    };
    let mut response = Response::builder().status(answer.status());
    if let Some(type_) = answer.headers().get(header::CONTENT_TYPE) {
        response = response.header(header::CONTENT_TYPE, type_);
    }
    let body = answer.into_body();
    let body = if is_watch {
        let lines = body.into_data_stream().map_err(std::io::Error::other).map_ok(|bytes| bytes.to_vec());
        let whole = futures::stream::unfold(
            (lines, Vec::new(), shared, path),
            |(mut lines, mut rest, shared, path): (_, Vec<u8>, Arc<Shared>, String)| async move {
                let is_cut = shared.clone();
                let mut cut = std::pin::pin!(is_cut.cut.notified());
                let line = loop {
                    if let Some(end) = rest.iter().position(|byte: &u8| *byte == b'\n') {
                        break rest.drain(..=end).collect::<Vec<_>>();
                    }
                    let next = tokio::select! {
                        next = lines.next() => next?,
                        () = &mut cut => Err(std::io::Error::other("it is cut")),
                    };
                    match next {
                        Ok(bytes) => rest.extend(bytes),
                        Err(error) => return Some((Err(error), (lines, rest, shared, path))),
                    }
                };
                while shared.holds(&path) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Some((Ok(altered(line)), (lines, rest, shared, path)))
            },
        );
        Body::from_stream(whole)
    } else {
        let bytes = body.collect().await.map(|whole| whole.to_bytes().to_vec()).unwrap_or_default();
        if is_list {
            shared.lists.lock().expect("nobody panics").push(List { path, accept, bytes: bytes.len() });
        }
        Body::from(altered(bytes))
    };
    response.body(body).expect("an answer")
}

fn altered(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(bytes).expect("the API server writes text");
    let (key, value) = BROKEN;
    text.replace(&format!("\"{key}\":\"{value}\""), &format!("\"{key}\":[\"{value}\"]")).into_bytes()
}
