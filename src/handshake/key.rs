//! The key of the opening handshake, and its answer.
//!
//! Knows 16 bytes, base64 and SHA-1; not the headers that carry them.
//!
//! RFC 6455, sections 4.1 and 4.2.2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Returns the value of Sec-WebSocket-Accept that answers a Sec-WebSocket-Key.
///
/// For servers whose HTTP is somebody else's. The key is taken as it stands in the header, without
/// white space around it.
///
/// ```
/// // RFC 6455, section 1.3.
/// assert_eq!(
///     &framewright::handshake::accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
///     b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
/// );
/// ```
#[doc(alias("derive_accept_key", "Sec-WebSocket-Accept"))]
pub fn accept_key(sec_websocket_key: &[u8]) -> [u8; ACCEPT_LEN] {
    let mut accept = [0; ACCEPT_LEN];
    write_accept_key(sec_websocket_key, &mut accept);
    accept
}

/// Appends what [`accept_key`] returns: written in its place, because what is written in small
/// pieces is slow to move.
pub(super) fn append_accept_key(sec_websocket_key: &[u8], output: &mut Vec<u8>) {
    let start = output.len();
    output.resize(start + ACCEPT_LEN, 0);
    write_accept_key(sec_websocket_key, &mut output[start..]);
}

fn write_accept_key(sec_websocket_key: &[u8], accept: &mut [u8]) {
    let hash = if let Ok(key) = sec_websocket_key.try_into() {
        // In one piece: of several the hash keeps a copy, and waits for the stores that made it.
        Sha1::digest(with_guid(key))
    } else {
        Sha1::new()
            .chain_update(sec_websocket_key)
            .chain_update(GUID)
            .finalize()
    };
    let encoded = STANDARD.encode_slice(hash, accept);
    debug_assert_eq!(encoded, Ok(ACCEPT_LEN), "20 bytes are 28 characters");
}

/// Returns a key and the GUID behind it.
fn with_guid(key: &[u8; KEY_LEN]) -> [u8; KEY_LEN + GUID.len()] {
    let mut both = [0; KEY_LEN + GUID.len()];
    both[..KEY_LEN].copy_from_slice(key);
    both[KEY_LEN..].copy_from_slice(GUID);
    both
}

/// Returns the Sec-WebSocket-Key of a nonce.
pub(super) fn encode_nonce(nonce: [u8; NONCE_LEN]) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    let encoded = STANDARD.encode_slice(nonce, &mut key);
    debug_assert_eq!(encoded, Ok(KEY_LEN), "16 bytes are 24 characters");
    key
}

/// Whether a Sec-WebSocket-Key "when decoded, is 16 bytes in length" (4.1).
pub(super) fn is_key(key: &[u8]) -> bool {
    // 16 bytes are 22 digits of base64, which have four bits to spare, and the padding. 4.1's own
    // example of a key, `AQIDBAUGBwgJCgsMDQ4PEC==`, has spare bits that are not zero; RFC 4648,
    // section 3.5, lets a decoder take them.
    let Some(([digits @ .., b'=', b'='], [])) = key.split_first_chunk::<KEY_LEN>() else {
        return false;
    };
    // Without an early end, this is done on all digits at once.
    digits.iter().fold(true, |all, digit| {
        all & (digit.is_ascii_alphanumeric() | matches!(digit, b'+' | b'/'))
    })
}

/// 1.3: the globally unique identifier that no other protocol's endpoint would append.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const NONCE_LEN: usize = 16;
const KEY_LEN: usize = 24;
const ACCEPT_LEN: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sixteen_bytes_in_padded_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key(&encode_nonce([0xff; 16])));
        assert!(is_key(b"AQIDBAUGBwgJCgsMDQ4PEC=="));
        let refused: [&[u8]; 9] = [
            b"",
            b"dGhlIHNhbXBsZSBub25jZQ",       // no padding
            b"dGhlIHNhbXBsZSBub25jZQ=",      // half of it
            b"AAAAAAAAAAAAAAAAAAAA",         // 15 bytes
            b"AAAAAAAAAAAAAAAAAAAAAAA=",     // 17 bytes
            b"____________________-w==",     // the URL alphabet
            b"dGhlIHNhbXBs ZSBub25jZQ=",     // a space inside
            b"dGhlIHNhbXBsZSBub25jZQ==dGhl", // more behind it
            b"!!!!!!!!!!!!!!!!!!!!!!!!",
        ];
        for key in refused {
            assert!(!is_key(key), "{}", key.escape_ascii());
        }
    }
}
