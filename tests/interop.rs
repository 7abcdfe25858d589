//! Our client against servers that are not ours: Python's `websockets` and Node's `ws`.
//!
//! The tests need those servers, which `tests/interop/run` installs and starts; it names them in
//! `FRAMEWRIGHT_INTEROP_PEERS` and runs the tests that are ignored here. What each path of the
//! servers does is in `tests/interop/README.md`.
#![cfg(feature = "blocking")]

use std::net::TcpStream;
use std::time::{Duration, Instant};

use framewright::blocking::{Client, Error, WebSocket, connect};
use framewright::handshake::ClientRequest;
use framewright::{
    CloseCode, Config, Delivery, End, EndCause, Event, HandshakeError, Initiator, Message,
    MessageKind,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Runs `test` with the base URL of every peer.
fn with_each_peer(test: impl Fn(&str) -> Outcome) {
    let peers = std::env::var("FRAMEWRIGHT_INTEROP_PEERS")
        .expect("tests/interop/run sets FRAMEWRIGHT_INTEROP_PEERS");
    let mut count = 0;
    for peer in peers.split_whitespace() {
        let (name, url) = peer.split_once('=').expect("a peer is name=url");
        if let Err(error) = test(url) {
            panic!("{name}: {error}");
        }
        count += 1;
    }
    assert!(count > 0, "there is no peer");
}

fn end_of(socket: &WebSocket<TcpStream>) -> End {
    socket
        .end()
        .cloned()
        .expect("recv returned None, so there is an end")
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn messages_of_every_size_are_echoed() {
    with_each_peer(|url| {
        let mut socket = connect(&format!("{url}/echo"))?;
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 16 << 20] {
            let data: Vec<u8> = (0..len)
                .map(|index: usize| (index % 251).to_le_bytes()[0])
                .collect();
            socket.send(&data[..])?;
            let echo = socket.recv()?;
            assert!(echo == Some(Message::binary(data)), "{len} bytes");
        }
        for text in ["", "hello", "grüße, 世界 🌍", "\0\u{feff}\u{10ffff}"] {
            socket.send(text)?;
            assert_eq!(socket.recv()?, Some(Message::text(text)));
        }
        let end = socket.close(CloseCode::NORMAL_CLOSURE, "done")?;
        assert!(end.is_clean(), "{end:?}");
        assert_eq!(end.code(), 1000);
        assert_eq!(end.initiator, Some(Initiator::Local));
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn a_thousand_messages_in_flight_come_back_in_order() {
    with_each_peer(|url| {
        let mut socket = connect(&format!("{url}/echo"))?;
        for number in 0..1000 {
            socket.feed(number.to_string())?;
        }
        socket.flush()?;
        for number in 0..1000 {
            assert_eq!(socket.recv()?, Some(Message::text(number.to_string())));
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn fragments_that_we_send_are_one_message() {
    with_each_peer(|url| {
        let mut socket = connect(&format!("{url}/echo"))?;
        let text = "split inside every charácter: 🌍";
        let (last, fragments) = text.as_bytes().split_last().expect("not empty");
        for byte in fragments {
            socket.feed_fragment(MessageKind::Text, &[*byte], false)?;
        }
        socket.send_ping(b"between")?;
        socket.send_fragment(MessageKind::Text, &[*last], true)?;
        assert_eq!(socket.recv()?, Some(Message::text(text)));
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn fragments_that_they_send_are_one_message() {
    with_each_peer(|url| {
        let mut socket = connect(&format!("{url}/fragments"))?;
        let message = socket.recv()?;
        assert_eq!(message, Some(Message::text("héllo wörld 🌍 fragmented")));
        assert_eq!(socket.recv()?, None);
        assert!(end_of(&socket).is_clean());
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn a_long_message_streams_in_chunks() {
    with_each_peer(|url| {
        let mut config = Config::default();
        config.delivery = Delivery::Chunks;
        config.max_message_len = Config::UNLIMITED;
        config.max_frame_len = Config::UNLIMITED;
        let len = 32 << 20;
        let request = ClientRequest::new(&format!("{url}/large/{len}"))?;
        let (mut socket, _) = Client::new(request).config(config).connect()?;
        let mut received = 0;
        while let Some((event, _)) = socket.recv_event()? {
            if let Event::Chunk(chunk) = event {
                for byte in chunk.payload {
                    assert_eq!(usize::from(*byte), received * 31 % 251, "byte {received}");
                    received += 1;
                }
                if chunk.fin {
                    break;
                }
            }
        }
        assert_eq!(received, len);
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn their_ping_is_answered_while_we_receive() {
    with_each_peer(|url| {
        let mut socket = connect(&format!("{url}/ping"))?;
        assert_eq!(socket.recv()?, Some(Message::text("pong received")));
        assert_eq!(socket.recv()?, None);
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn frames_that_come_with_the_handshake_are_not_lost() {
    with_each_peer(|url| {
        let mut socket = connect(&format!("{url}/burst/500"))?;
        for number in 0..500 {
            assert_eq!(socket.recv()?, Some(Message::text(number.to_string())));
        }
        assert_eq!(socket.recv()?, None);
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn their_close_says_why() {
    with_each_peer(|url| {
        for (path, code, reason) in [
            ("close/1000/bye", 1000, "bye"),
            ("close/1001/", 1001, ""),
            ("close/1011/oops", 1011, "oops"),
            ("close/3000/library", 3000, "library"),
            ("close/4999/private", 4999, "private"),
            ("close/0/", 1005, ""),
        ] {
            let mut socket = connect(&format!("{url}/{path}"))?;
            assert_eq!(socket.recv()?, None, "{path}");
            let end = end_of(&socket);
            assert_eq!((end.code(), end.reason()), (code, reason), "{path}");
            assert!(end.is_clean(), "{path}: {end:?}");
            assert_eq!(end.initiator, Some(Initiator::Peer), "{path}");
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn a_transport_that_ends_without_a_close_is_1006_and_no_error() {
    with_each_peer(|url| {
        let mut socket = connect(&format!("{url}/half"))?;
        match socket.recv() {
            // A peer that drops its end may reset it.
            Ok(None) | Err(Error::Io(_)) => {}
            other => panic!("{other:?}"),
        }
        let end = end_of(&socket);
        assert_eq!(end.code(), 1006);
        assert!(!end.is_clean());
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn a_peer_that_never_answers_our_close_is_given_up() {
    with_each_peer(|url| {
        let mut config = Config::default();
        config.close_timeout = Some(Duration::from_millis(300));
        let request = ClientRequest::new(&format!("{url}/silent-close"))?;
        let (mut socket, _) = Client::new(request).config(config).connect()?;
        let started = Instant::now();
        let end = socket.close(CloseCode::NORMAL_CLOSURE, "")?;
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(end.cause, EndCause::CloseTimeout);
        assert!(!end.is_clean());
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn a_subprotocol_is_agreed_on_or_left_out() {
    with_each_peer(|url| {
        let request = ClientRequest::new(&format!("{url}/subprotocol"))?
            .subprotocol("superchat")?
            .subprotocol("chat.v1")?;
        let (socket, _) = Client::new(request).connect()?;
        assert_eq!(socket.subprotocol(), Some("chat.v1"));
        let request = ClientRequest::new(&format!("{url}/subprotocol"))?.subprotocol("other")?;
        let (socket, _) = Client::new(request).connect()?;
        assert_eq!(socket.subprotocol(), None);
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn headers_arrive_as_they_were_set() {
    with_each_peer(|url| {
        let request = ClientRequest::new(&format!("{url}/headers"))?
            .header("Authorization", "Bearer 0123")?
            .header("X-Tab", "a\tb")?;
        let (mut socket, _) = Client::new(request).connect()?;
        let Some(Message::Text(headers)) = socket.recv()? else {
            panic!("the server sends what it got");
        };
        assert!(headers.contains("Bearer 0123"), "{headers}");
        let host = url.trim_start_matches("ws://");
        assert!(headers.contains(host), "{headers}");
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn a_refusal_brings_its_status_headers_and_body() {
    with_each_peer(|url| {
        for status in [401, 403, 503] {
            let refusal = connect(&format!("{url}/deny/{status}"));
            let Err(Error::Handshake(HandshakeError::Refused(response))) = refusal else {
                panic!("{refusal:?}");
            };
            assert_eq!(response.status, status);
            assert_eq!(response.header("X-Reason"), Some(&b"denied"[..]));
            assert_eq!(response.body, format!("denied: {status}"));
            assert!(!response.body_truncated);
        }
        let redirect = connect(&format!("{url}/redirect"));
        let Err(Error::Handshake(HandshakeError::Refused(response))) = redirect else {
            panic!("{redirect:?}");
        };
        assert_eq!(response.status, 302);
        assert!(
            response
                .location()
                .is_some_and(|location| location.ends_with("/echo"))
        );
        Ok(())
    });
}

#[test]
#[cfg(feature = "deflate")]
#[ignore = "needs the peers of tests/interop/run"]
fn compressed_messages_are_echoed_with_any_parameters() {
    use framewright::DeflateConfig;

    with_each_peer(|url| {
        for number in 0..16 {
            let mut deflate = DeflateConfig::default();
            deflate.level = [1, 6, 9, 0][number % 4];
            deflate.min_len = 0;
            deflate.server_no_context_takeover = number & 1 != 0;
            deflate.client_no_context_takeover = number & 2 != 0;
            deflate.server_max_window_bits = [15, 9, 12][number % 3];
            deflate.client_max_window_bits = [15, 10, 9, 11][number / 4];
            let request = ClientRequest::new(&format!("{url}/echo?deflate=1"))?.deflate(deflate);
            let (mut socket, headers) = Client::new(request).connect()?;
            if !socket.connection().is_compressing() {
                // A server may decline what it cannot do, and then nothing is compressed.
                assert!(headers.first("sec-websocket-extensions").is_none());
            }
            for round in 0..3_u32 {
                let texts = [
                    "".to_owned(),
                    "short".to_owned(),
                    format!("{round} ").repeat(9000),
                ];
                for text in texts {
                    socket.send(text.clone())?;
                    assert_eq!(socket.recv()?, Some(Message::text(text)), "{number}");
                }
                let mut noise: u32 = 0x9e37_79b9 ^ round;
                let data: Vec<u8> = (0..50_000)
                    .map(|_| {
                        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        noise.to_be_bytes()[0]
                    })
                    .collect();
                socket.send(&data[..])?;
                assert!(socket.recv()? == Some(Message::binary(data)), "{number}");
            }
            assert!(socket.close(CloseCode::NORMAL_CLOSURE, "")?.is_clean());
        }
        Ok(())
    });
}
