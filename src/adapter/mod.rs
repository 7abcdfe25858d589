//! What every adapter is made of, whether it blocks or not.
//!
//! The outbox for replies, the parts of a WebSocket, the errors, and when output is written. It
//! holds no stream and knows no runtime.

mod error;
#[cfg(any(feature = "tokio", feature = "futures-io"))]
mod fed;
mod options;
mod outbox;
mod parts;

#[cfg(feature = "blocking")]
pub(crate) use error::is_would_block;
pub(crate) use options::{ClientOptions, ServerOptions};
#[cfg(feature = "blocking")]
pub(crate) use parts::WritePatience;
#[cfg(any(feature = "tokio", feature = "futures-io"))]
pub(crate) use parts::{WRITTEN_LEN, is_data};
pub(crate) use parts::{is_due, write_patience};

pub use error::Error;
#[cfg(any(feature = "tokio", feature = "futures-io"))]
pub use fed::Fed;
pub use outbox::Outbox;
pub use parts::Parts;
