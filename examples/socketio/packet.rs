//! Packets of Socket.IO 5, as messages and as values.
//!
//! A packet is a text message, and one binary message more for each attachment:
//! `<type>[<attachments>-][<namespace>,][<id>][<JSON>]`, where `{"_placeholder":true,"num":0}`
//! stands for the first attachment. It knows no connection.

use std::sync::Arc;

use bytes::Bytes;
use framewright::Message;
use serde_json::Value;

/// A packet.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    /// The number under which an event is to be acknowledged, or that an acknowledgement is for.
    pub(crate) id: Option<u64>,
    /// With placeholders, where there are attachments.
    pub(crate) data: Value,
    pub(crate) attachments: Vec<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// A packet whose attachments are still to come.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) packet: Packet,
    pub(crate) missing: usize,
}

/// A text message that is no packet, or not one that a client may send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Packet {
    pub(crate) fn new(kind: Kind, namespace: &str, data: Value) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            id: None,
            data,
            attachments: Vec::new(),
        }
    }

    /// Makes an event; a payload is the arguments, and what is attached to them.
    pub(crate) fn event(namespace: &str, name: &str, payload: Payload) -> Self {
        let mut data = vec![Value::from(name)];
        data.extend(payload.arguments);
        let mut packet = Self::new(Kind::Event, namespace, data.into());
        packet.attachments = payload.attachments;
        packet
    }

    pub(crate) fn ack(namespace: &str, id: u64, payload: Payload) -> Self {
        let mut packet = Self::new(Kind::Ack, namespace, payload.arguments.into());
        packet.id = Some(id);
        packet.attachments = payload.attachments;
        packet
    }

    pub(crate) fn with_id(mut self, id: u64) -> Self {
        self.id = Some(id);
        self
    }

    /// Parses what follows Engine.IO's `4`.
    pub(crate) fn parse(text: &str) -> Result<Parsed, Malformed> {
        let (kind, rest) = text.split_at_checked(1).ok_or(Malformed)?;
        let (kind, is_binary) = match kind {
            "0" => (Kind::Connect, false),
            "1" => (Kind::Disconnect, false),
            "2" => (Kind::Event, false),
            "3" => (Kind::Ack, false),
            "5" => (Kind::Event, true),
            "6" => (Kind::Ack, true),
            _ => return Err(Malformed), // 4, an error of connecting, is a server's.
        };
        let (missing, rest) = if is_binary {
            let (count, rest) = rest.split_once('-').ok_or(Malformed)?;
            (count.parse().map_err(|_| Malformed)?, rest)
        } else {
            (0, rest)
        };
        if is_binary && !(1..=MAX_ATTACHMENTS).contains(&missing) {
            return Err(Malformed);
        }
        let (namespace, rest) = match rest.strip_prefix('/') {
            None => ("/", rest),
            Some(_) => rest.split_once(',').unwrap_or((rest, "")),
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, json) = rest.split_at(digits);
        let id = match id {
            "" => None,
            id => Some(id.parse().map_err(|_| Malformed)?),
        };
        let data = match json {
            "" => Value::Null,
            json => serde_json::from_str(json).map_err(|_| Malformed)?,
        };
        // What follows a question mark is the application's.
        let namespace = namespace.split('?').next().unwrap_or_default().to_owned();
        let packet = Self {
            kind,
            namespace,
            id,
            data,
            attachments: Vec::new(),
        };
        if packet.is_well_formed() && placeholders_are_below(missing, &packet.data) {
            Ok(Parsed { packet, missing })
        } else {
            Err(Malformed)
        }
    }

    /// Whether the data is what the kind of packet has.
    fn is_well_formed(&self) -> bool {
        match (self.kind, &self.data) {
            (Kind::Connect, data) => data.is_null() || data.is_object(),
            (Kind::Disconnect, data) => data.is_null(),
            (Kind::Event, Value::Array(data)) => match data.first() {
                Some(Value::String(name)) => !RESERVED.contains(&name.as_str()),
                Some(name) => name.is_number(),
                None => false,
            },
            (Kind::Ack, data) => data.is_array() && self.id.is_some(),
            (Kind::Event | Kind::ConnectError, _) => false,
        }
    }

    /// Returns the name of an event, if it is text.
    pub(crate) fn name(&self) -> &str {
        self.data[0].as_str().unwrap_or_default()
    }

    /// Returns the arguments of an event or an acknowledgement, with what is attached to them.
    pub(crate) fn into_payload(self) -> Payload {
        let mut arguments = match self.data {
            Value::Array(arguments) => arguments,
            _ => Vec::new(),
        };
        if self.kind == Kind::Event && !arguments.is_empty() {
            arguments.remove(0);
        }
        Payload {
            arguments,
            attachments: self.attachments,
        }
    }

    /// Returns the messages of the packet, which must stay together.
    pub(crate) fn encode(&self) -> Arc<[Message]> {
        let is_binary = !self.attachments.is_empty();
        let kind = match (self.kind, is_binary) {
            (Kind::Connect, _) => '0',
            (Kind::Disconnect, _) => '1',
            (Kind::Event, false) => '2',
            (Kind::Ack, false) => '3',
            (Kind::ConnectError, _) => '4',
            (Kind::Event, true) => '5',
            (Kind::Ack, true) => '6',
        };
        let mut text = format!("4{kind}");
        if is_binary {
            text.push_str(&format!("{}-", self.attachments.len()));
        }
        if self.namespace != "/" {
            text.push_str(&format!("{},", self.namespace));
        }
        if let Some(id) = self.id {
            text.push_str(&id.to_string());
        }
        if !self.data.is_null() {
            text.push_str(&self.data.to_string());
        }
        let attachments = self.attachments.iter().cloned().map(Message::Binary);
        std::iter::once(Message::text(text))
            .chain(attachments)
            .collect()
    }
}

/// The arguments of an event or an acknowledgement, with what is attached to them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payload {
    pub(crate) arguments: Vec<Value>,
    pub(crate) attachments: Vec<Bytes>,
}

impl From<Value> for Payload {
    fn from(argument: Value) -> Self {
        Self {
            arguments: vec![argument],
            attachments: Vec::new(),
        }
    }
}

/// Whether every placeholder stands for an attachment that there will be.
fn placeholders_are_below(count: usize, data: &Value) -> bool {
    match data {
        Value::Array(values) => values
            .iter()
            .all(|value| placeholders_are_below(count, value)),
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => fields
            .get("num")
            .and_then(Value::as_u64)
            .is_some_and(|num| num < count as u64),
        Value::Object(fields) => fields
            .values()
            .all(|value| placeholders_are_below(count, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

const MAX_ATTACHMENTS: usize = 10;

/// Names that mean something else to clients.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];
