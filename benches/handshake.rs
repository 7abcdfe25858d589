//! The opening handshake without a transport: heads in, answers out, for both roles.
//!
//! ```text
//! cargo bench --bench handshake
//! ```
//!
//! Each iteration is one handshake, from the bytes of the peer's head to an open connection; that
//! of a client writes its request, too. Throughput counts handshakes. A quarter of a short one is
//! the SHA-1 that `accept_key` measures alone.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, Request, ServerHandshake, accept_key,
};
use framewright::{Config, RecvBuffer, SendBuffer, SendError};

fn server(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake/server");
    group.throughput(Throughput::Elements(1));
    for (name, head) in [("minimal", MINIMAL_REQUEST), ("browser", BROWSER_REQUEST)] {
        let id = BenchmarkId::new(name, format!("{}B", head.len()));
        group.bench_function(id, |bencher| {
            let config = Arc::new(Config::default());
            let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
            bencher.iter(|| {
                input.extend(black_box(head));
                let mut handshake = ServerHandshake::new(Arc::clone(&config));
                let Ok(Some(Request::Upgrade(upgrade))) = handshake.receive(&mut input) else {
                    panic!("the request is whole, and asks for an upgrade");
                };
                let connection =
                    upgrade.accept(Acceptance::new(), Arc::clone(&config), &mut output);
                assert!(connection.is_ok());
                output.consume(black_box(&output).len());
                connection
            });
        });
    }
}

fn client(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake/client");
    group.throughput(Throughput::Elements(1));
    for (name, request, head) in [
        ("minimal", minimal_request(), MINIMAL_ANSWER),
        ("browser", browser_request(), PROXIED_ANSWER),
    ] {
        let request = request.expect("the URI and the lines are valid");
        let id = BenchmarkId::new(name, format!("{}B", head.len()));
        group.bench_function(id, |bencher| {
            let config = Arc::new(Config::default());
            let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
            bencher.iter(|| {
                let config = Arc::clone(&config);
                let mut handshake =
                    ClientHandshake::start(&request, config, black_box(NONCE), &mut output);
                output.consume(black_box(&output).len());
                input.extend(black_box(head));
                let Ok(Some(response)) = handshake.receive(&mut input) else {
                    panic!("the answer is whole, and that of this nonce");
                };
                response.into_connection()
            });
        });
    }
}

fn key(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake/accept_key");
    group.throughput(Throughput::Elements(1));
    group.bench_function("24B", |bencher| {
        bencher.iter(|| accept_key(black_box(b"dGhlIHNhbXBsZSBub25jZQ==")));
    });
}

fn minimal_request() -> Result<ClientRequest, SendError> {
    ClientRequest::new("ws://server.example.com/chat")
}

/// What a browser says of itself and of who uses it.
fn browser_request() -> Result<ClientRequest, SendError> {
    ClientRequest::new("wss://server.example.com/chat?room=general")?
        .header("Pragma", "no-cache")?
        .header("Cache-Control", "no-cache")?
        .header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")?
        .header("Origin", "https://server.example.com")?
        .header("Accept-Encoding", "gzip, deflate, br, zstd")?
        .header("Accept-Language", "en-GB,en-US;q=0.9,en;q=0.8")?
        .header("Cookie", "session=6f2b1c0a9d8e4f3b8a7c6d5e4f3a2b1c; theme=dark; consent=1")
}

/// Section 1.3's key is the base64 of this.
const NONCE: [u8; 16] = *b"the sample nonce";

/// What a client that is no browser sends.
const MINIMAL_REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// What Chromium sends, in its order.
const BROWSER_REQUEST: &[u8] = b"GET /chat?room=general HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://server.example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en-US;q=0.9,en;q=0.8\r\n\
    Cookie: session=6f2b1c0a9d8e4f3b8a7c6d5e4f3a2b1c; theme=dark; consent=1\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    \r\n";

const MINIMAL_ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";

/// What comes through a proxy in front of a server, which adds lines of its own.
const PROXIED_ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Server: nginx/1.28.0\r\n\
    Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
    Connection: upgrade\r\n\
    Upgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\
    Set-Cookie: route=7d1c0f; Path=/; Secure; HttpOnly\r\n\
    \r\n";

criterion_group!(benches, server, client, key);
criterion_main!(benches);
