//! Messages that are encoded once for any number of connections.
//!
//! What a connection sends of one is what it would send of the same message made for it alone, and
//! no more than that is done once. Mixtures with other compressed messages are in
//! `deflate_properties`.

mod support;

#[path = "support/allocator.rs"]
mod allocator;

use bytes::Bytes;
use framewright::{
    Compression, Config, Connection, Message, MessageKind, PreparedMessage, Role, SendBuffer,
    SendError,
};
use support::*;

/// Around every length at which something changes: the header, and what is shared.
const LENS: [usize; 12] = [
    0, 1, 125, 126, 127, 8191, 8192, 8193, 65535, 65536, 65537, 100_000,
];

#[test]
fn a_prepared_message_is_sent_like_the_same_message() {
    for len in LENS {
        let string = "x".repeat(len);
        let messages = [
            (
                Message::text(string.as_str()),
                PreparedMessage::text(string.as_str()),
            ),
            (
                Message::binary(string.clone()),
                PreparedMessage::binary(string),
            ),
        ];
        for (message, prepared) in messages {
            assert_eq!(prepared.payload(), message.payload());
            assert_eq!(prepared.kind() == MessageKind::Text, message.is_text());
            for role in ROLES {
                let (mut alone, mut shared) = (Endpoint::new(role), Endpoint::new(role));
                for _ in 0..3 {
                    alone
                        .connection
                        .send_message(message.clone(), &mut alone.output)
                        .unwrap();
                    shared
                        .connection
                        .send_prepared(&prepared, &mut shared.output)
                        .unwrap();
                }
                let (expected, sent) = (alone.output.to_vec(), shared.output.to_vec());
                assert!(sent == expected, "{role:?}, {len} bytes");
            }
        }
    }
}

#[test]
fn only_text_and_binary_messages_are_prepared() {
    let prepared = PreparedMessage::try_from(Message::text("a")).unwrap();
    assert_eq!(
        (prepared.kind(), prepared.payload()),
        (MessageKind::Text, &b"a"[..])
    );
    let prepared = PreparedMessage::try_from(Message::binary("b")).unwrap();
    assert_eq!(
        (prepared.kind(), prepared.payload()),
        (MessageKind::Binary, &b"b"[..])
    );
    for message in [
        Message::Ping(Bytes::new()),
        Message::Pong(Bytes::new()),
        Message::Close(None),
    ] {
        let refused = PreparedMessage::try_from(message);
        assert_eq!(refused.err(), Some(SendError::MessageNotData));
    }
}

#[test]
fn a_long_message_is_shared_by_all_who_receive_it() {
    const RECEIVERS: usize = 1000;
    let payload = Bytes::from(vec![7; 1 << 20]);
    let mut receivers: Vec<_> = (0..RECEIVERS)
        .map(|_| (Endpoint::new(Role::Server).connection, SendBuffer::new()))
        .collect();
    let usage = allocator::measure(|| {
        let message = PreparedMessage::binary(payload.clone());
        for (connection, output) in &mut receivers {
            connection.send_prepared(&message, output).unwrap();
        }
    });
    assert!(usage.peak < RECEIVERS * 1024, "{usage:?}");
    for (_, output) in &receivers {
        let chunks: Vec<_> = output.chunks().collect();
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[1].as_ptr(), payload.as_ptr(), "by reference");
        assert_eq!(chunks[1].len(), payload.len());
    }
}

#[test]
fn a_client_masks_every_frame_with_a_key_of_its_own() {
    // 5.3: "When preparing a masked frame, the client MUST pick a fresh masking key".
    for len in [5, 100_000] {
        let message = PreparedMessage::binary(vec![7; len]);
        let mut keys = Vec::new();
        for _ in 0..4 {
            let mut client = Connection::new(Role::Client, Config::default().into());
            let mut output = SendBuffer::new();
            client.send_prepared(&message, &mut output).unwrap();
            client.send_prepared(&message, &mut output).unwrap();
            let bytes = output.to_vec();
            keys.extend(frames_in(&bytes).iter().map(|frame| frame.mask.unwrap()));
            let mut server = Endpoint::new(Role::Server);
            assert!(server.receive(&bytes) == [binary(vec![7; len]), binary(vec![7; len])]);
        }
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 8);
        assert!(
            message.payload().iter().all(|&byte| byte == 7),
            "not masked in place"
        );
    }
}

#[test]
fn a_prepared_message_keeps_the_order_of_messages() {
    let long = PreparedMessage::text("l".repeat(100_000));
    let short = PreparedMessage::text("s");
    for role in ROLES {
        let Endpoint {
            mut connection,
            mut output,
            ..
        } = Endpoint::new(role);
        let output = &mut output;
        let kind = MessageKind::Text;
        connection.send_fragment(kind, b"a", false, output).unwrap();
        let before = output.len();
        for message in [&long, &short] {
            let refused = connection.send_prepared(message, output);
            assert_eq!(refused, Err(SendError::MessageUnfinished));
        }
        assert_eq!(output.len(), before);
        connection.send_fragment(kind, b"b", true, output).unwrap();
        connection.send_prepared(&short, output).unwrap();
        connection.send_close(None, output).unwrap();
        let before = output.len();
        for message in [&long, &short] {
            let refused = connection.send_prepared(message, output);
            assert_eq!(refused, Err(SendError::Closing));
        }
        assert_eq!(output.len(), before);
        let mut peer = Endpoint::new(peer_of(role));
        let received = peer.receive(&output.to_vec());
        assert_eq!(received[..2], [text("ab"), text("s")]);
    }
}

#[test]
fn a_prepared_message_is_a_message_to_the_idle_timeout() {
    let mut config = Config::default();
    config.ping_interval = None;
    config.idle_timeout = Some(std::time::Duration::from_secs(10));
    let mut server = Connection::new(Role::Server, config.into());
    let start = std::time::Instant::now();
    let second = std::time::Duration::from_secs(1);
    server.set_now(start);
    server.set_now(start + second);
    server
        .send_prepared(&PreparedMessage::text("a"), &mut SendBuffer::new())
        .unwrap();
    assert_eq!(server.next_deadline(), Some(start + 11 * second));
}

#[test]
fn without_permessage_deflate_nothing_is_compressed() {
    for compression in [Compression::Auto, Compression::Always, Compression::Never] {
        let message = PreparedMessage::text("a".repeat(1000)).with_compression(compression);
        assert_eq!(message.compression(), compression);
        let mut server = Endpoint::new(Role::Server);
        server
            .connection
            .send_prepared(&message, &mut server.output)
            .unwrap();
        assert!(server.output.to_vec() == frame(TEXT, "a".repeat(1000)).bytes());
    }
}

#[cfg(feature = "blocking")]
mod blocking {
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use framewright::blocking::{Parts, WebSocket};
    use framewright::{Event, RecvBuffer};

    use super::*;

    #[test]
    fn a_blocking_websocket_and_its_halves_send_prepared_messages() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let message = PreparedMessage::text("prepared");
        let reply = PreparedMessage::binary(vec![7; 100_000]);
        let replying = thread::spawn(move || {
            let mut server = open(server, Role::Server);
            while let Some((event, mut outbox)) = server.recv_event().unwrap() {
                if let Event::Text(text) = event {
                    assert_eq!(text, "prepared");
                    outbox.feed_prepared(&reply).unwrap();
                }
            }
        });
        let mut client = open(client, Role::Client);
        client.feed_prepared(&message).unwrap();
        client.send_prepared(&message).unwrap();
        let (mut reader, writer) = client.split().unwrap();
        writer.feed_prepared(&message).unwrap();
        writer.send_prepared(&message).unwrap();
        for _ in 0..4 {
            let received = reader.recv().unwrap().expect("a reply");
            assert!(received == Message::binary(vec![7; 100_000]));
        }
        let frame = close_frame(1000, "");
        writer.send_close(frame.code, &frame.reason).unwrap();
        assert_eq!(reader.recv().unwrap(), None);
        replying.join().unwrap();
    }

    fn open(stream: TcpStream, role: Role) -> WebSocket<TcpStream> {
        let parts = Parts {
            stream,
            connection: Connection::new(role, Config::default().into()),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
        };
        WebSocket::from_parts(parts).unwrap()
    }
}

#[cfg(feature = "deflate")]
mod compressed {
    use std::sync::Arc;

    use framewright::RecvBuffer;
    use framewright::handshake::{
        Acceptance, ClientHandshake, ClientRequest, DeflateConfig, Request, ServerHandshake,
    };

    use super::*;

    /// What is compressed, and to what: with both, what one variant and another come to.
    fn variants() -> Vec<DeflateConfig> {
        let mut variants = Vec::new();
        for level in [0, 1, 6, 9] {
            for bits in [9, 12, 15] {
                for forgets in [false, true] {
                    let mut config = DeflateConfig::default();
                    config.level = level;
                    config.server_max_window_bits = bits;
                    config.client_max_window_bits = bits;
                    config.server_no_context_takeover = forgets;
                    config.client_no_context_takeover = forgets;
                    variants.push(config);
                }
            }
        }
        variants
    }

    #[test]
    fn each_variant_is_sent_like_the_first_message_of_a_connection() {
        let payloads = [
            String::new(),
            "a".repeat(63),
            "a".repeat(64),
            digits(3000),
            digits(100_000),
        ];
        for payload in payloads {
            for compression in [Compression::Auto, Compression::Always, Compression::Never] {
                // More variants than are kept, and one message for all of them.
                let prepared =
                    PreparedMessage::text(payload.as_str()).with_compression(compression);
                for config in variants() {
                    let (alone, shared) = (open(&config), open(&config));
                    for (mut alone, mut shared) in alone.into_iter().zip(shared) {
                        let message = Message::text(payload.as_str());
                        alone
                            .connection
                            .send_message_with(message, compression, &mut alone.output)
                            .unwrap();
                        shared
                            .connection
                            .send_prepared(&prepared, &mut shared.output)
                            .unwrap();
                        assert!(
                            alone.output.to_vec() == shared.output.to_vec(),
                            "{config:?}, {compression:?}, {} bytes",
                            payload.len()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_message_that_does_not_shrink_goes_as_it_is() {
        let noise: Vec<u8> = random()
            .map(|random| random.to_le_bytes()[7])
            .take(2000)
            .collect();
        let message = PreparedMessage::binary(noise.clone());
        for _ in 0..2 {
            let [_, mut server] = open(&DeflateConfig::default());
            server
                .connection
                .send_prepared(&message, &mut server.output)
                .unwrap();
            let sent = server.output.to_vec();
            assert!(
                sent == frame(BINARY, &noise).bytes(),
                "{} bytes",
                sent.len()
            );
        }
    }

    #[test]
    fn a_message_is_compressed_once_for_all_with_the_same_settings() {
        let message = PreparedMessage::text(digits(100_000));
        let places: Vec<_> = (0..100)
            .map(|_| {
                let [_, mut server] = open(&DeflateConfig::default());
                server
                    .connection
                    .send_prepared(&message, &mut server.output)
                    .unwrap();
                let chunks: Vec<_> = server.output.chunks().collect();
                assert_eq!(chunks.len(), 2);
                assert!(chunks[1].len() < 100_000);
                chunks[1].as_ptr()
            })
            .collect();
        // Were it compressed again, one of them would be elsewhere: the first is not given up.
        assert!(places.iter().all(|place| *place == places[0]));
    }

    #[test]
    fn what_follows_a_prepared_message_does_not_refer_over_it() {
        // The prepared message has a window's worth of noise, and so moves all that came before.
        let pushes = PreparedMessage::text(digits(40_000));
        for config in variants() {
            let [mut client, mut server] = open(&config);
            let line = "the same line, again and again, and long enough to be compressed";
            for _ in 0..3 {
                for end in [&mut client, &mut server] {
                    let connection = &mut end.connection;
                    connection.send_text(line, &mut end.output).unwrap();
                    connection.send_prepared(&pushes, &mut end.output).unwrap();
                    connection.send_text(line, &mut end.output).unwrap();
                }
            }
            let (from_client, from_server) = (client.output.to_vec(), server.output.to_vec());
            let round = [text(line), text(&digits(40_000)), text(line)];
            let expected = [round.clone(), round.clone(), round].concat();
            assert!(client.receive(&from_server) == expected, "{config:?}");
            assert!(server.receive(&from_client) == expected, "{config:?}");
        }
    }

    /// Text of ten characters in no order: it shrinks, and as little however far back one looks.
    fn digits(len: usize) -> String {
        random()
            .map(|random| char::from(b'0' + random.to_le_bytes()[7] % 10))
            .take(len)
            .collect()
    }

    fn random() -> impl Iterator<Item = u64> {
        std::iter::successors(Some(1_u64), |state| {
            let next = state.wrapping_mul(6_364_136_223_846_793_005);
            Some(next.wrapping_add(1_442_695_040_888_963_407))
        })
    }

    /// A client and a server that agreed on `deflate`.
    fn open(deflate: &DeflateConfig) -> [Endpoint; 2] {
        let config = Arc::new(Config::default());
        let request = ClientRequest::new("ws://h")
            .unwrap()
            .deflate(deflate.clone());
        let mut output = SendBuffer::new();
        let nonce = *b"the sample nonce";
        let mut client = ClientHandshake::start(&request, Arc::clone(&config), nonce, &mut output);
        let mut server = ServerHandshake::new(Arc::clone(&config));
        let request = server.receive(&mut RecvBuffer::from(&output.to_vec()[..]));
        let Ok(Some(Request::Upgrade(upgrade))) = request else {
            panic!("{request:?}");
        };
        let mut output = SendBuffer::new();
        let acceptance = Acceptance::new().deflate(deflate.clone());
        let server = upgrade.accept(acceptance, config, &mut output).unwrap();
        let response = client.receive(&mut RecvBuffer::from(&output.to_vec()[..]));
        let client = response.unwrap().expect("a whole head").into_connection();
        [client, server].map(|connection| {
            assert!(connection.is_compressing());
            Endpoint {
                connection: connection.with_masks(Box::new(CountingMasks::default())),
                ..Endpoint::new(Role::Client)
            }
        })
    }
}
