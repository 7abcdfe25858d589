//! Encoding of binary messages, each library with its own full stack.

use bytes::Bytes;

use super::frames::{self, IsMasked};
use super::sockets::{self, Role, Socket};
use super::stream::{MemoryStream, Repeat};
use super::{BATCH, Failure, Group, Run};
use crate::figures::Subject;

pub(super) const EACH: Group = Group {
    name: "micro-encode",
    title: "Encoding a binary message by a server, one write each, in process",
    rows: ROWS,
    subjects,
    unit: 1,
    prepare: |row, subject| {
        (sockets::ENCODERS[subject].encode)(Role::Server, Flush::Each, LENGTHS[row])
    },
};

pub(super) const BATCHES: Group = Group {
    name: "micro-encode-batch",
    title: "Encoding a binary message by a server, 64 per flush, in process",
    rows: ROWS,
    subjects,
    unit: BATCH,
    prepare: |row, subject| {
        (sockets::ENCODERS[subject].encode)(Role::Server, Flush::Batch, LENGTHS[row])
    },
};

pub(super) const CLIENT: Group = Group {
    name: "micro-encode-client",
    title: "Encoding a binary message by a client (masked), 64 per flush, in process",
    rows: &["16B", "16KiB"],
    subjects,
    unit: BATCH,
    prepare: |row, subject| {
        (sockets::ENCODERS[subject].encode)(Role::Client, Flush::Batch, [16, 16 << 10][row])
    },
};

/// When what was queued is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// Each message on its own.
    Each,
    /// 64 together.
    Batch,
}

fn subjects() -> Vec<Subject> {
    sockets::ENCODERS.iter().map(|it| it.subject).collect()
}

/// Prepares the encoding of messages of a length, and compares two batches of them.
pub(super) fn prepare<S: Socket>(role: Role, flush: Flush, len: usize) -> Result<Run, Failure> {
    let payload = Bytes::from(frames::payload(0, len));
    let stream = || MemoryStream::new([].into(), Repeat::Once);
    let (checked, kept) = stream().keep();
    let mut socket = S::open(checked, role)?;
    run(&mut socket, flush, 2 * BATCH, &payload)?;
    let is_masked = match role {
        Role::Server => IsMasked::No,
        Role::Client => IsMasked::Yes,
    };
    let written = kept.lock().map_err(|_| "a writer panicked")?;
    frames::check(&written, 2 * BATCH, &payload, is_masked)?;
    let mut socket = S::open(stream(), role)?;
    Ok(Box::new(move |count| {
        run(&mut socket, flush, count, &payload)
    }))
}

fn run<S: Socket>(
    socket: &mut S,
    flush: Flush,
    count: usize,
    payload: &Bytes,
) -> Result<(), Failure> {
    match flush {
        Flush::Each => socket.send(count, payload),
        Flush::Batch => socket.send_batches(count / BATCH, payload),
    }
}

const LENGTHS: [usize; 4] = [16, 125, 1 << 10, 16 << 10];
const ROWS: &[&str] = &["16B", "125B", "1KiB", "16KiB"];
