//! fastwebsockets with its default configuration. It queues nothing: a batch is as many writes.

use bytes::Bytes;
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocket};

use super::{Role, Socket, block_on};
use crate::figures::Subject;
use crate::micro::frames::Kind;
use crate::micro::stream::MemoryStream;
use crate::micro::{BATCH, Failure};
use crate::servers;

pub(super) struct Fastwebsockets(FragmentCollector<MemoryStream>);

impl Socket for Fastwebsockets {
    const SUBJECT: Subject = Subject {
        name: "fastwebsockets",
        package: "fastwebsockets",
        kind: servers::Kind::Peer,
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        let role = match role {
            Role::Server => fastwebsockets::Role::Server,
            Role::Client => fastwebsockets::Role::Client,
        };
        let socket = WebSocket::after_handshake(stream, role);
        Ok(Self(FragmentCollector::new(socket)))
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        block_on(async {
            for _ in 0..count {
                let frame = self.0.read_frame().await?;
                match frame.opcode {
                    OpCode::Text => see(Kind::Text, &frame.payload),
                    OpCode::Binary => see(Kind::Binary, &frame.payload),
                    opcode => return Err(format!("{opcode:?} came").into()),
                }
            }
            Ok(())
        })?
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        block_on(async {
            for _ in 0..count {
                let frame = Frame::binary(Payload::Borrowed(payload));
                self.0.write_frame(frame).await?;
            }
            Ok(())
        })?
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        self.send(count * BATCH, payload)
    }
}
