//! The container of a target that runs the identity server.

use crate::api::Reason;
use crate::model::{Container, Refusal, Workload};
use crate::plan::input::TargetView;

/// The identity server of a target.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    pub workload: &'a Workload,
    pub container: &'a Container,
}

impl TargetView {
    /// The identity server.
    ///
    /// # Errors
    /// Why there is none: the workload is not there, or none of its containers is the one.
    pub fn server(&self) -> Result<Server<'_>, Refusal> {
        let workload = self.workload.as_deref().ok_or_else(|| {
            let message = format!("{self} does not exist in this namespace");
            (Reason::TargetNotFound, message)
        })?;
        Ok(Server { workload, container: self.container_in(workload)? })
    }

    /// The container that runs the identity server.
    ///
    /// # Errors
    /// Which ones there are instead.
    pub fn container_in<'a>(&self, workload: &'a Workload) -> Result<&'a Container, Refusal> {
        if workload.selector.is_none() {
            let message = format!(
                "the selector of {self} is longer than 2 KiB, so its pods cannot be listed: give it fewer labels"
            );
            return Err((Reason::ContainerNotFound, message));
        }
        let named = |name: &str| workload.containers.iter().find(|container| *container.name == *name);
        let found = match (&self.container, &*workload.containers) {
            (Some(name), _) => named(name),
            (None, [only]) if !workload.containers.more => Some(only),
            (None, _) => named(&self.name).or_else(|| named("kratos")),
        };
        found.ok_or_else(|| {
            let mut names: Vec<_> = workload.containers.iter().map(|container| &*container.name).collect();
            names.extend(
                workload.containers.more.then_some("and more that are not read: put it among the first 16"),
            );
            let message = match &self.container {
                Some(name) => format!("{self} has no container {name}, it has: {}", names.join(", ")),
                None => {
                    format!(
                        "{self} has several containers, set spec.targetRefs[].container to one of: {}",
                        names.join(", ")
                    )
                }
            };
            (Reason::ContainerNotFound, message)
        })
    }
}
