//! UTF-8 that arrives in pieces.
//!
//! Knows bytes and nothing else: no frames, no messages, no close codes. A piece may end inside a
//! character; a sequence that no further byte could complete is refused at the byte that shows it.
//!
//! RFC 6455, section 8.1; RFC 3629.

/// The bytes fed so far cannot be the beginning of any valid UTF-8 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

/// Whether a whole text is valid.
///
/// Short texts, which are the commonest, are mostly ASCII, and to find that out is no call.
#[inline]
pub(crate) fn is_utf8(text: &[u8]) -> bool {
    if text.len() <= SHORT_LEN {
        is_short_ascii(text) || core::str::from_utf8(text).is_ok()
    } else {
        is_long_utf8(text)
    }
}

/// Validates UTF-8 as it comes, in pieces of any length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Utf8Validator {
    /// The first bytes of a character that the last piece left unfinished.
    ///
    /// INVARIANT: `pending[..pending_len]` is a proper prefix of at least one valid character.
    pending: [u8; 3],
    pending_len: u8,
}

impl Utf8Validator {
    pub(crate) const fn new() -> Self {
        Self {
            pending: [0; 3],
            pending_len: 0,
        }
    }

    /// Takes the next piece.
    ///
    /// After an error the validator's state means nothing.
    #[inline]
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        let rest = if self.pending_len == 0 {
            piece
        } else {
            self.complete_character(piece)?
        };
        let (whole, unfinished) = split_unfinished(rest);
        if !is_utf8(whole) {
            return Err(InvalidUtf8);
        }
        if !unfinished.is_empty() {
            self.keep_if_valid(unfinished)?;
        }
        Ok(())
    }

    /// Takes the next piece, which somebody saw to be ASCII.
    #[inline]
    pub(crate) const fn feed_ascii(&self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        // No character goes on with a byte of ASCII.
        if self.is_complete() || piece.is_empty() {
            Ok(())
        } else {
            Err(InvalidUtf8)
        }
    }

    /// Whether the text so far ends with a whole character.
    #[inline]
    pub(crate) const fn is_complete(&self) -> bool {
        self.pending_len == 0
    }

    /// Feeds the unfinished character byte by byte and returns what follows it.
    fn complete_character<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], InvalidUtf8> {
        let mut rest = piece;
        let mut character = [0; 4];
        let mut len = usize::from(self.pending_len);
        character[..len].copy_from_slice(&self.pending[..len]);
        while let Some((&byte, tail)) = rest.split_first() {
            // A proper prefix has at most three bytes, so there is room for one more.
            character[len] = byte;
            len += 1;
            rest = tail;
            match core::str::from_utf8(&character[..len]) {
                Ok(_) => {
                    self.pending_len = 0;
                    return Ok(rest);
                }
                Err(_) => self.keep_if_valid(&character[..len])?,
            }
        }
        Ok(rest)
    }

    /// Remembers the beginning of a character, if any character begins so.
    fn keep_if_valid(&mut self, prefix: &[u8]) -> Result<(), InvalidUtf8> {
        match core::str::from_utf8(prefix) {
            // An error without a length is a character that the end of the input cut short.
            Err(error) if error.error_len().is_none() => {
                let len = prefix.len().min(3);
                self.pending[..len].copy_from_slice(&prefix[..len]);
                self.pending_len = u8::try_from(len).unwrap_or(3);
                Ok(())
            }
            Ok(_) | Err(_) => Err(InvalidUtf8),
        }
    }
}

/// Splits off a last character that has fewer bytes than its first one says.
#[inline]
fn split_unfinished(text: &[u8]) -> (&[u8], &[u8]) {
    let is_first = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    // A character that lacks a byte has three at most.
    let Some(behind) = text.iter().rev().take(3).position(is_first) else {
        return (text, &[]);
    };
    let start = text.len() - 1 - behind;
    let len = match text[start] {
        0b1111_0000.. => 4,
        0b1110_0000.. => 3,
        0b1100_0000.. => 2,
        0b0000_0000.. => 1,
    };
    if len > text.len() - start {
        text.split_at(start)
    } else {
        (text, &[])
    }
}

/// Whether at most [`SHORT_LEN`] bytes are ASCII.
#[inline]
fn is_short_ascii(text: &[u8]) -> bool {
    debug_assert!(text.len() <= SHORT_LEN);
    match text.len() {
        16.. => are_ends_ascii::<16>(text),
        8.. => are_ends_ascii::<8>(text),
        4.. => are_ends_ascii::<4>(text),
        0.. => text.is_ascii(),
    }
}

/// Validates more than [`SHORT_LEN`] bytes.
fn is_long_utf8(text: &[u8]) -> bool {
    if text.len() >= ASCII_FIRST_LEN {
        return is_valid(text);
    }
    let Some(last) = text.last_chunk::<BLOCK_LEN>() else {
        return are_ends_ascii::<SHORT_LEN>(text) || is_valid(text);
    };
    let blocks = text.as_chunks::<BLOCK_LEN>().0;
    let ascii = blocks.iter().take_while(|block| is_ascii(block)).count();
    let rest = &text[ascii * BLOCK_LEN..];
    (rest.len() < BLOCK_LEN && is_ascii(last)) || is_valid(rest)
}

/// Validates with the vectors of the machine.
#[cfg(feature = "simdutf8")]
fn is_valid(text: &[u8]) -> bool {
    simdutf8::basic::from_utf8(text).is_ok()
}

/// Validates as the standard library does.
#[cfg(not(feature = "simdutf8"))]
fn is_valid(text: &[u8]) -> bool {
    core::str::from_utf8(text).is_ok()
}

/// Whether between `N` and `2 * N` bytes are ASCII: the first and the last, which overlap.
#[inline]
fn are_ends_ascii<const N: usize>(text: &[u8]) -> bool {
    match (text.first_chunk::<N>(), text.last_chunk::<N>()) {
        (Some(first), Some(last)) => is_ascii(first) & is_ascii(last),
        (None, _) | (_, None) => false,
    }
}

/// Whether a few bytes of a known number are ASCII, without a branch.
#[inline]
fn is_ascii<const N: usize>(bytes: &[u8; N]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) < 0b1000_0000
}

/// The longest text that is found to be ASCII without a call.
const SHORT_LEN: usize = 32;

/// How much is found to be ASCII in one go.
const BLOCK_LEN: usize = 64;

/// Up to here a loop over the ASCII in front is over before a validator has begun.
const ASCII_FIRST_LEN: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the validator says of `pieces`: the number of the piece that failed, or completeness.
    fn judge<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<bool, usize> {
        let mut validator = Utf8Validator::new();
        for (index, piece) in pieces.into_iter().enumerate() {
            validator.feed(piece).map_err(|InvalidUtf8| index)?;
        }
        Ok(validator.is_complete())
    }

    #[test]
    fn every_split_of_a_text_is_valid() {
        let text = "a\0é\u{7ff}\u{800}€\u{ffff}\u{feff}𐍈\u{10ffff}z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(judge(pieces), Ok(true), "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn the_first_byte_that_cannot_be_completed_is_refused() {
        // The sequence, and the number of its bytes that may still become a character.
        let cases: [(&[u8], usize); 12] = [
            (b"\x80", 0),
            (b"\xc0\x80", 0),
            (b"\xc1\xbf", 0),
            (b"\xe0\x80\x80", 1),
            (b"\xed\xa0\x80", 1),
            (b"\xf0\x80\x80\x80", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5\x80\x80\x80", 0),
            (b"\xff", 0),
            (b"\xe2\x82\x41", 2),
            (b"\xf0\x9f\x98\x41", 3),
            (b"\xc3\xc3", 1),
        ];
        for (bytes, completable) in cases {
            assert_eq!(
                judge(bytes.chunks(1)),
                Err(completable),
                "{bytes:x?} byte by byte"
            );
            assert_eq!(judge([bytes]), Err(0), "{bytes:x?} at once");
            assert!(
                judge([&bytes[..completable]]).is_ok(),
                "prefix of {bytes:x?}"
            );
        }
    }

    #[test]
    fn an_unfinished_character_is_valid_but_not_complete() {
        assert_eq!(judge([b"\xf0\x9f\x98".as_slice()]), Ok(false));
        assert_eq!(judge([b"\xf0".as_slice(), b"", b"\x9f"]), Ok(false));
        assert_eq!(
            judge([b"\xf0".as_slice(), b"\x9f\x98", b"\x80abc\xc3"]),
            Ok(false)
        );
    }

    #[test]
    fn every_two_byte_prefix_agrees_with_the_standard_library() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let bytes = [first, second];
                let expected = match core::str::from_utf8(&bytes) {
                    Ok(_) => Some(true),
                    Err(error) if error.error_len().is_none() => Some(false),
                    Err(_) => None,
                };
                assert_eq!(judge([&bytes[..]]).ok(), expected);
                assert_eq!(judge(bytes.chunks(1)).ok(), expected);
            }
        }
    }

    /// Lengths on both sides of every way that a text may take.
    fn lens() -> impl Iterator<Item = usize> {
        (0..=200).chain([ASCII_FIRST_LEN - 1, ASCII_FIRST_LEN, ASCII_FIRST_LEN + 65])
    }

    #[test]
    fn every_place_of_a_sequence_agrees_with_the_standard_library() {
        let sequences: [&[u8]; 9] = [
            b"a",
            "é".as_bytes(),
            "€".as_bytes(),
            "𐍈".as_bytes(),
            b"\x80",
            b"\xc0\xaf",
            b"\xe2\x82",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
        ];
        for len in lens() {
            for sequence in sequences {
                for start in 0..=len {
                    let mut text = vec![b'a'; len];
                    text.splice(start..start, sequence.iter().copied());
                    let expected = core::str::from_utf8(&text).is_ok();
                    assert_eq!(
                        is_utf8(&text),
                        expected,
                        "{sequence:x?} at {start} of {len}"
                    );
                    // As the end of a piece it may be unfinished.
                    text.truncate(start + sequence.len());
                    assert_eq!(judge([&text[..]]), expectation([&text[..]]));
                }
            }
        }
    }

    /// What the standard library says of ever longer prefixes of the whole.
    fn expectation<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<bool, usize> {
        let mut text = Vec::new();
        let mut is_complete = true;
        for (index, piece) in pieces.into_iter().enumerate() {
            text.extend_from_slice(piece);
            is_complete = match core::str::from_utf8(&text) {
                Ok(_) => true,
                Err(error) if error.error_len().is_none() => false,
                Err(_) => return Err(index),
            };
        }
        Ok(is_complete)
    }

    /// Runs of ASCII and of other characters, as long as blocks, some with broken bytes between.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let run = prop_oneof![
            4 => "[a-z]{0,150}".prop_map(String::into_bytes),
            4 => "[à-ÿ€-₿一-三𐍈-𐍊]{0,60}".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(run, 0..12).prop_map(|runs| runs.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn pieces_are_judged_as_the_standard_library_judges_their_sum(
            text in texts(),
            lens in prop::collection::vec(prop_oneof![0_usize..8, 0_usize..300], 1..20),
        ) {
            let mut pieces = Vec::new();
            let mut rest = &text[..];
            for len in lens {
                let (piece, tail) = rest.split_at(len.min(rest.len()));
                pieces.push(piece);
                rest = tail;
            }
            pieces.push(rest);
            prop_assert_eq!(is_utf8(&text), core::str::from_utf8(&text).is_ok());
            prop_assert_eq!(judge(pieces.iter().copied()), expectation(pieces));
        }
    }
}
