//! The rig: connections without a stream, and frames that are built by hand.
//!
//! [`Pair`] is a client and a server with bytes moved between them in chunks; [`Endpoint`] is one
//! end, fed by hand. [`RawFrame`] writes and reads frames without the library, so that it can
//! write what no peer should, and so that a fault of the library's codec cannot hide itself.

#![allow(
    dead_code,
    reason = "every test file is a binary of its own and uses a part of the rig"
)]

use std::sync::Arc;

use framewright::frame::MaskingKey;
use framewright::{
    CloseCode, CloseFrame, Config, Connection, End, Event, MaskSource, MessageKind, ProtocolError,
    RecvBuffer, Role, SendBuffer, State,
};

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

pub(crate) const RSV1: u8 = 0b100;
pub(crate) const RSV2: u8 = 0b010;
pub(crate) const RSV3: u8 = 0b001;

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// The chunk lengths at which every scenario runs; the last is all at once.
pub(crate) const CHUNK_LENS: [usize; 6] = [1, 2, 3, 7, 13, usize::MAX];

/// The other end of `role`.
pub(crate) fn peer_of(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// The default configuration, changed by `change`.
pub(crate) fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// A close frame with a registered or private code.
pub(crate) fn close_frame(code: u16, reason: &str) -> CloseFrame<'static> {
    CloseFrame {
        code: CloseCode::new(code).expect("a code that may be on the wire"),
        reason: reason.to_owned().into(),
    }
}

/// The payload of a Close frame, with any code at all.
pub(crate) fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

/// What an [`Endpoint`] of `role` writes for `frames`: a client draws its keys from
/// [`CountingMasks`].
pub(crate) fn wire(role: Role, frames: &[RawFrame]) -> Vec<u8> {
    let mut masks = CountingMasks::default();
    frames
        .iter()
        .flat_map(|frame| match role {
            Role::Client => frame.clone().masked_by(masks.next_key().bytes()).bytes(),
            Role::Server => frame.bytes(),
        })
        .collect()
}

/// Masking keys that repeat from run to run, and never within one.
#[derive(Debug, Default)]
pub(crate) struct CountingMasks {
    drawn: u32,
}

impl MaskSource for CountingMasks {
    fn next_key(&mut self) -> MaskingKey {
        self.drawn += 1;
        // An odd factor permutes the numbers, and no byte of a key is zero for long.
        MaskingKey::new(self.drawn.wrapping_mul(0x9e37_79b1).to_be_bytes())
    }
}

/// A frame as it is on the wire, legal or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawFrame {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) length: Length,
    /// Unmasked.
    pub(crate) payload: Vec<u8>,
}

/// How a raw frame writes its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// As section 5.2 wants it.
    Shortest,
    /// In 16 bits, needed or not.
    In16Bits(u16),
    /// In 64 bits, needed or not, true or not.
    In64Bits(u64),
}

/// A whole, unmasked frame.
pub(crate) fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> RawFrame {
    RawFrame {
        fin: true,
        rsv: 0,
        opcode,
        mask: None,
        length: Length::Shortest,
        payload: payload.as_ref().to_vec(),
    }
}

/// A frame with FIN clear: more of the message follows.
pub(crate) fn fragment(opcode: u8, payload: impl AsRef<[u8]>) -> RawFrame {
    RawFrame {
        fin: false,
        ..frame(opcode, payload)
    }
}

impl RawFrame {
    pub(crate) fn rsv(self, rsv: u8) -> Self {
        Self { rsv, ..self }
    }

    pub(crate) fn masked_by(self, key: [u8; 4]) -> Self {
        Self {
            mask: Some(key),
            ..self
        }
    }

    /// Masks the frame if `role` is to send it.
    pub(crate) fn sent_by(self, role: Role) -> Self {
        match role {
            Role::Client => self.masked_by([0x37, 0xfa, 0x21, 0x3d]),
            Role::Server => self,
        }
    }

    /// Writes the length in 16 bits, however short.
    pub(crate) fn in_16_bits(self) -> Self {
        let len = u16::try_from(self.payload.len()).expect("a payload of 16 bits of length");
        Self {
            length: Length::In16Bits(len),
            ..self
        }
    }

    /// Writes the length in 64 bits, however short.
    pub(crate) fn in_64_bits(self) -> Self {
        let len = self.payload.len() as u64;
        self.claiming(len)
    }

    /// Claims, in 64 bits, a length that the payload need not have.
    pub(crate) fn claiming(self, len: u64) -> Self {
        Self {
            length: Length::In64Bits(len),
            ..self
        }
    }

    /// The length of the header.
    pub(crate) fn header_len(&self) -> usize {
        self.bytes().len() - self.payload.len()
    }

    /// The frame on the wire, written from the diagram of section 5.2.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        let mask_bit = u8::from(self.mask.is_some()) << 7;
        match self.length {
            Length::Shortest => match self.payload.len() {
                len @ 0..=125 => bytes.push(mask_bit | u8::try_from(len).expect("7 bits")),
                len @ 126..=0xffff => {
                    bytes.push(mask_bit | 126);
                    bytes.extend(u16::try_from(len).expect("16 bits").to_be_bytes());
                }
                len => {
                    bytes.push(mask_bit | 127);
                    bytes.extend((len as u64).to_be_bytes());
                }
            },
            Length::In16Bits(len) => {
                bytes.push(mask_bit | 126);
                bytes.extend(len.to_be_bytes());
            }
            Length::In64Bits(len) => {
                bytes.push(mask_bit | 127);
                bytes.extend(len.to_be_bytes());
            }
        }
        let key = self.mask.unwrap_or_default();
        if self.mask.is_some() {
            bytes.extend(key);
        }
        // 5.3: "transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)"
        let masked = self.payload.iter().zip(key.iter().cycle());
        bytes.extend(masked.map(|(byte, key)| byte ^ key));
        bytes
    }
}

/// The wire form of frames, one after the other.
pub(crate) fn concat(frames: &[RawFrame]) -> Vec<u8> {
    frames.iter().flat_map(RawFrame::bytes).collect()
}

/// Frames as `role` sends them, one after the other.
pub(crate) fn sent_by(role: Role, frames: &[RawFrame]) -> Vec<u8> {
    let frames: Vec<_> = frames.iter().cloned().map(|f| f.sent_by(role)).collect();
    concat(&frames)
}

/// Reads the frames that an endpoint wrote, which must be whole.
pub(crate) fn frames_in(mut bytes: &[u8]) -> Vec<RawFrame> {
    let mut frames = Vec::new();
    let mut take = |len: usize| {
        let (taken, rest) = bytes.split_at_checked(len)?;
        bytes = rest;
        Some(taken.to_vec())
    };
    while let Some(start) = take(2) {
        let whole = "output ends inside a frame";
        let len = match start[1] & 0x7f {
            126 => {
                let len = take(2).expect(whole);
                usize::from(u16::from_be_bytes(len.try_into().expect("two bytes")))
            }
            127 => {
                let len = take(8).expect(whole);
                let len = u64::from_be_bytes(len.try_into().expect("eight bytes"));
                usize::try_from(len).expect("a length that fits in memory")
            }
            len => usize::from(len),
        };
        let mask: Option<[u8; 4]> =
            (start[1] & 0x80 != 0).then(|| take(4).expect(whole).try_into().expect("four bytes"));
        let mut payload = take(len).expect(whole);
        for (byte, key) in payload.iter_mut().zip(mask.iter().flatten().cycle()) {
            *byte ^= key;
        }
        frames.push(RawFrame {
            fin: start[0] & 0x80 != 0,
            rsv: start[0] >> 4 & 0b111,
            opcode: start[0] & 0x0f,
            mask,
            length: Length::Shortest,
            payload,
        });
    }
    assert!(bytes.is_empty(), "output ends inside a frame: {bytes:x?}");
    frames
}

/// Opcodes and payloads of the frames that an endpoint wrote.
pub(crate) fn sent(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    frames_in(bytes)
        .into_iter()
        .map(|frame| (frame.opcode, frame.payload))
        .collect()
}

/// The code of the Close frame that ends `output`.
pub(crate) fn close_code_in(output: &[u8]) -> Option<u16> {
    let last = frames_in(output).pop()?;
    assert_eq!(last.opcode, CLOSE, "the last frame is a Close");
    let code = last.payload.first_chunk()?;
    Some(u16::from_be_bytes(*code))
}

/// An event, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    Text(String),
    Binary(Vec<u8>),
    Chunk {
        kind: MessageKind,
        payload: Vec<u8>,
        fin: bool,
    },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Event<'_>> for Received {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => {
                // The library converts without a check; the rig does not.
                let text = std::str::from_utf8(text.as_bytes()).expect("text events are UTF-8");
                Self::Text(text.to_owned())
            }
            Event::Binary(data) => Self::Binary(data.to_vec()),
            Event::Chunk(chunk) => Self::Chunk {
                kind: chunk.kind,
                payload: chunk.payload.to_vec(),
                fin: chunk.fin,
            },
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(frame) => {
                Self::Close(frame.map(|frame| (frame.code.get(), frame.reason.into_owned())))
            }
        }
    }
}

pub(crate) fn text(text: &str) -> Received {
    Received::Text(text.to_owned())
}

pub(crate) fn binary(data: impl AsRef<[u8]>) -> Received {
    Received::Binary(data.as_ref().to_vec())
}

pub(crate) fn ping(payload: impl AsRef<[u8]>) -> Received {
    Received::Ping(payload.as_ref().to_vec())
}

pub(crate) fn pong(payload: impl AsRef<[u8]>) -> Received {
    Received::Pong(payload.as_ref().to_vec())
}

pub(crate) fn close(code: u16, reason: &str) -> Received {
    Received::Close(Some((code, reason.to_owned())))
}

/// When an endpoint's output is written to the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drain {
    /// After each call that may append to it.
    AfterEachCall,
    /// When everything that was there to be read is handled.
    AtTheEnd,
}

pub(crate) const DRAINS: [Drain; 2] = [Drain::AfterEachCall, Drain::AtTheEnd];

/// One end of a connection, with its buffers and a log of what happened to it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) connection: Connection,
    pub(crate) input: RecvBuffer,
    pub(crate) output: SendBuffer,
    pub(crate) drain: Drain,
    /// What left the output, in order.
    pub(crate) written: Vec<u8>,
    /// How much of it the peer has read.
    pub(crate) read_by_peer: usize,
    pub(crate) received: Vec<Received>,
    pub(crate) error: Option<ProtocolError>,
}

impl Endpoint {
    pub(crate) fn new(role: Role) -> Self {
        Self::with_config(role, Config::default())
    }

    pub(crate) fn with_config(role: Role, config: Config) -> Self {
        Self {
            connection: Connection::new(role, Arc::new(config))
                .with_masks(Box::new(CountingMasks::default())),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
            drain: Drain::AfterEachCall,
            written: Vec::new(),
            read_by_peer: 0,
            received: Vec::new(),
            error: None,
        }
    }

    pub(crate) fn draining(self, drain: Drain) -> Self {
        Self { drain, ..self }
    }

    /// Receives `bytes` in chunks, and handles each chunk before the next.
    pub(crate) fn receive_in_chunks(&mut self, bytes: &[u8], chunk_len: usize) {
        for chunk in bytes.chunks(chunk_len.min(bytes.len()).max(1)) {
            if chunk_len == usize::MAX {
                // All at once, as behind somebody's HTTP head.
                self.input.extend(chunk);
                self.handle_input();
                continue;
            }
            let mut rest = chunk;
            while !rest.is_empty() {
                let spare = self.input.spare_mut();
                assert!(!spare.is_empty(), "spare_mut is never empty");
                let len = spare.len().min(rest.len());
                spare[..len].copy_from_slice(&rest[..len]);
                self.input.commit(len);
                self.handle_input();
                rest = &rest[len..];
            }
        }
        self.write();
    }

    /// Receives `bytes` at once and returns the events of that.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Vec<Received> {
        let before = self.received.len();
        self.receive_in_chunks(bytes, usize::MAX);
        self.received[before..].to_vec()
    }

    /// Takes events until there are none, and checks invariants on the way: one call finds one
    /// event and appends one reply, and an error stays.
    pub(crate) fn handle_input(&mut self) {
        loop {
            let waiting = self.output.len();
            let outcome = self.connection.advance(&mut self.input, &mut self.output);
            if waiting == 0 && !self.output.is_empty() {
                let reply = frames_in(&self.output.to_vec());
                assert_eq!(reply.len(), 1, "one call appends one reply");
            }
            if self.drain == Drain::AfterEachCall {
                self.write();
            }
            match outcome {
                Ok(true) => {
                    assert_eq!(self.error, None, "no event follows an error");
                    let event = self.input.event().expect("advance found an event");
                    self.received.push(event.into());
                }
                Ok(false) => {
                    assert_eq!(self.error, None, "an error stays");
                    assert_eq!(self.input.event(), None, "there is no event");
                    return;
                }
                Err(error) => {
                    assert!(
                        self.error.is_none_or(|first| first == error),
                        "the same error is returned from then on"
                    );
                    self.error = Some(error);
                    return;
                }
            }
        }
    }

    /// Moves the output to the wire.
    pub(crate) fn write(&mut self) {
        for chunk in self.output.chunks() {
            assert!(!chunk.is_empty(), "no chunk is empty");
            self.written.extend_from_slice(chunk);
        }
        self.output.consume(self.output.len());
        assert!(self.output.is_empty());
    }

    /// What left since the last call.
    pub(crate) fn take_written(&mut self) -> Vec<u8> {
        self.write();
        self.read_by_peer = 0;
        std::mem::take(&mut self.written)
    }

    pub(crate) fn end(&self) -> &End {
        self.connection.end().expect("the connection is closed")
    }
}

/// What came of feeding bytes to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) received: Vec<Received>,
    pub(crate) error: Option<ProtocolError>,
    /// The whole output.
    pub(crate) output: Vec<u8>,
    pub(crate) state: State,
    pub(crate) end: Option<End>,
}

/// Feeds `bytes` to a fresh endpoint.
pub(crate) fn run(
    role: Role,
    config: &Config,
    bytes: &[u8],
    chunk_len: usize,
    drain: Drain,
) -> Outcome {
    let mut endpoint = Endpoint::with_config(role, config.clone()).draining(drain);
    endpoint.receive_in_chunks(bytes, chunk_len);
    Outcome {
        received: endpoint.received,
        error: endpoint.error,
        output: endpoint.written,
        state: endpoint.connection.state(),
        end: endpoint.connection.end().cloned(),
    }
}

/// Feeds `bytes` to fresh endpoints at every chunk length, draining or not, and returns what came
/// of it, which must be the same: invariant 2 of the design. The output is that of draining after
/// each call, where no Pong replaces another.
pub(crate) fn receive_with(role: Role, config: &Config, bytes: &[u8]) -> Outcome {
    let [drained, left] = DRAINS.map(|drain| {
        let whole = run(role, config, bytes, usize::MAX, drain);
        for chunk_len in CHUNK_LENS {
            let outcome = run(role, config, bytes, chunk_len, drain);
            assert_eq!(outcome, whole, "{role:?}, {drain:?}, chunks of {chunk_len}");
        }
        whole
    });
    // Draining decides which Pongs are replaced, and nothing else.
    let left = Outcome {
        output: drained.output.clone(),
        ..left
    };
    assert_eq!(left, drained, "{role:?}");
    drained
}

/// [`receive_with`] the default configuration.
pub(crate) fn receive(role: Role, bytes: &[u8]) -> Outcome {
    receive_with(role, &Config::default(), bytes)
}

/// Frames that the peer of `role` sends, masked or not as they must be: [`receive`] of them.
pub(crate) fn receive_frames(role: Role, frames: &[RawFrame]) -> Outcome {
    receive(role, &sent_by(peer_of(role), frames))
}

/// Asserts that `bytes` fail a connection of `role` with `error`, after `received`, with the Close
/// frame that it earns and nothing after it.
pub(crate) fn assert_fails_after(
    role: Role,
    config: &Config,
    bytes: &[u8],
    received: &[Received],
    error: ProtocolError,
) {
    let outcome = receive_with(role, config, bytes);
    assert_eq!(outcome.error, Some(error), "{role:?} given {bytes:x?}");
    assert_eq!(outcome.received, received, "{role:?} given {bytes:x?}");
    assert_eq!(outcome.state, State::Closed);
    let code = close_code_in(&outcome.output);
    assert_eq!(code, Some(error.close_code().get()), "the Close owed");
}

/// [`assert_fails_after`] nothing was delivered, with the default configuration.
pub(crate) fn assert_fails(role: Role, bytes: &[u8], error: ProtocolError) {
    assert_fails_after(role, &Config::default(), bytes, &[], error);
}

/// A client and a server, and what is between them.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    chunk_len: usize,
}

impl Pair {
    pub(crate) fn new(chunk_len: usize, drain: Drain) -> Self {
        Self::with_config(&Config::default(), chunk_len, drain)
    }

    pub(crate) fn with_config(config: &Config, chunk_len: usize, drain: Drain) -> Self {
        let endpoint = |role| Endpoint::with_config(role, config.clone()).draining(drain);
        Self {
            client: endpoint(Role::Client),
            server: endpoint(Role::Server),
            chunk_len,
        }
    }

    /// Both ends: first that of `role`, then the other.
    pub(crate) fn ends(&mut self, role: Role) -> (&mut Endpoint, &mut Endpoint) {
        match role {
            Role::Client => (&mut self.client, &mut self.server),
            Role::Server => (&mut self.server, &mut self.client),
        }
    }

    pub(crate) fn end(&mut self, role: Role) -> &mut Endpoint {
        self.ends(role).0
    }

    /// Moves what `role` wrote to its peer, in chunks.
    pub(crate) fn deliver_from(&mut self, role: Role) {
        let chunk_len = self.chunk_len;
        let (from, to) = self.ends(role);
        from.write();
        let bytes = from.written[from.read_by_peer..].to_vec();
        from.read_by_peer = from.written.len();
        to.receive_in_chunks(&bytes, chunk_len);
    }

    /// Moves bytes both ways until there are none.
    pub(crate) fn settle(&mut self) {
        loop {
            self.deliver_from(Role::Client);
            self.deliver_from(Role::Server);
            if self.client.read_by_peer == self.client.written.len()
                && self.server.read_by_peer == self.server.written.len()
            {
                return;
            }
        }
    }
}

/// Runs a scenario at every chunk length, draining or not.
pub(crate) fn scenario(run: impl Fn(&mut Pair)) {
    scenario_with(&Config::default(), run);
}

/// [`scenario`] with a configuration of both ends.
pub(crate) fn scenario_with(config: &Config, run: impl Fn(&mut Pair)) {
    for chunk_len in CHUNK_LENS {
        for drain in DRAINS {
            run(&mut Pair::with_config(config, chunk_len, drain));
        }
    }
}
