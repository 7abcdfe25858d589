//! What a subscriber of `tracing` is told, and what it is never told.

#![cfg(feature = "tracing")]

mod support;

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use framewright::handshake::{Acceptance, Request, ServerHandshake};
use framewright::{Config, Connection, RecvBuffer, Role, SendBuffer};
use support::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the lines of events up to a level.
#[derive(Clone)]
struct Lines {
    most: Level,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Lines {
    fn new(most: Level) -> Self {
        let lines = Arc::default();
        Self { most, lines }
    }

    fn during(&self, run: impl FnOnce()) -> Vec<String> {
        tracing::subscriber::with_default(self.clone(), run);
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= &self.most
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut line = format!(
            "{} {}",
            attributes.metadata().level(),
            attributes.metadata().name()
        );
        attributes.record(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = event.metadata().level().to_string();
        if event.parent().is_some() {
            line.push_str(" in span");
        }
        event.record(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

fn converse() {
    let mut server = Endpoint::new(Role::Server);
    server.receive(&sent_by(
        Role::Client,
        &[
            frame(TEXT, "a secret"),
            frame(PING, "another"),
            frame(CLOSE, close_payload(1001, b"a reason")),
        ],
    ));
    server.connection.receive_eof();
}

#[test]
fn a_connection_is_a_span_and_its_close_two_events() {
    let lines = Lines::new(Level::DEBUG).during(converse);
    assert_eq!(
        lines,
        [
            "DEBUG websocket role=Server",
            "DEBUG in span close received code=1001",
            "DEBUG in span close sent code=1001 cause=ClosingHandshake",
            "DEBUG in span ended clean=true cause=ClosingHandshake",
        ]
    );
}

#[test]
fn frames_are_traced_without_their_payloads() {
    let lines = Lines::new(Level::TRACE).during(converse);
    let frames: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("TRACE"))
        .collect();
    assert_eq!(
        frames,
        [
            "TRACE in span received what=Text payload_len=8 frames=1",
            "TRACE in span received what=Ping payload_len=7 frames=1",
            "TRACE in span sent opcode=Pong fin=true payload_len=7 buffered=9",
            "TRACE in span received what=Close payload_len=10 frames=1",
            "TRACE in span sent opcode=Close fin=true payload_len=2 buffered=4",
        ]
    );
    let all = lines.concat();
    for secret in ["secret", "another", "reason"] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn a_fragment_is_traced_as_what_it_is() {
    let lines = Lines::new(Level::TRACE).during(|| {
        let mut server = Endpoint::new(Role::Server);
        for fin in [false, true] {
            let kind = framewright::MessageKind::Text;
            let Endpoint {
                connection, output, ..
            } = &mut server;
            connection.send_fragment(kind, b"a", fin, output).unwrap();
        }
    });
    assert_eq!(
        lines[1..],
        [
            "TRACE in span sent opcode=Text fin=false payload_len=1 buffered=3",
            "TRACE in span sent opcode=Continuation fin=true payload_len=1 buffered=6",
        ]
    );
}

#[test]
fn a_broken_rule_is_told_once() {
    let lines = Lines::new(Level::DEBUG).during(|| {
        let mut server = Endpoint::new(Role::Server);
        server.input.extend(b"\x83\x80");
        for _ in 0..2 {
            server
                .connection
                .advance(&mut server.input, &mut server.output)
                .unwrap_err();
        }
    });
    let told = lines
        .iter()
        .filter(|line| line.contains("the peer broke a rule"));
    assert_eq!(told.count(), 1, "{lines:?}");
}

#[test]
fn an_opening_handshake_is_told_without_its_target() {
    let lines = Lines::new(Level::TRACE).during(|| {
        let config = Arc::new(Config::default());
        let mut handshake = ServerHandshake::new(Arc::clone(&config));
        let mut input = RecvBuffer::from(
            &b"GET /?token=secret HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"[..],
        );
        let Ok(Some(Request::Upgrade(request))) = handshake.receive(&mut input) else {
            panic!("it asks for the upgrade");
        };
        request.accept(Acceptance::new(), config, &mut SendBuffer::new()).unwrap();
    });
    assert_eq!(
        lines,
        [
            "DEBUG upgrade requested",
            "DEBUG upgrade accepted",
            "DEBUG websocket role=Server"
        ]
    );
}

#[test]
fn a_request_that_is_refused_says_why() {
    let lines = Lines::new(Level::DEBUG).during(|| {
        let mut handshake = ServerHandshake::new(Config::default().into());
        handshake
            .receive(&mut RecvBuffer::from(&b"nonsense\r\n\r\n"[..]))
            .unwrap_err();
    });
    assert!(
        lines[0].starts_with("DEBUG request refused error="),
        "{lines:?}"
    );
}

#[test]
fn counters_are_there_only_where_they_are_asked_for() {
    let _lines = Lines::new(Level::TRACE).during(|| {
        let connection = Connection::new(Role::Server, Config::default().into());
        assert_eq!(connection.counters(), None);
    });
}
