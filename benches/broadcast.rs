//! One message to a thousand connections of a server, without transports.
//!
//! ```text
//! cargo bench --bench broadcast --features deflate
//! ```
//!
//! Each iteration sends the message to every connection, prepared once or encoded for each, and
//! consumes the outputs. Throughput counts deliveries.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use framewright::{Config, Connection, Message, PreparedMessage, Role, SendBuffer};

const RECEIVERS: usize = 1000;

fn plain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("broadcast/plain");
    group.throughput(Throughput::Elements(RECEIVERS as u64));
    let config = Arc::new(Config::default());
    let server = || Connection::new(Role::Server, Arc::clone(&config));
    for (name, len) in SIZES {
        let payload = Bytes::from(vec![b'a'; len]);
        let mut group_of = |id: &str, send: &mut dyn FnMut(&mut [Receiver])| {
            let mut receivers = receivers(server);
            group.bench_function(BenchmarkId::new(id, name), |bencher| {
                bencher.iter(|| send(&mut receivers));
            });
        };
        group_of("prepared", &mut |receivers| prepared(receivers, &payload));
        group_of("each", &mut |receivers| each(receivers, &payload));
    }
}

/// With context takeover, which is the default.
#[cfg(feature = "deflate")]
fn compressed(criterion: &mut Criterion) {
    use framewright::RecvBuffer;
    use framewright::handshake::{Acceptance, DeflateConfig, Request, ServerHandshake};

    let config = Arc::new(Config::default());
    let server = || {
        let head = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        let mut handshake = ServerHandshake::new(Arc::clone(&config));
        match handshake.receive(&mut RecvBuffer::from(head.as_bytes())) {
            Ok(Some(Request::Upgrade(upgrade))) => {
                let acceptance = Acceptance::new().deflate(DeflateConfig::default());
                let accepted =
                    upgrade.accept(acceptance, Arc::clone(&config), &mut SendBuffer::new());
                accepted.expect("an acceptance that may be sent")
            }
            other => panic!("{other:?}"),
        }
    };
    let mut group = criterion.benchmark_group("broadcast/deflate");
    group.sample_size(10);
    group.throughput(Throughput::Elements(RECEIVERS as u64));
    for (name, len) in [("125B", 125), ("1KiB", 1 << 10), ("16KiB", 16 << 10)] {
        let lines = (0..)
            .flat_map(|line| format!("{{\"id\":{line},\"price\":{}}}\n", line * 7).into_bytes());
        let payload: Bytes = lines.take(len).collect::<Vec<u8>>().into();
        let mut group_of = |id: &str, send: &mut dyn FnMut(&mut [Receiver])| {
            let mut receivers = receivers(server);
            group.bench_function(BenchmarkId::new(id, name), |bencher| {
                bencher.iter(|| send(&mut receivers));
            });
        };
        group_of("prepared", &mut |receivers| prepared(receivers, &payload));
        group_of("each", &mut |receivers| each(receivers, &payload));
    }
}

#[cfg(not(feature = "deflate"))]
fn compressed(_: &mut Criterion) {}

struct Receiver {
    connection: Connection,
    output: SendBuffer,
}

fn receivers(connection: impl Fn() -> Connection) -> Vec<Receiver> {
    let receiver = || Receiver {
        connection: connection(),
        output: SendBuffer::new(),
    };
    (0..RECEIVERS).map(|_| receiver()).collect()
}

fn prepared(receivers: &mut [Receiver], payload: &Bytes) {
    let message = PreparedMessage::binary(black_box(payload).clone());
    for Receiver { connection, output } in receivers {
        assert_eq!(connection.send_prepared(&message, output), Ok(()));
        output.consume(output.len());
    }
}

fn each(receivers: &mut [Receiver], payload: &Bytes) {
    for Receiver { connection, output } in receivers {
        let message = Message::Binary(black_box(payload).clone());
        assert_eq!(connection.send_message(message, output), Ok(()));
        output.consume(output.len());
    }
}

const SIZES: [(&str, usize); 5] = [
    ("16B", 16),
    ("125B", 125),
    ("1KiB", 1 << 10),
    ("16KiB", 16 << 10),
    ("64KiB", 64 << 10),
];

criterion_group!(benches, plain, compressed);
criterion_main!(benches);
