//! Masking in place, beside a plain copy of as many bytes in the same run.
//!
//! ```text
//! cargo bench --bench mask
//! ```

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use framewright::frame::{MaskingKey, mask, mask_into};

fn masks(criterion: &mut Criterion) {
    let key = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
    for (name, len) in [
        ("16B", 16),
        ("125B", 125),
        ("1KiB", 1 << 10),
        ("16KiB", 16 << 10),
        ("1MiB", 1 << 20),
    ] {
        let source = vec![0x5a; len];
        let mut group = criterion.benchmark_group("mask");
        group.throughput(Throughput::Bytes(len as u64));
        for offset in [0, 3] {
            let id = BenchmarkId::new(name, format!("offset{offset}"));
            let mut payload = source.clone();
            group.bench_function(id, |bencher| {
                bencher.iter(|| mask(black_box(&mut payload), key, offset));
            });
        }
        let mut output = Vec::with_capacity(len);
        group.bench_function(BenchmarkId::new(name, "while_copying"), |bencher| {
            bencher.iter(|| {
                output.clear();
                mask_into(&mut output, black_box(&source), key);
            });
        });
        group.bench_function(BenchmarkId::new(name, "memcpy"), |bencher| {
            bencher.iter(|| {
                output.clear();
                output.extend_from_slice(black_box(&source));
            });
        });
    }
}

criterion_group!(benches, masks);
criterion_main!(benches);
