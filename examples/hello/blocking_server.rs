//! A server with a thread for each connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use framewright::Message;
use framewright::blocking::{Error, accept};

pub(crate) fn serve(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        thread::spawn(move || {
            if let Err(error) = greet(stream) {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

fn greet(stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut socket = accept(stream)?;
    while let Some(message) = socket.recv()? {
        if let Message::Text(name) = message {
            socket.send(format!("Hello {name}!"))?;
        }
    }
    Ok(())
}
