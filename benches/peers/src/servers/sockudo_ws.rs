//! sockudo-ws with its default configuration.
//!
//! Its `simple_echo` example.

use std::io;

use futures_util::{SinkExt, StreamExt};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{Config, Error, Message, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Serving;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    super::runtime::serve(serving, async |stream| drop(echo(stream).await))
}

async fn echo(mut stream: TcpStream) -> Result<(), Error> {
    shake_hands(&mut stream).await?;
    let mut socket = WebSocketStream::server(stream, Config::default());
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => socket.send(Message::Text(text)).await?,
            Message::Binary(data) => socket.send(Message::Binary(data)).await?,
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => break,
        }
    }
    Ok(())
}

pub(super) async fn shake_hands(stream: &mut TcpStream) -> Result<(), Error> {
    let mut head = Vec::with_capacity(4096);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((request, _)) = parse_request(&head)? {
            let accept_key = generate_accept_key(request.key);
            let response = build_response(&accept_key, None, None);
            return Ok(stream.write_all(&response).await?);
        }
    }
}
