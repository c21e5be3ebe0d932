//! Kubernetes Events. They are told in passing: a queue of bounded length, no retry, nothing
//! waits for them.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::{info, warn};

use crate::api;
use crate::controller::error::words;
use crate::model::{Key, Workload, bounded};
use crate::plan::Notice;

const WAITING: usize = 1_024;

/// The API's own limit is 1 kB.
const MAX_NOTE: usize = 1_000;

/// Longer than any answer of an API server that works.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Events(Sender<(ObjectReference, Notice)>);

pub struct Telling(Receiver<(ObjectReference, Notice)>);

pub fn events() -> (Events, Telling) {
    let (sender, receiver) = channel(WAITING);
    (Events(sender), Telling(receiver))
}

impl Events {
    pub fn about_policy(&self, key: &Key, uid: &str, notice: Notice) {
        let reference = ObjectReference {
            api_version: Some(format!("{}/{}", api::GROUP, api::VERSION)),
            kind: Some(api::KIND.into()),
            name: Some(key.name.to_string()),
            namespace: Some(key.namespace.to_string()),
            uid: Some(uid.into()),
            ..ObjectReference::default()
        };
        self.tell(reference, notice);
    }

    pub fn about_workload(&self, workload: &Workload, notice: Notice) {
        let reference = ObjectReference {
            api_version: Some(format!("{}/v1", api::APPS)),
            kind: Some(workload.kind.as_str().into()),
            name: Some(workload.key.name.to_string()),
            namespace: Some(workload.key.namespace.to_string()),
            uid: Some(workload.uid.to_string()),
            ..ObjectReference::default()
        };
        self.tell(reference, notice);
    }

    fn tell(&self, reference: ObjectReference, notice: Notice) {
        let object = format!(
            "{}/{}",
            reference.namespace.as_deref().unwrap_or_default(),
            reference.name.as_deref().unwrap_or_default()
        );
        if notice.warning {
            warn!(kind = reference.kind, object, reason = notice.reason.as_str(), "{}", notice.message);
        } else {
            info!(kind = reference.kind, object, reason = notice.reason.as_str(), "{}", notice.message);
        }
        // When the API server is slower than the news, the log has them all the same.
        let _ = self.0.try_send((reference, notice));
    }
}

/// Publishes until every sender is gone.
pub async fn tell(client: Client, mut telling: Telling, instance: Option<String>) {
    let reporter = Reporter { controller: api::MANAGER.into(), instance };
    while let Some((reference, notice)) = telling.0.recv().await {
        let mut note: String = bounded(&notice.message);
        while note.len() > MAX_NOTE {
            note.pop();
        }
        let event = Event {
            type_: if notice.warning { EventType::Warning } else { EventType::Normal },
            reason: notice.reason.as_str().into(),
            note: Some(note),
            action: "Reconcile".into(),
            secondary: None,
        };
        // A recorder counts events that differ in their note alone as one and repeats the first
        // note. Ours are told once each, when something changed: a new recorder keeps their words.
        let recorder = Recorder::new(client.clone(), reporter.clone());
        let (kind, object) = (reference.kind.as_deref(), reference.name.as_deref());
        match tokio::time::timeout(PATIENCE, recorder.publish(&event, &reference)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(
                    kind,
                    object,
                    error = words(&error),
                    reason = notice.reason.as_str(),
                    "an event could not be published"
                )
            }
            Err(_) => warn!(
                kind,
                object,
                reason = notice.reason.as_str(),
                "an event could not be published in time"
            ),
        }
    }
}
