//! What docs/runbook.md has people ask a real Kratos.

use crate::kratos::{AT_AAL1, PASSES, STEP_UP};
use crate::levels::{self, NAMESPACE};
use crate::{cluster, install};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// The paths that the runbook deletes at the admin API, for this person.
fn deletions(id: &str) -> Vec<String> {
    let (_, rest) =
        RUNBOOK.split_once("<!-- played: lost-device -->").expect("the runbook has the procedure");
    let block = rest.split("```").nth(1).expect("it has commands");
    let path = |line: &str| {
        line.split_once("-X DELETE \"$KRATOS_ADMIN")?.1.strip_suffix('"').map(|path| path.replace("$ID", id))
    };
    block.lines().filter_map(path).collect()
}

pub fn lost_device() {
    levels::scene();
    let name = "lost-device";
    cluster::copy_of_kratos(NAMESPACE, name, 1, |_| {});
    cluster::apply(&cluster::policy(NAMESPACE, name, name, &install::strict()));
    cluster::await_ready(NAMESPACE, name);
    let admin = cluster::service(NAMESPACE, "kratos-admin");
    let ungoverned = cluster::service(NAMESPACE, "kratos-public");
    let door = cluster::service(NAMESPACE, &format!("{name}-public"));
    let person = admin.create_person();
    let stolen = ungoverned.sign_in(&person);
    ungoverned.enrol(&stolen);
    let session = ungoverned.sign_in(&person);
    assert_eq!(door.whoami(&session).verdict(), STEP_UP, "who lost the device is stuck");
    assert_eq!(door.settings(&session).verdict(), STEP_UP);

    let paths = deletions(&person.id);
    assert_eq!(paths.len(), 2, "{paths:?}");
    for path in paths {
        assert_eq!(admin.delete(&path), 204, "{path}");
    }
    for old in [&stolen, &session] {
        assert!(
            door.whoami(old).verdict().starts_with("401"),
            "they are signed out: {}",
            door.whoami(old).verdict()
        );
    }
    let session = door.sign_in(&person);
    assert_eq!(door.whoami(&session).verdict(), AT_AAL1);
    assert_eq!(door.settings(&session).verdict(), PASSES, "they reach the page where a new device is paired");
    door.enrol(&session);
    let session = door.sign_in(&person);
    assert_eq!(door.whoami(&session).verdict(), STEP_UP, "the new device is asked for");
    cluster::end_copy(NAMESPACE, name);
}
