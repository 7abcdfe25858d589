//! Async streams that misbehave as they are told, and note what was done with them.
//!
//! [`Scripted`] stands for a peer: what it sends and what it takes are written down beforehand,
//! with pauses in virtual time. [`Faulty`] is any stream that fails at one of its calls. [`Drops`]
//! leads a future through all its awaits.

#![allow(
    dead_code,
    reason = "every test file is a binary of its own and uses a part of the rig"
)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use framewright::handshake::ClientRequest;
use framewright::tokio::{Client, Parts, WebSocket, accept};
use framewright::{Config, Connection, RecvBuffer, Role, SendBuffer};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::{Instant, Sleep, advance, sleep};

/// A socket over `stream`, as after somebody else's opening handshake.
pub(crate) fn socket<S: AsyncRead + AsyncWrite + Unpin>(
    role: Role,
    config: Config,
    stream: S,
) -> WebSocket<S> {
    WebSocket::from_parts(Parts {
        stream,
        connection: Connection::new(role, config.into()),
        input: RecvBuffer::new(),
        output: SendBuffer::new(),
    })
}

/// A client and a server that have met, with room for `len` bytes each way between them.
pub(crate) async fn pair(len: usize) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (here, there) = tokio::io::duplex(len);
    let client = Client::new(request());
    let (client, server) = tokio::join!(client.handshake(here), accept(there));
    (client.expect("a client").0, server.expect("a server"))
}

pub(crate) fn request() -> ClientRequest {
    ClientRequest::new("ws://localhost/").expect("a URI")
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One thing that a scripted peer does with the reading direction.
#[derive(Debug, Clone)]
pub(crate) enum Give {
    /// It sends bytes, which come in one read if there is room.
    Bytes(Vec<u8>),
    /// It sends bytes, one to a read.
    Singly(Vec<u8>),
    /// It does nothing for a while.
    Wait(Duration),
    /// The read fails.
    Fail(ErrorKind),
    /// It shuts down its writing direction.
    Eof,
    /// It sends the same again and again, with a pause before each.
    Drip(Vec<u8>, Duration),
    /// It sends the same for ever, and is never waited for: each read takes so long itself.
    Flood(Vec<u8>, Duration),
}

/// One thing that a scripted peer does with the writing direction.
#[derive(Debug, Clone)]
pub(crate) enum Take {
    /// It takes at most so many bytes of a write.
    Bytes(usize),
    /// It takes nothing for a while.
    Wait(Duration),
    /// The write fails.
    Fail(ErrorKind),
    /// It takes nothing any more.
    Never,
    /// It takes a byte at a time, with a pause before each.
    Drip(Duration),
}

/// What was done with a scripted stream, and when, from its making on.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) written: Vec<(Duration, Vec<u8>)>,
    /// Reads that brought bytes.
    pub(crate) reads: usize,
    pub(crate) bytes_read: usize,
    pub(crate) flushes: usize,
    pub(crate) shut_down: Option<Duration>,
    pub(crate) dropped: Option<Duration>,
}

/// A [`Record`], to look at while the stream is in use.
#[derive(Debug, Clone)]
pub(crate) struct Log(Arc<Mutex<Record>>);

impl Log {
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.0.lock().expect("no look panics"))
    }

    /// All that was written.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.look(|record| {
            let pieces = record.written.iter();
            pieces.flat_map(|(_, bytes)| bytes.clone()).collect()
        })
    }

    /// When something was written.
    pub(crate) fn write_times(&self) -> Vec<Duration> {
        self.look(|record| record.written.iter().map(|(at, _)| *at).collect())
    }

    pub(crate) fn writes(&self) -> usize {
        self.look(|record| record.written.len())
    }

    pub(crate) fn reads(&self) -> usize {
        self.look(|record| record.reads)
    }

    pub(crate) fn shut_down(&self) -> Option<Duration> {
        self.look(|record| record.shut_down)
    }

    pub(crate) fn dropped(&self) -> Option<Duration> {
        self.look(|record| record.dropped)
    }
}

/// A stream to a peer whose behaviour is written down beforehand.
///
/// When its script is over it sends nothing and takes everything.
#[derive(Debug)]
pub(crate) struct Scripted {
    gives: VecDeque<Give>,
    takes: VecDeque<Take>,
    giving: Pause,
    taking: Pause,
    /// Whether shutting down waits for ever, as TLS may.
    shuts_down_never: bool,
    started: Instant,
    log: Log,
}

impl Scripted {
    pub(crate) fn new(
        gives: impl IntoIterator<Item = Give>,
        takes: impl IntoIterator<Item = Take>,
    ) -> (Self, Log) {
        let log = Log(Arc::default());
        let stream = Self {
            gives: gives.into_iter().collect(),
            takes: takes.into_iter().collect(),
            giving: Pause::default(),
            taking: Pause::default(),
            shuts_down_never: false,
            started: Instant::now(),
            log: log.clone(),
        };
        (stream, log)
    }

    pub(crate) fn that_never_shuts_down(mut self) -> Self {
        self.shuts_down_never = true;
        self
    }

    /// Whether all that was to be read has been.
    pub(crate) fn is_spent(&self) -> bool {
        self.gives.is_empty()
    }

    fn note(&self, note: impl FnOnce(&mut Record, Duration)) {
        let mut record = self.log.0.lock().expect("no look panics");
        note(&mut record, self.started.elapsed());
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let bytes = loop {
            match this.gives.front_mut() {
                None => return Poll::Pending,
                Some(Give::Bytes(bytes)) => {
                    let len = bytes.len().min(room.remaining());
                    let given: Vec<u8> = bytes.drain(..len).collect();
                    if bytes.is_empty() {
                        this.gives.pop_front();
                    }
                    break given;
                }
                Some(Give::Singly(bytes)) if bytes.is_empty() => {
                    this.gives.pop_front();
                }
                Some(Give::Singly(bytes)) => break vec![bytes.remove(0)],
                Some(Give::Wait(time)) => {
                    ready!(this.giving.poll(cx, *time));
                    this.gives.pop_front();
                }
                Some(Give::Fail(kind)) => {
                    let kind = *kind;
                    this.gives.pop_front();
                    return Poll::Ready(Err(kind.into()));
                }
                Some(Give::Eof) => return Poll::Ready(Ok(())),
                Some(Give::Drip(bytes, time)) => {
                    ready!(this.giving.poll(cx, *time));
                    break bytes.clone();
                }
                Some(Give::Flood(bytes, time)) => {
                    pass(*time);
                    let reads = this.log.reads();
                    assert!(reads < 100_000, "a flood is read for ever");
                    let len = bytes.len().min(room.remaining());
                    break bytes[..len].to_vec();
                }
            }
        };
        room.put_slice(&bytes);
        this.note(|record, _| {
            record.reads += 1;
            record.bytes_read += bytes.len();
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let len = loop {
            match this.takes.front() {
                None => break bytes.len(),
                Some(Take::Bytes(most)) => {
                    let len = bytes.len().min(*most);
                    this.takes.pop_front();
                    break len;
                }
                Some(Take::Wait(time)) => {
                    ready!(this.taking.poll(cx, *time));
                    this.takes.pop_front();
                }
                Some(Take::Fail(kind)) => {
                    let kind = *kind;
                    this.takes.pop_front();
                    return Poll::Ready(Err(kind.into()));
                }
                Some(Take::Never) => return Poll::Pending,
                Some(Take::Drip(time)) => {
                    ready!(this.taking.poll(cx, *time));
                    break 1;
                }
            }
        };
        if len > 0 {
            this.note(|record, now| record.written.push((now, bytes[..len].to_vec())));
        }
        Poll::Ready(Ok(len))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        self.poll_write(cx, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note(|record, _| record.flushes += 1);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shuts_down_never {
            return Poll::Pending;
        }
        self.note(|record, now| record.shut_down = record.shut_down.or(Some(now)));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.note(|record, now| record.dropped = Some(now));
    }
}

/// A pause in virtual time, which begins when it is first polled.
#[derive(Debug, Default)]
struct Pause(Option<Pin<Box<Sleep>>>);

impl Pause {
    fn poll(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(sleep.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(())
    }
}

/// Lets virtual time pass without waiting for it.
pub(crate) fn pass(time: Duration) {
    // The clock is moved by the first poll.
    let _ = pin!(advance(time)).poll(&mut Context::from_waker(Waker::noop()));
}

/// What fails, and how; `None` is the end of the stream, or a write that takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Read(Option<ErrorKind>),
    Write(Option<ErrorKind>),
    Flush(ErrorKind),
}

/// A stream that fails at one of its calls, and from then on.
#[derive(Debug)]
pub(crate) struct Faulty<S> {
    stream: S,
    fault: Fault,
    calls_left: usize,
    has_failed: Arc<AtomicBool>,
}

impl<S> Faulty<S> {
    /// Makes a stream that fails at the call of that number, from 1 on, and says whether it has.
    pub(crate) fn new(stream: S, fault: Fault, call: usize) -> (Self, Arc<AtomicBool>) {
        let has_failed = Arc::new(AtomicBool::new(false));
        let stream = Self {
            stream,
            fault,
            calls_left: call,
            has_failed: Arc::clone(&has_failed),
        };
        (stream, has_failed)
    }

    /// Counts a call that can fail, and says whether it does.
    fn fails(&mut self) -> bool {
        self.calls_left = self.calls_left.saturating_sub(1);
        let fails = self.calls_left == 0;
        self.has_failed.fetch_or(fails, Ordering::Relaxed);
        fails
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Faulty<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Fault::Read(fault) = this.fault
            && this.fails()
        {
            return Poll::Ready(fault.map_or(Ok(()), |kind| Err(kind.into())));
        }
        Pin::new(&mut this.stream).poll_read(cx, room)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Faulty<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Fault::Write(fault) = this.fault
            && this.fails()
        {
            return Poll::Ready(fault.map_or(Ok(0), |kind| Err(kind.into())));
        }
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Fault::Flush(kind) = this.fault
            && this.fails()
        {
            return Poll::Ready(Err(kind.into()));
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// When futures are dropped.
#[derive(Debug)]
pub(crate) struct Drops {
    /// After so many polls.
    polls: usize,
    /// How many futures are still to be dropped.
    left: Cell<usize>,
}

impl Drops {
    /// Runs a scenario again and again: a future of it is dropped after no poll, after one, and so
    /// on until none is left to drop; and then every future after so many polls.
    pub(crate) async fn at_every_await(scenario: impl AsyncFn(&Self)) -> usize {
        let mut scenarios = 0;
        for polls in 0.. {
            let drops = Self {
                polls,
                left: Cell::new(1),
            };
            drops.run(&scenario).await;
            scenarios += 1;
            if drops.left.get() == 1 {
                break;
            }
        }
        for polls in 1..=3 {
            let left = Cell::new(usize::MAX);
            Self { polls, left }.run(&scenario).await;
        }
        scenarios
    }

    async fn run(&self, scenario: impl AsyncFn(&Self)) {
        let hour = secs(3600);
        if tokio::time::timeout(hour, scenario(self)).await.is_err() {
            panic!("nothing happens any more: {self:?}");
        }
    }

    /// Runs an operation; `None` if its future was dropped before it was ready.
    pub(crate) async fn attempt<T>(&self, operation: impl Future<Output = T>) -> Option<T> {
        let mut operation = pin!(operation);
        if self.left.get() == 0 {
            return Some(operation.await);
        }
        let mut left = self.polls;
        let polled = poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            match operation.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        if let Some(outcome) = polled.await {
            return Some(outcome);
        }
        self.left.set(self.left.get() - 1);
        // Others have their turn.
        tokio::task::yield_now().await;
        None
    }

    /// Runs an operation again with fresh futures until one of them is ready.
    pub(crate) async fn insist<T>(&self, mut operation: impl AsyncFnMut() -> T) -> T {
        loop {
            if let Some(outcome) = self.attempt(operation()).await {
                return outcome;
            }
        }
    }
}
