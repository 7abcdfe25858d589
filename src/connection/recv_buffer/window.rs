//! The window, and where the next read lands.
//!
//! How long the window is, whose it is while nothing comes, and when a read goes to the message
//! under assembly instead. What is in it is for `recv_buffer` and `gather` to say.

#[cfg(feature = "tokio")]
use bytes::buf::Limit;

use super::{Place, RecvBuffer};
use crate::frame::FrameHeader;

/// Where the read in progress lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Landing {
    Nowhere,
    Window,
    Message,
}

impl RecvBuffer {
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

    /// Has the next read append to the message, where that is where it lands, and returns what
    /// `read` returns.
    ///
    /// It is [`spare_mut`](Self::spare_mut) and [`commit`](Self::commit) for a stream that reads
    /// into memory which nobody has set to zero.
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
    /// `None` if there is no window, or one that is longer than messages have use for, because the
    /// head of a handshake was: it is not worth keeping.
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

    /// Whether the last read is likely to have cut a burst, so that it is answered after the next
    /// one.
    ///
    /// It is so for no two reads in a row, so that an answer waits for one read at most.
    #[cfg(any(feature = "tokio", feature = "futures-io"))]
    pub(crate) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Ends the event and returns whether the buffer is idle, so that another connection can have
    /// it as it is.
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

    /// Whether a payload is better kept in the window than moved: it is whole already, or so short
    /// that moving its beginning to the front of the window is cheaper than a buffer of its own.
    #[inline]
    pub(in crate::connection) fn fits_in_window(&self, header: &FrameHeader) -> bool {
        let there = (self.tail - self.head).saturating_sub(header.encoded_len());
        usize::try_from(header.payload_len).is_ok_and(|len| len <= there.max(LANDED_LEN))
    }

    /// How many bytes of the payload in flight may still land in the message.
    fn landable_len(&self) -> usize {
        let Some(frame) = &self.frame else { return 0 };
        frame
            .remaining_len()
            .saturating_sub(self.assembler.unprocessed_len())
    }

    /// Whether the next read lands in the message: what was received is consumed, and so much of a
    /// long payload is to come that a read of its own is worth it.
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
            // Much comes at once and is consumed: a longer window saves reads. Fresh zeroed memory
            // is cheaper than memory that is zeroed here.
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

/// A window starts with room for many small messages in little memory.
const SHORTEST_WINDOW: usize = 4 << 10;

/// Longer reads do not make the kernel faster.
const LONGEST_WINDOW: usize = 64 << 10;

/// A remainder of at least this length is read into the message; a shorter one comes with what
/// follows it.
const LANDED_LEN: usize = 4 << 10;
