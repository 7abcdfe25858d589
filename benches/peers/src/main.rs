//! framewright beside other WebSocket libraries: what each costs.
//!
//! Each subcommand is one measurement, and `serve` is what they measure: the program runs itself
//! once more as the server, so that a figure is of the server's process alone. README.md says how
//! to run each, and its method.

mod all;
mod broadcast;
mod client;
mod echo;
mod figures;
mod handshake;
mod idle;
mod load;
mod machine;
mod micro;
mod plot;
mod process;
mod rounds;
mod servers;
mod table;

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Parser, Subcommand};

use crate::figures::Figures;
use crate::servers::{Measured, Server, Serving, Workers};

#[derive(Parser)]
#[command(about = "framewright beside other WebSocket libraries: what each costs.")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures everything, and draws it.
    All(all::Options),
    /// Measures how much time of a processor a server takes to send a message to a thousand others.
    Broadcast(broadcast::Options),
    /// Measures how much time of a processor a server takes for a message.
    Echo(echo::Options),
    /// Measures how much time of a processor a server takes for a connection.
    Handshake(handshake::Options),
    /// Measures the memory that a server holds for an idle connection.
    Idle(idle::Options),
    /// Measures what a message takes in process, without a kernel.
    Micro(micro::Options),
    /// Draws what was measured before.
    Plot(plot::Options),
    /// Runs one of the servers, and prints `listening on ADDR` once it accepts connections.
    Serve {
        #[arg(value_parser = server_names())]
        server: String,
        /// Where to listen; port 0 takes any that is free.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
        listen: SocketAddr,
        /// How many threads tokio's runtime has beside the one that starts it.
        #[arg(long, value_enum, default_value = "two")]
        workers: Workers,
        /// The only core to run on.
        #[arg(long, value_name = "N")]
        core: Option<usize>,
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
        Command::All(options) => all::run(&options),
        Command::Broadcast(options) => {
            report(broadcast::measure(&options)?, options.json.as_deref())
        }
        Command::Echo(options) => report(echo::measure(&options)?, options.json.as_deref()),
        Command::Handshake(options) => {
            report(handshake::measure(&options)?, options.json.as_deref())
        }
        Command::Idle(options) => report(idle::measure(&options)?, options.json.as_deref()),
        Command::Micro(options) => report(micro::measure(&options)?, options.json.as_deref()),
        Command::Plot(options) => plot::run(&options),
        Command::Serve {
            server,
            listen,
            workers,
            core,
        } => {
            process::die_with_parent()?;
            core.map_or(Ok(()), process::pin_to_core)?;
            let server = servers::find(&server).ok_or("no such server")?;
            Ok((server.run)(Serving { listen, workers })?)
        }
    }
}

/// Prints tables, and writes all samples to a file.
fn report(all: Vec<Figures>, json: Option<&Path>) -> Result<(), Box<dyn Error>> {
    figures::print(&all);
    if let Some(path) = json {
        fs::write(path, format!("{:#}\n", figures::to_json(&all)))?;
    }
    Ok(())
}

/// The names of the servers, as values of an argument.
fn server_names() -> PossibleValuesParser {
    names_of(servers::SERVERS.iter())
}

/// The names of the servers that a subcommand measures, as values of an argument.
fn names_measured_by(subcommand: Measured) -> PossibleValuesParser {
    names_of(servers::measured_by(subcommand, &[]).into_iter())
}

fn names_of(servers: impl Iterator<Item = &'static Server>) -> PossibleValuesParser {
    PossibleValuesParser::new(servers.map(|it| PossibleValue::new(it.name).help(it.about)))
}
