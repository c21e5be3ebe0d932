//! The question to a pod's admin API, and answers that no honest server gives: what listens at a pod's
//! address may be anybody. Real Kratos is asked in the end-to-end tests.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test has sockets and a clock")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mfa_operator::admin;
use mfa_operator::plan::Answer;

const PATIENCE: Duration = Duration::from_millis(500);
const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A server that answers one connection after the other so, and tells what it was asked.
fn server(answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> (SocketAddr, Receiver<String>) {
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
async fn anything_else_is_no_digest_and_is_not_kept() {
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 64\r\n\r\n{DIGEST}");
    let error = format!("HTTP/1.1 500 Oops\r\nContent-Length: 64\r\n\r\n{DIGEST}");
    let answers =
        [redirect, error, ok("mfa-0123456789"), ok(&DIGEST.to_uppercase()), ok(&DIGEST[1..]), ok("{\"password\":\"hunter2\"}"), ok("")];
    for answer in answers {
        let (address, _questions) = saying(answer.clone());
        assert_eq!(admin::config(address, PATIENCE).await, Answer::Other, "{answer}");
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
    let slow = server(|stream| {
        for byte in ok(DIGEST).bytes() {
            stream.write_all(&[byte])?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    let silent = server(|stream| {
        let _ = stream.read(&mut [0; 1]);
        Ok(())
    });
    let closed = server(|_| Ok(()));
    let garbage = saying("220 mail.example.com ESMTP\r\n".into());
    for (what, (address, _questions), expected) in [
        ("an endless body", endless_body, Answer::Other),
        ("an endless head", endless_head, Answer::Unreachable),
        ("slow bytes", slow, Answer::Unreachable),
        ("silence", silent, Answer::Unreachable),
        ("a closed connection", closed, Answer::Unreachable),
        ("another protocol", garbage, Answer::Unreachable),
    ] {
        let begun = Instant::now();
        assert_eq!(admin::config(address, PATIENCE).await, expected, "{what}");
        assert!(begun.elapsed() < PATIENCE * 4, "{what} held it up for {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free");
    assert_eq!(admin::config(address, PATIENCE).await, Answer::Unreachable);
}
