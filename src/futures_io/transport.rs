//! The streams of `futures-io` and the clock of async-io, as the adapter drives them.
//!
//! Passes calls on; it decides nothing.

use core::marker::PhantomData;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use ::futures_io::{AsyncRead, AsyncWrite};

use crate::asynchronous::{ByteStream, Runtime, Timer, Transport};

/// The runtime of the types in [`futures_io`](crate::futures_io), with the clock `T`.
#[derive(Debug, Clone, Copy)]
pub struct FuturesIo<T>(PhantomData<fn() -> T>);

impl<S: AsyncRead + AsyncWrite + Unpin, T: Timer> Runtime<S> for FuturesIo<T> {
    type Transport = FuturesIoTransport<S, T>;
}

/// A stream of `futures-io` as the adapter drives it, with the clock `T`.
#[derive(Debug)]
pub struct FuturesIoTransport<S, T> {
    stream: S,
    timer: PhantomData<fn() -> T>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: Timer> Transport for FuturesIoTransport<S, T> {
    type Stream = S;
    type Timer = T;

    fn new(stream: S) -> Self {
        Self {
            stream,
            timer: PhantomData,
        }
    }

    fn stream(&self) -> &S {
        &self.stream
    }

    fn into_stream(self) -> S {
        self.stream
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, room)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces {
            [piece] => Pin::new(&mut self.stream).poll_write(cx, piece),
            pieces => Pin::new(&mut self.stream).poll_write_vectored(cx, pieces),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// async-io's clock.
#[derive(Debug)]
pub struct AsyncIoTimer(async_io::Timer);

impl Timer for AsyncIoTimer {
    fn now() -> Instant {
        Instant::now()
    }

    fn new(deadline: Instant) -> Self {
        Self(async_io::Timer::at(deadline))
    }

    fn reset(&mut self, deadline: Instant) {
        self.0.set_at(deadline);
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

impl<S, T> AsyncRead for ByteStream<FuturesIoTransport<S, T>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: Timer,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_read_bytes(cx, room)
    }
}

impl<S, T> AsyncWrite for ByteStream<FuturesIoTransport<S, T>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: Timer,
{
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

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_close_bytes(cx)
    }
}
