//! The floors on tokio: a task per connection, and one buffer each way for all of them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::Serving;
use super::floor::{Echo, Minimal, READ_LEN, REPLY_LEN, Raw};

pub(crate) fn serve_raw(serving: Serving) -> io::Result<()> {
    serve::<Raw>(serving)
}

pub(crate) fn serve_minimal(serving: Serving) -> io::Result<()> {
    serve::<Minimal>(serving)
}

fn serve<E: Echo>(serving: Serving) -> io::Result<()> {
    super::runtime::serve(serving, async |stream| drop(echo::<E>(stream).await))
}

async fn echo<E: Echo>(mut stream: TcpStream) -> io::Result<()> {
    let mut echo = E::default();
    loop {
        let unsent = poll_fn(|cx| poll_once(&mut stream, &mut echo, cx)).await?;
        if !unsent.is_empty() {
            stream.write_all(&unsent).await?;
        }
    }
}

thread_local! {
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> =
        RefCell::new((vec![0; READ_LEN], vec![0; REPLY_LEN]));
}

/// Reads and writes once, and returns what the socket did not take.
fn poll_once<E: Echo>(
    stream: &mut TcpStream,
    echo: &mut E,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Vec<u8>>> {
    BUFFERS.with_borrow_mut(|(input, room)| {
        let mut input = ReadBuf::new(input);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut input))?;
        if input.filled().is_empty() {
            return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
        }
        let reply = echo.reply(input.filled(), room);
        if reply.is_empty() {
            return Poll::Ready(Ok(Vec::new()));
        }
        let written = match Pin::new(stream).poll_write(cx, reply) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        Poll::Ready(Ok(reply[written..].to_vec()))
    })
}
