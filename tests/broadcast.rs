//! Messages to many async connections, none of which is waited for.

#![cfg(feature = "tokio")]

#[path = "support/scheduler.rs"]
mod scheduler;

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use framewright::asynchronous::{Broadcast, Membership, Reach, SlowPolicy};
use framewright::frame::Opcode;
use framewright::tokio::{Fed, Parts, WebSocket};
use framewright::{
    CloseCode, Config, Connection, MessageKind, PreparedMessage, RecvBuffer, Role, SendBuffer,
};
use tokio::io::{DuplexStream, duplex};

use scheduler::{
    Network, Scheduler, SimReader, SimStream, SimTransport, SimWriter, sleep, socket, with_seeds,
};

type Room = Broadcast<SimTransport>;

const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn a_broadcast_arrives_everywhere_in_order() {
    const MEMBERS: usize = 1000;
    const MESSAGES: usize = 20;
    block_on(async {
        let room = framewright::tokio::Broadcast::<DuplexStream>::new();
        let mut clients = Vec::new();
        for _ in 0..MEMBERS {
            let (here, there) = duplex(4096);
            let (mut reader, writer) = open(here, Role::Server).split();
            let membership = room.join(writer);
            tokio::spawn(async move {
                while let Ok(Some(_)) = reader.recv().await {}
                drop(membership);
            });
            clients.push(tokio::spawn(async move {
                let mut client = open(there, Role::Client);
                for number in 0..MESSAGES {
                    let message = client.recv().await.unwrap().unwrap();
                    assert_eq!(message, text_of(number).as_str().into());
                }
                client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap()
            }));
        }
        assert_eq!(room.len(), MEMBERS);
        for number in 0..MESSAGES {
            let reach = room.send(&PreparedMessage::text(text_of(number)));
            assert_eq!(reach.queued, MEMBERS);
            if number % 8 == 7 {
                tokio::task::yield_now().await;
            }
        }
        for client in clients {
            assert!(client.await.unwrap().is_clean());
        }
        // Every reader has seen the end, and its membership is dropped with it.
        while !room.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(room.send(&PreparedMessage::text("late")), Reach::default());
    });
}

#[test]
fn one_who_is_slow_misses_messages_and_holds_up_nobody() {
    with_slow_peer(SlowPolicy::Skip, |slow, reaches| {
        assert!(
            reaches
                .iter()
                .all(|reach| reach.queued + reach.skipped == 2)
        );
        assert!(reaches[MESSAGES - 1].skipped == 1, "{reaches:?}");
        // What the slow one has is what was queued for it, whole and in order.
        let count = reaches.iter().filter(|reach| reach.queued == 2).count();
        assert!(count < MESSAGES / 2, "its queue is bounded");
        let expected: Vec<_> = (0..MESSAGES)
            .filter(|&number| reaches[number].queued == 2)
            .map(|number| (Opcode::Text, text_of(number).into_bytes()))
            .collect();
        assert!(slow == expected);
    });
}

#[test]
fn one_who_is_slow_is_told_so_and_leaves() {
    with_slow_peer(SlowPolicy::default(), |slow, reaches| {
        let dropped = reaches.iter().position(|reach| reach.dropped == 1);
        let dropped = dropped.expect("it is too slow");
        for (number, reach) in reaches.iter().enumerate() {
            let queued = if number < dropped { 2 } else { 1 };
            assert_eq!(reach.queued, queued);
            assert_eq!(reach.dropped, usize::from(number == dropped));
        }
        let (last, before) = slow.split_last().expect("frames");
        assert_eq!(before.len(), dropped);
        assert_eq!(last.0, Opcode::Close);
        assert_eq!(last.1, b"\x03\xf5peer reads too slowly");
    });
}

const MESSAGES: usize = 60;

/// Broadcasts to one who reads and one who does not before the end, and passes on what that one
/// came to read and how far each message came.
fn with_slow_peer(policy: SlowPolicy, check: impl Fn(&[(Opcode, Vec<u8>)], &[Reach])) {
    with_seeds(20, |seed| {
        let mut world = Scheduler::new(seed);
        let room = Room::with_slow_policy(policy);
        let mut peers = Vec::new();
        for name in ["fast", "slow"] {
            let (peer, membership, reader, _) = member(&mut world, &room);
            peers.push(peer);
            world.spawn(format!("reader of {name}"), async move {
                receive_until_end(reader).await;
                drop(membership);
            });
        }
        let mut slow = peers.pop().expect("a peer");
        let mut fast = peers.pop().expect("a peer");
        let fast = world.spawn("fast peer", async move {
            for number in 0..MESSAGES {
                let (opcode, payload) = fast.read_frame().await.expect("a frame");
                assert_eq!(opcode, Opcode::Text);
                assert!(payload == text_of(number).into_bytes());
            }
        });
        let sent = world.spawn("broadcast", async move {
            let mut reaches = Vec::new();
            for number in 0..MESSAGES {
                reaches.push(room.send(&PreparedMessage::text(text_of(number))));
                sleep(Duration::from_millis(1)).await;
            }
            reaches
        });
        let slow = world.spawn("slow peer", async move {
            sleep(Duration::from_millis(200)).await;
            let mut frames = Vec::new();
            loop {
                let frame = scheduler::timeout(Duration::from_millis(50), slow.read_frame()).await;
                match frame {
                    Some(Some(frame)) => frames.push(frame),
                    Some(None) | None => break frames,
                }
            }
        });
        assert_eq!(world.run(AT_ONCE), Ok(()));
        fast.take();
        check(&slow.take(), &sent.take());
    });
}

#[test]
fn one_who_has_closed_leaves_at_the_next_message() {
    with_seeds(10, |seed| {
        let mut world = Scheduler::new(seed);
        let room = Room::new();
        let (_peer, _membership, reader, mut writer) = member(&mut world, &room);
        let (_other_peer, _other_membership, _other_reader, _) = member(&mut world, &room);
        let closed = world.spawn("member", async move {
            writer
                .send_close(CloseCode::NORMAL_CLOSURE, "")
                .await
                .unwrap();
            reader
        });
        assert_eq!(world.run(AT_ONCE), Ok(()));
        let _reader = closed.take();
        let reach = room.send(&PreparedMessage::text("a"));
        assert_eq!((reach.queued, reach.closed), (1, 1));
        assert_eq!(room.len(), 1);
        let reach = room.send(&PreparedMessage::text("a"));
        assert_eq!((reach.queued, reach.closed), (1, 0));
    });
}

#[test]
fn one_whose_transport_failed_leaves_at_the_next_message() {
    let mut world = Scheduler::new(1);
    let room = Room::new();
    let (peer, _membership, reader, _writer) = member(&mut world, &room);
    let read = world.spawn("reader", receive_until_end(reader));
    drop(peer);
    world.run_to_end();
    read.take();
    let reach = room.send(&PreparedMessage::text("a"));
    assert_eq!((reach.queued, reach.closed), (0, 1));
    assert!(room.is_empty());
}

#[test]
fn one_without_a_reader_leaves_once_it_is_full() {
    for policy in [SlowPolicy::Skip, SlowPolicy::Drop] {
        let mut world = Scheduler::new(1);
        let room = Room::with_slow_policy(policy);
        let (_peer, _membership, reader, _) = member(&mut world, &room);
        drop(reader);
        let sent = (0..100)
            .map(|number| room.send(&PreparedMessage::text(text_of(number))))
            .find(|reach| reach.queued == 0);
        assert_eq!(sent.map(|reach| reach.closed), Some(1));
        assert!(room.is_empty());
    }
}

#[test]
fn a_membership_that_is_dropped_leaves() {
    let mut world = Scheduler::new(1);
    let room = Room::new();
    let (_peer, membership, _reader, writer) = member(&mut world, &room);
    let (_other_peer, other, _other_reader, _) = member(&mut world, &room);
    let clone = room.clone();
    drop(membership);
    assert_eq!((room.len(), clone.len()), (1, 1));
    assert_eq!(room.send(&PreparedMessage::text("a")).queued, 1);
    assert_eq!(writer.buffered(), 0);
    drop(other);
    assert_eq!(room.send(&PreparedMessage::text("a")), Reach::default());
    assert!(clone.is_empty());
}

#[test]
fn a_member_may_send_to_all_but_itself() {
    let mut world = Scheduler::new(1);
    let room = Room::new();
    let (_peer, membership, _reader, writer) = member(&mut world, &room);
    let (_other_peer, _other, _other_reader, other_writer) = member(&mut world, &room);
    let reach = membership.send_to_others(&PreparedMessage::text("a"));
    assert_eq!(reach.queued, 1);
    assert_eq!((writer.buffered(), other_writer.buffered()), (0, 3));
}

#[test]
fn nothing_comes_between_the_fragments_of_a_member() {
    for policy in [SlowPolicy::Skip, SlowPolicy::Drop] {
        let mut world = Scheduler::new(1);
        let room = Room::with_slow_policy(policy);
        let (_peer, _membership, _reader, writer) = member(&mut world, &room);
        let fed = world.spawn("writer", async move {
            let mut writer = writer;
            let kind = MessageKind::Text;
            writer.feed_fragment(kind, b"a", false).await.unwrap();
            writer
        });
        world.run_to_end();
        let message = PreparedMessage::text("b");
        assert_eq!(room.send(&message).skipped, 1);
        let writer = fed.take();
        let fed = world.spawn("writer", async move {
            let mut writer = writer;
            let kind = MessageKind::Text;
            writer.feed_fragment(kind, b"c", true).await.unwrap();
        });
        world.run_to_end();
        fed.take();
        assert_eq!(room.send(&message).queued, 1);
    }
}

#[test]
fn who_is_woken_by_a_message_may_use_the_group() {
    // The scheduler's streams belong to one thread, and a waker to any.
    type Group = framewright::tokio::Broadcast<DuplexStream>;
    struct Waking {
        room: Group,
        membership: Mutex<Option<framewright::tokio::Membership<DuplexStream>>>,
        woken: AtomicUsize,
    }
    impl Wake for Waking {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Ordering::Relaxed);
            drop(self.membership.lock().unwrap().take());
            assert!(self.room.is_empty());
        }
    }
    let runtime = runtime();
    let _entered = runtime.enter();
    let (here, _there) = duplex(4096);
    let (mut reader, writer) = open(here, Role::Server).split();
    let room = Group::new();
    let waking = Arc::new(Waking {
        room: room.clone(),
        membership: Mutex::new(Some(room.join(writer))),
        woken: AtomicUsize::new(0),
    });
    let waker = Waker::from(Arc::clone(&waking));
    assert!(matches!(
        reader.poll_recv(&mut Context::from_waker(&waker)),
        Poll::Pending
    ));
    assert_eq!(room.send(&PreparedMessage::text("a")).queued, 1);
    assert_eq!(waking.woken.load(Ordering::Relaxed), 1);
}

#[test]
fn a_batch_is_written_at_once_and_wakes_nobody() {
    struct Woken(AtomicUsize);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    block_on(async {
        let (here, there) = duplex(4096);
        let (mut reader, writer) = open(here, Role::Server).split();
        let room = framewright::tokio::Broadcast::new();
        let membership = room.join(writer.clone());
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        assert!(matches!(
            reader.poll_recv(&mut Context::from_waker(&waker)),
            Poll::Pending
        ));
        let batch: Vec<_> = (0..8).map(|n| PreparedMessage::text(text_of(n))).collect();
        assert_eq!(
            membership.send_batch_to_others(&batch).await,
            Reach::default()
        );
        assert_eq!(room.send_batch(&batch).await.queued, 1);
        assert_eq!(writer.buffered(), 0);
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        // What was queued before leaves with it, in order.
        writer.try_feed("before").unwrap();
        assert_eq!(room.send_batch(&batch[..1]).await.queued, 1);
        assert_eq!(writer.buffered(), 0);
        let mut client = open(there, Role::Client);
        for number in 0..8 {
            let received = client.recv().await.unwrap();
            assert_eq!(received, Some(text_of(number).as_str().into()));
        }
        assert_eq!(client.recv().await.unwrap(), Some("before".into()));
        let received = client.recv().await.unwrap();
        assert_eq!(received, Some(text_of(0).as_str().into()));
    });
}

#[test]
fn a_task_that_has_polled_much_drops_nobody_who_reads() {
    const MEMBERS: usize = 300;
    block_on(async {
        let room = framewright::tokio::Broadcast::<DuplexStream>::new();
        let mut config = Config::default();
        config.write_high_water = 1000;
        let config = Arc::new(config);
        let _members: Vec<_> = (0..MEMBERS)
            .map(|_| {
                let (here, there) = duplex(64 << 10);
                let (reader, writer) = open_with(here, Role::Server, &config).split();
                (room.join(writer), reader, there)
            })
            .collect();
        // tokio lets a task poll its streams a hundred times before others have their turn.
        for number in 0..100 {
            let reach = room.send(&PreparedMessage::text(text_of(number)));
            assert_eq!(reach.queued, MEMBERS, "message {number}");
        }
    });
}

#[test]
fn while_a_batch_is_written_others_have_their_turn() {
    block_on(async {
        let room = framewright::tokio::Broadcast::<DuplexStream>::new();
        let _members: Vec<_> = (0..200)
            .map(|_| {
                let (here, there) = duplex(4096);
                let (reader, writer) = open(here, Role::Server).split();
                (room.join(writer), reader, there)
            })
            .collect();
        let turns = Arc::new(AtomicUsize::new(0));
        let turn = Arc::clone(&turns);
        // It is always ready; `tokio::task::yield_now` would be ready when nobody else is.
        let other = tokio::spawn(poll_fn(move |cx| {
            turn.fetch_add(1, Ordering::Relaxed);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let sender = tokio::spawn(async move {
            let reach = room.send_batch(&[PreparedMessage::text("a")]).await;
            (reach.queued, turns.load(Ordering::Relaxed))
        });
        let (queued, turns) = sender.await.unwrap();
        assert_eq!(queued, 200);
        assert!((5..=10).contains(&turns), "{turns} turns");
        other.abort();
    });
}

#[test]
fn of_a_batch_that_has_no_room_the_first_messages_arrive() {
    for policy in [SlowPolicy::Skip, SlowPolicy::Drop] {
        let mut world = Scheduler::new(1);
        let room = Room::with_slow_policy(policy);
        let (mut peer, _membership, reader, writer) = member(&mut world, &room);
        let batch: Vec<_> = (0..MESSAGES)
            .map(|number| PreparedMessage::text(text_of(number)))
            .collect();
        let sent = {
            let room = room.clone();
            world.spawn("batch", async move { room.send_batch(&batch).await })
        };
        world.run_to_end();
        let reach = sent.take();
        let is_dropped = policy == SlowPolicy::Drop;
        assert_eq!(reach.queued, 0);
        assert_eq!(reach.dropped, usize::from(is_dropped));
        assert_eq!(reach.skipped, usize::from(!is_dropped));
        assert_eq!(room.is_empty(), is_dropped);
        // No more than the high water and a message.
        assert!((2000..2400).contains(&writer.buffered()));
        // The reader, which is woken now that there is room again, writes the rest of what was
        // queued.
        world.spawn("reader", receive_until_end(reader));
        let read = world.spawn("peer", async move {
            let mut frames = Vec::new();
            let patience = Duration::from_millis(50);
            while let Some(Some(frame)) = scheduler::timeout(patience, peer.read_frame()).await {
                frames.push(frame);
            }
            frames
        });
        assert_eq!(world.run(AT_ONCE), Ok(()));
        let mut frames = read.take();
        if is_dropped {
            let close = frames.pop().expect("frames");
            assert_eq!(close.0, Opcode::Close);
        }
        assert!((12..MESSAGES / 2).contains(&frames.len()));
        for (number, (opcode, payload)) in frames.into_iter().enumerate() {
            assert_eq!(opcode, Opcode::Text);
            assert!(payload == text_of(number).into_bytes());
        }
    }
}

#[test]
fn a_writer_tries_prepared_messages_and_waits_with_them() {
    with_seeds(20, |seed| {
        let mut world = Scheduler::new(seed);
        let room = Room::new();
        let (mut peer, membership, reader, mut writer) = member(&mut world, &room);
        drop(membership);
        world.spawn("reader", receive_until_end(reader));
        let message = PreparedMessage::text(text_of(0));
        let sent = world.spawn("writer", async move {
            let mut sent = 0;
            writer.send_prepared(&message).await.unwrap();
            writer.feed_prepared(&message).await.unwrap();
            sent += 2;
            for _ in 0..20 {
                match writer.try_feed_prepared(&message).unwrap() {
                    Fed::Sent | Fed::Queued(_) => sent += 1,
                    Fed::Full(()) => break,
                }
            }
            assert!(sent < 20, "nobody reads");
            assert!(matches!(
                writer.try_send_prepared(&message),
                Ok(Fed::Full(()))
            ));
            sleep(Duration::from_millis(1)).await;
            writer.send_prepared(&message).await.unwrap();
            sent + 1
        });
        let received = world.spawn("peer", async move {
            sleep(Duration::from_millis(1)).await;
            let mut received = 0;
            loop {
                match scheduler::timeout(Duration::from_millis(50), peer.read_frame()).await {
                    Some(Some((Opcode::Text, payload))) => {
                        assert!(payload == text_of(0).into_bytes());
                        received += 1;
                    }
                    Some(frame) => panic!("{frame:?}"),
                    None => break received,
                }
            }
        });
        assert_eq!(world.run(AT_ONCE), Ok(()));
        assert_eq!(received.take(), sent.take());
    });
}

#[test]
fn a_websocket_that_is_whole_sends_prepared_messages_too() {
    block_on(async {
        let (here, there) = duplex(4096);
        let (mut client, mut server) = (open(here, Role::Client), open(there, Role::Server));
        let message = PreparedMessage::text(text_of(0));
        server.feed_prepared(&message).await.unwrap();
        assert!(matches!(
            server.try_feed_prepared(&message),
            Ok(Fed::Queued(_))
        ));
        server.send_prepared(&message).await.unwrap();
        assert_eq!(server.try_send_prepared(&message).unwrap(), Fed::Sent);
        for _ in 0..4 {
            let received = client.recv().await.unwrap();
            assert_eq!(received, Some(text_of(0).as_str().into()));
        }
    });
}

/// A member of the group, and its peer, which is written by hand.
fn member(
    world: &mut Scheduler,
    room: &Room,
) -> (SimStream, Membership<SimTransport>, SimReader, SimWriter) {
    let mut config = Config::default();
    config.ping_interval = None;
    config.write_high_water = 2000;
    let (peer, here) = world.streams(Network::even(2000));
    let (reader, writer) = socket(here, Role::Server, &config).split();
    (peer, room.join(writer.clone()), reader, writer)
}

async fn receive_until_end(mut reader: SimReader) {
    while let Ok(Some(_)) = reader.recv().await {}
}

fn open(stream: DuplexStream, role: Role) -> WebSocket<DuplexStream> {
    open_with(stream, role, &Arc::default())
}

fn open_with(stream: DuplexStream, role: Role, config: &Arc<Config>) -> WebSocket<DuplexStream> {
    WebSocket::from_parts(Parts {
        stream,
        connection: Connection::new(role, Arc::clone(config)),
        input: RecvBuffer::new(),
        output: SendBuffer::new(),
    })
}

/// A message of some length that says which it is.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

fn block_on(test: impl Future<Output = ()>) {
    runtime().block_on(test);
}

fn text_of(number: usize) -> String {
    format!("{number:0>300}")
}
