//! An HTTP answer that is not an upgrade.
//!
//! Holds a status, header lines and a body that are safe to write, and writes them. When it is
//! given is for `server` and `refusal` to know.
//!
//! RFC 9112, sections 4 and 6.

use core::fmt::Write;

use bytes::Bytes;

use super::head::{HeaderLine, write_header};
use crate::connection::SendBuffer;
use crate::error::SendError;

/// An HTTP answer: a refusal of an upgrade, or what a plain request gets.
///
/// It is written with `Connection: close` and `Content-Length`, and the connection closes after
/// it: a proxy that took the upgrade for granted must not go on sending requests.
///
/// ```
/// use framewright::handshake::Response;
///
/// let response = Response::new(401)?
///     .header("WWW-Authenticate", "Bearer")?
///     .body("who are you?\n");
/// # Ok::<(), framewright::SendError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<HeaderLine>,
    body: Bytes,
}

impl Response {
    /// Makes an answer without headers and body.
    ///
    /// # Errors
    ///
    /// [`StatusInvalid`](SendError::StatusInvalid) below 200 and above 599.
    pub const fn new(status: u16) -> Result<Self, SendError> {
        match status {
            200..=599 => Ok(Self::with_status(status)),
            _ => Err(SendError::StatusInvalid),
        }
    }

    /// Makes an answer of a status that is known to be one.
    pub(super) const fn with_status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a header line.
    ///
    /// # Errors
    ///
    /// [`HeaderNameInvalid`](SendError::HeaderNameInvalid),
    /// [`HeaderValueInvalid`](SendError::HeaderValueInvalid), and
    /// [`HeaderReserved`](SendError::HeaderReserved) for the lines that say where the body ends
    /// and that the connection closes.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, SendError> {
        let line = HeaderLine::new(name, value.as_ref(), &RESERVED)?;
        self.headers.push(line);
        Ok(self)
    }

    /// Sets the body; its type is the header's to say.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Returns the status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Adds a header line that is known to be safe.
    pub(super) fn known_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(HeaderLine::known(name, value));
        self
    }

    /// Takes the body away, and the line that says of which type it is.
    pub(super) fn without_body(mut self) -> Self {
        self.body = Bytes::new();
        self.headers
            .retain(|line| !line.name().eq_ignore_ascii_case("content-type"));
        self
    }

    /// Returns the header lines that the caller set.
    #[cfg(feature = "http")]
    pub(super) fn headers(&self) -> &[HeaderLine] {
        &self.headers
    }

    /// Returns the value of the Connection line.
    pub(super) fn connection(&self) -> &'static str {
        // RFC 9110, section 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection
        // option".
        let upgrades = self
            .headers
            .iter()
            .any(|header| header.name().eq_ignore_ascii_case("upgrade"));
        if upgrades { "close, Upgrade" } else { "close" }
    }

    /// Returns the body, if the status lets there be one.
    pub(super) fn content(&self) -> Bytes {
        match self.status {
            // RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5: none of these has content.
            204 | 205 | 304 => Bytes::new(),
            _ => self.body.clone(),
        }
    }

    /// Appends the answer to `output`.
    pub(super) fn write(&self, with_body: WithBody, output: &mut SendBuffer) {
        let mut head = String::new();
        // Writing into a `String` cannot fail.
        let _ = write!(head, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let bytes = output.tail();
        bytes.extend_from_slice(head.as_bytes());
        write_header("Connection", self.connection().as_bytes(), bytes);
        for header in &self.headers {
            header.write(bytes);
        }
        let content = self.content();
        // RFC 9110, section 8.6: no Content-Length in a 204, and in a 304 only that of a 200.
        if !matches!(self.status, 204 | 304) {
            write_header(
                "Content-Length",
                content.len().to_string().as_bytes(),
                bytes,
            );
        }
        bytes.extend_from_slice(b"\r\n");
        if with_body == WithBody::Yes {
            bytes.extend_from_slice(&content);
        }
    }
}

/// Whether the body is written: the answer to a HEAD request only announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WithBody {
    Yes,
    No,
}

/// Returns the reason phrase of the statuses that servers of this kind send; others go without,
/// which RFC 9112, section 4, allows.
const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// The lines that say where the body ends, and that the connection closes.
pub(super) const RESERVED: [&str; 3] = ["connection", "content-length", "transfer-encoding"];
