//! A hyper server with a page and a WebSocket on one port.
//!
//! ```text
//! cargo run --example hyper_server --features hyper
//! ```
//!
//! It prints `open http://127.0.0.1:9003/`; the page there opens a WebSocket and shows what it
//! sends and what comes back. `curl -i http://127.0.0.1:9003/ws` shows what others get. It unwraps
//! where a server would log and go on.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use clap::Parser;
use framewright::hyper::{Error, Upgrade, Upgrader};
use framewright::{Config, Event};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

#[derive(Parser)]
#[command(about = "A hyper server with a page and a WebSocket on one port.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9003")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen).await.unwrap();
    println!("open http://{}/", listener.local_addr().unwrap());
    let mut config = Config::default();
    config.max_message_len = 64 << 10;
    let upgrader = Upgrader::new().config(config);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(stream, upgrader.clone()));
    }
}

async fn serve(stream: TcpStream, upgrader: Upgrader) {
    let service = service_fn(|request| {
        let response = respond(request, &upgrader);
        async { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new()) // Without it a client may take for ever to send its request.
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades() // Without it there are none.
        .await;
    if let Err(error) = served {
        eprintln!("serve: {error}");
    }
}

fn respond(mut request: Request<Incoming>, upgrader: &Upgrader) -> Response<Full<Bytes>> {
    let response = match request.uri().path() {
        "/" => {
            let page = Response::builder().header("Content-Type", "text/html; charset=utf-8");
            page.body(include_str!("echo.html").into()).unwrap()
        }
        "/ws" => match upgrader.upgrade(&mut request) {
            Ok((response, upgrade)) => {
                tokio::spawn(async {
                    if let Err(error) = echo(upgrade).await {
                        eprintln!("echo: {error}");
                    }
                });
                response
            }
            Err(error) => Response::from(&error),
        },
        _ => {
            let mut response = Response::new(Bytes::from("no such page\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    };
    response.map(Full::new)
}

async fn echo(upgrade: Upgrade) -> Result<(), Error> {
    let mut socket = upgrade.await?;
    while let Some((event, mut outbox)) = socket.recv_event().await? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            _ => {} // Pings and the Close are answered already.
        }
    }
    Ok(())
}
