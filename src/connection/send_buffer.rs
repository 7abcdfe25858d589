//! Bytes on their way out.
//!
//! Owns what was appended, payloads that are shared rather than copied, how much of it the
//! transport has taken, and the one automatic Pong that may still be replaced. It knows where a
//! frame begins, and not what is in it.

use core::fmt;
use core::ops::Range;
use std::collections::VecDeque;

use bytes::Bytes;

/// The output of a connection: what waits to be written.
///
/// Write the [`chunks`](Self::chunks) in order, all of them in one vectored write if the transport
/// has it, and [`consume`](Self::consume) as many bytes as were taken. A partial write moves no
/// memory, and a buffer that drained gives back what a large message made it take.
#[derive(Default)]
pub struct SendBuffer {
    /// What was appended, without the shared payloads.
    bytes: Vec<u8>,
    /// How much of `bytes` is consumed.
    ///
    /// INVARIANT: head <= bytes.len(), and head <= every place in `shared`.
    head: usize,
    /// Shared payloads in order, each with the place in `bytes` before which it is written.
    shared: VecDeque<(usize, Bytes)>,
    shared_len: usize,
    /// Where in `bytes` the automatic Pong is of which no byte is out.
    pong: Option<Range<usize>>,
}

impl SendBuffer {
    /// Makes an empty buffer, which owns no memory.
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            head: 0,
            shared: VecDeque::new(),
            shared_len: 0,
            pong: None,
        }
    }

    /// Drops `len` bytes from the front: the transport has taken them.
    ///
    /// More than there are counts as all of them.
    #[inline]
    pub fn consume(&mut self, len: usize) {
        // All of it in one piece, as mostly.
        if self.shared.is_empty() && len >= self.bytes.len() - self.head {
            self.head = self.bytes.len();
            self.pong = None;
            self.reclaim();
        } else {
            self.consume_pieces(len);
        }
    }

    fn consume_pieces(&mut self, mut len: usize) {
        while len > 0 {
            if let Some((place, payload)) = self.shared.front_mut()
                && *place == self.head
            {
                let taken = len.min(payload.len());
                bytes::Buf::advance(payload, taken);
                self.shared_len -= taken;
                len -= taken;
                if payload.is_empty() {
                    self.shared.pop_front();
                }
                continue;
            }
            let end = self
                .shared
                .front()
                .map_or(self.bytes.len(), |(place, _)| *place);
            let taken = len.min(end - self.head);
            if taken == 0 {
                break;
            }
            self.head += taken;
            len -= taken;
        }
        if self
            .pong
            .as_ref()
            .is_some_and(|pong| pong.start < self.head)
        {
            self.pong = None;
        }
        self.reclaim();
    }

    /// Gives the buffer memory to append to, such as that of a pool; what is in it is overwritten.
    ///
    /// A buffer that is not empty keeps its own.
    pub fn lend(&mut self, mut memory: Vec<u8>) {
        if self.is_empty() {
            memory.clear();
            self.bytes = memory;
        }
    }

    /// Takes the memory of an empty buffer back, so that a connection which waits holds none.
    ///
    /// Returns `None` if bytes wait, or there is no memory.
    pub fn park(&mut self) -> Option<Vec<u8>> {
        if !self.is_empty() || self.bytes.capacity() + self.shared.capacity() == 0 {
            return None;
        }
        self.shared = VecDeque::new();
        Some(core::mem::take(&mut self.bytes))
    }

    /// Returns the bytes in order, as the pieces that they are stored in; none of them is empty.
    pub fn chunks(&self) -> Chunks<'_> {
        Chunks {
            buffer: self,
            head: self.head,
            index: 0,
            shared_next: false,
        }
    }

    /// Returns the bytes if they are in one piece, as they mostly are.
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        self.shared.is_empty().then(|| &self.bytes[self.head..])
    }

    /// Copies all that waits into one vector.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        for chunk in self.chunks() {
            bytes.extend_from_slice(chunk);
        }
        bytes
    }

    /// Returns how many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.head + self.shared_len
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the answer to a Ping waits of which no byte is out.
    ///
    /// The next Ping would take its place. An adapter that writes now answers them all, as long as
    /// the transport takes bytes faster than Pings come.
    #[inline]
    pub fn pong_waits(&self) -> bool {
        self.pong.is_some()
    }

    /// Returns the vector to append to.
    #[inline]
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.begin();
        }
        &mut self.bytes
    }

    /// Returns the vector to append to, if it has room for `len` bytes as it is.
    #[inline]
    pub(super) fn roomy_tail(&mut self, len: usize) -> Option<&mut Vec<u8>> {
        (self.bytes.capacity() - self.bytes.len() >= len).then_some(&mut self.bytes)
    }

    /// Makes room for the first bytes.
    #[cold]
    fn begin(&mut self) {
        self.bytes.reserve_exact(LEAST_LEN);
    }

    /// Appends a payload without copying it.
    pub(super) fn append_shared(&mut self, payload: Bytes) {
        if payload.is_empty() {
            return;
        }
        self.shared_len = self.shared_len.saturating_add(payload.len());
        self.shared.push_back((self.bytes.len(), payload));
    }

    /// Removes the automatic Pong of which no byte is out, because a newer one follows.
    ///
    /// 5.5.3: "the endpoint MAY elect to send a Pong frame for only the most recently processed
    /// Ping frame."
    pub(super) fn remove_pong(&mut self) {
        let Some(pong) = self.pong.take() else { return };
        let len = pong.len();
        // The usual case by far is a Pong at the end; else this moves what follows, once, since
        // the next Pong is at the end.
        self.bytes.drain(pong.clone());
        for (place, _) in &mut self.shared {
            if *place >= pong.end {
                *place -= len;
            }
        }
    }

    /// Notes that what was appended since `start` is an automatic Pong.
    pub(super) fn mark_pong(&mut self, start: usize) {
        self.pong = Some(start..self.bytes.len());
    }

    /// Gives back or reuses the memory of what is consumed.
    fn reclaim(&mut self) {
        if self.head == self.bytes.len() && self.shared.is_empty() {
            self.head = 0;
            self.bytes.clear();
            if self.bytes.capacity() > RETAINED_LEN {
                self.bytes = Vec::new();
            }
        } else if self.head > self.bytes.len() / 2 && self.head >= RETAINED_LEN {
            // At most as many bytes are moved as were consumed since the last time.
            let head = self.head;
            self.bytes.drain(..head);
            for (place, _) in &mut self.shared {
                *place -= head;
            }
            self.pong = self
                .pong
                .take()
                .map(|pong| pong.start - head..pong.end - head);
            self.head = 0;
        }
    }
}

impl fmt::Debug for SendBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBuffer")
            .field("len", &self.len())
            .field("shared", &self.shared.len())
            .finish_non_exhaustive()
    }
}

/// The pieces of a [`SendBuffer`], in order.
#[derive(Debug, Clone)]
pub struct Chunks<'a> {
    buffer: &'a SendBuffer,
    head: usize,
    /// The next shared payload.
    index: usize,
    /// Whether all bytes before that payload were returned.
    shared_next: bool,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let buffer = self.buffer;
        loop {
            let Some((place, payload)) = buffer.shared.get(self.index) else {
                let rest = &buffer.bytes[self.head..];
                self.head = buffer.bytes.len();
                return (!rest.is_empty()).then_some(rest);
            };
            if self.shared_next {
                self.index += 1;
                self.shared_next = false;
                return Some(payload);
            }
            let before = &buffer.bytes[self.head..*place];
            self.head = *place;
            self.shared_next = true;
            if !before.is_empty() {
                return Some(before);
            }
        }
    }
}

/// A payload of at least this length is cheaper to write from where it is than to copy.
pub(super) const SHARED_LEN: usize = 8 << 10;

/// A buffer begins with room for a few short messages, so that they do not have it grow each time.
const LEAST_LEN: usize = 512;

/// A buffer up to this size is kept when it drains: what the adapters write at once, which is 64
/// KiB and the message that brought it there.
const RETAINED_LEN: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// `ab` `SHARED` `cd` `MORE` `ef`.
    fn mixed() -> SendBuffer {
        let mut buffer = SendBuffer::new();
        buffer.tail().extend_from_slice(b"ab");
        buffer.append_shared(Bytes::from_static(b"SHARED"));
        buffer.tail().extend_from_slice(b"cd");
        buffer.append_shared(Bytes::from_static(b"MORE"));
        buffer.tail().extend_from_slice(b"ef");
        buffer
    }

    #[test]
    fn shared_payloads_stay_in_their_place() {
        let buffer = mixed();
        let chunks: Vec<_> = buffer.chunks().collect();
        assert_eq!(chunks, [&b"ab"[..], b"SHARED", b"cd", b"MORE", b"ef"]);
        assert_eq!(buffer.len(), 16);
    }

    #[test]
    fn partial_writes_of_any_length_lose_nothing() {
        let whole = mixed().to_vec();
        for step in 1..=whole.len() + 1 {
            let mut buffer = mixed();
            let mut written = Vec::new();
            while !buffer.is_empty() {
                let waiting = buffer.to_vec();
                assert_eq!(waiting.len(), buffer.len());
                let len = step.min(waiting.len());
                written.extend_from_slice(&waiting[..len]);
                buffer.consume(step);
            }
            assert_eq!(written, whole, "in steps of {step}");
        }
    }

    #[test]
    fn a_pong_in_the_middle_is_replaced_without_touching_its_neighbours() {
        let mut buffer = SendBuffer::new();
        buffer.tail().extend_from_slice(b"before");
        buffer.tail().extend_from_slice(b"pong");
        buffer.mark_pong(6);
        buffer.tail().extend_from_slice(b"after");
        buffer.append_shared(Bytes::from_static(b"SHARED"));
        buffer.remove_pong();
        let start = buffer.tail().len();
        buffer.tail().extend_from_slice(b"newer");
        buffer.mark_pong(start);
        assert_eq!(buffer.to_vec(), b"beforeafterSHAREDnewer");
        buffer.remove_pong();
        assert_eq!(buffer.to_vec(), b"beforeafterSHARED");
    }

    #[test]
    fn a_pong_that_has_begun_to_leave_stays_whole() {
        let mut buffer = SendBuffer::new();
        buffer.tail().extend_from_slice(b"pong");
        buffer.mark_pong(0);
        buffer.consume(1);
        buffer.remove_pong();
        assert_eq!(buffer.to_vec(), b"ong");
    }

    #[test]
    fn a_steady_trickle_of_writes_keeps_memory_flat() {
        let mut buffer = SendBuffer::new();
        for _ in 0..10_000 {
            buffer.tail().extend_from_slice(&[0; 1000]);
            buffer.consume(buffer.len() - 1);
        }
        assert!(buffer.tail().capacity() < 4 * RETAINED_LEN);
    }

    #[test]
    fn the_memory_of_a_large_message_is_given_back() {
        let mut buffer = SendBuffer::new();
        buffer.tail().resize(1 << 20, 0);
        buffer.consume(1 << 20);
        assert_eq!(buffer.bytes.capacity(), 0);
    }
}
