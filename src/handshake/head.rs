//! HTTP/1.1 heads: parsing them, writing header lines.
//!
//! Takes what `scanner` found the end of, and so judged line by line, or judges a head that came
//! whole as a scanner would. It knows nothing of WebSocket.
//!
//! RFC 9112, sections 2 to 5; RFC 9110, section 5.

use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Range;

use super::headers::{Headers, range_of, trim};
use super::scanner::{HeadKind, HeadScanner, lines_end_in_crlf};
use crate::connection::Config;
use crate::error::{HandshakeError, SendError};

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
    /// Parses bytes that no scanner looked at, if they are a head and nothing else, which is how
    /// most clients send theirs.
    ///
    /// `None` says nothing about them: a scanner judges them, and then [`parse`](Self::parse).
    pub(super) fn parse_at_once(config: &Config, bytes: &[u8]) -> Option<Self> {
        if !bytes.ends_with(b"\r\n\r\n") || bytes.len() > config.max_head_len {
            return None;
        }
        let mut lines = Lines::new();
        let mut request = httparse::Request::new(&mut []);
        let room = lines.few.get_mut(..config.max_headers.min(FEW_LINES))?;
        let parsed = request.parse_with_uninit_headers(bytes, room);
        if parsed != Ok(httparse::Status::Complete(bytes.len())) {
            return None;
        }
        // The parser skips empty lines, takes bare LFs and targets outside ASCII, and knows no
        // limit but the one on lines. In what else stands in a line it is as strict as a scanner.
        let (method, target) = (request.method?, request.path?);
        let line_len = method.len() + target.len() + "  HTTP/1.1".len();
        let is_strict = bytes.starts_with(method.as_bytes())
            && target.is_ascii()
            && line_len <= config.max_request_line_len
            && lines_end_in_crlf(bytes);
        if !is_strict {
            return None;
        }
        Self::of_parsed(bytes, &request)
    }

    /// Parses the head that `scanner` found the end of.
    pub(super) fn parse(scanner: &HeadScanner, head: &[u8]) -> Result<Self, HandshakeError> {
        // The empty line that may stand before a request.
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let mut lines = Lines::new();
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(head, lines.room_for(scanner.header_lines())) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::Version) => return Err(judge_version(head, HeadKind::Request)),
            Ok(httparse::Status::Partial) | Err(_) => return Err(HandshakeError::HeadMalformed),
        }
        Self::of_parsed(head, &request).ok_or(HandshakeError::HeadMalformed)
    }

    /// Copies a head that was parsed whole.
    fn of_parsed(head: &[u8], request: &httparse::Request<'_, '_>) -> Option<Self> {
        let (method, target) = (request.method?, request.path?);
        let version = match request.version? {
            0 => Version::Http10,
            _ => Version::Http11,
        };
        let lines = request.headers.iter().map(|line| (line.name, line.value));
        let headers = Headers::parsed(head, lines);
        Some(Self::new(headers, method.len(), target.len(), version))
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
        as_text(self.part(&self.method))
    }

    pub(super) fn target(&self) -> &str {
        as_text(self.target_bytes())
    }

    pub(super) fn target_bytes(&self) -> &[u8] {
        self.part(&self.target)
    }

    pub(super) fn has_method(&self, method: &str) -> bool {
        self.part(&self.method) == method.as_bytes()
    }

    /// Whether the target is a path, and perhaps a query (RFC 9112, section 3.2.1).
    pub(super) fn has_origin_form(&self) -> bool {
        self.target_bytes().first() == Some(&b'/')
    }

    /// Returns what [`note`](Self::note) noted.
    pub(super) fn text<'a>(&'a self, text: &'a Text) -> &'a str {
        as_text(self.bytes(text))
    }

    /// Returns what [`note`](Self::note) noted, as bytes.
    pub(super) fn bytes<'a>(&'a self, text: &'a Text) -> &'a [u8] {
        match text {
            Text::Part(range) => self.part(range),
            Text::Own(text) => text.as_bytes(),
        }
    }

    /// Notes where a part of this head stands.
    pub(super) fn note(&self, part: &[u8]) -> Text {
        let range = range_of(self.headers.head(), part);
        debug_assert!(range.is_some(), "it is a part of this head");
        Text::Part(range.unwrap_or_default())
    }

    pub(super) const fn headers(&self) -> &Headers {
        &self.headers
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.headers.head().get(range.clone()).unwrap_or_default()
    }
}

/// Returns what is text by the rules that a head was judged by.
fn as_text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// Text that a head says, to be read with [`RequestHead::text`].
#[derive(Debug, Clone)]
pub(super) enum Text {
    /// Where it stands.
    Part(Range<usize>),
    /// Itself, because it stands nowhere.
    Own(String),
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
        let mut lines = Lines::new();
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            head,
            lines.room_for(scanner.header_lines()),
        );
        match parsed {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::Version) => return Err(judge_version(head, HeadKind::Response)),
            Ok(httparse::Status::Partial) | Err(_) => return Err(HandshakeError::HeadMalformed),
        }
        let Some(status @ 100..=599) = response.code else {
            return Err(HandshakeError::HeadMalformed);
        };
        let lines = response.headers.iter().map(|line| (line.name, line.value));
        Ok(Self {
            status,
            headers: Headers::parsed(head, lines),
            is_http_1_0: response.version == Some(0),
        })
    }
}

/// Room for the lines of a head that is being parsed: on the stack, unless they are many.
struct Lines<'a> {
    few: [MaybeUninit<httparse::Header<'a>>; FEW_LINES],
    many: Vec<MaybeUninit<httparse::Header<'a>>>,
}

impl<'a> Lines<'a> {
    const fn new() -> Self {
        Self {
            few: [const { MaybeUninit::uninit() }; FEW_LINES],
            many: Vec::new(),
        }
    }

    fn room_for(&mut self, count: usize) -> &mut [MaybeUninit<httparse::Header<'a>>] {
        if let Some(few) = self.few.get_mut(..count) {
            return few;
        }
        self.many.resize_with(count, MaybeUninit::uninit);
        &mut self.many
    }
}

/// Browsers send a dozen, and proxies in front of a server add a few.
const FEW_LINES: usize = 32;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_at_once_is_what_a_scanner_lets_through() {
        let is_parsed_at_once = |bytes: &[u8]| is_parsed_at_once(&Config::default(), bytes);
        let head = b"GET /\xc3\xa4?b HTTP/1.1\r\nHost: a:1\r\nX:\t\xc3\xa4 \r\nY:\r\n\r\n";
        let mut parsed = 0;
        for place in 0..head.len() {
            for byte in 0..=u8::MAX {
                let mut changed = head.to_vec();
                // With a target in ASCII, but where the change makes it one that is not.
                changed[5..7].copy_from_slice(b"aa");
                changed[place] = byte;
                parsed += usize::from(is_parsed_at_once(&changed));
                changed.insert(place, b'\n');
                is_parsed_at_once(&changed);
                changed.drain(place..=place + 1);
                is_parsed_at_once(&changed);
            }
        }
        assert!(parsed > head.len());
        assert!(!is_parsed_at_once(head));
        assert!(!is_parsed_at_once(b"GET / HTTP/1.1\r\n\r"));
        assert!(!is_parsed_at_once(b"GET / HTTP/1.1\r\n\r\n\r\n"));
        assert!(!is_parsed_at_once(b"GET / HTTP/1.1\n\r\n\r\n"));
        assert!(!is_parsed_at_once(b"GET / HTTP/1.1\r\na: b\n\r\n\r\n"));
        assert!(is_parsed_at_once(b"GET / HTTP/1.1\r\n\r\n"));
    }

    #[test]
    fn what_is_parsed_at_once_is_within_the_limits() {
        for count in [0, 1, FEW_LINES - 1, FEW_LINES, FEW_LINES + 1] {
            let lines = b"a:b\r\n".repeat(count);
            let head = [&b"GET /a HTTP/1.0\r\n"[..], &lines, b"\r\n"].concat();
            let around = |limit: usize| [0, limit - 1, limit, limit + 1, usize::MAX];
            for max_head_len in around(head.len()) {
                for max_request_line_len in around(15) {
                    for max_headers in around(count.max(1)) {
                        let config = Config {
                            max_head_len,
                            max_request_line_len,
                            max_headers,
                            ..Config::default()
                        };
                        let is_within = head.len() <= max_head_len
                            && 15 <= max_request_line_len
                            && count <= max_headers.min(FEW_LINES);
                        assert_eq!(is_parsed_at_once(&config, &head), is_within, "{config:?}");
                    }
                }
            }
        }
    }

    /// Whether bytes are parsed at once. Asserts that a scanner lets them through as the same head,
    /// and lets through nothing else but a head of many lines, or with an empty one before it.
    fn is_parsed_at_once(config: &Config, bytes: &[u8]) -> bool {
        let mut scanner = HeadScanner::default();
        let at_once = RequestHead::parse_at_once(config, bytes);
        let scanned = match scanner.scan(HeadKind::Request, config, bytes) {
            Ok(Some(len)) if len == bytes.len() => RequestHead::parse(&scanner, bytes).ok(),
            Ok(_) | Err(_) => None,
        };
        let is_left = bytes.starts_with(b"\r\n") || scanner.header_lines() > FEW_LINES;
        let scanned = scanned.filter(|_| !is_left);
        assert_eq!(
            format!("{at_once:?}"),
            format!("{scanned:?}"),
            "{}",
            bytes.escape_ascii()
        );
        at_once.is_some()
    }
}
