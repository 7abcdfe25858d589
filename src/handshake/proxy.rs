//! A tunnel through an HTTP proxy.
//!
//! Asks a proxy with CONNECT for a tunnel to the server, and reads its answer. What goes through
//! the tunnel then, TLS or the opening handshake, is not known here, and neither is where a user
//! says which proxy to take.
//!
//! RFC 9110, section 9.3.6; RFC 7617.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::answer::{AnswerReader, Asked};
use super::head::{HeaderLine, write_header};
use super::uri::{Uri, judge_characters, parse_authority};
use crate::connection::{Config, RecvBuffer, SendBuffer};
use crate::error::{HandshakeError, SendError};

/// An HTTP proxy, and what it wants to know of who asks.
///
/// The port is 80 where none is written, as in any `http:` URI; curl takes 1080, and proxies listen
/// on 3128 or 8080, so it is best written. In the URI, what a user name or a password holds beside
/// letters, digits and `-._~!$&'()*+,;=` is percent-encoded; it is sent decoded.
///
/// ```
/// use framewright::handshake::Proxy;
///
/// let proxy: Proxy = "http://alice:s%40cret@proxy.example:3128".parse()?;
/// assert_eq!((proxy.host(), proxy.port()), ("proxy.example", 3128));
/// // The user is not for logs.
/// assert!(!format!("{proxy:?}").contains("s@cret"));
///
/// let proxy: Proxy = "http://proxy.example:3128".parse()?;
/// let proxy = proxy.header("Proxy-Authorization", "Bearer 0123")?;
/// # Ok::<(), framewright::SendError>(())
/// ```
#[doc(alias("HTTP_PROXY", "CONNECT"))]
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// In lower case, without the brackets of an IPv6 address.
    host: String,
    port: u16,
    headers: Vec<HeaderLine>,
}

impl Proxy {
    /// Makes a proxy of an `http:` URI, which may hold a user name and a password.
    ///
    /// # Errors
    ///
    /// [`ProxyUriInvalid`](SendError::ProxyUriInvalid) for another scheme, a path or a query,
    /// [`ProxyCredentialsInvalid`](SendError::ProxyCredentialsInvalid), and what RFC 3986 does not
    /// allow of a host and a port.
    pub fn new(uri: &str) -> Result<Self, SendError> {
        uri.parse()
    }

    /// Sends a user name and a password, in the place of those of the URI (RFC 7617).
    ///
    /// They go to the proxy as good as readable.
    ///
    /// # Errors
    ///
    /// [`ProxyCredentialsInvalid`](SendError::ProxyCredentialsInvalid).
    pub fn basic_auth(self, user: &str, password: &str) -> Result<Self, SendError> {
        // RFC 7617, section 2: "a user-id containing a colon character is invalid", and "The
        // user-id and password MUST NOT contain any control characters".
        let is_text = |text: &str| !text.bytes().any(|byte| byte.is_ascii_control());
        if user.contains(':') || !is_text(user) || !is_text(password) {
            return Err(SendError::ProxyCredentialsInvalid);
        }
        let credentials = format!("{user}:{password}");
        let mut encoded = vec![0; credentials.len().div_ceil(3) * 4];
        let written = STANDARD.encode_slice(credentials, &mut encoded);
        debug_assert_eq!(written, Ok(encoded.len()), "3 bytes are 4 characters");
        let value = [b"Basic ", &encoded[..]].concat();
        self.header(AUTHORIZATION, value)
    }

    /// Adds a header line for the proxy, which the server does not see.
    ///
    /// A Proxy-Authorization takes the place of any before.
    ///
    /// # Errors
    ///
    /// [`HeaderNameInvalid`](SendError::HeaderNameInvalid),
    /// [`HeaderValueInvalid`](SendError::HeaderValueInvalid), and
    /// [`HeaderReserved`](SendError::HeaderReserved) for the lines that say where the request goes
    /// and where it ends.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, SendError> {
        let line = HeaderLine::new(name, value.as_ref(), &RESERVED)?;
        // RFC 9110, section 11.7.2: one value, of one scheme.
        if name.eq_ignore_ascii_case(AUTHORIZATION) {
            self.headers
                .retain(|line| !line.name().eq_ignore_ascii_case(AUTHORIZATION));
        }
        self.headers.push(line);
        Ok(self)
    }

    /// Returns the host to connect to, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port to connect to.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Proxy {
    type Err = SendError;

    fn from_str(uri: &str) -> Result<Self, SendError> {
        judge_characters(uri)?;
        let rest = match uri.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) | None => return Err(SendError::ProxyUriInvalid),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(SendError::ProxyUriInvalid);
        }
        let (user_info, authority) = authority.split_once('@').unwrap_or(("", authority));
        let (host, port) = parse_authority(authority)?;
        let proxy = Self {
            host,
            port: port.unwrap_or(DEFAULT_PORT),
            headers: Vec::new(),
        };
        if user_info.is_empty() {
            return Ok(proxy);
        }
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        proxy.basic_auth(&percent_decoded(user)?, &percent_decoded(password)?)
    }
}

/// Of header lines the names, for any of them may be a secret between a user and his proxy.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(HeaderLine::name).collect();
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("headers", &names)
            .finish()
    }
}

/// A client that waits for a proxy to open a tunnel.
///
/// The order of calls: [`start`](Self::start), write the output, [`set_now`](Self::set_now), read
/// into the input, [`receive`](Self::receive). Once the tunnel is open, what is written to the
/// proxy is the server's: TLS for `wss`, then the opening handshake.
///
/// ```
/// use framewright::handshake::{ClientHandshake, ClientRequest, Proxy, ProxyHandshake};
/// use framewright::{Config, RecvBuffer, SendBuffer};
/// use std::sync::Arc;
///
/// let config = Arc::new(Config::default());
/// let request = ClientRequest::new("ws://example.com/chat")?;
/// let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
///
/// let proxy = Proxy::new("http://proxy.example:3128")?;
/// let mut tunnel = ProxyHandshake::start(&proxy, request.uri(), config.clone(), &mut output);
/// assert!(output.to_vec().starts_with(b"CONNECT example.com:80 HTTP/1.1\r\n"));
/// # output.consume(usize::MAX);
/// // Write the output, and read:
/// input.extend(b"HTTP/1.1 200 Connection established\r\n\r\n");
/// assert_eq!(tunnel.receive(&mut input)?, Some(()));
///
/// let handshake = ClientHandshake::start(&request, config, rand::random(), &mut output);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ProxyHandshake {
    reader: AnswerReader,
    is_open: bool,
}

impl ProxyHandshake {
    /// Appends to `output` the request for a tunnel to the host and port of `target`.
    pub fn start(
        proxy: &Proxy,
        target: &Uri,
        config: Arc<Config>,
        output: &mut SendBuffer,
    ) -> Self {
        // 9.3.6: "sending the host and port number of the tunnel destination separated by a colon".
        let authority = target.host_and_port();
        let output = output.tail();
        output.extend_from_slice(format!("CONNECT {authority} HTTP/1.1\r\n").as_bytes());
        write_header("Host", authority.as_bytes(), output);
        for header in &proxy.headers {
            header.write(output);
        }
        output.extend_from_slice(b"\r\n");
        Self {
            reader: AnswerReader::new(Asked::Tunnel, config),
            is_open: false,
        }
    }

    /// Tells the time; the first call starts the clock of
    /// [`connect_timeout`](Config::connect_timeout), which no byte extends.
    pub fn set_now(&mut self, now: Instant) {
        self.reader.set_now(now);
    }

    /// Reads the answer from `input`; `None` if it needs more bytes.
    ///
    /// Once the tunnel is open `input` is empty, and is left alone from then on.
    ///
    /// # Errors
    ///
    /// [`ProxyRefused`](HandshakeError::ProxyRefused) with the answer itself where it is not a 2xx,
    /// such as 407 where the proxy wants to know who asks;
    /// [`ProxySpokeFirst`](HandshakeError::ProxySpokeFirst) for bytes that came with the answer: in
    /// TLS and in WebSocket the client speaks first, so they are no server's; and a head that is
    /// malformed or too long.
    pub fn receive(&mut self, input: &mut RecvBuffer) -> Result<Option<()>, HandshakeError> {
        if self.is_open {
            return Ok(Some(()));
        }
        // 9.3.6: "A client MUST ignore any Content-Length or Transfer-Encoding header fields
        // received in a successful response to CONNECT", so that there is nothing in the head to
        // look at.
        let Some(_) = self.reader.receive(input)? else {
            return Ok(None);
        };
        if !input.unread().is_empty() {
            return Err(self.reader.latch(HandshakeError::ProxySpokeFirst));
        }
        self.is_open = true;
        Ok(Some(()))
    }

    /// Notes that the proxy closed the transport, and returns what that makes of the handshake:
    /// [`ProxyRefused`](HandshakeError::ProxyRefused) if an answer was on its way, else
    /// [`EndOfStream`](HandshakeError::EndOfStream).
    pub fn receive_eof(&mut self) -> HandshakeError {
        self.reader.receive_eof()
    }

    /// Judges the deadline.
    ///
    /// # Errors
    ///
    /// [`ProxyTimedOut`](HandshakeError::ProxyTimedOut) once it has passed, or
    /// [`ProxyRefused`](HandshakeError::ProxyRefused) with as much of an answer as came.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        if self.is_open {
            return Ok(());
        }
        self.reader.handle_timeout(now)
    }

    /// Returns the moment at which [`handle_timeout`](Self::handle_timeout) is due; `None` once the
    /// tunnel is open.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.reader.next_deadline().filter(|_| !self.is_open)
    }
}

impl fmt::Debug for ProxyHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyHandshake")
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

/// RFC 3986, section 2.1, for text of which each percent sign was judged.
fn percent_decoded(text: &str) -> Result<String, SendError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind
            .split_at_checked(2)
            .filter(|_| first == b'%')
            .and_then(|(digits, behind)| {
                let digits = core::str::from_utf8(digits).ok()?;
                Some((u8::from_str_radix(digits, 16).ok()?, behind))
            });
        let (byte, behind) = digits.unwrap_or((first, behind));
        decoded.push(byte);
        rest = behind;
    }
    String::from_utf8(decoded).map_err(|_| SendError::ProxyCredentialsInvalid)
}

const AUTHORIZATION: &str = "Proxy-Authorization";

/// RFC 9110, section 4.2.1.
const DEFAULT_PORT: u16 = 80;

/// The lines that the request for a tunnel writes itself, or that would say where it ends.
const RESERVED: [&str; 6] = [
    "connection",
    "content-length",
    "host",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
