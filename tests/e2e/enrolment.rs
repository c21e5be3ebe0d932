//! The queries of docs/enrolment.md, taken from there, over people who were enrolled through Kratos' own API:
//! who has a second factor is who Kratos demands one of.

use std::collections::BTreeMap;

use serde_json::json;

use crate::browser::Browser;
use crate::guides::{self, ORIGIN, admin, judge, passwordless, people};
use crate::kratos::{AT_AAL1, Door, Person, STEP_UP, Session};

/// How somebody was enrolled, and what the guide's queries are to say of them: the factors, and how many
/// codes are left.
struct Case {
    how: &'static str,
    person: Person,
    has: Option<(&'static str, &'static str)>,
}

pub fn queries() {
    guides::scene();
    let cases = cases(&people(), &admin());
    let page = guides::guide("enrolment.md");
    let mut queries =
        page.blocks.iter().filter(|block| block.language == "sql").map(|block| guides::query(&block.text));
    let by_id = |rows: Vec<Vec<String>>| {
        rows.into_iter().map(|row| (row[0].clone(), row)).collect::<BTreeMap<_, _>>()
    };
    let enrolled = by_id(queries.next().expect("the first query"));
    let others = by_id(queries.next().expect("the second query"));
    let counted = queries.next().expect("the third query");

    let judge = judge();
    for case in &cases {
        let id = &case.person.id;
        let row = enrolled.get(id).map(|row| (row[2].as_str(), row[3].as_str()));
        assert_eq!(row, case.has, "{}: what the first query says", case.how);
        assert_eq!(
            others.contains_key(id),
            case.has.is_none(),
            "{}: whether the second query names them",
            case.how
        );
        let named = enrolled.get(id).or(others.get(id)).expect("one of the two");
        assert_eq!(named[1], case.person.email, "{}", case.how);
        let demanded = if case.has.is_some() { STEP_UP } else { AT_AAL1 };
        let session = people().sign_in(&case.person);
        assert_eq!(
            judge.whoami(&session).verdict(),
            demanded,
            "{}: what Kratos says of a new session",
            case.how
        );
    }
    // Nobody else is in this database but people of the other guide, who come and go.
    let count = |column: usize| counted[0][column].parse::<usize>().expect("a number");
    let known = cases.iter().filter(|case| case.has.is_some()).count();
    assert!(count(0) >= known && count(1) >= cases.len(), "the third query counts {counted:?}");
    guides::end();
}

fn cases(people: &Door, admin: &Door) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |how, has, enrol: &dyn Fn(&Person)| {
        let person = admin.create_person();
        enrol(&person);
        cases.push(Case { how, person, has });
    };
    let signed_in = |person: &Person| people.sign_in(person);
    add("nothing", None, &|_| {});
    add("only looked at the settings page", None, &|person| {
        assert_eq!(people.settings(&signed_in(person)).status, 200)
    });
    add("an authenticator app", Some(("totp", "")), &|person| drop(people.enrol(&signed_in(person))));
    add("an authenticator app that its owner removed", None, &|person| {
        let session = signed_in(person);
        people.enrol(&session);
        set(people, &session, &json!({"method": "totp", "totp_unlink": true}));
    });
    add("an authenticator app that an administrator removed", None, &|person| {
        people.enrol(&signed_in(person));
        admin.remove_factor(person, "totp");
    });
    add("a security key", Some(("webauthn", "")), &|person| {
        drop(Browser::of(people.url(), person).register_key(ORIGIN))
    });
    add("a security key that an administrator removed", None, &|person| {
        Browser::of(people.url(), person).register_key(ORIGIN);
        admin.remove_factor(person, "webauthn");
    });
    add("a security key in place of the password", None, &|person| {
        Browser::of(passwordless().url(), person).register_key(ORIGIN);
    });
    add("recovery codes", Some(("lookup_secret", "12")), &|person| drop(codes(people, &signed_in(person))));
    add("an authenticator app and recovery codes", Some(("lookup_secret, totp", "12")), &|person| {
        let session = signed_in(person);
        people.enrol(&session);
        codes(people, &session);
    });
    add("recovery codes, all used", Some(("lookup_secret", "0")), &|person| {
        let session = signed_in(person);
        for code in codes(people, &session) {
            let flow = people.second_factors_again(&session);
            let answer = people.submit(
                &flow,
                Some(&session),
                &json!({"method": "lookup_secret", "lookup_secret": code}),
            );
            assert_eq!(answer.status, 200, "a recovery code answered {}", answer.body);
        }
    });
    cases
}

/// Fills in the settings page.
fn set(door: &Door, session: &Session, form: &serde_json::Value) {
    let answer = door.submit(&door.settings(session), Some(session), form);
    assert_eq!(answer.status, 200, "{form} answered {}", answer.body);
}

/// Makes recovery codes, and confirms that they were noted.
fn codes(door: &Door, session: &Session) -> Vec<String> {
    let flow = door.settings(session);
    let shown = door.submit(
        &flow,
        Some(session),
        &json!({"method": "lookup_secret", "lookup_secret_regenerate": true}),
    );
    let node = shown.node("lookup_secret_codes").unwrap_or_else(|| panic!("no codes in {}", shown.body));
    let secrets = node["attributes"]["text"]["context"]["secrets"].as_array().cloned().unwrap_or_default();
    let codes: Vec<_> =
        secrets.iter().filter_map(|secret| Some(secret["context"]["secret"].as_str()?.to_owned())).collect();
    assert!(!codes.is_empty(), "no codes in {node}");
    let answer =
        door.submit(&flow, Some(session), &json!({"method": "lookup_secret", "lookup_secret_confirm": true}));
    assert_eq!(answer.status, 200, "confirming the codes answered {}", answer.body);
    codes
}
