//! An echo server on an event loop of its own: the bare core over `mio`, one thread, no runtime.
//!
//! ```text
//! cargo run --release --example mio_server
//! ```
//!
//! It prints `listening on ws://127.0.0.1:9001` once it accepts connections, and sends back every
//! message. Who asks for a page gets 426, a malformed request 400, and who does not finish asking
//! 408 after ten seconds. Ctrl-C ends it. The one `expect` says why it holds.
//!
//! An idle client is one box of 224 bytes: all of them share one `RecvBuffer` and one `SendBuffer`,
//! and a client has its own only while it has sent half a message, or does not take what we write.
//! A server of many threads runs one such loop, with its own buffers, on each.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use framewright::handshake::{Acceptance, Request, ServerHandshake};
use framewright::{
    Config, Connection, Event, HandshakeError, RecvBuffer, SendBuffer, State, Teardown,
};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};

#[derive(Parser)]
#[command(about = "A WebSocket echo server on an event loop of its own.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
}

fn main() -> io::Result<()> {
    serve(Args::parse().listen)
}

/// Serves until the loop itself fails, which is nothing that a client can bring about.
pub(crate) fn serve(listen: SocketAddr) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(listen)?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening on ws://{}", listener.local_addr()?);
    let mut server = Server {
        registry,
        listener,
        clients: HashMap::new(),
        last_token: LISTENER,
        ready: Vec::new(),
        shared: Shared {
            config: Arc::new(Config::default()),
            now: Instant::now(),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
        },
    };
    let mut events = Events::with_capacity(1024);
    let mut next_tick = Instant::now() + TICK;
    loop {
        let mut patience = next_tick.saturating_duration_since(Instant::now());
        if !server.ready.is_empty() {
            patience = Duration::ZERO;
        }
        match poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        server.shared.now = Instant::now();
        for event in &events {
            match event.token() {
                LISTENER => server.accept(),
                token => {
                    if event.is_read_closed()
                        && let Some(client) = server.clients.get_mut(&token)
                    {
                        client.is_ended = true;
                    }
                    server.ready.push(token);
                }
            }
        }
        server.ready.sort_unstable();
        server.ready.dedup();
        for token in mem::take(&mut server.ready) {
            server.wake(token);
        }
        if server.shared.now >= next_tick {
            next_tick = server.shared.now + TICK;
            server.tick();
        }
    }
}

struct Server {
    registry: Registry,
    listener: TcpListener,
    /// In boxes, so that the room which the table has to spare is one of pointers.
    clients: HashMap<Token, Box<Client>>,
    /// No token is given twice, so that an event which is late tells of nobody.
    last_token: Token,
    /// Those of whom an event told, and those left with more to read, of which none tells again.
    ready: Vec<Token>,
    shared: Shared,
}

/// What the clients share, since one at a time is awake.
struct Shared {
    config: Arc<Config>,
    now: Instant,
    /// Idle between two clients.
    input: RecvBuffer,
    /// Empty between two clients.
    output: SendBuffer,
}

impl Server {
    /// Accepts until nobody is left: events tell of changes only, here and everywhere.
    fn accept(&mut self) {
        loop {
            match self.listener.accept().and_then(|(it, _)| self.add(it)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Most often too many open files. The next tick tries again.
                Err(error) => return eprintln!("accept: {error}"),
            }
        }
    }

    fn add(&mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        self.last_token.0 += 1;
        // Once and for all: an event comes when there are bytes, or room, that there were not.
        let interests = Interest::READABLE | Interest::WRITABLE;
        (self.registry).register(&mut stream, self.last_token, interests)?;
        let mut handshake = ServerHandshake::new(self.shared.config.clone());
        handshake.set_now(self.shared.now);
        let client = Client {
            stream,
            phase: Phase::Opening(handshake),
            is_ended: false,
            is_shut: false,
            input: None,
            unsent: None,
        };
        self.clients.insert(self.last_token, Box::new(client));
        Ok(())
    }

    /// Wakes those whose deadline has passed, and accepts those whom an error made wait.
    ///
    /// To look at 10,000 clients once a second takes 0.1 % of a core and no memory, and deadlines
    /// are late by a second at most. With far more clients a timer wheel is worth its bytes.
    fn tick(&mut self) {
        let clients = self.clients.iter();
        let due = clients.filter(|(_, client)| client.is_due(&self.shared));
        for token in due.map(|(token, _)| *token).collect::<Vec<_>>() {
            self.wake(token);
        }
        self.accept();
    }

    /// Lets a client do all that can be done without waiting.
    fn wake(&mut self, token: Token) {
        let Some(client) = self.clients.get_mut(&token) else {
            return;
        };
        client.bring_buffers(&mut self.shared);
        let next = client.run(&mut self.shared);
        client.keep_buffers(&mut self.shared);
        match next {
            Ok(Next::Wait) => {}
            Ok(Next::Continue) => self.ready.push(token),
            // A socket that is closed leaves the poll.
            Ok(Next::Drop) | Err(_) => drop(self.clients.remove(&token)),
        }
    }
}

struct Client {
    stream: TcpStream,
    phase: Phase,
    /// Whether an event said that the end of what it sends is there, and no other will.
    is_ended: bool,
    /// Whether what we send is shut down.
    is_shut: bool,
    /// Half a message, or half a request.
    input: Option<Box<RecvBuffer>>,
    /// What the socket did not take.
    unsent: Option<Box<Unsent>>,
}

enum Phase {
    Opening(ServerHandshake),
    Open(Connection),
    /// An HTTP answer is on its way. What still comes is read and dropped: a socket that is closed
    /// with unread bytes resets the connection, and takes the answer with it.
    Refused {
        until: Instant,
    },
}

struct Unsent {
    output: SendBuffer,
    /// When the socket last took a byte.
    since: Instant,
}

/// What follows once a client has run.
enum Next {
    Wait,
    /// It has had its share of this round.
    Continue,
    Drop,
}

impl Client {
    /// Writes, reads and answers until the socket has nothing to read or takes nothing more.
    fn run(&mut self, shared: &mut Shared) -> io::Result<Next> {
        if let Phase::Open(connection) = &mut self.phase {
            connection.set_now(shared.now);
        }
        let mut is_drained = false;
        for _ in 0..READS_PER_ROUND {
            // Also after an error: the Close frame that is owed is in there.
            self.write(shared)?;
            match self.teardown(shared) {
                Teardown::Drop => return Ok(Next::Drop),
                // A second time is an error where the client has closed too.
                Teardown::ShutDown if shared.output.is_empty() && !self.is_shut => {
                    self.stream.shutdown(Shutdown::Write)?;
                    self.is_shut = true;
                }
                Teardown::ShutDown | Teardown::AwaitEof | Teardown::NotYet => {}
            }
            if self.is_full(shared) {
                return Ok(Next::Wait);
            }
            let room = shared.input.spare_mut();
            let room_len = room.len();
            let read = match is_drained {
                true => Err(ErrorKind::WouldBlock.into()),
                false => self.stream.read(room),
            };
            match read {
                Ok(0) => {
                    if let Phase::Open(connection) = &mut self.phase {
                        // It returns how the connection ended, for those who want to know.
                        connection.receive_eof();
                    }
                    return Ok(Next::Drop);
                }
                Ok(len) => {
                    is_drained = SHORT_READ_IS_LAST && len < room_len && !self.is_ended;
                    self.receive(len, shared);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.is_due(shared) {
                        return Ok(Next::Wait);
                    }
                    // After the last read, since what was there may have come in time.
                    self.handle_timeout(shared);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Next::Continue)
    }

    /// Writes until nothing is left or the socket is full.
    fn write(&mut self, shared: &mut Shared) -> io::Result<()> {
        while let Some(chunk) = shared.output.chunks().next() {
            match self.stream.write(chunk) {
                Ok(len) => {
                    shared.output.consume(len);
                    if let Some(unsent) = &mut self.unsent {
                        unsent.since = shared.now;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Handles `len` bytes that were read into the room of the input.
    fn receive(&mut self, len: usize, shared: &mut Shared) {
        match &mut self.phase {
            Phase::Opening(handshake) => {
                shared.input.commit(len);
                match handshake.receive(&mut shared.input) {
                    Ok(None) => {}
                    Ok(Some(Request::Upgrade(request))) => {
                        // An echo has no secrets and no cookies, so every page may connect; others
                        // ask `request.origin_is_allowed` first.
                        let (config, answer) = (shared.config.clone(), Acceptance::new());
                        let mut connection = request
                            .accept(answer, config, &mut shared.output)
                            .expect("no subprotocol is chosen and no header line added");
                        connection.set_now(shared.now);
                        // The first frames may have come with the request.
                        echo(&mut connection, shared);
                        self.phase = Phase::Open(connection);
                    }
                    Ok(Some(Request::Plain(_))) => {
                        self.refuse(&HandshakeError::NotAnUpgrade, shared);
                    }
                    Err(error) => self.refuse(&error, shared),
                }
            }
            Phase::Open(connection) => {
                shared.input.commit(len);
                echo(connection, shared);
            }
            // What is not committed is not there.
            Phase::Refused { .. } => {}
        }
    }

    fn refuse(&mut self, error: &HandshakeError, shared: &mut Shared) {
        error.respond(&mut shared.output);
        shared.input = RecvBuffer::new(); // A body may be in it.
        let until = shared.now + shared.config.close_timeout.unwrap_or_default();
        self.phase = Phase::Refused { until };
    }

    fn handle_timeout(&mut self, shared: &mut Shared) {
        match &mut self.phase {
            Phase::Opening(handshake) => {
                if let Err(error) = handshake.handle_timeout(shared.now) {
                    self.refuse(&error, shared);
                }
            }
            Phase::Open(connection) => connection.handle_timeout(shared.now, &mut shared.output),
            Phase::Refused { .. } => {} // `teardown` knows.
        }
    }

    /// Whether the next deadline has passed.
    fn is_due(&self, shared: &Shared) -> bool {
        let deadline = match &self.phase {
            Phase::Opening(handshake) => handshake.next_deadline(),
            Phase::Open(connection) => connection.next_deadline(),
            Phase::Refused { until } => Some(*until),
        };
        deadline.is_some_and(|deadline| deadline <= shared.now) || self.is_stalled(shared)
    }

    /// Whether the socket has taken no byte for too long.
    fn is_stalled(&self, shared: &Shared) -> bool {
        match (&self.unsent, shared.config.write_timeout) {
            (Some(unsent), Some(timeout)) => unsent.since + timeout <= shared.now,
            (None, _) | (_, None) => false,
        }
    }

    /// Whether so much waits that nothing is read which would be answered.
    ///
    /// Nor are Pongs then, so no deadline counts but that of `is_stalled`.
    fn is_full(&self, shared: &Shared) -> bool {
        matches!(&self.phase, Phase::Open(connection) if connection.state() == State::Open)
            && shared.output.len() >= shared.config.write_high_water
    }

    /// Says what is to be done with the socket.
    fn teardown(&self, shared: &Shared) -> Teardown {
        match &self.phase {
            _ if self.is_stalled(shared) => Teardown::Drop,
            Phase::Opening(_) => Teardown::NotYet,
            Phase::Open(connection) => connection.teardown(),
            Phase::Refused { until } if *until <= shared.now => Teardown::Drop,
            Phase::Refused { .. } => Teardown::ShutDown,
        }
    }

    /// Puts buffers of the client's own in the place of the shared ones.
    fn bring_buffers(&mut self, shared: &mut Shared) {
        if let Some(own) = &mut self.input {
            // Its few bytes are copied to the window that all use, so that its reads are long ones.
            let window = shared.input.park();
            mem::swap(&mut **own, &mut shared.input);
            shared.input.lend(window.unwrap_or_default());
        }
        if let Some(own) = &mut self.unsent {
            mem::swap(&mut own.output, &mut shared.output);
        }
    }

    /// Keeps what is unfinished, and leaves shared buffers that hold nothing.
    fn keep_buffers(&mut self, shared: &mut Shared) {
        if shared.input.is_idle() {
            self.input = None;
        } else {
            // What is in the window moves to an allocation of its own size.
            let window = shared.input.park();
            **self.input.get_or_insert_default() = mem::take(&mut shared.input);
            shared.input.lend(window.unwrap_or_default());
        }
        if shared.output.is_empty() {
            self.unsent = None;
        } else {
            let (output, since) = (SendBuffer::new(), shared.now);
            let own = (self.unsent).get_or_insert_with(|| Box::new(Unsent { output, since }));
            mem::swap(&mut own.output, &mut shared.output);
        }
    }
}

/// Answers every message that is whole.
fn echo(connection: &mut Connection, shared: &mut Shared) {
    let (input, output) = (&mut shared.input, &mut shared.output);
    // An error ends this too; what follows from it is for `teardown` to say.
    while let Ok(true) = connection.advance(input, output) {
        // Sending fails once we are closing, and then nothing is answered.
        let _ = match input.event() {
            Some(Event::Text(text)) if text.len() <= LENT_LEN => connection.send_text(text, output),
            Some(Event::Binary(data)) if data.len() <= LENT_LEN => {
                connection.send_binary(data, output)
            }
            Some(Event::Text(_) | Event::Binary(_)) => match input.take_message() {
                Some(message) => connection.send_message(message, output),
                None => Ok(()),
            },
            // Pings and the Close are answered already.
            Some(Event::Chunk(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_)) | None => {
                Ok(())
            }
        };
    }
}

/// A longer message is taken and sent as it is; copying a short one is cheaper than owning it.
const LENT_LEN: usize = 64 << 10;

/// Whether a read that does not fill its room has left nothing, and what comes later makes an
/// event. Elsewhere an event is only to be had for a read that was told to wait.
const SHORT_READ_IS_LAST: bool = cfg!(target_os = "linux");

const LISTENER: Token = Token(0);

/// How late a deadline may be.
const TICK: Duration = Duration::from_secs(1);

/// After so many reads, of up to 64 KiB each, it is another's turn.
const READS_PER_ROUND: usize = 16;
