//! Received bytes, from the read that brings them to the event that lends them.
//!
//! Owns the window of bytes that were read, the frame whose payload is coming, the message under
//! assembly and the located event, and decides where the next read lands. It knows no protocol
//! rule: `connection::receiver` judges, this file moves bytes.
//!
//! Whatever an unchecked conversion relies on is in this one value, so that a caller who swaps two
//! buffers gets wrong data or an error, and never undefined behaviour.

mod gather;

use core::fmt;
use core::ops::Range;

use bytes::Bytes;
#[cfg(feature = "tokio")]
use bytes::buf::Limit;

use super::assembler::{Assembler, Coding};
use super::config::Delivery;
use super::event::{Chunk, Event};
use crate::extension::Extension;
use crate::frame::{CloseFrame, FrameHeader};
use crate::message::{Message, MessageKind, Utf8Bytes};

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

/// Where the read in progress lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Landing {
    Nowhere,
    Window,
    Message,
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

/// What the payload of an encoded message takes to be decoded.
pub(super) struct Decoding<'a> {
    pub(super) extension: Option<&'a mut (dyn Extension + 'static)>,
    /// The most bytes that the message may have once decoded.
    pub(super) max_len: u64,
}

/// What was located.
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

    /// Returns the place for the next read, which is never empty.
    ///
    /// For a long payload that is the message itself, so that the kernel writes it where it will
    /// stay. Its size grows with the bytes that came, never with the length that a header claims.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        self.end_event();
        self.arrange_spare();
        match self.landing {
            Landing::Message => self.assembler.spare_mut(self.landable_len()),
            Landing::Window | Landing::Nowhere => &mut self.window[self.tail..],
        }
    }

    /// Notes that `len` bytes were read into [`spare_mut`](Self::spare_mut).
    ///
    /// More than there was room for counts as all of it; without a call of `spare_mut` before it,
    /// nothing happens.
    pub fn commit(&mut self, len: usize) {
        self.end_event();
        let room = match self.landing {
            Landing::Nowhere => return,
            Landing::Window => {
                let room = self.window.len() - self.tail;
                self.tail += len.min(room);
                room
            }
            Landing::Message => {
                let room = self.assembler.spare_mut(self.landable_len()).len();
                self.assembler.commit(len.min(room));
                room
            }
        };
        self.note_read(len.min(room), room);
    }

    /// Has the next read append to the message, where that is where it lands, and returns what `read`
    /// returns.
    ///
    /// It is [`spare_mut`](Self::spare_mut) and [`commit`](Self::commit) for a stream that reads into
    /// memory which nobody has set to zero.
    #[cfg(feature = "tokio")]
    pub(crate) fn append_with<R>(
        &mut self,
        read: impl FnOnce(&mut Limit<&mut Vec<u8>>) -> R,
    ) -> Option<R> {
        if !self.lands_in_message() {
            return None;
        }
        self.end_event();
        let len = self.landable_len();
        let mut message = self.assembler.appendable(len);
        let (start, room) = (message.get_ref().len(), message.limit());
        let outcome = read(&mut message);
        let len = message.get_ref().len().saturating_sub(start);
        self.assembler.commit(len);
        self.note_read(len, room);
        Some(outcome)
    }

    fn note_read(&mut self, len: usize, room: usize) {
        self.landing = Landing::Nowhere;
        self.filled_up = len == room;
        // Of a peer that sends on and on every second read is none.
        self.is_cut = self.filled_up && !self.is_cut;
        self.arrived = self.arrived.saturating_add(len);
    }

    /// Appends bytes that were received elsewhere, such as those behind somebody's HTTP head.
    pub fn extend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let spare = self.spare_mut();
            let len = spare.len().min(bytes.len());
            spare[..len].copy_from_slice(&bytes[..len]);
            self.commit(len);
            bytes = &bytes[len..];
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

    /// Gives the buffer a window to read into, such as one of a pool; `len` bytes of it are used.
    ///
    /// Bytes that wait are copied to its front. A window that was there before is dropped; take it
    /// back with [`park`](Self::park).
    pub fn lend(&mut self, mut window: Vec<u8>) {
        self.end_event();
        self.landing = Landing::Nowhere;
        let unread = &self.window[self.head..self.tail];
        if window.len() < unread.len() {
            window.resize(unread.len(), 0);
        }
        window[..unread.len()].copy_from_slice(unread);
        self.tail = unread.len();
        self.head = 0;
        self.window = window;
    }

    /// Takes the window back, so that a connection which waits holds none.
    ///
    /// Bytes that wait, such as half a header, move into an allocation of their own size. Returns
    /// `None` if there is no window, or one that is longer than messages have use for, because the head
    /// of a handshake was: it is not worth keeping.
    pub fn park(&mut self) -> Option<Vec<u8>> {
        self.end_event();
        self.landing = Landing::Nowhere;
        self.assembler.park();
        let unread = &self.window[self.head..self.tail];
        if unread.len() == self.window.len() {
            return None;
        }
        let unread = unread.to_vec();
        self.head = 0;
        self.tail = unread.len();
        let window = core::mem::replace(&mut self.window, unread);
        (window.len() <= LONGEST_WINDOW).then_some(window)
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

    /// Whether the last read is likely to have cut a burst, so that it is answered after the next one.
    ///
    /// It is so for no two reads in a row, so that an answer waits for one read at most.
    #[cfg(any(feature = "tokio", feature = "futures-io"))]
    pub(crate) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Ends the event and returns whether the buffer is idle, so that another connection can have it as
    /// it is.
    #[cfg(any(feature = "tokio", feature = "futures-io"))]
    pub(crate) fn rest(&mut self) -> bool {
        self.end_event();
        self.landing = Landing::Nowhere;
        self.filled_up = false;
        self.is_cut = false;
        let is_idle = self.is_idle();
        if is_idle {
            self.arrived = 0;
            if self.window.len() > LONGEST_WINDOW {
                // The head of a handshake was in it.
                self.window = Vec::new();
            }
        }
        is_idle
    }

    /// Returns the payload of the event if it is long and can be passed on without a copy; else it is
    /// empty.
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

    /// Whether the next byte is a header's, and no message is under way.
    #[inline]
    pub(super) const fn is_between_messages(&self) -> bool {
        self.frame.is_none() && !self.is_in_message()
    }

    /// Returns as many bytes as a header may have from the front of what was received; those that did
    /// not arrive are any. `None` near the end of the window.
    #[inline]
    pub(super) fn front(&self) -> Option<&[u8; FrameHeader::MAX_LEN]> {
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

    /// Whether a payload is better kept in the window than moved: it is whole already, or so short
    /// that moving its beginning to the front of the window is cheaper than a buffer of its own.
    #[inline]
    pub(super) fn fits_in_window(&self, header: &FrameHeader) -> bool {
        let there = (self.tail - self.head).saturating_sub(header.encoded_len());
        usize::try_from(header.payload_len).is_ok_and(|len| len <= there.max(LANDED_LEN))
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

    /// How many bytes of the payload in flight may still land in the message.
    fn landable_len(&self) -> usize {
        let Some(frame) = &self.frame else { return 0 };
        frame
            .remaining_len()
            .saturating_sub(self.assembler.unprocessed_len())
    }

    /// Whether the next read lands in the message: what was received is consumed, and so much of a long
    /// payload is to come that a read of its own is worth it.
    fn lands_in_message(&self) -> bool {
        let is_kept = self
            .frame
            .is_some_and(|frame| frame.place == Place::Message);
        let least = LANDED_LEN.max(self.window.len() / 4);
        is_kept && self.head == self.tail && self.landable_len() >= least
    }

    /// Chooses where the next read lands, and makes room there.
    fn arrange_spare(&mut self) {
        if self.lands_in_message() {
            self.landing = Landing::Message;
            return;
        }
        self.landing = Landing::Window;
        let unread_len = self.tail - self.head;
        let spare_len = self.window.len() - self.tail;
        let fills_window =
            core::mem::take(&mut self.filled_up) && unread_len < self.window.len() / 2;
        if fills_window && self.window.len() < LONGEST_WINDOW {
            // Much comes at once and is consumed: a longer window saves reads. Fresh zeroed memory is
            // cheaper than memory that is zeroed here.
            let mut window =
                vec![0; (self.window.len() * 4).clamp(SHORTEST_WINDOW, LONGEST_WINDOW)];
            window[..unread_len].copy_from_slice(self.unread());
            self.window = window;
            self.head = 0;
            self.tail = unread_len;
        } else if unread_len == 0 {
            self.head = 0;
            self.tail = 0;
        } else if self.head > 0 && spare_len < self.window.len() / 2 {
            self.window.copy_within(self.head..self.tail, 0);
            self.head = 0;
            self.tail = unread_len;
        }
        if self.tail == self.window.len() {
            self.grow_window((self.window.len() * 2).max(SHORTEST_WINDOW));
        }
    }

    fn grow_window(&mut self, len: usize) {
        if self.window.is_empty() {
            // Fresh zeroed memory is cheaper than memory that is zeroed here.
            self.window = vec![0; len];
        } else {
            self.window.resize(len, 0);
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
    // invariant of `Located`. `gather_whole` makes it so by `mask_and_look`, which saw all bytes to be
    // ASCII as it unmasked them, or by `is_utf8` afterwards; the other `gather_*` methods piece by piece:
    // each byte of the payload was seen so, or passed the assembler's validator after it was unmasked or
    // decoded, and `finish` saw the validator complete. Every method that could change those bytes ends
    // the event first, and `consume_head` drops a frame whose validated front would move.
    unsafe { core::str::from_utf8_unchecked(payload) }
}

/// A window starts with room for many small messages in little memory.
const SHORTEST_WINDOW: usize = 4 << 10;

/// Longer reads do not make the kernel faster.
const LONGEST_WINDOW: usize = 64 << 10;

/// A remainder of at least this length is read into the message; a shorter one comes with what
/// follows it.
const LANDED_LEN: usize = 4 << 10;
