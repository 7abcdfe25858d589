//! The extractor for axum: handlers that were written for axum's own, and what is different.
//!
//! The handlers of [`migrated`] are compiled with one import and with the other, so that the table
//! of the documentation cannot promise too much. The rules of the handshake have their own tests.

#![cfg(feature = "axum")]

#[path = "support/http.rs"]
mod http_client;
mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use framewright::axum::{Error, Message, Rejection, WebSocket, WebSocketUpgrade};
use framewright::handshake::{ClientRequest, OriginPolicy};
use framewright::hyper::UpgradedStream;
use framewright::tokio::{Client, WebSocket as TokioWebSocket, Writer, connect};
use framewright::{CloseCode, Config, End, Event, HandshakeError, Role, SendError};
use futures_util::stream::FusedStream;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use http_client::{UPGRADE, ask, ask_to_the_end, bounded, request, upgrade_but, upgrade_with};
use support::{BINARY, CLOSE, PING, PONG, TEXT, close_payload, frame, sent};

// -- Handlers that were written for axum's own ----------------------------------------------------

/// Handlers as users of axum write them, for the extractor in whatever module.
macro_rules! handlers {
    ($($ws:ident)::+) => {
        use axum::extract::State;
        use axum::response::Response;
        use axum::routing::any;
        use axum::{Error, Router};
        use bytes::Bytes;
        use futures_util::{sink::SinkExt, stream::StreamExt};
        use http::HeaderValue;
        use tokio::sync::mpsc;
        // The import.
        use $($ws)::+::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};

        pub(crate) fn app() -> Router {
            Router::new()
                .route("/echo", any(echo))
                .route("/process", any(process))
                .route("/protocols", any(protocols))
                .route("/selected", any(selected))
                .route("/split", any(split))
                .route("/failing", any(failing))
                .with_state("state")
        }

        // The example of axum's documentation.
        async fn echo(ws: WebSocketUpgrade) -> Response {
            ws.on_upgrade(echo_socket)
        }

        #[expect(clippy::manual_let_else, reason = "as axum's documentation has it")]
        async fn echo_socket(mut socket: WebSocket) {
            while let Some(msg) = socket.recv().await {
                let msg = if let Ok(msg) = msg {
                    msg
                } else {
                    return;
                };

                if socket.send(msg).await.is_err() {
                    return;
                }
            }
        }

        // After the example "websockets" of axum's repository.
        async fn process(ws: WebSocketUpgrade, State(state): State<&'static str>) -> Response {
            ws.max_message_size(1024)
                .max_frame_size(512)
                .max_write_buffer_size(1 << 20)
                .on_failed_upgrade(|error| eprintln!("{error}"))
                .on_upgrade(move |socket| process_socket(socket, state))
        }

        async fn process_socket(mut socket: WebSocket, state: &'static str) {
            if socket.send(Message::Ping(Bytes::from_static(&[1, 2, 3]))).await.is_err() {
                return;
            }
            if socket.send(state.into()).await.is_err() {
                return;
            }
            while let Some(Ok(msg)) = socket.recv().await {
                let described = match msg {
                    Message::Text(t) => format!("text {}", t.as_str()),
                    Message::Binary(d) => format!("{} bytes", d.len()),
                    Message::Close(c) => match c {
                        Some(_) => return,
                        None => return,
                    },
                    Message::Pong(v) => format!("pong {v:?}"),
                    Message::Ping(v) => format!("ping {v:?}"),
                };
                if socket.send(Message::Text(described.into())).await.is_err() {
                    return;
                }
            }
        }

        async fn protocols(ws: WebSocketUpgrade) -> Response {
            let requested = ws.requested_protocols().count();
            let ws = ws.protocols(["v1", "v2"]);
            let selected = ws.selected_protocol().cloned();
            ws.on_upgrade(move |mut socket| async move {
                assert_eq!(socket.protocol(), selected.as_ref());
                let protocol = socket.protocol().and_then(|protocol| protocol.to_str().ok());
                let answer = format!("{protocol:?} of {requested}");
                let _ = socket.send(Message::text(answer)).await;
                while let Some(Ok(_)) = socket.recv().await {}
            })
        }

        async fn selected(mut ws: WebSocketUpgrade) -> Response {
            let favourite = HeaderValue::from_static("v2");
            if ws.requested_protocols().any(|protocol| protocol == favourite) {
                ws.set_selected_protocol(favourite);
            }
            ws.on_upgrade(|mut socket| async move {
                while let Some(Ok(Message::Text(text))) = socket.recv().await {
                    let _ = socket.send(Message::Text(Utf8Bytes::from(text.to_uppercase()))).await;
                }
            })
        }

        // The section "Read and write concurrently" of axum's documentation.
        async fn split(ws: WebSocketUpgrade) -> Response {
            ws.on_upgrade(|socket| async {
                let (mut sender, mut receiver) = socket.split();
                let (answers, mut waiting) = mpsc::channel(8);
                let mut write = tokio::spawn(async move {
                    while let Some(answer) = waiting.recv().await {
                        if sender.send(answer).await.is_err() {
                            break;
                        }
                    }
                });
                let mut read = tokio::spawn(async move {
                    while let Some(Ok(message)) = receiver.next().await {
                        if let Message::Text(_) = message {
                            let _ = answers.send(message).await;
                        }
                    }
                });
                tokio::select! {
                    _ = &mut write => read.abort(),
                    _ = &mut read => write.abort(),
                }
            })
        }

        async fn failing(ws: WebSocketUpgrade) -> Response {
            async fn greet(socket: &mut WebSocket) -> Result<(), Error> {
                socket.send(Message::binary(vec![1])).await?;
                SinkExt::<Message>::close(socket).await?;
                Ok(())
            }
            ws.on_upgrade(|mut socket| async move {
                if let Err(error) = greet(&mut socket).await {
                    eprintln!("{error}");
                }
                while let Some(Ok(_)) = socket.recv().await {}
            })
        }
    };
}

mod migrated {
    handlers!(framewright::axum);
}

mod original {
    handlers!(axum::extract::ws);
}

#[tokio::test]
async fn handlers_written_for_axum_do_with_another_import_what_they_did() {
    bounded(async {
        let migrated = converse(serve(migrated::app()).await).await;
        let original = converse(serve(original::app()).await).await;
        assert_eq!(migrated, original);
        assert_eq!(
            migrated,
            [
                "/echo: Text(\"hello\")",
                "/echo: closed with 1000",
                "/process: Text(\"state\")",
                "/process: Text(\"pong b\\\"\\\\x01\\\\x02\\\\x03\\\"\")",
                "/process: Text(\"text hello\")",
                "/process: Text(\"7 bytes\")",
                "/process: Text(\"ping b\\\"alive\\\"\")",
                "/process: closed with 1000",
                "/protocols: Text(\"Some(\\\"v1\\\") of 3\")",
                "/protocols: closed with 1000",
                "/selected v2: Text(\"HELLO\")",
                "/split: Text(\"one\")",
                "/split: Text(\"two\")",
                "/split: closed with 1000",
                "/failing: Binary(b\"\\x01\")",
            ]
        );
    })
    .await;
}

/// What a client sees of the handlers.
async fn converse(address: SocketAddr) -> Vec<String> {
    let mut seen = Vec::new();
    let mut socket = connect(&format!("ws://{address}/echo")).await.unwrap();
    socket.send("hello").await.unwrap();
    note(&mut seen, "/echo", socket.recv().await);
    note_close(&mut seen, "/echo", &mut socket).await;

    let mut socket = connect(&format!("ws://{address}/process")).await.unwrap();
    for _ in ["the state", "the answer to the Ping"] {
        note(&mut seen, "/process", socket.recv().await);
    }
    socket.send("hello").await.unwrap();
    note(&mut seen, "/process", socket.recv().await);
    socket.send(vec![0; 7]).await.unwrap();
    note(&mut seen, "/process", socket.recv().await);
    socket.send_ping(b"alive").await.unwrap();
    note(&mut seen, "/process", socket.recv().await);
    note_close(&mut seen, "/process", &mut socket).await;

    let (mut socket, _) = offering(&format!("ws://{address}/protocols"), &["v3", "v2", "v1"]).await;
    note(&mut seen, "/protocols", socket.recv().await);
    note_close(&mut seen, "/protocols", &mut socket).await;

    let (mut socket, _) = offering(&format!("ws://{address}/selected"), &["v1", "v2"]).await;
    socket.send("hello").await.unwrap();
    let path = format!("/selected {}", socket.subprotocol().unwrap());
    note(&mut seen, &path, socket.recv().await);

    let mut socket = connect(&format!("ws://{address}/split")).await.unwrap();
    for text in ["one", "two"] {
        socket.send(text).await.unwrap();
        note(&mut seen, "/split", socket.recv().await);
    }
    note_close(&mut seen, "/split", &mut socket).await;

    let mut socket = connect(&format!("ws://{address}/failing")).await.unwrap();
    note(&mut seen, "/failing", socket.recv().await);
    assert_eq!(socket.recv().await.unwrap(), None);
    assert!(socket.end().unwrap().is_clean());
    seen
}

fn note(seen: &mut Vec<String>, path: &str, received: Result<Option<Message>, Error>) {
    seen.push(format!("{path}: {:?}", received.unwrap().unwrap()));
}

async fn note_close<S>(seen: &mut Vec<String>, path: &str, socket: &mut TokioWebSocket<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
    // Whether a handler that stops at a Close has answered it is a matter of luck with axum's own.
    let code = end.sent_code().unwrap();
    seen.push(format!("{path}: closed with {code}"));
}

// -- The extractor --------------------------------------------------------------------------------

#[tokio::test]
async fn other_requests_are_given_the_answer_of_section_4_2_2() {
    bounded(async {
        let address = serve(migrated::app()).await;
        for (bytes, error, status, line) in [
            (
                request(&["GET /echo HTTP/1.1", "Host: example.com"]),
                HandshakeError::NotAnUpgrade,
                426,
                Some(("upgrade", "websocket")),
            ),
            (
                upgrade_but(&["GET /echo HTTP/1.1", "Sec-WebSocket-Version: 8"]),
                HandshakeError::VersionUnsupported,
                426,
                Some(("sec-websocket-version", "13")),
            ),
            (
                upgrade_but(&["GET /echo HTTP/1.1", "Sec-WebSocket-Key: c2hvcnQ="]),
                HandshakeError::KeyInvalid,
                400,
                None,
            ),
            (
                request(&[&["POST /echo HTTP/1.1"], &UPGRADE[1..]].concat()),
                HandshakeError::MethodNotGet,
                405,
                Some(("allow", "GET")),
            ),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let answer = ask_to_the_end(&mut stream, &bytes).await;
            assert_eq!(answer.status, status, "{answer:?}");
            if let Some((name, value)) = line {
                assert_eq!(answer.header(name), Some(value), "{answer:?}");
            }
            assert_eq!(answer.rest, format!("{error}\n").into_bytes());
        }
    })
    .await;
}

#[tokio::test]
async fn an_optional_extractor_lets_pages_pass_and_nothing_that_breaks_a_rule() {
    async fn page_or_socket(ws: Option<WebSocketUpgrade>) -> Response {
        match ws {
            Some(ws) => ws.on_upgrade(|_| async {}),
            None => "a page".into_response(),
        }
    }

    bounded(async {
        let address = serve(Router::new().route("/ws", any(page_or_socket))).await;
        for (bytes, status) in [
            (
                request(&["GET /ws HTTP/1.1", "Host: h", "Connection: close"]),
                200,
            ),
            (
                upgrade_but(&["Upgrade: h2c", "Connection: Upgrade, close"]),
                200,
            ),
            (upgrade_with(&[]), 101),
            (upgrade_but(&["Sec-WebSocket-Version: 8"]), 426),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let answer = ask(&mut stream, &bytes).await;
            assert_eq!(answer.status, status, "{answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_result_extractor_lets_the_handler_look() {
    async fn look(ws: Result<WebSocketUpgrade, Rejection>) -> Response {
        match ws {
            Ok(ws) => format!("{} {:?}", ws.request().path(), ws.request().query()).into_response(),
            Err(rejection) => {
                assert_eq!(rejection.error(), &HandshakeError::VersionUnsupported);
                assert_eq!(rejection.status(), 426);
                rejection.to_string().into_response()
            }
        }
    }

    bounded(async {
        let address = serve(Router::new().route("/ws", any(look))).await;
        for (bytes, body) in [
            (
                upgrade_but(&["GET /ws?room=1 HTTP/1.1"]),
                "/ws Some(\"room=1\")",
            ),
            (
                upgrade_but(&["Sec-WebSocket-Version: 8"]),
                "sec-websocket-version is not 13",
            ),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let answer = ask(&mut stream, &bytes).await;
            assert_eq!(String::from_utf8(answer.rest).unwrap(), body);
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_somebody_has_upgraded_before_is_no_page() {
    let mut parts = parts(&[]);
    let extracted =
        <Option<WebSocketUpgrade> as FromRequestParts<()>>::from_request_parts(&mut parts, &());
    let rejection = extracted.await.unwrap_err();
    assert_eq!(rejection.error(), &HandshakeError::NotAnUpgrade);
}

#[tokio::test]
async fn pages_connect_as_the_origin_policy_says_and_the_callback_is_not_called_for_others() {
    let (called, mut calls) = mpsc::unbounded_channel();
    let listed = OriginPolicy::any_of(["https://app.example"]).unwrap();
    for (policy, origin, status) in [
        (None, "http://example.com", 101),
        (None, "https://app.example", 403),
        (Some(listed.clone()), "https://app.example", 101),
        (Some(listed), "http://example.com", 403),
        (Some(OriginPolicy::Any), "null", 101),
    ] {
        let called = called.clone();
        let mut stream = serve_duplex(move |ws| {
            let ws = match policy.clone() {
                Some(policy) => ws.origin_policy(policy),
                None => ws,
            };
            let called = called.clone();
            ws.on_upgrade(move |_| async move { called.send(()).unwrap() })
        });
        let line = format!("Origin: {origin}");
        let answer = ask(&mut stream, &upgrade_with(&[&line])).await;
        assert_eq!(answer.status, status, "{origin}");
        if status == 101 {
            bounded(calls.recv()).await.unwrap();
        } else {
            let body = b"origin is not allowed by the origin policy\n";
            assert_eq!(answer.rest, body);
        }
    }
    drop(called);
    assert_eq!(bounded(calls.recv()).await, None, "nobody else was called");
}

#[tokio::test]
async fn each_setting_is_the_connections() {
    let mut own = Config::default();
    own.max_message_len = 7;
    own.max_fragments = 7;
    let own = Arc::new(own);
    let shared = Arc::clone(&own);
    let config = of_socket(move |ws| ws.config(Arc::clone(&shared))).await;
    assert!(Arc::ptr_eq(&config, &own), "one configuration for all");
    let config = of_socket(|ws| ws).await;
    assert_eq!(*config, Config::default());
    assert!(Arc::ptr_eq(&config, &of_socket(|ws| ws).await));
    let config = of_socket(move |ws| {
        ws.config(Arc::clone(&own))
            .max_message_size(8)
            .max_frame_size(9)
            .max_write_buffer_size(10)
    })
    .await;
    let limits = (
        config.max_message_len,
        config.max_frame_len,
        config.write_high_water,
    );
    assert_eq!(limits, (8, 9, 10));
    assert_eq!(config.max_fragments, 7, "the rest stays");
    let config = of_socket(|ws| ws.max_message_size(usize::MAX)).await;
    assert_eq!(config.max_message_len, Config::UNLIMITED);

    /// The configuration of a connection that was accepted so.
    async fn of_socket(
        set: impl Fn(WebSocketUpgrade) -> WebSocketUpgrade + Clone + Send + 'static,
    ) -> Arc<Config> {
        let (socket, _stream) = accepted(&[], set).await;
        Arc::clone(socket.get_ref().connection().config())
    }
}

#[tokio::test]
async fn a_message_past_the_limit_fails_the_connection_with_1009() {
    let (mut socket, mut stream) = accepted(&[], |ws| ws.max_message_size(5)).await;
    stream
        .write_all(&masked(&[(TEXT, b"123456")]))
        .await
        .unwrap();
    let receive = async {
        let error = socket.recv().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error:?}");
        assert!(socket.recv().await.is_none());
        assert_eq!(
            socket.end().unwrap().sent_code(),
            Some(CloseCode::MESSAGE_TOO_BIG)
        );
        drop(socket);
    };
    let read = async {
        let mut bytes = Vec::new();
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    };
    let ((), bytes) = bounded(async { tokio::join!(receive, read) }).await;
    assert_eq!(&sent(&bytes)[0].1[..2], [0x03, 0xf1]);
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn messages_are_compressed_where_both_sides_ask_for_it() {
    use framewright::handshake::DeflateConfig;

    let offer = &["Sec-WebSocket-Extensions: permessage-deflate"];
    let (socket, _) = accepted(offer, |ws| ws).await;
    assert!(!socket.get_ref().connection().is_compressing());
    let (socket, _) = accepted(offer, |ws| ws.deflate(DeflateConfig::default())).await;
    assert!(socket.get_ref().connection().is_compressing());
    let (socket, _) = accepted(&[], |ws| ws.deflate(DeflateConfig::default())).await;
    assert!(!socket.get_ref().connection().is_compressing());
}

#[tokio::test]
async fn a_subprotocol_that_is_not_offered_is_not_selected() {
    type Select = fn(&mut WebSocketUpgrade);
    let offer = "Sec-WebSocket-Protocol: v2, v1";
    let selects: [(Select, Option<&str>); 4] = [
        (|_| {}, None),
        (
            |ws| ws.set_selected_protocol(HeaderValue::from_static("v1")),
            Some("v1"),
        ),
        (
            |ws| ws.set_selected_protocol(HeaderValue::from_static("v3")),
            None,
        ),
        (
            |ws| {
                ws.set_selected_protocol(HeaderValue::from_static("v1"));
                ws.set_selected_protocol(HeaderValue::from_static("v3"));
            },
            None,
        ),
    ];
    for (select, expected) in selects {
        let mut stream = serve_duplex(move |mut ws| {
            let requested: Vec<_> = ws.requested_protocols().cloned().collect();
            assert_eq!(requested, ["v2", "v1"]);
            select(&mut ws);
            assert_eq!(
                ws.selected_protocol().map(HeaderValue::as_bytes),
                expected.map(str::as_bytes)
            );
            ws.on_upgrade(|_| async {})
        });
        let answer = ask(&mut stream, &upgrade_with(&[offer])).await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("sec-websocket-protocol"), expected);
    }
    // The server's order counts, and Strings will do.
    let own = vec!["v1".to_owned(), "v2".to_owned()];
    let (socket, _) = accepted(&[offer], move |ws| ws.protocols(&own)).await;
    assert_eq!(socket.protocol(), Some(&HeaderValue::from_static("v1")));
    assert_eq!(socket.get_ref().subprotocol(), Some("v1"));
}

#[tokio::test]
async fn an_upgrade_that_fails_is_told_to_whoever_asked() {
    let (failed, mut failures) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Incoming>| {
        let failed = failed.clone();
        async move {
            let (mut parts, _) = request.into_parts();
            let ws = WebSocketUpgrade::from_request_parts(&mut parts, &())
                .await
                .unwrap();
            let answer = ws
                .on_failed_upgrade(move |error| failed.send(error).unwrap())
                .on_upgrade(|_| async { panic!("it did not open") });
            Ok::<_, Infallible>(answer)
        }
    });
    let (mut stream, there) = duplex(1 << 10);
    // Without `with_upgrades`.
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(there), service));
    assert_eq!(ask(&mut stream, &upgrade_with(&[])).await.status, 101);
    let error = bounded(failures.recv()).await.unwrap();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    let error = axum::Error::from(error);
    assert!(error.to_string().contains("upgrade"), "{error}");
}

// -- The WebSocket --------------------------------------------------------------------------------

#[tokio::test]
async fn a_plain_tcp_connection_is_taken_out_of_its_boxes() {
    bounded(async {
        let (sockets, mut waiting) = mpsc::unbounded_channel();
        let keep = move |ws: WebSocketUpgrade| async move {
            ws.on_upgrade(|socket| async move { sockets.send(socket).unwrap() })
        };
        let address = serve(Router::new().route("/ws", any(keep))).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let bytes = [upgrade_with(&[]), masked(&[(TEXT, b"early")])].concat();
        assert_eq!(ask(&mut stream, &bytes).await.status, 101);
        let mut socket: WebSocket = waiting.recv().await.unwrap();
        assert!(matches!(socket.get_ref().stream(), UpgradedStream::Tcp(_)));
        assert_eq!(
            socket.recv().await.unwrap().unwrap(),
            Message::text("early")
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn pongs_are_received_where_the_application_has_sent_the_ping() {
    let (mut socket, mut stream) = accepted(&[], |ws| ws).await;
    socket
        .send(Message::Ping(Bytes::from_static(b"mine")))
        .await
        .unwrap();
    let serve = tokio::spawn(async move {
        let mut received = Vec::new();
        while let Some(message) = socket.recv().await {
            received.push(message.unwrap());
        }
        received
    });
    let start = Instant::now();
    // What a browser does.
    for expected in [&b"mine"[..], &[0, 0, 0, 1], &[0, 0, 0, 2]] {
        let (opcode, payload) = read_frame(&mut stream).await;
        assert_eq!((opcode, &payload[..]), (PING, expected));
        stream
            .write_all(&masked(&[(PONG, expected)]))
            .await
            .unwrap();
    }
    assert_eq!(start.elapsed(), Duration::from_secs(40));
    // Answers that come late are the keepalive's still.
    let pongs: [(u8, &[u8]); 4] = [
        (PONG, &[0, 0, 0, 1]),
        (PONG, b"unasked"),
        (PONG, b""),
        (PING, b"?"),
    ];
    stream.write_all(&masked(&pongs)).await.unwrap();
    assert_eq!(read_frame(&mut stream).await, (PONG, b"?".to_vec()));
    stream.write_all(&masked(&[(CLOSE, b"")])).await.unwrap();
    assert_eq!(read_frame(&mut stream).await.0, CLOSE);
    drop(stream);
    assert_eq!(
        serve.await.unwrap(),
        [
            Message::Pong(Bytes::from_static(b"mine")),
            Message::Pong(Bytes::from_static(b"unasked")),
            Message::Pong(Bytes::new()),
            Message::Ping(Bytes::from_static(b"?")),
            Message::Close(None),
        ]
    );
}

#[tokio::test]
async fn a_close_is_answered_before_the_handler_sees_it() {
    let (mut socket, mut stream) = accepted(&[], |ws| ws).await;
    let close = close_payload(1001, b"bye");
    stream.write_all(&masked(&[(CLOSE, &close)])).await.unwrap();
    let received = bounded(socket.recv()).await.unwrap().unwrap();
    let Message::Close(Some(frame)) = received else {
        panic!("{received:?}");
    };
    assert_eq!((frame.code.get(), &*frame.reason), (1001, "bye"));
    // 5.5.1: nothing follows a Close.
    let refused = socket.send(Message::text("late")).await.unwrap_err();
    assert!(
        matches!(refused, Error::Send(SendError::Closing)),
        "{refused:?}"
    );
    // The handler stops here.
    drop(socket);
    let mut answer = Vec::new();
    bounded(stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(sent(&answer), [(CLOSE, vec![0x03, 0xe9])]);
}

#[tokio::test]
async fn a_server_that_leaves_closes_with_1001_and_waits_for_the_answer() {
    bounded(async {
        let (ends, mut waiting) = mpsc::unbounded_channel();
        let leave = |ws: WebSocketUpgrade, State(ends): State<mpsc::UnboundedSender<End>>| async {
            ws.on_upgrade(|socket| async move {
                let mut socket = socket.into_inner();
                let end = socket
                    .close(CloseCode::GOING_AWAY, "server is leaving")
                    .await;
                ends.send(end.unwrap()).unwrap();
            })
        };
        let app = Router::new().route("/ws", any(leave)).with_state(ends);
        let address = serve(app).await;
        let mut client = connect(&format!("ws://{address}/ws")).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), None);
        let end = client.end().unwrap();
        assert_eq!((end.code(), end.reason()), (1001, "server is leaving"));
        assert!(waiting.recv().await.unwrap().is_clean());
    })
    .await;
}

#[tokio::test]
async fn the_adapters_own_websocket_is_inside() {
    let (mut socket, mut stream) = accepted(&[], |ws| ws).await;
    stream
        .write_all(&masked(&[(BINARY, b"one"), (TEXT, b"two")]))
        .await
        .unwrap();
    let (event, mut outbox) = socket.get_mut().recv_event().await.unwrap().unwrap();
    assert!(matches!(event, Event::Binary(b"one")), "{event:?}");
    outbox.feed_text("1").unwrap();
    let (mut reader, mut writer) = socket.into_inner().split();
    assert_eq!(reader.recv().await.unwrap(), Some(Message::text("two")));
    writer.send("2").await.unwrap();
    assert_eq!(read_frame(&mut stream).await, (TEXT, b"1".to_vec()));
    assert_eq!(read_frame(&mut stream).await, (TEXT, b"2".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn halves_of_futures_wait_on_two_tasks_and_miss_no_deadline() {
    let (socket, mut stream) = accepted(&[], |ws| ws).await;
    let (mut sink, mut stream_half) = socket.split();
    // The reader waits first, and then the writer uses what they share.
    let read = tokio::spawn(async move {
        let mut received = Vec::new();
        while let Some(message) = stream_half.next().await {
            received.push(message);
        }
        (stream_half, received)
    });
    let start = Instant::now();
    sleep(Duration::from_secs(1)).await;
    // More than the stream holds, so that it waits, with a deadline of its own.
    let write = tokio::spawn(async move {
        sink.send(Message::binary(vec![7; 100_000])).await.unwrap();
        sink
    });
    sleep(Duration::from_secs(24)).await;
    let mut message = vec![0; 10 + 100_000];
    stream.read_exact(&mut message).await.unwrap();
    let mut sink = write.await.unwrap();
    // It was due 20 s after the opening, and leaves as soon as it can.
    let ping = bounded(read_frame(&mut stream)).await;
    assert_eq!(ping, (PING, vec![0, 0, 0, 1]));
    assert_eq!(start.elapsed(), Duration::from_secs(25));
    sink.close().await.unwrap();
    assert_eq!(read_frame(&mut stream).await, (CLOSE, vec![0x03, 0xe8]));
    stream
        .write_all(&masked(&[(CLOSE, &[0x03, 0xe8])]))
        .await
        .unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
    let (stream_half, received) = read.await.unwrap();
    assert!(
        matches!(received[..], [Ok(Message::Close(Some(_)))]),
        "{received:?}"
    );
    let socket = stream_half.reunite(sink).unwrap();
    assert!(socket.is_terminated() && socket.end().unwrap().is_clean());
}

#[tokio::test]
async fn a_stream_that_ends_without_a_close_is_no_error_and_no_clean_end() {
    let (mut socket, stream) = accepted(&[], |ws| ws).await;
    drop(stream);
    assert!(bounded(socket.recv()).await.is_none());
    assert!(!socket.end().unwrap().is_clean());
}

#[tokio::test]
async fn a_client_of_http2_is_served_by_the_same_handler() {
    use http_body_util::Empty;
    use hyper::client::conn::http2;
    use hyper::ext::Protocol;
    use hyper_util::rt::TokioExecutor;

    bounded(async {
        let address = serve(migrated::app()).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut requests, connection) = http2::Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let uri = format!("http://{address}/echo");
        let plain = Request::get(&uri).body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(requests.send_request(plain).await.unwrap().status(), 426);
        let connect = Request::connect(&uri)
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .header("origin", format!("http://{address}"))
            .body(Empty::new())
            .unwrap();
        let mut response = requests.send_request(connect).await.unwrap();
        assert_eq!(response.status(), 200);
        let upgraded = hyper::upgrade::on(&mut response).await.unwrap();
        let mut stream = TokioIo::new(upgraded);
        stream
            .write_all(&masked(&[(TEXT, b"hello")]))
            .await
            .unwrap();
        assert_eq!(read_frame(&mut stream).await, (TEXT, b"hello".to_vec()));
    })
    .await;
}

#[test]
fn handlers_can_be_spawned() {
    fn is_send_and_sync<T: Send + Sync>() {}
    fn is_send<T: Send>() {}
    // Neither is shared between threads, because hyper's streams are not; the halves are.
    is_send::<WebSocket>();
    is_send::<WebSocketUpgrade>();
    is_send_and_sync::<Writer<UpgradedStream>>();
    is_send_and_sync::<Rejection>();
}

// -- The rig --------------------------------------------------------------------------------------

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

/// A client's end of a stream in memory whose request is answered by `answer`.
fn serve_duplex(
    answer: impl Fn(WebSocketUpgrade) -> Response<Body> + Clone + Send + 'static,
) -> DuplexStream {
    let (client, served) = duplex(64 << 10);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let (mut parts, _) = request.into_parts();
            let ws = WebSocketUpgrade::from_request_parts(&mut parts, &())
                .await
                .unwrap();
            Ok::<_, Infallible>(answer(ws))
        }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(served), service);
    tokio::spawn(async { served.with_upgrades().await.unwrap() });
    client
}

/// A WebSocket whose request had further lines and that was accepted so, and the client's end.
async fn accepted(
    lines: &[&str],
    set: impl Fn(WebSocketUpgrade) -> WebSocketUpgrade + Clone + Send + 'static,
) -> (WebSocket, DuplexStream) {
    let (sockets, mut waiting) = mpsc::unbounded_channel();
    let mut stream = serve_duplex(move |ws| {
        let sockets = sockets.clone();
        set(ws).on_upgrade(move |socket| async move { sockets.send(socket).unwrap() })
    });
    let answer = ask(&mut stream, &upgrade_with(lines)).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    (bounded(waiting.recv()).await.unwrap(), stream)
}

/// The head of a request that is accepted, but for what hyper leaves in it.
fn parts(lines: &[&str]) -> http::request::Parts {
    let mut request = Request::get("/ws");
    for line in UPGRADE[1..].iter().chain(lines) {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

/// A client that offers subprotocols.
async fn offering(
    uri: &str,
    subprotocols: &[&str],
) -> (
    TokioWebSocket<framewright::tokio::MaybeTlsStream>,
    framewright::handshake::Headers,
) {
    let request = ClientRequest::new(uri).unwrap();
    let request = subprotocols
        .iter()
        .try_fold(request, |request, subprotocol| {
            request.subprotocol(subprotocol)
        });
    Client::new(request.unwrap()).connect().await.unwrap()
}

/// Frames as a client sends them.
fn masked(frames: &[(u8, &[u8])]) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|(opcode, payload)| frame(*opcode, payload).sent_by(Role::Client).bytes())
        .collect()
}

/// The opcode and the payload of a short frame.
async fn read_frame(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let mut header = [0; 2];
    stream.read_exact(&mut header).await.unwrap();
    let mut payload = vec![0; usize::from(header[1])];
    stream.read_exact(&mut payload).await.unwrap();
    (header[0] & 0xf, payload)
}
