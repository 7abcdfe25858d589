//! The tokio adapter: every method of a socket that is whole, of a server and of a client.
//!
//! What the adapter adds to the core, over streams in memory: reads and writes gathered, refusals
//! answered, nothing lost between a handshake and the first frame. Streams that misbehave are in
//! `tokio_faults`, dropped futures in `tokio_cancel`.

#![cfg(feature = "tokio")]

#[path = "support/streams.rs"]
mod streams;
mod support;

use std::future::poll_fn;
use std::time::Duration;

use framewright::handshake::{Acceptance, ClientRequest, OriginPolicy, Response};
use framewright::tokio::{Client, Error, Fed, Incoming, Parts, Server, WebSocket, accept};
use framewright::{
    CloseCode, CloseFrame, Compression, Config, Connection, Delivery, End, EndCause, Event,
    HandshakeError, Initiator, Message, MessageKind, ProtocolError, RecvBuffer, Role, SendBuffer,
    SendError, State,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};

use streams::{Give, Scripted, Take, pair, request, socket};
use support::{
    BINARY, CLOSE, PING, PONG, ROLES, Received, TEXT, binary, close_code_in, config, fragment,
    frame, peer_of, ping, pong, sent, sent_by, text,
};

/// Room for whatever a test has under way.
const ROOM: usize = 64 << 10;

/// The room of the first read of a socket.
const FIRST_READ: usize = 4 << 10;

// -- Opening, talking, closing --------------------------------------------------------------------

#[tokio::test]
async fn a_client_and_a_server_meet_talk_and_part() {
    let (mut client, mut server) = pair(ROOM).await;
    assert_eq!((client.subprotocol(), server.subprotocol()), (None, None));
    assert_eq!((client.end(), server.end()), (None, None));
    assert_eq!(client.connection().role(), Role::Client);
    assert_eq!(server.connection().role(), Role::Server);
    client.send("hello").await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("hello")));
    server.send(vec![1, 2, 3]).await.unwrap();
    let received = client.recv().await.unwrap();
    assert_eq!(received, Some(Message::binary(vec![1, 2, 3])));
    let close = async {
        let end = client.close(CloseCode::GOING_AWAY, "bye").await.unwrap();
        assert_eq!(client.end(), Some(&end));
        end
    };
    let receive = async {
        assert_eq!(server.recv().await.unwrap(), None);
        assert_eq!(server.recv().await.unwrap(), None);
        let end = server.end().cloned().unwrap();
        // The client waits for the server to close.
        drop(server);
        end
    };
    let (ours, theirs) = tokio::join!(close, receive);
    assert_ended(&ours, 1001, Initiator::Local);
    assert_ended(&theirs, 1001, Initiator::Peer);
    assert_eq!((ours.reason(), theirs.reason()), ("", "bye"));
}

#[tokio::test]
async fn messages_of_every_length_come_back_as_they_were() {
    const LONGEST: usize = 16 << 20;
    let (mut client, server) = pair(ROOM).await;
    let server = tokio::spawn(echo(server));
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20, LONGEST] {
        let (text, data) = (Message::from("~".repeat(len)), Message::from(noise(len)));
        for message in [text, data] {
            // It waits for the echo to read, which waits for this end to read in its turn.
            client.feed(message.clone()).await.unwrap();
            assert!(client.recv().await.unwrap() == Some(message), "{len} bytes");
        }
    }
    client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_breaks_a_rule_is_told_and_the_error_comes_once() {
    for role in ROLES {
        let (stream, mut peer) = duplex(ROOM);
        let mut socket = socket(role, Config::default(), stream);
        // 5.1: a client masks, and a server does not.
        let wire = sent_by(role, &[frame(TEXT, "x")]);
        peer.write_all(&wire).await.unwrap();
        peer.shutdown().await.unwrap();
        let error = socket.recv().await.unwrap_err();
        let rule = match role {
            Role::Client => ProtocolError::MaskUnexpected,
            Role::Server => ProtocolError::MaskMissing,
        };
        assert!(matches!(error, Error::Protocol(error) if error == rule));
        // The connection is over: what follows is its end, not the error again.
        assert_eq!(socket.recv().await.unwrap(), None);
        assert!(socket.recv_event().await.unwrap().is_none());
        let end = socket.end().unwrap();
        assert_eq!((end.cause, end.code()), (EndCause::Protocol(rule), 1006));
        drop(socket);
        let mut told = Vec::new();
        peer.read_to_end(&mut told).await.unwrap();
        assert_eq!(close_code_in(&told), Some(1002));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_is_read_so_that_its_sender_sees_1009() {
    let (mut client, server) = pair(1000).await;
    let receive = async {
        let parts = server.into_parts();
        let config = config(|config| config.max_message_len = 10_000);
        let mut server = socket(Role::Server, config, parts.stream);
        let received = server.recv().await;
        drop(server);
        received
    };
    let send = async {
        client.send(vec![0; 10_001]).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), None);
        let code = client.end().unwrap().code();
        // The server waits for it to close.
        drop(client);
        code
    };
    let (received, code) = tokio::join!(receive, send);
    assert!(matches!(
        received,
        Err(Error::Protocol(ProtocolError::MessageTooLong))
    ));
    assert_eq!(code, 1009);
}

// -- Receiving ------------------------------------------------------------------------------------

#[tokio::test]
async fn recv_returns_messages_and_recv_event_everything() {
    let wire = sent_by(
        Role::Client,
        &[
            frame(PING, "asked"),
            frame(TEXT, "one"),
            fragment(BINARY, "in "),
            frame(PONG, "unasked"),
            frame(0, "pieces"),
            frame(CLOSE, support::close_payload(1000, b"bye")),
        ],
    );
    let script = || [Give::Bytes(wire.clone()), Give::Eof];
    let (stream, log) = Scripted::new(script(), []);
    let mut server = socket(Role::Server, Config::default(), stream);
    let mut messages = Vec::new();
    while let Some(message) = server.recv().await.unwrap() {
        messages.push(message);
    }
    assert_eq!(
        messages,
        [Message::text("one"), Message::binary("in pieces")]
    );
    let answers = [(PONG, b"asked".to_vec()), (CLOSE, vec![0x03, 0xe8])];
    assert_eq!(sent(&log.written()), answers);

    let (stream, log) = Scripted::new(script(), []);
    let mut server = socket(Role::Server, Config::default(), stream);
    let mut events = Vec::new();
    while let Some((event, _)) = server.recv_event().await.unwrap() {
        events.push(Received::from(event));
    }
    assert_eq!(
        events,
        [
            ping("asked"),
            text("one"),
            pong("unasked"),
            binary("in pieces"),
            support::close(1000, "bye"),
        ]
    );
    assert_eq!(sent(&log.written()), answers);
}

#[tokio::test]
async fn an_event_may_be_kept_across_an_await() {
    let (mut client, mut server) = pair(ROOM).await;
    client.send("kept").await.unwrap();
    client.send("next").await.unwrap();
    let (event, mut outbox) = server.recv_event().await.unwrap().unwrap();
    tokio::task::yield_now().await;
    assert_eq!(event, Event::Text("kept"));
    outbox.feed_text("kept").unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("next")));
    server.flush().await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::text("kept")));
}

#[tokio::test]
async fn an_outbox_sends_every_kind_of_reply() {
    let wire = sent_by(Role::Client, &[frame(TEXT, "go")]);
    let (stream, log) = Scripted::new([Give::Bytes(wire), Give::Eof], []);
    let mut server = socket(Role::Server, Config::default(), stream);
    let (_, mut outbox) = server.recv_event().await.unwrap().unwrap();
    outbox.feed_text("text").unwrap();
    outbox.feed_binary(b"binary").unwrap();
    outbox.feed(Message::text("message")).unwrap();
    outbox
        .feed_with(Message::text("plain"), Compression::Never)
        .unwrap();
    outbox
        .feed_fragment(MessageKind::Text, b"frag", false)
        .unwrap();
    outbox
        .feed_fragment(MessageKind::Text, b"ments", true)
        .unwrap();
    outbox.feed_ping(b"ping").unwrap();
    let code = CloseCode::NORMAL_CLOSURE;
    let reason = "".into();
    outbox
        .feed_close(Some(CloseFrame { code, reason }))
        .unwrap();
    assert_eq!(outbox.feed_text("late"), Err(SendError::Closing));
    let buffered = outbox.buffered();
    assert_eq!(server.buffered(), buffered);
    assert_eq!(server.recv().await.unwrap(), None);
    assert_eq!((log.writes(), log.written().len()), (1, buffered));
    let expected: [(u8, &[u8]); 8] = [
        (TEXT, b"text"),
        (BINARY, b"binary"),
        (TEXT, b"message"),
        (TEXT, b"plain"),
        (TEXT, b"frag"),
        (0, b"ments"),
        (PING, b"ping"),
        (CLOSE, &[0x03, 0xe8]),
    ];
    let expected = expected.map(|(opcode, payload)| (opcode, payload.to_vec()));
    assert_eq!(sent(&log.written()), expected);
}

#[tokio::test]
async fn an_outbox_that_is_full_refuses_until_the_adapter_has_written() {
    let config = config(|config| config.write_high_water = 100);
    let two = sent_by(Role::Client, &[frame(BINARY, "x"), frame(BINARY, "x")]);
    let (stream, log) = Scripted::new([Give::Bytes(two)], []);
    let mut server = socket(Role::Server, config, stream);
    let (_, mut outbox) = server.recv_event().await.unwrap().unwrap();
    outbox.feed_binary(&[0; 101]).unwrap();
    assert_eq!(outbox.feed_text("more"), Err(SendError::BufferFull));
    assert_eq!(outbox.feed_ping(b"more"), Err(SendError::BufferFull));
    assert_eq!(outbox.buffered(), 103);
    // The adapter writes what is over the high water before it goes on.
    let (_, mut outbox) = server.recv_event().await.unwrap().unwrap();
    assert_eq!(log.written().len(), 103);
    outbox.feed_text("more").unwrap();
}

#[tokio::test]
async fn recv_says_that_chunks_are_no_messages_and_loses_nothing() {
    let config = config(|config| config.delivery = Delivery::Chunks);
    let wire = sent_by(Role::Client, &[frame(TEXT, "chunk")]);
    let (stream, _) = Scripted::new([Give::Bytes(wire)], []);
    let mut server = socket(Role::Server, config, stream);
    for _ in 0..2 {
        let error = server.recv().await.unwrap_err();
        assert!(matches!(error, Error::DeliveryIsChunks), "{error:?}");
    }
    let (event, _) = server.recv_event().await.unwrap().unwrap();
    let chunk = Received::Chunk {
        kind: MessageKind::Text,
        payload: b"chunk".to_vec(),
        fin: true,
    };
    assert_eq!(Received::from(event), chunk);
}

#[tokio::test]
async fn a_message_longer_than_the_limit_streams_through_in_chunks() {
    const FRAGMENT: usize = 1 << 20;
    const FRAGMENTS: usize = 40;
    let config = config(|config| {
        config.delivery = Delivery::Chunks;
        config.max_message_len = Config::UNLIMITED;
    });
    let (stream, peer) = duplex(ROOM);
    let mut server = socket(Role::Server, config, stream);
    let mut client = socket(Role::Client, Config::default(), peer);
    let receive = async {
        let (mut len, mut longest, mut ends) = (0, 0, 0);
        while let Some((event, _)) = server.recv_event().await.unwrap() {
            if let Event::Chunk(chunk) = event {
                assert_eq!((chunk.kind, ends), (MessageKind::Text, 0));
                assert!(chunk.payload.iter().all(|&byte| byte == b'a'));
                len += chunk.payload.len();
                longest = longest.max(chunk.payload.len());
                ends += usize::from(chunk.fin);
            }
        }
        drop(server);
        (len, longest, ends)
    };
    let send = async {
        let fragment = vec![b'a'; FRAGMENT];
        for index in 1..=FRAGMENTS {
            let fin = index == FRAGMENTS;
            let sent = client.send_fragment(MessageKind::Text, &fragment, fin);
            sent.await.unwrap();
            assert_eq!(client.buffered(), 0);
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap()
    };
    let ((len, longest, ends), end) = tokio::join!(receive, send);
    assert_eq!((len, ends), (FRAGMENT * FRAGMENTS, 1));
    assert!(longest <= ROOM, "{longest}");
    assert!(end.is_clean());
}

#[tokio::test]
async fn poll_recv_is_recv_for_futures_written_by_hand() {
    let (mut client, mut server) = pair(ROOM).await;
    let (received, ()) = tokio::join!(poll_fn(|cx| server.poll_recv(cx)), async {
        client.send("by hand").await.unwrap();
    });
    assert_eq!(received.unwrap(), Some(Message::text("by hand")));
}

// -- One read, one write --------------------------------------------------------------------------

#[tokio::test]
async fn a_burst_of_64_small_messages_costs_one_read_and_one_write() {
    let burst: Vec<_> = (0..64)
        .map(|index| frame(TEXT, index.to_string()))
        .collect();
    let gives = [Give::Bytes(sent_by(Role::Client, &burst)), Give::Eof];
    let (stream, log) = Scripted::new(gives, []);
    echo(socket(Role::Server, Config::default(), stream))
        .await
        .unwrap();
    assert_eq!((log.reads(), log.writes()), (1, 1));
    let expected: Vec<_> = burst
        .into_iter()
        .map(|frame| (TEXT, frame.payload))
        .collect();
    assert_eq!(sent(&log.written()), expected);
}

#[tokio::test]
async fn a_burst_that_is_answered_with_shared_payloads_still_costs_one_write() {
    let mut wire = Vec::new();
    for _ in 0..3 {
        wire.extend(sent_by(Role::Client, &[frame(TEXT, "a")]));
    }
    let (stream, log) = Scripted::new([Give::Bytes(wire), Give::Eof], []);
    let mut server = socket(Role::Server, Config::default(), stream);
    let shared = Message::from(vec![7; 10_000]);
    while server.recv().await.unwrap().is_some() {
        server.feed(shared.clone()).await.unwrap();
    }
    assert_eq!((log.reads(), log.writes()), (1, 1));
    assert_eq!(log.written().len(), 3 * 10_004);
}

#[tokio::test]
async fn a_burst_longer_than_a_read_is_answered_in_one_write() {
    let payload = vec![7; 1020];
    let wire = sent_by(Role::Client, &vec![frame(BINARY, &payload); 8]);
    assert!((FIRST_READ + 1..FIRST_READ * 4).contains(&wire.len()));
    let (stream, log) = Scripted::new([Give::Bytes(wire), Give::Eof], []);
    echo(socket(Role::Server, Config::default(), stream))
        .await
        .unwrap();
    assert_eq!((log.reads(), log.writes()), (2, 1));
    assert_eq!(sent(&log.written()), vec![(BINARY, payload); 8]);
}

#[tokio::test]
async fn a_burst_that_ends_where_a_read_does_is_answered_before_the_next_one_waits() {
    for then in [Give::Wait(Duration::from_secs(3600)), Give::Eof] {
        let payload = vec![7; 1016];
        let wire = sent_by(Role::Client, &vec![frame(BINARY, &payload); 4]);
        assert_eq!(wire.len(), FIRST_READ);
        let (stream, log) = Scripted::new([Give::Bytes(wire), then], []);
        let _ = poll_once(echo(socket(Role::Server, Config::default(), stream))).await;
        assert_eq!((log.reads(), log.writes()), (1, 1));
        assert_eq!(sent(&log.written()), vec![(BINARY, payload); 4]);
    }
}

#[tokio::test]
async fn a_peer_that_sends_on_and_on_is_answered_every_second_read() {
    let wire = sent_by(Role::Client, &[frame(BINARY, vec![7; 59])]);
    let (stream, log) = Scripted::new([Give::Bytes(wire.repeat(100_000)), Give::Eof], []);
    let mut server = socket(Role::Server, Config::default(), stream);
    while server.recv().await.unwrap().is_some() {
        server.feed("").await.unwrap();
        let (reads, writes) = (log.reads(), log.writes());
        assert!(reads <= 2 * (writes + 1), "{reads} reads, {writes} writes");
    }
    let reads = log.reads();
    assert!((90..200).contains(&reads), "{reads}");
}

#[tokio::test]
async fn what_is_fed_leaves_in_one_write_before_the_next_receive_waits() {
    let wire = sent_by(Role::Client, &[frame(TEXT, "later")]);
    let gives = [Give::Wait(Duration::from_millis(1)), Give::Bytes(wire)];
    let (stream, log) = Scripted::new(gives, []);
    let mut server = socket(Role::Server, Config::default(), stream);
    for _ in 0..10 {
        server.feed("fed").await.unwrap();
    }
    assert_eq!((server.buffered(), log.writes()), (50, 0));
    assert!(server.recv().await.unwrap().is_some());
    assert_eq!((server.buffered(), log.writes()), (0, 1));
}

#[tokio::test]
async fn what_is_fed_leaves_without_a_flush_once_64_kib_wait() {
    let (stream, log) = Scripted::new([], []);
    let mut server = socket(Role::Server, Config::default(), stream);
    for _ in 0..65 {
        server.feed(vec![0; 1020]).await.unwrap();
    }
    assert_eq!((log.writes(), log.written().len()), (1, 64 << 10));
    assert_eq!(server.buffered(), 1024);
}

#[tokio::test]
async fn a_stream_with_a_buffer_of_its_own_is_flushed() {
    let (stream, mut peer) = duplex(ROOM);
    let buffered = tokio::io::BufStream::new(stream);
    let mut server = socket(Role::Server, Config::default(), buffered);
    server.send("out of the buffer").await.unwrap();
    let mut frame = [0; 19];
    peer.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame[2..], b"out of the buffer");
}

// -- Sending --------------------------------------------------------------------------------------

#[tokio::test]
async fn every_way_of_sending_reaches_the_peer_in_order() {
    for role in ROLES {
        let (stream, log) = Scripted::new([], []);
        let mut socket = socket(role, Config::default(), stream);
        socket.feed("fed").await.unwrap();
        socket.feed_with("as is", Compression::Never).await.unwrap();
        let kind = MessageKind::Binary;
        socket.feed_fragment(kind, b"fed ", false).await.unwrap();
        assert_eq!(log.writes(), 0);
        assert!(socket.buffered() > 0);
        socket.flush().await.unwrap();
        assert_eq!((log.writes(), socket.buffered()), (1, 0));
        socket.flush().await.unwrap();
        assert_eq!(log.writes(), 1, "there is nothing to write");
        socket.send_fragment(kind, b"fragment", true).await.unwrap();
        socket.send_ping(b"ping").await.unwrap();
        socket.send("sent").await.unwrap();
        let code = CloseCode::GOING_AWAY;
        socket.send_close(code, "bye").await.unwrap();
        assert_eq!((log.writes(), socket.buffered()), (5, 0));
        assert_eq!(socket.connection().state(), State::Closing);
        assert_eq!(socket.end(), None);
        let expected: [(u8, &[u8]); 7] = [
            (TEXT, b"fed"),
            (TEXT, b"as is"),
            (BINARY, b"fed "),
            (0, b"fragment"),
            (PING, b"ping"),
            (TEXT, b"sent"),
            (CLOSE, b"\x03\xe9bye"),
        ];
        let expected = expected.map(|(opcode, payload)| (opcode, payload.to_vec()));
        assert_eq!(sent(&log.written()), expected, "{role:?}");
    }
}

#[tokio::test]
async fn what_may_not_be_sent_is_refused_and_the_connection_goes_on() {
    let (mut client, mut server) = pair(ROOM).await;
    let refused = |outcome: Result<(), Error>, expected: SendError| {
        assert!(
            matches!(outcome, Err(Error::Send(error)) if error == expected),
            "{outcome:?}"
        );
    };
    refused(client.send_ping(&[0; 126]).await, SendError::ControlTooLong);
    let too_long = "x".repeat(124);
    let close = client.send_close(CloseCode::NORMAL_CLOSURE, &too_long);
    refused(close.await, SendError::ReasonTooLong);
    let kind = MessageKind::Text;
    let fragment = client.send_fragment(kind, b"\xff", false);
    refused(fragment.await, SendError::TextNotUtf8);
    client.send_fragment(kind, b"un", false).await.unwrap();
    refused(client.send("other").await, SendError::MessageUnfinished);
    refused(
        client.try_send("other").map(drop),
        SendError::MessageUnfinished,
    );
    client.send_fragment(kind, b"finished", true).await.unwrap();
    assert_eq!(client.buffered(), 0);
    let received = server.recv().await.unwrap();
    assert_eq!(received, Some(Message::text("unfinished")));
}

#[tokio::test]
async fn try_feed_queues_and_try_send_writes_what_the_stream_takes_at_once() {
    let message = Message::from(vec![0; 98]);
    let config = config(|config| config.write_high_water = 150);
    let takes = [
        Take::Bytes(30),
        Take::Bytes(70),
        Take::Bytes(10),
        Take::Never,
    ];
    let (stream, log) = Scripted::new([], takes);
    let mut server = socket(Role::Server, config, stream);
    assert_eq!(server.try_feed(message.clone()).unwrap(), Fed::Queued(100));
    assert_eq!(log.writes(), 0, "it does not write what may still grow");
    server.flush().await.unwrap();
    assert_eq!(server.try_send(message.clone()).unwrap(), Fed::Queued(90));
    assert_eq!(server.try_send(message.clone()).unwrap(), Fed::Queued(190));
    // More than the high water waits, and the message comes back.
    let full = Fed::Full(message.clone());
    assert_eq!(server.try_send(message.clone()).unwrap(), full);
    assert_eq!(server.try_feed(message.clone()).unwrap(), full);
    assert_eq!(server.buffered(), 190);
    assert_eq!(log.written().len(), 110);
}

#[tokio::test]
async fn try_send_says_that_it_was_sent_where_the_stream_takes_everything() {
    let (stream, log) = Scripted::new([], []);
    let mut server = socket(Role::Server, Config::default(), stream);
    assert_eq!(server.try_feed("fed").unwrap(), Fed::Queued(5));
    assert_eq!(server.try_send("sent").unwrap(), Fed::Sent);
    assert_eq!(log.writes(), 1);
    assert_eq!(
        sent(&log.written()),
        [(TEXT, b"fed".to_vec()), (TEXT, b"sent".to_vec())]
    );
    // What is too much to wait is written first.
    let long = Message::from(vec![0; 200_000]);
    let Fed::Queued(200_010) = server.try_feed(long.clone()).unwrap() else {
        panic!("there is room for one message more");
    };
    assert_eq!(server.try_feed(long).unwrap(), Fed::Queued(200_010));
    assert_eq!(log.written().len(), 11 + 200_010);
}

#[tokio::test]
async fn try_feed_says_that_a_message_is_sent_only_after_it_has_left() {
    let (mut client, mut server) = pair(100).await;
    let first = Message::from(vec![1; 150]);
    let Fed::Queued(waiting) = client.try_send(first.clone()).unwrap() else {
        panic!("the stream has no room for it");
    };
    assert!((1..100).contains(&waiting), "{waiting}");
    // What waits leaves while the client receives.
    let (received, _) = tokio::join!(server.recv(), poll_once(client.recv()));
    assert_eq!(received.unwrap(), Some(first));
    assert_eq!(client.try_send("second").unwrap(), Fed::Sent);
}

// -- Closing --------------------------------------------------------------------------------------

#[tokio::test]
async fn both_ends_close_at_once() {
    let (mut client, mut server) = pair(ROOM).await;
    let (ours, theirs) = tokio::join!(
        async {
            let end = client.close(CloseCode::GOING_AWAY, "client").await;
            drop(client);
            end.unwrap()
        },
        async {
            let end = server.close(CloseCode::NORMAL_CLOSURE, "server").await;
            drop(server);
            end.unwrap()
        }
    );
    assert_ended(&ours, 1000, Initiator::Local);
    assert_ended(&theirs, 1001, Initiator::Local);
    assert_eq!((ours.reason(), theirs.reason()), ("server", "client"));
}

#[tokio::test]
async fn closing_twice_says_the_same_again() {
    let close = frame(CLOSE, support::close_payload(1000, b""));
    let gives = [Give::Bytes(sent_by(Role::Client, &[close])), Give::Eof];
    let (stream, log) = Scripted::new(gives, []);
    let mut server = socket(Role::Server, Config::default(), stream);
    let end = server
        .close(CloseCode::NORMAL_CLOSURE, "one")
        .await
        .unwrap();
    let again = server.close(CloseCode::GOING_AWAY, "two").await.unwrap();
    assert_eq!(end, again);
    assert_eq!(sent(&log.written()).len(), 1);
    assert_eq!(server.recv().await.unwrap(), None);
    let error = server.send("late").await.unwrap_err();
    assert!(matches!(error, Error::Send(SendError::Closing)));
    assert_eq!(server.flush().await.ok(), Some(()));
}

#[tokio::test]
async fn a_reason_that_is_too_long_closes_nothing() {
    let (mut client, mut server) = pair(ROOM).await;
    let reason = "ü".repeat(62);
    let error = client
        .close(CloseCode::NORMAL_CLOSURE, &reason)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Send(SendError::ReasonTooLong)));
    assert_eq!(client.connection().state(), State::Open);
    assert_eq!((client.end(), client.buffered()), (None, 0));
    client.send("still open").await.unwrap();
    let received = server.recv().await.unwrap();
    assert_eq!(received, Some(Message::text("still open")));
}

#[tokio::test]
async fn a_close_without_a_code_is_1005() {
    let gives = [
        Give::Bytes(sent_by(Role::Client, &[frame(CLOSE, "")])),
        Give::Eof,
    ];
    let (stream, log) = Scripted::new(gives, []);
    let mut server = socket(Role::Server, Config::default(), stream);
    assert_eq!(server.recv().await.unwrap(), None);
    assert_ended(server.end().unwrap(), 1005, Initiator::Peer);
    assert_eq!(sent(&log.written()), [(CLOSE, vec![])]);
}

#[tokio::test]
async fn messages_that_the_peer_sent_before_its_close_are_delivered_while_closing() {
    let frames = [
        frame(TEXT, "one"),
        frame(TEXT, "two"),
        frame(CLOSE, [0x03, 0xe9]),
        frame(TEXT, "after the Close"),
    ];
    let gives = || [Give::Bytes(sent_by(Role::Client, &frames)), Give::Eof];
    let (stream, _) = Scripted::new(gives(), []);
    let mut server = socket(Role::Server, Config::default(), stream);
    server.send_close(CloseCode::GOING_AWAY, "").await.unwrap();
    for text in ["one", "two"] {
        let received = server.recv().await.unwrap();
        assert_eq!(received, Some(Message::text(text)));
    }
    assert_eq!(server.recv().await.unwrap(), None);
    assert_ended(server.end().unwrap(), 1001, Initiator::Local);
    // `close` drops them.
    let (stream, _) = Scripted::new(gives(), []);
    let mut server = socket(Role::Server, Config::default(), stream);
    let end = server.close(CloseCode::GOING_AWAY, "").await.unwrap();
    assert_ended(&end, 1001, Initiator::Local);
    assert_eq!(server.recv().await.unwrap(), None);
}

#[tokio::test]
async fn a_peer_that_breaks_a_rule_during_close_is_in_the_end() {
    for role in ROLES {
        let gives = [
            Give::Bytes(sent_by(peer_of(role), &[frame(0x3, "")])),
            Give::Eof,
        ];
        let (stream, _) = Scripted::new(gives, []);
        let mut socket = socket(role, Config::default(), stream);
        let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        assert!(matches!(end.cause, EndCause::Protocol(_)), "{end:?}");
        assert!(!end.is_clean());
        assert_eq!(socket.recv().await.unwrap(), None);
    }
}

// -- Taken apart ----------------------------------------------------------------------------------

#[tokio::test]
async fn a_socket_that_is_taken_apart_and_put_together_loses_nothing() {
    let (stream, mut peer) = duplex(ROOM);
    let mut server = socket(Role::Server, Config::default(), stream);
    let frames = [frame(TEXT, "one"), frame(TEXT, "two"), frame(TEXT, "three")];
    let wire = sent_by(Role::Client, &frames);
    let (now, later) = wire.split_at(wire.len() - 4);
    peer.write_all(now).await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("one")));
    server.feed("queued").await.unwrap();
    let parts = server.into_parts();
    assert_eq!(parts.output.to_vec(), b"\x81\x06queued");
    assert!(!parts.input.is_idle());
    let mut server = WebSocket::from_parts(parts);
    assert_eq!(server.buffered(), 8);
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("two")));
    // Half a frame, after the adapter has waited with it.
    assert!(poll_once(server.recv()).await.is_none());
    let mut server = WebSocket::from_parts(server.into_parts());
    assert!(poll_once(server.recv()).await.is_none());
    peer.write_all(later).await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("three")));
    let mut queued = [0; 8];
    peer.read_exact(&mut queued).await.unwrap();
    assert_eq!(&queued, b"\x81\x06queued");
    let parts = server.into_parts();
    assert!(parts.input.is_idle() && parts.output.is_empty());
    assert_eq!(parts.connection.state(), State::Open);
}

#[tokio::test]
async fn leftovers_of_another_http_server_are_received_first() {
    let wire = sent_by(Role::Client, &[frame(TEXT, "early"), frame(TEXT, "late")]);
    let (early, late) = wire.split_at(13);
    let (stream, _) = Scripted::new([Give::Bytes(late.to_vec())], []);
    let mut server = WebSocket::from_parts(Parts {
        stream,
        connection: Connection::new(Role::Server, Config::default().into()),
        input: RecvBuffer::from(early),
        output: SendBuffer::new(),
    });
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("early")));
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("late")));
    assert!(server.stream().is_spent());
}

// -- The opening handshake ------------------------------------------------------------------------

#[tokio::test]
async fn the_favourite_subprotocol_of_the_client_that_the_server_knows_is_chosen() {
    for (offered, known, chosen) in [
        (&["a", "b", "c"][..], &["c", "b"][..], Some("b")),
        (&["a"], &["b"], None),
        (&[], &["b"], None),
        (&["a"], &[], None),
        // 4.1: subprotocols are compared as they are written.
        (&["Chat"], &["chat"], None),
    ] {
        let mut server = Server::new();
        for subprotocol in known {
            server = server.subprotocol(*subprotocol);
        }
        let mut request = request();
        for subprotocol in offered {
            request = request.subprotocol(subprotocol).unwrap();
        }
        let (here, there) = duplex(ROOM);
        let client = Client::new(request);
        let (opened, accepted) = tokio::join!(client.handshake(here), server.accept(there));
        let (client, headers) = opened.unwrap();
        assert_eq!(client.subprotocol(), chosen);
        assert_eq!(accepted.unwrap().subprotocol(), chosen);
        let header = headers.first("sec-websocket-protocol");
        assert_eq!(header, chosen.map(str::as_bytes));
    }
}

#[tokio::test]
async fn a_server_looks_at_the_request_and_adds_headers_to_its_answer() {
    let request = ClientRequest::new("ws://localhost/room?id=1")
        .and_then(|request| request.subprotocol("v1"))
        .and_then(|request| request.header("Cookie", "session=0123"))
        .unwrap();
    let (here, there) = duplex(ROOM);
    let client = Client::new(request);
    let serve = async {
        let Incoming::Upgrade(upgrade) = Server::new().receive(there).await.unwrap() else {
            panic!("a client asks for an upgrade");
        };
        let request = upgrade.request();
        assert_eq!((request.path(), request.query()), ("/room", Some("id=1")));
        assert_eq!(request.cookie("session"), Some("0123"));
        let acceptance = Acceptance::new()
            .subprotocol("v1")
            .header("Set-Cookie", "session=4567");
        upgrade.accept(acceptance).await.unwrap()
    };
    let (opened, server) = tokio::join!(client.handshake(here), serve);
    let (client, headers) = opened.unwrap();
    assert_eq!(headers.single("set-cookie"), Some(&b"session=4567"[..]));
    assert_eq!(client.subprotocol(), Some("v1"));
    assert_eq!(server.subprotocol(), Some("v1"));
}

#[tokio::test]
async fn an_acceptance_that_cannot_be_written_is_the_servers_error() {
    for (acceptance, expected) in [
        (
            Acceptance::new().subprotocol("never offered"),
            SendError::SubprotocolNotOffered,
        ),
        (
            Acceptance::new().header("Bad Name", "x"),
            SendError::HeaderNameInvalid,
        ),
    ] {
        let (stream, log) = Scripted::new([Give::Bytes(upgrade_request())], []);
        let Incoming::Upgrade(upgrade) = Server::new().receive(stream).await.unwrap() else {
            panic!("a client asks for an upgrade");
        };
        let error = upgrade.accept(acceptance).await.unwrap_err();
        assert!(
            matches!(&error, Error::Send(error) if *error == expected),
            "{error:?}"
        );
        assert!(log.dropped().is_some());
    }
}

#[tokio::test]
async fn plain_requests_are_answered_on_the_same_port() {
    for (target, status, body) in [("/healthz", "200 OK", "well\n"), ("/", "404 Not Found", "")] {
        let serve = async |stream| {
            let Incoming::Plain(plain) = Server::new().receive(stream).await.unwrap() else {
                panic!("a plain request is no upgrade");
            };
            assert_eq!(plain.request().method(), "GET");
            match plain.request().target() {
                "/healthz" => {
                    let well = Response::new(200).unwrap().body("well\n");
                    plain.respond(&well).await.unwrap();
                }
                _ => plain.respond(&Response::new(404).unwrap()).await.unwrap(),
            }
        };
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let ((), answer) = exchange(serve, request.as_bytes()).await;
        let start = format!("HTTP/1.1 {status}\r\n");
        assert!(answer.starts_with(&start), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
    }
}

#[tokio::test]
async fn a_plain_request_can_be_handed_to_another_http_implementation() {
    let request = b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nsome of";
    let gives = [Give::Bytes(request.to_vec()), Give::Bytes(b" it".to_vec())];
    let (stream, log) = Scripted::new(gives, []);
    let Incoming::Plain(plain) = Server::new().receive(stream).await.unwrap() else {
        panic!("a plain request is no upgrade");
    };
    let (request, mut stream, input) = plain.into_parts();
    assert_eq!((request.method(), request.target()), ("POST", "/upload"));
    assert_eq!(input.unread(), b"some of");
    let mut rest = [0; 3];
    stream.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b" it");
    assert_eq!((log.writes(), log.shut_down()), (0, None));
}

#[tokio::test]
async fn a_server_that_only_accepts_answers_what_is_no_upgrade() {
    for (request, status, expected) in [
        (
            &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
            "426 Upgrade Required",
            HandshakeError::NotAnUpgrade,
        ),
        (
            b"nonsense\r\n\r\n",
            "400 Bad Request",
            HandshakeError::HeadMalformed,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
            "426 Upgrade Required",
            HandshakeError::VersionUnsupported,
        ),
    ] {
        let (accepted, answer) = exchange(async |stream| accept(stream).await, request).await;
        let start = format!("HTTP/1.1 {status}\r\n");
        assert!(answer.starts_with(&start), "{answer}");
        assert!(answer.contains("Connection: close"), "{answer}");
        let error = accepted.unwrap_err();
        assert!(
            matches!(&error, Error::Handshake(error) if *error == expected),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_client_gets_status_headers_and_body() {
    let (here, there) = duplex(ROOM);
    let serve = async {
        let Incoming::Upgrade(upgrade) = Server::new().receive(there).await.unwrap() else {
            panic!("a client asks for an upgrade");
        };
        let response = Response::new(401)
            .and_then(|response| response.header("WWW-Authenticate", "Bearer"))
            .unwrap();
        upgrade.reject(&response.body("who are you?\n")).await
    };
    let client = Client::new(request());
    let (opened, rejected) = tokio::join!(client.handshake(here), serve);
    rejected.unwrap();
    let error = opened.unwrap_err();
    let Error::Handshake(HandshakeError::Refused(refused)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some(&b"Bearer"[..]));
    assert_eq!(refused.body, "who are you?\n");
    assert!(!refused.body_truncated);
}

#[tokio::test]
async fn a_refused_client_keeps_so_much_of_the_body_as_its_limit_says() {
    let answer = format!("HTTP/1.1 503 Busy\r\n\r\n{}", "x".repeat(5000));
    let (stream, _) = Scripted::new([Give::Bytes(answer.into_bytes()), Give::Eof], []);
    let opened = Client::new(request()).handshake(stream).await;
    let Error::Handshake(HandshakeError::Refused(refused)) = opened.unwrap_err() else {
        panic!("503 opens nothing");
    };
    assert_eq!((refused.status, refused.body.len()), (503, 4096));
    assert!(refused.body_truncated);
}

#[tokio::test]
async fn pages_of_another_origin_are_refused_unless_the_policy_allows_them() {
    let listed = OriginPolicy::any_of(["https://elsewhere.example"]).unwrap();
    for (policy, origin, allowed) in [
        (None, Some("https://elsewhere.example"), false),
        (None, Some("http://localhost"), true),
        // 10.2: no browser, no Origin.
        (None, None, true),
        (
            Some(OriginPolicy::Any),
            Some("https://elsewhere.example"),
            true,
        ),
        (
            Some(listed.clone()),
            Some("https://elsewhere.example"),
            true,
        ),
        (Some(listed), Some("https://third.example"), false),
    ] {
        let mut server = Server::new();
        if let Some(policy) = policy.clone() {
            server = server.origin_policy(policy);
        }
        let mut request = request();
        if let Some(origin) = origin {
            request = request.header("Origin", origin).unwrap();
        }
        let (here, there) = duplex(ROOM);
        let client = Client::new(request);
        let (opened, accepted) = tokio::join!(client.handshake(here), server.accept(there));
        let case = format!("{policy:?}, {origin:?}");
        if allowed {
            opened.expect(&case);
            accepted.expect(&case);
            continue;
        }
        let error = accepted.unwrap_err();
        assert!(
            matches!(error, Error::Handshake(HandshakeError::OriginForbidden)),
            "{case}: {error:?}"
        );
        let error = opened.unwrap_err();
        assert!(
            matches!(&error, Error::Handshake(HandshakeError::Refused(refused)) if refused.status == 403),
            "{case}: {error:?}"
        );
    }
}

#[tokio::test]
async fn frames_that_come_with_the_handshake_are_not_lost() {
    // The client does not wait for the answer to its request.
    let mut wire = upgrade_request();
    wire.extend(sent_by(
        Role::Client,
        &[frame(TEXT, "early"), frame(TEXT, "and half a frame")],
    ));
    let late = wire.split_off(wire.len() - 7);
    let (stream, log) = Scripted::new([Give::Bytes(wire), Give::Bytes(late)], []);
    let mut server = accept(stream).await.unwrap();
    assert_eq!(log.reads(), 1);
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("early")));
    assert_eq!(log.reads(), 1, "it is there already");
    let received = server.recv().await.unwrap();
    assert_eq!(received, Some(Message::text("and half a frame")));

    // The server greets.
    let (here, there) = duplex(ROOM);
    let greet = async {
        let Incoming::Upgrade(upgrade) = Server::new().receive(there).await.unwrap() else {
            panic!("a client asks for an upgrade");
        };
        let mut server = upgrade.accept(Acceptance::new()).await.unwrap();
        server.send("welcome").await.unwrap();
        server
    };
    let client = Client::new(request());
    let (server, opened) = tokio::join!(greet, client.handshake(here));
    let (mut client, _) = opened.unwrap();
    let received = client.recv().await.unwrap();
    assert_eq!(received, Some(Message::text("welcome")));
    drop(server);
}

#[tokio::test]
async fn a_client_that_leaves_inside_its_request_is_an_error_without_an_answer() {
    let request = upgrade_request();
    let gives = [Give::Bytes(request[..30].to_vec()), Give::Eof];
    let (stream, log) = Scripted::new(gives, []);
    let error = accept(stream).await.unwrap_err();
    assert!(
        matches!(error, Error::Handshake(HandshakeError::EndOfStream)),
        "{error:?}"
    );
    assert_eq!(log.writes(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_key_is_no_server() {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let (stream, _) = Scripted::new([Give::Bytes(answer.to_vec())], []);
    let error = Client::new(request()).handshake(stream).await.unwrap_err();
    assert!(
        matches!(error, Error::Handshake(HandshakeError::AcceptMismatch)),
        "{error:?}"
    );
}

#[tokio::test]
async fn servers_and_clients_with_a_configuration_use_it_in_every_connection() {
    let limit = |len| config(|config| config.max_message_len = len);
    let server = Server::new().config(limit(10));
    let client = Client::new(request()).config(limit(20));
    for _ in 0..2 {
        let (here, there) = duplex(ROOM);
        let (opened, accepted) =
            tokio::join!(client.clone().handshake(here), server.clone().accept(there));
        let (client, server) = (opened.unwrap().0, accepted.unwrap());
        assert_eq!(client.connection().config().max_message_len, 20);
        assert_eq!(server.connection().config().max_message_len, 10);
    }
}

// -- Compression ----------------------------------------------------------------------------------

#[cfg(feature = "deflate")]
#[tokio::test]
async fn deflate_is_used_where_both_ends_want_it() {
    use framewright::DeflateConfig;

    for (offered, known) in [(true, true), (true, false), (false, true)] {
        let mut server = Server::new();
        if known {
            server = server.deflate(DeflateConfig::default());
        }
        let mut request = request();
        if offered {
            request = request.deflate(DeflateConfig::default());
        }
        let (here, there) = duplex(ROOM);
        let client = Client::new(request);
        let (opened, accepted) = tokio::join!(client.handshake(here), server.accept(there));
        let (mut client, mut server) = (opened.unwrap().0, accepted.unwrap());
        let both = offered && known;
        assert_eq!(client.connection().is_compressing(), both);
        assert_eq!(server.connection().is_compressing(), both);
        let text = "again and ".repeat(1000);
        for (compression, shrinks) in [(Compression::Auto, both), (Compression::Never, false)] {
            let message = Message::from(text.as_str());
            client
                .feed_with(message.clone(), compression)
                .await
                .unwrap();
            assert_eq!(client.buffered() < text.len() / 10, shrinks);
            client.flush().await.unwrap();
            assert_eq!(server.recv().await.unwrap(), Some(message.clone()));
            server.send(message.clone()).await.unwrap();
            assert_eq!(client.recv().await.unwrap(), Some(message));
        }
    }
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn compressed_messages_come_in_chunks_and_go_back_in_fragments() {
    use framewright::DeflateConfig;

    let config = config(|config| config.delivery = Delivery::Chunks);
    let server = Server::new()
        .config(config)
        .deflate(DeflateConfig::default());
    let client = Client::new(request().deflate(DeflateConfig::default()));
    let (here, there) = duplex(ROOM);
    let (opened, accepted) = tokio::join!(client.handshake(here), server.accept(there));
    let (mut client, mut server) = (opened.unwrap().0, accepted.unwrap());
    let echo = async {
        while let Some((event, mut outbox)) = server.recv_event().await.unwrap() {
            if let Event::Chunk(chunk) = event {
                let fed = outbox.feed_fragment(chunk.kind, chunk.payload, chunk.fin);
                fed.unwrap();
            }
        }
        drop(server);
    };
    let ask = async {
        let text = Message::from("again and ".repeat(10_000));
        client.feed(text.clone()).await.unwrap();
        assert!(client.buffered() < 10_000);
        assert!(client.recv().await.unwrap() == Some(text));
        client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
    };
    tokio::join!(echo, ask);
}

// -- Sockets --------------------------------------------------------------------------------------

#[tokio::test]
async fn a_conversation_over_tcp_ends_clean_on_both_sides() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        echo(accept(stream).await.unwrap()).await.unwrap()
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    let (mut client, _) = Client::new(request).handshake(stream).await.unwrap();
    assert_eq!(client.stream().peer_addr().unwrap(), address);
    let long = Message::from(noise(3 << 20));
    client.feed("short").await.unwrap();
    client.feed(long.clone()).await.unwrap();
    client.send_ping(b"between").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::text("short")));
    assert!(client.recv().await.unwrap() == Some(long));
    let end = client
        .close(CloseCode::NORMAL_CLOSURE, "bye")
        .await
        .unwrap();
    assert_ended(&end, 1000, Initiator::Local);
    let end = serve.await.unwrap();
    assert_ended(&end, 1000, Initiator::Peer);
    assert_eq!(end.reason(), "bye");
}

#[test]
fn futures_and_sockets_can_move_to_another_thread() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (stream, _) = duplex(1);
    drop(is_send(accept(stream)));
    let (stream, _) = duplex(1);
    drop(is_send(Client::new(request()).handshake(stream)));
    let (stream, _) = duplex(1);
    drop(is_send(Server::new().receive(stream)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(async {
        let (stream, _) = duplex(1);
        let mut socket = is_send(socket(Role::Server, Config::default(), stream));
        drop(is_send(socket.recv()));
        drop(is_send(socket.recv_event()));
        drop(is_send(socket.send("")));
        drop(is_send(socket.close(CloseCode::NORMAL_CLOSURE, "")));
    });
}

#[tokio::test]
async fn what_a_socket_shows_in_debug_is_no_payload() {
    let (stream, _) = duplex(1);
    let mut server = socket(Role::Server, Config::default(), stream);
    server.feed("secret").await.unwrap();
    let shown = format!("{server:?}");
    assert!(
        shown.contains("WebSocket") && !shown.contains("secret"),
        "{shown}"
    );
}

// -- Rig ------------------------------------------------------------------------------------------

/// The README's echo, which says how it ended.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocket<S>) -> Result<End, Error> {
    while let Some((event, mut outbox)) = socket.recv_event().await? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            _ => {}
        }
    }
    Ok(socket.end().cloned().unwrap())
}

/// Polls a future once; `None` if it waits.
async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(outcome) => Some(outcome),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// Serves one stream, while a request is sent and the answer read to its end.
async fn exchange<T>(serve: impl AsyncFnOnce(DuplexStream) -> T, request: &[u8]) -> (T, String) {
    let (stream, mut peer) = duplex(ROOM);
    let ask = async {
        peer.write_all(request).await.unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        // The server waits for its client to have read it all.
        drop(peer);
        answer
    };
    tokio::join!(serve(stream), ask)
}

fn assert_ended(end: &End, code: u16, initiator: Initiator) {
    assert_eq!(end.code(), code, "{end:?}");
    assert_eq!(end.initiator, Some(initiator), "{end:?}");
    assert_eq!(end.cause, EndCause::ClosingHandshake, "{end:?}");
    assert!(end.is_clean(), "{end:?}");
}

/// Bytes without a pattern that a mistake could hide in.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .collect()
}

/// RFC 6455, section 1.2, less its subprotocols and its origin.
fn upgrade_request() -> Vec<u8> {
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
      Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
      Sec-WebSocket-Version: 13\r\n\r\n"
        .to_vec()
}
