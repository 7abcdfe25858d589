//! Who is where: namespaces, the sockets in them, and the rooms that these are in.
//!
//! It queues packets and waits for nobody. What is in them it does not know.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use framewright::Message;
use tokio::sync::{Notify, mpsc};

use crate::packet::Packet;

/// The way to one client: packets are queued, and its task writes them, each in one piece.
pub(crate) struct Peer {
    queue: mpsc::UnboundedSender<Arc<[Message]>>,
    /// What bounds the queue.
    queued_len: AtomicUsize,
    /// Told when there was no room: the client reads too slowly, and has missed something.
    pub(crate) overrun: Notify,
}

impl Peer {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Arc<[Message]>>) {
        let (queue, packets) = mpsc::unbounded_channel();
        let peer = Self {
            queue,
            queued_len: AtomicUsize::new(0),
            overrun: Notify::new(),
        };
        (Arc::new(peer), packets)
    }

    pub(crate) fn send(&self, packet: Arc<[Message]>) {
        let len = len_of(&packet);
        if self.queued_len.fetch_add(len, Ordering::Relaxed) + len > MAX_QUEUED_LEN {
            self.queued_len.fetch_sub(len, Ordering::Relaxed);
            self.overrun.notify_one();
        } else {
            // A client that is gone needs nothing.
            let _ = self.queue.send(packet);
        }
    }

    /// Notes that a packet is no longer queued.
    pub(crate) fn written(&self, packet: &[Message]) {
        self.queued_len.fetch_sub(len_of(packet), Ordering::Relaxed);
    }
}

/// Returns what a packet costs while it is queued.
fn len_of(packet: &[Message]) -> usize {
    packet
        .iter()
        .map(|message| message.payload().len() + size_of::<Message>())
        .sum()
}

/// The sockets that have connected to a namespace.
pub(crate) struct Namespace {
    pub(crate) name: &'static str,
    sockets: Mutex<HashMap<String, Socket>>,
}

struct Socket {
    peer: Arc<Peer>,
    rooms: HashSet<String>,
}

/// To whom a packet goes.
#[derive(Clone, Copy)]
pub(crate) enum To<'a> {
    Everybody,
    Room(&'a str),
}

impl Namespace {
    pub(crate) fn new(name: &'static str) -> Self {
        let sockets = Mutex::default();
        Self { name, sockets }
    }

    /// Takes a client in, until what this returns is dropped.
    pub(crate) fn connect(&self, peer: Arc<Peer>) -> Connected<'_> {
        let id = new_id();
        let rooms = HashSet::new();
        self.lock().insert(id.clone(), Socket { peer, rooms });
        Connected {
            namespace: self,
            id,
            next_ack: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Socket>> {
        // Every change of the map is whole.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's place in a namespace: what Socket.IO calls a socket.
pub(crate) struct Connected<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) id: String,
    /// The number of the next event of ours that the client is to acknowledge.
    pub(crate) next_ack: u64,
}

impl Connected<'_> {
    /// Sends a packet to the others, encoded once, and returns how many there are.
    pub(crate) fn send_to_others(&self, to: To<'_>, packet: &Packet) -> usize {
        let messages = packet.encode();
        let sockets = self.namespace.lock();
        let mut reached = 0;
        for (id, socket) in sockets.iter() {
            let is_meant = match to {
                To::Everybody => true,
                To::Room(room) => socket.rooms.contains(room),
            };
            if is_meant && *id != self.id {
                socket.peer.send(Arc::clone(&messages));
                reached += 1;
            }
        }
        reached
    }

    /// Joins a room and returns how many are in it; `None` where there are too many rooms, or its
    /// name is too long.
    pub(crate) fn join(&self, room: &str) -> Option<usize> {
        let mut sockets = self.namespace.lock();
        let rooms = &mut sockets.get_mut(&self.id)?.rooms;
        if room.len() > MAX_NAME_LEN || (rooms.len() >= MAX_ROOMS && !rooms.contains(room)) {
            return None;
        }
        rooms.insert(room.to_owned());
        Some(members(&sockets, room))
    }

    /// Leaves a room and returns how many are still in it.
    pub(crate) fn leave(&self, room: &str) -> usize {
        let mut sockets = self.namespace.lock();
        if let Some(socket) = sockets.get_mut(&self.id) {
            socket.rooms.remove(room);
        }
        members(&sockets, room)
    }

    pub(crate) fn is_in(&self, room: &str) -> bool {
        let sockets = self.namespace.lock();
        sockets
            .get(&self.id)
            .is_some_and(|socket| socket.rooms.contains(room))
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.namespace.lock().remove(&self.id);
    }
}

fn members(sockets: &HashMap<String, Socket>, room: &str) -> usize {
    sockets
        .values()
        .filter(|socket| socket.rooms.contains(room))
        .count()
}

/// Returns an id that nobody can guess.
pub(crate) fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// How many bytes may wait for a client: three packets with all the attachments that one may have.
const MAX_QUEUED_LEN: usize = 32 << 20;

const MAX_ROOMS: usize = 16;

const MAX_NAME_LEN: usize = 64;
