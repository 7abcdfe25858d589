//! A task per connection.

use std::error::Error;
use std::future::{self, Future};
use std::time::Duration;

use framewright::handshake::OriginPolicy;
use framewright::tokio::{self as adapter, Server};
use framewright::{CloseCode, Config, Event};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::{Args, Security};

pub(crate) fn serve(args: &Args, config: Config, security: Security) -> Result<(), Box<dyn Error>> {
    // An echo has no secrets and no cookies, so every page may connect.
    let server = Server::new()
        .config(config)
        .origin_policy(OriginPolicy::Any);
    let server = args.subprotocol.iter().fold(server, Server::subprotocol);
    #[cfg(feature = "deflate")]
    let server = if args.deflate {
        server.deflate(framewright::DeflateConfig::default())
    } else {
        server
    };
    let listen = args.listen;
    tokio::runtime::Runtime::new()?.block_on(async {
        let bound = TcpListener::bind(listen).await;
        let listener = bound.map_err(|error| format!("{listen}: {error}"))?;
        let address = listener.local_addr()?;
        println!("listening on {}://{address}", security.scheme());
        let (leave, leaving) = watch::channel(());
        // Each task holds a sender: when all are gone, nobody is connected.
        let (connected, mut all_gone) = mpsc::channel::<()>(1);
        let accepting = accept(&listener, &server, &security, (leaving, connected));
        tokio::select! {
            // In this order, so that Ctrl-C is heard before anybody is accepted.
            biased;
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            () = accepting => {}
        }
        drop(leave);
        // Each Close is answered or given up within its close_timeout.
        all_gone.recv().await;
        Ok(())
    })
}

/// Accepts connections, each in a task of its own, for ever.
async fn accept(
    listener: &TcpListener,
    server: &Server,
    security: &Security,
    (leaving, connected): (watch::Receiver<()>, mpsc::Sender<()>),
) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most often too many open files: connections that end give some back.
                eprintln!("accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (server, security) = (server.clone(), security.clone());
        let (leaving, connected) = (leaving.clone(), connected.clone());
        tokio::spawn(async move {
            if let Err(error) = greet(&server, &security, stream, leaving).await {
                eprintln!("{peer}: {error}");
            }
            drop(connected);
        });
    }
}

async fn greet(
    server: &Server,
    security: &Security,
    stream: TcpStream,
    leaving: watch::Receiver<()>,
) -> Result<(), adapter::Error> {
    stream.set_nodelay(true)?;
    match security {
        Security::None => echo(server, future::ready(Ok(stream)), leaving).await,
        #[cfg(feature = "tokio-rustls")]
        Security::Tls(acceptor) => echo(server, server.secure(stream, acceptor), leaving).await,
        #[cfg(all(feature = "rustls", not(feature = "tokio-rustls")))]
        Security::Tls(_) => Err(adapter::Error::TlsRequired),
    }
}

/// Serves one client, until it or the server leaves.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    server: &Server,
    stream: impl Future<Output = Result<S, adapter::Error>>,
    mut leaving: watch::Receiver<()>,
) -> Result<(), adapter::Error> {
    let accepting = async { server.accept(stream.await?).await };
    let mut socket = tokio::select! {
        accepted = accepting => accepted?,
        // Whoever is not connected yet is not waited for.
        _ = leaving.changed() => return Ok(()),
    };
    loop {
        tokio::select! {
            received = socket.recv_event() => {
                let Some((event, mut outbox)) = received? else {
                    return Ok(());
                };
                // What is fed leaves before the task waits, so a burst is answered in one write.
                match event {
                    Event::Text(text) => outbox.feed_text(text)?,
                    Event::Binary(data) => outbox.feed_binary(data)?,
                    // Pings and the Close are answered already.
                    Event::Chunk(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {}
                }
            }
            // The sender is dropped: the server leaves.
            _ = leaving.changed() => {
                socket.close(CloseCode::GOING_AWAY, "server is leaving").await?;
                return Ok(());
            }
        }
    }
}
