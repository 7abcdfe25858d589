//! The host and port that a header or a request target names.
//!
//! Parses what RFC 3986 allows, for comparing and for routing. It knows neither schemes nor which
//! port is the default, and resolves no names.
//!
//! RFC 3986, section 3.2.

use core::net::Ipv6Addr;

/// A host and perhaps a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in its brackets; it may be empty.
    pub(super) host: &'a str,
    /// `None` where no port is written, or nothing behind the colon.
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Parses an authority without user information; `None` if it is not one.
    pub(super) fn parse(authority: &'a str) -> Option<Self> {
        let host_len = if authority.starts_with('[') {
            authority.find(']')? + 1
        } else {
            let colon = authority.bytes().position(|byte| byte == b':');
            colon.unwrap_or(authority.len())
        };
        let (host, port) = authority.split_at(host_len);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse().ok()?)
            }
            Some(_) => return None,
        };
        is_host(host).then_some(Self { host, port })
    }
}

/// Whether this is a host of RFC 3986, section 3.2.2, or empty.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let mut bytes = host.bytes();
    while let Some(byte) = bytes.find(|byte| !IS_HOST_BYTE[usize::from(*byte)]) {
        let is_escape = byte == b'%'
            && [bytes.next(), bytes.next()]
                .into_iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()));
        if !is_escape {
            return false;
        }
    }
    true
}

/// Which bytes are of an unreserved character or a sub-delimiter.
const IS_HOST_BYTE: [bool; 256] = {
    let mut is_host_byte = [false; 256];
    let (mut index, mut byte) = (0, 0_u8);
    while byte.is_ascii() {
        is_host_byte[index] = matches!(byte,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'
                | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        (index, byte) = (index + 1, byte + 1);
    }
    is_host_byte
};
