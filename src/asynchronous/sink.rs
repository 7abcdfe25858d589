//! A WebSocket as a `Stream` and a `Sink` of messages.
//!
//! Traits over what `websocket` and `split` have. Whoever splits it with a combinator polls it from
//! two tasks, so it is shared from the first call on.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;

use super::split::{NOT_FLUSHING, Reader, Writer};
use super::tasks::Party;
use super::transport::Transport;
use super::websocket::WebSocket;
use crate::adapter::Error;
use crate::connection::Compression;
use crate::frame::CloseCode;
use crate::message::Message;

/// Yields text and binary messages, and ends with the connection.
impl<T: Transport> Stream for WebSocket<T> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let socket = self.get_mut();
        socket.share();
        socket.poll_recv(cx).map(Result::transpose)
    }
}

impl<T: Transport> FusedStream for WebSocket<T> {
    fn is_terminated(&self) -> bool {
        self.is_torn_down()
    }
}

/// Sends messages of any kind. Closing it sends a Close with code 1000, unless one was sent, and
/// does not wait for the peer's: go on receiving until the end.
impl<T: Transport> Sink<Message> for WebSocket<T> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let socket = self.get_mut();
        socket.share();
        socket.poll_room(SINK, cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let driver = self.get_mut().driver();
        Ok(driver.queue_message(message, Compression::Auto)?)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let socket = self.get_mut();
        socket.share();
        socket.poll_flush(SINK, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let socket = self.get_mut();
        socket.share();
        socket.driver().begin_close(CloseCode::NORMAL_CLOSURE, "")?;
        ready!(socket.poll_flush(SINK, cx))?;
        Poll::Ready(Ok(()))
    }
}

/// Yields text and binary messages, and ends with the connection.
impl<T: Transport> Stream for Reader<T> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_recv(cx).map(Result::transpose)
    }
}

impl<T: Transport> FusedStream for Reader<T> {
    fn is_terminated(&self) -> bool {
        self.is_torn_down()
    }
}

/// Sends messages of any kind. Closing it sends a Close with code 1000, unless one was sent, and
/// does not wait for the peer's.
impl<T: Transport> Sink<Message> for Writer<T> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_room(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.get_mut()
            .queue_now(|driver| driver.queue_message(message, Compression::Auto))?;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let writer = self.get_mut();
        // What others have queued since its first poll is for them to wait for.
        let mark = match writer.flushing.load(Ordering::Relaxed) {
            NOT_FLUSHING => writer.queued(),
            mark => mark,
        };
        let polled = writer.poll_flush(mark, cx);
        let mark = if polled.is_ready() {
            NOT_FLUSHING
        } else {
            mark
        };
        writer.flushing.store(mark, Ordering::Relaxed);
        polled
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let writer = self.get_mut();
        writer.queue_now(|driver| driver.begin_close(CloseCode::NORMAL_CLOSURE, ""))?;
        let mark = writer.queued();
        writer.poll_flush(mark, cx)
    }
}

/// A sink is one handle.
const SINK: Party = Party::Writer(0);
