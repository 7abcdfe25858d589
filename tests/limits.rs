//! The limits on messages, frames and fragments: from below, from above, and lifted.
//!
//! RFC 6455, section 10.4, and the table of limits in the documentation of `Config`.

mod support;

use framewright::{Config, Delivery, ProtocolError, RecvBuffer, Role};
use support::*;

/// Asserts that `frames` arrive as `received` at an endpoint with `config`.
fn assert_arrives(role: Role, config: &Config, frames: &[RawFrame], received: &[Received]) {
    let outcome = receive_with(role, config, &sent_by(peer_of(role), frames));
    assert_eq!(outcome.error, None);
    assert_eq!(outcome.received, received);
}

/// Asserts that the header of the last of `frames` fails the connection, without its payload, with
/// `error` and the Close code `code`.
fn assert_header_fails(
    role: Role,
    config: &Config,
    frames: &[RawFrame],
    received: &[Received],
    error: ProtocolError,
    code: u16,
) {
    assert_eq!(error.close_code().get(), code);
    let peer = peer_of(role);
    let bytes = sent_by(peer, frames);
    let last = frames.last().expect("a frame").clone().sent_by(peer);
    let judged = bytes.len() - last.payload.len();
    assert_fails_after(role, config, &bytes[..judged], received, error);
    // And not a byte earlier.
    let outcome = receive_with(role, config, &bytes[..judged - 1]);
    assert_eq!(outcome.error, None);
    assert_fails_after(role, config, &bytes, received, error);
}

#[test]
fn a_message_of_max_message_len_arrives_and_a_longer_one_fails() {
    let error = ProtocolError::MessageTooLong;
    for role in ROLES {
        for max in [0, 1, 125, 126, 300] {
            let config = config(|config| config.max_message_len = max as u64);
            for (opcode, received) in [(TEXT, text(&"x".repeat(max))), {
                (BINARY, binary(vec![b'x'; max]))
            }] {
                let longest = frame(opcode, vec![b'x'; max]);
                let twice = [longest.clone(), longest];
                assert_arrives(role, &config, &twice, &[received.clone(), received]);
                let longer = frame(opcode, vec![b'x'; max + 1]);
                assert_header_fails(role, &config, &[longer], &[], error, 1009);
            }
        }
    }
}

#[test]
fn the_fragments_of_a_message_count_together() {
    let error = ProtocolError::MessageTooLong;
    let config = config(|config| config.max_message_len = 10);
    for role in ROLES {
        let fragments = [fragment(BINARY, "1234"), fragment(CONTINUATION, "567")];
        let longest = [&fragments[..], &[frame(CONTINUATION, "890")]].concat();
        // The count begins anew with each message.
        let twice = [&longest[..], &longest, &[frame(BINARY, "1234567890")]].concat();
        assert_arrives(role, &config, &twice, &vec![binary("1234567890"); 3]);
        for last in [frame, fragment] {
            let longer = [&fragments[..], &[last(CONTINUATION, "890!")]].concat();
            assert_header_fails(role, &config, &longer, &[], error, 1009);
        }
        // Empty frames may follow a message that is full.
        let full = [
            fragment(BINARY, "1234567890"),
            fragment(CONTINUATION, ""),
            frame(CONTINUATION, ""),
        ];
        assert_arrives(role, &config, &full, &[binary("1234567890")]);
        let full = [fragment(BINARY, "1234567890"), frame(CONTINUATION, "!")];
        assert_header_fails(role, &config, &full, &[], error, 1009);
    }
}

#[test]
fn control_frames_are_no_part_of_a_message() {
    let config = config(|config| {
        config.max_message_len = 2;
        config.max_frame_len = 1;
        config.max_fragments = 2;
    });
    for role in ROLES {
        let long = [b'p'; 125];
        let frames = [
            frame(PONG, long),
            fragment(BINARY, "a"),
            frame(PONG, long),
            frame(PONG, ""),
            frame(PONG, long),
            frame(CONTINUATION, "b"),
        ];
        let received = [pong(long), pong(long), pong(""), pong(long), binary("ab")];
        assert_arrives(role, &config, &frames, &received);
    }
}

#[test]
fn a_frame_of_max_frame_len_arrives_and_a_longer_one_fails() {
    let error = ProtocolError::FrameTooLong;
    for role in ROLES {
        for max in [0, 1, 125, 126, 300] {
            let config = config(|config| config.max_frame_len = max as u64);
            let longest = vec![b'x'; max];
            let frames = [
                fragment(TEXT, &longest),
                fragment(CONTINUATION, &longest),
                frame(CONTINUATION, &longest),
            ];
            let received = text(&"x".repeat(3 * max));
            assert_arrives(role, &config, &frames, std::slice::from_ref(&received));

            let longer = vec![b'x'; max + 1];
            let frames = [frame(TEXT, &longer)];
            assert_header_fails(role, &config, &frames, &[], error, 1009);
            let frames = [fragment(TEXT, &longest), frame(CONTINUATION, &longer)];
            assert_header_fails(role, &config, &frames, &[], error, 1009);
        }
    }
}

#[test]
fn a_message_of_max_fragments_arrives_and_one_of_more_fails() {
    let error = ProtocolError::TooManyFragments;
    for role in ROLES {
        for max in [1, 2, 5] {
            let config = config(|config| config.max_fragments = max);
            for payload in ["", "ab"] {
                let mut frames = vec![fragment(TEXT, payload)];
                frames.extend((1..max).map(|_| fragment(CONTINUATION, payload)));
                // All of them came, and it is not the end: one more is too many.
                for last in [frame, fragment] {
                    let more = [&frames[..], &[last(CONTINUATION, payload)]].concat();
                    assert_header_fails(role, &config, &more, &[], error, 1008);
                }
                frames.last_mut().unwrap().fin = true;
                // The count begins anew with each message.
                let twice = [&frames[..], &frames].concat();
                let received = text(&payload.repeat(usize::try_from(max).unwrap()));
                assert_arrives(role, &config, &twice, &[received.clone(), received]);
            }
        }
    }
}

#[test]
fn the_default_of_max_fragments_is_131072_empty_ones_counted() {
    let max = 131_072;
    assert_eq!(Config::default().max_fragments, max as u64);
    let mut frames = vec![fragment(BINARY, "a")];
    frames.resize(max - 1, fragment(CONTINUATION, ""));
    for role in ROLES {
        let peer = peer_of(role);
        let mut endpoint = Endpoint::new(role);
        endpoint.receive(&sent_by(peer, &frames));
        let last = frame(CONTINUATION, "z").sent_by(peer).bytes();
        assert_eq!(endpoint.receive(&last), [binary("az")]);

        let mut endpoint = Endpoint::new(role);
        endpoint.receive(&sent_by(peer, &frames));
        endpoint.receive(&fragment(CONTINUATION, "").sent_by(peer).bytes());
        assert_eq!(endpoint.error, None);
        endpoint.receive(&last);
        assert_eq!(endpoint.error, Some(ProtocolError::TooManyFragments));
    }
}

#[test]
fn the_default_of_both_lengths_is_16_mib() {
    let max: u64 = 16 << 20;
    assert_eq!(Config::default().max_frame_len, max);
    assert_eq!(Config::default().max_message_len, max);
    for role in ROLES {
        let peer = peer_of(role);
        let at_most = frame(BINARY, "").claiming(max).sent_by(peer).bytes();
        assert_eq!(receive(role, &at_most).error, None);
        let more = frame(BINARY, "").claiming(max + 1).sent_by(peer).bytes();
        assert_fails(role, &more, ProtocolError::FrameTooLong);
        let frames = [
            fragment(BINARY, "a"),
            frame(CONTINUATION, "").claiming(max - 1),
        ];
        assert_eq!(receive(role, &sent_by(peer, &frames)).error, None);
        let frames = [fragment(BINARY, "a"), frame(CONTINUATION, "").claiming(max)];
        let bytes = sent_by(peer, &frames);
        assert_fails(role, &bytes, ProtocolError::MessageTooLong);
    }
}

#[test]
fn a_message_of_16_mib_arrives() {
    let data: Vec<u8> = (0..=u8::MAX).cycle().take(16 << 20).collect();
    for role in ROLES {
        let raw = frame(BINARY, &data).sent_by(peer_of(role));
        let mut endpoint = Endpoint::new(role);
        endpoint.receive_in_chunks(&raw.bytes(), 1 << 20);
        assert_eq!(endpoint.error, None);
        assert!(endpoint.received == [binary(&data)]);
    }
}

#[test]
fn the_longest_lengths_that_can_be_claimed_are_judged_at_the_header() {
    let longest = i64::MAX.unsigned_abs();
    let frame_unlimited = config(|config| config.max_frame_len = Config::UNLIMITED);
    let message_unlimited = config(|config| config.max_message_len = Config::UNLIMITED);
    for role in ROLES {
        let peer = peer_of(role);
        let claim = |len| frame(BINARY, "").claiming(len).sent_by(peer).bytes();
        assert_fails(role, &claim(u64::MAX), ProtocolError::LengthTooLarge);
        assert_fails(role, &claim(longest), ProtocolError::FrameTooLong);
        let bytes = claim(longest);
        let error = ProtocolError::MessageTooLong;
        assert_fails_after(role, &frame_unlimited, &bytes, &[], error);
        let error = ProtocolError::FrameTooLong;
        assert_fails_after(role, &message_unlimited, &bytes, &[], error);
    }
}

/// No limit on what a message may be, each lifted by name.
fn unlimited(delivery: Delivery) -> Config {
    config(|config| {
        config.max_frame_len = Config::UNLIMITED;
        config.max_message_len = Config::UNLIMITED;
        config.max_fragments = Config::UNLIMITED;
        config.delivery = delivery;
    })
}

/// The room for the next read, before anything came for it.
fn room(input: &mut RecvBuffer) -> usize {
    input.spare_mut().len()
}

#[test]
fn a_lifted_limit_lets_any_length_begin_and_reserves_nothing_for_it() {
    // 10.4, and invariant 4 of the design: memory follows the bytes received.
    for role in ROLES {
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            // A message that is kept must fit in memory, chunks need not.
            let longest = match delivery {
                Delivery::Messages => isize::MAX.unsigned_abs() as u64,
                Delivery::Chunks => i64::MAX.unsigned_abs(),
            };
            for len in [1 << 32, 1 << 40, longest].map(|len| longest.min(len)) {
                let mut endpoint = Endpoint::with_config(role, unlimited(delivery));
                let header = frame(BINARY, "").claiming(len).sent_by(peer_of(role));
                endpoint.receive_in_chunks(&header.bytes(), 1);
                assert_eq!(endpoint.error, None);
                assert!(room(&mut endpoint.input) <= 64 << 10);
                endpoint.receive(&[1; 10_000]);
                assert!(room(&mut endpoint.input) <= 64 << 10);
                assert_eq!(endpoint.error, None);
            }
        }
    }
}

#[test]
fn a_message_that_cannot_fit_in_memory_fails_without_any_limit() {
    let longest = i64::MAX.unsigned_abs();
    for role in ROLES {
        let peer = peer_of(role);
        // The sum of the fragments is beyond what any allocation may be.
        let frames = [
            fragment(BINARY, "a"),
            frame(CONTINUATION, "").claiming(longest),
        ];
        let bytes = sent_by(peer, &frames);
        let error = ProtocolError::MessageTooLong;
        let messages = unlimited(Delivery::Messages);
        assert_fails_after(role, &messages, &bytes, &[], error);
        // Chunks need not fit.
        let mut endpoint = Endpoint::with_config(role, unlimited(Delivery::Chunks));
        endpoint.receive(&bytes);
        assert_eq!(endpoint.error, None);
    }
}

#[test]
fn a_lifted_limit_lets_longer_messages_arrive() {
    let small = config(|config| {
        config.max_frame_len = 10;
        config.max_message_len = 20;
        config.max_fragments = 3;
    });
    let frames: Vec<_> = std::iter::once(fragment(BINARY, [1; 11]))
        .chain((0..20).map(|_| fragment(CONTINUATION, [1; 11])))
        .chain([frame(CONTINUATION, [1; 11])])
        .collect();
    for role in ROLES {
        let bytes = sent_by(peer_of(role), &frames);
        assert_fails_after(role, &small, &bytes, &[], ProtocolError::FrameTooLong);
        assert_arrives(
            role,
            &unlimited(Delivery::Messages),
            &frames,
            &[binary([1; 22 * 11])],
        );
    }
}

#[test]
fn the_limits_hold_for_chunks_too() {
    let limited = config(|config| {
        config.max_message_len = 10;
        config.max_frame_len = 8;
        config.max_fragments = 3;
        config.delivery = Delivery::Chunks;
    });
    for role in ROLES {
        for (frames, error) in [
            (vec![frame(TEXT, "123456789")], ProtocolError::FrameTooLong),
            (
                vec![fragment(TEXT, "12345678"), frame(CONTINUATION, "9ab")],
                ProtocolError::MessageTooLong,
            ),
            (
                vec![
                    fragment(TEXT, ""),
                    fragment(CONTINUATION, ""),
                    fragment(CONTINUATION, ""),
                    frame(CONTINUATION, ""),
                ],
                ProtocolError::TooManyFragments,
            ),
        ] {
            let bytes = sent_by(peer_of(role), &frames);
            for chunk_len in CHUNK_LENS {
                let outcome = run(role, &limited, &bytes, chunk_len, Drain::AfterEachCall);
                assert_eq!(outcome.error, Some(error));
                let code = error.close_code().get();
                assert_eq!(close_code_in(&outcome.output), Some(code));
            }
        }
    }
}

#[test]
fn what_came_before_the_limit_is_delivered() {
    let config = config(|config| config.max_message_len = 4);
    for role in ROLES {
        let frames = [
            frame(TEXT, "four"),
            frame(PING, "p"),
            frame(TEXT, "fives"),
            frame(TEXT, "late"),
        ];
        let bytes = sent_by(peer_of(role), &frames);
        let outcome = receive_with(role, &config, &bytes);
        assert_eq!(outcome.received, [text("four"), ping("p")]);
        assert_eq!(outcome.error, Some(ProtocolError::MessageTooLong));
        assert_eq!(close_code_in(&outcome.output), Some(1009));
    }
}

#[test]
fn limits_bind_what_is_received_and_not_what_is_sent() {
    let config = config(|config| {
        config.max_message_len = 1;
        config.max_frame_len = 1;
        config.max_fragments = 1;
    });
    for role in ROLES {
        let mut endpoint = Endpoint::with_config(role, config.clone());
        endpoint
            .connection
            .send_text("longer", &mut endpoint.output)
            .unwrap();
        assert_eq!(
            endpoint.take_written(),
            wire(role, &[frame(TEXT, "longer")])
        );
    }
}
