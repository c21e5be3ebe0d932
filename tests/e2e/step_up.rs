//! docs/step-up.md as it stands: a real Oathkeeper with the configuration of that page, in front of an
//! application that knows nothing of second factors, over the two Kratos of its policies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::guides::{self, ORIGIN, admin, judge, people};
use crate::kratos::{AT_AAL1, AT_AAL2};
use crate::{cluster, markdown};

const START: Duration = Duration::from_secs(120);
const HTML: &str = "text/html";
const JSON: &str = "application/json";
const SIGN_IN: &str =
    "302 https://login.example.com/self-service/login/browser?return_to=https%3A%2F%2Fapp.example.com%2F";
const SECOND_FACTOR: &str = "302 https://login.example.com/self-service/login/browser?aal=aal2&return_to=https%3A%2F%2Fapp.example.com%2F";

/// The table of the page, row by row.
pub fn by_oathkeeper() {
    guides::scene();
    let people = people();
    let (enrolled, other) = (admin().create_person(), admin().create_person());
    let authenticator = people.enrol(&people.sign_in(&enrolled));
    let gate = Oathkeeper::start(|rules| rules);

    for (route, accept, expected) in [
        ("account", HTML, SIGN_IN),
        ("transfer", HTML, SIGN_IN),
        ("account", JSON, "401"),
        ("transfer", JSON, "401"),
    ] {
        gate.answers("nobody", ("", ""), (route, accept), expected);
    }

    let mut browser = Browser::of(people.url(), &enrolled);
    let cookie = browser.cookie();
    let mine = ("Cookie", cookie.as_str());
    for (route, accept, expected) in [
        ("account", HTML, "200"),
        ("account", JSON, "200"),
        ("transfer", HTML, SECOND_FACTOR),
        ("transfer", JSON, "403"),
    ] {
        gate.answers("a browser at aal1", mine, (route, accept), expected);
    }
    // The browser goes where it was sent, and comes back to where it wanted to go.
    let sent = gate.ask(mine, ("transfer", HTML)).0;
    let path = sent.strip_prefix(&format!("302 {ORIGIN}")).unwrap_or_else(|| panic!("sent to {sent}"));
    let flow = browser.get(path).1;
    assert_eq!(
        (&flow["requested_aal"], &flow["return_to"]),
        (&json!("aal2"), &json!("https://app.example.com/transfer"))
    );
    let (status, answer) =
        browser.submit(&flow, json!({"method": "totp", "totp_code": authenticator.code()}));
    assert_eq!(status, 200, "the second factor answered {answer}");
    let cookie = browser.cookie();
    for route in ["account", "transfer"] {
        let (answer, user) = gate.ask(("Cookie", &cookie), (route, HTML));
        assert_eq!(
            (answer.as_str(), user.as_str()),
            ("200", enrolled.id.as_str()),
            "{route} after the step-up"
        );
    }
    raised_is_raised(&mut browser);

    let session = people.sign_in(&enrolled);
    let token = ("X-Session-Token", session.0.as_str());
    gate.answers("an app at aal1", token, ("account", JSON), "200");
    gate.answers("an app at aal1", token, ("transfer", JSON), "403");
    assert_eq!(people.whoami(&session).verdict(), AT_AAL1, "the ordinary Kratos asks for nothing");
    people.step_up(&session, &authenticator);
    gate.answers("an app after the step-up", token, ("transfer", JSON), "200");
    assert_eq!(judge().whoami(&session).verdict(), AT_AAL2);

    let session = people.sign_in(&other);
    let token = ("X-Session-Token", session.0.as_str());
    gate.answers("who has no second factor", token, ("transfer", JSON), "200");
    let fields = people.second_factors(&session);
    assert!(
        fields.status == 200 && fields.node("totp_code").is_none(),
        "a flow without a field: {}",
        fields.body
    );

    // With the decision by the level, the same person has to enrol first.
    let gate = Oathkeeper::start(|rules| {
        let page = guides::guide("step-up.md");
        let authorizer: Value =
            serde_yaml::from_str(page.file("authorizer of the rule")).expect("it is YAML");
        let mut rules: Value = serde_yaml::from_str(&rules).expect("they are YAML");
        let rule = rules
            .as_array_mut()
            .expect("a list")
            .iter_mut()
            .find(|rule| rule["id"] == "transfer")
            .expect("the rule");
        rule["authorizer"] = authorizer["authorizer"].clone();
        rules.to_string()
    });
    gate.answers("who has no second factor", token, ("account", JSON), "200");
    gate.answers("who has no second factor", token, ("transfer", JSON), "403");
    people.enrol(&session);
    gate.answers("who has just enrolled", token, ("transfer", JSON), "200");
    guides::end();
}

/// A session stays at `aal2`; what asks for the second factor again is `refresh`, and with `aal` alone.
fn raised_is_raised(browser: &mut Browser) {
    let again = browser.get("/self-service/login/browser?aal=aal2").1;
    assert_eq!(again["error"]["id"], "session_already_available");
    let field = |flow: &Value, name: &str| {
        flow["ui"]["nodes"]
            .as_array()
            .is_some_and(|nodes| nodes.iter().any(|node| node["attributes"]["name"] == name))
    };
    let second = browser.get("/self-service/login/browser?aal=aal2&refresh=true").1;
    assert!(field(&second, "totp_code") && !field(&second, "password"), "{second}");
    let first = browser.get("/self-service/login/browser?refresh=true").1;
    assert!(field(&first, "password") && !field(&first, "totp_code"), "{first}");
}

/// A process of its own; it is ended when this value goes.
struct Oathkeeper {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Oathkeeper {
    /// With the files of the guide, the addresses alone replaced; `edit` has the rules before.
    fn start(edit: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let page = guides::guide("step-up.md");
        let (proxy, api, metrics) = (free_port(), free_port(), free_port());
        let rules = folder.path().join("rules.yaml");
        let replaced = |text: &str| {
            text.replace("http://kratos-public.identity.svc", people().url())
                .replace("http://kratos-step-up-public.identity.svc", judge().url())
                .replace("http://app.shop.svc", &application())
                .replace("/etc/oathkeeper/rules.yaml", &rules.to_string_lossy())
                .replace("{port: 4455}", &format!("{{host: 127.0.0.1, port: {proxy}}}"))
                .replace("{port: 4456}", &format!("{{host: 127.0.0.1, port: {api}}}"))
        };
        std::fs::write(&rules, replaced(&edit(page.file("rules.yaml").to_owned())))
            .expect("a file can be written");
        let config = folder.path().join("oathkeeper.yaml");
        std::fs::write(&config, replaced(page.file("oathkeeper.yaml"))).expect("a file can be written");
        // To a file: a pipe that nobody reads would stop it.
        let log = std::fs::File::create(folder.path().join("log")).expect("a file can be written");
        let process = Command::new(program())
            .args(["serve", "--config"])
            .arg(config)
            .env("SERVE_PROMETHEUS_PORT", metrics.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has handles"))
            .stderr(log)
            .spawn()
            .expect("Oathkeeper can be run");
        let gate = Self { process, url: format!("http://127.0.0.1:{proxy}"), _folder: folder };
        cluster::until("Oathkeeper is ready", START, || {
            let answer = ureq::get(format!("http://127.0.0.1:{api}/health/ready")).call();
            answer.map(drop).map_err(|error| format!("{error}; {}", gate.log()))
        });
        gate
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self._folder.path().join("log")).unwrap_or_default()
    }

    /// Status and address of a redirect, and whom the application saw.
    fn ask(&self, (header, value): (&str, &str), (route, accept): (&str, &str)) -> (String, String) {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        let mut request = ureq::Agent::from(config).get(format!("{}/{route}", self.url));
        request = request
            .header("Host", "app.example.com")
            .header("X-Forwarded-Proto", "https")
            .header("Accept", accept);
        if !header.is_empty() {
            request = request.header(header, value);
        }
        let mut answer = request.call().unwrap_or_else(|error| panic!("{route}: {error}: {}", self.log()));
        let location = answer
            .headers()
            .get("Location")
            .map(|to| format!(" {}", to.to_str().unwrap_or_default()))
            .unwrap_or_default();
        (
            format!("{}{location}", answer.status().as_u16()),
            answer.body_mut().read_to_string().unwrap_or_default(),
        )
    }

    fn answers(&self, who: &str, credentials: (&str, &str), (route, accept): (&str, &str), expected: &str) {
        let expected =
            if expected.starts_with("302") { format!("{expected}{route}") } else { expected.into() };
        assert_eq!(
            self.ask(credentials, (route, accept)).0,
            expected,
            "{who} at {route}, asking for {accept}: {}",
            self.log()
        );
    }
}

impl Drop for Oathkeeper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    let script = markdown::root().join("tests/cluster/build");
    let folder = cluster::run(&script.to_string_lossy(), &["--path", "oathkeeper"]);
    Path::new(folder.trim()).join("oathkeeper")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port is free")
        .port()
}

/// An application: it tells whom it sees, and under `/decide` whether a level is enough. It lives as long as
/// the test.
fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // Whoever goes away in the middle is not missed.
            std::thread::spawn(move || serve(connection).ok());
        }
    });
    format!("http://{address}")
}

fn serve(mut connection: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let (mut head, mut length, mut user) = (String::new(), 0, String::new());
    reader.read_line(&mut head)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("Content-Length") => {
                length = value.parse().unwrap_or_default()
            }
            Some((name, value)) if name.eq_ignore_ascii_case("X-User") => user = value.into(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let level = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let enough = !head.contains(" /decide") || level["aal"] == "aal2";
    let status = if enough { "200 OK" } else { "403 Forbidden" };
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{user}",
        user.len()
    )
}
