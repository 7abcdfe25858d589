//! fastwebsockets over hyper's upgrade: its `echo_server_split` example, with a channel from
//! `room`.
//!
//! It writes each frame on its own, whatever waits; and its `read_frame` may not be dropped half
//! way, so that reading and writing are two tasks.

use std::io;

use fastwebsockets::upgrade::{self, UpgradeFut};
use fastwebsockets::{FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

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
    room: Room<Bytes>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, socket) = upgrade::upgrade(&mut request)?;
    tokio::spawn(async { drop(chat(socket, room).await) });
    Ok(response)
}

async fn chat(socket: UpgradeFut, room: Room<Bytes>) -> Result<(), WebSocketError> {
    let (reader, mut writer) = socket.await?.split(tokio::io::split);
    let mut reader = FragmentCollectorRead::new(reader);
    let (member, mut queue) = room.join();
    let writing = tokio::spawn(async move {
        while let Some(data) = queue.recv().await {
            let frame = Frame::binary(Payload::Borrowed(&data));
            if writer.write_frame(frame).await.is_err() {
                return;
            }
        }
    });
    loop {
        // No Ping comes, and the answer to a Close is not waited for.
        let mut ignore = async |_: Frame<'_>| Ok::<_, WebSocketError>(());
        let frame = reader.read_frame(&mut ignore).await;
        match frame.map(|frame| (frame.opcode, Bytes::copy_from_slice(&frame.payload))) {
            Ok((OpCode::Text | OpCode::Binary, data)) => member.send_to_others(&data),
            Ok((OpCode::Continuation | OpCode::Ping | OpCode::Pong, _)) => {}
            Ok((OpCode::Close, _)) | Err(_) => break,
        }
    }
    writing.abort();
    Ok(())
}
