//! `Stream` and `Sink` of an async WebSocket and of its halves, and the combinators over them.

#![cfg(all(feature = "tokio", feature = "futures"))]

#[path = "support/scheduler.rs"]
mod scheduler;

use std::time::Duration;

use framewright::frame::Opcode;
use framewright::tokio::Error;
use framewright::{CloseCode, Config, Delivery, End, EndCause, Message, Role, SendError};
use futures_util::stream::FusedStream;
use futures_util::{Sink, SinkExt, Stream, StreamExt, TryStreamExt};

use scheduler::{
    Counter, Dice, Network, Scheduler, SimSocket, cancelled_at_random, now, sleep, socket, timeout,
    with_seeds, yield_now,
};

/// What is to happen without a deadline happens within this; all deadlines are later.
const AT_ONCE: Duration = Duration::from_secs(1);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

#[test]
fn messages_go_through_the_traits() {
    with_seeds(20, |seed| {
        let mut world = Scheduler::new(seed);
        let (mut client, server) = world.sockets(Network::moody(50), &Config::default());
        world.spawn("client", async move {
            client.feed(Message::text("one")).await.unwrap();
            SinkExt::send(&mut client, Message::binary(vec![2]))
                .await
                .unwrap();
            assert_eq!(client.next().await.unwrap().unwrap(), Message::text("ONE"));
            assert_eq!(
                client.try_next().await.unwrap(),
                Some(Message::binary(vec![2]))
            );
            SinkExt::close(&mut client).await.unwrap();
            assert!(client.next().await.is_none());
            assert!(client.end().unwrap().is_clean());
        });
        world.spawn("server", async move {
            let (mut reader, mut writer) = server.split();
            while let Some(message) = reader.next().await {
                let message = match message.unwrap() {
                    Message::Text(text) => Message::text(text.to_uppercase()),
                    message => message,
                };
                SinkExt::send(&mut writer, message).await.unwrap();
            }
            assert_eq!(reader.end().unwrap().code(), 1000);
        });
        assert_eq!(world.run(AT_ONCE), Ok(()));
    });
}

#[test]
fn no_wake_up_is_lost_between_the_halves_that_a_combinator_makes() {
    with_seeds(800, |seed| {
        let mut dice = Dice::new(seed);
        let mut world = Scheduler::new(seed);
        let capacity = dice.pick(&[1, 7, 60, 300, 2000]);
        let mut config = Config::default();
        config.write_high_water = dice.pick(&[0, 1, 30, 300, 3000, 128 << 10]);
        let network = match dice.one_in(4) {
            true => Network::even(capacity),
            false => Network::moody(capacity),
        };
        let (client, server) = world.sockets(network, &config);
        let counts = [1 + dice.roll(20), 1 + dice.roll(20)];
        let written = Counter::default();
        let closing = dice.roll(2);
        let longest = (capacity * 30).min(5000);
        for (number, socket) in [client, server].into_iter().enumerate() {
            let (sink, stream) = StreamExt::split(socket);
            let dice = Dice::new(dice.roll(1 << 40) as u64);
            let (mine, theirs) = (counts[number], counts[1 - number]);
            let (written, all) = (written.clone(), counts[0] + counts[1]);
            world.spawn(format!("sink of {number}"), {
                let (dice, is_closing) = (dice.clone(), number == closing);
                async move {
                    let mut sink = sink;
                    write(&mut sink, dice, mine, longest, &written).await;
                    written.reaches(all).await;
                    if is_closing {
                        sink.close().await.unwrap();
                    }
                }
            });
            world.spawn(format!("stream of {number}"), read(stream, dice, theirs));
        }
        let outcome = world.run(AT_ONCE);
        assert_eq!(outcome, Ok(()), "{counts:?} {network:?} {config:?}");
    });
}

/// Sends so many messages, each in one of the ways to do so, and flushes at the end.
async fn write(
    mut sink: impl Sink<Message, Error = Error> + Unpin,
    mut dice: Dice,
    count: usize,
    longest: usize,
    written: &Counter,
) {
    for number in 0..count {
        let mut payload = vec![u8::try_from(number).unwrap()];
        payload.resize(1 + dice.roll(longest), 7);
        let message = Message::binary(payload);
        match dice.roll(4) {
            0 => sink.send(message).await.unwrap(),
            1 => {
                sink.feed(message).await.unwrap();
                cancelled_at_random(&mut dice, sink.flush()).await;
            }
            2 => {
                sink.feed(message).await.unwrap();
                yield_now().await;
            }
            _ => sink.feed(message).await.unwrap(),
        }
    }
    // Until then the last one may be in the slot of a `SplitSink`.
    sink.flush().await.unwrap();
    written.add(count);
}

/// Receives so many messages, and the end.
async fn read(
    mut stream: impl Stream<Item = Result<Message, Error>> + Unpin,
    mut dice: Dice,
    count: usize,
) {
    let mut number = 0;
    loop {
        let received = match dice.one_in(3) {
            true => match cancelled_at_random(&mut dice, stream.next()).await {
                Some(received) => received,
                None => continue,
            },
            false => stream.next().await,
        };
        let Some(message) = received else { break };
        assert_eq!(usize::from(message.unwrap().payload()[0]), number);
        number += 1;
    }
    assert_eq!(number, count);
}

#[test]
fn a_stream_is_forwarded_into_its_own_sink() {
    for is_split_by_a_combinator in [true, false] {
        with_seeds(100, |seed| {
            let mut world = Scheduler::new(seed);
            let mut config = Config::default();
            config.write_high_water = 100;
            let (client, server) = world.sockets(Network::moody(60), &config);
            if is_split_by_a_combinator {
                let (sink, stream) = StreamExt::split(server);
                world.spawn("echo", async move {
                    stream.forward(sink).await.unwrap();
                });
            } else {
                let (reader, writer) = server.split();
                world.spawn("echo", async move {
                    reader.forward(writer).await.unwrap();
                });
            }
            let (sink, stream) = StreamExt::split(client);
            let dice = Dice::new(seed);
            let (written, echoed) = (Counter::default(), Counter::default());
            world.spawn("sink", {
                let (mut sink, dice, echoed) = (sink, dice.clone(), echoed.clone());
                async move {
                    write(&mut sink, dice, 50, 300, &written).await;
                    if is_split_by_a_combinator {
                        // The last one may be in the slot of a `SplitSink` until the Close comes.
                        echoed.reaches(50).await;
                    }
                    sink.close().await.unwrap();
                }
            });
            let stream = stream.inspect(move |_| echoed.add(1));
            world.spawn("stream", read(stream, dice, 50));
            assert_eq!(world.run(AT_ONCE), Ok(()));
        });
    }
}

#[test]
fn closing_the_sink_sends_one_close_and_waits_for_nobody() {
    with_server(|world, mut peer, mut server| {
        world.spawn("server", async move {
            SinkExt::close(&mut server).await.unwrap();
            // It may be closed twice, and sends no more.
            SinkExt::close(&mut server).await.unwrap();
            let late = SinkExt::send(&mut server, Message::text("late")).await;
            assert!(matches!(late, Err(Error::Send(SendError::Closing))));
            // What the peer sends before its Close is received.
            let message = server.next().await.unwrap().unwrap();
            assert_eq!(message, Message::text("meanwhile"));
            assert!(server.next().await.is_none());
            assert!(server.end().unwrap().is_clean());
            // And once more, when all is over.
            SinkExt::close(&mut server).await.unwrap();
        });
        world.spawn("peer", async move {
            let close = peer.read_frame().await.unwrap();
            assert_eq!(close, (Opcode::Close, b"\x03\xe8".to_vec()));
            for (opcode, payload) in [
                (Opcode::Text, &b"meanwhile"[..]),
                (Opcode::Close, b"\x03\xe8"),
            ] {
                peer.write_frame(Role::Client, opcode, payload)
                    .await
                    .unwrap();
            }
            assert_eq!(peer.read_frame().await, None);
        });
        AT_ONCE
    });
}

#[test]
fn a_peer_that_never_answers_is_left_by_a_stream_that_waits() {
    for is_split_by_a_combinator in [true, false] {
        with_server(|world, peer, server| {
            let started = now();
            let check = move |end: Option<End>| {
                assert_eq!(end.unwrap().cause, EndCause::CloseTimeout);
                let lasted = now().saturating_duration_since(started);
                assert!(lasted < CLOSE_TIMEOUT + Duration::from_millis(50));
                drop(peer);
            };
            if is_split_by_a_combinator {
                let (mut sink, mut stream) = StreamExt::split(server);
                let closed = world.spawn("sink", async move {
                    // The stream is waiting by now.
                    sleep(Duration::from_micros(100)).await;
                    sink.close().await.unwrap();
                    sink
                });
                world.spawn("stream", async move {
                    assert!(stream.next().await.is_none());
                    let server = stream.reunite(closed.take()).unwrap();
                    check(server.end().cloned());
                });
            } else {
                let (mut reader, mut writer) = server.split();
                world.spawn("sink", async move {
                    sleep(Duration::from_micros(100)).await;
                    SinkExt::close(&mut writer).await.unwrap();
                });
                world.spawn("stream", async move {
                    assert!(reader.next().await.is_none());
                    check(reader.end());
                });
            }
            CLOSE_TIMEOUT
        });
    }
}

#[test]
fn a_sink_flushes_what_is_its_own_while_another_feeds() {
    const FED: usize = 500;
    with_server(|world, mut peer, server| {
        let (mut reader, mut writer) = server.split();
        world.spawn(
            "reader",
            async move { while reader.next().await.is_some() {} },
        );
        let fed = Counter::default();
        let (counter, mut feeder) = (fed.clone(), writer.clone());
        world.spawn("feeder", async move {
            for _ in 0..FED {
                SinkExt::feed(&mut feeder, Message::binary(vec![7; 100]))
                    .await
                    .unwrap();
                counter.add(1);
                // More is fed than the peer takes: the queue is never empty.
                sleep(Duration::from_micros(50)).await;
            }
            SinkExt::flush(&mut feeder).await.unwrap();
        });
        world.spawn("flusher", async move {
            fed.reaches(20).await;
            for text in ["one", "two"] {
                // The second flush has a mark of its own.
                SinkExt::send(&mut writer, Message::text(text))
                    .await
                    .unwrap();
            }
            assert!(fed.get() < FED, "it waited for what came after it");
        });
        world.spawn("peer", async move {
            let mut texts = 0;
            for _ in 0..FED + 2 {
                texts += usize::from(peer.read_frame().await.unwrap().0 == Opcode::Text);
                sleep(Duration::from_micros(200)).await;
            }
            assert_eq!(texts, 2);
        });
        AT_ONCE
    });
}

#[test]
fn a_flush_that_was_dropped_leaves_nothing_out_of_the_next() {
    for feeds in 0..3 {
        with_server(|world, mut peer, server| {
            let (_reader, mut writer) = server.split();
            world.spawn("writer", async move {
                let mut other = writer.clone();
                writer.feed(vec![7; 3000]).await.unwrap();
                let flush = timeout(Duration::from_micros(50), SinkExt::flush(&mut writer));
                assert!(flush.await.is_none(), "nobody reads");
                match feeds {
                    0 => {
                        let fed = SinkExt::feed(&mut writer, Message::text("later"));
                        fed.await.unwrap();
                    }
                    1 => writer.feed("later").await.unwrap(),
                    _ => drop(writer.try_feed("later").unwrap()),
                }
                other.feed(vec![7; 3000]).await.unwrap();
                SinkExt::flush(&mut writer).await.unwrap();
                // All is written that was queued before it.
                assert_eq!(writer.buffered(), 0);
            });
            world.spawn("peer", async move {
                sleep(Duration::from_millis(1)).await;
                assert_eq!(peer.read_frame().await.unwrap().1.len(), 3000);
                assert_eq!(peer.read_frame().await.unwrap().1, b"later");
                assert_eq!(peer.read_frame().await.unwrap().1.len(), 3000);
            });
            AT_ONCE
        });
    }
}

#[test]
fn a_stream_is_terminated_once_the_connection_has_ended() {
    with_server(|world, mut peer, mut server| {
        world.spawn("peer", async move {
            peer.write_frame(Role::Client, Opcode::Text, b"one")
                .await
                .unwrap();
            peer.write_frame(Role::Client, Opcode::Close, b"")
                .await
                .unwrap();
            assert_eq!(peer.read_frame().await.unwrap().0, Opcode::Close);
        });
        world.spawn("server", async move {
            assert!(!server.is_terminated());
            assert!(server.next().await.unwrap().is_ok());
            assert!(!server.is_terminated());
            assert!(server.next().await.is_none());
            assert!(server.is_terminated());
            // It may be polled all the same.
            assert!(server.next().await.is_none());
        });
        AT_ONCE
    });
}

#[test]
fn a_stream_ends_after_its_error() {
    with_server(|world, mut peer, mut server| {
        world.spawn("peer", async move {
            // 5.1: a client masks.
            peer.write_frame(Role::Server, Opcode::Text, b"unmasked")
                .await
                .unwrap();
            let (opcode, payload) = peer.read_frame().await.unwrap();
            assert_eq!((opcode, &payload[..2]), (Opcode::Close, &b"\x03\xea"[..]));
        });
        world.spawn("server", async move {
            let error = server.next().await.unwrap();
            assert!(matches!(error, Err(Error::Protocol(_))), "{error:?}");
            assert!(server.next().await.is_none());
            assert!(server.is_terminated());
            let late = SinkExt::send(&mut server, Message::text("late")).await;
            assert!(matches!(late, Err(Error::Send(SendError::Closing))));
        });
        AT_ONCE
    });
}

#[test]
fn a_sink_whose_transport_fails_says_so() {
    with_server(|world, peer, server| {
        let (mut sink, mut stream) = StreamExt::split(server);
        world.spawn("stream", async move {
            // It ends, with the error or after the sink had it.
            let ended = stream.next().await;
            assert!(matches!(ended, None | Some(Err(Error::Io(_)))), "{ended:?}");
        });
        world.spawn("sink", async move {
            let outcome = sink.send(Message::binary(vec![7; 10_000])).await;
            assert!(matches!(outcome, Err(Error::Io(_))), "{outcome:?}");
        });
        world.spawn("peer", async move {
            sleep(Duration::from_millis(1)).await;
            peer.fault().fail(std::io::ErrorKind::ConnectionReset);
            sleep(Duration::from_millis(1)).await;
        });
        AT_ONCE
    });
}

#[test]
fn a_stream_of_messages_refuses_chunks() {
    with_seeds(1, |seed| {
        let mut world = Scheduler::new(seed);
        let mut config = Config::default();
        config.delivery = Delivery::Chunks;
        let (mut client, server) = world.sockets(Network::even(100), &config);
        world.spawn("client", async move {
            let refused = client.next().await;
            assert!(matches!(refused, Some(Err(Error::DeliveryIsChunks))));
            drop(server);
        });
        assert_eq!(world.run(AT_ONCE), Ok(()));
    });
}

#[test]
fn a_close_with_a_code_goes_through_the_sink() {
    with_server(|world, mut peer, mut server| {
        world.spawn("server", async move {
            let frame = framewright::CloseFrame {
                code: CloseCode::GOING_AWAY,
                reason: "later".into(),
            };
            SinkExt::send(&mut server, Message::Close(Some(frame)))
                .await
                .unwrap();
            SinkExt::close(&mut server).await.unwrap();
        });
        world.spawn("peer", async move {
            let close = peer.read_frame().await.unwrap();
            assert_eq!(close, (Opcode::Close, b"\x03\xe9later".to_vec()));
            assert_eq!(peer.read_frame().await, None);
        });
        AT_ONCE
    });
}

/// Runs tasks about a server whose client is written by hand, with some seeds; they say how long
/// they may wait for a deadline. No deadline comes before the connection closes.
fn with_server(spawn: impl Fn(&mut Scheduler, scheduler::SimStream, SimSocket) -> Duration) {
    with_seeds(10, |seed| {
        let mut world = Scheduler::new(seed);
        let network = match seed % 2 {
            0 => Network::even(1000),
            _ => Network::moody(1000),
        };
        let (peer, here) = world.streams(network);
        let mut config = Config::default();
        config.ping_interval = None;
        let horizon = spawn(&mut world, peer, socket(here, Role::Server, &config));
        assert_eq!(world.run(horizon), Ok(()));
    });
}
