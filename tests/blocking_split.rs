//! A blocking WebSocket in two halves, on two threads and more.
//!
//! What sharing adds: writers that do not tear each other's frames, a reader that neither stalls
//! with them nor depends on them, closing from any thread, and no flush that is lost between two.
//!
//! Timeouts are configured short and bounds are generous, so that a busy machine decides nothing:
//! a test that waits for ever fails after [`HANG`], one that waits too long after [`SOON`].

#![cfg(feature = "blocking")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use framewright::blocking::{
    Client, Error, Parts, Reader, Server, SplitStream, Stream, WebSocket, Writer, connect,
};
use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv, mask};
use framewright::handshake::ClientRequest;
use framewright::{
    CloseCode, CloseFrame, Config, Connection, Delivery, End, EndCause, Event, Initiator, Message,
    MessageKind, ProtocolError, RecvBuffer, Role, SendBuffer, SendError,
};

/// A test that takes longer hangs.
const HANG: Duration = Duration::from_secs(20);
/// What has a short timeout must be over by then, and what has a long one must not wait for it.
const SOON: Duration = Duration::from_secs(10);
/// A timeout that is to pass.
const SHORT: Duration = Duration::from_millis(200);

// -- Sending from many threads --------------------------------------------------------------------

#[test]
fn one_thread_echoes_while_another_sends() {
    const ECHOES: u32 = 2000;
    const TICKS: u32 = 2000;
    bounded(|| {
        let (uri, server) = serve(Config::default(), |mut reader, writer| {
            let ticker = thread::spawn({
                let writer = writer.clone();
                move || {
                    for tick in 0..TICKS {
                        writer.send(format!("tick {tick}")).unwrap();
                    }
                }
            });
            while let Some(event) = reader.recv_event().unwrap() {
                match event {
                    Event::Text(text) => writer.feed_text(text).unwrap(),
                    Event::Binary(data) => writer.feed_binary(data).unwrap(),
                    _ => {}
                }
            }
            join(ticker);
            reader.end().unwrap()
        });
        let (mut reader, writer) = connect(&uri).unwrap().split().unwrap();
        let sender = thread::spawn({
            let writer = writer.clone();
            move || {
                for echo in 0..ECHOES {
                    writer.send(format!("echo {echo}")).unwrap();
                }
            }
        });
        let (mut ticks, mut echoes) = (0, 0);
        while ticks < TICKS || echoes < ECHOES {
            let message = reader.recv().unwrap().unwrap();
            let (kind, number) = message.as_text().unwrap().split_once(' ').unwrap();
            let expected = match kind {
                "tick" => &mut ticks,
                _ => &mut echoes,
            };
            assert_eq!(number.parse(), Ok(*expected), "{kind}");
            *expected += 1;
        }
        join(sender);
        let closer = thread::spawn(move || writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap());
        assert_eq!(reader.recv().unwrap(), None);
        assert_ended(&join(closer), 1000, Some(Initiator::Local));
        assert_ended(&join(server), 1000, Some(Initiator::Peer));
    });
}

#[test]
fn messages_of_many_writers_arrive_whole_and_each_writers_in_order() {
    const WRITERS: usize = 8;
    const MESSAGES: usize = 1000;
    bounded(|| {
        let (uri, server) = serve(Config::default(), |reader, writer| {
            // 5.5.1 and 5.4 would be broken by a frame inside another, not only by a mixed order.
            let receiving = receive_until_end(reader);
            let threads: Vec<_> = (0..WRITERS)
                .map(|number| {
                    let writer = writer.clone();
                    thread::spawn(move || {
                        for count in 0..MESSAGES {
                            let message = numbered(number, count);
                            if count.is_multiple_of(3) {
                                writer.send(message).unwrap();
                            } else {
                                writer.feed(message).unwrap();
                            }
                        }
                        writer.flush().unwrap();
                    })
                })
                .collect();
            threads.into_iter().for_each(join);
            join(receiving)
        });
        let mut client = connect(&uri).unwrap();
        let mut counts = [0; WRITERS];
        for _ in 0..WRITERS * MESSAGES {
            let message = client.recv().unwrap().unwrap();
            let number = usize::from(message.payload()[0]);
            assert!(
                message == numbered(number, counts[number]),
                "message {} of writer {number}",
                counts[number]
            );
            counts[number] += 1;
        }
        assert_eq!(counts, [MESSAGES; WRITERS]);
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server).1.unwrap();
    });
}

#[test]
fn no_flush_is_lost() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 3000;
    bounded(|| {
        let (arrive, arrived) = mpsc::channel();
        // Nothing but the flushes below may make anything leave.
        let (uri, server) = serve(without_deadlines(), move |reader, writer| {
            let receiving = receive_until_end(reader);
            let barrier = Arc::new(Barrier::new(THREADS + 1));
            let is_over = Arc::new(AtomicBool::new(false));
            let sent = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let (writer, sent) = (writer.clone(), Arc::clone(&sent));
                    let (barrier, is_over) = (Arc::clone(&barrier), Arc::clone(&is_over));
                    thread::spawn(move || {
                        let mut dice = Dice(0x9e37_79b9 ^ number as u64);
                        let mut count = 0;
                        loop {
                            barrier.wait();
                            if is_over.load(Ordering::Relaxed) {
                                return;
                            }
                            for _ in 0..1 + dice.roll(4) {
                                writer.feed(numbered(number, count)).unwrap();
                                count += 1;
                                sent.fetch_add(1, Ordering::Relaxed);
                                if dice.roll(2) == 0 {
                                    writer.flush().unwrap();
                                }
                            }
                            // The last word of a round is a flush, which promises that nothing of
                            // this thread's is left behind.
                            if dice.roll(2) == 0 {
                                writer.flush().unwrap();
                            } else {
                                writer.send(numbered(number, count)).unwrap();
                                count += 1;
                                sent.fetch_add(1, Ordering::Relaxed);
                            }
                            barrier.wait();
                        }
                    })
                })
                .collect();
            let started = Instant::now();
            let mut received = 0;
            for _ in 0..ROUNDS {
                barrier.wait();
                barrier.wait();
                // If a flush was lost, nothing will ever make the rest of the round arrive.
                while received < sent.load(Ordering::Relaxed) {
                    arrived.recv_timeout(SOON).unwrap();
                    received += 1;
                }
                if started.elapsed() > SOON / 2 {
                    break;
                }
            }
            is_over.store(true, Ordering::Relaxed);
            barrier.wait();
            threads.into_iter().for_each(join);
            writer.send("over").unwrap();
            join(receiving).1.unwrap();
        });
        let mut client = connect(&uri).unwrap();
        let mut counts = [0; THREADS];
        while let Message::Binary(payload) = client.recv().unwrap().unwrap() {
            let number = usize::from(payload[0]);
            assert!(Message::from(payload) == numbered(number, counts[number]));
            counts[number] += 1;
            // The reader over there is one more that writes: a Pong, now and then.
            if counts[number].is_multiple_of(7) {
                client.send_ping(b"").unwrap();
            }
            arrive.send(()).unwrap();
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server);
    });
}

#[test]
fn what_a_flush_returned_for_has_left_whoever_wrote_it() {
    const THREADS: usize = 4;
    const MESSAGES: usize = 500;
    bounded(|| {
        let (uri, server) = serve(without_deadlines(), |mut reader, writer| {
            let (acknowledge, threads): (Vec<_>, Vec<_>) = (0..THREADS)
                .map(|number| {
                    let writer = writer.clone();
                    let (acknowledge, acknowledged) = mpsc::channel();
                    let thread = thread::spawn(move || {
                        for count in 0..MESSAGES {
                            writer.send(numbered(number, count)).unwrap();
                            // Nothing more is sent by this thread until the client has it, so that
                            // a message which is left in the queue stops the test.
                            acknowledged.recv().unwrap();
                        }
                    });
                    (acknowledge, thread)
                })
                .unzip();
            while let Some(message) = reader.recv().unwrap() {
                let number = usize::from(message.payload()[0]);
                acknowledge[number].send(()).unwrap();
            }
            threads.into_iter().for_each(join);
        });
        let mut client = connect(&uri).unwrap();
        for _ in 0..THREADS * MESSAGES {
            let message = client.recv().unwrap().unwrap();
            client.send(&message.payload()[..1]).unwrap();
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server);
    });
}

#[test]
fn a_fragmented_message_keeps_others_out_until_it_ends() {
    bounded(|| {
        let (uri, server) = serve(Config::default(), |reader, writer| {
            let receiving = receive_until_end(reader);
            let other = writer.clone();
            writer
                .feed_fragment(MessageKind::Text, b"one ", false)
                .unwrap();
            for refused in [
                other.send("between"),
                other.feed_fragment(MessageKind::Binary, b"between", true),
            ] {
                assert!(
                    matches!(refused, Err(Error::Send(SendError::MessageUnfinished))),
                    "{refused:?}"
                );
            }
            other.send_ping(b"may pass").unwrap();
            writer
                .feed_fragment(MessageKind::Text, b"message", true)
                .unwrap();
            other.send("another").unwrap();
            join(receiving)
        });
        let mut client = connect(&uri).unwrap();
        for text in ["one message", "another"] {
            assert_eq!(client.recv().unwrap(), Some(Message::text(text)));
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server).1.unwrap();
    });
}

// -- Writers that stall ---------------------------------------------------------------------------

#[test]
fn a_stalled_writer_does_not_keep_the_reader_from_receiving() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(without_deadlines(), |mut reader, writer| {
            let stalled = stall(&writer);
            for number in 0..100 {
                let text = format!("message {number}");
                assert_eq!(reader.recv().unwrap(), Some(Message::text(text)));
            }
            // Its replies are queued, not written.
            writer.feed("queued meanwhile").unwrap();
            (reader, stalled)
        });
        for number in 0..100 {
            let mut bytes = frame(Role::Client, Opcode::Ping, true, &[number]);
            let text = format!("message {number}");
            bytes.extend(frame(Role::Client, Opcode::Text, true, text.as_bytes()));
            peer.write_all(&bytes).unwrap();
        }
        let (reader, stalled) = join(server);
        // Once the peer reads, all comes: what stalled, the newest Pong, what was queued.
        let (mut is_queued_here, mut pongs) = (false, Vec::new());
        while !is_queued_here {
            match read_frame(&mut peer).unwrap() {
                (Opcode::Pong, payload) => pongs.push(payload),
                (_, payload) => is_queued_here = payload == b"queued meanwhile",
            }
        }
        // 5.5.3: one Pong waits, the newest. Another may have left before the writer stalled.
        assert_eq!(pongs.last(), Some(&vec![99]));
        assert!(pongs.len() <= 3, "{} Pongs", pongs.len());
        peer.shutdown(Shutdown::Both).unwrap();
        drop(peer);
        drop(reader);
        let _ = join(stalled);
    });
}

#[test]
fn feeding_waits_at_the_high_water_and_goes_on_when_the_peer_reads() {
    bounded(|| {
        const MESSAGES: usize = 400;
        const LEN: usize = 64 << 10;
        let mut config = without_deadlines();
        config.write_high_water = 100_000;
        let fed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&fed);
        let (mut peer, server) = serve_raw_client(config, move |reader, writer| {
            let receiving = receive_until_end(reader);
            for _ in 0..MESSAGES {
                writer.feed(vec![7; LEN]).unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                let most = 100_000 + LEN + FrameHeader::MAX_LEN;
                assert!(writer.buffered() <= most, "{}", writer.buffered());
            }
            writer.flush().unwrap();
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            join(receiving).1.unwrap();
            end
        });
        // The kernel takes some megabytes for a peer that does not read, of the 25 that are fed.
        let before = settle(&fed);
        assert!(before < MESSAGES, "feeding did not wait");
        for _ in 0..MESSAGES {
            let (opcode, payload) = read_frame(&mut peer).unwrap();
            assert_eq!((opcode, payload.len()), (Opcode::Binary, LEN));
        }
        assert_eq!(read_close(&mut peer), Some(1000));
        peer.write_all(&frame(Role::Client, Opcode::Close, true, b"\x03\xe8"))
            .unwrap();
        assert_eq!(read_frame(&mut peer), None);
        drop(peer);
        assert_ended(&join(server), 1000, Some(Initiator::Local));
    });
}

#[test]
fn many_writers_that_feed_beyond_the_high_water_all_finish() {
    const WRITERS: usize = 8;
    const MESSAGES: usize = 100;
    bounded(|| {
        let mut config = without_deadlines();
        config.write_high_water = 1000;
        let (uri, server) = serve(config, |reader, writer| {
            let receiving = receive_until_end(reader);
            let threads: Vec<_> = (0..WRITERS)
                .map(|_| {
                    let writer = writer.clone();
                    thread::spawn(move || {
                        for _ in 0..MESSAGES {
                            writer.feed(vec![7; 2000]).unwrap();
                        }
                        writer.flush().unwrap();
                    })
                })
                .collect();
            threads.into_iter().for_each(join);
            join(receiving)
        });
        let mut client = connect(&uri).unwrap();
        for _ in 0..WRITERS * MESSAGES {
            assert!(client.recv().unwrap() == Some(Message::from(vec![7; 2000])));
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server).1.unwrap();
    });
}

#[test]
fn a_peer_that_never_reads_is_left_after_write_timeout_and_the_reader_wakes() {
    bounded(|| {
        // Without keepalive nothing else would ever wake the reader.
        let mut config = without_deadlines();
        config.write_timeout = Some(SHORT);
        let (peer, server) = serve_raw_client(config, |reader, writer| {
            let receiving = receive_until_end(reader);
            let error = join(stall(&writer));
            assert!(matches!(error, Error::WriteTimeout), "{error:?}");
            let (end, _) = join(receiving);
            assert!(matches!(
                writer.send("late"),
                Err(Error::Send(SendError::Closing) | Error::WriteTimeout)
            ));
            let again = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            assert_eq!(Some(again), end);
            end
        });
        let end = join(server).unwrap();
        assert_eq!((end.cause, end.code()), (EndCause::Transport, 1006));
        drop(peer);
    });
}

#[test]
fn closing_while_another_writer_stalls_takes_no_longer_than_close_timeout() {
    bounded(|| {
        let mut config = without_deadlines();
        config.close_timeout = Some(SHORT);
        assert!(config.write_timeout > Some(SOON));
        let (peer, server) = serve_raw_client(config, |reader, writer| {
            let receiving = receive_until_end(reader);
            let stalled = stall(&writer);
            // The queue is over its high water, so that a message would have to wait.
            writer.feed(vec![0; 1 << 20]).unwrap();
            let started = Instant::now();
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            let elapsed = started.elapsed();
            // Both threads wake: the transport is shut down.
            let _ = join(receiving);
            join(stalled);
            (end, elapsed)
        });
        let (end, elapsed) = join(server);
        assert_eq!(end.code(), 1006);
        assert!(!end.is_clean());
        assert!(elapsed < SOON, "{elapsed:?}");
        drop(peer);
    });
}

#[test]
fn a_peer_that_closes_while_a_writer_stalls_is_left_after_close_timeout() {
    bounded(|| {
        let mut config = without_deadlines();
        config.close_timeout = Some(SHORT);
        assert!(config.write_timeout > Some(SOON));
        let (mut peer, server) = serve_raw_client(config, |mut reader, writer| {
            let stalled = stall(&writer);
            assert_eq!(reader.recv().unwrap(), Some(Message::text("close follows")));
            let started = Instant::now();
            let outcome = reader.recv();
            let elapsed = started.elapsed();
            assert!(!matches!(outcome, Ok(Some(_))), "{outcome:?}");
            drop(reader);
            join(stalled);
            elapsed
        });
        let mut bytes = frame(Role::Client, Opcode::Text, true, b"close follows");
        bytes.extend(frame(Role::Client, Opcode::Close, true, b"\x03\xe8"));
        peer.write_all(&bytes).unwrap();
        let elapsed = join(server);
        assert!(elapsed < SOON, "{elapsed:?}");
        drop(peer);
    });
}

// -- The reader alone, the writer alone -----------------------------------------------------------

#[test]
fn pings_are_answered_while_nobody_calls_the_writer() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(without_deadlines(), |mut reader, writer| {
            let message = reader.recv().unwrap();
            drop(writer);
            message
        });
        assert_pings_are_answered(&mut peer);
        peer.write_all(&frame(Role::Client, Opcode::Text, true, b"x"))
            .unwrap();
        assert_eq!(join(server), Some(Message::text("x")));
    });
}

#[test]
fn a_reader_goes_on_without_its_writer() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(without_deadlines(), |mut reader, writer| {
            writer.feed("last words").unwrap();
            drop(writer);
            let message = reader.recv().unwrap();
            assert_eq!(reader.recv().unwrap(), None);
            (message, reader.end().unwrap())
        });
        let (opcode, payload) = read_frame(&mut peer).unwrap();
        assert_eq!((opcode, &payload[..]), (Opcode::Text, &b"last words"[..]));
        assert_pings_are_answered(&mut peer);
        peer.write_all(&frame(Role::Client, Opcode::Text, true, b"x"))
            .unwrap();
        peer.write_all(&frame(Role::Client, Opcode::Close, true, b"\x03\xe8"))
            .unwrap();
        assert_eq!(read_close(&mut peer), Some(1000));
        drop(peer);
        let (message, end) = join(server);
        assert_eq!(message, Some(Message::text("x")));
        assert_ended(&end, 1000, Some(Initiator::Peer));
    });
}

#[test]
fn silence_is_broken_by_pings_and_a_peer_that_answers_none_is_left() {
    bounded(|| {
        let mut config = Config::default();
        config.ping_interval = Some(SHORT);
        config.pong_timeout = Some(5 * SHORT);
        config.close_timeout = Some(SHORT);
        let (mut peer, server) = serve_raw_client(config, |mut reader, _writer| {
            (reader.recv().unwrap(), reader.end().unwrap())
        });
        let (opcode, payload) = read_frame(&mut peer).unwrap();
        assert_eq!(opcode, Opcode::Ping);
        peer.write_all(&frame(Role::Client, Opcode::Pong, true, &payload))
            .unwrap();
        let mut pings = 0;
        let close = loop {
            match read_frame(&mut peer).unwrap() {
                (Opcode::Ping, _) => pings += 1,
                other => break other,
            }
        };
        assert!(pings >= 1);
        assert_eq!(
            (close.0, &close.1[..2]),
            (Opcode::Close, &1011_u16.to_be_bytes()[..])
        );
        let (outcome, end) = join(server);
        assert_eq!(outcome, None);
        assert_eq!(end.cause, EndCause::KeepaliveTimeout);
        drop(peer);
    });
}

#[test]
fn a_writer_without_its_reader_closes_at_once() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(Config::default(), |reader, writer| {
            drop(reader);
            writer.send("nobody listens").unwrap();
            let started = Instant::now();
            let end = writer.close(CloseCode::GOING_AWAY, "").unwrap();
            let elapsed = started.elapsed();
            assert_eq!(writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap(), end);
            (end, elapsed)
        });
        let (opcode, payload) = read_frame(&mut peer).unwrap();
        assert_eq!(
            (opcode, &payload[..]),
            (Opcode::Text, &b"nobody listens"[..])
        );
        assert_eq!(read_close(&mut peer), Some(1001));
        assert_eq!(read_frame(&mut peer), None);
        let (end, elapsed) = join(server);
        // Nobody reads the answer, so that there is none.
        assert_eq!(end.code(), 1006);
        assert!(!end.is_clean());
        assert!(elapsed < SOON, "{elapsed:?}");
    });
}

#[test]
fn a_reader_that_is_dropped_lets_go_of_a_writer_that_closes() {
    bounded(|| {
        let mut config = without_deadlines();
        config.close_timeout = None;
        let (mut peer, server) = serve_raw_client(config, |reader, writer| {
            let closer = thread::spawn(move || writer.close(CloseCode::GOING_AWAY, "").unwrap());
            thread::sleep(SHORT);
            drop(reader);
            join(closer)
        });
        assert_eq!(read_close(&mut peer), Some(1001));
        assert_eq!(read_frame(&mut peer), None);
        assert!(!join(server).is_clean());
    });
}

#[test]
fn the_transport_closes_with_the_last_half() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(Config::default(), |reader, writer| {
            drop(reader);
            let other = writer.clone();
            drop(writer);
            other.send("still here").unwrap();
            drop(other);
        });
        join(server);
        assert_eq!(read_frame(&mut peer).unwrap().1, b"still here");
        assert_eq!(read_frame(&mut peer), None);
    });
}

// -- Closing --------------------------------------------------------------------------------------

#[test]
fn closing_from_another_thread_ends_the_reader() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(Config::default(), |mut reader, writer| {
            let closer = thread::spawn(move || writer.close(CloseCode::GOING_AWAY, "bye").unwrap());
            // What the peer sent before its Close is delivered.
            assert_eq!(reader.recv().unwrap(), Some(Message::text("in flight")));
            assert_eq!(reader.recv().unwrap(), None);
            assert_eq!(reader.recv().unwrap(), None);
            (join(closer), reader.end().unwrap())
        });
        assert_eq!(read_close(&mut peer), Some(1001));
        peer.write_all(&frame(Role::Client, Opcode::Text, true, b"in flight"))
            .unwrap();
        peer.write_all(&frame(Role::Client, Opcode::Close, true, b"\x03\xe9"))
            .unwrap();
        assert_eq!(read_frame(&mut peer), None);
        drop(peer);
        let (ours, theirs) = join(server);
        assert_ended(&ours, 1001, Some(Initiator::Local));
        assert_eq!(ours, theirs);
    });
}

#[test]
fn closing_from_many_threads_says_the_same_to_all() {
    bounded(|| {
        let (uri, server) = serve(Config::default(), |mut reader, writer| {
            let closers: Vec<_> = (0..8)
                .map(|_| {
                    let writer = writer.clone();
                    thread::spawn(move || writer.close(CloseCode::GOING_AWAY, "").unwrap())
                })
                .collect();
            assert_eq!(reader.recv().unwrap(), None);
            let ends: Vec<_> = closers.into_iter().map(join).collect();
            assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
            ends[0].clone()
        });
        let mut client = connect(&uri).unwrap();
        assert_eq!(client.recv().unwrap(), None);
        assert_ended(client.end().unwrap(), 1001, Some(Initiator::Peer));
        assert_ended(&join(server), 1001, Some(Initiator::Local));
    });
}

#[test]
fn both_ends_close_at_once_from_other_threads() {
    bounded(|| {
        for _ in 0..20 {
            let (meet, met) = mpsc::sync_channel(0);
            let (uri, server) = serve(Config::default(), move |reader, writer| {
                let receiving = receive_until_end(reader);
                meet.send(()).unwrap();
                let end = writer.close(CloseCode::GOING_AWAY, "").unwrap();
                join(receiving).1.unwrap();
                end
            });
            let (reader, writer) = connect(&uri).unwrap().split().unwrap();
            let receiving = receive_until_end(reader);
            met.recv().unwrap();
            let ours = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            join(receiving).1.unwrap();
            for end in [ours, join(server)] {
                assert!(end.is_clean(), "{end:?}");
                assert_eq!(end.cause, EndCause::ClosingHandshake);
            }
        }
    });
}

#[test]
fn closing_amid_traffic_ends_every_thread_and_cleanly() {
    bounded(|| {
        let mut dice = Dice(0x2545_f491);
        for round in 0..40 {
            let (uri, server) = serve(Config::default(), |reader, writer| {
                let receiving = receive_until_end(reader);
                let sending: Vec<_> = (0..2).map(|_| send_until_end(&writer)).collect();
                sending.into_iter().for_each(join);
                // Whoever comes too late to close is told how it ended.
                let end = writer.close(CloseCode::GOING_AWAY, "").unwrap();
                join(receiving).1.unwrap();
                end
            });
            let (reader, writer) = connect(&uri).unwrap().split().unwrap();
            let receiving = receive_until_end(reader);
            let sending: Vec<_> = (0..2).map(|_| send_until_end(&writer)).collect();
            thread::sleep(Duration::from_micros(dice.roll(5000)));
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            sending.into_iter().for_each(join);
            join(receiving).1.unwrap();
            assert_ended(&end, 1000, Some(Initiator::Local));
            let end = join(server);
            assert_ended(&end, 1000, Some(Initiator::Peer));
            assert!(end.is_clean(), "round {round}");
        }
    });
}

#[test]
fn a_peer_that_never_answers_a_close_is_left_after_close_timeout() {
    bounded(|| {
        // Only the closing thread can wake the reader.
        let mut config = without_deadlines();
        config.close_timeout = Some(SHORT);
        let (peer, server) = serve_raw_client(config, |reader, writer| {
            let receiving = receive_until_end(reader);
            let started = Instant::now();
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            let elapsed = started.elapsed();
            let (seen, outcome) = join(receiving);
            outcome.unwrap();
            assert_eq!(seen, Some(end.clone()));
            assert_eq!(writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap(), end);
            (end, elapsed)
        });
        let (end, elapsed) = join(server);
        assert_eq!(end.cause, EndCause::CloseTimeout);
        assert_eq!((end.code(), end.initiator), (1006, Some(Initiator::Local)));
        assert!((SHORT..SOON).contains(&elapsed), "{elapsed:?}");
        drop(peer);
    });
}

#[test]
fn closing_on_the_thread_of_the_reader_ends_by_close_timeout() {
    bounded(|| {
        let mut config = Config::default();
        config.close_timeout = Some(SHORT);
        let (mut peer, server) = serve_raw_client(config, |mut reader, writer| {
            assert_eq!(reader.recv().unwrap(), Some(Message::text("x")));
            let started = Instant::now();
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            let elapsed = started.elapsed();
            assert_eq!(reader.recv().unwrap(), None);
            (end, elapsed)
        });
        peer.write_all(&frame(Role::Client, Opcode::Text, true, b"x"))
            .unwrap();
        assert_eq!(read_close(&mut peer), Some(1000));
        assert_eq!(read_frame(&mut peer), None);
        let (end, elapsed) = join(server);
        assert_eq!(end.cause, EndCause::CloseTimeout);
        assert!(elapsed < SOON, "{elapsed:?}");
    });
}

#[test]
fn closing_after_the_reader_met_an_error_does_not_wait_for_it() {
    bounded(|| {
        // The reader is there still, and nobody will call it again.
        let mut config = without_deadlines();
        config.close_timeout = None;
        let (peer, server) = serve_raw_client(config, |mut reader, writer| {
            writer.send("unread").unwrap();
            let error = reader.recv().unwrap_err();
            assert!(
                matches!(&error, Error::Io(error) if error.kind() == ErrorKind::ConnectionReset),
                "{error:?}"
            );
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            assert_eq!(reader.recv().unwrap(), None);
            end
        });
        // A socket that is closed with unread bytes resets the connection.
        assert_eq!(peer.peek(&mut [0]).unwrap(), 1);
        drop(peer);
        let end = join(server);
        assert_eq!((end.cause, end.code()), (EndCause::Transport, 1006));
    });
}

#[test]
fn a_peer_that_breaks_a_rule_ends_both_halves() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(Config::default(), |mut reader, writer| {
            let error = reader.recv().unwrap_err();
            assert!(
                matches!(error, Error::Protocol(ProtocolError::ReservedOpcode(3))),
                "{error:?}"
            );
            assert_eq!(reader.recv().unwrap(), None);
            let late = writer.send("late");
            assert!(
                matches!(late, Err(Error::Send(SendError::Closing))),
                "{late:?}"
            );
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            assert_eq!(reader.end(), Some(end.clone()));
            end
        });
        peer.write_all(b"\x83\x80").unwrap();
        assert_eq!(read_close(&mut peer), Some(1002));
        drop(peer);
        let end = join(server);
        assert_eq!(
            end.cause,
            EndCause::Protocol(ProtocolError::ReservedOpcode(3))
        );
    });
}

#[test]
fn a_peer_that_ends_the_stream_ends_both_halves() {
    bounded(|| {
        let (peer, server) = serve_raw_client(Config::default(), |reader, writer| {
            let (end, outcome) = join(receive_until_end(reader));
            outcome.unwrap();
            assert!(matches!(
                writer.send("late"),
                Err(Error::Send(SendError::Closing))
            ));
            let end = end.unwrap();
            assert_eq!(writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap(), end);
            end
        });
        drop(peer);
        let end = join(server);
        assert_eq!((end.cause, end.code()), (EndCause::EndOfStream, 1006));
    });
}

#[test]
fn a_reason_that_is_too_long_closes_nothing() {
    bounded(|| {
        let (uri, server) = serve(Config::default(), |mut reader, writer| {
            let refused = writer.close(CloseCode::NORMAL_CLOSURE, &"x".repeat(124));
            assert!(
                matches!(refused, Err(Error::Send(SendError::ReasonTooLong))),
                "{refused:?}"
            );
            writer.send("still open").unwrap();
            reader.recv().unwrap()
        });
        let mut client = connect(&uri).unwrap();
        assert_eq!(client.recv().unwrap(), Some(Message::text("still open")));
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        assert_eq!(join(server), None);
    });
}

// -- What a split keeps ---------------------------------------------------------------------------

#[test]
fn what_was_received_and_queued_before_the_split_is_not_lost() {
    bounded(|| {
        let (stream, mut peer) = tcp_pair();
        let mut leftover = frame(Role::Client, Opcode::Text, true, b"received");
        let split_here = frame(Role::Client, Opcode::Text, true, b"half received");
        leftover.extend(&split_here[..9]);
        let mut socket = from_parts(Config::default(), stream, &leftover);
        socket.feed("queued").unwrap();
        let (mut reader, _writer) = socket.split().unwrap();
        assert_eq!(reader.recv().unwrap(), Some(Message::text("received")));
        peer.write_all(&split_here[9..]).unwrap();
        assert_eq!(reader.recv().unwrap(), Some(Message::text("half received")));
        assert_eq!(read_frame(&mut peer).unwrap().1, b"queued");
    });
}

#[test]
fn halves_without_deadlines_wait_longer_than_the_handshake_might() {
    bounded(|| {
        let mut config = without_deadlines();
        config.handshake_timeout = Some(SHORT);
        let (mut peer, server) =
            serve_raw_client(config, |mut reader, _writer| reader.recv().map(drop));
        thread::sleep(3 * SHORT);
        peer.write_all(&frame(Role::Client, Opcode::Text, true, b"late"))
            .unwrap();
        join(server).expect("a read that blocks");
    });
}

#[test]
fn a_read_that_gives_up_by_a_timeout_of_the_callers_can_be_repeated() {
    bounded(|| {
        let (stream, mut peer) = tcp_pair();
        stream.set_read_timeout(Some(SHORT)).unwrap();
        let socket = from_parts(without_deadlines(), stream, b"");
        let (mut reader, writer) = socket.split().unwrap();
        let text = frame(Role::Client, Opcode::Text, true, b"in two pieces");
        for piece in [&text[..9], &text[9..]] {
            let error = reader.recv().unwrap_err();
            assert!(
                matches!(&error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock),
                "{error:?}"
            );
            assert_eq!(reader.end(), None);
            peer.write_all(piece).unwrap();
        }
        assert_eq!(reader.recv().unwrap(), Some(Message::text("in two pieces")));
        writer.send("still open").unwrap();
        assert_eq!(read_frame(&mut peer).unwrap().1, b"still open");
    });
}

#[test]
fn chunks_are_streamed_by_a_reader_too() {
    bounded(|| {
        let mut config = Config::default();
        config.delivery = Delivery::Chunks;
        let (uri, server) = serve(config, |mut reader, writer| {
            assert!(matches!(reader.recv(), Err(Error::DeliveryIsChunks)));
            let mut len = 0;
            while let Some(event) = reader.recv_event().unwrap() {
                if let Event::Chunk(chunk) = event {
                    len += chunk.payload.len();
                    if chunk.fin {
                        writer.feed(format!("{len}")).unwrap();
                    }
                }
            }
        });
        let mut client = connect(&uri).unwrap();
        client.send(vec![0; 1_000_000]).unwrap();
        assert_eq!(client.recv().unwrap(), Some(Message::text("1000000")));
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server);
    });
}

#[cfg(unix)]
#[test]
fn a_unix_stream_is_split_as_well() {
    use std::os::unix::net::UnixStream;

    bounded(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = thread::spawn(|| {
            let (mut reader, writer) = Server::new().accept(theirs).unwrap().split().unwrap();
            while let Some(message) = reader.recv().unwrap() {
                writer.send(message).unwrap();
            }
            reader.end().unwrap()
        });
        let client = Client::new(ClientRequest::new("ws://localhost/").unwrap());
        let (mut reader, writer) = client.handshake(ours).unwrap().0.split().unwrap();
        let sender = thread::spawn(move || {
            for number in 0..1000 {
                writer.send(format!("{number}")).unwrap();
            }
            writer
        });
        for number in 0..1000 {
            assert_eq!(reader.recv().unwrap(), Some(format!("{number}").into()));
        }
        let writer = join(sender);
        let receiving = receive_until_end(reader);
        let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        assert_ended(&end, 1000, Some(Initiator::Local));
        join(receiving).1.unwrap();
        assert_ended(&join(server), 1000, Some(Initiator::Peer));
    });
}

// -- Rig: sockets ---------------------------------------------------------------------------------

/// Runs a scenario, and fails if it takes longer than [`HANG`].
fn bounded<T: Send + 'static>(scenario: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = sender.send(scenario());
    });
    match receiver.recv_timeout(HANG) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("the scenario hangs"),
        Err(RecvTimeoutError::Disconnected) => {
            join(thread);
            unreachable!("a scenario sends what it returns, or panics");
        }
    }
}

/// Joins a thread, and panics as it did.
fn join<T>(thread: JoinHandle<T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    ours.set_nodelay(true).unwrap();
    theirs.set_nodelay(true).unwrap();
    (ours, theirs)
}

/// Serves one client on a thread, in two halves, and returns where.
fn serve<T: Send + 'static>(
    config: Config,
    serve_halves: impl FnOnce(Reader<TcpStream>, Writer<TcpStream>) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        stream.set_nodelay(true).unwrap();
        let socket = Server::new().config(config).accept(stream).unwrap();
        let (reader, writer) = socket.split().unwrap();
        serve_halves(reader, writer)
    });
    (uri, server)
}

/// Serves a client that is only a TCP stream here, whose handshake is done.
fn serve_raw_client<T: Send + 'static>(
    config: Config,
    serve_halves: impl FnOnce(Reader<TcpStream>, Writer<TcpStream>) -> T + Send + 'static,
) -> (TcpStream, JoinHandle<T>) {
    let (uri, server) = serve(config, serve_halves);
    let authority = uri.trim_start_matches("ws://").trim_end_matches('/');
    let mut peer = TcpStream::connect(authority).unwrap();
    peer.set_nodelay(true).unwrap();
    // RFC 6455, section 1.2, less its subprotocols and its origin.
    peer.write_all(
        b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
          Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          Sec-WebSocket-Version: 13\r\n\r\n",
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        peer.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (peer, server)
}

/// Makes a server's socket of a stream on which the handshake was somebody else's.
fn from_parts(config: Config, stream: TcpStream, leftover: &[u8]) -> WebSocket<TcpStream> {
    WebSocket::from_parts(Parts {
        stream,
        connection: Connection::new(Role::Server, config.into()),
        input: RecvBuffer::from(leftover),
        output: SendBuffer::new(),
    })
    .unwrap()
}

/// Receives on a thread of its own, and returns how the connection ended and what the last call
/// said.
fn receive_until_end<S>(mut reader: Reader<S>) -> JoinHandle<(Option<End>, Result<(), Error>)>
where
    S: SplitStream<Writer: Send> + Send + 'static,
{
    thread::spawn(move || {
        let outcome = loop {
            match reader.recv() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        (reader.end(), outcome)
    })
}

/// Sends on a thread of its own until the connection closes.
fn send_until_end<W: Stream + Send + 'static>(writer: &Writer<W>) -> JoinHandle<()> {
    let writer = writer.clone();
    thread::spawn(move || {
        for count in 0.. {
            match writer.send(numbered(0, count)) {
                Ok(()) => {}
                Err(Error::Send(SendError::Closing)) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
    })
}

/// Feeds on a thread of its own to a peer that does not read, and returns when that stalls; the
/// thread goes on until feeding fails.
fn stall(writer: &Writer<TcpStream>) -> JoinHandle<Error> {
    let fed = Arc::new(AtomicUsize::new(0));
    let feeding = thread::spawn({
        let (writer, fed) = (writer.clone(), Arc::clone(&fed));
        move || {
            loop {
                if let Err(error) = writer.feed(vec![0; 1 << 20]) {
                    return error;
                }
                fed.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    settle(&fed);
    feeding
}

/// Waits until a count has not changed for a while, and returns it.
fn settle(count: &AtomicUsize) -> usize {
    let mut last = 0;
    let mut since = Instant::now();
    while since.elapsed() < 2 * SHORT {
        thread::sleep(SHORT / 20);
        let current = count.load(Ordering::Relaxed);
        if current != last {
            last = current;
            since = Instant::now();
        }
    }
    last
}

/// Nothing is due before the connection closes, so that no deadline wakes a read that waits.
fn without_deadlines() -> Config {
    let mut config = Config::default();
    config.handshake_timeout = None;
    config.ping_interval = None;
    config
}

fn assert_ended(end: &End, code: u16, initiator: Option<Initiator>) {
    assert_eq!(end.code(), code, "{end:?}");
    assert_eq!(end.initiator, initiator, "{end:?}");
    assert_eq!(end.cause, EndCause::ClosingHandshake, "{end:?}");
    assert!(end.is_clean(), "{end:?}");
}

fn assert_pings_are_answered(peer: &mut TcpStream) {
    for payload in [&b""[..], b"are you there?", &[7; 125]] {
        peer.write_all(&frame(Role::Client, Opcode::Ping, true, payload))
            .unwrap();
        assert_eq!(read_frame(peer), Some((Opcode::Pong, payload.to_vec())));
    }
}

// -- Rig: bytes -----------------------------------------------------------------------------------

/// The message number `count` of a writer, of a length of its own; now and then a long one, which
/// a server does not copy.
fn numbered(writer: usize, count: usize) -> Message {
    let len = if count.is_multiple_of(97) {
        20_000
    } else {
        count % 300
    };
    let mut payload = vec![u8::try_from(writer).unwrap()];
    payload.extend(count.to_be_bytes());
    payload.resize(payload.len() + len, count.to_le_bytes()[0]);
    Message::from(payload)
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    /// Returns a number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// A frame as `role` sends it.
fn frame(role: Role, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let key = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
    let header = FrameHeader {
        fin,
        rsv: Rsv::NONE,
        opcode,
        mask: (role == Role::Client).then_some(key),
        payload_len: payload.len() as u64,
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    let mut payload = payload.to_vec();
    if role == Role::Client {
        mask(&mut payload, key, 0);
    }
    bytes.extend(payload);
    bytes
}

/// Reads a server's frame; `None` where the stream ends before one, or fails.
fn read_frame(stream: &mut TcpStream) -> Option<(Opcode, Vec<u8>)> {
    let mut head = Vec::new();
    let header = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
        if let Some(header) = FrameHeader::decode(&head).unwrap() {
            break header;
        }
    };
    assert_eq!(header.mask, None, "5.1: a server does not mask");
    let mut payload = vec![0; usize::try_from(header.payload_len).unwrap()];
    stream.read_exact(&mut payload).ok()?;
    Some((header.opcode, payload))
}

/// Reads a Close frame and returns its code.
fn read_close(stream: &mut TcpStream) -> Option<u16> {
    let (opcode, payload) = read_frame(stream)?;
    assert_eq!(opcode, Opcode::Close);
    CloseFrame::decode(&payload)
        .unwrap()
        .map(|frame| frame.code.get())
}

#[test]
fn two_ends_that_both_have_much_to_write_do_not_wait_for_each_other() {
    bounded(|| {
        const MESSAGES: usize = 3000;
        let mut config = Config::default();
        config.write_timeout = Some(20 * SHORT);
        let (stream, peer) = tcp_pair();
        // The peer echoes from one thread: it reads nothing while nobody reads it.
        let echo = thread::spawn(|| {
            let mut socket = WebSocket::from_parts(Parts {
                stream: peer,
                connection: Connection::new(Role::Client, Config::default().into()),
                input: RecvBuffer::new(),
                output: SendBuffer::new(),
            })
            .unwrap();
            while let Some(message) = socket.recv().unwrap() {
                socket.feed(message).unwrap();
            }
        });
        let (mut reader, writer) = from_parts(config, stream, b"").split().unwrap();
        let feeder = writer.clone();
        let feeding = thread::spawn(move || {
            for _ in 0..MESSAGES {
                feeder.feed(vec![7; 40_000]).unwrap();
            }
            feeder.flush().unwrap();
        });
        for _ in 0..MESSAGES {
            let message = reader.recv().unwrap().expect("an echo");
            assert_eq!(message.payload().len(), 40_000);
        }
        feeding.join().unwrap();
        let receiving = thread::spawn(move || reader.recv().unwrap());
        assert!(
            writer
                .close(CloseCode::NORMAL_CLOSURE, "")
                .unwrap()
                .is_clean()
        );
        assert_eq!(receiving.join().unwrap(), None);
        echo.join().unwrap();
    });
}

#[test]
fn closing_twice_without_a_reader_that_receives_ends_twice() {
    bounded(|| {
        let mut config = without_deadlines();
        config.close_timeout = Some(SHORT);
        let (stream, peer) = tcp_pair();
        let (reader, writer) = from_parts(config, stream, b"").split().unwrap();
        let first = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        assert_eq!(first.cause, EndCause::CloseTimeout);
        assert_eq!(writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap(), first);
        drop((reader, peer));
    });
}
