//! What goes out: messages, fragments, masks, and what is refused.
//!
//! RFC 6455, sections 5.1, 5.3 to 5.6 and 6.1.

mod support;

use bytes::Bytes;
use framewright::{
    Config, Connection, Message, MessageKind, Role, SendBuffer, SendError, State, Utf8Bytes,
};
use support::*;

/// What `send` makes an endpoint of `role` write, whose masking keys are [`CountingMasks`].
fn written(
    role: Role,
    send: impl FnOnce(&mut Connection, &mut SendBuffer) -> Result<(), SendError>,
) -> Vec<u8> {
    let Endpoint {
        mut connection,
        mut output,
        ..
    } = Endpoint::new(role);
    assert_eq!(send(&mut connection, &mut output), Ok(()));
    assert_eq!(output.len(), output.to_vec().len());
    output.to_vec()
}

#[test]
fn a_message_is_one_frame_with_the_shortest_length() {
    for role in ROLES {
        for len in [0, 1, 125, 126, 127, 8191, 8192, 65535, 65536, 100_000] {
            let string = "x".repeat(len);
            let expected = wire(role, &[frame(TEXT, &string)]);
            let sent = written(role, |connection, output| {
                connection.send_text(&string, output)
            });
            assert!(sent == expected, "{role:?}, {len} bytes of text");
            let sent = written(role, |connection, output| {
                connection.send_message(Message::text(string.as_str()), output)
            });
            assert!(sent == expected, "{role:?}, a text message of {len} bytes");

            let expected = wire(role, &[frame(BINARY, &string)]);
            let sent = written(role, |connection, output| {
                connection.send_binary(string.as_bytes(), output)
            });
            assert!(sent == expected, "{role:?}, {len} bytes");
            let sent = written(role, |connection, output| {
                connection.send_message(Message::binary(string.clone()), output)
            });
            assert!(sent == expected, "{role:?}, a message of {len} bytes");
        }
    }
}

#[test]
fn a_control_message_is_sent_like_its_method_sends_it() {
    for role in ROLES {
        let sent = written(role, |connection, output| {
            let ping = Message::Ping(Bytes::from_static(b"p"));
            let pong = Message::Pong(Bytes::from_static(b"q"));
            connection.send_message(ping, output)?;
            connection.send_message(pong, output)?;
            connection.send_message(Message::Close(Some(close_frame(1001, "r"))), output)
        });
        let frames = [
            frame(PING, "p"),
            frame(PONG, "q"),
            frame(CLOSE, close_payload(1001, b"r")),
        ];
        assert_eq!(sent, wire(role, &frames));
        let sent = written(role, |connection, output| {
            connection.send_message(Message::Close(None), output)
        });
        assert_eq!(sent, wire(role, &[frame(CLOSE, "")]));
    }
}

#[test]
fn every_client_frame_has_a_fresh_key() {
    // 5.3: "The masking key is a 32-bit value chosen at random by the client. When preparing a
    // masked frame, the client MUST pick a fresh masking key from the set of allowed 32-bit
    // values."
    let mut client = Connection::new(Role::Client, Config::default().into());
    let mut output = SendBuffer::new();
    for _ in 0..8 {
        client.send_text("same", &mut output).unwrap();
        client
            .send_fragment(MessageKind::Text, b"same", false, &mut output)
            .unwrap();
        client.send_ping(b"same", &mut output).unwrap();
        client
            .send_fragment(MessageKind::Text, b"same", true, &mut output)
            .unwrap();
    }
    client.send_close(None, &mut output).unwrap();
    let bytes = output.to_vec();
    let frames = frames_in(&bytes);
    assert_eq!(frames.len(), 33);
    let mut keys: Vec<_> = frames.iter().map(|frame| frame.mask.unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    // That two of 33 random keys are equal happens once in eight million runs; three, never.
    assert!(keys.len() >= 32, "{keys:x?}");

    let mut server = Endpoint::new(Role::Server);
    server.receive(&bytes);
    assert_eq!(server.error, None);
    assert_eq!(server.received.len(), 8 * 3 + 1);
}

#[test]
fn every_client_frame_draws_one_key_of_its_source() {
    let sent = written(Role::Client, |client, output| {
        client.send_text("", output)?;
        client.send_binary(&[0; 70_000], output)?;
        client.send_ping(b"", output)?;
        client.send_fragment(MessageKind::Binary, b"a", false, output)?;
        client.send_pong(b"p", output)?;
        client.send_fragment(MessageKind::Binary, b"", true, output)?;
        client.send_close(None, output)
    });
    let frames = [
        frame(TEXT, ""),
        frame(BINARY, vec![0; 70_000]),
        frame(PING, ""),
        fragment(BINARY, "a"),
        frame(PONG, "p"),
        frame(CONTINUATION, ""),
        frame(CLOSE, ""),
    ];
    assert!(sent == wire(Role::Client, &frames));
}

#[test]
fn a_server_masks_nothing() {
    // 5.1: "A server MUST NOT mask any frames that it sends to the client."
    let mut server = Endpoint::new(Role::Server);
    server
        .connection
        .send_text("message", &mut server.output)
        .unwrap();
    server
        .connection
        .send_fragment(MessageKind::Binary, b"a", false, &mut server.output)
        .unwrap();
    server
        .connection
        .send_ping(b"p", &mut server.output)
        .unwrap();
    server.receive(&sent_by(Role::Client, &[frame(PING, "p"), frame(0x3, "")]));
    let frames = frames_in(&server.take_written());
    assert_eq!(frames.len(), 5);
    assert!(frames.iter().all(|frame| frame.mask.is_none()));
}

#[test]
fn a_long_message_of_a_server_is_not_copied() {
    let payload = Bytes::from(vec![7; 100_000]);
    let mut server = Connection::new(Role::Server, Config::default().into());
    let mut output = SendBuffer::new();
    server.send_text("before", &mut output).unwrap();
    server
        .send_message(Message::Binary(payload.clone()), &mut output)
        .unwrap();
    server.send_text("behind", &mut output).unwrap();
    let chunks: Vec<_> = output.chunks().collect();
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[1].as_ptr(), payload.as_ptr(), "by reference");
    assert_eq!(chunks[1].len(), payload.len());
    assert_eq!(chunks[0], b"\x81\x06before\x82\x7f\0\0\0\0\0\x01\x86\xa0");
    assert_eq!(chunks[2], b"\x81\x06behind");
    assert_eq!(output.len(), 8 + 10 + 100_000 + 8);

    // A reference costs more than a copy of a short one.
    for (len, chunks) in [(8191, 1), (8192, 2)] {
        output = SendBuffer::new();
        let payload = Bytes::from(vec![7; len]);
        server
            .send_message(Message::Binary(payload), &mut output)
            .unwrap();
        assert_eq!(output.chunks().count(), chunks, "{len} bytes");
        assert_eq!(output.as_slice().is_some(), chunks == 1);
    }

    let string = "x".repeat(100_000);
    let text = Utf8Bytes::from(string.as_str());
    let start = text.as_str().as_ptr();
    output = SendBuffer::new();
    server
        .send_message(Message::Text(text), &mut output)
        .unwrap();
    assert!(output.chunks().any(|chunk| chunk.as_ptr() == start));
}

#[test]
fn output_in_one_piece_is_a_slice_of_what_waits() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role);
        assert_eq!(endpoint.output.as_slice(), Some(&b""[..]));
        endpoint
            .connection
            .send_text("text", &mut endpoint.output)
            .unwrap();
        let all = endpoint.output.to_vec();
        assert_eq!(endpoint.output.as_slice(), Some(&all[..]));
        endpoint.output.consume(3);
        assert_eq!(endpoint.output.as_slice(), Some(&all[3..]));
    }
}

#[test]
fn an_empty_output_lends_its_memory_and_gives_it_back() {
    let mut server = Connection::new(Role::Server, Config::default().into());
    let mut output = SendBuffer::new();
    assert_eq!(output.park(), None, "a new buffer owns no memory");
    let mut memory = Vec::with_capacity(1000);
    memory.extend_from_slice(b"left over");
    let start = memory.as_ptr();
    output.lend(memory);
    assert!(output.is_empty());
    server.send_text("text", &mut output).unwrap();
    assert_eq!(output.as_slice().map(<[u8]>::as_ptr), Some(start));
    // What waits stays, and where it is.
    assert_eq!(output.park(), None);
    output.lend(Vec::with_capacity(2000));
    assert_eq!(output.as_slice().map(<[u8]>::as_ptr), Some(start));
    assert_eq!(output.to_vec(), b"\x81\x04text");
    output.consume(6);
    let memory = output.park().expect("the memory that was lent");
    assert_eq!((memory.as_ptr(), memory.len()), (start, 0));
    assert_eq!(output.park(), None);
    // What a long message needed besides is not asked for.
    server
        .send_message(Message::binary(vec![7; 8192]), &mut output)
        .unwrap();
    output.consume(usize::MAX);
    output.lend(Vec::with_capacity(1));
    assert!(output.park().is_some_and(|memory| memory.capacity() == 1));
    assert_eq!(output.park(), None);
}

#[test]
fn an_output_that_drained_keeps_up_to_128_kib() {
    let mut server = Connection::new(Role::Server, Config::default().into());
    let mut output = SendBuffer::new();
    for (capacity, is_kept) in [(128 << 10, true), ((128 << 10) + 1, false)] {
        output.lend(Vec::with_capacity(capacity));
        server.send_text("text", &mut output).unwrap();
        output.consume(6);
        assert_eq!(output.park().is_some(), is_kept, "{capacity}");
    }
}

#[test]
fn what_is_consumed_of_a_long_output_moves_nothing_else_out_of_its_place() {
    // Far more than is kept waits; most of it leaves, and behind it are a Pong that may still be
    // replaced and a payload that is not copied.
    let mut server = Endpoint::new(Role::Server).draining(Drain::AtTheEnd);
    let short = frame(BINARY, [1; 1000]);
    let ping = |server: &mut Endpoint, payload: &[u8]| {
        let bytes = frame(PING, payload).sent_by(Role::Client).bytes();
        server.input.extend(&bytes);
        let found = server
            .connection
            .advance(&mut server.input, &mut server.output);
        assert_eq!(found, Ok(true));
    };
    for _ in 0..400 {
        server
            .connection
            .send_binary(&[1; 1000], &mut server.output)
            .unwrap();
    }
    ping(&mut server, b"older");
    let long = Bytes::from(vec![2; 10_000]);
    for _ in 0..2 {
        server
            .connection
            .send_message(Message::Binary(long.clone()), &mut server.output)
            .unwrap();
    }
    // 399 and a half of the short ones.
    let taken = short.bytes().len() * 399 + 500;
    server.output.consume(taken);
    ping(&mut server, b"newer");
    let expected = concat(&[
        short,
        frame(BINARY, &long),
        frame(BINARY, &long),
        frame(PONG, "newer"),
    ]);
    assert!(server.output.to_vec() == expected[500..]);
    assert_eq!(server.output.len(), expected.len() - 500);
}

#[test]
fn a_long_message_of_a_client_is_masked_while_it_is_copied() {
    let payload = Bytes::from(vec![7; 100_000]);
    let sent = written(Role::Client, |client, output| {
        client.send_message(Message::Binary(payload.clone()), output)?;
        assert!(
            output
                .chunks()
                .all(|chunk| chunk.as_ptr() != payload.as_ptr())
        );
        Ok(())
    });
    assert!(sent == wire(Role::Client, &[frame(BINARY, &payload)]));
    assert!(payload.iter().all(|&byte| byte == 7), "not masked in place");
}

#[test]
fn partial_writes_of_any_length_lose_nothing() {
    for role in ROLES {
        let mut frames = Vec::new();
        for len in [0, 3, 9000, 10_000, 126, 20_000] {
            frames.push(frame(BINARY, vec![7; len]));
        }
        let whole = wire(role, &frames);
        for step in [1, 2, 7, 4096, 9000, 9005, usize::MAX] {
            let Endpoint {
                mut connection,
                mut output,
                ..
            } = Endpoint::new(role);
            for frame in &frames {
                let message = Message::binary(frame.payload.clone());
                connection.send_message(message, &mut output).unwrap();
            }
            let mut left = Vec::new();
            while !output.is_empty() {
                // As much as one write takes, though not more than `step`.
                let mut taken = 0;
                for chunk in output.chunks() {
                    let len = chunk.len().min(step - taken);
                    left.extend_from_slice(&chunk[..len]);
                    taken += len;
                }
                let before = output.len();
                output.consume(taken);
                assert_eq!(output.len(), before - taken);
            }
            assert!(left == whole, "{role:?} in steps of {step}");
            // To consume more than there is takes what there is.
            connection.send_text("more", &mut output).unwrap();
            output.consume(usize::MAX);
            assert!(output.is_empty());
            assert_eq!(output.chunks().count(), 0);
        }
    }
}

#[test]
fn fragments_continue_the_first_until_fin() {
    // 5.4: "a single frame with the FIN bit clear and an opcode other than 0, followed by zero or
    // more frames with the FIN bit clear and the opcode set to 0, and terminated by a single frame
    // with the FIN bit set and an opcode of 0."
    for role in ROLES {
        for (kind, opcode) in [(MessageKind::Text, TEXT), (MessageKind::Binary, BINARY)] {
            let sent = written(role, |connection, output| {
                connection.send_fragment(kind, b"one", false, output)?;
                connection.send_fragment(kind, b"", false, output)?;
                connection.send_fragment(kind, b"two", false, output)?;
                connection.send_fragment(kind, b"", true, output)?;
                // A message of one fragment is one frame.
                connection.send_fragment(kind, b"three", true, output)?;
                connection.send_binary(b"four", output)
            });
            let frames = [
                fragment(opcode, "one"),
                fragment(CONTINUATION, ""),
                fragment(CONTINUATION, "two"),
                frame(CONTINUATION, ""),
                frame(opcode, "three"),
                frame(BINARY, "four"),
            ];
            assert_eq!(sent, wire(role, &frames));
        }
    }
}

#[test]
fn fragments_of_a_text_may_end_inside_a_character() {
    let whole = "a\u{e9}\u{20ac}\u{1f600}z";
    scenario(|pair| {
        for first in 0..=whole.len() {
            let client = &mut pair.client;
            let (before, behind) = whole.as_bytes().split_at(first);
            for (payload, fin) in [(before, false), (behind, true)] {
                client
                    .connection
                    .send_fragment(MessageKind::Text, payload, fin, &mut client.output)
                    .unwrap();
            }
            pair.settle();
            assert_eq!(pair.server.received.last(), Some(&text(whole)));
        }
        assert_eq!(pair.server.received.len(), whole.len() + 1);
        assert_eq!(pair.server.error, None);
    });
}

#[test]
fn another_message_inside_a_fragmented_one_is_refused() {
    for role in ROLES {
        let Endpoint {
            mut connection,
            mut output,
            ..
        } = Endpoint::new(role);
        let output = &mut output;
        let (kind, other) = (MessageKind::Text, MessageKind::Binary);
        connection.send_fragment(kind, b"a", false, output).unwrap();
        let before = output.len();
        let error = Err(SendError::MessageUnfinished);
        assert_eq!(connection.send_text("b", output), error);
        assert_eq!(connection.send_binary(b"b", output), error);
        assert_eq!(connection.send_message("b".into(), output), error);
        // Long enough to be sent by reference.
        let long = Message::binary(vec![0; 100_000]);
        assert_eq!(connection.send_message(long, output), error);
        assert_eq!(connection.send_fragment(other, b"b", false, output), error);
        assert_eq!(connection.send_fragment(other, b"b", true, output), error);
        assert_eq!(output.len(), before);
        // 5.4: control frames may be injected, and the message goes on as if nothing had been.
        connection.send_ping(b"p", output).unwrap();
        connection.send_fragment(kind, b"c", true, output).unwrap();
        connection.send_text("d", output).unwrap();
        let frames = [
            fragment(TEXT, "a"),
            frame(PING, "p"),
            frame(CONTINUATION, "c"),
            frame(TEXT, "d"),
        ];
        assert_eq!(output.to_vec(), wire(role, &frames));
    }
}

#[test]
fn fragments_that_are_not_utf8_together_are_refused() {
    for role in ROLES {
        let kind = MessageKind::Text;
        let error = Err(SendError::TextNotUtf8);
        let Endpoint {
            mut connection,
            mut output,
            ..
        } = Endpoint::new(role);
        let output = &mut output;
        for fin in [false, true] {
            for bad in [b"\xff".as_slice(), b"fine \xed\xa0\x80"] {
                assert_eq!(connection.send_fragment(kind, bad, fin, output), error);
            }
        }
        let cut_short = b"\xe2\x82";
        assert_eq!(
            connection.send_fragment(kind, cut_short, true, output),
            error
        );
        assert!(output.is_empty());

        connection
            .send_fragment(kind, cut_short, false, output)
            .unwrap();
        let before = output.len();
        for bad in [b"".as_slice(), b"a", b"\xff", b"\xc3\xa9"] {
            assert_eq!(connection.send_fragment(kind, bad, true, output), error);
        }
        assert_eq!(output.len(), before);
        // What was refused has left no trace: the character may still be finished.
        connection
            .send_fragment(kind, b"\xac", true, output)
            .unwrap();
        let frames = [fragment(TEXT, cut_short), frame(CONTINUATION, b"\xac")];
        assert_eq!(output.to_vec(), wire(role, &frames));
        // And the next message begins anew.
        connection.send_fragment(kind, b"b", true, output).unwrap();
        // Bytes are not judged.
        connection
            .send_fragment(MessageKind::Binary, b"\xff", true, output)
            .unwrap();
    }
}

#[test]
fn nothing_is_sent_once_the_connection_is_closing_or_closed() {
    let close_locally = |end: &mut Endpoint| {
        end.connection
            .send_close(None, &mut end.output)
            .expect("an open connection may be closed");
    };
    let peer_closes = |end: &mut Endpoint| {
        let peer = peer_of(end.connection.role());
        end.receive(&frame(CLOSE, "").sent_by(peer).bytes());
    };
    let peer_fails = |end: &mut Endpoint| {
        let peer = peer_of(end.connection.role());
        end.receive(&frame(0x3, "").sent_by(peer).bytes());
    };
    let transport_ends = |end: &mut Endpoint| drop(end.connection.receive_eof());
    let transport_fails = |end: &mut Endpoint| drop(end.connection.transport_failed());
    let ways: [&dyn Fn(&mut Endpoint); 5] = [
        &close_locally,
        &peer_closes,
        &peer_fails,
        &transport_ends,
        &transport_fails,
    ];
    for role in ROLES {
        for way in ways {
            let mut endpoint = Endpoint::new(role);
            way(&mut endpoint);
            assert_ne!(endpoint.connection.state(), State::Open);
            endpoint.write();
            let Endpoint {
                connection, output, ..
            } = &mut endpoint;
            let error = Err(SendError::Closing);
            assert_eq!(connection.send_text("a", output), error);
            assert_eq!(connection.send_binary(b"a", output), error);
            for message in [
                Message::text("a"),
                Message::binary(vec![0; 100_000]),
                Message::Ping(Bytes::new()),
                Message::Pong(Bytes::new()),
                Message::Close(None),
            ] {
                assert_eq!(connection.send_message(message, output), error);
            }
            for kind in [MessageKind::Text, MessageKind::Binary] {
                assert_eq!(connection.send_fragment(kind, b"a", true, output), error);
            }
            assert_eq!(connection.send_ping(b"a", output), error);
            assert_eq!(connection.send_pong(b"a", output), error);
            assert_eq!(connection.send_close(None, output), error);
            assert!(output.is_empty(), "nothing is appended on an error");
        }
    }
}

#[test]
fn a_refused_frame_draws_no_key() {
    let sent = written(Role::Client, |client, output| {
        let refused = client.send_ping(&[0; 126], output);
        assert_eq!(refused, Err(SendError::ControlTooLong));
        let refused = client.send_close(Some(close_frame(1000, &"r".repeat(124))), output);
        assert_eq!(refused, Err(SendError::ReasonTooLong));
        client.send_text("first", output)
    });
    assert_eq!(sent, wire(Role::Client, &[frame(TEXT, "first")]));
}

#[test]
fn messages_of_every_kind_and_length_arrive_at_the_other_end() {
    scenario(|pair| {
        let mut expected = Vec::new();
        for len in [0, 1, 125, 126, 1000, 9000] {
            expected.push(text(&"\u{e9}".repeat(len / 2)));
            expected.push(binary(vec![0xa5; len]));
        }
        for role in ROLES {
            let end = pair.end(role);
            for message in &expected {
                let message = match message {
                    Received::Text(text) => Message::text(text.as_str()),
                    Received::Binary(data) => Message::binary(data.clone()),
                    other => unreachable!("{other:?} is not in the list"),
                };
                end.connection
                    .send_message(message, &mut end.output)
                    .unwrap();
            }
        }
        pair.settle();
        assert_eq!(pair.client.received, expected);
        assert_eq!(pair.server.received, expected);
    });
}

#[test]
fn an_echo_of_what_is_lent_needs_no_copy() {
    // The event borrows the input alone, so connection and output are free for the reply.
    let mut server = Endpoint::new(Role::Server);
    let frames = [frame(TEXT, "echo"), frame(BINARY, "this")];
    server.input.extend(&sent_by(Role::Client, &frames));
    let Endpoint {
        connection,
        input,
        output,
        ..
    } = &mut server;
    while let Some(event) = connection.receive(input, output).unwrap() {
        match event {
            framewright::Event::Text(text) => connection.send_text(text, output).unwrap(),
            framewright::Event::Binary(data) => connection.send_binary(data, output).unwrap(),
            other => unreachable!("{other:?} was not sent"),
        }
    }
    assert_eq!(output.to_vec(), concat(&frames));
}
