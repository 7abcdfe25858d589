//! A WebSocket in two halves, for two tasks and more.
//!
//! The driver they share under a lock, which is held while one of them is polled. Who waits is in
//! `tasks`. It knows no protocol rule.

mod reader;
mod writer;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::driver::Driver;
use super::pool::Input;
use super::tasks::Tasks;
use super::transport::Transport;

pub use reader::Reader;
pub(super) use writer::NOT_FLUSHING;
pub use writer::Writer;

/// What the halves share.
struct Shared<T: Transport> {
    state: Mutex<State<T>>,
    tasks: Arc<Tasks>,
    /// How many writers there have been, which is the number of the next.
    writers: AtomicU64,
}

struct State<T: Transport> {
    driver: Driver<T>,
    has_reader: bool,
}

/// Splits a WebSocket.
pub(super) fn split<T: Transport>(
    mut driver: Driver<T>,
    input: Input,
    subprotocol: Option<Box<str>>,
) -> (Reader<T>, Writer<T>) {
    let tasks = driver.share();
    let delivery = driver.connection.config().delivery;
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            driver,
            has_reader: true,
        }),
        tasks,
        writers: AtomicU64::new(1),
    });
    let reader = Reader {
        shared: Arc::clone(&shared),
        input,
        delivery,
        subprotocol,
    };
    let writer = Writer {
        shared,
        number: 0,
        flushing: AtomicU64::new(NOT_FLUSHING),
    };
    (reader, writer)
}

impl<T: Transport> Shared<T> {
    /// A task that panicked while it held the lock left the state whole: a panic can come from the
    /// transport only, between two steps of the driver.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
