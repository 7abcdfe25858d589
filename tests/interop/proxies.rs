//! Our clients and our server with a reverse proxy between them: nginx, Apache and their like.
//!
//! `tests/interop/run` starts the proxies with the configurations of `examples/proxy`, and names
//! them in `FRAMEWRIGHT_INTEROP_PROXIES`: where each listens, where it looks for a server, and how
//! long it lets a connection be silent. The server is made here, for one test at a time.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use framewright::handshake::{Acceptance, ClientRequest, Response, UpgradeRequest};
use framewright::tls::rustls::{ClientConnection, StreamOwned};
use framewright::tokio::{
    Client, Error, Incoming, MaybeTlsStream, PendingUpgrade, Server, WebSocket,
};
use framewright::{CloseCode, Config, HandshakeError, Initiator, Message};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_blocking, spawn_local};

use super::{Outcome, Peer, connector, pattern};

const PAGE: &str = "<!DOCTYPE html><title>a page</title>";
const PAGE_LEN: usize = 100_000;
/// How long is waited for what should happen within the idle time of a proxy, or at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// One port of a proxy.
struct Door {
    /// What a page of this server has as its origin.
    origin: String,
    peer: Peer,
    /// How long a connection may be silent, if there is such a time.
    idle: Option<Duration>,
}

impl Door {
    fn request(&self, path: &str) -> ClientRequest {
        self.peer.request(path).expect("a path")
    }

    async fn connect(&self, request: ClientRequest) -> Result<WebSocket<MaybeTlsStream>, Error> {
        let mut client = Client::new(request).config(unattended());
        if let Some(connector) = &self.peer.connector {
            client = client.tls(connector.clone());
        }
        client.connect().await.map(|(socket, _)| socket)
    }

    /// Gets a page, and returns the head and the body of the answer.
    fn get(&self, path: &str) -> std::io::Result<(String, String)> {
        let (scheme, address) = self.origin.split_once("://").expect("an origin");
        let mut tcp = StdTcpStream::connect(address)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        if scheme == "http" {
            tcp.write_all(request.as_bytes())?;
            tcp.read_to_end(&mut answer)?;
        } else {
            let config = Arc::clone(connector().config());
            let name = "127.0.0.1".try_into().expect("an address");
            let session = ClientConnection::new(config, name).map_err(std::io::Error::other)?;
            let mut tls = StreamOwned::new(session, tcp);
            tls.write_all(request.as_bytes())?;
            tls.read_to_end(&mut answer)?;
        }
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        Ok((head.to_ascii_lowercase(), body.to_owned()))
    }
}

/// Pings nobody by itself, so that a connection is as silent as a test wants it.
fn unattended() -> Config {
    let mut config = Config::default();
    config.ping_interval = None;
    config
}

/// Runs `test` with both doors of every proxy, and `server` behind it.
fn with_each_door<F>(server: Server, test: impl Fn(Arc<Door>) -> F)
where
    F: Future<Output = Outcome> + 'static,
{
    // Each proxy looks for its server at one port, which tests of the same process share.
    static BEHIND: Mutex<()> = Mutex::new(());
    let _alone = BEHIND.lock().unwrap_or_else(PoisonError::into_inner);

    let proxies = std::env::var("FRAMEWRIGHT_INTEROP_PROXIES")
        .expect("tests/interop/run sets FRAMEWRIGHT_INTEROP_PROXIES");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // All at once, for some of it is waiting; here, for a test need not be `Send`.
    LocalSet::new().block_on(&runtime, async {
        let mut running = Vec::new();
        for proxy in proxies.split_whitespace() {
            let (name, numbers) = proxy.split_once('=').expect("a proxy is name=numbers");
            let numbers: Vec<u16> = numbers
                .split(',')
                .map(|number| number.parse().expect("a number"))
                .collect();
            let &[plain, secured, upstream, idle] = &numbers[..] else {
                panic!("{name} is plain,secured,upstream,idle");
            };
            let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], upstream))).await;
            tokio::spawn(serve(listener.expect("the port is free"), server.clone()));
            for (scheme, port) in [("", plain), ("s", secured)] {
                let door = Door {
                    origin: format!("http{scheme}://127.0.0.1:{port}"),
                    peer: Peer {
                        url: format!("ws{scheme}://127.0.0.1:{port}"),
                        connector: (scheme == "s").then(connector),
                    },
                    idle: (idle > 0).then(|| Duration::from_secs(idle.into())),
                };
                let name = format!("{name}, http{scheme}");
                running.push((name, spawn_local(test(Arc::new(door)))));
            }
        }
        assert!(!running.is_empty(), "there is no proxy");
        for (name, test) in running {
            match test.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => panic!("{name}: {error}"),
                Err(error) => panic!("{name}: {error}"),
            }
        }
    });
}

/// The server behind a proxy. Its paths are those of the tests below.
async fn serve(listener: TcpListener, server: Server) {
    while let Ok((stream, _)) = listener.accept().await {
        let server = server.clone();
        tokio::spawn(async move {
            // How a connection ends is the client's to judge, and a forbidden origin has its 403.
            let Ok(incoming) = server.receive(stream).await else {
                return;
            };
            let _ = match incoming {
                Incoming::Plain(plain) => {
                    let page = Response::new(200).expect("a status");
                    let page = page.header("Content-Type", "text/html").expect("a header");
                    plain
                        .respond(&page.body(PAGE.repeat(PAGE_LEN / PAGE.len())))
                        .await
                }
                Incoming::Upgrade(upgrade) => attend(upgrade).await,
            };
        });
    }
}

async fn attend(upgrade: PendingUpgrade<TcpStream>) -> Result<(), Error> {
    let path = upgrade.request().path().to_owned();
    if path == "/denied" {
        let response = Response::new(403)?.header("X-Reason", "denied")?;
        return upgrade.reject(&response.body("not you")).await;
    }
    let description = describe(upgrade.request());
    let mut socket = upgrade.accept(Acceptance::new()).await?;
    match &path[..] {
        "/who" => socket.send(description).await?,
        "/leave" => {
            let code = CloseCode::new(4001).expect("a private code");
            socket.close(code, "enough, danke schön").await?;
        }
        _ => {}
    }
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

/// What the server is told of the client, where a proxy could get it wrong.
fn describe(request: &UpgradeRequest) -> String {
    let names = ["host", "origin", "x-forwarded-for", "x-forwarded-proto"];
    let lines = names.map(|name| {
        let values: Vec<_> = request
            .headers()
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect();
        format!("{name}: {}", values.join(" and "))
    });
    lines.join("\n")
}

#[test]
#[ignore = "needs the proxies of tests/interop/run"]
fn a_page_comes_through_and_its_websocket_is_of_the_same_origin() {
    with_each_door(Server::new().config(unattended()), async |door| {
        let gotten = Arc::clone(&door);
        let (head, body) = spawn_blocking(move || gotten.get("/")).await??;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/html"), "{head}");
        assert!(
            body.starts_with(PAGE) && body.ends_with(PAGE),
            "{body:.100}"
        );

        let request = door
            .request("who")
            .header("Origin", &door.origin)?
            .header("X-Forwarded-For", "192.0.2.1")?
            .header("X-Forwarded-Proto", "gopher")?;
        let mut socket = door.connect(request).await?;
        let (scheme, host) = door.origin.split_once("://").expect("an origin");
        let expected = format!(
            "host: {host}\norigin: {}\nx-forwarded-for: 127.0.0.1\nx-forwarded-proto: {scheme}",
            door.origin
        );
        assert_eq!(socket.recv().await?, Some(Message::text(expected)));

        let request = door
            .request("who")
            .header("Origin", "https://example.com")?;
        let refusal = door.connect(request).await;
        let Err(Error::Handshake(HandshakeError::Refused(response))) = refusal else {
            panic!("{refusal:?}");
        };
        assert_eq!(response.status, 403);
        Ok(())
    });
}

#[test]
#[ignore = "needs the proxies of tests/interop/run"]
fn a_refusal_comes_through_as_http() {
    with_each_door(Server::new(), async |door| {
        let refusal = door.connect(door.request("denied")).await;
        let Err(Error::Handshake(HandshakeError::Refused(response))) = refusal else {
            panic!("{refusal:?}");
        };
        assert_eq!(response.status, 403);
        assert_eq!(response.header("X-Reason"), Some(&b"denied"[..]));
        assert_eq!(response.body, "not you");
        Ok(())
    });
}

#[test]
#[ignore = "needs the proxies of tests/interop/run"]
fn a_mebibyte_comes_through_both_ways_and_so_does_our_close() {
    with_each_door(Server::new(), async |door| {
        let data = pattern(1 << 20);
        let mut socket = door.connect(door.request("echo")).await?;
        socket.send(&data[..]).await?;
        assert!(socket.recv().await? == Some(Message::binary(data.clone())));
        let code = CloseCode::new(3999).expect("a registered code");
        let end = socket.close(code, "genug").await?;
        assert!(end.is_clean(), "{end:?}");
        assert_eq!(end.code(), 3999);
        assert_eq!(end.initiator, Some(Initiator::Local));

        let client = Arc::clone(&door);
        spawn_blocking(move || {
            let mut socket = client.peer.connect("echo")?;
            socket.send(&data[..])?;
            assert!(socket.recv()? == Some(Message::binary(data)));
            let end = socket.close(code, "genug")?;
            assert!(end.is_clean(), "{end:?}");
            assert_eq!(end.code(), 3999);
            Ok::<_, framewright::blocking::Error>(())
        })
        .await??;
        Ok(())
    });
}

#[test]
#[ignore = "needs the proxies of tests/interop/run"]
fn a_close_of_the_server_comes_through_with_its_reason() {
    with_each_door(Server::new(), async |door| {
        let mut socket = door.connect(door.request("leave")).await?;
        assert_eq!(socket.recv().await?, None);
        let end = socket.end().expect("recv returned None");
        assert_eq!((end.code(), end.reason()), (4001, "enough, danke schön"));
        assert!(end.is_clean(), "{end:?}");
        assert_eq!(end.initiator, Some(Initiator::Peer));
        Ok(())
    });
}

#[test]
#[ignore = "needs the proxies of tests/interop/run"]
fn a_silent_connection_is_dropped_where_the_proxy_says_so() {
    with_each_door(Server::new().config(unattended()), async |door| {
        let mut socket = door.connect(door.request("echo")).await?;
        let Some(idle) = door.idle else {
            return Ok(());
        };
        let dropped = tokio::time::timeout(idle + PATIENCE, socket.recv()).await?;
        // It may be a reset.
        assert!(
            matches!(dropped, Ok(None) | Err(Error::Io(_))),
            "{dropped:?}"
        );
        let end = socket.end().expect("it has ended");
        assert_eq!(end.code(), 1006);
        Ok(())
    });
}

#[test]
#[ignore = "needs the proxies of tests/interop/run"]
fn pings_of_the_server_hold_a_connection_that_is_silent_for_longer() {
    let mut config = Config::default();
    config.ping_interval = Some(Duration::from_millis(500));
    with_each_door(Server::new().config(config), async |door| {
        let mut socket = door.connect(door.request("echo")).await?;
        let silence = door.idle.unwrap_or(Duration::from_secs(1)) * 5 / 2;
        // The client receives meanwhile, for that is what answers the pings.
        let received = tokio::time::timeout(silence, socket.recv()).await;
        assert!(received.is_err(), "{received:?}");
        socket.send("still here").await?;
        assert_eq!(socket.recv().await?, Some(Message::text("still here")));
        Ok(())
    });
}
