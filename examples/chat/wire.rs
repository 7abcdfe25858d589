//! What is said on a connection, both ways, and what may be a name.
//!
//! Values and their JSON. Who is told what is the lobby's.

use std::collections::VecDeque;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// What a client asks for, such as `{"say":{"room":"lobby","text":"hello"}}` or `{"join":"tea"}`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Command {
    /// The first of all. The key is any text that nobody else knows: with it, the same name can be
    /// taken again while the connection before is not yet known to be gone.
    Hello {
        name: String,
        key: String,
    },
    Join(String),
    Leave(String),
    Say {
        room: String,
        text: String,
    },
    /// A message to one person, in no room.
    Direct {
        to: String,
        text: String,
    },
    /// Somebody is typing in this room.
    Typing(String),
}

impl Command {
    /// Returns what is to be said, if something is.
    pub(crate) fn words(&self) -> Option<&str> {
        match self {
            Self::Say { text, .. } | Self::Direct { text, .. } => Some(text),
            Self::Hello { .. } | Self::Join(_) | Self::Leave(_) | Self::Typing(_) => None,
        }
    }
}

/// What a client is told, such as `{"event":"joined","room":"lobby","name":"Ada"}`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    /// The name is yours.
    Welcome { name: &'a str },
    /// The name is not, or not yet.
    Refused { why: &'a str },
    /// You are in a room now, with these people, where this was said before.
    Room {
        room: &'a str,
        people: Vec<&'a str>,
        history: &'a VecDeque<Said>,
    },
    /// You are in this room no longer.
    Out { room: &'a str },
    /// Somebody else has joined a room of yours.
    Joined { room: &'a str, name: &'a str },
    /// Somebody else has left a room of yours.
    Left { room: &'a str, name: &'a str },
    /// Somebody, maybe you, has said something in a room.
    Said { room: &'a str, said: &'a Said },
    /// Somebody has said something to one person: to you, or you to them.
    Direct { to: &'a str, said: &'a Said },
    /// Somebody else is typing in a room.
    Typing { room: &'a str, name: &'a str },
    /// Something that you asked for was not done: if you wanted to say something, this is what.
    Notice {
        text: &'a str,
        unsaid: Option<&'a str>,
    },
}

/// Something that was said.
#[derive(Clone, Serialize)]
pub(crate) struct Said {
    from: String,
    text: String,
    /// In seconds since 1970.
    at: u64,
}

impl Said {
    /// Says `text` now, if there is something in it and not too much.
    pub(crate) fn now(from: &str, text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("There is nothing in that message.");
        }
        if text.chars().count() > MAX_TEXT {
            return Err("That message is too long.");
        }
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Ok(Self {
            from: from.to_owned(),
            text: text.to_owned(),
            at: now.as_secs(),
        })
    }
}

/// Returns a name of a person or a room as it is compared, if it may be one: letters, digits, `-`
/// and `_`, so that none looks like another by a space or a sign that cannot be seen.
pub(crate) fn folded(name: &str) -> Option<String> {
    let may_be_in_names = |char: char| char.is_alphanumeric() || char == '-' || char == '_';
    let fits = (1..=MAX_NAME).contains(&name.chars().count());
    (fits && name.chars().all(may_be_in_names)).then(|| name.to_lowercase())
}

/// In characters.
const MAX_NAME: usize = 20;
/// In characters. The page says the same.
const MAX_TEXT: usize = 500;
