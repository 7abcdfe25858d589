//! The servers of `broadcast`, one a file: what one connection sends goes to all others.
//!
//! framewright has a helper for it, and so has sockudo-ws in part; with the other peers it is a
//! channel for each connection, as in tokio-tungstenite's `server` example, which `room` has in
//! common. Messages are never sent back to who sent them.

pub(super) mod fastwebsockets;
pub(super) mod floor_epoll;
pub(super) mod floor_tokio;
pub(super) mod framewright_epoll;
pub(super) mod framewright_tokio;
pub(super) mod framewright_tokio_batch;
mod room;
pub(super) mod sockudo_ws;
pub(super) mod tokio_tungstenite;
pub(super) mod tokio_websockets;
pub(super) mod yawc;

use super::{Serving, runtime};
