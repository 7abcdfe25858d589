//! What was inflated last, for the dictionary of a stream that follows another.
//!
//! A window of the library's own is out of reach once its stream has ended. It knows nothing of
//! streams and messages.
//!
//! RFC 7692, section 7.2.3.4.

/// A ring of bytes.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Grows to its full length, and is written round from then on.
    ring: Vec<u8>,
    /// Where the next byte goes.
    ///
    /// INVARIANT: next <= ring.len() <= HISTORY_LEN
    next: usize,
    /// Whether what is behind `next` was written too, a round ago.
    is_full: bool,
}

impl History {
    /// Appends what was inflated.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        match self.ring.get_mut(self.next..self.next + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.next += bytes.len();
            }
            None => self.extend_round(bytes),
        }
    }

    /// Forgets all, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.is_full = false;
    }

    /// Returns what there is, the oldest first.
    pub(super) fn in_order(&self) -> [&[u8]; 2] {
        let (recent, older) = self.ring.split_at(self.next);
        [if self.is_full { older } else { &[] }, recent]
    }

    /// Extends a ring that must grow for it, or be written round.
    fn extend_round(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(HISTORY_LEN)..];
        let end = (self.next + bytes.len()).min(HISTORY_LEN);
        if self.ring.len() < end {
            // Doubling, but never beyond what is of use.
            let len = end.max(2 * self.ring.len()).min(HISTORY_LEN);
            self.ring.reserve_exact(len - self.ring.len());
            self.ring.resize(len, 0);
        }
        let (first, rest) = bytes.split_at(end - self.next);
        self.ring[self.next..end].copy_from_slice(first);
        self.next = end;
        if !rest.is_empty() {
            self.ring[..rest.len()].copy_from_slice(rest);
            self.next = rest.len();
            self.is_full = true;
        }
    }
}

/// The largest distance that DEFLATE can refer back to.
const HISTORY_LEN: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::{HISTORY_LEN, History};

    #[test]
    fn the_last_32_kib_are_kept_in_order() {
        for lens in [
            &[0, 1, 2, 3][..],
            &[HISTORY_LEN, 1],
            &[HISTORY_LEN - 1, 1, 1],
            &[HISTORY_LEN - 1, 2, 0, HISTORY_LEN - 2],
            &[1, HISTORY_LEN, 5, HISTORY_LEN + 7, 9],
            &[100_000, 20_000, 20_000, 20_000],
            &[7; 10_000],
        ] {
            let mut history = History::default();
            let mut all = Vec::new();
            for round in 0..2 {
                for len in lens {
                    let start = all.len();
                    all.extend((start..start + len).map(|at| at.to_le_bytes()[at % 3]));
                    history.extend(&all[start..]);
                    let kept = &all[all.len().saturating_sub(HISTORY_LEN)..];
                    assert!(history.in_order().concat() == kept, "{lens:?}, {round}");
                    assert!(history.ring.capacity() <= HISTORY_LEN);
                }
                history.clear();
                all.clear();
            }
        }
    }
}
