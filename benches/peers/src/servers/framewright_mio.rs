//! The bare core on an event loop: the crate's own example, as it is.

use std::io;

use super::Serving;

#[path = "../../../../examples/mio_server.rs"]
#[expect(dead_code, reason = "its `main` is not ours")]
mod mio_server;

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    mio_server::serve(serving.listen)
}
