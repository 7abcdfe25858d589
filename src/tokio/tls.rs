//! TLS over streams of tokio, by tokio-rustls.
//!
//! Secures a stream, within a deadline; whom to trust is in `tls`. It knows no WebSocket.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::time::timeout;

use super::{Error, Server};
use crate::tls::{TlsAcceptor, TlsConnector, TlsError, judge_alpn, server_name};

/// A stream that a client secured with TLS.
pub type ClientTlsStream<S> = tokio_rustls::client::TlsStream<S>;
/// A stream that a server secured with TLS.
pub type ServerTlsStream<S> = tokio_rustls::server::TlsStream<S>;

impl Server {
    /// Secures a stream with TLS, within [`handshake_timeout`](crate::Config::handshake_timeout):
    /// what comes out is for [`accept`](Self::accept) or [`receive`](Self::receive).
    ///
    /// ```no_run
    /// # async fn run(
    /// #     stream: tokio::net::TcpStream,
    /// #     acceptor: framewright::tls::TlsAcceptor,
    /// # ) -> Result<(), framewright::tokio::Error> {
    /// use framewright::tokio::Server;
    ///
    /// let server = Server::new();
    /// let mut socket = server.accept(server.secure(stream, &acceptor).await?).await?;
    /// socket.send("welcome").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Tls`](Error::Tls), [`TlsTimeout`](Error::TlsTimeout) and [`Io`](Error::Io).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    pub fn secure<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        acceptor: &TlsAcceptor,
    ) -> impl Future<Output = Result<ServerTlsStream<S>, Error>> + use<S> {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(acceptor.config()));
        let limit = self.options.config.handshake_timeout;
        // What the handshake needs does not stay in the future of the task that goes on.
        Box::pin(async move {
            let stream = in_time(limit, acceptor.accept(stream)).await?;
            judge_alpn(stream.get_ref().1.alpn_protocol())?;
            Ok(stream)
        })
    }
}

/// Secures a stream to the server that a URI names by `host`.
pub(super) async fn secure_client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &str,
    connector: &TlsConnector,
    limit: Option<Duration>,
) -> Result<ClientTlsStream<S>, Error> {
    let name = server_name(host)?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(connector.config()));
    let stream = in_time(limit, connector.connect(name, stream)).await?;
    judge_alpn(stream.get_ref().1.alpn_protocol())?;
    Ok(stream)
}

async fn in_time<T>(
    limit: Option<Duration>,
    handshake: impl Future<Output = io::Result<T>>,
) -> Result<T, Error> {
    let outcome = match limit {
        None => handshake.await,
        Some(limit) => timeout(limit, handshake)
            .await
            .map_err(|_| Error::TlsTimeout)?,
    };
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => TlsError::HandshakeUnfinished.into(),
        _ => match error.downcast() {
            Ok(error) => TlsError::Handshake(error).into(),
            Err(error) => Error::from(error),
        },
    })
}
