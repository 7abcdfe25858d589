//! The core without a transport: a batch of masked messages in, their echo out.
//!
//! ```text
//! cargo bench --bench echo_core
//! ```
//!
//! Each iteration is one read: the batch is copied into the receive buffer, every message is
//! echoed, and the output is dropped.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use framewright::Role;
use support::{KINDS, Receiving, SIZES, throughput};

fn echo_core(criterion: &mut Criterion) {
    for (kind_name, kind) in KINDS {
        let mut group = criterion.benchmark_group(format!("echo_core/server/{kind_name}"));
        for size in SIZES {
            let mut echoing = Receiving::new(Role::Server, kind, size);
            group.throughput(throughput(size, size.per_read));
            group.bench_function(size.name, |bencher| bencher.iter(|| echoing.echo_batch()));
        }
    }
}

criterion_group!(benches, echo_core);
criterion_main!(benches);
