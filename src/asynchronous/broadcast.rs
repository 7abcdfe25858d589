//! Messages to many connections, none of which is waited for.
//!
//! Holds writers, and queues with each; their readers' tasks write, or whoever sends a batch. What
//! is queued, and how it is encoded, it does not know.

use core::{fmt, mem};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use super::split::Writer;
use super::transport::Transport;
use crate::adapter::{Error, Fed};
use crate::connection::PreparedMessage;
use crate::error::SendError;
use crate::frame::CloseCode;

/// A group of connections that receive the same messages; a clone is another handle of it.
///
/// [`send`](Self::send) queues with each connection and wakes the task that receives from it, which
/// writes all that is queued: messages that are sent at once leave in one write.
/// [`send_batch`](Self::send_batch) writes by itself. A connection takes part with a [`Writer`] for
/// as long as its [`Membership`] lives, or until it closes.
///
/// A connection whose peer reads too slowly holds at most
/// [`write_high_water`](crate::Config::write_high_water) bytes and one message; what becomes of it
/// then is the [`SlowPolicy`]'s. Raise the high water to send many messages, or long ones, in a
/// row.
///
/// Messages that one task sends arrive in order. Those of several tasks at once may come in another
/// order at each connection.
///
/// ```no_run
/// # #[cfg(feature = "tokio")]
/// # mod example {
/// use framewright::PreparedMessage;
/// use framewright::tokio::{Broadcast, Error, accept};
/// use tokio::net::TcpStream;
///
/// async fn chat(stream: TcpStream, room: Broadcast<TcpStream>) -> Result<(), Error> {
///     let (mut reader, writer) = accept(stream).await?.split();
///     let _membership = room.join(writer);
///     while let Some(message) = reader.recv().await? {
///         room.send(&PreparedMessage::try_from(message)?);
///     }
///     Ok(())
/// }
/// # }
/// ```
#[doc(alias("publish", "room"))]
pub struct Broadcast<T: Transport> {
    group: Arc<Group<T>>,
}

/// A connection's place in a [`Broadcast`], which it leaves when this is dropped.
#[must_use = "dropped, it takes the connection out of the group"]
pub struct Membership<T: Transport> {
    group: Arc<Group<T>>,
    number: u64,
}

/// What becomes of a connection that has no room for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SlowPolicy {
    /// It is closed with [`TRY_AGAIN_LATER`](CloseCode::TRY_AGAIN_LATER), and leaves the group: a
    /// peer that has missed a message knows it.
    #[default]
    Drop,
    /// It misses the message, without knowing: for messages of which the next replaces the last.
    Skip,
}

/// How far a message of a [`Broadcast`] came, or a batch of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reach {
    /// How many connections have queued it, or written it; of a batch, all of it.
    pub queued: usize,
    /// How many stay in the group and miss it: by the [`SlowPolicy`], or because a fragmented
    /// message of their own is unfinished.
    pub skipped: usize,
    /// How many had no room, and left the group by the [`SlowPolicy`].
    pub dropped: usize,
    /// How many were closed or had failed, or had no reader left to write for them, and left.
    pub closed: usize,
}

struct Group<T: Transport> {
    members: Mutex<Members<T>>,
    slow_policy: SlowPolicy,
}

struct Members<T: Transport> {
    /// Whoever sends takes it along and works without the lock: a change meanwhile is made to a
    /// copy.
    writers: Arc<BTreeMap<u64, Arc<Writer<T>>>>,
    next_number: u64,
}

impl<T: Transport> Broadcast<T> {
    /// Makes an empty group that drops who is too slow.
    pub fn new() -> Self {
        Self::with_slow_policy(SlowPolicy::default())
    }

    /// Makes an empty group.
    pub fn with_slow_policy(slow_policy: SlowPolicy) -> Self {
        let members = Members {
            writers: Arc::default(),
            next_number: 0,
        };
        Self {
            group: Arc::new(Group {
                members: Mutex::new(members),
                slow_policy,
            }),
        }
    }

    /// Takes a connection into the group.
    ///
    /// Keep the membership with the reader, and receive: it is the reader that writes what is
    /// queued. The group keeps the stream open until the membership is dropped or the connection
    /// has closed.
    pub fn join(&self, writer: Writer<T>) -> Membership<T> {
        let writer = Arc::new(writer);
        let mut members = self.group.lock();
        let number = members.next_number;
        members.next_number += 1;
        Arc::make_mut(&mut members.writers).insert(number, writer);
        Membership {
            group: Arc::clone(&self.group),
            number,
        }
    }

    /// Queues a message with every connection, and waits for none.
    ///
    /// A message that is queued may still be lost with its connection.
    pub fn send(&self, message: &PreparedMessage) -> Reach {
        self.group.send(message, None)
    }

    /// Queues messages with every connection, and writes what the transports take at once.
    ///
    /// It is for who has several messages at a time, such as a tick of a game or of a market: all
    /// of them are one visit and one write for each connection, and no task is woken but the reader
    /// of one whose transport takes no more. That is cheaper than [`send`](Self::send), and the
    /// work of one task, where `send` leaves it to those of the readers, which may run on several
    /// threads. Other tasks have their turn between the connections.
    ///
    /// The order is that of the slice. A connection that has no room for all of them gets the first
    /// ones.
    ///
    /// # Cancel safety
    ///
    /// Dropped, some connections have all of the messages, and the others none.
    ///
    /// ```no_run
    /// # #[cfg(feature = "tokio")]
    /// # mod example {
    /// use framewright::PreparedMessage;
    /// use framewright::tokio::Broadcast;
    /// use std::time::Duration;
    /// use tokio::net::TcpStream;
    /// # fn what_changed() -> Vec<PreparedMessage> { Vec::new() }
    ///
    /// async fn feed(subscribers: Broadcast<TcpStream>) {
    ///     let mut ticks = tokio::time::interval(Duration::from_millis(50));
    ///     loop {
    ///         ticks.tick().await;
    ///         subscribers.send_batch(&what_changed()).await;
    ///     }
    /// }
    /// # }
    /// ```
    #[doc(alias = "cork")]
    pub async fn send_batch(&self, messages: &[PreparedMessage]) -> Reach {
        self.group.send_batch(messages, None).await
    }

    /// Returns how many connections are in the group.
    pub fn len(&self) -> usize {
        self.group.lock().writers.len()
    }

    /// Whether no connection is in the group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Transport> Membership<T> {
    /// Queues a message with every connection but this one, as [`Broadcast::send`] does.
    pub fn send_to_others(&self, message: &PreparedMessage) -> Reach {
        self.group.send(message, Some(self.number))
    }

    /// Sends messages to every connection but this one, as [`Broadcast::send_batch`] does.
    ///
    /// # Cancel safety
    ///
    /// As that of `send_batch`.
    pub async fn send_batch_to_others(&self, messages: &[PreparedMessage]) -> Reach {
        self.group.send_batch(messages, Some(self.number)).await
    }
}

impl<T: Transport> Group<T> {
    fn send(&self, message: &PreparedMessage, except: Option<u64>) -> Reach {
        let writers = Arc::clone(&self.lock().writers);
        let mut round = Round::new(self.slow_policy);
        for (&number, writer) in writers.iter() {
            if Some(number) != except {
                round.judge(number, writer, writer.try_feed_prepared(message));
            }
        }
        // What follows would change a copy of it else.
        drop(writers);
        self.remove(&round.leaving);
        round.reach
    }

    async fn send_batch(&self, messages: &[PreparedMessage], except: Option<u64>) -> Reach {
        let writers = Arc::clone(&self.lock().writers);
        let mut round = Round::new(self.slow_policy);
        for (turn, (&number, writer)) in writers.iter().enumerate() {
            if turn % WRITES_AT_ONCE == WRITES_AT_ONCE - 1 {
                yield_now().await;
            }
            if Some(number) != except {
                round.judge(number, writer, writer.try_send_batch(messages));
            }
        }
        drop(writers);
        self.remove(&round.leaving);
        round.reach
    }

    /// Takes connections out of the group, and drops their writers without the lock.
    fn remove(&self, numbers: &[u64]) {
        let mut removed = Vec::new();
        let mut members = self.lock();
        for number in numbers {
            if members.writers.contains_key(number) {
                removed.push(Arc::make_mut(&mut members.writers).remove(number));
            }
        }
        drop(members);
    }

    /// Every change of the members under the lock is whole.
    fn lock(&self) -> MutexGuard<'_, Members<T>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Transport> Drop for Membership<T> {
    fn drop(&mut self) {
        self.group.remove(&[self.number]);
    }
}

impl<T: Transport> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        Self {
            group: Arc::clone(&self.group),
        }
    }
}

impl<T: Transport> Default for Broadcast<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Transport> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("len", &self.len())
            .field("slow_policy", &self.group.slow_policy)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> fmt::Debug for Membership<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// One round of the members, and how it went.
struct Round {
    slow_policy: SlowPolicy,
    reach: Reach,
    /// Who leaves the group.
    leaving: Vec<u64>,
}

impl Round {
    fn new(slow_policy: SlowPolicy) -> Self {
        Self {
            slow_policy,
            reach: Reach::default(),
            leaving: Vec::new(),
        }
    }

    /// Notes how a member took what it was given, and what that makes of the member.
    #[inline]
    fn judge<T: Transport>(
        &mut self,
        number: u64,
        writer: &Writer<T>,
        fed: Result<Fed<()>, Error>,
    ) {
        if let Ok(Fed::Sent | Fed::Queued(_)) = fed {
            self.reach.queued += 1;
        } else {
            self.judge_missing(number, writer, fed);
        }
    }

    #[cold]
    fn judge_missing<T: Transport>(
        &mut self,
        number: u64,
        writer: &Writer<T>,
        fed: Result<Fed<()>, Error>,
    ) {
        match fed {
            Err(Error::Send(SendError::MessageUnfinished)) => self.reach.skipped += 1,
            Ok(_) if writer.has_reader() => match self.slow_policy {
                SlowPolicy::Skip => self.reach.skipped += 1,
                SlowPolicy::Drop => {
                    // The reason is short, and what closes already is closed enough.
                    let _ = writer.begin_close(CloseCode::TRY_AGAIN_LATER, SLOW);
                    self.reach.dropped += 1;
                    self.leaving.push(number);
                }
            },
            Ok(_) | Err(_) => {
                self.reach.closed += 1;
                self.leaving.push(number);
            }
        }
    }
}

/// Lets other tasks have their turn.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

const SLOW: &str = "peer reads too slowly";

/// So many writes take about as long as a task should before others have their turn.
const WRITES_AT_ONCE: usize = 32;
