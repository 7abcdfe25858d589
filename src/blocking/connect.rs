//! Connecting a client: names, TCP, a proxy, TLS.
//!
//! Each step is somebody else's; their order and their deadlines are here.
//!
//! RFC 6455, section 4.1.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::maybe_tls::MaybeTlsStream;
#[cfg(feature = "rustls")]
use super::stream::is_timeout;
use super::stream::{ReadOutcome, ReadTimer, set_write_timeout, write_all};
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use crate::adapter::{ClientOptions, Error, WritePatience};
use crate::connection::{Config, RecvBuffer, SendBuffer};
use crate::handshake::{Proxy, ProxyHandshake, Uri};
#[cfg(feature = "rustls")]
use crate::tls::TlsConnector;

/// Opens a stream to the server of `uri`.
pub(super) fn open_stream(options: &ClientOptions, uri: &Uri) -> Result<MaybeTlsStream, Error> {
    let config = &options.config;
    // Before anything is connected to.
    #[cfg(feature = "rustls")]
    let connector = options.connector(uri)?;
    #[cfg(not(feature = "rustls"))]
    if uri.is_secure() {
        return Err(Error::TlsRequired);
    }
    let stream = match &options.proxy {
        None => connect_tcp(uri.host(), uri.port(), config)?,
        Some(proxy) => {
            let mut stream = connect_tcp(proxy.host(), proxy.port(), config)?;
            open_tunnel(proxy, uri, config, &mut stream)?;
            stream
        }
    };
    #[cfg(feature = "rustls")]
    if let Some(connector) = connector {
        return secure(uri, stream, &connector, config);
    }
    Ok(stream.into())
}

/// Asks a proxy for a tunnel to the server of `target`.
fn open_tunnel(
    proxy: &Proxy,
    target: &Uri,
    config: &Arc<Config>,
    stream: &mut TcpStream,
) -> Result<(), Error> {
    set_write_timeout(stream, config.write_timeout)?;
    let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
    let mut tunnel = ProxyHandshake::start(proxy, target, Arc::clone(config), &mut output);
    tunnel.set_now(Instant::now());
    let patience = WritePatience {
        stall: config.write_timeout,
        deadline: tunnel.next_deadline(),
    };
    write_all(stream, &mut output, patience)?;
    let mut timer = ReadTimer::default();
    while tunnel.receive(&mut input)?.is_none() {
        match timer.read(stream, input.spare_mut(), tunnel.next_deadline())? {
            ReadOutcome::Bytes(len) => input.commit(len),
            ReadOutcome::Eof => return Err(tunnel.receive_eof().into()),
            ReadOutcome::Elapsed => tunnel.handle_timeout(Instant::now())?,
        }
    }
    Ok(timer.clear(stream)?)
}

#[cfg(feature = "rustls")]
fn secure(
    uri: &Uri,
    stream: TcpStream,
    connector: &TlsConnector,
    config: &Config,
) -> Result<MaybeTlsStream, Error> {
    let mut stream = TlsStream::client(stream, uri.host(), connector)?;
    let deadline = deadline(config);
    match stream.handshake_until(deadline) {
        Ok(()) => Ok(stream.into()),
        Err(error) if deadline.is_some() && is_timeout(&error) => Err(Error::TlsTimeout),
        Err(error) => Err(error.into()),
    }
}

/// Tries every address of the host in turn, each with its share of the time that is left.
fn connect_tcp(host: &str, port: u16, config: &Config) -> Result<TcpStream, Error> {
    let deadline = deadline(config);
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "host has no address");
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let connected = match deadline {
            None => TcpStream::connect(address),
            Some(deadline) => {
                let remaining = deadline.saturating_duration_since(Instant::now());
                if remaining.is_zero() {
                    return Err(Error::ConnectTimeout);
                }
                // An address that does not answer leaves time for those behind it.
                let share = remaining / u32::try_from(left).unwrap_or(u32::MAX);
                TcpStream::connect_timeout(address, share.max(Duration::from_millis(1)))
            }
        };
        match connected {
            Ok(stream) => {
                // Messages are written whole, so holding them back only delays them.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last_error = error,
        }
    }
    if deadline.is_some() && last_error.kind() == io::ErrorKind::TimedOut {
        return Err(Error::ConnectTimeout);
    }
    Err(last_error.into())
}

/// Returns when a step that begins now must be done.
fn deadline(config: &Config) -> Option<Instant> {
    Instant::now().checked_add(config.connect_timeout?)
}
