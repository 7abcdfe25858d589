//! Injection: nothing that a caller passes puts a line end or a NUL on the wire that the handshake
//! did not write itself, on neither side, and no line that the caller did not ask for.
//!
//! RFC 9112, section 11.1; RFC 9110, section 5.5. Which advisory each test is for is in ATTACKS.md.

mod support;

use std::sync::Arc;

use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, OriginPolicy, Proxy, ProxyHandshake, Request,
    Response, ServerHandshake, Uri,
};
use framewright::{
    CloseCode, CloseFrame, Config, Connection, HandshakeError, RecvBuffer, Role, SendBuffer,
    SendError,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use support::{CLOSE, frames_in};

/// What ends a line or a string for somebody who reads.
const LINE_ENDS: [char; 3] = ['\r', '\n', '\0'];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_has_the_lines_of_the_handshake_and_those_asked_for(asked in hostile_requests()) {
        let Some((request, lines)) = asked.request()? else { return Ok(()) };
        let mut expected = vec!["GET", "Host", "Upgrade", "Connection", "Sec-WebSocket-Key",
            "Sec-WebSocket-Version"];
        if lines.has_subprotocols {
            expected.push("Sec-WebSocket-Protocol");
        }
        expected.extend(lines.names.iter().map(String::as_str));
        let written = written(|output| {
            ClientHandshake::start(&request, Arc::default(), [7; 16], output);
        });
        assert_lines(&written, &expected, b"")?;
    }

    #[test]
    fn a_request_for_a_tunnel_has_its_own_lines_and_those_asked_for(
        proxy in prop_oneof![
            Just("http://proxy.example:3128".to_owned()),
            hostile().prop_map(|text| format!("http://{text}")),
            (hostile(), hostile()).prop_map(|(user, host)| format!("http://{user}@{host}")),
            hostile().prop_map(|text| format!("http://user:{text}@proxy.example:3128")),
        ],
        target in hostile().prop_map(|text| format!("ws://a{text}/")),
        user in hostile(),
        password in hostile(),
        headers in vec((names(), hostile()), 0..3),
    ) {
        let built = Proxy::new(&proxy);
        prop_assert!(built.is_err() || is_one_line(&proxy));
        let Ok(mut built) = built else { return Ok(()) };
        let mut lines = Vec::new();
        // Those of the URI are kept until others come.
        let mut has_user = proxy.contains('@') && !proxy.contains("://@");
        for (name, value) in &headers {
            let next = built.clone().header(name, value);
            prop_assert!(next.is_err() || is_one_line(name) && is_one_line(value));
            if let Ok(next) = next {
                built = next;
                lines.push(name.clone());
            }
        }
        let next = built.clone().basic_auth(&user, &password);
        prop_assert!(next.is_err() || is_one_line(&user) && is_one_line(&password));
        if let Ok(next) = next {
            built = next;
            has_user = true;
        }
        let Ok(target) = target.parse::<Uri>() else { return Ok(()) };
        let written = written(|output| {
            ProxyHandshake::start(&built, &target, Arc::default(), output);
        });
        let mut expected = vec!["CONNECT", "Host"];
        expected.extend(lines.iter().map(String::as_str));
        expected.extend(has_user.then_some("Proxy-Authorization"));
        // Where the credentials stand among them is not what is asked here.
        let found = names_of(&written, b"")?;
        prop_assert_eq!(found.len(), expected.len(), "{}", written.escape_ascii());
        for name in expected {
            prop_assert!(found.iter().any(|other| other == name), "{name}");
        }
    }

    #[test]
    fn a_redirect_leads_to_a_request_of_the_same_lines(location in vec(any::<u8>(), 0..12), text in hostile()) {
        let request = ClientRequest::new("ws://h/chat").unwrap().header("Cookie", "a=b").unwrap();
        for location in [
            text.as_bytes().to_vec(),
            [b"ws://h", &location[..]].concat(),
            [b"/", text.as_bytes()].concat(),
        ] {
            // As no strict reader would let it come: straight into the value.
            let line = [b"HTTP/1.1 302 \r\nContent-Length: 0\r\nLocation: ", &location[..], b"\r\n\r\n"];
            let mut client =
                ClientHandshake::start(&request, Arc::default(), [7; 16], &mut SendBuffer::new());
            let refused = match client.receive(&mut RecvBuffer::from(&line.concat()[..])) {
                Err(HandshakeError::Refused(refused)) => refused,
                outcome => {
                    prop_assert!(outcome.is_err() || outcome.unwrap().is_none());
                    continue;
                }
            };
            let Ok(Some(next)) = request.redirected(&refused) else { continue };
            let written = written(|output| {
                ClientHandshake::start(&next, Arc::default(), [7; 16], output);
            });
            let mut found = names_of(&written, b"")?;
            found.retain(|name| name != "Cookie");
            prop_assert_eq!(found, ["GET", "Host", "Upgrade", "Connection", "Sec-WebSocket-Key",
                "Sec-WebSocket-Version"]);
        }
    }

    #[test]
    fn an_answer_has_the_lines_of_the_handshake_and_those_asked_for(
        headers in vec((names(), hostile()), 0..4),
        subprotocol in prop_oneof![Just("chat".to_owned()), hostile()],
    ) {
        let mut acceptance = Acceptance::new().subprotocol(&subprotocol);
        for (name, value) in &headers {
            acceptance = acceptance.header(name, value);
        }
        let mut output = SendBuffer::new();
        let accepted = upgrade().accept(acceptance, Arc::default(), &mut output);
        if accepted.is_err() {
            // Nothing at all, rather than half an answer.
            prop_assert!(output.is_empty());
            return Ok(());
        }
        prop_assert_eq!(&subprotocol, "chat");
        prop_assert!(headers.iter().all(|(name, value)| is_one_line(name) && is_one_line(value)));
        let mut expected = vec!["HTTP/1.1", "Upgrade", "Connection", "Sec-WebSocket-Accept",
            "Sec-WebSocket-Protocol"];
        expected.extend(headers.iter().map(|(name, _)| name.as_str()));
        assert_lines(&output.to_vec(), &expected, b"")?;
    }

    #[test]
    fn a_refusal_has_the_lines_of_its_own_and_those_asked_for(
        status in 0..1000_u16,
        headers in vec((names(), hostile()), 0..4),
        body in hostile(),
    ) {
        let Ok(response) = Response::new(status) else { return Ok(()) };
        let mut response = response.body(body.clone());
        let mut expected = vec!["HTTP/1.1", "Connection"];
        for (name, value) in &headers {
            let next = response.clone().header(name, value);
            prop_assert!(next.is_err() || is_one_line(name) && is_one_line(value));
            if let Ok(next) = next {
                response = next;
                expected.push(name);
            }
        }
        let body = if matches!(status, 204 | 205 | 304) { "" } else { &body };
        if !matches!(status, 204 | 304) {
            expected.push("Content-Length");
        }
        let rejected = written(|output| upgrade().reject(&response, output));
        assert_lines(&rejected, &expected, body.as_bytes())?;
        let plain = written(|output| match receive(b"GET /p HTTP/1.1\r\nHost: h\r\n\r\n") {
            Ok(Some(Request::Plain(plain))) => plain.respond(&response, output),
            outcome => panic!("{outcome:?}"),
        });
        prop_assert_eq!(plain, rejected);
    }

    #[test]
    fn what_a_peer_said_can_be_passed_on_and_is_one_line(
        target in hostile(),
        host in hostile(),
        values in vec(hostile(), 0..3),
    ) {
        // A server that reflects all it was told: who redirects to a path, who names an origin.
        let mut request = format!("GET /{target} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
        for value in &values {
            request.extend(format!("Cookie: a={value}\r\nOrigin: {value}\r\n").bytes());
        }
        request.extend_from_slice(UPGRADE_LINES);
        let Ok(Some(Request::Upgrade(request))) = receive(&request) else { return Ok(()) };
        let mut said: Vec<Vec<u8>> = request.headers().iter().map(|(_, value)| value.to_vec()).collect();
        said.extend([request.resource_name(), request.path(), request.host()].map(|text| text.into()));
        said.extend([request.query(), request.origin(), request.cookie("a")]
            .into_iter().flatten().map(|text| text.into()));
        let mut response = Response::new(403).unwrap();
        for value in &said {
            response = response.header("X-Said", value).unwrap();
        }
        let mut expected = vec!["HTTP/1.1", "Connection"];
        expected.extend(said.iter().map(|_| "X-Said"));
        expected.push("Content-Length");
        assert_lines(&written(|output| request.reject(&response, output)), &expected, b"")?;
    }

    #[test]
    fn what_is_accepted_says_the_same_to_every_reader(
        (lines, nasty) in (ambiguous_lines(), option::weighted(0.5, (any::<Index>(), any::<Index>()))),
    ) {
        let mut request = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
        if let Some((place, byte)) = nasty {
            request.insert(place.index(request.len()), *byte.get(b"\r\n\0 \t:,;\x0b\x7f\xa0"));
        }
        let Ok(Some(Request::Upgrade(upgrade))) = receive(&request) else { return Ok(()) };
        // As a proxy may have read it that knows no more than lines and colons.
        let text = String::from_utf8_lossy(&request).into_owned();
        let text = text.strip_prefix("\r\n").unwrap_or(&text);
        let (head, _) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.split("\r\n");
        let words: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
        prop_assert!(matches!(words[..], ["GET", _, "HTTP/1.1"]), "{words:?}");
        prop_assert!(words[1].ends_with(upgrade.resource_name()), "{words:?}");
        let mut counts = [0; 3];
        for line in lines {
            prop_assert!(!line.contains(LINE_ENDS) && !line.starts_with([' ', '\t']), "{line:?}");
            let (name, value) = line.split_once(':').unwrap_or_default();
            let value = value.trim_matches([' ', '\t']);
            prop_assert!(!name.is_empty() && !name.contains([' ', '\t', '\u{b}']), "{line:?}");
            match &*name.to_ascii_lowercase() {
                "transfer-encoding" => prop_assert!(false, "{head:?}"),
                "content-length" => prop_assert_eq!(value, "0"),
                "host" => counts[0] += 1,
                "sec-websocket-key" => counts[1] += 1,
                "sec-websocket-version" => {
                    prop_assert_eq!(value, "13");
                    counts[2] += 1;
                }
                _ => {}
            }
        }
        prop_assert_eq!(counts, [1; 3], "{:?}", head);
    }

    #[test]
    fn a_reason_of_any_text_is_inside_one_close_frame_or_is_refused(reason in hostile(), repeated in 1..20_usize) {
        // 5.5.1: a reason may hold line ends, which mean nothing inside a frame.
        let reason = reason.repeat(repeated);
        for role in [Role::Client, Role::Server] {
            let mut connection = Connection::new(role, Arc::default());
            let mut output = SendBuffer::new();
            let frame = CloseFrame { code: CloseCode::NORMAL_CLOSURE, reason: reason.clone().into() };
            match connection.send_close(Some(frame), &mut output) {
                Ok(()) => {
                    let frames = frames_in(&output.to_vec());
                    prop_assert_eq!((frames.len(), frames[0].opcode), (1, CLOSE));
                    prop_assert_eq!(&frames[0].payload[2..], reason.as_bytes());
                }
                Err(error) => {
                    prop_assert_eq!(error, SendError::ReasonTooLong);
                    prop_assert!(reason.len() > 123 && output.is_empty());
                }
            }
        }
    }

    #[test]
    fn an_origin_of_a_policy_is_no_pattern_and_no_line(origin in hostile()) {
        for origin in [origin.clone(), format!("http://{origin}"), format!("http://a{origin}")] {
            prop_assert!(OriginPolicy::any_of([&*origin]).is_err() || is_one_line(&origin));
        }
    }
}

#[test]
fn the_lines_that_say_where_a_message_ends_are_nobodys_but_the_handshakes() {
    // Who may write one of these may write a second request.
    for name in [
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "Trailer",
        "Host",
        "Connection",
        "Upgrade",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
    ] {
        let request = ClientRequest::new("ws://h/").unwrap().header(name, "0");
        assert_eq!(request, Err(SendError::HeaderReserved), "{name}");
        let acceptance = Acceptance::new().header(name, "0");
        let mut output = SendBuffer::new();
        let accepted = upgrade().accept(acceptance, Arc::default(), &mut output);
        assert_eq!(accepted.err(), Some(SendError::HeaderReserved), "{name}");
        assert!(output.is_empty());
    }
    for name in ["Content-Length", "transfer-encoding", "CONNECTION"] {
        let response = Response::new(403).unwrap().header(name, "0");
        assert_eq!(response.err(), Some(SendError::HeaderReserved), "{name}");
    }
}

#[test]
fn characters_that_lose_their_high_byte_are_no_line_ends() {
    // U+560D and U+560A end a line where a string is written as its low bytes.
    let smuggled = "a\u{560d}\u{560a}X-Evil: 1";
    let request = ClientRequest::new("ws://h/").unwrap();
    let request = request.header("X-Name", smuggled).unwrap();
    let written = written(|output| {
        ClientHandshake::start(&request, Arc::default(), [7; 16], output);
    });
    let line = format!("X-Name: {smuggled}\r\n\r\n");
    assert!(written.ends_with(line.as_bytes()));
    assert!(ClientRequest::new(&format!("ws://h/{smuggled}")).is_err());
    let request = ClientRequest::new("ws://h/").unwrap();
    assert!(request.subprotocol(smuggled).is_err());
}

#[cfg(all(feature = "blocking", feature = "tokio"))]
mod adapters {
    //! The same through the adapters: a value that is refused leaves nothing on the wire.

    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};

    use framewright::{blocking, tokio as asynchronous};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const EVIL: [&str; 4] = ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"];

    #[test]
    fn a_value_with_a_line_end_is_an_error_of_every_adapter_and_nothing_is_written() {
        for evil in EVIL {
            let asked = [REQUEST_LINE, UPGRADE_LINES].concat();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            peer.write_all(&asked).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            let blocking::Incoming::Upgrade(upgrade) =
                blocking::Server::new().receive(stream).unwrap()
            else {
                panic!("an upgrade was asked for");
            };
            let acceptance = Acceptance::new().header("Set-Cookie", evil);
            let error = upgrade.accept(acceptance).unwrap_err();
            assert_is_value_invalid(&error);
            let mut written = Vec::new();
            peer.read_to_end(&mut written).unwrap();
            assert_eq!(written, b"");

            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(async {
                let (mut peer, stream) = tokio::io::duplex(4096);
                peer.write_all(&asked).await.unwrap();
                let mut config = Config::default();
                config.handshake_timeout = None;
                let server = asynchronous::Server::new().config(config);
                let asynchronous::Incoming::Upgrade(upgrade) =
                    server.receive(stream).await.unwrap()
                else {
                    panic!("an upgrade was asked for");
                };
                let acceptance = Acceptance::new().header("Set-Cookie", evil);
                let error = upgrade.accept(acceptance).await.unwrap_err();
                assert_is_value_invalid(&error);
                let mut written = Vec::new();
                peer.read_to_end(&mut written).await.unwrap();
                assert_eq!(written, b"");
            });
        }
    }

    fn assert_is_value_invalid(error: &blocking::Error) {
        let is_value = matches!(error, blocking::Error::Send(SendError::HeaderValueInvalid));
        assert!(is_value, "{error:?}");
    }
}

// -- What is passed -------------------------------------------------------------------------------

/// A request as somebody asks for it who lets others write parts of it.
#[derive(Debug, Clone)]
struct Asked {
    uri: String,
    subprotocols: Vec<String>,
    headers: Vec<(String, String)>,
}

/// What of it was taken.
struct Taken {
    has_subprotocols: bool,
    names: Vec<String>,
}

impl Asked {
    /// Builds it of all parts that are taken: none that holds a line end is.
    fn request(&self) -> Result<Option<(ClientRequest, Taken)>, TestCaseError> {
        let built = ClientRequest::new(&self.uri);
        prop_assert!(built.is_err() || is_one_line(&self.uri));
        let Ok(mut request) = built else {
            return Ok(None);
        };
        let mut taken = Taken {
            has_subprotocols: false,
            names: Vec::new(),
        };
        for subprotocol in &self.subprotocols {
            let next = request.clone().subprotocol(subprotocol);
            prop_assert!(next.is_err() || is_one_line(subprotocol));
            if let Ok(next) = next {
                request = next;
                taken.has_subprotocols = true;
            }
        }
        for (name, value) in &self.headers {
            let next = request.clone().header(name, value);
            prop_assert!(next.is_err() || is_one_line(name) && is_one_line(value));
            if let Ok(next) = next {
                request = next;
                taken.names.push(name.clone());
            }
        }
        Ok(Some((request, taken)))
    }
}

fn hostile_requests() -> impl Strategy<Value = Asked> {
    let uri = prop_oneof![
        2 => Just("ws://server.example.com/chat".to_owned()),
        1 => hostile(),
        1 => hostile().prop_map(|text| format!("ws://{text}")),
        1 => hostile().prop_map(|text| format!("wss://h{text}")),
        1 => hostile().prop_map(|text| format!("ws://h/{text}")),
        1 => hostile().prop_map(|text| format!("ws://h/?{text}")),
    ];
    let subprotocols = vec(hostile(), 0..3);
    let headers = vec((names(), hostile()), 0..4);
    (uri, subprotocols, headers).prop_map(|(uri, subprotocols, headers)| Asked {
        uri,
        subprotocols,
        headers,
    })
}

/// The lines of a request that is often accepted, and of which some readers make something else.
fn ambiguous_lines() -> impl Strategy<Value = Vec<&'static str>> {
    let good = [
        "Host: h",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    let line = prop_oneof![
        2 => select(good.to_vec()),
        4 => select(vec!["X: y", "Content-Length: 0", "X:", "Cookie: a=b"]),
        4 => select(vec![
            "Content-Length: 5",
            "Content-Length: 0, 5",
            "content-length:00",
            "Transfer-Encoding: chunked",
            "TRANSFER-ENCODING:",
            "Host: other",
            "host:h",
            "Sec-WebSocket-Version: 8",
            " folded: 1",
            "Content-Length : 5",
        ]),
    ];
    let first = select(vec!["GET /chat HTTP/1.1", "GET http://h/chat HTTP/1.1"]);
    (first, Just(good), vec((line, any::<Index>()), 0..3)).prop_map(|(first, good, more)| {
        let mut lines = good.to_vec();
        for (line, place) in more {
            lines.insert(place.index(lines.len() + 1), line);
        }
        lines.insert(0, first);
        lines
    })
}

/// Text that is often all right, and often tries to end its line.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(vec!["a", "0", "-", ".", "/x", "chat", "=", "%0d%0a"]),
        2 => select(vec!["\r\n", "\r", "\n", "\0", "\r\n\r\n", "\r\nX-Evil: 1", "\n\n", "\r\n 1"]),
        1 => select(vec![" ", "\t", ":", ": ", ",", ";", "\"", "\\", "#", "@", "\u{7f}", "\u{b}"]),
        1 => select(vec!["\u{85}", "\u{2028}", "\u{560d}\u{560a}", "\u{e4}", "\u{feff}"]),
    ];
    let pieces = vec(piece, 0..5).prop_map(|pieces| pieces.concat());
    // A word that one character alone spoils, or none.
    let word = (
        "[a-z]{0,3}",
        select(vec!["", "\r", "\n", "\0"]),
        "[a-z]{0,3}",
    );
    let word = word.prop_map(|(before, end, behind)| [&before, end, &behind].concat());
    prop_oneof![pieces, word]
}

/// Names of header lines, of which some are none.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["Cookie", "Origin", "Authorization", "User-Agent", "X-Own"])
            .prop_map(str::to_owned),
        2 => hostile(),
        1 => hostile().prop_map(|text| format!("X{text}")),
    ]
}

fn is_one_line(text: &str) -> bool {
    !text.contains(LINE_ENDS)
}

// -- What is written ------------------------------------------------------------------------------

/// Asserts that a message is a first line and lines of these names, in order, and then `body`.
fn assert_lines(written: &[u8], expected: &[&str], body: &[u8]) -> Result<(), TestCaseError> {
    let found = names_of(written, body)?;
    prop_assert_eq!(found, expected, "{}", written.escape_ascii());
    Ok(())
}

/// Returns the first word of the first line, and the names of the others; `body` stands behind
/// them.
fn names_of(written: &[u8], body: &[u8]) -> Result<Vec<String>, TestCaseError> {
    let head = written.strip_suffix(body);
    let head = head.and_then(|head| head.strip_suffix(b"\r\n\r\n"));
    prop_assert!(head.is_some(), "{}", written.escape_ascii());
    let head = String::from_utf8_lossy(head.unwrap_or_default());
    let mut names = Vec::new();
    for (index, line) in head.split("\r\n").enumerate() {
        prop_assert!(!line.is_empty() && !line.contains(LINE_ENDS), "{head:?}");
        let name = line.split(if index == 0 { " " } else { ": " }).next();
        names.push(name.unwrap_or_default().to_owned());
    }
    Ok(names)
}

fn written(write: impl FnOnce(&mut SendBuffer)) -> Vec<u8> {
    let mut output = SendBuffer::new();
    write(&mut output);
    output.to_vec()
}

fn receive(request: &[u8]) -> Result<Option<Request>, HandshakeError> {
    let mut handshake = ServerHandshake::new(Arc::new(Config::default()));
    handshake.receive(&mut RecvBuffer::from(request))
}

/// A request that offers the subprotocol `chat`.
fn upgrade() -> framewright::handshake::UpgradeRequest {
    match receive(&[REQUEST_LINE, UPGRADE_LINES].concat()) {
        Ok(Some(Request::Upgrade(request))) => request,
        outcome => panic!("{outcome:?}"),
    }
}

const REQUEST_LINE: &[u8] = b"GET /chat HTTP/1.1\r\nHost: h\r\n";

/// What stands behind Host in a request for a WebSocket.
const UPGRADE_LINES: &[u8] = b"Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: chat\r\n\r\n";
