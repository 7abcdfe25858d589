//! The floor of a broadcast on tokio: the task that reads writes to all others, once a read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;

use super::{Serving, runtime};
use crate::servers::floor::{Echo, Minimal, READ_LEN, REPLY_LEN};

/// Who has been answered, by the address of the stream.
type Members = Arc<Mutex<BTreeMap<usize, Arc<TcpStream>>>>;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    let members = Members::default();
    runtime::serve(serving, move |stream| {
        let members = Arc::clone(&members);
        async move {
            let stream = Arc::new(stream);
            let number = Arc::as_ptr(&stream).addr();
            let ended = chat(&stream, number, &members).await;
            drop(ended);
            let mut members = members.lock().unwrap_or_else(PoisonError::into_inner);
            members.remove(&number);
        }
    })
}

thread_local! {
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> =
        RefCell::new((vec![0; READ_LEN], vec![0; REPLY_LEN]));
}

async fn chat(stream: &Arc<TcpStream>, number: usize, members: &Members) -> io::Result<()> {
    let mut echo = Minimal::default();
    loop {
        stream.readable().await?;
        BUFFERS.with_borrow_mut(|(input, room)| {
            let len = match stream.try_read(input) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let was_open = echo.is_open();
            let reply = echo.reply(&input[..len], room);
            let mut members = members.lock().unwrap_or_else(PoisonError::into_inner);
            if was_open {
                // Who does not take all at once gets no more: the load does.
                members.retain(|other, stream| {
                    *other == number || stream.try_write(reply).ok() == Some(reply.len())
                });
                return Ok(());
            }
            members.insert(number, Arc::clone(stream));
            stream.try_write(reply).map(drop)
        })?;
    }
}
