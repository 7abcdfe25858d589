//! Streams that block, and what more of them a WebSocket would like.
//!
//! Reads and writes with deadlines over anything that can be read and written. It knows no
//! protocol: only bytes, timeouts and the two directions of a stream.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::adapter::{Error, WritePatience};
use crate::connection::SendBuffer;

/// A stream that a WebSocket can run over.
///
/// Reading and writing is all that is needed; deadlines need timeouts, and a closing handshake
/// that loses nothing needs a way to shut down one direction. The methods for these say
/// [`Unsupported`](io::ErrorKind::Unsupported) unless they are written, and the adapter does
/// without. A stream of another crate is wrapped in [`Plain`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `framewright::blocking::Stream`",
    note = "write `impl Stream` for your own type, or wrap any `Read + Write` in `framewright::blocking::Plain`"
)]
pub trait Stream: Read + Write {
    /// Makes a read give up after `timeout`, with `WouldBlock` or `TimedOut`.
    ///
    /// # Errors
    ///
    /// `Unsupported` if this stream has no timeouts.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let _ = timeout;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a write give up after `timeout`, with `WouldBlock` or `TimedOut`.
    ///
    /// # Errors
    ///
    /// `Unsupported` if this stream has no timeouts.
    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let _ = timeout;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Shuts down writing, reading, or both; both also ends a read that waits on another thread.
    ///
    /// # Errors
    ///
    /// `Unsupported` if this stream has no such thing.
    fn shut_down(&mut self, how: Shutdown) -> io::Result<()> {
        let _ = how;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns how many bytes the stream has taken and not passed on yet, which is what
    /// [`flush`](Write::flush) is for.
    ///
    /// A flush that gives up because of the timeout and leaves fewer of them has made progress, and
    /// is repeated. A stream with a buffer and timeouts that says zero, as it does by default, must
    /// not give up a flush.
    fn unflushed_len(&self) -> usize {
        0
    }
}

impl Stream for TcpStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_write_timeout(self, timeout)
    }

    fn shut_down(&mut self, how: Shutdown) -> io::Result<()> {
        Self::shutdown(self, how)
    }
}

#[cfg(unix)]
impl Stream for UnixStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_write_timeout(self, timeout)
    }

    fn shut_down(&mut self, how: Shutdown) -> io::Result<()> {
        Self::shutdown(self, how)
    }
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        (**self).set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        (**self).set_write_timeout(timeout)
    }

    fn shut_down(&mut self, how: Shutdown) -> io::Result<()> {
        (**self).shut_down(how)
    }

    fn unflushed_len(&self) -> usize {
        (**self).unflushed_len()
    }
}

/// A stream that can be read on one thread and written on another.
pub trait SplitStream: Stream + Sized {
    /// The half that is written; it can shut down both.
    type Writer: Stream;

    /// Returns a handle of the same stream for the writer.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn try_clone_writer(&self) -> io::Result<Self::Writer>;
}

impl SplitStream for TcpStream {
    type Writer = Self;

    fn try_clone_writer(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

#[cfg(unix)]
impl SplitStream for UnixStream {
    type Writer = Self;

    fn try_clone_writer(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

/// Any `Read + Write` as a [`Stream`] without timeouts.
///
/// A peer that falls silent is then waited for as long as the stream waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plain<S>(pub S);

impl<S: Read + Write> Stream for Plain<S> {}

impl<S: Read> Read for Plain<S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl<S: Write> Write for Plain<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadOutcome {
    Bytes(usize),
    Eof,
    /// The deadline may have passed: look at the clock.
    Elapsed,
}

/// The read timeout of a stream, set as seldom as will do.
///
/// Every byte moves the next deadline on, and setting a timeout is a system call. A timeout that
/// is too short costs an early wake-up now and then; one that is too long would miss the deadline.
#[derive(Debug, Default)]
pub(super) struct ReadTimer {
    timeout: Option<Duration>,
    is_unsupported: bool,
    /// The deadline that had passed before the last read.
    passed: Option<Instant>,
}

impl ReadTimer {
    /// Reads into `room`, until `deadline` at the latest if the stream has timeouts.
    ///
    /// A deadline that has passed already is judged after one more read: what is there may have
    /// come in time, while the caller was busy elsewhere.
    pub(super) fn read(
        &mut self,
        stream: &mut (impl Stream + ?Sized),
        room: &mut [u8],
        deadline: Option<Instant>,
    ) -> io::Result<ReadOutcome> {
        let started = Instant::now();
        if let Some(deadline) = deadline {
            let remaining = deadline.saturating_duration_since(started);
            if self.timeout.is_none_or(|timeout| timeout > remaining) {
                self.set(stream, Some(remaining))?;
            }
            if remaining.is_zero() {
                if self.passed == Some(deadline) || self.is_unsupported {
                    return Ok(ReadOutcome::Elapsed);
                }
                self.passed = Some(deadline);
            }
        } else {
            self.clear(stream)?;
        }
        loop {
            return match stream.read(room) {
                Ok(0) => Ok(ReadOutcome::Eof),
                Ok(len) => Ok(ReadOutcome::Bytes(len)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // TLS that ended without saying so. The Close frames tell whether anything was cut
                // off.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(ReadOutcome::Eof),
                Err(error) if is_timeout(&error) && self.explains(started) => {
                    // The next deadline may be further away than this one was.
                    self.clear(stream)?;
                    Ok(ReadOutcome::Elapsed)
                }
                Err(error) => Err(error),
            };
        }
    }

    /// Takes the timeout away again.
    pub(super) fn clear(&mut self, stream: &mut (impl Stream + ?Sized)) -> io::Result<()> {
        if self.timeout.is_some() {
            self.set(stream, None)?;
        }
        Ok(())
    }

    /// Whether reads of this stream can end at deadlines.
    pub(super) fn is_supported(&mut self, stream: &mut (impl Stream + ?Sized)) -> bool {
        if self.timeout.is_none() {
            // Setting what is set already only asks.
            let _ = self.set(stream, None);
        }
        !self.is_unsupported
    }

    /// Whether a read that began at `started` gave up because of the timeout, and not because the
    /// stream does not block at all.
    fn explains(&self, started: Instant) -> bool {
        self.timeout
            .is_some_and(|timeout| started.elapsed() + slack(timeout) >= timeout)
    }

    fn set(
        &mut self,
        stream: &mut (impl Stream + ?Sized),
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        if self.is_unsupported {
            return Ok(());
        }
        let timeout = timeout.map(at_least_a_tick);
        match stream.set_read_timeout(timeout) {
            Ok(()) => self.timeout = timeout,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.is_unsupported = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Writes all of `output`; what was not written stays in it.
///
/// The write timeout of the stream is `patience.stall` when this is called, and again afterwards.
pub(super) fn write_all(
    stream: &mut (impl Stream + ?Sized),
    output: &mut SendBuffer,
    patience: WritePatience,
) -> Result<(), Error> {
    let has_set_timeout =
        patience.deadline.is_some() && !(output.is_empty() && stream.unflushed_len() == 0);
    let written = write_pieces(stream, output, patience);
    if has_set_timeout {
        set_write_timeout(stream, patience.stall)?;
    }
    written
}

fn write_pieces(
    stream: &mut (impl Stream + ?Sized),
    output: &mut SendBuffer,
    patience: WritePatience,
) -> Result<(), Error> {
    let mut has_tried = false;
    loop {
        let unflushed_len = stream.unflushed_len();
        if output.is_empty() && unflushed_len == 0 {
            break;
        }
        let started = Instant::now();
        let mut timeout = patience.stall;
        if let Some(deadline) = patience.deadline {
            let remaining = deadline.saturating_duration_since(started);
            // What the transport takes at once is written also when it is late.
            if remaining.is_zero() && has_tried {
                return Err(Error::WriteTimeout);
            }
            timeout = Some(timeout.map_or(remaining, |timeout| timeout.min(remaining)));
            set_write_timeout(stream, timeout)?;
        }
        match write_or_flush(stream, output) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error)
                if is_timeout(&error)
                    && timeout.is_some_and(|timeout| {
                        started.elapsed() + slack(timeout) >= at_least_a_tick(timeout)
                    }) =>
            {
                // What was taken before may have moved.
                if stream.unflushed_len() >= unflushed_len {
                    return Err(Error::WriteTimeout);
                }
            }
            Err(error) => return Err(error.into()),
        }
        // A stream that has just taken the first bytes into its buffer has not tried to pass them
        // on.
        has_tried |= unflushed_len > 0 || stream.unflushed_len() == 0;
    }
    // Also where nothing was left to write: a stream with a buffer that it does not tell of may not
    // have passed on what it took before.
    Ok(stream.flush()?)
}

/// Writes the front of `output`, or, where nothing is left of it, what the stream has taken.
fn write_or_flush(stream: &mut (impl Stream + ?Sized), output: &mut SendBuffer) -> io::Result<()> {
    if output.is_empty() {
        return stream.flush();
    }
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let mut count = 0;
    for (slice, chunk) in slices.iter_mut().zip(output.chunks()) {
        *slice = IoSlice::new(chunk);
        count += 1;
    }
    match stream.write_vectored(&slices[..count])? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        len => {
            output.consume(len);
            Ok(())
        }
    }
}

/// Sets the write timeout of a stream that has one.
pub(super) fn set_write_timeout(
    stream: &mut (impl Stream + ?Sized),
    timeout: Option<Duration>,
) -> io::Result<()> {
    match stream.set_write_timeout(timeout.map(at_least_a_tick)) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        result => result,
    }
}

/// Reads until the peer closes, within a deadline and a bound, so that dropping the stream does not
/// reset it and take with it what was just written.
pub(super) fn linger(
    stream: &mut (impl Stream + ?Sized),
    timer: &mut ReadTimer,
    deadline: Option<Instant>,
    max_len: u64,
) {
    let shut = stream.shut_down(Shutdown::Write);
    if shut.is_err() || !timer.is_supported(stream) {
        return;
    }
    let mut room = [0; 4096];
    let mut drained = 0_u64;
    while drained <= max_len {
        match timer.read(stream, &mut room, deadline) {
            Ok(ReadOutcome::Bytes(len)) => drained = drained.saturating_add(len as u64),
            Ok(ReadOutcome::Elapsed)
                if deadline.is_some_and(|deadline| Instant::now() < deadline) => {}
            Ok(ReadOutcome::Eof | ReadOutcome::Elapsed) | Err(_) => return,
        }
    }
}

/// Zero means no timeout at all to the operating system, whose clock ticks in milliseconds.
pub(super) fn at_least_a_tick(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

/// By how much a wait may end before its timeout has passed on our clock, which is the finer one.
fn slack(timeout: Duration) -> Duration {
    (timeout / 2).min(Duration::from_millis(20))
}

pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// As many pieces as one write takes; more are rarely there.
const MAX_SLICES: usize = 16;
