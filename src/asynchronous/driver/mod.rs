//! A transport, a connection, what waits to be written, and the clock: one step at a time.
//!
//! Every method polls, and keeps what it has come to in the value: a future over it may be dropped
//! at any point. It reads, writes and waits; every rule is the core's.

mod attempts;
mod teardown;

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use super::alarm::Alarm;
use super::pool::{Input, Output};
use super::tasks::{Party, Tasks};
use super::transport::{Timer, Transport};
use crate::adapter::{Error, WRITTEN_LEN, is_data, is_due, write_patience};
use crate::connection::{
    Compression, Connection, PreparedMessage, RecvBuffer, SendBuffer, State, Teardown, earlier,
};
use crate::error::{ProtocolError, SendError};
use crate::frame::{CloseCode, CloseFrame};
use crate::message::Message;

/// All of a WebSocket but its input, which a reader owns.
#[derive(Debug)]
pub(super) struct Driver<T: Transport> {
    pub(super) transport: T,
    pub(super) connection: Connection,
    pub(super) output: Output,
    alarm: Alarm<T::Timer>,
    /// The tasks that wait, where there may be more than one.
    tasks: Option<Arc<Tasks>>,
    /// When a write must have made progress; `None` while none waits.
    write_deadline: Option<Instant>,
    /// How many bytes the transport has taken.
    written: u64,
    /// Whether the transport may hold back bytes that it took.
    is_unflushed: bool,
    /// The deadline that had passed at the last read.
    passed: Option<Instant>,
    /// How many calls of the transport came to something since the task last waited.
    calls: u8,
    phase: Phase,
}

/// What is being done with the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is read and written.
    Running,
    /// It is torn down, after which the error is returned, if one is the reason.
    TearingDown {
        error: Option<ProtocolError>,
        /// Whether its writing direction is shut down.
        is_shut: bool,
    },
    /// Nothing more is read or written.
    TornDown,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replies {
    /// It may be replied to without waiting, so there must be room before it is found.
    Follow,
    /// Who replies waits for room himself. Two ends that both write much would wait for each other,
    /// if both waited with reading.
    Wait,
}

/// What there is to receive.
///
/// A word, and not a byte: an event that is returned in place of an error would be put together
/// from pieces, and whoever loads it as a whole would wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Advanced {
    /// An event.
    Event,
    /// Nothing any more.
    End,
}

impl<T: Transport> Driver<T> {
    pub(super) fn new(transport: T, mut connection: Connection, output: Output) -> Self {
        // The clocks start here, and not with the first byte, which may never come.
        connection.set_now(T::Timer::now());
        Self {
            transport,
            connection,
            output,
            alarm: Alarm::new(),
            tasks: None,
            write_deadline: None,
            written: 0,
            is_unflushed: false,
            passed: None,
            calls: 0,
            phase: Phase::Running,
        }
    }

    /// From here on several tasks may wait.
    pub(super) fn share(&mut self) -> Arc<Tasks> {
        Arc::clone(self.tasks.get_or_insert_default())
    }

    /// Polls on behalf of one of the tasks that may wait.
    ///
    /// The transport and the timer are given a waker that wakes all of them, because they remember
    /// the last one only.
    pub(super) fn poll_as<R>(
        &mut self,
        party: Party,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let Some(tasks) = self.tasks.clone() else {
            return poll(self, cx);
        };
        tasks.register(party, cx.waker());
        let state = self.connection.state();
        let polled = poll(
            self,
            &mut Context::from_waker(&Waker::from(Arc::clone(&tasks))),
        );
        if polled.is_ready() {
            tasks.forget(party);
        }
        if self.phase == Phase::TornDown {
            // What the others wait for will not come.
            tasks.wake_all();
        }
        self.tell_state(state);
        polled
    }

    /// Finds the next event in what was read before if it is a message that is whole, as most of a
    /// burst are; `false` leaves it to [`poll_advance`](Self::poll_advance).
    ///
    /// There is no other task to tell of it, and no phase to look at: a connection that is torn
    /// down is closed, and has no messages.
    #[inline]
    pub(super) fn advance_at_once(&mut self, input: &mut Input) -> bool {
        !self.owes_write()
            && input
                .ready()
                .is_some_and(|input| self.connection.advance_at_once(input))
    }

    /// Finds the next event, reading and writing as it takes.
    pub(super) fn poll_advance(
        &mut self,
        input: &mut Input,
        replies: Replies,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Advanced, Error>> {
        loop {
            match self.phase {
                Phase::Running => {}
                Phase::TearingDown { error, .. } => {
                    ready!(self.poll_tear_down(input, cx));
                    return Poll::Ready(error.map_or(Ok(Advanced::End), |error| Err(error.into())));
                }
                Phase::TornDown => return Poll::Ready(Ok(Advanced::End)),
            }
            if self.calls >= MOST_CALLS {
                // Other tasks have their turn, and whoever waits for one of several things looks at
                // the others. Some runtimes see to that, and some do not.
                self.calls = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // What fails once it is closed is for the tear-down, and no error.
            let is_closed = self.connection.state() == State::Closed;
            if !is_closed && self.owes_write() {
                match self.poll_write(cx) {
                    // A peer that does not read is not read from, either, where it is replied to.
                    Poll::Pending if self.holds_back(replies) => {
                        input.rest();
                        ready!(self.poll_patience(cx))?;
                    }
                    Poll::Pending | Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
            // Without a buffer nothing was received.
            let advanced = match input.peek() {
                Some(_) => self.connection.advance(input.get(), self.output.get()),
                None => Ok(false),
            };
            match advanced {
                Ok(true) => return Poll::Ready(Ok(Advanced::Event)),
                Ok(false) if self.connection.state() == State::Closed => self.begin_tear_down(None),
                Ok(false) => {
                    // Before it waits, and not sooner, so that a burst is answered in one write,
                    // also where it is longer than a read; and before others have their turn.
                    let is_held =
                        self.calls < MOST_CALLS - 1 && input.peek().is_some_and(RecvBuffer::is_cut);
                    if !is_held && let Poll::Ready(Err(error)) = self.poll_write(cx) {
                        return Poll::Ready(Err(error));
                    }
                    match self.poll_fill(input, cx) {
                        Poll::Ready(filled) => filled?,
                        Poll::Pending => {
                            if is_held && let Poll::Ready(Err(error)) = self.poll_write(cx) {
                                return Poll::Ready(Err(error));
                            }
                            input.rest();
                            self.output.rest();
                            ready!(self.poll_deadlines(cx))?;
                        }
                    }
                }
                Err(error) => self.begin_tear_down(Some(error)),
            }
        }
    }

    /// Is ready once there is room for one more message.
    #[inline]
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.is_due() || self.connection.state() != State::Open {
            return Poll::Ready(Ok(()));
        }
        self.poll_room_by_writing(cx)
    }

    fn poll_room_by_writing(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            match self.poll_write(cx) {
                Poll::Ready(written) => return Poll::Ready(written),
                Poll::Pending if !self.is_full() => return Poll::Ready(Ok(())),
                Poll::Pending => ready!(self.poll_patience(cx))?,
            }
        }
    }

    /// Writes what the transport takes at once, if so much waits that it is time; it is always
    /// ready.
    #[inline]
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.is_due() {
            return Poll::Ready(Ok(()));
        }
        match self.poll_write(cx) {
            Poll::Ready(written) => Poll::Ready(written),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    /// Writes what was queued before `mark`, which is a value of [`queued`](Self::queued).
    pub(super) fn poll_flush(
        &mut self,
        mark: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        loop {
            match self.poll_write(cx) {
                Poll::Ready(written) => {
                    self.output.rest();
                    return Poll::Ready(written);
                }
                // What others have queued since is for them to wait for.
                Poll::Pending if self.written >= mark => match self.transport.poll_flush(cx) {
                    Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                    Poll::Ready(Err(error)) => {
                        self.abandon();
                        return Poll::Ready(Err(error.into()));
                    }
                    Poll::Pending => ready!(self.poll_patience(cx))?,
                },
                Poll::Pending => ready!(self.poll_patience(cx))?,
            }
        }
    }

    /// Queues a message of any kind.
    #[inline]
    pub(super) fn queue_message(
        &mut self,
        message: Message,
        compression: Compression,
    ) -> Result<(), SendError> {
        if !is_data(&message) {
            self.tell_time();
        }
        self.queue(|connection, output| connection.send_message_with(message, compression, output))
    }

    /// Queues a message that is encoded once for many connections.
    pub(super) fn queue_prepared(&mut self, message: &PreparedMessage) -> Result<(), SendError> {
        self.queue(|connection, output| connection.send_prepared(message, output))
    }

    /// Queues what `send` appends, which is no Close.
    #[inline]
    pub(super) fn queue(
        &mut self,
        send: impl FnOnce(&mut Connection, &mut SendBuffer) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        // It is idleness alone that a message ends, and to read the clock takes longer than to
        // queue it.
        if self.connection.config().idle_timeout.is_some() {
            self.tell_time();
        }
        self.append(send)
    }

    /// Queues a Close, whose patience begins now.
    pub(super) fn queue_close(&mut self, frame: Option<CloseFrame<'_>>) -> Result<(), SendError> {
        self.tell_time();
        self.append(|connection, output| connection.send_close(frame, output))
    }

    fn tell_time(&mut self) {
        self.connection.set_now(T::Timer::now());
    }

    #[inline]
    fn append(
        &mut self,
        send: impl FnOnce(&mut Connection, &mut SendBuffer) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let state = self.connection.state();
        let sent = send(&mut self.connection, self.output.get());
        if sent.is_err() {
            self.output.rest();
        }
        self.tell_state(state);
        sent
    }

    /// Queues a Close, unless one was sent.
    pub(super) fn begin_close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        let reason = reason.into();
        match self.queue_close(Some(CloseFrame { code, reason })) {
            Err(SendError::Closing) => Ok(()),
            sent => sent,
        }
    }

    /// Does what is due of the closing handshake where nobody reads that would do it.
    pub(super) fn poll_close_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.connection.next_deadline();
        ready!(self.alarm.poll(cx, deadline));
        self.connection
            .handle_timeout(T::Timer::now(), self.output.get());
        Poll::Ready(())
    }

    /// Whether more waits to be written than may be added to.
    pub(super) fn is_full(&self) -> bool {
        self.output.len() > self.connection.config().write_high_water
    }

    /// Whether there must be room before the next event is found. A connection that closes takes no
    /// replies.
    fn holds_back(&self, replies: Replies) -> bool {
        replies == Replies::Follow && self.is_full() && self.connection.state() == State::Open
    }

    /// Returns where the bytes end that were queued so far.
    pub(super) fn queued(&self) -> u64 {
        self.written.saturating_add(self.output.len() as u64)
    }

    /// Wakes those who wait if the connection was in another state before. One that closes has room
    /// for no message, and a deadline.
    #[inline]
    fn tell_state(&self, before: State) {
        if let Some(tasks) = &self.tasks
            && self.connection.state() != before
        {
            tasks.wake_all();
        }
    }

    /// Whether output is to be written before the next event is found.
    #[inline]
    fn owes_write(&self) -> bool {
        let output = self.output.peek();
        output.is_some_and(|output| is_due(&self.connection, output))
    }

    /// Whether so much waits that it is written though nothing waits for it.
    #[inline]
    fn is_due(&self) -> bool {
        self.output.len() >= WRITTEN_LEN.min(self.connection.config().write_high_water)
    }

    /// Writes until all is written, or the transport takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.phase == Phase::TornDown {
            return Poll::Ready(if self.output.len() == 0 {
                Ok(())
            } else {
                // It will never leave.
                Err(io::Error::from(io::ErrorKind::NotConnected).into())
            });
        }
        let outcome = loop {
            if self.output.len() == 0 {
                break match self.is_unflushed {
                    true => self.transport.poll_flush(cx),
                    false => Poll::Ready(Ok(())),
                };
            }
            let output = self.output.get();
            let polled = match output.as_slice() {
                Some(chunk) => self.transport.poll_write(cx, &[IoSlice::new(chunk)]),
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                    let mut count = 0;
                    for (slice, chunk) in slices.iter_mut().zip(output.chunks()) {
                        *slice = IoSlice::new(chunk);
                        count += 1;
                    }
                    self.transport.poll_write(cx, &slices[..count])
                }
            };
            match polled {
                Poll::Ready(Ok(0)) => {
                    break Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(len)) => {
                    let len = len.min(output.len());
                    output.consume(len);
                    self.written = self.written.saturating_add(len as u64);
                    self.calls = self.calls.saturating_add(1);
                    self.is_unflushed = true;
                    // A peer that takes one byte now and then does not keep a connection that is
                    // over.
                    if self.phase == Phase::Running && self.write_deadline.take().is_some() {
                        self.connection.sending_resumed(T::Timer::now());
                    }
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        match outcome {
            Poll::Ready(Ok(())) => {
                self.is_unflushed = false;
                self.write_deadline = None;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                self.abandon();
                Poll::Ready(Err(error.into()))
            }
            Poll::Pending => {
                // A connection that begins to close has less patience with a write that waits
                // already.
                if self.write_deadline.is_none() || self.connection.state() != State::Open {
                    let now = T::Timer::now();
                    let patience = write_patience(&self.connection, || now);
                    let stall = || patience.stall.and_then(|stall| now.checked_add(stall));
                    let deadline = self.write_deadline.or_else(stall);
                    self.write_deadline = earlier(deadline, patience.deadline);
                }
                Poll::Pending
            }
        }
    }

    /// Is ready, with an error, once a write that waits is given up.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.alarm.poll(cx, self.write_deadline));
        if self.connection.state() != State::Open {
            // It may be the deadline of the closing handshake, and is then the reason for the end.
            self.connection
                .handle_timeout(T::Timer::now(), self.output.get());
        }
        self.abandon();
        Poll::Ready(Err(Error::WriteTimeout))
    }

    /// Waits for the next deadline, and does what it asks for.
    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let deadline = earlier(self.connection.next_deadline(), self.write_deadline);
        ready!(self.alarm.poll(cx, deadline));
        let now = T::Timer::now();
        let has_passed = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        let is_close_overdue =
            self.connection.state() != State::Open && has_passed(self.connection.next_deadline());
        if has_passed(self.write_deadline) && !is_close_overdue {
            self.abandon();
            return Poll::Ready(Err(Error::WriteTimeout));
        }
        self.handle_timeout(now, cx);
        Poll::Ready(Ok(()))
    }

    /// Does what a deadline that has passed asks for.
    fn handle_timeout(&mut self, now: Instant, cx: &mut Context<'_>) {
        self.connection.handle_timeout(now, self.output.get());
        if self.connection.teardown() == Teardown::Drop {
            // The patience of the closing handshake is over, for what waits to be written as well.
            let _ = self.transport.poll_shutdown(cx);
            self.abandon();
        }
    }

    /// Reads once.
    fn poll_fill(&mut self, input: &mut Input, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let input = input.get();
        let read = loop {
            let Poll::Ready(read) = self.transport.poll_fill(cx, input) else {
                self.calls = 0;
                return Poll::Pending;
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.calls = self.calls.saturating_add(1);
        let now = T::Timer::now();
        let passed = self.connection.next_deadline().filter(|at| *at <= now);
        // What is read after a deadline may have come in time, while the task was busy elsewhere.
        // What is read after that has not: a peer that sends on and on keeps no deadline off.
        let is_overdue = passed.is_some() && self.passed == passed;
        self.passed = passed;
        self.connection.set_now(now);
        if is_overdue {
            self.handle_timeout(now, cx);
        }
        match read {
            Ok(0) => {
                self.connection.receive_eof();
            }
            Ok(_) => {}
            // TLS says so of an end that it was not told of. Whether the WebSocket was is what
            // counts.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.connection.receive_eof();
            }
            Err(error) => {
                self.abandon();
                return Poll::Ready(Err(error.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// With windows of 64 KiB that may be ten thousands of small messages.
const MOST_CALLS: u8 = 8;

/// As many pieces as one write takes; more are rarely there.
const MAX_SLICES: usize = 16;
