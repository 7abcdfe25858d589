//! How a connection ended, as a value.
//!
//! Knows the two Close frames and the cause; not how a transport is torn down.
//!
//! RFC 6455, sections 7.1.4 to 7.1.6.

use crate::error::ProtocolError;
use crate::frame::{CloseCode, CloseFrame};

/// How a connection ended: the Close frames both ways, who began, and why.
#[doc(alias("ConnectionClosed", "close_frame"))]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// The Close frame that we sent; `Some(None)` is one without a code.
    pub sent: Option<Option<CloseFrame<'static>>>,
    /// The Close frame that we received; `Some(None)` is one without a code.
    pub received: Option<Option<CloseFrame<'static>>>,
    /// Who sent the first Close frame; `None` if nobody did.
    pub initiator: Option<Initiator>,
    /// What brought the end about.
    pub cause: EndCause,
}

impl End {
    pub(super) const fn new(cause: EndCause) -> Self {
        Self {
            sent: None,
            received: None,
            initiator: None,
            cause,
        }
    }

    /// Returns _The WebSocket Connection Close Code_ of section 7.1.5.
    ///
    /// That is the code received; 1005 if the Close frame had none; 1006 if there was no Close
    /// frame. The latter two are never on the wire, which is why this is a number.
    pub fn code(&self) -> u16 {
        match &self.received {
            Some(Some(frame)) => frame.code.get(),
            Some(None) => NO_STATUS_RECEIVED,
            None => ABNORMAL_CLOSURE,
        }
    }

    /// Returns _The WebSocket Connection Close Reason_ of section 7.1.6, often empty.
    pub fn reason(&self) -> &str {
        match &self.received {
            Some(Some(frame)) => &frame.reason,
            Some(None) | None => "",
        }
    }

    /// Whether the closing handshake was completed (7.1.4): both Close frames passed, whatever they
    /// say.
    pub const fn is_clean(&self) -> bool {
        self.sent.is_some() && self.received.is_some()
    }

    /// Returns the code that we sent, if we sent one.
    pub fn sent_code(&self) -> Option<CloseCode> {
        Some(self.sent.as_ref()?.as_ref()?.code)
    }
}

/// Who began the closing handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// This endpoint.
    Local,
    /// The other one.
    Peer,
}

/// What brought a connection to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndCause {
    /// One of the two wanted to close, and both did.
    ClosingHandshake,
    /// The peer broke a rule.
    Protocol(ProtocolError),
    /// Nothing came in answer to a keepalive Ping within
    /// [`pong_timeout`](crate::Config::pong_timeout).
    KeepaliveTimeout,
    /// No message passed within [`idle_timeout`](crate::Config::idle_timeout).
    IdleTimeout,
    /// The peer did not answer our Close within [`close_timeout`](crate::Config::close_timeout).
    CloseTimeout,
    /// The transport ended before the closing handshake did.
    #[doc(alias = "ResetWithoutClosingHandshake")]
    EndOfStream,
    /// The transport failed, or took no bytes within
    /// [`write_timeout`](crate::Config::write_timeout).
    Transport,
}

/// 7.4.1: "MUST NOT be set as a status code in a Close control frame by an endpoint".
const NO_STATUS_RECEIVED: u16 = 1005;
/// 7.4.1, likewise.
const ABNORMAL_CLOSURE: u16 = 1006;
