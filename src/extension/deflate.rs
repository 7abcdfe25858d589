//! permessage-deflate: messages compressed one by one, with or without memory of those before.
//!
//! Puts the two directions behind the seam: `encoder` and `decoder` with what the next message may
//! refer back to, lent by `pool` where it may not. It knows nothing of headers beyond the bit that
//! it claims, and of limits nothing: it works in steps, and its caller counts.
//!
//! RFC 7692, sections 6 and 7.

mod decoder;
mod encoder;
mod history;
mod pool;

use core::fmt;

use self::decoder::Decoder;
use self::encoder::{Encoder, EncoderSettings};
use super::config::{DeflateConfig, SMALLEST_WINDOW};
use super::negotiation::Agreement;
use super::{Extension, Last, Step, Variant};
use crate::frame::Rsv;

/// The extension as it was agreed on, at one end of a connection.
///
/// It owns no memory before the first compressed message of a direction.
pub(crate) struct Deflate {
    encoder: Encoder,
    decoder: Decoder,
    min_len: usize,
}

impl Deflate {
    /// Makes the extension of the server's end.
    pub(crate) fn of_server(config: &DeflateConfig, agreement: Agreement) -> Self {
        Self::new(
            config,
            agreement.server_max_window_bits,
            Takeover::unless(agreement.server_no_context_takeover),
            Takeover::unless(agreement.client_no_context_takeover),
        )
    }

    /// Makes the extension of the client's end.
    pub(crate) fn of_client(config: &DeflateConfig, agreement: Agreement) -> Self {
        Self::new(
            config,
            agreement.client_max_window_bits,
            Takeover::unless(agreement.client_no_context_takeover),
            Takeover::unless(agreement.server_no_context_takeover),
        )
    }

    fn new(
        config: &DeflateConfig,
        own_window_bits: u8,
        own_takeover: Takeover,
        their_takeover: Takeover,
    ) -> Self {
        Self {
            encoder: Encoder {
                context: None,
                settings: EncoderSettings {
                    level: config.level.min(9),
                    window_bits: own_window_bits,
                },
                takeover: own_takeover,
                has_diverged: false,
            },
            decoder: Decoder {
                context: None,
                takeover: their_takeover,
                needs_tail: false,
                streams: 0,
            },
            min_len: config.min_len,
        }
    }
}

/// Whether a message may refer back to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takeover {
    Yes,
    No,
}

impl Takeover {
    const fn unless(no_context_takeover: bool) -> Self {
        if no_context_takeover {
            Self::No
        } else {
            Self::Yes
        }
    }
}

impl Extension for Deflate {
    fn rsv(&self) -> Rsv {
        // 6: "This document allocates the RSV1 bit of the WebSocket header for PMCEs".
        Rsv::RSV1
    }

    fn decode(&mut self, piece: &[u8], last: Last, output: &mut [u8]) -> Step {
        self.decoder.decode(piece, last, output)
    }

    fn is_worth_encoding(&self, len: usize) -> bool {
        len >= self.min_len
    }

    fn can_encode(&self) -> bool {
        // A window of 256 bytes is what no zlib can compress with; uncompressed is always legal.
        self.encoder.settings.window_bits >= SMALLEST_WINDOW
    }

    fn encode(&mut self, piece: &[u8], fin: bool, output: &mut Vec<u8>) {
        self.encoder.encode(piece, fin, output);
    }

    fn encode_alone(&self, message: &[u8], output: &mut Vec<u8>) {
        encoder::encode_alone(self.encoder.settings, message, output);
    }

    fn variant(&self) -> Variant {
        let EncoderSettings { level, window_bits } = self.encoder.settings;
        Variant(level << 8 | u32::from(window_bits))
    }

    fn diverge(&mut self) {
        // Without a context there is nothing to refer to.
        self.encoder.has_diverged = self.encoder.context.is_some();
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflate")
            .field("settings", &self.encoder.settings)
            .field("own_takeover", &self.encoder.takeover)
            .field("their_takeover", &self.decoder.takeover)
            .finish_non_exhaustive()
    }
}

/// 7.2.1: what ends a flush, and is left out at the end of a message; 7.2.2 item 1: "Append 4
/// octets of 0x00 0x00 0xff 0xff to the tail end".
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
