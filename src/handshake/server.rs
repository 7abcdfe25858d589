//! The server's side of the opening handshake.
//!
//! Receives a request and tells those for the WebSocket protocol, which `upgrade` judges, from
//! others. It knows nothing of sockets and frames.
//!
//! RFC 6455, section 4.2.

use std::sync::Arc;
use std::time::Instant;

use super::Patience;
use super::head::{RequestHead, Version};
use super::headers::{Field, Headers};
use super::response::{Response, WithBody};
use super::scanner::{HeadKind, HeadScanner};
use super::target::host_of;
use super::upgrade::UpgradeRequest;
use crate::connection::{Config, RecvBuffer, SendBuffer};
use crate::error::HandshakeError;

/// A server that waits for a request.
///
/// The order of calls: [`set_now`](Self::set_now), read into the input,
/// [`receive`](Self::receive), and on an error [`HandshakeError::respond`]. What stands behind the
/// head in the input is the first frame's.
#[derive(Debug)]
pub struct ServerHandshake {
    config: Arc<Config>,
    scanner: HeadScanner,
    patience: Patience,
    /// The error latches: what comes behind a request that was refused is not a request.
    failed: Option<HandshakeError>,
}

/// What a client asked for.
#[derive(Debug)]
pub enum Request {
    /// The WebSocket protocol.
    Upgrade(UpgradeRequest),
    /// Something else: a health check, a page. The default answer is that of
    /// [`PlainRequest::refuse`].
    Plain(PlainRequest),
}

impl Request {
    /// Judges a head, whoever parsed it.
    pub(super) fn judge(head: RequestHead) -> Result<Self, HandshakeError> {
        let host = host_of(&head)?;
        // 4.2.1 item 3. A client that does not ask for the upgrade breaks no rule.
        if head.version != Version::Http11
            || !head.headers().of(Field::Upgrade).has_token(b"websocket")
        {
            return Ok(Self::Plain(PlainRequest { head }));
        }
        UpgradeRequest::judge(head, host).map(Self::Upgrade)
    }
}

impl ServerHandshake {
    /// Waits for a request within the limits of `config`.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            scanner: HeadScanner::default(),
            patience: Patience::default(),
            failed: None,
        }
    }

    /// Tells the time; the first call starts the clock of
    /// [`handshake_timeout`](Config::handshake_timeout), which no byte extends.
    pub fn set_now(&mut self, now: Instant) {
        self.patience.set_now(self.config.handshake_timeout, now);
    }

    /// Reads a request from `input`; `None` if it needs more bytes.
    ///
    /// # Errors
    ///
    /// The rule that the request breaks; [`HandshakeError::respond`] writes the answer. The order
    /// of judgement is: a head that is malformed or too long; the HTTP version; whether it asks
    /// for the upgrade at all; then method, target, `Connection`, key, version, body, subprotocols
    /// and extensions.
    pub fn receive(&mut self, input: &mut RecvBuffer) -> Result<Option<Request>, HandshakeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let received = self.receive_request(input);
        #[cfg(feature = "tracing")]
        match &received {
            Ok(Some(Request::Upgrade(_))) => tracing::debug!("upgrade requested"),
            Ok(Some(Request::Plain(_))) => tracing::debug!("plain request"),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "request refused"),
        }
        self.failed = received.as_ref().err().cloned();
        received
    }

    /// Judges the deadline.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](HandshakeError::TimedOut) once it has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        self.set_now(now);
        if self.patience.is_over(now) {
            let error = self.failed.get_or_insert(HandshakeError::TimedOut);
            return Err(error.clone());
        }
        Ok(())
    }

    /// Returns the moment at which [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.patience.deadline
    }

    fn receive_request(
        &mut self,
        input: &mut RecvBuffer,
    ) -> Result<Option<Request>, HandshakeError> {
        let bytes = input.unread();
        if self.scanner.is_new()
            && let Some(head) = RequestHead::parse_at_once(&self.config, bytes)
        {
            input.consume_head(bytes.len());
            return Request::judge(head).map(Some);
        }
        let scanned = self.scanner.scan(HeadKind::Request, &self.config, bytes)?;
        let Some(len) = scanned else {
            return Ok(None);
        };
        let head = RequestHead::parse(&self.scanner, &bytes[..len])?;
        input.consume_head(len);
        self.scanner = HeadScanner::default();
        Request::judge(head).map(Some)
    }
}

/// A request that does not ask for the WebSocket protocol.
///
/// Bytes of its body, if it has one, are in the input behind the head.
#[derive(Debug)]
pub struct PlainRequest {
    head: RequestHead,
}

impl PlainRequest {
    /// Appends an HTTP answer to `output`, after which the transport closes.
    pub fn respond(&self, response: &Response, output: &mut SendBuffer) {
        let with_body = match self.method() {
            // RFC 9110, section 9.3.2: "the server MUST NOT send content in the response".
            "HEAD" => WithBody::No,
            _ => WithBody::Yes,
        };
        response.write(with_body, output);
    }

    /// Appends the answer of a server that speaks WebSocket only, which is 426.
    pub fn refuse(&self, output: &mut SendBuffer) {
        if let Some(response) = HandshakeError::NotAnUpgrade.response() {
            self.respond(&response, output);
        }
    }

    /// Returns the method.
    pub fn method(&self) -> &str {
        self.head.method()
    }

    /// Returns the request target as it came: most often a path and a query.
    pub fn target(&self) -> &str {
        self.head.target()
    }

    /// Returns all header lines.
    pub const fn headers(&self) -> &Headers {
        self.head.headers()
    }

    #[cfg(feature = "http")]
    pub(super) const fn head(&self) -> &RequestHead {
        &self.head
    }
}
