//! tokio-websockets with its default configuration, over `room`.

use std::io;

use tokio_websockets::{Message, ServerBuilder};

use super::room::Room;
use super::{Serving, runtime};

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    let room = Room::new();
    runtime::serve(serving, move |stream| {
        let room = room.clone();
        async move {
            let Ok((_, socket)) = ServerBuilder::new().accept(stream).await else {
                return;
            };
            let is_data = |message: &Message| message.is_text() || message.is_binary();
            room.run(socket, is_data).await;
        }
    })
}
