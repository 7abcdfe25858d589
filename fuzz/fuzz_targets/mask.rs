//! Masking, in place and while copying.
//!
//! Asserts, for any key, offset, length and alignment, that
//! - masking is section 5.3 to the letter, and touches nothing beside the payload;
//! - masking while copying is the same, behind whatever the output held;
//! - a payload masked in two pieces is the payload masked at once;
//! - masking twice is nothing.
//!
//! It runs the kernel that the machine has; the unit tests of the crate compare the kernels with
//! each other.

#![no_main]

use framewright::frame::{MaskingKey, mask, mask_into};
use framewright_fuzz::script::Script;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let key: [u8; 4] = script.array().unwrap_or_default();
    let alignment = script.below(64);
    // Whatever it is, only its rest by four counts.
    let offset = script.pick(&[0, 1, 2, 3, 4, 7, 1 << 20, usize::MAX]);
    let cut = usize::from(script.u16());
    let repeat = script.pick(&[1, 1, 1, 2, 40]);
    let payload = script.rest().repeat(repeat);

    let expected: Vec<u8> = payload
        .iter()
        .enumerate()
        .map(|(index, byte)| byte ^ key[(index + offset % 4) % 4])
        .collect();
    let masking_key = MaskingKey::new(key);

    let mut aligned = Aligned {
        bytes: vec![BESIDE; payload.len() + 3 * 64],
    };
    let (start, buffer) = aligned.from(alignment);
    let range = start..start + payload.len();
    buffer[range.clone()].copy_from_slice(&payload);
    mask(&mut buffer[range.clone()], masking_key, offset);
    assert!(buffer[range.clone()] == expected, "by the letter");
    assert!(buffer[..start].iter().all(|byte| *byte == BESIDE));
    assert!(buffer[range.end..].iter().all(|byte| *byte == BESIDE));

    // Back again, in two pieces.
    let cut = cut.min(payload.len());
    let (front, back) = buffer[range.clone()].split_at_mut(cut);
    mask(back, masking_key, (offset % 4) + cut);
    mask(front, masking_key, offset);
    assert!(buffer[range] == payload, "twice is nothing");

    let mut copied = vec![BESIDE; alignment];
    mask_into(&mut copied, &payload, masking_key);
    let mut in_place = payload;
    mask(&mut in_place, masking_key, 0);
    assert!(copied[alignment..] == in_place, "while copying");
    assert!(copied[..alignment].iter().all(|byte| *byte == BESIDE));
});

const BESIDE: u8 = 0xaa;

/// Memory with places of every alignment.
struct Aligned {
    bytes: Vec<u8>,
}

impl Aligned {
    /// Returns the memory, and a place in it that is `alignment` bytes behind a multiple of 64.
    fn from(&mut self, alignment: usize) -> (usize, &mut [u8]) {
        let start = self.bytes.as_ptr().align_offset(64) + alignment;
        (start, &mut self.bytes)
    }
}
