//! framewright's tokio adapter with its default configuration.

use std::sync::Arc;

use bytes::Bytes;
use framewright::tokio::{Parts, WebSocket};
use framewright::{Config, Connection, Event, Message, RecvBuffer, SendBuffer};

use super::{Role, Socket, block_on};
use crate::figures::Subject;
use crate::micro::frames::Kind;
use crate::micro::stream::MemoryStream;
use crate::micro::{BATCH, Failure};
use crate::servers;

fn open(stream: MemoryStream, role: Role) -> WebSocket<MemoryStream> {
    let role = match role {
        Role::Server => framewright::Role::Server,
        Role::Client => framewright::Role::Client,
    };
    WebSocket::from_parts(Parts {
        stream,
        connection: Connection::new(role, Arc::new(Config::default())),
        input: RecvBuffer::new(),
        output: SendBuffer::new(),
    })
}

fn send(
    socket: &mut WebSocket<MemoryStream>,
    count: usize,
    payload: &Bytes,
) -> Result<(), Failure> {
    block_on(async {
        for _ in 0..count {
            socket.send(payload.clone()).await?;
        }
        Ok(())
    })?
}

fn send_batches(
    socket: &mut WebSocket<MemoryStream>,
    count: usize,
    payload: &Bytes,
) -> Result<(), Failure> {
    block_on(async {
        for _ in 0..count {
            for _ in 0..BATCH {
                socket.feed(payload.clone()).await?;
            }
            socket.flush().await?;
        }
        Ok(())
    })?
}

/// `recv_event`, which lends the payload.
pub(super) struct RecvEvent(WebSocket<MemoryStream>);

impl Socket for RecvEvent {
    const SUBJECT: Subject = Subject {
        name: "framewright-tokio, event",
        ..Recv::SUBJECT
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        Ok(Self(open(stream, role)))
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        block_on(async {
            for _ in 0..count {
                match self.0.recv_event().await?.ok_or("the stream ended")?.0 {
                    Event::Text(text) => see(Kind::Text, text.as_bytes()),
                    Event::Binary(data) => see(Kind::Binary, data),
                    event => return Err(format!("{event:?} came").into()),
                }
            }
            Ok(())
        })?
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        send(&mut self.0, count, payload)
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        send_batches(&mut self.0, count, payload)
    }
}

/// `recv`, which gives the message away.
pub(super) struct Recv(WebSocket<MemoryStream>);

impl Socket for Recv {
    const SUBJECT: Subject = Subject {
        name: "framewright-tokio",
        package: "framewright",
        kind: servers::Kind::Framewright,
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        Ok(Self(open(stream, role)))
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        block_on(async {
            for _ in 0..count {
                match self.0.recv().await?.ok_or("the stream ended")? {
                    Message::Text(text) => see(Kind::Text, text.as_bytes()),
                    Message::Binary(data) => see(Kind::Binary, &data),
                    message => return Err(format!("{message:?} came").into()),
                }
            }
            Ok(())
        })?
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        send(&mut self.0, count, payload)
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        send_batches(&mut self.0, count, payload)
    }
}
