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
            .map(|origin| Origin::parse(origin.as_bytes()).ok_or(SendError::OriginInvalid))
            .collect::<Result<_, _>>()
            .map(Self::AnyOf)
    }

    pub(super) fn allows(&self, headers: &Headers, host: &str) -> bool {
        if *self == Self::Any || headers.of(Field::Origin).next().is_none() {
            return true;
        }
        let Some(origin) = headers.of(Field::Origin).single().and_then(Origin::parse) else {
            return false;
        };
        match self {
            Self::SameOrigin => Origin::parse(format!("{}://{host}", origin.scheme).as_bytes())
                .is_some_and(|own| own.port.is_some() && own == origin),
            Self::AnyOf(allowed) => allowed.contains(&origin),
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
    fn parse(origin: &[u8]) -> Option<Self> {
        let origin = core::str::from_utf8(origin).ok()?.to_ascii_lowercase();
        let (scheme, authority) = origin.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        // RFC 6454, section 7: a port that is written has digits, and a host is no pattern.
        let authority = Some(authority)
            .filter(|authority| !authority.ends_with(':'))
            .and_then(Authority::parse)
            .filter(|authority| !authority.host.is_empty())
            .filter(|authority| !authority.host.contains(is_delimiter))?;
        is_scheme.then(|| Self {
            scheme: scheme.to_owned(),
            host: authority.host.to_owned(),
            port: authority.port.or(default_port(scheme)),
        })
    }
}

/// RFC 3986 allows these in a host, and no host that serves pages has them.
fn is_delimiter(character: char) -> bool {
    "!$&'()*+,;=%".contains(character)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}
