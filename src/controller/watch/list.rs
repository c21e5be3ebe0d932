//! Lists, page by page: what a page holds is let go before the next one is asked for.

use std::collections::HashMap;
use std::ops::ControlFlow::{self, Continue};
use std::sync::Arc;

use http_body_util::LengthLimitError;
use kube::api::ListParams;
use kube::core::{ObjectList, Request};
use kube::{Client, Resource as _};

use crate::controller::decode::listed::Listed;
use crate::controller::decode::seen::Seen;
use crate::controller::decode::{Resource, Slim};
use crate::controller::store::table::Versions;
use crate::model::{Key, Unreadable};

/// Whole objects may be large: a page is held until it is decoded. One that is too large is asked for in
/// smaller ones.
const WHOLE: u32 = 16;

const METADATA: u32 = 500;

const SMALLER: u32 = 4;

/// Selection of objects to list.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    pub resource: Resource,
    /// None for all.
    pub namespace: Option<&'a str>,
    /// A label selector; empty for all.
    pub labels: &'a str,
}

/// Hands over each object of the selection, until `take` has enough.
///
/// # Errors
/// Of the API server. What was handed over until then is not all.
pub async fn each<T: Slim>(
    client: &Client,
    selection: Selection<'_>,
    mut take: impl FnMut(Result<T, Arc<Unreadable>>) -> ControlFlow<()>,
) -> kube::Result<()> {
    let Selection { resource, namespace, labels } = selection;
    let request = Request::new(Seen::<T>::url_path(&resource, namespace));
    let mut limit = if T::METADATA_ALONE { METADATA } else { WHOLE };
    let mut params = ListParams::default().labels(labels);
    loop {
        params.limit = Some(limit);
        let page = if T::METADATA_ALONE { request.list_metadata(&params) } else { request.list(&params) };
        let page: ObjectList<Seen<T>> = match client.request(page.map_err(kube::Error::BuildRequest)?).await {
            Err(error) if limit > 1 && is_too_large(&error) => {
                limit = (limit / SMALLER).max(1);
                continue;
            }
            page => page?,
        };
        if page.items.into_iter().try_for_each(|seen| take(seen.value(&resource))).is_break() {
            return Ok(());
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

/// Whether an answer was larger than what is read: a smaller page may not be.
pub fn is_too_large(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Service(error) if error.is::<LengthLimitError>())
}

/// Which objects there are, each with its version. Of one whose metadata cannot be read nothing can be said.
pub async fn versions(client: &Client, selection: Selection<'_>) -> kube::Result<Versions<Key>> {
    let mut found = HashMap::new();
    each(client, selection, |read: Result<Listed, _>| {
        if let Ok(Listed { key, uid, version }) = read {
            found.insert(key, (uid, version));
        }
        Continue(())
    })
    .await?;
    Ok(found)
}
