//! What TLS can fail with.
//!
//! It crosses [`io::Error`] unharmed, because streams can return nothing else.

use std::io;

/// Why a stream is not secured, or is so no longer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A configuration was to be made, and there is no cryptography for it.
    #[error("TLS needs cryptography: enable the feature ring or aws-lc-rs")]
    CryptoMissing,
    /// The host is not one that a certificate can name.
    #[error("TLS server name: host is neither a DNS name nor an IP address")]
    HostInvalid,
    /// The configuration cannot be used.
    #[error("TLS configuration: {0}")]
    Config(rustls::Error),
    /// The PEM text of certificates or of a key is damaged.
    #[error("TLS configuration: PEM text: {0}")]
    PemInvalid(String),
    /// No certificate is in the PEM text of a chain or of roots.
    #[error("TLS configuration: no certificate in the PEM text")]
    CertificateMissing,
    /// No private key is in the PEM text of a key.
    #[error("TLS configuration: no private key in the PEM text")]
    KeyMissing,
    /// The peer was not who it should be, or broke a rule, or said that we did.
    #[error("TLS handshake: {0}")]
    Handshake(rustls::Error),
    /// The peer left during the handshake.
    #[error("TLS handshake: peer closed the connection")]
    HandshakeUnfinished,
    /// ALPN, with a list of the caller's, agreed on something in which no WebSocket opens.
    #[error("TLS handshake: ALPN agreed on {0}, which is not http/1.1")]
    AlpnUnexpected(String),
    /// The peer broke a rule after the handshake, or said that we did.
    #[error("TLS: {0}")]
    Session(rustls::Error),
    /// The transport ended before the session did: somebody may have cut off the end.
    ///
    /// A WebSocket does not report it, because its Close frames tell an end from a cut.
    #[error("TLS: transport ended without close_notify")]
    Truncated,
}

#[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io"))]
impl TlsError {
    /// Returns the error that an I/O error carries, of ours or of rustls' own streams, or that
    /// other error.
    pub(crate) fn from_io(error: io::Error) -> Result<Self, io::Error> {
        error
            .downcast()
            .or_else(|error| error.downcast().map(Self::Session))
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match &error {
            TlsError::CryptoMissing => io::ErrorKind::Unsupported,
            TlsError::HostInvalid
            | TlsError::Config(_)
            | TlsError::PemInvalid(_)
            | TlsError::CertificateMissing
            | TlsError::KeyMissing => io::ErrorKind::InvalidInput,
            TlsError::Handshake(_) | TlsError::AlpnUnexpected(_) | TlsError::Session(_) => {
                io::ErrorKind::InvalidData
            }
            TlsError::HandshakeUnfinished | TlsError::Truncated => io::ErrorKind::UnexpectedEof,
        };
        Self::new(kind, error)
    }
}
