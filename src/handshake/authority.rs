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
    /// A name, an IPv4 address, or an IPv6 address in its brackets, all of it ASCII; it may be
    /// empty.
    pub(super) host: &'a [u8],
    /// `None` where no port is written, or nothing behind the colon.
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Parses an authority without user information; `None` if it is not one.
    pub(super) fn parse(authority: &'a [u8]) -> Option<Self> {
        let (host, port) = authority.split_at_checked(host_len(authority)?)?;
        let port = match port {
            [] | [b':'] => None,
            [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
                Some(core::str::from_utf8(digits).ok()?.parse().ok()?)
            }
            _ => return None,
        };
        Some(Self { host, port })
    }
}

/// Returns how many bytes at the front are a host of RFC 3986, section 3.2.2; `None` if they are
/// none.
fn host_len(authority: &[u8]) -> Option<usize> {
    if let [b'[', rest @ ..] = authority {
        let len = rest.iter().position(|&byte| byte == b']')?;
        let address = core::str::from_utf8(&rest[..len]).ok()?;
        return address.parse::<Ipv6Addr>().is_ok().then_some(len + 2);
    }
    let mut rest = authority;
    loop {
        let ends = |byte: &u8| !IS_HOST_BYTE[usize::from(*byte)];
        rest = &rest[rest.iter().position(ends).unwrap_or(rest.len())..];
        let [b'%', escaped @ ..] = rest else {
            return Some(authority.len() - rest.len());
        };
        let (digits, behind) = escaped.split_at_checked(2)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = behind;
    }
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
