//! Attacks on a server's opening handshake, each against the core in memory and against both
//! adapters: what is smuggled, folded, repeated, forged or without end.
//!
//! RFC 6455, section 4.2; RFC 9110 and RFC 9112. Which advisory each test is for is in ATTACKS.md.

#![cfg(all(feature = "blocking", feature = "tokio"))]

mod support;
#[path = "support/victim.rs"]
mod victim;

use std::sync::Arc;

use framewright::handshake::{Request, ServerHandshake};
use framewright::{Config, HandshakeError, RecvBuffer, Role};

use support::*;
use victim::{Failure, Outcome, UPGRADE, Victim, upgrade_and};

// -- Smuggling ------------------------------------------------------------------------------------

#[test]
fn a_request_behind_one_that_is_refused_is_never_answered() {
    // A proxy that looks at Upgrade alone takes what follows for the tunnel's, whatever the answer:
    // the attacker then speaks HTTP with whoever answers a second time.
    let smuggled = b"GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let refused: [(Vec<u8>, HandshakeError); 9] = [
        (
            but("Sec-WebSocket-Version: 777"),
            HandshakeError::VersionUnsupported,
        ),
        (but("Sec-WebSocket-Key: AAAA"), HandshakeError::KeyInvalid),
        (
            but("Connection: keep-alive"),
            HandshakeError::ConnectionNotUpgrade,
        ),
        (but("Upgrade: h2c"), HandshakeError::NotAnUpgrade),
        (but("Host: a, b"), HandshakeError::HostInvalid),
        (but("POST /chat HTTP/1.1"), HandshakeError::MethodNotGet),
        (but("GET /chat HTTP/1.0"), HandshakeError::NotAnUpgrade),
        (
            but("GET /chat HTTP/2.0"),
            HandshakeError::HttpVersionUnsupported,
        ),
        (
            upgrade_and(&["Origin: http://evil.example"]),
            HandshakeError::OriginForbidden,
        ),
    ];
    for (request, error) in refused {
        let outcome = Victim::default().serves(&[&request[..], smuggled, UPGRADE].concat());
        outcome.assert_refused(&error);
    }
}

#[test]
fn a_request_behind_one_that_is_accepted_is_a_bad_frame() {
    for smuggled in [
        &b"GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        UPGRADE,
        b"\r\n\r\n",
        b"0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let outcome = Victim::default().serves_frames(smuggled);
        assert!(
            matches!(outcome.failure, Some(Failure::Protocol(_))),
            "{outcome:?}"
        );
        assert_eq!(outcome.close_code(), Some(1002));
        assert_eq!(outcome.received, []);
    }
}

#[test]
fn an_upgrade_with_a_body_is_refused_whatever_says_how_long_it_is() {
    let cases: [&[&str]; 14] = [
        &["Content-Length: 5"],
        &["Content-Length: 00"],
        &["Content-Length: +0"],
        &["Content-Length: -1"],
        &["Content-Length: 0x5"],
        &["Content-Length: 0,0"],
        &["Content-Length: 18446744073709551616"],
        &["Content-Length: 99999999999999999999999999999999"],
        &["Content-Length: 0", "Content-Length: 5"],
        &["Content-Length: 5", "Content-Length: 0"],
        &["Transfer-Encoding: chunked"],
        &["Transfer-Encoding: xchunked"],
        &["Transfer-Encoding: identity", "Content-Length: 0"],
        &["Content-Length: 5", "Transfer-Encoding: chunked"],
    ];
    for lines in cases {
        for body in [&b""[..], b"hello", b"0\r\n\r\n", UPGRADE] {
            let wire = [&upgrade_and(lines)[..], body].concat();
            let outcome = Victim::default().serves(&wire);
            outcome.assert_refused(&HandshakeError::BodyUnexpected);
        }
    }
    // A body that is none leaves nothing to disagree about.
    let wire = [
        &upgrade_and(&["Content-Length: 0"])[..],
        &sent_by(Role::Client, &[frame(TEXT, "first")]),
    ];
    assert_eq!(
        Victim::default().serves(&wire.concat()).received,
        [text("first")]
    );
}

#[test]
fn the_body_of_an_upgrade_is_not_waited_for() {
    // Two megabytes of a terabyte: neither kept nor awaited, and the answer is not lost to them.
    let request = upgrade_and(&["Content-Length: 1099511627776"]);
    let outcome = Victim::default().serves(&[&request[..], &vec![b'x'; 2 << 20]].concat());
    outcome.assert_refused(&HandshakeError::BodyUnexpected);
}

#[test]
fn frames_in_the_segment_of_the_request_are_the_first() {
    let frames = [frame(TEXT, "first"), frame(PING, "second")];
    let outcome = Victim::default().serves_frames(&sent_by(Role::Client, &frames));
    assert_eq!(outcome.received, [text("first"), ping("second")]);
}

// -- Syntax ---------------------------------------------------------------------------------------

#[test]
fn a_head_that_two_readers_would_read_differently_is_refused() {
    let malformed: [(&str, Vec<u8>); 21] = [
        ("a folded line", upgrade_and(&["X: a", " b"])),
        (
            "a folded line",
            upgrade_and(&["X: a", "\tContent-Length: 5"]),
        ),
        (
            "a space before the colon",
            upgrade_and(&["Content-Length : 5"]),
        ),
        (
            "a tab before the colon",
            upgrade_and(&["Transfer-Encoding\t: chunked"]),
        ),
        ("no colon", upgrade_and(&["nothing"])),
        ("no name", upgrade_and(&[": x"])),
        ("a name that is no token", upgrade_and(&["X(Y): x"])),
        ("NUL in a value", upgrade_and(&["X: a\0b"])),
        ("NUL in a name", upgrade_and(&["X\0: a"])),
        ("CR in a value", upgrade_and(&["X: a\rContent-Length: 5"])),
        ("LF alone", upgrade_and(&["X: a\nContent-Length: 5"])),
        ("a name outside ASCII", upgrade_and(&["Ä: b"])),
        ("two empty lines first", [b"\r\n\r\n", UPGRADE].concat()),
        ("LF alone first", [b"\n", UPGRADE].concat()),
        ("a space first", [b" ", UPGRADE].concat()),
        ("two spaces", but("GET  /chat HTTP/1.1")),
        ("a space behind the line", but("GET /chat HTTP/1.1 ")),
        ("HTTP/0.9", b"GET /chat\r\n\r\n".to_vec()),
        ("no version", but("GET /chat HTTP/1")),
        ("a target outside ASCII", but("GET /ch\u{e4}t HTTP/1.1")),
        (
            "a control character in the target",
            but("GET /\u{1}chat HTTP/1.1"),
        ),
    ];
    for (name, wire) in malformed {
        let outcome = Victim::default().serves(&wire);
        assert_eq!(outcome.status(), 400, "{name}: {outcome:?}");
        outcome.assert_refused(&HandshakeError::HeadMalformed);
    }
    // One empty line is what old clients send behind a body.
    assert_eq!(
        Victim::default()
            .serves(&[b"\r\n", UPGRADE].concat())
            .status(),
        101
    );
}

#[test]
fn whoever_speaks_another_protocol_is_told_so_and_left() {
    let cases: [(&[u8], u16); 10] = [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 505),
        (b"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505),
        // TLS, two frames, SSH, SMTP, and a proxy's preamble.
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", 400),
        (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 400),
        (b"\x88\x80\0\0\0\0", 400),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 400),
        (b"EHLO localhost\r\n\r\n", 400),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n\r\n", 400),
        (b"\0", 400),
    ];
    for (wire, status) in cases {
        let outcome = Victim::default().serves(wire);
        assert_eq!(outcome.status(), status, "{}", wire.escape_ascii());
        assert_eq!(outcome.end, None);
    }
}

#[test]
fn a_target_is_a_path_or_an_absolute_uri_and_nothing_else() {
    for target in [
        "/",
        "/chat?x=http://y",
        "//chat",
        "/*",
        "/a:80",
        "http://a.example/chat",
        "HTTPS://a.example:8443/chat?x",
        "http://a.example",
        "http://[::1]:80/",
    ] {
        let outcome = Victim::default().serves(&but(&format!("GET {target} HTTP/1.1")));
        assert_eq!(outcome.status(), 101, "{target}");
    }
    for target in [
        "*",
        "chat",
        "a.example:80",
        "?x",
        "#",
        "/#top",
        "..",
        "http:",
        "http:/chat",
        "http://",
        "http:///chat",
        "http://:80/",
        "http://user@a.example/",
        "http://a.example:x/",
        "http://a\\b/",
        "ws://a.example/",
        "ftp://a.example/",
        "://a.example/",
        "x/y://a/",
    ] {
        let outcome = Victim::default().serves(&but(&format!("GET {target} HTTP/1.1")));
        assert_eq!(outcome.status(), 400, "{target}: {outcome:?}");
    }
    // In the forms of CONNECT and OPTIONS too, they ask for no WebSocket here.
    for line in ["CONNECT a.example:80 HTTP/1.1", "OPTIONS * HTTP/1.1"] {
        Victim::default()
            .serves(&but(line))
            .assert_refused(&HandshakeError::MethodNotGet);
    }
}

#[test]
fn a_host_that_is_missing_repeated_or_no_host_is_refused() {
    for wire in [
        but("Host:"),
        upgrade_and(&["Host: server.example.com"]),
        upgrade_and(&["host: other.example"]),
        but("X-Host: server.example.com"),
        but("Host: a b"),
        but("Host: a, b"),
        but("Host: user@a"),
        but("Host: a/b"),
        but("Host: a:80:80"),
        but("Host: [::1"),
        but("Host: \u{e4}"),
    ] {
        let outcome = Victim::default().serves(&wire);
        outcome.assert_refused(&HandshakeError::HostInvalid);
    }
}

// -- The handshake itself -------------------------------------------------------------------------

#[test]
fn what_only_looks_like_the_tokens_of_an_upgrade_opens_nothing() {
    for (line, status) in [
        ("Connection: notupgrade", 400),
        ("Connection: upgraded", 400),
        ("Connection: keep-alive; upgrade", 400),
        ("Connection:", 400),
        ("Upgrade: xwebsocket", 426),
        ("Upgrade: websockets", 426),
        ("Upgrade: websocket/13", 426),
        ("Upgrade: \"websocket\"", 426),
        ("Upgrade:", 426),
        // What crashed a server that took it for a string of its own.
        ("Upgrade: websocket; ,,=\"", 426),
    ] {
        assert_eq!(
            Victim::default().serves(&but(line)).status(),
            status,
            "{line}"
        );
    }
    for line in [
        "Connection: keep-alive, ,UPGRADE",
        "Upgrade: h2c, WebSocket",
    ] {
        assert_eq!(Victim::default().serves(&but(line)).status(), 101, "{line}");
    }
}

#[test]
fn a_key_and_a_version_are_one_line_each_and_exact() {
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA=",
        "____________________-w==",
        "dGhlIHNhbXBs ZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ==,",
    ] {
        let outcome = Victim::default().serves(&but(&format!("Sec-WebSocket-Key: {key}")));
        outcome.assert_refused(&HandshakeError::KeyInvalid);
    }
    let twice = upgrade_and(&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]);
    Victim::default()
        .serves(&twice)
        .assert_refused(&HandshakeError::KeyInvalid);
    let mut cases: Vec<_> = [
        "",
        "013",
        "+13",
        "13.0",
        "0x0d",
        "269",
        "4294967309",
        "13, 8",
        "8",
    ]
    .iter()
    .map(|version| but(&format!("Sec-WebSocket-Version: {version}")))
    .collect();
    cases.push(upgrade_and(&["Sec-WebSocket-Version: 13"]));
    for wire in cases {
        let outcome = Victim::default().serves(&wire);
        outcome.assert_refused(&HandshakeError::VersionUnsupported);
        assert_eq!(outcome.header("Sec-WebSocket-Version"), Some("13"));
        assert_eq!(outcome.header("Connection"), Some("close, Upgrade"));
    }
}

#[test]
fn handshakes_of_the_drafts_open_nothing() {
    let cases: [(&[u8], HandshakeError); 4] = [
        // draft-hixie-thewebsocketprotocol-75, section 1.1.
        (
            b"GET /demo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
              Host: example.com\r\nWebSocket-Protocol: sample\r\n\r\n",
            HandshakeError::KeyInvalid,
        ),
        // draft-hixie-thewebsocketprotocol-76, section 1.2, and its eight bytes of a body.
        (
            b"GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nSec-WebSocket-Protocol: sample\r\n\
              Upgrade: WebSocket\r\nSec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n\r\n^n:ds[4U",
            HandshakeError::KeyInvalid,
        ),
        // draft-ietf-hybi-thewebsocketprotocol-08, section 1.2.
        (
            b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
              Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
              Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 8\r\n\r\n",
            HandshakeError::VersionUnsupported,
        ),
        // The same for a server that forces the upgrade where no token asks for it.
        (
            b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
            HandshakeError::NotAnUpgrade,
        ),
    ];
    for (wire, error) in cases {
        Victim::default().serves(wire).assert_refused(&error);
    }
}

#[test]
fn a_page_of_another_origin_is_forbidden_unless_somebody_allows_it() {
    for origin in [
        "http://evil.example",
        "null",
        "http://server.example.com.evil.example",
        "http://server.example.com@evil.example",
        "http://server.example.com:8080",
        "file://",
    ] {
        let wire = upgrade_and(&[&format!("Origin: {origin}")]);
        Victim::default()
            .serves(&wire)
            .assert_refused(&HandshakeError::OriginForbidden);
    }
    let own = "Origin: http://server.example.com";
    let twice = upgrade_and(&[own, own]);
    Victim::default()
        .serves(&twice)
        .assert_refused(&HandshakeError::OriginForbidden);
    assert_eq!(Victim::default().serves(&upgrade_and(&[own])).status(), 101);
}

#[test]
fn of_what_a_client_offers_nothing_is_repeated_but_what_is_configured() {
    let victim = Victim {
        subprotocols: vec!["chat".to_owned()],
        ..Victim::default()
    };
    for (offer, chosen) in [
        ("chat", Some("chat")),
        ("evil, chat", Some("chat")),
        ("evil", None),
        ("Chat", None),
        ("chat2, evil", None),
    ] {
        let wire = upgrade_and(&[&format!("Sec-WebSocket-Protocol: {offer}")]);
        let outcome = victim.serves(&wire);
        assert_eq!(outcome.header("Sec-WebSocket-Protocol"), chosen, "{offer}");
        assert!(!outcome.http.contains("evil"));
    }
    // Names that a table of names has by itself.
    for name in [
        "constructor",
        "__proto__",
        "hasOwnProperty",
        "toString",
        "None",
        "permessage",
    ] {
        let wire = upgrade_and(&[
            &format!("Sec-WebSocket-Extensions: {name}; {name}, {name}; {name}={name}"),
            &format!("Sec-WebSocket-Protocol: {name}"),
        ]);
        let outcome = victim.serves(&wire);
        assert_eq!(outcome.status(), 101, "{name}");
        assert_eq!(outcome.header("Sec-WebSocket-Extensions"), None);
        assert_eq!(outcome.header("Sec-WebSocket-Protocol"), None);
    }
}

// -- What costs much ------------------------------------------------------------------------------

#[test]
fn an_upgrade_line_behind_too_many_others_is_no_crash() {
    // Where lines beyond a limit are dropped, Upgrade may be one of them.
    let many = "x: y\r\n".repeat(101);
    let wire = String::from_utf8(UPGRADE.to_vec()).unwrap();
    let wire = wire.replacen("Host: ", &format!("{many}Host: "), 1);
    Victim::default()
        .serves(wire.as_bytes())
        .assert_refused(&HandshakeError::TooManyHeaders);
}

#[test]
fn values_made_to_cost_the_square_of_their_length_cost_their_length() {
    // A megabyte each, for which anything that is not linear takes hours: a regular expression that
    // goes back, a list that is copied for each element, a head that is read anew.
    let mut config = Config::default();
    config.max_head_len = 8 << 20;
    let config = Arc::new(config);
    let len = 1 << 20;
    for (name, start, piece) in [
        ("Sec-WebSocket-Protocol", "a", " "),
        ("Sec-WebSocket-Protocol", "a", ","),
        ("Sec-WebSocket-Protocol", "", " ,\t,"),
        ("Sec-WebSocket-Protocol", "", "aaaa, "),
        ("Sec-WebSocket-Protocol", "", "a"),
        ("Sec-WebSocket-Extensions", "a; b=\"", "\\\""),
        ("Sec-WebSocket-Extensions", "a; b=\"", "\\"),
        ("Sec-WebSocket-Extensions", "a", "; b"),
        ("Sec-WebSocket-Extensions", "a", "; b=\"c\""),
        ("Sec-WebSocket-Extensions", "", "a, "),
        ("Sec-WebSocket-Extensions", "", ", "),
        ("Sec-WebSocket-Extensions", "a", " "),
        ("Connection", "", ", "),
        ("Connection", "", "upgrade "),
        ("Upgrade", "", "web, "),
        ("Cookie", "", "a=b; "),
        ("Origin", "http://", "a"),
        ("X", "", " \t"),
    ] {
        let value = [start, &piece.repeat(len / piece.len())].concat();
        let wire = upgrade_and(&[&format!("{name}: {value}x")]);
        let mut handshake = ServerHandshake::new(Arc::clone(&config));
        let mut input = RecvBuffer::new();
        let mut outcome = Ok(None);
        for chunk in wire.chunks(64) {
            assert!(matches!(outcome, Ok(None)), "{name}: {piece:?}");
            input.extend(chunk);
            outcome = handshake.receive(&mut input);
        }
        if let Ok(Some(Request::Upgrade(request))) = &outcome {
            assert_eq!(request.cookie("absent"), None);
            assert!(request.subprotocols().count() <= 64);
            assert!(request.extensions().len() <= 16);
            request.origin_is_allowed(&Default::default());
        }
        assert!(!matches!(outcome, Ok(None)), "{name}: {piece:?}");
    }
}

#[test]
fn a_head_that_drips_has_the_limits_of_one_that_comes_at_once() {
    // The rig sends each wire byte by byte, too.
    let endless = |start: &str, piece: &str| [start, &piece.repeat(20_000 / piece.len())].concat();
    for (wire, error) in [
        (endless("GET /", "a"), HandshakeError::RequestLineTooLong),
        (endless("", "A"), HandshakeError::RequestLineTooLong),
        (
            endless("GET / HTTP/1.1\r\nX: ", "y"),
            HandshakeError::HeadTooLong,
        ),
        (
            endless("GET / HTTP/1.1\r\n", "y"),
            HandshakeError::HeadTooLong,
        ),
        (
            endless("GET / HTTP/1.1\r\n", "x: y\r\n"),
            HandshakeError::TooManyHeaders,
        ),
    ] {
        Victim::default()
            .serves(wire.as_bytes())
            .assert_refused(&error);
    }
}

#[test]
fn a_client_that_leaves_inside_its_request_is_owed_nothing() {
    for len in 0..UPGRADE.len() {
        let outcome: Outcome = Victim::default().serves(&UPGRADE[..len]);
        assert_eq!(outcome.http, "");
        let error = HandshakeError::EndOfStream;
        assert_eq!(outcome.failure, Some(Failure::Handshake(error)));
    }
}

// -- Rig ------------------------------------------------------------------------------------------

/// The request that is accepted, with a line in the place of the one that begins alike, up to the
/// colon or the space; or of Host, if none does.
fn but(line: &str) -> Vec<u8> {
    fn name(line: &str) -> &str {
        line.split([':', ' ']).next().unwrap_or(line)
    }
    let upgrade = String::from_utf8(UPGRADE.to_vec()).expect("ASCII");
    let mut lines: Vec<_> = upgrade.split("\r\n").collect();
    let is_request_line = line.contains("HTTP/") && !line.contains(": ");
    let at = match lines.iter().position(|other| name(other) == name(line)) {
        _ if is_request_line => 0,
        Some(at) => at,
        None => 1,
    };
    lines[at] = line;
    lines.join("\r\n").into_bytes()
}
