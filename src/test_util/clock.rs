//! A clock that stands still until it is moved.
//!
//! Timers and who waits for them. It reads the true time once for each thread, to begin with.

use core::marker::PhantomData;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::asynchronous::Timer;

/// A timer of a clock that stands still until [`advance`](Self::advance) moves it.
///
/// It is for async streams outside tokio, whose own clock can be paused: the runtime
/// `FuturesIo<VirtualTimer>`, or a [`Transport`](crate::asynchronous::Transport) of your own. Each
/// thread has a clock, so that tests which run beside each other do not share one; the tasks of a
/// test must hence be on one thread.
///
/// ```
/// use framewright::asynchronous::Timer;
/// use framewright::test_util::VirtualTimer;
/// use std::task::{Context, Waker};
/// use std::time::Duration;
///
/// let mut cx = Context::from_waker(Waker::noop());
/// let mut timer = VirtualTimer::new(VirtualTimer::now() + Duration::from_secs(3600));
/// assert!(timer.poll_elapsed(&mut cx).is_pending());
/// VirtualTimer::advance(Duration::from_secs(3600));
/// assert!(timer.poll_elapsed(&mut cx).is_ready());
/// ```
#[derive(Debug)]
pub struct VirtualTimer {
    number: u64,
    /// A timer stays on the thread whose clock it belongs to.
    thread: PhantomData<*const ()>,
}

impl VirtualTimer {
    /// Lets time pass on this thread, and wakes those whose time has come.
    pub fn advance(duration: Duration) {
        // A time that cannot be written down never comes.
        if let Some(time) = Self::now().checked_add(duration) {
            Self::advance_to(time);
        }
    }

    /// Moves the clock of this thread on to `time`, never back, and wakes those whose time has
    /// come.
    pub fn advance_to(time: Instant) {
        let due: Vec<Waker> = CLOCK.with_borrow_mut(|clock| {
            clock.now = clock.now.max(time);
            let now = clock.now;
            let timers = clock.timers.values_mut();
            timers
                .filter(|entry| entry.deadline <= now)
                .filter_map(|entry| entry.waiting.take())
                .collect()
        });
        due.into_iter().for_each(Waker::wake);
    }

    /// Returns the earliest time on this thread that somebody waits for.
    pub fn next_deadline() -> Option<Instant> {
        CLOCK.with_borrow(|clock| {
            let timers = clock.timers.values();
            timers
                .filter(|entry| entry.waiting.is_some())
                .map(|entry| entry.deadline)
                .min()
        })
    }
}

impl Timer for VirtualTimer {
    fn now() -> Instant {
        CLOCK.with_borrow(|clock| clock.now)
    }

    fn new(deadline: Instant) -> Self {
        CLOCK.with_borrow_mut(|clock| {
            let number = clock.made;
            clock.made += 1;
            let entry = Entry {
                deadline,
                waiting: None,
            };
            clock.timers.insert(number, entry);
            Self {
                number,
                thread: PhantomData,
            }
        })
    }

    fn reset(&mut self, deadline: Instant) {
        CLOCK.with_borrow_mut(|clock| {
            if let Some(entry) = clock.timers.get_mut(&self.number) {
                // Like the timers of tokio and async-io, it remembers who waits.
                entry.deadline = deadline;
            }
        });
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        CLOCK.with_borrow_mut(|clock| match clock.timers.get_mut(&self.number) {
            Some(entry) if entry.deadline > clock.now => {
                entry.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(_) | None => Poll::Ready(()),
        })
    }
}

impl Drop for VirtualTimer {
    fn drop(&mut self) {
        // At the end of a thread its clock may be gone before its timers.
        let entry = CLOCK.try_with(|clock| clock.borrow_mut().timers.remove(&self.number));
        drop(entry);
    }
}

/// The clock of a thread.
struct Clock {
    now: Instant,
    made: u64,
    timers: BTreeMap<u64, Entry>,
}

struct Entry {
    deadline: Instant,
    waiting: Option<Waker>,
}

thread_local! {
    static CLOCK: RefCell<Clock> = RefCell::new(Clock {
        now: Instant::now(),
        made: 0,
        timers: BTreeMap::new(),
    });
}
