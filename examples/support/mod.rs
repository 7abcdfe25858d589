//! What the examples with a page share: one port for the page and its WebSocket, and Ctrl-C.
//!
//! A request for `/ws` becomes a connection, which the example serves; any other is for a file.
//! What is said on a connection it does not know.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use framewright::handshake::{Acceptance, PlainRequest, Response};
use framewright::tokio::{Error, Incoming, Reader, Server, Writer};
use framewright::{CloseCode, SendError};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// What a browser is given at `/` and at `/page.js`.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) html: &'static str,
    pub(crate) script: &'static str,
}

/// The two halves of a connection.
pub(crate) struct Client {
    pub(crate) reader: Reader<TcpStream>,
    pub(crate) writer: Writer<TcpStream>,
}

/// Serves the page, and each connection in a task of its own, until Ctrl-C.
///
/// Then every client gets a Close with 1001: its reader returns `None` once the client has
/// answered, and `session` ends.
pub(crate) async fn serve<S, F>(
    listen: SocketAddr,
    page: Page,
    server: Server,
    session: S,
) -> io::Result<()>
where
    S: Fn(Client) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), Error>> + Send,
{
    let listener = TcpListener::bind(listen).await?;
    println!("open http://{}/", listener.local_addr()?);
    let (leave, leaving) = watch::channel(());
    let accepting = async {
        let places = Arc::new(Semaphore::new(MAX_CLIENTS));
        loop {
            // Whoever finds no place waits in the backlog of the operating system.
            let place = Arc::clone(&places).acquire_owned().await;
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Most often too many open files: connections that end give some back.
                    eprintln!("accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (server, session, leaving) = (server.clone(), session.clone(), leaving.clone());
            tokio::spawn(async move {
                match attend(stream, page, server, session, leaving).await {
                    // Browsers open connections that they then do not use.
                    Ok(()) | Err(Error::Handshake(_)) => {}
                    Err(error) => eprintln!("{peer}: {error}"),
                }
                drop(place);
            });
        }
    };
    tokio::select! {
        // In this order, so that Ctrl-C is heard before anybody is accepted.
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = accepting => {}
    }
    drop(leaving);
    leave.send_replace(());
    // Each task holds a receiver. Each Close is answered, or given up after its `close_timeout`.
    leave.closed().await;
    Ok(())
}

/// Writes a value as JSON, which is what the pages read.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the keys of our maps are strings")
}

async fn attend<S, F>(
    stream: TcpStream,
    page: Page,
    server: Server,
    session: S,
    mut leaving: watch::Receiver<()>,
) -> Result<(), Error>
where
    S: Fn(Client) -> F,
    F: Future<Output = Result<(), Error>>,
{
    stream.set_nodelay(true)?;
    let incoming = tokio::select! {
        // What breaks a rule, or comes from a page of another origin, is answered by then.
        incoming = server.receive(stream) => incoming?,
        // Whoever is not connected yet is not waited for.
        _ = leaving.changed() => return Ok(()),
    };
    let upgrade = match incoming {
        Incoming::Plain(plain) => {
            let response = respond(plain.request(), page)?;
            return plain.respond(&response).await;
        }
        Incoming::Upgrade(upgrade) if upgrade.request().path() == "/ws" => upgrade,
        Incoming::Upgrade(upgrade) => return upgrade.reject(&not_found()?).await,
    };
    let (reader, writer) = upgrade.accept(Acceptance::new()).await?.split();
    let mut goodbye = writer.clone();
    let mut session = pin!(session(Client { reader, writer }));
    tokio::select! {
        ended = &mut session => return ended,
        _ = leaving.changed() => {}
    }
    // The session goes on meanwhile, for it is the reader that receives the answer.
    let goodbye = goodbye.close(CloseCode::GOING_AWAY, "server is leaving");
    let (ended, _) = tokio::join!(session, goodbye);
    ended
}

fn respond(request: &PlainRequest, page: Page) -> Result<Response, SendError> {
    let path = request.target().split('?').next().unwrap_or_default();
    let (content_type, text) = match (request.method(), path) {
        ("GET" | "HEAD", "/") => ("text/html", page.html),
        ("GET" | "HEAD", "/page.js") => ("text/javascript", page.script),
        ("GET" | "HEAD", "/connect.js") => ("text/javascript", include_str!("connect.js")),
        ("GET" | "HEAD", "/style.css") => ("text/css", include_str!("style.css")),
        (_, "/ws") => return Response::new(426)?.header("Upgrade", "websocket"),
        _ => return not_found(),
    };
    Ok(Response::new(200)?
        .header("Content-Type", format!("{content_type}; charset=utf-8"))?
        .header("Content-Security-Policy", CONTENT_SECURITY_POLICY)?
        .header("X-Content-Type-Options", "nosniff")?
        .header("Cache-Control", "no-cache")?
        .body(text))
}

fn not_found() -> Result<Response, SendError> {
    Ok(Response::new(404)?.body("no such page\n"))
}

/// The most connections at once, those that ask for a file included.
const MAX_CLIENTS: usize = 1000;

/// A page runs the scripts of its own server and no other, whatever text it shows.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
