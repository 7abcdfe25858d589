//! Examples that run as programs of their own.
//!
//! They are built as the test was, so that after `cargo test` there is nothing to build, and after
//! `cargo test --test` no old one is tested. What they serve is for the tests to know.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::Value;

/// A program that listens, and is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// Where it listens: host and port.
    pub(crate) address: String,
}

impl Program {
    /// Starts an example on a port of its own, and waits until it listens.
    pub(crate) fn start(name: &'static str, args: &[&str]) -> Self {
        let mut child = Command::new(built(name))
            .args(args)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it was built");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut program = Self {
            child,
            lines,
            address: String::new(),
        };
        let line = program.line();
        let address = line
            .strip_prefix("open http://")
            .or_else(|| line.strip_prefix("listening on ws://"))
            .unwrap_or_else(|| panic!("{name} says {line:?}"));
        program.address = address.trim_end_matches('/').to_owned();
        program
    }

    /// Types a line into it.
    pub(crate) fn type_line(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("it is piped");
        writeln!(input, "{line}").expect("it reads");
    }

    /// Reads the next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it prints UTF-8");
        line.trim_end().to_owned()
    }

    /// Sends it what Ctrl-C sends.
    pub(crate) fn interrupt(&self) {
        let kill = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(kill.expect("there is a kill").success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it was started")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds an example, once, and returns where it is.
pub(crate) fn built(name: &'static str) -> String {
    static BUILT: LazyLock<Mutex<HashMap<&str, String>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(name).or_insert_with(|| build(name)).clone()
}

/// Builds an example with the features and the profile of this test.
fn build(name: &str) -> String {
    let features: Vec<_> = FEATURES
        .iter()
        .filter(|(_, is_on)| *is_on)
        .map(|(feature, _)| *feature)
        .collect();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "--example",
            name,
            "--no-default-features",
        ])
        .args(["--features", &features.join(",")])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .arg("--message-format=json-render-diagnostics");
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // What cargo tells a test about its package would look to it like a change of the environment.
    for (variable, _) in std::env::vars_os() {
        let is_of_package = variable.to_str().is_some_and(|variable| {
            [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_CRATE_",
                "CARGO_PRIMARY_",
            ]
            .iter()
            .any(|prefix| variable.starts_with(prefix))
        });
        if is_of_package {
            cargo.env_remove(variable);
        }
    }
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.expect("it is cargo that runs the tests");
    assert!(output.status.success(), "{name} does not build");
    let messages = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(str::to_owned))
        .expect("an example is a program")
}

macro_rules! features {
    ($($name:literal)*) => { &[$(($name, cfg!(feature = $name))),*] };
}

const FEATURES: &[(&str, bool)] = features! {
    "blocking" "simdutf8" "deflate" "tokio" "futures-io" "futures" "rustls" "tokio-rustls"
    "rustls-platform-verifier" "rustls-webpki-roots" "ring" "aws-lc-rs" "http" "hyper" "http2" "axum"
};
