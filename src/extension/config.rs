//! How permessage-deflate is wished for.
//!
//! A value of the application's. What two endpoints make of it is `negotiation`'s, and what is done
//! with that `deflate`'s.
//!
//! RFC 7692, section 7.1.

/// How permessage-deflate is offered, accepted and used.
///
/// A server uses it only where the application asks for it. Compressing a secret and text that an
/// attacker chooses in one window tells the attacker, by the length, whether they are alike (CRIME
/// and BREACH): send such messages with
/// [`Compression::Never`](crate::Compression::Never), or without context takeover and apart from
/// each other.
/// A connection that receives with context takeover holds 79 KiB from its first compressed message
/// on, and one that sends with it 371, 259 or 245 KiB for a window of 15, 12 or 9 bits. Without
/// takeover a connection holds nothing between messages: contexts belong to a pool of the thread.
#[doc(alias("permessage-deflate", "compression"))]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateConfig {
    /// How hard to compress, from 0 to 9; larger values count as 9. Default: 1.
    ///
    /// On messages of a few KiB the higher levels cost several times as much and save little.
    pub level: u32,
    /// Messages below this many bytes are sent as they are. Default: 64.
    ///
    /// They rarely shrink enough to be worth the time. A message that is sent in fragments counts
    /// by its first.
    pub min_len: usize,
    /// The server forgets its window after every message. Default: false.
    ///
    /// It then needs no memory between messages, and compresses less, most of all short messages
    /// that are alike.
    pub server_no_context_takeover: bool,
    /// The client forgets its window after every message. Default: false.
    pub client_no_context_takeover: bool,
    /// The size of the server's window as a power of two, from 9 to 15; other values count as the
    /// nearest. Default: 15, which is 32 KiB.
    pub server_max_window_bits: u8,
    /// The size of the client's window, likewise.
    pub client_max_window_bits: u8,
}

impl DeflateConfig {
    pub(super) fn server_bits(&self) -> u8 {
        self.server_max_window_bits
            .clamp(SMALLEST_WINDOW, LARGEST_WINDOW)
    }

    pub(super) fn client_bits(&self) -> u8 {
        self.client_max_window_bits
            .clamp(SMALLEST_WINDOW, LARGEST_WINDOW)
    }
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 1,
            min_len: 64,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: LARGEST_WINDOW,
            client_max_window_bits: LARGEST_WINDOW,
        }
    }
}

/// The power of two of the smallest window that zlib can compress with.
pub(super) const SMALLEST_WINDOW: u8 = 9;

/// The power of two of the largest window, which is as far as DEFLATE can refer back.
pub(super) const LARGEST_WINDOW: u8 = 15;
