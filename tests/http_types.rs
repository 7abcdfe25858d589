//! Requests and responses of the `http` crate: what another server parsed is judged as what is
//! parsed here, and what one side says the other hears.
//!
//! RFC 6455, section 4.2; RFC 8441, sections 4 and 5.

#![cfg(feature = "http")]

use std::sync::Arc;

use bytes::Bytes;
use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, OriginPolicy, PlainRequest, Request, Response,
    ServerHandshake, UpgradeRequest, UpgradeResponse, Uri,
};
use framewright::{
    Config, Connection, Event, HandshakeError, RecvBuffer, RefusedResponse, Role, SendBuffer,
    SendError,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

// ---- Requests that another server parsed ----

#[test]
fn an_upgrade_request_is_what_it_is_on_bytes() {
    let request = upgrade_and(&[
        ("Origin", "https://server.example.com"),
        ("Cookie", "a=b; session=0123"),
        ("Sec-WebSocket-Protocol", "chat.v2, chat.v1"),
        ("Sec-WebSocket-Protocol", "other"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; x=\"y\""),
    ]);
    let upgrade = accepted(&request);
    assert_eq!(upgrade.resource_name(), "/chat?room=1");
    assert_eq!(upgrade.path(), "/chat");
    assert_eq!(upgrade.query(), Some("room=1"));
    assert_eq!(upgrade.host(), "server.example.com");
    assert_eq!(upgrade.origin(), Some("https://server.example.com"));
    assert_eq!(upgrade.cookie("session"), Some("0123"));
    assert_eq!(
        upgrade.subprotocols().collect::<Vec<_>>(),
        ["chat.v2", "chat.v1", "other"]
    );
    assert_eq!(upgrade.extensions()[0].name, "permessage-deflate");
    assert_eq!(upgrade.headers().single("UPGRADE"), Some(&b"websocket"[..]));
    // What is taken apart is judged the same.
    let (parts, ()) = request.into_parts();
    let Ok(Request::Upgrade(again)) = Request::from_http_parts(&parts) else {
        panic!("{parts:?}");
    };
    assert_eq!(format!("{again:?}"), format!("{upgrade:?}"));
}

#[test]
fn every_rule_of_section_4_2_1_is_judged() {
    let cases: [(&str, &[&str], HandshakeError, u16); 21] = [
        ("Host", &[], HandshakeError::HostInvalid, 400),
        ("Host", &["a", "b"], HandshakeError::HostInvalid, 400),
        ("Host", &[""], HandshakeError::HostInvalid, 400),
        ("Host", &["a/b"], HandshakeError::HostInvalid, 400),
        ("Connection", &[], HandshakeError::ConnectionNotUpgrade, 400),
        (
            "Connection",
            &["keep-alive"],
            HandshakeError::ConnectionNotUpgrade,
            400,
        ),
        ("Sec-WebSocket-Key", &[], HandshakeError::KeyInvalid, 400),
        (
            "Sec-WebSocket-Key",
            &["AAAA"],
            HandshakeError::KeyInvalid,
            400,
        ),
        (
            "Sec-WebSocket-Key",
            &[KEY, KEY],
            HandshakeError::KeyInvalid,
            400,
        ),
        (
            "Sec-WebSocket-Version",
            &[],
            HandshakeError::VersionUnsupported,
            426,
        ),
        (
            "Sec-WebSocket-Version",
            &["8"],
            HandshakeError::VersionUnsupported,
            426,
        ),
        (
            "Sec-WebSocket-Version",
            &["13", "13"],
            HandshakeError::VersionUnsupported,
            426,
        ),
        (
            "Content-Length",
            &["5"],
            HandshakeError::BodyUnexpected,
            400,
        ),
        (
            "Transfer-Encoding",
            &["chunked"],
            HandshakeError::BodyUnexpected,
            400,
        ),
        (
            "Sec-WebSocket-Protocol",
            &["a, a"],
            HandshakeError::SubprotocolsInvalid,
            400,
        ),
        (
            "Sec-WebSocket-Protocol",
            &["a", "a"],
            HandshakeError::SubprotocolsInvalid,
            400,
        ),
        (
            "Sec-WebSocket-Protocol",
            &["a b"],
            HandshakeError::SubprotocolsInvalid,
            400,
        ),
        (
            "Sec-WebSocket-Extensions",
            &["a;"],
            HandshakeError::ExtensionsInvalid,
            400,
        ),
        (
            "Sec-WebSocket-Extensions",
            &["a=b"],
            HandshakeError::ExtensionsInvalid,
            400,
        ),
        (
            "Sec-WebSocket-Key",
            &["dGhlIHNhbXBsZSBub25jZQ= "],
            HandshakeError::KeyInvalid,
            400,
        ),
        (
            "Sec-WebSocket-Version",
            &["013"],
            HandshakeError::VersionUnsupported,
            426,
        ),
    ];
    for (name, values, error, status) in cases {
        let mut request = upgrade();
        request.headers_mut().remove(name);
        for value in values {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let judged = Request::from_http(&request).unwrap_err();
        assert_eq!(judged, error, "{name}: {values:?}");
        let answer = http::Response::<Bytes>::from(&judged);
        assert_eq!(answer.status(), status, "{name}: {values:?}");
    }
    for method in [Method::POST, Method::HEAD, Method::CONNECT, Method::OPTIONS] {
        let mut request = upgrade();
        *request.method_mut() = method;
        let judged = Request::from_http(&request).unwrap_err();
        assert_eq!(judged, HandshakeError::MethodNotGet);
    }
    let mut request = upgrade();
    *request.uri_mut() = "*".parse().unwrap();
    let judged = Request::from_http(&request).unwrap_err();
    assert_eq!(judged, HandshakeError::TargetInvalid);
}

#[test]
fn a_target_in_absolute_form_names_the_host() {
    for (target, host, resource_name) in [
        ("http://other.example:81/chat", "other.example:81", "/chat"),
        ("https://other.example", "other.example", "/"),
        ("http://other.example?x", "other.example", "/?x"),
    ] {
        let mut request = upgrade();
        *request.uri_mut() = target.parse().unwrap();
        let upgrade = accepted(&request);
        assert_eq!(upgrade.host(), host);
        assert_eq!(upgrade.resource_name(), resource_name);
    }
}

#[test]
fn what_asks_for_no_upgrade_is_a_plain_request() {
    let mut without = upgrade();
    without.headers_mut().remove("upgrade");
    let mut other = upgrade();
    other
        .headers_mut()
        .insert("upgrade", HeaderValue::from_static("h2c"));
    let mut post = http::Request::post("/form")
        .header("host", "h")
        .body(())
        .unwrap();
    *post.version_mut() = Version::HTTP_11;
    for request in [without, other, post] {
        let plain = plain(&request);
        assert_eq!(plain.method(), request.method().as_str());
        assert_eq!(plain.target(), request.uri().to_string());
        assert_eq!(
            plain.headers().first("host"),
            Some(request.headers()["host"].as_bytes())
        );
    }
}

#[test]
fn http_1_0_and_http_2_know_no_upgrade() {
    // RFC 9110, section 7.8, and RFC 9113, section 8.6: "HTTP/2 removes support for the 101
    // (Switching Protocols) informational status code".
    for version in [Version::HTTP_10, Version::HTTP_2, Version::HTTP_3] {
        let mut request = upgrade();
        *request.version_mut() = version;
        assert_eq!(plain(&request).target(), "/chat?room=1");
        // Nor do they need a Host.
        request.headers_mut().remove("host");
        plain(&request);
    }
    let mut request = http::Request::get("https://h/healthz").body(()).unwrap();
    *request.version_mut() = Version::HTTP_2;
    assert_eq!(plain(&request).target(), "/healthz");
    let mut request = upgrade();
    *request.version_mut() = Version::HTTP_09;
    assert_eq!(
        Request::from_http(&request).unwrap_err(),
        HandshakeError::HttpVersionUnsupported
    );
}

#[test]
fn a_target_that_no_strict_reader_lets_through_is_malformed() {
    // The crate takes UTF-8 in a path; a request line has none.
    let mut request = upgrade();
    *request.uri_mut() = "/\u{e4}".parse().unwrap();
    assert_eq!(
        Request::from_http(&request).unwrap_err(),
        HandshakeError::HeadMalformed
    );
}

#[test]
fn a_request_becomes_one_of_the_crate_and_back() {
    let bytes = [
        &b"GET /chat?x=y HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"[..],
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        b"X-Twice: 1\r\nx-twice: \xff\r\n\r\n",
    ]
    .concat();
    let Ok(Some(Request::Upgrade(upgrade))) = serve(&bytes) else {
        panic!("{}", bytes.escape_ascii());
    };
    let request = http::Request::try_from(&upgrade).unwrap();
    assert_eq!(request.method(), Method::GET);
    assert_eq!(request.uri(), "/chat?x=y");
    assert_eq!(request.version(), Version::HTTP_11);
    let twice: Vec<_> = request.headers().get_all("x-twice").iter().collect();
    assert_eq!(twice, [&b"1"[..], b"\xff"]);
    assert_eq!(accepted(&request).resource_name(), "/chat?x=y");

    let Ok(Some(Request::Plain(plain))) = serve(b"PURGE http://a/b HTTP/1.0\r\n\r\n") else {
        panic!("a plain request");
    };
    let request = http::Request::try_from(&plain).unwrap();
    assert_eq!(request.method(), "PURGE");
    assert_eq!(request.uri(), "http://a/b");
    assert_eq!(request.version(), Version::HTTP_10);
}

#[test]
fn a_target_that_the_crate_cannot_hold_is_an_error() {
    for target in ["/a^b`c<d>\\e", "a://b://c"] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let Ok(Some(Request::Plain(plain))) = serve(bytes.as_bytes()) else {
            panic!("{bytes}");
        };
        // Either is fine, and a panic is not.
        let _: Result<http::Request<()>, http::Error> = (&plain).try_into();
    }
    // Longer than a `http::Uri` may be.
    let mut config = Config::default();
    config.max_head_len = 200_000;
    config.max_request_line_len = 100_000;
    let bytes = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(70_000));
    let mut server = ServerHandshake::new(Arc::new(config.clone()));
    let Ok(Some(Request::Plain(long))) = server.receive(&mut RecvBuffer::from(bytes.as_bytes()))
    else {
        panic!("a plain request");
    };
    assert!(http::Request::try_from(&long).is_err());
    // A name that is longer than one may be.
    let bytes = format!(
        "GET / HTTP/1.1\r\nHost: h\r\n{}: x\r\n\r\n",
        "x".repeat(70_000)
    );
    let mut server = ServerHandshake::new(Arc::new(config));
    let Ok(Some(Request::Plain(long))) = server.receive(&mut RecvBuffer::from(bytes.as_bytes()))
    else {
        panic!("a plain request");
    };
    assert!(http::Request::try_from(&long).is_err());
    assert!(HeaderMap::try_from(long.headers()).is_err());
}

// ---- Answers ----

#[test]
fn an_acceptance_says_what_it_says_on_bytes() {
    let acceptance = || {
        Acceptance::new()
            .subprotocol("chat")
            .header("Set-Cookie", "a=b")
            .header("Set-Cookie", "c=d")
            .header("X-Latin", b"\xe4")
    };
    let request = upgrade_and(&[("Sec-WebSocket-Protocol", "other, chat")]);
    let (response, connection) = accepted(&request)
        .accept_http(acceptance(), config())
        .unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(connection.role(), Role::Server);
    let headers = response.headers();
    assert_eq!(headers["upgrade"], "websocket");
    assert_eq!(headers["connection"], "Upgrade");
    assert_eq!(
        headers["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(headers["sec-websocket-protocol"], "chat");
    assert!(!headers.contains_key("sec-websocket-extensions"));
    assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(headers["x-latin"], &b"\xe4"[..]);
    // Line for line, but for the case of the names.
    let mut output = SendBuffer::new();
    accepted(&request)
        .accept(acceptance(), config(), &mut output)
        .unwrap();
    let bytes = output.to_vec();
    let lines: Vec<_> = bytes.split(|&byte| byte == b'\n').collect();
    assert_eq!(lines.len(), 1 + headers.len() + 2);
    for (name, value) in headers {
        let line = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r"].concat();
        assert!(
            lines.iter().any(|other| other.eq_ignore_ascii_case(&line)),
            "{}",
            line.escape_ascii()
        );
    }
}

#[test]
fn a_client_and_a_server_meet_over_the_types_of_the_crate() {
    let request = ClientRequest::new("ws://server.example.com/chat")
        .unwrap()
        .subprotocol("chat")
        .unwrap();
    let mut output = SendBuffer::new();
    let mut client = ClientHandshake::start(&request, config(), NONCE, &mut output);
    let Ok(Some(Request::Upgrade(upgrade))) = serve(&output.to_vec()) else {
        panic!("a request of our own");
    };
    let request = http::Request::try_from(&upgrade).unwrap();
    let acceptance = Acceptance::new().subprotocol("chat");
    let (response, mut server) = accepted(&request)
        .accept_http(acceptance, config())
        .unwrap();
    let mut input = RecvBuffer::from(&on_the_wire(&response)[..]);
    let response = client.receive(&mut input).unwrap().unwrap();
    assert_eq!(response.subprotocol(), Some("chat"));
    let converted = http::Response::try_from(&response).unwrap();
    assert_eq!(converted.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(converted.headers()["sec-websocket-protocol"], "chat");
    talk(&mut response.into_connection(), &mut server);
}

#[cfg(feature = "deflate")]
#[test]
fn compression_is_agreed_on_as_on_bytes() {
    use framewright::DeflateConfig;

    let offer = [(
        "Sec-WebSocket-Extensions",
        "permessage-deflate; client_max_window_bits",
    )];
    let acceptance = || Acceptance::new().deflate(DeflateConfig::default());
    let (response, mut connection) = accepted(&upgrade_and(&offer))
        .accept_http(acceptance(), config())
        .unwrap();
    assert_eq!(
        response.headers()["sec-websocket-extensions"],
        "permessage-deflate"
    );
    let mut output = SendBuffer::new();
    connection
        .send_text(&"compressible ".repeat(100), &mut output)
        .unwrap();
    // RSV1 says that it is compressed.
    assert_eq!(output.to_vec()[0], 0b1100_0001);
    // Who does not offer it is not answered with it.
    let (response, _) = accepted(&upgrade())
        .accept_http(acceptance(), config())
        .unwrap();
    assert!(!response.headers().contains_key("sec-websocket-extensions"));
}

#[test]
fn an_acceptance_that_cannot_be_written_is_the_callers_error() {
    let cases = [
        (
            Acceptance::new().subprotocol("x"),
            SendError::SubprotocolNotOffered,
        ),
        (
            Acceptance::new().header("a b", "x"),
            SendError::HeaderNameInvalid,
        ),
        (
            Acceptance::new().header("a", "x\r\nb: y"),
            SendError::HeaderValueInvalid,
        ),
        (
            Acceptance::new().header("Upgrade", "h2c"),
            SendError::HeaderReserved,
        ),
        (
            Acceptance::new().header(&"x".repeat(70_000), "x"),
            SendError::HeaderNameInvalid,
        ),
        (
            (0..40_000).fold(Acceptance::new(), |acceptance, index| {
                acceptance.header(&format!("x-{index}"), "y")
            }),
            SendError::TooManyHeaders,
        ),
    ];
    for (acceptance, error) in cases {
        let outcome = accepted(&upgrade()).accept_http(acceptance, config());
        assert_eq!(outcome.map(|_| ()), Err(error));
    }
}

#[test]
fn an_origin_policy_holds_for_these_requests_too() {
    for (origin, host, allowed) in [
        ("https://server.example.com", "server.example.com", true),
        ("http://server.example.com", "server.example.com", true),
        ("https://evil.example", "server.example.com", false),
        (
            "https://server.example.com:8443",
            "server.example.com",
            false,
        ),
        ("null", "server.example.com", false),
    ] {
        let mut request = upgrade_and(&[("Origin", origin)]);
        request.headers_mut().insert("host", host.parse().unwrap());
        let upgrade = accepted(&request);
        assert_eq!(
            upgrade.origin_is_allowed(&OriginPolicy::SameOrigin),
            allowed,
            "{origin}"
        );
        assert!(upgrade.origin_is_allowed(&OriginPolicy::Any));
    }
    let answer = http::Response::<Bytes>::from(&HandshakeError::OriginForbidden);
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[test]
fn an_error_is_answered_as_on_bytes() {
    for error in [
        HandshakeError::HeadMalformed,
        HandshakeError::OriginForbidden,
        HandshakeError::MethodNotGet,
        HandshakeError::TimedOut,
        HandshakeError::NotAnUpgrade,
        HandshakeError::VersionUnsupported,
        HandshakeError::HttpVersionUnsupported,
    ] {
        let answer = http::Response::<Bytes>::from(&error);
        assert_eq!(Some(answer.status().as_u16()), error.status());
        assert_eq!(answer.body(), &format!("{error}\n"));
        let headers = answer.headers();
        assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
        let own = http::Response::<Bytes>::from(error.clone());
        assert_eq!((own.status(), own.body()), (answer.status(), answer.body()));
        // Who writes it says how long it is.
        assert!(!headers.contains_key("content-length"));
        let is_426 = answer.status() == 426;
        assert_eq!(headers.contains_key("upgrade"), is_426);
        assert_eq!(
            headers["connection"],
            if is_426 { "close, Upgrade" } else { "close" }
        );
        assert_eq!(
            headers.contains_key("allow"),
            error == HandshakeError::MethodNotGet
        );
        assert_eq!(
            headers.contains_key("sec-websocket-version"),
            error == HandshakeError::VersionUnsupported
        );
    }
}

#[test]
fn an_error_that_no_client_made_is_500_without_a_word() {
    for error in [
        HandshakeError::AcceptMismatch,
        HandshakeError::EndOfStream,
        HandshakeError::ProxyTimedOut,
        HandshakeError::Refused(Box::new(refusal(
            b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
        ))),
    ] {
        let answer = http::Response::<Bytes>::from(&error);
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.body().is_empty());
    }
}

#[test]
fn a_rejection_is_what_it_is_on_bytes() {
    let response = Response::new(401)
        .unwrap()
        .header("WWW-Authenticate", "Bearer")
        .unwrap()
        .header("X-Latin", b"\xe4")
        .unwrap()
        .body("who are you?\n");
    let answer = accepted(&upgrade()).reject_http(&response).unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    assert_eq!(answer.headers()["x-latin"], &b"\xe4"[..]);
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(answer.headers().len(), 3);
    assert_eq!(answer.body(), "who are you?\n");
    for status in [204, 205, 304] {
        let response = Response::new(status).unwrap().body("x");
        let answer = http::Response::<Bytes>::try_from(&response).unwrap();
        assert!(answer.body().is_empty(), "{status}");
    }
    let long = Response::new(400).unwrap().header(&"x".repeat(70_000), "y");
    assert!(http::Response::<Bytes>::try_from(&long.unwrap()).is_err());
}

#[test]
fn an_answer_of_the_crate_becomes_one_of_ours() {
    let answer = http::Response::builder()
        .status(404)
        .header("Content-Type", "text/html")
        .header("Set-Cookie", "a=b")
        .header("Set-Cookie", "c=d")
        // What a server says where the body ends and whether the connection closes, we say.
        .header("Content-Length", "999")
        .header("Transfer-Encoding", "chunked")
        .header("Connection", "keep-alive")
        .body("nothing here")
        .unwrap();
    let response = Response::try_from(answer).unwrap();
    let request = serve(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let Ok(Some(Request::Plain(request))) = request else {
        panic!("{request:?}");
    };
    let mut output = SendBuffer::new();
    request.respond(&response, &mut output);
    assert_eq!(
        String::from_utf8(output.to_vec()).unwrap(),
        "HTTP/1.1 404 Not Found\r\n\
         Connection: close\r\n\
         content-type: text/html\r\n\
         set-cookie: a=b\r\n\
         set-cookie: c=d\r\n\
         Content-Length: 12\r\n\
         \r\n\
         nothing here"
    );
    for status in [100, 101, 199, 600, 999] {
        let answer = http::Response::builder().status(status).body("").unwrap();
        assert_eq!(Response::try_from(answer), Err(SendError::StatusInvalid));
    }
}

#[test]
fn what_a_server_refused_with_can_be_passed_on() {
    let refused = refusal(
        b"HTTP/1.1 503 \r\nRetry-After: 5\r\nX: \xff\r\nx: 2\r\nContent-Length: 5\r\n\r\nlater",
    );
    let response = http::Response::try_from(&refused).unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "5");
    let values: Vec<_> = response.headers().get_all("x").iter().collect();
    assert_eq!(values, [&b"\xff"[..], b"2"]);
    assert_eq!(response.body(), "later");
    // What a caller wrote into it may be none.
    for (name, value) in [("a b", "x"), ("", "x"), ("a", "x\r\ny"), ("\u{e4}", "x")] {
        let mut refused = refused.clone();
        refused
            .headers
            .push((name.to_owned(), value.to_owned().into()));
        assert!(http::Response::<Bytes>::try_from(&refused).is_err());
    }
    for status in [0, 99, 1000] {
        let mut refused = refused.clone();
        refused.status = status;
        assert!(http::Response::<Bytes>::try_from(&refused).is_err());
    }
}

// ---- RFC 8441: extended CONNECT ----

#[test]
fn an_extended_connect_is_accepted_with_200_and_without_a_key() {
    let mut request = extended_connect();
    request.headers_mut().insert(
        "sec-websocket-protocol",
        HeaderValue::from_static("chat, other"),
    );
    let (parts, ()) = extended_connect().into_parts();
    assert!(UpgradeRequest::from_extended_connect_parts(&parts).is_ok());
    let upgrade = UpgradeRequest::from_extended_connect(&request).unwrap();
    assert_eq!(upgrade.resource_name(), "/chat?x=y");
    assert_eq!(upgrade.host(), "server.example.com");
    assert!(upgrade.origin_is_allowed(&OriginPolicy::SameOrigin));
    let acceptance = Acceptance::new()
        .subprotocol("chat")
        .header("Set-Cookie", "a=b");
    let (response, connection) = upgrade.accept_http(acceptance, config()).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(connection.role(), Role::Server);
    // RFC 8441, section 5: of Upgrade, Connection and Sec-WebSocket-Accept none is used.
    let names: Vec<_> = response
        .headers()
        .keys()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(names, ["sec-websocket-protocol", "set-cookie"]);
}

#[test]
fn an_extended_connect_has_the_rules_that_are_left() {
    type Change = fn(&mut http::Request<()>);
    let cases: [(Change, HandshakeError); 13] = [
        (
            |request| *request.method_mut() = Method::GET,
            HandshakeError::NotAnUpgrade,
        ),
        (
            |request| *request.version_mut() = Version::HTTP_11,
            HandshakeError::NotAnUpgrade,
        ),
        (
            |request| *request.version_mut() = Version::HTTP_09,
            HandshakeError::HttpVersionUnsupported,
        ),
        (
            |request| drop(request.headers_mut().remove("sec-websocket-version")),
            HandshakeError::VersionUnsupported,
        ),
        (
            |request| insert(request, "sec-websocket-version", "8"),
            HandshakeError::VersionUnsupported,
        ),
        (
            |request| insert(request, "content-length", "1"),
            HandshakeError::BodyUnexpected,
        ),
        (
            |request| insert(request, "sec-websocket-protocol", "a, a"),
            HandshakeError::SubprotocolsInvalid,
        ),
        (
            |request| insert(request, "sec-websocket-extensions", ";"),
            HandshakeError::ExtensionsInvalid,
        ),
        (
            |request| *request.uri_mut() = "/chat".parse().unwrap(),
            HandshakeError::HostInvalid,
        ),
        (
            |request| *request.uri_mut() = "h:443".parse().unwrap(),
            HandshakeError::TargetInvalid,
        ),
        (
            |request| {
                let mut parts = http::uri::Parts::default();
                parts.path_and_query = Some("*".parse().unwrap());
                *request.uri_mut() = http::Uri::from_parts(parts).unwrap();
            },
            HandshakeError::TargetInvalid,
        ),
        (
            |request| *request.uri_mut() = "ftp://h/chat".parse().unwrap(),
            HandshakeError::TargetInvalid,
        ),
        (
            |request| *request.uri_mut() = "https://u:p@h/chat".parse().unwrap(),
            HandshakeError::HostInvalid,
        ),
    ];
    for (change, error) in cases {
        let mut request = extended_connect();
        change(&mut request);
        let judged = UpgradeRequest::from_extended_connect(&request).unwrap_err();
        assert_eq!(judged, error, "{request:?}");
    }
    // Without the word of the server that it is one, it is a plain request.
    assert_eq!(plain(&extended_connect()).method(), "CONNECT");
}

#[test]
fn an_extended_connect_is_not_answered_in_http_1() {
    let upgrade = UpgradeRequest::from_extended_connect(&extended_connect()).unwrap();
    let mut output = SendBuffer::new();
    let outcome = upgrade.accept(Acceptance::new(), config(), &mut output);
    assert_eq!(outcome.unwrap_err(), SendError::AnswerNotHttp1);
    assert!(output.is_empty());
    // RFC 9113, section 8.2.2: no connection-specific header fields.
    let upgrade = UpgradeRequest::from_extended_connect(&extended_connect()).unwrap();
    let response = HandshakeError::VersionUnsupported.response().unwrap();
    let answer = upgrade.reject_http(&response).unwrap();
    assert_eq!(answer.status(), 426);
    assert!(!answer.headers().contains_key("connection"));
    assert!(!answer.headers().contains_key("upgrade"));
}

// ---- A client's request ----

#[test]
fn a_request_of_the_crate_becomes_a_clients() {
    let request = http::Request::get("wss://server.example.com:8443/chat?x=y")
        .header("Authorization", "Bearer 0123")
        .header("X-Twice", "1")
        .header("X-Twice", HeaderValue::from_bytes(b"\xff").unwrap())
        .header("Sec-WebSocket-Protocol", "chat.v2,, chat.v1")
        .header("Sec-WebSocket-Protocol", "other")
        .body(())
        .unwrap();
    let expected = ClientRequest::new("wss://server.example.com:8443/chat?x=y")
        .unwrap()
        .subprotocol("chat.v2")
        .unwrap()
        .subprotocol("chat.v1")
        .unwrap()
        .subprotocol("other")
        .unwrap()
        .header("authorization", "Bearer 0123")
        .unwrap()
        .header("x-twice", "1")
        .unwrap()
        .header("x-twice", b"\xff")
        .unwrap();
    assert_eq!(ClientRequest::try_from(&request), Ok(expected.clone()));
    assert_eq!(ClientRequest::try_from(request), Ok(expected));
}

#[test]
fn what_the_handshake_says_itself_may_be_said_and_not_otherwise() {
    for (uri, lines) in [
        (
            "ws://h/",
            &[
                ("Host", "h"),
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "whatever it is"),
            ][..],
        ),
        (
            "ws://h/",
            &[("Host", "H:80"), ("Connection", "keep-alive, upgrade")],
        ),
        ("wss://h/", &[("Host", "h:443"), ("Upgrade", "WebSocket")]),
        ("ws://h:81/", &[("Host", "h:81")]),
        ("ws://[::1]:81/", &[("Host", "[0::1]:81")]),
    ] {
        let converted = ClientRequest::try_from(client_request(uri, lines));
        assert_eq!(converted, Ok(ClientRequest::new(uri).unwrap()), "{lines:?}");
    }
    for (name, value) in [
        ("Host", "other"),
        ("Host", "h:81"),
        ("Host", "u@h"),
        ("Host", "h/"),
        ("Host", ""),
        ("Connection", "close"),
        ("Upgrade", "h2c"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Sec-WebSocket-Accept", "x"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
    ] {
        let converted = ClientRequest::try_from(client_request("ws://h/", &[(name, value)]));
        assert_eq!(converted, Err(SendError::HeaderReserved), "{name}: {value}");
    }
}

#[test]
fn a_request_that_cannot_be_sent_is_refused_by_name() {
    let cases = [
        (
            client_request("http://h/", &[]),
            SendError::UriSchemeUnsupported,
        ),
        (
            client_request("/chat", &[]),
            SendError::UriSchemeUnsupported,
        ),
        (client_request("ws://u:p@h/", &[]), SendError::UriUserInfo),
        (
            client_request("ws://h/\"a\"", &[]),
            SendError::UriCharacterInvalid,
        ),
        (
            client_request("ws://h/", &[("Sec-WebSocket-Protocol", "a b")]),
            SendError::SubprotocolInvalid,
        ),
        (
            client_request("ws://h/", &[("Sec-WebSocket-Protocol", "a, a")]),
            SendError::SubprotocolRepeated,
        ),
        (
            client_request("ws://h/", &[("Sec-WebSocket-Protocol", "\u{e4}")]),
            SendError::SubprotocolInvalid,
        ),
    ];
    for (request, error) in cases {
        assert_eq!(ClientRequest::try_from(&request), Err(error), "{request:?}");
    }
    let post = http::Request::post("ws://h/").body(()).unwrap();
    assert_eq!(ClientRequest::try_from(post), Err(SendError::MethodNotGet));
}

#[test]
fn uris_are_the_same_on_both_sides() {
    for text in [
        "ws://h/",
        "wss://h:8443/a?b=c",
        "ws://[::1]:81/?x",
        "ws://127.0.0.1/%20",
    ] {
        let uri: http::Uri = text.parse().unwrap();
        let ours = Uri::try_from(&uri).unwrap();
        assert_eq!(ours, text.parse().unwrap());
        assert_eq!(Uri::try_from(uri.clone()), Ok(ours.clone()));
        assert_eq!(http::Uri::try_from(&ours).unwrap(), uri);
    }
    assert_eq!(
        Uri::try_from(http::Uri::from_static("https://h/")),
        Err(SendError::UriSchemeUnsupported)
    );
    let long: Uri = format!("ws://h/{}", "x".repeat(70_000)).parse().unwrap();
    assert!(http::Uri::try_from(&long).is_err());
}

// ---- Whatever the request ----

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_request_is_judged_the_same_whoever_parsed_it(
        (method, target, version) in request_lines(),
        lines in lines(),
        acceptance in select(vec![None, Some("a"), Some("b"), Some("chat")]),
    ) {
        let mut bytes = format!("{method} {target} {version:?}\r\n").into_bytes();
        for (name, value) in &lines {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        let mut request = http::Request::new(());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = target.parse().unwrap();
        *request.version_mut() = version;
        for (name, value) in &lines {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
        }

        let text = bytes.escape_ascii();
        match (serve(&bytes), Request::from_http(&request)) {
            (Ok(Some(Request::Upgrade(parsed))), Ok(Request::Upgrade(given))) => {
                prop_assert_eq!(parsed.resource_name(), given.resource_name());
                prop_assert_eq!(parsed.host(), given.host());
                prop_assert_eq!(parsed.origin(), given.origin());
                prop_assert_eq!(parsed.cookie("a"), given.cookie("a"));
                prop_assert_eq!(parsed.extensions(), given.extensions());
                prop_assert!(parsed.subprotocols().eq(given.subprotocols()));
                prop_assert_eq!(sorted(parsed.headers().iter()), sorted(given.headers().iter()));
                prop_assert_eq!(
                    parsed.origin_is_allowed(&OriginPolicy::SameOrigin),
                    given.origin_is_allowed(&OriginPolicy::SameOrigin)
                );
                let acceptance = match acceptance {
                    None => Acceptance::new(),
                    Some(subprotocol) => Acceptance::new().subprotocol(subprotocol),
                };
                let mut output = SendBuffer::new();
                let on_bytes = parsed.accept(acceptance.clone(), config(), &mut output);
                match (on_bytes, given.accept_http(acceptance, config())) {
                    (Ok(_), Ok((response, _))) => {
                        prop_assert_eq!(
                            output.to_vec().to_ascii_lowercase(),
                            on_the_wire(&response).to_ascii_lowercase()
                        );
                    }
                    (on_bytes, on_types) => {
                        prop_assert_eq!(on_bytes.unwrap_err(), on_types.unwrap_err());
                    }
                }
            }
            (Ok(Some(Request::Plain(parsed))), Ok(Request::Plain(given))) => {
                prop_assert_eq!(parsed.method(), given.method());
                prop_assert_eq!(sorted(parsed.headers().iter()), sorted(given.headers().iter()));
                // The crate writes the path that an empty one is.
                let given = given.target().to_owned();
                prop_assert!(parsed.target() == given || given.contains("://"), "{}", given);
            }
            (parsed, given) => {
                let (parsed, given) = (parsed.map(Option::unwrap), given);
                prop_assert_eq!(
                    parsed.map(|request| format!("{request:?}")).unwrap_err(),
                    given.map(|request| format!("{request:?}")).unwrap_err(),
                    "{}", text
                );
            }
        }
    }

    #[test]
    fn no_request_of_the_crate_panics_or_writes_lines_of_its_own(
        (method, target, version) in request_lines(),
        lines in lines(),
        uri in "(wss?://)?[a-z@:/?\"\u{e4}0-9.\\[\\]{}|^-]{0,12}",
    ) {
        let mut request = http::Request::new(());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = uri.parse().unwrap_or_else(|_| target.parse().unwrap());
        *request.version_mut() = version;
        for (name, value) in &lines {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let _ = Request::from_http(&request);
        let _ = UpgradeRequest::from_extended_connect(&request);
        if let Ok(client) = ClientRequest::try_from(&request) {
            let mut output = SendBuffer::new();
            ClientHandshake::start(&client, config(), NONCE, &mut output);
            let outcome = serve(&output.to_vec());
            prop_assert!(matches!(outcome, Ok(Some(Request::Upgrade(_)))), "{outcome:?}");
        }
    }
}

/// Methods, targets and versions that both sides can hold; a fragment is lost on one.
fn request_lines() -> impl Strategy<Value = (&'static str, &'static str, Version)> {
    (
        select(vec!["GET", "GET", "GET", "HEAD", "POST", "get", "X!"]),
        select(vec![
            "/",
            "/chat?x=y",
            "//a//b?",
            "*",
            "http://a.example:80/chat",
            "https://b.example",
            "HTTP://c.example?x",
            "ftp://d.example/",
            "http://u@e.example/",
            "e.example:80",
        ]),
        select(vec![
            Version::HTTP_11,
            Version::HTTP_11,
            Version::HTTP_11,
            Version::HTTP_10,
        ]),
    )
}

/// Header lines that often ask for an upgrade, or nearly.
fn lines() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let good = vec![
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ];
    let line = select(vec![
        ("Host", "h"),
        ("host", ""),
        ("Host", ":80"),
        ("Upgrade", "h2c, WebSocket"),
        ("Connection", "keep-alive"),
        ("Sec-WebSocket-Key", "AAAA"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Protocol", "a, chat"),
        ("sec-websocket-protocol", "b,, c"),
        ("Sec-WebSocket-Protocol", "a b"),
        ("Sec-WebSocket-Extensions", "a; b=\"c\", d"),
        ("Sec-WebSocket-Extensions", "a;"),
        ("Content-Length", "0"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Origin", "http://server.example.com"),
        ("Origin", "null"),
        ("Cookie", "a=b; c=d"),
    ]);
    let any_value = vec(prop_oneof![32..=126_u8, 128..=255_u8, Just(b'\t')], 0..8);
    let own = prop_oneof![
        3 => line.prop_map(|(name, value)| (name, value.as_bytes().to_vec())),
        1 => any_value.prop_map(|value| ("X-Own", value)),
    ];
    (proptest::sample::subsequence(good, 3..=5), vec(own, 0..4)).prop_map(|(good, own)| {
        let good = good.into_iter();
        good.map(|(name, value)| (name, value.as_bytes().to_vec()))
            .chain(own)
            .collect()
    })
}

// ---- The rig ----

/// Section 1.3's key, and the nonce that it is the base64 of.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const NONCE: [u8; 16] = *b"the sample nonce";

fn config() -> Arc<Config> {
    Arc::new(Config::default())
}

fn upgrade() -> http::Request<()> {
    upgrade_and(&[])
}

fn upgrade_and(lines: &[(&str, &str)]) -> http::Request<()> {
    let request = http::Request::get("/chat?room=1")
        .header("Host", "server.example.com")
        .header("Upgrade", "websocket")
        .header("Connection", "keep-alive, Upgrade")
        .header("Sec-WebSocket-Key", KEY)
        .header("Sec-WebSocket-Version", "13");
    lines
        .iter()
        .fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
        .body(())
        .unwrap()
}

fn extended_connect() -> http::Request<()> {
    http::Request::connect("https://server.example.com/chat?x=y")
        .version(Version::HTTP_2)
        .header("Sec-WebSocket-Version", "13")
        .header("Origin", "https://server.example.com")
        .body(())
        .unwrap()
}

fn client_request(uri: &str, lines: &[(&str, &str)]) -> http::Request<()> {
    lines
        .iter()
        .fold(http::Request::get(uri), |request, (name, value)| {
            request.header(*name, *value)
        })
        .body(())
        .unwrap()
}

fn insert(request: &mut http::Request<()>, name: &'static str, value: &'static str) {
    request
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

fn accepted(request: &http::Request<()>) -> UpgradeRequest {
    match Request::from_http(request) {
        Ok(Request::Upgrade(upgrade)) => upgrade,
        outcome => panic!("{request:?}\n{outcome:?}"),
    }
}

fn plain(request: &http::Request<()>) -> PlainRequest {
    match Request::from_http(request) {
        Ok(Request::Plain(plain)) => plain,
        outcome => panic!("{request:?}\n{outcome:?}"),
    }
}

fn serve(bytes: &[u8]) -> Result<Option<Request>, HandshakeError> {
    ServerHandshake::new(config()).receive(&mut RecvBuffer::from(bytes))
}

/// What a client keeps of an answer that refuses.
fn refusal(answer: &[u8]) -> RefusedResponse {
    let request = ClientRequest::new("ws://h/").unwrap();
    let mut client = ClientHandshake::start(&request, config(), NONCE, &mut SendBuffer::new());
    let outcome: Result<Option<UpgradeResponse>, _> = client.receive(&mut RecvBuffer::from(answer));
    match outcome {
        Err(HandshakeError::Refused(refused)) => *refused,
        outcome => panic!("{outcome:?}"),
    }
}

/// A 101 answer as a server of HTTP/1.1 writes it.
fn on_the_wire(response: &http::Response<()>) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {} {}\r\n",
        response.status().as_str(),
        response.status().canonical_reason().unwrap()
    )
    .into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Both ends are open, and understand each other.
fn talk(client: &mut Connection, server: &mut Connection) {
    let mut output = SendBuffer::new();
    client.send_text("hello", &mut output).unwrap();
    let mut input = RecvBuffer::from(&output.to_vec()[..]);
    let event = server.receive(&mut input, &mut SendBuffer::new());
    assert!(matches!(event, Ok(Some(Event::Text("hello")))), "{event:?}");
    let mut output = SendBuffer::new();
    server.send_text("world", &mut output).unwrap();
    let mut input = RecvBuffer::from(&output.to_vec()[..]);
    let event = client.receive(&mut input, &mut SendBuffer::new());
    assert!(matches!(event, Ok(Some(Event::Text("world")))), "{event:?}");
}

/// Lines by name; those of one name stay in order.
fn sorted<'a>(lines: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    let mut lines: Vec<_> = lines
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()))
        .collect();
    lines.sort_by(|one, other| one.0.cmp(&other.0));
    lines
}
