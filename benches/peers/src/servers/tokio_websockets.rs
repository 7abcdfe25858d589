//! tokio-websockets with its default configuration.
//!
//! Its `echo_server` example, with the default limits, and without keeping the request, which takes
//! more memory.

use std::io;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_websockets::{Error, ServerBuilder};

pub(crate) fn serve(listen: SocketAddr) -> io::Result<()> {
    super::runtime::serve(listen, async |stream| drop(echo(stream).await))
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let (_, mut socket) = ServerBuilder::new().accept(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
