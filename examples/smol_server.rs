//! A server on smol with a page and a WebSocket on one port, and no HTTP library beside it.
//!
//! ```text
//! cargo run --example smol_server --features futures-io
//! ```
//!
//! It prints `open http://127.0.0.1:9004/`; the page there opens a WebSocket and shows what it
//! sends and what comes back. It unwraps where a server would log and go on.

use std::net::SocketAddr;

use clap::Parser;
use framewright::futures_io::{Error, Incoming, PendingUpgrade, Server};
use framewright::handshake::{Acceptance, PlainRequest, Response};
use framewright::{Config, Event, SendError};
use smol::net::{TcpListener, TcpStream};

#[derive(Parser)]
#[command(about = "A server on smol with a page and a WebSocket on one port.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9004")]
    listen: SocketAddr,
}

fn main() {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = 64 << 10;
    let server = Server::new().config(config);
    smol::block_on(async {
        let listener = TcpListener::bind(args.listen).await.unwrap();
        println!("open http://{}/", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let server = server.clone();
            let serving = async move {
                if let Err(error) = serve(stream, server).await {
                    eprintln!("{error}");
                }
            };
            smol::spawn(serving).detach();
        }
    })
}

async fn serve(stream: TcpStream, server: Server) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    // What breaks a rule, or comes from a page of another origin, is answered by then.
    match server.receive(stream).await? {
        Incoming::Upgrade(upgrade) if upgrade.request().path() == "/ws" => echo(upgrade).await,
        Incoming::Upgrade(upgrade) => upgrade.reject(&not_found()?).await,
        Incoming::Plain(plain) => {
            let response = respond(plain.request())?;
            plain.respond(&response).await
        }
    }
}

fn respond(request: &PlainRequest) -> Result<Response, SendError> {
    match (request.method(), request.target()) {
        ("GET" | "HEAD", "/") => Ok(Response::new(200)?
            .header("Content-Type", "text/html; charset=utf-8")?
            .body(include_str!("echo.html"))),
        (_, "/ws") => Response::new(426)?.header("Upgrade", "websocket"),
        _ => not_found(),
    }
}

fn not_found() -> Result<Response, SendError> {
    Ok(Response::new(404)?.body("no such page\n"))
}

async fn echo(upgrade: PendingUpgrade<TcpStream>) -> Result<(), Error> {
    let mut socket = upgrade.accept(Acceptance::new()).await?;
    while let Some((event, mut outbox)) = socket.recv_event().await? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            _ => {} // Pings and the Close are answered already.
        }
    }
    Ok(())
}
