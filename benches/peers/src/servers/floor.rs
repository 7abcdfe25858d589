//! What the floors do with the bytes of one read: as little as an echo can.
//!
//! Nothing is validated, limited or answered but data, a message is never held, and the request is
//! taken for the one that our client sends, in one read. It knows no socket.

use crate::client::ACCEPT;

/// An echo of bytes, connection by connection.
pub(super) trait Echo: Default + Send + 'static {
    /// Makes the reply to `input`, in `room` where it cannot be the input itself.
    fn reply<'a>(&mut self, input: &'a [u8], room: &'a mut [u8]) -> &'a [u8];
}

/// No WebSocket: bytes come back as they are.
#[derive(Default)]
pub(super) struct Raw;

impl Echo for Raw {
    fn reply<'a>(&mut self, input: &'a [u8], _: &'a mut [u8]) -> &'a [u8] {
        input
    }
}

/// A minimal WebSocket: the payload is unmasked while it is copied behind a header without a mask.
#[derive(Default)]
pub(super) struct Minimal {
    is_open: bool,
    /// The front of a header that is not complete.
    header: [u8; 14],
    header_len: usize,
    /// How much of the payload in flight is still to come.
    remaining: u64,
    /// The masking key, turned to the next byte of the payload.
    key: [u8; 4],
}

impl Echo for Minimal {
    fn reply<'a>(&mut self, mut input: &'a [u8], room: &'a mut [u8]) -> &'a [u8] {
        if !self.is_open {
            assert!(
                input.ends_with(b"\r\n\r\n"),
                "the request comes in one read"
            );
            self.is_open = true;
            let head = response();
            room[..head.len()].copy_from_slice(head.as_bytes());
            return &room[..head.len()];
        }
        let mut len = 0;
        while !input.is_empty() {
            if self.remaining == 0 {
                let Some(header_len) = self.take_header(&mut input) else {
                    break;
                };
                // A header without the mask is the same but for one bit and the key.
                let header_len = header_len - 4;
                room[len..len + header_len].copy_from_slice(&self.header[..header_len]);
                room[len + 1] &= 0b0111_1111;
                len += header_len;
            }
            let part = usize::try_from(self.remaining)
                .unwrap_or(usize::MAX)
                .min(input.len());
            let (payload, rest) = input.split_at(part);
            unmask(payload, &mut room[len..len + part], self.key);
            self.key.rotate_left(part % 4);
            self.remaining -= part as u64;
            len += part;
            input = rest;
        }
        &room[..len]
    }
}

impl Minimal {
    /// Whether the request has come, so that what follows is messages.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Takes what there is of a header, and returns its length once it is complete.
    #[inline]
    fn take_header(&mut self, input: &mut &[u8]) -> Option<usize> {
        let there = self.header_len;
        let taken = (self.header.len() - there).min(input.len());
        self.header[there..there + taken].copy_from_slice(&input[..taken]);
        let known = there + taken;
        let len_bytes = match self.header[1] & 0b0111_1111 {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let needed = 2 + len_bytes + 4;
        if known < needed {
            self.header_len = known;
            *input = &[];
            return None;
        }
        self.header_len = 0;
        *input = &input[needed - there..];
        self.remaining = match self.header[1] & 0b0111_1111 {
            126 => u64::from(u16::from_be_bytes([self.header[2], self.header[3]])),
            127 => self.header[2..10]
                .iter()
                .fold(0, |len, &byte| len << 8 | u64::from(byte)),
            len => u64::from(len),
        };
        self.key.copy_from_slice(&self.header[needed - 4..needed]);
        Some(needed)
    }
}

#[inline]
fn unmask(payload: &[u8], room: &mut [u8], key: [u8; 4]) {
    let word = u128::from_ne_bytes([key; 4].as_flattened().try_into().unwrap_or_default());
    let (words, rest) = payload.as_chunks::<16>();
    let (room_words, room_rest) = room.as_chunks_mut::<16>();
    for (to, from) in room_words.iter_mut().zip(words) {
        *to = (u128::from_ne_bytes(*from) ^ word).to_ne_bytes();
    }
    for ((to, from), key) in room_rest.iter_mut().zip(rest).zip(key.iter().cycle()) {
        *to = from ^ key;
    }
}

fn response() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
}

/// How much is read at once.
pub(super) const READ_LEN: usize = 64 << 10;

/// Room for the reply to one read: what was kept of a header comes on top.
pub(super) const REPLY_LEN: usize = READ_LEN + 16;
