//! Servers that stand in for pods: no kubelet runs here, so a test says of each pod that it is ready,
//! and at which loopback address something answers for it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::objects::kratos;
use crate::scene::{SOON, Scene, text};

/// Something that answers at an address of its own.
pub struct StandIn {
    pub address: Ipv4Addr,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
}

/// A port that is free at every loopback address, as far as one can know.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

/// A loopback address that no other test has.
pub fn free_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}

pub fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

impl StandIn {
    /// Says this, byte for byte, to whoever asks.
    pub fn saying(port: u16, answer: Vec<u8>) -> Self {
        Self::at(free_address(), port, answer)
    }

    pub fn at(address: Ipv4Addr, port: u16, answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind((address, port)).expect("nobody else has this address");
        let stand_in = Self { address, answer: Arc::new(Mutex::new(answer)), asked: Arc::default() };
        let (answer, asked) = (stand_in.answer.clone(), stand_in.asked.clone());
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                asked.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0; 4096]);
                let bytes = answer.lock().expect("nobody panics").clone();
                let _ = stream.write_all(&bytes);
            }
        });
        stand_in
    }

    pub fn say(&self, answer: Vec<u8>) {
        *self.answer.lock().expect("nobody panics") = answer;
    }

    /// How often somebody connected.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Something that takes every question and answers none.
pub struct Silent {
    pub address: Ipv4Addr,
    open: Arc<Mutex<Open>>,
}

/// Connections: at most at once, and ever.
#[derive(Clone, Copy, Default)]
pub struct Open {
    pub at_most: usize,
    pub ever: usize,
}

impl Silent {
    pub fn at(address: Ipv4Addr, port: u16) -> Self {
        let listener = TcpListener::bind((address, port)).expect("nobody else has this address");
        let silent = Self { address, open: Arc::default() };
        let open = silent.open.clone();
        std::thread::spawn(move || {
            let mut streams = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true).expect("a stream can be asked");
                // Whoever hung up did so before this connection came, whenever a thread would have heard of
                // it.
                streams.retain_mut(is_open);
                streams.push(stream);
                let mut open = open.lock().expect("nobody panics");
                *open = Open { at_most: open.at_most.max(streams.len()), ever: open.ever + 1 };
            }
        });
        silent
    }

    pub fn open(&self) -> Open {
        *self.open.lock().expect("nobody panics")
    }
}

/// Whether who asks still waits; takes in what was asked.
fn is_open(stream: &mut TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(1..) => {}
            Ok(0) => return false,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// Kratos without pods, whose admin API is at this port.
pub fn serving_at(name: &str, port: u16) -> Value {
    let mut deployment = kratos(name);
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"] =
        json!([{"name": "http-admin", "containerPort": port}]);
    deployment
}

/// Scales the Deployment to one pod more for each address, and says that they are ready there.
pub async fn start_pods(scene: &Scene, deployment: &str, addresses: &[Ipv4Addr]) -> Vec<String> {
    let of = |pods: Vec<Value>| {
        let own = pods.into_iter().filter(|pod| pod["metadata"]["labels"]["app"] == deployment);
        own.map(|pod| text(&pod["metadata"]["name"])).collect::<Vec<_>>()
    };
    let before = of(scene.list("Pod").await);
    let wanted = before.len() + addresses.len();
    scene.edit("Deployment", deployment, json!({"spec": {"replicas": wanted}})).await;
    let new = scene
        .until("its pods are there", SOON, async || {
            let new: Vec<_> =
                of(scene.list("Pod").await).into_iter().filter(|name| !before.contains(name)).collect();
            if new.len() == addresses.len() { Ok(new) } else { Err(format!("there are {new:?}")) }
        })
        .await;
    for (pod, address) in new.iter().zip(addresses) {
        say_ready(scene, pod, *address).await;
    }
    new
}

pub async fn say_ready(scene: &Scene, pod: &str, address: Ipv4Addr) {
    let mut container =
        json!({"name": "kratos", "ready": true, "restartCount": 0, "image": "i", "imageID": "i"});
    container["state"] = json!({"running": {}});
    let conditions = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]);
    let address = address.to_string();
    let mut status = json!({"phase": "Running", "conditions": conditions, "containerStatuses": [container]});
    status["podIP"] = json!(address);
    status["podIPs"] = json!([{"ip": address}]);
    scene.edit_status("Pod", pod, status).await;
}
