//! The tokio adapter over streams that stall, tear, trickle and fail, by virtual time.
//!
//! Timeouts are the defaults where nothing else is said, and every moment is exact: the clock moves
//! only while everybody waits. After each failure the end is as documented, and later calls behave.

#![cfg(feature = "tokio")]

#[path = "support/streams.rs"]
mod streams;
mod support;

use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::Duration;

use framewright::handshake::Response;
use framewright::tokio::{Client, Error, Fed, Incoming, Server, WebSocket, accept};
use framewright::{
    CloseCode, Config, End, EndCause, Event, HandshakeError, Initiator, Message, MessageKind, Role,
    SendError, State,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout};

use streams::{Fault, Faulty, Give, Scripted, Take, millis, pass, request, secs, socket};
use support::{
    BINARY, CLOSE, PING, PONG, ROLES, TEXT, close_code_in, config, frame, peer_of, sent, sent_by,
};

// -- Streams that end -----------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_is_1006_and_no_error_wherever_it_is_torn() {
    for role in ROLES {
        let first = sent_by(peer_of(role), &[frame(TEXT, "whole")]);
        let mut wire = first.clone();
        wire.extend(sent_by(peer_of(role), &[frame(BINARY, [7; 300])]));
        for end in [Give::Eof, Give::Fail(ErrorKind::UnexpectedEof)] {
            for cut in 0..wire.len() {
                let gives = [
                    Give::Bytes(wire[..cut].to_vec()),
                    Give::Wait(secs(7)),
                    end.clone(),
                ];
                let gives = gives.into_iter().skip(usize::from(cut == 0));
                let (stream, log) = Scripted::new(gives, []);
                let mut socket = socket(role, Config::default(), stream);
                let (messages, elapsed) = timed(async {
                    let mut messages = Vec::new();
                    while let Some(message) = socket.recv().await.unwrap() {
                        messages.push(message);
                    }
                    messages
                })
                .await;
                assert_eq!(elapsed, secs(7), "{role:?}, {cut}");
                let whole = Message::text("whole");
                let expected: &[_] = if cut < first.len() { &[] } else { &[whole] };
                assert_eq!(messages, expected, "{role:?}, {cut}");
                assert_is_over(&mut socket, EndCause::EndOfStream).await;
                assert_eq!(log.writes(), 0);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replies_to_a_peer_that_shut_down_its_half_still_leave() {
    let wire = sent_by(Role::Client, &[frame(TEXT, "one"), frame(TEXT, "two")]);
    let (stream, log) = Scripted::new([Give::Bytes(wire), Give::Eof], []);
    let mut server = socket(Role::Server, Config::default(), stream);
    while let Some((event, mut outbox)) = server.recv_event().await.unwrap() {
        if let Event::Text(text) = event {
            outbox.feed_text(text).unwrap();
        }
    }
    assert_eq!(
        sent(&log.written()),
        [(TEXT, b"one".to_vec()), (TEXT, b"two".to_vec())]
    );
    assert_eq!(log.shut_down(), Some(Duration::ZERO));
    assert_is_over(&mut server, EndCause::EndOfStream).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_for_a_peer_that_is_gone_is_not_waited_for_longer_than_a_close() {
    let (stream, log) = Scripted::new([Give::Eof], [Take::Never]);
    let mut server = socket(Role::Server, Config::default(), stream);
    server.feed("nobody takes this").await.unwrap();
    let (received, elapsed) = timed(server.recv()).await;
    assert_eq!(received.unwrap(), None);
    assert_eq!(elapsed, secs(5));
    assert_eq!(log.writes(), 0);
    assert_is_over(&mut server, EndCause::EndOfStream).await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_an_error_once_and_then_the_end() {
    for role in ROLES {
        for kind in [ErrorKind::ConnectionReset, ErrorKind::Other] {
            let gives = [
                Give::Bytes(sent_by(peer_of(role), &[frame(TEXT, "whole")])),
                Give::Fail(kind),
            ];
            let (stream, _) = Scripted::new(gives, []);
            let mut socket = socket(role, Config::default(), stream);
            assert_eq!(socket.recv().await.unwrap(), Some(Message::text("whole")));
            let error = socket.recv().await.unwrap_err();
            assert_is_io(&error, kind);
            assert_is_over(&mut socket, EndCause::Transport).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_an_error_once_and_then_the_end() {
    for role in ROLES {
        for (take, kind) in [
            (Take::Fail(ErrorKind::BrokenPipe), ErrorKind::BrokenPipe),
            (Take::Bytes(0), ErrorKind::WriteZero),
        ] {
            for takes in [vec![take.clone()], vec![Take::Bytes(2), take]] {
                let (stream, _) = Scripted::new([], takes.clone());
                let mut one = socket(role, Config::default(), stream);
                assert_is_io(&one.send("hello").await.unwrap_err(), kind);
                // It will never leave, and no flush may say that it has.
                let error = one.flush().await.unwrap_err();
                assert_is_io(&error, ErrorKind::NotConnected);
                assert_is_over(&mut one, EndCause::Transport).await;

                // Who only receives is told, too.
                let (stream, _) = Scripted::new([], takes.clone());
                let mut one = socket(role, Config::default(), stream);
                one.feed("hello").await.unwrap();
                assert_is_io(&one.recv().await.unwrap_err(), kind);
                assert_is_over(&mut one, EndCause::Transport).await;

                let (stream, _) = Scripted::new([], takes.clone());
                let mut one = socket(role, Config::default(), stream);
                assert_is_io(&one.try_send("hello").unwrap_err(), kind);
                assert_is_over(&mut one, EndCause::Transport).await;

                // A close says it by its end.
                let (stream, _) = Scripted::new([], takes);
                let mut one = socket(role, Config::default(), stream);
                let end = one.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
                assert_eq!((end.cause, end.code()), (EndCause::Transport, 1006));
                assert_is_over(&mut one, EndCause::Transport).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_call_is_made_again() {
    let interrupted = || [ErrorKind::Interrupted, ErrorKind::Interrupted];
    let wire = sent_by(Role::Client, &[frame(TEXT, "hello")]);
    let gives = interrupted()
        .map(Give::Fail)
        .into_iter()
        .chain([Give::Bytes(wire)]);
    let takes = interrupted()
        .map(Take::Fail)
        .into_iter()
        .chain([Take::Bytes(3), Take::Fail(ErrorKind::Interrupted)]);
    let (stream, log) = Scripted::new(gives, takes);
    let mut server = socket(Role::Server, Config::default(), stream);
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("hello")));
    server.send("hello").await.unwrap();
    assert_eq!(sent(&log.written()), [(TEXT, b"hello".to_vec())]);
}

#[tokio::test(start_paused = true)]
async fn handshakes_survive_interrupted_calls_and_single_bytes() {
    let gives = [
        Give::Fail(ErrorKind::Interrupted),
        Give::Singly(upgrade_request()),
        Give::Singly(sent_by(Role::Client, &[frame(TEXT, "hello")])),
    ];
    let takes = [
        Take::Fail(ErrorKind::Interrupted),
        Take::Bytes(1),
        Take::Bytes(1),
    ];
    let (stream, log) = Scripted::new(gives, takes);
    let mut server = accept(stream).await.unwrap();
    assert!(log.written().starts_with(b"HTTP/1.1 101 "));
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("hello")));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_a_byte_at_a_time_is_whole() {
    for role in ROLES {
        let frames = [frame(TEXT, "Grüße"), frame(BINARY, [7; 70_000])];
        let gives = [Give::Singly(sent_by(peer_of(role), &frames))];
        let (stream, _) = Scripted::new(gives, []);
        let mut socket = socket(role, Config::default(), stream);
        assert_eq!(socket.recv().await.unwrap(), Some(Message::text("Grüße")));
        let long = Message::binary(vec![7; 70_000]);
        assert!(socket.recv().await.unwrap() == Some(long));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_at_any_call_is_a_typed_error_and_never_a_hang() {
    for role in ROLES {
        for fault in [
            Fault::Read(Some(ErrorKind::ConnectionReset)),
            Fault::Read(None),
            Fault::Write(Some(ErrorKind::BrokenPipe)),
            Fault::Write(None),
            Fault::Flush(ErrorKind::BrokenPipe),
        ] {
            for call in 1.. {
                let case = format!("{role:?}, {fault:?} at call {call}");
                let conversation = timeout(secs(3600), fail_at(role, fault, call));
                let (has_failed, outcome) = conversation.await.expect(&case);
                if !has_failed {
                    assert!(call > 3, "{case}: nothing was tried");
                    outcome.expect(&case);
                    break;
                }
                let is_ours = match (&outcome, fault) {
                    (Ok(()), _) => true,
                    (Err(Error::Io(error)), Fault::Read(Some(kind)))
                    | (Err(Error::Io(error)), Fault::Write(Some(kind)))
                    | (Err(Error::Io(error)), Fault::Flush(kind)) => error.kind() == kind,
                    (Err(Error::Io(error)), Fault::Write(None)) => {
                        error.kind() == ErrorKind::WriteZero
                    }
                    (Err(Error::Handshake(HandshakeError::EndOfStream)), Fault::Read(None)) => true,
                    _ => false,
                };
                assert!(is_ours, "{case}: {outcome:?}");
            }
        }
    }
}

// -- Streams that stall ---------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_at_20_s_and_told_at_40_s() {
    for role in ROLES {
        // Silence is silence, also inside a frame.
        let half = sent_by(peer_of(role), &[frame(TEXT, "half a frame")]);
        for gives in [vec![], vec![Give::Bytes(half[..5].to_vec())]] {
            let (stream, log) = Scripted::new(gives, []);
            let mut socket = socket(role, Config::default(), stream);
            let (received, elapsed) = timed(socket.recv()).await;
            assert_eq!(received.unwrap(), None);
            assert_eq!(log.write_times(), [secs(20), secs(40)]);
            let frames = sent(&log.written());
            assert_eq!(frames[0].0, PING);
            assert_eq!(close_code_in(&log.written()), Some(1011));
            // Then it has the time of a closing handshake to read that, and to close.
            assert_eq!((elapsed, log.shut_down()), (secs(45), Some(secs(40))));
            let end = socket.end().unwrap();
            assert_eq!(end.sent_code(), Some(CloseCode::INTERNAL_ERROR));
            assert_is_over(&mut socket, EndCause::KeepaliveTimeout).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_when_it_is_told_is_not_waited_for() {
    let (stream, _) = Scripted::new([Give::Wait(millis(40_500)), Give::Eof], []);
    let mut server = socket(Role::Server, Config::default(), stream);
    let (received, elapsed) = timed(server.recv()).await;
    assert_eq!(received.unwrap(), None);
    assert_eq!(elapsed, millis(40_500));
    assert_is_over(&mut server, EndCause::KeepaliveTimeout).await;
}

#[tokio::test(start_paused = true)]
async fn any_byte_is_a_sign_of_life() {
    // One byte of a message in time, whatever it is: no Ping is sent for an hour.
    let mut gives = vec![Give::Bytes(
        sent_by(Role::Client, &[frame(BINARY, [0; 1000])])[..20].to_vec(),
    )];
    for _ in 0..180 {
        gives.extend([Give::Wait(secs(19)), Give::Bytes(vec![0])]);
    }
    // The last moment is in time as well.
    gives.extend([Give::Wait(millis(39_999)), Give::Bytes(vec![0])]);
    let (stream, log) = Scripted::new(gives, []);
    let mut server = socket(Role::Server, Config::default(), stream);
    let (received, elapsed) = timed(server.recv()).await;
    assert_eq!(received.unwrap(), None);
    let silence = secs(180 * 19);
    let last = silence + millis(39_999);
    assert_eq!(
        log.write_times(),
        [silence + secs(20), last + secs(20), last + secs(40)]
    );
    assert_eq!(elapsed, last + secs(45));
    assert_is_over(&mut server, EndCause::KeepaliveTimeout).await;
}

#[tokio::test(start_paused = true)]
async fn keepalive_goes_on_where_every_recv_is_dropped() {
    let (stream, log) = Scripted::new([], []);
    let mut server = socket(Role::Server, Config::default(), stream);
    let started = Instant::now();
    let received = loop {
        // As in a `select!` with a branch that is always sooner.
        if let Ok(received) = timeout(millis(300), server.recv()).await {
            break received;
        }
    };
    assert_eq!(received.unwrap(), None);
    assert_eq!(log.write_times(), [secs(20), secs(40)]);
    assert_eq!(started.elapsed(), secs(45));
    assert_is_over(&mut server, EndCause::KeepaliveTimeout).await;
}

#[tokio::test(start_paused = true)]
async fn two_adapters_keep_each_other_alive_for_a_day() {
    let (mut client, mut server) = streams::pair(1024).await;
    let talk = async {
        let waited = timeout(secs(86_400), client.recv()).await;
        assert!(waited.is_err(), "{waited:?}");
        let end = client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        let round_trip_time = client.connection().round_trip_time();
        drop(client);
        (end, round_trip_time)
    };
    let ((end, ours), received) = tokio::join!(talk, server.recv());
    assert!(end.is_clean());
    assert_eq!(received.unwrap(), None);
    // A Ping of one is a sign of life for both, so one may do all the asking.
    assert!(ours.or(server.connection().round_trip_time()).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_came_while_the_application_was_busy_is_received_before_a_deadline_is_kept() {
    let wire = sent_by(Role::Client, &[frame(TEXT, "in time")]);
    let (stream, log) = Scripted::new([Give::Bytes(wire)], []);
    let mut server = socket(Role::Server, Config::default(), stream);
    sleep(secs(100)).await;
    server.feed("busy").await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("in time")));
    // It was not pinged.
    assert_eq!(sent(&log.written()), [(TEXT, b"busy".to_vec())]);
    assert_eq!(server.connection().state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_messages_closes_at_idle_timeout() {
    let config = config(|config| config.idle_timeout = Some(secs(50)));
    // Pongs are life, and no messages.
    let mut gives = Vec::new();
    for _ in 0..5 {
        gives.extend([
            Give::Wait(secs(10)),
            Give::Bytes(sent_by(Role::Client, &[frame(PONG, "")])),
        ]);
    }
    let answer = sent_by(Role::Client, &[support::frame(CLOSE, [0x03, 0xe9])]);
    gives.extend([Give::Wait(secs(1)), Give::Bytes(answer), Give::Eof]);
    let (stream, log) = Scripted::new(gives, []);
    let mut server = socket(Role::Server, config, stream);
    let (received, elapsed) = timed(server.recv()).await;
    assert_eq!(received.unwrap(), None);
    assert_eq!((log.write_times(), elapsed), (vec![secs(50)], secs(51)));
    assert_eq!(close_code_in(&log.written()), Some(1001));
    let end = server.end().unwrap();
    assert_eq!((end.cause, end.code()), (EndCause::IdleTimeout, 1001));
    assert!(end.is_clean());
}

#[tokio::test(start_paused = true)]
async fn without_timeouts_nothing_is_ever_given_up() {
    let day = secs(86_400);
    for role in ROLES {
        let wire = |frames: &[support::RawFrame]| Give::Bytes(sent_by(peer_of(role), frames));
        let gives = [
            Give::Wait(day),
            wire(&[frame(TEXT, "at last")]),
            Give::Wait(day),
            wire(&[frame(CLOSE, [0x03, 0xe8])]),
            Give::Wait(day),
            Give::Eof,
        ];
        let (stream, log) = Scripted::new(gives, [Take::Wait(2 * day)]);
        let mut socket = socket(role, without_timeouts(), stream);
        let (received, elapsed) = timed(socket.recv()).await;
        assert_eq!(received.unwrap(), Some(Message::text("at last")));
        assert_eq!((elapsed, log.writes()), (day, 0));
        let (closed, elapsed) = timed(socket.close(CloseCode::NORMAL_CLOSURE, "")).await;
        let end = closed.unwrap();
        assert!(end.is_clean());
        assert_eq!((end.cause, end.code()), (EndCause::ClosingHandshake, 1000));
        assert_eq!(elapsed, 2 * day);
        // The write waited from the close on.
        assert_eq!(log.write_times(), [3 * day]);
    }
}

#[tokio::test(start_paused = true)]
async fn handshakes_without_timeouts_wait_for_a_day() {
    let day = secs(86_400);
    let (stream, _) = Scripted::new([Give::Wait(day), Give::Bytes(upgrade_request())], []);
    let server = Server::new().config(without_timeouts());
    let (accepted, elapsed) = timed(server.accept(stream)).await;
    accepted.unwrap();
    assert_eq!(elapsed, day);
    let (stream, _) = Scripted::new([Give::Wait(day), Give::Eof], []);
    let client = Client::new(request()).config(without_timeouts());
    let (opened, elapsed) = timed(client.handshake(stream)).await;
    assert_is_handshake(&opened.unwrap_err(), &HandshakeError::EndOfStream);
    assert_eq!(elapsed, day);
}

// -- Peers that do not read -----------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_left_after_write_timeout() {
    for role in ROLES {
        for takes in [vec![Take::Never], vec![Take::Bytes(1), Take::Never]] {
            let (stream, _) = Scripted::new([], takes.clone());
            let mut one = socket(role, Config::default(), stream);
            let (sent, elapsed) = timed(one.send("hello")).await;
            assert!(matches!(sent, Err(Error::WriteTimeout)), "{sent:?}");
            assert_eq!(elapsed, secs(30));
            assert!(one.flush().await.is_err());
            assert_is_over(&mut one, EndCause::Transport).await;

            let (stream, _) = Scripted::new([], takes.clone());
            let mut one = socket(role, Config::default(), stream);
            let (fed, elapsed) = timed(async {
                loop {
                    if let Err(error) = one.feed(vec![0; 1000]).await {
                        return error;
                    }
                }
            })
            .await;
            assert!(matches!(fed, Error::WriteTimeout), "{fed:?}");
            assert_eq!(elapsed, secs(30));
            assert_is_over(&mut one, EndCause::Transport).await;

            // Who only receives is told, too; what the peer sends makes no difference.
            let life = Give::Drip(sent_by(peer_of(role), &[frame(PONG, "")]), secs(1));
            let (stream, _) = Scripted::new([life], takes);
            let mut one = socket(role, Config::default(), stream);
            one.feed("hello").await.unwrap();
            let (received, elapsed) = timed(one.recv()).await;
            assert!(matches!(received, Err(Error::WriteTimeout)), "{received:?}");
            assert_eq!(elapsed, secs(30));
            assert_is_over(&mut one, EndCause::Transport).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_timeout_runs_on_where_every_send_is_dropped() {
    let (stream, _) = Scripted::new([], [Take::Never]);
    let mut server = socket(Role::Server, Config::default(), stream);
    let started = Instant::now();
    server.feed("hello").await.unwrap();
    let flushed = loop {
        if let Ok(flushed) = timeout(millis(300), server.flush()).await {
            break flushed;
        }
    };
    assert!(matches!(flushed, Err(Error::WriteTimeout)), "{flushed:?}");
    assert_eq!(started.elapsed(), secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_byte_now_and_then_is_not_one_that_never_reads() {
    let (stream, log) = Scripted::new([], [Take::Drip(secs(29))]);
    let mut server = socket(Role::Server, Config::default(), stream);
    let (sent, elapsed) = timed(server.send("hello")).await;
    sent.unwrap();
    assert_eq!((elapsed, log.writes()), (7 * secs(29), 7));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_pings_and_never_reads_makes_nothing_grow() {
    let ping = frame(PING, [0; 125]).sent_by(Role::Client).bytes();
    let (stream, _) = Scripted::new([Give::Drip(ping.repeat(20), millis(10))], [Take::Never]);
    let mut server = socket(Role::Server, Config::default(), stream);
    let started = Instant::now();
    let error = loop {
        match server.recv_event().await {
            Ok(Some((_, outbox))) => assert!(outbox.buffered() <= 127),
            Ok(None) => panic!("a stalled write is an error"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::WriteTimeout), "{error:?}");
    // Its time runs from the first Pong on.
    assert_eq!(started.elapsed(), millis(30_010));
    assert_is_over(&mut server, EndCause::Transport).await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_only_feeds_stops_at_the_high_water() {
    for message_len in [1, 1000, 100_000] {
        let mut takes = Vec::new();
        // What the peer takes in a minute: a window every second.
        for _ in 0..60 {
            takes.extend([Take::Wait(secs(1)), Take::Bytes(16 << 10)]);
        }
        takes.push(Take::Never);
        let (stream, log) = Scripted::new([], takes);
        let config = Config::default();
        let most = config.write_high_water + message_len + 10;
        let mut server = socket(Role::Server, config, stream);
        let started = Instant::now();
        let mut fed = 0;
        while started.elapsed() < secs(60) {
            match timeout(millis(700), server.feed(vec![0; message_len])).await {
                Ok(outcome) => {
                    outcome.unwrap();
                    fed += 1;
                }
                Err(_) => {
                    let full = server.try_feed(vec![0; message_len]).unwrap();
                    assert_eq!(full, Fed::Full(vec![0; message_len].into()));
                    assert!(server.buffered() > most - message_len - 10);
                }
            }
            assert!(server.buffered() <= most, "{}", server.buffered());
        }
        let taken = log.written().len();
        assert!(taken >= 59 * (16 << 10));
        let header_len = support::frame(BINARY, vec![0; message_len]).bytes().len() - message_len;
        assert_eq!(taken + server.buffered(), fed * (message_len + header_len));
    }
}

#[tokio::test(start_paused = true)]
async fn an_echo_to_a_peer_that_does_not_read_reads_no_more_than_the_high_water() {
    let text = frame(BINARY, [0; 1000]).sent_by(Role::Client).bytes();
    let flood = Give::Flood(text, Duration::ZERO);
    let (stream, log) = Scripted::new([flood], [Take::Never]);
    let mut server = socket(Role::Server, Config::default(), stream);
    let (error, elapsed) = timed(async {
        loop {
            match server.recv_event().await {
                Ok(Some((Event::Binary(data), mut outbox))) => outbox.feed_binary(data).unwrap(),
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        }
    })
    .await;
    assert!(matches!(error, Error::WriteTimeout), "{error:?}");
    assert_eq!(elapsed, secs(30));
    let read = log.look(|record| record.bytes_read);
    let most = Config::default().write_high_water;
    assert!(read <= most + (64 << 10) + 2000, "{read}");
    assert!(server.buffered() <= most + 1004, "{}", server.buffered());
    assert_is_over(&mut server, EndCause::Transport).await;
}

// -- The closing handshake ------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_a_close_is_left_after_close_timeout() {
    for role in ROLES {
        let byte = sent_by(peer_of(role), &[frame(BINARY, [0; 1000])])[..20].to_vec();
        let text = sent_by(peer_of(role), &[frame(TEXT, "on and on")]);
        for (name, gives) in [
            ("silent", vec![]),
            (
                "trickles",
                vec![Give::Bytes(byte), Give::Drip(vec![0], millis(300))],
            ),
            ("talks", vec![Give::Drip(text.clone(), millis(300))]),
            ("floods", vec![Give::Flood(text, millis(10))]),
        ] {
            let (stream, log) = Scripted::new(gives, []);
            let mut socket = socket(role, Config::default(), stream);
            let closed = socket.close(CloseCode::GOING_AWAY, "bye");
            let (end, elapsed) = timed(timeout(secs(3600), closed)).await;
            let end = end.expect("it does not hang").unwrap();
            let case = format!("{role:?}, {name}");
            // A read that is under way then may bring what came in time.
            let grace = if name == "floods" {
                millis(10)
            } else {
                millis(0)
            };
            assert_eq!(elapsed, secs(5) + grace, "{case}");
            assert_eq!(end.cause, EndCause::CloseTimeout, "{case}");
            assert_eq!(end.initiator, Some(Initiator::Local));
            assert_eq!(end.sent_code(), Some(CloseCode::GOING_AWAY));
            assert_eq!(close_code_in(&log.written()), Some(1001));
            assert_is_over(&mut socket, EndCause::CloseTimeout).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_of_a_close_is_left_after_close_timeout() {
    for role in ROLES {
        for (name, takes) in [
            ("never", vec![Take::Never]),
            ("trickles", vec![Take::Drip(millis(300))]),
        ] {
            for queued in [0, 100, 200_000] {
                let case = format!("{role:?}, {name}, {queued} bytes before it");
                let (stream, _) = Scripted::new([], takes.clone());
                let mut socket = socket(role, Config::default(), stream);
                if queued > 0 {
                    socket.feed(vec![0; queued]).await.unwrap();
                }
                let closed = socket.close(CloseCode::GOING_AWAY, "bye");
                let (end, elapsed) = timed(closed).await;
                assert_eq!(elapsed, secs(5), "{case}");
                assert_eq!(end.unwrap().cause, EndCause::CloseTimeout, "{case}");
                assert_is_over(&mut socket, EndCause::CloseTimeout).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_stalled_before_does_not_prolong_a_close() {
    for queued in [100, 200_000] {
        let (stream, _) = Scripted::new([], [Take::Never]);
        let mut server = socket(Role::Server, Config::default(), stream);
        server.feed(vec![0; queued]).await.unwrap();
        // It has stalled for a second of its thirty.
        let stalled = timeout(secs(1), server.flush()).await;
        assert!(stalled.is_err());
        let (end, elapsed) = timed(server.close(CloseCode::GOING_AWAY, "")).await;
        assert_eq!(elapsed, secs(5), "{queued} bytes queued");
        assert_eq!(end.unwrap().cause, EndCause::CloseTimeout);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_keeps_its_stream_open_after_both_closes_is_left_after_close_timeout() {
    for role in ROLES {
        let close = sent_by(peer_of(role), &[frame(CLOSE, [0x03, 0xe8])]);
        for (name, after) in [
            ("silent", None),
            ("trickles", Some(Give::Drip(vec![0], millis(300)))),
        ] {
            let gives = [Give::Wait(secs(1)), Give::Bytes(close.clone())];
            let gives = gives.into_iter().chain(after);
            let (stream, log) = Scripted::new(gives, []);
            let mut socket = socket(role, Config::default(), stream);
            let (received, elapsed) = timed(socket.recv()).await;
            assert_eq!(received.unwrap(), None);
            assert_eq!(elapsed, secs(6), "{role:?}, {name}");
            let end = socket.end().unwrap();
            assert!(end.is_clean());
            assert_eq!((end.cause, end.code()), (EndCause::ClosingHandshake, 1000));
            assert_eq!(end.initiator, Some(Initiator::Peer));
            // 7.1.1: the server closes first.
            let shut_down = match role {
                Role::Server => secs(1),
                Role::Client => secs(6),
            };
            assert_eq!(log.shut_down(), Some(shut_down));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_floods_after_the_end_is_read_only_so_far() {
    for role in ROLES {
        let ends = [
            frame(CLOSE, [0x03, 0xe8]),
            // 5.2: such an opcode is reserved, and the connection fails.
            frame(0x3, ""),
        ];
        for end in ends {
            let failing = end.opcode != CLOSE;
            // Only the bound on what is drained can end this.
            let config = config(|config| {
                config.close_timeout = None;
                config.max_drain_len = 1 << 20;
            });
            let gives = [
                Give::Bytes(sent_by(peer_of(role), &[end])),
                Give::Flood(vec![0; 60_000], Duration::ZERO),
            ];
            let (stream, log) = Scripted::new(gives, []);
            let mut socket = socket(role, config, stream);
            assert_eq!(socket.recv().await.is_err(), failing);
            assert_eq!(socket.recv().await.unwrap(), None);
            let read = log.look(|record| record.bytes_read);
            assert!((1 << 20..(1 << 20) + (128 << 10)).contains(&read), "{read}");
            let cause = socket.end().unwrap().cause;
            assert_eq!(matches!(cause, EndCause::Protocol(_)), failing);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_after_the_end_that_has_no_bound_ends_with_close_timeout() {
    for role in ROLES {
        let config = config(|config| config.max_drain_len = Config::UNLIMITED);
        let gives = [
            Give::Bytes(sent_by(peer_of(role), &[frame(CLOSE, [0x03, 0xe8])])),
            Give::Flood(vec![0; 60_000], millis(10)),
        ];
        let (stream, log) = Scripted::new(gives, []);
        let mut socket = socket(role, config, stream);
        let (received, elapsed) = timed(timeout(secs(3600), socket.recv())).await;
        assert_eq!(received.expect("it does not hang").unwrap(), None);
        assert_eq!(elapsed, secs(5) + millis(10), "{role:?}");
        assert!(log.reads() > 400);
        assert!(socket.end().unwrap().is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_floods_and_does_not_read_is_left_after_one_close_timeout() {
    for role in ROLES {
        let text = sent_by(peer_of(role), &[frame(TEXT, "on and on")]);
        let (stream, log) = Scripted::new([Give::Flood(text, millis(10))], [Take::Never]);
        let mut socket = socket(role, Config::default(), stream);
        let closed = socket.close(CloseCode::GOING_AWAY, "bye");
        let (end, elapsed) = timed(timeout(secs(3600), closed)).await;
        let end = end.expect("it does not hang").unwrap();
        assert_eq!(elapsed, secs(5) + millis(10), "{role:?}");
        assert_eq!(end.cause, EndCause::CloseTimeout);
        assert_eq!(log.written(), []);
        assert_is_over(&mut socket, EndCause::CloseTimeout).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_was_answered_in_time_is_clean_however_late_it_is_read() {
    for role in ROLES {
        let frames = [frame(TEXT, "in flight"), frame(CLOSE, [0x03, 0xe9])];
        let gives = [Give::Bytes(sent_by(peer_of(role), &frames)), Give::Eof];
        let (stream, _) = Scripted::new(gives, []);
        let mut socket = socket(role, Config::default(), stream);
        socket.send_close(CloseCode::GOING_AWAY, "").await.unwrap();
        // The application has other things to do before it asks for the end.
        sleep(secs(100)).await;
        assert_eq!(
            socket.recv().await.unwrap(),
            Some(Message::text("in flight"))
        );
        assert_eq!(socket.recv().await.unwrap(), None);
        let end = socket.end().unwrap();
        assert!(end.is_clean(), "{end:?}");
        assert_eq!((end.cause, end.code()), (EndCause::ClosingHandshake, 1001));
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_timeout_of_zero_still_sends_the_close() {
    let config = config(|config| config.close_timeout = Some(Duration::ZERO));
    let (stream, log) = Scripted::new([], []);
    let mut server = socket(Role::Server, config, stream);
    let (end, elapsed) = timed(server.close(CloseCode::NORMAL_CLOSURE, "")).await;
    assert_eq!(end.unwrap().cause, EndCause::CloseTimeout);
    assert_eq!(elapsed, Duration::ZERO);
    assert_eq!(close_code_in(&log.written()), Some(1000));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_shuts_down_does_not_prolong_a_close() {
    for role in ROLES {
        let close = sent_by(peer_of(role), &[frame(CLOSE, [0x03, 0xe8])]);
        let (stream, _) = Scripted::new([Give::Bytes(close)], []);
        let mut socket = socket(role, Config::default(), stream.that_never_shuts_down());
        let (received, elapsed) = timed(socket.recv()).await;
        assert_eq!(received.unwrap(), None);
        assert_eq!(elapsed, secs(5), "{role:?}");
        assert!(socket.end().unwrap().is_clean());
    }
}

// -- The opening handshake ------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_or_drips_gets_408_at_handshake_timeout() {
    let request = upgrade_request();
    for (name, gives) in [
        ("silent", vec![]),
        ("drips", vec![Give::Drip(vec![b'x'], millis(300))]),
        (
            "stalls",
            vec![Give::Bytes(request[..request.len() - 1].to_vec())],
        ),
    ] {
        let (stream, log) = Scripted::new(gives, []);
        let (accepted, elapsed) = timed(accept(stream)).await;
        assert_is_handshake(&accepted.unwrap_err(), &HandshakeError::TimedOut);
        let answer = String::from_utf8(log.written()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{name}: {answer}");
        assert_eq!(log.write_times(), [secs(10)], "{name}");
        // Its answer is not lost to bytes that were not read.
        assert_eq!(log.shut_down(), Some(secs(10)), "{name}");
        assert_eq!((elapsed, log.dropped()), (secs(15), Some(secs(15))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_or_drips_is_left_at_handshake_timeout() {
    for (name, gives) in [
        ("silent", vec![]),
        (
            "drips",
            vec![
                Give::Bytes(b"HTTP/1.1 101 Switching Protocols\r\nX: ".to_vec()),
                Give::Drip(vec![b'x'], millis(300)),
            ],
        ),
        (
            "stalls",
            vec![Give::Bytes(b"HTTP/1.1 101 Switching".to_vec())],
        ),
    ] {
        let (stream, log) = Scripted::new(gives, []);
        let (opened, elapsed) = timed(Client::new(request()).handshake(stream)).await;
        let error = opened.unwrap_err();
        assert_is_handshake(&error, &HandshakeError::TimedOut);
        let left = (elapsed, log.dropped());
        assert_eq!(left, (secs(10), Some(secs(10))), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_request_is_left_at_handshake_timeout() {
    for takes in [Take::Never, Take::Drip(secs(1))] {
        let (stream, log) = Scripted::new([], [takes]);
        let (opened, elapsed) = timed(Client::new(request()).handshake(stream)).await;
        let error = opened.unwrap_err();
        assert!(matches!(error, Error::WriteTimeout), "{error:?}");
        assert_eq!((elapsed, log.dropped()), (secs(10), Some(secs(10))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_101_is_left_after_write_timeout() {
    let gives = [Give::Bytes(upgrade_request())];
    let (stream, log) = Scripted::new(gives, [Take::Never]);
    let (accepted, elapsed) = timed(accept(stream)).await;
    let error = accepted.unwrap_err();
    assert!(matches!(error, Error::WriteTimeout), "{error:?}");
    assert_eq!((elapsed, log.dropped()), (secs(30), Some(secs(30))));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_refusal_is_left_after_close_timeout() {
    let plain = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    for (name, takes) in [
        ("never", vec![Take::Never]),
        ("drips", vec![Take::Drip(secs(1))]),
    ] {
        let (stream, log) = Scripted::new([Give::Bytes(plain.clone())], takes);
        let (accepted, elapsed) = timed(accept(stream)).await;
        assert_is_handshake(&accepted.unwrap_err(), &HandshakeError::NotAnUpgrade);
        assert_eq!((elapsed, log.dropped()), (secs(5), Some(secs(5))), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_refused_and_stays_is_left_after_close_timeout() {
    let plain = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    for (name, after) in [
        ("silent", None),
        ("drips", Some(Give::Drip(vec![0], millis(300)))),
        ("floods", Some(Give::Flood(vec![0; 10], millis(10)))),
    ] {
        for never_shuts_down in [false, true] {
            let case = format!("{name}, never shuts down: {never_shuts_down}");
            let gives = [Give::Bytes(plain.clone())]
                .into_iter()
                .chain(after.clone());
            let (mut stream, log) = Scripted::new(gives, []);
            if never_shuts_down {
                stream = stream.that_never_shuts_down();
            }
            let Incoming::Plain(plain) = Server::new().receive(stream).await.unwrap() else {
                panic!("a plain request is no upgrade");
            };
            let response = Response::new(200).unwrap().body("well\n");
            let (responded, elapsed) = timed(timeout(secs(3600), plain.respond(&response))).await;
            responded.expect(&case).expect(&case);
            assert_eq!((elapsed, log.dropped()), (secs(5), Some(secs(5))), "{case}");
            assert!(log.written().ends_with(b"\r\n\r\nwell\n"), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_refused_and_floods_is_read_only_so_far() {
    let plain = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    let gives = [
        Give::Bytes(plain),
        Give::Flood(vec![0; 60_000], Duration::ZERO),
    ];
    let (stream, log) = Scripted::new(gives, []);
    let config = config(|config| {
        config.close_timeout = None;
        config.max_drain_len = 1 << 20;
    });
    let accepted = Server::new().config(config).accept(stream).await;
    assert_is_handshake(&accepted.unwrap_err(), &HandshakeError::NotAnUpgrade);
    let read = log.look(|record| record.bytes_read);
    assert!((1 << 20..(1 << 20) + (128 << 10)).contains(&read), "{read}");
}

// -- Rig ------------------------------------------------------------------------------------------

/// Says how long a future took.
async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    let outcome = future.await;
    (outcome, started.elapsed())
}

/// Asserts what holds of every socket that has ended, whatever it is asked, and at once.
async fn assert_is_over<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocket<S>,
    cause: EndCause,
) {
    let started = Instant::now();
    let end: End = socket.end().cloned().expect("an end");
    assert_eq!((end.cause, end.code()), (cause, 1006));
    assert!(!end.is_clean());
    assert_eq!(socket.connection().state(), State::Closed);
    for _ in 0..3 {
        assert_eq!(socket.recv().await.unwrap(), None);
        assert!(socket.recv_event().await.unwrap().is_none());
    }
    assert_is_closing(socket.feed("late").await);
    assert_is_closing(socket.send("late").await);
    assert_is_closing(socket.try_feed("late").map(drop));
    assert_is_closing(socket.try_send("late").map(drop));
    assert_is_closing(socket.send_ping(b"late").await);
    assert_is_closing(socket.send_close(CloseCode::NORMAL_CLOSURE, "").await);
    assert_is_closing(socket.send_fragment(MessageKind::Text, b"late", true).await);
    let is_empty = socket.buffered() == 0;
    assert_eq!(socket.flush().await.is_ok(), is_empty);
    let code = CloseCode::NORMAL_CLOSURE;
    assert_eq!(socket.close(code, "").await.unwrap(), end);
    assert_eq!(socket.recv().await.unwrap(), None);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

fn assert_is_closing(outcome: Result<(), Error>) {
    assert!(
        matches!(outcome, Err(Error::Send(SendError::Closing))),
        "{outcome:?}"
    );
}

fn assert_is_io(error: &Error, kind: ErrorKind) {
    assert!(
        matches!(error, Error::Io(error) if error.kind() == kind),
        "{error:?}"
    );
}

fn assert_is_handshake(error: &Error, expected: &HandshakeError) {
    assert!(
        matches!(error, Error::Handshake(error) if error == expected),
        "{error:?}"
    );
}

fn without_timeouts() -> Config {
    config(|config| {
        config.handshake_timeout = None;
        config.ping_interval = None;
        config.pong_timeout = None;
        config.idle_timeout = None;
        config.close_timeout = None;
        config.write_timeout = None;
        config.connect_timeout = None;
    })
}

/// RFC 6455, section 1.2, less its subprotocols and its origin.
fn upgrade_request() -> Vec<u8> {
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
      Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
      Sec-WebSocket-Version: 13\r\n\r\n"
        .to_vec()
}

/// Runs a conversation in which one end's stream fails at a call, and says whether that call was
/// made and how the conversation went.
async fn fail_at(role: Role, fault: Fault, call: usize) -> (bool, Result<(), Error>) {
    let (stream, peer) = tokio::io::duplex(16 << 10);
    let (faulty, has_failed) = Faulty::new(stream, fault, call);
    // The peer meets whatever the failure leaves it, and ends, because its stream does.
    let outcome = match role {
        Role::Client => {
            let open = async {
                let (socket, _) = Client::new(request()).handshake(faulty).await?;
                converse(socket).await
            };
            let serve = async {
                if let Ok(mut socket) = accept(peer).await {
                    let _ = echo(&mut socket).await;
                }
            };
            tokio::join!(open, serve).0
        }
        Role::Server => {
            let open = async { converse(accept(faulty).await?).await };
            let serve = async {
                if let Ok((mut socket, _)) = Client::new(request()).handshake(peer).await {
                    let _ = echo(&mut socket).await;
                }
            };
            tokio::join!(open, serve).0
        }
    };
    (has_failed.load(Ordering::Relaxed), outcome)
}

/// The README's echo.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    while let Some((event, mut outbox)) = socket.recv_event().await? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            _ => {}
        }
    }
    Ok(())
}

/// Says a few things to an echo, and checks what holds of a socket that has failed.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocket<S>,
) -> Result<(), Error> {
    let mut outcome = speak(&mut socket).await;
    if matches!(outcome, Err(Error::Send(SendError::Closing))) {
        // The stream has ended, which is no error; nothing can be sent after it.
        assert_eq!(socket.end().unwrap().cause, EndCause::EndOfStream);
        outcome = Ok(());
    }
    if outcome.is_err() {
        assert_is_over(&mut socket, EndCause::Transport).await;
    }
    let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await?;
    assert_eq!(socket.recv().await.unwrap(), None);
    assert_eq!(socket.end(), Some(&end));
    let again = socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
    assert_eq!(again, end);
    outcome
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    socket.send("hello").await?;
    expect_echo(socket, "hello").await?;
    socket
        .send_fragment(MessageKind::Text, b"hel", false)
        .await?;
    socket.send_ping(b"between").await?;
    socket.send_fragment(MessageKind::Text, b"lo", true).await?;
    expect_echo(socket, "hello").await?;
    let long = "z".repeat(100_000);
    socket.feed(long.as_str()).await?;
    expect_echo(socket, &long).await
}

/// Receives an echo; the end of the connection is none.
async fn expect_echo<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocket<S>,
    text: &str,
) -> Result<(), Error> {
    match socket.recv().await? {
        Some(message) => assert_eq!(message.as_text(), Some(text)),
        None => assert_eq!(socket.end().unwrap().cause, EndCause::EndOfStream),
    }
    Ok(())
}

/// The clock of the rig moves without anybody waiting for it.
#[tokio::test(start_paused = true)]
async fn the_rig_can_let_time_pass() {
    let started = Instant::now();
    pass(secs(3));
    assert_eq!(started.elapsed(), secs(3));
}
