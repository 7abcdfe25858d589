//! A page and a WebSocket over TLS, on one port.
//!
//! ```text
//! cargo run --example tls_server --features tokio-rustls,ring
//! ```
//!
//! It prints `open https://127.0.0.1:9016/`; the page there opens a `wss:` WebSocket and shows what
//! it sends and what comes back. Without `--cert FILE --key FILE`, both PEM, it makes a certificate
//! for localhost that nobody has signed: a browser asks whether you know what you do, and `ws -k
//! wss://127.0.0.1:9016/ws` does not.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use framewright::handshake::{Acceptance, PlainRequest, Response};
use framewright::tls::TlsAcceptor;
use framewright::tokio::{Error, Incoming, PendingUpgrade, Server, ServerTlsStream};
use framewright::{Config, Event, SendError};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

#[derive(Parser)]
#[command(about = "A page and a WebSocket over TLS, on one port.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9016")]
    listen: SocketAddr,

    /// The certificate chain in PEM, the server's own certificate first.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let args = Args::parse();
    let acceptor = match (&args.cert, &args.key) {
        (Some(chain), Some(key)) => TlsAcceptor::from_pem(&read(chain)?, &read(key)?)?,
        _ => self_signed()?,
    };
    let mut config = Config::default();
    config.max_message_len = 64 << 10;
    let server = Server::new().config(config);
    let listener = TcpListener::bind(args.listen).await?;
    println!("open https://{}/", listener.local_addr()?);
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
        let (server, acceptor) = (server.clone(), acceptor.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(&server, &acceptor, stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve(server: &Server, acceptor: &TlsAcceptor, stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    // In the task of the connection: who is slow to shake hands keeps nobody waiting.
    let stream = server.secure(stream, acceptor).await?;
    match server.receive(stream).await? {
        Incoming::Upgrade(upgrade) if upgrade.request().path() == "/ws" => echo(upgrade).await,
        Incoming::Upgrade(upgrade) => upgrade.reject(&not_found()?).await,
        Incoming::Plain(plain) => {
            let response = respond(plain.request())?;
            plain.respond(&response).await
        }
    }
}

async fn echo(upgrade: PendingUpgrade<ServerTlsStream<TcpStream>>) -> Result<(), Error> {
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

fn respond(request: &PlainRequest) -> Result<Response, SendError> {
    match (request.method(), request.target()) {
        ("GET" | "HEAD", "/") => Ok(Response::new(200)?
            .header("Content-Type", "text/html; charset=utf-8")?
            .body(include_str!("echo.html"))),
        _ => not_found(),
    }
}

fn not_found() -> Result<Response, SendError> {
    Ok(Response::new(404)?.body("no such page\n"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Makes a certificate that is good for as long as the program runs.
fn self_signed() -> Result<TlsAcceptor, Box<dyn StdError>> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let certified = rcgen::generate_simple_self_signed(names)?;
    let (chain, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    Ok(TlsAcceptor::from_pem(chain.as_bytes(), key.as_bytes())?)
}
