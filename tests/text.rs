//! Text messages: what is UTF-8, and when what is not fails.
//!
//! RFC 6455, sections 5.6 and 8.1; RFC 3629.

mod support;

use framewright::{Config, ProtocolError, Role, State};
use support::*;

/// Sequences that no text holds, each with how many of its bytes it takes to know.
const INVALID: [(&[u8], usize); 24] = [
    // A continuation byte that continues nothing.
    (b"\x80", 1),
    (b"\xbf", 1),
    // Longer than needed: NUL, `/` and U+007F in two to four bytes.
    (b"\xc0\x80", 1),
    (b"\xc0\xaf", 1),
    (b"\xc1\xbf", 1),
    (b"\xe0\x80\x80", 2),
    (b"\xe0\x9f\xbf", 2),
    (b"\xf0\x80\x80\x80", 2),
    (b"\xf0\x8f\xbf\xbf", 2),
    // Surrogates, alone and in pairs: UTF-16's business.
    (b"\xed\xa0\x80", 2),
    (b"\xed\xad\xbf", 2),
    (b"\xed\xbf\xbf", 2),
    (b"\xed\xa0\xbd\xed\xb8\x80", 2),
    // Beyond U+10FFFF.
    (b"\xf4\x90\x80\x80", 2),
    (b"\xf5\x80\x80\x80", 1),
    (b"\xf8\x88\x80\x80\x80", 1),
    (b"\xfc\x84\x80\x80\x80\x80", 1),
    // Never a byte of UTF-8.
    (b"\xfe", 1),
    (b"\xff", 1),
    // A character that something else interrupts.
    (b"\xc3a", 2),
    (b"\xe2\x82a", 3),
    (b"\xf0\x9f\x98a", 4),
    (b"\xe2\x82\xe2\x82\xac", 3),
    (b"\xc3\xc3", 2),
];

/// Text at the edges of what Unicode is.
const VALID: [&str; 14] = [
    "",
    "\0",
    "\u{feff}byte order mark",
    "\u{7f}\u{80}",
    "\u{7ff}\u{800}",
    "\u{d7ff}\u{e000}",
    "\u{fdd0}\u{fffe}\u{ffff}",
    "\u{10000}\u{1fffe}\u{1ffff}",
    "\u{10fffe}\u{10ffff}",
    "\u{fffd}",
    "e\u{301}",
    "κόσμε",
    "日本語 and עברית",
    "👩\u{200d}👩\u{200d}👧",
];

#[test]
fn every_character_of_unicode_arrives() {
    for role in ROLES {
        for valid in VALID {
            let outcome = receive_frames(role, &[frame(TEXT, valid)]);
            assert_eq!(outcome.received, [text(valid)]);
            assert_eq!((outcome.error, outcome.state), (None, State::Open));
        }
    }
}

#[test]
fn a_character_may_be_split_across_fragments() {
    // 5.6: "a particular text frame might include a partial UTF-8 sequence; however, the whole
    // message MUST contain valid UTF-8."
    let whole = "a\u{e9}\u{20ac}\u{1f600}z";
    let bytes = whole.as_bytes();
    for role in ROLES {
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let frames = [
                    fragment(TEXT, &bytes[..first]),
                    fragment(CONTINUATION, &bytes[first..second]),
                    frame(CONTINUATION, &bytes[second..]),
                ];
                let outcome = receive_frames(role, &frames);
                assert_eq!(outcome.received, [text(whole)], "cut at {first}, {second}");
            }
        }
    }
}

#[test]
fn to_look_again_inside_a_character_changes_nothing() {
    for role in ROLES {
        let bytes = sent_by(peer_of(role), &[frame(TEXT, "\u{20ac}")]);
        let mut endpoint = Endpoint::new(role);
        for byte in &bytes {
            endpoint.receive_in_chunks(core::slice::from_ref(byte), 1);
            endpoint.handle_input();
        }
        assert_eq!(endpoint.received, [text("\u{20ac}")]);
    }
}

#[test]
fn a_ping_inside_a_character_is_no_part_of_it() {
    for role in ROLES {
        let frames = [
            fragment(TEXT, b"\xf0\x9f"),
            // Its payload is bytes, and nobody judges them.
            frame(PING, b"\x98\xff"),
            fragment(CONTINUATION, b"\x98"),
            frame(PONG, b"a"),
            frame(CONTINUATION, b"\x80"),
        ];
        let outcome = receive_frames(role, &frames);
        assert_eq!(outcome.error, None);
        assert_eq!(
            outcome.received,
            [ping(b"\x98\xff"), pong("a"), text("\u{1f600}")]
        );
    }
}

#[test]
fn text_that_is_not_utf8_fails_the_connection() {
    // 8.1: "that endpoint MUST _Fail the WebSocket Connection_"; 7.4.1: 1007 is for "non-UTF-8
    // data within a text message".
    assert_eq!(ProtocolError::TextNotUtf8.close_code().get(), 1007);
    for role in ROLES {
        let peer = peer_of(role);
        for (invalid, _) in INVALID {
            for before in ["", "valid \u{20ac} "] {
                let payload = [before.as_bytes(), invalid, b" behind"].concat();
                let bytes = sent_by(peer, &[frame(TEXT, &payload)]);
                assert_fails(role, &bytes, ProtocolError::TextNotUtf8);
            }
        }
    }
}

#[test]
fn one_byte_that_is_no_text_is_found_wherever_it_stands_among_ascii() {
    // Whoever unmasks sees whether it is ASCII, in words and vectors whose ends overlap; the rest
    // of a frame is judged by another part than its beginning where it comes in two reads.
    let config = Config::default();
    for role in ROLES {
        for len in (1..=140).chain([255, 256, 257, 600]) {
            let ascii = vec![b'a'; len];
            for place in 0..len {
                let (mut invalid, mut valid) = (ascii.clone(), ascii.clone());
                invalid[place] = 0xc3;
                valid.splice(place..=place, "\u{e9}".bytes());
                let sent = |payload: &[u8]| sent_by(peer_of(role), &[frame(TEXT, payload)]);
                for chunk_len in [len.div_ceil(2) + 4, usize::MAX] {
                    let outcome = run(role, &config, &sent(&invalid), chunk_len, Drain::AtTheEnd);
                    let error = Some(ProtocolError::TextNotUtf8);
                    assert_eq!(outcome.error, error, "{place} of {len} bytes");
                    let outcome = run(role, &config, &sent(&valid), chunk_len, Drain::AtTheEnd);
                    assert_eq!(outcome.error, None, "{place} of {len} bytes");
                    assert_eq!(outcome.received.len(), 1);
                }
            }
        }
    }
}

#[test]
fn text_that_is_not_utf8_fails_wherever_it_is_fragmented() {
    for role in ROLES {
        for (invalid, _) in INVALID {
            let payload = [b"ok ", invalid, b" behind"].concat();
            for cut in 0..=payload.len() {
                let (before, behind) = payload.split_at(cut);
                let frames = [fragment(TEXT, before), frame(CONTINUATION, behind)];
                let bytes = sent_by(peer_of(role), &frames);
                let config = Config::default();
                for chunk_len in [1, usize::MAX] {
                    let outcome = run(role, &config, &bytes, chunk_len, Drain::AtTheEnd);
                    assert_eq!(outcome.error, Some(ProtocolError::TextNotUtf8));
                    assert_eq!(outcome.received, []);
                    assert_eq!(close_code_in(&outcome.output), Some(1007));
                }
            }
        }
    }
}

/// Asserts that of `frames`, whose last is text that goes on, the connection fails at the byte
/// that is `needed` bytes into the last payload's `offset`, and not at the one before.
fn assert_fails_at(role: Role, frames: &[RawFrame], offset: usize, needed: usize) {
    let peer = peer_of(role);
    let bytes = sent_by(peer, frames);
    let last = frames.last().expect("a frame").clone().sent_by(peer);
    let payload_start = bytes.len() - last.payload.len();
    let fails_at = payload_start + offset + needed;
    let config = Config::default();
    for chunk_len in [1, 7, usize::MAX] {
        let before = &bytes[..fails_at - 1];
        let outcome = run(role, &config, before, chunk_len, Drain::AfterEachCall);
        assert_eq!(outcome.error, None, "{:x?}", last.payload);
        let outcome = run(
            role,
            &config,
            &bytes[..fails_at],
            chunk_len,
            Drain::AfterEachCall,
        );
        assert_eq!(
            outcome.error,
            Some(ProtocolError::TextNotUtf8),
            "{:x?}",
            last.payload
        );
        assert_eq!(close_code_in(&outcome.output), Some(1007));
    }
}

#[test]
fn text_fails_at_the_first_byte_that_cannot_be_completed_inside_a_frame() {
    for role in ROLES {
        for (invalid, needed) in INVALID {
            // Of the frame much more is to come: it fails without it. Its length decides whether
            // the payload waits in the window or in the message.
            for claimed in [100, 60_000, 10 << 20] {
                let payload = [b"some text ", invalid].concat();
                let mut raw = frame(TEXT, &payload);
                raw.length = match claimed {
                    // A claim that needs a 7-bit length is a payload that is cut off below.
                    100 => {
                        raw.payload.resize(100, b'.');
                        Length::Shortest
                    }
                    60_000 => Length::In16Bits(60_000),
                    len => Length::In64Bits(len),
                };
                assert_fails_at(role, &[raw], 10, needed);
            }
        }
    }
}

#[test]
fn text_fails_at_the_first_byte_that_cannot_be_completed_in_a_later_fragment() {
    for role in ROLES {
        for (invalid, needed) in INVALID {
            for cut in 0..needed {
                // The character began in the fragment before.
                let frames = [
                    fragment(TEXT, [b"some text ", &invalid[..cut]].concat()),
                    fragment(CONTINUATION, ""),
                    fragment(CONTINUATION, &invalid[cut..]),
                ];
                assert_fails_at(role, &frames, 0, needed - cut);
            }
        }
    }
}

#[test]
fn a_text_message_that_ends_inside_a_character_fails_the_connection() {
    for role in ROLES {
        let peer = peer_of(role);
        for cut_short in [
            b"\xc3".as_slice(),
            b"\xe2",
            b"\xe2\x82",
            b"\xf0",
            b"\xf0\x9f",
            b"\xf0\x9f\x98",
        ] {
            let payload = [b"text ", cut_short].concat();
            let error = ProtocolError::TextNotUtf8;
            assert_fails(role, &sent_by(peer, &[frame(TEXT, &payload)]), error);
            for cut in 0..=payload.len() {
                let (first, second) = payload.split_at(cut);
                let frames = [fragment(TEXT, first), frame(CONTINUATION, second)];
                assert_fails(role, &sent_by(peer, &frames), error);
            }
            // It is the end of the message that is wrong, not the end of a frame.
            let outcome = receive_frames(role, &[fragment(TEXT, &payload)]);
            assert_eq!(outcome.error, None);
        }
    }
}

#[test]
fn a_text_leaves_nothing_behind_for_the_next() {
    for role in ROLES {
        // A continuation byte at the beginning of a message continues no character of the last.
        let bytes = sent_by(
            peer_of(role),
            &[frame(TEXT, "\u{e9}"), frame(TEXT, b"\xa9")],
        );
        assert_fails_after(
            role,
            &Config::default(),
            &bytes,
            &[text("\u{e9}")],
            ProtocolError::TextNotUtf8,
        );
        // Nor does a binary message end inside one.
        let frames = [
            frame(BINARY, b"\xc3"),
            frame(TEXT, "a"),
            fragment(BINARY, b"\xe2"),
            frame(CONTINUATION, b"\x82"),
            frame(TEXT, "b"),
        ];
        let outcome = receive_frames(role, &frames);
        assert_eq!(
            outcome.received,
            [binary(b"\xc3"), text("a"), binary(b"\xe2\x82"), text("b")]
        );
    }
}

#[test]
fn text_without_a_first_byte_of_a_character_fails_at_every_length() {
    // All bits of these bytes together are those of 0x80, which is the least that is not ASCII.
    for role in ROLES {
        for len in (1..=70).chain([1000, 5000]) {
            for place in [0, len / 2, len - 1] {
                let mut bytes = vec![0; len];
                assert_eq!(
                    receive_frames(role, &[frame(TEXT, &bytes)]).error,
                    None,
                    "NUL is a character"
                );
                bytes[place] = 0x80;
                let outcome = receive_frames(role, &[frame(TEXT, &bytes)]);
                assert_eq!(outcome.received, [], "{len} bytes, at {place}");
                assert_eq!(outcome.error, Some(ProtocolError::TextNotUtf8));
            }
        }
    }
}

#[test]
fn binary_messages_are_not_judged() {
    for role in ROLES {
        for (invalid, _) in INVALID {
            let outcome = receive_frames(role, &[frame(BINARY, invalid)]);
            assert_eq!(outcome.received, [binary(invalid)]);
        }
    }
}

#[test]
fn messages_before_a_text_that_is_not_utf8_are_delivered() {
    for role in ROLES {
        let frames = [
            frame(TEXT, "one"),
            frame(BINARY, "two"),
            frame(TEXT, b"\xff"),
            frame(TEXT, "four"),
        ];
        assert_fails_after(
            role,
            &Config::default(),
            &sent_by(peer_of(role), &frames),
            &[text("one"), binary("two")],
            ProtocolError::TextNotUtf8,
        );
    }
}

#[test]
fn characters_of_a_long_text_may_lie_across_any_read() {
    // Three bytes a character, so that chunks and windows of any even length cut some.
    let long = "\u{20ac}".repeat(30_000);
    for role in ROLES {
        for frames in [
            vec![frame(TEXT, &long)],
            vec![
                fragment(TEXT, &long.as_bytes()[..50_000]),
                frame(CONTINUATION, &long.as_bytes()[50_000..]),
            ],
        ] {
            let bytes = sent_by(peer_of(role), &frames);
            for chunk_len in [7, 4096, 5000, 65_536, usize::MAX] {
                let config = Config::default();
                let outcome = run(role, &config, &bytes, chunk_len, Drain::AtTheEnd);
                assert_eq!(outcome.error, None);
                assert!(outcome.received == [text(&long)], "chunks of {chunk_len}");
            }
        }
    }
}
