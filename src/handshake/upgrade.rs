//! A request for the WebSocket protocol, and its acceptance.
//!
//! The MUSTs of section 4.2, one check a line, on a head that was parsed from bytes or by another
//! HTTP implementation. The HTTP answer that each failure earns is `refusal`'s.
//!
//! RFC 6455, sections 4.2.1 and 4.2.2; RFC 8441, section 5.

use std::sync::Arc;

use super::RESERVED;
#[cfg(feature = "http")]
use super::authority::Authority;
use super::head::{HeaderLine, RequestHead, Text, Version, is_token, write_header};
use super::headers::{Field, Headers};
#[cfg(feature = "http")]
use super::key::accept_key;
use super::key::{append_accept_key, is_key};
use super::origin::OriginPolicy;
use super::response::{Response, WithBody};
use super::target::resource_name_of;
use crate::connection::{Config, Connection, SendBuffer};
use crate::error::{HandshakeError, SendError};
#[cfg(feature = "deflate")]
use crate::extension::DeflateConfig;
use crate::extension::{self, Extension, ExtensionOffer, Extensions};

/// A request for the WebSocket protocol that follows every rule of section 4.2.1.
///
/// The application looks at it, and then [accepts](Self::accept) or [rejects](Self::reject) it.
#[derive(Debug)]
pub struct UpgradeRequest {
    head: RequestHead,
    host: Text,
    resource_name: Text,
}

impl UpgradeRequest {
    /// Judges a request of HTTP/1.1 that was sent to `host`.
    pub(super) fn judge(head: RequestHead, host: Text) -> Result<Self, HandshakeError> {
        let headers = head.headers();
        // 4.2.1 item 1: "An HTTP/1.1 or higher GET request".
        if !head.has_method("GET") {
            return Err(HandshakeError::MethodNotGet);
        }
        // 4.2.1 item 1: "including a "Request-URI" that should be interpreted as a /resource
        // name/", or "an absolute HTTP/HTTPS URI containing the /resource name/".
        let resource_name = resource_name_of(&head).ok_or(HandshakeError::TargetInvalid)?;
        // 4.2.1 item 2: "A |Host| header field containing the server's authority."
        if matches!(head.bytes(&host), [] | [b':', ..]) {
            return Err(HandshakeError::HostInvalid);
        }
        // 4.2.1 item 4: "A |Connection| header field that includes the token "Upgrade"".
        if !headers.of(Field::Connection).has_token(b"upgrade") {
            return Err(HandshakeError::ConnectionNotUpgrade);
        }
        // 4.2.1 item 5, and 11.3.1: "MUST NOT appear more than once in an HTTP request".
        if !headers.of(Field::Key).single().is_some_and(is_key) {
            return Err(HandshakeError::KeyInvalid);
        }
        judge_rest(headers)?;
        Ok(Self {
            head,
            host,
            resource_name,
        })
    }

    /// Judges an extended CONNECT for the WebSocket protocol, with a path for its target.
    ///
    /// RFC 8441, section 5: of the header lines those of the upgrade itself and of the key are not
    /// used, the others are.
    #[cfg(feature = "http")]
    pub(super) fn judge_extended_connect(
        head: RequestHead,
        host: String,
    ) -> Result<Self, HandshakeError> {
        if head.version != Version::Later || !head.has_method("CONNECT") {
            return Err(HandshakeError::NotAnUpgrade);
        }
        if !head.has_origin_form() {
            return Err(HandshakeError::TargetInvalid);
        }
        let resource_name = head.note(head.target_bytes());
        let is_host =
            Authority::parse(host.as_bytes()).is_some_and(|authority| !authority.host.is_empty());
        if !is_host {
            return Err(HandshakeError::HostInvalid);
        }
        judge_rest(head.headers())?;
        Ok(Self {
            head,
            host: Text::Own(host),
            resource_name,
        })
    }

    /// Accepts: appends the 101 answer to `output` and opens the connection.
    ///
    /// # Errors
    ///
    /// [`SubprotocolNotOffered`](SendError::SubprotocolNotOffered) if the acceptance chose what the
    /// client did not offer, the error of a header line that cannot be written, and
    /// [`AnswerNotHttp1`](SendError::AnswerNotHttp1) of an extended CONNECT; nothing is appended
    /// then.
    pub fn accept(
        self,
        acceptance: Acceptance<'_>,
        config: Arc<Config>,
        output: &mut SendBuffer,
    ) -> Result<Connection, SendError> {
        // RFC 8441, section 5: the answer is no 101, and is not in HTTP/1.1.
        if self.is_extended_connect() {
            return Err(SendError::AnswerNotHttp1);
        }
        let agreement = self.agree(acceptance)?;
        agreement.write(output.tail());
        #[cfg(feature = "tracing")]
        tracing::debug!("upgrade accepted");
        Ok(agreement.into_connection(config))
    }

    /// Rejects: appends an HTTP answer to `output`, after which the transport closes.
    pub fn reject(self, response: &Response, output: &mut SendBuffer) {
        #[cfg(feature = "tracing")]
        tracing::debug!(status = response.status(), "upgrade rejected");
        response.write(WithBody::Yes, output);
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
        policy.allows(self.headers(), self.host())
    }

    /// Returns the resource name: the path and query that are asked for (3).
    pub fn resource_name(&self) -> &str {
        self.head.text(&self.resource_name)
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
        self.head.text(&self.host)
    }

    /// Returns all header lines.
    pub const fn headers(&self) -> &Headers {
        self.head.headers()
    }

    /// Returns the Origin: the page that asks, if a browser does.
    pub fn origin(&self) -> Option<&str> {
        text(self.headers().of(Field::Origin).single()?)
    }

    /// Returns the subprotocols that the client offers, its favourite first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.headers().of(Field::Protocol).list().filter_map(text)
    }

    /// Returns the extensions that the client offers, its favourite first.
    pub fn extensions(&self) -> Vec<ExtensionOffer> {
        // The request would not exist had they not parsed.
        extension::parse_offers(self.headers().of(Field::Extensions)).unwrap_or_default()
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

    /// Makes out what an acceptance comes to with this request.
    pub(super) fn agree<'a>(
        &'a self,
        acceptance: Acceptance<'a>,
    ) -> Result<Agreement<'a>, SendError> {
        if let Some(subprotocol) = acceptance.subprotocol
            && !self.subprotocols().any(|offered| offered == subprotocol)
        {
            return Err(SendError::SubprotocolNotOffered);
        }
        let headers = acceptance.headers?;
        let (answer, extension) = acceptance.extensions.accept(|| self.extensions()).unzip();
        Ok(Agreement {
            key: self.key(),
            subprotocol: acceptance.subprotocol,
            answer,
            extension,
            headers,
        })
    }

    /// Whether the request is an extended CONNECT, of HTTP/2 or later.
    pub(super) const fn is_extended_connect(&self) -> bool {
        match self.head.version {
            Version::Http10 | Version::Http11 => false,
            #[cfg(feature = "http")]
            Version::Later => true,
        }
    }

    /// Returns the key; `None` of an extended CONNECT, which has none.
    fn key(&self) -> Option<&[u8]> {
        if self.is_extended_connect() {
            return None;
        }
        self.headers().of(Field::Key).single()
    }

    #[cfg(feature = "http")]
    pub(super) const fn head(&self) -> &RequestHead {
        &self.head
    }
}

/// What a server adds to the answer that accepts.
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
    #[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io"))]
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

/// What a server and a client agreed on, and how the answer says it.
#[derive(Debug)]
pub(super) struct Agreement<'a> {
    /// The key, hashed where the answer is written, so that a rejected request costs no hash;
    /// `None` of an extended CONNECT.
    key: Option<&'a [u8]>,
    subprotocol: Option<&'a str>,
    /// The value of Sec-WebSocket-Extensions.
    answer: Option<String>,
    extension: Option<Box<dyn Extension>>,
    headers: Vec<HeaderLine>,
}

impl Agreement<'_> {
    /// Appends the 101 answer to `output`.
    fn write(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\n\
              Upgrade: websocket\r\n\
              Connection: Upgrade\r\n",
        );
        if let Some(key) = self.key {
            output.extend_from_slice(ACCEPT.as_bytes());
            output.extend_from_slice(b": ");
            append_accept_key(key, output);
            output.extend_from_slice(b"\r\n");
        }
        for (name, value) in self.further_lines() {
            write_header(name, value, output);
        }
        output.extend_from_slice(b"\r\n");
    }

    /// Returns the answer to the key.
    #[cfg(feature = "http")]
    pub(super) fn accept(&self) -> Option<[u8; 28]> {
        self.key.map(accept_key)
    }

    /// Returns the header lines of the answer; `accept` is what [`accept`](Self::accept) returned.
    #[cfg(feature = "http")]
    pub(super) fn lines<'l>(
        &'l self,
        accept: Option<&'l [u8; 28]>,
    ) -> impl Iterator<Item = (&'l str, &'l [u8])> {
        let upgrade = accept.into_iter().flat_map(|accept| {
            [
                ("Upgrade", &b"websocket"[..]),
                ("Connection", b"Upgrade"),
                (ACCEPT, accept),
            ]
        });
        upgrade.chain(self.further_lines())
    }

    /// Returns the header lines behind those of the upgrade itself.
    fn further_lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let subprotocol = self
            .subprotocol
            .map(|subprotocol| ("Sec-WebSocket-Protocol", subprotocol.as_bytes()));
        let extensions = self
            .answer
            .as_ref()
            .map(|answer| ("Sec-WebSocket-Extensions", answer.as_bytes()));
        let headers = self.headers.iter().map(|line| (line.name(), line.value()));
        subprotocol.into_iter().chain(extensions).chain(headers)
    }

    /// Opens the connection.
    pub(super) fn into_connection(self, config: Arc<Config>) -> Connection {
        let mut connection = Connection::server(config);
        connection.set_extension(self.extension);
        connection
    }
}

/// Judges the lines that HTTP/1.1 and an extended CONNECT have in common.
fn judge_rest(headers: &Headers) -> Result<(), HandshakeError> {
    // 4.2.1 item 6: "A |Sec-WebSocket-Version| header field, with a value of 13."
    if headers.of(Field::Version).single() != Some(b"13") {
        return Err(HandshakeError::VersionUnsupported);
    }
    // RFC 9110, section 7.8: a body would be read before the protocol switches, and what one
    // reader takes for a body another takes for frames.
    if headers.of(Field::TransferEncoding).next().is_some()
        || headers.of(Field::ContentLength).any(|len| len != b"0")
    {
        return Err(HandshakeError::BodyUnexpected);
    }
    judge_subprotocols(headers)?;
    extension::judge_offers(headers.of(Field::Extensions))
}

/// 4.1 item 10: "The elements that comprise this value MUST be non-empty strings with characters
/// in the range U+0021 to U+007E not including separator characters [...] and MUST all be unique
/// strings."
fn judge_subprotocols(headers: &Headers) -> Result<(), HandshakeError> {
    if headers.of(Field::Protocol).next().is_none() {
        return Ok(());
    }
    let mut seen: [&[u8]; MAX_SUBPROTOCOLS] = [&[]; MAX_SUBPROTOCOLS];
    for (index, subprotocol) in headers.of(Field::Protocol).list().enumerate() {
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

const ACCEPT: &str = "Sec-WebSocket-Accept";

/// More are not offered by anybody; each costs a comparison with every other.
const MAX_SUBPROTOCOLS: usize = 64;
