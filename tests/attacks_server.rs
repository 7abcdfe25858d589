//! Many bad peers at once, at servers of both adapters that serve good ones beside them: nobody is
//! kept out or kept waiting, and descriptors, threads and memory are again what they were.
//!
//! RFC 6455, section 10.4. Which advisory each test is for is in ATTACKS.md.

#![cfg(all(target_os = "linux", feature = "blocking", feature = "tokio"))]

#[path = "support/allocator.rs"]
mod allocator;
mod support;
#[path = "support/victim.rs"]
mod victim;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use framewright::handshake::ClientRequest;
use framewright::{CloseCode, Config, Message, Role, blocking, tokio as asynchronous};

use allocator::held_by_all;
use support::*;
use victim::UPGRADE;

#[test]
fn a_crowd_of_bad_peers_keeps_nobody_waiting_and_leaves_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let blocking = Server::blocking();
    // What threads keep for whoever comes next is given back when they end.
    let sieges: [(&str, &dyn Fn()); 2] = [
        ("blocking", &|| blocking.besiege()),
        ("tokio", &|| Server::tokio().besiege()),
    ];
    for (name, besiege) in sieges {
        // What the process keeps once it has done all of it.
        besiege();
        let before = Holdings::now();
        for _ in 0..2 {
            besiege();
        }
        let after = Holdings::now();
        assert_eq!(after.descriptors, before.descriptors, "{name}");
        assert_eq!(after.threads, before.threads, "{name}");
        // Of two hundred bad connections, each of which could leave a hundred bytes.
        let more = after.memory - before.memory;
        assert!(more <= 16 << 10, "{name}: {more} bytes more");
    }
}

#[test]
fn peers_that_stop_halfway_cost_no_time_while_they_are_waited_for() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let half_frame = sent_by(Role::Client, &[frame(BINARY, [1; 100]).claiming(1 << 20)]);
    let half_message = sent_by(Role::Client, &[fragment(TEXT, "half")]);
    for server in [Server::blocking(), Server::tokio()] {
        let mut peers = Vec::new();
        for _ in 0..20 {
            for begun in [&half_frame[..1], &half_frame, &half_message] {
                peers.push(server.opened(begun).expect("a connection"));
            }
            let mut silent = server.connected().expect("a connection");
            silent.write_all(&UPGRADE[..50]).expect("half a request");
            peers.push(silent);
        }
        thread::sleep(Duration::from_millis(200));
        let before = processor_time();
        thread::sleep(Duration::from_millis(700));
        let spent = processor_time() - before;
        // One connection that is polled without a pause takes all of it.
        assert!(
            spent <= Duration::from_millis(100),
            "{}: {spent:?}",
            server.name
        );
        drop(peers);
        server.wait_until_idle();
    }
}

// -- The attackers --------------------------------------------------------------------------------

/// What a bad peer does, before it stays as it is.
type Deed = fn(&Server) -> io::Result<TcpStream>;

const DEEDS: [Deed; 12] = [
    // It says nothing.
    Server::connected,
    // It stops inside its request.
    |server| {
        let mut peer = server.connected()?;
        peer.write_all(&UPGRADE[..100])?;
        Ok(peer)
    },
    // It asks for what is refused, and does not look.
    |server| {
        let mut peer = server.connected()?;
        peer.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")?;
        Ok(peer)
    },
    // It stops inside a frame, of which a part came.
    |server| {
        let begun = frame(BINARY, vec![1; 100_000]).claiming(1 << 20);
        server.opened(&sent_by(Role::Client, &[begun]))
    },
    // It stops inside a message.
    |server| {
        server.opened(&sent_by(
            Role::Client,
            &[fragment(BINARY, vec![1; 100_000])],
        ))
    },
    // It claims too much.
    |server| {
        server.opened(&sent_by(
            Role::Client,
            &[frame(BINARY, "").claiming(1 << 40)],
        ))
    },
    // It does not mask.
    |server| server.opened(&sent_by(Role::Server, &[frame(TEXT, "unmasked")])),
    // It asks and asks, and reads no answer.
    |server| server.flooded(&sent_by(Role::Client, &vec![frame(PING, [1; 125]); 100])),
    |server| server.flooded(&sent_by(Role::Client, &[frame(BINARY, vec![1; 100_000])])),
    // It goes on behind its Close.
    |server| {
        let close = frame(CLOSE, close_payload(1000, b""));
        let behind = frame(BINARY, vec![1; 100_000]);
        server.flooded(&sent_by(Role::Client, &[close, behind]))
    },
    // It speaks of something else.
    |server| server.opened(&[0xff; 1000]),
    // It is gone in the midst of a frame, and its answer was not read.
    |server| {
        let mut peer = server.connected()?;
        peer.write_all(UPGRADE)?;
        peer.write_all(&[0x82, 0xfe])?;
        peer.peek(&mut [0; 1])?;
        drop(peer);
        server.connected()
    },
];

// -- The servers ----------------------------------------------------------------------------------

/// A server that echoes.
struct Server {
    name: &'static str,
    address: SocketAddr,
    /// How many connections it serves.
    serving: Arc<AtomicUsize>,
    _runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    fn blocking() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let serving = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&serving);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let served = Served::begin(&count);
                let stream = stream.expect("a connection");
                thread::spawn(move || {
                    // How it ends is asked for elsewhere.
                    let _ = echo(stream);
                    drop(served);
                });
            }
        });
        Self {
            name: "blocking",
            address,
            serving,
            _runtime: None,
        }
    }

    fn tokio() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serving = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&serving);
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let served = Served::begin(&count);
                tokio::spawn(async move {
                    let _ = echo_async(stream).await;
                    drop(served);
                });
            }
        });
        Self {
            name: "tokio",
            address,
            serving,
            _runtime: Some(runtime),
        }
    }

    /// Lets a hundred bad peers come, and four good ones behind them; then all leave.
    fn besiege(&self) {
        let mut bad = Vec::new();
        for deed in DEEDS {
            for _ in 0..9 {
                bad.push(deed(self).expect("a deed that could be done"));
            }
        }
        let started = Instant::now();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| self.converse());
            }
        });
        // The patience with any one of the others is longer than what all of this takes.
        let took = started.elapsed();
        assert!(took < Duration::from_secs(8), "{}: {took:?}", self.name);
        drop(bad);
        self.wait_until_idle();
    }

    /// Sends messages and has them echoed, as a good client.
    fn converse(&self) {
        let stream = TcpStream::connect(self.address).expect("a connection");
        let request = ClientRequest::new("ws://localhost/").expect("a URI");
        let client = blocking::Client::new(request).config(config(|config| {
            config.handshake_timeout = Some(Duration::from_secs(60));
        }));
        let (mut socket, _) = client.handshake(stream).expect("an open connection");
        for round in 0..100 {
            let message = Message::binary(vec![round; 10 * usize::from(round)]);
            socket.send(message.clone()).expect("a peer that reads");
            let echoed = socket.recv().expect("no error");
            assert_eq!(echoed, Some(message));
        }
        let end = socket.close(CloseCode::NORMAL_CLOSURE, "").expect("an end");
        assert!(end.is_clean());
    }

    fn connected(&self) -> io::Result<TcpStream> {
        let peer = TcpStream::connect(self.address)?;
        peer.set_read_timeout(Some(Duration::from_secs(60)))?;
        peer.set_write_timeout(Some(Duration::from_millis(50)))?;
        Ok(peer)
    }

    /// A peer whose connection is open, and that has sent `bytes`.
    fn opened(&self, bytes: &[u8]) -> io::Result<TcpStream> {
        let mut peer = self.connected()?;
        peer.write_all(UPGRADE)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            peer.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        peer.write_all(bytes)?;
        Ok(peer)
    }

    /// A peer that sends `bytes` again and again, until it would have to wait, or some megabytes.
    fn flooded(&self, bytes: &[u8]) -> io::Result<TcpStream> {
        let mut peer = self.opened(&[])?;
        for _ in 0..(4 << 20) / bytes.len() {
            if peer.write_all(bytes).is_err() {
                break;
            }
        }
        Ok(peer)
    }

    fn wait_until_idle(&self) {
        let started = Instant::now();
        while self.serving.load(Ordering::SeqCst) > 0 {
            let serving = self.serving.load(Ordering::SeqCst);
            let waited = started.elapsed();
            assert!(
                waited < Duration::from_secs(30),
                "{}: {serving} are left",
                self.name
            );
            thread::sleep(Duration::from_millis(10));
        }
        // Threads are counted until they are gone.
        thread::sleep(Duration::from_millis(100));
    }
}

/// A connection that is served.
struct Served(Arc<AtomicUsize>);

impl Served {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn limits() -> Config {
    config(|config| {
        config.handshake_timeout = Some(Duration::from_secs(10));
        config.close_timeout = Some(Duration::from_secs(2));
        config.write_timeout = Some(Duration::from_secs(10));
    })
}

fn echo(stream: TcpStream) -> Result<(), blocking::Error> {
    let mut socket = blocking::Server::new().config(limits()).accept(stream)?;
    while let Some(message) = socket.recv()? {
        socket.send(message)?;
    }
    Ok(())
}

async fn echo_async(stream: tokio::net::TcpStream) -> Result<(), asynchronous::Error> {
    let server = asynchronous::Server::new().config(limits());
    let mut socket = server.accept(stream).await?;
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

// -- What is counted ------------------------------------------------------------------------------

/// What belongs to the process is counted by one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// What the process holds.
#[derive(Debug)]
struct Holdings {
    descriptors: usize,
    threads: usize,
    memory: isize,
}

impl Holdings {
    fn now() -> Self {
        let count = |directory| fs::read_dir(directory).expect("procfs").count();
        Self {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            memory: held_by_all(),
        }
    }
}

/// The time that the process has computed, to a hundredth of a second.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("procfs");
    // The name, which stands second, may hold spaces.
    let (_, behind_name) = stat.rsplit_once(") ").expect("a name in brackets");
    let fields: Vec<_> = behind_name.split(' ').collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(10 * ticks)
}
