//! An extractor for axum, with the methods that axum's own has.
//!
//! Takes the request out of axum and gives the answer back; what is between is `hyper`'s. Nothing
//! here knows a rule.
//!
//! ```
//! use axum::{Router, response::Response, routing::any};
//! use framewright::axum::{WebSocket, WebSocketUpgrade};
//!
//! let app: Router = Router::new().route("/ws", any(handler));
//!
//! async fn handler(ws: WebSocketUpgrade) -> Response {
//!     ws.max_message_size(64 << 10).on_upgrade(echo)
//! }
//!
//! async fn echo(mut socket: WebSocket) {
//!     while let Some(Ok(message)) = socket.recv().await {
//!         if socket.send(message).await.is_err() {
//!             break;
//!         }
//!     }
//! }
//! ```
//!
//! [`WebSocket`] is what axum's handlers expect. The adapter's own, with events that are lent,
//! `feed`, `close` and a `split` without combinators, is inside: [`WebSocket::into_inner`].
//!
//! ```
//! use framewright::axum::{Error, WebSocket};
//! use framewright::{CloseCode, Event};
//!
//! async fn echo_once(socket: WebSocket) -> Result<(), Error> {
//!     let mut socket = socket.into_inner();
//!     if let Some((Event::Text(text), mut outbox)) = socket.recv_event().await? {
//!         outbox.feed_text(text)?;
//!     }
//!     let end = socket.close(CloseCode::NORMAL_CLOSURE, "that is all").await?;
//!     assert!(end.is_clean());
//!     Ok(())
//! }
//! ```
//!
//! # Coming from `axum::extract::ws`
//!
//! | axum's own | here |
//! |---|---|
//! | `use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade}` | `use framewright::axum::{Message, WebSocket, WebSocketUpgrade}` |
//! | `on_upgrade`, `on_failed_upgrade`, `protocols`, `requested_protocols`, `selected_protocol`, `set_selected_protocol`, `max_message_size`, `max_frame_size` | the same; a subprotocol that the client does not offer is not selected |
//! | `max_write_buffer_size`, past which sending fails; default: none | past it sending waits, as long as [`write_timeout`](Config::write_timeout); default: 128 KiB |
//! | `read_buffer_size`, `write_buffer_size` | gone: a connection that waits has no buffers |
//! | `accept_unmasked_frames` | gone: section 5.1 forbids it |
//! | `recv`, `send`, `protocol`, `Stream`, `Sink`, `split` of `futures` | the same |
//! | `recv` yields Pings, Pongs and the Close | the same, less the Pongs to the Pings of the keepalive; the Close is answered by then |
//! | a stream that ends without a Close is an error of `recv` | `None`, and [`end`](WebSocket::end) says so |
//! | `axum::Error` | [`Error`], which `?` makes an `axum::Error` of |
//! | `Message::{into_data, into_text, to_text}` | `into_payload`, `as_text` |
//! | `CloseFrame { code: close_code::NORMAL, reason }` | `CloseFrame { code: CloseCode::NORMAL_CLOSURE, reason: "…".into() }`; `code.get()` is the number |
//! | `rejection::WebSocketUpgradeRejection` | [`Rejection`]; a request for no WebSocket is answered with 426, and `Option<WebSocketUpgrade>` lets it pass |
//! | pages of every origin may connect | those of the same origin; [`origin_policy`](WebSocketUpgrade::origin_policy) |
//! | no keepalive, no timeouts, no compression | Pings after 20 s of silence, every timeout of [`Config`]; [`deflate`](WebSocketUpgrade::deflate) |
//! | messages of at most 64 MiB | 16 MiB |
//!
//! The version of axum-core in this interface is 0.5; a later one is a minor release of this crate
//! for as long as both are before 1.0.

use core::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::http::request::Parts;
use ::http::{HeaderValue, StatusCode};
use ::hyper::upgrade::OnUpgrade;
use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use futures_core::{FusedStream, Stream};
use futures_sink::Sink;

use crate::adapter::ServerOptions;
use crate::connection::{Config, End};
use crate::error::HandshakeError;
#[cfg(feature = "deflate")]
use crate::handshake::DeflateConfig;
use crate::handshake::{OriginPolicy, Request, UpgradeRequest};
use crate::hyper;

pub use crate::adapter::Error;
pub use crate::frame::{CloseCode, CloseFrame};
pub use crate::message::{Message, Utf8Bytes};

/// A request for a WebSocket, out of which comes the answer.
///
/// As an argument of a handler it refuses other requests with the answer that section 4.2.2 has for
/// them; as an `Option` it lets those pass that ask for something else, such as a page at the same
/// path; as a `Result` it lets the handler look.
///
/// A request is a GET in HTTP/1.1 and a CONNECT in HTTP/2 (RFC 8441), which
/// `axum::routing::any` routes both.
#[doc(alias = "IncomingUpgrade")]
#[must_use]
pub struct WebSocketUpgrade {
    request: UpgradeRequest,
    requested_protocols: Vec<HeaderValue>,
    protocol: Option<HeaderValue>,
    on_upgrade: OnUpgrade,
    options: ServerOptions,
    on_failed: Option<Box<dyn FnOnce(Error) + Send>>,
}

impl WebSocketUpgrade {
    fn new(request: UpgradeRequest, parts: &mut Parts) -> Result<Self, HandshakeError> {
        let requested_protocols = request.subprotocols().map(HeaderValue::from_str);
        Ok(Self {
            // Each is a token, or the request would not exist.
            requested_protocols: requested_protocols.filter_map(Result::ok).collect(),
            request,
            protocol: None,
            on_upgrade: hyper::take_on_upgrade(&mut parts.extensions)?,
            options: ServerOptions::default(),
            on_failed: None,
        })
    }

    /// Sets all limits and timeouts; the methods for one of them change it from there.
    ///
    /// One behind an [`Arc`] is shared by all connections.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.options.config = config.into();
        self
    }

    /// Sets the longest message in bytes. Default: that of [`Config`], 16 MiB.
    ///
    /// A message in one frame is bound by [`max_frame_size`](Self::max_frame_size), too.
    pub fn max_message_size(mut self, max: usize) -> Self {
        self.config_mut().max_message_len = u64::try_from(max).unwrap_or(u64::MAX);
        self
    }

    /// Sets the longest frame in bytes. Default: that of [`Config`], 16 MiB.
    pub fn max_frame_size(mut self, max: usize) -> Self {
        self.config_mut().max_frame_len = u64::try_from(max).unwrap_or(u64::MAX);
        self
    }

    /// Sets how many queued bytes make `send` wait. Default: that of [`Config`], 128 KiB.
    pub fn max_write_buffer_size(mut self, max: usize) -> Self {
        self.config_mut().write_high_water = max;
        self
    }

    /// Sets the subprotocols that are spoken here, the favourite first: it takes the first that the
    /// client offers, whatever the client's own favourite is.
    pub fn protocols<I>(mut self, protocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.protocol = protocols
            .into_iter()
            .find_map(|spoken| self.requested(spoken.as_ref().as_bytes()).cloned());
        self
    }

    /// Selects a subprotocol; none, if it is not one that the client offers, because the client
    /// would have to fail the connection (4.1).
    ///
    /// The last call of this and [`protocols`](Self::protocols) counts.
    pub fn set_selected_protocol(&mut self, protocol: HeaderValue) {
        self.protocol = self.requested(protocol.as_bytes()).cloned();
    }

    /// Sets which web pages may connect. Default: those of the same origin.
    ///
    /// A proxy in front that puts a Host of its own in the place of the browser's makes every page
    /// one of another origin: name those that may connect.
    pub fn origin_policy(mut self, policy: OriginPolicy) -> Self {
        self.options.origin_policy = policy;
        self
    }

    /// Uses permessage-deflate with clients that offer it.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.options.deflate = Some(config);
        self
    }

    /// Sets what is done where the answer could not be sent, or the connection did not become a
    /// WebSocket behind it. Default: nothing.
    pub fn on_failed_upgrade<F>(mut self, callback: F) -> Self
    where
        F: FnOnce(Error) + Send + 'static,
    {
        self.on_failed = Some(Box::new(callback));
        self
    }

    /// Accepts, and calls `callback` with the WebSocket on a task of its own, which it spawns:
    /// return the answer from the handler.
    ///
    /// A page that may not connect is answered with 403, and `callback` is not called.
    #[must_use = "the answer is for axum to send"]
    pub fn on_upgrade<C, F>(self, callback: C) -> Response
    where
        C: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Self {
            request,
            protocol,
            on_upgrade,
            options,
            on_failed,
            ..
        } = self;
        let subprotocol = protocol.as_ref().and_then(|chosen| chosen.to_str().ok());
        let subprotocol = subprotocol.map(str::to_owned);
        let (response, upgrade) = match hyper::accept(&options, request, subprotocol, on_upgrade) {
            Ok(accepted) => accepted,
            Err(error) => return Rejection(error).into_response(),
        };
        // What the handshake needs does not stay in the future of the task that goes on.
        let upgrade = Box::pin(upgrade);
        ::tokio::spawn(async move {
            match upgrade.await {
                Ok(inner) => callback(WebSocket { inner, protocol }).await,
                Err(error) => {
                    if let Some(on_failed) = on_failed {
                        on_failed(error);
                    }
                }
            }
        });
        response.map(Body::from)
    }

    /// Returns the subprotocols that the client offers, its favourite first.
    pub fn requested_protocols(&self) -> impl Iterator<Item = &HeaderValue> {
        self.requested_protocols.iter()
    }

    /// Returns the subprotocol that is selected.
    pub const fn selected_protocol(&self) -> Option<&HeaderValue> {
        self.protocol.as_ref()
    }

    /// Returns the request.
    pub const fn request(&self) -> &UpgradeRequest {
        &self.request
    }

    fn config_mut(&mut self) -> &mut Config {
        Arc::make_mut(&mut self.options.config)
    }

    fn requested(&self, protocol: &[u8]) -> Option<&HeaderValue> {
        self.requested_protocols()
            .find(|requested| requested.as_bytes() == protocol)
    }
}

fn judge(parts: &Parts) -> Result<UpgradeRequest, HandshakeError> {
    match hyper::is_extended_connect(&parts.method, &parts.extensions) {
        true => UpgradeRequest::from_extended_connect_parts(parts),
        false => Request::from_http_parts(parts).and_then(hyper::expect_upgrade),
    }
}

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        judge(parts)
            .and_then(|request| Self::new(request, parts))
            .map_err(Rejection)
    }
}

/// `None` for a request that asks for no WebSocket, such as that of a page at the same path.
impl<S: Sync> OptionalFromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        match judge(parts) {
            Ok(request) => Self::new(request, parts).map(Some).map_err(Rejection),
            Err(HandshakeError::NotAnUpgrade) => Ok(None),
            Err(error) => Err(Rejection(error)),
        }
    }
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("request", &self.request)
            .field("protocol", &self.protocol)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A WebSocket with the methods that axum's own has.
///
/// It is received from also where nothing is expected: while nobody does, no Ping is answered and
/// no deadline kept.
#[derive(Debug)]
pub struct WebSocket {
    inner: hyper::WebSocket,
    protocol: Option<HeaderValue>,
}

impl WebSocket {
    /// Receives the next message; `None` once the connection has ended, for whatever reason
    /// [`end`](Self::end) says.
    ///
    /// Pings, Pongs and the Close come too, and nothing is left to do about them: Pings and the
    /// Close are answered. Pongs to the Pings of the keepalive do not come.
    ///
    /// # Errors
    ///
    /// As those of the adapter's [`recv`](crate::asynchronous::WebSocket::recv). `None` follows.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has received nothing: the message is the next call's.
    pub async fn recv(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Sends a message of any kind, and waits until it is written.
    ///
    /// # Errors
    ///
    /// As those of the adapter's [`send`](crate::asynchronous::WebSocket::send); behind a Close,
    /// the peer's or one of our own, [`Closing`](crate::SendError::Closing).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has queued the message or it has not: never a part of it. One that is queued
    /// leaves with the next `send` or `recv`.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.inner.send(message).await
    }

    /// Returns the subprotocol that was selected.
    pub const fn protocol(&self) -> Option<&HeaderValue> {
        self.protocol.as_ref()
    }

    /// Returns how the connection ended, once it has.
    pub fn end(&self) -> Option<&End> {
        self.inner.end()
    }

    /// Returns the adapter's WebSocket, to look at.
    pub const fn get_ref(&self) -> &hyper::WebSocket {
        &self.inner
    }

    /// Returns the adapter's WebSocket, to use.
    pub const fn get_mut(&mut self) -> &mut hyper::WebSocket {
        &mut self.inner
    }

    /// Returns the adapter's WebSocket.
    pub fn into_inner(self) -> hyper::WebSocket {
        self.inner
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        loop {
            let received = ready!(self.inner.poll_message(cx));
            match &received {
                Ok(Some(Message::Pong(payload)))
                    if self.inner.connection().is_keepalive_pong(payload) =>
                {
                    continue;
                }
                // Handlers stop here, and drop it: by then the answer has left, if the transport
                // takes it. If not, it leaves with the next receive.
                Ok(Some(Message::Close(_))) => {
                    let _ = Pin::new(&mut self.inner).poll_flush(cx);
                }
                _ => {}
            }
            return Poll::Ready(received.transpose());
        }
    }
}

/// Yields what [`recv`](WebSocket::recv) does.
impl Stream for WebSocket {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let socket = self.get_mut();
        // Whoever splits it with a combinator polls it from two tasks.
        socket.inner.share();
        socket.poll_recv(cx)
    }
}

impl FusedStream for WebSocket {
    fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }
}

/// Sends messages of any kind. Closing it sends a Close with code 1000, unless one was sent, and
/// does not wait for the peer's.
impl Sink<Message> for WebSocket {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().inner).poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Pin::new(&mut self.get_mut().inner).start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().inner).poll_close(cx)
    }
}

/// For handlers whose errors are axum's.
impl From<Error> for axum_core::Error {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

/// Why a request is not one for a WebSocket; as a response it is the answer to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Rejection(HandshakeError);

impl Rejection {
    /// Returns the rule that the request breaks.
    pub const fn error(&self) -> &HandshakeError {
        &self.0
    }

    /// Returns the status of the answer.
    pub fn status(&self) -> StatusCode {
        ::http::Response::from(&self.0).status()
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        ::http::Response::from(&self.0).map(Body::from)
    }
}
