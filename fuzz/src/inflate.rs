//! DEFLATE by the letter of RFC 1951, and messages of it by that of RFC 7692.
//!
//! Bit by bit and without tables: canonical codes are read as section 3.2.2 of RFC 1951 defines
//! them. It keeps everything that it ever inflated, so that there is no window to get wrong.

use std::sync::OnceLock;

/// How inflating a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Whole,
    /// The message is longer than it may be; what there is of it is one byte too long.
    TooLong,
    Invalid,
}

/// What the messages of a direction are inflated with.
#[derive(Debug, Default)]
pub struct Inflater {
    output: Vec<u8>,
}

impl Inflater {
    /// Forgets what came, as without context takeover between messages.
    pub fn clear(&mut self) {
        self.output.clear();
    }

    /// Inflates a message of at most `max_len` bytes, and returns as much as there is of it.
    pub fn message(&mut self, payload: &[u8], max_len: usize) -> (&[u8], Ending) {
        let start = self.output.len();
        let limit = start.saturating_add(max_len);
        let ending = match inflate(payload, limit, &mut self.output) {
            Ok(()) => Ending::Whole,
            Err(Stop::TooLong) => Ending::TooLong,
            Err(Stop::Invalid) => Ending::Invalid,
        };
        (&self.output[start..], ending)
    }
}

enum Stop {
    TooLong,
    Invalid,
}

/// Section 7.2.2 of RFC 7692: the tail is put back, and the message must end with it, or with a
/// stream (7.2.3.4).
fn inflate(payload: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), Stop> {
    let mut bits = Bits {
        payload,
        position: 0,
    };
    let own_end = payload.len() * 8;
    let end = own_end + 32;
    let mut streams = 0;
    // Where the message is over already, because it is empty or a stream ended with it.
    let mut is_over = payload.is_empty();
    while !is_over {
        let is_final = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, limit, output)?,
            1 => codes(&mut bits, fixed(), limit, output)?,
            2 => {
                let tables = dynamic(&mut bits)?;
                codes(&mut bits, &tables, limit, output)?;
            }
            _ => return Err(Stop::Invalid),
        }
        if is_final {
            bits.align();
            streams += 1;
            // As many as a message has fragments is enough; the library's own bound.
            if streams > MAX_STREAMS {
                return Err(Stop::Invalid);
            }
        }
        is_over = bits.position == end || (is_final && bits.position == own_end);
    }
    Ok(())
}

/// 3.2.4 of RFC 1951.
fn stored(bits: &mut Bits<'_>, limit: usize, output: &mut Vec<u8>) -> Result<(), Stop> {
    bits.align();
    let len = bits.take(16)?;
    if bits.take(16)? != !len & 0xffff {
        return Err(Stop::Invalid);
    }
    for _ in 0..len {
        let byte = bits.take(8)? as u8;
        bits.push(byte, limit, output)?;
    }
    Ok(())
}

/// 3.2.3: literals, and pairs of a length and a distance.
fn codes(
    bits: &mut Bits<'_>,
    (literals, distances): &(Code, Code),
    limit: usize,
    output: &mut Vec<u8>,
) -> Result<(), Stop> {
    loop {
        let symbol = usize::from(literals.read(bits)?);
        match symbol {
            0..=255 => bits.push(symbol as u8, limit, output)?,
            256 => return Ok(()),
            257..=285 => {
                let len = usize::from(LENGTHS[symbol - 257]);
                let len = len + bits.take(LENGTH_BITS[symbol - 257])? as usize;
                let symbol = usize::from(distances.read(bits)?);
                let (Some(base), Some(extra)) = (DISTANCES.get(symbol), DISTANCE_BITS.get(symbol))
                else {
                    return Err(Stop::Invalid);
                };
                let distance = usize::from(*base) + bits.take(*extra)? as usize;
                let Some(start) = output.len().checked_sub(distance) else {
                    return Err(Stop::Invalid);
                };
                for index in start..start + len {
                    bits.push(output[index], limit, output)?;
                }
            }
            _ => return Err(Stop::Invalid),
        }
    }
}

/// 3.2.7: the codes of a block, themselves coded.
fn dynamic(bits: &mut Bits<'_>) -> Result<(Code, Code), Stop> {
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let lengths = bits.take(4)? as usize + 4;
    if literals > 286 || distances > 30 {
        return Err(Stop::Invalid);
    }
    let mut lens = [0; 19];
    for place in &ORDER[..lengths] {
        lens[*place] = bits.take(3)? as u8;
    }
    let code = Code::new(&lens);
    if code.unused != 0 {
        return Err(Stop::Invalid);
    }
    let mut lens = [0_u8; 286 + 30];
    let mut index = 0;
    while index < literals + distances {
        let (len, count) = match code.read(bits)? {
            16 if index == 0 => return Err(Stop::Invalid),
            16 => (lens[index - 1], 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            len => (len as u8, 1),
        };
        let Some(places) = lens[..literals + distances].get_mut(index..index + count as usize)
        else {
            return Err(Stop::Invalid);
        };
        places.fill(len);
        index += count as usize;
    }
    let (literals, distances) = (&lens[..literals], &lens[literals..literals + distances]);
    let has_end = literals[256] != 0;
    let (literals, distances) = (Code::new(literals), Code::new(distances));
    // "If only one distance code is used, it is encoded using one bit", and what is incomplete else
    // is refused by zlib, as is what is too much.
    if has_end && literals.is_sound() && distances.is_sound() {
        Ok((literals, distances))
    } else {
        Err(Stop::Invalid)
    }
}

/// 3.2.6.
fn fixed() -> &'static (Code, Code) {
    static CODES: OnceLock<(Code, Code)> = OnceLock::new();
    CODES.get_or_init(|| {
        let mut lens = [8; 288];
        lens[144..256].fill(9);
        lens[256..280].fill(7);
        (Code::new(&lens), Code::new(&[5; 32]))
    })
}

/// A canonical code: how many symbols there are of each length, and the symbols in order.
struct Code {
    counts: [u16; 16],
    symbols: [u16; 288],
    /// How much of the space of codes of 15 bits is unused; below zero, it is too little.
    unused: i32,
}

impl Code {
    fn new(lens: &[u8]) -> Self {
        let mut counts = [0; 16];
        for len in lens {
            counts[usize::from(*len)] += 1;
        }
        counts[0] = 0;
        let mut nexts = [0_usize; 16];
        let mut unused = 1 << 15;
        for len in 1..16 {
            nexts[len] = nexts[len - 1] + usize::from(counts[len - 1]);
            unused -= i32::from(counts[len]) << (15 - len);
        }
        let mut symbols = [0; 288];
        for (symbol, len) in lens.iter().enumerate().filter(|(_, len)| **len > 0) {
            let next = &mut nexts[usize::from(*len)];
            symbols[*next] = symbol as u16;
            *next += 1;
        }
        Self {
            counts,
            symbols,
            unused,
        }
    }

    /// Whether it is complete, or of one code of one bit, or empty.
    fn is_sound(&self) -> bool {
        let longer = self.counts[2..].iter().all(|count| *count == 0);
        self.unused == 0 || (longer && self.counts[1] <= 1)
    }

    fn read(&self, bits: &mut Bits<'_>) -> Result<u16, Stop> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            let count = u32::from(*count);
            if code < first + count {
                return Ok(self.symbols[(index + code - first) as usize]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(Stop::Invalid)
    }
}

/// The bits of a payload and of the tail behind it (3.1.1).
struct Bits<'a> {
    payload: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u8) -> Result<u32, Stop> {
        let mut bits = 0;
        for place in 0..count {
            let index = self.position / 8;
            let byte = match self.payload.get(index) {
                Some(byte) => *byte,
                None => *[0x00, 0x00, 0xff, 0xff]
                    .get(index - self.payload.len())
                    .ok_or(Stop::Invalid)?,
            };
            bits |= u32::from(byte >> (self.position % 8) & 1) << place;
            self.position += 1;
        }
        Ok(bits)
    }

    /// Yields a byte, which is not the message's once bits of the tail were taken for it.
    fn push(&self, byte: u8, limit: usize, output: &mut Vec<u8>) -> Result<(), Stop> {
        if self.position > self.payload.len() * 8 {
            return Err(Stop::Invalid);
        }
        output.push(byte);
        if output.len() > limit {
            return Err(Stop::TooLong);
        }
        Ok(())
    }

    fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }
}

/// 3.2.5.
const LENGTHS: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_BITS: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCES: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_BITS: [u8; 30] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

const MAX_STREAMS: u32 = 128;
