//! What strangers may ask of the two listeners, over real sockets.

use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn every_address_is_that_of_both_families() {
    let listener = bind("[::]:0".parse().expect("an address")).await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("a cluster of IPv4 can probe it");
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.expect("a cluster of IPv6 can probe it");
    }
}

#[test]
fn a_kernel_without_ipv6_has_the_addresses_of_ipv4() {
    let bound = |address: &str, error: Errno| {
        without_ipv6(address.parse().expect("an address"), &error.into()).map(|it| it.to_string())
    };
    for error in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
        assert_eq!(bound("[::]:8080", error).as_deref(), Some("0.0.0.0:8080"));
        assert_eq!(bound("[::1]:8080", error), None, "nobody asked for more than this address");
    }
    assert_eq!(bound("[::]:8080", Errno::ADDRINUSE), None);
}

/// Serves the probes of an operator that is ready.
async fn serving() -> SocketAddr {
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let (ready, is_ready) = watch::channel(true);
    tokio::spawn(async move {
        let _ready = ready;
        probes(listener, is_ready).await
    });
    address
}

async fn scraped(metrics: Metrics) -> SocketAddr {
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(super::metrics(listener, Arc::new(metrics)));
    address
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("it listens")
}

/// The whole answer to this request line.
async fn ask(address: SocketAddr, line: &str) -> String {
    let mut stream = connect(address).await;
    stream.write_all(format!("{line} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    // It ends by itself: nobody's connection is kept.
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

async fn code(address: SocketAddr, line: &str) -> Option<u16> {
    ask(address, line).await.split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn each_address_has_its_own_paths_and_nothing_else() {
    let (probes, metrics) = (serving().await, scraped(Metrics::default()).await);
    for (address, line, expected) in [
        (probes, "GET /livez", 200),
        (probes, "GET /readyz", 200),
        (probes, "HEAD /readyz", 200),
        (probes, "GET /metrics", 404),
        (probes, "POST /livez", 405),
        (metrics, "GET /metrics", 200),
        (metrics, "GET /readyz", 404),
        (metrics, "DELETE /metrics", 405),
    ] {
        assert_eq!(code(address, line).await, Some(expected), "{line}");
    }
    let page = ask(metrics, "GET /metrics").await;
    assert!(page.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{page}");
}

#[tokio::test]
async fn an_operator_that_is_not_ready_says_so() {
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let (ready, is_ready) = watch::channel(false);
    tokio::spawn(probes(listener, is_ready));
    assert_eq!(
        (code(address, "GET /livez").await, code(address, "GET /readyz").await),
        (Some(200), Some(503))
    );
    ready.send(true).expect("somebody waits for it");
    assert_eq!(code(address, "GET /readyz").await, Some(200));
}

/// How long the other side keeps this connection open.
async fn lasts(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    // It is closed or reset, either will do.
    let _ = tokio::time::timeout(LONGEST, stream.read_to_end(&mut rest)).await;
    begun.elapsed()
}

#[tokio::test]
async fn who_is_slow_to_ask_is_let_go() {
    let address = serving().await;
    let silent = connect(address).await;
    let mut slow = connect(address).await;
    slow.write_all(b"GET /livez HTTP/1.1\r\nHo").await.expect("it is sent");
    let mut trickling = connect(address).await;
    let trickle = async move {
        let begun = Instant::now();
        // A header a second, for ever.
        while trickling.write_all(b"X: y\r\n").await.is_ok() && begun.elapsed() < LONGEST {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        begun.elapsed()
    };
    let (silent, slow, trickled) = tokio::join!(lasts(silent), lasts(slow), trickle);
    for lasted in [silent, slow, trickled] {
        assert!(lasted < HEADER * 2, "it lasted {lasted:?}");
    }
}

#[tokio::test]
async fn a_request_is_bounded() {
    let address = serving().await;
    let mut stream = connect(address).await;
    let endless = async {
        let mut sent = 0_usize;
        let line = format!("X: {}\r\n", "y".repeat(1_000));
        stream.write_all(b"GET /livez HTTP/1.1\r\n").await.expect("it is sent");
        while stream.write_all(line.as_bytes()).await.is_ok() && sent < 64 * 1024 * 1024 {
            sent += line.len();
        }
        sent
    };
    let sent = tokio::time::timeout(HEADER, endless).await.expect("it is refused before its time is up");
    // What lies in the kernel's buffers was never read.
    assert!(sent < 16 * 1024 * 1024, "{sent} bytes were taken");
}

#[tokio::test]
async fn a_hundred_silent_connections_keep_no_probe_out() {
    let address = serving().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(connect(address).await);
    }
    let begun = Instant::now();
    assert_eq!(code(address, "GET /livez").await, Some(200));
    assert!(begun.elapsed() < HEADER, "the probe waited {:?}", begun.elapsed());
    let mut open = 0;
    for stream in &mut silent {
        let mut byte = [0; 1];
        // Within this time nobody's own is up yet.
        open += usize::from(
            tokio::time::timeout(Duration::from_millis(10), stream.read(&mut byte)).await.is_err(),
        );
    }
    assert!(open < CONNECTIONS, "{open} are open beside the probe's");
}

/// Counts how often it is asked.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl Collector for Counting {
    fn encode(&self, _: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn the_page_is_made_once_a_second_however_many_ask() {
    let metrics = Metrics::default();
    let asked = Counting::default();
    metrics.read_also(asked.clone());
    let address = scraped(metrics).await;
    let begun = Instant::now();
    let mut scrapes = JoinSet::new();
    for _ in 0..200 {
        scrapes.spawn(code(address, "GET /metrics"));
        while scrapes.len() >= 32 {
            scrapes.join_next().await;
        }
    }
    scrapes.join_all().await;
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("few");
    let made = asked.0.load(Ordering::Relaxed);
    assert!((1..=seconds + 1).contains(&made), "it was made {made} times in {seconds} s");
    tokio::time::sleep(FRESH).await;
    assert_eq!(code(address, "GET /metrics").await, Some(200));
    assert_eq!(asked.0.load(Ordering::Relaxed), made + 1, "an old page is made anew");
}
