//! Frames and handshakes that an endpoint must refuse, and how.
//!
//! Bytes, built without the codec of the crate so that a fault of that cannot hide itself, and the
//! error that each earns. Who is fed with them, and how, is the caller's.
//!
//! RFC 6455, sections 4, 5, 7.4 and 8.1.

mod frames;
mod requests;
mod responses;

pub use frames::{IllegalFrames, illegal_frames};
pub use requests::{IllegalRequest, illegal_requests};
pub use responses::{IllegalResponse, illegal_responses};
