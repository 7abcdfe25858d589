//! permessage-deflate: messages compressed one by one, with or without memory of those before.
//!
//! Owns the two contexts, the inflated bytes that the next message may refer back to, and the bytes
//! that RFC 7692 takes off the end of a message and puts back. It knows nothing of headers beyond
//! the bit that it claims, and of limits nothing: it works in steps, and its caller counts.
//!
//! RFC 7692, sections 6 and 7.

mod history;

use core::fmt;
use std::cell::RefCell;

use flate2::{Compress, Compression, FlushCompress};
use zlib_rs::{Inflate, InflateError, InflateFlush, Status};

use self::history::History;
use super::config::{DeflateConfig, LARGEST_WINDOW, SMALLEST_WINDOW};
use super::negotiation::Agreement;
use super::{Extension, Last, Step};
use crate::error::ProtocolError;
use crate::frame::Rsv;

/// The extension as it was agreed on, at one end of a connection.
///
/// It owns no memory before the first compressed message of a direction.
pub(crate) struct Deflate {
    encoder: Encoder,
    decoder: Decoder,
    min_len: usize,
}

impl Deflate {
    /// Makes the extension of the server's end.
    pub(crate) fn of_server(config: &DeflateConfig, agreement: Agreement) -> Self {
        Self::new(
            config,
            agreement.server_max_window_bits,
            Takeover::unless(agreement.server_no_context_takeover),
            Takeover::unless(agreement.client_no_context_takeover),
        )
    }

    /// Makes the extension of the client's end.
    pub(crate) fn of_client(config: &DeflateConfig, agreement: Agreement) -> Self {
        Self::new(
            config,
            agreement.client_max_window_bits,
            Takeover::unless(agreement.client_no_context_takeover),
            Takeover::unless(agreement.server_no_context_takeover),
        )
    }

    fn new(
        config: &DeflateConfig,
        own_window_bits: u8,
        own_takeover: Takeover,
        their_takeover: Takeover,
    ) -> Self {
        Self {
            encoder: Encoder {
                context: None,
                settings: EncoderSettings {
                    level: config.level.min(9),
                    window_bits: own_window_bits,
                },
                takeover: own_takeover,
                is_ahead: false,
            },
            decoder: Decoder {
                context: None,
                takeover: their_takeover,
                needs_tail: false,
                streams: 0,
            },
            min_len: config.min_len,
        }
    }
}

/// Whether a message may refer back to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takeover {
    Yes,
    No,
}

impl Takeover {
    const fn unless(no_context_takeover: bool) -> Self {
        if no_context_takeover {
            Self::No
        } else {
            Self::Yes
        }
    }
}

impl Extension for Deflate {
    fn rsv(&self) -> Rsv {
        // 6: "This document allocates the RSV1 bit of the WebSocket header for PMCEs".
        Rsv::RSV1
    }

    fn decode(&mut self, piece: &[u8], last: Last, output: &mut [u8]) -> Step {
        self.decoder.decode(piece, last, output)
    }

    fn is_worth_encoding(&self, len: usize) -> bool {
        len >= self.min_len
    }

    fn can_encode(&self) -> bool {
        // A window of 256 bytes is what no zlib can compress with; uncompressed is always legal.
        self.encoder.settings.window_bits >= SMALLEST_WINDOW
    }

    fn encode(&mut self, piece: &[u8], fin: bool, output: &mut Vec<u8>) {
        self.encoder.encode(piece, fin, output);
    }

    fn forget_encoded(&mut self) {
        self.encoder.is_ahead = true;
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate")
            .field("settings", &self.encoder.settings)
            .field("own_takeover", &self.encoder.takeover)
            .field("their_takeover", &self.decoder.takeover)
            .finish_non_exhaustive()
    }
}

/// The compressing direction.
struct Encoder {
    /// The window and tables, from the first message on; without takeover, during a message only.
    context: Option<Compress>,
    settings: EncoderSettings,
    takeover: Takeover,
    /// Whether the window holds what the peer's does not, and must be forgotten.
    is_ahead: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EncoderSettings {
    level: u32,
    window_bits: u8,
}

impl Encoder {
    fn encode(&mut self, piece: &[u8], fin: bool, output: &mut Vec<u8>) {
        let settings = self.settings;
        let context = self
            .context
            .get_or_insert_with(|| POOL.with_borrow_mut(|pool| pool.take_encoder(settings)));
        if core::mem::take(&mut self.is_ahead) {
            context.reset();
        }
        let start = output.len();
        let mut rest = piece;
        loop {
            let room = (rest.len() + FLUSH_LEN).min(STEP_LEN);
            let before = (context.total_in(), context.total_out());
            // 7.2.1 item 1: an empty block without content aligns the end to a byte.
            let status = append(output, room, |room| {
                let status = context.compress(rest, room, FlushCompress::Sync);
                (status, context.total_out() - before.1)
            });
            debug_assert!(status.0.is_ok(), "a compressor takes whatever it is given");
            let consumed = usize::try_from(context.total_in() - before.0).unwrap_or(rest.len());
            rest = rest.get(consumed..).unwrap_or(&[]);
            // A flush is complete once it leaves room.
            if rest.is_empty() && status.1 == Room::Left {
                break;
            }
        }
        if !fin {
            return;
        }
        // 7.2.1 item 2: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end."
        if output[start..].ends_with(&TAIL) {
            output.truncate(output.len() - TAIL.len());
        }
        // 7.2.3.6: a flush of nothing emits nothing, and an empty message is the one byte 0x00.
        if output.len() == start {
            output.push(0);
        }
        if self.takeover == Takeover::No
            && let Some(mut context) = self.context.take()
        {
            context.reset();
            POOL.with_borrow_mut(|pool| pool.give_encoder(settings, context));
        }
    }
}

/// The inflating direction.
struct Decoder {
    /// The window and tables, from the first message on; without takeover, during a message only.
    ///
    /// The window is always the largest: with a smaller one, whether a distance that the peer should
    /// not have used is noticed would depend on how the bytes arrive.
    context: Option<Box<DecoderContext>>,
    takeover: Takeover,
    /// Whether the message so far needs its tail back: it is not empty, and no stream ended with it.
    needs_tail: bool,
    /// How many streams have ended in the message so far.
    streams: u32,
}

impl Decoder {
    fn decode(&mut self, piece: &[u8], last: Last, output: &mut [u8]) -> Step {
        let begins_message = !self.needs_tail && self.streams == 0;
        if begins_message
            && last == Last::Yes
            && (1..=SHORT_LEN).contains(&piece.len())
            && !output.is_empty()
            && let Some(step) = self.inflate_short(piece, output)
        {
            return step;
        }
        let mut step = self.inflate(piece, output, InflateFlush::SyncFlush);
        if last == Last::No || !step.done || step.error.is_some() {
            return Step {
                done: step.done && last == Last::No,
                ..step
            };
        }
        if self.needs_tail && !self.ends_with_tail(&mut output[step.written..]) {
            step.error = Some(ProtocolError::CompressedDataInvalid);
        }
        self.end_message();
        step
    }

    /// Puts the tail back, and returns whether the message ends with the empty block that it is of.
    ///
    /// A message that ends inside a block takes the tail for its data, and would have the next one
    /// begin there. So a block must end with the last byte of the tail, and to the bit, without having
    /// yielded anything.
    fn ends_with_tail(&mut self, room: &mut [u8]) -> bool {
        let [front @ .., last] = TAIL;
        let mut takes = |bytes: &[u8], len, flush| {
            let step = self.inflate(bytes, room, flush);
            step.consumed == len && step.written == 0 && step.error.is_none()
        };
        // The byte behind the last one is not taken where a block ends before it.
        if !takes(&front, front.len(), InflateFlush::SyncFlush)
            || !takes(&[last, 0], 1, InflateFlush::Block)
        {
            return false;
        }
        // The empty block may have BFINAL, and then the stream is over. Else another empty block must
        // fit behind it: where bits of the tail are left, it is none.
        let probe = self.inflate(&EMPTY_BLOCK, room, InflateFlush::SyncFlush);
        match self.needs_tail {
            true => probe.consumed == EMPTY_BLOCK.len(),
            false => probe.consumed == 0,
        }
    }

    /// Inflates a short message that came whole, block by block: the library is fast only where
    /// input and room go on behind what it reads and writes, and reads no further than a block.
    ///
    /// Whatever is not as a compressor writes it is undone, and `None`: only [`inflate`](Self::inflate)
    /// tells what is the message's from what is the tail's.
    fn inflate_short(&mut self, piece: &[u8], output: &mut [u8]) -> Option<Step> {
        let context = self
            .context
            .get_or_insert_with(|| POOL.with_borrow_mut(Pool::take_decoder));
        let end = piece.len() + TAIL_AND_PADDING.len();
        context.padded[..piece.len()].copy_from_slice(piece);
        context.padded[piece.len()..end].copy_from_slice(&TAIL_AND_PADDING);
        let mut rest = piece.len();
        let mut written = 0;
        for _ in 0..MAX_SHORT_BLOCKS {
            let block = inflate(
                &mut context.library,
                &context.padded[piece.len() - rest..end],
                &mut output[written..],
                InflateFlush::Block,
            );
            let goes_on = matches!(block.status, Ok(Status::Ok | Status::BufError));
            // 7.2.1: the empty stored block, whose lengths are the tail. It begins in the last byte
            // or the bits before it, and no other block that yields nothing takes as long to end.
            let is_tail = rest <= 1 && block.consumed == rest + TAIL.len() && block.written == 0;
            if goes_on && is_tail {
                if self.takeover == Takeover::Yes {
                    context.history.extend(&output[..written]);
                }
                self.end_message();
                return Some(Step {
                    consumed: piece.len(),
                    written,
                    done: true,
                    error: None,
                });
            }
            if !goes_on || block.consumed == 0 || block.consumed > rest {
                context.begin_stream();
                return None;
            }
            rest -= block.consumed;
            written += block.written;
            if written == output.len() {
                break;
            }
        }
        context.history.extend(&output[..written]);
        self.needs_tail = true;
        Some(Step {
            consumed: piece.len() - rest,
            written,
            done: false,
            error: None,
        })
    }

    /// Calls the library once.
    fn inflate(&mut self, piece: &[u8], output: &mut [u8], flush: InflateFlush) -> Step {
        if piece.is_empty() && self.context.is_none() {
            return Step {
                consumed: 0,
                written: 0,
                done: true,
                error: None,
            };
        }
        let context = self
            .context
            .get_or_insert_with(|| POOL.with_borrow_mut(Pool::take_decoder));
        let Inflated {
            status,
            consumed,
            written,
        } = inflate(&mut context.library, piece, output, flush);
        context.history.extend(&output[..written]);
        self.needs_tail |= consumed > 0;
        let has_room = written < output.len();
        let mut step = Step {
            consumed,
            written,
            done: consumed == piece.len() && has_room,
            error: None,
        };
        match status {
            Ok(Status::StreamEnd) => {
                // 7.2.3.4: a block with BFINAL ends a stream, not the message.
                context.begin_stream();
                self.needs_tail = false;
                step.done = consumed == piece.len();
                self.streams += 1;
                if self.streams > MAX_STREAMS {
                    step.error = Some(ProtocolError::CompressedDataInvalid);
                }
            }
            Ok(Status::Ok | Status::BufError) => {
                // A decompressor that has input and room, and takes nothing, would never end.
                if consumed == 0 && has_room && !piece.is_empty() {
                    step.error = Some(ProtocolError::CompressedDataInvalid);
                }
            }
            Err(_) => step.error = Some(ProtocolError::CompressedDataInvalid),
        }
        step
    }

    fn end_message(&mut self) {
        self.needs_tail = false;
        self.streams = 0;
        if self.takeover == Takeover::No
            && let Some(mut context) = self.context.take()
        {
            context.library.reset(false);
            context.history.clear();
            POOL.with_borrow_mut(|pool| pool.give_decoder(context));
        }
    }
}

/// A window and tables, and what a stream after another may refer back to.
struct DecoderContext {
    library: Inflate,
    history: History,
    /// A short message with its tail and padding.
    padded: [u8; SHORT_LEN + TAIL_AND_PADDING.len()],
}

impl DecoderContext {
    fn new() -> Self {
        Self {
            library: Inflate::new(false, LARGEST_WINDOW),
            history: History::default(),
            padded: [0; SHORT_LEN + TAIL_AND_PADDING.len()],
        }
    }

    /// Begins a stream, which may refer back to what came before it.
    fn begin_stream(&mut self) {
        self.library.reset(false);
        for part in self.history.in_order() {
            let set = self.library.set_dictionary(part);
            debug_assert!(set.is_ok(), "a raw stream takes a dictionary at its start");
        }
    }
}

/// What one call of the library came to.
struct Inflated {
    status: Result<Status, InflateError>,
    consumed: usize,
    written: usize,
}

fn inflate(
    library: &mut Inflate,
    input: &[u8],
    output: &mut [u8],
    flush: InflateFlush,
) -> Inflated {
    let before = (library.total_in(), library.total_out());
    let status = library.decompress(input, output, flush);
    let count = |now: u64, before: u64, most: usize| {
        usize::try_from(now - before).map_or(most, |count| count.min(most))
    };
    Inflated {
        status,
        consumed: count(library.total_in(), before.0, input.len()),
        written: count(library.total_out(), before.1, output.len()),
    }
}

/// Whether a step left any of its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Left,
    Full,
}

/// Appends to `output` what `write` puts at the front of `room` bytes.
///
/// The library would clear all spare capacity before each call, however much that is.
fn append<T>(
    output: &mut Vec<u8>,
    room: usize,
    write: impl FnOnce(&mut [u8]) -> (T, u64),
) -> (T, Room) {
    let start = output.len();
    output.resize(start + room, 0);
    let (written, len) = write(&mut output[start..]);
    let len = usize::try_from(len).map_or(room, |len| len.min(room));
    output.truncate(start + len);
    (written, if len < room { Room::Left } else { Room::Full })
}

thread_local! {
    /// Contexts that wait for the next message of any connection without takeover.
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::new()) };
}

/// A few contexts of each kind, so that a message without takeover need not make one.
struct Pool {
    encoders: Vec<(EncoderSettings, Compress)>,
    #[expect(clippy::vec_box, reason = "they come and go without being copied")]
    decoders: Vec<Box<DecoderContext>>,
}

impl Pool {
    const fn new() -> Self {
        Self {
            encoders: Vec::new(),
            decoders: Vec::new(),
        }
    }

    fn take_encoder(&mut self, settings: EncoderSettings) -> Compress {
        match self
            .encoders
            .iter()
            .position(|(pooled, _)| *pooled == settings)
        {
            Some(index) => self.encoders.swap_remove(index).1,
            None => Compress::new_with_window_bits(
                Compression::new(settings.level),
                false,
                // The library panics below 9; `can_encode` has said no.
                settings.window_bits.max(SMALLEST_WINDOW),
            ),
        }
    }

    fn give_encoder(&mut self, settings: EncoderSettings, context: Compress) {
        if self.encoders.len() == POOLED {
            self.encoders.remove(0);
        }
        self.encoders.push((settings, context));
    }

    fn take_decoder(&mut self) -> Box<DecoderContext> {
        self.decoders
            .pop()
            .unwrap_or_else(|| Box::new(DecoderContext::new()))
    }

    fn give_decoder(&mut self, context: Box<DecoderContext>) {
        if self.decoders.len() < POOLED {
            self.decoders.push(context);
        }
    }
}

/// 7.2.1: what ends a flush, and is left out at the end of a message; 7.2.2 item 1: "Append 4 octets of
/// 0x00 0x00 0xff 0xff to the tail end".
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// An empty stored block, which is nothing between blocks.
const EMPTY_BLOCK: [u8; 5] = [0x00, 0x00, 0x00, 0xff, 0xff];

/// What follows a short message: its tail, and as much as the library wants to see ahead. It is
/// read where the message is unsound, and then undone.
const TAIL_AND_PADDING: [u8; 20] = {
    let mut bytes = [0; 20];
    (bytes[2], bytes[3]) = (TAIL[2], TAIL[3]);
    bytes
};

/// The longest message that is worth a copy to be inflated fast to its end.
const SHORT_LEN: usize = 256;

/// A short message of more blocks than any compressor makes is inflated as a long one.
const MAX_SHORT_BLOCKS: usize = 8;

/// The most streams of a message. A peer has one for a message, or one for a fragment; each costs
/// two bytes to send, and the copy of a window to carry over.
const MAX_STREAMS: u32 = 128;

/// How much room a step of deflating has at most.
const STEP_LEN: usize = 64 << 10;

/// What a flush needs beyond the data: block headers, and room to show that it is complete.
const FLUSH_LEN: usize = 64;

/// A thread rarely has more messages under way at once.
const POOLED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_message_comes_to_the_same_whole_and_byte_by_byte() {
        // What ends a block, or does not, is in the last bytes; `Hello` is there to refer back to.
        let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        let mut messages: Vec<Vec<u8>> = (0..=u16::MAX).map(|m| m.to_le_bytes().into()).collect();
        messages.extend((0..=u8::MAX).map(|m| vec![m]));
        messages.extend((0..=u8::MAX).map(|m| [&hello[..6], &[m]].concat()));
        messages.extend((0..=u8::MAX).map(|m| [&hello[..], &[m]].concat()));
        for takeover in [Takeover::Yes, Takeover::No] {
            let mut pair = [decoder(takeover), decoder(takeover)];
            for message in &messages {
                let [whole, parts] = &mut pair;
                let received = receive(whole, &[message]);
                let pieces: Vec<&[u8]> = message.chunks(1).collect();
                assert_eq!(received, receive(parts, &pieces), "{message:x?}");
                if received.1.is_some() {
                    pair = [decoder(takeover), decoder(takeover)];
                }
                for decoder in &mut pair {
                    assert_eq!(receive(decoder, &[hello]), (b"Hello".to_vec(), None));
                }
            }
        }
    }

    fn decoder(takeover: Takeover) -> Decoder {
        Decoder {
            context: None,
            takeover,
            needs_tail: false,
            streams: 0,
        }
    }

    /// Decodes a message in little room, and returns what it came to.
    fn receive(decoder: &mut Decoder, pieces: &[&[u8]]) -> (Vec<u8>, Option<ProtocolError>) {
        let mut received = Vec::new();
        for (index, &piece) in pieces.iter().enumerate() {
            let is_last = index + 1 == pieces.len();
            let mut rest = piece;
            loop {
                let mut output = [0; 300];
                let last = if is_last { Last::Yes } else { Last::No };
                let step = decoder.decode(rest, last, &mut output);
                received.extend_from_slice(&output[..step.written]);
                rest = &rest[step.consumed..];
                if step.error.is_some() {
                    return (received, step.error);
                }
                if step.done {
                    break;
                }
                if !is_last && rest.is_empty() && step.written < output.len() {
                    break;
                }
            }
        }
        (received, None)
    }
}
