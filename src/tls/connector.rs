//! Whom a client trusts.
//!
//! A configuration of rustls, the caller's or one of ours; it opens no stream.

use core::fmt;
use std::sync::Arc;

use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::error::TlsError;
use super::{HTTP_1_1, certificates, crypto};

/// Whom a client trusts, and how it secures a stream; cheap to clone.
///
/// ```no_run
/// # #[cfg(feature = "blocking")]
/// # fn example() -> Result<(), framewright::blocking::Error> {
/// use framewright::blocking::Client;
/// use framewright::handshake::ClientRequest;
/// use framewright::tls::TlsConnector;
///
/// let roots = std::fs::read("company-roots.pem")?;
/// let client = Client::new(ClientRequest::new("wss://example.com/chat")?)
///     .tls(TlsConnector::from_pem(&roots)?);
/// let (mut socket, _) = client.connect()?;
/// socket.send("hello")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    /// Makes a connector of a configuration: a private certificate authority, a certificate of the
    /// client's, a verifier of one's own.
    ///
    /// Where `alpn_protocols` is empty, `http/1.1` is offered. A list of the caller's is offered as
    /// it is, and where the server chooses something else from it than `http/1.1`, such as `h2`,
    /// the handshake fails with [`AlpnUnexpected`](TlsError::AlpnUnexpected); a server that chooses
    /// nothing is taken to speak HTTP/1.1.
    pub fn new(config: impl Into<Arc<ClientConfig>>) -> Self {
        let mut config = config.into();
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = vec![HTTP_1_1.to_vec()];
        }
        Self { config }
    }

    /// Trusts whom the roots in a PEM text have certified, and nobody else: a private certificate
    /// authority, or a certificate that a server made for itself.
    ///
    /// # Errors
    ///
    /// [`CryptoMissing`](TlsError::CryptoMissing),
    /// [`CertificateMissing`](TlsError::CertificateMissing), [`PemInvalid`](TlsError::PemInvalid),
    /// and [`Config`](TlsError::Config) for what is no certificate.
    pub fn from_pem(roots: &[u8]) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for root in certificates(roots)? {
            store.add(root).map_err(TlsError::Config)?;
        }
        let builder = builder()?.with_root_certificates(store);
        Ok(Self::new(builder.with_no_client_auth()))
    }

    /// Trusts whom the platform trusts.
    ///
    /// On some platforms this reads all their certificates: keep it for many connections.
    ///
    /// # Errors
    ///
    /// [`CryptoMissing`](TlsError::CryptoMissing), and [`Config`](TlsError::Config) where the
    /// platform has no certificates to offer, as in an empty container.
    #[cfg(feature = "rustls-platform-verifier")]
    pub fn platform_verifier() -> Result<Self, TlsError> {
        use rustls_platform_verifier::BuilderVerifierExt;

        let builder = builder()?
            .with_platform_verifier()
            .map_err(TlsError::Config)?;
        Ok(Self::new(builder.with_no_client_auth()))
    }

    /// Trusts whom Mozilla trusts, as of when the crate `webpki-roots` was published.
    ///
    /// # Errors
    ///
    /// [`CryptoMissing`](TlsError::CryptoMissing).
    #[cfg(feature = "rustls-webpki-roots")]
    pub fn webpki_roots() -> Result<Self, TlsError> {
        let roots: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let builder = builder()?.with_root_certificates(roots);
        Ok(Self::new(builder.with_no_client_auth()))
    }

    /// Returns the configuration, with its ALPN.
    pub const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

/// Begins a configuration with the cryptography that our features name.
fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(crypto()?)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Config)
}
