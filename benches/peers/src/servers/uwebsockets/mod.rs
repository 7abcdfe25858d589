//! uWebSockets, whose server is a program of its own in C++.
//!
//! `build.rs` compiles `server.cpp`; this process becomes it.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::Serving;

pub(super) fn serve(serving: Serving) -> io::Result<()> {
    become_server("echo", serving)
}

pub(super) fn serve_broadcast(serving: Serving) -> io::Result<()> {
    become_server("broadcast", serving)
}

fn become_server(what: &str, serving: Serving) -> io::Result<()> {
    let host = serving.listen.ip().to_string();
    let port = serving.listen.port().to_string();
    Err(Command::new(env!("UWEBSOCKETS"))
        .args([what, &host, &port])
        .exec())
}
