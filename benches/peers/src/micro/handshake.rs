//! The opening handshake of a server: a request in, the 101 that accepts it out.
//!
//! fastwebsockets and yawc leave it to hyper, and have none of their own.

use std::io::{Read, Write};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use framewright::handshake::{Acceptance, Request, ServerHandshake};
use framewright::{Config, RecvBuffer, SendBuffer};
use sha1::{Digest, Sha1};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use soketto::handshake::{self as soketto_handshake, server::Response};
use tokio::io;

use super::sockets::block_on;
use super::stream::{MemoryStream, Repeat};
use super::{Failure, Group, Run};
use crate::client::ACCEPT;
use crate::figures::Subject;
use crate::servers::Kind;

pub(super) const HANDSHAKE: Group = Group {
    name: "micro-handshake",
    title: "Opening handshake of a server, in process",
    rows: &["bare", "browser"],
    subjects: || SERVERS.iter().map(|it| it.subject).collect(),
    unit: 1,
    prepare: |row, subject| (SERVERS[subject].prepare)(REQUESTS[row].as_bytes().into()),
};

/// A server of a library.
struct Server {
    subject: Subject,
    prepare: fn(Arc<[u8]>) -> Result<Run, Failure>,
}

const SERVERS: [Server; 8] = [
    server("floor", "peers", Kind::Floor, |request| {
        let (mut input, mut output) = (vec![0; 4096], Vec::with_capacity(256));
        run(request, move |stream| {
            floor(stream, &mut input, &mut output)
        })
    }),
    server("framewright", "framewright", Kind::Framewright, |request| {
        let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
        let config = Arc::new(Config::default());
        run(request, move |stream| {
            framewright_core(stream, &config, &mut input, &mut output)
        })
    }),
    server(
        "framewright-tokio",
        "framewright",
        Kind::Framewright,
        |request| {
            let server = framewright::tokio::Server::new();
            run(request, move |stream| Ok(block_on(server.accept(stream))??))
        },
    ),
    server("soketto", "soketto", Kind::Peer, |request| {
        run(request, |stream| block_on(soketto(stream))?)
    }),
    server("sockudo-ws", "sockudo-ws", Kind::Peer, |request| {
        run(request, |stream| block_on(sockudo_ws(stream))?)
    }),
    server(
        "tokio-tungstenite",
        "tokio-tungstenite",
        Kind::Peer,
        |request| {
            run(request, |stream| {
                Ok(block_on(tokio_tungstenite::accept_async(stream))??)
            })
        },
    ),
    server(
        "tokio-websockets",
        "tokio-websockets",
        Kind::Peer,
        |request| {
            run(request, |stream| {
                let server = tokio_websockets::ServerBuilder::new();
                Ok(block_on(server.accept(stream))??)
            })
        },
    ),
    server("tungstenite", "tungstenite", Kind::Peer, |request| {
        // The error has the stream in it.
        run(request, |stream| {
            tungstenite::accept(stream).map_err(|error| error.to_string().into())
        })
    }),
];

const fn server(
    name: &'static str,
    package: &'static str,
    kind: Kind,
    prepare: fn(Arc<[u8]>) -> Result<Run, Failure>,
) -> Server {
    let subject = Subject {
        name,
        package,
        kind,
    };
    Server { subject, prepare }
}

/// Checks one handshake, and prepares to run more.
fn run<T>(
    request: Arc<[u8]>,
    mut accept: impl FnMut(MemoryStream) -> Result<T, Failure> + 'static,
) -> Result<Run, Failure> {
    let (stream, kept) = MemoryStream::new(Arc::clone(&request), Repeat::Once).keep();
    drop(accept(stream)?);
    let written = kept.lock().map_err(|_| "a writer panicked")?;
    let answer = std::str::from_utf8(&written)?;
    let has_accept = answer.lines().any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT
        })
    });
    if !answer.starts_with("HTTP/1.1 101 ") || !answer.ends_with("\r\n\r\n") || !has_accept {
        return Err(format!("the answer is {answer:?}").into());
    }
    Ok(Box::new(move |count| {
        for _ in 0..count {
            drop(accept(MemoryStream::new(
                Arc::clone(&request),
                Repeat::Once,
            ))?);
        }
        Ok(())
    }))
}

/// A scan for the key, without a look at anything else.
fn floor(mut stream: MemoryStream, input: &mut [u8], output: &mut Vec<u8>) -> Result<(), Failure> {
    let len = stream.read(input)?;
    let head = input[..len].strip_suffix(b"\r\n\r\n");
    let mut lines = head.ok_or("half a head")?.split(|byte| *byte == b'\n');
    let key = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(KEY_NAME.len())?;
        name.eq_ignore_ascii_case(KEY_NAME)
            .then(|| value.trim_ascii())
    });
    let mut hash = Sha1::new();
    hash.update(key.ok_or("no key")?);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut accept = [0; 28];
    STANDARD.encode_slice(hash.finalize(), &mut accept)?;
    output.clear();
    output.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: ",
    );
    output.extend_from_slice(&accept);
    output.extend_from_slice(b"\r\n\r\n");
    Ok(stream.write_all(output)?)
}

/// The core as an event loop uses it: with buffers that its connections share.
fn framewright_core(
    mut stream: MemoryStream,
    config: &Arc<Config>,
    input: &mut RecvBuffer,
    output: &mut SendBuffer,
) -> Result<(), Failure> {
    let mut handshake = ServerHandshake::new(Arc::clone(config));
    let len = stream.read(input.spare_mut())?;
    input.commit(len);
    let Some(Request::Upgrade(upgrade)) = handshake.receive(input)? else {
        return Err("no request for an upgrade".into());
    };
    let connection = upgrade.accept(Acceptance::new(), Arc::clone(config), output)?;
    for chunk in output.chunks() {
        stream.write_all(chunk)?;
    }
    output.consume(output.len());
    drop(connection);
    Ok(())
}

/// As in its `hyper_server` and `server` examples.
async fn soketto(stream: MemoryStream) -> Result<(), Failure> {
    let mut server = soketto_handshake::Server::new(stream);
    let key = server.receive_request().await?.key();
    let accept = Response::Accept {
        key,
        protocol: None,
    };
    server.send_response(&accept).await?;
    drop(server.into_builder().finish());
    Ok(())
}

/// As in its `simple_echo` example.
async fn sockudo_ws(mut stream: MemoryStream) -> Result<(), Failure> {
    let mut head = Vec::with_capacity(4096);
    loop {
        if io::AsyncReadExt::read_buf(&mut stream, &mut head).await? == 0 {
            return Err("half a head".into());
        }
        if let Some((request, _)) = parse_request(&head)? {
            let accept_key = generate_accept_key(request.key);
            let response = build_response(&accept_key, None, None);
            return Ok(io::AsyncWriteExt::write_all(&mut stream, &response).await?);
        }
    }
}

const KEY_NAME: &[u8] = b"sec-websocket-key:";

/// The lines that there must be, and what a browser sends. The key is that of RFC 6455, section
/// 1.3.
const REQUESTS: [&str; 2] = [
    "GET /chat HTTP/1.1\r\n\
     Host: server.example.com\r\n\
     Upgrade: websocket\r\n\
     Connection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Version: 13\r\n\
     \r\n",
    "GET /chat HTTP/1.1\r\n\
     Host: server.example.com\r\n\
     Connection: Upgrade\r\n\
     Pragma: no-cache\r\n\
     Cache-Control: no-cache\r\n\
     User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/140.0.0.0 Safari/537.36\r\n\
     Upgrade: websocket\r\n\
     Origin: http://server.example.com\r\n\
     Sec-WebSocket-Version: 13\r\n\
     Accept-Encoding: gzip, deflate, br, zstd\r\n\
     Accept-Language: en-GB,en;q=0.9\r\n\
     Cookie: session=0123456789abcdef0123456789abcdef\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
     \r\n",
];
