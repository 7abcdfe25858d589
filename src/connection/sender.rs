//! From a command to the bytes of a frame.
//!
//! Owns the order of the fragments that we send, and writes header, payload and mask. It knows
//! nothing of input, nor of the closing handshake: whether anything may be sent is for
//! `connection` to know.
//!
//! RFC 6455, sections 5.1, 5.3 to 5.6 and 6.1.

use bytes::Bytes;

use super::compression::{Compression, Encoding};
use super::masks::MaskSource;
use super::prepared::{PreparedFrame, PreparedMessage};
use super::send_buffer::SendBuffer;
use crate::error::SendError;
use crate::extension::Extension;
use crate::frame::{
    CloseFrame, FrameHeader, MAX_CONTROL_PAYLOAD_LEN, MaskingKey, Opcode, Rsv, SHORT_LEN,
    copy_short, mask, mask_into, mask_short_into,
};
use crate::message::MessageKind;
use crate::utf8::Utf8Validator;

/// What the sending side remembers from one frame to the next.
#[derive(Debug)]
pub(super) struct Sender {
    /// The message of which fragments were sent and the last was not.
    unfinished: Option<Unfinished>,
    /// Where a client's masking keys come from. A server has none, and that is what tells the two
    /// apart here, so that no frame is to be masked for which there is no key.
    ///
    /// 5.1: "a client MUST mask all frames that it sends", "A server MUST NOT mask any frames".
    masks: Option<Box<dyn MaskSource>>,
}

#[derive(Debug, Clone, Copy)]
struct Unfinished {
    kind: MessageKind,
    utf8: Utf8Validator,
    is_encoded: bool,
}

impl Sender {
    /// Makes the sending side of a client, or of a server, which has no source of masking keys.
    pub(super) const fn new(masks: Option<Box<dyn MaskSource>>) -> Self {
        Self {
            unfinished: None,
            masks,
        }
    }

    /// Replaces the source of masking keys, if there is one.
    pub(super) fn replace_masks(&mut self, masks: Box<dyn MaskSource>) {
        if let Some(replaced) = &mut self.masks {
            *replaced = masks;
        }
    }

    /// Returns the opcode of the next frame of a message of `kind` (5.4).
    pub(super) const fn next_opcode(&self, kind: MessageKind) -> Opcode {
        match self.unfinished {
            Some(_) => Opcode::Continuation,
            None => kind.opcode(),
        }
    }

    /// Sends a whole message as it is.
    #[inline]
    pub(super) fn plain_message(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        if self.unfinished.is_some() {
            return Err(SendError::MessageUnfinished);
        }
        self.frame(kind.opcode(), true, payload, output);
        Ok(())
    }

    /// Sends a whole message, encoded if that is worth it.
    pub(super) fn message(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        encoding: Encoding<'_>,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        if self.unfinished.is_some() {
            return Err(SendError::MessageUnfinished);
        }
        let compression = encoding.compression;
        if let Some(extension) = encoding.choose(payload.len())
            && self.encoded_message(kind, payload, extension, compression, output)
        {
            return Ok(());
        }
        self.plain_message(kind, payload, output)
    }

    /// Sends a whole message of a server as it is, without copying it.
    pub(super) fn shared_message(
        &mut self,
        kind: MessageKind,
        payload: Bytes,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        if self.unfinished.is_some() {
            return Err(SendError::MessageUnfinished);
        }
        plain_header(kind.opcode(), true, &payload).encode(output.tail());
        output.append_shared(payload);
        Ok(())
    }

    /// Sends a message that was encoded before, or is now, for all who are to receive it.
    pub(super) fn prepared_message(
        &mut self,
        message: &PreparedMessage,
        extension: Option<&mut (dyn Extension + 'static)>,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        if self.unfinished.is_some() {
            return Err(SendError::MessageUnfinished);
        }
        let encoding = Encoding {
            extension,
            compression: message.compression(),
        };
        if let Some(extension) = encoding.choose(message.payload().len())
            && message.with_encoded(extension, |frame| self.prepared_frame(frame, output))
        {
            // The peer's window has the message, and ours has not.
            extension.diverge();
            return Ok(());
        }
        self.prepared_frame(message.plain(), output);
        Ok(())
    }

    /// Sends a fragment of a message.
    pub(super) fn fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
        mut encoding: Encoding<'_>,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let (opcode, mut message) = match self.unfinished {
            None => {
                let reborrowed = Encoding {
                    extension: encoding.extension.as_deref_mut(),
                    ..encoding
                };
                let message = Unfinished {
                    kind,
                    utf8: Utf8Validator::new(),
                    is_encoded: reborrowed.choose(payload.len()).is_some(),
                };
                (kind.opcode(), message)
            }
            Some(message) if message.kind == kind => (Opcode::Continuation, message),
            Some(_) => return Err(SendError::MessageUnfinished),
        };
        if kind == MessageKind::Text {
            // 5.6: "a particular text frame might include a partial UTF-8 sequence; however, the
            // whole message MUST contain valid UTF-8."
            let valid = message.utf8.feed(payload).is_ok();
            if !valid || (fin && !message.utf8.is_complete()) {
                return Err(SendError::TextNotUtf8);
            }
        }
        self.unfinished = (!fin).then_some(message);
        match encoding.extension {
            Some(extension) if message.is_encoded => {
                // RFC 7692, section 6.1: the bit is on the first fragment only.
                let rsv = match opcode {
                    Opcode::Continuation => Rsv::NONE,
                    _ => extension.rsv(),
                };
                let start = reserve_header(output);
                extension.encode(payload, fin, output.tail());
                self.finish_frame(opcode, fin, rsv, start, output);
            }
            Some(_) | None => self.frame(opcode, fin, payload, output),
        }
        Ok(())
    }

    /// Sends a Ping or a Pong.
    pub(super) fn control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        debug_assert!(opcode.is_control(), "data goes through `message`");
        if payload.len() as u64 > MAX_CONTROL_PAYLOAD_LEN {
            return Err(SendError::ControlTooLong);
        }
        self.frame(opcode, true, payload, output);
        Ok(())
    }

    /// Answers a Ping, in place of an earlier answer of which no byte is out.
    #[inline]
    pub(super) fn automatic_pong(&mut self, payload: &[u8], output: &mut SendBuffer) {
        output.remove_pong();
        let start = output.tail().len();
        self.frame(Opcode::Pong, true, payload, output);
        output.mark_pong(start);
    }

    /// Sends a Close frame.
    pub(super) fn close(
        &mut self,
        frame: Option<&CloseFrame<'_>>,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let mut payload = Vec::new();
        if let Some(frame) = frame {
            // A reason that is cut short could end inside a character, or say something else.
            if frame.reason.len() > CloseFrame::MAX_REASON_LEN {
                return Err(SendError::ReasonTooLong);
            }
            frame.encode(&mut payload);
        }
        self.frame(Opcode::Close, true, &payload, output);
        Ok(())
    }

    /// Encodes and sends a whole message; `false` if that was not worth it, and nothing is sent.
    fn encoded_message(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        extension: &mut dyn Extension,
        compression: Compression,
        output: &mut SendBuffer,
    ) -> bool {
        let start = reserve_header(output);
        extension.encode(payload, true, output.tail());
        let encoded_len = output.tail().len() - start - FrameHeader::MAX_LEN;
        if compression == Compression::Auto && encoded_len >= payload.len() {
            output.tail().truncate(start);
            extension.diverge();
            return false;
        }
        self.finish_frame(kind.opcode(), true, extension.rsv(), start, output);
        true
    }

    fn prepared_frame(&mut self, frame: &PreparedFrame, output: &mut SendBuffer) {
        match self.masks.as_deref_mut() {
            None => frame.append(output),
            Some(masks) => {
                let FrameHeader {
                    opcode, fin, rsv, ..
                } = frame.header;
                append_masked_frame(masks, opcode, fin, rsv, &frame.payload, output);
            }
        }
    }

    /// Writes the header of a payload that was appended behind the room for it.
    fn finish_frame(
        &mut self,
        opcode: Opcode,
        fin: bool,
        rsv: Rsv,
        start: usize,
        output: &mut SendBuffer,
    ) {
        let output = output.tail();
        let payload_start = start + FrameHeader::MAX_LEN;
        let payload_len = output.len() - payload_start;
        let header = FrameHeader {
            fin,
            rsv,
            opcode,
            mask: self.masks.as_mut().map(|masks| masks.next_key()),
            payload_len: payload_len as u64,
        };
        if let Some(key) = header.mask {
            mask(&mut output[payload_start..], key, 0);
        }
        let (bytes, header_len) = header.to_bytes();
        output[start..start + header_len].copy_from_slice(&bytes[..header_len]);
        output.copy_within(payload_start.., start + header_len);
        output.truncate(start + header_len + payload_len);
    }

    /// Sends a frame as it is.
    ///
    /// A function of its own, so that the checks before it are made where the call stands.
    #[inline(never)]
    fn frame(&mut self, opcode: Opcode, fin: bool, payload: &[u8], output: &mut SendBuffer) {
        match self.masks.as_deref_mut() {
            None => append_frame(opcode, fin, payload, output),
            Some(masks) => append_masked_frame(masks, opcode, fin, Rsv::NONE, payload, output),
        }
    }
}

/// Appends a frame of a server, whose payload is not masked.
#[inline]
fn append_frame(opcode: Opcode, fin: bool, payload: &[u8], output: &mut SendBuffer) {
    match output.roomy_tail(SHORT_FRAME_LEN) {
        Some(output) if payload.len() <= SHORT_LEN => {
            append_short_frame(opcode, fin, payload, output);
        }
        Some(_) | None => append_long_frame(opcode, fin, payload, output),
    }
}

/// Appends a frame of a server whose payload is short, without a call: room for the longest of
/// them, of which only what was written is kept.
#[inline]
fn append_short_frame(opcode: Opcode, fin: bool, payload: &[u8], output: &mut Vec<u8>) {
    // With neither a key nor an extended length these are all.
    let ([first, second, ..], _) = plain_header(opcode, fin, payload).to_bytes();
    output.extend_from_slice(&[0; SHORT_FRAME_LEN]);
    if let Some([byte_0, byte_1, room @ ..]) = output.last_chunk_mut::<SHORT_FRAME_LEN>() {
        [*byte_0, *byte_1] = [first, second];
        copy_short(room, payload);
    }
    output.truncate(output.len() - SHORT_LEN + payload.len());
}

/// Appends a frame of a server, of any length.
///
/// A function of its own, so that the short way has no registers to save for the long one.
#[inline(never)]
fn append_long_frame(opcode: Opcode, fin: bool, payload: &[u8], output: &mut SendBuffer) {
    let output = output.tail();
    output.reserve(FrameHeader::STORED_LEN + payload.len());
    plain_header(opcode, fin, payload).encode(output);
    output.extend_from_slice(payload);
}

/// Returns the header of a frame of a server that no extension encoded.
#[inline]
const fn plain_header(opcode: Opcode, fin: bool, payload: &[u8]) -> FrameHeader {
    FrameHeader {
        fin,
        rsv: Rsv::NONE,
        opcode,
        mask: None,
        payload_len: payload.len() as u64,
    }
}

/// Appends a frame of a client.
///
/// A function of its own, so that a server's frames are not burdened with a generator of keys.
#[inline(never)]
fn append_masked_frame(
    masks: &mut dyn MaskSource,
    opcode: Opcode,
    fin: bool,
    rsv: Rsv,
    payload: &[u8],
    output: &mut SendBuffer,
) {
    let key = masks.next_key();
    let header = FrameHeader {
        fin,
        rsv,
        opcode,
        mask: Some(key),
        payload_len: payload.len() as u64,
    };
    match output.roomy_tail(SHORT_MASKED_FRAME_LEN) {
        Some(output) if payload.len() <= SHORT_LEN => {
            append_short_masked_frame(header, payload, key, output);
        }
        Some(_) | None => {
            let output = output.tail();
            output.reserve(FrameHeader::STORED_LEN + payload.len());
            header.encode(output);
            mask_into(output, payload, key);
        }
    }
}

/// Appends a frame of a client whose payload is short, as [`append_short_frame`] does a server's.
#[inline]
fn append_short_masked_frame(
    header: FrameHeader,
    payload: &[u8],
    key: MaskingKey,
    output: &mut Vec<u8>,
) {
    let (header, _) = header.to_bytes();
    output.extend_from_slice(&[0; SHORT_MASKED_FRAME_LEN]);
    // With a key and without an extended length the first six bytes are the header.
    if let Some(header) = header.first_chunk()
        && let Some(frame) = output.last_chunk_mut::<SHORT_MASKED_FRAME_LEN>()
        && let Some((front, room)) = frame.split_first_chunk_mut::<6>()
        && let Some(room) = room.first_chunk_mut()
    {
        *front = *header;
        mask_short_into(room, payload, key);
    }
    output.truncate(output.len() - SHORT_LEN + payload.len());
}

/// Appends room for any header, for a payload whose length is not known before it is there, and
/// returns where the room begins.
fn reserve_header(output: &mut SendBuffer) -> usize {
    let output = output.tail();
    let start = output.len();
    output.extend_from_slice(&[0; FrameHeader::MAX_LEN]);
    start
}

/// The longest frame of a server that is appended without a call: a header of two bytes and a short
/// payload.
const SHORT_FRAME_LEN: usize = 2 + SHORT_LEN;

/// The longest frame of a client that is: the header has a key too.
const SHORT_MASKED_FRAME_LEN: usize = 6 + SHORT_LEN;

#[cfg(test)]
mod tests {
    use super::super::masks::tests::{RFC_KEY, RfcKey};
    use super::*;

    #[test]
    fn a_frame_is_the_same_however_little_room_is_left() {
        for len in 0..=SHORT_LEN + 1 {
            let payload = b"0123456789".repeat(4)[..len].to_vec();
            let len = u8::try_from(len).unwrap();
            let plain = [&[0x82, len][..], &payload].concat();
            let masked = payload.iter().zip(RFC_KEY.iter().cycle());
            let masked: Vec<u8> = masked.map(|(byte, key)| byte ^ key).collect();
            let masked = [&[0x82, 0x80 | len][..], &RFC_KEY, &masked].concat();
            for spare in 0..=SHORT_MASKED_FRAME_LEN + 10 {
                let of_client: Box<dyn MaskSource> = Box::new(RfcKey);
                for (masks, frame) in [(None, &plain), (Some(of_client), &masked)] {
                    let mut output = SendBuffer::new();
                    let tail = output.tail();
                    tail.resize(tail.capacity() - spare, 0);
                    let start = tail.len();
                    let sent = Sender::new(masks).plain_message(
                        MessageKind::Binary,
                        &payload,
                        &mut output,
                    );
                    assert_eq!(sent, Ok(()));
                    assert_eq!(
                        &output.to_vec()[start..],
                        frame,
                        "{len} bytes, room for {spare}"
                    );
                }
            }
        }
    }
}
