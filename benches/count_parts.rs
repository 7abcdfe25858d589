//! Instructions of what the rest is made of: headers, masks and the opening handshake.
//!
//! ```text
//! cargo bench --bench count_parts
//! ```

mod instructions;
mod support;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use framewright::frame::{FrameHeader, mask};
use framewright::handshake::{Acceptance, Request, ServerHandshake, accept_key};
use framewright::{Config, MessageKind, RecvBuffer, SendBuffer};
use instructions::Row;
use support::{B16, B125, KEY, KIB1, header};

fn main() -> ExitCode {
    let mut rows = Vec::new();
    for size in [B16, KIB1] {
        let name = format!("header/decode/masked/{}", size.name);
        let mut bytes = Vec::new();
        header(MessageKind::Binary, Some(KEY), size).encode(&mut bytes);
        rows.push(Row::new(name, 64, move || {
            for _ in 0..64 {
                black_box(FrameHeader::decode(black_box(&bytes))).ok();
            }
        }));
    }
    for size in [B16, B125, KIB1] {
        let name = format!("mask/{}/offset0", size.name);
        let mut payload = vec![b'a'; size.len];
        rows.push(Row::new(name, 64, move || {
            for _ in 0..64 {
                mask(black_box(&mut payload), KEY, 0);
            }
        }));
    }
    rows.push(Row::new("handshake/accept_key".into(), 1, || {
        black_box(accept_key(black_box(b"dGhlIHNhbXBsZSBub25jZQ==")));
    }));
    let config = Arc::new(Config::default());
    let batch = move || accept(black_box(REQUEST), &config);
    rows.push(Row::new("handshake/server".into(), 1, batch));
    instructions::main(rows)
}

/// Receives a request and accepts it.
fn accept(request: &[u8], config: &Arc<Config>) {
    let (mut input, mut output) = (RecvBuffer::from(request), SendBuffer::new());
    let mut handshake = ServerHandshake::new(Arc::clone(config));
    let Ok(Some(Request::Upgrade(upgrade))) = handshake.receive(&mut input) else {
        unreachable!("it asks for an upgrade");
    };
    let connection = upgrade.accept(Acceptance::new(), Arc::clone(config), &mut output);
    black_box(connection.expect("nothing is chosen that was not offered"));
    black_box(output);
}

/// The request of section 1.2, without its subprotocols.
const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";
