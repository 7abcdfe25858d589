//! A client that runs every case of an Autobahn fuzzing server.
//!
//! ```text
//! cargo run --release --example autobahn_client -- ws://127.0.0.1:9002
//! ```
//!
//! It asks the server how many cases there are, echoes whatever each of them sends, printing its
//! progress, and lets the server write its report. `tests/autobahn/run` starts both sides.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use framewright::blocking::{Client, Error, connect};
use framewright::handshake::ClientRequest;
use framewright::{CloseCode, Event, Message};

#[derive(Parser)]
#[command(about = "Runs every case of an Autobahn fuzzing server, and has it write its report.")]
struct Args {
    /// Which adapter of the library runs the cases.
    #[arg(long, value_enum, default_value_t = Adapter::Blocking)]
    adapter: Adapter,

    /// Offer permessage-deflate.
    #[cfg(feature = "deflate")]
    #[arg(long)]
    deflate: bool,

    /// Where the fuzzing server listens.
    #[arg(value_name = "URL")]
    url: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Adapter {
    /// Blocking streams.
    Blocking,
}

impl Adapter {
    /// The name under which the report lists this client.
    const fn agent(self) -> &'static str {
        match self {
            Self::Blocking => "framewright-blocking",
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(cases) => {
            println!("{cases} cases run");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}: {error}", args.url);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<u32, Box<dyn std::error::Error>> {
    let url = args.url.trim_end_matches('/');
    let agent = args.adapter.agent();
    let cases = case_count(url)?;
    for case in 1..=cases {
        if std::io::stderr().is_terminal() {
            eprint!("\rcase {case} of {cases}");
            std::io::stderr().flush()?;
        } else if case % 50 == 0 || case == cases {
            eprintln!("case {case} of {cases}");
        }
        let uri = format!("{url}/runCase?case={case}&agent={agent}");
        match run_case(args, &uri) {
            // Cases that break the protocol end like this, as they should.
            Ok(()) | Err(Error::Protocol(_)) => {}
            Err(error) => eprintln!("case {case}: {error}"),
        }
    }
    let mut socket = connect(&format!("{url}/updateReports?agent={agent}"))?;
    // The server closes once the report is written.
    while socket.recv()?.is_some() {}
    Ok(cases)
}

fn case_count(url: &str) -> Result<u32, Box<dyn std::error::Error>> {
    let mut socket = connect(&format!("{url}/getCaseCount"))?;
    let Some(Message::Text(count)) = socket.recv()? else {
        return Err("the server did not say how many cases it has".into());
    };
    let count = count.parse()?;
    socket.close(CloseCode::NORMAL_CLOSURE, "")?;
    Ok(count)
}

/// Echoes whatever the case sends.
#[cfg_attr(
    not(feature = "deflate"),
    expect(
        unused_variables,
        reason = "without extensions every case is run alike"
    )
)]
fn run_case(args: &Args, uri: &str) -> Result<(), Error> {
    let request = ClientRequest::new(uri)?;
    #[cfg(feature = "deflate")]
    let request = if args.deflate {
        request.deflate(framewright::DeflateConfig::default())
    } else {
        request
    };
    let (mut socket, _) = Client::new(request).connect()?;
    while let Some((event, mut outbox)) = socket.recv_event()? {
        match event {
            Event::Text(text) => outbox.feed_text(text)?,
            Event::Binary(data) => outbox.feed_binary(data)?,
            Event::Chunk(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {}
        }
    }
    Ok(())
}
