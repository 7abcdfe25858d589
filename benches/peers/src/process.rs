//! A server in a process of its own, and what the kernel says of it.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::servers::Server;

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Runs this program as `server`, and waits until it accepts connections.
    ///
    /// `options` are those of the subcommand `serve`.
    pub(crate) fn start(server: &Server, options: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", server.name, "--listen", "127.0.0.1:0"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().strip_prefix("listening on ");
        let address = address.map(|it| it.trim_start_matches("ws://").parse());
        match address {
            Some(Ok(address)) => Ok(Self { child, address }),
            Some(Err(_)) | None => {
                child.kill()?;
                child.wait()?;
                Err(format!("{} does not listen: it said {line:?}", server.name).into())
            }
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads how much memory the process holds.
    pub(crate) fn memory(&self) -> Result<Memory, Box<dyn Error>> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let bytes = |name: &str| -> Result<u64, Box<dyn Error>> {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|it| it.trim().strip_suffix(" kB"));
            let kilobytes = kilobytes.ok_or_else(|| format!("smaps_rollup has no {name}"))?;
            Ok(kilobytes.trim().parse::<u64>()? * 1024)
        };
        Ok(Memory {
            anonymous: bytes("Anonymous:")?,
            resident: bytes("Rss:")?,
        })
    }

    /// Reads how much time of processors all threads of the process took, in user and kernel.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Box<dyn Error>> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        Ok(clock_getcpuclockid(pid)?.now()?.into())
    }

    /// Counts the files, and so the sockets, that the process holds.
    pub(crate) fn count_files(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // One that has died already is waited for all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// What it has written to: heap and stacks. Code and what else is a file's does not count.
    pub(crate) anonymous: u64,
    /// All that is in memory, code included.
    pub(crate) resident: u64,
}

/// Makes a server end with the program that started it, however that ends.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(
        Signal::KILL,
    ))?)
}

/// Raises the limit of open files as far as it goes, for this process and those it starts, and
/// returns it.
pub(crate) fn raise_file_limit() -> io::Result<u64> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let Some(maximum) = limit.maximum else {
        return Ok(limit.current.unwrap_or(u64::MAX));
    };
    let raised = Rlimit {
        current: Some(maximum),
        maximum: Some(maximum),
    };
    rustix::process::setrlimit(Resource::Nofile, raised)?;
    Ok(maximum)
}

/// Keeps the kernel from rounding memory up to 2 MiB, in this process and those it starts.
///
/// Where huge pages are on for everybody, a figure would be that of the page size.
pub(crate) fn disable_huge_pages() -> io::Result<()> {
    Ok(rustix::thread::disable_transparent_huge_pages(true)?)
}

/// Keeps this thread, and those that it starts, on one core.
pub(crate) fn pin_to_core(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}
