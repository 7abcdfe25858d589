//! A client that runs every case of an Autobahn fuzzing server.
//!
//! ```text
//! cargo run --release --example autobahn_client -- ws://127.0.0.1:9002
//! ```
//!
//! It asks the server how many cases there are, echoes whatever each of them sends, printing its
//! progress, and lets the server write its report. `tests/autobahn/run` starts both sides.

use std::io::{IsTerminal, Write};
#[cfg(feature = "rustls")]
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use framewright::blocking::{Client, Error};
use framewright::handshake::ClientRequest;
#[cfg(feature = "rustls")]
use framewright::tls::TlsConnector;
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

    /// A file of certificates in PEM whom to trust, for a `wss:` URL.
    #[cfg(feature = "rustls")]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// Where the fuzzing server listens.
    #[arg(value_name = "URL")]
    url: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Adapter {
    /// Blocking streams.
    Blocking,
    /// tokio's streams.
    #[cfg(feature = "tokio")]
    Tokio,
}

impl Adapter {
    /// The name under which the report lists this client.
    const fn agent(self) -> &'static str {
        match self {
            Self::Blocking => "framewright-blocking",
            #[cfg(feature = "tokio")]
            Self::Tokio => "framewright-tokio",
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
    let runner = Runner::new(args)?;
    let cases = case_count(&runner, url)?;
    for case in 1..=cases {
        if std::io::stderr().is_terminal() {
            eprint!("\rcase {case} of {cases}");
            std::io::stderr().flush()?;
        } else if case % 50 == 0 || case == cases {
            eprintln!("case {case} of {cases}");
        }
        let uri = format!("{url}/runCase?case={case}&agent={agent}");
        match runner.run_case(args, &uri) {
            // Cases that break the protocol end like this, as they should.
            Ok(()) | Err(Error::Protocol(_)) => {}
            Err(error) => eprintln!("case {case}: {error}"),
        }
    }
    let request = ClientRequest::new(&format!("{url}/updateReports?agent={agent}"))?;
    let (mut socket, _) = runner.client(request).connect()?;
    // The server closes once the report is written.
    while socket.recv()?.is_some() {}
    Ok(cases)
}

fn case_count(runner: &Runner, url: &str) -> Result<u32, Box<dyn std::error::Error>> {
    let request = ClientRequest::new(&format!("{url}/getCaseCount"))?;
    let (mut socket, _) = runner.client(request).connect()?;
    let Some(Message::Text(count)) = socket.recv()? else {
        return Err("the server did not say how many cases it has".into());
    };
    let count = count.parse()?;
    socket.close(CloseCode::NORMAL_CLOSURE, "")?;
    Ok(count)
}

/// What all cases need.
struct Runner {
    #[cfg(feature = "rustls")]
    tls: Option<TlsConnector>,
    #[cfg(feature = "tokio")]
    runtime: tokio::runtime::Runtime,
}

impl Runner {
    #[cfg_attr(
        not(feature = "rustls"),
        expect(unused_variables, reason = "without TLS there is nothing to read")
    )]
    fn new(args: &Args) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self {
            #[cfg(feature = "rustls")]
            tls: match &args.tls_ca {
                Some(path) => Some(TlsConnector::from_pem(&std::fs::read(path)?)?),
                None => None,
            },
            #[cfg(feature = "tokio")]
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        })
    }

    /// Echoes whatever the case sends.
    fn run_case(&self, args: &Args, uri: &str) -> Result<(), Error> {
        let request = ClientRequest::new(uri)?;
        #[cfg(feature = "deflate")]
        let request = if args.deflate {
            request.deflate(framewright::DeflateConfig::default())
        } else {
            request
        };
        match args.adapter {
            Adapter::Blocking => self.echo(request),
            #[cfg(feature = "tokio")]
            Adapter::Tokio => self.runtime.block_on(self.echo_async(request)),
        }
    }

    fn echo(&self, request: ClientRequest) -> Result<(), Error> {
        let (mut socket, _) = self.client(request).connect()?;
        while let Some((event, mut outbox)) = socket.recv_event()? {
            match event {
                Event::Text(text) => outbox.feed_text(text)?,
                Event::Binary(data) => outbox.feed_binary(data)?,
                Event::Chunk(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {}
            }
        }
        Ok(())
    }

    #[cfg(feature = "tokio")]
    async fn echo_async(&self, request: ClientRequest) -> Result<(), Error> {
        let client = framewright::tokio::Client::new(request);
        #[cfg(feature = "tokio-rustls")]
        let client = match &self.tls {
            Some(connector) => client.tls(connector.clone()),
            None => client,
        };
        let (mut socket, _) = client.connect().await?;
        while let Some((event, mut outbox)) = socket.recv_event().await? {
            match event {
                Event::Text(text) => outbox.feed_text(text)?,
                Event::Binary(data) => outbox.feed_binary(data)?,
                Event::Chunk(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {}
            }
        }
        Ok(())
    }

    fn client(&self, request: ClientRequest) -> Client {
        let client = Client::new(request);
        #[cfg(feature = "rustls")]
        if let Some(connector) = &self.tls {
            return client.tls(connector.clone());
        }
        client
    }
}
