//! A stream in memory that blocks, or waits, as its user has it.
//!
//! Moves bytes between two ends and wakes who waits for them. How a direction misbehaves is
//! `pipe`'s.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
#[cfg(any(feature = "tokio", feature = "futures-io"))]
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

#[cfg(any(feature = "tokio", feature = "futures-io"))]
use super::pipe::Operation;
use super::pipe::{Pipe, Step, Wire};

/// Makes two streams that lead to each other.
///
/// `there` is what the first writes and the second reads, `back` the other direction.
pub fn stream_pair(there: Wire, back: Wire) -> (MemoryStream, MemoryStream) {
    let there = Arc::new(Shared::new(there));
    let back = Arc::new(Shared::new(back));
    let first = MemoryStream::new(Arc::clone(&back), Arc::clone(&there));
    (first, MemoryStream::new(there, back))
}

/// One end of a connection in memory.
///
/// It is `Read` and `Write`, and blocks; it is a `Stream` and `SplitStream` of `blocking`; with the
/// features `tokio` and `futures-io` it is `AsyncRead` and `AsyncWrite` of both. The two ends may
/// be of different kinds, a blocking server on a thread and an async client.
///
/// Dropped, it closes: the other end reads what is there and then the end of the stream, and its
/// writes fail.
#[derive(Debug)]
pub struct MemoryStream {
    end: Arc<HeldEnd>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

/// Breaks a connection in memory, or holds it up, from anywhere.
///
/// The streams have no clock: a pause is [`stall`](Self::stall), a sleep of the test's own (which
/// takes no time where tokio's clock is paused), and [`resume`](Self::resume).
#[derive(Debug, Clone)]
pub struct Control {
    read: Arc<Shared>,
    write: Arc<Shared>,
}

impl Control {
    /// Fails both directions for both ends with `ConnectionReset`; bytes on their way are lost.
    pub fn reset(&self) {
        self.fail(ErrorKind::ConnectionReset);
    }

    /// Fails both directions for both ends; bytes on their way are lost.
    pub fn fail(&self, kind: ErrorKind) {
        self.both(|pipe| pipe.fail(kind));
    }

    /// Holds up both directions: reads and writes wait.
    pub fn stall(&self) {
        self.both(Pipe::stall);
    }

    /// Ends a [`stall`](Self::stall), and those that were scripted, wherever they are.
    pub fn resume(&self) {
        self.both(Pipe::resume);
    }

    /// Returns how many bytes the end that this was made of has read.
    pub fn read_len(&self) -> u64 {
        self.read.lock().read_len
    }

    /// Returns how many bytes the end that this was made of has written.
    pub fn written_len(&self) -> u64 {
        self.write.lock().written_len
    }

    fn both(&self, change: impl Fn(&mut Pipe)) {
        self.read.change(&change);
        self.write.change(&change);
    }
}

impl MemoryStream {
    fn new(read: Arc<Shared>, write: Arc<Shared>) -> Self {
        Self {
            end: Arc::new(HeldEnd { read, write }),
            read_timeout: None,
            write_timeout: None,
        }
    }

    /// Returns a handle that breaks the connection, which does not keep it open.
    pub fn control(&self) -> Control {
        Control {
            read: Arc::clone(&self.end.read),
            write: Arc::clone(&self.end.write),
        }
    }

    /// Polls `step` until it need not wait; the task is woken when it may be worth another try.
    #[cfg(any(feature = "tokio", feature = "futures-io"))]
    fn poll(
        pipe: &Shared,
        operation: Operation,
        cx: &Context<'_>,
        step: impl FnOnce(&mut Pipe) -> Step,
    ) -> Poll<io::Result<usize>> {
        let mut guard = pipe.lock();
        if guard.waits_once(operation) {
            drop(guard);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match step(&mut guard) {
            Step::Done(len) => {
                pipe.wake(guard);
                Poll::Ready(Ok(len))
            }
            Step::Failed(kind) => Poll::Ready(Err(kind.into())),
            Step::Wait => {
                guard.wait(operation);
                let waker = cx.waker().clone();
                match operation {
                    Operation::Read => guard.reader = Some(waker),
                    Operation::Write | Operation::Flush | Operation::ShutDown => {
                        guard.writer = Some(waker);
                    }
                }
                Poll::Pending
            }
        }
    }
}

impl Read for MemoryStream {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.end
            .read
            .block(self.read_timeout, |pipe| pipe.read(room))
    }
}

impl Write for MemoryStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let timeout = self.write_timeout;
        self.end.write.block(timeout, |pipe| pipe.write(pieces))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "blocking")]
impl crate::blocking::Stream for MemoryStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.read_timeout = timeout;
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.write_timeout = timeout;
        Ok(())
    }

    fn shut_down(&mut self, how: std::net::Shutdown) -> io::Result<()> {
        use std::net::Shutdown;

        if matches!(how, Shutdown::Write | Shutdown::Both) {
            self.end.write.change(Pipe::end_writing);
        }
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.end.read.change(Pipe::end_reading);
        }
        Ok(())
    }
}

#[cfg(feature = "blocking")]
impl crate::blocking::SplitStream for MemoryStream {
    type Writer = Self;

    fn try_clone_writer(&self) -> io::Result<Self> {
        Ok(Self {
            end: Arc::clone(&self.end),
            read_timeout: self.read_timeout,
            write_timeout: self.write_timeout,
        })
    }
}

#[cfg(feature = "tokio")]
mod of_tokio {
    use std::io::{self, IoSlice};
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::MemoryStream;

    impl AsyncRead for MemoryStream {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let len = ready!(self.poll_read_bytes(cx, buffer.initialize_unfilled()))?;
            buffer.advance(len);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for MemoryStream {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_bytes(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_bytes(cx, pieces)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush_bytes(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_end(cx)
        }
    }
}

#[cfg(feature = "futures-io")]
mod of_futures_io {
    use std::io::{self, IoSlice};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use futures_io::{AsyncRead, AsyncWrite};

    use super::MemoryStream;

    impl AsyncRead for MemoryStream {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            room: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_read_bytes(cx, room)
        }
    }

    impl AsyncWrite for MemoryStream {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_bytes(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_bytes(cx, pieces)
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush_bytes(cx)
        }

        fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_end(cx)
        }
    }
}

#[cfg(any(feature = "tokio", feature = "futures-io"))]
impl MemoryStream {
    fn poll_read_bytes(&self, cx: &Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        Self::poll(&self.end.read, Operation::Read, cx, |pipe| pipe.read(room))
    }

    fn poll_write_bytes(
        &self,
        cx: &Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::poll(&self.end.write, Operation::Write, cx, |pipe| {
            pipe.write(pieces)
        })
    }

    fn poll_flush_bytes(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        Self::poll(&self.end.write, Operation::Flush, cx, |_| Step::Done(0)).map_ok(|_| ())
    }

    fn poll_end(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let end = |pipe: &mut Pipe| {
            pipe.end_writing();
            Step::Done(0)
        };
        Self::poll(&self.end.write, Operation::ShutDown, cx, end).map_ok(|_| ())
    }
}

/// An end, which closes once nobody holds it.
#[derive(Debug)]
struct HeldEnd {
    read: Arc<Shared>,
    write: Arc<Shared>,
}

impl Drop for HeldEnd {
    fn drop(&mut self) {
        self.write.change(Pipe::end_writing);
        self.read.change(Pipe::end_reading);
    }
}

/// A direction that both ends hold.
#[derive(Debug)]
struct Shared {
    pipe: Mutex<Pipe>,
    /// Told whenever anything in it has changed.
    changed: Condvar,
}

impl Shared {
    fn new(wire: Wire) -> Self {
        Self {
            pipe: Mutex::new(Pipe::new(wire)),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pipe> {
        // Nobody panics while holding it.
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Pipe)) {
        let mut guard = self.lock();
        change(&mut guard);
        self.wake(guard);
    }

    fn wake(&self, mut guard: MutexGuard<'_, Pipe>) {
        let wakers = guard.take_wakers();
        drop(guard);
        self.changed.notify_all();
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Does `step` as soon as it need not wait, within the timeout.
    fn block(
        &self,
        timeout: Option<Duration>,
        mut step: impl FnMut(&mut Pipe) -> Step,
    ) -> io::Result<usize> {
        // A time that cannot be written down never comes.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut guard = self.lock();
        loop {
            match step(&mut guard) {
                Step::Done(len) => {
                    self.wake(guard);
                    return Ok(len);
                }
                Step::Failed(kind) => return Err(kind.into()),
                Step::Wait => {}
            }
            guard = match deadline {
                None => {
                    let woken = self.changed.wait(guard);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        // As a socket says it.
                        return Err(ErrorKind::WouldBlock.into());
                    }
                    let woken = self.changed.wait_timeout(guard, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
