//! Pods, as far as decisions need them.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use crate::model::answer::Answer;
use crate::model::container::Containers;
use crate::model::key::Millis;

/// A pod of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub name: SmolStr,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
    /// Milliseconds since the Unix epoch.
    pub created: Millis,
    pub deleting: bool,
    pub ready: bool,
    /// Since when this process sees it as ready as it is, by its own clock: the kubelet's may be another.
    pub seen: Millis,
    pub scheduled: bool,
    /// Containers that are not ready.
    pub unready: Vec<SmolStr>,
    /// Its containers are ready and it is not: its node is gone, or something else has a say.
    pub cut_off: bool,
    /// Digest of the template that it was made from, our fields aside; none where that cannot be read.
    pub template: Option<SmolStr>,
    /// How its server is, by its own word; none where it was not asked.
    pub health: Option<Health>,
    /// What it says of its configuration; none where it was not asked.
    pub answer: Option<Answer>,
    /// Variables of its containers that a policy may set, as (container, variable).
    pub containers: Containers,
    pub troubles: Vec<Trouble>,
}

/// How a server is, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Well,
    /// It says that it is not ready, or takes the question and does not answer.
    Unwell,
    /// Something is there, and what it says, if anything, is not the server's own word: nobody listens, a
    /// mesh ends the connection, a proxy asks for credentials.
    NotHeard,
    /// Nothing comes back from where it should be.
    Unreachable,
    /// There was no time to ask it.
    NotYet,
}

/// A container that does not run as it should, by the kubelet's reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub container: SmolStr,
    pub reason: SmolStr,
    pub exit_code: Option<i32>,
    /// It ended with an error, now or the last time that it ran, and is not ready since.
    pub ended: bool,
    /// How often it ended by itself with an error, as far as is told.
    pub crashes: i32,
    /// When it last ended, or was first seen to have, whichever is earlier: two clocks tell. Zero where it
    /// did not.
    pub finished: Millis,
    /// ConfigMaps that a container mounts which prepares the pod.
    pub prepares: Option<Vec<SmolStr>>,
}

/// What the ready pods answer, each answer once.
#[must_use]
pub fn hashes(pods: &[Pod]) -> BTreeSet<&SmolStr> {
    let answers = pods.iter().filter(|pod| !pod.deleting && pod.ready).filter_map(|pod| pod.answer.as_ref());
    answers
        .filter_map(|answer| match answer {
            Answer::Hash(hash) => Some(hash),
            Answer::Marker(_) | Answer::Other | Answer::Unreachable | Answer::NotYet => None,
        })
        .collect()
}
