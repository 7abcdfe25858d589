//! yawc, with text validated as all others do, and its limit raised from less than 1 MiB.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::StreamExt;
use yawc::{Frame, OpCode, Options, WebSocket};

use super::{Role, Socket};
use crate::figures::Subject;
use crate::micro::Failure;
use crate::micro::frames::Kind;
use crate::micro::stream::MemoryStream;
use crate::servers;

pub(super) struct Yawc(WebSocket<MemoryStream>);

impl Socket for Yawc {
    const SUBJECT: Subject = Subject {
        name: "yawc",
        package: "yawc",
        kind: servers::Kind::Peer,
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        let role = match role {
            Role::Server => yawc::Role::Server,
            Role::Client => yawc::Role::Client,
        };
        let options = Options::default().with_limits(4 << 20, 8 << 20).with_utf8();
        Ok(Self(WebSocket::from_stream(stream, role, options)?))
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        let mut frames = (&mut self.0).map(Ok::<_, Infallible>);
        super::receive(&mut frames, count, |frame| match frame.opcode() {
            OpCode::Text => see(Kind::Text, frame.payload()),
            OpCode::Binary => see(Kind::Binary, frame.payload()),
            _ => {} // None was sent.
        })
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        super::send(&mut self.0, count, || Frame::binary(payload.clone()))
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        super::send_batches(&mut self.0, count, || Frame::binary(payload.clone()))
    }
}
