//! The server's side of the opening handshake: what a client may say, what it is answered, and
//! which rule a request is judged by first.
//!
//! Requests are written by hand, and each is fed whole and in pieces: how bytes come may change
//! nothing.
//!
//! RFC 6455, section 4.2; RFC 9110 and RFC 9112 for the HTTP around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, OriginPolicy, PlainRequest, Request, Response,
    ServerHandshake, UpgradeRequest,
};
use framewright::{
    Config, Connection, Event, HandshakeError, ProtocolError, RecvBuffer, SendBuffer, SendError,
};

// ---- 4.2.1: what a request must be ----

#[test]
fn the_example_of_section_1_3_is_answered_with_its_accept_key() {
    let request = judge(
        b"GET /chat HTTP/1.1\r\n\
          Host: server.example.com\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          Origin: http://example.com\r\n\
          Sec-WebSocket-Protocol: chat, superchat\r\n\
          Sec-WebSocket-Version: 13\r\n\
          \r\n",
    );
    let Ok(Some(Request::Upgrade(request))) = request else {
        panic!("{request:?}");
    };
    assert_eq!(request.resource_name(), "/chat");
    assert_eq!(request.host(), "server.example.com");
    assert_eq!(request.origin(), Some("http://example.com"));
    assert_eq!(
        request.subprotocols().collect::<Vec<_>>(),
        ["chat", "superchat"]
    );
    assert_eq!(
        written_by(|output| accept(request, Acceptance::new().subprotocol("chat"), output)),
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
          Sec-WebSocket-Protocol: chat\r\n\
          \r\n"
    );
}

#[test]
fn header_names_are_compared_without_case_and_values_without_the_white_space_around_them() {
    // RFC 9110, section 5.1: "Field names are case-insensitive"; RFC 9112, section 5.1: OWS around
    // a value is not part of it.
    let request = accepted(
        b"GET /chat HTTP/1.1\r\n\
          hOST:server.example.com\r\n\
          UPGRADE:\twebsocket \t \r\n\
          connection: \tUpgrade\t\r\n\
          SEC-WEBSOCKET-KEY:    dGhlIHNhbXBsZSBub25jZQ==   \r\n\
          sec-websocket-version:\t13\t\r\n\
          \r\n",
    );
    assert_eq!(request.host(), "server.example.com");
    assert_eq!(
        answer_to(request).header("Sec-WebSocket-Accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
}

#[test]
fn connection_is_a_list_of_tokens_compared_without_case() {
    // 4.2.1 item 4: "A |Connection| header field that includes the token "Upgrade", treated as an
    // ASCII case-insensitive value."
    let accepted_lines: [&[&str]; 12] = [
        &["Connection: Upgrade"],
        &["Connection: upgrade"],
        &["Connection: UPGRADE"],
        // Firefox.
        &["Connection: keep-alive, Upgrade"],
        &["Connection: Upgrade,keep-alive"],
        &["Connection: a,b\t,\tupGRADE ,c"],
        // RFC 9110, section 5.6.1: empty elements do not count.
        &["Connection: ,, Upgrade ,"],
        &["Connection:,Upgrade"],
        // RFC 9110, section 5.3: several lines are one list.
        &["Connection: keep-alive", "Connection: Upgrade"],
        &["Connection: Upgrade", "Connection: keep-alive"],
        &["Connection:", "connection: a, upgrade", "Connection: close"],
        &["Connection: Upgrade, Upgrade"],
    ];
    for lines in accepted_lines {
        accepted(&upgrade_with("Connection", lines));
    }
    let refused_lines: [&[&str]; 14] = [
        &[],
        &["Connection:"],
        &["Connection: ,"],
        &["Connection: close"],
        &["Connection: keep-alive"],
        &["Connection: notupgrade"],
        &["Connection: upgraded"],
        &["Connection: xupgrade, upgradex, pre-upgrade"],
        &["Connection: up", "Connection: grade"],
        &["Connection: up grade"],
        &["Connection: keep-alive; upgrade"],
        &["Connection: \"upgrade\""],
        &["Connection: upgrade=1"],
        &["X-Connection: Upgrade"],
    ];
    for lines in refused_lines {
        let request = upgrade_with("Connection", lines);
        is_refused(&request, &HandshakeError::ConnectionNotUpgrade, 400);
    }
}

#[test]
fn upgrade_is_a_list_of_tokens_compared_without_case() {
    // 4.2.1 item 3: "An |Upgrade| header field containing the value "websocket", treated as an
    // ASCII case-insensitive value." RFC 9110, section 7.8: it is a list, in order of preference.
    let accepted_lines: [&[&str]; 8] = [
        &["Upgrade: websocket"],
        &["Upgrade: WebSocket"],
        &["Upgrade: WEBSOCKET"],
        &["Upgrade: h2c, websocket"],
        &["Upgrade: websocket,h2c"],
        &["Upgrade: , ,websocket,"],
        &["Upgrade: h2c", "Upgrade: websocket"],
        &["Upgrade: websocket", "Upgrade: TLS/1.2"],
    ];
    for lines in accepted_lines {
        accepted(&upgrade_with("Upgrade", lines));
    }
    // Whoever asks for something else asks for no WebSocket: a plain request, answered with 426.
    let plain_lines: [&[&str]; 12] = [
        &[],
        &["Upgrade:"],
        &["Upgrade: ,"],
        &["Upgrade: h2c"],
        &["Upgrade: websockets"],
        &["Upgrade: xwebsocket"],
        &["Upgrade: web", "Upgrade: socket"],
        &["Upgrade: web socket"],
        // A protocol name with a version is another protocol.
        &["Upgrade: websocket/13"],
        &["Upgrade: websocket; v=13"],
        &["Upgrade: \"websocket\""],
        &["X-Upgrade: websocket"],
    ];
    for lines in plain_lines {
        plain(&upgrade_with("Upgrade", lines));
    }
}

#[test]
fn a_key_is_one_value_of_sixteen_bytes_in_base64() {
    // 4.2.1 item 5: "A |Sec-WebSocket-Key| header field with a base64-encoded [...] value that,
    // when decoded, is 16 bytes in length."
    for key in [
        "dGhlIHNhbXBsZSBub25jZQ==",
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "/////////////////////w==",
        "+/+/+/+/+/+/+/+/+/+/+w==",
    ] {
        let line = format!("Sec-WebSocket-Key: {key}");
        accepted(&upgrade_with("Sec-WebSocket-Key", &[&line]));
    }
    for key in [
        "",
        "=",
        "====",
        "dGhlIHNhbXBsZSBub25jZQ",    // without padding
        "dGhlIHNhbXBsZSBub25jZQ=",   // with half of it
        "dGhlIHNhbXBsZSBub25jZQ===", // with more than there is
        "AAAAAAAAAAAAAAAAAAAA",      // 15 bytes
        "AAAAAAAAAAAAAAAAAAAAAAA=",  // 17 bytes
        "AAAAAAAAAAAAAAAAAAAAAAAA",  // 18 bytes
        "____________________-w==",  // the URL alphabet
        "dGhlIHNhbXBsZSBub25jZ Q=",  // white space inside
        "dGhlIHNhbXBs\tZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ==,",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        "\"dGhlIHNhbXBsZSBub25jZQ==\"",
        "dGhlIHNhbXBsZSBub25jZQ==dGhl",
        "=dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25j====",
        "!!!!!!!!!!!!!!!!!!!!!!==",
        // Draft 76's, which was not base64.
        "4 @1  46546xW%0l 1 5",
    ] {
        let request = upgrade_with("Sec-WebSocket-Key", &[&format!("Sec-WebSocket-Key: {key}")]);
        is_refused(&request, &HandshakeError::KeyInvalid, 400);
    }
    let absent = upgrade_with("Sec-WebSocket-Key", &[]);
    is_refused(&absent, &HandshakeError::KeyInvalid, 400);
}

#[test]
fn a_key_that_is_repeated_is_refused_even_if_it_says_the_same() {
    // 11.3.1: "The |Sec-WebSocket-Key| header field MUST NOT appear more than once in an HTTP
    // request."
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    for other in [
        key,
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Key:",
    ] {
        let request = upgrade_with("Sec-WebSocket-Key", &[key, other]);
        is_refused(&request, &HandshakeError::KeyInvalid, 400);
        let request = upgrade_with("Sec-WebSocket-Key", &[other, key]);
        is_refused(&request, &HandshakeError::KeyInvalid, 400);
    }
}

#[test]
fn a_version_other_than_13_is_answered_with_the_version_that_is_spoken() {
    // 4.2.1 item 6: "A |Sec-WebSocket-Version| header field, with a value of 13." 4.4 and 4.2.2
    // item 4: the answer says which versions the server understands.
    let cases: [&[&str]; 21] = [
        &[],
        &["Sec-WebSocket-Version:"],
        &["Sec-WebSocket-Version: 8"],
        &["Sec-WebSocket-Version: 7"],
        &["Sec-WebSocket-Version: 0"],
        &["Sec-WebSocket-Version: 12"],
        &["Sec-WebSocket-Version: 14"],
        &["Sec-WebSocket-Version: 25"],
        &["Sec-WebSocket-Version: 013"],
        &["Sec-WebSocket-Version: +13"],
        &["Sec-WebSocket-Version: -13"],
        &["Sec-WebSocket-Version: 13.0"],
        &["Sec-WebSocket-Version: 0x0d"],
        &["Sec-WebSocket-Version: 1 3"],
        &["Sec-WebSocket-Version: \"13\""],
        // 13 in eight bits, and in 32.
        &["Sec-WebSocket-Version: 269"],
        &["Sec-WebSocket-Version: 4294967309"],
        // 11.3.5: in a request it is one value, and not repeated.
        &["Sec-WebSocket-Version: 13, 8"],
        &["Sec-WebSocket-Version: 8, 13"],
        &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"],
        &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"],
    ];
    for lines in cases {
        let request = upgrade_with("Sec-WebSocket-Version", lines);
        let answer = is_refused(&request, &HandshakeError::VersionUnsupported, 426);
        assert_eq!(answer.header("Sec-WebSocket-Version"), Some("13"));
        assert_eq!(answer.header("Upgrade"), Some("websocket"));
        // RFC 9110, section 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection
        // option".
        assert!(answer.has_connection_option("upgrade"));
    }
}

#[test]
fn an_upgrade_is_asked_for_with_get() {
    // 4.2.1 item 1: "An HTTP/1.1 or higher GET request". RFC 9110, section 9.1: "The method token
    // is case-sensitive".
    for method in [
        "POST",
        "PUT",
        "DELETE",
        "HEAD",
        "OPTIONS",
        "TRACE",
        "PATCH",
        "get",
        "Get",
        "GETS",
        "GE",
        "G",
        "PRI",
        "!#$%&'*+-.^_`|~",
    ] {
        let request = upgrade_asking(&format!("{method} /chat HTTP/1.1"));
        let answer = is_refused(&request, &HandshakeError::MethodNotGet, 405);
        // RFC 9110, section 15.5.6: "The origin server MUST generate an Allow header field".
        assert_eq!(answer.header("Allow"), Some("GET"));
    }
    // RFC 9110, section 9.3.6: the target of CONNECT has a form of its own.
    let request = upgrade_asking("CONNECT server.example.com:80 HTTP/1.1");
    is_refused(&request, &HandshakeError::MethodNotGet, 405);
}

#[test]
fn http_1_0_knows_no_upgrade() {
    // RFC 9110, section 7.8: "A server MUST ignore an Upgrade header field that is received in an
    // HTTP/1.0 request."
    for request_line in ["GET /chat HTTP/1.0", "POST /chat HTTP/1.0"] {
        let request = plain(&upgrade_asking(request_line));
        assert_eq!(request.target(), "/chat");
    }
    // What an upgrade would be refused for does not matter to a plain request.
    plain(b"GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n");
    plain(b"GET / HTTP/1.0\r\n\r\n");
    // RFC 9112, section 3.2: several Hosts are an error of any request.
    is_refused(
        b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        &HandshakeError::HostInvalid,
        400,
    );
}

#[test]
fn another_major_version_of_http_is_answered_with_505() {
    // RFC 9110, section 15.6.6.
    for version in ["HTTP/2.0", "HTTP/3.0", "HTTP/9.9", "HTTP/0.9", "HTTP/2"] {
        let request = upgrade_asking(&format!("GET /chat {version}"));
        is_refused(&request, &HandshakeError::HttpVersionUnsupported, 505);
    }
    // RFC 9113, section 3.4: the preface is made so that a server of HTTP/1 refuses it. Nothing of
    // it is read as a second request.
    is_refused(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        &HandshakeError::HttpVersionUnsupported,
        505,
    );
}

#[test]
fn what_is_no_http_version_is_malformed() {
    for request_line in [
        // Of HTTP/0.9.
        "GET /chat",
        "GET /chat ",
        "GET /chat HTTP",
        "GET /chat HTTP/",
        "GET /chat HTTP/1",
        "GET /chat HTTP/1.",
        "GET /chat HTTP/11",
        "GET /chat HTTP/1.10",
        "GET /chat HTTP/1.1.1",
        "GET /chat HTTP/1,1",
        "GET /chat HTTP/x.y",
        "GET /chat HTTP/01.1",
        "GET /chat http/1.1",
        "GET /chat HTTPS/1.1",
        "GET /chat ICY/1.1",
        "GET HTTP/1.1",
        "GET",
        "/chat HTTP/1.1",
        "G@T /chat HTTP/1.1",
        "GET /chät HTTP/1.1",
    ] {
        is_refused(
            &upgrade_asking(request_line),
            &HandshakeError::HeadMalformed,
            400,
        );
    }
}

#[test]
fn a_request_line_has_three_parts_and_one_space_between_them() {
    // RFC 9112, section 3. The version of these is one that is spoken, so 505 would be a lie.
    for request_line in [
        "GET /chat  HTTP/1.1",
        "GET  /chat HTTP/1.1",
        "GET\t/chat HTTP/1.1",
        "GET /chat\tHTTP/1.1",
        "GET /chat HTTP/1.1 ",
        "GET /chat HTTP/1.1 x",
        "GET /chat x HTTP/1.1",
        "GET /chat HTTP/1.1 HTTP/1.1",
    ] {
        is_refused(
            &upgrade_asking(request_line),
            &HandshakeError::HeadMalformed,
            400,
        );
    }
}

#[test]
fn what_is_not_text_fails_at_once() {
    let cases: [(&str, &[u8], usize); 6] = [
        // RFC 8446, section 5.1: a handshake record with a ClientHello.
        (
            "TLS",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\x5b\x11\xa8",
            1,
        ),
        ("NUL", b"\0", 1),
        ("SSLv2", b"\x80\x2e\x01\x03\x01", 3),
        ("an SMB greeting", b"\0\0\0\x85\xffSMB", 1),
        ("DEL", b"GE\x7f", 3),
        ("ESC", b"GET /\x1b[0m", 6),
    ];
    for (name, bytes, latest) in cases {
        is_refused(bytes, &HandshakeError::HeadMalformed, 400);
        assert!(bytes_until_refusal(bytes) <= latest, "{name}");
    }
    // A generator that is not random enough to be otherwise (xorshift), 64 bytes at a time.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..500 {
        let mut bytes = Vec::new();
        while bytes.len() < 64 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes.extend_from_slice(&seed.to_le_bytes());
        }
        // One byte in eight is a control character.
        is_refused(&bytes, &HandshakeError::HeadMalformed, 400);
    }
}

#[test]
fn a_request_line_with_a_byte_outside_ascii_fails_at_that_byte() {
    // RFC 9112, section 3: neither method nor target nor version has one, so there is nothing to
    // wait for. obs-text is for values only (RFC 9110, section 5.5).
    for (bytes, at) in [
        (&b"\xff\xfe\xfd\xfc"[..], 1),
        // Frames before the handshake, and half of an SSLv2 record.
        (&HELLO, 1),
        (b"\x89\x80\x80\x80\x80\x80", 1),
        (b"\x80\x2e", 1),
        (b"GET /ch\xc3\xa4t HTTP/1.1\r\n", 8),
    ] {
        is_refused(bytes, &HandshakeError::HeadMalformed, 400);
        assert_eq!(bytes_until_refusal(bytes), at, "{}", bytes.escape_ascii());
    }
}

// ---- Host and target ----

#[test]
fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
    for host in [
        "server.example.com",
        "SERVER.example.COM:80",
        "localhost:9001",
        "127.0.0.1",
        "127.0.0.1:65535",
        "[::1]",
        "[2001:db8::1]:8080",
        "xn--bcher-kva.example",
        "under_score.example",
        "example.com.",
        // RFC 3986, section 3.2.3: port = *DIGIT.
        "example.com:",
        // RFC 3986, section 3.2.2: a registered name may hold escapes and sub-delims.
        "a%20b",
        "a,b;c=d",
    ] {
        let request = accepted(&upgrade_with("Host", &[&format!("Host: {host}")]));
        assert_eq!(request.host(), host);
    }
}

#[test]
fn a_host_that_is_missing_repeated_or_malformed_is_refused() {
    // RFC 9112, section 3.2: "A server MUST respond with a 400 (Bad Request) status code".
    let cases: [&[&str]; 24] = [
        &[],
        &["X-Host: server.example.com"],
        &["Host: a.example", "Host: a.example"],
        &["Host: a.example", "host: b.example"],
        &["Host: a.example", "Host:"],
        &["Host: a b"],
        &["Host: a.example, b.example"],
        &["Host: user@a.example"],
        &["Host: user:password@a.example"],
        &["Host: a.example/path"],
        &["Host: a.example?query"],
        &["Host: a.example#fragment"],
        &["Host: http://a.example"],
        &["Host: a\\b"],
        &["Host: \"a\""],
        &["Host: <a>"],
        &["Host: bücher.example"],
        &["Host: a.example:8o"],
        &["Host: a.example:-1"],
        &["Host: a.example:+80"],
        &["Host: a.example:80:80"],
        &["Host: ::1"],
        &["Host: [::1"],
        &["Host: [::1]x"],
    ];
    for lines in cases {
        is_refused(
            &upgrade_with("Host", lines),
            &HandshakeError::HostInvalid,
            400,
        );
        // Any request of HTTP/1.1 is judged so, not only one for an upgrade.
        let mut plain = b"GET / HTTP/1.1\r\n".to_vec();
        for line in lines {
            plain.extend_from_slice(line.as_bytes());
            plain.extend_from_slice(b"\r\n");
        }
        plain.extend_from_slice(b"\r\n");
        is_refused(&plain, &HandshakeError::HostInvalid, 400);
    }
}

#[test]
fn a_host_with_stray_brackets_or_broken_escapes_is_refused() {
    // RFC 3986, section 3.2.2: brackets hold an address, and stand nowhere else; a percent sign is
    // followed by two hex digits.
    for host in [
        "a]b",
        "a[b",
        "[]",
        "[]:80",
        "[a.example]",
        "[::1]]",
        "[[::1]]",
        "[1:2]",
        "%",
        "a%2",
        "a%zz",
    ] {
        is_refused(
            &upgrade_with("Host", &[&format!("Host: {host}")]),
            &HandshakeError::HostInvalid,
            400,
        );
    }
}

#[test]
fn a_host_that_is_empty_names_no_server() {
    // 4.2.1 item 2: "A |Host| header field containing the server's authority." RFC 9110, section
    // 4.2.1: a recipient of an http URI with an empty host "MUST reject it as invalid".
    for host in ["", " ", ":", ":80"] {
        is_refused(
            &upgrade_with("Host", &[&format!("Host: {host}")]),
            &HandshakeError::HostInvalid,
            400,
        );
    }
}

#[test]
fn the_resource_name_is_the_path_and_the_query() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/chat", "/chat", None),
        ("/chat?", "/chat", Some("")),
        ("/chat?room=1&x=%20", "/chat", Some("room=1&x=%20")),
        ("/?a?b/c", "/", Some("a?b/c")),
        ("//double/slash", "//double/slash", None),
        ("/a/../b/./c", "/a/../b/./c", None),
        ("/x?u=http://y/z", "/x", Some("u=http://y/z")),
        ("/http://y/z", "/http://y/z", None),
        (
            "/~a:b@c!d$e&f'g(h)i*j+k,l;m=n",
            "/~a:b@c!d$e&f'g(h)i*j+k,l;m=n",
            None,
        ),
    ] {
        let request = accepted(&upgrade_asking(&format!("GET {target} HTTP/1.1")));
        assert_eq!(request.resource_name(), target);
        assert_eq!(request.path(), path, "{target}");
        assert_eq!(request.query(), query, "{target}");
        assert_eq!(request.host(), "server.example.com", "{target}");
    }
}

#[test]
fn a_target_in_absolute_form_is_accepted_and_its_authority_overrides_host() {
    // 4.2.1 item 1: "(or an absolute HTTP/HTTPS URI containing the /resource name/)". RFC 9112,
    // section 3.2.2: "a server MUST accept the absolute-form in requests", and "MUST ignore the
    // received Host header field (if any) and instead use the host information of the
    // request-target."
    for (target, host, resource_name) in [
        ("http://a.example/chat?x=1", "a.example", "/chat?x=1"),
        ("https://a.example:8443/chat", "a.example:8443", "/chat"),
        ("HTTP://a.example", "a.example", "/"),
        ("http://[::1]:80/", "[::1]:80", "/"),
        (
            "http://a.example/x?u=http://b.example/y",
            "a.example",
            "/x?u=http://b.example/y",
        ),
        ("http://a.example//x", "a.example", "//x"),
    ] {
        let request = accepted(&upgrade_asking(&format!("GET {target} HTTP/1.1")));
        assert_eq!(request.host(), host, "{target}");
        assert_eq!(request.resource_name(), resource_name, "{target}");
    }
    // The Host is still due (RFC 9112, section 3.2.2).
    is_refused(
        b"GET http://a.example/ HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        &HandshakeError::HostInvalid,
        400,
    );
}

#[test]
fn an_absolute_target_may_have_a_query_without_a_path() {
    // RFC 9110, section 4.2.1: http-URI = "http" "://" authority path-abempty [ "?" query ]. 3: the
    // resource name begins with "/" if the path component is empty.
    let request = accepted(&upgrade_asking("GET http://a.example?x=1/2 HTTP/1.1"));
    assert_eq!(request.host(), "a.example");
    assert_eq!(request.resource_name(), "/?x=1/2");
}

#[test]
fn a_target_that_names_no_resource_is_refused() {
    for target in [
        "*",
        "a.example:80",
        "a.example",
        "chat",
        "chat/x",
        "?x=1",
        "..",
        "http:",
        "http:/chat",
        "http:chat",
        // 3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be
        // used". RFC 9112, section 3.2: no form of a target has one.
        "/chat#top",
        "/#",
        "#",
        "http://a.example/chat#top",
        "http://a.example/#",
    ] {
        is_refused(
            &upgrade_asking(&format!("GET {target} HTTP/1.1")),
            &HandshakeError::TargetInvalid,
            400,
        );
    }
}

#[test]
fn an_absolute_target_with_a_malformed_authority_is_refused() {
    for target in [
        "http://user@a.example/",
        "http://a.example:8o/",
        "http://[::1/",
        "http://a\\b/",
    ] {
        answers_400(&upgrade_asking(&format!("GET {target} HTTP/1.1")));
    }
}

#[test]
fn an_absolute_target_without_a_host_is_refused() {
    // RFC 9110, section 4.2.1: "A recipient that processes such a URI reference MUST reject it as
    // invalid."
    for target in ["http:///chat", "http://", "http://:80/chat", "https://?x"] {
        answers_400(&upgrade_asking(&format!("GET {target} HTTP/1.1")));
    }
}

#[test]
fn an_absolute_target_begins_with_a_scheme_of_http() {
    // 4.2.1 item 1: "an absolute HTTP/HTTPS URI". What only holds "://" somewhere is no URI, and
    // whoever takes its tail for the path disagrees with every proxy in front.
    for target in [
        "://a.example/chat",
        "ftp://a.example/chat",
        "file://a.example/chat",
        "httpx://a.example/chat",
        "1http://a.example/chat",
        "*://a.example/chat",
        "?x://a.example/chat",
        "x/y://a.example/chat",
        "a.example:80/x://b.example/chat",
        "mailto:a@b?://c/chat",
    ] {
        answers_400(&upgrade_asking(&format!("GET {target} HTTP/1.1")));
    }
}

// ---- The body, and what stands behind the head ----

#[test]
fn an_upgrade_request_has_no_body() {
    // RFC 9110, section 7.8: a request is read whole before the protocol switches. What one reader
    // takes for the body another takes for frames, so there is none.
    let cases: [&[&str]; 15] = [
        &["Content-Length: 5"],
        &["Content-Length: 1"],
        &["content-length: 18446744073709551616"],
        &["Content-Length: 00"],
        &["Content-Length: +0"],
        &["Content-Length: -0"],
        &["Content-Length: 0x0"],
        &["Content-Length:"],
        &["Content-Length: five"],
        &["Content-Length: 0, 5"],
        &["Content-Length: 0", "Content-Length: 5"],
        &["Transfer-Encoding: chunked"],
        &["Transfer-Encoding: identity"],
        &["Transfer-Encoding:"],
        &["Content-Length: 0", "transfer-encoding: gzip, chunked"],
    ];
    for lines in cases {
        is_refused(&upgrade_and(lines), &HandshakeError::BodyUnexpected, 400);
    }
    let mut with_body = upgrade_and(&["Content-Length: 5"]);
    with_body.extend_from_slice(b"hello");
    is_refused(&with_body, &HandshakeError::BodyUnexpected, 400);
}

#[test]
fn a_body_of_no_bytes_is_none() {
    accepted(&upgrade_and(&["Content-Length: 0"]));
    accepted(&upgrade_and(&["Content-Length: \t0 "]));
}

#[test]
fn bytes_behind_the_head_are_the_first_frames_wherever_reads_end() {
    // 5.7: "A single-frame masked text message (contains "Hello")", and two more behind it.
    let frames = [&HELLO[..], b"\x89\x80\0\0\0\0", b"\x88\x82\0\0\0\0\x03\xe8"].concat();
    let bytes = [&upgrade()[..], &frames].concat();
    for split in 0..=bytes.len() {
        let (first, second) = bytes.split_at(split);
        let mut handshake = ServerHandshake::new(defaults());
        let mut input = RecvBuffer::from(first);
        let request = match handshake.receive(&mut input) {
            Ok(None) => {
                assert!(split < bytes.len() - frames.len());
                input.extend(second);
                handshake.receive(&mut input)
            }
            outcome => {
                assert_eq!(input.unread(), &bytes[upgrade().len()..split]);
                input.extend(second);
                outcome
            }
        };
        let Ok(Some(Request::Upgrade(request))) = request else {
            panic!("split at {split}: {request:?}");
        };
        assert_eq!(input.unread(), frames, "split at {split}");
        let mut output = SendBuffer::new();
        let mut connection = accept(request, Acceptance::new(), &mut output);
        assert!(matches!(
            connection.receive(&mut input, &mut output),
            Ok(Some(Event::Text("Hello")))
        ));
        assert!(matches!(
            connection.receive(&mut input, &mut output),
            Ok(Some(Event::Ping(b"")))
        ));
        assert!(matches!(
            connection.receive(&mut input, &mut output),
            Ok(Some(Event::Close(Some(_))))
        ));
    }
}

#[test]
fn a_second_request_behind_the_first_is_a_bad_frame() {
    // Not a request: else an attacker behind a proxy answers for others.
    let bytes = [upgrade(), upgrade()].concat();
    let mut handshake = ServerHandshake::new(defaults());
    let mut input = RecvBuffer::from(&bytes[..]);
    let Ok(Some(Request::Upgrade(request))) = handshake.receive(&mut input) else {
        panic!("the first is well formed");
    };
    let mut output = SendBuffer::new();
    let mut connection = accept(request, Acceptance::new(), &mut output);
    let answer_len = output.len();
    // "G" is 0b0100_0111: RSV1 of an opcode that is reserved.
    let error = connection.receive(&mut input, &mut output).unwrap_err();
    assert!(matches!(
        error,
        ProtocolError::ReservedBitSet | ProtocolError::ReservedOpcode(7)
    ));
    let close = &output.to_vec()[answer_len..];
    assert_eq!(close[0], 0x88, "one 101, and a Close frame");
    assert_eq!(close[2..4], 1002_u16.to_be_bytes());
}

#[test]
fn a_plain_request_is_handed_back_with_everything_in_it() {
    let bytes = b"POST /health?deep=1 HTTP/1.1\r\n\
                  Host: a.example\r\n\
                  X-Twice: one\r\n\
                  Content-Length: 5\r\n\
                  x-twice:  two \r\n\
                  X-Bytes: \xff\xfe\r\n\
                  X-Empty:\r\n\
                  \r\n\
                  hello";
    for step in STEPS {
        let (outcome, unread) = feed(&defaults(), bytes, step);
        let Ok(Some(Request::Plain(request))) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(request.method(), "POST");
        assert_eq!(request.target(), "/health?deep=1");
        assert_eq!(
            request.headers().iter().collect::<Vec<_>>(),
            [
                ("Host", &b"a.example"[..]),
                ("X-Twice", b"one"),
                ("Content-Length", b"5"),
                ("x-twice", b"two"),
                ("X-Bytes", b"\xff\xfe"),
                ("X-Empty", b""),
            ]
        );
        assert_eq!(request.headers().first("X-TWICE"), Some(&b"one"[..]));
        assert_eq!(request.headers().single("X-TWICE"), None);
        assert_eq!(request.headers().values("x-twice").count(), 2);
        assert_eq!(unread, b"hello", "the body is in the input");
    }
}

#[test]
fn any_method_and_target_make_a_plain_request() {
    for (line, method, target) in [
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*"),
        ("CONNECT a.example:443 HTTP/1.1", "CONNECT", "a.example:443"),
        ("DELETE /x HTTP/1.1", "DELETE", "/x"),
        ("get /x HTTP/1.1", "get", "/x"),
        (
            "GET http://a.example/x HTTP/1.1",
            "GET",
            "http://a.example/x",
        ),
    ] {
        let request = plain(format!("{line}\r\nHost: h\r\n\r\n").as_bytes());
        assert_eq!(request.method(), method);
        assert_eq!(request.target(), target);
    }
}

#[test]
fn a_head_request_gets_no_body() {
    // RFC 9110, section 9.3.2: "the server MUST NOT send content in the response" to HEAD; the
    // Content-Length is that of the body which GET would get.
    let response = Response::new(200).unwrap().body("well\n");
    let request = plain(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    let bytes = written_by(|output| request.respond(&response, output));
    assert!(bytes.ends_with(b"\r\n\r\n"), "{}", bytes.escape_ascii());
    assert!(contains(&bytes, b"Content-Length: 5\r\n"));
    let request = plain(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = Answer::parse(&written_by(|output| request.respond(&response, output)));
    assert_eq!(answer.body, b"well\n");
}

#[test]
fn an_error_that_a_head_request_can_earn_is_answered_without_a_body() {
    // Likewise, and whoever answers an error need not know the method.
    for request in [
        upgrade_asking("HEAD /chat HTTP/1.1"),
        request("HEAD / HTTP/1.1", &["Host: a", "Host: b"]),
        request("HEAD / HTTP/1.1", &[]),
    ] {
        let error = judge(&request).unwrap_err();
        let answer = Answer::to_error(&error);
        assert_eq!(answer.body, b"", "{error:?}");
        assert_eq!(answer.header("Content-Type"), None, "{error:?}");
    }
    assert_eq!(Answer::to_error(&HandshakeError::NotAnUpgrade).body, b"");
}

#[test]
fn a_plain_request_is_told_what_is_served_here() {
    let request = plain(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = Answer::parse(&written_by(|output| request.refuse(output)));
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("Upgrade"), Some("websocket"));
    assert!(answer.has_connection_option("upgrade"));
    assert!(answer.has_connection_option("close"));
    assert_eq!(
        answer.body,
        b"request does not ask for an upgrade to websocket\n"
    );
    // To HEAD the same, but for the body.
    let request = plain(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    let bytes = written_by(|output| request.refuse(output));
    assert!(bytes.starts_with(b"HTTP/1.1 426 "));
    assert!(bytes.ends_with(b"\r\n\r\n"), "{}", bytes.escape_ascii());
    let len = format!("Content-Length: {}\r\n", answer.body.len());
    assert!(contains(&bytes, len.as_bytes()));
}

// ---- The syntax of heads ----

#[test]
fn lines_end_in_crlf_and_nothing_else() {
    // RFC 9112, section 2.2: a bare CR is invalid, and a bare LF one that "MAY" be recognised: what
    // one reader takes for a line's end and another does not is how requests are smuggled.
    let whole = String::from_utf8(upgrade()).unwrap();
    let line_ends = whole.matches("\r\n").count();
    for index in 0..line_ends {
        let at = whole.match_indices("\r\n").nth(index).unwrap().0;
        for instead in ["\n", "\r", "\r\r\n", "\n\r", "\r\0\n", "\r \n"] {
            let bytes = [&whole[..at], instead, &whole[at + 2..]].concat();
            let error = HandshakeError::HeadMalformed;
            // The last CR may wait for its LF.
            if index == line_ends - 1 && instead == "\r" {
                assert!(matches!(judge(bytes.as_bytes()), Ok(None)));
            } else {
                is_refused(bytes.as_bytes(), &error, 400);
            }
        }
    }
}

#[test]
fn a_line_is_not_folded() {
    // RFC 9112, section 5.2: "A server that receives an obs-fold in a request message that is not
    // within a "message/http" container MUST either reject the message [...] or replace each".
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        b"GET / HTTP/1.1\r\n\tHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n \r\n\r\n",
        b" GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\r\n GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        is_refused(bytes, &HandshakeError::HeadMalformed, 400);
        assert!(bytes_until_refusal(bytes) < bytes.len(), "at once");
    }
}

#[test]
fn one_empty_line_may_come_before_the_request() {
    // RFC 9112, section 2.2: "a server that is expecting to receive and parse a request-line SHOULD
    // ignore at least one empty line (CRLF) received prior to the request-line."
    accepted(&[b"\r\n", &upgrade()[..]].concat());
    for before in [
        &b"\r\n\r\n"[..],
        b"\n",
        b"\r",
        b"\r\n\n",
        b"\n\r\n",
        b"\r\n\r\n\r\n",
    ] {
        is_refused(
            &[before, &upgrade()].concat(),
            &HandshakeError::HeadMalformed,
            400,
        );
    }
}

#[test]
fn a_header_line_is_a_token_a_colon_and_a_value() {
    // RFC 9112, section 5.1: "No whitespace is allowed between the field name and colon. [...] A
    // server MUST reject, with a response status code of 400 (Bad Request), any received request
    // message that contains whitespace between a header field name and colon."
    for line in [
        &b"X-Name : value"[..],
        b"X-Name\t: value",
        b"Content-Length : 5",
        b"no colon",
        b"nocolon",
        b": value",
        b":",
        b"X Name: value",
        b"X(Name): value",
        b"X\"Name\": value",
        b"X/Name: value",
        b"X{Name}: value",
        b"X@Name: value",
        b"X[Name]: value",
        b"X\\Name: value",
        b"X\xe9: value",
        b"X\0: value",
        b"X: val\0ue",
        b"X: val\x01ue",
        b"X: val\x0bue",
        b"X: val\x7fue",
        b"X: val\rue",
        b"X: \x1b[0m",
    ] {
        let mut bytes = upgrade();
        bytes.truncate(bytes.len() - 2);
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\r\n\r\n");
        is_refused(&bytes, &HandshakeError::HeadMalformed, 400);
    }
}

#[test]
fn a_value_may_hold_tabs_and_bytes_outside_ascii() {
    // RFC 9110, section 5.5: field-content and obs-text.
    let mut bytes = upgrade();
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(b"X-Value: a\tb \"c\" \x80\xff:\r\n\r\n");
    let request = accepted(&bytes);
    assert_eq!(
        request.headers().single("x-value"),
        Some(&b"a\tb \"c\" \x80\xff:"[..])
    );
}

#[test]
fn a_list_may_be_spread_over_several_lines() {
    // RFC 9110, section 5.6.1: "A recipient MUST parse and ignore a reasonable number of empty list
    // elements".
    let request = accepted(&upgrade_and(&[
        "X-List: a,, b ,",
        "X-Other: x",
        "x-list:\tc",
    ]));
    let elements: Vec<_> = request.headers().list("X-LIST").collect();
    assert_eq!(elements, [b"a", b"b", b"c"]);
    assert_eq!(request.headers().list("X-None").count(), 0);
}

#[test]
fn a_head_that_is_not_whole_is_waited_for() {
    let whole = upgrade();
    for len in 0..whole.len() {
        let outcome = judge(&whole[..len]);
        assert!(matches!(outcome, Ok(None)), "{len}: {outcome:?}");
    }
}

#[test]
fn a_request_that_failed_is_not_accepted_when_more_bytes_come() {
    // What comes behind a request that was refused is a request of its own only to a proxy that an
    // attacker misleads; a caller that goes on must not be misled with it.
    let bare_line_feed = b"GET /chat HTTP/1.1\n".to_vec();
    for refused in [
        bare_line_feed,
        upgrade_with("Sec-WebSocket-Key", &[]),
        upgrade_with("Host", &[]),
        upgrade_asking("POST /chat HTTP/1.1"),
    ] {
        let mut handshake = ServerHandshake::new(defaults());
        let mut input = RecvBuffer::from(&refused[..]);
        let error = handshake.receive(&mut input).unwrap_err();
        input.extend(&upgrade());
        for _ in 0..3 {
            match handshake.receive(&mut input) {
                Err(again) => assert_eq!(again, error),
                Ok(outcome) => panic!("after {error:?}: {outcome:?}"),
            }
        }
    }
}

// ---- The order of judgement ----

#[test]
fn a_request_with_several_faults_is_answered_for_the_first_rule() {
    // The order: the head; the HTTP version; Host; whether it asks for the upgrade; then method,
    // target, Connection, key, version, body, subprotocols and extensions.
    let expected = [
        (HandshakeError::HeadMalformed, 400),
        (HandshakeError::HostInvalid, 400),
        (HandshakeError::NotAnUpgrade, 426),
        (HandshakeError::MethodNotGet, 405),
        (HandshakeError::TargetInvalid, 400),
        (HandshakeError::ConnectionNotUpgrade, 400),
        (HandshakeError::KeyInvalid, 400),
        (HandshakeError::VersionUnsupported, 426),
        (HandshakeError::BodyUnexpected, 400),
        (HandshakeError::SubprotocolsInvalid, 400),
        (HandshakeError::ExtensionsInvalid, 400),
    ];
    // A request with all faults from the one of this index on.
    let request_from = |first: usize| {
        let faulty = |index: usize| first <= index;
        let line = |index: usize, bad: &'static str, good: &'static str| {
            if faulty(index) { bad } else { good }
        };
        [
            line(3, "POST ", "GET "),
            line(4, "*", "/chat"),
            " HTTP/1.1\r\n",
            line(0, "no colon\r\n", ""),
            line(1, "", "Host: h\r\n"),
            line(2, "", "Upgrade: websocket\r\n"),
            line(5, "", "Connection: Upgrade\r\n"),
            line(6, "", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
            line(7, "", "Sec-WebSocket-Version: 13\r\n"),
            line(8, "Content-Length: 5\r\n", ""),
            line(9, "Sec-WebSocket-Protocol: a, a\r\n", ""),
            line(10, "Sec-WebSocket-Extensions: ;\r\n", ""),
            "\r\n",
        ]
        .concat()
    };
    for (first, (error, status)) in expected.iter().enumerate() {
        let request = request_from(first);
        if *error == HandshakeError::NotAnUpgrade {
            plain(request.as_bytes());
        } else {
            is_refused(request.as_bytes(), error, *status);
        }
    }
    accepted(request_from(expected.len()).as_bytes());
}

#[test]
fn the_http_version_is_judged_before_host_and_method() {
    for request in [
        "GET / HTTP/2.0\r\n\r\n",
        "POST * HTTP/2.0\r\nHost: a\r\nHost: b\r\n\r\n",
    ] {
        let error = HandshakeError::HttpVersionUnsupported;
        is_refused(request.as_bytes(), &error, 505);
    }
}

#[test]
fn a_malformed_head_is_judged_before_its_http_version() {
    for line in ["X: a\rb", "X: a\0b", " folded", "no colon", "X : a"] {
        is_refused(
            format!("GET / HTTP/2.0\r\nHost: h\r\n{line}\r\n\r\n").as_bytes(),
            &HandshakeError::HeadMalformed,
            400,
        );
    }
}

#[test]
fn limits_are_judged_before_what_the_head_says() {
    let mut long = vec![b'a'; 9000];
    long.extend_from_slice(b" not http at all");
    is_refused(&long, &HandshakeError::RequestLineTooLong, 414);
    let many = format!("POST * HTTP/2.0\r\n{}\r\n", "a: b\r\n".repeat(101));
    is_refused(many.as_bytes(), &HandshakeError::TooManyHeaders, 431);
    let long = format!("POST * HTTP/2.0\r\nX: {}\r\n\r\n", "a".repeat(17_000));
    is_refused(long.as_bytes(), &HandshakeError::HeadTooLong, 431);
}

// ---- Limits, from below and from above ----

#[test]
fn a_head_has_at_most_max_head_len_bytes() {
    let default_len = Config::default().max_head_len;
    for max_head_len in [default_len, 1000, upgrade().len()] {
        let config = config(|config| config.max_head_len = max_head_len);
        let within = padded_upgrade(max_head_len);
        assert_eq!(within.len(), max_head_len);
        let outcome = judge_within(&config, &within);
        assert!(matches!(outcome, Ok(Some(Request::Upgrade(_)))));
        // What stands behind the head is not part of it.
        let outcome = judge_within(&config, &[&within[..], &HELLO].concat());
        assert!(matches!(outcome, Ok(Some(Request::Upgrade(_)))));
    }
    for max_head_len in [default_len, 1000, upgrade().len() - 1, 1, 0] {
        let config = config(|config| config.max_head_len = max_head_len);
        let beyond = padded_upgrade((max_head_len + 1).max(upgrade().len()));
        let error = judge_within(&config, &beyond).unwrap_err();
        assert_eq!(error, HandshakeError::HeadTooLong);
        assert_eq!(
            bytes_until_refusal_within(&config, &beyond),
            max_head_len + 1
        );
    }
    assert_eq!(HandshakeError::HeadTooLong.status(), Some(431));
}

#[test]
fn a_request_line_has_at_most_max_request_line_len_bytes() {
    let request = |line_len: usize| {
        let target_len = line_len - "GET / HTTP/1.1".len();
        upgrade_asking(&format!("GET /{} HTTP/1.1", "a".repeat(target_len)))
    };
    for max in [Config::default().max_request_line_len, 100, 14] {
        let config = config(|config| config.max_request_line_len = max);
        for before in [&b""[..], b"\r\n"] {
            let outcome = judge_within(&config, &[before, &request(max)].concat());
            assert!(matches!(outcome, Ok(Some(Request::Upgrade(_)))));
            let beyond = [before, &request(max + 1)].concat();
            let error = judge_within(&config, &beyond).unwrap_err();
            assert_eq!(error, HandshakeError::RequestLineTooLong);
            assert_eq!(
                bytes_until_refusal_within(&config, &beyond),
                before.len() + max + 1
            );
        }
    }
    assert_eq!(HandshakeError::RequestLineTooLong.status(), Some(414));
}

#[test]
fn a_head_has_at_most_max_headers_lines() {
    let own = upgrade().windows(2).filter(|pair| pair == b"\r\n").count() - 2;
    for max in [Config::default().max_headers, 10, own] {
        let config = config(|config| config.max_headers = max);
        let outcome = judge_within(&config, &upgrade_and(&vec!["x: y"; max - own]));
        assert!(matches!(outcome, Ok(Some(Request::Upgrade(_)))));
        let error = judge_within(&config, &upgrade_and(&vec!["x: y"; max - own + 1])).unwrap_err();
        assert_eq!(error, HandshakeError::TooManyHeaders);
    }
    assert_eq!(HandshakeError::TooManyHeaders.status(), Some(431));
    let none = config(|config| config.max_headers = 0);
    let outcome = judge_within(&none, b"GET / HTTP/1.0\r\n\r\n");
    assert!(matches!(outcome, Ok(Some(Request::Plain(_)))));
}

#[test]
fn a_head_without_an_end_is_refused_at_the_limit() {
    let config = Config::default();
    let endless = |beginning: &str, piece: &str| {
        let mut bytes = beginning.as_bytes().to_vec();
        while bytes.len() < 64 << 10 {
            bytes.extend_from_slice(piece.as_bytes());
        }
        bytes
    };
    let start = "GET / HTTP/1.1\r\n";
    let cases = [
        ("", "a", 414, config.max_request_line_len + 1),
        ("GET /", "a", 414, config.max_request_line_len + 1),
        ("GET /", " ", 414, config.max_request_line_len + 1),
        ("\r\nGET /", "a", 414, config.max_request_line_len + 3),
        ("GET / HTTP/1.1\r\n", "a", 431, config.max_head_len + 1),
        ("GET / HTTP/1.1\r\nx: ", "y", 431, config.max_head_len + 1),
        ("GET / HTTP/1.1\r\nx: ", " ", 431, config.max_head_len + 1),
        (start, "x: y\r\n", 431, start.len() + 101 * 6),
    ];
    for (beginning, piece, status, at) in cases {
        let bytes = endless(beginning, piece);
        let error = judge(&bytes).unwrap_err();
        assert_eq!(error.status(), Some(status), "{beginning:?} {piece:?}");
        assert_eq!(bytes_until_refusal(&bytes), at, "{beginning:?} {piece:?}");
        // One read that brings the byte beyond, and not a byte more, is refused as well.
        let outcome = feed(&defaults(), &bytes[..at], usize::MAX).0;
        assert_eq!(outcome.unwrap_err(), error, "{beginning:?} {piece:?}");
    }
}

#[test]
fn each_byte_of_a_head_is_looked_at_once() {
    // CVE-2023-43669: a head that is parsed anew at each read costs the square of its length. Here
    // that would be hours.
    let config = config(|config| config.max_head_len = 2 << 20);
    let bytes = padded_upgrade(1 << 20);
    let (outcome, _) = feed(&config, &bytes, 1);
    assert!(matches!(outcome, Ok(Some(Request::Upgrade(_)))));
}

#[test]
fn a_client_offers_at_most_64_subprotocols() {
    let offer = |range: std::ops::Range<usize>| {
        let names: Vec<_> = range.map(|index| format!("p{index}")).collect();
        format!("Sec-WebSocket-Protocol: {}", names.join(", "))
    };
    let request = accepted(&upgrade_and(&[&offer(0..64)]));
    assert_eq!(request.subprotocols().count(), 64);
    let request = accepted(&upgrade_and(&[&offer(0..32), &offer(32..64)]));
    assert_eq!(request.subprotocols().last(), Some("p63"));
    let error = HandshakeError::SubprotocolsInvalid;
    is_refused(&upgrade_and(&[&offer(0..65)]), &error, 400);
    is_refused(&upgrade_and(&[&offer(0..32), &offer(32..65)]), &error, 400);
    // Thousands, within the limit of the head.
    is_refused(&upgrade_and(&[&offer(0..2000)]), &error, 400);
    // Empty elements do not count, and cost nothing.
    let commas = format!("Sec-WebSocket-Protocol: {}x, ", ", ".repeat(5000));
    let request = accepted(&upgrade_and(&[&commas]));
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn a_client_makes_at_most_16_extension_offers() {
    let offer = |count: usize| {
        let offers = vec!["x-a; b=\"c\"; d"; count];
        format!("Sec-WebSocket-Extensions: {}", offers.join(", "))
    };
    let request = accepted(&upgrade_and(&[&offer(16)]));
    assert_eq!(request.extensions().len(), 16);
    accepted(&upgrade_and(&[&offer(8), &offer(8)]));
    let error = HandshakeError::ExtensionsInvalid;
    is_refused(&upgrade_and(&[&offer(17)]), &error, 400);
    is_refused(&upgrade_and(&[&offer(8), &offer(9)]), &error, 400);
}

// ---- Subprotocols and extensions ----

#[test]
fn subprotocols_are_distinct_tokens_in_order_of_preference() {
    let request = accepted(&upgrade_and(&[
        "Sec-WebSocket-Protocol: v2.chat, ,v1.chat,",
        "X-Between: y",
        "sec-websocket-protocol:\tV1.chat",
    ]));
    assert_eq!(
        request.subprotocols().collect::<Vec<_>>(),
        ["v2.chat", "v1.chat", "V1.chat"]
    );
    assert_eq!(accepted(&upgrade()).subprotocols().count(), 0);
    // 4.1 item 10: "MUST be non-empty strings with characters in the range U+0021 to U+007E not
    // including separator characters [...] and MUST all be unique strings."
    let cases: [&[&str]; 12] = [
        &["Sec-WebSocket-Protocol: a, a"],
        &["Sec-WebSocket-Protocol: a, b, a"],
        &["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"],
        &["Sec-WebSocket-Protocol: a b"],
        &["Sec-WebSocket-Protocol: a/b"],
        &["Sec-WebSocket-Protocol: a;b"],
        &["Sec-WebSocket-Protocol: a=b"],
        &["Sec-WebSocket-Protocol: \"a\""],
        &["Sec-WebSocket-Protocol: \"a, b\""],
        &["Sec-WebSocket-Protocol: (a)"],
        &["Sec-WebSocket-Protocol: é"],
        &[
            "Sec-WebSocket-Protocol: a",
            "Sec-WebSocket-Protocol: b, {c}",
        ],
    ];
    for lines in cases {
        let error = HandshakeError::SubprotocolsInvalid;
        is_refused(&upgrade_and(lines), &error, 400);
    }
}

#[test]
fn a_server_chooses_one_of_the_subprotocols_that_were_offered_or_none() {
    // 4.2.2 item 4: "Either a single value representing the subprotocol the server is ready to use
    // or null. The value chosen MUST be derived from the client's handshake".
    let request = || accepted(&upgrade_and(&["Sec-WebSocket-Protocol: chat, superchat"]));
    for subprotocol in ["chat", "superchat"] {
        let answer = Answer::parse(&written_by(|output| {
            accept(
                request(),
                Acceptance::new().subprotocol(subprotocol),
                output,
            )
        }));
        assert_eq!(answer.headers("Sec-WebSocket-Protocol"), [subprotocol]);
    }
    assert_eq!(
        answer_to(request()).headers("Sec-WebSocket-Protocol"),
        [""; 0]
    );
    for subprotocol in [
        "chatter",
        "Chat",
        "cha",
        "",
        "chat, superchat",
        "chat\r\nX: y",
    ] {
        let acceptance = Acceptance::new().subprotocol(subprotocol);
        is_not_sent(
            request(),
            acceptance.clone(),
            SendError::SubprotocolNotOffered,
        );
        is_not_sent(
            accepted(&upgrade()),
            acceptance,
            SendError::SubprotocolNotOffered,
        );
    }
}

#[test]
fn extension_offers_are_parsed_and_none_is_accepted() {
    // 9.1. An extension that the server does not know is not an error: it is not in the answer.
    let request = accepted(&upgrade_and(&[
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "Sec-WebSocket-Extensions: , foo;a=\"1\\0\" , bar",
    ]));
    let offers = request.extensions();
    assert_eq!(
        offers.iter().map(|offer| &*offer.name).collect::<Vec<_>>(),
        ["permessage-deflate", "foo", "bar"]
    );
    assert_eq!(
        offers[0].params,
        [("client_max_window_bits".to_owned(), None)]
    );
    assert_eq!(offers[1].params, [("a".to_owned(), Some("10".to_owned()))]);
    assert_eq!(answer_to(request).header("Sec-WebSocket-Extensions"), None);
}

#[test]
fn extension_offers_that_do_not_follow_the_grammar_are_refused() {
    let long = format!("a; b=\"{}", "\\\"".repeat(2000));
    for value in [
        ";",
        "a;",
        "a b",
        "a; =",
        "a; b=",
        "a; b=\"",
        "a; b=\"\"",
        "a; b=\"x y\"",
        "a; b=\"x\\",
        "a; b=\"x\"y",
        "a=b",
        "\"a\"",
        "a; b=c=d",
        "a; ;b",
        "é",
        "a, b;",
        // CVE-2020-7662: an unclosed string that cost a regex the power of its length.
        &long,
    ] {
        is_refused(
            &upgrade_and(&[&format!("Sec-WebSocket-Extensions: {value}")]),
            &HandshakeError::ExtensionsInvalid,
            400,
        );
    }
}

// ---- Answers of the application ----

#[test]
fn header_lines_of_the_application_follow_those_of_the_handshake_in_order() {
    let acceptance = Acceptance::new()
        .header("Set-Cookie", "a=1; HttpOnly")
        .header("set-cookie", "b=2")
        .header("X-Bytes", b"\t \x80\xff a\tb ")
        .header("X-Empty", "");
    assert_eq!(
        written_by(|output| accept(accepted(&upgrade()), acceptance, output)),
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
          Set-Cookie: a=1; HttpOnly\r\n\
          set-cookie: b=2\r\n\
          X-Bytes: \x80\xff a\tb\r\n\
          X-Empty: \r\n\
          \r\n"
    );
}

#[test]
fn header_lines_that_would_split_the_answer_are_not_written() {
    // RFC 9112, section 11.1: response splitting.
    for name in BAD_NAMES {
        let acceptance = Acceptance::new().header(name, "value");
        is_not_sent(
            accepted(&upgrade()),
            acceptance,
            SendError::HeaderNameInvalid,
        );
        let response = Response::new(403).unwrap().header(name, "value");
        assert_eq!(response.unwrap_err(), SendError::HeaderNameInvalid);
    }
    for value in BAD_VALUES {
        let acceptance = Acceptance::new()
            .header("X-Good", "value")
            .header("X-Name", value)
            .header("X-Good", "value");
        is_not_sent(
            accepted(&upgrade()),
            acceptance,
            SendError::HeaderValueInvalid,
        );
        let response = Response::new(403).unwrap().header("X-Name", value);
        assert_eq!(response.unwrap_err(), SendError::HeaderValueInvalid);
    }
}

#[test]
fn header_lines_of_the_handshake_are_not_the_applications() {
    for name in [
        "Connection",
        "CONTENT-LENGTH",
        "content-length",
        "Sec-WebSocket-Accept",
        "sec-websocket-accept",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Key",
        "SEC-WebSocket-Protocol",
        "Sec-WebSocket-Version",
        "Trailer",
        "Transfer-Encoding",
        "upgrade",
    ] {
        let acceptance = Acceptance::new().header(name, "x");
        is_not_sent(accepted(&upgrade()), acceptance, SendError::HeaderReserved);
    }
    for name in ["Connection", "content-LENGTH", "Transfer-Encoding"] {
        let response = Response::new(200).unwrap().header(name, "x");
        assert_eq!(response.unwrap_err(), SendError::HeaderReserved);
    }
}

#[test]
fn a_rejection_has_any_final_status() {
    for status in 200..=599 {
        let response = Response::new(status).unwrap().body("why\n");
        assert_eq!(response.status(), status);
        let request = accepted_once(&upgrade());
        let answer = Answer::parse(&written_by(|output| request.reject(&response, output)));
        assert_eq!(answer.status, status);
        assert!(answer.has_connection_option("close"));
        match status {
            // RFC 9110, sections 8.6, 15.3.5 and 15.4.5: no content, and no length of it.
            204 | 304 => {
                assert_eq!(answer.header("Content-Length"), None);
                assert_eq!(answer.body, b"");
            }
            // RFC 9110, section 15.3.6: "a server MUST NOT generate content in a 205 response"; it
            // may say that its length is 0.
            205 => {}
            _ => {
                assert_eq!(answer.header("Content-Length"), Some("4"));
                assert_eq!(answer.body, b"why\n");
            }
        }
    }
    for status in [0, 1, 99, 100, 101, 103, 199, 600, 999, 1101, u16::MAX] {
        assert_eq!(
            Response::new(status).unwrap_err(),
            SendError::StatusInvalid,
            "{status}"
        );
    }
}

#[test]
fn a_status_has_the_phrase_that_is_registered_for_it() {
    for (status, phrase) in [
        (200, "OK"),
        (204, "No Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (408, "Request Timeout"),
        (414, "URI Too Long"),
        (426, "Upgrade Required"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (505, "HTTP Version Not Supported"),
        // RFC 9112, section 4: one that is not known here goes without.
        (418, ""),
    ] {
        let request = accepted_once(&upgrade());
        let response = Response::new(status).unwrap();
        let answer = written_by(|output| request.reject(&response, output));
        let line = format!("HTTP/1.1 {status} {phrase}\r\n");
        assert!(answer.starts_with(line.as_bytes()), "{line:?}");
    }
}

#[test]
fn a_205_answer_has_no_body() {
    let response = Response::new(205).unwrap().body("why\n");
    let request = accepted(&upgrade());
    let answer = Answer::parse(&written_by(|output| request.reject(&response, output)));
    // RFC 9110, section 15.3.6.
    assert_eq!(answer.body, b"");
}

#[test]
fn a_rejection_is_written_exactly() {
    let response = Response::new(401)
        .unwrap()
        .header("WWW-Authenticate", "Bearer")
        .unwrap()
        .header("X-Two", " words here ")
        .unwrap()
        .body(&b"\r\n\r\nHTTP/1.1 101\0\xff"[..]);
    let request = accepted(&upgrade());
    assert_eq!(
        written_by(|output| request.reject(&response, output)),
        b"HTTP/1.1 401 Unauthorized\r\n\
          Connection: close\r\n\
          WWW-Authenticate: Bearer\r\n\
          X-Two: words here\r\n\
          Content-Length: 18\r\n\
          \r\n\
          \r\n\r\nHTTP/1.1 101\0\xff"
    );
    // RFC 9112, section 4: the space stays where there is no reason phrase.
    let response = Response::new(599).unwrap();
    let request = accepted(&upgrade());
    assert_eq!(
        written_by(|output| request.reject(&response, output)),
        b"HTTP/1.1 599 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn an_answer_with_upgrade_names_it_in_connection_too() {
    // RFC 9110, section 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option in
    // the Connection header field". An application may write a 426 of its own so, and cannot set
    // Connection.
    let response = Response::new(426)
        .unwrap()
        .header("Upgrade", "websocket")
        .unwrap();
    let request = plain(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = Answer::parse(&written_by(|output| request.respond(&response, output)));
    assert!(answer.has_connection_option("close"));
    assert!(answer.has_connection_option("upgrade"));
}

// ---- Origins, cookies ----

#[test]
fn the_same_origin_is_the_host_and_the_port_that_were_asked() {
    // 10.2, and RFC 6454, section 5.
    for (host, origin) in [
        ("example.com", "http://example.com"),
        ("example.com", "https://example.com"),
        ("EXAMPLE.com", "http://example.COM"),
        ("example.com", "HTTP://EXAMPLE.COM"),
        // Default ports.
        ("example.com:80", "http://example.com"),
        ("example.com", "http://example.com:80"),
        ("example.com:443", "https://example.com"),
        ("example.com", "https://example.com:443"),
        ("example.com:8080", "http://example.com:8080"),
        ("example.com:8080", "https://example.com:8080"),
        ("[::1]", "http://[::1]"),
        ("[2001:DB8::1]:9001", "http://[2001:db8::1]:9001"),
        ("[::1]:443", "https://[::1]"),
        ("127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("localhost", "http://localhost"),
    ] {
        let request = from_origin(host, &[origin]);
        assert_eq!(request.origin(), Some(origin));
        assert!(
            request.origin_is_allowed(&OriginPolicy::SameOrigin),
            "{origin} at {host}"
        );
    }
    for (host, origin) in [
        ("example.com", "http://example.com.evil.org"),
        ("example.com", "http://evilexample.com"),
        ("example.com", "http://evil.org"),
        ("example.com", "http://sub.example.com"),
        ("sub.example.com", "http://example.com"),
        ("example.com", "http://example.co"),
        ("example.com", "http://example.com:8080"),
        ("example.com:8080", "http://example.com"),
        ("example.com:80", "https://example.com"),
        ("example.com:443", "http://example.com"),
        ("example.com", "http://example.com:443"),
        ("example.com", "http://example.com@evil.org"),
        ("example.com", "http://evil.org@example.com"),
        ("example.com", "http://evil.org/example.com"),
        ("example.com", "http://evil.org?example.com"),
        ("example.com", "http://evil.org#example.com"),
        ("example.com", "http://evil.org\\example.com"),
        ("example.com", "http://example.com/"),
        ("example.com", "http://example.com:"),
        ("example.com", "http://example.com:080x"),
        ("example.com", "http://example.com:65616"),
        ("example.com", "http://example.com http://evil.org"),
        ("example.com", "http://evil.org http://example.com"),
        ("example.com", "http://example.com, http://evil.org"),
        ("example.com", "example.com"),
        ("example.com", "//example.com"),
        ("example.com", "http:example.com"),
        ("example.com", "://example.com"),
        ("example.com", "null"),
        ("null", "null"),
        ("example.com", "file://"),
        ("example.com", ""),
        ("[::1]", "http://::1"),
        ("[::1]", "http://[::1"),
        // Of no scheme with a port that is known.
        ("example.com", "chrome-extension://example.com"),
    ] {
        let request = from_origin(host, &[origin]);
        assert!(
            !request.origin_is_allowed(&OriginPolicy::SameOrigin),
            "{origin} at {host}"
        );
        assert!(request.origin_is_allowed(&OriginPolicy::Any));
    }
}

#[test]
fn an_origin_with_more_behind_its_address_is_another_one() {
    let policy = OriginPolicy::any_of(["http://[::1]"]).unwrap();
    for origin in ["http://[::1].evil.org", "http://[::1]x", "http://[::1]]"] {
        let request = from_origin("[::1]", &[origin]);
        assert!(!request.origin_is_allowed(&OriginPolicy::SameOrigin));
        assert!(!request.origin_is_allowed(&policy), "{origin}");
        assert_eq!(
            OriginPolicy::any_of([origin]).unwrap_err(),
            SendError::OriginInvalid
        );
    }
}

#[test]
fn the_authority_of_an_absolute_target_is_what_an_origin_is_compared_with() {
    let request = accepted(&upgrade_asking_and(
        "GET http://a.example/ HTTP/1.1",
        &["Origin: http://a.example"],
    ));
    assert!(request.origin_is_allowed(&OriginPolicy::SameOrigin));
    let request = accepted(&upgrade_asking_and(
        "GET http://a.example/ HTTP/1.1",
        &["Origin: http://server.example.com"],
    ));
    assert!(!request.origin_is_allowed(&OriginPolicy::SameOrigin));
}

#[test]
fn a_client_without_an_origin_is_not_a_browser() {
    // 10.2: "Servers that are not intended to process input from any web page [...] SHOULD verify
    // the |Origin| field"; a client that is no browser sends none.
    let request = accepted(&upgrade());
    assert_eq!(request.origin(), None);
    let list = OriginPolicy::any_of(["https://example.com"]).unwrap();
    let nobody = OriginPolicy::any_of([]).unwrap();
    for policy in [OriginPolicy::SameOrigin, OriginPolicy::Any, list, nobody] {
        assert!(request.origin_is_allowed(&policy), "{policy:?}");
    }
    assert_eq!(OriginPolicy::default(), OriginPolicy::SameOrigin);
}

#[test]
fn two_origins_are_none_that_a_policy_allows() {
    let origin = "http://example.com";
    let list = OriginPolicy::any_of([origin]).unwrap();
    for origins in [[origin, origin], [origin, "http://evil.org"], ["", origin]] {
        let request = from_origin("example.com", &origins);
        assert!(!request.origin_is_allowed(&OriginPolicy::SameOrigin));
        assert!(!request.origin_is_allowed(&list));
        assert!(request.origin_is_allowed(&OriginPolicy::Any));
    }
}

#[test]
fn a_list_of_origins_is_compared_exactly() {
    let policy = OriginPolicy::any_of([
        "https://example.com",
        "http://localhost:8080",
        "http://[::1]:9001",
        "chrome-extension://abcdefgh",
    ])
    .unwrap();
    for origin in [
        "https://example.com",
        "HTTPS://EXAMPLE.com",
        "https://example.com:443",
        "http://localhost:8080",
        "http://[::1]:9001",
        "chrome-extension://abcdefgh",
    ] {
        let request = from_origin("elsewhere.example", &[origin]);
        assert!(request.origin_is_allowed(&policy), "{origin}");
    }
    for origin in [
        "http://example.com",
        "https://example.com:8443",
        "https://sub.example.com",
        "https://example.com.evil.org",
        "https://evil.org",
        "https://xexample.com",
        "https://example.com.",
        "http://localhost",
        "http://localhost:80801",
        "http://[::1]",
        "chrome-extension://abcdefg",
        "moz-extension://abcdefgh",
        "null",
        "",
        // Of the same host, which this policy does not ask about.
        "https://elsewhere.example",
    ] {
        let request = from_origin("elsewhere.example", &[origin]);
        assert!(!request.origin_is_allowed(&policy), "{origin}");
    }
}

#[test]
fn an_origin_in_a_policy_is_a_scheme_and_a_host_and_perhaps_a_port() {
    for origin in [
        "",
        "null",
        "*",
        "example.com",
        "https://",
        "https://example.com/",
        "https://example.com/path",
        "https://*",
        "https://*.example.com",
        "https://user@example.com",
        "https://example.com:",
        "https://example.com:x",
        "https://example.com:65536",
        "https://[::1",
        "https://exa mple.com",
        "ht tp://example.com",
        // RFC 3986, section 3.1: a scheme begins with a letter.
        "1http://example.com",
        "-://example.com",
        "https://example.com:+443",
        "https://bücher.example",
        "https://example.com\r\n",
    ] {
        assert_eq!(
            OriginPolicy::any_of(["https://example.com", origin]).unwrap_err(),
            SendError::OriginInvalid,
            "{origin:?}"
        );
    }
}

#[test]
fn a_forbidden_origin_is_answered_with_403() {
    // 4.2.2 item 4: "send an appropriate HTTP error code (e.g., 403 Forbidden)".
    let answer = Answer::to_error(&HandshakeError::OriginForbidden);
    assert_eq!(answer.status, 403);
}

#[test]
fn cookies_are_found_by_name() {
    // RFC 6265, section 5.4; several lines are what a proxy may make of one (RFC 9113, section
    // 8.2.3).
    let request = accepted(&upgrade_and(&[
        "Cookie: session=abc=def==; theme=dark;empty=; spaced = x ",
        "cookie: second=2; theme=light; flag",
    ]));
    for (name, value) in [
        ("session", Some("abc=def==")),
        ("theme", Some("dark")),
        ("empty", Some("")),
        ("spaced", Some("x")),
        ("second", Some("2")),
        ("flag", None),
        ("Session", None),
        ("sess", None),
        ("", None),
        ("absent", None),
    ] {
        assert_eq!(request.cookie(name), value, "{name}");
    }
    assert_eq!(accepted(&upgrade()).cookie("session"), None);
}

// ---- Deadlines ----

#[test]
fn the_deadline_is_absolute_and_no_byte_extends_it() {
    let start = Instant::now();
    let mut handshake = ServerHandshake::new(defaults());
    assert_eq!(handshake.next_deadline(), None, "nobody told the time");
    handshake.set_now(start);
    let deadline = start + Duration::from_secs(10);
    assert_eq!(handshake.next_deadline(), Some(deadline));
    let mut input = RecvBuffer::new();
    // A head in drips, one byte each 100 ms.
    for (index, byte) in upgrade().into_iter().take(99).enumerate() {
        let now = start + Duration::from_millis(100) * u32::try_from(index).unwrap();
        handshake.set_now(now);
        assert_eq!(handshake.handle_timeout(now), Ok(()));
        input.extend(&[byte]);
        assert!(matches!(handshake.receive(&mut input), Ok(None)));
        assert_eq!(handshake.next_deadline(), Some(deadline));
    }
    let just_before = deadline - Duration::from_nanos(1);
    assert_eq!(handshake.handle_timeout(just_before), Ok(()));
    for now in [deadline, deadline + Duration::from_secs(100)] {
        assert_eq!(handshake.handle_timeout(now), Err(HandshakeError::TimedOut));
    }
    assert_eq!(Answer::to_error(&HandshakeError::TimedOut).status, 408);
}

#[test]
fn the_deadline_is_the_configs() {
    let start = Instant::now();
    for timeout in [
        Some(Duration::ZERO),
        Some(Duration::from_millis(1)),
        Some(Duration::from_secs(3600)),
        // More than a clock can say is no deadline, and no panic.
        Some(Duration::MAX),
        None,
    ] {
        let config = config(|config| config.handshake_timeout = timeout);
        let mut handshake = ServerHandshake::new(config);
        // The first time that is told starts the clock, whichever call tells it.
        let first = handshake.handle_timeout(start);
        assert_eq!(first.is_err(), timeout == Some(Duration::ZERO));
        let deadline = timeout.and_then(|timeout| start.checked_add(timeout));
        assert_eq!(handshake.next_deadline(), deadline);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(
            handshake.handle_timeout(much_later).is_err(),
            deadline.is_some()
        );
    }
}

#[test]
fn a_request_that_is_late_is_not_accepted() {
    // It was answered with 408, and two answers to one request are one too many.
    let start = Instant::now();
    let mut handshake = ServerHandshake::new(defaults());
    handshake.set_now(start);
    let mut input = RecvBuffer::from(&upgrade()[..20]);
    assert!(matches!(handshake.receive(&mut input), Ok(None)));
    let late = start + Duration::from_secs(10);
    assert_eq!(
        handshake.handle_timeout(late),
        Err(HandshakeError::TimedOut)
    );
    input.extend(&upgrade()[20..]);
    match handshake.receive(&mut input) {
        Err(error) => assert_eq!(error, HandshakeError::TimedOut),
        Ok(outcome) => panic!("{outcome:?}"),
    }
}

// ---- Answers to errors ----

#[test]
fn every_error_of_a_client_has_an_answer_that_closes_the_connection() {
    // RFC 9112, section 9.6: a proxy that took the upgrade for granted must not go on.
    let cases = [
        (HandshakeError::HeadMalformed, 400),
        (HandshakeError::HostInvalid, 400),
        (HandshakeError::TargetInvalid, 400),
        (HandshakeError::BodyUnexpected, 400),
        (HandshakeError::ConnectionNotUpgrade, 400),
        (HandshakeError::KeyInvalid, 400),
        (HandshakeError::SubprotocolsInvalid, 400),
        (HandshakeError::ExtensionsInvalid, 400),
        (HandshakeError::OriginForbidden, 403),
        (HandshakeError::MethodNotGet, 405),
        (HandshakeError::TimedOut, 408),
        (HandshakeError::RequestLineTooLong, 414),
        (HandshakeError::NotAnUpgrade, 426),
        (HandshakeError::VersionUnsupported, 426),
        (HandshakeError::HeadTooLong, 431),
        (HandshakeError::TooManyHeaders, 431),
        (HandshakeError::HttpVersionUnsupported, 505),
    ];
    for (error, status) in cases {
        assert_eq!(error.status(), Some(status));
        let answer = Answer::to_error(&error);
        assert_eq!(answer.status, status);
        assert!(answer.has_connection_option("close"), "{error:?}");
        assert_eq!(
            answer.header("Content-Length"),
            Some(&*answer.body.len().to_string()),
            "{error:?}"
        );
        // A HEAD request can earn these, and its answer has no body.
        if matches!(
            error,
            HandshakeError::MethodNotGet
                | HandshakeError::NotAnUpgrade
                | HandshakeError::HostInvalid
        ) {
            assert_eq!(answer.body, b"");
        } else {
            assert!(
                answer
                    .header("Content-Type")
                    .unwrap()
                    .starts_with("text/plain")
            );
            assert_eq!(answer.body, format!("{error}\n").as_bytes());
        }
        // Where the method is known, each says why.
        assert_eq!(error.response().unwrap().status(), status);
        assert_eq!(
            answer.header("Upgrade").is_some(),
            answer.has_connection_option("upgrade"),
            "{error:?}"
        );
        // RFC 9110, section 15.5.22: "The server MUST send an Upgrade header field in a 426".
        assert_eq!(answer.header("Upgrade").is_some(), status == 426);
        let is_version = error == HandshakeError::VersionUnsupported;
        assert_eq!(answer.header("Sec-WebSocket-Version").is_some(), is_version);
        // What is in the output already stays.
        let mut output = SendBuffer::new();
        error.respond(&mut output);
        let once = output.to_vec();
        error.respond(&mut output);
        assert_eq!(output.to_vec(), [&once[..], &once].concat());
    }
}

#[test]
fn errors_that_no_client_makes_have_no_answer() {
    let refused = {
        let request = ClientRequest::new("ws://h/").unwrap();
        let mut client =
            ClientHandshake::start(&request, defaults(), [0; 16], &mut SendBuffer::new());
        client
            .receive(&mut RecvBuffer::from(&b"HTTP/1.1 204 \r\n\r\n"[..]))
            .unwrap_err()
    };
    assert!(matches!(refused, HandshakeError::Refused(_)));
    for error in [
        refused,
        HandshakeError::UpgradeMismatch,
        HandshakeError::AcceptMismatch,
        HandshakeError::ExtensionNotOffered,
        HandshakeError::SubprotocolNotOffered,
        HandshakeError::TooManyInterimResponses,
        HandshakeError::LocationInvalid,
        HandshakeError::RedirectInsecure,
        HandshakeError::ProxySpokeFirst,
        HandshakeError::ProxyTimedOut,
        HandshakeError::EndOfStream,
    ] {
        assert_eq!(error.status(), None, "{error:?}");
        assert_eq!(error.response(), None, "{error:?}");
        assert_eq!(written_by(|output| error.respond(output)), b"", "{error:?}");
    }
}

#[test]
fn nothing_that_a_client_says_is_repeated_to_it() {
    // Not even to a client that is a browser led here by an attacker.
    const MARK: &str = "M4RK";
    let requests = [
        upgrade_asking("M4RK /chat HTTP/1.1"),
        upgrade_asking("GET M4RK HTTP/1.1"),
        upgrade_asking("GET /M4RK HTTP/2.0"),
        upgrade_asking("GET /chat M4RK/1.1"),
        upgrade_with("Host", &["Host: <M4RK>"]),
        upgrade_with("Connection", &["Connection: M4RK"]),
        upgrade_with("Sec-WebSocket-Key", &["Sec-WebSocket-Key: M4RK"]),
        upgrade_with("Sec-WebSocket-Version", &["Sec-WebSocket-Version: M4RK"]),
        upgrade_and(&["Sec-WebSocket-Protocol: M4RK, M4RK"]),
        upgrade_and(&["Sec-WebSocket-Extensions: M4RK;"]),
        upgrade_and(&["Content-Length: M4RK"]),
        upgrade_and(&["M4RK"]),
        upgrade_asking(&format!("GET /{} HTTP/1.1", MARK.repeat(3000))),
        upgrade_and(&[&format!("X: {}", MARK.repeat(5000))]),
    ];
    for request in requests {
        let error = judge(&request).unwrap_err();
        let answer = written_by(|output| error.respond(output));
        assert!(!answer.is_empty());
        assert!(!contains(&answer, MARK.as_bytes()));
        assert!(!error.to_string().contains(MARK));
    }
    let request = accepted(&upgrade_asking_and(
        "GET /M4RK?M4RK HTTP/1.1",
        &[
            "Origin: http://M4RK",
            "Cookie: M4RK=M4RK",
            "X-M4RK: M4RK",
            "Sec-WebSocket-Protocol: M4RK",
            "Sec-WebSocket-Extensions: M4RK; M4RK=M4RK",
        ],
    ));
    let answer = written_by(|output| accept(request, Acceptance::new(), output));
    assert!(!contains(&answer, MARK.as_bytes()));
}

// ---- The rig ----

/// How many bytes come at a time.
const STEPS: [usize; 6] = [usize::MAX, 1, 2, 3, 7, 13];

/// 5.7: "A single-frame masked text message (contains "Hello")".
const HELLO: [u8; 11] = [
    0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
];

const BAD_NAMES: [&str; 14] = [
    "",
    " ",
    "X Name",
    " X-Name",
    "X-Name ",
    "X-Name:",
    "X:Name",
    "X-Name\r\nX-Other",
    "X\rName",
    "X\nName",
    "X\0Name",
    "X\tName",
    "X(Name)",
    "X-Näme",
];

const BAD_VALUES: [&str; 11] = [
    "\r\n",
    "value\r\nX-Other: value",
    "value\r\n\r\nbody",
    "value\r",
    "value\n",
    "\rvalue",
    "\nvalue",
    "val\0ue",
    "val\x01ue",
    "val\x1bue",
    "val\x7fue",
];

fn defaults() -> Arc<Config> {
    Arc::new(Config::default())
}

fn config(change: impl FnOnce(&mut Config)) -> Arc<Config> {
    let mut config = Config::default();
    change(&mut config);
    Arc::new(config)
}

const UPGRADE_LINES: [&str; 5] = [
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

fn request(request_line: &str, lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in [&[request_line], lines, &[""]].concat() {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The shortest request that section 4.2.1 lets a client make.
fn upgrade() -> Vec<u8> {
    request("GET /chat HTTP/1.1", &UPGRADE_LINES)
}

/// The same, with another request line.
fn upgrade_asking(request_line: &str) -> Vec<u8> {
    request(request_line, &UPGRADE_LINES)
}

/// The same, with more lines.
fn upgrade_and(lines: &[&str]) -> Vec<u8> {
    upgrade_asking_and("GET /chat HTTP/1.1", lines)
}

fn upgrade_asking_and(request_line: &str, lines: &[&str]) -> Vec<u8> {
    request(request_line, &[&UPGRADE_LINES, lines].concat())
}

/// The same, with other lines in the place of that of `name`.
fn upgrade_with(name: &str, lines: &[&str]) -> Vec<u8> {
    let mut all = Vec::new();
    for line in UPGRADE_LINES {
        if line.split(':').next() == Some(name) {
            all.extend_from_slice(lines);
        } else {
            all.push(line);
        }
    }
    request("GET /chat HTTP/1.1", &all)
}

/// The same, with a line that makes the head this long.
fn padded_upgrade(len: usize) -> Vec<u8> {
    match len - upgrade().len() {
        0 => upgrade(),
        missing @ 1..=4 => {
            let path = "x".repeat(missing);
            upgrade_asking(&format!("GET /chat{path} HTTP/1.1"))
        }
        missing => upgrade_and(&[&format!("x: {}", "y".repeat(missing - 5))]),
    }
}

fn from_origin(host: &str, origins: &[&str]) -> UpgradeRequest {
    let mut lines = UPGRADE_LINES.to_vec();
    let host = format!("Host: {host}");
    lines[0] = &host;
    let origins: Vec<_> = origins
        .iter()
        .map(|origin| format!("Origin: {origin}"))
        .collect();
    lines.extend(origins.iter().map(|origin| &**origin));
    accepted(&request("GET /chat HTTP/1.1", &lines))
}

/// Feeds `bytes`, `step` at a time, until they are judged; returns what is behind the head, too.
fn feed(
    config: &Arc<Config>,
    bytes: &[u8],
    step: usize,
) -> (Result<Option<Request>, HandshakeError>, Vec<u8>) {
    let mut handshake = ServerHandshake::new(Arc::clone(config));
    let mut input = RecvBuffer::new();
    assert!(matches!(handshake.receive(&mut input), Ok(None)));
    let mut fed = 0;
    let mut outcome = Ok(None);
    while fed < bytes.len() && matches!(outcome, Ok(None)) {
        let len = step.min(bytes.len() - fed);
        input.extend(&bytes[fed..fed + len]);
        fed += len;
        outcome = handshake.receive(&mut input);
    }
    let behind = [input.unread(), &bytes[fed..]].concat();
    (outcome, behind)
}

/// Returns what becomes of `bytes`, which is the same however they come.
fn judge_within(config: &Arc<Config>, bytes: &[u8]) -> Result<Option<Request>, HandshakeError> {
    let (whole, behind) = feed(config, bytes, usize::MAX);
    let judged = format!("{whole:?}");
    for step in STEPS {
        let (outcome, behind_then) = feed(config, bytes, step);
        assert_eq!(format!("{outcome:?}"), judged, "in steps of {step}");
        if whole.is_ok() {
            assert_eq!(behind_then, behind, "in steps of {step}");
        }
    }
    whole
}

fn judge(bytes: &[u8]) -> Result<Option<Request>, HandshakeError> {
    judge_within(&defaults(), bytes)
}

fn accepted(bytes: &[u8]) -> UpgradeRequest {
    match judge(bytes) {
        Ok(Some(Request::Upgrade(request))) => request,
        outcome => panic!("{}\n{outcome:?}", bytes.escape_ascii()),
    }
}

/// Without the other steps, for a request that is judged very often.
fn accepted_once(bytes: &[u8]) -> UpgradeRequest {
    match feed(&defaults(), bytes, usize::MAX).0 {
        Ok(Some(Request::Upgrade(request))) => request,
        outcome => panic!("{}\n{outcome:?}", bytes.escape_ascii()),
    }
}

/// What is not an upgrade has 426 for a default answer.
fn plain(bytes: &[u8]) -> PlainRequest {
    match judge(bytes) {
        Ok(Some(Request::Plain(request))) => {
            assert_eq!(Answer::to_error(&HandshakeError::NotAnUpgrade).status, 426);
            request
        }
        outcome => panic!("{}\n{outcome:?}", bytes.escape_ascii()),
    }
}

fn is_refused(bytes: &[u8], error: &HandshakeError, status: u16) -> Answer {
    match judge(bytes) {
        Err(judged) => assert_eq!(judged, *error, "{}", bytes.escape_ascii()),
        outcome => panic!("{}\n{outcome:?}", bytes.escape_ascii()),
    }
    let answer = Answer::to_error(error);
    assert_eq!(answer.status, status);
    answer
}

/// Where it matters that a request is refused, and not under which name.
fn answers_400(bytes: &[u8]) {
    match judge(bytes) {
        Err(error) => assert_eq!(error.status(), Some(400), "{}", bytes.escape_ascii()),
        outcome => panic!("{}\n{outcome:?}", bytes.escape_ascii()),
    }
}

/// Returns how many bytes must come until `bytes` are refused.
fn bytes_until_refusal_within(config: &Arc<Config>, bytes: &[u8]) -> usize {
    let mut handshake = ServerHandshake::new(Arc::clone(config));
    let mut input = RecvBuffer::new();
    for (index, &byte) in bytes.iter().enumerate() {
        input.extend(&[byte]);
        if handshake.receive(&mut input).is_err() {
            return index + 1;
        }
    }
    usize::MAX
}

fn bytes_until_refusal(bytes: &[u8]) -> usize {
    bytes_until_refusal_within(&defaults(), bytes)
}

fn accept(
    request: UpgradeRequest,
    acceptance: Acceptance<'_>,
    output: &mut SendBuffer,
) -> Connection {
    request.accept(acceptance, defaults(), output).unwrap()
}

fn answer_to(request: UpgradeRequest) -> Answer {
    Answer::parse(&written_by(|output| {
        accept(request, Acceptance::new(), output)
    }))
}

/// The error of an acceptance that cannot be written, of which nothing is appended.
fn is_not_sent(request: UpgradeRequest, acceptance: Acceptance<'_>, error: SendError) {
    let mut output = SendBuffer::new();
    HandshakeError::KeyInvalid.respond(&mut output);
    let before = output.to_vec();
    let refused = request
        .accept(acceptance, defaults(), &mut output)
        .unwrap_err();
    assert_eq!(refused, error);
    assert_eq!(output.to_vec(), before);
}

fn written_by<T>(write: impl FnOnce(&mut SendBuffer) -> T) -> Vec<u8> {
    let mut output = SendBuffer::new();
    write(&mut output);
    output.to_vec()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// An answer, read as strictly as one can (RFC 9112, sections 2 to 6).
#[derive(Debug)]
struct Answer {
    status: u16,
    lines: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Answer {
    fn to_error(error: &HandshakeError) -> Self {
        let answer = Self::parse(&written_by(|output| error.respond(output)));
        assert_eq!(Some(answer.status), error.status());
        answer
    }

    fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("a head ends in an empty line");
        let (head, body) = (&bytes[..end + 2], &bytes[end + 4..]);
        let mut lines = head.split_inclusive(|&byte| byte == b'\n').map(|line| {
            let line = line.strip_suffix(b"\r\n").expect("a line ends in CRLF");
            assert!(
                !line
                    .iter()
                    .any(|byte| matches!(byte, 0..=8 | 10..=31 | 127))
            );
            line
        });
        let status_line = lines.next().expect("a head has a first line");
        let status_line = std::str::from_utf8(status_line).unwrap();
        let (status, _) = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split_once(' '))
            .expect("the space is there even without a reason phrase");
        assert_eq!(status.len(), 3);
        let lines: Vec<_> = lines
            .map(|line| {
                let colon = line.iter().position(|&byte| byte == b':').unwrap();
                let name = std::str::from_utf8(&line[..colon]).unwrap();
                (name.to_owned(), line[colon + 1..].trim_ascii().to_vec())
            })
            .collect();
        let answer = Self {
            status: status.parse().unwrap(),
            lines,
            body: body.to_vec(),
        };
        for name in ["Connection", "Content-Length", "Upgrade"] {
            assert!(answer.headers(name).len() <= 1, "{name}");
        }
        if let Some(len) = answer.header("Content-Length") {
            assert_eq!(len, body.len().to_string());
        } else {
            assert_eq!(body, b"");
        }
        answer
    }

    fn headers(&self, name: &str) -> Vec<&str> {
        self.lines
            .iter()
            .filter(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| std::str::from_utf8(value).unwrap())
            .collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    fn has_connection_option(&self, option: &str) -> bool {
        self.headers("Connection")
            .iter()
            .flat_map(|value| value.split(','))
            .any(|element| element.trim().eq_ignore_ascii_case(option))
    }
}
