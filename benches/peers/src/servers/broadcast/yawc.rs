//! yawc over hyper's upgrade, over `room`.

use std::convert::Infallible;
use std::io;

use futures_util::StreamExt;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use yawc::{Frame, HttpWebSocket, OpCode, UpgradeFut, WebSocket, WebSocketError};

use super::room::Room;
use super::{Serving, runtime};

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    let room = Room::new();
    runtime::serve(serving, move |stream| {
        let room = room.clone();
        let service = service_fn(move |request| upgrade(request, room.clone()));
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        async move { drop(connection.await) }
    })
}

async fn upgrade(
    mut request: Request<Incoming>,
    room: Room<Frame>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, socket) = WebSocket::upgrade(&mut request)?;
    tokio::spawn(chat(socket, room));
    Ok(response)
}

async fn chat(socket: UpgradeFut, room: Room<Frame>) {
    let Ok(socket): Result<HttpWebSocket, _> = socket.await else {
        return;
    };
    let is_data = |frame: &Frame| matches!(frame.opcode(), OpCode::Text | OpCode::Binary);
    room.run(socket.map(Ok::<_, Infallible>), is_data).await;
}
