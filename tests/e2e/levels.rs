//! What Kratos answers under every allowed combination of the two keys and both deliveries, at each pod
//! and through the Service: before a second factor is set up, with it, without it, and after the step-up.

use std::sync::OnceLock;

use serde_json::{Map, json};

use crate::kratos::{AT_AAL1, AT_AAL2, Door, PASSES, STEP_UP, Session};
use crate::{cluster, config_file, install};

/// Its Kratos has both keys at aal1: what a policy leaves out stays so.
pub const NAMESPACE: &str = "e2e-levels";

const STRICT: &str = "highest_available";

pub struct Combination {
    settings: Option<&'static str>,
    whoami: Option<&'static str>,
    delivery: Delivery,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Delivery {
    Environment,
    ConfigFile,
}

/// All but neither key, which is refused at admission; by a file, the short run has those with both.
pub fn matrix() -> Vec<Combination> {
    let mut all = Vec::new();
    for delivery in [Delivery::Environment, Delivery::ConfigFile] {
        for settings in [None, Some("aal1"), Some(STRICT)] {
            for whoami in [None, Some("aal1"), Some(STRICT)] {
                let both = settings.is_some() && whoami.is_some();
                let one = (settings.is_some() || whoami.is_some())
                    && (delivery == Delivery::Environment || crate::is_long());
                if both || one {
                    all.push(Combination { settings, whoami, delivery });
                }
            }
        }
    }
    all
}

impl Combination {
    pub fn name(&self) -> String {
        let word = |level: Option<&'static str>| level.unwrap_or("unset");
        format!(
            "levels by {:?}: settings {}, whoami {}",
            self.delivery,
            word(self.settings),
            word(self.whoami)
        )
    }

    fn short(&self) -> String {
        let word =
            |level: Option<&str>| level.map_or("none", |level| if level == STRICT { "high" } else { "aal1" });
        let delivery = if self.delivery == Delivery::Environment { "env" } else { "file" };
        format!("{delivery}-settings-{}-whoami-{}", word(self.settings), word(self.whoami))
    }
}

/// One Kratos whose copies the tests of this namespace govern.
pub fn scene() {
    static SCENE: OnceLock<()> = OnceLock::new();
    SCENE.get_or_init(|| {
        install::operator();
        install::begin(NAMESPACE);
        cluster::kratos("helm", NAMESPACE, 1, &["--set", "courier.enabled=false"]);
    });
}

pub fn walk(combination: &Combination) {
    scene();
    let name = combination.short();
    let mut levels = Map::new();
    levels.extend(combination.settings.map(|level| ("settings".to_owned(), json!(level))));
    levels.extend(combination.whoami.map(|level| ("whoami".to_owned(), json!(level))));
    let mut spec = json!({"requiredAAL": levels});
    if combination.delivery == Delivery::ConfigFile {
        spec = config_file::by_file(spec);
    }
    if combination.settings == Some("aal1") && combination.whoami == Some(STRICT) {
        let refused = cluster::attempt(
            "kubectl",
            &["apply", "-f", "-"],
            Some(&cluster::policy(NAMESPACE, &name, &name, &spec).to_string()),
        );
        assert!(
            refused.is_err_and(|words| words.contains("SettingsBypass")),
            "the bypass needs a word that acknowledges it"
        );
        spec["acknowledge"] = json!(["SettingsBypass"]);
    }
    // The policy first: it picks its target up when that appears.
    cluster::apply(&cluster::policy(NAMESPACE, &name, &name, &spec));
    let bypass = combination.settings.is_none() && combination.whoami == Some(STRICT);
    cluster::copy_of_kratos(NAMESPACE, &name, 2, |deployment| match combination.delivery {
        Delivery::Environment => {}
        Delivery::ConfigFile => config_file::wire(deployment, &format!("{name}-mfa")),
    });
    if bypass {
        // This Kratos itself has the other key at aal1.
        cluster::await_told(
            NAMESPACE,
            &name,
            ("Accepted", "False", "InvalidSpec"),
            &["SettingsBypass", &name],
        );
        spec["acknowledge"] = json!(["SettingsBypass"]);
        cluster::apply(&cluster::policy(NAMESPACE, &name, &name, &spec));
    }
    cluster::await_ready(NAMESPACE, &name);

    let doors = cluster::doors(NAMESPACE, &name);
    assert_eq!(doors.len(), 3, "two pods and the Service");
    let expect = |moment: &str, session: &Session, whoami: &str, settings: &str| {
        for door in &doors {
            let seen = (door.whoami(session).verdict(), door.settings(session).verdict());
            assert_eq!(
                seen,
                (whoami.to_owned(), settings.to_owned()),
                "{moment}, whoami and settings at {}",
                door.name
            );
        }
    };
    let service = &doors[2];
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    let session = service.sign_in(&person);
    expect("before a second factor is set up", &session, AT_AAL1, PASSES);
    let authenticator = service.enrol(&session);
    expect("in the session that set it up", &session, AT_AAL2, PASSES);

    let session = service.sign_in(&person);
    let strict = |level: Option<&str>, passes| if level == Some(STRICT) { STEP_UP } else { passes };
    let (whoami, settings) = (strict(combination.whoami, AT_AAL1), strict(combination.settings, PASSES));
    expect("with the password alone", &session, whoami, settings);
    if whoami == STEP_UP {
        doors.iter().for_each(|door| sent_to_the_second_factor(door, &session));
    }
    // At a pod, so that the session holds at the others because it is stored, not because it is remembered.
    doors[0].step_up(&session, &authenticator);
    expect("after the step-up", &session, AT_AAL2, PASSES);
    cluster::end_copy(NAMESPACE, &name);
}

fn sent_to_the_second_factor(door: &Door, session: &Session) {
    let answer = door.whoami(session);
    let redirect = answer.redirect();
    assert!(
        redirect.ends_with("/self-service/login/browser?aal=aal2"),
        "{} sends browsers to {redirect}",
        door.name
    );
}
