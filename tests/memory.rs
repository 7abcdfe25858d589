//! Memory follows the bytes received, and is given back.
//!
//! An allocator that counts what each thread holds stands under these tests, so that every
//! scenario on its own thread has numbers of its own. They measure the core alone: a peer that
//! claims much, fragments much, pings much or drips must not be able to make it hold or move more
//! than a small multiple of what it sent.

#[path = "support/allocator.rs"]
mod allocator;

use std::sync::Arc;

use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv, mask};
use framewright::handshake::{ClientHandshake, ClientRequest, ServerHandshake};
use framewright::{
    Config, Connection, Delivery, Event, HandshakeError, MaskSource, Message, MessageKind,
    ProtocolError, RecvBuffer, Role, SendBuffer,
};

use allocator::{Usage, measure};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What a connection may hold for its reads, whatever it receives: a window and the first room of
/// a long message.
const READING: usize = 256 * KIB;

// -- What is claimed ------------------------------------------------------------------------------

#[test]
fn a_header_that_claims_an_exabyte_costs_nothing() {
    for (delivery, longest) in [
        // A message that is kept must fit in memory: on 32 bits it is two gigabytes.
        (Delivery::Messages, isize::MAX.unsigned_abs() as u64),
        (Delivery::Chunks, i64::MAX.unsigned_abs()),
    ] {
        for payload_len in [longest / 2, longest] {
            let mut rig = Rig::new(unlimited(delivery));
            let usage = measure(|| {
                rig.input.extend(&header(Opcode::Binary, true, payload_len));
                assert_eq!(rig.advance(), Ok(false));
                assert!(rig.input.spare_mut().len() <= READING);
                for byte in 0..100 {
                    rig.input.extend(&[byte]);
                    let found = rig.advance().unwrap();
                    assert_eq!(found, delivery == Delivery::Chunks);
                }
            });
            assert!(
                usage.peak <= READING,
                "{delivery:?}, {payload_len}: {usage:?}"
            );
        }
    }
}

#[test]
fn lengths_that_add_up_beyond_memory_are_refused_without_asking_for_it() {
    let mut rig = Rig::new(unlimited(Delivery::Messages));
    let usage = measure(|| {
        rig.input.extend(&frame(Opcode::Binary, false, b"begun"));
        assert_eq!(rig.advance(), Ok(false));
        rig.input
            .extend(&header(Opcode::Continuation, true, i64::MAX.unsigned_abs()));
        assert_eq!(rig.advance(), Err(ProtocolError::MessageTooLong));
    });
    assert!(usage.peak <= READING, "{usage:?}");
}

#[test]
fn memory_follows_the_bytes_received() {
    for (received, most) in [
        (64 * KIB, 512 * KIB),
        (MIB, 4 * MIB),
        (3 * MIB, 6 * MIB),
        (32 * MIB, 72 * MIB),
        (33 * MIB, 72 * MIB),
    ] {
        // The kernel fills what room there is, or little of it.
        for read_len in [64 * KIB, 1000] {
            let mut rig = Rig::new(unlimited(Delivery::Messages));
            let usage = measure(|| {
                rig.input.extend(&header(Opcode::Binary, true, 1 << 30));
                let mut left = received;
                while left > 0 {
                    let room = rig.input.spare_mut();
                    let len = room.len().min(read_len).min(left);
                    room[..len].fill(7);
                    rig.input.commit(len);
                    left -= len;
                    assert_eq!(rig.advance(), Ok(false));
                }
            });
            assert!(
                usage.peak <= most,
                "{received} bytes in reads of {read_len}: {usage:?}"
            );
            assert!(
                usage.moved <= 4 * received,
                "{received} bytes in reads of {read_len}: {usage:?}"
            );
        }
    }
}

#[test]
fn a_text_of_a_gigabyte_fails_at_its_first_byte() {
    let mut rig = Rig::new(unlimited(Delivery::Messages));
    let usage = measure(|| {
        rig.input.extend(&header(Opcode::Text, true, 1 << 30));
        assert_eq!(rig.advance(), Ok(false));
        rig.input.extend(&masked(b"\xff"));
        assert_eq!(rig.advance(), Err(ProtocolError::TextNotUtf8));
    });
    assert!(usage.peak <= READING, "{usage:?}");
    let close = rig.output.to_vec();
    assert_eq!(close[2..4], 1007_u16.to_be_bytes());
}

// -- What is repeated -----------------------------------------------------------------------------

#[test]
fn ten_million_empty_fragments_leave_memory_flat() {
    const BATCH: usize = 10_000;
    let mut rig = Rig::new(unlimited(Delivery::Messages));
    let batch = frame(Opcode::Continuation, false, b"").repeat(BATCH);
    rig.input.extend(&frame(Opcode::Text, false, b""));
    rig.input.extend(&batch);
    assert_eq!(rig.advance(), Ok(false));
    let usage = measure(|| {
        for _ in 1..10_000_000 / BATCH {
            rig.input.extend(&batch);
            assert_eq!(rig.advance(), Ok(false));
        }
    });
    assert_eq!(usage, Usage::default(), "the window is there already");
    rig.input.extend(&frame(Opcode::Continuation, true, b"x"));
    assert_eq!(
        rig.connection.receive(&mut rig.input, &mut rig.output),
        Ok(Some(Event::Text("x")))
    );
}

#[test]
fn the_131_073rd_frame_of_a_message_is_one_too_many() {
    let mut rig = Rig::new(Config::default());
    let empty = frame(Opcode::Continuation, false, b"");
    rig.input.extend(&frame(Opcode::Binary, false, b""));
    rig.input.extend(&empty.repeat(131_071));
    assert_eq!(rig.advance(), Ok(false));
    rig.input.extend(&empty);
    assert_eq!(rig.advance(), Err(ProtocolError::TooManyFragments));
    let close = rig.output.to_vec();
    assert_eq!(close[2..4], 1008_u16.to_be_bytes());
}

#[test]
fn many_short_fragments_cost_linear_work() {
    const FRAGMENTS: usize = 65_536;
    let mut rig = Rig::new(Config::default());
    let usage = measure(|| {
        for index in 0..FRAGMENTS {
            let opcode = match index {
                0 => Opcode::Text,
                _ => Opcode::Continuation,
            };
            let mut bytes = [0; 7];
            let len = write_frame(opcode, index == FRAGMENTS - 1, b"a", &mut bytes);
            rig.input.extend(&bytes[..len]);
            assert_eq!(rig.advance(), Ok(index == FRAGMENTS - 1));
        }
        assert!(
            matches!(rig.input.event(), Some(Event::Text(text)) if text.len() == FRAGMENTS),
            "all of them are one message"
        );
    });
    assert!(usage.peak <= 512 * KIB, "{usage:?}");
    assert!(usage.calls <= 50, "{usage:?}");
    assert!(usage.moved <= 4 * FRAGMENTS, "{usage:?}");
}

#[test]
fn many_long_fragments_cost_linear_work() {
    const FRAGMENTS: usize = 512;
    const LEN: usize = 12 * KIB;
    let mut rig = Rig::new(Config::default());
    let usage = measure(|| {
        for index in 0..FRAGMENTS {
            let opcode = match index {
                0 => Opcode::Binary,
                _ => Opcode::Continuation,
            };
            let is_last = index == FRAGMENTS - 1;
            rig.input.extend(&frame(opcode, is_last, &[0; LEN]));
            assert_eq!(rig.advance(), Ok(is_last));
        }
    });
    let len = FRAGMENTS * LEN;
    assert_eq!(
        rig.input.take_message().map(|it| it.payload().len()),
        Some(len)
    );
    assert!(usage.moved <= 4 * len, "{usage:?}");
}

#[test]
fn a_million_pings_from_a_peer_that_never_reads_leave_one_pong() {
    const BATCH: usize = 400;
    let payload = [b'p'; 125];
    let mut rig = Rig::new(Config::default());
    let batch = frame(Opcode::Ping, true, &payload).repeat(BATCH);
    // Replies of our own wait as well, and one of them has begun to leave.
    rig.connection
        .send_text("not read either", &mut rig.output)
        .unwrap();
    rig.output.consume(3);
    let before = rig.output.len();
    rig.input.extend(&batch);
    while rig.advance() == Ok(true) {}
    let usage = measure(|| {
        for _ in 1..1_000_000 / BATCH {
            rig.input.extend(&batch);
            let mut pings = 0;
            while rig.advance() == Ok(true) {
                pings += 1;
            }
            assert_eq!(pings, BATCH);
            assert_eq!(rig.output.len(), before + 2 + payload.len());
        }
    });
    assert_eq!((usage.held, usage.peak), (0, 0), "{usage:?}");
}

#[test]
fn a_peer_that_reads_all_but_a_byte_leaves_the_output_flat() {
    let mut rig = Rig::new(Config::default());
    let message = vec![7; 200 * KIB];
    let usage = measure(|| {
        for _ in 0..100 {
            rig.connection
                .send_binary(&message, &mut rig.output)
                .unwrap();
            rig.output.consume(rig.output.len() - 1);
        }
    });
    assert!(usage.peak <= MIB, "{usage:?}");
}

#[test]
fn an_echo_of_short_messages_allocates_nothing() {
    let mut rig = Rig::new(Config::default());
    let mut batch = Vec::new();
    for len in 0..200 {
        batch.extend(frame(Opcode::Text, true, &vec![b'a'; len]));
        batch.extend(frame(Opcode::Binary, true, &vec![0; len]));
        batch.extend(frame(Opcode::Ping, true, &vec![0; len.min(125)]));
    }
    let echoed = rig.echo(&batch);
    let usage = measure(|| {
        for _ in 0..100 {
            assert_eq!(rig.echo(&batch), echoed);
        }
    });
    assert_eq!(usage, Usage::default());
}

#[test]
fn messages_in_fragments_are_gathered_in_memory_that_stays() {
    for len in [1000, 60 * KIB] {
        let mut rig = Rig::new(Config::default());
        let part = vec![7; len / 2];
        let bytes = [
            frame(Opcode::Binary, false, &part),
            frame(Opcode::Continuation, true, &part),
        ]
        .concat();
        rig.echo(&bytes);
        rig.echo(&bytes);
        let usage = measure(|| {
            for _ in 0..10 {
                rig.echo(&bytes);
            }
        });
        assert_eq!(usage, Usage::default(), "{len} bytes");
    }
}

// -- What drips -----------------------------------------------------------------------------------

#[test]
fn reads_of_one_byte_do_not_allocate_one_by_one() {
    let mut rig = Rig::new(Config::default());
    let message = frame(Opcode::Binary, true, &vec![7; MIB]);
    let usage = measure(|| {
        for (index, byte) in message.iter().enumerate() {
            rig.input.spare_mut()[0] = *byte;
            rig.input.commit(1);
            assert_eq!(rig.advance(), Ok(index + 1 == message.len()));
        }
    });
    assert!(matches!(rig.input.event(), Some(Event::Binary(data)) if data.len() == MIB));
    assert!(usage.peak <= 4 * MIB, "{usage:?}");
    assert!(usage.moved <= 4 * MIB, "{usage:?}");
    assert!(usage.calls <= 100, "{usage:?}");
}

#[test]
fn chunks_of_one_byte_cost_no_memory_however_long_the_message() {
    let mut rig = Rig::new(unlimited(Delivery::Chunks));
    rig.input.extend(&header(Opcode::Text, true, 1 << 40));
    rig.input.extend(&masked(b"a"));
    assert_eq!(rig.advance(), Ok(true));
    let usage = measure(|| {
        for offset in 1..MIB {
            rig.input.spare_mut()[0] = b'a' ^ KEY[offset % 4];
            rig.input.commit(1);
            assert_eq!(rig.advance(), Ok(true));
        }
    });
    assert_eq!((usage.held, usage.peak), (0, 0), "{usage:?}");
}

// -- What is given back ---------------------------------------------------------------------------

#[test]
fn a_message_of_16_mib_leaves_nothing_behind() {
    let mut rig = Rig::new(Config::default());
    let message = frame(Opcode::Binary, true, &vec![7; 16 * MIB]);
    let mut written = 0;
    let usage = measure(|| {
        for piece in message.chunks(64 * KIB) {
            rig.input.extend(piece);
            if rig.advance().unwrap() {
                let Some(Event::Binary(data)) = rig.input.event() else {
                    panic!("a binary message");
                };
                rig.connection.send_binary(data, &mut rig.output).unwrap();
            }
        }
        assert_eq!(rig.advance(), Ok(false));
        while !rig.output.is_empty() {
            let len = rig.output.len().min(64 * KIB);
            rig.output.consume(len);
            written += len;
        }
        drop(rig.input.park());
    });
    assert_eq!(written, 16 * MIB + 10);
    assert!(usage.peak <= 40 * MIB, "{usage:?}");
    assert_eq!(usage.held, 0, "{usage:?}");
}

#[test]
fn a_message_that_was_taken_leaves_with_its_memory() {
    for len in [20, 100 * KIB, 16 * MIB] {
        let mut rig = Rig::new(Config::default());
        let bytes = frame(Opcode::Binary, true, &vec![7; len]);
        let mut message = None;
        let usage = measure(|| {
            for piece in bytes.chunks(64 * KIB) {
                rig.input.extend(piece);
                while rig.advance().unwrap() {
                    message = rig.input.take_message();
                }
            }
            drop(rig.input.park());
        });
        let message = message.unwrap();
        assert!(matches!(&message, Message::Binary(data) if data.len() == len));
        // 20 bytes must not pin a window, and a long message not the room that it did not fill.
        let held = usize::try_from(usage.held).unwrap();
        assert!(held <= 2 * len + 100, "{len} bytes: {usage:?}");
        let usage = measure(|| drop(message));
        assert_eq!(usage.held.unsigned_abs(), held);
    }
}

#[test]
fn a_message_of_fragments_leaves_without_the_room_it_did_not_fill() {
    const FRAGMENT: usize = 10 * KIB;
    const COUNT: usize = 18;
    let mut rig = Rig::new(Config::default());
    let mut message = None;
    let usage = measure(|| {
        for number in 1..=COUNT {
            let opcode = match number {
                1 => Opcode::Binary,
                _ => Opcode::Continuation,
            };
            let fragment = frame(opcode, number == COUNT, &[7; FRAGMENT]);
            rig.input.extend(&fragment);
            assert_eq!(rig.advance(), Ok(number == COUNT));
        }
        message = rig.input.take_message();
        drop(rig.input.park());
    });
    assert!(matches!(message, Some(Message::Binary(data)) if data.len() == COUNT * FRAGMENT));
    let held = usize::try_from(usage.held).unwrap();
    assert!(held <= 2 * COUNT * FRAGMENT, "{usage:?}");
}

#[test]
fn a_message_does_not_leave_with_the_room_of_a_longer_one_before_it() {
    const LEN: usize = 6 * KIB;
    let fragments = |len| {
        let part = vec![7; len / 2];
        let first = frame(Opcode::Binary, false, &part);
        [first, frame(Opcode::Continuation, true, &part)].concat()
    };
    let (longer, bytes) = (fragments(60 * KIB), fragments(LEN));
    let mut rig = Rig::new(Config::default());
    let mut message = None;
    let usage = measure(|| {
        rig.echo(&longer);
        rig.input.extend(&bytes);
        assert_eq!(rig.advance(), Ok(true));
        message = rig.input.take_message();
        drop(rig.input.park());
        rig.output = SendBuffer::new();
    });
    assert!(matches!(message, Some(Message::Binary(data)) if data.len() == LEN));
    let held = usize::try_from(usage.held).unwrap();
    assert!(held <= 2 * LEN, "{usage:?}");
}

#[test]
fn an_idle_connection_owns_no_memory() {
    let config = Arc::new(Config::default());
    let usage = measure(|| {
        let connection = Connection::new(Role::Server, config);
        let parts = (connection, RecvBuffer::new(), SendBuffer::new());
        std::mem::forget(parts);
    });
    assert_eq!(usage, Usage::default(), "a new one");

    let mut rig = Rig::new(Config::default());
    let usage = measure(|| {
        rig.connection
            .send_message(Message::binary(vec![7; 20 * KIB]), &mut rig.output)
            .unwrap();
        rig.echo(&frame(Opcode::Text, true, b"short"));
        rig.echo(&frame(Opcode::Ping, true, b"ping"));
        rig.echo(&frame(Opcode::Binary, true, &vec![7; 10 * KIB]));
        rig.echo(&frame(Opcode::Binary, true, &vec![7; 300 * KIB]));
        rig.echo(&frame(Opcode::Binary, false, &vec![7; KIB]));
        rig.echo(&frame(Opcode::Continuation, true, &vec![7; KIB]));
        drop((rig.input.park(), rig.output.park()));
    });
    assert_eq!(usage.held, 0, "after some traffic: {usage:?}");
}

#[test]
fn a_parked_connection_owns_the_bytes_that_wait_and_no_more() {
    let mut rig = Rig::new(Config::default());
    let text = frame(Opcode::Text, true, b"in two pieces");
    let usage = measure(|| {
        rig.input.extend(&text[..9]);
        assert_eq!(rig.advance(), Ok(false));
        drop(rig.input.park());
    });
    assert!((0..=9).contains(&usage.held), "{usage:?}");
    rig.input.extend(&text[9..]);
    assert_eq!(
        rig.connection.receive(&mut rig.input, &mut rig.output),
        Ok(Some(Event::Text("in two pieces")))
    );
}

#[test]
fn a_connection_that_failed_gives_back_what_it_had_gathered() {
    let mut rig = Rig::new(unlimited(Delivery::Messages));
    let usage = measure(|| {
        rig.input.extend(&header(Opcode::Text, false, 8 << 20));
        rig.input.extend(&masked(&vec![b'a'; 8 * MIB]));
        assert_eq!(rig.advance(), Ok(false));
        // 5.4: the message is unfinished.
        rig.input.extend(&frame(Opcode::Text, true, b"another"));
        assert_eq!(rig.advance(), Err(ProtocolError::MessageInterrupted));
        // What still comes is counted, and not kept.
        for _ in 0..100 {
            rig.input.extend(&[0; KIB]);
            assert_eq!(rig.advance(), Err(ProtocolError::MessageInterrupted));
        }
        drop(rig.input.park());
    });
    assert!(usage.held <= 1024, "{usage:?}");
}

#[test]
fn a_client_that_streams_fragments_to_a_peer_that_reads_holds_one_fragment() {
    let connection = Connection::new(Role::Client, Config::default().into());
    let mut connection = connection.with_masks(Box::new(Key));
    let mut output = SendBuffer::new();
    let fragment = vec![7; 200 * KIB];
    let usage = measure(|| {
        for _ in 0..500 {
            connection
                .send_fragment(MessageKind::Binary, &fragment, false, &mut output)
                .unwrap();
            output.consume(output.len());
        }
    });
    assert!(usage.peak <= 2 * fragment.len(), "{usage:?}");
    assert_eq!(usage.held, 0, "{usage:?}");
}

// -- The opening handshake ------------------------------------------------------------------------

#[test]
fn a_head_that_never_ends_is_kept_only_up_to_its_limit() {
    let config = Arc::new(Config::default());
    let usage = measure(|| {
        let mut handshake = ServerHandshake::new(Arc::clone(&config));
        let mut input = RecvBuffer::from(&b"GET / HTTP/1.1\r\nX: "[..]);
        let error = loop {
            match handshake.receive(&mut input) {
                Ok(None) => input.extend(b"drip"),
                Ok(Some(_)) => panic!("the head does not end"),
                Err(error) => break error,
            }
        };
        assert_eq!(error, HandshakeError::HeadTooLong);
    });
    assert!(usage.peak <= 64 * KIB, "{usage:?}");
    assert!(usage.calls <= 50, "{usage:?}");
    assert_eq!(usage.held, 0);
}

#[test]
fn the_body_of_a_refusal_is_kept_only_up_to_its_limit() {
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let mut output = SendBuffer::new();
    let config = Arc::new(Config::default());
    let mut handshake = ClientHandshake::start(&request, config, [7; 16], &mut output);
    let usage = measure(|| {
        let mut input = RecvBuffer::from(&b"HTTP/1.1 500 No\r\n\r\n"[..]);
        let error = loop {
            match handshake.receive(&mut input) {
                Ok(None) => input.extend(&[b'x'; 1000]),
                Ok(Some(_)) => panic!("500 opens nothing"),
                Err(error) => break error,
            }
        };
        let HandshakeError::Refused(refused) = error else {
            panic!("{error:?}");
        };
        assert_eq!(refused.body.len(), 4 * KIB);
        assert!(refused.body_truncated);
    });
    assert!(usage.peak <= 64 * KIB, "{usage:?}");
}

// -- Rig: a server and its buffers ----------------------------------------------------------------

struct Rig {
    connection: Connection,
    input: RecvBuffer,
    output: SendBuffer,
}

impl Rig {
    fn new(config: Config) -> Self {
        Self {
            connection: Connection::new(Role::Server, config.into()),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
        }
    }

    fn advance(&mut self) -> Result<bool, ProtocolError> {
        self.connection.advance(&mut self.input, &mut self.output)
    }

    /// Receives `bytes`, replies to the messages in them, and writes; returns how much that was.
    fn echo(&mut self, bytes: &[u8]) -> usize {
        self.input.extend(bytes);
        while self.advance().unwrap() {
            match self.input.event() {
                Some(Event::Text(text)) => self.connection.send_text(text, &mut self.output),
                Some(Event::Binary(data)) => self.connection.send_binary(data, &mut self.output),
                _ => Ok(()),
            }
            .unwrap();
        }
        let len = self.output.len();
        self.output.consume(len);
        len
    }
}

fn unlimited(delivery: Delivery) -> Config {
    let mut config = Config::default();
    config.max_frame_len = Config::UNLIMITED;
    config.max_message_len = Config::UNLIMITED;
    config.max_fragments = Config::UNLIMITED;
    config.delivery = delivery;
    config
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masking key that needs no generator, which would allocate.
#[derive(Debug)]
struct Key;

impl MaskSource for Key {
    fn next_key(&mut self) -> MaskingKey {
        MaskingKey::new(KEY)
    }
}

/// The header of a frame of a client.
fn header(opcode: Opcode, fin: bool, payload_len: u64) -> Vec<u8> {
    let header = FrameHeader {
        fin,
        rsv: Rsv::NONE,
        opcode,
        mask: Some(MaskingKey::new(KEY)),
        payload_len,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes
}

fn masked(payload: &[u8]) -> Vec<u8> {
    let mut payload = payload.to_vec();
    mask(&mut payload, MaskingKey::new(KEY), 0);
    payload
}

/// A frame of a client.
fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(opcode, fin, payload.len() as u64);
    bytes.extend(masked(payload));
    bytes
}

/// Writes a short frame of a client without allocating, and returns its length.
fn write_frame(opcode: Opcode, fin: bool, payload: &[u8], bytes: &mut [u8]) -> usize {
    bytes[0] = (u8::from(fin) << 7) | opcode.bits();
    bytes[1] = 0x80 | u8::try_from(payload.len()).unwrap();
    bytes[2..6].copy_from_slice(&KEY);
    let len = 6 + payload.len();
    bytes[6..len].copy_from_slice(payload);
    mask(&mut bytes[6..len], MaskingKey::new(KEY), 0);
    len
}

#[test]
fn the_rig_writes_frames_that_are_read_as_meant() {
    let mut bytes = [0; 20];
    let len = write_frame(Opcode::Continuation, true, b"hello", &mut bytes);
    assert_eq!(bytes[..len], frame(Opcode::Continuation, true, b"hello"));
}
