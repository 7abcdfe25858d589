//! The test kit, and every case of its corpora against the core and the adapters.

#![cfg(feature = "test-util")]

use std::io::ErrorKind;
use std::time::Duration;

use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, Request, ServerHandshake,
};
use framewright::test_util::{
    Endpoint, Fault, IllegalFrames, OpenError, Pair, Split, Wire, illegal_frames, illegal_requests,
    illegal_responses, stream_pair,
};
use framewright::{
    Config, Delivery, EndCause, HandshakeError, Message, ProtocolError, RecvBuffer, Role,
    SendBuffer, SendError, State,
};

// -- The corpora ----------------------------------------------------------------------------------

#[test]
fn every_illegal_frame_fails_the_core_in_every_split() {
    for case in illegal_frames() {
        for split in Split::ALL {
            let mut victim = Endpoint::new(case.connection());
            assert_eq!(victim.connection.role(), case.victim);
            victim.receive(&case.bytes, split);
            let told = told(&case, split);
            assert_eq!(victim.error(), Some(case.error), "{told}");
            assert_eq!(victim.take_received(), [], "{told}");
            assert_eq!(victim.connection.state(), State::Closed, "{told}");
            assert_closed(&case, &victim.take_output(), &told);
        }
    }
}

#[test]
fn there_is_an_illegal_frame_for_every_protocol_error() {
    let cases = illegal_frames();
    for victim in [Role::Client, Role::Server] {
        let has = |error: ProtocolError| {
            cases.iter().any(|case| {
                case.victim == victim
                    && std::mem::discriminant(&case.error) == std::mem::discriminant(&error)
            })
        };
        for error in PROTOCOL_ERRORS {
            let is_of_the_other = match victim {
                Role::Client => error == ProtocolError::MaskMissing,
                Role::Server => error == ProtocolError::MaskUnexpected,
            };
            let needs_deflate = error == ProtocolError::CompressedDataInvalid;
            let is_there = !is_of_the_other && (!needs_deflate || cfg!(feature = "deflate"));
            assert_eq!(has(error), is_there, "{error:?} to a {victim:?}");
        }
    }
    let mut names: Vec<_> = cases.iter().map(|case| (case.victim, &case.name)).collect();
    let count = names.len();
    names.sort_by_key(|(victim, name)| (*victim == Role::Client, *name));
    names.dedup();
    assert_eq!(names.len(), count, "names are distinct");
}

#[test]
fn every_illegal_request_is_refused_by_the_core_in_every_split() {
    for case in illegal_requests() {
        for split in Split::ALL {
            let mut server = ServerHandshake::new(Config::default().into());
            let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
            let mut error = None;
            for piece in split.pieces(&case.bytes) {
                input.extend(piece);
                match server.receive(&mut input) {
                    Ok(None) => continue,
                    Ok(Some(Request::Plain(request))) => {
                        request.refuse(&mut output);
                        error = Some(HandshakeError::NotAnUpgrade);
                    }
                    Ok(Some(Request::Upgrade(_))) => panic!("{} is accepted", case.name),
                    Err(refused) => {
                        refused.respond(&mut output);
                        error = Some(refused);
                    }
                }
                break;
            }
            assert_eq!(error, Some(case.error.clone()), "{}, {split:?}", case.name);
            assert_eq!(status_of(&output.to_vec()), case.status, "{}", case.name);
        }
    }
}

#[test]
fn every_illegal_response_is_refused_by_the_core_in_every_split() {
    for case in illegal_responses() {
        for split in Split::ALL {
            let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
            let config = Config::default().into();
            let mut client = ClientHandshake::start(&request(), config, [7; 16], &mut output);
            let answer = case.answer(&output.to_vec());
            let mut error = None;
            for piece in split.pieces(&answer) {
                input.extend(piece);
                match client.receive(&mut input) {
                    Ok(None) => {}
                    Ok(Some(_)) => panic!("{} is accepted", case.name),
                    Err(refused) => {
                        error = Some(refused);
                        break;
                    }
                }
            }
            let error = error.unwrap_or_else(|| client.receive_eof());
            assert_eq!(error, case.error, "{}, {split:?}", case.name);
        }
    }
}

/// A request and an answer without fault pass: what the corpora change is what is refused.
#[test]
fn what_the_corpora_change_is_accepted_unchanged() {
    let acceptance = Acceptance::new();
    let pair = Pair::open(&request(), acceptance, &Config::default());
    assert_eq!(
        pair.map(|pair| pair.client.connection.state()).ok(),
        Some(State::Open)
    );
}

#[cfg(feature = "blocking")]
mod blocking_adapter {
    use std::io::{Read, Write};
    use std::thread;

    use framewright::CloseCode;
    use framewright::blocking::{Client, Error, Parts, Server, WebSocket};
    use framewright::test_util::MemoryStream;

    use super::*;

    #[test]
    fn every_illegal_frame_fails_it_in_every_split() {
        for case in illegal_frames() {
            for split in Split::ALL {
                let told = told(&case, split);
                let (mut attacker, stream) = stream_pair(Wire::new().reads(split), Wire::new());
                attacker.write_all(&case.bytes).unwrap();
                attacker.control().resume();
                let mut socket = WebSocket::from_parts(Parts {
                    stream,
                    connection: case.connection(),
                    input: RecvBuffer::new(),
                    output: SendBuffer::new(),
                })
                .unwrap();
                let reading = thread::spawn(move || {
                    framewright::blocking::Stream::shut_down(
                        &mut attacker,
                        std::net::Shutdown::Write,
                    )
                    .unwrap();
                    let mut output = Vec::new();
                    attacker.read_to_end(&mut output).unwrap();
                    output
                });
                match socket.recv() {
                    Err(Error::Protocol(error)) => assert_eq!(error, case.error, "{told}"),
                    other => panic!("{told}: {other:?}"),
                }
                assert_eq!(socket.end().unwrap().cause, EndCause::Protocol(case.error));
                drop(socket);
                assert_closed(&case, &reading.join().unwrap(), &told);
            }
        }
    }

    #[test]
    fn every_illegal_request_is_refused_by_it_in_every_split() {
        for case in illegal_requests() {
            for split in Split::ALL {
                let (mut attacker, stream) = stream_pair(Wire::new().reads(split), Wire::new());
                attacker.write_all(&case.bytes).unwrap();
                let reading = thread::spawn(move || read_to_end(&mut attacker));
                match Server::new().accept(stream) {
                    Err(Error::Handshake(error)) => assert_eq!(error, case.error, "{case:?}"),
                    other => panic!("{}: {other:?}", case.name),
                }
                assert_eq!(
                    status_of(&reading.join().unwrap()),
                    case.status,
                    "{}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn every_illegal_response_is_refused_by_it_in_every_split() {
        for case in illegal_responses() {
            for split in Split::ALL {
                let (stream, mut attacker) = stream_pair(Wire::new(), Wire::new().reads(split));
                let answering = case.clone();
                let server = thread::spawn(move || {
                    let head = read_head(&mut attacker);
                    attacker.write_all(&answering.answer(&head)).unwrap();
                });
                match Client::new(request()).handshake(stream) {
                    Err(Error::Handshake(error)) => assert_eq!(error, case.error, "{case:?}"),
                    other => panic!("{}: {other:?}", case.name),
                }
                server.join().unwrap();
            }
        }
    }

    #[test]
    fn a_scripted_reset_ends_a_connection_where_it_says() {
        // The server has read the request and half of a message.
        let (mut here, there) = stream_pair(Wire::new(), Wire::new());
        let server = thread::spawn(move || {
            let mut socket = framewright::blocking::accept(there).unwrap();
            let error = socket.recv().unwrap_err();
            (error, socket.end().cloned())
        });
        here.write_all(UPGRADE).unwrap();
        let head = read_head(&mut here);
        assert_eq!(status_of(&head), 101);
        here.write_all(b"\x81\x85\x37\xfa").unwrap();
        // What was written has been read when nothing is under way any more.
        here.control().reset();
        let (error, end) = server.join().unwrap();
        assert!(matches!(error, Error::Io(it) if it.kind() == ErrorKind::ConnectionReset));
        assert_eq!(end.unwrap().cause, EndCause::Transport);
    }

    #[test]
    fn a_split_socket_runs_over_a_stream_in_memory() {
        let (here, there) = stream_pair(Wire::new().capacity(100), Wire::new().capacity(100));
        let server = thread::spawn(move || {
            let mut socket = framewright::blocking::accept(there).unwrap();
            while let Some(message) = socket.recv().unwrap() {
                socket.send(message).unwrap();
            }
            socket.end().unwrap().is_clean()
        });
        let (client, _) = Client::new(request()).handshake(here).unwrap();
        let (mut reader, writer) = client.split().unwrap();
        let writing = thread::spawn(move || {
            for len in 0..300 {
                writer.send(vec![7; len]).unwrap();
            }
            writer.send_close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        });
        for len in 0..300 {
            assert_eq!(reader.recv().unwrap(), Some(Message::from(vec![7; len])));
        }
        assert_eq!(reader.recv().unwrap(), None);
        writing.join().unwrap();
        assert!(server.join().unwrap());
    }

    fn read_to_end(stream: &mut MemoryStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn read_head(stream: &mut MemoryStream) -> Vec<u8> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        head
    }

    const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
}

#[cfg(feature = "tokio")]
mod tokio_adapter {
    use framewright::tokio::{Client, Error, Parts, Server, WebSocket, accept};
    use framewright::{CloseCode, End};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_illegal_frame_fails_it_in_every_split() {
        for case in illegal_frames() {
            for wire in wires() {
                let told = format!("{} to a {:?}, {wire:?}", case.name, case.victim);
                let (mut attacker, stream) = stream_pair(wire, Wire::new());
                attacker.write_all(&case.bytes).await.unwrap();
                attacker.shutdown().await.unwrap();
                let mut socket = WebSocket::from_parts(Parts {
                    stream,
                    connection: case.connection(),
                    input: RecvBuffer::new(),
                    output: SendBuffer::new(),
                });
                match socket.recv().await {
                    Err(Error::Protocol(error)) => assert_eq!(error, case.error, "{told}"),
                    other => panic!("{told}: {other:?}"),
                }
                assert_eq!(socket.end().unwrap().cause, EndCause::Protocol(case.error));
                drop(socket);
                let mut output = Vec::new();
                attacker.read_to_end(&mut output).await.unwrap();
                assert_closed(&case, &output, &told);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_illegal_request_is_refused_by_it_in_every_split() {
        for case in illegal_requests() {
            for wire in wires() {
                let (mut attacker, stream) = stream_pair(wire, Wire::new());
                attacker.write_all(&case.bytes).await.unwrap();
                let mut output = Vec::new();
                let server = Server::new();
                let (accepted, read) =
                    tokio::join!(server.accept(stream), attacker.read_to_end(&mut output));
                match accepted {
                    Err(Error::Handshake(error)) => assert_eq!(error, case.error, "{case:?}"),
                    other => panic!("{}: {other:?}", case.name),
                }
                read.unwrap();
                assert_eq!(status_of(&output), case.status, "{}", case.name);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_illegal_response_is_refused_by_it_in_every_split() {
        for case in illegal_responses() {
            for wire in wires() {
                let (stream, mut attacker) = stream_pair(Wire::new(), wire);
                let server = async {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(attacker.read_u8().await.unwrap());
                    }
                    attacker.write_all(&case.answer(&head)).await.unwrap();
                    drop(attacker);
                };
                let client = Client::new(request());
                let (connected, ()) = tokio::join!(client.handshake(stream), server);
                match connected {
                    Err(Error::Handshake(error)) => assert_eq!(error, case.error, "{case:?}"),
                    other => panic!("{}: {other:?}", case.name),
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_stream_is_given_up_by_virtual_time_and_a_resumed_one_goes_on() {
        // A stream that is reluctant, too, must not wake a task for ever.
        let (here, there) = stream_pair(Wire::dripping(), Wire::dripping());
        let control = here.control();
        let client = Client::new(request());
        let (client, server) = tokio::join!(client.handshake(here), accept(there));
        let ((mut client, _), mut server) = (client.unwrap(), server.unwrap());
        control.stall();
        let resume = async {
            tokio::time::sleep(Duration::from_secs(25)).await;
            control.resume();
        };
        let (sent, received, ()) = tokio::join!(client.send("late"), server.recv(), resume);
        sent.unwrap();
        assert_eq!(received.unwrap(), Some(Message::text("late")));
        control.stall();
        assert_eq!(server.recv().await.unwrap(), None);
        assert_eq!(server.end().unwrap().cause, EndCause::KeepaliveTimeout);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_at_any_byte_of_a_conversation_ends_it_for_both() {
        let (outcomes, len) = converse(Wire::new()).await;
        assert!(matches!(&outcomes, (Ok(one), Ok(other)) if one.is_clean() && other.is_clean()));
        assert!(len > 300, "{len}");
        for at in 0..len {
            let fault = Fault::Error(ErrorKind::ConnectionReset);
            let ((client, server), _) = converse(Wire::new().fail_reads_at(at, fault)).await;
            assert!(!matches!(&client, Ok(end) if end.is_clean()), "{at}");
            match server {
                Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                other => panic!("{at}: {other:?}"),
            }
        }
    }

    /// What client and server came to, whose messages are echoed, and how many bytes the server
    /// read through `wire`.
    async fn converse(wire: Wire) -> ((Result<End, Error>, Result<End, Error>), u64) {
        let (here, there) = stream_pair(wire, Wire::new());
        let control = there.control();
        let client = async {
            let (mut socket, _) = Client::new(request()).handshake(here).await?;
            for _ in 0..10 {
                socket.send("0123456789").await?;
                socket.recv().await?;
            }
            socket.close(CloseCode::NORMAL_CLOSURE, "").await
        };
        let server = async {
            let mut socket = accept(there).await?;
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok(socket.end().cloned().expect("it has ended"))
        };
        (tokio::join!(client, server), control.read_len())
    }

    /// Every split, and operations that wait before each byte.
    fn wires() -> impl Iterator<Item = Wire> {
        let splits = Split::ALL.map(|split| Wire::new().reads(split));
        splits
            .into_iter()
            .chain([Wire::new().reads(Split::Every(1)).reluctant()])
    }
}

#[cfg(feature = "futures-io")]
mod futures_io_adapter {
    use std::task::{Context, Poll, Waker};

    use framewright::asynchronous::Client;
    use framewright::futures_io::FuturesIo;
    use framewright::test_util::VirtualTimer;

    use super::*;

    #[test]
    fn its_deadlines_are_kept_by_a_virtual_clock() {
        let (stream, silent) = stream_pair(Wire::new(), Wire::new());
        let client = Client::<FuturesIo<VirtualTimer>>::new(request());
        let mut connecting = Box::pin(client.handshake(stream));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(connecting.as_mut().poll(&mut cx).is_pending());
        // The default handshake_timeout is 10 seconds.
        VirtualTimer::advance(Duration::from_millis(9_999));
        assert!(connecting.as_mut().poll(&mut cx).is_pending());
        assert!(VirtualTimer::next_deadline().is_some());
        VirtualTimer::advance(Duration::from_millis(1));
        let Poll::Ready(Err(error)) = connecting.as_mut().poll(&mut cx) else {
            panic!("the deadline has passed");
        };
        assert_eq!(error.to_string(), HandshakeError::TimedOut.to_string());
        drop(silent);
    }
}

// -- The pair -------------------------------------------------------------------------------------

#[test]
fn a_pair_exchanges_messages_in_every_split() {
    for split in Split::ALL {
        let mut pair = Pair::new(&Config::default()).with_split(split);
        let long = Message::from(vec![7; 70_000]);
        for role in [Role::Client, Role::Server] {
            pair.end_mut(role).send("Hello").unwrap();
            pair.end_mut(role).send(long.clone()).unwrap();
        }
        pair.pump();
        for role in [Role::Client, Role::Server] {
            let received = pair.end_mut(role).take_received();
            assert_eq!(
                received,
                [Message::text("Hello"), long.clone()],
                "{split:?}"
            );
            assert_eq!(pair.end_mut(role).take_received(), []);
        }
        pair.client.send(Message::Close(None)).unwrap();
        pair.pump();
        assert_eq!(pair.server.take_received(), [Message::Close(None)]);
        for role in [Role::Client, Role::Server] {
            assert!(pair.end_mut(role).end().unwrap().is_clean());
        }
    }
}

#[test]
fn a_message_that_comes_in_chunks_is_put_together() {
    let mut config = Config::default();
    config.delivery = Delivery::Chunks;
    let mut pair = Pair::new(&config).with_split(Split::Every(2));
    pair.client.send("κόσμε").unwrap();
    pair.client.send(&b"bytes"[..]).unwrap();
    pair.pump();
    let received = pair.server.take_received();
    assert_eq!(
        received,
        [Message::text("κόσμε"), Message::from(&b"bytes"[..])]
    );
}

#[test]
fn a_pair_keeps_deadlines_as_time_passes() {
    let mut pair = Pair::new(&Config::default());
    let started = pair.now();
    pair.advance(Duration::from_secs(3600));
    assert_eq!(pair.now() - started, Duration::from_secs(3600));
    assert_eq!(pair.client.connection.state(), State::Open);
    let pings = pair.server.take_received();
    // One each ping_interval, of which the bytes of the other end's Pings save some.
    assert!(pings.len() >= 90, "{}", pings.len());

    pair.fall_silent();
    pair.advance(Duration::from_secs(41));
    for role in [Role::Client, Role::Server] {
        let end = pair.end_mut(role).end().cloned().unwrap();
        assert_eq!((end.cause, end.code()), (EndCause::KeepaliveTimeout, 1006));
    }
}

#[test]
fn a_pair_that_is_cut_has_ended_for_both() {
    let mut pair = Pair::new(&Config::default());
    pair.client.send("on its way").unwrap();
    pair.cut();
    assert_eq!(pair.server.take_received(), [Message::text("on its way")]);
    for role in [Role::Client, Role::Server] {
        assert_eq!(
            pair.end_mut(role).end().unwrap().cause,
            EndCause::EndOfStream
        );
    }
}

#[test]
fn a_pair_says_why_it_does_not_open() {
    let open = |acceptance| Pair::open(&request(), acceptance, &Config::default());
    let refused = open(Acceptance::new().subprotocol("chat")).unwrap_err();
    assert_eq!(refused, OpenError::Send(SendError::SubprotocolNotOffered));
    let mut config = Config::default();
    config.max_head_len = 20;
    let refused = Pair::open(&request(), Acceptance::new(), &config).unwrap_err();
    assert_eq!(refused, OpenError::Handshake(HandshakeError::HeadTooLong));
}

#[cfg(feature = "deflate")]
#[test]
fn a_pair_that_agreed_on_compression_compresses() {
    use framewright::handshake::DeflateConfig;

    let request = request().deflate(DeflateConfig::default());
    let acceptance = Acceptance::new().deflate(DeflateConfig::default());
    let mut pair = Pair::open(&request, acceptance, &Config::default()).unwrap();
    let text = "tick ".repeat(1000);
    pair.server.send(&*text).unwrap();
    assert!(pair.server.output.len() < 100);
    pair.pump();
    assert_eq!(pair.client.take_received(), [Message::text(&*text)]);
}

// -- The stream -----------------------------------------------------------------------------------

#[test]
fn pieces_are_all_of_the_bytes_and_never_empty() {
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    for split in Split::ALL
        .into_iter()
        .chain([Split::Every(0), Split::Random(77)])
    {
        let pieces: Vec<_> = split.pieces(&bytes).collect();
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        assert_eq!(pieces.concat(), bytes);
        assert_eq!(split.pieces(b"").count(), 0);
        let again: Vec<_> = split.pieces(&bytes).collect();
        assert_eq!(pieces, again, "{split:?} is the same every time");
    }
    let lens = |seed| {
        Split::Random(seed)
            .pieces(&bytes)
            .map(<[u8]>::len)
            .collect::<Vec<_>>()
    };
    assert_ne!(lens(1), lens(2));
}

mod stream {
    use std::io::{IoSlice, Read, Write};
    use std::thread;

    use super::*;

    #[test]
    fn writes_are_short_where_they_are_cut_or_there_is_no_room() {
        let (mut here, mut there) =
            stream_pair(Wire::new().capacity(5).writes(Split::Every(2)), Wire::new());
        let pieces = [IoSlice::new(b"a"), IoSlice::new(b"bcd")];
        assert_eq!(here.write_vectored(&pieces).unwrap(), 2);
        assert_eq!(here.write(b"cd").unwrap(), 2);
        assert_eq!(here.write(b"ef").unwrap(), 1);
        assert_eq!(here.control().written_len(), 5);
        let mut room = [0; 9];
        assert_eq!(there.read(&mut room).unwrap(), 5);
        assert_eq!(&room[..5], b"abcde");
        assert_eq!(there.control().read_len(), 5);
    }

    #[test]
    fn faults_come_at_their_byte() {
        let wire = || Wire::new().fail_reads_at(3, Fault::Eof);
        let (mut here, mut there) = stream_pair(wire(), wire());
        here.write_all(b"12345").unwrap();
        let mut bytes = Vec::new();
        there.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"123");

        let fault = Fault::Error(ErrorKind::TimedOut);
        let (mut here, _there) = stream_pair(Wire::new().fail_writes_at(3, fault), Wire::new());
        assert_eq!(here.write(b"12345").unwrap(), 3);
        assert_eq!(here.write(b"45").unwrap_err().kind(), ErrorKind::TimedOut);

        let (mut here, _there) =
            stream_pair(Wire::new().fail_writes_at(0, Fault::Eof), Wire::new());
        assert_eq!(here.write(b"1").unwrap(), 0);
    }

    #[test]
    fn a_stream_that_is_dropped_gives_what_was_written_and_then_ends() {
        let (mut here, mut there) = stream_pair(Wire::new(), Wire::new());
        here.write_all(b"last").unwrap();
        drop(here);
        let mut bytes = Vec::new();
        there.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"last");
        assert_eq!(there.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_read_that_blocks_is_ended_by_what_the_other_thread_does() {
        let (here, mut there) = stream_pair(Wire::new(), Wire::new());
        let reading = thread::spawn(move || there.read(&mut [0; 8]).unwrap_err().kind());
        here.control().reset();
        assert_eq!(reading.join().unwrap(), ErrorKind::ConnectionReset);

        let wire = Wire::new().fail_reads_at(0, Fault::Stall);
        let (mut here, mut there) = stream_pair(wire, Wire::new());
        here.write_all(b"held").unwrap();
        let reading = thread::spawn(move || {
            let mut room = [0; 4];
            there.read_exact(&mut room).map(|()| room)
        });
        here.control().resume();
        assert_eq!(&reading.join().unwrap().unwrap(), b"held");
    }
}

// -- Rig ------------------------------------------------------------------------------------------

/// Every one but for what it holds.
const PROTOCOL_ERRORS: [ProtocolError; 18] = [
    ProtocolError::ReservedOpcode(3),
    ProtocolError::ReservedBitSet,
    ProtocolError::ControlFragmented,
    ProtocolError::ControlTooLong,
    ProtocolError::LengthTooLarge,
    ProtocolError::LengthNotMinimal,
    ProtocolError::MaskMissing,
    ProtocolError::MaskUnexpected,
    ProtocolError::ContinuationUnexpected,
    ProtocolError::MessageInterrupted,
    ProtocolError::TextNotUtf8,
    ProtocolError::CloseTooShort,
    ProtocolError::CloseCodeInvalid(0),
    ProtocolError::CloseReasonNotUtf8,
    ProtocolError::CompressedDataInvalid,
    ProtocolError::FrameTooLong,
    ProtocolError::MessageTooLong,
    ProtocolError::TooManyFragments,
];

fn request() -> ClientRequest {
    ClientRequest::new("ws://localhost/").unwrap()
}

fn told(case: &IllegalFrames, split: Split) -> String {
    format!("{} to a {:?}, {split:?}", case.name, case.victim)
}

/// Asserts that a victim has written one Close frame with the code that it owes, and no more.
fn assert_closed(case: &IllegalFrames, output: &[u8], told: &str) {
    let mut reader = Endpoint::new(framewright::Connection::new(
        match case.victim {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        },
        Config::default().into(),
    ));
    reader.receive(output, Split::Whole);
    let received = reader.take_received();
    let [Message::Close(Some(frame))] = &received[..] else {
        panic!("{told}: {received:?}");
    };
    assert_eq!(frame.code, case.close_code(), "{told}");
    assert_eq!(reader.error(), None, "{told}");
}

fn status_of(answer: &[u8]) -> u16 {
    let answer = std::str::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).expect("an answer");
    status.parse().unwrap()
}
