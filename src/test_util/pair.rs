//! A client and a server of the core, and a wire between them.
//!
//! It moves bytes and time, and judges nothing: what the two make of it is theirs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::split::{Cutter, Split};
use crate::connection::{
    Config, Connection, End, Event, MaskSource, RecvBuffer, Role, SendBuffer, State,
};
use crate::error::{HandshakeError, ProtocolError, SendError};
use crate::frame::MaskingKey;
use crate::handshake::{Acceptance, ClientHandshake, ClientRequest, Request, ServerHandshake};
use crate::message::{Message, MessageKind};

/// A client and a server of the core, and a wire between them.
///
/// Nothing moves by itself. [`pump`](Self::pump) carries bytes until there are none left, cut as
/// [`with_split`](Self::with_split) says; [`advance`](Self::advance) lets time pass, and each
/// deadline be kept when it comes, without waiting for it. The same calls give the same bytes in
/// every run: masking keys are those of [`CountingMasks`].
///
/// ```
/// use framewright::test_util::{Pair, Split};
/// use framewright::{Config, Message};
/// use std::time::Duration;
///
/// for split in Split::ALL {
///     let mut pair = Pair::new(&Config::default()).with_split(split);
///     pair.client.send("Hello")?;
///     pair.pump();
///     assert_eq!(pair.server.take_received(), [Message::text("Hello")]);
///
///     // A minute of silence: keepalive Pings pass, and are answered.
///     pair.advance(Duration::from_secs(60));
///     assert!(pair.client.end().is_none());
///
///     // The server vanishes: the client gives up after its pong_timeout.
///     pair.fall_silent();
///     pair.advance(Duration::from_secs(60));
///     assert_eq!(pair.client.end().map(|end| end.code()), Some(1006));
/// }
/// # Ok::<(), framewright::SendError>(())
/// ```
#[derive(Debug)]
pub struct Pair {
    /// The end that asked for the connection.
    pub client: Endpoint,
    /// The end that accepted it.
    pub server: Endpoint,
    cutter: Cutter,
    now: Instant,
    is_silent: bool,
}

impl Pair {
    /// Makes a pair that is open, with the same limits at both ends.
    pub fn new(config: &Config) -> Self {
        let config = Arc::new(config.clone());
        Self::of(
            Connection::client(Box::new(CountingMasks::default()), Arc::clone(&config)),
            Connection::server(config),
        )
    }

    /// Makes a pair by a true opening handshake, for what is agreed on there: subprotocols,
    /// permessage-deflate.
    ///
    /// # Errors
    ///
    /// Why the two do not agree.
    pub fn open(
        request: &ClientRequest,
        acceptance: Acceptance<'_>,
        config: &Config,
    ) -> Result<Self, OpenError> {
        let config = Arc::new(config.clone());
        let (mut to_server, mut to_client) = (SendBuffer::new(), SendBuffer::new());
        let mut client =
            ClientHandshake::start(request, Arc::clone(&config), [0; 16], &mut to_server);
        let mut received = RecvBuffer::from(&to_server.to_vec()[..]);
        let mut server = ServerHandshake::new(Arc::clone(&config));
        let upgrade = match server.receive(&mut received)? {
            Some(Request::Upgrade(upgrade)) => upgrade,
            // What a client writes is whole, and asks for an upgrade.
            Some(Request::Plain(_)) | None => return Err(HandshakeError::NotAnUpgrade.into()),
        };
        let server = upgrade.accept(acceptance, config, &mut to_client)?;
        let mut received = RecvBuffer::from(&to_client.to_vec()[..]);
        match client.receive(&mut received)? {
            Some(response) => {
                let masks = Box::new(CountingMasks::default());
                Ok(Self::of(response.into_connection_with(masks), server))
            }
            // Nor is half an answer ever written.
            None => Err(HandshakeError::EndOfStream.into()),
        }
    }

    fn of(client: Connection, server: Connection) -> Self {
        let now = Instant::now();
        let mut pair = Self {
            client: Endpoint::new(client),
            server: Endpoint::new(server),
            cutter: Cutter::new(Split::Whole),
            now,
            is_silent: false,
        };
        pair.tell_time();
        pair
    }

    /// Cuts what passes from now on; without it everything arrives at once.
    #[must_use]
    pub const fn with_split(mut self, split: Split) -> Self {
        self.cutter = Cutter::new(split);
        self
    }

    /// Moves bytes both ways until there are none left.
    pub fn pump(&mut self) {
        while !self.client.output.is_empty() || !self.server.output.is_empty() {
            self.pump_from(Role::Client);
            self.pump_from(Role::Server);
        }
    }

    /// Moves what `sender` has written to its peer, and nothing back.
    pub fn pump_from(&mut self, sender: Role) {
        let (from, to) = match sender {
            Role::Client => (&mut self.client, &mut self.server),
            Role::Server => (&mut self.server, &mut self.client),
        };
        let bytes = from.take_output();
        if !self.is_silent {
            to.receive_cut(&bytes, &mut self.cutter);
        }
    }

    /// Loses what is written from now on, both ways: neither end is told.
    pub const fn fall_silent(&mut self) {
        self.is_silent = true;
    }

    /// Ends the stream in both directions, as where the network fails, once everything that was
    /// written has arrived.
    pub fn cut(&mut self) {
        self.pump();
        for end in [&mut self.client, &mut self.server] {
            end.connection.receive_eof();
        }
    }

    /// Lets time pass. Deadlines are kept when they come, in order, and what is sent then arrives
    /// at once.
    pub fn advance(&mut self, duration: Duration) {
        // A time that cannot be written down never comes.
        let Some(until) = self.now.checked_add(duration) else {
            return;
        };
        let mut kept = None;
        while let Some(deadline) = self.next_deadline().filter(|next| *next <= until) {
            if kept == Some(deadline) {
                // Kept, and still there: it is no deadline of the two's own.
                break;
            }
            kept = Some(deadline);
            self.now = self.now.max(deadline);
            for end in [&mut self.client, &mut self.server] {
                end.connection.handle_timeout(self.now, &mut end.output);
            }
            self.pump();
        }
        self.now = until;
        self.tell_time();
    }

    /// Returns the time, which only [`advance`](Self::advance) moves.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Returns when the next deadline of either end comes.
    pub fn next_deadline(&self) -> Option<Instant> {
        let client = self.client.connection.next_deadline();
        let server = self.server.connection.next_deadline();
        client.into_iter().chain(server).min()
    }

    /// Returns the end of `role`.
    pub const fn end_mut(&mut self, role: Role) -> &mut Endpoint {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    fn tell_time(&mut self) {
        self.client.connection.set_now(self.now);
        self.server.connection.set_now(self.now);
    }
}

/// Why a pair did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// One end refused the other.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The acceptance cannot be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// One end of the core with its buffers, and what it has received.
///
/// All of it is there to be used directly; the methods are the calls that every test makes.
///
/// ```
/// use framewright::test_util::{Endpoint, Split};
/// use framewright::{Config, Connection, Message, ProtocolError, Role};
///
/// let mut server = Endpoint::new(Connection::new(Role::Server, Config::default().into()));
/// // RFC 6455, section 5.7: a masked text message "Hello"; then one that is not masked.
/// server.receive(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Split::Every(1));
/// assert_eq!(server.take_received(), [Message::text("Hello")]);
/// server.receive(b"\x81\x05Hello", Split::Every(1));
/// assert_eq!(server.error(), Some(ProtocolError::MaskMissing));
/// assert_eq!(server.take_output()[..4], [0x88, 28, 0x03, 0xea]); // Close 1002.
/// ```
#[derive(Debug)]
pub struct Endpoint {
    /// The connection.
    pub connection: Connection,
    /// What it was sent and has not consumed.
    pub input: RecvBuffer,
    /// What it has written, and nobody taken yet.
    pub output: SendBuffer,
    received: Vec<Message>,
    /// The beginning of a message that is delivered in chunks.
    chunks: Vec<u8>,
    error: Option<ProtocolError>,
}

impl Endpoint {
    /// Gives a connection its buffers, and masking keys that repeat from run to run.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection: connection.with_masks(Box::new(CountingMasks::default())),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
            received: Vec::new(),
            chunks: Vec::new(),
            error: None,
        }
    }

    /// Writes a message, or a control frame, to the output.
    ///
    /// # Errors
    ///
    /// As those of [`Connection::send_message`].
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SendError> {
        self.connection
            .send_message(message.into(), &mut self.output)
    }

    /// Receives bytes in pieces, and handles each piece before the next.
    pub fn receive(&mut self, bytes: &[u8], split: Split) {
        self.receive_cut(bytes, &mut Cutter::new(split));
    }

    /// Takes what was received since the last call: messages, and control frames, in order.
    ///
    /// Those that were delivered in chunks are put together.
    pub fn take_received(&mut self) -> Vec<Message> {
        core::mem::take(&mut self.received)
    }

    /// Takes what was written since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        let bytes = self.output.to_vec();
        self.output.consume(bytes.len());
        bytes
    }

    /// Returns the error that failed the connection, if one did.
    pub const fn error(&self) -> Option<ProtocolError> {
        self.error
    }

    /// Returns how the connection ended, once it is closed.
    pub fn end(&self) -> Option<&End> {
        match self.connection.state() {
            State::Open | State::Closing => None,
            State::Closed => self.connection.end(),
        }
    }

    fn receive_cut(&mut self, bytes: &[u8], cutter: &mut Cutter) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let spare = self.input.spare_mut();
            let len = cutter.next_len(rest.len()).min(spare.len());
            let (piece, later) = rest.split_at(len);
            spare[..len].copy_from_slice(piece);
            self.input.commit(len);
            rest = later;
            self.handle_input();
        }
    }

    fn handle_input(&mut self) {
        loop {
            match self.connection.advance(&mut self.input, &mut self.output) {
                Ok(true) => self.keep_event(),
                Ok(false) => return,
                Err(error) => {
                    self.error = Some(error);
                    return;
                }
            }
        }
    }

    fn keep_event(&mut self) {
        if let Some(Event::Chunk(chunk)) = self.input.event() {
            self.chunks.extend_from_slice(chunk.payload);
            if chunk.fin {
                let kind = chunk.kind;
                let payload = core::mem::take(&mut self.chunks);
                self.received.push(match kind {
                    // The pieces of a text are UTF-8 together, or there would be no last one.
                    MessageKind::Text => String::from_utf8_lossy(&payload).into_owned().into(),
                    MessageKind::Binary => payload.into(),
                });
            }
        } else {
            self.received.extend(self.input.take_message());
        }
    }
}

/// Masking keys that repeat from run to run, and never within one.
///
/// Section 10.3 wants keys that nobody can foretell: these are for tests alone.
#[derive(Debug, Clone, Default)]
pub struct CountingMasks {
    drawn: u32,
}

impl MaskSource for CountingMasks {
    fn next_key(&mut self) -> MaskingKey {
        self.drawn = self.drawn.wrapping_add(1);
        // An odd factor permutes the numbers, and no byte of a key is zero for long.
        MaskingKey::new(self.drawn.wrapping_mul(0x9e37_79b1).to_be_bytes())
    }
}
