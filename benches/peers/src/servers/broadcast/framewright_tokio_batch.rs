//! framewright's tokio adapter and its `Broadcast`: what came at once is sent as a batch, which the
//! task that received it writes to all.

use std::io;

use framewright::PreparedMessage;
use framewright::tokio::{Broadcast, Error, accept};
use futures_util::FutureExt;
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
    let mut batch = Vec::new();
    while let Some(message) = reader.recv().await? {
        batch.push(PreparedMessage::try_from(message)?);
        // Dropped before it was ready, it has lost nothing.
        while batch.len() < MAX_BATCH
            && let Some(Ok(Some(message))) = reader.recv().now_or_never()
        {
            batch.push(PreparedMessage::try_from(message)?);
        }
        membership.send_batch_to_others(&batch).await;
        batch.clear();
    }
    Ok(())
}

const MAX_BATCH: usize = 64;
