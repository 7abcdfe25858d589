//! The blocking adapter over real sockets, and over streams that misbehave.
//!
//! What the adapter adds to the core: reads and writes gathered, timeouts kept, transports torn
//! down, nothing lost where a stream takes or gives little. The rules of the protocol have their
//! own tests.
//!
//! Timeouts are configured short and bounds are generous, so that a busy machine decides nothing:
//! a test that waits for ever fails after [`HANG`], one that waits too long after [`SOON`].

#![cfg(feature = "blocking")]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use framewright::blocking::{
    Client, Error, Incoming, MaybeTlsStream, Parts, Plain, Server, Stream, WebSocket, accept,
    connect,
};
use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv, mask};
use framewright::handshake::{Acceptance, ClientRequest, OriginPolicy, Response, accept_key};
use framewright::{
    CloseCode, CloseFrame, Config, Connection, Delivery, End, EndCause, Event, HandshakeError,
    Initiator, Message, MessageKind, ProtocolError, RecvBuffer, Role, SendBuffer, SendError, State,
};

/// A test that takes longer hangs.
const HANG: Duration = Duration::from_secs(20);
/// What has a short timeout must be over by then, and what has a long one must not wait for it.
const SOON: Duration = Duration::from_secs(10);
/// A timeout that is to pass.
const SHORT: Duration = Duration::from_millis(200);
/// The default limit of a message.
const LIMIT: usize = 16 << 20;

// -- Opening, echo, lengths -----------------------------------------------------------------------

#[test]
fn a_client_and_a_server_meet_talk_and_part() {
    bounded(|| {
        let (uri, server) = serve(|stream| {
            let mut socket = accept(stream).unwrap();
            echo(&mut socket).unwrap();
            socket.end().cloned().unwrap()
        });
        let mut client = connect(&uri).unwrap();
        assert_eq!(client.subprotocol(), None);
        assert!(client.end().is_none());
        client.send("hello").unwrap();
        assert_eq!(client.recv().unwrap(), Some(Message::text("hello")));
        let end = client.close(CloseCode::NORMAL_CLOSURE, "bye").unwrap();
        assert_ended(&end, 1000, Some(Initiator::Local));
        let end = join(server);
        assert_ended(&end, 1000, Some(Initiator::Peer));
        assert_eq!(end.reason(), "bye");
    });
}

#[test]
fn messages_of_every_length_come_back_as_they_were() {
    bounded(|| {
        let (uri, server) = serve(|stream| echo(&mut accept(stream).unwrap()));
        let mut client = connect(&uri).unwrap();
        for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20, LIMIT] {
            let text = Message::from("~".repeat(len));
            client.send(text.clone()).unwrap();
            assert!(client.recv().unwrap() == Some(text), "text of {len} bytes");
            let binary = Message::from(noise(len));
            client.send(binary.clone()).unwrap();
            assert!(
                client.recv().unwrap() == Some(binary),
                "binary message of {len} bytes"
            );
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server).unwrap();
    });
}

#[test]
fn a_client_that_sends_a_byte_too_many_sees_1009() {
    bounded(|| {
        let (uri, server) = serve(|stream| {
            let mut socket = accept(stream).unwrap();
            (socket.recv(), socket.end().cloned().unwrap())
        });
        let mut client = connect(&uri).unwrap();
        // The server goes on reading what it refused, so that the write ends and its Close is read.
        client.send(vec![0; LIMIT + 1]).unwrap();
        assert_eq!(client.recv().unwrap(), None);
        let (received, end) = join(server);
        assert!(
            matches!(received, Err(Error::Protocol(ProtocolError::FrameTooLong))),
            "{received:?}"
        );
        assert_eq!(end.sent_code(), Some(CloseCode::MESSAGE_TOO_BIG));
        assert_eq!(
            client.end().map(End::code),
            Some(1009),
            "{:?}",
            client.end()
        );
    });
}

#[test]
fn a_server_that_sends_a_byte_too_many_sees_1009() {
    bounded(|| {
        let (uri, server) = serve(|stream| {
            let mut socket = accept(stream).unwrap();
            socket.send(vec![0; LIMIT + 1]).unwrap();
            assert_eq!(socket.recv().unwrap(), None);
            socket.end().cloned().unwrap()
        });
        let mut client = connect(&uri).unwrap();
        let received = client.recv();
        assert!(
            matches!(received, Err(Error::Protocol(ProtocolError::FrameTooLong))),
            "{received:?}"
        );
        drop(client);
        let end = join(server);
        assert_eq!(end.code(), 1009, "{end:?}");
    });
}

#[test]
fn a_receiver_that_drains_nothing_ends_at_once_and_its_sender_by_a_reset() {
    bounded(|| {
        let mut config = Config::default();
        config.max_drain_len = 0;
        config.close_timeout = None;
        let (uri, server) = serve(|stream| {
            let mut socket = Server::new().config(config).accept(stream).unwrap();
            socket.recv().unwrap_err()
        });
        let mut client = connect(&uri).unwrap();
        // How much is written before the reset comes is the kernel's to say.
        let sent = client.send(vec![0; LIMIT + 1]);
        assert!(matches!(sent, Ok(()) | Err(Error::Io(_))), "{sent:?}");
        while let Ok(Some(_)) = client.recv() {}
        assert!(client.end().is_some());
        let error = join(server);
        assert!(
            matches!(error, Error::Protocol(ProtocolError::FrameTooLong)),
            "{error:?}"
        );
    });
}

#[test]
fn a_peer_that_breaks_a_rule_is_told_and_the_error_comes_once() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(Config::default(), |mut socket| {
            let error = socket.recv().unwrap_err();
            // The connection is over: what follows is its end, not the error again.
            assert!(socket.recv().unwrap().is_none());
            assert!(socket.recv_event().unwrap().is_none());
            (error, socket.end().cloned().unwrap())
        });
        // 5.1: a client masks.
        peer.write_all(&frame(Role::Server, Opcode::Text, true, b"x"))
            .unwrap();
        assert_eq!(read_close(&mut peer), Some(1002));
        assert_eq!(read_frame(&mut peer), None);
        drop(peer);
        let (error, end) = join(server);
        assert!(
            matches!(error, Error::Protocol(ProtocolError::MaskMissing)),
            "{error:?}"
        );
        assert_eq!(end.cause, EndCause::Protocol(ProtocolError::MaskMissing));
        assert_eq!(end.code(), 1006);
    });
}

#[test]
fn a_client_that_cannot_connect_says_why() {
    bounded(|| {
        let refused = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let error = connect(&format!("ws://{refused}/")).unwrap_err();
        assert!(
            matches!(&error, Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused),
            "{error:?}"
        );
        let mut config = Config::default();
        config.connect_timeout = Some(Duration::ZERO);
        let request = ClientRequest::new(&format!("ws://{refused}/")).unwrap();
        let error = Client::new(request).config(config).connect().unwrap_err();
        assert!(matches!(error, Error::ConnectTimeout), "{error:?}");
        let error = connect("http://127.0.0.1:1/").unwrap_err();
        assert!(
            matches!(error, Error::Send(SendError::UriSchemeUnsupported)),
            "{error:?}"
        );
    });
}

/// With these features there is a connector; what it does is in `tests/tls.rs`.
#[cfg(not(any(feature = "rustls-platform-verifier", feature = "rustls-webpki-roots")))]
#[test]
fn a_secure_uri_without_the_features_for_it_names_them() {
    bounded(|| {
        // Judged before anything is connected to, or the port would refuse.
        let error = connect("wss://127.0.0.1:1/").unwrap_err();
        assert!(matches!(error, Error::TlsRequired), "{error:?}");
        let text = error.to_string();
        for feature in [
            "rustls-platform-verifier",
            "rustls-webpki-roots",
            "ring",
            "aws-lc-rs",
        ] {
            assert!(text.contains(feature), "{text}");
        }
    });
}

#[cfg(all(
    any(feature = "rustls-platform-verifier", feature = "rustls-webpki-roots"),
    not(any(feature = "ring", feature = "aws-lc-rs"))
))]
#[test]
fn a_secure_uri_without_cryptography_names_the_features_for_it() {
    bounded(|| {
        let error = connect("wss://127.0.0.1:1/").unwrap_err();
        assert_eq!(
            error.to_string(),
            "TLS needs cryptography: enable the feature ring or aws-lc-rs"
        );
    });
}

// -- Fragments and chunks -------------------------------------------------------------------------

#[test]
fn fragments_that_are_streamed_out_arrive_as_one_message() {
    bounded(|| {
        let (uri, server) = serve(|stream| {
            let mut socket = accept(stream).unwrap();
            let message = socket.recv().unwrap();
            assert_eq!(socket.recv().unwrap(), None);
            message
        });
        let mut client = connect(&uri).unwrap();
        let whole = noise(1_000_000);
        let mut fragments = whole.chunks(99_999).peekable();
        while let Some(fragment) = fragments.next() {
            let fin = fragments.peek().is_none();
            client
                .send_fragment(MessageKind::Binary, fragment, fin)
                .unwrap();
            assert_eq!(
                client.buffered(),
                0,
                "a fragment leaves before the next is made"
            );
            if !fin {
                // 5.4: a Ping may come between, a message not.
                client.send_ping(b"between").unwrap();
                let error = client.send("between").unwrap_err();
                assert!(
                    matches!(error, Error::Send(SendError::MessageUnfinished)),
                    "{error:?}"
                );
            }
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        assert!(join(server) == Some(Message::from(whole)));
    });
}

#[test]
fn a_message_longer_than_the_limit_streams_in_chunks() {
    const FRAGMENT: usize = 1 << 20;
    const FRAGMENTS: usize = 40;
    bounded(|| {
        let mut config = Config::default();
        config.delivery = Delivery::Chunks;
        config.max_message_len = Config::UNLIMITED;
        let (uri, server) = serve(|stream| {
            let mut socket = Server::new().config(config).accept(stream).unwrap();
            let (mut len, mut longest, mut ends) = (0, 0, 0);
            while let Some((event, _)) = socket.recv_event().unwrap() {
                if let Event::Chunk(chunk) = event {
                    assert_eq!(chunk.kind, MessageKind::Text);
                    assert_eq!(ends, 0, "nothing follows the last chunk");
                    assert!(chunk.payload.iter().all(|&byte| byte == b'a'));
                    len += chunk.payload.len();
                    longest = longest.max(chunk.payload.len());
                    ends += usize::from(chunk.fin);
                }
            }
            (len, longest, ends)
        });
        let mut client = connect(&uri).unwrap();
        let fragment = vec![b'a'; FRAGMENT];
        for index in 1..=FRAGMENTS {
            client
                .send_fragment(MessageKind::Text, &fragment, index == FRAGMENTS)
                .unwrap();
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        let (len, longest, ends) = join(server);
        assert_eq!(len, FRAGMENT * FRAGMENTS);
        assert_eq!(ends, 1);
        assert!(
            longest <= 64 << 10,
            "a chunk is what one read brought, not {longest} bytes"
        );
    });
}

#[test]
fn a_text_that_is_split_inside_a_character_streams_both_ways() {
    bounded(|| {
        let mut config = Config::default();
        config.delivery = Delivery::Chunks;
        let (uri, server) = serve(|stream| {
            let mut socket = Server::new().config(config).accept(stream).unwrap();
            // Chunks go back as fragments, so a stream of any length is echoed.
            while let Some((event, mut outbox)) = socket.recv_event().unwrap() {
                if let Event::Chunk(chunk) = event {
                    outbox
                        .feed_fragment(chunk.kind, chunk.payload, chunk.fin)
                        .unwrap();
                }
            }
        });
        let mut client = connect(&uri).unwrap();
        let text = "Grüße aus 世界 𐍈";
        for byte in text.as_bytes() {
            client
                .send_fragment(MessageKind::Text, &[*byte], false)
                .unwrap();
        }
        client.send_fragment(MessageKind::Text, b"", true).unwrap();
        assert_eq!(client.recv().unwrap(), Some(Message::text(text)));
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server);
    });
}

#[test]
fn recv_says_that_chunks_are_no_messages_and_loses_nothing() {
    bounded(|| {
        let mut config = Config::default();
        config.delivery = Delivery::Chunks;
        let (uri, server) = serve(|stream| accept(stream).unwrap().send("x"));
        let client = Client::new(ClientRequest::new(&uri).unwrap()).config(config);
        let (mut client, _) = client.connect().unwrap();
        assert!(matches!(client.recv(), Err(Error::DeliveryIsChunks)));
        let (event, _) = client.recv_event().unwrap().unwrap();
        assert!(
            matches!(event, Event::Chunk(chunk) if chunk.payload == b"x" && chunk.fin),
            "{event:?}"
        );
        join(server).unwrap();
    });
}

#[test]
fn pings_are_answered_by_a_loop_that_only_receives() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(Config::default(), |mut socket| socket.recv());
        for payload in [&b""[..], b"are you there?", &[7; 125]] {
            peer.write_all(&frame(Role::Client, Opcode::Ping, true, payload))
                .unwrap();
            assert_eq!(
                read_frame(&mut peer),
                Some((Opcode::Pong, payload.to_vec()))
            );
        }
        peer.write_all(&frame(Role::Client, Opcode::Binary, true, b"x"))
            .unwrap();
        assert_eq!(join(server).unwrap(), Some(Message::from(b"x".as_slice())));
    });
}

// -- Gathering ------------------------------------------------------------------------------------

#[test]
fn a_burst_that_fits_a_window_costs_one_read_and_one_write() {
    bounded(|| {
        let burst: Vec<u8> = (0..1000_u32)
            .flat_map(|number| frame(Role::Client, Opcode::Binary, true, &number.to_be_bytes()))
            .collect();
        let replies: Vec<u8> = (0..1000_u32)
            .flat_map(|number| frame(Role::Server, Opcode::Binary, true, &number.to_be_bytes()))
            .collect();
        let bursts = 6;
        let (stream, record) = Scripted::new((0..bursts).map(|_| Ok(burst.clone())));
        let mut socket = from_parts(Role::Server, Config::default(), stream, b"");
        echo(&mut socket).unwrap();
        assert!(record.written() == replies.repeat(bursts));
        // A window begins short and grows where reads fill it; by the fourth burst it has grown.
        let calls = record.calls();
        let settled = &calls[calls.len() - 7..];
        let (read, written) = (Call::Read(burst.len()), Call::Write(replies.len()));
        assert_eq!(
            settled,
            [read, written, read, written, read, written, Call::Read(0)],
            "{calls:?}"
        );
        let writes = calls
            .iter()
            .filter(|call| matches!(call, Call::Write(_)))
            .count();
        assert!(writes <= bursts + 3, "{calls:?}");
    });
}

#[test]
fn a_burst_over_tcp_costs_few_reads_and_writes() {
    bounded(|| {
        let (uri, server) = serve(|stream| {
            let stream = Counting::new(stream);
            let counts = Arc::clone(&stream.counts);
            let mut socket = accept(stream).unwrap();
            let before = counts.both();
            echo(&mut socket).unwrap();
            let after = counts.both();
            (after.0 - before.0, after.1 - before.1)
        });
        let mut client = connect(&uri).unwrap();
        for number in 0..1000_u32 {
            client.feed(number.to_be_bytes().as_slice()).unwrap();
        }
        assert!(client.buffered() > 0, "what is fed waits for a flush");
        for number in 0..1000_u32 {
            let expected = Message::from(number.to_be_bytes().as_slice());
            assert_eq!(client.recv().unwrap(), Some(expected));
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        let (reads, writes) = join(server);
        assert!(reads <= 50, "{reads} reads for 1000 messages");
        assert!(writes <= 50, "{writes} writes for 1000 messages");
    });
}

#[test]
fn what_is_fed_leaves_in_one_write_before_the_read_waits() {
    bounded(|| {
        let (stream, record) = Scripted::new([]);
        let mut socket = from_parts(Role::Client, Config::default(), stream, b"");
        for _ in 0..1000 {
            socket.feed("eleven byte").unwrap();
        }
        assert_eq!(record.calls(), []);
        assert_eq!(socket.recv().unwrap(), None);
        assert_eq!(
            record.calls(),
            [Call::Write(1000 * (2 + 4 + 11)), Call::Read(0)]
        );
    });
}

#[test]
fn an_outbox_that_is_full_gives_the_reply_back_until_the_adapter_has_written() {
    bounded(|| {
        let mut config = Config::default();
        config.write_high_water = 100;
        let two: Vec<u8> = frame(Role::Client, Opcode::Binary, true, b"x").repeat(2);
        let (stream, record) =
            Scripted::new([Ok(two), Ok(frame(Role::Client, Opcode::Ping, true, b""))]);
        let mut socket = from_parts(Role::Server, config, stream, b"");
        let (_, mut outbox) = socket.recv_event().unwrap().unwrap();
        outbox.feed_binary(&[0; 101]).unwrap();
        assert_eq!(outbox.feed_text("more"), Err(SendError::BufferFull));
        assert_eq!(outbox.buffered(), 103);
        // The adapter writes what is over the high water before it goes on.
        let (_, mut outbox) = socket.recv_event().unwrap().unwrap();
        assert_eq!(record.written().len(), 103);
        outbox.feed_text("more").unwrap();
    });
}

#[test]
fn a_long_payload_that_is_sent_back_is_not_copied() {
    /// The address of the bytes of a write, and they themselves.
    type Writes = Arc<Mutex<Vec<(usize, Vec<u8>)>>>;

    /// Reads what it is given, and notes from where it is written.
    struct Witness {
        input: io::Cursor<Vec<u8>>,
        written: Writes,
    }

    impl Read for Witness {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.input.read(room)
        }
    }

    impl Write for Witness {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.written.lock().unwrap();
            written.push((bytes.as_ptr().addr(), bytes.to_vec()));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    bounded(|| {
        let long = "a long message ".repeat(20_000);
        for role in [Role::Server, Role::Client] {
            let peer = match role {
                Role::Server => Role::Client,
                Role::Client => Role::Server,
            };
            let mut input = frame(peer, Opcode::Text, true, long.as_bytes());
            input.extend(frame(peer, Opcode::Ping, true, b""));
            let written = Writes::default();
            let stream = Witness {
                input: io::Cursor::new(input),
                written: Arc::clone(&written),
            };
            let mut config = Config::default();
            config.write_high_water = 1 << 20;
            let mut socket = from_parts(role, config, Plain(stream), b"");
            let (event, mut outbox) = socket.recv_event().unwrap().unwrap();
            let Event::Text(text) = event else {
                panic!("{event:?}");
            };
            let start = text.as_ptr().addr();
            outbox.feed_text(text).unwrap();
            outbox.feed_binary(&text.as_bytes()[100_000..]).unwrap();
            outbox.feed_text("short").unwrap();
            assert!(socket.recv_event().unwrap().is_some(), "the Ping");
            let written = written.lock().unwrap();
            let places: Vec<usize> = written.iter().map(|(place, _)| *place).collect();
            let bytes: Vec<u8> = written
                .iter()
                .flat_map(|(_, bytes)| bytes.clone())
                .collect();
            match role {
                Role::Server => {
                    assert!(places.contains(&start) && places.contains(&(start + 100_000)));
                    let mut expected = frame(role, Opcode::Text, true, long.as_bytes());
                    let part = &long.as_bytes()[100_000..];
                    expected.extend(frame(role, Opcode::Binary, true, part));
                    expected.extend(frame(role, Opcode::Text, true, b"short"));
                    assert!(bytes.starts_with(&expected));
                }
                // 5.3: what a client sends is masked, which takes a copy.
                Role::Client => assert!(!places.contains(&start)),
            }
        }
    });
}

// -- The opening handshake ------------------------------------------------------------------------

#[test]
fn the_favourite_subprotocol_of_the_client_that_the_server_knows_is_chosen() {
    bounded(|| {
        for (offered, known, chosen) in [
            (&["a", "b", "c"][..], &["c", "b"][..], Some("b")),
            (&["a"], &["b"], None),
            (&[], &["b"], None),
            (&["a"], &[], None),
            // 4.1: subprotocols are compared as they are written.
            (&["Chat"], &["chat"], None),
        ] {
            let (uri, server) = serve(move |stream| {
                let mut server = Server::new();
                for subprotocol in known {
                    server = server.subprotocol(*subprotocol);
                }
                let socket = server.accept(stream).unwrap();
                socket.subprotocol().map(str::to_owned)
            });
            let mut request = ClientRequest::new(&uri).unwrap();
            for subprotocol in offered {
                request = request.subprotocol(subprotocol).unwrap();
            }
            let (client, headers) = Client::new(request).connect().unwrap();
            assert_eq!(client.subprotocol(), chosen);
            assert_eq!(join(server).as_deref(), chosen);
            assert_eq!(
                headers.first("sec-websocket-protocol"),
                chosen.map(str::as_bytes)
            );
        }
    });
}

#[test]
fn a_server_looks_at_the_request_and_adds_headers_to_its_answer() {
    bounded(|| {
        let (uri, server) = serve(|stream| {
            let Incoming::Upgrade(upgrade) = Server::new().receive(stream).unwrap() else {
                panic!("a client asks for an upgrade");
            };
            assert_eq!(upgrade.request().path(), "/room");
            assert_eq!(upgrade.request().query(), Some("id=1"));
            assert_eq!(upgrade.request().cookie("session"), Some("0123"));
            let acceptance = Acceptance::new()
                .subprotocol("v1")
                .header("Set-Cookie", "session=4567");
            let mut socket = upgrade.accept(acceptance).unwrap();
            assert_eq!(socket.subprotocol(), Some("v1"));
            socket.send("welcome").unwrap();
            socket.recv().unwrap()
        });
        let request = ClientRequest::new(&format!("{uri}room?id=1"))
            .and_then(|request| request.subprotocol("v1"))
            .and_then(|request| request.header("Cookie", "session=0123"))
            .unwrap();
        let (mut client, headers) = Client::new(request).connect().unwrap();
        assert_eq!(headers.single("set-cookie"), Some(&b"session=4567"[..]));
        assert_eq!(client.recv().unwrap(), Some(Message::text("welcome")));
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        assert_eq!(join(server), None);
    });
}

#[test]
fn plain_requests_are_answered_on_the_same_port() {
    bounded(|| {
        for (target, status, body) in [("/healthz", "200 OK", "well\n"), ("/", "404 Not Found", "")]
        {
            let (uri, server) = serve(|stream| {
                let Incoming::Plain(plain) = Server::new().receive(stream).unwrap() else {
                    panic!("a plain request is no upgrade");
                };
                match plain.request().target() {
                    "/healthz" => plain.respond(&Response::new(200).unwrap().body("well\n")),
                    _ => plain.respond(&Response::new(404).unwrap()),
                }
            });
            let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let answer = exchange(&uri, request.as_bytes());
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{answer}"
            );
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
            join(server).unwrap();
        }
    });
}

#[test]
fn a_server_that_only_accepts_answers_a_plain_request_with_426() {
    bounded(|| {
        let (uri, server) = serve(|stream| accept(stream).map(drop));
        let answer = exchange(&uri, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"),
            "{answer}"
        );
        let error = join(server).unwrap_err();
        assert!(
            matches!(error, Error::Handshake(HandshakeError::NotAnUpgrade)),
            "{error:?}"
        );
    });
}

#[test]
fn a_refused_client_gets_status_headers_and_body() {
    bounded(|| {
        let (uri, server) = serve(|stream| {
            let Incoming::Upgrade(upgrade) = Server::new().receive(stream).unwrap() else {
                panic!("a client asks for an upgrade");
            };
            let response = Response::new(401)
                .and_then(|response| response.header("WWW-Authenticate", "Bearer"))
                .unwrap();
            upgrade.reject(&response.body("who are you?\n"))
        });
        let error = connect(&uri).unwrap_err();
        let Error::Handshake(HandshakeError::Refused(refused)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(refused.status, 401);
        assert_eq!(refused.header("www-authenticate"), Some(&b"Bearer"[..]));
        assert_eq!(refused.body, "who are you?\n");
        assert!(!refused.body_truncated);
        join(server).unwrap();
    });
}

#[test]
fn pages_of_another_origin_are_refused_unless_the_policy_allows_them() {
    bounded(|| {
        let elsewhere = "https://evil.example";
        let listed = OriginPolicy::any_of(["https://app.example"]).unwrap();
        for (policy, origin, allowed) in [
            (OriginPolicy::SameOrigin, Some(elsewhere), false),
            (OriginPolicy::SameOrigin, Some("null"), false),
            (OriginPolicy::SameOrigin, Some("same"), true),
            (OriginPolicy::SameOrigin, None, true),
            (listed.clone(), Some(elsewhere), false),
            (listed, Some("https://app.example"), true),
            (OriginPolicy::Any, Some(elsewhere), true),
        ] {
            let case = format!("{policy:?} and {origin:?}");
            let (uri, server) = serve(|stream| {
                let server = Server::new().origin_policy(policy);
                server.accept(stream).map(|mut socket| socket.recv())
            });
            let mut request = ClientRequest::new(&uri).unwrap();
            if let Some(origin) = origin {
                let own = uri.replace("ws://", "http://");
                let own = own.trim_end_matches('/');
                let origin = if origin == "same" { own } else { origin };
                request = request.header("Origin", origin).unwrap();
            }
            match Client::new(request).connect() {
                Ok(_) => assert!(allowed, "{case}"),
                Err(Error::Handshake(HandshakeError::Refused(refused))) => {
                    assert_eq!((allowed, refused.status), (false, 403), "{case}");
                }
                Err(error) => panic!("{case}: {error:?}"),
            }
            match join(server) {
                Ok(_) => assert!(allowed, "{case}"),
                Err(Error::Handshake(HandshakeError::OriginForbidden)) => {
                    assert!(!allowed, "{case}");
                }
                Err(error) => panic!("{case}: {error:?}"),
            }
        }
    });
}

#[test]
fn a_client_that_is_silent_or_drips_gets_408() {
    bounded(|| {
        for request in [&b""[..], b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] {
            let (uri, server) = serve(|stream| {
                let server = Server::new().config(impatient());
                let started = Instant::now();
                let error = server.accept(stream).unwrap_err();
                (error, started.elapsed())
            });
            let mut peer = TcpStream::connect(address(&uri)).unwrap();
            // A byte now and then does not extend the handshake's deadline.
            let mut dripping = peer.try_clone().unwrap();
            let drip = thread::spawn(move || {
                if request.is_empty() || dripping.write_all(request).is_err() {
                    return;
                }
                let started = Instant::now();
                while started.elapsed() < SOON && dripping.write_all(b"x").is_ok() {
                    thread::sleep(SHORT / 10);
                }
            });
            let mut answer = String::new();
            let _ = peer.read_to_string(&mut answer);
            assert!(
                answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
                "{answer}"
            );
            peer.shutdown(Shutdown::Both).ok();
            let (error, elapsed) = join(server);
            assert!(
                matches!(error, Error::Handshake(HandshakeError::TimedOut)),
                "{error:?}"
            );
            assert!((SHORT..SOON).contains(&elapsed), "{elapsed:?}");
            join(drip);
        }
    });
}

#[test]
fn a_server_that_is_silent_or_drips_is_given_up() {
    bounded(|| {
        for answer in [&b""[..], b"HTTP/1.1 101 Switching Protocols\r\nX-Slow: "] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(answer).unwrap();
                let started = Instant::now();
                while started.elapsed() < SOON
                    && (answer.is_empty() || stream.write_all(b"x").is_ok())
                {
                    thread::sleep(SHORT / 10);
                    let mut room = [0; 1024];
                    if answer.is_empty() && matches!(stream.read(&mut room), Ok(0) | Err(_)) {
                        break;
                    }
                }
            });
            let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
            let started = Instant::now();
            let error = Client::new(request)
                .config(impatient())
                .connect()
                .unwrap_err();
            let elapsed = started.elapsed();
            assert!(
                matches!(error, Error::Handshake(HandshakeError::TimedOut)),
                "{error:?}"
            );
            assert!((SHORT..SOON).contains(&elapsed), "{elapsed:?}");
            join(server);
        }
    });
}

#[test]
fn frames_that_come_with_the_handshake_are_not_lost() {
    bounded(|| {
        let (uri, server) = serve(|stream| echo(&mut accept(stream).unwrap()));
        let mut peer = TcpStream::connect(address(&uri)).unwrap();
        let mut bytes = upgrade_request();
        bytes.extend(frame(Role::Client, Opcode::Text, true, b"early"));
        bytes.extend(frame(Role::Client, Opcode::Close, true, b"\x03\xe8"));
        peer.write_all(&bytes).unwrap();
        read_head(&mut peer);
        assert_eq!(
            read_frame(&mut peer),
            Some((Opcode::Text, b"early".to_vec()))
        );
        assert_eq!(read_close(&mut peer), Some(1000));
        drop(peer);
        join(server).unwrap();
    });
    bounded(|| {
        let (client, peer) = connect_to_raw_server(Config::default(), |mut client| client.recv());
        // `connect_to_raw_server` writes the head and these bytes in one write.
        assert_eq!(join(client).unwrap(), Some(Message::text("early")));
        drop(peer);
    });
}

#[test]
fn a_connection_without_deadlines_waits_longer_than_its_handshake_might() {
    // The timeouts of the handshake must not outlive it: nothing is due on this connection, and
    // its stream blocks.
    bounded(|| {
        let mut config = without_deadlines();
        config.handshake_timeout = Some(SHORT);
        let server_config = config.clone();
        let (uri, server) = serve(|stream| {
            let server = Server::new().config(server_config);
            server.accept(stream).unwrap().recv()
        });
        let client = Client::new(ClientRequest::new(&uri).unwrap()).config(config);
        let (mut client, _) = client.connect().unwrap();
        thread::sleep(3 * SHORT);
        client.send("late").unwrap();
        assert_eq!(
            join(server).expect("a read that blocks"),
            Some(Message::text("late"))
        );
    });
    bounded(|| {
        let mut config = without_deadlines();
        config.handshake_timeout = Some(SHORT);
        let (uri, server) = serve(|stream| {
            let mut socket = accept(stream).unwrap();
            thread::sleep(3 * SHORT);
            socket.send("late")
        });
        let client = Client::new(ClientRequest::new(&uri).unwrap()).config(config);
        let (mut client, _) = client.connect().unwrap();
        assert_eq!(
            client.recv().expect("a read that blocks"),
            Some(Message::text("late"))
        );
        join(server).unwrap();
    });
}

// -- The closing handshake ------------------------------------------------------------------------

#[test]
fn a_server_closes_and_both_ends_know() {
    bounded(|| {
        let (uri, server) = serve(|stream| {
            let mut socket = accept(stream).unwrap();
            let end = socket.close(CloseCode::GOING_AWAY, "restart").unwrap();
            assert!(matches!(
                socket.send("late"),
                Err(Error::Send(SendError::Closing))
            ));
            end
        });
        let mut client = connect(&uri).unwrap();
        assert_eq!(client.recv().unwrap(), None);
        let end = client.end().unwrap();
        assert_ended(end, 1001, Some(Initiator::Peer));
        assert_eq!(end.reason(), "restart");
        assert_ended(&join(server), 1001, Some(Initiator::Local));
        assert!(matches!(
            client.send("late"),
            Err(Error::Send(SendError::Closing))
        ));
    });
}

#[test]
fn both_ends_close_at_once() {
    bounded(|| {
        for _ in 0..20 {
            let (meet, met) = mpsc::sync_channel(0);
            let (uri, server) = serve(move |stream| {
                let mut socket = accept(stream).unwrap();
                meet.send(()).unwrap();
                socket.close(CloseCode::GOING_AWAY, "server").unwrap()
            });
            let mut client = connect(&uri).unwrap();
            met.recv().unwrap();
            let ours = client.close(CloseCode::NORMAL_CLOSURE, "client").unwrap();
            let theirs = join(server);
            for end in [&ours, &theirs] {
                assert!(end.is_clean(), "{end:?}");
                assert_eq!(end.cause, EndCause::ClosingHandshake);
            }
            // Whoever was told before it spoke echoes; else each hears what the other had to say.
            if ours.initiator == Some(Initiator::Local) && theirs.initiator == ours.initiator {
                assert_eq!((ours.code(), theirs.code()), (1001, 1000));
            } else {
                assert_ne!(ours.initiator, theirs.initiator);
                assert_eq!(ours.code(), theirs.code());
            }
        }
    });
}

#[test]
fn closing_twice_says_the_same_again() {
    bounded(|| {
        let (uri, server) = serve(|stream| {
            let mut socket = accept(stream).unwrap();
            assert_eq!(socket.recv().unwrap(), None);
            let end = socket.end().cloned().unwrap();
            assert_eq!(socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap(), end);
            assert_eq!(socket.recv().unwrap(), None);
        });
        let mut client = connect(&uri).unwrap();
        let code = CloseCode::new(4000).unwrap();
        let end = client.close(code, "once").unwrap();
        assert_ended(&end, 4000, Some(Initiator::Local));
        assert_eq!(client.close(CloseCode::GOING_AWAY, "twice").unwrap(), end);
        assert_eq!(client.recv().unwrap(), None);
        assert_eq!(client.end(), Some(&end));
        join(server);
    });
}

#[test]
fn a_reason_that_is_too_long_closes_nothing() {
    bounded(|| {
        let (uri, server) = serve(|stream| echo(&mut accept(stream).unwrap()));
        let mut client = connect(&uri).unwrap();
        let error = client
            .close(CloseCode::NORMAL_CLOSURE, &"x".repeat(124))
            .unwrap_err();
        assert!(
            matches!(error, Error::Send(SendError::ReasonTooLong)),
            "{error:?}"
        );
        client.send("still open").unwrap();
        assert_eq!(client.recv().unwrap(), Some(Message::text("still open")));
        client
            .close(CloseCode::NORMAL_CLOSURE, &"x".repeat(123))
            .unwrap();
        join(server).unwrap();
    });
}

#[test]
fn a_close_without_a_code_is_1005() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(Config::default(), |mut socket| {
            assert_eq!(socket.recv().unwrap(), None);
            socket.end().cloned().unwrap()
        });
        peer.write_all(&frame(Role::Client, Opcode::Close, true, b""))
            .unwrap();
        assert_eq!(read_frame(&mut peer), Some((Opcode::Close, vec![])));
        assert_eq!(read_frame(&mut peer), None);
        drop(peer);
        assert_ended(&join(server), 1005, Some(Initiator::Peer));
    });
}

#[test]
fn messages_that_the_peer_sent_before_its_close_are_delivered_while_closing() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(Config::default(), |mut socket| {
            socket.send_close(CloseCode::GOING_AWAY, "").unwrap();
            let mut messages = Vec::new();
            while let Some(message) = socket.recv().unwrap() {
                messages.push(message);
            }
            (messages, socket.end().cloned().unwrap())
        });
        assert_eq!(read_close(&mut peer), Some(1001));
        for text in ["one", "two"] {
            peer.write_all(&frame(Role::Client, Opcode::Text, true, text.as_bytes()))
                .unwrap();
        }
        peer.write_all(&frame(Role::Client, Opcode::Close, true, b"\x03\xe9"))
            .unwrap();
        // 7.1.1: the server shuts the transport first.
        assert_eq!(read_frame(&mut peer), None);
        drop(peer);
        let (messages, end) = join(server);
        assert_eq!(messages, [Message::text("one"), Message::text("two")]);
        assert_ended(&end, 1001, Some(Initiator::Local));
    });
}

#[test]
fn a_peer_that_never_answers_a_close_is_left_after_close_timeout() {
    bounded(|| {
        let mut config = Config::default();
        config.close_timeout = Some(SHORT);
        let (peer, server) = serve_raw_client(config, |mut socket| {
            let started = Instant::now();
            let end = socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            (end, started.elapsed())
        });
        let (end, elapsed) = join(server);
        assert_eq!(end.cause, EndCause::CloseTimeout);
        assert_eq!(end.code(), 1006);
        assert_eq!(end.initiator, Some(Initiator::Local));
        assert!(!end.is_clean());
        assert!((SHORT..SOON).contains(&elapsed), "{elapsed:?}");
        drop(peer);
    });
}

#[test]
fn a_peer_that_keeps_its_transport_open_after_both_closes_is_left_too() {
    bounded(|| {
        let mut config = Config::default();
        config.close_timeout = Some(SHORT);
        let server_config = config.clone();
        let (mut peer, server) = serve_raw_client(server_config, |mut socket| {
            let started = Instant::now();
            assert_eq!(socket.recv().unwrap(), None);
            (socket.end().cloned().unwrap(), started.elapsed())
        });
        peer.write_all(&frame(Role::Client, Opcode::Close, true, b"\x03\xe8"))
            .unwrap();
        let (end, elapsed) = join(server);
        assert_ended(&end, 1000, Some(Initiator::Peer));
        assert!(elapsed < SOON, "{elapsed:?}");
        drop(peer);

        // A client waits for the server to close first (7.1.1), and not longer than that either.
        let (client, mut peer) = connect_to_raw_server(config, |mut client| {
            assert_eq!(client.recv().unwrap(), Some(Message::text("early")));
            let started = Instant::now();
            let end = client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            (end, started.elapsed())
        });
        assert_eq!(read_close(&mut peer), Some(1000));
        peer.write_all(&frame(Role::Server, Opcode::Close, true, b"\x03\xe8"))
            .unwrap();
        let (end, elapsed) = join(client);
        assert_ended(&end, 1000, Some(Initiator::Local));
        assert!(elapsed < SOON, "{elapsed:?}");
    });
}

#[test]
fn a_peer_that_floods_after_its_close_is_read_only_so_far() {
    bounded(|| {
        let mut config = Config::default();
        // Only the bound on what is drained can end this.
        config.close_timeout = None;
        let (mut peer, server) = serve_raw_client(config, |mut socket| {
            assert_eq!(socket.recv().unwrap(), None);
            socket.end().cloned().unwrap()
        });
        peer.write_all(&frame(Role::Client, Opcode::Close, true, b"\x03\xe8"))
            .unwrap();
        let flood = frame(Role::Client, Opcode::Binary, true, &[0; 60_000]);
        while peer.write_all(&flood).is_ok() {}
        assert_ended(&join(server), 1000, Some(Initiator::Peer));
    });
}

#[test]
fn a_peer_that_sends_on_and_never_answers_a_close_is_left_after_close_timeout() {
    bounded(|| {
        let mut config = Config::default();
        config.close_timeout = Some(SHORT);
        let (mut peer, server) = serve_raw_client(config, |mut socket| {
            let started = Instant::now();
            let end = socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            (end, started.elapsed())
        });
        let text = frame(Role::Client, Opcode::Text, true, &[b'x'; 10_000]);
        while peer.write_all(&text).is_ok() {}
        let (end, elapsed) = join(server);
        assert_eq!(end.cause, EndCause::CloseTimeout);
        assert!(elapsed < SOON, "{elapsed:?}");
    });
}

#[test]
fn a_close_timeout_of_zero_still_sends_the_close() {
    bounded(|| {
        let mut config = Config::default();
        config.close_timeout = Some(Duration::ZERO);
        let (mut peer, server) = serve_raw_client(config, |mut socket| {
            socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap()
        });
        assert_eq!(read_close(&mut peer), Some(1000));
        assert_eq!(read_frame(&mut peer), None);
        assert_eq!(join(server).cause, EndCause::CloseTimeout);
    });
}

#[test]
fn a_close_that_was_answered_in_time_is_clean_however_late_it_is_read() {
    bounded(|| {
        let mut config = Config::default();
        config.close_timeout = Some(SHORT);
        let (answer, answered) = mpsc::channel();
        let (mut peer, server) = serve_raw_client(config, move |mut socket| {
            socket.send_close(CloseCode::GOING_AWAY, "").unwrap();
            answered.recv().unwrap();
            // The application has other things to do before it asks for the end.
            thread::sleep(3 * SHORT);
            assert_eq!(socket.recv().unwrap(), Some(Message::text("in flight")));
            assert_eq!(socket.recv().unwrap(), None);
            socket.end().cloned().unwrap()
        });
        assert_eq!(read_close(&mut peer), Some(1001));
        let mut bytes = frame(Role::Client, Opcode::Text, true, b"in flight");
        bytes.extend(frame(Role::Client, Opcode::Close, true, b"\x03\xe9"));
        peer.write_all(&bytes).unwrap();
        answer.send(()).unwrap();
        assert_ended(&join(server), 1001, Some(Initiator::Local));
    });
}

#[test]
fn closing_on_a_peer_that_reads_nothing_takes_no_longer_than_close_timeout() {
    bounded(|| {
        let mut config = without_deadlines();
        config.close_timeout = Some(SHORT);
        assert!(config.write_timeout > Some(SOON));
        let (peer, server) = serve_raw_client(config, |mut socket| {
            clog(&mut socket);
            let started = Instant::now();
            let end = socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            (end, started.elapsed())
        });
        let (end, elapsed) = join(server);
        assert_eq!(end.code(), 1006);
        assert!(elapsed < SOON, "{elapsed:?}");
        drop(peer);
    });
}

#[test]
fn a_peer_that_takes_a_byte_now_and_then_does_not_extend_close_timeout() {
    bounded(|| {
        let mut config = without_deadlines();
        config.close_timeout = Some(SHORT);
        let mut socket = from_parts(Role::Server, config, Syrup::default(), b"");
        socket.feed(vec![0; 60_000]).unwrap();
        let started = Instant::now();
        let end = socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        assert_eq!(end.code(), 1006);
    });
}

// -- Ends without a closing handshake -------------------------------------------------------------

#[test]
fn a_peer_that_ends_the_stream_is_1006_and_no_error() {
    bounded(|| {
        let text = frame(Role::Client, Opcode::Text, true, b"last words");
        for (bytes, messages) in [
            (&[][..], 0),
            (&text[..], 1),
            // In a header, and in a payload.
            (&text[..1], 0),
            (&text[..9], 0),
        ] {
            let (mut peer, server) = serve_raw_client(Config::default(), |mut socket| {
                let mut messages = 0;
                while socket.recv().unwrap().is_some() {
                    messages += 1;
                }
                (messages, socket.end().cloned().unwrap())
            });
            peer.write_all(bytes).unwrap();
            drop(peer);
            let (received, end) = join(server);
            assert_eq!(received, messages);
            assert_eq!(end.cause, EndCause::EndOfStream);
            assert_eq!((end.code(), end.initiator), (1006, None));
            assert!(!end.is_clean());
        }
    });
}

#[test]
fn a_peer_that_resets_the_stream_is_an_error_and_then_the_end() {
    bounded(|| {
        let (peer, server) = serve_raw_client(Config::default(), |mut socket| {
            socket.send("unread").unwrap();
            let error = socket.recv().unwrap_err();
            assert!(
                matches!(&error, Error::Io(error) if error.kind() == ErrorKind::ConnectionReset),
                "{error:?}"
            );
            assert_eq!(socket.recv().unwrap(), None);
            assert_eq!(
                socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap().code(),
                1006
            );
            socket.end().cloned().unwrap()
        });
        reset(peer);
        let end = join(server);
        assert_eq!(end.cause, EndCause::Transport);
        assert_eq!((end.code(), end.initiator), (1006, None));
    });
}

// -- Deadlines ------------------------------------------------------------------------------------

#[test]
fn silence_is_broken_by_pings_and_a_peer_that_answers_stays() {
    bounded(|| {
        let mut config = Config::default();
        config.ping_interval = Some(SHORT / 2);
        config.pong_timeout = Some(SOON);
        let (mut peer, server) = serve_raw_client(config, |mut socket| {
            let message = socket.recv().unwrap();
            (message, socket.connection().round_trip_time())
        });
        let mut seen = Vec::new();
        for _ in 0..3 {
            let (opcode, payload) = read_frame(&mut peer).unwrap();
            assert_eq!(opcode, Opcode::Ping);
            assert!(
                !seen.contains(&payload),
                "each Ping has a payload of its own"
            );
            peer.write_all(&frame(Role::Client, Opcode::Pong, true, &payload))
                .unwrap();
            seen.push(payload);
        }
        peer.write_all(&frame(Role::Client, Opcode::Text, true, b"x"))
            .unwrap();
        let (message, round_trip_time) = join(server);
        assert_eq!(message, Some(Message::text("x")));
        assert!(round_trip_time.is_some());
    });
}

#[test]
fn two_adapters_keep_each_other_alive() {
    bounded(|| {
        let mut config = Config::default();
        config.ping_interval = Some(SHORT / 4);
        config.pong_timeout = Some(SOON);
        let server_config = config.clone();
        let (uri, server) = serve(|stream| {
            let server = Server::new().config(server_config);
            let mut socket = server.accept(stream).unwrap();
            let message = socket.recv().unwrap();
            (message, socket.connection().round_trip_time())
        });
        let client = Client::new(ClientRequest::new(&uri).unwrap()).config(config);
        let (mut client, _) = client.connect().unwrap();
        let stream = client.stream().tcp().try_clone().unwrap();
        let waker = thread::spawn(move || {
            thread::sleep(5 * SHORT);
            stream.shutdown(Shutdown::Write)
        });
        // Only Pings and Pongs pass, until the transport ends.
        let _ = client.recv();
        let ours = client.connection().round_trip_time();
        drop(client);
        let (message, theirs) = join(server);
        assert_eq!(message, None);
        // The Pings of one may well keep the other from falling silent.
        assert!(ours.or(theirs).is_some());
        join(waker).unwrap();
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_left_after_pong_timeout() {
    bounded(|| {
        // Whether the next Ping would be due before the answer is overdue makes no difference.
        for (ping_interval, pong_timeout) in
            [(SHORT, SHORT / 2), (SHORT, SHORT), (SHORT / 4, SHORT)]
        {
            let case = format!("ping_interval {ping_interval:?}, pong_timeout {pong_timeout:?}");
            let mut config = Config::default();
            config.ping_interval = Some(ping_interval);
            config.pong_timeout = Some(pong_timeout);
            config.close_timeout = Some(SHORT);
            let (mut peer, server) = serve_raw_client(config, |mut socket| {
                let outcome = socket.recv();
                (outcome, socket.end().cloned())
            });
            peer.set_read_timeout(Some(HANG)).unwrap();
            let mut pings = 0;
            let close = loop {
                match read_frame(&mut peer) {
                    Some((Opcode::Ping, _)) if pings < 20 => pings += 1,
                    Some((Opcode::Ping, _)) => panic!("{case}: pinged for ever"),
                    other => break other,
                }
            };
            let (opcode, payload) = close.unwrap();
            assert_eq!(
                (opcode, &payload[..2]),
                (Opcode::Close, &1011_u16.to_be_bytes()[..])
            );
            assert!(pings >= 1);
            assert_eq!(read_frame(&mut peer), None, "{case}");
            let (outcome, end) = join(server);
            assert_eq!(outcome.unwrap(), None, "{case}");
            let end = end.unwrap();
            assert_eq!(end.cause, EndCause::KeepaliveTimeout, "{case}");
            assert_eq!(end.code(), 1006);
            assert_eq!(end.sent_code(), Some(CloseCode::INTERNAL_ERROR));
        }
    });
}

#[test]
fn a_connection_that_somebody_else_upgraded_is_kept_alive_from_its_first_read() {
    bounded(|| {
        let mut config = Config::default();
        config.ping_interval = Some(SHORT);
        config.pong_timeout = Some(SHORT);
        config.close_timeout = Some(SHORT);
        let (stream, mut peer) = tcp_pair();
        peer.set_read_timeout(Some(SOON)).unwrap();
        let server = thread::spawn(|| {
            let mut socket = from_parts(Role::Server, config, stream, b"");
            (socket.recv(), socket.end().cloned())
        });
        assert_eq!(
            read_frame(&mut peer).map(|(opcode, _)| opcode),
            Some(Opcode::Ping),
            "a peer that never sends a byte is asked whether it is there"
        );
        let (outcome, end) = join(server);
        assert_eq!(outcome.unwrap(), None);
        assert_eq!(end.unwrap().cause, EndCause::KeepaliveTimeout);
    });
}

#[test]
fn a_connection_without_messages_is_closed_after_idle_timeout() {
    bounded(|| {
        let mut config = Config::default();
        config.idle_timeout = Some(3 * SHORT);
        config.ping_interval = Some(SHORT / 2);
        config.pong_timeout = Some(SOON);
        let (mut peer, server) = serve_raw_client(config, |mut socket| {
            let outcome = socket.recv().unwrap();
            (outcome, socket.end().cloned().unwrap())
        });
        // Pings and Pongs are signs of life, and no messages.
        let close = loop {
            match read_frame(&mut peer).unwrap() {
                (Opcode::Ping, payload) => peer
                    .write_all(&frame(Role::Client, Opcode::Pong, true, &payload))
                    .unwrap(),
                (opcode, payload) => break (opcode, payload),
            }
        };
        assert_eq!(close.0, Opcode::Close);
        assert_eq!(close.1[..2], 1001_u16.to_be_bytes());
        peer.write_all(&frame(Role::Client, Opcode::Close, true, &close.1))
            .unwrap();
        assert_eq!(read_frame(&mut peer), None);
        drop(peer);
        let (outcome, end) = join(server);
        assert_eq!(outcome, None);
        assert_eq!(end.cause, EndCause::IdleTimeout);
        assert_eq!(end.initiator, Some(Initiator::Local));
        assert!(end.is_clean());
    });
}

#[test]
fn a_message_that_waits_to_be_read_is_not_idleness() {
    bounded(|| {
        let mut config = Config::default();
        config.idle_timeout = Some(SHORT);
        let (send, sent) = mpsc::channel();
        let (mut peer, server) = serve_raw_client(config, move |mut socket| {
            sent.recv().unwrap();
            thread::sleep(3 * SHORT);
            (socket.recv().unwrap(), socket.connection().state())
        });
        peer.write_all(&frame(Role::Client, Opcode::Text, true, b"waiting"))
            .unwrap();
        send.send(()).unwrap();
        let (message, state) = join(server);
        assert_eq!(message, Some(Message::text("waiting")));
        assert_eq!(state, State::Open);
    });
}

#[test]
fn a_pong_that_waits_to_be_read_is_a_sign_of_life() {
    bounded(|| {
        let mut config = Config::default();
        config.ping_interval = Some(SHORT);
        config.pong_timeout = Some(5 * SHORT);
        let (see, seen) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let (mut peer, server) = serve_raw_client(config, move |mut socket| {
            socket.stream().set_nonblocking(true).unwrap();
            // It is looked at often until the Ping is out, and then not for long.
            while seen.try_recv().is_err() {
                assert!(is_would_block(&socket.recv().unwrap_err()));
            }
            stop.send(()).unwrap();
            thread::sleep(6 * SHORT);
            let outcome = socket.recv();
            (
                outcome,
                socket.end().cloned(),
                socket.connection().round_trip_time(),
            )
        });
        let (opcode, payload) = read_frame(&mut peer).unwrap();
        assert_eq!(opcode, Opcode::Ping);
        see.send(()).unwrap();
        stopped.recv().unwrap();
        peer.write_all(&frame(Role::Client, Opcode::Pong, true, &payload))
            .unwrap();
        let (outcome, end, round_trip_time) = join(server);
        assert_eq!(end, None);
        assert!(is_would_block(&outcome.unwrap_err()));
        assert!(round_trip_time.is_some());
    });
}

#[test]
fn a_ping_interval_of_zero_still_reads() {
    bounded(|| {
        let mut config = Config::default();
        config.ping_interval = Some(Duration::ZERO);
        let (mut peer, server) = serve_raw_client(config, |mut socket| socket.recv().unwrap());
        peer.write_all(&frame(Role::Client, Opcode::Text, true, b"x"))
            .unwrap();
        assert_eq!(join(server), Some(Message::text("x")));
        drop(peer);
    });
}

#[test]
fn a_peer_that_pings_and_never_reads_is_left_after_write_timeout() {
    bounded(|| {
        let mut config = without_deadlines();
        config.write_timeout = Some(SHORT);
        let (mut peer, server) = serve_raw_client(config, |mut socket| {
            let error = socket.recv().unwrap_err();
            assert!(socket.buffered() <= 2 * (2 + 125), "{}", socket.buffered());
            (error, socket.end().cloned().unwrap())
        });
        let pings = frame(Role::Client, Opcode::Ping, true, &[0; 125]).repeat(500);
        while peer.write_all(&pings).is_ok() {}
        let (error, end) = join(server);
        assert!(matches!(error, Error::WriteTimeout), "{error:?}");
        assert_eq!(end.cause, EndCause::Transport);
    });
}

#[test]
fn a_peer_that_never_reads_is_left_after_write_timeout() {
    bounded(|| {
        let mut config = Config::default();
        config.write_timeout = Some(5 * SHORT);
        let most = config.write_high_water + (1 << 20) + 10;
        let (peer, server) = serve_raw_client(config, move |mut socket| {
            let error = loop {
                if let Err(error) = socket.feed(vec![0; 1 << 20]) {
                    break error;
                }
                assert!(socket.buffered() <= most, "{}", socket.buffered());
            };
            assert!(matches!(error, Error::WriteTimeout), "{error:?}");
            assert!(socket.buffered() <= most, "{}", socket.buffered());
            let end = socket.end().cloned().unwrap();
            assert_eq!((end.cause, end.code()), (EndCause::Transport, 1006));
            // What is queued will never leave, and no flush may say that it has.
            assert!(socket.flush().is_err());
            // It has ended. Whoever asks again is told so, and does not wait once more.
            let started = Instant::now();
            for _ in 0..10 {
                assert!(!matches!(socket.recv(), Ok(Some(_))));
            }
            let again = socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            assert_eq!(again, end);
            assert_eq!(socket.recv().unwrap(), None);
            started.elapsed()
        });
        let elapsed = join(server);
        assert!(elapsed < SOON, "{elapsed:?}");
        drop(peer);
    });
}

#[test]
fn a_peer_that_reads_slowly_is_not_mistaken_for_one_that_never_reads() {
    bounded(|| {
        let mut config = without_deadlines();
        config.write_timeout = Some(SHORT);
        let slow = Syrup::default();
        let taken = Arc::clone(&slow.taken);
        let mut socket = from_parts(Role::Server, config, slow, b"");
        // A byte at a time, and more often than the timeout, for longer than the timeout.
        socket.send("slowly but surely").unwrap();
        assert_eq!(taken.load(Ordering::Relaxed), 2 + 17);
    });
}

// -- Parts ----------------------------------------------------------------------------------------

#[test]
fn a_socket_that_is_taken_apart_and_put_together_loses_nothing() {
    bounded(|| {
        let (mut peer, server) = serve_raw_client(Config::default(), |mut socket| {
            assert_eq!(socket.recv().unwrap(), Some(Message::text("one")));
            socket.feed("not yet written").unwrap();
            let parts = socket.into_parts();
            // More than one frame came with the read that brought the first message.
            assert!(!parts.input.unread().is_empty());
            assert!(!parts.output.is_empty());
            assert_eq!(parts.connection.state(), State::Open);
            let mut socket = WebSocket::from_parts(parts).unwrap();
            assert_eq!(socket.recv().unwrap(), Some(Message::text("two")));
            assert_eq!(socket.recv().unwrap(), Some(Message::text("three")));
            assert_eq!(socket.recv().unwrap(), None);
            socket.end().cloned().unwrap()
        });
        let three = frame(Role::Client, Opcode::Text, true, b"three");
        let (begin, rest) = three.split_at(8);
        let mut bytes = frame(Role::Client, Opcode::Text, true, b"one");
        bytes.extend(frame(Role::Client, Opcode::Text, true, b"two"));
        bytes.extend(begin);
        peer.write_all(&bytes).unwrap();
        assert_eq!(
            read_frame(&mut peer),
            Some((Opcode::Text, b"not yet written".to_vec()))
        );
        peer.write_all(rest).unwrap();
        peer.write_all(&frame(Role::Client, Opcode::Close, true, b"\x03\xe8"))
            .unwrap();
        assert_eq!(read_close(&mut peer), Some(1000));
        drop(peer);
        assert_ended(&join(server), 1000, Some(Initiator::Peer));
    });
}

#[test]
fn a_stream_comes_back_without_the_timeouts_of_the_socket() {
    bounded(|| {
        let mut config = Config::default();
        config.ping_interval = Some(SHORT);
        let (uri, server) = serve(|stream| accept(stream).unwrap().recv());
        let client = Client::new(ClientRequest::new(&uri).unwrap()).config(config);
        let (mut client, _) = client.connect().unwrap();
        client.send("x").unwrap();
        // The read sets a timeout for the keepalive.
        let _ = client.recv();
        let parts = client.into_parts();
        assert_eq!(parts.stream.tcp().read_timeout().unwrap(), None);
        assert_eq!(parts.stream.tcp().write_timeout().unwrap(), None);
        join(server).unwrap();
    });
}

#[test]
fn frames_that_another_http_server_has_read_are_received_first() {
    bounded(|| {
        let leftover = frame(Role::Client, Opcode::Text, true, b"leftover");
        let (stream, mut peer) = tcp_pair();
        let mut socket = from_parts(Role::Server, Config::default(), stream, &leftover);
        assert_eq!(socket.recv().unwrap(), Some(Message::text("leftover")));
        peer.write_all(&frame(Role::Client, Opcode::Text, true, b"read"))
            .unwrap();
        assert_eq!(socket.recv().unwrap(), Some(Message::text("read")));
    });
}

#[test]
fn a_close_among_the_leftovers_ends_the_socket_by_close_timeout() {
    bounded(|| {
        let mut config = without_deadlines();
        config.close_timeout = Some(SHORT);
        let leftover = frame(Role::Client, Opcode::Close, true, b"\x03\xe8");
        let (stream, peer) = tcp_pair();
        let mut socket = from_parts(Role::Server, config, stream, &leftover);
        let started = Instant::now();
        assert_eq!(socket.recv().unwrap(), None);
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        assert_ended(socket.end().unwrap(), 1000, Some(Initiator::Peer));
        drop(peer);
    });
}

// -- Streams that can do little -------------------------------------------------------------------

#[test]
fn streams_without_timeouts_do() {
    bounded(|| {
        let (ours, theirs) = duplex();
        let server = thread::spawn(|| {
            let mut socket = accept(Plain(theirs)).unwrap();
            echo(&mut socket).unwrap();
            socket.end().cloned().unwrap()
        });
        let client = Client::new(ClientRequest::new("ws://localhost/").unwrap());
        let (mut client, _) = client.handshake(Plain(ours)).unwrap();
        for len in [0, 1, 200, 100_000] {
            client.send("z".repeat(len)).unwrap();
            assert_eq!(client.recv().unwrap(), Some(Message::from("z".repeat(len))));
        }
        let end = client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        assert_ended(&end, 1000, Some(Initiator::Local));
        drop(client);
        assert_ended(&join(server), 1000, Some(Initiator::Peer));
    });
}

#[test]
fn a_stream_without_timeouts_is_not_waited_for_after_both_closes() {
    bounded(|| {
        for config in [Config::default(), without_deadlines()] {
            // The peer has said its last word, and leaves its transport open.
            let (stream, mut peer) = duplex();
            peer.write_all(&frame(Role::Client, Opcode::Close, true, b"\x03\xe8"))
                .unwrap();
            let mut socket = from_parts(Role::Server, config, Plain(stream), b"");
            assert_eq!(socket.recv().unwrap(), None);
            assert_ended(socket.end().unwrap(), 1000, Some(Initiator::Peer));
            assert_eq!(read_close(&mut peer), Some(1000));
        }
    });
}

#[test]
fn a_stream_that_gives_and_takes_a_byte_at_a_time_does() {
    bounded(|| {
        let (ours, theirs) = duplex();
        let server = thread::spawn(|| {
            let mut socket = accept(Trickle(theirs)).unwrap();
            echo(&mut socket).unwrap();
            socket.end().cloned().unwrap()
        });
        let client = Client::new(ClientRequest::new("ws://localhost/").unwrap());
        let (mut client, _) = client.handshake(Trickle(ours)).unwrap();
        for len in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
            let message = Message::from(noise(len));
            client.send(message.clone()).unwrap();
            assert!(client.recv().unwrap() == Some(message), "{len} bytes");
        }
        client.send("Grüße 世界 𐍈").unwrap();
        assert_eq!(client.recv().unwrap(), Some(Message::text("Grüße 世界 𐍈")));
        let end = client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        assert_ended(&end, 1000, Some(Initiator::Local));
        drop(client);
        assert_ended(&join(server), 1000, Some(Initiator::Peer));
    });
}

#[test]
fn an_interrupted_call_is_made_again() {
    bounded(|| {
        let reads = [
            Err(ErrorKind::Interrupted),
            Ok(frame(Role::Client, Opcode::Text, true, b"x")),
            Err(ErrorKind::Interrupted),
            Err(ErrorKind::Interrupted),
            Ok(frame(Role::Client, Opcode::Close, true, b"\x03\xe8")),
        ];
        let (stream, record) = Scripted::new(reads);
        let mut interrupted = false;
        let stream = stream.taking(move |len| {
            interrupted = !interrupted;
            if interrupted {
                Err(ErrorKind::Interrupted)
            } else {
                Ok(len.min(3))
            }
        });
        let mut socket = from_parts(Role::Server, Config::default(), stream, b"");
        echo(&mut socket).unwrap();
        let mut expected = frame(Role::Server, Opcode::Text, true, b"x");
        expected.extend(frame(Role::Server, Opcode::Close, true, b"\x03\xe8"));
        assert_eq!(record.written(), expected);
    });
}

#[test]
fn a_read_that_would_block_loses_nothing() {
    bounded(|| {
        // Every byte is a read of its own, with two that bring nothing before it.
        let mut bytes = frame(Role::Client, Opcode::Text, false, "Grü".as_bytes());
        bytes.extend(frame(Role::Client, Opcode::Ping, true, b"p"));
        bytes.extend(frame(
            Role::Client,
            Opcode::Continuation,
            true,
            "ße".as_bytes(),
        ));
        bytes.extend(frame(Role::Client, Opcode::Binary, true, &[7; 300]));
        let reads = bytes.iter().flat_map(|&byte| {
            [
                Err(ErrorKind::WouldBlock),
                Err(ErrorKind::WouldBlock),
                Ok(vec![byte]),
            ]
        });
        let (stream, record) = Scripted::new(reads);
        let mut socket = from_parts(Role::Server, Config::default(), stream, b"");
        let (mut messages, mut blocked) = (Vec::new(), 0);
        loop {
            match socket.recv() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    assert!(is_would_block(&error), "{error:?}");
                    assert!(socket.end().is_none());
                    blocked += 1;
                }
            }
        }
        assert_eq!(blocked, 2 * bytes.len());
        assert_eq!(
            messages,
            [Message::text("Grüße"), Message::from(vec![7; 300])]
        );
        assert_eq!(
            record.written(),
            frame(Role::Server, Opcode::Pong, true, b"p")
        );
        assert_eq!(socket.end().unwrap().cause, EndCause::EndOfStream);
    });
}

#[test]
fn a_socket_that_does_not_block_receives_by_being_asked_again() {
    bounded(|| {
        let (stream, mut peer) = tcp_pair();
        stream.set_nonblocking(true).unwrap();
        let mut socket = from_parts(Role::Server, Config::default(), stream, b"");
        assert!(is_would_block(&socket.recv().unwrap_err()));
        let text = frame(Role::Client, Opcode::Text, true, b"in two pieces");
        for (piece, expected) in [
            (&text[..7], None),
            (&text[7..], Some(Message::text("in two pieces"))),
        ] {
            peer.write_all(piece).unwrap();
            let started = Instant::now();
            let received = loop {
                match socket.recv() {
                    Ok(message) => break message,
                    Err(error) => assert!(is_would_block(&error), "{error:?}"),
                }
                if expected.is_none() && started.elapsed() > SHORT {
                    break None;
                }
            };
            assert_eq!(received, expected);
        }
        assert!(is_would_block(&socket.recv().unwrap_err()));
    });
}

#[test]
fn a_write_that_would_block_keeps_what_was_not_taken() {
    bounded(|| {
        let (stream, record) = Scripted::new([]);
        let stream = stream.taking(reluctant(7));
        let mut socket = from_parts(Role::Server, Config::default(), stream, b"");
        let message = noise(10_000);
        // A `send` that would block has queued the message: what is repeated is the flush.
        let mut outcome = socket.send(message.clone());
        let mut blocked = 0;
        while let Err(error) = outcome {
            assert!(is_would_block(&error), "{error:?}");
            assert!(socket.buffered() > 0);
            blocked += 1;
            outcome = socket.flush();
        }
        assert!(blocked > 1000);
        assert_eq!(socket.buffered(), 0);
        assert!(record.written() == frame(Role::Server, Opcode::Binary, true, &message));
    });
}

#[test]
fn a_stream_with_a_buffer_of_its_own_is_flushed_until_it_has() {
    bounded(|| {
        let stream = Buffered::default();
        let flushed = Arc::clone(&stream.flushed);
        let mut socket = from_parts(Role::Server, Config::default(), stream, b"");
        // The stream takes the bytes at once, and then cannot pass them on.
        assert!(is_would_block(&socket.send("x").unwrap_err()));
        assert_eq!(flushed.lock().unwrap().len(), 0);
        socket.flush().unwrap();
        assert_eq!(
            *flushed.lock().unwrap(),
            frame(Role::Server, Opcode::Text, true, b"x")
        );
    });
}

#[test]
fn an_echo_over_a_stream_that_blocks_neither_way_loses_nothing() {
    bounded(|| {
        let mut reads = Vec::new();
        let mut expected = Vec::new();
        for len in [0, 1, 200, 70_000] {
            let payload = noise(len);
            reads.push(Ok(frame(Role::Client, Opcode::Binary, true, &payload)));
            reads.push(Err(ErrorKind::WouldBlock));
            expected.extend(frame(Role::Server, Opcode::Binary, true, &payload));
        }
        let (stream, record) = Scripted::new(reads);
        let mut socket = from_parts(
            Role::Server,
            Config::default(),
            stream.taking(reluctant(999)),
            b"",
        );
        loop {
            match echo(&mut socket) {
                Ok(()) => break,
                Err(error) => assert!(is_would_block(&error), "{error:?}"),
            }
        }
        assert!(record.written() == expected);
        assert_eq!(socket.end().unwrap().cause, EndCause::EndOfStream);
    });
}

#[test]
fn a_close_over_a_stream_that_does_not_block_loses_neither_replies_nor_the_close() {
    bounded(|| {
        // One read brings a message and the Close, so that both answers wait when the end is seen.
        let mut bytes = frame(Role::Client, Opcode::Text, true, b"a message to echo");
        bytes.extend(frame(Role::Client, Opcode::Close, true, b"\x03\xe8"));
        let mut expected = frame(Role::Server, Opcode::Text, true, b"a message to echo");
        expected.extend(frame(Role::Server, Opcode::Close, true, b"\x03\xe8"));
        let (stream, record) = Scripted::new([Ok(bytes), Err(ErrorKind::WouldBlock)]);
        let stream = stream.taking(reluctant(5));
        let mut socket = from_parts(Role::Server, Config::default(), stream, b"");
        loop {
            match echo(&mut socket) {
                Ok(()) => break,
                Err(error) => assert!(is_would_block(&error), "{error:?}"),
            }
        }
        assert_eq!(record.written(), expected);
        assert_ended(socket.end().unwrap(), 1000, Some(Initiator::Peer));
    });
}

#[test]
fn an_error_over_a_stream_that_does_not_block_still_tells_the_peer() {
    bounded(|| {
        let (stream, record) = Scripted::new([Ok(b"\x83\x80".to_vec())]);
        let stream = stream.taking(reluctant(5));
        let mut socket = from_parts(Role::Server, Config::default(), stream, b"");
        let mut errors = Vec::new();
        loop {
            match socket.recv() {
                Ok(None) => break,
                Ok(Some(message)) => panic!("{message:?}"),
                Err(error) if is_would_block(&error) => {}
                Err(error) => errors.push(error),
            }
        }
        assert!(
            matches!(
                errors[..],
                [Error::Protocol(ProtocolError::ReservedOpcode(3))]
            ),
            "{errors:?}"
        );
        let close = read_close(&mut &record.written()[..]);
        assert_eq!(close, Some(1002), "{:?}", record.written());
    });
}

#[test]
fn close_can_be_repeated_where_it_would_block() {
    bounded(|| {
        let (stream, mut peer) = tcp_pair();
        stream.set_nonblocking(true).unwrap();
        let mut socket = from_parts(Role::Server, Config::default(), stream, b"");
        let error = socket.close(CloseCode::NORMAL_CLOSURE, "once").unwrap_err();
        assert!(is_would_block(&error), "{error:?}");
        assert_eq!(read_close(&mut peer), Some(1000));
        assert_eq!(socket.connection().state(), State::Closing);
        peer.write_all(&frame(Role::Client, Opcode::Close, true, b"\x03\xe8"))
            .unwrap();
        let end = loop {
            match socket.close(CloseCode::NORMAL_CLOSURE, "twice") {
                Ok(end) => break end,
                Err(error) => assert!(is_would_block(&error), "{error:?}"),
            }
            if socket.connection().state() == State::Closed {
                // 7.1.1: it waits for the client to close behind it.
                peer.shutdown(Shutdown::Write).unwrap();
            }
        };
        assert_ended(&end, 1000, Some(Initiator::Local));
        assert_eq!(read_frame(&mut peer), None, "one Close was sent");
    });
}

// -- Streams that fail ----------------------------------------------------------------------------

#[test]
fn a_failure_at_any_call_is_a_typed_error_and_never_a_hang() {
    for role in [Role::Client, Role::Server] {
        for fault in [
            Fault::Read(Some(ErrorKind::ConnectionReset)),
            Fault::Read(Some(ErrorKind::Other)),
            Fault::Read(None),
            Fault::Write(Some(ErrorKind::BrokenPipe)),
            Fault::Write(None),
        ] {
            let mut at = 1;
            loop {
                let case = format!("{role:?}, {fault:?} at call {at}");
                let (reached, outcome) = bounded(move || fail_at(role, fault, at));
                if !reached {
                    assert!(at > 3, "{case}: nothing was tried");
                    outcome.unwrap_or_else(|error| panic!("{case}: {error:?}"));
                    break;
                }
                if let Err(error) = outcome {
                    let is_ours = match (&error, fault) {
                        (Error::Io(error), Fault::Read(Some(kind)) | Fault::Write(Some(kind))) => {
                            error.kind() == kind
                        }
                        (Error::Io(error), Fault::Write(None)) => {
                            error.kind() == ErrorKind::WriteZero
                        }
                        (Error::Handshake(HandshakeError::EndOfStream), Fault::Read(None)) => true,
                        _ => false,
                    };
                    assert!(is_ours, "{case}: {error:?}");
                }
                at += 1;
            }
        }
    }
}

/// What fails, and how; `None` is the end of the stream, or a write that takes nothing.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Read(Option<ErrorKind>),
    Write(Option<ErrorKind>),
}

/// Runs a conversation in which one end's stream fails at a call, and says whether that call was
/// made and how the conversation went.
fn fail_at(role: Role, fault: Fault, at: usize) -> (bool, Result<(), Error>) {
    let (stream, peer) = duplex();
    let reached = Arc::new(AtomicBool::new(false));
    let faulty = Faulty {
        stream,
        fault,
        calls_left: at,
        reached: Arc::clone(&reached),
    };
    let request = ClientRequest::new("ws://localhost/").unwrap();
    // The peer meets whatever the failure leaves it, and ends, because its stream does.
    let outcome = match role {
        Role::Client => {
            let peer = thread::spawn(|| {
                let _ = accept(Plain(peer)).and_then(|mut socket| echo(&mut socket));
            });
            let outcome = Client::new(request)
                .handshake(faulty)
                .and_then(|(socket, _)| converse(socket));
            join(peer);
            outcome
        }
        Role::Server => {
            let peer = thread::spawn(move || {
                let _ = Client::new(request)
                    .handshake(Plain(peer))
                    .and_then(|(mut socket, _)| echo(&mut socket));
            });
            let outcome = accept(faulty).and_then(converse);
            join(peer);
            outcome
        }
    };
    (reached.load(Ordering::Relaxed), outcome)
}

/// Says a few things to an echo, and checks what holds of a socket that has failed.
fn converse<S: Stream>(mut socket: WebSocket<S>) -> Result<(), Error> {
    let mut speak = || {
        socket.send("hello")?;
        expect_echo(&mut socket, "hello")?;
        socket.send_fragment(MessageKind::Text, b"hel", false)?;
        socket.send_ping(b"between")?;
        socket.send_fragment(MessageKind::Text, b"lo", true)?;
        expect_echo(&mut socket, "hello")?;
        socket.feed("z".repeat(100_000))?;
        expect_echo(&mut socket, &"z".repeat(100_000))
    };
    let mut outcome = speak();
    if matches!(outcome, Err(Error::Send(SendError::Closing))) {
        // The stream has ended, which is no error; nothing can be sent after it.
        assert_eq!(socket.end().unwrap().cause, EndCause::EndOfStream);
        outcome = Ok(());
    }
    if let Err(error) = &outcome {
        let end = socket.end().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!((end.cause, end.code()), (EndCause::Transport, 1006));
        let late = socket.send("late");
        assert!(
            matches!(late, Err(Error::Send(SendError::Closing))),
            "{late:?}"
        );
    }
    let end = socket.close(CloseCode::NORMAL_CLOSURE, "")?;
    assert_eq!(socket.recv().unwrap(), None);
    assert_eq!(socket.end(), Some(&end));
    assert_eq!(socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap(), end);
    outcome
}

/// Receives an echo; the end of the connection is none.
fn expect_echo<S: Stream>(socket: &mut WebSocket<S>, text: &str) -> Result<(), Error> {
    match socket.recv()? {
        Some(message) => assert_eq!(message.as_text(), Some(text)),
        None => assert_eq!(socket.end().unwrap().cause, EndCause::EndOfStream),
    }
    Ok(())
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

/// Serves one client on a thread, and returns where.
fn serve<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        serve(stream)
    });
    (uri, server)
}

/// Serves a client that is only a TCP stream here, whose handshake is done.
fn serve_raw_client<T: Send + 'static>(
    config: Config,
    serve_socket: impl FnOnce(WebSocket<TcpStream>) -> T + Send + 'static,
) -> (TcpStream, JoinHandle<T>) {
    let (uri, server) = serve(move |stream| {
        let server = Server::new().config(config);
        serve_socket(server.accept(stream).unwrap())
    });
    let mut peer = TcpStream::connect(address(&uri)).unwrap();
    peer.set_nodelay(true).unwrap();
    peer.write_all(&upgrade_request()).unwrap();
    read_head(&mut peer);
    (peer, server)
}

/// Connects a client to a server that is only a TCP stream here, and has sent `early` along with
/// its answer to the handshake.
fn connect_to_raw_server<T: Send + 'static>(
    config: Config,
    use_client: impl FnOnce(WebSocket<MaybeTlsStream>) -> T + Send + 'static,
) -> (JoinHandle<T>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let client = thread::spawn(move || {
        let client = Client::new(ClientRequest::new(&uri).unwrap()).config(config);
        use_client(client.connect().unwrap().0)
    });
    let (mut peer, _) = listener.accept().unwrap();
    let head = read_head(&mut peer);
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap();
    let accept = String::from_utf8(accept_key(key.as_bytes()).to_vec()).unwrap();
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes();
    answer.extend(frame(Role::Server, Opcode::Text, true, b"early"));
    peer.write_all(&answer).unwrap();
    (client, peer)
}

/// Makes a socket of a stream on which the handshake was somebody else's.
fn from_parts<S: Stream>(role: Role, config: Config, stream: S, leftover: &[u8]) -> WebSocket<S> {
    WebSocket::from_parts(Parts {
        stream,
        connection: Connection::new(role, config.into()),
        input: RecvBuffer::from(leftover),
        output: SendBuffer::new(),
    })
    .unwrap()
}

fn address(uri: &str) -> SocketAddr {
    let authority = uri.trim_start_matches("ws://").trim_end_matches('/');
    authority.parse().unwrap()
}

/// The README's echo.
fn echo<S: Stream>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    while let Some((event, mut outbox)) = socket.recv_event()? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            _ => {}
        }
    }
    Ok(())
}

/// Queues more than the transport takes from a peer that reads nothing.
fn clog(socket: &mut WebSocket<TcpStream>) {
    socket.stream().set_nonblocking(true).unwrap();
    let error = socket.send(vec![0; LIMIT]).unwrap_err();
    assert!(is_would_block(&error), "{error:?}");
    socket.stream().set_nonblocking(false).unwrap();
}

/// Makes a peer reset its stream: it closes it with bytes that it has not read.
fn reset(peer: TcpStream) {
    let mut first = [0];
    assert_eq!(peer.peek(&mut first).unwrap(), 1);
    drop(peer);
}

/// Nothing is due before the connection closes, so that no deadline wakes a read that waits.
fn without_deadlines() -> Config {
    let mut config = Config::default();
    config.handshake_timeout = None;
    config.ping_interval = None;
    config
}

/// Gives up soon on a handshake.
fn impatient() -> Config {
    let mut config = Config::default();
    config.handshake_timeout = Some(SHORT);
    config.close_timeout = Some(SHORT);
    config
}

fn assert_ended(end: &End, code: u16, initiator: Option<Initiator>) {
    assert_eq!(end.code(), code, "{end:?}");
    assert_eq!(end.initiator, initiator, "{end:?}");
    assert_eq!(end.cause, EndCause::ClosingHandshake, "{end:?}");
    assert!(end.is_clean(), "{end:?}");
}

fn is_would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock)
}

// -- Rig: bytes -----------------------------------------------------------------------------------

/// Bytes without a pattern that a mistake could hide in.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .collect()
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

/// Reads a frame; `None` where the stream ends before one, or fails.
fn read_frame(stream: &mut impl Read) -> Option<(Opcode, Vec<u8>)> {
    let mut head = Vec::new();
    let header = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
        if let Some(header) = FrameHeader::decode(&head).unwrap() {
            break header;
        }
    };
    let mut payload = vec![0; usize::try_from(header.payload_len).unwrap()];
    stream.read_exact(&mut payload).ok()?;
    if let Some(key) = header.mask {
        mask(&mut payload, key, 0);
    }
    Some((header.opcode, payload))
}

/// Reads a Close frame and returns its code.
fn read_close(stream: &mut impl Read) -> Option<u16> {
    let (opcode, payload) = read_frame(stream)?;
    assert_eq!(opcode, Opcode::Close);
    CloseFrame::decode(&payload)
        .unwrap()
        .map(|frame| frame.code.get())
}

/// RFC 6455, section 1.2, less its subprotocols and its origin.
fn upgrade_request() -> Vec<u8> {
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
      Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
      Sec-WebSocket-Version: 13\r\n\r\n"
        .to_vec()
}

/// Reads an HTTP head, and nothing behind it.
fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Sends an HTTP request and returns all that comes back.
fn exchange(uri: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address(uri)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

// -- Rig: streams ---------------------------------------------------------------------------------

/// A stream whose reads are written down beforehand, and whose calls are recorded.
///
/// A read brings at most one piece, and the end of the stream when none is left.
struct Scripted {
    reads: VecDeque<Result<Vec<u8>, ErrorKind>>,
    take: Box<dyn FnMut(usize) -> Result<usize, ErrorKind> + Send>,
    record: Record,
}

/// What a [`Scripted`] stream was asked for, to look at while a socket owns it.
#[derive(Clone, Default)]
struct Record {
    calls: Arc<Mutex<Vec<Call>>>,
    written: Arc<Mutex<Vec<u8>>>,
}

/// A call that succeeded, and how many bytes it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Read(usize),
    Write(usize),
}

impl Scripted {
    fn new(reads: impl IntoIterator<Item = Result<Vec<u8>, ErrorKind>>) -> (Self, Record) {
        let record = Record::default();
        let stream = Self {
            reads: reads.into_iter().collect(),
            take: Box::new(Ok),
            record: record.clone(),
        };
        (stream, record)
    }

    /// Makes writes take as many bytes of those offered as `take` says.
    fn taking(
        mut self,
        take: impl FnMut(usize) -> Result<usize, ErrorKind> + Send + 'static,
    ) -> Self {
        self.take = Box::new(take);
        self
    }
}

impl Record {
    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }
}

impl Read for Scripted {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut piece = match self.reads.pop_front() {
            Some(Ok(piece)) => piece,
            Some(Err(kind)) => return Err(kind.into()),
            None => Vec::new(),
        };
        let len = piece.len().min(room.len());
        room[..len].copy_from_slice(&piece[..len]);
        piece.drain(..len);
        if !piece.is_empty() {
            self.reads.push_front(Ok(piece));
        }
        self.record.calls.lock().unwrap().push(Call::Read(len));
        Ok(len)
    }
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = (self.take)(bytes.len())?;
        self.record
            .written
            .lock()
            .unwrap()
            .extend_from_slice(&bytes[..len]);
        self.record.calls.lock().unwrap().push(Call::Write(len));
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Scripted {}

/// A stream that buffers, and would block at every second flush.
#[derive(Default)]
struct Buffered {
    buffered: Vec<u8>,
    flushed: Arc<Mutex<Vec<u8>>>,
    is_ready: bool,
}

impl Read for Buffered {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffered.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.is_ready = !self.is_ready;
        if self.is_ready && !self.buffered.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.flushed.lock().unwrap().append(&mut self.buffered);
        Ok(())
    }
}

impl Stream for Buffered {}

/// Takes up to `most` bytes at every second call, and would block at the others.
fn reluctant(most: usize) -> impl FnMut(usize) -> Result<usize, ErrorKind> {
    let mut blocks = true;
    move |len| {
        blocks = !blocks;
        if blocks {
            Err(ErrorKind::WouldBlock)
        } else {
            Ok(len.min(most))
        }
    }
}

/// A stream whose reads and writes are counted.
struct Counting<S> {
    stream: S,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl Counts {
    fn both(&self) -> (usize, usize) {
        (
            self.reads.load(Ordering::Relaxed),
            self.writes.load(Ordering::Relaxed),
        )
    }
}

impl<S> Counting<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            counts: Arc::default(),
        }
    }
}

impl<S: Read> Read for Counting<S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        self.stream.read(room)
    }
}

impl<S: Write> Write for Counting<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Stream> Stream for Counting<S> {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shut_down(&mut self, how: Shutdown) -> io::Result<()> {
        self.stream.shut_down(how)
    }
}

/// A stream in memory that blocks, without timeouts.
struct Duplex {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

/// One direction of a [`Duplex`].
#[derive(Default)]
struct Pipe {
    state: Mutex<PipeState>,
    changed: Condvar,
}

#[derive(Default)]
struct PipeState {
    bytes: VecDeque<u8>,
    is_closed: bool,
}

fn duplex() -> (Duplex, Duplex) {
    let (there, back) = (Arc::<Pipe>::default(), Arc::<Pipe>::default());
    let ours = Duplex {
        incoming: Arc::clone(&back),
        outgoing: Arc::clone(&there),
    };
    let theirs = Duplex {
        incoming: there,
        outgoing: back,
    };
    (ours, theirs)
}

impl Read for Duplex {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut state = self.incoming.state.lock().unwrap();
        while state.bytes.is_empty() && !state.is_closed {
            state = self.incoming.changed.wait(state).unwrap();
        }
        state.bytes.read(room)
    }
}

impl Write for Duplex {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.outgoing.state.lock().unwrap();
        if state.is_closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        state.bytes.extend(bytes);
        self.outgoing.changed.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        for pipe in [&self.incoming, &self.outgoing] {
            pipe.state.lock().unwrap().is_closed = true;
            pipe.changed.notify_all();
        }
    }
}

/// A stream that gives and takes a byte at a time.
struct Trickle(Duplex);

impl Read for Trickle {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = room.len().min(1);
        self.0.read(&mut room[..len])
    }
}

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Trickle {}

/// A stream to a peer that is silent and takes a byte every few milliseconds.
#[derive(Default)]
struct Syrup {
    read_timeout: Option<Duration>,
    taken: Arc<AtomicUsize>,
}

impl Read for Syrup {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        thread::sleep(self.read_timeout.unwrap_or(HANG));
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Syrup {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        thread::sleep(SHORT / 10);
        let len = bytes.len().min(1);
        self.taken.fetch_add(len, Ordering::Relaxed);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Syrup {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.read_timeout = timeout;
        Ok(())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shut_down(&mut self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that fails at a call, and at every one after it.
struct Faulty {
    stream: Duplex,
    fault: Fault,
    /// Until the call that fails.
    calls_left: usize,
    reached: Arc<AtomicBool>,
}

impl Faulty {
    fn is_due(&mut self) -> bool {
        self.calls_left = self.calls_left.saturating_sub(1);
        let is_due = self.calls_left == 0;
        self.reached.fetch_or(is_due, Ordering::Relaxed);
        is_due
    }
}

impl Read for Faulty {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if let Fault::Read(fault) = self.fault
            && self.is_due()
        {
            return fault.map_or(Ok(0), |kind| Err(kind.into()));
        }
        self.stream.read(room)
    }
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Fault::Write(fault) = self.fault
            && self.is_due()
        {
            return fault.map_or(Ok(0), |kind| Err(kind.into()));
        }
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Faulty {}

#[test]
fn a_small_high_water_is_written_before_it_is_full() {
    bounded(|| {
        let mut config = Config::default();
        config.write_high_water = 1000;
        let burst = frame(Role::Client, Opcode::Text, true, &[b'x'; 800]).repeat(5);
        let (stream, record) = Scripted::new([Ok(burst), Ok(Vec::new())]);
        let mut socket = from_parts(Role::Server, config, stream, b"");
        echo(&mut socket).unwrap();
        let expected = frame(Role::Server, Opcode::Text, true, &[b'x'; 800]).repeat(5);
        assert!(record.written().starts_with(&expected));
    });
}
