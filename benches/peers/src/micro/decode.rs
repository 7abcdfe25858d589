//! Decoding of masked messages by a server, each library with its own full stack.

use std::hint::black_box;

use super::frames::{self, Kind};
use super::sockets::{self, Role, Socket};
use super::stream::{MemoryStream, Repeat};
use super::{Failure, Group, Run};
use crate::figures::Subject;

pub(super) const BINARY: Group = Group {
    name: "micro-decode-binary",
    title: "Decoding a masked binary message, in process",
    rows: ROWS,
    subjects,
    unit: 1,
    prepare: |row, subject| (sockets::DECODERS[subject].decode)(Kind::Binary, LENGTHS[row]),
};

pub(super) const TEXT: Group = Group {
    name: "micro-decode-text",
    title: "Decoding a masked text message (ASCII), in process",
    rows: ROWS,
    subjects,
    unit: 1,
    prepare: |row, subject| (sockets::DECODERS[subject].decode)(Kind::Text, LENGTHS[row]),
};

fn subjects() -> Vec<Subject> {
    sockets::DECODERS.iter().map(|it| it.subject).collect()
}

/// Prepares the decoding of messages of a length, and compares some of them.
pub(super) fn prepare<S: Socket>(kind: Kind, len: usize) -> Result<Run, Failure> {
    let mut socket = S::open(
        MemoryStream::new(frames::batch(kind, len), Repeat::Forever),
        Role::Server,
    )?;
    let count = frames::batch_count(len);
    let payloads: Vec<_> = (0..count)
        .map(|number| frames::payload(number, len))
        .collect();
    let (mut number, mut wrong) = (0, None);
    let checked = (3 * count).max(LEAST_CHECKED);
    socket.receive(checked, |kind_received, payload| {
        if kind_received != kind || payload != payloads[number % count] {
            wrong.get_or_insert(number);
        }
        number += 1;
    })?;
    if let Some(number) = wrong {
        return Err(format!("message {number} is not what was sent").into());
    }
    if number != checked {
        return Err(format!("{number} messages came").into());
    }
    Ok(Box::new(move |count| {
        socket.receive(count, |kind, payload| {
            black_box((kind, payload));
        })
    }))
}

/// Enough for many reads to end within a message.
const LEAST_CHECKED: usize = 100;

const LENGTHS: [usize; 5] = [16, 125, 1 << 10, 16 << 10, 1 << 20];
const ROWS: &[&str] = &["16B", "125B", "1KiB", "16KiB", "1MiB"];
