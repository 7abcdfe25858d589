//! The server's side of the opening handshake.
//!
//! The MUSTs of section 4.2, one check a line, and the HTTP answer that each failure earns. It
//! knows nothing of sockets and frames.
//!
//! RFC 6455, section 4.2.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::authority::Authority;
use super::head::{
    HeadKind, HeadScanner, HeaderLine, Headers, RequestHead, is_token, write_header,
};
use super::key::{accept_key, is_key};
use super::origin::OriginPolicy;
use super::response::{Response, WithBody};
use super::{Patience, RESERVED};
use crate::connection::{Config, Connection, RecvBuffer, Role, SendBuffer};
use crate::error::{HandshakeError, SendError};
#[cfg(feature = "deflate")]
use crate::extension::DeflateConfig;
use crate::extension::{self, ExtensionOffer, Extensions};

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
    /// Something else: a health check, a page. The default answer is 426.
    Plain(PlainRequest),
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
        self.patience.set_now(&self.config, now);
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
        self.patience
            .judge(now)
            .map_err(|error| self.failed.get_or_insert(error).clone())
    }

    /// Returns the moment at which [`handle_timeout`](Self::handle_timeout) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.patience.deadline
    }

    fn receive_request(
        &mut self,
        input: &mut RecvBuffer,
    ) -> Result<Option<Request>, HandshakeError> {
        let Some(len) = self
            .scanner
            .scan(HeadKind::Request, &self.config, input.unread())?
        else {
            return Ok(None);
        };
        let head = RequestHead::parse(&self.scanner, &input.unread()[..len])?;
        input.consume_head(len);
        self.scanner = HeadScanner::default();
        let host = host(&head)?;
        // 4.2.1 item 3. A client that does not ask for the upgrade breaks no rule.
        if head.is_http_1_0 || !head.headers().has_token("upgrade", "websocket") {
            return Ok(Some(Request::Plain(PlainRequest { head })));
        }
        UpgradeRequest::judge(head, host).map(|request| Some(Request::Upgrade(request)))
    }
}

/// A request for the WebSocket protocol that follows every rule of section 4.2.1.
///
/// The application looks at it, and then [accepts](Self::accept) or [rejects](Self::reject) it.
#[derive(Debug)]
pub struct UpgradeRequest {
    head: RequestHead,
    host: String,
    resource_name: String,
    accept: [u8; 28],
}

impl UpgradeRequest {
    fn judge(head: RequestHead, host: String) -> Result<Self, HandshakeError> {
        let headers = head.headers();
        // 4.2.1 item 1: "An HTTP/1.1 or higher GET request".
        if head.method() != "GET" {
            return Err(HandshakeError::MethodNotGet);
        }
        // 4.2.1 item 1: "including a "Request-URI" that should be interpreted as a /resource name/",
        // or "an absolute HTTP/HTTPS URI containing the /resource name/".
        let resource_name = resource_name_of(head.target()).ok_or(HandshakeError::TargetInvalid)?;
        // 4.2.1 item 2: "A |Host| header field containing the server's authority."
        if host.is_empty() || host.starts_with(':') {
            return Err(HandshakeError::HostInvalid);
        }
        // 4.2.1 item 4: "A |Connection| header field that includes the token "Upgrade"".
        if !headers.has_token("connection", "upgrade") {
            return Err(HandshakeError::ConnectionNotUpgrade);
        }
        // 4.2.1 item 5, and 11.3.1: "MUST NOT appear more than once in an HTTP request".
        let key = headers
            .single("sec-websocket-key")
            .filter(|key| is_key(key))
            .ok_or(HandshakeError::KeyInvalid)?;
        let accept = accept_key(key);
        // 4.2.1 item 6: "A |Sec-WebSocket-Version| header field, with a value of 13."
        if headers.single("sec-websocket-version") != Some(b"13") {
            return Err(HandshakeError::VersionUnsupported);
        }
        // RFC 9110, section 7.8: a body would be read before the protocol switches, and what one
        // reader takes for a body another takes for frames.
        if headers.first("transfer-encoding").is_some()
            || headers.values("content-length").any(|len| len != b"0")
        {
            return Err(HandshakeError::BodyUnexpected);
        }
        judge_subprotocols(headers)?;
        extension::parse_offers(headers.values("sec-websocket-extensions"))?;
        let resource_name = resource_name.into_owned();
        Ok(Self {
            head,
            host,
            resource_name,
            accept,
        })
    }

    /// Accepts: appends the 101 answer to `output` and opens the connection.
    ///
    /// # Errors
    ///
    /// [`SubprotocolNotOffered`](SendError::SubprotocolNotOffered) if the acceptance chose what the
    /// client did not offer, and the error of a header line that cannot be written; nothing is
    /// appended then.
    pub fn accept(
        self,
        acceptance: Acceptance<'_>,
        config: Arc<Config>,
        output: &mut SendBuffer,
    ) -> Result<Connection, SendError> {
        if let Some(subprotocol) = acceptance.subprotocol
            && !self.subprotocols().any(|offered| offered == subprotocol)
        {
            return Err(SendError::SubprotocolNotOffered);
        }
        let headers = acceptance.headers?;
        let accepted = acceptance.extensions.accept(|| self.extensions());
        let output = output.tail();
        output.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        write_header("Sec-WebSocket-Accept", &self.accept, output);
        if let Some(subprotocol) = acceptance.subprotocol {
            write_header("Sec-WebSocket-Protocol", subprotocol.as_bytes(), output);
        }
        let extension = accepted.map(|(answer, extension)| {
            write_header("Sec-WebSocket-Extensions", answer.as_bytes(), output);
            extension
        });
        for header in &headers {
            header.write(output);
        }
        output.extend_from_slice(b"\r\n");
        let mut connection = Connection::new(Role::Server, config);
        connection.set_extension(extension);
        Ok(connection)
    }

    /// Rejects: appends an HTTP answer to `output`, after which the transport closes.
    pub fn reject(self, response: &Response, output: &mut SendBuffer) {
        response.write(WithBody::Yes, &[], output);
    }

    /// Whether an origin policy lets the page that asks connect.
    ///
    /// ```
    /// # use framewright::handshake::{OriginPolicy, UpgradeRequest};
    /// # use framewright::{HandshakeError, SendBuffer};
    /// # fn judge(request: UpgradeRequest, output: &mut SendBuffer) {
    /// if !request.origin_is_allowed(&OriginPolicy::SameOrigin) {
    ///     HandshakeError::OriginForbidden.respond(output); // 403
    /// }
    /// # }
    /// ```
    pub fn origin_is_allowed(&self, policy: &OriginPolicy) -> bool {
        policy.allows(self.headers(), &self.host)
    }

    /// Returns the resource name: the path and query that are asked for (3).
    pub fn resource_name(&self) -> &str {
        &self.resource_name
    }

    /// Returns the path of the resource name.
    pub fn path(&self) -> &str {
        self.resource_name().split('?').next().unwrap_or("/")
    }

    /// Returns the query of the resource name, without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.resource_name().split_once('?').map(|(_, query)| query)
    }

    /// Returns the host, and the port if one is named, that the request was sent to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns all header lines.
    pub const fn headers(&self) -> &Headers {
        self.head.headers()
    }

    /// Returns the Origin: the page that asks, if a browser does.
    pub fn origin(&self) -> Option<&str> {
        text(self.headers().single("origin")?)
    }

    /// Returns the subprotocols that the client offers, its favourite first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.headers()
            .list("sec-websocket-protocol")
            .filter_map(text)
    }

    /// Returns the extensions that the client offers, its favourite first.
    pub fn extensions(&self) -> Vec<ExtensionOffer> {
        // The request would not exist had they not parsed.
        extension::parse_offers(self.headers().values("sec-websocket-extensions"))
            .unwrap_or_default()
    }

    /// Returns the value of a cookie (RFC 6265, section 5.4).
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.headers()
            .values("cookie")
            .filter_map(text)
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.split_once('='))
            .find(|(cookie, _)| cookie.trim() == name)
            .map(|(_, value)| value.trim())
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
            "HEAD" => WithBody::No,
            _ => WithBody::Yes,
        };
        response.write(with_body, &[], output);
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
}

/// What a server adds to its 101 answer.
#[derive(Debug, Clone)]
pub struct Acceptance<'a> {
    subprotocol: Option<&'a str>,
    extensions: Extensions,
    headers: Result<Vec<HeaderLine>, SendError>,
}

impl<'a> Acceptance<'a> {
    /// Accepts without a subprotocol or header lines.
    pub const fn new() -> Self {
        Self {
            subprotocol: None,
            extensions: Extensions::none(),
            headers: Ok(Vec::new()),
        }
    }

    /// Accepts permessage-deflate too, if the client offers it with parameters that can be met.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.extensions.deflate = Some(config);
        self
    }

    /// Chooses a subprotocol, which must be one that the client offers.
    #[must_use]
    pub const fn subprotocol(mut self, subprotocol: &'a str) -> Self {
        self.subprotocol = Some(subprotocol);
        self
    }

    /// Returns the subprotocol that was chosen.
    #[cfg(feature = "blocking")]
    pub(crate) const fn chosen(&self) -> Option<&'a str> {
        self.subprotocol
    }

    /// Adds a header line; one that cannot be written is an error of
    /// [`UpgradeRequest::accept`].
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Ok(headers) = &mut self.headers {
            match HeaderLine::new(name, value.as_ref(), &RESERVED) {
                Ok(line) => headers.push(line),
                Err(error) => self.headers = Err(error),
            }
        }
        self
    }
}

impl Default for Acceptance<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl HandshakeError {
    /// Returns the HTTP status that a server answers with; `None` where it owes no answer, because
    /// the error is a client's or the transport has ended.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::HeadMalformed
            | Self::HostInvalid
            | Self::TargetInvalid
            | Self::BodyUnexpected
            | Self::ConnectionNotUpgrade
            | Self::KeyInvalid
            | Self::SubprotocolsInvalid
            | Self::ExtensionsInvalid => Some(400),
            Self::OriginForbidden => Some(403),
            Self::MethodNotGet => Some(405),
            Self::TimedOut => Some(408),
            Self::RequestLineTooLong => Some(414),
            Self::NotAnUpgrade | Self::VersionUnsupported => Some(426),
            Self::HeadTooLong | Self::TooManyHeaders => Some(431),
            Self::HttpVersionUnsupported => Some(505),
            Self::Refused(_)
            | Self::UpgradeMismatch
            | Self::AcceptMismatch
            | Self::ExtensionNotOffered
            | Self::ExtensionParametersInvalid
            | Self::SubprotocolNotOffered
            | Self::TooManyInterimResponses
            | Self::EndOfStream => None,
        }
    }

    /// Appends the HTTP answer that a server owes, if it owes one; the transport closes after it.
    pub fn respond(&self, output: &mut SendBuffer) {
        let Some(status) = self.status() else { return };
        let own: &[(&str, &str)] = match self {
            // RFC 9110, section 15.5.6: "The origin server MUST generate an Allow header field in a
            // 405 response".
            Self::MethodNotGet => &[("Allow", "GET")],
            // RFC 9110, section 15.5.22: a 426 says which protocol it wants.
            Self::NotAnUpgrade => &[("Upgrade", "websocket")],
            // 4.2.2 item 4: "include a |Sec-WebSocket-Version| header field indicating the
            // version(s) the server is capable of understanding".
            Self::VersionUnsupported => {
                &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
            }
            _ => &[],
        };
        let mut response = Response::with_status(status).body(format!("{self}\n"));
        if let Ok(typed) = response
            .clone()
            .header("Content-Type", "text/plain; charset=utf-8")
        {
            response = typed;
        }
        response.write(WithBody::Yes, own, output);
    }
}

/// Returns the host that a request was sent to.
///
/// RFC 9112, section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any
/// HTTP/1.1 request message that lacks a Host header field and to any request message that
/// contains more than one Host header field line or a Host header field with an invalid field
/// value."
fn host(head: &RequestHead) -> Result<String, HandshakeError> {
    if head.is_http_1_0 && head.headers().first("host").is_none() {
        return Ok(String::new());
    }
    let host = head
        .headers()
        .single("host")
        .and_then(text)
        .filter(|host| Authority::parse(host).is_some())
        .ok_or(HandshakeError::HostInvalid)?;
    // RFC 9112, section 3.2.2: the host of a target in absolute form takes the place of Host.
    match split_absolute(head.target()) {
        None => Ok(host.to_owned()),
        Some((authority, _)) if Authority::parse(authority).is_some() => Ok(authority.to_owned()),
        Some(_) => Err(HandshakeError::HostInvalid),
    }
}

/// Returns the path and query of a request target in origin or absolute form.
fn resource_name_of(target: &str) -> Option<Cow<'_, str>> {
    if target.contains('#') {
        return None;
    }
    if target.starts_with('/') {
        return Some(Cow::Borrowed(target));
    }
    let (_, resource) = split_absolute(target)?;
    Some(if resource.starts_with('/') {
        Cow::Borrowed(resource)
    } else {
        // 3: "if the path component is empty", it is "/".
        Cow::Owned(format!("/{resource}"))
    })
}

/// Splits a request target in absolute form where its authority ends.
fn split_absolute(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    is_http.then(|| rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}

/// 4.1 item 10: "The elements that comprise this value MUST be non-empty strings with characters
/// in the range U+0021 to U+007E not including separator characters [...] and MUST all be unique
/// strings."
fn judge_subprotocols(headers: &Headers) -> Result<(), HandshakeError> {
    let mut seen: [&[u8]; MAX_SUBPROTOCOLS] = [&[]; MAX_SUBPROTOCOLS];
    for (index, subprotocol) in headers.list("sec-websocket-protocol").enumerate() {
        let Some(place) = seen.get_mut(index) else {
            return Err(HandshakeError::SubprotocolsInvalid);
        };
        *place = subprotocol;
        if !is_token(subprotocol) || seen[..index].contains(&subprotocol) {
            return Err(HandshakeError::SubprotocolsInvalid);
        }
    }
    Ok(())
}

fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(value).ok()
}

/// More are not offered by anybody; each costs a comparison with every other.
const MAX_SUBPROTOCOLS: usize = 64;
