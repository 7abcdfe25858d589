//! The tasks that wait for one connection.
//!
//! A stream remembers one task for writing, and a timer one task; where a reader and writers on
//! several tasks share them, this is that one, and wakes them all. It knows nothing of what they
//! wait for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// On whose behalf a connection is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    Reader,
    /// Each handle of a writer has a number of its own.
    Writer(u64),
}

/// The tasks that wait, each of which is woken once and then waits again if it has to.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    waiting: Mutex<Vec<(Party, Waker)>>,
    /// Whether the reader is among them: whoever queues asks at every message, and mostly it is
    /// not.
    ///
    /// Changed under the lock of `waiting`. The reader registers, and others queue, under the lock
    /// of what they share, so that one who queued after it had looked sees that it waits.
    reader_waits: AtomicBool,
}

impl Tasks {
    /// Notes that a task is about to wait. It does so before it looks, so that it misses nothing.
    pub(super) fn register(&self, party: Party, waker: &Waker) {
        let waker = waker.clone();
        let mut waiting = self.lock();
        let replaced = match waiting.iter_mut().find(|(other, _)| *other == party) {
            Some((_, known)) => Some(core::mem::replace(known, waker)),
            None => {
                waiting.push((party, waker));
                None
            }
        };
        if party == Party::Reader {
            self.reader_waits.store(true, Ordering::Relaxed);
        }
        drop(waiting);
        // It may be the last of its task, which may own what waits here.
        drop(replaced);
    }

    /// Notes that a task waits no longer.
    pub(super) fn forget(&self, party: Party) {
        drop(self.take(party));
    }

    /// Wakes the reader, if it waits.
    pub(super) fn wake_reader(&self) {
        if self.reader_waits.load(Ordering::Relaxed)
            && let Some(waker) = self.take(Party::Reader)
        {
            waker.wake();
        }
    }

    /// Wakes all that wait.
    pub(super) fn wake_all(&self) {
        let mut waiting = self.lock();
        let woken = core::mem::take(&mut *waiting);
        self.reader_waits.store(false, Ordering::Relaxed);
        drop(waiting);
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// Takes a party off the list.
    fn take(&self, party: Party) -> Option<Waker> {
        let mut waiting = self.lock();
        if party == Party::Reader {
            self.reader_waits.store(false, Ordering::Relaxed);
        }
        let index = waiting.iter().position(|(other, _)| *other == party)?;
        Some(waiting.swap_remove(index).1)
    }

    /// The list is whole after every change, also where a waker panicked while it was cloned.
    fn lock(&self) -> MutexGuard<'_, Vec<(Party, Waker)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}
