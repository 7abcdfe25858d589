//! WebSockets over TLS, in both roles, with certificates that are made here.
//!
//! Who is trusted and who is refused, what ALPN agrees on, reading and writing on two threads, ends
//! that were not said, and deadlines that a peer cannot stretch by sending what is no record yet.
//! Every scenario also shows that no process-wide cryptography was installed.
//!
//! Timeouts are configured short and bounds are generous, so that a busy machine decides nothing.

#![cfg(all(
    feature = "blocking",
    feature = "rustls",
    any(feature = "ring", feature = "aws-lc-rs")
))]

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use framewright::blocking::{
    Client, Error, MaybeTlsStream, Plain, Server, SplitStream, Stream, TlsStream, WebSocket,
};
use framewright::handshake::ClientRequest;
use framewright::tls::rustls::crypto::CryptoProvider;
use framewright::tls::rustls::pki_types::pem::PemObject;
use framewright::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use framewright::tls::rustls::server::WebPkiClientVerifier;
use framewright::tls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore,
    ServerConfig, StreamOwned, SupportedProtocolVersion,
};
use framewright::tls::{TlsAcceptor, TlsConnector, TlsError};
use framewright::{
    CloseCode, Config, Connection, EndCause, Event, HandshakeError, Initiator, Message, RecvBuffer,
    Role, SendBuffer,
};

/// A test that takes longer hangs.
const HANG: Duration = Duration::from_secs(40);
/// What has a short timeout must be over by then, and what has a long one must not wait for it.
const SOON: Duration = Duration::from_secs(10);
/// A timeout that is to pass.
const SHORT: Duration = Duration::from_millis(200);

// -- Both roles -----------------------------------------------------------------------------------

#[test]
fn messages_of_every_length_are_echoed_by_every_version() {
    for version in rustls::ALL_VERSIONS {
        bounded(move || {
            let (port, server) = serve(Config::default(), acceptor(), |mut socket| {
                let version = socket
                    .stream()
                    .session(|session| session.protocol_version());
                while let Some((event, mut outbox)) = socket.recv_event().unwrap() {
                    match event {
                        Event::Text(text) => outbox.feed_text(text).unwrap(),
                        Event::Binary(data) => outbox.feed_binary(data).unwrap(),
                        _ => {}
                    }
                }
                assert!(socket.end().unwrap().is_clean());
                version
            });
            let connector = TlsConnector::new(client_config(&[version]));
            let mut client = connect(port, &connector);
            assert!(matches!(client.stream(), MaybeTlsStream::Tls(_)));
            for len in [0, 1, 125, 126, 16_383, 16_384, 16_385, 65_536, 1 << 20] {
                let payload = pattern(len);
                client.send(payload.clone()).unwrap();
                assert!(client.recv().unwrap() == Some(payload.into()), "{len}");
            }
            let end = client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            assert!(end.is_clean(), "{end:?}");
            assert_eq!(end.initiator, Some(Initiator::Local));
            assert_eq!(join(server), Some(version.version));
        });
    }
}

#[test]
fn a_message_of_16_mib_is_echoed() {
    bounded(|| {
        let (port, server) = serve(Config::default(), acceptor(), echo);
        let mut client = connect(port, &connector());
        let payload = pattern(16 << 20);
        client.send(payload.clone()).unwrap();
        assert!(client.recv().unwrap() == Some(payload.into()));
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server);
    });
}

#[test]
fn a_burst_is_received_whole_and_in_order() {
    bounded(|| {
        let (port, server) = serve(Config::default(), acceptor(), echo);
        let mut client = connect(port, &connector());
        for number in 0..1000 {
            client.feed(format!("message {number}")).unwrap();
        }
        for number in 0..1000 {
            let text = format!("message {number}");
            assert_eq!(client.recv().unwrap(), Some(Message::text(text)));
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server);
    });
}

#[test]
fn new_keys_change_nothing() {
    bounded(|| {
        let (port, server) = serve(Config::default(), acceptor(), echo);
        let request = ClientRequest::new(&format!("wss://localhost:{port}/")).unwrap();
        let stream = Plain(raw_client(port, client_config(rustls::ALL_VERSIONS)));
        let (mut client, _) = Client::new(request).handshake(stream).unwrap();
        for number in 0..50 {
            // Which the server must answer with new keys of its own before it sends any more.
            let mut parts = client.into_parts();
            parts.stream.0.conn.refresh_traffic_keys().unwrap();
            client = WebSocket::from_parts(parts).unwrap();
            let text = format!("message {number}");
            client.send(text.as_str()).unwrap();
            assert_eq!(client.recv().unwrap(), Some(Message::text(text)));
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        drop(client);
        join(server);
    });
}

#[test]
fn a_stream_that_does_not_block_loses_nothing() {
    const LEN: usize = 300_000;
    const MESSAGES: u8 = 20;
    bounded(|| {
        let (port, server) = serve(without_deadlines(), acceptor(), |mut socket| {
            socket.stream().stream().set_nonblocking(true).unwrap();
            let mut would_block = 0;
            let mut wait = || {
                would_block += 1;
                thread::sleep(Duration::from_millis(1));
            };
            for number in 0..MESSAGES {
                let mut sent = socket.feed(vec![number; LEN]);
                while let Err(error) = sent {
                    assert_would_block(&error);
                    wait();
                    sent = socket.flush();
                }
            }
            while let Err(error) = socket.flush() {
                assert_would_block(&error);
                wait();
            }
            let mut received = 0;
            loop {
                match socket.recv() {
                    Ok(Some(message)) => {
                        assert!(message == Message::from(vec![received; LEN]));
                        received += 1;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        assert_would_block(&error);
                        wait();
                    }
                }
            }
            assert!(socket.end().unwrap().is_clean());
            (received, would_block)
        });
        let mut client = connect(port, &connector());
        for number in 0..MESSAGES {
            // The kernel takes less than all of them for a client that does not read.
            thread::sleep(Duration::from_millis(5));
            assert!(client.recv().unwrap() == Some(Message::from(vec![number; LEN])));
        }
        for number in 0..MESSAGES {
            client.send(vec![number; LEN]).unwrap();
        }
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        let (received, would_block) = join(server);
        assert_eq!(received, MESSAGES);
        assert!(would_block > 0, "nothing ever blocked");
    });
}

// -- Who is trusted -------------------------------------------------------------------------------

#[test]
fn a_server_whose_issuer_is_unknown_is_refused_and_told() {
    bounded(|| {
        let (port, server) = refuse(acceptor());
        let stranger = Identity::new("localhost").connector();
        let error = try_connect(port, "localhost", &stranger).unwrap_err();
        assert_eq!(
            certificate_error(&error),
            &CertificateError::UnknownIssuer,
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            "TLS handshake: invalid peer certificate: UnknownIssuer"
        );
        let error = join(server);
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Handshake(rustls::Error::AlertReceived(
                    AlertDescription::UnknownCA
                )))
            ),
            "{error:?}"
        );
    });
}

#[test]
fn a_server_of_another_name_is_refused() {
    bounded(|| {
        let other = Identity::new("other.example");
        let (port, server) = refuse(other.acceptor());
        let error = try_connect(port, "localhost", &other.connector()).unwrap_err();
        assert!(
            matches!(
                certificate_error(&error),
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            ),
            "{error:?}"
        );
        let error = join(server);
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Handshake(rustls::Error::AlertReceived(_)))
            ),
            "{error:?}"
        );
    });
}

#[test]
fn addresses_are_names_too() {
    bounded(|| {
        let (all, only_a_name) = (Identity::shared(), Identity::new("localhost"));
        for (identity, host, is_trusted) in [
            (all, "127.0.0.1", true),
            (all, "127.0.0.2", false),
            (all, "::1", true),
            (all, "[::1]", true),
            (all, "[::2]", false),
            (all, "localhost", true),
            (all, "LOCALHOST", true),
            // The root's dot is no part of the name.
            (all, "localhost.", true),
            (&only_a_name, "localhost", true),
            (&only_a_name, "127.0.0.1", false),
            (&only_a_name, "[::1]", false),
        ] {
            let (ours, theirs) = tcp_pair();
            let acceptor = identity.acceptor();
            let server =
                thread::spawn(move || TlsStream::server(theirs, &acceptor).unwrap().handshake());
            let mut client = TlsStream::client(ours, host, &identity.connector()).unwrap();
            let handshake = client.handshake();
            assert_eq!(handshake.is_ok(), is_trusted, "{host}: {handshake:?}");
            drop(client);
            assert_eq!(join(server).is_ok(), is_trusted, "{host}");
        }
    });
}

#[test]
fn a_host_that_no_certificate_can_name_is_refused_by_name() {
    bounded(|| {
        let (ours, _theirs) = tcp_pair();
        let error = TlsStream::client(ours, "a~b", &connector()).unwrap_err();
        assert_eq!(error, TlsError::HostInvalid);
    });
}

#[test]
fn a_client_may_have_a_certificate_of_its_own() {
    bounded(|| {
        let verifier = WebPkiClientVerifier::builder_with_provider(
            roots(Identity::shared()).into(),
            provider(),
        )
        .build()
        .unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![Identity::shared().certificate()],
                Identity::shared().key(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::new(config);
        let (port, server) = serve(Config::default(), acceptor.clone(), |mut socket| {
            let certificates = socket
                .stream()
                .session(|session| session.peer_certificates().map(<[_]>::to_vec));
            assert_eq!(socket.recv().unwrap(), None);
            certificates
        });
        let known = config_builder(rustls::ALL_VERSIONS)
            .with_root_certificates(roots(Identity::shared()))
            .with_client_auth_cert(
                vec![Identity::shared().certificate()],
                Identity::shared().key(),
            )
            .unwrap();
        connect(port, &TlsConnector::new(known))
            .close(CloseCode::NORMAL_CLOSURE, "")
            .unwrap();
        assert_eq!(join(server), Some(vec![Identity::shared().certificate()]));

        let (port, server) = refuse(acceptor);
        // In TLS 1.3 the client learns of it only after its own last word.
        try_connect(port, "localhost", &connector()).unwrap_err();
        let error = join(server);
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Handshake(rustls::Error::NoCertificatesPresented))
            ),
            "{error:?}"
        );
    });
}

#[cfg(any(feature = "rustls-platform-verifier", feature = "rustls-webpki-roots"))]
#[test]
fn without_a_connector_the_world_is_trusted_and_not_we() {
    bounded(|| {
        for _ in 0..2 {
            let (port, server) = refuse(acceptor());
            let error =
                framewright::blocking::connect(&format!("wss://localhost:{port}/")).unwrap_err();
            // A platform without certificates trusts nobody.
            assert!(
                matches!(
                    error,
                    Error::Tls(
                        TlsError::Handshake(rustls::Error::InvalidCertificate(_))
                            | TlsError::Config(_)
                    )
                ),
                "{error:?}"
            );
            drop(TcpStream::connect(("127.0.0.1", port)));
            join(server);
        }
    });
}

#[cfg(feature = "rustls-webpki-roots")]
#[test]
fn the_roots_of_mozilla_do_not_sign_for_us() {
    bounded(|| {
        let (port, server) = refuse(acceptor());
        let connector = TlsConnector::webpki_roots().unwrap();
        assert_eq!(connector.config().alpn_protocols, [b"http/1.1"]);
        let error = try_connect(port, "localhost", &connector).unwrap_err();
        assert_eq!(certificate_error(&error), &CertificateError::UnknownIssuer);
        join(server);
    });
}

#[test]
fn pem_that_is_no_identity_is_refused_by_name() {
    bounded(|| {
        let (one, other) = (Identity::shared(), Identity::new("localhost"));
        let from_pem = |chain: &str, key: &str| {
            TlsAcceptor::from_pem(chain.as_bytes(), key.as_bytes()).map(drop)
        };
        assert_eq!(from_pem(&one.chain, &one.key), Ok(()));
        let missing = TlsError::CertificateMissing;
        assert_eq!(from_pem("", &one.key), Err(missing.clone()));
        assert_eq!(from_pem(&one.key, &one.key), Err(missing));
        assert_eq!(from_pem(&one.chain, ""), Err(TlsError::KeyMissing));
        assert_eq!(from_pem(&one.chain, &one.chain), Err(TlsError::KeyMissing));
        let trusting = TlsConnector::from_pem(one.key.as_bytes());
        assert_eq!(trusting.unwrap_err(), TlsError::CertificateMissing);
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let trusting = TlsConnector::from_pem(nonsense.as_bytes()).unwrap_err();
        assert!(matches!(trusting, TlsError::Config(_)), "{trusting:?}");
        let cut = &one.chain[..one.chain.len() / 2];
        let refused = from_pem(cut, &one.key);
        assert!(
            matches!(refused, Err(TlsError::PemInvalid(_))),
            "{refused:?}"
        );
        let refused = from_pem(&one.chain, &other.key);
        assert!(matches!(refused, Err(TlsError::Config(_))), "{refused:?}");
    });
}

// -- ALPN -----------------------------------------------------------------------------------------

#[test]
fn http_1_1_is_offered_and_chosen() {
    bounded(|| {
        // It prefers what we cannot speak, and takes what we offer.
        let acceptor = TlsAcceptor::new(server_config(&["h2", "http/1.1"]));
        let (port, server) = serve(Config::default(), acceptor, |mut socket| {
            let chosen = socket
                .stream()
                .session(|session| session.alpn_protocol().map(<[u8]>::to_vec));
            assert_eq!(socket.recv().unwrap(), None);
            chosen
        });
        connect(port, &connector())
            .close(CloseCode::NORMAL_CLOSURE, "")
            .unwrap();
        assert_eq!(join(server).as_deref(), Some(&b"http/1.1"[..]));
    });
}

#[test]
fn a_server_that_speaks_only_http_2_is_refused() {
    bounded(|| {
        let (port, server) = refuse(TlsAcceptor::new(server_config(&["h2"])));
        let error = try_connect(port, "localhost", &connector()).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Handshake(rustls::Error::AlertReceived(
                    AlertDescription::NoApplicationProtocol
                )))
            ),
            "{error:?}"
        );
        join(server);
    });
}

#[test]
fn a_list_of_the_callers_cannot_agree_on_http_2() {
    bounded(|| {
        let mut config = client_config(rustls::ALL_VERSIONS);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let connector = TlsConnector::new(config);
        let unexpected = TlsError::AlpnUnexpected("h2".to_owned());
        let (port, server) = refuse(TlsAcceptor::new(server_config(&["h2"])));
        let error = try_connect(port, "localhost", &connector).unwrap_err();
        assert!(
            matches!(&error, Error::Tls(error) if *error == unexpected),
            "{error:?}"
        );
        let error = join(server);
        assert!(
            matches!(&error, Error::Tls(error) if *error == unexpected),
            "{error:?}"
        );
        // Where the server would rather not, all is well.
        let (port, server) = serve(Config::default(), acceptor(), echo);
        connect(port, &connector)
            .close(CloseCode::NORMAL_CLOSURE, "")
            .unwrap();
        join(server);
    });
}

#[test]
fn a_client_without_alpn_is_served() {
    bounded(|| {
        let (port, server) = serve(Config::default(), acceptor(), echo);
        let config = client_config(rustls::ALL_VERSIONS);
        assert!(config.alpn_protocols.is_empty());
        let request = ClientRequest::new(&format!("wss://localhost:{port}/")).unwrap();
        let stream = Plain(raw_client(port, config));
        let (mut client, _) = Client::new(request).handshake(stream).unwrap();
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        drop(client);
        join(server);
    });
}

// -- Two threads ----------------------------------------------------------------------------------

#[test]
fn two_split_ends_that_both_write_much_do_not_wait_for_each_other() {
    const MESSAGES: usize = 1000;
    const LEN: usize = 40_000;
    fn exchange<S>(socket: WebSocket<S>) -> JoinHandle<()>
    where
        S: SplitStream<Writer: Send> + Send + 'static,
    {
        let (mut reader, writer) = socket.split().unwrap();
        let sending = thread::spawn(move || {
            for number in 0..MESSAGES {
                writer.feed(numbered(number, LEN)).unwrap();
            }
            writer.flush().unwrap();
            writer
        });
        thread::spawn(move || {
            for number in 0..MESSAGES {
                assert!(reader.recv().unwrap() == Some(numbered(number, LEN)));
            }
            let writer = join(sending);
            let closing =
                thread::spawn(move || writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap());
            assert_eq!(reader.recv().unwrap(), None);
            let end = join(closing);
            assert!(end.is_clean(), "{end:?}");
        })
    }
    bounded(|| {
        let (port, server) = serve(Config::default(), acceptor(), |socket| {
            join(exchange(socket));
        });
        let client = exchange(connect(port, &connector()));
        join(client);
        join(server);
    });
}

#[test]
fn a_split_end_and_one_that_echoes_on_one_thread_do_not_wait_for_each_other() {
    const MESSAGES: usize = 1000;
    const LEN: usize = 40_000;
    bounded(|| {
        let (port, server) = serve(Config::default(), acceptor(), |socket| {
            let (mut reader, writer) = socket.split().unwrap();
            let feeder = writer.clone();
            let feeding = thread::spawn(move || {
                for number in 0..MESSAGES {
                    feeder.feed(numbered(number, LEN)).unwrap();
                }
                feeder.flush().unwrap();
            });
            for number in 0..MESSAGES {
                assert!(reader.recv().unwrap() == Some(numbered(number, LEN)));
            }
            join(feeding);
            let receiving = thread::spawn(move || reader.recv().unwrap());
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            assert!(end.is_clean(), "{end:?}");
            assert_eq!(join(receiving), None);
        });
        let mut client = connect(port, &connector());
        while let Some(message) = client.recv().unwrap() {
            client.feed(message).unwrap();
        }
        join(server);
    });
}

#[test]
fn a_reader_that_waits_does_not_keep_a_writer_from_writing() {
    bounded(|| {
        let (port, server) = serve(without_deadlines(), acceptor(), |socket| {
            let (mut reader, writer) = socket.split().unwrap();
            // It waits for a message that comes only after those of the writer.
            let waiting = thread::spawn(move || {
                let message = reader.recv().unwrap();
                (reader, message)
            });
            for number in 0..100 {
                thread::sleep(Duration::from_millis(1));
                writer.send(format!("message {number}")).unwrap();
            }
            let (mut reader, message) = join(waiting);
            assert_eq!(message, Some(Message::text("all there")));
            assert_eq!(reader.recv().unwrap(), None);
        });
        let mut client = connect(port, &connector());
        for number in 0..100 {
            let text = format!("message {number}");
            assert_eq!(client.recv().unwrap(), Some(Message::text(text)));
        }
        client.send("all there").unwrap();
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server);
    });
}

#[test]
fn a_writer_whose_last_bytes_stall_in_the_stream_goes_on_when_the_peer_reads() {
    const LEN: usize = 64 << 10;
    bounded(|| {
        let (stalled, go_on) = mpsc::channel();
        let (port, server) = serve(without_deadlines(), acceptor(), move |socket| {
            let (mut reader, writer) = socket.split().unwrap();
            let feeder = writer.clone();
            let (fed, progress) = mpsc::channel();
            let feeding = thread::spawn(move || {
                let mut count = 0;
                // More than the kernel takes, and the last of it no longer than what the stream
                // itself takes: then nothing is queued, and yet not all has left.
                while count < 400 {
                    feeder.send(vec![7; LEN]).unwrap();
                    count += 1;
                    fed.send(()).unwrap();
                }
                count
            });
            while progress.recv_timeout(SHORT) == Ok(()) {}
            stalled.send(()).unwrap();
            let receiving = thread::spawn(move || reader.recv().unwrap());
            let count = join(feeding);
            let end = writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            assert!(end.is_clean(), "{end:?}");
            assert_eq!(join(receiving), None);
            count
        });
        let mut client = connect(port, &connector());
        go_on.recv().unwrap();
        let mut count = 0;
        while let Some(message) = client.recv().unwrap() {
            assert!(message == Message::from(vec![7; LEN]));
            count += 1;
        }
        assert_eq!(join(server), count);
    });
}

#[test]
fn handles_of_a_stream_are_for_one_direction_each() {
    bounded(|| {
        let (ours, theirs) = tcp_pair();
        let client = thread::spawn(|| {
            let mut stream = TlsStream::client(theirs, "localhost", &connector()).unwrap();
            // The first write does the handshake.
            stream.write_all(b"hello").unwrap();
            stream.flush().unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        let mut stream = TlsStream::server(ours, &acceptor()).unwrap();
        let error = stream.try_clone_writer().unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::NotConnected,
            "before the handshake"
        );
        let error = stream.write(b"first").unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::NotConnected,
            "a server speaks second"
        );
        let mut room = [0; 5];
        stream.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"hello");
        let mut writer = stream.try_clone_writer().unwrap();
        let error = writer.read(&mut room).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        writer.write_all(b"good").unwrap();
        assert!(writer.unflushed_len() > 0);
        stream.write_all(b" day").unwrap();
        stream.shut_down(Shutdown::Write).unwrap();
        assert_eq!(stream.unflushed_len(), 0);
        assert_eq!(join(client), "good day");
    });
}

// -- Ends -----------------------------------------------------------------------------------------

#[test]
fn an_end_without_close_notify_is_told_from_one_with_it() {
    bounded(|| {
        for says_so in [true, false] {
            let (ours, theirs) = tcp_pair();
            let client = thread::spawn(move || {
                let mut stream = TlsStream::client(theirs, "localhost", &connector()).unwrap();
                stream.write_all(b"all").unwrap();
                stream.flush().unwrap();
                if says_so {
                    stream.shut_down(Shutdown::Write).unwrap();
                } else {
                    stream.stream().shutdown(Shutdown::Write).unwrap();
                }
                // Closing before all is read would reset the connection.
                let _ = stream.read_to_end(&mut Vec::new());
            });
            let mut stream = TlsStream::server(ours, &acceptor()).unwrap();
            let mut received = Vec::new();
            let read = stream.read_to_end(&mut received);
            assert_eq!(received, b"all");
            if says_so {
                assert_eq!(read.unwrap(), 3);
            } else {
                let error = read.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                assert_eq!(error.downcast::<TlsError>().unwrap(), TlsError::Truncated);
                let again = stream.read(&mut [0; 10]).unwrap_err();
                assert_eq!(again.kind(), ErrorKind::UnexpectedEof);
            }
            drop(stream);
            join(client);
        }
    });
}

#[test]
fn a_peer_that_is_cut_off_ends_the_connection_uncleanly_and_without_an_error() {
    bounded(|| {
        let (port, server) = serve(Config::default(), acceptor(), |mut socket| {
            assert_eq!(socket.recv().unwrap(), Some(Message::text("last words")));
            assert_eq!(socket.recv().unwrap(), None);
            socket.end().unwrap().clone()
        });
        let mut client = connect(port, &connector());
        client.send("last words").unwrap();
        drop(client);
        let end = join(server);
        assert_eq!((end.code(), end.cause), (1006, EndCause::EndOfStream));
        assert!(!end.is_clean());
    });
}

#[test]
fn after_the_closing_handshake_nobody_needs_a_close_notify() {
    bounded(|| {
        for split in [false, true] {
            // Whichever of the two is rude, and whichever closes.
            for rude in [Role::Client, Role::Server] {
                let (port, server) = serve_with(acceptor(), move |stream| {
                    let stream = Rude::new(stream, rude == Role::Server);
                    let socket = Server::new().accept(stream).unwrap();
                    end_of(socket, split)
                });
                let (ours, request) = tcp_to(port);
                let stream = TlsStream::client(ours, "localhost", &connector()).unwrap();
                let stream = Rude::new(stream, rude == Role::Client);
                let (mut client, _) = Client::new(request).handshake(stream).unwrap();
                let end = client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
                assert!(end.is_clean(), "{end:?}");
                let end = join(server);
                assert!(end.is_clean(), "{end:?}");
                assert_eq!((end.code(), end.cause), (1000, EndCause::ClosingHandshake));
            }
        }
    });
}

#[test]
fn a_record_that_is_damaged_fails_the_connection() {
    bounded(|| {
        let (port, server) = serve(Config::default(), acceptor(), |mut socket| {
            assert_eq!(socket.recv().unwrap(), Some(Message::text("before")));
            let error = socket.recv().unwrap_err();
            assert_eq!(socket.recv().unwrap(), None);
            (error, socket.end().unwrap().clone())
        });
        let mut client = connect(port, &connector());
        client.send("before").unwrap();
        let mut record = vec![23, 3, 3, 0, 40];
        record.extend([7; 40]);
        client.stream().tcp().write_all(&record).unwrap();
        let (error, end) = join(server);
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Session(rustls::Error::DecryptError))
            ),
            "{error:?}"
        );
        assert_eq!((end.code(), end.cause), (1006, EndCause::Transport));
        // It was told.
        let error = client.recv().unwrap_err();
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Session(rustls::Error::AlertReceived(
                    AlertDescription::BadRecordMac
                )))
            ),
            "{error:?}"
        );
    });
}

#[test]
fn what_was_received_before_a_damaged_record_is_delivered() {
    bounded(|| {
        let (ours, mut theirs) = tcp_pair();
        let mut client = TlsStream::client(ours, "localhost", &connector()).unwrap();
        let server = thread::spawn(move || {
            let mut connection =
                rustls::ServerConnection::new(server_config(&["http/1.1"]).into()).unwrap();
            while connection.is_handshaking() {
                connection.complete_io(&mut theirs).unwrap();
            }
            let mut bytes = Vec::new();
            connection.writer().write_all(b"good").unwrap();
            while connection.wants_write() {
                connection.write_tls(&mut bytes).unwrap();
            }
            bytes.extend([23, 3, 3, 0, 40]);
            bytes.extend([7; 40]);
            theirs.write_all(&bytes).unwrap();
            theirs
        });
        client.handshake().unwrap();
        let theirs = join(server);
        let mut received = Vec::new();
        let error = client.read_to_end(&mut received).unwrap_err();
        assert_eq!(received, b"good");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        // The error stays, also without anything to read.
        let error = client.read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        drop(theirs);
    });
}

#[test]
fn whoever_does_not_speak_tls_is_told_apart() {
    bounded(|| {
        // A client that should have said wss.
        let (port, server) = refuse(acceptor());
        let error = framewright::blocking::connect(&format!("ws://localhost:{port}/")).unwrap_err();
        assert!(
            matches!(error, Error::Handshake(_) | Error::Io(_)),
            "{error:?}"
        );
        let error = join(server);
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Handshake(rustls::Error::InvalidMessage(_)))
            ),
            "{error:?}"
        );
        // A server that has no TLS.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            Server::new().accept(stream).unwrap_err()
        });
        let error = try_connect(port, "localhost", &connector()).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Tls(TlsError::Handshake(rustls::Error::InvalidMessage(_)))
            ),
            "{error:?}"
        );
        join(server);
        // A server that leaves.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
        });
        let error = try_connect(port, "localhost", &connector()).unwrap_err();
        assert!(
            matches!(error, Error::Tls(TlsError::HandshakeUnfinished)),
            "{error:?}"
        );
        join(server);
    });
}

// -- Deadlines ------------------------------------------------------------------------------------

#[test]
fn a_client_that_does_not_finish_the_tls_handshake_is_left_in_time() {
    for trickle in [None, Some(&[22, 3, 3, 0x40, 0, 1, 0, 0x3f, 0xfc][..])] {
        bounded(move || {
            let mut config = Config::default();
            config.handshake_timeout = Some(SHORT);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let server = thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                let started = Instant::now();
                let stream = TlsStream::server(stream, &acceptor()).unwrap();
                let error = Server::new().config(config).accept(stream).unwrap_err();
                (error, started.elapsed())
            });
            trickle_until_closed(&peer, trickle);
            let (error, elapsed) = join(server);
            assert!(
                matches!(error, Error::Handshake(HandshakeError::TimedOut)),
                "{error:?}"
            );
            assert!(elapsed >= SHORT && elapsed < SOON, "{elapsed:?}");
        });
    }
}

#[test]
fn a_server_that_does_not_finish_the_tls_handshake_is_left_in_time() {
    for trickle in [None, Some(&[22, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc][..])] {
        bounded(move || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                trickle_until_closed(&stream, trickle);
            });
            let mut config = Config::default();
            config.connect_timeout = Some(SHORT);
            let request = ClientRequest::new(&format!("wss://localhost:{port}/")).unwrap();
            let client = Client::new(request).config(config).tls(connector());
            let started = Instant::now();
            let error = client.connect().unwrap_err();
            assert!(matches!(error, Error::TlsTimeout), "{error:?}");
            assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
            join(server);
        });
    }
}

#[test]
fn half_a_record_is_no_sign_of_life() {
    for split in [false, true] {
        bounded(move || {
            let mut config = Config::default();
            config.ping_interval = Some(SHORT);
            config.pong_timeout = Some(SHORT);
            let (port, server) = serve(config, acceptor(), move |socket| end_of(socket, split));
            let client = connect(port, &connector());
            // Bytes all the time, and never a record.
            trickle_until_closed(client.stream().tcp(), Some(&[23, 3, 3, 0x40, 0]));
            drop(client);
            let end = join(server);
            assert_eq!(end.cause, EndCause::KeepaliveTimeout);
        });
    }
}

#[test]
fn a_peer_that_does_not_read_is_left_after_write_timeout() {
    for split in [false, true] {
        bounded(move || {
            let mut config = without_deadlines();
            config.write_timeout = Some(SHORT);
            let (port, server) = serve(config, acceptor(), move |mut socket| {
                let started = Instant::now();
                let error = if split {
                    let (_reader, writer) = socket.split().unwrap();
                    loop {
                        if let Err(error) = writer.send(vec![7; 100_000]) {
                            break error;
                        }
                    }
                } else {
                    loop {
                        if let Err(error) = socket.send(vec![7; 100_000]) {
                            break error;
                        }
                    }
                };
                (error, started.elapsed())
            });
            let client = connect(port, &connector());
            let (error, elapsed) = join(server);
            assert!(matches!(error, Error::WriteTimeout), "{error:?}");
            assert!(elapsed < SOON, "{elapsed:?}");
            drop(client);
        });
    }
}

#[test]
fn a_peer_that_neither_reads_nor_closes_is_left_after_close_timeout() {
    bounded(|| {
        let mut config = without_deadlines();
        config.close_timeout = Some(SHORT);
        let (port, server) = serve(config, acceptor(), |mut socket| {
            // What the kernel and the stream itself can take, and no more.
            socket.stream().stream().set_nonblocking(true).unwrap();
            while socket.send(vec![7; 1 << 20]).is_ok() {}
            socket.stream().stream().set_nonblocking(false).unwrap();
            let started = Instant::now();
            let end = socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            (end, started.elapsed())
        });
        let client = connect(port, &connector());
        let (end, elapsed) = join(server);
        assert!(!end.is_clean(), "{end:?}");
        assert!(elapsed < SOON, "{elapsed:?}");
        drop(client);
    });
}

#[test]
fn the_rest_of_a_record_gets_what_is_left_of_the_timeout() {
    bounded(|| {
        let (port, server) = serve_with(acceptor(), |stream| {
            let mut socket = Server::new().accept(stream).unwrap();
            assert_eq!(socket.recv().unwrap(), None);
        });
        let (tcp, request) = tcp_to(port);
        let (gate, stream) = Gate::new(tcp);
        let stream = TlsStream::client(stream, "localhost", &connector()).unwrap();
        let (client, _) = Client::new(request).handshake(stream).unwrap();
        let mut stream = client.into_parts().stream;
        stream.set_read_timeout(Some(SOON)).unwrap();
        // Which the server need not even send: half a record is there, and time passes.
        gate.inject(&[23, 3, 3, 0, 40, 1, 2, 3]);
        gate.set(Mode::Late);
        let error = stream.read(&mut [0; 100]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let timeouts = gate.read_timeouts();
        let [.., before, after] = timeouts[..] else {
            panic!("{timeouts:?}");
        };
        assert_eq!(before, Some(SOON));
        assert!(after.unwrap() <= SOON - LATE, "{after:?}");
        gate.set(Mode::Open);
        stream.shut_down(Shutdown::Write).unwrap();
        drop(stream);
        join(server);
    });
}

#[test]
fn a_flush_waits_also_for_what_the_stream_itself_holds_back() {
    for split in [false, true] {
        bounded(move || {
            let (gate, mut socket, server) = connect_gated(without_deadlines());
            gate.set(Mode::Closed);
            let (sent, has_sent) = mpsc::channel();
            let (mut reader, sending) = if split {
                let (reader, writer) = socket.split().unwrap();
                let sending = thread::spawn(move || {
                    writer.send("held back").unwrap();
                    sent.send(()).unwrap();
                    writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap()
                });
                (Some(reader), sending)
            } else {
                let sending = thread::spawn(move || {
                    socket.send("held back").unwrap();
                    sent.send(()).unwrap();
                    socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap()
                });
                (None, sending)
            };
            // It never may, so that a slow machine only makes this easier to pass.
            let early = has_sent.recv_timeout(2 * SHORT);
            assert_eq!(early, Err(RecvTimeoutError::Timeout));
            gate.set(Mode::Open);
            if let Some(reader) = &mut reader {
                assert_eq!(reader.recv().unwrap(), None);
            }
            assert!(join(sending).is_clean());
            assert_eq!(join(server), [Message::text("held back")]);
        });
    }
}

#[test]
fn a_peer_that_reads_slowly_is_not_left_while_bytes_leave() {
    for split in [false, true] {
        bounded(move || {
            let mut config = without_deadlines();
            config.write_timeout = Some(SHORT);
            let (gate, mut socket, server) = connect_gated(config);
            gate.set(Mode::Slow);
            // All of it is taken by the stream at once, and leaves in five times the timeout.
            let message = Message::from(pattern(SLOW_LEN * 20));
            if split {
                let (mut reader, writer) = socket.split().unwrap();
                writer.send(message.clone()).unwrap();
                let closing =
                    thread::spawn(move || writer.close(CloseCode::NORMAL_CLOSURE, "").unwrap());
                assert_eq!(reader.recv().unwrap(), None);
                assert!(join(closing).is_clean());
            } else {
                socket.send(message.clone()).unwrap();
                let end = socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
                assert!(end.is_clean(), "{end:?}");
            }
            assert!(join(server) == [message]);
        });
    }
}

#[test]
fn a_peer_that_takes_nothing_is_left_in_time_also_where_the_stream_took_it_all() {
    for split in [false, true] {
        bounded(move || {
            let mut config = without_deadlines();
            config.write_timeout = Some(SHORT);
            let (gate, mut socket, server) = connect_gated(config);
            gate.set(Mode::Closed);
            let started = Instant::now();
            let error = if split {
                let (_reader, writer) = socket.split().unwrap();
                writer.send("held back").unwrap_err()
            } else {
                socket.send("held back").unwrap_err()
            };
            assert!(matches!(error, Error::WriteTimeout), "{error:?}");
            assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
            gate.shut_down();
            join(server);
        });
    }
}

#[test]
fn a_close_notify_that_nobody_takes_is_not_waited_for() {
    bounded(|| {
        let mut config = without_deadlines();
        config.close_timeout = Some(SHORT);
        config.write_timeout = Some(2 * HANG);
        let (port, server) = serve_with(acceptor(), |stream| {
            let mut socket = Server::new().accept(stream).unwrap();
            assert_eq!(socket.recv().unwrap(), Some(Message::text("bye")));
            socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap()
        });
        let (gate, mut socket) = connect_to(port, config);
        socket.send("bye").unwrap();
        gate.set(Mode::Closed);
        let started = Instant::now();
        // The server's Close is there, and the answer to it never leaves.
        assert_eq!(socket.recv().unwrap(), None);
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        gate.shut_down();
        join(server);
    });
}

#[test]
fn a_stream_without_timeouts_is_secured_too() {
    bounded(|| {
        let (ours, theirs) = tcp_pair();
        let server = thread::spawn(|| {
            let stream = TlsStream::server(Plain(theirs), &acceptor()).unwrap();
            let mut socket = Server::new().accept(stream).unwrap();
            while let Some(message) = socket.recv().unwrap() {
                socket.send(message).unwrap();
            }
            socket.end().unwrap().clone()
        });
        let stream = TlsStream::client(Plain(ours), "localhost", &connector()).unwrap();
        let request = ClientRequest::new("wss://localhost/").unwrap();
        let (mut client, _) = Client::new(request).handshake(stream).unwrap();
        client.send("hello").unwrap();
        assert_eq!(client.recv().unwrap(), Some(Message::text("hello")));
        assert!(
            client
                .close(CloseCode::NORMAL_CLOSURE, "")
                .unwrap()
                .is_clean()
        );
        assert!(join(server).is_clean());
    });
}

#[test]
fn parts_go_on_where_the_session_was() {
    bounded(|| {
        let (port, server) = serve(Config::default(), acceptor(), |socket| {
            // After anybody's HTTP upgrade the connection is made of its parts.
            let parts = socket.into_parts();
            echo(WebSocket::from_parts(parts).unwrap());
        });
        let mut client = connect(port, &connector());
        client.send("hello").unwrap();
        assert_eq!(client.recv().unwrap(), Some(Message::text("hello")));
        client.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
        join(server);
        let (ours, theirs) = tcp_pair();
        let echoing = thread::spawn(|| {
            let stream = TlsStream::client(theirs, "localhost", &connector()).unwrap();
            echo(bare(stream, Role::Client));
        });
        let mut socket = bare(TlsStream::server(ours, &acceptor()).unwrap(), Role::Server);
        // Nobody has read yet, and so the handshake is not done.
        socket
            .stream()
            .session(|session| assert!(session.is_handshaking()));
        let error = socket.send("too soon").unwrap_err();
        assert!(
            matches!(&error, Error::Io(error) if error.kind() == ErrorKind::NotConnected),
            "{error:?}"
        );
        drop(socket);
        join(echoing);
    });
}

// -- Rig ------------------------------------------------------------------------------------------

/// Runs a scenario, and fails if it hangs.
fn bounded(scenario: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let running = thread::spawn(move || {
        scenario();
        done.send(()).unwrap();
    });
    match finished.recv_timeout(HANG) {
        Ok(()) => join(running),
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(RecvTimeoutError::Disconnected) => {
            join(running);
            unreachable!("a scenario says that it is done, or panics");
        }
    }
    assert!(
        CryptoProvider::get_default().is_none(),
        "cryptography was installed for the whole process"
    );
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

fn tcp_to(port: u16) -> (TcpStream, ClientRequest) {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = ClientRequest::new(&format!("wss://localhost:{port}/")).unwrap();
    (stream, request)
}

/// Secures one client on a thread, and returns on which port.
fn serve_with<T: Send + 'static>(
    acceptor: TlsAcceptor,
    serve_stream: impl FnOnce(TlsStream<TcpStream>) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        stream.set_nodelay(true).unwrap();
        serve_stream(TlsStream::server(stream, &acceptor).unwrap())
    });
    (port, server)
}

/// Serves one client on a thread, and returns on which port.
fn serve<T: Send + 'static>(
    config: Config,
    acceptor: TlsAcceptor,
    serve_socket: impl FnOnce(WebSocket<TlsStream<TcpStream>>) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    serve_with(acceptor, |stream| {
        serve_socket(Server::new().config(config).accept(stream).unwrap())
    })
}

/// Serves one client on a thread that comes to nothing, and returns why.
fn refuse(acceptor: TlsAcceptor) -> (u16, JoinHandle<Error>) {
    serve_with(acceptor, |stream| Server::new().accept(stream).unwrap_err())
}

fn try_connect(
    port: u16,
    host: &str,
    connector: &TlsConnector,
) -> Result<WebSocket<MaybeTlsStream>, Error> {
    let request = ClientRequest::new(&format!("wss://{host}:{port}/"))?;
    let client = Client::new(request).tls(connector.clone());
    Ok(client.connect()?.0)
}

fn connect(port: u16, connector: &TlsConnector) -> WebSocket<MaybeTlsStream> {
    try_connect(port, "localhost", connector).unwrap()
}

/// A client of rustls itself, which waits for whatever it waits for.
fn raw_client(port: u16, config: ClientConfig) -> StreamOwned<ClientConnection, TcpStream> {
    let (stream, _) = tcp_to(port);
    let connection = ClientConnection::new(config.into(), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(connection, stream)
}

fn echo<S: Stream>(mut socket: WebSocket<S>) {
    while let Ok(Some(message)) = socket.recv() {
        socket.feed(message).unwrap();
    }
}

/// Receives until the end, in one piece or in halves, and returns how it came.
fn end_of<S: SplitStream>(mut socket: WebSocket<S>, split: bool) -> framewright::End {
    if split {
        let (mut reader, _writer) = socket.split().unwrap();
        while reader.recv().unwrap().is_some() {}
        reader.end().unwrap()
    } else {
        while socket.recv().unwrap().is_some() {}
        socket.end().unwrap().clone()
    }
}

/// A WebSocket without an opening handshake.
fn bare<S: Stream>(stream: S, role: Role) -> WebSocket<S> {
    WebSocket::from_parts(framewright::blocking::Parts {
        stream,
        connection: Connection::new(role, Config::default().into()),
        input: RecvBuffer::new(),
        output: SendBuffer::new(),
    })
    .unwrap()
}

/// Sends a beginning and then zeros, slowly, or nothing at all, until nobody is there any more.
fn trickle_until_closed(stream: &TcpStream, beginning: Option<&[u8]>) {
    stream.set_read_timeout(Some(SHORT / 20)).unwrap();
    let (mut reading, mut writing) = (stream, stream);
    let mut beginning = beginning.map(|bytes| bytes.iter().copied());
    let mut room = [0; 4096];
    loop {
        match reading.read(&mut room) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        if let Some(bytes) = &mut beginning {
            let byte = bytes.next().unwrap_or(0);
            if writing.write_all(&[byte]).is_err() {
                return;
            }
        }
    }
}

/// Nothing is due before the connection closes, so that no deadline wakes a read that waits.
fn without_deadlines() -> Config {
    let mut config = Config::default();
    config.ping_interval = None;
    config
}

fn assert_would_block(error: &Error) {
    assert!(
        matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock),
        "{error:?}"
    );
}

fn certificate_error(error: &Error) -> &CertificateError {
    match error {
        Error::Tls(TlsError::Handshake(rustls::Error::InvalidCertificate(error))) => error,
        error => panic!("{error:?}"),
    }
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

/// Connects through a gate to a server that receives until the end.
fn connect_gated(
    config: Config,
) -> (
    Gate,
    WebSocket<TlsStream<GatedStream>>,
    JoinHandle<Vec<Message>>,
) {
    let (port, server) = serve(Config::default(), acceptor(), |mut socket| {
        let mut received = Vec::new();
        while let Ok(Some(message)) = socket.recv() {
            received.push(message);
        }
        received
    });
    let (gate, socket) = connect_to(port, config);
    (gate, socket, server)
}

fn connect_to(port: u16, config: Config) -> (Gate, WebSocket<TlsStream<GatedStream>>) {
    let (tcp, request) = tcp_to(port);
    let (gate, stream) = Gate::new(tcp);
    let stream = TlsStream::client(stream, "localhost", &connector()).unwrap();
    let client = Client::new(request).config(config);
    let (socket, _) = client.handshake(stream).unwrap();
    (gate, socket)
}

/// What a stream does with reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    /// Writes take nothing until their timeout.
    Closed,
    /// Writes take [`SLOW_LEN`] bytes at a time, after a while.
    Slow,
    /// Reads get what was injected, and then nothing in the rest of their timeout, which is not
    /// waited for.
    Late,
}

const SLOW_LEN: usize = 500;
/// How long it takes until there is something injected to read.
const LATE: Duration = Duration::from_millis(1250);

/// The way to control a [`GatedStream`].
#[derive(Clone)]
struct Gate {
    state: Arc<Mutex<GateState>>,
    tcp: Arc<TcpStream>,
}

struct GateState {
    mode: Mode,
    injected: Vec<u8>,
    read_timeouts: Vec<Option<Duration>>,
}

impl Gate {
    fn new(tcp: TcpStream) -> (Self, GatedStream) {
        let gate = Self {
            state: Arc::new(Mutex::new(GateState {
                mode: Mode::Open,
                injected: Vec::new(),
                read_timeouts: Vec::new(),
            })),
            tcp: Arc::new(tcp.try_clone().unwrap()),
        };
        let stream = GatedStream {
            gate: gate.clone(),
            tcp,
            write_timeout: None,
        };
        (gate, stream)
    }

    fn set(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }

    fn inject(&self, bytes: &[u8]) {
        self.state.lock().unwrap().injected.extend(bytes);
    }

    fn shut_down(&self) {
        // It may have been already.
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    fn mode(&self) -> Mode {
        self.state.lock().unwrap().mode
    }

    fn read_timeouts(&self) -> Vec<Option<Duration>> {
        self.state.lock().unwrap().read_timeouts.clone()
    }
}

/// A TCP stream that passes on what its [`Gate`] lets it.
struct GatedStream {
    gate: Gate,
    tcp: TcpStream,
    write_timeout: Option<Duration>,
}

impl Read for GatedStream {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.gate.mode() != Mode::Late {
            return self.tcp.read(room);
        }
        let injected = std::mem::take(&mut self.gate.state.lock().unwrap().injected);
        if injected.is_empty() {
            return Err(ErrorKind::TimedOut.into());
        }
        thread::sleep(LATE);
        room[..injected.len()].copy_from_slice(&injected);
        Ok(injected.len())
    }
}

impl Write for GatedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let waited_from = Instant::now();
        loop {
            match self.gate.mode() {
                Mode::Open | Mode::Late => return self.tcp.write(bytes),
                Mode::Slow => {
                    thread::sleep(SHORT / 4);
                    return self.tcp.write(&bytes[..bytes.len().min(SLOW_LEN)]);
                }
                Mode::Closed => {
                    let waited = waited_from.elapsed();
                    if self.write_timeout.is_some_and(|timeout| waited >= timeout) {
                        return Err(ErrorKind::WouldBlock.into());
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for GatedStream {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.gate.state.lock().unwrap().read_timeouts.push(timeout);
        self.tcp.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.write_timeout = timeout;
        Ok(())
    }

    fn shut_down(&mut self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

impl SplitStream for GatedStream {
    type Writer = Self;

    fn try_clone_writer(&self) -> io::Result<Self> {
        Ok(Self {
            gate: self.gate.clone(),
            tcp: self.tcp.try_clone()?,
            write_timeout: self.write_timeout,
        })
    }
}

/// A stream that may end without saying so.
struct Rude {
    stream: TlsStream<TcpStream>,
    is_rude: bool,
}

impl Rude {
    fn new(stream: TlsStream<TcpStream>, is_rude: bool) -> Self {
        Self { stream, is_rude }
    }
}

impl Read for Rude {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.stream.read(room)
    }
}

impl Write for Rude {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Stream for Rude {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shut_down(&mut self, how: Shutdown) -> io::Result<()> {
        if self.is_rude {
            self.stream.stream().shutdown(how)
        } else {
            self.stream.shut_down(how)
        }
    }

    fn unflushed_len(&self) -> usize {
        self.stream.unflushed_len()
    }
}

impl SplitStream for Rude {
    type Writer = TlsStream<TcpStream>;

    fn try_clone_writer(&self) -> io::Result<Self::Writer> {
        self.stream.try_clone_writer()
    }
}

// -- Rig: who is who ------------------------------------------------------------------------------

/// A certificate that signed itself, and its key, as PEM.
struct Identity {
    chain: String,
    key: String,
}

impl Identity {
    fn new(name: &str) -> Self {
        Self::of(&[name])
    }

    /// That of all servers here, and of the clients that have one.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Identity> = OnceLock::new();
        SHARED.get_or_init(|| Self::of(&["localhost", "127.0.0.1", "::1"]))
    }

    fn of(names: &[&str]) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);

        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        // By which an issuer is found: two must not have the same.
        let subject = format!("identity {}", MADE.fetch_add(1, Ordering::Relaxed));
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, subject);
        let key = rcgen::KeyPair::generate().unwrap();
        Self {
            chain: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// A connector that trusts nobody else.
    fn connector(&self) -> TlsConnector {
        TlsConnector::from_pem(self.chain.as_bytes()).unwrap()
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

fn acceptor() -> TlsAcceptor {
    Identity::shared().acceptor()
}

fn connector() -> TlsConnector {
    Identity::shared().connector()
}

fn server_config(protocols: &[&str]) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![Identity::shared().certificate()],
            Identity::shared().key(),
        )
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    config
}

fn client_config(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    config_builder(versions)
        .with_root_certificates(roots(Identity::shared()))
        .with_no_client_auth()
}

fn config_builder(
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
}

fn roots(identity: &Identity) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(identity.certificate()).unwrap();
    roots
}

fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    provider.into()
}
