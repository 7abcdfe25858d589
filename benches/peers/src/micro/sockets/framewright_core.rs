//! framewright's core with its default configuration, and no adapter.

use std::io::{IoSlice, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use framewright::{Config, Connection, Event, Message, RecvBuffer, SendBuffer};

use super::{Role, Socket};
use crate::figures::Subject;
use crate::micro::frames::Kind;
use crate::micro::stream::MemoryStream;
use crate::micro::{BATCH, Failure};
use crate::servers;

struct Core {
    stream: MemoryStream,
    connection: Connection,
    input: RecvBuffer,
    output: SendBuffer,
}

impl Core {
    fn new(stream: MemoryStream, role: Role) -> Self {
        let role = match role {
            Role::Server => framewright::Role::Server,
            Role::Client => framewright::Role::Client,
        };
        Self {
            stream,
            connection: Connection::new(role, Arc::new(Config::default())),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
        }
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        let mut seen = 0;
        loop {
            while seen < count {
                match self.connection.receive(&mut self.input, &mut self.output)? {
                    Some(Event::Text(text)) => see(Kind::Text, text.as_bytes()),
                    Some(Event::Binary(data)) => see(Kind::Binary, data),
                    Some(event) => return Err(format!("{event:?} came").into()),
                    None => break,
                }
                seen += 1;
            }
            if seen == count {
                return Ok(());
            }
            let len = self.stream.read(self.input.spare_mut())?;
            self.input.commit(len);
        }
    }

    /// Writes all that waits.
    #[inline]
    fn write(&mut self) -> Result<(), Failure> {
        while !self.output.is_empty() {
            // Mostly it is one piece, as the documentation says.
            if let Some(piece) = self.output.as_slice() {
                let written = self.stream.write(piece)?;
                self.output.consume(written);
                continue;
            }
            let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
            let mut count = 0;
            for (piece, chunk) in pieces.iter_mut().zip(self.output.chunks()) {
                *piece = IoSlice::new(chunk);
                count += 1;
            }
            let written = self.stream.write_vectored(&pieces[..count])?;
            self.output.consume(written);
        }
        Ok(())
    }

    /// Writes if so much waits that it is time, as every adapter does.
    #[inline]
    fn write_due(&mut self) -> Result<(), Failure> {
        if self.output.len() >= WRITTEN_LEN {
            self.write()?;
        }
        Ok(())
    }
}

/// `send_binary`, of a payload that is borrowed.
pub(super) struct Borrowed(Core);

impl Socket for Borrowed {
    const SUBJECT: Subject = Subject {
        name: "framewright",
        package: "framewright",
        kind: servers::Kind::Framewright,
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        Ok(Self(Core::new(stream, role)))
    }

    fn receive(&mut self, count: usize, see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        self.0.receive(count, see)
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        let core = &mut self.0;
        for _ in 0..count {
            core.connection.send_binary(payload, &mut core.output)?;
            core.write()?;
        }
        Ok(())
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        let core = &mut self.0;
        for _ in 0..count {
            for _ in 0..BATCH {
                core.connection.send_binary(payload, &mut core.output)?;
                core.write_due()?;
            }
            core.write()?;
        }
        Ok(())
    }
}

/// `send_message`, of a payload that is shared: a long one is not copied.
pub(super) struct Shared(Core);

impl Socket for Shared {
    const SUBJECT: Subject = Subject {
        name: "framewright, shared",
        ..Borrowed::SUBJECT
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        Ok(Self(Core::new(stream, role)))
    }

    fn receive(&mut self, count: usize, see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        self.0.receive(count, see)
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        let core = &mut self.0;
        for _ in 0..count {
            let message = Message::Binary(payload.clone());
            core.connection.send_message(message, &mut core.output)?;
            core.write()?;
        }
        Ok(())
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        let core = &mut self.0;
        for _ in 0..count {
            for _ in 0..BATCH {
                let message = Message::Binary(payload.clone());
                core.connection.send_message(message, &mut core.output)?;
                core.write_due()?;
            }
            core.write()?;
        }
        Ok(())
    }
}

/// As much is written at once, so that what waits stays in the cache.
const WRITTEN_LEN: usize = 64 << 10;

/// As many pieces as one write takes.
const MAX_PIECES: usize = 16;
