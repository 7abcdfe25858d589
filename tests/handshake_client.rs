//! The client's side of the opening handshake: what it writes, which answers it believes, and what
//! it keeps of one that refuses.
//!
//! Answers are written by hand, and each is fed whole and in pieces: how bytes come may change
//! nothing.
//!
//! RFC 6455, section 4.1; RFC 9110 and RFC 9112 for the HTTP around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use framewright::handshake::{ClientHandshake, ClientRequest, UpgradeResponse, Uri, accept_key};
use framewright::{
    Config, Event, HandshakeError, RecvBuffer, RefusedResponse, Role, SendBuffer, SendError,
};

// ---- The request ----

#[test]
fn the_request_is_written_exactly() {
    let request = ClientRequest::new("ws://server.example.com/chat?room=1")
        .unwrap()
        .subprotocol("chat")
        .unwrap()
        .header("Origin", "http://example.com")
        .unwrap()
        .subprotocol("superchat")
        .unwrap()
        .header("Cookie", "a=b; c=d")
        .unwrap()
        .header("X-Twice", "1")
        .unwrap()
        .header("x-twice", b"\t2 \xff ")
        .unwrap()
        .header("X-Empty", "")
        .unwrap();
    // The key is section 1.3's.
    assert_eq!(
        written(&request),
        b"GET /chat?room=1 HTTP/1.1\r\n\
          Host: server.example.com\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          Sec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Protocol: chat, superchat\r\n\
          Origin: http://example.com\r\n\
          Cookie: a=b; c=d\r\n\
          X-Twice: 1\r\n\
          x-twice: 2 \xff\r\n\
          X-Empty: \r\n\
          \r\n"
    );
}

#[test]
fn the_shortest_request_is_written_exactly() {
    assert_eq!(
        written(&ClientRequest::new("ws://h").unwrap()),
        b"GET / HTTP/1.1\r\n\
          Host: h\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          Sec-WebSocket-Version: 13\r\n\
          \r\n"
    );
}

#[test]
fn host_and_resource_name_are_those_of_the_uri() {
    // 4.1 items 2 to 4, and 3: the resource name is "/" if the path is empty, and Host holds the
    // port "if not using the default port".
    for (uri, resource_name, host) in [
        ("ws://example.com", "/", "example.com"),
        ("ws://example.com/", "/", "example.com"),
        ("ws://example.com?a=b", "/?a=b", "example.com"),
        ("ws://example.com/?", "/?", "example.com"),
        ("ws://example.com//a/./../b", "//a/./../b", "example.com"),
        ("ws://example.com/a?b?c/d", "/a?b?c/d", "example.com"),
        (
            "ws://example.com/%20%C3%A4?%23",
            "/%20%C3%A4?%23",
            "example.com",
        ),
        (
            "ws://example.com/a:b@c!$&'()*+,;=~",
            "/a:b@c!$&'()*+,;=~",
            "example.com",
        ),
        ("WS://EXAMPLE.Com/Path", "/Path", "example.com"),
        ("ws://example.com:80/", "/", "example.com"),
        ("ws://example.com:/", "/", "example.com"),
        ("ws://example.com:443/", "/", "example.com:443"),
        ("wss://example.com:443/", "/", "example.com"),
        ("wss://example.com:80/", "/", "example.com:80"),
        ("wss://example.com:08443/", "/", "example.com:8443"),
        ("ws://127.0.0.1:9001", "/", "127.0.0.1:9001"),
        ("ws://[::1]/x", "/x", "[::1]"),
        ("ws://[2001:DB8:0::1]:9001?x", "/?x", "[2001:db8::1]:9001"),
        ("ws://localhost:65535/", "/", "localhost:65535"),
        ("ws://under_score.example/", "/", "under_score.example"),
    ] {
        let request = ClientRequest::new(uri).unwrap();
        let bytes = String::from_utf8(written(&request)).unwrap();
        let beginning = format!("GET {resource_name} HTTP/1.1\r\nHost: {host}\r\nUpgrade: ");
        assert!(bytes.starts_with(&beginning), "{uri}: {bytes}");
        assert_eq!(request.uri().resource_name(), resource_name);
        assert_eq!(request.uri().authority(), host);
    }
}

#[test]
fn the_key_is_the_nonce_in_base64() {
    // 4.1 item 7: "a nonce consisting of a randomly selected 16-byte value that has been
    // base64-encoded".
    let request = ClientRequest::new("ws://h").unwrap();
    for (nonce, key) in [
        (*b"the sample nonce", "dGhlIHNhbXBsZSBub25jZQ=="),
        ([0; 16], "AAAAAAAAAAAAAAAAAAAAAA=="),
        ([0xff; 16], "/////////////////////w=="),
        // 4.1's example, which the RFC prints with "EC==": those bits are not of 0x10.
        (
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
            "AQIDBAUGBwgJCgsMDQ4PEA==",
        ),
    ] {
        let mut output = SendBuffer::new();
        let mut client = ClientHandshake::start(&request, defaults(), nonce, &mut output);
        let line = format!("\r\nSec-WebSocket-Key: {key}\r\n");
        assert!(contains(&output.to_vec(), line.as_bytes()));
        let accept = accept_key(key.as_bytes());
        let answer = [
            b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
            &accept[..],
            b"\r\n\r\n",
        ]
        .concat();
        let outcome = client.receive(&mut RecvBuffer::from(&answer[..]));
        assert!(matches!(outcome, Ok(Some(_))));
    }
}

#[test]
fn a_request_is_appended_behind_what_waits_in_the_output() {
    // A proxy's CONNECT may be in the output still.
    let request = ClientRequest::new("ws://h").unwrap();
    let mut output = SendBuffer::new();
    ClientHandshake::start(&request, defaults(), NONCE, &mut output);
    ClientHandshake::start(&request, defaults(), NONCE, &mut output);
    assert_eq!(output.to_vec(), written(&request).repeat(2));
}

#[test]
fn a_uri_that_section_3_does_not_allow_is_refused_by_name() {
    for (uri, error) in [
        ("", SendError::UriSchemeUnsupported),
        ("h", SendError::UriSchemeUnsupported),
        ("/chat", SendError::UriSchemeUnsupported),
        ("http://h/", SendError::UriSchemeUnsupported),
        ("wsss://h/", SendError::UriSchemeUnsupported),
        ("ws:/h/", SendError::UriSchemeUnsupported),
        ("://h/", SendError::UriSchemeUnsupported),
        ("http://ws://h/", SendError::UriSchemeUnsupported),
        ("ws://", SendError::UriHostInvalid),
        ("ws:///chat", SendError::UriHostInvalid),
        ("ws://?x", SendError::UriHostInvalid),
        ("ws://:80", SendError::UriHostInvalid),
        ("ws://[]", SendError::UriHostInvalid),
        ("ws://[::1", SendError::UriHostInvalid),
        ("ws://[::1]x", SendError::UriHostInvalid),
        ("ws://[::g]/", SendError::UriHostInvalid),
        ("ws://[127.0.0.1]/", SendError::UriHostInvalid),
        ("ws://a]b/", SendError::UriHostInvalid),
        ("ws://a%20b/", SendError::UriHostInvalid),
        ("ws://h:0/", SendError::UriPortInvalid),
        ("ws://h:65536/", SendError::UriPortInvalid),
        ("ws://h:99999999999999999999/", SendError::UriPortInvalid),
        ("ws://h:-1/", SendError::UriPortInvalid),
        ("ws://h:http/", SendError::UriPortInvalid),
        ("ws://::1/", SendError::UriHostInvalid),
        // 3: "Fragment identifiers [...] MUST NOT be used on these URIs."
        ("ws://h/#", SendError::UriFragment),
        ("ws://h/chat#top", SendError::UriFragment),
        ("ws://h#top", SendError::UriFragment),
        ("ws://user@h/", SendError::UriUserInfo),
        ("ws://user:password@h/", SendError::UriUserInfo),
        ("ws://@h/", SendError::UriUserInfo),
        ("ws://h/a b", SendError::UriCharacterInvalid),
        ("ws://h/a\tb", SendError::UriCharacterInvalid),
        ("ws://h/ä", SendError::UriCharacterInvalid),
        ("ws://h/\"x\"", SendError::UriCharacterInvalid),
        ("ws://h/<x>", SendError::UriCharacterInvalid),
        ("ws://h\\x", SendError::UriCharacterInvalid),
        ("ws://h/{x}|y^z`", SendError::UriCharacterInvalid),
        ("ws://h/100%", SendError::UriCharacterInvalid),
        ("ws://h/%0g", SendError::UriCharacterInvalid),
        (" ws://h/", SendError::UriCharacterInvalid),
        ("ws://h/ ", SendError::UriCharacterInvalid),
        ("ws://bücher.example/", SendError::UriCharacterInvalid),
    ] {
        assert_eq!(ClientRequest::new(uri).unwrap_err(), error, "{uri:?}");
        assert_eq!(uri.parse::<Uri>().unwrap_err(), error, "{uri:?}");
    }
}

#[test]
fn no_field_of_a_request_can_hold_a_line_end() {
    // RFC 9112, section 11.1: whoever can write CR and LF writes requests of his own.
    for end in [
        "\r\n",
        "\r",
        "\n",
        "\0",
        "\r\nX-Other: value",
        "\r\n\r\nGET / HTTP/1.1",
    ] {
        for (before, after) in [
            ("", "ws://h/"),
            ("ws", "://h/"),
            ("ws://h", "/"),
            ("ws://[::1", "]/"),
            ("ws://h:80", "/"),
            ("ws://h/a", "b"),
            ("ws://h/a?b", "c"),
            ("ws://h/", ""),
        ] {
            assert_eq!(
                ClientRequest::new(&format!("{before}{end}{after}")).unwrap_err(),
                SendError::UriCharacterInvalid,
                "{before:?} {end:?} {after:?}"
            );
        }
        for (before, after) in [("", ""), ("", "b"), ("a", ""), ("a", "b")] {
            let field = format!("{before}{end}{after}");
            let request = ClientRequest::new("ws://h/").unwrap();
            assert_eq!(
                request.clone().subprotocol(&field).unwrap_err(),
                SendError::SubprotocolInvalid,
                "{field:?}"
            );
            assert_eq!(
                request.clone().header(&field, "value").unwrap_err(),
                SendError::HeaderNameInvalid,
                "{field:?}"
            );
            assert_eq!(
                request.header("X-Name", &field).unwrap_err(),
                SendError::HeaderValueInvalid,
                "{field:?}"
            );
        }
    }
    for byte in (0..=31_u8).chain([127]).filter(|&byte| byte != b'\t') {
        let request = ClientRequest::new("ws://h/").unwrap();
        assert_eq!(
            request.header("X-Name", [b'a', byte, b'b']).unwrap_err(),
            SendError::HeaderValueInvalid,
            "{byte:#x}"
        );
    }
}

#[test]
fn a_header_name_is_a_token() {
    let request = ClientRequest::new("ws://h/").unwrap();
    for name in [
        "", " ", "a b", " a", "a ", "a:", ":a", "a\tb", "a(b)", "a/b", "a=b", "a@b", "a[b]",
        "a\"b", "a,b", "a;b", "a<b>", "a?b", "a\\b", "a{b}", "ä", "a\u{7f}",
    ] {
        assert_eq!(
            request.clone().header(name, "value").unwrap_err(),
            SendError::HeaderNameInvalid,
            "{name:?}"
        );
    }
    assert!(request.header("aZ09!#$%&'*+-.^_`|~", "value").is_ok());
}

#[test]
fn header_lines_of_the_handshake_are_not_the_callers() {
    let request = ClientRequest::new("ws://h/").unwrap();
    for name in [
        "Host",
        "host",
        "UPGRADE",
        "Connection",
        "Content-Length",
        "transfer-encoding",
        "Trailer",
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "SEC-WEBSOCKET-ACCEPT",
    ] {
        assert_eq!(
            request.clone().header(name, "value").unwrap_err(),
            SendError::HeaderReserved,
            "{name}"
        );
    }
    for name in [
        "Authorization",
        "Cookie",
        "Origin",
        "User-Agent",
        "X-Host",
        "Sec-Other",
    ] {
        assert!(request.clone().header(name, "value").is_ok(), "{name}");
    }
}

#[test]
fn subprotocols_are_distinct_tokens() {
    // 4.1 item 10.
    let request = ClientRequest::new("ws://h/").unwrap();
    for subprotocol in [
        "", " ", "a b", "a,b", "a/b", "a;b", "a=b", "\"a\"", "(a)", "ä", "a:b",
    ] {
        assert_eq!(
            request.clone().subprotocol(subprotocol).unwrap_err(),
            SendError::SubprotocolInvalid,
            "{subprotocol:?}"
        );
    }
    let request = request
        .subprotocol("a.b")
        .unwrap()
        .subprotocol("c")
        .unwrap();
    for subprotocol in ["a.b", "c"] {
        assert_eq!(
            request.clone().subprotocol(subprotocol).unwrap_err(),
            SendError::SubprotocolRepeated
        );
    }
    // They are compared with case.
    let request = request.subprotocol("C").unwrap();
    assert!(contains(
        &written(&request),
        b"\r\nSec-WebSocket-Protocol: a.b, c, C\r\n"
    ));
}

// ---- 4.1: what an answer must be ----

#[test]
fn the_answer_of_section_1_3_opens_the_connection() {
    let response = accepted(
        &["chat", "superchat"],
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
          Sec-WebSocket-Protocol: chat\r\n\
          \r\n",
    );
    assert_eq!(response.subprotocol(), Some("chat"));
    assert_eq!(
        response.headers().single("upgrade"),
        Some(&b"websocket"[..])
    );
    assert_eq!(response.into_connection().role(), Role::Client);
}

#[test]
fn what_the_rules_leave_open_is_accepted() {
    // Case, white space, reason phrases, other lines.
    for answer in [
        &b"HTTP/1.1 101\r\n\
           Upgrade: websocket\r\n\
           Connection: Upgrade\r\n\
           Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
           \r\n"[..],
        b"HTTP/1.1 101 \r\n\
          UPGRADE:WebSocket\r\n\
          CONNECTION:upgrade\r\n\
          sec-websocket-accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t\r\n\
          \r\n",
        b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n\
          Set-Cookie: a=b\r\n\
          Connection: Upgrade\r\n\
          Date: x\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
          Upgrade: websocket\r\n\
          \r\n",
    ] {
        assert_eq!(accepted(&[], answer).subprotocol(), None);
    }
    // RFC 9112, section 6.3: a 1xx has no body, whatever it says; what follows is a frame.
    for line in [
        "Content-Length: 5",
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
    ] {
        let bytes = [&switching_and(&[line])[..], &HELLO].concat();
        let (outcome, behind) = feed(&[], &defaults(), &bytes, usize::MAX);
        assert!(matches!(outcome, Ok(Some(_))), "{outcome:?}");
        assert_eq!(behind, HELLO);
    }
}

#[test]
fn an_answer_switches_to_websocket_and_to_nothing_else() {
    // 4.1 item 2.
    for lines in [
        &[][..],
        &["Upgrade:"],
        &["Upgrade: h2c"],
        &["Upgrade: websockets"],
        &["Upgrade: xwebsocket"],
        &["Upgrade: web socket"],
        &["Upgrade: websocket/13"],
        &["Upgrade: \"websocket\""],
        // RFC 9110, section 7.8: a server names what it switched to, and two protocols cannot be.
        &["Upgrade: websocket, h2c"],
        &["Upgrade: h2c, websocket"],
        &["Upgrade: websocket", "Upgrade: h2c"],
        &["X-Upgrade: websocket"],
    ] {
        let answer = switching_with("Upgrade", lines);
        is_refused(&[], &answer, &HandshakeError::UpgradeMismatch);
    }
    for value in ["websocket", "WebSocket", "WEBSOCKET"] {
        let line = format!("Upgrade: {value}");
        accepted(&[], &switching_with("Upgrade", &[&line]));
    }
}

#[test]
fn an_answer_names_upgrade_among_its_connection_options() {
    // 4.1 item 3, and RFC 9110, section 7.6.1: a list, over several lines.
    for lines in [
        &["Connection: Upgrade"][..],
        &["Connection: upgrade"],
        &["Connection: keep-alive, Upgrade"],
        &["Connection: UPGRADE ,\tkeep-alive"],
        &["Connection: ,,upgrade,"],
        &["Connection: keep-alive", "Connection: Upgrade"],
        &["Connection: Upgrade", "connection: close"],
    ] {
        accepted(&[], &switching_with("Connection", lines));
    }
    for lines in [
        &[][..],
        &["Connection:"],
        &["Connection: close"],
        &["Connection: notupgrade"],
        &["Connection: upgraded, pre-upgrade"],
        &["Connection: up", "Connection: grade"],
        &["Connection: keep-alive; upgrade"],
        &["Connection: keep-alive upgrade"],
        &["Connection: \"upgrade\""],
        &["X-Connection: Upgrade"],
    ] {
        let answer = switching_with("Connection", lines);
        is_refused(&[], &answer, &HandshakeError::ConnectionNotUpgrade);
    }
}

#[test]
fn an_answer_proves_that_it_read_the_key() {
    // 4.1 item 4; 11.3.3: "MUST NOT appear more than once in an HTTP response".
    let good = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    for lines in [
        &[][..],
        &["Sec-WebSocket-Accept:"],
        // Of another key, which may be replayed.
        &["Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI="],
        // The key itself.
        &["Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ=="],
        // Of the key without the GUID, and in hex.
        &["Sec-WebSocket-Accept: b37a4f2cc0624f1690f64606cf385945b2bec4ea"],
        // Base64 knows case.
        &["Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO="],
        &["Sec-WebSocket-Accept: s3pplmbitxaq9kygzzhzrbk+xoo="],
        &["Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK-xOo="],
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo"],
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=="],
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=,"],
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9 kYGzzhZRbK+xOo="],
        &["Sec-WebSocket-Accept: \"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\""],
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
        &[good, good],
        &[good, "sec-websocket-accept: x"],
        &["sec-websocket-accept:", good],
        &["X-Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
    ] {
        let answer = switching_with("Sec-WebSocket-Accept", lines);
        is_refused(&[], &answer, &HandshakeError::AcceptMismatch);
    }
    // "ignoring any leading and trailing whitespace".
    let padded = "Sec-WebSocket-Accept:\t  s3pPLMBiTxaQ9kYGzzhZRbK+xOo=  \t";
    accepted(&[], &switching_with("Sec-WebSocket-Accept", &[padded]));
}

#[test]
fn an_extension_that_was_not_offered_fails_the_handshake() {
    // 4.1 item 5. None is offered.
    for lines in [
        &["Sec-WebSocket-Extensions: permessage-deflate"][..],
        &["sec-websocket-extensions: x; y=\"z\""],
        &[
            "Sec-WebSocket-Extensions: ,",
            "Sec-WebSocket-Extensions: , foo",
        ],
        &["Sec-WebSocket-Extensions: ;"],
    ] {
        let answer = switching_and(lines);
        is_refused(&[], &answer, &HandshakeError::ExtensionNotOffered);
    }
}

#[test]
fn a_subprotocol_that_was_not_offered_fails_the_handshake() {
    // 4.1 item 6.
    let offered = ["chat", "superchat"];
    for lines in [
        &["Sec-WebSocket-Protocol: other"][..],
        &["Sec-WebSocket-Protocol: Chat"],
        &["Sec-WebSocket-Protocol: cha"],
        &["Sec-WebSocket-Protocol: chatt"],
        &["Sec-WebSocket-Protocol:"],
        &["Sec-WebSocket-Protocol: ,"],
        &["Sec-WebSocket-Protocol: \"chat\""],
        // One is chosen, not some.
        &["Sec-WebSocket-Protocol: chat, superchat"],
        &["Sec-WebSocket-Protocol: chat,"],
        // 11.3.4: "MUST NOT appear more than once in an HTTP response".
        &[
            "Sec-WebSocket-Protocol: chat",
            "Sec-WebSocket-Protocol: superchat",
        ],
        &[
            "Sec-WebSocket-Protocol: chat",
            "sec-websocket-protocol: chat",
        ],
        &["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol:"],
    ] {
        let answer = switching_and(lines);
        is_refused(&offered, &answer, &HandshakeError::SubprotocolNotOffered);
        is_refused(&[], &answer, &HandshakeError::SubprotocolNotOffered);
    }
    let answer = switching_and(&["Sec-WebSocket-Protocol: chat"]);
    is_refused(&[], &answer, &HandshakeError::SubprotocolNotOffered);
}

#[test]
fn one_subprotocol_of_those_offered_may_be_chosen_or_none() {
    // 4.2.2 item 5.5: the line is optional.
    let offered = ["chat", "superchat"];
    assert_eq!(accepted(&offered, &switching()).subprotocol(), None);
    for subprotocol in offered {
        let answer = switching_and(&[&format!("Sec-WebSocket-Protocol: \t{subprotocol} ")]);
        let response = accepted(&offered, &answer);
        assert_eq!(response.subprotocol(), Some(subprotocol));
    }
}

#[test]
fn an_answer_with_several_faults_fails_by_the_first_rule() {
    let bad = "Sec-WebSocket-Extensions: x\r\nSec-WebSocket-Protocol: x\r\n\r\n";
    let lines = [
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    ];
    let errors = [
        HandshakeError::UpgradeMismatch,
        HandshakeError::ConnectionNotUpgrade,
        HandshakeError::AcceptMismatch,
        HandshakeError::ExtensionNotOffered,
    ];
    for (right, error) in errors.iter().enumerate() {
        let answer = format!("HTTP/1.1 101 \r\n{}{bad}", lines[..right].concat());
        is_refused(&[], answer.as_bytes(), error);
    }
}

#[test]
fn frames_behind_the_answer_are_received_wherever_reads_end() {
    // 4.1: the connection is open once the answer is valid, and a server may send at once.
    let frames = [&HELLO[..], b"\x89\x02hi", b"\x88\x02\x03\xe8"].concat();
    let answer = switching();
    let bytes = [&answer[..], &frames].concat();
    for split in 0..=bytes.len() {
        let (first, second) = bytes.split_at(split);
        let mut client = start(&[], &defaults());
        let mut input = RecvBuffer::from(first);
        let response = match client.receive(&mut input) {
            Ok(None) => {
                assert!(split < answer.len());
                input.extend(second);
                client.receive(&mut input)
            }
            outcome => {
                assert_eq!(input.unread(), &bytes[answer.len()..split]);
                input.extend(second);
                outcome
            }
        };
        let Ok(Some(response)) = response else {
            panic!("split at {split}: {response:?}");
        };
        assert_eq!(input.unread(), frames, "split at {split}");
        let mut connection = response.into_connection();
        let mut output = SendBuffer::new();
        assert!(matches!(
            connection.receive(&mut input, &mut output),
            Ok(Some(Event::Text("Hello")))
        ));
        assert!(matches!(
            connection.receive(&mut input, &mut output),
            Ok(Some(Event::Ping(b"hi")))
        ));
        assert!(matches!(
            connection.receive(&mut input, &mut output),
            Ok(Some(Event::Close(Some(_))))
        ));
    }
}

#[test]
fn no_frame_is_read_behind_an_answer_that_failed() {
    let bytes = [&switching_with("Sec-WebSocket-Accept", &[])[..], &HELLO].concat();
    is_refused(&[], &bytes, &HandshakeError::AcceptMismatch);
}

// ---- Interim answers ----

#[test]
fn eight_interim_answers_may_come_before_the_final_one() {
    // RFC 9110, section 15.2: "A client MUST be able to parse one or more 1xx responses received
    // prior to a final response, even if the client does not expect one."
    let interim: [&[u8]; 5] = [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n",
        b"HTTP/1.1 100\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 199 \r\nUpgrade: h2c\r\n\r\n",
    ];
    for count in 0..=8 {
        let before: Vec<u8> = interim
            .iter()
            .cycle()
            .take(count)
            .flat_map(|answer| answer.to_vec())
            .collect();
        accepted(&[], &[&before[..], &switching()].concat());
        let refused =
            refused(&[&before[..], b"HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\nno"].concat());
        assert_eq!(refused.status, 404);
        assert_eq!(&refused.body[..], b"no");
    }
    for status in ["100", "103", "199"] {
        let answer = format!("HTTP/1.1 {status} \r\n\r\n");
        let endless = [answer.repeat(9).into_bytes(), switching()].concat();
        is_refused(&[], &endless, &HandshakeError::TooManyInterimResponses);
        // At the ninth, not later.
        assert_eq!(bytes_until_outcome(&endless), answer.len() * 9);
    }
}

#[test]
fn each_interim_answer_has_the_limits_of_a_head_to_itself() {
    let mut config = Config::default();
    config.max_headers = 3;
    config.max_head_len = switching().len();
    let config = Arc::new(config);
    let interim = b"HTTP/1.1 103 Early Hints\r\na: b\r\na: b\r\na: b\r\n\r\n".repeat(8);
    let outcome = judge_within(&[], &config, &[&interim[..], &switching()].concat());
    assert!(matches!(outcome, Ok(Some(_))), "{outcome:?}");
}

#[test]
fn a_status_line_without_an_end_is_refused_at_the_limit() {
    let beyond = vec![b'x'; Config::default().max_head_len + 1];
    is_refused(&[], &beyond, &HandshakeError::HeadTooLong);
    assert_eq!(bytes_until_outcome(&beyond), beyond.len());
}

// ---- Refusals ----

#[test]
fn a_refusal_has_its_status_and_headers() {
    // 4.1 item 1: "If the status code received from the server is not 101, the client handles the
    // response per HTTP [RFC2616] procedures."
    for status in [
        200, 201, 204, 226, 300, 301, 304, 307, 400, 401, 403, 404, 407, 426, 429, 500, 503, 599,
    ] {
        let answer = format!(
            "HTTP/1.1 {status} Some Words\r\n\
             WWW-Authenticate: Basic realm=\"x\"\r\n\
             Set-Cookie: a=1\r\n\
             set-cookie:   b=2 \r\n\
             X-Bytes: \u{e4}\r\n\
             X-Empty:\r\n\
             Content-Length: 0\r\n\
             \r\n"
        );
        let refused = refused(answer.as_bytes());
        assert_eq!(refused.status, status);
        let headers: Vec<_> = refused
            .headers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            headers,
            [
                ("www-authenticate", &b"Basic realm=\"x\""[..]),
                ("set-cookie", b"a=1"),
                ("set-cookie", b"b=2"),
                ("x-bytes", "\u{e4}".as_bytes()),
                ("x-empty", b""),
                ("content-length", b"0"),
            ]
        );
        assert_eq!(refused.header("Set-Cookie"), Some(&b"a=1"[..]));
        assert_eq!(refused.header("absent"), None);
        assert_eq!(&refused.body[..], b"");
        assert!(!refused.body_truncated);
        let error = HandshakeError::Refused(Box::new(refused));
        let text = format!("server refused the handshake with status {status}");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn an_answer_that_upgrades_without_101_is_a_refusal() {
    let answer = String::from_utf8(switching_and(&["Content-Length: 0"])).unwrap();
    assert_eq!(
        refused(answer.replacen("101", "200", 1).as_bytes()).status,
        200
    );
}

#[test]
fn a_redirect_says_where_to() {
    for (line, location) in [
        (
            "Location: wss://other.example/chat",
            Some("wss://other.example/chat"),
        ),
        ("location:  /login?next=%2F ", Some("/login?next=%2F")),
        // RFC 9110, section 10.2.2: it is no list, and which of two is meant nobody knows.
        ("LOCATION: /a\r\nLocation: /b", None),
        ("Location: /a\r\nLocation: /a", None),
        ("Location: /ä", Some("/ä")),
        ("Location:", Some("")),
        ("X-Location: /a", None),
    ] {
        let answer = format!("HTTP/1.1 302 Found\r\n{line}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(refused(answer.as_bytes()).location(), location, "{line}");
    }
    let not_text = b"HTTP/1.1 302 Found\r\nLocation: /\xff\r\nContent-Length: 0\r\n\r\n";
    let refused = refused(not_text);
    assert_eq!(refused.location(), None);
    assert_eq!(refused.header("location"), Some(&b"/\xff"[..]));
}

#[test]
fn a_body_has_the_length_that_its_head_says() {
    // RFC 9112, section 6.3. What stands behind the body is not of it.
    for (len, body, kept) in [
        ("Content-Length: 0", "more", ""),
        ("Content-Length: 5", "hello", "hello"),
        ("Content-Length: 5", "hello, and more", "hello"),
        ("Content-Length: 0005", "hello", "hello"),
        ("content-length:\t5 ", "\r\n\r\n\0", "\r\n\r\n\0"),
    ] {
        let answer = format!("HTTP/1.1 403 \r\n{len}\r\n\r\n{body}");
        let refused = refused(answer.as_bytes());
        assert_eq!(&refused.body[..], kept.as_bytes());
        assert!(!refused.body_truncated);
    }
}

#[test]
fn an_answer_whose_status_has_no_body_ends_with_its_head() {
    // RFC 9112, section 6.3 item 1: whatever the header fields say.
    for status in [204, 304] {
        for lines in [
            "",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
        ] {
            let answer = format!("HTTP/1.1 {status} \r\n{lines}\r\nhello");
            let refused = refused(answer.as_bytes());
            assert_eq!(refused.status, status);
            assert_eq!(&refused.body[..], b"");
            assert!(!refused.body_truncated);
        }
    }
}

#[test]
fn a_chunked_body_is_put_together() {
    // RFC 9112, section 7.1.
    for (body, kept) in [
        ("0\r\n\r\n", ""),
        ("0\r\nX-Trailer: y\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("1\r\nh\r\n2\r\nel\r\n00002\r\nlo\r\n0\r\n\r\n", "hello"),
        // Upper case, and lower case.
        (
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789",
        ),
        (
            "1F\r\n0123456789012345678901234567890\r\n0\r\n\r\n",
            "0123456789012345678901234567890",
        ),
        // RFC 9112, section 7.1.1: extensions are ignored.
        ("5;a\r\nhello\r\n0;b=c;d=\"e\"\r\n\r\n", "hello"),
        ("5 ; a = b\r\nhello\r\n0\r\n\r\n", "hello"),
        // What looks like the end of a body is in the middle of it.
        ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
    ] {
        for coding in [
            "chunked",
            "Chunked",
            "gzip, chunked",
            "gzip\r\nTransfer-Encoding: chunked",
        ] {
            let head = format!("HTTP/1.1 500 \r\nTransfer-Encoding: {coding}\r\n\r\n");
            let refused = refused(format!("{head}{body}").as_bytes());
            assert_eq!(&refused.body[..], kept.as_bytes(), "{body:?}");
            assert!(!refused.body_truncated, "{body:?}");
        }
        // RFC 9112, section 6.3 item 3: Transfer-Encoding overrides Content-Length.
        let head = "HTTP/1.1 500 \r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(
            &refused(format!("{head}{body}").as_bytes()).body[..],
            kept.as_bytes()
        );
    }
}

#[test]
fn a_chunk_extension_may_be_long_however_it_comes() {
    // Judged by what is there, not by how much of it one read brought.
    for len in [100, 200, 250, 251, 252, 253, 254, 255, 256, 257, 300, 1000] {
        let extension = "x".repeat(len);
        let answer = format!(
            "HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n5;{extension}\r\nhello\r\n0\r\n\r\n"
        );
        let refused = refused(answer.as_bytes());
        assert!(refused.body_truncated || &refused.body[..] == b"hello");
    }
    // A size line without an end is not waited for.
    let head = b"HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n";
    for len in [256, 64 << 10] {
        let mut endless = head.to_vec();
        endless.extend_from_slice(b"5;");
        endless.resize(head.len() + len, b'x');
        let refused = refused(&endless);
        assert!(refused.body_truncated);
        assert_eq!(&refused.body[..], b"");
    }
}

#[test]
fn a_chunk_size_that_makes_no_sense_ends_the_body_and_says_so() {
    for (body, kept) in [
        ("x\r\nhello\r\n0\r\n\r\n", ""),
        ("-5\r\nhello\r\n0\r\n\r\n", ""),
        ("+5\r\nhello\r\n0\r\n\r\n", ""),
        ("0x5\r\nhello\r\n0\r\n\r\n", ""),
        ("5 5\r\nhello\r\n0\r\n\r\n", ""),
        ("5\rhello", ""),
        ("5\nhello\n0\n\n", ""),
        // More than 64 bits.
        ("10000000000000005\r\nhello\r\n0\r\n\r\n", ""),
        ("00000000000000000000000005\r\nhello\r\n0\r\n\r\n", ""),
        // A chunk that is longer or shorter than it says.
        ("5\r\nhello, more\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\n0\r\n\r\n", "hello"),
        ("5\r\nhello\rx0\r\n\r\n", "hello"),
        ("5\r\nhello\r\nx\r\n", "hello"),
        ("5\r\nhello\r\n;\u{7f}\0\nx", "hello"),
    ] {
        let answer = format!("HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let refused = refused_at_eof(answer.as_bytes());
        assert_eq!(refused.status, 500);
        assert_eq!(&refused.body[..], kept.as_bytes(), "{body:?}");
        assert!(refused.body_truncated, "{body:?}");
    }
}

#[test]
fn a_chunk_size_has_a_digit() {
    // RFC 9112, section 7.1: chunk-size = 1*HEXDIG. What has none is not the last chunk.
    for body in [
        "\r\nhello\r\n0\r\n\r\n",
        ";x\r\nhello\r\n0\r\n\r\n",
        " \r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
    ] {
        let answer = format!("HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let refused = refused_at_eof(answer.as_bytes());
        assert!(refused.body_truncated, "{body:?}");
    }
}

#[test]
fn a_chunk_of_any_claimed_length_takes_no_memory() {
    for size in ["FFFFFFFFFFFFFFFF", "8000000000000000", "fffffff0"] {
        let answer = format!("HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nhello");
        let refused = refused_at_eof(answer.as_bytes());
        assert_eq!(&refused.body[..], b"hello");
        assert!(refused.body_truncated);
    }
    for len in ["18446744073709551615", "9223372036854775808"] {
        let answer = format!("HTTP/1.1 500 \r\nContent-Length: {len}\r\n\r\nhello");
        let refused = refused_at_eof(answer.as_bytes());
        assert_eq!(&refused.body[..], b"hello");
        assert!(refused.body_truncated);
    }
}

#[test]
fn a_body_without_a_length_lasts_until_the_server_closes() {
    // RFC 9112, section 6.3 item 8; and item 4: a transfer coding that does not end in chunked.
    for lines in [
        "",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: gzip\r\n",
    ] {
        for body in ["", "hello", "0\r\n\r\n"] {
            let answer = format!("HTTP/1.1 500 \r\n{lines}\r\n{body}");
            assert!(matches!(judge(answer.as_bytes()), Ok(None)), "{lines:?}");
            let refused = refused_at_eof(answer.as_bytes());
            assert_eq!(&refused.body[..], body.as_bytes(), "{lines:?}");
            assert!(!refused.body_truncated, "{lines:?}");
        }
    }
}

#[test]
fn a_body_whose_last_coding_is_not_chunked_lasts_until_the_server_closes() {
    // RFC 9112, section 6.3 item 4: "If a Transfer-Encoding header field is present in a response
    // and the chunked transfer coding is not the final encoding, the message body length is
    // determined by reading the connection until it is closed by the server."
    for coding in ["chunked, gzip", "chunked\r\nTransfer-Encoding: gzip"] {
        let answer = format!("HTTP/1.1 500 \r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\nmore");
        let refused = refused_at_eof(answer.as_bytes());
        assert_eq!(&refused.body[..], b"0\r\n\r\nmore", "{coding}");
        assert!(!refused.body_truncated, "{coding}");
    }
}

#[test]
fn a_content_length_that_makes_no_sense_says_that_the_body_is_missing() {
    // RFC 9112, section 6.3 item 5: "If it is in a response message received by a user agent, the
    // user agent MUST close the connection to the server and discard the received response."
    for lines in [
        "Content-Length:",
        "Content-Length: x",
        "Content-Length: -5",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 5, 6",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 18446744073709551616",
        "Content-Length: 5.0",
    ] {
        let answer = format!("HTTP/1.1 404 \r\n{lines}\r\n\r\nhello");
        let refused = refused(answer.as_bytes());
        assert_eq!(refused.status, 404);
        assert_eq!(&refused.body[..], b"", "{lines}");
        assert!(refused.body_truncated, "{lines}");
    }
}

#[test]
fn a_body_is_kept_up_to_max_refused_body_len() {
    for max in [0_usize, 1, 10, 4096] {
        let mut config = Config::default();
        config.max_refused_body_len = max;
        let config = Arc::new(config);
        for len in [max.saturating_sub(1), max, max + 1, max * 2 + 30] {
            let body = body_of(len);
            for (name, answer) in framings(&body) {
                let refused = refused_within(&config, &answer);
                let kept = len.min(max);
                assert_eq!(&refused.body[..], &body[..kept], "{name}, {len} of {max}");
                assert_eq!(refused.body_truncated, len > max, "{name}, {len} of {max}");
            }
        }
    }
    assert_eq!(Config::default().max_refused_body_len, 4096);
}

#[test]
fn a_body_beyond_the_limit_is_not_waited_for() {
    // A server that drips a page without end keeps nobody.
    let mut config = Config::default();
    config.max_refused_body_len = 10;
    let config = Arc::new(config);
    for head in [
        "HTTP/1.1 500 \r\n\r\n",
        "HTTP/1.1 500 \r\nContent-Length: 1000000000000\r\n\r\n",
        "HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
    ] {
        let bytes = [head.as_bytes(), &body_of(100)].concat();
        let outcome = judge_within(&[], &config, &bytes);
        let Err(HandshakeError::Refused(refused)) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(&refused.body[..], &body_of(10));
        assert!(refused.body_truncated);
        assert_eq!(bytes_until_outcome_within(&config, &bytes), head.len() + 11);
    }
}

#[test]
fn no_limit_keeps_more_than_64_kib() {
    for max in [64 << 10, (64 << 10) + 1, 1 << 20, usize::MAX] {
        let mut config = Config::default();
        config.max_refused_body_len = max;
        let config = Arc::new(config);
        for len in [64 << 10, (64 << 10) + 1, 200_000] {
            let body = body_of(len);
            for (name, answer) in framings(&body) {
                let refused = eof_outcome(&[], &config, &answer, usize::MAX);
                let HandshakeError::Refused(refused) = refused else {
                    panic!("{name}: {refused:?}");
                };
                assert_eq!(&refused.body[..], &body[..len.min(64 << 10)], "{name}");
                assert_eq!(refused.body_truncated, len > 64 << 10, "{name}, {len}");
            }
        }
    }
}

// ---- The syntax and the limits of heads ----

#[test]
fn a_malformed_head_is_refused() {
    // RFC 9112, sections 2.2, 4 and 5.
    let cases: [&[u8]; 31] = [
        b"\r\n",
        b"\n",
        b" HTTP/1.1 101 \r\n\r\n",
        b"\0",
        b"\x15\x03\x01\0\x02\x02\x28", // a TLS alert
        b"HTTP/1.1 101 \n",
        b"HTTP/1.1 101 \rX",
        b"HTTP/1.1 101 \r\r\n",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1  101 \r\n\r\n",
        b"HTTP/1.1 10\r\n\r\n",
        b"HTTP/1.1 1010 \r\n\r\n",
        b"HTTP/1.1 1o1 \r\n\r\n",
        b"HTTP/1.1 +101 \r\n\r\n",
        b"HTTP/1.1 101Switching\r\n\r\n",
        b"HTTP/1.1 099 \r\n\r\n",
        b"HTTP/1.1 000 \r\n\r\n",
        b"HTTP/1.1 101 \r\n folded\r\n\r\n",
        b"HTTP/1.1 101 \r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 101 \r\nX: a\r\n\tb\r\n\r\n",
        b"HTTP/1.1 101 \r\nX: a\nY: b\r\n\r\n",
        b"HTTP/1.1 101 \r\nX : a\r\n\r\n",
        b"HTTP/1.1 101 \r\nX\t: a\r\n\r\n",
        b"HTTP/1.1 101 \r\nno colon\r\n\r\n",
        b"HTTP/1.1 101 \r\n: a\r\n\r\n",
        b"HTTP/1.1 101 \r\nX Y: a\r\n\r\n",
        b"HTTP/1.1 101 \r\nX\xff: a\r\n\r\n",
        b"HTTP/1.1 101 \r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 101 \r\nX: a\x7fb\r\n\r\n",
        b"HTTP/1.1 101 \x07\r\n\r\n",
        b"HTTP/1.1 404 \r\nX: a\x0bb\r\n\r\nhello",
    ];
    for answer in cases {
        is_refused(&[], answer, &HandshakeError::HeadMalformed);
    }
    for before in [&b"\r\n"[..], b"\n", b" ", b"\0"] {
        let answer = [before, &switching()].concat();
        is_refused(&[], &answer, &HandshakeError::HeadMalformed);
    }
}

#[test]
fn another_version_of_http_does_not_switch_protocols() {
    for version in ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/2"] {
        let answer = String::from_utf8(switching()).unwrap();
        let answer = answer.replacen("HTTP/1.1", version, 1);
        let error = HandshakeError::HttpVersionUnsupported;
        is_refused(&[], answer.as_bytes(), &error);
    }
}

#[test]
fn an_answer_that_is_not_http_is_malformed_and_not_of_another_version() {
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "220 mail.example ESMTP\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "http/1.1 101 \r\n\r\n",
        "HTTP/1.1101 \r\n\r\n",
        "HTTP/1.x 101 \r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        is_refused(&[], answer.as_bytes(), &HandshakeError::HeadMalformed);
    }
}

#[test]
fn http_1_0_cannot_switch_protocols() {
    // RFC 9110, section 15.2: "HTTP/1.0 did not define any 1xx status codes", and section 7.8: in
    // HTTP/1.0 nothing is upgraded.
    let answer = String::from_utf8(switching()).unwrap();
    let answer = answer.replacen("HTTP/1.1", "HTTP/1.0", 1);
    is_refused(
        &[],
        answer.as_bytes(),
        &HandshakeError::HttpVersionUnsupported,
    );
    // An interim answer is nothing to build on, and does no harm.
    let interim = [b"HTTP/1.0 100 Continue\r\n\r\n", &switching()[..]].concat();
    accepted(&[], &interim);
}

#[test]
fn an_answer_in_http_1_0_may_refuse() {
    let refused = refused_at_eof(b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\nhello");
    assert_eq!(refused.status, 404);
    assert_eq!(&refused.body[..], b"hello");
    assert!(!refused.body_truncated);
}

#[test]
fn a_head_has_at_most_max_head_len_bytes() {
    let default_len = Config::default().max_head_len;
    for max in [default_len, 1000] {
        let mut config = Config::default();
        config.max_head_len = max;
        let config = Arc::new(config);
        let answer = |len: usize| {
            let padding = len - switching().len() - "x: \r\n".len();
            switching_and(&[&format!("x: {}", "y".repeat(padding))])
        };
        assert_eq!(answer(max).len(), max);
        let outcome = judge_within(&[], &config, &[&answer(max)[..], &HELLO].concat());
        assert!(matches!(outcome, Ok(Some(_))), "{outcome:?}");
        let error = judge_within(&[], &config, &answer(max + 1)).unwrap_err();
        assert_eq!(error, HandshakeError::HeadTooLong);
        // Without an end, on a line or over many.
        for beginning in ["", "HTTP/1.1 101 ", "HTTP/1.1 101 \r\nx: "] {
            let endless = [beginning.as_bytes(), &[b'a'; 20_000]].concat();
            let error = judge_within(&[], &config, &endless).unwrap_err();
            assert_eq!(error, HandshakeError::HeadTooLong);
            assert_eq!(bytes_until_outcome_within(&config, &endless), max + 1);
        }
    }
}

#[test]
fn a_head_has_at_most_max_headers_lines() {
    for max in [Config::default().max_headers, 3, 10] {
        let mut config = Config::default();
        config.max_headers = max;
        let config = Arc::new(config);
        let outcome = judge_within(&[], &config, &switching_and(&vec!["x: y"; max - 3]));
        assert!(matches!(outcome, Ok(Some(_))), "{outcome:?}");
        let answer = switching_and(&vec!["x: y"; max - 2]);
        let error = judge_within(&[], &config, &answer).unwrap_err();
        assert_eq!(error, HandshakeError::TooManyHeaders);
    }
    let endless = [b"HTTP/1.1 200 \r\n".to_vec(), b"x: y\r\n".repeat(2000)].concat();
    is_refused(&[], &endless, &HandshakeError::TooManyHeaders);
    assert_eq!(bytes_until_outcome(&endless), 15 + 101 * 6);
}

#[test]
fn a_status_line_is_as_long_as_a_head_may_be() {
    // The limit of the request line is the server's.
    let reason = "x".repeat(10_000);
    let answer = String::from_utf8(switching()).unwrap();
    let answer = answer.replacen("Switching Protocols", &reason, 1);
    accepted(&[], answer.as_bytes());
}

// ---- The end of the transport, and deadlines ----

#[test]
fn the_end_of_the_transport_inside_the_head_is_an_error_of_its_own() {
    let answers = [
        switching(),
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n".to_vec(),
        [&b"HTTP/1.1 100 \r\n\r\n"[..], &switching()].concat(),
    ];
    for answer in answers {
        for len in 0..answer.len() {
            for step in STEPS {
                assert_eq!(
                    eof_outcome(&[], &defaults(), &answer[..len], step),
                    HandshakeError::EndOfStream,
                    "after {len} bytes"
                );
            }
        }
    }
}

#[test]
fn the_end_of_the_transport_inside_the_body_leaves_what_came_of_it() {
    let head = "HTTP/1.1 500 \r\nContent-Length: 5\r\n\r\n";
    for len in 0..=5 {
        let refused = refused_at_eof(&[head, &"hello"[..len]].concat().into_bytes());
        assert_eq!(&refused.body[..], &b"hello"[..len]);
        assert_eq!(refused.body_truncated, len < 5, "after {len} bytes");
    }
    let head = "HTTP/1.1 500 \r\n\r\n";
    for len in 0..=5 {
        let refused = refused_at_eof(&[head, &"hello"[..len]].concat().into_bytes());
        assert_eq!(&refused.body[..], &b"hello"[..len]);
        assert!(!refused.body_truncated, "after {len} bytes");
    }
    let head = "HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    for len in 0..=body.len() {
        let refused = refused_at_eof(&[head, &body[..len]].concat().into_bytes());
        // "3;x=y\r\n" is 7 bytes, "hel\r\n2\r\n" is 8, and "lo\r\n0\r\n" is 7.
        let kept = len.saturating_sub(7).min(3) + len.saturating_sub(15).min(2);
        assert_eq!(&refused.body[..], &b"hello"[..kept], "after {len} bytes");
        assert_eq!(refused.body_truncated, len < 22, "after {len} bytes");
    }
}

#[test]
fn the_deadline_is_absolute_and_no_byte_extends_it() {
    let begin = Instant::now();
    let mut client = start(&[], &defaults());
    assert_eq!(client.next_deadline(), None, "nobody told the time");
    client.set_now(begin);
    let deadline = begin + Duration::from_secs(10);
    assert_eq!(client.next_deadline(), Some(deadline));
    let mut input = RecvBuffer::new();
    for (index, byte) in switching().into_iter().take(99).enumerate() {
        let now = begin + Duration::from_millis(100) * u32::try_from(index).unwrap();
        client.set_now(now);
        assert_eq!(client.handle_timeout(now), Ok(()));
        input.extend(&[byte]);
        assert!(matches!(client.receive(&mut input), Ok(None)));
        assert_eq!(client.next_deadline(), Some(deadline));
    }
    let just_before = deadline - Duration::from_nanos(1);
    assert_eq!(client.handle_timeout(just_before), Ok(()));
    assert_eq!(
        client.handle_timeout(deadline),
        Err(HandshakeError::TimedOut)
    );
}

#[test]
fn the_deadline_is_the_configs() {
    let begin = Instant::now();
    for timeout in [
        Some(Duration::ZERO),
        Some(Duration::from_millis(1)),
        Some(Duration::from_secs(3600)),
        // More than a clock can say is no deadline, and no panic.
        Some(Duration::MAX),
        None,
    ] {
        let mut config = Config::default();
        config.handshake_timeout = timeout;
        let mut client = start(&[], &Arc::new(config));
        let first = client.handle_timeout(begin);
        assert_eq!(first.is_err(), timeout == Some(Duration::ZERO));
        let deadline = timeout.and_then(|timeout| begin.checked_add(timeout));
        assert_eq!(client.next_deadline(), deadline);
        let much_later = begin + Duration::from_secs(3600);
        assert_eq!(
            client.handle_timeout(much_later).is_err(),
            deadline.is_some()
        );
    }
}

#[test]
fn a_refusal_that_is_late_is_returned_with_what_came_of_its_body() {
    let begin = Instant::now();
    for head in [
        "HTTP/1.1 503 \r\nContent-Length: 100\r\n\r\n",
        "HTTP/1.1 503 \r\nTransfer-Encoding: chunked\r\n\r\n64\r\n",
    ] {
        let refused = refused_at_deadline(begin, format!("{head}hello").as_bytes());
        assert_eq!(refused.status, 503);
        assert_eq!(&refused.body[..], b"hello");
        assert!(refused.body_truncated);
    }
}

#[test]
fn a_body_until_close_that_the_deadline_cuts_is_truncated() {
    // RFC 9112, section 8: without the close nothing says that it was whole.
    let refused = refused_at_deadline(Instant::now(), b"HTTP/1.1 503 \r\n\r\nhello");
    assert_eq!(&refused.body[..], b"hello");
    assert!(refused.body_truncated);
}

#[test]
fn an_answer_that_failed_is_not_accepted_when_more_bytes_come() {
    for answer in [
        switching_with("Sec-WebSocket-Accept", &[]),
        b"HTTP/1.1 200 \n".to_vec(),
        b"HTTP/1.1 401 \r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 100 \r\n\r\n".repeat(9),
    ] {
        let mut client = start(&[], &defaults());
        let mut input = RecvBuffer::from(&answer[..]);
        let error = client.receive(&mut input).unwrap_err();
        input.extend(&switching());
        for _ in 0..3 {
            match client.receive(&mut input) {
                Err(_) => {}
                Ok(outcome) => panic!("after {error:?}: {outcome:?}"),
            }
        }
    }
}

#[test]
fn what_comes_behind_a_refusal_that_was_cut_is_not_an_answer() {
    // The body of a refusal may be anybody's words, and 101 among them.
    let begin = Instant::now();
    for head in [
        "HTTP/1.1 503 \r\n\r\n",
        "HTTP/1.1 503 \r\nContent-Length: 1000\r\n\r\n",
        "HTTP/1.1 503 \r\nTransfer-Encoding: chunked\r\n\r\n64\r\n",
    ] {
        for cut_by_deadline in [true, false] {
            let mut client = start(&[], &defaults());
            client.set_now(begin);
            let mut input = RecvBuffer::from(head.as_bytes());
            assert!(matches!(client.receive(&mut input), Ok(None)));
            let error = if cut_by_deadline {
                client
                    .handle_timeout(begin + Duration::from_secs(10))
                    .unwrap_err()
            } else {
                client.receive_eof()
            };
            assert!(matches!(error, HandshakeError::Refused(_)));
            input.extend(&switching());
            let outcome = client.receive(&mut input);
            assert!(outcome.is_err(), "after {error:?}: {outcome:?}");
        }
    }
}

#[test]
fn an_answer_that_is_late_is_not_accepted() {
    let begin = Instant::now();
    let mut client = start(&[], &defaults());
    client.set_now(begin);
    let mut input = RecvBuffer::from(&switching()[..20]);
    assert!(matches!(client.receive(&mut input), Ok(None)));
    let late = begin + Duration::from_secs(10);
    assert_eq!(client.handle_timeout(late), Err(HandshakeError::TimedOut));
    input.extend(&switching()[20..]);
    let outcome = client.receive(&mut input);
    assert!(outcome.is_err(), "{outcome:?}");
}

// ---- The rig ----

/// How many bytes come at a time.
const STEPS: [usize; 6] = [usize::MAX, 1, 2, 3, 7, 13];

/// Section 1.3's key is the base64 of this.
const NONCE: [u8; 16] = *b"the sample nonce";

/// 5.7: "A single-frame unmasked text message (contains "Hello")".
const HELLO: [u8; 7] = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];

const SWITCHING_LINES: [&str; 3] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

fn defaults() -> Arc<Config> {
    Arc::new(Config::default())
}

fn answer(lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in [&["HTTP/1.1 101 Switching Protocols"], lines, &[""]].concat() {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The shortest answer that section 4.1 lets a client believe.
fn switching() -> Vec<u8> {
    answer(&SWITCHING_LINES)
}

/// The same, with more lines.
fn switching_and(lines: &[&str]) -> Vec<u8> {
    answer(&[&SWITCHING_LINES, lines].concat())
}

/// The same, with other lines in the place of that of `name`.
fn switching_with(name: &str, lines: &[&str]) -> Vec<u8> {
    let mut all = Vec::new();
    for line in SWITCHING_LINES {
        if line.split(':').next() == Some(name) {
            all.extend_from_slice(lines);
        } else {
            all.push(line);
        }
    }
    answer(&all)
}

fn body_of(len: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(len).collect()
}

/// A refusal with this body, in each of the ways to say where it ends.
fn framings(body: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let mut chunked = b"HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(4000) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let mut crumbs = b"HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for byte in body {
        crumbs.extend_from_slice(b"1\r\n");
        crumbs.push(*byte);
        crumbs.extend_from_slice(b"\r\n");
    }
    crumbs.extend_from_slice(b"0\r\n\r\n");
    let len = format!("HTTP/1.1 500 \r\nContent-Length: {}\r\n\r\n", body.len());
    [
        ("by length", [len.as_bytes(), body].concat()),
        ("in chunks", chunked),
        ("in chunks of a byte", crumbs),
        ("until close", [b"HTTP/1.1 500 \r\n\r\n", body].concat()),
    ]
}

fn start(subprotocols: &[&str], config: &Arc<Config>) -> ClientHandshake {
    let request = subprotocols.iter().fold(
        ClientRequest::new("ws://server.example.com/chat").unwrap(),
        |request, subprotocol| request.subprotocol(subprotocol).unwrap(),
    );
    let mut output = SendBuffer::new();
    ClientHandshake::start(&request, Arc::clone(config), NONCE, &mut output)
}

fn written(request: &ClientRequest) -> Vec<u8> {
    let mut output = SendBuffer::new();
    ClientHandshake::start(request, defaults(), NONCE, &mut output);
    output.to_vec()
}

/// Feeds `bytes`, `step` at a time, until they are judged; returns what is behind the head, too.
fn feed(
    subprotocols: &[&str],
    config: &Arc<Config>,
    bytes: &[u8],
    step: usize,
) -> (Result<Option<UpgradeResponse>, HandshakeError>, Vec<u8>) {
    let mut client = start(subprotocols, config);
    feed_to(&mut client, bytes, step)
}

fn feed_to(
    client: &mut ClientHandshake,
    bytes: &[u8],
    step: usize,
) -> (Result<Option<UpgradeResponse>, HandshakeError>, Vec<u8>) {
    let mut input = RecvBuffer::new();
    assert!(matches!(client.receive(&mut input), Ok(None)));
    let mut fed = 0;
    let mut outcome = Ok(None);
    while fed < bytes.len() && matches!(outcome, Ok(None)) {
        let len = step.min(bytes.len() - fed);
        input.extend(&bytes[fed..fed + len]);
        fed += len;
        outcome = client.receive(&mut input);
    }
    (outcome, [input.unread(), &bytes[fed..]].concat())
}

/// Returns what becomes of `bytes`, which is the same however they come.
fn judge_within(
    subprotocols: &[&str],
    config: &Arc<Config>,
    bytes: &[u8],
) -> Result<Option<UpgradeResponse>, HandshakeError> {
    let (whole, behind) = feed(subprotocols, config, bytes, usize::MAX);
    let judged = format!("{whole:?}");
    for step in STEPS {
        let (outcome, behind_then) = feed(subprotocols, config, bytes, step);
        assert_eq!(format!("{outcome:?}"), judged, "in steps of {step}");
        if matches!(whole, Ok(Some(_))) {
            assert_eq!(behind_then, behind, "in steps of {step}");
        }
    }
    whole
}

fn judge(bytes: &[u8]) -> Result<Option<UpgradeResponse>, HandshakeError> {
    judge_within(&[], &defaults(), bytes)
}

fn accepted(subprotocols: &[&str], bytes: &[u8]) -> UpgradeResponse {
    match judge_within(subprotocols, &defaults(), bytes) {
        Ok(Some(response)) => response,
        outcome => panic!("{}\n{outcome:?}", bytes.escape_ascii()),
    }
}

fn is_refused(subprotocols: &[&str], bytes: &[u8], error: &HandshakeError) {
    match judge_within(subprotocols, &defaults(), bytes) {
        Err(judged) => assert_eq!(judged, *error, "{}", bytes.escape_ascii()),
        outcome => panic!("{}\n{outcome:?}", bytes.escape_ascii()),
    }
}

/// The refusal in an answer that says itself where it ends.
fn refused(bytes: &[u8]) -> RefusedResponse {
    match judge(bytes) {
        Err(HandshakeError::Refused(refused)) => *refused,
        outcome => panic!("{}\n{outcome:?}", bytes.escape_ascii()),
    }
}

/// Feeds `bytes` and closes the transport, unless they are judged before.
fn eof_outcome(
    subprotocols: &[&str],
    config: &Arc<Config>,
    bytes: &[u8],
    step: usize,
) -> HandshakeError {
    let mut client = start(subprotocols, config);
    match feed_to(&mut client, bytes, step).0 {
        Ok(None) => client.receive_eof(),
        Ok(Some(response)) => panic!("{response:?}"),
        Err(error) => error,
    }
}

fn refused_within(config: &Arc<Config>, bytes: &[u8]) -> RefusedResponse {
    let whole = eof_outcome(&[], config, bytes, usize::MAX);
    for step in STEPS {
        let outcome = eof_outcome(&[], config, bytes, step);
        assert_eq!(outcome, whole, "in steps of {step}");
    }
    match whole {
        HandshakeError::Refused(refused) => *refused,
        error => panic!("{}\n{error:?}", bytes.escape_ascii()),
    }
}

/// The refusal in an answer behind which the server closes.
fn refused_at_eof(bytes: &[u8]) -> RefusedResponse {
    refused_within(&defaults(), bytes)
}

/// The refusal in an answer behind which nothing comes.
fn refused_at_deadline(begin: Instant, bytes: &[u8]) -> RefusedResponse {
    let mut client = start(&[], &defaults());
    client.set_now(begin);
    let outcome = feed_to(&mut client, bytes, usize::MAX).0;
    assert!(matches!(outcome, Ok(None)), "{outcome:?}");
    match client.handle_timeout(begin + Duration::from_secs(10)) {
        Err(HandshakeError::Refused(refused)) => *refused,
        outcome => panic!("{outcome:?}"),
    }
}

/// Returns how many bytes must come until `bytes` are judged.
fn bytes_until_outcome_within(config: &Arc<Config>, bytes: &[u8]) -> usize {
    let (outcome, behind) = feed(&[], config, bytes, 1);
    assert!(!matches!(outcome, Ok(None)));
    let mut client = start(&[], config);
    let mut input = RecvBuffer::new();
    for (index, &byte) in bytes.iter().enumerate() {
        input.extend(&[byte]);
        if !matches!(client.receive(&mut input), Ok(None)) {
            return index + 1;
        }
    }
    bytes.len() - behind.len()
}

fn bytes_until_outcome(bytes: &[u8]) -> usize {
    bytes_until_outcome_within(&defaults(), bytes)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
