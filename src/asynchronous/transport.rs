//! What the async adapter asks of a runtime: a stream that can be polled, and a clock.
//!
//! Traits only. `tokio` and `futures_io` implement them; of WebSockets it knows where received
//! bytes go.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use crate::connection::RecvBuffer;

/// A stream as the adapter drives it, with the clock of the runtime that the stream belongs to.
///
/// [`tokio`](crate::tokio) and [`futures_io`](crate::futures_io) have one each; implement it for a
/// runtime of another kind. The four `poll_*` methods that it must have keep the contract of every
/// async stream: on `Pending` the task of `cx` is woken once it is worth trying again, reading and
/// writing each remember the last task that asked, until it is woken, whatever else is asked for
/// meanwhile.
pub trait Transport: Unpin {
    /// The stream that it wraps.
    type Stream;
    /// The clock.
    type Timer: Timer;

    /// Wraps a stream.
    fn new(stream: Self::Stream) -> Self;

    /// Returns the stream.
    fn stream(&self) -> &Self::Stream;

    /// Unwraps the stream.
    fn into_stream(self) -> Self::Stream;

    /// Reads into `room`, which is not empty; zero bytes are the end of the stream.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Reads what comes next into `input`, and returns how much that was.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut RecvBuffer,
    ) -> Poll<io::Result<usize>> {
        let len = ready!(self.poll_read(cx, input.spare_mut()))?;
        input.commit(len);
        Poll::Ready(Ok(len))
    }

    /// Writes the front of `pieces`, none of which is empty.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Passes on what the stream itself holds back.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Shuts down the writing direction; reading goes on.
    ///
    /// # Errors
    ///
    /// What the stream says.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Polls for somebody who does not wait, whatever the answer is.
    ///
    /// Some runtimes have the streams of a task that polled much answer `Pending`, so that other
    /// tasks have their turn. In `poll` they must not: there it means a peer that does not read.
    fn poll_at_once<R>(
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        poll(cx)
    }
}

/// A clock that can wake a task.
pub trait Timer: Unpin {
    /// Returns the time.
    fn now() -> Instant;

    /// Makes a timer that elapses at `deadline`.
    fn new(deadline: Instant) -> Self;

    /// Moves the deadline.
    fn reset(&mut self, deadline: Instant);

    /// Is ready once the deadline has passed.
    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A runtime that can drive streams of type `S`.
pub trait Runtime<S> {
    /// The stream as the adapter drives it.
    type Transport: Transport<Stream = S>;
}
