//! Whom a client trusts that was not told.
//!
//! The features decide; it opens no stream.

use super::{TlsConnector, TlsError};

/// Returns the connector for `wss:` where the caller has none; `None` where no feature says
/// whom to trust.
///
/// It is made once and kept for the life of the process, because reading the platform's
/// certificates takes milliseconds and because what it remembers makes later handshakes shorter.
/// One that could not be made is tried again.
#[cfg(any(feature = "rustls-platform-verifier", feature = "rustls-webpki-roots"))]
pub(crate) fn default_connector() -> Result<Option<TlsConnector>, TlsError> {
    static CONNECTOR: std::sync::OnceLock<TlsConnector> = std::sync::OnceLock::new();

    if let Some(connector) = CONNECTOR.get() {
        return Ok(Some(connector.clone()));
    }
    #[cfg(feature = "rustls-platform-verifier")]
    let connector = TlsConnector::platform_verifier()?;
    #[cfg(not(feature = "rustls-platform-verifier"))]
    let connector = TlsConnector::webpki_roots()?;
    Ok(Some(CONNECTOR.get_or_init(|| connector).clone()))
}

#[cfg(not(any(feature = "rustls-platform-verifier", feature = "rustls-webpki-roots")))]
pub(crate) fn default_connector() -> Result<Option<TlsConnector>, TlsError> {
    Ok(None)
}
