//! Messages that are queued or sent without waiting.
//!
//! They say what became of the message, and touch no timer. Waiting for room is the driver's.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Driver;
use crate::adapter::{Error, Fed};
use crate::asynchronous::transport::{Timer as _, Transport};
use crate::connection::{Compression, PreparedMessage, State};
use crate::error::SendError;
use crate::message::Message;

impl<T: Transport> Driver<T> {
    /// Queues a message if there is room, if need be after a write.
    pub(in crate::asynchronous) fn try_feed(&mut self, message: Message) -> Result<Fed, Error> {
        self.try_queue(message, |message, driver| {
            driver.queue_message(message, Compression::Auto)
        })
    }

    /// Queues a prepared message if there is room, if need be after a write.
    #[inline]
    pub(in crate::asynchronous) fn try_feed_prepared(
        &mut self,
        message: &PreparedMessage,
    ) -> Result<Fed<()>, Error> {
        self.try_queue((), |(), driver| driver.queue_prepared(message))
    }

    /// Queues a message if there is room, and writes what the transport takes at once.
    pub(in crate::asynchronous) fn try_send(&mut self, message: Message) -> Result<Fed, Error> {
        let fed = self.try_feed(message)?;
        self.try_flush(fed)
    }

    /// Queues a prepared message if there is room, and writes what the transport takes at once.
    pub(in crate::asynchronous) fn try_send_prepared(
        &mut self,
        message: &PreparedMessage,
    ) -> Result<Fed<()>, Error> {
        let fed = self.try_feed_prepared(message)?;
        self.try_flush(fed)
    }

    /// Queues prepared messages as far as there is room, and writes what the transport takes at
    /// once; `Full` if one had no room.
    pub(in crate::asynchronous) fn try_send_batch(
        &mut self,
        messages: &[PreparedMessage],
    ) -> Result<Fed<()>, Error> {
        for message in messages {
            let fed = self.try_feed_prepared(message)?;
            if matches!(fed, Fed::Full(())) {
                return Ok(fed);
            }
        }
        self.try_flush(self.fed())
    }

    /// Queues what `send` appends if there is room, and gives `message` back if there is none.
    #[inline(always)]
    fn try_queue<M>(
        &mut self,
        message: M,
        send: impl FnOnce(M, &mut Self) -> Result<(), SendError>,
    ) -> Result<Fed<M>, Error> {
        if self.is_due() && self.connection.state() == State::Open {
            let is_written = self.try_write()?;
            if !is_written && self.is_full() {
                return Ok(Fed::Full(message));
            }
        }
        send(message, self)?;
        Ok(self.fed())
    }

    /// Writes what the transport takes at once, if a message was queued.
    fn try_flush<M>(&mut self, fed: Fed<M>) -> Result<Fed<M>, Error> {
        if matches!(fed, Fed::Full(_)) {
            return Ok(fed);
        }
        self.try_write()?;
        self.output.rest();
        Ok(self.fed())
    }

    fn fed<M>(&self) -> Fed<M> {
        match self.output.len() {
            0 => Fed::Sent,
            waiting => Fed::Queued(waiting),
        }
    }

    /// Writes what the transport takes at once, and returns whether that was all.
    ///
    /// No timer is touched, because whoever tries need not be on the runtime: a write that waits is
    /// given up here once its time is over, and by those who wait.
    fn try_write(&mut self) -> Result<bool, Error> {
        // Those who share this value are woken as before; one who does not share it does not wait
        // while somebody else calls its methods.
        let waker = match &self.tasks {
            Some(tasks) => Waker::from(Arc::clone(tasks)),
            None => Waker::noop().clone(),
        };
        let mut cx = Context::from_waker(&waker);
        match T::poll_at_once(&mut cx, |cx| self.poll_write(cx)) {
            Poll::Ready(written) => written.map(|()| true),
            Poll::Pending => {
                let now = T::Timer::now();
                if self.write_deadline.is_some_and(|deadline| deadline <= now) {
                    self.abandon();
                    return Err(Error::WriteTimeout);
                }
                if let Some(tasks) = &self.tasks {
                    // It waits for this write from now on.
                    tasks.wake_reader();
                }
                Ok(false)
            }
        }
    }
}
