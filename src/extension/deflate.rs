//! permessage-deflate: messages compressed one by one, with or without memory of those before.
//!
//! Owns the two contexts, the inflated bytes that the next message may refer back to, and the bytes
//! that RFC 7692 takes off the end of a message and puts back. It knows nothing of headers beyond
//! the bit that it claims, and of limits nothing: it works in steps, and its caller counts.
//!
//! RFC 7692, sections 6 and 7.

use core::fmt;
use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

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
    context: Option<DecoderContext>,
    takeover: Takeover,
    /// Whether the message so far needs its tail back: it is not empty, and no stream ended with it.
    needs_tail: bool,
    /// How many streams have ended in the message so far.
    streams: u32,
}

/// A window and tables, and what a stream after another may refer back to.
struct DecoderContext {
    library: Decompress,
    history: History,
}

impl Decoder {
    fn decode(&mut self, piece: &[u8], last: Last, output: &mut [u8]) -> Step {
        let mut step = self.inflate(piece, output);
        if last == Last::No || !step.done || step.error.is_some() {
            return Step {
                done: step.done && last == Last::No,
                ..step
            };
        }
        if self.needs_tail {
            let room = &mut output[step.written..];
            let tail = self.inflate(&TAIL_AND_PROBE, room);
            // The empty block at the end may have BFINAL, and then the stream ends with the tail. A
            // message that ends inside a block takes the tail for its data, and would have the next
            // one begin there.
            let is_sound = match self.needs_tail {
                true => tail.consumed == TAIL_AND_PROBE.len(),
                false => tail.consumed == TAIL.len(),
            };
            if !is_sound || tail.written > 0 || tail.error.is_some() {
                step.error = Some(ProtocolError::CompressedDataInvalid);
            }
        }
        self.needs_tail = false;
        self.streams = 0;
        if self.takeover == Takeover::No
            && let Some(mut context) = self.context.take()
        {
            context.library.reset(false);
            context.history.clear();
            POOL.with_borrow_mut(|pool| pool.give_decoder(context));
        }
        step
    }

    /// Calls the library once.
    fn inflate(&mut self, piece: &[u8], output: &mut [u8]) -> Step {
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
        let library = &mut context.library;
        let before = (library.total_in(), library.total_out());
        let status = library.decompress(piece, output, FlushDecompress::Sync);
        let count = |now: u64, before: u64, most: usize| {
            usize::try_from(now - before).map_or(most, |count| count.min(most))
        };
        let consumed = count(library.total_in(), before.0, piece.len());
        let written = count(library.total_out(), before.1, output.len());
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
                // 7.2.3.4: a block with BFINAL ends a stream, not the message. What follows may
                // refer back to what came before.
                library.reset(false);
                for part in context.history.in_order() {
                    let set = library.set_dictionary(part);
                    debug_assert!(set.is_ok(), "a raw stream takes a dictionary at its start");
                }
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
}

/// The last 32 KiB that were inflated, for the dictionary of a stream that follows another.
#[derive(Default)]
struct History {
    /// Grows to its full length, and is written round from then on.
    ring: Vec<u8>,
    /// Where the next byte goes once it is full.
    next: usize,
}

impl History {
    fn extend(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(HISTORY_LEN)..];
        let (first, rest) = bytes.split_at(bytes.len().min(HISTORY_LEN - self.ring.len()));
        if self.ring.capacity() - self.ring.len() < first.len() {
            // Doubling, but never beyond what is of use.
            let wanted = (self.ring.len() + first.len()).max(2 * self.ring.len());
            self.ring
                .reserve_exact(wanted.min(HISTORY_LEN) - self.ring.len());
        }
        self.ring.extend_from_slice(first);
        let (second, third) = rest.split_at(rest.len().min(HISTORY_LEN - self.next));
        self.ring[self.next..self.next + second.len()].copy_from_slice(second);
        self.ring[..third.len()].copy_from_slice(third);
        if !rest.is_empty() {
            self.next = (self.next + rest.len()) % HISTORY_LEN;
        }
    }

    fn clear(&mut self) {
        self.ring.clear();
        self.next = 0;
    }

    /// Returns what there is, the oldest first.
    fn in_order(&self) -> [&[u8]; 2] {
        [&self.ring[self.next..], &self.ring[..self.next]]
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
    decoders: Vec<DecoderContext>,
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

    fn take_decoder(&mut self) -> DecoderContext {
        self.decoders.pop().unwrap_or_else(|| DecoderContext {
            library: Decompress::new_with_window_bits(false, LARGEST_WINDOW),
            history: History::default(),
        })
    }

    fn give_decoder(&mut self, context: DecoderContext) {
        if self.decoders.len() < POOLED {
            self.decoders.push(context);
        }
    }
}

/// 7.2.1: what ends a flush, and is left out at the end of a message.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// 7.2.2 item 1: "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end". Behind them an empty
/// block of our own, which is nothing between blocks, and gives away that it is not there.
const TAIL_AND_PROBE: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff];

/// The largest distance that DEFLATE can refer back to.
const HISTORY_LEN: usize = 32 << 10;

/// The most streams of a message. A peer has one for a message, or one for a fragment; each costs
/// two bytes to send, and the copy of a window to carry over.
const MAX_STREAMS: u32 = 128;

/// How much room a step of deflating has at most.
const STEP_LEN: usize = 64 << 10;

/// What a flush needs beyond the data: block headers, and room to show that it is complete.
const FLUSH_LEN: usize = 64;

/// A thread rarely has more messages under way at once.
const POOLED: usize = 4;
