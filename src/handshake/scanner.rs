//! The end of an HTTP/1.1 head, looked for as its bytes come, and the ends of its lines.
//!
//! Strict where a lenient reader and a strict one would disagree about what was said, because that
//! is how requests are smuggled: every line ends in CRLF, none is folded. What the lines say is
//! `head`'s to know.
//!
//! RFC 9112, section 2.2.

use crate::connection::Config;
use crate::error::HandshakeError;

/// Looks for the end of a head as its bytes come, at each byte once.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    /// How many bytes were looked at.
    scanned: usize,
    /// How many bytes the line in progress has, its CR counted.
    line_len: usize,
    /// How many lines have ended, the empty one before the head not counted.
    lines: usize,
    /// Whether the last byte was a CR.
    after_cr: bool,
    /// Whether an empty line came before the head.
    skipped_line: bool,
}

/// What a scanner does with bytes before the head, and with a first line that is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadKind {
    Request,
    Response,
}

impl HeadScanner {
    /// Returns the length of the head, its empty line included; `None` if it needs more bytes.
    ///
    /// `bytes` are all bytes so far: what was looked at is not looked at again.
    pub(super) fn scan(
        &mut self,
        kind: HeadKind,
        config: &Config,
        bytes: &[u8],
    ) -> Result<Option<usize>, HandshakeError> {
        while let Some(&byte) = bytes.get(self.scanned) {
            if self.scanned >= config.max_head_len {
                return Err(HandshakeError::HeadTooLong);
            }
            self.scanned += 1;
            // RFC 9112, section 2.2: a bare CR is an element that must not be accepted, and a bare
            // LF one that need not be.
            if self.after_cr != (byte == b'\n') {
                return Err(HandshakeError::HeadMalformed);
            }
            match byte {
                b'\r' => {
                    self.after_cr = true;
                    self.line_len += 1;
                }
                b'\n' => {
                    let is_empty = self.line_len == 1;
                    self.after_cr = false;
                    self.line_len = 0;
                    if !is_empty {
                        self.lines += 1;
                        if self.lines - 1 > config.max_headers {
                            return Err(HandshakeError::TooManyHeaders);
                        }
                    } else if self.lines > 0 {
                        return Ok(Some(self.scanned));
                    } else if kind == HeadKind::Request && !self.skipped_line {
                        // "a server [...] SHOULD ignore at least one empty line (CRLF) received
                        // prior to the request-line."
                        self.skipped_line = true;
                    } else {
                        return Err(HandshakeError::HeadMalformed);
                    }
                }
                // RFC 9112, section 5.2: a line that begins with white space continues the one
                // before it, which a server may reject.
                b' ' | b'\t' if self.line_len == 0 => return Err(HandshakeError::HeadMalformed),
                0..=8 | 11..=31 | 127 => return Err(HandshakeError::HeadMalformed),
                // RFC 9112, section 3: no part of a request line has a byte outside ASCII.
                128.. if kind == HeadKind::Request && self.lines == 0 => {
                    return Err(HandshakeError::HeadMalformed);
                }
                _ => {
                    self.line_len += 1;
                    self.skip_printable(kind, config, bytes)?;
                }
            }
        }
        Ok(None)
    }

    /// Skips printable bytes, and ends of lines between them.
    ///
    /// No rule but the limits is about them, unless a line begins with a space: what is near a
    /// limit is left to [`scan`](Self::scan).
    fn skip_printable(
        &mut self,
        kind: HeadKind,
        config: &Config,
        bytes: &[u8],
    ) -> Result<(), HandshakeError> {
        let bytes = &bytes[..config.max_head_len.min(bytes.len())];
        let (mut scanned, mut line_len) = (self.scanned, self.line_len);
        loop {
            let mut rest = &bytes[scanned..];
            if kind == HeadKind::Request && self.lines == 0 {
                let room = config.max_request_line_len.checked_sub(line_len);
                let room = room.ok_or(HandshakeError::RequestLineTooLong)?;
                rest = &rest[..room.min(rest.len())];
            }
            let len = printable_len(rest);
            scanned += len;
            line_len += len;
            let Some([b'\r', b'\n', b'!'..=b'~']) = bytes[scanned..].first_chunk() else {
                break;
            };
            if self.lines > config.max_headers {
                break;
            }
            self.lines += 1;
            scanned += 3;
            line_len = 1;
        }
        self.scanned = scanned;
        self.line_len = line_len;
        Ok(())
    }

    /// Whether no byte was looked at.
    pub(super) const fn is_new(&self) -> bool {
        self.scanned == 0
    }

    /// Returns how many header lines the head has, once its end was found.
    pub(super) fn header_lines(&self) -> usize {
        self.lines.saturating_sub(1)
    }
}

/// Whether each CR stands before a LF, and each LF behind a CR but for one that is the first byte,
/// in bytes that end in CRLF.
///
/// For a head that came whole: without an early end, many bytes are judged at once.
pub(super) fn lines_end_in_crlf(bytes: &[u8]) -> bool {
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    pairs.fold(true, |all, (before, byte)| {
        all & ((*before == b'\r') == (*byte == b'\n'))
    })
}

/// Returns how many bytes at the front are printable ASCII, the space among it.
fn printable_len(bytes: &[u8]) -> usize {
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
    let mut len = 0;
    // Without an early end, a block is looked at all at once.
    for block in bytes.as_chunks::<16>().0 {
        if !block
            .iter()
            .fold(true, |all, byte| all & is_printable(byte))
        {
            break;
        }
        len += block.len();
    }
    let (words, tail) = bytes[len..].as_chunks();
    for word in words {
        // The lowest byte that is not printable is marked by its highest bit; carries and borrows
        // come from such a byte alone, so they mark none below it.
        let word = u64::from_le_bytes(*word);
        let from_127 = word | word.wrapping_add(every_byte(1));
        let below_32 = word.wrapping_sub(every_byte(b' '));
        let marks = (from_127 | below_32) & every_byte(1 << 7);
        if marks != 0 {
            let [before, ..] = (marks.trailing_zeros() / 8).to_le_bytes();
            return len + usize::from(before);
        }
        len += word.to_le_bytes().len();
    }
    let tail_len = tail.iter().position(|byte| !is_printable(byte));
    len + tail_len.unwrap_or(tail.len())
}

/// Returns a word all bytes of which are this one.
const fn every_byte(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printable_ends_at_the_first_byte_that_is_not() {
        for byte in 0..=u8::MAX {
            let is_printable = (32..127).contains(&byte);
            for place in 0..20 {
                // What follows must not matter: bytes that carry, and bytes that borrow.
                for behind in [b' ', b'~', 0, 0x1f, 0x7f, 0x80, 0xff] {
                    let mut bytes = [b'~'; 20];
                    bytes[place] = byte;
                    bytes[place + 1..].fill(behind);
                    let end = if !is_printable {
                        place
                    } else if (32..127).contains(&behind) {
                        bytes.len()
                    } else {
                        place + 1
                    };
                    assert_eq!(printable_len(&bytes), end, "{bytes:02x?}");
                }
            }
        }
        assert_eq!(printable_len(b""), 0);
    }

    #[test]
    fn a_line_that_ends_otherwise_is_seen_wherever_it_is() {
        for len in 4..100 {
            let whole = [&vec![b'a'; len - 2][..], b"\r\n"].concat();
            assert!(lines_end_in_crlf(&whole));
            for place in 0..len - 1 {
                for (piece, is_end) in [(b"\r\n", true), (b"\n\n", false), (b"\r\r", false)]
                    .into_iter()
                    .chain([(b"\n\r", false), (b"a\n", false), (b"\ra", false)])
                {
                    let mut bytes = whole.clone();
                    bytes[place..place + 2].copy_from_slice(piece);
                    if bytes.ends_with(b"\r\n") {
                        assert_eq!(lines_end_in_crlf(&bytes), is_end, "{bytes:?}");
                    }
                }
            }
        }
    }
}
