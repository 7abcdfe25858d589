//! Answers that a client refuses, with the error that each earns.
//!
//! The bytes of what a server must not send, made for the key of a request; nothing of how a client
//! finds out.
//!
//! RFC 6455, section 4.1.

use crate::error::{HandshakeError, RefusedResponse};
use crate::handshake::accept_key;

/// An answer that a client refuses.
///
/// ```
/// use framewright::handshake::{ClientHandshake, ClientRequest};
/// use framewright::test_util::illegal_responses;
/// use framewright::{RecvBuffer, SendBuffer};
///
/// for case in illegal_responses() {
///     let request = ClientRequest::new("ws://localhost/")?;
///     let mut output = SendBuffer::new();
///     let nonce = rand::random();
///     let mut client = ClientHandshake::start(&request, Default::default(), nonce, &mut output);
///     let answer = case.answer(&output.to_vec());
///     let error = match client.receive(&mut RecvBuffer::from(&answer[..])) {
///         Ok(None) => client.receive_eof(),
///         Ok(Some(_)) => panic!("{} is accepted", case.name),
///         Err(error) => error,
///     };
///     assert_eq!(error, case.error, "{}", case.name);
/// }
/// # Ok::<(), framewright::SendError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IllegalResponse {
    /// What is wrong with it, in a few words.
    pub name: &'static str,
    /// What the client fails with, at the latest once the server has closed behind it.
    pub error: HandshakeError,
    text: String,
}

impl IllegalResponse {
    /// Makes the answer to a request, which the client has written whole.
    ///
    /// The client offers no subprotocol and no extension.
    pub fn answer(&self, request: &[u8]) -> Vec<u8> {
        let request = String::from_utf8_lossy(request);
        let key = request.lines().find_map(|line| line.strip_prefix(KEY));
        let accept = accept_key(key.unwrap_or_default().as_bytes());
        self.text
            .replace(ACCEPT, &String::from_utf8_lossy(&accept))
            .into_bytes()
    }
}

/// Returns answers for every rule that a client judges by the answer alone.
///
/// Not among them is what a policy forbids: redirects, proxies, and what takes too long.
pub fn illegal_responses() -> Vec<IllegalResponse> {
    let mut cases = Vec::new();
    let mut add = |name, lines: &[&str], error: HandshakeError| {
        let text = format!("{}\r\n\r\n", lines.join("\r\n"));
        cases.push(IllegalResponse { name, error, text });
    };
    for (name, lines, error) in ANSWERS {
        add(name, lines, error.clone());
    }
    for (name, status, line) in REFUSALS {
        let mut refused = RefusedResponse::new(status, Vec::new());
        refused.headers = vec![("content-length".to_owned(), "0".into())];
        let error = HandshakeError::Refused(Box::new(refused));
        add(name, &[line, "Content-Length: 0"], error);
    }
    let lines = |count: usize, line: &str| -> Vec<String> {
        let answer = [SWITCHING, UPGRADE, CONNECTION, SEC_ACCEPT];
        let more = (0..count).map(|_| line.to_owned());
        answer.map(str::to_owned).into_iter().chain(more).collect()
    };
    let mut add_long = |name, lines: Vec<String>, error| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        add(name, &lines, error);
    };
    let many = lines(101, "X: y");
    add_long(
        "more than 100 header lines",
        many,
        HandshakeError::TooManyHeaders,
    );
    let long = lines(4, &format!("X: {}", "y".repeat(5000)));
    add_long(
        "a head of more than 16 KiB",
        long,
        HandshakeError::HeadTooLong,
    );
    let mut interim = vec!["HTTP/1.1 103 Early Hints\r\n".to_owned(); 9];
    interim.extend(lines(0, ""));
    let error = HandshakeError::TooManyInterimResponses;
    add_long("more than 8 interim answers", interim, error);
    cases.push(IllegalResponse {
        name: "half a head",
        error: HandshakeError::EndOfStream,
        text: format!("{SWITCHING}\r\n{UPGRADE}\r\n"),
    });
    cases
}

/// Stands for the answer to the key.
const ACCEPT: &str = "{accept}";
const KEY: &str = "Sec-WebSocket-Key: ";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const SEC_ACCEPT: &str = "Sec-WebSocket-Accept: {accept}";

const ANSWERS: [(&str, &[&str], HandshakeError); 16] = [
    // 4.1 item 2.
    (
        "no Upgrade",
        &[SWITCHING, CONNECTION, SEC_ACCEPT],
        HandshakeError::UpgradeMismatch,
    ),
    (
        "an Upgrade to h2c",
        &[SWITCHING, "Upgrade: h2c", CONNECTION, SEC_ACCEPT],
        HandshakeError::UpgradeMismatch,
    ),
    // 4.1 item 3.
    (
        "no Connection",
        &[SWITCHING, UPGRADE, SEC_ACCEPT],
        HandshakeError::ConnectionNotUpgrade,
    ),
    (
        "Connection: close",
        &[SWITCHING, UPGRADE, "Connection: close", SEC_ACCEPT],
        HandshakeError::ConnectionNotUpgrade,
    ),
    // 4.1 item 4.
    (
        "no accept key",
        &[SWITCHING, UPGRADE, CONNECTION],
        HandshakeError::AcceptMismatch,
    ),
    (
        "the accept key of the RFC's example",
        &[
            SWITCHING,
            UPGRADE,
            CONNECTION,
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ],
        HandshakeError::AcceptMismatch,
    ),
    (
        "two accept keys",
        &[SWITCHING, UPGRADE, CONNECTION, SEC_ACCEPT, SEC_ACCEPT],
        HandshakeError::AcceptMismatch,
    ),
    // 4.1 item 5.
    (
        "an extension that was not offered",
        &[
            SWITCHING,
            UPGRADE,
            CONNECTION,
            SEC_ACCEPT,
            "Sec-WebSocket-Extensions: permessage-deflate",
        ],
        HandshakeError::ExtensionNotOffered,
    ),
    (
        "an extension that nobody knows",
        &[
            SWITCHING,
            UPGRADE,
            CONNECTION,
            SEC_ACCEPT,
            "Sec-WebSocket-Extensions: x-webkit-deflate-frame",
        ],
        HandshakeError::ExtensionNotOffered,
    ),
    // 4.1 item 6.
    (
        "a subprotocol that was not offered",
        &[
            SWITCHING,
            UPGRADE,
            CONNECTION,
            SEC_ACCEPT,
            "Sec-WebSocket-Protocol: chat",
        ],
        HandshakeError::SubprotocolNotOffered,
    ),
    // RFC 9110, section 15.2; RFC 9112.
    (
        "a 101 in HTTP/1.0",
        &[
            "HTTP/1.0 101 Switching Protocols",
            UPGRADE,
            CONNECTION,
            SEC_ACCEPT,
        ],
        HandshakeError::HttpVersionUnsupported,
    ),
    (
        "no status",
        &["HTTP/1.1", UPGRADE],
        HandshakeError::HeadMalformed,
    ),
    (
        "a status of two digits",
        &["HTTP/1.1 99 Odd", UPGRADE],
        HandshakeError::HeadMalformed,
    ),
    (
        "another protocol",
        &["SSH-2.0-OpenSSH_9.6"],
        HandshakeError::HeadMalformed,
    ),
    (
        "a line that is folded",
        &[SWITCHING, UPGRADE, CONNECTION, SEC_ACCEPT, "X: y", " z"],
        HandshakeError::HeadMalformed,
    ),
    (
        "a space before a colon",
        &[
            SWITCHING,
            UPGRADE,
            CONNECTION,
            "Sec-WebSocket-Accept : {accept}",
        ],
        HandshakeError::HeadMalformed,
    ),
];

/// 4.1 item 1.
const REFUSALS: [(&str, u16, &str); 5] = [
    ("a page", 200, "HTTP/1.1 200 OK"),
    ("a redirect to nowhere", 302, "HTTP/1.1 302 Found"),
    ("a demand for credentials", 401, "HTTP/1.1 401 Unauthorized"),
    ("nothing there", 404, "HTTP/1.1 404 Not Found"),
    (
        "a server that is busy",
        503,
        "HTTP/1.1 503 Service Unavailable",
    ),
];
