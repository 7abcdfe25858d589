//! The library against tungstenite.
//!
//! The same bytes are received by both, in either role and with the same limits; and what either
//! sends the other receives. Asserts that both deliver the same messages, Pings, Pongs and Close,
//! answer them alike, and refuse the same frame. They differ, on purpose, in this:
//! - 5.2: "in all cases, the minimal number of bytes MUST be used to encode the length".
//!   tungstenite takes any form, that of a short control frame (5.5) included, and goes on where we
//!   stop.
//! - 7.4.1 and 7.4.2: a Close with a code that may not be on the wire is for us a broken rule;
//!   tungstenite delivers and answers it as one with 1002. Of the codes, 1014 is in the registry of
//!   section 11.7, and not in tungstenite's list.
//! - 7.1.7: "the endpoint SHOULD send a Close frame with an appropriate status code" where it fails
//!   the connection. We do, tungstenite sends nothing.
//! - 5.5.1: "the endpoint typically echos the status code it received". We echo it alone,
//!   tungstenite the reason as well.
//! - 8.1 and 10.4: we refuse a frame as soon as it shows that it breaks a rule, tungstenite once it
//!   is whole. Hence it gets zeros to the end of such a frame.

#![no_main]

use framewright::{
    CloseCode, CloseFrame, Config, Delivery, MessageKind, ProtocolError, Role, State,
};
use framewright_fuzz::endpoint::{Endpoint, Log};
use framewright_fuzz::open::{self, peer_of};
use framewright_fuzz::script::{Script, Splits};
use framewright_fuzz::wire::{CLOSE, PONG, push_stream, split_frame};
use libfuzzer_sys::fuzz_target;
use std::io::{self, Read, Write};
use std::sync::Arc;
use tungstenite::protocol::{self, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let choice = script.byte();
    let role = open::ROLES[usize::from(choice & 1)];
    let mut config = Config::default();
    // No shorter than a control frame may be, to which tungstenite applies it as well.
    config.max_frame_len = script.pick(&[65_536, 4096, 300, 125]);
    config.max_message_len = script.pick(&[65_536, 65_536, 4096, 300, 5, 0]);
    config.delivery = Delivery::Messages;
    let config = Arc::new(config);
    if choice & 2 == 0 {
        let mut stream = Vec::new();
        push_stream(role, &mut script, &mut stream);
        receives(role, &config, &stream);
    } else {
        converses(role, &config, &mut script);
    }
});

fn receives(role: Role, config: &Arc<Config>, stream: &[u8]) {
    let mut ours = Endpoint::new(open::connection(role, config, None));
    ours.receive(stream, Splits::WHOLE);
    // A frame that we refused early is to be whole for the other.
    let patience = match ours.error {
        None => 0,
        Some(_) => LONGEST_FRAME,
    };
    let mut theirs = Theirs::new(role, config, stream, patience);
    let error = theirs.receive();
    let is_closed = ours.connection.state() == State::Closed;
    match ours.error {
        None => {
            assert!(!error, "we take it");
            let mut log = Log::default();
            for (tag, payload) in ours.log.records() {
                match tag {
                    b'8' if payload.starts_with(BAD_GATEWAY) => log.record(tag, VIOLATION),
                    tag => log.record(tag, payload),
                }
            }
            assert_eq!(theirs.log, log);
        }
        Some(ProtocolError::LengthNotMinimal | ProtocolError::ControlTooLong) => {
            assert!(theirs.log.starts_with(&ours.log));
        }
        Some(ProtocolError::CloseCodeInvalid(code)) => {
            assert!(!matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999));
            // A reason that is not UTF-8 is an error for both.
            let mut log = ours.log.clone();
            if !error {
                log.record(b'8', VIOLATION);
            }
            assert_eq!(theirs.log, log);
        }
        Some(ours_error) => {
            assert!(error, "they refuse it: {ours_error:?}");
            assert_eq!(theirs.log, ours.log);
        }
    }
    if ours.error.is_none() {
        assert_eq!(is_closed, theirs.is_closed);
        same_replies(&ours.written, &theirs.websocket.get_ref().written);
    }
}

/// Pongs, and the code of a Close.
fn same_replies(mut ours: &[u8], mut theirs: &[u8]) {
    while let Some((frame, rest)) = split_frame(ours) {
        let (other, other_rest) = split_frame(theirs).expect("they reply as well");
        assert!(matches!(frame.opcode(), PONG | CLOSE));
        assert_eq!(frame.first, other.first);
        assert_eq!(frame.mask.is_some(), other.mask.is_some());
        if frame.opcode() == PONG {
            assert!(frame.payload().eq(other.payload()));
        } else {
            let theirs: Vec<u8> = other.payload().take(2).collect();
            assert!(frame.payload().eq(theirs.iter().copied()) || theirs == VIOLATION[..2]);
        }
        (ours, theirs) = (rest, other_rest);
    }
    assert!(theirs.is_empty(), "so do we");
}

/// Both send, each in turn; what one sent the other receives at once.
fn converses(role: Role, config: &Arc<Config>, script: &mut Script<'_>) {
    let mut ours = Endpoint::new(open::connection(role, config, None));
    let mut theirs = Theirs::new(peer_of(role), config, &[], 0);
    let max_len = usize::try_from(config.max_message_len).expect("the limits are short");
    let max_len = max_len.min(usize::try_from(config.max_frame_len).expect("likewise"));
    while !script.is_at_end() {
        let choice = script.byte();
        let payload = script.string(125).repeat(1 + usize::from(choice >> 5));
        let payload = &payload[..payload.len().min(max_len)];
        let control = &payload[..payload.len().min(123)];
        if choice & 1 == 0 {
            let expected = theirs.log.clone();
            let sent = we_send(&mut ours, choice, payload, control, expected);
            ours.write();
            theirs.feed(&ours.written);
            ours.written.clear();
            assert!(!theirs.receive());
            assert_eq!(theirs.log, sent);
        } else {
            let mut log = ours.log.clone();
            if theirs.send(choice, payload, control, &mut log) {
                let written = std::mem::take(&mut theirs.websocket.get_mut().written);
                ours.receive(&written, Splits::WHOLE);
                assert_eq!(ours.error, None);
                assert_eq!(ours.log, log);
                theirs.feed(&ours.written);
                ours.written.clear();
                // The Pong that answers a Ping of theirs, or the Close.
                assert!(!theirs.receive());
            }
        }
        // What they answered: Pongs to our Pings, and a Close to ours.
        let written = std::mem::take(&mut theirs.websocket.get_mut().written);
        ours.receive(&written, Splits::WHOLE);
        assert_eq!(ours.error, None);
        let is_closed = ours.connection.state() == State::Closed;
        assert_eq!(is_closed, theirs.is_closed);
        if is_closed {
            break;
        }
    }
}

/// Sends something, and returns what they must have received then.
fn we_send(
    ours: &mut Endpoint,
    choice: u8,
    payload: &[u8],
    control: &[u8],
    mut expected: Log,
) -> Log {
    let (connection, output) = (&mut ours.connection, &mut ours.output);
    let sent = match choice >> 1 & 7 {
        0 | 1 => match std::str::from_utf8(payload) {
            Ok(text) => {
                expected.record(b't', payload);
                connection.send_text(text, output)
            }
            Err(_) => {
                expected.record(b'b', payload);
                connection.send_binary(payload, output)
            }
        },
        2 | 3 => {
            // A Ping stands between two fragments.
            let (front, back) = payload.split_at(payload.len() / 2);
            let kind = MessageKind::Binary;
            expected.record(b'9', b"between");
            expected.record(b'b', payload);
            connection
                .send_fragment(kind, front, false, output)
                .and_then(|()| connection.send_ping(b"between", output))
                .and_then(|()| connection.send_fragment(kind, back, true, output))
        }
        4 => {
            expected.record(b'9', control);
            connection.send_ping(control, output)
        }
        5 => {
            expected.record(b'a', control);
            connection.send_pong(control, output)
        }
        6 => {
            expected.record(b'b', payload);
            connection.send_binary(payload, output)
        }
        _ => {
            let reason = std::str::from_utf8(control).unwrap_or("");
            let code = CloseCode::NORMAL_CLOSURE;
            let mut close = code.get().to_be_bytes().to_vec();
            close.extend(reason.as_bytes());
            expected.record(b'8', &close);
            let reason = reason.into();
            connection.send_close(Some(CloseFrame { code, reason }), output)
        }
    };
    assert_eq!(sent, Ok(()), "nobody has closed");
    expected
}

/// The other library, at one end.
struct Theirs {
    websocket: WebSocket<Memory>,
    log: Log,
    is_closed: bool,
}

impl Theirs {
    fn new(role: Role, config: &Config, stream: &[u8], patience: usize) -> Self {
        let role = match role {
            Role::Client => protocol::Role::Client,
            Role::Server => protocol::Role::Server,
        };
        let limit = |limit: u64| Some(usize::try_from(limit).expect("the limits are short"));
        let config = WebSocketConfig::default()
            .read_buffer_size(256)
            .write_buffer_size(0)
            .max_frame_size(limit(config.max_frame_len))
            .max_message_size(limit(config.max_message_len));
        let memory = Memory {
            unread: stream.to_vec(),
            position: 0,
            patience,
            written: Vec::new(),
        };
        Self {
            websocket: WebSocket::from_raw_socket(memory, role, Some(config)),
            log: Log::default(),
            is_closed: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.websocket.get_mut().unread.extend_from_slice(bytes);
    }

    /// Receives what there is; whether that came to an error.
    fn receive(&mut self) -> bool {
        loop {
            match self.websocket.read() {
                Ok(Message::Text(text)) => self.log.record(b't', text.as_bytes()),
                Ok(Message::Binary(data)) => self.log.record(b'b', &data),
                Ok(Message::Ping(data)) => self.log.record(b'9', &data),
                Ok(Message::Pong(data)) => self.log.record(b'a', &data),
                Ok(Message::Close(frame)) => {
                    let mut payload = Vec::new();
                    if let Some(frame) = frame {
                        payload.extend(u16::from(frame.code).to_be_bytes());
                        payload.extend(frame.reason.as_bytes());
                    }
                    self.log.record(b'8', &payload);
                    self.is_closed = true;
                    // Nothing behind it counts.
                    self.websocket.get_mut().drop_unread();
                    self.websocket
                        .flush()
                        .or_else(is_over)
                        .expect("it is memory");
                    return false;
                }
                Ok(Message::Frame(frame)) => panic!("{frame:?} is never received"),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_)) => return true,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends something, and adds what must be received to `log`; `false` if it was not to be.
    fn send(&mut self, choice: u8, payload: &[u8], control: &[u8], log: &mut Log) -> bool {
        let message = match choice >> 1 & 7 {
            0..=2 => match std::str::from_utf8(payload) {
                Ok(text) => {
                    log.record(b't', payload);
                    Message::text(text)
                }
                Err(_) => return false,
            },
            3 | 4 => {
                log.record(b'b', payload);
                Message::binary(payload.to_vec())
            }
            5 => {
                log.record(b'9', control);
                Message::Ping(control.to_vec().into())
            }
            6 => {
                log.record(b'a', control);
                Message::Pong(control.to_vec().into())
            }
            _ => {
                log.record(b'8', &[]);
                Message::Close(None)
            }
        };
        self.websocket.send(message).expect("it is memory");
        true
    }
}

fn is_over(error: Error) -> Result<(), Error> {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Ok(()),
        error => Err(error),
    }
}

/// A stream in memory, which goes on with zeros for as long as it has patience.
struct Memory {
    unread: Vec<u8>,
    position: usize,
    patience: usize,
    written: Vec<u8>,
}

impl Memory {
    fn drop_unread(&mut self) {
        self.position = self.unread.len();
        self.patience = 0;
    }
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let unread = &self.unread[self.position..];
        if !unread.is_empty() {
            let len = unread.len().min(buffer.len());
            buffer[..len].copy_from_slice(&unread[..len]);
            self.position += len;
            return Ok(len);
        }
        let len = self.patience.min(buffer.len());
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffer[..len].fill(0);
        self.patience -= len;
        Ok(len)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite makes of a Close whose code it does not allow.
const VIOLATION: &[u8] = b"\x03\xeaProtocol violation";

/// 1014, as it begins a Close.
const BAD_GATEWAY: &[u8] = b"\x03\xf6";

/// No header claims more that both let pass.
const LONGEST_FRAME: usize = 65_536 + 14;
