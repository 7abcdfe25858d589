//! `ws`, a WebSocket client and server for the command line.
//!
//! ```text
//! cargo run --example ws --features deflate,tokio-rustls,ring,rustls-platform-verifier -- \
//!     ws://127.0.0.1:9001
//! ```
//!
//! At a terminal there is a prompt with history: what you type is sent, and what comes is printed
//! behind `< `. `/ping` measures a round trip, `/close 1000 bye` closes, Ctrl-D closes with 1000,
//! and a line that shall begin with a slash begins with two.
//!
//! In a pipe each line of standard input is a message, and each message a line of standard output.
//! At the end of input it waits for nothing but the closing handshake, or with `-w SECONDS` for
//! answers first:
//!
//! ```text
//! $ printf 'hello\nworld\n' | ws ws://127.0.0.1:9001
//! hello
//! world
//! $ ws wss://example.com/feed -x '{"subscribe":"news"}' -w 60 > news.jsonl
//! $ ws -l 9000 < greeting.txt
//! ```
//!
//! `ws -l 9000` listens on the loopback address and talks to one client after another until the
//! input ends. `-v` says on standard error what was agreed on, and shows every frame. It exits with
//! 0 after a clean close, which is one that this side began, or the other with code 1000, 1001 or
//! none; otherwise with 1 and a line that says why.

mod console;
mod session;
mod tap;
mod terminal;
mod trust;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use framewright::handshake::{
    Acceptance, ClientRequest, Headers, OriginPolicy, Proxy, Response, UpgradeRequest,
};
use framewright::tokio::{Client, Incoming, MaybeTlsStream, Server, WebSocket};
use framewright::{Config, DeflateConfig, HandshakeError};
use tokio::net::TcpListener;

use console::Log;
use session::{converse, judge};
use tap::Tap;

#[derive(Parser)]
#[command(
    name = "ws",
    about = "A WebSocket client and server: lines in, messages out."
)]
struct Args {
    /// Where to connect to: ws://HOST/PATH or wss://HOST/PATH.
    #[arg(required_unless_present = "listen")]
    url: Option<String>,

    /// Listen on a port of the loopback address, or on an address, in the place of connecting.
    #[arg(
        short, long, value_name = "[ADDR:]PORT", value_parser = parse_listen,
        conflicts_with_all = ["url", "header", "insecure", "ca", "proxy", "location"]
    )]
    listen: Option<SocketAddr>,

    /// A header line for the request, such as 'Authorization: Bearer 0123'. Repeatable.
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,

    /// A subprotocol to offer, the favourite first, or that a server speaks. Repeatable.
    #[arg(short, long, value_name = "NAME")]
    subprotocol: Vec<String>,

    /// The Origin to send; with -l, the origin of the pages that may connect.
    #[arg(short, long)]
    origin: Option<String>,

    /// Send binary messages.
    #[arg(short, long)]
    binary: bool,

    /// Send this in the place of standard input. Repeatable.
    #[arg(short = 'x', long = "execute", value_name = "MESSAGE")]
    execute: Vec<String>,

    /// At the end of input, wait so long for messages before closing.
    #[arg(short, long, value_name = "SECONDS", value_parser = parse_seconds)]
    wait: Option<Duration>,

    /// Trust any certificate: whoever is in between can read and change everything.
    #[arg(short = 'k', long)]
    insecure: bool,

    /// A file of certificates in PEM whom to trust, in the place of those of the platform.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,

    /// Send a Ping after so long a silence, 0 for never.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = parse_seconds)]
    ping_interval: Duration,

    /// Offer permessage-deflate; with -l, accept it.
    #[arg(long)]
    deflate: bool,

    /// An HTTP proxy to go through: http://[USER:PASSWORD@]HOST:PORT.
    #[arg(long, value_name = "URL")]
    proxy: Option<Proxy>,

    /// Follow redirects, at most ten.
    #[arg(short = 'L', long)]
    location: bool,

    /// Say on standard error what was agreed on, and show every frame.
    #[arg(short, long)]
    verbose: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let run = match (&args.url, args.listen) {
        (Some(url), _) => connect(&args, url).await,
        (None, Some(listen)) => serve(&args, listen).await,
        (None, None) => unreachable!("clap requires one of them"),
    };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ws: {error}");
            ExitCode::FAILURE
        }
    }
}

// -- Client ---------------------------------------------------------------------------------------

async fn connect(args: &Args, url: &str) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let client = client(args, url).map_err(|error| format!("{url}: {error}"))?;
    let opened = client.connect().await;
    let (socket, headers) = opened.map_err(|error| format!("{url}: {}", explain(&error)))?;
    let (mut input, mut output) = console::open(args.execute.clone(), args.binary)?;
    let log = Log::new(args.verbose, &output);
    log.say(|| format!("* connected to {url} in {:.1?}", begun.elapsed()));
    say_headers(&log, &headers);
    say_agreed(&log, &socket);
    let end = converse(Tap::over(socket, log), &mut input, &mut output, args.wait).await?;
    drop(input); // The terminal is as it was before anything else is said.
    judge(&end).map_err(|why| format!("{url}: {why}").into())
}

fn client(args: &Args, url: &str) -> Result<Client, Box<dyn Error>> {
    let mut request = ClientRequest::new(url)?;
    for subprotocol in &args.subprotocol {
        request = request.subprotocol(subprotocol)?;
    }
    if let Some(origin) = &args.origin {
        request = request.header("Origin", origin)?;
    }
    for (name, value) in &args.header {
        request = request.header(name, value)?;
    }
    if args.deflate {
        request = request.deflate(DeflateConfig::default());
    }
    let mut client = Client::new(request).config(config(args));
    if let Some(proxy) = &args.proxy {
        client = client.proxy(proxy.clone());
    }
    if args.location {
        client = client.max_redirects(10);
    }
    if args.insecure {
        client = client.tls(trust::anybody()?);
    } else if let Some(path) = &args.ca {
        client = client.tls(trust::those_in(path)?);
    }
    Ok(client)
}

/// Says what an error of connecting means, where it alone does not.
fn explain(error: &framewright::tokio::Error) -> String {
    use framewright::tokio::Error;

    let Error::Handshake(HandshakeError::Refused(refused)) = error else {
        return error.to_string();
    };
    match (refused.location(), refused.body.as_ref()) {
        (Some(location), _) => format!("{error}, location {location} (-L follows it)"),
        (None, []) => error.to_string(),
        (None, body) => {
            let body = String::from_utf8_lossy(body);
            let line = body.trim().lines().next().unwrap_or_default();
            format!("{error}: {}", console::escape(line))
        }
    }
}

// -- Server ---------------------------------------------------------------------------------------

/// Talks to one client after another, until the input ends.
async fn serve(args: &Args, listen: SocketAddr) -> Result<(), Box<dyn Error>> {
    let bound = TcpListener::bind(listen).await;
    let listener = bound.map_err(|error| format!("{listen}: {error}"))?;
    let origins = match &args.origin {
        Some(origin) => OriginPolicy::any_of([origin.as_str()])?,
        None => OriginPolicy::SameOrigin,
    };
    // Origins are judged here, so that a refusal can say what would have allowed the page.
    let server = Server::new()
        .config(config(args))
        .origin_policy(OriginPolicy::Any);
    eprintln!("listening on ws://{}", listener.local_addr()?);
    let (mut input, mut output) = console::open(args.execute.clone(), args.binary)?;
    let log = Log::new(args.verbose, &output);
    let mut judged = Err("nobody connected".to_owned());
    loop {
        let socket = tokio::select! {
            socket = next_client(args, &listener, &server, &origins, &log) => socket?,
            () = input.left() => break,
        };
        let end = converse(socket, &mut input, &mut output, args.wait).await?;
        judged = judge(&end);
        if input.is_over() {
            break;
        }
        log.warn(match &judged {
            Ok(()) => "the client left".to_owned(),
            Err(why) => why.clone(),
        });
    }
    drop(input);
    judged.map_err(Into::into)
}

/// Accepts connections until one of them is a WebSocket.
async fn next_client(
    args: &Args,
    listener: &TcpListener,
    server: &Server,
    origins: &OriginPolicy,
    log: &Log,
) -> Result<WebSocket<Tap>, Box<dyn Error>> {
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let upgrade = match server.receive(MaybeTlsStream::from(stream)).await {
            Ok(Incoming::Upgrade(upgrade)) => upgrade,
            Ok(Incoming::Plain(plain)) => {
                log.warn(format!("{peer}: not a WebSocket request"));
                let response = Response::new(426)?.header("Upgrade", "websocket")?;
                let _ = plain.respond(&response).await; // Whoever left needs no answer.
                continue;
            }
            Err(error) => {
                log.warn(format!("{peer}: {error}"));
                continue;
            }
        };
        let request = upgrade.request();
        log.say(|| format!("* {peer} asks for {}", request.resource_name()));
        say_headers(log, request.headers());
        if !request.origin_is_allowed(origins) {
            let origin = request.origin().unwrap_or_default().to_owned();
            log.warn(format!(
                "{peer}: pages of {origin} may not connect: -o {origin} allows it"
            ));
            let _ = upgrade.reject(&Response::new(403)?).await;
            continue;
        }
        let subprotocol = choose(&args.subprotocol, request).map(str::to_owned);
        let mut acceptance = Acceptance::new();
        if let Some(subprotocol) = &subprotocol {
            acceptance = acceptance.subprotocol(subprotocol);
        }
        if args.deflate {
            acceptance = acceptance.deflate(DeflateConfig::default());
        }
        match upgrade.accept(acceptance).await {
            Ok(socket) => {
                log.warn(format!("{peer} connected"));
                say_agreed(log, &socket);
                return Ok(Tap::over(socket, log.clone()));
            }
            Err(error) => log.warn(format!("{peer}: {error}")),
        }
    }
}

/// Chooses the first of our subprotocols that the client offers.
fn choose<'a>(ours: &'a [String], request: &UpgradeRequest) -> Option<&'a str> {
    ours.iter()
        .map(String::as_str)
        .find(|&ours| request.subprotocols().any(|offered| offered == ours))
}

// -- Both -----------------------------------------------------------------------------------------

fn config(args: &Args) -> Config {
    let mut config = Config::default();
    config.ping_interval = Some(args.ping_interval).filter(|interval| !interval.is_zero());
    config
}

fn say_headers(log: &Log, headers: &Headers) {
    for (name, value) in headers.iter() {
        log.say(|| format!("* {name}: {}", String::from_utf8_lossy(value)));
    }
}

fn say_agreed(log: &Log, socket: &WebSocket<MaybeTlsStream>) {
    let compression = match socket.connection().is_compressing() {
        true => "permessage-deflate",
        false => "no compression",
    };
    let subprotocol = socket.subprotocol().unwrap_or("none");
    log.say(|| format!("* subprotocol {subprotocol}, {compression}"));
}

// -- Values of flags ------------------------------------------------------------------------------

fn parse_listen(value: &str) -> Result<SocketAddr, String> {
    match value.parse::<u16>() {
        Ok(port) => Ok(([127, 0, 0, 1], port).into()),
        Err(_) => value
            .parse()
            .map_err(|_| "neither a port nor an address and a port".to_owned()),
    }
}

fn parse_header(value: &str) -> Result<(String, String), String> {
    let (name, value) = value.split_once(':').ok_or("not NAME: VALUE")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn parse_seconds(value: &str) -> Result<Duration, String> {
    let seconds: f64 = value.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
