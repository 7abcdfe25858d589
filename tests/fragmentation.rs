//! Messages in several frames.
//!
//! RFC 6455, section 5.4.

mod support;

use framewright::{Config, ProtocolError, Role, State};
use support::*;

/// `payload` in fragments that end at `cuts`.
fn cut(opcode: u8, payload: &[u8], cuts: &[usize]) -> Vec<RawFrame> {
    let mut frames = Vec::new();
    let mut start = 0;
    for &end in cuts {
        let opcode = if start == 0 && frames.is_empty() {
            opcode
        } else {
            CONTINUATION
        };
        frames.push(fragment(opcode, &payload[start..end]));
        start = end;
    }
    frames.push(frame(CONTINUATION, &payload[start..]));
    frames
}

#[test]
fn a_fragmented_message_is_one_message() {
    let payload = b"fragmented";
    for role in ROLES {
        for first in 0..=payload.len() {
            for second in first..=payload.len() {
                let frames = cut(TEXT, payload, &[first, second]);
                let outcome = run(
                    role,
                    &Config::default(),
                    &sent_by(peer_of(role), &frames),
                    3,
                    Drain::AfterEachCall,
                );
                assert_eq!(outcome.received, [text("fragmented")]);
                assert_eq!((outcome.error, outcome.output), (None, vec![]));
            }
        }
        for (opcode, received) in [(TEXT, text("fragmented")), (BINARY, binary(payload))] {
            let every_byte: Vec<usize> = (1..payload.len()).collect();
            let outcome = receive_frames(role, &cut(opcode, payload, &every_byte));
            assert_eq!(outcome.received, [received]);
        }
    }
}

#[test]
fn a_message_whose_fragments_are_empty_is_empty() {
    for role in ROLES {
        for (opcode, received) in [(TEXT, text("")), (BINARY, binary(""))] {
            let outcome = receive_frames(role, &cut(opcode, b"", &[0, 0, 0, 0]));
            assert_eq!(outcome.received, [received]);
        }
    }
}

#[test]
fn an_empty_fragment_changes_nothing() {
    for role in ROLES {
        for cuts in [[0, 3], [3, 3], [3, 6]] {
            let outcome = receive_frames(role, &cut(TEXT, b"abcdef", &cuts));
            assert_eq!(outcome.received, [text("abcdef")], "cut at {cuts:?}");
        }
    }
}

#[test]
fn a_message_is_not_delivered_before_its_last_fragment() {
    for role in ROLES {
        let frames = cut(TEXT, b"one two three", &[4, 8]);
        let bytes = sent_by(peer_of(role), &frames);
        let mut endpoint = Endpoint::new(role);
        endpoint.receive_in_chunks(&bytes[..bytes.len() - 1], 1);
        assert_eq!(endpoint.received, []);
        assert_eq!(
            endpoint.receive(&bytes[bytes.len() - 1..]),
            [{ text("one two three") }]
        );
    }
}

#[test]
fn control_frames_between_fragments_are_handled_at_once() {
    // 5.4: "Control frames (see Section 5.5) MAY be injected in the middle of a fragmented
    // message."
    for role in ROLES {
        let peer = peer_of(role);
        let outcome = receive_frames(
            role,
            &[
                fragment(TEXT, "one "),
                frame(PING, "a"),
                frame(PONG, "b"),
                fragment(CONTINUATION, "two "),
                frame(PING, ""),
                frame(CONTINUATION, "three"),
            ],
        );
        assert_eq!(
            outcome.received,
            [ping("a"), pong("b"), ping(""), text("one two three")]
        );
        let pongs = [frame(PONG, "a"), frame(PONG, "")];
        assert_eq!(outcome.output, wire(role, &pongs));

        // The answer does not wait for the message.
        let mut endpoint = Endpoint::new(role);
        endpoint.receive(&sent_by(peer, &[fragment(TEXT, "one "), frame(PING, "a")]));
        assert_eq!(endpoint.written, wire(role, &[frame(PONG, "a")]));
    }
}

#[test]
fn a_continuation_of_nothing_fails_the_connection() {
    let error = ProtocolError::ContinuationUnexpected;
    for role in ROLES {
        let peer = peer_of(role);
        for continuation in [frame, fragment] {
            for payload in ["", "orphan"] {
                let orphan = continuation(CONTINUATION, payload);
                assert_fails(role, &sent_by(peer, &[orphan]), error);
            }
            let orphan = continuation(CONTINUATION, "orphan");
            for before in [
                vec![frame(TEXT, "done")],
                vec![fragment(TEXT, "do"), frame(CONTINUATION, "ne")],
            ] {
                let bytes = sent_by(peer, &[before, vec![orphan.clone()]].concat());
                assert_fails_after(role, &Config::default(), &bytes, &[text("done")], error);
            }
            let bytes = sent_by(peer, &[frame(PING, "p"), orphan]);
            let outcome = receive(role, &bytes);
            assert_eq!(outcome.error, Some(error));
            assert_eq!(outcome.received, [ping("p")]);
        }
    }
}

#[test]
fn a_new_message_inside_a_fragmented_one_fails_the_connection() {
    // 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another
    // message unless an extension has been negotiated that can interpret the interleaving."
    for role in ROLES {
        for first in [TEXT, BINARY] {
            for second in [TEXT, BINARY] {
                for interrupting in [frame, fragment] {
                    for between in [vec![], vec![fragment(CONTINUATION, "b")]] {
                        let frames = [
                            vec![fragment(first, "a")],
                            between,
                            vec![interrupting(second, "c")],
                        ]
                        .concat();
                        let bytes = sent_by(peer_of(role), &frames);
                        assert_fails(role, &bytes, ProtocolError::MessageInterrupted);
                    }
                }
            }
        }
    }
}

#[test]
fn an_interruption_is_judged_before_its_payload_comes() {
    for role in ROLES {
        let frames = [fragment(TEXT, "a"), frame(BINARY, "").claiming(1 << 20)];
        let bytes = sent_by(peer_of(role), &frames);
        assert_fails(role, &bytes, ProtocolError::MessageInterrupted);
    }
}

#[test]
fn fragments_are_of_the_kind_of_the_first() {
    // Bytes that are not UTF-8 are data in a continuation of a binary message, and only there.
    for role in ROLES {
        let frames = [fragment(BINARY, "\u{e9}"), frame(CONTINUATION, b"\xff")];
        assert_eq!(
            receive_frames(role, &frames).received,
            [binary(b"\xc3\xa9\xff")]
        );
        let frames = [fragment(TEXT, "\u{e9}"), frame(CONTINUATION, b"\xff")];
        let bytes = sent_by(peer_of(role), &frames);
        assert_fails(role, &bytes, ProtocolError::TextNotUtf8);
    }
}

#[test]
fn a_fragmented_message_leaves_nothing_behind() {
    for role in ROLES {
        let frames = [
            cut(BINARY, b"first \xff", &[2]),
            vec![frame(TEXT, "second")],
            cut(TEXT, b"third", &[1, 1, 4]),
            cut(BINARY, b"fourth", &[3]),
            vec![frame(BINARY, "")],
        ]
        .concat();
        let outcome = receive_frames(role, &frames);
        assert_eq!(
            outcome.received,
            [
                binary(b"first \xff"),
                text("second"),
                text("third"),
                binary("fourth"),
                binary("")
            ]
        );
        assert_eq!(outcome.error, None);
    }
}

#[test]
fn long_fragments_keep_their_order() {
    let payload: Vec<u8> = (0_u32..60_000).flat_map(u32::to_be_bytes).collect();
    for role in ROLES {
        let mut frames = cut(BINARY, &payload, &[5_000, 5_001, 70_000, 140_000, 239_000]);
        frames.insert(2, frame(PING, "a"));
        frames.insert(4, frame(PING, "b"));
        let bytes = sent_by(peer_of(role), &frames);
        for chunk_len in [13, 4096, 65_536, usize::MAX] {
            let config = Config::default();
            let outcome = run(role, &config, &bytes, chunk_len, Drain::AfterEachCall);
            assert_eq!(outcome.error, None);
            assert!(outcome.received == [ping("a"), ping("b"), binary(&payload)]);
        }
    }
}

#[test]
fn a_message_of_very_many_fragments_arrives() {
    let frames = cut(TEXT, &[b'x'; 3000], &(1..3000).collect::<Vec<_>>());
    for role in ROLES {
        let outcome = receive_frames(role, &frames);
        assert_eq!(outcome.received, [text(&"x".repeat(3000))]);
    }
}

#[test]
fn a_close_inside_a_fragmented_message_ends_both() {
    // 5.5.1 allows a Close wherever a control frame may be; the message is never finished.
    for role in ROLES {
        let frames = [
            fragment(TEXT, "never "),
            frame(CLOSE, close_payload(1001, b"")),
            frame(CONTINUATION, "finished"),
        ];
        let outcome = receive_frames(role, &frames);
        assert_eq!(outcome.received, [close(1001, "")]);
        assert_eq!(outcome.error, None);
        assert_eq!(outcome.state, State::Closed);
        let echo = [frame(CLOSE, close_payload(1001, b""))];
        assert_eq!(outcome.output, wire(role, &echo));
    }
}

#[test]
fn fragments_of_both_ends_do_not_mix() {
    scenario(|pair| {
        use framewright::MessageKind::{Binary, Text};
        for (role, kind) in [(Role::Client, Text), (Role::Server, Binary)] {
            let end = pair.end(role);
            end.connection
                .send_fragment(kind, b"half ", false, &mut end.output)
                .unwrap();
        }
        pair.settle();
        for (role, kind) in [(Role::Client, Text), (Role::Server, Binary)] {
            let end = pair.end(role);
            end.connection
                .send_fragment(kind, b"whole", true, &mut end.output)
                .unwrap();
        }
        pair.settle();
        assert_eq!(pair.server.received, [text("half whole")]);
        assert_eq!(pair.client.received, [binary("half whole")]);
    });
}
