//! The body of a refused handshake, bounded.
//!
//! Knows the three ways in which HTTP/1.1 says where a body ends, and keeps no more of it than the
//! limit. Why the handshake was refused is for the application to read in it.
//!
//! RFC 9112, sections 6 and 7.

use super::headers::{Field, Headers};
use crate::connection::RecvBuffer;

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    kept: Vec<u8>,
    max_len: usize,
}

/// What is left of a body, and how it says so (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// This many bytes.
    Length(u64),
    /// A chunk of which this many bytes are left; its CRLF follows.
    Chunk(u64),
    /// The line that says how long the next chunk is.
    ChunkSize,
    /// The CRLF behind a chunk.
    ChunkEnd,
    /// Whatever comes until the transport ends.
    UntilEof,
    /// Nothing.
    Ended,
    /// More, but not for us: it is over the limit, or makes no sense.
    Abandoned,
}

/// Why no more of a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It said itself that it is over, or more of it is of no use.
    Done,
    /// The transport ended.
    Eof,
    /// The deadline passed.
    Deadline,
}

impl Body {
    /// Begins the body of a response with this status and these headers.
    pub(super) fn new(status: u16, headers: &Headers, max_len: usize) -> Self {
        // Item 1: these end with their heads, whatever they say.
        let framing = if matches!(status, 100..=199 | 204 | 304) {
            Framing::Ended
        } else if let Some(coding) = headers.of(Field::TransferEncoding).list().last() {
            // Item 4: chunked says where a body ends only as the final coding.
            if coding.eq_ignore_ascii_case(b"chunked") {
                Framing::ChunkSize
            } else {
                Framing::UntilEof
            }
        } else {
            match headers.of(Field::ContentLength).next() {
                None => Framing::UntilEof,
                Some(_) => headers
                    .of(Field::ContentLength)
                    .single()
                    .filter(|len| len.iter().all(u8::is_ascii_digit))
                    .and_then(|len| core::str::from_utf8(len).ok()?.parse().ok())
                    .map_or(Framing::Abandoned, Framing::Length),
            }
        };
        Self {
            framing,
            kept: Vec::new(),
            max_len: max_len.min(LONGEST_KEPT),
        }
    }

    /// Reads what has come; `true` once nothing more is of use.
    pub(super) fn receive(&mut self, input: &mut RecvBuffer) -> bool {
        loop {
            self.framing = match self.framing {
                Framing::Ended | Framing::Abandoned => return true,
                Framing::Length(0) => Framing::Ended,
                Framing::Chunk(0) => Framing::ChunkEnd,
                Framing::Length(left) => match self.keep(left, input) {
                    Some(left) => Framing::Length(left),
                    None => Framing::Abandoned,
                },
                Framing::Chunk(left) => match self.keep(left, input) {
                    Some(left) => Framing::Chunk(left),
                    None => Framing::Abandoned,
                },
                Framing::UntilEof => match self.keep(u64::MAX, input) {
                    Some(_) => Framing::UntilEof,
                    None => Framing::Abandoned,
                },
                Framing::ChunkEnd => match input.unread() {
                    [b'\r', b'\n', ..] => {
                        input.consume_head(2);
                        Framing::ChunkSize
                    }
                    [] | [b'\r'] => return false,
                    _ => Framing::Abandoned,
                },
                Framing::ChunkSize => match chunk_size(input.unread()) {
                    // Trailers may follow, and say nothing about the body.
                    Ok(Some((_, 0))) => Framing::Ended,
                    Ok(Some((len, size))) => {
                        input.consume_head(len);
                        Framing::Chunk(size)
                    }
                    Ok(None) => return false,
                    Err(NotAChunkSize) => Framing::Abandoned,
                },
            };
            let waits = matches!(
                self.framing,
                Framing::Length(1..) | Framing::Chunk(1..) | Framing::UntilEof
            );
            if waits && input.unread().is_empty() {
                return false;
            }
        }
    }

    /// Ends the body, and returns what was kept and whether there was more, or may have been.
    pub(super) fn finish(self, cut: Cut) -> (Vec<u8>, bool) {
        let whole = match self.framing {
            Framing::Ended | Framing::Length(0) => true,
            Framing::UntilEof => cut == Cut::Eof,
            Framing::Length(_)
            | Framing::Chunk(_)
            | Framing::ChunkSize
            | Framing::ChunkEnd
            | Framing::Abandoned => false,
        };
        (self.kept, !whole)
    }

    /// Keeps what has come of `left` bytes and returns how many are left; `None` if that would be
    /// more than is kept.
    fn keep(&mut self, left: u64, input: &mut RecvBuffer) -> Option<u64> {
        let there = input.unread();
        let len = usize::try_from(left).map_or(there.len(), |left| left.min(there.len()));
        let room = self.max_len - self.kept.len();
        let taken = len.min(room);
        self.kept.extend_from_slice(&there[..taken]);
        input.consume_head(len);
        (len <= room).then_some(left - len as u64)
    }
}

struct NotAChunkSize;

/// Parses the line of a chunk's size: its length and the size, or `None` if it is not whole.
fn chunk_size(bytes: &[u8]) -> Result<Option<(usize, u64)>, NotAChunkSize> {
    // Judged by where the line ends, not by how much of it one read brought.
    let longest = &bytes[..bytes.len().min(LONGEST_SIZE_LINE)];
    let Some(end) = longest.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LONGEST_SIZE_LINE {
            Ok(None)
        } else {
            Err(NotAChunkSize)
        };
    };
    // The library takes a line without a digit for a size of zero.
    let line = &bytes[..end + 2];
    match httparse::parse_chunk_size(line) {
        Ok(httparse::Status::Complete(parsed)) if line[0].is_ascii_hexdigit() => Ok(Some(parsed)),
        Ok(_) | Err(_) => Err(NotAChunkSize),
    }
}

/// No limit lets a refusal keep more than this.
const LONGEST_KEPT: usize = 64 << 10;

/// A chunk's size and its extensions.
const LONGEST_SIZE_LINE: usize = 256;
