//! Validation of text, whole and in pieces, beside the standard library's in the same run.
//!
//! The validator is the crate's own file, because no public name stands for it: what a connection
//! does beside would hide it. Without the feature `simdutf8` it is measured as it is then.
//!
//! ```text
//! cargo bench --bench utf8
//! ```

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

#[cfg_attr(test, expect(dead_code, reason = "its tests run with the library's"))]
#[path = "../src/utf8.rs"]
mod utf8;

use utf8::{Utf8Validator, is_utf8};

fn whole(criterion: &mut Criterion) {
    for (kind, sample) in KINDS {
        for (name, len) in LENGTHS {
            let text = text(sample, len);
            let mut group = criterion.benchmark_group(format!("utf8/{kind}"));
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(BenchmarkId::new(name, "whole"), |bencher| {
                bencher.iter(|| is_utf8(black_box(&text)));
            });
            group.bench_function(BenchmarkId::new(name, "std"), |bencher| {
                bencher.iter(|| std::str::from_utf8(black_box(&text)).is_ok());
            });
        }
    }
}

/// The last of the lengths of a piece is that of a segment of TCP, which ends inside characters.
fn pieces(criterion: &mut Criterion) {
    for (kind, sample) in KINDS {
        for (name, len) in LENGTHS {
            let text = text(sample, len);
            let mut group = criterion.benchmark_group(format!("utf8/{kind}"));
            group.throughput(Throughput::Bytes(len as u64));
            for piece_len in [7, 125, 1448]
                .into_iter()
                .filter(|piece_len| *piece_len < len)
            {
                let id = BenchmarkId::new(name, format!("pieces_of_{piece_len}B"));
                group.bench_function(id, |bencher| {
                    bencher.iter(|| {
                        let mut validator = Utf8Validator::new();
                        let mut pieces = black_box(&text).chunks(piece_len);
                        pieces.all(|piece| validator.feed(piece).is_ok()) && validator.is_complete()
                    });
                });
            }
        }
    }
}

/// Characters of one byte, of one to three, and of three.
const KINDS: [(&str, &str); 3] = [
    ("ascii", "The quick brown fox jumps over the lazy dog. "),
    (
        "mixed",
        "Zwölf Boxkämpfer — naïve café, 3 € – jagen Viktor über den Deich. ",
    ),
    ("cjk", "我能吞下玻璃而不伤身体。"),
];

const LENGTHS: [(&str, usize); 9] = [
    ("16B", 16),
    ("32B", 32),
    ("64B", 64),
    ("125B", 125),
    ("1KiB", 1 << 10),
    ("4KiB", 4 << 10),
    ("16KiB", 16 << 10),
    ("64KiB", 64 << 10),
    ("1MiB", 1 << 20),
];

/// Repeats a sample to so many bytes, the last of them ASCII where no character fits.
fn text(sample: &str, len: usize) -> Vec<u8> {
    let mut text = String::new();
    for char in sample.chars().cycle() {
        if text.len() + char.len_utf8() > len {
            break;
        }
        text.push(char);
    }
    text.extend((text.len()..len).map(|_| '.'));
    text.into_bytes()
}

criterion_group!(benches, whole, pieces);
criterion_main!(benches);
