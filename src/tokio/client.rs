//! Connecting a client: names, TCP, a proxy, TLS, redirects.
//!
//! Each step is somebody else's; their order and their deadlines are here.
//!
//! RFC 6455, section 4.1.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::net::{TcpStream, lookup_host};
use ::tokio::time::{Instant, timeout_at};

use super::maybe_tls::MaybeTlsStream;
use super::{Client, Error, TokioTransport, WebSocket};
use crate::adapter::ClientOptions;
use crate::asynchronous::{Transport, handshake, open_tunnel};
use crate::handshake::{ClientRequest, Headers, Proxy, Uri};
#[cfg(feature = "tokio-rustls")]
use crate::tls::TlsConnector;

/// Connects to a `ws:` or `wss:` URI with the default limits.
///
/// ```no_run
/// # async fn run() -> Result<(), framewright::tokio::Error> {
/// use framewright::tokio::connect;
/// use framewright::{CloseCode, Message};
///
/// let mut socket = connect("ws://127.0.0.1:9001/").await?;
/// socket.send("hello").await?;
/// assert_eq!(socket.recv().await?, Some(Message::text("hello")));
/// socket.close(CloseCode::NORMAL_CLOSURE, "").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As those of [`Client::connect`].
///
/// # Cancel safety
///
/// Dropped, it drops the stream.
#[doc(alias = "connect_async")]
pub async fn connect(uri: &str) -> Result<WebSocket<MaybeTlsStream>, Error> {
    let client = Client::new(ClientRequest::new(uri)?);
    let (socket, _) = client.connect().await?;
    Ok(socket)
}

impl Client {
    /// Goes through an HTTP proxy, which opens a tunnel for `ws:` and `wss:` alike.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.options.proxy = Some(proxy);
        self
    }

    /// Follows at most so many redirects. Default: none, and the redirect is the error, with its
    /// [`location`](crate::RefusedResponse::location).
    ///
    /// To another origin no credentials go along, and from `wss` to `ws` none is followed:
    /// [`ClientRequest::redirected`].
    #[doc(alias = "follow_redirects")]
    #[must_use]
    pub const fn max_redirects(mut self, max_redirects: u32) -> Self {
        self.options.max_redirects = max_redirects;
        self
    }

    /// Sets whom to trust for a `wss:` URI. Default: whom the platform trusts, or whom Mozilla
    /// trusts, as the features have it; see [`tls`](crate::tls).
    #[doc(alias("connect_async_tls_with_config", "Connector"))]
    #[cfg(feature = "tokio-rustls")]
    #[must_use]
    pub fn tls(mut self, connector: TlsConnector) -> Self {
        self.options.tls = Some(connector);
        self
    }

    /// Connects over TCP, with `TCP_NODELAY`, through the proxy if there is one, secures the stream
    /// if the URI is `wss:`, and opens the WebSocket; the headers are those of the server's answer.
    ///
    /// TCP, the proxy and TLS have [`connect_timeout`](crate::Config::connect_timeout) each; the
    /// addresses of a host are tried in turn, and share it.
    ///
    /// # Errors
    ///
    /// [`Io`](Error::Io) where the host is not known or not reached,
    /// [`ConnectTimeout`](Error::ConnectTimeout), [`Handshake`](Error::Handshake) where the proxy
    /// or the server refuses or breaks a rule, and for a `wss:` URI
    /// [`TlsRequired`](Error::TlsRequired) or, with the feature `tokio-rustls`, `Tls` and
    /// `TlsTimeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    pub fn connect(
        &self,
    ) -> impl Future<Output = Result<(WebSocket<MaybeTlsStream>, Headers), Error>> + Send + use<>
    {
        let options = self.options.clone();
        // What the handshake needs does not stay in the future of the task that goes on.
        Box::pin(async move {
            let mut request = options.request.clone();
            let mut followed = 0;
            loop {
                let stream = open_stream(&options, request.uri()).await?;
                let config = Arc::clone(&options.config);
                let error = match handshake(&request, config, TokioTransport::new(stream)).await {
                    Ok(opened) => return Ok(opened),
                    Err(error) => error,
                };
                request = options.redirected(&request, error, followed)?;
                followed += 1;
            }
        })
    }
}

/// Opens a stream to the server of `uri`.
async fn open_stream(options: &ClientOptions, uri: &Uri) -> Result<MaybeTlsStream, Error> {
    let timeout = options.config.connect_timeout;
    // Before anything is connected to.
    #[cfg(feature = "tokio-rustls")]
    let connector = options.connector(uri)?;
    #[cfg(not(feature = "tokio-rustls"))]
    if uri.is_secure() {
        return Err(Error::TlsRequired);
    }
    let stream = match &options.proxy {
        None => connect_tcp(uri.host(), uri.port(), timeout).await?,
        Some(proxy) => {
            let stream = connect_tcp(proxy.host(), proxy.port(), timeout).await?;
            let mut transport = TokioTransport::new(stream);
            open_tunnel(proxy, uri, Arc::clone(&options.config), &mut transport).await?;
            transport.into_stream()
        }
    };
    #[cfg(feature = "tokio-rustls")]
    if let Some(connector) = connector {
        let secured = super::tls::secure_client(stream, uri.host(), &connector, timeout).await?;
        return Ok(secured.into());
    }
    Ok(stream.into())
}

/// Tries every address of the host in turn, each with its share of the time that is left.
async fn connect_tcp(host: &str, port: u16, timeout: Option<Duration>) -> Result<TcpStream, Error> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let addresses: Vec<_> = in_time(deadline, lookup_host((host, port)))
        .await??
        .collect();
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "host has no address").into();
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let now = Instant::now();
        let share = deadline.map(|deadline| now + deadline.saturating_duration_since(now) / left);
        match in_time(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small frames must not wait for the acknowledgement of those before.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last_error = error.into(),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

async fn in_time<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = T>,
) -> Result<T, Error> {
    match deadline {
        None => Ok(future.await),
        Some(deadline) => timeout_at(deadline, future)
            .await
            .map_err(|_| Error::ConnectTimeout),
    }
}
