//! What a program sends: messages, fragments, Pings and Pongs.
//!
//! Whether anything may be sent now, what goes through the extension, and who is told that it went.
//! The bytes are `sender`'s; Close frames and what follows from them are in `closing`.
//!
//! RFC 6455, sections 5.4, 5.5 and 6.1.

use super::Connection;
use super::compression::{Compression, Encoding};
use super::observer::SentFrame;
use super::prepared::PreparedMessage;
use super::send_buffer::{SHARED_LEN, SendBuffer};
use super::state::Role;
use crate::error::SendError;
use crate::frame::Opcode;
use crate::message::{Message, MessageKind};

impl Connection {
    /// Sends a text message in one frame.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing) and [`MessageUnfinished`](SendError::MessageUnfinished).
    #[inline]
    pub fn send_text(&mut self, text: &str, output: &mut SendBuffer) -> Result<(), SendError> {
        self.send_data(
            MessageKind::Text,
            text.as_bytes(),
            Compression::Auto,
            output,
        )
    }

    /// Sends a binary message in one frame.
    ///
    /// # Errors
    ///
    /// As those of [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary(&mut self, data: &[u8], output: &mut SendBuffer) -> Result<(), SendError> {
        self.send_data(MessageKind::Binary, data, Compression::Auto, output)
    }

    /// Sends a message of any kind; a server does not copy a long payload.
    ///
    /// # Errors
    ///
    /// Those of the method for its kind.
    pub fn send_message(
        &mut self,
        message: Message,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.send_message_with(message, Compression::Auto, output)
    }

    /// Sends a message, compressed or not as the caller says.
    ///
    /// Without permessage-deflate, and for control frames, it is
    /// [`send_message`](Self::send_message).
    ///
    /// # Errors
    ///
    /// As those of [`send_message`](Self::send_message).
    pub fn send_message_with(
        &mut self,
        message: Message,
        compression: Compression,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let (kind, payload) = match message {
            Message::Text(text) => (MessageKind::Text, text.into_bytes()),
            Message::Binary(data) => (MessageKind::Binary, data),
            Message::Ping(payload) => return self.send_ping(&payload, output),
            Message::Pong(payload) => return self.send_pong(&payload, output),
            Message::Close(frame) => return self.send_close(frame, output),
        };
        let is_plain = self.extension.is_none() || compression == Compression::Never;
        if self.role == Role::Client || !is_plain || payload.len() < SHARED_LEN {
            return self.send_data(kind, &payload, compression, output);
        }
        self.require_open()?;
        let frame = SentFrame::whole(kind, payload.len());
        self.observed(frame, output, |this, output| {
            this.sender.shared_message(kind, payload, output)
        })?;
        self.deadlines.message_passed();
        Ok(())
    }

    /// Sends a message that is encoded once for any number of connections.
    ///
    /// A server copies the ready frame, or not even that where it is long; a client masks it, with
    /// a key of its own for each (5.3).
    ///
    /// # Errors
    ///
    /// As those of [`send_text`](Self::send_text).
    pub fn send_prepared(
        &mut self,
        message: &PreparedMessage,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.require_open()?;
        let frame = SentFrame::whole(message.kind(), message.payload().len());
        self.observed(frame, output, |this, output| {
            let extension = this.extension.as_deref_mut();
            this.sender.prepared_message(message, extension, output)
        })?;
        self.deadlines.message_passed();
        Ok(())
    }

    /// Sends a fragment of a message; the one with `fin` ends it (5.4).
    ///
    /// All fragments of a message say the same `kind`. Those of a text may end inside a character,
    /// but for the last. Control frames may come between, other messages not.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), [`MessageUnfinished`](SendError::MessageUnfinished) where
    /// the fragments before are of another kind, and [`TextNotUtf8`](SendError::TextNotUtf8).
    pub fn send_fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.send_fragment_with(kind, payload, fin, Compression::Auto, output)
    }

    /// Sends a fragment of a message; what the first one says of compression holds for all.
    ///
    /// # Errors
    ///
    /// As those of [`send_fragment`](Self::send_fragment).
    pub fn send_fragment_with(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
        compression: Compression,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.require_open()?;
        let frame = SentFrame {
            opcode: self.sender.next_opcode(kind),
            fin,
            payload_len: payload.len(),
        };
        self.observed(frame, output, |this, output| {
            let encoding = Encoding {
                extension: this.extension.as_deref_mut(),
                compression,
            };
            this.sender.fragment(kind, payload, fin, encoding, output)
        })?;
        self.deadlines.message_passed();
        Ok(())
    }

    /// Sends a Ping; the peer answers with a Pong that repeats `payload` (5.5.2).
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing), and [`ControlTooLong`](SendError::ControlTooLong) above
    /// 125 bytes.
    pub fn send_ping(&mut self, payload: &[u8], output: &mut SendBuffer) -> Result<(), SendError> {
        self.require_open()?;
        self.send_control(Opcode::Ping, payload, output)
    }

    /// Sends a Pong that nobody asked for, as a sign of life; Pings are answered without it
    /// (5.5.3).
    ///
    /// # Errors
    ///
    /// As those of [`send_ping`](Self::send_ping).
    pub fn send_pong(&mut self, payload: &[u8], output: &mut SendBuffer) -> Result<(), SendError> {
        self.require_open()?;
        self.send_control(Opcode::Pong, payload, output)
    }

    #[inline]
    fn send_data(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        compression: Compression,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.require_open()?;
        if self.extension.is_some() || self.observer.is_some() {
            return self.send_in_full(kind, payload, compression, output);
        }
        self.sender.plain_message(kind, payload, output)?;
        self.deadlines.message_passed();
        Ok(())
    }

    /// Sends a message that the extension may encode, or that somebody watches.
    ///
    /// A function of its own, so that the short way has no registers to save for the long one.
    #[inline(never)]
    fn send_in_full(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        compression: Compression,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let frame = SentFrame::whole(kind, payload.len());
        self.observed(frame, output, |this, output| {
            let encoding = Encoding {
                extension: this.extension.as_deref_mut(),
                compression,
            };
            this.sender.message(kind, payload, encoding, output)
        })?;
        self.deadlines.message_passed();
        Ok(())
    }

    pub(super) fn send_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let frame = SentFrame::control(opcode, payload.len());
        self.observed(frame, output, |this, output| {
            this.sender.control(opcode, payload, output)
        })
    }

    /// Sends what `send` appends, and tells whoever watches.
    pub(super) fn observed(
        &mut self,
        frame: SentFrame,
        output: &mut SendBuffer,
        send: impl FnOnce(&mut Self, &mut SendBuffer) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let before = output.len();
        send(self, output)?;
        if let Some(observer) = &mut self.observer {
            observer.sent(frame, before, output.len());
        }
        Ok(())
    }
}
