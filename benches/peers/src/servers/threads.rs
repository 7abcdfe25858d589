//! What the servers that block share: a thread per connection.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::Serving;

/// Listens, and runs `handle` for each connection on a thread of its own.
pub(super) fn serve(serving: Serving, handle: fn(TcpStream)) -> io::Result<()> {
    let listener = TcpListener::bind(serving.listen)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        thread::Builder::new().spawn(move || handle(stream))?;
    }
}
