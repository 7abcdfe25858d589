//! The smallest servers and clients, on threads and on tokio.
//!
//! ```text
//! cargo run --example hello --features tokio -- server
//! cargo run --example hello --features tokio -- client --name Ada
//! ```
//!
//! The server prints `listening on ws://127.0.0.1:9010`. The client, in another terminal, says its
//! name and prints `Hello Ada!` and how the connection ended. With `--tokio` before `server` or
//! `client` either is the one of `tokio_server.rs` or `tokio_client.rs` instead of
//! `blocking_server.rs` or `blocking_client.rs`; each of these files stands on its own.

mod blocking_client;
mod blocking_server;
mod tokio_client;
mod tokio_server;

use std::error::Error;
use std::net::SocketAddr;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

#[derive(Parser)]
#[command(about = "The smallest servers and clients, on threads and on tokio.")]
struct Args {
    /// Use tokio instead of threads.
    #[arg(long)]
    tokio: bool,

    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Greets whoever says a name.
    Server {
        /// Where to listen; port 0 takes any that is free.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9010")]
        listen: SocketAddr,
    },
    /// Says a name and prints the greeting.
    Client {
        #[arg(long, default_value = "world")]
        name: String,

        #[arg(default_value = "ws://127.0.0.1:9010/")]
        url: String,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    match (args.role, args.tokio) {
        (Role::Server { listen }, false) => blocking_server::serve(listen)?,
        (Role::Server { listen }, true) => Runtime::new()?.block_on(tokio_server::serve(listen))?,
        (Role::Client { name, url }, false) => blocking_client::greet(&url, &name)?,
        (Role::Client { name, url }, true) => {
            Runtime::new()?.block_on(tokio_client::greet(&url, &name))?;
        }
    }
    Ok(())
}
