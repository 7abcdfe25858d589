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
    /// Boxed, because a head moves a few times until it is answered.
    index: Box<Index>,
}

impl Headers {
    /// Takes a head that nobody went through.
    #[cfg(feature = "http")]
    pub(super) fn new(head: Bytes) -> Self {
        let index = Index::of(&head, Lines::of(&head));
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
        Lines::of(&self.head)
    }

    /// Returns the values of all lines of a name.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.named(name)
    }

    /// Returns the value of the first line of a name.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.named(name).next()
    }

    /// Returns the value of a header that must not be repeated; `None` if it is, or is missing.
    pub fn single(&self, name: &str) -> Option<&[u8]> {
        self.named(name).single()
    }

    /// Returns the elements of a list, which may be spread over several lines; empty ones do not
    /// count (RFC 9110, section 5.6.1).
    pub fn list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.named(name).list()
    }

    /// Returns the values of all lines of a name that every handshake asks for.
    pub(super) fn of(&self, field: Field) -> Values<'_, 'static> {
        self.at(self.index.place(field), field.name())
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

    fn named<'n>(&self, name: &'n str) -> Values<'_, 'n> {
        let place = Field::of(name).map_or(Place::Anywhere, |field| self.index.place(field));
        self.at(place, name)
    }

    fn at<'n>(&self, place: Place, name: &'n str) -> Values<'_, 'n> {
        match place {
            Place::Nowhere => Values::Single(None),
            Place::Once { start, end } => {
                Values::Single(self.head.get(usize::from(start)..usize::from(end)))
            }
            Place::Anywhere => Values::Named(name, Lines::of(&self.head)),
        }
    }
}

/// The values of all lines of a name, in order.
pub(super) enum Values<'a, 'n> {
    /// The one that there is, or none.
    Single(Option<&'a [u8]>),
    /// Those of a name in these lines.
    Named(&'n str, Lines<'a>),
}

impl<'a> Values<'a, '_> {
    /// Returns the value, if there is one and not several.
    pub(super) fn single(mut self) -> Option<&'a [u8]> {
        if let Self::Single(value) = self {
            return value;
        }
        let value = self.next()?;
        self.next().is_none().then_some(value)
    }

    /// Returns the elements of the list that the values are.
    pub(super) fn list(self) -> impl Iterator<Item = &'a [u8]> {
        self.flat_map(|value| value.split(|&byte| byte == b','))
            .map(trim)
            .filter(|element| !element.is_empty())
    }

    /// Whether the list holds a token, which is in lower case, and is compared without case.
    pub(super) fn has_token<const LEN: usize>(mut self, token: &[u8; LEN]) -> bool {
        // Most lists are of one element.
        self.any(|value| {
            is_named(value, token)
                || value
                    .split(|&byte| byte == b',')
                    .any(|element| is_named(trim(element), token))
        })
    }
}

impl<'a> Iterator for Values<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Single(value) => value.take(),
            Self::Named(name, lines) => lines
                .find(|(other, _)| other.eq_ignore_ascii_case(name))
                .map(|(_, value)| value),
        }
    }
}

/// The lines of a head that are left, as names and values.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// Begins behind the first line, which is no header line.
    fn of(head: &'a [u8]) -> Self {
        let mut lines = Self { rest: head };
        lines.next_line();
        lines
    }

    /// Returns a line without its CRLF.
    fn next_line(&mut self) -> Option<&'a [u8]> {
        let len = self.rest.iter().position(|&byte| byte == b'\n')?;
        let (line, rest) = self.rest.split_at(len);
        self.rest = &rest[1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a str, &'a [u8]);

    /// The empty line at the end has no colon.
    fn next(&mut self) -> Option<(&'a str, &'a [u8])> {
        let line = self.next_line()?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = core::str::from_utf8(&line[..colon]).ok()?;
        Some((name, trim(&line[colon + 1..])))
    }
}

/// The header fields that every handshake asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Host,
    Origin,
    Upgrade,
    Connection,
    ContentLength,
    Key,
    TransferEncoding,
    Accept,
    Version,
    Protocol,
    Extensions,
}

impl Field {
    const ALL: [Self; 11] = [
        Self::Host,
        Self::Origin,
        Self::Upgrade,
        Self::Connection,
        Self::ContentLength,
        Self::Key,
        Self::TransferEncoding,
        Self::Accept,
        Self::Version,
        Self::Protocol,
        Self::Extensions,
    ];

    /// Returns the field of a name; `None` if it is another one.
    fn of(name: &str) -> Option<Self> {
        // Their lengths tell them apart, but for two.
        match name.len() {
            4 => Self::Host.if_named::<4>(name),
            6 => Self::Origin.if_named::<6>(name),
            7 => Self::Upgrade.if_named::<7>(name),
            10 => Self::Connection.if_named::<10>(name),
            14 => Self::ContentLength.if_named::<14>(name),
            17 if name.starts_with(['s', 'S']) => Self::Key.if_named::<17>(name),
            17 => Self::TransferEncoding.if_named::<17>(name),
            20 => Self::Accept.if_named::<20>(name),
            21 => Self::Version.if_named::<21>(name),
            22 => Self::Protocol.if_named::<22>(name),
            24 => Self::Extensions.if_named::<24>(name),
            _ => None,
        }
    }

    /// Returns the field if a name is its own, which is of this length.
    #[inline]
    fn if_named<const LEN: usize>(self, name: &str) -> Option<Self> {
        let own = self.name().as_bytes().first_chunk::<LEN>()?;
        is_named(name.as_bytes(), own).then_some(self)
    }

    fn number(self) -> usize {
        usize::from(self as u8)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Upgrade => "upgrade",
            Self::Connection => "connection",
            Self::ContentLength => "content-length",
            Self::Key => "sec-websocket-key",
            Self::TransferEncoding => "transfer-encoding",
            Self::Accept => "sec-websocket-accept",
            Self::Version => "sec-websocket-version",
            Self::Protocol => "sec-websocket-protocol",
            Self::Extensions => "sec-websocket-extensions",
        }
    }
}

/// Where the values of each field stand, so that a dozen questions are one walk.
#[derive(Debug, Clone, Default)]
struct Index {
    places: [Place; Field::ALL.len()],
}

/// Where the values of a field stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// The lines will tell: there are several, or it is far behind.
    Anywhere,
    /// In one line.
    Once { start: u16, end: u16 },
    /// In no line. Not the first of the three, and so no zeroes: memory that must be zeroed is
    /// taken from slower places by some allocators.
    #[default]
    Nowhere,
}

impl Index {
    /// Goes through the lines of a head, which are parts of it.
    fn of<'a>(head: &'a [u8], lines: impl Iterator<Item = (&'a str, &'a [u8])>) -> Box<Self> {
        let mut index = Box::<Self>::default();
        for (name, value) in lines {
            if let Some(field) = Field::of(name) {
                let place = &mut index.places[field.number()];
                *place = match place {
                    Place::Nowhere => Place::of(head, value),
                    Place::Once { .. } | Place::Anywhere => Place::Anywhere,
                };
            }
        }
        index
    }

    fn place(&self, field: Field) -> Place {
        self.places[field.number()]
    }
}

impl Place {
    fn of(head: &[u8], value: &[u8]) -> Self {
        let range = range_of(head, value).unwrap_or(usize::MAX..usize::MAX);
        match (u16::try_from(range.start), u16::try_from(range.end)) {
            (Ok(start), Ok(end)) => Self::Once { start, end },
            _ => Self::Anywhere,
        }
    }
}

/// Returns where `part` stands in `whole`; `None` if it is not a part of it.
pub(super) fn range_of(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    if part.is_empty() {
        return Some(0..0);
    }
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// Whether bytes are a name in lower case, compared without case: where the length is known, all of
/// them are compared at once.
#[inline]
fn is_named<const LEN: usize>(bytes: &[u8], name: &[u8; LEN]) -> bool {
    let Ok(bytes) = <&[u8; LEN]>::try_from(bytes) else {
        return false;
    };
    bytes.iter().zip(name).fold(true, |all, (byte, own)| {
        all & (byte.to_ascii_lowercase() == *own)
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
            let names = Field::ALL.map(Field::name);
            for name in names
                .into_iter()
                .chain(["X", "", "Hosts", "Same-Length-As-It"])
            {
                let walked: Vec<_> = headers
                    .iter()
                    .filter(|(other, _)| other.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
                    .collect();
                let name = name.to_ascii_uppercase();
                assert_eq!(
                    headers.values(&name).collect::<Vec<_>>(),
                    walked,
                    "{head:?}"
                );
                if let Some(field) = Field::of(&name) {
                    assert_eq!(headers.of(field).collect::<Vec<_>>(), walked, "{head:?}");
                }
            }
        }
    }

    #[test]
    fn every_field_has_a_name_and_a_place_of_its_own() {
        for (number, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(Field::of(field.name()), Some(field));
            assert_eq!(field.number(), number);
        }
    }
}
