//! Messages, texts and codes as values: what they convert to, what they equal, and what is printed.
//!
//! Whoever logs a connection sees lengths and states, and neither payloads nor secrets.
//!
//! Not a section of the RFC but the contract of the types that callers hold.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use framewright::frame::{MaskingKey, Rsv};
use framewright::handshake::{ClientHandshake, ClientRequest, Proxy, ProxyHandshake};
use framewright::{
    CloseCode, Compression, Config, Message, PreparedMessage, Role, SendBuffer, Utf8Bytes,
};
use support::*;

// ---- Messages and their text ----

#[test]
fn a_message_is_of_one_kind() {
    let payload = Bytes::from_static(b"p");
    for (message, is_text, is_binary) in [
        (Message::text("p"), true, false),
        (Message::binary(payload.clone()), false, true),
        (Message::Ping(payload.clone()), false, false),
        (Message::Pong(payload), false, false),
        (Message::Close(None), false, false),
    ] {
        assert_eq!(message.is_text(), is_text, "{message:?}");
        assert_eq!(message.is_binary(), is_binary, "{message:?}");
        assert_eq!(message.as_text(), is_text.then_some("p"));
    }
}

#[test]
fn the_payload_of_a_message_moves_out_without_a_copy() {
    let data = Bytes::from(vec![7; 100]);
    let start = data.as_ptr();
    for message in [
        Message::Binary(data.clone()),
        Message::Ping(data.clone()),
        Message::Pong(data),
    ] {
        assert_eq!(message.payload(), [7; 100]);
        let payload = message.into_payload();
        assert_eq!(payload, [7; 100][..]);
        assert_eq!(payload.as_ptr(), start);
    }
    assert_eq!(Message::text("text").into_payload(), "text");
    let close = Message::Close(Some(close_frame(1000, "done")));
    assert_eq!(close.payload(), b"done");
    assert_eq!(close.into_payload(), "done");
    assert_eq!(Message::Close(None).into_payload(), "");
}

#[test]
fn bytes_are_text_only_if_they_are_utf8() {
    let bytes = Bytes::from("gr\u{fc}n");
    let start = bytes.as_ptr();
    let text = Utf8Bytes::try_from(bytes).expect("it is UTF-8");
    assert_eq!(text.as_str(), "gr\u{fc}n");
    let bytes = Bytes::from(text);
    assert_eq!(bytes, "gr\u{fc}n");
    assert_eq!(bytes.as_ptr(), start, "there and back without a copy");
    for bytes in [&b"\xff"[..], b"gr\xfc", b"\xe2\x82"] {
        assert!(Utf8Bytes::try_from(Bytes::from_static(bytes)).is_err());
    }
}

#[test]
fn text_compares_and_prints_as_what_it_says() {
    let text = Utf8Bytes::from("say \"hi\"");
    let as_ref: &str = text.as_ref();
    assert_eq!(as_ref, "say \"hi\"");
    assert!(text == "say \"hi\"" && text == *"say \"hi\"");
    assert!(text != "say" && text != *"say");
    assert_eq!(format!("{text}"), "say \"hi\"");
    assert_eq!(format!("{text:?}"), "\"say \\\"hi\\\"\"");
}

// ---- Codes and bits ----

#[test]
fn a_close_code_prints_as_its_number() {
    assert_eq!(format!("{}", CloseCode::GOING_AWAY), "1001");
    assert_eq!(format!("{:?}", CloseCode::GOING_AWAY), "CloseCode(1001)");
}

#[test]
fn reserved_bits_are_a_set() {
    let bits = [Rsv::RSV1, Rsv::RSV2, Rsv::RSV3];
    for one in bits {
        assert!(one.contains(one) && one.contains(Rsv::NONE));
        assert!(!Rsv::NONE.contains(one));
        assert_eq!(one | one, one);
        for other in bits.into_iter().filter(|&other| other != one) {
            assert!(!one.contains(other));
            assert!(!one.contains(one | other));
            assert!((one | other).contains(one) && (one | other).contains(other));
        }
    }
    assert_eq!(format!("{:?}", Rsv::RSV1 | Rsv::RSV3), "Rsv(101)");
    assert_eq!(
        format!("{:?}", MaskingKey::new([0x37, 0xfa, 0x21, 0x3d])),
        "MaskingKey(37fa213d)"
    );
}

// ---- What a log may hold ----

#[test]
fn a_connection_prints_its_state_and_its_buffers_their_lengths() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role);
        let printed = format!("{:?}", endpoint.connection);
        let expected = format!("Connection {{ role: {role:?}, state: Open, end: None, .. }}");
        assert_eq!(printed, expected);

        let secret = fragment(TEXT, "secret").sent_by(peer_of(role)).bytes();
        let (most, rest) = secret.split_at(secret.len() - 4);
        endpoint.receive(most);
        endpoint.input.extend(rest);
        let printed = format!("{:?}", endpoint.input);
        assert!(printed.starts_with("RecvBuffer { unread_len: 4, window_len: 4096,"));
        assert!(printed.contains("frame: Some(") && !printed.contains("ecret"));

        endpoint
            .connection
            .send_text("secret", &mut endpoint.output)
            .unwrap();
        let expected = match role {
            Role::Client => "SendBuffer { len: 12, shared: 0, .. }",
            Role::Server => "SendBuffer { len: 8, shared: 0, .. }",
        };
        assert_eq!(format!("{:?}", endpoint.output), expected);
    }
}

#[test]
fn a_prepared_message_prints_its_length() {
    let message = PreparedMessage::text("secret").with_compression(Compression::Never);
    assert_eq!(
        format!("{message:?}"),
        "PreparedMessage { kind: Text, payload_len: 6, compression: Never, .. }"
    );
}

#[test]
fn a_handshake_prints_no_credentials() {
    let config = Arc::new(Config::default());
    let mut output = SendBuffer::new();
    let request = ClientRequest::new("ws://h/")
        .unwrap()
        .header("Authorization", "Bearer secret")
        .unwrap();
    let handshake = ClientHandshake::start(&request, Arc::clone(&config), [0; 16], &mut output);
    assert_eq!(format!("{handshake:?}"), "ClientHandshake { .. }");
    let proxy = Proxy::new("http://proxy.example:3128")
        .unwrap()
        .basic_auth("alice", "secret")
        .unwrap();
    let tunnel = ProxyHandshake::start(&proxy, request.uri(), config, &mut output);
    assert_eq!(
        format!("{tunnel:?}"),
        "ProxyHandshake { is_open: false, .. }"
    );
}

#[cfg(feature = "deflate")]
#[test]
fn an_answer_prints_what_was_agreed_on() {
    use framewright::{DeflateConfig, RecvBuffer};

    let config = Arc::new(Config::default());
    let request = ClientRequest::new("ws://h/")
        .unwrap()
        .deflate(DeflateConfig::default());
    let nonce = *b"the sample nonce";
    let mut handshake = ClientHandshake::start(&request, config, nonce, &mut SendBuffer::new());
    let answer = b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n";
    let response = handshake.receive(&mut RecvBuffer::from(&answer[..]));
    let printed = format!("{:?}", response.unwrap().expect("a whole head"));
    assert!(printed.contains("own_takeover: Yes"), "{printed}");
    assert!(printed.contains("their_takeover: No"), "{printed}");
}
