//! What a connection delivers.
//!
//! Values that borrow a receive buffer. What was done about them already is in `connection`.
//!
//! RFC 6455, sections 5.4 to 5.6.

use crate::frame::CloseFrame;
use crate::message::MessageKind;

/// What was received: a message, a piece of one, or a control frame. It borrows the
/// [`RecvBuffer`](crate::RecvBuffer) only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A piece of a message, where [`Config::delivery`](crate::Config::delivery) says
    /// [`Delivery::Chunks`](crate::Delivery::Chunks).
    Chunk(Chunk<'a>),
    /// A Ping. Its Pong is in the output already.
    Ping(&'a [u8]),
    /// A Pong.
    Pong(&'a [u8]),
    /// A Close. Its answer is in the output already, unless ours was sent before.
    Close(Option<CloseFrame<'a>>),
}

/// A piece of a message that is delivered as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// What the message is.
    pub kind: MessageKind,
    /// The bytes. Those of a text are valid so far, and may end inside a character, but for the
    /// last.
    pub payload: &'a [u8],
    /// Whether the message ends here.
    pub fin: bool,
}
