//! One end of a connection, with the invariants of every call.
//!
//! The output is drained before each call, so that what a call appends is seen alone.

use framewright::{
    Chunk, Config, Connection, Delivery, EndCause, Event, Message, MessageKind, ProtocolError,
    RecvBuffer, SendBuffer, State, Teardown,
};

use crate::script::Splits;
use crate::wire::{CLOSE, PONG, split_sent};

/// One end, with its buffers and what happened to it.
#[derive(Debug)]
pub struct Endpoint {
    pub connection: Connection,
    pub input: RecvBuffer,
    pub output: SendBuffer,
    pub log: Log,
    pub error: Option<ProtocolError>,
    /// What left the output, in order.
    pub written: Vec<u8>,
    /// How many bytes were received.
    pub received_len: usize,
    /// How events are taken: lent, or as messages of their own.
    pub takes_messages: bool,
    close_received: bool,
    close_sent: bool,
    /// The chunks of the message under way: how many bytes, and the end of them if it is text.
    chunks_len: u64,
    chunks_tail: Vec<u8>,
    /// A window that was taken away and may be lent again.
    spare_window: Option<Vec<u8>>,
}

impl Endpoint {
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
            log: Log::default(),
            error: None,
            written: Vec::new(),
            received_len: 0,
            takes_messages: false,
            close_received: false,
            close_sent: false,
            chunks_len: 0,
            chunks_tail: Vec::new(),
            spare_window: None,
        }
    }

    /// Receives `bytes` in chunks, and handles each before the next.
    pub fn receive(&mut self, mut bytes: &[u8], mut splits: Splits) {
        while !bytes.is_empty() {
            let (mut chunk, moves) = splits.take(&mut bytes);
            self.received_len += chunk.len();
            if moves {
                self.input.extend(chunk);
            } else {
                while !chunk.is_empty() {
                    let spare = self.input.spare_mut();
                    assert!(!spare.is_empty(), "spare_mut is never empty");
                    let len = spare.len().min(chunk.len());
                    spare[..len].copy_from_slice(&chunk[..len]);
                    self.input.commit(len);
                    chunk = &chunk[len..];
                }
            }
            self.handle_input();
            if moves {
                self.change_hands();
            }
        }
    }

    /// Takes the window away and lends one again: another every time.
    fn change_hands(&mut self) {
        let was_idle = self.input.is_idle();
        let unread_len = self.input.unread().len();
        let parked = self.input.park();
        if let Some(window) = self.spare_window.take() {
            self.input.lend(window);
        }
        assert_eq!(self.input.unread().len(), unread_len);
        assert_eq!(self.input.is_idle(), was_idle);
        self.spare_window = parked;
    }

    /// Takes events until there are none.
    pub fn handle_input(&mut self) {
        while self.advance() {}
    }

    /// Advances once, and asserts what holds of one call; whether there was an event.
    pub fn advance(&mut self) -> bool {
        self.write();
        let was = self.connection.state();
        let before = self.written.len();
        let outcome = self.connection.advance(&mut self.input, &mut self.output);
        self.write();
        let reply = &self.written[before..];
        let reply = (!reply.is_empty()).then(|| {
            let (frame, rest) = split_sent(self.connection.role(), reply);
            assert!(rest.is_empty(), "one call appends one reply");
            frame
        });
        match outcome {
            Ok(true) => {
                assert_eq!(self.error, None, "no event follows an error");
                assert!(!self.close_received, "nothing is delivered after a Close");
                let event = self.input.event().expect("advance found an event");
                match &event {
                    Event::Ping(payload) => {
                        // 5.5.2: "MUST send a Pong frame in response, unless it already received a
                        // Close frame."
                        let pong = reply.expect("a Ping is answered");
                        assert!(pong.opcode() == PONG && pong.payload_is(payload));
                    }
                    Event::Close(frame) => {
                        self.close_received = true;
                        assert_eq!(self.connection.state(), State::Closed);
                        // 5.5.1: "If an endpoint receives a Close frame and did not previously send
                        // a Close frame, the endpoint MUST send a Close frame in response."
                        assert_eq!(reply.is_some(), was == State::Open);
                        if let Some(reply) = reply {
                            assert_eq!(reply.opcode(), CLOSE);
                            let code = frame.as_ref().map(|frame| frame.code.get().to_be_bytes());
                            assert!(reply.payload().eq(code.into_iter().flatten()), "an echo");
                            self.close_sent = true;
                        }
                        let end = self
                            .connection
                            .end()
                            .expect("a closed connection has ended");
                        assert!(end.is_clean());
                    }
                    Event::Text(_) | Event::Binary(_) | Event::Chunk(_) | Event::Pong(_) => {
                        assert_eq!(reply, None, "only a Ping and a Close are answered");
                    }
                }
                judge_event(
                    self.connection.config(),
                    &event,
                    &mut self.chunks_len,
                    &mut self.chunks_tail,
                );
                self.log.add(&event);
                if self.takes_messages && !matches!(event, Event::Chunk(_)) {
                    let start = self.log.last;
                    let message = self.input.take_message().expect("an event is a message");
                    assert!(self.log.ends_with(start, &message), "both say the same");
                    assert_eq!(self.input.event(), None);
                }
            }
            Ok(false) => {
                assert_eq!(self.error, None, "an error stays");
                assert_eq!(self.input.event(), None);
                assert_eq!(reply, None, "only an event is answered");
            }
            Err(error) => {
                assert_eq!(self.connection.state(), State::Closed);
                assert_eq!(self.input.event(), None);
                if let Some(first) = self.error.replace(error) {
                    assert_eq!(first, error, "an error stays");
                    assert_eq!(reply, None, "a Close is owed once");
                } else {
                    // 7.1.7: the Close that is owed is in the output already, unless ours was sent.
                    assert_eq!(reply.is_some(), was == State::Open);
                    if let Some(reply) = reply {
                        assert_eq!(reply.opcode(), CLOSE);
                        let mut payload = reply.payload();
                        let code = [payload.next(), payload.next()].map(Option::unwrap_or_default);
                        assert_eq!(u16::from_be_bytes(code), code_of(error));
                        self.close_sent = true;
                    }
                    let end = self
                        .connection
                        .end()
                        .expect("a failed connection has ended");
                    assert_eq!(end.cause, EndCause::Protocol(error));
                    assert!(!end.is_clean());
                }
            }
        }
        self.judge_state();
        outcome == Ok(true)
    }

    /// Moves the output to what was written.
    pub fn write(&mut self) {
        if self.output.is_empty() {
            assert_eq!(self.output.chunks().count(), 0, "no chunk is empty");
            return;
        }
        let len = self.output.len();
        let before = self.written.len();
        for chunk in self.output.chunks() {
            assert!(!chunk.is_empty(), "no chunk is empty");
            self.written.extend_from_slice(chunk);
        }
        assert_eq!(self.written.len() - before, len);
        self.output.consume(len);
        assert!(self.output.is_empty());
    }

    fn judge_state(&self) {
        let state = self.connection.state();
        assert_eq!(state == State::Closed, self.connection.end().is_some());
        assert_eq!(
            state == State::Open,
            self.connection.teardown() == Teardown::NotYet && state != State::Closing
        );
        if state == State::Closed && self.input.is_idle() {
            assert!(self.input.unread().is_empty());
        }
    }
}

/// Asserts that an event keeps to the limits, and that text is text.
fn judge_event(config: &Config, event: &Event<'_>, chunks_len: &mut u64, tail: &mut Vec<u8>) {
    let max_len = config.max_message_len;
    match event {
        Event::Text(text) => {
            assert_eq!(config.delivery, Delivery::Messages);
            assert!(
                std::str::from_utf8(text.as_bytes()).is_ok(),
                "text is UTF-8"
            );
            assert!(text.len() as u64 <= max_len);
        }
        Event::Binary(data) => {
            assert_eq!(config.delivery, Delivery::Messages);
            assert!(data.len() as u64 <= max_len);
        }
        Event::Chunk(Chunk { kind, payload, fin }) => {
            assert_eq!(config.delivery, Delivery::Chunks);
            *chunks_len += payload.len() as u64;
            assert!(*chunks_len <= max_len);
            if *kind == MessageKind::Text {
                tail.extend_from_slice(payload);
                let valid_len = match std::str::from_utf8(tail) {
                    Ok(_) => tail.len(),
                    Err(error) => {
                        assert_eq!(error.error_len(), None, "text is valid so far");
                        assert!(!fin, "text ends with a whole character");
                        error.valid_up_to()
                    }
                };
                tail.drain(..valid_len);
            }
            if *fin {
                *chunks_len = 0;
            }
        }
        Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
        Event::Close(frame) => {
            if let Some(frame) = frame {
                let code = frame.code.get();
                // 7.4, and the registry.
                assert!(
                    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999),
                    "{code}"
                );
                assert!(std::str::from_utf8(frame.reason.as_bytes()).is_ok());
                assert!(frame.reason.len() <= 123);
            }
        }
    }
}

/// The close code that each error earns, as section 7.4.1 has it.
pub fn code_of(error: ProtocolError) -> u16 {
    match error {
        ProtocolError::TextNotUtf8
        | ProtocolError::CloseReasonNotUtf8
        | ProtocolError::CompressedDataInvalid => 1007,
        ProtocolError::TooManyFragments => 1008,
        ProtocolError::FrameTooLong | ProtocolError::MessageTooLong => 1009,
        _ => 1002,
    }
}

/// What was delivered, as bytes that can be compared: a tag, a length and a payload for each.
///
/// The chunks of a message that come one after the other are joined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    bytes: Vec<u8>,
    /// Where the last record begins.
    last: usize,
    /// Whether the last record is a chunk that another may follow.
    is_open: bool,
}

impl Log {
    pub fn add(&mut self, event: &Event<'_>) {
        match event {
            Event::Text(text) => self.record(b't', text.as_bytes()),
            Event::Binary(data) => self.record(b'b', data),
            Event::Chunk(chunk) => self.add_chunk(chunk),
            Event::Ping(payload) => self.record(b'9', payload),
            Event::Pong(payload) => self.record(b'a', payload),
            Event::Close(None) => self.record(b'8', &[]),
            Event::Close(Some(frame)) => {
                self.record(b'8', &frame.code.get().to_be_bytes());
                self.extend(frame.reason.as_bytes());
            }
        }
    }

    /// Adds a message that was delivered whole.
    pub fn record(&mut self, tag: u8, payload: &[u8]) {
        self.last = self.bytes.len();
        self.is_open = false;
        self.bytes.push(tag);
        self.bytes.extend(0_u32.to_le_bytes());
        self.extend(payload);
    }

    /// Returns how much memory the log holds.
    pub const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn starts_with(&self, other: &Self) -> bool {
        self.bytes.starts_with(&other.bytes)
    }

    pub fn records(&self) -> Records<'_> {
        Records { rest: &self.bytes }
    }

    fn add_chunk(&mut self, chunk: &Chunk<'_>) {
        let tag = match chunk.kind {
            MessageKind::Text => b'T',
            MessageKind::Binary => b'B',
        };
        if !self.is_open {
            self.record(tag, &[]);
        }
        assert_eq!(
            self.bytes[self.last], tag,
            "chunks of a message are of one kind"
        );
        self.extend(chunk.payload);
        self.is_open = !chunk.fin;
        if chunk.fin {
            // So that an end is told from a message that goes on behind a control frame.
            self.record(b'.', &[]);
        }
    }

    fn extend(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        let len = u32::try_from(self.bytes.len() - self.last - 5).expect("payloads are short");
        self.bytes[self.last + 1..self.last + 5].copy_from_slice(&len.to_le_bytes());
    }

    /// Whether the record at `start`, the last, is of `message`.
    fn ends_with(&self, start: usize, message: &Message) -> bool {
        let payload = &self.bytes[start + 5..];
        match message {
            Message::Text(text) => self.bytes[start] == b't' && payload == text.as_bytes(),
            Message::Binary(data) => self.bytes[start] == b'b' && payload == data,
            Message::Ping(data) => self.bytes[start] == b'9' && payload == data,
            Message::Pong(data) => self.bytes[start] == b'a' && payload == data,
            Message::Close(None) => self.bytes[start] == b'8' && payload.is_empty(),
            Message::Close(Some(frame)) => {
                self.bytes[start] == b'8'
                    && payload[..2] == frame.code.get().to_be_bytes()
                    && &payload[2..] == frame.reason.as_bytes()
            }
        }
    }
}

/// The records of a [`Log`]: tags and payloads.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, a, b, c, d], rest) = self.rest.split_first_chunk()?;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let (payload, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some((tag, payload))
    }
}
