//! A client and a server in memory, and a script of what they and the network do.
//!
//! They send messages whole, fragmented, shared and prepared, Pings, Pongs and Closes, with compression
//! or without; the network carries what they wrote in any pieces; time passes; and the network may end,
//! tear what is on its way, or change a byte. Asserts that
//! - what is received is what was sent, once and in order: messages, Pings, unasked-for Pongs and Closes;
//!   of the Pongs that answer Pings some may be replaced by later ones, the last is not;
//! - what may not be sent is refused for the reason that the documentation says, and appends nothing;
//! - once everything was carried, everything was received, or the end that did not receive it says why: a
//!   limit or a deadline;
//! - a deadline that has passed is acted upon, and no other is due at once;
//! - one Close closes both, with the same frames as seen from either;
//! - whatever the network does to the bytes, both ends come to an end, and nothing is sent after it.

#![no_main]

use framewright::{
    CloseCode, CloseFrame, Compression, Config, Connection, Delivery, EndCause, Event, Message,
    MessageKind, PreparedMessage, ProtocolError, RecvBuffer, SendBuffer, SendError, State,
    Teardown,
};
use framewright_fuzz::open;
use framewright_fuzz::script::Script;
use framewright_fuzz::wire::{self, split_sent};
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let mut config = Config::default();
    config.max_message_len = script.pick(&[16 << 20, 16 << 20, 16 << 20, 300, 20]);
    config.max_fragments = script.pick(&[131_072, 131_072, 3]);
    config.delivery = script.pick(&[Delivery::Messages, Delivery::Messages, Delivery::Chunks]);
    let patience = [
        None,
        Some(Duration::from_secs(20)),
        Some(Duration::from_millis(1500)),
    ];
    config.ping_interval = script.pick(&patience);
    config.pong_timeout = script.pick(&patience);
    config.idle_timeout = script.pick(&patience);
    config.close_timeout = script.pick(&patience);
    let config = Arc::new(config);
    let deflate = open::deflate(&mut script);
    let ends = open::ROLES.map(|role| End::new(open::connection(role, &config, deflate.clone())));
    let mut pair = Pair {
        ends,
        now: open::epoch(),
        is_faulty: false,
    };
    if script.flag() {
        pair.pass_time(Duration::ZERO);
    }
    while !script.is_at_end() {
        pair.step(&mut script);
    }
    pair.settle();
});

struct Pair {
    /// The client, and the server.
    ends: [End; 2],
    now: Instant,
    /// Whether the network did what it should not: what arrives is not what was sent any more.
    is_faulty: bool,
}

impl Pair {
    fn step(&mut self, script: &mut Script<'_>) {
        let choice = script.byte();
        let (own, other) = if choice & 1 == 0 { (0, 1) } else { (1, 0) };
        match choice >> 1 & 0x0f {
            0..=4 => self.ends[own].send_message(choice >> 5, script),
            5 => self.ends[own].send_fragment(script),
            6 => self.ends[own].send_ping(script),
            7 => self.ends[own].send_pong(script),
            8 => self.ends[own].send_close(script),
            9 | 10 => {
                let len = script.byte();
                self.ends[own].write(usize::from(len));
            }
            11 | 12 => {
                let len = script.byte();
                self.carry(own, other, usize::from(len));
            }
            13 => {
                self.carry(0, 1, usize::MAX);
                self.carry(1, 0, usize::MAX);
            }
            14 => self.pass_time(Duration::from_millis(u64::from(script.byte()) * 100)),
            _ => match choice >> 5 {
                0 => self.tear(own, other, script.byte()),
                1 => self.damage(own, script),
                2..=4 => self.ends[own].change_hands(),
                _ => self.ends[own].connection.sending_resumed(self.now),
            },
        }
    }

    /// Carries bytes from one end to the other, which receives them at once.
    fn carry(&mut self, from: usize, to: usize, len: usize) {
        if len == usize::MAX {
            self.ends[from].write(usize::MAX);
        }
        let len = len.min(self.ends[from].wire.len());
        if len > 0 {
            // Slices, because a step for each byte would be most of the time.
            let rest = self.ends[from].wire.split_off(len);
            let carried = mem::replace(&mut self.ends[from].wire, rest);
            self.ends[to].input.extend(&carried);
            self.receive(to);
        }
    }

    /// Receives what there is, and compares it with what was sent.
    fn receive(&mut self, to: usize) {
        let [client, server] = &mut self.ends;
        let (own, peer) = if to == 0 {
            (client, server)
        } else {
            (server, client)
        };
        while own.advance(peer, self.is_faulty) {}
    }

    /// The transport ends: one end sees it fail, the other its end behind a part of what was on its way.
    fn tear(&mut self, own: usize, other: usize, len: u8) {
        self.carry(own, other, usize::from(len));
        self.carry(other, own, usize::from(len >> 4));
        self.is_faulty = true;
        self.ends[own].finish(true);
        self.ends[other].finish(false);
    }

    /// Changes a byte on its way.
    fn damage(&mut self, own: usize, script: &mut Script<'_>) {
        let place = usize::from(script.byte());
        if let Some(byte) = self.ends[own].wire.get_mut(place) {
            *byte ^= script.byte();
            self.is_faulty = true;
        }
    }

    fn pass_time(&mut self, time: Duration) {
        self.now += time;
        for end in &mut self.ends {
            end.pass_time(self.now);
        }
    }

    /// Carries everything, begins to close, and judges the ends.
    fn settle(&mut self) {
        self.carry_all();
        self.judge_arrivals();
        // A Close may come while a message is unfinished.
        self.ends[0].send_close(&mut Script::new(&[]));
        self.carry_all();
        self.judge_arrivals();
        let [client, server] = &mut self.ends;
        if !self.is_faulty {
            client.judge_end(server);
            server.judge_end(client);
        }
        client.finish(false);
        server.finish(false);
    }

    fn carry_all(&mut self) {
        // A Ping, its Pong, a Close and its answer; nothing goes on for ever.
        for _ in 0..4 {
            self.carry(0, 1, usize::MAX);
            self.carry(1, 0, usize::MAX);
        }
        for end in &self.ends {
            assert!(
                end.wire.is_empty() && end.output.is_empty(),
                "it never ends"
            );
        }
    }

    /// Everything was carried: whoever did not fail has received everything.
    fn judge_arrivals(&self) {
        if self.is_faulty {
            return;
        }
        let [client, server] = &self.ends;
        for (own, peer) in [(client, server), (server, client)] {
            let has_failed = own.connection.end().is_some_and(|end| !end.is_clean());
            if !has_failed {
                assert!(peer.expected.is_empty(), "{:?}", peer.expected);
                let is_answered = own.connection.state() != State::Open
                    || peer.connection.state() != State::Open
                    || own.last_ping.is_none()
                    || own.last_ping == own.last_pong;
                assert!(is_answered, "{:?}, {:?}", own.last_ping, own.last_pong);
            }
        }
    }
}

/// What was sent, or received: a kind, and a payload.
type Sent = (u8, Vec<u8>);

const TEXT: u8 = b't';
const BINARY: u8 = b'b';
const PING: u8 = b'9';
const PONG: u8 = b'a';
const CLOSE: u8 = b'8';

/// One end, and what it wrote.
struct End {
    connection: Connection,
    input: RecvBuffer,
    output: SendBuffer,
    /// What was written and not carried.
    wire: Vec<u8>,
    /// What the other end has yet to receive.
    expected: VecDeque<Sent>,
    /// The fragments of a message that is unfinished.
    fragments: Option<(MessageKind, Vec<u8>)>,
    /// What was received of a message in chunks.
    chunks: Vec<u8>,
    /// How many Pings were made up, the last that was sent and whose Pong must come, and the last that
    /// was answered.
    pings: u32,
    last_ping: Option<u32>,
    last_pong: Option<u32>,
    /// The last keepalive Ping that was received.
    keepalives: u32,
    /// A window that was taken away and may be lent again.
    spare_window: Option<Vec<u8>>,
}

impl End {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
            wire: Vec::new(),
            expected: VecDeque::new(),
            fragments: None,
            chunks: Vec::new(),
            pings: 0,
            last_ping: None,
            last_pong: None,
            keepalives: 0,
            spare_window: None,
        }
    }

    fn send_message(&mut self, how: u8, script: &mut Script<'_>) {
        let data = match script.byte() {
            len @ 0..=200 => script.up_to(usize::from(len)).to_vec(),
            // Long enough to be shared.
            long => vec![script.byte(); usize::from(long - 200) * 600],
        };
        let compression = [Compression::Auto, Compression::Always, Compression::Never]
            [usize::from(script.byte()) % 3];
        let (kind, message) = match (how & 1, String::from_utf8(data)) {
            (0, Ok(text)) => (TEXT, Message::text(text)),
            (_, Ok(text)) => (BINARY, Message::binary(text.into_bytes())),
            (_, Err(error)) => (BINARY, Message::binary(error.into_bytes())),
        };
        let payload = message.payload().to_vec();
        let before = self.before();
        let (connection, output) = (&mut self.connection, &mut self.output);
        let sent = match how >> 1 {
            0 => connection.send_message_with(message, compression, output),
            1 => {
                let prepared = PreparedMessage::try_from(message).expect("a data message");
                connection.send_prepared(&prepared.with_compression(compression), output)
            }
            _ => match message.as_text() {
                Some(text) => connection.send_text(text, output),
                None => connection.send_binary(&payload, output),
            },
        };
        let unfinished = self
            .fragments
            .as_ref()
            .map(|_| SendError::MessageUnfinished);
        if self.judge_sent(sent, before, unfinished) {
            self.expected.push_back((kind, payload));
        }
    }

    fn send_fragment(&mut self, script: &mut Script<'_>) {
        let choice = script.byte();
        let data = script.string(64);
        let (fin, kind) = match choice & 2 {
            0 => (choice & 1 != 0, MessageKind::Text),
            _ => (choice & 1 != 0, MessageKind::Binary),
        };
        let compression = [Compression::Auto, Compression::Always, Compression::Never]
            [usize::from(choice >> 2) % 3];
        let before = self.before();
        let sent =
            self.connection
                .send_fragment_with(kind, data, fin, compression, &mut self.output);
        let mut so_far = match &self.fragments {
            Some((begun, so_far)) if *begun == kind => Ok(so_far.clone()),
            Some(_) => Err(SendError::MessageUnfinished),
            None => Ok(Vec::new()),
        };
        if let Ok(message) = &mut so_far {
            message.extend_from_slice(data);
            if kind == MessageKind::Text
                && let Err(error) = std::str::from_utf8(message)
                && (fin || error.error_len().is_some())
            {
                so_far = Err(SendError::TextNotUtf8);
            }
        }
        if !self.judge_sent(sent, before, so_far.as_ref().err().copied()) {
            return;
        }
        let message = so_far.expect("it was sent");
        if fin {
            self.fragments = None;
            let kind = match kind {
                MessageKind::Text => TEXT,
                MessageKind::Binary => BINARY,
            };
            self.expected.push_back((kind, message));
        } else {
            self.fragments = Some((kind, message));
        }
    }

    /// A Ping of ours says its number, behind a byte that no keepalive Ping begins with.
    fn send_ping(&mut self, script: &mut Script<'_>) {
        self.pings += 1;
        let mut payload = vec![b'P'];
        payload.extend(self.pings.to_be_bytes());
        payload.resize(payload.len() + usize::from(script.byte()) % 125, b'.');
        let before = self.before();
        let sent = self.connection.send_ping(&payload, &mut self.output);
        if self.judge_sent(sent, before, too_long(&payload)) {
            self.expected.push_back((PING, payload));
            self.last_ping = Some(self.pings);
        }
    }

    fn send_pong(&mut self, script: &mut Script<'_>) {
        let mut payload = vec![b'U'];
        payload.resize(1 + usize::from(script.byte()) % 130, b'.');
        let before = self.before();
        let sent = self.connection.send_pong(&payload, &mut self.output);
        if self.judge_sent(sent, before, too_long(&payload)) {
            self.expected.push_back((PONG, payload));
        }
    }

    fn send_close(&mut self, script: &mut Script<'_>) {
        let code = script.pick(&[0, 1000, 1001, 1011, 1014, 3000, 4999]);
        let reason = ".".repeat(usize::from(script.byte()) % 128);
        let frame = CloseCode::new(code).map(|code| CloseFrame {
            code,
            reason: reason.as_str().into(),
        });
        let mut payload = Vec::new();
        if code != 0 {
            payload.extend(code.to_be_bytes());
            payload.extend(reason.as_bytes());
        }
        let before = self.before();
        let sent = self.connection.send_close(frame, &mut self.output);
        let refused = (payload.len() > 125).then_some(SendError::ReasonTooLong);
        if self.judge_sent(sent, before, refused) {
            self.expected.push_back((CLOSE, payload));
        }
    }

    /// Writes as much of the output as the network takes.
    fn write(&mut self, len: usize) {
        let mut left = len.min(self.output.len());
        let written = left;
        for chunk in self.output.chunks() {
            let part = &chunk[..left.min(chunk.len())];
            self.wire.extend_from_slice(part);
            left -= part.len();
        }
        assert_eq!(left, 0);
        self.output.consume(written);
    }

    /// Finds the next event, and compares it with what the peer sent; whether there was one.
    fn advance(&mut self, peer: &mut Self, is_faulty: bool) -> bool {
        let was = self.connection.state();
        let before = self.output.len();
        let found = self.connection.advance(&mut self.input, &mut self.output);
        if was == State::Open && self.connection.state() != State::Open {
            self.note_appended(before);
        }
        match found {
            Ok(false) => return false,
            Err(error) => {
                assert_eq!(self.connection.state(), State::Closed);
                let is_limit = matches!(
                    error,
                    ProtocolError::FrameTooLong
                        | ProtocolError::MessageTooLong
                        | ProtocolError::TooManyFragments
                );
                assert!(is_faulty || is_limit, "{error:?}");
                return false;
            }
            Ok(true) => {}
        }
        let event = self.input.event().expect("advance found an event");
        if is_faulty {
            return true;
        }
        match event {
            Event::Text(text) => peer.has_sent(TEXT, text.as_bytes()),
            Event::Binary(data) => peer.has_sent(BINARY, data),
            Event::Chunk(chunk) => {
                self.chunks.extend_from_slice(chunk.payload);
                if chunk.fin {
                    let kind = match chunk.kind {
                        MessageKind::Text => TEXT,
                        MessageKind::Binary => BINARY,
                    };
                    peer.has_sent(kind, &self.chunks);
                    self.chunks.clear();
                }
            }
            Event::Ping(payload) => match number(payload) {
                Some(_) => peer.has_sent(PING, payload),
                None => {
                    let ping = payload.try_into().map(u32::from_be_bytes).ok();
                    assert_eq!(ping, Some(self.keepalives + 1), "in order");
                    self.keepalives += 1;
                }
            },
            Event::Pong(payload) => match number(payload) {
                Some(answered) => {
                    assert!(Some(answered) > self.last_pong && answered <= self.pings);
                    self.last_pong = Some(answered);
                }
                None if payload.starts_with(b"U") => peer.has_sent(PONG, payload),
                None => assert!(self.connection.is_keepalive_pong(payload)),
            },
            Event::Close(None) => peer.has_sent(CLOSE, &[]),
            Event::Close(Some(frame)) => {
                let mut payload = frame.code.get().to_be_bytes().to_vec();
                payload.extend(frame.reason.as_bytes());
                peer.has_sent(CLOSE, &payload);
            }
        }
        true
    }

    /// The other end received this, which must be the next that it was to receive.
    fn has_sent(&mut self, kind: u8, payload: &[u8]) {
        let (expected, sent) = self.expected.pop_front().expect("it was sent");
        assert_eq!(expected, kind);
        assert!(sent == payload, "as it was sent");
    }

    fn pass_time(&mut self, now: Instant) {
        self.connection.set_now(now);
        // A Ping may be due, and then patience may be over.
        for _ in 0..3 {
            if self.is_due(now) {
                let before = self.output.len();
                self.connection.handle_timeout(now, &mut self.output);
                self.note_appended(before);
            }
        }
        assert!(!self.is_due(now), "it was acted upon");
        let len = self.output.len();
        self.connection.handle_timeout(now, &mut self.output);
        assert_eq!(self.output.len(), len, "nothing is due");
    }

    fn is_due(&self, now: Instant) -> bool {
        let deadline = self.connection.next_deadline();
        deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Notes what was appended without having been asked for: a keepalive Ping, or a Close.
    fn note_appended(&mut self, before: usize) {
        let output = self.output.to_vec();
        if output.len() == before {
            return;
        }
        let (frame, rest) = split_sent(self.connection.role(), &output[before..]);
        assert!(rest.is_empty(), "one frame at most");
        if frame.opcode() == wire::PING {
            // Its Pong may take the place of the one before.
            self.last_ping = None;
        } else {
            assert_eq!(frame.opcode(), wire::CLOSE);
            self.expected.push_back((CLOSE, frame.payload().collect()));
        }
    }

    /// Buffers are taken away and lent again: another window every time.
    fn change_hands(&mut self) {
        let parked = self.input.park();
        if let Some(window) = self.spare_window.take() {
            self.input.lend(window);
        }
        self.spare_window = parked;
        let len = self.output.len();
        if let Some(memory) = self.output.park() {
            self.output.lend(memory);
        }
        assert_eq!(self.output.len(), len);
    }

    /// Everything was carried, and one end closed.
    fn judge_end(&self, peer: &Self) {
        let (Some(end), Some(theirs)) = (self.connection.end(), peer.connection.end()) else {
            panic!(
                "a Close closes both: {:?}, {:?}",
                self.connection, peer.connection
            );
        };
        let config = self.connection.config();
        let is_explained = match end.cause {
            EndCause::ClosingHandshake => end.is_clean(),
            EndCause::Protocol(_) => {
                config.max_message_len < 16 << 20 || config.max_fragments < 131_072
            }
            EndCause::KeepaliveTimeout => {
                config.ping_interval.is_some() && config.pong_timeout.is_some()
            }
            EndCause::IdleTimeout => config.idle_timeout.is_some(),
            EndCause::CloseTimeout => config.close_timeout.is_some(),
            _ => false,
        };
        assert!(is_explained, "{end:?}");
        if end.received.is_some() {
            assert_eq!(end.received, theirs.sent, "as seen from either");
        }
    }

    /// The transport fails or ends, and with it the connection.
    fn finish(&mut self, fails: bool) {
        let over = match fails {
            true => self.connection.transport_failed(),
            false => self.connection.receive_eof(),
        };
        assert_eq!(self.connection.state(), State::Closed);
        assert_eq!(self.connection.teardown(), Teardown::Drop);
        assert_eq!(self.connection.next_deadline(), None);
        // 7.1.5
        assert_eq!(over.code() == 1006, over.received.is_none());
        assert_eq!(self.connection.end(), Some(&over));
        let len = self.output.len();
        let sent = self.connection.send_text("more", &mut self.output);
        assert_eq!(sent, Err(SendError::Closing));
        assert_eq!(self.output.len(), len);
    }

    fn before(&self) -> Before {
        Before {
            output_len: self.output.len(),
            state: self.connection.state(),
        }
    }

    /// Whether something was sent, which it is unless it was to be refused.
    fn judge_sent(
        &self,
        sent: Result<(), SendError>,
        before: Before,
        refused: Option<SendError>,
    ) -> bool {
        let refused = match before.state {
            State::Open => refused,
            // 5.5.1: "MUST NOT send any more data frames after sending a Close frame."
            State::Closing | State::Closed => Some(SendError::Closing),
        };
        assert_eq!(sent.err(), refused);
        let grew = self.output.len() > before.output_len;
        assert_eq!(sent.is_ok(), grew, "an error sends nothing");
        sent.is_ok()
    }
}

/// How things were before a call.
struct Before {
    output_len: usize,
    state: State,
}

/// The number of a Ping that a script sent.
fn number(payload: &[u8]) -> Option<u32> {
    let (number, _) = payload.strip_prefix(b"P")?.split_first_chunk()?;
    Some(u32::from_be_bytes(*number))
}

fn too_long(payload: &[u8]) -> Option<SendError> {
    (payload.len() > 125).then_some(SendError::ControlTooLong)
}
