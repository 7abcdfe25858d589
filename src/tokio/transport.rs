//! tokio's streams and clock, as the adapter drives them.
//!
//! Passes calls on; it decides nothing.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use ::tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use ::tokio::task::coop::unconstrained;
use ::tokio::time::{Sleep, sleep_until};

use crate::asynchronous::{ByteStream, Runtime, Timer, Transport};
use crate::connection::RecvBuffer;

/// The runtime of the types in [`tokio`](crate::tokio).
#[derive(Debug, Clone, Copy)]
pub enum Tokio {}

impl<S: AsyncRead + AsyncWrite + Unpin> Runtime<S> for Tokio {
    type Transport = TokioTransport<S>;
}

/// A stream of tokio as the adapter drives it.
#[derive(Debug)]
pub struct TokioTransport<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for TokioTransport<S> {
    type Stream = S;
    type Timer = TokioTimer;

    fn new(stream: S) -> Self {
        Self(stream)
    }

    fn stream(&self) -> &S {
        &self.0
    }

    fn into_stream(self) -> S {
        self.0
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut RecvBuffer,
    ) -> Poll<io::Result<usize>> {
        // Nothing is lost with this future: it is ready once it has read.
        let read = input.append_with(|message| pin!(self.0.read_buf(message)).poll(cx));
        if let Some(read) = read {
            return read;
        }
        let len = ready!(self.poll_read(cx, input.spare_mut()))?;
        input.commit(len);
        Poll::Ready(Ok(len))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces {
            [piece] => Pin::new(&mut self.0).poll_write(cx, piece),
            pieces => Pin::new(&mut self.0).poll_write_vectored(cx, pieces),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_at_once<R>(
        cx: &mut Context<'_>,
        poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        pin!(unconstrained(poll_fn(poll))).poll(cx)
    }
}

/// tokio's clock.
#[derive(Debug)]
pub struct TokioTimer(Pin<Box<Sleep>>);

impl Timer for TokioTimer {
    fn now() -> Instant {
        ::tokio::time::Instant::now().into_std()
    }

    fn new(deadline: Instant) -> Self {
        Self(Box::pin(sleep_until(deadline.into())))
    }

    fn reset(&mut self, deadline: Instant) {
        self.0.as_mut().reset(deadline.into());
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteStream<TokioTransport<S>> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = ready!(
            self.get_mut()
                .poll_read_bytes(cx, buffer.initialize_unfilled())
        )?;
        buffer.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteStream<TokioTransport<S>> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_bytes(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_bytes(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_close_bytes(cx)
    }
}
