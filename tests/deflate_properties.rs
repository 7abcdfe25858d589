//! permessage-deflate as properties: of any messages, any parameters, any bytes.
//!
//! What one end sends the other receives, whatever the two agreed on and however the bytes come;
//! and what is not DEFLATE is judged alike at any split, without a panic.

#![cfg(feature = "deflate")]

mod support;

use std::sync::Arc;

use flate2::{Compress, FlushCompress};
use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, DeflateConfig, Request, ServerHandshake,
};
use framewright::{
    Compression, Config, Connection, Delivery, MessageKind, PreparedMessage, ProtocolError,
    RecvBuffer, Role, SendBuffer, State,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use support::*;

/// A configuration of `cases` cases that leaves no files behind: a case that fails becomes a test
/// of its own in the file of its topic.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn deflate_config() -> impl Strategy<Value = DeflateConfig> {
    (
        0_u32..=9,
        select(&[0_usize, 1, 20, 64, 1000][..]),
        any::<(bool, bool)>(),
        (8_u8..=16, 8_u8..=16),
    )
        .prop_map(|(level, min_len, forgets, bits)| {
            let mut config = DeflateConfig::default();
            config.level = level;
            config.min_len = min_len;
            (
                config.server_no_context_takeover,
                config.client_no_context_takeover,
            ) = forgets;
            (config.server_max_window_bits, config.client_max_window_bits) = bits;
            config
        })
}

fn compression() -> impl Strategy<Value = Compression> {
    select(&[Compression::Auto, Compression::Always, Compression::Never][..])
}

/// The lengths of reads, repeated for as long as there are bytes: mostly short.
fn chunk_lens() -> impl Strategy<Value = Vec<usize>> {
    vec(
        prop_oneof![4 => 1_usize..20, 1 => 20_usize..6000, 1 => Just(usize::MAX)],
        1..8,
    )
}

/// A payload: noise, zeros, words that come again from message to message, and mixtures.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let words = vec(
        select(&["price", "{\"id\":", "}, ", "AAAA", "é", "\n"][..]),
        0..60,
    );
    let part = prop_oneof![
        3 => words.prop_map(|words| words.concat().into_bytes()),
        2 => vec(any::<u8>(), 0..200),
        1 => (any::<u8>(), 0_usize..40_000).prop_map(|(byte, len)| vec![byte; len]),
        // Noise that comes again, at distances beyond the smaller windows.
        1 => (1_usize..2000).prop_map(noise),
    ];
    vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn noise(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| {
            (index as u64)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .to_be_bytes()[1]
        })
        .collect()
}

/// A message and how it is sent.
#[derive(Debug, Clone)]
struct Sent {
    from: Role,
    kind: MessageKind,
    payload: Vec<u8>,
    compression: Compression,
    /// Where it is cut into fragments; whole, where there is none.
    cuts: Vec<Index>,
    /// Whether a Ping follows each fragment.
    pings: bool,
    /// Whether it is prepared, if it is sent whole.
    is_prepared: bool,
}

fn message() -> impl Strategy<Value = Sent> {
    (
        select(&ROLES[..]),
        any::<bool>(),
        payload(),
        compression(),
        prop_oneof![2 => Just(Vec::new()), 1 => vec(any::<Index>(), 1..4)],
        any::<(bool, bool)>(),
    )
        .prop_map(|(from, is_text, mut payload, compression, cuts, flags)| {
            let kind = if is_text {
                payload = String::from_utf8_lossy(&payload).into_owned().into_bytes();
                MessageKind::Text
            } else {
                MessageKind::Binary
            };
            Sent {
                from,
                kind,
                payload,
                compression,
                cuts,
                pings: flags.0,
                is_prepared: flags.1,
            }
        })
}

impl Sent {
    fn send(&self, end: &mut Endpoint) {
        let (kind, compression) = (self.kind, self.compression);
        let mut cuts: Vec<_> = self
            .cuts
            .iter()
            .map(|cut| cut.index(self.payload.len() + 1))
            .collect();
        if cuts.is_empty() {
            let message = match kind {
                MessageKind::Text => {
                    let text = String::from_utf8(self.payload.clone()).unwrap();
                    framewright::Message::text(text)
                }
                MessageKind::Binary => framewright::Message::binary(self.payload.clone()),
            };
            if self.is_prepared {
                let message = PreparedMessage::try_from(message).unwrap();
                end.connection
                    .send_prepared(&message.with_compression(compression), &mut end.output)
                    .unwrap();
                return;
            }
            end.connection
                .send_message_with(message, compression, &mut end.output)
                .unwrap();
            return;
        }
        cuts.sort_unstable();
        cuts.push(self.payload.len());
        let mut start = 0;
        for (index, &cut) in cuts.iter().enumerate() {
            let fin = index + 1 == cuts.len();
            end.connection
                .send_fragment_with(
                    kind,
                    &self.payload[start..cut],
                    fin,
                    compression,
                    &mut end.output,
                )
                .unwrap();
            if self.pings {
                end.connection.send_ping(b"p", &mut end.output).unwrap();
            }
            start = cut;
        }
    }

    fn received(&self) -> Received {
        match self.kind {
            MessageKind::Text => Received::Text(String::from_utf8(self.payload.clone()).unwrap()),
            MessageKind::Binary => Received::Binary(self.payload.clone()),
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn messages_come_out_as_they_went_in(
        client in deflate_config(),
        server in deflate_config(),
        messages in vec(message(), 1..8),
        chunk_lens in chunk_lens(),
        delivery in select(&[Delivery::Messages, Delivery::Chunks][..]),
    ) {
        let config = config(|config| config.delivery = delivery);
        let (client, server) = open(client, server, &config);
        let mut ends = [endpoint(client), endpoint(server)];
        for message in &messages {
            if ends[0].connection.role() != message.from {
                ends.reverse();
            }
            let [from, to] = &mut ends;
            message.send(from);
            let bytes = from.take_written();
            for (frame, is_first) in frames_in(&bytes).iter().zip([true].into_iter().chain([false; 9])) {
                prop_assert_eq!(frame.mask.is_some(), message.from == Role::Client);
                prop_assert!(frame.rsv == 0 || (is_first && frame.rsv == RSV1));
            }
            feed(to, &bytes, &chunk_lens);
            prop_assert_eq!(to.error, None);
            let mut received = joined(&std::mem::take(&mut to.received));
            received.retain(|event| !matches!(event, Received::Ping(_)));
            prop_assert!(received == [message.received()], "{message:?}");
            // The Pongs owed go back, and change nothing.
            let pongs = to.take_written();
            from.receive(&pongs);
            from.received.clear();
        }
    }
}

/// Blocks, whole streams, and beginnings of either.
const BLOCKS: &[&[u8]] = &[
    b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff",
    b"\xf2\x00\x11\x00\x00\x00\x00\xff\xff",
    b"\xf3\x48\xcd\xc9\xc9\x07\x00",
    b"\x00\x05\x00\xfa\xffHello",
    b"\x01\x05\x00\xfa\xffHello",
    b"\x03\x00",
    b"\x00\x00\x00\xff\xff",
    b"\x02\x00",
    b"\x00",
    b"\x01",
    b"\x06",
];

/// Bytes to be inflated: noise, or DEFLATE that somebody changed.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let damaged = (
        payload(),
        0_u32..=9,
        vec((any::<Index>(), any::<u8>()), 0..4),
        proptest::option::of(any::<Index>()),
        any::<bool>(),
    )
        .prop_map(|(payload, level, changes, cut, ends)| {
            let mut context = Compress::new(flate2::Compression::new(level), false);
            let mut bytes = Vec::with_capacity(payload.len() * 2 + 1000);
            let flush = if ends {
                FlushCompress::Finish
            } else {
                FlushCompress::Sync
            };
            context.compress_vec(&payload, &mut bytes, flush).unwrap();
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            for (index, byte) in changes {
                if !bytes.is_empty() {
                    let index = index.index(bytes.len());
                    bytes[index] = byte;
                }
            }
            bytes
        })
        .boxed();
    let blocks = vec(select(BLOCKS), 0..8).prop_map(|blocks| blocks.concat());
    prop_oneof![
        2 => vec(any::<u8>(), 0..80),
        3 => damaged.clone(),
        3 => blocks,
        1 => vec(damaged, 2).prop_map(|parts| parts.concat()),
    ]
}

/// Compressed messages in frames.
fn hostile_frames() -> impl Strategy<Value = Vec<RawFrame>> {
    let message = (
        select(&[TEXT, BINARY][..]),
        hostile(),
        vec(any::<Index>(), 0..4),
        any::<bool>(),
        prop::bool::weighted(0.9),
    )
        .prop_map(|(opcode, payload, cuts, ping, is_compressed)| {
            let mut cuts: Vec<_> = cuts
                .iter()
                .map(|cut| cut.index(payload.len() + 1))
                .collect();
            cuts.sort_unstable();
            cuts.push(payload.len());
            let mut frames = Vec::new();
            let mut start = 0;
            for (index, &cut) in cuts.iter().enumerate() {
                let is_first = index == 0;
                frames.push(RawFrame {
                    fin: index + 1 == cuts.len(),
                    rsv: if is_first && is_compressed { RSV1 } else { 0 },
                    ..frame(
                        if is_first { opcode } else { CONTINUATION },
                        &payload[start..cut],
                    )
                });
                if ping {
                    frames.push(frame(PING, b""));
                }
                start = cut;
            }
            frames
        });
    vec(message, 1..5).prop_map(|messages| messages.concat())
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn any_bytes_are_judged_alike_at_any_split(
        frames in hostile_frames(),
        role in select(&ROLES[..]),
        deflate in deflate_config(),
        max_message_len in prop_oneof![Just(16_u64 << 20), 0_u64..50_000, 0_u64..100],
        chunk_lens in chunk_lens(),
    ) {
        let bytes = sent_by(peer_of(role), &frames);
        let run = |delivery, chunk_lens: &[usize]| {
            let config = config(|config| {
                config.max_message_len = max_message_len;
                config.delivery = delivery;
            });
            let (client, server) = open(deflate.clone(), deflate.clone(), &config);
            let mut end = endpoint(if role == Role::Client { client } else { server });
            feed(&mut end, &bytes, chunk_lens);
            (
                joined(&end.received),
                end.error,
                end.connection.state(),
                end.written,
            )
        };
        let whole = run(Delivery::Messages, &[usize::MAX]);
        for chunk_lens in [&chunk_lens[..], &[1]] {
            if bytes.len() > 20_000 && chunk_lens == [1] {
                continue;
            }
            prop_assert!(run(Delivery::Messages, chunk_lens) == whole);
            prop_assert!(run(Delivery::Chunks, chunk_lens) == whole);
        }
        prop_assert!(run(Delivery::Chunks, &[usize::MAX]) == whole);
        for event in &whole.0 {
            if let Received::Text(text) = event {
                prop_assert!(text.len() as u64 <= max_message_len);
            }
            if let Received::Binary(data) = event {
                prop_assert!(data.len() as u64 <= max_message_len);
            }
        }
        match whole.1 {
            None => prop_assert_eq!(whole.2, State::Open),
            Some(
                ProtocolError::CompressedDataInvalid
                | ProtocolError::TextNotUtf8
                | ProtocolError::MessageTooLong,
            ) => prop_assert_eq!(whole.2, State::Closed),
            Some(error) => prop_assert!(false, "{}", error),
        }
    }
}

// ---- The rig ----

/// Opens a connection between a client and a server that both want compression.
fn open(client: DeflateConfig, server: DeflateConfig, config: &Config) -> (Connection, Connection) {
    let config = Arc::new(config.clone());
    let (mut there, mut back) = (SendBuffer::new(), SendBuffer::new());
    let request = ClientRequest::new("ws://h").unwrap().deflate(client);
    let mut client = ClientHandshake::start(&request, Arc::clone(&config), [7; 16], &mut there);
    let mut handshake = ServerHandshake::new(Arc::clone(&config));
    let received = handshake.receive(&mut RecvBuffer::from(&there.to_vec()[..]));
    let Ok(Some(Request::Upgrade(upgrade))) = received else {
        panic!("{received:?}");
    };
    let acceptance = Acceptance::new().deflate(server);
    let server = upgrade.accept(acceptance, config, &mut back).unwrap();
    let response = client.receive(&mut RecvBuffer::from(&back.to_vec()[..]));
    let client = response.unwrap().expect("a whole head").into_connection();
    assert!(client.is_compressing() && server.is_compressing());
    (client, server)
}

fn endpoint(connection: Connection) -> Endpoint {
    Endpoint {
        connection: connection.with_masks(Box::new(CountingMasks::default())),
        ..Endpoint::new(Role::Server)
    }
}

/// Receives `bytes` in chunks of these lengths, again and again.
fn feed(end: &mut Endpoint, mut bytes: &[u8], chunk_lens: &[usize]) {
    for &chunk_len in chunk_lens.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (chunk, rest) = bytes.split_at(chunk_len.min(bytes.len()));
        end.receive_in_chunks(chunk, chunk_len);
        bytes = rest;
    }
}

/// Events with the chunks of each message joined to one; one that is unfinished is left out.
fn joined(events: &[Received]) -> Vec<Received> {
    let mut joined = Vec::new();
    let mut message = Vec::new();
    for event in events {
        match event {
            Received::Chunk { kind, payload, fin } => {
                message.extend_from_slice(payload);
                if *fin {
                    let whole = std::mem::take(&mut message);
                    joined.push(match kind {
                        MessageKind::Text => {
                            Received::Text(String::from_utf8(whole).expect("text is UTF-8"))
                        }
                        MessageKind::Binary => Received::Binary(whole),
                    });
                }
            }
            event => joined.push(event.clone()),
        }
    }
    joined
}
