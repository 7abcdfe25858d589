//! A stream that may be secured with TLS.
//!
//! What a client connects to, whatever the features are. It decides nothing.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::stream::{SplitStream, Stream};
#[cfg(feature = "rustls")]
use super::tls::TlsStream;

/// A TCP connection, secured with TLS or not.
#[derive(Debug)]
#[non_exhaustive]
pub enum MaybeTlsStream {
    /// For `ws:`.
    Plain(TcpStream),
    /// For `wss:`.
    #[cfg(feature = "rustls")]
    Tls(TlsStream<TcpStream>),
}

impl MaybeTlsStream {
    /// Returns the TCP connection, to look at.
    pub const fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.stream(),
        }
    }

    fn as_stream(&mut self) -> &mut dyn Stream {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream,
        }
    }
}

impl Stream for MaybeTlsStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.as_stream().set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.as_stream().set_write_timeout(timeout)
    }

    fn shut_down(&mut self, how: Shutdown) -> io::Result<()> {
        self.as_stream().shut_down(how)
    }

    fn unflushed_len(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.unflushed_len(),
        }
    }
}

impl Read for MaybeTlsStream {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.as_stream().read(room)
    }
}

impl Write for MaybeTlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.as_stream().write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.as_stream().write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.as_stream().flush()
    }
}

impl SplitStream for MaybeTlsStream {
    /// Of a secured one it cannot be read.
    type Writer = Self;

    fn try_clone_writer(&self) -> io::Result<Self> {
        match self {
            Self::Plain(stream) => stream.try_clone().map(Self::Plain),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.try_clone_writer().map(Self::Tls),
        }
    }
}

impl From<TcpStream> for MaybeTlsStream {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(stream)
    }
}

#[cfg(feature = "rustls")]
impl From<TlsStream<TcpStream>> for MaybeTlsStream {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(stream)
    }
}
