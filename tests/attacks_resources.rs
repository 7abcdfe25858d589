//! Attacks on the memory and the patience of a server, each against both adapters, with the memory
//! of the server's thread counted: floods, drips, promises, and peers that never read.
//!
//! Over Unix sockets, which hold little: that a peer does not read is noticed after kilobytes of
//! answers, and not after the megabytes that TCP takes on loopback.
//!
//! RFC 6455, section 10.4. Which advisory each test is for is in ATTACKS.md.

#![cfg(all(unix, feature = "blocking", feature = "tokio"))]

#[path = "support/allocator.rs"]
mod allocator;
mod support;
#[path = "support/victim.rs"]
mod victim;

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use framewright::blocking::Error;
use framewright::{
    CloseCode, Config, End, EndCause, HandshakeError, Message, ProtocolError, Role, blocking,
    tokio as asynchronous,
};

use allocator::{Usage, measure};
use support::*;
use victim::UPGRADE;

const KIB: usize = 1 << 10;

/// What a connection may hold that holds no message: the window that it reads into, twice where it
/// grows, what it waits to write, and itself.
const FLAT: usize = 100 * KIB;

/// Longer than anything here waits for a machine, and not long.
const SHORT: Duration = Duration::from_millis(400);

// -- Promises and drips ---------------------------------------------------------------------------

#[test]
fn a_promise_of_16_mib_takes_no_more_than_what_comes_of_it() {
    // A library that trusts the length has this many times sixteen megabytes.
    let begun = frame(BINARY, [1; 100]).claiming(16 << 20);
    let wire = sent_by(Role::Client, &[begun]);
    for toll in attacked(&Config::default(), Manner::Receives, |mut peer| {
        peer.write_all(&wire)?;
        // Long enough that the server waits for more.
        thread::sleep(Duration::from_millis(50));
        peer.shutdown(Shutdown::Write)
    }) {
        assert_eq!(
            (toll.messages, toll.cause()),
            (0, Some(EndCause::EndOfStream))
        );
        assert!(toll.usage.peak <= FLAT, "{toll:?}");
        toll.assert_gave_back();
    }
}

#[test]
fn a_frame_that_comes_byte_by_byte_costs_no_memory_for_each() {
    let wire = sent_by(Role::Client, &[frame(BINARY, [1; 5000])]);
    for toll in attacked(&Config::default(), Manner::Receives, |mut peer| {
        for byte in &wire {
            peer.write_all(&[*byte])?;
        }
        peer.shutdown(Shutdown::Write)
    }) {
        assert_eq!((toll.messages, toll.received), (1, 5000));
        assert!(toll.usage.peak <= FLAT, "{toll:?}");
        assert!(toll.usage.calls <= 100, "{toll:?}");
        // What is moved when a buffer grows is moved a few times, and not at each byte.
        assert!(toll.usage.moved <= FLAT, "{toll:?}");
    }
}

#[test]
fn fragments_of_a_byte_take_no_more_than_a_message_in_one_frame() {
    const FRAGMENTS: usize = 131_072;
    let mut frames = vec![fragment(CONTINUATION, "a"); FRAGMENTS];
    frames[0].opcode = BINARY;
    frames[FRAGMENTS - 1].fin = true;
    let wire = sent_by(Role::Client, &frames);
    for toll in attacked(&Config::default(), Manner::Receives, |mut peer| {
        peer.write_all(&wire)?;
        peer.shutdown(Shutdown::Write)
    }) {
        assert_eq!((toll.messages, toll.received), (1, FRAGMENTS));
        // The message, grown by doubling, and not an object for each of its parts.
        assert!(toll.usage.peak <= FLAT + 3 * FRAGMENTS, "{toll:?}");
        assert!(toll.usage.calls <= 200, "{toll:?}");
        toll.assert_gave_back();
    }
}

#[test]
fn fragments_without_end_fail_at_their_number_and_take_nothing() {
    let mut frames = vec![fragment(CONTINUATION, ""); 131_073];
    frames[0].opcode = TEXT;
    let wire = sent_by(Role::Client, &frames);
    for toll in attacked(&Config::default(), Manner::Receives, |mut peer| {
        let _ = peer.write_all(&wire);
        let _ = peer.shutdown(Shutdown::Write);
        assert_eq!(close_code_of(&read_frames(&mut peer)?), Some(1008));
        Ok(())
    }) {
        toll.assert_failed(ProtocolError::TooManyFragments);
        assert!(toll.usage.peak <= FLAT, "{toll:?}");
    }
}

#[test]
fn a_head_without_end_takes_no_more_than_its_limit() {
    for (line, status) in [("X: y\r\n", "431"), ("X", "431"), ("GET /", "414")] {
        let start = if status == "414" {
            ""
        } else {
            "GET / HTTP/1.1\r\n"
        };
        let endless = [start, &line.repeat(400_000 / line.len())].concat();
        for toll in besieged(&Config::default(), Manner::Receives, |mut peer| {
            let _ = peer.write_all(endless.as_bytes());
            let _ = peer.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            peer.read_to_end(&mut answer)?;
            assert_eq!(answer.get(9..12), Some(status.as_bytes()));
            Ok(())
        }) {
            assert!(matches!(toll.error, Some(Error::Handshake(_))), "{toll:?}");
            assert!(toll.usage.peak <= FLAT, "{toll:?}");
            toll.assert_gave_back();
        }
    }
}

#[test]
fn a_head_that_drips_ends_at_the_deadline_that_no_byte_extends() {
    let mut config = Config::default();
    config.handshake_timeout = Some(SHORT);
    config.close_timeout = Some(SHORT);
    for toll in besieged(&config, Manner::Receives, |mut peer| {
        // Nine times as long as there is time for.
        for byte in UPGRADE {
            if peer.write_all(&[*byte]).is_err() {
                break;
            }
            thread::sleep(SHORT / 20);
        }
        Ok(())
    }) {
        let timed_out = matches!(toll.error, Some(Error::Handshake(HandshakeError::TimedOut)));
        assert!(timed_out, "{toll:?}");
        assert!(toll.elapsed < 20 * SHORT, "{toll:?}");
        assert!(toll.usage.peak <= FLAT, "{toll:?}");
    }
}

// -- Floods, and peers that never read ------------------------------------------------------------

#[test]
fn pings_whose_pongs_nobody_reads_stop_being_read() {
    let mut config = Config::default();
    config.write_timeout = Some(SHORT);
    let pings = sent_by(Role::Client, &vec![frame(PING, [7; 125]); 500]);
    for toll in attacked(&config, Manner::Receives, |mut peer| {
        // Until the server is gone.
        while peer.write_all(&pings).is_ok() {}
        Ok(())
    }) {
        assert!(matches!(toll.error, Some(Error::WriteTimeout)), "{toll:?}");
        assert_eq!(toll.cause(), Some(EndCause::Transport));
        assert!(toll.usage.peak <= FLAT, "{toll:?}");
        toll.assert_gave_back();
    }
}

#[test]
fn a_hundred_thousand_pings_that_are_read_are_no_burden() {
    let pings = sent_by(Role::Client, &vec![frame(PING, "7"); 1000]);
    let close = sent_by(Role::Client, &[frame(CLOSE, close_payload(1000, b""))]);
    for toll in attacked(&Config::default(), Manner::Receives, |peer| {
        let mut sending = peer.try_clone()?;
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..100 {
                    sending.write_all(&pings).expect("a server that reads");
                }
                sending.write_all(&close).expect("a server that reads");
            });
            let mut peer = peer;
            let frames = read_frames(&mut peer)?;
            // 5.5.3: of pings that come before a pong is out, only the last need be answered.
            assert!(frames.len() <= 100_001);
            assert!(
                frames
                    .iter()
                    .all(|frame| frame.payload == b"7" || frame.opcode == CLOSE)
            );
            assert_eq!(close_code_of(&frames), Some(1000));
            Ok(())
        })
    }) {
        assert!(toll.end.as_ref().is_some_and(End::is_clean), "{toll:?}");
        assert!(toll.usage.peak <= FLAT, "{toll:?}");
    }
}

#[test]
fn pongs_that_nobody_asked_for_are_answered_by_nothing() {
    let pongs = sent_by(Role::Client, &vec![frame(PONG, [7; 125]); 10_000]);
    for toll in attacked(&Config::default(), Manner::Receives, |mut peer| {
        peer.write_all(&pongs)?;
        peer.shutdown(Shutdown::Write)?;
        assert_eq!(read_frames(&mut peer)?, []);
        Ok(())
    }) {
        assert_eq!(
            (toll.messages, toll.cause()),
            (0, Some(EndCause::EndOfStream))
        );
        assert!(toll.usage.peak <= FLAT, "{toll:?}");
    }
}

#[test]
fn what_a_peer_never_reads_is_bounded_and_ends_by_write_timeout() {
    let mut config = Config::default();
    config.write_timeout = Some(SHORT);
    let message = sent_by(Role::Client, &[frame(BINARY, vec![1; 10_000])]);
    for manner in [Manner::Shouts, Manner::Echoes] {
        for toll in attacked(&config, manner, |mut peer| {
            while peer.write_all(&message).is_ok() {}
            Ok(())
        }) {
            assert!(matches!(toll.error, Some(Error::WriteTimeout)), "{toll:?}");
            // The high water, twice where the buffer grew, and a message.
            let most = FLAT + 2 * config.write_high_water + 4 * 10_000;
            assert!(toll.usage.peak <= most, "{toll:?}");
            toll.assert_gave_back();
        }
    }
}

#[test]
fn a_flood_in_answer_to_our_close_ends_by_close_timeout() {
    let mut config = Config::default();
    config.close_timeout = Some(SHORT);
    let messages = sent_by(Role::Client, &vec![frame(BINARY, vec![1; 1000]); 50]);
    for toll in attacked(&config, Manner::Leaves, |mut peer| {
        while peer.write_all(&messages).is_ok() {}
        Ok(())
    }) {
        // Never answered: or the flood ended it, where the transport was dropped in its midst.
        assert!(
            toll.end.as_ref().is_some_and(|end| !end.is_clean()),
            "{toll:?}"
        );
        assert!(toll.elapsed < 20 * SHORT, "{toll:?}");
        assert!(toll.usage.peak <= FLAT, "{toll:?}");
    }
}

#[test]
fn a_flood_behind_both_closes_is_drained_only_so_far() {
    let mut config = Config::default();
    config.max_drain_len = 64 << 10;
    config.close_timeout = Some(20 * SHORT);
    let close = sent_by(Role::Client, &[frame(CLOSE, close_payload(1000, b""))]);
    for toll in attacked(&config, Manner::Receives, |mut peer| {
        peer.write_all(&close)?;
        while peer.write_all(&[0; 10_000]).is_ok() {}
        Ok(())
    }) {
        assert!(toll.end.as_ref().is_some_and(End::is_clean), "{toll:?}");
        assert!(
            toll.elapsed < 15 * SHORT,
            "not until close_timeout: {toll:?}"
        );
        assert!(toll.usage.peak <= FLAT, "{toll:?}");
    }
}

// -- The transport --------------------------------------------------------------------------------

#[test]
fn a_message_behind_which_the_peer_shuts_down_is_answered() {
    for len in [5, 100_000] {
        let wire = sent_by(Role::Client, &[frame(BINARY, vec![1; len])]);
        for toll in attacked(&Config::default(), Manner::Echoes, |mut peer| {
            peer.write_all(&wire)?;
            peer.shutdown(Shutdown::Write)?;
            assert!(read_frames(&mut peer)? == [frame(BINARY, vec![1; len])]);
            Ok(())
        }) {
            assert_eq!((toll.messages, toll.received), (1, len));
            assert_eq!(toll.cause(), Some(EndCause::EndOfStream));
        }
    }
}

#[test]
fn a_reset_anywhere_is_an_end_of_its_own_and_delivers_no_part_of_a_message() {
    let frames = [
        frame(BINARY, [1; 10]),
        frame(PING, "7"),
        fragment(BINARY, [2; 200]),
        frame(CONTINUATION, [3; 10]),
    ];
    let wire = sent_by(Role::Client, &frames);
    for cut in (0..=wire.len()).step_by(3) {
        for toll in besieged(&Config::default(), Manner::Receives, |mut peer| {
            peer.write_all(UPGRADE)?;
            peer.write_all(&wire[..cut])?;
            // To close with bytes unread is to reset.
            peer.read_exact(&mut [0; 100])?;
            drop(peer);
            Ok(())
        }) {
            let received = [0, 10, 10 + 210][toll.messages];
            assert_eq!(toll.received, received, "cut at {cut}: {toll:?}");
            let ended = match &toll.error {
                None => toll.cause() == Some(EndCause::EndOfStream),
                Some(Error::Io(error)) => is_reset(error) && toll.code() != Some(1000),
                Some(_) => false,
            };
            assert!(ended, "cut at {cut}: {toll:?}");
        }
    }
}

// -- Rig ------------------------------------------------------------------------------------------

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Receives,
    Echoes,
    /// It sends without end, and receives nothing.
    Shouts,
    /// It closes at once.
    Leaves,
}

/// What an attack cost the server, and how it ended.
#[derive(Debug, Default)]
struct Toll {
    messages: usize,
    /// The bytes of all messages.
    received: usize,
    error: Option<Error>,
    end: Option<End>,
    usage: Usage,
    elapsed: Duration,
}

impl Toll {
    fn take(&mut self, message: &Message) {
        if let Message::Text(_) | Message::Binary(_) = message {
            self.messages += 1;
            self.received += message.payload().len();
        }
    }

    fn cause(&self) -> Option<EndCause> {
        self.end.as_ref().map(|end| end.cause)
    }

    fn code(&self) -> Option<u16> {
        self.end.as_ref().map(End::code)
    }

    fn assert_failed(&self, expected: ProtocolError) {
        let failed = matches!(self.error, Some(Error::Protocol(error)) if error == expected);
        assert!(failed, "{self:?}");
    }

    /// Asserts that nothing is kept but windows for whoever comes next on this thread.
    fn assert_gave_back(&self) {
        assert!(self.usage.held <= FLAT.cast_signed(), "{self:?}");
    }
}

/// Attacks servers of both adapters once their connections are open.
fn attacked(
    config: &Config,
    manner: Manner,
    attack: impl Fn(UnixStream) -> io::Result<()> + Sync,
) -> [Toll; 2] {
    besieged(config, manner, |mut peer| {
        peer.write_all(UPGRADE)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            peer.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        attack(peer)
    })
}

/// Attacks servers of both adapters from the first byte on.
fn besieged(
    config: &Config,
    manner: Manner,
    attack: impl Fn(UnixStream) -> io::Result<()> + Sync,
) -> [Toll; 2] {
    let serves: [fn(&Config, Manner, UnixStream) -> Toll; 2] = [serve_blocking, serve_tokio];
    serves.map(|serve| {
        let (peer, stream) = socket_pair();
        thread::scope(|scope| {
            let attacker = scope.spawn(|| attack(peer));
            let started = Instant::now();
            let mut toll = serve(config, manner, stream);
            toll.elapsed = started.elapsed();
            let attacked = attacker.join().expect("no panic");
            attacked.expect("an attack that could be made");
            toll
        })
    })
}

/// Two ends of a Unix socket.
fn socket_pair() -> (UnixStream, UnixStream) {
    let (peer, stream) = UnixStream::pair().expect("a socket");
    // A test that hangs fails.
    let patience = Some(Duration::from_secs(30));
    peer.set_read_timeout(patience).expect("a timeout");
    peer.set_write_timeout(patience).expect("a timeout");
    (peer, stream)
}

fn serve_blocking(config: &Config, manner: Manner, stream: UnixStream) -> Toll {
    let mut toll = Toll::default();
    let usage = measure(|| {
        let server = blocking::Server::new().config(config.clone());
        toll.error = match server.accept(stream) {
            Ok(mut socket) => {
                let conversed = converse(&mut socket, manner, &mut toll);
                toll.end = socket.end().cloned();
                conversed.err()
            }
            Err(error) => Some(error),
        };
    });
    Toll { usage, ..toll }
}

fn converse(
    socket: &mut blocking::WebSocket<UnixStream>,
    manner: Manner,
    toll: &mut Toll,
) -> Result<(), Error> {
    loop {
        match manner {
            Manner::Shouts => socket.send(vec![0; 10_000])?,
            Manner::Leaves => return socket.close(CloseCode::GOING_AWAY, "").map(drop),
            Manner::Receives | Manner::Echoes => {
                let Some(message) = socket.recv()? else {
                    return Ok(());
                };
                toll.take(&message);
                if manner == Manner::Echoes {
                    socket.send(message)?;
                }
            }
        }
    }
}

fn serve_tokio(config: &Config, manner: Manner, stream: UnixStream) -> Toll {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    stream.set_nonblocking(true).expect("a socket");
    let mut toll = Toll::default();
    let usage = measure(|| {
        runtime.block_on(async {
            let stream = tokio::net::UnixStream::from_std(stream).expect("a socket");
            let server = asynchronous::Server::new().config(config.clone());
            toll.error = match server.accept(stream).await {
                Ok(mut socket) => {
                    let conversed = converse_async(&mut socket, manner, &mut toll).await;
                    toll.end = socket.end().cloned();
                    conversed.err()
                }
                Err(error) => Some(error),
            };
        });
    });
    Toll { usage, ..toll }
}

async fn converse_async(
    socket: &mut asynchronous::WebSocket<tokio::net::UnixStream>,
    manner: Manner,
    toll: &mut Toll,
) -> Result<(), Error> {
    loop {
        match manner {
            Manner::Shouts => socket.send(vec![0; 10_000]).await?,
            Manner::Leaves => return socket.close(CloseCode::GOING_AWAY, "").await.map(drop),
            Manner::Receives | Manner::Echoes => {
                let Some(message) = socket.recv().await? else {
                    return Ok(());
                };
                toll.take(&message);
                if manner == Manner::Echoes {
                    socket.send(message).await?;
                }
            }
        }
    }
}

/// Reads to the end what the server sends.
fn read_frames(peer: &mut UnixStream) -> io::Result<Vec<RawFrame>> {
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes)?;
    Ok(frames_in(&bytes))
}

fn close_code_of(frames: &[RawFrame]) -> Option<u16> {
    let close = frames.iter().find(|frame| frame.opcode == CLOSE)?;
    close
        .payload
        .first_chunk()
        .map(|code| u16::from_be_bytes(*code))
}

fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionReset | BrokenPipe | ConnectionAborted
    )
}
