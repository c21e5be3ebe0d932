//! The shape that the owner of a workload gave it, as far as it tells what a roll costs.

/// What a roll does first, by the workload's own shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replacement {
    /// It starts a new pod before it ends an old one, or has enough others.
    #[default]
    NewFirst,
    /// It ends the pod before its successor starts; a Deployment so that none may be left.
    OldFirst,
    /// It ends all of them.
    AllAtOnce,
}

/// What advice asks of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Its command line, as far as the template has it, says `serve`.
    pub serves: bool,
    /// It has none: the image's own runs, which the template does not tell.
    pub by_image: bool,
    /// Something else than Kratos is what it runs, which may read files and set variables of its own.
    pub scripted: bool,
    /// It waits before it ends.
    pub drains: bool,
}
