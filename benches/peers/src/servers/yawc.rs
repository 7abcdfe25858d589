//! yawc over hyper's upgrade: its `echo_server` example.
//!
//! Its limit of a message is raised from 1 MiB, else the longest row fails.

use std::io;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use yawc::{HttpWebSocket, OpCode, Options, UpgradeFut, WebSocket, WebSocketError};

use super::Serving;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    super::runtime::serve(serving, async |stream: TcpStream| {
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(upgrade))
            .with_upgrades();
        drop(connection.await);
    })
}

async fn upgrade(
    mut request: Request<Incoming>,
) -> Result<Response<http_body_util::Empty<hyper::body::Bytes>>, WebSocketError> {
    let options = Options::default().with_limits(32 << 20, 64 << 20);
    let (response, socket) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(async { drop(echo(socket).await) });
    Ok(response)
}

async fn echo(socket: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket: HttpWebSocket = socket.await?;
    while let Some(frame) = socket.next().await {
        if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
            socket.send(frame).await?;
        }
    }
    Ok(())
}
