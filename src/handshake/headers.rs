//! The header lines of a head, to be looked up by name.
//!
//! Takes a head that is well formed, and knows what a line is and what a list is, and which names
//! are asked for in every handshake; not what any line is for.
//!
//! RFC 9110, section 5.

use core::ops::Range;

use bytes::Bytes;

/// The header lines of a head, in order.
///
/// Names are compared without case, values are bytes without the white space around them.
#[derive(Debug, Clone)]
pub struct Headers {
    /// The whole head, which was parsed once and so holds well-formed lines.
    head: Bytes,
    index: Index,
}

impl Headers {
    /// Takes a head that nobody went through.
    #[cfg(feature = "http")]
    pub(super) fn new(head: Bytes) -> Self {
        let index = Index::of(&head, lines(&head));
        Self { head, index }
    }

    /// Takes a copy of a head that somebody parsed into `lines`, which are parts of it.
    pub(super) fn parsed<'a>(
        head: &'a [u8],
        lines: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        Self {
            index: Index::of(head, lines),
            head: Bytes::copy_from_slice(head),
        }
    }

    /// Returns all lines as names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        lines(&self.head)
    }

    /// Returns the values of all lines of a name.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let place = self.index.place(name);
        let once = match place {
            Place::Once { start, end } => self.head.get(usize::from(start)..usize::from(end)),
            Place::Nowhere | Place::Anywhere => None,
        };
        let anywhere = (place == Place::Anywhere).then(|| self.walk(name));
        once.into_iter().chain(anywhere.into_iter().flatten())
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

    /// Returns the whole head.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns the lines with memory of their own, names in lower case.
    pub(super) fn to_owned_lines(&self) -> Vec<(String, Bytes)> {
        self.iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), self.head.slice_ref(value)))
            .collect()
    }

    /// Looks at every line for those of a name.
    fn walk<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Where the values stand that a handshake asks for, so that a dozen questions are one walk.
#[derive(Debug, Clone, Default)]
struct Index {
    places: [Place; INDEXED.len()],
}

/// Where the value of a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// No line has the name.
    #[default]
    Nowhere,
    /// One line has it.
    Once { start: u16, end: u16 },
    /// The lines will tell: several have it, or it is not a name of the index.
    Anywhere,
}

impl Index {
    /// Goes through the lines of a head, which are parts of it.
    fn of<'a>(head: &'a [u8], lines: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut index = Self::default();
        for (name, value) in lines {
            if let Some(place) = indexed(name).and_then(|number| index.places.get_mut(number)) {
                *place = match place {
                    Place::Nowhere => Place::of(head, value),
                    Place::Once { .. } | Place::Anywhere => Place::Anywhere,
                };
            }
        }
        index
    }

    #[inline]
    fn place(&self, name: &str) -> Place {
        indexed(name)
            .and_then(|number| self.places.get(number).copied())
            .unwrap_or(Place::Anywhere)
    }
}

impl Place {
    /// Returns the place of a value in its head, unless it is so long that it is not worth knowing.
    fn of(head: &[u8], value: &[u8]) -> Self {
        let range = range_of(head, value).unwrap_or(usize::MAX..usize::MAX);
        match (u16::try_from(range.start), u16::try_from(range.end)) {
            (Ok(start), Ok(end)) => Self::Once { start, end },
            _ => Self::Anywhere,
        }
    }
}

/// Returns the number of a name in the index.
#[inline]
fn indexed(name: &str) -> Option<usize> {
    // Their lengths tell them apart, but for two.
    let number = match name.len() {
        4 => 0,
        6 => 1,
        7 => 2,
        10 => 3,
        14 => 4,
        17 if name.starts_with(['s', 'S']) => 5,
        17 => 6,
        20 => 7,
        21 => 8,
        22 => 9,
        24 => 10,
        _ => return None,
    };
    name.eq_ignore_ascii_case(INDEXED[number]).then_some(number)
}

/// The names of the index.
const INDEXED: [&str; 11] = [
    "host",
    "origin",
    "upgrade",
    "connection",
    "content-length",
    "sec-websocket-key",
    "transfer-encoding",
    "sec-websocket-accept",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
];

/// Returns where `part` stands in `whole`; `None` if it is not a part of it.
pub(super) fn range_of(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    if part.is_empty() {
        return Some(0..0);
    }
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// Returns the lines of a head after its first, as names and values.
fn lines(head: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    head.split(|&byte| byte == b'\n')
        .skip(1)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = core::str::from_utf8(&line[..colon]).ok()?;
            Some((name, trim(&line[colon + 1..])))
        })
}

/// RFC 9110, section 5.6.3: OWS is spaces and tabs.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::head::ResponseHead;
    use super::super::scanner::{HeadKind, HeadScanner};
    use super::*;
    use crate::connection::Config;

    #[test]
    fn what_the_index_says_is_what_a_walk_finds() {
        let long = format!("X: {}\r\nHost: far", "x".repeat(1 << 16));
        for lines in [
            "",
            "host:a\r\nORIGIN: \t b c \t\r\nUpgrade:",
            "Host:\r\nHost: a\r\nhost: a\r\nHosts: b\r\nUpgrade: c\r\nupgrade:",
            "Sec-WebSocket-Key: k\r\nTransfer-Encoding: t\r\nSame-Length-As-It: x",
            "Sec-WebSocket-Accept: \u{e4}\r\nSec-WebSocket-Version: 13\r\nTest-Length: 1\r\n\
             Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\nConnection: ,\r\n\
             Sec-WebSocket-Extensions: a; b=\"c\"\r\ncontent-length:0",
            &long,
        ] {
            let end = if lines.is_empty() { "\r\n" } else { "\r\n\r\n" };
            let head = format!("HTTP/1.1 200 OK\r\n{lines}{end}");
            let config = Config {
                max_head_len: head.len(),
                ..Config::default()
            };
            let mut scanner = HeadScanner::default();
            let len = scanner.scan(HeadKind::Response, &config, head.as_bytes());
            assert_eq!(len, Ok(Some(head.len())));
            let parsed = ResponseHead::parse(&scanner, head.as_bytes()).unwrap();
            let headers = parsed.headers;
            for name in INDEXED
                .into_iter()
                .chain(["X", "", "Hosts", "Same-Length-As-It"])
            {
                let walked: Vec<_> = headers.walk(name).collect();
                let name = name.to_ascii_uppercase();
                assert_eq!(
                    headers.values(&name).collect::<Vec<_>>(),
                    walked,
                    "{head:?}"
                );
                assert_eq!(headers.first(&name), walked.first().copied());
            }
        }
    }

    #[test]
    fn every_name_of_the_index_has_a_place_of_its_own() {
        let numbers: Vec<_> = INDEXED.into_iter().filter_map(indexed).collect();
        assert_eq!(numbers, (0..INDEXED.len()).collect::<Vec<_>>());
    }
}
