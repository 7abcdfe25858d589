//! The adapter over the streams of `futures-io`: sockets of smol, pipes in memory, clocks.
//!
//! How a WebSocket is driven is tested with tokio's streams. Here it is what the two traits and the
//! two clocks add: async-io's, which takes its time, and one of the test's own, which takes none,
//! so that each deadline is met to the nanosecond.

#![cfg(feature = "futures-io")]

mod support;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use async_io::Async;
use framewright::asynchronous::{self, Timer};
use framewright::futures_io::{
    AsyncIoTimer, ByteStream, Client, Error, FuturesIo, Incoming, Parts, Server, WebSocket, accept,
};
use framewright::handshake::{ClientRequest, OriginPolicy, Response};
use framewright::{
    CloseCode, Config, Connection, EndCause, Event, HandshakeError, Message, RecvBuffer, Role,
    SendBuffer,
};
use futures_util::future::join;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};

use support::{BINARY, CLOSE, PING, TEXT, config, frame, sent};

// -- Streams --------------------------------------------------------------------------------------

#[test]
fn a_client_and_a_server_meet_talk_and_part_over_a_pipe() {
    bounded(async {
        let (here, there) = pipe(64 << 10);
        let (client, server) = join(client().handshake(here), accept(there)).await;
        meet(client.unwrap().0, server.unwrap()).await;
    });
}

#[test]
fn a_client_and_a_server_meet_talk_and_part_over_a_pipe_that_takes_three_bytes_at_once() {
    bounded(async {
        let (here, there) = pipe(3);
        let (client, server) = join(client().handshake(here), accept(there)).await;
        meet(client.unwrap().0, server.unwrap()).await;
    });
}

#[test]
fn a_client_over_a_socket_of_async_io_and_a_server_over_one_of_smol_meet_talk_and_part() {
    bounded(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = Async::<std::net::TcpStream>::connect(address);
        let (here, there) = join(connecting, listener.accept()).await;
        let (here, there) = (here.unwrap(), there.unwrap().0);
        let (client, server) = join(client().handshake(here), accept(there)).await;
        meet(client.unwrap().0, server.unwrap()).await;
    });
}

#[test]
fn a_client_and_a_server_meet_talk_and_part_over_sockets_of_smol_on_two_tasks() {
    bounded(async {
        let (here, there) = sockets().await;
        let serve = smol::spawn(async move {
            let mut server = accept(there).await?;
            while let Some((event, mut outbox)) = server.recv_event().await? {
                if let Event::Text(text) = event {
                    outbox.feed_text(text)?;
                }
            }
            Ok::<_, Error>(server.end().cloned())
        });
        let mut client = client().handshake(here).await.unwrap().0;
        client.send("hello").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(Message::text("hello")));
        let end = client
            .close(CloseCode::NORMAL_CLOSURE, "bye")
            .await
            .unwrap();
        assert!(end.is_clean());
        let end = serve.await.unwrap().unwrap();
        assert_eq!((end.code(), end.reason()), (1000, "bye"));
    });
}

#[test]
fn a_plain_request_and_one_of_another_origin_are_answered() {
    bounded(async {
        let (mut here, there) = pipe(64 << 10);
        let serve = async {
            let Incoming::Plain(plain) = Server::new().receive(there).await.unwrap() else {
                panic!("it asks for no WebSocket");
            };
            assert_eq!(plain.request().target(), "/health");
            let response = Response::new(200).unwrap().body("well\n");
            plain.respond(&response).await.unwrap();
        };
        let request = "GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
        let ((), answer) = join(serve, ask(&mut here, request)).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nwell\n"), "{answer}");

        let (mut here, there) = pipe(64 << 10);
        let request = UPGRADE.replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n");
        let (refused, answer) = join(accept(there), ask(&mut here, &request)).await;
        let refused = refused.unwrap_err();
        let is_forbidden = matches!(refused, Error::Handshake(HandshakeError::OriginForbidden));
        assert!(is_forbidden, "{refused:?}");
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");

        let (mut here, there) = pipe(64 << 10);
        let server = Server::new().origin_policy(OriginPolicy::Any);
        let serve = async { drop(server.accept(there).await.unwrap()) };
        let ((), answer) = join(serve, ask(&mut here, &request)).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    });

    async fn ask(stream: &mut Pipe, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // An answer that is written before the stream is dropped is read before its end.
        let mut bytes = [0; 1024];
        while let Ok(len @ 1..) = stream.read(&mut bytes).await {
            answer.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
            if answer.contains("Content-Length") {
                stream.close().await.unwrap();
            }
        }
        answer
    }
}

#[test]
fn a_stream_that_fails_ends_the_connection() {
    bounded(async {
        let (here, there) = pipe(64 << 10);
        here.incoming.lock().unwrap().error = Some(ErrorKind::ConnectionReset);
        let mut socket = socket::<_, AsyncIoTimer>(Role::Server, Config::default(), here);
        let failed = socket.recv().await.unwrap_err();
        let is_reset =
            matches!(&failed, Error::Io(error) if error.kind() == ErrorKind::ConnectionReset);
        assert!(is_reset, "{failed:?}");
        assert_eq!(socket.recv().await.unwrap(), None);
        assert_eq!(socket.end().unwrap().cause, EndCause::Transport);
        drop(there);
    });
}

#[test]
fn the_halves_of_a_split_work_on_two_tasks() {
    bounded(async {
        let (here, there) = sockets().await;
        let (client, server) = join(client().handshake(here), accept(there)).await;
        let (mut reader, mut writer) = server.unwrap().split();
        let echo = smol::spawn(async move {
            while let Some(message) = reader.recv().await.unwrap() {
                writer.feed(message).await.unwrap();
            }
        });
        let (mut reader, mut writer) = client.unwrap().0.split();
        let mut other = writer.clone();
        let send = smol::spawn(async move {
            for _ in 0..300 {
                other.send(vec![7; 5000]).await.unwrap();
            }
        });
        for _ in 0..300 {
            let received = reader.recv().await.unwrap();
            assert!(received == Some(Message::binary(vec![7; 5000])));
        }
        send.await;
        let close = smol::spawn(async move { writer.close(CloseCode::NORMAL_CLOSURE, "").await });
        assert_eq!(reader.recv().await.unwrap(), None);
        assert!(close.await.unwrap().is_clean());
        echo.await;
    });
}

#[cfg(feature = "futures")]
#[test]
fn combinators_echo_and_close() {
    use futures_util::{SinkExt, StreamExt};

    bounded(async {
        let (here, there) = sockets().await;
        let (client, server) = join(client().handshake(here), accept(there)).await;
        let echo = smol::spawn(async move {
            // The combinator's, which wants a Sink and a Stream in one.
            let (sink, stream) = StreamExt::split::<Message>(server.unwrap());
            stream.forward(sink).await
        });
        let mut client = client.unwrap().0;
        for text in ["one", "two"] {
            SinkExt::send(&mut client, Message::text(text))
                .await
                .unwrap();
            let received = client.next().await.unwrap().unwrap();
            assert_eq!(received, Message::text(text));
        }
        SinkExt::close(&mut client).await.unwrap();
        assert!(client.next().await.is_none());
        assert!(client.end().unwrap().is_clean());
        echo.await.unwrap();
    });
}

#[test]
fn bytes_pass_a_tunnel_whatever_messages_they_go_in() {
    bounded(async {
        let (here, there) = sockets().await;
        let (client, server) = join(client().handshake(here), accept(there)).await;
        let echo = smol::spawn(async move {
            let mut tunnel = ByteStream::new(server.unwrap());
            let mut bytes = Vec::new();
            let mut some = [0; 1000];
            loop {
                match tunnel.read(&mut some).await.unwrap() {
                    0 => break,
                    len => bytes.extend(&some[..len]),
                }
                if bytes.len() == 200_000 {
                    tunnel.write_all(&bytes).await.unwrap();
                    tunnel.flush().await.unwrap();
                }
            }
            assert!(tunnel.end().unwrap().is_clean());
        });
        let mut tunnel = ByteStream::new(client.unwrap().0);
        let sent: Vec<_> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        tunnel.write_all(&sent).await.unwrap();
        tunnel.flush().await.unwrap();
        let mut received = vec![0; sent.len()];
        tunnel.read_exact(&mut received).await.unwrap();
        assert!(received == sent);
        tunnel.close().await.unwrap();
        assert_eq!(tunnel.read(&mut [0; 1]).await.unwrap(), 0);
        let refused = tunnel.write_all(b"late").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
        echo.await;
    });
}

#[test]
fn what_is_flushed_into_a_tunnel_leaves_without_a_read() {
    bounded(async {
        let (mut here, there) = pipe(64 << 10);
        let socket = socket::<_, AsyncIoTimer>(Role::Server, Config::default(), there);
        let mut tunnel = ByteStream::new(socket);
        tunnel.write_all(b"bytes").await.unwrap();
        tunnel.flush().await.unwrap();
        assert_eq!(read_frame(&mut here).await, (BINARY, b"bytes".to_vec()));
        tunnel.close().await.unwrap();
        assert_eq!(read_frame(&mut here).await, (CLOSE, vec![0x03, 0xe8]));
    });
}

#[test]
fn a_tunnel_tells_an_end_from_a_loss_and_refuses_text() {
    bounded(async {
        let (mut here, there) = pipe(64 << 10);
        let mut tunnel = ByteStream::new(socket::<_, AsyncIoTimer>(
            Role::Server,
            Config::default(),
            there,
        ));
        let wire = masked(&[(BINARY, b"bytes"), (TEXT, b"text")]);
        here.write_all(&wire).await.unwrap();
        let mut bytes = [0; 9];
        assert_eq!(tunnel.read(&mut bytes).await.unwrap(), 5);
        let refused = tunnel.read(&mut bytes).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidData);
        drop(here);
        let lost = tunnel.read(&mut bytes).await.unwrap_err();
        assert!(
            matches!(
                lost.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
            ),
            "{lost}"
        );
    });
}

// -- Clocks ---------------------------------------------------------------------------------------

/// The names of the module, with a clock of the test's own.
type VirtualServer = asynchronous::Server<FuturesIo<Virtual>>;
type VirtualClient = asynchronous::Client<FuturesIo<Virtual>>;

#[test]
fn each_deadline_is_that_of_the_clock_that_the_types_name() {
    virtually(async {
        let (mut here, there) = pipe(64 << 10);
        let mut socket = socket::<_, Virtual>(Role::Server, Config::default(), there);
        let start = Virtual::now();
        let receive = async {
            let received = socket.recv().await;
            (received, Virtual::now() - start, socket)
        };
        let watch = async {
            let ping = read_frame(&mut here).await;
            assert_eq!(ping, (PING, vec![0, 0, 0, 1]));
            assert_eq!(Virtual::now() - start, secs(20));
            // The pong never comes.
            let (opcode, payload) = read_frame(&mut here).await;
            assert_eq!((opcode, &payload[..2]), (CLOSE, &[0x03, 0xf3][..]));
            assert_eq!(Virtual::now() - start, secs(40));
            here
        };
        let ((received, elapsed, socket), here) = join(receive, watch).await;
        assert!(matches!(received, Ok(None)), "{received:?}");
        assert_eq!(socket.end().unwrap().cause, EndCause::KeepaliveTimeout);
        // The peer is given the time of a closing handshake.
        assert_eq!(elapsed, secs(45));
        drop(here);
    });
}

#[test]
fn a_client_that_never_ends_its_request_is_answered_when_its_time_is_up() {
    virtually(async {
        let (mut here, there) = pipe(64 << 10);
        here.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let start = Virtual::now();
        let serve = async {
            let refused = VirtualServer::new().accept(there).await.unwrap_err();
            (refused, Virtual::now() - start)
        };
        let watch = async {
            let mut answer = [0; 12];
            here.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 408");
            assert_eq!(Virtual::now() - start, secs(10));
            here
        };
        let ((refused, elapsed), here) = join(serve, watch).await;
        let is_late = matches!(refused, Error::Handshake(HandshakeError::TimedOut));
        assert!(is_late, "{refused:?}");
        assert_eq!(elapsed, secs(15), "the answer is given time to be read");
        drop(here);
    });
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    virtually(async {
        let (here, there) = pipe(64 << 10);
        let client = VirtualClient::new(ClientRequest::new("ws://h/").unwrap());
        let start = Virtual::now();
        let failed = client.handshake(here).await.unwrap_err();
        let is_late = matches!(failed, Error::Handshake(HandshakeError::TimedOut));
        assert!(is_late, "{failed:?}");
        assert_eq!(Virtual::now() - start, secs(10));
        drop(there);
    });
}

#[test]
fn a_peer_that_does_not_read_and_one_that_does_not_close_are_given_up() {
    virtually(async {
        let (here, there) = pipe(16);
        let mut socket = socket::<_, Virtual>(Role::Server, Config::default(), there);
        let start = Virtual::now();
        let failed = socket.send(vec![0; 100]).await.unwrap_err();
        assert!(matches!(failed, Error::WriteTimeout), "{failed:?}");
        assert_eq!(Virtual::now() - start, secs(30));
        drop(here);

        let (here, there) = pipe(64 << 10);
        let mut socket = self::socket::<_, Virtual>(Role::Server, Config::default(), there);
        let start = Virtual::now();
        let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        assert_eq!(end.cause, EndCause::CloseTimeout);
        assert_eq!(Virtual::now() - start, secs(5));
        drop(here);
    });
}

#[test]
fn a_server_shuts_down_behind_the_close_and_waits_for_the_client() {
    virtually(async {
        let (mut here, there) = pipe(64 << 10);
        let mut server = socket::<_, Virtual>(Role::Server, Config::default(), there);
        let start = Virtual::now();
        let part = async {
            here.write_all(&masked(&[(CLOSE, b"")])).await.unwrap();
            assert_eq!(read_frame(&mut here).await, (CLOSE, vec![]));
            assert_eq!(here.read(&mut [0; 1]).await.unwrap(), 0);
            assert_eq!(Virtual::now() - start, Duration::ZERO);
            here
        };
        let (received, here) = join(server.recv(), part).await;
        assert_eq!(received.unwrap(), None);
        // It did not end its direction.
        assert_eq!(Virtual::now() - start, secs(5));
        drop(here);
    });
}

#[test]
fn a_stream_whose_close_does_nothing_ends_cleanly_when_the_time_to_close_is_up() {
    virtually(async {
        let (here, there) = pipe(64 << 10);
        there.outgoing.lock().unwrap().ignores_close = true;
        let mut client = socket::<_, Virtual>(Role::Client, Config::default(), here);
        let mut server = socket::<_, Virtual>(Role::Server, Config::default(), there);
        let start = Virtual::now();
        let closing = client.close(CloseCode::NORMAL_CLOSURE, "");
        let (end, received) = join(closing, server.recv()).await;
        assert!(end.unwrap().is_clean());
        assert_eq!(received.unwrap(), None);
        assert!(server.end().unwrap().is_clean());
        assert_eq!(Virtual::now() - start, secs(5));
    });
}

#[test]
fn the_clock_of_async_io_wakes_again_and_again() {
    const INTERVAL: Duration = Duration::from_millis(50);

    bounded(async {
        let config = config(|config| config.ping_interval = Some(INTERVAL));
        let (mut here, there) = pipe(64 << 10);
        let mut socket = socket::<_, AsyncIoTimer>(Role::Server, config, there);
        let start = Instant::now();
        let receive = async {
            assert_eq!(socket.recv().await.unwrap(), None);
            socket.end().cloned().unwrap()
        };
        let watch = async {
            for number in 1..=3 {
                assert_eq!(read_frame(&mut here).await, (PING, vec![0, 0, 0, number]));
            }
            let elapsed = start.elapsed();
            assert!(elapsed >= 3 * INTERVAL, "{elapsed:?}");
            assert!(elapsed < SOON, "{elapsed:?}");
            here.write_all(&masked(&[(CLOSE, b"")])).await.unwrap();
            assert_eq!(read_frame(&mut here).await, (CLOSE, vec![]));
            drop(here);
        };
        let (end, ()) = join(receive, watch).await;
        assert!(end.is_clean());
    });
}

#[test]
fn the_clock_of_async_io_ends_a_closing_handshake() {
    bounded(async {
        let config = config(|config| config.close_timeout = Some(Duration::from_millis(50)));
        let (here, there) = pipe(64 << 10);
        let mut socket = socket::<_, AsyncIoTimer>(Role::Server, config, there);
        let start = Instant::now();
        let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        assert_eq!(end.cause, EndCause::CloseTimeout);
        let elapsed = start.elapsed();
        assert!(
            elapsed >= Duration::from_millis(50) && elapsed < SOON,
            "{elapsed:?}"
        );
        drop(here);
    });
}

// -- The rig --------------------------------------------------------------------------------------

/// What has a short timeout must be over by then.
const SOON: Duration = Duration::from_secs(5);

const UPGRADE: &str = "GET / HTTP/1.1\r\n\
                       Host: example.com\r\n\
                       Connection: Upgrade\r\n\
                       Upgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Version: 13\r\n\r\n";

/// Runs a test on smol; one that hangs fails.
fn bounded(test: impl Future<Output = ()>) {
    let hang = async {
        smol::Timer::after(secs(20)).await;
        panic!("it hangs");
    };
    smol::block_on(smol::future::or(test, hang));
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn client() -> Client {
    Client::new(ClientRequest::new("ws://localhost/").unwrap())
}

/// A socket after somebody else's opening handshake, with a clock.
fn socket<S: AsyncRead + AsyncWrite + Unpin, T: Timer>(
    role: Role,
    config: Config,
    stream: S,
) -> WebSocket<S, T> {
    WebSocket::from_parts(Parts {
        stream,
        connection: Connection::new(role, config.into()),
        input: RecvBuffer::new(),
        output: SendBuffer::new(),
    })
}

/// Two sockets that are connected.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (here, there) = join(connecting, listener.accept()).await;
    (here.unwrap(), there.unwrap().0)
}

/// Messages both ways, and a closing handshake.
async fn meet<C, S>(mut client: WebSocket<C>, mut server: WebSocket<S>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let serve = async move {
        while let Some(message) = server.recv().await.unwrap() {
            server.send(message).await.unwrap();
        }
        server.end().cloned().unwrap()
    };
    // What is dropped tells the other that it is gone.
    let ask = async move {
        for message in [Message::text("hello"), Message::binary(vec![7; 10_000])] {
            client.send(message.clone()).await.unwrap();
            assert!(client.recv().await.unwrap() == Some(message));
        }
        client
            .close(CloseCode::NORMAL_CLOSURE, "bye")
            .await
            .unwrap()
    };
    let (served, asked) = join(serve, ask).await;
    assert!(asked.is_clean(), "{asked:?}");
    assert_eq!((served.code(), served.reason()), (1000, "bye"));
}

/// Frames as a client sends them.
fn masked(frames: &[(u8, &[u8])]) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|(opcode, payload)| frame(*opcode, payload).sent_by(Role::Client).bytes())
        .collect()
}

/// The opcode and the payload of a short frame of a server.
async fn read_frame(stream: &mut Pipe) -> (u8, Vec<u8>) {
    let mut bytes = vec![0; 2];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes.resize(2 + usize::from(bytes[1]), 0);
    stream.read_exact(&mut bytes[2..]).await.unwrap();
    sent(&bytes).remove(0)
}

/// One end of a pipe in memory, both ways.
struct Pipe {
    incoming: Arc<Mutex<Direction>>,
    outgoing: Arc<Mutex<Direction>>,
}

/// One way of a pipe.
#[derive(Default)]
struct Direction {
    bytes: VecDeque<u8>,
    room: usize,
    is_closed: bool,
    /// Whether it is closed only when an end is dropped.
    ignores_close: bool,
    /// What reading comes to in the place of bytes.
    error: Option<ErrorKind>,
    waiting: Vec<Waker>,
}

impl Direction {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

/// A pipe that holds so many bytes each way.
fn pipe(room: usize) -> (Pipe, Pipe) {
    let [one, other] = [(); 2].map(|()| {
        Arc::new(Mutex::new(Direction {
            room,
            ..Direction::default()
        }))
    });
    let here = Pipe {
        incoming: Arc::clone(&one),
        outgoing: Arc::clone(&other),
    };
    let there = Pipe {
        incoming: other,
        outgoing: one,
    };
    (here, there)
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut incoming = self.incoming.lock().unwrap();
        if let Some(error) = incoming.error {
            return Poll::Ready(Err(error.into()));
        }
        if incoming.bytes.is_empty() && !incoming.is_closed {
            incoming.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        let len = incoming.bytes.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(incoming.bytes.drain(..len)) {
            *place = byte;
        }
        incoming.wake();
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut outgoing = self.outgoing.lock().unwrap();
        let len = bytes.len().min(outgoing.room - outgoing.bytes.len());
        if outgoing.is_closed {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if len == 0 {
            outgoing.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        outgoing.bytes.extend(&bytes[..len]);
        outgoing.wake();
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outgoing = self.outgoing.lock().unwrap();
        outgoing.is_closed = !outgoing.ignores_close;
        outgoing.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for direction in [&self.incoming, &self.outgoing] {
            let mut direction = direction.lock().unwrap();
            direction.is_closed = true;
            direction.wake();
        }
    }
}

/// A clock that stands still while there is something to do, and then is as late as the next
/// deadline. Each thread has its own.
struct Virtual {
    deadline: Instant,
}

struct Clock {
    now: Instant,
    sleeping: Vec<(Instant, Waker)>,
}

thread_local! {
    static CLOCK: RefCell<Clock> = RefCell::new(Clock {
        now: Instant::now(),
        sleeping: Vec::new(),
    });
}

impl Timer for Virtual {
    fn now() -> Instant {
        CLOCK.with_borrow(|clock| clock.now)
    }

    fn new(deadline: Instant) -> Self {
        Self { deadline }
    }

    fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        CLOCK.with_borrow_mut(|clock| {
            if self.deadline <= clock.now {
                return Poll::Ready(());
            }
            clock.sleeping.push((self.deadline, cx.waker().clone()));
            Poll::Pending
        })
    }
}

/// Runs a test with the clock of its thread; one that waits for what never comes fails.
fn virtually(test: impl Future<Output = ()>) {
    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let flag = Arc::new(Flag::default());
    let waker = Waker::from(Arc::clone(&flag));
    let mut test = pin!(test);
    while test
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        while !flag.0.swap(false, Ordering::SeqCst) {
            CLOCK.with_borrow_mut(|clock| {
                let next = clock.sleeping.iter().map(|(deadline, _)| *deadline).min();
                clock.now = next.expect("nobody waits for a deadline, and nothing else comes");
                let now = clock.now;
                for (_, waker) in clock
                    .sleeping
                    .extract_if(.., |(deadline, _)| *deadline <= now)
                {
                    waker.wake();
                }
            });
        }
    }
}
