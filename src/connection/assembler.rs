//! The message under assembly.
//!
//! Owns the kind, the bytes and the UTF-8 progress of the message whose frames are still coming,
//! in one contiguous buffer that grows with the bytes received. It knows nothing of headers and
//! roles, and judges nothing but UTF-8.
//!
//! RFC 6455, sections 5.4 and 8.1.

use bytes::Bytes;
#[cfg(feature = "tokio")]
use bytes::buf::{BufMut, Limit};

use super::config::Delivery;
use crate::error::ProtocolError;
use crate::extension::Step;
use crate::frame::{MaskingKey, mask, mask_and_look, mask_piece_into};
use crate::message::MessageKind;
use crate::utf8::Utf8Validator;

/// The unfinished message.
#[derive(Debug)]
pub(super) struct Assembler {
    kind: Option<MessageKind>,
    /// How the message is delivered: as the connection that it began on wants it, to its end.
    delivery: Delivery,
    coding: Coding,
    /// How many bytes of it were decoded, for the limit.
    decoded_len: u64,
    utf8: Utf8Validator,
    /// The announced lengths of the frames so far, for the limit.
    announced_len: u64,
    fragments: u64,
    /// Whether the frame that has begun is the last, so that its length is the message's.
    is_last_frame: bool,
    /// Initialised throughout, so that a read may land behind `filled`.
    ///
    /// INVARIANT: processed <= filled <= bytes.len()
    bytes: Vec<u8>,
    /// How many bytes have arrived.
    filled: usize,
    /// How many of them are unmasked and, in a text, validated.
    processed: usize,
    /// The message that is whole, if it is long: it can be passed on without a copy.
    ///
    /// INVARIANT: where it is not empty, `filled` is zero.
    whole: Bytes,
}

/// Whether an extension encoded a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Encoded,
}

impl Assembler {
    pub(super) const fn new() -> Self {
        Self {
            kind: None,
            delivery: Delivery::Messages,
            coding: Coding::Plain,
            decoded_len: 0,
            utf8: Utf8Validator::new(),
            announced_len: 0,
            fragments: 0,
            is_last_frame: false,
            bytes: Vec::new(),
            filled: 0,
            processed: 0,
            whole: Bytes::new(),
        }
    }

    /// Opens a message of `kind`, dropping what was there.
    pub(super) fn begin(&mut self, kind: MessageKind, delivery: Delivery, coding: Coding) {
        self.release();
        self.kind = Some(kind);
        self.delivery = delivery;
        self.coding = coding;
        self.decoded_len = 0;
        self.utf8 = Utf8Validator::new();
        self.announced_len = 0;
        self.fragments = 0;
        self.is_last_frame = false;
    }

    /// Counts a frame of the message, which is its last where `fin` is set.
    pub(super) fn add_frame(&mut self, payload_len: u64, fin: bool) {
        self.announced_len = self.announced_len.saturating_add(payload_len);
        self.fragments = self.fragments.saturating_add(1);
        self.is_last_frame = fin;
    }

    /// Unmasks a piece of the message that is not kept here, because it is whole or a chunk, and
    /// validates it.
    #[inline]
    pub(super) fn process_elsewhere(
        &mut self,
        piece: &mut [u8],
        key: Option<MaskingKey>,
        offset: usize,
    ) -> Result<(), ProtocolError> {
        let is_text = self.kind == Some(MessageKind::Text);
        process(piece, key, offset, is_text.then_some(&mut self.utf8))
    }

    /// Appends a piece of the message, `offset` bytes into the frame's payload, unmasks and
    /// validates it.
    ///
    /// Call [`process`](Self::process) before it.
    pub(super) fn append(
        &mut self,
        piece: &[u8],
        key: Option<MaskingKey>,
        offset: usize,
    ) -> Result<(), ProtocolError> {
        self.bytes.truncate(self.filled);
        self.reserve(piece.len());
        // What is no text is unmasked as it is copied, and so walked once.
        let unmasking = key.filter(|_| self.kind != Some(MessageKind::Text));
        if let Some(key) = unmasking {
            mask_piece_into(&mut self.bytes, piece, key, offset);
            self.processed = self.bytes.len();
        } else {
            self.bytes.extend_from_slice(piece);
        }
        self.filled = self.bytes.len();
        self.process(key, offset)?;
        Ok(())
    }

    /// Appends what one step of decoding a piece of `len` bytes yields, and validates it.
    ///
    /// What was decoded is judged before the error of the step, because it came before it.
    pub(super) fn decode(
        &mut self,
        len: usize,
        max_len: u64,
        step: impl FnOnce(&mut [u8]) -> Step,
    ) -> Result<Step, ProtocolError> {
        let step = step(self.decoding_room(len, max_len));
        let room = max_len.saturating_sub(self.decoded_len);
        let end = self
            .filled
            .saturating_add(step.written)
            .min(self.bytes.len());
        let decoded = &self.bytes[self.filled..end];
        let is_too_long = decoded.len() as u64 > room;
        self.decoded_len = self.decoded_len.saturating_add(decoded.len() as u64);
        if self.kind == Some(MessageKind::Text) {
            let len = usize::try_from(room).map_or(decoded.len(), |room| room.min(decoded.len()));
            self.utf8
                .feed(&decoded[..len])
                .map_err(|_| ProtocolError::TextNotUtf8)?;
        }
        if is_too_long {
            return Err(ProtocolError::MessageTooLong);
        }
        self.filled = end;
        self.processed = end;
        step.error.map_or(Ok(step), Err)
    }

    /// Returns room for what a piece of `len` bytes may become: a step at most, so that the limit
    /// is noticed in time, and more is asked for as long as there is more.
    fn decoding_room(&mut self, len: usize, max_len: u64) -> &mut [u8] {
        let spare_len = self.bytes.len() - self.filled;
        // One byte beyond the limit shows that it is passed.
        let useful = max_len.saturating_sub(self.decoded_len).saturating_add(1);
        let useful = usize::try_from(useful).unwrap_or(usize::MAX);
        if spare_len < LEAST_SPARE.min(useful) {
            let wanted = len.saturating_mul(4).clamp(LEAST_SPARE, LONGEST_STEP);
            let growth = wanted.max(self.filled).min(useful);
            self.bytes.reserve_exact(growth - spare_len);
            self.bytes.resize(self.filled + growth, 0);
        }
        let end = self.bytes.len().min(self.filled + LONGEST_STEP);
        &mut self.bytes[self.filled..end]
    }

    /// Unmasks and validates what has arrived since the last call, `offset` bytes into the frame's
    /// payload, and returns how much that was.
    pub(super) fn process(
        &mut self,
        key: Option<MaskingKey>,
        offset: usize,
    ) -> Result<usize, ProtocolError> {
        let Some(arrived) = self.bytes.get_mut(self.processed..self.filled) else {
            return Ok(0);
        };
        let len = arrived.len();
        let is_text = self.kind == Some(MessageKind::Text);
        // A block is validated while it is in the nearest cache.
        for block in arrived.chunks_mut(BLOCK_LEN) {
            process(block, key, offset, is_text.then_some(&mut self.utf8))?;
        }
        self.processed = self.filled;
        Ok(len)
    }

    /// Closes the message and returns its kind; its bytes stay until [`release`](Self::release).
    #[inline]
    pub(super) fn finish(&mut self) -> Result<Option<MessageKind>, ProtocolError> {
        if self.kind == Some(MessageKind::Text) && !self.utf8.is_complete() {
            return Err(ProtocolError::TextNotUtf8);
        }
        if self.filled > RETAINED_LEN {
            self.whole = Bytes::from(self.take_bytes());
        }
        Ok(self.kind.take())
    }

    /// Returns room for at most `len` bytes behind what has arrived.
    pub(super) fn spare_mut(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() - self.filled < len.min(LEAST_SPARE) {
            self.reserve(len.min(LEAST_SPARE));
            // Only what the next read may fill, which is then in the cache when it does.
            let end = self.filled + len.min(LONGEST_READ);
            self.bytes.resize(end.min(self.bytes.capacity()), 0);
        }
        let end = self.bytes.len().min(self.filled.saturating_add(len));
        &mut self.bytes[self.filled..end]
    }

    /// Returns what has arrived, with room behind it for at most `len` bytes that are to be
    /// appended.
    #[cfg(feature = "tokio")]
    pub(super) fn appendable(&mut self, len: usize) -> Limit<&mut Vec<u8>> {
        self.bytes.truncate(self.filled);
        self.reserve(len.min(LEAST_SPARE));
        let room = self.bytes.capacity() - self.filled;
        (&mut self.bytes).limit(room.min(len).min(LONGEST_READ))
    }

    /// Makes room for `least` bytes behind what has arrived, and never for much more than has
    /// arrived: memory follows bytes, not claims.
    fn reserve(&mut self, least: usize) {
        if self.bytes.capacity() - self.filled < least {
            // The buffer at least doubles, so that growing moves each byte a few times at most,
            // however little each read brings.
            let growth = self.filled.max(LEAST_GROWTH).max(least);
            let growth = match self.remaining_len() {
                // A frame that announces more has it quadruple, as long as that is little; and be a
                // little longer where that is all there will be.
                Some(len) => {
                    let leap = self.filled.saturating_mul(3).min(LONGEST_LEAP).max(growth);
                    if len <= leap.saturating_add(LEAST_GROWTH) {
                        len.max(least)
                    } else {
                        leap
                    }
                }
                None => growth,
            };
            let len = self.filled.saturating_add(growth);
            self.bytes.reserve_exact(len - self.bytes.len());
        }
    }

    /// How many bytes of the message are to come, if that is known.
    fn remaining_len(&self) -> Option<usize> {
        let remaining = self.announced_len.saturating_sub(self.filled as u64);
        usize::try_from(remaining)
            .ok()
            .filter(|_| self.is_last_frame)
    }

    /// Notes that `len` bytes arrived in [`spare_mut`](Self::spare_mut), or were appended.
    pub(super) fn commit(&mut self, len: usize) {
        self.filled = self.filled.saturating_add(len).min(self.bytes.len());
    }

    /// Moves the bytes out, with whatever room there is behind them.
    fn take_bytes(&mut self) -> Vec<u8> {
        let mut bytes = core::mem::take(&mut self.bytes);
        bytes.truncate(self.filled);
        self.filled = 0;
        self.processed = 0;
        bytes
    }

    /// Takes the message: a long one is moved out, of a short one the memory stays.
    pub(super) fn take_message(&mut self) -> Bytes {
        if !self.whole.is_empty() {
            return core::mem::take(&mut self.whole);
        }
        // A buffer grows by doubling, so it may have more room than it needs.
        let message = if self.filled < MOVED_LEN || self.filled < self.bytes.capacity() / 2 {
            Bytes::copy_from_slice(self.bytes())
        } else {
            Bytes::from(self.take_bytes())
        };
        self.release();
        message
    }

    /// Forgets the message; the memory of a short one stays.
    #[inline]
    pub(super) fn release(&mut self) {
        self.filled = 0;
        self.processed = 0;
        if !self.whole.is_empty() {
            self.whole = Bytes::new();
        }
        if self.bytes.capacity() > RETAINED_LEN {
            self.bytes = Vec::new();
        }
    }

    /// Gives back all memory, or, while a message is under assembly, what room it has for more than
    /// as much again.
    pub(super) fn park(&mut self) {
        if self.kind.is_none() {
            self.filled = 0;
            self.processed = 0;
            self.bytes = Vec::new();
            self.whole = Bytes::new();
        } else {
            let most = self.filled.saturating_mul(2).max(LEAST_GROWTH);
            self.bytes.truncate(most);
            self.bytes.shrink_to(most);
        }
    }

    pub(super) const fn kind(&self) -> Option<MessageKind> {
        self.kind
    }

    pub(super) const fn delivery(&self) -> Delivery {
        self.delivery
    }

    pub(super) const fn coding(&self) -> Coding {
        self.coding
    }

    pub(super) const fn announced_len(&self) -> u64 {
        self.announced_len
    }

    pub(super) const fn fragments(&self) -> u64 {
        self.fragments
    }

    /// How many bytes have arrived and are not processed.
    pub(super) const fn unprocessed_len(&self) -> usize {
        self.filled - self.processed
    }

    pub(super) fn bytes(&self) -> &[u8] {
        if self.whole.is_empty() {
            &self.bytes[..self.filled]
        } else {
            &self.whole
        }
    }

    /// Returns the message that is whole, if it is long.
    #[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io"))]
    pub(super) const fn whole(&self) -> &Bytes {
        &self.whole
    }
}

/// Unmasks a piece, and validates it if it is of a text: as ASCII, where the masker saw no more.
#[inline]
fn process(
    piece: &mut [u8],
    key: Option<MaskingKey>,
    offset: usize,
    text: Option<&mut Utf8Validator>,
) -> Result<(), ProtocolError> {
    let Some(utf8) = text else {
        if let Some(key) = key {
            mask(piece, key, offset);
        }
        return Ok(());
    };
    let is_ascii = key.is_some_and(|key| mask_and_look(piece, key, offset));
    let judged = if is_ascii {
        utf8.feed_ascii(piece)
    } else {
        utf8.feed(piece)
    };
    judged.map_err(|_| ProtocolError::TextNotUtf8)
}

/// A first read into a message may be this long: little for the beginning of a long message that is
/// never finished.
const LEAST_GROWTH: usize = 8 << 10;

/// A buffer grows by more than as much again only up to this.
const LONGEST_LEAP: usize = 1 << 20;

/// Less room than this makes reads short.
const LEAST_SPARE: usize = 4 << 10;

/// How much a step of decoding may yield.
const LONGEST_STEP: usize = 64 << 10;

/// How much a read may bring: more is not in the nearest cache any more when it is unmasked, nor,
/// where it is set to zero before, when the kernel fills it.
const LONGEST_READ: usize = 32 << 10;

/// Half of the nearest cache, and a multiple of the key's length.
const BLOCK_LEN: usize = 32 << 10;

/// A message of at least this length is moved out rather than copied.
const MOVED_LEN: usize = 4 << 10;

/// A buffer up to this size is kept for the next message that is not in the window.
const RETAINED_LEN: usize = 64 << 10;
