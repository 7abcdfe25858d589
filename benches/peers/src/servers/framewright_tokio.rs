//! framewright's tokio adapter with its default configuration.
//!
//! The echo of its README.

use std::io;

use framewright::Event;
use framewright::tokio::{Error, accept};
use tokio::net::TcpStream;

use super::Serving;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    super::runtime::serve(serving, async |stream| drop(echo(stream).await))
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let mut socket = accept(stream).await?;
    while let Some((event, mut outbox)) = socket.recv_event().await? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            _ => {} // Pings and the Close are answered already.
        }
    }
    Ok(())
}
