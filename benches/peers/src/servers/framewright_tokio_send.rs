//! framewright's tokio adapter, used as the examples of other libraries are: each message is sent,
//! and flushed, on its own.

use std::io;

use framewright::tokio::{Error, accept};
use tokio::net::TcpStream;

use super::Serving;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    super::runtime::serve(serving, async |stream| drop(echo(stream).await))
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let mut socket = accept(stream).await?;
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}
