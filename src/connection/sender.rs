//! From a command to the bytes of a frame.
//!
//! Owns the order of the fragments that we send, and writes header, payload and mask. It knows
//! nothing of input, nor of the closing handshake: whether anything may be sent is for
//! `connection` to know.
//!
//! RFC 6455, sections 5.1, 5.3 to 5.6 and 6.1.

use bytes::Bytes;

use super::Role;
use super::masks::{MaskSource, next_key};
use super::send_buffer::SendBuffer;
use crate::error::SendError;
use crate::frame::{CloseFrame, FrameHeader, MAX_CONTROL_PAYLOAD_LEN, Opcode, Rsv, mask_into};
use crate::message::MessageKind;
use crate::utf8::Utf8Validator;

/// What the sending side remembers from one frame to the next.
#[derive(Debug, Default)]
pub(super) struct Sender {
    /// The message of which fragments were sent and the last was not.
    unfinished: Option<Unfinished>,
    masks: Option<Box<dyn MaskSource>>,
}

#[derive(Debug, Clone, Copy)]
struct Unfinished {
    kind: MessageKind,
    utf8: Utf8Validator,
}

impl Sender {
    /// Replaces the source of masking keys.
    pub(super) fn set_masks(&mut self, masks: Box<dyn MaskSource>) {
        self.masks = Some(masks);
    }

    /// Sends a whole message.
    #[inline]
    pub(super) fn message(
        &mut self,
        role: Role,
        kind: MessageKind,
        payload: &[u8],
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        if self.unfinished.is_some() {
            return Err(SendError::MessageUnfinished);
        }
        self.frame(role, opcode_of(kind), true, payload, output);
        Ok(())
    }

    /// Sends a whole message, a long one without copying where it need not be masked.
    pub(super) fn shared_message(
        &mut self,
        role: Role,
        kind: MessageKind,
        payload: Bytes,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        match role {
            Role::Server if payload.len() >= SHARED_LEN && self.unfinished.is_none() => {
                let header = FrameHeader {
                    fin: true,
                    rsv: Rsv::NONE,
                    opcode: opcode_of(kind),
                    mask: None,
                    payload_len: payload.len() as u64,
                };
                header.encode(output.tail());
                output.append_shared(payload);
                Ok(())
            }
            Role::Server | Role::Client => self.message(role, kind, &payload, output),
        }
    }

    /// Sends a fragment of a message.
    pub(super) fn fragment(
        &mut self,
        role: Role,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let (opcode, mut message) = match self.unfinished {
            None => {
                let utf8 = Utf8Validator::new();
                (opcode_of(kind), Unfinished { kind, utf8 })
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
        self.frame(role, opcode, fin, payload, output);
        Ok(())
    }

    /// Sends a Ping or a Pong.
    pub(super) fn control(
        &mut self,
        role: Role,
        opcode: Opcode,
        payload: &[u8],
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        debug_assert!(opcode.is_control(), "data goes through `message`");
        if payload.len() as u64 > MAX_CONTROL_PAYLOAD_LEN {
            return Err(SendError::ControlTooLong);
        }
        self.frame(role, opcode, true, payload, output);
        Ok(())
    }

    /// Answers a Ping, in place of an earlier answer of which no byte is out.
    #[inline]
    pub(super) fn automatic_pong(&mut self, role: Role, payload: &[u8], output: &mut SendBuffer) {
        output.remove_pong();
        let start = output.tail().len();
        self.frame(role, Opcode::Pong, true, payload, output);
        output.mark_pong(start);
    }

    /// Sends a Close frame.
    pub(super) fn close(
        &mut self,
        role: Role,
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
        self.frame(role, Opcode::Close, true, &payload, output);
        Ok(())
    }

    #[inline]
    fn frame(
        &mut self,
        role: Role,
        opcode: Opcode,
        fin: bool,
        payload: &[u8],
        output: &mut SendBuffer,
    ) {
        // 5.1: "a client MUST mask all frames that it sends", "A server MUST NOT mask any frames".
        let mask = match role {
            Role::Client => Some(next_key(self.masks.as_deref_mut())),
            Role::Server => None,
        };
        let header = FrameHeader {
            fin,
            rsv: Rsv::NONE,
            opcode,
            mask,
            payload_len: payload.len() as u64,
        };
        let output = output.tail();
        output.reserve(FrameHeader::MAX_LEN + payload.len());
        header.encode(output);
        match mask {
            Some(key) => mask_into(output, payload, key),
            None => output.extend_from_slice(payload),
        }
    }
}

#[inline]
const fn opcode_of(kind: MessageKind) -> Opcode {
    match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    }
}

/// A payload of at least this length is cheaper to write from where it is than to copy.
const SHARED_LEN: usize = 8 << 10;
