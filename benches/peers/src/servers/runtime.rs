//! The runtime that all servers on tokio share: a task per connection.

use std::io;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

use super::{Serving, Workers};

/// Listens, and runs what `handle` makes of each connection as a task.
pub(super) fn serve<H, F>(serving: Serving, handle: H) -> io::Result<()>
where
    H: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut builder = match serving.workers {
        Workers::None => runtime::Builder::new_current_thread(),
        Workers::Two => {
            let mut builder = runtime::Builder::new_multi_thread();
            builder.worker_threads(2);
            builder
        }
    };
    builder.enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(serving.listen).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(handle(stream));
        }
    })
}
