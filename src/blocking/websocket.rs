//! A WebSocket over one stream, used from one thread.
//!
//! Reads, writes and waits for a [`Connection`]; every rule is the core's. It knows no opcode, no
//! mask and no length.

use core::fmt;
use std::io;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::split::{Reader, Writer, split};
use super::stream::{ReadOutcome, ReadTimer, SplitStream, Stream, set_write_timeout, write_all};
use crate::adapter::{Error, Outbox, Parts, is_due, is_would_block, write_patience};
use crate::connection::{
    Compression, Connection, Delivery, End, Event, PreparedMessage, RecvBuffer, SendBuffer, State,
    Teardown,
};
use crate::error::{ProtocolError, SendError};
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind};

/// A WebSocket over a stream that blocks.
///
/// Receiving does the rest too: Pings and the Close are answered, keepalive Pings sent, deadlines
/// kept. `feed` queues, and what is queued leaves in one write before the next read waits, or when
/// 64 KiB are there; `send` is `feed` and `flush`.
///
/// ```no_run
/// use framewright::Event;
/// use framewright::blocking::accept;
/// use std::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:9001")?;
/// for stream in listener.incoming() {
///     let mut socket = accept(stream?)?;
///     while let Some((event, mut outbox)) = socket.recv_event()? {
///         match event {
///             Event::Text(text) => outbox.feed_text(text)?,
///             Event::Binary(data) => outbox.feed_binary(data)?,
///             _ => {} // Pings and the Close are answered already.
///         }
///     }
/// }
/// # Ok::<(), framewright::blocking::Error>(())
/// ```
pub struct WebSocket<S> {
    stream: S,
    connection: Connection,
    input: RecvBuffer,
    output: SendBuffer,
    timer: ReadTimer,
    subprotocol: Option<Box<str>>,
    phase: Phase,
}

/// What is being done with the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is read and written.
    Running,
    /// It is torn down, after which the error is returned, if one is the reason.
    TearingDown(Option<ProtocolError>),
    /// Nothing more is read or written.
    TornDown,
}

impl<S: Stream> WebSocket<S> {
    /// Makes a WebSocket of its parts, such as those that another HTTP server left.
    ///
    /// # Errors
    ///
    /// What the stream says to its write timeout.
    #[doc(alias("from_raw_socket", "from_partially_read"))]
    pub fn from_parts(parts: Parts<S>) -> Result<Self, Error> {
        let mut socket = Self {
            stream: parts.stream,
            connection: parts.connection,
            input: parts.input,
            output: parts.output,
            timer: ReadTimer::default(),
            subprotocol: None,
            phase: Phase::Running,
        };
        let timeout = socket.connection.config().write_timeout;
        set_write_timeout(&mut socket.stream, timeout)?;
        // The clocks start here, and not with the first byte, which may never come.
        socket.connection.set_now(Instant::now());
        Ok(socket)
    }

    pub(super) fn with_subprotocol(mut self, subprotocol: Option<&str>) -> Self {
        self.subprotocol = subprotocol.map(Into::into);
        self
    }

    /// Takes the WebSocket apart; nothing that was received or queued is lost, and the stream has
    /// no timeouts.
    #[doc(alias = "into_inner")]
    pub fn into_parts(mut self) -> Parts<S> {
        // A stream that refuses now will say so at the next read or write.
        let _ = self.timer.clear(&mut self.stream);
        let _ = set_write_timeout(&mut self.stream, None);
        Parts {
            stream: self.stream,
            connection: self.connection,
            input: self.input,
            output: self.output,
        }
    }

    /// Receives the next text or binary message; `None` once the connection has ended, for
    /// whatever reason [`end`](Self::end) says.
    ///
    /// # Errors
    ///
    /// [`Protocol`](Error::Protocol), [`Io`](Error::Io), [`WriteTimeout`](Error::WriteTimeout), and
    /// [`DeliveryIsChunks`](Error::DeliveryIsChunks).
    #[doc(alias("read", "read_message"))]
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        if self.connection.config().delivery == Delivery::Chunks {
            return Err(Error::DeliveryIsChunks);
        }
        while self.advance()? {
            match self.input.take_message() {
                Some(message @ (Message::Text(_) | Message::Binary(_))) => {
                    return Ok(Some(message));
                }
                // Answered, or noted, by the core.
                Some(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) | None => {}
            }
        }
        Ok(None)
    }

    /// Receives the next event, lent, and an [`Outbox`] for the replies to it; `None` once the
    /// connection has ended.
    ///
    /// # Errors
    ///
    /// [`Protocol`](Error::Protocol), [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    #[doc(alias = "read_frame")]
    pub fn recv_event(&mut self) -> Result<Option<(Event<'_>, Outbox<'_>)>, Error> {
        if !self.advance()? {
            return Ok(None);
        }
        let received = self.input.whole();
        let outbox = Outbox::new(&mut self.connection, &mut self.output, received);
        Ok(self.input.event().map(|event| (event, outbox)))
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send), and those of [`flush`](Self::flush) where enough waits to be written.
    #[doc(alias = "write")]
    pub fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.queue(|connection, output| connection.send_message(message.into(), output))
    }

    /// Queues a message, compressed or not as the caller says.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    pub fn feed_with(
        &mut self,
        message: impl Into<Message>,
        compression: Compression,
    ) -> Result<(), Error> {
        let message = message.into();
        self.queue(|connection, output| connection.send_message_with(message, compression, output))
    }

    /// Queues a message that is encoded once for many connections.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    pub fn feed_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.queue(|connection, output| connection.send_prepared(message, output))
    }

    /// Queues a fragment of a message; the one with `fin` ends it.
    ///
    /// So a long message is streamed: each fragment is written before the next is made.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    pub fn feed_fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
    ) -> Result<(), Error> {
        self.queue(|connection, output| connection.send_fragment(kind, payload, fin, output))
    }

    /// Queues a message and writes all that is queued.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    #[doc(alias("write_message", "write_frame"))]
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed(message)?;
        self.flush()
    }

    /// Queues a message that is encoded once for many connections, and writes all that is queued.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.feed_prepared(message)?;
        self.flush()
    }

    /// Queues a fragment and writes all that is queued.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    pub fn send_fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
    ) -> Result<(), Error> {
        self.feed_fragment(kind, payload, fin)?;
        self.flush()
    }

    /// Sends a Ping; keepalive does so by itself.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    #[doc(alias("ping", "ping_pong"))]
    pub fn send_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.queue(|connection, output| connection.send_ping(payload, output))?;
        self.flush()
    }

    /// Sends a Close without waiting for the peer's: go on receiving until `None`.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    pub fn send_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.queue(|connection, output| {
            let reason = reason.into();
            connection.send_close(Some(CloseFrame { code, reason }), output)
        })?;
        self.flush()
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    #[doc(alias = "write_pending")]
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.phase == Phase::TornDown {
            return if self.output.is_empty() {
                Ok(())
            } else {
                // It will never leave.
                Err(io::Error::from(io::ErrorKind::NotConnected).into())
            };
        }
        let patience = write_patience(&self.connection, Instant::now);
        let started = Instant::now();
        let written = write_all(&mut self.stream, &mut self.output, patience);
        if written.is_ok() && started.elapsed() >= STALL {
            self.connection.sending_resumed(Instant::now());
        }
        if let Err(error) = &written
            && !is_would_block(error)
        {
            self.abandon();
        }
        written
    }

    /// Closes the connection and says how it ended.
    ///
    /// It sends a Close if none was sent, waits for the peer's for at most
    /// [`close_timeout`](crate::Config::close_timeout), and drops messages that come before it; to
    /// receive them, use [`send_close`](Self::send_close). It may be called again.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send) for a reason that is too long, after which the connection is open as
    /// before. That the peer breaks a rule or the transport fails now is in the [`End`].
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<End, Error> {
        self.connection.set_now(Instant::now());
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        match self.connection.send_close(Some(frame), &mut self.output) {
            Ok(()) | Err(SendError::Closing) => {}
            Err(error) => return Err(error.into()),
        }
        loop {
            match self.advance() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if is_would_block(&error) => return Err(error),
                // What went wrong is in the end.
                Err(_) => break,
            }
        }
        Ok(match self.connection.end() {
            Some(end) => end.clone(),
            None => self.connection.transport_failed(),
        })
    }

    /// Splits into a reader and a writer for two threads.
    ///
    /// # Errors
    ///
    /// What the stream says to being split.
    pub fn split(self) -> Result<(Reader<S>, Writer<S::Writer>), Error>
    where
        S: SplitStream,
    {
        split(self.into_parts())
    }

    /// Returns how the connection ended, once it has.
    pub fn end(&self) -> Option<&End> {
        self.connection.end()
    }

    /// Returns the subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns how many bytes are queued.
    pub fn buffered(&self) -> usize {
        self.output.len()
    }

    /// Returns the state of the connection.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the stream, to look at.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// Queues what `send` appends, and writes when enough waits.
    fn queue(
        &mut self,
        send: impl FnOnce(&mut Connection, &mut SendBuffer) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.connection.set_now(Instant::now());
        send(&mut self.connection, &mut self.output)?;
        self.write_if_due()
    }

    fn write_if_due(&mut self) -> Result<(), Error> {
        if is_due(&self.connection, &self.output) {
            self.flush()?;
        }
        Ok(())
    }

    /// Finds the next event, reading and writing as it takes; `false` at the end.
    ///
    /// Where the stream would block it can be called again, at any point of what it does.
    fn advance(&mut self) -> Result<bool, Error> {
        loop {
            match self.phase {
                Phase::Running => {}
                Phase::TearingDown(error) => {
                    self.tear_down()?;
                    return error.map_or(Ok(false), |error| Err(error.into()));
                }
                Phase::TornDown => return Ok(false),
            }
            self.write_if_due()?;
            match self.connection.advance(&mut self.input, &mut self.output) {
                Ok(true) => return Ok(true),
                Ok(false) if self.connection.state() == State::Closed => {
                    self.phase = Phase::TearingDown(None);
                }
                Ok(false) => {
                    // Before it waits, and not sooner, so that a burst is answered in one write.
                    self.flush()?;
                    self.fill()?;
                }
                Err(error) => self.phase = Phase::TearingDown(Some(error)),
            }
        }
    }

    /// Reads once, or does what a deadline asks for.
    fn fill(&mut self) -> Result<(), Error> {
        let deadline = self.connection.next_deadline();
        let read = self
            .timer
            .read(&mut self.stream, self.input.spare_mut(), deadline);
        let now = Instant::now();
        self.connection.set_now(now);
        match read {
            Ok(ReadOutcome::Bytes(len)) => self.input.commit(len),
            Ok(ReadOutcome::Elapsed) => self.connection.handle_timeout(now, &mut self.output),
            Ok(ReadOutcome::Eof) => {
                self.connection.receive_eof();
            }
            Err(error) => {
                let error = error.into();
                if !is_would_block(&error) {
                    self.abandon();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Closes the transport as the core says, after which nothing is read or written.
    ///
    /// What fails now changes nothing for the caller: the connection is over. Only where the stream
    /// would block there is more to do.
    fn tear_down(&mut self) -> Result<(), Error> {
        loop {
            match self.flush() {
                Err(error) if is_would_block(&error) => return Err(error),
                Ok(()) | Err(_) => {}
            }
            match self.connection.teardown() {
                Teardown::AwaitEof => {}
                Teardown::ShutDown => {
                    let _ = self.stream.shut_down(Shutdown::Write);
                }
                Teardown::NotYet | Teardown::Drop => break,
            }
            // A stream without timeouts could be waited for without end.
            if self.phase == Phase::TornDown || !self.timer.is_supported(&mut self.stream) {
                break;
            }
            match self.fill() {
                Err(error) if is_would_block(&error) => return Err(error),
                // It only counts, and repeats the error that is known.
                Ok(()) => drop(self.connection.advance(&mut self.input, &mut self.output)),
                Err(_) => break,
            }
        }
        let _ = self.stream.shut_down(Shutdown::Write);
        self.phase = Phase::TornDown;
        Ok(())
    }

    /// Gives up a transport that failed.
    fn abandon(&mut self) {
        self.connection.transport_failed();
        self.phase = Phase::TornDown;
    }
}

/// A write that takes longer has waited for the peer.
const STALL: Duration = Duration::from_millis(20);

impl<S: fmt::Debug> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("stream", &self.stream)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
