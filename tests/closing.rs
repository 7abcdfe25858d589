//! The closing handshake, its codes, and how a connection ends.
//!
//! RFC 6455, sections 5.5.1, 7.1 and 7.4.

mod support;

use std::sync::Arc;

use framewright::{
    CloseFrame, Config, Connection, EndCause, Initiator, MessageKind, ProtocolError, Role,
    SendError, State, Teardown,
};
use support::*;

/// Begins the closing handshake at one end.
fn send_close(endpoint: &mut Endpoint, frame: Option<CloseFrame<'_>>) {
    endpoint
        .connection
        .send_close(frame, &mut endpoint.output)
        .unwrap();
}

fn send_text(endpoint: &mut Endpoint, text: &str) {
    endpoint
        .connection
        .send_text(text, &mut endpoint.output)
        .unwrap();
}

#[test]
fn the_closing_handshake_ends_both_sides_cleanly() {
    for initiator in ROLES {
        scenario(|pair| {
            send_close(pair.end(initiator), Some(close_frame(1000, "done")));
            assert_eq!(pair.end(initiator).connection.state(), State::Closing);
            assert_eq!(pair.end(initiator).connection.end(), None);
            pair.settle();

            let (local, peer) = pair.ends(initiator);
            for end in [&local, &peer] {
                assert_eq!(end.connection.state(), State::Closed);
                assert_eq!(end.end().code(), 1000);
                assert_eq!(end.end().cause, EndCause::ClosingHandshake);
                assert!(end.end().is_clean());
                assert_eq!(end.error, None);
            }
            assert_eq!(peer.received, [close(1000, "done")]);
            assert_eq!(peer.end().initiator, Some(Initiator::Peer));
            assert_eq!(peer.end().reason(), "done");
            assert_eq!(peer.end().received, Some(Some(close_frame(1000, "done"))));
            // 5.5.1: "it typically echos the status code it received", and the reason was ours.
            assert_eq!(local.received, [close(1000, "")]);
            assert_eq!(local.end().initiator, Some(Initiator::Local));
            assert_eq!(local.end().reason(), "");
            assert_eq!(local.end().sent, Some(Some(close_frame(1000, "done"))));
            assert_eq!(
                local.end().sent_code().map(u16::from),
                Some(1000),
                "the code that we sent"
            );
        });
    }
}

#[test]
fn both_may_begin_to_close_at_once() {
    scenario(|pair| {
        send_close(&mut pair.client, Some(close_frame(1001, "leaving")));
        send_close(&mut pair.server, Some(close_frame(1012, "restarting")));
        pair.settle();
        for end in [&pair.client, &pair.server] {
            assert_eq!(end.connection.state(), State::Closed);
            assert!(end.end().is_clean());
            assert_eq!(end.end().initiator, Some(Initiator::Local));
            assert_eq!(end.end().cause, EndCause::ClosingHandshake);
            assert_eq!(sent(&end.written).len(), 1, "each sends one Close");
        }
        assert_eq!(pair.client.received, [close(1012, "restarting")]);
        assert_eq!(pair.client.end().code(), 1012);
        assert_eq!(pair.server.received, [close(1001, "leaving")]);
        assert_eq!(pair.server.end().code(), 1001);
    });
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    for role in ROLES {
        let outcome = receive_frames(role, &[frame(CLOSE, "")]);
        assert_eq!(outcome.received, [Received::Close(None)]);
        assert_eq!(outcome.output, wire(role, &[frame(CLOSE, "")]));
        let end = outcome.end.unwrap();
        // 7.1.5: "If this Close control frame contains no status code, _The WebSocket Connection
        // Close Code_ is considered to be 1005."
        assert_eq!(end.code(), 1005);
        assert_eq!(end.reason(), "");
        assert_eq!(end.sent, Some(None));
        assert_eq!(end.received, Some(None));
        assert_eq!(end.sent_code(), None);
        assert!(end.is_clean());
    }
    scenario(|pair| {
        send_close(&mut pair.client, None);
        pair.settle();
        assert_eq!(pair.server.received, [Received::Close(None)]);
        assert_eq!(pair.client.received, [Received::Close(None)]);
        assert_eq!(pair.client.end().code(), 1005);
    });
}

/// 7.4 and the registry: what may be on the wire.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[test]
fn every_code_that_may_be_sent_is_echoed_and_every_other_fails() {
    for role in ROLES {
        for code in 0..=u16::MAX {
            let bytes = sent_by(peer_of(role), &[frame(CLOSE, close_payload(code, b"why"))]);
            let mut endpoint = Endpoint::new(role);
            endpoint.receive(&bytes);
            if may_be_sent(code) {
                assert_eq!(endpoint.received, [close(code, "why")]);
                let echo = frame(CLOSE, close_payload(code, b""));
                assert_eq!(endpoint.written, wire(role, &[echo]));
                assert_eq!(endpoint.end().code(), code);
            } else {
                let error = ProtocolError::CloseCodeInvalid(code);
                assert_eq!(endpoint.error, Some(error));
                assert_eq!(endpoint.received, []);
                assert_eq!(close_code_in(&endpoint.written), Some(1002));
                // 7.1.5: of a Close that is none, no code is received.
                assert_eq!(endpoint.end().code(), 1006);
                assert!(!endpoint.end().is_clean());
            }
        }
    }
}

#[test]
fn the_codes_at_the_edges_are_judged_alike_in_any_chunks() {
    for role in ROLES {
        let peer = peer_of(role);
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            let bytes = sent_by(peer, &[frame(CLOSE, close_payload(code, b""))]);
            assert_fails(role, &bytes, ProtocolError::CloseCodeInvalid(code));
        }
        for code in [
            1000, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
        ] {
            let outcome = receive_frames(role, &[frame(CLOSE, close_payload(code, b""))]);
            assert_eq!(outcome.received, [close(code, "")]);
        }
    }
}

#[test]
fn a_close_payload_of_one_byte_fails_the_connection() {
    // 5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned
    // integer (in network byte order) representing a status code"
    for role in ROLES {
        for byte in [b"\0", b"\x03"] {
            let bytes = sent_by(peer_of(role), &[frame(CLOSE, byte)]);
            assert_fails(role, &bytes, ProtocolError::CloseTooShort);
        }
    }
}

#[test]
fn a_close_reason_that_is_not_utf8_fails_the_connection() {
    for role in ROLES {
        for reason in [
            b"\xff".as_slice(),
            b"fine \xed\xa0\x80",
            b"\xc0\x80",
            b"ends inside \xe2\x82",
        ] {
            let bytes = sent_by(peer_of(role), &[frame(CLOSE, close_payload(1000, reason))]);
            assert_fails(role, &bytes, ProtocolError::CloseReasonNotUtf8);
            assert_eq!(ProtocolError::CloseReasonNotUtf8.close_code().get(), 1007);
        }
        let outcome = receive_frames(
            role,
            &[frame(
                CLOSE,
                close_payload(1000, "\u{1f44b} \0\u{ffff}".as_bytes()),
            )],
        );
        assert_eq!(outcome.received, [close(1000, "\u{1f44b} \0\u{ffff}")]);
    }
}

#[test]
fn a_reason_of_123_bytes_is_the_longest_that_is_sent() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role);
        for len in [124, 125, 1000] {
            let frame = close_frame(1000, &"r".repeat(len));
            let sent = endpoint
                .connection
                .send_close(Some(frame), &mut endpoint.output);
            assert_eq!(sent, Err(SendError::ReasonTooLong));
            assert!(endpoint.output.is_empty());
            // Nothing was sent, so nothing has begun.
            assert_eq!(endpoint.connection.state(), State::Open);
        }
        let reason = "r".repeat(123);
        send_close(&mut endpoint, Some(close_frame(1000, &reason)));
        let payload = close_payload(1000, reason.as_bytes());
        assert_eq!(
            endpoint.take_written(),
            wire(role, &[frame(CLOSE, payload)])
        );
    }
}

#[test]
fn a_long_reason_is_not_echoed() {
    // The echo is the code alone, so it fits whatever the peer said.
    for role in ROLES {
        let payload = close_payload(4999, "\u{e9}".repeat(61).as_bytes());
        let outcome = receive_frames(role, &[frame(CLOSE, payload)]);
        let echo = frame(CLOSE, close_payload(4999, b""));
        assert_eq!(outcome.output, wire(role, &[echo]));
    }
}

#[test]
fn nothing_but_pongs_follows_our_close() {
    // 5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
    for role in ROLES {
        let mut endpoint = Endpoint::new(role);
        send_close(&mut endpoint, Some(close_frame(1000, "")));
        let Endpoint {
            connection, output, ..
        } = &mut endpoint;
        let before = output.len();
        let error = Err(SendError::Closing);
        assert_eq!(connection.send_text("a", output), error);
        assert_eq!(connection.send_binary(b"a", output), error);
        assert_eq!(connection.send_message("a".into(), output), error);
        assert_eq!(
            connection.send_fragment(MessageKind::Text, b"a", false, output),
            error
        );
        assert_eq!(connection.send_ping(b"a", output), error);
        assert_eq!(connection.send_close(None, output), error);
        assert_eq!(output.len(), before);

        let frames = [
            frame(PING, "1"),
            frame(TEXT, "2"),
            frame(PONG, "3"),
            frame(PING, "4"),
        ];
        endpoint.receive(&sent_by(peer_of(role), &frames));
        assert_eq!(
            sent(&endpoint.take_written()),
            [
                (CLOSE, close_payload(1000, b"")),
                (PONG, b"1".to_vec()),
                (PONG, b"4".to_vec())
            ]
        );
    }
}

#[test]
fn messages_before_the_peers_close_are_delivered_while_we_are_closing() {
    for initiator in ROLES {
        scenario(|pair| {
            let (local, peer) = pair.ends(initiator);
            send_close(local, Some(close_frame(1000, "")));
            // The peer had more to say before it saw our Close.
            send_text(peer, "one");
            for (payload, fin) in [(b"tw".as_slice(), false), (b"o", true)] {
                peer.connection
                    .send_fragment(MessageKind::Binary, payload, fin, &mut peer.output)
                    .unwrap();
            }
            pair.settle();
            let (local, peer) = pair.ends(initiator);
            assert_eq!(
                local.received,
                [text("one"), binary("two"), close(1000, "")]
            );
            assert!(local.end().is_clean());
            assert_eq!(peer.received, [close(1000, "")]);
        });
    }
}

#[test]
fn nothing_is_delivered_behind_the_peers_close() {
    // 1.4: "After receiving such a frame, [...] any further data received is discarded"
    let behind = [
        frame(TEXT, "late"),
        frame(PING, "late"),
        frame(CLOSE, close_payload(1001, b"late")),
        frame(0x3, "not even legal"),
    ];
    for role in ROLES {
        for late in &behind {
            let frames = [frame(CLOSE, close_payload(1000, b"")), late.clone()];
            let outcome = receive_frames(role, &frames);
            assert_eq!(outcome.received, [close(1000, "")]);
            assert_eq!(outcome.error, None, "what is behind is not judged");
            let echo = frame(CLOSE, close_payload(1000, b""));
            assert_eq!(outcome.output, wire(role, &[echo]));
            assert_eq!(outcome.end.unwrap().code(), 1000);
        }
        // Nor where we began.
        let mut endpoint = Endpoint::new(role);
        send_close(&mut endpoint, Some(close_frame(3000, "")));
        let mut frames = vec![frame(CLOSE, close_payload(3000, b""))];
        frames.extend(behind.clone());
        endpoint.receive(&sent_by(peer_of(role), &frames));
        assert_eq!(endpoint.received, [close(3000, "")]);
        assert_eq!(
            sent(&endpoint.take_written()),
            [(CLOSE, close_payload(3000, b""))]
        );
    }
}

#[test]
fn a_second_close_is_ignored() {
    for role in ROLES {
        let peer = peer_of(role);
        let mut endpoint = Endpoint::new(role);
        endpoint.receive(&sent_by(peer, &[frame(CLOSE, close_payload(1000, b"a"))]));
        let end = endpoint.end().clone();
        endpoint.receive(&sent_by(peer, &[frame(CLOSE, close_payload(1001, b"b"))]));
        assert_eq!(endpoint.received, [close(1000, "a")]);
        assert_eq!(endpoint.end(), &end);
        assert_eq!(sent(&endpoint.written).len(), 1);
    }
}

#[test]
fn eof_at_every_point_of_a_stream_says_how_it_ended() {
    for role in ROLES {
        let peer = peer_of(role);
        let before = [
            frame(TEXT, "message"),
            frame(PING, "p"),
            fragment(TEXT, "unfinished"),
        ];
        let close = frame(CLOSE, close_payload(4000, b"bye"));
        let before_len = sent_by(peer, &before).len();
        let bytes = [sent_by(peer, &before), close.sent_by(peer).bytes()].concat();
        for we_began in [false, true] {
            for cut in 0..=bytes.len() {
                for chunk_len in CHUNK_LENS {
                    let mut endpoint = Endpoint::new(role);
                    if we_began {
                        send_close(&mut endpoint, Some(close_frame(1001, "")));
                    }
                    endpoint.receive_in_chunks(&bytes[..cut], chunk_len);
                    let end = endpoint.connection.receive_eof();
                    assert_eq!(endpoint.connection.state(), State::Closed);
                    assert_eq!(endpoint.end(), &end);
                    assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
                    assert_eq!(endpoint.error, None, "EOF is never an error");

                    let whole = cut == bytes.len();
                    assert_eq!(end.is_clean(), whole);
                    // 7.1.5: "If _The WebSocket Connection is Closed_ and no Close control frame
                    // was received by the endpoint [...] is considered to be 1006."
                    assert_eq!(end.code(), if whole { 4000 } else { 1006 });
                    assert_eq!(end.reason(), if whole { "bye" } else { "" });
                    assert_eq!(end.received.is_some(), whole);
                    let cause = if whole {
                        EndCause::ClosingHandshake
                    } else {
                        EndCause::EndOfStream
                    };
                    assert_eq!(end.cause, cause);
                    let initiator = match (we_began, whole) {
                        (true, _) => Some(Initiator::Local),
                        (false, true) => Some(Initiator::Peer),
                        (false, false) => None,
                    };
                    assert_eq!(end.initiator, initiator);
                    assert_eq!(end.sent.is_some(), we_began || whole);
                    // The unfinished message is never delivered, nor is anything sent at the end.
                    let delivered = endpoint.received.contains(&text("unfinished"));
                    assert!(!delivered);
                    if cut < before_len && !we_began {
                        assert!(sent(&endpoint.take_written()).iter().all(|s| s.0 == PONG));
                    }
                    // It ended once: another EOF, or a failing write, changes nothing.
                    assert_eq!(endpoint.connection.receive_eof(), end);
                    assert_eq!(endpoint.connection.transport_failed(), end);
                }
            }
        }
    }
}

#[test]
fn a_transport_that_fails_is_the_cause_unless_both_closed_before() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role);
        let end = endpoint.connection.transport_failed();
        assert_eq!((end.cause, end.code()), (EndCause::Transport, 1006));
        assert_eq!((end.initiator, end.is_clean()), (None, false));
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);

        let mut endpoint = Endpoint::new(role);
        send_close(&mut endpoint, None);
        let end = endpoint.connection.transport_failed();
        assert_eq!(end.cause, EndCause::Transport);
        assert_eq!(
            (end.initiator, end.sent),
            (Some(Initiator::Local), Some(None))
        );

        let mut endpoint = Endpoint::new(role);
        endpoint.receive(&sent_by(peer_of(role), &[frame(CLOSE, "")]));
        let end = endpoint.connection.transport_failed();
        assert_eq!((end.cause, end.code()), (EndCause::ClosingHandshake, 1005));
        assert!(end.is_clean());
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
    }
}

#[test]
fn nothing_is_sent_or_delivered_behind_the_end_of_the_stream() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role);
        endpoint.connection.receive_eof();
        let bytes = sent_by(peer_of(role), &[frame(TEXT, "late"), frame(PING, "late")]);
        assert_eq!(endpoint.receive(&bytes), []);
        let Endpoint {
            connection, output, ..
        } = &mut endpoint;
        assert_eq!(
            connection.send_text("late", output),
            Err(SendError::Closing)
        );
        assert_eq!(connection.send_close(None, output), Err(SendError::Closing));
        assert!(output.is_empty());
        assert_eq!(endpoint.written, b"");
    }
}

#[test]
fn a_connection_that_failed_stays_failed() {
    // 7.1.7: "An endpoint MUST NOT continue to attempt to process data (including a responding
    // Close frame) from the remote endpoint after being instructed to _Fail the WebSocket
    // Connection_."
    for role in ROLES {
        let peer = peer_of(role);
        let mut endpoint = Endpoint::new(role);
        endpoint.receive(&frame(0xf, "").sent_by(peer).bytes());
        let error = ProtocolError::ReservedOpcode(0xf);
        assert_eq!(endpoint.error, Some(error));
        let end = endpoint.end().clone();
        assert_eq!(end.cause, EndCause::Protocol(error));
        assert_eq!(end.initiator, Some(Initiator::Local));
        assert_eq!(end.code(), 1006);
        assert_eq!(end.sent_code().map(u16::from), Some(1002));
        assert!(!end.is_clean());
        let written = endpoint.written.clone();
        for more in [
            frame(TEXT, "perfectly legal"),
            frame(PING, "p"),
            frame(CLOSE, close_payload(1002, b"")),
            // Another error does not replace the first.
            frame(PING, [0; 126]),
        ] {
            endpoint.receive(&more.sent_by(peer).bytes());
            // The rig asserts that the error is the same at each call.
            assert_eq!(endpoint.received, []);
            assert_eq!(endpoint.end(), &end);
        }
        assert_eq!(endpoint.written, written, "one Close, and nothing after it");
        let Endpoint {
            connection,
            input,
            output,
            ..
        } = &mut endpoint;
        assert_eq!(connection.advance(input, output), Err(error));
        assert_eq!(connection.receive(input, output), Err(error));
        assert_eq!(connection.send_text("a", output), Err(SendError::Closing));
        assert_eq!(connection.receive_eof(), end);
        assert_eq!(connection.advance(input, output), Err(error));
    }
}

#[test]
fn the_close_of_a_failure_names_the_rule() {
    for role in ROLES {
        let bytes = sent_by(peer_of(role), &[frame(TEXT, b"\xff")]);
        let outcome = receive(role, &bytes);
        let reason = ProtocolError::TextNotUtf8.to_string();
        let payload = close_payload(1007, reason.as_bytes());
        assert_eq!(outcome.output, wire(role, &[frame(CLOSE, payload)]));
    }
}

#[test]
fn a_failure_while_we_are_closing_sends_no_second_close() {
    for role in ROLES {
        let peer = peer_of(role);
        for (bad, error) in [
            (frame(TEXT, b"\xff"), ProtocolError::TextNotUtf8),
            (frame(CLOSE, "x"), ProtocolError::CloseTooShort),
            (
                frame(CLOSE, close_payload(1006, b"")),
                ProtocolError::CloseCodeInvalid(1006),
            ),
        ] {
            let mut endpoint = Endpoint::new(role);
            send_close(&mut endpoint, Some(close_frame(1000, "")));
            endpoint.receive(&bad.sent_by(peer).bytes());
            assert_eq!(endpoint.error, Some(error));
            assert_eq!(endpoint.connection.state(), State::Closed);
            assert_eq!(endpoint.end().cause, EndCause::Protocol(error));
            assert!(!endpoint.end().is_clean());
            assert_eq!(
                sent(&endpoint.take_written()),
                [(CLOSE, close_payload(1000, b""))]
            );
        }
    }
}

#[test]
fn a_close_may_interrupt_our_own_fragmented_message() {
    scenario(|pair| {
        let client = &mut pair.client;
        client
            .connection
            .send_fragment(MessageKind::Text, b"never ", false, &mut client.output)
            .unwrap();
        send_close(client, Some(close_frame(1001, "")));
        pair.settle();
        assert_eq!(pair.server.received, [close(1001, "")]);
        assert!(pair.client.end().is_clean());
    });
}

#[test]
fn the_server_closes_the_transport_and_the_client_waits_for_it() {
    // 7.1.1: "in most normal cases, [the connection] SHOULD be closed first by the server, so that
    // it holds the TIME_WAIT state and not the client"
    for initiator in ROLES {
        scenario(|pair| {
            for role in ROLES {
                assert_eq!(pair.end(role).connection.teardown(), Teardown::NotYet);
            }
            send_close(pair.end(initiator), None);
            assert_eq!(pair.end(initiator).connection.teardown(), Teardown::NotYet);
            pair.settle();
            assert_eq!(pair.server.connection.teardown(), Teardown::ShutDown);
            assert_eq!(pair.client.connection.teardown(), Teardown::AwaitEof);
            for role in ROLES {
                let connection = &mut pair.end(role).connection;
                connection.receive_eof();
                assert_eq!(connection.teardown(), Teardown::Drop);
            }
        });
    }
}

#[test]
fn an_endpoint_that_failed_the_connection_shuts_it_down() {
    for role in ROLES {
        let peer = peer_of(role);
        for we_began in [false, true] {
            let mut endpoint = Endpoint::new(role);
            if we_began {
                send_close(&mut endpoint, None);
            }
            endpoint.receive(&frame(0x7, "").sent_by(peer).bytes());
            // Dropping it with unread bytes would reset it, and lose the Close that says why.
            assert_eq!(endpoint.connection.teardown(), Teardown::ShutDown);
            endpoint.connection.receive_eof();
            assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
        }
    }
}

#[test]
fn bytes_behind_both_closes_are_drained_up_to_max_drain_len() {
    let small = config(|config| config.max_drain_len = 1000);
    for role in ROLES {
        for chunk_len in CHUNK_LENS {
            let mut endpoint = Endpoint::with_config(role, small.clone());
            endpoint.receive(&frame(CLOSE, "").sent_by(peer_of(role)).bytes());
            let waiting = endpoint.connection.teardown();
            assert_ne!(waiting, Teardown::Drop);
            endpoint.receive_in_chunks(&[0; 1000], chunk_len);
            assert_eq!(endpoint.connection.teardown(), waiting);
            assert_eq!(endpoint.input.unread(), b"", "they are not kept");
            endpoint.receive_in_chunks(&[0], chunk_len);
            assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
            assert!(endpoint.end().is_clean(), "it had ended cleanly before");
        }
    }
}

#[test]
fn bytes_behind_a_failure_are_drained_up_to_max_drain_len() {
    let max = 64 << 10;
    let bounded = config(|config| config.max_drain_len = max as u64);
    for role in ROLES {
        for chunk_len in [7, 4096, usize::MAX] {
            let mut endpoint = Endpoint::with_config(role, bounded.clone());
            endpoint.receive(&frame(0x3, "").sent_by(peer_of(role)).bytes());
            endpoint.receive_in_chunks(&vec![0; max - 100], chunk_len);
            assert_eq!(endpoint.connection.teardown(), Teardown::ShutDown);
            assert_eq!(endpoint.input.unread(), b"", "they are not kept");
            endpoint.receive_in_chunks(&[0; 101], chunk_len);
            assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
        }
        let unlimited = config(|config| config.max_drain_len = Config::UNLIMITED);
        let mut endpoint = Endpoint::with_config(role, unlimited);
        endpoint.receive(&frame(0x3, "").sent_by(peer_of(role)).bytes());
        endpoint.receive_in_chunks(&vec![0; 4 * max], 65_536);
        assert_eq!(endpoint.connection.teardown(), Teardown::ShutDown);
    }
}

#[test]
fn a_flood_in_the_same_read_as_the_failure_counts_as_drained() {
    let small = config(|config| config.max_drain_len = 1000);
    for role in ROLES {
        let mut bytes = frame(0x3, "").sent_by(peer_of(role)).bytes();
        bytes.resize(bytes.len() + 2000, 0);
        let mut endpoint = Endpoint::with_config(role, small.clone());
        endpoint.receive(&bytes);
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
    }
}

#[test]
fn messages_before_the_closing_handshake_is_over_do_not_count_as_drained() {
    let small = config(|config| config.max_drain_len = 0);
    for role in ROLES {
        let mut endpoint = Endpoint::with_config(role, small.clone());
        send_close(&mut endpoint, None);
        for _ in 0..10 {
            endpoint.receive(&frame(TEXT, "more").sent_by(peer_of(role)).bytes());
        }
        assert_eq!(endpoint.received.len(), 10);
        assert_eq!(endpoint.connection.teardown(), Teardown::NotYet);
        endpoint.receive(&frame(CLOSE, "").sent_by(peer_of(role)).bytes());
        assert_ne!(endpoint.connection.teardown(), Teardown::Drop);
    }
}

#[test]
fn a_close_whose_output_was_never_written_is_still_owed_once() {
    // A caller that stops reading on an error finds the Close in the output, whatever it had
    // queued before.
    for role in ROLES {
        let mut endpoint = Endpoint::new(role).draining(Drain::AtTheEnd);
        send_text(&mut endpoint, "queued");
        let bad = frame(PING, [0; 126]).sent_by(peer_of(role)).bytes();
        endpoint.input.extend(&bad);
        endpoint.handle_input();
        endpoint.handle_input();
        let frames = sent(&endpoint.take_written());
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0], (TEXT, b"queued".to_vec()));
        assert_eq!(frames[1].0, CLOSE);
    }
}

#[test]
fn the_role_and_the_configuration_are_those_given() {
    for role in ROLES {
        assert_eq!(Endpoint::new(role).connection.role(), role);
        let config = Arc::new(Config::default());
        let connection = Connection::new(role, Arc::clone(&config));
        assert!(Arc::ptr_eq(connection.config(), &config));
    }
    assert_eq!(peer_of(Role::Client), Role::Server);
}
