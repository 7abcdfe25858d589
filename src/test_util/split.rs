//! How bytes are cut into pieces on their way.
//!
//! Lengths only: whose bytes they are, and where they go, it does not know.

/// How bytes are cut into pieces on their way.
///
/// A network may cut a stream of bytes anywhere, and a peer may write it in any pieces: what a
/// program makes of it must not depend on where. Run a test with each of [`ALL`](Self::ALL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Split {
    /// As many bytes as there are. The default.
    #[default]
    Whole,
    /// At most so many bytes; zero counts as one.
    Every(usize),
    /// Pieces of random lengths, the short ones often: the same for the same seed.
    Random(u64),
}

impl Split {
    /// The splits that are worth a run each.
    ///
    /// One byte finds what waits for more than it needs; 2, 3, 7 and 13 fall on every border within
    /// a header sooner or later.
    pub const ALL: [Self; 7] = [
        Self::Whole,
        Self::Every(1),
        Self::Every(2),
        Self::Every(3),
        Self::Every(7),
        Self::Every(13),
        Self::Random(0),
    ];

    /// Cuts `bytes` into pieces, none of which is empty.
    ///
    /// ```
    /// use framewright::test_util::Split;
    ///
    /// let pieces: Vec<_> = Split::Every(2).pieces(b"Hello").collect();
    /// assert_eq!(pieces, [&b"He"[..], b"ll", b"o"]);
    /// ```
    pub fn pieces(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut cutter = Cutter::new(self);
        let mut rest = bytes;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (piece, later) = rest.split_at(cutter.next_len(rest.len()));
            rest = later;
            Some(piece)
        })
    }
}

/// A [`Split`] that is being carried out.
#[derive(Debug, Clone)]
pub(super) struct Cutter {
    split: Split,
    /// What the next random length is made of.
    state: u64,
}

impl Cutter {
    pub(super) const fn new(split: Split) -> Self {
        let state = match split {
            Split::Random(seed) => seed,
            Split::Whole | Split::Every(_) => 0,
        };
        Self { split, state }
    }

    /// Returns how long the next piece of `available` bytes is: none only of none.
    pub(super) fn next_len(&mut self, available: usize) -> usize {
        match self.split {
            Split::Whole => available,
            Split::Every(most) => available.min(most.max(1)),
            Split::Random(_) => {
                let most = match self.roll() % 4 {
                    0 => 1,
                    1 => 1 + self.roll() % 16,
                    2 => 1 + self.roll() % 1024,
                    _ => u64::MAX,
                };
                // What does not fit in memory is more than there is.
                available.min(usize::try_from(most).unwrap_or(usize::MAX))
            }
        }
    }

    /// splitmix64, so that neighbouring seeds have nothing in common.
    const fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
