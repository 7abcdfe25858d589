//! tungstenite, which tokio-tungstenite wraps, with its default configuration.
//!
//! Its `server` example: a thread for each connection.

use std::io;
use std::net::TcpStream;

use tungstenite::{Error, accept};

use super::Serving;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    super::threads::serve(serving, |stream| drop(echo(stream)))
}

fn echo(stream: TcpStream) -> Result<(), Error> {
    // What goes wrong in the handshake is another type of error, and is nothing to tell apart here.
    let Ok(mut socket) = accept(stream) else {
        return Ok(());
    };
    loop {
        let message = socket.read()?;
        if message.is_binary() || message.is_text() {
            socket.send(message)?;
        }
    }
}
