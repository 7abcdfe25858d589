//! WebSockets behind hyper: what a server answers, and what becomes of the connection.
//!
//! Over sockets where the kind of the stream matters, over streams in memory with a paused clock
//! where time does. The rules of the handshake have their own tests; here it is that they are
//! asked, and that nothing is lost between hyper and the adapter.

#![cfg(feature = "hyper")]

#[path = "support/http.rs"]
mod http_client;
mod support;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use framewright::handshake::{ClientRequest, OriginPolicy};
use framewright::hyper::{Error, UpgradedStream, Upgrader, WebSocket};
use framewright::tokio::{Client, WebSocket as TokioWebSocket};
use framewright::{CloseCode, End, HandshakeError, Initiator, Message, Role};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use http_client::{
    Answer, UPGRADE, ask, ask_to_the_end, bounded, request, upgrade_but, upgrade_with,
};
use support::{BINARY, CLOSE, PING, TEXT, config, frame, sent};

// -- Accepted -------------------------------------------------------------------------------------

#[tokio::test]
async fn a_client_of_the_library_and_a_server_behind_hyper_meet_talk_and_part() {
    bounded(async {
        for http in HTTPS {
            let mut server = Server::new(http, Upgrader::new());
            let mut client = server.connect().await;
            let echo = tokio::spawn(echo(server.accepted().await));
            client.send("hello").await.unwrap();
            assert_eq!(client.recv().await.unwrap(), Some(Message::text("hello")));
            let long = Message::binary(vec![7; 1 << 20]);
            client.send(long.clone()).await.unwrap();
            assert!(client.recv().await.unwrap() == Some(long), "{http:?}");
            let end = client
                .close(CloseCode::NORMAL_CLOSURE, "bye")
                .await
                .unwrap();
            assert!(end.is_clean(), "{end:?}");
            let end = echo.await.unwrap();
            assert_eq!((end.code(), end.reason()), (1000, "bye"));
            assert_eq!(end.initiator, Some(Initiator::Peer));
        }
    })
    .await;
}

#[tokio::test]
async fn the_answer_is_that_of_section_4_2_2_and_no_line_more() {
    bounded(async {
        let server = Server::new(Http::One, Upgrader::new());
        let mut stream = server.tcp().await;
        let mut answer = ask(&mut stream, &upgrade_with(&[])).await;
        answer.headers.retain(|(name, _)| name != "date");
        answer.headers.sort();
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            answer,
            Answer {
                status: 101,
                headers: vec![
                    line("connection", "Upgrade"),
                    line("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                    line("upgrade", "websocket"),
                ],
                rest: Vec::new(),
            }
        );
    })
    .await;
}

#[tokio::test]
async fn frames_that_come_with_the_head_are_received_first() {
    bounded(async {
        for http in HTTPS {
            let mut server = Server::new(http, Upgrader::new());
            let mut stream = server.tcp().await;
            // As many as hyper reads at once, and then some, so that the last is torn apart.
            let frames = masked(&[(TEXT, b"early"), (BINARY, &[7; 100_000]), (TEXT, b"late")]);
            let bytes = [upgrade_with(&[]), frames].concat();
            let (_read, mut write) = stream.split();
            let receive = async {
                let mut socket = server.accepted().await;
                for expected in [
                    Message::text("early"),
                    Message::binary(vec![7; 100_000]),
                    Message::text("late"),
                ] {
                    assert!(socket.recv().await.unwrap() == Some(expected), "{http:?}");
                }
            };
            let (written, ()) = tokio::join!(write.write_all(&bytes), receive);
            written.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn frames_that_come_with_the_head_of_a_boxed_stream_are_received_first() {
    for http in HTTPS {
        let mut server = Server::new(http, Upgrader::new());
        let mut stream = server.duplex();
        let bytes = [upgrade_with(&[]), masked(&[(TEXT, b"early")])].concat();
        assert_eq!(ask(&mut stream, &bytes).await.status, 101);
        let mut socket = server.accepted().await;
        assert!(matches!(socket.stream(), UpgradedStream::Other(_)));
        let received = bounded(socket.recv()).await.unwrap();
        assert_eq!(received, Some(Message::text("early")), "{http:?}");
    }
}

#[tokio::test]
async fn a_plain_tcp_connection_is_taken_out_of_its_boxes_and_sends_without_delay() {
    bounded(async {
        for http in HTTPS {
            let mut server = Server::new(http, Upgrader::new());
            let mut stream = server.tcp().await;
            assert!(!stream.nodelay().unwrap(), "the default of this platform");
            assert_eq!(ask(&mut stream, &upgrade_with(&[])).await.status, 101);
            let socket = server.accepted().await;
            let UpgradedStream::Tcp(upgraded) = socket.stream() else {
                panic!("{http:?}: {:?}", socket.stream());
            };
            assert_eq!(upgraded.peer_addr().unwrap(), stream.local_addr().unwrap());
            assert!(upgraded.nodelay().unwrap());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_tcp_echoes_and_closes_without_waiting_for_a_deadline() {
    for http in HTTPS {
        let start = Instant::now();
        let mut server = Server::new(http, Upgrader::new());
        let mut client = over(server.duplex()).await;
        let echo = tokio::spawn(echo(server.accepted().await));
        client.send("hello").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(Message::text("hello")));
        let end = client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        assert!(end.is_clean(), "{end:?}");
        assert!(echo.await.unwrap().is_clean());
        assert_eq!(start.elapsed(), Duration::ZERO, "{http:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_and_timeouts_are_those_of_the_upgrader() {
    let config = config(|config| {
        config.max_message_len = 5;
        config.ping_interval = Some(Duration::from_secs(3));
    });
    let mut server = Server::new(Http::One, Upgrader::new().config(config));
    let mut stream = server.duplex();
    let answer = ask(&mut stream, &upgrade_with(&[])).await;
    assert_eq!(answer.status, 101);
    let mut socket = server.accepted().await;
    let serve = tokio::spawn(async move {
        let received = socket.recv().await;
        (received, socket.recv().await)
    });
    let start = Instant::now();
    let mut ping = [0; 6];
    stream.read_exact(&mut ping).await.unwrap();
    assert_eq!(ping[..2], [0x80 | PING, 4]);
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    stream
        .write_all(&masked(&[(TEXT, b"123456")]))
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    let frames = sent(&rest);
    assert_eq!((frames[0].0, &frames[0].1[..2]), (CLOSE, &[0x03, 0xf1][..]));
    let (first, second) = serve.await.unwrap();
    assert!(matches!(first, Err(Error::Protocol(_))), "{first:?}");
    assert!(matches!(second, Ok(None)), "{second:?}");
}

#[tokio::test]
async fn the_clients_favourite_of_the_subprotocols_is_chosen() {
    let upgrader = Upgrader::new().subprotocol("v1").subprotocol("v2");
    let mut server = Server::new(Http::One, upgrader);
    for (offered, chosen) in [
        ("Sec-WebSocket-Protocol: v3, v2, v1", Some("v2")),
        ("Sec-WebSocket-Protocol: v1", Some("v1")),
        ("Sec-WebSocket-Protocol: v3", None),
        ("X-Nothing: v1", None),
    ] {
        let mut stream = server.duplex();
        let answer = ask(&mut stream, &upgrade_with(&[offered])).await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("sec-websocket-protocol"), chosen);
        let socket = server.accepted().await;
        assert_eq!(socket.subprotocol(), chosen);
    }
}

#[tokio::test]
async fn an_upgrade_tells_the_subprotocol_before_it_is_open() {
    let mut request = upgrade_request(&[("Sec-WebSocket-Protocol", "v2, v1")]);
    request.extensions_mut().insert(on_upgrade().await);
    let (_, upgrade) = Upgrader::new()
        .subprotocol("v1")
        .upgrade(&mut request)
        .unwrap();
    assert_eq!(upgrade.subprotocol(), Some("v1"));
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn messages_are_compressed_where_both_sides_ask_for_it() {
    use framewright::handshake::DeflateConfig;

    let offer = "Sec-WebSocket-Extensions: permessage-deflate";
    for (upgrader, lines, agreed) in [
        (Upgrader::new(), &[offer][..], false),
        (
            Upgrader::new().deflate(DeflateConfig::default()),
            &[],
            false,
        ),
        (
            Upgrader::new().deflate(DeflateConfig::default()),
            &[offer],
            true,
        ),
    ] {
        let mut server = Server::new(Http::One, upgrader);
        let mut stream = server.duplex();
        let answer = ask(&mut stream, &upgrade_with(lines)).await;
        assert_eq!(answer.status, 101);
        let extensions = answer.header("sec-websocket-extensions");
        assert_eq!(extensions.is_some(), agreed, "{extensions:?}");
        let mut socket = server.accepted().await;
        assert_eq!(socket.connection().is_compressing(), agreed);
        socket.send("~".repeat(1000)).await.unwrap();
        let mut header = [0; 2];
        stream.read_exact(&mut header).await.unwrap();
        // RFC 7692, section 6: RSV1 of a compressed message is set.
        assert_eq!(header[0], if agreed { 0xc1 } else { 0x81 });
    }
}

#[tokio::test]
async fn header_lines_of_the_application_go_with_the_answer() {
    let mut server = Server::new(Http::One, Upgrader::new());
    server.on_accept = |response| {
        let cookie = HeaderValue::from_static("seen=1");
        response.headers_mut().insert("Set-Cookie", cookie);
    };
    let answer = ask(&mut server.duplex(), &upgrade_with(&[])).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("set-cookie"), Some("seen=1"));
}

// -- Refused --------------------------------------------------------------------------------------

#[tokio::test]
async fn each_request_that_breaks_a_rule_is_given_its_answer() {
    use HandshakeError as E;

    bounded(async {
        let mut server = Server::new(Http::One, Upgrader::new());
        for (bytes, error, status, line) in [
            (
                request(&["GET /ws HTTP/1.1", "Host: example.com"]),
                E::NotAnUpgrade,
                426,
                Some(("upgrade", "websocket")),
            ),
            (
                upgrade_but(&["GET /ws HTTP/1.0"]),
                E::NotAnUpgrade,
                426,
                Some(("upgrade", "websocket")),
            ),
            (
                upgrade_but(&["Upgrade: h2c"]),
                E::NotAnUpgrade,
                426,
                Some(("upgrade", "websocket")),
            ),
            (
                upgrade_but(&["Sec-WebSocket-Version: 8"]),
                E::VersionUnsupported,
                426,
                Some(("sec-websocket-version", "13")),
            ),
            (
                request(&[&["POST /ws HTTP/1.1"], &UPGRADE[1..]].concat()),
                E::MethodNotGet,
                405,
                Some(("allow", "GET")),
            ),
            (
                upgrade_but(&["Sec-WebSocket-Key: c2hvcnQ="]),
                E::KeyInvalid,
                400,
                None,
            ),
            (
                upgrade_with(&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]),
                E::KeyInvalid,
                400,
                None,
            ),
            (
                upgrade_but(&["Connection: keep-alive"]),
                E::ConnectionNotUpgrade,
                400,
                None,
            ),
            (
                upgrade_with(&["Sec-WebSocket-Protocol: v1, v1"]),
                E::SubprotocolsInvalid,
                400,
                None,
            ),
            (
                upgrade_with(&["Content-Length: 5"]),
                E::BodyUnexpected,
                400,
                None,
            ),
            (
                upgrade_with(&["Origin: https://evil.example"]),
                E::OriginForbidden,
                403,
                None,
            ),
        ] {
            let mut stream = server.tcp().await;
            let answer = ask_to_the_end(&mut stream, &bytes).await;
            assert_eq!(answer.status, status, "{answer:?}");
            if let Some((name, value)) = line {
                assert_eq!(answer.header(name), Some(value), "{answer:?}");
            }
            let connection = answer.header("connection").unwrap();
            assert!(connection.starts_with("close"), "{connection}");
            assert_eq!(answer.rest, format!("{error}\n").into_bytes());
            assert_eq!(server.refused().await, error);
        }
    })
    .await;
}

#[tokio::test]
async fn pages_connect_as_the_origin_policy_says() {
    let listed = OriginPolicy::any_of(["https://app.example"]).unwrap();
    for (policy, origin, status) in [
        (OriginPolicy::SameOrigin, "http://example.com", 101),
        (OriginPolicy::SameOrigin, "https://app.example", 403),
        (listed.clone(), "https://app.example", 101),
        (listed, "http://example.com", 403),
        (OriginPolicy::Any, "null", 101),
    ] {
        let server = Server::new(Http::One, Upgrader::new().origin_policy(policy));
        let line = format!("Origin: {origin}");
        let answer = ask(&mut server.duplex(), &upgrade_with(&[&line])).await;
        assert_eq!(answer.status, status, "{origin}");
    }
}

#[tokio::test]
async fn a_request_is_accepted_once() {
    let mut request = upgrade_request(&[]);
    request.extensions_mut().insert(on_upgrade().await);
    let upgrader = Upgrader::new();
    assert!(upgrader.upgrade(&mut request).is_ok());
    let again = upgrader.upgrade(&mut request).unwrap_err();
    assert_eq!(again, HandshakeError::NotAnUpgrade);
}

#[tokio::test]
async fn a_request_that_is_refused_can_still_be_accepted() {
    let mut request = upgrade_request(&[("Origin", "null")]);
    request.extensions_mut().insert(on_upgrade().await);
    request
        .headers_mut()
        .insert("Sec-WebSocket-Version", HeaderValue::from_static("8"));
    let upgrader = Upgrader::new().origin_policy(OriginPolicy::Any);
    let error = upgrader.upgrade(&mut request).unwrap_err();
    assert_eq!(error, HandshakeError::VersionUnsupported);
    request
        .headers_mut()
        .insert("Sec-WebSocket-Version", HeaderValue::from_static("13"));
    assert!(upgrader.upgrade(&mut request).is_ok());
}

// -- What goes wrong behind the answer ------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_served_with_upgrades_is_an_error_and_no_hang() {
    let (mut stream, there) = duplex(1 << 10);
    let (upgrades, mut waiting) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (response, upgrade) = framewright::hyper::upgrade(&mut request).unwrap();
        upgrades.send(upgrade).unwrap();
        async { Ok::<_, Infallible>(response.map(Full::new)) }
    });
    // Without `with_upgrades`.
    let serve = http1::Builder::new().serve_connection(TokioIo::new(there), service);
    let request = upgrade_with(&[]);
    let (_, answer) = tokio::join!(serve, ask(&mut stream, &request));
    assert_eq!(answer.status, 101);
    let failed = bounded(waiting.recv().await.unwrap()).await;
    assert!(matches!(failed, Err(Error::Io(_))), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_sent_leaves_nothing_to_receive_once_the_connection_ends() {
    let (mut stream, there) = duplex(1 << 10);
    let (upgrades, mut waiting) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (_, upgrade) = framewright::hyper::upgrade(&mut request).unwrap();
        upgrades.send(upgrade).unwrap();
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("another"))) }
    });
    let serve = http1::Builder::new()
        .serve_connection(TokioIo::new(there), service)
        .with_upgrades();
    tokio::spawn(serve);
    let answer = ask(&mut stream, &upgrade_with(&[])).await;
    assert_eq!(answer.status, 200);
    // Until then hyper keeps the connection for another request, and then hands over what is left.
    drop(stream);
    let mut socket = bounded(waiting.recv().await.unwrap()).await.unwrap();
    assert!(matches!(socket.recv().await, Ok(None)));
    assert!(!socket.end().unwrap().is_clean());
}

#[tokio::test]
async fn an_upgrade_that_is_dropped_drops_the_connection() {
    bounded(async {
        let (mut stream, there) = duplex(1 << 10);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (response, upgrade) = framewright::hyper::upgrade(&mut request).unwrap();
            drop(upgrade);
            async { Ok::<_, Infallible>(response.map(Full::new)) }
        });
        let serve = http1::Builder::new()
            .serve_connection(TokioIo::new(there), service)
            .with_upgrades();
        tokio::spawn(serve);
        let answer = ask_to_the_end(&mut stream, &upgrade_with(&[])).await;
        assert_eq!((answer.status, &answer.rest[..]), (101, &b""[..]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_polled_and_dropped_and_polled_again_loses_nothing() {
    let (mut stream, there) = duplex(1 << 10);
    let (upgrades, mut waiting) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (response, upgrade) = framewright::hyper::upgrade(&mut request).unwrap();
        upgrades.send(upgrade).unwrap();
        async {
            sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(response.map(Full::new))
        }
    });
    let serve = http1::Builder::new()
        .serve_connection(TokioIo::new(there), service)
        .with_upgrades();
    tokio::spawn(serve);
    let bytes = [upgrade_with(&[]), masked(&[(TEXT, b"early")])].concat();
    stream.write_all(&bytes).await.unwrap();
    let mut upgrade = waiting.recv().await.unwrap();
    tokio::select! {
        biased;
        opened = &mut upgrade => panic!("the answer was not sent: {opened:?}"),
        () = sleep(Duration::from_millis(500)) => {}
    }
    let mut socket = upgrade.await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::text("early")));
}

#[tokio::test]
async fn a_client_that_leaves_without_a_close_ends_the_connection_uncleanly() {
    bounded(async {
        let mut server = Server::new(Http::One, Upgrader::new());
        let mut stream = server.tcp().await;
        assert_eq!(ask(&mut stream, &upgrade_with(&[])).await.status, 101);
        let mut socket = server.accepted().await;
        drop(stream);
        match socket.recv().await {
            Ok(None) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}"),
        }
        let end = socket.end().unwrap();
        assert_eq!((end.code(), end.is_clean()), (1006, false));
    })
    .await;
}

// -- HTTP/2 ---------------------------------------------------------------------------------------

#[cfg(feature = "http2")]
mod http2 {
    use super::*;

    use framewright::tokio::Parts;
    use framewright::{Config, Connection, RecvBuffer, SendBuffer};
    use http::{HeaderMap, Method, Version};
    use http_body_util::{BodyExt, Empty};
    use hyper::client::conn::http2::{self as client, SendRequest};
    use hyper::ext::Protocol;
    use hyper::server::conn::http2 as server;
    use hyper::upgrade::Upgraded;
    use hyper_util::rt::TokioExecutor;

    type Stream = TokioIo<Upgraded>;

    #[tokio::test(start_paused = true)]
    async fn two_websockets_share_a_connection_of_http2() {
        let start = Instant::now();
        let (mut server, requests) = Server::serving_http2(Upgrader::new()).await;
        let mut clients = Vec::new();
        for _ in 0..2 {
            let (response, client) = connect(&requests, connect_request("https://h/chat")).await;
            // RFC 8441, section 5: neither key nor upgrade.
            assert_eq!(response.version, Version::HTTP_2);
            assert_eq!(response.status, 200);
            for name in ["upgrade", "connection", "sec-websocket-accept"] {
                assert_eq!(response.headers.get(name), None);
            }
            let socket = server.accepted().await;
            assert!(matches!(socket.stream(), UpgradedStream::Other(_)));
            clients.push((client.unwrap(), tokio::spawn(echo(socket))));
        }
        for (byte, (client, _)) in (1..).zip(&mut clients) {
            // More than a window of HTTP/2 holds.
            let message = Message::binary(vec![byte; 300_000]);
            client.send(message.clone()).await.unwrap();
            assert!(client.recv().await.unwrap() == Some(message));
        }
        for (mut client, echo) in clients {
            let end = client
                .close(CloseCode::NORMAL_CLOSURE, "bye")
                .await
                .unwrap();
            assert!(end.is_clean(), "{end:?}");
            let end = echo.await.unwrap();
            assert_eq!((end.code(), end.reason()), (1000, "bye"));
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "no deadline is waited for");
    }

    #[tokio::test]
    async fn subprotocols_and_origins_are_judged_as_those_of_an_upgrade() {
        let upgrader = Upgrader::new().subprotocol("v1");
        let (mut server, requests) = Server::serving_http2(upgrader).await;
        let mut request = connect_request("https://h/chat");
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", HeaderValue::from_static("v2, v1"));
        headers.insert("origin", HeaderValue::from_static("https://h"));
        let (response, client) = connect(&requests, request).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.headers["sec-websocket-protocol"], "v1");
        assert!(client.is_some());
        assert_eq!(server.accepted().await.subprotocol(), Some("v1"));
    }

    #[tokio::test]
    async fn each_request_of_http2_that_breaks_a_rule_is_given_its_answer() {
        use HandshakeError as E;

        type Change = fn(&mut Request<Empty<Bytes>>);
        let (mut server, requests) = Server::serving_http2(Upgrader::new()).await;
        let changes: [(Change, E, u16); 5] = [
            (
                |request| {
                    *request.method_mut() = Method::GET;
                    request.extensions_mut().remove::<Protocol>();
                },
                E::NotAnUpgrade,
                426,
            ),
            (
                |request| {
                    drop(
                        request
                            .extensions_mut()
                            .insert(Protocol::from_static("ftp")),
                    )
                },
                E::NotAnUpgrade,
                426,
            ),
            (
                |request| drop(request.headers_mut().remove("sec-websocket-version")),
                E::VersionUnsupported,
                426,
            ),
            (
                |request| {
                    let evil = HeaderValue::from_static("https://evil.example");
                    request.headers_mut().insert("origin", evil);
                },
                E::OriginForbidden,
                403,
            ),
            (
                |request| {
                    let protocols = HeaderValue::from_static("v1,v1");
                    request
                        .headers_mut()
                        .insert("sec-websocket-protocol", protocols);
                },
                E::SubprotocolsInvalid,
                400,
            ),
        ];
        for (change, error, status) in changes {
            let mut request = connect_request("https://h/chat");
            change(&mut request);
            let response = requests.clone().send_request(request).await.unwrap();
            assert_eq!(response.status(), status, "{error:?}");
            // RFC 9113, section 8.2.2.
            assert_eq!(response.headers().get("connection"), None);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, format!("{error}\n"));
            assert_eq!(server.refused().await, error);
        }
    }

    impl Server {
        /// Serves one connection of HTTP/2, and returns what sends requests over it.
        async fn serving_http2(upgrader: Upgrader) -> (Self, SendRequest<Empty<Bytes>>) {
            let this = Self::new(Http::One, upgrader);
            let (here, there) = duplex(64 << 10);
            let service = this.service();
            let service = service_fn(move |request| {
                let response = service(request);
                async { Ok::<_, Infallible>(response) }
            });
            let mut builder = server::Builder::new(TokioExecutor::new());
            builder.enable_connect_protocol();
            tokio::spawn(builder.serve_connection(TokioIo::new(there), service));
            let (mut requests, connection) = client::Builder::new(TokioExecutor::new())
                .handshake(TokioIo::new(here))
                .await
                .unwrap();
            tokio::spawn(connection);
            // The settings of the server have come with the answer to any request.
            let request = Request::get("https://h/").body(Empty::new()).unwrap();
            let response = requests.send_request(request).await.unwrap();
            assert_eq!(response.status(), 426);
            let mut this = this;
            assert_eq!(this.refused().await, HandshakeError::NotAnUpgrade);
            (this, requests)
        }
    }

    fn connect_request(uri: &str) -> Request<Empty<Bytes>> {
        Request::connect(uri)
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .body(Empty::new())
            .unwrap()
    }

    struct Head {
        status: u16,
        version: Version,
        headers: HeaderMap,
    }

    /// Asks for a WebSocket; the client's end of it, if there is one.
    async fn connect(
        requests: &SendRequest<Empty<Bytes>>,
        request: Request<Empty<Bytes>>,
    ) -> (Head, Option<TokioWebSocket<Stream>>) {
        let mut response = requests.clone().send_request(request).await.unwrap();
        let head = Head {
            status: response.status().as_u16(),
            version: response.version(),
            headers: response.headers().clone(),
        };
        if head.status != 200 {
            return (head, None);
        }
        let upgraded = hyper::upgrade::on(&mut response).await.unwrap();
        let socket = TokioWebSocket::from_parts(Parts {
            stream: TokioIo::new(upgraded),
            connection: Connection::new(Role::Client, Config::default().into()),
            input: RecvBuffer::new(),
            output: SendBuffer::new(),
        });
        (head, Some(socket))
    }
}

// -- The rig --------------------------------------------------------------------------------------

/// Which server of hyper's serves a connection.
#[derive(Debug, Clone, Copy)]
enum Http {
    One,
    /// Whatever the client speaks, which hyper-util finds out.
    #[cfg(feature = "http2")]
    Auto,
}

#[cfg(feature = "http2")]
const HTTPS: [Http; 2] = [Http::One, Http::Auto];
#[cfg(not(feature = "http2"))]
const HTTPS: [Http; 1] = [Http::One];

/// Serves connections, and passes on what became of the requests.
struct Server {
    http: Http,
    upgrader: Upgrader,
    /// What the application does with an answer that accepts.
    on_accept: fn(&mut Response<Bytes>),
    outcomes: mpsc::UnboundedSender<Outcome>,
    waiting: mpsc::UnboundedReceiver<Outcome>,
}

enum Outcome {
    Accepted(Box<Result<WebSocket, Error>>),
    Refused(HandshakeError),
}

impl Server {
    fn new(http: Http, upgrader: Upgrader) -> Self {
        let (outcomes, waiting) = mpsc::unbounded_channel();
        Self {
            http,
            upgrader,
            on_accept: |_| {},
            outcomes,
            waiting,
        }
    }

    /// A client's end of a TCP connection that is served.
    async fn tcp(&self) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, served) = tokio::join!(client, listener.accept());
        self.serve(served.unwrap().0);
        client.unwrap()
    }

    /// A client's end of a stream in memory that is served.
    fn duplex(&self) -> DuplexStream {
        let (client, served) = duplex(64 << 10);
        self.serve(served);
        client
    }

    /// A client of the library.
    async fn connect(&self) -> TokioWebSocket<TcpStream> {
        over(self.tcp().await).await
    }

    fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let stream = TokioIo::new(stream);
        let service = self.service();
        let service = service_fn(move |request| {
            let response = service(request);
            async { Ok::<_, Infallible>(response) }
        });
        match self.http {
            Http::One => {
                let served = http1::Builder::new().serve_connection(stream, service);
                tokio::spawn(async { served.with_upgrades().await.unwrap() });
            }
            #[cfg(feature = "http2")]
            Http::Auto => {
                use hyper_util::rt::TokioExecutor;
                use hyper_util::server::conn::auto::Builder;
                tokio::spawn(async {
                    let builder = Builder::new(TokioExecutor::new());
                    let served = builder.serve_connection_with_upgrades(stream, service);
                    served.await.unwrap();
                });
            }
        }
    }

    fn service(&self) -> impl Fn(Request<Incoming>) -> Response<Full<Bytes>> + use<> {
        let (upgrader, outcomes) = (self.upgrader.clone(), self.outcomes.clone());
        let on_accept = self.on_accept;
        move |mut request| {
            let outcomes = outcomes.clone();
            let response = match upgrader.upgrade(&mut request) {
                Ok((mut response, upgrade)) => {
                    on_accept(&mut response);
                    tokio::spawn(async move {
                        // A test that looks at the answer alone is over by now.
                        let _ = outcomes.send(Outcome::Accepted(Box::new(upgrade.await)));
                    });
                    response
                }
                Err(error) => {
                    let response = Response::from(&error);
                    outcomes.send(Outcome::Refused(error)).unwrap();
                    response
                }
            };
            response.map(Full::new)
        }
    }

    /// The server's end of the next WebSocket.
    async fn accepted(&mut self) -> WebSocket {
        match bounded(self.waiting.recv()).await.unwrap() {
            Outcome::Accepted(accepted) => accepted.unwrap(),
            Outcome::Refused(error) => panic!("{error}"),
        }
    }

    /// Why the next request was refused.
    async fn refused(&mut self) -> HandshakeError {
        match bounded(self.waiting.recv()).await.unwrap() {
            Outcome::Accepted(accepted) => panic!("{accepted:?}"),
            Outcome::Refused(error) => error,
        }
    }
}

/// A client of the library over a stream.
async fn over<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> TokioWebSocket<S> {
    let client = Client::new(ClientRequest::new("ws://example.com/ws").unwrap());
    bounded(client.handshake(stream)).await.unwrap().0
}

async fn echo(mut socket: WebSocket) -> End {
    while let Some(message) = socket.recv().await.unwrap() {
        socket.send(message).await.unwrap();
    }
    socket.end().cloned().unwrap()
}

/// Frames as a client sends them.
fn masked(frames: &[(u8, &[u8])]) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|(opcode, payload)| frame(*opcode, payload).sent_by(Role::Client).bytes())
        .collect()
}

/// A request as hyper gives it to a service, with further header lines.
fn upgrade_request(lines: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::get("/ws");
    for line in &UPGRADE[1..] {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// What hyper leaves in a request that it can upgrade.
async fn on_upgrade() -> hyper::upgrade::OnUpgrade {
    let (mut stream, there) = duplex(1 << 10);
    let (taken, mut waiting) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Incoming>| {
        taken.send(hyper::upgrade::on(request)).unwrap();
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(there), service));
    ask(&mut stream, &upgrade_with(&[])).await;
    waiting.recv().await.unwrap()
}
