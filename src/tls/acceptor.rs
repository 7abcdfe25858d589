//! Who a server is.
//!
//! A configuration of rustls, the caller's or one of ours; it opens no stream.

use core::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};

use super::error::TlsError;
use super::{HTTP_1_1, certificates, crypto};

/// Who a server is, and how it secures a stream; cheap to clone.
#[derive(Clone)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
}

impl TlsAcceptor {
    /// Makes an acceptor of a configuration: certificates by server name, certificates asked of
    /// clients.
    ///
    /// Where `alpn_protocols` is empty, `http/1.1` is accepted, and clients that offer only
    /// something else are refused; those that offer nothing are not. Where a list of the caller's
    /// makes another protocol win, the handshake fails with
    /// [`AlpnUnexpected`](TlsError::AlpnUnexpected).
    pub fn new(config: impl Into<Arc<ServerConfig>>) -> Self {
        let mut config = config.into();
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = vec![HTTP_1_1.to_vec()];
        }
        Self { config }
    }

    /// Makes an acceptor of a certificate chain, the server's own certificate first, and its
    /// private key, both as PEM.
    ///
    /// Read them again and make another to use a renewed certificate: connections that are there
    /// keep theirs.
    ///
    /// # Errors
    ///
    /// [`CryptoMissing`](TlsError::CryptoMissing),
    /// [`CertificateMissing`](TlsError::CertificateMissing), [`KeyMissing`](TlsError::KeyMissing),
    /// [`PemInvalid`](TlsError::PemInvalid), and [`Config`](TlsError::Config) for a key that does
    /// not belong to the certificate or is of a kind that is not supported.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::KeyMissing,
            error => TlsError::PemInvalid(error.to_string()),
        })?;
        let config = ServerConfig::builder_with_provider(crypto()?)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Config)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Config)?;
        Ok(Self::new(config))
    }

    /// Returns the configuration, with its ALPN.
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor").finish_non_exhaustive()
    }
}
