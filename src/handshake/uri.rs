//! WebSocket URIs.
//!
//! Parses what section 3 allows and nothing else; what it returns is safe to write into a request.
//! It percent-encodes nothing silently, and resolves no names.
//!
//! RFC 6455, section 3; RFC 3986.

use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;
use std::borrow::Cow;

use crate::error::SendError;

/// A `ws:` or `wss:` URI.
///
/// ```
/// use framewright::handshake::Uri;
///
/// let uri: Uri = "wss://[2001:db8::1]/chat?room=1".parse()?;
/// assert!(uri.is_secure());
/// assert_eq!(uri.host(), "2001:db8::1");
/// assert_eq!(uri.port(), 443);
/// assert_eq!(uri.resource_name(), "/chat?room=1");
/// # Ok::<(), framewright::SendError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    secure: bool,
    /// In lower case, without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// The path, never empty, and the query.
    resource_name: String,
}

impl Uri {
    /// Whether the scheme is `wss`: the connection must be secured with TLS.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the host to connect to, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port to connect to: 80 for `ws` and 443 for `wss` where none is written.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the path and query, which is what the request asks for: "/" if there is neither.
    pub fn resource_name(&self) -> &str {
        &self.resource_name
    }

    /// Returns the value of the Host header: the port is in it unless it is the default.
    pub fn authority(&self) -> String {
        self.host_header().into_owned()
    }

    /// Returns the value of the Host header, in memory of its own only where it has to be made.
    pub(super) fn host_header(&self) -> Cow<'_, str> {
        if self.port == default_port(self.secure) {
            bracketed(&self.host)
        } else {
            self.host_and_port().into()
        }
    }

    /// Returns the host and the port, with the port in any case: what a tunnel leads to.
    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// Returns the URI of another resource of the same server.
    pub(super) fn with_resource_name(self, resource_name: String) -> Self {
        debug_assert!(resource_name.starts_with('/'));
        Self {
            resource_name,
            ..self
        }
    }

    /// Parses what stands behind the two slashes, of which each character was judged.
    pub(super) fn parse_rest(secure: bool, rest: &str) -> Result<Self, SendError> {
        // "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be
        // used on these URIs."
        if rest.contains('#') {
            return Err(SendError::UriFragment);
        }
        let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(SendError::UriUserInfo);
        }
        let (host, port) = parse_authority(authority)?;
        Ok(Self {
            secure,
            host,
            port: port.unwrap_or(default_port(secure)),
            resource_name: if resource.starts_with('/') {
                resource.to_owned()
            } else {
                format!("/{resource}")
            },
        })
    }
}

impl FromStr for Uri {
    type Err = SendError;

    fn from_str(uri: &str) -> Result<Self, SendError> {
        judge_characters(uri)?;
        let Some((scheme, rest)) = uri.split_once("://") else {
            return Err(SendError::UriSchemeUnsupported);
        };
        let secure = if scheme.eq_ignore_ascii_case("ws") {
            false
        } else if scheme.eq_ignore_ascii_case("wss") {
            true
        } else {
            return Err(SendError::UriSchemeUnsupported);
        };
        Self::parse_rest(secure, rest)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.resource_name)
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn bracketed(host: &str) -> Cow<'_, str> {
    if host.contains(':') {
        format!("[{host}]").into()
    } else {
        host.into()
    }
}

/// RFC 3986, section 2: what is neither reserved nor unreserved is percent-encoded.
pub(super) fn judge_characters(uri: &str) -> Result<(), SendError> {
    let mut bytes = uri.bytes();
    while let Some(byte) = bytes.next() {
        let allowed = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .into_iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte),
        };
        if !allowed {
            return Err(SendError::UriCharacterInvalid);
        }
    }
    Ok(())
}

/// Parses a host, which is returned without brackets, and perhaps a port.
pub(super) fn parse_authority(authority: &str) -> Result<(String, Option<u16>), SendError> {
    let (host, port) = split_port(authority)?;
    let host = parse_host(host)?;
    match port {
        None | Some("") => Ok((host, None)),
        Some(port) => Ok((host, Some(parse_port(port)?))),
    }
}

/// Splits the authority where its port begins, which is not inside brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), SendError> {
    let host_end = if authority.starts_with('[') {
        authority.find(']').ok_or(SendError::UriHostInvalid)? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(host_end);
    match port.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if port.is_empty() => Ok((host, None)),
        None => Err(SendError::UriHostInvalid),
    }
}

fn parse_host(host: &str) -> Result<String, SendError> {
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        let address: Ipv6Addr = address.parse().map_err(|_| SendError::UriHostInvalid)?;
        return Ok(address.to_string());
    }
    // A name that a resolver can be asked for: RFC 3986 would allow more, and no host has it.
    let is_name = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    if is_name {
        Ok(host.to_ascii_lowercase())
    } else {
        Err(SendError::UriHostInvalid)
    }
}

fn parse_port(port: &str) -> Result<u16, SendError> {
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SendError::UriPortInvalid);
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(SendError::UriPortInvalid),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(uri: &str) -> Result<Uri, SendError> {
        uri.parse()
    }

    #[test]
    fn what_is_left_out_has_its_default() -> Result<(), SendError> {
        let cases = [
            ("ws://example.com", "example.com", 80, "example.com", "/"),
            ("WSS://Example.COM", "example.com", 443, "example.com", "/"),
            (
                "ws://example.com:80/a",
                "example.com",
                80,
                "example.com",
                "/a",
            ),
            (
                "wss://example.com:80/",
                "example.com",
                80,
                "example.com:80",
                "/",
            ),
            ("ws://h?a=b", "h", 80, "h", "/?a=b"),
            ("ws://h:/x?y/z?", "h", 80, "h", "/x?y/z?"),
            ("ws://[::1]:9001/", "::1", 9001, "[::1]:9001", "/"),
            (
                "ws://127.0.0.1:8080",
                "127.0.0.1",
                8080,
                "127.0.0.1:8080",
                "/",
            ),
            ("ws://h/%20%7e", "h", 80, "h", "/%20%7e"),
        ];
        for (uri, host, port, authority, resource_name) in cases {
            let parsed = parse(uri)?;
            assert_eq!(parsed.host(), host, "{uri}");
            assert_eq!(parsed.port(), port, "{uri}");
            assert_eq!(parsed.authority(), authority, "{uri}");
            assert_eq!(parsed.resource_name(), resource_name, "{uri}");
            assert_eq!(parse(&parsed.to_string()), Ok(parsed), "{uri}");
        }
        Ok(())
    }

    #[test]
    fn what_section_3_does_not_allow_is_refused_by_name() {
        let cases = [
            ("http://h/", SendError::UriSchemeUnsupported),
            ("ws:h", SendError::UriSchemeUnsupported),
            ("//h/", SendError::UriSchemeUnsupported),
            ("ws://", SendError::UriHostInvalid),
            ("ws:///path", SendError::UriHostInvalid),
            ("ws://:80/", SendError::UriHostInvalid),
            ("ws://[::1", SendError::UriHostInvalid),
            ("ws://[::1]x/", SendError::UriHostInvalid),
            ("ws://[fe80::1%25eth0]/", SendError::UriHostInvalid),
            ("ws://a,b/", SendError::UriHostInvalid),
            ("ws://h:0/", SendError::UriPortInvalid),
            ("ws://h:65536/", SendError::UriPortInvalid),
            ("ws://h:+80/", SendError::UriPortInvalid),
            ("ws://h:80:80/", SendError::UriPortInvalid),
            ("ws://h/#top", SendError::UriFragment),
            ("ws://user:secret@h/", SendError::UriUserInfo),
            ("ws://h/a b", SendError::UriCharacterInvalid),
            ("ws://h/\r\nX: y", SendError::UriCharacterInvalid),
            ("ws://h/\0", SendError::UriCharacterInvalid),
            ("ws://h/%", SendError::UriCharacterInvalid),
            ("ws://h/%4", SendError::UriCharacterInvalid),
            ("ws://h/%4x", SendError::UriCharacterInvalid),
            ("ws://h/é", SendError::UriCharacterInvalid),
            ("ws://bücher.example/", SendError::UriCharacterInvalid),
        ];
        for (uri, error) in cases {
            assert_eq!(parse(uri), Err(error), "{uri:?}");
        }
    }
}
