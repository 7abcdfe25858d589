//! Coming from another crate: its names and ours, and what behaves differently.
//!
//! The names on the left are those of tungstenite and tokio-tungstenite 0.30, fastwebsockets 0.10,
//! tokio-websockets 0.13 and axum 0.8. Search these docs for a name that you know: most of them
//! lead to ours.
//!
//! # Whatever you come from
//!
//! These bite first, because the code compiles and does something else:
//!
//! - **A normal end is no error.** `recv` returns `Ok(None)` after a Close, after the end of the
//!   stream, after a keepalive that failed. Why it ended is `end()`: [`closing`](super::closing).
//! - **Pages of other origins get 403.** None of the others looks at `Origin`. Behind a proxy that
//!   changes `Host` that is every page: [`authentication`](super::authentication).
//! - **Pings are sent after 20 s of silence**, and a connection whose peer says nothing for 20 s
//!   more is closed: [`keepalive`](super::keepalive). The others send none by themselves.
//! - **Messages are at most 16 MiB**, not 64: [`limits`](super::limits).
//! - **Sending waits** while more than 128 KiB are queued: [`backpressure`](super::backpressure).
//! - **The handshake, a write and a close have timeouts.** Take your own away, or make them longer.
//! - **`recv` returns text and binary messages only.** Pings and the Close are answered by then. An
//!   `Event::Ping`, `Pong` or `Close` comes from `recv_event`; a `Message` of those kinds can be
//!   sent.
//! - **`close` does all of it**: it sends, waits for the answer, and returns the
//!   [`End`](crate::End).
//! - **A request that breaks a rule has an answer**: 400, 403, 405, 408, 414, 426, 431 or 505.
//!
//! # tungstenite
//!
//! | tungstenite | here |
//! |---|---|
//! | `accept(stream)`, `connect(request)` | [`blocking::accept`](crate::blocking::accept), [`blocking::connect`](crate::blocking::connect) |
//! | `accept_with_config` | [`Server::config`](crate::blocking::Server::config) |
//! | `accept_hdr(stream, callback)` | [`Server::receive`](crate::blocking::Server::receive): look at the request, then `accept` or `reject` |
//! | `client(request, stream)` | [`Client::handshake`](crate::blocking::Client::handshake) |
//! | `connect_with_config(request, config, max_redirects)` | [`Client::config`](crate::blocking::Client::config), `max_redirects`, [`connect`](crate::blocking::Client::connect) |
//! | `IntoClientRequest`, `ClientRequestBuilder::{with_header, with_sub_protocol}` | [`ClientRequest`](crate::handshake::ClientRequest): `header`, `subprotocol`; from an `http::Request` with the feature `http` |
//! | `WebSocket::from_raw_socket` | [`WebSocket::from_parts`](crate::blocking::WebSocket::from_parts), with [`Connection::new`](crate::Connection::new) |
//! | `from_partially_read` | the same, with `input: RecvBuffer::from(&part[..])` |
//! | `into_inner`, `get_ref` | `into_parts().stream` |
//! | `read`, `read_message` | `recv`; without a copy `recv_event` |
//! | `write` | `feed` |
//! | `send`, `write_message` | `send` |
//! | `flush`, `write_pending` | `flush` |
//! | `close(frame)`, then `read` until `ConnectionClosed` | `close(code, reason)`; or `send_close`, then `recv` until `None` |
//! | `can_read`, `can_write` | [`Connection::state`](crate::Connection::state) |
//! | `WebSocketContext` | [`Connection`](crate::Connection), which takes no stream |
//! | `WebSocketConfig` | [`Config`](crate::Config): `max_message_size` is `max_message_len`, `max_frame_size` is `max_frame_len`, `max_write_buffer_size` is `write_high_water` |
//! | `read_buffer_size`, `write_buffer_size` | gone: an async connection that waits holds no buffer |
//! | `accept_unmasked_frames` | gone: 5.1 forbids it |
//! | `Message::{into_data, to_text, into_text}` | `into_payload`, `as_text` |
//! | `Message::Frame` | gone: frames are [`frame`](crate::frame)'s, fragments are sent with `feed_fragment` |
//! | `Utf8Bytes` | [`Utf8Bytes`](crate::Utf8Bytes) |
//! | `CloseFrame { code: CloseCode::Normal, reason }` | [`CloseFrame`](crate::CloseFrame) with `CloseCode::NORMAL_CLOSURE`; `Away` is `GOING_AWAY`, `Policy` `POLICY_VIOLATION`, `Size` `MESSAGE_TOO_BIG`, `Error` `INTERNAL_ERROR`, `Library(code)` `CloseCode::new(code)` |
//! | `handshake::derive_accept_key` | [`accept_key`](crate::handshake::accept_key) |
//!
//! | `tungstenite::Error` | here |
//! |---|---|
//! | `ConnectionClosed` | `Ok(None)` |
//! | `AlreadyClosed`, `Protocol(SendAfterClosing)` | `Ok(None)` of `recv`, [`SendError::Closing`](crate::SendError::Closing) |
//! | `Protocol(ResetWithoutClosingHandshake)` | `Ok(None)`, and [`EndCause::EndOfStream`](crate::EndCause::EndOfStream); a reset is `Io` |
//! | `Protocol(_)` of a frame, `Utf8` | [`ProtocolError`](crate::ProtocolError) |
//! | `Protocol(_)` of a handshake, `Http(response)` | [`HandshakeError`](crate::HandshakeError), [`Refused`](crate::HandshakeError::Refused) |
//! | `Capacity(MessageTooLong)` | [`MessageTooLong`](crate::ProtocolError::MessageTooLong), [`FrameTooLong`](crate::ProtocolError::FrameTooLong) |
//! | `WriteBufferFull(message)` | none: `feed` waits; [`BufferFull`](crate::SendError::BufferFull) of an outbox |
//! | `Url(_)` | [`SendError`](crate::SendError): `UriSchemeUnsupported` and others |
//! | `Url(TlsFeatureNotEnabled)` | `TlsRequired`, which names the features |
//!
//! - **An error has told the peer.** tungstenite returns a protocol error and sends nothing; here
//!   the Close with its code has been sent, and the transport closed as it should be.
//! - `connect` there follows three redirects, here none: `max_redirects`. Credentials do not follow
//!   to another origin.
//! - A server there fails, without an answer, if bytes follow the request's head; here they are the
//!   first frame's.
//! - A stream that does not block works: `Io(WouldBlock)` loses nothing. But the handshake needs
//!   one that blocks. An event loop is better off with the core: [`adapters`](super::adapters).
//!
//! # tokio-tungstenite
//!
//! All of the above, and:
//!
//! | tokio-tungstenite | here |
//! |---|---|
//! | `connect_async(request)` | [`tokio::connect`](crate::tokio::connect), [`Client::connect`](crate::tokio::Client) |
//! | `connect_async_with_config(.., disable_nagle)` | `Client::config`; sockets that we connect have `TCP_NODELAY` |
//! | `connect_async_tls_with_config(.., connector)`, `Connector` | `Client::tls`, [`TlsConnector`](crate::tls::TlsConnector) |
//! | `client_async(request, stream)` | `Client::handshake(stream)` |
//! | `accept_async(stream)` | [`tokio::accept`](crate::tokio::accept) |
//! | `accept_async_with_config` | `Server::new().config(config).accept(stream)` |
//! | `accept_hdr_async(stream, callback)` | `Server::receive(stream)`, which is awaited, so that it may ask a database |
//! | `WebSocketStream<S>` | [`WebSocket<S>`](crate::tokio::WebSocket) |
//! | `get_ref` | `stream` |
//! | `MaybeTlsStream<TcpStream>` | [`MaybeTlsStream`](crate::tokio::MaybeTlsStream) |
//! | `StreamExt::next` | `recv`: no trait is needed. With the feature `futures` it is a `Stream`, too |
//! | `SinkExt::send`, `feed`, `flush` | the same names, without the trait |
//! | `StreamExt::split`, `SplitStream`, `SplitSink` | `split`, [`Reader`](crate::tokio::Reader), [`Writer`](crate::tokio::Writer), which can be cloned; `reunite` is gone |
//! | `close(frame)`, `SinkExt::close` | `close(code, reason)`; that of the `Sink` sends a Close and does not wait |
//! | a map of `UnboundedSender<Message>`, to send to all | [`Broadcast`](crate::tokio::Broadcast) |
//! | `rustls-tls-webpki-roots`, `rustls-tls-native-roots` | `tokio-rustls` with `rustls-webpki-roots` or `rustls-platform-verifier`, and `ring` or `aws-lc-rs` |
//! | `native-tls` | hand its stream to `Client::handshake` |
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # mod client {
//! // use futures_util::{SinkExt, StreamExt};
//! // use tokio_tungstenite::{connect_async, tungstenite::Message};
//! use framewright::CloseCode;
//! use framewright::tokio::{Error, connect};
//!
//! async fn ask() -> Result<(), Error> {
//!     // let (mut socket, _response) = connect_async("ws://127.0.0.1:9001/").await?;
//!     let mut socket = connect("ws://127.0.0.1:9001/").await?;
//!     // socket.send(Message::text("hello")).await?;
//!     socket.send("hello").await?;
//!     // while let Some(message) = socket.next().await {
//!     while let Some(message) = socket.recv().await? {
//!         // if let Message::Text(text) = message? {
//!         if let Some(text) = message.as_text() {
//!             println!("{text}");
//!         }
//!     }
//!     // socket.close(None).await?;
//!     socket.close(CloseCode::NORMAL_CLOSURE, "").await?;
//!     Ok(())
//! }
//! # }
//! ```
//!
//! # fastwebsockets
//!
//! | fastwebsockets | here |
//! |---|---|
//! | `upgrade::upgrade(&mut request)` | [`hyper::upgrade`](crate::hyper::upgrade); each error becomes the answer that it earns |
//! | `upgrade::is_upgrade_request` | `hyper::upgrade` looks itself: [`NotAnUpgrade`](crate::HandshakeError::NotAnUpgrade) |
//! | `upgrade::IncomingUpgrade`, for axum | [`WebSocketUpgrade`](crate::axum::WebSocketUpgrade) |
//! | `handshake::client(&executor, request, stream)` | [`Client::handshake`](crate::tokio::Client): no executor, no hyper |
//! | `WebSocket::after_handshake(stream, role)` | `WebSocket::from_parts`, with [`Connection::new`](crate::Connection::new) |
//! | `FragmentCollector`, `read_frame` | `recv`: messages are whole. In pieces: [`Delivery::Chunks`](crate::Delivery::Chunks) |
//! | `Frame { opcode, payload, .. }` | [`Event`](crate::Event) of `recv_event`, which borrows the buffer as `Payload::Borrowed` does |
//! | `write_frame(Frame::text(..))`, `Frame::binary` | `send`, or `feed_text` and `feed_binary` of the outbox |
//! | `write_frame(Frame::close(code, reason))` | `close`, `send_close` |
//! | `Frame::new(false, ..)` | `send_fragment`, `feed_fragment` |
//! | `Frame::pong` | answered by itself; `Message::Pong` is sent as any message |
//! | `set_auto_pong`, `set_auto_close`, `set_auto_apply_mask` | gone: always |
//! | `set_writev`, `set_writev_threshold` | gone: long payloads are written beside their header by themselves |
//! | `set_max_message_size` | [`Config::max_message_len`](crate::Config::max_message_len) |
//! | `split(tokio::io::split)`, `WebSocketRead::read_frame(&mut send_fn)` | `split()`: the reader answers Pings itself, nothing is obliged |
//! | `is_closed` | `end()`, `connection().state()` |
//! | `unmask` | [`frame::mask()`](crate::frame::mask()) |
//! | `WebSocketError::{ConnectionClosed, UnexpectedEOF}` | `Ok(None)` |
//!
//! - **`select!` is safe.** `read_frame` takes the first bytes of a header out of its buffer and
//!   then waits for more: dropped there, it has lost its place in the stream. Every future here may
//!   be dropped at any await.
//! - `set_max_message_size` bounds a *frame* there, and a `FragmentCollector` gathers as many as
//!   come. Here the message is bounded, and the number of its frames.
//! - An error there is the program's to tell the peer, mostly. Here the peer has been told.
//!
//! # tokio-websockets
//!
//! | tokio-websockets | here |
//! |---|---|
//! | `ClientBuilder::from_uri(uri).connect()` | [`tokio::connect`](crate::tokio::connect), [`Client::connect`](crate::tokio::Client) |
//! | `add_header`, `connector`, `limits` | [`ClientRequest::header`](crate::handshake::ClientRequest::header), `Client::tls`, `Client::config` |
//! | `resolver` | resolve and connect yourself, and `Client::handshake` |
//! | `connect_on(stream)` | `Client::handshake(stream)` |
//! | `take_over(stream)`, `ServerBuilder::serve(stream)` | `WebSocket::from_parts`, with [`Connection::new`](crate::Connection::new) |
//! | `ServerBuilder::new().accept(stream)`, which returns the request, too | `Server::receive(stream)`, where the request comes before the answer; or `accept` |
//! | `ServerBuilder::add_header` | [`Acceptance::header`](crate::handshake::Acceptance::header) |
//! | `WebSocketStream<S>` | [`WebSocket<S>`](crate::tokio::WebSocket) |
//! | `Limits::max_payload_len` | `Config::max_message_len` and `max_frame_len` |
//! | `Config::frame_size` | gone: a message is one frame, unless it is sent with `feed_fragment` |
//! | `Config::flush_threshold` | gone: what is fed leaves at 64 KiB, or before a receive waits |
//! | `Message::{as_payload, into_payload, as_text}` | `payload`, `into_payload`, `as_text` |
//! | `Message::as_close` | `end()`; of `recv_event`, `Event::Close` |
//! | `Message::close(code, reason)`, sent | `send_close(code, reason)` |
//! | `SinkExt::close` | `close(code, reason)`: that of the `Sink` does not wait here |
//! | `Payload` | `Bytes` and [`Utf8Bytes`](crate::Utf8Bytes) |
//! | features `client`, `server` | always there |
//! | `rustls-bring-your-own-connector` | `tokio-rustls` alone, and `Client::tls` |
//!
//! # axum's own
//!
//! The extractor has the same names, so that often only the import changes. Its page has the whole
//! table: [`axum`](crate::axum).
//!
//! | `axum::extract::ws` | [`framewright::axum`](crate::axum) |
//! |---|---|
//! | `WebSocketUpgrade::{on_upgrade, on_failed_upgrade, protocols, max_message_size, max_frame_size}` | the same |
//! | `WebSocket::{recv, send, protocol}`, `Stream`, `Sink` | the same |
//! | `Message::{into_data, into_text, to_text}` | `into_payload`, `as_text` |
//! | `close_code::NORMAL` | `CloseCode::NORMAL_CLOSURE` |
//! | `rejection::WebSocketUpgradeRejection` | [`Rejection`](crate::axum::Rejection) |
//!
//! - `recv` yields Pings, Pongs and the Close here as there, since handlers match on them. That of
//!   [`WebSocket::into_inner`](crate::axum::WebSocket::into_inner) does not.
//! - The end of the stream without a Close is `None`, not an error.
//! - Route with `any`, not with `get`: over HTTP/2 the request is a CONNECT.
