//! Messages that are queued or sent without waiting.
//!
//! What there is to try, by the kinds of messages; whether there is room is the driver's to know.

use super::driver::Driver;
use super::transport::Transport;
use crate::adapter::{Error, Fed};
use crate::connection::PreparedMessage;
use crate::message::Message;

impl<T: Transport> Driver<T> {
    /// Queues a message if there is room, if need be after a write.
    pub(super) fn try_feed(&mut self, message: Message) -> Result<Fed, Error> {
        self.try_queue(message, |message, connection, output| {
            connection.send_message(message, output)
        })
    }

    /// Queues a prepared message if there is room, if need be after a write.
    pub(super) fn try_feed_prepared(
        &mut self,
        message: &PreparedMessage,
    ) -> Result<Fed<()>, Error> {
        self.try_queue((), |(), connection, output| {
            connection.send_prepared(message, output)
        })
    }

    /// Queues a message if there is room, and writes what the transport takes at once.
    pub(super) fn try_send(&mut self, message: Message) -> Result<Fed, Error> {
        let fed = self.try_feed(message)?;
        self.try_flush(fed)
    }

    /// Queues a prepared message if there is room, and writes what the transport takes at once.
    pub(super) fn try_send_prepared(
        &mut self,
        message: &PreparedMessage,
    ) -> Result<Fed<()>, Error> {
        let fed = self.try_feed_prepared(message)?;
        self.try_flush(fed)
    }
}
