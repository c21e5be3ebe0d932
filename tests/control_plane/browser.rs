//! A browser with a security key, as far as Kratos can tell: cookies, forms, and a key that is
//! registered without being asked to sign.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::Person;

const KEY: &[u8] = b"the only key of its owner";

pub struct Browser {
    url: String,
    agent: ureq::Agent,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Signs in by password.
    pub fn of(kratos: &str, person: &Person) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        let mut browser = Self { url: kratos.into(), agent: config.into(), cookies: BTreeMap::new() };
        let flow = browser.get("/self-service/login/browser").1;
        let form =
            json!({"method": "password", "identifier": person.email, "password": crate::client::PASSWORD});
        let (status, answer) = browser.submit(&flow, form);
        // Where more is demanded, the browser is told to go on to the second factor.
        assert!(matches!(status, 200 | 422), "signing in answered {answer}");
        browser
    }

    pub fn whoami(&mut self) -> (u16, Value) {
        self.get("/sessions/whoami")
    }

    /// Registers a key for the relying party that the settings page names. Returns its id.
    pub fn register_key(&mut self, origin: &str) -> String {
        let (status, answer) = self.try_register_key(origin);
        assert_eq!(status, 200, "registering the key answered {answer}");
        base64url(KEY)
    }

    /// What Kratos answers when a page of this origin registers a key.
    pub fn try_register_key(&mut self, origin: &str) -> (u16, Value) {
        let flow = self.get("/self-service/settings/browser").1;
        let options = options(&flow, "webauthn_register_trigger");
        let challenge = options["challenge"].as_str().expect("a challenge");
        let key = base64url(KEY);
        let said = json!({"type": "webauthn.create", "challenge": challenge, "origin": origin, "crossOrigin": false}).to_string();
        let attestation = attestation(options["rp"]["id"].as_str().expect("an id"), KEY);
        let response = json!({"clientDataJSON": base64url(said.as_bytes()), "attestationObject": base64url(&attestation)});
        let credential =
            json!({"id": key, "rawId": key, "type": "public-key", "response": response}).to_string();
        let form = json!({"method": "webauthn", "webauthn_register": credential, "webauthn_register_displayname": "key"});
        self.submit(&flow, form)
    }

    /// What the step-up asks a key for: the relying party, and the ids of the keys that it takes.
    pub fn asked_for_a_key(&mut self) -> (String, Vec<String>) {
        let flow = self.get("/self-service/login/browser?aal=aal2").1;
        let options = options(&flow, "webauthn_login_trigger");
        let keys = options["allowCredentials"].as_array().cloned().unwrap_or_default();
        let ids =
            keys.iter().map(|key| key["id"].as_str().unwrap_or_default().trim_end_matches('=').to_owned());
        (options["rpId"].as_str().unwrap_or_default().into(), ids.collect())
    }

    pub fn get(&mut self, path: &str) -> (u16, Value) {
        let request = self.agent.get(format!("{}{path}", self.url));
        let answer = request.header("Accept", "application/json").header("Cookie", self.cookie()).call();
        self.read(answer)
    }

    /// Fills in a form of this flow.
    pub fn submit(&mut self, flow: &Value, mut form: Value) -> (u16, Value) {
        form["csrf_token"] = node(flow, "csrf_token")["value"].clone();
        let action = flow["ui"]["action"].as_str().unwrap_or_else(|| panic!("no flow but {flow}"));
        // The flow names the public address, and this browser may know another.
        let path = action.find("/self-service").map_or(action, |start| &action[start..]);
        let request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("Accept", "application/json")
            .header("Cookie", self.cookie());
        let answer = request.send_json(form);
        self.read(answer)
    }

    /// What it sends along.
    pub fn cookie(&self) -> String {
        self.cookies.iter().fold(String::new(), |mut all, (name, value)| {
            let _ = write!(all, "{name}={value}; ");
            all
        })
    }

    fn read(&mut self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
        let mut answer = answer.expect("Kratos answers");
        for cookie in answer.headers().get_all("Set-Cookie") {
            let pair = cookie.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.into(), value.into());
            }
        }
        let body = answer.body_mut().read_json().unwrap_or(Value::Null);
        (answer.status().as_u16(), body)
    }
}

fn node<'a>(flow: &'a Value, name: &str) -> &'a Value {
    let nodes = flow["ui"]["nodes"].as_array().unwrap_or_else(|| panic!("no flow but {flow}"));
    let found = nodes.iter().find(|node| node["attributes"]["name"] == name);
    &found.unwrap_or_else(|| panic!("no {name} in {flow}"))["attributes"]
}

/// What the page hands to the browser.
fn options(flow: &Value, trigger: &str) -> Value {
    let text = node(flow, trigger)["value"].as_str().expect("it holds a text");
    serde_json::from_str::<Value>(text).expect("it is JSON")["publicKey"].clone()
}

/// That a key was made for this relying party, vouched for by nobody.
fn attestation(rp: &str, key: &[u8]) -> Vec<u8> {
    // The generator of P-256 is a valid public key, and nobody asks for its private one here.
    const X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    const Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    const PRESENT_VERIFIED_NEW_KEY: u8 = 0x45;
    let mut data = Sha256::digest(rp.as_bytes()).to_vec();
    data.push(PRESENT_VERIFIED_NEW_KEY);
    data.extend([0; 4 + 16]);
    data.extend([0, u8::try_from(key.len()).expect("it is short")]);
    data.extend(key);
    // In CBOR: a key on P-256 for ES256.
    data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
    data.extend(bytes(X));
    data.extend([0x22, 0x58, 0x20]);
    data.extend(bytes(Y));
    let mut whole = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
    whole.push(u8::try_from(data.len()).expect("it is short"));
    whole.extend(data);
    whole
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits"))
        .collect()
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        text.extend(
            (0..=chunk.len()).map(|digit| char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize])),
        );
    }
    text
}
