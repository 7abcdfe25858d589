//! Attacks by text, by closing and by ending the transport, each against the core in memory and
//! against both adapters, as a server and as a client.
//!
//! RFC 6455, sections 5.5.1, 7 and 8.1. Which advisory each test is for is in ATTACKS.md.

#![cfg(all(feature = "blocking", feature = "tokio"))]

mod support;
#[path = "support/victim.rs"]
mod victim;

use framewright::{EndCause, Initiator, ProtocolError};

use support::*;
use victim::Victim;

// -- Text -----------------------------------------------------------------------------------------

#[test]
fn text_that_is_no_utf_8_fails_the_connection_however_it_is_fragmented() {
    let cases: [&[u8]; 16] = [
        // Overlong forms of '/', of NUL, and of U+FFFF.
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xc0\x80",
        b"\xf0\x8f\xbf\xbf",
        // Surrogates, alone and as a pair.
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\xbd\xed\xb8\x80",
        // Beyond U+10FFFF.
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xfe",
        b"\xff",
        // A continuation of nothing.
        b"\x80",
        b"a\xbf",
        // Cut short.
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ];
    for role in ROLES {
        for bad in cases {
            let frames = vec![frame(TEXT, bad)];
            let bytes: Vec<_> = bad
                .iter()
                .map(|byte| fragment(CONTINUATION, [*byte]))
                .collect();
            let mut split = [&[fragment(TEXT, "")], &bytes[..]].concat();
            split.push(frame(CONTINUATION, ""));
            let behind = vec![
                fragment(TEXT, "a"),
                frame(PING, ""),
                frame(CONTINUATION, bad),
            ];
            for (frames, received) in [(frames, vec![]), (split, vec![]), (behind, vec![ping("")])]
            {
                let wire = sent_by(peer_of(role), &frames);
                let outcome = Victim::default().receives(role, &wire);
                outcome.assert_failed_after(&received, ProtocolError::TextNotUtf8);
            }
        }
    }
}

#[test]
fn text_fails_at_its_first_bad_byte_and_not_at_its_end() {
    // Of a megabyte that is announced, three bytes come.
    for role in ROLES {
        let begun = frame(TEXT, b"ab\xff").claiming(1 << 20);
        let wire = sent_by(peer_of(role), &[begun]);
        let outcome = Victim::default().receives(role, &wire);
        outcome.assert_failed(ProtocolError::TextNotUtf8);
    }
}

#[test]
fn text_at_the_edges_of_unicode_is_delivered_unchanged() {
    let extremes = "\0|\u{feff}|\u{7f}|\u{80}|\u{7ff}|\u{800}|\u{d7ff}|\u{e000}|\u{fdd0}|\u{fffe}|\
                    \u{ffff}|\u{10000}|\u{1fffe}|\u{10ffff}";
    for role in ROLES {
        for at in 0..=extremes.len() {
            let (first, second) = extremes.as_bytes().split_at(at);
            let frames = [fragment(TEXT, first), frame(CONTINUATION, second)];
            let outcome = Victim::default().receives(role, &sent_by(peer_of(role), &frames));
            assert_eq!(outcome.received, [text(extremes)], "split at {at}");
        }
    }
}

// -- Close frames ---------------------------------------------------------------------------------

#[test]
fn a_close_code_that_may_not_be_on_the_wire_fails_the_connection() {
    let bad = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 0xffff,
    ];
    let good = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999,
    ];
    for role in ROLES {
        for code in bad {
            let frames = [frame(CLOSE, close_payload(code, b"why"))];
            let outcome = Victim::default().receives(role, &sent_by(peer_of(role), &frames));
            outcome.assert_failed(ProtocolError::CloseCodeInvalid(code));
        }
        for code in good {
            let frames = [frame(CLOSE, close_payload(code, b"why"))];
            let outcome = Victim::default().receives(role, &sent_by(peer_of(role), &frames));
            assert_eq!(outcome.received, [close(code, "why")]);
            assert_eq!(outcome.close_code(), Some(code));
            assert!(outcome.end.unwrap().is_clean());
        }
    }
}

#[test]
fn a_close_payload_that_is_none_fails_the_connection() {
    for role in ROLES {
        for (payload, error) in [
            (vec![3], ProtocolError::CloseTooShort),
            (
                close_payload(1000, b"\xff"),
                ProtocolError::CloseReasonNotUtf8,
            ),
            (
                close_payload(1000, b"cut\xe2\x82"),
                ProtocolError::CloseReasonNotUtf8,
            ),
            (
                close_payload(1000, &[b'a'; 124]),
                ProtocolError::ControlTooLong,
            ),
        ] {
            let wire = sent_by(peer_of(role), &[frame(CLOSE, payload)]);
            Victim::default().receives(role, &wire).assert_failed(error);
        }
        // The longest that there is.
        let longest = frame(CLOSE, close_payload(1000, &[b'a'; 123]));
        let outcome = Victim::default().receives(role, &sent_by(peer_of(role), &[longest]));
        assert_eq!(outcome.received, [close(1000, &"a".repeat(123))]);
    }
}

#[test]
fn a_close_inside_a_message_is_answered_and_the_message_dropped() {
    for role in ROLES {
        for rest in [vec![], vec![frame(CONTINUATION, "rest")]] {
            let mut frames = vec![
                fragment(TEXT, "begun"),
                frame(CLOSE, close_payload(1001, b"")),
            ];
            frames.extend(rest);
            let outcome = Victim::default().receives(role, &sent_by(peer_of(role), &frames));
            assert_eq!(outcome.received, [close(1001, "")]);
            assert_eq!((outcome.close_code(), outcome.failure), (Some(1001), None));
            assert!(outcome.end.unwrap().is_clean());
        }
    }
}

#[test]
fn whatever_follows_a_close_is_discarded_and_answered_by_nothing() {
    for role in ROLES {
        for late in [
            sent_by(peer_of(role), &[frame(TEXT, "late")]),
            sent_by(peer_of(role), &[frame(PING, "late")]),
            sent_by(peer_of(role), &[frame(CLOSE, close_payload(1002, b""))]),
            sent_by(peer_of(role), &[frame(0x3, "late")]),
            sent_by(role, &[frame(TEXT, "of the wrong mask")]),
            vec![0xff; 1000],
            b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        ] {
            let close_frame = frame(CLOSE, close_payload(1000, b"bye"));
            let wire = [sent_by(peer_of(role), &[close_frame]), late].concat();
            let outcome = Victim::default().receives(role, &wire);
            assert_eq!(outcome.received, [close(1000, "bye")]);
            assert_eq!(outcome.frames.len(), 1, "one answer: {outcome:?}");
            assert_eq!(outcome.failure, None);
            let end = outcome.end.unwrap();
            assert_eq!((end.code(), end.initiator), (1000, Some(Initiator::Peer)));
            assert!(end.is_clean());
        }
    }
}

#[test]
fn a_megabyte_behind_a_failure_is_drained_and_the_close_arrives() {
    // A transport that is closed with bytes unread is reset, and the Close is lost with it.
    for role in ROLES {
        let wire = [sent_by(peer_of(role), &[frame(0x3, "")]), vec![0; 1 << 20]].concat();
        let outcome = Victim::default().receives(role, &wire);
        outcome.assert_failed(ProtocolError::ReservedOpcode(0x3));
    }
}

// -- The end of the transport ---------------------------------------------------------------------

#[test]
fn a_transport_that_ends_anywhere_without_a_close_delivers_no_part_of_a_message() {
    for role in ROLES {
        let frames = [
            frame(TEXT, "whole"),
            fragment(BINARY, [1; 10]),
            frame(PING, ""),
            frame(CONTINUATION, [2; 10]),
        ];
        let ends: Vec<_> = (1..=frames.len())
            .map(|count| sent_by(peer_of(role), &frames[..count]).len())
            .collect();
        let wire = sent_by(peer_of(role), &frames);
        for cut in 0..=wire.len() {
            let outcome = Victim::default().receives(role, &wire[..cut]);
            let mut received = Vec::new();
            if cut >= ends[0] {
                received.push(text("whole"));
            }
            if cut >= ends[2] {
                received.push(ping(""));
            }
            if cut >= ends[3] {
                received.push(binary([[1; 10], [2; 10]].concat()));
            }
            assert_eq!(outcome.received, received, "cut at {cut}");
            assert_eq!(
                (outcome.failure, outcome.frames),
                (None, vec![]),
                "cut at {cut}"
            );
            let end = outcome.end.unwrap();
            assert_eq!((end.cause, end.code()), (EndCause::EndOfStream, 1006));
            assert!(!end.is_clean());
        }
    }
}
