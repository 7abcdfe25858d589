//! The client's side of the opening handshake.
//!
//! The MUSTs of section 4.1, one check a line. It knows nothing of sockets and frames.
//!
//! RFC 6455, section 4.1.

use core::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::body::{Body, Cut};
use super::head::{
    HeadKind, HeadScanner, HeaderLine, Headers, ResponseHead, is_token, write_header,
};
use super::key::{accept_key, encode_nonce};
use super::uri::Uri;
use super::{Patience, RESERVED};
use crate::connection::{Config, Connection, RecvBuffer, Role, SendBuffer};
use crate::error::{HandshakeError, RefusedResponse, SendError};
#[cfg(feature = "deflate")]
use crate::extension::DeflateConfig;
use crate::extension::{Extension, Extensions, parse_offers};

/// What a client asks for.
///
/// ```
/// use framewright::handshake::ClientRequest;
///
/// let request = ClientRequest::new("wss://example.com/chat?room=1")?
///     .subprotocol("chat.v2")?
///     .subprotocol("chat.v1")?
///     .header("Authorization", "Bearer 0123")?;
/// # Ok::<(), framewright::SendError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequest {
    uri: Uri,
    subprotocols: Vec<String>,
    extensions: Extensions,
    headers: Vec<HeaderLine>,
}

impl ClientRequest {
    /// Asks for the resource of a `ws:` or `wss:` URI.
    ///
    /// # Errors
    ///
    /// What section 3 does not allow of a URI.
    pub fn new(uri: &str) -> Result<Self, SendError> {
        Ok(Self {
            uri: uri.parse()?,
            subprotocols: Vec::new(),
            extensions: Extensions::none(),
            headers: Vec::new(),
        })
    }

    /// Offers a subprotocol; the first one offered is the favourite.
    ///
    /// # Errors
    ///
    /// [`SubprotocolInvalid`](SendError::SubprotocolInvalid) and
    /// [`SubprotocolRepeated`](SendError::SubprotocolRepeated).
    pub fn subprotocol(mut self, subprotocol: &str) -> Result<Self, SendError> {
        if !is_token(subprotocol.as_bytes()) {
            return Err(SendError::SubprotocolInvalid);
        }
        if self.subprotocols.iter().any(|other| other == subprotocol) {
            return Err(SendError::SubprotocolRepeated);
        }
        self.subprotocols.push(subprotocol.to_owned());
        Ok(self)
    }

    /// Adds a header line, such as Authorization, Cookie, Origin or User-Agent.
    ///
    /// # Errors
    ///
    /// [`HeaderNameInvalid`](SendError::HeaderNameInvalid),
    /// [`HeaderValueInvalid`](SendError::HeaderValueInvalid), and
    /// [`HeaderReserved`](SendError::HeaderReserved) for the lines of the handshake itself.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, SendError> {
        let line = HeaderLine::new(name, value.as_ref(), &RESERVED)?;
        self.headers.push(line);
        Ok(self)
    }

    /// Offers permessage-deflate.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.extensions.deflate = Some(config);
        self
    }

    /// Returns the URI.
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }
}

/// A client that waits for the answer to its request.
///
/// The order of calls: [`start`](Self::start), write the output, [`set_now`](Self::set_now), read
/// into the input, [`receive`](Self::receive). What stands behind the head in the input is the
/// first frame's.
pub struct ClientHandshake {
    config: Arc<Config>,
    patience: Patience,
    scanner: HeadScanner,
    accept: [u8; 28],
    subprotocols: Vec<String>,
    extensions: Extensions,
    interim_responses: usize,
    /// The answer that refused, and its body as far as it came.
    refusal: Option<(ResponseHead, Body)>,
    /// The error latches: what comes behind an answer that failed is no answer.
    failed: Option<HandshakeError>,
}

impl ClientHandshake {
    /// Appends the request to `output`.
    ///
    /// `nonce` must be random, and new for each connection (4.1 item 7): `rand::random()` does.
    pub fn start(
        request: &ClientRequest,
        config: Arc<Config>,
        nonce: [u8; 16],
        output: &mut SendBuffer,
    ) -> Self {
        let key = encode_nonce(nonce);
        let output = output.tail();
        output.extend_from_slice(b"GET ");
        output.extend_from_slice(request.uri.resource_name().as_bytes());
        output.extend_from_slice(b" HTTP/1.1\r\n");
        write_header("Host", request.uri.authority().as_bytes(), output);
        output.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
        write_header("Sec-WebSocket-Key", &key, output);
        output.extend_from_slice(b"Sec-WebSocket-Version: 13\r\n");
        if !request.subprotocols.is_empty() {
            let subprotocols = request.subprotocols.join(", ");
            write_header("Sec-WebSocket-Protocol", subprotocols.as_bytes(), output);
        }
        if let Some(offer) = request.extensions.offer() {
            write_header("Sec-WebSocket-Extensions", offer.as_bytes(), output);
        }
        for header in &request.headers {
            header.write(output);
        }
        output.extend_from_slice(b"\r\n");
        Self {
            config,
            patience: Patience::default(),
            scanner: HeadScanner::default(),
            accept: accept_key(&key),
            subprotocols: request.subprotocols.clone(),
            extensions: request.extensions.clone(),
            interim_responses: 0,
            refusal: None,
            failed: None,
        }
    }

    /// Tells the time; the first call starts the clock of
    /// [`handshake_timeout`](Config::handshake_timeout), which no byte extends.
    pub fn set_now(&mut self, now: Instant) {
        self.patience.set_now(&self.config, now);
    }

    /// Reads the answer from `input`; `None` if it needs more bytes.
    ///
    /// # Errors
    ///
    /// The rule that the answer breaks, or [`Refused`](HandshakeError::Refused) with the answer
    /// itself where it is not a 101.
    pub fn receive(
        &mut self,
        input: &mut RecvBuffer,
    ) -> Result<Option<UpgradeResponse>, HandshakeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let received = self.receive_response(input);
        self.failed = received.as_ref().err().cloned();
        received
    }

    /// Notes that the server closed the transport, and returns what that makes of the handshake:
    /// [`Refused`](HandshakeError::Refused) if an answer was on its way, else
    /// [`EndOfStream`](HandshakeError::EndOfStream).
    pub fn receive_eof(&mut self) -> HandshakeError {
        self.fail(HandshakeError::EndOfStream, Cut::Eof)
    }

    /// Judges the deadline.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](HandshakeError::TimedOut) once it has passed, or
    /// [`Refused`](HandshakeError::Refused) with as much of an answer as came.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        self.set_now(now);
        self.patience
            .judge(now)
            .map_err(|error| self.fail(error, Cut::Deadline))
    }

    /// Returns the moment at which [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.patience.deadline
    }

    fn receive_response(
        &mut self,
        input: &mut RecvBuffer,
    ) -> Result<Option<UpgradeResponse>, HandshakeError> {
        loop {
            if let Some((_, body)) = &mut self.refusal {
                return if body.receive(input) {
                    Err(self.refused(Cut::Done))
                } else {
                    Ok(None)
                };
            }
            let Some(len) = self
                .scanner
                .scan(HeadKind::Response, &self.config, input.unread())?
            else {
                return Ok(None);
            };
            let head = ResponseHead::parse(&self.scanner, &input.unread()[..len])?;
            input.consume_head(len);
            self.scanner = HeadScanner::default();
            match head.status {
                101 => return self.judge(head.headers).map(Some),
                // RFC 9110, section 15.2: "A client MUST be able to parse one or more 1xx
                // responses received prior to a final response".
                100..=199 => {
                    self.interim_responses += 1;
                    if self.interim_responses > MAX_INTERIM_RESPONSES {
                        return Err(HandshakeError::TooManyInterimResponses);
                    }
                }
                status => {
                    let max_len = self.config.max_refused_body_len;
                    let body = Body::new(status, &head.headers, max_len);
                    self.refusal = Some((head, body));
                }
            }
        }
    }

    /// Judges a 101 answer.
    fn judge(&self, headers: Headers) -> Result<UpgradeResponse, HandshakeError> {
        // 4.1 item 2: "If the response lacks an |Upgrade| header field or the |Upgrade| header field
        // contains a value that is not an ASCII case-insensitive match for the value "websocket"".
        if !headers
            .single("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        {
            return Err(HandshakeError::UpgradeMismatch);
        }
        // 4.1 item 3: "or the |Connection| header field doesn't contain a token that is an ASCII
        // case-insensitive match for the value "Upgrade"".
        if !headers.has_token("connection", "upgrade") {
            return Err(HandshakeError::ConnectionNotUpgrade);
        }
        // 4.1 item 4, and 11.3.3: "MUST NOT appear more than once in an HTTP response".
        if headers.single("sec-websocket-accept") != Some(&self.accept) {
            return Err(HandshakeError::AcceptMismatch);
        }
        let extension = match parse_offers(headers.values("sec-websocket-extensions")) {
            Ok(answer) => self.extensions.judge_answer(&answer)?,
            Err(_) if self.extensions == Extensions::none() => {
                return Err(HandshakeError::ExtensionNotOffered);
            }
            Err(error) => return Err(error),
        };
        // 4.1 item 6: "a subprotocol that was not present in the client's handshake". None at all
        // is legal; 11.3.4: "MUST NOT appear more than once in an HTTP response".
        let subprotocol = match headers.first("sec-websocket-protocol") {
            None => None,
            Some(_) => Some(
                headers
                    .single("sec-websocket-protocol")
                    .and_then(|value| {
                        self.subprotocols
                            .iter()
                            .find(|offered| offered.as_bytes() == value)
                    })
                    .cloned()
                    .ok_or(HandshakeError::SubprotocolNotOffered)?,
            ),
        };
        Ok(UpgradeResponse {
            config: Arc::clone(&self.config),
            headers,
            subprotocol,
            extension,
        })
    }

    /// Ends the handshake where no more of it is read, and returns what latches: the error from
    /// before, the answer that refused as far as it came, or else `error`.
    #[cold]
    fn fail(&mut self, error: HandshakeError, cut: Cut) -> HandshakeError {
        if self.failed.is_none() {
            self.failed = Some(if self.refusal.is_some() {
                self.refused(cut)
            } else {
                error.clone()
            });
        }
        self.failed.clone().unwrap_or(error)
    }

    /// Returns the answer that refused.
    #[cold]
    fn refused(&mut self, cut: Cut) -> HandshakeError {
        let Some((head, body)) = self.refusal.take() else {
            return HandshakeError::EndOfStream;
        };
        let mut response = RefusedResponse::new(head.status, head.headers.to_owned_lines());
        let (kept, truncated) = body.finish(cut);
        response.body = kept.into();
        response.body_truncated = truncated;
        HandshakeError::Refused(Box::new(response))
    }
}

impl fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandshake").finish_non_exhaustive()
    }
}

/// A 101 answer that follows every rule of section 4.1.
#[derive(Debug)]
pub struct UpgradeResponse {
    config: Arc<Config>,
    headers: Headers,
    subprotocol: Option<String>,
    extension: Option<Box<dyn Extension>>,
}

impl UpgradeResponse {
    /// Opens the connection.
    pub fn into_connection(self) -> Connection {
        let mut connection = Connection::new(Role::Client, self.config);
        connection.set_extension(self.extension);
        connection
    }

    /// Returns all header lines, such as Set-Cookie.
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns the subprotocol that the server chose, which is one of those offered.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}

/// More than a patient client should read.
const MAX_INTERIM_RESPONSES: usize = 8;
