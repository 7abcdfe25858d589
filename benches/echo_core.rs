//! The core without a transport: a batch of masked messages in, their echo out.
//!
//! ```text
//! cargo bench --bench echo_core
//! ```
//!
//! Each iteration is one read: the batch is copied into the receive buffer, every message is
//! echoed, and the output is consumed. Throughput counts messages.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv, mask_into};
use framewright::{Config, Connection, Event, RecvBuffer, Role, SendBuffer};

fn echo_core(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo_core/server");
    for (name, len, count) in [
        ("16B", 16, 64_usize),
        ("125B", 125, 64),
        ("1KiB", 1 << 10, 32),
        ("16KiB", 16 << 10, 3),
        ("1MiB", 1 << 20, 1),
    ] {
        for opcode in [Opcode::Binary, Opcode::Text] {
            let batch = batch(opcode, len, count);
            group.throughput(Throughput::Elements(count as u64));
            let id = BenchmarkId::new(name, format!("{opcode:?}").to_lowercase());
            group.bench_function(id, |bencher| {
                let mut server = Connection::new(Role::Server, Arc::new(Config::default()));
                let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
                bencher.iter(|| {
                    let mut echoed = 0;
                    let mut rest = black_box(&batch[..]);
                    while echoed < count {
                        let spare = input.spare_mut();
                        let len = rest.len().min(spare.len());
                        spare[..len].copy_from_slice(&rest[..len]);
                        input.commit(len);
                        rest = &rest[len..];
                        while let Ok(Some(event)) = server.receive(&mut input, &mut output) {
                            let sent = match event {
                                Event::Text(text) => server.send_text(text, &mut output),
                                Event::Binary(data) => server.send_binary(data, &mut output),
                                _ => Ok(()),
                            };
                            assert_eq!(sent, Ok(()));
                            echoed += 1;
                        }
                    }
                    output.consume(output.len());
                });
            });
        }
    }
}

/// Encodes `count` masked messages of `len` bytes.
fn batch(opcode: Opcode, len: usize, count: usize) -> Vec<u8> {
    let key = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
    let header = FrameHeader {
        fin: true,
        rsv: Rsv::NONE,
        opcode,
        mask: Some(key),
        payload_len: len as u64,
    };
    let payload = vec![b'a'; len];
    let mut batch = Vec::new();
    for _ in 0..count {
        header.encode(&mut batch);
        mask_into(&mut batch, &payload, key);
    }
    batch
}

criterion_group!(benches, echo_core);
criterion_main!(benches);
