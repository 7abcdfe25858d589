//! Examples as programs: started, spoken to, and waited for.
//!
//! `cargo test` builds the examples before it runs any test. Whoever runs one test alone builds the
//! example before: `cargo build --example NAME` with the same features.

#![allow(
    dead_code,
    reason = "every test file is a binary of its own and uses a part of the rig"
)]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs. It does not outlive the test.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

/// A program that listens, on a port of its own.
pub(crate) struct Server {
    program: Program,
    /// Where it listens: host and port.
    pub(crate) address: String,
}

/// How a program ended, and what it printed that nobody had read.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts an example.
    pub(crate) fn start(example: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path_of(example));
        command.args(arguments);
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            stdin: child.stdin.take(),
            stdout: lines_of(child.stdout.take().unwrap()),
            stderr: lines_of(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Writes to its standard input.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("its input has not ended");
        stdin.write_all(bytes.as_ref()).unwrap();
        stdin.flush().unwrap();
    }

    /// Types a line into it.
    pub(crate) fn write_line(&mut self, line: &str) {
        self.write(format!("{line}\n"));
    }

    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for a line of its standard output.
    pub(crate) fn line(&mut self) -> String {
        self.next_line(|program| &program.stdout)
    }

    /// Waits for a line of its standard error.
    pub(crate) fn error_line(&mut self) -> String {
        self.next_line(|program| &program.stderr)
    }

    /// Waits for a line of its standard output that holds `text`, and returns what follows that.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        loop {
            if let Some((_, rest)) = self.line().split_once(text) {
                return rest.to_owned();
            }
        }
    }

    /// Ends its input, and waits for its end.
    pub(crate) fn finish(mut self) -> Ended {
        self.end_input();
        let deadline = Instant::now() + PATIENCE;
        let rest = |lines: &Receiver<Vec<u8>>| {
            let mut text = Vec::new();
            // The channel closes when the program has closed its end.
            while let Ok(line) =
                lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                text.extend(line);
            }
            String::from_utf8_lossy(&text).into_owned()
        };
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        assert!(
            Instant::now() < deadline,
            "it does not end: {stdout}{stderr}"
        );
        let status = self.child.wait().unwrap();
        Ended {
            status,
            stdout,
            stderr,
        }
    }

    /// Sends it what Ctrl-C sends.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
    }

    fn next_line(&mut self, of: impl Fn(&Self) -> &Receiver<Vec<u8>>) -> String {
        match of(self).recv_timeout(PATIENCE) {
            Ok(line) => String::from_utf8_lossy(&line).trim_end().to_owned(),
            Err(error) => {
                let _ = self.child.kill();
                let others: Vec<_> = self.stderr.iter().chain(self.stdout.iter()).collect();
                panic!(
                    "no line: {error}; {}",
                    String::from_utf8_lossy(&others.concat())
                );
            }
        }
    }
}

impl Server {
    /// Starts an example, and waits until it listens.
    pub(crate) fn start(example: &str, arguments: &[&str]) -> Self {
        let arguments = [arguments, &["--listen", "127.0.0.1:0"]].concat();
        let mut program = Program::start(example, &arguments);
        let line = program.line();
        let address = line
            .strip_prefix("open http://")
            .or_else(|| line.strip_prefix("listening on ws://"))
            .unwrap_or_else(|| panic!("{example} says {line:?}"));
        let address = address.trim_end_matches('/').to_owned();
        Self { program, address }
    }

    /// Ends its input, and waits for its end.
    pub(crate) fn finish(self) -> Ended {
        self.program.finish()
    }
}

impl Deref for Server {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns where cargo puts an example: beside the directory of the test.
pub(crate) fn path_of(example: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = profile
        .join("examples")
        .join(example)
        .with_extension(env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "build it before: cargo build --example {example}"
    );
    path
}

/// Reads lines on a thread, so that somebody can wait for one without waiting for ever.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            match stream.read_until(b'\n', &mut line) {
                Ok(1..) if sender.send(line).is_ok() => {}
                _ => break,
            }
        }
    });
    receiver
}
