//! WebSockets over TLS with tokio's adapter, in both roles, with certificates that are made here.
//!
//! Who is trusted and who is refused, what ALPN agrees on, much in both directions at once, ends
//! that were not said, and handshakes that stall. Every scenario also shows that no process-wide
//! cryptography was installed.
//!
//! Timeouts that are to pass are short and bounds are generous, so that a busy machine decides
//! nothing.

#![cfg(all(feature = "tokio-rustls", any(feature = "ring", feature = "aws-lc-rs")))]

#[path = "support/identity.rs"]
mod identity;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use framewright::handshake::ClientRequest;
use framewright::tls::rustls::crypto::CryptoProvider;
use framewright::tls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, RootCertStore, SupportedProtocolVersion,
};
use framewright::tls::{TlsAcceptor, TlsConnector, TlsError};
use framewright::tokio::{
    Client, Error, MaybeTlsStream, Server, ServerTlsStream, WebSocket, connect,
};
use framewright::{CloseCode, Config, End, EndCause, Initiator, Message};
use identity::Identity;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A test that takes longer hangs.
const HANG: Duration = Duration::from_secs(40);
/// What has a short timeout must be over by then.
const SOON: Duration = Duration::from_secs(8);
/// A timeout that is to pass.
const SHORT: Duration = Duration::from_millis(200);

// -- Both roles -----------------------------------------------------------------------------------

#[tokio::test]
async fn messages_of_every_length_are_echoed_by_every_version() {
    bounded(async {
        for version in rustls::ALL_VERSIONS {
            let (port, server) = serve(acceptor(), |socket| async {
                let version = socket.stream().get_ref().1.protocol_version();
                let end = echo(socket).await;
                assert_eq!(end.initiator, Some(Initiator::Peer));
                (version, end.is_clean())
            })
            .await;
            let mut client = open(port, &connector_of(version)).await;
            assert!(matches!(client.stream(), MaybeTlsStream::Tls(_)));
            assert!(client.stream().tcp().nodelay().unwrap());
            for len in [0, 1, 125, 126, 16_383, 16_384, 16_385, 65_536, 1 << 20] {
                let payload = pattern(len);
                client.send(payload.clone()).await.unwrap();
                assert!(
                    client.recv().await.unwrap() == Some(payload.into()),
                    "{len}"
                );
            }
            let end = client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
            assert!(end.is_clean(), "{end:?}");
            assert_eq!(end.initiator, Some(Initiator::Local));
            assert_eq!(server.await.unwrap(), (Some(version.version), true));
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_of_16_mib_is_echoed() {
    bounded(async {
        let (port, server) = serve(acceptor(), echo).await;
        let mut client = open(port, &connector()).await;
        let payload = pattern(16 << 20);
        // Each waits for the other to read, which both do.
        client.feed(payload.clone()).await.unwrap();
        assert!(client.recv().await.unwrap() == Some(payload.into()));
        client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        assert!(server.await.unwrap().is_clean());
    })
    .await;
}

#[tokio::test]
async fn a_burst_is_received_whole_and_in_order() {
    bounded(async {
        let (port, server) = serve(acceptor(), echo).await;
        let mut client = open(port, &connector()).await;
        for number in 0..1000 {
            client.feed(format!("message {number}")).await.unwrap();
        }
        for number in 0..1000 {
            let text = format!("message {number}");
            assert_eq!(client.recv().await.unwrap(), Some(Message::text(text)));
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        server.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_split_ends_that_both_write_much_do_not_wait_for_each_other() {
    const MESSAGES: usize = 500;
    const LEN: usize = 40_000;

    async fn exchange<S>(socket: WebSocket<S>) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut reader, mut writer) = socket.split();
        let sending = tokio::spawn(async move {
            for number in 0..MESSAGES {
                writer.feed(numbered(number, LEN)).await.unwrap();
            }
            writer.flush().await.unwrap();
            writer
        });
        for number in 0..MESSAGES {
            assert!(reader.recv().await.unwrap() == Some(numbered(number, LEN)));
        }
        let mut writer = sending.await.unwrap();
        let closing =
            tokio::spawn(async move { writer.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap() });
        assert_eq!(reader.recv().await.unwrap(), None);
        closing.await.unwrap()
    }

    bounded(async {
        let (port, server) = serve(acceptor(), exchange).await;
        let client = exchange(open(port, &connector()).await).await;
        assert!(client.is_clean(), "{client:?}");
        let server = server.await.unwrap();
        assert!(server.is_clean(), "{server:?}");
    })
    .await;
}

#[tokio::test]
async fn a_split_end_gets_its_echoes_while_it_writes() {
    const MESSAGES: usize = 500;
    const LEN: usize = 40_000;

    bounded(async {
        let (port, server) = serve(acceptor(), echo).await;
        let (mut reader, mut writer) = open(port, &connector()).await.split();
        let sending = tokio::spawn(async move {
            for number in 0..MESSAGES {
                writer.send(numbered(number, LEN)).await.unwrap();
            }
            writer
        });
        for number in 0..MESSAGES {
            assert!(reader.recv().await.unwrap() == Some(numbered(number, LEN)));
        }
        let mut writer = sending.await.unwrap();
        let (end, received) =
            tokio::join!(writer.close(CloseCode::NORMAL_CLOSURE, ""), reader.recv());
        assert_eq!(received.unwrap(), None);
        assert!(end.unwrap().is_clean());
        server.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn parts_go_on_where_the_session_was() {
    bounded(async {
        let (port, server) = serve(acceptor(), |socket| {
            echo(WebSocket::from_parts(socket.into_parts()))
        })
        .await;
        let mut client = open(port, &connector()).await;
        for text in ["one", "two"] {
            client = WebSocket::from_parts(client.into_parts());
            client.send(text).await.unwrap();
            assert_eq!(client.recv().await.unwrap(), Some(Message::text(text)));
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        assert!(server.await.unwrap().is_clean());
    })
    .await;
}

// -- Who is trusted -------------------------------------------------------------------------------

#[tokio::test]
async fn a_server_whose_issuer_is_unknown_is_refused_and_told() {
    bounded(async {
        let (port, server) = attempt(Config::default(), acceptor()).await;
        let stranger = Identity::new("localhost").connector();
        let error = try_open(port, "localhost", &stranger).await.unwrap_err();
        assert_eq!(certificate_error(&error), &CertificateError::UnknownIssuer);
        assert_eq!(
            error.to_string(),
            "TLS handshake: invalid peer certificate: UnknownIssuer"
        );
        let error = server.await.unwrap().unwrap_err();
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Handshake(rustls::Error::AlertReceived(
                    AlertDescription::UnknownCA
                )))
            ),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_server_is_who_the_uri_names() {
    bounded(async {
        let (all, only_a_name) = (Identity::shared(), Identity::new("localhost"));
        for (identity, host, is_trusted) in [
            (all, "localhost", true),
            (all, "LOCALHOST", true),
            (all, "127.0.0.1", true),
            (&only_a_name, "localhost", true),
            (&only_a_name, "127.0.0.1", false),
        ] {
            let (port, server) = attempt(Config::default(), identity.acceptor()).await;
            let opened = try_open(port, host, &identity.connector()).await;
            match opened {
                Ok(mut socket) => {
                    assert!(is_trusted, "{host}");
                    socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
                }
                Err(error) => {
                    assert!(!is_trusted, "{host}: {error:?}");
                    assert!(
                        matches!(
                            certificate_error(&error),
                            CertificateError::NotValidForName
                                | CertificateError::NotValidForNameContext { .. }
                        ),
                        "{error:?}"
                    );
                }
            }
            match server.await.unwrap() {
                Ok(end) => assert!(end.is_clean() && is_trusted),
                Err(error) => assert!(
                    !is_trusted
                        && matches!(
                            error,
                            Error::Tls(TlsError::Handshake(rustls::Error::AlertReceived(_)))
                        ),
                    "{error:?}"
                ),
            }
        }
    })
    .await;
}

#[cfg(any(feature = "rustls-platform-verifier", feature = "rustls-webpki-roots"))]
#[tokio::test]
async fn without_a_connector_the_world_is_trusted_and_not_we() {
    bounded(async {
        let (port, server) = attempt(Config::default(), acceptor()).await;
        let error = connect(&format!("wss://localhost:{port}/"))
            .await
            .unwrap_err();
        // A platform without certificates trusts nobody.
        assert!(
            matches!(
                error,
                Error::Tls(
                    TlsError::Handshake(rustls::Error::InvalidCertificate(_)) | TlsError::Config(_)
                )
            ),
            "{error:?}"
        );
        server.await.unwrap().unwrap_err();
    })
    .await;
}

// -- ALPN -----------------------------------------------------------------------------------------

#[tokio::test]
async fn http_1_1_is_offered_and_chosen() {
    bounded(async {
        // It prefers what we cannot speak, and takes what we offer.
        let (port, server) = serve(acceptor_of(&["h2", "http/1.1"]), |socket| async {
            let chosen = socket
                .stream()
                .get_ref()
                .1
                .alpn_protocol()
                .map(<[u8]>::to_vec);
            echo(socket).await;
            chosen
        })
        .await;
        let mut client = open(port, &connector()).await;
        client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        assert_eq!(server.await.unwrap().as_deref(), Some(&b"http/1.1"[..]));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_speaks_only_http_2_is_refused() {
    bounded(async {
        let (port, server) = attempt(Config::default(), acceptor_of(&["h2"])).await;
        let error = try_open(port, "localhost", &connector()).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Handshake(rustls::Error::AlertReceived(
                    AlertDescription::NoApplicationProtocol
                )))
            ),
            "{error:?}"
        );
        server.await.unwrap().unwrap_err();
    })
    .await;
}

#[tokio::test]
async fn a_list_of_the_callers_cannot_agree_on_http_2() {
    bounded(async {
        let mut config = (**connector().config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let connector = TlsConnector::new(config);
        let unexpected = TlsError::AlpnUnexpected("h2".to_owned());
        let (port, server) = attempt(Config::default(), acceptor_of(&["h2"])).await;
        let client = try_open(port, "localhost", &connector).await.unwrap_err();
        let server = server.await.unwrap().unwrap_err();
        for error in [client, server] {
            assert!(
                matches!(&error, Error::Tls(error) if *error == unexpected),
                "{error:?}"
            );
        }
        // Where the server would rather not, all is well.
        let (port, server) = serve(acceptor(), echo).await;
        let mut client = open(port, &connector).await;
        client.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
        server.await.unwrap();
    })
    .await;
}

// -- Ends -----------------------------------------------------------------------------------------

#[tokio::test]
async fn a_client_that_is_cut_off_is_1006_and_no_error() {
    bounded(async {
        let (port, server) = serve(acceptor(), |mut socket| async move {
            let received = socket.recv().await.unwrap();
            assert_eq!(received, Some(Message::text("last words")));
            assert_eq!(socket.recv().await.unwrap(), None);
            socket.end().unwrap().clone()
        })
        .await;
        let mut client = open(port, &connector()).await;
        client.send("last words").await.unwrap();
        // Its TCP connection ends, and nothing was said, neither in TLS nor in WebSocket.
        drop(client);
        assert_cut_off(&server.await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_cut_off_is_1006_and_no_error() {
    for split in [false, true] {
        bounded(async {
            let (port, server) = serve(acceptor(), |mut socket| async move {
                socket.send("last words").await.unwrap();
            })
            .await;
            let mut client = open(port, &connector()).await;
            let last_words = Some(Message::text("last words"));
            let end = if split {
                let (mut reader, _writer) = client.split();
                assert_eq!(reader.recv().await.unwrap(), last_words);
                assert_eq!(reader.recv().await.unwrap(), None);
                reader.end().unwrap()
            } else {
                assert_eq!(client.recv().await.unwrap(), last_words);
                assert_eq!(client.recv().await.unwrap(), None);
                client.end().unwrap().clone()
            };
            assert_cut_off(&end);
            server.await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_says_close_notify_after_the_closing_handshake() {
    bounded(async {
        let (port, server) = serve(acceptor(), echo).await;
        let mut stream = open(port, &connector()).await.into_parts().stream;
        // Close 1000, masked with a key of zeros.
        let close = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
        stream.write_all(&close).await.unwrap();
        stream.flush().await.unwrap();
        let mut received = Vec::new();
        // An end without it is an error here, below the WebSocket.
        stream.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, [0x88, 2, 0x03, 0xe8]);
        drop(stream);
        assert!(server.await.unwrap().is_clean());
    })
    .await;
}

#[tokio::test]
async fn after_the_closing_handshake_nobody_needs_a_close_notify() {
    bounded(async {
        let (port, server) = serve(acceptor(), |mut socket| async move {
            let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
            assert_eq!(end.initiator, Some(Initiator::Local));
            end
        })
        .await;
        let parts = open(port, &connector()).await.into_parts();
        let mut stream = parts.stream;
        // It may have come with the answer to the opening handshake.
        let mut close = parts.input.unread().to_vec();
        while close.len() < 4 {
            stream.read_buf(&mut close).await.unwrap();
        }
        assert_eq!(close, [0x88, 2, 0x03, 0xe8]);
        stream
            .write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8])
            .await
            .unwrap();
        stream.flush().await.unwrap();
        // To its end, so that dropping it resets nothing.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        drop(stream);
        let end = server.await.unwrap();
        assert!(end.is_clean(), "{end:?}");
        assert_eq!((end.code(), end.cause), (1000, EndCause::ClosingHandshake));
    })
    .await;
}

#[tokio::test]
async fn a_record_that_is_damaged_fails_the_connection() {
    bounded(async {
        let (port, server) = serve(acceptor(), |mut socket| async move {
            let message = socket.recv().await.unwrap().unwrap();
            socket.send(message).await.unwrap();
            let error = socket.recv().await.unwrap_err();
            assert_eq!(socket.recv().await.unwrap(), None);
            (error, socket.end().unwrap().clone())
        })
        .await;
        let mut client = open(port, &connector()).await;
        // tokio-rustls drops what comes in one read with a record that is damaged.
        client.send("before").await.unwrap();
        let echo = client.recv().await.unwrap();
        assert_eq!(echo, Some(Message::text("before")));
        let mut parts = client.into_parts();
        let MaybeTlsStream::Tls(stream) = &mut parts.stream else {
            panic!("it is secured");
        };
        let record = [&[23, 3, 3, 0, 40][..], &[7; 40]].concat();
        stream.get_mut().0.write_all(&record).await.unwrap();
        let (error, end) = server.await.unwrap();
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Session(rustls::Error::DecryptError))
            ),
            "{error:?}"
        );
        assert_eq!((end.code(), end.cause), (1006, EndCause::Transport));
    })
    .await;
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_told_apart() {
    bounded(async {
        // A client that should have said wss.
        let (port, server) = attempt(Config::default(), acceptor()).await;
        let error = connect(&format!("ws://localhost:{port}/"))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Handshake(_) | Error::Io(_)),
            "{error:?}"
        );
        assert_no_tls(&server.await.unwrap().unwrap_err());
        // A server that has no TLS.
        let (port, server) =
            listen(|stream| async { Server::new().accept(stream).await.map(drop).unwrap_err() })
                .await;
        assert_no_tls(&try_open(port, "localhost", &connector()).await.unwrap_err());
        server.await.unwrap();
        // A server that leaves, and a client.
        let (port, server) = listen(|mut stream| async move {
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
        })
        .await;
        let error = try_open(port, "localhost", &connector()).await.unwrap_err();
        assert_unfinished(&error);
        server.await.unwrap();
        let (port, server) = attempt(Config::default(), acceptor()).await;
        drop(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        assert_unfinished(&server.await.unwrap().unwrap_err());
    })
    .await;
}

// -- Deadlines ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_client_that_does_not_finish_the_tls_handshake_is_left_after_handshake_timeout() {
    for trickle in [None, Some(&[22, 3, 3, 0x40, 0, 1, 0, 0x3f, 0xfc][..])] {
        bounded(async move {
            let mut config = Config::default();
            config.handshake_timeout = Some(SHORT);
            config.connect_timeout = None;
            let (port, server) = attempt(config, acceptor()).await;
            let started = Instant::now();
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            trickle_until_closed(stream, trickle).await;
            let error = server.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::TlsTimeout), "{error:?}");
            let elapsed = started.elapsed();
            assert!(elapsed >= SHORT && elapsed < SOON, "{elapsed:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_finish_the_tls_handshake_is_left_after_connect_timeout() {
    for trickle in [None, Some(&[22, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc][..])] {
        bounded(async move {
            let (port, server) = listen(move |stream| trickle_until_closed(stream, trickle)).await;
            let mut config = Config::default();
            config.connect_timeout = Some(SHORT);
            config.handshake_timeout = None;
            let started = Instant::now();
            let client = client(port, "localhost", &connector()).config(config);
            let error = client.connect().await.unwrap_err();
            assert!(matches!(error, Error::TlsTimeout), "{error:?}");
            let elapsed = started.elapsed();
            assert!(elapsed >= SHORT && elapsed < SOON, "{elapsed:?}");
            server.await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_left_after_write_timeout() {
    for split in [false, true] {
        bounded(async move {
            let mut config = Config::default();
            config.ping_interval = None;
            config.write_timeout = Some(SHORT);
            let (port, server) = serve_with(config, acceptor(), move |mut socket| async move {
                let message = Message::from(pattern(100_000));
                if split {
                    let (_reader, mut writer) = socket.split();
                    loop {
                        if let Err(error) = writer.send(message.clone()).await {
                            return error;
                        }
                    }
                }
                loop {
                    if let Err(error) = socket.send(message.clone()).await {
                        return error;
                    }
                }
            })
            .await;
            let client = open(port, &connector()).await;
            let error = timeout(SOON, server).await.unwrap().unwrap();
            assert!(matches!(error, Error::WriteTimeout), "{error:?}");
            drop(client);
        })
        .await;
    }
}

// -- Rig ------------------------------------------------------------------------------------------

/// Runs a scenario, and fails if it hangs.
async fn bounded(scenario: impl Future<Output = ()>) {
    timeout(HANG, scenario).await.expect("it hangs");
    assert!(
        CryptoProvider::get_default().is_none(),
        "cryptography was installed for the whole process"
    );
}

/// Serves one connection in a task, and returns on which port.
async fn listen<T, F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> (u16, JoinHandle<T>)
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        drop(listener);
        stream.set_nodelay(true).unwrap();
        serve(stream).await
    });
    (port, server)
}

/// Serves one client, with limits.
async fn serve_with<T, F>(
    config: Config,
    acceptor: TlsAcceptor,
    serve: impl FnOnce(WebSocket<ServerTlsStream<TcpStream>>) -> F + Send + 'static,
) -> (u16, JoinHandle<T>)
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    listen(|stream| async move {
        let server = Server::new().config(config);
        let stream = server.secure(stream, &acceptor).await.unwrap();
        serve(server.accept(stream).await.unwrap()).await
    })
    .await
}

/// Serves one client.
async fn serve<T, F>(
    acceptor: TlsAcceptor,
    serve: impl FnOnce(WebSocket<ServerTlsStream<TcpStream>>) -> F + Send + 'static,
) -> (u16, JoinHandle<T>)
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    serve_with(Config::default(), acceptor, serve).await
}

/// Echoes one client, if it comes to that, or returns why not.
async fn attempt(config: Config, acceptor: TlsAcceptor) -> (u16, JoinHandle<Result<End, Error>>) {
    listen(|stream| async move {
        let server = Server::new().config(config);
        let stream = server.secure(stream, &acceptor).await?;
        Ok(echo(server.accept(stream).await?).await)
    })
    .await
}

/// Echoes until the end, and returns how it came.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocket<S>) -> End {
    while let Some(message) = socket.recv().await.unwrap() {
        socket.feed(message).await.unwrap();
    }
    socket.end().unwrap().clone()
}

fn client(port: u16, host: &str, connector: &TlsConnector) -> Client {
    let request = ClientRequest::new(&format!("wss://{host}:{port}/")).unwrap();
    Client::new(request).tls(connector.clone())
}

async fn try_open(
    port: u16,
    host: &str,
    connector: &TlsConnector,
) -> Result<WebSocket<MaybeTlsStream>, Error> {
    let (socket, _) = client(port, host, connector).connect().await?;
    Ok(socket)
}

async fn open(port: u16, connector: &TlsConnector) -> WebSocket<MaybeTlsStream> {
    try_open(port, "localhost", connector).await.unwrap()
}

/// Sends a beginning and then zeros, slowly, or nothing at all, until nobody is there any more.
async fn trickle_until_closed(stream: TcpStream, beginning: Option<&[u8]>) {
    let (mut reader, mut writer) = stream.into_split();
    let trickling = async {
        let Some(beginning) = beginning else {
            return std::future::pending().await;
        };
        for byte in beginning.iter().copied().chain(std::iter::repeat(0)) {
            tokio::time::sleep(SHORT / 20).await;
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    };
    let draining = async {
        let mut room = [0; 4096];
        while let Ok(1..) = reader.read(&mut room).await {}
    };
    tokio::select! {
        () = trickling => {}
        () = draining => {}
    }
}

fn certificate_error(error: &Error) -> &CertificateError {
    match error {
        Error::Tls(TlsError::Handshake(rustls::Error::InvalidCertificate(error))) => error,
        error => panic!("{error:?}"),
    }
}

fn assert_no_tls(error: &Error) {
    assert!(
        matches!(
            error,
            Error::Tls(TlsError::Handshake(rustls::Error::InvalidMessage(_)))
        ),
        "{error:?}"
    );
}

fn assert_unfinished(error: &Error) {
    assert!(
        matches!(error, Error::Tls(TlsError::HandshakeUnfinished)),
        "{error:?}"
    );
}

fn assert_cut_off(end: &End) {
    assert_eq!((end.code(), end.cause), (1006, EndCause::EndOfStream));
    assert!(!end.is_clean());
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| (index % 251).to_le_bytes()[0])
        .collect()
}

fn numbered(number: usize, len: usize) -> Message {
    let mut payload = vec![number.to_le_bytes()[0]; len];
    payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Message::from(payload)
}

// -- Rig: who is who ------------------------------------------------------------------------------

fn acceptor() -> TlsAcceptor {
    Identity::shared().acceptor()
}

/// An acceptor with a list of protocols.
fn acceptor_of(protocols: &[&str]) -> TlsAcceptor {
    let mut config = (**acceptor().config()).clone();
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    TlsAcceptor::new(config)
}

fn connector() -> TlsConnector {
    Identity::shared().connector()
}

/// A connector that speaks one version.
fn connector_of(version: &'static SupportedProtocolVersion) -> TlsConnector {
    let provider = Arc::clone(connector().config().crypto_provider());
    let certificate = CertificateDer::from_pem_slice(Identity::shared().chain.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::new(config)
}
