//! An axum server with a page and a WebSocket on one port.
//!
//! ```text
//! cargo run --example axum_server --features axum
//! ```
//!
//! It prints `open http://127.0.0.1:9002/`; the page there opens a WebSocket and shows what it
//! sends and what comes back. Ctrl-C sends every client a Close with code 1001, which the page
//! shows, and ends the program. It unwraps where a server would log and go on.

use std::net::SocketAddr;

use axum::extract::State;
use axum::response::{Html, Response};
use axum::routing::{any, get};
use axum::{Router, serve};
use clap::Parser;
use framewright::CloseCode;
use framewright::axum::{Error, WebSocket, WebSocketUpgrade};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[derive(Parser)]
#[command(about = "An axum server with a page and a WebSocket on one port.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9002")]
    listen: SocketAddr,
}

/// Every clone of it sees when the server leaves, and the server sees when all clones are dropped.
type Leaving = watch::Receiver<bool>;

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen).await.unwrap();
    println!("open http://{}/", listener.local_addr().unwrap());
    let (leave, leaving) = watch::channel(false);
    let app = Router::new()
        .route("/", get(Html(include_str!("echo.html"))))
        .route("/ws", any(upgrade)) // GET in HTTP/1.1, CONNECT in HTTP/2.
        .with_state(leaving);
    let shutdown = {
        let leave = leave.clone();
        async move {
            tokio::signal::ctrl_c().await.unwrap();
            leave.send_replace(true);
        }
    };
    serve(listener, app)
        .with_graceful_shutdown(shutdown)
        .await
        .unwrap();
    // axum does not wait for connections that it has handed over.
    leave.closed().await;
}

async fn upgrade(ws: WebSocketUpgrade, State(leaving): State<Leaving>) -> Response {
    ws.max_message_size(64 << 10)
        .on_failed_upgrade(|error| eprintln!("upgrade: {error}"))
        .on_upgrade(|socket| async {
            if let Err(error) = echo(socket, leaving).await {
                eprintln!("echo: {error}");
            }
        })
}

async fn echo(mut socket: WebSocket, mut leaving: Leaving) -> Result<(), Error> {
    loop {
        tokio::select! {
            received = socket.recv() => match received.transpose()? {
                Some(message) if message.is_text() || message.is_binary() => {
                    socket.send(message).await?;
                }
                Some(_) => {} // Pings and the Close are answered already.
                None => return Ok(()),
            },
            _ = leaving.changed() => {
                let mut socket = socket.into_inner();
                socket.close(CloseCode::GOING_AWAY, "server is leaving").await?;
                return Ok(());
            }
        }
    }
}
