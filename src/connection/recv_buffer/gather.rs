//! Gathering the payload of a frame, wherever it goes.
//!
//! In the window until it is whole, into the message under assembly, out in chunks, or through an
//! extension: each unmasks and validates what has come since the last call, and locates an event
//! where that ends one. Which way a payload takes is for `connection::receiver` to say.

use core::ops::Range;

use super::{AtOnce, Decoding, FrameInFlight, Located, Place, RecvBuffer, What};
use crate::connection::config::Delivery;
use crate::error::ProtocolError;
use crate::extension::Last;
use crate::frame::{MaskingKey, Opcode, PlainHeader, mask, mask_and_look};
use crate::message::MessageKind;
use crate::utf8::is_utf8;

impl RecvBuffer {
    /// Takes a message of one frame if all of it is in the window.
    ///
    /// The header may come from [`front`](Self::front), because nothing is taken that did not
    /// arrive.
    #[inline]
    pub(in crate::connection) fn gather_whole(&mut self, header: &PlainHeader) -> AtOnce {
        let start = self.head + header.len;
        let end = start + usize::from(header.payload_len);
        if end > self.tail {
            return AtOnce::Other;
        }
        let Some(payload) = self.window.get_mut(start..end) else {
            return AtOnce::Other;
        };
        let what = if header.is_text {
            let is_ascii = header
                .mask
                .is_some_and(|key| mask_and_look(payload, key, 0));
            if !is_ascii && !is_utf8(payload) {
                // Masked again it is as it came, for others to judge.
                unmask(payload, header.mask, 0);
                return AtOnce::Other;
            }
            What::Text
        } else {
            unmask(payload, header.mask, 0);
            What::Binary
        };
        self.locate(what, start..end);
        AtOnce::Message
    }

    /// Takes what has come of the payload of a control frame, or of a message in one frame, in the
    /// window; `true` once it is whole and located.
    #[inline]
    pub(in crate::connection) fn gather(
        &mut self,
        decoding: Decoding<'_>,
    ) -> Result<bool, ProtocolError> {
        let Some(mut frame) = self.frame else {
            return Ok(false);
        };
        match frame.place {
            Place::Window => self.gather_in_window(&mut frame),
            Place::Message => self.gather_in_message(&mut frame),
            Place::Chunks => self.gather_chunk(&mut frame),
            Place::Encoded(delivery) => self.gather_encoded(&mut frame, delivery, decoding),
        }
    }

    /// The payload stays where it is until it is whole.
    #[inline]
    fn gather_in_window(&mut self, frame: &mut FrameInFlight) -> Result<bool, ProtocolError> {
        let header = frame.header;
        let there = self.tail - self.head;
        // The payload fits in memory if it is whole, so what is there bounds it.
        let available = usize::try_from(header.payload_len).map_or(there, |len| len.min(there));
        let received = usize::try_from(frame.received).map_or(available, |len| len.min(available));
        let fresh = &mut self.window[self.head + received..self.head + available];
        let offset = key_offset(frame.received);
        if header.opcode.is_control() {
            unmask(fresh, header.mask, offset);
        } else {
            self.assembler
                .process_elsewhere(fresh, header.mask, offset)?;
        }
        frame.received = available as u64;
        if frame.received < header.payload_len {
            self.frame = Some(*frame);
            return Ok(false);
        }
        self.frame = None;
        let what = match header.opcode {
            Opcode::Ping => What::Ping,
            Opcode::Pong => What::Pong,
            Opcode::Close => What::Close,
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                match self.assembler.finish()? {
                    Some(MessageKind::Text) => What::Text,
                    Some(MessageKind::Binary) | None => What::Binary,
                }
            }
        };
        self.locate(what, self.head..self.head + available);
        Ok(true)
    }

    /// The payload moves to the message, unless it landed there.
    fn gather_in_message(&mut self, frame: &mut FrameInFlight) -> Result<bool, ProtocolError> {
        let header = frame.header;
        let landed = self
            .assembler
            .process(header.mask, key_offset(frame.received))?;
        frame.received += landed as u64;
        let piece = &self.window[self.head..self.tail];
        let piece = &piece[..frame.remaining_len().min(piece.len())];
        if !piece.is_empty() {
            let (key, offset) = (header.mask, key_offset(frame.received));
            self.assembler.append(piece, key, offset)?;
            self.head += piece.len();
            frame.received += piece.len() as u64;
        }
        if frame.received < header.payload_len {
            self.frame = Some(*frame);
            return Ok(false);
        }
        self.frame = None;
        if header.fin {
            let what = match self.assembler.finish()? {
                Some(MessageKind::Text) => What::Text,
                Some(MessageKind::Binary) | None => What::Binary,
            };
            self.located = Some(Located { what, range: None });
        }
        Ok(true)
    }

    /// What is there is located; an empty fragment that is not the last is nothing to deliver.
    fn gather_chunk(&mut self, frame: &mut FrameInFlight) -> Result<bool, ProtocolError> {
        let header = frame.header;
        let len = frame.remaining_len().min(self.tail - self.head);
        if len == 0 && frame.remaining_len() > 0 {
            return Ok(false);
        }
        let fresh = &mut self.window[self.head..self.head + len];
        self.assembler
            .process_elsewhere(fresh, header.mask, key_offset(frame.received))?;
        frame.received += len as u64;
        let whole = frame.received >= header.payload_len;
        self.frame = (!whole).then_some(*frame);
        let fin = whole && header.fin;
        let kind = self.assembler.kind().unwrap_or(MessageKind::Binary);
        if fin {
            self.assembler.finish()?;
        }
        if len > 0 || fin {
            self.locate(What::Chunk { kind, fin }, self.head..self.head + len);
        }
        Ok(true)
    }

    /// What is there is decoded, step by step; the message, or a step's yield, is located.
    fn gather_encoded(
        &mut self,
        frame: &mut FrameInFlight,
        delivery: Delivery,
        decoding: Decoding<'_>,
    ) -> Result<bool, ProtocolError> {
        // Only a caller who swaps buffers has a frame here that no extension claims.
        let Some(extension) = decoding.extension else {
            return Err(ProtocolError::ReservedBitSet);
        };
        let header = frame.header;
        let available = frame.remaining_len().min(self.tail - self.head);
        let waiting = usize::try_from(frame.unmasked.saturating_sub(frame.received))
            .map_or(available, |len| len.min(available));
        let fresh = &mut self.window[self.head + waiting..self.head + available];
        unmask(fresh, header.mask, key_offset(frame.unmasked));
        frame.unmasked = frame.received + available as u64;
        let end = self.head + available;
        // An empty fragment changes nothing; between frames the decoder has yielded all it can.
        let mut is_drained = frame.received == 0 && available == 0 && !header.fin;
        loop {
            if is_drained {
                let is_whole = frame.received >= header.payload_len;
                self.frame = (!is_whole).then_some(*frame);
                return Ok(is_whole);
            }
            let piece = &self.window[self.head..end];
            let is_last = header.fin && frame.received + piece.len() as u64 >= header.payload_len;
            let last = if is_last { Last::Yes } else { Last::No };
            let step = self
                .assembler
                .decode(piece.len(), decoding.max_len, |decoded| {
                    extension.decode(piece, last, decoded)
                })?;
            self.head += step.consumed;
            frame.received += step.consumed as u64;
            let is_finished = is_last && step.done;
            is_drained = step.done && !is_last;
            let kind = self.assembler.kind().unwrap_or(MessageKind::Binary);
            if is_finished {
                self.frame = None;
                self.assembler.finish()?;
            } else {
                self.frame = Some(*frame);
            }
            let what = match (delivery, kind) {
                (Delivery::Messages, MessageKind::Text) if is_finished => What::Text,
                (Delivery::Messages, MessageKind::Binary) if is_finished => What::Binary,
                (Delivery::Chunks, kind) if is_finished || !self.assembler.bytes().is_empty() => {
                    What::Chunk {
                        kind,
                        fin: is_finished,
                    }
                }
                (Delivery::Messages | Delivery::Chunks, _) => continue,
            };
            self.located = Some(Located { what, range: None });
            return Ok(true);
        }
    }

    /// Consumes all up to the end of `range`, which is the payload of an event.
    #[inline]
    fn locate(&mut self, what: What, range: Range<usize>) {
        self.head = range.end;
        let range = Some(range);
        self.located = Some(Located { what, range });
    }
}

#[inline]
fn unmask(fresh: &mut [u8], key: Option<MaskingKey>, offset: usize) {
    if let Some(key) = key {
        mask(fresh, key, offset);
    }
}

/// The place in the four bytes of the key, which is all that masking needs of an offset.
#[inline]
const fn key_offset(received: u64) -> usize {
    (received % 4).to_le_bytes()[0] as usize
}
