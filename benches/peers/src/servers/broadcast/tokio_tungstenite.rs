//! tokio-tungstenite with its default configuration: its `server` example, over `room`.

use std::io;

use tokio_tungstenite::tungstenite::Message;

use super::room::Room;
use super::{Serving, runtime};

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    let room = Room::new();
    runtime::serve(serving, move |stream| {
        let room = room.clone();
        async move {
            let Ok(socket) = tokio_tungstenite::accept_async(stream).await else {
                return;
            };
            let is_data = |message: &Message| message.is_text() || message.is_binary();
            room.run(socket, is_data).await;
        }
    })
}
