//! Examples of servers as programs: what people copy does what it says.
//!
//! Each is started on a port of its own, spoken to over sockets, and stopped.

#![cfg(all(feature = "blocking", feature = "tokio"))]

#[path = "support/program.rs"]
mod program;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use framewright::blocking::{Client, Error, MaybeTlsStream, WebSocket};
use framewright::handshake::ClientRequest;
use framewright::{HandshakeError, Message};
use program::Program;

// -- auth -----------------------------------------------------------------------------------------

#[test]
fn auth_tells_who_is_unknown_from_who_is_forbidden() {
    let (_server, address, [alice, bob]) = start_auth(&[]);
    let bearer = |token: &str| format!("Bearer {token}");
    for (path, token, status) in [
        ("/ws", None, 401),
        ("/ws", Some("nobody's"), 401),
        ("/ws/admin", None, 401),
        ("/ws/admin", Some(&*bob), 403),
        ("/nowhere", Some(&*alice), 404),
    ] {
        let mut request = request(&address, path);
        if let Some(token) = token {
            request = request.header("Authorization", bearer(token)).unwrap();
        }
        assert_eq!(refusal(request), status, "{path} {token:?}");
    }
    for (path, token, name) in [
        ("/ws", &bob, "bob"),
        ("/ws", &alice, "alice"),
        ("/ws/admin", &alice, "alice"),
    ] {
        let request = request(&address, path).header("Authorization", bearer(token));
        let mut socket = open(request.unwrap());
        assert_eq!(text(&mut socket), format!("welcome, {name}"));
        socket.send("hello").unwrap();
        assert_eq!(text(&mut socket), format!("{name}: hello"));
    }
}

#[test]
fn auth_gives_a_cookie_for_a_token_and_lets_it_in() {
    let (_server, address, [_, bob]) = start_auth(&[]);
    let refused = http(
        &address,
        "POST /login",
        "Authorization: Bearer nobody's\r\n",
    );
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let response = http(
        &address,
        "POST /login",
        &format!("Authorization: Bearer {bob}\r\n"),
    );
    let cookie = response
        .lines()
        .find_map(|line| line.strip_prefix("Set-Cookie: "));
    let cookie = cookie.unwrap_or_else(|| panic!("{response}"));
    assert!(
        cookie.contains("HttpOnly; SameSite=Strict"),
        "scripts and other sites have no use of it: {cookie}"
    );
    let (session, _) = cookie.split_once(';').unwrap();
    let mut socket = open(request(&address, "/ws").header("Cookie", session).unwrap());
    assert_eq!(text(&mut socket), "welcome, bob");
    let other = format!("{session}0");
    let request = request(&address, "/ws").header("Cookie", other).unwrap();
    assert_eq!(refusal(request), 401);
}

#[test]
fn auth_takes_a_token_as_the_first_message() {
    let (_server, address, [alice, _]) = start_auth(&[]);
    let mut socket = open(request(&address, "/ws/first"));
    socket.send(alice).unwrap();
    assert_eq!(text(&mut socket), "welcome, alice");

    let mut socket = open(request(&address, "/ws/first"));
    socket.send("nobody's").unwrap();
    assert_eq!(socket.recv().unwrap(), None);
    assert_eq!(socket.end().unwrap().code(), 1008);
}

#[test]
fn auth_looks_at_the_origin_first() {
    let own = "http://localhost:3000";
    let (_server, address, [alice, _]) = start_auth(&["--origin", own]);
    for (origin, is_welcome) in [(own, true), ("http://evil.example", false)] {
        let request = request(&address, "/ws")
            .header("Authorization", format!("Bearer {alice}"))
            .and_then(|request| request.header("Origin", origin))
            .unwrap();
        if is_welcome {
            assert_eq!(text(&mut open(request)), "welcome, alice");
        } else {
            assert_eq!(refusal(request), 403);
        }
    }
}

/// Starts it, and returns the tokens of alice and bob.
fn start_auth(flags: &[&str]) -> (Program, String, [String; 2]) {
    let (mut server, address) = start("auth", flags);
    let tokens = ["alice", "bob"].map(|name| server.line_with(&format!("token of {name}: ")));
    (server, address, tokens)
}

// -- events ---------------------------------------------------------------------------------------

#[test]
fn events_are_acknowledged_and_reach_the_others_in_the_room() {
    let (_server, address) = start("events", &[]);
    let mut one = open(request(&address, "/chat"));
    let joined = ask(&mut one, r#"{"event":"join","data":{"room":"red"},"id":1}"#);
    assert_eq!(
        joined,
        r#"{"data":{"members":1,"room":"red"},"event":"ack","id":1}"#
    );
    let mut other = open(request(&address, "/chat"));
    let joined = ask(
        &mut other,
        r#"{"event":"join","data":{"room":"red"},"id":7}"#,
    );
    assert_eq!(
        joined,
        r#"{"data":{"members":2,"room":"red"},"event":"ack","id":7}"#
    );
    assert_eq!(
        text(&mut one),
        r#"{"data":{"room":"red","who":1},"event":"joined"}"#
    );
    let said = ask(
        &mut other,
        r#"{"event":"say","data":{"room":"red","text":"hello"},"id":8}"#,
    );
    assert_eq!(said, r#"{"data":{"reached":1},"event":"ack","id":8}"#);
    assert_eq!(
        text(&mut one),
        r#"{"data":{"from":1,"room":"red","text":"hello"},"event":"said"}"#
    );
    let said = ask(
        &mut other,
        r#"{"event":"say","data":{"room":"blue","text":"hello"},"id":9}"#,
    );
    assert_eq!(
        said,
        r#"{"error":"you are not in that room","event":"ack","id":9}"#
    );
    // However somebody leaves, the others hear of it.
    drop(other);
    assert_eq!(
        text(&mut one),
        r#"{"data":{"room":"red","who":1},"event":"left"}"#
    );
    // Without an id there is no acknowledgement: the next answer is to the next question.
    one.send(r#"{"event":"leave","data":{"room":"red"}}"#)
        .unwrap();
    let again = ask(
        &mut one,
        r#"{"event":"leave","data":{"room":"red"},"id":2}"#,
    );
    assert_eq!(
        again,
        r#"{"error":"you are not in that room","event":"ack","id":2}"#
    );
}

#[test]
fn a_path_is_a_namespace_with_events_of_its_own() {
    let (_server, address) = start("events", &[]);
    let mut guest = open(request(&address, "/chat"));
    ask(
        &mut guest,
        r#"{"event":"join","data":{"room":"red"},"id":1}"#,
    );
    let mut admin = open(request(&address, "/admin"));
    let rooms = ask(&mut admin, r#"{"event":"rooms","id":1}"#);
    assert_eq!(rooms, r#"{"data":{"red":1},"event":"ack","id":1}"#);
    let announced = ask(
        &mut admin,
        r#"{"event":"announce","data":{"text":"tea"},"id":2}"#,
    );
    assert_eq!(announced, r#"{"data":{"reached":1},"event":"ack","id":2}"#);
    assert_eq!(
        text(&mut guest),
        r#"{"data":{"text":"tea"},"event":"announcement"}"#
    );
    let unknown = ask(
        &mut admin,
        r#"{"event":"join","data":{"room":"red"},"id":3}"#,
    );
    assert_eq!(unknown, r#"{"error":"no such event","event":"ack","id":3}"#);
    assert_eq!(refusal(request(&address, "/nowhere")), 404);
}

#[test]
fn what_is_no_event_closes_with_1007() {
    let (_server, address) = start("events", &[]);
    for nonsense in [
        Message::text("not JSON"),
        Message::text("[]"),
        Message::text(r#"{"data":1}"#),
        Message::text(r#"{"event":"say","id":"one"}"#),
        Message::binary(b"{}".to_vec()),
    ] {
        let mut socket = open(request(&address, "/chat"));
        socket.send(nonsense.clone()).unwrap();
        assert_eq!(socket.recv().unwrap(), None, "{nonsense:?}");
        assert_eq!(socket.end().unwrap().code(), 1007, "{nonsense:?}");
    }
}

/// Sends an event and returns what comes back.
fn ask(socket: &mut WebSocket<MaybeTlsStream>, event: &str) -> String {
    socket.send(event).unwrap();
    text(socket)
}

// -- socketio -------------------------------------------------------------------------------------
//
// What the unmodified client does is checked by tests/interop/socketio; here is what it never does.

#[test]
fn socketio_opens_with_the_handshake_of_engine_io() {
    let (_server, address) = start("socketio", &["--ping-interval", "1234"]);
    let mut socket = open(request(&address, SOCKET_IO));
    let opened = text(&mut socket);
    let handshake: serde_json::Value =
        serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(handshake["pingInterval"], 1234);
    assert_eq!(handshake["pingTimeout"], 20_000);
    assert_eq!(handshake["maxPayload"], 1_000_000);
    assert_eq!(handshake["upgrades"], serde_json::json!([]));
    assert!(handshake["sid"].as_str().unwrap().len() >= 20);
}

#[test]
fn socketio_refuses_what_is_not_its_transport() {
    let (_server, address) = start("socketio", &[]);
    for (query, code) in [
        ("EIO=4&transport=polling", 0),
        ("EIO=4", 0),
        ("EIO=4&transport=websocket&sid=unknown", 1),
        ("EIO=3&transport=websocket", 5),
    ] {
        let target = format!("/socket.io/?{query}");
        assert_eq!(refusal(request(&address, &target)), 400, "{query}");
        let answer = http(&address, &format!("GET {target}"), "");
        let says = format!("{{\"code\":{code},");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains(&says), "{query}: {answer}");
    }
    let answer = http(&address, &format!("GET {SOCKET_IO}"), "");
    assert!(answer.contains("{\"code\":3,"), "no upgrade: {answer}");
    assert_eq!(refusal(request(&address, "/elsewhere")), 404);
}

#[test]
fn socketio_closes_on_what_is_no_packet() {
    let (_server, address) = start("socketio", &[]);
    let event = || Message::text("42[\"echo\"]");
    for (messages, code) in [
        // Before any namespace was connected to.
        (vec![event()], 1008),
        (
            vec![Message::text("40"), Message::text("42/admin,[\"echo\"]")],
            1000,
        ),
        (vec![Message::text("9")], 1007),
        (vec![Message::text("")], 1007),
        (vec![Message::text("48")], 1007),
        (vec![Message::text("44{}")], 1007),
        (vec![Message::text("40[]")], 1007),
        (vec![Message::text("42")], 1007),
        (vec![Message::text("42[]")], 1007),
        (vec![Message::text("42{}")], 1007),
        (vec![Message::text("42[\"disconnect\"]")], 1007),
        (vec![Message::text("42[\"unfinished")], 1007),
        (
            vec![Message::text("4299999999999999999999[\"echo\"]")],
            1007,
        ),
        (vec![Message::text("451[\"no dash\"]")], 1007),
        (vec![Message::text("450-[\"none\"]")], 1007),
        (vec![Message::text("4511-[\"too many\"]")], 1007),
        (
            vec![Message::text(
                r#"451-["echo",{"_placeholder":true,"num":1}]"#,
            )],
            1007,
        ),
        // An attachment of nothing, and a packet in the place of an attachment.
        (vec![Message::binary(vec![1])], 1007),
        (
            vec![
                Message::text(r#"451-["echo",{"_placeholder":true,"num":0}]"#),
                event(),
            ],
            1007,
        ),
        // A Ping is the server's to send.
        (vec![Message::text("2")], 1008),
        (vec![Message::text("2probe")], 1008),
        (vec![Message::text("5")], 1007),
        (vec![Message::text("1")], 1000),
    ] {
        let mut socket = open(request(&address, SOCKET_IO));
        for message in &messages {
            socket.feed(message.clone()).unwrap();
        }
        if code == 1000 {
            // What is tolerated leaves the connection as it is; a goodbye is the last message.
            let _ = socket.feed(Message::text("1"));
        }
        let _ = socket.flush(); // The Close may have come already.
        while socket.recv().unwrap().is_some() {}
        assert_eq!(socket.end().unwrap().code(), code, "{messages:?}");
    }
}

#[test]
fn socketio_closes_who_reads_too_slowly() {
    let (_server, address) = start("socketio", &[]);
    let [mut slow, mut other] = [(); 2].map(|()| {
        let mut socket = open(request(&address, SOCKET_IO));
        socket.send("40").unwrap();
        assert!(text(&mut socket).starts_with('0'));
        assert!(text(&mut socket).starts_with("40"));
        socket
    });
    // The other hears how many a broadcast has reached, until that is nobody.
    let data = Message::binary(vec![0; 900_000]);
    let mut reached = true;
    for id in 0..200 {
        let event = format!(r#"451-{id}["broadcast",{{"_placeholder":true,"num":0}}]"#);
        other.feed(event).unwrap();
        other.send(data.clone()).unwrap();
        reached = text(&mut other) == format!(r#"43{id}[{{"reached":1}}]"#);
        if !reached {
            break;
        }
    }
    assert!(!reached, "nothing bounds the queue");
    while slow.recv().unwrap().is_some() {}
    assert_eq!(slow.end().unwrap().code(), 1013);
}

#[test]
fn socketio_closes_who_gives_no_sign_of_life() {
    let flags = ["--ping-interval", "50", "--ping-timeout", "100"];
    let (_server, address) = start("socketio", &flags);
    let mut socket = open(request(&address, SOCKET_IO));
    socket.send("40").unwrap();
    assert!(text(&mut socket).starts_with('0'));
    assert!(text(&mut socket).starts_with("40"));
    assert_eq!(text(&mut socket), "2");
    while let Some(message) = socket.recv().unwrap() {
        assert_eq!(message, Message::text("2"));
    }
    let end = socket.end().unwrap();
    assert_eq!((end.code(), end.reason()), (1008, "ping timeout"));
}

const SOCKET_IO: &str = "/socket.io/?EIO=4&transport=websocket";

// -- graceful -------------------------------------------------------------------------------------

#[cfg(unix)]
#[test]
fn graceful_says_how_it_is_and_tells_everybody_when_it_leaves() {
    let (mut server, address) = start("graceful", &[]);
    let health = http(&address, "GET /health", "");
    assert!(health.ends_with("\r\n\r\nok, 0 connected\n"), "{health}");
    let mut clients = [(); 3].map(|()| open(request(&address, "/ws")));
    for client in &mut clients {
        client.send("hello").unwrap();
        assert_eq!(text(client), "hello");
    }
    let health = http(&address, "GET /health", "");
    assert!(health.ends_with("\r\n\r\nok, 3 connected\n"), "{health}");

    server.interrupt();
    assert_eq!(server.line(), "leaving, 3 connected");
    for client in &mut clients {
        assert_eq!(client.recv().unwrap(), None);
        let end = client.end().unwrap();
        assert_eq!((end.code(), end.is_clean()), (1001, true));
    }
    let ended = server.finish();
    assert_eq!(ended.stdout, "everybody has left\n");
    assert!(ended.status.success());
    assert!(TcpStream::connect(&address).is_err(), "nobody listens");
}

#[cfg(unix)]
#[test]
fn graceful_waits_for_nobody_without_end() {
    let (mut server, address) = start("graceful", &["--deadline", "1"]);
    let mut stubborn = open(request(&address, "/ws"));
    stubborn.send("hello").unwrap();
    assert_eq!(text(&mut stubborn), "hello");
    server.interrupt();
    assert_eq!(server.line(), "leaving, 1 connected");
    let ended = server.finish();
    assert_eq!(ended.stdout, "1 dropped at the deadline\n");
    assert_eq!(ended.status.code(), Some(1));
    drop(stubborn);
}

// -- tunnel ---------------------------------------------------------------------------------------

#[test]
fn tunnel_carries_bytes_both_ways_and_ends_with_either_side() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = target.local_addr().unwrap().to_string();
    let (_exit, ws_address) =
        start_with("tunnel", &["server", "--to", &to, "--token", "s"], "ws://");
    let via = format!("ws://{ws_address}/");
    let flags = ["client", "--via", &via, "--token", "s"];
    let (_entry, address) = start_with("tunnel", &flags, "listening on ");

    let sent: Vec<u8> = (0..3_000_000_u32)
        .map(|index| index.to_le_bytes()[1])
        .collect();
    let echoing = thread::spawn(move || {
        let (stream, _) = target.accept().unwrap();
        let (mut reader, mut writer) = (&stream, &stream);
        std::io::copy(&mut reader, &mut writer).unwrap()
    });
    let mut stream = TcpStream::connect(&address).unwrap();
    let received = thread::scope(|scope| {
        let mut reader = stream.try_clone().unwrap();
        let len = sent.len();
        let reading = scope.spawn(move || {
            let mut received = vec![0; len];
            reader.read_exact(&mut received).unwrap();
            received
        });
        stream.write_all(&sent).unwrap();
        reading.join().unwrap()
    });
    assert!(received == sent);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(echoing.join().unwrap(), sent.len() as u64);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn tunnel_lets_nobody_in_without_the_token_and_says_when_nobody_answers() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = unused.local_addr().unwrap().to_string();
    drop(unused);
    let (_exit, address) = start_with("tunnel", &["server", "--to", &to, "--token", "s"], "ws://");
    assert_eq!(refusal(request(&address, "/")), 401);
    let request = request(&address, "/").header("Authorization", "Bearer s");
    assert_eq!(refusal(request.unwrap()), 502);
}

// -- tls_server -----------------------------------------------------------------------------------

#[cfg(all(feature = "tokio-rustls", feature = "ring"))]
#[test]
fn tls_server_speaks_wss_with_a_certificate_that_is_given_to_it() {
    use framewright::tls::TlsConnector;

    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let (chain, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let directory = std::env::temp_dir().join(format!("tls_server-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let [chain_file, key_file] = [("chain.pem", &chain), ("key.pem", &key)].map(|(name, text)| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let flags = ["--cert", &chain_file, "--key", &key_file];
    let (_server, address) = start_with("tls_server", &flags, "open https://");
    std::fs::remove_dir_all(&directory).unwrap();
    let address = address.trim_end_matches('/');
    let uri = format!("wss://{address}/ws");
    let trusting = TlsConnector::from_pem(chain.as_bytes()).unwrap();
    let client = Client::new(ClientRequest::new(&uri).unwrap()).tls(trusting);
    let (mut socket, _) = client.connect().unwrap();
    socket.send("hello").unwrap();
    assert_eq!(text(&mut socket), "hello");

    // Without a certificate of ours it makes one, which is not the one that we trust.
    let (_server, address) = start_with("tls_server", &[], "open https://");
    let uri = format!("wss://{}/ws", address.trim_end_matches('/'));
    let trusting = TlsConnector::from_pem(chain.as_bytes()).unwrap();
    let client = Client::new(ClientRequest::new(&uri).unwrap()).tls(trusting);
    assert!(matches!(client.connect(), Err(Error::Tls(_))));
}

// -- bench_client ---------------------------------------------------------------------------------

#[test]
fn bench_client_counts_round_trips() {
    let (_server, address) = start("graceful", &[]);
    let url = format!("ws://{address}/ws");
    let flags = ["-c", "5", "-t", "1", "--in-flight", "3", &url];
    let ended = Program::start("bench_client", &flags).finish();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(
        lines[0].starts_with("connections      5, opened in "),
        "{lines:?}"
    );
    let messages = lines[1].split_whitespace().nth(1).unwrap();
    assert!(messages.parse::<u64>().unwrap() >= 15, "{lines:?}");
    assert!(lines[2].starts_with("round trip       p50 "), "{lines:?}");

    let url = format!("ws://{address}/nowhere");
    let ended = Program::start("bench_client", &["-c", "2", &url]).finish();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.starts_with("2 connections failed"),
        "{}",
        ended.stderr
    );
}

// -- Pages ----------------------------------------------------------------------------------------

#[test]
fn pages_are_served_on_the_same_port() {
    for (example, opens) in [
        ("auth", "new WebSocket("),
        ("events", "new WebSocket("),
        ("graceful", "new WebSocket("),
        ("socketio", "io({ transports: [\"websocket\"] })"),
    ] {
        let (_server, address) = start(example, &[]);
        let page = http(&address, "GET /", "");
        assert!(page.starts_with("HTTP/1.1 200 "), "{example}: {page}");
        assert!(page.contains(opens), "{example}: {page}");
        let nothing = http(&address, "GET /nothing", "");
        assert!(nothing.starts_with("HTTP/1.1 404 "), "{example}: {nothing}");
    }
}

// -- Rig ------------------------------------------------------------------------------------------

/// Starts a server on a free port, and returns its address.
fn start(example: &str, flags: &[&str]) -> (Program, String) {
    let (server, address) = start_with(example, flags, "open http://");
    (server, address.trim_end_matches('/').to_owned())
}

fn start_with(example: &str, flags: &[&str], before_address: &str) -> (Program, String) {
    let arguments = [flags, &["--listen", "127.0.0.1:0"]].concat();
    let mut server = Program::start(example, &arguments);
    let address = server.line_with(before_address);
    (server, address)
}

fn request(address: &str, path: &str) -> ClientRequest {
    ClientRequest::new(&format!("ws://{address}{path}")).unwrap()
}

fn open(request: ClientRequest) -> WebSocket<MaybeTlsStream> {
    Client::new(request).connect().unwrap().0
}

/// Returns the status with which a request is refused.
fn refusal(request: ClientRequest) -> u16 {
    match Client::new(request).connect() {
        Err(Error::Handshake(HandshakeError::Refused(refused))) => refused.status,
        outcome => panic!("{outcome:?}"),
    }
}

fn text(socket: &mut WebSocket<MaybeTlsStream>) -> String {
    match socket.recv().unwrap() {
        Some(Message::Text(text)) => text.to_string(),
        other => panic!("{other:?}, {:?}", socket.end()),
    }
}

/// Asks for a page, and returns the whole answer.
fn http(address: &str, method_and_path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("{method_and_path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
