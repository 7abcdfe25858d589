//! The patience of the async adapter: with slow peers, with tasks beside it, and without a runtime.

#![cfg(feature = "tokio")]

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use framewright::tokio::{Fed, Parts, WebSocket};
use framewright::{Config, Connection, Message, RecvBuffer, Role, SendBuffer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::task::consume_budget;
use tokio::time::{Instant, sleep, timeout};

fn socket<S: AsyncRead + AsyncWrite + Unpin>(role: Role, stream: S) -> WebSocket<S> {
    WebSocket::from_parts(Parts {
        stream,
        connection: Connection::new(role, Config::default().into()),
        input: RecvBuffer::new(),
        output: SendBuffer::new(),
    })
}

/// Reads 16 KiB every 100 ms and counts, until `len` bytes came.
async fn read_slowly(stream: &mut DuplexStream, len: usize) -> usize {
    let mut room = vec![0; 16 << 10];
    let mut received = 0;
    while received < len {
        sleep(Duration::from_millis(100)).await;
        match stream.read(&mut room).await {
            Ok(0) | Err(_) => break,
            Ok(len) => received += len,
        }
    }
    received
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_and_steadily_is_not_given_up() {
    const LEN: usize = 8 << 20;
    // It takes more than 50 s, and the peer sees no Ping before the message is through.
    let (near, mut far) = duplex(16 << 10);
    let (mut reader, mut writer) = socket(Role::Server, near).split();
    let receiving =
        tokio::spawn(async move { reader.recv().await.map_err(|error| error.to_string()) });
    let sending = tokio::spawn(async move { writer.send(Message::binary(vec![1; LEN])).await });
    let started = Instant::now();
    // A header of ten bytes, and perhaps Pings.
    assert!(read_slowly(&mut far, LEN + 10).await >= LEN + 10);
    assert!(started.elapsed() > Duration::from_secs(45));
    sending.await.unwrap().unwrap();
    receiving.abort();
    assert!(receiving.await.is_err(), "it was waiting all the time");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_is_given_up_by_the_write_timeout() {
    let (near, far) = duplex(16 << 10);
    let (mut reader, mut writer) = socket(Role::Server, near).split();
    let receiving = tokio::spawn(async move { reader.recv().await.is_err() });
    let sending = tokio::spawn(async move { writer.send(Message::binary(vec![1; 1 << 20])).await });
    let started = Instant::now();
    assert!(sending.await.unwrap().is_err());
    assert_eq!(started.elapsed().as_secs(), 30);
    receiving.await.unwrap();
    drop(far);
}

/// A peer that sends Pings without end, and takes every answer.
struct PingsWithoutEnd {
    reads: usize,
}

impl AsyncRead for PingsWithoutEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.reads += 1;
        assert!(this.reads < 1000, "one poll goes on and on");
        while room.remaining() >= 6 {
            room.put_slice(b"\x89\x80\0\0\0\0");
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PingsWithoutEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_peer_that_sends_without_end_leaves_others_their_turn() {
    let mut server = socket(Role::Server, PingsWithoutEnd { reads: 0 });
    let mut receiving = pin!(server.recv());
    for _ in 0..10 {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(receiving.as_mut().poll(&mut cx).is_pending());
    }
}

/// Waits for the Ping that asks for a sign of life after 20 s.
async fn receive_ping(far: &mut DuplexStream) {
    let mut ping = [0; 6];
    let read = timeout(Duration::from_secs(21), far.read_exact(&mut ping)).await;
    read.expect("a Ping in time").unwrap();
    assert_eq!(ping[..2], [0x89, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_wakes_whoever_waits_now() {
    let (near, mut far) = duplex(1 << 10);
    let mut server = socket(Role::Server, near);
    for _ in 0..2 {
        // Somebody waited, and does no more.
        let polled = pin!(server.recv()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    let serving =
        tokio::spawn(async move { server.recv().await.map_err(|error| error.to_string()) });
    receive_ping(&mut far).await;
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_deadline_wakes_a_task_that_did_much_in_its_turn() {
    // tokio tells a task to wait that did 128 things.
    for done in 120..=130 {
        let (near, mut far) = duplex(1 << 10);
        let mut server = socket(Role::Server, near);
        let serving = tokio::spawn(async move {
            for _ in 0..done {
                consume_budget().await;
            }
            server.recv().await.map_err(|error| error.to_string())
        });
        receive_ping(&mut far).await;
        serving.abort();
    }
}

#[test]
fn a_try_needs_no_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (near, _far) = duplex(1 << 10);
    let mut server = {
        let _entered = runtime.enter();
        socket(Role::Server, near)
    };
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        outcomes.push(server.try_send(vec![0; 60_000]).unwrap());
    }
    assert!(matches!(outcomes[0], Fed::Queued(_)));
    assert!(matches!(outcomes[4], Fed::Full(_)));
}

#[tokio::test(start_paused = true)]
async fn a_try_behind_a_poll_by_hand_keeps_the_task() {
    let (near, mut far) = duplex(1 << 10);
    let mut server = socket(Role::Server, near);
    let mut is_sent = false;
    let served = tokio::spawn(async move {
        poll_fn(|cx| {
            let received = server.poll_recv(cx);
            if !is_sent {
                is_sent = true;
                let fed = server.try_send(vec![0; 10_000]).unwrap();
                assert!(matches!(fed, Fed::Queued(_)));
            }
            ready!(received).unwrap();
            Poll::Ready(())
        })
        .await;
    });
    let mut received = vec![0; 10_004];
    far.read_exact(&mut received).await.unwrap();
    drop(far);
    served.await.unwrap();
}

#[tokio::test]
async fn much_that_is_fed_leaves_at_once() {
    let (near, mut far) = duplex(1 << 20);
    let mut server = socket(Role::Server, near);
    server.feed(vec![0; 60_000]).await.unwrap();
    assert_eq!(server.buffered(), 60_004);
    server.feed(vec![0; 60_000]).await.unwrap();
    assert_eq!(server.buffered(), 0);
    let mut received = vec![0; 120_008];
    far.read_exact(&mut received).await.unwrap();
}
