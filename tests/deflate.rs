//! permessage-deflate: compressed messages on the wire, received and sent.
//!
//! The peer is flate2 and bytes written by hand. Every scenario of receiving runs in both roles,
//! at every chunk length, draining or not, and must come to the same: how much is inflated at a
//! time may show nowhere.
//!
//! RFC 7692, sections 6 and 7.2.

#![cfg(feature = "deflate")]

mod support;

use std::sync::Arc;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, DeflateConfig, Request, ServerHandshake,
};
use framewright::{
    Compression, Config, Connection, Delivery, Message, MessageKind, PreparedMessage,
    ProtocolError, RecvBuffer, Role, SendBuffer, SendError, State,
};
use support::*;

// ---- Receiving: the examples of section 7.2.3 ----

#[test]
fn the_examples_of_section_7_2_3_are_received() {
    // 7.2.3.1: "c1 07 f2 48 cd c9 c9 07 00", and in fragments "41 03 f2 48 cd" and
    // "80 04 c9 c9 07 00".
    assert_eq!(
        compressed(TEXT, HELLO).bytes(),
        b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"
    );
    let fragments = [
        fragment(TEXT, b"\xf2\x48\xcd").rsv(RSV1),
        frame(CONTINUATION, b"\xc9\xc9\x07\x00"),
    ];
    assert_eq!(
        concat(&fragments),
        b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"
    );
    for params in [TAKEOVER, NO_TAKEOVER] {
        let setting = Setting::new(params);
        setting.assert_receives(&[compressed(TEXT, HELLO)], &[text("Hello")]);
        setting.assert_receives(&fragments, &[text("Hello")]);
        // 7.2.3.3: "c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00", a block without compression.
        let stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
        setting.assert_receives(&[compressed(TEXT, stored)], &[text("Hello")]);
        // 7.2.3.4: "f3 48 cd c9 c9 07 00 00", a block with BFINAL.
        setting.assert_receives(&[compressed(TEXT, HELLO_FINAL)], &[text("Hello")]);
        // 7.2.3.5: "f2 48 05 00 00 00 ff ff ca c9 c9 07 00", two blocks.
        let blocks = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
        setting.assert_receives(&[compressed(TEXT, blocks)], &[text("Hello")]);
        // 7.2.3.6: "a single octet 0x00", an empty message.
        setting.assert_receives(&[compressed(TEXT, b"\x00")], &[text("")]);
        // The second time, without sharing: "f2 48 cd c9 c9 07 00" again.
        setting.assert_receives(
            &[compressed(TEXT, HELLO), compressed(TEXT, HELLO)],
            &[text("Hello"), text("Hello")],
        );
    }
}

#[test]
fn the_example_of_a_shared_window_is_received_with_takeover_only() {
    // 7.2.3.2: the second "Hello" is "f2 00 11 00 00", which refers back to the first.
    let frames = [compressed(TEXT, HELLO), compressed(TEXT, HELLO_AGAIN)];
    Setting::new(TAKEOVER).assert_receives(&frames, &[text("Hello"), text("Hello")]);
    Setting::new(NO_TAKEOVER).assert_fails(
        &frames,
        &[text("Hello")],
        ProtocolError::CompressedDataInvalid,
    );
}

#[test]
fn each_end_forgets_its_own_window_alone() {
    let frames = [compressed(TEXT, HELLO), compressed(TEXT, HELLO_AGAIN)];
    for (forgets, params) in [
        (
            Role::Server,
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            Role::Client,
            "permessage-deflate; client_no_context_takeover",
        ),
    ] {
        for role in ROLES {
            let outcome = Setting::new(params).receive(role, &frames);
            if peer_of(role) == forgets {
                assert_eq!(outcome.error, Some(ProtocolError::CompressedDataInvalid));
            } else {
                assert_eq!(outcome.received, [text("Hello"), text("Hello")]);
            }
        }
    }
}

// ---- Receiving: blocks and streams ----

#[test]
fn a_message_after_a_final_block_may_refer_back_over_it() {
    // 7.2.3.4 says how to go on after BFINAL, and nothing of forgetting what came before.
    Setting::new(TAKEOVER).assert_receives(
        &[
            compressed(TEXT, HELLO_FINAL),
            compressed(TEXT, HELLO_AGAIN),
            compressed(TEXT, HELLO_FINAL),
            compressed(TEXT, HELLO_AGAIN),
        ],
        &[text("Hello"), text("Hello"), text("Hello"), text("Hello")],
    );
    Setting::new(NO_TAKEOVER).assert_fails(
        &[compressed(TEXT, HELLO_FINAL), compressed(TEXT, HELLO_AGAIN)],
        &[text("Hello")],
        ProtocolError::CompressedDataInvalid,
    );
    Setting::new(NO_TAKEOVER).assert_receives(
        &[compressed(TEXT, HELLO_FINAL), compressed(TEXT, HELLO)],
        &[text("Hello"), text("Hello")],
    );
}

#[test]
fn a_final_block_may_end_a_message_without_what_section_7_2_3_4_appends() {
    for params in [TAKEOVER, NO_TAKEOVER] {
        let bare = &HELLO_FINAL[..HELLO_FINAL.len() - 1];
        Setting::new(params).assert_receives(
            &[compressed(TEXT, bare), compressed(TEXT, HELLO)],
            &[text("Hello"), text("Hello")],
        );
        // An empty stored block with BFINAL, whose lengths are those of the tail.
        Setting::new(params).assert_receives(
            &[compressed(TEXT, b"\x01"), compressed(TEXT, HELLO)],
            &[text(""), text("Hello")],
        );
    }
}

#[test]
fn several_streams_may_follow_each_other_in_a_message() {
    let bare = &HELLO_FINAL[..HELLO_FINAL.len() - 1];
    let payload = [bare, bare, HELLO].concat();
    for params in [TAKEOVER, NO_TAKEOVER] {
        Setting::new(params).assert_receives(
            &[compressed(TEXT, &payload), compressed(TEXT, &payload)],
            &[text("HelloHelloHello"), text("HelloHelloHello")],
        );
    }
    // The whole window is there after a final block: 32 KiB back, and not a byte more.
    let noise = noise(70_000);
    let mut peer = Compress::new(flate2::Compression::none(), false);
    let first = deflate(&mut peer, &noise, FlushCompress::Finish);
    for (distance, is_legal) in [(32_768, true), (1, true), (32_767, true)] {
        let payload = copy_of(258, distance);
        let end = noise.len();
        let copied: Vec<u8> = noise[end - distance..]
            .iter()
            .copied()
            .cycle()
            .take(258)
            .collect();
        let frames = [compressed(BINARY, &first), compressed(BINARY, &payload)];
        assert!(is_legal);
        Setting::new(TAKEOVER).assert_receives(&frames, &[binary(&noise), binary(&copied)]);
    }
}

#[test]
fn a_message_has_at_most_128_streams() {
    let bare = &HELLO_FINAL[..HELLO_FINAL.len() - 1];
    for params in [TAKEOVER, NO_TAKEOVER] {
        let most = compressed(TEXT, bare.repeat(128));
        let hellos = text(&"Hello".repeat(128));
        // Each message counts its own.
        Setting::new(params).assert_receives(&[most.clone(), most], &[hellos.clone(), hellos]);
        let beyond = compressed(TEXT, bare.repeat(129));
        Setting::new(params).assert_fails(&[beyond], &[], ProtocolError::CompressedDataInvalid);
    }
}

#[test]
fn a_message_that_fills_the_room_for_it_to_a_byte_is_whole() {
    // All of the payload may be taken while the end of its last copy still waits for room, which
    // grows from 4 KiB to its double.
    for room in [4096, 8192, 16_384] {
        for len in room - 2..room + 20 {
            let message = vec![b'z'; len];
            let payload = deflate_message(&mut peer(), &message);
            // A message that comes in one short frame goes a way of its own.
            let (front, rest) = payload.split_at(1);
            let frames = [
                compressed(BINARY, &payload),
                fragment(BINARY, front).rsv(RSV1),
                frame(CONTINUATION, rest),
            ];
            let mut end = Setting::new(NO_TAKEOVER).endpoint(Role::Client);
            end.receive(&concat(&frames));
            assert_eq!(end.error, None, "{len} bytes");
            assert!(end.received == [binary(&message), binary(&message)]);
        }
    }
}

#[test]
fn stored_fixed_and_dynamic_blocks_are_received() {
    let message = [noise(3000), b"abcabcabc ".repeat(700), vec![0; 5000]].concat();
    for level in [0, 1, 6, 9] {
        for params in [TAKEOVER, NO_TAKEOVER] {
            let mut peer = Compress::new(flate2::Compression::new(level), false);
            let mut frames = Vec::new();
            for _ in 0..3 {
                frames.push(compressed(BINARY, deflate_message(&mut peer, &message)));
                if params == NO_TAKEOVER {
                    peer.reset();
                }
            }
            let received = vec![binary(&message); 3];
            Setting::new(params).assert_receives(&frames, &received);
        }
    }
}

#[test]
fn an_empty_message_is_one_zero_octet_first_or_later() {
    for params in [TAKEOVER, NO_TAKEOVER] {
        Setting::new(params).assert_receives(
            &[
                compressed(TEXT, b"\x00"),
                compressed(BINARY, b"\x00"),
                compressed(TEXT, HELLO),
                compressed(TEXT, b"\x00"),
                compressed(TEXT, HELLO),
                // Fixed Huffman codes: an end of block and nothing else.
                compressed(TEXT, b"\x02\x00"),
            ],
            &[
                text(""),
                binary(b""),
                text("Hello"),
                text(""),
                text("Hello"),
                text(""),
            ],
        );
    }
}

#[test]
fn a_compressed_message_of_no_payload_is_empty() {
    // Not what section 7.2.3.6 writes, and what nobody can take for anything else.
    for params in [TAKEOVER, NO_TAKEOVER] {
        Setting::new(params).assert_receives(
            &[
                compressed(TEXT, b""),
                compressed(TEXT, HELLO),
                fragment(BINARY, b"").rsv(RSV1),
                fragment(CONTINUATION, b""),
                ping_frame(),
                frame(CONTINUATION, b""),
                compressed(TEXT, HELLO),
            ],
            &[
                text(""),
                text("Hello"),
                ping(b"p"),
                binary(b""),
                text("Hello"),
            ],
        );
    }
}

#[test]
fn what_is_not_deflate_fails_the_connection() {
    let error = ProtocolError::CompressedDataInvalid;
    assert_eq!(error.close_code().get(), 1007);
    for payload in [
        // The reserved block type, with and without BFINAL.
        &b"\x06"[..],
        b"\x07",
        b"\xff\xff\xff\xff",
        // A stored block whose length is not confirmed.
        b"\x00\x05\x00\x00\x00Hello",
        // Back to before the first byte.
        HELLO_AGAIN,
        &copy_of(3, 1),
        &copy_of(258, 32_768),
        // Fixed Huffman codes: length symbol 286, and distance symbol 30, which mean nothing.
        b"\x1a\x03",
        &[&b"\x62\x04"[..], b"\xff\xff"].concat(),
        // A dynamic block of more than 286 literal codes.
        b"\xfc\xff\xff",
        // Garbage behind a stream that has ended.
        &[&HELLO_FINAL[..7], b"\xff"].concat(),
        &[&HELLO_FINAL[..7], b"garbage"].concat(),
    ] {
        for params in [TAKEOVER, NO_TAKEOVER] {
            let setting = Setting::new(params);
            for opcode in [TEXT, BINARY] {
                let outcome = setting.receive(Role::Server, &[compressed(opcode, payload)]);
                assert_eq!(outcome.error, Some(error), "{payload:x?}: {outcome:?}");
            }
            setting.assert_fails(&[compressed(BINARY, payload)], &[], error);
        }
    }
}

#[test]
fn a_message_that_ends_inside_a_block_fails_the_connection() {
    // 7.2.1: a message ends with an empty block, so that with its tail no block is unfinished. What
    // is taken from the tail is not the peer's data, and the next message begins inside a block.
    let dynamic = {
        let mut peer = Compress::new(flate2::Compression::new(9), false);
        let message: Vec<u8> = noise(2000).iter().map(|byte| byte % 16).collect();
        deflate_message(&mut peer, &message)
    };
    for payload in [
        // A stored block of five bytes of which one came, or none, or half its length.
        &b"\x00\x05\x00\xfa\xffH"[..],
        b"\x00\x05\x00\xfa\xff",
        b"\x00\x00",
        // Garbage that is taken for the length of a stored block, which the tail confirms.
        &[HELLO_FINAL, b"\xff"].concat(),
        &[HELLO, b"\xff"].concat(),
        // A final block of which the end is missing; its last bits are zero, as those of the tail
        // are.
        b"\xf3\x48\xcd\xc9\xc9\x07",
        b"\xf3\x48\xcd\xc9",
        // Fixed Huffman codes, cut.
        &HELLO[..5],
        &HELLO[..3],
        // Dynamic ones, cut inside the codes, and inside the table.
        &dynamic[..dynamic.len() / 2],
        &dynamic[..10],
        // A table that takes the tail, and another empty block behind it, for lengths of codes.
        &[236, 198, 177, 13, 128, 32, 20, 64, 65],
    ] {
        for params in [TAKEOVER, NO_TAKEOVER] {
            let outcome = Setting::new(params).receive(
                Role::Server,
                &[compressed(BINARY, payload), compressed(TEXT, HELLO)],
            );
            assert_eq!(outcome.received, [], "{payload:x?}, {params}");
            assert_eq!(outcome.error, Some(ProtocolError::CompressedDataInvalid));
        }
    }
}

#[test]
fn a_distance_beyond_what_was_sent_fails_the_connection() {
    for (sent, distance, is_legal) in [
        (1, 1, true),
        (1, 2, false),
        (300, 300, true),
        (300, 301, false),
        (32_767, 32_767, true),
        (32_767, 32_768, false),
        (32_768, 32_768, true),
        (40_000, 32_768, true),
    ] {
        let first = noise(sent);
        let mut peer = Compress::new(flate2::Compression::none(), false);
        let frames = [
            compressed(BINARY, deflate_message(&mut peer, &first)),
            compressed(BINARY, copy_of(3, distance)),
        ];
        if is_legal {
            let start = sent - distance;
            let copied: Vec<u8> = first[start..].iter().copied().cycle().take(3).collect();
            Setting::new(TAKEOVER).assert_receives(&frames, &[binary(first), binary(copied)]);
        } else {
            Setting::new(TAKEOVER).assert_fails(
                &frames,
                &[binary(first)],
                ProtocolError::CompressedDataInvalid,
            );
        }
    }
}

#[test]
fn the_window_inflates_what_a_peer_that_ignores_window_bits_sends() {
    // zlib takes a window of 256 bytes for one of 512 and says nothing; we hold the largest.
    let message = [noise(2000), noise(2000)].concat();
    for (role, params) in [
        (Role::Client, "permessage-deflate; server_max_window_bits=8"),
        (Role::Client, "permessage-deflate; server_max_window_bits=9"),
        (Role::Server, "permessage-deflate; client_max_window_bits=8"),
        (Role::Server, "permessage-deflate; client_max_window_bits=9"),
    ] {
        let mut peer = Compress::new(flate2::Compression::new(6), false);
        let frames = [compressed(BINARY, deflate_message(&mut peer, &message))];
        let outcome = Setting::new(params).receive(role, &frames);
        assert_eq!(outcome.received, [binary(&message)], "{role:?}, {params}");
        assert_eq!(outcome.error, None);
    }
}

// ---- Receiving: frames ----

#[test]
fn rsv1_is_on_the_first_frame_of_a_message_and_nowhere_else() {
    let setting = Setting::new(TAKEOVER);
    let error = ProtocolError::ReservedBitSet;
    assert_eq!(error.close_code().get(), 1002);
    let first = fragment(TEXT, &HELLO[..3]).rsv(RSV1);
    for frames in [
        // 6.1: "An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and
        // non-first fragments of a data message."
        vec![first.clone(), frame(CONTINUATION, &HELLO[3..]).rsv(RSV1)],
        vec![first.clone(), fragment(CONTINUATION, b"").rsv(RSV1)],
        vec![fragment(TEXT, b"a"), frame(CONTINUATION, b"b").rsv(RSV1)],
        vec![frame(CONTINUATION, HELLO).rsv(RSV1)],
        vec![frame(PING, b"").rsv(RSV1)],
        vec![frame(PONG, b"").rsv(RSV1)],
        vec![frame(CLOSE, b"").rsv(RSV1)],
        vec![first, frame(PING, b"").rsv(RSV1)],
        // The other bits mean nothing still.
        vec![compressed(TEXT, HELLO).rsv(RSV1 | RSV2)],
        vec![compressed(TEXT, HELLO).rsv(RSV1 | RSV3)],
        vec![compressed(TEXT, HELLO).rsv(RSV2)],
        vec![compressed(TEXT, HELLO).rsv(RSV3)],
    ] {
        setting.assert_fails(&frames, &[], error);
    }
}

#[test]
fn rsv1_fails_a_connection_that_agreed_on_nothing() {
    for role in ROLES {
        let bytes = sent_by(peer_of(role), &[compressed(TEXT, HELLO)]);
        assert_fails(role, &bytes, ProtocolError::ReservedBitSet);
    }
    // Nor does a server compress because a client would like it.
    let mut server = server(None, TAKEOVER, Config::default());
    assert!(!server.is_compressing());
    let mut input = RecvBuffer::from(&sent_by(Role::Client, &[compressed(TEXT, HELLO)])[..]);
    assert_eq!(
        server.advance(&mut input, &mut SendBuffer::new()),
        Err(ProtocolError::ReservedBitSet)
    );
    // Nor a client that offered, and got no answer.
    let mut client = client(DeflateConfig::default(), None, Config::default());
    assert!(!client.is_compressing());
    let mut input = RecvBuffer::from(&compressed(TEXT, HELLO).bytes()[..]);
    assert_eq!(
        client.advance(&mut input, &mut SendBuffer::new()),
        Err(ProtocolError::ReservedBitSet)
    );
}

#[test]
fn messages_without_compression_do_not_touch_the_window() {
    let plain = "a message of more than five bytes";
    let frames = [
        frame(TEXT, plain),
        compressed(TEXT, HELLO),
        frame(TEXT, plain),
        fragment(BINARY, b"in "),
        frame(CONTINUATION, b"fragments"),
        frame(TEXT, b""),
        compressed(TEXT, HELLO_AGAIN),
        // Five back from here is "Hello" still.
        frame(TEXT, plain),
        compressed(TEXT, HELLO_AGAIN),
    ];
    Setting::new(TAKEOVER).assert_receives(
        &frames,
        &[
            text(plain),
            text("Hello"),
            text(plain),
            binary(b"in fragments"),
            text(""),
            text("Hello"),
            text(plain),
            text("Hello"),
        ],
    );
}

#[test]
fn a_message_may_be_split_anywhere_with_control_frames_between() {
    let message = "a text of some length, a text of some length, of some length: Grüße, 世界";
    let mut peer = Compress::new(flate2::Compression::new(9), false);
    let first = deflate_message(&mut peer, message.as_bytes());
    let second = deflate_message(&mut peer, message.as_bytes());
    assert!(second.len() < first.len() / 2, "it refers back");
    for cut in 0..=first.len() {
        let frames = [
            fragment(TEXT, &first[..cut]).rsv(RSV1),
            ping_frame(),
            fragment(CONTINUATION, b""),
            frame(PONG, b""),
            frame(CONTINUATION, &first[cut..]),
            compressed(TEXT, &second),
        ];
        Setting::new(TAKEOVER).assert_receives(
            &frames,
            &[ping(b"p"), pong(b""), text(message), text(message)],
        );
    }
    // Every byte in a frame of its own.
    let mut frames = vec![fragment(TEXT, b"").rsv(RSV1)];
    frames.extend(first.iter().map(|byte| fragment(CONTINUATION, [*byte])));
    frames.push(frame(CONTINUATION, b""));
    Setting::new(TAKEOVER).assert_receives(&frames, &[text(message)]);
}

#[test]
fn the_order_of_fragments_holds_for_compressed_messages() {
    let setting = Setting::new(TAKEOVER);
    let first = fragment(TEXT, &HELLO[..3]).rsv(RSV1);
    setting.assert_fails(
        &[first.clone(), compressed(TEXT, HELLO)],
        &[],
        ProtocolError::MessageInterrupted,
    );
    setting.assert_fails(
        &[first, frame(TEXT, b"plain")],
        &[],
        ProtocolError::MessageInterrupted,
    );
    setting.assert_fails(
        &[compressed(TEXT, HELLO), frame(CONTINUATION, b"")],
        &[text("Hello")],
        ProtocolError::ContinuationUnexpected,
    );
}

// ---- Receiving: text ----

#[test]
fn text_is_judged_as_it_is_inflated() {
    let setting = Setting::new(TAKEOVER);
    for bad in [
        &b"\xff"[..],
        b"Hello \xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90",
        b"a text of some length before \x80 and more of it behind",
    ] {
        let payload = deflate_message(&mut peer(), bad);
        setting.assert_fails(
            &[compressed(TEXT, &payload)],
            &[],
            ProtocolError::TextNotUtf8,
        );
        // Before the message is whole, and before the frame is: a flush has shown the bad byte.
        let mut flushed = payload.clone();
        flushed.extend_from_slice(&TAIL);
        setting.assert_fails(
            &[fragment(TEXT, &flushed).rsv(RSV1)],
            &[],
            ProtocolError::TextNotUtf8,
        );
        for role in ROLES {
            let begun = compressed(TEXT, &flushed)
                .sent_by(peer_of(role))
                .claiming(1 << 20);
            let outcome = setting.receive_bytes(role, &begun.bytes());
            assert_eq!(outcome.error, Some(ProtocolError::TextNotUtf8));
        }
        let data = [compressed(BINARY, &payload)];
        setting.assert_receives(&data, &[binary(bad)]);
    }
}

#[test]
fn text_that_ends_inside_a_character_fails_the_connection() {
    for bad in [&b"\xc3"[..], b"abc\xe4\xb8", b"\xf0\x9f\x98"] {
        let payload = deflate_message(&mut peer(), bad);
        Setting::new(TAKEOVER).assert_fails(
            &[compressed(TEXT, &payload)],
            &[],
            ProtocolError::TextNotUtf8,
        );
    }
}

#[test]
fn characters_may_be_split_between_fragments_and_blocks() {
    let message = "é世😀";
    let mut peer = peer();
    let mut frames = Vec::new();
    for (index, byte) in message.bytes().enumerate() {
        // A whole block of one byte, ended by a flush.
        let payload = deflate(&mut peer, &[byte], FlushCompress::Sync);
        let opcode = if index == 0 { TEXT } else { CONTINUATION };
        frames.push(fragment(opcode, payload).rsv(if index == 0 { RSV1 } else { 0 }));
    }
    frames.push(frame(CONTINUATION, b"\x00"));
    Setting::new(TAKEOVER).assert_receives(&frames, &[text(message)]);
}

#[test]
fn what_is_wrong_first_is_what_fails_the_connection() {
    // Bad text, then bad data; then the other way about.
    let bad_text = deflate(&mut peer(), b"ok \xff", FlushCompress::Sync);
    let good_text = deflate(&mut peer(), b"ok ", FlushCompress::Sync);
    let setting = Setting::new(TAKEOVER);
    setting.assert_fails(
        &[compressed(TEXT, [&bad_text[..], b"\x06"].concat())],
        &[],
        ProtocolError::TextNotUtf8,
    );
    setting.assert_fails(
        &[compressed(
            TEXT,
            [&good_text[..], b"\x06", &bad_text].concat(),
        )],
        &[],
        ProtocolError::CompressedDataInvalid,
    );
    // The same with a limit: bytes within it are judged first.
    let setting = setting.config(|config| config.max_message_len = 4);
    setting.assert_fails(
        &[compressed(TEXT, [&bad_text[..], b"\x06"].concat())],
        &[],
        ProtocolError::TextNotUtf8,
    );
    let setting = setting.config(|config| config.max_message_len = 3);
    setting.assert_fails(
        &[compressed(TEXT, [&bad_text[..], b"\x06"].concat())],
        &[],
        ProtocolError::MessageTooLong,
    );
    setting.assert_fails(
        &[compressed(TEXT, [&good_text[..], b"\x06"].concat())],
        &[],
        ProtocolError::CompressedDataInvalid,
    );
}

// ---- Receiving: limits ----

#[test]
fn the_limit_is_that_of_the_inflated_message() {
    assert_eq!(ProtocolError::MessageTooLong.close_code().get(), 1009);
    for delivery in [Delivery::Messages, Delivery::Chunks] {
        for limit in [0, 1, 100, 1023, 1024, 1025, 65_536, 100_000] {
            let setting = Setting::new(TAKEOVER).config(|config| {
                config.max_message_len = limit as u64;
                config.delivery = delivery;
            });
            for role in ROLES {
                let exact = deflate_message(&mut peer(), &vec![b'x'; limit]);
                let outcome = setting.receive(role, &[compressed(TEXT, exact)]);
                assert_eq!(outcome.error, None, "{limit}");
                assert_eq!(outcome.received, [text(&"x".repeat(limit))], "{limit}");
                let more = deflate_message(&mut peer(), &vec![b'x'; limit + 1]);
                for frames in [
                    vec![compressed(TEXT, &more)],
                    vec![
                        fragment(TEXT, &more[..1]).rsv(RSV1),
                        fragment(CONTINUATION, &more[1..]),
                        frame(CONTINUATION, b""),
                    ],
                ] {
                    let outcome = setting.receive(role, &frames);
                    assert_eq!(
                        outcome.error,
                        Some(ProtocolError::MessageTooLong),
                        "{limit}"
                    );
                    assert_eq!(close_code_in(&outcome.output), Some(1009));
                }
            }
        }
    }
}

#[test]
fn the_limit_is_that_of_each_message_alone() {
    let setting = Setting::new(TAKEOVER).config(|config| config.max_message_len = 1000);
    let mut peer = peer();
    let mut frames = Vec::new();
    for _ in 0..5 {
        frames.push(compressed(BINARY, deflate_message(&mut peer, &[7; 1000])));
        frames.push(frame(BINARY, [8; 1000]));
    }
    let received = [[7; 1000], [8; 1000]].map(binary);
    setting.assert_receives(&frames, &[received.as_slice(); 5].concat());
}

#[test]
fn a_bomb_fails_at_the_limit_and_not_at_its_end() {
    // 1000 to 1, in one frame, of which the rest does not even come.
    let bomb = deflate_message(&mut peer(), &vec![0; 1 << 20]);
    let setting = Setting::new(TAKEOVER).config(|config| config.max_message_len = 10_000);
    for role in ROLES {
        let begun = compressed(BINARY, &bomb[..100])
            .sent_by(peer_of(role))
            .claiming(1 << 20);
        let outcome = setting.receive_bytes(role, &begun.bytes());
        assert_eq!(outcome.error, Some(ProtocolError::MessageTooLong));
    }
}

#[test]
fn a_compressed_frame_may_be_a_little_longer_than_the_limit() {
    for max_frame_len in [0_u64, 10, 1000, 5_000_000] {
        let setting = Setting::new(TAKEOVER).config(|config| config.max_frame_len = max_frame_len);
        let most = max_frame_len + max_frame_len / 1000 + 1024;
        for (len, error) in [(most, None), (most + 1, Some(ProtocolError::FrameTooLong))] {
            for role in ROLES {
                let header = compressed(BINARY, b"").sent_by(peer_of(role)).claiming(len);
                let header = if len < 1 << 16 {
                    RawFrame {
                        length: Length::In16Bits(u16::try_from(len).unwrap()),
                        ..header
                    }
                } else {
                    header
                };
                let outcome = setting.receive_bytes(role, &header.bytes());
                assert_eq!(outcome.error, error, "{len} of {max_frame_len}");
                // A frame without compression has the limit as it is.
                let outcome = setting.receive_bytes(role, &header.rsv(0).bytes());
                assert_eq!(outcome.error, Some(ProtocolError::FrameTooLong));
            }
        }
    }
    let setting = Setting::new(TAKEOVER).config(|config| {
        config.max_frame_len = Config::UNLIMITED;
        config.max_message_len = Config::UNLIMITED;
    });
    setting.assert_receives(&[compressed(TEXT, HELLO)], &[text("Hello")]);
}

#[test]
fn fragments_of_compressed_messages_are_counted() {
    let setting = Setting::new(TAKEOVER).config(|config| config.max_fragments = 3);
    let mut frames = vec![
        fragment(TEXT, &HELLO[..3]).rsv(RSV1),
        fragment(CONTINUATION, b""),
        frame(CONTINUATION, &HELLO[3..]),
    ];
    setting.assert_receives(&frames, &[text("Hello")]);
    frames.insert(1, fragment(CONTINUATION, b""));
    setting.assert_fails(&frames, &[], ProtocolError::TooManyFragments);
}

// ---- Receiving: in chunks ----

#[test]
fn messages_are_delivered_in_chunks_as_they_are_inflated() {
    let message = [noise(5000), vec![b'z'; 200_000], noise(5000)].concat();
    let setting = Setting::new(TAKEOVER).config(|config| config.delivery = Delivery::Chunks);
    let mut peer = peer();
    let first = deflate_message(&mut peer, &message);
    let second = deflate_message(&mut peer, b"another, another, another");
    let half = first.len() / 2;
    let frames = [
        fragment(BINARY, &first[..half]).rsv(RSV1),
        ping_frame(),
        frame(CONTINUATION, &first[half..]),
        compressed(TEXT, &second),
        compressed(TEXT, b"\x00"),
        frame(TEXT, b"plain"),
    ];
    for role in ROLES {
        for chunk_len in CHUNK_LENS {
            let mut end = setting.endpoint(role);
            end.receive_in_chunks(&sent_by(peer_of(role), &frames), chunk_len);
            assert_eq!(end.error, None);
            for received in &end.received {
                let Received::Chunk { payload, fin, .. } = received else {
                    continue;
                };
                assert!(payload.len() <= 128 << 10, "a chunk of {}", payload.len());
                assert!(*fin || !payload.is_empty(), "an empty chunk is nothing");
            }
            let parts = end.received.iter().position(|event| *event == ping(b"p"));
            assert!(
                parts.is_some_and(|parts| parts > 0),
                "some of it came before the Ping"
            );
            let whole = joined(&end.received);
            assert_eq!(
                whole,
                [
                    ping(b"p"),
                    binary(&message),
                    text("another, another, another"),
                    text(""),
                    text("plain"),
                ]
            );
        }
    }
}

#[test]
fn what_a_fragment_inflates_to_is_delivered_before_the_next_comes() {
    let setting = Setting::new(TAKEOVER).config(|config| config.delivery = Delivery::Chunks);
    for len in [4096 + 100, 3 * 4096 + 50, 70_000] {
        let payload = deflate_message(&mut peer(), &vec![b'z'; len]);
        for cut in 1..payload.len() {
            let mut end = setting.endpoint(Role::Client);
            end.receive(&fragment(BINARY, &payload[..cut]).rsv(RSV1).bytes());
            let delivered: usize = end
                .received
                .iter()
                .map(|event| match event {
                    Received::Chunk { payload, .. } => payload.len(),
                    event => panic!("{event:?}"),
                })
                .sum();
            let mut inflated = Vec::with_capacity(len + 1);
            Decompress::new(false)
                .decompress_vec(&payload[..cut], &mut inflated, FlushDecompress::Sync)
                .unwrap();
            assert_eq!(delivered, inflated.len(), "{cut} of {}", payload.len());
        }
    }
}

#[test]
fn an_event_of_a_compressed_message_can_be_taken() {
    for message in ["short".repeat(3), "long".repeat(5000)] {
        for role in ROLES {
            let payload = deflate_message(&mut peer(), message.as_bytes());
            let mut connection = Setting::new(TAKEOVER).connection(role);
            let bytes = sent_by(peer_of(role), &[compressed(TEXT, payload)]);
            let mut input = RecvBuffer::from(&bytes[..]);
            assert_eq!(
                connection.advance(&mut input, &mut SendBuffer::new()),
                Ok(true)
            );
            assert_eq!(input.take_message(), Some(Message::text(message.clone())));
        }
    }
}

#[test]
fn the_window_of_the_input_may_be_taken_inside_a_compressed_message() {
    let message = [noise(500), vec![b'z'; 2000]].concat();
    let payload = deflate_message(&mut peer(), &message);
    for role in ROLES {
        let mut end = Setting::new(TAKEOVER).endpoint(role);
        for byte in sent_by(peer_of(role), &[compressed(BINARY, &payload)]) {
            end.input.park();
            end.receive_in_chunks(&[byte], 1);
        }
        assert_eq!(end.received, [binary(&message)]);
    }
}

// ---- Sending ----

#[test]
fn hello_is_sent_as_section_7_2_3_has_it() {
    let mut deflate = DeflateConfig::default();
    deflate.level = 9;
    let mut end = Setting::new(TAKEOVER)
        .deflate(deflate)
        .endpoint(Role::Server);
    send(&mut end, Message::text("Hello"), Compression::Always);
    assert_eq!(end.take_written(), b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
    send(&mut end, Message::text("Hello"), Compression::Always);
    assert_eq!(end.take_written(), b"\xc1\x05\xf2\x00\x11\x00\x00");
    // 7.2.3.6.
    send(&mut end, Message::text(""), Compression::Always);
    assert_eq!(end.take_written(), b"\xc1\x01\x00");
}

#[test]
fn an_empty_message_is_sent_as_one_zero_octet() {
    for role in ROLES {
        for params in [TAKEOVER, NO_TAKEOVER] {
            let mut end = Setting::new(params).endpoint(role);
            for round in 0..3 {
                send(&mut end, Message::binary(vec![]), Compression::Always);
                let written = frames_in(&end.take_written());
                assert_eq!(unmasked(&written), [compressed(BINARY, b"\x00")], "{round}");
                send(&mut end, Message::text("in between"), Compression::Always);
                end.take_written();
            }
        }
    }
}

#[test]
fn every_message_ends_on_a_byte_without_the_tail() {
    for role in ROLES {
        for params in [TAKEOVER, NO_TAKEOVER] {
            for level in 0..=9 {
                let mut deflate = DeflateConfig::default();
                deflate.level = level;
                let mut end = Setting::new(params).deflate(deflate).endpoint(role);
                let mut peer = PeerInflater::new(params == TAKEOVER);
                for message in [
                    b"Hello".to_vec(),
                    noise(70_000),
                    vec![0; 200_000],
                    vec![],
                    b"Hello Hello Hello".repeat(50),
                ] {
                    send(
                        &mut end,
                        Message::binary(message.clone()),
                        Compression::Always,
                    );
                    let written = frames_in(&end.take_written());
                    let [frame] = &written[..] else {
                        panic!("one frame");
                    };
                    assert_eq!((frame.rsv, frame.fin), (RSV1, true));
                    assert!(!frame.payload.ends_with(&TAIL), "level {level}");
                    assert!(
                        peer.inflate(&frame.payload) == Some(message),
                        "level {level}"
                    );
                }
            }
        }
    }
}

#[test]
fn short_messages_are_sent_as_they_are() {
    for role in ROLES {
        let mut deflate = DeflateConfig::default();
        for min_len in [0, 1, 64, 1000] {
            deflate.min_len = min_len;
            let mut end = Setting::new(TAKEOVER)
                .deflate(deflate.clone())
                .endpoint(role);
            for len in [min_len.saturating_sub(1), min_len, min_len + 1] {
                let message = vec![b'a'; len];
                send(
                    &mut end,
                    Message::binary(message.clone()),
                    Compression::Auto,
                );
                let frames = frames_in(&end.take_written());
                // One or two bytes do not shrink whatever the threshold says.
                let shrinks = len >= min_len && len > 4;
                assert_eq!(frames[0].rsv == RSV1, shrinks, "{len} of {min_len}");
                if !shrinks {
                    assert_eq!(frames[0].payload, message);
                }
                // All ways of sending are of one mind.
                let mut other = Setting::new(TAKEOVER)
                    .deflate(deflate.clone())
                    .endpoint(role);
                other
                    .connection
                    .send_binary(&message, &mut other.output)
                    .unwrap();
                assert_eq!(frames_in(&other.take_written())[0].rsv, frames[0].rsv);
            }
        }
    }
    assert_eq!(DeflateConfig::default().min_len, 64);
}

#[test]
fn the_caller_may_say_always_and_never() {
    for role in ROLES {
        let mut end = Setting::new(TAKEOVER).endpoint(role);
        let mut peer = PeerInflater::new(true);
        for (message, compression, is_compressed) in [
            (b"short".to_vec(), Compression::Always, true),
            (noise(2000), Compression::Always, true),
            (vec![b'a'; 10_000], Compression::Never, false),
            (vec![b'a'; 10_000], Compression::Always, true),
            (vec![b'a'; 20_000], Compression::Never, false),
            (noise(2000), Compression::Always, true),
            (b"short".to_vec(), Compression::Never, false),
            (vec![b'a'; 10_000], Compression::Auto, true),
        ] {
            send(&mut end, Message::binary(message.clone()), compression);
            let frames = frames_in(&end.take_written());
            assert_eq!(frames.len(), 1);
            let frame = &frames[0];
            assert_eq!((frame.opcode, frame.fin), (BINARY, true));
            assert_eq!(frame.mask.is_some(), role == Role::Client, "5.3");
            assert_eq!(frame.rsv == RSV1, is_compressed);
            if is_compressed {
                assert!(peer.inflate(&frame.payload) == Some(message));
            } else {
                assert!(frame.payload == message);
            }
        }
    }
}

#[test]
fn a_message_that_does_not_shrink_goes_as_it_is_and_is_not_referred_to() {
    for role in ROLES {
        for params in [TAKEOVER, NO_TAKEOVER] {
            let mut end = Setting::new(params).endpoint(role);
            let mut peer = PeerInflater::new(params == TAKEOVER);
            let noise = noise(5000);
            let json = br#"{"id":1,"name":"a name","id":2,"name":"a name"}"#.repeat(5);
            for (message, is_compressed) in [
                (json.clone(), true),
                (noise.clone(), false),
                // The compressor has seen the noise, the peer has not.
                ([&noise[..], &json, &noise].concat(), true),
                (json.clone(), true),
                (self::noise(300), false),
                (self::noise(300), params == TAKEOVER),
                (json, true),
            ]
            .into_iter()
            .take(5)
            {
                send(
                    &mut end,
                    Message::binary(message.clone()),
                    Compression::Auto,
                );
                let frames = frames_in(&end.take_written());
                assert_eq!(frames[0].rsv == RSV1, is_compressed, "{}", message.len());
                if is_compressed {
                    assert!(frames[0].payload.len() < message.len());
                    assert!(peer.inflate(&frames[0].payload) == Some(message));
                } else {
                    assert!(frames[0].payload == message);
                }
            }
        }
    }
}

#[test]
fn a_byte_less_is_worth_it_whatever_else_waits() {
    // Messages that deflate to a byte less than they have, and to as many.
    let candidates: Vec<_> = (0..100)
        .map(|len| [noise(60), vec![b'a'; len]].concat())
        .map(|message| (deflate_message(&mut peer(), &message).len(), message))
        .collect();
    let find = |saved: usize| {
        let found = candidates
            .iter()
            .find(|(len, message)| len + saved == message.len());
        found.expect("one byte more saves one more").1.clone()
    };
    let mut deflate = DeflateConfig::default();
    deflate.level = 6;
    for role in ROLES {
        let setting = Setting::new(NO_TAKEOVER).deflate(deflate.clone());
        let mut end = setting.endpoint(role);
        for _ in 0..3 {
            for (message, is_compressed) in [(find(1), true), (find(0), false)] {
                let prepared = PreparedMessage::binary(message.clone());
                end.connection
                    .send_prepared(&prepared, &mut end.output)
                    .unwrap();
                send(&mut end, Message::binary(message), Compression::Auto);
                let frames = frames_in(&end.output.to_vec());
                for frame in &frames[frames.len() - 2..] {
                    assert_eq!(frame.rsv == RSV1, is_compressed, "frame {}", frames.len());
                }
            }
        }
    }
}

#[test]
fn fragments_are_compressed_as_one_message() {
    let parts = ["a first part, ", "", "a second part, ", "a third pärt"];
    for role in ROLES {
        for params in [TAKEOVER, NO_TAKEOVER] {
            let mut end = Setting::new(params).endpoint(role);
            let mut peer = PeerInflater::new(params == TAKEOVER);
            for last in ["", "the last"] {
                let mut fragments = parts.to_vec();
                fragments.push(last);
                for (index, part) in fragments.iter().enumerate() {
                    end.connection
                        .send_fragment_with(
                            MessageKind::Text,
                            part.as_bytes(),
                            index + 1 == fragments.len(),
                            // What the first says holds for all.
                            if index == 0 {
                                Compression::Always
                            } else {
                                Compression::Never
                            },
                            &mut end.output,
                        )
                        .unwrap();
                    end.connection.send_ping(b"", &mut end.output).unwrap();
                }
                let mut frames = frames_in(&end.take_written());
                frames.retain(|frame| frame.opcode != PING);
                assert_eq!(frames.len(), fragments.len());
                for (index, frame) in frames.iter().enumerate() {
                    let opcode = if index == 0 { TEXT } else { CONTINUATION };
                    let rsv = if index == 0 { RSV1 } else { 0 };
                    assert_eq!((frame.opcode, frame.rsv), (opcode, rsv));
                    assert_eq!(frame.fin, index + 1 == frames.len());
                    assert_eq!(frame.mask.is_some(), role == Role::Client);
                }
                let payload: Vec<u8> = frames.into_iter().flat_map(|frame| frame.payload).collect();
                let inflated = peer.inflate(&payload).expect("deflate data");
                assert_eq!(String::from_utf8(inflated).unwrap(), fragments.concat());
            }
        }
    }
}

#[test]
fn a_fragment_can_be_read_before_the_next_is_sent() {
    // Each ends with a flush: what was sent is there for the peer.
    let mut end = Setting::new(TAKEOVER).endpoint(Role::Server);
    let mut client = Setting::new(TAKEOVER)
        .config(|config| config.delivery = Delivery::Chunks)
        .endpoint(Role::Client);
    for part in ["one ".repeat(30), "two ".repeat(30)] {
        end.connection
            .send_fragment(MessageKind::Text, part.as_bytes(), false, &mut end.output)
            .unwrap();
        let bytes = end.take_written();
        let events = client.receive(&bytes);
        let read: Vec<u8> = events
            .into_iter()
            .flat_map(|event| match event {
                Received::Chunk { payload, .. } => payload,
                _ => panic!("a chunk"),
            })
            .collect();
        assert_eq!(read, part.as_bytes());
    }
}

#[test]
fn the_first_fragment_decides_whether_a_message_is_compressed() {
    let long = "a fragment of more than sixty-four bytes, which is what it takes by default";
    for (first, rsv) in [("short", 0), (long, RSV1)] {
        let mut end = Setting::new(TAKEOVER).endpoint(Role::Server);
        for (part, fin) in [(first, false), (long, false), ("end", true)] {
            end.connection
                .send_fragment(MessageKind::Text, part.as_bytes(), fin, &mut end.output)
                .unwrap();
        }
        let frames = frames_in(&end.take_written());
        assert_eq!(
            frames.iter().map(|f| f.rsv).collect::<Vec<_>>(),
            [rsv, 0, 0]
        );
    }
}

#[test]
fn what_may_not_be_sent_leaves_the_window_as_it_was() {
    let mut end = Setting::new(TAKEOVER).endpoint(Role::Server);
    let mut peer = PeerInflater::new(true);
    let long = "a text of a few words, and of a few words more; ".repeat(4);
    send(&mut end, Message::text(long.clone()), Compression::Always);
    let output = &mut end.output;
    let always = Compression::Always;
    let (text, binary) = (MessageKind::Text, MessageKind::Binary);
    let connection = &mut end.connection;
    assert_eq!(
        connection.send_fragment_with(text, b"bad: \xff", false, always, output),
        Err(SendError::TextNotUtf8)
    );
    connection
        .send_fragment_with(text, long.as_bytes(), false, always, output)
        .unwrap();
    assert_eq!(
        connection.send_fragment_with(text, b"\xc3", true, always, output),
        Err(SendError::TextNotUtf8)
    );
    assert_eq!(
        connection.send_fragment_with(binary, b"other", true, always, output),
        Err(SendError::MessageUnfinished)
    );
    assert_eq!(
        connection.send_message_with(Message::text(long.clone()), always, output),
        Err(SendError::MessageUnfinished)
    );
    connection
        .send_fragment_with(text, b"end", true, always, output)
        .unwrap();
    let frames = frames_in(&end.take_written());
    assert_eq!(frames.len(), 3);
    assert_eq!(
        peer.inflate(&frames[0].payload).as_deref(),
        Some(long.as_bytes())
    );
    let payload = [&frames[1].payload[..], &frames[2].payload].concat();
    let whole = long + "end";
    assert_eq!(peer.inflate(&payload).as_deref(), Some(whole.as_bytes()));
}

#[test]
fn control_frames_are_never_compressed() {
    for role in ROLES {
        let mut end = Setting::new(TAKEOVER).endpoint(role);
        let payload = [b'a'; 125];
        for message in [
            Message::Ping(payload.to_vec().into()),
            Message::Pong(payload.to_vec().into()),
        ] {
            send(&mut end, message, Compression::Always);
        }
        end.receive(&sent_by(peer_of(role), &[frame(PING, payload)]));
        let reason = "a".repeat(123);
        send(
            &mut end,
            Message::Close(Some(close_frame(1000, &reason))),
            Compression::Always,
        );
        let frames = frames_in(&end.take_written());
        assert_eq!(frames.len(), 4);
        for frame in frames {
            assert_eq!((frame.rsv, frame.payload.len()), (0, 125));
        }
    }
}

// ---- Sending: the window ----

#[test]
fn the_agreed_window_is_kept() {
    // Repeats at every distance: a larger window would be used if there were one.
    let mut message = Vec::new();
    for distance in [200, 400, 700, 1500, 3000, 6000, 12_000, 20_000] {
        let noise = noise(distance);
        message.extend_from_slice(&noise);
        message.extend_from_slice(&noise);
    }
    for bits in 9..=15_u8 {
        let mut farthest = 0;
        for level in [0, 1, 2, 6, 9] {
            for (role, params) in [
                (
                    Role::Server,
                    format!("permessage-deflate; server_max_window_bits={bits}"),
                ),
                (
                    Role::Client,
                    format!("permessage-deflate; client_max_window_bits={bits}"),
                ),
            ] {
                let mut deflate = DeflateConfig::default();
                deflate.level = level;
                let mut end = Setting::new(&params).deflate(deflate).endpoint(role);
                let mut window = Vec::new();
                // The second message has the first in the window; only some of it is in reach.
                for part in [&message[..], &message[message.len() - 30_000..]] {
                    send(
                        &mut end,
                        Message::binary(part.to_vec()),
                        Compression::Always,
                    );
                    let frames = frames_in(&end.take_written());
                    let before = window.len();
                    let payload = [&frames[0].payload[..], &TAIL].concat();
                    let distance = inflate_by_the_book(&payload, &mut window);
                    assert!(window[before..] == *part, "{role:?}, {bits} bits, {level}");
                    assert!(
                        distance <= 1 << bits,
                        "{role:?}, {bits} bits, level {level}: {distance}"
                    );
                    farthest = farthest.max(distance);
                }
            }
        }
        // That the test could fail: half the window would not have been enough. Of the smallest one
        // zlib leaves out 262 bytes.
        let least = if bits == 9 { 128 } else { 1 << (bits - 1) };
        assert!(farthest > least, "{bits} bits: {farthest}");
    }
}

#[test]
fn a_client_that_is_told_a_window_of_256_bytes_sends_without_compression() {
    let setting = Setting::new("permessage-deflate; client_max_window_bits=8");
    let mut end = setting.endpoint(Role::Client);
    let message = vec![b'a'; 20_000];
    for compression in [Compression::Auto, Compression::Always, Compression::Never] {
        send(&mut end, Message::binary(message.clone()), compression);
        end.connection
            .send_fragment_with(
                MessageKind::Binary,
                &message,
                false,
                compression,
                &mut end.output,
            )
            .unwrap();
        end.connection
            .send_fragment_with(MessageKind::Binary, b"", true, compression, &mut end.output)
            .unwrap();
        let frames = frames_in(&end.take_written());
        assert_eq!(
            frames.iter().map(|frame| frame.rsv).collect::<Vec<_>>(),
            [0; 3]
        );
        assert!(frames[0].payload == message);
    }
    // It reads what is compressed all the same.
    assert_eq!(
        end.receive(&compressed(TEXT, HELLO).bytes()),
        [text("Hello")]
    );
    assert_eq!(end.connection.state(), State::Open);
}

// ---- Both ends ----

#[test]
fn what_one_end_sends_the_other_receives() {
    for params in [
        TAKEOVER,
        NO_TAKEOVER,
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
    ] {
        for chunk_len in CHUNK_LENS {
            let setting = Setting::new(params);
            let mut ends = [Role::Client, Role::Server].map(|role| setting.endpoint(role));
            for round in 0..4_usize {
                let message = format!("{{\"round\":{round},\"tick\":\"{}\"}}", "abc".repeat(50));
                let [from, to] = &mut ends;
                send(from, Message::text(message.clone()), Compression::Auto);
                let bytes = from.take_written();
                assert!(bytes.len() < message.len() / 2);
                to.receive_in_chunks(&bytes, chunk_len);
                assert_eq!(to.received.pop(), Some(text(&message)));
                // Then the other way.
                ends.reverse();
            }
        }
    }
}

// ---- The rig: compression ----

const TAKEOVER: &str = "permessage-deflate";
const NO_TAKEOVER: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// 7.2.3.1: "Hello".
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
/// 7.2.3.2: "Hello" once more.
const HELLO_AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";
/// 7.2.3.4: "Hello" in a block with BFINAL.
const HELLO_FINAL: &[u8] = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";

/// 7.2.1: what is removed from the end of a message.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// A compressed message in one frame.
fn compressed(opcode: u8, payload: impl AsRef<[u8]>) -> RawFrame {
    frame(opcode, payload).rsv(RSV1)
}

fn ping_frame() -> RawFrame {
    frame(PING, b"p")
}

/// The compressor of a peer.
fn peer() -> Compress {
    Compress::new(flate2::Compression::new(6), false)
}

/// Compresses `data` with a flush at its end.
fn deflate(context: &mut Compress, data: &[u8], flush: FlushCompress) -> Vec<u8> {
    let start = context.total_in();
    let mut output = Vec::new();
    loop {
        output.reserve(64 + data.len());
        let consumed = usize::try_from(context.total_in() - start).unwrap();
        let status = context
            .compress_vec(&data[consumed..], &mut output, flush)
            .unwrap();
        if status == Status::StreamEnd || output.len() < output.capacity() {
            return output;
        }
    }
}

/// Compresses a message as section 7.2.1 says.
fn deflate_message(context: &mut Compress, message: &[u8]) -> Vec<u8> {
    let mut payload = deflate(context, message, FlushCompress::Sync);
    if payload.is_empty() {
        payload.push(0);
    }
    if payload.ends_with(&TAIL) {
        payload.truncate(payload.len() - TAIL.len());
    }
    payload
}

/// A message that copies `len` bytes from `distance` back, in fixed Huffman codes, written bit by
/// bit from RFC 1951, section 3.2.
fn copy_of(len: u16, distance: usize) -> Vec<u8> {
    let mut bits = Vec::new();
    // Numbers begin with their least significant bit, codes with their most significant.
    let number = |value: usize, len: usize, bits: &mut Vec<bool>| {
        bits.extend((0..len).map(|bit| value >> bit & 1 == 1));
    };
    let code = |value: usize, len: usize, bits: &mut Vec<bool>| {
        bits.extend((0..len).rev().map(|bit| value >> bit & 1 == 1));
    };
    number(0b010, 3, &mut bits);
    match len {
        3 => code(257 - 256, 7, &mut bits),
        258 => code(285 - 280 + 0b1100_0000, 8, &mut bits),
        _ => panic!("a length without extra bits"),
    }
    let (symbol, extra, base) = (0..30)
        .map(|symbol: usize| match symbol {
            0..4 => (symbol, 0, symbol + 1),
            _ => {
                let extra = symbol / 2 - 1;
                (symbol, extra, ((2 + symbol % 2) << extra) + 1)
            }
        })
        .rfind(|&(_, _, base)| base <= distance)
        .expect("a distance from 1 to 32768");
    code(symbol, 5, &mut bits);
    number(distance - base, extra, &mut bits);
    code(0, 7, &mut bits);
    // The header of the empty block whose rest is the tail.
    number(0, 3, &mut bits);
    bits.chunks(8)
        .map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |byte, &bit| byte << 1 | u8::from(bit))
        })
        .collect()
}

/// Bytes that do not shrink, the same every time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ len as u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        })
        .collect()
}

/// The decompressor of a peer.
struct PeerInflater {
    context: Decompress,
    takeover: bool,
}

impl PeerInflater {
    fn new(takeover: bool) -> Self {
        Self {
            context: Decompress::new(false),
            takeover,
        }
    }

    /// Decompresses a message as section 7.2.2 says; `None` if it cannot be.
    fn inflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let data = [payload, &TAIL].concat();
        let mut data = &data[..];
        let mut message = Vec::new();
        loop {
            let mut room = [0; 1000];
            let (before_in, before_out) = (self.context.total_in(), self.context.total_out());
            let status = self
                .context
                .decompress(data, &mut room, FlushDecompress::Sync)
                .ok()?;
            assert_ne!(status, Status::StreamEnd, "nobody asked for BFINAL");
            let consumed = usize::try_from(self.context.total_in() - before_in).unwrap();
            let produced = usize::try_from(self.context.total_out() - before_out).unwrap();
            data = &data[consumed..];
            message.extend_from_slice(&room[..produced]);
            if data.is_empty() && produced < room.len() {
                break;
            }
        }
        if !self.takeover {
            self.context.reset(false);
        }
        Some(message)
    }
}

/// Inflates `data` onto `window` as RFC 1951 has it, bit by bit, and returns the farthest distance
/// that it refers back. zlib's own inflaters take distances beyond their window.
fn inflate_by_the_book(data: &[u8], window: &mut Vec<u8>) -> usize {
    let mut bits = Bits { data, position: 0 };
    let mut farthest = 0;
    // What is left after the last block is less than a header.
    while bits.position + 3 <= data.len() * 8 {
        assert_eq!(bits.number(1), 0, "nobody asked for BFINAL");
        let (literals, distances) = match bits.number(2) {
            0 => {
                bits.position = bits.position.next_multiple_of(8);
                let len = bits.number(16);
                assert_eq!(len ^ 0xffff, bits.number(16));
                window.extend((0..len).map(|_| u8::try_from(bits.number(8)).unwrap()));
                continue;
            }
            1 => {
                // 3.2.6.
                let mut lens = [8; 288];
                lens[144..256].fill(9);
                lens[256..280].fill(7);
                (Codes::new(&lens), Codes::new(&[5; 30]))
            }
            2 => dynamic_codes(&mut bits),
            _ => panic!("a reserved block type"),
        };
        loop {
            match literals.read(&mut bits) {
                256 => break,
                symbol @ 0..256 => window.push(u8::try_from(symbol).unwrap()),
                symbol => {
                    // 3.2.5.
                    let len = match symbol - 257 {
                        28 => 258,
                        index @ 0..8 => index + 3,
                        index => {
                            let extra = index / 4 - 1;
                            ((4 + index % 4) << extra) + 3 + bits.number(extra)
                        }
                    };
                    let symbol = distances.read(&mut bits);
                    let distance = match symbol {
                        0..4 => symbol + 1,
                        _ => {
                            let extra = symbol / 2 - 1;
                            ((2 + symbol % 2) << extra) + 1 + bits.number(extra)
                        }
                    };
                    farthest = farthest.max(distance);
                    for _ in 0..len {
                        window.push(window[window.len() - distance]);
                    }
                }
            }
        }
    }
    farthest
}

/// 3.2.7: the codes for the codes, and the codes.
fn dynamic_codes(bits: &mut Bits<'_>) -> (Codes, Codes) {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literals = bits.number(5) + 257;
    let distances = bits.number(5) + 1;
    let count = bits.number(4) + 4;
    let mut lens = [0; 19];
    for index in ORDER.into_iter().take(count) {
        lens[index] = bits.number(3);
    }
    let codes = Codes::new(&lens);
    let mut lens = Vec::new();
    while lens.len() < literals + distances {
        let (len, times) = match codes.read(bits) {
            16 => (*lens.last().expect("a length before"), 3 + bits.number(2)),
            17 => (0, 3 + bits.number(3)),
            18 => (0, 11 + bits.number(7)),
            len => (len, 1),
        };
        lens.extend(std::iter::repeat_n(len, times));
    }
    let (literals, distances) = lens.split_at(literals);
    (Codes::new(literals), Codes::new(distances))
}

/// Bits, the least significant of each byte first.
struct Bits<'a> {
    data: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn number(&mut self, len: usize) -> usize {
        (0..len).fold(0, |number, index| {
            let bit = self.data[self.position / 8] >> (self.position % 8) & 1;
            self.position += 1;
            number | usize::from(bit) << index
        })
    }
}

/// 3.2.2: symbols in the order of their codes, and how many codes there are of each length.
struct Codes {
    symbols: Vec<usize>,
    counts: [usize; 16],
}

impl Codes {
    fn new(lens: &[usize]) -> Self {
        let mut symbols: Vec<_> = (0..lens.len()).filter(|&symbol| lens[symbol] > 0).collect();
        symbols.sort_by_key(|&symbol| lens[symbol]);
        let mut counts = [0; 16];
        for &symbol in &symbols {
            counts[lens[symbol]] += 1;
        }
        Self { symbols, counts }
    }

    fn read(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code = code << 1 | bits.number(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
        }
        panic!("a code that is nobody's")
    }
}

// ---- The rig: connections ----

/// What a connection is opened with.
struct Setting {
    deflate: DeflateConfig,
    /// What the peer offers or answers: chosen so that it is what both agree on.
    params: String,
    config: Config,
}

impl Setting {
    fn new(params: &str) -> Self {
        Self {
            deflate: DeflateConfig::default(),
            params: params.to_owned(),
            config: Config::default(),
        }
    }

    fn deflate(self, deflate: DeflateConfig) -> Self {
        Self { deflate, ..self }
    }

    fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    fn connection(&self, role: Role) -> Connection {
        let (deflate, config) = (self.deflate.clone(), self.config.clone());
        let connection = match role {
            Role::Client => client(deflate, Some(&self.params), config),
            Role::Server => server(Some(deflate), &self.params, config),
        };
        assert!(connection.is_compressing());
        connection.with_masks(Box::new(CountingMasks::default()))
    }

    fn endpoint(&self, role: Role) -> Endpoint {
        Endpoint {
            connection: self.connection(role),
            ..Endpoint::new(role)
        }
    }

    /// Feeds `bytes` to fresh endpoints of `role` at every chunk length, draining or not, and
    /// returns what came of it, which must be the same. Chunks of a message are joined.
    fn receive_bytes(&self, role: Role, bytes: &[u8]) -> Outcome {
        let outcomes = DRAINS.map(|drain| {
            let run = |chunk_len| {
                let mut endpoint = self.endpoint(role).draining(drain);
                endpoint.receive_in_chunks(bytes, chunk_len);
                Outcome {
                    received: joined(&endpoint.received),
                    error: endpoint.error,
                    output: endpoint.written,
                    state: endpoint.connection.state(),
                    end: endpoint.connection.end().cloned(),
                }
            };
            let whole = run(usize::MAX);
            for chunk_len in CHUNK_LENS {
                // A byte at a time takes long where there are many.
                if chunk_len < 7 && bytes.len() > 20_000 {
                    continue;
                }
                let outcome = run(chunk_len);
                assert!(
                    outcome == whole,
                    "{role:?}, {drain:?}, chunks of {chunk_len}: {:?}, {:?}",
                    outcome.error,
                    whole.error
                );
            }
            whole
        });
        let [drained, left] = outcomes;
        assert!(drained.received == left.received && drained.error == left.error);
        drained
    }

    fn receive(&self, role: Role, frames: &[RawFrame]) -> Outcome {
        self.receive_bytes(role, &sent_by(peer_of(role), frames))
    }

    /// Asserts that both roles receive `expected` when `frames` come.
    fn assert_receives(&self, frames: &[RawFrame], expected: &[Received]) {
        for role in ROLES {
            let outcome = self.receive(role, frames);
            assert_eq!(outcome.error, None, "{role:?}, {}", self.params);
            assert!(
                outcome.received == expected,
                "{role:?}, {}: {} events, not {}",
                self.params,
                outcome.received.len(),
                expected.len()
            );
            assert_eq!(outcome.state, State::Open);
        }
    }

    /// Asserts that both roles fail the connection with `error` after `expected`, with the Close
    /// frame that it earns.
    fn assert_fails(&self, frames: &[RawFrame], expected: &[Received], error: ProtocolError) {
        for role in ROLES {
            let outcome = self.receive(role, frames);
            assert_eq!(outcome.error, Some(error), "{role:?}, {}", self.params);
            assert!(outcome.received == expected, "{role:?}, {}", self.params);
            assert_eq!(outcome.state, State::Closed);
            let code = close_code_in(&outcome.output);
            assert_eq!(code, Some(error.close_code().get()), "the Close owed");
        }
    }
}

/// Events with the chunks of each message joined to one.
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

fn unmasked(frames: &[RawFrame]) -> Vec<RawFrame> {
    let unmask = |frame: &RawFrame| RawFrame {
        mask: None,
        ..frame.clone()
    };
    frames.iter().map(unmask).collect()
}

fn send(end: &mut Endpoint, message: Message, compression: Compression) {
    end.connection
        .send_message_with(message, compression, &mut end.output)
        .expect("a message that may be sent");
}

/// A client that offered `deflate` and was answered with `answer`.
fn client(deflate: DeflateConfig, answer: Option<&str>, config: Config) -> Connection {
    let request = ClientRequest::new("ws://h").unwrap().deflate(deflate);
    let mut output = SendBuffer::new();
    let config = Arc::new(config);
    let mut handshake = ClientHandshake::start(&request, config, *b"the sample nonce", &mut output);
    let extensions = answer
        .map(|answer| format!("Sec-WebSocket-Extensions: {answer}\r\n"))
        .unwrap_or_default();
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{extensions}\r\n"
    );
    let response = handshake.receive(&mut RecvBuffer::from(response.as_bytes()));
    response.unwrap().expect("a whole head").into_connection()
}

/// A server that was offered `offer`.
fn server(deflate: Option<DeflateConfig>, offer: &str, config: Config) -> Connection {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: {offer}\r\n\r\n"
    );
    let config = Arc::new(config);
    let mut handshake = ServerHandshake::new(Arc::clone(&config));
    let received = handshake.receive(&mut RecvBuffer::from(request.as_bytes()));
    let Ok(Some(Request::Upgrade(upgrade))) = received else {
        panic!("{received:?}");
    };
    let mut acceptance = Acceptance::new();
    if let Some(deflate) = deflate {
        acceptance = acceptance.deflate(deflate);
    }
    upgrade
        .accept(acceptance, config, &mut SendBuffer::new())
        .unwrap()
}
