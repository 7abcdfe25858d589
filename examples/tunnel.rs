//! TCP through a WebSocket: for what must pass where only HTTP does.
//!
//! ```text
//! cargo run --example tunnel --features tokio -- server --to 127.0.0.1:22
//! cargo run --example tunnel --features tokio -- client --via ws://127.0.0.1:9019/
//! ```
//!
//! The server prints `listening on ws://127.0.0.1:9019`, the client `listening on 127.0.0.1:9025`.
//! Whoever connects to the client talks to what the server connects to: here `ssh -p 9025
//! 127.0.0.1`. With `--token SECRET` on both sides the server lets nobody else in. With `--features
//! tokio-rustls,ring,rustls-platform-verifier` the client goes to `wss:` servers too, such as one
//! behind nginx.
//!
//! TCP may end in one direction and go on in the other; a WebSocket closes as a whole. Where one
//! side has sent its last byte, the other side's are not waited for.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, Subcommand};
use framewright::handshake::{Acceptance, ClientRequest, Response};
use framewright::tokio::{ByteStream, Client, Error, Incoming, Server, WebSocket};
use framewright::{Config, Delivery};
use tokio::io::{self, AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

#[derive(Parser)]
#[command(about = "TCP through a WebSocket.")]
struct Args {
    #[command(subcommand)]
    side: Side,
}

#[derive(Subcommand)]
enum Side {
    /// Accepts WebSockets, and connects each to a TCP server.
    Server {
        /// Where to listen; port 0 takes any that is free.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9019")]
        listen: SocketAddr,

        /// Where to connect to, HOST:PORT.
        #[arg(long, value_name = "ADDR")]
        to: String,

        /// What clients must know.
        #[arg(long)]
        token: Option<String>,
    },
    /// Accepts TCP, and carries each connection through a WebSocket.
    Client {
        /// Where to listen; port 0 takes any that is free.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9025")]
        listen: SocketAddr,

        /// The server of the tunnel.
        #[arg(long, value_name = "URL")]
        via: String,

        /// What the server wants to be told.
        #[arg(long)]
        token: Option<String>,
    },
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    match Args::parse().side {
        Side::Server { listen, to, token } => {
            let listener = TcpListener::bind(listen).await?;
            println!("listening on ws://{}", listener.local_addr()?);
            let expected = token.map(|token| format!("Bearer {token}"));
            let server = Server::new().config(config());
            each(listener, move |stream| {
                let (server, to, expected) = (server.clone(), to.clone(), expected.clone());
                async move { leave(&server, stream, &to, expected.as_deref()).await }
            })
            .await
        }
        Side::Client { listen, via, token } => {
            let mut request = ClientRequest::new(&via)?;
            if let Some(token) = token {
                request = request.header("Authorization", format!("Bearer {token}"))?;
            }
            let listener = TcpListener::bind(listen).await?;
            println!("listening on {}", listener.local_addr()?);
            let client = Client::new(request).config(config());
            each(listener, move |stream| {
                let client = client.clone();
                async move { enter(&client, stream).await }
            })
            .await
        }
    }
}

/// A message is no unit here: bytes pass as they come, however long theirs is.
fn config() -> Config {
    let mut config = Config::default();
    config.delivery = Delivery::Chunks;
    config.max_message_len = Config::UNLIMITED;
    config.max_frame_len = Config::UNLIMITED;
    config
}

/// Carries a TCP connection to the server of the tunnel.
async fn enter(client: &Client, stream: TcpStream) -> Result<(), Error> {
    let (socket, _) = client.connect().await?;
    carry(stream, socket).await
}

/// Carries a WebSocket on to where the tunnel ends.
async fn leave(
    server: &Server,
    stream: TcpStream,
    to: &str,
    expected: Option<&str>,
) -> Result<(), Error> {
    let upgrade = match server.receive(stream).await? {
        Incoming::Upgrade(upgrade) => upgrade,
        Incoming::Plain(plain) => {
            let response = Response::new(426)?.header("Upgrade", "websocket")?;
            return plain.respond(&response).await;
        }
    };
    let token = upgrade.request().headers().single("Authorization");
    if expected.is_some_and(|expected| token != Some(expected.as_bytes())) {
        let response = Response::new(401)?.header("WWW-Authenticate", "Bearer")?;
        return upgrade.reject(&response).await;
    }
    // Before the upgrade is accepted, so that the client learns what is wrong.
    let connecting = timeout(Duration::from_secs(10), TcpStream::connect(to));
    let Ok(Ok(target)) = connecting.await else {
        let response = Response::new(502)?.body("nobody answers there\n");
        return upgrade.reject(&response).await;
    };
    target.set_nodelay(true)?;
    let socket = upgrade.accept(Acceptance::new()).await?;
    carry(target, socket).await
}

/// Carries bytes both ways, until the WebSocket has closed.
async fn carry<S>(stream: TcpStream, socket: WebSocket<S>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut tcp_reader, mut tcp_writer) = stream.into_split();
    let (mut reader, mut writer) = io::split(ByteStream::new(socket));
    let inwards = async {
        match io::copy(&mut tcp_reader, &mut writer).await {
            // The other side has closed, and what it said before is still on its way out of here.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            copied => copied.map(drop),
        }?;
        writer.shutdown().await // This sends the Close, whose answer ends the other direction.
    };
    let outwards = async {
        io::copy(&mut reader, &mut tcp_writer).await?;
        tcp_writer.shutdown().await
    };
    tokio::select! {
        outcome = outwards => outcome?,
        Err(error) = inwards => return Err(error.into()),
    }
    Ok(())
}

/// Serves each connection in a task of its own, for ever.
async fn each<F>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F,
) -> Result<(), Box<dyn StdError>>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
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
        stream.set_nodelay(true)?;
        let serving = serve(stream);
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}
