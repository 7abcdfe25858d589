//! The core over a transport of your own.
//!
//! The core has no stream, no clock and no thread: bytes go in, and events and bytes come out. An
//! adapter is what moves the bytes and tells the time. Most programs take one that is there; this
//! page is for the others.
//!
//! # Three ways
//!
//! | you have | write |
//! |---|---|
//! | a type that is `Read + Write` and blocks | `impl blocking::Stream`, or wrap it in [`blocking::Plain`](crate::blocking::Plain) |
//! | `AsyncRead + AsyncWrite` of tokio or of `futures-io` | nothing: [`tokio`](crate::tokio) and [`futures_io`](crate::futures_io) take any |
//! | those of `futures-io`, with a clock that is not async-io's | a [`Timer`](crate::asynchronous::Timer), for [`FuturesIo`](crate::futures_io::FuturesIo) |
//! | streams of another async runtime | a [`Transport`](crate::asynchronous::Transport) and a [`Timer`](crate::asynchronous::Timer), about 60 lines |
//! | an event loop, completions, an interrupt, a message queue | a loop over the core, below |
//!
//! With the first four, `accept`, `recv`, `split` and all else are there as with the adapters of
//! the crate, since they are made the same way: `src/tokio/transport.rs` is a model.
//!
//! # A type that blocks
//!
//! Two methods are worth writing. Without timeouts there are no deadlines, because a read that
//! waits cannot be told; without `shut_down` a close may lose its last bytes.
//!
//! ```no_run
//! # #[cfg(feature = "blocking")]
//! # mod adapter {
//! use framewright::blocking::{Error, Stream, accept};
//! use std::io::{self, Read, Write};
//! use std::time::Duration;
//!
//! struct SerialLine { /* a handle of the system's */ }
//!
//! impl Stream for SerialLine {
//!     fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
//! #       let _ = timeout;
//!         // Tell the system. A read that gives up says `WouldBlock` or `TimedOut`.
//!         Ok(())
//!     }
//! }
//! # impl Read for SerialLine {
//! #     fn read(&mut self, _: &mut [u8]) -> io::Result<usize> { Ok(0) }
//! # }
//! # impl Write for SerialLine {
//! #     fn write(&mut self, _: &[u8]) -> io::Result<usize> { Ok(0) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//!
//! fn serve(line: SerialLine) -> Result<(), Error> {
//!     let mut socket = accept(line)?;
//!     while let Some(message) = socket.recv()? {
//!         socket.send(message)?;
//!     }
//!     Ok(())
//! }
//! # }
//! ```
//!
//! # A loop over the core
//!
//! The order of calls, once per wake-up, is that of [`Connection`](crate::Connection):
//!
//! 1. tell the time: `set_now`;
//! 2. read into the input: `spare_mut` and `commit`;
//! 3. `receive` until it returns `Ok(None)` or an error, and reply;
//! 4. write the output, also after an error;
//! 5. look at `teardown`, and wait until there are bytes or `next_deadline` has passed, which is
//!    when `handle_timeout` is called.
//!
//! This is a whole server for one connection, with all deadlines and a closing handshake that loses
//! nothing. It waits in a read with a timeout; with a poll, or a completion, only that line
//! differs.
//!
//! ```
//! use framewright::handshake::{Acceptance, OriginPolicy, Request, ServerHandshake};
//! use framewright::{
//!     Config, Connection, End, Event, HandshakeError, RecvBuffer, SendBuffer, Teardown,
//! };
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::net::{Shutdown, TcpStream};
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! struct Adapter {
//!     stream: TcpStream,
//!     input: RecvBuffer,
//!     output: SendBuffer,
//! }
//!
//! impl Adapter {
//!     /// Receives a request and answers it; `None` if that opened nothing.
//!     fn open(&mut self, config: Arc<Config>) -> io::Result<Option<Connection>> {
//!         let mut handshake = ServerHandshake::new(config.clone());
//!         loop {
//!             let now = Instant::now();
//!             handshake.set_now(now); // The first call starts the clock.
//!             let outcome = match handshake.handle_timeout(now) {
//!                 Ok(()) => handshake.receive(&mut self.input),
//!                 Err(error) => Err(error),
//!             };
//!             let opened = match outcome {
//!                 Ok(Some(Request::Upgrade(request))) => {
//!                     if request.origin_is_allowed(&OriginPolicy::SameOrigin) {
//!                         let acceptance = Acceptance::new();
//!                         let opened = request.accept(acceptance, config, &mut self.output);
//!                         Some(opened.map_err(io::Error::other)?)
//!                     } else {
//!                         HandshakeError::OriginForbidden.respond(&mut self.output);
//!                         None
//!                     }
//!                 }
//!                 Ok(Some(Request::Plain(request))) => {
//!                     request.refuse(&mut self.output); // 426
//!                     None
//!                 }
//!                 Ok(None) => {
//!                     if self.read(handshake.next_deadline())? == Outcome::Eof {
//!                         return Ok(None);
//!                     }
//!                     continue;
//!                 }
//!                 Err(error) => {
//!                     error.respond(&mut self.output); // The status that it earns.
//!                     None
//!                 }
//!             };
//!             self.write()?;
//!             return Ok(opened);
//!         }
//!     }
//!
//!     /// Echoes until the connection has ended, and returns how it did.
//!     fn run(&mut self, mut connection: Connection) -> io::Result<End> {
//!         loop {
//!             let now = Instant::now();
//!             connection.set_now(now); // 1
//!             while let Ok(Some(event)) = connection.receive(&mut self.input, &mut self.output) {
//!                 // 3. What is refused while it closes is no fault.
//!                 let _ = match event {
//!                     Event::Text(text) => connection.send_text(text, &mut self.output),
//!                     Event::Binary(data) => connection.send_binary(data, &mut self.output),
//!                     _ => Ok(()), // Answered already.
//!                 };
//!             }
//!             // After what was read, since that may have come in time.
//!             if connection.next_deadline().is_some_and(|deadline| deadline <= now) {
//!                 connection.handle_timeout(now, &mut self.output);
//!             }
//!             if self.write().is_err() {
//!                 return Ok(connection.transport_failed()); // 4
//!             }
//!             match connection.teardown() {
//!                 Teardown::NotYet | Teardown::AwaitEof => {}
//!                 Teardown::ShutDown => {
//!                     // A second time does no harm.
//!                     let _ = self.stream.shutdown(Shutdown::Write);
//!                 }
//!                 Teardown::Drop => return Ok(connection.transport_failed()),
//!             }
//!             match self.read(connection.next_deadline()) { // 5, and 2
//!                 Ok(Outcome::More) => {}
//!                 Ok(Outcome::Eof) => return Ok(connection.receive_eof()),
//!                 Err(_) => return Ok(connection.transport_failed()),
//!             }
//!         }
//!     }
//!
//!     /// Reads once, or gives up at the deadline.
//!     fn read(&mut self, deadline: Option<Instant>) -> io::Result<Outcome> {
//!         let left = deadline.map(|deadline| {
//!             let left = deadline.saturating_duration_since(Instant::now());
//!             left.max(Duration::from_millis(1)) // Zero would be no timeout.
//!         });
//!         self.stream.set_read_timeout(left)?;
//!         match self.stream.read(self.input.spare_mut()) {
//!             Ok(0) => return Ok(Outcome::Eof),
//!             Ok(len) => self.input.commit(len),
//!             Err(error) => match error.kind() {
//!                 ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
//!                 _ => return Err(error),
//!             },
//!         }
//!         Ok(Outcome::More)
//!     }
//!
//!     fn write(&mut self) -> io::Result<()> {
//!         while let Some(chunk) = self.output.chunks().next() {
//!             let len = self.stream.write(chunk)?;
//!             self.output.consume(len);
//!         }
//!         Ok(())
//!     }
//! }
//!
//! #[derive(PartialEq)]
//! enum Outcome {
//!     /// Bytes, or that the deadline has passed.
//!     More,
//!     Eof,
//! }
//! #
//! # fn main() -> io::Result<()> {
//! #     let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! #     let mut client = TcpStream::connect(listener.local_addr()?)?;
//! #     let (stream, _) = listener.accept()?;
//! #     let server = std::thread::spawn(move || -> io::Result<End> {
//! #         let (input, output) = (RecvBuffer::new(), SendBuffer::new());
//! #         let mut adapter = Adapter { stream, input, output };
//! #         let opened = adapter.open(Arc::default())?;
//! #         adapter.run(opened.expect("the request is right"))
//! #     });
//! #     // The key and its answer are those of RFC 6455, section 1.3; the message that of 5.7.
//! #     client.write_all(
//! #         b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//! #           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\
//! #           \x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x82\x00\x00\x00\x00\x03\xe8",
//! #     )?;
//! #     let mut answer = Vec::new();
//! #     client.read_to_end(&mut answer)?;
//! #     assert!(answer.ends_with(b"\r\n\r\n\x81\x05Hello\x88\x02\x03\xe8"), "{answer:?}");
//! #     drop(client);
//! #     let end = server.join().unwrap()?;
//! #     assert!(end.is_clean());
//! #     assert_eq!(end.code(), 1000);
//! #     Ok(())
//! # }
//! ```
//!
//! A client is the same loop behind a [`ClientHandshake`](crate::handshake::ClientHandshake). Where
//! another HTTP server has upgraded the request, there is no handshake:
//! [`Connection::new`](crate::Connection::new) opens at once, and what that server had read already
//! goes into the input with [`RecvBuffer::extend`](crate::RecvBuffer::extend). It must not be lost:
//! the first frame may be in it.
//!
//! # What an adapter owes
//!
//! - **Write after an error.** The Close frame that the peer is owed is in the output when
//!   `receive` fails. Then go on with `teardown`, which asks for the rest of what the peer sends to
//!   be read and dropped: a socket that is closed with unread bytes resets the connection, and the
//!   Close may be lost.
//! - **Bound the output.** The core appends what it is told. Stop reading, or refuse to send, while
//!   [`SendBuffer::len`](crate::SendBuffer::len) is above
//!   [`Config::write_high_water`](crate::Config::write_high_water). Of Pongs it keeps one, the
//!   newest.
//! - **Time a write that waits.** [`Config::write_timeout`](crate::Config::write_timeout) is the
//!   adapter's to keep. When the transport takes bytes again after it took none, say so with
//!   [`Connection::sending_resumed`](crate::Connection::sending_resumed).
//! - **Write when about to wait**, and not after each message: a burst that is answered one by one
//!   is one read and one write then.
//! - **Hold nothing while idle.** [`RecvBuffer::park`](crate::RecvBuffer::park) and
//!   [`SendBuffer::park`](crate::SendBuffer::park) give the memory back; a buffer that
//!   [`is_idle`](crate::RecvBuffer::is_idle) can serve the next connection.
//! - **Masking keys** come from the thread's cryptographic generator. A target without an operating
//!   system brings a [`MaskSource`](crate::MaskSource), and it must be unpredictable (10.3).
//!
//! `examples/sans_io.rs` shows the steps one by one, in memory, and `examples/mio_server.rs` an
//! event loop with 10,000 connections and one pair of buffers.
