//! One direction of a stream in memory, and how it misbehaves.
//!
//! Bytes, a script, and who waits. Whether somebody blocks or is woken is for `stream` to know.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::task::Waker;

use super::split::{Cutter, Split};

/// How one direction of a stream in memory behaves.
///
/// By default it takes and gives as much as there is room for, and never fails.
///
/// ```
/// use framewright::test_util::{Fault, Split, Wire, stream_pair};
/// use std::io::{ErrorKind, Read, Write};
///
/// // Three bytes to a read; after seven of them the connection is reset.
/// let wire = Wire::new()
///     .reads(Split::Every(3))
///     .fail_reads_at(7, Fault::Error(ErrorKind::ConnectionReset));
/// let (mut here, mut there) = stream_pair(wire, Wire::new());
/// here.write_all(b"0123456789")?;
///
/// let mut room = [0; 16];
/// assert_eq!(there.read(&mut room)?, 3);
/// assert_eq!(there.read(&mut room)?, 3);
/// assert_eq!(there.read(&mut room)?, 1);
/// let error = there.read(&mut room).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ConnectionReset);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Wire {
    capacity: usize,
    reads: Split,
    writes: Split,
    read_fault: Option<(u64, Fault)>,
    write_fault: Option<(u64, Fault)>,
    is_reluctant: bool,
}

impl Wire {
    /// Makes a direction that does as it should.
    pub const fn new() -> Self {
        Self {
            capacity: 64 << 10,
            reads: Split::Whole,
            writes: Split::Whole,
            read_fault: None,
            write_fault: None,
            is_reluctant: false,
        }
    }

    /// Makes a direction that moves one byte at a time, and lets every operation wait once before.
    pub const fn dripping() -> Self {
        Self::new()
            .reads(Split::Every(1))
            .writes(Split::Every(1))
            .reluctant()
    }

    /// Bounds the bytes that were written and not read. Default: 64 KiB; zero counts as one.
    pub const fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = if capacity == 0 { 1 } else { capacity };
        self
    }

    /// Cuts what reads give.
    pub const fn reads(mut self, split: Split) -> Self {
        self.reads = split;
        self
    }

    /// Cuts what writes take: they are short.
    pub const fn writes(mut self, split: Split) -> Self {
        self.writes = split;
        self
    }

    /// Gives the reader so many bytes, and then the fault.
    pub const fn fail_reads_at(mut self, len: u64, fault: Fault) -> Self {
        self.read_fault = Some((len, fault));
        self
    }

    /// Takes so many bytes of the writer, and then shows it the fault.
    pub const fn fail_writes_at(mut self, len: u64, fault: Fault) -> Self {
        self.write_fault = Some((len, fault));
        self
    }

    /// Lets each operation of an async stream wait once, and be woken at once, before it is done:
    /// so every await of a program is one at which its futures can be dropped.
    ///
    /// Streams that block take no notice.
    pub const fn reluctant(mut self) -> Self {
        self.is_reluctant = true;
        self
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

/// What goes wrong with a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The operation fails, and so do all after it.
    Error(ErrorKind),
    /// The stream ends: a read gives nothing, a write takes nothing, as one of a stream that is
    /// full for ever.
    Eof,
    /// Nothing happens any more, until [`Control::resume`](super::Control::resume).
    Stall,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes: VecDeque<u8>,
    wire: Wire,
    reads: Cutter,
    writes: Cutter,
    pub(super) read_len: u64,
    pub(super) written_len: u64,
    is_writer_done: bool,
    is_reader_done: bool,
    is_stalled: bool,
    failure: Option<ErrorKind>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// Which operations have waited once.
    #[cfg(any(feature = "tokio", feature = "futures-io"))]
    has_waited: [bool; 4],
}

/// What came of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Done(usize),
    Failed(ErrorKind),
    /// Nothing, until somebody changes something.
    Wait,
}

/// What can wait once before it is done.
#[cfg(any(feature = "tokio", feature = "futures-io"))]
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    Read,
    Write,
    Flush,
    ShutDown,
}

impl Pipe {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            bytes: VecDeque::new(),
            reads: Cutter::new(wire.reads),
            writes: Cutter::new(wire.writes),
            wire,
            read_len: 0,
            written_len: 0,
            is_writer_done: false,
            is_reader_done: false,
            is_stalled: false,
            failure: None,
            reader: None,
            writer: None,
            #[cfg(any(feature = "tokio", feature = "futures-io"))]
            has_waited: [false; 4],
        }
    }

    pub(super) fn read(&mut self, room: &mut [u8]) -> Step {
        if let Some(kind) = self.failure {
            return Step::Failed(kind);
        }
        if self.is_reader_done || room.is_empty() {
            return Step::Done(0);
        }
        if self.is_stalled {
            return Step::Wait;
        }
        let most = match before_fault(self.wire.read_fault, self.read_len) {
            Ok(most) => most,
            Err(step) => return step,
        };
        let len = self.bytes.len().min(room.len()).min(most);
        if len == 0 {
            return match self.is_writer_done {
                true => Step::Done(0),
                false => Step::Wait,
            };
        }
        let len = self.reads.next_len(len);
        for (to, from) in room.iter_mut().zip(self.bytes.drain(..len)) {
            *to = from;
        }
        self.read_len += len as u64;
        Step::Done(len)
    }

    pub(super) fn write(&mut self, pieces: &[IoSlice<'_>]) -> Step {
        if let Some(kind) = self.failure {
            return Step::Failed(kind);
        }
        if self.is_writer_done || self.is_reader_done {
            return Step::Failed(ErrorKind::BrokenPipe);
        }
        let whole: usize = pieces.iter().map(|piece| piece.len()).sum();
        if whole == 0 {
            return Step::Done(0);
        }
        if self.is_stalled {
            return Step::Wait;
        }
        let most = match before_fault(self.wire.write_fault, self.written_len) {
            Ok(most) => most,
            Err(step) => return step,
        };
        let room = self.wire.capacity.saturating_sub(self.bytes.len());
        let len = whole.min(room).min(most);
        if len == 0 {
            return Step::Wait;
        }
        let len = self.writes.next_len(len);
        let mut left = len;
        for piece in pieces {
            let taken = &piece[..left.min(piece.len())];
            self.bytes.extend(taken);
            left -= taken.len();
        }
        self.written_len += len as u64;
        Step::Done(len)
    }

    pub(super) const fn end_writing(&mut self) {
        self.is_writer_done = true;
    }

    pub(super) const fn end_reading(&mut self) {
        self.is_reader_done = true;
    }

    pub(super) fn fail(&mut self, kind: ErrorKind) {
        self.bytes.clear();
        self.failure = Some(kind);
    }

    pub(super) const fn stall(&mut self) {
        self.is_stalled = true;
    }

    pub(super) fn resume(&mut self) {
        self.is_stalled = false;
        let is_stall = |fault: &mut (u64, Fault)| fault.1 == Fault::Stall;
        self.wire.read_fault.take_if(is_stall);
        self.wire.write_fault.take_if(is_stall);
    }

    pub(super) fn take_wakers(&mut self) -> [Option<Waker>; 2] {
        [self.reader.take(), self.writer.take()]
    }
}

#[cfg(any(feature = "tokio", feature = "futures-io"))]
impl Pipe {
    /// Whether an async operation waits before it is done.
    pub(super) fn waits_once(&mut self, operation: Operation) -> bool {
        let is_reluctant = self.wire.is_reluctant;
        let has_waited = self.has_waited(operation);
        *has_waited ^= is_reluctant;
        *has_waited
    }

    /// Notes that an operation cannot be done yet: it has waited enough when it can.
    ///
    /// Else a task that both reads and writes would be woken by the one, and then by the other, for
    /// ever.
    pub(super) const fn wait(&mut self, operation: Operation) {
        let is_reluctant = self.wire.is_reluctant;
        *self.has_waited(operation) = is_reluctant;
    }

    const fn has_waited(&mut self, operation: Operation) -> &mut bool {
        match operation {
            Operation::Read => &mut self.has_waited[0],
            Operation::Write => &mut self.has_waited[1],
            Operation::Flush => &mut self.has_waited[2],
            Operation::ShutDown => &mut self.has_waited[3],
        }
    }
}

/// Returns how many bytes may pass before the fault, if `passed` have.
fn before_fault(fault: Option<(u64, Fault)>, passed: u64) -> Result<usize, Step> {
    let Some((at, fault)) = fault else {
        return Ok(usize::MAX);
    };
    match at.saturating_sub(passed) {
        0 => Err(match fault {
            Fault::Error(kind) => Step::Failed(kind),
            Fault::Eof => Step::Done(0),
            Fault::Stall => Step::Wait,
        }),
        // What does not fit in memory is more than there is.
        left => Ok(usize::try_from(left).unwrap_or(usize::MAX)),
    }
}
