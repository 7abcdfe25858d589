//! What a server or a client is told once, for all its connections.
//!
//! Settings, and the choices that they make: among what a client offers, and where a redirect is
//! followed to. It receives nothing and answers nothing.

use std::sync::{Arc, LazyLock};

use super::error::Error;
use crate::connection::Config;
use crate::error::HandshakeError;
#[cfg(feature = "deflate")]
use crate::handshake::DeflateConfig;
#[cfg(any(
    feature = "tokio-rustls",
    all(feature = "blocking", feature = "rustls")
))]
use crate::handshake::Uri;
use crate::handshake::{Acceptance, ClientRequest, OriginPolicy, Proxy, UpgradeRequest};
#[cfg(any(
    feature = "tokio-rustls",
    all(feature = "blocking", feature = "rustls")
))]
use crate::tls::{TlsConnector, default_connector};

/// The settings of a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerOptions {
    pub(crate) config: Arc<Config>,
    pub(crate) origin_policy: OriginPolicy,
    pub(crate) subprotocols: Vec<String>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<DeflateConfig>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            config: default_config(),
            origin_policy: OriginPolicy::default(),
            subprotocols: Vec::new(),
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

impl ServerOptions {
    /// Returns the client's favourite of the subprotocols that are spoken here.
    pub(crate) fn choose_subprotocol(&self, request: &UpgradeRequest) -> Option<String> {
        request
            .subprotocols()
            .find(|offered| self.subprotocols.iter().any(|own| own == offered))
            .map(str::to_owned)
    }

    /// Returns the answer that accepts.
    pub(crate) fn acceptance<'a>(&self, subprotocol: Option<&'a str>) -> Acceptance<'a> {
        let mut acceptance = Acceptance::new();
        if let Some(subprotocol) = subprotocol {
            acceptance = acceptance.subprotocol(subprotocol);
        }
        #[cfg(feature = "deflate")]
        if let Some(config) = &self.deflate {
            acceptance = acceptance.deflate(config.clone());
        }
        acceptance
    }
}

/// The settings of a client.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(any(feature = "blocking", feature = "tokio")),
    expect(
        dead_code,
        reason = "the other clients are given streams that are connected"
    )
)]
pub(crate) struct ClientOptions {
    pub(crate) request: ClientRequest,
    pub(crate) config: Arc<Config>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) max_redirects: u32,
    #[cfg(any(
        feature = "tokio-rustls",
        all(feature = "blocking", feature = "rustls")
    ))]
    pub(crate) tls: Option<TlsConnector>,
}

#[cfg_attr(
    not(any(feature = "blocking", feature = "tokio")),
    expect(
        dead_code,
        reason = "the other clients are given streams that are connected"
    )
)]
impl ClientOptions {
    pub(crate) fn new(request: ClientRequest) -> Self {
        Self {
            request,
            config: default_config(),
            proxy: None,
            max_redirects: 0,
            #[cfg(any(
                feature = "tokio-rustls",
                all(feature = "blocking", feature = "rustls")
            ))]
            tls: None,
        }
    }

    /// Returns whom to trust for a `wss:` URI; `None` for others.
    #[cfg(any(
        feature = "tokio-rustls",
        all(feature = "blocking", feature = "rustls")
    ))]
    pub(crate) fn connector(&self, uri: &Uri) -> Result<Option<TlsConnector>, Error> {
        match &self.tls {
            _ if !uri.is_secure() => Ok(None),
            Some(connector) => Ok(Some(connector.clone())),
            None => match default_connector()? {
                Some(connector) => Ok(Some(connector)),
                None => Err(Error::TlsRequired),
            },
        }
    }

    /// Returns the request that follows `request`, which failed with `error` after so many
    /// redirects; or the error, where there is none.
    pub(crate) fn redirected(
        &self,
        request: &ClientRequest,
        error: Error,
        followed: u32,
    ) -> Result<ClientRequest, Error> {
        let Error::Handshake(HandshakeError::Refused(refused)) = &error else {
            return Err(error);
        };
        if self.max_redirects == 0 {
            return Err(error);
        }
        match request.redirected(refused)? {
            None => Err(error),
            Some(_) if followed >= self.max_redirects => {
                Err(HandshakeError::TooManyRedirects(refused.clone()).into())
            }
            Some(next) => Ok(next),
        }
    }
}

/// Returns the default limits, which all who want no others share: a connection keeps them, and
/// should not keep a copy.
fn default_config() -> Arc<Config> {
    static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(Arc::default);
    Arc::clone(&CONFIG)
}
