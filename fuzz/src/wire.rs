//! Frames, written and read without the library.
//!
//! From the diagram of RFC 6455, section 5.2, to the letter, so that a fault of the library's codec
//! cannot hide itself.

use framewright::Role;

use crate::script::Script;

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

/// A frame that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    pub first: u8,
    pub mask: Option<[u8; 4]>,
    /// As it is on the wire.
    pub masked: &'a [u8],
}

impl Frame<'_> {
    pub const fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub const fn rsv(&self) -> u8 {
        self.first & 0x70
    }

    pub const fn fin(&self) -> bool {
        self.first & 0x80 != 0
    }

    /// The payload byte by byte, unmasked.
    pub fn payload(&self) -> impl Iterator<Item = u8> {
        // 5.3: "transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)"
        let key = self.mask.unwrap_or_default();
        let masked = self.masked.iter().enumerate();
        masked.map(move |(index, byte)| byte ^ key[index % 4])
    }

    pub fn payload_is(&self, payload: &[u8]) -> bool {
        self.payload().eq(payload.iter().copied())
    }
}

/// Reads the frame at the front of `bytes`, and what is behind it; `None` if it is not whole.
///
/// Its length must be in the shortest form (5.2).
pub fn split_frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (len, rest) = match second & 0x7f {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from(u16::from_be_bytes(*len));
            assert!(len > 125, "a length that fits in 7 bits is in 16");
            (len, rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from_be_bytes(*len);
            assert!(len > 0xffff, "a length that fits in 16 bits is in 64");
            (len, rest)
        }
        len => (u64::from(len), rest),
    };
    let (mask, rest) = if second & 0x80 == 0 {
        (None, rest)
    } else {
        let (mask, rest) = rest.split_first_chunk()?;
        (Some(*mask), rest)
    };
    let (masked, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    Some((
        Frame {
            first,
            mask,
            masked,
        },
        rest,
    ))
}

/// Reads the frame that `sender` wrote to the front of `bytes`, and asserts that it may write it:
/// masked or not as 5.1 has it, control frames short and whole.
pub fn split_sent(sender: Role, bytes: &[u8]) -> (Frame<'_>, &[u8]) {
    let (frame, rest) = split_frame(bytes).expect("output holds whole frames");
    assert_eq!(frame.mask.is_some(), sender == Role::Client);
    assert!(matches!(frame.opcode(), 0..=2 | 8..=10), "{frame:?}");
    if frame.opcode() & 8 != 0 {
        assert!(frame.fin() && frame.rsv() == 0 && frame.masked.len() <= 125);
    }
    (frame, rest)
}

/// Appends a frame whose first byte is `first`.
pub fn push_frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8], output: &mut Vec<u8>) {
    push_header(first, mask, payload.len() as u64, output);
    let start = output.len();
    output.extend_from_slice(payload);
    apply(mask, &mut output[start..]);
}

/// Masks a payload, if it is to be.
fn apply(mask: Option<[u8; 4]>, payload: &mut [u8]) {
    // A key of zeros is what most frames here have, so that the fuzzer sees through it.
    let Some(key) = mask.filter(|key| *key != [0; 4]) else {
        return;
    };
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[index % 4];
    }
}

fn push_header(first: u8, mask: Option<[u8; 4]>, len: u64, output: &mut Vec<u8>) {
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    output.push(first);
    match len {
        0..=125 => output.push(mask_bit | len as u8),
        126..=0xffff => {
            output.push(mask_bit | 126);
            output.extend((len as u16).to_be_bytes());
        }
        _ => {
            output.push(mask_bit | 127);
            output.extend(len.to_be_bytes());
        }
    }
    output.extend(mask.iter().flatten());
}

/// Appends what the peer of `receiver` sends: the rest of the script as it is, or frames after its
/// choices, most of them legal.
pub fn push_stream(receiver: Role, script: &mut Script<'_>, output: &mut Vec<u8>) {
    if script.flag() {
        output.extend_from_slice(script.rest());
        return;
    }
    while !script.is_at_end() && output.len() < LONGEST_STREAM {
        push_choice(receiver, script, output);
    }
}

fn push_choice(receiver: Role, script: &mut Script<'_>, output: &mut Vec<u8>) {
    let choice = script.byte();
    let mut first = match choice & 0x0f {
        0 => 0x80 | TEXT,
        1 => TEXT,
        2 => 0x80 | BINARY,
        3 => BINARY,
        4 | 5 => CONTINUATION,
        6 | 7 => 0x80 | CONTINUATION,
        8 => 0x80 | PING,
        9 => 0x80 | PONG,
        10 => 0x80 | CLOSE,
        // 7.2.3 of RFC 7692: compressed.
        11 => 0xc0 | TEXT,
        12 => 0x40 | TEXT,
        13 => 0xc0 | BINARY,
        14 => 0x40 | BINARY,
        _ => script.byte(),
    };
    if choice & 0x10 != 0 && first & 0x08 == 0 {
        first |= 0x80;
    }
    let mask = (receiver == Role::Server).then_some(match choice >> 5 {
        0..=2 => [0; 4],
        key => [key, key << 4, !key, 0xa5],
    });
    match script.byte() {
        len @ 0..=223 => push_frame(first, mask, script.up_to(len.into()), output),
        // Long payloads of a pattern, on both sides of every border.
        long @ 224..=247 => {
            let len = LONG_LENS[usize::from(long - 224) % LONG_LENS.len()];
            let pattern = [script.byte(), script.byte()];
            push_header(first, mask, len as u64, output);
            let start = output.len();
            output.extend(pattern);
            // By doubling: a step for each byte would be most of the time.
            while output.len() < start + len {
                let more = (output.len() - start).min(start + len - output.len());
                output.extend_from_within(start..start + more);
            }
            apply(mask, &mut output[start..]);
        }
        // A length that is claimed, and need not be true nor the shortest.
        claim => {
            let mask_bit = if claim & 1 == 0 && mask.is_some() {
                0x80
            } else {
                0
            };
            output.push(first);
            if claim & 2 == 0 {
                output.push(mask_bit | 126);
                output.extend(script.up_to(2));
            } else {
                output.push(mask_bit | 127);
                output.extend(script.up_to(8));
            }
        }
    }
}

const LONG_LENS: [usize; 12] = [
    125, 126, 127, 256, 300, 1023, 1024, 4095, 4096, 8192, 65_535, 65_536,
];

/// Longer streams only make executions slower.
const LONGEST_STREAM: usize = 20_000;
