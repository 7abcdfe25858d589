//! A WebSocket library (RFC 6455) whose core does no I/O.

mod connection;
mod error;
mod extension;
pub mod frame;
pub mod handshake;
mod message;
mod utf8;

pub use connection::{
    Chunk, Chunks, Config, Connection, Delivery, End, EndCause, Event, Initiator, MaskSource,
    RecvBuffer, Role, SendBuffer, State, Teardown,
};
pub use error::{HandshakeError, ProtocolError, RefusedResponse, SendError};
pub use frame::{CloseCode, CloseFrame};
pub use message::{Message, MessageKind, Utf8Bytes};
