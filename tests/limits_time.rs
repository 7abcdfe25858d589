//! Every limit of time, and of what waits to be written, from below and from above: a millisecond
//! before it all is well, and a millisecond behind it the connection ends as documented.
//!
//! By virtual time, in both roles; the deadlines are the core's, which has tests of its own in
//! `deadlines`, and those of the blocking adapter are in `blocking_adapter`.

#![cfg(feature = "tokio")]

#[path = "support/streams.rs"]
mod streams;
mod support;

use std::time::Duration;

use framewright::handshake::accept_key;
use framewright::tokio::{Client, Error, Fed, Server, accept};
use framewright::{CloseCode, Config, EndCause, HandshakeError, Message, Role, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use streams::{Give, Scripted, Take, millis, request, secs, socket};
use support::*;

const TICK: Duration = millis(1);

#[tokio::test(start_paused = true)]
async fn a_request_may_take_handshake_timeout_and_no_longer() {
    let limit = secs(10);
    assert_eq!(Config::default().handshake_timeout, Some(limit));
    for (pause, in_time) in [(limit - TICK, true), (limit + TICK, false)] {
        // All but its last byte is there at once.
        let (last, begun) = UPGRADE.split_last().unwrap();
        let gives = [
            Give::Bytes(begun.to_vec()),
            Give::Wait(pause),
            Give::Bytes(vec![*last]),
            Give::Eof,
        ];
        let (stream, log) = Scripted::new(gives, []);
        let started = Instant::now();
        let accepted = accept(stream).await;
        let answer = String::from_utf8(log.written()).unwrap();
        if in_time {
            accepted.unwrap();
            assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        } else {
            let error = accepted.unwrap_err();
            assert!(is_timed_out(&error), "{error:?}");
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
            assert_eq!(log.write_times(), [limit]);
            assert!(started.elapsed() <= limit + 2 * TICK);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_handshake_timeout_and_no_longer() {
    let limit = secs(10);
    for (pause, in_time) in [(limit - TICK, true), (limit + TICK, false)] {
        let (mut peer, stream) = tokio::io::duplex(4096);
        let answering = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(peer.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let key = head
                .lines()
                .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
            let accept = accept_key(key.unwrap().as_bytes());
            let answer = [
                b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: ",
                &accept[..],
                b"\r\n\r\n",
            ];
            sleep(pause).await;
            // A client that has left does not take it.
            let _ = peer.write_all(&answer.concat()).await;
            peer
        };
        let client = Client::new(request());
        let (opened, _peer) = tokio::join!(client.handshake(stream), answering);
        match opened {
            Ok(_) => assert!(in_time),
            Err(error) => assert!(!in_time && is_timed_out(&error), "{error:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_may_be_silent_for_ping_interval_and_pong_timeout_and_no_longer() {
    let limits = Config::default();
    assert_eq!(limits.ping_interval, Some(secs(20)));
    assert_eq!(limits.pong_timeout, Some(secs(20)));
    for role in ROLES {
        for (pause, in_time) in [(secs(40) - TICK, true), (secs(40) + TICK, false)] {
            let message = sent_by(peer_of(role), &[frame(TEXT, "alive")]);
            let gives = [Give::Wait(pause), Give::Bytes(message), Give::Eof];
            let (stream, log) = Scripted::new(gives, []);
            let mut socket = socket(role, Config::default(), stream);
            let received = socket.recv().await.unwrap();
            assert_eq!(sent(&log.written())[0].0, PING);
            if in_time {
                assert_eq!(received, Some(Message::text("alive")));
                assert_eq!(log.write_times(), [secs(20)]);
            } else {
                assert_eq!(received, None);
                assert_eq!(log.write_times(), [secs(20), secs(40)]);
                assert_eq!(close_code_in(&log.written()), Some(1011));
                assert_eq!(socket.end().unwrap().cause, EndCause::KeepaliveTimeout);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_without_messages_for_idle_timeout_and_no_longer() {
    assert_eq!(Config::default().idle_timeout, None);
    let limit = secs(60);
    for role in ROLES {
        for (pause, in_time) in [(limit - TICK, true), (limit + TICK, false)] {
            let message = sent_by(peer_of(role), &[frame(TEXT, "busy")]);
            let gives = [Give::Wait(pause), Give::Bytes(message), Give::Eof];
            let (stream, log) = Scripted::new(gives, []);
            let config = config(|config| {
                config.idle_timeout = Some(limit);
                config.ping_interval = None;
            });
            let mut socket = socket(role, config, stream);
            // What was sent before our Close came is delivered still, as any message is.
            let received = socket.recv().await.unwrap();
            assert_eq!(received, Some(Message::text("busy")));
            if in_time {
                assert!(log.written().is_empty());
            } else {
                assert_eq!(log.write_times(), [limit]);
                assert_eq!(close_code_in(&log.written()), Some(1001));
                assert_eq!(socket.recv().await.unwrap(), None);
                let end = socket.end().unwrap();
                assert_eq!((end.cause, end.is_clean()), (EndCause::IdleTimeout, false));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_may_take_close_timeout_to_be_answered_and_no_longer() {
    let limit = secs(5);
    assert_eq!(Config::default().close_timeout, Some(limit));
    for role in ROLES {
        for (pause, in_time) in [(limit - TICK, true), (limit + TICK, false)] {
            let answer = sent_by(peer_of(role), &[frame(CLOSE, close_payload(1000, b""))]);
            let gives = [Give::Wait(pause), Give::Bytes(answer), Give::Eof];
            let (stream, _) = Scripted::new(gives, []);
            let mut socket = socket(role, Config::default(), stream);
            let started = Instant::now();
            let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
            assert_eq!(end.is_clean(), in_time, "{role:?}: {end:?}");
            if in_time {
                assert_eq!(end.cause, EndCause::ClosingHandshake);
            } else {
                assert_eq!(end.cause, EndCause::CloseTimeout);
                assert_eq!(started.elapsed(), limit);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_may_wait_for_write_timeout_and_no_longer() {
    let limit = secs(30);
    assert_eq!(Config::default().write_timeout, Some(limit));
    for role in ROLES {
        for (pause, in_time) in [(limit - TICK, true), (limit + TICK, false)] {
            let (stream, _) = Scripted::new([], [Take::Wait(pause)]);
            let mut socket = socket(role, Config::default(), stream);
            let started = Instant::now();
            let written = socket.send("hello").await;
            if in_time {
                written.unwrap();
            } else {
                assert!(matches!(written, Err(Error::WriteTimeout)), "{written:?}");
                assert_eq!(started.elapsed(), limit);
                assert_eq!(socket.end().unwrap().cause, EndCause::Transport);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn write_high_water_bytes_may_wait_and_then_a_sender_waits_too() {
    let high_water = 10_000;
    assert_eq!(Config::default().write_high_water, 128 << 10);
    for role in ROLES {
        let config = config(|config| config.write_high_water = high_water);
        let (stream, _) = Scripted::new([], [Take::Never]);
        let mut socket = socket(role, config, stream);
        while socket.buffered() < high_water {
            assert!(socket.buffered() <= high_water + 1014);
            let fed = timeout(TICK, socket.feed(vec![0; 1000])).await;
            fed.expect("room").unwrap();
        }
        // A message more than the high water, and not two.
        let waits = timeout(secs(1), socket.feed(vec![0; 1000])).await;
        assert!(waits.is_err());
        let given_back = socket.try_feed(vec![7; 1000]).unwrap();
        assert_eq!(given_back, Fed::Full(Message::binary(vec![7; 1000])));
        assert!(socket.buffered() < high_water + 2 * 1014);
    }
}

#[tokio::test(start_paused = true)]
async fn replies_may_wait_up_to_the_high_water_and_one_message_and_then_are_given_back() {
    let high_water = 10_000;
    for role in ROLES {
        let config = config(|config| config.write_high_water = high_water);
        let messages = sent_by(peer_of(role), &vec![frame(TEXT, "answer me"); 100]);
        let (stream, _) = Scripted::new([Give::Bytes(messages)], [Take::Never]);
        let mut socket = socket(role, config, stream);
        let (_, mut outbox) = socket.recv_event().await.unwrap().expect("an event");
        while outbox.buffered() <= high_water {
            outbox.feed_binary(&[1; 1000]).unwrap();
        }
        let before = outbox.buffered();
        assert_eq!(outbox.feed_binary(&[1; 1000]), Err(SendError::BufferFull));
        assert_eq!(outbox.buffered(), before);
        assert!(before <= high_water + 1014);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_over_a_limit_disturbs_no_other_connection_of_the_server() {
    let server = Server::new().config(config(|config| {
        config.max_message_len = 1000;
        config.max_frame_len = 800;
        config.max_fragments = 3;
    }));
    let (mut good, stream) = tokio::io::duplex(1 << 16);
    let serving = server.accept(stream);
    good.write_all(UPGRADE).await.unwrap();
    let mut good_socket = serving.await.unwrap();
    let mut answer = [0; 129];
    good.read_exact(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"\r\n\r\n"));
    // The good one is in the midst of a message the whole time.
    let parts = [fragment(TEXT, "be"), fragment(CONTINUATION, "gun")];
    good.write_all(&sent_by(Role::Client, &parts))
        .await
        .unwrap();
    let begun = timeout(millis(10), good_socket.recv()).await;
    assert!(begun.is_err());
    for (frames, code) in [
        (vec![frame(BINARY, vec![1; 801])], 1009),
        (
            vec![fragment(BINARY, [1; 600]), frame(CONTINUATION, [1; 600])],
            1009,
        ),
        (
            vec![
                fragment(TEXT, ""),
                fragment(CONTINUATION, ""),
                fragment(CONTINUATION, ""),
                frame(CONTINUATION, ""),
            ],
            1008,
        ),
        (vec![frame(PING, [1; 126])], 1002),
    ] {
        let (mut bad, stream) = tokio::io::duplex(1 << 16);
        let serving = server.accept(stream);
        let wire = [UPGRADE, &sent_by(Role::Client, &frames)].concat();
        bad.write_all(&wire).await.unwrap();
        bad.shutdown().await.unwrap();
        let mut socket = serving.await.unwrap();
        let error = loop {
            if let Err(error) = socket.recv().await {
                break error;
            }
        };
        assert!(matches!(error, Error::Protocol(_)), "{error:?}");
        assert_eq!(socket.recv().await.unwrap(), None);
        let mut written = Vec::new();
        drop(socket);
        bad.read_to_end(&mut written).await.unwrap();
        assert_eq!(close_code_in(&written[129..]), Some(code));
    }
    for refused in [
        format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(20_000)),
        format!("GET /{}", "y".repeat(10_000)),
        format!("GET / HTTP/1.1\r\n{}", "x: y\r\n".repeat(200)),
    ] {
        let (mut bad, stream) = tokio::io::duplex(1 << 16);
        bad.write_all(refused.as_bytes()).await.unwrap();
        bad.shutdown().await.unwrap();
        let error = server.accept(stream).await.unwrap_err();
        assert!(matches!(error, Error::Handshake(_)), "{error:?}");
    }
    let rest = [frame(CONTINUATION, " and whole")];
    good.write_all(&sent_by(Role::Client, &rest)).await.unwrap();
    let received = good_socket.recv().await.unwrap();
    assert_eq!(received, Some(Message::text("begun and whole")));
}

// -- Rig ------------------------------------------------------------------------------------------

fn is_timed_out(error: &Error) -> bool {
    matches!(error, Error::Handshake(HandshakeError::TimedOut))
}

const UPGRADE: &[u8] = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
