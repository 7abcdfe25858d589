//! The halves of an async WebSocket, and clones of the writer, on tasks of their own.
//!
//! The first part looks for lost wake-ups: scripts of many tasks over streams that remember only
//! their last waker, under a scheduler that chooses by a seed whom to poll ([`scheduler`]). Where
//! nobody is left to be polled and work is left, a wake-up was lost. `FRAMEWRIGHT_SEEDS=100000`
//! runs more of them, `FRAMEWRIGHT_SEED=17` one.
//!
//! It is not loom or shuttle: those need the locks of the crate to be theirs. Whatever the halves
//! do happens under one lock, so the order in which whole polls come is what can go wrong, and
//! which wake-ups come between them; what happens between the two locks of `feed` and of a poll on
//! another thread is left to the stress over sockets, the last part.

#![cfg(feature = "tokio")]

#[path = "support/scheduler.rs"]
mod scheduler;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use framewright::asynchronous::{Client, Server};
use framewright::frame::Opcode;
use framewright::handshake::ClientRequest;
use framewright::tokio::{Error, Fed, Parts, WebSocket};
use framewright::{
    CloseCode, CloseFrame, Config, Connection, End, EndCause, Event, Initiator, Message,
    MessageKind, RecvBuffer, Role, SendBuffer, SendError,
};
use tokio::net::{TcpListener, TcpStream};

use scheduler::{
    Counter, Dice, Network, Scheduler, Sim, SimReader, SimSocket, SimStream, SimWriter, Slot,
    Stuck, cancelled_at_random, now, sleep, socket, timeout, with_seeds, yield_now,
};

/// What is to happen without a deadline happens within this; all deadlines are later.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Deadlines of the default configuration.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

// -- Lost wake-ups --------------------------------------------------------------------------------

#[test]
fn no_wake_up_is_lost_between_two_ends_that_are_split() {
    with_seeds(1200, |seed| {
        let mut script = Script::new(seed);
        let plan = script.plan();
        script.split_end(CLIENT, &plan);
        script.split_end(SERVER, &plan);
        script.run(&plan);
    });
}

#[test]
fn no_wake_up_is_lost_where_the_peer_echoes() {
    with_seeds(800, |seed| {
        let mut script = Script::new(seed);
        let mut plan = script.plan();
        let echoing = script.dice.roll(2);
        plan.closers[echoing] = 0;
        plan.closers[1 - echoing] = 1 + script.dice.roll(2);
        plan.writers = [1 + script.dice.roll(3); 2];
        plan.writers[echoing] = 0;
        plan.close_after = script.dice.roll(plan.writes() + 1);
        script.echoing_end(echoing);
        script.split_end(1 - echoing, &plan);
        script.run(&plan);
    });
}

#[test]
fn no_wake_up_is_lost_where_a_connection_breaks() {
    with_seeds(800, |seed| {
        let mut script = Script::new(seed);
        let mut plan = script.plan();
        plan.closers = [0, 0];
        plan.can_break = true;
        let fault = script.sockets[CLIENT]
            .as_ref()
            .map(|it| it.stream().fault());
        let after = script.dice.roll(plan.writes() + 1);
        let kind = script
            .dice
            .pick(&[ErrorKind::ConnectionReset, ErrorKind::TimedOut]);
        let writes = script.writes.clone();
        script.world.spawn("fault", async move {
            writes.reaches(after).await;
            fault.expect("a stream").fail(kind);
        });
        script.split_end(CLIENT, &plan);
        script.split_end(SERVER, &plan);
        script.run(&plan);
    });
}

#[test]
fn no_wake_up_is_lost_where_an_end_vanishes() {
    with_seeds(800, |seed| {
        let mut script = Script::new(seed);
        let mut plan = script.plan();
        plan.closers = [0, 0];
        plan.can_break = true;
        let after = script.dice.roll(plan.writes() + 1);
        plan.vanishes[script.dice.roll(2)] = Some(after);
        script.split_end(CLIENT, &plan);
        script.split_end(SERVER, &plan);
        script.run(&plan);
    });
}

#[test]
fn no_wake_up_is_lost_where_a_reader_is_dropped() {
    with_seeds(800, |seed| {
        let mut script = Script::new(seed);
        let mut plan = script.plan();
        let dropping = script.dice.roll(2);
        // The other end only reads: nobody would take what it writes.
        plan.has_pings = false;
        plan.writers = [0, 0];
        plan.writers[dropping] = 1 + script.dice.roll(3);
        plan.closers = [0, 0];
        plan.closers[dropping] = 1 + script.dice.roll(2);
        plan.close_after = script.dice.roll(plan.writes() + 1);
        plan.drops_reader[dropping] = Some(script.dice.roll(plan.writes() + 1));
        script.split_end(CLIENT, &plan);
        script.split_end(SERVER, &plan);
        script.run(&plan);
    });
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// Two ends and their tasks, by one seed.
struct Script {
    dice: Dice,
    world: Scheduler,
    sockets: [Option<SimSocket>; 2],
    /// What each end sends.
    ledgers: [Ledger; 2],
    /// Whether what the client sends is what it receives.
    echoes: [bool; 2],
    /// How many operations the writers of both ends have come to the end of.
    writes: Counter,
    outcomes: Vec<(usize, Slot<Outcome>)>,
    ends: Vec<Slot<Option<End>>>,
    longest: usize,
}

/// What the tasks of the ends are to do; of two numbers the client's is the first.
#[derive(Debug, Clone)]
struct Plan {
    writers: [usize; 2],
    /// How many operations each writer has.
    ops: usize,
    closers: [usize; 2],
    /// How many operations come before somebody closes.
    close_after: usize,
    has_pings: bool,
    /// Whether the connection may end without a closing handshake.
    can_break: bool,
    /// After how many operations all of an end is dropped.
    vanishes: [Option<usize>; 2],
    /// After how many operations its reader is.
    drops_reader: [Option<usize>; 2],
}

impl Plan {
    const fn writes(&self) -> usize {
        (self.writers[0] + self.writers[1]) * self.ops
    }
}

/// What a reader came to. It lives on, so that nobody is woken because it is dropped.
#[derive(Debug)]
struct Outcome {
    end: Option<End>,
    error: Option<Error>,
    _reader: Option<SimReader>,
}

impl Script {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut world = Scheduler::new(seed);
        let capacity = dice.pick(&[1, 7, 60, 300, 2000, 100_000]);
        let mut config = Config::default();
        config.write_high_water = dice.pick(&[0, 1, 30, 300, 3000, 128 << 10]);
        if dice.one_in(4) {
            // Else there is always a timer, be it far away.
            config.ping_interval = None;
            config.write_timeout = None;
            config.close_timeout = None;
        }
        let network = match dice.one_in(4) {
            true => Network::even(capacity),
            false => Network::moody(capacity),
        };
        let (client, server) = world.sockets(network, &config);
        Self {
            longest: (capacity * 30).min(10_000),
            dice,
            world,
            sockets: [Some(client), Some(server)],
            ledgers: [Ledger::default(), Ledger::default()],
            echoes: [false, false],
            writes: Counter::default(),
            outcomes: Vec::new(),
            ends: Vec::new(),
        }
    }

    fn plan(&mut self) -> Plan {
        let dice = &mut self.dice;
        let writers = [1 + dice.roll(3), dice.roll(4)];
        let ops = 1 + dice.roll(12);
        let mut closers = [dice.roll(3), dice.roll(3)];
        if closers == [0, 0] {
            closers[dice.roll(2)] = 1;
        }
        let writes = (writers[0] + writers[1]) * ops;
        Plan {
            writers,
            ops,
            closers,
            close_after: match dice.one_in(2) {
                true => writes,
                false => dice.roll(writes + 1),
            },
            has_pings: true,
            can_break: false,
            vanishes: [None, None],
            drops_reader: [None, None],
        }
    }

    /// A reader, writers, and those who close, each a task.
    fn split_end(&mut self, end: usize, plan: &Plan) {
        let socket = self.sockets[end].take().expect("a socket");
        let (reader, writer) = socket.split();
        for number in 0..plan.writers[end] {
            let task = WriterTask {
                writer: writer.clone(),
                number: u8::try_from(number).expect("few writers"),
                ledger: self.ledgers[end].clone(),
                dice: Dice::new(self.dice.roll(1 << 40) as u64),
                longest: self.longest,
                has_pings: plan.has_pings,
                can_break: plan.can_break,
            };
            let run = task.run(plan.ops, self.writes.clone());
            let run = self.until(plan.vanishes[end], run);
            self.world.spawn(format!("writer {number} of {end}"), run);
        }
        for number in 0..plan.closers[end] {
            let dice = Dice::new(self.dice.roll(1 << 40) as u64);
            let (writes, after) = (self.writes.clone(), plan.close_after);
            let writer = writer.clone();
            let run = async move {
                writes.reaches(after).await;
                close_somehow(writer, dice).await
            };
            let ended = self.world.spawn(format!("closer {number} of {end}"), run);
            self.ends.push(ended);
        }
        let peer = match self.echoes[1 - end] {
            true => end,
            false => 1 - end,
        };
        let dice = Dice::new(self.dice.roll(1 << 40) as u64);
        let run = read(reader, self.ledgers[peer].clone(), dice);
        let dropped = plan.vanishes[end].or(plan.drops_reader[end]);
        let run = self.until(dropped, run);
        let (name, is_dropped) = (format!("reader of {end}"), dropped.is_some());
        if is_dropped {
            self.world.spawn(name, run);
        } else {
            let outcome = async move { run.await.expect("it is not dropped") };
            let outcome = self.world.spawn(name, outcome);
            self.outcomes.push((end, outcome));
        }
    }

    /// One task that returns what comes.
    fn echoing_end(&mut self, end: usize) {
        self.echoes[end] = true;
        let mut socket = self.sockets[end].take().expect("a socket");
        let mut dice = Dice::new(self.dice.roll(1 << 40) as u64);
        let name = format!("echo at {end}");
        let outcome = if dice.one_in(2) {
            self.world.spawn(name, async move {
                let error = loop {
                    match socket.recv_event().await {
                        Ok(Some((Event::Binary(data), mut outbox))) => {
                            outbox.feed_binary(data).expect("room for a reply");
                        }
                        Ok(Some(_)) => {}
                        Ok(None) => break None,
                        Err(error) => break Some(error),
                    }
                };
                Outcome {
                    end: socket.end().cloned(),
                    error,
                    _reader: None,
                }
            })
        } else {
            self.world.spawn(name, async move {
                let (mut reader, mut writer) = socket.split();
                let error = loop {
                    let echoed = match reader.recv().await {
                        Ok(Some(message)) => match dice.roll(3) {
                            0 => writer.send(message).await,
                            1 => writer.feed(message).await,
                            _ => match writer.try_feed(message).expect("an open connection") {
                                Fed::Full(message) => writer.feed(message).await,
                                Fed::Sent | Fed::Queued(_) => Ok(()),
                            },
                        },
                        Ok(None) => break None,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = echoed {
                        break Some(error);
                    }
                };
                Outcome {
                    end: reader.end(),
                    error,
                    _reader: Some(reader),
                }
            })
        };
        self.outcomes.push((end, outcome));
    }

    /// Runs a future until so many operations are over, if it is to be dropped then.
    fn until<F: Future>(
        &self,
        writes: Option<usize>,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + use<F> {
        let counter = self.writes.clone();
        async move {
            let Some(writes) = writes else {
                return Some(future.await);
            };
            until_told(future, counter.reaches(writes)).await
        }
    }

    fn run(mut self, plan: &Plan) {
        if let Err(Stuck(names)) = self.world.run(AT_ONCE) {
            panic!("nobody wakes {}: {plan:?}", names.join(", "));
        }
        for (end, outcome) in &self.outcomes {
            let outcome = outcome.take();
            assert!(outcome.end.is_some(), "{outcome:?} at {end}");
            if !plan.can_break {
                assert!(outcome.error.is_none(), "{outcome:?} at {end}");
                let ended = outcome.end.as_ref().expect("an end");
                assert!(ended.is_clean(), "{outcome:?} at {end}");
                assert_eq!(ended.cause, EndCause::ClosingHandshake);
            }
        }
        let has_all_readers = plan.drops_reader == [None, None];
        for ended in &self.ends {
            if let Some(ended) = ended.take() {
                assert!(ended.sent.is_some(), "{ended:?}");
                assert!(ended.is_clean() || !has_all_readers, "{ended:?}");
            }
        }
        for (end, ledger) in self.ledgers.iter().enumerate() {
            ledger.assert_kept(!plan.can_break, end);
        }
    }
}

/// Ends the connection, in one of the ways to do so; some of them say how it ended.
async fn close_somehow(mut writer: SimWriter, mut dice: Dice) -> Option<End> {
    let frame = CloseFrame {
        code: CloseCode::NORMAL_CLOSURE,
        reason: "over".into(),
    };
    let sent = match dice.roll(6) {
        0 => writer.send_close(CloseCode::NORMAL_CLOSURE, "over").await,
        1 => writer.send(Message::Close(Some(frame))).await,
        2 => writer.feed(Message::Close(Some(frame))).await,
        3 => {
            let close = writer.close(CloseCode::NORMAL_CLOSURE, "over");
            cancelled_at_random(&mut dice, close).await;
            Ok(())
        }
        _ => Ok(()),
    };
    assert!(matches!(
        sent,
        Ok(()) | Err(Error::Send(SendError::Closing))
    ));
    // Where nobody reads any more, it is this that ends the connection.
    let end = writer.close(CloseCode::NORMAL_CLOSURE, "over").await;
    Some(end.expect("a short reason"))
}

struct WriterTask {
    writer: SimWriter,
    number: u8,
    ledger: Ledger,
    dice: Dice,
    longest: usize,
    has_pings: bool,
    can_break: bool,
}

impl WriterTask {
    async fn run(mut self, ops: usize, counter: Counter) {
        for done in 0..ops {
            if let Err(error) = self.step().await {
                let is_over = match &error {
                    Error::Send(SendError::Closing) => true,
                    Error::Io(_) => self.can_break,
                    _ => false,
                };
                assert!(is_over, "{error:?}");
                counter.add(ops - done);
                return;
            }
            counter.add(1);
        }
    }

    async fn step(&mut self) -> Result<(), Error> {
        let choice = self.dice.roll(12);
        if choice < 7 {
            let longest = match self.dice.one_in(3) {
                true => self.longest,
                false => 30,
            };
            let len = self.dice.roll(longest + 1);
            let (message, number) = self.ledger.write(self.number, len);
            let (fate, outcome) = self.send(choice, message).await;
            self.ledger.settle(self.number, number, fate);
            return outcome;
        }
        match choice {
            7 | 8 => self.writer.flush().await,
            9 => {
                cancelled_at_random(&mut self.dice, self.writer.flush()).await;
                Ok(())
            }
            10 if self.has_pings => self.writer.send_ping(b"are you there?").await,
            _ => {
                match self.dice.one_in(2) {
                    true => sleep(Duration::from_micros(50)).await,
                    false => yield_now().await,
                }
                Ok(())
            }
        }
    }

    async fn send(&mut self, choice: usize, message: Message) -> (Fate, Result<(), Error>) {
        let is_refused = |error: &Error| matches!(error, Error::Send(_));
        let (outcome, dropped) = match choice {
            0 | 1 => (Some(self.writer.send(message).await), Fate::Either),
            2 | 3 => (Some(self.writer.feed(message).await), Fate::Either),
            4 => {
                let fed = match self.dice.one_in(2) {
                    true => self.writer.try_send(message),
                    false => self.writer.try_feed(message),
                };
                match fed {
                    Ok(Fed::Full(_)) => return (Fate::Refused, Ok(())),
                    fed => (Some(fed.map(drop)), Fate::Either),
                }
            }
            5 => {
                let send = self.writer.send(message);
                (
                    cancelled_at_random(&mut self.dice, send).await,
                    Fate::Either,
                )
            }
            _ => {
                let feed = self.writer.feed(message);
                // Dropped, it has not queued the message.
                (
                    cancelled_at_random(&mut self.dice, feed).await,
                    Fate::Refused,
                )
            }
        };
        match outcome {
            Some(Ok(())) => (Fate::Promised, Ok(())),
            Some(Err(error)) if is_refused(&error) => (Fate::Refused, Err(error)),
            Some(Err(error)) => (Fate::Either, Err(error)),
            None => (dropped, Ok(())),
        }
    }
}

/// Receives until the end, now and then in futures that are dropped.
async fn read(mut reader: SimReader, ledger: Ledger, mut dice: Dice) -> Outcome {
    let error = loop {
        let received = match dice.roll(6) {
            0 => cancelled_at_random(&mut dice, reader.recv()).await,
            1 => {
                let event = reader.recv_event().await;
                Some(event.map(|event| {
                    event.map(|event| match event {
                        Event::Binary(data) => Message::binary(data.to_vec()),
                        _ => Message::Ping(Default::default()),
                    })
                }))
            }
            _ => Some(reader.recv().await),
        };
        match received {
            Some(Ok(Some(message))) if message.is_binary() => ledger.read(message.payload()),
            Some(Ok(Some(_))) | None => {}
            Some(Ok(None)) => break None,
            Some(Err(error)) => break Some(error),
        }
        if dice.one_in(5) {
            yield_now().await;
        }
    };
    Outcome {
        end: reader.end(),
        error,
        _reader: Some(reader),
    }
}

/// What was sent in one direction, and what of it arrived.
#[derive(Debug, Clone, Default)]
struct Ledger(Rc<RefCell<BTreeMap<u8, Lane>>>);

/// The messages of one writer.
#[derive(Debug, Default)]
struct Lane {
    fates: Vec<Fate>,
    received: Vec<usize>,
}

/// What is known of a message by whom sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was sent, or fed.
    Promised,
    /// It was not.
    Refused,
    /// The future was dropped, or the connection failed.
    Either,
}

impl Ledger {
    /// Makes a message, which says whose it is and which.
    fn write(&self, writer: u8, len: usize) -> (Message, usize) {
        let mut lanes = self.0.borrow_mut();
        let lane = lanes.entry(writer).or_default();
        let number = lane.fates.len();
        lane.fates.push(Fate::Either);
        let mut payload = vec![writer];
        payload.extend(u32::try_from(number).expect("few messages").to_be_bytes());
        let start = payload.len();
        payload.resize(start + len, writer.wrapping_add(payload[4]));
        (Message::binary(payload), number)
    }

    fn settle(&self, writer: u8, number: usize, fate: Fate) {
        let mut lanes = self.0.borrow_mut();
        lanes.entry(writer).or_default().fates[number] = fate;
    }

    fn read(&self, payload: &[u8]) {
        let (head, rest) = payload.split_first_chunk::<5>().expect("a whole message");
        let number = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let fill = head[0].wrapping_add(head[4]);
        assert!(rest.iter().all(|&byte| byte == fill), "a whole message");
        let mut lanes = self.0.borrow_mut();
        let lane = lanes.get_mut(&head[0]).expect("a writer");
        lane.received
            .push(usize::try_from(number).expect("a number"));
        assert!(lane.received.is_sorted_by(|a, b| a < b), "{lane:?}");
    }

    fn assert_kept(&self, keeps_promises: bool, end: usize) {
        for (writer, lane) in self.0.borrow().iter() {
            for (number, fate) in lane.fates.iter().enumerate() {
                let is_here = lane.received.binary_search(&number).is_ok();
                let is_right = match fate {
                    Fate::Promised => is_here || !keeps_promises,
                    Fate::Refused => !is_here,
                    Fate::Either => true,
                };
                assert!(
                    is_right,
                    "message {number} of writer {writer} of {end}: {lane:?}"
                );
            }
        }
    }
}

// -- What waits is woken --------------------------------------------------------------------------

#[test]
fn what_is_fed_leaves_by_a_reader_that_waits() {
    with_raw_peer(Config::default(), |world, peer, reader, mut writer| {
        let fed = Counter::default();
        let told = fed.clone();
        world.spawn("reader", receive_until_end(reader));
        world.spawn("writer", async move {
            // The reader is waiting by now.
            sleep(Duration::from_millis(1)).await;
            writer.feed("fed").await.unwrap();
            told.reaches(1).await;
            writer
                .feed_fragment(MessageKind::Text, b"in pieces", true)
                .await
                .unwrap();
            told.reaches(2).await;
            assert!(matches!(writer.try_feed("tried"), Ok(Fed::Queued(_))));
            // It does not take a writer to write.
        });
        world.spawn("peer", async move {
            let mut peer = peer;
            for text in ["fed", "in pieces", "tried"] {
                let frame = peer.read_frame().await.unwrap();
                assert_eq!(frame, (Opcode::Text, text.into()));
                fed.add(1);
            }
        });
        AT_ONCE
    });
}

#[test]
fn what_a_dropped_send_has_queued_leaves_by_the_reader() {
    with_raw_peer(Config::default(), |world, mut peer, reader, mut writer| {
        world.spawn("reader", receive_until_end(reader));
        world.spawn("writer", async move {
            let sent = timeout(Duration::from_millis(1), writer.send(vec![7; LONG])).await;
            assert!(sent.is_none(), "the peer does not read");
        });
        world.spawn("peer", async move {
            sleep(Duration::from_millis(2)).await;
            let (opcode, payload) = peer.read_frame().await.unwrap();
            assert_eq!((opcode, payload.len()), (Opcode::Binary, LONG));
        });
        AT_ONCE
    });
}

#[test]
fn a_flush_waits_for_nothing_that_others_feed_after_it() {
    const FED: usize = 500;
    with_raw_peer(Config::default(), |world, mut peer, reader, mut writer| {
        world.spawn("reader", receive_until_end(reader));
        let fed = Counter::default();
        let (counter, mut feeder) = (fed.clone(), writer.clone());
        world.spawn("feeder", async move {
            for _ in 0..FED {
                feeder.feed(vec![7; 100]).await.unwrap();
                counter.add(1);
                // More is fed than the peer takes: the queue is never empty.
                sleep(Duration::from_micros(50)).await;
            }
        });
        world.spawn("flusher", async move {
            fed.reaches(100).await;
            writer.feed("flushed").await.unwrap();
            writer.flush().await.unwrap();
            let during = fed.get();
            assert!(during < FED, "it waited for what came after it");
        });
        world.spawn("peer", async move {
            let mut is_flushed = false;
            for _ in 0..=FED {
                is_flushed |= peer.read_frame().await.unwrap().0 == Opcode::Text;
                sleep(Duration::from_micros(200)).await;
            }
            assert!(is_flushed);
            peer
        });
        AT_ONCE
    });
}

#[test]
fn a_transport_that_fails_wakes_whoever_waits() {
    for waits in 0..5 {
        for polls_reader in [false, true] {
            for only_reads_fail in [false, true] {
                if only_reads_fail && !polls_reader {
                    // Nobody would find out.
                    continue;
                }
                with_raw_peer(narrow(), |world, peer, reader, mut writer| {
                    let fault = peer.fault();
                    let mut stalled = writer.clone();
                    world.spawn("stalled", async move {
                        let outcome = stalled.send(vec![7; LONG]).await;
                        assert!(matches!(outcome, Err(Error::Io(_))), "{outcome:?}");
                    });
                    world.spawn("waiting", async move {
                        sleep(Duration::from_millis(1)).await;
                        let outcome = match waits {
                            0 => writer.send("one").await,
                            1 => writer.feed("one").await,
                            2 => writer.flush().await,
                            3 => writer.send_ping(b"").await,
                            _ => {
                                let end = writer.close(CloseCode::NORMAL_CLOSURE, "");
                                assert!(!end.await.unwrap().is_clean());
                                return;
                            }
                        };
                        let is_told =
                            matches!(outcome, Err(Error::Io(_) | Error::Send(SendError::Closing)));
                        assert!(is_told, "{outcome:?}");
                    });
                    if polls_reader {
                        world.spawn("reader", receive_until_end(reader));
                    } else {
                        world.spawn("holder", async move {
                            sleep(Duration::from_millis(10)).await;
                            drop(reader);
                        });
                    }
                    world.spawn("fault", async move {
                        sleep(Duration::from_millis(2)).await;
                        match only_reads_fail {
                            true => fault.fail_what_it_writes(ErrorKind::ConnectionReset),
                            false => fault.fail(ErrorKind::ConnectionReset),
                        }
                        sleep(Duration::from_millis(20)).await;
                        drop(peer);
                    });
                    AT_ONCE
                });
            }
        }
    }
}

#[test]
fn a_failure_that_a_writer_finds_without_waiting_wakes_whoever_waits() {
    for feeds in [true, false] {
        with_raw_peer(narrow(), |world, peer, reader, writer| {
            let fault = peer.fault();
            let woken = Counter::default();
            let (mut stalled, counter) = (writer.clone(), woken.clone());
            world.spawn("stalled", async move {
                let outcome = stalled.send(vec![7; LONG]).await;
                assert!(matches!(outcome, Err(Error::Io(_))), "{outcome:?}");
                counter.add(1);
            });
            let counter = woken.clone();
            world.spawn("reader", async move {
                let _ = receive_until_end(reader).await;
                counter.add(1);
            });
            world.spawn("writer", async move {
                sleep(Duration::from_millis(1)).await;
                // The stream wakes nobody; the next call finds out.
                fault.fail_silently(ErrorKind::ConnectionReset);
                let outcome = match feeds {
                    true => writer.try_feed("one"),
                    false => writer.try_send("one"),
                };
                assert!(matches!(outcome, Err(Error::Io(_))), "{outcome:?}");
                woken.reaches(2).await;
                drop(peer);
            });
            AT_ONCE
        });
    }
}

#[test]
fn whoever_waits_for_room_is_told_at_once_that_the_connection_closes() {
    for closes in 0..3 {
        with_raw_peer(narrow(), |world, mut peer, reader, mut writer| {
            let told = Counter::default();
            for _ in 0..2 {
                let (mut waiting, told) = (writer.clone(), told.clone());
                world.spawn("waiting", async move {
                    let error = loop {
                        if let Err(error) = waiting.feed(vec![7; LONG]).await {
                            break error;
                        }
                    };
                    let is_closing = matches!(error, Error::Send(SendError::Closing));
                    assert!(is_closing, "{error:?}");
                    told.add(1);
                });
            }
            world.spawn("reader", receive_until_end(reader));
            world.spawn("closing", async move {
                sleep(Duration::from_millis(1)).await;
                let waited = Duration::from_millis(1);
                match closes {
                    0 => {
                        let close = writer.close(CloseCode::NORMAL_CLOSURE, "");
                        assert!(timeout(waited, close).await.is_none());
                    }
                    1 => {
                        let close = writer.send_close(CloseCode::NORMAL_CLOSURE, "");
                        assert!(timeout(waited, close).await.is_none());
                    }
                    _ => {
                        peer.write_frame(Role::Client, Opcode::Close, b"\x03\xe8")
                            .await
                            .unwrap();
                        sleep(waited).await;
                    }
                }
                // Nothing of what was queued has left.
                assert_eq!(told.get(), 2);
                drop(peer);
            });
            AT_ONCE
        });
    }
}

#[test]
fn an_idle_connection_is_polled_for_its_deadlines_only() {
    let mut world = Scheduler::new(1).without_spurious_polls();
    let (client, server) = world.sockets(Network::even(1000), &Config::default());
    let (client, client_writer) = client.split();
    let (server, mut server_writer) = server.split();
    world.spawn("client", receive_until_end(client));
    world.spawn("server", receive_until_end(server));
    let mut waiting = client_writer;
    world.spawn("closer", async move {
        sleep(Duration::from_secs(3600)).await;
        let end = server_writer.close(CloseCode::NORMAL_CLOSURE, "").await;
        assert!(end.unwrap().is_clean());
        waiting.flush().await.unwrap();
    });
    world.run_to_end();
    // A Ping every 20 seconds, which one end sends and the other answers.
    assert!(world.polls < 180 * 2 * 5, "{} polls", world.polls);
}

// -- Stalled writers, and ends that both write ----------------------------------------------------

#[test]
fn two_ends_that_both_have_much_to_write_do_not_wait_for_each_other() {
    for high_water in [0, 1000, 128 << 10] {
        with_seeds(5, |seed| {
            let mut world = Scheduler::new(seed);
            let mut config = no_deadlines();
            config.write_high_water = high_water;
            let (client, server) = world.sockets(Network::even(4000), &config);
            for socket in [client, server] {
                let (mut reader, mut writer) = socket.split();
                let received = Counter::default();
                let counter = received.clone();
                world.spawn("reader", async move {
                    while let Some(message) = reader.recv().await.unwrap() {
                        assert_eq!(message.payload().len(), 300_000);
                        counter.add(1);
                    }
                });
                world.spawn("writer", async move {
                    for _ in 0..3 {
                        writer.send(vec![7; 300_000]).await.unwrap();
                    }
                    received.reaches(3).await;
                    let end = writer.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
                    assert!(end.is_clean());
                });
            }
            assert_eq!(world.run(AT_ONCE), Ok(()));
        });
    }
}

#[test]
fn receiving_and_pongs_go_on_while_a_writer_stalls() {
    with_raw_peer(narrow(), |world, mut peer, mut reader, mut writer| {
        let received = Counter::default();
        let counter = received.clone();
        world.spawn("reader", async move {
            while let Some(message) = reader.recv().await.unwrap() {
                assert_eq!(message, Message::text("still here"));
                counter.add(1);
            }
            reader.end().unwrap()
        });
        world.spawn("writer", async move {
            writer.send(vec![7; LONG]).await.unwrap();
        });
        world.spawn("peer", async move {
            sleep(Duration::from_millis(1)).await;
            for number in 0..50 {
                peer.write_frame(Role::Client, Opcode::Ping, &[number])
                    .await
                    .unwrap();
                peer.write_frame(Role::Client, Opcode::Text, b"still here")
                    .await
                    .unwrap();
            }
            // All are received before the peer reads anything.
            received.reaches(50).await;
            assert_eq!(peer.read_frame().await.unwrap().1.len(), LONG);
            // 5.5.3: one Pong waits, the newest.
            assert_eq!(peer.read_frame().await, Some((Opcode::Pong, vec![49])));
        });
        AT_ONCE
    });
}

#[test]
fn keepalive_goes_on_without_a_writer() {
    with_raw_peer(Config::default(), |world, mut peer, reader, writer| {
        drop(writer);
        let started = now();
        let ended = world.spawn("reader", receive_until_end(reader));
        world.spawn("peer", async move {
            let (opcode, payload) = peer.read_frame().await.unwrap();
            assert_eq!(opcode, Opcode::Ping);
            assert_lasted(started, Duration::from_secs(20));
            peer.write_frame(Role::Client, Opcode::Pong, &payload)
                .await
                .unwrap();
            // The next is not answered.
            assert_eq!(peer.read_frame().await.unwrap().0, Opcode::Ping);
            let (opcode, payload) = peer.read_frame().await.unwrap();
            assert_eq!((opcode, &payload[..2]), (Opcode::Close, &b"\x03\xf3"[..]));
            assert_lasted(started, Duration::from_secs(60));
            drop(peer);
            sleep(Duration::from_millis(1)).await;
            assert_eq!(ended.take().0.unwrap().cause, EndCause::KeepaliveTimeout);
        });
        Duration::from_secs(21)
    });
}

#[test]
fn keepalive_goes_on_while_a_writer_stalls() {
    let mut config = Config::default();
    config.write_timeout = None;
    config.write_high_water = 100;
    with_raw_peer(config, |world, peer, reader, mut writer| {
        let started = now();
        world.spawn("writer", async move {
            let outcome = writer.send(vec![7; LONG]).await;
            assert!(outcome.is_err());
            assert_eq!(writer.end().unwrap().cause, EndCause::KeepaliveTimeout);
        });
        world.spawn("reader", async move {
            let (end, outcome) = receive_until_end(reader).await;
            outcome.unwrap();
            assert_eq!(end.unwrap().cause, EndCause::KeepaliveTimeout);
            // A Ping is due after 20 seconds, its Pong 20 later, and what is owed has 5.
            assert_lasted(started, Duration::from_secs(45));
            drop(peer);
        });
        Duration::from_secs(21)
    });
}

#[test]
fn a_peer_that_never_reads_is_left_after_write_timeout_and_all_are_woken() {
    with_raw_peer(no_deadlines(), |world, peer, reader, mut writer| {
        let started = now();
        let mut other = writer.clone();
        world.spawn("writer", async move {
            let outcome = writer.send(vec![7; LONG]).await;
            assert!(matches!(outcome, Err(Error::WriteTimeout | Error::Io(_))));
        });
        world.spawn("other", async move {
            sleep(Duration::from_secs(1)).await;
            let outcome = other.flush().await;
            assert!(matches!(outcome, Err(Error::WriteTimeout | Error::Io(_))));
        });
        world.spawn("reader", async move {
            let (end, _) = receive_until_end(reader).await;
            assert_eq!(end.unwrap().cause, EndCause::Transport);
            assert_lasted(started, WRITE_TIMEOUT);
            drop(peer);
        });
        WRITE_TIMEOUT
    });
}

#[test]
fn write_timeout_holds_where_nobody_waits_for_the_write_but_the_reader() {
    for sends in 0..3 {
        with_raw_peer(no_deadlines(), |world, peer, reader, mut writer| {
            world.spawn("writer", async move {
                sleep(Duration::from_secs(1)).await;
                match sends {
                    0 => drop(writer.try_send(vec![7; LONG]).unwrap()),
                    1 => drop(writer.try_feed(vec![7; LONG]).unwrap()),
                    _ => writer.feed(vec![7; LONG]).await.unwrap(),
                }
            });
            world.spawn("reader", async move {
                let started = now();
                let (_, outcome) = receive_until_end(reader).await;
                assert!(matches!(outcome, Err(Error::WriteTimeout)), "{outcome:?}");
                assert_lasted(started, Duration::from_secs(1) + WRITE_TIMEOUT);
                drop(peer);
            });
            WRITE_TIMEOUT
        });
    }
}

// -- The reader alone, the writer alone -----------------------------------------------------------

#[test]
fn a_reader_alone_answers_pings_and_the_close() {
    with_raw_peer(Config::default(), |world, mut peer, reader, mut writer| {
        world.spawn("writer", async move {
            writer.feed("the last word").await.unwrap();
        });
        world.spawn("peer", async move {
            let last = peer.read_frame().await.unwrap();
            assert_eq!(last, (Opcode::Text, b"the last word".to_vec()));
            for payload in [&b""[..], b"are you there?"] {
                peer.write_frame(Role::Client, Opcode::Ping, payload)
                    .await
                    .unwrap();
                let answer = peer.read_frame().await.unwrap();
                assert_eq!(answer, (Opcode::Pong, payload.to_vec()));
            }
            peer.write_frame(Role::Client, Opcode::Close, b"\x03\xe9")
                .await
                .unwrap();
            let answer = peer.read_frame().await.unwrap();
            assert_eq!(answer, (Opcode::Close, b"\x03\xe9".to_vec()));
            assert_eq!(peer.read_frame().await, None);
        });
        world.spawn("reader", async move {
            let (end, outcome) = receive_until_end(reader).await;
            outcome.unwrap();
            let end = end.unwrap();
            assert!(end.is_clean());
            assert_eq!((end.code(), end.initiator), (1001, Some(Initiator::Peer)));
        });
        AT_ONCE
    });
}

#[test]
fn a_writer_alone_sends_what_is_queued_and_reads_nothing() {
    with_raw_peer(Config::default(), |world, mut peer, reader, mut writer| {
        drop(reader);
        let is_asked = Counter::default();
        let asked = is_asked.clone();
        world.spawn("writer", async move {
            writer.feed("one").await.unwrap();
            assert!(writer.buffered() > 0);
            writer.flush().await.unwrap();
            assert_eq!(writer.buffered(), 0);
            asked.reaches(1).await;
            writer.send("two").await.unwrap();
            writer
        });
        world.spawn("peer", async move {
            assert_eq!(peer.read_frame().await.unwrap().1, b"one");
            peer.write_frame(Role::Client, Opcode::Ping, b"anybody?")
                .await
                .unwrap();
            sleep(Duration::from_millis(1)).await;
            is_asked.add(1);
            // No Pong comes before it.
            assert_eq!(peer.read_frame().await.unwrap().1, b"two");
        });
        AT_ONCE
    });
}

#[test]
fn the_stream_closes_with_the_last_half() {
    with_raw_peer(Config::default(), |world, mut peer, reader, writer| {
        let last = writer.clone();
        world.spawn("halves", async move {
            drop(reader);
            drop(writer);
            sleep(Duration::from_millis(5)).await;
            drop(last);
        });
        world.spawn("peer", async move {
            let started = now();
            assert_eq!(peer.read().await.unwrap(), b"");
            assert_lasted(started, Duration::from_millis(5));
        });
        AT_ONCE
    });
}

#[test]
fn what_was_received_and_queued_before_the_split_is_not_lost() {
    with_seeds(20, |seed| {
        let mut world = Scheduler::new(seed);
        let (mut peer, here) = world.streams(Network::moody(1000));
        let mut socket = socket(here, Role::Server, &Config::default());
        world.spawn("peer", async move {
            for text in ["one", "two", "three"] {
                let text = text.as_bytes();
                peer.write_frame(Role::Client, Opcode::Text, text)
                    .await
                    .unwrap();
            }
            assert_eq!(peer.read_frame().await.unwrap().1, b"fed before");
            answer_close(peer).await;
        });
        world.spawn("socket", async move {
            // All of it has arrived, and is read at once.
            sleep(Duration::from_millis(1)).await;
            assert_eq!(socket.recv().await.unwrap(), Some(Message::text("one")));
            socket.feed("fed before").await.unwrap();
            let (mut reader, mut writer) = socket.split();
            for text in ["two", "three"] {
                assert_eq!(reader.recv().await.unwrap(), Some(Message::text(text)));
            }
            writer
                .send_close(CloseCode::NORMAL_CLOSURE, "")
                .await
                .unwrap();
            assert_eq!(reader.recv().await.unwrap(), None);
        });
        assert_eq!(world.run(AT_ONCE), Ok(()));
    });
}

#[test]
fn the_subprotocol_survives_the_split() {
    with_seeds(5, |seed| {
        let mut world = Scheduler::new(seed);
        let (here, there) = world.streams(Network::moody(100));
        world.spawn("client", async move {
            let request = ClientRequest::new("ws://localhost/").unwrap();
            let request = request.subprotocol("soap").unwrap();
            let request = request.subprotocol("chat").unwrap();
            let client = Client::<Sim>::new(request).handshake(here).await;
            let (reader, _writer) = client.unwrap().0.split();
            assert_eq!(reader.subprotocol(), Some("chat"));
        });
        world.spawn("server", async move {
            let server = Server::<Sim>::new().subprotocol("chat");
            let (reader, writer) = server.accept(there).await.unwrap().split();
            assert_eq!(reader.subprotocol(), Some("chat"));
            assert!(writer.is_half_of(&reader));
        });
        assert_eq!(world.run(AT_ONCE), Ok(()));
    });
}

// -- Closing --------------------------------------------------------------------------------------

#[test]
fn closing_waits_for_the_reader_and_says_the_same_to_all() {
    with_raw_peer(Config::default(), |world, peer, reader, writer| {
        let ends: Vec<_> = (0..3)
            .map(|number| {
                let mut writer = writer.clone();
                let reason = format!("closer {number}");
                world.spawn("closer", async move {
                    writer
                        .close(CloseCode::NORMAL_CLOSURE, &reason)
                        .await
                        .unwrap()
                })
            })
            .collect();
        let read = world.spawn("reader", receive_until_end(reader));
        world.spawn("peer", async move {
            answer_close(peer).await;
            sleep(Duration::from_millis(1)).await;
            let (end, outcome) = read.take();
            outcome.unwrap();
            let end = end.unwrap();
            assert!(end.is_clean());
            assert_eq!(end.initiator, Some(Initiator::Local));
            for other in ends {
                assert_eq!(other.take(), end);
            }
        });
        AT_ONCE
    });
}

#[test]
fn closing_without_a_reader_writes_what_is_queued_and_waits_for_nobody() {
    with_raw_peer(Config::default(), |world, mut peer, reader, mut writer| {
        drop(reader);
        world.spawn("writer", async move {
            writer.feed(vec![7; LONG]).await.unwrap();
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
            assert_eq!((end.code(), end.cause), (1006, EndCause::Transport));
            assert_eq!(end.sent_code(), Some(CloseCode::NORMAL_CLOSURE));
            let again = writer.close(CloseCode::GOING_AWAY, "").await.unwrap();
            assert_eq!(again, end);
            let late = writer.send("late").await;
            assert!(matches!(late, Err(Error::Send(SendError::Closing))));
        });
        world.spawn("peer", async move {
            assert_eq!(peer.read_frame().await.unwrap().1.len(), LONG);
            let close = peer.read_frame().await.unwrap();
            assert_eq!(close, (Opcode::Close, b"\x03\xe8".to_vec()));
            assert_eq!(peer.read().await.unwrap(), b"");
        });
        AT_ONCE
    });
}

#[test]
fn closing_with_a_reader_that_is_never_polled_ends_by_close_timeout() {
    with_raw_peer(Config::default(), |world, mut peer, reader, mut writer| {
        let mut other = writer.clone();
        let started = now();
        let first = world.spawn("writer", async move {
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
            assert_lasted(started, CLOSE_TIMEOUT);
            assert_eq!(end.cause, EndCause::CloseTimeout);
            end
        });
        world.spawn("other", async move {
            let mut reader = reader;
            sleep(Duration::from_secs(1)).await;
            let end = other.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
            assert_lasted(started, CLOSE_TIMEOUT);
            sleep(Duration::from_millis(1)).await;
            assert_eq!(end, first.take());
            // Whoever polls it after all is told.
            assert_eq!(reader.recv().await.unwrap(), None);
            assert_eq!(reader.end(), Some(end));
        });
        world.spawn("peer", async move {
            let close = peer.read_frame().await.unwrap();
            assert_eq!(close, (Opcode::Close, b"\x03\xe8".to_vec()));
            // It answers, and nobody reads that.
            peer.write_frame(Role::Client, Opcode::Close, b"\x03\xe8")
                .await
                .unwrap();
            assert_eq!(peer.read_frame().await, None);
        });
        CLOSE_TIMEOUT
    });
}

#[test]
fn a_reader_that_is_dropped_lets_go_of_a_writer_that_closes() {
    with_raw_peer(Config::default(), |world, peer, reader, mut writer| {
        let started = now();
        world.spawn("writer", async move {
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
            assert_eq!(end.cause, EndCause::Transport);
            assert_lasted(started, Duration::from_millis(500));
            drop(peer);
        });
        world.spawn("reader", async move {
            sleep(Duration::from_millis(500)).await;
            drop(reader);
        });
        AT_ONCE
    });
}

#[test]
fn a_peer_that_never_answers_a_close_is_left_after_close_timeout() {
    for closes in 0..5 {
        // Without keepalive, so that no other deadline makes the reader look.
        with_raw_peer(no_deadlines(), |world, peer, reader, mut writer| {
            let started = now();
            world.spawn("writer", async move {
                let outcome = match closes {
                    0 => {
                        let end = writer.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
                        assert_eq!(end.cause, EndCause::CloseTimeout);
                        assert_lasted(started, CLOSE_TIMEOUT);
                        Ok(())
                    }
                    1 => writer.send_close(CloseCode::NORMAL_CLOSURE, "").await,
                    2 => writer.send(Message::Close(None)).await,
                    3 => writer.feed(Message::Close(None)).await,
                    _ => writer.try_send(Message::Close(None)).map(drop),
                };
                outcome.unwrap();
            });
            world.spawn("reader", async move {
                let (end, outcome) = receive_until_end(reader).await;
                outcome.unwrap();
                assert_eq!(end.unwrap().cause, EndCause::CloseTimeout);
                assert_lasted(started, CLOSE_TIMEOUT);
                drop(peer);
            });
            CLOSE_TIMEOUT
        });
    }
}

#[test]
fn closing_while_a_writer_stalls_takes_no_longer_than_close_timeout() {
    for closes in 0..2 {
        for high_water in [100, 128 << 10] {
            let mut config = no_deadlines();
            config.write_high_water = high_water;
            with_raw_peer(config, |world, peer, reader, mut writer| {
                let mut stalled = writer.clone();
                world.spawn("stalled", async move {
                    assert!(stalled.send(vec![7; LONG]).await.is_err());
                });
                let started = now() + Duration::from_secs(1);
                world.spawn("writer", async move {
                    sleep(Duration::from_secs(1)).await;
                    if closes == 0 {
                        let end = writer.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
                        assert_eq!(end.cause, EndCause::CloseTimeout);
                    } else {
                        let close = writer.send_close(CloseCode::NORMAL_CLOSURE, "");
                        assert!(close.await.is_err());
                    }
                    assert_lasted(started, CLOSE_TIMEOUT);
                });
                world.spawn("reader", async move {
                    let (end, outcome) = receive_until_end(reader).await;
                    outcome.unwrap();
                    assert_eq!(end.unwrap().cause, EndCause::CloseTimeout);
                    assert_lasted(started, CLOSE_TIMEOUT);
                    drop(peer);
                });
                CLOSE_TIMEOUT
            });
        }
    }
}

#[test]
fn closing_an_unsplit_connection_that_stalls_takes_no_longer_than_close_timeout() {
    with_seeds(5, |seed| {
        let mut world = Scheduler::new(seed);
        let mut config = no_deadlines();
        config.write_high_water = 100;
        let (peer, here) = world.streams(Network::even(1000));
        let mut socket = socket(here, Role::Server, &config);
        world.spawn("socket", async move {
            let stalls = timeout(Duration::from_secs(1), socket.send(vec![7; LONG]));
            assert!(stalls.await.is_none(), "the peer does not read");
            let started = now();
            let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
            assert_eq!(end.cause, EndCause::CloseTimeout);
            assert_lasted(started, CLOSE_TIMEOUT);
            drop(peer);
        });
        assert_eq!(world.run(CLOSE_TIMEOUT), Ok(()));
    });
}

#[test]
fn both_ends_close_at_once() {
    with_seeds(50, |seed| {
        let mut world = Scheduler::new(seed);
        let (client, server) = world.sockets(Network::moody(100), &no_deadlines());
        for socket in [client, server] {
            let (reader, mut writer) = socket.split();
            let read = world.spawn("reader", receive_until_end(reader));
            world.spawn("closer", async move {
                let end = writer.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
                assert!(end.is_clean(), "{end:?}");
                sleep(Duration::from_millis(1)).await;
                assert_eq!(read.take().0, Some(end));
            });
        }
        assert_eq!(world.run(AT_ONCE), Ok(()));
    });
}

#[test]
fn a_reason_that_is_too_long_closes_nothing() {
    with_raw_peer(Config::default(), |world, mut peer, reader, mut writer| {
        world.spawn("reader", receive_until_end(reader));
        world.spawn("writer", async move {
            let reason = "x".repeat(124);
            let refused = writer.close(CloseCode::NORMAL_CLOSURE, &reason).await;
            assert!(matches!(
                refused,
                Err(Error::Send(SendError::ReasonTooLong))
            ));
            writer.send("still open").await.unwrap();
        });
        world.spawn("peer", async move {
            assert_eq!(peer.read_frame().await.unwrap().1, b"still open");
        });
        AT_ONCE
    });
}

#[test]
fn a_peer_that_closes_and_is_gone_is_no_error() {
    for high_water in [0, 128 << 10] {
        let mut config = Config::default();
        config.write_high_water = high_water;
        with_raw_peer(config, |world, mut peer, reader, writer| {
            drop(writer);
            world.spawn("peer", async move {
                // Its Close is answered, and the answer goes nowhere.
                peer.write_frame(Role::Client, Opcode::Close, b"\x03\xe8")
                    .await
                    .unwrap();
            });
            world.spawn("reader", async move {
                let (end, outcome) = receive_until_end(reader).await;
                outcome.unwrap();
                assert_eq!(end.unwrap().code(), 1000);
            });
            AT_ONCE
        });
    }
}

#[test]
fn a_peer_that_breaks_a_rule_ends_both_halves() {
    with_raw_peer(no_deadlines(), |world, mut peer, reader, mut writer| {
        world.spawn("peer", async move {
            // 5.1: a client masks.
            peer.write_frame(Role::Server, Opcode::Text, b"unmasked")
                .await
                .unwrap();
            loop {
                let (opcode, payload) = peer.read_frame().await.unwrap();
                if opcode == Opcode::Close {
                    assert_eq!(&payload[..2], b"\x03\xea");
                    return;
                }
            }
        });
        world.spawn("writer", async move {
            let error = loop {
                if let Err(error) = writer.send(vec![7; 300]).await {
                    break error;
                }
                yield_now().await;
            };
            let is_told = matches!(error, Error::Send(SendError::Closing) | Error::Io(_));
            assert!(is_told, "{error:?}");
        });
        world.spawn("reader", async move {
            let (end, outcome) = receive_until_end(reader).await;
            let Err(Error::Protocol(error)) = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(end.unwrap().cause, EndCause::Protocol(error));
        });
        AT_ONCE
    });
}

#[test]
fn a_fragmented_message_keeps_others_out_until_it_ends() {
    with_raw_peer(no_deadlines(), |world, mut peer, _reader, mut writer| {
        world.spawn("writer", async move {
            let mut other = writer.clone();
            writer
                .send_fragment(MessageKind::Text, b"one ", false)
                .await
                .unwrap();
            let refused = other.send("between").await;
            let is_refused = matches!(refused, Err(Error::Send(SendError::MessageUnfinished)));
            assert!(is_refused, "{refused:?}");
            other.send_ping(b"may pass").await.unwrap();
            writer
                .send_fragment(MessageKind::Text, b"message", true)
                .await
                .unwrap();
            other.send("another").await.unwrap();
        });
        world.spawn("peer", async move {
            let payloads = [&b"one "[..], b"may pass", b"message", b"another"];
            for payload in payloads {
                assert_eq!(peer.read_frame().await.unwrap().1, payload);
            }
        });
        AT_ONCE
    });
}

// -- Threads and sockets --------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_messages_of_many_writers_arrive_over_sockets() {
    const WRITERS: usize = 4;
    const MESSAGES: usize = 6250;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (here, there) = tokio::join!(
        TcpStream::connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    let mut config = Config::default();
    config.write_high_water = 20_000;
    let mut tasks = Vec::new();
    for (role, stream) in [
        (Role::Client, here.unwrap()),
        (Role::Server, there.unwrap().0),
    ] {
        let (mut reader, writer) = WebSocket::from_parts(Parts {
            stream,
            connection: Connection::new(role, config.clone().into()),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
        })
        .split();
        let mut writing = Vec::new();
        for number in 0..WRITERS {
            let mut writer = writer.clone();
            writing.push(tokio::spawn(async move {
                for count in 0..MESSAGES {
                    let message = numbered(number, count);
                    match count % 4 {
                        0 => writer.send(message).await.unwrap(),
                        1 => match writer.try_send(message).unwrap() {
                            Fed::Full(message) => writer.feed(message).await.unwrap(),
                            Fed::Sent | Fed::Queued(_) => {}
                        },
                        2 => {
                            writer.feed(message).await.unwrap();
                            // Dropped at its first await, or done.
                            let mut flush = Box::pin(writer.flush());
                            poll_fn(|cx| Poll::Ready(flush.as_mut().poll(cx).is_ready())).await;
                        }
                        _ => writer.feed(message).await.unwrap(),
                    }
                    if count % 500 == 0 {
                        writer.send_ping(b"").await.unwrap();
                    }
                }
            }));
        }
        let mut closer = writer;
        tasks.push(tokio::spawn(async move {
            let mut counts = [0; WRITERS];
            for _ in 0..WRITERS * MESSAGES {
                let message = reader.recv().await.unwrap().unwrap();
                let number = usize::from(message.payload()[0]);
                assert!(message == numbered(number, counts[number]));
                counts[number] += 1;
            }
            assert_eq!(counts, [MESSAGES; WRITERS]);
            for task in writing {
                task.await.unwrap();
            }
            let close = closer.close(CloseCode::NORMAL_CLOSURE, "");
            let (received, end) = tokio::join!(reader.recv(), close);
            assert_eq!(received.unwrap(), None);
            assert!(end.unwrap().is_clean());
        }));
    }
    let all = async {
        for task in tasks {
            task.await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .expect("a test that hangs");
}

/// The message number `count` of a writer, of a length of its own; now and then a long one, which
/// a server does not copy.
fn numbered(writer: usize, count: usize) -> Message {
    let len = match count.is_multiple_of(97) {
        true => 20_000,
        false => count % 300,
    };
    let mut payload = vec![u8::try_from(writer).unwrap()];
    payload.extend(count.to_be_bytes());
    payload.resize(payload.len() + len, count.to_le_bytes()[0]);
    Message::from(payload)
}

// -- Rig ------------------------------------------------------------------------------------------

/// Longer than the streams of [`with_raw_peer`] hold.
const LONG: usize = 10_000;

/// Runs tasks about a split server whose client is written by hand, with some seeds; they say how
/// long they may wait for a deadline.
fn with_raw_peer(
    config: Config,
    spawn: impl Fn(&mut Scheduler, SimStream, SimReader, SimWriter) -> Duration,
) {
    with_seeds(10, |seed| {
        let mut world = Scheduler::new(seed);
        let network = match seed % 2 {
            0 => Network::even(2000),
            _ => Network::moody(2000),
        };
        let (peer, here) = world.streams(network);
        let (reader, writer) = socket(here, Role::Server, &config).split();
        let horizon = spawn(&mut world, peer, reader, writer);
        assert_eq!(world.run(horizon), Ok(()));
    });
}

/// The default limits, where no deadline comes before the connection closes or a write stalls.
fn no_deadlines() -> Config {
    let mut config = Config::default();
    config.ping_interval = None;
    config
}

/// The same with a queue that is full with the first long message.
fn narrow() -> Config {
    let mut config = no_deadlines();
    config.write_high_water = 1000;
    config
}

/// Receives until the connection ends.
async fn receive_until_end(mut reader: SimReader) -> (Option<End>, Result<(), Error>) {
    let outcome = loop {
        match reader.recv().await {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    (reader.end(), outcome)
}

/// Receives a Close, answers it, and lets go of the stream once the server has.
async fn answer_close(mut peer: SimStream) {
    let (opcode, payload) = peer.read_frame().await.expect("a Close");
    assert_eq!(opcode, Opcode::Close);
    peer.write_frame(Role::Client, Opcode::Close, &payload)
        .await
        .expect("an end that reads");
    assert_eq!(peer.read_frame().await, None);
}

/// The future's value, unless it is told to stop before.
async fn until_told<F: Future>(future: F, told: impl Future) -> Option<F::Output> {
    let (mut future, mut told) = (pin!(future), pin!(told));
    poll_fn(|cx| {
        if told.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// The clock moves a microsecond with each poll.
fn assert_lasted(started: std::time::Instant, expected: Duration) {
    let lasted = now().saturating_duration_since(started);
    let latest = expected + Duration::from_millis(50);
    assert!(
        lasted >= expected && lasted < latest,
        "{lasted:?}, not {expected:?}"
    );
}
