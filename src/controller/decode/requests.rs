//! Requests for objects that are decoded as the watches decode them.

use std::fmt::Debug;

use kube::{Api, Client};
use serde::de::DeserializeOwned;

use crate::controller::decode::seen::Seen;
use crate::controller::decode::{Resource, Slim};
use crate::policy::is_object_name;

pub fn api<T: Slim>(client: &Client, resource: Resource, namespace: Option<&str>) -> Api<Seen<T>> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// An object that a pod template names. The API server lets any name pass there: one that no object can have
/// would be another path.
pub async fn named<K: Clone + DeserializeOwned + Debug>(api: &Api<K>, name: &str) -> kube::Result<Option<K>> {
    if is_object_name(name) { api.get_opt(name).await } else { Ok(None) }
}
