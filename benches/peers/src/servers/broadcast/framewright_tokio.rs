//! framewright's tokio adapter with its `Broadcast`: the example in its documentation.

use std::io;

use framewright::PreparedMessage;
use framewright::tokio::{Broadcast, Error, accept};
use tokio::net::TcpStream;

use super::{Serving, runtime};

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    let room = Broadcast::new();
    runtime::serve(serving, move |stream| {
        let room = room.clone();
        async { drop(chat(stream, room).await) }
    })
}

async fn chat(stream: TcpStream, room: Broadcast<TcpStream>) -> Result<(), Error> {
    let (mut reader, writer) = accept(stream).await?.split();
    let membership = room.join(writer);
    while let Some(message) = reader.recv().await? {
        membership.send_to_others(&PreparedMessage::try_from(message)?);
    }
    Ok(())
}
