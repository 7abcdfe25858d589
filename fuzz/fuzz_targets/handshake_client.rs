//! The client's side of the opening handshake.
//!
//! Asserts, of any request that may be made and any answer in any split:
//! - whatever the application passes as URI, subprotocol, header name and value, the request has
//!   exactly the lines that were asked for, and no CR, LF, NUL or space of it stands where it would
//!   say more;
//! - what comes of an answer is the same however it is split, and what stands behind the head is
//!   left;
//! - it is accepted if and only if section 4.1, judged naively over the raw head, allows it, but
//!   for extensions, which are the target `extension_header`'s;
//! - a refusal holds the status that came and no more of the body than is kept;
//! - an error stays, and is never one that a server would answer.

#![no_main]

use framewright::handshake::{ClientHandshake, ClientRequest, UpgradeResponse};
use framewright::{Config, HandshakeError, RecvBuffer, Role, SendBuffer, SendError};
use framewright_fuzz::http::{Head, head_len, is_token, judge_switch, no_stray_line_ends};
use framewright_fuzz::open::deflate;
use framewright_fuzz::script::{Script, Splits};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use tungstenite::handshake::derive_accept_key;

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let choice = script.byte();
    if choice & 3 == 3 {
        asks(&mut script);
        return;
    }
    let mut config = Config::default();
    config.max_head_len = script.pick(&[16 << 10, 16 << 10, 300, 100, 0]);
    config.max_headers = script.pick(&[100, 100, 8, 3, 0]);
    config.max_refused_body_len = script.pick(&[4 << 10, 100, 3, 0]);
    let config = Arc::new(config);
    let splits = script.splits();
    let deflate = deflate(&mut script);
    let mut request = ClientRequest::new("ws://h/").expect("a URI");
    for subprotocol in SUBPROTOCOLS {
        request = request.subprotocol(subprotocol).expect("a token");
    }
    if let Some(deflate) = deflate {
        request = request.deflate(deflate);
    }
    let mut bytes = Vec::new();
    script.push_head(&mut bytes, &ANSWER, &PIECES);

    let (whole, rest) = receive(&request, &config, &bytes, Splits::WHOLE);
    let (pieces, rest_of_pieces) = receive(&request, &config, &bytes, splits);
    assert_same(&whole, &pieces);
    if matches!(whole, Ok(Some(_))) {
        assert_eq!(rest, rest_of_pieces);
    }
    judge(&request, &config, &bytes, whole, rest.len());
});

const SUBPROTOCOLS: [&str; 2] = ["chat", "superchat"];

const KEY: &[u8] = b"AAAAAAAAAAAAAAAAAAAAAA==";

type Received = Result<Option<UpgradeResponse>, HandshakeError>;

/// Receives an answer, and returns the bytes behind it.
fn receive(
    request: &ClientRequest,
    config: &Arc<Config>,
    mut bytes: &[u8],
    mut splits: Splits,
) -> (Received, Vec<u8>) {
    let mut output = SendBuffer::new();
    let mut handshake = ClientHandshake::start(request, config.clone(), [0; 16], &mut output);
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
        assert_eq!(
            handshake.receive(&mut input).err().as_ref(),
            Some(error),
            "it stays"
        );
        assert_eq!(&handshake.receive_eof(), error, "it stays");
    }
    if let Ok(None) = received {
        // 7.1.5 has no code for this: there was no connection.
        let error = handshake.receive_eof();
        assert!(matches!(
            error,
            HandshakeError::EndOfStream | HandshakeError::Refused(_)
        ));
    }
    let rest = [input.unread(), bytes].concat();
    (received, rest)
}

fn assert_same(whole: &Received, pieces: &Received) {
    match (whole, pieces) {
        (Ok(None), Ok(None)) => {}
        (Ok(Some(one)), Ok(Some(other))) => {
            assert!(one.headers().iter().eq(other.headers().iter()));
            assert_eq!(one.subprotocol(), other.subprotocol());
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        (one, other) => panic!("{one:?}, {other:?}"),
    }
}

/// Compares what was received with the naive judgement of the last head.
fn judge(
    request: &ClientRequest,
    config: &Config,
    bytes: &[u8],
    received: Received,
    rest_len: usize,
) {
    let mut rest = bytes;
    let mut interim = 0;
    // An answer has no empty line before it.
    let head = loop {
        let Some(len) = head_len(rest).filter(|_| !rest.starts_with(b"\r\n")) else {
            assert!(!matches!(received, Ok(Some(_))), "no head has ended");
            return;
        };
        let (head, behind) = rest.split_at(len);
        rest = behind;
        let is_interim = head.starts_with(b"HTTP/1.1 1") || head.starts_with(b"HTTP/1.0 1");
        if !is_interim || head[8..].starts_with(b" 101") {
            break head;
        }
        interim += 1;
    };
    let accept = derive_accept_key(KEY);
    let is_legal = judge_switch(head, accept.as_bytes(), &SUBPROTOCOLS);
    match received {
        Ok(Some(response)) => {
            assert!(is_legal, "{}", head.escape_ascii());
            assert!(interim <= 8);
            assert_eq!(rest.len(), rest_len, "what is behind the head is left");
            assert!(
                response
                    .subprotocol()
                    .is_none_or(|one| SUBPROTOCOLS.contains(&one))
            );
            let connection = response.into_connection();
            assert_eq!(connection.role(), Role::Client);
        }
        // The body of a refusal may be coming.
        Ok(None) => assert!(!is_legal && !head[8..].starts_with(b" 101")),
        Err(error) => {
            let is_extension = matches!(
                error,
                HandshakeError::ExtensionNotOffered
                    | HandshakeError::ExtensionParametersInvalid
                    | HandshakeError::ExtensionsInvalid
            );
            let lines = head.iter().filter(|byte| **byte == b'\n').count();
            let is_within = head.len() <= config.max_head_len && lines - 2 <= config.max_headers;
            assert!(
                !is_legal || is_extension || !is_within || interim > 0,
                "{error:?} to {request:?}: {}",
                head.escape_ascii()
            );
            judge_error(config, head, &error);
        }
    }
}

fn judge_error(config: &Config, head: &[u8], error: &HandshakeError) {
    if let HandshakeError::Refused(refused) = error {
        assert!((200..=599).contains(&refused.status));
        assert!(refused.body.len() <= config.max_refused_body_len);
        let digits = std::str::from_utf8(&head[9..12]);
        assert_eq!(digits.map(str::parse), Ok(Ok(refused.status)));
        refused.location();
        let naive = Head::parse(head).expect("a head that was taken");
        assert!(refused.headers.len() == naive.lines.len());
    }
}

/// The accept key of [`KEY`] stands in the first option.
const ANSWER: [&[&[u8]]; 4] = [
    &[
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.1 101 ",
        b"HTTP/1.1 101",
        b"HTTP/1.0 101 a",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 a",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 302 Found\r\nLocation: /b",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 9",
        b"HTTP/1.1 401 a\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 204 a",
        b"HTTP/1.1 103 a\r\n\r\nHTTP/1.1 503 b",
        b"HTTP/2 200",
        b"HTTP/1.1 099 a",
        b"HTTP/1.1 600 a",
        b"\r\nHTTP/1.1 101 a",
    ],
    &[
        b"\r\nUpgrade: websocket",
        b"",
        b"\r\nUPGRADE: WebSocket",
        b"\r\nUpgrade: websocket, h2c",
        b"\r\nUpgrade: websocket\r\nUpgrade: websocket",
    ],
    &[
        b"\r\nConnection: Upgrade",
        b"",
        b"\r\nconnection: a,upgrade",
        b"\r\nConnection: upgraded",
    ],
    &[
        b"\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=",
        b"",
        b"\r\nSec-WebSocket-Accept: icx+yqv66kxgm0fcwalwlflwtai=",
        b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        b"\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=",
        b"\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\nSec-WebSocket-Accept: a",
        b"\r\nSec-WebSocket-Accept:ICX+Yqv66kxgM0FcWaLWlFLwTAI= \t",
    ],
];

const PIECES: [&[u8]; 24] = [
    b"\r\n\r\n",
    b"\r\nSec-WebSocket-Protocol: chat",
    b"\r\nSec-WebSocket-Protocol: superchat",
    b"\r\nSec-WebSocket-Protocol: other",
    b"\r\nSec-WebSocket-Protocol: Chat",
    b"\r\nSec-WebSocket-Extensions: permessage-deflate",
    b"\r\nSec-WebSocket-Extensions: x",
    b"; server_max_window_bits=10",
    b"; client_no_context_takeover",
    b",",
    b"\r\nSet-Cookie: a=b",
    b"\r\nContent-Length: 5",
    b"\r\nX: ",
    b"\r\n ",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"\r\n\r\nff;a=b\r\n",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\n\r\nHTTP/1.1 101 a",
    b"\r\n\r\n0123456789",
    b": ",
];

/// Makes a request of whatever the application may pass, and reads what was written.
fn asks(script: &mut Script<'_>) {
    let uri = String::from_utf8_lossy(script.string(48)).into_owned();
    let uri = if script.flag() {
        format!("ws://h/{uri}")
    } else {
        uri
    };
    let Ok(mut request) = ClientRequest::new(&uri) else {
        return;
    };
    let resource_name = request.uri().resource_name().to_owned();
    let authority = request.uri().authority();
    // What is parsed is written, and parsed again.
    let again = request.uri().to_string().parse();
    assert_eq!(again.as_ref(), Ok(request.uri()), "{uri:?}");
    let mut subprotocols = Vec::new();
    let mut headers = Vec::new();
    while !script.is_at_end() && headers.len() + subprotocols.len() < 8 {
        if script.flag() {
            let subprotocol = String::from_utf8_lossy(script.string(16)).into_owned();
            let added = request.clone().subprotocol(&subprotocol);
            let expected = if !is_token(subprotocol.as_bytes()) {
                Some(SendError::SubprotocolInvalid)
            } else if subprotocols.contains(&subprotocol) {
                Some(SendError::SubprotocolRepeated)
            } else {
                None
            };
            assert_eq!(added.as_ref().err(), expected.as_ref());
            if let Ok(added) = added {
                request = added;
                subprotocols.push(subprotocol);
            }
        } else {
            let name = String::from_utf8_lossy(script.string(24)).into_owned();
            let value = script.string(24);
            let added = request.clone().header(&name, value);
            let has_control = value
                .iter()
                .any(|byte| byte.is_ascii_control() && *byte != b'\t');
            assert!(added.is_err() || (is_token(name.as_bytes()) && !has_control));
            if let Ok(added) = added {
                request = added;
                headers.push((name, value));
            }
        }
    }
    let deflate = deflate(script);
    let mut lines = 5 + usize::from(!subprotocols.is_empty()) + headers.len();
    if let Some(deflate) = deflate {
        request = request.deflate(deflate);
        lines += 1;
    }
    let mut output = SendBuffer::new();
    ClientHandshake::start(&request, Arc::default(), [0; 16], &mut output);
    let written = output.to_vec();

    assert_eq!(head_len(&written), Some(written.len()));
    no_stray_line_ends(&written);
    let mut parsed = [httparse::EMPTY_HEADER; 32];
    let status = httparse::Request::new(&mut parsed).parse(&written);
    // The parser refuses characters that a URI may not have, and none else.
    assert_eq!(
        status,
        Ok(httparse::Status::Complete(written.len())),
        "{uri:?}"
    );
    let head = Head::parse(&written).expect("a request is HTTP");
    assert_eq!(head.lines.len(), lines, "no line is injected");
    assert_eq!(
        head.first,
        format!("GET {resource_name} HTTP/1.1").as_bytes()
    );
    assert!(resource_name.starts_with('/') && !resource_name.contains([' ', '#', '\t']));
    assert_eq!(head.single("host"), Some(authority.as_bytes()));
    assert!(!authority.contains(['@', '/', '?', '#', ' ']) && !authority.is_empty());
    assert_eq!(head.single("sec-websocket-key"), Some(KEY));
    assert_eq!(head.single("sec-websocket-version"), Some(&b"13"[..]));
    let offered: Vec<&[u8]> = subprotocols.iter().map(|one| one.as_bytes()).collect();
    assert_eq!(head.list("sec-websocket-protocol"), offered);
    for (name, value) in headers {
        assert!(
            head.values(&name).contains(&value.trim_ascii())
                || value.len() > value.trim_ascii().len()
        );
    }
}
