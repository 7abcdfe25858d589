//! WebSockets over a stream in memory, one file a library, and the lists of them.
//!
//! Each is used in the fastest way that its documentation shows, with its defaults; a file says so
//! where it differs. Those that are async are polled without a runtime.

mod fastwebsockets;
mod floor;
mod framewright_core;
mod framewright_tokio;
mod sockudo_ws;
mod tokio_tungstenite;
mod tokio_websockets;
mod tungstenite;
mod yawc;

use std::error::Error;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};

use super::encode::Flush;
use super::frames::Kind;
use super::stream::MemoryStream;
use super::{BATCH, Failure, Run, decode, encode};
use crate::figures::Subject;

/// A WebSocket that is open, over a stream in memory.
pub(super) trait Socket: Sized + 'static {
    const SUBJECT: Subject;

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure>;

    /// Receives messages, and shows each.
    fn receive(&mut self, count: usize, see: impl FnMut(Kind, &[u8])) -> Result<(), Failure>;

    /// Sends binary messages, each with a write of its own.
    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure>;

    /// Sends batches of binary messages: 64 are queued and then flushed.
    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
}

pub(super) struct Decoder {
    pub(super) subject: Subject,
    pub(super) decode: fn(Kind, usize) -> Result<Run, Failure>,
}

pub(super) struct Encoder {
    pub(super) subject: Subject,
    pub(super) encode: fn(Role, Flush, usize) -> Result<Run, Failure>,
}

pub(super) const DECODERS: &[Decoder] = &[
    decoder::<floor::Floor>(),
    decoder::<framewright_core::Borrowed>(),
    decoder::<framewright_tokio::RecvEvent>(),
    decoder::<framewright_tokio::Recv>(),
    decoder::<fastwebsockets::Fastwebsockets>(),
    decoder::<sockudo_ws::SockudoWs>(),
    decoder::<tokio_tungstenite::TokioTungstenite>(),
    decoder::<tokio_websockets::TokioWebsockets>(),
    decoder::<tungstenite::Tungstenite>(),
    decoder::<yawc::Yawc>(),
];

pub(super) const ENCODERS: &[Encoder] = &[
    encoder::<floor::Floor>(),
    encoder::<framewright_core::Borrowed>(),
    encoder::<framewright_core::Shared>(),
    encoder::<framewright_tokio::Recv>(),
    encoder::<fastwebsockets::Fastwebsockets>(),
    encoder::<sockudo_ws::SockudoWs>(),
    encoder::<tokio_tungstenite::TokioTungstenite>(),
    encoder::<tokio_websockets::TokioWebsockets>(),
    encoder::<tungstenite::Tungstenite>(),
    encoder::<yawc::Yawc>(),
];

const fn decoder<S: Socket>() -> Decoder {
    Decoder {
        subject: S::SUBJECT,
        decode: decode::prepare::<S>,
    }
}

const fn encoder<S: Socket>() -> Encoder {
    Encoder {
        subject: S::SUBJECT,
        encode: encode::prepare::<S>,
    }
}

/// Polls a future until it is ready: a stream that is always ready leaves nothing to wait for.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MOST_POLLS {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
    }
    Err("it waits for a stream that is ready".into())
}

/// Some yield now and then, so that a task does not keep others from running.
const MOST_POLLS: usize = 10_000_000;

/// Receives from what is a `Stream`.
fn receive<M, E: Error + 'static>(
    socket: &mut (impl Stream<Item = Result<M, E>> + Unpin),
    count: usize,
    mut see: impl FnMut(M),
) -> Result<(), Failure> {
    block_on(async {
        for _ in 0..count {
            see(socket.next().await.ok_or("the stream ended")??);
        }
        Ok(())
    })?
}

/// Sends to what is a `Sink`.
fn send<M, E: Error + 'static>(
    socket: &mut (impl Sink<M, Error = E> + Unpin),
    count: usize,
    message: impl Fn() -> M,
) -> Result<(), Failure> {
    block_on(async {
        for _ in 0..count {
            socket.send(message()).await?;
        }
        Ok(())
    })?
}

/// Sends batches to what is a `Sink`.
fn send_batches<M, E: Error + 'static>(
    socket: &mut (impl Sink<M, Error = E> + Unpin),
    count: usize,
    message: impl Fn() -> M,
) -> Result<(), Failure> {
    block_on(async {
        for _ in 0..count {
            for _ in 0..BATCH {
                socket.feed(message()).await?;
            }
            socket.flush().await?;
        }
        Ok(())
    })?
}
