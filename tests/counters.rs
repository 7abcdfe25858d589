//! What a connection counts, where its configuration asks for it.
//!
//! The figures are worked out by hand, at every chunk length: they must not depend on how the bytes
//! came, nor on the way that a message takes through the core.

mod support;

use std::sync::Arc;

use framewright::handshake::{Acceptance, Request, ServerHandshake};
use framewright::{
    CloseCode, Config, Connection, Counters, Delivery, Message, MessageKind, PreparedMessage,
    RecvBuffer, Role, SendBuffer,
};
use support::*;

fn counting(change: impl FnOnce(&mut Config)) -> Config {
    config(|config| {
        config.counters = true;
        change(config);
    })
}

fn counters(connection: &Connection) -> Counters {
    *connection
        .counters()
        .expect("the configuration asks for it")
}

#[test]
fn what_is_received_is_counted_alike_however_it_comes() {
    let frames = [
        frame(TEXT, "hello"),
        frame(PING, "p1"),
        frame(BINARY, [7; 300]),
        fragment(TEXT, "frag"),
        frame(PONG, ""),
        frame(CONTINUATION, "ments"),
        frame(BINARY, [9; 70_000]),
    ];
    for role in ROLES {
        let bytes = sent_by(peer_of(role), &frames);
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            for chunk_len in CHUNK_LENS {
                let config = counting(|config| config.delivery = delivery);
                let mut endpoint = Endpoint::with_config(role, config);
                endpoint.receive_in_chunks(&bytes, chunk_len);
                let counters = counters(&endpoint.connection);
                let received = counters.received;
                let case = format!("{role:?}, {delivery:?}, {chunk_len}");
                assert_eq!(received.messages, 4, "{case}");
                assert_eq!(received.frames, 7, "{case}");
                assert_eq!((received.pings, received.pongs), (1, 1), "{case}");
                assert_eq!(received.payload_bytes, 5 + 300 + 9 + 70_000, "{case}");
                assert_eq!(received.wire_bytes, bytes.len() as u64, "{case}");
                // The answer to the Ping.
                assert_eq!(
                    (counters.sent.frames, counters.sent.pongs),
                    (1, 1),
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn a_message_that_is_not_whole_is_bytes_and_no_message() {
    let mut endpoint = Endpoint::with_config(Role::Server, counting(|_| {}));
    let bytes = sent_by(
        Role::Client,
        &[fragment(TEXT, "half"), frame(CONTINUATION, [b'a'; 200])],
    );
    let cut = &bytes[..bytes.len() - 1];
    endpoint.receive(cut);
    let received = counters(&endpoint.connection).received;
    assert_eq!(
        (received.messages, received.frames, received.payload_bytes),
        (0, 0, 0)
    );
    assert_eq!(received.wire_bytes, cut.len() as u64);
}

#[test]
fn what_came_with_the_head_is_counted_without_the_head() {
    let config = Arc::new(counting(|_| {}));
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let frame = sent_by(Role::Client, &[frame(TEXT, "hello")]);
    let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
    input.extend(head.as_bytes());
    input.extend(&frame);
    let mut handshake = ServerHandshake::new(Arc::clone(&config));
    let Ok(Some(Request::Upgrade(request))) = handshake.receive(&mut input) else {
        panic!("the request is right");
    };
    let accepted = request.accept(Acceptance::new(), config, &mut output);
    let mut connection = accepted.unwrap();
    assert_eq!(connection.advance(&mut input, &mut output), Ok(true));
    let received = counters(&connection).received;
    assert_eq!(received.wire_bytes, frame.len() as u64);
}

#[test]
fn what_is_sent_is_counted_by_every_way_of_sending() {
    for role in ROLES {
        let mut endpoint = Endpoint::with_config(role, counting(|_| {}));
        let Endpoint {
            connection, output, ..
        } = &mut endpoint;
        connection.send_text("hello", output).unwrap();
        connection.send_binary(&[1; 200], output).unwrap();
        // A server shares what is so long.
        connection
            .send_message(Message::binary(vec![2; 20_000]), output)
            .unwrap();
        connection
            .send_prepared(&PreparedMessage::text("prepared"), output)
            .unwrap();
        connection
            .send_fragment(MessageKind::Binary, b"one", false, output)
            .unwrap();
        connection.send_ping(b"p", output).unwrap();
        connection
            .send_fragment(MessageKind::Binary, b"two", true, output)
            .unwrap();
        connection.send_pong(b"q", output).unwrap();
        connection
            .send_close(Some(close_frame(1000, "bye")), output)
            .unwrap();
        let counters = counters(connection);
        let sent = counters.sent;
        assert_eq!((sent.messages, sent.frames), (5, 9), "{role:?}");
        assert_eq!((sent.pings, sent.pongs), (1, 1), "{role:?}");
        assert_eq!(sent.payload_bytes, 5 + 200 + 20_000 + 8 + 6, "{role:?}");
        assert_eq!(sent.wire_bytes, output.len() as u64, "{role:?}");
        assert_eq!(counters.peak_buffered, output.len(), "{role:?}");
    }
}

#[test]
fn what_is_refused_is_not_counted() {
    let mut endpoint = Endpoint::with_config(Role::Server, counting(|_| {}));
    let Endpoint {
        connection, output, ..
    } = &mut endpoint;
    connection.send_ping(&[0; 126], output).unwrap_err();
    connection
        .send_fragment(MessageKind::Text, b"\xff", true, output)
        .unwrap_err();
    connection
        .send_fragment(MessageKind::Text, b"begun", false, output)
        .unwrap();
    connection.send_text("another", output).unwrap_err();
    let sent = counters(connection).sent;
    assert_eq!((sent.messages, sent.frames), (0, 1));
}

#[test]
fn the_peak_is_the_most_that_waited() {
    let mut endpoint = Endpoint::with_config(Role::Server, counting(|_| {}));
    let Endpoint {
        connection, output, ..
    } = &mut endpoint;
    connection.send_binary(&[0; 100], output).unwrap();
    connection.send_binary(&[0; 100], output).unwrap();
    output.consume(150);
    connection.send_binary(&[0; 10], output).unwrap();
    assert_eq!(counters(connection).peak_buffered, 204);
    assert_eq!(counters(connection).sent.wire_bytes, 216);
}

#[test]
fn an_answer_that_takes_the_place_of_another_is_no_more_bytes() {
    let mut endpoint = Endpoint::with_config(Role::Server, counting(|_| {}));
    let Endpoint {
        connection,
        input,
        output,
        ..
    } = &mut endpoint;
    let pings = [frame(PING, "a long one"), frame(PING, "b")];
    input.extend(&sent_by(Role::Client, &pings));
    while connection.advance(input, output).unwrap() {}
    let sent = counters(&endpoint.connection).sent;
    assert_eq!(sent.pongs, 2);
    assert_eq!(sent.wire_bytes, endpoint.output.len() as u64);
}

#[test]
fn a_close_is_a_frame_both_ways() {
    let mut pair = Pair::with_config(&counting(|_| {}), usize::MAX, Drain::AtTheEnd);
    let (client, _) = pair.ends(Role::Client);
    client
        .connection
        .send_close(
            Some(close_frame(CloseCode::NORMAL_CLOSURE.get(), "")),
            &mut client.output,
        )
        .unwrap();
    pair.settle();
    for role in ROLES {
        let counters = counters(&pair.end(role).connection);
        assert_eq!(
            (counters.sent.frames, counters.received.frames),
            (1, 1),
            "{role:?}"
        );
    }
}

#[test]
fn nothing_is_counted_unless_it_is_asked_for() {
    let mut endpoint = Endpoint::new(Role::Server);
    endpoint.receive(&sent_by(Role::Client, &[frame(TEXT, "hello")]));
    assert_eq!(endpoint.connection.counters(), None);
}
