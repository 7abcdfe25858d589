//! Receiving without a transport: a batch of messages from one read to its events.
//!
//! ```text
//! cargo bench --bench receive
//! ```
//!
//! A server receives masked messages, a client unmasked ones. Each iteration is one read: the
//! batch is copied into the receive buffer, and every event is looked at.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{KINDS, ROLES, Receiving, SIZES, throughput};

fn receive(criterion: &mut Criterion) {
    for (role_name, role) in ROLES {
        for (kind_name, kind) in KINDS {
            let mut group = criterion.benchmark_group(format!("receive/{role_name}/{kind_name}"));
            for size in SIZES {
                let mut receiving = Receiving::new(role, kind, size);
                group.throughput(throughput(size, size.per_read));
                group.bench_function(size.name, |bencher| {
                    bencher.iter(|| receiving.receive_batch());
                });
            }
        }
    }
}

criterion_group!(benches, receive);
criterion_main!(benches);
