//! A world in one thread for async tests: tasks, a clock and a network, all by one seed.
//!
//! Each step is chosen by the seed: a woken task is polled, now and then one that was not woken, or
//! the network moves some bytes. What may be forgotten is forgotten, as it is by runtimes and
//! sockets: a stream remembers for each direction the waker of the last poll only, and of a task
//! only the waker of its last poll wakes it. A task that nobody wakes hence stands still, and
//! [`Scheduler::run`] says so, which is how a lost wake-up is found.
//!
//! The clock stands still but for a microsecond a step, and for leaps to the next timer once
//! nothing else is left to do, within the horizon that a test allows: a deadline beyond it must not
//! be what wakes a task.

#![allow(
    dead_code,
    reason = "every test file is a binary of its own and uses a part of the rig"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use framewright::asynchronous::{Reader, Runtime, Timer, Transport, WebSocket, Writer};
use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv, mask};
use framewright::tokio::Parts;
use framewright::{Config, Connection, MaskSource, RecvBuffer, Role, SendBuffer};

pub(crate) type SimSocket = WebSocket<SimTransport>;
pub(crate) type SimReader = Reader<SimTransport>;
pub(crate) type SimWriter = Writer<SimTransport>;

// -- Chance and time ------------------------------------------------------------------------------

/// Numbers that are the same in every run.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // splitmix64, so that neighbouring seeds have nothing in common.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((mixed ^ mixed >> 31) | 1)
    }

    /// Returns a number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).expect("53 bits") % sides
    }

    /// Whether one of `sides` comes.
    pub(crate) fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())]
    }
}

struct Clock {
    now: Instant,
    next_timer: u64,
    timers: BTreeMap<u64, (Instant, Option<Waker>)>,
}

thread_local! {
    /// A timer is made and asked without a context: the clock is that of the thread, as a test is.
    static CLOCK: RefCell<Clock> = RefCell::new(Clock {
        now: Instant::now(),
        next_timer: 0,
        timers: BTreeMap::new(),
    });
}

/// The time of the world.
pub(crate) fn now() -> Instant {
    CLOCK.with_borrow(|clock| clock.now)
}

/// Ready after `duration`.
pub(crate) async fn sleep(duration: Duration) {
    let mut timer = SimTimer::new(now() + duration);
    poll_fn(|cx| timer.poll_elapsed(cx)).await;
}

/// The future's value, or `None` once `duration` has passed.
pub(crate) async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    let mut timer = SimTimer::new(now() + duration);
    let mut future = Box::pin(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => timer.poll_elapsed(cx).map(|()| None),
    })
    .await
}

/// A timer that remembers the last task that asked.
#[derive(Debug)]
pub(crate) struct SimTimer {
    number: u64,
}

impl Timer for SimTimer {
    fn now() -> Instant {
        now()
    }

    fn new(deadline: Instant) -> Self {
        CLOCK.with_borrow_mut(|clock| {
            let number = clock.next_timer;
            clock.next_timer += 1;
            clock.timers.insert(number, (deadline, None));
            Self { number }
        })
    }

    fn reset(&mut self, deadline: Instant) {
        CLOCK.with_borrow_mut(|clock| {
            let timer = clock.timers.get_mut(&self.number).expect("a timer");
            // Like those of tokio and async-io, it remembers who waits.
            timer.0 = deadline;
        });
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        CLOCK.with_borrow_mut(|clock| {
            let now = clock.now;
            let (deadline, waker) = clock.timers.get_mut(&self.number).expect("a timer");
            if *deadline <= now {
                *waker = None;
                Poll::Ready(())
            } else {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    }
}

impl Drop for SimTimer {
    fn drop(&mut self) {
        let timer = CLOCK.with_borrow_mut(|clock| clock.timers.remove(&self.number));
        drop(timer);
    }
}

/// Moves the clock on, and wakes whose time has come.
fn move_clock(to: Instant) {
    let due: Vec<Waker> = CLOCK.with_borrow_mut(|clock| {
        clock.now = clock.now.max(to);
        let now = clock.now;
        let timers = clock.timers.values_mut();
        timers
            .filter(|(deadline, _)| *deadline <= now)
            .filter_map(|(_, waker)| waker.take())
            .collect()
    });
    due.into_iter().for_each(Waker::wake);
}

/// When the next timer elapses that somebody waits for.
fn next_timer() -> Option<Instant> {
    CLOCK.with_borrow(|clock| {
        let timers = clock.timers.values();
        timers
            .filter(|(_, waker)| waker.is_some())
            .map(|(deadline, _)| *deadline)
            .min()
    })
}

// -- Tasks ----------------------------------------------------------------------------------------

/// The tasks, and the network between them.
pub(crate) struct Scheduler {
    dice: Dice,
    tasks: Vec<Task>,
    pipes: Vec<Rc<RefCell<Pipe>>>,
    /// How often tasks may be polled that nobody woke: one step in so many.
    spurious: usize,
    pub(crate) polls: usize,
    /// What was done, in order, mixed into a number: two runs of a seed must come to the same.
    pub(crate) trace: u64,
}

struct Task {
    name: String,
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    is_woken: Arc<AtomicBool>,
}

/// Nothing is left to do, and these have not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stuck(pub(crate) Vec<String>);

/// The waker of one poll; once there is a later poll, it wakes nobody.
struct PollWaker {
    is_woken: Arc<AtomicBool>,
    is_latest: AtomicBool,
}

impl Wake for PollWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_latest.load(Ordering::Relaxed) {
            self.is_woken.store(true, Ordering::Relaxed);
        }
    }
}

/// A value that a task leaves.
#[derive(Debug)]
pub(crate) struct Slot<T>(Rc<RefCell<Option<T>>>);

impl<T> Slot<T> {
    pub(crate) fn take(&self) -> T {
        self.0.borrow_mut().take().expect("the task has ended")
    }
}

impl Scheduler {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            tasks: Vec::new(),
            pipes: Vec::new(),
            spurious: 20,
            polls: 0,
            trace: 0,
        }
    }

    /// A world without spurious polls, whose number of polls says something.
    pub(crate) fn without_spurious_polls(mut self) -> Self {
        self.spurious = usize::MAX;
        self
    }

    /// Adds a task, and says where its value will be.
    pub(crate) fn spawn<T: 'static>(
        &mut self,
        name: impl Into<String>,
        future: impl Future<Output = T> + 'static,
    ) -> Slot<T> {
        let slot = Rc::new(RefCell::new(None));
        let filled = Rc::clone(&slot);
        self.tasks.push(Task {
            name: name.into(),
            future: Some(Box::pin(async move {
                let value = future.await;
                *filled.borrow_mut() = Some(value);
            })),
            is_woken: Arc::new(AtomicBool::new(true)),
        });
        Slot(slot)
    }

    /// Runs until all tasks have ended.
    ///
    /// # Errors
    ///
    /// [`Stuck`], where no timer within `horizon` helps.
    pub(crate) fn run(&mut self, horizon: Duration) -> Result<(), Stuck> {
        let mut wakers: Vec<Option<Arc<PollWaker>>> = self.tasks.iter().map(|_| None).collect();
        loop {
            let unfinished: Vec<usize> = (0..self.tasks.len())
                .filter(|&index| self.tasks[index].future.is_some())
                .collect();
            if unfinished.is_empty() {
                return Ok(());
            }
            let woken: Vec<usize> = unfinished
                .iter()
                .copied()
                .filter(|&index| self.tasks[index].is_woken.load(Ordering::Relaxed))
                .collect();
            let busy: Vec<usize> = (0..self.pipes.len())
                .filter(|&index| self.pipes[index].borrow().is_busy())
                .collect();
            let choices = woken.len() + busy.len();
            if choices == 0 {
                let arrivals = self.pipes.iter().filter_map(|it| it.borrow().arrival());
                match arrivals.chain(next_timer()).min() {
                    Some(time) if time <= now() + horizon => move_clock(time),
                    Some(_) | None => {
                        let names = unfinished.iter().map(|&index| &self.tasks[index].name);
                        return Err(Stuck(names.cloned().collect()));
                    }
                }
                continue;
            }
            let index = if self.spurious < usize::MAX && self.dice.one_in(self.spurious) {
                unfinished[self.dice.roll(unfinished.len())]
            } else {
                match self.dice.roll(choices) {
                    choice if choice < woken.len() => woken[choice],
                    choice => {
                        let number = busy[choice - woken.len()];
                        let waker = self.pipes[number].borrow_mut().step(&mut self.dice);
                        let readable_len = self.pipes[number].borrow().readable_len();
                        self.note(&[1, number as u64, readable_len]);
                        waker.into_iter().for_each(Waker::wake);
                        continue;
                    }
                }
            };
            self.polls += 1;
            self.note(&[2, index as u64]);
            assert!(self.polls < 2_000_000, "tasks are polled without end");
            move_clock(now() + Duration::from_micros(1));
            let task = &mut self.tasks[index];
            task.is_woken.store(false, Ordering::Relaxed);
            let waker = Arc::new(PollWaker {
                is_woken: Arc::clone(&task.is_woken),
                is_latest: AtomicBool::new(true),
            });
            if let Some(stale) = wakers[index].replace(Arc::clone(&waker)) {
                stale.is_latest.store(false, Ordering::Relaxed);
            }
            let waker = Waker::from(waker);
            if let Some(future) = &mut task.future
                && future
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
            {
                task.future = None;
            }
        }
    }

    /// Runs until all tasks have ended, whatever deadline that takes.
    pub(crate) fn run_to_end(&mut self) {
        if let Err(Stuck(names)) = self.run(Duration::from_secs(3600)) {
            panic!("nobody wakes {}", names.join(", "));
        }
    }

    /// Mixes what was done into the trace, as FNV-1a does.
    fn note(&mut self, done: &[u64]) {
        for number in done {
            self.trace = (self.trace ^ number).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Makes two streams that lead to each other.
    pub(crate) fn streams(&mut self, network: Network) -> (SimStream, SimStream) {
        let mut pipe = |capacity| {
            let dice = Dice::new(self.dice.0);
            let pipe = Pipe::new(capacity, network, dice);
            self.dice.roll(2);
            let pipe = Rc::new(RefCell::new(pipe));
            self.pipes.push(Rc::clone(&pipe));
            pipe
        };
        let (there, back) = (pipe(network.capacity), pipe(network.capacity));
        let here = SimStream {
            read: Rc::clone(&back),
            write: Rc::clone(&there),
        };
        let other = SimStream {
            read: there,
            write: back,
        };
        (here, other)
    }

    /// Makes a client and a server that are connected.
    pub(crate) fn sockets(&mut self, network: Network, config: &Config) -> (SimSocket, SimSocket) {
        let (here, there) = self.streams(network);
        (
            socket(here, Role::Client, config),
            socket(there, Role::Server, config),
        )
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("tasks", &self.tasks.len())
            .field("polls", &self.polls)
            .finish_non_exhaustive()
    }
}

/// Runs other tasks first.
pub(crate) async fn yield_now() {
    let mut is_second = false;
    poll_fn(|cx| {
        if is_second {
            return Poll::Ready(());
        }
        is_second = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls a future until it is ready, or until chance drops it, which may be before its first poll.
pub(crate) async fn cancelled_at_random<F: Future>(
    dice: &mut Dice,
    future: F,
) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut polls_left = dice.roll(6);
    poll_fn(|cx| {
        if polls_left == 0 {
            return Poll::Ready(None);
        }
        polls_left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => {
                // Whatever comes first, a wake-up that it waits for or the end of patience.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

/// A number that tasks wait for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Rc<RefCell<(usize, Vec<Waker>)>>);

impl Counter {
    pub(crate) fn add(&self, number: usize) {
        let mut inner = self.0.borrow_mut();
        inner.0 += number;
        let wakers = std::mem::take(&mut inner.1);
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.borrow().0
    }

    pub(crate) async fn reaches(&self, number: usize) {
        poll_fn(|cx| {
            let mut inner = self.0.borrow_mut();
            if inner.0 >= number {
                return Poll::Ready(());
            }
            inner.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

// -- Seeds ----------------------------------------------------------------------------------------

/// Runs a scenario with the seeds 0 to `count`, or as many as `FRAMEWRIGHT_SEEDS` says, or with
/// `FRAMEWRIGHT_SEED` alone, and says with which it failed.
pub(crate) fn with_seeds(count: u64, scenario: impl Fn(u64)) {
    let number = |name| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().expect("a number"))
    };
    let seeds = match number("FRAMEWRIGHT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FRAMEWRIGHT_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        let told = Seed(seed);
        scenario(seed);
        drop(told);
    }
}

/// Says which seed it was, where a scenario panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("FRAMEWRIGHT_SEED={} fails", self.0);
        }
    }
}

// -- The network ----------------------------------------------------------------------------------

/// What lies between two ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    /// How many bytes are on their way, or wait to be read, at most.
    pub(crate) capacity: usize,
    /// Whether reads and writes are of any length, and now and then do nothing but wake the task,
    /// as those of tokio whose budget is spent.
    pub(crate) is_moody: bool,
    /// How long bytes are on their way at most.
    pub(crate) latency: Duration,
}

impl Network {
    /// Takes and gives as much as it can.
    pub(crate) const fn even(capacity: usize) -> Self {
        Self {
            capacity,
            is_moody: false,
            latency: Duration::ZERO,
        }
    }

    pub(crate) const fn moody(capacity: usize) -> Self {
        Self {
            capacity,
            is_moody: true,
            latency: Duration::ZERO,
        }
    }
}

/// One direction.
struct Pipe {
    network: Network,
    capacity: usize,
    dice: Dice,
    in_flight: VecDeque<u8>,
    readable: VecDeque<u8>,
    /// Whether the writing end has closed, and whether that has arrived.
    is_shut: bool,
    has_ended: bool,
    is_reader_gone: bool,
    /// Until when what is on its way stays there.
    held_until: Option<Instant>,
    /// Whether nothing arrives any more.
    is_silent: bool,
    failure: Option<ErrorKind>,
    /// Whether a write had to wait, and was not told yet that there is room again.
    is_write_blocked: bool,
    read_waker: Option<Waker>,
    write_waker: Option<Waker>,
}

impl Pipe {
    const fn new(capacity: usize, network: Network, dice: Dice) -> Self {
        Self {
            network,
            capacity,
            dice,
            in_flight: VecDeque::new(),
            readable: VecDeque::new(),
            is_shut: false,
            has_ended: false,
            is_reader_gone: false,
            held_until: None,
            is_silent: false,
            failure: None,
            is_write_blocked: false,
            read_waker: None,
            write_waker: None,
        }
    }

    fn room(&self) -> usize {
        self.capacity
            .saturating_sub(self.in_flight.len() + self.readable.len())
    }

    /// Whether the network has something to do.
    fn is_busy(&self) -> bool {
        self.delivers() || (self.is_write_blocked && self.room() > 0)
    }

    /// Whether something that is on its way can arrive.
    fn delivers(&self) -> bool {
        self.is_under_way() && self.held_until.is_none_or(|until| until <= now())
    }

    fn is_under_way(&self) -> bool {
        !self.is_silent && (!self.in_flight.is_empty() || (self.is_shut && !self.has_ended))
    }

    /// When what is held on its way arrives.
    fn arrival(&self) -> Option<Instant> {
        self.held_until.filter(|_| self.is_under_way())
    }

    /// Holds what is on its way for a while.
    fn hold(&mut self) {
        let most = usize::try_from(self.network.latency.as_micros()).expect("a short latency");
        if most > 0 {
            let micros = self.dice.roll(most) as u64;
            self.held_until = Some(now() + Duration::from_micros(micros));
        }
    }

    fn readable_len(&self) -> u64 {
        self.readable.len() as u64
    }

    /// Does one thing, and returns who is to be woken.
    fn step(&mut self, dice: &mut Dice) -> Option<Waker> {
        let tells = self.is_write_blocked && self.room() > 0;
        let delivers = self.delivers();
        if tells && (!delivers || dice.one_in(2)) {
            self.is_write_blocked = false;
            return self.write_waker.take();
        }
        if self.in_flight.is_empty() {
            self.has_ended = true;
        } else {
            let len = self.in_flight.len();
            let len = match self.network.is_moody {
                true if dice.one_in(4) => 1,
                true if dice.one_in(2) => 1 + dice.roll(len),
                _ => len,
            };
            let later = self.in_flight.split_off(len);
            self.readable.append(&mut self.in_flight);
            self.in_flight = later;
            self.hold();
        }
        self.read_waker.take()
    }

    /// Whether a call of a moody stream does nothing.
    fn is_idle_call(&mut self, cx: &Context<'_>) -> bool {
        let is_idle = self.network.is_moody && self.dice.one_in(12);
        if is_idle {
            cx.waker().wake_by_ref();
        }
        is_idle
    }

    fn partial(&mut self, len: usize) -> usize {
        match self.network.is_moody {
            true if self.dice.one_in(4) => 1,
            true if self.dice.one_in(2) => 1 + self.dice.roll(len),
            _ => len,
        }
    }

    fn poll_read(&mut self, cx: &Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.failure {
            return Poll::Ready(Err(kind.into()));
        }
        if self.is_idle_call(cx) {
            return Poll::Pending;
        }
        if self.readable.is_empty() {
            if self.has_ended {
                return Poll::Ready(Ok(0));
            }
            self.read_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = self.readable.len().min(room.len());
        let len = self.partial(len);
        Poll::Ready(io::Read::read(&mut self.readable, &mut room[..len]))
    }

    fn poll_write(&mut self, cx: &Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        if let Some(kind) = self.failure {
            return Poll::Ready(Err(kind.into()));
        }
        if self.is_reader_gone || self.is_shut {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if self.is_idle_call(cx) {
            return Poll::Pending;
        }
        if self.is_write_blocked || self.room() == 0 {
            self.is_write_blocked = true;
            self.write_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let whole = pieces.iter().map(|piece| piece.len()).sum();
        let len = self.room().min(whole);
        let len = self.partial(len);
        if self.in_flight.is_empty() {
            self.hold();
        }
        let mut left = len;
        for piece in pieces {
            let taken = &piece[..left.min(piece.len())];
            self.in_flight.extend(taken);
            left -= taken.len();
        }
        Poll::Ready(Ok(len))
    }

    fn wake_all(this: &RefCell<Self>) {
        let mut pipe = this.borrow_mut();
        let wakers = [pipe.read_waker.take(), pipe.write_waker.take()];
        drop(pipe);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// One end of a connection.
pub(crate) struct SimStream {
    read: Rc<RefCell<Pipe>>,
    write: Rc<RefCell<Pipe>>,
}

impl SimStream {
    /// Lets go of the connection when it is told to, from outside of the tasks.
    pub(crate) fn fault(&self) -> Fault {
        Fault {
            pipes: [Rc::clone(&self.read), Rc::clone(&self.write)],
        }
    }

    /// Reads what there is; nothing at the end.
    pub(crate) async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 4096];
        let len = poll_fn(|cx| self.read.borrow_mut().poll_read(cx, &mut bytes)).await?;
        bytes.truncate(len);
        Ok(bytes)
    }

    pub(crate) async fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = &mut bytes[filled..];
            match poll_fn(|cx| self.read.borrow_mut().poll_read(cx, rest)).await? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => filled += len,
            }
        }
        Ok(())
    }

    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let pieces = [IoSlice::new(bytes)];
            let len = poll_fn(|cx| self.write.borrow_mut().poll_write(cx, &pieces)).await?;
            bytes = &bytes[len..];
        }
        Ok(())
    }

    /// Writes a frame as `role` sends it.
    pub(crate) async fn write_frame(
        &mut self,
        role: Role,
        opcode: Opcode,
        payload: &[u8],
    ) -> io::Result<()> {
        self.write_all(&frame(role, opcode, payload)).await
    }

    /// Reads a frame; `None` where the stream ends before one, or fails.
    pub(crate) async fn read_frame(&mut self) -> Option<(Opcode, Vec<u8>)> {
        let mut head = Vec::new();
        let header = loop {
            let mut byte = [0];
            self.read_exact(&mut byte).await.ok()?;
            head.push(byte[0]);
            if let Some(header) = FrameHeader::decode(&head).expect("a legal header") {
                break header;
            }
        };
        let mut payload = vec![0; usize::try_from(header.payload_len).expect("a short frame")];
        self.read_exact(&mut payload).await.ok()?;
        if let Some(key) = header.mask {
            mask(&mut payload, key, 0);
        }
        Some((header.opcode, payload))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.write.borrow_mut().is_shut = true;
        self.read.borrow_mut().is_reader_gone = true;
        Pipe::wake_all(&self.read);
    }
}

impl fmt::Debug for SimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimStream").finish_non_exhaustive()
    }
}

/// Breaks a connection.
pub(crate) struct Fault {
    /// What one end reads from, and what it writes to.
    pipes: [Rc<RefCell<Pipe>>; 2],
}

impl Fault {
    /// Fails all reads and writes of both ends.
    pub(crate) fn fail(&self, kind: ErrorKind) {
        for pipe in &self.pipes {
            pipe.borrow_mut().failure = Some(kind);
            Pipe::wake_all(pipe);
        }
    }

    /// Fails all reads and writes of both ends that are tried again.
    pub(crate) fn fail_silently(&self, kind: ErrorKind) {
        for pipe in &self.pipes {
            pipe.borrow_mut().failure = Some(kind);
        }
    }

    /// Ends both directions for both ends, with what is on its way lost: in the middle of a frame,
    /// perhaps.
    pub(crate) fn tear(&self) {
        for pipe in &self.pipes {
            let mut torn = pipe.borrow_mut();
            torn.in_flight.clear();
            torn.is_shut = true;
            torn.has_ended = true;
            drop(torn);
            Pipe::wake_all(pipe);
        }
    }

    /// Loses all that is written from now on; nobody is told.
    pub(crate) fn fall_silent(&self) {
        for pipe in &self.pipes {
            pipe.borrow_mut().is_silent = true;
        }
    }

    /// Fails what the end writes, as the other one reads it.
    pub(crate) fn fail_what_it_writes(&self, kind: ErrorKind) {
        let mut pipe = self.pipes[1].borrow_mut();
        pipe.failure = Some(kind);
        let waker = pipe.read_waker.take();
        drop(pipe);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").finish_non_exhaustive()
    }
}

/// A stream in memory as the adapter drives it.
#[derive(Debug)]
pub(crate) struct SimTransport(SimStream);

impl Transport for SimTransport {
    type Stream = SimStream;
    type Timer = SimTimer;

    fn new(stream: SimStream) -> Self {
        Self(stream)
    }

    fn stream(&self) -> &SimStream {
        &self.0
    }

    fn into_stream(self) -> SimStream {
        self.0
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        assert!(!room.is_empty());
        self.0.read.borrow_mut().poll_read(cx, room)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.write.borrow_mut().poll_write(cx, pieces)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.write.borrow_mut().is_idle_call(cx) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // As that of a socket, it never waits: the last one of a connection is not repeated.
        self.0.write.borrow_mut().is_shut = true;
        Poll::Ready(Ok(()))
    }
}

/// The runtime of streams in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sim {}

impl Runtime<SimStream> for Sim {
    type Transport = SimTransport;
}

// -- WebSockets -----------------------------------------------------------------------------------

/// Makes a WebSocket that is open, without an opening handshake.
pub(crate) fn socket(stream: SimStream, role: Role, config: &Config) -> SimSocket {
    let connection = Connection::new(role, Arc::new(config.clone()));
    WebSocket::from_parts(Parts {
        stream,
        connection: connection.with_masks(Box::new(OneMask)),
        input: RecvBuffer::new(),
        output: SendBuffer::new(),
    })
}

/// The same key for all frames, so that runs repeat.
#[derive(Debug)]
struct OneMask;

impl MaskSource for OneMask {
    fn next_key(&mut self) -> MaskingKey {
        KEY
    }
}

/// A frame as `role` sends it.
pub(crate) fn frame(role: Role, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        fin: true,
        rsv: Rsv::NONE,
        opcode,
        mask: (role == Role::Client).then_some(KEY),
        payload_len: payload.len() as u64,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    let start = bytes.len();
    bytes.extend(payload);
    if role == Role::Client {
        mask(&mut bytes[start..], KEY, 0);
    }
    bytes
}

const KEY: MaskingKey = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
