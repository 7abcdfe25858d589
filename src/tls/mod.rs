//! TLS for `wss:`, with [rustls].
//!
//! What a client and a server need to know before they can secure a stream: [`TlsConnector`] and
//! [`TlsAcceptor`]. The streams are the adapters'; it imports nothing else from this crate, and
//! knows no WebSocket.
//!
//! | you want | features |
//! |---|---|
//! | `connect("wss://…")` to just work | `rustls-platform-verifier` or `rustls-webpki-roots`, and `ring` or `aws-lc-rs` |
//! | [`TlsAcceptor::from_pem`], [`TlsConnector::from_pem`] | `rustls`, and `ring` or `aws-lc-rs` |
//! | a configuration of your own | `rustls`; for the tokio adapter all of these with `tokio-rustls` |
//! | another TLS library | none: hand its stream to `Client::handshake` or `Server::accept` |
//!
//! A default connector trusts whom the platform trusts if `rustls-platform-verifier` is on, else
//! whom Mozilla trusts. The cryptography is `aws-lc-rs` if that feature is on, as rustls itself
//! prefers it, else `ring`. It is given to every configuration by name: a process-wide
//! [`CryptoProvider`] is neither installed nor asked for, so nothing
//! here can panic for want of one.
//!
//! RFC 6455, section 10.6; RFC 7301 for the name of the protocol inside, which is `http/1.1`.

mod acceptor;
#[cfg(any(feature = "blocking", feature = "tokio-rustls"))]
mod agreement;
mod connector;
#[cfg(any(feature = "blocking", feature = "tokio-rustls"))]
mod default;
mod error;
#[cfg(feature = "blocking")]
mod session;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

#[cfg(any(feature = "blocking", feature = "tokio-rustls"))]
pub(crate) use agreement::{judge_alpn, server_name};
#[cfg(any(feature = "blocking", feature = "tokio-rustls"))]
pub(crate) use default::default_connector;
#[cfg(feature = "blocking")]
pub(crate) use session::{Decrypted, Outgoing, Received, Session};

pub use acceptor::TlsAcceptor;
pub use connector::TlsConnector;
pub use error::TlsError;
/// The version of rustls that the configurations are of.
pub use rustls;

/// The protocol in which a WebSocket opens (RFC 6455, section 4.1), by its name in RFC 7301. HTTP/2
/// would need RFC 8441.
const HTTP_1_1: &[u8] = b"http/1.1";

/// Returns the cryptography, by its name in our features and not in rustls', which others may have
/// enabled too.
fn crypto() -> Result<Arc<CryptoProvider>, TlsError> {
    #[cfg(feature = "aws-lc-rs")]
    return Ok(rustls::crypto::aws_lc_rs::default_provider().into());
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return Ok(rustls::crypto::ring::default_provider().into());
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    return Err(TlsError::CryptoMissing);
}

/// Reads the certificates of a PEM text, of which there is at least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::PemInvalid(error.to_string()))?;
    if certificates.is_empty() {
        return Err(TlsError::CertificateMissing);
    }
    Ok(certificates)
}
