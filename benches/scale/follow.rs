//! Watches of the bench's own: when each Deployment and policy got its last generation, and when
//! whoever is responsible for it had observed that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use kube::Client;
use kube::api::{ListParams, Request, WatchEvent, WatchParams};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::cluster::Cluster;
use crate::object::{Name, Object};
use crate::objects::{DEPLOYMENTS, POLICIES};
use crate::observer::{self, Observer};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(1_800);

/// The last that was seen of an object.
#[derive(Clone, Debug)]
pub struct Seen {
    pub uid: String,
    pub generation: i64,
    /// When the generation was first seen.
    pub changed: Instant,
    /// When its status first spoke of this generation.
    pub observed: Option<Instant>,
    /// A policy's target.
    pub target: String,
    /// A policy that is enforced.
    pub ready: bool,
}

impl Seen {
    /// A policy whose changes are all through.
    pub fn is_enforced(&self) -> bool {
        self.observed.is_some() && self.ready
    }
}

#[derive(Clone)]
pub struct Follow {
    seen: Arc<Mutex<HashMap<Name, Seen>>>,
    news: watch::Receiver<()>,
}

pub struct Both {
    pub deployments: Follow,
    pub policies: Follow,
}

impl Both {
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        Ok(Self {
            deployments: Follow::start(
                cluster.admin.clone(),
                DEPLOYMENTS.all(),
                Some(observer::start(cluster.admin.clone())),
            )
            .await?,
            policies: Follow::start(cluster.admin.clone(), POLICIES.all(), None).await?,
        })
    }
}

impl Follow {
    /// From an empty cluster on.
    async fn start(client: Client, path: String, observer: Option<Observer>) -> Result<Self> {
        let started = Instant::now();
        // A new kind is refused for a moment after it is established.
        let list: Object = loop {
            match client.request(Request::new(&path).list(&ListParams::default())?).await {
                Ok(list) => break list,
                Err(_) if started.elapsed() < Duration::from_secs(10) => {
                    sleep(Duration::from_millis(100)).await
                }
                Err(error) => return Err(error.into()),
            }
        };
        let seen = Arc::<Mutex<HashMap<Name, Seen>>>::default();
        let (sender, news) = watch::channel(());
        let follow = Self { seen: seen.clone(), news };
        let mut version = list.metadata.resource_version;
        tokio::spawn(async move {
            // The API server ends each watch after a while.
            loop {
                if let Err(error) =
                    read(&client, &path, &mut version, &seen, &sender, observer.as_ref()).await
                {
                    eprintln!("bench: a watch failed: {error}");
                    return;
                }
            }
        });
        Ok(follow)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Name, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, name: &Name) -> Result<Seen> {
        self.all().get(name).cloned().ok_or_else(|| format!("{name:?} was never seen").into())
    }

    /// Waits until `name` is as asked.
    pub async fn until(&self, name: &Name, asked: impl Fn(&Seen) -> bool) -> Result<Seen> {
        let mut news = self.news.clone();
        let wait = async {
            loop {
                if let Some(seen) = self.all().get(name).filter(|seen| asked(seen)) {
                    return Ok(seen.clone());
                }
                news.changed().await.map_err(|_| "the watch has ended")?;
            }
        };
        timeout(Duration::from_secs(120), wait)
            .await
            .map_err(|_| format!("{name:?} did not get there: {:?}", self.get(name)))?
    }

    /// Waits until all of `names` are as asked, and says of each what was seen.
    pub async fn until_all(&self, names: &[Name], asked: impl Fn(&Name, &Seen) -> bool) -> Result<Vec<Seen>> {
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            let found: Option<Vec<Seen>> = {
                let all = self.all();
                names.iter().map(|name| all.get(name).filter(|seen| asked(name, seen)).cloned()).collect()
            };
            if let Some(found) = found {
                return Ok(found);
            }
            sleep(Duration::from_millis(20)).await;
        }
        let all = self.all();
        let missing =
            names.iter().filter(|name| !all.get(*name).is_some_and(|seen| asked(name, seen))).count();
        Err(format!("{missing} of {} did not get there", names.len()).into())
    }
}

async fn read(
    client: &Client,
    path: &str,
    version: &mut String,
    seen: &Mutex<HashMap<Name, Seen>>,
    news: &watch::Sender<()>,
    observer: Option<&Observer>,
) -> Result<()> {
    let params = WatchParams::default().timeout(290);
    let mut events =
        Box::pin(client.request_events::<Object>(Request::new(path).watch(&params, version)?).await?);
    while let Some(event) = events.try_next().await? {
        let now = Instant::now();
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                version.clone_from(&object.metadata.resource_version);
                if let Some(observer) =
                    observer.filter(|_| object.status.observed_generation < object.generation())
                {
                    observer.observe(object.name(), object.generation());
                }
                note(&mut seen.lock().unwrap_or_else(PoisonError::into_inner), object, now);
                news.send_replace(());
            }
            WatchEvent::Deleted(object) => {
                version.clone_from(&object.metadata.resource_version);
                let name = object.name();
                seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            }
            WatchEvent::Bookmark(bookmark) => version.clone_from(&bookmark.metadata.resource_version),
            WatchEvent::Error(status) => return Err(status.message.clone().into()),
        }
    }
    Ok(())
}

fn note(all: &mut HashMap<Name, Seen>, object: Object, now: Instant) {
    let name = object.name();
    let Object { metadata, status } = object;
    let known =
        all.get(&name).filter(|known| known.uid == metadata.uid && known.generation == metadata.generation);
    let is_observed = status.observed_generation >= metadata.generation;
    let seen = Seen {
        changed: known.map_or(now, |known| known.changed),
        observed: known.and_then(|known| known.observed).or(is_observed.then_some(now)),
        ready: status
            .conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        target: status.targets.into_iter().next().map(|target| target.uid).unwrap_or_default(),
        generation: metadata.generation,
        uid: metadata.uid,
    };
    all.insert(name, seen);
}
