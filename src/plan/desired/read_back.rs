//! The settings that stand on a target, read back from its variables.

use crate::model::{Container, Data, TargetData, Workload};
use crate::plan::desired::Desired;
use crate::plan::desired::server::Server;
use crate::plan::input::TargetView;
use crate::plan::manifest;
use crate::policy::Delivery;
use crate::server::kratos::{Overlay, REVISION, revision, variables};

/// The variables of ours in a container, each as (name, what the process sees).
pub fn own_variables<'a>(workload: &Workload, container: &'a Container) -> Vec<(&'a str, String)> {
    let own = container.env.iter().filter(|entry| workload.owns(&container.name, &entry.name));
    own.filter_map(|entry| Some((entry.name.as_str(), manifest::unescape_dollar(entry.value.as_deref()?))))
        .collect()
}

/// The variables of ours on a workload as the record of a revision, if they are exactly one.
pub fn read_back(
    Server { workload, container }: Server<'_>,
    desired: &Desired,
    view: &TargetView,
) -> Option<Data> {
    let own = own_variables(workload, container);
    let (_, named) = own.iter().find(|(name, _)| *name == REVISION)?;
    let overlay = Overlay::from_variables(&own)?;
    let data = Data {
        overlay,
        delivery: Delivery::Environment,
        config_map_name: desired.config_map.to_string(),
        targets: vec![target_data(view, &container.name)],
    };
    let whole = variables(&data.overlay, data.delivery).len() == own.len();
    (whole && revision(&data.overlay, data.delivery) == *named && data.is_sound()).then_some(data)
}

pub fn target_data(view: &TargetView, container: &str) -> TargetData {
    TargetData { kind: view.kind.as_str().into(), name: view.name.to_string(), container: container.into() }
}
