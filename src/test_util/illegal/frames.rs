//! Frames that fail a connection, with the error that each earns.
//!
//! The bytes of what a peer must not send; nothing of how an endpoint finds out.
//!
//! RFC 6455, sections 5, 7.4 and 8.1; RFC 7692, section 7.2.2.

use crate::connection::{Config, Connection, Role};
use crate::error::ProtocolError;
use crate::frame::CloseCode;
#[cfg(feature = "deflate")]
use crate::handshake::{Acceptance, ClientRequest, DeflateConfig};
use crate::test_util::CountingMasks;
#[cfg(feature = "deflate")]
use crate::test_util::Pair;

/// Frames that fail a connection.
///
/// ```
/// use framewright::test_util::{Endpoint, Split, illegal_frames};
///
/// for case in illegal_frames() {
///     let mut victim = Endpoint::new(case.connection());
///     victim.receive(&case.bytes, Split::Every(1));
///     assert_eq!(victim.error(), Some(case.error), "{}", case.name);
///     assert!(victim.take_received().is_empty());
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IllegalFrames {
    /// What is wrong with them, in a few words.
    pub name: String,
    /// The end that they are sent to.
    pub victim: Role,
    /// What is sent: legal frames perhaps, of which nothing is delivered, and then the illegal one.
    pub bytes: Vec<u8>,
    /// What the victim fails with.
    pub error: ProtocolError,
    /// Whether permessage-deflate is agreed on.
    pub is_compressing: bool,
}

impl IllegalFrames {
    /// Returns the code of the Close frame that the victim answers with.
    pub const fn close_code(&self) -> CloseCode {
        self.error.close_code()
    }

    /// Returns the limits of the victim: the defaults, but for 16 frames to a message, so that
    /// those that have more are short.
    pub fn config(&self) -> Config {
        Config {
            max_fragments: MAX_FRAGMENTS,
            ..Config::default()
        }
    }

    /// Makes the victim: an open connection of its role, with its limits and what is agreed on.
    pub fn connection(&self) -> Connection {
        #[cfg(feature = "deflate")]
        if self.is_compressing
            && let Some(connection) = compressing(self.victim, &self.config())
        {
            return connection;
        }
        let config = self.config().into();
        match self.victim {
            Role::Client => Connection::client(Box::new(CountingMasks::default()), config),
            Role::Server => Connection::server(config),
        }
    }
}

/// Returns frames for every [`ProtocolError`], to clients and to servers.
pub fn illegal_frames() -> Vec<IllegalFrames> {
    let mut cases = Vec::new();
    for victim in [Role::Client, Role::Server] {
        let mut list = List {
            victim,
            cases: &mut cases,
        };
        list.add_headers();
        list.add_sequences();
        list.add_texts();
        list.add_closes();
        list.add_limits();
        #[cfg(feature = "deflate")]
        list.add_compressed();
    }
    cases
}

#[cfg(feature = "deflate")]
fn compressing(role: Role, config: &Config) -> Option<Connection> {
    let deflate = DeflateConfig::default();
    let request = ClientRequest::new("ws://localhost/").ok()?;
    let request = request.deflate(deflate.clone());
    let acceptance = Acceptance::new().deflate(deflate);
    let pair = Pair::open(&request, acceptance, config).ok()?;
    Some(match role {
        Role::Client => pair.client.connection,
        Role::Server => pair.server.connection,
    })
}

struct List<'a> {
    victim: Role,
    cases: &'a mut Vec<IllegalFrames>,
}

impl List<'_> {
    fn add(&mut self, name: impl Into<String>, frames: &[Frame<'_>], error: ProtocolError) {
        let victim = self.victim;
        self.add_bytes(name, frames.iter().flat_map(|it| it.to(victim)), error);
    }

    fn add_bytes(
        &mut self,
        name: impl Into<String>,
        bytes: impl IntoIterator<Item = u8>,
        error: ProtocolError,
    ) {
        self.cases.push(IllegalFrames {
            name: name.into(),
            victim: self.victim,
            bytes: bytes.into_iter().collect(),
            error,
            is_compressing: false,
        });
    }

    /// What a header alone shows.
    fn add_headers(&mut self) {
        // 5.2: "%x3-7 are reserved for further non-control frames", "%xB-F" for control frames.
        for opcode in (0x3..=0x7).chain(0xb..=0xf) {
            let name = format!("reserved opcode {opcode:#x}");
            let error = ProtocolError::ReservedOpcode(opcode);
            self.add(name, &[frame(FIN | opcode, b"")], error);
        }
        for (bit, rsv) in [("RSV1", RSV1), ("RSV2", RSV2), ("RSV3", RSV3)] {
            for (kind, opcode) in [("text", TEXT), ("binary", BINARY), ("ping", PING)] {
                let name = format!("{bit} on a {kind} frame");
                let frames = [frame(FIN | rsv | opcode, b"x")];
                self.add(name, &frames, ProtocolError::ReservedBitSet);
            }
            let frames = [frame(TEXT, b"x"), frame(FIN | rsv | CONTINUATION, b"x")];
            let name = format!("{bit} on a continuation frame");
            self.add(name, &frames, ProtocolError::ReservedBitSet);
        }
        for (kind, opcode) in [("close", CLOSE), ("ping", PING), ("pong", PONG)] {
            let name = format!("fragmented {kind}");
            self.add(
                name,
                &[frame(opcode, b"")],
                ProtocolError::ControlFragmented,
            );
            let name = format!("{kind} of 126 bytes");
            let frames = [frame(FIN | opcode, &[b'x'; 126])];
            self.add(name, &frames, ProtocolError::ControlTooLong);
        }
        // 5.2: "the most significant bit MUST be 0".
        let longest = frame(FIN | BINARY, b"").claiming(1 << 63);
        self.add(
            "length of 64 bits",
            &[longest],
            ProtocolError::LengthTooLarge,
        );
        // 5.2: "the minimal number of bytes MUST be used to encode the length".
        for (name, len) in [("empty", 0), ("short", 125)] {
            let in_16_bits = frame(FIN | BINARY, &[0; 125][..len]).in_16_bits();
            let name = format!("{name} payload with a length in 16 bits");
            self.add(name, &[in_16_bits], ProtocolError::LengthNotMinimal);
        }
        for len in [0, 125, 126, 0xffff] {
            let in_64_bits = frame(FIN | BINARY, b"").claiming(len);
            let name = format!("length {len} in 64 bits");
            self.add(name, &[in_64_bits], ProtocolError::LengthNotMinimal);
        }
        // 5.1: only clients mask, and all of their frames.
        let wrong = match self.victim {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let (what, error) = match self.victim {
            Role::Client => ("masked", ProtocolError::MaskUnexpected),
            Role::Server => ("unmasked", ProtocolError::MaskMissing),
        };
        for (kind, opcode) in [("text", TEXT), ("ping", PING), ("close", CLOSE)] {
            let bytes = frame(FIN | opcode, b"").to(wrong);
            self.add_bytes(format!("{what} {kind} frame"), bytes, error);
        }
    }

    /// 5.4: what only its place in a message forbids.
    fn add_sequences(&mut self) {
        let error = ProtocolError::ContinuationUnexpected;
        let last = frame(FIN | CONTINUATION, b"x");
        self.add("continuation of nothing", &[last], error);
        let more = frame(CONTINUATION, b"x");
        self.add("continuation of nothing, with more to come", &[more], error);
        let error = ProtocolError::MessageInterrupted;
        for (first, opcode) in [("text", TEXT), ("binary", BINARY)] {
            for (second, interrupting) in [("text", TEXT), ("binary", BINARY)] {
                let name = format!("{second} frame inside a fragmented {first} message");
                let frames = [frame(opcode, b"x"), frame(FIN | interrupting, b"x")];
                self.add(name, &frames, error);
            }
        }
    }

    /// 8.1.
    fn add_texts(&mut self) {
        let error = ProtocolError::TextNotUtf8;
        for (name, text) in NOT_UTF8 {
            let name = format!("text with {name}");
            self.add(name, &[frame(FIN | TEXT, text)], error);
        }
        let frames = [
            frame(TEXT, b"\xe2\x82"),
            frame(CONTINUATION, b""),
            frame(FIN | CONTINUATION, b"x"),
        ];
        self.add(
            "text whose character is broken by a fragment",
            &frames,
            error,
        );
        // Whatever follows, it will not be UTF-8.
        let frames = [frame(TEXT, b"\xed\xa0")];
        self.add(
            "first fragment of a text with half a surrogate",
            &frames,
            error,
        );
    }

    fn add_closes(&mut self) {
        let frames = [frame(FIN | CLOSE, b"\x03")];
        self.add("close of one byte", &frames, ProtocolError::CloseTooShort);
        // 7.4.1: some codes "MUST NOT be set as a status code in a Close control frame"; 7.4.2:
        // those below 1000 "are not used"; others nobody has registered.
        for code in [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16,
        ] {
            let payload = code.to_be_bytes();
            let error = ProtocolError::CloseCodeInvalid(code);
            self.add(
                format!("close with code {code}"),
                &[frame(FIN | CLOSE, &payload)],
                error,
            );
        }
        for (name, text) in NOT_UTF8 {
            let payload = [b"\x03\xe8", text].concat();
            let frames = [frame(FIN | CLOSE, &payload)];
            let name = format!("close with {name} in its reason");
            self.add(name, &frames, ProtocolError::CloseReasonNotUtf8);
        }
    }

    /// What exceeds the limits of [`IllegalFrames::config`], without the payload that it claims.
    fn add_limits(&mut self) {
        let limits = Config::default();
        let longer = frame(FIN | BINARY, b"").claiming(limits.max_frame_len + 1);
        self.add(
            "frame of more than max_frame_len",
            &[longer],
            ProtocolError::FrameTooLong,
        );
        let whole = frame(FIN | CONTINUATION, b"").claiming(limits.max_message_len);
        let frames = [frame(BINARY, b"x"), whole];
        let error = ProtocolError::MessageTooLong;
        self.add("message of more than max_message_len", &frames, error);
        let mut frames = vec![frame(TEXT, b"")];
        frames.extend((0..MAX_FRAGMENTS).map(|_| frame(CONTINUATION, b"")));
        let error = ProtocolError::TooManyFragments;
        self.add("message of more than max_fragments", &frames, error);
    }

    #[cfg(feature = "deflate")]
    fn add_compressed(&mut self) {
        let before = self.cases.len();
        let error = ProtocolError::CompressedDataInvalid;
        // RFC 1951, section 3.2.3: a block of type 11 is an error.
        let frames = [frame(FIN | RSV1 | BINARY, b"\x06")];
        self.add("compressed message with a block of no type", &frames, error);
        // RFC 1951, section 3.2.5: a distance beyond the beginning.
        let frames = [frame(FIN | RSV1 | TEXT, b"\x4a\x04\x12\x00\x00")];
        self.add("compressed message that refers to nothing", &frames, error);
        // RFC 7692, section 6: RSV1 is for the first fragment alone, and for data.
        let error = ProtocolError::ReservedBitSet;
        let frames = [frame(TEXT, b"x"), frame(FIN | RSV1 | CONTINUATION, b"x")];
        self.add(
            "RSV1 on a continuation frame, with compression",
            &frames,
            error,
        );
        let frames = [frame(FIN | RSV1 | PING, b"x")];
        self.add("RSV1 on a ping, with compression", &frames, error);
        for case in &mut self.cases[before..] {
            case.is_compressing = true;
        }
    }
}

/// A frame before anybody has masked it.
#[derive(Debug, Clone, Copy)]
struct Frame<'a> {
    /// FIN, the reserved bits and the opcode.
    first: u8,
    payload: &'a [u8],
    length: Length,
}

#[derive(Debug, Clone, Copy)]
enum Length {
    Shortest,
    In16Bits,
    /// In 64 bits, true or not.
    Claimed(u64),
}

const fn frame(first: u8, payload: &[u8]) -> Frame<'_> {
    Frame {
        first,
        payload,
        length: Length::Shortest,
    }
}

impl Frame<'_> {
    const fn in_16_bits(mut self) -> Self {
        self.length = Length::In16Bits;
        self
    }

    const fn claiming(mut self, len: u64) -> Self {
        self.length = Length::Claimed(len);
        self
    }

    /// The bytes as `victim` must have them, written from the diagram of section 5.2.
    fn to(self, victim: Role) -> Vec<u8> {
        let key = match victim {
            Role::Client => None,
            Role::Server => Some([0x37, 0xfa, 0x21, 0x3d]),
        };
        let mask = if key.is_some() { 0b1000_0000 } else { 0 };
        // Payloads here are short.
        let len = u8::try_from(self.payload.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![self.first];
        match self.length {
            Length::Shortest if len < 126 => bytes.push(mask | len),
            Length::Shortest | Length::In16Bits => bytes.extend([mask | 126, 0, len]),
            Length::Claimed(len) => {
                bytes.push(mask | 127);
                bytes.extend(len.to_be_bytes());
            }
        }
        bytes.extend(
            key.unwrap_or_default()
                .iter()
                .take(key.map_or(0, |it| it.len())),
        );
        // 5.3: "transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)".
        let masks = key.unwrap_or_default();
        let masked = self.payload.iter().zip(masks.iter().cycle());
        bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        bytes
    }
}

const FIN: u8 = 0b1000_0000;
const RSV1: u8 = 0b0100_0000;
const RSV2: u8 = 0b0010_0000;
const RSV3: u8 = 0b0001_0000;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

const MAX_FRAGMENTS: u64 = 16;

/// RFC 3629, section 3.
const NOT_UTF8: [(&str, &[u8]); 8] = [
    ("a continuation byte alone", b"Hell\x80"),
    ("the byte 0xFF", b"\xff"),
    ("an overlong slash", b"\xc0\xaf"),
    ("an overlong NUL of three bytes", b"\xe0\x80\x80"),
    ("a surrogate", b"\xed\xa0\x80"),
    ("a code point above U+10FFFF", b"\xf4\x90\x80\x80"),
    ("a character that is cut short", b"\xe2\x82"),
    ("a character that another interrupts", b"\xe2\x82x"),
];
