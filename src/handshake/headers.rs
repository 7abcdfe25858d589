//! The header lines of a head, to be looked up by name.
//!
//! Takes a head that is well formed, and knows what a line is and what a list is; not what any line
//! is for.
//!
//! RFC 9110, section 5.

use bytes::Bytes;

/// The header lines of a head, in order.
///
/// Names are compared without case, values are bytes without the white space around them.
#[derive(Debug, Clone)]
pub struct Headers {
    /// The whole head, which was parsed once and so holds well-formed lines.
    head: Bytes,
}

impl Headers {
    pub(super) fn new(head: Bytes) -> Self {
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
}

/// Returns the lines of a head after its first, without their CRLF.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&byte| byte == b'\n')
        .skip(1)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// RFC 9110, section 5.6.3: OWS is spaces and tabs.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
