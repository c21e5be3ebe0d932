//! How the cluster answered a write.

use std::sync::Arc;

use kube::core::response::Status;

use crate::api::Reason;
use crate::controller::context::Context;
use crate::controller::decode::seen::Seen;
use crate::controller::decode::{Resource, Slim};
use crate::controller::error::Error;
use crate::controller::store::Cached;
use crate::model::{Refusal, Workload, bounded};

/// What became of a write. An error, in its place, is tried again.
#[derive(Debug)]
pub enum Written<T> {
    Done(T),
    /// The cluster refused it in words that belong into the status.
    Refused(Refusal),
}

impl<T> Written<T> {
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

pub type Answer<T> = Result<Written<T>, Error>;

/// A workload that was written.
pub struct AppliedWorkload {
    pub workload: Arc<Workload>,
    /// Managers whose values were replaced.
    pub taken_from: Vec<String>,
}

/// Stores the answer to a create.
pub fn created<T: Slim + Cached>(context: &Context, resource: &Resource, seen: Seen<T>) {
    context.cache.put(seen.value(resource)).into_iter().for_each(|key| context.queue.now(key));
}

/// What a patch answered. One that cannot be read is held as that, and looked at anew.
pub fn answered<T: Slim + Cached>(context: &Context, resource: &Resource, seen: Seen<T>) -> Result<T, Error> {
    let read = seen.value(resource);
    context.cache.answered(read.clone()).into_iter().for_each(|key| context.queue.now(key));
    read.map_err(|_| Error::Stale)
}

/// Judges a refusal of the cluster by what it means for the policy.
pub fn refusal(status: &Status, what: &str) -> Result<Refusal, Error> {
    match status.code {
        // Somebody was faster, or it is gone: read again.
        404 | 409 => Err(Error::Stale),
        400 | 403 | 405 | 406 | 413 | 415 | 422 => {
            let message =
                format!("the cluster refuses to write {what}: {}", without_expression(&status.message));
            Ok((Reason::WriteRefused, bounded(&message)))
        }
        // An admission webhook that does not answer is as good as one that refuses: it may be so for long.
        500 if status.message.contains("failed calling webhook") => Ok((
            Reason::WriteRefused,
            bounded(&format!("the cluster cannot write {what}: {}", status.message)),
        )),
        _ => Err(kube::Error::Api(Box::new(status.clone())).into()),
    }
}

/// The words of a refusal without the expression of an admission rule that could not be evaluated: it would
/// leave no room for why.
pub fn without_expression(message: &str) -> String {
    let without = || {
        let (before, rest) = message.split_once("expression '")?;
        let (_, why) = rest.rsplit_once("' resulted in error: ")?;
        Some(format!("{before}a rule could not be evaluated: {why}"))
    };
    without().unwrap_or_else(|| message.into())
}
