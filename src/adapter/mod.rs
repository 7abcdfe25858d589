//! What every adapter is made of, whether it blocks or not.
//!
//! The outbox for replies, the parts of a WebSocket, the errors, and when output is written. It
//! holds no stream and knows no runtime.

mod error;
mod outbox;
mod parts;

#[cfg(feature = "blocking")]
pub(crate) use error::is_would_block;
pub(crate) use parts::{WritePatience, is_due, write_patience};

pub use error::Error;
pub use outbox::Outbox;
pub use parts::Parts;
