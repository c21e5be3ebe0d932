//! Somebody who has a second factor but signed in by password alone: what a pod answers them tells what it
//! enforces.

use crate::cluster;
use crate::kratos::{AT_AAL1, AT_AAL2, Authenticator, Door, PASSES, STEP_UP, Session};

pub struct Visitor {
    session: Session,
    authenticator: Authenticator,
}

impl Visitor {
    /// Signs in at the Kratos of the chart, which no policy governs. Its copies know the session, too.
    pub fn of(namespace: &str) -> Self {
        let public = cluster::service(namespace, "kratos-public");
        let person = cluster::service(namespace, "kratos-admin").create_person();
        let authenticator = public.enrol(&public.sign_in(&person));
        Self { session: public.sign_in(&person), authenticator }
    }

    pub fn passes(&self, moment: &str, doors: &[Door]) {
        self.sees(moment, doors, AT_AAL1);
    }

    pub fn must_step_up(&self, moment: &str, doors: &[Door]) {
        self.sees(moment, doors, STEP_UP);
    }

    /// Steps up at the first door, which is enough for all.
    pub fn steps_up(&self, doors: &[Door]) {
        doors[0].step_up(&self.session, &self.authenticator);
        self.sees("after the step-up", doors, AT_AAL2);
    }

    fn sees(&self, moment: &str, doors: &[Door], whoami: &str) {
        assert!(!doors.is_empty(), "{moment}: there is nobody to ask");
        let settings = if whoami == STEP_UP { STEP_UP } else { PASSES };
        for door in doors {
            let seen = (door.whoami(&self.session).verdict(), door.settings(&self.session).verdict());
            assert_eq!(
                seen,
                (whoami.to_owned(), settings.to_owned()),
                "{moment}: whoami and settings at {}",
                door.name
            );
        }
    }
}
