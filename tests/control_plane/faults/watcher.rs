//! Follows every version of the workloads and policies, past the proxy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::DynamicObject;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client};
use serde_json::Value;

use super::judge::version;
use crate::scene::{identity, resource};

#[derive(Default)]
struct Seen {
    /// By their version, which counts through all kinds.
    versions: BTreeMap<u64, Value>,
    /// Of each kind, what was taken already: it comes again with a list.
    taken: BTreeMap<String, u64>,
    /// Lists that began: after the first of each kind, versions may have been missed.
    lists: usize,
}

impl Seen {
    fn is_taken(&self, object: &Value) -> bool {
        self.taken.get(&identity(object).0).is_some_and(|last| version(object) <= *last)
    }
}

pub struct Watcher(Arc<Mutex<Seen>>);

const KINDS: [&str; 2] = ["Deployment", "MfaPolicy"];

impl Watcher {
    pub fn start(client: &Client, namespace: &str) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        for kind in KINDS {
            let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource(kind));
            tokio::spawn(follow(api, seen.clone()));
        }
        Self(seen)
    }

    /// Whether it has come to these versions.
    pub fn saw(&self, objects: &[Value]) -> bool {
        let seen = self.0.lock().expect("nobody panics");
        objects.iter().all(|object| seen.is_taken(object) || seen.versions.contains_key(&version(object)))
    }

    /// What came since the last time, sorted, and whether that is all there was.
    pub fn take(&self) -> (Vec<Value>, bool) {
        let mut seen = self.0.lock().expect("nobody panics");
        let all = seen.lists <= KINDS.len();
        seen.lists = KINDS.len();
        let versions: Vec<_> = std::mem::take(&mut seen.versions).into_values().collect();
        seen.taken.extend(versions.iter().map(|object| (identity(object).0, version(object))));
        (versions, all)
    }
}

async fn follow(api: Api<DynamicObject>, seen: Arc<Mutex<Seen>>) {
    let mut stream = std::pin::pin!(watcher(api, Config::default()));
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => seen.lock().expect("nobody panics").lists += 1,
            Ok(Event::InitApply(object) | Event::Apply(object)) => {
                let object = serde_json::to_value(object).expect("an object is JSON");
                let mut seen = seen.lock().expect("nobody panics");
                if !seen.is_taken(&object) {
                    seen.versions.insert(version(&object), object);
                }
            }
            Ok(Event::InitDone | Event::Delete(_)) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
