//! Keepalive, idleness and the patience of the closing handshake.
//!
//! RFC 6455, sections 5.5.2 and 7.1.1; the time comes in as a value, and nothing here sleeps.

mod support;

use std::time::{Duration, Instant};

use framewright::{Config, EndCause, Initiator, Role, State, Teardown};
use support::*;

const SECOND: Duration = Duration::from_secs(1);

/// An endpoint that was told the time, and the time that it was told first.
fn started(role: Role, config: Config) -> (Endpoint, Instant) {
    let start = Instant::now();
    let mut endpoint = Endpoint::with_config(role, config);
    endpoint.connection.set_now(start);
    (endpoint, start)
}

/// Wakes the endpoint at `now`, as an adapter does when a deadline may have passed, and returns
/// what it wrote.
fn wake(endpoint: &mut Endpoint, now: Instant) -> Vec<(u8, Vec<u8>)> {
    endpoint
        .connection
        .handle_timeout(now, &mut endpoint.output);
    sent(&endpoint.take_written())
}

/// Wakes the endpoint at its next deadline, of which it says that it is `after` the start.
fn wake_at_deadline(
    endpoint: &mut Endpoint,
    start: Instant,
    after: Duration,
) -> Vec<(u8, Vec<u8>)> {
    let deadline = endpoint.connection.next_deadline();
    assert_eq!(deadline, Some(start + after));
    // A nanosecond before, nothing is due, and nothing changes.
    let early = start + after - Duration::from_nanos(1);
    assert_eq!(wake(endpoint, early), []);
    assert_eq!(endpoint.connection.next_deadline(), deadline);
    wake(endpoint, start + after)
}

/// Receives frames of the peer at `now`.
fn receive_at(endpoint: &mut Endpoint, now: Instant, frames: &[RawFrame]) {
    endpoint.connection.set_now(now);
    let peer = peer_of(endpoint.connection.role());
    endpoint.receive(&sent_by(peer, frames));
}

/// The payload of the one Ping in `written`.
fn ping_payload(written: &[(u8, Vec<u8>)]) -> Vec<u8> {
    match written {
        [(PING, payload)] => payload.clone(),
        other => panic!("one ping was due, and not {other:x?}"),
    }
}

#[test]
fn a_silent_peer_is_asked_for_a_sign_of_life() {
    for role in ROLES {
        assert_eq!(Config::default().ping_interval, Some(20 * SECOND));
        let (mut endpoint, start) = started(role, Config::default());
        let written = wake_at_deadline(&mut endpoint, start, 20 * SECOND);
        assert!(ping_payload(&written).len() <= 125);
        // Once.
        assert_eq!(wake(&mut endpoint, start + 20 * SECOND), []);
        assert_eq!(endpoint.connection.state(), State::Open);
    }
}

#[test]
fn any_byte_is_a_sign_of_life() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        // Half a header, every 15 s.
        let bytes = frame(BINARY, [0; 300]).sent_by(peer_of(role)).bytes();
        for (index, byte) in bytes[..4].iter().enumerate() {
            let now = start + SECOND * 15 * u32::try_from(index + 1).unwrap();
            endpoint.connection.set_now(now);
            endpoint.receive(&[*byte]);
            assert_eq!(wake(&mut endpoint, now), []);
            let deadline = endpoint.connection.next_deadline();
            assert_eq!(deadline, Some(now + 20 * SECOND));
        }
    }
}

#[test]
fn what_is_sent_is_no_sign_of_life_of_the_peer() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        endpoint.connection.set_now(start + 19 * SECOND);
        endpoint
            .connection
            .send_text("talking to a wall", &mut endpoint.output)
            .unwrap();
        endpoint.take_written();
        let written = wake_at_deadline(&mut endpoint, start, 20 * SECOND);
        ping_payload(&written);
    }
}

#[test]
fn a_peer_that_stays_silent_is_given_up() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        assert_eq!(Config::default().pong_timeout, Some(20 * SECOND));
        wake_at_deadline(&mut endpoint, start, 20 * SECOND);
        let written = wake_at_deadline(&mut endpoint, start, 40 * SECOND);
        assert_eq!(written.len(), 1);
        let (opcode, payload) = &written[0];
        assert_eq!((*opcode, &payload[..2]), (CLOSE, &[0x03, 0xf3][..]), "1011");
        let end = endpoint.end().clone();
        assert_eq!(end.cause, EndCause::KeepaliveTimeout);
        assert_eq!(end.initiator, Some(Initiator::Local));
        assert_eq!(end.sent_code().map(u16::from), Some(1011));
        assert_eq!((end.code(), end.is_clean()), (1006, false));
        assert_eq!(endpoint.connection.state(), State::Closed);
        assert_eq!(endpoint.connection.teardown(), Teardown::ShutDown);
        // It is not waited for longer than for any other end.
        assert_eq!(wake_at_deadline(&mut endpoint, start, 45 * SECOND), []);
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
        assert_eq!(endpoint.connection.next_deadline(), None);
        assert_eq!(endpoint.end(), &end);
    }
}

#[test]
fn a_peer_that_answers_is_kept() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        for round in 0..10 {
            let rest = start + round * 30 * SECOND;
            let written = wake_at_deadline(&mut endpoint, rest, 20 * SECOND);
            let answer = frame(PONG, ping_payload(&written));
            receive_at(&mut endpoint, rest + 30 * SECOND, &[answer]);
            assert_eq!(
                endpoint.connection.round_trip_time(),
                Some(10 * SECOND),
                "round {round}"
            );
        }
        assert_eq!(endpoint.connection.state(), State::Open);
    }
}

#[test]
fn any_byte_answers_a_keepalive_ping() {
    // A peer that is busy sending a long message cannot put its Pong in the middle of a frame.
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        let bytes = frame(BINARY, [0; 300]).sent_by(peer_of(role)).bytes();
        wake_at_deadline(&mut endpoint, start, 20 * SECOND);
        endpoint.connection.set_now(start + 39 * SECOND);
        endpoint.receive(&bytes[..1]);
        assert_eq!(wake(&mut endpoint, start + 40 * SECOND), []);
        assert_eq!(endpoint.connection.state(), State::Open);
        // Bytes measure no round trip.
        assert_eq!(endpoint.connection.round_trip_time(), None);
        // Silence since then counts from there.
        let written = wake_at_deadline(&mut endpoint, start, 59 * SECOND);
        ping_payload(&written);
        let written = wake_at_deadline(&mut endpoint, start, 79 * SECOND);
        assert_eq!(written[0].0, CLOSE);
    }
}

#[test]
fn pings_that_are_more_frequent_than_the_patience_do_not_prolong_it() {
    // The patience counts from the first Ping that nothing answered: each new Ping into the same
    // silence must not start it anew, or a dead peer is kept for ever.
    let config = config(|config| {
        config.ping_interval = Some(5 * SECOND);
        config.pong_timeout = Some(12 * SECOND);
    });
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        let mut now = start;
        for _ in 0..10 {
            now = endpoint.connection.next_deadline().unwrap();
            wake(&mut endpoint, now);
            if endpoint.connection.state() != State::Open {
                break;
            }
        }
        assert_eq!(endpoint.connection.state(), State::Closed);
        assert_eq!(endpoint.end().cause, EndCause::KeepaliveTimeout);
        assert_eq!(now, start + 17 * SECOND, "five and twelve seconds");
    }
}

#[test]
fn a_pong_to_a_keepalive_ping_is_told_from_others_however_late_it_comes() {
    for role in ROLES {
        let config = config(|config| {
            config.ping_interval = Some(5 * SECOND);
            config.pong_timeout = None;
        });
        let (mut endpoint, start) = started(role, config);
        assert!(!endpoint.connection.is_keepalive_pong(&[0; 4]));
        let first = ping_payload(&wake_at_deadline(&mut endpoint, start, 5 * SECOND));
        assert!(endpoint.connection.is_keepalive_pong(&first));
        let second = ping_payload(&wake_at_deadline(&mut endpoint, start, 10 * SECOND));
        receive_at(&mut endpoint, start + 11 * SECOND, &[frame(PONG, &second)]);
        for ours in [&first, &second] {
            assert!(endpoint.connection.is_keepalive_pong(ours), "{ours:?}");
        }
        for other in [&b""[..], b"mine", &[0; 4], &[0; 8]] {
            assert!(!endpoint.connection.is_keepalive_pong(other), "{other:?}");
        }
    }
}

#[test]
fn only_the_answer_to_the_latest_keepalive_ping_measures_the_round_trip() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        // An unsolicited Pong measures nothing.
        receive_at(
            &mut endpoint,
            start,
            &[frame(PONG, ""), frame(PONG, [0; 4])],
        );
        assert_eq!(endpoint.connection.round_trip_time(), None);
        // Nor does the answer to a Ping of the application.
        endpoint
            .connection
            .send_ping(b"mine", &mut endpoint.output)
            .unwrap();
        endpoint.take_written();
        receive_at(&mut endpoint, start + SECOND, &[frame(PONG, "mine")]);
        assert_eq!(endpoint.connection.round_trip_time(), None);

        let first = wake_at_deadline(&mut endpoint, start, 21 * SECOND);
        let first = ping_payload(&first);
        // Life, but not the answer; so a second Ping follows in its time.
        receive_at(&mut endpoint, start + 22 * SECOND, &[frame(TEXT, "x")]);
        let second = wake_at_deadline(&mut endpoint, start, 42 * SECOND);
        let second = ping_payload(&second);
        assert_ne!(first, second, "each says which it is");
        receive_at(&mut endpoint, start + 43 * SECOND, &[frame(PONG, first)]);
        assert_eq!(endpoint.connection.round_trip_time(), None);
        let answer = frame(PONG, &second);
        receive_at(&mut endpoint, start + 44 * SECOND, &[answer]);
        assert_eq!(endpoint.connection.round_trip_time(), Some(2 * SECOND));
        // Said twice, it measures once.
        let answer = frame(PONG, &second);
        receive_at(&mut endpoint, start + 50 * SECOND, &[answer]);
        assert_eq!(endpoint.connection.round_trip_time(), Some(2 * SECOND));
    }
}

#[test]
fn a_keepalive_ping_is_answered_by_the_other_end() {
    scenario(|pair| {
        let start = Instant::now();
        pair.client.connection.set_now(start);
        let now = start + 20 * SECOND;
        let client = &mut pair.client;
        client.connection.handle_timeout(now, &mut client.output);
        client.connection.set_now(now + SECOND);
        pair.settle();
        assert_eq!(pair.client.connection.round_trip_time(), Some(SECOND));
    });
}

#[test]
fn keepalive_can_be_switched_off() {
    let config = config(|config| config.ping_interval = None);
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        assert_eq!(endpoint.connection.next_deadline(), None);
        assert_eq!(wake(&mut endpoint, start + 1_000_000 * SECOND), []);
        assert_eq!(endpoint.connection.state(), State::Open);
    }
}

#[test]
fn pings_without_a_patience_give_nobody_up() {
    let config = config(|config| config.pong_timeout = None);
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        for round in 1..10 {
            let written = wake_at_deadline(&mut endpoint, start, round * 20 * SECOND);
            ping_payload(&written);
        }
    }
}

#[test]
fn a_connection_without_messages_closes_after_idle_timeout() {
    assert_eq!(Config::default().idle_timeout, None);
    let config = config(|config| {
        config.ping_interval = None;
        config.idle_timeout = Some(60 * SECOND);
    });
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        // Pings and Pongs are no messages, in either direction.
        receive_at(
            &mut endpoint,
            start + 30 * SECOND,
            &[frame(PING, "p"), frame(PONG, "q")],
        );
        endpoint
            .connection
            .send_ping(b"p", &mut endpoint.output)
            .unwrap();
        endpoint.take_written();
        let written = wake_at_deadline(&mut endpoint, start, 60 * SECOND);
        let (opcode, payload) = &written[0];
        assert_eq!((*opcode, &payload[..2]), (CLOSE, &[0x03, 0xe9][..]), "1001");
        // The handshake is begun, not over: the peer may finish it.
        assert_eq!(endpoint.connection.state(), State::Closing);
        assert_eq!(endpoint.connection.end(), None);
        let echo = [
            frame(TEXT, "one more"),
            frame(CLOSE, close_payload(1001, b"")),
        ];
        receive_at(&mut endpoint, start + 61 * SECOND, &echo);
        assert_eq!(endpoint.received[2..], [text("one more"), close(1001, "")]);
        assert_eq!(endpoint.end().cause, EndCause::IdleTimeout);
        assert_eq!(endpoint.end().initiator, Some(Initiator::Local));
        assert!(endpoint.end().is_clean());
    }
}

#[test]
fn a_message_in_either_direction_keeps_a_connection_from_being_idle() {
    let config = config(|config| {
        config.ping_interval = None;
        config.idle_timeout = Some(60 * SECOND);
    });
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        receive_at(&mut endpoint, start + 50 * SECOND, &[frame(TEXT, "x")]);
        let deadline = endpoint.connection.next_deadline();
        assert_eq!(deadline, Some(start + 110 * SECOND));
        endpoint.connection.set_now(start + 100 * SECOND);
        endpoint
            .connection
            .send_text("y", &mut endpoint.output)
            .unwrap();
        endpoint.take_written();
        let written = wake_at_deadline(&mut endpoint, start, 160 * SECOND);
        assert_eq!(written[0].0, CLOSE);
    }
}

#[test]
fn an_idle_peer_that_does_not_answer_is_dropped() {
    let config = config(|config| {
        config.ping_interval = None;
        config.idle_timeout = Some(60 * SECOND);
    });
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        wake_at_deadline(&mut endpoint, start, 60 * SECOND);
        assert_eq!(wake_at_deadline(&mut endpoint, start, 65 * SECOND), []);
        // What brought it about is that it was idle.
        assert_eq!(endpoint.end().cause, EndCause::IdleTimeout);
        assert_eq!(
            (endpoint.end().code(), endpoint.end().is_clean()),
            (1006, false)
        );
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
    }
}

#[test]
fn a_peer_that_does_not_answer_our_close_is_dropped() {
    for role in ROLES {
        assert_eq!(Config::default().close_timeout, Some(5 * SECOND));
        let (mut endpoint, start) = started(role, Config::default());
        endpoint.connection.set_now(start + 7 * SECOND);
        endpoint
            .connection
            .send_close(Some(close_frame(1000, "")), &mut endpoint.output)
            .unwrap();
        endpoint.take_written();
        // Messages that arrive on the way do not prolong it.
        receive_at(&mut endpoint, start + 11 * SECOND, &[frame(TEXT, "x")]);
        assert_eq!(wake_at_deadline(&mut endpoint, start, 12 * SECOND), []);
        assert_eq!(endpoint.connection.state(), State::Closed);
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
        assert_eq!(endpoint.connection.next_deadline(), None);
        let end = endpoint.end().clone();
        assert_eq!(end.cause, EndCause::CloseTimeout);
        assert_eq!(end.initiator, Some(Initiator::Local));
        assert_eq!((end.code(), end.is_clean()), (1006, false));
        // Too late.
        let late = [frame(CLOSE, close_payload(1000, b""))];
        receive_at(&mut endpoint, start + 13 * SECOND, &late);
        assert_eq!(endpoint.end(), &end);
        assert_eq!(endpoint.received, [text("x")]);
    }
}

#[test]
fn a_client_does_not_wait_for_ever_for_the_server_to_close_the_transport() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        receive_at(&mut endpoint, start + SECOND, &[frame(CLOSE, "")]);
        endpoint.take_written();
        assert_ne!(endpoint.connection.teardown(), Teardown::Drop);
        let end = endpoint.end().clone();
        assert_eq!(wake_at_deadline(&mut endpoint, start, 6 * SECOND), []);
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
        // That the transport stayed open takes nothing from a handshake that was completed.
        assert_eq!(endpoint.end(), &end);
        assert!(end.is_clean());
        assert_eq!(end.cause, EndCause::ClosingHandshake);
    }
}

#[test]
fn the_whole_closing_handshake_has_one_deadline() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        endpoint
            .connection
            .send_close(None, &mut endpoint.output)
            .unwrap();
        receive_at(&mut endpoint, start + 4 * SECOND, &[frame(CLOSE, "")]);
        let deadline = endpoint.connection.next_deadline();
        assert_eq!(deadline, Some(start + 5 * SECOND));
        assert_eq!(endpoint.connection.state(), State::Closed);
    }
}

#[test]
fn a_failed_connection_is_drained_under_the_same_deadline() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        receive_at(&mut endpoint, start + SECOND, &[frame(0x3, "")]);
        let end = endpoint.end().clone();
        endpoint.take_written();
        assert_eq!(endpoint.connection.teardown(), Teardown::ShutDown);
        assert_eq!(wake_at_deadline(&mut endpoint, start, 6 * SECOND), []);
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
        assert_eq!(endpoint.end(), &end, "the error stays the cause");
    }
}

#[test]
fn nothing_is_asked_of_a_peer_while_closing() {
    let config = config(|config| {
        config.close_timeout = None;
        config.idle_timeout = Some(SECOND);
    });
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        endpoint
            .connection
            .send_close(None, &mut endpoint.output)
            .unwrap();
        endpoint.take_written();
        assert_eq!(endpoint.connection.next_deadline(), None);
        assert_eq!(wake(&mut endpoint, start + 1000 * SECOND), []);
        assert_eq!(endpoint.connection.state(), State::Closing);
    }
}

#[test]
fn eof_ends_every_deadline() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        endpoint.connection.receive_eof();
        assert_eq!(endpoint.connection.next_deadline(), None);
        assert_eq!(wake(&mut endpoint, start + 1000 * SECOND), []);
        assert_eq!(endpoint.end().cause, EndCause::EndOfStream);
    }
}

#[test]
fn a_connection_that_is_never_told_the_time_has_no_deadlines() {
    let config = config(|config| config.idle_timeout = Some(SECOND));
    for role in ROLES {
        let mut endpoint = Endpoint::with_config(role, config.clone());
        assert_eq!(endpoint.connection.next_deadline(), None);
        let peer = peer_of(role);
        endpoint.receive(&sent_by(peer, &[frame(TEXT, "a"), frame(PING, "p")]));
        assert_eq!(endpoint.connection.next_deadline(), None);
        endpoint
            .connection
            .send_close(None, &mut endpoint.output)
            .unwrap();
        assert_eq!(endpoint.connection.next_deadline(), None);
        endpoint.receive(&frame(CLOSE, "").sent_by(peer).bytes());
        assert_eq!(endpoint.connection.next_deadline(), None);
        assert_eq!(endpoint.connection.round_trip_time(), None);
        assert!(endpoint.end().is_clean());
    }
}

#[test]
fn the_clocks_start_when_the_time_is_first_told() {
    let config = config(|config| config.idle_timeout = Some(50 * SECOND));
    for role in ROLES {
        let mut endpoint = Endpoint::with_config(role, config.clone());
        endpoint.receive(&frame(TEXT, "early").sent_by(peer_of(role)).bytes());
        let start = Instant::now();
        // To hear of a timeout is to be told the time.
        assert_eq!(wake(&mut endpoint, start), []);
        let written = wake_at_deadline(&mut endpoint, start, 20 * SECOND);
        receive_at(
            &mut endpoint,
            start + 20 * SECOND,
            &[frame(PONG, ping_payload(&written))],
        );
        // A message of before does not count, and does not keep the clock from running either.
        wake_at_deadline(&mut endpoint, start, 40 * SECOND);
        assert_eq!(
            wake_at_deadline(&mut endpoint, start, 50 * SECOND)[0].0,
            CLOSE
        );
    }
}

#[test]
fn to_look_for_an_event_is_no_sign_of_life() {
    for role in ROLES {
        let bytes = sent_by(peer_of(role), &[frame(TEXT, "abc")]);
        // Nothing but a message, or the beginning of another behind it.
        for bytes in [bytes.clone(), [&bytes[..], &bytes[..4]].concat()] {
            let (mut endpoint, start) = started(role, Config::default());
            assert_eq!(endpoint.receive(&bytes), [text("abc")]);
            endpoint.connection.set_now(start + 10 * SECOND);
            let found = endpoint
                .connection
                .advance(&mut endpoint.input, &mut endpoint.output);
            assert_eq!(found, Ok(false));
            ping_payload(&wake_at_deadline(&mut endpoint, start, 20 * SECOND));
        }
    }
}

#[test]
fn a_clock_that_goes_backwards_does_no_harm() {
    for role in ROLES {
        let (mut endpoint, start) = started(role, Config::default());
        let late = start + 1000 * SECOND;
        let written = wake(&mut endpoint, late);
        let answer = frame(PONG, ping_payload(&written));
        assert_eq!(wake(&mut endpoint, start), []);
        // The answer came before the question: as fast as can be.
        receive_at(&mut endpoint, start, &[answer]);
        assert_eq!(endpoint.connection.round_trip_time(), Some(Duration::ZERO));
        assert_eq!(endpoint.connection.state(), State::Open);
        endpoint.connection.set_now(late);
        endpoint
            .connection
            .send_close(None, &mut endpoint.output)
            .unwrap();
        endpoint.take_written();
        assert_eq!(wake(&mut endpoint, start), []);
        assert_eq!(endpoint.connection.state(), State::Closing);
        assert_eq!(wake(&mut endpoint, late + 5 * SECOND), []);
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
    }
}

#[test]
fn timeouts_beyond_what_a_clock_can_say_are_never_due() {
    let config = config(|config| {
        config.ping_interval = Some(Duration::MAX);
        config.pong_timeout = Some(Duration::MAX);
        config.idle_timeout = Some(Duration::MAX);
        config.close_timeout = Some(Duration::MAX);
    });
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        assert_eq!(endpoint.connection.next_deadline(), None);
        assert_eq!(wake(&mut endpoint, start + 1_000_000 * SECOND), []);
        endpoint
            .connection
            .send_close(None, &mut endpoint.output)
            .unwrap();
        assert_eq!(endpoint.connection.next_deadline(), None);
    }
}

#[test]
fn timeouts_of_zero_are_due_at_once_and_end() {
    let config = config(|config| {
        config.ping_interval = Some(Duration::ZERO);
        config.pong_timeout = Some(Duration::ZERO);
        config.close_timeout = Some(Duration::ZERO);
    });
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        for opcode in [PING, CLOSE] {
            assert_eq!(endpoint.connection.next_deadline(), Some(start));
            assert_eq!(wake(&mut endpoint, start)[0].0, opcode);
        }
        assert_eq!(wake(&mut endpoint, start), []);
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
        assert_eq!(endpoint.connection.next_deadline(), None);
    }
}

#[test]
fn the_earliest_deadline_is_the_next() {
    let config = config(|config| config.idle_timeout = Some(30 * SECOND));
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        let ping = wake_at_deadline(&mut endpoint, start, 20 * SECOND);
        ping_payload(&ping);
        // Idle comes at 30 s, the patience for the Pong would end at 40 s.
        let close = wake_at_deadline(&mut endpoint, start, 30 * SECOND);
        assert_eq!(&close[0].1[..2], &[0x03, 0xe9], "1001");
    }
}

#[test]
fn a_close_that_was_sent_before_the_time_was_told_has_its_patience_from_then_on() {
    for role in ROLES {
        let mut endpoint = Endpoint::with_config(role, Config::default());
        endpoint
            .connection
            .send_close(None, &mut endpoint.output)
            .unwrap();
        assert_eq!(endpoint.connection.next_deadline(), None);
        let start = Instant::now();
        endpoint.connection.set_now(start);
        assert_eq!(
            endpoint.connection.next_deadline(),
            Some(start + 5 * SECOND)
        );
        wake(&mut endpoint, start + 5 * SECOND);
        assert_eq!(endpoint.connection.teardown(), Teardown::Drop);
        assert_eq!(endpoint.end().cause, EndCause::CloseTimeout);
    }
}

#[test]
fn a_long_message_that_is_still_coming_is_not_idleness() {
    for role in ROLES {
        let config = config(|config| {
            config.idle_timeout = Some(60 * SECOND);
            config.ping_interval = None;
        });
        let (mut endpoint, start) = started(role, config);
        let message = frame(BINARY, [7; 100]).sent_by(peer_of(role)).bytes();
        let (head, rest) = message[..message.len() - 1].split_at(10);
        endpoint.receive(head);
        for (byte, minutes) in rest.iter().zip(1_u32..) {
            wake(&mut endpoint, start + minutes * 59 * SECOND);
            endpoint.receive(&[*byte]);
        }
        assert_eq!(endpoint.connection.state(), State::Open);
    }
}

#[test]
fn a_control_frame_is_no_message_however_slowly_it_comes() {
    for role in ROLES {
        let config = config(|config| {
            config.idle_timeout = Some(60 * SECOND);
            config.ping_interval = None;
        });
        let (mut endpoint, start) = started(role, config);
        let ping = frame(PING, [7; 100]).sent_by(peer_of(role)).bytes();
        for (byte, second) in ping.iter().zip(1_u32..) {
            assert!(second == 1 || !endpoint.input.is_idle());
            wake(&mut endpoint, start + second * SECOND / 2);
            endpoint.receive(&[*byte]);
        }
        assert_eq!(sent(&endpoint.take_written()), [(PONG, vec![7; 100])]);
        let close = wake_at_deadline(&mut endpoint, start, 60 * SECOND);
        assert_eq!(&close[0].1[..2], &[0x03, 0xe9], "1001");
    }
}

#[test]
fn a_transport_that_takes_bytes_again_is_a_sign_of_life() {
    let config = config(|config| config.idle_timeout = Some(50 * SECOND));
    for role in ROLES {
        let (mut endpoint, start) = started(role, config.clone());
        let ping = wake_at_deadline(&mut endpoint, start, 20 * SECOND);
        ping_payload(&ping);
        // The Ping waits behind a long message, which the peer reads slowly.
        endpoint.connection.sending_resumed(start + 35 * SECOND);
        assert_eq!(wake(&mut endpoint, start + 40 * SECOND).len(), 1, "a Ping");
        // It is counted from there on, and so is idleness.
        let close = wake_at_deadline(&mut endpoint, start, 55 * SECOND);
        assert_eq!(&close[0].1[..2], &[0x03, 0xf3], "1011");
    }
}
