//! Accepting a connection as a server.
//!
//! Drives the opening handshake and gives every request its answer; the rules are
//! `handshake::server`'s.

use std::sync::Arc;
use std::time::Instant;

use super::stream::{ReadOutcome, ReadTimer, Stream, linger, set_write_timeout, write_all};
use super::websocket::WebSocket;
use crate::adapter::{Error, Parts, ServerOptions, WritePatience, write_patience};
use crate::connection::{Config, RecvBuffer, SendBuffer};
use crate::error::HandshakeError;
#[cfg(feature = "deflate")]
use crate::handshake::DeflateConfig;
use crate::handshake::{
    Acceptance, OriginPolicy, PlainRequest, Request, Response, ServerHandshake, UpgradeRequest,
};

/// Accepts a WebSocket over a stream, with the default limits, and only for pages of the same
/// origin.
///
/// # Errors
///
/// As those of [`Server::accept`].
pub fn accept<S: Stream>(stream: S) -> Result<WebSocket<S>, Error> {
    Server::new().accept(stream)
}

/// A server with limits, an origin policy and subprotocols of its own.
///
/// ```no_run
/// use framewright::blocking::{Incoming, Server};
/// use framewright::handshake::{Acceptance, OriginPolicy, Response};
/// use std::net::TcpListener;
///
/// let server = Server::new().origin_policy(OriginPolicy::any_of(["https://example.com"])?);
/// for stream in TcpListener::bind("127.0.0.1:9001")?.incoming() {
///     match server.receive(stream?)? {
///         Incoming::Plain(request) if request.request().target() == "/healthz" => {
///             request.respond(&Response::new(200)?.body("well\n"))?;
///         }
///         Incoming::Plain(request) => request.respond(&Response::new(404)?)?,
///         Incoming::Upgrade(upgrade) if upgrade.request().cookie("session").is_none() => {
///             upgrade.reject(&Response::new(401)?)?;
///         }
///         Incoming::Upgrade(upgrade) => {
///             let mut socket = upgrade.accept(Acceptance::new())?;
///             socket.send("welcome")?;
///         }
///     }
/// }
/// # Ok::<(), framewright::blocking::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Server {
    options: ServerOptions,
}

impl Server {
    /// Makes a server with the default limits, for pages of the same origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limits and timeouts.
    #[doc(alias = "accept_with_config")]
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

    /// Adds a subprotocol that [`accept`](Self::accept) may choose: it takes the client's favourite
    /// of those added.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.options.subprotocols.push(subprotocol.into());
        self
    }

    /// Lets [`accept`](Self::accept) use permessage-deflate with clients that offer it.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.options.deflate = Some(config);
        self
    }

    /// Receives a request and accepts it, if it asks for a WebSocket and the origin policy allows
    /// it; else it is answered as the error says.
    ///
    /// # Errors
    ///
    /// As those of [`receive`](Self::receive), and
    /// [`NotAnUpgrade`](HandshakeError::NotAnUpgrade) for a plain HTTP request, which was answered
    /// with 426.
    pub fn accept<S: Stream>(&self, stream: S) -> Result<WebSocket<S>, Error> {
        match self.receive(stream)? {
            Incoming::Upgrade(upgrade) => {
                let subprotocol = self.options.choose_subprotocol(upgrade.request());
                let acceptance = self.options.acceptance(subprotocol.as_deref());
                upgrade.accept(acceptance)
            }
            Incoming::Plain(plain) => {
                let PlainExchange { exchange, request } = plain;
                let _ = exchange.answer(|output| request.refuse(output));
                Err(HandshakeError::NotAnUpgrade.into())
            }
        }
    }

    /// Receives a request, which the caller then accepts, rejects or answers.
    ///
    /// # Errors
    ///
    /// [`Handshake`](Error::Handshake) for a request that breaks a rule, comes from another origin
    /// or takes too long, which was given its HTTP answer, [`Io`](Error::Io) and
    /// [`WriteTimeout`](Error::WriteTimeout).
    #[doc(alias = "accept_hdr")]
    pub fn receive<S: Stream>(&self, mut stream: S) -> Result<Incoming<S>, Error> {
        set_write_timeout(&mut stream, self.options.config.write_timeout)?;
        let mut exchange = Exchange {
            stream,
            timer: ReadTimer::default(),
            input: RecvBuffer::new(),
            config: Arc::clone(&self.options.config),
        };
        match exchange.receive() {
            Ok(Request::Plain(request)) => Ok(Incoming::Plain(PlainExchange { exchange, request })),
            Ok(Request::Upgrade(request))
                if request.origin_is_allowed(&self.options.origin_policy) =>
            {
                Ok(Incoming::Upgrade(PendingUpgrade { exchange, request }))
            }
            Ok(Request::Upgrade(_)) => {
                let error = HandshakeError::OriginForbidden;
                let _ = exchange.refuse(&error);
                Err(error.into())
            }
            Err(Error::Handshake(error)) => {
                let _ = exchange.refuse(&error);
                Err(error.into())
            }
            Err(error) => Err(error),
        }
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub enum Incoming<S> {
    /// For a WebSocket.
    Upgrade(PendingUpgrade<S>),
    /// For something else, such as a health check.
    Plain(PlainExchange<S>),
}

/// A request for a WebSocket that waits for its answer.
#[derive(Debug)]
pub struct PendingUpgrade<S> {
    exchange: Exchange<S>,
    request: UpgradeRequest,
}

impl<S: Stream> PendingUpgrade<S> {
    /// Accepts, and opens the WebSocket.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send) for a subprotocol that was not offered, or a header line that cannot
    /// be written; [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    pub fn accept(self, acceptance: Acceptance<'_>) -> Result<WebSocket<S>, Error> {
        let Exchange {
            mut stream,
            mut timer,
            input,
            config,
        } = self.exchange;
        timer.clear(&mut stream)?;
        let mut output = SendBuffer::new();
        let subprotocol = acceptance.chosen().map(str::to_owned);
        let mut connection = self
            .request
            .accept(acceptance, Arc::clone(&config), &mut output)?;
        connection.set_now(Instant::now());
        write_all(
            &mut stream,
            &mut output,
            write_patience(&connection, Instant::now),
        )?;
        let socket = WebSocket::from_parts(Parts {
            stream,
            connection,
            input,
            output,
        })?;
        Ok(socket.with_subprotocol(subprotocol.as_deref()))
    }

    /// Rejects with an HTTP answer, and closes the stream.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    pub fn reject(self, response: &Response) -> Result<(), Error> {
        let Self { exchange, request } = self;
        exchange.answer(|output| request.reject(response, output))
    }

    /// Returns the request.
    pub const fn request(&self) -> &UpgradeRequest {
        &self.request
    }
}

/// A plain HTTP request that waits for its answer.
#[derive(Debug)]
pub struct PlainExchange<S> {
    exchange: Exchange<S>,
    request: PlainRequest,
}

impl<S: Stream> PlainExchange<S> {
    /// Answers, and closes the stream.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    pub fn respond(self, response: &Response) -> Result<(), Error> {
        let Self { exchange, request } = self;
        exchange.answer(|output| request.respond(response, output))
    }

    /// Returns the request, the stream without timeouts, and what of a body has been read, for
    /// another HTTP implementation.
    pub fn into_parts(mut self) -> (PlainRequest, S, RecvBuffer) {
        // A stream that refuses now will say so at the next read or write.
        let _ = self.exchange.timer.clear(&mut self.exchange.stream);
        let _ = set_write_timeout(&mut self.exchange.stream, None);
        (self.request, self.exchange.stream, self.exchange.input)
    }

    /// Returns the request.
    pub const fn request(&self) -> &PlainRequest {
        &self.request
    }
}

/// A stream on which a request is received and answered.
#[derive(Debug)]
struct Exchange<S> {
    stream: S,
    timer: ReadTimer,
    input: RecvBuffer,
    config: Arc<Config>,
}

impl<S: Stream> Exchange<S> {
    fn receive(&mut self) -> Result<Request, Error> {
        let mut handshake = ServerHandshake::new(Arc::clone(&self.config));
        handshake.set_now(Instant::now());
        loop {
            if let Some(request) = handshake.receive(&mut self.input)? {
                return Ok(request);
            }
            let deadline = handshake.next_deadline();
            match self
                .timer
                .read(&mut self.stream, self.input.spare_mut(), deadline)?
            {
                ReadOutcome::Bytes(len) => self.input.commit(len),
                ReadOutcome::Eof => return Err(HandshakeError::EndOfStream.into()),
                ReadOutcome::Elapsed => handshake.handle_timeout(Instant::now())?,
            }
        }
    }

    /// Answers as the error says. It is what the caller needs to know, and not that its answer was
    /// lost.
    fn refuse(self, error: &HandshakeError) -> Result<(), Error> {
        self.answer(|output| error.respond(output))
    }

    /// Writes an answer and closes, without losing the answer to bytes that were not read.
    fn answer(mut self, write: impl FnOnce(&mut SendBuffer)) -> Result<(), Error> {
        let mut output = SendBuffer::new();
        write(&mut output);
        let deadline = self
            .config
            .close_timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let patience = WritePatience {
            stall: self.config.write_timeout,
            deadline,
        };
        write_all(&mut self.stream, &mut output, patience)?;
        linger(
            &mut self.stream,
            &mut self.timer,
            deadline,
            self.config.max_drain_len,
        );
        Ok(())
    }
}
