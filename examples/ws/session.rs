//! One connection, from its opening to its end.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::time::{Duration, Instant};

use framewright::tokio::{Error, Reader, WebSocket, Writer};
use framewright::{CloseCode, End, EndCause, Event, Initiator, SendError};

use crate::console::{Command, Input, Output};
use crate::tap::Tap;

/// Sends what comes in and prints what arrives, until the connection has ended.
///
/// Both go on at the same time: a peer that answers does not wait for us to be done with sending.
pub(crate) async fn converse(
    socket: WebSocket<Tap>,
    input: &mut Input,
    output: &mut Output,
    wait: Option<Duration>,
) -> Result<End, Box<dyn StdError>> {
    let (mut reader, mut writer) = socket.split();
    let closer = writer.clone();
    let pinged = RefCell::new(None);
    let end = tokio::select! {
        biased; // Ctrl-C is heard before anything is printed.
        () = interrupt(closer) => Err("interrupted".into()),
        sent = send(&mut writer, input, wait, &pinged) => Err(sent),
        received = receive(&mut reader, output, &pinged) => received,
    };
    if end.is_err() {
        // It is not waited for the answer: what went wrong is on this side.
        let _ = writer.send_close(CloseCode::GOING_AWAY, "").await;
    }
    end
}

/// Says whether a connection ended as it should, and if not, why.
pub(crate) fn judge(end: &End) -> Result<(), String> {
    match end.cause {
        EndCause::ClosingHandshake => {}
        EndCause::Protocol(error) => return Err(format!("the other side broke a rule: {error}")),
        EndCause::KeepaliveTimeout => return Err("no answer to a Ping".to_owned()),
        EndCause::CloseTimeout => return Err("no answer to our Close".to_owned()),
        EndCause::EndOfStream => return Err("the connection ended without a Close".to_owned()),
        EndCause::Transport => return Err("the connection failed".to_owned()),
        _ => return Err(format!("the connection ended: {:?}", end.cause)),
    }
    match (end.initiator, end.code()) {
        (Some(Initiator::Local), _) | (_, 1000 | 1001 | 1005) => Ok(()),
        (_, code) => Err(format!("closed with {code} {}", end.reason())
            .trim_end()
            .to_owned()),
    }
}

/// The latest Ping that was asked for, and when it left.
type Pinged = RefCell<Option<(Vec<u8>, Instant)>>;

/// Does what the input says. It ends with an error only: once a Close is sent, it waits for
/// [`receive`] to end.
async fn send(
    writer: &mut Writer<Tap>,
    input: &mut Input,
    wait: Option<Duration>,
    pinged: &Pinged,
) -> Box<dyn StdError> {
    loop {
        let sent = match input.next().await {
            // Several lines leave in one write.
            Ok(Some(Command::Send(message))) => writer.feed(message).await,
            Ok(Some(Command::Ping(payload))) => {
                let sent = writer.send_ping(&payload).await;
                pinged.replace(Some((payload, Instant::now())));
                sent
            }
            Ok(Some(Command::Close(code, reason))) => {
                let sent = writer.send_close(code, &reason).await;
                if sent.is_ok() {
                    input.rest().await;
                }
                sent
            }
            Ok(None) => {
                if let Some(wait) = wait {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = input.rest() => {}
                    }
                }
                let sent = writer.send_close(CloseCode::NORMAL_CLOSURE, "").await;
                if sent.is_ok() {
                    input.rest().await;
                }
                sent
            }
            Err(error) => return error.into(),
        };
        match sent {
            Ok(()) => {}
            // The other side was faster, and what became of that is the reader's to say. So is why
            // the stream failed.
            Err(Error::Send(SendError::Closing) | Error::Io(_)) => input.rest().await,
            Err(error) => return error.into(),
        }
    }
}

/// Prints what arrives, to the end of the connection.
async fn receive(
    reader: &mut Reader<Tap>,
    output: &mut Output,
    pinged: &Pinged,
) -> Result<End, Box<dyn StdError>> {
    while let Ok(Some(event)) = reader.recv_event().await {
        let pong = match &event {
            Event::Pong(payload) => pinged.borrow_mut().take_if(|(sent, _)| sent == payload),
            _ => None,
        };
        match pong {
            Some((_, left)) => {
                let remark = format!("pong after {:.1?}", left.elapsed());
                output.remark(remark).await?;
            }
            None => output.print(&event).await?,
        }
    }
    // An error is there too, as the cause.
    let end = reader.end().ok_or("the connection has no end")?;
    let (code, reason) = (end.code(), end.reason());
    output
        .remark(format!("closed with {code} {reason}"))
        .await?;
    Ok(end)
}

/// Closes at the first Ctrl-C, and ends at the second. At a prompt, Ctrl-C is a key like any other.
async fn interrupt(mut writer: Writer<Tap>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        // One that does not leave is met by the second Ctrl-C.
        let _ = writer.send_close(CloseCode::GOING_AWAY, "").await;
        if tokio::signal::ctrl_c().await.is_ok() {
            return;
        }
    }
    std::future::pending().await
}
