//! Tunnels through HTTP proxies: what is written to a proxy, which answers open a tunnel, and what
//! is kept of one that refuses.
//!
//! Answers are written by hand, and each is fed whole and in pieces: how bytes come may change
//! nothing.
//!
//! RFC 9110, section 9.3.6; RFC 7617.

use std::sync::Arc;
use std::time::{Duration, Instant};

use framewright::handshake::{ClientHandshake, ClientRequest, Proxy, ProxyHandshake, Uri};
use framewright::{Config, HandshakeError, RecvBuffer, RefusedResponse, SendBuffer, SendError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

// ---- The request ----

#[test]
fn the_request_for_a_tunnel_is_written_exactly() {
    let proxy = Proxy::new("http://Aladdin:open%20sesame@proxy.example:3128")
        .unwrap()
        .header("User-Agent", "framewright")
        .unwrap()
        .header("X-Session", "\t a \u{e4} ")
        .unwrap();
    // RFC 7617, section 2: "If the user agent wishes to send the user-id "Aladdin" and password
    // "open sesame", it would use the following header field".
    assert_eq!(
        String::from_utf8(written(&proxy, "wss://server.example.com/chat")).unwrap(),
        "CONNECT server.example.com:443 HTTP/1.1\r\n\
         Host: server.example.com:443\r\n\
         Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\
         User-Agent: framewright\r\n\
         X-Session: a \u{e4}\r\n\
         \r\n"
    );
}

#[test]
fn the_target_is_a_host_and_a_port_in_any_case() {
    // RFC 9110, section 9.3.6: "the client sends the request target [...] consists of only the host
    // name and port number of the tunnel destination".
    for (uri, target) in [
        ("ws://example.com", "example.com:80"),
        ("ws://example.com:80/chat?x=y", "example.com:80"),
        ("wss://EXAMPLE.com/", "example.com:443"),
        ("wss://example.com:8443/", "example.com:8443"),
        ("ws://127.0.0.1:9001/", "127.0.0.1:9001"),
        ("ws://[2001:DB8::1]/", "[2001:db8::1]:80"),
        ("wss://[::1]:9001/", "[::1]:9001"),
    ] {
        assert_eq!(
            String::from_utf8(written(&plain(), uri)).unwrap(),
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"),
        );
    }
}

#[test]
fn what_a_proxy_uri_leaves_out_has_its_default() {
    for (uri, host, port) in [
        ("http://proxy.example", "proxy.example", 80),
        ("http://proxy.example/", "proxy.example", 80),
        ("http://proxy.example:", "proxy.example", 80),
        ("HTTP://Proxy.Example:3128/", "proxy.example", 3128),
        ("http://127.0.0.1:8080", "127.0.0.1", 8080),
        ("http://[::1]:8080", "::1", 8080),
        ("http://[2001:DB8::1]", "2001:db8::1", 80),
        ("http://user@proxy.example", "proxy.example", 80),
        ("http://user:a:b@[::1]:1/", "::1", 1),
    ] {
        let proxy = Proxy::new(uri).unwrap();
        assert_eq!((proxy.host(), proxy.port()), (host, port), "{uri}");
        assert_eq!(uri.parse::<Proxy>(), Ok(proxy), "{uri}");
    }
}

#[test]
fn what_is_no_proxy_uri_is_refused_by_name() {
    for (uri, error) in [
        ("", SendError::ProxyUriInvalid),
        ("proxy.example:3128", SendError::ProxyUriInvalid),
        ("//proxy.example", SendError::ProxyUriInvalid),
        // Credentials would go to it unprotected, and the user thinks that they do not.
        ("https://proxy.example", SendError::ProxyUriInvalid),
        ("socks5://proxy.example", SendError::ProxyUriInvalid),
        ("ws://proxy.example", SendError::ProxyUriInvalid),
        ("http://proxy.example/path", SendError::ProxyUriInvalid),
        ("http://proxy.example//", SendError::ProxyUriInvalid),
        ("http://proxy.example?x", SendError::ProxyUriInvalid),
        ("http://proxy.example/#x", SendError::ProxyUriInvalid),
        (
            "http://user:pass/word@proxy.example",
            SendError::ProxyUriInvalid,
        ),
        ("http://", SendError::UriHostInvalid),
        ("http:///", SendError::UriHostInvalid),
        ("http://:3128", SendError::UriHostInvalid),
        ("http://user:password@", SendError::UriHostInvalid),
        ("http://user:pass@word@h", SendError::UriHostInvalid),
        ("http://[::1", SendError::UriHostInvalid),
        ("http://a%20b", SendError::UriHostInvalid),
        ("http://proxy.example:0", SendError::UriPortInvalid),
        ("http://proxy.example:65536", SendError::UriPortInvalid),
        ("http://proxy.example:http", SendError::UriPortInvalid),
        (
            "http://proxy.example\r\nX: y",
            SendError::UriCharacterInvalid,
        ),
        ("http://user:pass word@h", SendError::UriCharacterInvalid),
        ("http://user:100%@h", SendError::UriCharacterInvalid),
        ("http://us\0er@h", SendError::UriCharacterInvalid),
        ("http://b\u{fc}cher.example", SendError::UriCharacterInvalid),
    ] {
        assert_eq!(Proxy::new(uri).unwrap_err(), error, "{uri:?}");
        // What is refused is not repeated, for it may hold a password.
        assert!(!error.to_string().contains("pass"), "{error}");
    }
}

#[test]
fn a_user_is_percent_decoded_and_sent_in_utf_8() {
    for (user_info, credentials) in [
        ("user:password", "dXNlcjpwYXNzd29yZA=="),
        // RFC 7617, section 2.1: "test" and "123" with the pound sign, in UTF-8.
        ("test:123%C2%A3", "dGVzdDoxMjPCow=="),
        // Without a password there is an empty one, and a password may hold colons.
        ("user", "dXNlcjo="),
        ("user:", "dXNlcjo="),
        (":token", "OnRva2Vu"),
        (":", "Og=="),
        ("a:b:c", "YTpiOmM="),
        ("a:b%3Ac", "YTpiOmM="),
        ("%61%3f:%40%2F%23%25", "YT86QC8jJQ=="),
        ("a!$&'()*+,;=:-._~", "YSEkJicoKSorLDs9Oi0uX34="),
    ] {
        let proxy = Proxy::new(&format!("http://{user_info}@proxy.example")).unwrap();
        let bytes = String::from_utf8(written(&proxy, "ws://h")).unwrap();
        let line = format!("\r\nProxy-Authorization: Basic {credentials}\r\n\r\n");
        assert!(bytes.ends_with(&line), "{user_info}: {bytes}");
    }
    // Nobody at all is no user.
    let nobody = Proxy::new("http://@proxy.example").unwrap();
    assert_eq!(nobody, Proxy::new("http://proxy.example").unwrap());
}

#[test]
fn credentials_are_text_and_a_user_name_holds_no_colon() {
    // RFC 7617, section 2: "a user-id containing a colon character is invalid", and "The user-id
    // and password MUST NOT contain any control characters".
    for user_info in [
        "us%3Aer:password",
        "us%3aer",
        "user:pass%00word",
        "user:pass%0D%0Aword",
        "us%0Aer:password",
        "user:%7F",
        "%1f:",
        "user:%FF",
        "user:%C3",
    ] {
        let uri = format!("http://{user_info}@proxy.example");
        assert_eq!(
            Proxy::new(&uri).unwrap_err(),
            SendError::ProxyCredentialsInvalid,
            "{user_info}"
        );
    }
    for (user, password) in [
        ("us:er", "password"),
        ("user", "pass\r\nword"),
        ("us\0er", "password"),
        ("user", "\u{7f}"),
    ] {
        assert_eq!(
            plain().basic_auth(user, password).unwrap_err(),
            SendError::ProxyCredentialsInvalid,
            "{user:?} {password:?}"
        );
    }
}

#[test]
fn a_proxy_is_told_one_authorization() {
    let by_uri = Proxy::new("http://user:password@proxy.example:3128").unwrap();
    let by_call = plain().basic_auth("user", "password").unwrap();
    assert_eq!(by_uri, by_call);
    let bearer = by_uri
        .header("X-First", "1")
        .unwrap()
        .header("proxy-authorization", "Bearer 0123")
        .unwrap();
    assert_eq!(
        written(&bearer, "ws://h"),
        b"CONNECT h:80 HTTP/1.1\r\n\
          Host: h:80\r\n\
          X-First: 1\r\n\
          proxy-authorization: Bearer 0123\r\n\
          \r\n"
    );
    let basic = bearer.basic_auth("user", "password").unwrap();
    let bytes = String::from_utf8(written(&basic, "ws://h")).unwrap();
    assert!(!bytes.contains("Bearer"));
    assert_eq!(bytes.to_lowercase().matches("authorization").count(), 1);
}

#[test]
fn no_field_of_the_request_can_hold_a_line_end() {
    for end in ["\r\n", "\r", "\n", "\0", "\r\nX-Other: value"] {
        for (before, after) in [
            ("http://h", ""),
            ("http://", "h"),
            ("http://us", "er:password@h"),
            ("http://user:pass", "word@h"),
            ("http://h:80", ""),
            ("http://h:80/", ""),
        ] {
            assert_eq!(
                Proxy::new(&format!("{before}{end}{after}")).unwrap_err(),
                SendError::UriCharacterInvalid,
                "{before:?} {end:?} {after:?}"
            );
        }
        for (before, after) in [("", ""), ("", "b"), ("a", ""), ("a", "b")] {
            let field = format!("{before}{end}{after}");
            assert_eq!(
                plain().header(&field, "value").unwrap_err(),
                SendError::HeaderNameInvalid,
                "{field:?}"
            );
            assert_eq!(
                plain().header("X-Name", &field).unwrap_err(),
                SendError::HeaderValueInvalid,
                "{field:?}"
            );
        }
    }
}

#[test]
fn header_lines_of_the_request_are_not_the_callers() {
    for name in [
        "Host",
        "host",
        "CONNECTION",
        "Content-Length",
        "transfer-encoding",
        "Trailer",
        "Upgrade",
    ] {
        assert_eq!(
            plain().header(name, "value").unwrap_err(),
            SendError::HeaderReserved,
            "{name}"
        );
    }
    for name in [
        "Proxy-Authorization",
        "User-Agent",
        "Proxy-Connection",
        "X-Host",
    ] {
        assert!(plain().header(name, "value").is_ok(), "{name}");
    }
}

#[test]
fn a_password_is_not_for_logs() {
    let proxy = Proxy::new("http://alice:s3cret@proxy.example:3128")
        .unwrap()
        .header("X-Own", "s3cret")
        .unwrap();
    for text in [format!("{proxy:?}"), format!("{proxy:#?}")] {
        assert!(text.contains("proxy.example"), "{text}");
        assert!(text.contains("3128"), "{text}");
        // As it is, in base64, and as the numbers of its bytes.
        for secret in ["s3cret", "czNjcmV0", "YWxpY2U6czNjcmV0", "115, 51"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let handshake =
        ProxyHandshake::start(&proxy, &uri("ws://h"), defaults(), &mut SendBuffer::new());
    assert!(!format!("{handshake:?}").contains("YWxpY2U6czNjcmV0"));
}

// ---- Answers that open a tunnel ----

#[test]
fn any_2xx_opens_the_tunnel() {
    // RFC 9110, section 9.3.6: "Any 2xx (Successful) response indicates that the sender (and all
    // inbound proxies) will switch to tunnel mode".
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 201 Created\r\nVia: 1.1 proxy\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 299 \r\n\r\n",
        // Proxies that speak no HTTP/1.1 of their own are many.
        "HTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        opens(answer);
    }
}

#[test]
fn a_length_in_a_2xx_is_ignored() {
    // RFC 9110, section 9.3.6: "A client MUST ignore any Content-Length or Transfer-Encoding header
    // fields received in a successful response to CONNECT."
    for lines in [
        "Content-Length: 0",
        "Content-Length: 5",
        "Content-Length: x",
        "Content-Length: 1\r\nContent-Length: 2",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip\r\nContent-Length: 5",
        "Connection: close",
    ] {
        opens(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"));
    }
}

#[test]
fn what_comes_behind_an_open_tunnel_is_the_next_protocols() {
    let mut handshake = start();
    let mut input = RecvBuffer::from(&b"HTTP/1.1 200 OK\r\n\r\n"[..]);
    assert_eq!(handshake.receive(&mut input), Ok(Some(())));
    assert!(input.unread().is_empty());
    input.extend(b"HTTP/1.1 101 Switching Protocols\r\n");
    assert_eq!(handshake.receive(&mut input), Ok(Some(())));
    assert_eq!(input.unread(), b"HTTP/1.1 101 Switching Protocols\r\n");
}

#[test]
fn the_opening_handshake_goes_through_the_tunnel() {
    let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
    let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
    let mut tunnel = ProxyHandshake::start(&plain(), request.uri(), defaults(), &mut output);
    input.extend(b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(tunnel.receive(&mut input), Ok(Some(())));
    output.consume(output.len());
    let nonce = *b"the sample nonce";
    let mut client = ClientHandshake::start(&request, defaults(), nonce, &mut output);
    // The server sees its own name, and nothing of the proxy.
    assert!(
        output
            .to_vec()
            .starts_with(b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\n")
    );
    input.extend(
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
          \r\n",
    );
    assert!(matches!(client.receive(&mut input), Ok(Some(_))));
}

#[test]
fn bytes_that_come_with_the_answer_are_no_servers() {
    // Neither a WebSocket server nor a TLS server speaks before its client does.
    for behind in [
        &b"\0"[..],
        b"hello",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"\x16\x03\x01",
        b"\r\n",
    ] {
        let mut handshake = start();
        let bytes = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", behind].concat();
        let mut input = RecvBuffer::from(&bytes[..]);
        let error = HandshakeError::ProxySpokeFirst;
        assert_eq!(handshake.receive(&mut input), Err(error.clone()));
        // It latches.
        assert_eq!(
            handshake.receive(&mut RecvBuffer::new()),
            Err(error.clone())
        );
        assert_eq!(handshake.receive_eof(), error);
    }
}

// ---- Answers that do not ----

#[test]
fn any_other_status_is_a_refusal_with_the_answer_in_it() {
    for status in [
        101, 300, 302, 400, 401, 403, 404, 407, 426, 500, 502, 503, 504, 599,
    ] {
        let answer = format!("HTTP/1.1 {status} \r\nContent-Length: 0\r\n\r\n");
        let refused = refused(answer.as_bytes());
        assert_eq!(refused.status, status);
        assert!(!refused.body_truncated);
    }
    let refused = refused(
        b"HTTP/1.1 100 Continue\r\n\r\n\
          HTTP/1.1 407 Proxy Authentication Required\r\n\
          Proxy-Authenticate: Basic realm=\"x\"\r\n\
          Content-Length: 12\r\n\
          \r\n\
          who are you?",
    );
    assert_eq!(refused.status, 407);
    assert_eq!(
        refused.header("Proxy-Authenticate"),
        Some(&b"Basic realm=\"x\""[..])
    );
    assert_eq!(&refused.body[..], b"who are you?");
    let error = HandshakeError::ProxyRefused(Box::new(refused));
    assert_eq!(
        error.to_string(),
        "proxy refused the tunnel with status 407"
    );
    assert_eq!(error.status(), None);
}

#[test]
fn nobody_asked_a_proxy_to_switch_protocols() {
    // Not even one that says what a WebSocket server would.
    let refused = refused(
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          \r\n",
    );
    assert_eq!(refused.status, 101);
    assert!(!refused.body_truncated);
}

#[test]
fn the_body_of_a_refusal_is_bounded_and_says_so() {
    let mut config = Config::default();
    config.max_refused_body_len = 5;
    let config = Arc::new(config);
    for (answer, body, truncated) in [
        (
            "HTTP/1.1 502 \r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            false,
        ),
        (
            "HTTP/1.1 502 \r\nContent-Length: 6\r\n\r\nhello!",
            "hello",
            true,
        ),
        (
            "HTTP/1.1 502 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            "hello",
            false,
        ),
        ("HTTP/1.0 502 \r\n\r\nhello", "hello", false),
        ("HTTP/1.0 502 \r\n\r\nhello, world", "hello", true),
        ("HTTP/1.1 502 \r\nContent-Length: 5\r\n\r\nhel", "hel", true),
    ] {
        for step in STEPS {
            let mut handshake = start_within(&config);
            let outcome = match feed(&mut handshake, answer.as_bytes(), step) {
                Ok(None) => Err(handshake.receive_eof()),
                outcome => outcome,
            };
            let Err(HandshakeError::ProxyRefused(refused)) = outcome else {
                panic!("{answer}: {outcome:?}");
            };
            assert_eq!(&refused.body[..], body.as_bytes(), "{answer}");
            assert_eq!(refused.body_truncated, truncated, "{answer}");
        }
    }
}

#[test]
fn at_most_eight_interim_answers_are_read() {
    for (count, outcome) in [
        (8, Ok(Some(()))),
        (9, Err(HandshakeError::TooManyInterimResponses)),
    ] {
        let answer = "HTTP/1.1 102 \r\n\r\n".repeat(count);
        let answer = format!("{answer}HTTP/1.1 200 \r\n\r\n");
        for step in STEPS {
            assert_eq!(feed(&mut start(), answer.as_bytes(), step), outcome);
        }
    }
}

#[test]
fn what_is_no_http_is_no_answer() {
    for (answer, error) in [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", HandshakeError::HeadMalformed),
        ("\x05\x00", HandshakeError::HeadMalformed),
        ("HTTP/1.1 200 OK\n\n", HandshakeError::HeadMalformed),
        (
            "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
            HandshakeError::HeadMalformed,
        ),
        (
            "HTTP/1.1 200 OK\r\n folded\r\n\r\n",
            HandshakeError::HeadMalformed,
        ),
        ("HTTP/1.1 600 \r\n\r\n", HandshakeError::HeadMalformed),
        ("HTTP/1.1 99 \r\n\r\n", HandshakeError::HeadMalformed),
        (
            "HTTP/2.0 200 OK\r\n\r\n",
            HandshakeError::HttpVersionUnsupported,
        ),
    ] {
        for step in STEPS {
            let mut handshake = start();
            let outcome = feed(&mut handshake, answer.as_bytes(), step);
            assert_eq!(outcome, Err(error.clone()), "{answer:?}");
            assert_eq!(
                handshake.receive(&mut RecvBuffer::from(&b"HTTP/1.1 200 \r\n\r\n"[..])),
                Err(error.clone())
            );
        }
    }
}

#[test]
fn the_head_of_an_answer_is_bounded() {
    let mut config = Config::default();
    config.max_head_len = 200;
    config.max_headers = 3;
    let config = Arc::new(config);
    let padded = |len: usize| {
        let padding = "y".repeat(len - "HTTP/1.1 200 \r\nx: \r\n\r\n".len());
        format!("HTTP/1.1 200 \r\nx: {padding}\r\n\r\n")
    };
    let with_lines = |count: usize| format!("HTTP/1.1 200 \r\n{}\r\n", "x: y\r\n".repeat(count));
    for (answer, outcome) in [
        (padded(200), Ok(Some(()))),
        (padded(201), Err(HandshakeError::HeadTooLong)),
        (with_lines(3), Ok(Some(()))),
        (with_lines(4), Err(HandshakeError::TooManyHeaders)),
    ] {
        for step in STEPS {
            let mut handshake = start_within(&config);
            assert_eq!(feed(&mut handshake, answer.as_bytes(), step), outcome);
        }
    }
}

#[test]
fn a_proxy_that_closes_opens_nothing() {
    for answer in [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 \r\n\r\n",
    ] {
        let mut handshake = start();
        assert_eq!(feed(&mut handshake, answer.as_bytes(), 1), Ok(None));
        assert_eq!(handshake.receive_eof(), HandshakeError::EndOfStream);
        assert_eq!(handshake.receive_eof(), HandshakeError::EndOfStream);
        assert_eq!(
            handshake.receive(&mut RecvBuffer::new()),
            Err(HandshakeError::EndOfStream)
        );
    }
}

// ---- The deadline ----

#[test]
fn the_deadline_is_that_of_connecting_and_no_byte_extends_it() {
    let begin = Instant::now();
    let mut config = Config::default();
    config.connect_timeout = Some(Duration::from_secs(3));
    config.handshake_timeout = None;
    let mut handshake = start_within(&Arc::new(config));
    assert_eq!(handshake.next_deadline(), None);
    handshake.set_now(begin);
    let deadline = begin + Duration::from_secs(3);
    assert_eq!(handshake.next_deadline(), Some(deadline));
    handshake.set_now(begin + Duration::from_secs(1));
    let mut input = RecvBuffer::from(&b"HTTP/1.1 "[..]);
    assert_eq!(handshake.receive(&mut input), Ok(None));
    assert_eq!(handshake.next_deadline(), Some(deadline));
    let almost = deadline - Duration::from_nanos(1);
    assert_eq!(handshake.handle_timeout(almost), Ok(()));
    let error = HandshakeError::ProxyTimedOut;
    assert_eq!(handshake.handle_timeout(deadline), Err(error.clone()));
    // An answer that is late opens nothing.
    input.extend(b"200 OK\r\n\r\n");
    assert_eq!(handshake.receive(&mut input), Err(error.clone()));
    assert!(error.to_string().contains("connect_timeout"));
}

#[test]
fn a_refusal_on_its_way_is_the_error_at_the_deadline() {
    let begin = Instant::now();
    let mut handshake = start();
    handshake.set_now(begin);
    let answer = b"HTTP/1.1 503 \r\nContent-Length: 9\r\n\r\nno";
    assert_eq!(feed(&mut handshake, answer, usize::MAX), Ok(None));
    let outcome = handshake.handle_timeout(begin + Duration::from_secs(10));
    let Err(HandshakeError::ProxyRefused(refused)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(refused.status, 503);
    assert_eq!(&refused.body[..], b"no");
    assert!(refused.body_truncated);
}

#[test]
fn an_open_tunnel_has_no_deadline() {
    let begin = Instant::now();
    let mut handshake = start();
    handshake.set_now(begin);
    assert!(handshake.next_deadline().is_some());
    let outcome = feed(&mut handshake, b"HTTP/1.1 200 \r\n\r\n", usize::MAX);
    assert_eq!(outcome, Ok(Some(())));
    assert_eq!(handshake.next_deadline(), None);
    let late = begin + Duration::from_secs(3600);
    assert_eq!(handshake.handle_timeout(late), Ok(()));
    let mut unbounded = Config::default();
    unbounded.connect_timeout = None;
    let mut handshake = start_within(&Arc::new(unbounded));
    handshake.set_now(begin);
    assert_eq!(handshake.next_deadline(), None);
    assert_eq!(handshake.handle_timeout(late), Ok(()));
}

// ---- Whatever the bytes ----

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_same_bytes_open_the_same_tunnel_however_they_come(
        bytes in answers(),
        cuts in vec(1..40_usize, 1..10),
    ) {
        let mut whole = start();
        let outcome = match feed(&mut whole, &bytes, usize::MAX) {
            Ok(None) => Err(whole.receive_eof()),
            outcome => outcome,
        };
        let mut pieces = start();
        let mut fed = 0;
        let mut input = RecvBuffer::new();
        let mut judged = Ok(None);
        let mut cuts = cuts.iter().cycle();
        while fed < bytes.len() && judged == Ok(None) {
            let end = (fed + cuts.next().unwrap()).min(bytes.len());
            input.extend(&bytes[fed..end]);
            fed = end;
            judged = pieces.receive(&mut input);
        }
        if judged == Ok(None) {
            judged = Err(pieces.receive_eof());
        }
        // What comes later than the answer is the next protocol's to refuse.
        if outcome == Err(HandshakeError::ProxySpokeFirst) && judged == Ok(Some(())) {
            prop_assert!(fed < bytes.len());
        } else {
            prop_assert_eq!(outcome, judged);
        }
    }

    #[test]
    fn a_header_of_any_bytes_is_refused_or_is_one_line(
        name in "[a-zA-Z:\r\n\0 -]{0,6}",
        value in vec(prop_oneof![6 => 32..=126_u8, 1 => any::<u8>()], 0..10),
    ) {
        if let Ok(proxy) = plain().header(&name, &value) {
            let expected = [
                b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n",
                name.as_bytes(),
                b": ",
                value.trim_ascii(),
                b"\r\n\r\n",
            ]
            .concat();
            prop_assert_eq!(written(&proxy, "ws://h"), expected);
        }
    }

    #[test]
    fn a_proxy_uri_of_any_characters_is_refused_or_writes_lines_of_its_own(
        uri in "http://([a-zA-Z0-9:@%/?#\r\n\0 .\u{e4}]|\\[|\\]|%[0-9a-f]{2}){0,16}",
    ) {
        if let Ok(proxy) = Proxy::new(&uri) {
            let text = String::from_utf8(written(&proxy, "ws://h")).unwrap();
            let lines: Vec<_> = text.split("\r\n").collect();
            prop_assert_eq!(&lines[..2], ["CONNECT h:80 HTTP/1.1", "Host: h:80"]);
            prop_assert_eq!(&lines[lines.len() - 2..], ["", ""]);
            let own = &lines[2..lines.len() - 2];
            prop_assert!(own.len() <= 1);
            for line in own {
                prop_assert!(line.starts_with("Proxy-Authorization: Basic "));
                prop_assert!(line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
            }
        }
    }
}

fn answers() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => select(vec![
            &b"HTTP/1.1 200 OK\r\n"[..],
            b"HTTP/1.0 200 OK\r\n",
            b"HTTP/1.1 407 \r\n",
            b"HTTP/1.1 100 \r\n\r\n",
            b"HTTP/1.1 101 \r\n",
            b"Content-Length: 2\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"X: y\r\n",
            b"\r\n",
            b"1\r\nx\r\n0\r\n\r\n",
        ])
        .prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..5),
    ];
    vec(part, 0..6).prop_map(|parts| parts.concat())
}

// ---- The rig ----

/// How many bytes come at a time.
const STEPS: [usize; 6] = [usize::MAX, 1, 2, 3, 7, 13];

fn defaults() -> Arc<Config> {
    Arc::new(Config::default())
}

fn uri(uri: &str) -> Uri {
    uri.parse().unwrap()
}

fn plain() -> Proxy {
    Proxy::new("http://proxy.example:3128").unwrap()
}

fn written(proxy: &Proxy, target: &str) -> Vec<u8> {
    let mut output = SendBuffer::new();
    ProxyHandshake::start(proxy, &uri(target), defaults(), &mut output);
    output.to_vec()
}

fn start_within(config: &Arc<Config>) -> ProxyHandshake {
    let target = uri("wss://server.example.com/");
    ProxyHandshake::start(
        &plain(),
        &target,
        Arc::clone(config),
        &mut SendBuffer::new(),
    )
}

fn start() -> ProxyHandshake {
    start_within(&defaults())
}

/// Feeds `bytes`, `step` at a time, until they are judged.
fn feed(
    handshake: &mut ProxyHandshake,
    bytes: &[u8],
    step: usize,
) -> Result<Option<()>, HandshakeError> {
    let mut input = RecvBuffer::new();
    let mut outcome = handshake.receive(&mut input);
    for piece in bytes.chunks(step.min(bytes.len().max(1))) {
        if outcome != Ok(None) {
            break;
        }
        input.extend(piece);
        outcome = handshake.receive(&mut input);
    }
    outcome
}

fn opens(answer: &str) {
    for step in STEPS {
        let outcome = feed(&mut start(), answer.as_bytes(), step);
        assert_eq!(outcome, Ok(Some(())), "{answer:?} in steps of {step}");
    }
}

/// The refusal in an answer that says itself where it ends.
fn refused(bytes: &[u8]) -> RefusedResponse {
    let whole = feed(&mut start(), bytes, usize::MAX);
    for step in STEPS {
        assert_eq!(feed(&mut start(), bytes, step), whole, "in steps of {step}");
    }
    match whole {
        Err(HandshakeError::ProxyRefused(refused)) => *refused,
        outcome => panic!("{}\n{outcome:?}", bytes.escape_ascii()),
    }
}
