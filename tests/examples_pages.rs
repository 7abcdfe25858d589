//! The examples with a page, and `hello`, as programs: what they serve, and what they say to whom.
//!
//! The pages themselves are opened by `tests/browser`.
#![cfg(all(unix, feature = "blocking", feature = "tokio"))]

#[path = "support/program.rs"]
mod program;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use framewright::blocking::{Client, MaybeTlsStream, WebSocket};
use framewright::handshake::ClientRequest;
use framewright::{Config, HandshakeError};
use serde_json::{Value, json};

use program::{Server, path_of};

/// Those with a page.
const PAGES: [&str; 5] = ["clock", "counter", "broadcast", "chat", "live_text"];

/// Somebody who is connected.
struct Person {
    socket: WebSocket<MaybeTlsStream>,
}

impl Person {
    fn connect(program: &Server) -> Self {
        let request = ClientRequest::new(&format!("ws://{}/ws", program.address));
        let mut config = Config::default();
        // Whoever waits in vain fails, and does not hang.
        config.idle_timeout = Some(Duration::from_secs(60));
        let client = Client::new(request.expect("a URI")).config(config);
        let (socket, _) = client.connect().expect("it accepts");
        Self { socket }
    }

    /// Says something, as JSON.
    fn say(&mut self, value: &Value) {
        self.socket.send(value.to_string()).expect("it is open");
    }

    /// Hears what comes next.
    fn hear(&mut self) -> Value {
        let Some(message) = self.socket.recv().expect("no rule is broken") else {
            panic!("closed with {:?} instead of a message", self.socket.end());
        };
        serde_json::from_slice(message.payload()).expect("JSON")
    }

    /// Hears all that comes until the end, and returns its code and reason.
    fn end(&mut self) -> (u16, String) {
        while let Ok(Some(_)) = self.socket.recv() {}
        let end = self.socket.end().expect("it has ended");
        (end.code(), end.reason().to_owned())
    }
}

/// Sends a request, and returns the head and the body of the answer.
fn http(program: &Server, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(&program.address).expect("it listens");
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: {}\r\n\r\n",
        program.address
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("there is a head");
    (head.to_owned(), body.to_owned())
}

// ---- All of them ----

#[test]
fn hello_greets_whoever_says_a_name() {
    let hello = path_of("hello");
    for server in [&["server"][..], &["--tokio", "server"]] {
        let server = Server::start("hello", server);
        for adapter in [&[][..], &["--tokio"]] {
            let client = Command::new(&hello)
                .args(adapter)
                .args([
                    "client",
                    "--name",
                    "Ada",
                    &format!("ws://{}/", server.address),
                ])
                .output()
                .expect("it was built");
            let said = String::from_utf8_lossy(&client.stdout).into_owned();
            assert_eq!(said, "Hello Ada!\nclean: true, code: 1000\n");
            assert!(client.status.success());
        }
    }
}

#[test]
fn one_port_serves_the_page_and_its_files() {
    for name in PAGES {
        let program = Server::start(name, &[]);
        let files = [
            ("/", "text/html", "<!doctype html>"),
            ("/?whatever", "text/html", "<!doctype html>"),
            ("/page.js", "text/javascript", "import { connect }"),
            (
                "/connect.js",
                "text/javascript",
                "// A WebSocket that comes back.",
            ),
            ("/style.css", "text/css", "/* What the pages"),
        ];
        for (path, content_type, begins) in files {
            let (head, body) = http(&program, &format!("GET {path}"));
            assert!(head.starts_with("HTTP/1.1 200 "), "{name}{path}: {head}");
            let header = format!("\r\nContent-Type: {content_type}; charset=utf-8\r\n");
            assert!(head.contains(&header), "{name}{path}: {head}");
            assert!(head.contains("script-src 'self'"), "{name}{path}: {head}");
            assert!(body.starts_with(begins), "{name}{path}: {body}");
        }
        let (head, body) = http(&program, "HEAD /");
        assert!(
            head.starts_with("HTTP/1.1 200 ") && body.is_empty(),
            "{name}"
        );
        for (request, status) in [("GET /other", "404"), ("POST /", "404"), ("GET /ws", "426")] {
            let (head, _) = http(&program, request);
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")),
                "{name}: {head}"
            );
        }
    }
}

#[test]
fn only_the_page_itself_may_connect_and_only_to_its_path() {
    for name in PAGES {
        let program = Server::start(name, &[]);
        let status = |path: &str, origin: &str| {
            let request = ClientRequest::new(&format!("ws://{}{path}", program.address))
                .and_then(|request| request.header("Origin", origin))
                .expect("a request");
            match Client::new(request).connect() {
                Ok(_) => 101,
                Err(framewright::blocking::Error::Handshake(HandshakeError::Refused(answer))) => {
                    answer.status
                }
                Err(error) => panic!("{name}: {error}"),
            }
        };
        let own = format!("http://{}", program.address);
        assert_eq!(status("/ws", &own), 101, "{name}");
        assert_eq!(status("/other", &own), 404, "{name}");
        assert_eq!(status("/ws", "http://evil.example"), 403, "{name}");
    }
}

#[test]
fn ctrl_c_closes_every_connection_with_1001_and_ends_with_0() {
    for name in PAGES {
        let program = Server::start(name, &[]);
        let mut people = [Person::connect(&program), Person::connect(&program)];
        // A connection that has asked for nothing yet is not waited for.
        let idle = TcpStream::connect(&program.address).expect("it listens");
        program.interrupt();
        for person in &mut people {
            let end = person.end();
            assert_eq!(end, (1001, "server is leaving".to_owned()), "{name}");
        }
        assert!(program.finish().status.success(), "{name}");
        drop(idle);
    }
}

#[test]
fn what_is_no_command_is_refused_with_1008() {
    for name in ["clock", "counter", "chat", "live_text"] {
        let program = Server::start(name, &[]);
        for words in ["", "hello", "{}", "{\"start\":-1}", "[1,2]", "{\"say\":{}}"] {
            let mut person = Person::connect(&program);
            person.socket.send(words).expect("it is open");
            assert_eq!(person.end().0, 1008, "{name}: {words}");
        }
    }
}

// ---- clock ----

#[test]
fn a_countdown_ends_at_zero_and_each_connection_has_its_own() {
    let program = Server::start("clock", &[]);
    let (mut one, mut other) = (Person::connect(&program), Person::connect(&program));
    other.say(&json!({ "start": 1000 }));
    assert_eq!(other.hear()["seconds_left"], 1000);
    one.say(&json!({ "start": 2 }));
    let mut seen = Vec::new();
    while seen.last() != Some(&0) {
        let tick = one.hear();
        seen.push(tick["seconds_left"].as_u64().expect("a number"));
        one.say(&json!("seen"));
    }
    assert_eq!(seen[0], 2);
    assert!(seen.is_sorted_by(|one, next| one > next), "{seen:?}");
    other.say(&json!("seen"));
    assert!(other.hear()["seconds_left"].as_u64() >= Some(900));
}

#[test]
fn a_client_that_does_not_see_its_ticks_misses_some() {
    let program = Server::start("clock", &[]);
    let (mut quick, mut slow) = (Person::connect(&program), Person::connect(&program));
    slow.say(&json!({ "start": 1000 }));
    assert_eq!(slow.hear(), json!({ "seconds_left": 1000, "skipped": 0 }));
    // Three seconds pass for the other.
    quick.say(&json!({ "start": 3 }));
    while quick.hear()["seconds_left"] != 0 {
        quick.say(&json!("seen"));
    }
    slow.say(&json!("seen"));
    let tick = slow.hear();
    assert!(tick["seconds_left"].as_u64() <= Some(997), "{tick}");
    assert!(tick["skipped"].as_u64() >= Some(1), "{tick}");
}

// ---- counter ----

#[test]
fn everybody_sees_the_total_and_how_many_are_here() {
    let program = Server::start("counter", &[]);
    let mut one = Person::connect(&program);
    assert_eq!(one.hear(), json!({ "total": 0, "users": 1 }));
    let mut other = Person::connect(&program);
    assert_eq!(other.hear(), json!({ "total": 0, "users": 2 }));
    assert_eq!(one.hear(), json!({ "total": 0, "users": 2 }));
    one.say(&json!({ "add": 5 }));
    assert_eq!(other.hear(), json!({ "total": 5, "users": 2 }));
    assert_eq!(one.hear(), json!({ "total": 5, "users": 2 }));
    other.say(&json!({ "add": -7 }));
    assert_eq!(one.hear(), json!({ "total": -2, "users": 2 }));
    drop(other);
    assert_eq!(one.hear(), json!({ "total": -2, "users": 1 }));
}

// ---- broadcast ----

/// Waits until so many are in the group: who is connected joins a moment later.
fn gather(program: &mut Server, count: usize, people: &mut [&mut Person]) {
    loop {
        program.write_line(GATHERING);
        if program.line() == format!("to {count}, skipped by 0, too slow: 0") {
            break;
        }
    }
    program.write_line(GATHERED);
    program.line();
    for person in people {
        loop {
            let line = person.hear();
            if line == GATHERED {
                break;
            }
            assert_eq!(line, GATHERING);
        }
    }
}

const GATHERING: &str = "are you all here?";
const GATHERED: &str = "you are all here";

/// Has lines sent until one does not reach both of two, and the quick one hear each; returns how
/// many were sent before.
fn send_until_one_is_too_slow(program: &mut Server, quick: &mut Person, outcome: &str) -> usize {
    // Of several times what the network holds.
    for sent in 0..2000 {
        let line = format!("{sent} {}", "x".repeat(60_000));
        program.write_line(&line);
        assert_eq!(quick.hear(), line);
        let reach = program.line();
        if reach != "to 2, skipped by 0, too slow: 0" {
            assert_eq!(reach, outcome);
            return sent;
        }
    }
    panic!("nobody was too slow");
}

#[test]
fn a_receiver_that_is_too_slow_is_sent_away() {
    let mut program = Server::start("broadcast", &[]);
    let (mut quick, mut slow) = (Person::connect(&program), Person::connect(&program));
    gather(&mut program, 2, &mut [&mut quick, &mut slow]);
    let outcome = "to 1, skipped by 0, too slow: 1";
    send_until_one_is_too_slow(&mut program, &mut quick, outcome);
    assert_eq!(slow.end(), (1013, "peer reads too slowly".to_owned()));
    program.write_line("who is left");
    assert_eq!(quick.hear(), "who is left");
    assert_eq!(program.line(), "to 1, skipped by 0, too slow: 0");
}

#[test]
fn a_receiver_that_is_too_slow_misses_lines_if_the_policy_says_so() {
    let mut program = Server::start("broadcast", &["--slow", "skip"]);
    let (mut quick, mut slow) = (Person::connect(&program), Person::connect(&program));
    gather(&mut program, 2, &mut [&mut quick, &mut slow]);
    let outcome = "to 1, skipped by 1, too slow: 0";
    let queued = send_until_one_is_too_slow(&mut program, &mut quick, outcome);
    for sent in 0..queued {
        let line = slow.hear();
        assert!(
            line.as_str()
                .is_some_and(|line| line.starts_with(&format!("{sent} ")))
        );
    }
    program.write_line("after what was missed");
    assert_eq!(slow.hear(), "after what was missed");
    assert_eq!(quick.hear(), "after what was missed");
    assert_eq!(program.line(), "to 2, skipped by 0, too slow: 0");
}

#[test]
fn a_receiver_has_nothing_to_say() {
    let program = Server::start("broadcast", &[]);
    let mut person = Person::connect(&program);
    person.say(&json!("hello"));
    assert_eq!(person.end().0, 1009);
}

// ---- chat ----

/// Enters the chat with a name that is free.
fn enter(program: &Server, name: &str) -> Person {
    let mut person = Person::connect(program);
    person.say(&json!({ "hello": { "name": name, "key": format!("the key of {name}") } }));
    assert_eq!(person.hear(), json!({ "event": "welcome", "name": name }));
    let room = person.hear();
    assert_eq!(
        (&room["event"], &room["room"]),
        (&json!("room"), &json!("lobby"))
    );
    person
}

fn say_in(room: &str, text: &str) -> Value {
    json!({ "say": { "room": room, "text": text } })
}

/// Hears that somebody says something in a room.
fn hear_said(person: &mut Person, room: &str, from: &str, text: &str) {
    let event = person.hear();
    let said = &event["said"];
    assert_eq!(
        (&event["event"], &event["room"]),
        (&json!("said"), &json!(room)),
        "{event}"
    );
    assert_eq!(
        (&said["from"], &said["text"]),
        (&json!(from), &json!(text)),
        "{event}"
    );
}

/// That what was asked for is not done; words that are not said are given back.
fn notice(asked: &Value, text: &str) -> Value {
    let unsaid = asked.pointer("/say/text").or(asked.pointer("/direct/text"));
    json!({ "event": "notice", "text": text, "unsaid": unsaid })
}

#[test]
fn a_name_is_one_persons() {
    let program = Server::start("chat", &[]);
    let mut ada = enter(&program, "Ada");
    let mut other = Person::connect(&program);
    let long = "x".repeat(21);
    for (name, why) in [
        ("Ada", "Somebody has this name."),
        ("aDA", "Somebody has this name."),
        ("", "A name is 1 to 20 letters, digits, - and _."),
        ("A da", "A name is 1 to 20 letters, digits, - and _."),
        ("Ada\u{200b}", "A name is 1 to 20 letters, digits, - and _."),
        (&long, "A name is 1 to 20 letters, digits, - and _."),
    ] {
        other.say(&json!({ "hello": { "name": name, "key": "another" } }));
        assert_eq!(
            other.hear(),
            json!({ "event": "refused", "why": why }),
            "{name}"
        );
    }
    other.say(&json!({ "hello": { "name": "Zoë", "key": "another" } }));
    assert_eq!(other.hear(), json!({ "event": "welcome", "name": "Zoë" }));
    assert_eq!(
        ada.hear(),
        json!({ "event": "joined", "room": "lobby", "name": "Zoë" })
    );
    // It is free again when its person has left.
    drop(ada);
    assert_eq!(other.hear()["people"], json!(["Ada", "Zoë"]));
    assert_eq!(
        other.hear(),
        json!({ "event": "left", "room": "lobby", "name": "Ada" })
    );
    enter(&program, "Ada");
}

#[test]
fn a_person_takes_their_name_back_with_their_key() {
    let program = Server::start("chat", &[]);
    let mut bob = enter(&program, "Bob");
    let mut before = enter(&program, "Ada");
    assert_eq!(bob.hear()["event"], "joined");
    let mut after = enter(&program, "Ada");
    assert_eq!(
        before.end(),
        (4000, "this name is used in another window".to_owned())
    );
    assert_eq!(
        bob.hear(),
        json!({ "event": "left", "room": "lobby", "name": "Ada" })
    );
    assert_eq!(
        bob.hear(),
        json!({ "event": "joined", "room": "lobby", "name": "Ada" })
    );
    // The end of the one before takes nothing from the one after.
    drop(before);
    for _ in 0..10 {
        bob.say(&say_in("lobby", "still here?"));
        hear_said(&mut after, "lobby", "Bob", "still here?");
        hear_said(&mut bob, "lobby", "Bob", "still here?");
    }
}

#[test]
fn what_is_said_in_a_room_is_heard_there_and_remembered() {
    let program = Server::start("chat", &[]);
    let (mut ada, mut bob) = (enter(&program, "Ada"), enter(&program, "Bob"));
    assert_eq!(
        ada.hear(),
        json!({ "event": "joined", "room": "lobby", "name": "Bob" })
    );
    ada.say(&json!({ "join": "Tea" }));
    assert_eq!(
        ada.hear(),
        json!({ "event": "room", "room": "tea", "people": ["Ada"], "history": [] })
    );
    ada.say(&say_in("tea", "  the kettle is on\n"));
    hear_said(&mut ada, "tea", "Ada", "the kettle is on");
    let asked = say_in("tea", "may I?");
    bob.say(&asked);
    assert_eq!(bob.hear(), notice(&asked, "You are not in that room."));
    bob.say(&json!({ "join": "tea" }));
    let room = bob.hear();
    assert_eq!(room["people"], json!(["Ada", "Bob"]));
    assert_eq!(room["history"][0]["text"], "the kettle is on");
    assert!(room["history"][0]["at"].as_u64() > Some(1_700_000_000));
    assert_eq!(
        ada.hear(),
        json!({ "event": "joined", "room": "tea", "name": "Bob" })
    );
    bob.say(&json!({ "typing": "tea" }));
    bob.say(&say_in("tea", "<b>two</b> sugars"));
    // Of one's own typing one hears nothing.
    hear_said(&mut bob, "tea", "Bob", "<b>two</b> sugars");
    assert_eq!(
        ada.hear(),
        json!({ "event": "typing", "room": "tea", "name": "Bob" })
    );
    hear_said(&mut ada, "tea", "Bob", "<b>two</b> sugars");
    ada.say(&json!({ "leave": "tea" }));
    assert_eq!(ada.hear(), json!({ "event": "out", "room": "tea" }));
    assert_eq!(
        bob.hear(),
        json!({ "event": "left", "room": "tea", "name": "Ada" })
    );
    bob.say(&say_in("tea", "anybody?"));
    hear_said(&mut bob, "tea", "Bob", "anybody?");
    ada.say(&say_in("lobby", "not I"));
    hear_said(&mut ada, "lobby", "Ada", "not I");
    hear_said(&mut bob, "lobby", "Ada", "not I");
    // A room that is empty is forgotten, and the first is not.
    bob.say(&json!({ "leave": "tea" }));
    assert_eq!(bob.hear(), json!({ "event": "out", "room": "tea" }));
    bob.say(&json!({ "join": "tea" }));
    assert_eq!(bob.hear()["history"], json!([]));
}

#[test]
fn what_is_for_one_person_is_heard_by_that_one() {
    let program = Server::start("chat", &[]);
    let mut ada = enter(&program, "Ada");
    let mut bob = enter(&program, "Bob");
    let mut eve = enter(&program, "Eve");
    for _ in 0..2 {
        assert_eq!(ada.hear()["event"], "joined");
    }
    assert_eq!(bob.hear()["event"], "joined");
    ada.say(&json!({ "direct": { "to": "bob", "text": "between us" } }));
    for person in [&mut ada, &mut bob] {
        let event = person.hear();
        assert_eq!(
            (&event["event"], &event["to"]),
            (&json!("direct"), &json!("Bob"))
        );
        assert_eq!(event["said"]["text"], "between us");
    }
    let asked = json!({ "direct": { "to": "Nobody", "text": "hello?" } });
    ada.say(&asked);
    assert_eq!(ada.hear(), notice(&asked, "Nobody has that name."));
    ada.say(&say_in("lobby", "for all"));
    hear_said(&mut eve, "lobby", "Ada", "for all");
}

#[test]
fn a_chat_has_limits() {
    let program = Server::start("chat", &[]);
    let mut ada = enter(&program, "Ada");
    ada.say(&say_in("lobby", &"é".repeat(500)));
    hear_said(&mut ada, "lobby", "Ada", &"é".repeat(500));
    for (words, why) in [
        (
            say_in("lobby", &"é".repeat(501)),
            "That message is too long.",
        ),
        (say_in("lobby", " \n "), "There is nothing in that message."),
        (json!({ "join": "lobby" }), "You are in that room already."),
        (
            json!({ "join": "a room" }),
            "A room is 1 to 20 letters, digits, - and _.",
        ),
        (json!({ "leave": "tea" }), "You are not in that room."),
        (
            json!({ "hello": { "name": "B", "key": "" } }),
            "You have a name already.",
        ),
    ] {
        ada.say(&words);
        assert_eq!(ada.hear(), notice(&words, why), "{words}");
    }
    for room in 1..8 {
        ada.say(&json!({ "join": format!("room-{room}") }));
        assert_eq!(ada.hear()["event"], "room");
    }
    let asked = json!({ "join": "room-8" });
    ada.say(&asked);
    assert_eq!(
        ada.hear(),
        notice(&asked, "You are in too many rooms: leave one first.")
    );
    let mut bob = enter(&program, "Bob");
    for words in 0..100 {
        bob.say(&say_in("lobby", &words.to_string()));
    }
    let answers: Vec<_> = (0..100).map(|_| bob.hear()["event"].clone()).collect();
    assert!(answers.contains(&json!("notice")), "nobody is slowed down");
    bob.say(&say_in("lobby", &"x".repeat(5000)));
    assert_eq!(bob.end().0, 1009);
}

#[test]
fn a_room_remembers_the_last_thirty() {
    let program = Server::start("chat", &[]);
    // Each of them may say no more than so much at once, and stays to the end.
    let mut speakers = Vec::new();
    for (person, name) in ["Ada", "Bob", "Eve"].into_iter().enumerate() {
        let mut speaker = enter(&program, name);
        for words in 0..15 {
            let text = (person * 15 + words).to_string();
            speaker.say(&say_in("lobby", &text));
            hear_said(&mut speaker, "lobby", name, &text);
        }
        speakers.push(speaker);
    }
    let mut late = Person::connect(&program);
    late.say(&json!({ "hello": { "name": "Zoë", "key": "" } }));
    assert_eq!(late.hear()["event"], "welcome");
    let room = late.hear();
    let texts: Vec<_> = room["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|said| said["text"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(
        texts,
        (15..45)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
    );
}

// ---- live_text ----

fn edit(base: u64, text: &str) -> Value {
    json!({ "edit": { "base": base, "text": text } })
}

fn update(version: u64, text: &str, yours: Option<u64>) -> Value {
    json!({ "version": version, "text": text, "yours": yours })
}

#[test]
fn an_edit_counts_if_it_is_of_the_newest_text() {
    let program = Server::start("live_text", &[]);
    let (mut one, mut other) = (Person::connect(&program), Person::connect(&program));
    one.say(&json!({ "hello": 1 }));
    other.say(&json!({ "hello": 2 }));
    assert_eq!(one.hear(), update(0, "", None));
    assert_eq!(other.hear(), update(0, "", None));
    one.say(&edit(0, "one"));
    assert_eq!(one.hear(), update(1, "one", Some(1)));
    assert_eq!(other.hear(), update(1, "one", None));
    // Too late: it was of the text before.
    other.say(&edit(0, "two"));
    other.say(&edit(1, "one and two"));
    assert_eq!(one.hear(), update(2, "one and two", Some(1)));
    assert_eq!(other.hear(), update(2, "one and two", Some(2)));
}

#[test]
fn an_author_who_comes_back_is_told_whether_the_last_edit_counted() {
    let program = Server::start("live_text", &[]);
    let mut one = Person::connect(&program);
    one.say(&json!({ "hello": 9_007_199_254_740_991_u64 }));
    assert_eq!(one.hear(), update(0, "", None));
    one.say(&edit(0, "written"));
    assert_eq!(one.hear(), update(1, "written", Some(1)));
    drop(one);
    let mut again = Person::connect(&program);
    again.say(&json!({ "hello": 9_007_199_254_740_991_u64 }));
    assert_eq!(again.hear(), update(1, "written", Some(1)));
}

#[test]
fn a_text_has_a_limit() {
    let program = Server::start("live_text", &[]);
    let mut one = Person::connect(&program);
    one.say(&json!({ "hello": 1 }));
    assert_eq!(one.hear(), update(0, "", None));
    one.say(&edit(0, &"\0".repeat(10_000)));
    assert_eq!(one.hear()["version"], 1);
    one.say(&edit(1, &"x".repeat(10_001)));
    assert_eq!(one.end().0, 1008);
}
