//! What a client asks for.
//!
//! A URI, subprotocols, extensions and header lines, each of them safe to write. When it is
//! written, and what the answer must be, is `client`'s.
//!
//! RFC 6455, section 4.1.

use super::RESERVED;
use super::head::{HeaderLine, is_token, write_header};
use super::uri::Uri;
use crate::error::SendError;
#[cfg(feature = "deflate")]
use crate::extension::DeflateConfig;
use crate::extension::Extensions;

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
#[doc(alias("IntoClientRequest", "ClientRequestBuilder"))]
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
        uri.parse().map(Self::from_uri)
    }

    /// Asks for the resource of a URI.
    pub const fn from_uri(uri: Uri) -> Self {
        Self {
            uri,
            subprotocols: Vec::new(),
            extensions: Extensions::none(),
            headers: Vec::new(),
        }
    }

    /// Offers a subprotocol; the first one offered is the favourite.
    ///
    /// # Errors
    ///
    /// [`SubprotocolInvalid`](SendError::SubprotocolInvalid) and
    /// [`SubprotocolRepeated`](SendError::SubprotocolRepeated).
    #[doc(alias("with_sub_protocol", "Sec-WebSocket-Protocol"))]
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
    #[doc(alias("with_header", "add_header"))]
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

    /// Returns the subprotocols that are offered, the favourite first.
    pub(super) fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// Returns the extensions that are offered.
    pub(super) const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Returns the same request for another URI, with those header lines that `keep` keeps.
    pub(super) fn with_uri(&self, uri: Uri, keep: impl Fn(&HeaderLine) -> bool) -> Self {
        Self {
            uri,
            subprotocols: self.subprotocols.clone(),
            extensions: self.extensions.clone(),
            headers: self
                .headers
                .iter()
                .filter(|line| keep(line))
                .cloned()
                .collect(),
        }
    }

    /// Appends the request to `output`.
    pub(super) fn write(&self, key: &[u8], output: &mut Vec<u8>) {
        output.extend_from_slice(b"GET ");
        output.extend_from_slice(self.uri.resource_name().as_bytes());
        output.extend_from_slice(b" HTTP/1.1\r\n");
        write_header("Host", self.uri.host_header().as_bytes(), output);
        output.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
        write_header("Sec-WebSocket-Key", key, output);
        output.extend_from_slice(b"Sec-WebSocket-Version: 13\r\n");
        if !self.subprotocols.is_empty() {
            let subprotocols = self.subprotocols.join(", ");
            write_header("Sec-WebSocket-Protocol", subprotocols.as_bytes(), output);
        }
        if let Some(offer) = self.extensions.offer() {
            write_header("Sec-WebSocket-Extensions", offer.as_bytes(), output);
        }
        for header in &self.headers {
            header.write(output);
        }
        output.extend_from_slice(b"\r\n");
    }
}
