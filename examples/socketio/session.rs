//! One connection: the packets of Engine.IO 4, its heartbeat, and the events of this example.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use framewright::tokio::{Error, Reader, WebSocket, Writer};
use framewright::{CloseCode, Message, SendError};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::hub::{Connected, Namespace, Peer, To};
use crate::packet::{Kind, Malformed, Packet, Parsed, Payload};
use crate::{MAX_PAYLOAD, Site, hub};

/// Talks to a client until the connection has ended.
pub(crate) async fn run(socket: WebSocket<TcpStream>, site: &Site) -> Result<(), Error> {
    let (mut reader, writer) = socket.split();
    let mut closer = writer.clone();
    let (peer, packets) = Peer::new();
    peer.send(open(site));
    let mut session = Session {
        site,
        peer: Arc::clone(&peer),
        connected: HashMap::new(),
        unfinished: None,
    };
    let ended = tokio::select! {
        ended = session.receive(&mut reader) => ended,
        Err(error) = transmit(writer, packets, &peer) => Err(error),
    };
    drop(session); // Nothing reaches the client any more.
    let Some(fault) = ended? else {
        return Ok(());
    };
    // It is read on meanwhile: a client that sends much before it reads comes to the Close, too.
    let drain = async { while let Ok(Some(_)) = reader.recv().await {} };
    match tokio::join!(closer.send_close(fault.code, fault.reason), drain) {
        (Ok(()) | Err(Error::Send(SendError::Closing)), ()) => Ok(()),
        (Err(error), ()) => Err(error),
    }
}

/// Writes packets, each in one piece.
async fn transmit(
    mut writer: Writer<TcpStream>,
    mut packets: mpsc::UnboundedReceiver<Arc<[Message]>>,
    peer: &Peer,
) -> Result<(), Error> {
    while let Some(packet) = packets.recv().await {
        for message in packet.iter() {
            match writer.feed(message.clone()).await {
                // The end is the reader's to see.
                Ok(()) | Err(Error::Send(SendError::Closing)) => {}
                Err(error) => return Err(error),
            }
        }
        peer.written(&packet);
    }
    Ok(())
}

/// Engine.IO's `open`. There is nothing to upgrade to: this is it.
fn open(site: &Site) -> Arc<[Message]> {
    let handshake = json!({
        "sid": hub::new_id(),
        "upgrades": [],
        "pingInterval": millis(site.ping_interval),
        "pingTimeout": millis(site.ping_timeout),
        "maxPayload": MAX_PAYLOAD,
    });
    [Message::text(format!("0{handshake}"))].into()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Session<'a> {
    site: &'a Site,
    peer: Arc<Peer>,
    /// By the name of the namespace.
    connected: HashMap<&'a str, Connected<'a>>,
    /// A packet whose attachments are still to come.
    unfinished: Option<Parsed>,
}

/// Why the connection is closed.
struct Fault {
    code: CloseCode,
    reason: &'static str,
}

impl<'a> Session<'a> {
    /// Receives until the connection has ended, or is to be closed.
    async fn receive(&mut self, reader: &mut Reader<TcpStream>) -> Result<Option<Fault>, Error> {
        let peer = Arc::clone(&self.peer);
        let connect_by = Instant::now() + CONNECT_TIMEOUT;
        let mut has_connected = false;
        let mut ping_at = Instant::now() + self.site.ping_interval;
        let mut alive_by = None;
        loop {
            tokio::select! {
                message = reader.recv() => {
                    let Some(message) = message? else { return Ok(None) };
                    alive_by = None; // Anything is a sign of life.
                    if let Err(fault) = self.on_message(message) {
                        return Ok(Some(fault));
                    }
                    has_connected |= !self.connected.is_empty();
                }
                () = sleep_until(ping_at) => {
                    // It is sent however much else is: the client expects it.
                    self.peer.send([Message::text("2")].into());
                    let now = Instant::now();
                    ping_at = now + self.site.ping_interval;
                    alive_by.get_or_insert(now + self.site.ping_timeout);
                }
                () = at(alive_by) => return Ok(Some(POLICY.because("ping timeout"))),
                () = sleep_until(connect_by), if !has_connected => {
                    return Ok(Some(POLICY.because("no namespace was connected to")));
                }
                () = peer.overrun.notified() => return Ok(Some(TOO_SLOW)),
            }
        }
    }

    /// Handles a message, which is a packet of Engine.IO.
    fn on_message(&mut self, message: Message) -> Result<(), Fault> {
        match message {
            Message::Text(text) => match text.split_at_checked(1) {
                Some(("4", packet)) if self.unfinished.is_none() => {
                    let parsed = Packet::parse(packet).map_err(|Malformed| PARSE_ERROR)?;
                    self.on_parsed(parsed)
                }
                Some(("4", _)) => Err(PARSE_ERROR), // The attachments of another are missing.
                Some(("3", _)) => Ok(()),
                Some(("1", _)) => Err(GOODBYE),
                Some(("2", _)) => Err(POLICY.because("invalid heartbeat direction")),
                _ => Err(PARSE_ERROR),
            },
            // A message without its type is an attachment.
            Message::Binary(data) => {
                let mut parsed = self.unfinished.take().ok_or(PARSE_ERROR)?;
                parsed.packet.attachments.push(data);
                parsed.missing -= 1;
                self.on_parsed(parsed)
            }
            // These are not delivered.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
        }
    }

    /// Handles a packet of Socket.IO, once it is whole.
    fn on_parsed(&mut self, parsed: Parsed) -> Result<(), Fault> {
        if parsed.missing > 0 {
            self.unfinished = Some(parsed);
            return Ok(());
        }
        let packet = parsed.packet;
        if packet.kind == Kind::Connect {
            return self.on_connect(&packet);
        }
        let peer = Arc::clone(&self.peer);
        let Some(connected) = self.connected.get_mut(packet.namespace.as_str()) else {
            // One that we have disconnected may not know yet; one that never connected must.
            return match self.namespace(&packet.namespace) {
                Some(_) if !self.connected.is_empty() => Ok(()),
                _ => Err(POLICY.because("not connected to that namespace")),
            };
        };
        match packet.kind {
            Kind::Event => {
                if on_event(packet, connected, &peer) == After::Disconnect {
                    let name = connected.namespace.name;
                    self.connected.remove(name);
                    peer.send(Packet::new(Kind::Disconnect, name, Value::Null).encode());
                }
            }
            Kind::Ack => {
                let name = connected.namespace.name;
                // Of those that we have asked for.
                if packet.id.is_some_and(|id| id < connected.next_ack) {
                    peer.send(Packet::event(name, "answered", packet.into_payload()).encode());
                }
            }
            Kind::Disconnect => {
                self.connected.remove(packet.namespace.as_str());
            }
            Kind::Connect | Kind::ConnectError => {}
        }
        Ok(())
    }

    /// Lets a client into a namespace, or says why not.
    fn on_connect(&mut self, packet: &Packet) -> Result<(), Fault> {
        let error = match self.namespace(&packet.namespace) {
            None => "Invalid namespace",
            Some(namespace) if !self.is_allowed(namespace, &packet.data) => "not authorized",
            Some(namespace) => {
                // The client may ask twice, where it is told to connect while it does so: then it
                // is another socket, as with Socket.IO's own server.
                let connected = namespace.connect(Arc::clone(&self.peer));
                let data = json!({ "sid": connected.id });
                let answer = Packet::new(Kind::Connect, namespace.name, data);
                self.connected.insert(namespace.name, connected);
                self.peer.send(answer.encode());
                return Ok(());
            }
        };
        let data = json!({ "message": error });
        let answer = Packet::new(Kind::ConnectError, &packet.namespace, data);
        self.peer.send(answer.encode());
        Ok(())
    }

    fn namespace(&self, name: &str) -> Option<&'a Namespace> {
        let site = self.site;
        [&site.root, &site.admin]
            .into_iter()
            .find(|namespace| namespace.name == name)
    }

    /// Looks at what the client has sent as `auth`.
    fn is_allowed(&self, namespace: &Namespace, auth: &Value) -> bool {
        namespace.name != self.site.admin.name
            || auth["token"].as_str() == Some(&self.site.admin_token)
    }
}

// -- Events of this example -----------------------------------------------------------------------

#[derive(PartialEq, Eq)]
enum After {
    GoOn,
    Disconnect,
}

/// Does what an event asks for, and acknowledges it. An event that nobody listens to is nothing
/// special, and neither is one whose arguments nobody understands.
fn on_event(packet: Packet, connected: &mut Connected<'_>, peer: &Peer) -> After {
    let namespace = connected.namespace.name;
    let (id, name) = (packet.id, packet.name().to_owned());
    let payload = packet.into_payload();
    let argument = |index: usize| payload.arguments.get(index).and_then(Value::as_str);
    let answer = match (name.as_str(), argument(0), argument(1)) {
        ("echo", ..) => {
            peer.send(Packet::event(namespace, "echo", payload.clone()).encode());
            payload
        }
        ("join", Some(room), _) => match connected.join(room) {
            Some(members) => json!({ "room": room, "members": members }).into(),
            None => json!({ "error": "too many rooms, or too long a name" }).into(),
        },
        ("leave", Some(room), _) => {
            json!({ "room": room, "members": connected.leave(room) }).into()
        }
        ("say", Some(room), Some(text)) if connected.is_in(room) => {
            let said = json!({ "from": connected.id, "room": room, "text": text });
            let said = Packet::event(namespace, "said", said.into());
            let reached = connected.send_to_others(To::Room(room), &said);
            json!({ "reached": reached }).into()
        }
        ("say", ..) => json!({ "error": "you are not in that room" }).into(),
        ("broadcast", ..) => {
            let packet = Packet::event(namespace, "broadcast", payload);
            let reached = connected.send_to_others(To::Everybody, &packet);
            json!({ "reached": reached }).into()
        }
        ("ask", ..) => {
            let question = Packet::event(namespace, "question", payload);
            peer.send(question.with_id(connected.next_ack).encode());
            connected.next_ack += 1;
            Payload::default()
        }
        ("bye", ..) => return After::Disconnect,
        _ => return After::GoOn,
    };
    if let Some(id) = id {
        peer.send(Packet::ack(namespace, id, answer).encode());
    }
    After::GoOn
}

// -- Ends -----------------------------------------------------------------------------------------

impl Fault {
    const fn because(self, reason: &'static str) -> Self {
        Self { reason, ..self }
    }
}

const PARSE_ERROR: Fault = Fault {
    code: CloseCode::INVALID_FRAME_PAYLOAD_DATA,
    reason: "parse error",
};

const POLICY: Fault = Fault {
    code: CloseCode::POLICY_VIOLATION,
    reason: "",
};

const TOO_SLOW: Fault = Fault {
    code: CloseCode::TRY_AGAIN_LATER,
    reason: "reads too slowly",
};

/// The client has said that it leaves.
const GOODBYE: Fault = Fault {
    code: CloseCode::NORMAL_CLOSURE,
    reason: "",
};

/// As long as Socket.IO's own server waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);

/// Waits until then, or for ever.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
