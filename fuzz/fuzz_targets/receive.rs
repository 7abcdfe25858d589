//! Receiving, in both roles, with limits and compression at random.
//!
//! Asserts, of any bytes in any split:
//! - nothing panics, one call finds at most one event and appends at most one reply, an error
//!   stays, the Close that is owed is in the output with the code that the error earns, nothing is
//!   delivered after a Close, text is UTF-8, and messages keep to their limit (all in `endpoint`);
//! - without compression, what is delivered and which error ends it is what `model` says, by the
//!   letter of sections 5 to 7;
//! - also when we begin to close before the bytes, or between them; then nothing of ours but Pongs
//!   follows our Close;
//! - memory follows the bytes received and the limits, and never a length that a header claims;
//! - the end of the transport ends the connection, as 7.1.5 has it.

#![no_main]

use framewright::{CloseCode, CloseFrame, Config, Delivery, EndCause, State, Teardown};
use framewright_fuzz::endpoint::Endpoint;
use framewright_fuzz::script::Script;
use framewright_fuzz::wire::{CLOSE, PONG, push_stream, split_sent};
use framewright_fuzz::{model, open};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::time::Duration;

#[path = "../../tests/support/allocator.rs"]
mod allocator;

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let choice = script.byte();
    let role = open::ROLES[usize::from(choice & 1)];
    let config = Arc::new(open::limits(&mut script));
    let deflate = open::deflate(&mut script);
    let splits = script.splits();
    let close_at = match choice >> 1 & 3 {
        0 | 1 => None,
        2 => Some(0),
        _ => Some(usize::from(script.byte())),
    };
    let mut stream = Vec::new();
    push_stream(role, &mut script, &mut stream);

    let mut end = Endpoint::new(open::connection(role, &config, deflate.clone()));
    end.takes_messages = choice & 8 != 0;
    if choice & 16 != 0 {
        end.connection.set_now(open::epoch());
    }
    let usage = allocator::measure(|| {
        let (before, after) = stream.split_at(close_at.unwrap_or(0).min(stream.len()));
        end.receive(before, splits.clone());
        if close_at.is_some() {
            send_close(&mut end);
        }
        end.receive(after, splits);
    });

    let recorded = end.log.capacity() + end.written.capacity();
    let bound = recorded + bound(&config, deflate.is_some(), stream.len());
    assert!(usage.peak <= bound, "{usage:?}, {bound}, {}", stream.len());

    if deflate.is_none() && config.delivery == Delivery::Messages {
        let (log, error) = model::receive(role, &config, &stream);
        assert_eq!(end.error, error);
        assert_eq!(end.log, log);
    }
    at_most_pongs_follow_a_close(&end);
    let error = end.error;
    ends(&mut end);
    if let Some(error) = error {
        assert_eq!(
            end.connection.end().map(|end| end.cause),
            Some(EndCause::Protocol(error))
        );
    }
});

/// Begins the closing handshake, if it has not begun.
fn send_close(end: &mut Endpoint) {
    end.write();
    let was = end.connection.state();
    let frame = CloseFrame {
        code: CloseCode::NORMAL_CLOSURE,
        reason: "done".into(),
    };
    let sent = end.connection.send_close(Some(frame), &mut end.output);
    assert_eq!(sent.is_ok(), was == State::Open);
    assert_eq!(
        end.output.is_empty(),
        sent.is_err(),
        "an error sends nothing"
    );
    if was == State::Open {
        assert_eq!(end.connection.state(), State::Closing);
    }
    let text = end.connection.send_text("more", &mut end.output);
    assert!(text.is_err(), "no data follows a Close");
    end.write();
}

/// 5.5.1 and 5.5.2.
fn at_most_pongs_follow_a_close(end: &Endpoint) {
    let mut rest = &end.written[..];
    let mut closes = 0;
    while !rest.is_empty() {
        let (frame, behind) = split_sent(end.connection.role(), rest);
        match frame.opcode() {
            CLOSE => closes += 1,
            opcode => assert_eq!(opcode, PONG, "nobody sent anything else"),
        }
        rest = behind;
    }
    assert!(closes <= 1);
    assert_eq!(closes == 1, end.connection.state() != State::Open);
}

/// The transport ends, and with it the connection.
fn ends(end: &mut Endpoint) {
    let received_close = end.log.records().any(|(tag, _)| tag == b'8');
    let over = end.connection.receive_eof();
    assert_eq!(Some(&over), end.connection.end());
    assert_eq!(end.connection.state(), State::Closed);
    assert_eq!(end.connection.teardown(), Teardown::Drop);
    assert_eq!(end.connection.next_deadline(), None);
    // 7.1.5: 1006 where no Close was received, and 1005 where it had no code.
    assert_eq!(over.code() == 1006, !received_close);
    assert_eq!(over.received.is_some(), received_close);
    let later = open::epoch() + Duration::from_secs(3600);
    end.connection.handle_timeout(later, &mut end.output);
    assert!(end.output.is_empty(), "nothing is sent after the end");
    assert!(!end.advance());
}

/// How much memory there may be, besides what is recorded here.
fn bound(config: &Config, deflates: bool, received: usize) -> usize {
    // Two windows of the shortest length and a first read into a message; then each of window and
    // message is at most some times what came.
    let plain = (40 << 10) + 8 * received;
    if !deflates {
        return plain;
    }
    // A context, a step, and what DEFLATE makes of what came, a thousand times as much at most,
    // within the limit; twice, because growing copies.
    let limit = usize::try_from(config.max_message_len).unwrap_or(usize::MAX);
    let inflated = (received * 1032).min(limit);
    plain + (256 << 10) + 3 * inflated
}
