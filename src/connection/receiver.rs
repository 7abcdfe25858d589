//! From received bytes to one located event.
//!
//! The rules that need a role or a history: masking, reserved bits, the order of fragments, the
//! limits. A rule that a header alone can show was judged by `frame::header`. Of output it knows
//! nothing: that a Ping is answered and a Close returned is for `connection` to do.
//!
//! RFC 6455, sections 5.1, 5.2, 5.4 and 10.4.

use super::Role;
use super::assembler::{Assembler, Coding};
use super::config::{Config, Delivery};
use super::recv_buffer::{AtOnce, Decoding, Place, RecvBuffer, What};
use crate::error::ProtocolError;
use crate::extension::Extension;
use crate::frame::{CloseFrame, FrameHeader, Opcode, PlainHeader, Rsv};
use crate::message::MessageKind;

/// Finds a message that is whole in the window, in one frame that breaks no rule of
/// [`begin_frame`]: the commonest, for which nothing need be remembered. Where it is `Other`,
/// [`find_event`] has the say.
#[inline]
pub(super) fn find_at_once(role: Role, whole_below: u32, input: &mut RecvBuffer) -> AtOnce {
    if !input.is_between_messages() {
        return AtOnce::Other;
    }
    let header = input
        .front()
        .and_then(|bytes| PlainHeader::read(*bytes, role == Role::Server));
    match header {
        Some(header) if u32::from(header.payload_len) < whole_below => input.gather_whole(&header),
        Some(_) | None => input.end_burst(),
    }
}

/// Returns the length below which [`find_at_once`] need not look at any other limit.
pub(super) fn whole_below(config: &Config) -> u32 {
    if config.max_fragments == 0 || config.delivery != Delivery::Messages {
        return 0;
    }
    let longest = config.max_message_len.min(config.max_frame_len);
    u32::try_from(longest).map_or(u32::MAX, |longest| longest.saturating_add(1))
}

/// Finds the next event in `input`; `None` if it needs more bytes.
pub(super) fn find_event(
    role: Role,
    config: &Config,
    mut extension: Option<&mut (dyn Extension + 'static)>,
    input: &mut RecvBuffer,
) -> Result<Option<What>, ProtocolError> {
    let claimed = extension
        .as_ref()
        .map_or(Rsv::NONE, |extension| extension.rsv());
    loop {
        if input.frame().is_none() {
            let Some(header) = FrameHeader::decode(input.unread())? else {
                return Ok(None);
            };
            begin_frame(role, config, claimed, header, input)?;
        }
        let decoding = Decoding {
            extension: extension.as_deref_mut(),
            max_len: config.max_message_len,
        };
        if !input.gather(decoding)? {
            return Ok(None);
        }
        // A frame that is whole without an event is a fragment: its message goes on.
        if let Some(what) = input.located() {
            if what == What::Close {
                CloseFrame::decode(input.located_payload())?;
            }
            return Ok(Some(what));
        }
    }
}

/// Judges a header and opens the frame, and the message that it may begin.
#[inline]
fn begin_frame(
    role: Role,
    config: &Config,
    claimed: Rsv,
    header: FrameHeader,
    input: &mut RecvBuffer,
) -> Result<(), ProtocolError> {
    match (role, header.mask) {
        // 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
        (Role::Server, None) => return Err(ProtocolError::MaskMissing),
        // 5.1: "A client MUST close a connection if it detects a masked frame."
        (Role::Client, Some(_)) => return Err(ProtocolError::MaskUnexpected),
        (Role::Server, Some(_)) | (Role::Client, None) => {}
    }
    // 5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
    // RFC 7692, section 6.1: a bit that is claimed is on the first frame of a message, and nowhere
    // else.
    let begins_message = matches!(header.opcode, Opcode::Text | Opcode::Binary);
    if !header.rsv.is_empty() && (header.rsv != claimed || !begins_message) {
        return Err(ProtocolError::ReservedBitSet);
    }
    let unfinished = input.assembler().kind().is_some();
    let kind = match header.opcode {
        Opcode::Close | Opcode::Ping | Opcode::Pong => {
            input.begin_frame(header, Place::Window);
            return Ok(());
        }
        Opcode::Continuation if !unfinished => return Err(ProtocolError::ContinuationUnexpected),
        // 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of
        // another message".
        Opcode::Text | Opcode::Binary if unfinished => {
            return Err(ProtocolError::MessageInterrupted);
        }
        Opcode::Continuation => None,
        Opcode::Text => Some(MessageKind::Text),
        Opcode::Binary => Some(MessageKind::Binary),
    };
    // What continues a message is coded and delivered as its beginning was: the rest of one that
    // began in chunks is no message of its own.
    let (coding, delivery) = match kind {
        Some(_) if header.rsv.is_empty() => (Coding::Plain, config.delivery),
        Some(_) => (Coding::Encoded, config.delivery),
        None => (input.assembler().coding(), input.assembler().delivery()),
    };
    let message = kind.is_none().then_some(input.assembler());
    judge_limits(config, &header, message, coding)?;
    let place = match delivery {
        delivery if coding == Coding::Encoded => Place::Encoded(delivery),
        Delivery::Chunks => Place::Chunks,
        Delivery::Messages if kind.is_some() && header.fin && input.fits_in_window(&header) => {
            Place::Window
        }
        Delivery::Messages => Place::Message,
    };
    if let Some(kind) = kind {
        input.begin_message(kind, delivery, coding);
    }
    input.begin_frame(header, place);
    Ok(())
}

/// Judges the length and the number of frames, of a first frame or of one that continues `message`.
///
/// 10.4: all of it from the header, before any payload is buffered. The length of an encoded
/// message is not known before it is decoded, and is judged then.
#[inline]
fn judge_limits(
    config: &Config,
    header: &FrameHeader,
    message: Option<&Assembler>,
    coding: Coding,
) -> Result<(), ProtocolError> {
    let (announced_len, fragments) = message.map_or((0, 0), |message| {
        (message.announced_len(), message.fragments())
    });
    if fragments >= config.max_fragments {
        return Err(ProtocolError::TooManyFragments);
    }
    if coding == Coding::Encoded {
        // What cannot be compressed grows a little: DEFLATE's stored blocks have headers.
        let max_len = config
            .max_frame_len
            .saturating_add(config.max_frame_len / 1000)
            .saturating_add(1024);
        if header.payload_len > max_len {
            return Err(ProtocolError::FrameTooLong);
        }
        return Ok(());
    }
    if header.payload_len > config.max_frame_len {
        return Err(ProtocolError::FrameTooLong);
    }
    if announced_len.saturating_add(header.payload_len) > config.max_message_len {
        return Err(ProtocolError::MessageTooLong);
    }
    // A message that is kept must fit in memory, whatever the limit says.
    if config.delivery == Delivery::Messages
        && isize::try_from(announced_len.saturating_add(header.payload_len)).is_err()
    {
        return Err(ProtocolError::MessageTooLong);
    }
    Ok(())
}
