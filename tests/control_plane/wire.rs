//! A wire to the API server that tests cut, hold and mend.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use crate::support::control_plane::ControlPlane;

/// Carries connections from a port of its own. It is cut when it is made.
pub struct Wire {
    state: Arc<(Mutex<State>, Condvar)>,
    kubeconfig: PathBuf,
}

#[derive(Default)]
struct State {
    whole: bool,
    /// What is on its way to the API server stays on its way.
    held: bool,
    carried: Vec<TcpStream>,
}

impl Wire {
    pub fn to(plane: &ControlPlane) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let near = listener.local_addr().expect("it has an address");
        let direct = std::fs::read_to_string(plane.folder().join("kubeconfig")).expect("a kubeconfig");
        let (_, rest) = direct.split_once("https://").expect("it names its server");
        let end = rest
            .find(|character: char| !(character.is_ascii_digit() || ".:".contains(character)))
            .unwrap_or(rest.len());
        let far: SocketAddr = rest[..end].parse().expect("the server has an address");
        let kubeconfig =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wire-{}.kubeconfig", near.port()));
        std::fs::write(&kubeconfig, direct.replace(&far.to_string(), &near.to_string()))
            .expect("it can be written");
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let carrying = state.clone();
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| carry(&carrying, stream, far))
        });
        Self { state, kubeconfig }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn mend(&self) {
        self.state.0.lock().expect("nobody panicked").whole = true;
    }

    /// Requests that come from now on, and all that follows them, wait for [`Wire::let_go`].
    pub fn hold(&self) {
        self.state.0.lock().expect("nobody panicked").held = true;
    }

    /// What was held arrives now, also that of whoever hung up meanwhile.
    pub fn let_go(&self) {
        self.state.0.lock().expect("nobody panicked").held = false;
        self.state.1.notify_all();
    }

    pub fn cut(&self) {
        let mut state = self.state.0.lock().expect("nobody panicked");
        state.whole = false;
        for stream in state.carried.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
        self.let_go();
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

fn carry(shared: &Arc<(Mutex<State>, Condvar)>, near: TcpStream, far: SocketAddr) {
    let mut state = shared.0.lock().expect("nobody panicked");
    let Some(far) = state.whole.then(|| TcpStream::connect(far).ok()).flatten() else { return };
    let copy = |stream: &TcpStream| stream.try_clone().expect("a stream has copies");
    state.carried.extend([copy(&near), copy(&far)]);
    let (there, back) = ((copy(&near), copy(&far)), (far, near));
    let shared = shared.clone();
    std::thread::spawn(move || {
        pump(there.0, there.1, || {
            let state = shared.0.lock().expect("nobody panicked");
            drop(shared.1.wait_while(state, |state| state.held).expect("nobody panicked"));
        });
    });
    std::thread::spawn(move || pump(back.0, back.1, || {}));
}

fn pump(mut from: TcpStream, mut to: TcpStream, mut wait: impl FnMut()) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        wait();
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
