//! Received bytes, from the read that brings them to the event that lends them.
//!
//! Owns the window of bytes that were read, the frame whose payload is coming, the message under
//! assembly and the located event. Where the next read lands is in `window`, how a payload is
//! gathered in `gather`. It knows no protocol rule: `connection::receiver` judges, these files move
//! bytes.
//!
//! Whatever an unchecked conversion relies on is in this one value, so that a caller who swaps two
//! buffers gets wrong data or an error, and never undefined behaviour.

mod gather;
mod window;

use core::fmt;
use core::ops::Range;

use bytes::Bytes;

use super::assembler::{Assembler, Coding};
use super::config::Delivery;
use super::event::{Chunk, Event};
use crate::extension::Extension;
use crate::frame::{CloseFrame, FrameHeader, PlainHeader};
use crate::message::{Message, MessageKind, Utf8Bytes};

use window::Landing;

/// The input of a connection: what was received and not yet consumed.
///
/// The order of calls, once per wake-up:
///
/// 1. read into [`spare_mut`](Self::spare_mut), and [`commit`](Self::commit) what was read;
/// 2. call [`Connection::advance`](crate::Connection::advance) until it returns `Ok(false)`, and
///    look at the [`event`](Self::event) after each `Ok(true)`.
///
/// `spare_mut`, `commit`, `lend`, `park` and `advance` end the event. An empty buffer owns no
/// memory once [`park`](Self::park) was called, nor before its first read.
pub struct RecvBuffer {
    /// Initialised throughout, so that a read may land behind `tail`.
    ///
    /// INVARIANT: head <= tail <= window.len()
    window: Vec<u8>,
    head: usize,
    tail: usize,
    landing: Landing,
    /// How many bytes arrived since [`take_arrived`](Self::take_arrived).
    arrived: usize,
    /// Whether the last read filled all the room there was, so that more would be of use.
    filled_up: bool,
    /// Whether it did so where the read before it was not cut: a burst may end in the next one.
    is_cut: bool,
    frame: Option<FrameInFlight>,
    assembler: Assembler,
    located: Option<Located>,
}

/// A frame whose header is consumed and whose payload is coming.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameInFlight {
    pub(super) header: FrameHeader,
    /// How much of the payload is unmasked and validated.
    received: u64,
    /// How much of it is unmasked: more than `received` where it waits in the window to be decoded.
    unmasked: u64,
    place: Place,
}

impl FrameInFlight {
    /// How many bytes of the payload are not unmasked and validated.
    fn remaining_len(&self) -> usize {
        let remaining = self.header.payload_len.saturating_sub(self.received);
        usize::try_from(remaining).unwrap_or(usize::MAX)
    }
}

/// Where the payload of a frame is gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It stays in the window until it is whole: a control frame, or a short message in one frame.
    Window,
    /// It goes to the message under assembly as it comes.
    Message,
    /// It is delivered as it comes.
    Chunks,
    /// An extension decodes it as it comes, for the message under assembly or for delivery.
    Encoded(Delivery),
}

/// An event that was found, and where its payload is.
///
/// INVARIANT: where `what` is `Text`, the payload is UTF-8: it was validated as a whole, or the
/// validator of the assembler saw every byte of it and was complete at its end.
#[derive(Debug, Clone)]
struct Located {
    what: What,
    /// The range of the payload in the window, or `None` for the message under assembly.
    range: Option<Range<usize>>,
}

/// What came of looking for a message that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtOnce {
    /// One is located.
    Message,
    /// There is no byte, and no event.
    Nothing,
    /// There is something else, a part of something, or a text that is none.
    Other,
}

/// What the payload of an encoded message takes to be decoded.
pub(super) struct Decoding<'a> {
    pub(super) extension: Option<&'a mut (dyn Extension + 'static)>,
    /// The most bytes that the message may have once decoded.
    pub(super) max_len: u64,
}

/// What was located.
///
/// Its kind is a byte of its own, not folded into what a chunk is, so that it is looked at as it
/// is.
#[repr(u8)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Text,
    Binary,
    Chunk { kind: MessageKind, fin: bool },
    Ping,
    Pong,
    Close,
}

impl What {
    pub(super) const fn is_control(self) -> bool {
        match self {
            Self::Ping | Self::Pong | Self::Close => true,
            Self::Text | Self::Binary | Self::Chunk { .. } => false,
        }
    }
}

impl RecvBuffer {
    /// Makes an empty buffer, which owns no memory.
    pub const fn new() -> Self {
        Self {
            window: Vec::new(),
            head: 0,
            tail: 0,
            landing: Landing::Nowhere,
            arrived: 0,
            filled_up: false,
            is_cut: false,
            frame: None,
            assembler: Assembler::new(),
            located: None,
        }
    }

    /// Takes the located event as a message of its own.
    ///
    /// A short payload is copied into an allocation of its size, so that twenty bytes do not pin a
    /// large buffer; a long one is moved without a copy. Returns `None` if there is no event, or
    /// if it is a [`Chunk`], which is not a message.
    pub fn take_message(&mut self) -> Option<Message> {
        let located = self
            .located
            .take_if(|located| !matches!(located.what, What::Chunk { .. }))?;
        let payload = match &located.range {
            Some(range) => Bytes::copy_from_slice(self.window.get(range.clone())?),
            None => self.assembler.take_message(),
        };
        match located.what {
            What::Text => Some(Message::Text(Utf8Bytes::from_validated(payload))),
            What::Binary => Some(Message::Binary(payload)),
            What::Ping => Some(Message::Ping(payload)),
            What::Pong => Some(Message::Pong(payload)),
            What::Close => Some(Message::Close(
                decode_close(&payload).map(CloseFrame::into_owned),
            )),
            What::Chunk { .. } => None,
        }
    }

    /// Returns the event that the last [`advance`](crate::Connection::advance) found.
    #[inline]
    pub fn event(&self) -> Option<Event<'_>> {
        let located = self.located.as_ref()?;
        let payload = self.payload_of(located);
        Some(match located.what {
            What::Text => Event::Text(validated_text(payload)),
            What::Binary => Event::Binary(payload),
            What::Chunk { kind, fin } => Event::Chunk(Chunk { kind, payload, fin }),
            What::Ping => Event::Ping(payload),
            What::Pong => Event::Pong(payload),
            What::Close => Event::Close(decode_close(payload)),
        })
    }

    /// Returns the bytes that were received and not consumed: after a handshake, what followed
    /// its head.
    ///
    /// Of a message that is being received they are only a part.
    pub fn unread(&self) -> &[u8] {
        &self.window[self.head..self.tail]
    }

    /// Whether nothing that was received is still of use: no bytes, no part of a message, no event.
    ///
    /// Such a buffer can be exchanged for any other that is idle, so that an event loop holds one
    /// for all its connections, and a connection one of its own only while a message is incomplete.
    #[inline]
    pub const fn is_idle(&self) -> bool {
        self.head == self.tail
            && self.frame.is_none()
            && self.located.is_none()
            && !self.is_in_message()
    }

    /// Returns the payload of the event if it is long and can be passed on without a copy; else it
    /// is empty.
    #[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io"))]
    pub(crate) const fn whole(&self) -> &Bytes {
        self.assembler.whole()
    }

    /// Drops `len` bytes from the front for a handshake, which comes before any frame.
    ///
    /// A frame that is in flight all the same is one of a caller who mixes up buffers: what was
    /// validated of it no longer stands where it stood, so it is dropped with its message.
    pub(crate) fn consume_head(&mut self, len: usize) {
        self.end_event();
        self.landing = Landing::Nowhere;
        if self.frame.take().is_some() || self.is_in_message() {
            self.assembler = Assembler::new();
        }
        self.consume(len);
        // What the connection counts begins behind it.
        self.arrived = self.arrived.saturating_sub(len);
    }

    /// Drops `len` bytes from the front.
    fn consume(&mut self, len: usize) {
        self.head += len.min(self.tail - self.head);
    }

    /// Ends the event: its payload is no longer needed.
    #[inline]
    pub(super) fn end_event(&mut self) {
        if let Some(Located { range: None, .. }) = self.located.take() {
            self.assembler.release();
        }
    }

    /// Returns how many bytes arrived since the last call.
    #[inline]
    pub(super) fn take_arrived(&mut self) -> usize {
        core::mem::take(&mut self.arrived)
    }

    /// Whether the next byte is a header's, no message is under way, and there is no event but one
    /// in the window, which ends as another is located.
    #[inline]
    pub(super) const fn is_between_messages(&self) -> bool {
        !matches!(self.located, Some(Located { range: None, .. }))
            && self.frame.is_none()
            && !self.is_in_message()
    }

    /// Ends the event, between messages, if there is nothing behind it, as at the end of a burst.
    #[inline]
    pub(super) const fn end_burst(&mut self) -> AtOnce {
        if self.head < self.tail {
            return AtOnce::Other;
        }
        self.located = None;
        AtOnce::Nothing
    }

    /// Returns as many bytes as a plain header may have from the front of what was received; those
    /// that did not arrive are any. `None` near the end of the window.
    #[inline]
    pub(super) fn front(&self) -> Option<&[u8; PlainHeader::MAX_LEN]> {
        self.window.get(self.head..)?.first_chunk()
    }

    /// Whether a message has begun and not ended.
    #[inline]
    pub(super) const fn is_in_message(&self) -> bool {
        self.assembler.kind().is_some()
    }

    /// Drops all that was received and returns how many bytes were not consumed.
    pub(super) fn discard(&mut self) -> usize {
        self.end_event();
        let len = self.tail - self.head + self.assembler.unprocessed_len();
        self.head = 0;
        self.tail = 0;
        self.landing = Landing::Nowhere;
        self.frame = None;
        self.assembler = Assembler::new();
        len
    }

    pub(super) const fn frame(&self) -> Option<&FrameInFlight> {
        self.frame.as_ref()
    }

    pub(super) const fn assembler(&self) -> &Assembler {
        &self.assembler
    }

    /// Opens a message of `kind`.
    #[inline]
    pub(super) fn begin_message(&mut self, kind: MessageKind, delivery: Delivery, coding: Coding) {
        self.assembler.begin(kind, delivery, coding);
    }

    /// Consumes a header and waits for its payload in `place`.
    #[inline]
    pub(super) fn begin_frame(&mut self, header: FrameHeader, place: Place) {
        self.consume(header.encoded_len());
        if !header.opcode.is_control() {
            self.assembler.add_frame(header.payload_len, header.fin);
        }
        self.frame = Some(FrameInFlight {
            header,
            received: 0,
            unmasked: 0,
            place,
        });
    }

    /// Returns what was located and its payload, for the reply that it may need.
    #[inline]
    pub(super) fn located(&self) -> Option<What> {
        self.located.as_ref().map(|located| located.what)
    }

    /// Returns the payload of what was located.
    #[inline]
    pub(super) fn located_payload(&self) -> &[u8] {
        self.located
            .as_ref()
            .map_or(&[], |located| self.payload_of(located))
    }

    #[inline]
    fn payload_of(&self, located: &Located) -> &[u8] {
        match &located.range {
            Some(range) => self.window.get(range.clone()).unwrap_or(&[]),
            None => self.assembler.bytes(),
        }
    }
}

impl Default for RecvBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&[u8]> for RecvBuffer {
    fn from(unread: &[u8]) -> Self {
        let mut input = Self::new();
        input.extend(unread);
        input
    }
}

impl fmt::Debug for RecvBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBuffer")
            .field("unread_len", &self.unread().len())
            .field("window_len", &self.window.len())
            .field("frame", &self.frame)
            .field("located", &self.located)
            .finish_non_exhaustive()
    }
}

/// A Close payload that the receiver has judged already.
fn decode_close(payload: &[u8]) -> Option<CloseFrame<'_>> {
    CloseFrame::decode(payload).ok().flatten()
}

#[inline]
#[allow(unsafe_code, reason = "text is validated as it arrives, once")]
fn validated_text(payload: &[u8]) -> &str {
    debug_assert!(
        core::str::from_utf8(payload).is_ok(),
        "located text is UTF-8"
    );
    // SAFETY: called with the payload of a `Located` whose `what` is `Text`, which is UTF-8 by the
    // invariant of `Located`. `gather_whole` makes it so by `mask_and_look`, which saw all bytes to
    // be ASCII as it unmasked them, or by `is_utf8` afterwards; the other `gather_*` methods piece
    // by piece: each byte of the payload was seen so, or passed the assembler's validator after it
    // was unmasked or decoded, and `finish` saw the validator complete. Every method that could
    // change those bytes ends the event first, and `consume_head` drops a frame whose validated
    // front would move.
    unsafe { core::str::from_utf8_unchecked(payload) }
}
