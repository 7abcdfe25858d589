//! Futures of the tokio adapter, dropped at every await.
//!
//! Invariant 13 of the design: any future of an adapter may be dropped at any await; nothing is
//! lost, nothing is sent twice, and the order is kept. Each scenario runs once for every poll after
//! which a future of it can be dropped, and then with every future dropped after one, two and three
//! polls, over a stream that waits before every byte.

#![cfg(all(feature = "tokio", feature = "test-util"))]

#[path = "support/streams.rs"]
mod streams;
mod support;

use std::cell::RefCell;

use framewright::handshake::{Acceptance, Response};
use framewright::test_util::{MemoryStream, Split, Wire, stream_pair};
use framewright::tokio::{Client, Error, Incoming, Server, WebSocket, accept};
use framewright::{
    CloseCode, Compression, Config, Delivery, EndCause, Initiator, Message, MessageKind, Role,
    SendError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use streams::{Drops, request, socket};
use support::{
    BINARY, CLOSE, CONTINUATION, PING, PONG, Received, TEXT, binary, close, config, fragment,
    frame, frames_in, ping, pong, sent, text,
};

/// There is room for so many bytes between the ends, so that writes wait for the peer, too.
const ROOM: usize = 16;

// -- Receiving ------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_dropped_recv_has_received_nothing() {
    let scenarios = Drops::at_every_await(async |drops| {
        let (mut server, peer) = trickling(Role::Server, Config::default());
        let receive = async {
            let mut messages = Vec::new();
            while let Some(message) = drops.insist(async || server.recv().await.unwrap()).await {
                messages.push(message);
            }
            let is_clean = server.end().unwrap().is_clean();
            drop(server);
            is_clean.then_some(messages)
        };
        let (messages, answers) = tokio::join!(receive, exchange(peer, conversation()));
        assert_eq!(
            messages.unwrap(),
            [
                Message::text("one"),
                Message::text("in pieces"),
                Message::binary(vec![7; 130]),
            ]
        );
        assert_eq!(
            sent(&answers),
            [(PONG, b"asked".to_vec()), (CLOSE, vec![0x03, 0xe8])]
        );
    })
    .await;
    assert!(scenarios > 130, "{scenarios}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_recv_event_has_received_nothing_and_replies_leave_once() {
    let scenarios = Drops::at_every_await(async |drops| {
        let (mut server, peer) = trickling(Role::Server, Config::default());
        let receive = async {
            let mut events = Vec::new();
            let mut receive = async || match server.recv_event().await.unwrap() {
                Some((event, mut outbox)) => {
                    let event = Received::from(event);
                    if let Received::Text(text) = &event {
                        outbox.feed_text(text).unwrap();
                    }
                    events.push(event);
                    true
                }
                None => false,
            };
            while drops.insist(&mut receive).await {}
            drop(server);
            events
        };
        let (events, answers) = tokio::join!(receive, exchange(peer, conversation()));
        assert_eq!(
            events,
            [
                text("one"),
                ping("asked"),
                text("in pieces"),
                pong("unasked"),
                binary([7; 130]),
                close(1000, "bye"),
            ]
        );
        assert_eq!(
            sent(&answers),
            [
                (TEXT, b"one".to_vec()),
                (PONG, b"asked".to_vec()),
                (TEXT, b"in pieces".to_vec()),
                (CLOSE, vec![0x03, 0xe8])
            ]
        );
    })
    .await;
    assert!(scenarios > 130, "{scenarios}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_recv_event_loses_no_chunk() {
    Drops::at_every_await(async |drops| {
        let config = config(|config| config.delivery = Delivery::Chunks);
        let (mut server, peer) = trickling(Role::Server, config);
        let receive = async {
            let (mut bytes, mut messages) = (Vec::new(), 0);
            let mut receive = async || match server.recv_event().await.unwrap() {
                Some((event, _)) => {
                    if let Received::Chunk { payload, fin, .. } = event.into() {
                        bytes.extend(payload);
                        messages += usize::from(fin);
                    }
                    true
                }
                None => false,
            };
            while drops.insist(&mut receive).await {}
            drop(server);
            (messages, bytes)
        };
        let ((messages, bytes), _) = tokio::join!(receive, exchange(peer, conversation()));
        assert_eq!(messages, 3);
        assert_eq!(bytes, [b"onein pieces", &[7; 130][..]].concat());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_once_however_often_recv_was_dropped() {
    Drops::at_every_await(async |drops| {
        let (mut server, peer) = trickling(Role::Server, Config::default());
        let mut wire = frame(TEXT, "fine").sent_by(Role::Client).bytes();
        // 5.1: a client masks.
        wire.extend(frame(TEXT, "not masked").bytes());
        let receive = async {
            let mut outcomes = Vec::new();
            for _ in 0..3 {
                outcomes.push(drops.insist(async || server.recv().await.ok()).await);
            }
            drop(server);
            outcomes
        };
        let (outcomes, answers) = tokio::join!(receive, exchange(peer, wire));
        assert_eq!(
            outcomes,
            [Some(Some(Message::text("fine"))), None, Some(None)]
        );
        let frames = sent(&answers);
        assert_eq!(frames.len(), 1);
        assert_eq!((frames[0].0, &frames[0].1[..2]), (CLOSE, &[0x03, 0xea][..]));
    })
    .await;
}

// -- Sending --------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_dropped_feed_has_not_queued_its_message() {
    for role in [Role::Client, Role::Server] {
        let scenarios = Drops::at_every_await(async |drops| {
            let (mut socket, peer) = trickling(role, barely_buffered());
            let send = async {
                for index in 0..9 {
                    let payload = vec![index; 9];
                    drops
                        .insist(async || match index % 3 {
                            0 => socket.feed(payload.clone()).await,
                            1 => {
                                let compression = Compression::Never;
                                socket.feed_with(payload.clone(), compression).await
                            }
                            _ => {
                                let kind = MessageKind::Binary;
                                socket.feed_fragment(kind, &payload, true).await
                            }
                        })
                        .await
                        .unwrap();
                }
                drops.insist(async || socket.flush().await).await.unwrap();
                assert_eq!(socket.buffered(), 0);
                drop(socket);
            };
            let ((), written) = tokio::join!(send, exchange(peer, Vec::new()));
            let expected: Vec<_> = (0..9).map(|index| (BINARY, vec![index; 9])).collect();
            assert_eq!(sent(&written), expected, "{role:?}");
        })
        .await;
        assert!(scenarios > 9, "{role:?}: {scenarios}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_flush_keeps_the_rest() {
    let scenarios = Drops::at_every_await(async |drops| {
        let (mut client, peer) = trickling(Role::Client, Config::default());
        let send = async {
            for index in 0..9 {
                client.feed(vec![index; 9]).await.unwrap();
            }
            drops.insist(async || client.flush().await).await.unwrap();
            assert_eq!(client.buffered(), 0);
            drop(client);
        };
        let ((), written) = tokio::join!(send, exchange(peer, Vec::new()));
        let expected: Vec<_> = (0..9).map(|index| (BINARY, vec![index; 9])).collect();
        assert_eq!(sent(&written), expected);
    })
    .await;
    assert!(scenarios > 135, "{scenarios}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_has_queued_its_message_whole_or_not_at_all() {
    for role in [Role::Client, Role::Server] {
        let scenarios = Drops::at_every_await(async |drops| {
            // Either the message waits for room, or its bytes wait to leave.
            for config in [Config::default(), barely_buffered()] {
                let (mut socket, peer) = trickling(role, config);
                let mut completed = Vec::new();
                let send = async {
                    for index in 0..6 {
                        let payload = vec![index; 9];
                        if let Some(sent) = drops.attempt(socket.send(payload)).await {
                            sent.unwrap();
                            completed.push(index);
                            assert_eq!(socket.buffered(), 0);
                        }
                    }
                    socket.flush().await.unwrap();
                    drop(socket);
                };
                let ((), written) = tokio::join!(send, exchange(peer, Vec::new()));
                let mut arrived = Vec::new();
                for (opcode, payload) in sent(&written) {
                    assert_eq!((opcode, payload.len()), (BINARY, 9));
                    assert_eq!(payload, [payload[0]; 9]);
                    arrived.push(payload[0]);
                }
                assert!(arrived.is_sorted_by(|one, next| one < next), "{arrived:?}");
                for index in completed {
                    assert!(arrived.contains(&index), "{index} of {arrived:?}");
                }
            }
        })
        .await;
        assert!(scenarios > 11, "{role:?}: {scenarios}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_fragment_leaves_no_hole_inside_a_fragment() {
    let scenarios = Drops::at_every_await(async |drops| {
        let (mut client, peer) = trickling(Role::Client, Config::default());
        let mut completed = Vec::new();
        let send = async {
            for index in 0..6 {
                let payload = [index; 9];
                let fragment = client.send_fragment(MessageKind::Binary, &payload, false);
                if let Some(sent) = drops.attempt(fragment).await {
                    sent.unwrap();
                    completed.push(index);
                }
            }
            let last = client.send_fragment(MessageKind::Binary, b"", true);
            last.await.unwrap();
            drop(client);
        };
        let ((), written) = tokio::join!(send, exchange(peer, Vec::new()));
        let mut arrived = Vec::new();
        let frames = frames_in(&written);
        let (last, fragments) = frames.split_last().unwrap();
        for (place, fragment) in fragments.iter().enumerate() {
            let opcode = if place == 0 { BINARY } else { CONTINUATION };
            assert_eq!((fragment.opcode, fragment.fin), (opcode, false));
            assert_eq!(fragment.payload, [fragment.payload[0]; 9]);
            arrived.push(fragment.payload[0]);
        }
        assert!(last.fin);
        assert!(arrived.is_sorted_by(|one, next| one < next), "{arrived:?}");
        for index in completed {
            assert!(arrived.contains(&index), "{index} of {arrived:?}");
        }
    })
    .await;
    assert!(scenarios > 15, "{scenarios}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_ping_has_sent_one_ping_or_none() {
    let scenarios = Drops::at_every_await(async |drops| {
        let (mut client, peer) = trickling(Role::Client, Config::default());
        let mut completed = Vec::new();
        let send = async {
            for index in 0..6 {
                if let Some(sent) = drops.attempt(client.send_ping(&[index; 9])).await {
                    sent.unwrap();
                    completed.push(index);
                }
            }
            client.flush().await.unwrap();
            drop(client);
        };
        let ((), written) = tokio::join!(send, exchange(peer, Vec::new()));
        let mut arrived = Vec::new();
        for (opcode, payload) in sent(&written) {
            assert_eq!((opcode, &*payload), (PING, &[payload[0]; 9][..]));
            arrived.push(payload[0]);
        }
        assert!(arrived.is_sorted_by(|one, next| one < next), "{arrived:?}");
        for index in completed {
            assert!(arrived.contains(&index), "{index} of {arrived:?}");
        }
    })
    .await;
    assert!(scenarios > 15, "{scenarios}");
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_while_messages_arrive_loses_none_of_either_kind() {
    Drops::at_every_await(async |drops| {
        let (mut server, peer) = trickling(Role::Server, barely_buffered());
        let mut completed = 0;
        let serve = async {
            let mut messages = Vec::new();
            while let Some(message) = drops.insist(async || server.recv().await.unwrap()).await {
                messages.push(message);
                let reply = vec![0; messages.len()];
                if drops.attempt(server.send(reply)).await.is_some() {
                    completed += 1;
                }
            }
            drop(server);
            messages
        };
        let (messages, answers) = tokio::join!(serve, exchange(peer, conversation()));
        assert_eq!(messages.len(), 3);
        let replies = sent(&answers);
        let replies = replies.iter().filter(|(opcode, _)| *opcode == BINARY);
        assert!(replies.count() >= completed);
    })
    .await;
}

// -- Closing --------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_dropped_close_goes_on_with_the_next_close() {
    for role in [Role::Client, Role::Server] {
        let scenarios = Drops::at_every_await(async |drops| {
            let (mut socket, mut peer) = trickling_pair(role);
            let close = async {
                socket.feed("last words").await.unwrap();
                let code = CloseCode::GOING_AWAY;
                let end = drops.insist(async || socket.close(code, "bye").await).await;
                assert_eq!(socket.end(), Some(end.as_ref().unwrap()));
                drop(socket);
                end.unwrap()
            };
            let serve = async {
                // A message that is dropped, because it comes before the Close.
                peer.send("in flight").await.unwrap();
                let received = received_by(&mut peer).await;
                let end = peer.end().cloned().unwrap();
                // The other end may wait for this one to close.
                drop(peer);
                (received, end)
            };
            let (end, (received, end_of_peer)) = tokio::join!(close, serve);
            assert_eq!(received, [text("last words"), support::close(1001, "bye")]);
            assert!(end.is_clean() && end_of_peer.is_clean());
            assert_eq!(end.initiator, Some(Initiator::Local));
            assert_eq!((end.code(), end_of_peer.code()), (1001, 1001));
        })
        .await;
        assert!(scenarios > 15, "{role:?}: {scenarios}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_close_goes_on_with_the_next_recv_which_drops_no_message() {
    Drops::at_every_await(async |drops| {
        let (mut client, mut peer) = trickling_pair(Role::Client);
        let close = async {
            let closing = client.close(CloseCode::GOING_AWAY, "");
            let closed = drops.attempt(closing).await;
            let mut messages = Vec::new();
            if closed.is_none() {
                if client.connection().state() == framewright::State::Open {
                    // It was dropped before its first poll.
                    client.send_close(CloseCode::GOING_AWAY, "").await.unwrap();
                }
                while let Some(message) = client.recv().await.unwrap() {
                    messages.push(message);
                }
            }
            let end = client.end().cloned().unwrap();
            drop(client);
            (closed.is_some(), messages, end)
        };
        let serve = async {
            peer.send("in flight").await.unwrap();
            let received = received_by(&mut peer).await;
            drop(peer);
            received
        };
        let ((closed, messages, end), received) = tokio::join!(close, serve);
        assert!(end.is_clean());
        assert_eq!(received, [support::close(1001, "")]);
        // What the dropped future had read already is gone, as it says.
        assert!(messages.len() <= 1);
        assert!(!closed || messages.is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_close_has_sent_one_close_or_none() {
    let scenarios = Drops::at_every_await(async |drops| {
        let (mut client, mut peer) = trickling_pair(Role::Client);
        let close = async {
            client.feed("last words").await.unwrap();
            let sent = drops
                .insist(async || {
                    match client.send_close(CloseCode::GOING_AWAY, "bye").await {
                        // A future that was dropped has queued it.
                        Err(Error::Send(SendError::Closing)) => client.flush().await,
                        sent => sent,
                    }
                })
                .await;
            sent.unwrap();
            assert_eq!(client.recv().await.unwrap(), None);
            let end = client.end().cloned().unwrap();
            drop(client);
            end
        };
        let serve = async {
            let received = received_by(&mut peer).await;
            drop(peer);
            received
        };
        let (end, received) = tokio::join!(close, serve);
        assert!(end.is_clean());
        assert_eq!(received, [text("last words"), support::close(1001, "bye")]);
    })
    .await;
    assert!(scenarios > 15, "{scenarios}");
}

#[tokio::test(start_paused = true)]
async fn a_recv_that_is_dropped_while_the_peer_closes_still_answers_once() {
    for role in [Role::Client, Role::Server] {
        Drops::at_every_await(async |drops| {
            let (mut socket, mut peer) = trickling_pair(role);
            let receive = async {
                let received = drops.insist(async || socket.recv().await.unwrap()).await;
                assert_eq!(received, None);
                let end = socket.end().cloned().unwrap();
                drop(socket);
                end
            };
            let close = async {
                let end = peer.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
                drop(peer);
                end
            };
            let (end, end_of_peer) = tokio::join!(receive, close);
            assert_eq!(end.cause, EndCause::ClosingHandshake);
            assert_eq!(end.initiator, Some(Initiator::Peer));
            assert!(end_of_peer.is_clean());
        })
        .await;
    }
}

// -- The opening handshake ------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_dropped_accept_drops_its_stream() {
    let whole = RefCell::new(Vec::new());
    let partial = RefCell::new(Vec::new());
    let scenarios = Drops::at_every_await(async |drops| {
        let (stream, peer) = streams_that_trickle();
        let serve = async {
            let accepted = drops.attempt(accept(stream)).await;
            accepted.map(Result::unwrap).is_some()
        };
        // That it ends says that the stream was dropped: no virtual time passes.
        let started = tokio::time::Instant::now();
        let (accepted, answer) = tokio::join!(serve, exchange(peer, upgrade_request()));
        assert_eq!(started.elapsed(), std::time::Duration::ZERO);
        let list = if accepted { &whole } else { &partial };
        list.borrow_mut().push(answer);
    })
    .await;
    assert!(scenarios > 250, "{scenarios}");
    let whole = whole.into_inner();
    assert!(whole[0].starts_with(b"HTTP/1.1 101 ") && whole[0].ends_with(b"\r\n\r\n"));
    for answer in partial.into_inner() {
        assert!(whole[0].starts_with(&answer));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handshake_of_a_client_drops_its_stream() {
    let scenarios = Drops::at_every_await(async |drops| {
        let (stream, peer) = streams_that_trickle();
        let client = Client::new(request());
        let open = async {
            let handshake = client.handshake(stream);
            drops.attempt(handshake).await.map(Result::unwrap).is_some()
        };
        let (opened, accepted) = tokio::join!(open, accept(peer));
        match accepted {
            Ok(_) => {}
            Err(Error::Io(_) | Error::Handshake(framewright::HandshakeError::EndOfStream)) => {
                assert!(!opened);
            }
            Err(error) => panic!("{error:?}"),
        }
    })
    .await;
    assert!(scenarios > 250, "{scenarios}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_answer_drops_its_stream() {
    for answer in [Answer::Accept, Answer::Reject, Answer::Respond] {
        let scenarios = Drops::at_every_await(async |drops| {
            let (stream, peer) = streams_that_trickle();
            let serve = async {
                let incoming = Server::new().receive(stream).await.unwrap();
                let teapot = Response::new(418).unwrap().body("short and stout");
                match (incoming, answer) {
                    (Incoming::Upgrade(upgrade), Answer::Accept) => {
                        let accepted = drops.attempt(upgrade.accept(Acceptance::new())).await;
                        accepted.map(|accepted| accepted.map(drop))
                    }
                    (Incoming::Upgrade(upgrade), _) => drops.attempt(upgrade.reject(&teapot)).await,
                    (Incoming::Plain(plain), _) => drops.attempt(plain.respond(&teapot)).await,
                }
            };
            let request = match answer {
                Answer::Accept | Answer::Reject => upgrade_request(),
                Answer::Respond => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            };
            let (outcome, written) = tokio::join!(serve, exchange(peer, request));
            if let Some(outcome) = outcome {
                outcome.unwrap();
                let end = match answer {
                    Answer::Accept => "\r\n\r\n",
                    Answer::Reject | Answer::Respond => "short and stout",
                };
                assert!(written.ends_with(end.as_bytes()));
            }
        })
        .await;
        assert!(scenarios > 70, "{answer:?}: {scenarios}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Accept,
    Reject,
    Respond,
}

// -- Rig ------------------------------------------------------------------------------------------

/// A stream of which every operation waits once, and then moves one byte, and its other end.
fn streams_that_trickle() -> (MemoryStream, MemoryStream) {
    let wire = Wire::new().capacity(ROOM).reluctant();
    stream_pair(
        wire.clone().writes(Split::Every(1)),
        wire.reads(Split::Every(1)),
    )
}

/// A socket over a stream that trickles, and the other end of the stream.
fn trickling(role: Role, config: Config) -> (WebSocket<MemoryStream>, MemoryStream) {
    let (stream, peer) = streams_that_trickle();
    (socket(role, config, stream), peer)
}

/// A socket over a stream that trickles, and its peer.
fn trickling_pair(role: Role) -> (WebSocket<MemoryStream>, WebSocket<MemoryStream>) {
    let (one, peer) = trickling(role, Config::default());
    let peer = socket(support::peer_of(role), Config::default(), peer);
    (one, peer)
}

/// Sends bytes and shuts down, while it reads until the other end does.
async fn exchange(peer: MemoryStream, bytes: Vec<u8>) -> Vec<u8> {
    let (mut reading, mut writing) = tokio::io::split(peer);
    let send = async {
        // The other end may have had enough.
        if writing.write_all(&bytes).await.is_ok() && !bytes.is_empty() {
            let _ = writing.shutdown().await;
        }
    };
    let mut received = Vec::new();
    let ((), read) = tokio::join!(send, reading.read_to_end(&mut received));
    read.unwrap();
    received
}

/// Receives until the end.
async fn received_by(socket: &mut WebSocket<MemoryStream>) -> Vec<Received> {
    let mut events = Vec::new();
    while let Some((event, _)) = socket.recv_event().await.unwrap() {
        events.push(event.into());
    }
    events
}

/// What a client may say: three messages, one of them in pieces, with a Ping and a Pong between.
fn conversation() -> Vec<u8> {
    support::sent_by(
        Role::Client,
        &[
            frame(TEXT, "one"),
            fragment(TEXT, "in "),
            frame(PING, "asked"),
            frame(CONTINUATION, "pieces"),
            frame(PONG, "unasked"),
            frame(BINARY, [7; 130]),
            frame(CLOSE, support::close_payload(1000, b"bye")),
        ],
    )
}

/// More than a message may not wait.
fn barely_buffered() -> Config {
    config(|config| config.write_high_water = 8)
}

/// RFC 6455, section 1.2, less its subprotocols and its origin.
fn upgrade_request() -> Vec<u8> {
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
      Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
      Sec-WebSocket-Version: 13\r\n\r\n"
        .to_vec()
}
