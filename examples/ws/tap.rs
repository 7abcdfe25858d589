//! A stream that shows the frames which pass it.
//!
//! It looks at headers on their way and changes nothing, so it shows what is on the wire: also the
//! fragments of a message, and the Pings and Pongs of which the application never hears.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use framewright::frame::{FrameHeader, Rsv};
use framewright::tokio::{MaybeTlsStream, Parts, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::console::Log;

/// A stream, and a look at what passes.
#[derive(Debug)]
pub(crate) struct Tap {
    stream: MaybeTlsStream,
    log: Log,
    opened: Instant,
    incoming: Scanner,
    outgoing: Scanner,
}

impl Tap {
    /// Puts a tap under a WebSocket that was opened just before.
    pub(crate) fn over(socket: WebSocket<MaybeTlsStream>, log: Log) -> WebSocket<Self> {
        let parts = socket.into_parts();
        let mut tap = Self {
            stream: parts.stream,
            log,
            opened: Instant::now(),
            incoming: Scanner::default(),
            outgoing: Scanner::default(),
        };
        // The first frames may have come with the answer to the handshake.
        tap.show_incoming(parts.input.unread());
        WebSocket::from_parts(Parts {
            stream: tap,
            connection: parts.connection,
            input: parts.input,
            output: parts.output,
        })
    }

    fn show_incoming(&mut self, bytes: &[u8]) {
        if self.log.is_verbose() {
            self.incoming
                .scan(bytes, |header| show(&self.log, self.opened, '<', header));
        }
    }

    fn show_outgoing(&mut self, bytes: &[u8]) {
        if self.log.is_verbose() {
            self.outgoing
                .scan(bytes, |header| show(&self.log, self.opened, '>', header));
        }
    }
}

fn show(log: &Log, opened: Instant, direction: char, header: &FrameHeader) {
    log.say(|| {
        let elapsed = opened.elapsed().as_secs_f64() * 1000.0;
        let name = format!("{:?}", header.opcode).to_lowercase();
        let fin = if header.fin { "" } else { ", more follows" };
        let compressed = if header.rsv.contains(Rsv::RSV1) {
            ", compressed"
        } else {
            ""
        };
        let len = header.payload_len;
        format!("{direction} {elapsed:10.3} ms  {name}, length {len}{compressed}{fin}")
    });
}

/// Finds the headers in one direction.
#[derive(Debug, Default)]
struct Scanner {
    /// As much of a header as has passed.
    header: Vec<u8>,
    payload_left: u64,
    /// What follows a header that is none has no frames.
    lost: bool,
}

impl Scanner {
    fn scan(&mut self, mut bytes: &[u8], mut found: impl FnMut(&FrameHeader)) {
        while !bytes.is_empty() && !self.lost {
            if self.payload_left > 0 {
                let len = usize::try_from(self.payload_left)
                    .map_or(bytes.len(), |left| left.min(bytes.len()));
                self.payload_left -= len as u64;
                bytes = &bytes[len..];
                continue;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            match FrameHeader::decode(&self.header) {
                Ok(None) => {}
                Ok(Some(header)) => {
                    found(&header);
                    self.payload_left = header.payload_len;
                    self.header.clear();
                }
                Err(_) => self.lost = true,
            }
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.show_incoming(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let len = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.show_outgoing(&bytes[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        let mut left = len;
        for slice in slices {
            let written = left.min(slice.len());
            self.show_outgoing(&slice[..written]);
            left -= written;
        }
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
