//! The invariants as properties: of any bytes, any chunks, any order of calls.
//!
//! The numbers are those of section 8 of the design, and the list in the documentation of the
//! crate says the same to users.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv};
use framewright::{
    CloseCode, CloseFrame, Config, Connection, Delivery, Event, Message, MessageKind,
    ProtocolError, RecvBuffer, Role, SendBuffer, State,
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

fn role() -> impl Strategy<Value = Role> {
    select(&ROLES[..])
}

fn kind() -> impl Strategy<Value = MessageKind> {
    select(&[MessageKind::Text, MessageKind::Binary][..])
}

/// The lengths of reads, repeated for as long as there are bytes: mostly short.
fn chunk_lens() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![4 => 1_usize..20, 1 => 20_usize..6000], 1..12)
}

/// Limits that random traffic meets, or the default.
fn limits() -> impl Strategy<Value = Config> {
    prop_oneof![
        Just(Config::default()),
        (0_u64..400, 0_u64..400, 1_u64..6).prop_map(|(message, frame, fragments)| {
            config(|config| {
                config.max_message_len = message;
                config.max_frame_len = frame;
                config.max_fragments = fragments;
            })
        }),
    ]
}

/// A payload: mostly short, sometimes around the length where its header changes, sometimes long
/// enough to be read where it stays.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => vec(any::<u8>(), 0..40),
        2 => vec(any::<u8>(), 120..132),
        1 => (any::<u8>(), 4000_usize..20_000).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

/// Text of characters of every length.
fn string() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        3 => proptest::char::range('\0', '\u{7f}'),
        1 => proptest::char::range('\u{80}', '\u{7ff}'),
        1 => any::<char>(),
    ];
    prop_oneof![
        6 => vec(character.clone(), 0..30),
        1 => (character, 1500_usize..6000).prop_map(|(character, len)| vec![character; len]),
    ]
    .prop_map(|characters| characters.into_iter().collect())
}

/// A message, as its opcode and payload.
fn message() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![
        string().prop_map(|string| (TEXT, string.into_bytes())),
        payload().prop_map(|payload| (BINARY, payload)),
    ]
}

/// A Ping or a Pong.
fn ping_or_pong() -> impl Strategy<Value = RawFrame> {
    (select(&[PING, PONG][..]), vec(any::<u8>(), 0..10))
        .prop_map(|(opcode, payload)| frame(opcode, payload))
}

/// A message in frames, with control frames between them.
fn message_frames() -> impl Strategy<Value = Vec<RawFrame>> {
    (
        message(),
        vec(any::<Index>(), 0..4),
        vec(proptest::option::weighted(0.2, ping_or_pong()), 5),
    )
        .prop_map(|((opcode, payload), cuts, controls)| {
            let mut cuts: Vec<_> = cuts.iter().map(|c| c.index(payload.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(payload.len());
            let last = cuts.len() - 1;
            let mut frames = Vec::new();
            let mut start = 0;
            for (index, (end, control)) in cuts.into_iter().zip(controls).enumerate() {
                frames.extend(control);
                frames.push(RawFrame {
                    fin: index == last,
                    ..frame(
                        if index == 0 { opcode } else { CONTINUATION },
                        &payload[start..end],
                    )
                });
                start = end;
            }
            frames
        })
}

/// A Close as a peer may send it.
fn legal_close() -> impl Strategy<Value = RawFrame> {
    let code = prop_oneof![1000_u16..=1003, 1007_u16..=1014, 3000_u16..=4999];
    proptest::option::of((code, "[a-zé€]{0,30}")).prop_map(|close| match close {
        None => frame(CLOSE, ""),
        Some((code, reason)) => frame(CLOSE, close_payload(code, reason.as_bytes())),
    })
}

/// What a peer that keeps the rules sends: messages, control frames, perhaps a Close, and then
/// perhaps more, which nobody looks at.
fn legal_frames() -> impl Strategy<Value = Vec<RawFrame>> {
    (
        vec(message_frames(), 0..6),
        proptest::option::weighted(0.5, legal_close()),
        vec(ping_or_pong(), 0..3),
    )
        .prop_map(|(messages, close, behind)| {
            messages
                .into_iter()
                .flatten()
                .chain(close)
                .chain(behind)
                .collect()
        })
}

/// A change of a byte stream that was legal.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Truncate(Index),
    Repeat(Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (any::<Index>(), vec(any::<u8>(), 1..4)).prop_map(|(at, new)| Mutation::Insert(at, new)),
        (any::<Index>(), 1_usize..5).prop_map(|(at, len)| Mutation::Remove(at, len)),
        any::<Index>().prop_map(Mutation::Truncate),
        (any::<Index>(), 1_usize..60).prop_map(|(at, len)| Mutation::Repeat(at, len)),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: &Index| at.index(bytes.len().max(1)).min(bytes.len());
        match self {
            Self::Flip(at, bits) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Self::Insert(at, new) => {
                let at = place(at);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(at, len) => {
                let at = place(at);
                let end = (at + len).min(bytes.len());
                bytes.drain(at..end);
            }
            Self::Truncate(at) => bytes.truncate(place(at)),
            Self::Repeat(at, len) => {
                let at = place(at);
                let end = (at + len).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(end..end, again);
            }
        }
    }
}

/// Bytes for an endpoint of a role: anything, headers with anything behind them, or a legal stream
/// with and without a few changes.
fn stream() -> impl Strategy<Value = (Role, Vec<u8>)> {
    role().prop_flat_map(|role| {
        let peer = peer_of(role);
        // A third of these streams stay legal.
        let mutations = prop_oneof![1 => Just(Vec::new()), 2 => vec(mutation(), 1..4)];
        let nearly_legal = (legal_frames(), mutations).prop_map(move |(frames, mutations)| {
            let mut bytes = sent_by(peer, &frames);
            for mutation in mutations {
                mutation.apply(&mut bytes);
            }
            bytes
        });
        let bytes = prop_oneof![
            1 => vec(any::<u8>(), 0..200),
            2 => vec(any_frame(), 0..6).prop_map(move |frames| sent_by(peer, &frames)),
            7 => nearly_legal,
        ];
        (Just(role), bytes)
    })
}

/// A frame whose parts were drawn one by one, with no thought of the others.
fn any_frame() -> impl Strategy<Value = RawFrame> {
    let length = prop_oneof![
        8 => Just(Length::Shortest),
        1 => (0_u16..300).prop_map(Length::In16Bits),
        1 => (0_u64..70_000).prop_map(Length::In64Bits),
        1 => any::<u64>().prop_map(Length::In64Bits),
    ];
    let opcode = prop_oneof![
        8 => select(&[CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG][..]),
        1 => 0_u8..16,
    ];
    let rsv = prop_oneof![12 => Just(0_u8), 1 => 0_u8..8];
    let payload = prop_oneof![
        4 => vec(any::<u8>(), 0..8),
        2 => "[a-z€]{0,50}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 120..130),
        1 => (900_u16..5100).prop_map(|code| close_payload(code, b"")),
    ];
    (any::<bool>(), rsv, opcode, length, payload).prop_map(|(fin, rsv, opcode, length, payload)| {
        RawFrame {
            fin,
            rsv,
            opcode,
            mask: None,
            length,
            payload,
        }
    })
}

/// Feeds `bytes` in reads of the given lengths, parking the window in between if `parks`.
fn run_in(
    role: Role,
    config: &Config,
    bytes: &[u8],
    chunk_lens: &[usize],
    drain: Drain,
    parks: bool,
) -> Endpoint {
    let mut endpoint = Endpoint::with_config(role, config.clone()).draining(drain);
    let mut rest = bytes;
    for &len in chunk_lens.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, behind) = rest.split_at(len.min(rest.len()));
        // Not `receive_in_chunks`, which would drain at its end.
        let mut chunk_rest = chunk;
        while !chunk_rest.is_empty() {
            let spare = endpoint.input.spare_mut();
            let len = spare.len().min(chunk_rest.len());
            spare[..len].copy_from_slice(&chunk_rest[..len]);
            endpoint.input.commit(len);
            endpoint.handle_input();
            chunk_rest = &chunk_rest[len..];
        }
        if parks {
            endpoint.input.park();
        }
        rest = behind;
    }
    endpoint.write();
    endpoint
}

proptest! {
    #![proptest_config(cases(600))]

    /// Invariant 2, and through the rig 5 and 7: one event and one reply a call, and an error that
    /// stays.
    #[test]
    fn any_bytes_in_any_chunks_give_the_same(
        (role, bytes) in stream(),
        config in limits(),
        chunk_lens in chunk_lens(),
        parks in any::<bool>(),
    ) {
        for drain in DRAINS {
            let whole = run(role, &config, &bytes, usize::MAX, drain);
            for lens in [&chunk_lens[..], &[1]] {
                if lens == [1] && bytes.len() > 2000 {
                    continue;
                }
                let chunked = run_in(role, &config, &bytes, lens, drain, parks);
                prop_assert_eq!(&chunked.received, &whole.received);
                prop_assert_eq!(chunked.error, whole.error);
                prop_assert_eq!(&chunked.written, &whole.output);
                prop_assert_eq!(chunked.connection.state(), whole.state);
                prop_assert_eq!(chunked.connection.end(), whole.end.as_ref());
            }
        }
    }

    /// Invariant 7: an error and its Close come together, and the Close is the last that is sent.
    #[test]
    fn a_connection_that_fails_owes_one_close_with_the_code_of_the_error(
        (role, bytes) in stream(),
        config in limits(),
    ) {
        let outcome = run(role, &config, &bytes, usize::MAX, Drain::AfterEachCall);
        let frames = frames_in(&outcome.output);
        let closes = frames.iter().filter(|frame| frame.opcode == CLOSE).count();
        prop_assert_eq!(closes, usize::from(outcome.state == State::Closed));
        if let Some(error) = outcome.error {
            prop_assert_eq!(outcome.state, State::Closed);
            let code = error.close_code().get();
            prop_assert_eq!(close_code_in(&outcome.output), Some(code));
        }
        if outcome.state == State::Closed {
            prop_assert_eq!(frames.last().map(|frame| frame.opcode), Some(CLOSE));
        }
        for frame in frames {
            prop_assert_eq!((frame.fin, frame.rsv), (true, 0));
            prop_assert_eq!(frame.mask.is_some(), role == Role::Client);
        }
    }

    /// All rules of sections 5 and 7.4 at once: what the library says of any bytes is what a
    /// reader says who has them all, and writes the rules down one after the other.
    #[test]
    fn any_bytes_mean_what_a_naive_reader_says(
        (role, bytes) in stream(),
        config in limits(),
    ) {
        let outcome = run(role, &config, &bytes, usize::MAX, Drain::AfterEachCall);
        let naive = Naive::read(role, &config, &bytes);
        prop_assert_eq!(&outcome.received, &naive.received);
        match outcome.error {
            None => prop_assert!(
                naive.errors.is_empty() || naive.header_is_cut_short,
                "{:?} was not noticed", naive.errors
            ),
            Some(error) => prop_assert!(
                naive.errors.contains(&error),
                "{:?} and not one of {:?}", error, naive.errors
            ),
        }
    }
}

/// What a reader says of a stream that has all of it.
#[derive(Debug, Default)]
struct Naive {
    received: Vec<Received>,
    /// The rules that the first bad frame breaks: which of them is named is for the library to
    /// say.
    errors: Vec<ProtocolError>,
    /// Whether that frame's header is not whole, so that nothing need be said of it yet.
    header_is_cut_short: bool,
}

impl Naive {
    fn read(role: Role, config: &Config, mut bytes: &[u8]) -> Self {
        let mut naive = Self::default();
        let mut message: Option<(u8, Vec<u8>, u64)> = None;
        while naive.errors.is_empty() && !bytes.is_empty() {
            // A header that is cut short is read as if zeros followed, and judged by what is there.
            let mut header = [0; 14];
            let there = bytes.len().min(14);
            header[..there].copy_from_slice(&bytes[..there]);
            let (fin, rsv, opcode) = (header[0] >> 7 == 1, header[0] >> 4 & 7, header[0] & 15);
            let (masked, short) = (header[1] >> 7 == 1, header[1] & 127);
            let extended: u64 = match short {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let claimed = header[2..10]
                .iter()
                .take(usize::try_from(extended).expect("8 at most"))
                .fold(0, |len, &byte| len << 8 | u64::from(byte));
            let len = if extended == 0 {
                u64::from(short)
            } else {
                claimed
            };
            let mut header_len = 2 + usize::try_from(extended).expect("8 at most");
            let key_start = header_len;
            if masked {
                header_len += 4;
            }
            let is_control = opcode >= 8;
            let first = matches!(opcode, TEXT | BINARY);
            let mut errors = Vec::new();
            let mut rule = |broken: bool, error| {
                if broken {
                    errors.push(error);
                }
            };
            let reserved = matches!(opcode, 3..=7 | 11..=15);
            rule(reserved, ProtocolError::ReservedOpcode(opcode));
            rule(is_control && !fin, ProtocolError::ControlFragmented);
            rule(is_control && short > 125, ProtocolError::ControlTooLong);
            rule(rsv != 0, ProtocolError::ReservedBitSet);
            rule(
                masked && role == Role::Client,
                ProtocolError::MaskUnexpected,
            );
            rule(!masked && role == Role::Server, ProtocolError::MaskMissing);
            rule(len >> 63 == 1, ProtocolError::LengthTooLarge);
            let shortest = match len {
                0..=125 => 0,
                126..=65535 => 2,
                _ => 8,
            };
            rule(extended != shortest, ProtocolError::LengthNotMinimal);
            if !is_control {
                let (so_far, fragments) = match &message {
                    Some((_, payload, fragments)) => (payload.len() as u64, *fragments),
                    None => (0, 0),
                };
                let orphan = opcode == CONTINUATION && message.is_none();
                rule(orphan, ProtocolError::ContinuationUnexpected);
                let interrupts = first && message.is_some();
                rule(interrupts, ProtocolError::MessageInterrupted);
                rule(len > config.max_frame_len, ProtocolError::FrameTooLong);
                let total = so_far.saturating_add(len);
                rule(
                    total > config.max_message_len,
                    ProtocolError::MessageTooLong,
                );
                let too_many = fragments >= config.max_fragments;
                rule(too_many, ProtocolError::TooManyFragments);
            }
            naive.errors = errors;
            naive.header_is_cut_short = bytes.len() < header_len;
            if naive.header_is_cut_short || !naive.errors.is_empty() {
                break;
            }
            let mut key = [0; 4];
            if masked {
                key.copy_from_slice(&bytes[key_start..header_len]);
            }
            let rest = &bytes[header_len..];
            let there = usize::try_from(len).map_or(rest.len(), |len| len.min(rest.len()));
            let payload: Vec<u8> = rest[..there]
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .collect();
            let whole = there as u64 == len;
            bytes = &rest[there..];
            if is_control {
                match opcode {
                    _ if !whole => break,
                    PING => naive.received.push(Received::Ping(payload)),
                    PONG => naive.received.push(Received::Pong(payload)),
                    _ => {
                        naive.close(&payload);
                        break;
                    }
                }
                continue;
            }
            let (opcode, mut so_far, fragments) = message.take().unwrap_or((opcode, Vec::new(), 0));
            so_far.extend(payload);
            let ended = whole && fin;
            if opcode == TEXT
                && let Err(error) = std::str::from_utf8(&so_far)
                && (ended || error.error_len().is_some())
            {
                naive.errors.push(ProtocolError::TextNotUtf8);
            } else if ended {
                naive.received.push(match opcode {
                    TEXT => text(std::str::from_utf8(&so_far).expect("it was just judged")),
                    _ => Received::Binary(so_far),
                });
            } else {
                message = Some((opcode, so_far, fragments + 1));
            }
        }
        naive
    }

    fn close(&mut self, payload: &[u8]) {
        let Some((code, reason)) = payload.split_first_chunk() else {
            match payload {
                [] => self.received.push(Received::Close(None)),
                _ => self.errors.push(ProtocolError::CloseTooShort),
            }
            return;
        };
        let code = u16::from_be_bytes(*code);
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            self.errors.push(ProtocolError::CloseCodeInvalid(code));
        }
        match std::str::from_utf8(reason) {
            Err(_) => self.errors.push(ProtocolError::CloseReasonNotUtf8),
            Ok(reason) if self.errors.is_empty() => self.received.push(close(code, reason)),
            Ok(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    /// Invariant 3.
    #[test]
    fn a_header_decodes_to_what_was_encoded(
        fin in any::<bool>(),
        rsv in vec(select(&[Rsv::RSV1, Rsv::RSV2, Rsv::RSV3][..]), 0..3),
        opcode in select(&[
            Opcode::Continuation, Opcode::Text, Opcode::Binary,
            Opcode::Close, Opcode::Ping, Opcode::Pong,
        ][..]),
        mask in any::<Option<[u8; 4]>>(),
        bits in 0_u32..64,
        len in any::<u64>(),
        behind in vec(any::<u8>(), 0..4),
    ) {
        // Of every number of bits as often.
        let payload_len = (len & i64::MAX.unsigned_abs()) >> bits;
        let header = FrameHeader {
            fin: fin || opcode.is_control(),
            rsv: rsv.into_iter().fold(Rsv::NONE, |all, one| all | one),
            opcode,
            mask: mask.map(MaskingKey::new),
            payload_len: if opcode.is_control() { payload_len % 126 } else { payload_len },
        };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), header.encoded_len());
        prop_assert!(bytes.len() <= FrameHeader::MAX_LEN);
        for len in 0..bytes.len() {
            prop_assert_eq!(FrameHeader::decode(&bytes[..len]), Ok(None));
        }
        bytes.extend(behind);
        prop_assert_eq!(FrameHeader::decode(&bytes), Ok(Some(header)));
    }

    /// Invariant 3, from the other side: there is one encoding of what decodes.
    #[test]
    fn what_decodes_is_what_would_be_encoded(bytes in vec(any::<u8>(), 0..20)) {
        if let Ok(Some(header)) = FrameHeader::decode(&bytes) {
            let mut encoded = Vec::new();
            header.encode(&mut encoded);
            prop_assert_eq!(&encoded[..], &bytes[..header.encoded_len()]);
        }
    }
}

/// Something that the application sends.
#[derive(Debug, Clone)]
enum Send {
    Message(MessageKind, Vec<u8>),
    /// A message in fragments that end at the cuts, with a Ping between if there is one.
    Fragments(MessageKind, Vec<u8>, Vec<Index>, Option<Vec<u8>>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// A payload that is of the kind.
fn kind_and_payload() -> impl Strategy<Value = (MessageKind, Vec<u8>)> {
    prop_oneof![
        string().prop_map(|string| (MessageKind::Text, string.into_bytes())),
        payload().prop_map(|payload| (MessageKind::Binary, payload)),
    ]
}

fn send() -> impl Strategy<Value = Send> {
    let control = || vec(any::<u8>(), 0..=125);
    prop_oneof![
        3 => kind_and_payload().prop_map(|(kind, payload)| Send::Message(kind, payload)),
        3 => (
            kind_and_payload(),
            vec(any::<Index>(), 0..5),
            proptest::option::of(control()),
        )
            .prop_map(|((kind, payload), cuts, ping)| Send::Fragments(kind, payload, cuts, ping)),
        1 => control().prop_map(Send::Ping),
        1 => control().prop_map(Send::Pong),
    ]
}

impl Send {
    /// Sends it, and adds what the peer must receive to `expected`.
    fn apply(&self, end: &mut Endpoint, by_reference: bool, expected: &mut Vec<Received>) {
        let Endpoint {
            connection, output, ..
        } = end;
        let message = |kind, payload: &[u8]| match kind {
            MessageKind::Text => text(std::str::from_utf8(payload).expect("text is drawn as text")),
            MessageKind::Binary => binary(payload),
        };
        match self {
            Self::Message(kind, payload) => {
                let event = message(*kind, payload);
                match (&event, by_reference) {
                    (Received::Text(text), false) => connection.send_text(text, output),
                    (Received::Text(text), true) => {
                        connection.send_message(Message::text(text.as_str()), output)
                    }
                    (_, false) => connection.send_binary(payload, output),
                    (_, true) => connection.send_message(payload.clone().into(), output),
                }
                .unwrap();
                expected.push(event);
            }
            Self::Fragments(kind, payload, cuts, ping) => {
                let mut cuts: Vec<_> = cuts.iter().map(|c| c.index(payload.len() + 1)).collect();
                cuts.sort_unstable();
                let mut start = 0;
                for cut in cuts {
                    connection
                        .send_fragment(*kind, &payload[start..cut], false, output)
                        .unwrap();
                    start = cut;
                    if let Some(ping) = ping {
                        connection.send_ping(ping, output).unwrap();
                        expected.push(Received::Ping(ping.clone()));
                    }
                }
                connection
                    .send_fragment(*kind, &payload[start..], true, output)
                    .unwrap();
                expected.push(message(*kind, payload));
            }
            Self::Ping(payload) => {
                connection.send_ping(payload, output).unwrap();
                expected.push(Received::Ping(payload.clone()));
            }
            Self::Pong(payload) => {
                connection.send_pong(payload, output).unwrap();
                expected.push(Received::Pong(payload.clone()));
            }
        }
    }
}

/// Without the Pongs: those that are answers come when they come.
fn without_pongs(received: &[Received]) -> Vec<Received> {
    received
        .iter()
        .filter(|event| !matches!(event, Received::Pong(_)))
        .cloned()
        .collect()
}

proptest! {
    #![proptest_config(cases(250))]

    /// What one end sends is what the other receives.
    #[test]
    fn messages_arrive_unchanged(
        sends in vec((role(), send(), any::<bool>()), 0..12),
        chunk_len in prop_oneof![1_usize..20, 100_usize..6000],
        drain in select(&DRAINS[..]),
        closer in role(),
    ) {
        let mut pair = Pair::new(chunk_len, drain);
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        for (role, send, by_reference) in &sends {
            let expected = match role {
                Role::Client => &mut to_server,
                Role::Server => &mut to_client,
            };
            send.apply(pair.end(*role), *by_reference, expected);
        }
        pair.settle();
        prop_assert_eq!(
            without_pongs(&pair.server.received),
            without_pongs(&to_server)
        );
        prop_assert_eq!(
            without_pongs(&pair.client.received),
            without_pongs(&to_client)
        );
        // Pongs that were asked for or not: none is lost that the other end sent by itself.
        for (end, expected) in [(&pair.server, &to_server), (&pair.client, &to_client)] {
            for pong in expected.iter().filter(|e| matches!(e, Received::Pong(_))) {
                prop_assert!(end.received.contains(pong));
            }
        }
        let end = pair.end(closer);
        end.connection
            .send_close(Some(close_frame(1000, "")), &mut end.output)
            .unwrap();
        pair.settle();
        for role in ROLES {
            let end = pair.end(role);
            prop_assert_eq!(end.error, None);
            prop_assert!(end.end().is_clean());
            prop_assert_eq!(end.received.last(), Some(&close(1000, "")));
        }
    }

    /// Invariant 8: after our Close only Pongs, until the peer's; after the peer's nothing.
    #[test]
    fn nothing_but_pongs_follows_a_close(
        (role, bytes) in stream(),
        close_after in any::<Index>(),
        sends in vec((any::<Index>(), send()), 0..4),
    ) {
        let mut endpoint = Endpoint::new(role);
        let close_at = close_after.index(bytes.len() + 1);
        for (index, byte) in bytes.iter().take(2000).enumerate() {
            if index == close_at {
                let Endpoint { connection, output, .. } = &mut endpoint;
                let _ = connection.send_close(Some(close_frame(4000, "")), output);
            }
            for (at, send) in &sends {
                // Whether it may be sent is what is tried here.
                if at.index(bytes.len()) == index {
                    let Endpoint { connection, output, .. } = &mut endpoint;
                    let before = output.len();
                    let sent = match send {
                        Send::Message(_, payload) => connection.send_binary(payload, output),
                        Send::Fragments(kind, ..) => {
                            connection.send_fragment(*kind, b"", true, output)
                        }
                        Send::Ping(payload) => connection.send_ping(payload, output),
                        Send::Pong(payload) => connection.send_pong(payload, output),
                    };
                    prop_assert_eq!(sent.is_ok(), connection.state() == State::Open);
                    prop_assert_eq!(sent.is_err(), output.len() == before);
                }
            }
            endpoint.receive_in_chunks(&[*byte], 1);
        }
        let frames = frames_in(&endpoint.written);
        let behind = frames.iter().skip_while(|frame| frame.opcode != CLOSE).skip(1);
        for frame in behind {
            prop_assert_eq!(frame.opcode, PONG);
        }
        let closes = endpoint.received.iter().position(|e| matches!(e, Received::Close(_)));
        if let Some(at) = closes {
            prop_assert_eq!(at + 1, endpoint.received.len(), "nothing behind the peer's Close");
        }
    }
}

/// Bytes that are nearly text: pieces of valid and of invalid UTF-8.
fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        2 => "[ -~]{1,10}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 1..3),
        1 => vec(0x80_u8..=0xff, 1..4),
        1 => any::<char>().prop_map(|c| {
            let mut bytes = c.to_string().into_bytes();
            bytes.pop();
            bytes
        }),
    ];
    vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(cases(500))]

    /// Invariant 9: text events agree with the standard library, and so does every prefix on
    /// whether it may still become a text.
    #[test]
    fn text_is_judged_like_the_standard_library_judges_it(
        role in role(),
        payload in nearly_text(),
        cuts in vec(any::<Index>(), 0..4),
        delivery in select(&[Delivery::Messages, Delivery::Chunks][..]),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        let mut endpoint =
            Endpoint::with_config(role, config(|config| config.delivery = delivery));
        let peer = peer_of(role);
        let mut start = 0;
        let mut judged = 0;
        cuts.push(payload.len());
        let last = cuts.len() - 1;
        for (index, &cut) in cuts.iter().enumerate() {
            let raw = RawFrame {
                fin: index == last,
                ..frame(if index == 0 { TEXT } else { CONTINUATION }, &payload[start..cut])
            };
            let raw = raw.sent_by(peer);
            start = cut;
            let bytes = raw.bytes();
            let header_len = raw.header_len();
            // The last byte of the last frame says that the text is over, too.
            let before_last = if index == last { bytes.len() - 1 } else { bytes.len() };
            for (at, byte) in bytes.iter().enumerate().take(before_last) {
                endpoint.receive(&[*byte]);
                judged += usize::from(at >= header_len);
                let prefix = std::str::from_utf8(&payload[..judged]);
                let hopeless = prefix.is_err_and(|error| error.error_len().is_some());
                let error = hopeless.then_some(ProtocolError::TextNotUtf8);
                prop_assert_eq!(endpoint.error, error, "after {} bytes", judged);
            }
            if index == last {
                endpoint.receive(&bytes[bytes.len() - 1..]);
            }
        }
        match std::str::from_utf8(&payload) {
            Err(_) => prop_assert_eq!(endpoint.error, Some(ProtocolError::TextNotUtf8)),
            Ok(valid) => {
                prop_assert_eq!(endpoint.error, None);
                if delivery == Delivery::Messages {
                    prop_assert_eq!(endpoint.received, [text(valid)]);
                } else {
                    let together: Vec<u8> = endpoint
                        .received
                        .iter()
                        .flat_map(|event| match event {
                            Received::Chunk { payload, .. } => payload.clone(),
                            other => unreachable!("{other:?} was not sent"),
                        })
                        .collect();
                    prop_assert_eq!(together, payload);
                }
            }
        }
    }
}

/// A call of the public API, on one of two connections with one of two pairs of buffers.
#[derive(Debug, Clone)]
enum Call {
    Advance,
    Receive,
    Spare,
    Commit(usize),
    Read(Vec<u8>),
    ReadOn(usize),
    Extend(Vec<u8>),
    Lend(usize),
    Park,
    TakeMessage,
    Look,
    Consume(usize),
    SendText(String),
    SendBinary(Vec<u8>),
    SendMessage(Box<Message>),
    SendFragment(MessageKind, Vec<u8>, bool),
    SendPing(Vec<u8>),
    SendPong(Vec<u8>),
    SendClose(Option<(u16, usize)>),
    SetNow(u64),
    HandleTimeout(u64),
    ReceiveEof,
    TransportFailed,
    SwapInputs,
    SwapOutputs,
}

fn call() -> impl Strategy<Value = Call> {
    let bytes = || {
        prop_oneof![
            1 => vec(any::<u8>(), 0..20),
            6 => stream().prop_map(|(_, bytes)| bytes),
        ]
    };
    let len = || prop_oneof![3 => 0_usize..50, 1 => 0_usize..200_000, 1 => Just(usize::MAX)];
    let control = || vec(any::<u8>(), 0..130);
    let fragment = (kind(), nearly_text(), any::<bool>());
    let close = proptest::option::of((0_u16..5000, 0_usize..130));
    let data = prop_oneof![
        4 => message().prop_map(|(opcode, payload)| match opcode {
            TEXT => Message::text(String::from_utf8(payload).expect("text is drawn as text")),
            _ => Message::binary(payload),
        }),
        1 => control().prop_map(|payload| Message::Ping(payload.into())),
        1 => control().prop_map(|payload| Message::Pong(payload.into())),
    ];
    prop_oneof![
        12 => Just(Call::Advance),
        6 => Just(Call::Receive),
        3 => Just(Call::Spare),
        2 => len().prop_map(Call::Commit),
        4 => bytes().prop_map(Call::Read),
        12 => (1_usize..40).prop_map(Call::ReadOn),
        2 => bytes().prop_map(Call::Extend),
        2 => (0_usize..70_000).prop_map(Call::Lend),
        2 => Just(Call::Park),
        3 => Just(Call::TakeMessage),
        3 => Just(Call::Look),
        4 => len().prop_map(Call::Consume),
        1 => string().prop_map(Call::SendText),
        1 => payload().prop_map(Call::SendBinary),
        2 => data.prop_map(|message| Call::SendMessage(Box::new(message))),
        3 => fragment.prop_map(|(kind, payload, fin)| Call::SendFragment(kind, payload, fin)),
        1 => control().prop_map(Call::SendPing),
        1 => control().prop_map(Call::SendPong),
        1 => close.prop_map(Call::SendClose),
        2 => (0_u64..100).prop_map(Call::SetNow),
        2 => (0_u64..100).prop_map(Call::HandleTimeout),
        1 => Just(Call::ReceiveEof),
        1 => Just(Call::TransportFailed),
        2 => Just(Call::SwapInputs),
        1 => Just(Call::SwapOutputs),
    ]
}

/// Two connections, and buffers that need not be theirs.
struct Bench {
    start: Instant,
    connections: [Connection; 2],
    inputs: [RecvBuffer; 2],
    outputs: [SendBuffer; 2],
    /// What the peers of the two have sent and nobody has read: the stream belongs to the input,
    /// and goes where that goes.
    streams: [Vec<u8>; 2],
}

impl Bench {
    fn apply(&mut self, which: usize, call: &Call) {
        let connection = &mut self.connections[which];
        let input = &mut self.inputs[which];
        let output = &mut self.outputs[which];
        let waiting = output.len();
        // Whether it is allowed is for other tests: here nothing may panic.
        let sent = match call {
            Call::Advance => {
                let found = connection.advance(input, output);
                assert_eq!(found == Ok(true), input.event().is_some());
                None
            }
            Call::Receive => {
                if let Ok(Some(event)) = connection.receive(input, output) {
                    look_at(event);
                }
                None
            }
            Call::Spare => {
                assert!(!input.spare_mut().is_empty());
                assert_eq!(input.event(), None);
                None
            }
            Call::Commit(len) => {
                // Of what is committed unread, no more than there was room for arrives.
                input.commit(*len);
                None
            }
            Call::Read(bytes) => {
                let spare = input.spare_mut();
                let len = spare.len().min(bytes.len());
                spare[..len].copy_from_slice(&bytes[..len]);
                input.commit(len);
                None
            }
            Call::ReadOn(len) => {
                let stream = &mut self.streams[which];
                let spare = input.spare_mut();
                let len = spare.len().min(stream.len()).min(*len);
                for (place, byte) in spare.iter_mut().zip(stream.drain(..len)) {
                    *place = byte;
                }
                input.commit(len);
                None
            }
            Call::Extend(bytes) => {
                input.extend(bytes);
                None
            }
            Call::Lend(len) => {
                input.lend(vec![0; *len]);
                None
            }
            Call::Park => {
                input.park();
                None
            }
            Call::TakeMessage => {
                if let Some(Message::Text(text)) = input.take_message() {
                    assert!(std::str::from_utf8(text.as_bytes()).is_ok());
                }
                None
            }
            Call::Look => {
                if let Some(event) = input.event() {
                    look_at(event);
                }
                let chunks: usize = output.chunks().map(<[u8]>::len).sum();
                assert_eq!(chunks, output.len());
                assert_eq!(output.to_vec().len(), output.len());
                assert_eq!(output.is_empty(), waiting == 0);
                connection.teardown();
                connection.round_trip_time();
                connection.next_deadline();
                let closed = connection.state() == State::Closed;
                assert_eq!(connection.end().is_some(), closed);
                assert!(!format!("{connection:?} {input:?} {output:?}").is_empty());
                None
            }
            Call::Consume(len) => {
                output.consume(*len);
                assert_eq!(output.len(), waiting.saturating_sub(*len));
                None
            }
            Call::SendText(text) => Some(connection.send_text(text, output)),
            Call::SendBinary(data) => Some(connection.send_binary(data, output)),
            Call::SendMessage(message) => {
                Some(connection.send_message(message.as_ref().clone(), output))
            }
            Call::SendFragment(kind, payload, fin) => {
                Some(connection.send_fragment(*kind, payload, *fin, output))
            }
            Call::SendPing(payload) => Some(connection.send_ping(payload, output)),
            Call::SendPong(payload) => Some(connection.send_pong(payload, output)),
            Call::SendClose(frame) => {
                let frame = frame.and_then(|(code, reason_len)| {
                    Some(CloseFrame {
                        code: CloseCode::new(code)?,
                        reason: "r".repeat(reason_len).into(),
                    })
                });
                Some(connection.send_close(frame, output))
            }
            Call::SetNow(seconds) => {
                connection.set_now(self.start + Duration::from_secs(*seconds));
                None
            }
            Call::HandleTimeout(seconds) => {
                let now = self.start + Duration::from_secs(*seconds);
                connection.handle_timeout(now, output);
                None
            }
            Call::ReceiveEof => {
                let end = connection.receive_eof();
                assert_eq!(connection.end(), Some(&end));
                None
            }
            Call::TransportFailed => {
                let end = connection.transport_failed();
                assert_eq!(connection.end(), Some(&end));
                None
            }
            Call::SwapInputs => {
                self.inputs.swap(0, 1);
                self.streams.swap(0, 1);
                None
            }
            Call::SwapOutputs => {
                self.outputs.swap(0, 1);
                None
            }
        };
        if let Some(sent) = sent {
            let output = &self.outputs[which];
            assert_eq!(sent.is_err(), output.len() == waiting, "{sent:?}");
        }
    }
}

/// Looks at every byte of an event.
fn look_at(event: Event<'_>) {
    // Text is checked to be UTF-8 here.
    drop(Received::from(event));
}

proptest! {
    #![proptest_config(cases(400))]

    /// Invariant 14, and the promise that buffers which are swapped give wrong data or an error.
    #[test]
    fn no_order_of_calls_panics(
        roles in prop_oneof![role().prop_map(|role| [role; 2]), [role(), role()]],
        configs in [limits(), limits()],
        deliveries in [any::<bool>(), any::<bool>()],
        streams in [legal_frames(), legal_frames()],
        calls in vec((0_usize..2, call()), 0..80),
    ) {
        let [first, second] = [0, 1].map(|which: usize| {
            let mut config = configs[which].clone();
            config.idle_timeout = Some(Duration::from_secs(30));
            if deliveries[which] {
                config.delivery = Delivery::Chunks;
            }
            Connection::new(roles[which], Arc::new(config))
        });
        let mut bench = Bench {
            start: Instant::now(),
            connections: [first, second],
            inputs: Default::default(),
            outputs: Default::default(),
            streams: [0, 1].map(|which| sent_by(peer_of(roles[which]), &streams[which])),
        };
        for (which, call) in &calls {
            bench.apply(*which, call);
        }
    }
}
