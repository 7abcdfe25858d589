//! An echo through the adapters, over TCP on the loopback device, both ends in this process.
//!
//! ```text
//! cargo bench --bench echo_loopback --features tokio
//! ```
//!
//! Each iteration sends one message, or 64 in one flush, and receives the echo of each. The
//! blocking ends are two threads, those on tokio two tasks of one thread.
//!
//! Most of the time is the kernel's, and the client's is in it: this shows a system call, a wake-up
//! or a copy too many, on one machine. Servers are compared in `benches/peers`.

mod support;

use std::hint::black_box;
use std::net::TcpListener;
use std::thread;

use criterion::{Criterion, criterion_group, criterion_main};
use framewright::{CloseCode, Event, Message, blocking, tokio as on_tokio};
use support::{B16, KIB1, KIB16, MIB1, Size, throughput};
use tokio::runtime::Builder;

/// How many messages are in flight, and of which sizes.
const ROWS: [(usize, &[Size]); 2] = [(1, &[B16, KIB1, KIB16, MIB1]), (64, &[B16, KIB1])];

fn over_blocking(criterion: &mut Criterion) {
    let (listener, uri) = listen();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect(OPEN);
        stream.set_nodelay(true).expect(OPEN);
        let mut socket = blocking::accept(stream).expect(OPEN);
        while let Some((event, mut outbox)) = socket.recv_event().expect(OPEN) {
            match event {
                Event::Text(text) => outbox.feed_text(text).expect(OPEN),
                Event::Binary(data) => outbox.feed_binary(data).expect(OPEN),
                _ => {}
            }
        }
    });
    let mut client = blocking::connect(&uri).expect(OPEN);
    for (in_flight, sizes) in ROWS {
        let id = format!("echo_loopback/blocking/binary/{in_flight}_in_flight");
        let mut group = criterion.benchmark_group(id);
        for &size in sizes {
            let message = Message::binary(vec![b'a'; size.len]);
            group.throughput(throughput(size, in_flight));
            group.bench_function(size.name, |bencher| {
                bencher.iter(|| {
                    for _ in 0..in_flight {
                        client.feed(message.clone()).expect(OPEN);
                    }
                    client.flush().expect(OPEN);
                    for _ in 0..in_flight {
                        black_box(client.recv_event().expect(OPEN).expect(OPEN));
                    }
                });
            });
        }
    }
    client.close(CloseCode::NORMAL_CLOSURE, "").expect(OPEN);
    server.join().expect("the server ends with its client");
}

fn over_tokio(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("there is a reactor");
    let (listener, uri) = listen();
    listener.set_nonblocking(true).expect(OPEN);
    let server = runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect(OPEN);
        let (stream, _) = listener.accept().await.expect(OPEN);
        stream.set_nodelay(true).expect(OPEN);
        let mut socket = on_tokio::accept(stream).await.expect(OPEN);
        while let Some((event, mut outbox)) = socket.recv_event().await.expect(OPEN) {
            match event {
                Event::Text(text) => outbox.feed_text(text).expect(OPEN),
                Event::Binary(data) => outbox.feed_binary(data).expect(OPEN),
                _ => {}
            }
        }
    });
    let mut client = runtime.block_on(on_tokio::connect(&uri)).expect(OPEN);
    for (in_flight, sizes) in ROWS {
        let id = format!("echo_loopback/tokio/binary/{in_flight}_in_flight");
        let mut group = criterion.benchmark_group(id);
        for &size in sizes {
            let message = Message::binary(vec![b'a'; size.len]);
            group.throughput(throughput(size, in_flight));
            group.bench_function(size.name, |bencher| {
                bencher.iter(|| {
                    runtime.block_on(async {
                        for _ in 0..in_flight {
                            client.feed(message.clone()).await.expect(OPEN);
                        }
                        client.flush().await.expect(OPEN);
                        for _ in 0..in_flight {
                            black_box(client.recv_event().await.expect(OPEN).expect(OPEN));
                        }
                    });
                });
            });
        }
    }
    let close = client.close(CloseCode::NORMAL_CLOSURE, "");
    runtime.block_on(close).expect(OPEN);
    let server = runtime.block_on(server);
    server.expect("the server ends with its client");
}

/// Listens on the loopback device, and returns where.
fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    (listener, format!("ws://{address}/"))
}

const OPEN: &str = "the connection is open";

criterion_group!(benches, over_blocking, over_tokio);
criterion_main!(benches);
