//! The server's side of the opening handshake.
//!
//! Asserts, of any request in any split, with limits at random:
//! - what comes of it is the same however it is split, and what stands behind the head is left;
//! - it is accepted only if section 4.2.1, judged naively over the raw head, allows it, and a head
//!   that is legal and within the limits is accepted;
//! - the answer is HTTP: a 101 with the accept key as tungstenite computes it, a subprotocol that
//!   was offered and no line that the application did not add; or the documented status with
//!   `Connection: close`, and `Content-Length` as long as the body is;
//! - whatever the application passes as subprotocol, header name, value or body, no CR, LF or NUL
//!   of it stands in a head; an error writes nothing;
//! - an error stays.

#![no_main]

use framewright::handshake::{Acceptance, OriginPolicy, Request, Response, ServerHandshake};
use framewright::{Config, HandshakeError, RecvBuffer, Role, SendBuffer};
use framewright_fuzz::http::{
    Asks, Head, Verdict, head_len, is_token, judge_request, no_stray_line_ends, read_answer,
};
use framewright_fuzz::open::deflate;
use framewright_fuzz::script::{Script, Splits};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use tungstenite::handshake::derive_accept_key;

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let mut config = Config::default();
    config.max_head_len = script.pick(&[16 << 10, 16 << 10, 300, 100, 0]);
    config.max_request_line_len = script.pick(&[8 << 10, 8 << 10, 20, 0]);
    config.max_headers = script.pick(&[100, 100, 8, 5, 0]);
    let config = Arc::new(config);
    let splits = script.splits();
    let application = Application {
        choice: script.byte(),
        subprotocol: script.string(16),
        name: script.string(16),
        value: script.string(32),
        deflate: deflate(&mut script),
    };
    let mut bytes = Vec::new();
    script.push_head(&mut bytes, &REQUEST, &PIECES);

    let (whole, rest) = receive(&config, &bytes, Splits::WHOLE);
    let (pieces, rest_of_pieces) = receive(&config, &bytes, splits);
    assert_same(&whole, &pieces);
    if matches!(whole, Ok(Some(_))) {
        assert_eq!(rest, rest_of_pieces);
    }
    judge(&config, &bytes, &whole, rest.len());
    match whole {
        Ok(None) => {}
        Ok(Some(request)) => application.answer(request, config),
        Err(error) => refuse(&error),
    }
});

type Received = Result<Option<Request>, HandshakeError>;

/// Receives a request, and returns the bytes behind it.
fn receive(config: &Arc<Config>, mut bytes: &[u8], mut splits: Splits) -> (Received, Vec<u8>) {
    let mut handshake = ServerHandshake::new(config.clone());
    let mut input = RecvBuffer::new();
    let mut received = handshake.receive(&mut input);
    assert!(matches!(received, Ok(None)), "nothing comes of nothing");
    while !bytes.is_empty() && matches!(received, Ok(None)) {
        let (chunk, moves) = splits.take(&mut bytes);
        input.extend(chunk);
        received = handshake.receive(&mut input);
        if moves {
            let window = input.park();
            input.lend(window.unwrap_or_default());
        }
    }
    if let Err(error) = &received {
        input.extend(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(
            handshake.receive(&mut input).err().as_ref(),
            Some(error),
            "it stays"
        );
    }
    let rest = [input.unread(), bytes].concat();
    (received, rest)
}

fn assert_same(whole: &Received, pieces: &Received) {
    match (whole, pieces) {
        (Ok(None), Ok(None)) => {}
        (Ok(Some(Request::Upgrade(one))), Ok(Some(Request::Upgrade(other)))) => {
            assert!(one.headers().iter().eq(other.headers().iter()));
            assert_eq!(one.resource_name(), other.resource_name());
        }
        (Ok(Some(Request::Plain(one))), Ok(Some(Request::Plain(other)))) => {
            assert!(one.headers().iter().eq(other.headers().iter()));
            assert_eq!(
                (one.method(), one.target()),
                (other.method(), other.target())
            );
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        (one, other) => panic!("{one:?}, {other:?}"),
    }
}

/// Compares what was received with the naive judgement of the head.
fn judge(config: &Config, bytes: &[u8], received: &Received, rest_len: usize) {
    let Some(len) = head_len(bytes) else {
        assert!(!matches!(received, Ok(Some(_))), "no head has ended");
        if let Ok(None) = received {
            assert!(bytes.len() <= config.max_head_len);
        }
        return;
    };
    let head = &bytes[..len];
    let (asks, verdict) = judge_request(head);
    let line_len = head.split(|byte| *byte == b'\n').map(<[u8]>::len);
    let line_len = line_len.filter(|len| *len > 1).max().unwrap_or_default();
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    let is_within = len <= config.max_head_len
        && line_len <= config.max_request_line_len
        && lines <= config.max_headers;
    match received {
        Ok(Some(request)) => {
            assert_ne!(verdict, Verdict::Illegal, "{}", head.escape_ascii());
            assert_eq!(
                asks == Asks::Upgrade,
                matches!(request, Request::Upgrade(_))
            );
            assert_eq!(
                bytes.len() - len,
                rest_len,
                "what is behind the head is left"
            );
            assert!(len <= config.max_head_len);
        }
        Ok(None) => panic!("a head has ended: {}", head.escape_ascii()),
        Err(error) => {
            let is_refused = verdict != Verdict::Legal || !is_within;
            assert!(is_refused, "{error:?}: {}", head.escape_ascii());
        }
    }
}

/// What an application says to a request.
struct Application<'a> {
    choice: u8,
    subprotocol: &'a [u8],
    name: &'a [u8],
    value: &'a [u8],
    deflate: Option<framewright::DeflateConfig>,
}

impl Application<'_> {
    fn answer(&self, request: Request, config: Arc<Config>) {
        let name = String::from_utf8_lossy(self.name);
        let mut output = SendBuffer::new();
        let upgrade = match request {
            Request::Upgrade(upgrade) => upgrade,
            Request::Plain(request) => {
                let is_head = request.method() == "HEAD";
                if self.choice & 1 == 0 {
                    request.refuse(&mut output);
                    judge_refusal(&output.to_vec(), 426, is_head);
                } else if let Some((response, status)) = self.response(&name) {
                    request.respond(&response, &mut output);
                    judge_refusal(&output.to_vec(), status, is_head);
                }
                return;
            }
        };
        if self.choice & 3 == 0 {
            if let Some((response, status)) = self.response(&name) {
                upgrade.reject(&response, &mut output);
                judge_refusal(&output.to_vec(), status, false);
            }
            return;
        }
        for policy in [OriginPolicy::SameOrigin, OriginPolicy::Any] {
            let is_allowed = upgrade.origin_is_allowed(&policy);
            assert!(is_allowed || policy == OriginPolicy::SameOrigin);
            let has_none = upgrade.headers().first("origin").is_none();
            assert!(is_allowed || !has_none, "only a browser says an origin");
        }
        assert!(upgrade.resource_name().starts_with('/'));
        assert_eq!(
            upgrade.path(),
            upgrade
                .resource_name()
                .split('?')
                .next()
                .unwrap_or_default()
        );
        upgrade.cookie(&name);

        let offered: Vec<String> = upgrade.subprotocols().map(str::to_owned).collect();
        let key = upgrade
            .headers()
            .first("sec-websocket-key")
            .map(<[u8]>::to_vec);
        let passed = String::from_utf8_lossy(self.subprotocol);
        let subprotocol = match self.choice >> 2 & 3 {
            0 => None,
            1 => Some(&*passed),
            _ => offered.first().map(String::as_str),
        };
        let adds_header = self.choice & 0x10 != 0;
        let mut acceptance = Acceptance::new();
        if let Some(subprotocol) = subprotocol {
            acceptance = acceptance.subprotocol(subprotocol);
        }
        if adds_header {
            acceptance = acceptance.header(&name, self.value);
        }
        if let Some(deflate) = &self.deflate {
            acceptance = acceptance.deflate(deflate.clone());
        }
        let offers = !upgrade.extensions().is_empty();
        let Ok(connection) = upgrade.accept(acceptance, config, &mut output) else {
            assert!(output.is_empty(), "an error writes nothing");
            let is_offered = subprotocol.is_none_or(|one| offered.iter().any(|other| other == one));
            let header_is_bad = adds_header
                && (!is_token(name.as_bytes()) || is_reserved(&name) || has_control(self.value));
            assert!(!is_offered || header_is_bad);
            return;
        };
        assert_eq!(connection.role(), Role::Server);
        let answer = output.to_vec();
        let (status, head, rest) = read_answer(&answer);
        assert!(status == 101 && rest.is_empty());
        let accept = derive_accept_key(&key.unwrap_or_default());
        assert_eq!(head.single("sec-websocket-accept"), Some(accept.as_bytes()));
        assert_eq!(head.single("upgrade"), Some(&b"websocket"[..]));
        assert_eq!(head.single("connection"), Some(&b"Upgrade"[..]));
        assert_eq!(
            head.single("sec-websocket-protocol"),
            subprotocol.map(str::as_bytes)
        );
        let extensions = head.values("sec-websocket-extensions").len();
        assert_eq!(extensions == 1, connection.is_compressing());
        assert!(extensions == 0 || (offers && self.deflate.is_some()));
        let added = usize::from(adds_header) + usize::from(subprotocol.is_some());
        assert_eq!(
            head.lines.len(),
            3 + extensions + added,
            "no line is injected"
        );
    }

    /// Returns an answer that holds what the application passes, if that may be written.
    fn response(&self, name: &str) -> Option<(Response, u16)> {
        let status = u16::from(self.choice) * 5;
        let response = Response::new(status);
        assert_eq!(response.is_ok(), (200..600).contains(&status));
        let response = response.ok()?.header(name, self.value);
        let is_reserved = ["connection", "content-length", "transfer-encoding"]
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other));
        assert_eq!(
            response.is_ok(),
            is_token(name.as_bytes()) && !is_reserved && !has_control(self.value)
        );
        Some((response.ok()?.body(self.subprotocol.to_vec()), status))
    }
}

fn is_reserved(name: &str) -> bool {
    [
        "connection",
        "content-length",
        "host",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
    .iter()
    .any(|other| name.eq_ignore_ascii_case(other))
}

fn has_control(value: &[u8]) -> bool {
    value
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

/// An error of a server has the answer that the documentation says.
fn refuse(error: &HandshakeError) {
    let status = match error {
        HandshakeError::HeadMalformed
        | HandshakeError::HostInvalid
        | HandshakeError::TargetInvalid
        | HandshakeError::BodyUnexpected
        | HandshakeError::ConnectionNotUpgrade
        | HandshakeError::KeyInvalid
        | HandshakeError::SubprotocolsInvalid
        | HandshakeError::ExtensionsInvalid => 400,
        HandshakeError::MethodNotGet => 405,
        HandshakeError::RequestLineTooLong => 414,
        HandshakeError::VersionUnsupported => 426,
        HandshakeError::HeadTooLong | HandshakeError::TooManyHeaders => 431,
        HandshakeError::HttpVersionUnsupported => 505,
        other => panic!("not an error of a server: {other:?}"),
    };
    assert_eq!(error.status(), Some(status));
    let mut output = SendBuffer::new();
    error.respond(&mut output);
    let answer = output.to_vec();
    let may_be_head = matches!(
        error,
        HandshakeError::MethodNotGet | HandshakeError::HostInvalid
    );
    let head = judge_refusal(&answer, status, may_be_head);
    if status == 426 {
        // 4.4: "MUST"
        assert_eq!(head.single("sec-websocket-version"), Some(&b"13"[..]));
        assert!(head.has_token("upgrade", b"websocket"));
    }
    if status == 405 {
        assert_eq!(head.single("allow"), Some(&b"GET"[..]));
    }
}

/// An answer that refuses says that the transport closes, and how long its body is.
fn judge_refusal(answer: &[u8], status: u16, without_body: bool) -> Head<'_> {
    let (written, head, body) = read_answer(answer);
    assert_eq!(written, status);
    assert!(head.has_token("connection", b"close"));
    let len = head
        .single("content-length")
        .map(|len| len.escape_ascii().to_string());
    match len {
        None => assert!(matches!(status, 204 | 304) && body.is_empty()),
        Some(len) => {
            let len: usize = len.parse().expect("a length is a number");
            assert!(body.len() == len || (without_body && body.is_empty()));
        }
    }
    no_stray_line_ends(&answer[..answer.len() - body.len()]);
    head
}

const REQUEST: [&[&[u8]]; 7] = [
    &[
        b"GET /chat HTTP/1.1",
        b"\r\nGET / HTTP/1.1",
        b"GET http://h:80/a?b HTTP/1.1",
        b"HEAD / HTTP/1.1",
        b"GET / HTTP/1.0",
        b"GET / HTTP/2.0",
        b"GET * HTTP/1.1",
        b"POST /#a HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET https:// HTTP/1.1",
        b"GET http://a@b/ HTTP/1.1",
    ],
    &[
        b"\r\nHost: server.example.com",
        b"",
        b"\r\nHost: h:80",
        b"\r\nHost: [::1]:8080",
        b"\r\nHost:",
        b"\r\nHost: a b",
        b"\r\nHost: h\r\nHost: h",
        b"\r\nHost: a%20b",
        b"\r\nHost: h:99999",
        b"\r\nHost: u@h",
        b"\r\nHost: [::1",
    ],
    &[
        b"\r\nUpgrade: websocket",
        b"",
        b"\r\nupgrade:WebSocket",
        b"\r\nUpgrade: h2c, websocket ,",
        b"\r\nUpgrade: websockets",
        b"\r\nUpgrade: h2c\r\nUpgrade: websocket",
    ],
    &[
        b"\r\nConnection: Upgrade",
        b"",
        b"\r\nConnection: keep-alive, upgrade",
        b"\r\nConnection: notupgrade",
        b"\r\nConnection: close\r\nConnection: ,,UPGRADE,",
    ],
    &[
        b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"",
        b"\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==",
        b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ",
        b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ_==",
        b"\r\nSec-WebSocket-Key: \tdGhlIHNhbXBsZSBub25jZQ== ",
        b"\r\nSec-WebSocket-Key: AAAA",
        b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: a",
    ],
    &[
        b"\r\nSec-WebSocket-Version: 13",
        b"",
        b"\r\nSec-WebSocket-Version: 8",
        b"\r\nSec-WebSocket-Version: 013",
        b"\r\nSec-WebSocket-Version: 13, 8",
        b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13",
    ],
    &[
        b"",
        b"\r\nOrigin: http://server.example.com",
        b"\r\nOrigin: null",
        b"\r\nContent-Length: 0",
        b"\r\nContent-Length: 1",
        b"\r\nContent-Length: 0\r\nContent-Length: 1",
        b"\r\nTransfer-Encoding: chunked",
    ],
];

const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\r\nSec-WebSocket-Protocol: chat",
    b"\r\nSec-WebSocket-Protocol: a, b,c",
    b"\r\nSec-WebSocket-Extensions: permessage-deflate",
    b"; client_max_window_bits",
    b"; server_max_window_bits=10",
    b"; server_no_context_takeover",
    b"=\"15\"",
    b"=8",
    b", ",
    b",",
    b"\r\nCookie: a=b; c=d",
    b"\r\nX: ",
    b"\r\n ",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b": ",
    b" :",
    b"\r\nContent-Length: 0",
    b"\r\nHost: h",
    b"x-webkit",
    b"\r\n\r\n",
];
