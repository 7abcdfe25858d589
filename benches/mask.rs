//! Masking in place and while copying, beside a plain copy of as many bytes in the same run.
//!
//! Lengths, places in the key, and places in memory: `aligned` is the beginning of a line of the
//! cache, `unaligned` where the payload of a short masked frame stands behind it.
//!
//! ```text
//! cargo bench --bench mask
//! ```

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use framewright::frame::{MaskingKey, mask, mask_into};

const KEY: MaskingKey = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);

fn in_place(criterion: &mut Criterion) {
    for (name, len) in LENGTHS {
        let mut group = criterion.benchmark_group("mask");
        group.throughput(Throughput::Bytes(len as u64));
        for offset in 0..4 {
            let mut payloads = Payloads::new(len, 0);
            group.bench_function(
                BenchmarkId::new(name, format!("offset{offset}")),
                |bencher| {
                    bencher.iter(|| mask(payloads.next(), black_box(KEY), black_box(offset)));
                },
            );
        }
        for alignment in [1, 6, 14, 32] {
            let mut payloads = Payloads::new(len, alignment);
            let id = BenchmarkId::new(name, format!("unaligned{alignment}"));
            group.bench_function(id, |bencher| {
                bencher.iter(|| mask(payloads.next(), black_box(KEY), 0));
            });
        }
    }
}

fn while_copying(criterion: &mut Criterion) {
    for (name, len) in LENGTHS {
        let mut group = criterion.benchmark_group("mask_into");
        group.throughput(Throughput::Bytes(len as u64));
        let mut output = Vec::with_capacity(len);
        for (place, alignment) in [("aligned", 0), ("unaligned6", 6)] {
            let mut payloads = Payloads::new(len, alignment);
            group.bench_function(BenchmarkId::new(name, place), |bencher| {
                bencher.iter(|| {
                    output.clear();
                    mask_into(&mut output, payloads.next(), black_box(KEY));
                });
            });
        }
        let mut payloads = Payloads::new(len, 0);
        group.bench_function(BenchmarkId::new(name, "memcpy"), |bencher| {
            bencher.iter(|| {
                output.clear();
                output.extend_from_slice(payloads.next());
            });
        });
    }
}

/// Powers of two, and the longest payload of a control frame.
const LENGTHS: [(&str, usize); 22] = [
    ("1B", 1),
    ("2B", 2),
    ("4B", 4),
    ("8B", 8),
    ("16B", 16),
    ("32B", 32),
    ("64B", 64),
    ("125B", 125),
    ("128B", 128),
    ("256B", 256),
    ("512B", 512),
    ("1KiB", 1 << 10),
    ("2KiB", 2 << 10),
    ("4KiB", 4 << 10),
    ("8KiB", 8 << 10),
    ("16KiB", 16 << 10),
    ("32KiB", 32 << 10),
    ("64KiB", 64 << 10),
    ("128KiB", 128 << 10),
    ("256KiB", 256 << 10),
    ("512KiB", 512 << 10),
    ("1MiB", 1 << 20),
];

/// Payloads in a row, as a read brings them: to mask the same few bytes again and again would
/// measure how soon the processor reads what it has just written.
struct Payloads {
    bytes: Vec<u8>,
    first: usize,
    stride: usize,
    count: usize,
    next: usize,
    len: usize,
}

impl Payloads {
    fn new(len: usize, alignment: usize) -> Self {
        let stride = len.next_multiple_of(64) + 64;
        let count = (ROW_LEN / stride).max(1);
        let bytes = vec![0x5a; count * stride + 128];
        Self {
            first: bytes.as_ptr().align_offset(64) + alignment,
            bytes,
            stride,
            count,
            next: 0,
            len,
        }
    }

    #[inline]
    fn next(&mut self) -> &mut [u8] {
        let start = self.first + self.next * self.stride;
        self.next += 1;
        if self.next == self.count {
            self.next = 0;
        }
        black_box(&mut self.bytes[start..start + black_box(self.len)])
    }
}

/// So much stays in the cache that is next to the processor.
const ROW_LEN: usize = 12 << 10;

criterion_group!(benches, in_place, while_copying);
criterion_main!(benches);
