//! A WebSocket over one async stream, used from one task at a time.
//!
//! Futures over the driver, which keeps all state: each may be dropped at any await. It knows no
//! opcode, no mask and no length.

use core::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::driver::{Advanced, Driver, Replies};
use super::pool::{Input, Output};
use super::split::{Reader, Writer, split};
use super::tasks::Party;
use super::transport::Transport;
use crate::adapter::{Error, Fed, Outbox, Parts, is_data};
use crate::connection::{Compression, Connection, Delivery, End, Event, PreparedMessage};
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind};

/// A WebSocket over an async stream.
///
/// Receiving does the rest too: Pings and the Close are answered, keepalive Pings sent, deadlines
/// kept. Hence a WebSocket must be received from, also where nothing is expected: while nobody
/// waits in `recv`, no Ping is answered and no deadline kept. `feed` queues, and what is queued
/// leaves in one write before the next receive waits, or when 64 KiB are there; `send` is `feed`
/// and `flush`.
///
/// While it waits it holds no buffer: reads and writes borrow those of the thread.
///
/// Every future of it may be dropped at any await, as `select!` does: nothing is lost, and nothing
/// is sent twice.
#[doc(alias = "WebSocketStream")]
pub struct WebSocket<T: Transport> {
    driver: Driver<T>,
    input: Input,
    subprotocol: Option<Box<str>>,
}

impl<T: Transport> WebSocket<T> {
    /// Makes a WebSocket of its parts, such as those that another HTTP server left.
    #[doc(alias("from_raw_socket", "from_partially_read", "after_handshake"))]
    pub fn from_parts(parts: Parts<T::Stream>) -> Self {
        Self::opened(
            T::new(parts.stream),
            parts.connection,
            Input::new(parts.input),
            Output::new(parts.output),
        )
    }

    pub(super) fn opened(
        transport: T,
        connection: Connection,
        input: Input,
        output: Output,
    ) -> Self {
        Self {
            driver: Driver::new(transport, connection, output),
            input,
            subprotocol: None,
        }
    }

    pub(crate) fn with_subprotocol(mut self, subprotocol: Option<&str>) -> Self {
        self.subprotocol = subprotocol.map(Into::into);
        self
    }

    /// Takes the WebSocket apart; nothing that was received or queued is lost.
    #[doc(alias = "into_inner")]
    pub fn into_parts(self) -> Parts<T::Stream> {
        Parts {
            stream: self.driver.transport.into_stream(),
            connection: self.driver.connection,
            input: self.input.into_buffer(),
            output: self.driver.output.into_buffer(),
        }
    }

    /// Receives the next text or binary message; `None` once the connection has ended, for
    /// whatever reason [`end`](Self::end) says.
    ///
    /// # Errors
    ///
    /// [`Protocol`](Error::Protocol), [`Io`](Error::Io), [`WriteTimeout`](Error::WriteTimeout), and
    /// [`DeliveryIsChunks`](Error::DeliveryIsChunks).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has received nothing: the message is the next call's.
    #[doc(alias("read", "read_message", "next", "StreamExt"))]
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Receives the next event, lent, and an [`Outbox`] for the replies to it; `None` once the
    /// connection has ended.
    ///
    /// The event may be kept across an await. Meanwhile the buffer that it is in stays with it.
    ///
    /// # Errors
    ///
    /// [`Protocol`](Error::Protocol), [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has received nothing: the event is the next call's.
    #[doc(alias = "read_frame")]
    pub async fn recv_event(&mut self) -> Result<Option<(Event<'_>, Outbox<'_>)>, Error> {
        if !self.driver.advance_at_once(&mut self.input)
            && poll_fn(|cx| self.poll_advance(Replies::Follow, cx)).await? == Advanced::End
        {
            return Ok(None);
        }
        let Some(input) = self.input.peek() else {
            return Ok(None);
        };
        let output = self.driver.output.get();
        let outbox = Outbox::new(&mut self.driver.connection, output, input.whole());
        Ok(input.event().map(|event| (event, outbox)))
    }

    /// Queues a message.
    ///
    /// Waits while more than [`write_high_water`](crate::Config::write_high_water) bytes are
    /// queued.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send), and those of [`flush`](Self::flush) where enough waits to be written.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has not queued the message.
    #[doc(alias = "write")]
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.room().await?;
        self.driver.queue_message(message, Compression::Auto)?;
        self.write_due().await
    }

    /// Queues a message, compressed or not as the caller says.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has not queued the message.
    pub async fn feed_with(
        &mut self,
        message: impl Into<Message>,
        compression: Compression,
    ) -> Result<(), Error> {
        let message = message.into();
        self.room().await?;
        self.driver.queue_message(message, compression)?;
        self.write_due().await
    }

    /// Queues a message that is encoded once for many connections.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has not queued the message.
    pub async fn feed_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.room().await?;
        self.driver.queue_prepared(message)?;
        self.write_due().await
    }

    /// Queues a fragment of a message; the one with `fin` ends it.
    ///
    /// So a long message is streamed: each fragment is written before the next is made.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has not queued the fragment.
    pub async fn feed_fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
    ) -> Result<(), Error> {
        self.room().await?;
        self.driver
            .queue(|connection, output| connection.send_fragment(kind, payload, fin, output))?;
        self.write_due().await
    }

    /// Queues a message if there is room, without waiting.
    ///
    /// What is queued leaves as that of [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send), [`Io`](Error::Io).
    pub fn try_feed(&mut self, message: impl Into<Message>) -> Result<Fed, Error> {
        self.driver.try_feed(message.into())
    }

    /// Queues a message if there is room, and writes what the transport takes at once.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send), [`Io`](Error::Io).
    pub fn try_send(&mut self, message: impl Into<Message>) -> Result<Fed, Error> {
        self.driver.try_send(message.into())
    }

    /// Queues a message that is encoded once for many connections if there is room, without
    /// waiting.
    ///
    /// There is nothing to give back: it was lent.
    ///
    /// # Errors
    ///
    /// As those of [`try_feed`](Self::try_feed).
    pub fn try_feed_prepared(&mut self, message: &PreparedMessage) -> Result<Fed<()>, Error> {
        self.driver.try_feed_prepared(message)
    }

    /// Queues a message that is encoded once for many connections if there is room, and writes what
    /// the transport takes at once.
    ///
    /// # Errors
    ///
    /// As those of [`try_send`](Self::try_send).
    pub fn try_send_prepared(&mut self, message: &PreparedMessage) -> Result<Fed<()>, Error> {
        self.driver.try_send_prepared(message)
    }

    /// Queues a message and writes all that is queued: then it is on the wire, as far as the
    /// operating system tells.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has queued the message or it has not: never a part of it. One that is queued
    /// leaves with the next `flush` or receive.
    #[doc(alias("write_message", "write_frame", "SinkExt"))]
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues a message that is encoded once for many connections, and writes all that is queued.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// As that of [`send`](Self::send).
    pub async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.feed_prepared(message).await?;
        self.flush().await
    }

    /// Queues a fragment and writes all that is queued.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// As that of [`send`](Self::send).
    pub async fn send_fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
    ) -> Result<(), Error> {
        self.feed_fragment(kind, payload, fin).await?;
        self.flush().await
    }

    /// Sends a Ping; keepalive does so by itself.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// As that of [`send`](Self::send).
    #[doc(alias("ping", "ping_pong"))]
    pub async fn send_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.room().await?;
        self.driver
            .queue(|connection, output| connection.send_ping(payload, output))?;
        self.write_due().await?;
        self.flush().await
    }

    /// Sends a Close without waiting for the peer's: go on receiving until `None`.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// As that of [`send`](Self::send).
    pub async fn send_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        let reason = reason.into();
        let frame = Some(CloseFrame { code, reason });
        // A Close does not wait for room: it is what ends the waiting.
        self.driver.queue_close(frame)?;
        self.flush().await
    }

    /// Writes all that is queued.
    ///
    /// It reads nothing: two peers that both flush more than the network holds, and read nothing,
    /// wait until [`write_timeout`](crate::Config::write_timeout). [`split`](Self::split) is for
    /// those.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the rest is still queued.
    #[doc(alias = "write_pending")]
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(Party::Reader, cx)).await
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
    ///
    /// # Cancel safety
    ///
    /// Dropped, the closing handshake goes on with the next receive or `close`.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<End, Error> {
        self.driver.begin_close(code, reason)?;
        // What goes wrong now is in the end.
        while let Ok(Advanced::Event) = poll_fn(|cx| self.poll_advance(Replies::Wait, cx)).await {}
        Ok(match self.end() {
            Some(end) => end.clone(),
            None => self.driver.abandon(),
        })
    }

    /// Splits into a reader and a writer for two tasks.
    ///
    /// It costs one shared allocation, and a lock that is held while one of them is polled.
    #[doc(alias = "into_split")]
    pub fn split(self) -> (Reader<T>, Writer<T>) {
        split(self.driver, self.input, self.subprotocol)
    }

    /// Returns how the connection ended, once it has.
    pub fn end(&self) -> Option<&End> {
        self.driver.connection.end()
    }

    /// Returns the subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns how many bytes are queued.
    pub fn buffered(&self) -> usize {
        self.driver.output.len()
    }

    /// Returns the state of the connection.
    pub const fn connection(&self) -> &Connection {
        &self.driver.connection
    }

    /// Returns the stream, to look at.
    #[doc(alias = "get_ref")]
    pub fn stream(&self) -> &T::Stream {
        self.driver.transport.stream()
    }

    /// Receives the next message: [`recv`](Self::recv), for futures that are written by hand.
    ///
    /// # Errors
    ///
    /// As those of [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        // Whoever polls by hand may do other things before it waits, such as `try_send`.
        self.driver.share();
        self.poll_data(cx)
    }

    /// Receives the next text or binary message.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        loop {
            let message = ready!(self.poll_message(cx))?;
            if message.as_ref().is_none_or(is_data) {
                return Poll::Ready(Ok(message));
            }
        }
    }

    /// Receives the next message of any kind.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Error>> {
        if self.driver.connection.config().delivery == Delivery::Chunks {
            return Poll::Ready(Err(Error::DeliveryIsChunks));
        }
        while self.driver.advance_at_once(&mut self.input)
            || ready!(self.poll_advance(Replies::Wait, cx))? == Advanced::Event
        {
            let message = self.input.get().take_message();
            if message.is_some() {
                self.input.rest_if_idle();
                return Poll::Ready(Ok(message));
            }
        }
        Poll::Ready(Ok(None))
    }

    pub(super) fn poll_advance(
        &mut self,
        replies: Replies,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Advanced, Error>> {
        let input = &mut self.input;
        self.driver.poll_as(Party::Reader, cx, |driver, cx| {
            driver.poll_advance(input, replies, cx)
        })
    }

    pub(super) fn poll_room(
        &mut self,
        party: Party,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.driver.poll_as(party, cx, Driver::poll_room)
    }

    pub(super) fn poll_flush(
        &mut self,
        party: Party,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mark = self.driver.queued();
        self.driver
            .poll_as(party, cx, |driver, cx| driver.poll_flush(mark, cx))
    }

    pub(super) const fn driver(&mut self) -> &mut Driver<T> {
        &mut self.driver
    }

    /// From here on it may be polled from several tasks.
    #[cfg(feature = "futures")]
    pub(crate) fn share(&mut self) {
        self.driver.share();
    }

    #[cfg(feature = "futures")]
    pub(super) fn is_torn_down(&self) -> bool {
        self.driver.is_torn_down()
    }

    /// Returns the event that was found last.
    pub(super) fn event(&self) -> Option<Event<'_>> {
        self.input.peek()?.event()
    }

    /// Waits for room for one more message.
    fn room(&mut self) -> impl Future<Output = Result<(), Error>> {
        poll_fn(|cx| self.poll_room(Party::Reader, cx))
    }

    /// Writes if it is time, which is ready at once: what is queued is queued.
    fn write_due(&mut self) -> impl Future<Output = Result<(), Error>> {
        poll_fn(|cx| self.driver.poll_as(Party::Reader, cx, Driver::poll_due))
    }
}

impl<T: Transport> fmt::Debug for WebSocket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("connection", &self.driver.connection)
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}
