//! An HTTP answer that is not an upgrade.
//!
//! Holds a status, header lines and a body that are safe to write, and writes them. When it is
//! given is for `server` to know.
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

    /// Appends the answer to `output`, with `own` lines that a caller may not set.
    pub(super) fn write(&self, with_body: WithBody, own: &[(&str, &str)], output: &mut SendBuffer) {
        let mut head = String::new();
        // Writing into a `String` cannot fail.
        let _ = write!(head, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let bytes = output.tail();
        bytes.extend_from_slice(head.as_bytes());
        for (name, value) in own {
            write_header(name, value.as_bytes(), bytes);
        }
        // RFC 9110, section 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option".
        let upgrades = own
            .iter()
            .map(|(name, _)| *name)
            .chain(self.headers.iter().map(HeaderLine::name))
            .any(|name| name.eq_ignore_ascii_case("upgrade"));
        let connection: &[u8] = if upgrades {
            b"close, Upgrade"
        } else {
            b"close"
        };
        write_header("Connection", connection, bytes);
        for header in &self.headers {
            header.write(bytes);
        }
        let body: &[u8] = match self.status {
            // RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5: none of these has content.
            204 | 205 | 304 => &[],
            _ => &self.body,
        };
        // RFC 9110, section 8.6: no Content-Length in a 204, and in a 304 only that of a 200.
        if !matches!(self.status, 204 | 304) {
            write_header("Content-Length", body.len().to_string().as_bytes(), bytes);
        }
        bytes.extend_from_slice(b"\r\n");
        if with_body == WithBody::Yes {
            bytes.extend_from_slice(body);
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

const RESERVED: [&str; 3] = ["connection", "content-length", "transfer-encoding"];
