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

/// An answer: done, or refused by the cluster in words that belong into the status. Everything
/// else is an error, which is tried again.
pub type Answer<T> = Result<Result<T, Refusal>, Error>;

/// A workload that was written.
pub struct Written {
    pub workload: Arc<Workload>,
    /// Managers whose values were replaced.
    pub taken_from: Vec<String>,
}

/// What a create answered.
pub fn created<T: Slim + Cached>(context: &Context, resource: &Resource, seen: Seen<T>) {
    context.cache.put(seen.value(resource)).into_iter().for_each(|key| context.queue.now(key));
}

/// What a patch answered. One that cannot be read is held as that, and looked at anew.
pub fn answered<T: Slim + Cached>(context: &Context, resource: &Resource, seen: Seen<T>) -> Result<T, Error> {
    let read = seen.value(resource);
    context.cache.answered(read.clone()).into_iter().for_each(|key| context.queue.now(key));
    read.map_err(|_| Error::Stale)
}

/// What the cluster's refusal means for the policy.
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
