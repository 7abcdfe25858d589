//! Buffers that belong to a thread, lent to the connections that have use for one.
//!
//! Where a connection waits, its buffers go back, so that an idle connection holds none. What is
//! half received or not yet written stays with it, in memory of its own size. It knows neither
//! streams nor rules.

use std::cell::RefCell;

use crate::connection::{RecvBuffer, SendBuffer};

/// The input of a connection, which has a buffer only while there is something to receive.
#[derive(Debug, Default)]
pub(super) struct Input {
    buffer: Option<Box<RecvBuffer>>,
    /// Whether the buffer holds the beginning of a message, and no window to go on reading into.
    is_parked: bool,
}

impl Input {
    pub(super) fn new(buffer: RecvBuffer) -> Self {
        Self {
            buffer: (!buffer.is_idle()).then(|| Box::new(buffer)),
            is_parked: false,
        }
    }

    /// Returns the buffer, or borrows one, to read into.
    pub(super) fn get(&mut self) -> &mut RecvBuffer {
        if core::mem::take(&mut self.is_parked)
            && let Some(buffer) = &mut self.buffer
        {
            buffer.lend(take(|pool| &mut pool.windows));
        }
        self.buffer
            .get_or_insert_with(|| take(|pool| &mut pool.recv_buffers))
    }

    /// Returns the buffer, if there is one that has a window.
    #[inline]
    pub(super) fn ready(&mut self) -> Option<&mut RecvBuffer> {
        self.buffer.as_deref_mut().filter(|_| !self.is_parked)
    }

    /// Returns the buffer, if there is one.
    #[inline]
    pub(super) fn peek(&self) -> Option<&RecvBuffer> {
        self.buffer.as_deref()
    }

    /// Gives back what is not needed while nothing arrives.
    pub(super) fn rest(&mut self) {
        if self.is_parked {
            return;
        }
        let Some(mut buffer) = self.buffer.take() else {
            return;
        };
        if buffer.rest() {
            give(buffer, |pool| &mut pool.recv_buffers);
        } else {
            if let Some(window) = buffer.park() {
                give(window, |pool| &mut pool.windows);
            }
            self.is_parked = true;
            self.buffer = Some(buffer);
        }
    }

    /// Gives back an idle buffer.
    pub(super) fn rest_if_idle(&mut self) {
        if self.buffer.as_ref().is_some_and(|buffer| buffer.is_idle()) {
            self.rest();
        }
    }

    pub(super) fn into_buffer(self) -> RecvBuffer {
        self.buffer.map_or_else(RecvBuffer::new, |buffer| *buffer)
    }
}

/// The output of a connection, which has a buffer only while something waits to be written.
#[derive(Debug, Default)]
pub(super) struct Output {
    buffer: Option<Box<SendBuffer>>,
}

impl Output {
    pub(super) fn new(buffer: SendBuffer) -> Self {
        Self {
            buffer: (!buffer.is_empty()).then(|| Box::new(buffer)),
        }
    }

    /// Returns the buffer, or borrows one.
    #[inline]
    pub(super) fn get(&mut self) -> &mut SendBuffer {
        self.buffer
            .get_or_insert_with(|| take(|pool| &mut pool.send_buffers))
    }

    /// Returns the buffer, if there is one.
    #[inline]
    pub(super) fn peek(&self) -> Option<&SendBuffer> {
        self.buffer.as_deref()
    }

    /// Returns how many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.buffer.as_ref().map_or(0, |buffer| buffer.len())
    }

    /// Gives back an empty buffer.
    pub(super) fn rest(&mut self) {
        if let Some(buffer) = self.buffer.take_if(|buffer| buffer.is_empty()) {
            give(buffer, |pool| &mut pool.send_buffers);
        }
    }

    pub(super) fn into_buffer(self) -> SendBuffer {
        self.buffer.map_or_else(SendBuffer::new, |buffer| *buffer)
    }
}

/// The buffers of a thread.
#[expect(
    clippy::vec_box,
    reason = "what is lent is a pointer, which is all that a connection has room for"
)]
struct Pool {
    /// Idle, with their windows.
    recv_buffers: Vec<Box<RecvBuffer>>,
    /// Windows of those that were parked in the middle of a message.
    windows: Vec<Vec<u8>>,
    /// Empty, with the memory that they had use for.
    send_buffers: Vec<Box<SendBuffer>>,
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool {
            recv_buffers: Vec::new(),
            windows: Vec::new(),
            send_buffers: Vec::new(),
        })
    };
}

/// Takes one from the pool, or makes one. A thread that is ending has no pool any more.
fn take<T: Default>(list: impl FnOnce(&mut Pool) -> &mut Vec<T>) -> T {
    POOL.try_with(|pool| list(&mut pool.borrow_mut()).pop())
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// Gives one to the pool, unless there are enough.
fn give<T>(value: T, list: impl FnOnce(&mut Pool) -> &mut Vec<T>) {
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let list = list(&mut pool);
        if list.len() < POOLED {
            list.push(value);
        }
    });
}

/// A connection holds buffers while it is polled, and longer only while an event of it is looked
/// at: a thread has few of those at once. With 64 KiB to receive and 128 KiB to send that is at
/// most 3 MiB a thread, and the values that own them.
const POOLED: usize = 16;
