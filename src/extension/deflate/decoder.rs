//! The inflating direction.
//!
//! Inflates the pieces of a message as they come, and finds whether it ends where it says. It knows
//! no limit of a length: its caller gives it room, and counts.
//!
//! RFC 7692, section 7.2.2.

use zlib_rs::{Inflate, InflateError, InflateFlush, Status};

use super::history::History;
use super::{TAIL, Takeover, pool};
use crate::error::ProtocolError;
use crate::extension::config::LARGEST_WINDOW;
use crate::extension::{Last, Step};

/// The inflating direction.
pub(super) struct Decoder {
    /// The window and tables, from the first message on; without takeover, during a message only.
    ///
    /// The window is always the largest: with a smaller one, whether a distance that the peer
    /// should not have used is noticed would depend on how the bytes arrive.
    pub(super) context: Option<Box<DecoderContext>>,
    pub(super) takeover: Takeover,
    /// Whether the message so far needs its tail back: it is not empty, and no stream ended with
    /// it.
    pub(super) needs_tail: bool,
    /// How many streams have ended in the message so far.
    pub(super) streams: u32,
}

impl Decoder {
    pub(super) fn decode(&mut self, piece: &[u8], last: Last, output: &mut [u8]) -> Step {
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
            return step;
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
    /// begin there. So a block must end with the last byte of the tail, and to the bit, without
    /// having yielded anything.
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
        // The empty block may have BFINAL, and then the stream is over. Else another empty block
        // must fit behind it: where bits of the tail are left, it is none.
        let probe = self.inflate(&EMPTY_BLOCK, room, InflateFlush::SyncFlush);
        match self.needs_tail {
            true => probe.consumed == EMPTY_BLOCK.len(),
            false => probe.consumed == 0,
        }
    }

    /// Inflates a short message that came whole, block by block: the library is fast only where
    /// input and room go on behind what it reads and writes, and reads no further than a block.
    ///
    /// Whatever is not as a compressor writes it is undone, and `None`: only
    /// [`inflate`](Self::inflate) tells what is the message's from what is the tail's.
    fn inflate_short(&mut self, piece: &[u8], output: &mut [u8]) -> Option<Step> {
        let context = self.context.get_or_insert_with(pool::take_decoder);
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
        let context = self.context.get_or_insert_with(pool::take_decoder);
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
            pool::give_decoder(context);
        }
    }
}

/// A window and tables, and what a stream after another may refer back to.
pub(super) struct DecoderContext {
    library: Inflate,
    history: History,
    /// A short message with its tail and padding.
    padded: [u8; SHORT_LEN + TAIL_AND_PADDING.len()],
}

impl DecoderContext {
    pub(super) fn new() -> Self {
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
