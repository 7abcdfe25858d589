//! Who is here, in which rooms, and who hears what.
//!
//! One lock is over all of it, and is held for no longer than it takes to queue: nothing waits
//! under it, and everybody in a room sees the same order. What a client may ask for is in `wire`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use framewright::tokio::{Broadcast, Fed, Membership, Writer};
use framewright::{CloseCode, PreparedMessage};
use tokio::net::TcpStream;

use crate::support::json;
use crate::wire::{Command, Event, Said, folded};

/// The people and the rooms; a clone is another handle of it.
#[derive(Clone)]
pub(crate) struct Lobby {
    state: Arc<Mutex<State>>,
}

/// By their folded names.
struct State {
    people: BTreeMap<String, Person>,
    rooms: BTreeMap<String, Room>,
    seats_taken: u64,
}

struct Person {
    name: String,
    key: String,
    writer: Writer<TcpStream>,
    /// Which seat is theirs, of those that had this name.
    seat: u64,
    rooms: BTreeMap<String, Membership<TcpStream>>,
}

#[derive(Default)]
struct Room {
    /// Who reads too slowly is sent away with 1013.
    group: Broadcast<TcpStream>,
    /// Names as they are shown, by those that are compared.
    people: BTreeMap<String, String>,
    history: VecDeque<Said>,
}

/// A person's place, which they leave when this is dropped.
pub(crate) struct Seat {
    lobby: Lobby,
    /// The folded name.
    person: String,
    number: u64,
}

/// Why something was not done, for the person who wanted it.
type Refusal = &'static str;

impl Lobby {
    pub(crate) fn new() -> Self {
        let state = State {
            people: BTreeMap::new(),
            rooms: BTreeMap::new(),
            seats_taken: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Gives somebody a name that nobody has, and a place in the first room.
    pub(crate) fn enter(
        &self,
        name: &str,
        key: String,
        writer: &Writer<TcpStream>,
    ) -> Result<Seat, Refusal> {
        let person = folded(name).ok_or("A name is 1 to 20 letters, digits, - and _.")?;
        let mut state = self.lock();
        match state.people.get(&person) {
            // Its own connection before this one, which may be dead, and if not is another window.
            Some(known) if known.key == key && !key.is_empty() => {
                dismiss(
                    &known.writer,
                    REPLACED,
                    "this name is used in another window",
                );
                state.remove(&person);
            }
            Some(_) => return Err("Somebody has this name."),
            None if state.people.len() == MAX_PEOPLE => return Err("It is full here."),
            None => {}
        }
        state.seats_taken += 1;
        let number = state.seats_taken;
        let entering = Person {
            name: name.to_owned(),
            key,
            writer: writer.clone(),
            seat: number,
            rooms: BTreeMap::new(),
        };
        state.people.insert(person.clone(), entering);
        tell(writer, &Event::Welcome { name });
        state.join(&person, FIRST_ROOM)?;
        Ok(Seat {
            lobby: self.clone(),
            person,
            number,
        })
    }

    /// Every change of the state under the lock is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub(crate) fn obey(&self, command: &Command) -> Result<(), Refusal> {
        let mut state = self.lobby.lock();
        if !self.is_taken(&state) {
            return Err("Another window has your name.");
        }
        match command {
            Command::Hello { .. } => Err("You have a name already."),
            Command::Join(room) => state.join(&self.person, room),
            Command::Leave(room) => state.leave(&self.person, room),
            Command::Say { room, text } => state.say(&self.person, room, text),
            Command::Direct { to, text } => state.direct(&self.person, to, text),
            Command::Typing(room) => state.typing(&self.person, room),
        }
    }

    /// Whether nobody took it over with the same key.
    fn is_taken(&self, state: &State) -> bool {
        let person = state.people.get(&self.person);
        person.is_some_and(|person| person.seat == self.number)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.lobby.lock();
        if self.is_taken(&state) {
            state.remove(&self.person);
        }
    }
}

impl State {
    fn join(&mut self, person: &str, room: &str) -> Result<(), Refusal> {
        let folded = folded(room).ok_or("A room is 1 to 20 letters, digits, - and _.")?;
        let joining = self.people.get_mut(person).ok_or(NOT_HERE)?;
        if joining.rooms.contains_key(&folded) {
            return Err("You are in that room already.");
        }
        if joining.rooms.len() == MAX_ROOMS {
            return Err("You are in too many rooms: leave one first.");
        }
        let room = self.rooms.entry(folded.clone()).or_default();
        room.announce(&Event::Joined {
            room: &folded,
            name: &joining.name,
        });
        room.people.insert(person.to_owned(), joining.name.clone());
        let seen = Event::Room {
            room: &folded,
            people: room.people.values().map(String::as_str).collect(),
            history: &room.history,
        };
        tell(&joining.writer, &seen);
        let membership = room.group.join(joining.writer.clone());
        joining.rooms.insert(folded, membership);
        Ok(())
    }

    fn leave(&mut self, person: &str, room: &str) -> Result<(), Refusal> {
        let room = folded(room).ok_or(NOT_IN_ROOM)?;
        let leaving = self.people.get_mut(person).ok_or(NOT_HERE)?;
        drop(leaving.rooms.remove(&room).ok_or(NOT_IN_ROOM)?);
        tell(&leaving.writer, &Event::Out { room: &room });
        let name = leaving.name.clone();
        self.take_out(person, &name, &room);
        Ok(())
    }

    fn say(&mut self, person: &str, room: &str, text: &str) -> Result<(), Refusal> {
        let (name, room, _) = self.place(person, room)?;
        let said = Said::now(&name, text)?;
        let Some(Room { group, history, .. }) = self.rooms.get_mut(&room) else {
            return Err(NOT_IN_ROOM);
        };
        group.send(&prepared(&Event::Said {
            room: &room,
            said: &said,
        }));
        history.push_back(said);
        if history.len() > MAX_HISTORY {
            history.pop_front();
        }
        Ok(())
    }

    fn direct(&self, person: &str, to: &str, text: &str) -> Result<(), Refusal> {
        let sender = self.people.get(person).ok_or(NOT_HERE)?;
        let receiver = folded(to).and_then(|to| self.people.get(&to));
        let receiver = receiver.ok_or("Nobody has that name.")?;
        let said = Said::now(&sender.name, text)?;
        let to = &receiver.name;
        let event = Event::Direct { to, said: &said };
        tell(&receiver.writer, &event);
        if receiver.seat != sender.seat {
            tell(&sender.writer, &event);
        }
        Ok(())
    }

    fn typing(&self, person: &str, room: &str) -> Result<(), Refusal> {
        let (name, room, membership) = self.place(person, room)?;
        let event = Event::Typing {
            room: &room,
            name: &name,
        };
        membership.send_to_others(&prepared(&event));
        Ok(())
    }

    /// Returns a person's name, and the room if they are in it.
    fn place(
        &self,
        person: &str,
        room: &str,
    ) -> Result<(String, String, &Membership<TcpStream>), Refusal> {
        let person = self.people.get(person).ok_or(NOT_HERE)?;
        let room = folded(room).ok_or(NOT_IN_ROOM)?;
        let membership = person.rooms.get(&room).ok_or(NOT_IN_ROOM)?;
        Ok((person.name.clone(), room, membership))
    }

    /// Takes somebody out of every room and forgets them.
    fn remove(&mut self, person: &str) {
        let Some(leaving) = self.people.remove(person) else {
            return;
        };
        for (room, membership) in leaving.rooms {
            drop(membership);
            self.take_out(person, &leaving.name, &room);
        }
    }

    /// Notes that somebody is in a room no longer, and tells the others. A room that is empty goes,
    /// with what was said in it; the first stays.
    fn take_out(&mut self, person: &str, name: &str, room: &str) {
        if let Some(left) = self.rooms.get_mut(room) {
            left.people.remove(person);
            left.announce(&Event::Left { room, name });
            if left.people.is_empty() && room != FIRST_ROOM {
                self.rooms.remove(room);
            }
        }
    }
}

impl Room {
    fn announce(&self, event: &Event<'_>) {
        self.group.send(&prepared(event));
    }
}

/// Queues an event for one client. One that has no room for it reads too slowly, and is sent away;
/// whatever else is wrong with a connection, its reader learns.
pub(crate) fn tell(writer: &Writer<TcpStream>, event: &Event<'_>) {
    if let Ok(Fed::Full(_)) = writer.try_feed(json(event)) {
        dismiss(writer, CloseCode::TRY_AGAIN_LATER, "peer reads too slowly");
    }
}

/// Closes a connection without waiting for it: its session ends when its reader does.
fn dismiss(writer: &Writer<TcpStream>, code: CloseCode, reason: &'static str) {
    let mut writer = writer.clone();
    tokio::spawn(async move { writer.close(code, reason).await });
}

/// It is encoded once, for any number of people.
fn prepared(event: &Event<'_>) -> PreparedMessage {
    PreparedMessage::text(json(event))
}

const FIRST_ROOM: &str = "lobby";
const MAX_PEOPLE: usize = 200;
/// For each person, so that the rooms are bounded too.
const MAX_ROOMS: usize = 8;
/// For each room.
const MAX_HISTORY: usize = 30;

const NOT_HERE: Refusal = "You are not here.";
const NOT_IN_ROOM: Refusal = "You are not in that room.";

/// The close code that tells a page not to come back. From 4000 on they are the application's.
const REPLACED: CloseCode = match CloseCode::new(4000) {
    Some(code) => code,
    None => unreachable!(),
};
