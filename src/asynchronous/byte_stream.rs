//! A stream of bytes over binary messages: a tunnel.
//!
//! Where a message ends means nothing here. It knows no frames, and which trait reads and writes it
//! is for `tokio` and `futures_io` to say.

use core::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use super::driver::{Advanced, Replies};
use super::tasks::Party;
use super::transport::Transport;
use super::websocket::WebSocket;
use crate::adapter::{Error, WRITTEN_LEN};
use crate::connection::{Chunk, End, Event};
use crate::error::SendError;
use crate::frame::CloseCode;
use crate::message::MessageKind;

/// A stream of bytes over the binary messages of a WebSocket, for protocols such as SSH or MQTT
/// that know nothing of messages.
///
/// Reads take bytes as they come, whatever messages they came in; a write becomes one message of at
/// most 64 KiB, and leaves with a flush, or when a read waits. Shutting it down sends a Close with
/// code 1000. A clean end of the connection is the end of the stream, any other an
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). A text message is refused with Close 1003.
///
/// With [`Delivery::Chunks`](crate::Delivery::Chunks) bytes are read before their message is
/// complete, and messages may be of any length.
#[doc(alias = "tunnel")]
pub struct ByteStream<T: Transport> {
    socket: WebSocket<T>,
    /// How much of the event in the input is read.
    taken: usize,
}

impl<T: Transport> ByteStream<T> {
    /// Makes a stream of bytes of a WebSocket.
    pub fn new(mut socket: WebSocket<T>) -> Self {
        // It may be split by whoever takes it for a stream.
        socket.driver().share();
        Self { socket, taken: 0 }
    }

    /// Returns how the connection ended, once it has.
    pub fn end(&self) -> Option<&End> {
        self.socket.end()
    }

    /// Returns the WebSocket, to look at.
    pub const fn get_ref(&self) -> &WebSocket<T> {
        &self.socket
    }

    /// Returns the WebSocket; what was received of a message and not read is lost.
    pub fn into_inner(self) -> WebSocket<T> {
        self.socket
    }

    pub(crate) fn poll_read_bytes(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if room.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            match self.socket.event() {
                Some(
                    Event::Binary(data)
                    | Event::Chunk(Chunk {
                        kind: MessageKind::Binary,
                        payload: data,
                        ..
                    }),
                ) if self.taken < data.len() => {
                    let rest = &data[self.taken..];
                    let len = rest.len().min(room.len());
                    room[..len].copy_from_slice(&rest[..len]);
                    self.taken += len;
                    return Poll::Ready(Ok(len));
                }
                Some(
                    Event::Text(_)
                    | Event::Chunk(Chunk {
                        kind: MessageKind::Text,
                        ..
                    }),
                ) if self.taken == 0 => {
                    self.taken = 1;
                    // It is read on, so the peer's messages until its Close are read, too.
                    let _ = self
                        .socket
                        .driver()
                        .begin_close(CloseCode::UNSUPPORTED_DATA, "only binary messages");
                    // Whoever meets an error drops the stream, and the peer is to know why.
                    let _ = self.socket.poll_flush(Party::Reader, cx);
                    let error = "the peer sent a text message into a stream of bytes";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                Some(_) | None => {}
            }
            let advanced = ready!(self.socket.poll_advance(Replies::Wait, cx)).map_err(into_io)?;
            if advanced == Advanced::Event {
                self.taken = 0;
            } else {
                // The event that was read stays there where a write has failed.
                let is_clean = self.socket.end().is_some_and(End::is_clean);
                return Poll::Ready(if is_clean {
                    Ok(0)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                });
            }
        }
    }

    pub(crate) fn poll_write_bytes(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.socket.poll_room(WRITER, cx)).map_err(into_io)?;
        let bytes = &bytes[..bytes.len().min(WRITTEN_LEN)];
        let sent = self
            .socket
            .driver()
            .queue(|connection, output| connection.send_binary(bytes, output));
        // A read that waits writes it.
        self.socket.driver().share().wake_reader();
        Poll::Ready(match sent {
            Ok(()) => Ok(bytes.len()),
            Err(error) => Err(into_io(error.into())),
        })
    }

    pub(crate) fn poll_flush_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush(WRITER, cx).map_err(into_io)
    }

    pub(crate) fn poll_close_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket
            .driver()
            .begin_close(CloseCode::NORMAL_CLOSURE, "")
            .map_err(|error| into_io(error.into()))?;
        self.poll_flush_bytes(cx)
    }
}

impl<T: Transport> fmt::Debug for ByteStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByteStream").field(&self.socket).finish()
    }
}

fn into_io(error: Error) -> io::Error {
    let kind = match &error {
        Error::Io(_) => {
            let Error::Io(error) = error else {
                return io::ErrorKind::Other.into();
            };
            return error;
        }
        Error::Protocol(_) => io::ErrorKind::InvalidData,
        Error::Send(SendError::Closing) => io::ErrorKind::BrokenPipe,
        Error::WriteTimeout => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Writing is one handle.
const WRITER: Party = Party::Writer(0);
