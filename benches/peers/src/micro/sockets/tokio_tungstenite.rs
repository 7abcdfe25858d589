//! tokio-tungstenite with its default configuration.

use bytes::Bytes;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol};

use super::{Role, Socket, block_on};
use crate::figures::Subject;
use crate::micro::Failure;
use crate::micro::frames::Kind;
use crate::micro::stream::MemoryStream;
use crate::servers;

pub(super) struct TokioTungstenite(WebSocketStream<MemoryStream>);

impl Socket for TokioTungstenite {
    const SUBJECT: Subject = Subject {
        name: "tokio-tungstenite",
        package: "tokio-tungstenite",
        kind: servers::Kind::Peer,
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        let role = match role {
            Role::Server => protocol::Role::Server,
            Role::Client => protocol::Role::Client,
        };
        let socket = WebSocketStream::from_raw_socket(stream, role, None);
        Ok(Self(block_on(socket)?))
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        super::receive(&mut self.0, count, |message| match message {
            Message::Text(text) => see(Kind::Text, text.as_bytes()),
            Message::Binary(data) => see(Kind::Binary, &data),
            _ => {} // None was sent.
        })
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        super::send(&mut self.0, count, || Message::Binary(payload.clone()))
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        super::send_batches(&mut self.0, count, || Message::Binary(payload.clone()))
    }
}
