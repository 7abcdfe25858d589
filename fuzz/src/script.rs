//! What the fuzzer makes up, read as choices.
//!
//! Choices are single bytes from the front, so that the fuzzer finds out what each one does; past
//! the end every choice is zero. What is left may be taken as it is.

use arbitrary::Unstructured;

/// A reader of choices.
#[derive(Debug)]
pub struct Script<'a> {
    bytes: Unstructured<'a>,
}

impl<'a> Script<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self {
            bytes: Unstructured::new(data),
        }
    }

    pub fn byte(&mut self) -> u8 {
        self.bytes.arbitrary().unwrap_or_default()
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub fn u64(&mut self) -> u64 {
        self.array().map(u64::from_le_bytes).unwrap_or_default()
    }

    /// Returns the next bytes, if there are as many.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes.bytes(N).ok()?.try_into().ok()
    }

    /// Returns a number below `end`, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Returns one of `options`.
    pub fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }

    /// Returns at most `len` bytes: what there is of them.
    pub fn up_to(&mut self, len: usize) -> &'a [u8] {
        let len = len.min(self.bytes.len());
        self.bytes.bytes(len).unwrap_or_default()
    }

    /// Returns a string of bytes whose length, at most `max_len`, stands before it.
    pub fn string(&mut self, max_len: usize) -> &'a [u8] {
        let len = usize::from(self.byte()).min(max_len);
        self.up_to(len)
    }

    /// Returns all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.up_to(usize::MAX)
    }

    pub fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn splits(&mut self) -> Splits {
        Splits {
            lens: [self.byte(), self.byte(), self.byte(), self.byte()],
            moves: self.byte(),
            next: 0,
        }
    }

    /// Appends the head of a message: the rest of the script as it is, or made of pieces, most of
    /// them legal, with bytes behind it or without. One byte changes each of the `lines` that it
    /// must have.
    pub fn push_head(&mut self, bytes: &mut Vec<u8>, lines: &[&[&[u8]]], pieces: &[&[u8]]) {
        let shape = self.byte();
        if shape & 1 == 1 {
            bytes.extend_from_slice(self.rest());
            return;
        }
        for options in lines {
            let choice = self.byte();
            match options.get(usize::from(choice)) {
                Some(piece) => bytes.extend_from_slice(piece),
                None => bytes.extend_from_slice(self.string(24)),
            }
        }
        while !self.is_at_end() && bytes.len() < 4096 {
            let choice = self.byte();
            match pieces.get(usize::from(choice)) {
                Some(piece) => bytes.extend_from_slice(piece),
                None => bytes.push(choice),
            }
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        // A head that is all that came may be read in another way.
        if shape & 2 == 2 {
            bytes.extend_from_slice(b"behind");
        }
    }
}

/// How bytes are split into chunks, and between which chunks a buffer changes hands: a pattern that
/// goes round, and chunks that double every 64.
#[derive(Debug, Clone)]
pub struct Splits {
    lens: [u8; 4],
    moves: u8,
    next: usize,
}

impl Splits {
    /// Everything at once.
    pub const WHOLE: Self = Self {
        lens: [0; 4],
        moves: 0,
        next: 0,
    };

    /// Byte by byte.
    pub const BYTES: Self = Self {
        lens: [1; 4],
        moves: 0,
        next: 0,
    };

    /// Takes the next chunk from the front of `bytes`, which is not empty, and says whether the
    /// buffer changes hands behind it.
    pub fn take<'a>(&mut self, bytes: &mut &'a [u8]) -> (&'a [u8], bool) {
        let len = match self.lens[self.next % 4] {
            0 => usize::MAX,
            // Chunks that get longer end a long stream before it gets boring.
            len @ 1..=191 => usize::from(len) << (self.next / 64).min(16),
            len => usize::from(len - 191) * 1024,
        };
        let moves = self.moves >> (self.next % 8) & 1 == 1;
        self.next += 1;
        let (chunk, rest) = bytes.split_at(len.min(bytes.len()));
        *bytes = rest;
        (chunk, moves)
    }
}
