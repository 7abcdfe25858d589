//! A server for the unmodified `socket.io-client` 4 of npm, over its WebSocket transport.
//!
//! ```text
//! npm install socket.io-client@4.8
//! cargo run --example socketio --features tokio
//! ```
//!
//! It prints `open http://127.0.0.1:9023/` and the token of the namespace `/admin`. Open the page
//! in two windows: it takes the real client from `node_modules`, joins rooms, says things there,
//! and shows how long acknowledgements take; without the client it says how to get it. In Node:
//!
//! ```text
//! const { io } = require("socket.io-client");
//! const socket = io("http://127.0.0.1:9023", { transports: ["websocket"] });
//! socket.on("said", console.log);
//! console.log(await socket.emitWithAck("join", "red"));    // { room: 'red', members: 1 }
//! ```
//!
//! | event | what the server does |
//! |---|---|
//! | `echo`, anything | sends `echo` back with the same, and acknowledges with the same |
//! | `join`, room; `leave`, room | acknowledges with `{ room, members }` |
//! | `say`, room, text | sends `said`, `{ from, room, text }` to the others there |
//! | `broadcast`, anything | sends `broadcast` with the same to all others in the namespace |
//! | `ask`, anything | sends `question` with the same, and `answered` with what you acknowledge it with |
//! | `bye` | disconnects you from the namespace |
//!
//! It speaks Engine.IO 4 and Socket.IO 5 as far as that transport goes: the handshake, heartbeats,
//! namespaces with authentication, events, acknowledgements both ways, binary attachments, rooms.
//! Left out is HTTP long-polling, so clients must ask for `transports: ["websocket"]`; and what
//! keeps the state of a connection that was lost.

mod hub;
mod packet;
mod session;

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use framewright::handshake::{Acceptance, PlainRequest, Response};
use framewright::tokio::{Error, Incoming, Server};
use framewright::{Config, SendError};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use hub::Namespace;

#[derive(Parser)]
#[command(about = "A server for socket.io-client, over its WebSocket transport.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9023")]
    listen: SocketAddr,

    /// What clients of /admin must send as `auth: { token }`. Default: a new one each time.
    #[arg(long, value_name = "TOKEN")]
    admin_token: Option<String>,

    /// How often the server asks for a sign of life.
    #[arg(long, value_name = "MS", default_value_t = 25_000)]
    ping_interval: u64,

    /// How long a sign of life may take.
    #[arg(long, value_name = "MS", default_value_t = 20_000)]
    ping_timeout: u64,

    /// The client for the page, as npm installs it.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "node_modules/socket.io-client/dist/socket.io.min.js"
    )]
    client: PathBuf,
}

/// What all connections share.
struct Site {
    root: Namespace,
    admin: Namespace,
    admin_token: String,
    ping_interval: Duration,
    ping_timeout: Duration,
    client: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = MAX_PAYLOAD;
    config.ping_interval = None; // Engine.IO has Pings of its own.
    let server = Server::new().config(config);
    let site = Arc::new(Site {
        root: Namespace::new("/"),
        admin: Namespace::new("/admin"),
        admin_token: args.admin_token.unwrap_or_else(hub::new_id),
        ping_interval: Duration::from_millis(args.ping_interval),
        ping_timeout: Duration::from_millis(args.ping_timeout),
        client: args.client,
    });
    let listener = TcpListener::bind(args.listen).await?;
    println!("open http://{}/", listener.local_addr()?);
    println!("token of /admin: {}", site.admin_token);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most often too many open files: connections that end give some back.
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (server, site) = (server.clone(), Arc::clone(&site));
        tokio::spawn(async move {
            if let Err(error) = serve(&server, &site, stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve(server: &Server, site: &Site, stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    match server.receive(stream).await? {
        Incoming::Upgrade(upgrade) => {
            let request = upgrade.request();
            match judge(request.path(), request.query().unwrap_or_default()) {
                Ok(()) => {
                    let socket = upgrade.accept(Acceptance::new()).await?;
                    session::run(socket, site).await
                }
                Err(refusal) => upgrade.reject(&refusal.response()?).await,
            }
        }
        Incoming::Plain(plain) => {
            let response = respond(site, plain.request())?;
            plain.respond(&response).await
        }
    }
}

/// Engine.IO's `maxPayload`.
const MAX_PAYLOAD: u64 = 1_000_000;

// -- The handshake of Engine.IO -------------------------------------------------------------------

/// Why a request is refused, by the numbers of Engine.IO.
enum Refusal {
    TransportUnknown,
    SessionIdUnknown,
    BadRequest,
    UnsupportedProtocolVersion,
    /// It is nothing of Engine.IO's.
    NotFound,
}

impl Refusal {
    fn response(&self) -> Result<Response, SendError> {
        let (code, message) = match self {
            Self::TransportUnknown => (0, "Transport unknown"),
            Self::SessionIdUnknown => (1, "Session ID unknown"),
            Self::BadRequest => (3, "Bad request"),
            Self::UnsupportedProtocolVersion => (5, "Unsupported protocol version"),
            Self::NotFound => return Ok(Response::new(404)?.body("no such page\n")),
        };
        Ok(Response::new(400)?
            .header("Content-Type", "application/json")?
            .body(json!({ "code": code, "message": message }).to_string()))
    }
}

/// Judges a request for a WebSocket. What else is in the query is the application's.
fn judge(path: &str, query: &str) -> Result<(), Refusal> {
    if path.trim_end_matches('/') != "/socket.io" {
        return Err(Refusal::NotFound);
    }
    let value = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    if value("transport") != Some("websocket") {
        return Err(Refusal::TransportUnknown);
    }
    // Sessions begin with polling, which there is not.
    if value("sid").is_some() {
        return Err(Refusal::SessionIdUnknown);
    }
    if value("EIO") != Some("4") {
        return Err(Refusal::UnsupportedProtocolVersion);
    }
    Ok(())
}

// -- Pages ----------------------------------------------------------------------------------------

fn respond(site: &Site, request: &PlainRequest) -> Result<Response, SendError> {
    let target = request.target();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match (request.method(), path) {
        ("GET" | "HEAD", "/") => Ok(Response::new(200)?
            .header("Content-Type", "text/html; charset=utf-8")?
            .body(include_str!("page.html"))),
        // Where servers of Socket.IO have it.
        ("GET" | "HEAD", "/socket.io/socket.io.js") => client(&site.client),
        _ => match judge(path, query) {
            // It has everything but the upgrade.
            Ok(()) => Refusal::BadRequest.response(),
            Err(refusal) => refusal.response(),
        },
    }
}

fn client(path: &Path) -> Result<Response, SendError> {
    match std::fs::read(path) {
        Ok(script) => Ok(Response::new(200)?
            .header("Content-Type", "text/javascript; charset=utf-8")?
            .body(script)),
        Err(_) => Ok(Response::new(404)?.body("npm install socket.io-client@4.8\n")),
    }
}
