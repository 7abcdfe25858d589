//! No WebSocket: bytes come back, through a buffer of 4 KiB that the task holds.
//!
//! How most people write it first: the buffer lives across an await, so every task has one.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Serving;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    super::runtime::serve(serving, async |stream| drop(echo(stream).await))
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len]).await?;
    }
}
