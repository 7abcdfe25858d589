//! Frames, the unit on the wire.
//!
//! Functions and values over slices: no role, no history, no limit. Whether a frame is allowed
//! where it stands is for `connection` to judge.
//!
//! RFC 6455, section 5.2:
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//! |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
//! |N|V|V|V|       |S|             |   (if payload len==126/127)   |
//! | |1|2|3|       |K|             |                               |
//! +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//! |     Extended payload length continued, if payload len == 127  |
//! + - - - - - - - - - - - - - - - +-------------------------------+
//! |                               |Masking-key, if MASK set to 1  |
//! +-------------------------------+-------------------------------+
//! | Masking-key (continued)       |          Payload Data         |
//! +-------------------------------- - - - - - - - - - - - - - - - +
//! :                     Payload Data continued ...                :
//! + - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - +
//! |                     Payload Data continued ...                |
//! +---------------------------------------------------------------+
//! ```

mod close;
mod header;
mod mask;
mod opcode;

pub use close::{CloseCode, CloseFrame};
pub use header::{FrameHeader, Rsv};
pub use mask::{MaskingKey, mask, mask_into};
pub use opcode::Opcode;

pub(crate) use header::{MAX_CONTROL_PAYLOAD_LEN, PlainHeader};
pub(crate) use mask::{SHORT_LEN, copy_short, mask_and_look, mask_piece_into, mask_short_into};
