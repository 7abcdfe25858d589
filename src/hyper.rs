//! Upgrades of requests that hyper received.
//!
//! Answers a request with the core's rules, and makes a WebSocket of what hyper hands over. How a
//! WebSocket is driven is the tokio adapter's, and nothing here knows a frame.
//!
//! ```
//! use bytes::Bytes;
//! use framewright::{Event, HandshakeError, hyper};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use std::convert::Infallible;
//!
//! // A service of hyper. Its connections are served `with_upgrades`.
//! async fn serve<B>(mut request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     let response = match hyper::upgrade(&mut request) {
//!         Ok((response, upgrade)) => {
//!             tokio::spawn(echo(upgrade));
//!             response
//!         }
//!         Err(HandshakeError::NotAnUpgrade) => Response::new("a page".into()),
//!         Err(error) => Response::from(&error), // 400, 403, 405, 426
//!     };
//!     Ok(response.map(Full::new))
//! }
//!
//! async fn echo(upgrade: hyper::Upgrade) -> Result<(), hyper::Error> {
//!     let mut socket = upgrade.await?;
//!     while let Some((event, mut outbox)) = socket.recv_event().await? {
//!         if let Event::Text(text) = event {
//!             outbox.feed_text(text)?;
//!         }
//!     }
//!     Ok(())
//! }
//! # let plain = Request::get("/").header("Host", "h").body(()).unwrap();
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # assert_eq!(runtime.block_on(serve(plain)).unwrap().status(), 200);
//! ```
//!
//! # Coming from hyper-tungstenite or fastwebsockets
//!
//! | there | here |
//! |---|---|
//! | `is_upgrade_request(&request)` | [`upgrade`] looks itself: the error of any other request is [`HandshakeError::NotAnUpgrade`] |
//! | `upgrade(&mut request, config)` | [`upgrade`], or [`Upgrader::upgrade`] with limits, an origin policy, subprotocols and compression |
//! | the response has a body of http-body-util | it has [`Bytes`], which any body is made of: `response.map(Full::new)` |
//! | `upgrade.await?`, then `next` or `read_frame` | the same await, then [`recv`](crate::tokio::WebSocket::recv), or [`recv_event`](crate::tokio::WebSocket::recv_event) without copies |
//! | what a page of another origin asks for is accepted | 403; [`origin_policy`](Upgrader::origin_policy) |
//! | a key, version or method that breaks a rule is accepted, or an error without an answer | each error becomes the answer that it earns, with `Response::from(&error)` |
//! | a boxed stream, unless it is downcast by hand | plain TCP is taken out of its boxes: [`UpgradedStream::Tcp`] |
//!
//! What hyper has read ahead is received first. Header lines of one's own are added to the
//! response.
//!
//! RFC 6455, section 4.2; with the feature `http2` RFC 8441, where hyper's server was told to
//! `enable_connect_protocol`.

use core::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::http::{Extensions, Method, Request, Response};
use ::hyper::upgrade::{OnUpgrade, Upgraded};
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::net::TcpStream;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
#[cfg(feature = "http2")]
use hyper_util::server::conn::auto;

use crate::adapter::{Parts, ServerOptions};
use crate::connection::{Config, Connection, RecvBuffer, SendBuffer};
use crate::error::HandshakeError;
#[cfg(feature = "deflate")]
use crate::handshake::DeflateConfig;
use crate::handshake::{OriginPolicy, Request as Judged, UpgradeRequest};
use crate::tokio;

pub use crate::adapter::Error;

/// A WebSocket over what hyper has handed over.
pub type WebSocket = tokio::WebSocket<UpgradedStream>;

/// Accepts a WebSocket with the default limits, and only for pages of the same origin: returns the
/// answer and a future of the WebSocket, which is ready once hyper has sent the answer.
///
/// # Errors
///
/// As those of [`Upgrader::upgrade`].
#[doc(alias = "is_upgrade_request")]
pub fn upgrade<B>(request: &mut Request<B>) -> Result<(Response<Bytes>, Upgrade), HandshakeError> {
    Upgrader::new().upgrade(request)
}

/// A server with limits, an origin policy and subprotocols of its own, behind hyper.
#[derive(Debug, Clone, Default)]
pub struct Upgrader {
    options: ServerOptions,
}

impl Upgrader {
    /// Makes an upgrader with the default limits, for pages of the same origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limits and timeouts of the WebSocket; those of the head of a request are hyper's.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.options.config = config.into();
        self
    }

    /// Sets which web pages may connect. Default: those of the same origin.
    #[must_use]
    pub fn origin_policy(mut self, policy: OriginPolicy) -> Self {
        self.options.origin_policy = policy;
        self
    }

    /// Adds a subprotocol that is spoken here; the client's favourite is chosen.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.options.subprotocols.push(subprotocol.into());
        self
    }

    /// Uses permessage-deflate with clients that offer it.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.options.deflate = Some(config);
        self
    }

    /// Accepts a WebSocket: returns the answer, and a future that is ready once hyper has sent it.
    ///
    /// # Errors
    ///
    /// The rule that the request breaks, [`NotAnUpgrade`](HandshakeError::NotAnUpgrade) where it
    /// asks for something else or hyper cannot upgrade it, and
    /// [`OriginForbidden`](HandshakeError::OriginForbidden): each becomes its answer with
    /// `http::Response::from`.
    pub fn upgrade<B>(
        &self,
        request: &mut Request<B>,
    ) -> Result<(Response<Bytes>, Upgrade), HandshakeError> {
        let judged = match is_extended_connect(request.method(), request.extensions()) {
            true => UpgradeRequest::from_extended_connect(request)?,
            false => expect_upgrade(Judged::from_http(request)?)?,
        };
        let subprotocol = self.options.choose_subprotocol(&judged);
        let on_upgrade = take_on_upgrade(request.extensions_mut())?;
        accept(&self.options, judged, subprotocol, on_upgrade)
    }
}

/// Whether a request is an extended CONNECT for a WebSocket (RFC 8441, section 4).
pub(crate) fn is_extended_connect(method: &Method, extensions: &Extensions) -> bool {
    #[cfg(feature = "http2")]
    return *method == Method::CONNECT
        && extensions
            .get::<::hyper::ext::Protocol>()
            .is_some_and(|protocol| protocol.as_str() == "websocket");
    #[cfg(not(feature = "http2"))]
    {
        let _ = (method, extensions);
        false
    }
}

pub(crate) fn expect_upgrade(request: Judged) -> Result<UpgradeRequest, HandshakeError> {
    match request {
        Judged::Upgrade(upgrade) => Ok(upgrade),
        Judged::Plain(_) => Err(HandshakeError::NotAnUpgrade),
    }
}

/// Takes what hyper left in a request that it can upgrade.
pub(crate) fn take_on_upgrade(extensions: &mut Extensions) -> Result<OnUpgrade, HandshakeError> {
    extensions.remove().ok_or(HandshakeError::NotAnUpgrade)
}

/// Accepts a request that was judged, with one of the subprotocols that it offers.
pub(crate) fn accept(
    options: &ServerOptions,
    request: UpgradeRequest,
    subprotocol: Option<String>,
    on_upgrade: OnUpgrade,
) -> Result<(Response<Bytes>, Upgrade), HandshakeError> {
    if !request.origin_is_allowed(&options.origin_policy) {
        return Err(HandshakeError::OriginForbidden);
    }
    let acceptance = options.acceptance(subprotocol.as_deref());
    let (response, connection) = request
        .accept_http(acceptance, Arc::clone(&options.config))
        // It chooses what was offered, and adds no line.
        .map_err(|_| HandshakeError::NotAnUpgrade)?;
    let upgrade = Upgrade {
        on_upgrade,
        opened: Some(Opened {
            connection,
            subprotocol,
        }),
    };
    Ok((response.map(|()| Bytes::new()), upgrade))
}

/// A WebSocket that opens once hyper has sent the answer.
///
/// # Cancel safety
///
/// Dropped, it drops the connection.
#[doc(alias("UpgradeFut", "on_upgrade"))]
#[must_use = "dropped, it drops the connection"]
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    /// Taken when the future is ready.
    opened: Option<Opened>,
}

struct Opened {
    connection: Connection,
    subprotocol: Option<String>,
}

impl Upgrade {
    /// Returns the subprotocol that was chosen.
    pub fn subprotocol(&self) -> Option<&str> {
        self.opened.as_ref()?.subprotocol.as_deref()
    }
}

impl Future for Upgrade {
    /// An error is hyper's: the transport failed, or the connection is not served `with_upgrades`.
    type Output = Result<WebSocket, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.opened.is_none() {
            // Polled again after it was ready, which futures may refuse as they like.
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::NotConnected).into()));
        }
        let upgraded = ready!(Pin::new(&mut self.on_upgrade).poll(cx)).map_err(io::Error::other);
        let Some(opened) = self.opened.take() else {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::NotConnected).into()));
        };
        let upgraded = upgraded?;
        let (stream, received) = UpgradedStream::new(upgraded);
        let socket = WebSocket::from_parts(Parts {
            stream,
            connection: opened.connection,
            input: RecvBuffer::from(&received[..]),
            output: SendBuffer::new(),
        });
        Poll::Ready(Ok(socket.with_subprotocol(opened.subprotocol.as_deref())))
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("subprotocol", &self.subprotocol())
            .finish_non_exhaustive()
    }
}

/// A stream that hyper has handed over.
#[derive(Debug)]
#[non_exhaustive]
pub enum UpgradedStream {
    /// A plain TCP connection, taken out of hyper's boxes, with `TCP_NODELAY`.
    ///
    /// Out of those of `hyper_util::server::conn::auto`, with the feature `http2`.
    Tcp(TcpStream),
    /// Anything else, such as TLS, or a stream of HTTP/2.
    Other(TokioIo<Upgraded>),
}

impl UpgradedStream {
    /// Takes what hyper has handed over, and what it had read ahead.
    fn new(upgraded: Upgraded) -> (Self, Bytes) {
        match unbox(upgraded) {
            Ok((stream, received)) => {
                // Small frames must not wait for the acknowledgement of those before. A socket that
                // cannot be told so says what is wrong with it when it is read.
                let _ = stream.set_nodelay(true);
                (Self::Tcp(stream), received)
            }
            // It gives what was read ahead itself.
            Err(upgraded) => (Self::Other(TokioIo::new(upgraded)), Bytes::new()),
        }
    }
}

fn unbox(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    #[cfg(feature = "http2")]
    let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    Err(upgraded)
}

/// Calls a method of whichever stream it is.
macro_rules! either {
    ($self:expr, $method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            UpgradedStream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            UpgradedStream::Other(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for UpgradedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read(cx, room))
    }
}

impl AsyncWrite for UpgradedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(cx))
    }
}
