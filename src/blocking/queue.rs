//! What the halves of a split WebSocket share: the connection, and the queue that they write.
//!
//! Whoever has something to write and finds nobody writing takes all that is queued and writes it
//! without the lock, so that a write that stalls holds up nobody's queueing. It knows no protocol
//! rule, and reads nothing.

use std::io;
use std::net::Shutdown;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stream::{Stream, write_all};
use crate::adapter::{Error, WritePatience, write_patience};
use crate::connection::{Connection, SendBuffer};

/// What the halves of a WebSocket share.
pub(super) struct Shared<W> {
    queue: Mutex<Queue>,
    /// Notified when a write has finished and when the reader has ended.
    changed: Condvar,
    /// Locked only by whoever set `Queue::is_writing`, for as long as the write takes.
    stream: Mutex<W>,
    /// Another handle of the stream, to shut it down while a write waits.
    closer: Mutex<W>,
}

/// The connection, and what waits to be written.
pub(super) struct Queue {
    pub(super) connection: Connection,
    pub(super) output: SendBuffer,
    /// The memory of the last batch, for the next.
    spare: SendBuffer,
    /// What is left of a batch that a brief write did not finish.
    unfinished: SendBuffer,
    /// How many bytes of it the stream has taken and not passed on.
    unflushed_len: usize,
    /// Whether some thread is writing a batch.
    is_writing: bool,
    /// How many batches were begun; all but the one in progress are finished.
    batches: u64,
    /// Since when no byte has left.
    stalled_since: Option<Instant>,
    /// Why a write failed: then nothing more is written.
    failed: Option<Failure>,
    /// Whether the reader has torn the transport down, or was dropped.
    pub(super) is_ended: bool,
}

#[derive(Debug, Clone, Copy)]
enum Failure {
    Timeout,
    Io(io::ErrorKind),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => Self::WriteTimeout,
            Failure::Io(kind) => Self::Io(kind.into()),
        }
    }
}

/// How long a write may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Until no byte has left for a tick.
    Brief,
    /// Until the patience of the connection is at its end.
    Full,
}

impl Queue {
    /// Whether some thread is writing.
    pub(super) const fn is_writing(&self) -> bool {
        self.is_writing
    }

    /// How many batches have left as a whole.
    fn finished(&self) -> u64 {
        self.batches - u64::from(self.is_writing || self.is_unfinished())
    }

    /// Whether a batch was begun that nobody is writing.
    fn is_unfinished(&self) -> bool {
        !self.unfinished.is_empty() || self.unflushed_len > 0
    }

    /// Returns when a read must end: a tick from now where something waits that nobody is writing,
    /// or that may be left to the reader.
    pub(super) fn read_deadline(&self) -> Option<Instant> {
        let deadline = self.connection.next_deadline();
        let waits = !self.output.is_empty() || self.is_unfinished();
        if !waits || self.failed.is_some() {
            return deadline;
        }
        let tick = Instant::now().checked_add(TICK);
        deadline.map_or(tick, |deadline| tick.map(|tick| tick.min(deadline)))
    }

    /// Judges a tick in which no byte left.
    fn is_out_of_patience(&mut self) -> bool {
        let now = Instant::now();
        let since = *self.stalled_since.get_or_insert(now);
        let patience = write_patience(&self.connection, Instant::now);
        let is_stalled = patience
            .stall
            .is_some_and(|stall| now.saturating_duration_since(since) + TICK >= stall);
        is_stalled || patience.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn fail(&mut self, failure: Failure) {
        self.failed = Some(failure);
        self.connection.transport_failed();
    }
}

impl<W: Stream> Shared<W> {
    /// Writes what is queued now, or waits until another thread has, or until a deadline.
    pub(super) fn write(&self, deadline: Option<Instant>) -> Result<(), Error> {
        let mut queue = self.lock();
        let wanted = queue.batches + u64::from(!queue.output.is_empty());
        loop {
            if let Some(failure) = queue.failed {
                return Err(failure.into());
            }
            if queue.finished() >= wanted {
                return Ok(());
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(Error::WriteTimeout);
            }
            queue = if queue.is_writing {
                self.wait(queue, deadline)
            } else {
                self.write_batch(queue)
            };
        }
    }

    /// Writes one batch, unless another thread is writing.
    pub(super) fn write_once(&self, effort: Effort) -> Result<(), Error> {
        let mut queue = self.lock();
        let wanted = queue.finished() + 1;
        while queue.failed.is_none()
            && !queue.is_writing
            && queue.finished() < wanted
            && (!queue.output.is_empty() || queue.is_unfinished())
        {
            queue = self.write_batch(queue);
            if effort == Effort::Brief {
                break;
            }
        }
        queue.failed.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Writes a batch, or goes on with it, without the lock and until no byte leaves for a tick.
    fn write_batch<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let state = &mut *queue;
        state.is_writing = true;
        let mut batch;
        if state.is_unfinished() {
            batch = core::mem::take(&mut state.unfinished);
        } else {
            state.batches += 1;
            let spare = core::mem::take(&mut state.spare);
            batch = core::mem::replace(&mut state.output, spare);
        }
        let len = batch.len() + state.unflushed_len;
        drop(queue);
        let guard = Unwinding { shared: self };
        let (written, unflushed_len) = {
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            let patience = WritePatience {
                stall: Some(TICK),
                deadline: None,
            };
            let written = write_all(&mut *stream, &mut batch, patience);
            (written, stream.unflushed_len())
        };
        core::mem::forget(guard);
        let mut queue = self.lock();
        queue.is_writing = false;
        queue.unflushed_len = unflushed_len;
        // TLS makes bytes longer as it takes them, by less than it will have passed on a tick
        // later.
        if batch.len() + unflushed_len < len {
            queue.stalled_since = None;
        }
        let failure = match written {
            Ok(()) => None,
            Err(Error::WriteTimeout) => queue.is_out_of_patience().then_some(Failure::Timeout),
            Err(Error::Io(error)) => Some(Failure::Io(error.kind())),
            Err(_) => Some(Failure::Io(io::ErrorKind::Other)),
        };
        if batch.is_empty() {
            if unflushed_len == 0 {
                queue.spare = batch;
            }
        } else {
            queue.unfinished = batch;
        }
        if let Some(failure) = failure {
            queue.fail(failure);
            // It wakes a reader that waits for what will not come.
            self.shut_down();
        }
        self.changed.notify_all();
        queue
    }

    /// Shuts down both directions, which ends a read or write that waits.
    pub(super) fn shut_down(&self) {
        let mut closer = self.closer.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = closer.shut_down(Shutdown::Both);
    }
}

/// Ends the waiting of others where a stream of the caller's panics while it is written.
struct Unwinding<'a, W> {
    shared: &'a Shared<W>,
}

impl<W> Drop for Unwinding<'_, W> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.is_writing = false;
        queue.fail(Failure::Io(io::ErrorKind::Other));
        self.shared.changed.notify_all();
    }
}

impl<W> Shared<W> {
    pub(super) fn new(connection: Connection, output: SendBuffer, stream: W, closer: W) -> Self {
        Self {
            queue: Mutex::new(Queue {
                connection,
                output,
                spare: SendBuffer::new(),
                unfinished: SendBuffer::new(),
                unflushed_len: 0,
                is_writing: false,
                batches: 0,
                stalled_since: None,
                failed: None,
                is_ended: false,
            }),
            changed: Condvar::new(),
            stream: Mutex::new(stream),
            closer: Mutex::new(closer),
        }
    }

    /// Notes that nobody reads any more.
    pub(super) fn end(&self) {
        self.lock().is_ended = true;
        self.changed.notify_all();
    }

    /// A thread that panicked while it held the lock left the state whole: every change under it
    /// is one call of the core.
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has changed, or until a deadline, if there is one.
    pub(super) fn wait<'a>(
        &self,
        queue: MutexGuard<'a, Queue>,
        deadline: Option<Instant>,
    ) -> MutexGuard<'a, Queue> {
        let Some(deadline) = deadline else {
            return self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        };
        let remaining = deadline.saturating_duration_since(Instant::now());
        self.changed
            .wait_timeout(queue, remaining)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(queue, _)| queue)
    }
}

/// How long a write of the reader may take no byte before it reads on. A peer that is read again
/// within such a time is only slow.
pub(super) const TICK: Duration = Duration::from_millis(20);
