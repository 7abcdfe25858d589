//! A stream in memory that is always ready, for every kind of library.
//!
//! Reads give the same bytes over and over, at most 64 KiB at a time; writes take all, and drop it
//! unless somebody keeps it to look at it.

use std::hint::black_box;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug)]
pub(super) struct MemoryStream {
    source: Arc<[u8]>,
    place: usize,
    repeat: Repeat,
    kept: Option<Kept>,
}

/// What was written.
pub(super) type Kept = Arc<Mutex<Vec<u8>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Forever,
    /// Nothing comes after the last byte.
    Once,
}

impl MemoryStream {
    pub(super) fn new(source: Arc<[u8]>, repeat: Repeat) -> Self {
        Self {
            source,
            place: 0,
            repeat,
            kept: None,
        }
    }

    /// Keeps what is written from here on.
    pub(super) fn keep(mut self) -> (Self, Kept) {
        let kept = Kept::default();
        self.kept = Some(Arc::clone(&kept));
        (self, kept)
    }

    /// Gives the next piece of the source; it is empty if nothing is to come.
    #[inline]
    fn next(&mut self, most: usize) -> &[u8] {
        if self.place == self.source.len() && self.repeat == Repeat::Forever {
            self.place = 0;
        }
        let rest = &self.source[self.place..];
        let piece = &rest[..rest.len().min(most)];
        self.place += piece.len();
        piece
    }

    #[inline]
    fn take(&mut self, bytes: &[u8]) {
        // The bytes are looked at, else nobody would have to write them.
        black_box(bytes);
        if let Some(kept) = &self.kept {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(bytes);
        }
    }
}

impl Read for MemoryStream {
    #[inline]
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut len = 0;
        let most = room.len().min(READ_LEN);
        while len < most {
            let piece = self.next(most - len);
            if piece.is_empty() {
                break;
            }
            room[len..len + piece.len()].copy_from_slice(piece);
            len += piece.len();
        }
        match len {
            0 => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for MemoryStream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        pieces.iter().for_each(|piece| self.take(piece));
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for MemoryStream {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        let most = room.remaining().min(READ_LEN);
        while room.filled().len() - before < most {
            let piece = self.next(most + before - room.filled().len());
            if piece.is_empty() {
                break;
            }
            room.put_slice(piece);
        }
        match room.filled().len() > before {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }
}

impl AsyncWrite for MemoryStream {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(pieces))
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// For soketto, whose streams are those of `futures-io`.
impl futures_util::io::AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.read(room) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            read => Poll::Ready(read),
        }
    }
}

impl futures_util::io::AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// How much a read gives at most.
const READ_LEN: usize = 64 << 10;
