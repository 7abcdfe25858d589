//! Extensions: what may be done to the payload of a message between the wire and the application.
//!
//! The seam between `connection`, which knows that a reserved bit is claimed, and the one extension
//! there is. It knows no message and no role.
//!
//! RFC 6455, section 9.

#[cfg(feature = "deflate")]
mod config;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(feature = "deflate")]
mod negotiation;
mod offer;

use core::fmt;

use crate::error::{HandshakeError, ProtocolError};
use crate::frame::Rsv;

#[cfg(feature = "deflate")]
pub use config::DeflateConfig;
pub use offer::ExtensionOffer;
pub(crate) use offer::{judge_offers, parse_offers};

/// The extensions that an endpoint is willing to use: none, unless it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extensions {
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<DeflateConfig>,
}

impl Extensions {
    pub(crate) const fn none() -> Self {
        Self {
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// Returns what a client offers, as the value of Sec-WebSocket-Extensions.
    pub(crate) fn offer(&self) -> Option<String> {
        #[cfg(feature = "deflate")]
        if let Some(config) = &self.deflate {
            return Some(negotiation::make_offer(config));
        }
        None
    }

    /// Judges a server's answer to [`offer`](Self::offer).
    pub(crate) fn judge_answer(
        &self,
        answer: &[ExtensionOffer],
    ) -> Result<Option<Box<dyn Extension>>, HandshakeError> {
        #[cfg(feature = "deflate")]
        if let Some(config) = &self.deflate {
            let agreement = negotiation::judge_answer(config, answer)?;
            return Ok(agreement.map(|agreement| {
                Box::new(deflate::Deflate::of_client(config, agreement)) as Box<dyn Extension>
            }));
        }
        // 4.1 item 5: "an extension that was not present in the client's handshake".
        if answer.is_empty() {
            Ok(None)
        } else {
            Err(HandshakeError::ExtensionNotOffered)
        }
    }

    /// Accepts one of a client's offers, and returns the answer to it as well.
    pub(crate) fn accept(
        &self,
        offers: impl FnOnce() -> Vec<ExtensionOffer>,
    ) -> Option<(String, Box<dyn Extension>)> {
        #[cfg(feature = "deflate")]
        if let Some(config) = &self.deflate {
            let (agreement, answer) = negotiation::accept_offer(config, &offers())?;
            let extension = deflate::Deflate::of_server(config, agreement);
            return Some((answer, Box::new(extension)));
        }
        // Every offer is declined, and need not be parsed again.
        drop(offers);
        None
    }
}

/// An extension that was negotiated: it transforms the payload of whole messages.
///
/// A message that it transformed carries [`rsv`](Self::rsv) on its first frame.
pub(crate) trait Extension: fmt::Debug + Send + Sync {
    /// Returns the reserved bit that the extension claims on the first frame of a message.
    fn rsv(&self) -> Rsv;

    /// Decodes a piece of a message that came, into `output`: one step, to be repeated with the
    /// rest of the piece until it is done.
    ///
    /// On an error, what could be decoded before it was written.
    fn decode(&mut self, piece: &[u8], last: Last, output: &mut [u8]) -> Step;

    /// Whether a message of this length is worth encoding.
    fn is_worth_encoding(&self, len: usize) -> bool;

    /// Whether messages can be encoded at all: the peer may have made it impossible.
    fn can_encode(&self) -> bool;

    /// Encodes a piece of a message, the last one if `fin`, and appends it to `output`.
    fn encode(&mut self, piece: &[u8], fin: bool, output: &mut Vec<u8>);

    /// Encodes a whole message so that it refers to none before it, and appends it to `output`.
    ///
    /// [`diverge`](Self::diverge) where it is sent.
    fn encode_alone(&self, message: &[u8], output: &mut Vec<u8>);

    /// Returns what [`encode_alone`](Self::encode_alone) depends on, besides the message.
    fn variant(&self) -> Variant;

    /// Notes that what was encoded is not what the peer will have seen, so that the next message
    /// must refer to none before it.
    ///
    /// No message may be unfinished.
    fn diverge(&mut self);
}

/// The settings that a message is encoded with, as a number: where they are equal, what comes of it
/// is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variant(pub(crate) u32);

/// Whether a piece is the last of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Yes,
    No,
}

/// What one step of decoding came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many bytes of the piece were consumed.
    pub(crate) consumed: usize,
    /// How many bytes of the output were written.
    pub(crate) written: usize,
    /// Whether all of the piece was decoded; of the last one, the message too.
    pub(crate) done: bool,
    /// Why decoding cannot go on.
    pub(crate) error: Option<ProtocolError>,
}
