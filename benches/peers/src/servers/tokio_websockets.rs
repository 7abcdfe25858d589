//! tokio-websockets with its default configuration, but that it sends a message of 16 MiB in one
//! frame.
//!
//! Its `echo_server` example, with the default limits, and without keeping the request, which takes
//! more memory.

use std::io;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_websockets::{Config, Error, ServerBuilder};

use super::Serving;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    super::runtime::serve(serving, async |stream| drop(echo(stream).await))
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let config = Config::default().frame_size(16 << 20);
    let (_, mut socket) = ServerBuilder::new().config(config).accept(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
