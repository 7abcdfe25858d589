//! What is to be received, by the letter of sections 5 to 7, without extensions.
//!
//! All bytes at once and messages whole: no buffers, no states but a kind and a vector. Headers are
//! the library's, which the target `frame_header` compares with the RFC.

use framewright::frame::{CloseCode, FrameHeader, Opcode, mask};
use framewright::{Config, MessageKind, ProtocolError, Role};

use crate::endpoint::Log;

/// Returns what an end of `role` delivers of `bytes`, and the error that it ends with.
pub fn receive(role: Role, config: &Config, mut bytes: &[u8]) -> (Log, Option<ProtocolError>) {
    let mut log = Log::default();
    let mut message = None;
    loop {
        match frame(role, config, &mut message, &mut log, bytes) {
            Ok(Some(rest)) => bytes = rest,
            Ok(None) => return (log, None),
            Err(error) => return (log, Some(error)),
        }
    }
}

/// A message whose fragments are coming.
struct Unfinished {
    kind: MessageKind,
    bytes: Vec<u8>,
    fragments: u64,
}

/// Receives a frame and returns what is behind it; `None` if it is not whole, or is a Close.
fn frame<'a>(
    role: Role,
    config: &Config,
    unfinished: &mut Option<Unfinished>,
    log: &mut Log,
    bytes: &'a [u8],
) -> Result<Option<&'a [u8]>, ProtocolError> {
    let Some(header) = FrameHeader::decode(bytes)? else {
        return Ok(None);
    };
    let bytes = &bytes[header.encoded_len()..];
    // 5.1
    match (role, header.mask) {
        (Role::Server, None) => return Err(ProtocolError::MaskMissing),
        (Role::Client, Some(_)) => return Err(ProtocolError::MaskUnexpected),
        (Role::Server, Some(_)) | (Role::Client, None) => {}
    }
    // 5.2
    if !header.rsv.is_empty() {
        return Err(ProtocolError::ReservedBitSet);
    }
    // 5.4
    if !header.opcode.is_control() {
        match (header.opcode, &unfinished) {
            (Opcode::Continuation, None) => return Err(ProtocolError::ContinuationUnexpected),
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(ProtocolError::MessageInterrupted);
            }
            _ => {}
        }
        // 10.4
        let (so_far, fragments) = match &unfinished {
            Some(message) => (message.bytes.len() as u64, message.fragments),
            None => (0, 0),
        };
        if fragments >= config.max_fragments {
            return Err(ProtocolError::TooManyFragments);
        }
        if header.payload_len > config.max_frame_len {
            return Err(ProtocolError::FrameTooLong);
        }
        let len = u128::from(so_far) + u128::from(header.payload_len);
        if len > u128::from(config.max_message_len) || len > isize::MAX as u128 {
            return Err(ProtocolError::MessageTooLong);
        }
    }
    let len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
    let (payload, rest) = bytes.split_at(len.min(bytes.len()));
    let is_whole = payload.len() == len;
    let mut payload = payload.to_vec();
    if let Some(key) = header.mask {
        mask(&mut payload, key, 0);
    }
    if header.opcode.is_control() {
        if !is_whole {
            return Ok(None);
        }
        match header.opcode {
            Opcode::Ping => log.record(b'9', &payload),
            Opcode::Pong => log.record(b'a', &payload),
            _ => {
                close(&payload)?;
                log.record(b'8', &payload);
                return Ok(None);
            }
        }
        return Ok(Some(rest));
    }
    let mut message = unfinished.take().unwrap_or(Unfinished {
        kind: match header.opcode {
            Opcode::Text => MessageKind::Text,
            _ => MessageKind::Binary,
        },
        bytes: Vec::new(),
        fragments: 0,
    });
    message.bytes.append(&mut payload);
    message.fragments += 1;
    let is_last = is_whole && header.fin;
    if message.kind == MessageKind::Text {
        // 8.1, at the first byte that shows it.
        match std::str::from_utf8(&message.bytes) {
            Ok(_) => {}
            Err(error) if error.error_len().is_none() && !is_last => {}
            Err(_) => return Err(ProtocolError::TextNotUtf8),
        }
    }
    if is_last {
        let tag = match message.kind {
            MessageKind::Text => b't',
            MessageKind::Binary => b'b',
        };
        log.record(tag, &message.bytes);
    } else {
        *unfinished = Some(message);
    }
    Ok(is_whole.then_some(rest))
}

/// 5.5.1 and 7.4.
fn close(payload: &[u8]) -> Result<(), ProtocolError> {
    let (code, reason) = match payload {
        [] => return Ok(()),
        [_] => return Err(ProtocolError::CloseTooShort),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    let is_code = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    assert_eq!(CloseCode::new(code).is_some(), is_code);
    if !is_code {
        return Err(ProtocolError::CloseCodeInvalid(code));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(()),
        Err(_) => Err(ProtocolError::CloseReasonNotUtf8),
    }
}
