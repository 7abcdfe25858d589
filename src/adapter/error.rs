//! What an adapter can fail with.
//!
//! The three families of the core, and what only a transport adds. Whether a connection ended well
//! is not said here but by [`End`](crate::End).

use std::io;

use crate::error::{Fault, HandshakeError, ProtocolError, SendError};
#[cfg(feature = "rustls")]
use crate::tls::TlsError;

/// What went wrong, by whose fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke a rule. It was told with a Close frame, and the connection is over.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The caller asked for something that may not be sent. The connection goes on.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The opening handshake did not become a connection. A client was told with an HTTP answer.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The transport failed.
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) says that a non-blocking stream, or one with
    /// timeouts of the caller's, has nothing now, or takes nothing now, and nothing is lost:
    /// receive again, or `flush` again. A message whose `send` says so is queued. The handshakes,
    /// and the writes of a blocking `Writer`, are for streams that block.
    #[error(transparent)]
    Io(io::Error),
    /// No byte left within [`Config::write_timeout`](crate::Config::write_timeout).
    #[error("peer took no bytes within write_timeout")]
    WriteTimeout,
    /// No TCP connection came about within
    /// [`Config::connect_timeout`](crate::Config::connect_timeout).
    #[error("no TCP connection within connect_timeout")]
    ConnectTimeout,
    /// 4.1: the stream could not be secured with TLS, or is so no longer.
    #[cfg(feature = "rustls")]
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No TLS handshake came about within
    /// [`Config::connect_timeout`](crate::Config::connect_timeout), which it has for itself, or for
    /// a server within [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    #[cfg(feature = "rustls")]
    #[error("no TLS handshake in time")]
    TlsTimeout,
    /// 3: a `wss:` URI, and neither a connector nor a feature that says whom to trust.
    #[error(
        "wss needs TLS: enable the feature rustls-platform-verifier or rustls-webpki-roots, and ring \
         or aws-lc-rs, or bring a connector or a secured stream"
    )]
    TlsRequired,
    /// `recv` returns whole messages, and this connection delivers chunks, not
    /// [`Delivery::Messages`](crate::Delivery::Messages).
    #[error("recv needs Delivery::Messages: use recv_event with Delivery::Chunks")]
    DeliveryIsChunks,
}

impl Error {
    /// Returns whose fault it is.
    ///
    /// An I/O error is the network's, but for kinds that say otherwise: `InvalidInput`,
    /// `PermissionDenied` and `Unsupported` are the caller's, `InvalidData` is the peer's. What
    /// breaks the rules of TLS, such as a certificate that does not hold, is the peer's; a
    /// configuration that cannot be used is the caller's.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Protocol(error) => error.fault(),
            Self::Send(error) => error.fault(),
            Self::Handshake(error) => error.fault(),
            Self::Io(error) => match error.kind() {
                io::ErrorKind::InvalidInput
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::Unsupported => Fault::Caller,
                io::ErrorKind::InvalidData => Fault::Peer,
                _ => Fault::Network,
            },
            Self::WriteTimeout | Self::ConnectTimeout => Fault::Network,
            #[cfg(feature = "rustls")]
            Self::Tls(error) => fault_of_tls(error),
            #[cfg(feature = "rustls")]
            Self::TlsTimeout => Fault::Network,
            Self::TlsRequired | Self::DeliveryIsChunks => Fault::Caller,
        }
    }

    /// Whether the same may go well later, without anybody changing a thing: where the fault is the
    /// [network's](Fault::Network).
    ///
    /// A client that is to stay connected connects again if this is true of what ended or prevented
    /// its connection, after a pause that grows from attempt to attempt and has a random part. Two
    /// errors leave the connection as it was, and it is the same call that is to be repeated:
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and [`BufferFull`](SendError::BufferFull) after a
    /// flush. A peer that broke a rule will break it again.
    pub fn is_retryable(&self) -> bool {
        matches!(self.fault(), Fault::Network)
    }
}

#[cfg(feature = "rustls")]
const fn fault_of_tls(error: &TlsError) -> Fault {
    match error {
        TlsError::CryptoMissing
        | TlsError::HostInvalid
        | TlsError::Config(_)
        | TlsError::PemInvalid(_)
        | TlsError::CertificateMissing
        | TlsError::KeyMissing => Fault::Caller,
        TlsError::Handshake(_) | TlsError::AlpnUnexpected(_) | TlsError::Session(_) => Fault::Peer,
        TlsError::HandshakeUnfinished | TlsError::Truncated => Fault::Network,
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        #[cfg(feature = "rustls")]
        let error = match TlsError::from_io(error) {
            Ok(error) => return Self::Tls(error),
            Err(error) => error,
        };
        Self::Io(error)
    }
}

/// Whether the stream has nothing now, or takes nothing now, and the call can be repeated.
#[cfg(feature = "blocking")]
pub(crate) fn is_would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}
