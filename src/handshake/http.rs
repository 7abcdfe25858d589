//! Requests and responses as those of the `http` crate.
//!
//! For servers and clients whose HTTP is somebody else's: every conversion between its types and
//! those of the handshake is here, and no rule of the handshake is. A value that one side cannot
//! hold is an error.
//!
//! RFC 6455, section 4.2; RFC 8441, sections 4 and 5.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderName, InvalidHeaderName, MaxSizeReached};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::client::UpgradeResponse;
use super::head::{RequestHead, Version};
use super::headers::Headers;
use super::request::ClientRequest;
use super::response::{RESERVED, Response};
use super::server::{PlainRequest, Request};
use super::upgrade::{Acceptance, UpgradeRequest};
use super::uri::{Uri, parse_authority};
use crate::connection::{Config, Connection};
use crate::error::{HandshakeError, RefusedResponse, SendError};

// -- A server: requests that somebody parsed ------------------------------------------------------

impl Request {
    /// Judges a request that another HTTP server received, as
    /// [`ServerHandshake`](super::ServerHandshake) judges its own.
    ///
    /// The limits of the head are that server's. A request of HTTP/2 or HTTP/3 is a plain one:
    /// [`UpgradeRequest::from_extended_connect`] is for what is in the place of an upgrade there.
    ///
    /// # Errors
    ///
    /// The rule that the request breaks, which becomes an answer with `http::Response::from`.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use framewright::handshake::{Acceptance, OriginPolicy, Request};
    /// use framewright::{Connection, HandshakeError, SendError};
    /// use std::sync::Arc;
    ///
    /// /// The answer, and the connection to drive once the transport was handed over.
    /// fn answer<B>(
    ///     request: &http::Request<B>,
    /// ) -> Result<(http::Response<Bytes>, Option<Connection>), SendError> {
    ///     let upgrade = match Request::from_http(request) {
    ///         Ok(Request::Upgrade(upgrade)) => upgrade,
    ///         Ok(Request::Plain(_)) => return Ok((HandshakeError::NotAnUpgrade.into(), None)),
    ///         Err(error) => return Ok((error.into(), None)),
    ///     };
    ///     if !upgrade.origin_is_allowed(&OriginPolicy::SameOrigin) {
    ///         return Ok((HandshakeError::OriginForbidden.into(), None));
    ///     }
    ///     let (response, connection) = upgrade.accept_http(Acceptance::new(), Arc::default())?;
    ///     Ok((response.map(|()| Bytes::new()), Some(connection)))
    /// }
    /// # let plain = http::Request::get("/").header("host", "h").body(())?;
    /// # assert_eq!(answer(&plain)?.0.status(), 426);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_http<B>(request: &http::Request<B>) -> Result<Self, HandshakeError> {
        Self::judge(HttpHead::of(request).parse()?)
    }

    /// Judges the head of a request, as [`from_http`](Self::from_http) does.
    ///
    /// # Errors
    ///
    /// Likewise.
    pub fn from_http_parts(parts: &http::request::Parts) -> Result<Self, HandshakeError> {
        Self::judge(HttpHead::of_parts(parts).parse()?)
    }
}

impl UpgradeRequest {
    /// Judges an extended CONNECT of HTTP/2 or HTTP/3 whose `:protocol` is `websocket`, which only
    /// the server that received it can tell.
    ///
    /// It is accepted with [`accept_http`](Self::accept_http), and the frames go in the stream of
    /// the request, masked as ever.
    ///
    /// # Errors
    ///
    /// The rule that the request breaks; [`NotAnUpgrade`](HandshakeError::NotAnUpgrade) for another
    /// method, or an earlier version of HTTP.
    pub fn from_extended_connect<B>(request: &http::Request<B>) -> Result<Self, HandshakeError> {
        HttpHead::of(request).judge_extended_connect()
    }

    /// Judges the head of an extended CONNECT, as
    /// [`from_extended_connect`](Self::from_extended_connect) does.
    ///
    /// # Errors
    ///
    /// Likewise.
    pub fn from_extended_connect_parts(
        parts: &http::request::Parts,
    ) -> Result<Self, HandshakeError> {
        HttpHead::of_parts(parts).judge_extended_connect()
    }

    /// Accepts: returns the answer, 101 or that of an extended CONNECT, and the connection, which
    /// is open once the answer is sent.
    ///
    /// # Errors
    ///
    /// [`SubprotocolNotOffered`](SendError::SubprotocolNotOffered) if the acceptance chose what the
    /// client did not offer, and the error of a header line that cannot be written.
    pub fn accept_http(
        self,
        acceptance: Acceptance<'_>,
        config: Arc<Config>,
    ) -> Result<(http::Response<()>, Connection), SendError> {
        let agreement = self.agree(acceptance)?;
        let mut response = http::Response::new(());
        *response.status_mut() = if self.is_extended_connect() {
            // RFC 8441, section 5: "the server responds with a 2xx".
            StatusCode::OK
        } else {
            StatusCode::SWITCHING_PROTOCOLS
        };
        let accept = agreement.accept();
        let lines = agreement.lines(accept.as_ref());
        *response.headers_mut() = header_map(lines).map_err(|error| {
            if error.is::<MaxSizeReached>() {
                SendError::TooManyHeaders
            } else if error.is::<InvalidHeaderName>() {
                SendError::HeaderNameInvalid
            } else {
                SendError::HeaderValueInvalid
            }
        })?;
        Ok((response, agreement.into_connection(config)))
    }

    /// Rejects: returns an answer, which is that of the conversion, and of an extended CONNECT goes
    /// without a Connection line.
    ///
    /// # Errors
    ///
    /// That of a header line which the map cannot hold.
    pub fn reject_http(self, response: &Response) -> Result<http::Response<Bytes>, http::Error> {
        let mut response = http::Response::try_from(response)?;
        // RFC 9113, section 8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing
        // connection-specific header fields."
        if self.is_extended_connect() {
            response.headers_mut().remove(http::header::CONNECTION);
            response.headers_mut().remove(http::header::UPGRADE);
        }
        Ok(response)
    }
}

/// The head of a request, wherever it stands.
struct HttpHead<'a> {
    method: &'a Method,
    uri: &'a http::Uri,
    version: http::Version,
    headers: &'a HeaderMap,
}

impl<'a> HttpHead<'a> {
    fn of<B>(request: &'a http::Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
        }
    }

    fn of_parts(parts: &'a http::request::Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            version: parts.version,
            headers: &parts.headers,
        }
    }

    fn parse(&self) -> Result<RequestHead, HandshakeError> {
        let version = match self.version {
            http::Version::HTTP_10 => Version::Http10,
            http::Version::HTTP_11 => Version::Http11,
            http::Version::HTTP_2 | http::Version::HTTP_3 => Version::Later,
            _ => return Err(HandshakeError::HttpVersionUnsupported),
        };
        let target = match (version, self.uri.path_and_query()) {
            // RFC 9113, section 8.3.1: scheme and authority have pseudo-headers of their own.
            (Version::Later, Some(path)) => path.to_string(),
            _ => self.uri.to_string(),
        };
        let lines = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        RequestHead::from_parts(self.method.as_str(), &target, version, lines)
    }

    fn judge_extended_connect(&self) -> Result<UpgradeRequest, HandshakeError> {
        let authority = self.uri.authority();
        let host = authority.map_or_else(String::new, ToString::to_string);
        let request = UpgradeRequest::judge_extended_connect(self.parse()?, host)?;
        // RFC 8441, section 4: "the :scheme and :path pseudo-header fields of the target URI MUST
        // also be included."
        match self.uri.scheme_str() {
            Some("http" | "https") => Ok(request),
            Some(_) | None => Err(HandshakeError::TargetInvalid),
        }
    }
}

/// The request as it came; of an extended CONNECT the target is the path alone.
impl TryFrom<&UpgradeRequest> for http::Request<()> {
    type Error = http::Error;

    fn try_from(request: &UpgradeRequest) -> Result<Self, http::Error> {
        http_request(request.head())
    }
}

/// The request as it came, without a body.
impl TryFrom<&PlainRequest> for http::Request<()> {
    type Error = http::Error;

    fn try_from(request: &PlainRequest) -> Result<Self, http::Error> {
        http_request(request.head())
    }
}

fn http_request(head: &RequestHead) -> Result<http::Request<()>, http::Error> {
    let mut request = http::Request::new(());
    *request.method_mut() = head.method().parse()?;
    *request.uri_mut() = head.target().parse()?;
    *request.version_mut() = match head.version {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http11 => http::Version::HTTP_11,
        Version::Later => http::Version::HTTP_2,
    };
    *request.headers_mut() = header_map(head.headers().iter())?;
    Ok(request)
}

// -- A server: answers ----------------------------------------------------------------------------

/// The answer with `Connection: close`, which makes an HTTP/1.1 server close behind it, and without
/// Content-Length, which that server writes. It also leaves out the body where the request was
/// HEAD.
impl TryFrom<&Response> for http::Response<Bytes> {
    type Error = http::Error;

    fn try_from(response: &Response) -> Result<Self, http::Error> {
        let connection = ("connection", response.connection().as_bytes());
        let headers = response.headers().iter();
        let headers = headers.map(|line| (line.name(), line.value()));
        let mut converted = Self::new(response.content());
        *converted.status_mut() = StatusCode::from_u16(response.status())?;
        *converted.headers_mut() = header_map(core::iter::once(connection).chain(headers))?;
        Ok(converted)
    }
}

/// The lines that say where the body ends, and whether the connection closes, are left out: the
/// answer has its own.
impl<B: Into<Bytes>> TryFrom<http::Response<B>> for Response {
    type Error = SendError;

    fn try_from(response: http::Response<B>) -> Result<Self, SendError> {
        let (parts, body) = response.into_parts();
        parts
            .headers
            .iter()
            .filter(|(name, _)| !RESERVED.contains(&name.as_str()))
            .try_fold(
                Self::new(parts.status.as_u16())?.body(body),
                |response, (name, value)| response.header(name.as_str(), value),
            )
    }
}

/// The answer that a server owes, as [`HandshakeError::response`] has it; where it owes none,
/// because the error is one of a client or of the transport, 500 without a word.
impl From<&HandshakeError> for http::Response<Bytes> {
    fn from(error: &HandshakeError) -> Self {
        let own = Response::with_status(500);
        let response = error.response().unwrap_or(own);
        Self::try_from(&response).unwrap_or_else(|_| {
            debug_assert!(false, "the lines of our own answers are valid");
            let mut response = Self::default();
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}

/// As that of a reference.
impl From<HandshakeError> for http::Response<Bytes> {
    fn from(error: HandshakeError) -> Self {
        Self::from(&error)
    }
}

// -- A client -------------------------------------------------------------------------------------

/// What the request says that the handshake says itself is left out: Host, Upgrade, Connection,
/// Sec-WebSocket-Version and Sec-WebSocket-Key, whose value is new for each connection. Where one
/// of the others says something else than the handshake does, as a Host that is not the URI's, it
/// is [`HeaderReserved`](SendError::HeaderReserved), and so are extensions: they are offered with
/// `ClientRequest::deflate`. Subprotocols are those of Sec-WebSocket-Protocol.
///
/// ```
/// use framewright::handshake::ClientRequest;
///
/// // As other clients want it.
/// let request = http::Request::get("ws://example.com/chat")
///     .header("Host", "example.com")
///     .header("Upgrade", "websocket")
///     .header("Connection", "Upgrade")
///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .header("Sec-WebSocket-Version", "13")
///     .header("Sec-WebSocket-Protocol", "chat.v2, chat.v1")
///     .header("Authorization", "Bearer 0123")
///     .body(())?;
/// let request = ClientRequest::try_from(request)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl TryFrom<&http::Request<()>> for ClientRequest {
    type Error = SendError;

    fn try_from(request: &http::Request<()>) -> Result<Self, SendError> {
        if request.method() != Method::GET {
            return Err(SendError::MethodNotGet);
        }
        let mut converted = Self::from_uri(request.uri().try_into()?);
        for (name, value) in request.headers() {
            let is_own = match name.as_str() {
                "host" => is_host_of(converted.uri(), value.as_bytes()),
                "upgrade" => has_token(value.as_bytes(), b"websocket"),
                "connection" => has_token(value.as_bytes(), b"upgrade"),
                "sec-websocket-version" => value == "13",
                "sec-websocket-key" => true,
                "sec-websocket-protocol" => {
                    converted = value
                        .to_str()
                        .map_err(|_| SendError::SubprotocolInvalid)?
                        .split(',')
                        .map(str::trim)
                        // RFC 9110, section 5.6.1: empty elements of a list do not count.
                        .filter(|subprotocol| !subprotocol.is_empty())
                        .try_fold(converted, Self::subprotocol)?;
                    true
                }
                _ => {
                    converted = converted.header(name.as_str(), value)?;
                    true
                }
            };
            if !is_own {
                return Err(SendError::HeaderReserved);
            }
        }
        Ok(converted)
    }
}

/// As that of a reference.
impl TryFrom<http::Request<()>> for ClientRequest {
    type Error = SendError;

    fn try_from(request: http::Request<()>) -> Result<Self, SendError> {
        Self::try_from(&request)
    }
}

fn is_host_of(uri: &Uri, host: &[u8]) -> bool {
    let host = core::str::from_utf8(host).ok().map(parse_authority);
    let default_port = if uri.is_secure() { 443 } else { 80 };
    host.and_then(Result::ok).is_some_and(|(host, port)| {
        host == uri.host() && port.unwrap_or(default_port) == uri.port()
    })
}

fn has_token(value: &[u8], token: &[u8]) -> bool {
    value
        .split(|&byte| byte == b',')
        .any(|element| element.trim_ascii().eq_ignore_ascii_case(token))
}

impl TryFrom<&http::Uri> for Uri {
    type Error = SendError;

    fn try_from(uri: &http::Uri) -> Result<Self, SendError> {
        uri.to_string().parse()
    }
}

impl TryFrom<http::Uri> for Uri {
    type Error = SendError;

    fn try_from(uri: http::Uri) -> Result<Self, SendError> {
        Self::try_from(&uri)
    }
}

impl TryFrom<&Uri> for http::Uri {
    type Error = http::Error;

    fn try_from(uri: &Uri) -> Result<Self, http::Error> {
        Ok(uri.to_string().parse()?)
    }
}

/// The 101 answer.
impl TryFrom<&UpgradeResponse> for http::Response<()> {
    type Error = http::Error;

    fn try_from(response: &UpgradeResponse) -> Result<Self, http::Error> {
        let mut converted = Self::new(());
        *converted.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *converted.headers_mut() = response.headers().try_into()?;
        Ok(converted)
    }
}

/// The answer with its header lines as they came, and as much of its body as was kept.
impl TryFrom<&RefusedResponse> for http::Response<Bytes> {
    type Error = http::Error;

    fn try_from(refused: &RefusedResponse) -> Result<Self, http::Error> {
        let lines = refused.headers.iter();
        let lines = lines.map(|(name, value)| (name.as_str(), &**value));
        let mut converted = Self::new(refused.body.clone());
        *converted.status_mut() = StatusCode::from_u16(refused.status)?;
        *converted.headers_mut() = header_map(lines)?;
        Ok(converted)
    }
}

// -- Both -----------------------------------------------------------------------------------------

impl TryFrom<&Headers> for HeaderMap {
    type Error = http::Error;

    fn try_from(headers: &Headers) -> Result<Self, http::Error> {
        header_map(headers.iter())
    }
}

fn header_map<'a>(
    lines: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<HeaderMap, http::Error> {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        map.try_append(name, HeaderValue::from_bytes(value)?)?;
    }
    Ok(map)
}
