//! The closing handshake, and every other way in which a connection ends.
//!
//! Owns what follows from a Close frame, an error, a deadline or the end of the transport: which
//! Close frame is sent, how the connection ended, and what is left to do with the transport. It
//! knows nothing of messages.
//!
//! RFC 6455, sections 5.5.1 and 7.

use super::Connection;
use super::end::{End, EndCause, Initiator};
use super::observer::SentFrame;
use super::recv_buffer::RecvBuffer;
use super::send_buffer::SendBuffer;
use super::state::{Role, State, Teardown};
use crate::error::{ProtocolError, SendError};
use crate::frame::{CloseFrame, Opcode};

impl Connection {
    /// Begins the closing handshake (7.1.2); `None` sends a Close frame without a code.
    ///
    /// The peer's messages are delivered until its Close arrives.
    ///
    /// # Errors
    ///
    /// [`Closing`](SendError::Closing) if a Close frame was sent or received before, and
    /// [`ReasonTooLong`](SendError::ReasonTooLong) above 123 bytes.
    pub fn send_close(
        &mut self,
        frame: Option<CloseFrame<'_>>,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.require_open()?;
        self.append_close(frame.as_ref(), output)?;
        self.note_close_sent(
            frame.map(CloseFrame::into_owned),
            EndCause::ClosingHandshake,
        );
        Ok(())
    }

    /// Notes that the peer closed the transport, and returns how the connection ended.
    ///
    /// That is never an error: [`End::code`] is 1006 if there was no Close frame. Call it once
    /// [`advance`](Self::advance) has returned `Ok(false)`: what was received and not advanced over
    /// is not delivered any more, nor is a message that was unfinished.
    pub fn receive_eof(&mut self) -> End {
        self.is_over = true;
        self.finish(EndCause::EndOfStream)
    }

    /// Notes that the transport failed, and returns how the connection ended.
    pub fn transport_failed(&mut self) -> End {
        self.is_over = true;
        self.finish(EndCause::Transport)
    }

    /// Returns what is to be done with the transport.
    pub fn teardown(&self) -> Teardown {
        if self.is_over || self.drained_len > self.config.max_drain_len {
            return Teardown::Drop;
        }
        match (self.state, self.role) {
            (State::Open | State::Closing, _) => Teardown::NotYet,
            (State::Closed, Role::Server) => Teardown::ShutDown,
            // A client waits for the server, unless it failed the connection itself.
            (State::Closed, Role::Client) => {
                if self.end().is_some_and(End::is_clean) {
                    Teardown::AwaitEof
                } else {
                    Teardown::ShutDown
                }
            }
        }
    }

    /// Returns how the connection ended, once it is [`Closed`](State::Closed).
    pub fn end(&self) -> Option<&End> {
        match self.state {
            State::Open | State::Closing => None,
            State::Closed => self.end.as_deref(),
        }
    }

    /// 5.5.1: "If an endpoint receives a Close frame and did not previously send a Close frame, the
    /// endpoint MUST send a Close frame in response."
    pub(super) fn receive_close(&mut self, input: &RecvBuffer, output: &mut SendBuffer) {
        // The receiver has judged the payload.
        let frame = CloseFrame::decode(input.located_payload()).ok().flatten();
        #[cfg(feature = "tracing")]
        tracing::debug!(
            parent: &self.span,
            code = frame.as_ref().map(|frame| frame.code.get()),
            "close received"
        );
        if self.state == State::Open {
            // "it typically echos the status code it received"
            let echo = frame.as_ref().map(|frame| CloseFrame {
                code: frame.code,
                reason: "".into(),
            });
            self.begin_close(echo, EndCause::ClosingHandshake, output);
            if let Some(end) = &mut self.end {
                end.initiator = Some(Initiator::Peer);
            }
        }
        if let Some(end) = &mut self.end {
            end.received = Some(frame.map(CloseFrame::into_owned));
        }
        self.state = State::Closed;
    }

    /// 7.1.7: _Fail the WebSocket Connection_.
    #[cold]
    pub(super) fn fail(&mut self, error: ProtocolError, output: &mut SendBuffer) {
        #[cfg(feature = "tracing")]
        tracing::debug!(parent: &self.span, %error, "the peer broke a rule");
        let cause = EndCause::Protocol(error);
        match self.state {
            State::Open => {
                let frame = CloseFrame {
                    code: error.close_code(),
                    reason: error.to_string().into(),
                };
                self.begin_close(Some(frame), cause, output);
            }
            // Our Close is out, and nothing follows it.
            State::Closing | State::Closed => {
                if let Some(end) = &mut self.end {
                    end.cause = cause;
                }
            }
        }
        self.state = State::Closed;
    }

    /// Sends a Close frame whose reason is ours, and so short enough.
    pub(super) fn begin_close(
        &mut self,
        frame: Option<CloseFrame<'static>>,
        cause: EndCause,
        output: &mut SendBuffer,
    ) {
        let sent = self.append_close(frame.as_ref(), output);
        debug_assert_eq!(sent, Ok(()), "our own reasons are short");
        self.note_close_sent(frame, cause);
    }

    fn append_close(
        &mut self,
        frame: Option<&CloseFrame<'_>>,
        output: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let payload_len = frame.map_or(0, |frame| 2 + frame.reason.len());
        let sent = SentFrame::control(Opcode::Close, payload_len);
        self.observed(sent, output, |this, output| {
            this.sender.close(frame, output)
        })
    }

    fn note_close_sent(&mut self, frame: Option<CloseFrame<'static>>, cause: EndCause) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            parent: &self.span,
            code = frame.as_ref().map(|frame| frame.code.get()),
            ?cause,
            "close sent"
        );
        let mut end = End::new(cause);
        end.sent = Some(frame);
        end.initiator = Some(Initiator::Local);
        self.end = Some(Box::new(end));
        self.state = State::Closing;
        self.deadlines.closing(&self.config);
    }

    /// Drops what arrives after the end, and counts it.
    #[cold]
    pub(super) fn drain(&mut self, input: &mut RecvBuffer) -> Result<bool, ProtocolError> {
        self.drained_len = self.drained_len.saturating_add(input.discard() as u64);
        match self.end.as_deref() {
            Some(End {
                cause: EndCause::Protocol(error),
                ..
            }) => Err(*error),
            Some(_) | None => Ok(false),
        }
    }

    /// Closes without the peer, and returns how that came.
    fn finish(&mut self, cause: EndCause) -> End {
        #[cfg(feature = "tracing")]
        let span = &self.span;
        let end = self.end.get_or_insert_with(|| Box::new(End::new(cause)));
        if end.received.is_none() && end.cause == EndCause::ClosingHandshake {
            end.cause = cause;
        }
        self.state = State::Closed;
        #[cfg(feature = "tracing")]
        tracing::debug!(parent: span, clean = end.is_clean(), cause = ?end.cause, "ended");
        (**end).clone()
    }
}
