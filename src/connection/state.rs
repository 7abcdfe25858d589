//! Which end a connection is, how far it has come, and what its transport still needs.
//!
//! Values that other files match on exhaustively; what moves a connection from one to the next is
//! in `connection`.
//!
//! RFC 6455, sections 5.1, 7.1.1 and 7.1.3.

/// Which end of a connection this is: a client masks, a server does not (5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that asked for the connection.
    Client,
    /// The end that accepted it.
    Server,
}

/// How far a connection has come.
///
/// ```text
///            send_close                    Close received
///   Open ───────────────▶ Closing ───────────────────────▶ Closed
///     │   Close received (the reply is appended at once)       ▲
///     ├────────────────────────────────────────────────────────┤
///     └── ProtocolError (its Close is appended) ───────────────┘  latched
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Messages pass both ways.
    Open,
    /// Our Close was sent; the peer's messages are delivered until its Close arrives.
    Closing,
    /// Nothing more is sent or delivered. What is left to do is in
    /// [`Connection::teardown`](crate::Connection::teardown).
    Closed,
}

/// What is to be done with the transport.
///
/// RFC 6455, section 7.1.1: the server closes first, so that the wait for late segments is on its
/// side; a client waits for it, and both give up at a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Teardown {
    /// Nothing: the connection is not [`Closed`](State::Closed).
    NotYet,
    /// Write what is in the output, then read until the peer closes or the deadline passes.
    AwaitEof,
    /// Write what is in the output and shut down writing, then read until the peer closes or the
    /// deadline passes; a transport dropped with unread bytes may take our Close frame with it.
    ShutDown,
    /// Write what is in the output if the transport takes it at once, then drop the transport.
    Drop,
}
