//! A server that sends back every message that it gets.
//!
//! ```text
//! cargo run --release --example echo_server
//! ```
//!
//! It prints `listening on ws://127.0.0.1:9001` once it accepts connections; any WebSocket client
//! can talk to it, also from a web page of any origin. With `--features deflate` there is the flag
//! `--deflate`, which compresses messages for clients that offer it. With `--features tokio` there
//! is `--adapter tokio`, and with `--features tokio-rustls,ring` there are `--tls-cert FILE
//! --tls-key FILE`, both PEM, and it prints `wss://`. Ctrl-C sends every client a Close with code
//! 1001 and ends the program.

#[cfg(feature = "tokio")]
mod asynchronous;
mod blocking;

use std::error::Error;
use std::net::SocketAddr;
#[cfg(feature = "rustls")]
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use framewright::Config;
#[cfg(feature = "rustls")]
use framewright::tls::TlsAcceptor;

#[derive(Parser)]
#[command(about = "A WebSocket server that sends back every message that it gets.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,

    /// Which adapter of the library serves the connections.
    #[arg(long, value_enum, default_value_t = Adapter::Blocking)]
    adapter: Adapter,

    /// The longest message that is accepted; a longer one is refused with Close 1009.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().max_message_len)]
    max_message: u64,

    /// A subprotocol to agree on with clients that offer it; may be given several times.
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,

    /// Use permessage-deflate with clients that offer it.
    #[cfg(feature = "deflate")]
    #[arg(long)]
    deflate: bool,

    /// The certificate chain of the server, in PEM: it then speaks wss.
    #[cfg(feature = "rustls")]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM.
    #[cfg(feature = "rustls")]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Adapter {
    /// A thread per connection.
    Blocking,
    /// A task per connection.
    #[cfg(feature = "tokio")]
    Tokio,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = args.max_message;
    config.max_frame_len = args.max_message;
    let served = Security::new(&args).and_then(|security| match args.adapter {
        Adapter::Blocking => blocking::serve(&args, config, security),
        #[cfg(feature = "tokio")]
        Adapter::Tokio => asynchronous::serve(&args, config, security),
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// With TLS or without.
#[derive(Clone)]
enum Security {
    None,
    #[cfg(feature = "rustls")]
    Tls(TlsAcceptor),
}

impl Security {
    #[cfg(feature = "rustls")]
    fn new(args: &Args) -> Result<Self, Box<dyn Error>> {
        let (Some(chain), Some(key)) = (&args.tls_cert, &args.tls_key) else {
            return Ok(Self::None);
        };
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(Self::Tls(TlsAcceptor::from_pem(
            &read(chain)?,
            &read(key)?,
        )?))
    }

    #[cfg(not(feature = "rustls"))]
    #[expect(clippy::unnecessary_wraps, reason = "with TLS there are files to read")]
    fn new(_: &Args) -> Result<Self, Box<dyn Error>> {
        Ok(Self::None)
    }

    const fn scheme(&self) -> &'static str {
        match self {
            Self::None => "ws",
            #[cfg(feature = "rustls")]
            Self::Tls(_) => "wss",
        }
    }
}
