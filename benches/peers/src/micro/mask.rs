//! Masking in place: what libraries have in public, beside the best kernels by hand.
//!
//! Where there is no argument for the offset, the key is turned instead, as such a library does.

use std::hint::black_box;

use framewright::frame::MaskingKey;

use super::{Failure, Group, Run, frames, kernels};
use crate::figures::Subject;
use crate::servers::Kind;

pub(super) const ALIGNED: Group = Group {
    name: "micro-mask",
    title: "Masking in place: length + offset into the key, payloads aligned",
    rows: ROWS,
    subjects,
    unit: 1,
    // At multiples of 64.
    prepare: |row, subject| prepare(row, subject, 0),
};

pub(super) const MISALIGNED: Group = Group {
    name: "micro-mask-misaligned",
    title: "Masking in place: length + offset into the key, payloads misaligned",
    rows: ROWS,
    subjects,
    unit: 1,
    // One byte behind multiples of 64.
    prepare: |row, subject| prepare(row, subject, 1),
};

fn subjects() -> Vec<Subject> {
    let floors = kernels::all().into_iter().map(|(name, _)| Subject {
        name,
        package: "peers",
        kind: Kind::Floor,
    });
    floors.chain(MASKS.iter().map(|it| it.subject)).collect()
}

/// A mask of a library.
struct Mask {
    subject: Subject,
    prepare: fn(Buffer) -> Result<Run, Failure>,
}

const MASKS: [Mask; 4] = [
    Mask {
        subject: Subject {
            name: "framewright",
            package: "framewright",
            kind: Kind::Framewright,
        },
        prepare: |buffer| {
            buffer.run(|payload, offset| {
                framewright::frame::mask(payload, MaskingKey::new(KEY), offset);
            })
        },
    },
    Mask {
        subject: Subject {
            name: "fastwebsockets",
            package: "fastwebsockets",
            kind: Kind::Peer,
        },
        prepare: |buffer| {
            buffer.run(|payload, offset| fastwebsockets::unmask(payload, turned(offset)))
        },
    },
    Mask {
        subject: Subject {
            name: "sockudo-ws",
            package: "sockudo-ws",
            kind: Kind::Peer,
        },
        prepare: |buffer| {
            buffer.run(|payload, offset| sockudo_ws::simd::apply_mask_offset(payload, KEY, offset))
        },
    },
    Mask {
        subject: Subject {
            name: "yawc",
            package: "yawc",
            kind: Kind::Peer,
        },
        prepare: |buffer| {
            buffer.run(|payload, offset| yawc::mask::apply_mask(payload, turned(offset)))
        },
    },
];

fn prepare(row: usize, subject: usize, misalignment: usize) -> Result<Run, Failure> {
    let buffer = Buffer::new(
        LENGTHS[row / OFFSETS.len()],
        OFFSETS[row % OFFSETS.len()],
        misalignment,
    );
    let kernels = kernels::all();
    match kernels.get(subject) {
        Some((_, kernel)) => {
            let kernel = *kernel;
            buffer.run(move |payload, offset| kernel(payload, turned(offset)))
        }
        None => (MASKS[subject - kernels.len()].prepare)(buffer),
    }
}

/// Payloads in memory, and an offset into the key.
///
/// There are many short ones, because no payload is masked twice in a row: the processor would wait
/// for what it has just stored.
struct Buffer {
    bytes: Vec<u8>,
    /// Where each payload starts.
    starts: Vec<usize>,
    len: usize,
    offset: usize,
}

impl Buffer {
    fn new(len: usize, offset: usize, misalignment: usize) -> Self {
        let stride = (len + misalignment).next_multiple_of(64);
        let count = (IN_CACHE / stride).clamp(1, MOST_PAYLOADS);
        let bytes = vec![0; count * stride + 64];
        let start = bytes.as_ptr().align_offset(64) + misalignment;
        Self {
            bytes,
            starts: (0..count).map(|number| start + number * stride).collect(),
            len,
            offset,
        }
    }

    /// Checks a mask, and prepares to run it.
    fn run(mut self, mask: impl Fn(&mut [u8], usize) + 'static) -> Result<Run, Failure> {
        let source = frames::payload(0, self.len);
        let mut expected = self.bytes.clone();
        for &start in &self.starts {
            self.bytes[start..][..self.len].copy_from_slice(&source);
            mask(&mut self.bytes[start..][..self.len], self.offset);
            let masked = source.iter().enumerate();
            let masked = masked.map(|(at, byte)| byte ^ KEY[(self.offset + at) % 4]);
            expected.splice(start..start + self.len, masked);
        }
        // Neither is a payload wrong, nor a byte beside it.
        if self.bytes != expected {
            return Err("it is not what the key makes of the payload".into());
        }
        Ok(Box::new(move |count| {
            let mut starts = self.starts.iter().cycle();
            for _ in 0..count {
                let start = *starts.next().ok_or("no payload")?;
                let payload = &mut self.bytes[start..][..self.len];
                mask(black_box(payload), black_box(self.offset));
            }
            Ok(())
        }))
    }
}

/// The key as it is after so many bytes.
#[inline]
fn turned(offset: usize) -> [u8; 4] {
    let key = u32::from_be_bytes(KEY);
    key.rotate_left(8 * (offset as u32 % 4)).to_be_bytes()
}

const MOST_PAYLOADS: usize = 64;

/// The payloads stay in the first cache.
const IN_CACHE: usize = 16 << 10;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const LENGTHS: [usize; 5] = [16, 64, 125, 1 << 10, 16 << 10];
const OFFSETS: [usize; 2] = [0, 3];
const ROWS: &[&str] = &[
    "16B+0", "16B+3", "64B+0", "64B+3", "125B+0", "125B+3", "1KiB+0", "1KiB+3", "16KiB+0",
    "16KiB+3",
];
