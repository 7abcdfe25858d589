//! One attack against three victims: the core in memory, the blocking adapter over TCP, and the
//! tokio adapter over a pipe with its clock paused.
//!
//! An attacker is the bytes that it sends before it shuts down its half. What the application was
//! given, what the attacker was sent, and how it all ended must be the same for all three; and what
//! holds of every endpoint whatever the peer does is asserted on the way: one HTTP answer at most,
//! one Close frame at most and nothing behind it, frames that are masked as the role has it.

#![allow(
    dead_code,
    reason = "every test file is a binary of its own and uses a part of the rig"
)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

#[cfg(feature = "deflate")]
use framewright::handshake::DeflateConfig;
use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, OriginPolicy, Request, ServerHandshake, accept_key,
};
use framewright::{
    Config, Connection, End, HandshakeError, ProtocolError, RecvBuffer, Role, SendBuffer,
};
use framewright::{blocking, tokio as asynchronous};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{CLOSE, PONG, RawFrame, Received, frames_in};

/// An endpoint that is attacked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Victim {
    pub(crate) config: Config,
    pub(crate) subprotocols: Vec<String>,
    /// Whether a server accepts permessage-deflate, and a client offers it.
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<DeflateConfig>,
}

/// Why a victim gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    Protocol(ProtocolError),
    Handshake(HandshakeError),
}

/// What came of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What a server answered in HTTP: the head, and the body of a refusal.
    pub(crate) http: String,
    /// The frames that the attacker was sent, without masks and without Pongs, some of which
    /// are replaced by newer ones if they are not read in time.
    pub(crate) frames: Vec<RawFrame>,
    /// What the application was given.
    pub(crate) received: Vec<Received>,
    pub(crate) failure: Option<Failure>,
    pub(crate) end: Option<End>,
}

impl Victim {
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut victim = Self::default();
        change(&mut victim.config);
        victim
    }

    /// The server that receives `wire`, which begins with a request.
    pub(crate) fn serves(&self, wire: &[u8]) -> Outcome {
        let core = self.serves_in_core(wire, wire.len());
        for chunk_len in chunk_lens(wire) {
            let chunked = self.serves_in_core(wire, chunk_len);
            assert_eq!(chunked, core, "in chunks of {chunk_len}");
        }
        assert_eq!(self.serves_over_tcp(wire), core, "the blocking adapter");
        assert_eq!(self.serves_in_tokio(wire), core, "the tokio adapter");
        core
    }

    /// [`serves`](Self::serves) an opening handshake as it should be, and `frames` behind it.
    pub(crate) fn serves_frames(&self, frames: &[u8]) -> Outcome {
        let outcome = self.serves(&[UPGRADE, frames].concat());
        assert_eq!(outcome.status(), 101);
        outcome
    }

    /// The client that receives `answer`, made of the accept key that its request asks for.
    pub(crate) fn asks(&self, answer: impl Fn(&str) -> Vec<u8>) -> Outcome {
        let core = self.asks_in_core(&answer, usize::MAX);
        for chunk_len in chunk_lens(&answer(&"x".repeat(28))) {
            let chunked = self.asks_in_core(&answer, chunk_len);
            assert_eq!(chunked, core, "in chunks of {chunk_len}");
        }
        assert_eq!(self.asks_over_tcp(&answer), core, "the blocking adapter");
        assert_eq!(self.asks_in_tokio(&answer), core, "the tokio adapter");
        core
    }

    /// [`asks`](Self::asks) a server that answers as it should, and sends `frames` behind that.
    pub(crate) fn asks_for_frames(&self, frames: &[u8]) -> Outcome {
        self.asks(|accept| [switching(accept).as_bytes(), frames].concat())
    }

    /// The end of `role`, with `frames` behind an opening handshake as it should be.
    pub(crate) fn receives(&self, role: Role, frames: &[u8]) -> Outcome {
        match role {
            Role::Server => self.serves_frames(frames),
            Role::Client => self.asks_for_frames(frames),
        }
    }

    // -- The core in memory -----------------------------------------------------------------------

    fn serves_in_core(&self, wire: &[u8], chunk_len: usize) -> Outcome {
        let config = Arc::new(self.config.clone());
        let mut handshake = ServerHandshake::new(Arc::clone(&config));
        let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
        let mut chunks = wire.chunks(chunk_len.max(1));
        let request = loop {
            match handshake.receive(&mut input) {
                Ok(Some(request)) => break request,
                Ok(None) => match chunks.next() {
                    Some(chunk) => input.extend(chunk),
                    None => return Outcome::refused(&output, HandshakeError::EndOfStream),
                },
                Err(error) => {
                    error.respond(&mut output);
                    return Outcome::refused(&output, error);
                }
            }
        };
        let request = match request {
            Request::Upgrade(request) => request,
            Request::Plain(request) => {
                request.refuse(&mut output);
                return Outcome::refused(&output, HandshakeError::NotAnUpgrade);
            }
        };
        if !request.origin_is_allowed(&OriginPolicy::default()) {
            let error = HandshakeError::OriginForbidden;
            error.respond(&mut output);
            return Outcome::refused(&output, error);
        }
        let chosen = request
            .subprotocols()
            .find(|offered| self.subprotocols.iter().any(|own| own == offered))
            .map(str::to_owned);
        let mut acceptance = Acceptance::new();
        if let Some(chosen) = &chosen {
            acceptance = acceptance.subprotocol(chosen);
        }
        #[cfg(feature = "deflate")]
        if let Some(config) = &self.deflate {
            acceptance = acceptance.deflate(config.clone());
        }
        let connection = request
            .accept(acceptance, config, &mut output)
            .expect("an acceptance that can be written");
        Outcome::of_core(Role::Server, connection, input, output, chunks)
    }

    fn asks_in_core(&self, answer: &impl Fn(&str) -> Vec<u8>, chunk_len: usize) -> Outcome {
        let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
        let config = Arc::new(self.config.clone());
        let mut handshake = ClientHandshake::start(&self.request(), config, [7; 16], &mut output);
        let wire = answer(&accept_of(&output.to_vec()));
        output.consume(output.len());
        let mut chunks = wire.chunks(chunk_len.clamp(1, wire.len().max(1)));
        let response = loop {
            match handshake.receive(&mut input) {
                Ok(Some(response)) => break response,
                Ok(None) => match chunks.next() {
                    Some(chunk) => input.extend(chunk),
                    None => return Outcome::refused(&output, handshake.receive_eof()),
                },
                Err(error) => return Outcome::refused(&output, error),
            }
        };
        let connection = response.into_connection();
        Outcome::of_core(Role::Client, connection, input, output, chunks)
    }

    fn request(&self) -> ClientRequest {
        let mut request = ClientRequest::new("ws://server.example.com/chat").expect("a URI");
        for subprotocol in &self.subprotocols {
            request = request.subprotocol(subprotocol).expect("a token");
        }
        #[cfg(feature = "deflate")]
        if let Some(config) = &self.deflate {
            request = request.deflate(config.clone());
        }
        request
    }

    // -- The blocking adapter over TCP ------------------------------------------------------------

    fn serves_over_tcp(&self, wire: &[u8]) -> Outcome {
        let mut server = blocking::Server::new().config(self.config.clone());
        for subprotocol in &self.subprotocols {
            server = server.subprotocol(subprotocol);
        }
        #[cfg(feature = "deflate")]
        if let Some(config) = &self.deflate {
            server = server.deflate(config.clone());
        }
        let (peer, stream) = tcp_pair();
        let victim = thread::spawn(move || match server.accept(stream) {
            Ok(mut socket) => receive_all(&mut socket),
            Err(error) => Taken::nothing(error.into()),
        });
        let (written, ended) = attack(peer, wire.to_vec());
        ended.expect("an end, and no reset");
        victim
            .join()
            .expect("no panic")
            .after(Role::Server, &written)
    }

    fn asks_over_tcp(&self, answer: &impl Fn(&str) -> Vec<u8>) -> Outcome {
        let client = blocking::Client::new(self.request()).config(self.config.clone());
        let (mut peer, stream) = tcp_pair();
        let victim = thread::spawn(move || match client.handshake(stream) {
            Ok((mut socket, _)) => receive_all(&mut socket),
            Err(error) => Taken::nothing(error.into()),
        });
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            peer.read_exact(&mut byte).expect("a request");
            head.push(byte[0]);
        }
        let (written, ended) = attack(peer, answer(&accept_of(&head)));
        let taken = victim.join().expect("no panic");
        // A client owes nothing to a server that did not open the connection.
        if !matches!(taken.failure, Some(Failure::Handshake(_))) {
            ended.expect("an end, and no reset");
        }
        taken.after(Role::Client, &written)
    }

    // -- The tokio adapter over a pipe ------------------------------------------------------------

    fn serves_in_tokio(&self, wire: &[u8]) -> Outcome {
        let mut server = asynchronous::Server::new().config(self.config.clone());
        for subprotocol in &self.subprotocols {
            server = server.subprotocol(subprotocol);
        }
        #[cfg(feature = "deflate")]
        if let Some(config) = &self.deflate {
            server = server.deflate(config.clone());
        }
        let (peer, stream) = tokio::io::duplex(PIPE_LEN);
        let victim = async {
            match server.accept(stream).await {
                Ok(mut socket) => receive_all_async(&mut socket).await,
                Err(error) => Taken::nothing(error.into()),
            }
        };
        let (taken, written) =
            in_tokio(async { tokio::join!(victim, attack_async(peer, wire.to_vec())) });
        taken.after(Role::Server, &written)
    }

    fn asks_in_tokio(&self, answer: &impl Fn(&str) -> Vec<u8>) -> Outcome {
        let client = asynchronous::Client::new(self.request()).config(self.config.clone());
        let (mut peer, stream) = tokio::io::duplex(PIPE_LEN);
        let victim = async {
            match client.handshake(stream).await {
                Ok((mut socket, _)) => receive_all_async(&mut socket).await,
                Err(error) => Taken::nothing(error.into()),
            }
        };
        let attacker = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(peer.read_u8().await.expect("a request"));
            }
            attack_async(peer, answer(&accept_of(&head))).await
        };
        let (taken, written) = in_tokio(async { tokio::join!(victim, attacker) });
        taken.after(Role::Client, &written)
    }
}

impl Outcome {
    /// The status of a server's HTTP answer; 0 where there is none.
    pub(crate) fn status(&self) -> u16 {
        let status = self.http.split(' ').nth(1);
        status.map_or(0, |status| status.parse().expect("a status"))
    }

    /// The value of a header line of a server's HTTP answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.http.lines().take_while(|line| !line.is_empty());
        lines
            .filter_map(|line| line.split_once(": "))
            .find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value))
    }

    /// The code of the Close frame that the attacker was sent.
    pub(crate) fn close_code(&self) -> Option<u16> {
        let close = self.frames.iter().find(|frame| frame.opcode == CLOSE)?;
        close
            .payload
            .first_chunk()
            .map(|code| u16::from_be_bytes(*code))
    }

    /// Asserts that the connection failed with `error`, after `received`, and that the attacker was
    /// told so by one Close frame with its code.
    pub(crate) fn assert_failed_after(&self, received: &[Received], error: ProtocolError) {
        assert_eq!(self.failure, Some(Failure::Protocol(error)), "{self:?}");
        assert_eq!(self.received, received, "{self:?}");
        assert_eq!(
            self.close_code(),
            Some(error.close_code().get()),
            "{self:?}"
        );
    }

    pub(crate) fn assert_failed(&self, error: ProtocolError) {
        self.assert_failed_after(&[], error);
    }

    /// Asserts that a server refused with `error` and its status, and closed.
    pub(crate) fn assert_refused(&self, error: &HandshakeError) {
        assert_eq!(
            self.failure,
            Some(Failure::Handshake(error.clone())),
            "{self:?}"
        );
        assert_eq!(Some(self.status()), error.status(), "{self:?}");
    }

    fn refused(output: &SendBuffer, error: HandshakeError) -> Self {
        Taken::nothing(Failure::Handshake(error)).after(Role::Server, &output.to_vec())
    }

    fn of_core<'a>(
        role: Role,
        mut connection: Connection,
        mut input: RecvBuffer,
        mut output: SendBuffer,
        mut chunks: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let mut taken = Taken::default();
        let mut written = Vec::new();
        loop {
            let found = connection.receive(&mut input, &mut output);
            match found {
                Ok(Some(event)) => {
                    taken.received.push(event.into());
                    continue;
                }
                Ok(None) => {}
                Err(error) => taken.failure = Some(Failure::Protocol(error)),
            }
            written.extend(output.to_vec());
            output.consume(output.len());
            match chunks.next() {
                Some(chunk) => input.extend(chunk),
                None => break,
            }
        }
        taken.end = Some(connection.receive_eof());
        taken.after(role, &written)
    }
}

/// What a victim's application was given.
#[derive(Debug, Default)]
struct Taken {
    received: Vec<Received>,
    failure: Option<Failure>,
    end: Option<End>,
}

impl Taken {
    fn nothing(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    /// The outcome, if the attacker was sent `written` besides.
    fn after(self, role: Role, written: &[u8]) -> Outcome {
        let is_http = role == Role::Server && written.starts_with(b"HTTP/");
        let head_len = match written.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) if is_http => end + 4,
            _ => 0,
        };
        let is_open = !is_http || written.starts_with(b"HTTP/1.1 101 ");
        let (http, frames) = written.split_at(if is_open { head_len } else { written.len() });
        let http = String::from_utf8(http.to_vec()).expect("an answer in UTF-8");
        assert!(http.matches("HTTP/1.1 ").count() <= 1, "one answer: {http}");
        if !is_open {
            // RFC 9112, section 9.6: a proxy must not go on behind a refusal.
            assert!(http.contains("\r\nConnection: close"), "{http}");
        }
        let mut frames = frames_in(frames);
        let closes = frames.iter().position(|frame| frame.opcode == CLOSE);
        // 5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
        assert!(
            closes.is_none_or(|at| frames[at + 1..].iter().all(|frame| frame.opcode == PONG)),
            "{frames:x?}"
        );
        for frame in &mut frames {
            // 5.1.
            assert_eq!(frame.mask.is_some(), role == Role::Client, "{frame:x?}");
            frame.mask = None;
        }
        frames.retain(|frame| frame.opcode != PONG);
        Outcome {
            http,
            frames,
            received: self.received,
            failure: self.failure,
            end: self.end,
        }
    }
}

impl From<blocking::Error> for Failure {
    fn from(error: blocking::Error) -> Self {
        match error {
            blocking::Error::Protocol(error) => Self::Protocol(error),
            blocking::Error::Handshake(error) => Self::Handshake(error),
            error => panic!("an attack by bytes is no failure of the transport: {error:?}"),
        }
    }
}

fn receive_all(socket: &mut blocking::WebSocket<TcpStream>) -> Taken {
    let mut taken = Taken::default();
    loop {
        match socket.recv_event() {
            Ok(Some((event, _))) => taken.received.push(event.into()),
            Ok(None) => break,
            Err(error) => taken.failure = Some(error.into()),
        }
    }
    taken.end = socket.end().cloned();
    taken
}

async fn receive_all_async(socket: &mut asynchronous::WebSocket<tokio::io::DuplexStream>) -> Taken {
    let mut taken = Taken::default();
    loop {
        match socket.recv_event().await {
            Ok(Some((event, _))) => taken.received.push(event.into()),
            Ok(None) => break,
            Err(error) => taken.failure = Some(error.into()),
        }
    }
    taken.end = socket.end().cloned();
    taken
}

/// Sends `wire`, shuts down, and returns all that comes back, and whether a reset cut it short.
fn attack(mut peer: TcpStream, wire: Vec<u8>) -> (Vec<u8>, io::Result<usize>) {
    let mut sending = peer.try_clone().expect("another handle");
    let sender = thread::spawn(move || {
        // A victim that has had enough need not take it all.
        let _ = sending.write_all(&wire);
        let _ = sending.shutdown(Shutdown::Write);
    });
    let mut written = Vec::new();
    let ended = peer.read_to_end(&mut written);
    sender.join().expect("no panic");
    (written, ended)
}

async fn attack_async(peer: tokio::io::DuplexStream, wire: Vec<u8>) -> Vec<u8> {
    let (mut reading, mut sending) = tokio::io::split(peer);
    let mut written = Vec::new();
    let send = async {
        let _ = sending.write_all(&wire).await;
        let _ = sending.shutdown().await;
    };
    let (_, read) = tokio::join!(send, reading.read_to_end(&mut written));
    read.expect("an end, and no reset");
    written
}

/// Runs a future by virtual time, in which nothing may take an hour.
pub(crate) fn in_tokio<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let hour = Duration::from_secs(3600);
        let outcome = tokio::time::timeout(hour, future).await;
        outcome.expect("an attack that does not hang")
    })
}

pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let ours = TcpStream::connect(address).expect("a connection");
    let (theirs, _) = listener.accept().expect("the same");
    // A test that hangs fails.
    let limit = Some(Duration::from_secs(60));
    ours.set_read_timeout(limit).expect("a timeout");
    (ours, theirs)
}

/// How `wire` may come in pieces too; a long one is not dripped, which takes long.
fn chunk_lens(wire: &[u8]) -> impl Iterator<Item = usize> {
    let lens = [1, 2, 7, 1000, 65_536];
    let least = wire.len() / 20_000;
    lens.into_iter().filter(move |len| *len > least)
}

/// The accept key that a client's request asks for.
pub(crate) fn accept_of(request: &[u8]) -> String {
    let request = std::str::from_utf8(request).expect("a request in ASCII");
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .expect("a key");
    String::from_utf8(accept_key(key.as_bytes()).to_vec()).expect("base64")
}

/// The answer that opens a connection.
pub(crate) fn switching(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// The shortest request that section 4.2.1 lets a client make.
pub(crate) const UPGRADE: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// The same, with more lines.
pub(crate) fn upgrade_and(lines: &[&str]) -> Vec<u8> {
    let head = UPGRADE.strip_suffix(b"\r\n").expect("an empty line");
    let mut request = head.to_vec();
    for line in lines {
        request.extend_from_slice(line.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

const PIPE_LEN: usize = 64 << 10;
