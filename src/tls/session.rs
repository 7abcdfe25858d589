//! A TLS session between buffers.
//!
//! Drives rustls without a stream: bytes that were received go in, bytes that are to be written
//! come out, and the adapters do the rest. It waits for nothing.

use core::fmt;
use std::io::{self, IoSlice, Read};

use rustls::{ClientConnection, Connection, ServerConnection};

use super::{TlsAcceptor, TlsConnector, TlsError, judge_alpn, server_name};

/// A TLS session.
pub(crate) struct Session {
    connection: Connection,
    /// Why nothing more can be received. What was received before is still there to be read.
    failed: Option<TlsError>,
    /// Whether ALPN was judged, which is the last step of a handshake.
    is_open: bool,
}

/// What was found in the received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decrypted {
    /// So many bytes, never zero.
    Bytes(usize),
    /// Nothing until more is received.
    Nothing,
    /// The end, said by the peer.
    Closed,
}

impl Session {
    /// Begins a session with the server that a URI names by `host`.
    pub(crate) fn client(host: &str, connector: &TlsConnector) -> Result<Self, TlsError> {
        let config = connector.config().clone();
        let connection = ClientConnection::new(config, server_name(host)?);
        Ok(Self::new(connection.map_err(TlsError::Config)?))
    }

    /// Begins a session with whatever client comes.
    pub(crate) fn server(acceptor: &TlsAcceptor) -> Result<Self, TlsError> {
        let connection = ServerConnection::new(acceptor.config().clone());
        Ok(Self::new(connection.map_err(TlsError::Config)?))
    }

    fn new(connection: impl Into<Connection>) -> Self {
        let mut connection = connection.into();
        connection.set_buffer_limit(Some(MAX_ENCRYPTED_LEN));
        Self {
            connection,
            failed: None,
            is_open: false,
        }
    }

    /// Goes on with the handshake, with what was received; whether it is done. Either way there may
    /// be something to take and to write.
    pub(crate) fn shake_hands(&mut self, received: &mut Received) -> Result<bool, TlsError> {
        while self.connection.is_handshaking() {
            if let Some(error) = &self.failed {
                return Err(error.clone());
            }
            if received.is_empty() {
                return Ok(false);
            }
            self.process(received);
        }
        if !self.is_open {
            judge_alpn(self.connection.alpn_protocol())?;
            self.is_open = true;
        }
        Ok(true)
    }

    /// Decrypts what was received into `room`, which is not empty, until either is exhausted.
    pub(crate) fn decrypt(
        &mut self,
        received: &mut Received,
        room: &mut [u8],
    ) -> Result<Decrypted, TlsError> {
        let mut len = 0;
        loop {
            let end = match self.connection.reader().read(&mut room[len..]) {
                Ok(0) => Ok(Decrypted::Closed),
                Ok(read) => {
                    len += read;
                    if len < room.len() {
                        continue;
                    }
                    return Ok(Decrypted::Bytes(len));
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Err(TlsError::Truncated)
                }
                // All that was decrypted is read.
                Err(_) => match &self.failed {
                    Some(error) => Err(error.clone()),
                    None if received.is_empty() => Ok(Decrypted::Nothing),
                    None => {
                        self.process(received);
                        continue;
                    }
                },
            };
            return if len > 0 {
                Ok(Decrypted::Bytes(len))
            } else {
                end
            };
        }
    }

    /// Notes that the transport has ended.
    pub(crate) fn receive_eof(&mut self) {
        if self.connection.is_handshaking() {
            self.failed.get_or_insert(TlsError::HandshakeUnfinished);
        }
        let _ = self.connection.read_tls(&mut io::empty());
    }

    /// Encrypts the front of `pieces`, at most 64 KiB, and returns how much of it.
    ///
    /// What it made is taken before more is encrypted, or there is no room for it.
    pub(crate) fn encrypt(&mut self, pieces: &[IoSlice<'_>]) -> Result<usize, TlsError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let written = io::Write::write_vectored(&mut self.connection.writer(), pieces);
        written.map_err(|error| TlsError::Session(into_rustls(error)))
    }

    /// Ends the session in the direction of the peer, once.
    pub(crate) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    /// Moves what is to be written to the end of `outgoing`, also after an error: it is the alert
    /// that says why.
    pub(crate) fn take_output(&mut self, outgoing: &mut Outgoing) {
        while self.connection.wants_write() {
            // A `Vec` takes everything.
            if self.connection.write_tls(&mut outgoing.bytes).is_err() {
                return;
            }
        }
    }

    /// Returns the session of rustls, to look at.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Gives rustls some of what was received; all it decrypted before has been read, or there is
    /// nothing to decrypt yet.
    fn process(&mut self, received: &mut Received) {
        let fault = if self.connection.is_handshaking() {
            TlsError::Handshake
        } else {
            TlsError::Session
        };
        let mut unread = received.unread();
        let len = unread.len();
        let read = self.connection.read_tls(&mut unread);
        let left = unread.len();
        received.consume(len - left);
        let processed = match read {
            Ok(0) => {
                // Nothing is read behind a close_notify.
                received.consume(left);
                return;
            }
            Ok(_) => self.connection.process_new_packets().map(drop),
            Err(error) => Err(into_rustls(error)),
        };
        if let Err(error) = processed {
            self.failed.get_or_insert(fault(error));
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// Bytes that were received and not decrypted.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// INVARIANT: start <= end <= bytes.len()
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Received {
    /// Returns where to read to, which is never empty where all was decrypted.
    pub(crate) fn spare_mut(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = vec![0; RECEIVED_LEN];
        }
        &mut self.bytes[self.end..]
    }

    /// Adds what was read to there.
    pub(crate) fn commit(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.bytes.len());
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn consume(&mut self, len: usize) {
        self.start += len;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }
}

/// Bytes that are to be written.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// INVARIANT: start <= bytes.len()
    bytes: Vec<u8>,
    start: usize,
}

impl Outgoing {
    /// Returns what is to be written next.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Drops what was written, and the memory for much once all is.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_LEN);
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() - self.start
    }
}

/// Returns the error that rustls put into an I/O error, which it does where `std` has a trait.
fn into_rustls(error: io::Error) -> rustls::Error {
    error
        .downcast()
        .unwrap_or_else(|error| rustls::Error::General(error.to_string()))
}

/// How much is encrypted before it is written: what the adapters write at once.
const MAX_ENCRYPTED_LEN: usize = 64 << 10;
/// Room for one record of 16 KiB and most of the next, so that a long message takes few reads.
const RECEIVED_LEN: usize = 32 << 10;
/// How much memory of written bytes is kept for the next.
const KEPT_LEN: usize = 4 << 10;
