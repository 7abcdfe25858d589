//! Attacks by frames, each against the core in memory and against both adapters, as a server and as
//! a client: what other libraries crashed on, hung on, or took for something else.
//!
//! RFC 6455, sections 5 and 10.4. Which advisory each test is for is in ATTACKS.md.

#![cfg(all(feature = "blocking", feature = "tokio"))]

mod support;
#[path = "support/victim.rs"]
mod victim;

use framewright::{Config, EndCause, ProtocolError, Role};

use support::*;
use victim::{Failure, Outcome, Victim};

// -- Lengths --------------------------------------------------------------------------------------

#[test]
fn a_length_that_overflows_a_sum_is_judged_and_not_added() {
    // With a counter of signed 64 bits, with one of 32 bits, and with a position that the length is
    // added to, each of these was negative, or small, or beyond an array.
    let lens = [
        0x1_0000,
        (1 << 24) - 1,
        (1 << 24) + 1,
        (1 << 31) - 1,
        1 << 31,
        (1 << 32) - 1,
        1 << 32,
        (1 << 32) + 5,
        // Beyond what a float holds exactly.
        (1 << 53) + 1,
        (1 << 63) - 15,
        (1 << 63) - 1,
        1 << 63,
        (1 << 63) + 5,
        u64::MAX - 14,
        u64::MAX - 5,
        u64::MAX,
    ];
    let max = Config::default().max_frame_len;
    for role in ROLES {
        for len in lens {
            for before in [None, Some(""), Some("a"), Some("fourteen bytes")] {
                let mut wire = Vec::new();
                if let Some(payload) = before {
                    wire.extend(sent_by(peer_of(role), &[fragment(BINARY, payload)]));
                }
                let opcode = before.map_or(BINARY, |_| CONTINUATION);
                // Five bytes are all that comes: with the header of a server, fifteen.
                let claim = frame(opcode, "hello").claiming(len);
                wire.extend(sent_by(peer_of(role), &[claim]));
                let outcome = Victim::default().receives(role, &wire);
                if len >> 63 == 1 {
                    outcome.assert_failed(ProtocolError::LengthTooLarge);
                } else if len > max {
                    outcome.assert_failed(ProtocolError::FrameTooLong);
                } else if len + before.map_or(0, str::len) as u64 > max {
                    outcome.assert_failed(ProtocolError::MessageTooLong);
                } else {
                    // It is waited for until the transport ends.
                    assert_ended_inside(&outcome);
                }
            }
        }
    }
}

#[test]
fn a_length_of_more_than_32_bits_is_not_cut_to_fewer() {
    // 2^32 + 5 with five bytes: cut to 32 bits, that would be a whole message.
    let unlimited = Victim::new(|config| {
        config.max_frame_len = Config::UNLIMITED;
        config.max_message_len = Config::UNLIMITED;
    });
    for role in ROLES {
        let cut = frame(BINARY, "hello").claiming((1 << 32) + 5);
        let wire = sent_by(peer_of(role), &[cut, frame(TEXT, "next")]);
        assert_ended_inside(&unlimited.receives(role, &wire));
    }
}

#[test]
fn a_length_that_is_longer_than_it_need_be_fails_the_connection() {
    for role in ROLES {
        for opcode in [TEXT, BINARY, PING, CLOSE] {
            for longer in [RawFrame::in_16_bits, RawFrame::in_64_bits] {
                let wire = sent_by(peer_of(role), &[longer(frame(opcode, "hello"))]);
                let outcome = Victim::default().receives(role, &wire);
                assert_failed_with_code(&outcome, 1002);
            }
        }
        let wire = sent_by(peer_of(role), &[frame(BINARY, [0; 300]).in_64_bits()]);
        let outcome = Victim::default().receives(role, &wire);
        outcome.assert_failed(ProtocolError::LengthNotMinimal);
    }
}

// -- First bytes ----------------------------------------------------------------------------------

#[test]
fn an_opcode_without_a_meaning_is_judged_before_its_terabyte() {
    for role in ROLES {
        for opcode in (0x3..=0x7).chain(0xb..=0xf) {
            for fin in [true, false] {
                let mut terabyte = frame(opcode, "").claiming(1 << 40);
                terabyte.fin = fin;
                let wire = sent_by(peer_of(role), &[frame(TEXT, "before"), terabyte]);
                let outcome = Victim::default().receives(role, &wire);
                outcome
                    .assert_failed_after(&[text("before")], ProtocolError::ReservedOpcode(opcode));
            }
        }
    }
}

#[test]
fn a_reserved_bit_that_nobody_negotiated_fails_the_connection() {
    for role in ROLES {
        for rsv in 1..=7 {
            for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
                let wire = sent_by(peer_of(role), &[frame(opcode, "").rsv(rsv)]);
                let outcome = Victim::default().receives(role, &wire);
                outcome.assert_failed(ProtocolError::ReservedBitSet);
            }
            let frames = [fragment(TEXT, "a"), frame(CONTINUATION, "b").rsv(rsv)];
            let wire = sent_by(peer_of(role), &frames);
            let outcome = Victim::default().receives(role, &wire);
            outcome.assert_failed(ProtocolError::ReservedBitSet);
        }
    }
}

#[test]
fn a_frame_with_the_wrong_mask_is_never_delivered() {
    for (role, error) in [
        (Role::Server, ProtocolError::MaskMissing),
        (Role::Client, ProtocolError::MaskUnexpected),
    ] {
        for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
            let good = sent_by(peer_of(role), &[frame(TEXT, "good")]);
            let bad = sent_by(role, &[frame(opcode, "")]);
            // What follows is good again, and too late.
            let wire = [&good[..], &bad, &good].concat();
            let outcome = Victim::default().receives(role, &wire);
            outcome.assert_failed_after(&[text("good")], error);
        }
        // Its payload is not waited for.
        let claim = sent_by(role, &[frame(BINARY, "").claiming(1 << 20)]);
        Victim::default()
            .receives(role, &claim)
            .assert_failed(error);
    }
}

#[test]
fn frames_of_the_drafts_are_no_frames() {
    // Draft 75 and 76: a text between 0x00 and 0xff, a length in groups of seven bits that never
    // ends, and a closing handshake of 0xff 0x00.
    let endless_length = [&[0x80][..], &[0xff; 40]].concat();
    for wire in [&b"\x00hello\xff"[..], &endless_length, b"\xff\x00"] {
        for role in ROLES {
            let outcome = Victim::default().receives(role, wire);
            assert_failed_with_code(&outcome, 1002);
            assert_eq!(outcome.received, []);
        }
    }
}

// -- Control frames and fragments -----------------------------------------------------------------

#[test]
fn a_control_frame_that_is_long_or_fragmented_is_judged_by_its_header() {
    for role in ROLES {
        for opcode in [CLOSE, PING, PONG] {
            for (claim, error) in [
                (
                    frame(opcode, "").claiming(126),
                    ProtocolError::ControlTooLong,
                ),
                (
                    frame(opcode, "").claiming(1 << 40),
                    ProtocolError::ControlTooLong,
                ),
                (frame(opcode, [0; 126]), ProtocolError::ControlTooLong),
                (fragment(opcode, ""), ProtocolError::ControlFragmented),
                (fragment(opcode, "half"), ProtocolError::ControlFragmented),
            ] {
                let wire = sent_by(peer_of(role), &[claim]);
                Victim::default().receives(role, &wire).assert_failed(error);
            }
        }
    }
}

#[test]
fn a_ping_inside_a_message_is_no_part_of_it() {
    for role in ROLES {
        let frames = [
            fragment(TEXT, "one, "),
            frame(PING, "TWO"),
            fragment(CONTINUATION, ""),
            frame(PONG, "THREE"),
            frame(CONTINUATION, "four"),
        ];
        let outcome = Victim::default().receives(role, &sent_by(peer_of(role), &frames));
        assert_eq!(
            outcome.received,
            [ping("TWO"), pong("THREE"), text("one, four")]
        );
        assert_eq!(outcome.failure, None);
    }
}

#[test]
fn fragments_out_of_order_fail_the_connection_also_where_they_are_empty() {
    let (orphan, interrupted) = (
        ProtocolError::ContinuationUnexpected,
        ProtocolError::MessageInterrupted,
    );
    for role in ROLES {
        for payload in ["", "a"] {
            for (frames, received, error) in [
                (vec![frame(CONTINUATION, payload)], vec![], orphan),
                (vec![fragment(CONTINUATION, payload)], vec![], orphan),
                (
                    vec![frame(TEXT, payload), frame(CONTINUATION, payload)],
                    vec![text(payload)],
                    orphan,
                ),
                (
                    vec![
                        fragment(BINARY, payload),
                        frame(CONTINUATION, payload),
                        frame(CONTINUATION, payload),
                    ],
                    vec![binary(payload.repeat(2))],
                    orphan,
                ),
                (
                    // "Nothing is there yet" is no "nothing has begun".
                    vec![fragment(TEXT, payload), frame(TEXT, payload)],
                    vec![],
                    interrupted,
                ),
                (
                    vec![fragment(BINARY, payload), fragment(TEXT, payload)],
                    vec![],
                    interrupted,
                ),
                (
                    vec![
                        fragment(TEXT, payload),
                        fragment(CONTINUATION, payload),
                        frame(BINARY, payload),
                    ],
                    vec![],
                    interrupted,
                ),
            ] {
                let wire = sent_by(peer_of(role), &frames);
                let outcome = Victim::default().receives(role, &wire);
                outcome.assert_failed_after(&received, error);
            }
        }
    }
}

#[test]
fn the_last_fragment_lands_behind_the_others() {
    // Long and short ones by turns, so that they go by every way into the message.
    let fragments: Vec<_> = [1, 70_000, 0, 5, 9000, 1, 66_000, 3]
        .iter()
        .enumerate()
        .map(|(index, len)| vec![b'a' + u8::try_from(index).unwrap(); *len])
        .collect();
    for role in ROLES {
        let mut frames: Vec<_> = fragments
            .iter()
            .map(|part| fragment(CONTINUATION, part))
            .collect();
        frames[0].opcode = BINARY;
        frames.last_mut().unwrap().fin = true;
        let outcome = Victim::default().receives(role, &sent_by(peer_of(role), &frames));
        assert!(outcome.received == [binary(fragments.concat())]);
    }
}

// -- Garbage --------------------------------------------------------------------------------------

#[test]
fn a_flipped_bit_anywhere_is_a_typed_error_or_a_legal_outcome() {
    for role in ROLES {
        let wire = conversation(role);
        for bit in 0..wire.len() * 8 {
            let mut flipped = wire.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // The core for each of them, and the adapters for some.
            let outcome = receive(role, &flipped);
            let code = outcome.error.map(|error| error.close_code().get());
            if code.is_some() {
                assert_eq!(close_code_in(&outcome.output), code, "bit {bit}");
            }
            if bit % 29 == 0 {
                let victim = Victim::default().receives(role, &flipped);
                assert_eq!(victim.received, outcome.received, "bit {bit}");
                assert_eq!(
                    victim.failure,
                    outcome.error.map(Failure::Protocol),
                    "bit {bit}"
                );
            }
        }
    }
}

#[test]
fn twenty_frames_of_garbage_are_a_typed_error_or_a_legal_outcome() {
    for seed in 1..=200_u64 {
        let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for role in ROLES {
            let frames: Vec<_> = (0..20).map(|_| garbage(role, &mut noise)).collect();
            let outcome = Victim::default().receives(role, &concat(&frames));
            match outcome.failure {
                Some(Failure::Protocol(error)) => {
                    assert_eq!(outcome.close_code(), Some(error.close_code().get()));
                }
                Some(Failure::Handshake(error)) => panic!("{error:?} of an open connection"),
                None => assert!(outcome.received.len() <= 20),
            }
        }
    }
}

#[test]
fn bytes_without_any_form_are_a_typed_error_or_wait_for_more() {
    for seed in 1..=200_u64 {
        let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for role in ROLES {
            let bytes: Vec<u8> = (0..100).map(|_| noise.byte()).collect();
            let outcome = Victim::default().receives(role, &bytes);
            if let Some(Failure::Protocol(error)) = outcome.failure {
                assert_eq!(outcome.close_code(), Some(error.close_code().get()));
            }
        }
    }
}

// -- Rig ------------------------------------------------------------------------------------------

/// Asserts that the transport ended inside something of which nothing was delivered.
fn assert_ended_inside(outcome: &Outcome) {
    assert_eq!(outcome.failure, None, "{outcome:?}");
    assert_eq!(outcome.received, [], "{outcome:?}");
    let end = outcome.end.as_ref().expect("an end");
    assert_eq!((end.cause, end.code()), (EndCause::EndOfStream, 1006));
}

fn assert_failed_with_code(outcome: &Outcome, code: u16) {
    let Some(Failure::Protocol(error)) = &outcome.failure else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.close_code().get(), code, "{outcome:?}");
    assert_eq!(outcome.close_code(), Some(code), "{outcome:?}");
}

/// A bit of everything that the peer of `role` may send.
fn conversation(role: Role) -> Vec<u8> {
    let frames = [
        frame(TEXT, "Grüße"),
        frame(PING, "ping"),
        fragment(BINARY, [0, 255]),
        frame(PONG, ""),
        fragment(CONTINUATION, ""),
        frame(CONTINUATION, [7; 3]),
        frame(BINARY, [1; 130]),
        frame(CLOSE, close_payload(1000, b"bye")),
    ];
    sent_by(peer_of(role), &frames)
}

/// Numbers that are the same in every run (xorshift).
struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[2]
    }

    fn one_in(&mut self, sides: u8) -> bool {
        self.byte().is_multiple_of(sides)
    }
}

/// A frame of the peer of `role` that is often good, or nearly.
fn garbage(role: Role, noise: &mut Noise) -> RawFrame {
    let opcode = match noise.byte() % 8 {
        0 | 1 => TEXT,
        2 | 3 => BINARY,
        4 => CONTINUATION,
        5 => PING,
        6 => PONG,
        _ => noise.byte() % 16,
    };
    let len = if noise.one_in(9) {
        126 + usize::from(noise.byte())
    } else {
        usize::from(noise.byte() % 9)
    };
    let is_text = !noise.one_in(20);
    let payload: Vec<u8> = (0..len)
        .map(|_| if is_text { b'a' } else { noise.byte() })
        .collect();
    let mut garbage = frame(opcode, payload).sent_by(peer_of(role));
    garbage.fin = !noise.one_in(7);
    if noise.one_in(20) {
        garbage.rsv = noise.byte() % 8;
    }
    if noise.one_in(30) {
        garbage = garbage.in_16_bits();
    }
    if noise.one_in(30) {
        garbage.mask = garbage.mask.is_none().then_some([1, 2, 3, 4]);
    }
    garbage
}
