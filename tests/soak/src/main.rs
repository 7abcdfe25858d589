//! framewright under ten thousand connections for minutes on end.
//!
//! `tests/soak/run` builds and runs it. It starts itself a second time as the server, so that each
//! of the two needs a file for each connection and no more.

mod client;
mod dice;
mod memory;
mod server;
mod tally;

use std::error::Error;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use client::Crowd;
use memory::{Samples, resident_len};

#[derive(Debug, Parser)]
#[command(about, subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Role>,
    #[command(flatten)]
    soak: Soak,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Echoes until its standard input ends, and says what is left then.
    Serve,
}

#[derive(Debug, Args)]
struct Soak {
    /// How many connections are open at a time.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// How long, once all of them are.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// What chance begins with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let cli = Cli::parse();
    raise_file_limit()?;
    if let Some(Role::Serve) = cli.command {
        server::serve().await?;
        return Ok(ExitCode::SUCCESS);
    }
    soak(&cli.soak).await
}

async fn soak(options: &Soak) -> Result<ExitCode, Box<dyn Error>> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = server.stdout.take().ok_or("the server has no output")?;
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    stdout.read_line(&mut line).await?;
    let address = line.trim().parse()?;
    let pids = [
        server.id().ok_or("the server has ended")?,
        std::process::id(),
    ];

    let crowd = Arc::new(Crowd::new(address, options.seed));
    println!("opening {} connections", options.connections);
    let tasks = crowd.open(options.connections).await;

    let lasts = Duration::from_secs_f64(options.minutes * 60.0);
    let started = Instant::now();
    let mut samples = Samples::new(lasts);
    let mut ticks = interval(Duration::from_secs(10).min(lasts / 12));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut printed = None;
    while started.elapsed() < lasts {
        ticks.tick().await;
        let resident = pids.map(resident_len);
        let [server_len, client_len] = resident;
        samples.add(started.elapsed(), [server_len?, client_len?]);
        if printed.is_none_or(|at: Instant| at.elapsed() >= Duration::from_secs(9)) {
            printed = Some(Instant::now());
            println!(
                "{:>4} s  {}  {samples}",
                started.elapsed().as_secs(),
                crowd.tally
            );
        }
    }

    println!("closing");
    crowd.stop();
    for task in tasks {
        task.await?;
    }
    // The server sees the last of them go.
    sleep(Duration::from_secs(1)).await;
    drop(server.stdin.take());
    let mut left = String::new();
    stdout.read_to_string(&mut left).await?;
    let is_served = server.wait().await?.success() && left.trim() == "left 0";

    println!("\n{}", crowd.tally.table());
    println!("{}", samples.table());
    let faults = crowd.tally.faults();
    for fault in &faults {
        println!("FAILED: {fault}");
    }
    if !is_served {
        println!(
            "FAILED: the server says {:?}, and not that nothing is left",
            left.trim()
        );
    }
    let growth = samples.growth();
    if let Some(growth) = &growth {
        println!("FAILED: {growth}");
    }
    Ok(match faults.is_empty() && is_served && growth.is_none() {
        true => {
            println!("every echo was right, every close clean, memory flat");
            ExitCode::SUCCESS
        }
        false => ExitCode::FAILURE,
    })
}

/// Raises the limit of open files as far as it goes, for this process and the server.
fn raise_file_limit() -> rustix::io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised)
}
