//! Attacks of a server on a client's opening handshake, each against the core in memory and against
//! both adapters, and what a client must not let others guess: its keys and its masks.
//!
//! RFC 6455, sections 4.1, 5.3 and 10.3. Which advisory each test is for is in ATTACKS.md.

#![cfg(all(feature = "blocking", feature = "tokio"))]

mod support;
#[path = "support/victim.rs"]
mod victim;

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use framewright::handshake::ClientRequest;
use framewright::{HandshakeError, RefusedResponse};
use framewright::{blocking, tokio as asynchronous};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use support::*;
use victim::{Failure, Victim, accept_of, in_tokio, switching, tcp_pair};

// -- Answers that open nothing --------------------------------------------------------------------

#[test]
fn an_answer_that_is_no_101_is_an_error_with_so_much_of_its_body() {
    for status in [200, 204, 301, 307, 400, 401, 403, 404, 426, 500, 599] {
        for (body, kept) in [(100, 100), (4096, 4096), (4097, 4096), (1 << 20, 4096)] {
            let refused = refusal(|_| {
                let head = format!(
                    "HTTP/1.1 {status} No\r\nLocation: ws://evil.example/\r\nX-Why: so\r\n\
                     Content-Length: {body}\r\n\r\n"
                );
                [head.as_bytes(), &vec![b'x'; body]].concat()
            });
            assert_eq!(refused.status, status);
            // Not followed: the location is the caller's to judge.
            assert_eq!(refused.location(), Some("ws://evil.example/"));
            assert_eq!(refused.header("x-why"), Some(&b"so"[..]));
            let has_body = status != 204;
            assert_eq!(refused.body.len(), if has_body { kept } else { 0 });
            assert_eq!(refused.body_truncated, has_body && body > kept);
        }
    }
}

#[test]
fn an_answer_that_upgrades_to_something_else_opens_nothing() {
    for (line, instead, error) in [
        (
            "Upgrade: websocket\r\n",
            "",
            HandshakeError::UpgradeMismatch,
        ),
        (
            "Upgrade: websocket",
            "Upgrade: h2c",
            HandshakeError::UpgradeMismatch,
        ),
        (
            "Upgrade: websocket",
            "Upgrade: websocket, h2c",
            HandshakeError::UpgradeMismatch,
        ),
        (
            "Upgrade: websocket",
            "Upgrade: websockets",
            HandshakeError::UpgradeMismatch,
        ),
        (
            "Connection: Upgrade\r\n",
            "",
            HandshakeError::ConnectionNotUpgrade,
        ),
        (
            "Connection: Upgrade",
            "Connection: close",
            HandshakeError::ConnectionNotUpgrade,
        ),
        (
            "Connection: Upgrade",
            "Connection: notupgrade",
            HandshakeError::ConnectionNotUpgrade,
        ),
        (
            "HTTP/1.1",
            "HTTP/1.0",
            HandshakeError::HttpVersionUnsupported,
        ),
        (
            "HTTP/1.1",
            "HTTP/2.0",
            HandshakeError::HttpVersionUnsupported,
        ),
        (
            "HTTP/1.1 101",
            "HTTP/1.1 1o1",
            HandshakeError::HeadMalformed,
        ),
        ("HTTP/1.1 101", "101", HandshakeError::HeadMalformed),
        (
            "Connection: Upgrade",
            "Connection : Upgrade",
            HandshakeError::HeadMalformed,
        ),
        (
            "Connection: Upgrade",
            "X: a\r\n b",
            HandshakeError::HeadMalformed,
        ),
        (
            "Connection: Upgrade",
            "X: a\nConnection: Upgrade",
            HandshakeError::HeadMalformed,
        ),
        (
            "Connection: Upgrade",
            "X: a\0b",
            HandshakeError::HeadMalformed,
        ),
    ] {
        assert_opens_nothing(&Victim::default(), &error, |accept| {
            switching(accept).replacen(line, instead, 1)
        });
    }
    // A list over two lines is the same list.
    let outcome = Victim::default().asks(|accept| {
        let two = "Connection: keep-alive\r\nconnection: upgrade";
        switching(accept)
            .replacen("Connection: Upgrade", two, 1)
            .into_bytes()
    });
    assert_eq!(outcome.failure, None);
}

#[test]
fn an_answer_to_another_key_opens_nothing() {
    let line = |accept: &str| format!("Sec-WebSocket-Accept: {accept}");
    let lines: [fn(&str) -> String; 9] = [
        |_| String::new(),
        // Of section 1.3's key, as a cache would replay it.
        |_| "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned(),
        str::to_uppercase,
        str::to_lowercase,
        |accept| accept.trim_end_matches('=').to_owned(),
        |accept| format!("{accept}="),
        |accept| format!("\"{accept}\""),
        |accept| format!("{accept}, {accept}"),
        |accept| format!("{accept}\r\nSec-WebSocket-Accept: {accept}"),
    ];
    for value in lines {
        let error = HandshakeError::AcceptMismatch;
        assert_opens_nothing(&Victim::default(), &error, |accept| {
            switching(accept).replacen(&line(accept), &line(&value(accept)), 1)
        });
    }
}

#[test]
fn what_was_not_offered_fails_before_a_frame_is_read() {
    let offering = Victim {
        subprotocols: vec!["chat".to_owned(), "superchat".to_owned()],
        ..Victim::default()
    };
    for (victim, line, error) in [
        (
            &Victim::default(),
            "Sec-WebSocket-Protocol: chat",
            HandshakeError::SubprotocolNotOffered,
        ),
        (
            &offering,
            "Sec-WebSocket-Protocol: evil",
            HandshakeError::SubprotocolNotOffered,
        ),
        (
            &offering,
            "Sec-WebSocket-Protocol: Chat",
            HandshakeError::SubprotocolNotOffered,
        ),
        (
            &offering,
            "Sec-WebSocket-Protocol: chat, superchat",
            HandshakeError::SubprotocolNotOffered,
        ),
        (
            &offering,
            "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat",
            HandshakeError::SubprotocolNotOffered,
        ),
        (
            &offering,
            "Sec-WebSocket-Extensions: permessage-deflate",
            HandshakeError::ExtensionNotOffered,
        ),
        (
            &offering,
            "Sec-WebSocket-Extensions: \"",
            HandshakeError::ExtensionNotOffered,
        ),
    ] {
        assert_opens_nothing(victim, &error, |accept| {
            switching(accept).replacen("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"), 1)
        });
    }
}

// -- Answers without an end -----------------------------------------------------------------------

#[test]
fn a_head_without_an_end_is_an_error_at_its_limit() {
    for (start, piece, error) in [
        ("", "H", HandshakeError::HeadTooLong),
        ("HTTP/1.1 101 ", "a", HandshakeError::HeadTooLong),
        ("HTTP/1.1 101 \r\nX: ", "y", HandshakeError::HeadTooLong),
        (
            "HTTP/1.1 101 \r\n",
            "x: y\r\n",
            HandshakeError::TooManyHeaders,
        ),
        (
            "HTTP/1.1 404 \r\n",
            "x: y\r\n",
            HandshakeError::TooManyHeaders,
        ),
        (
            "",
            "HTTP/1.1 100 \r\n\r\n",
            HandshakeError::TooManyInterimResponses,
        ),
        (
            "",
            "HTTP/1.1 103 \r\nLink: a\r\n\r\n",
            HandshakeError::TooManyInterimResponses,
        ),
    ] {
        let endless = [start, &piece.repeat(30_000 / piece.len())].concat();
        assert_opens_nothing(&Victim::default(), &error, |_| endless.clone());
    }
    // Eight are read.
    let outcome = Victim::default().asks(|accept| {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(8);
        (interim + &switching(accept)).into_bytes()
    });
    assert_eq!(outcome.failure, None);
}

#[test]
fn a_body_without_an_end_is_neither_kept_nor_awaited() {
    for head in [
        "HTTP/1.1 404 \r\n\r\n",
        "HTTP/1.1 404 \r\nContent-Length: 1099511627776\r\n\r\n",
        "HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n",
        "HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n10000\r\n",
    ] {
        let refused = refusal(|_| [head.as_bytes(), &[b'x'; 70_000]].concat());
        assert_eq!(
            (refused.body.len(), refused.body_truncated),
            (4096, true),
            "{head}"
        );
    }
    // What makes no sense says that the body is missing, and what comes is not guessed at.
    for line in [
        "Content-Length: 5, 6",
        "Content-Length: -5",
        "Content-Length: 99999999999999999999",
    ] {
        let refused = refusal(|_| format!("HTTP/1.1 404 \r\n{line}\r\n\r\nhello").into_bytes());
        assert_eq!(
            (&refused.body[..], refused.body_truncated),
            (&b""[..], true),
            "{line}"
        );
    }
}

#[test]
fn a_server_that_leaves_inside_its_answer_opens_nothing() {
    let len = switching(&"x".repeat(28)).len();
    for cut in 0..len {
        let error = HandshakeError::EndOfStream;
        let outcome = Victim::default().asks(|accept| switching(accept).as_bytes()[..cut].to_vec());
        assert_eq!(
            outcome.failure,
            Some(Failure::Handshake(error)),
            "after {cut} bytes"
        );
    }
}

// -- What a client sends --------------------------------------------------------------------------

#[test]
fn nothing_is_sent_behind_the_request_before_the_answer() {
    // A proxy that switched too early would take it for a request of its own.
    let client = blocking::Client::new(request());
    let (mut peer, stream) = tcp_pair();
    let opening = thread::spawn(move || {
        let (mut socket, _) = client.handshake(stream).unwrap();
        socket.send("hello").unwrap();
        socket
    });
    let mut head = [0; 4096];
    let mut len = 0;
    while !head[..len].ends_with(b"\r\n\r\n") {
        len += peer.read(&mut head[len..]).unwrap();
    }
    peer.set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = peer.read(&mut [0]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error:?}"
    );
    peer.write_all(switching(&accept_of(&head[..len])).as_bytes())
        .unwrap();
    drop(opening.join().unwrap());

    in_tokio(async {
        let client = asynchronous::Client::new(request());
        let (mut peer, stream) = tokio::io::duplex(4096);
        let opening = async { client.handshake(stream).await.unwrap() };
        let answering = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(peer.read_u8().await.unwrap());
            }
            let second = Duration::from_secs(1);
            let more = tokio::time::timeout(second, peer.read_u8()).await;
            assert!(more.is_err(), "{more:?}");
            peer.write_all(switching(&accept_of(&head)).as_bytes())
                .await
                .unwrap();
        };
        tokio::join!(opening, answering);
    });
}

#[test]
fn every_opening_has_a_key_of_its_own() {
    const OPENINGS: usize = 200;
    let mut keys = HashSet::new();
    let mut note = |head: &[u8]| {
        let head = String::from_utf8(head.to_vec()).unwrap();
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let key = key.unwrap().to_owned();
        // 4.1 item 7: 16 bytes in base64.
        assert_eq!((key.len(), key.ends_with("==")), (24, true), "{key}");
        assert!(keys.insert(key), "a key that was used before");
    };
    // One client, used again and again.
    let client = blocking::Client::new(request());
    for _ in 0..OPENINGS {
        let (peer, stream) = Recorded::new();
        drop(client.handshake(stream));
        note(&peer.lock().unwrap());
    }
    let client = asynchronous::Client::new(request());
    for _ in 0..OPENINGS {
        let head = in_tokio(async {
            let (mut peer, stream) = tokio::io::duplex(4096);
            let asking = async {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(peer.read_u8().await.unwrap());
                }
                drop(peer);
                head
            };
            tokio::join!(client.handshake(stream), asking).1
        });
        note(&head);
    }
    assert_eq!(keys.len(), 2 * OPENINGS);
}

#[test]
fn every_frame_has_a_mask_of_its_own_and_no_connection_repeats_another() {
    // A mask that stays the same lets a server write what it likes on the wire, and a proxy read
    // it.
    const FRAMES: usize = 100;
    let mut keys = HashSet::new();
    let mut frames = 0;
    for _ in 0..5 {
        let (mut peer, stream) = tcp_pair();
        let client = thread::spawn(move || {
            let client = blocking::Client::new(request());
            let (mut socket, _) = client.handshake(stream).unwrap();
            for _ in 0..FRAMES {
                socket.feed("the same").unwrap();
            }
            socket.flush().unwrap();
        });
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            peer.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        peer.write_all(switching(&accept_of(&head)).as_bytes())
            .unwrap();
        let mut written = Vec::new();
        peer.read_to_end(&mut written).unwrap();
        client.join().unwrap();
        for frame in frames_in(&written) {
            assert_eq!(frame.payload, b"the same");
            keys.insert(frame.mask.unwrap());
            frames += 1;
        }
    }
    for _ in 0..5 {
        let written = in_tokio(async {
            let (mut peer, stream) = tokio::io::duplex(64 << 10);
            let client = async {
                let client = asynchronous::Client::new(request());
                let (mut socket, _) = client.handshake(stream).await.unwrap();
                for _ in 0..FRAMES {
                    socket.feed("the same").await.unwrap();
                }
                socket.flush().await.unwrap();
            };
            let server = async {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(peer.read_u8().await.unwrap());
                }
                peer.write_all(switching(&accept_of(&head)).as_bytes())
                    .await
                    .unwrap();
                let mut written = Vec::new();
                peer.read_to_end(&mut written).await.unwrap();
                written
            };
            tokio::join!(client, server).1
        });
        for frame in frames_in(&written) {
            keys.insert(frame.mask.unwrap());
            frames += 1;
        }
    }
    assert_eq!(frames, 10 * FRAMES);
    // Of a thousand random keys two are equal once in nine thousand runs; four, never.
    assert!(
        keys.len() > frames - 3,
        "{} keys for {frames} frames",
        keys.len()
    );
}

// -- Rig ------------------------------------------------------------------------------------------

fn request() -> ClientRequest {
    ClientRequest::new("ws://server.example.com/chat").expect("a URI")
}

/// Asserts that an answer fails the handshake with `error`, and that nothing of what stands behind
/// it is read.
fn assert_opens_nothing(victim: &Victim, error: &HandshakeError, answer: impl Fn(&str) -> String) {
    let behind = frame(TEXT, "hello").bytes();
    let outcome = victim.asks(|accept| [answer(accept).as_bytes(), &behind].concat());
    assert_eq!(
        outcome.failure,
        Some(Failure::Handshake(error.clone())),
        "{}",
        answer("x")
    );
    assert_eq!((outcome.received, outcome.frames), (vec![], vec![]));
}

/// The answer that refused, as the client was given it.
fn refusal(answer: impl Fn(&str) -> Vec<u8>) -> RefusedResponse {
    let outcome = Victim::default().asks(answer);
    assert_eq!(outcome.frames, []);
    match outcome.failure {
        Some(Failure::Handshake(HandshakeError::Refused(refused))) => *refused,
        failure => panic!("{failure:?}"),
    }
}

/// A stream that keeps what is written, and ends at once.
struct Recorded(Arc<Mutex<Vec<u8>>>);

impl Recorded {
    fn new() -> (Arc<Mutex<Vec<u8>>>, Self) {
        let written = Arc::default();
        (Arc::clone(&written), Self(written))
    }
}

impl Read for Recorded {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl blocking::Stream for Recorded {}
