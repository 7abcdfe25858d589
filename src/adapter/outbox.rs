//! Replies to an event, gathered.
//!
//! Appends to the output while the event still borrows the input. It writes nothing: the adapter
//! does, when the input is exhausted or enough waits.

use bytes::Bytes;

use crate::connection::{Compression, Connection, PreparedMessage, SendBuffer};
use crate::error::SendError;
use crate::frame::CloseFrame;
use crate::message::{Message, MessageKind, Utf8Bytes};

/// Takes the replies to an event, which leave together when the adapter is about to wait.
///
/// A burst of small messages that are answered one by one so costs one read and one write. The
/// methods do not wait: with more than
/// [`write_high_water`](crate::Config::write_high_water) bytes waiting they say
/// [`BufferFull`](SendError::BufferFull); a [`Message`] that is to be tried again is cloned before,
/// which shares its payload.
///
/// A long payload that is the event's own, or a part of it, is passed on without a copy, as an echo
/// or a relay does.
#[derive(Debug)]
pub struct Outbox<'a> {
    connection: &'a mut Connection,
    output: &'a mut SendBuffer,
    /// The payload of the event if it is long, else empty.
    received: &'a Bytes,
}

impl<'a> Outbox<'a> {
    pub(crate) const fn new(
        connection: &'a mut Connection,
        output: &'a mut SendBuffer,
        received: &'a Bytes,
    ) -> Self {
        Self {
            connection,
            output,
            received,
        }
    }

    /// Queues a text message.
    ///
    /// # Errors
    ///
    /// [`BufferFull`](SendError::BufferFull), and those of
    /// [`Connection::send_text`].
    #[inline]
    pub fn feed_text(&mut self, text: &str) -> Result<(), SendError> {
        self.require_room()?;
        if self.is_received(text.as_bytes()) {
            let message = |text| Message::Text(Utf8Bytes::from_validated(text));
            let (received, text) = (self.received, text.as_bytes());
            return pass_on(self.connection, received, text, message, self.output);
        }
        self.connection.send_text(text, self.output)
    }

    /// Queues a binary message.
    ///
    /// # Errors
    ///
    /// [`BufferFull`](SendError::BufferFull), and those of
    /// [`Connection::send_binary`].
    #[inline]
    pub fn feed_binary(&mut self, data: &[u8]) -> Result<(), SendError> {
        self.require_room()?;
        if self.is_received(data) {
            return pass_on(
                self.connection,
                self.received,
                data,
                Message::Binary,
                self.output,
            );
        }
        self.connection.send_binary(data, self.output)
    }

    /// Queues a message of any kind.
    ///
    /// # Errors
    ///
    /// [`BufferFull`](SendError::BufferFull), and those of
    /// [`Connection::send_message`].
    pub fn feed(&mut self, message: Message) -> Result<(), SendError> {
        self.require_room()?;
        self.connection.send_message(message, self.output)
    }

    /// Queues a message, compressed or not as the caller says.
    ///
    /// # Errors
    ///
    /// As those of [`feed`](Self::feed).
    pub fn feed_with(
        &mut self,
        message: Message,
        compression: Compression,
    ) -> Result<(), SendError> {
        self.require_room()?;
        self.connection
            .send_message_with(message, compression, self.output)
    }

    /// Queues a message that is encoded once for many connections.
    ///
    /// # Errors
    ///
    /// [`BufferFull`](SendError::BufferFull), and those of
    /// [`Connection::send_prepared`].
    pub fn feed_prepared(&mut self, message: &PreparedMessage) -> Result<(), SendError> {
        self.require_room()?;
        self.connection.send_prepared(message, self.output)
    }

    /// Queues a fragment of a message.
    ///
    /// # Errors
    ///
    /// [`BufferFull`](SendError::BufferFull), and those of
    /// [`Connection::send_fragment`].
    pub fn feed_fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
    ) -> Result<(), SendError> {
        self.require_room()?;
        self.connection
            .send_fragment(kind, payload, fin, self.output)
    }

    /// Queues a Ping.
    ///
    /// # Errors
    ///
    /// [`BufferFull`](SendError::BufferFull), and those of
    /// [`Connection::send_ping`].
    pub fn feed_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.require_room()?;
        self.connection.send_ping(payload, self.output)
    }

    /// Queues a Close: the closing handshake begins, and receiving goes on until it ends.
    ///
    /// # Errors
    ///
    /// Those of [`Connection::send_close`].
    pub fn feed_close(&mut self, frame: Option<CloseFrame<'_>>) -> Result<(), SendError> {
        self.connection.send_close(frame, self.output)
    }

    /// Returns how many bytes wait.
    pub fn buffered(&self) -> usize {
        self.output.len()
    }

    /// Whether `payload` is within that of the event, and that is long.
    #[inline]
    fn is_received(&self, payload: &[u8]) -> bool {
        if self.received.is_empty() {
            return false;
        }
        let (whole, part) = (self.received.as_ptr_range(), payload.as_ptr_range());
        whole.start <= part.start && part.end <= whole.end
    }

    #[inline]
    fn require_room(&self) -> Result<(), SendError> {
        if self.output.len() > self.connection.config().write_high_water {
            Err(SendError::BufferFull)
        } else {
            Ok(())
        }
    }
}

/// Queues a part of what was received, without a copy.
///
/// A function of its own, and not of the outbox, so that the short way is short enough to stand
/// where it is called, and an outbox that nobody keeps stays in registers.
#[inline(never)]
fn pass_on(
    connection: &mut Connection,
    received: &Bytes,
    part: &[u8],
    message: impl FnOnce(Bytes) -> Message,
    output: &mut SendBuffer,
) -> Result<(), SendError> {
    connection.send_message(message(received.slice_ref(part)), output)
}
