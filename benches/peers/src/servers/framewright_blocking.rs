//! framewright's blocking adapter with its default configuration.
//!
//! The echo of its README, without the `async` and the `.await`: a thread for each connection.

use std::io;
use std::net::TcpStream;

use framewright::Event;
use framewright::blocking::{Error, accept};

use super::Serving;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    super::threads::serve(serving, |stream| drop(echo(stream)))
}

fn echo(stream: TcpStream) -> Result<(), Error> {
    let mut socket = accept(stream)?;
    while let Some((event, mut outbox)) = socket.recv_event()? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            _ => {} // Pings and the Close are answered already.
        }
    }
    Ok(())
}
