//! The sending half of a WebSocket that is split, and its clones.
//!
//! It queues and writes, and reads nothing: what the peer says is the reader's.

use core::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use super::{Reader, Shared};
use crate::adapter::{Error, Fed};
use crate::asynchronous::driver::Driver;
use crate::asynchronous::tasks::Party;
use crate::asynchronous::transport::Transport;
use crate::connection::{Compression, Counters, End, PreparedMessage};
use crate::error::SendError;
use crate::frame::{CloseCode, CloseFrame};
use crate::message::{Message, MessageKind};

/// The sending half of a WebSocket; a clone of it is a sender for another task, at the price of a
/// reference count.
///
/// `feed` queues, and wakes a [`Reader`] that waits, which writes it; `send` writes it itself. A
/// writer reads nothing: without a reader that receives, the peer's Pings and its Close go
/// unanswered.
#[doc(alias("SplitSink", "WebSocketWrite"))]
pub struct Writer<T: Transport> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) number: u64,
    /// Up to where a flush of the sink goes that has begun, and [`NOT_FLUSHING`] after a message
    /// that it knows nothing of.
    pub(in crate::asynchronous) flushing: AtomicU64,
}

impl<T: Transport> Writer<T> {
    /// Queues a message, which leaves with others as soon as the reader's task runs.
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
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.feed_with(message, Compression::Auto).await
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
        self.hand_over(|driver| driver.queue_message(message, compression))
            .await
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
        self.hand_over(|driver| driver.queue_prepared(message))
            .await
    }

    /// Queues a fragment of a message; the one with `fin` ends it.
    ///
    /// While a message is unfinished, others cannot be sent by any clone of this writer.
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
        self.hand_over(|driver| {
            driver.queue(|connection, output| connection.send_fragment(kind, payload, fin, output))
        })
        .await
    }

    /// Queues a message if there is room, without waiting.
    ///
    /// What is queued leaves as that of [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send), [`Io`](Error::Io).
    pub fn try_feed(&self, message: impl Into<Message>) -> Result<Fed, Error> {
        let message = message.into();
        self.try_feed_as(|driver| driver.try_feed(message))
    }

    /// Queues a message if there is room, and writes what the transport takes at once.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send), [`Io`](Error::Io).
    pub fn try_send(&self, message: impl Into<Message>) -> Result<Fed, Error> {
        let message = message.into();
        self.try_send_as(|driver| driver.try_send(message))
    }

    /// Queues a message that is encoded once for many connections if there is room, without
    /// waiting.
    ///
    /// There is nothing to give back: it was lent.
    ///
    /// # Errors
    ///
    /// As those of [`try_feed`](Self::try_feed).
    pub fn try_feed_prepared(&self, message: &PreparedMessage) -> Result<Fed<()>, Error> {
        self.try_feed_as(|driver| driver.try_feed_prepared(message))
    }

    /// Queues a message that is encoded once for many connections if there is room, and writes what
    /// the transport takes at once.
    ///
    /// # Errors
    ///
    /// As those of [`try_send`](Self::try_send).
    pub fn try_send_prepared(&self, message: &PreparedMessage) -> Result<Fed<()>, Error> {
        self.try_send_as(|driver| driver.try_send_prepared(message))
    }

    /// Queues messages as far as there is room, and writes what the transport takes at once; `Full`
    /// if one had no room.
    pub(in crate::asynchronous) fn try_send_batch(
        &self,
        messages: &[PreparedMessage],
    ) -> Result<Fed<()>, Error> {
        self.try_send_as(|driver| driver.try_send_batch(messages))
    }

    /// Queues a message and waits until it is written.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has queued the message or it has not: never a part of it. One that is queued
    /// leaves as that of `feed`.
    #[doc(alias("write_message", "write_frame"))]
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        let mark = self
            .queue(|driver| driver.queue_message(message, Compression::Auto))
            .await?;
        self.flush_to(mark).await
    }

    /// Queues a message that is encoded once for many connections, and waits until it is written.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// As that of [`send`](Self::send).
    pub async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        let mark = self.queue(|driver| driver.queue_prepared(message)).await?;
        self.flush_to(mark).await
    }

    /// Queues a fragment and waits until it is written.
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
        let mark = self
            .queue(|driver| {
                driver.queue(|connection, output| {
                    connection.send_fragment(kind, payload, fin, output)
                })
            })
            .await?;
        self.flush_to(mark).await
    }

    /// Sends a Ping.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed) and [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// As that of [`send`](Self::send).
    pub async fn send_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mark = self
            .queue(|driver| {
                driver.queue(|connection, output| connection.send_ping(payload, output))
            })
            .await?;
        self.flush_to(mark).await
    }

    /// Sends a Close without waiting for the peer's: the reader goes on until `None`.
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
        let mark = self.queue_now(|driver| driver.queue_close(frame))?;
        self.flush_to(mark).await
    }

    /// Waits until all that is queued now is written.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the rest is still queued.
    pub async fn flush(&mut self) -> Result<(), Error> {
        let mark = self.shared.lock().driver.queued();
        self.flush_to(mark).await
    }

    /// Closes the connection, waits until the reader has seen it end, and says how it ended.
    ///
    /// A reader must be receiving on another task; where there is none any more, or the peer does
    /// not answer within [`close_timeout`](crate::Config::close_timeout), the transport is given
    /// up. It may be called again.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send) for a reason that is too long, after which the connection is open as
    /// before.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the closing handshake goes on as long as the reader receives.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<End, Error> {
        self.shared.lock().driver.begin_close(code, reason)?;
        Ok(poll_fn(|cx| self.poll_closed(cx)).await)
    }

    /// Queues a Close, unless one was sent, for the reader to write.
    pub(in crate::asynchronous) fn begin_close(
        &self,
        code: CloseCode,
        reason: &str,
    ) -> Result<(), SendError> {
        self.shared.lock().driver.begin_close(code, reason)
    }

    /// Whether there is a reader, which writes what is queued.
    pub(in crate::asynchronous) fn has_reader(&self) -> bool {
        self.shared.lock().has_reader
    }

    /// Returns how many bytes are queued.
    pub fn buffered(&self) -> usize {
        self.shared.lock().driver.output.len()
    }

    /// Returns how the connection ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.shared.lock().driver.connection.end().cloned()
    }

    /// Returns what has passed so far, if [`Config::counters`](crate::Config::counters) asks for
    /// it.
    pub fn counters(&self) -> Option<Counters> {
        self.shared.lock().driver.connection.counters().copied()
    }

    /// Whether it is a half of the same WebSocket.
    pub fn is_half_of(&self, reader: &Reader<T>) -> bool {
        Arc::ptr_eq(&self.shared, &reader.shared)
    }

    #[cfg(feature = "futures")]
    pub(in crate::asynchronous) fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.shared.lock();
        state.driver.poll_as(self.party(), cx, Driver::poll_room)
    }

    /// Queues without waiting for room, and returns where that ends.
    pub(in crate::asynchronous) fn queue_now(
        &mut self,
        queue: impl FnOnce(&mut Driver<T>) -> Result<(), SendError>,
    ) -> Result<u64, Error> {
        self.flushing.store(NOT_FLUSHING, Ordering::Relaxed);
        let driver = &mut self.shared.lock().driver;
        queue(driver)?;
        Ok(driver.queued())
    }

    pub(in crate::asynchronous) fn poll_flush(
        &mut self,
        mark: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.shared
            .lock()
            .driver
            .poll_as(self.party(), cx, |driver, cx| driver.poll_flush(mark, cx))
    }

    #[cfg(feature = "futures")]
    pub(in crate::asynchronous) fn queued(&self) -> u64 {
        self.shared.lock().driver.queued()
    }

    /// Queues once there is room, and has the reader write it.
    async fn hand_over(
        &mut self,
        queue: impl FnOnce(&mut Driver<T>) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.queue(queue).await?;
        self.shared.tasks.wake_reader();
        Ok(())
    }

    /// Queues once there is room, and returns where that ends.
    async fn queue(
        &mut self,
        queue: impl FnOnce(&mut Driver<T>) -> Result<(), SendError>,
    ) -> Result<u64, Error> {
        self.flushing.store(NOT_FLUSHING, Ordering::Relaxed);
        let mut queue = Some(queue);
        poll_fn(|cx| {
            let driver = &mut self.shared.lock().driver;
            ready!(driver.poll_as(self.party(), cx, Driver::poll_room))?;
            // Under the same lock, so that no other writer takes the room.
            if let Some(queue) = queue.take() {
                queue(driver)?;
            }
            Poll::Ready(Ok(driver.queued()))
        })
        .await
    }

    /// Tries to queue, and has the reader write it.
    fn try_feed_as<R>(&self, feed: impl FnOnce(&mut Driver<T>) -> R) -> R {
        self.flushing.store(NOT_FLUSHING, Ordering::Relaxed);
        let fed = feed(&mut self.shared.lock().driver);
        self.shared.tasks.wake_reader();
        fed
    }

    /// Tries to queue and to write.
    fn try_send_as<R>(
        &self,
        send: impl FnOnce(&mut Driver<T>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.flushing.store(NOT_FLUSHING, Ordering::Relaxed);
        let sent = send(&mut self.shared.lock().driver);
        if sent.is_err() {
            self.shared.tasks.wake_all();
        }
        sent
    }

    async fn flush_to(&mut self, mark: u64) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush(mark, cx)).await
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut state = self.shared.lock();
        let has_reader = state.has_reader;
        let driver = &mut state.driver;
        if driver.is_torn_down() {
            return Poll::Ready(match driver.connection.end() {
                Some(end) => end.clone(),
                None => driver.abandon(),
            });
        }
        driver.poll_as(self.party(), cx, |driver, cx| {
            if !has_reader {
                return driver.poll_abandon(cx);
            }
            let mark = driver.queued();
            // What is wrong with the transport is the reader's to find out.
            let _ = driver.poll_flush(mark, cx);
            // A reader that is not polled keeps nobody waiting.
            ready!(driver.poll_close_deadline(cx));
            Poll::Ready(driver.abandon())
        })
    }

    const fn party(&self) -> Party {
        Party::Writer(self.number)
    }
}

/// The mark of no flush.
pub(in crate::asynchronous) const NOT_FLUSHING: u64 = u64::MAX;

impl<T: Transport> Clone for Writer<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            number: self.shared.writers.fetch_add(1, Ordering::Relaxed),
            flushing: AtomicU64::new(NOT_FLUSHING),
        }
    }
}

impl<T: Transport> Drop for Writer<T> {
    fn drop(&mut self) {
        self.shared.tasks.forget(self.party());
    }
}

impl<T: Transport> fmt::Debug for Writer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
