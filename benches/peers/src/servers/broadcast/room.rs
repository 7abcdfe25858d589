//! A room of connections with a channel each, which tasks of their own empty.
//!
//! tokio-tungstenite's `server` example, with the channel of tokio, and without the lock that a
//! split in two halves costs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// The connections that get what one of them sends; a clone is another handle.
pub(super) struct Room<M> {
    members: Arc<Mutex<Members<M>>>,
}

struct Members<M> {
    queues: HashMap<u64, UnboundedSender<M>>,
    next_number: u64,
}

/// A place in a room, which it leaves when this is dropped.
pub(super) struct Member<M> {
    room: Room<M>,
    number: u64,
}

impl<M: Clone> Room<M> {
    pub(super) fn new() -> Self {
        let members = Members {
            queues: HashMap::new(),
            next_number: 0,
        };
        Self {
            members: Arc::new(Mutex::new(members)),
        }
    }

    pub(super) fn join(&self) -> (Member<M>, UnboundedReceiver<M>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut members = self.lock();
        let number = members.next_number;
        members.next_number += 1;
        members.queues.insert(number, sender);
        let room = self.clone();
        (Member { room, number }, receiver)
    }

    /// Joins, sends what comes to all others, and what the others send to the socket: all that
    /// waits is queued, and flushed once.
    pub(super) async fn run<S, E>(&self, mut socket: S, is_data: fn(&M) -> bool)
    where
        S: Stream<Item = Result<M, E>> + Sink<M> + Unpin,
    {
        let (member, mut queue) = self.join();
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(message)) if is_data(&message) => member.send_to_others(&message),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
                _ = queue.recv_many(&mut waiting, MOST_AT_ONCE) => {
                    for message in waiting.drain(..) {
                        if socket.feed(message).await.is_err() {
                            return;
                        }
                    }
                    if socket.flush().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

impl<M> Room<M> {
    fn lock(&self) -> MutexGuard<'_, Members<M>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Clone> Member<M> {
    pub(super) fn send_to_others(&self, message: &M) {
        let members = self.room.lock();
        for (number, queue) in &members.queues {
            if *number != self.number {
                // Who does not receive any more is about to leave.
                let _ = queue.send(message.clone());
            }
        }
    }
}

impl<M> Clone for Room<M> {
    fn clone(&self) -> Self {
        Self {
            members: Arc::clone(&self.members),
        }
    }
}

impl<M> Drop for Member<M> {
    fn drop(&mut self) {
        self.room.lock().queues.remove(&self.number);
    }
}

/// More than are ever in flight.
const MOST_AT_ONCE: usize = 64;
