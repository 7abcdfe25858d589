//! A server that leaves without losing anything, and says at any time how it is.
//!
//! ```text
//! cargo run --example graceful --features tokio
//! ```
//!
//! It prints `open http://127.0.0.1:9024/`; the page there opens a WebSocket and shows what it
//! sends and what comes back. `curl http://127.0.0.1:9024/health` says `ok` and how many are
//! connected.
//!
//! Ctrl-C, or SIGTERM as service managers send it, has it stop accepting, send every client a Close
//! with code 1001, which the page shows, and wait for their answers, but no longer than
//! `--deadline`. Then it prints how that went, and exits with 0, or with 1 if somebody had to be
//! dropped.
//!
//! Behind a load balancer, leave the list of servers first: where health is asked for on this port,
//! nobody answers once the server leaves.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use framewright::handshake::{Acceptance, PlainRequest, Response};
use framewright::tokio::{Error, Incoming, Server, WebSocket};
use framewright::{CloseCode, Event, SendError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

#[derive(Parser)]
#[command(about = "An echo server that leaves without losing anything.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9024")]
    listen: SocketAddr,

    /// How long to wait for clients when leaving.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    deadline: u64,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn StdError>> {
    let args = Args::parse();
    let told_to_leave = told_to_leave()?;
    let listener = TcpListener::bind(args.listen).await?;
    println!("open http://{}/", listener.local_addr()?);
    let (leave, leaving) = watch::channel(());
    let house = House {
        server: Server::new(),
        connected: Arc::default(),
        leaving,
    };
    let mut clients = JoinSet::new();

    tokio::select! {
        () = accept(&listener, &house, &mut clients) => {}
        () = told_to_leave => {}
    }

    // 1. Nobody new: whoever connects is refused by the system, and tries another server.
    drop(listener);
    // 2. Everybody is told, because the sender is dropped; each task ends once its client has
    //    answered.
    println!(
        "leaving, {} connected",
        house.connected.load(Ordering::Relaxed)
    );
    drop(leave);
    // 3. But nobody is waited for without end.
    let all_left = async { while clients.join_next().await.is_some() {} };
    let outcome = timeout(Duration::from_secs(args.deadline), all_left).await;
    match outcome {
        Ok(()) => {
            println!("everybody has left");
            Ok(ExitCode::SUCCESS)
        }
        Err(_) => {
            println!("{} dropped at the deadline", clients.len());
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct House {
    server: Server,
    connected: Arc<AtomicUsize>,
    leaving: watch::Receiver<()>,
}

/// Accepts connections, each in a task of its own, for ever.
async fn accept(listener: &TcpListener, house: &House, clients: &mut JoinSet<()>) {
    loop {
        tokio::select! {
            // At the limit, those who knock wait in the system's queue.
            accepted = listener.accept(), if clients.len() < MAX_CLIENTS => match accepted {
                Ok((stream, peer)) => {
                    let house = house.clone();
                    clients.spawn(async move {
                        if let Err(error) = serve(house, stream).await {
                            eprintln!("{peer}: {error}");
                        }
                    });
                }
                Err(error) => {
                    // Most often too many open files: connections that end give some back.
                    eprintln!("accept: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn serve(mut house: House, stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let server = house.server.clone();
    let incoming = tokio::select! {
        incoming = server.receive(stream) => incoming?,
        // Whoever has not asked for anything yet is not waited for.
        _ = house.leaving.changed() => return Ok(()),
    };
    match incoming {
        Incoming::Plain(plain) => {
            let response = respond(&house, plain.request())?;
            plain.respond(&response).await
        }
        Incoming::Upgrade(upgrade) if upgrade.request().path() == "/ws" => {
            let socket = upgrade.accept(Acceptance::new()).await?;
            house.connected.fetch_add(1, Ordering::Relaxed);
            let outcome = echo(socket, house.leaving).await;
            house.connected.fetch_sub(1, Ordering::Relaxed);
            outcome
        }
        Incoming::Upgrade(upgrade) => upgrade.reject(&not_found()?).await,
    }
}

async fn echo(
    mut socket: WebSocket<TcpStream>,
    mut leaving: watch::Receiver<()>,
) -> Result<(), Error> {
    let mut is_leaving = false;
    loop {
        tokio::select! {
            received = socket.recv_event() => {
                let Some((event, mut outbox)) = received? else {
                    return Ok(());
                };
                let fed = match event {
                    Event::Text(text) => outbox.feed_text(text),
                    Event::Binary(data) => outbox.feed_binary(data),
                    _ => Ok(()), // Pings and the Close are answered already.
                };
                match fed {
                    // What was under way when we said goodbye is received, and not answered.
                    Err(SendError::Closing) if is_leaving => {}
                    fed => fed?,
                }
            }
            // Receiving goes on until the client has answered, within `Config::close_timeout`.
            _ = leaving.changed(), if !is_leaving => {
                is_leaving = true;
                match socket.send_close(CloseCode::GOING_AWAY, "server is leaving").await {
                    // The client was faster.
                    Err(Error::Send(SendError::Closing)) => {}
                    sent => sent?,
                }
            }
        }
    }
}

fn respond(house: &House, request: &PlainRequest) -> Result<Response, SendError> {
    match (request.method(), request.target()) {
        ("GET" | "HEAD", "/") => Ok(Response::new(200)?
            .header("Content-Type", "text/html; charset=utf-8")?
            .body(include_str!("echo.html"))),
        ("GET" | "HEAD", "/health") => {
            let connected = house.connected.load(Ordering::Relaxed);
            Ok(Response::new(200)?
                .header("Content-Type", "text/plain")?
                .header("Cache-Control", "no-store")?
                .body(format!("ok, {connected} connected\n")))
        }
        _ => not_found(),
    }
}

fn not_found() -> Result<Response, SendError> {
    Ok(Response::new(404)?.body("no such page\n"))
}

/// Waits for Ctrl-C or, on Unix, SIGTERM: one that comes after this call is not missed.
#[cfg(unix)]
fn told_to_leave() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

#[cfg(windows)]
fn told_to_leave() -> io::Result<impl Future<Output = ()>> {
    let mut interrupted = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupted.recv().await;
    })
}

const MAX_CLIENTS: usize = 10_000;
