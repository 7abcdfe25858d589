//! A stream of tokio that may be secured with TLS.
//!
//! What a client connects to, whatever the features are. It decides nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::net::TcpStream;

/// A TCP connection, secured with TLS or not.
#[derive(Debug)]
#[non_exhaustive]
pub enum MaybeTlsStream {
    /// For `ws:`.
    Plain(TcpStream),
    /// For `wss:`.
    #[cfg(feature = "tokio-rustls")]
    Tls(Box<super::tls::ClientTlsStream<TcpStream>>),
}

impl MaybeTlsStream {
    /// Returns the TCP connection, to look at.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "tokio-rustls")]
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl From<TcpStream> for MaybeTlsStream {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(stream)
    }
}

#[cfg(feature = "tokio-rustls")]
impl From<super::tls::ClientTlsStream<TcpStream>> for MaybeTlsStream {
    fn from(stream: super::tls::ClientTlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(stream))
    }
}

/// Calls a method of whichever stream it is.
macro_rules! either {
    ($self:expr, $method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            MaybeTlsStream::Plain(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(feature = "tokio-rustls")]
            MaybeTlsStream::Tls(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for MaybeTlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read(cx, room))
    }
}

impl AsyncWrite for MaybeTlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tokio-rustls")]
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(cx))
    }
}
