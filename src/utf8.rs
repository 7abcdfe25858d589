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
#[inline]
pub(crate) fn is_utf8(text: &[u8]) -> bool {
    core::str::from_utf8(text).is_ok()
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
        match core::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            // An error without a length is a character that the end of the input cut short.
            Err(error) if error.error_len().is_none() => {
                self.keep(&rest[error.valid_up_to()..]);
                Ok(())
            }
            Err(_) => Err(InvalidUtf8),
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
                Err(error) if error.error_len().is_none() => self.keep(&character[..len]),
                Err(_) => return Err(InvalidUtf8),
            }
        }
        Ok(rest)
    }

    /// Remembers a proper prefix of a character.
    fn keep(&mut self, prefix: &[u8]) {
        debug_assert!(prefix.len() <= 3, "four bytes are a whole character");
        let len = prefix.len().min(3);
        self.pending[..len].copy_from_slice(&prefix[..len]);
        self.pending_len = u8::try_from(len).unwrap_or(3);
    }
}

#[cfg(test)]
mod tests {
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
}
