//! The end of a transport: what is owed is written, and the stream closed as the core says.
//!
//! It knows no reason for the end but the error that is to be returned; who closes first is the
//! core's to say.
//!
//! RFC 6455, section 7.1.1.

use std::task::{Context, Poll, ready};

use super::{Driver, MOST_CALLS, Phase};
use crate::asynchronous::pool::Input;
use crate::asynchronous::transport::Transport;
use crate::connection::{End, Teardown};
use crate::error::ProtocolError;

impl<T: Transport> Driver<T> {
    /// Closes without reading: what is queued is written, and the peer's answer is for a reader.
    pub(in crate::asynchronous) fn poll_abandon(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let _ = ready!(self.poll_flush(u64::MAX, cx));
        // Whether it shuts down well changes nothing.
        let _ = self.transport.poll_shutdown(cx);
        Poll::Ready(self.abandon())
    }

    /// Gives up the transport, if it is not given up yet, and returns how the connection ended.
    pub(in crate::asynchronous) fn abandon(&mut self) -> End {
        self.phase = Phase::TornDown;
        self.connection.transport_failed()
    }

    pub(in crate::asynchronous) fn is_torn_down(&self) -> bool {
        self.phase == Phase::TornDown
    }

    pub(super) fn begin_tear_down(&mut self, error: Option<ProtocolError>) {
        self.phase = Phase::TearingDown {
            error,
            is_shut: false,
        };
        // What is owed leaves within the patience of the closing handshake, not that of a write.
        self.write_deadline = None;
    }

    /// Closes the transport as the core says, after which nothing is read or written.
    ///
    /// What fails now changes nothing for the caller: the connection is over.
    pub(super) fn poll_tear_down(&mut self, input: &mut Input, cx: &mut Context<'_>) -> Poll<()> {
        while let Phase::TearingDown { error, is_shut } = self.phase {
            if self.calls >= MOST_CALLS {
                self.calls = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let is_written = match self.poll_write(cx) {
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(_)) => break,
                Poll::Pending => false,
            };
            match self.connection.teardown() {
                Teardown::AwaitEof => {}
                Teardown::ShutDown => {
                    if is_written && !is_shut && self.transport.poll_shutdown(cx).is_ready() {
                        let is_shut = true;
                        self.phase = Phase::TearingDown { error, is_shut };
                    }
                }
                Teardown::NotYet | Teardown::Drop => {
                    if !is_written {
                        input.rest();
                        if self.poll_patience(cx).is_pending() {
                            return Poll::Pending;
                        }
                    }
                    break;
                }
            }
            match self.poll_fill(input, cx) {
                // It only counts, and repeats the error that is known.
                Poll::Ready(Ok(())) => {
                    let _ = self.connection.advance(input.get(), self.output.get());
                }
                Poll::Ready(Err(_)) => break,
                Poll::Pending => {
                    input.rest();
                    self.output.rest();
                    if ready!(self.poll_deadlines(cx)).is_err() {
                        break;
                    }
                }
            }
        }
        if let Phase::TearingDown { is_shut, .. } = self.phase {
            if !is_shut {
                let _ = self.transport.poll_shutdown(cx);
            }
            self.phase = Phase::TornDown;
        }
        input.rest();
        self.output.rest();
        Poll::Ready(())
    }
}
