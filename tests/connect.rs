//! How clients come to a server over TCP: the names and addresses of hosts, proxies, redirects.
//!
//! Every scenario runs with the blocking adapter and with tokio's, which must not differ. Servers
//! and proxies are threads, and note what they were asked.
//!
//! Timeouts that are to pass are short and bounds are generous, so that a busy machine decides
//! nothing.

#![cfg(all(feature = "blocking", feature = "tokio"))]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use framewright::blocking::{Error, Incoming, Server, Stream, WebSocket};
use framewright::handshake::{Acceptance, ClientRequest, Headers, Proxy, Response};
use framewright::{
    CloseCode, Config, HandshakeError, Initiator, Message, RefusedResponse, SendError,
};

/// A test that takes longer hangs.
const HANG: Duration = Duration::from_secs(40);
/// What has a short timeout must be over by then.
const SOON: Duration = Duration::from_secs(8);
/// A timeout that is to pass.
const SHORT: Duration = Duration::from_millis(200);

// -- Hosts ----------------------------------------------------------------------------------------

#[test]
fn a_uri_is_all_that_connecting_needs() {
    with_each_adapter(|adapter| {
        let host = Host::bind();
        let uri = host.uri("/chat?room=1");
        let server = host.serve(vec![Step::Echo]);
        match adapter {
            Adapter::Blocking => {
                let mut socket = framewright::blocking::connect(&uri).unwrap();
                assert!(socket.stream().tcp().nodelay().unwrap());
                socket.close(CloseCode::NORMAL_CLOSURE, "").unwrap();
            }
            Adapter::Tokio => runtime().block_on(async {
                let mut socket = framewright::tokio::connect(&uri).await.unwrap();
                assert!(socket.stream().tcp().nodelay().unwrap());
                socket.close(CloseCode::NORMAL_CLOSURE, "").await.unwrap();
            }),
        }
        let seen = join(server);
        assert_eq!(seen[0].resource, "/chat?room=1");
        assert_eq!(format!("ws://{}/chat?room=1", seen[0].host), uri);
    });
}

#[test]
fn the_headers_are_those_of_the_answer() {
    with_each_adapter(|adapter| {
        let host = Host::bind();
        let call = Call::new(&host.uri("/"));
        let server = host.serve(vec![Step::Echo]);
        let headers = adapter.open(&call).headers;
        assert_eq!(headers.first("x-served-by"), Some(&b"echo"[..]));
        join(server);
    });
}

#[test]
fn a_host_is_reached_at_whichever_of_its_addresses_answers() {
    with_each_adapter(|adapter| {
        // Where `localhost` is `::1` as well, nobody is there.
        let host = Host::bind();
        let call = Call::new(&format!("ws://localhost:{}/", host.port));
        let server = host.serve(vec![Step::Echo]);
        adapter.open(&call);
        join(server);
    });
}

#[test]
fn a_port_at_which_nobody_listens_is_an_io_error() {
    with_each_adapter(|adapter| {
        // It holds the port, and does not listen.
        let silent = tokio::net::TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let nobody = silent.local_addr().unwrap();
        let direct = Call::new(&format!("ws://{nobody}/"));
        let proxied = Call::new("ws://server.example/").proxy(&format!("http://{nobody}"));
        for call in [direct, proxied] {
            let error = adapter.try_open(&call).unwrap_err();
            assert!(
                matches!(&error, Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused),
                "{error:?}"
            );
        }
    });
}

#[test]
fn a_host_that_is_not_known_is_an_io_error() {
    with_each_adapter(|adapter| {
        // RFC 1035, section 2.3.4: "labels 63 octets or less", so that no name server is asked.
        let unknown = format!("{}.invalid", "a".repeat(64));
        let direct = Call::new(&format!("ws://{unknown}/"));
        let proxied = Call::new("ws://server.example/").proxy(&format!("http://{unknown}:3128"));
        for call in [direct, proxied] {
            let error = adapter.try_open(&call).unwrap_err();
            assert!(matches!(&error, Error::Io(_)), "{error:?}");
        }
    });
}

/// A queue of connections that is full drops those who come, on Linux.
#[cfg(target_os = "linux")]
#[test]
fn a_host_that_does_not_answer_is_left_after_connect_timeout() {
    with_each_adapter(|adapter| {
        let runtime = runtime();
        let _runtime = runtime.enter();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            waiting.push(stream);
            assert!(waiting.len() < 100, "the queue is never full");
        }
        let direct = Call::new(&format!("ws://{address}/"));
        let proxied = Call::new("ws://server.example/").proxy(&format!("http://{address}"));
        for call in [direct, proxied] {
            let call = call.config(|config| config.connect_timeout = Some(SHORT));
            let (error, elapsed) = adapter.fail(&call);
            assert!(matches!(error, Error::ConnectTimeout), "{error:?}");
            assert!(elapsed >= SHORT && elapsed < SOON, "{elapsed:?}");
        }
    });
}

#[test]
fn a_server_that_does_not_answer_is_left_after_handshake_timeout() {
    for trickle in [None, Some("HTTP/1.1 101 Switching Protocols\r\nX: ")] {
        with_each_adapter(move |adapter| {
            let host = Host::bind();
            let call = Call::new(&host.uri("/"))
                .config(|config| config.handshake_timeout = Some(SHORT))
                .config(|config| config.connect_timeout = None);
            let server = host.accept(move |stream| trickle_until_closed(stream, trickle));
            let (error, elapsed) = adapter.fail(&call);
            assert!(
                matches!(error, Error::Handshake(HandshakeError::TimedOut)),
                "{error:?}"
            );
            assert!(elapsed >= SHORT && elapsed < SOON, "{elapsed:?}");
            join(server);
        });
    }
}

/// A connector or a feature that says whom to trust would change that.
#[cfg(not(any(feature = "rustls-platform-verifier", feature = "rustls-webpki-roots")))]
#[test]
fn wss_with_nobody_to_trust_connects_to_nobody() {
    with_each_adapter(|adapter| {
        let (host, proxy, other) = (Host::bind(), Host::bind(), Host::bind());
        let secured = format!("wss://127.0.0.1:{}/", host.port);
        let direct = Call::new(&secured);
        let proxied = Call::new(&secured).proxy(&proxy.proxy_uri(""));
        let redirected = Call::new(&other.uri("/")).max_redirects(1);
        let other = other.serve(vec![Step::redirect(302, &secured)]);
        for call in [direct, proxied, redirected] {
            let (error, _) = adapter.fail(&call);
            assert!(matches!(error, Error::TlsRequired), "{error:?}");
            assert!(error.to_string().starts_with("wss needs TLS: enable"));
        }
        join(other);
        host.assert_unvisited();
        proxy.assert_unvisited();
    });
}

// -- Proxies --------------------------------------------------------------------------------------

#[test]
fn through_a_proxy_a_server_is_reached_whose_name_only_the_proxy_knows() {
    with_each_adapter(|adapter| {
        let (host, proxy) = (Host::bind(), Host::bind());
        let call = Call::new("ws://server.example/chat?room=1")
            .proxy(&proxy.proxy_uri("Aladdin:open%20sesame@"));
        let proxy = proxy.tunnel_to(vec![host.port]);
        let server = host.serve(vec![Step::Echo]);
        assert!(!adapter.open(&call).is_secure);
        let asked = join(proxy).remove(0);
        // RFC 7617, section 2, has the user and his credentials.
        assert_eq!(
            asked.head,
            "CONNECT server.example:80 HTTP/1.1\r\n\
             Host: server.example:80\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
        assert!(asked.passed.starts_with(b"GET /chat?room=1 HTTP/1.1\r\n"));
        let seen = &join(server)[0];
        assert_eq!(seen.resource, "/chat?room=1");
        // The port is that of the scheme, and the credentials are the proxy's.
        assert_eq!(seen.host, "server.example");
        assert_eq!(seen.header("proxy-authorization"), None);
    });
}

#[test]
fn a_proxy_that_refuses_says_why_and_is_asked_again_with_credentials() {
    with_each_adapter(|adapter| {
        let (host, proxy) = (Host::bind(), Host::bind());
        let anonymous = Call::new("ws://server.example:9001/").proxy(&proxy.proxy_uri(""));
        let known = Call::new("ws://server.example:9001/").proxy(&proxy.proxy_uri("alice:secret@"));
        let port = host.port;
        let proxy = proxy.accept_each(2, move |mut stream| {
            let head = read_head(&mut stream);
            if head.contains("\r\nProxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n") {
                tunnel(stream, head, port);
                return true;
            }
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                          Proxy-Authenticate: Basic realm=\"here\"\r\n\
                          Content-Length: 12\r\n\r\nwho are you?";
            stream.write_all(answer.as_bytes()).unwrap();
            drain(&mut stream);
            false
        });
        let server = host.serve(vec![Step::Echo]);
        let refusal = proxy_refusal(adapter.try_open(&anonymous));
        assert_eq!(refusal.status, 407);
        assert_eq!(
            refusal.header("Proxy-Authenticate"),
            Some(&b"Basic realm=\"here\""[..])
        );
        assert_eq!(refusal.body, "who are you?");
        assert!(!refusal.body_truncated);
        adapter.open(&known);
        assert_eq!(join(proxy), [false, true]);
        join(server);
    });
}

#[test]
fn a_proxy_that_does_not_answer_is_left_after_connect_timeout() {
    for trickle in [None, Some("HTTP/1.1 200 OK\r\nX: ")] {
        with_each_adapter(move |adapter| {
            let proxy = Host::bind();
            let call = Call::new("ws://server.example/")
                .proxy(&proxy.proxy_uri(""))
                .config(|config| config.connect_timeout = Some(SHORT))
                .config(|config| config.handshake_timeout = None);
            let proxy = proxy.accept(move |stream| trickle_until_closed(stream, trickle));
            let (error, elapsed) = adapter.fail(&call);
            assert!(
                matches!(error, Error::Handshake(HandshakeError::ProxyTimedOut)),
                "{error:?}"
            );
            assert!(elapsed >= SHORT && elapsed < SOON, "{elapsed:?}");
            join(proxy);
        });
    }
}

#[test]
fn a_proxy_that_speaks_first_is_refused() {
    with_each_adapter(|adapter| {
        let proxy = Host::bind();
        let call = Call::new("ws://server.example/").proxy(&proxy.proxy_uri(""));
        let proxy = proxy.accept(|mut stream| {
            read_head(&mut stream);
            // In one segment.
            let answer = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n";
            stream.write_all(answer).unwrap();
            drain(&mut stream)
        });
        let (error, _) = adapter.fail(&call);
        assert!(
            matches!(error, Error::Handshake(HandshakeError::ProxySpokeFirst)),
            "{error:?}"
        );
        // The server that it may have connected to was told nothing.
        assert_eq!(join(proxy), b"");
    });
}

#[test]
fn a_proxy_that_closes_opens_nothing() {
    with_each_adapter(|adapter| {
        for answer in ["", "HTTP/1.1 200 OK\r\nVia: 1.1 here"] {
            let proxy = Host::bind();
            let call = Call::new("ws://server.example/").proxy(&proxy.proxy_uri(""));
            let proxy = proxy.accept(move |stream| answer_and_close(stream, answer));
            let (error, _) = adapter.fail(&call);
            assert!(
                matches!(error, Error::Handshake(HandshakeError::EndOfStream)),
                "{error:?}"
            );
            join(proxy);
        }
        // Of an answer that refuses, what has come is kept.
        let answer = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 100\r\n\r\nno such";
        let proxy = Host::bind();
        let call = Call::new("ws://server.example/").proxy(&proxy.proxy_uri(""));
        let proxy = proxy.accept(move |stream| answer_and_close(stream, answer));
        let refusal = proxy_refusal(adapter.try_open(&call));
        assert_eq!((refusal.status, &refusal.body[..]), (502, &b"no such"[..]));
        assert!(refusal.body_truncated);
        join(proxy);
    });
}

#[test]
fn what_is_no_http_is_no_proxy() {
    with_each_adapter(|adapter| {
        let proxy = Host::bind();
        let call = Call::new("ws://server.example/").proxy(&proxy.proxy_uri(""));
        let proxy = proxy.accept(|stream| answer_and_close(stream, "SSH-2.0-OpenSSH_9.9\r\n\r\n"));
        let (error, _) = adapter.fail(&call);
        assert!(
            matches!(error, Error::Handshake(HandshakeError::HeadMalformed)),
            "{error:?}"
        );
        join(proxy);
    });
}

#[test]
fn the_opening_handshake_through_a_tunnel_has_a_deadline_of_its_own() {
    with_each_adapter(|adapter| {
        let proxy = Host::bind();
        let call = Call::new("ws://server.example/")
            .proxy(&proxy.proxy_uri(""))
            .config(|config| config.handshake_timeout = Some(SHORT));
        let proxy = proxy.accept(|mut stream| {
            read_head(&mut stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            drain(&mut stream)
        });
        let (error, elapsed) = adapter.fail(&call);
        assert!(
            matches!(error, Error::Handshake(HandshakeError::TimedOut)),
            "{error:?}"
        );
        assert!(elapsed >= SHORT && elapsed < SOON, "{elapsed:?}");
        assert!(join(proxy).starts_with(b"GET / HTTP/1.1\r\n"));
    });
}

// -- Redirects ------------------------------------------------------------------------------------

#[test]
fn a_redirect_is_reported_with_its_location_unless_it_may_be_followed() {
    with_each_adapter(|adapter| {
        let host = Host::bind();
        let call = Call::new(&host.uri("/"));
        let server = host.serve(vec![Step::redirect(307, "/elsewhere?x=y")]);
        let refusal = refusal(adapter.try_open(&call));
        assert_eq!(refusal.status, 307);
        assert_eq!(refusal.location(), Some("/elsewhere?x=y"));
        join(server);
    });
}

#[test]
fn locations_are_followed_whether_they_are_relative_or_absolute() {
    with_each_adapter(|adapter| {
        let host = Host::bind();
        let call = Call::new(&host.uri("/a/first")).max_redirects(6);
        let port = host.port;
        let server = host.serve(vec![
            Step::redirect(301, "second"),
            Step::redirect(302, "?x=y"),
            Step::redirect(303, "/third?x=z"),
            Step::redirect(307, &format!("//127.0.0.1:{port}/fourth")),
            Step::redirect(308, &format!("ws://127.0.0.1:{port}/fifth")),
            Step::redirect(302, &format!("http://localhost:{port}")),
            Step::Echo,
        ]);
        adapter.open(&call);
        let seen = join(server);
        let resources: Vec<_> = seen.iter().map(|seen| &*seen.resource).collect();
        assert_eq!(
            resources,
            [
                "/a/first",
                "/a/second",
                "/a/second?x=y",
                "/third?x=z",
                "/fourth",
                "/fifth",
                "/"
            ]
        );
        assert_eq!(seen[5].host, format!("127.0.0.1:{port}"));
        assert_eq!(seen[6].host, format!("localhost:{port}"));
        // Each asks anew.
        let mut keys: Vec<_> = seen
            .iter()
            .map(|seen| seen.header("sec-websocket-key"))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 7);
    });
}

#[test]
fn no_more_redirects_are_followed_than_the_client_says() {
    with_each_adapter(|adapter| {
        let host = Host::bind();
        let call = Call::new(&host.uri("/0")).max_redirects(2);
        let server = host.serve(vec![
            Step::redirect(302, "/1"),
            Step::redirect(302, "/2"),
            Step::redirect(302, "/0"),
        ]);
        match adapter.try_open(&call) {
            Err(Error::Handshake(HandshakeError::TooManyRedirects(last))) => {
                assert_eq!(last.location(), Some("/0"));
            }
            opened => panic!("{opened:?}"),
        }
        assert_eq!(join(server).len(), 3);
        // As many are.
        let host = Host::bind();
        let call = Call::new(&host.uri("/0")).max_redirects(2);
        let server = host.serve(vec![
            Step::redirect(302, "/1"),
            Step::redirect(302, "/2"),
            Step::Echo,
        ]);
        adapter.open(&call);
        assert_eq!(join(server)[2].resource, "/2");
    });
}

#[test]
fn credentials_go_along_within_an_origin_and_to_no_other() {
    with_each_adapter(|adapter| {
        let (host, other) = (Host::bind(), Host::bind());
        let call = Call::new(&host.uri("/"))
            .header("Authorization", "Bearer 0123")
            .header("Cookie", "sid=4567")
            .header("X-Trace", "89")
            .max_redirects(3);
        let there = other.uri("/there");
        let back = host.uri("/back");
        let server = host.serve(vec![
            Step::redirect(302, "/within"),
            Step::redirect(302, &there),
            Step::Echo,
        ]);
        let other = other.serve(vec![Step::redirect(302, &back)]);
        adapter.open(&call);
        let here = join(server);
        let lines = |seen: &Seen| {
            ["authorization", "cookie", "x-trace"].map(|name| seen.header(name).map(str::to_owned))
        };
        let all = ["Bearer 0123", "sid=4567", "89"].map(|value| Some(value.to_owned()));
        let harmless = [None, None, Some("89".to_owned())];
        assert_eq!((&*here[0].resource, lines(&here[0])), ("/", all.clone()));
        assert_eq!((&*here[1].resource, lines(&here[1])), ("/within", all));
        // Another port is another origin.
        assert_eq!(lines(&join(other)[0]), harmless);
        // And what was left behind does not come back.
        assert_eq!((&*here[2].resource, lines(&here[2])), ("/back", harmless));
    });
}

#[test]
fn what_leads_nowhere_is_not_followed() {
    with_each_adapter(|adapter| {
        let host = Host::bind();
        let call = Call::new(&host.uri("/")).max_redirects(5);
        let server = host.serve(vec![
            Step::redirect(302, "ftp://127.0.0.1/"),
            Step::redirect(302, "/a#b"),
            // A choice that nobody made, and a page that was not found.
            Step::redirect(300, "/a"),
            Step::redirect(404, "/a"),
            Step::Refuse(302),
        ]);
        for _ in 0..2 {
            let (error, _) = adapter.fail(&call);
            assert!(
                matches!(error, Error::Handshake(HandshakeError::LocationInvalid)),
                "{error:?}"
            );
        }
        for status in [300, 404, 302] {
            assert_eq!(refusal(adapter.try_open(&call)).status, status);
        }
        join(server);
    });
}

#[test]
fn a_redirect_goes_through_the_proxy_too() {
    with_each_adapter(|adapter| {
        let (one, two, proxy) = (Host::bind(), Host::bind(), Host::bind());
        let call = Call::new("ws://one.example/")
            .proxy(&proxy.proxy_uri("alice:secret@"))
            .header("Authorization", "Bearer 0123")
            .max_redirects(1);
        let proxy = proxy.tunnel_to(vec![one.port, two.port]);
        let one = one.serve(vec![Step::redirect(302, "ws://two.example:9001/x")]);
        let two = two.serve(vec![Step::Echo]);
        adapter.open(&call);
        let asked = join(proxy);
        for (asked, target) in asked.iter().zip(["one.example:80", "two.example:9001"]) {
            let head = &asked.head;
            assert!(head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")));
            // To the same proxy it is no secret.
            assert!(
                head.contains("\r\nProxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n"),
                "{head}"
            );
        }
        let seen = join(one).remove(0);
        assert_eq!(seen.header("authorization"), Some("Bearer 0123"));
        let seen = join(two).remove(0);
        assert_eq!(
            (&*seen.resource, &*seen.host),
            ("/x", "two.example:9001"),
            "{seen:?}"
        );
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.header("proxy-authorization"), None);
    });
}

// -- With TLS -------------------------------------------------------------------------------------

#[cfg(all(feature = "tokio-rustls", any(feature = "ring", feature = "aws-lc-rs")))]
#[path = "support/identity.rs"]
mod identity;

#[cfg(all(feature = "tokio-rustls", any(feature = "ring", feature = "aws-lc-rs")))]
mod with_tls {
    use framewright::tls::TlsError;
    use framewright::tls::rustls::{self, CertificateError};

    use super::identity::Identity;
    use super::*;

    #[test]
    fn through_a_proxy_tls_is_spoken_with_the_server() {
        with_each_adapter(|adapter| {
            let (host, proxy) = (Host::bind(), Host::bind());
            let identity = Identity::new("server.example");
            let call = Call::new("wss://server.example/secret")
                .proxy(&proxy.proxy_uri("alice:secret@"))
                .trust(&identity);
            let proxy = proxy.tunnel_to(vec![host.port]);
            let server = host.serve_secured(&identity, vec![Step::Echo]);
            assert!(adapter.open(&call).is_secure);
            let asked = join(proxy).remove(0);
            assert_eq!(
                asked.head,
                "CONNECT server.example:443 HTTP/1.1\r\n\
                 Host: server.example:443\r\n\
                 Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n"
            );
            // RFC 8446, section 5.1: a handshake record comes first.
            assert_eq!(asked.passed.first(), Some(&22));
            assert!(!asked.passed.windows(7).any(|bytes| bytes == b"/secret"));
            let seen = join(server).remove(0);
            assert_eq!(
                (&*seen.resource, &*seen.host),
                ("/secret", "server.example")
            );
            assert_eq!(seen.header("proxy-authorization"), None);
        });
    }

    #[test]
    fn the_name_of_the_proxy_is_not_the_servers() {
        with_each_adapter(|adapter| {
            let (host, proxy) = (Host::bind(), Host::bind());
            // It is valid for the proxy, which is 127.0.0.1.
            let identity = Identity::shared();
            let call = Call::new("wss://server.example/")
                .proxy(&proxy.proxy_uri(""))
                .trust(identity);
            let proxy = proxy.tunnel_to(vec![host.port]);
            let acceptor = identity.acceptor();
            let server = host.accept(move |stream| {
                let stream = framewright::blocking::TlsStream::server(stream, &acceptor).unwrap();
                Server::new().accept(stream).map(drop).unwrap_err()
            });
            let (error, _) = adapter.fail(&call);
            assert!(
                matches!(
                    error,
                    Error::Tls(TlsError::Handshake(rustls::Error::InvalidCertificate(
                        CertificateError::NotValidForName
                            | CertificateError::NotValidForNameContext { .. }
                    )))
                ),
                "{error:?}"
            );
            let error = join(server);
            assert!(matches!(error, Error::Tls(_)), "{error:?}");
            join(proxy);
        });
    }

    #[test]
    fn the_tls_handshake_through_a_tunnel_has_a_deadline_of_its_own() {
        with_each_adapter(|adapter| {
            let proxy = Host::bind();
            let call = Call::new("wss://server.example/")
                .proxy(&proxy.proxy_uri(""))
                .trust(Identity::shared())
                .config(|config| config.connect_timeout = Some(SHORT));
            let proxy = proxy.accept(|mut stream| {
                read_head(&mut stream);
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                drain(&mut stream)
            });
            let (error, elapsed) = adapter.fail(&call);
            assert!(matches!(error, Error::TlsTimeout), "{error:?}");
            assert!(elapsed >= SHORT && elapsed < SOON, "{elapsed:?}");
            assert_eq!(join(proxy).first(), Some(&22));
        });
    }

    #[test]
    fn a_redirect_from_ws_to_wss_is_followed() {
        with_each_adapter(|adapter| {
            let (plain, secured) = (Host::bind(), Host::bind());
            let call = Call::new(&plain.uri("/"))
                .header("Authorization", "Bearer 0123")
                .max_redirects(1)
                .trust(Identity::shared());
            let location = format!("https://localhost:{}/secured", secured.port);
            let plain = plain.serve(vec![Step::redirect(301, &location)]);
            let secured = secured.serve_secured(Identity::shared(), vec![Step::Echo]);
            assert!(adapter.open(&call).is_secure);
            assert_eq!(
                join(plain)[0].header("authorization"),
                Some("Bearer 0123"),
                "who asks without TLS has told everybody already"
            );
            let seen = join(secured).remove(0);
            assert_eq!(seen.resource, "/secured");
            // Another scheme is another origin.
            assert_eq!(seen.header("authorization"), None);
        });
    }

    #[test]
    fn a_redirect_from_wss_to_ws_is_not_followed() {
        with_each_adapter(|adapter| {
            for scheme in ["ws", "http"] {
                let (secured, plain) = (Host::bind(), Host::bind());
                let call = Call::new(&format!("wss://localhost:{}/", secured.port))
                    .max_redirects(5)
                    .trust(Identity::shared());
                let location = format!("{scheme}://127.0.0.1:{}/", plain.port);
                let step = Step::redirect(301, &location);
                let secured = secured.serve_secured(Identity::shared(), vec![step]);
                let (error, _) = adapter.fail(&call);
                assert!(
                    matches!(error, Error::Handshake(HandshakeError::RedirectInsecure)),
                    "{error:?}"
                );
                join(secured);
                plain.assert_unvisited();
            }
        });
    }

    #[test]
    fn within_wss_redirects_are_followed_and_keep_credentials_within_an_origin() {
        with_each_adapter(|adapter| {
            let host = Host::bind();
            let call = Call::new(&format!("wss://localhost:{}/a", host.port))
                .header("Authorization", "Bearer 0123")
                .max_redirects(2)
                .trust(Identity::shared());
            let other_name = format!("wss://127.0.0.1:{}/c", host.port);
            let server = host.serve_secured(
                Identity::shared(),
                vec![
                    Step::redirect(308, "/b"),
                    Step::redirect(308, &other_name),
                    Step::Echo,
                ],
            );
            assert!(adapter.open(&call).is_secure);
            let seen = join(server);
            let told: Vec<_> = seen
                .iter()
                .map(|seen| (&*seen.resource, seen.header("authorization").is_some()))
                .collect();
            assert_eq!(told, [("/a", true), ("/b", true), ("/c", false)]);
        });
    }
}

// -- Rig: both adapters ---------------------------------------------------------------------------

#[derive(Debug, Clone, Copy)]
enum Adapter {
    Blocking,
    Tokio,
}

/// What a client is told.
struct Call {
    request: ClientRequest,
    config: Config,
    proxy: Option<Proxy>,
    max_redirects: u32,
    #[cfg(all(feature = "tokio-rustls", any(feature = "ring", feature = "aws-lc-rs")))]
    connector: Option<framewright::tls::TlsConnector>,
}

/// A connection that came about, and carried a message both ways.
#[derive(Debug)]
struct Opened {
    headers: Headers,
    is_secure: bool,
}

/// Makes the client of an adapter.
macro_rules! client {
    ($adapter:ident, $call:expr) => {{
        let call: &Call = $call;
        let mut client = framewright::$adapter::Client::new(call.request.clone())
            .config(call.config.clone())
            .max_redirects(call.max_redirects);
        if let Some(proxy) = &call.proxy {
            client = client.proxy(proxy.clone());
        }
        #[cfg(all(feature = "tokio-rustls", any(feature = "ring", feature = "aws-lc-rs")))]
        if let Some(connector) = &call.connector {
            client = client.tls(connector.clone());
        }
        client
    }};
}

impl Adapter {
    /// Connects, sends a message, receives it back and closes.
    fn try_open(self, call: &Call) -> Result<Opened, Error> {
        let (headers, is_secure, echo, end) = match self {
            Self::Blocking => {
                use framewright::blocking::MaybeTlsStream;

                let (mut socket, headers) = client!(blocking, call).connect()?;
                let is_secure = !matches!(socket.stream(), MaybeTlsStream::Plain(_));
                socket.send("hello")?;
                let echo = socket.recv()?;
                let end = socket.close(CloseCode::NORMAL_CLOSURE, "")?;
                (headers, is_secure, echo, end)
            }
            Self::Tokio => runtime().block_on(async {
                use framewright::tokio::MaybeTlsStream;

                let (mut socket, headers) = client!(tokio, call).connect().await?;
                let is_secure = !matches!(socket.stream(), MaybeTlsStream::Plain(_));
                socket.send("hello").await?;
                let echo = socket.recv().await?;
                let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await?;
                Ok::<_, Error>((headers, is_secure, echo, end))
            })?,
        };
        assert_eq!(echo, Some(Message::text("hello")));
        assert!(end.is_clean(), "{end:?}");
        assert_eq!(end.initiator, Some(Initiator::Local));
        Ok(Opened { headers, is_secure })
    }

    fn open(self, call: &Call) -> Opened {
        self.try_open(call).unwrap()
    }

    /// Connects to no avail, and returns why, and after how long.
    fn fail(self, call: &Call) -> (Error, Duration) {
        let started = Instant::now();
        let error = self.try_open(call).unwrap_err();
        (error, started.elapsed())
    }
}

impl Call {
    fn new(uri: &str) -> Self {
        Self {
            request: ClientRequest::new(uri).unwrap(),
            config: Config::default(),
            proxy: None,
            max_redirects: 0,
            #[cfg(all(feature = "tokio-rustls", any(feature = "ring", feature = "aws-lc-rs")))]
            connector: None,
        }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value).unwrap();
        self
    }

    fn proxy(mut self, uri: &str) -> Self {
        let proxy: Result<_, SendError> = uri.parse();
        self.proxy = Some(proxy.unwrap());
        self
    }

    fn max_redirects(mut self, max_redirects: u32) -> Self {
        self.max_redirects = max_redirects;
        self
    }

    fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    #[cfg(all(feature = "tokio-rustls", any(feature = "ring", feature = "aws-lc-rs")))]
    fn trust(mut self, identity: &identity::Identity) -> Self {
        self.connector = Some(identity.connector());
        self
    }
}

/// Runs a scenario with each adapter, and fails if it hangs.
fn with_each_adapter(scenario: impl Fn(Adapter) + Clone + Send + 'static) {
    for adapter in [Adapter::Blocking, Adapter::Tokio] {
        let scenario = scenario.clone();
        let (done, finished) = mpsc::channel();
        let running = thread::spawn(move || {
            scenario(adapter);
            done.send(()).unwrap();
        });
        match finished.recv_timeout(HANG) {
            Ok(()) => join(running),
            Err(RecvTimeoutError::Timeout) => panic!("{adapter:?} hangs"),
            Err(RecvTimeoutError::Disconnected) => {
                eprintln!("with {adapter:?}:");
                join(running);
                unreachable!("a scenario says that it is done, or panics");
            }
        }
        #[cfg(feature = "rustls")]
        assert!(
            framewright::tls::rustls::crypto::CryptoProvider::get_default().is_none(),
            "cryptography was installed for the whole process"
        );
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Joins a thread, and panics as it did.
fn join<T>(thread: JoinHandle<T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
}

fn refusal(opened: Result<Opened, Error>) -> RefusedResponse {
    match opened {
        Err(Error::Handshake(HandshakeError::Refused(refusal))) => *refusal,
        opened => panic!("{opened:?}"),
    }
}

fn proxy_refusal(opened: Result<Opened, Error>) -> RefusedResponse {
    match opened {
        Err(Error::Handshake(HandshakeError::ProxyRefused(refusal))) => *refusal,
        opened => panic!("{opened:?}"),
    }
}

// -- Rig: servers and proxies ---------------------------------------------------------------------

/// A port of this machine at which something will be.
struct Host {
    listener: TcpListener,
    port: u16,
}

/// What a server does with a request.
#[derive(Clone)]
enum Step {
    /// It accepts, and echoes one client to its end.
    Echo,
    Redirect(u16, String),
    /// It refuses without a header line.
    Refuse(u16),
}

/// What a server was asked.
#[derive(Debug)]
struct Seen {
    resource: String,
    host: String,
    headers: Headers,
}

/// What a proxy was asked, and what went through the tunnel from the client.
struct Asked {
    head: String,
    passed: Vec<u8>,
}

impl Host {
    fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    fn uri(&self, resource: &str) -> String {
        format!("ws://127.0.0.1:{}{resource}", self.port)
    }

    /// The user, if there is one, ends in an `@`.
    fn proxy_uri(&self, user: &str) -> String {
        format!("http://{user}127.0.0.1:{}", self.port)
    }

    fn assert_unvisited(self) {
        self.listener.set_nonblocking(true).unwrap();
        let error = self.listener.accept().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "somebody came");
    }

    /// Serves so many connections on a thread, one after the other, and nobody after them.
    fn accept_each<T: Send + 'static>(
        self,
        count: usize,
        mut serve: impl FnMut(TcpStream) -> T + Send + 'static,
    ) -> JoinHandle<Vec<T>> {
        thread::spawn(move || {
            (0..count)
                .map(|_| {
                    let (stream, _) = self.listener.accept().unwrap();
                    stream.set_nodelay(true).unwrap();
                    serve(stream)
                })
                .collect()
        })
    }

    fn accept<T: Send + 'static>(
        self,
        serve: impl FnOnce(TcpStream) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        thread::spawn(move || {
            let (stream, _) = self.listener.accept().unwrap();
            drop(self.listener);
            stream.set_nodelay(true).unwrap();
            serve(stream)
        })
    }

    /// Does one step with each of as many requests.
    fn serve(self, steps: Vec<Step>) -> JoinHandle<Vec<Seen>> {
        let count = steps.len();
        let mut steps = steps.into_iter();
        self.accept_each(count, move |stream| answer(stream, steps.next().unwrap()))
    }

    #[cfg(all(feature = "tokio-rustls", any(feature = "ring", feature = "aws-lc-rs")))]
    fn serve_secured(
        self,
        identity: &identity::Identity,
        steps: Vec<Step>,
    ) -> JoinHandle<Vec<Seen>> {
        let acceptor = identity.acceptor();
        let count = steps.len();
        let mut steps = steps.into_iter();
        self.accept_each(count, move |stream| {
            let stream = framewright::blocking::TlsStream::server(stream, &acceptor).unwrap();
            answer(stream, steps.next().unwrap())
        })
    }

    /// Opens one tunnel after the other, each to a port of this machine, whatever it is asked for.
    fn tunnel_to(self, ports: Vec<u16>) -> JoinHandle<Vec<Asked>> {
        let count = ports.len();
        let mut ports = ports.into_iter();
        self.accept_each(count, move |mut stream| {
            let head = read_head(&mut stream);
            tunnel(stream, head, ports.next().unwrap())
        })
    }
}

impl Step {
    fn redirect(status: u16, location: &str) -> Self {
        Self::Redirect(status, location.to_owned())
    }
}

impl Seen {
    /// Returns the one value of a header, if it is there.
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.values(name);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice");
        value.map(|value| std::str::from_utf8(value).unwrap())
    }
}

fn answer<S: Stream>(stream: S, step: Step) -> Seen {
    let Incoming::Upgrade(upgrade) = Server::new().receive(stream).unwrap() else {
        panic!("it does not ask for a WebSocket");
    };
    let seen = Seen {
        resource: upgrade.request().resource_name().to_owned(),
        host: upgrade.request().host().to_owned(),
        headers: upgrade.request().headers().clone(),
    };
    match step {
        Step::Echo => echo(
            upgrade
                .accept(Acceptance::new().header("X-Served-By", "echo"))
                .unwrap(),
        ),
        Step::Redirect(status, location) => {
            let response = Response::new(status).unwrap();
            let response = response.header("Location", &location).unwrap();
            upgrade.reject(&response.body("look there")).unwrap();
        }
        Step::Refuse(status) => upgrade.reject(&Response::new(status).unwrap()).unwrap(),
    }
    seen
}

fn echo<S: Stream>(mut socket: WebSocket<S>) {
    while let Some(message) = socket.recv().unwrap() {
        socket.send(message).unwrap();
    }
    assert!(socket.end().unwrap().is_clean());
}

/// Reads a head, and nothing of what comes behind it.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Opens a tunnel, and returns when both ends of it have closed.
fn tunnel(mut client: TcpStream, head: String, port: u16) -> Asked {
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.set_nodelay(true).unwrap();
    // A length means nothing here: what follows is the server's.
    let answer = b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n";
    client.write_all(answer).unwrap();
    let (reader, writer) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let answering = thread::spawn(move || pass(reader, writer));
    let passed = pass(client, server);
    join(answering);
    Asked { head, passed }
}

/// Passes on what comes until the end, and returns it. An end that is no regular one is an end.
fn pass(mut from: TcpStream, mut to: TcpStream) -> Vec<u8> {
    let mut passed = Vec::new();
    let mut room = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut room) {
        passed.extend(&room[..len]);
        if to.write_all(&room[..len]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    passed
}

/// Reads until the end, so that nothing is reset that the peer should see, and returns it.
fn drain(stream: &mut TcpStream) -> Vec<u8> {
    let mut drained = Vec::new();
    let mut room = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut room) {
        drained.extend(&room[..len]);
    }
    drained
}

/// Reads a head, writes an answer, and says no more.
fn answer_and_close(mut stream: TcpStream, answer: &str) {
    read_head(&mut stream);
    stream.write_all(answer.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    drain(&mut stream);
}

/// Reads a head, and answers with a beginning and then spaces, slowly, or with nothing at all,
/// until nobody is there any more.
fn trickle_until_closed(mut stream: TcpStream, beginning: Option<&str>) {
    read_head(&mut stream);
    stream.set_read_timeout(Some(SHORT / 20)).unwrap();
    let mut beginning = beginning.map(str::bytes);
    loop {
        match stream.read(&mut [0; 100]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
            Ok(_) => panic!("it speaks before it is answered"),
        }
        if let Some(bytes) = &mut beginning {
            let byte = bytes.next().unwrap_or(b' ');
            if stream.write_all(&[byte]).is_err() {
                return;
            }
        }
    }
}
