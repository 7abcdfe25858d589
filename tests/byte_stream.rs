//! A stream of bytes over a WebSocket: what goes in comes out, however it is cut.
//!
//! With tokio's traits and its tools over them, over streams in memory.

#![cfg(feature = "tokio")]

#[path = "support/scheduler.rs"]
mod scheduler;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use framewright::frame::Opcode;
use framewright::tokio::{ByteStream, Parts, WebSocket};
use framewright::{
    CloseCode, Config, Connection, Delivery, EndCause, Message, MessageKind, RecvBuffer, Role,
    SendBuffer,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, copy_bidirectional,
    duplex, split,
};
use tokio::time::{Instant, sleep, timeout};

use scheduler::frame;

/// What is to happen without a deadline happens within this; all deadlines are later.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The stream was shut down: an end of the WebSocket with code 1000.
const NORMAL: &[u8] = b"\x03\xe8";

// -- Any bytes in any chunks ----------------------------------------------------------------------

/// How a stream is written and read.
#[derive(Debug, Clone)]
struct Cuts {
    /// The lengths of writes, in turn, and whether a flush follows.
    writes: Vec<(usize, bool)>,
    reads: Vec<usize>,
    /// How much the network holds.
    room: usize,
    high_water: usize,
    delivery: Delivery,
}

fn cuts() -> impl Strategy<Value = Cuts> {
    (
        vec((1_usize..3000, any::<bool>()), 1..20),
        vec(1_usize..2000, 1..20),
        prop_oneof![1_usize..20, 20_usize..5000],
        prop_oneof![0_usize..10, 10_usize..5000, Just(128 << 10)],
        any::<bool>(),
    )
        .prop_map(|(writes, reads, room, high_water, is_chunked)| Cuts {
            writes,
            reads,
            room,
            high_water,
            delivery: match is_chunked {
                true => Delivery::Chunks,
                false => Delivery::Messages,
            },
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_goes_in_comes_out(cuts in cuts(), is_cancelled in any::<bool>()) {
        paused(async {
            let (client, server) = pair(&cuts);
            let bytes = bytes(cuts.writes.iter().map(|(len, _)| len).sum());
            // Both ways at once, each end in one task.
            let (sent, received) = tokio::join!(
                drive(client, &bytes, &cuts, is_cancelled),
                drive(server, &bytes, &cuts, is_cancelled),
            );
            assert!(sent == bytes, "{} of {} bytes", sent.len(), bytes.len());
            assert!(received == bytes, "{} of {} bytes", received.len(), bytes.len());
        });
    }
}

/// Writes bytes and reads as many, and then closes; all futures are dropped after each poll, if
/// they are to be cancelled.
async fn drive(
    stream: ByteStream<DuplexStream>,
    bytes: &[u8],
    cuts: &Cuts,
    is_cancelled: bool,
) -> Vec<u8> {
    let (mut reading, mut writing) = split(stream);
    let write = async {
        let mut rest = bytes;
        for &(len, flushes) in &cuts.writes {
            let (mut chunk, after) = rest.split_at(len);
            rest = after;
            while !chunk.is_empty() {
                let written = insist(is_cancelled, async || writing.write(chunk).await).await;
                chunk = &chunk[written.unwrap()..];
            }
            if flushes {
                insist(is_cancelled, async || writing.flush().await)
                    .await
                    .unwrap();
            }
        }
        writing.flush().await.unwrap();
        writing
    };
    let read = async {
        let mut received = Vec::new();
        let mut lens = cuts.reads.iter().cycle();
        while received.len() < bytes.len() {
            let mut room = vec![0; *lens.next().unwrap()];
            let len = insist(is_cancelled, async || reading.read(&mut room).await).await;
            let len = len.unwrap();
            assert!(len > 0, "it ends early");
            received.extend_from_slice(&room[..len]);
        }
        received
    };
    let (mut writing, received) = tokio::join!(write, read);
    let mut room = [0; 10];
    // Both ends do so, and there need not be room for both Close frames.
    let (shut, end) = tokio::join!(writing.shutdown(), reading.read(&mut room));
    shut.unwrap();
    assert_eq!(end.unwrap(), 0);
    received
}

/// Polls each future once and drops it, until one is ready, if it is to be cancelled.
async fn insist<T>(is_cancelled: bool, mut make: impl AsyncFnMut() -> T) -> T {
    if !is_cancelled {
        return make().await;
    }
    loop {
        let polled = {
            let mut future = pin!(make());
            let mut polled = Poll::Pending;
            poll_fn(|cx| {
                polled = future.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
            polled
        };
        match polled {
            Poll::Ready(value) => return value,
            Poll::Pending => sleep(Duration::from_micros(1)).await,
        }
    }
}

#[test]
fn messages_of_any_kind_of_fragments_are_one_stream() {
    paused(async {
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            let (mut peer, mut stream) = with_raw_peer(delivery, 10_000);
            for (opcode, fin, payload) in [
                (Opcode::Binary, true, &b"one"[..]),
                // Empty ones are nothing, and not the end.
                (Opcode::Binary, true, b""),
                (Opcode::Binary, false, b""),
                (Opcode::Continuation, false, b" two"),
                (Opcode::Ping, true, b"in between"),
                (Opcode::Continuation, true, b""),
                (Opcode::Pong, true, b"unasked"),
                (Opcode::Binary, true, b" three"),
                (Opcode::Close, true, NORMAL),
            ] {
                let mut bytes = frame(Role::Client, opcode, payload);
                if !fin {
                    bytes[0] &= 0x7f;
                }
                peer.write_all(&bytes).await.unwrap();
            }
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "one two three");
        }
    });
}

#[test]
fn chunks_are_read_before_their_message_is_complete() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Chunks, 10_000);
        let bytes = frame(Role::Client, Opcode::Binary, b"0123456789");
        let (first, second) = bytes.split_at(bytes.len() - 4);
        peer.write_all(first).await.unwrap();
        let mut room = [0; 100];
        assert_eq!(stream.read(&mut room).await.unwrap(), 6);
        assert_eq!(&room[..6], b"012345");
        peer.write_all(second).await.unwrap();
        assert_eq!(stream.read(&mut room).await.unwrap(), 4);
        assert_eq!(&room[..4], b"6789");
    });
}

#[test]
fn reads_and_writes_of_nothing_do_nothing() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 10_000);
        // Nothing is there to be read, and it does not wait.
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
        assert_eq!(stream.write(&[]).await.unwrap(), 0);
        stream.flush().await.unwrap();
        let bytes = frame(Role::Client, Opcode::Binary, b"one");
        peer.write_all(&bytes).await.unwrap();
        let mut room = [0; 2];
        assert_eq!(stream.read(&mut room).await.unwrap(), 2);
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
        assert_eq!(stream.read(&mut room).await.unwrap(), 1);
        // No empty message was sent.
        stream.write_all(b"two").await.unwrap();
        stream.flush().await.unwrap();
        let expected = frame(Role::Server, Opcode::Binary, b"two");
        assert_eq!(read_some(&mut peer).await, expected);
    });
}

#[test]
fn a_long_write_is_more_than_one_message() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 1 << 20);
        let bytes = bytes(100_000);
        assert_eq!(stream.write(&bytes).await.unwrap(), 64 << 10);
        stream.flush().await.unwrap();
        let mut head = [0; 10];
        peer.read_exact(&mut head).await.unwrap();
        assert_eq!(head, *b"\x82\x7f\0\0\0\0\0\x01\0\0");
    });
}

#[test]
fn writes_leave_in_one_when_they_are_flushed() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 10_000);
        stream.write_all(b"one").await.unwrap();
        stream.write_all(b"two").await.unwrap();
        assert!(is_silent(&mut peer).await);
        stream.flush().await.unwrap();
        let both = [&b"one"[..], b"two"].map(|it| frame(Role::Server, Opcode::Binary, it));
        assert_eq!(read_some(&mut peer).await, both.concat());
    });
}

#[test]
fn a_read_that_waits_writes_what_is_written() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 10_000);
        stream.write_all(b"before").await.unwrap();
        let (mut reading, mut writing) = split(stream);
        let waiting = tokio::spawn(async move { reading.read(&mut [0; 10]).await });
        let before = frame(Role::Server, Opcode::Binary, b"before");
        assert_eq!(read_some(&mut peer).await, before);
        // It waits by now, on a task of its own, and nobody flushes.
        writing.write_all(b"meanwhile").await.unwrap();
        let meanwhile = frame(Role::Server, Opcode::Binary, b"meanwhile");
        let read = timeout(AT_ONCE, read_some(&mut peer)).await;
        assert_eq!(read.expect("it leaves"), meanwhile);
        drop(peer);
        let ended = waiting.await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_stream_is_read_while_it_is_written_to_a_peer_that_does_not_read() {
    paused(async {
        let (mut peer, stream) = with_raw_peer(Delivery::Messages, 1000);
        let (mut reading, mut writing) = split(stream);
        let stalled = tokio::spawn(async move { writing.write_all(&[7; 1 << 20]).await });
        for _ in 0..100 {
            let bytes = frame(Role::Client, Opcode::Binary, &[7; 100]);
            peer.write_all(&bytes).await.unwrap();
            let mut room = [0; 100];
            let read = timeout(AT_ONCE, reading.read_exact(&mut room)).await;
            read.expect("it is read").unwrap();
        }
        drop(peer);
        assert!(stalled.await.unwrap().is_err());
    });
}

// -- The end --------------------------------------------------------------------------------------

#[test]
fn shutting_down_sends_a_close_and_reading_goes_on_until_the_peers() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 10_000);
        stream.write_all(b"the last").await.unwrap();
        stream.shutdown().await.unwrap();
        // Twice is once.
        stream.shutdown().await.unwrap();
        let expected = [
            frame(Role::Server, Opcode::Binary, b"the last"),
            frame(Role::Server, Opcode::Close, NORMAL),
        ];
        assert_eq!(read_some(&mut peer).await, expected.concat());
        let late = stream.write(b"late").await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::BrokenPipe);
        let bytes = frame(Role::Client, Opcode::Binary, b"still here");
        peer.write_all(&bytes).await.unwrap();
        let bytes = frame(Role::Client, Opcode::Close, NORMAL);
        peer.write_all(&bytes).await.unwrap();
        let mut text = String::new();
        let read = tokio::join!(stream.read_to_string(&mut text), async {
            assert_eq!(peer.read(&mut [0; 10]).await.unwrap(), 0);
            drop(peer);
        });
        read.0.unwrap();
        assert_eq!(text, "still here");
        assert!(stream.end().unwrap().is_clean());
        // The end stays.
        assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
        stream.shutdown().await.unwrap();
    });
}

#[test]
fn a_peer_that_closes_ends_both_directions() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 10_000);
        for (opcode, payload) in [(Opcode::Binary, &b"all"[..]), (Opcode::Close, NORMAL)] {
            let bytes = frame(Role::Client, opcode, payload);
            peer.write_all(&bytes).await.unwrap();
        }
        let mut text = String::new();
        let answer = async {
            let expected = frame(Role::Server, Opcode::Close, NORMAL);
            assert_eq!(read_some(&mut peer).await, expected);
            drop(peer);
        };
        tokio::join!(stream.read_to_string(&mut text), answer)
            .0
            .unwrap();
        assert_eq!(text, "all");
        // A WebSocket knows no half-closed connection: 5.5.1.
        let late = stream.write(b"late").await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn an_end_without_a_close_is_unexpected_and_nothing_is_read_twice() {
    paused(async {
        for reads_first in [true, false] {
            for has_unfinished in [true, false] {
                let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 10_000);
                peer.write_all(&frame(Role::Client, Opcode::Binary, b"whole"))
                    .await
                    .unwrap();
                if has_unfinished {
                    let bytes = frame(Role::Client, Opcode::Binary, b"unfinished");
                    peer.write_all(&bytes[..10]).await.unwrap();
                }
                let mut room = [0; 5];
                if reads_first {
                    stream.read_exact(&mut room).await.unwrap();
                }
                drop(peer);
                if !reads_first {
                    stream.read_exact(&mut room).await.unwrap();
                }
                assert_eq!(&room, b"whole");
                for _ in 0..3 {
                    let end = stream.read(&mut room).await.unwrap_err();
                    assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
                }
                assert_eq!(stream.end().unwrap().cause, EndCause::EndOfStream);
            }
        }
    });
}

#[test]
fn a_write_that_fails_makes_nothing_be_read_twice() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 1000);
        peer.write_all(&frame(Role::Client, Opcode::Binary, b"whole"))
            .await
            .unwrap();
        let mut room = [0; 3];
        stream.read_exact(&mut room).await.unwrap();
        assert_eq!(&room, b"who");
        drop(peer);
        let failed = stream.write_all(&[7; 1 << 20]).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::BrokenPipe);
        // What was received before is read to its end, and once.
        let mut rest = Vec::new();
        for _ in 0..3 {
            let end = stream.read_to_end(&mut rest).await.unwrap_err();
            assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
        }
        assert_eq!(rest, b"le");
    });
}

#[test]
fn a_text_message_is_refused_with_close_1003() {
    paused(async {
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            for text in [&b"text"[..], b""] {
                let (mut peer, mut stream) = with_raw_peer(delivery, 10_000);
                for (opcode, payload) in [(Opcode::Binary, &b"bytes"[..]), (Opcode::Text, text)] {
                    let bytes = frame(Role::Client, opcode, payload);
                    peer.write_all(&bytes).await.unwrap();
                }
                let mut bytes = Vec::new();
                let refused = stream.read_to_end(&mut bytes).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::InvalidData);
                assert_eq!(bytes, b"bytes");
                // Who meets an error drops the stream; the peer knows why all the same.
                drop(stream);
                let close = read_some(&mut peer).await;
                let reason = b"\x03\xebonly binary messages";
                assert_eq!(close, frame(Role::Server, Opcode::Close, reason));
            }
        }
    });
}

#[test]
fn reading_may_go_on_after_a_text_message() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 10_000);
        for (opcode, payload) in [
            (Opcode::Text, &b"text"[..]),
            (Opcode::Binary, b"bytes"),
            (Opcode::Close, b"\x03\xeb"),
        ] {
            let bytes = frame(Role::Client, opcode, payload);
            peer.write_all(&bytes).await.unwrap();
        }
        let mut room = [0; 10];
        let refused = stream.read(&mut room).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidData);
        assert_eq!(stream.read(&mut room).await.unwrap(), 5);
        peer.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut room).await.unwrap(), 0);
        assert_eq!(
            stream.end().unwrap().sent_code(),
            Some(CloseCode::UNSUPPORTED_DATA)
        );
    });
}

#[test]
fn a_peer_that_breaks_a_rule_is_invalid_data() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 10_000);
        // 5.1: a client masks.
        peer.write_all(&frame(Role::Server, Opcode::Binary, b"unmasked"))
            .await
            .unwrap();
        peer.shutdown().await.unwrap();
        let error = stream.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let end = stream.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_peer_that_takes_nothing_is_timed_out() {
    paused(async {
        let (_peer, mut stream) = with_raw_peer(Delivery::Messages, 1000);
        let started = Instant::now();
        stream.write_all(&[7; 50_000]).await.unwrap();
        let error = stream.flush().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), 30);
    });
}

#[test]
fn a_peer_that_never_answers_a_shutdown_is_left_by_a_read_that_waits() {
    paused(async {
        let (_peer, stream) = with_raw_peer(Delivery::Messages, 1000);
        let (mut reading, mut writing) = split(stream);
        let waiting = tokio::spawn(async move { reading.read(&mut [0; 10]).await });
        sleep(Duration::from_secs(1)).await;
        let started = Instant::now();
        writing.shutdown().await.unwrap();
        let ended = waiting.await.unwrap().unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(started.elapsed().as_secs(), 5);
    });
}

#[test]
fn the_websocket_is_there_to_be_looked_at_and_taken_back() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 1000);
        stream.write_all(b"queued").await.unwrap();
        assert!(stream.get_ref().buffered() > 0);
        assert!(stream.end().is_none());
        let mut socket = stream.into_inner();
        socket.send("text").await.unwrap();
        let expected = [
            frame(Role::Server, Opcode::Binary, b"queued"),
            frame(Role::Server, Opcode::Text, b"text"),
        ];
        assert_eq!(read_some(&mut peer).await, expected.concat());
        peer.write_all(&frame(Role::Client, Opcode::Text, b"back"))
            .await
            .unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(Message::text("back")));
        socket
            .send_fragment(MessageKind::Binary, b"", true)
            .await
            .unwrap();
    });
}

// -- Tunnels --------------------------------------------------------------------------------------

#[test]
fn a_tunnel_carries_bytes_both_ways_and_closes_with_its_ends() {
    for room in [1, 50, 5000, 100_000] {
        paused(async {
            let mut config = Config::default();
            config.write_high_water = 1000;
            let (client, server) = pair_with(&config, room);
            // application ─ near ═ WebSocket ═ far ─ echo
            let (mut application, mut near) = duplex(room);
            let (echo, mut far) = duplex(room);
            let here = tokio::spawn(async move {
                let mut client = client;
                copy_bidirectional(&mut near, &mut client).await
            });
            let there = tokio::spawn(async move {
                let mut server = server;
                copy_bidirectional(&mut server, &mut far).await
            });
            let echo = tokio::spawn(async move {
                let (mut reading, mut writing) = split(echo);
                tokio::io::copy(&mut reading, &mut writing).await.unwrap();
                writing.shutdown().await.unwrap();
            });
            let len = (room * 200).min(50_000);
            let sent = bytes(len);
            let mut received = vec![0; len];
            let (mut reading, mut writing) = split(&mut application);
            let (_, _) = tokio::join!(async { writing.write_all(&sent).await.unwrap() }, async {
                reading.read_exact(&mut received).await.unwrap()
            },);
            assert!(received == sent);
            application.shutdown().await.unwrap();
            let mut rest = Vec::new();
            application.read_to_end(&mut rest).await.unwrap();
            assert!(rest.is_empty());
            echo.await.unwrap();
            let both = (len as u64, len as u64);
            assert_eq!(here.await.unwrap().unwrap(), both);
            assert_eq!(there.await.unwrap().unwrap(), both);
        });
    }
}

#[test]
fn a_write_that_is_dropped_has_written_nothing() {
    paused(async {
        let mut config = Config::default();
        config.write_high_water = 100;
        let (mut peer, stream) = raw_peer_with(config, 100);
        let mut stream = stream;
        stream.write_all(&[7; 1000]).await.unwrap();
        let waits = timeout(Duration::from_millis(1), stream.write(b"dropped")).await;
        assert!(waits.is_err(), "there is no room");
        let read = async {
            let mut all = Vec::new();
            while let Ok(some) = timeout(AT_ONCE, read_some(&mut peer)).await {
                all.extend(some);
            }
            all
        };
        let (all, ()) = tokio::join!(read, async { stream.flush().await.unwrap() });
        assert_eq!(all, frame(Role::Server, Opcode::Binary, &[7; 1000]));
    });
}

#[test]
fn a_read_fills_a_buffer_that_is_half_full() {
    paused(async {
        let (mut peer, mut stream) = with_raw_peer(Delivery::Messages, 1000);
        peer.write_all(&frame(Role::Client, Opcode::Binary, b"one"))
            .await
            .unwrap();
        let mut room = [0; 8];
        let mut buffer = ReadBuf::new(&mut room);
        buffer.put_slice(b"zero ");
        poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buffer))
            .await
            .unwrap();
        assert_eq!(buffer.filled(), b"zero one");
    });
}

// -- Rig ------------------------------------------------------------------------------------------

/// Runs a future on tokio's clock, which leaps to the next deadline.
fn paused<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        timeout(Duration::from_secs(600), future)
            .await
            .expect("a test that hangs")
    })
}

fn socket<S: AsyncRead + AsyncWrite + Unpin>(
    role: Role,
    config: &Config,
    stream: S,
) -> WebSocket<S> {
    WebSocket::from_parts(Parts {
        stream,
        connection: Connection::new(role, config.clone().into()),
        input: RecvBuffer::new(),
        output: SendBuffer::new(),
    })
}

fn pair(cuts: &Cuts) -> (ByteStream<DuplexStream>, ByteStream<DuplexStream>) {
    let mut config = Config::default();
    config.write_high_water = cuts.high_water;
    config.delivery = cuts.delivery;
    pair_with(&config, cuts.room)
}

fn pair_with(config: &Config, room: usize) -> (ByteStream<DuplexStream>, ByteStream<DuplexStream>) {
    let (here, there) = duplex(room);
    (
        ByteStream::new(socket(Role::Client, config, here)),
        ByteStream::new(socket(Role::Server, config, there)),
    )
}

/// A stream of bytes whose client is written by hand.
fn with_raw_peer(delivery: Delivery, room: usize) -> (DuplexStream, ByteStream<DuplexStream>) {
    let mut config = Config::default();
    config.delivery = delivery;
    config.ping_interval = None;
    raw_peer_with(config, room)
}

fn raw_peer_with(config: Config, room: usize) -> (DuplexStream, ByteStream<DuplexStream>) {
    let (peer, here) = duplex(room);
    (peer, ByteStream::new(socket(Role::Server, &config, here)))
}

async fn read_some(peer: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let len = peer.read(&mut bytes).await.unwrap();
    bytes.truncate(len);
    bytes
}

async fn is_silent(peer: &mut DuplexStream) -> bool {
    timeout(Duration::from_millis(1), read_some(peer))
        .await
        .is_err()
}

/// Bytes that do not repeat soon.
fn bytes(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| (index ^ index >> 8).to_le_bytes()[0])
        .collect()
}
