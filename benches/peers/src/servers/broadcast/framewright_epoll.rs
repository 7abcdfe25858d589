//! The bare core on epoll: each message prepared once, and what waits for a client written at the
//! end of the wake-up, from one buffer that all share as long as it leaves at once.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use framewright::handshake::{Acceptance, Request, ServerHandshake};
use framewright::{Config, Connection, Event, PreparedMessage, RecvBuffer, SendBuffer};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::Serving;

struct Client {
    stream: TcpStream,
    phase: Phase,
    input: RecvBuffer,
    output: SendBuffer,
}

enum Phase {
    Opening(ServerHandshake),
    Open(Connection),
}

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    let listener = TcpListener::bind(serving.listen)?;
    println!("listening on {}", listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let data = EventData::new_u64(LISTENER);
    epoll::add(&epoll, &listener, data, EventFlags::IN)?;
    let config = Arc::new(Config::default());
    let mut clients: BTreeMap<u64, Client> = BTreeMap::new();
    let mut last_token = LISTENER;
    let mut events = Vec::with_capacity(1024);
    let mut shared = SendBuffer::new();
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let token = event.data.u64();
            if token == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                last_token += 1;
                let data = EventData::new_u64(last_token);
                epoll::add(&epoll, &stream, data, EventFlags::IN)?;
                let client = Client {
                    stream,
                    phase: Phase::Opening(ServerHandshake::new(Arc::clone(&config))),
                    input: RecvBuffer::new(),
                    output: SendBuffer::new(),
                };
                clients.insert(last_token, client);
                continue;
            }
            let Some(client) = clients.get_mut(&token) else {
                continue;
            };
            match client.read(&config) {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => clients.retain(|other, client| {
                    *other == token || client.deliver(&messages, &mut shared).is_ok()
                }),
                Err(_) => drop(clients.remove(&token)),
            }
        }
    }
}

impl Client {
    /// Reads once, writes what is owed for it, and returns the messages.
    fn read(&mut self, config: &Arc<Config>) -> io::Result<Vec<PreparedMessage>> {
        let len = match self.stream.read(self.input.spare_mut())? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len => len,
        };
        self.input.commit(len);
        let mut messages = Vec::new();
        match &mut self.phase {
            Phase::Opening(handshake) => {
                let request = handshake.receive(&mut self.input);
                if let Some(Request::Upgrade(upgrade)) = request.map_err(io::Error::other)? {
                    let accepted =
                        upgrade.accept(Acceptance::new(), Arc::clone(config), &mut self.output);
                    self.phase = Phase::Open(accepted.map_err(io::Error::other)?);
                }
            }
            Phase::Open(connection) => {
                let event = |connection: &mut Connection, output: &mut _, input: &mut _| {
                    connection.advance(input, output).map_err(io::Error::other)
                };
                while event(connection, &mut self.output, &mut self.input)? {
                    match self.input.event() {
                        Some(Event::Binary(data)) => {
                            messages.push(PreparedMessage::binary(Bytes::copy_from_slice(data)));
                        }
                        Some(Event::Text(text)) => messages.push(PreparedMessage::text(text)),
                        _ => {} // Pings and the Close are answered already.
                    }
                }
            }
        }
        self.write()?;
        Ok(messages)
    }

    /// Sends with the memory that all share, which was in the cache a moment ago.
    fn deliver(&mut self, messages: &[PreparedMessage], shared: &mut SendBuffer) -> io::Result<()> {
        let Phase::Open(connection) = &mut self.phase else {
            return Ok(());
        };
        if self.output.is_empty() {
            mem::swap(&mut self.output, shared);
        }
        for message in messages {
            let sent = connection.send_prepared(message, &mut self.output);
            sent.map_err(io::Error::other)?;
        }
        self.write()?;
        mem::swap(&mut self.output, shared);
        Ok(())
    }

    /// Writes all that waits. Who does not take it is dropped: the load does.
    fn write(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            let written = match self.output.as_slice() {
                Some(bytes) => self.stream.write(bytes)?,
                None => {
                    let chunks = self.output.chunks().map(IoSlice::new);
                    self.stream.write_vectored(&chunks.collect::<Vec<_>>())?
                }
            };
            self.output.consume(written);
        }
        Ok(())
    }
}

const LISTENER: u64 = 0;
