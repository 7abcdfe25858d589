//! The example `ws` as a program: flags, pipes, exit codes and the line that says what went wrong.
//!
//! Its peer is a server on a thread of the test, one connection each, or another `ws`.

#![cfg(all(
    feature = "blocking",
    feature = "deflate",
    feature = "tokio-rustls",
    feature = "ring",
    feature = "rustls-platform-verifier"
))]

#[path = "support/identity.rs"]
mod identity;
#[path = "support/program.rs"]
mod program;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread::{self, JoinHandle};

use framewright::blocking::{Incoming, PendingUpgrade, Server, TlsStream, WebSocket};
use framewright::handshake::{Acceptance, Response};
use framewright::{CloseCode, DeflateConfig, End, Event, Message};
use identity::Identity;
use program::{Ended, Program, path_of};

// -- Pipes ----------------------------------------------------------------------------------------

#[test]
fn each_line_is_a_message_and_each_message_a_line() {
    let (url, server) = serve(|stream| echo(accept(stream)));
    let ended = run(&[&url], "hello\nwörld\r\n\nlast without an end");
    assert_success(&ended);
    assert_eq!(ended.stdout, "hello\nwörld\n\nlast without an end\n");
    assert_eq!(ended.stderr, "");
    let end = server.join().unwrap();
    assert_eq!((end.code(), end.is_clean()), (1000, true));
}

#[test]
fn the_end_of_input_is_followed_by_a_close_and_answers_before_the_other_close_are_printed() {
    let (url, server) = serve(|stream| {
        let mut socket = accept(stream);
        let mut received = Vec::new();
        // What it received it answers at the end, between the Close and the answer to it.
        while let Some((event, mut outbox)) = socket.recv_event().unwrap() {
            match event {
                Event::Text(text) => {
                    received.push(text.to_owned());
                    outbox.feed_text("an answer").unwrap();
                }
                Event::Close(frame) => received.push(format!("{frame:?}")),
                _ => {}
            }
        }
        received
    });
    let ended = run(&[&url], "question\n");
    assert_success(&ended);
    assert_eq!(ended.stdout, "an answer\n");
    let received = server.join().unwrap();
    assert_eq!(received[0], "question");
    assert!(received[1].contains("1000"), "{received:?}");
}

#[test]
fn wait_keeps_the_connection_open_for_answers() {
    let (url, _server) = serve(|stream| {
        let mut socket = accept(stream);
        socket.recv().unwrap();
        // By now the other side has seen the end of its input: there is only one message.
        socket.send("an answer").unwrap();
        socket.close(CloseCode::GOING_AWAY, "").unwrap()
    });
    // It would wait for longer than the test has patience, if the Close did not end it.
    let ended = run(&[&url, "-w", "600"], "question\n");
    assert_success(&ended);
    assert_eq!(ended.stdout, "an answer\n");
}

#[test]
fn wait_ends() {
    let (url, server) = serve(|stream| echo(accept(stream)));
    let ended = run(&[&url, "--wait", "0.05"], "question\n");
    assert_success(&ended);
    assert_eq!(server.join().unwrap().code(), 1000);
}

#[test]
fn messages_of_the_command_line_are_sent_in_the_place_of_the_input() {
    let (url, _server) = serve(|stream| echo(accept(stream)));
    let ended = run(&[&url, "-x", "one", "-x", "two"], "not this\n");
    assert_success(&ended);
    assert_eq!(ended.stdout, "one\ntwo\n");
}

#[test]
fn binary_lines_are_sent_and_printed_as_they_are() {
    let (url, server) = serve(|stream| {
        let mut socket = accept(stream);
        let message = socket.recv().unwrap().unwrap();
        socket.send(&b"\0\x01"[..]).unwrap();
        while socket.recv().unwrap().is_some() {}
        message
    });
    let ended = run(&[&url, "-b"], b"\xff\xfe\n");
    assert_success(&ended);
    assert_eq!(ended.stdout, "\0\x01\n");
    assert_eq!(
        server.join().unwrap(),
        Message::binary(b"\xff\xfe".to_vec())
    );
}

#[test]
fn more_than_the_network_holds_is_echoed() {
    let (url, _server) = serve(|stream| echo(accept(stream)));
    let input = format!("{}\n", "x".repeat(100_000)).repeat(100);
    let mut program = Program::start("ws", &[&url]);
    program.write(&input);
    let ended = program.finish();
    assert_success(&ended);
    assert!(ended.stdout == input, "{} bytes", ended.stdout.len());
}

// -- Failures -------------------------------------------------------------------------------------

#[test]
fn a_close_with_an_error_is_a_failure_and_says_code_and_reason() {
    let (url, _server) = serve(|stream| {
        let code = CloseCode::INTERNAL_ERROR;
        accept(stream).close(code, "out of ideas").unwrap()
    });
    let ended = run(&[&url, "-w", "600"], "");
    assert_failure(&ended, &format!("ws: {url}: closed with 1011 out of ideas"));
}

#[test]
fn an_end_without_a_close_is_a_failure() {
    let (url, _server) = serve(|stream| drop(accept(stream)));
    let ended = run(&[&url, "-w", "600"], "");
    assert_failure(
        &ended,
        &format!("ws: {url}: the connection ended without a Close"),
    );
}

#[test]
fn a_peer_that_breaks_a_rule_is_a_failure() {
    let (url, _server) = serve(|stream| {
        let mut raw = stream.try_clone().unwrap();
        let mut socket = accept(stream);
        raw.write_all(&[0x83, 0]).unwrap(); // An opcode that means nothing.
        while let Ok(Some(_)) = socket.recv() {}
    });
    let ended = run(&[&url, "-w", "600"], "");
    let error = "the other side broke a rule: opcode 0x3 is reserved";
    assert_failure(&ended, &format!("ws: {url}: {error}"));
}

#[test]
fn a_refusal_says_the_status_and_the_first_line_of_the_body() {
    let (url, _server) = serve(|stream| {
        let response = Response::new(401).unwrap().body("who are you?\nreally\n");
        upgrade(stream).reject(&response).unwrap();
    });
    let ended = run(&[&url], "");
    let error = "server refused the handshake with status 401: who are you?";
    assert_failure(&ended, &format!("ws: {url}: {error}"));
}

#[test]
fn nobody_there_is_a_failure() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", free.local_addr().unwrap());
    drop(free);
    let ended = run(&[&url], "");
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.starts_with(&format!("ws: {url}: ")),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_line_that_is_not_text_is_a_failure_and_the_server_is_told() {
    let (url, server) = serve(|stream| echo(accept(stream)));
    let ended = run(&[&url], b"fine\n\xff\n");
    assert_failure(
        &ended,
        "ws: standard input: a line is not UTF-8, and -b sends binary messages",
    );
    assert_eq!(server.join().unwrap().code(), 1001);
}

#[test]
fn flags_that_contradict_each_other_are_a_usage_error() {
    for arguments in [
        &["-l", "0", "ws://127.0.0.1/"][..],
        &["-l", "0", "-L"],
        &["-k", "--ca", "roots.pem", "wss://127.0.0.1/"],
        &["-H", "no colon", "ws://127.0.0.1/"],
        &["-l", "70000"],
        &["-w", "-1", "ws://127.0.0.1/"],
        &[],
    ] {
        let ended = run(arguments, "");
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
    }
}

// -- The request ----------------------------------------------------------------------------------

#[test]
fn headers_origin_and_subprotocols_are_sent() {
    let (url, server) = serve(|stream| {
        let upgrade = upgrade(stream);
        let request = upgrade.request();
        let seen = (
            request.headers().first("authorization").map(<[u8]>::to_vec),
            request.headers().values("x-many").count(),
            request.origin().map(str::to_owned),
            request
                .subprotocols()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
        let mut socket = upgrade
            .accept(Acceptance::new().subprotocol("chat.v1"))
            .unwrap();
        while socket.recv().unwrap().is_some() {}
        seen
    });
    let origin = url.replace("ws:", "http:");
    let origin = origin.trim_end_matches('/');
    let mut arguments = vec![url.as_str(), "-o", origin, "-v"];
    arguments.extend(["-H", "Authorization: Bearer 0123", "-H", "X-Many: 1"]);
    arguments.extend(["-H", "X-Many:2", "-s", "chat.v2", "-s", "chat.v1"]);
    let ended = run(&arguments, "");
    assert_success(&ended);
    let says = "subprotocol chat.v1, no compression";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    let (authorization, many, sent_origin, subprotocols) = server.join().unwrap();
    assert_eq!(authorization.as_deref(), Some(&b"Bearer 0123"[..]));
    assert_eq!(many, 2);
    assert_eq!(sent_origin.as_deref(), Some(origin));
    assert_eq!(subprotocols, ["chat.v2", "chat.v1"]);
}

#[test]
fn redirects_are_followed_where_it_is_asked_for() {
    let (target, _server) = serve(|stream| echo(accept(stream)));
    for follows in [false, true] {
        let location = target.clone();
        let (url, _redirecting) = serve(move |stream| {
            let response = Response::new(307).unwrap().header("Location", location);
            upgrade(stream).reject(&response.unwrap()).unwrap();
        });
        let flags = if follows { &["-L"][..] } else { &[] };
        let ended = run(&[&[url.as_str(), "-x", "hello"], flags].concat(), "");
        if follows {
            assert_success(&ended);
            assert_eq!(ended.stdout, "hello\n");
        } else {
            let error = "server refused the handshake with status 307";
            let line = format!("ws: {url}: {error}, location {target} (-L follows it)");
            assert_failure(&ended, &line);
        }
    }
}

#[test]
fn a_proxy_is_gone_through() {
    let (target, _server) = serve(|stream| echo(accept(stream)));
    let (url, proxy) = serve(move |mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let address = head.split(' ').nth(1).unwrap();
        let server = TcpStream::connect(address).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        relay(stream, server);
        head
    });
    let authority = url.strip_prefix("ws://").unwrap().trim_end_matches('/');
    let proxy_url = format!("http://user:secret@{authority}");
    let ended = run(&[&target, "--proxy", &proxy_url, "-x", "hello"], "");
    assert_success(&ended);
    assert_eq!(ended.stdout, "hello\n");
    let head = proxy.join().unwrap();
    assert!(
        head.contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ="),
        "{head}"
    );
}

#[test]
fn tls_is_trusted_as_far_as_the_flags_say() {
    for (flags, is_trusted) in [(&[][..], false), (&["-k"], true), (&["--ca", "FILE"], true)] {
        let (url, _server) = serve(|stream| {
            let acceptor = Identity::shared().acceptor();
            let stream = TlsStream::server(stream, &acceptor).unwrap();
            if let Ok(socket) = Server::new().accept(stream) {
                echo(socket);
            }
        });
        let url = url.replace("ws:", "wss:");
        let roots = std::env::temp_dir().join(format!("ws_cli-{}.pem", std::process::id()));
        std::fs::write(&roots, &Identity::shared().chain).unwrap();
        let file = roots.to_str().unwrap();
        let flags = flags
            .iter()
            .map(|&flag| if flag == "FILE" { file } else { flag });
        let arguments: Vec<_> = [url.as_str(), "-x", "hello"]
            .into_iter()
            .chain(flags)
            .collect();
        let ended = run(&arguments, "");
        std::fs::remove_file(&roots).unwrap();
        if is_trusted {
            assert_success(&ended);
            assert_eq!(ended.stdout, "hello\n");
        } else {
            assert_eq!(ended.status.code(), Some(1));
            assert!(ended.stderr.contains(": TLS "), "{}", ended.stderr);
        }
    }
}

// -- The connection -------------------------------------------------------------------------------

#[test]
fn verbose_shows_frames_on_standard_error_and_deflate_compresses_them() {
    let (url, _server) = serve(|stream| {
        let server = Server::new().deflate(DeflateConfig::default());
        echo(server.accept(stream).unwrap())
    });
    let ended = run(
        &[&url, "-v", "--deflate"],
        format!("{}\n", "a".repeat(1000)),
    );
    assert_success(&ended);
    assert_eq!(ended.stdout, format!("{}\n", "a".repeat(1000)));
    assert!(
        ended.stderr.contains("permessage-deflate"),
        "{}",
        ended.stderr
    );
    for direction in ['>', '<'] {
        let frames: Vec<_> = ended
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix(direction)?.split_once(" ms  "))
            .map(|(_, frame)| frame)
            .collect();
        assert_eq!(frames.len(), 2, "{}", ended.stderr);
        assert!(frames[0].starts_with("text, length "), "{frames:?}");
        assert!(frames[0].ends_with(", compressed"), "{frames:?}");
        assert_eq!(frames[1], "close, length 2");
    }
}

#[test]
fn a_silence_is_broken_by_pings() {
    let (url, server) = serve(|stream| {
        let mut socket = accept(stream);
        let mut pings = 0;
        while let Some((event, mut outbox)) = socket.recv_event().unwrap() {
            if matches!(event, Event::Ping(_)) {
                pings += 1;
                if pings == 2 {
                    outbox.feed_close(None).unwrap();
                }
            }
        }
        pings
    });
    let ended = run(&[&url, "--ping-interval", "0.05", "-w", "600"], "");
    assert_success(&ended);
    assert!(server.join().unwrap() >= 2);
}

#[cfg(unix)]
#[test]
fn an_interrupt_closes_with_1001() {
    let (url, server) = serve(|stream| {
        let mut socket = accept(stream);
        socket.send("ready").unwrap();
        while socket.recv().unwrap().is_some() {}
        socket.end().cloned().unwrap()
    });
    let mut program = Program::start("ws", &[&url]);
    assert_eq!(program.line(), "ready");
    program.interrupt();
    assert_eq!(server.join().unwrap().code(), 1001);
    assert_success(&program.finish());
}

/// `script` gives it a terminal, and sends it what is written to its own input.
#[cfg(target_os = "linux")]
#[test]
fn at_a_terminal_there_are_a_prompt_and_commands() {
    let (url, server) = serve(|stream| echo(accept(stream)));
    let mut command = Command::new("script");
    // It has a size, and what is typed early is not changed on its way.
    let stty = "stty rows 24 cols 80 raw -echo";
    let line = format!("{stty} && echo ready && {} {url}", path_of("ws").display());
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let mut program = Program::spawn(command);
    program.line_with("ready");
    program.write("hello\r");
    program.line_with("< hello");
    program.write("//slash\r");
    program.line_with("< /slash");
    program.write("/ping\r");
    program.line_with("< pong after");
    program.write("/close 1006\r");
    program.line_with("that code may not be sent");
    program.write(format!("/ping {}\r", "x".repeat(126)));
    program.line_with("a Ping has room for 125 bytes");
    program.write("/close 4001 bye\r");
    program.line_with("< closed with 4001");
    let ended = program.finish();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let end = server.join().unwrap();
    assert_eq!((end.code(), end.reason()), (4001, "bye"));
}

// -- Listening ------------------------------------------------------------------------------------

#[test]
fn two_of_them_talk_to_each_other() {
    let mut server = Program::start("ws", &["-l", "0", "-s", "talk"]);
    let url = listening(&mut server);
    let mut client = Program::start("ws", &[&url, "-s", "talk"]);
    client.write("hello from the client\n");
    assert_eq!(server.line(), "hello from the client");
    server.write("hello from the server\n");
    assert_eq!(client.line(), "hello from the server");
    // The end of either input closes for both.
    let server = server.finish();
    assert_success(&client.finish());
    assert!(server.status.success(), "{}", server.stderr);
}

#[test]
fn one_client_comes_after_another() {
    let mut server = Program::start("ws", &["-l", "0"]);
    let url = listening(&mut server);
    for text in ["first", "second"] {
        assert_success(&run(&[&url, "-x", text], ""));
        assert_eq!(server.line(), text);
    }
    let last = Program::start("ws", &[&url]);
    let told = |server: &mut Program, text: &str| while !server.error_line().contains(text) {};
    for _ in 0..3 {
        told(&mut server, "connected");
    }
    server.end_input();
    let ended = server.finish();
    assert_success(&last.finish());
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn pages_of_other_origins_are_told_apart() {
    let mut server = Program::start("ws", &["-l", "127.0.0.1:0", "-o", "http://good.example"]);
    let url = listening(&mut server);
    let ended = run(&[&url, "-o", "http://evil.example"], "");
    let error = "server refused the handshake with status 403";
    assert_failure(&ended, &format!("ws: {url}: {error}"));
    let remark = server.error_line();
    assert!(
        remark.ends_with("-o http://evil.example allows it"),
        "{remark}"
    );
    let ended = run(&[&url, "-o", "http://good.example", "-x", "hello"], "");
    assert_success(&ended);
    assert_eq!(server.line(), "hello");
}

// -- Rig ------------------------------------------------------------------------------------------

/// Serves connections on a thread until `session` has returned once, which is when the thread ends.
fn serve<T: Send + 'static>(
    session: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        session(stream)
    });
    (url, serving)
}

fn accept(stream: TcpStream) -> WebSocket<TcpStream> {
    upgrade(stream).accept(Acceptance::new()).unwrap()
}

fn upgrade(stream: TcpStream) -> PendingUpgrade<TcpStream> {
    match Server::new().receive(stream).unwrap() {
        Incoming::Upgrade(upgrade) => upgrade,
        Incoming::Plain(plain) => panic!("{:?}", plain.request()),
    }
}

fn echo<S: framewright::blocking::Stream>(mut socket: WebSocket<S>) -> End {
    while let Some(message) = socket.recv().unwrap() {
        // Who is leaving is not answered.
        if socket.send(message).is_err() {
            break;
        }
    }
    while socket.recv().unwrap().is_some() {}
    socket.end().cloned().unwrap()
}

/// Copies both ways, to the end of both.
fn relay(one: TcpStream, other: TcpStream) {
    thread::scope(|scope| {
        for (from, to) in [(&one, &other), (&other, &one)] {
            scope.spawn(move || {
                let (mut from, mut to) = (from, to);
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
}

/// Runs `ws` to its end.
fn run(arguments: &[&str], input: impl AsRef<[u8]>) -> Ended {
    let mut program = Program::start("ws", arguments);
    if !input.as_ref().is_empty() && !arguments.contains(&"-x") {
        program.write(input);
    }
    program.finish()
}

fn listening(server: &mut Program) -> String {
    let line = server.error_line();
    let url = line.strip_prefix("listening on ");
    format!("{}/", url.unwrap_or_else(|| panic!("{line}")))
}

fn assert_success(ended: &Ended) {
    assert!(
        ended.status.success(),
        "{}: {}{}",
        ended.status,
        ended.stdout,
        ended.stderr
    );
}

/// It failed with one line, which is this.
fn assert_failure(ended: &Ended, line: &str) {
    assert_eq!(ended.stderr.trim_end(), line);
    assert_eq!(ended.status.code(), Some(1));
}
