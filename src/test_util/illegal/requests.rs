//! Requests that a server refuses, with the error and the status that each earns.
//!
//! The bytes of what a client must not send; nothing of how a server finds out.
//!
//! RFC 6455, section 4.2.1; RFC 9112.

use crate::error::HandshakeError;

/// A request that a server refuses.
///
/// ```
/// use framewright::handshake::{Request, ServerHandshake};
/// use framewright::test_util::illegal_requests;
/// use framewright::{HandshakeError, RecvBuffer};
///
/// for case in illegal_requests() {
///     let mut server = ServerHandshake::new(Default::default());
///     let error = match server.receive(&mut RecvBuffer::from(&case.bytes[..])) {
///         Err(error) => error,
///         // A page, for a server that has some; `accept` of an adapter refuses it.
///         Ok(Some(Request::Plain(_))) => HandshakeError::NotAnUpgrade,
///         Ok(other) => panic!("{}: {other:?}", case.name),
///     };
///     assert_eq!(error, case.error, "{}", case.name);
///     assert_eq!(error.status(), Some(case.status));
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IllegalRequest {
    /// What is wrong with it, in a few words.
    pub name: String,
    /// The whole request.
    pub bytes: Vec<u8>,
    /// What the server refuses it with.
    pub error: HandshakeError,
    /// The status that it answers.
    pub status: u16,
}

/// Returns requests for every rule that a server judges by the head alone.
///
/// Not among them is what its policy forbids: an origin, and what takes too long.
pub fn illegal_requests() -> Vec<IllegalRequest> {
    let mut cases = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, error: HandshakeError| {
        cases.push(IllegalRequest {
            name: name.to_owned(),
            bytes,
            status: error.status().unwrap_or_default(),
            error,
        });
    };
    for (name, changed, error) in CHANGED {
        add(name, with(changed), error.clone());
    }
    for (name, head) in MALFORMED {
        add(name, head.to_vec(), HandshakeError::HeadMalformed);
    }
    add(
        "more than 100 header lines",
        with(&["+X: y"; 101]),
        HandshakeError::TooManyHeaders,
    );
    add(
        "a head of more than 16 KiB",
        with(&[&*format!("+X: {}", "y".repeat(5000)); 4]),
        HandshakeError::HeadTooLong,
    );
    add(
        "a request line of more than 8 KiB",
        with(&[&format!("GET /{} HTTP/1.1", "y".repeat(9000))]),
        HandshakeError::RequestLineTooLong,
    );
    add(
        "more than 64 subprotocols",
        with(&[&list("Sec-WebSocket-Protocol", "p", 65)]),
        HandshakeError::SubprotocolsInvalid,
    );
    add(
        "more than 16 extensions",
        with(&[&list("Sec-WebSocket-Extensions", "x", 17)]),
        HandshakeError::ExtensionsInvalid,
    );
    cases
}

/// The request that a server accepts, whose lines are changed.
const REQUEST: [&str; 6] = [
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// What is wrong; lines that take the place of those that begin alike, up to the colon or the
/// space, or are added, or with nothing behind the colon remove those; and the error.
const CHANGED: [(&str, &[&str], HandshakeError); 32] = [
    // 4.2.1 item 1.
    (
        "POST",
        &["POST /chat HTTP/1.1"],
        HandshakeError::MethodNotGet,
    ),
    (
        "HEAD",
        &["HEAD /chat HTTP/1.1"],
        HandshakeError::MethodNotGet,
    ),
    (
        "HTTP/1.0",
        &["GET /chat HTTP/1.0"],
        HandshakeError::NotAnUpgrade,
    ),
    (
        "HTTP/2.0",
        &["GET /chat HTTP/2.0"],
        HandshakeError::HttpVersionUnsupported,
    ),
    (
        "a target without a slash",
        &["GET chat HTTP/1.1"],
        HandshakeError::TargetInvalid,
    ),
    (
        "the target *",
        &["GET * HTTP/1.1"],
        HandshakeError::TargetInvalid,
    ),
    // 4.2.1 item 2; RFC 9112, section 3.2.
    ("no Host", &["Host:"], HandshakeError::HostInvalid),
    (
        "two Hosts",
        &["Host: a", "+Host: b"],
        HandshakeError::HostInvalid,
    ),
    (
        "a Host with a path",
        &["Host: a/b"],
        HandshakeError::HostInvalid,
    ),
    (
        "a Host with a user",
        &["Host: user@a"],
        HandshakeError::HostInvalid,
    ),
    // 4.2.1 items 3 and 4.
    ("no Upgrade", &["Upgrade:"], HandshakeError::NotAnUpgrade),
    (
        "an Upgrade to h2c",
        &["Upgrade: h2c"],
        HandshakeError::NotAnUpgrade,
    ),
    (
        "no Connection",
        &["Connection:"],
        HandshakeError::ConnectionNotUpgrade,
    ),
    (
        "Connection: keep-alive",
        &["Connection: keep-alive"],
        HandshakeError::ConnectionNotUpgrade,
    ),
    // 4.2.1 item 5.
    (
        "no key",
        &["Sec-WebSocket-Key:"],
        HandshakeError::KeyInvalid,
    ),
    (
        "a key of 15 bytes",
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"],
        HandshakeError::KeyInvalid,
    ),
    (
        "a key of 17 bytes",
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE="],
        HandshakeError::KeyInvalid,
    ),
    (
        "a key that is not base64",
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!=="],
        HandshakeError::KeyInvalid,
    ),
    (
        "two keys",
        &["+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
        HandshakeError::KeyInvalid,
    ),
    // 4.2.1 item 6.
    (
        "no version",
        &["Sec-WebSocket-Version:"],
        HandshakeError::VersionUnsupported,
    ),
    (
        "version 8",
        &["Sec-WebSocket-Version: 8"],
        HandshakeError::VersionUnsupported,
    ),
    (
        "version 013",
        &["Sec-WebSocket-Version: 013"],
        HandshakeError::VersionUnsupported,
    ),
    (
        "two versions",
        &["+Sec-WebSocket-Version: 8"],
        HandshakeError::VersionUnsupported,
    ),
    // RFC 9110, section 7.8: bytes behind the head would be taken for frames.
    (
        "Content-Length",
        &["+Content-Length: 5"],
        HandshakeError::BodyUnexpected,
    ),
    (
        "Transfer-Encoding",
        &["+Transfer-Encoding: chunked"],
        HandshakeError::BodyUnexpected,
    ),
    // 4.3.
    (
        "a subprotocol with a space",
        &["+Sec-WebSocket-Protocol: a b"],
        HandshakeError::SubprotocolsInvalid,
    ),
    (
        "a subprotocol twice",
        &["+Sec-WebSocket-Protocol: a, a"],
        HandshakeError::SubprotocolsInvalid,
    ),
    (
        "a subprotocol with a slash",
        &["+Sec-WebSocket-Protocol: a/b"],
        HandshakeError::SubprotocolsInvalid,
    ),
    // 9.1.
    (
        "an extension without a name",
        &["+Sec-WebSocket-Extensions: ; a"],
        HandshakeError::ExtensionsInvalid,
    ),
    (
        "a parameter without a name",
        &["+Sec-WebSocket-Extensions: x; =1"],
        HandshakeError::ExtensionsInvalid,
    ),
    (
        "a parameter that is cut short",
        &["+Sec-WebSocket-Extensions: x; a="],
        HandshakeError::ExtensionsInvalid,
    ),
    (
        "a quoted value that is no token",
        &["+Sec-WebSocket-Extensions: x; a=\"b c\""],
        HandshakeError::ExtensionsInvalid,
    ),
];

/// RFC 9112, sections 2.2, 3 and 5.
const MALFORMED: [(&str, &[u8]); 8] = [
    (
        "a line that is folded",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
    ),
    (
        "a space before a colon",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    ),
    (
        "a header without a colon",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    ),
    (
        "a header without a name",
        b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
    ),
    (
        "a NUL in a value",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    ),
    (
        "a bare CR in a value",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
    ),
    ("no version of HTTP", b"GET /\r\nHost: a\r\n\r\n"),
    (
        "a TLS ClientHello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ),
];

/// The request with changed lines.
fn with(changed: &[&str]) -> Vec<u8> {
    fn name(line: &str) -> &str {
        line.split(':').next().unwrap_or(line)
    }
    let mut lines: Vec<&str> = REQUEST.to_vec();
    for change in changed {
        if let Some(added) = change.strip_prefix('+') {
            lines.push(added);
        } else if change.contains(" HTTP/") {
            lines[0] = change;
        } else if let Some(at) = lines.iter().position(|line| name(line) == name(change)) {
            match change.ends_with(':') {
                true => drop(lines.remove(at)),
                false => lines[at] = change,
            }
        } else {
            lines.push(change);
        }
    }
    head_of(&lines)
}

fn head_of(lines: &[&str]) -> Vec<u8> {
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

fn list(name: &str, item: &str, count: usize) -> String {
    let items: Vec<_> = (0..count).map(|number| format!("{item}{number}")).collect();
    format!("{name}: {}", items.join(", "))
}
