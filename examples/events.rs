//! Named events with acknowledgements, paths as namespaces, and rooms: what Socket.IO is loved for,
//! in JSON of one's own.
//!
//! ```text
//! cargo run --example events --features tokio
//! ```
//!
//! It prints `open http://127.0.0.1:9022/`. Open it in two windows: each joins rooms and says
//! things there, and every request is answered by an acknowledgement with its `id`.
//!
//! ```text
//! -> {"event":"join","data":{"room":"red"},"id":1}
//! <- {"event":"ack","id":1,"data":{"room":"red","members":2}}
//! -> {"event":"say","data":{"room":"red","text":"hello"},"id":2}
//! <- {"event":"ack","id":2,"data":{"reached":1}}
//! <- {"event":"said","data":{"room":"red","from":7,"text":"hello"}}     to the others in the room
//! -> {"event":"say","data":{"room":"blue","text":"hello"},"id":3}
//! <- {"event":"ack","id":3,"error":"you are not in that room"}
//! ```
//!
//! An event without an `id` is not acknowledged. A namespace is a path, with events of its own:
//! `/chat` knows `join`, `leave` and `say`; `/admin` knows `rooms`, and `announce`, which goes to
//! all in `/chat`. Anybody may be an admin here; the example `auth` shows how that is prevented.
//! What is no such JSON is answered with Close 1007, and who reads too slowly is sent away with
//! Close 1013.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Parser;
use framewright::handshake::{Acceptance, PlainRequest, Response};
use framewright::tokio::{
    Broadcast, Error, Incoming, Membership, PendingUpgrade, Reader, Server, Writer,
};
use framewright::{CloseCode, Config, Message, PreparedMessage, SendError};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

#[derive(Parser)]
#[command(about = "Named events with acknowledgements, namespaces and rooms.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9022")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = 16 << 10;
    let server = Server::new().config(config);
    let chat = Arc::new(Chat::default());
    let listener = TcpListener::bind(args.listen).await?;
    println!("open http://{}/", listener.local_addr()?);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most often too many open files: connections that end give some back.
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (server, chat) = (server.clone(), Arc::clone(&chat));
        tokio::spawn(async move {
            if let Err(error) = serve(&server, &chat, stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve(server: &Server, chat: &Arc<Chat>, stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let upgrade = match server.receive(stream).await? {
        Incoming::Upgrade(upgrade) => upgrade,
        Incoming::Plain(plain) => {
            let response = respond(plain.request())?;
            return plain.respond(&response).await;
        }
    };
    // The path is the namespace.
    match upgrade.request().path() {
        "/chat" => {
            let (reader, writer) = open(upgrade).await?;
            let _membership = chat.everybody.join(writer.clone());
            let mut guest = Guest::new(chat, writer.clone());
            listen(reader, writer, |event, data| guest.handle(event, data)).await
        }
        "/admin" => {
            let (reader, writer) = open(upgrade).await?;
            listen(reader, writer, |event, data| administer(chat, event, data)).await
        }
        _ => upgrade.reject(&not_found()?).await,
    }
}

async fn open(
    upgrade: PendingUpgrade<TcpStream>,
) -> Result<(Reader<TcpStream>, Writer<TcpStream>), Error> {
    Ok(upgrade.accept(Acceptance::new()).await?.split())
}

// -- Events and acknowledgements ------------------------------------------------------------------

/// What an acknowledgement says.
type Answer = Result<Value, &'static str>;

/// Has every event handled, and acknowledges those that want it.
async fn listen(
    mut reader: Reader<TcpStream>,
    mut writer: Writer<TcpStream>,
    mut handle: impl FnMut(&str, &Value) -> Answer,
) -> Result<(), Error> {
    while let Some(message) = reader.recv().await? {
        let Some((event, data, id)) = parse(&message) else {
            let code = CloseCode::INVALID_FRAME_PAYLOAD_DATA;
            match writer.send_close(code, "not an event").await {
                // It is closing already.
                Ok(()) | Err(Error::Send(SendError::Closing)) => {}
                Err(error) => return Err(error),
            }
            // What still comes before the other Close is not looked at.
            while reader.recv().await?.is_some() {}
            return Ok(());
        };
        let answer = handle(&event, &data);
        let Some(id) = id else { continue };
        let ack = match answer {
            Ok(data) => json!({ "event": "ack", "id": id, "data": data }),
            Err(error) => json!({ "event": "ack", "id": id, "error": error }),
        };
        match writer.feed(ack.to_string()).await {
            Ok(()) | Err(Error::Send(SendError::Closing)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns the name of an event, its data, and the `id` under which it is to be acknowledged.
fn parse(message: &Message) -> Option<(String, Value, Option<u64>)> {
    let mut event: Value = serde_json::from_str(message.as_text()?).ok()?;
    let name = event.get("event")?.as_str()?.to_owned();
    let id = match event.get("id") {
        None => None,
        Some(id) => Some(id.as_u64()?),
    };
    let data = event.get_mut("data").map(Value::take).unwrap_or_default();
    Some((name, data, id))
}

fn event(name: &str, data: Value) -> PreparedMessage {
    PreparedMessage::text(json!({ "event": name, "data": data }).to_string())
}

// -- The namespace /chat --------------------------------------------------------------------------

#[derive(Default)]
struct Chat {
    everybody: Broadcast<TcpStream>,
    /// Those with somebody in them.
    rooms: Mutex<HashMap<String, Broadcast<TcpStream>>>,
    guests: AtomicU64,
}

impl Chat {
    fn rooms(&self) -> MutexGuard<'_, HashMap<String, Broadcast<TcpStream>>> {
        // Every change of the map is whole.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to `/chat`.
struct Guest {
    chat: Arc<Chat>,
    number: u64,
    writer: Writer<TcpStream>,
    rooms: HashMap<String, Membership<TcpStream>>,
}

impl Guest {
    fn new(chat: &Arc<Chat>, writer: Writer<TcpStream>) -> Self {
        Self {
            number: chat.guests.fetch_add(1, Ordering::Relaxed),
            chat: Arc::clone(chat),
            writer,
            rooms: HashMap::new(),
        }
    }

    fn handle(&mut self, name: &str, data: &Value) -> Answer {
        let room = data["room"].as_str().filter(|room| !room.is_empty());
        let room = room.ok_or("data.room is missing")?;
        match name {
            "join" => self.join(room),
            "leave" => self.leave(room),
            "say" => {
                let text = data["text"].as_str().ok_or("data.text is missing")?;
                let membership = self.rooms.get(room).ok_or("you are not in that room")?;
                let said = json!({ "room": room, "from": self.number, "text": text });
                let reach = membership.send_to_others(&event("said", said));
                Ok(json!({ "reached": reach.queued }))
            }
            _ => Err("no such event"),
        }
    }

    fn join(&mut self, room: &str) -> Answer {
        if room.len() > MAX_NAME_LEN {
            return Err("that name is too long");
        }
        if self.rooms.len() >= MAX_ROOMS && !self.rooms.contains_key(room) {
            return Err("you are in too many rooms");
        }
        let mut rooms = self.chat.rooms();
        let group = rooms.entry(room.to_owned()).or_default();
        if !self.rooms.contains_key(room) {
            let membership = group.join(self.writer.clone());
            membership.send_to_others(&event(
                "joined",
                json!({ "room": room, "who": self.number }),
            ));
            self.rooms.insert(room.to_owned(), membership);
        }
        Ok(json!({ "room": room, "members": group.len() }))
    }

    fn leave(&mut self, room: &str) -> Answer {
        let membership = self.rooms.remove(room).ok_or("you are not in that room")?;
        membership.send_to_others(&event("left", json!({ "room": room, "who": self.number })));
        let mut rooms = self.chat.rooms();
        drop(membership);
        if rooms.get(room).is_some_and(Broadcast::is_empty) {
            rooms.remove(room);
        }
        Ok(json!({ "room": room }))
    }
}

impl Drop for Guest {
    /// However the connection ended, its rooms hear of it, and those that are empty are no more.
    fn drop(&mut self) {
        let names: Vec<_> = self.rooms.keys().cloned().collect();
        for name in names {
            let _ = self.leave(&name);
        }
    }
}

const MAX_ROOMS: usize = 16;

const MAX_NAME_LEN: usize = 32;

// -- The namespace /admin -------------------------------------------------------------------------

fn administer(chat: &Chat, name: &str, data: &Value) -> Answer {
    match name {
        "rooms" => {
            let rooms = chat.rooms();
            let rooms = rooms.iter().map(|(name, room)| (name.clone(), room.len()));
            Ok(rooms.collect())
        }
        "announce" => {
            let text = data["text"].as_str().ok_or("data.text is missing")?;
            let announcement = event("announcement", json!({ "text": text }));
            let reach = chat.everybody.send(&announcement);
            Ok(json!({ "reached": reach.queued }))
        }
        _ => Err("no such event"),
    }
}

// -- Pages ----------------------------------------------------------------------------------------

fn respond(request: &PlainRequest) -> Result<Response, SendError> {
    match (request.method(), request.target()) {
        ("GET" | "HEAD", "/") => Ok(Response::new(200)?
            .header("Content-Type", "text/html; charset=utf-8")?
            .body(include_str!("events.html"))),
        _ => not_found(),
    }
}

fn not_found() -> Result<Response, SendError> {
    Ok(Response::new(404)?.body("no such page\n"))
}
