//! Frames: headers, masks, reserved bits and opcodes, lengths.
//!
//! RFC 6455, sections 5.1 to 5.3, and the examples of 5.7.

mod support;

use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv};
use framewright::{
    Config, Connection, MaskSource, Message, MessageKind, ProtocolError, Role, SendBuffer,
};
use support::*;

/// The masking key of every masked example in section 5.7.
const RFC_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[derive(Debug)]
struct RfcKey;

impl MaskSource for RfcKey {
    fn next_key(&mut self) -> MaskingKey {
        MaskingKey::new(RFC_KEY)
    }
}

/// Checks a vector both ways: `sender` writes exactly `bytes`, and its peer reads `received` from
/// them, in any chunks.
fn assert_vector(
    sender: Role,
    bytes: &[u8],
    received: &[Received],
    send: impl FnOnce(&mut Connection, &mut SendBuffer),
) {
    let mut connection =
        Connection::new(sender, Config::default().into()).with_masks(Box::new(RfcKey));
    let mut output = SendBuffer::new();
    send(&mut connection, &mut output);
    assert_eq!(output.to_vec(), bytes, "as {sender:?} sends it");

    let outcome = receive(peer_of(sender), bytes);
    assert_eq!(outcome.error, None);
    assert_eq!(outcome.received, received);
}

#[test]
fn rfc_5_7_a_single_frame_unmasked_text_message() {
    // "0x81 0x05 0x48 0x65 0x6c 0x6c 0x6f (contains "Hello")"
    let bytes = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_vector(Role::Server, &bytes, &[text("Hello")], |server, output| {
        server.send_text("Hello", output).unwrap();
    });
}

#[test]
fn rfc_5_7_a_single_frame_masked_text_message() {
    // "0x81 0x85 0x37 0xfa 0x21 0x3d 0x7f 0x9f 0x4d 0x51 0x58 (contains "Hello")"
    let bytes = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_vector(Role::Client, &bytes, &[text("Hello")], |client, output| {
        client.send_text("Hello", output).unwrap();
    });
}

#[test]
fn rfc_5_7_a_fragmented_unmasked_text_message() {
    // "0x01 0x03 0x48 0x65 0x6c (contains "Hel")", "0x80 0x02 0x6c 0x6f (contains "lo")"
    let bytes = [
        0x01, 0x03, 0x48, 0x65, 0x6c, //
        0x80, 0x02, 0x6c, 0x6f,
    ];
    assert_vector(Role::Server, &bytes, &[text("Hello")], |server, output| {
        for (payload, fin) in [(b"Hel".as_slice(), false), (b"lo", true)] {
            server
                .send_fragment(MessageKind::Text, payload, fin, output)
                .unwrap();
        }
    });
}

#[test]
fn rfc_5_7_an_unmasked_ping_and_its_masked_pong() {
    // "0x89 0x05 0x48 0x65 0x6c 0x6c 0x6f (contains a body of "Hello", but the contents of the
    // body are arbitrary)", "0x8a 0x85 0x37 0xfa 0x21 0x3d 0x7f 0x9f 0x4d 0x51 0x58 (contains a
    // body of "Hello", matching the body of the ping)"
    let ping_bytes = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    let pong_bytes = [
        0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_vector(
        Role::Server,
        &ping_bytes,
        &[ping("Hello")],
        |server, output| {
            server.send_ping(b"Hello", output).unwrap();
        },
    );
    assert_vector(
        Role::Client,
        &pong_bytes,
        &[pong("Hello")],
        |client, output| {
            let mut input = ping_bytes.as_slice().into();
            assert_eq!(client.advance(&mut input, output), Ok(true));
        },
    );
}

#[test]
fn rfc_5_7_a_binary_message_of_256_bytes() {
    // "0x82 0x7E 0x0100 [256 bytes of binary data]"
    let data: Vec<u8> = (0..=u8::MAX).collect();
    let bytes = [&[0x82, 0x7e, 0x01, 0x00], data.as_slice()].concat();
    assert_vector(Role::Server, &bytes, &[binary(&data)], |server, output| {
        server.send_binary(&data, output).unwrap();
    });
}

#[test]
fn rfc_5_7_a_binary_message_of_64_kib() {
    // "0x82 0x7F 0x0000000000010000 [65536 bytes of binary data]"
    let data: Vec<u8> = (0..=u8::MAX).cycle().take(65536).collect();
    let header = [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
    let bytes = [&header, data.as_slice()].concat();
    assert_vector(Role::Server, &bytes, &[binary(&data)], |server, output| {
        server.send_binary(&data, output).unwrap();
    });
    // A long shared payload goes out beside its header, and is the same on the wire.
    assert_vector(Role::Server, &bytes, &[binary(&data)], |server, output| {
        server
            .send_message(Message::binary(data.clone()), output)
            .unwrap();
    });
}

/// Lengths on both sides of each change of form (5.2), and the longest.
const LENS: [u64; 12] = [
    0,
    1,
    125,
    126,
    127,
    255,
    256,
    65535,
    65536,
    65537,
    1 << 40,
    i64::MAX as u64,
];

/// Every header that section 5.2 allows, beside its bytes: written from the diagram, by hand.
fn legal_headers() -> impl Iterator<Item = (FrameHeader, Vec<u8>)> {
    let opcodes = [
        Opcode::Continuation,
        Opcode::Text,
        Opcode::Binary,
        Opcode::Close,
        Opcode::Ping,
        Opcode::Pong,
    ];
    let rsvs = [
        (Rsv::NONE, 0),
        (Rsv::RSV1, RSV1),
        (Rsv::RSV2, RSV2),
        (Rsv::RSV3, RSV3),
        (Rsv::RSV1 | Rsv::RSV2 | Rsv::RSV3, 0b111),
    ];
    let mut headers = Vec::new();
    for opcode in opcodes {
        for (rsv, rsv_bits) in rsvs {
            for fin in [true, false] {
                for mask in [None, Some(RFC_KEY)] {
                    for payload_len in LENS {
                        if opcode.is_control() && (!fin || payload_len > 125) {
                            continue;
                        }
                        let mut bytes = vec![u8::from(fin) << 7 | rsv_bits << 4 | opcode.bits()];
                        let mask_bit = if mask.is_some() { 0x80 } else { 0 };
                        let len = payload_len.to_be_bytes();
                        match payload_len {
                            0..=125 => bytes.push(mask_bit | len[7]),
                            126..=65535 => bytes.extend([mask_bit | 126, len[6], len[7]]),
                            _ => {
                                bytes.push(mask_bit | 127);
                                bytes.extend(len);
                            }
                        }
                        bytes.extend(mask.into_iter().flatten());
                        let header = FrameHeader {
                            fin,
                            rsv,
                            opcode,
                            mask: mask.map(MaskingKey::new),
                            payload_len,
                        };
                        headers.push((header, bytes));
                    }
                }
            }
        }
    }
    headers.into_iter()
}

#[test]
fn a_header_encodes_to_the_bytes_of_the_diagram_and_back() {
    for (header, bytes) in legal_headers() {
        let mut encoded = b"before".to_vec();
        header.encode(&mut encoded);
        assert_eq!(encoded, [b"before", bytes.as_slice()].concat());
        assert_eq!(header.encoded_len(), bytes.len(), "{header:?}");
        assert!(bytes.len() <= FrameHeader::MAX_LEN);
        assert_eq!(FrameHeader::decode(&bytes), Ok(Some(header)));
    }
}

#[test]
fn a_header_that_is_cut_short_needs_more_bytes() {
    for (header, bytes) in legal_headers() {
        for len in 0..bytes.len() {
            assert_eq!(FrameHeader::decode(&bytes[..len]), Ok(None), "{header:?}");
        }
    }
}

#[test]
fn what_follows_a_header_does_not_change_it() {
    for (header, mut bytes) in legal_headers() {
        for behind in [0x00, 0xff] {
            bytes.push(behind);
            assert_eq!(FrameHeader::decode(&bytes), Ok(Some(header)));
        }
    }
}

/// Asserts that `bytes` break a rule at their last byte and not before.
fn assert_judged_at_the_last_byte(bytes: &[u8], error: ProtocolError) {
    for len in 0..bytes.len() {
        let decoded = FrameHeader::decode(&bytes[..len]);
        assert_eq!(decoded, Ok(None), "{len} of {bytes:x?}");
    }
    assert_eq!(FrameHeader::decode(bytes), Err(error), "{bytes:x?}");
}

#[test]
fn a_header_is_judged_at_the_byte_that_breaks_a_rule() {
    assert_judged_at_the_last_byte(b"\x83", ProtocolError::ReservedOpcode(3));
    assert_judged_at_the_last_byte(b"\x0f", ProtocolError::ReservedOpcode(15));
    assert_judged_at_the_last_byte(b"\x09", ProtocolError::ControlFragmented);
    assert_judged_at_the_last_byte(b"\x88\x7e", ProtocolError::ControlTooLong);
    assert_judged_at_the_last_byte(b"\x89\xff", ProtocolError::ControlTooLong);
    assert_judged_at_the_last_byte(b"\x82\x7e\x00\x7d", ProtocolError::LengthNotMinimal);
}

#[test]
fn a_64_bit_length_is_judged_at_the_byte_that_breaks_a_rule() {
    // The most significant bit comes first, and six zero bytes leave only 16 bits.
    assert_judged_at_the_last_byte(b"\x82\x7f\x80", ProtocolError::LengthTooLarge);
    assert_judged_at_the_last_byte(
        b"\x82\x7f\x00\x00\x00\x00\x00\x00",
        ProtocolError::LengthNotMinimal,
    );
}

#[test]
fn an_unmasked_frame_from_a_client_fails_the_connection() {
    // 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
    for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
        for payload in [b"".as_slice(), b"\x03\xe8", &[b'x'; 125]] {
            let bytes = frame(opcode, payload).bytes();
            assert_fails(Role::Server, &bytes, ProtocolError::MaskMissing);
            // The header alone shows it.
            assert_fails(Role::Server, &bytes[..2], ProtocolError::MaskMissing);
        }
    }
    let mut bytes = sent_by(Role::Client, &[fragment(TEXT, "a")]);
    bytes.extend(frame(CONTINUATION, "b").bytes());
    assert_fails(Role::Server, &bytes, ProtocolError::MaskMissing);
}

#[test]
fn a_masked_frame_from_a_server_fails_the_connection() {
    // 5.1: "A client MUST close a connection if it detects a masked frame."
    for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
        for payload in [b"".as_slice(), b"\x03\xe8", &[b'x'; 125]] {
            // A key of zeros hides nothing, and is a key all the same.
            for key in [RFC_KEY, [0; 4]] {
                let bytes = frame(opcode, payload).masked_by(key).bytes();
                assert_fails(Role::Client, &bytes, ProtocolError::MaskUnexpected);
                assert_fails(Role::Client, &bytes[..6], ProtocolError::MaskUnexpected);
            }
        }
    }
    let mut bytes = fragment(TEXT, "a").bytes();
    bytes.extend(frame(CONTINUATION, "b").masked_by(RFC_KEY).bytes());
    assert_fails(Role::Client, &bytes, ProtocolError::MaskUnexpected);
}

#[test]
fn a_client_frame_is_unmasked_with_its_own_key() {
    // 5.3: any key is legal, and each frame has its own.
    let keys = [[0; 4], [0xff; 4], [1, 2, 3, 4], [0, 0, 0, 0x80], RFC_KEY];
    for len in [0, 1, 3, 4, 5, 8, 31, 125, 126, 300, 5000] {
        let data: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        let frames = keys.map(|key| frame(BINARY, &data).masked_by(key));
        let outcome = receive(Role::Server, &concat(&frames));
        assert_eq!(outcome.error, None);
        assert_eq!(outcome.received, vec![binary(&data); keys.len()]);
    }
    let fragments = [
        fragment(TEXT, "one ").masked_by(keys[1]),
        fragment(CONTINUATION, "two ").masked_by(keys[2]),
        frame(PING, "between").masked_by(keys[3]),
        frame(CONTINUATION, "three").masked_by(keys[4]),
    ];
    let outcome = receive(Role::Server, &concat(&fragments));
    assert_eq!(outcome.received, [ping("between"), text("one two three")]);
}

#[test]
fn a_reserved_bit_fails_the_connection_on_every_opcode() {
    // 5.2: "If a nonzero value is received and none of the negotiated extensions defines the
    // meaning of such a nonzero value, the receiving endpoint MUST _Fail the WebSocket
    // Connection_."
    for role in ROLES {
        let peer = peer_of(role);
        for rsv in 1..=0b111 {
            for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
                let bytes = sent_by(peer, &[frame(opcode, "").rsv(rsv)]);
                assert_fails(role, &bytes, ProtocolError::ReservedBitSet);
            }
            for opcode in [TEXT, BINARY] {
                let bytes = sent_by(peer, &[fragment(opcode, "ab").rsv(rsv)]);
                assert_fails(role, &bytes, ProtocolError::ReservedBitSet);
                for last in [fragment, frame] {
                    let frames = [fragment(opcode, "ab"), last(CONTINUATION, "cd").rsv(rsv)];
                    let bytes = sent_by(peer, &frames);
                    assert_fails(role, &bytes, ProtocolError::ReservedBitSet);
                }
            }
        }
    }
}

#[test]
fn a_reserved_bit_is_judged_before_the_payload_comes() {
    for role in ROLES {
        let claim = frame(BINARY, "").rsv(RSV1).claiming(1 << 40);
        let bytes = sent_by(peer_of(role), &[claim]);
        assert_fails(role, &bytes, ProtocolError::ReservedBitSet);
    }
}

#[test]
fn a_reserved_opcode_fails_the_connection_at_its_first_byte() {
    // 5.2: "%x3-7 are reserved for further non-control frames", "%xB-F are reserved for further
    // control frames"; "If an unknown opcode is received, the receiving endpoint MUST _Fail the
    // WebSocket Connection_."
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        let error = ProtocolError::ReservedOpcode(opcode);
        for role in ROLES {
            let peer = peer_of(role);
            for first in [frame, fragment] {
                let raw = first(opcode, "payload").sent_by(peer);
                assert_fails(role, &raw.bytes(), error);
                assert_fails(role, &raw.bytes()[..1], error);
                // A tebibyte that never comes is not waited for.
                assert_fails(role, &raw.claiming(1 << 40).bytes(), error);
            }
            let bytes = sent_by(peer, &[frame(TEXT, "before"), frame(opcode, "")]);
            assert_fails_after(role, &Config::default(), &bytes, &[text("before")], error);
            let bytes = sent_by(peer, &[fragment(TEXT, "before"), frame(opcode, "")]);
            assert_fails(role, &bytes, error);
        }
    }
}

#[test]
fn a_length_that_is_not_in_its_shortest_form_fails_the_connection() {
    // 5.2: "in all cases, the minimal number of bytes MUST be used to encode the length, for
    // example, the length of a 124-byte-long string can't be encoded as the sequence 126, 0, 124"
    let error = ProtocolError::LengthNotMinimal;
    for role in ROLES {
        let peer = peer_of(role);
        for len in [0, 1, 124, 125] {
            let raw = frame(BINARY, vec![0; len]).in_16_bits().sent_by(peer);
            assert_fails(role, &raw.bytes(), error);
            assert_fails(role, &raw.bytes()[..4], error);
        }
        for len in [0, 1, 125, 126, 0xfffe, 0xffff] {
            let raw = frame(BINARY, vec![0; len]).in_64_bits().sent_by(peer);
            assert_fails(role, &raw.bytes()[..10], error);
        }
        for raw in [frame(CONTINUATION, "b").in_16_bits(), {
            frame(CONTINUATION, "b").in_64_bits()
        }] {
            let bytes = sent_by(peer, &[fragment(TEXT, "a"), raw]);
            assert_fails(role, &bytes, error);
        }
    }
}

#[test]
fn a_length_of_64_bits_with_its_first_bit_set_fails_the_connection() {
    // 5.2: "the most significant bit MUST be 0"
    for role in ROLES {
        for len in [1 << 63, (1 << 63) + 1, u64::MAX] {
            for opcode in [TEXT, BINARY] {
                let bytes = sent_by(peer_of(role), &[frame(opcode, "").claiming(len)]);
                assert_fails(role, &bytes, ProtocolError::LengthTooLarge);
            }
        }
    }
}

#[test]
fn every_length_at_the_edge_of_a_form_arrives() {
    for role in ROLES {
        for len in [0, 1, 125, 126, 127, 65535, 65536, 65537] {
            let data = vec![0x5a; len];
            let outcome = receive_frames(role, &[frame(BINARY, &data), frame(TEXT, "next")]);
            assert_eq!(outcome.error, None);
            assert_eq!(outcome.received, [binary(&data), text("next")]);
        }
    }
}

#[test]
fn frames_that_arrive_together_are_events_in_their_order() {
    for role in ROLES {
        let outcome = receive_frames(
            role,
            &[
                frame(TEXT, "1"),
                frame(PING, "2"),
                frame(BINARY, "3"),
                frame(PONG, "4"),
                frame(TEXT, ""),
            ],
        );
        assert_eq!(
            outcome.received,
            [text("1"), ping("2"), binary("3"), pong("4"), text("")]
        );
        assert_eq!(outcome.output, wire(role, &[frame(PONG, "2")]));
    }
}
