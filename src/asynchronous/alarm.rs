//! One timer for all the deadlines of a connection.
//!
//! Deadlines move with every byte that arrives, timers are costly to move: this one is set again
//! only where it would be late, and a task that it wakes too early waits on. It knows no reason for
//! any deadline.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::transport::Timer;

/// A timer that is made when there is a first deadline.
#[derive(Debug)]
pub(super) struct Alarm<T> {
    timer: Option<T>,
    /// When the timer elapses; `None` once it has.
    set_for: Option<Instant>,
}

impl<T: Timer> Alarm<T> {
    pub(super) const fn new() -> Self {
        Self {
            timer: None,
            set_for: None,
        }
    }

    /// Is ready once `deadline` has passed; never, if there is none.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        loop {
            if let Some(timer) = &mut self.timer {
                match self.set_for {
                    Some(set_for) if set_for <= deadline => {}
                    Some(_) | None => {
                        timer.reset(deadline);
                        self.set_for = Some(deadline);
                    }
                }
                ready!(timer.poll_elapsed(cx));
                self.set_for = None;
                if deadline <= T::now() {
                    return Poll::Ready(());
                }
            } else {
                self.timer = Some(T::new(deadline));
                self.set_for = Some(deadline);
            }
        }
    }
}
