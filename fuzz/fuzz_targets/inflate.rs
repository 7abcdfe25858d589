//! Compressed messages, inflated and deflated.
//!
//! Asserts, of messages that are DEFLATE, damaged DEFLATE or noise, in any fragments and any split,
//! with a limit at random:
//! - what is delivered, and which error ends it, is what `inflate` says, by the letter of RFC 1951
//!   and of section 7.2.2 of RFC 7692: a message that does not end at the end of a block with its
//!   tail is refused, one that is too long is delivered not even in part, and text is judged up to
//!   its limit;
//! - how bytes are split shows nowhere;
//! - memory follows the bytes received and the limit.
//!
//! And of messages that are sent, with context takeover or without, prepared, fragmented and whole:
//! they inflate to what they were by the same letter, and Auto never makes them longer.

#![no_main]

use framewright::{
    Compression, Config, MessageKind, PreparedMessage, ProtocolError, Role, SendBuffer,
};
use framewright_fuzz::endpoint::{Endpoint, Log};
use framewright_fuzz::inflate::{Ending, Inflater};
use framewright_fuzz::open;
use framewright_fuzz::script::{Script, Splits};
use framewright_fuzz::wire::{BINARY, CONTINUATION, PING, TEXT, push_frame, split_sent};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::sync::Arc;

#[path = "../../tests/support/allocator.rs"]
mod allocator;

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    if script.flag() {
        sends(&mut script);
    } else {
        receives(&mut script);
    }
});

fn receives(script: &mut Script<'_>) {
    let choice = script.byte();
    let role = open::ROLES[usize::from(choice & 1)];
    let mut deflate = open::deflate_of(script.byte());
    let forgets = choice & 2 != 0;
    match role {
        Role::Client => deflate.server_no_context_takeover = forgets,
        Role::Server => deflate.client_no_context_takeover = forgets,
    }
    let mut config = Config::default();
    config.max_message_len = script.pick(&[16 << 10, 4 << 10, 300, 20, 1, 0]);
    let config = Arc::new(config);
    let splits = script.splits();

    let (mut log, mut error) = (Log::default(), None);
    let mut without_ping = Log::default();
    let mut stream = Vec::new();
    let mut inflater = Inflater::default();
    let mask = (role == Role::Server).then_some([0; 4]);
    while !script.is_at_end() && error.is_none() && stream.len() < LONGEST_STREAM {
        let shape = script.byte();
        let mut payload = Vec::new();
        push_payload(script, &mut payload);
        let kind = if shape & 1 == 0 { TEXT } else { BINARY };
        let cut = match shape >> 1 & 3 {
            0 => None,
            _ => Some(usize::from(script.byte()).min(payload.len())),
        };
        push_message(
            0x40 | kind,
            cut,
            shape & 8 != 0,
            mask,
            &payload,
            &mut stream,
        );
        // What is wrong shows before the Ping or behind it.
        without_ping = log.clone();
        if cut.is_some() && shape & 8 != 0 {
            log.record(b'9', b"");
        }
        let max_len = usize::try_from(config.max_message_len).expect("the limits are short");
        let (message, ending) = inflater.message(&payload, max_len);
        match judge(kind, message, ending, max_len) {
            Ok(tag) => log.record(tag, message),
            Err(broken) => error = Some(broken),
        }
        if forgets {
            inflater.clear();
        }
    }

    let run = |splits| {
        let mut end = Endpoint::new(open::connection(role, &config, Some(deflate.clone())));
        let usage = allocator::measure(|| end.receive(&stream, splits));
        let recorded = end.log.capacity() + end.written.capacity();
        // Two windows, and a few times what came; a context and a step; a message, twice while it
        // grows.
        let bound = (40 << 10) + 8 * stream.len() + (256 << 10);
        assert!(usage.peak <= recorded + bound + 3 * (16 << 10), "{usage:?}");
        assert_eq!(end.error, error);
        assert!(end.log == log || (error.is_some() && end.log == without_ping));
        (end.log, end.written)
    };
    let whole = run(Splits::WHOLE);
    assert_eq!(run(splits), whole);
    if stream.len() <= 64 {
        assert_eq!(run(Splits::BYTES), whole);
    }
}

/// What a message is delivered as, or which rule it breaks: the first that shows.
fn judge(kind: u8, message: &[u8], ending: Ending, max_len: usize) -> Result<u8, ProtocolError> {
    if kind == TEXT {
        let text = &message[..message.len().min(max_len)];
        match std::str::from_utf8(text) {
            Ok(_) => {}
            Err(error) if error.error_len().is_none() && ending != Ending::Whole => {}
            Err(_) => return Err(ProtocolError::TextNotUtf8),
        }
    }
    match (ending, kind) {
        (Ending::TooLong, _) => Err(ProtocolError::MessageTooLong),
        (Ending::Invalid, _) => Err(ProtocolError::CompressedDataInvalid),
        (Ending::Whole, TEXT) => Ok(b't'),
        (Ending::Whole, _) => Ok(b'b'),
    }
}

/// Appends a message in one frame, or in two with or without a Ping between.
fn push_message(
    first: u8,
    cut: Option<usize>,
    pings: bool,
    mask: Option<[u8; 4]>,
    payload: &[u8],
    stream: &mut Vec<u8>,
) {
    let Some(cut) = cut else {
        push_frame(0x80 | first, mask, payload, stream);
        return;
    };
    push_frame(first, mask, &payload[..cut], stream);
    if pings {
        push_frame(0x80 | PING, mask, b"", stream);
    }
    push_frame(0x80 | CONTINUATION, mask, &payload[cut..], stream);
}

/// Appends pieces: noise, blocks, and what a compressor makes, with or without its tail.
fn push_payload(script: &mut Script<'_>, payload: &mut Vec<u8>) {
    for _ in 0..=script.byte() & 3 {
        let choice = usize::from(script.byte());
        match BLOCKS.get(choice) {
            Some(block) => payload.extend_from_slice(block),
            None if choice < 128 => payload.extend_from_slice(script.string(64)),
            None => {
                let words = script.string(32).repeat(1 + choice % 8 * 4);
                compress(&words, payload);
                if choice & 8 == 0 {
                    payload.truncate(payload.len() - 4);
                }
                if choice & 16 == 0 && !payload.is_empty() {
                    let place = usize::from(script.u16()) % payload.len();
                    payload[place] ^= script.byte();
                }
            }
        }
    }
}

/// Blocks and streams, whole, and beginnings of either.
const BLOCKS: [&[u8]; 14] = [
    b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\xf2\x00\x11\x00\x00",
    b"\xf3\x48\xcd\xc9\xc9\x07\x00",
    b"\x00\x05\x00\xfa\xffHello",
    b"\x01\x05\x00\xfa\xffHello",
    b"\x03\x00",
    b"\x00",
    b"\x00\x00\x00\xff\xff",
    b"\x01\x00\x00\xff\xff",
    b"\x02\x00",
    // Stored blocks that would take the tail for their data, or for a part of their lengths.
    b"\x00\x04\x00\xfb\xff",
    b"\x00\x00",
    // A code of code lengths, and then whatever comes.
    b"\x04\xe0\x81\x08\x00\x00\x00\x00\x20\x7f",
    // A block whose codes take most of the tail, and whose end is five bits before the tail's.
    b"\x04\xe0\xa7\x14\x00\x00\x00\x00\x50\x7e\x7f\xa2\xde\x7b\xef",
];

/// Compresses with another library, and a context that is made once.
fn compress(bytes: &[u8], output: &mut Vec<u8>) {
    thread_local! {
        static CONTEXT: RefCell<flate2::Compress> =
            RefCell::new(flate2::Compress::new(flate2::Compression::new(6), false));
    }
    CONTEXT.with_borrow_mut(|context| {
        context.reset();
        output.reserve(bytes.len() + 64);
        let status = context.compress_vec(bytes, output, flate2::FlushCompress::Sync);
        status.expect("there is room");
    });
}

fn sends(script: &mut Script<'_>) {
    let choice = script.byte();
    let role = open::ROLES[usize::from(choice & 1)];
    let deflate = open::deflate_of(script.byte());
    let forgets = match role {
        Role::Client => deflate.client_no_context_takeover,
        Role::Server => deflate.server_no_context_takeover,
    };
    let config = Arc::new(Config::default());
    let mut connection = open::connection(role, &config, Some(deflate));
    let mut inflater = Inflater::default();
    let mut sent = 0;
    while !script.is_at_end() && sent < 8 {
        sent += 1;
        let how = script.byte();
        let compression =
            [Compression::Auto, Compression::Always, Compression::Never][usize::from(how >> 2) % 3];
        let message = script.string(64).repeat(1 + usize::from(how >> 4));
        let mut output = SendBuffer::new();
        match how & 3 {
            0 => connection.send_binary(&message, &mut output),
            1 => {
                let prepared = PreparedMessage::binary(message.clone());
                let prepared = prepared.with_compression(compression);
                connection.send_prepared(&prepared, &mut output)
            }
            2 => connection.send_message_with(
                framewright::Message::binary(message.clone()),
                compression,
                &mut output,
            ),
            _ => {
                let (front, back) = message.split_at(message.len() / 3);
                let kind = MessageKind::Binary;
                connection
                    .send_fragment_with(kind, front, false, compression, &mut output)
                    .and_then(|()| connection.send_fragment(kind, back, true, &mut output))
            }
        }
        .expect("the connection is open");

        let mut payload = Vec::new();
        let output = output.to_vec();
        let mut rest = &output[..];
        let mut is_compressed = false;
        let mut fin = false;
        while !rest.is_empty() {
            assert!(!fin, "a message ends once");
            let (frame, behind) = split_sent(role, rest);
            let begins = frame.opcode() == BINARY;
            assert_eq!(begins, payload.is_empty() && rest.len() == output.len());
            assert!(begins || (frame.opcode() == CONTINUATION && frame.rsv() == 0));
            is_compressed |= frame.rsv() == 0x40;
            payload.extend(frame.payload());
            fin = frame.fin();
            rest = behind;
        }
        assert!(fin);
        let has_choice = how & 3 != 0;
        match compression {
            Compression::Never if has_choice => assert!(!is_compressed),
            Compression::Always if has_choice => assert!(is_compressed),
            _ if how & 3 != 3 => assert!(payload.len() <= message.len()),
            _ => {}
        }
        if !is_compressed {
            assert!(payload == message);
            continue;
        }
        let (inflated, ending) = inflater.message(&payload, message.len());
        assert!(ending == Ending::Whole && inflated == message, "{ending:?}");
        if forgets {
            inflater.clear();
        }
    }
}

/// Longer streams only make executions slower.
const LONGEST_STREAM: usize = 1024;
