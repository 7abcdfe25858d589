//! A client that blocks.

use framewright::blocking::{Error, connect};
use framewright::{CloseCode, Message};

pub(crate) fn greet(url: &str, name: &str) -> Result<(), Error> {
    let mut socket = connect(url)?;
    socket.send(name)?;
    if let Some(Message::Text(greeting)) = socket.recv()? {
        println!("{greeting}");
    }
    let end = socket.close(CloseCode::NORMAL_CLOSURE, "")?;
    println!("clean: {}, code: {}", end.is_clean(), end.code());
    Ok(())
}
