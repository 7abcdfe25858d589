//! Redirects: which answers are followed, where a Location leads, and what of a request goes along.
//!
//! RFC 3986, section 5; RFC 9110, sections 10.2.2 and 15.4.

use std::sync::Arc;

use framewright::handshake::{ClientHandshake, ClientRequest, Uri};
use framewright::{Config, HandshakeError, RecvBuffer, RefusedResponse, SendBuffer, SendError};
use proptest::prelude::*;

// ---- References ----

#[test]
fn references_are_resolved_as_in_the_examples_of_rfc_3986() {
    // 5.4: "Within a representation with a well defined base URI of http://a/b/c/d;p?q". Those with
    // a fragment are left out, and those with a scheme of their own.
    let base = uri("ws://a/b/c/d;p?q");
    for (reference, resource_name) in [
        // 5.4.1.
        ("g", "/b/c/g"),
        ("./g", "/b/c/g"),
        ("g/", "/b/c/g/"),
        ("/g", "/g"),
        ("?y", "/b/c/d;p?y"),
        ("g?y", "/b/c/g?y"),
        (";x", "/b/c/;x"),
        ("g;x", "/b/c/g;x"),
        ("g;x?y", "/b/c/g;x?y"),
        ("", "/b/c/d;p?q"),
        (".", "/b/c/"),
        ("./", "/b/c/"),
        ("..", "/b/"),
        ("../", "/b/"),
        ("../g", "/b/g"),
        ("../..", "/"),
        ("../../", "/"),
        ("../../g", "/g"),
        // 5.4.2.
        ("../../../g", "/g"),
        ("../../../../g", "/g"),
        ("/./g", "/g"),
        ("/../g", "/g"),
        ("g.", "/b/c/g."),
        (".g", "/b/c/.g"),
        ("g..", "/b/c/g.."),
        ("..g", "/b/c/..g"),
        ("./../g", "/b/g"),
        ("./g/.", "/b/c/g/"),
        ("g/./h", "/b/c/g/h"),
        ("g/../h", "/b/c/h"),
        ("g;x=1/./y", "/b/c/g;x=1/y"),
        ("g;x=1/../y", "/b/c/y"),
        ("g?y/./x", "/b/c/g?y/./x"),
        ("g?y/../x", "/b/c/g?y/../x"),
    ] {
        let joined = base.join(reference).unwrap();
        assert_eq!(
            joined.to_string(),
            format!("ws://a{resource_name}"),
            "{reference:?}"
        );
    }
    // 5.4.1: "//g" is "http://g".
    assert_eq!(base.join("//g").unwrap(), uri("ws://g/"));
}

#[test]
fn what_the_examples_leave_out_is_resolved_too() {
    for (base, reference, joined) in [
        ("ws://a", "g", "ws://a/g"),
        ("ws://a", "?x", "ws://a/?x"),
        ("ws://a?q", "", "ws://a/?q"),
        ("ws://a/b?q/r", "c", "ws://a/c"),
        ("ws://a/b/", "c?", "ws://a/b/c?"),
        ("ws://a/b/", "/", "ws://a/"),
        ("ws://a//b/c", "d", "ws://a//b/d"),
        ("ws://a//b/c", "..", "ws://a//"),
        ("ws://a/b", ".//c", "ws://a//c"),
        ("ws://a/b", "/c/..//d", "ws://a//d"),
        ("ws://a/b", "%2e%2E/c", "ws://a/%2e%2E/c"),
        ("ws://a/b", "c?d:e", "ws://a/c?d:e"),
        ("ws://a/b", "c/d:e", "ws://a/c/d:e"),
        // Authorities of their own, and ports that are the default.
        ("ws://a:81/b", "c", "ws://a:81/c"),
        ("ws://a:81/b", "//c/d/../e", "ws://c/e"),
        ("wss://a/b", "//c:443", "wss://c/"),
        (
            "wss://a/b",
            "//[2001:DB8::1]:80?x",
            "wss://[2001:db8::1]:80/?x",
        ),
        // Schemes of their own.
        ("ws://a/b", "WS://c", "ws://c/"),
        ("ws://a/b", "wss://c/./d", "wss://c/d"),
        ("wss://a/b", "ws://c", "ws://c/"),
        ("ws://a/b", "http://c:81/d?e", "ws://c:81/d?e"),
        ("ws://a/b", "HTTPS://c/d", "wss://c/d"),
        ("ws://a/b", "https://c:80/d", "wss://c:80/d"),
    ] {
        assert_eq!(
            uri(base).join(reference).unwrap().to_string(),
            joined,
            "{base} {reference:?}"
        );
    }
}

#[test]
fn a_reference_to_what_cannot_be_opened_is_refused_by_name() {
    for (reference, error) in [
        ("ftp://h/", SendError::UriSchemeUnsupported),
        ("g:h", SendError::UriSchemeUnsupported),
        ("javascript:alert(1)", SendError::UriSchemeUnsupported),
        ("://h/", SendError::UriSchemeUnsupported),
        (":80", SendError::UriSchemeUnsupported),
        ("ws:g", SendError::UriHostInvalid),
        ("https:/g", SendError::UriHostInvalid),
        ("ws:", SendError::UriHostInvalid),
        ("//", SendError::UriHostInvalid),
        ("///g", SendError::UriHostInvalid),
        ("wss://", SendError::UriHostInvalid),
        ("//[::1", SendError::UriHostInvalid),
        ("//h:0/", SendError::UriPortInvalid),
        ("//user:password@h/", SendError::UriUserInfo),
        ("https://user@h/", SendError::UriUserInfo),
        ("#", SendError::UriFragment),
        ("g#s", SendError::UriFragment),
        ("//h#s", SendError::UriFragment),
        ("wss://h/?x#s", SendError::UriFragment),
        ("a b", SendError::UriCharacterInvalid),
        (" /a", SendError::UriCharacterInvalid),
        ("/a\r\nX: y", SendError::UriCharacterInvalid),
        ("/a\0", SendError::UriCharacterInvalid),
        ("/\u{e4}", SendError::UriCharacterInvalid),
        ("/%4", SendError::UriCharacterInvalid),
        ("\\\\h\\a", SendError::UriCharacterInvalid),
    ] {
        assert_eq!(uri("ws://a/b").join(reference), Err(error), "{reference:?}");
    }
}

// ---- Answers ----

#[test]
fn five_statuses_are_redirects() {
    for status in 200..=599 {
        let refused = answered(&format!("HTTP/1.1 {status} \r\nLocation: /new\r\n"));
        let next = request("ws://h/old").redirected(&refused).unwrap();
        let is_redirect = [301, 302, 303, 307, 308].contains(&status);
        assert_eq!(next.is_some(), is_redirect, "{status}");
        if let Some(next) = next {
            assert_eq!(next.uri(), &uri("ws://h/new"));
        }
    }
}

#[test]
fn a_redirect_without_a_location_leads_nowhere() {
    let refused = answered("HTTP/1.1 302 Found\r\nX-Location: /new\r\n");
    assert_eq!(request("ws://h/").redirected(&refused), Ok(None));
}

#[test]
fn a_location_is_one_reference() {
    for lines in [
        "Location: /a\r\nLocation: /b\r\n",
        "Location: /a\r\nlocation: /a\r\n",
        "Location: /a, /b\r\n",
        "Location: /a b\r\n",
        "Location: /\u{e4}\r\n",
        "Location: /a#top\r\n",
        "Location: ftp://h/\r\n",
        "Location: //user:password@h/\r\n",
        "Location: //h:99999/\r\n",
        "Location: https://\r\n",
    ] {
        let refused = answered(&format!("HTTP/1.1 307 \r\n{lines}"));
        assert_eq!(
            request("ws://h/").redirected(&refused),
            Err(HandshakeError::LocationInvalid),
            "{lines}"
        );
    }
    let mut not_text = b"HTTP/1.1 307 \r\nLocation: /\xff\r\n".to_vec();
    not_text.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    assert_eq!(
        request("ws://h/").redirected(&refusal_in(&not_text)),
        Err(HandshakeError::LocationInvalid)
    );
}

#[test]
fn a_secure_connection_stays_secure() {
    for (from, location, outcome) in [
        ("wss://h/", "ws://h/", Err(HandshakeError::RedirectInsecure)),
        (
            "wss://h/",
            "http://other/",
            Err(HandshakeError::RedirectInsecure),
        ),
        (
            "wss://h/",
            "HTTP://h:443/",
            Err(HandshakeError::RedirectInsecure),
        ),
        ("wss://h/", "//other/a", Ok("wss://other/a")),
        ("wss://h/", "a", Ok("wss://h/a")),
        ("wss://h/", "https://other/", Ok("wss://other/")),
        ("ws://h/", "https://h/", Ok("wss://h/")),
        ("ws://h/", "http://other/", Ok("ws://other/")),
        ("ws://h/", "wss://h/", Ok("wss://h/")),
    ] {
        let refused = answered(&format!("HTTP/1.1 308 \r\nLocation: {location}\r\n"));
        let next = request(from).redirected(&refused);
        let next = next.map(|next| next.unwrap().uri().to_string());
        assert_eq!(next, outcome.map(str::to_owned), "{from} {location}");
    }
}

// ---- What goes along ----

#[test]
fn to_the_same_origin_everything_goes_along() {
    // RFC 6454, section 5: scheme, host and port; how they are written does not matter.
    for (from, location) in [
        ("ws://h/", "/new"),
        ("ws://h/", "//H/new"),
        ("ws://h/", "http://h:80/new"),
        ("wss://h:443/", "https://h/new"),
        ("ws://[0:0::1]:81/", "//[::1]:81/new"),
    ] {
        let request = with_lines(from);
        let next = follow(&request, location);
        let expected = written(&request).replacen("GET / ", "GET /new ", 1);
        assert_eq!(written(&next), expected, "{from} {location}");
    }
}

#[test]
fn to_another_origin_credentials_do_not_go_along() {
    for (from, location, host) in [
        ("ws://h/", "//other/new", "other"),
        ("ws://h/", "//h.other/new", "h.other"),
        ("ws://h/", "//sub.h/new", "sub.h"),
        ("ws://h/", "//h:81/new", "h:81"),
        ("ws://h/", "wss://h/new", "h"),
        ("ws://h/", "wss://h:80/new", "h:80"),
        ("wss://h/", "//h:80/new", "h:80"),
    ] {
        let next = follow(&with_lines(from), location);
        assert_eq!(
            written(&next),
            format!(
                "GET /new HTTP/1.1\r\n\
                 Host: {host}\r\n\
                 Upgrade: websocket\r\n\
                 Connection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n\
                 Origin: https://page.example\r\n\
                 User-Agent: framewright\r\n\
                 X-Twice: 1\r\n\
                 X-Twice: 2\r\n\
                 \r\n"
            ),
            "{from} {location}"
        );
    }
}

#[test]
fn credentials_are_known_by_their_names() {
    for (name, is_credential) in [
        ("Authorization", true),
        ("AUTHORIZATION", true),
        ("Proxy-Authorization", true),
        ("Cookie", true),
        ("Cookie2", true),
        ("X-Api-Key", true),
        ("apikey", true),
        ("X-Auth-Token", true),
        ("X-Access-Token", true),
        ("X-CSRF-Token", true),
        ("X-Amz-Security-Token", true),
        ("X-Session-Id", true),
        ("X-Client-Secret", true),
        ("X-Password", true),
        ("X-Credentials", true),
        ("Origin", false),
        ("User-Agent", false),
        ("Accept-Language", false),
        ("Referer", false),
        ("X-Request-Id", false),
        ("Traceparent", false),
    ] {
        let request = request("ws://h/").header(name, "v4lue").unwrap();
        let goes_along = |location| written(&follow(&request, location)).contains("v4lue");
        assert!(goes_along("/new"), "{name}");
        assert_eq!(goes_along("//other/"), !is_credential, "{name}");
        // What is not sent to others is not for logs either.
        let shown = format!("{request:?}").contains("v4lue");
        assert_eq!(shown, !is_credential, "{name}");
    }
}

#[test]
fn credentials_that_were_left_behind_do_not_come_back() {
    let request = with_lines("ws://h/");
    let elsewhere = follow(&request, "//other/");
    let back = follow(&elsewhere, "//h/");
    assert!(!written(&back).contains("Authorization"));
    assert_eq!(back.uri(), request.uri());
}

#[cfg(feature = "deflate")]
#[test]
fn extensions_are_offered_again() {
    let request = request("ws://h/").deflate(framewright::DeflateConfig::default());
    for location in ["/new", "//other/"] {
        let next = written(&follow(&request, location));
        assert!(next.contains("\r\nSec-WebSocket-Extensions: permessage-deflate"));
    }
}

#[test]
fn too_many_redirects_say_where_the_last_one_led() {
    let refused = answered("HTTP/1.1 302 \r\nLocation: /again\r\n");
    let error = HandshakeError::TooManyRedirects(Box::new(refused));
    assert_eq!(
        error.to_string(),
        "server redirects more often than the client follows"
    );
    assert_eq!(error.status(), None);
}

// ---- Whatever the bytes ----

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_location_of_any_characters_is_refused_or_makes_a_request_that_is_whole(
        reference in prop_oneof![
            ".{0,12}",
            "(wss?|https?|ftp)?:?(//)?[a-z.:@/?#%0-9\\[\\]]{0,16}",
            "(\\.{0,3}/){0,6}[a-z.?]{0,6}",
        ],
    ) {
        let base = uri("wss://h/a/b?c");
        if let Ok(joined) = base.join(&reference) {
            // What is written again is the same, so that no part of it was taken for another.
            prop_assert_eq!(&joined.to_string().parse(), &Ok(joined.clone()));
            prop_assert_eq!(&joined.join(""), &Ok(joined.clone()));
            prop_assert_eq!(&joined.join(&joined.to_string()), &Ok(joined.clone()));
            let path = joined.resource_name().split('?').next().unwrap();
            prop_assert!(reference.is_empty() || path.split('/').all(|part| part != ".."));
            let text = written(&ClientRequest::from_uri(joined.clone()));
            let lines: Vec<_> = text.split("\r\n").collect();
            prop_assert_eq!(lines.len(), 8);
            prop_assert_eq!(lines[0], format!("GET {} HTTP/1.1", joined.resource_name()));
        }
    }
}

// ---- The rig ----

fn uri(uri: &str) -> Uri {
    uri.parse().unwrap()
}

fn request(uri: &str) -> ClientRequest {
    ClientRequest::new(uri).unwrap()
}

/// A request with subprotocols, credentials, and lines that are none.
fn with_lines(uri: &str) -> ClientRequest {
    let request = ClientRequest::new(uri)
        .unwrap()
        .subprotocol("chat.v2")
        .unwrap()
        .subprotocol("chat.v1")
        .unwrap();
    [
        ("Origin", "https://page.example"),
        ("Authorization", "Bearer 0123"),
        ("authorization", "Basic 4567"),
        ("User-Agent", "framewright"),
        ("Cookie", "a=b"),
        ("X-Twice", "1"),
        ("Proxy-Authorization", "Basic 89ab"),
        ("X-Twice", "2"),
        ("X-Api-Key", "cdef"),
    ]
    .into_iter()
    .fold(request, |request, (name, value)| {
        request.header(name, value).unwrap()
    })
}

fn follow(request: &ClientRequest, location: &str) -> ClientRequest {
    let refused = answered(&format!("HTTP/1.1 307 \r\nLocation: {location}\r\n"));
    request.redirected(&refused).unwrap().unwrap()
}

/// What a client keeps of an answer with these lines and no body.
fn answered(lines: &str) -> RefusedResponse {
    refusal_in(format!("{lines}Content-Length: 0\r\n\r\n").as_bytes())
}

fn refusal_in(answer: &[u8]) -> RefusedResponse {
    let mut client = ClientHandshake::start(
        &request("ws://h/"),
        Arc::new(Config::default()),
        NONCE,
        &mut SendBuffer::new(),
    );
    match client.receive(&mut RecvBuffer::from(answer)) {
        Err(HandshakeError::Refused(refused)) => *refused,
        outcome => panic!("{}\n{outcome:?}", answer.escape_ascii()),
    }
}

fn written(request: &ClientRequest) -> String {
    let mut output = SendBuffer::new();
    ClientHandshake::start(request, Arc::new(Config::default()), NONCE, &mut output);
    String::from_utf8(output.to_vec()).unwrap()
}

const NONCE: [u8; 16] = *b"the sample nonce";
