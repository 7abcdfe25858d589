//! What a WebSocket is made of, whole or split, and when its output is written.
//!
//! Values, and decisions over the state of a connection; the reading and writing is done by the
//! adapters.

use std::time::{Duration, Instant};

use crate::connection::{Connection, RecvBuffer, SendBuffer, State, Teardown};
#[cfg(any(feature = "tokio", feature = "futures-io"))]
use crate::message::Message;

/// What a WebSocket is made of.
#[derive(Debug)]
pub struct Parts<S> {
    /// The stream.
    pub stream: S,
    /// The state of the connection.
    pub connection: Connection,
    /// What was received and not consumed.
    pub input: RecvBuffer,
    /// What was queued and not written.
    pub output: SendBuffer,
}

/// How long a write may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WritePatience {
    /// How long no byte may leave.
    pub(crate) stall: Option<Duration>,
    /// When all must have left.
    pub(crate) deadline: Option<Instant>,
}

/// Returns how long a write may take: while the connection closes, no longer than that may.
pub(crate) fn write_patience(
    connection: &Connection,
    now: impl FnOnce() -> Instant,
) -> WritePatience {
    let config = connection.config();
    let deadline = match connection.state() {
        State::Open => None,
        State::Closing | State::Closed => connection.next_deadline().or_else(|| {
            // Nobody is waited for any more, and least of all longer than a close may take.
            let is_over = connection.teardown() == Teardown::Drop;
            let timeout = config.close_timeout.filter(|_| is_over)?;
            now().checked_add(timeout)
        }),
    };
    WritePatience {
        stall: config.write_timeout,
        deadline,
    }
}

/// Whether queued bytes are written though nothing waits for it.
///
/// Many are, because more would not make the kernel faster. So is a Pong, because the next Ping
/// would take its place: every Ping is answered, unless the peer does not read.
pub(crate) fn is_due(connection: &Connection, output: &SendBuffer) -> bool {
    let most = WRITTEN_LEN.min(connection.config().write_high_water);
    output.len() >= most || output.pong_waits()
}

/// Whether a message is the application's; others are answered, or noted, by the core.
#[cfg(any(feature = "tokio", feature = "futures-io"))]
pub(crate) const fn is_data(message: &Message) -> bool {
    match message {
        Message::Text(_) | Message::Binary(_) => true,
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => false,
    }
}

/// Writing more at once does not make the kernel faster.
pub(crate) const WRITTEN_LEN: usize = 64 << 10;
