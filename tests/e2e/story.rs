//! The story of `make demo`: a person with a second factor, one `kubectl apply`, and what every pod
//! answers before and after. It ends with exit status 0 only if each answer was really seen.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    dead_code,
    reason = "the story runs programs and waits; it uses a part of what the tests share"
)]

mod api;
mod cluster;
mod kratos;

use std::io::IsTerminal;
use std::time::Instant;

use kratos::{AT_AAL1, AT_AAL2, PASSES, STEP_UP};

const NAMESPACE: &str = "mfa-demo";
const POLICY: &str = "\
apiVersion: mfa-operator.dev/v1alpha1
kind: MfaPolicy
metadata:
  name: kratos
  namespace: mfa-demo
spec:
  targetRefs:
  - name: kratos
  requiredAAL: {settings: highest_available, whoami: highest_available}
  methods: {totp: {enabled: true, issuer: Demo}}
";

fn main() {
    let begun = Instant::now();
    std::panic::set_hook(Box::new(|panic| eprintln!("\nNOT as expected: {}", reason(panic))));
    chapter("A Kratos as people run it: two pods behind a Service, required_aal aal1");
    // What an earlier run left would make the first answers other ones.
    cluster::kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=420s"]);
    cluster::kratos("helm", NAMESPACE, 2, &[]);
    show(&cluster::kubectl(&["-n", NAMESPACE, "get", "pods", "-o", "wide"]));

    chapter("The operator, installed by Helm");
    cluster::operator("helm", cluster::OPERATOR, &[]);
    show(&cluster::kubectl(&["-n", cluster::OPERATOR, "get", "pods"]));

    chapter("Somebody signs in by password and pairs an authenticator app");
    let public = cluster::service(NAMESPACE, "kratos-public");
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    let authenticator = public.enrol(&public.sign_in(&person));
    say(&format!("{} has a second factor now", person.email));

    chapter("Later, signed in again by password alone");
    let session = public.sign_in(&person);
    expect("whoami", &public.name, &public.whoami(&session).verdict(), AT_AAL1);
    expect("settings", &public.name, &public.settings(&session).verdict(), PASSES);
    say("A stolen password is all that it takes. This is what the policy ends:");

    chapter("kubectl apply -f policy.yaml");
    show(POLICY);
    let before = cluster::uids(NAMESPACE, "kratos");
    show(
        &cluster::attempt("kubectl", &["apply", "-f", "-"], Some(POLICY))
            .unwrap_or_else(|complaint| panic!("{complaint}")),
    );
    follow();
    let after = cluster::uids(NAMESPACE, "kratos");
    assert!(before.is_disjoint(&after), "every pod is a new one");

    chapter("The same session, at every pod and at the Service");
    let doors = cluster::doors(NAMESPACE, "kratos");
    for door in &doors {
        let answer = door.whoami(&session);
        expect("whoami", &door.name, &answer.verdict(), STEP_UP);
        expect("settings", &door.name, &door.settings(&session).verdict(), STEP_UP);
    }
    say(&format!("Kratos sends the browser to {}", public.whoami(&session).redirect()));

    chapter("The step-up with a code of the app");
    public.step_up(&session, &authenticator);
    for door in &doors {
        expect("whoami", &door.name, &door.whoami(&session).verdict(), AT_AAL2);
        expect("settings", &door.name, &door.settings(&session).verdict(), PASSES);
    }

    chapter("What the operator says");
    println!("$ kubectl get mfapolicy -n {NAMESPACE} -o wide");
    show(&cluster::kubectl(&["-n", NAMESPACE, "get", "mfapolicy", "-o", "wide"]));
    println!("$ kubectl get configmap kratos-mfa -n {NAMESPACE} -o jsonpath='{{.data.kratos\\.yaml}}'");
    show(&cluster::kubectl(&[
        "-n",
        NAMESPACE,
        "get",
        "configmap",
        "kratos-mfa",
        "-o",
        "jsonpath={.data.kratos\\.yaml}",
    ]));
    say(&format!("Every answer was as expected, {} s after the cluster was up.", begun.elapsed().as_secs()));
}

/// Tells each new state of the roll until the policy is ready.
fn follow() {
    let mut last = String::new();
    cluster::until("the policy is enforced", cluster::LONG, || {
        let policy = cluster::get(NAMESPACE, "mfapolicy/kratos");
        let ready = policy["status"]["conditions"]
            .as_array()
            .and_then(|conditions| conditions.iter().find(|condition| condition["type"] == "Ready"))
            .cloned()
            .unwrap_or_default();
        let line = format!(
            "{}: {}",
            ready["reason"].as_str().unwrap_or("Pending"),
            ready["message"].as_str().unwrap_or("not seen yet")
        );
        if line != last {
            say(&line);
            last.clone_from(&line);
        }
        if ready["status"] == "True" { Ok(()) } else { Err(line) }
    });
}

fn reason<'a>(panic: &'a std::panic::PanicHookInfo<'_>) -> &'a str {
    panic.payload().downcast_ref::<String>().map_or("a step failed", String::as_str)
}

fn expect(what: &str, door: &str, seen: &str, expected: &str) {
    assert_eq!(seen, expected, "{what} at {door}");
    say(&format!("{what:<9} at {door:<40} {seen}"));
}

fn chapter(title: &str) {
    let (bold, plain) = if std::io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    println!("\n{bold}== {title}{plain}");
}

fn say(line: &str) {
    println!("   {line}");
}

fn show(text: &str) {
    for line in text.trim_end().lines() {
        println!("   | {line}");
    }
}
