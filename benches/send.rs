//! Sending without a transport: from a message to the bytes that a transport takes.
//!
//! ```text
//! cargo bench --bench send
//! ```
//!
//! A client masks what it sends, with keys of the thread's generator. Each iteration is one flush:
//! of one message, or of 64 if they are short, since the adapters write when 64 KiB wait.

mod support;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{KINDS, ROLES, SIZES, Sending, WAYS, throughput};

fn send(criterion: &mut Criterion) {
    for (role_name, role) in ROLES {
        for (kind_name, kind) in KINDS {
            for (way_name, way) in WAYS {
                for (per_flush, longest) in [(1, usize::MAX), (64, 1 << 10)] {
                    let mut group = criterion.benchmark_group(format!(
                        "send/{role_name}/{kind_name}/{way_name}/{per_flush}_per_flush"
                    ));
                    for size in SIZES.into_iter().filter(|size| size.len <= longest) {
                        let mut sending = Sending::new(role, kind, way, per_flush, size);
                        group.throughput(throughput(size, per_flush));
                        group.bench_function(size.name, |bencher| {
                            bencher.iter(|| sending.send_batch());
                        });
                    }
                }
            }
        }
    }
}

/// There are many rows, each short and steady.
fn brief() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = benches;
    config = brief();
    targets = send
}
criterion_main!(benches);
