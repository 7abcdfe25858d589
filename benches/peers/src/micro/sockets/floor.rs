//! The least that a WebSocket can do: one flat buffer each way, payloads unmasked where they are
//! and lent. Nothing is limited, answered or assembled; text is validated.

use std::io::{IoSlice, Read, Write};

use bytes::Bytes;

use super::{Role, Socket};
use crate::figures::Subject;
use crate::micro::frames::{self, Header, Kind};
use crate::micro::stream::MemoryStream;
use crate::micro::{BATCH, Failure, kernels};
use crate::servers;

pub(super) struct Floor {
    stream: MemoryStream,
    role: Role,
    /// `head..tail` are received and not consumed.
    input: Vec<u8>,
    head: usize,
    tail: usize,
    output: Vec<u8>,
    /// The masking keys of a client, which anybody could guess.
    next_key: u32,
}

impl Socket for Floor {
    const SUBJECT: Subject = Subject {
        name: "floor",
        package: "peers",
        kind: servers::Kind::Floor,
    };

    fn open(stream: MemoryStream, role: Role) -> Result<Self, Failure> {
        Ok(Self {
            stream,
            role,
            input: vec![0; INPUT_LEN],
            head: 0,
            tail: 0,
            output: Vec::with_capacity(WRITTEN_LEN + (17 << 10)),
            next_key: 1,
        })
    }

    fn receive(&mut self, count: usize, mut see: impl FnMut(Kind, &[u8])) -> Result<(), Failure> {
        let mut seen = 0;
        loop {
            let mut needed = 0;
            while seen < count {
                let Some(header) = Header::decode(&self.input[self.head..self.tail]) else {
                    break;
                };
                let start = self.head + header.len;
                let end = start + header.payload_len;
                if end > self.tail {
                    needed = end - self.head;
                    break;
                }
                let payload = &mut self.input[start..end];
                kernels::mask(payload, header.key.ok_or("a frame without a mask")?);
                if header.kind == Kind::Text {
                    validate(payload)?;
                }
                see(header.kind, payload);
                seen += 1;
                self.head = end;
            }
            if seen == count {
                return Ok(());
            }
            self.read(needed)?;
        }
    }

    fn send(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        for _ in 0..count {
            self.output.clear();
            if self.role == Role::Server && payload.len() >= SHARED_LEN {
                frames::header(Kind::Binary, payload.len(), None, &mut self.output);
                let pieces = [IoSlice::new(&self.output), IoSlice::new(payload)];
                let written = self.stream.write_vectored(&pieces)?;
                debug_assert_eq!(written, self.output.len() + payload.len());
            } else {
                self.append(payload);
                self.stream.write_all(&self.output)?;
            }
        }
        Ok(())
    }

    fn send_batches(&mut self, count: usize, payload: &Bytes) -> Result<(), Failure> {
        for _ in 0..count {
            self.output.clear();
            if self.role == Role::Server && payload.len() >= SHARED_LEN {
                self.send_shared(payload)?;
                continue;
            }
            for _ in 0..BATCH {
                self.append(payload);
                if self.output.len() >= WRITTEN_LEN {
                    self.stream.write_all(&self.output)?;
                    self.output.clear();
                }
            }
            self.stream.write_all(&self.output)?;
        }
        Ok(())
    }
}

impl Floor {
    /// Reads once, where a frame of `needed` bytes fits.
    fn read(&mut self, needed: usize) -> Result<(), Failure> {
        self.input.copy_within(self.head..self.tail, 0);
        self.tail -= self.head;
        self.head = 0;
        if self.input.len() < needed {
            self.input.resize(needed, 0);
        }
        self.tail += self.stream.read(&mut self.input[self.tail..])?;
        Ok(())
    }

    #[inline]
    fn append(&mut self, payload: &[u8]) {
        self.output.reserve(HEADER_LEN + payload.len());
        match self.role {
            Role::Server => {
                frames::header(Kind::Binary, payload.len(), None, &mut self.output);
                self.output.extend_from_slice(payload);
            }
            Role::Client => {
                self.next_key = self.next_key.wrapping_mul(0x9e37_79b9) | 1;
                let key = self.next_key.to_ne_bytes();
                frames::header(Kind::Binary, payload.len(), Some(key), &mut self.output);
                kernels::append(payload, key, &mut self.output);
            }
        }
    }

    /// Writes a batch whose payloads are not copied.
    fn send_shared(&mut self, payload: &[u8]) -> Result<(), Failure> {
        frames::header(Kind::Binary, payload.len(), None, &mut self.output);
        let mut pieces = [IoSlice::new(&[]); 2 * BATCH];
        for pair in pieces.chunks_exact_mut(2) {
            // The same header each time, which a message of its own would not have.
            pair[0] = IoSlice::new(&self.output);
            pair[1] = IoSlice::new(payload);
        }
        let written = self.stream.write_vectored(&pieces)?;
        debug_assert_eq!(written, BATCH * (self.output.len() + payload.len()));
        Ok(())
    }
}

fn validate(text: &[u8]) -> Result<(), Failure> {
    // The standard library is faster with short texts.
    if text.len() < 128 {
        std::str::from_utf8(text)?;
    } else {
        simdutf8::basic::from_utf8(text)?;
    }
    Ok(())
}

/// Room for a read, and for what may be left of the one before.
const INPUT_LEN: usize = 128 << 10;

/// No header is longer.
const HEADER_LEN: usize = 14;

/// From here on a payload is written from where it is.
const SHARED_LEN: usize = 4 << 10;

/// As soon as so much waits it is written.
const WRITTEN_LEN: usize = 64 << 10;
