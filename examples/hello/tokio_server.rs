//! A server with a task for each connection.

use std::io;
use std::net::SocketAddr;

use framewright::Message;
use framewright::tokio::{Error, accept};
use tokio::net::{TcpListener, TcpStream};

pub(crate) async fn serve(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = greet(stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn greet(stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut socket = accept(stream).await?;
    while let Some(message) = socket.recv().await? {
        if let Message::Text(name) = message {
            socket.send(format!("Hello {name}!")).await?;
        }
    }
    Ok(())
}
