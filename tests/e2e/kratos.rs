//! A client of Kratos' JSON API, as an application would be one: bounded in time, and it tells what it saw.
//! The tests and the story of `make demo` share it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

const CALL: Duration = Duration::from_secs(10);
/// A Service may lead to a pod that is just ending; an application would try again, too.
const PATIENCE: Duration = Duration::from_secs(40);
pub const PASSWORD: &str = "correct horse battery staple";

/// What an application sees that may pass.
pub const PASSES: &str = "200";
pub const AT_AAL1: &str = "200 aal1";
pub const AT_AAL2: &str = "200 aal2";
/// What it sees when the second factor is missing.
pub const STEP_UP: &str = "403 session_aal2_required";

/// Kratos does not start where this is true and a code is a second factor, too. Set from a Secret, which
/// the operator does not read, it makes such a policy crash; written out, the policy would be refused first.
pub const CODE_IS_FIRST_FACTOR: &str = "SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED";

/// One of Kratos' two APIs, at a pod or at a Service.
pub struct Door {
    pub name: String,
    url: String,
    agent: ureq::Agent,
}

/// An identity, its password known.
#[derive(Clone)]
pub struct Person {
    pub id: String,
    pub email: String,
}

/// A session token of a native app.
pub struct Session(pub String);

/// What an authenticator app knows.
pub struct Authenticator(totp_rs::Totp);

/// What a call answered.
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Door {
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(CALL))
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A connection that is kept open sticks to one pod behind a Service.
            .max_idle_connections(0)
            .build();
        Self { name: name.into(), url: url.into(), agent: config.into() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Admin API: an identity with a password.
    pub fn create_person(&self) -> Person {
        let email = format!("person-{}@example.com", unique());
        let answer = self.post(
            "/admin/identities",
            None,
            &json!({
                "schema_id": "default",
                "traits": {"email": email},
                "credentials": {"password": {"config": {"password": PASSWORD}}},
            }),
        );
        assert_eq!(answer.status, 201, "{}: creating an identity answered {}", self.name, answer.body);
        Person { id: text(&answer.body["id"]), email }
    }

    /// Admin API: whether it answers the revision of a policy, and no digest: Kratos does from 25.4 on.
    pub fn answers_the_revision(&self) -> bool {
        let answer = self.get("/admin/version", None);
        let version = answer.body["version"].as_str().unwrap_or_default().trim_start_matches('v');
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
        let mut parts = version.split('.');
        match (number(parts.next()), number(parts.next())) {
            (Some(major), Some(minor)) => (major, minor) >= (25, 4),
            _ => panic!("{}: no version but {}", self.name, answer.body),
        }
    }

    /// Admin API: the name that the person's authenticator app shows. It stands in the link's label before
    /// the account; in its query, too, but there this Kratos leaves `&` and `+` as they are.
    pub fn issuer_of(&self, person: &Person) -> String {
        let answer = self.get(&format!("/admin/identities/{}?include_credential=totp", person.id), None);
        let url = text(&answer.body["credentials"]["totp"]["config"]["totp_url"]);
        let label = url
            .strip_prefix("otpauth://totp/")
            .and_then(|rest| rest.split_once('?'))
            .map(|(label, _)| percent_decoded(label));
        let issuer = label.as_deref().and_then(|label| label.strip_suffix(&format!(":{}", person.email)));
        issuer.unwrap_or_else(|| panic!("{}: no issuer in {url}", self.name)).to_owned()
    }

    /// Admin API: takes a second factor away, as a help desk does.
    pub fn remove_factor(&self, person: &Person, factor: &str) {
        let answer = self
            .agent
            .delete(format!("{}/admin/identities/{}/credentials/{factor}", self.url, person.id))
            .call();
        let status = answer.map(|answer| answer.status().as_u16());
        assert!(matches!(status, Ok(204)), "{}: removing {factor} answered {status:?}", self.name);
    }

    pub fn sign_in(&self, person: &Person) -> Session {
        let flow = self.get("/self-service/login/api", None);
        let body = json!({"method": "password", "identifier": person.email, "password": PASSWORD});
        let answer = self.submit(&flow, None, &body);
        assert_eq!(answer.status, 200, "{}: signing in answered {}", self.name, answer.body);
        Session(text(&answer.body["session_token"]))
    }

    /// Signs in without a second try; the error tells of no answer, or of one that no client can use.
    pub fn try_sign_in(&self, person: &Person) -> Result<(), String> {
        let flow = self.once("/self-service/login/api", None, None)?;
        let action = flow.body["ui"]["action"].as_str().unwrap_or_default();
        let path = action.find("/self-service").map(|start| &action[start..]);
        let body = json!({"method": "password", "identifier": person.email, "password": PASSWORD});
        self.once(path.ok_or_else(|| format!("no flow but {}", flow.status))?, None, Some(&body)).map(drop)
    }

    /// Asks whoami without a second try, likewise.
    pub fn try_whoami(&self, session: &Session) -> Result<(), String> {
        self.once("/sessions/whoami", Some(session), None).map(drop)
    }

    fn once(&self, path: &str, session: Option<&Session>, body: Option<&Value>) -> Result<Answer, String> {
        let url = format!("{}{path}", self.url);
        let token = session.map(|session| session.0.as_str()).unwrap_or_default();
        let answer = match body {
            Some(body) => self.agent.post(&url).header("Accept", "application/json").send_json(body),
            None => self
                .agent
                .get(&url)
                .header("Accept", "application/json")
                .header("X-Session-Token", token)
                .call(),
        };
        let mut response = answer.map_err(|error| format!("{path}: {error}"))?;
        let status = response.status().as_u16();
        if status >= 500 {
            return Err(format!("{path}: {status}"));
        }
        Ok(Answer { status, body: response.body_mut().read_json().unwrap_or(Value::Null) })
    }

    /// Pairs an authenticator app in the settings page. The session is at AAL2 afterwards.
    pub fn enrol(&self, session: &Session) -> Authenticator {
        let flow = self.settings(session);
        let seed = flow.node("totp_secret_key").map(|node| text(&node["attributes"]["text"]["text"]));
        let seed =
            seed.unwrap_or_else(|| panic!("{}: the settings page offers no TOTP: {}", self.name, flow.body));
        let authenticator = Authenticator::new(&seed);
        let answer =
            self.submit(&flow, Some(session), &json!({"method": "totp", "totp_code": authenticator.code()}));
        assert_eq!(
            (answer.status, &answer.body["state"]),
            (200, &json!("success")),
            "{}: enrolling answered {}",
            self.name,
            answer.body
        );
        authenticator
    }

    /// Raises the session to AAL2.
    pub fn step_up(&self, session: &Session, authenticator: &Authenticator) {
        let flow = self.second_factors(session);
        let answer =
            self.submit(&flow, Some(session), &json!({"method": "totp", "totp_code": authenticator.code()}));
        assert_eq!(answer.status, 200, "{}: the step-up answered {}", self.name, answer.body);
    }

    /// Begins the step-up: what the session may be raised with.
    pub fn second_factors(&self, session: &Session) -> Answer {
        self.get("/self-service/login/api?aal=aal2", Some(session))
    }

    /// The same for a session that was raised before.
    pub fn second_factors_again(&self, session: &Session) -> Answer {
        self.get("/self-service/login/api?aal=aal2&refresh=true", Some(session))
    }

    pub fn whoami(&self, session: &Session) -> Answer {
        self.get("/sessions/whoami", Some(session))
    }

    /// A new settings flow of a native app.
    pub fn settings(&self, session: &Session) -> Answer {
        self.get("/self-service/settings/api", Some(session))
    }

    /// A new settings flow of a browser: WebAuthn is offered to browsers alone.
    pub fn settings_page(&self, session: &Session) -> Answer {
        self.get("/self-service/settings/browser", Some(session))
    }

    /// Asks the settings page for another password, which only a recent session may.
    pub fn change_password(&self, session: &Session) -> Answer {
        let flow = self.settings(session);
        self.submit(
            &flow,
            Some(session),
            &json!({"method": "password", "password": format!("{PASSWORD} {}", unique())}),
        )
    }

    /// Fills in a form of this flow.
    pub fn submit(&self, flow: &Answer, session: Option<&Session>, body: &Value) -> Answer {
        let action = flow.body["ui"]["action"]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no flow but {}", self.name, flow.body));
        // The flow names the public address, and this is to go through the same door.
        let path = action.find("/self-service").map(|start| &action[start..]);
        self.post(path.unwrap_or(action), session, body)
    }

    /// Status code of what a person on call asks the admin API to take away.
    pub fn delete(&self, path: &str) -> u16 {
        self.call(path, || self.agent.delete(format!("{}{path}", self.url)).call()).status
    }

    fn get(&self, path: &str, session: Option<&Session>) -> Answer {
        self.call(path, || {
            let request = self.agent.get(format!("{}{path}", self.url)).header("Accept", "application/json");
            match session {
                Some(session) => request.header("X-Session-Token", &session.0).call(),
                None => request.call(),
            }
        })
    }

    fn post(&self, path: &str, session: Option<&Session>, body: &Value) -> Answer {
        self.call(path, || {
            let request = self.agent.post(format!("{}{path}", self.url)).header("Accept", "application/json");
            match session {
                Some(session) => request.header("X-Session-Token", &session.0).send_json(body),
                None => request.send_json(body),
            }
        })
    }

    fn call(
        &self,
        path: &str,
        send: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match send() {
                Ok(mut response) => {
                    let body = response.body_mut().read_json().unwrap_or(Value::Null);
                    return Answer { status: response.status().as_u16(), body };
                }
                Err(error) => assert!(Instant::now() < deadline, "{}: {path}: {error}", self.name),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Answer {
    /// `200`, `200 aal2` of whoami, or the status and Kratos' word for why not.
    pub fn verdict(&self) -> String {
        let word = if self.status < 300 {
            &self.body["authenticator_assurance_level"]
        } else {
            &self.body["error"]["id"]
        };
        match word.as_str() {
            Some(word) => format!("{} {word}", self.status),
            None => self.status.to_string(),
        }
    }

    /// Where a browser is sent for the second factor.
    pub fn redirect(&self) -> &str {
        self.body["redirect_browser_to"].as_str().unwrap_or_default()
    }

    /// The node of a flow with this name or id.
    pub fn node(&self, name: &str) -> Option<&Value> {
        let nodes = self.body["ui"]["nodes"].as_array()?;
        nodes.iter().find(|node| node["attributes"]["id"] == name || node["attributes"]["name"] == name)
    }

    /// The relying party that a browser is told to register a security key for.
    pub fn relying_party(&self) -> Option<Value> {
        let node = self.node("webauthn_register_trigger")?;
        let options: Value = serde_json::from_str(node["attributes"]["value"].as_str()?).ok()?;
        Some(options["publicKey"]["rp"].clone())
    }
}

impl Authenticator {
    fn new(seed: &str) -> Self {
        let secret = totp_rs::Secret::try_from_base32(seed).expect("Kratos' seed is base 32");
        // Six digits every 30 seconds by SHA-1 are Kratos' choice and the builder's default.
        Self(totp_rs::Builder::new().with_secret(secret).build_noncompliant())
    }

    /// The code of this moment.
    pub fn code(&self) -> String {
        self.0.generate_current().to_string()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded =
            after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, decoded) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Differs between runs, too: a database outlives them.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", now.as_micros(), COUNT.fetch_add(1, Ordering::Relaxed))
}
