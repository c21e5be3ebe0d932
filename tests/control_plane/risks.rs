//! Each risk that has to be acknowledged, as a real Kratos lets it happen.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::client::{AT_AAL1, AT_AAL2, Answer, Door, PASSES, STEP_UP, Session};
use crate::server::{Beside, Kratos};

fn config(settings: &str, whoami: &str, methods: Value) -> Value {
    json!({
        "selfservice": {"flows": {"settings": {"required_aal": settings}}, "methods": methods},
        "session": {"whoami": {"required_aal": whoami}},
    })
}

fn kratos(base: &Value) -> Kratos {
    Kratos::start(base, &Beside::default()).expect("Kratos starts")
}

const STRICT: &str = "highest_available";

/// Asks the settings page to forget the authenticator app.
fn forget_authenticator(door: &Door, session: &Session) -> Answer {
    door.submit(&door.settings(session), Some(session), &json!({"method": "totp", "totp_unlink": true}))
}

#[test]
fn settings_bypass_the_password_alone_removes_the_factor() {
    let kratos = kratos(&config("aal1", STRICT, json!({"totp": {"enabled": true}})));
    let public = kratos.public();
    let person = kratos.admin().create_person();
    public.enrol(&public.sign_in(&person));

    let thief = public.sign_in(&person);
    assert_eq!(public.whoami(&thief).verdict(), STEP_UP, "the apps ask for the factor");
    assert_eq!(
        forget_authenticator(&public, &thief).verdict(),
        PASSES,
        "and the settings page gives it away"
    );
    assert_eq!(public.whoami(&thief).verdict(), AT_AAL1, "so that the password alone passes");

    // With both keys it does not.
    kratos.configure(&config(STRICT, STRICT, json!({"totp": {"enabled": true}})));
    let person = kratos.admin().create_person();
    public.enrol(&public.sign_in(&person));
    assert_eq!(public.settings(&public.sign_in(&person)).verdict(), STEP_UP);
}

#[test]
fn method_switched_off_its_holder_is_locked_out() {
    let with = |on: bool| {
        config(STRICT, STRICT, json!({"totp": {"enabled": on}, "lookup_secret": {"enabled": true}}))
    };
    let kratos = kratos(&with(true));
    let public = kratos.public();
    let person = kratos.admin().create_person();
    let authenticator = public.enrol(&public.sign_in(&person));
    let session = public.sign_in(&person);
    assert!(public.second_factors(&session).node("totp_code").is_some(), "the factor is offered");

    kratos.configure(&with(false));
    assert_eq!(public.whoami(&session).verdict(), STEP_UP, "the factor is still demanded");
    assert_eq!(public.whoami(&public.sign_in(&person)).verdict(), STEP_UP, "after another sign-in, too");
    assert_eq!(public.settings(&session).verdict(), STEP_UP, "another one cannot be set up");
    assert!(public.second_factors(&session).node("totp_code").is_none(), "and nothing takes it any more");

    kratos.configure(&with(true));
    public.step_up(&session, &authenticator);
    assert_eq!(public.whoami(&session).verdict(), AT_AAL2);
}

#[test]
fn relying_party_changed_the_page_asks_for_keys_of_another() {
    let with = |id: &str| {
        let rp = json!({"id": id, "display_name": "Example", "origins": [format!("https://{id}")]});
        config(STRICT, STRICT, json!({"webauthn": {"enabled": true, "config": {"rp": rp}}}))
    };
    let kratos = kratos(&with("one.example"));
    let person = kratos.admin().create_person();
    let key = Browser::of(&kratos.url(), &person).register_key("https://one.example");
    let mut browser = Browser::of(&kratos.url(), &person);
    assert_eq!(browser.whoami().0, 403, "the key is demanded");
    assert_eq!(browser.asked_for_a_key(), ("one.example".into(), vec![key.clone()]));

    kratos.configure(&with("two.example"));
    assert_eq!(browser.whoami().0, 403, "it still is");
    // A browser hands out a key only to the relying party that it was made for.
    assert_eq!(browser.asked_for_a_key(), ("two.example".into(), vec![key]));
}

#[test]
fn code_counts_for_everyone_who_never_set_one_up_is_challenged() {
    let with = |on: bool| config(STRICT, STRICT, json!({"code": {"mfa_enabled": on}}));
    let kratos = kratos(&with(false));
    let public = kratos.public();
    let person = kratos.admin().create_person();
    let session = public.sign_in(&person);
    assert_eq!(public.whoami(&session).verdict(), AT_AAL1);

    kratos.configure(&with(true));
    let challenged = public.sign_in(&person);
    assert_eq!(public.whoami(&challenged).verdict(), STEP_UP, "without any factor");

    kratos.configure(&with(false));
    assert_eq!(public.whoami(&challenged).verdict(), STEP_UP, "also after it is taken back");
    assert_eq!(public.whoami(&public.sign_in(&person)).verdict(), AT_AAL1, "until they sign in anew");
}
