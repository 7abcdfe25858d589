//! The client's side of the opening handshake.
//!
//! The MUSTs of section 4.1, one check a line. It knows nothing of sockets and frames.
//!
//! RFC 6455, section 4.1.

use core::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::answer::{AnswerReader, Asked};
use super::head::ResponseHead;
use super::headers::{Field, Headers};
use super::key::{accept_key, encode_nonce};
use super::request::ClientRequest;
#[cfg(feature = "os-rng")]
use crate::connection::ThreadMasks;
use crate::connection::{Config, Connection, MaskSource, RecvBuffer, SendBuffer};
use crate::error::HandshakeError;
use crate::extension::{Extension, Extensions, parse_offers};

/// A client that waits for the answer to its request.
///
/// The order of calls: [`start`](Self::start), write the output, [`set_now`](Self::set_now), read
/// into the input, [`receive`](Self::receive). What stands behind the head in the input is the
/// first frame's.
pub struct ClientHandshake {
    reader: AnswerReader,
    accept: [u8; 28],
    subprotocols: Vec<String>,
    extensions: Extensions,
}

impl ClientHandshake {
    /// Appends the request to `output`.
    ///
    /// `nonce` must be random, and new for each connection (4.1 item 7): that of `rand::random()`
    /// is.
    pub fn start(
        request: &ClientRequest,
        config: Arc<Config>,
        nonce: [u8; 16],
        output: &mut SendBuffer,
    ) -> Self {
        let key = encode_nonce(nonce);
        request.write(&key, output.tail());
        Self {
            reader: AnswerReader::new(Asked::Upgrade, config),
            accept: accept_key(&key),
            subprotocols: request.subprotocols().to_vec(),
            extensions: request.extensions().clone(),
        }
    }

    /// Tells the time; the first call starts the clock of
    /// [`handshake_timeout`](Config::handshake_timeout), which no byte extends.
    pub fn set_now(&mut self, now: Instant) {
        self.reader.set_now(now);
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
        let Some(head) = self.reader.receive(input)? else {
            return Ok(None);
        };
        let judged = self.judge(head);
        #[cfg(feature = "tracing")]
        match &judged {
            Ok(_) => tracing::debug!("upgrade accepted by the server"),
            Err(error) => tracing::debug!(%error, "answer refused"),
        }
        judged.map(Some).map_err(|error| self.reader.latch(error))
    }

    /// Notes that the server closed the transport, and returns what that makes of the handshake:
    /// [`Refused`](HandshakeError::Refused) if an answer was on its way, else
    /// [`EndOfStream`](HandshakeError::EndOfStream).
    pub fn receive_eof(&mut self) -> HandshakeError {
        self.reader.receive_eof()
    }

    /// Judges the deadline.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](HandshakeError::TimedOut) once it has passed, or
    /// [`Refused`](HandshakeError::Refused) with as much of an answer as came.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        self.reader.handle_timeout(now)
    }

    /// Returns the moment at which [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.reader.next_deadline()
    }

    /// Judges a 101 answer.
    fn judge(&self, head: ResponseHead) -> Result<UpgradeResponse, HandshakeError> {
        // RFC 9110, section 15.2: "Since HTTP/1.0 did not define any 1xx status codes", whoever
        // speaks it has not switched to anything.
        if head.is_http_1_0 {
            return Err(HandshakeError::HttpVersionUnsupported);
        }
        let headers = head.headers;
        // 4.1 item 2: "If the response lacks an |Upgrade| header field or the |Upgrade| header
        // field contains a value that is not an ASCII case-insensitive match for the value
        // "websocket"".
        if !headers
            .of(Field::Upgrade)
            .single()
            .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        {
            return Err(HandshakeError::UpgradeMismatch);
        }
        // 4.1 item 3: "or the |Connection| header field doesn't contain a token that is an ASCII
        // case-insensitive match for the value "Upgrade"".
        if !headers.of(Field::Connection).has_token(b"upgrade") {
            return Err(HandshakeError::ConnectionNotUpgrade);
        }
        // 4.1 item 4, and 11.3.3: "MUST NOT appear more than once in an HTTP response".
        if headers.of(Field::Accept).single() != Some(&self.accept) {
            return Err(HandshakeError::AcceptMismatch);
        }
        let extension = match parse_offers(headers.of(Field::Extensions)) {
            Ok(answer) => self.extensions.judge_answer(&answer)?,
            Err(_) if self.extensions == Extensions::none() => {
                return Err(HandshakeError::ExtensionNotOffered);
            }
            Err(error) => return Err(error),
        };
        // 4.1 item 6: "a subprotocol that was not present in the client's handshake". None at all
        // is legal; 11.3.4: "MUST NOT appear more than once in an HTTP response".
        let subprotocol = match headers.of(Field::Protocol).next() {
            None => None,
            Some(_) => Some(
                headers
                    .of(Field::Protocol)
                    .single()
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
            config: Arc::clone(self.reader.config()),
            headers,
            subprotocol,
            extension,
        })
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
    /// Opens the connection, whose masking keys come from the thread's cryptographic generator.
    #[cfg(feature = "os-rng")]
    pub fn into_connection(self) -> Connection {
        self.into_connection_with(Box::new(ThreadMasks))
    }

    /// Opens the connection, whose masking keys come from a source of the caller's own.
    pub fn into_connection_with(self, masks: Box<dyn MaskSource>) -> Connection {
        let mut connection = Connection::client(masks, self.config);
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
