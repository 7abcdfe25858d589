//! Every limit that bytes can meet, from below and from above, at the core and at both adapters:
//! what is just within it works, and what is just beyond it is told so.
//!
//! RFC 6455, sections 4.2.2 and 10.4, and the table of limits in the documentation of `Config`.
//! Limits of time have a file of their own.

#![cfg(all(feature = "blocking", feature = "tokio"))]

mod support;
#[path = "support/victim.rs"]
mod victim;

use framewright::{Config, HandshakeError, ProtocolError};

use support::*;
use victim::{Failure, Outcome, UPGRADE, Victim, switching, upgrade_and};

// -- Messages -------------------------------------------------------------------------------------

#[test]
fn a_message_has_max_message_len_bytes_and_not_one_more() {
    let victim = Victim::new(|config| config.max_message_len = 1000);
    for role in ROLES {
        for cut in [0, 1, 999, 1000] {
            let parts = |len: usize| {
                let payload = vec![b'x'; len];
                let (first, second) = payload.split_at(cut);
                [fragment(TEXT, first), frame(CONTINUATION, second)]
            };
            let twice = [parts(1000), parts(1000)].concat();
            let longest = sent_by(peer_of(role), &twice);
            let outcome = victim.receives(role, &longest);
            let received = text(&"x".repeat(1000));
            assert_eq!(outcome.received, [received.clone(), received]);
            assert_eq!(outcome.failure, None);
            let longer = sent_by(peer_of(role), &parts(1001));
            victim
                .receives(role, &longer)
                .assert_failed(ProtocolError::MessageTooLong);
        }
    }
    assert_eq!(ProtocolError::MessageTooLong.close_code().get(), 1009);
}

#[test]
fn a_frame_has_max_frame_len_bytes_and_not_one_more() {
    let victim = Victim::new(|config| config.max_frame_len = 1000);
    for role in ROLES {
        let longest = [
            fragment(BINARY, [1; 1000]),
            fragment(CONTINUATION, [1; 1000]),
            frame(CONTINUATION, [1; 1000]),
        ];
        let outcome = victim.receives(role, &sent_by(peer_of(role), &longest));
        assert_eq!(outcome.received, [binary([1; 3000])]);
        let longer = [fragment(BINARY, [1; 1000]), frame(CONTINUATION, [1; 1001])];
        let outcome = victim.receives(role, &sent_by(peer_of(role), &longer));
        outcome.assert_failed(ProtocolError::FrameTooLong);
    }
    assert_eq!(ProtocolError::FrameTooLong.close_code().get(), 1009);
}

#[test]
fn a_message_has_max_fragments_frames_and_not_one_more() {
    let victim = Victim::new(|config| config.max_fragments = 5);
    for role in ROLES {
        for (count, fits) in [(5, true), (6, false)] {
            let mut frames = vec![fragment(CONTINUATION, "a"); count];
            frames[0].opcode = TEXT;
            frames[2].payload.clear();
            frames[count - 1].fin = true;
            let outcome = victim.receives(role, &sent_by(peer_of(role), &frames));
            if fits {
                assert_eq!(outcome.received, [text("aaaa")]);
            } else {
                outcome.assert_failed(ProtocolError::TooManyFragments);
            }
        }
    }
    assert_eq!(ProtocolError::TooManyFragments.close_code().get(), 1008);
}

#[cfg(feature = "deflate")]
#[test]
fn a_compressed_frame_is_a_thousandth_and_a_kibibyte_longer_and_not_a_byte_more() {
    const LINE: &str = "Sec-WebSocket-Extensions: permessage-deflate";
    let mut victim = Victim::new(|config| config.max_frame_len = 100_000);
    victim.deflate = Some(framewright::handshake::DeflateConfig::default());
    let most = 100_000 + 100 + 1024;
    // Blocks that hold nothing, and one that is stored: as long as one likes.
    let payload = |len: usize| {
        let stored = b"\x00\x05\x00\xfa\xffHello\x00";
        let mut payload = b"\x00\x00\x00\xff\xff".repeat((len - stored.len()) / 5);
        payload.extend_from_slice(stored);
        payload
    };
    for (len, fits) in [(most, true), (most + 5, false)] {
        let payload = payload(len);
        assert_eq!(payload.len() <= most, fits, "{}", payload.len());
        let frames = [frame(TEXT, &payload).rsv(RSV1)];
        let wire = [
            upgrade_and(&[LINE]),
            sent_by(framewright::Role::Client, &frames),
        ]
        .concat();
        let outcome = victim.serves(&wire);
        if fits {
            assert_eq!(
                (outcome.received, outcome.failure),
                (vec![text("Hello")], None)
            );
        } else {
            outcome.assert_failed(ProtocolError::FrameTooLong);
        }
    }
    // To the byte, as the header says it.
    for (len, fits) in [(most, true), (most + 1, false)] {
        let claim = frame(TEXT, "").rsv(RSV1).claiming(len as u64);
        let wire = [
            upgrade_and(&[LINE]),
            sent_by(framewright::Role::Client, &[claim]),
        ]
        .concat();
        let outcome = victim.serves(&wire);
        let error = (!fits).then_some(Failure::Protocol(ProtocolError::FrameTooLong));
        assert_eq!(outcome.failure, error, "{len}");
    }
}

#[test]
fn one_pong_waits_and_it_is_the_newest() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role);
        for payload in 0..100_u8 {
            let ping = frame(PING, [payload]).sent_by(peer_of(role)).bytes();
            endpoint.input.extend(&ping);
            let found = endpoint
                .connection
                .advance(&mut endpoint.input, &mut endpoint.output);
            assert_eq!(found, Ok(true));
        }
        assert_eq!(sent(&endpoint.output.to_vec()), [(PONG, vec![99])]);
    }
}

#[test]
fn what_is_within_max_drain_len_is_read_behind_a_failure() {
    let victim = Victim::new(|config| config.max_drain_len = 10_000);
    for role in ROLES {
        // The Close arrives if all is read before the transport is closed.
        let bad = sent_by(peer_of(role), &[frame(0x3, "")]);
        let wire = [&bad[..], &[0; 9000]].concat();
        let outcome = victim.receives(role, &wire);
        outcome.assert_failed(ProtocolError::ReservedOpcode(0x3));
    }
}

// -- Heads ----------------------------------------------------------------------------------------

#[test]
fn a_request_has_max_head_len_bytes_and_not_one_more() {
    for max in [300, Config::default().max_head_len] {
        let victim = Victim::new(|config| config.max_head_len = max);
        let longest = padded(max);
        assert_eq!(longest.len(), max);
        assert_eq!(victim.serves(&longest).status(), 101);
        let outcome = victim.serves(&padded(max + 1));
        outcome.assert_refused(&HandshakeError::HeadTooLong);
        assert_eq!(outcome.status(), 431);
    }
    assert_eq!(Config::default().max_head_len, 16 << 10);
}

#[test]
fn a_request_line_has_max_request_line_len_bytes_and_not_one_more() {
    for max in [50, Config::default().max_request_line_len] {
        let victim = Victim::new(|config| config.max_request_line_len = max);
        let request = |len: usize| {
            let target = "x".repeat(len - "GET / HTTP/1.1".len());
            let rest = UPGRADE.strip_prefix(b"GET /chat HTTP/1.1").expect("it");
            [format!("GET /{target} HTTP/1.1").as_bytes(), rest].concat()
        };
        assert_eq!(victim.serves(&request(max)).status(), 101);
        let outcome = victim.serves(&request(max + 1));
        outcome.assert_refused(&HandshakeError::RequestLineTooLong);
        assert_eq!(outcome.status(), 414);
    }
    assert_eq!(Config::default().max_request_line_len, 8 << 10);
}

#[test]
fn a_request_has_max_headers_lines_and_not_one_more() {
    // Five are those of the upgrade.
    for max in [7, Config::default().max_headers] {
        let victim = Victim::new(|config| config.max_headers = max);
        let request = |lines: usize| upgrade_and(&vec!["X: y"; lines - 5]);
        assert_eq!(victim.serves(&request(max)).status(), 101);
        let outcome = victim.serves(&request(max + 1));
        outcome.assert_refused(&HandshakeError::TooManyHeaders);
        assert_eq!(outcome.status(), 431);
    }
    assert_eq!(Config::default().max_headers, 100);
}

#[test]
fn an_answer_has_the_limits_of_a_head_and_not_one_byte_or_line_more() {
    let own_lines = 3;
    for (max_len, max_lines) in [(300, 10), (16 << 10, 100)] {
        let victim = Victim::new(|config| {
            config.max_head_len = max_len;
            config.max_headers = max_lines;
        });
        let long = |accept: &str, len: usize| {
            let answer = switching(accept);
            let value = "y".repeat(len - answer.len() - "X: \r\n".len());
            with_lines(&answer, &format!("X: {value}\r\n"))
        };
        let many = |accept: &str, lines: usize| {
            with_lines(&switching(accept), &"X: y\r\n".repeat(lines - own_lines))
        };
        let opens = |outcome: Outcome| assert_eq!(outcome.failure, None);
        opens(victim.asks(|accept| long(accept, max_len)));
        opens(victim.asks(|accept| many(accept, max_lines)));
        let fails = |outcome: Outcome, error: HandshakeError| {
            assert_eq!(outcome.failure, Some(Failure::Handshake(error)));
        };
        fails(
            victim.asks(|accept| long(accept, max_len + 1)),
            HandshakeError::HeadTooLong,
        );
        fails(
            victim.asks(|accept| many(accept, max_lines + 1)),
            HandshakeError::TooManyHeaders,
        );
    }
}

#[test]
fn sixteen_extensions_and_64_subprotocols_are_offered_and_not_one_more() {
    let list = |count: usize| {
        let tokens: Vec<_> = (0..count).map(|number| format!("t{number}")).collect();
        tokens.join(", ")
    };
    for (name, most, error) in [
        ("Extensions", 16, HandshakeError::ExtensionsInvalid),
        ("Protocol", 64, HandshakeError::SubprotocolsInvalid),
    ] {
        let request = |count| upgrade_and(&[&format!("Sec-WebSocket-{name}: {}", list(count))]);
        assert_eq!(Victim::default().serves(&request(most)).status(), 101);
        let outcome = Victim::default().serves(&request(most + 1));
        outcome.assert_refused(&error);
        assert_eq!(outcome.status(), 400);
        // Over two lines they are as many.
        let (first, others) = list(most + 1).split_once(", ").map(own).expect("a list");
        let lines = [first, others].map(|list| format!("Sec-WebSocket-{name}: {list}"));
        let outcome = Victim::default().serves(&upgrade_and(&[&lines[0], &lines[1]]));
        outcome.assert_refused(&error);
    }
}

#[test]
fn eight_interim_answers_are_read_and_not_one_more() {
    let after = |count: usize| {
        Victim::default().asks(|accept| {
            let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count);
            (interim + &switching(accept)).into_bytes()
        })
    };
    assert_eq!(after(8).failure, None);
    let error = HandshakeError::TooManyInterimResponses;
    assert_eq!(after(9).failure, Some(Failure::Handshake(error)));
}

#[test]
fn max_refused_body_len_bytes_of_a_refusal_are_kept_and_it_says_so() {
    for (max, kept_at_most) in [(10, 10), (4096, 4096), (1 << 20, 64 << 10)] {
        let victim = Victim::new(|config| config.max_refused_body_len = max);
        for (len, truncated) in [(kept_at_most, false), (kept_at_most + 1, true)] {
            let body = "x".repeat(len);
            for head in [
                format!("HTTP/1.1 403 No\r\nContent-Length: {len}\r\n\r\n{body}"),
                format!(
                    "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n{len:x}\r\n{body}\r\n\
                     0\r\n\r\n"
                ),
                format!("HTTP/1.1 403 No\r\n\r\n{body}"),
            ] {
                let outcome = victim.asks(|_| head.clone().into_bytes());
                let Some(Failure::Handshake(HandshakeError::Refused(refused))) = outcome.failure
                else {
                    panic!("{outcome:?}");
                };
                assert_eq!(refused.body.len(), kept_at_most);
                assert_eq!(refused.body_truncated, truncated);
            }
        }
    }
    assert_eq!(Config::default().max_refused_body_len, 4096);
}

// -- Rig ------------------------------------------------------------------------------------------

fn own((first, second): (&str, &str)) -> (String, String) {
    (first.to_owned(), second.to_owned())
}

/// The request that is accepted, padded to a length.
fn padded(len: usize) -> Vec<u8> {
    let line = |padding: usize| upgrade_and(&[&format!("X: {}", "y".repeat(padding))]);
    line(len - line(0).len())
}

/// The answer, with further lines.
fn with_lines(answer: &str, lines: &str) -> Vec<u8> {
    let answer = answer.strip_suffix("\r\n").expect("an empty line");
    format!("{answer}{lines}\r\n").into_bytes()
}
