//! An open WebSocket connection, without a stream under it.
//!
//! The public face: events out, and what is due when; what a program sends is in `commands`, how it
//! ends in `closing`. It holds state and no payload; the bytes are in a [`RecvBuffer`] and a
//! [`SendBuffer`] that the caller owns. It performs no I/O, reads no clock and spawns nothing.
//! Header bits are `frame::header`'s, rules for received frames `receiver`'s, the writing of frames
//! `sender`'s.
//!
//! RFC 6455, sections 5 to 7.

mod assembler;
mod closing;
mod commands;
mod compression;
mod config;
mod deadlines;
mod end;
mod event;
mod masks;
mod observer;
mod prepared;
mod receiver;
mod recv_buffer;
mod send_buffer;
mod sender;
mod state;

use core::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{ProtocolError, SendError};
use crate::extension::Extension;
use crate::frame::{CloseCode, CloseFrame, Opcode};

use deadlines::{Deadlines, Due};
use observer::{Observer, SentFrame};
use recv_buffer::{AtOnce, What};
use sender::Sender;

pub use compression::Compression;
pub use config::{Config, Delivery};
#[cfg(any(feature = "tokio", feature = "futures-io"))]
pub(crate) use deadlines::earlier;
pub use end::{End, EndCause, Initiator};
pub use event::{Chunk, Event};
pub use masks::MaskSource;
#[cfg(feature = "os-rng")]
pub(crate) use masks::ThreadMasks;
pub use observer::{Counters, Traffic};
pub use prepared::PreparedMessage;
pub use recv_buffer::RecvBuffer;
pub use send_buffer::{Chunks, SendBuffer};
pub use state::{Role, State, Teardown};

/// An open WebSocket connection, without a stream under it.
///
/// The order of calls, once per wake-up:
///
/// 1. [`set_now`](Self::set_now), if there are to be deadlines;
/// 2. read into the input: [`RecvBuffer::spare_mut`] and [`RecvBuffer::commit`];
/// 3. [`receive`](Self::receive) until it returns `Ok(None)` or an error, and reply to its events
///    with the `send_*` methods;
/// 4. write the output, also after an error: the Close frame that is owed is in there;
/// 5. look at [`teardown`](Self::teardown), sleep until [`next_deadline`](Self::next_deadline) or
///    the next read, and call [`handle_timeout`](Self::handle_timeout) when it has passed.
///
/// ```
/// use framewright::{Config, Connection, Event, ProtocolError, RecvBuffer, Role, SendBuffer};
///
/// /// Echoes what came, and returns what to write.
/// fn echo(
///     connection: &mut Connection,
///     input: &mut RecvBuffer,
///     output: &mut SendBuffer,
/// ) -> Result<(), ProtocolError> {
///     while let Some(event) = connection.receive(input, output)? {
///         match event {
///             Event::Text(text) => connection.send_text(text, output).ok(),
///             Event::Binary(data) => connection.send_binary(data, output).ok(),
///             _ => None, // Pings and the Close are answered already.
///         };
///     }
///     Ok(())
/// }
///
/// let mut server = Connection::new(Role::Server, Config::default().into());
/// let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
/// // RFC 6455, section 5.7: a masked text message "Hello".
/// input.extend(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
/// echo(&mut server, &mut input, &mut output)?;
/// assert_eq!(output.to_vec(), b"\x81\x05Hello");
/// # Ok::<(), ProtocolError>(())
/// ```
#[doc(alias("WebSocketContext", "protocol"))]
pub struct Connection {
    role: Role,
    state: State,
    config: Arc<Config>,
    /// The length below which no limit need be looked at, put together once.
    whole_below: u32,
    sender: Sender,
    extension: Option<Box<dyn Extension>>,
    deadlines: Deadlines,
    /// How the connection ends, from the first Close frame on.
    ///
    /// INVARIANT: `Some` unless `state` is `Open`.
    end: Option<Box<End>>,
    drained_len: u64,
    /// Whether nobody is to be waited for: the peer closed the transport, or time is up.
    is_over: bool,
    observer: Option<Box<Observer>>,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Connection {
    /// Makes a connection that is open: after [`handshake`](crate::handshake), or after anybody's
    /// HTTP upgrade. A client's masking keys come from the operating system's entropy, by way of
    /// the thread's cryptographic generator.
    #[cfg(feature = "os-rng")]
    pub fn new(role: Role, config: Arc<Config>) -> Self {
        match role {
            Role::Client => Self::client(Box::new(ThreadMasks), config),
            Role::Server => Self::server(config),
        }
    }

    /// Makes a client's connection that is open, with a source of masking keys of the caller's own.
    pub fn client(masks: Box<dyn MaskSource>, config: Arc<Config>) -> Self {
        Self::open(Role::Client, Some(masks), config)
    }

    /// Makes a server's connection that is open, which needs no masking keys.
    pub fn server(config: Arc<Config>) -> Self {
        Self::open(Role::Server, None, config)
    }

    /// Makes an open connection; only a client has a source of masking keys.
    fn open(role: Role, masks: Option<Box<dyn MaskSource>>, config: Arc<Config>) -> Self {
        debug_assert_eq!(masks.is_some(), role == Role::Client, "only clients mask");
        #[cfg(feature = "tracing")]
        let span = tracing::debug_span!("websocket", ?role);
        Self {
            role,
            state: State::Open,
            whole_below: receiver::whole_below(&config),
            observer: Observer::new(
                &config,
                #[cfg(feature = "tracing")]
                &span,
            ),
            #[cfg(feature = "tracing")]
            span,
            config,
            sender: Sender::new(masks),
            extension: None,
            deadlines: Deadlines::default(),
            end: None,
            drained_len: 0,
            is_over: false,
        }
    }

    /// Replaces a client's source of masking keys; a server has none, and gets none.
    #[must_use]
    pub fn with_masks(mut self, masks: Box<dyn MaskSource>) -> Self {
        self.sender.replace_masks(masks);
        self
    }

    /// Installs the extension that the opening handshake agreed on.
    pub(crate) fn set_extension(&mut self, extension: Option<Box<dyn Extension>>) {
        self.extension = extension;
    }

    /// Tells the time, once per wake-up, before anything else.
    ///
    /// A connection that is never told has no deadlines.
    #[inline]
    pub fn set_now(&mut self, now: Instant) {
        self.deadlines.set_now(now);
        if self.state != State::Open {
            // A Close that was sent before anybody told the time has its patience from here on.
            self.deadlines.closing(&self.config);
        }
    }

    /// Finds the next event in `input`: `true` if there is one for [`RecvBuffer::event`], `false`
    /// if it takes more bytes.
    ///
    /// At most one event is found and at most one reply appended: the Pong to a Ping, or the Close
    /// to a Close. After a Close was received nothing is delivered any more.
    ///
    /// # Errors
    ///
    /// On the first [`ProtocolError`] the Close frame that is owed is in `output`, and the same
    /// error is returned from then on.
    #[inline]
    pub fn advance(
        &mut self,
        input: &mut RecvBuffer,
        output: &mut SendBuffer,
    ) -> Result<bool, ProtocolError> {
        match self.find_at_once(input) {
            AtOnce::Message => Ok(true),
            AtOnce::Nothing => Ok(false),
            AtOnce::Other => self.advance_further(input, output),
        }
    }

    /// Finds the next event if it is a message that is whole, which has no reply and changes no
    /// state; `false` leaves it to [`advance`](Self::advance).
    #[cfg(any(feature = "tokio", feature = "futures-io"))]
    #[inline]
    pub(crate) fn advance_at_once(&mut self, input: &mut RecvBuffer) -> bool {
        self.find_at_once(input) == AtOnce::Message
    }

    /// Finds and returns the next event: [`advance`](Self::advance) and [`RecvBuffer::event`] in
    /// one.
    ///
    /// # Errors
    ///
    /// As those of [`advance`](Self::advance).
    #[inline]
    pub fn receive<'a>(
        &mut self,
        input: &'a mut RecvBuffer,
        output: &mut SendBuffer,
    ) -> Result<Option<Event<'a>>, ProtocolError> {
        Ok(if self.advance(input, output)? {
            input.event()
        } else {
            None
        })
    }

    /// Does what is due at `now`: sends a keepalive Ping, begins to close an idle connection, or
    /// gives up.
    ///
    /// Call it when [`next_deadline`](Self::next_deadline) has passed; earlier calls do no harm.
    /// [`teardown`](Self::teardown) says what follows.
    pub fn handle_timeout(&mut self, now: Instant, output: &mut SendBuffer) {
        self.set_now(now);
        match self.deadlines.due(&self.config, self.state) {
            Due::Nothing => {}
            Due::Ping(payload) => {
                // Four bytes fit in a control frame.
                let _ = self.send_control(Opcode::Ping, &payload, output);
            }
            Due::PongOverdue => {
                let frame = CloseFrame {
                    code: CloseCode::INTERNAL_ERROR,
                    reason: "no answer to a ping within pong_timeout".into(),
                };
                self.begin_close(Some(frame), EndCause::KeepaliveTimeout, output);
                self.state = State::Closed;
            }
            Due::Idle => {
                let frame = CloseFrame {
                    code: CloseCode::GOING_AWAY,
                    reason: "no message within idle_timeout".into(),
                };
                self.begin_close(Some(frame), EndCause::IdleTimeout, output);
            }
            Due::CloseOverdue => {
                if let Some(end) = &mut self.end
                    && end.received.is_none()
                    && end.cause == EndCause::ClosingHandshake
                {
                    end.cause = EndCause::CloseTimeout;
                }
                self.state = State::Closed;
                self.is_over = true;
            }
        }
    }

    /// Notes that the transport took bytes again at `now`, after it had taken none for a while: the
    /// peer reads, which is a sign of life.
    ///
    /// A Ping that waits behind a long message is not unanswered, and a long message that is still
    /// going out is not idleness. While a peer reads too slowly, this is what says that it is
    /// there; one that does not read at all is for [`write_timeout`](Config::write_timeout) to end.
    pub fn sending_resumed(&mut self, now: Instant) {
        self.set_now(now);
        self.deadlines.sending_resumed();
    }

    /// Returns the moment at which [`handle_timeout`](Self::handle_timeout) is due, if the time
    /// was ever told.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        self.deadlines.next(&self.config, self.state)
    }

    /// Returns how far the connection has come.
    #[doc(alias("can_read", "can_write", "is_closed"))]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Returns which end of the connection this is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Returns the limits and timeouts.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Returns what has passed so far, if [`Config::counters`] asks for it.
    pub fn counters(&self) -> Option<&Counters> {
        let observer = self.observer.as_ref().filter(|_| self.config.counters)?;
        Some(observer.counters())
    }

    /// Whether permessage-deflate was agreed on.
    pub const fn is_compressing(&self) -> bool {
        self.extension.is_some()
    }

    /// Whether the payload of a Pong is that of a keepalive Ping, so that the Pong answers no Ping
    /// of the caller's.
    pub fn is_keepalive_pong(&self, payload: &[u8]) -> bool {
        self.deadlines.is_keepalive(payload)
    }

    /// Returns the round-trip time that the latest answered keepalive Ping measured.
    pub const fn round_trip_time(&self) -> Option<Duration> {
        self.deadlines.round_trip_time()
    }

    /// Tells whoever watches of the event that was found, whose message was of so many frames.
    #[cold]
    fn observe_received(&mut self, input: &RecvBuffer, frames: u64) {
        if let (Some(observer), Some(what)) = (&mut self.observer, input.located()) {
            let frames = if what.is_control() { 1 } else { frames };
            observer.received(what, input.located_payload().len(), frames);
        }
    }

    /// 5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
    #[inline]
    fn require_open(&self) -> Result<(), SendError> {
        match self.state {
            State::Open => Ok(()),
            State::Closing | State::Closed => Err(SendError::Closing),
        }
    }

    /// Finds a message that is whole, or that nothing is there.
    ///
    /// A function of its own, so that whoever calls it has few registers to save, and little stands
    /// where it is called.
    #[inline(never)]
    fn find_at_once(&mut self, input: &mut RecvBuffer) -> AtOnce {
        if self.state == State::Closed {
            return AtOnce::Other;
        }
        let found = receiver::find_at_once(self.role, self.whole_below, input);
        if found == AtOnce::Message {
            self.note_arrival(input);
            self.deadlines.message_passed();
            if self.observer.is_some() {
                self.observe_received(input, 1);
            }
        }
        found
    }

    /// Finds the next event, be it what it may.
    ///
    /// A function of its own, so that the short way has no registers to save for the long one.
    #[inline(never)]
    fn advance_further(
        &mut self,
        input: &mut RecvBuffer,
        output: &mut SendBuffer,
    ) -> Result<bool, ProtocolError> {
        input.end_event();
        let arrived = self.note_arrival(input);
        if self.state == State::Closed {
            return self.drain(input);
        }
        let extension = self.extension.as_deref_mut();
        match receiver::find_event(self.role, &self.config, extension, input) {
            Ok(None) => {
                if arrived && input.is_in_message() {
                    // A long message that is still coming is not idleness.
                    self.deadlines.message_passed();
                }
                Ok(false)
            }
            Ok(Some(what)) => {
                self.observe_received(input, input.assembler().fragments());
                self.react(what, input, output);
                Ok(true)
            }
            Err(error) => self.refuse(error, input, output),
        }
    }

    /// Notes that bytes arrived since the last time, if they did.
    #[inline]
    fn note_arrival(&mut self, input: &mut RecvBuffer) -> bool {
        let arrived = input.take_arrived();
        if arrived == 0 {
            return false;
        }
        self.deadlines.bytes_received();
        if let Some(observer) = &mut self.observer {
            observer.arrived(arrived);
        }
        true
    }

    /// Fails the connection because of what was received.
    #[cold]
    fn refuse(
        &mut self,
        error: ProtocolError,
        input: &mut RecvBuffer,
        output: &mut SendBuffer,
    ) -> Result<bool, ProtocolError> {
        self.note_arrival(input);
        self.fail(error, output);
        // 7.1.7: "An endpoint MUST NOT continue to attempt to process data".
        self.drained_len += input.discard() as u64;
        Err(error)
    }

    /// Replies to what was located, and notes it.
    fn react(&mut self, what: What, input: &RecvBuffer, output: &mut SendBuffer) {
        match what {
            What::Text | What::Binary | What::Chunk { .. } => self.deadlines.message_passed(),
            // 5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response,
            // unless it already received a Close frame."
            What::Ping => {
                let payload = input.located_payload();
                let frame = SentFrame::control(Opcode::Pong, payload.len());
                let _ = self.observed(frame, output, |this, output| {
                    this.sender.automatic_pong(payload, output);
                    Ok(())
                });
            }
            What::Pong => self.deadlines.pong_received(input.located_payload()),
            What::Close => self.receive_close(input, output),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role)
            .field("state", &self.state)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(not(target_pointer_width = "64"), ignore = "said of 64 bits")]
    fn the_size_of_an_idle_connection_is_what_the_docs_say() {
        let sizes = [
            size_of::<Connection>() - if cfg!(feature = "tracing") { 40 } else { 0 },
            size_of::<RecvBuffer>(),
            size_of::<SendBuffer>(),
        ];
        assert_eq!(sizes, [200, 232, 96]);
    }
}
