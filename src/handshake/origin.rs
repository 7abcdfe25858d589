//! Which web pages may connect.
//!
//! A browser says in Origin which page asks, and lets any page ask: a server that does not look is
//! open to cross-site WebSocket hijacking. It knows origins and the Host; not where they stand.
//!
//! RFC 6455, sections 4.2.2 item 4 and 10.2; RFC 6454.

use super::authority::Authority;
use super::headers::{Field, Headers};
use crate::error::SendError;

/// Which origins a server accepts.
///
/// A request without an Origin does not come from a browser, and is accepted by every policy. One
/// with several, or with `null`, is accepted by [`Any`](Self::Any) alone.
///
/// ```
/// use framewright::handshake::OriginPolicy;
///
/// let policy = OriginPolicy::any_of(["https://example.com", "http://localhost:8080"])?;
/// # Ok::<(), framewright::SendError>(())
/// ```
#[doc(alias("CORS", "CSWSH"))]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OriginPolicy {
    /// Pages from the host and port that the request itself was sent to.
    ///
    /// Where the Host header names no port, it is the default port of the page's scheme: whether
    /// TLS ends in front of this server is not known here.
    #[default]
    SameOrigin,
    /// Pages from these origins, compared exactly: scheme, host and port.
    AnyOf(Vec<Origin>),
    /// Any page. Right where cookies and the network prove nothing about who asks.
    Any,
}

impl OriginPolicy {
    /// Makes the policy of a list of origins.
    ///
    /// # Errors
    ///
    /// [`OriginInvalid`](SendError::OriginInvalid) for anything but `scheme://host` or
    /// `scheme://host:port`.
    pub fn any_of<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, SendError> {
        origins
            .into_iter()
            .map(|origin| Origin::parse(origin).ok_or(SendError::OriginInvalid))
            .collect::<Result<_, _>>()
            .map(Self::AnyOf)
    }

    pub(super) fn allows(&self, headers: &Headers, host: &str) -> bool {
        if *self == Self::Any || headers.of(Field::Origin).next().is_none() {
            return true;
        }
        let Some(origin) = headers.of(Field::Origin).single().and_then(Written::parse) else {
            return false;
        };
        match self {
            Self::SameOrigin => Written::new(origin.scheme, host.as_bytes())
                .is_some_and(|own| own.port.is_some() && own.is_same(&origin)),
            Self::AnyOf(allowed) => allowed.iter().any(|own| own.written().is_same(&origin)),
            Self::Any => true,
        }
    }
}

/// An origin: scheme, host and port (RFC 6454, section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    /// `None` for a scheme of which no default port is known, such as that of a browser extension.
    port: Option<u16>,
}

impl Origin {
    fn parse(origin: &str) -> Option<Self> {
        // So that equal ones have equal letters.
        let origin = origin.to_ascii_lowercase();
        let written = Written::parse(origin.as_bytes())?;
        Some(Self {
            scheme: String::from_utf8_lossy(written.scheme).into_owned(),
            host: String::from_utf8_lossy(written.host).into_owned(),
            port: written.port,
        })
    }

    fn written(&self) -> Written<'_> {
        Written {
            scheme: self.scheme.as_bytes(),
            host: self.host.as_bytes(),
            port: self.port,
        }
    }
}

/// An origin as it is written, all of it ASCII, in letters of either case.
struct Written<'a> {
    scheme: &'a [u8],
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> Written<'a> {
    fn parse(origin: &'a [u8]) -> Option<Self> {
        let scheme_len = origin.iter().position(|&byte| byte == b':')?;
        let (scheme, rest) = origin.split_at(scheme_len);
        Self::new(scheme, rest.strip_prefix(b"://")?)
    }

    fn new(scheme: &'a [u8], authority: &'a [u8]) -> Option<Self> {
        let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && scheme
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
        // RFC 6454, section 7: a port that is written has digits, and a host is no pattern.
        let authority = Some(authority)
            .filter(|authority| !authority.ends_with(b":"))
            .and_then(Authority::parse)
            .filter(|authority| !authority.host.is_empty())
            .filter(|authority| !authority.host.iter().any(is_delimiter))?;
        is_scheme.then(|| Self {
            scheme,
            host: authority.host,
            port: authority.port.or(default_port(scheme)),
        })
    }

    fn is_same(&self, other: &Written<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port == other.port
    }
}

/// RFC 3986 allows these in a host, and no host that serves pages has them.
fn is_delimiter(byte: &u8) -> bool {
    b"!$&'()*+,;=%".contains(byte)
}

fn default_port(scheme: &[u8]) -> Option<u16> {
    let is_any = |names: [&[u8]; 2]| names.iter().any(|name| scheme.eq_ignore_ascii_case(name));
    if is_any([b"http", b"ws"]) {
        Some(80)
    } else if is_any([b"https", b"wss"]) {
        Some(443)
    } else {
        None
    }
}
