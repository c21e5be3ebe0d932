//! The pod that a StatefulSet waits for in vain.

use std::sync::Arc;

use super::*;
use crate::model::Pod;
use crate::plan::testing::fixtures;
use crate::policy::Kind;

#[test]
fn a_pod_that_never_became_ready_is_replaced_on_the_way_back() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    edit(&mut observed, strict());
    let failing = plan(&observed).desired.expect("it is asked for").rendered.revision.clone();
    settle(&mut observed, STRICT_FAILS);
    assert!(plan(&observed).failure.rolled_back().is_some());
    let stuck = |kind: Kind, cut_off: bool| {
        let mut observed = observed.clone();
        let view = &mut observed.targets[0];
        let workload = Arc::make_mut(view.workload.as_mut().expect("a workload"));
        workload.kind = kind;
        workload.status.updated = 0;
        let mut pod = Pod {
            ready: false,
            unready: vec!["kratos".into()],
            cut_off,
            ..fixtures::pod(&[("REVISION", &failing)])
        };
        pod.troubles.clear();
        view.pods = Some(vec![pod]);
        // The way back is under way.
        let newest = Arc::make_mut(&mut observed.records[0]);
        newest.applied.iter_mut().for_each(|applied| applied.rolled_out = false);
        plan(&observed).stuck.len()
    };
    assert_eq!(stuck(Kind::StatefulSet, false), 1);
    assert_eq!(stuck(Kind::StatefulSet, true), 0, "its node may be lost");
    assert_eq!(stuck(Kind::Deployment, false), 0, "nobody waits for it");
}
