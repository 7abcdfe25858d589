//! What became of a message that was queued without waiting.
//!
//! A value. What it takes for a message to be sent is the adapters' to know.

use crate::message::Message;

/// What became of a message that was queued without waiting.
///
/// `T` is what is given back if there is no room: the message, or nothing where it was only lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fed<T = Message> {
    /// The transport has taken it, and all that was queued before.
    Sent,
    /// It is queued, and so many bytes wait.
    Queued(usize),
    /// More than [`write_high_water`](crate::Config::write_high_water) bytes wait: here it is back.
    Full(T),
}
