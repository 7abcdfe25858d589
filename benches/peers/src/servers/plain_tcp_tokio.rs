//! No WebSocket: bytes come back, and nothing is held between two reads.
//!
//! The floor of every server on tokio: a task, a socket in its reactor, and no buffer, because the
//! one that is read into lives on the worker's stack.

use std::io::{self, ErrorKind};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::Serving;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    super::runtime::serve(serving, async |stream| drop(echo(stream).await))
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    loop {
        stream.readable().await?;
        match echo_once(&stream) {
            Ok(Echoed::All) => {}
            Ok(Echoed::AllBut(rest)) => stream.write_all(&rest).await?,
            Ok(Echoed::End) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

enum Echoed {
    All,
    /// The socket did not take this.
    AllBut(Vec<u8>),
    End,
}

/// Reads and writes once, with a buffer that is gone before anything is awaited.
fn echo_once(stream: &TcpStream) -> io::Result<Echoed> {
    let mut buffer = [0; 4096];
    let len = stream.try_read(&mut buffer)?;
    if len == 0 {
        return Ok(Echoed::End);
    }
    let written = match stream.try_write(&buffer[..len]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        written => written?,
    };
    Ok(if written == len {
        Echoed::All
    } else {
        Echoed::AllBut(buffer[written..len].to_vec())
    })
}
