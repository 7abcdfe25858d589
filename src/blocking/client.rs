//! Opening a connection as a client.
//!
//! Resolves, connects, and drives the opening handshake; its rules are `handshake::client`'s.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stream::{ReadOutcome, ReadTimer, Stream, set_write_timeout, write_all};
use super::websocket::WebSocket;
use crate::adapter::{Error, Parts, WritePatience};
use crate::connection::{Config, RecvBuffer, SendBuffer};
use crate::handshake::{ClientHandshake, ClientRequest, Headers, Uri};

/// Connects to a `ws:` URI with the default limits.
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
pub fn connect(uri: &str) -> Result<WebSocket<TcpStream>, Error> {
    let (socket, _) = Client::new(ClientRequest::new(uri)?).connect()?;
    Ok(socket)
}

/// A client with a request and limits of its own.
#[derive(Debug, Clone)]
pub struct Client {
    request: ClientRequest,
    config: Arc<Config>,
}

impl Client {
    /// Makes a client of a request, with the default limits.
    pub fn new(request: ClientRequest) -> Self {
        Self {
            request,
            config: Arc::default(),
        }
    }

    /// Sets the limits and timeouts.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Connects over TCP, with `TCP_NODELAY`, and opens the WebSocket; the headers are those of
    /// the server's answer.
    ///
    /// Every address of the host is tried in turn, all of them within
    /// [`connect_timeout`](Config::connect_timeout).
    ///
    /// # Errors
    ///
    /// [`TlsRequired`](Error::TlsRequired) for a `wss:` URI, [`Io`](Error::Io) where the host is
    /// not known or not reached, [`ConnectTimeout`](Error::ConnectTimeout), and those of
    /// [`handshake`](Self::handshake).
    pub fn connect(&self) -> Result<(WebSocket<TcpStream>, Headers), Error> {
        let uri = self.request.uri();
        if uri.is_secure() {
            return Err(Error::TlsRequired);
        }
        self.handshake(self.connect_tcp(uri)?)
    }

    /// Opens the WebSocket over a stream that is connected: TLS, a tunnel, a Unix socket.
    ///
    /// # Errors
    ///
    /// [`Handshake`](Error::Handshake) where the server refuses or breaks a rule,
    /// [`Io`](Error::Io) and [`WriteTimeout`](Error::WriteTimeout).
    pub fn handshake<S: Stream>(&self, mut stream: S) -> Result<(WebSocket<S>, Headers), Error> {
        set_write_timeout(&mut stream, self.config.write_timeout)?;
        let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
        let mut handshake = ClientHandshake::start(
            &self.request,
            Arc::clone(&self.config),
            rand::random(),
            &mut output,
        );
        handshake.set_now(Instant::now());
        let patience = WritePatience {
            stall: self.config.write_timeout,
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

    fn connect_tcp(&self, uri: &Uri) -> Result<TcpStream, Error> {
        let deadline = self
            .config
            .connect_timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let mut last_error = io::Error::new(io::ErrorKind::NotFound, "host has no address");
        let addresses: Vec<_> = (uri.host(), uri.port()).to_socket_addrs()?.collect();
        for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let connected = match deadline {
                None => TcpStream::connect(address),
                Some(deadline) => {
                    let remaining = deadline.saturating_duration_since(Instant::now());
                    if remaining.is_zero() {
                        return Err(Error::ConnectTimeout);
                    }
                    // An address that does not answer leaves time for those behind it.
                    let share = remaining / u32::try_from(left).unwrap_or(u32::MAX);
                    TcpStream::connect_timeout(address, share.max(Duration::from_millis(1)))
                }
            };
            match connected {
                Ok(stream) => {
                    // Messages are written whole, so holding them back only delays them.
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last_error = error,
            }
        }
        if deadline.is_some() && last_error.kind() == io::ErrorKind::TimedOut {
            return Err(Error::ConnectTimeout);
        }
        Err(last_error.into())
    }
}
