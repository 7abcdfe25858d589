//! A load of messages over many connections: one epoll loop, as light as can be.
//!
//! It sends messages that were encoded once, counts what comes back by its length, and lets the
//! kernel drop it. What a message is, and when another follows, others say.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, recv};

use crate::client::Client;

/// Connections over which messages are under way.
pub(crate) struct Load {
    epoll: rustix::fd::OwnedFd,
    links: Vec<Link>,
    /// A message many times over, so that many leave in one write.
    batch: Vec<u8>,
    message_len: u64,
    reply_len: u64,
    /// How many bytes came back.
    received: u64,
    /// How many bytes must have come back in the end.
    expected: u64,
    /// Where the kernel would put what it drops.
    room: Vec<u8>,
    events: Vec<epoll::Event>,
    waiting: Waiting,
}

/// What it does while nothing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It sleeps, and who sends to it wakes it.
    Sleep,
    /// It looks again, so that nobody pays for waking it.
    Spin,
}

/// A connection.
struct Link {
    stream: TcpStream,
    /// How many bytes are to be sent, from `offset` in the batch on, and over again.
    owed: u64,
    offset: usize,
    /// How much came back of a reply that is not complete.
    partial: u64,
}

/// What becomes of a message that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replace {
    /// Another is sent.
    Each,
    None,
}

impl Load {
    /// Takes connections over, on which nothing is under way.
    ///
    /// At most `in_flight` messages will be sent at once; each reply has `reply_len` bytes.
    pub(crate) fn new(
        clients: Vec<Client>,
        message: &[u8],
        reply_len: usize,
        in_flight: u64,
        waiting: Waiting,
    ) -> Result<Self, Box<dyn Error>> {
        let copies = usize::try_from(in_flight)?.min((BATCH_LEN / message.len()).max(1));
        let mut load = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            links: Vec::new(),
            batch: message.repeat(copies),
            message_len: message.len() as u64,
            reply_len: reply_len as u64,
            received: 0,
            expected: 0,
            room: vec![0; ROOM_LEN],
            events: Vec::with_capacity(1024),
            waiting,
        };
        for client in clients {
            let stream = client.into_stream();
            stream.set_nonblocking(true)?;
            let token = EventData::new_u64(load.links.len() as u64);
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&load.epoll, &stream, token, flags)?;
            load.links.push(Link {
                stream,
                owed: 0,
                offset: 0,
                partial: 0,
            });
        }
        Ok(load)
    }

    /// Sends messages on one connection, for which so many replies come back, wherever.
    pub(crate) fn send(
        &mut self,
        link: usize,
        messages: u64,
        replies: u64,
    ) -> Result<(), Box<dyn Error>> {
        self.links[link].owed += messages * self.message_len;
        self.expected += replies * self.reply_len;
        self.links[link].send(&self.batch)
    }

    /// Sends a message for each that comes back.
    pub(crate) fn run_for(&mut self, interval: Duration) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + interval;
        while Instant::now() < until {
            self.turn(Replace::Each)?;
        }
        Ok(())
    }

    /// Sends no more, and waits for what is under way: nothing may be lost, nor come twice.
    pub(crate) fn drain(&mut self) -> Result<(), Box<dyn Error>> {
        while self.received < self.expected {
            self.turn(Replace::None)?;
        }
        if self.received > self.expected {
            return Err("more came back than was sent".into());
        }
        Ok(())
    }

    /// Returns how many replies came back.
    pub(crate) fn replies(&self) -> f64 {
        self.received as f64 / self.reply_len as f64
    }

    /// Waits until something comes.
    fn wait(&mut self) -> Result<(), Box<dyn Error>> {
        let timeout = match self.waiting {
            Waiting::Sleep => Timespec::try_from(PATIENCE)?,
            Waiting::Spin => Timespec::default(),
        };
        self.events.clear();
        let started = Instant::now();
        while self.events.is_empty() {
            epoll::wait(
                &self.epoll,
                spare_capacity(&mut self.events),
                Some(&timeout),
            )?;
            if self.events.is_empty() && started.elapsed() >= PATIENCE {
                return Err(format!(
                    "nothing came back for {} s, {} bytes are missing",
                    PATIENCE.as_secs(),
                    self.expected - self.received
                )
                .into());
            }
        }
        Ok(())
    }

    /// Waits once, and does what can be done.
    fn turn(&mut self, replace: Replace) -> Result<(), Box<dyn Error>> {
        self.wait()?;
        for event in &self.events {
            let link = &mut self.links[usize::try_from(event.data.u64())?];
            link.send(&self.batch)?;
            loop {
                // What is to be dropped is not copied out of the kernel.
                let len = match recv(&link.stream, &mut *self.room, RecvFlags::TRUNC) {
                    Ok((_, 0)) => return Err("the server closed a connection".into()),
                    Ok((_, len)) => len,
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(error) => return Err(error.into()),
                };
                self.received += len as u64;
                link.partial += len as u64;
                let replies = link.partial / self.reply_len;
                link.partial %= self.reply_len;
                if replace == Replace::Each && replies > 0 {
                    self.expected += replies * self.reply_len;
                    link.owed += replies * self.message_len;
                    link.send(&self.batch)?;
                }
                // Whatever comes from here on is another event.
                if len < self.room.len() {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Link {
    /// Sends what is owed, as far as the socket takes it.
    fn send(&mut self, batch: &[u8]) -> Result<(), Box<dyn Error>> {
        while self.owed > 0 {
            let rest = &batch[self.offset..];
            let len = usize::try_from(self.owed).map_or(rest.len(), |it| it.min(rest.len()));
            match self.stream.write(&rest[..len]) {
                Ok(written) => {
                    self.owed -= written as u64;
                    self.offset = (self.offset + written) % batch.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// How much one write sends at most, unless a message is longer.
const BATCH_LEN: usize = 256 << 10;

/// How much is received at once.
const ROOM_LEN: usize = 1 << 20;

/// No server takes so long for anything.
const PATIENCE: Duration = Duration::from_secs(10);
