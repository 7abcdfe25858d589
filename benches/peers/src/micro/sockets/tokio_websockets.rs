//! tokio-websockets with its default configuration.

use bytes::Bytes;
use tokio_websockets::{ClientBuilder, Message, ServerBuilder, WebSocketStream};

use super::{Role, Socket};
use crate::figures::Subject;
use crate::micro::Failure;
use crate::micro::frames::Kind;
use crate::micro::stream::MemoryStream;
use crate::servers;

pub(super) struct TokioWebsockets(WebSocketStream<MemoryStream>);

impl Socket for TokioWebsockets {
    const SUBJECT: Subject = Subject {
        name: "tokio-websockets",
        package: "tokio-websockets",
        kind: servers::Kind::Peer,
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        Ok(Self(match role {
            Role::Server => ServerBuilder::new().serve(stream),
            Role::Client => ClientBuilder::new().take_over(stream),
        }))
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        super::receive(&mut self.0, count, |message| {
            if let Some(text) = message.as_text() {
                see(Kind::Text, text.as_bytes());
            } else if message.is_binary() {
                see(Kind::Binary, message.as_payload());
            }
        })
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        super::send(&mut self.0, count, || Message::binary(payload.clone()))
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        super::send_batches(&mut self.0, count, || Message::binary(payload.clone()))
    }
}
