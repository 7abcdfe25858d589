//! framewright beside other WebSocket libraries: what each costs.
//!
//! Each subcommand is one measurement, and `serve` is what they measure: the program runs itself
//! once more as the server, so that a figure is of the server's process alone. README.md says how
//! to run each, and its method.

mod client;
mod idle;
mod machine;
mod process;
mod servers;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "framewright beside other WebSocket libraries: what each costs.")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures the memory that a server holds for an idle connection.
    Idle(idle::Options),
    /// Runs one of the servers, and prints `listening on ADDR` once it accepts connections.
    Serve {
        #[arg(value_parser = server_names())]
        server: String,
        /// Where to listen; port 0 takes any that is free.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
        listen: SocketAddr,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Idle(options) => idle::run(&options),
        Command::Serve { server, listen } => {
            process::die_with_parent()?;
            let server = servers::find(&server).ok_or("no such server")?;
            Ok((server.run)(listen)?)
        }
    }
}

/// The names of the servers, as values of an argument.
fn server_names() -> PossibleValuesParser {
    let values = servers::SERVERS.iter();
    PossibleValuesParser::new(values.map(|it| PossibleValue::new(it.name).help(it.about)))
}
