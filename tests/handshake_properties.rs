//! The opening handshake, whatever the bytes: no panic, the same outcome however they come, and
//! nothing on the wire that nobody said.
//!
//! RFC 6455, section 4.

use std::sync::Arc;

use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, OriginPolicy, Request, Response, ServerHandshake,
    UpgradeRequest, UpgradeResponse, accept_key,
};
use framewright::{Config, Event, HandshakeError, RecvBuffer, SendBuffer};
use proptest::collection::{hash_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

proptest! {
    #![proptest_config(settings())]

    // ---- Any bytes ----

    #[test]
    fn a_server_judges_the_same_bytes_the_same_however_they_come(
        bytes in prop_oneof![1 => vec(any::<u8>(), 0..200), 4 => mutated(requests())],
        config in configs(),
        cuts in cuts(),
    ) {
        let (whole, behind) = serve(&config, &bytes, &[]);
        let (pieces, behind_pieces) = serve(&config, &bytes, &cuts);
        let text = bytes.escape_ascii();
        prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "{}", text);
        if whole.is_ok() {
            prop_assert_eq!(behind, behind_pieces);
        }
        match whole {
            Ok(Some(Request::Upgrade(request))) => look_at_everything(request, &bytes)?,
            Ok(Some(Request::Plain(request))) => {
                let target = request.target().as_bytes();
                prop_assert!(bytes.windows(target.len()).any(|window| window == target));
                let response = Response::new(404).unwrap();
                let answer = written(|output| request.respond(&response, output));
                prop_assert!(answer.starts_with(b"HTTP/1.1 404 "));
            }
            Ok(None) => {}
            Err(error) => {
                // A server's errors all have an answer.
                let answer = written(|output| error.respond(output));
                prop_assert!(answer.starts_with(b"HTTP/1.1 "));
            }
        }
    }

    #[test]
    fn a_client_judges_the_same_bytes_the_same_however_they_come(
        bytes in prop_oneof![1 => vec(any::<u8>(), 0..200), 4 => mutated(answers())],
        config in configs(),
        cuts in cuts(),
    ) {
        let (whole, behind) = ask(&config, &bytes, &[]);
        let (pieces, behind_pieces) = ask(&config, &bytes, &cuts);
        let text = bytes.escape_ascii();
        prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "{}", text);
        match whole {
            Ok(response) => {
                prop_assert_eq!(behind, behind_pieces);
                prop_assert!(matches!(response.subprotocol(), None | Some("chat")));
                response.into_connection();
            }
            Err(HandshakeError::Refused(refused)) => {
                prop_assert!(refused.body.len() <= config.max_refused_body_len);
                prop_assert!(refused.body.len() <= bytes.len());
                prop_assert!((200..=599).contains(&refused.status));
                refused.location();
            }
            Err(error) => {
                let answer = written(|output| error.respond(output));
                prop_assert_eq!(answer.is_empty(), error.status().is_none());
            }
        }
    }

    #[test]
    fn no_order_of_calls_and_no_exchange_of_buffers_panics(
        calls in vec(
            (0..3_usize, mutated(prop_oneof![requests(), answers()]), any::<Index>()),
            1..8,
        ),
    ) {
        let mut inputs = [RecvBuffer::new(), RecvBuffer::new(), RecvBuffer::new()];
        let mut server = ServerHandshake::new(config());
        let request = ClientRequest::new("ws://h/").unwrap();
        let mut client = ClientHandshake::start(&request, config(), NONCE, &mut SendBuffer::new());
        for (input, bytes, end) in calls {
            let input = &mut inputs[input];
            input.extend(&bytes[..end.index(bytes.len() + 1)]);
            drop(server.receive(input));
            drop(client.receive(input));
            input.park();
            drop(client.receive(input));
            drop(server.receive(input));
        }
        client.receive_eof();
        client.receive_eof();
    }

    // ---- Both sides ----

    #[test]
    fn what_a_client_asks_is_what_a_server_sees_and_the_other_way_round(
        (host, port, resource) in (hosts(), option::of(1..=u16::MAX), resources()),
        subprotocols in hash_set(TOKEN, 0..8),
        chosen in option::of(any::<Index>()),
        sent in vec((TOKEN, values()), 0..8),
        answered in vec((TOKEN, values()), 0..8),
        nonce in any::<[u8; 16]>(),
        message in any::<String>(),
        cuts in cuts(),
    ) {
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let subprotocols: Vec<_> = subprotocols.into_iter().collect();
        let mut request = ClientRequest::new(&format!("ws://{host}{port}{resource}")).unwrap();
        for subprotocol in &subprotocols {
            request = request.subprotocol(subprotocol).unwrap();
        }
        for (name, value) in &sent {
            request = request.header(&format!("x-{name}"), value).unwrap();
        }
        let mut to_server = SendBuffer::new();
        let mut client = ClientHandshake::start(&request, config(), nonce, &mut to_server);

        let (upgrade, behind) = serve(&config(), &to_server.to_vec(), &cuts);
        let Ok(Some(Request::Upgrade(upgrade))) = upgrade else {
            panic!("{upgrade:?}");
        };
        prop_assert_eq!(behind, b"");
        prop_assert_eq!(upgrade.resource_name(), request.uri().resource_name());
        prop_assert_eq!(upgrade.host(), request.uri().authority());
        prop_assert_eq!(
            upgrade.subprotocols().map(str::to_owned).collect::<Vec<_>>(),
            &subprotocols[..],
        );
        prop_assert_eq!(own_lines(upgrade.headers().iter()), trimmed(&sent));

        let chosen = chosen
            .filter(|_| !subprotocols.is_empty())
            .map(|index| &*subprotocols[index.index(subprotocols.len())]);
        let mut acceptance = Acceptance::new();
        if let Some(chosen) = chosen {
            acceptance = acceptance.subprotocol(chosen);
        }
        for (name, value) in &answered {
            acceptance = acceptance.header(&format!("x-{name}"), value);
        }
        let mut to_client = SendBuffer::new();
        let mut connection = upgrade.accept(acceptance, config(), &mut to_client).unwrap();
        connection.send_text(&message, &mut to_client).unwrap();

        let bytes = to_client.to_vec();
        let (response, behind) = feed(&bytes, &cuts, |input| client.receive(input));
        let Ok(Some(response)) = response else {
            panic!("{response:?}");
        };
        prop_assert_eq!(response.subprotocol(), chosen);
        prop_assert_eq!(own_lines(response.headers().iter()), trimmed(&answered));
        let mut input = RecvBuffer::from(&behind[..]);
        let mut connection = response.into_connection();
        let event = connection.receive(&mut input, &mut SendBuffer::new());
        let Ok(Some(Event::Text(text))) = event else {
            panic!("{event:?}");
        };
        prop_assert_eq!(text, message);
    }

    #[test]
    fn what_a_server_refuses_with_is_what_a_client_is_told(
        // 205 has no body, and says so by its length.
        status in (200..600_u16).prop_filter("not 205", |&status| status != 205),
        answered in vec((TOKEN, values()), 0..8),
        body in vec(any::<u8>(), 0..5000),
        cuts in cuts(),
    ) {
        let mut response = Response::new(status).unwrap().body(body.clone());
        for (name, value) in &answered {
            response = response.header(&format!("x-{name}"), value).unwrap();
        }
        let (request, _) = serve(&config(), UPGRADE, &[]);
        let Ok(Some(Request::Upgrade(request))) = request else {
            panic!("{request:?}");
        };
        let bytes = written(|output| request.reject(&response, output));
        let (outcome, _) = ask(&config(), &bytes, &cuts);
        let Err(HandshakeError::Refused(refused)) = outcome else {
            panic!("{outcome:?}");
        };
        prop_assert_eq!(refused.status, status);
        let lines = refused.headers.iter().map(|(name, value)| (&**name, &**value));
        let lower: Vec<_> = trimmed(&answered)
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        prop_assert_eq!(own_lines(lines), lower);
        let kept = match status {
            204 | 304 => 0,
            _ => body.len().min(4096),
        };
        prop_assert_eq!(&refused.body[..], &body[..kept]);
        prop_assert_eq!(refused.body_truncated, body.len() > 4096 && kept > 0);
    }

    // ---- Injection ----

    #[test]
    fn a_header_of_any_bytes_is_refused_or_is_one_line(
        name in nasty_text(),
        value in nasty_bytes(),
    ) {
        let plain = ClientRequest::new("ws://h/").unwrap();
        if let Ok(request) = plain.clone().header(&name, &value) {
            is_one_line_more(&request_bytes(&plain), &request_bytes(&request), &name, &value)?;
        }
        let acceptance = Acceptance::new().header(&name, &value);
        let without = written(|output| upgrade().accept(Acceptance::new(), config(), output));
        let mut output = SendBuffer::new();
        match upgrade().accept(acceptance, config(), &mut output) {
            Ok(_) => is_one_line_more(&without, &output.to_vec(), &name, &value)?,
            Err(_) => prop_assert!(output.is_empty()),
        }
        let plain = Response::new(403).unwrap();
        if let Ok(response) = plain.clone().header(&name, &value) {
            let without = written(|output| upgrade().reject(&plain, output));
            let with = written(|output| upgrade().reject(&response, output));
            is_one_line_more(&without, &with, &name, &value)?;
        }
    }

    #[test]
    fn a_subprotocol_of_any_characters_is_refused_or_is_one_line(subprotocol in nasty_text()) {
        let plain = ClientRequest::new("ws://h/").unwrap();
        if let Ok(request) = plain.clone().subprotocol(&subprotocol) {
            let (without, with) = (request_bytes(&plain), request_bytes(&request));
            let value = subprotocol.as_bytes();
            is_one_line_more(&without, &with, "Sec-WebSocket-Protocol", value)?;
        }
        // The server writes none that the client did not offer.
        let acceptance = Acceptance::new().subprotocol(&subprotocol);
        let mut output = SendBuffer::new();
        prop_assert!(upgrade().accept(acceptance, config(), &mut output).is_err());
        prop_assert!(output.is_empty());
    }

    #[test]
    fn a_uri_of_any_characters_is_refused_or_makes_a_request_that_is_accepted(
        uri in prop_oneof![
            nasty_text(),
            nasty_text().prop_map(|text| format!("ws://{text}")),
            nasty_text().prop_map(|text| format!("ws://h{text}")),
            nasty_text().prop_map(|text| format!("ws://h/{text}")),
            "wss?://(\\[[0-9a-f:.]{0,8}\\]|[a-zA-Z0-9._~-]{0,8})(:[0-9]{0,6})?[!-~]{0,12}",
        ],
    ) {
        if let Ok(request) = ClientRequest::new(&uri) {
            let bytes = request_bytes(&request);
            prop_assert_eq!(
                String::from_utf8(bytes.clone()).unwrap(),
                format!(
                    "GET {} HTTP/1.1\r\n\
                     Host: {}\r\n\
                     Upgrade: websocket\r\n\
                     Connection: Upgrade\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                     Sec-WebSocket-Version: 13\r\n\
                     \r\n",
                    request.uri().resource_name(),
                    request.uri().authority(),
                )
            );
            let (outcome, _) = serve(&config(), &bytes, &[]);
            let Ok(Some(Request::Upgrade(upgrade))) = outcome else {
                panic!("{outcome:?}");
            };
            prop_assert_eq!(upgrade.resource_name(), request.uri().resource_name());
            // What is written again is the same.
            prop_assert_eq!(&request.uri().to_string().parse(), &Ok(request.uri().clone()));
        }
    }

    #[test]
    fn an_origin_that_a_policy_takes_is_one_that_it_allows(
        origin in prop_oneof![
            nasty_text(),
            nasty_text().prop_map(|text| format!("https://{text}")),
            "[a-zA-Z+-]{1,5}://(\\[[0-9a-f:]{1,8}\\]|[a-zA-Z0-9._-]{1,12})(:[0-9]{1,5})?",
        ],
    ) {
        if let Ok(policy) = OriginPolicy::any_of([&*origin]) {
            let head = UPGRADE.strip_suffix(b"\r\n").unwrap();
            for (origin, allowed) in [
                (origin.clone(), true),
                (origin.to_ascii_uppercase(), true),
                (format!("{origin}.evil.org"), false),
                (format!("{origin}/"), false),
                (format!("x{origin}"), false),
                ("null".to_owned(), false),
            ] {
                let bytes = [head, b"Origin: ", origin.as_bytes(), b"\r\n\r\n"].concat();
                let (outcome, _) = serve(&config(), &bytes, &[]);
                let Ok(Some(Request::Upgrade(request))) = outcome else {
                    panic!("{origin:?}: {outcome:?}");
                };
                prop_assert_eq!(request.origin_is_allowed(&policy), allowed, "{:?}", origin);
            }
        }
    }
}

// ---- What is fed ----

/// 5.6.2 of RFC 9110: any character of a token.
const TOKEN: &str = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}";

/// Section 1.3's key is the base64 of this.
const NONCE: [u8; 16] = *b"the sample nonce";

const UPGRADE: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

fn settings() -> ProptestConfig {
    ProptestConfig {
        // What fails belongs in the other two files, by name.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn config() -> Arc<Config> {
    Arc::new(Config::default())
}

/// Limits, often the defaults, and often so low that they are met.
fn configs() -> impl Strategy<Value = Arc<Config>> {
    let lens = (
        select(vec![16 << 10, 16 << 10, 200, 300]),
        select(vec![8 << 10, 8 << 10, 16, 30]),
        select(vec![100, 100, 5, 6]),
        select(vec![4096, 0, 1, 7]),
    );
    lens.prop_map(|(head, request_line, headers, body)| {
        let mut config = Config::default();
        config.max_head_len = head;
        config.max_request_line_len = request_line;
        config.max_headers = headers;
        config.max_refused_body_len = body;
        Arc::new(config)
    })
}

/// Requests that are often good, or nearly.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let request_lines = select(vec![
        "GET / HTTP/1.1",
        "GET / HTTP/1.1",
        "GET /chat?x=y HTTP/1.1",
        "GET http://a.example:80/chat HTTP/1.1",
        "GET http://a.example?x HTTP/1.1",
        "GET a://b://c/d HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /chat HTTP/1.0",
        "POST / HTTP/1.1",
        "GET / HTTP/2.0",
        "\r\nGET / HTTP/1.1",
        "",
    ]);
    let lines = select(vec![
        "Host: [::1]:80",
        "Host:",
        "Upgrade: h2c",
        "Connection: keep-alive,, close",
        "Sec-WebSocket-Protocol: a, b",
        "sec-websocket-protocol: c",
        "Sec-WebSocket-Extensions: a; b=\"c\\d\", e; f",
        "Sec-WebSocket-Extensions: \"",
        "Content-Length: 0",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Origin: http://server.example.com",
        "Origin: null",
        "Origin: http://[::1",
        "Cookie: a=b; c = d;e;=f",
        "X: \u{e4}\t",
        " folded",
        "no colon",
    ]);
    let good = "Host: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
    let start = select(vec![good, good, good, "Host: h", "Upgrade: websocket"]);
    (
        request_lines,
        start,
        vec(lines, 0..5),
        prop_oneof![Just(Vec::new()), vec(any::<u8>(), 0..20)],
    )
        .prop_map(|(request_line, start, lines, behind)| {
            let head = [&[request_line, start], &lines[..], &["", ""]]
                .concat()
                .join("\r\n");
            [head.as_bytes(), &behind].concat()
        })
}

/// Answers that are often good, or nearly; to a client that offers `chat`.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let status = select(vec![
        "HTTP/1.1 101 Switching Protocols",
        "HTTP/1.1 101 Switching Protocols",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101",
        "HTTP/1.1 302 Found",
        "HTTP/1.1 404 Not Found",
        "HTTP/1.1 204 No Content",
        "HTTP/1.0 500 ",
        "HTTP/1.1 103 \r\n\r\nHTTP/1.1 500 ",
        "HTTP/2.0 101",
        "",
    ]);
    let good = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let start = select(vec![good, good, "Upgrade: websocket", "Location: /a"]);
    let lines = select(vec![
        "Sec-WebSocket-Protocol: chat",
        "Sec-WebSocket-Protocol: b",
        "Sec-WebSocket-Extensions: a",
        "Content-Length: 0",
        "Content-Length: 5",
        "Content-Length: 18446744073709551615",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Location: \u{e4}",
        "X: y",
        "no colon",
    ]);
    let body = vec(
        prop_oneof![
            4 => select(vec![
                "5\r\nhello\r\n",
                "A;b=c\r\n0123456789\r\n",
                "0\r\n\r\n",
                "00000\r\nTrailer: x\r\n\r\n",
                "FFFFFFFFFFFFFFFF\r\n",
                "10000000000000000\r\n",
                "\r\n",
                "hello",
                "3 ; x\r\nabc\r\n",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            1 => (0..600_usize).prop_map(|len| {
                format!("5;{}\r\nhello\r\n", "x".repeat(len)).into_bytes()
            }),
            1 => vec(any::<u8>(), 0..20),
        ],
        0..6,
    );
    (status, start, vec(lines, 0..3), body).prop_map(|(status, start, lines, body)| {
        let head = [&[status, start], &lines[..], &["", ""]]
            .concat()
            .join("\r\n");
        [head.into_bytes(), body.concat()].concat()
    })
}

/// The same, and sometimes with a byte that is another one, or is missing, or is too much.
fn mutated(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let nasty = prop_oneof![select(b"\r\n\0 \t:,;\"\x7f\x80".to_vec()), any::<u8>()];
    (
        bytes,
        option::weighted(0.4, (any::<Index>(), nasty, 0..3_u8)),
    )
        .prop_map(|(mut bytes, mutation)| {
            if let Some((index, byte, kind)) = mutation
                && !bytes.is_empty()
            {
                let index = index.index(bytes.len());
                match kind {
                    0 => bytes[index] = byte,
                    1 => bytes.insert(index, byte),
                    _ => drop(bytes.remove(index)),
                }
            }
            bytes
        })
}

/// The lengths of the reads, over and over.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..4_usize, 1..100_usize], 1..10)
}

fn hosts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9]([a-zA-Z0-9._~-]{0,20})",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
    ]
}

fn resources() -> impl Strategy<Value = String> {
    let path = "(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}){0,8}){0,4}";
    let query = "(\\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2}){0,20})?";
    (path, query).prop_map(|(path, query)| path + &query)
}

/// Header values that may be sent.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![32..=126_u8, select(b" \t".to_vec()), 128..=255_u8,];
    vec(byte, 0..40)
}

fn nasty_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        6 => select("aZ0-./:?=%".chars().collect::<Vec<_>>()),
        2 => select("\r\n\0\t ,;#@[]\\\"\u{7f}".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    vec(character, 0..10).prop_map(String::from_iter)
}

fn nasty_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => 32..=126_u8,
        1 => select(b"\r\n\0\t \x7f".to_vec()),
        1 => any::<u8>(),
    ];
    vec(byte, 0..10)
}

// ---- The rig ----

/// Feeds `bytes` in pieces of these lengths, or whole if there are none, until `receive` says
/// something; returns what is behind it, too.
fn feed<T>(
    bytes: &[u8],
    cuts: &[usize],
    mut receive: impl FnMut(&mut RecvBuffer) -> Result<Option<T>, HandshakeError>,
) -> (Result<Option<T>, HandshakeError>, Vec<u8>) {
    let mut input = RecvBuffer::new();
    let mut fed = 0;
    let mut outcome = receive(&mut input);
    let mut cuts = cuts.iter().cycle();
    while fed < bytes.len() && matches!(outcome, Ok(None)) {
        let len = cuts.next().map_or(bytes.len(), |&len| len);
        let end = (fed + len).min(bytes.len());
        input.extend(&bytes[fed..end]);
        fed = end;
        outcome = receive(&mut input);
    }
    (outcome, [input.unread(), &bytes[fed..]].concat())
}

fn serve(
    config: &Arc<Config>,
    bytes: &[u8],
    cuts: &[usize],
) -> (Result<Option<Request>, HandshakeError>, Vec<u8>) {
    let mut server = ServerHandshake::new(Arc::clone(config));
    feed(bytes, cuts, |input| server.receive(input))
}

/// Asks for `chat` with section 1.3's key; the transport ends behind `bytes`.
fn ask(
    config: &Arc<Config>,
    bytes: &[u8],
    cuts: &[usize],
) -> (Result<UpgradeResponse, HandshakeError>, Vec<u8>) {
    let request = ClientRequest::new("ws://h/").unwrap();
    let request = request.subprotocol("chat").unwrap();
    let mut output = SendBuffer::new();
    let mut client = ClientHandshake::start(&request, Arc::clone(config), NONCE, &mut output);
    let (outcome, behind) = feed(bytes, cuts, |input| client.receive(input));
    let outcome = match outcome {
        Ok(Some(response)) => Ok(response),
        Ok(None) => Err(client.receive_eof()),
        Err(error) => Err(error),
    };
    (outcome, behind)
}

fn upgrade() -> UpgradeRequest {
    match serve(&config(), UPGRADE, &[]).0 {
        Ok(Some(Request::Upgrade(request))) => request,
        outcome => panic!("{outcome:?}"),
    }
}

fn written<T>(write: impl FnOnce(&mut SendBuffer) -> T) -> Vec<u8> {
    let mut output = SendBuffer::new();
    write(&mut output);
    output.to_vec()
}

fn request_bytes(request: &ClientRequest) -> Vec<u8> {
    written(|output| ClientHandshake::start(request, config(), NONCE, output))
}

/// Whatever a request that is accepted says, it can be looked at, and is answered with 101.
fn look_at_everything(request: UpgradeRequest, bytes: &[u8]) -> Result<(), TestCaseError> {
    prop_assert!(request.resource_name().starts_with('/'));
    prop_assert!(!request.resource_name().contains(['#', ' ']));
    prop_assert!(request.resource_name().starts_with(request.path()));
    prop_assert!(
        request
            .resource_name()
            .ends_with(request.query().unwrap_or(""))
    );
    prop_assert!(request.headers().iter().count() < bytes.len());
    prop_assert!(request.subprotocols().count() <= 64);
    prop_assert!(request.extensions().len() <= 16);
    for policy in [
        OriginPolicy::SameOrigin,
        OriginPolicy::any_of(["http://a"]).unwrap(),
    ] {
        let allowed = request.origin_is_allowed(&policy);
        prop_assert!(
            !allowed || request.origin().is_some() == request.headers().first("origin").is_some()
        );
    }
    prop_assert!(request.origin_is_allowed(&OriginPolicy::Any));
    for name in ["a", "c", "e", "", " "] {
        request.cookie(name);
    }
    let accept = accept_key(request.headers().single("sec-websocket-key").unwrap_or(b""));
    let answer = written(|output| request.accept(Acceptance::new(), config(), output));
    let expected = [
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Accept: ",
        &accept[..],
        b"\r\n\r\n",
    ];
    prop_assert_eq!(answer, expected.concat());
    Ok(())
}

fn is_one_line_more(
    without: &[u8],
    with: &[u8],
    name: &str,
    value: &[u8],
) -> Result<(), TestCaseError> {
    let line = [name.as_bytes(), b": ", value.trim_ascii()].concat();
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes
            .split(|&byte| matches!(byte, b'\r' | b'\n' | 0))
            .map(<[u8]>::to_vec)
            .collect()
    };
    let mut rest = lines(with);
    // Between two line ends there is an empty piece.
    let at = rest.iter().position(|other| *other == line);
    prop_assert!(at.is_some(), "{}", with.escape_ascii());
    rest.drain(at.unwrap_or_default()..at.unwrap_or_default() + 2);
    prop_assert_eq!(rest, lines(without));
    Ok(())
}

/// The lines of the application, which all begin with `x-` here.
fn own_lines<'a>(lines: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    lines
        .filter(|(name, _)| name.starts_with("x-"))
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect()
}

/// The same lines as they are seen: white space around a value is not part of it.
fn trimmed(lines: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    lines
        .iter()
        .map(|(name, value)| {
            let value = value.trim_ascii();
            (format!("x-{name}"), value.to_vec())
        })
        .collect()
}
