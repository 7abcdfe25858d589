//! Whole adapters in a world that one seed decides: many connections, a network that delays, cuts,
//! tears and resets, virtual time, and wake-ups in any order.
//!
//! A seed makes a world of some connections; of each, limits, network, faults and what its two ends
//! do are random, from the opening handshake on. Whatever happens, every message arrives at most
//! once, in order and whole; all that was confirmed arrives, unless something broke; nobody is left
//! waiting; and each end can say how it ended, in agreement with the other.
//!
//! A world that fails prints its seed. `FRAMEWRIGHT_SIM_SEED=17` runs that one again, step by step
//! the same; `FRAMEWRIGHT_SIM_SEEDS=100000` runs more of them than the default.

#![cfg(all(feature = "tokio", feature = "deflate"))]

#[path = "support/scheduler.rs"]
mod scheduler;

use std::cell::RefCell;
use std::env;
use std::io::ErrorKind;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use framewright::asynchronous::{Client, Server};
use framewright::handshake::{ClientRequest, DeflateConfig};
use framewright::tokio::{Error, Fed};
use framewright::{
    CloseCode, Compression, Config, End, EndCause, Message, MessageKind, PreparedMessage, SendError,
};

use scheduler::{
    Counter, Dice, Fault, Network, Scheduler, Sim, SimReader, SimSocket, SimStream, SimWriter,
    Slot, cancelled_at_random, sleep, timeout,
};

/// How many worlds a plain run of the tests takes, with six connections each on average.
const SEEDS: u64 = 150;

#[test]
fn every_message_arrives_once_and_in_order_or_both_ends_say_why_not() {
    let number = |name| {
        let value = env::var(name).ok()?;
        Some(value.parse::<u64>().expect("a number"))
    };
    let seeds = match number("FRAMEWRIGHT_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FRAMEWRIGHT_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let count = seeds.end - seeds.start;
    let mut total = Tally::default();
    for seed in seeds {
        total.add(&run(seed).tally);
    }
    println!("{count} worlds: {total:?}");
    // What is never reached is not tested.
    if count >= SEEDS {
        let Tally {
            connections,
            delivered,
            clean,
            broken,
            cancelled,
            compressed,
        } = total;
        assert!(
            connections > 4 * count && delivered > 20 * count,
            "{total:?}"
        );
        assert!(clean > count && broken > count, "{total:?}");
        assert!(cancelled > count && compressed > count, "{total:?}");
    }
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    let mut before = None;
    for seed in 0..20 {
        let (one, other) = (run(seed), run(seed));
        assert_eq!(one, other, "seed {seed}");
        // Not because nothing is noted.
        assert_ne!(before.replace(one.trace), Some(one.trace));
    }
}

/// Runs a world on a thread of its own: what a thread keeps for the next connection, its clock and
/// its pool of buffers, begins with it.
fn run(seed: u64) -> Ran {
    let world = thread::Builder::new().name(format!("seed {seed}"));
    let ran = world.spawn(move || World::new(seed).run());
    match ran.expect("a thread").join() {
        Ok(ran) => ran,
        Err(_) => panic!("FRAMEWRIGHT_SIM_SEED={seed} fails"),
    }
}

/// What came of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ran {
    trace: u64,
    polls: usize,
    tally: Tally,
}

/// What happened, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    connections: u64,
    /// Messages.
    delivered: u64,
    /// Connections that ended cleanly at both ends.
    clean: u64,
    broken: u64,
    /// Futures that were dropped before they were ready.
    cancelled: u64,
    /// Connections that agreed on compression.
    compressed: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.delivered += other.delivered;
        self.clean += other.clean;
        self.broken += other.broken;
        self.cancelled += other.cancelled;
        self.compressed += other.compressed;
    }
}

// -- A world --------------------------------------------------------------------------------------

struct World {
    dice: Dice,
    scheduler: Scheduler,
    connections: Vec<Connection>,
}

/// A connection as it is simulated.
struct Connection {
    plan: Plan,
    /// What each end sends; the client's is the first.
    ledgers: [Ledger; 2],
    /// `None` of an end that vanishes.
    outcomes: [Slot<Option<Outcome>>; 2],
}

/// What is to happen to a connection.
#[derive(Debug, Clone)]
struct Plan {
    config: Config,
    network: Network,
    offers_deflate: bool,
    accepts_deflate: bool,
    deflate: DeflateConfig,
    ends: [EndPlan; 2],
    fault: Option<(Duration, FaultKind)>,
}

#[derive(Debug, Clone, Copy)]
struct EndPlan {
    /// How many writers there are beside a reader; none is one task that does all.
    writers: usize,
    /// How often each writer does something.
    ops: usize,
    longest: usize,
    /// How long the end does not read, now and then.
    slowness: Duration,
    closes: Closes,
    /// After how long all of the end is dropped.
    vanishes: Option<Duration>,
}

/// How an end closes once it has done all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closes {
    /// The other one does.
    Never,
    /// It receives what still comes.
    AndReceives,
    /// It drops what still comes.
    AndDrops,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    Reset,
    /// Reset, and nobody is woken for it.
    ResetSilently,
    Tear,
    Silence,
}

/// What an end came to.
#[derive(Debug)]
struct Outcome {
    end: Option<End>,
    /// Why there was no connection.
    refusal: Option<Error>,
    error: Option<Error>,
    /// Whether it received all that there was.
    received_all: bool,
    is_compressing: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            dice: Dice::new(seed),
            scheduler: Scheduler::new(seed),
            connections: Vec::new(),
        };
        if world.dice.one_in(2) {
            // A task that is polled for no reason may not miss the wake-up that was lost.
            world.scheduler = world.scheduler.without_spurious_polls();
        }
        let count = match world.dice.one_in(50) {
            true => 60,
            false => 1 + world.dice.roll(10),
        };
        for number in 0..count {
            world.connect(number);
        }
        world
    }

    fn connect(&mut self, number: usize) {
        let plan = Plan::new(&mut self.dice);
        let (here, there) = self.scheduler.streams(plan.network);
        let fault = here.fault();
        let ledgers = [Ledger::default(), Ledger::default()];
        let client = self.add_end(number, CLIENT, here, &plan, &ledgers);
        let server = self.add_end(number, SERVER, there, &plan, &ledgers);
        if let Some((after, kind)) = plan.fault {
            let name = format!("fault of connection {number}");
            self.scheduler.spawn(name, async move {
                sleep(after).await;
                kind.strike(&fault);
            });
        }
        self.connections.push(Connection {
            plan,
            ledgers,
            outcomes: [client, server],
        });
    }

    fn add_end(
        &mut self,
        number: usize,
        side: usize,
        stream: SimStream,
        plan: &Plan,
        ledgers: &[Ledger; 2],
    ) -> Slot<Option<Outcome>> {
        let end = plan.ends[side];
        let name = format!("{} of connection {number}", ["client", "server"][side]);
        let lobby = Lobby::default();
        for writer in 0..end.writers {
            let task = Talk {
                plan: end,
                is_alone: end.writers == 1,
                number: writer,
                ledger: ledgers[side].clone(),
                dice: self.fork(),
            };
            let run = within(end.vanishes, task.write(lobby.clone()));
            self.scheduler
                .spawn(format!("writer {writer} of {name}"), run);
        }
        let task = EndTask {
            side,
            plan: plan.clone(),
            sends: ledgers[side].clone(),
            receives: ledgers[1 - side].clone(),
            dice: self.fork(),
        };
        let run = within(end.vanishes, task.run(stream, lobby));
        self.scheduler.spawn(name, run)
    }

    fn fork(&mut self) -> Dice {
        Dice::new(self.dice.roll(1 << 40) as u64)
    }

    fn run(mut self) -> Ran {
        self.scheduler.run_to_end();
        let mut tally = Tally::default();
        for connection in &self.connections {
            connection.judge(&mut tally);
        }
        Ran {
            trace: self.scheduler.trace,
            polls: self.scheduler.polls,
            tally,
        }
    }
}

/// Runs a future, but drops it after a while if it is to vanish then.
async fn within<F: Future>(vanishes: Option<Duration>, future: F) -> Option<F::Output> {
    match vanishes {
        Some(after) => timeout(after, future).await,
        None => Some(future.await),
    }
}

impl Plan {
    fn new(dice: &mut Dice) -> Self {
        let capacity = dice.pick(&[64, 1000, 20_000, 200_000]);
        let mut network = match dice.one_in(4) {
            true => Network::even(capacity),
            false => Network::moody(capacity),
        };
        network.latency = dice.pick(&[Duration::ZERO, MILLI, 20 * MILLI, 100 * MILLI]);
        let mut config = Config::default();
        config.write_high_water = dice.pick(&[0, 30, 3000, 128 << 10]);
        let mut end = || EndPlan {
            writers: dice.pick(&[0, 1, 1, 2, 3]),
            ops: dice.roll(12),
            longest: (capacity * 10).min(200_000),
            slowness: dice.pick(&[Duration::ZERO, MILLI, 100 * MILLI]),
            closes: dice.pick(&[Closes::Never, Closes::AndReceives, Closes::AndDrops]),
            vanishes: None,
        };
        let mut ends = [end(), end()];
        if ends.iter().all(|end| end.closes == Closes::Never) {
            ends[dice.roll(2)].closes = Closes::AndReceives;
        }
        let mut plan = Self {
            config,
            network,
            offers_deflate: dice.one_in(2),
            accepts_deflate: !dice.one_in(3),
            deflate: deflate_config(dice),
            ends,
            fault: None,
        };
        match dice.one_in(2) {
            true => plan.calm(dice),
            false => plan.trouble(dice),
        }
        plan
    }

    /// Leaves nothing that could end the connection but its closing handshake.
    fn calm(&mut self, dice: &mut Dice) {
        self.config.handshake_timeout = None;
        self.config.close_timeout = None;
        self.config.write_timeout = None;
        self.config.pong_timeout = None;
        if !dice.one_in(4) {
            // Nor is there a timer that would hide a wake-up that was lost.
            self.config.ping_interval = None;
        }
        // Two ends that flush, and read nothing, may wait for each other.
        if self.ends.iter().all(|end| end.writers == 0) {
            self.ends[dice.roll(2)].writers = 1;
        }
    }

    /// Breaks the connection, or lets a deadline do it.
    fn trouble(&mut self, dice: &mut Dice) {
        let seconds = |dice: &mut Dice| Duration::from_secs(1 + dice.roll(10) as u64);
        // While something happens, or in the silence after it.
        let after = match dice.one_in(4) {
            true => seconds(dice),
            false => MILLI * u32::try_from(dice.roll(300)).expect("few"),
        };
        self.config.idle_timeout = dice.one_in(4).then(|| seconds(dice));
        if dice.one_in(3) {
            self.config.ping_interval = Some(seconds(dice));
            self.config.pong_timeout = Some(seconds(dice));
        }
        self.ends[dice.roll(2)].slowness = seconds(dice);
        match dice.roll(6) {
            0 => self.fault = Some((after, FaultKind::Reset)),
            1 => self.fault = Some((after, FaultKind::ResetSilently)),
            2 => self.fault = Some((after, FaultKind::Tear)),
            3 => self.fault = Some((after, FaultKind::Silence)),
            4 => self.ends[dice.roll(2)].vanishes = Some(after),
            _ => {}
        }
    }

    /// Whether the connection ends by its closing handshake and nothing else.
    fn is_calm(&self) -> bool {
        self.config.handshake_timeout.is_none()
    }
}

fn deflate_config(dice: &mut Dice) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    config.min_len = dice.pick(&[0, 64]);
    config.level = dice.pick(&[1, 6]);
    config.server_no_context_takeover = dice.one_in(3);
    config.client_no_context_takeover = dice.one_in(3);
    config.server_max_window_bits = dice.pick(&[9, 15]);
    config.client_max_window_bits = dice.pick(&[9, 15]);
    config
}

impl FaultKind {
    fn strike(self, fault: &Fault) {
        match self {
            Self::Reset => fault.fail(ErrorKind::ConnectionReset),
            Self::ResetSilently => fault.fail_silently(ErrorKind::ConnectionReset),
            Self::Tear => fault.tear(),
            Self::Silence => fault.fall_silent(),
        }
    }
}

impl Connection {
    /// Asserts what must hold of every connection, whatever happened to it.
    fn judge(&self, tally: &mut Tally) {
        let plan = &self.plan;
        let outcomes = self.outcomes.each_ref().map(Slot::take);
        let told = || format!("{outcomes:?} of {plan:?}");
        tally.connections += 1;
        for outcome in outcomes.iter().flatten() {
            if outcome.refusal.is_some() {
                assert!(!plan.is_calm(), "{}", told());
                continue;
            }
            // Both ends obey the rules, and neither is told that the other did not.
            let end = outcome.end.as_ref();
            let end = end.unwrap_or_else(|| panic!("an end without a reason: {}", told()));
            assert!(!matches!(end.cause, EndCause::Protocol(_)), "{}", told());
            let is_transport = matches!(outcome.error, Some(Error::Io(_) | Error::WriteTimeout));
            assert!(outcome.error.is_none() || is_transport, "{}", told());
            if plan.is_calm() {
                assert!(end.is_clean() && outcome.error.is_none(), "{}", told());
                let agreed = plan.offers_deflate && plan.accepts_deflate;
                assert_eq!(outcome.is_compressing, agreed, "{}", told());
            }
        }
        let ends = outcomes.each_ref().map(|it| it.as_ref()?.end.as_ref());
        for side in [CLIENT, SERVER] {
            if let Some(end) = ends[side] {
                // A Close that came was sent, and came as it was sent.
                let sent = ends[1 - side].map(|peer| &peer.sent);
                let is_told = end.received.is_none() || sent.is_none_or(|it| *it == end.received);
                assert!(is_told, "{}", told());
            }
            let outcome = outcomes[side].as_ref();
            let has_all = outcome.is_some_and(|outcome| {
                let closed = outcome
                    .end
                    .as_ref()
                    .is_some_and(|end| end.received.is_some());
                outcome.received_all && closed && outcome.error.is_none()
            });
            self.ledgers[1 - side].judge(has_all, &told, tally);
        }
        if ends.iter().all(|end| end.is_some_and(End::is_clean)) {
            tally.clean += 1;
        } else {
            tally.broken += 1;
        }
        tally.compressed += u64::from(outcomes.iter().flatten().any(|it| it.is_compressing));
    }
}

// -- What an end does -----------------------------------------------------------------------------

/// An end from its opening handshake on, and all that is read at it.
struct EndTask {
    side: usize,
    plan: Plan,
    sends: Ledger,
    receives: Ledger,
    dice: Dice,
}

impl EndTask {
    async fn run(mut self, stream: SimStream, lobby: Lobby) -> Outcome {
        let opened = match self.side {
            CLIENT => self.ask(stream).await,
            _ => self.answer(stream).await,
        };
        let socket = match opened {
            Ok(socket) => socket,
            Err(error) => {
                lobby.admit(None);
                return Outcome {
                    end: None,
                    refusal: Some(error),
                    error: None,
                    received_all: false,
                    is_compressing: false,
                };
            }
        };
        let is_compressing = socket.connection().is_compressing();
        let plan = self.plan.ends[self.side];
        let mut outcome = if plan.writers == 0 {
            self.do_all(plan, socket).await
        } else {
            let (reader, writer) = socket.split();
            lobby.admit(Some(writer));
            self.read(plan, reader).await
        };
        outcome.is_compressing = is_compressing;
        outcome
    }

    async fn ask(&self, stream: SimStream) -> Result<SimSocket, Error> {
        let mut request = ClientRequest::new("ws://simulated/").expect("a URI");
        if self.plan.offers_deflate {
            request = request.deflate(self.plan.deflate.clone());
        }
        let client = Client::<Sim>::new(request).config(self.plan.config.clone());
        Ok(client.handshake(stream).await?.0)
    }

    async fn answer(&self, stream: SimStream) -> Result<SimSocket, Error> {
        let mut server = Server::<Sim>::new().config(self.plan.config.clone());
        if self.plan.accepts_deflate {
            server = server.deflate(self.plan.deflate.clone());
        }
        server.accept(stream).await
    }

    /// Receives until the end, while others write.
    async fn read(&mut self, plan: EndPlan, mut reader: SimReader) -> Outcome {
        let mut first_error = None;
        loop {
            let received = match self.dice.one_in(3) {
                true => cancelled_at_random(&mut self.dice, reader.recv()).await,
                false => Some(reader.recv().await),
            };
            match received {
                None => self.receives.note_cancelled(),
                Some(Ok(Some(message))) => self.receives.note_received(&message),
                Some(Ok(None)) => break,
                Some(Err(error)) => first_error = first_error.or(Some(error)),
            }
            if self.dice.one_in(5) && !plan.slowness.is_zero() {
                sleep(self.dice_time(plan.slowness)).await;
            }
        }
        Outcome {
            end: reader.end(),
            refusal: None,
            error: first_error,
            received_all: true,
            is_compressing: false,
        }
    }

    /// Sends and receives by turns, and closes perhaps.
    async fn do_all(&mut self, plan: EndPlan, mut socket: SimSocket) -> Outcome {
        let mut error = None;
        let mut talk = Talk {
            plan,
            is_alone: true,
            number: 0,
            ledger: self.sends.clone(),
            dice: Dice::new(self.dice.roll(1 << 40) as u64),
        };
        for _ in 0..2 * plan.ops {
            if self.dice.one_in(2) {
                if talk.send_something(&mut socket).await.is_err() {
                    break;
                }
                continue;
            }
            let patience = self.dice_time(20 * MILLI);
            while let Some(received) = timeout(patience, socket.recv()).await {
                match received {
                    Ok(Some(message)) => self.receives.note_received(&message),
                    Ok(None) => break,
                    Err(first) => error = error.or(Some(first)),
                }
            }
            if !plan.slowness.is_zero() && self.dice.one_in(3) {
                sleep(self.dice_time(plan.slowness)).await;
            }
        }
        let mut received_all = true;
        match plan.closes {
            Closes::Never => {}
            Closes::AndReceives => {
                let close = socket.send_close(CloseCode::NORMAL_CLOSURE, "over");
                if cancelled_at_random(&mut self.dice, close).await.is_none() {
                    // Queued or not, it is sent once.
                    let _ = socket.send_close(CloseCode::NORMAL_CLOSURE, "over").await;
                }
            }
            Closes::AndDrops => {
                received_all = false;
                let close = socket.close(CloseCode::GOING_AWAY, "enough");
                if cancelled_at_random(&mut self.dice, close).await.is_none() {
                    let end = socket.close(CloseCode::GOING_AWAY, "enough").await;
                    end.expect("a short reason");
                }
            }
        }
        loop {
            match socket.recv().await {
                Ok(Some(message)) => self.receives.note_received(&message),
                Ok(None) => break,
                Err(first) => error = error.or(Some(first)),
            }
        }
        Outcome {
            end: socket.end().cloned(),
            refusal: None,
            error,
            received_all,
            is_compressing: false,
        }
    }

    fn dice_time(&mut self, most: Duration) -> Duration {
        part_of(most, &mut self.dice)
    }
}

/// Where writers wait for their connection, and for each other.
#[derive(Debug, Clone, Default)]
struct Lobby {
    writer: Rc<RefCell<Option<SimWriter>>>,
    opened: Counter,
    done: Counter,
}

impl Lobby {
    /// Lets the writers in, or tells them that there is no connection.
    fn admit(&self, writer: Option<SimWriter>) {
        *self.writer.borrow_mut() = writer;
        self.opened.add(1);
    }

    async fn enter(&self) -> Option<SimWriter> {
        self.opened.reaches(1).await;
        self.writer.borrow().clone()
    }
}

/// What one writer says.
struct Talk {
    plan: EndPlan,
    /// Whether nobody else writes at this end, so that messages may be fragmented.
    is_alone: bool,
    number: usize,
    ledger: Ledger,
    dice: Dice,
}

impl Talk {
    async fn write(mut self, lobby: Lobby) {
        let Some(mut writer) = lobby.enter().await else {
            return;
        };
        for _ in 0..self.plan.ops {
            if self.send_something(&mut writer).await.is_err() {
                break;
            }
            if self.dice.one_in(4) {
                sleep(part_of(20 * MILLI, &mut self.dice)).await;
            }
        }
        lobby.done.add(1);
        if self.number > 0 {
            return;
        }
        lobby.done.reaches(self.plan.writers).await;
        // The reader keeps the connection; a writer is not kept for it.
        lobby.writer.borrow_mut().take();
        match self.plan.closes {
            Closes::Never => {}
            Closes::AndReceives => {
                // It fails where the other end was faster.
                let _ = writer.send_close(CloseCode::NORMAL_CLOSURE, "over").await;
            }
            Closes::AndDrops => {
                let end = writer.close(CloseCode::GOING_AWAY, "enough").await;
                end.expect("a short reason");
            }
        }
    }

    /// Sends a message, in one of the ways to do so, or a Ping.
    ///
    /// An error says that there is nothing more to be sent.
    async fn send_something(&mut self, to: &mut impl Sends) -> Result<(), Error> {
        if self.dice.one_in(8) {
            let payload = vec![7; self.dice.roll(126)];
            return match cancelled_at_random(&mut self.dice, to.send_ping(&payload)).await {
                Some(sent) => sent,
                None => Ok(()),
            };
        }
        let longest = match self.dice.roll(4) {
            0 => 10,
            1 | 2 => self.plan.longest.min(2000),
            _ => self.plan.longest,
        };
        let len = self.dice.roll(longest + 1);
        let (id, message) = self.ledger.compose(self.number, len, self.dice.one_in(2));
        let cancels = self.dice.one_in(4);
        let (fate, sent) = match self.dice.roll(if self.is_alone { 8 } else { 7 }) {
            0 => match to.try_feed(message) {
                Ok(Fed::Full(_)) => (Fate::Never, Ok(())),
                Ok(Fed::Sent | Fed::Queued(_)) => (Fate::Queued, Ok(())),
                Err(error) => (Fate::Never, Err(error)),
            },
            1 => match to.try_send(message) {
                Ok(Fed::Full(_)) => (Fate::Never, Ok(())),
                Ok(Fed::Sent | Fed::Queued(_)) => (Fate::Queued, Ok(())),
                Err(error) => (Fate::Unknown, Err(error)),
            },
            2 | 3 => {
                let feed = to.feed(message);
                match self.attempt(cancels, feed).await {
                    // "Dropped, it has not queued the message."
                    None => (Fate::Never, Ok(())),
                    Some(Ok(())) => (Fate::Queued, Ok(())),
                    Some(Err(error)) => (Fate::Unknown, Err(error)),
                }
            }
            4 => {
                let prepared = PreparedMessage::try_from(message).expect("text or binary");
                let send = to.send_prepared(&prepared);
                fate_of(self.attempt(cancels, send).await)
            }
            7 => return self.send_fragments(id, &message, to).await,
            _ => {
                let send = to.send(message);
                fate_of(self.attempt(cancels, send).await)
            }
        };
        self.ledger.decide(id, fate);
        match sent {
            // Where the other end closes first, what is not sent is not.
            Err(Error::Send(SendError::Closing)) => {
                self.ledger.decide(id, Fate::Never);
                sent
            }
            _ => sent,
        }
    }

    /// Sends a message in fragments, none of which is ever given up.
    async fn send_fragments(
        &mut self,
        id: Id,
        message: &Message,
        to: &mut impl Sends,
    ) -> Result<(), Error> {
        let kind = match message.is_text() {
            true => MessageKind::Text,
            false => MessageKind::Binary,
        };
        let mut rest = message.payload();
        loop {
            let len = self.dice.roll(rest.len() + 1);
            let (fragment, later) = rest.split_at(len);
            let fin = later.is_empty();
            let fed = loop {
                let cancels = self.dice.one_in(3);
                let feed = to.feed_fragment(kind, fragment, fin);
                if let Some(fed) = self.attempt(cancels, feed).await {
                    break fed;
                }
            };
            match fed {
                Ok(()) if fin => {
                    self.ledger.decide(id, Fate::Queued);
                    return to.flush().await;
                }
                Ok(()) => rest = later,
                Err(error) => {
                    let fate = if fin { Fate::Unknown } else { Fate::Never };
                    self.ledger.decide(id, fate);
                    return Err(error);
                }
            }
        }
    }

    /// Runs an operation; `None` if its future was dropped before it was ready.
    async fn attempt<F: Future>(&mut self, cancels: bool, operation: F) -> Option<F::Output> {
        if !cancels {
            return Some(operation.await);
        }
        let outcome = cancelled_at_random(&mut self.dice, operation).await;
        if outcome.is_none() {
            self.ledger.note_cancelled();
        }
        outcome
    }
}

fn fate_of(sent: Option<Result<(), Error>>) -> (Fate, Result<(), Error>) {
    match sent {
        // "Dropped, it has queued the message or it has not: never a part of it."
        None => (Fate::Unknown, Ok(())),
        Some(Ok(())) => (Fate::Queued, Ok(())),
        Some(Err(error)) => (Fate::Unknown, Err(error)),
    }
}

/// What can be sent to, whole or half.
trait Sends {
    async fn feed(&mut self, message: Message) -> Result<(), Error>;
    async fn send(&mut self, message: Message) -> Result<(), Error>;
    async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error>;
    async fn feed_fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
    ) -> Result<(), Error>;
    async fn send_ping(&mut self, payload: &[u8]) -> Result<(), Error>;
    async fn flush(&mut self) -> Result<(), Error>;
    fn try_feed(&mut self, message: Message) -> Result<Fed, Error>;
    fn try_send(&mut self, message: Message) -> Result<Fed, Error>;
}

macro_rules! impl_sends {
    ($type:ty) => {
        impl Sends for $type {
            async fn feed(&mut self, message: Message) -> Result<(), Error> {
                self.feed_with(message, Compression::Auto).await
            }

            async fn send(&mut self, message: Message) -> Result<(), Error> {
                <$type>::send(self, message).await
            }

            async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
                <$type>::send_prepared(self, message).await
            }

            async fn feed_fragment(
                &mut self,
                kind: MessageKind,
                payload: &[u8],
                fin: bool,
            ) -> Result<(), Error> {
                <$type>::feed_fragment(self, kind, payload, fin).await
            }

            async fn send_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
                <$type>::send_ping(self, payload).await
            }

            async fn flush(&mut self) -> Result<(), Error> {
                <$type>::flush(self).await
            }

            fn try_feed(&mut self, message: Message) -> Result<Fed, Error> {
                <$type>::try_feed(self, message)
            }

            fn try_send(&mut self, message: Message) -> Result<Fed, Error> {
                <$type>::try_send(self, message)
            }
        }
    };
}

impl_sends!(SimSocket);
impl_sends!(SimWriter);

fn part_of(most: Duration, dice: &mut Dice) -> Duration {
    let micros = usize::try_from(most.as_micros()).expect("a short time");
    Duration::from_micros(dice.roll(micros + 1) as u64)
}

// -- What was said --------------------------------------------------------------------------------

/// One direction of a connection: what was sent, and what of it arrived.
#[derive(Debug, Clone, Default)]
struct Ledger(Rc<RefCell<Book>>);

#[derive(Debug, Default)]
struct Book {
    /// Of each writer, its messages in order.
    sent: Vec<Vec<(Message, Fate)>>,
    arrived: Vec<Id>,
    cancelled: u64,
}

/// A writer, and which of its messages.
type Id = (usize, usize);

/// What a sender knows of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It may arrive.
    Unknown,
    /// It arrives, unless the connection breaks.
    Queued,
    /// It must not arrive.
    Never,
}

impl Ledger {
    /// Makes the next message of a writer, which says whose it is.
    fn compose(&self, writer: usize, len: usize, is_text: bool) -> (Id, Message) {
        let mut book = self.0.borrow_mut();
        if book.sent.len() <= writer {
            book.sent.resize_with(writer + 1, Vec::new);
        }
        let number = book.sent[writer].len();
        let mut payload = format!("{writer}:{number}:");
        let message = if is_text {
            // Characters of one to four bytes, cut anywhere by fragments and by the network.
            payload.extend("κόσμε, world, 世界, 🌍; ".chars().cycle().take(len / 3));
            Message::from(payload)
        } else {
            // No two stretches are alike within a message, nor the same ones of two messages.
            let words = (0..).map(|word| Dice::new(word ^ (number as u64) << 32).roll(1 << 40));
            let mut payload = payload.into_bytes();
            payload.extend(words.take(len / 8).flat_map(usize::to_be_bytes));
            Message::from(payload)
        };
        book.sent[writer].push((message.clone(), Fate::Unknown));
        ((writer, number), message)
    }

    fn decide(&self, (writer, number): Id, fate: Fate) {
        self.0.borrow_mut().sent[writer][number].1 = fate;
    }

    fn note_cancelled(&self) {
        self.0.borrow_mut().cancelled += 1;
    }

    /// Asserts that what arrives was sent so, and is in order.
    fn note_received(&self, message: &Message) {
        let mut book = self.0.borrow_mut();
        let start = &message.payload()[..message.payload().len().min(20)];
        let start = String::from_utf8_lossy(start);
        let mut numbers = start.split(':').map_while(|number| number.parse().ok());
        let id: Id = match (numbers.next(), numbers.next()) {
            (Some(writer), Some(number)) => (writer, number),
            other => panic!("nobody sent {start:?}: {other:?}"),
        };
        assert!(
            book.sent[id.0][id.1].0 == *message,
            "{id:?} arrives as another"
        );
        let is_later = book
            .arrived
            .iter()
            .all(|other| other.0 != id.0 || other.1 < id.1);
        assert!(is_later, "{id:?} after {:?}", book.arrived);
        book.arrived.push(id);
    }

    /// Asserts that nothing is missing among what arrived, and nothing at all if `has_all`.
    fn judge(&self, has_all: bool, told: &impl Fn() -> String, tally: &mut Tally) {
        let book = self.0.borrow();
        tally.delivered += book.arrived.len() as u64;
        tally.cancelled += book.cancelled;
        for (writer, messages) in book.sent.iter().enumerate() {
            let arrived = book
                .arrived
                .iter()
                .filter(|id| id.0 == writer)
                .map(|id| id.1);
            let last = arrived.clone().max();
            for (number, (_, fate)) in messages.iter().enumerate() {
                let is_there = arrived.clone().any(|other| other == number);
                let is_due = has_all || last.is_some_and(|last| number < last);
                match fate {
                    Fate::Never => assert!(!is_there, "{number} of {writer} in {}", told()),
                    Fate::Queued => {
                        assert!(is_there || !is_due, "{number} of {writer} in {}", told());
                    }
                    Fate::Unknown => {}
                }
            }
        }
    }
}

const CLIENT: usize = 0;
const SERVER: usize = 1;
const MILLI: Duration = Duration::from_millis(1);
