//! The question to a pod's admin API, and answers that no honest server gives: what listens at a pod's
//! address may be anybody. Real Kratos is asked in the end-to-end tests.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test has sockets and a clock")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mfa_operator::admin;
use mfa_operator::model::{Answer, Health};

/// With who answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// With who does not.
const SHORT: Duration = Duration::from_millis(500);
const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A server that answers one connection after the other so, and tells what it was asked.
fn server(
    answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static,
) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let (asked, questions) = channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut question = vec![0; 4096];
            let length = stream.read(&mut question).unwrap_or_default();
            let _ = asked.send(String::from_utf8_lossy(&question[..length]).into_owned());
            let _ = answer(&mut stream);
        }
    });
    (address, questions)
}

fn saying(text: String) -> (SocketAddr, Receiver<String>) {
    server(move |stream| stream.write_all(text.as_bytes()))
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_digest_is_taken_and_nothing_is_told_to_who_gives_it() {
    let (address, questions) = saying(ok(DIGEST));
    assert_eq!(admin::config(address, PATIENCE).await, Answer::Hash(DIGEST.into()));
    let question = questions.recv().expect("it was asked").to_lowercase();
    assert!(question.starts_with("get /admin/health/config http/1.1\r\n"), "{question}");
    let headers: Vec<_> = question.lines().skip(1).filter(|line| !line.is_empty()).collect();
    assert_eq!(headers, [format!("host: {address}")]);
}

#[tokio::test]
async fn a_revision_is_taken_as_this_operator_writes_it_and_in_no_other_shape() {
    for (body, expected) in [
        ("mfa-0123456789", Answer::Marker("mfa-0123456789".into())),
        // Kratos ends with the last character; a proxy may add a line feed.
        ("mfa-0123456789\n", Answer::Marker("mfa-0123456789".into())),
        ("mfa-012345678", Answer::Other),
        ("mfa-01234567890", Answer::Other),
        ("mfa-012345678G", Answer::Other),
        ("mfa-ABCDEF0123", Answer::Other),
        ("MFA-0123456789", Answer::Other),
        ("\"mfa-0123456789\"", Answer::Other),
        (" mfa-0123456789", Answer::Other),
        ("mfa-0123456789 mfa-0123456789", Answer::Other),
        ("v1.2.3", Answer::Other),
    ] {
        let (address, _questions) = saying(ok(body));
        assert_eq!(admin::config(address, PATIENCE).await, expected, "{body:?}");
    }
}

#[tokio::test]
async fn anything_else_is_no_digest_and_is_not_kept() {
    let error = format!("HTTP/1.1 500 Oops\r\nContent-Length: 64\r\n\r\n{DIGEST}");
    let filled = |length: usize| format!("{DIGEST}{}", " ".repeat(length - DIGEST.len()));
    let spoken_to_in_clear =
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n".into();
    let answers = [
        error,
        ok(&DIGEST.to_uppercase()),
        ok(&DIGEST[1..]),
        ok("{\"password\":\"hunter2\"}"),
        ok(""),
        ok(&filled(257)),
        ok(&"\u{661}".repeat(32)),
        ok("mfa-\u{ff10}123456789"),
        ok(&format!("{DIGEST}\0")),
        "HTTP/1.1 204 No Content\r\n\r\n".into(),
        spoken_to_in_clear,
    ];
    for answer in answers {
        let (address, _questions) = saying(answer.clone());
        assert_eq!(admin::config(address, PATIENCE).await, Answer::Other, "{answer}");
    }
    let (address, _questions) = saying(ok(&filled(256)));
    assert_eq!(
        admin::config(address, PATIENCE).await,
        Answer::Hash(DIGEST.into()),
        "the longest that is read"
    );
    // The beginning of a gzip stream; none was asked for.
    let (address, _questions) = server(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 14\r\n\r\n")?;
        stream.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0, 0, 0])
    });
    assert_eq!(admin::config(address, PATIENCE).await, Answer::Other, "gzip");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, questions) = saying(ok(DIGEST));
    for code in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let body = format!("Content-Length: 64\r\n\r\n{DIGEST}");
        let (address, _questions) =
            saying(format!("HTTP/1.1 {code}\r\nLocation: http://{elsewhere}/admin/health/config\r\n{body}"));
        assert_eq!(admin::config(address, PATIENCE).await, Answer::Other, "{code}");
    }
    assert!(questions.try_recv().is_err(), "somebody else was asked");
}

#[tokio::test]
async fn an_answer_of_an_older_protocol_counts_and_a_broken_off_one_does_not() {
    let (address, _questions) = saying(format!("HTTP/1.0 200 OK\r\n\r\n{DIGEST}"));
    assert_eq!(
        admin::config(address, PATIENCE).await,
        Answer::Hash(DIGEST.into()),
        "it ends with the connection"
    );
    let (address, _questions) = saying(format!("HTTP/1.1 200 OK\r\nContent-Length: 128\r\n\r\n{DIGEST}"));
    assert_eq!(admin::config(address, PATIENCE).await, Answer::Other, "there was to be more");
    let (address, _questions) = saying("HTTP/1.1 200 OK\r\nContent-Le".into());
    assert_eq!(admin::config(address, PATIENCE).await, Answer::Unreachable, "not even a head");
}

/// Errors of the HTTP library go to the log: none may quote what the stranger said.
#[tokio::test]
async fn nothing_that_a_stranger_says_is_repeated() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let writer = told.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || Log(writer.clone()))
        .finish();
    // Of all tests here, for what is written by one thread alone gets lost at times.
    tracing::subscriber::set_global_default(subscriber).expect("it is the first");
    let head = |line: &str| format!("{line}\r\nContent-Length: 7\r\n\r\nhunter2");
    let answers = [
        head("HTTP/1.1 200 OK"),
        head("HTTP/1.1 500 hunter2"),
        head("HTTP/1.1 302 Found\r\nLocation: http://hunter2/"),
        head("HTTP/1.1 200 OK\r\nX-\u{7f}hunter2: hunter2"),
        head("HTTP/1.1 hunter2 OK"),
        head("HTTP/9.9 200 hunter2"),
        "HTTP/1.1 200 OK\r\nContent-Length: hunter2\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhunter2\r\n".into(),
        "hunter2\r\n".into(),
    ];
    for answer in &answers {
        let (address, _questions) = saying(answer.clone());
        let heard = admin::config(address, PATIENCE).await;
        assert!(matches!(heard, Answer::Other | Answer::Unreachable), "{answer:?}: {heard:?}");
    }
    let log = String::from_utf8_lossy(&told.lock().expect("nobody panics")).into_owned();
    assert!(log.contains("does not answer"), "it is told that something is wrong: {log}");
    assert!(!log.contains("hunter2"), "{log}");
}

struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn of_a_version_nothing_but_its_numbers_is_kept() {
    let long = "9".repeat(100);
    let cases = [
        (r#"{"version":"v1.3.1"}"#.to_owned(), Some("v1.3.1".to_owned())),
        (r#"{"version":"v26.2.0-rc.1\nhunter2"}"#.into(), Some("v26.2.0".into())),
        (format!(r#"{{"version":"{long}"}}"#), Some("9".repeat(32))),
        (r#"{"version":"master"}"#.into(), None),
        (r#"{"version":25.4}"#.into(), None),
        (r#"{"build":"v1.3.1"}"#.into(), None),
        ("v1.3.1".into(), None),
        (format!(r#"{{"version":"v1.3.1","filler":"{}"}}"#, "x".repeat(300)), None),
    ];
    for (body, expected) in cases {
        let (address, questions) = saying(ok(&body));
        assert_eq!(admin::version(address, PATIENCE).await.as_deref(), expected.as_deref(), "{body}");
        assert!(questions.recv().expect("it was asked").starts_with("GET /admin/version HTTP/1.1\r\n"));
    }
}

#[tokio::test]
async fn a_hostile_answer_ends_in_time() {
    let endless_body = server(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"1000\r\n")?;
            stream.write_all(&[b'a'; 0x1000])?;
            stream.write_all(b"\r\n")?;
        }
    });
    let endless_head = server(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")?;
        }
    });
    let slowly = |text: String, pause| {
        server(move |stream| {
            for byte in text.bytes() {
                stream.write_all(&[byte])?;
                std::thread::sleep(pause);
            }
            Ok(())
        })
    };
    let slow = slowly(ok(DIGEST), Duration::from_millis(50));
    let slower = slowly(ok(DIGEST), Duration::from_millis(500));
    let slow_body = server(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n")?;
        for byte in DIGEST.bytes() {
            stream.write_all(&[byte])?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    });
    let one_more_header = server(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for number in 0..65 {
            stream.write_all(format!("X-{number}: a\r\n").as_bytes())?;
        }
        stream.write_all(format!("Content-Length: 64\r\n\r\n{DIGEST}").as_bytes())
    });
    let endless_interim = server(|stream| {
        loop {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
    });
    // What a TLS server says to somebody who does not speak it: a fatal alert.
    let tls = server(|stream| stream.write_all(&[0x15, 3, 1, 0, 2, 2, 70]));
    let silent = server(|stream| {
        let _ = stream.read(&mut [0; 1]);
        Ok(())
    });
    let closed = server(|_| Ok(()));
    let garbage = saying("220 mail.example.com ESMTP\r\n".into());
    for (what, (address, _questions), expected) in [
        ("an endless body", endless_body, Answer::Other),
        ("an endless head", endless_head, Answer::Unreachable),
        ("endless interim answers", endless_interim, Answer::Unreachable),
        ("too many headers", one_more_header, Answer::Unreachable),
        ("slow bytes", slow, Answer::Unreachable),
        ("a byte every half second", slower, Answer::Unreachable),
        ("a slow body", slow_body, Answer::Unreachable),
        ("TLS", tls, Answer::Unreachable),
        ("silence", silent, Answer::Unreachable),
        ("a closed connection", closed, Answer::Unreachable),
        ("another protocol", garbage, Answer::Unreachable),
    ] {
        let begun = Instant::now();
        assert_eq!(admin::config(address, SHORT).await, expected, "{what}");
        assert!(
            begun.elapsed() < SHORT + Duration::from_secs(10),
            "{what} held it up for {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free");
    assert_eq!(admin::config(address, PATIENCE).await, Answer::Unreachable);
}

/// Holds every connection that it takes, after it has said this.
fn holding(text: &'static str) -> (SocketAddr, Receiver<String>) {
    server(move |stream| {
        stream.write_all(text.as_bytes())?;
        while stream.read(&mut [0; 64])? > 0 {}
        Ok(())
    })
}

#[tokio::test]
async fn only_the_servers_own_word_and_silence_count_against_it() {
    let said = |status: &str| saying(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
    let not_heard = [
        "301 Moved Permanently",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "500 Oops",
        "502 Bad Gateway",
    ];
    let by_status = [("200 OK", Health::Well), ("503 Service Unavailable", Health::Unwell)].into_iter();
    for (status, expected) in by_status.chain(not_heard.map(|status| (status, Health::NotHeard))) {
        let (address, questions) = said(status);
        assert_eq!(admin::health(address, PATIENCE).await, expected, "{status}");
        assert!(questions.recv().expect("it was asked").starts_with("GET /admin/health/ready HTTP/1.1\r\n"));
    }
    let spoken_to_in_clear =
        saying("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n".into());
    for (what, (address, _questions), expected) in [
        ("a mesh that ends what is not encrypted", server(|_| Ok(())), Health::NotHeard),
        ("half an answer", server(|stream| stream.write_all(b"HTTP/1.1 2")), Health::NotHeard),
        ("a TLS alert", server(|stream| stream.write_all(&[0x15, 3, 1, 0, 2, 2, 70])), Health::NotHeard),
        ("a TLS server that speaks HTTP so far", spoken_to_in_clear, Health::NotHeard),
        ("another protocol", saying("220 mail.example.com ESMTP\r\n".into()), Health::NotHeard),
        ("silence", holding(""), Health::Unwell),
        ("a head that does not end", holding("HTTP/1.1 200 OK\r\nX-Filler: "), Health::Unwell),
        (
            "a 200 whose body does not come",
            holding("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"),
            Health::Well,
        ),
    ] {
        let begun = Instant::now();
        assert_eq!(admin::health(address, SHORT).await, expected, "{what}");
        assert!(
            begun.elapsed() < SHORT + Duration::from_secs(10),
            "{what} held it up for {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn a_connection_that_nobody_takes_says_nothing_of_the_server() {
    let free =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free");
    assert_eq!(admin::health(free, PATIENCE).await, Health::NotHeard, "nobody listens");
    // One that is full drops what comes: a firewall looks the same.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port is free");
    let full = socket.listen(1).expect("it listens");
    let address = full.local_addr().expect("it has an address");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await {
        waiting.push(stream);
        assert!(waiting.len() < 64, "it takes all of them");
    }
    assert_eq!(admin::health(address, SHORT).await, Health::Unreachable);
}
