//! The server: it echoes, in three ways by turns.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use framewright::Event;
use framewright::handshake::DeflateConfig;
use framewright::tokio::{Error, Server, WebSocket};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::tally::Count;

/// Says where it listens, echoes until the standard input ends, and says how many connections are
/// left that do not go away.
pub(crate) async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let open = Arc::new(Count::default());
    let accepting = accept_all(listener, Arc::clone(&open));
    let mut input = tokio::io::stdin();
    let mut nothing = Vec::new();
    tokio::select! {
        // Only an error ends it.
        failed = accepting => return failed,
        ended = input.read_to_end(&mut nothing) => drop(ended?),
    }
    // Those that vanished are found by their keepalive, if by nothing else.
    for _ in 0..60 {
        if open.get() == 0 {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    println!("left {}", open.get());
    Ok(())
}

async fn accept_all(listener: TcpListener, open: Arc<Count>) -> io::Result<()> {
    let server = Arc::new(Server::new().deflate(DeflateConfig::default()));
    for number in 0_u64.. {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (server, open) = (Arc::clone(&server), Arc::clone(&open));
        open.add(1);
        tokio::spawn(async move {
            // Clients die as they please: it is they who judge.
            let _ = echo(&server, stream, number).await;
            open.take(1);
        });
    }
    Ok(())
}

async fn echo(server: &Server, stream: TcpStream, number: u64) -> Result<(), Error> {
    let socket = server.accept(stream).await?;
    match number % 3 {
        0 => echo_events(socket).await,
        1 => echo_messages(socket).await,
        _ => echo_halves(socket).await,
    }
}

async fn echo_events(mut socket: WebSocket<TcpStream>) -> Result<(), Error> {
    while let Some((event, mut outbox)) = socket.recv_event().await? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            Event::Chunk(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {}
        }
    }
    Ok(())
}

async fn echo_messages(mut socket: WebSocket<TcpStream>) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn echo_halves(socket: WebSocket<TcpStream>) -> Result<(), Error> {
    let (mut reader, mut writer) = socket.split();
    while let Some(message) = reader.recv().await? {
        writer.feed(message).await?;
    }
    Ok(())
}
