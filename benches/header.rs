//! Frame headers: decoding and encoding each form of the length, masked and not.
//!
//! ```text
//! cargo bench --bench header
//! ```
//!
//! The ids name the length of the payload, which is told in 7, 16 or 64 bits.

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use framewright::MessageKind;
use framewright::frame::FrameHeader;
use support::{B125, KEY, KIB1, MIB1, header};

fn headers(criterion: &mut Criterion) {
    for (mask_name, mask) in [("unmasked", None), ("masked", Some(KEY))] {
        let forms = [B125, KIB1, MIB1].map(|size| {
            let header = header(MessageKind::Binary, mask, size);
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            (size.name, header, bytes)
        });
        let mut group = criterion.benchmark_group(format!("header/decode/{mask_name}"));
        group.throughput(Throughput::Elements(1));
        for (name, _, bytes) in &forms {
            group.bench_function(*name, |bencher| {
                bencher.iter(|| FrameHeader::decode(black_box(bytes)));
            });
        }
        drop(group);
        let mut group = criterion.benchmark_group(format!("header/encode/{mask_name}"));
        group.throughput(Throughput::Elements(1));
        for (name, header, _) in &forms {
            let mut output = Vec::with_capacity(FrameHeader::MAX_LEN);
            group.bench_function(*name, |bencher| {
                bencher.iter(|| {
                    output.clear();
                    black_box(header).encode(black_box(&mut output));
                });
            });
        }
    }
}

criterion_group!(benches, headers);
criterion_main!(benches);
