//! Accepting a connection as a server.
//!
//! Drives the opening handshake and gives every request its answer; the rules are
//! `handshake::server`'s.

use core::fmt;
use core::marker::PhantomData;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use super::alarm::Alarm;
use super::pool::{Input, Output};
use super::transport::{Runtime, Timer, Transport};
use super::websocket::WebSocket;
use crate::adapter::{Error, ServerOptions};
use crate::connection::{Config, RecvBuffer, SendBuffer};
use crate::error::HandshakeError;
#[cfg(feature = "deflate")]
use crate::handshake::DeflateConfig;
use crate::handshake::{
    Acceptance, OriginPolicy, PlainRequest, Request, Response, ServerHandshake, UpgradeRequest,
};

/// A server with limits, an origin policy and subprotocols of its own, for streams of a runtime.
///
/// A clone of it is cheap; it holds no state of any connection.
#[doc(alias = "ServerBuilder")]
pub struct Server<R> {
    pub(crate) options: ServerOptions,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Server<R> {
    /// Makes a server with the default limits, for pages of the same origin.
    pub fn new() -> Self {
        Self {
            options: ServerOptions::default(),
            runtime: PhantomData,
        }
    }

    /// Sets the limits and timeouts.
    #[doc(alias("accept_async_with_config", "max_message_size"))]
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
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    #[doc(alias = "accept_async")]
    pub fn accept<S>(
        &self,
        stream: S,
    ) -> impl Future<Output = Result<WebSocket<R::Transport>, Error>> + use<R, S>
    where
        R: Runtime<S>,
    {
        let options = self.options.clone();
        // What the handshake needs does not stay in the future of the task that goes on.
        Box::pin(async move {
            match receive(&options, R::Transport::new(stream)).await? {
                Incoming::Upgrade(upgrade) => {
                    let subprotocol = options.choose_subprotocol(upgrade.request());
                    let acceptance = options.acceptance(subprotocol.as_deref());
                    upgrade.accept(acceptance).await
                }
                Incoming::Plain(plain) => {
                    let mut output = SendBuffer::new();
                    plain.request.refuse(&mut output);
                    let _ = plain.exchange.answer(output).await;
                    Err(HandshakeError::NotAnUpgrade.into())
                }
            }
        })
    }

    /// Receives a request, which the caller then accepts, rejects or answers.
    ///
    /// # Errors
    ///
    /// [`Handshake`](Error::Handshake) for a request that breaks a rule, comes from another origin
    /// or takes too long, which was given its HTTP answer, [`Io`](Error::Io) and
    /// [`WriteTimeout`](Error::WriteTimeout).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    #[doc(alias = "accept_hdr_async")]
    pub fn receive<S>(
        &self,
        stream: S,
    ) -> impl Future<Output = Result<Incoming<R::Transport>, Error>> + use<R, S>
    where
        R: Runtime<S>,
    {
        let options = self.options.clone();
        Box::pin(async move { receive(&options, R::Transport::new(stream)).await })
    }
}

async fn receive<T: Transport>(
    options: &ServerOptions,
    transport: T,
) -> Result<Incoming<T>, Error> {
    let mut exchange = Box::new(Exchange {
        transport,
        alarm: Alarm::new(),
        input: Input::default(),
        config: Arc::clone(&options.config),
    });
    match exchange.receive().await {
        Ok(Request::Plain(request)) => Ok(Incoming::Plain(PlainExchange { exchange, request })),
        Ok(Request::Upgrade(request)) if request.origin_is_allowed(&options.origin_policy) => {
            Ok(Incoming::Upgrade(PendingUpgrade { exchange, request }))
        }
        Ok(Request::Upgrade(_)) => {
            let error = HandshakeError::OriginForbidden;
            let _ = exchange.refuse(&error).await;
            Err(error.into())
        }
        Err(Error::Handshake(error)) => {
            let _ = exchange.refuse(&error).await;
            Err(error.into())
        }
        Err(error) => Err(error),
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub enum Incoming<T: Transport> {
    /// For a WebSocket.
    Upgrade(PendingUpgrade<T>),
    /// For something else, such as a health check.
    Plain(PlainExchange<T>),
}

/// A request for a WebSocket that waits for its answer.
pub struct PendingUpgrade<T: Transport> {
    exchange: Box<Exchange<T>>,
    request: UpgradeRequest,
}

impl<T: Transport> PendingUpgrade<T> {
    /// Accepts, and opens the WebSocket.
    ///
    /// # Errors
    ///
    /// [`Send`](Error::Send) for a subprotocol that was not offered, or a header line that cannot
    /// be written; [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    pub async fn accept(self, acceptance: Acceptance<'_>) -> Result<WebSocket<T>, Error> {
        let Exchange {
            transport,
            input,
            config,
            ..
        } = *self.exchange;
        let mut output = Output::default();
        let subprotocol = acceptance.chosen().map(str::to_owned);
        let connection = self.request.accept(acceptance, config, output.get())?;
        let mut socket = WebSocket::opened(transport, connection, input, output)
            .with_subprotocol(subprotocol.as_deref());
        socket.flush().await?;
        Ok(socket)
    }

    /// Rejects with an HTTP answer, and closes the stream.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    pub async fn reject(self, response: &Response) -> Result<(), Error> {
        let Self { exchange, request } = self;
        let mut output = SendBuffer::new();
        request.reject(response, &mut output);
        exchange.answer(output).await
    }

    /// Returns the request.
    pub const fn request(&self) -> &UpgradeRequest {
        &self.request
    }
}

/// A plain HTTP request that waits for its answer.
pub struct PlainExchange<T: Transport> {
    exchange: Box<Exchange<T>>,
    request: PlainRequest,
}

impl<T: Transport> PlainExchange<T> {
    /// Answers, and closes the stream.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    pub async fn respond(self, response: &Response) -> Result<(), Error> {
        let Self { exchange, request } = self;
        let mut output = SendBuffer::new();
        request.respond(response, &mut output);
        exchange.answer(output).await
    }

    /// Returns the request, the stream, and what of a body has been read, for another HTTP
    /// implementation.
    pub fn into_parts(self) -> (PlainRequest, T::Stream, RecvBuffer) {
        let Exchange {
            transport, input, ..
        } = *self.exchange;
        (self.request, transport.into_stream(), input.into_buffer())
    }

    /// Returns the request.
    pub const fn request(&self) -> &PlainRequest {
        &self.request
    }
}

/// A stream on which a request is received and answered.
struct Exchange<T: Transport> {
    transport: T,
    alarm: Alarm<T::Timer>,
    input: Input,
    config: Arc<Config>,
}

impl<T: Transport> Exchange<T> {
    async fn receive(&mut self) -> Result<Request, Error> {
        let mut handshake = ServerHandshake::new(Arc::clone(&self.config));
        handshake.set_now(T::Timer::now());
        loop {
            if let Some(request) = handshake.receive(self.input.get())? {
                // Whether to accept may take the application a while.
                self.input.rest_if_idle();
                return Ok(request);
            }
            match self.read(handshake.next_deadline()).await? {
                Read::Bytes => {}
                Read::Eof => return Err(HandshakeError::EndOfStream.into()),
                Read::Elapsed => handshake.handle_timeout(T::Timer::now())?,
            }
        }
    }

    /// Reads once, or until the deadline.
    async fn read(&mut self, deadline: Option<Instant>) -> io::Result<Read> {
        poll_fn(|cx| {
            read_until(
                &mut self.transport,
                &mut self.alarm,
                &mut self.input,
                deadline,
                cx,
            )
        })
        .await
    }

    /// Answers as the error says. It is what the caller needs to know, and not that its answer was
    /// lost.
    async fn refuse(self: Box<Self>, error: &HandshakeError) -> Result<(), Error> {
        let mut output = SendBuffer::new();
        error.respond(&mut output);
        self.answer(output).await
    }

    /// Writes an answer and closes, without losing the answer to bytes that were not read.
    async fn answer(mut self: Box<Self>, mut output: SendBuffer) -> Result<(), Error> {
        let start = T::Timer::now();
        let in_time = |timeout: Option<_>| timeout.and_then(|timeout| start.checked_add(timeout));
        let deadline = in_time(self.config.close_timeout);
        let stall = in_time(self.config.write_timeout);
        let patience = [deadline, stall].into_iter().flatten().min();
        write_until(&mut self.transport, &mut self.alarm, &mut output, patience).await?;
        // A peer that does not read the answer to its end is not waited for.
        poll_fn(|cx| match self.transport.poll_shutdown(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => self.alarm.poll(cx, deadline),
        })
        .await;
        let is_in_time = || deadline.is_none_or(|deadline| T::Timer::now() < deadline);
        self.discard();
        let mut drained = 0_u64;
        while drained <= self.config.max_drain_len && is_in_time() {
            match self.read(deadline).await {
                Ok(Read::Bytes) => drained = drained.saturating_add(self.discard()),
                Ok(Read::Eof | Read::Elapsed) | Err(_) => break,
            }
        }
        self.input.rest();
        Ok(())
    }

    /// Drops what was read, and returns how much it is.
    fn discard(&mut self) -> u64 {
        let input = self.input.get();
        let len = input.unread().len();
        input.consume_head(len);
        len as u64
    }
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Bytes,
    Eof,
    Elapsed,
}

/// Reads once into `input`, or until the deadline.
pub(super) fn read_until<T: Transport>(
    transport: &mut T,
    alarm: &mut Alarm<T::Timer>,
    input: &mut Input,
    deadline: Option<Instant>,
    cx: &mut std::task::Context<'_>,
) -> Poll<io::Result<Read>> {
    loop {
        let buffer = input.get();
        return match transport.poll_read(cx, buffer.spare_mut()) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Read::Eof)),
            Poll::Ready(Ok(len)) => {
                buffer.commit(len);
                Poll::Ready(Ok(Read::Bytes))
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(Read::Eof))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if buffer.unread().len() <= PARKED_LEN {
                    input.rest();
                }
                alarm.poll(cx, deadline).map(|()| Ok(Read::Elapsed))
            }
        };
    }
}

/// As much of a head waits in memory of its own size: it is copied at every wait, and a long one
/// that drips would be copied often.
const PARKED_LEN: usize = 4 << 10;

/// Writes all of `output`, or gives up at the deadline.
pub(super) async fn write_until<T: Transport>(
    transport: &mut T,
    alarm: &mut Alarm<T::Timer>,
    output: &mut SendBuffer,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    poll_fn(|cx| {
        loop {
            let written = match output.chunks().next() {
                Some(chunk) => transport.poll_write(cx, &[IoSlice::new(chunk)]),
                None => transport.poll_flush(cx).map_ok(|()| 0),
            };
            match written {
                Poll::Ready(Ok(_)) if output.is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(0)) => {
                    let error = io::Error::from(io::ErrorKind::WriteZero);
                    return Poll::Ready(Err(error.into()));
                }
                Poll::Ready(Ok(len)) => output.consume(len),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    return alarm.poll(cx, deadline).map(|()| Err(Error::WriteTimeout));
                }
            }
        }
    })
    .await
}

impl<R> Clone for Server<R> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            runtime: PhantomData,
        }
    }
}

impl<R> Default for Server<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.options).finish()
    }
}

impl<T: Transport> fmt::Debug for PendingUpgrade<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingUpgrade")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> fmt::Debug for PlainExchange<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainExchange")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
