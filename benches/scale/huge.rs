//! A workload as large as the API server takes, which somebody edits again and again: what each edit costs
//! the operator, whose watch brings it all workloads.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::Result;
use crate::cluster::Cluster;
use crate::object::Name;
use crate::objects::DEPLOYMENTS;
use crate::operator::Operator;

/// Of 76 bytes each, 1.3 MB in all. Ten times as many of a tenth took the API server longer than it gives a
/// request.
const ARGUMENTS: usize = 16_000;
/// Enough for a clock that ticks a hundred times a second.
const EDITS: u32 = 40;

pub struct Huge {
    /// Time on a processor for one edit.
    pub ours: Duration,
    /// Of a client that reads the whole text into a tree.
    pub floor: Duration,
}

pub async fn edits(cluster: &Cluster, operator: &Operator) -> Result<Huge> {
    let name = Name::new("default", "huge");
    let arguments: Vec<_> = (0..ARGUMENTS).map(|number| format!("{number:076}")).collect();
    let labels = json!({"app": "huge"});
    let containers = json!([{"name": "other", "image": "docker.io/example/other:1", "args": arguments}]);
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name.name},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    });
    DEPLOYMENTS.create(&cluster.bare, &name.namespace, &object).await?;
    sleep(Duration::from_secs(2)).await;
    let before = operator.usage()?.busy;
    for number in 0..EDITS {
        DEPLOYMENTS
            .merge(
                &cluster.bare,
                &name,
                &json!({"metadata": {"annotations": {"example.com/edit": number.to_string()}}}),
            )
            .await?;
    }
    // The last of them is on its way.
    sleep(Duration::from_secs(2)).await;
    let ours = operator.usage()?.busy.saturating_sub(before) / EDITS;
    let text = DEPLOYMENTS.get(&cluster.bare, &name).await?.to_string();
    let begun = Instant::now();
    for _ in 0..EDITS {
        std::hint::black_box(serde_json::from_str::<Value>(&text)?);
    }
    let floor = begun.elapsed() / EDITS;
    DEPLOYMENTS.delete(&cluster.bare, &name).await?;
    Ok(Huge { ours, floor })
}
