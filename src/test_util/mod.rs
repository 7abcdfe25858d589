//! What the tests of a program need that talks WebSocket: both ends in memory, faults, and a clock.
//!
//! It is for programs that use this crate, and for the crate's own tests. Nothing of it is in the
//! crate without the feature `test-util`, and nothing else of the crate knows it.
//!
//! | to test | take |
//! |---|---|
//! | code over the core | a [`Pair`], or one [`Endpoint`] that is fed by hand |
//! | code over an adapter | a [`stream_pair`], whose [`Wire`]s cut, stall and fail as they are told |
//! | a peer that breaks the rules | [`illegal_frames`], [`illegal_requests`], [`illegal_responses`] |
//!
//! # Time
//!
//! - The core takes the time as an argument: [`Pair::advance`] passes it on, and keeps each
//!   deadline when it comes.
//! - tokio's clock can be paused, and the adapter uses it: `#[tokio::test(start_paused = true)]`,
//!   and `tokio::time::advance` or a sleep. An hour takes no time then.
//! - Outside tokio, [`VirtualTimer`] is a clock that stands still until it is moved:
//!   `FuturesIo<VirtualTimer>` is a runtime for the types of `asynchronous`.
//! - The blocking adapter waits in the operating system, by whose clock its deadlines are: give it
//!   short ones.
//!
//! # An adapter under test
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use framewright::handshake::ClientRequest;
//! use framewright::test_util::{Wire, stream_pair};
//! use framewright::tokio::{Client, accept};
//! use framewright::{EndCause, Message};
//!
//! let (here, there) = stream_pair(Wire::dripping(), Wire::dripping());
//! let client = Client::new(ClientRequest::new("ws://localhost/")?);
//! let (client, server) = tokio::join!(client.handshake(here), accept(there));
//! let ((mut client, _), mut server) = (client?, server?);
//!
//! // Every byte comes alone, and the message is whole all the same.
//! let (sent, received) = tokio::join!(client.send("Hello"), server.recv());
//! sent?;
//! assert_eq!(received?, Some(Message::text("Hello")));
//!
//! // The network stalls for ever; the clock is paused, and the test is over at once.
//! client.stream().control().stall();
//! assert!(server.recv().await?.is_none());
//! assert_eq!(server.end().map(|end| end.cause), Some(EndCause::KeepaliveTimeout));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```

#[cfg(any(feature = "tokio", feature = "futures-io"))]
mod clock;
mod illegal;
mod pair;
mod pipe;
mod split;
mod stream;

#[cfg(any(feature = "tokio", feature = "futures-io"))]
pub use clock::VirtualTimer;
pub use illegal::{
    IllegalFrames, IllegalRequest, IllegalResponse, illegal_frames, illegal_requests,
    illegal_responses,
};
pub use pair::{CountingMasks, Endpoint, OpenError, Pair};
pub use pipe::{Fault, Wire};
pub use split::Split;
pub use stream::{Control, MemoryStream, stream_pair};
