//! Who of several operators works: one holds the Lease, the others stand by with warm caches and
//! write nothing.
//!
//! The rule is client-go's. A candidate never compares the times in a Lease with its own clock: it
//! takes the Lease when that has not *changed* for as long as its holder promised, by the
//! candidate's own watch. The holder gives up earlier than that: `renew_deadline` after the moment
//! in which it *sent* its last successful renewal, its [`Fence`] closes, nothing more of what it has
//! to write leaves the process, and it ends. It is not rejoined: what it knew may be of the past.
//!
//! [`Leading`] tells the rest of the program whether this one leads.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the shell: clock, client and log enter here"
)]

mod clients;
mod election;
mod fence;
mod reads;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tracing::{debug, info, warn};

pub use clients::{Clients, clients};
pub use election::{HOLDER_SUFFIX, Terms};
pub use fence::Fence;

use election::{Election, Uptime};
use fence::uptime;

use crate::api::MANAGER;
use crate::model::{Key, bounded};

/// Well within the time that a pod has to end.
const GIVING_AWAY: Duration = Duration::from_secs(5);

/// Whether this process leads. It becomes true once, and the process ends soon after it has become
/// false. Without an election it is true from the start.
pub type Leading = watch::Receiver<bool>;

/// The end of a leadership, and with it of the process.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error("the lease {lease} could not be renewed for {after:?}: another operator may lead soon")]
    Lapsed { lease: Key, after: Duration },
    #[error("the lease {lease} was taken by {holder}")]
    Taken { lease: Key, holder: String },
}

/// Candidate for the lead.
pub struct Candidate {
    client: Client,
    lease: Key,
    fence: Fence,
    leading: watch::Sender<bool>,
    election: Election,
    /// Lease as this process wrote it last. None unless it leads.
    held: Option<Lease>,
    /// What was told last of why there is no progress.
    told: String,
}

enum Standing {
    /// The request that made sure of it was sent at this time.
    Holds(Uptime),
    Waits,
}

impl Candidate {
    /// `client` must not retry by itself.
    #[must_use]
    pub fn new(
        client: Client,
        lease: Key,
        instance: Option<&str>,
        terms: Terms,
        fence: Fence,
    ) -> (Self, Leading) {
        // A process never takes the lease of an earlier one of the same name for its own.
        let unique = RandomState::new().build_hasher().finish();
        let name = instance.unwrap_or(MANAGER);
        let election = Election::new(format!("{name}_{unique:016x}"), terms);
        let (leading, is_leading) = watch::channel(false);
        (Self { client, lease, fence, leading, election, held: None, told: String::new() }, is_leading)
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.lease.namespace)
    }

    /// Stands for election, and leads once elected, until that is lost.
    pub async fn stand(&mut self) -> Lost {
        info!(lease = %self.lease, identity = self.election.me(), "standing by for the lease");
        loop {
            let left = self.election.left(uptime());
            if *self.leading.borrow() && left.is_none() {
                return self.lose(None);
            }
            let terms = self.election.terms();
            let patience = left.unwrap_or(terms.renew_deadline).min(terms.renew_deadline / 2);
            match tokio::time::timeout(patience, self.attempt()).await {
                Ok(Ok(Standing::Holds(sent))) => {
                    // An answer that comes too late opens nothing again.
                    if *self.leading.borrow() && self.election.left(uptime()).is_none() {
                        return self.lose(None);
                    }
                    self.fence.open_until(self.election.renewed(sent));
                    self.told.clear();
                    if !self.leading.send_replace(true) {
                        info!(lease = %self.lease, identity = self.election.me(), "this operator leads");
                    }
                }
                Ok(Ok(Standing::Waits)) if *self.leading.borrow() => {
                    let holder = bounded(self.election.holder());
                    return self.lose(Some(holder));
                }
                Ok(Ok(Standing::Waits)) => {
                    let holder = bounded(self.election.holder());
                    if self.told != holder {
                        debug!(lease = %self.lease, holder, "another operator leads");
                        self.told = holder;
                    }
                }
                Ok(Err(error)) => self.complain(&error.to_string()),
                Err(_) => self.complain("the API server did not answer in time"),
            }
            let pause = self.election.left(uptime()).unwrap_or(terms.retry_period).min(terms.retry_period);
            tokio::time::sleep(pause).await;
        }
    }

    fn lose(&self, holder: Option<String>) -> Lost {
        self.fence.close();
        self.leading.send_replace(false);
        let lease = self.lease.clone();
        match holder {
            Some(holder) => Lost::Taken { lease, holder },
            None => Lost::Lapsed { lease, after: self.election.terms().renew_deadline },
        }
    }

    fn complain(&mut self, error: &str) {
        if self.told != error {
            warn!(lease = %self.lease, error, "the lease could not be read or written; it is tried again");
            self.told = error.into();
        }
    }

    /// Attempts to take or renew the Lease. A Lease that is held takes one request; a failure is followed by
    /// a read.
    async fn attempt(&mut self) -> kube::Result<Standing> {
        if let Some(held) = self.held.take() {
            match self.write(held).await {
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {}
                other => return other,
            }
        }
        match self.api().get_opt(&self.lease.name).await? {
            Some(lease) => {
                self.election.see(lease.spec.as_ref(), uptime());
                if !self.election.may_take(uptime()) {
                    return Ok(Standing::Waits);
                }
                self.take(lease).await
            }
            // One that was deleted still binds whom it bound.
            None if !self.election.may_take(uptime()) => Ok(Standing::Waits),
            None => {
                let name = Some(self.lease.name.to_string());
                self.take(Lease { metadata: ObjectMeta { name, ..ObjectMeta::default() }, spec: None }).await
            }
        }
    }

    /// Takes the lease where nobody is faster.
    async fn take(&mut self, lease: Lease) -> kube::Result<Standing> {
        match self.write(lease).await {
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                // Whoever it was is seen at the next attempt.
                Ok(Standing::Waits)
            }
            other => other,
        }
    }

    /// Writes the lease as ours. Its resource version travels along: who read it earlier loses.
    async fn write(&mut self, mut lease: Lease) -> kube::Result<Standing> {
        lease.spec = Some(self.election.claim(lease.spec.take(), MicroTime(Timestamp::now())));
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let sent = uptime();
        let written = match lease.metadata.resource_version {
            Some(_) => self.api().replace(&self.lease.name, &params, &lease).await?,
            None => self.api().create(&params, &lease).await?,
        };
        self.election.see(written.spec.as_ref(), uptime());
        self.held = Some(written);
        Ok(Standing::Holds(sent))
    }

    /// Gives the lease away at an orderly end, so that another leads at once. Everything that had to
    /// be written is.
    pub async fn release(mut self) {
        self.fence.close();
        if !self.leading.send_replace(false) {
            return;
        }
        match tokio::time::timeout(GIVING_AWAY, self.give_away()).await {
            Ok(Ok(())) => info!(lease = %self.lease, "the lease is given away"),
            Ok(Err(error)) => self.complain(&error.to_string()),
            Err(_) => self.complain("the API server did not answer in time"),
        }
    }

    async fn give_away(&self) -> kube::Result<()> {
        // A renewal may still be under way: only the API server knows the last version, and that may be
        // another at once.
        loop {
            let Some(mut lease) = self.api().get_opt(&self.lease.name).await? else { return Ok(()) };
            let Some(spec) = lease
                .spec
                .as_mut()
                .filter(|spec| spec.holder_identity.as_deref() == Some(self.election.me()))
            else {
                return Ok(());
            };
            spec.holder_identity = Some(String::new());
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
            match self.api().replace(&self.lease.name, &params, &lease).await {
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                other => return other.map(drop),
            }
        }
    }
}

/// Without an election, this one leads.
#[must_use]
pub fn alone() -> Leading {
    watch::channel(true).1
}
