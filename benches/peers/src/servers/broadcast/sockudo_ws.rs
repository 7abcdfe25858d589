//! sockudo-ws with its default configuration, over `room`.
//!
//! Its own `PubSub` is a room of the same kind, with topics; its example sends, and flushes, each
//! message on its own, which is slower.

use std::io;

use sockudo_ws::{Config, Message, WebSocketStream};

use super::room::Room;
use super::{Serving, runtime};
use crate::servers::sockudo_ws::shake_hands;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    let room = Room::new();
    runtime::serve(serving, move |mut stream| {
        let room = room.clone();
        async move {
            if shake_hands(&mut stream).await.is_err() {
                return;
            }
            let socket = WebSocketStream::server(stream, Config::default());
            let is_data =
                |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
            room.run(socket, is_data).await;
        }
    })
}
