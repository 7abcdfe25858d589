//! The end of an HTTP/1.1 head, looked for as its bytes come.
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
        let fresh = bytes.get(self.scanned..).unwrap_or(&[]);
        for &byte in fresh {
            self.scanned += 1;
            if self.scanned > config.max_head_len {
                return Err(HandshakeError::HeadTooLong);
            }
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
                    if kind == HeadKind::Request
                        && self.lines == 0
                        && self.line_len > config.max_request_line_len
                    {
                        return Err(HandshakeError::RequestLineTooLong);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Returns how many header lines the head has, once its end was found.
    pub(super) fn header_lines(&self) -> usize {
        self.lines.saturating_sub(1)
    }
}
