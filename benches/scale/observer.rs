//! Stands in for the controller of Deployments: writes that a generation is observed, once. With
//! replicas 0 there is nothing else to do.

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use kube::Client;

use crate::object::Name;
use crate::objects::DEPLOYMENTS;
use crate::sizes::AT_ONCE;

pub struct Observer(UnboundedSender<(Name, i64)>);

impl Observer {
    pub fn observe(&self, name: Name, generation: i64) {
        // It fails only when the bench is ending.
        let _ = self.0.unbounded_send((name, generation));
    }
}

pub fn start(client: Client) -> Observer {
    let (sender, receiver) = unbounded::<(Name, i64)>();
    tokio::spawn(receiver.for_each_concurrent(AT_ONCE, move |(name, generation)| {
        let client = client.clone();
        async move {
            // It may be gone again.
            let _ = DEPLOYMENTS.observe(&client, &name, generation).await;
        }
    }));
    Observer(sender)
}
