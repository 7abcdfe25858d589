//! HTTP/1.1 heads, bounded: finding their end, parsing them, writing header lines.
//!
//! Strict where a lenient reader and a strict one would disagree about what was said, because that
//! is how requests are smuggled: every line ends in CRLF, none is folded. It knows nothing of
//! WebSocket.
//!
//! RFC 9112, sections 2 to 5; RFC 9110, section 5.

use core::fmt;
use core::ops::Range;

use bytes::Bytes;

use crate::connection::Config;
use crate::error::{HandshakeError, SendError};

/// Looks for the end of a head as its bytes come, at each byte once.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    /// How many bytes were looked at.
    scanned: usize,
    /// How many bytes the line in progress has, its CR counted.
    line_len: usize,
    /// How many lines have ended, the empty one before the head not counted.
    lines: usize,
    /// Whether the last byte was a CR.
    after_cr: bool,
    /// Whether an empty line came before the head.
    skipped_line: bool,
}

/// What a scanner does with bytes before the head, and with a first line that is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadKind {
    Request,
    Response,
}

impl HeadScanner {
    /// Returns the length of the head, its empty line included; `None` if it needs more bytes.
    ///
    /// `bytes` are all bytes so far: what was looked at is not looked at again.
    pub(super) fn scan(
        &mut self,
        kind: HeadKind,
        config: &Config,
        bytes: &[u8],
    ) -> Result<Option<usize>, HandshakeError> {
        let fresh = bytes.get(self.scanned..).unwrap_or(&[]);
        for &byte in fresh {
            self.scanned += 1;
            if self.scanned > config.max_head_len {
                return Err(HandshakeError::HeadTooLong);
            }
            // RFC 9112, section 2.2: a bare CR is an element that must not be accepted, and a bare
            // LF one that need not be.
            if self.after_cr != (byte == b'\n') {
                return Err(HandshakeError::HeadMalformed);
            }
            match byte {
                b'\r' => {
                    self.after_cr = true;
                    self.line_len += 1;
                }
                b'\n' => {
                    let is_empty = self.line_len == 1;
                    self.after_cr = false;
                    self.line_len = 0;
                    if !is_empty {
                        self.lines += 1;
                        if self.lines - 1 > config.max_headers {
                            return Err(HandshakeError::TooManyHeaders);
                        }
                    } else if self.lines > 0 {
                        return Ok(Some(self.scanned));
                    } else if kind == HeadKind::Request && !self.skipped_line {
                        // "a server [...] SHOULD ignore at least one empty line (CRLF) received
                        // prior to the request-line."
                        self.skipped_line = true;
                    } else {
                        return Err(HandshakeError::HeadMalformed);
                    }
                }
                // RFC 9112, section 5.2: a line that begins with white space continues the one
                // before it, which a server may reject.
                b' ' | b'\t' if self.line_len == 0 => return Err(HandshakeError::HeadMalformed),
                0..=8 | 11..=31 | 127 => return Err(HandshakeError::HeadMalformed),
                // RFC 9112, section 3: no part of a request line has a byte outside ASCII.
                128.. if kind == HeadKind::Request && self.lines == 0 => {
                    return Err(HandshakeError::HeadMalformed);
                }
                _ => {
                    self.line_len += 1;
                    if kind == HeadKind::Request
                        && self.lines == 0
                        && self.line_len > config.max_request_line_len
                    {
                        return Err(HandshakeError::RequestLineTooLong);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Returns how many header lines the head has, once its end was found.
    fn header_lines(&self) -> usize {
        self.lines.saturating_sub(1)
    }
}

/// A request's head.
#[derive(Debug, Clone)]
pub(super) struct RequestHead {
    headers: Headers,
    method: Range<usize>,
    target: Range<usize>,
    pub(super) version: Version,
}

/// The version of HTTP that a request came in, as far as it matters to an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 1.0, which knows no upgrade.
    Http10,
    /// 1.1, which does.
    Http11,
    /// A later one, which has something else in its place.
    #[cfg(feature = "http")]
    Later,
}

impl RequestHead {
    /// Parses the head that `scanner` found the end of.
    pub(super) fn parse(scanner: &HeadScanner, head: &[u8]) -> Result<Self, HandshakeError> {
        // The empty line that may stand before a request.
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let mut headers = vec![httparse::EMPTY_HEADER; scanner.header_lines()];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::Version) => return Err(judge_version(head, HeadKind::Request)),
            Ok(httparse::Status::Partial) | Err(_) => return Err(HandshakeError::HeadMalformed),
        }
        let (Some(method), Some(target), Some(version)) =
            (request.method, request.path, request.version)
        else {
            return Err(HandshakeError::HeadMalformed);
        };
        let version = match version {
            0 => Version::Http10,
            _ => Version::Http11,
        };
        let headers = Headers::new(Bytes::copy_from_slice(head));
        Ok(Self::new(headers, method.len(), target.len(), version))
    }

    /// Makes the head of what another HTTP implementation parsed.
    #[cfg(feature = "http")]
    pub(super) fn from_parts<'a>(
        method: &str,
        target: &str,
        version: Version,
        lines: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, HandshakeError> {
        // What a scanner would not have let through.
        let is_target = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token(method.as_bytes()) || !is_target {
            return Err(HandshakeError::HeadMalformed);
        }
        let mut head = format!("{method} {target} HTTP\r\n").into_bytes();
        for (name, value) in lines {
            HeaderLine::new(name, value, &[])
                .map_err(|_| HandshakeError::HeadMalformed)?
                .write(&mut head);
        }
        let headers = Headers::new(head.into());
        Ok(Self::new(headers, method.len(), target.len(), version))
    }

    /// RFC 9112, section 3: single spaces, and nothing else, between the parts of the line.
    fn new(headers: Headers, method_len: usize, target_len: usize, version: Version) -> Self {
        let target_start = method_len + 1;
        Self {
            headers,
            method: 0..method_len,
            target: target_start..target_start + target_len,
            version,
        }
    }

    pub(super) fn method(&self) -> &str {
        self.text(&self.method)
    }

    pub(super) fn target(&self) -> &str {
        self.text(&self.target)
    }

    pub(super) const fn headers(&self) -> &Headers {
        &self.headers
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.headers
            .head
            .get(range.clone())
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

/// A response's head.
#[derive(Debug, Clone)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) headers: Headers,
    /// Whether the version is 1.0, which knows no 101.
    pub(super) is_http_1_0: bool,
}

impl ResponseHead {
    /// Parses the head that `scanner` found the end of.
    pub(super) fn parse(scanner: &HeadScanner, head: &[u8]) -> Result<Self, HandshakeError> {
        let mut headers = vec![httparse::EMPTY_HEADER; scanner.header_lines()];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::Version) => return Err(judge_version(head, HeadKind::Response)),
            Ok(httparse::Status::Partial) | Err(_) => return Err(HandshakeError::HeadMalformed),
        }
        let Some(status @ 100..=599) = response.code else {
            return Err(HandshakeError::HeadMalformed);
        };
        Ok(Self {
            status,
            headers: Headers::new(Bytes::copy_from_slice(head)),
            is_http_1_0: response.version == Some(0),
        })
    }
}

/// Judges a head whose version is not one that is spoken here: it is of another version only if it
/// is well formed otherwise.
#[cold]
fn judge_version(head: &[u8], kind: HeadKind) -> HandshakeError {
    let line_end = head.iter().position(|&byte| byte == b'\r').unwrap_or(0);
    let (line, headers) = head.split_at(line_end);
    let mut parts = line.split(|&byte| byte == b' ');
    let version = match kind {
        HeadKind::Request => {
            let version = parts.nth(2);
            version.filter(|_| parts.next().is_none())
        }
        HeadKind::Response => {
            let version = parts.next();
            version.filter(|_| parts.next().is_some())
        }
    };
    let is_other = matches!(
        version,
        Some(
            [
                b'H',
                b'T',
                b'T',
                b'P',
                b'/',
                b'0' | b'2'..=b'9',
                b'.',
                b'0'..=b'9'
            ] | [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9']
                | [b'H', b'T', b'T', b'P', b'/', b'2'..=b'9']
        )
    );
    let count = headers.iter().filter(|&&byte| byte == b'\n').count();
    let mut parsed = vec![httparse::EMPTY_HEADER; count];
    let headers = headers.strip_prefix(b"\r\n").unwrap_or(headers);
    let is_well_formed = matches!(
        httparse::parse_headers(headers, &mut parsed),
        Ok(httparse::Status::Complete(_))
    );
    if is_other && is_well_formed {
        HandshakeError::HttpVersionUnsupported
    } else {
        HandshakeError::HeadMalformed
    }
}

/// The header lines of a head, in order.
///
/// Names are compared without case, values are bytes without the white space around them.
#[derive(Debug, Clone)]
pub struct Headers {
    /// The whole head, which was parsed once and so holds well-formed lines.
    head: Bytes,
}

impl Headers {
    fn new(head: Bytes) -> Self {
        Self { head }
    }

    /// Returns all lines as names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        lines(&self.head).filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = core::str::from_utf8(&line[..colon]).ok()?;
            Some((name, trim(&line[colon + 1..])))
        })
    }

    /// Returns the values of all lines of a name.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns the value of the first line of a name.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// Returns the value of a header that must not be repeated; `None` if it is, or is missing.
    pub fn single(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.values(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Returns the elements of a list, which may be spread over several lines; empty ones do not
    /// count (RFC 9110, section 5.6.1).
    pub fn list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(trim)
            .filter(|element| !element.is_empty())
    }

    /// Whether a list holds a token, compared without case.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Returns the lines with memory of their own, names in lower case.
    pub(super) fn to_owned_lines(&self) -> Vec<(String, Bytes)> {
        self.iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), self.head.slice_ref(value)))
            .collect()
    }
}

/// Returns the lines of a head after its first, without their CRLF.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&byte| byte == b'\n')
        .skip(1)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// RFC 9110, section 5.6.3: OWS is spaces and tabs.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A header line that is safe to write: no name or value can hold CR, LF or NUL.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct HeaderLine {
    name: String,
    value: Vec<u8>,
}

impl HeaderLine {
    /// Makes a line of what a caller passed; `reserved` are names that it may not use.
    pub(super) fn new(name: &str, value: &[u8], reserved: &[&str]) -> Result<Self, SendError> {
        if !is_token(name.as_bytes()) {
            return Err(SendError::HeaderNameInvalid);
        }
        if reserved
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
        {
            return Err(SendError::HeaderReserved);
        }
        // RFC 9110, section 5.5: visible characters, spaces, tabs, and obs-text.
        if value
            .iter()
            .any(|byte| matches!(byte, 0..=8 | 10..=31 | 127))
        {
            return Err(SendError::HeaderValueInvalid);
        }
        Ok(Self {
            name: name.to_owned(),
            value: trim(value).to_vec(),
        })
    }

    /// Makes a line of a name and a value that are known to be safe.
    pub(super) fn known(name: &str, value: &str) -> Self {
        debug_assert!(Self::new(name, value.as_bytes(), &[]).is_ok());
        Self {
            name: name.to_owned(),
            value: value.as_bytes().to_vec(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    /// Whether the value is, or may be, what its owner proves by who he is.
    ///
    /// Names that applications make up are guessed by their words: a line too many costs a login,
    /// one too few costs a secret.
    pub(super) fn is_credential(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        CREDENTIAL_WORDS.iter().any(|word| name.contains(word))
    }

    pub(super) fn write(&self, output: &mut Vec<u8>) {
        write_header(&self.name, &self.value, output);
    }
}

/// Credentials are not for logs.
impl fmt::Debug for HeaderLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_credential() {
            write!(f, "\"{}: ..\"", self.name)
        } else {
            write!(f, "\"{}: {}\"", self.name, self.value.escape_ascii())
        }
    }
}

/// Words in the names of header lines that hold credentials: Authorization, Cookie, and what
/// services use beside them, such as X-Api-Key and X-Amz-Security-Token.
const CREDENTIAL_WORDS: [&str; 9] = [
    "api-key",
    "apikey",
    "auth",
    "cookie",
    "credential",
    "passw",
    "secret",
    "session",
    "token",
];

/// Appends a header line whose name and value are known to be safe.
pub(super) fn write_header(name: &str, value: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(name.as_bytes());
    output.extend_from_slice(b": ");
    output.extend_from_slice(value);
    output.extend_from_slice(b"\r\n");
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
