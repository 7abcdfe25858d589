//! The receiving half of a WebSocket that is split.
//!
//! It owns the input, and does what must be done while anybody is connected: answers, keepalive,
//! deadlines, and writing what others queued.

use core::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Shared;
use crate::adapter::{Error, is_data};
use crate::asynchronous::driver::{Advanced, Replies};
use crate::asynchronous::pool::Input;
use crate::asynchronous::tasks::Party;
use crate::asynchronous::transport::Transport;
use crate::connection::{Counters, Delivery, End, Event};
use crate::message::Message;

/// The receiving half of a WebSocket.
///
/// Receiving answers Pings and the Close, sends keepalive Pings, keeps deadlines, and writes what
/// the [`Writer`](super::Writer) has queued, also where the writer stalls or was dropped.
#[doc(alias("SplitStream", "WebSocketRead"))]
pub struct Reader<T: Transport> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) input: Input,
    /// As the configuration of the connection has it.
    pub(super) delivery: Delivery,
    pub(super) subprotocol: Option<Box<str>>,
}

impl<T: Transport> Reader<T> {
    /// Receives the next text or binary message; `None` once the connection has ended, for
    /// whatever reason [`end`](Self::end) says.
    ///
    /// # Errors
    ///
    /// As those of [`WebSocket::recv`](crate::asynchronous::WebSocket::recv).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has received nothing: the message is the next call's.
    #[doc(alias("read_message", "next"))]
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Receives the next event, lent; `None` once the connection has ended.
    ///
    /// Reply to it with [`Writer::feed`](super::Writer::feed): what is queued leaves before the
    /// reader waits.
    ///
    /// # Errors
    ///
    /// As those of [`WebSocket::recv_event`](crate::asynchronous::WebSocket::recv_event).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has received nothing: the event is the next call's.
    #[doc(alias = "read_frame")]
    pub async fn recv_event(&mut self) -> Result<Option<Event<'_>>, Error> {
        if poll_fn(|cx| self.poll_advance(cx)).await? == Advanced::Event {
            Ok(self.input.peek().and_then(|input| input.event()))
        } else {
            Ok(None)
        }
    }

    /// Returns how the connection ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.shared.lock().driver.connection.end().cloned()
    }

    #[cfg(feature = "futures")]
    pub(in crate::asynchronous) fn is_torn_down(&self) -> bool {
        self.shared.lock().driver.is_torn_down()
    }

    /// Returns the subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns what has passed so far, if [`Config::counters`](crate::Config::counters) asks for
    /// it.
    pub fn counters(&self) -> Option<Counters> {
        self.shared.lock().driver.connection.counters().copied()
    }

    /// Returns the round-trip time that the latest answered keepalive Ping measured.
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.shared.lock().driver.connection.round_trip_time()
    }

    /// Receives the next message: [`recv`](Self::recv), for futures that are written by hand.
    ///
    /// # Errors
    ///
    /// As those of [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if self.delivery == Delivery::Chunks {
            return Poll::Ready(Err(Error::DeliveryIsChunks));
        }
        while ready!(self.poll_advance(cx))? == Advanced::Event {
            let message = self.input.get().take_message().filter(is_data);
            if message.is_some() {
                self.input.rest_if_idle();
                return Poll::Ready(Ok(message));
            }
        }
        Poll::Ready(Ok(None))
    }

    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<Advanced, Error>> {
        let input = &mut self.input;
        self.shared
            .lock()
            .driver
            .poll_as(Party::Reader, cx, |driver, cx| {
                driver.poll_advance(input, Replies::Wait, cx)
            })
    }
}

impl<T: Transport> Drop for Reader<T> {
    fn drop(&mut self) {
        self.shared.lock().has_reader = false;
        // A writer that closes waits for nobody now.
        self.shared.tasks.wake_all();
    }
}

impl<T: Transport> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
