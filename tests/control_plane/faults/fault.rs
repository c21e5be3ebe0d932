//! What can happen, and how it is drawn: the same faults for the same seed.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

pub const WORKLOADS: [&str; 3] = ["first", "second", "reader"];
/// The first sets variables, the second delivers a file to the workload `reader`.
pub const POLICIES: [&str; 2] = ["variables", "file"];
/// Of settings and whoami, from the weakest on.
const LEVELS: [(&str, &str); 3] =
    [("aal1", "aal1"), ("highest_available", "aal1"), ("highest_available", "highest_available")];

/// What somebody does to the objects: one after the other, so that it is known what the specs ask for in the
/// end.
#[derive(Clone, Copy, Debug)]
pub enum Edit {
    Levels {
        policy: &'static str,
        settings: &'static str,
        whoami: &'static str,
    },
    /// The second workload is named, or named no more.
    Targets,
    /// The next edit of the policy makes it anew.
    Deleted(&'static str),
    /// It is deleted and made anew.
    Blink(&'static str),
    ConfigMapDeleted(&'static str),
    ConfigMapOverwritten(&'static str),
    /// Another manager writes a variable of ours.
    Variable {
        workload: &'static str,
        name: &'static str,
        value: &'static str,
    },
    VariableRemoved {
        workload: &'static str,
    },
    /// A workload is deleted and made anew.
    Remade(&'static str),
    ImageChanged(&'static str),
}

/// What happens to those who talk to each other, beside the edits.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    ServerKilled,
    EtcdPaused(Duration),
    WatchesCut,
    /// So many requests are answered so instead.
    Answered {
        code: u16,
        times: usize,
    },
    OperatorKilled,
    /// The token is of a pod that is gone, until the operator has another.
    PodDeleted(Duration),
    Unreadable {
        kind: &'static str,
        name: &'static str,
        time: Duration,
    },
}

/// What happens at once, before it is waited for the end of it.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub edits: Vec<Edit>,
    pub troubles: Vec<Trouble>,
}

impl Step {
    pub fn faults(&self) -> usize {
        self.edits.len() + self.troubles.len()
    }
}

/// splitmix64.
pub struct Dice(u64);

impl Dice {
    pub fn of(seed: &str) -> Self {
        let digest = Sha256::digest(seed);
        Self(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end).expect("it is small"))
            .expect("it is below that")
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn time(&mut self, most: u64) -> Duration {
        Duration::from_millis(most / 4 + u64::try_from(self.below(750)).expect("it is small") * most / 1_000)
    }

    /// One fault, or two or three at once.
    pub fn step(&mut self) -> Step {
        let mut step = Step::default();
        for _ in 0..self.one(&[1, 1, 2, 3]) {
            if self.below(5) < 3 {
                step.edits.push(self.edit());
            } else {
                step.troubles.push(self.trouble());
            }
        }
        step
    }

    fn edit(&mut self) -> Edit {
        let (policy, workload) = (self.one(&POLICIES), self.one(&WORKLOADS));
        match self.below(14) {
            0..=3 => {
                let (settings, whoami) = self.one(&LEVELS);
                Edit::Levels { policy, settings, whoami }
            }
            4 => Edit::Targets,
            5 => Edit::Deleted(policy),
            6 => Edit::Blink(policy),
            7 => Edit::ConfigMapDeleted(policy),
            8 => Edit::ConfigMapOverwritten(policy),
            9 | 10 => {
                let name = self.one(&[crate::objects::WHOAMI, crate::objects::SETTINGS]);
                Edit::Variable { workload, name, value: self.one(&["aal1", "highest_available"]) }
            }
            11 => Edit::VariableRemoved { workload },
            12 => Edit::Remade(workload),
            _ => Edit::ImageChanged(workload),
        }
    }

    fn trouble(&mut self) -> Trouble {
        match self.below(16) {
            0 => Trouble::ServerKilled,
            1 | 2 => Trouble::EtcdPaused(self.time(1_500)),
            3 | 4 => Trouble::WatchesCut,
            5..=8 => Trouble::Answered { code: self.one(&[409, 410, 429, 503]), times: 1 + self.below(6) },
            9 | 10 => Trouble::OperatorKilled,
            11 | 12 => Trouble::PodDeleted(self.time(1_000)),
            _ => {
                let policy = self.one(&POLICIES);
                let (kind, name) = match self.below(3) {
                    0 => ("MfaPolicy", policy),
                    1 => ("Deployment", self.one(&WORKLOADS)),
                    _ => ("ConfigMap", super::config_map(policy)),
                };
                Trouble::Unreadable { kind, name, time: self.time(1_000) }
            }
        }
    }
}
