//! tungstenite with its default configuration: `write` queues, `send` is `write` and `flush`.

use bytes::Bytes;
use tungstenite::{Message, WebSocket, protocol};

use super::{Role, Socket};
use crate::figures::Subject;
use crate::micro::frames::Kind;
use crate::micro::stream::MemoryStream;
use crate::micro::{BATCH, Failure};
use crate::servers;

pub(super) struct Tungstenite(WebSocket<MemoryStream>);

impl Socket for Tungstenite {
    const SUBJECT: Subject = Subject {
        name: "tungstenite",
        package: "tungstenite",
        kind: servers::Kind::Peer,
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        let role = match role {
            Role::Server => protocol::Role::Server,
            Role::Client => protocol::Role::Client,
        };
        Ok(Self(WebSocket::from_raw_socket(stream, role, None)))
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        for _ in 0..count {
            match self.0.read()? {
                Message::Text(text) => see(Kind::Text, text.as_bytes()),
                Message::Binary(data) => see(Kind::Binary, &data),
                message => return Err(format!("{message:?} came").into()),
            }
        }
        Ok(())
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        for _ in 0..count {
            self.0.send(Message::Binary(payload.clone()))?;
        }
        Ok(())
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        for _ in 0..count {
            for _ in 0..BATCH {
                self.0.write(Message::Binary(payload.clone()))?;
            }
            self.0.flush()?;
        }
        Ok(())
    }
}
