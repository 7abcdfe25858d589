//! sockudo-ws with its default configuration.

use bytes::Bytes;
use sockudo_ws::{Config, Message, WebSocketStream};

use super::{Role, Socket};
use crate::figures::Subject;
use crate::micro::Failure;
use crate::micro::frames::Kind;
use crate::micro::stream::MemoryStream;
use crate::servers;

pub(super) struct SockudoWs(WebSocketStream<MemoryStream>);

impl Socket for SockudoWs {
    const SUBJECT: Subject = Subject {
        name: "sockudo-ws",
        package: "sockudo-ws",
        kind: servers::Kind::Peer,
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        Ok(Self(match role {
            Role::Server => WebSocketStream::server(stream, Config::default()),
            Role::Client => WebSocketStream::client(stream, Config::default()),
        }))
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        super::receive(&mut self.0, count, |message| match message {
            Message::Text(text) => see(Kind::Text, &text),
            Message::Binary(data) => see(Kind::Binary, &data),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {} // None was sent.
        })
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        super::send(&mut self.0, count, || Message::Binary(payload.clone()))
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        super::send_batches(&mut self.0, count, || Message::Binary(payload.clone()))
    }
}
