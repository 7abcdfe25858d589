//! What is measured, timed by criterion and counted by `instructions`: sizes, encoded messages, and
//! connections that work through a batch of them.
//!
//! A batch is what one read brings, or what one flush takes. There is no transport: reading is a
//! copy into the receive buffer, as from a kernel, and writing drops the output.

#![allow(
    dead_code,
    reason = "every bench is a binary of its own and uses a part of this"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::Throughput;
use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv, mask_into};
use framewright::{Config, Connection, Event, Message, MessageKind, RecvBuffer, Role, SendBuffer};

/// A length of messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) len: usize,
    /// How many such messages come with one read: about as many as a read of 64 KiB has.
    pub(crate) per_read: usize,
}

pub(crate) const B16: Size = Size {
    name: "16B",
    len: 16,
    per_read: 64,
};
pub(crate) const B125: Size = Size {
    name: "125B",
    len: 125,
    per_read: 64,
};
pub(crate) const KIB1: Size = Size {
    name: "1KiB",
    len: 1 << 10,
    per_read: 32,
};
pub(crate) const KIB16: Size = Size {
    name: "16KiB",
    len: 16 << 10,
    per_read: 3,
};
pub(crate) const MIB1: Size = Size {
    name: "1MiB",
    len: 1 << 20,
    per_read: 1,
};

pub(crate) const SIZES: [Size; 5] = [B16, B125, KIB1, KIB16, MIB1];

pub(crate) const ROLES: [(&str, Role); 2] = [("server", Role::Server), ("client", Role::Client)];

pub(crate) const KINDS: [(&str, MessageKind); 2] =
    [("binary", MessageKind::Binary), ("text", MessageKind::Text)];

/// The masking key of section 5.7's examples.
pub(crate) const KEY: MaskingKey = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);

/// A connection that receives a batch again and again.
pub(crate) struct Receiving {
    connection: Connection,
    input: RecvBuffer,
    output: SendBuffer,
    batch: Vec<u8>,
    count: usize,
}

impl Receiving {
    pub(crate) fn new(role: Role, kind: MessageKind, size: Size) -> Self {
        Self {
            connection: connection(role),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
            batch: encode(role, kind, size),
            count: size.per_read,
        }
    }

    /// Receives a batch, and looks at every message.
    pub(crate) fn receive_batch(&mut self) {
        let mut received = 0;
        let mut unread = black_box(&self.batch[..]);
        while received < self.count {
            read(&mut unread, &mut self.input);
            while let Some(event) = self
                .connection
                .receive(&mut self.input, &mut self.output)
                .expect(VALID)
            {
                black_box(event);
                received += 1;
            }
        }
    }

    /// Receives a batch, and sends every message back in one flush.
    pub(crate) fn echo_batch(&mut self) {
        let mut echoed = 0;
        let mut unread = black_box(&self.batch[..]);
        while echoed < self.count {
            read(&mut unread, &mut self.input);
            while let Some(event) = self
                .connection
                .receive(&mut self.input, &mut self.output)
                .expect(VALID)
            {
                match event {
                    Event::Text(text) => self.connection.send_text(text, &mut self.output),
                    Event::Binary(data) => self.connection.send_binary(data, &mut self.output),
                    _ => Ok(()),
                }
                .expect(OPEN);
                echoed += 1;
            }
        }
        flush(&mut self.output);
    }
}

/// How a message is handed to a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// As a slice, which is copied.
    Lent,
    /// As a `Message`, one more reference to its payload, which is copied only if that is cheaper.
    Shared,
}

pub(crate) const WAYS: [(&str, Way); 2] = [("lent", Way::Lent), ("shared", Way::Shared)];

/// A connection that sends the same message again and again.
pub(crate) struct Sending {
    connection: Connection,
    output: SendBuffer,
    message: Message,
    way: Way,
    per_flush: usize,
}

impl Sending {
    pub(crate) fn new(
        role: Role,
        kind: MessageKind,
        way: Way,
        per_flush: usize,
        size: Size,
    ) -> Self {
        Self {
            connection: connection(role),
            output: SendBuffer::new(),
            message: match kind {
                MessageKind::Text => Message::text("a".repeat(size.len)),
                MessageKind::Binary => Message::binary(vec![b'a'; size.len]),
            },
            way,
            per_flush,
        }
    }

    /// Sends as many messages as one flush takes, and flushes.
    pub(crate) fn send_batch(&mut self) {
        let Self {
            connection, output, ..
        } = self;
        for _ in 0..self.per_flush {
            match (self.way, black_box(&self.message)) {
                (Way::Lent, Message::Text(text)) => connection.send_text(text, output),
                (Way::Lent, Message::Binary(data)) => connection.send_binary(data, output),
                (_, message) => connection.send_message(message.clone(), output),
            }
            .expect(OPEN);
        }
        flush(output);
    }
}

/// What `count` messages of a size are.
pub(crate) const fn throughput(size: Size, count: usize) -> Throughput {
    Throughput::ElementsAndBytes {
        elements: count as u64,
        bytes: (size.len * count) as u64,
    }
}

/// Makes a connection with the default limits.
pub(crate) fn connection(role: Role) -> Connection {
    Connection::new(role, Arc::new(Config::default()))
}

/// Makes the header of a message in one frame.
pub(crate) fn header(kind: MessageKind, mask: Option<MaskingKey>, size: Size) -> FrameHeader {
    FrameHeader {
        fin: true,
        rsv: Rsv::NONE,
        opcode: match kind {
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
        },
        mask,
        payload_len: size.len as u64,
    }
}

/// Encodes the messages of one read, masked if a server is to receive them.
fn encode(receiver: Role, kind: MessageKind, size: Size) -> Vec<u8> {
    let mask = (receiver == Role::Server).then_some(KEY);
    let header = header(kind, mask, size);
    let payload = vec![b'a'; size.len];
    let mut batch = Vec::new();
    for _ in 0..size.per_read {
        header.encode(&mut batch);
        match mask {
            Some(key) => mask_into(&mut batch, &payload, key),
            None => batch.extend_from_slice(&payload),
        }
    }
    batch
}

/// Reads as much as there is room for.
fn read(unread: &mut &[u8], input: &mut RecvBuffer) {
    let spare = input.spare_mut();
    let (now, later) = unread.split_at(unread.len().min(spare.len()));
    spare[..now.len()].copy_from_slice(now);
    input.commit(now.len());
    *unread = later;
}

/// Takes all of the output, as a transport that is never full.
fn flush(output: &mut SendBuffer) {
    for chunk in output.chunks() {
        black_box(chunk);
    }
    output.consume(output.len());
}

const VALID: &str = "the batch is valid";
const OPEN: &str = "the connection is open";
