//! What a handshake is about: the name of the server, and the protocol inside.
//!
//! Values alone; the adapters shake hands.
//!
//! RFC 6066, section 3; RFC 7301.

use rustls::pki_types::ServerName;

use super::{HTTP_1_1, TlsError};

/// Returns the name that the certificate of a URI's host must have; an IPv6 address may be in
/// brackets.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::HostInvalid)
}

/// Passes on a protocol in which a WebSocket opens. Who agreed on none speaks HTTP/1.1.
pub(crate) fn judge_alpn(protocol: Option<&[u8]>) -> Result<(), TlsError> {
    match protocol {
        None | Some(HTTP_1_1) => Ok(()),
        Some(other) => {
            let other = String::from_utf8_lossy(other).into_owned();
            Err(TlsError::AlpnUnexpected(other))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_every_kind_can_be_named_by_a_certificate() {
        let named = |host: &str| server_name(host).map(|name| name.to_str().into_owned());
        for (host, name) in [
            ("example.com", "example.com"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[2001:db8::1]", "2001:db8::1"),
        ] {
            assert_eq!(named(host).as_deref(), Ok(name), "{host}");
        }
        for host in ["", "[]", "[example", "a b", "a~b", "a/b", "1.2.3.4:443"] {
            assert_eq!(named(host), Err(TlsError::HostInvalid), "{host}");
        }
    }
}
