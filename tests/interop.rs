//! Our clients against servers that are not ours: Python's `websockets` and aiohttp, and Node's
//! `ws`.
//!
//! The tests need those servers, which `tests/interop/run` installs and starts; it names them in
//! `FRAMEWRIGHT_INTEROP_PEERS` and runs the tests that are ignored here. What each path of the
//! servers does is in `tests/interop/README.md`.
//!
//! Those of `proxies` need reverse proxies, and have their server with them.
//!
//! The blocking client asks everything. What concerns the adapter and not the core, tokio's client
//! asks as well, and both over TLS.
#![cfg(all(
    feature = "blocking",
    feature = "tokio-rustls",
    any(feature = "ring", feature = "aws-lc-rs")
))]

#[path = "interop/proxies.rs"]
mod proxies;

use std::time::{Duration, Instant};

use framewright::blocking::{Client, Error, MaybeTlsStream, WebSocket};
use framewright::handshake::ClientRequest;
use framewright::tls::TlsConnector;
use framewright::{
    CloseCode, Config, Delivery, End, EndCause, Event, HandshakeError, Initiator, Message,
    MessageKind, SendError,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A server, as `tests/interop/run` describes it.
struct Peer {
    url: String,
    /// Who is to be trusted, for a `wss:` URL.
    connector: Option<TlsConnector>,
}

impl Peer {
    fn request(&self, path: &str) -> Result<ClientRequest, SendError> {
        ClientRequest::new(&format!("{}/{path}", self.url))
    }

    /// Makes a blocking client that knows whom to trust.
    fn client(&self, request: ClientRequest) -> Client {
        match &self.connector {
            None => Client::new(request),
            Some(connector) => Client::new(request).tls(connector.clone()),
        }
    }

    /// Connects a blocking client.
    fn connect(&self, path: &str) -> Result<WebSocket<MaybeTlsStream>, Error> {
        let (socket, _) = self.client(self.request(path)?).connect()?;
        Ok(socket)
    }
}

/// Which peers a test asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Plain,
    /// Those with TLS too.
    All,
}

/// Runs `test` with every peer.
fn with_each_peer(which: Which, test: impl Fn(&Peer) -> Outcome) {
    let peers = std::env::var("FRAMEWRIGHT_INTEROP_PEERS")
        .expect("tests/interop/run sets FRAMEWRIGHT_INTEROP_PEERS");
    let (mut plain, mut secured) = (0, 0);
    for peer in peers.split_whitespace() {
        let (name, url) = peer.split_once('=').expect("a peer is name=url");
        let connector = if !url.starts_with("wss:") {
            plain += 1;
            None
        } else if which == Which::All {
            secured += 1;
            Some(connector())
        } else {
            continue;
        };
        let url = url.to_owned();
        if let Err(error) = test(&Peer { url, connector }) {
            panic!("{name}: {error}");
        }
    }
    assert!(plain > 0, "there is no peer");
    assert!(secured > 0 || which == Which::Plain, "no peer has TLS");
}

fn connector() -> TlsConnector {
    let path = std::env::var("FRAMEWRIGHT_INTEROP_CA")
        .expect("tests/interop/run sets FRAMEWRIGHT_INTEROP_CA");
    let roots = std::fs::read(path).expect("a file");
    TlsConnector::from_pem(&roots).expect("a certificate in PEM")
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| (index % 251).to_le_bytes()[0])
        .collect()
}

fn end_of(socket: &WebSocket<MaybeTlsStream>) -> End {
    socket
        .end()
        .cloned()
        .expect("recv returned None, so there is an end")
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn messages_of_every_size_are_echoed() {
    with_each_peer(Which::All, |peer| {
        let mut socket = peer.connect("echo")?;
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 16 << 20] {
            let data = pattern(len);
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
    with_each_peer(Which::All, |peer| {
        let mut socket = peer.connect("echo")?;
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
    with_each_peer(Which::Plain, |peer| {
        let mut socket = peer.connect("echo")?;
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
    with_each_peer(Which::Plain, |peer| {
        let mut socket = peer.connect("fragments")?;
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
    with_each_peer(Which::Plain, |peer| {
        let mut config = Config::default();
        config.delivery = Delivery::Chunks;
        config.max_message_len = Config::UNLIMITED;
        config.max_frame_len = Config::UNLIMITED;
        let len = 32 << 20;
        let request = peer.request(&format!("large/{len}"))?;
        let (mut socket, _) = peer.client(request).config(config).connect()?;
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
    with_each_peer(Which::Plain, |peer| {
        let mut socket = peer.connect("ping")?;
        assert_eq!(socket.recv()?, Some(Message::text("pong received")));
        assert_eq!(socket.recv()?, None);
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn frames_that_come_with_the_handshake_are_not_lost() {
    with_each_peer(Which::All, |peer| {
        let mut socket = peer.connect("burst/500")?;
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
    with_each_peer(Which::All, |peer| {
        for (path, code, reason) in [
            ("close/1000/bye", 1000, "bye"),
            ("close/1001/", 1001, ""),
            ("close/1011/oops", 1011, "oops"),
            ("close/3000/library", 3000, "library"),
            ("close/4999/private", 4999, "private"),
            ("close/0/", 1005, ""),
        ] {
            let mut socket = peer.connect(path)?;
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
    with_each_peer(Which::All, |peer| {
        let mut socket = peer.connect("half")?;
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
    with_each_peer(Which::Plain, |peer| {
        let mut config = Config::default();
        config.close_timeout = Some(Duration::from_millis(300));
        let request = peer.request("silent-close")?;
        let (mut socket, _) = peer.client(request).config(config).connect()?;
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
    with_each_peer(Which::Plain, |peer| {
        let request = peer
            .request("subprotocol")?
            .subprotocol("superchat")?
            .subprotocol("chat.v1")?;
        let (socket, _) = peer.client(request).connect()?;
        assert_eq!(socket.subprotocol(), Some("chat.v1"));
        let request = peer.request("subprotocol")?.subprotocol("other")?;
        let (socket, _) = peer.client(request).connect()?;
        assert_eq!(socket.subprotocol(), None);
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn headers_arrive_as_they_were_set() {
    with_each_peer(Which::Plain, |peer| {
        let request = peer
            .request("headers")?
            .header("Authorization", "Bearer 0123")?
            .header("X-Tab", "a\tb")?;
        let (mut socket, _) = peer.client(request).connect()?;
        let Some(Message::Text(headers)) = socket.recv()? else {
            panic!("the server sends what it got");
        };
        assert!(headers.contains("Bearer 0123"), "{headers}");
        let host = peer.url.trim_start_matches("ws://");
        assert!(headers.contains(host), "{headers}");
        Ok(())
    });
}

#[test]
#[ignore = "needs the peers of tests/interop/run"]
fn a_refusal_brings_its_status_headers_and_body() {
    with_each_peer(Which::All, |peer| {
        for status in [401, 403, 503] {
            let refusal = peer.connect(&format!("deny/{status}"));
            let Err(Error::Handshake(HandshakeError::Refused(response))) = refusal else {
                panic!("{refusal:?}");
            };
            assert_eq!(response.status, status);
            assert_eq!(response.header("X-Reason"), Some(&b"denied"[..]));
            assert_eq!(response.body, format!("denied: {status}"));
            assert!(!response.body_truncated);
        }
        let redirect = peer.connect("redirect");
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
#[ignore = "needs the peers of tests/interop/run"]
fn a_redirect_is_followed_where_the_client_says_so() {
    with_each_peer(Which::All, |peer| {
        let client = peer.client(peer.request("redirect")?).max_redirects(1);
        let (mut socket, _) = client.connect()?;
        socket.send("hello")?;
        assert_eq!(socket.recv()?, Some(Message::text("hello")));
        Ok(())
    });
}

#[test]
#[cfg(feature = "deflate")]
#[ignore = "needs the peers of tests/interop/run"]
fn compressed_messages_are_echoed_with_any_parameters() {
    use framewright::DeflateConfig;

    with_each_peer(Which::Plain, |peer| {
        for number in 0..16 {
            let mut deflate = DeflateConfig::default();
            deflate.level = [1, 6, 9, 0][number % 4];
            deflate.min_len = 0;
            deflate.server_no_context_takeover = number & 1 != 0;
            deflate.client_no_context_takeover = number & 2 != 0;
            deflate.server_max_window_bits = [15, 9, 12][number % 3];
            deflate.client_max_window_bits = [15, 10, 9, 11][number / 4];
            let request = peer.request("echo?deflate=1")?.deflate(deflate);
            let (mut socket, headers) = peer.client(request).connect()?;
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

/// What concerns the adapter and not the core, with tokio's.
mod tokio_adapter {
    use framewright::tokio::{Client, MaybeTlsStream, WebSocket};

    use super::*;

    /// Runs `test` with every peer.
    fn with_each_peer(test: impl AsyncFn(&Peer) -> Outcome) {
        super::with_each_peer(Which::All, |peer| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(test(peer))
        });
    }

    fn client(peer: &Peer, request: ClientRequest) -> Client {
        match &peer.connector {
            None => Client::new(request),
            Some(connector) => Client::new(request).tls(connector.clone()),
        }
    }

    async fn connect(peer: &Peer, path: &str) -> Result<WebSocket<MaybeTlsStream>, Error> {
        let (socket, _) = client(peer, peer.request(path)?).connect().await?;
        Ok(socket)
    }

    #[test]
    #[ignore = "needs the peers of tests/interop/run"]
    fn messages_of_every_size_are_echoed() {
        with_each_peer(async |peer| {
            let mut socket = connect(peer, "echo").await?;
            for len in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 16 << 20] {
                let data = pattern(len);
                socket.send(&data[..]).await?;
                let echo = socket.recv().await?;
                assert!(echo == Some(Message::binary(data)), "{len} bytes");
            }
            let end = socket.close(CloseCode::NORMAL_CLOSURE, "done").await?;
            assert!(end.is_clean(), "{end:?}");
            assert_eq!(end.code(), 1000);
            assert_eq!(end.initiator, Some(Initiator::Local));
            Ok(())
        });
    }

    #[test]
    #[ignore = "needs the peers of tests/interop/run"]
    fn a_writer_and_a_reader_do_not_wait_for_each_other() {
        with_each_peer(async |peer| {
            let (mut reader, mut writer) = connect(peer, "echo").await?.split();
            let data = pattern(100_000);
            let sending = async {
                for _ in 0..200 {
                    writer.send(&data[..]).await?;
                }
                Ok::<_, Error>(())
            };
            let receiving = async {
                for number in 0..200 {
                    let echo = reader.recv().await?;
                    assert!(echo == Some(Message::binary(data.clone())), "{number}");
                }
                Ok::<_, Error>(())
            };
            tokio::try_join!(sending, receiving)?;
            let (end, received) =
                tokio::try_join!(writer.close(CloseCode::NORMAL_CLOSURE, ""), reader.recv())?;
            assert_eq!(received, None);
            assert!(end.is_clean(), "{end:?}");
            Ok(())
        });
    }

    #[test]
    #[ignore = "needs the peers of tests/interop/run"]
    fn their_ping_is_answered_while_we_receive() {
        with_each_peer(async |peer| {
            let mut socket = connect(peer, "ping").await?;
            let message = socket.recv().await?;
            assert_eq!(message, Some(Message::text("pong received")));
            assert_eq!(socket.recv().await?, None);
            Ok(())
        });
    }

    #[test]
    #[ignore = "needs the peers of tests/interop/run"]
    fn frames_that_come_with_the_handshake_are_not_lost() {
        with_each_peer(async |peer| {
            let mut socket = connect(peer, "burst/500").await?;
            for number in 0..500 {
                let message = socket.recv().await?;
                assert_eq!(message, Some(Message::text(number.to_string())));
            }
            assert_eq!(socket.recv().await?, None);
            Ok(())
        });
    }

    #[test]
    #[ignore = "needs the peers of tests/interop/run"]
    fn their_close_says_why() {
        with_each_peer(async |peer| {
            for (path, code, reason) in [
                ("close/1000/bye", 1000, "bye"),
                ("close/1001/", 1001, ""),
                ("close/4999/private", 4999, "private"),
                ("close/0/", 1005, ""),
            ] {
                let mut socket = connect(peer, path).await?;
                assert_eq!(socket.recv().await?, None, "{path}");
                let end = socket.end().expect("recv returned None");
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
        with_each_peer(async |peer| {
            let mut socket = connect(peer, "half").await?;
            match socket.recv().await {
                // A peer that drops its end may reset it.
                Ok(None) | Err(Error::Io(_)) => {}
                other => panic!("{other:?}"),
            }
            let end = socket.end().expect("it has ended");
            assert_eq!(end.code(), 1006);
            assert!(!end.is_clean());
            Ok(())
        });
    }

    #[test]
    #[ignore = "needs the peers of tests/interop/run"]
    fn a_peer_that_never_answers_our_close_is_given_up() {
        with_each_peer(async |peer| {
            let mut config = Config::default();
            config.close_timeout = Some(Duration::from_millis(300));
            let client = client(peer, peer.request("silent-close")?).config(config);
            let (mut socket, _) = client.connect().await?;
            let started = Instant::now();
            let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await?;
            assert!(started.elapsed() < Duration::from_secs(10));
            assert_eq!(end.cause, EndCause::CloseTimeout);
            assert!(!end.is_clean());
            Ok(())
        });
    }

    #[test]
    #[ignore = "needs the peers of tests/interop/run"]
    fn a_refusal_brings_its_answer_and_a_redirect_is_followed() {
        with_each_peer(async |peer| {
            let refusal = connect(peer, "deny/403").await;
            let Err(Error::Handshake(HandshakeError::Refused(response))) = refusal else {
                panic!("{refusal:?}");
            };
            assert_eq!(response.status, 403);
            assert_eq!(response.header("X-Reason"), Some(&b"denied"[..]));
            assert_eq!(response.body, "denied: 403");
            let client = client(peer, peer.request("redirect")?).max_redirects(1);
            let (mut socket, _) = client.connect().await?;
            socket.send("hello").await?;
            assert_eq!(socket.recv().await?, Some(Message::text("hello")));
            Ok(())
        });
    }

    #[test]
    #[cfg(feature = "deflate")]
    #[ignore = "needs the peers of tests/interop/run"]
    fn compressed_messages_are_echoed() {
        with_each_peer(async |peer| {
            let request = peer.request("echo?deflate=1")?;
            let (mut socket, _) = client(peer, request.deflate(Default::default()))
                .connect()
                .await?;
            assert!(socket.connection().is_compressing());
            for text in ["short".to_owned(), "compressible ".repeat(100_000)] {
                socket.send(text.clone()).await?;
                assert_eq!(socket.recv().await?, Some(Message::text(text)));
            }
            assert!(
                socket
                    .close(CloseCode::NORMAL_CLOSURE, "")
                    .await?
                    .is_clean()
            );
            Ok(())
        });
    }
}
