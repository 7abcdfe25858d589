//! A client on tokio.

use framewright::tokio::{Error, connect};
use framewright::{CloseCode, Message};

pub(crate) async fn greet(url: &str, name: &str) -> Result<(), Error> {
    let mut socket = connect(url).await?;
    socket.send(name).await?;
    if let Some(Message::Text(greeting)) = socket.recv().await? {
        println!("{greeting}");
    }
    let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await?;
    println!("clean: {}, code: {}", end.is_clean(), end.code());
    Ok(())
}
