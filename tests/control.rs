//! Pings and Pongs, and what all control frames have in common.
//!
//! RFC 6455, sections 5.5, 5.5.2 and 5.5.3.

mod support;

use framewright::{Config, MessageKind, ProtocolError, Role, SendError, State};
use support::*;

#[test]
fn a_pong_repeats_the_payload_of_the_ping() {
    // 5.5.3: "A Pong frame sent in response to a Ping frame must have identical "Application data"
    // as found in the message body of the Ping frame being replied to."
    for role in ROLES {
        for len in 0..=125 {
            let payload: Vec<u8> = (0..=u8::MAX).rev().take(len).collect();
            let bytes = sent_by(peer_of(role), &[frame(PING, &payload)]);
            let mut endpoint = Endpoint::new(role);
            assert_eq!(endpoint.receive(&bytes), [ping(&payload)]);
            let answer = wire(role, &[frame(PONG, &payload)]);
            assert_eq!(endpoint.written, answer, "{role:?}, {len} bytes");
        }
    }
}

#[test]
fn every_ping_is_answered_where_the_output_leaves_in_time() {
    for role in ROLES {
        let names = ["one", "", "three", "\0", "five"];
        let outcome = receive_frames(role, &names.map(|name| frame(PING, name)));
        assert_eq!(outcome.received, names.map(ping));
        assert_eq!(
            outcome.output,
            wire(role, &names.map(|name| frame(PONG, name)))
        );
    }
}

#[test]
fn a_payload_that_looks_like_a_frame_is_none() {
    // Also where it stands first in what was received, because its own header came before it.
    for role in ROLES {
        let frames = [frame(TEXT, "x"), frame(BINARY, "y")];
        let payload = sent_by(peer_of(role), &frames);
        let outcome = receive_frames(
            role,
            &[
                frame(PING, &payload),
                fragment(BINARY, &payload),
                frame(PONG, &payload),
                frame(CONTINUATION, &payload),
                frame(BINARY, &payload),
            ],
        );
        let expected = [
            ping(&payload),
            pong(&payload),
            binary([&payload[..], &payload].concat()),
            binary(&payload),
        ];
        assert_eq!(outcome.received, expected);
    }
}

#[test]
fn a_pong_is_not_answered() {
    // 5.5.3: "A Pong frame MAY be sent unsolicited. This serves as a unidirectional heartbeat. A
    // response to an unsolicited Pong frame is not expected."
    for role in ROLES {
        let outcome = receive_frames(role, &[frame(PONG, "alive"), frame(PONG, "")]);
        assert_eq!(outcome.received, [pong("alive"), pong("")]);
        assert_eq!(outcome.output, b"");
        assert_eq!(outcome.state, State::Open);
    }
}

#[test]
fn only_the_newest_pong_waits() {
    // 5.5.3: "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in response
    // to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the most
    // recently processed Ping frame."
    for role in ROLES {
        let mut endpoint = Endpoint::new(role).draining(Drain::AtTheEnd);
        let peer = peer_of(role);
        for number in 0_u32..10_000 {
            let raw = frame(PING, number.to_be_bytes()).sent_by(peer);
            endpoint.input.extend(&raw.bytes());
            endpoint.handle_input();
            let header_len = if role == Role::Client { 6 } else { 2 };
            assert_eq!(endpoint.output.len(), header_len + 4);
        }
        assert_eq!(endpoint.received.len(), 10_000);
        let newest = 9_999_u32.to_be_bytes().to_vec();
        assert_eq!(sent(&endpoint.take_written()), [(PONG, newest)]);
    }
}

#[test]
fn a_newer_pong_leaves_everything_else_in_its_place() {
    for role in ROLES {
        let peer = peer_of(role);
        let mut endpoint = Endpoint::new(role).draining(Drain::AtTheEnd);
        let Endpoint {
            connection, output, ..
        } = &mut endpoint;
        connection.send_text("first", output).unwrap();
        let ping_a = frame(PING, "a").sent_by(peer).bytes();
        endpoint.input.extend(&ping_a);
        endpoint.handle_input();
        let Endpoint {
            connection, output, ..
        } = &mut endpoint;
        // What the application sends by itself is not ours to replace, Pongs included.
        connection.send_pong(b"unasked", output).unwrap();
        connection.send_ping(b"question", output).unwrap();
        // Long enough for a server to send it by reference.
        connection
            .send_message(vec![7; 20_000].into(), output)
            .unwrap();
        connection.send_text("last", output).unwrap();
        endpoint
            .input
            .extend(&frame(PING, "b").sent_by(peer).bytes());
        endpoint.handle_input();
        assert_eq!(
            sent(&endpoint.take_written()),
            [
                (TEXT, b"first".to_vec()),
                (PONG, b"unasked".to_vec()),
                (PING, b"question".to_vec()),
                (BINARY, vec![7; 20_000]),
                (TEXT, b"last".to_vec()),
                (PONG, b"b".to_vec()),
            ]
        );
    }
}

#[test]
fn a_pong_waits_until_a_byte_of_it_is_out() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role).draining(Drain::AtTheEnd);
        endpoint
            .connection
            .send_text("before", &mut endpoint.output)
            .unwrap();
        let before = endpoint.output.len();
        assert!(!endpoint.output.pong_waits());
        endpoint
            .input
            .extend(&frame(PING, "p").sent_by(peer_of(role)).bytes());
        let found = endpoint
            .connection
            .advance(&mut endpoint.input, &mut endpoint.output);
        assert_eq!(found, Ok(true));
        assert!(endpoint.output.pong_waits());
        endpoint.output.consume(before);
        assert!(endpoint.output.pong_waits(), "none of it is out");
        endpoint.output.consume(1);
        assert!(!endpoint.output.pong_waits());
    }
}

#[test]
fn a_pong_of_which_a_byte_is_out_stays_whole() {
    for role in ROLES {
        let peer = peer_of(role);
        let pong_len = wire(role, &[frame(PONG, "first")]).len();
        for out in 0..=pong_len {
            let mut endpoint = Endpoint::new(role).draining(Drain::AtTheEnd);
            let mut written = Vec::new();
            for (name, out) in [("first", out), ("second", 0), ("third", 0)] {
                endpoint
                    .input
                    .extend(&frame(PING, name).sent_by(peer).bytes());
                endpoint.handle_input();
                written.extend_from_slice(&endpoint.output.to_vec()[..out]);
                endpoint.output.consume(out);
            }
            written.extend(endpoint.take_written());
            let third = (PONG, b"third".to_vec());
            if out == 0 {
                assert_eq!(sent(&written), [third]);
            } else {
                assert_eq!(sent(&written), [(PONG, b"first".to_vec()), third]);
            }
        }
    }
}

#[test]
fn a_pong_behind_a_message_that_is_leaving_can_still_be_replaced() {
    for role in ROLES {
        let peer = peer_of(role);
        for message_len in [10, 20_000] {
            let mut endpoint = Endpoint::new(role).draining(Drain::AtTheEnd);
            endpoint
                .connection
                .send_message(vec![1; message_len].into(), &mut endpoint.output)
                .unwrap();
            endpoint
                .input
                .extend(&frame(PING, "old").sent_by(peer).bytes());
            endpoint.handle_input();
            let mut written = endpoint.output.to_vec()[..5].to_vec();
            endpoint.output.consume(5);
            endpoint
                .input
                .extend(&frame(PING, "new").sent_by(peer).bytes());
            endpoint.handle_input();
            written.extend(endpoint.take_written());
            assert_eq!(
                sent(&written),
                [(BINARY, vec![1; message_len]), (PONG, b"new".to_vec())]
            );
        }
    }
}

#[test]
fn a_control_frame_of_125_bytes_is_the_longest() {
    // 5.5: "All control frames MUST have a payload length of 125 bytes or less"
    for role in ROLES {
        let peer = peer_of(role);
        let longest = [b'x'; 125];
        let outcome = receive_frames(role, &[frame(PING, longest), frame(PONG, longest)]);
        assert_eq!(outcome.received, [ping(longest), pong(longest)]);
        let reason = "r".repeat(123);
        let payload = close_payload(1000, reason.as_bytes());
        let outcome = receive_frames(role, &[frame(CLOSE, payload)]);
        assert_eq!(outcome.received, [close(1000, &reason)]);

        for opcode in [CLOSE, PING, PONG] {
            for raw in [
                frame(opcode, [b'x'; 126]),
                frame(opcode, [b'x'; 300]),
                frame(opcode, "x").in_16_bits(),
                frame(opcode, "x").in_64_bits(),
                frame(opcode, "").claiming(u64::MAX),
            ] {
                let bytes = raw.sent_by(peer).bytes();
                assert_fails(role, &bytes, ProtocolError::ControlTooLong);
                // The second byte shows it.
                assert_fails(role, &bytes[..2], ProtocolError::ControlTooLong);
            }
        }
    }
}

#[test]
fn a_fragmented_control_frame_fails_the_connection() {
    // 5.5: "and MUST NOT be fragmented."
    for role in ROLES {
        let peer = peer_of(role);
        for opcode in [CLOSE, PING, PONG] {
            for payload in [b"".as_slice(), b"\x03\xe8"] {
                let bytes = fragment(opcode, payload).sent_by(peer).bytes();
                assert_fails(role, &bytes, ProtocolError::ControlFragmented);
                // The first byte shows it.
                assert_fails(role, &bytes[..1], ProtocolError::ControlFragmented);
                let frames = [
                    fragment(TEXT, "a"),
                    fragment(opcode, payload),
                    frame(CONTINUATION, "b"),
                ];
                let bytes = sent_by(peer, &frames);
                assert_fails(role, &bytes, ProtocolError::ControlFragmented);
            }
        }
    }
}

#[test]
fn a_ping_is_not_an_event_before_it_is_whole() {
    for role in ROLES {
        let bytes = frame(PING, "whole").sent_by(peer_of(role)).bytes();
        let mut endpoint = Endpoint::new(role);
        endpoint.receive_in_chunks(&bytes[..bytes.len() - 1], 1);
        assert_eq!(
            (&*endpoint.received, &*endpoint.written),
            (&[][..], &[][..])
        );
        assert_eq!(endpoint.receive(&bytes[bytes.len() - 1..]), [ping("whole")]);
    }
}

#[test]
fn a_ping_is_answered_while_we_are_closing() {
    // 5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless
    // it already received a Close frame."
    for role in ROLES {
        let peer = peer_of(role);
        for drain in DRAINS {
            let mut endpoint = Endpoint::new(role).draining(drain);
            endpoint
                .connection
                .send_close(Some(close_frame(1000, "")), &mut endpoint.output)
                .unwrap();
            endpoint.receive(&sent_by(peer, &[frame(PING, "still there?")]));
            assert_eq!(endpoint.connection.state(), State::Closing);
            assert_eq!(
                sent(&endpoint.take_written()),
                [
                    (CLOSE, close_payload(1000, b"")),
                    (PONG, b"still there?".to_vec())
                ]
            );
        }
    }
}

#[test]
fn a_ping_behind_a_close_is_not_answered() {
    for role in ROLES {
        let outcome = receive_frames(role, &[frame(CLOSE, ""), frame(PING, "too late")]);
        assert_eq!(outcome.received, [Received::Close(None)]);
        assert_eq!(outcome.output, wire(role, &[frame(CLOSE, "")]));
    }
}

#[test]
fn a_control_frame_that_is_too_long_is_not_sent() {
    for role in ROLES {
        let Endpoint {
            mut connection,
            mut output,
            ..
        } = Endpoint::new(role);
        let error = Err(SendError::ControlTooLong);
        for len in [126, 127, 65536] {
            let payload = vec![0; len];
            assert_eq!(connection.send_ping(&payload, &mut output), error);
            assert_eq!(connection.send_pong(&payload, &mut output), error);
            assert!(output.is_empty());
        }
        let longest = [0; 125];
        assert_eq!(connection.send_ping(&longest, &mut output), Ok(()));
        assert_eq!(connection.send_pong(&longest, &mut output), Ok(()));
        let frames = [frame(PING, longest), frame(PONG, longest)];
        assert_eq!(output.to_vec(), wire(role, &frames));
    }
}

#[test]
fn pings_cross_and_are_answered() {
    scenario(|pair| {
        for (role, name) in [
            (Role::Client, b"from client"),
            (Role::Server, b"from server"),
        ] {
            let end = pair.end(role);
            end.connection.send_ping(name, &mut end.output).unwrap();
        }
        pair.settle();
        assert_eq!(
            pair.client.received,
            [ping("from server"), pong("from client")]
        );
        // The client's bytes move first, so the server's own Ping is out before its Pong.
        assert_eq!(
            pair.server.received,
            [ping("from client"), pong("from server")]
        );
    });
}

#[test]
fn a_ping_may_be_sent_inside_a_fragmented_message() {
    scenario(|pair| {
        let client = &mut pair.client;
        let output = &mut client.output;
        let connection = &mut client.connection;
        for (payload, fin) in [(b"one ", false), (b"two ", false), (b"end.", true)] {
            connection
                .send_fragment(MessageKind::Text, payload, fin, output)
                .unwrap();
            connection.send_ping(payload, output).unwrap();
        }
        pair.settle();
        assert_eq!(
            pair.server.received,
            [
                ping("one "),
                ping("two "),
                text("one two end."),
                ping("end.")
            ]
        );
        assert_eq!(pair.client.error, None);
        assert_eq!(pair.client.received.last(), Some(&pong("end.")));
    });
}

#[test]
fn a_long_message_between_pings_does_not_lose_a_pong() {
    for role in ROLES {
        let data = vec![9; 100_000];
        let frames = [
            frame(PING, "before"),
            frame(BINARY, &data),
            frame(PING, "behind"),
        ];
        let bytes = sent_by(peer_of(role), &frames);
        for chunk_len in [13, 5000, usize::MAX] {
            let config = Config::default();
            let outcome = run(role, &config, &bytes, chunk_len, Drain::AfterEachCall);
            assert!(outcome.received == [ping("before"), binary(&data), ping("behind")]);
            let pongs = [frame(PONG, "before"), frame(PONG, "behind")];
            assert_eq!(outcome.output, wire(role, &pongs));
        }
    }
}
