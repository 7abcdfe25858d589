//! Opening a connection as a client.
//!
//! Drives the opening handshake, over and over where redirects are followed; its rules are
//! `handshake::client`'s. How a stream comes about is in `connect`.

use std::sync::Arc;
use std::time::Instant;

use super::connect::open_stream;
use super::maybe_tls::MaybeTlsStream;
use super::stream::{ReadOutcome, ReadTimer, Stream, set_write_timeout, write_all};
use super::websocket::WebSocket;
use crate::adapter::{ClientOptions, Error, Parts, WritePatience};
use crate::connection::{Config, RecvBuffer, SendBuffer};
use crate::handshake::{ClientHandshake, ClientRequest, Headers, Proxy};
#[cfg(feature = "rustls")]
use crate::tls::TlsConnector;

/// Connects to a `ws:` or `wss:` URI with the default limits.
///
/// # Errors
///
/// As those of [`Client::connect`].
///
/// ```no_run
/// use framewright::blocking::connect;
/// use framewright::{CloseCode, Message};
///
/// let mut socket = connect("ws://127.0.0.1:9001/")?;
/// socket.send("hello")?;
/// assert_eq!(socket.recv()?, Some(Message::text("hello")));
/// socket.close(CloseCode::NORMAL_CLOSURE, "")?;
/// # Ok::<(), framewright::blocking::Error>(())
/// ```
pub fn connect(uri: &str) -> Result<WebSocket<MaybeTlsStream>, Error> {
    let (socket, _) = Client::new(ClientRequest::new(uri)?).connect()?;
    Ok(socket)
}

/// A client with a request and limits of its own.
#[derive(Debug, Clone)]
pub struct Client {
    options: ClientOptions,
}

impl Client {
    /// Makes a client of a request, with the default limits.
    pub fn new(request: ClientRequest) -> Self {
        Self {
            options: ClientOptions::new(request),
        }
    }

    /// Sets the limits and timeouts.
    #[doc(alias = "connect_with_config")]
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.options.config = config.into();
        self
    }

    /// Goes through an HTTP proxy, which opens a tunnel for `ws:` and `wss:` alike.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.options.proxy = Some(proxy);
        self
    }

    /// Follows at most so many redirects. Default: none, and the redirect is the error, with its
    /// [`location`](crate::RefusedResponse::location).
    ///
    /// To another origin no credentials go along, and from `wss` to `ws` none is followed:
    /// [`ClientRequest::redirected`].
    #[must_use]
    pub const fn max_redirects(mut self, max_redirects: u32) -> Self {
        self.options.max_redirects = max_redirects;
        self
    }

    /// Sets whom to trust for a `wss:` URI. Default: whom the platform trusts, or whom Mozilla
    /// trusts, as the features have it; see [`tls`](crate::tls).
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(mut self, connector: TlsConnector) -> Self {
        self.options.tls = Some(connector);
        self
    }

    /// Connects over TCP, with `TCP_NODELAY`, through the proxy if there is one, secures the stream
    /// if the URI is `wss:`, and opens the WebSocket; the headers are those of the server's answer.
    ///
    /// TCP, the proxy and TLS have [`connect_timeout`](Config::connect_timeout) each; the addresses
    /// of a host are tried in turn, and share it.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) where the host is not known or not reached,
    /// [`ConnectTimeout`](Error::ConnectTimeout), [`Handshake`](Error::Handshake) where the proxy
    /// or the server refuses or breaks a rule, and for a `wss:` URI
    /// [`TlsRequired`](Error::TlsRequired) or, with the feature `rustls`, `Tls` and `TlsTimeout`.
    pub fn connect(&self) -> Result<(WebSocket<MaybeTlsStream>, Headers), Error> {
        let mut request = self.options.request.clone();
        let mut followed = 0;
        loop {
            let stream = open_stream(&self.options, request.uri())?;
            let error = match handshake(&request, &self.options.config, stream) {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            };
            request = self.options.redirected(&request, error, followed)?;
            followed += 1;
        }
    }

    /// Opens the WebSocket over a stream that is connected: a tunnel, a Unix socket, TLS of another
    /// library. A `wss:` URI does not secure it, and no redirect is followed.
    ///
    /// # Errors
    ///
    /// [`Handshake`](Error::Handshake) where the server refuses or breaks a rule,
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    #[doc(alias = "client")]
    pub fn handshake<S: Stream>(&self, stream: S) -> Result<(WebSocket<S>, Headers), Error> {
        handshake(&self.options.request, &self.options.config, stream)
    }
}

fn handshake<S: Stream>(
    request: &ClientRequest,
    config: &Arc<Config>,
    mut stream: S,
) -> Result<(WebSocket<S>, Headers), Error> {
    set_write_timeout(&mut stream, config.write_timeout)?;
    let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
    let mut handshake =
        ClientHandshake::start(request, Arc::clone(config), rand::random(), &mut output);
    handshake.set_now(Instant::now());
    let patience = WritePatience {
        stall: config.write_timeout,
        deadline: handshake.next_deadline(),
    };
    write_all(&mut stream, &mut output, patience)?;
    let mut timer = ReadTimer::default();
    let response = loop {
        if let Some(response) = handshake.receive(&mut input)? {
            break response;
        }
        match timer.read(&mut stream, input.spare_mut(), handshake.next_deadline())? {
            ReadOutcome::Bytes(len) => input.commit(len),
            ReadOutcome::Eof => return Err(handshake.receive_eof().into()),
            ReadOutcome::Elapsed => handshake.handle_timeout(Instant::now())?,
        }
    };
    timer.clear(&mut stream)?;
    let headers = response.headers().clone();
    let subprotocol = response.subprotocol().map(str::to_owned);
    let mut connection = response.into_connection();
    connection.set_now(Instant::now());
    let socket = WebSocket::from_parts(Parts {
        stream,
        connection,
        input,
        output,
    })?;
    Ok((socket.with_subprotocol(subprotocol.as_deref()), headers))
}
