//! Memory of permessage-deflate follows what is inflated, and none is held before it is needed.
//!
//! An allocator that counts what each thread holds stands under these tests. What a context takes
//! is flate2's to say; [`print_memory_per_setting`] prints it for the documentation.

#![cfg(feature = "deflate")]

#[path = "support/allocator.rs"]
mod allocator;

use std::sync::Arc;

use flate2::{Compress, FlushCompress};
use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv};
use framewright::handshake::{Acceptance, DeflateConfig, Request, ServerHandshake};
use framewright::{
    Compression, Config, Connection, Delivery, Event, MaskSource, Message, ProtocolError,
    RecvBuffer, SendBuffer,
};

use allocator::measure;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What a connection holds to read and inflate, beyond the message: windows, and the room of a
/// step.
const INFLATING: usize = 200 * KIB;

// ---- Bombs ----

#[test]
fn a_gigabyte_of_zeros_stops_at_a_limit_of_a_megabyte() {
    // DEFLATE shrinks a thousand times at best, so that this is a megabyte on the wire.
    let bomb = zeros(1 << 30);
    assert!(bomb.len() < 2 * MIB);
    for setting in [TAKEOVER, NO_TAKEOVER] {
        for read_len in [64 * KIB, 4 * KIB, 100] {
            let mut rig = Rig::new(setting, limited(MIB, Delivery::Messages));
            let mut error = Ok(false);
            let usage = measure(|| {
                rig.read(&header(Opcode::Binary, true, bomb.len()));
                assert_eq!(rig.advance(), Ok(false));
                for bytes in bomb.chunks(read_len) {
                    rig.read(bytes);
                    error = rig.advance();
                    if error.is_err() {
                        break;
                    }
                }
            });
            assert_eq!(error, Err(ProtocolError::MessageTooLong));
            assert!(
                usage.peak <= MIB + INFLATING,
                "{setting}, reads of {read_len}: {usage:?}"
            );
        }
    }
}

#[test]
fn a_bomb_in_fragments_stops_as_well() {
    let bomb = zeros(1 << 26);
    let mut rig = Rig::new(TAKEOVER, limited(MIB, Delivery::Messages));
    let mut error = Ok(false);
    let usage = measure(|| {
        for (index, bytes) in bomb.chunks(50).enumerate() {
            let opcode = match index {
                0 => Opcode::Text,
                _ => Opcode::Continuation,
            };
            rig.read(&header(opcode, false, bytes.len()));
            rig.read(bytes);
            error = rig.advance();
            if error.is_err() {
                break;
            }
        }
    });
    assert_eq!(error, Err(ProtocolError::MessageTooLong));
    assert!(usage.peak <= MIB + INFLATING, "{usage:?}");
}

#[test]
fn a_gigabyte_in_chunks_is_never_held() {
    let bomb = zeros(1 << 28);
    let mut rig = Rig::new(TAKEOVER, limited(1 << 28, Delivery::Chunks));
    let mut inflated = 0;
    let usage = measure(|| {
        rig.read(&header(Opcode::Binary, true, bomb.len()));
        for bytes in bomb.chunks(64 * KIB) {
            rig.read(bytes);
            while rig.advance().unwrap() {
                let Some(Event::Chunk(chunk)) = rig.input.event() else {
                    panic!("a chunk");
                };
                inflated += chunk.payload.len();
            }
        }
    });
    assert_eq!(inflated, 1 << 28);
    assert!(usage.peak <= 2 * INFLATING, "{usage:?}");
}

#[test]
fn a_message_takes_little_more_than_its_length_to_inflate() {
    for len in [100 * KIB, MIB, 8 * MIB] {
        let payload = zeros(len);
        let mut rig = Rig::new(NO_TAKEOVER, limited(16 * MIB, Delivery::Messages));
        let usage = measure(|| {
            rig.read(&header(Opcode::Binary, true, payload.len()));
            rig.read(&payload);
            assert_eq!(rig.advance(), Ok(true));
        });
        // A buffer that doubles is twice as long as what is in it at worst.
        assert!(usage.peak <= 2 * len + INFLATING, "{len}: {usage:?}");
        assert!(usage.moved <= 2 * len, "{len}: {usage:?}");
    }
}

#[test]
fn streams_that_end_inside_a_message_allocate_nothing() {
    // 7.2.3.4 allows them. An empty one takes two bytes, and a peer may send millions: to begin the
    // next must not cost a copy of the window in an allocation of its own.
    const STREAMS: usize = 100;
    let payload = b"\x03\x00".repeat(STREAMS);
    let mut rig = Rig::new(TAKEOVER, Config::default());
    // The window is full, and has been carried over once.
    let first = [&zeros(64 * KIB)[..], b"\x00\x00\xff\xff\x03\x00"].concat();
    rig.read(&header(Opcode::Binary, true, first.len()));
    rig.read(&first);
    assert_eq!(rig.advance(), Ok(true));
    let usage = measure(|| {
        rig.read(&header(Opcode::Binary, true, payload.len()));
        rig.read(&payload);
        assert_eq!(rig.advance(), Ok(true));
    });
    assert_eq!(rig.input.event(), Some(Event::Binary(b"")));
    assert!(usage.calls <= 20, "{usage:?}");

    // Nor may there be any number of them.
    let payload = b"\x03\x00".repeat(129);
    rig.read(&header(Opcode::Binary, true, payload.len()));
    rig.read(&payload);
    assert_eq!(rig.advance(), Err(ProtocolError::CompressedDataInvalid));
}

// ---- Connections that wait ----

#[test]
fn nothing_is_held_before_the_first_compressed_message() {
    for setting in [TAKEOVER, NO_TAKEOVER] {
        let mut rig = None;
        let opened = measure(|| rig = Some(Rig::new(setting, Config::default())));
        let mut rig = rig.unwrap();
        // The connection's own configuration, and the box of the extension.
        assert!(opened.held < 2 * KIB as isize, "{opened:?}");
        let usage = measure(|| {
            // Neither direction, for messages without compression and control frames.
            for _ in 0..10 {
                rig.read(&frame(Opcode::Text, Rsv::NONE, &[b'a'; 1000]));
                assert_eq!(rig.advance(), Ok(true));
                rig.read(&frame(Opcode::Ping, Rsv::NONE, b"p"));
                assert_eq!(rig.advance(), Ok(true));
                rig.send(&[b'a'; 1000], Compression::Never);
                rig.send(b"short", Compression::Auto);
            }
            rig.release();
        });
        assert_eq!(usage.held, 0, "{usage:?}");
    }
}

#[test]
fn each_direction_takes_memory_of_its_own() {
    let mut rig = Rig::new(TAKEOVER, Config::default());
    let payload = zeros(10);
    let received = measure(|| {
        rig.read(&frame(Opcode::Binary, Rsv::RSV1, &payload));
        assert_eq!(rig.advance(), Ok(true));
        rig.release();
    });
    let sent = measure(|| {
        rig.send(&[7; 1000], Compression::Always);
        rig.release();
    });
    let again = measure(|| {
        for _ in 0..10 {
            rig.read(&frame(Opcode::Binary, Rsv::RSV1, b"\x00"));
            assert_eq!(rig.advance(), Ok(true));
            rig.send(&[7; 1000], Compression::Always);
        }
        rig.release();
    });
    assert!(received.held > 0 && sent.held > 0);
    assert!(received.held < 128 * KIB as isize, "{received:?}");
    assert!(sent.held < 512 * KIB as isize, "{sent:?}");
    assert_eq!(again.held, 0, "{again:?}");
}

#[test]
fn without_takeover_nothing_is_held_between_messages() {
    let mut rig = Rig::new(NO_TAKEOVER, Config::default());
    let payload = zeros(100_000);
    let mut round = || {
        rig.read(&frame(Opcode::Binary, Rsv::RSV1, &payload));
        assert_eq!(rig.advance(), Ok(true));
        rig.send(&[7; 1000], Compression::Always);
        rig.release();
    };
    // The contexts are in the pool of the thread afterwards, and not made again.
    round();
    let usage = measure(|| {
        for _ in 0..10 {
            round();
        }
    });
    assert_eq!(usage.held, 0, "{usage:?}");
    // Nor does another connection make its own, of which either takes more than all of this.
    let mut other = Rig::new(NO_TAKEOVER, Config::default());
    let short = frame(Opcode::Binary, Rsv::RSV1, &zeros(10));
    let usage = measure(|| {
        other.read(&short);
        assert_eq!(other.advance(), Ok(true));
        other.send(&[7; 1000], Compression::Always);
        other.release();
    });
    assert_eq!(usage.held, 0, "{usage:?}");
    assert!(usage.peak < 24 * KIB, "{usage:?}");
}

#[test]
fn room_beyond_64_kib_does_not_outlast_its_message() {
    let mut rig = Rig::new(NO_TAKEOVER, Config::default());
    // The first fragment leaves so little room that more is made, of which the second needs little.
    let mut peer = Compress::new(flate2::Compression::new(9), false);
    let fragment = deflate(&mut peer, &vec![0; 62 * KIB]);
    let bytes = [
        header_with(Opcode::Binary, false, Rsv::RSV1, fragment.len()),
        fragment,
        frame(
            Opcode::Continuation,
            Rsv::NONE,
            &deflate_message(&mut peer, b"end"),
        ),
    ]
    .concat();
    let mut round = || {
        rig.read(&bytes);
        assert_eq!(rig.advance(), Ok(true));
        assert_eq!(rig.advance(), Ok(false));
    };
    let usage = measure(&mut round);
    assert!(usage.peak > 96 * KIB, "{usage:?}");
    // Another holds no more, because what the first had is gone, or is used again.
    let usage = measure(round);
    assert!(usage.held <= 0, "{usage:?}");
    let usage = measure(|| drop(rig.input.park()));
    assert!(usage.held > -72 * KIB as isize, "{usage:?}");
}

#[test]
fn an_end_of_a_connection_gives_its_memory_back() {
    let mut rig = Rig::new(TAKEOVER, Config::default());
    let usage = measure(|| {
        let mut rig = Rig::new(TAKEOVER, Config::default());
        rig.read(&frame(Opcode::Binary, Rsv::RSV1, &zeros(100_000)));
        assert_eq!(rig.advance(), Ok(true));
        rig.send(&[7; 1000], Compression::Always);
    });
    assert_eq!(usage.held, 0, "{usage:?}");
    assert_eq!(rig.advance(), Ok(false));
}

#[test]
#[ignore = "prints numbers for the documentation"]
fn print_memory_per_setting() {
    println!("bytes held between messages, after 100 KiB each way; and at most while under way");
    println!("takeover  bits  level  receiving  (peak)  sending  (peak)");
    for (name, flags) in [
        ("yes", ""),
        (
            "no",
            "; server_no_context_takeover; client_no_context_takeover",
        ),
    ] {
        for bits in [9, 12, 15] {
            for level in [1, 6, 9] {
                let mut deflate = DeflateConfig::default();
                deflate.level = level;
                deflate.client_max_window_bits = bits;
                let offer = format!(
                    "permessage-deflate{flags}; server_max_window_bits={bits}; \
                     client_max_window_bits"
                );
                // A thread of its own, whose pool is empty.
                let print = std::thread::spawn(move || {
                    let config = limited(MIB, Delivery::Messages);
                    let mut rig = Rig::with_deflate(deflate, &offer, config);
                    let mut peer = Compress::new(flate2::Compression::new(6), false);
                    let message: Vec<u8> = (0..100 * KIB as u64)
                        .map(|index| index.wrapping_mul(0x9e37_79b1).to_be_bytes()[5])
                        .collect();
                    let payload = deflate_message(&mut peer, &message);
                    let received = measure(|| {
                        rig.read(&frame(Opcode::Binary, Rsv::RSV1, &payload));
                        assert_eq!(rig.advance(), Ok(true));
                        rig.release();
                    });
                    let sent = measure(|| {
                        rig.send(&message, Compression::Always);
                        rig.release();
                    });
                    (received, sent)
                });
                let (received, sent) = print.join().unwrap();
                println!(
                    "{name:8}  {bits:4}  {level:5}  {:9}  {:7}  {:7}  {:7}",
                    received.held, received.peak, sent.held, sent.peak
                );
            }
        }
    }
    println!("(without takeover what is held is the pool's, of the thread, not the connection's)");
    println!("the connection itself: {}", {
        let mut rig = None;
        let opened = measure(|| rig = Some(Rig::new(TAKEOVER, Config::default())));
        let plain = measure(|| {
            drop(rig.take());
        });
        format!(
            "{} on the heap with its configuration, {plain:?}",
            opened.held
        )
    });
}

// ---- Rig: a server and its buffers ----

const TAKEOVER: &str = "permessage-deflate";
const NO_TAKEOVER: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

struct Rig {
    connection: Connection,
    input: RecvBuffer,
    output: SendBuffer,
}

impl Rig {
    fn new(offer: &str, config: Config) -> Self {
        Self::with_deflate(DeflateConfig::default(), offer, config)
    }

    /// A server that was offered `offer`.
    fn with_deflate(deflate: DeflateConfig, offer: &str, config: Config) -> Self {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: {offer}\r\n\r\n"
        );
        let config = Arc::new(config);
        let mut handshake = ServerHandshake::new(Arc::clone(&config));
        let received = handshake.receive(&mut RecvBuffer::from(request.as_bytes()));
        let Ok(Some(Request::Upgrade(upgrade))) = received else {
            panic!("{received:?}");
        };
        let connection = upgrade
            .accept(
                Acceptance::new().deflate(deflate),
                config,
                &mut SendBuffer::new(),
            )
            .unwrap();
        assert!(connection.is_compressing());
        Self {
            connection: connection.with_masks(Box::new(Key)),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
        }
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.input.spare_mut();
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            self.input.commit(len);
            bytes = &bytes[len..];
        }
    }

    fn advance(&mut self) -> Result<bool, ProtocolError> {
        self.connection.advance(&mut self.input, &mut self.output)
    }

    fn send(&mut self, message: &[u8], compression: Compression) {
        self.connection
            .send_message_with(
                Message::binary(message.to_vec()),
                compression,
                &mut self.output,
            )
            .unwrap();
    }

    /// Gives back what the buffers hold, so that only the connection's own is left.
    fn release(&mut self) {
        self.input.park();
        self.output = SendBuffer::new();
    }
}

fn limited(max_message_len: usize, delivery: Delivery) -> Config {
    let mut config = Config::default();
    config.max_message_len = max_message_len as u64;
    config.delivery = delivery;
    config
}

/// A masking key that changes nothing.
#[derive(Debug)]
struct Key;

impl MaskSource for Key {
    fn next_key(&mut self) -> MaskingKey {
        MaskingKey::new([0; 4])
    }
}

/// The header of a frame of a client; compressed, where it begins a message.
fn header(opcode: Opcode, fin: bool, payload_len: usize) -> Vec<u8> {
    let rsv = match opcode {
        Opcode::Text | Opcode::Binary => Rsv::RSV1,
        _ => Rsv::NONE,
    };
    header_with(opcode, fin, rsv, payload_len)
}

fn header_with(opcode: Opcode, fin: bool, rsv: Rsv, payload_len: usize) -> Vec<u8> {
    let header = FrameHeader {
        fin,
        rsv,
        opcode,
        mask: Some(MaskingKey::new([0; 4])),
        payload_len: payload_len as u64,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes
}

fn frame(opcode: Opcode, rsv: Rsv, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header_with(opcode, true, rsv, payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

/// A compressed message of `len` zeros: of a mebibyte many times, where there are so many.
fn zeros(len: usize) -> Vec<u8> {
    let mut peer = Compress::new(flate2::Compression::new(9), false);
    if len < 4 * MIB {
        return deflate_message(&mut peer, &vec![0; len]);
    }
    // After the first the window is full of zeros, and every other is the same.
    let block = vec![0; MIB];
    let mut payload = deflate(&mut peer, &block);
    let next = deflate(&mut peer, &block);
    for _ in 1..len / MIB {
        payload.extend_from_slice(&next);
    }
    payload.push(0);
    payload
}

fn deflate(context: &mut Compress, data: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(data.len() + 1000);
    let status = context.compress_vec(data, &mut output, FlushCompress::Sync);
    assert!(status.is_ok() && output.len() < output.capacity());
    output
}

/// RFC 7692, section 7.2.1.
fn deflate_message(context: &mut Compress, message: &[u8]) -> Vec<u8> {
    let mut payload = deflate(context, message);
    assert!(payload.ends_with(&[0, 0, 0xff, 0xff]));
    payload.truncate(payload.len() - 4);
    payload
}
