//! A stream that is secured with TLS.
//!
//! Locks the session and never while it waits, so that one thread reads while another writes. It
//! reads, writes and keeps timeouts; certificates and records are `tls`'s and rustls'.

use core::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::queue::TICK;
use super::stream::{SplitStream, Stream, at_least_a_tick};
use crate::connection::Role;
use crate::tls::{Decrypted, Outgoing, Received, Session, TlsAcceptor, TlsConnector, TlsError};

/// A stream that is secured with TLS.
///
/// The TLS handshake is done by the first read, for a client also by the first write, or by
/// [`handshake`](Self::handshake), and within their timeout:
/// [`Server::accept`](super::Server::accept) of such a stream bounds it by
/// [`handshake_timeout`](crate::Config::handshake_timeout) along with the opening handshake. A
/// server that writes before it is done gets [`NotConnected`](io::ErrorKind::NotConnected). What is
/// written is passed on by [`flush`](Write::flush) or by the next write.
///
/// An end without `close_notify` is [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). A WebSocket
/// takes it for an end of the stream: after the closing handshake it means nothing, before it
/// [`End::code`](crate::End::code) is 1006.
///
/// [`shut_down`](Stream::shut_down) of writing says `close_notify`, if the stream takes it at once.
/// Of both directions, it only shuts down the stream below.
///
/// ```no_run
/// use framewright::blocking::{Server, TlsStream};
/// use framewright::tls::TlsAcceptor;
/// use std::{fs, net::TcpListener};
///
/// let acceptor = TlsAcceptor::from_pem(&fs::read("chain.pem")?, &fs::read("key.pem")?)?;
/// let server = Server::new();
/// for stream in TcpListener::bind("127.0.0.1:9001")?.incoming() {
///     let mut socket = server.accept(TlsStream::server(stream?, &acceptor)?)?;
///     while let Some(message) = socket.recv()? {
///         socket.send(message)?;
///     }
/// }
/// # Ok::<(), framewright::blocking::Error>(())
/// ```
pub struct TlsStream<S> {
    stream: S,
    shared: Arc<Shared>,
    /// What was read from the stream; `None` in a handle that is only written.
    received: Option<Received>,
    read_timeout: Timeout,
    write_timeout: Timeout,
    /// Whether the handshake is done.
    is_open: bool,
    role: Role,
}

/// What the handles of a stream share. Whoever locks both locks `outgoing` first.
struct Shared {
    session: Mutex<Session>,
    /// Locked while it is written, which orders the writes, and may take long.
    outgoing: Mutex<Outgoing>,
}

impl<S: Stream> TlsStream<S> {
    /// Secures a stream that is connected to `host`, which is a name or an address, as in
    /// [`Uri::host`](crate::handshake::Uri::host). It does not read or write yet.
    ///
    /// # Errors
    ///
    /// [`HostInvalid`](TlsError::HostInvalid), and [`Config`](TlsError::Config) for settings that
    /// rustls refuses.
    pub fn client(stream: S, host: &str, connector: &TlsConnector) -> Result<Self, TlsError> {
        let session = Session::client(host, connector)?;
        Ok(Self::new(stream, session, Role::Client))
    }

    /// Secures a stream on which a client is connected. It does not read or write yet.
    ///
    /// # Errors
    ///
    /// [`Config`](TlsError::Config) for settings that rustls refuses.
    pub fn server(stream: S, acceptor: &TlsAcceptor) -> Result<Self, TlsError> {
        let session = Session::server(acceptor)?;
        Ok(Self::new(stream, session, Role::Server))
    }

    /// Completes the TLS handshake, if it is not done yet, within the read timeout. Where it would
    /// block it can be called again.
    ///
    /// # Errors
    ///
    /// A [`TlsError`] inside the I/O error, after the peer was told with an alert, and what the
    /// stream says.
    pub fn handshake(&mut self) -> io::Result<()> {
        self.handshake_until(self.read_timeout.deadline())
    }

    /// Returns the stream below, to look at.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// Looks at the session: the certificates of the peer, the name it asked for, the version.
    ///
    /// Nothing is read or written meanwhile.
    pub fn session<T>(&self, look: impl FnOnce(&rustls::Connection) -> T) -> T {
        look(self.shared.session().connection())
    }

    /// Completes the TLS handshake until `deadline`, if the stream has timeouts.
    pub(super) fn handshake_until(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        if self.is_open {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        loop {
            let received = self.received.get_or_insert_default();
            let mut outgoing = shared.outgoing();
            let mut session = shared.session();
            let is_done = session.shake_hands(received);
            session.take_output(&mut outgoing);
            drop(session);
            match is_done {
                Ok(is_done) => {
                    self.push(&mut outgoing, deadline)?;
                    if is_done {
                        self.is_open = true;
                        return Ok(());
                    }
                }
                Err(error) => {
                    let _ = self.push(&mut outgoing, brief());
                    return Err(error.into());
                }
            }
            drop(outgoing);
            self.receive(deadline)?;
        }
    }

    fn new(stream: S, session: Session, role: Role) -> Self {
        Self {
            stream,
            shared: Arc::new(Shared {
                session: Mutex::new(session),
                outgoing: Mutex::default(),
            }),
            received: Some(Received::default()),
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
            is_open: false,
            role,
        }
    }

    /// Reads once from the stream below, all of whose bytes are decrypted.
    fn receive(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let stream = &mut self.stream;
        self.read_timeout
            .fit(deadline, |timeout| stream.set_read_timeout(timeout))?;
        let received = self.received.get_or_insert_default();
        let len = loop {
            match self.stream.read(received.spare_mut()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        received.commit(len);
        if len == 0 {
            self.shared.session().receive_eof();
        }
        Ok(())
    }

    /// Writes what is encrypted.
    fn push(&mut self, outgoing: &mut Outgoing, deadline: Option<Instant>) -> io::Result<()> {
        while outgoing.len() > 0 {
            let stream = &mut self.stream;
            self.write_timeout
                .fit(deadline, |timeout| stream.set_write_timeout(timeout))?;
            match self.stream.write(outgoing.unwritten()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => outgoing.consume(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.stream.flush()
    }

    /// Tells the peer what is wrong with what it sent, unless another thread is writing: that one
    /// fails next, and tells.
    fn alert(&mut self) {
        let shared = Arc::clone(&self.shared);
        if let Ok(mut outgoing) = shared.outgoing.try_lock() {
            shared.session().take_output(&mut outgoing);
            let _ = self.push(&mut outgoing, brief());
        }
    }

    /// Says `close_notify`, if the stream takes it at once: whoever shuts down has flushed before,
    /// and waits for nobody.
    fn close(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut outgoing = shared.outgoing();
        let mut session = shared.session();
        session.close();
        session.take_output(&mut outgoing);
        drop(session);
        self.push(&mut outgoing, brief())
    }
}

impl<S: Stream> Read for TlsStream<S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        let deadline = self.read_timeout.deadline();
        self.handshake_until(deadline)?;
        loop {
            let Some(received) = &mut self.received else {
                return Err(io::ErrorKind::Unsupported.into());
            };
            let decrypted = self.shared.session().decrypt(received, room);
            match decrypted {
                Ok(Decrypted::Bytes(len)) => return Ok(len),
                Ok(Decrypted::Nothing) => self.receive(deadline)?,
                Ok(Decrypted::Closed) => return Ok(0),
                Err(error) => {
                    self.alert();
                    return Err(error.into());
                }
            }
        }
    }
}

impl<S: Stream> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let deadline = self.write_timeout.deadline();
        if !self.is_open && self.role == Role::Server {
            // Only who has read a request has an answer, and a client that did not finish the
            // handshake in time gets no more time for it.
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.handshake_until(deadline)?;
        let shared = Arc::clone(&self.shared);
        let mut outgoing = shared.outgoing();
        self.push(&mut outgoing, deadline)?;
        let mut session = shared.session();
        let encrypted = session.encrypt(slices);
        session.take_output(&mut outgoing);
        drop(session);
        if encrypted.is_err() {
            let _ = self.push(&mut outgoing, brief());
        }
        Ok(encrypted?)
    }

    fn flush(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let deadline = self.write_timeout.deadline();
        self.push(&mut shared.outgoing(), deadline)
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)?;
        self.read_timeout = Timeout::new(timeout);
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)?;
        self.write_timeout = Timeout::new(timeout);
        Ok(())
    }

    fn shut_down(&mut self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write {
            return self.stream.shut_down(how);
        }
        let closed = self.close();
        match self.stream.shut_down(how) {
            // The peer was told.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => closed,
            shut => closed.and(shut),
        }
    }

    fn unflushed_len(&self) -> usize {
        self.shared.outgoing().len()
    }
}

impl<S: SplitStream> SplitStream for TlsStream<S> {
    /// It cannot be read.
    type Writer = TlsStream<S::Writer>;

    fn try_clone_writer(&self) -> io::Result<Self::Writer> {
        if !self.is_open {
            // Its reads and writes belong together.
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(TlsStream {
            stream: self.stream.try_clone_writer()?,
            shared: Arc::clone(&self.shared),
            received: None,
            read_timeout: self.read_timeout,
            write_timeout: self.write_timeout,
            is_open: true,
            role: self.role,
        })
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("stream", &self.stream)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timeout for a call that may have to read or write more than once: what is left of it is the
/// timeout of the stream below.
#[derive(Debug, Clone, Copy, Default)]
struct Timeout {
    /// That of a whole call.
    wanted: Option<Duration>,
    /// That of the stream below.
    applied: Option<Duration>,
}

impl Timeout {
    const fn new(timeout: Option<Duration>) -> Self {
        Self {
            wanted: timeout,
            applied: timeout,
        }
    }

    /// Returns when a call that begins now must end.
    fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.wanted?)
    }

    /// Applies what is left until `deadline`, seldom: a sixteenth more does no harm.
    fn fit(
        &mut self,
        deadline: Option<Instant>,
        set: impl FnOnce(Option<Duration>) -> io::Result<()>,
    ) -> io::Result<()> {
        let timeout = match deadline {
            None => None,
            Some(deadline) => {
                let remaining = deadline.saturating_duration_since(Instant::now());
                if remaining.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Some(at_least_a_tick(remaining))
            }
        };
        let fits = match (self.applied, timeout) {
            (None, None) => true,
            (Some(applied), Some(timeout)) => {
                applied >= timeout && applied - timeout <= applied / 16
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !fits {
            match set(timeout) {
                Ok(()) => self.applied = timeout,
                // It waits as long as it waits.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Returns when what only might be written must be: a stream that takes it at all takes it at once.
fn brief() -> Option<Instant> {
    Instant::now().checked_add(TICK)
}
