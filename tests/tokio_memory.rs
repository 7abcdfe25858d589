//! What a connection of the tokio adapter holds while it is idle, and what its futures are.
//!
//! An allocator that counts what each thread holds stands under these tests; sockets are polled by
//! hand over streams that allocate nothing, so that what is counted is the adapter's. Buffers
//! belong to the thread: a first connection fills its pool, and others are measured.

#![cfg(feature = "tokio")]

#[path = "support/allocator.rs"]
mod allocator;

use std::cell::Cell;
use std::fs;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv, mask};
use framewright::handshake::ClientRequest;
use framewright::tokio::{Client, Error, Parts, Server, WebSocket, accept};
use framewright::{CloseCode, Config, Connection, Event, Message, RecvBuffer, Role, SendBuffer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, EnterGuard, Runtime};
use tokio::sync::{Semaphore, watch};

use allocator::measure;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What a connection holds beside its own value, while it waits for nothing but the next message:
/// the timer.
const TIMER: isize = 128;

/// What it holds, beside the bytes, while a frame is coming.
const RECEIVING: isize = size_of::<RecvBuffer>() as isize;

/// What an opening handshake holds while it waits: its future, its timer and what has come, and no
/// window.
const OPENING: isize = 3 << 10;

// -- An idle connection ---------------------------------------------------------------------------

#[test]
fn an_idle_connection_holds_its_timer_and_nothing_else() {
    let rig = Rig::new();
    for (name, frames) in [
        ("nothing", vec![]),
        ("1 KiB", vec![frame(&[7; KIB])]),
        ("1 MiB", vec![frame(&vec![7; MIB])]),
        ("4 MiB", vec![frame(&vec![7; 4 * MIB])]),
        ("many", (0..1000).map(|len| frame(&vec![7; len])).collect()),
    ] {
        let mut replied = 0;
        let held = held_after(&frames.concat(), |wire| {
            let mut socket = wire.socket(&rig.config);
            rest_by_echo(&mut socket);
            replied = wire.written.get();
            socket
        });
        let replies: usize = frames.iter().map(|frame| frame.len() - 4).sum();
        assert_eq!(replied, replies, "{name}");
        assert!((1..=TIMER).contains(&held), "{name}: {held}");
    }
}

#[test]
fn an_idle_connection_that_only_receives_messages_holds_no_more() {
    let rig = Rig::new();
    let frames = [frame(&[7; KIB]), frame(&vec![7; MIB]), frame(b"short")];
    let held = held_after(&frames.concat(), |wire| {
        let mut socket = wire.socket(&rig.config);
        for _ in 0..3 {
            let received = poll(socket.recv()).expect("a message is there");
            drop(received.unwrap().unwrap());
        }
        assert!(poll(socket.recv()).is_none());
        socket
    });
    assert!(held <= TIMER, "{held}");
}

#[test]
fn half_a_frame_is_held_in_memory_of_its_own_size() {
    let rig = Rig::new();
    let whole = frame(&[7; KIB]);
    let long = frame(&vec![7; MIB]);
    // A header that is not whole, a short payload, and a long one of which a part has come.
    for (half, most) in [
        (&whole[..3], RECEIVING + 3),
        (&whole[..500], RECEIVING + 500),
        (&long[..3], RECEIVING + 3),
        // A message that is too long for the window has room for a read from its first byte on.
        (&long[..100], RECEIVING + 100 + (8 << 10)),
        (&long[..70_000], RECEIVING + 2 * 70_000),
    ] {
        // A window of 64 KiB has been used for what came before.
        let bytes = [&whole[..], &long, &whole.repeat(100), half].concat();
        let held = held_after(&bytes, |wire| {
            let mut socket = wire.socket(&rig.config);
            rest_by_echo(&mut socket);
            socket
        });
        let held = held - TIMER;
        assert!(held <= most, "{} bytes: {held}", half.len());
    }
}

#[test]
fn a_connection_with_half_a_frame_is_idle_again_once_it_is_whole() {
    let rig = Rig::new();
    let bytes = frame(&[7; KIB]);
    let held = held_after(&bytes, |wire| {
        wire.arrived.set(500);
        let mut socket = wire.socket(&rig.config);
        rest_by_echo(&mut socket);
        assert_eq!(wire.written.get(), 0);
        wire.arrived.set(bytes.len());
        rest_by_echo(&mut socket);
        assert_eq!(wire.written.get(), KIB + 4);
        socket
    });
    assert!(held <= TIMER, "{held}");
}

#[test]
fn what_waited_to_be_written_is_given_back() {
    let rig = Rig::new();
    let held = held_after(b"", |wire| {
        let mut socket = wire.socket(&rig.config);
        wire.takes.set(false);
        socket.try_send(vec![7; 20 * KIB]).unwrap();
        socket.try_send(vec![7; KIB]).unwrap();
        assert!(poll(socket.recv()).is_none());
        assert_eq!(socket.buffered(), 21 * KIB + 8);
        wire.takes.set(true);
        assert!(poll(socket.recv()).is_none());
        assert_eq!(socket.buffered(), 0);
        socket
    });
    assert!(held <= TIMER, "{held}");
}

#[test]
fn a_thousand_idle_connections_hold_a_thousand_timers() {
    let rig = Rig::new();
    let bytes = [frame(&[7; KIB]), frame(&[7; 20 * KIB])].concat();
    let mut sockets = Vec::with_capacity(1020);
    held_after(&bytes, |wire| {
        let mut socket = wire.socket(&rig.config);
        rest_by_echo(&mut socket);
        sockets.push(socket);
    });
    let wires: Vec<_> = (0..1000).map(|_| Wire::new(bytes.clone())).collect();
    let usage = measure(|| {
        for wire in &wires {
            let mut socket = wire.socket(&rig.config);
            rest_by_echo(&mut socket);
            sockets.push(socket);
        }
    });
    assert!(usage.held <= 1000 * TIMER, "{usage:?}");
    // One after the other used the same buffers.
    let most = 1000 * usize::try_from(TIMER).unwrap() + 100 * KIB;
    assert!(usage.peak <= most, "{usage:?}");
}

#[test]
fn a_connection_that_has_ended_holds_no_more_than_its_end() {
    let rig = Rig::new();
    let mut close = header(Opcode::Close, 2);
    close.extend(masked(&[0x03, 0xe8]));
    let held = held_after(&[frame(&vec![7; MIB]), close].concat(), |wire| {
        wire.is_ended.set(true);
        let mut socket = wire.socket(&rig.config);
        rest_by_echo(&mut socket);
        assert!(socket.end().unwrap().is_clean());
        socket
    });
    assert!(held <= TIMER, "{held}");
}

// -- What a thread keeps --------------------------------------------------------------------------

#[test]
fn the_buffers_that_a_thread_keeps_are_bounded() {
    // A thread of its own, and so a pool of its own, which has to be filled.
    std::thread::spawn(|| {
        let rig = Rig::new();
        // Events that are looked at hold windows, and writes that stall hold output, all at once.
        let bytes = frame(&[7; 500]).repeat(400);
        let mut held = 0;
        for count in [50, 500] {
            let wires: Vec<_> = (0..count).map(|_| Wire::new(bytes.clone())).collect();
            let mut sockets = Vec::with_capacity(count);
            let busy = measure(|| {
                for wire in &wires {
                    wire.takes.set(false);
                    let mut socket = wire.socket(&rig.config);
                    for _ in 0..110 {
                        let event = poll(socket.recv_event()).expect("an event is there");
                        let (event, mut outbox) = event.unwrap().unwrap();
                        if let Event::Binary(data) = event {
                            outbox.feed_binary(data).unwrap();
                        }
                    }
                    sockets.push(socket);
                }
            });
            let rest = measure(|| {
                for (socket, wire) in sockets.iter_mut().zip(&wires) {
                    wire.takes.set(true);
                    rest_by_echo(socket);
                }
                sockets.clear();
            });
            assert!(busy.held > 64_000 * isize::try_from(count).unwrap());
            let before = held;
            held += busy.held + rest.held;
            // 16 windows of up to 64 KiB and outputs of 128 KiB, however many have been in use, and
            // what owns them.
            assert!(held <= (3 << 20) + 16 * 512, "{count}: {held}");
            assert!(
                count == 50 || held <= before + (1 << 20),
                "{before}, {held}"
            );
        }
    })
    .join()
    .unwrap();
}

// -- The opening handshake ------------------------------------------------------------------------

#[test]
fn a_request_that_drips_holds_little() {
    let rig = Rig::new();
    let request = upgrade_request();
    let server = Server::new().config(Arc::clone(&rig.config));
    for len in [0, 1, request.len() - 1] {
        let held = held_after(&request[..len], |wire| {
            let mut accept = Box::pin(server.accept(wire.stream()));
            assert!(poll(accept.as_mut()).is_none());
            accept
        });
        assert!(held <= OPENING, "{len} bytes: {held}");
    }
}

#[test]
fn a_request_that_waits_for_the_application_holds_no_window() {
    let rig = Rig::new();
    let server = Server::new().config(Arc::clone(&rig.config));
    let held = held_after(&upgrade_request(), |wire| {
        poll(server.receive(wire.stream())).unwrap().unwrap()
    });
    assert!(held <= OPENING, "{held}");
}

#[test]
fn a_client_that_waits_for_its_answer_holds_little() {
    let rig = Rig::new();
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let client = Client::new(request).config(Arc::clone(&rig.config));
    for answer in ["", "H", "HTTP/1.1 101 Switching Protocols\r\n"] {
        let held = held_after(answer.as_bytes(), |wire| {
            let mut opening = Box::pin(client.handshake(wire.stream()));
            assert!(poll(opening.as_mut()).is_none());
            opening
        });
        assert!(held <= OPENING, "{answer:?}: {held}");
    }
}

#[test]
fn a_long_head_leaves_no_long_window() {
    let request = upgrade_request();
    let (lines, end) = request.split_at(request.len() - 2);
    let head = [lines, b"X: ", &vec![b'x'; 2 * MIB], b"\r\n", end].concat();
    // A request that is whole, and one that waits for its end.
    for len in [head.len(), head.len() - 1] {
        let head = head[..len].to_vec();
        // A thread of its own, and so a pool of its own.
        let held = std::thread::spawn(move || {
            let rig = Rig::new();
            let mut config = Config::default();
            config.max_head_len = 4 * MIB;
            let server = Server::new().config(config);
            let wire = Wire::new(head);
            let usage = measure(|| drop(poll(server.accept(wire.stream()))));
            drop(rig);
            usage.held
        });
        let held = held.join().unwrap();
        assert!(held <= 100 << 10, "{len} bytes: {held}");
    }
}

#[test]
fn an_accepted_connection_holds_no_more_than_one_that_somebody_else_upgraded() {
    let rig = Rig::new();
    let server = Server::new().config(Arc::clone(&rig.config));
    let bytes = [upgrade_request(), frame(&[7; KIB])].concat();
    let held = held_after(&bytes, |wire| {
        let mut socket = poll(server.accept(wire.stream())).unwrap().unwrap();
        rest_by_echo(&mut socket);
        socket
    });
    assert!(held <= TIMER, "{held}");
    // Without a server to share it, the configuration is everybody's.
    let held = held_after(&bytes, |wire| {
        let mut socket = poll(accept(wire.stream())).unwrap().unwrap();
        rest_by_echo(&mut socket);
        socket
    });
    assert!(held <= TIMER, "{held}");
}

// -- Futures --------------------------------------------------------------------------------------

#[test]
fn a_task_that_echoes_is_little_more_than_its_socket() {
    let socket = size_of::<WebSocket<TcpStream>>();
    // A span has its place in the connection.
    let most = if cfg!(feature = "tracing") { 400 } else { 360 };
    assert!(socket <= most, "a socket: {socket}");
    // Neither the handshake nor a buffer stays in it.
    let task = size_of_future(echo);
    assert!(
        task <= socket + 96,
        "the task: {task}, its socket: {socket}"
    );
    let opening = size_of_future(accept::<TcpStream>);
    assert!(opening <= 16, "the handshake is a pointer: {opening}");
}

#[test]
fn the_futures_of_a_socket_are_small() {
    let rig = Rig::new();
    let wire = Wire::new(Vec::new());
    let mut socket = wire.socket(&rig.config);
    for (name, size, most) in [
        ("recv", size_of_it(socket.recv()), 32),
        ("recv_event", size_of_it(socket.recv_event()), 32),
        ("flush", size_of_it(socket.flush()), 32),
        ("feed", size_of_it(socket.feed(Message::text(""))), 400),
        ("send", size_of_it(socket.send(Message::text(""))), 500),
        ("send_ping", size_of_it(socket.send_ping(b"")), 160),
        (
            "close",
            size_of_it(socket.close(CloseCode::NORMAL_CLOSURE, "")),
            160,
        ),
    ] {
        assert!(size <= most, "{name}: {size}");
    }
}

// -- Ten thousand ---------------------------------------------------------------------------------

#[test]
fn ten_thousand_idle_connections_are_served_and_close_cleanly() {
    let wanted = 10_000;
    // Both ends of every connection are in this process, and the runtime needs a few as well.
    let possible = open_files().saturating_sub(200) / 2;
    let count = wanted.min(possible);
    if count < wanted {
        eprintln!("the limit of open files leaves room for {count} connections of {wanted}");
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let before = resident();
    runtime.block_on(async {
        let mut config = Config::default();
        // How busy the machine is decides nothing.
        config.handshake_timeout = None;
        config.ping_interval = None;
        config.close_timeout = None;
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new().config(Arc::clone(&config));
        let serve = tokio::spawn(async move {
            let mut connections = Vec::with_capacity(count);
            for _ in 0..count {
                let (stream, _) = listener.accept().await.unwrap();
                let accept = server.accept(stream);
                connections.push(tokio::spawn(async move {
                    let mut socket = accept.await?;
                    reply(&mut socket).await?;
                    Ok::<_, Error>(socket.end().cloned())
                }));
            }
            connections
        });
        let client = Client::new(ClientRequest::new("ws://localhost/").unwrap()).config(config);
        // So many at a time as the kernel lets wait.
        let connecting = Arc::new(Semaphore::new(256));
        let (idle, is_idle) = tokio::sync::mpsc::unbounded_channel();
        let (close, may_close) = watch::channel(false);
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            let (client, connecting) = (client.clone(), Arc::clone(&connecting));
            let (idle, mut may_close) = (idle.clone(), may_close.clone());
            clients.push(tokio::spawn(async move {
                let permit = connecting.acquire().await.unwrap();
                let stream = TcpStream::connect(address).await.unwrap();
                let (mut socket, _) = client.handshake(stream).await.unwrap();
                let text = Message::from(index.to_string());
                socket.send(text.clone()).await.unwrap();
                assert_eq!(socket.recv().await.unwrap(), Some(text));
                drop(permit);
                idle.send(()).unwrap();
                tokio::select! {
                    received = socket.recv() => panic!("nobody speaks: {received:?}"),
                    asked = may_close.wait_for(|&may_close| may_close) => {
                        asked.unwrap();
                    }
                }
                socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap()
            }));
        }
        let mut is_idle = is_idle;
        for _ in 0..count {
            is_idle.recv().await.unwrap();
        }
        if let (Some(before), Some(now)) = (before, resident()) {
            let each = now.saturating_sub(before) / (2 * count);
            eprintln!("{count} connections: {each} bytes resident for each end");
        }
        close.send(true).unwrap();
        for client in clients {
            assert!(client.await.unwrap().is_clean());
        }
        for connection in serve.await.unwrap() {
            let end = connection.await.unwrap().unwrap().unwrap();
            assert!(end.is_clean());
            assert_eq!(end.code(), 1000);
        }
    });
}

// -- Rig ------------------------------------------------------------------------------------------

/// A runtime whose clock the sockets use.
struct Rig {
    config: Arc<Config>,
    _guard: EnterGuard<'static>,
}

impl Rig {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        // It ends with the test.
        let runtime: &'static Runtime = Box::leak(Box::new(runtime));
        let rig = Self {
            config: Arc::default(),
            _guard: runtime.enter(),
        };
        // Whatever the runtime allocates for a first timer is its own.
        let wire = Wire::new(Vec::new());
        let mut socket = wire.socket(&rig.config);
        assert!(poll(socket.recv()).is_none());
        rig
    }
}

/// Returns what a connection holds after `use_it`, once the pool of the thread has what it takes
/// for that: others have done the same before.
fn held_after<S>(bytes: &[u8], mut use_it: impl FnMut(&Wire) -> S) -> isize {
    let mut held = 0;
    for _ in 0..20 {
        let wire = Wire::new(bytes.to_vec());
        let usage = measure(|| std::mem::forget(use_it(&wire)));
        assert_eq!(wire.unread(), 0);
        held = usage.held;
    }
    held
}

/// What is between a socket and its peer; the stream allocates nothing.
struct Wire {
    sent: Rc<[u8]>,
    /// How much of it may be read.
    arrived: Rc<Cell<usize>>,
    read: Rc<Cell<usize>>,
    written: Rc<Cell<usize>>,
    /// Whether the peer takes what is written.
    takes: Rc<Cell<bool>>,
    is_ended: Rc<Cell<bool>>,
}

impl Wire {
    fn new(sent: Vec<u8>) -> Self {
        Self {
            arrived: Rc::new(Cell::new(sent.len())),
            sent: sent.into(),
            read: Rc::default(),
            written: Rc::default(),
            takes: Rc::new(Cell::new(true)),
            is_ended: Rc::default(),
        }
    }

    fn stream(&self) -> Still {
        Still {
            sent: Rc::clone(&self.sent),
            arrived: Rc::clone(&self.arrived),
            read: Rc::clone(&self.read),
            written: Rc::clone(&self.written),
            takes: Rc::clone(&self.takes),
            is_ended: Rc::clone(&self.is_ended),
        }
    }

    fn socket(&self, config: &Arc<Config>) -> WebSocket<Still> {
        WebSocket::from_parts(Parts {
            stream: self.stream(),
            connection: Connection::new(Role::Server, Arc::clone(config)),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
        })
    }

    fn unread(&self) -> usize {
        self.arrived.get() - self.read.get()
    }
}

struct Still {
    sent: Rc<[u8]>,
    arrived: Rc<Cell<usize>>,
    read: Rc<Cell<usize>>,
    written: Rc<Cell<usize>>,
    takes: Rc<Cell<bool>>,
    is_ended: Rc<Cell<bool>>,
}

impl AsyncRead for Still {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unread = &self.sent[self.read.get()..self.arrived.get()];
        let len = unread.len().min(room.remaining());
        room.put_slice(&unread[..len]);
        self.read.set(self.read.get() + len);
        if len > 0 || self.is_ended.get() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

impl AsyncWrite for Still {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.takes.get() {
            return Poll::Pending;
        }
        self.written.set(self.written.get() + bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Polls a future until it is ready, or waits without having woken itself; `None` if it waits.
fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    // One for the thread, because timers keep a reference to it.
    let woken = WOKEN.with(Arc::clone);
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        woken.0.store(false, Ordering::Relaxed);
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return Some(outcome),
            Poll::Pending if woken.0.load(Ordering::Relaxed) => {}
            Poll::Pending => return None,
        }
    }
}

thread_local! {
    static WOKEN: Arc<Woken> = Arc::new(Woken(AtomicBool::new(false)));
}

/// Whether a task was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Echoes until there is nothing to receive, or the end.
fn rest_by_echo(socket: &mut WebSocket<Still>) {
    if let Some(outcome) = poll(reply(socket)) {
        outcome.unwrap();
    }
}

async fn reply<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    while let Some((event, mut outbox)) = socket.recv_event().await? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            _ => {}
        }
    }
    Ok(())
}

/// The README's.
async fn echo(stream: TcpStream) -> Result<(), Error> {
    let mut socket = accept(stream).await?;
    while let Some((event, mut outbox)) = socket.recv_event().await? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            _ => {}
        }
    }
    Ok(())
}

fn size_of_it<T>(_: T) -> usize {
    size_of::<T>()
}

const fn size_of_future<F: Future>(_: impl Fn(TcpStream) -> F + Copy) -> usize {
    size_of::<F>()
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn header(opcode: Opcode, payload_len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = FrameHeader {
        fin: true,
        rsv: Rsv::NONE,
        opcode,
        mask: Some(MaskingKey::new(KEY)),
        payload_len: payload_len as u64,
    };
    header.encode(&mut bytes);
    bytes
}

fn masked(payload: &[u8]) -> Vec<u8> {
    let mut payload = payload.to_vec();
    mask(&mut payload, MaskingKey::new(KEY), 0);
    payload
}

/// A binary message of a client.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(Opcode::Binary, payload.len());
    bytes.extend(masked(payload));
    bytes
}

/// RFC 6455, section 1.2, less its subprotocols and its origin.
fn upgrade_request() -> Vec<u8> {
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
      Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
      Sec-WebSocket-Version: 13\r\n\r\n"
        .to_vec()
}

/// How many files this process may have open, as far as the system tells.
fn open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|soft| soft.parse().ok())
        .unwrap_or(1000)
}

/// How many bytes of this process are in memory, as far as the system tells.
fn resident() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? * 1024)
}
