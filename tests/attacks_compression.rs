//! Attacks by compression, each against the core in memory and against both adapters, with memory
//! counted where memory is what is attacked.
//!
//! RFC 7692. Which advisory each test is for is in ATTACKS.md.

#![cfg(all(feature = "blocking", feature = "tokio", feature = "deflate"))]

#[path = "support/allocator.rs"]
mod allocator;
mod support;
#[path = "support/victim.rs"]
mod victim;

use std::sync::Arc;

use flate2::{Compress, FlushCompress};
use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, DeflateConfig, Request, ServerHandshake,
};
use framewright::tokio::Server;
use framewright::{
    Config, Connection, HandshakeError, ProtocolError, RecvBuffer, Role, SendBuffer,
};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use allocator::measure;
use support::*;
use victim::{Failure, Outcome, Victim, in_tokio, switching, upgrade_and};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What a connection holds to read and inflate, beyond the message: windows, and the room of a
/// step.
const INFLATING: usize = 200 * KIB;

// -- Bombs ----------------------------------------------------------------------------------------

#[test]
fn a_bomb_fails_at_the_limit_of_the_inflated_message() {
    // A limit on what is compressed, or on frames before they are inflated, lets each of these
    // pass.
    let bomb = deflated(&vec![b'a'; 8 * MIB]);
    assert!(bomb.len() < 64 * KIB);
    let victim = compressing(|config| config.max_message_len = 64 << 10);
    let parts: Vec<_> = bomb.chunks(bomb.len() / 50).collect();
    for role in ROLES {
        for opcode in [TEXT, BINARY] {
            let single = vec![frame(opcode, &bomb).rsv(RSV1)];
            let mut fragments: Vec<_> = parts
                .iter()
                .map(|part| fragment(CONTINUATION, part))
                .collect();
            fragments[0] = fragment(opcode, parts[0]).rsv(RSV1);
            for frames in [single, fragments] {
                let outcome = receives(&victim, role, &frames);
                outcome.assert_failed(ProtocolError::MessageTooLong);
                assert_eq!(outcome.close_code(), Some(1009));
            }
        }
        // Exactly the limit passes, and one byte more does not.
        let longest = vec![b'a'; 64 * KIB];
        let frames = [frame(BINARY, deflated(&longest)).rsv(RSV1)];
        assert!(receives(&victim, role, &frames).received == [binary(&longest)]);
        let longer = vec![b'a'; 64 * KIB + 1];
        let frames = [frame(BINARY, deflated(&longer)).rsv(RSV1)];
        receives(&victim, role, &frames).assert_failed(ProtocolError::MessageTooLong);
    }
}

#[test]
fn sixteen_bombs_at_once_take_sixteen_limits() {
    const BOMBS: usize = 16;
    let bomb = frame(BINARY, deflated(&vec![0; 8 * MIB]))
        .rsv(RSV1)
        .sent_by(Role::Client);
    let bomb = bomb.bytes();
    let config = Arc::new(config(|config| config.max_message_len = MIB as u64));
    let usage = measure(|| {
        let mut victims: Vec<_> = (0..BOMBS)
            .map(|_| {
                (
                    agreed(Arc::clone(&config)),
                    RecvBuffer::new(),
                    SendBuffer::new(),
                )
            })
            .collect();
        let mut failed = 0;
        for bytes in bomb.chunks(100) {
            // All of them inflate by turns, and none is done before the others.
            for (connection, input, output) in &mut victims {
                input.extend(bytes);
                match connection.advance(input, output) {
                    Ok(found) => assert!(!found),
                    Err(error) => {
                        assert_eq!(error, ProtocolError::MessageTooLong);
                        failed += 1;
                    }
                }
            }
            if failed > 0 {
                break;
            }
        }
        assert_eq!(failed, BOMBS);
    });
    assert!(usage.peak <= BOMBS * (MIB + INFLATING), "{usage:?}");
    assert_eq!(
        usage.held,
        usage.held.min(64 * 1024),
        "all of it is given back: {usage:?}"
    );
}

#[test]
fn sixteen_bombs_at_sixteen_sockets_take_sixteen_limits() {
    const BOMBS: usize = 16;
    let bomb = frame(BINARY, deflated(&vec![0; 8 * MIB]))
        .rsv(RSV1)
        .sent_by(Role::Client);
    let request = upgrade_and(&["Sec-WebSocket-Extensions: permessage-deflate"]);
    let wire = [request, bomb.bytes()].concat();
    let config = Arc::new(config(|config| config.max_message_len = MIB as u64));
    let usage = measure(|| {
        in_tokio(async {
            let mut tasks = Vec::new();
            for _ in 0..BOMBS {
                let (mut attacker, stream) = tokio::io::duplex(4 * KIB);
                let server = Server::new().config(Arc::clone(&config));
                let server = server.deflate(DeflateConfig::default());
                let wire = wire.clone();
                let victim = async move {
                    let mut socket = server.accept(stream).await.unwrap();
                    socket.recv().await.unwrap_err().to_string()
                };
                let attack = async move {
                    let _ = attacker.write_all(&wire).await;
                    attacker
                };
                tasks.push(async { tokio::join!(victim, attack).0 });
            }
            for error in futures_util::future::join_all(tasks).await {
                assert_eq!(error, ProtocolError::MessageTooLong.to_string());
            }
        });
    });
    // The bytes of the attackers and the pipes are counted, too.
    let most = BOMBS * (MIB + INFLATING + wire.len() + 16 * KIB);
    assert!(usage.peak <= most, "{usage:?}");
}

// -- Agreement ------------------------------------------------------------------------------------

#[test]
fn a_compressed_frame_that_nobody_agreed_on_fails_the_connection() {
    for role in ROLES {
        let frames = [frame(TEXT, deflated(b"hello")).rsv(RSV1)];
        let wire = sent_by(peer_of(role), &frames);
        let outcome = Victim::default().receives(role, &wire);
        outcome.assert_failed(ProtocolError::ReservedBitSet);
        // And where it was agreed on, where the bit has no place.
        let bad = [
            vec![frame(PING, "").rsv(RSV1)],
            vec![frame(CLOSE, "").rsv(RSV1)],
            vec![fragment(TEXT, "a"), frame(CONTINUATION, "b").rsv(RSV1)],
            vec![frame(TEXT, "a").rsv(RSV2)],
            vec![frame(TEXT, "a").rsv(RSV1 | RSV3)],
        ];
        for frames in bad {
            let outcome = receives(&compressing(|_| {}), role, &frames);
            outcome.assert_failed(ProtocolError::ReservedBitSet);
        }
    }
}

#[test]
fn an_offer_that_makes_no_sense_is_declined_and_the_next_one_tried() {
    for param in BAD_PARAMS {
        let bad = format!("permessage-deflate; {param}");
        let offer = format!("Sec-WebSocket-Extensions: {bad}");
        let outcome = compressing(|_| {}).serves(&upgrade_and(&[&offer]));
        assert_eq!(outcome.status(), 101, "{param}");
        assert_eq!(outcome.header("Sec-WebSocket-Extensions"), None, "{param}");
        let offer = format!("{offer}, permessage-deflate");
        let outcome = compressing(|_| {}).serves(&upgrade_and(&[&offer]));
        let answer = outcome.header("Sec-WebSocket-Extensions");
        assert_eq!(answer, Some("permessage-deflate"), "{param}");
    }
}

#[test]
fn an_answer_that_makes_no_sense_fails_the_handshake_and_crashes_nobody() {
    for param in BAD_PARAMS.into_iter().chain(["client_max_window_bits"]) {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {param}");
        let outcome = compressing(|_| {}).asks(|accept| with_line(accept, &line));
        let error = HandshakeError::ExtensionParametersInvalid;
        assert_eq!(outcome.failure, Some(Failure::Handshake(error)), "{param}");
    }
    for (line, error) in [
        (
            "permessage-deflate, permessage-deflate",
            HandshakeError::ExtensionParametersInvalid,
        ),
        ("permessage-bzip2", HandshakeError::ExtensionNotOffered),
        (
            "permessage-deflate; a=\"",
            HandshakeError::ExtensionsInvalid,
        ),
    ] {
        let line = format!("Sec-WebSocket-Extensions: {line}");
        let outcome = compressing(|_| {}).asks(|accept| with_line(accept, &line));
        assert_eq!(outcome.failure, Some(Failure::Handshake(error)), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parameters_of_any_kind_are_an_agreement_or_an_error(
        value in "(permessage-deflate|x)?(;? ?(server|client)_(max_window_bits|no_context_takeover)(=\"?[0-9]{0,3}\"?)?|[;,= \"\\\\a-z0-9]){0,6}",
    ) {
        let config = Arc::new(Config::default());
        let line = format!("Sec-WebSocket-Extensions: {value}");
        let mut input = RecvBuffer::from(&upgrade_and(&[&line])[..]);
        let mut output = SendBuffer::new();
        match ServerHandshake::new(Arc::clone(&config)).receive(&mut input) {
            Ok(Some(Request::Upgrade(upgrade))) => {
                let acceptance = Acceptance::new().deflate(DeflateConfig::default());
                upgrade.accept(acceptance, Arc::clone(&config), &mut output).unwrap();
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => prop_assert_eq!(error, HandshakeError::ExtensionsInvalid),
        }
        let request = ClientRequest::new("ws://h/").unwrap().deflate(DeflateConfig::default());
        let mut asked = SendBuffer::new();
        let mut client = ClientHandshake::start(&request, config, [7; 16], &mut asked);
        let accept = victim::accept_of(&asked.to_vec());
        let mut input = RecvBuffer::from(&with_line(&accept, &line)[..]);
        match client.receive(&mut input) {
            Ok(Some(response)) => drop(response.into_connection()),
            Ok(None) => panic!("the answer is whole"),
            Err(error) => prop_assert!(matches!(
                error,
                HandshakeError::ExtensionsInvalid
                    | HandshakeError::ExtensionNotOffered
                    | HandshakeError::ExtensionParametersInvalid
            )),
        }
    }

    #[test]
    fn compressed_bytes_of_any_kind_are_a_message_or_a_typed_error(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        flipped in any::<prop::sample::Index>(),
        is_text in any::<bool>(),
    ) {
        let mut nearly = deflated(&b"so nearly good, so nearly good, ".repeat(8));
        let bit = flipped.index(nearly.len() * 8);
        nearly[bit / 8] ^= 1 << (bit % 8);
        let opcode = if is_text { TEXT } else { BINARY };
        let mut connection = agreed(Arc::new(Config::default()));
        let mut output = SendBuffer::new();
        for payload in [nearly, payload] {
            let wire = frame(opcode, payload).rsv(RSV1).sent_by(Role::Client).bytes();
            match connection.advance(&mut RecvBuffer::from(&wire[..]), &mut output) {
                Ok(found) => prop_assert!(found, "a whole frame is a message or an error"),
                Err(error) => {
                    prop_assert_eq!(error.close_code().get(), 1007);
                    break;
                }
            }
        }
    }
}

// -- Data -----------------------------------------------------------------------------------------

#[test]
fn data_that_is_no_deflate_fails_the_connection() {
    let invalid = ProtocolError::CompressedDataInvalid;
    let cases: [(&[u8], ProtocolError); 7] = [
        // The reserved type of a block.
        (b"\x06", invalid),
        (b"\xff\xff\xff\xff", invalid),
        // A stored block whose length is not confirmed.
        (b"\x00\x05\x00\x00\x00Hello", invalid),
        // 7.2.3.2: a reference to a message before, where there is none.
        (b"\xf2\x00\x11\x00\x00", invalid),
        // A message that ends inside a block.
        (b"\x00\x05\x00\xfa\xffHel", invalid),
        // Text that inflates to what is none, whole and cut short.
        (b"\x00\x01\x00\xfe\xff\xff\x00", ProtocolError::TextNotUtf8),
        (
            b"\x00\x02\x00\xfd\xff\xe2\x82\x00",
            ProtocolError::TextNotUtf8,
        ),
    ];
    for role in ROLES {
        for (payload, error) in cases {
            let frames = [frame(TEXT, "good"), frame(TEXT, payload).rsv(RSV1)];
            let outcome = receives(&compressing(|_| {}), role, &frames);
            assert_eq!(outcome.received, [text("good")]);
            assert_eq!(
                outcome.failure,
                Some(Failure::Protocol(error)),
                "{payload:x?}"
            );
            assert_eq!(outcome.close_code(), Some(1007));
        }
    }
}

#[test]
fn final_stored_empty_and_many_blocks_are_legal_and_context_for_the_next() {
    // 7.2.3.4 and 7.2.3.5: "Hello" with BFINAL, stored, in two blocks, and nothing at all.
    let messages: [(&[u8], &str); 5] = [
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"),
        (b"\x00\x05\x00\xfa\xffHello\x00", "Hello"),
        (
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            "Hello",
        ),
        (b"\x00", ""),
        // 7.2.3.2: the same again, by reference to the one before.
        (b"\xf2\x00\x11\x00\x00", "Hello"),
    ];
    for role in ROLES {
        let frames: Vec<_> = messages
            .iter()
            .map(|(payload, _)| frame(TEXT, payload).rsv(RSV1))
            .collect();
        let outcome = receives(&compressing(|_| {}), role, &frames);
        let received: Vec<_> = messages.iter().map(|(_, message)| text(message)).collect();
        assert_eq!((outcome.received, outcome.failure), (received, None));
    }
}

// -- Rig ------------------------------------------------------------------------------------------

/// Parameters that 7.1 does not allow of an offer, nor of an answer.
const BAD_PARAMS: [&str; 14] = [
    "server_max_window_bits=0",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=08",
    "server_max_window_bits=99999999999999999999",
    "server_max_window_bits",
    "client_max_window_bits=0",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=+9",
    "server_no_context_takeover=1",
    "client_no_context_takeover=true",
    "server_no_context_takeover; server_no_context_takeover",
    "unknown",
];

fn compressing(change: impl FnOnce(&mut Config)) -> Victim {
    Victim {
        deflate: Some(DeflateConfig::default()),
        ..Victim::new(change)
    }
}

/// The end of `role`, which agreed on permessage-deflate without parameters.
fn receives(victim: &Victim, role: Role, frames: &[RawFrame]) -> Outcome {
    const LINE: &str = "Sec-WebSocket-Extensions: permessage-deflate";
    let frames = sent_by(peer_of(role), frames);
    match role {
        Role::Server => victim.serves(&[upgrade_and(&[LINE]), frames].concat()),
        Role::Client => victim.asks(|accept| [with_line(accept, LINE), frames.clone()].concat()),
    }
}

/// The answer that opens a connection, with a line more.
fn with_line(accept: &str, line: &str) -> Vec<u8> {
    let answer = switching(accept);
    answer
        .replacen("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"), 1)
        .into_bytes()
}

/// A server's connection that agreed on permessage-deflate without parameters.
fn agreed(config: Arc<Config>) -> Connection {
    let request = upgrade_and(&["Sec-WebSocket-Extensions: permessage-deflate"]);
    let mut handshake = ServerHandshake::new(Arc::clone(&config));
    match handshake.receive(&mut RecvBuffer::from(&request[..])) {
        Ok(Some(Request::Upgrade(upgrade))) => {
            let acceptance = Acceptance::new().deflate(DeflateConfig::default());
            let mut output = SendBuffer::new();
            upgrade
                .accept(acceptance, config, &mut output)
                .expect("an acceptance")
        }
        outcome => panic!("{outcome:?}"),
    }
}

/// The first message of a peer, as 7.2.1 has it.
fn deflated(message: &[u8]) -> Vec<u8> {
    let mut deflate = Compress::new(flate2::Compression::new(9), false);
    let mut payload = Vec::with_capacity(message.len() / 500 + 100 + message.len().min(1000));
    deflate
        .compress_vec(message, &mut payload, FlushCompress::Sync)
        .expect("a message that can be compressed");
    assert_eq!(deflate.total_in(), message.len() as u64);
    payload.truncate(payload.len() - 4);
    payload
}
