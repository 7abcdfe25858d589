//! A WebSocket in two halves, for two threads.
//!
//! The reader owns the input; what they share is in `queue`. The reader writes briefly, and reads
//! on where the peer takes nothing: two peers that both wait to be read would wait for ever. It
//! knows no protocol rule.

use core::fmt;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Instant;

use super::queue::{Effort, Queue, Shared, TICK};
use super::stream::{ReadOutcome, ReadTimer, SplitStream, Stream, set_write_timeout};
use crate::adapter::{Error, Parts, is_due, is_would_block, write_patience};
use crate::connection::{
    Compression, Connection, Counters, Delivery, End, Event, PreparedMessage, RecvBuffer,
    SendBuffer, State, Teardown,
};
use crate::error::SendError;
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind};

/// The receiving half of a WebSocket.
///
/// Receiving answers Pings and the Close, sends keepalive Pings and keeps deadlines, and writes
/// before it waits what the [`Writer`] has queued. A deadline that the writer starts by closing is
/// kept by [`Writer::close`], because a read that waits cannot be told.
pub struct Reader<S: SplitStream> {
    stream: S,
    input: RecvBuffer,
    timer: ReadTimer,
    shared: Arc<Shared<S::Writer>>,
    is_torn_down: bool,
}

/// The sending half of a WebSocket, cheap to clone and to share between threads.
///
/// `feed` queues; the queue is written by `flush`, by `send`, by the [`Reader`] before it waits, or
/// when 64 KiB are there. A writer reads nothing: without a reader that receives, the peer's Pings
/// and its Close go unanswered.
pub struct Writer<W> {
    shared: Arc<Shared<W>>,
}

/// Splits a WebSocket.
pub(super) fn split<S: SplitStream>(
    parts: Parts<S>,
) -> Result<(Reader<S>, Writer<S::Writer>), Error> {
    let mut stream = parts.stream.try_clone_writer()?;
    let closer = parts.stream.try_clone_writer()?;
    // Patience is counted in ticks, so that the reader need not have more than one.
    set_write_timeout(&mut stream, Some(TICK))?;
    let shared = Arc::new(Shared::new(parts.connection, parts.output, stream, closer));
    let reader = Reader {
        stream: parts.stream,
        input: parts.input,
        timer: ReadTimer::default(),
        shared: Arc::clone(&shared),
        is_torn_down: false,
    };
    Ok((reader, Writer { shared }))
}

impl<S: SplitStream> Reader<S> {
    /// Receives the next text or binary message; `None` once the connection has ended.
    ///
    /// # Errors
    ///
    /// As those of [`WebSocket::recv`](super::WebSocket::recv).
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        if self.shared.lock().connection.config().delivery == Delivery::Chunks {
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

    /// Receives the next event, lent; `None` once the connection has ended.
    ///
    /// Reply to it with [`Writer::feed`]: what is queued leaves before the reader waits.
    ///
    /// # Errors
    ///
    /// As those of [`WebSocket::recv_event`](super::WebSocket::recv_event).
    pub fn recv_event(&mut self) -> Result<Option<Event<'_>>, Error> {
        if self.advance()? {
            Ok(self.input.event())
        } else {
            Ok(None)
        }
    }

    /// Returns how the connection ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.shared.lock().connection.end().cloned()
    }

    /// Returns what has passed so far, if [`Config::counters`](crate::Config::counters) asks for
    /// it.
    pub fn counters(&self) -> Option<Counters> {
        self.shared.lock().connection.counters().copied()
    }

    /// Finds the next event, reading and writing as it takes; `false` at the end.
    fn advance(&mut self) -> Result<bool, Error> {
        if self.is_torn_down {
            return Ok(false);
        }
        loop {
            let mut queue = self.shared.lock();
            let Queue {
                connection, output, ..
            } = &mut *queue;
            let advanced = connection.advance(&mut self.input, output);
            let is_closed = connection.state() == State::Closed;
            let is_due = is_due(connection, output);
            drop(queue);
            match advanced {
                Ok(true) => {
                    if is_due {
                        self.write()?;
                    }
                    return Ok(true);
                }
                Ok(false) if !is_closed => {}
                Ok(false) => {
                    self.tear_down();
                    return Ok(false);
                }
                Err(error) => {
                    self.tear_down();
                    return Err(error.into());
                }
            }
            self.write()?;
            self.fill()?;
        }
    }

    /// Writes what is queued, briefly, unless another thread is writing.
    fn write(&mut self) -> Result<(), Error> {
        let written = self.shared.write_once(Effort::Brief);
        if written.is_err() {
            self.abandon();
        }
        written
    }

    /// Reads once, or does what a deadline asks for.
    fn fill(&mut self) -> Result<(), Error> {
        let deadline = self.shared.lock().read_deadline();
        let read = self
            .timer
            .read(&mut self.stream, self.input.spare_mut(), deadline);
        let now = Instant::now();
        let mut queue = self.shared.lock();
        let is_writing = queue.is_writing();
        let Queue {
            connection, output, ..
        } = &mut *queue;
        connection.set_now(now);
        match read {
            Ok(ReadOutcome::Bytes(len)) => self.input.commit(len),
            Ok(ReadOutcome::Elapsed) => {
                if is_writing {
                    // No write goes on for longer than a tick without a byte that leaves.
                    connection.sending_resumed(now);
                }
                connection.handle_timeout(now, output);
            }
            Ok(ReadOutcome::Eof) => {
                connection.receive_eof();
            }
            Err(error) => {
                drop(queue);
                let error = error.into();
                // A timeout of the caller's: nothing is lost, and the call can be repeated.
                if !is_would_block(&error) {
                    self.abandon();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Closes the transport as the core says. What fails now changes nothing for the caller: the
    /// connection is over.
    fn tear_down(&mut self) {
        self.is_torn_down = true;
        let patience = write_patience(&self.shared.lock().connection, Instant::now);
        if self.shared.write(patience.deadline).is_err() {
            // It wakes a write that stalls, which nobody waits for any longer.
            self.shared.shut_down();
        }
        loop {
            let teardown = self.shared.lock().connection.teardown();
            match teardown {
                Teardown::AwaitEof => {}
                Teardown::ShutDown => {
                    let _ = self.stream.shut_down(Shutdown::Write);
                }
                Teardown::NotYet | Teardown::Drop => break,
            }
            // A stream without timeouts could be waited for without end.
            if !self.timer.is_supported(&mut self.stream) || self.fill().is_err() {
                break;
            }
            let mut queue = self.shared.lock();
            let Queue {
                connection, output, ..
            } = &mut *queue;
            // It only counts, and repeats the error that is known.
            let _ = connection.advance(&mut self.input, output);
        }
        let _ = self.stream.shut_down(Shutdown::Write);
        self.shared.end();
    }

    /// Gives up a transport that failed.
    fn abandon(&mut self) {
        self.is_torn_down = true;
        self.shared.lock().connection.transport_failed();
        self.shared.end();
    }
}

impl<S: SplitStream> Drop for Reader<S> {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl<W: Stream> Writer<W> {
    /// Queues a message.
    ///
    /// Waits while more than [`write_high_water`](crate::Config::write_high_water) bytes are
    /// queued.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send), and those of [`flush`](Self::flush).
    pub fn feed(&self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.queue(|connection, output| connection.send_message(message, output))
    }

    /// Queues a text message.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    pub fn feed_text(&self, text: &str) -> Result<(), Error> {
        self.queue(|connection, output| connection.send_text(text, output))
    }

    /// Queues a binary message.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    pub fn feed_binary(&self, data: &[u8]) -> Result<(), Error> {
        self.queue(|connection, output| connection.send_binary(data, output))
    }

    /// Queues a message, compressed or not as the caller says.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    pub fn feed_with(
        &self,
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
    pub fn feed_prepared(&self, message: &PreparedMessage) -> Result<(), Error> {
        self.queue(|connection, output| connection.send_prepared(message, output))
    }

    /// Queues a fragment of a message; the one with `fin` ends it.
    ///
    /// While a message is unfinished, others cannot be sent by any clone of this writer.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    pub fn feed_fragment(&self, kind: MessageKind, payload: &[u8], fin: bool) -> Result<(), Error> {
        self.queue(|connection, output| connection.send_fragment(kind, payload, fin, output))
    }

    /// Queues a message and writes all that is queued.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    pub fn send(&self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed(message)?;
        self.flush()
    }

    /// Queues a message that is encoded once for many connections, and writes all that is queued.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    pub fn send_prepared(&self, message: &PreparedMessage) -> Result<(), Error> {
        self.feed_prepared(message)?;
        self.flush()
    }

    /// Sends a Ping.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    pub fn send_ping(&self, payload: &[u8]) -> Result<(), Error> {
        self.queue(|connection, output| connection.send_ping(payload, output))?;
        self.flush()
    }

    /// Sends a Close without waiting for the peer's: the reader goes on until `None`.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    pub fn send_close(&self, code: CloseCode, reason: &str) -> Result<(), Error> {
        let reason = reason.into();
        let frame = Some(CloseFrame { code, reason });
        // A Close does not wait for room: it is what ends the waiting.
        let mut queue = self.shared.lock();
        let Queue {
            connection, output, ..
        } = &mut *queue;
        connection.set_now(Instant::now());
        connection.send_close(frame, output)?;
        drop(queue);
        self.flush()
    }

    /// Writes all that is queued, or waits until another thread has.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    pub fn flush(&self) -> Result<(), Error> {
        self.shared.write(None)
    }

    /// Closes the connection, waits until the reader has seen it end, and says how it ended.
    ///
    /// A reader must be receiving on another thread; where there is none any more, or the peer does
    /// not answer within [`close_timeout`](crate::Config::close_timeout), the transport is shut
    /// down. It may be called again.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send) for a reason that is too long, after which the connection is open as
    /// before.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<End, Error> {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let mut queue = self.shared.lock();
        let Queue {
            connection, output, ..
        } = &mut *queue;
        connection.set_now(Instant::now());
        // A Close does not wait for room: it is what ends the waiting.
        match connection.send_close(Some(frame), output) {
            Ok(()) | Err(SendError::Closing) => {}
            Err(error) => return Err(error.into()),
        }
        drop(queue);
        // A thread whose write stalls must not keep this one beyond the deadline.
        let _ = self.shared.write_once(Effort::Full);
        let mut queue = self.shared.lock();
        let deadline = queue.connection.next_deadline();
        // A transport that failed, or whose time is up, is not waited for.
        while !queue.is_ended && queue.connection.teardown() != Teardown::Drop {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                let Queue {
                    connection, output, ..
                } = &mut *queue;
                connection.handle_timeout(now, output);
                break;
            }
            queue = self.shared.wait(queue, deadline);
        }
        if !queue.is_ended || queue.connection.state() != State::Closed {
            // It wakes a reader that waits for a peer that does not answer.
            let end = queue.connection.transport_failed();
            drop(queue);
            self.shared.shut_down();
            return Ok(end);
        }
        match queue.connection.end().cloned() {
            Some(end) => Ok(end),
            None => Ok(queue.connection.transport_failed()),
        }
    }

    /// Returns how many bytes are queued, those that are being written not counted.
    pub fn buffered(&self) -> usize {
        self.shared.lock().output.len()
    }

    fn queue(
        &self,
        send: impl FnOnce(&mut Connection, &mut SendBuffer) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut queue = self.shared.lock();
        while queue.output.len() > queue.connection.config().write_high_water {
            drop(queue);
            self.shared.write(None)?;
            queue = self.shared.lock();
        }
        let Queue {
            connection, output, ..
        } = &mut *queue;
        connection.set_now(Instant::now());
        send(connection, output)?;
        let is_due = is_due(connection, output);
        drop(queue);
        if is_due {
            self.shared.write_once(Effort::Full)?;
        }
        Ok(())
    }
}

impl<W> Clone for Writer<W> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: SplitStream + fmt::Debug> fmt::Debug for Reader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
