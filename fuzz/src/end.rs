//! One of two ends that hold each other to account.
//!
//! It sends what a script says and remembers it, judges what arrives by what the other sent, and
//! holds every call to what its documentation says. What lies between the two is `pair`'s.

use std::collections::VecDeque;
use std::time::Instant;

use framewright::{
    CloseCode, CloseFrame, Compression, Connection, EndCause, Event, Message, MessageKind,
    PreparedMessage, ProtocolError, RecvBuffer, SendBuffer, SendError, State, Teardown,
};

use crate::script::Script;
use crate::wire::{self, split_sent};

/// What was sent, or received: a kind, and a payload.
type Sent = (u8, Vec<u8>);

const TEXT: u8 = b't';
const BINARY: u8 = b'b';
const PING: u8 = b'9';
const PONG: u8 = b'a';
const CLOSE: u8 = b'8';

/// One end, and what it wrote.
pub struct End {
    pub connection: Connection,
    pub input: RecvBuffer,
    pub output: SendBuffer,
    /// What was written and not carried.
    pub wire: Vec<u8>,
    /// What the other end has yet to receive.
    pub expected: VecDeque<Sent>,
    /// The fragments of a message that is unfinished.
    fragments: Option<(MessageKind, Vec<u8>)>,
    /// What was received of a message in chunks.
    chunks: Vec<u8>,
    /// How many Pings were made up, the last that was sent and whose Pong must come, and the last
    /// that was answered.
    pings: u32,
    pub last_ping: Option<u32>,
    pub last_pong: Option<u32>,
    /// The last keepalive Ping that was received.
    keepalives: u32,
    /// A window that was taken away and may be lent again.
    spare_window: Option<Vec<u8>>,
}

impl End {
    pub fn new(connection: Connection) -> Self {
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

    /// Sends a message in one of the ways that there are, or is refused.
    pub fn send_message(&mut self, how: u8, script: &mut Script<'_>) {
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

    /// Sends a fragment, the last one perhaps, or is refused.
    pub fn send_fragment(&mut self, script: &mut Script<'_>) {
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
    pub fn send_ping(&mut self, script: &mut Script<'_>) {
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

    /// Sends a Pong that nobody asked for, or is refused.
    pub fn send_pong(&mut self, script: &mut Script<'_>) {
        let mut payload = vec![b'U'];
        payload.resize(1 + usize::from(script.byte()) % 130, b'.');
        let before = self.before();
        let sent = self.connection.send_pong(&payload, &mut self.output);
        if self.judge_sent(sent, before, too_long(&payload)) {
            self.expected.push_back((PONG, payload));
        }
    }

    /// Sends a Close, or is refused.
    pub fn send_close(&mut self, script: &mut Script<'_>) {
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
    pub fn write(&mut self, len: usize) {
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
    pub fn advance(&mut self, peer: &mut Self, is_faulty: bool) -> bool {
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

    /// Tells the time, and has what is due done.
    pub fn pass_time(&mut self, now: Instant) {
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
    pub fn change_hands(&mut self) {
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
    pub fn judge_end(&self, peer: &Self) {
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
    pub fn finish(&mut self, fails: bool) {
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
