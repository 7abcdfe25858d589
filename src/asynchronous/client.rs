//! Opening a connection as a client, over a stream that is connected.
//!
//! Drives the opening handshake; its rules are `handshake::client`'s. Resolving and connecting is
//! each runtime's.

use core::fmt;
use core::marker::PhantomData;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use super::alarm::Alarm;
use super::pool::{Input, Output};
use super::server::{Read, read_until, write_until};
use super::transport::{Runtime, Timer, Transport};
use super::websocket::WebSocket;
use crate::adapter::{ClientOptions, Error};
use crate::connection::Config;
use crate::handshake::{ClientHandshake, ClientRequest, Headers};
#[cfg(feature = "tokio")]
use crate::handshake::{Proxy, ProxyHandshake, Uri};

/// A client with a request and limits of its own, for streams of a runtime.
///
/// A clone of it is cheap; it holds no state of any connection.
#[doc(alias = "ClientBuilder")]
pub struct Client<R> {
    pub(crate) options: ClientOptions,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Client<R> {
    /// Makes a client of a request, with the default limits.
    pub fn new(request: ClientRequest) -> Self {
        Self {
            options: ClientOptions::new(request),
            runtime: PhantomData,
        }
    }

    /// Sets the limits and timeouts.
    #[doc(alias = "connect_async_with_config")]
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.options.config = config.into();
        self
    }

    /// Opens the WebSocket over a stream that is connected: TLS of another library, a tunnel of
    /// one's own, a Unix socket. The headers are those of the server's answer.
    ///
    /// A `wss:` URI does not secure the stream, and no redirect is followed.
    ///
    /// # Errors
    ///
    /// [`Handshake`](Error::Handshake) where the server refuses or breaks a rule,
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    #[doc(alias("client_async", "connect_on"))]
    pub fn handshake<S>(
        &self,
        stream: S,
    ) -> impl Future<Output = Result<(WebSocket<R::Transport>, Headers), Error>> + use<R, S>
    where
        R: Runtime<S>,
    {
        let request = self.options.request.clone();
        let config = Arc::clone(&self.options.config);
        // What the handshake needs does not stay in the future of the task that goes on.
        Box::pin(async move { handshake(&request, config, R::Transport::new(stream)).await })
    }
}

/// Opens the WebSocket over a transport.
pub(crate) async fn handshake<T: Transport>(
    request: &ClientRequest,
    config: Arc<Config>,
    mut transport: T,
) -> Result<(WebSocket<T>, Headers), Error> {
    let (mut input, mut output) = (Input::default(), Output::default());
    let nonce = rand::random();
    let mut handshake = ClientHandshake::start(request, config, nonce, output.get());
    handshake.set_now(T::Timer::now());
    let mut alarm = Alarm::new();
    let deadline = handshake.next_deadline();
    write_until(&mut transport, &mut alarm, output.get(), deadline).await?;
    output.rest();
    let response = loop {
        if let Some(response) = handshake.receive(input.get())? {
            break response;
        }
        let deadline = handshake.next_deadline();
        let read =
            poll_fn(|cx| read_until(&mut transport, &mut alarm, &mut input, deadline, cx)).await?;
        match read {
            Read::Bytes => {}
            Read::Eof => return Err(handshake.receive_eof().into()),
            Read::Elapsed => handshake.handle_timeout(T::Timer::now())?,
        }
    };
    let headers = response.headers().clone();
    let subprotocol = response.subprotocol().map(str::to_owned);
    input.rest_if_idle();
    let socket = WebSocket::opened(transport, response.into_connection(), input, output);
    Ok((socket.with_subprotocol(subprotocol.as_deref()), headers))
}

/// Asks a proxy for a tunnel to the server of `target`.
#[cfg(feature = "tokio")]
pub(crate) async fn open_tunnel<T: Transport>(
    proxy: &Proxy,
    target: &Uri,
    config: Arc<Config>,
    transport: &mut T,
) -> Result<(), Error> {
    let (mut input, mut output) = (Input::default(), Output::default());
    let mut tunnel = ProxyHandshake::start(proxy, target, config, output.get());
    tunnel.set_now(T::Timer::now());
    let mut alarm = Alarm::new();
    write_until(transport, &mut alarm, output.get(), tunnel.next_deadline()).await?;
    output.rest();
    while tunnel.receive(input.get())?.is_none() {
        let deadline = tunnel.next_deadline();
        match poll_fn(|cx| read_until(transport, &mut alarm, &mut input, deadline, cx)).await? {
            Read::Bytes => {}
            Read::Eof => return Err(tunnel.receive_eof().into()),
            Read::Elapsed => tunnel.handle_timeout(T::Timer::now())?,
        }
    }
    input.rest_if_idle();
    Ok(())
}

impl<R> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            runtime: PhantomData,
        }
    }
}

impl<R> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.options).finish()
    }
}
