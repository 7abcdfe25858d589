//! The person or the program that uses `ws`: commands come in, messages and remarks go out.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::{iter, thread, vec};

use framewright::{CloseCode, Event, Message};
use tokio::sync::mpsc;

use crate::terminal::{Terminal, Typed};

/// Opens standard input and output: with a prompt where both are a terminal.
pub(crate) fn open(messages: Vec<String>, binary: bool) -> io::Result<(Input, Output)> {
    let mut output = Output::Stdout {
        escapes: io::stdout().is_terminal(),
    };
    let source = if !messages.is_empty() {
        Source::Messages(messages.into_iter())
    } else if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let (terminal, lines) = Terminal::open()?;
        output = Output::Prompt(lines);
        Source::Terminal(Box::new(terminal))
    } else {
        Source::Lines(read_lines()?)
    };
    let input = Input {
        source,
        binary,
        is_over: false,
    };
    Ok((input, output))
}

// -- In -------------------------------------------------------------------------------------------

/// Where commands come from.
pub(crate) struct Input {
    source: Source,
    binary: bool,
    is_over: bool,
}

enum Source {
    /// Those of the command line.
    Messages(vec::IntoIter<String>),
    /// Standard input that is not a terminal.
    Lines(mpsc::Receiver<io::Result<Vec<u8>>>),
    Terminal(Box<Terminal>),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Send(Message),
    Ping(Vec<u8>),
    Close(CloseCode, String),
}

impl Input {
    /// Returns the next command; `None` at the end. It may be dropped at any await.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Command>> {
        loop {
            let line = match &mut self.source {
                Source::Messages(messages) => messages.next().map(String::into_bytes),
                Source::Lines(lines) => lines.recv().await.transpose()?,
                Source::Terminal(terminal) => match terminal.read().await? {
                    Typed::End => None,
                    Typed::Line(line) => match parse(&line, self.binary) {
                        Ok(command) => return Ok(Some(command)),
                        Err(usage) => {
                            terminal.show(usage)?;
                            continue;
                        }
                    },
                },
            };
            let Some(line) = line else {
                self.is_over = true;
                return Ok(None);
            };
            return message(line, self.binary).map(|message| Some(Command::Send(message)));
        }
    }

    /// Waits for ever, while the terminal goes on showing what comes.
    pub(crate) async fn rest(&mut self) {
        if let Source::Terminal(terminal) = &mut self.source {
            while terminal.read().await.is_ok() {}
        }
        std::future::pending().await
    }

    /// Waits until the person at the terminal leaves, while there is nobody to talk to.
    pub(crate) async fn left(&mut self) {
        let Source::Terminal(terminal) = &mut self.source else {
            return std::future::pending().await;
        };
        while let Ok(Typed::Line(_)) = terminal.read().await {
            if terminal.show("nobody is connected").is_err() {
                break;
            }
        }
    }

    /// Whether there is nothing left to send.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Reads what was typed at the prompt.
fn parse(line: &str, binary: bool) -> Result<Command, &'static str> {
    let message = |text: &str| match binary {
        true => Command::Send(Message::binary(text.to_owned().into_bytes())),
        false => Command::Send(Message::text(text)),
    };
    let Some(command) = line.strip_prefix('/') else {
        return Ok(message(line));
    };
    if command.starts_with('/') {
        return Ok(message(command));
    }
    let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
    match name {
        "ping" if rest.len() > 125 => Err("a Ping has room for 125 bytes"),
        "ping" => Ok(Command::Ping(rest.as_bytes().to_vec())),
        "close" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let code = match code {
                "" => Some(CloseCode::NORMAL_CLOSURE),
                code => code.parse().ok().and_then(CloseCode::new),
            };
            let code = code.ok_or("that code may not be sent: 1000, or 3000 to 4999")?;
            if reason.len() > 123 {
                return Err("a Close has room for a reason of 123 bytes");
            }
            Ok(Command::Close(code, reason.to_owned()))
        }
        _ => Err("/ping [TEXT], /close [CODE [REASON]], or // for a line that begins with /"),
    }
}

fn message(line: Vec<u8>, binary: bool) -> io::Result<Message> {
    if binary {
        return Ok(Message::binary(line));
    }
    String::from_utf8(line).map(Message::from).map_err(|_| {
        let error = "standard input: a line is not UTF-8, and -b sends binary messages";
        io::Error::new(io::ErrorKind::InvalidData, error)
    })
}

/// Reads lines on a thread, because standard input cannot be waited for otherwise.
fn read_lines() -> io::Result<mpsc::Receiver<io::Result<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel(64);
    thread::Builder::new().spawn(move || {
        let mut stdin = io::stdin().lock();
        let lines = iter::from_fn(|| read_line(&mut stdin).transpose());
        for line in lines {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

/// Reads a line, without its end.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let len = input.take(MAX_LINE_LEN).read_until(b'\n', &mut line)?;
    if len == 0 {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    } else if len as u64 == MAX_LINE_LEN {
        let error = "standard input: a line is longer than 16 MiB";
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    Ok(Some(line))
}

/// As long as most servers let a message be.
const MAX_LINE_LEN: u64 = 16 << 20;

// -- Out ------------------------------------------------------------------------------------------

/// Where messages go.
pub(crate) enum Output {
    Stdout {
        /// A terminal would obey control characters.
        escapes: bool,
    },
    /// Above the prompt.
    Prompt(mpsc::Sender<String>),
}

impl Output {
    /// Prints a message as a line; other events are not messages.
    pub(crate) async fn print(&mut self, event: &Event<'_>) -> io::Result<()> {
        match (event, self) {
            (Event::Text(text), Self::Prompt(lines)) => show(lines, escape(text)).await,
            (Event::Binary(data), Self::Prompt(lines)) => show(lines, dump(data)).await,
            (Event::Text(text), Self::Stdout { escapes: true }) => {
                write_line(escape(text).as_bytes())
            }
            (Event::Binary(data), Self::Stdout { escapes: true }) => {
                write_line(dump(data).as_bytes())
            }
            (Event::Text(text), Self::Stdout { .. }) => write_line(text.as_bytes()),
            (Event::Binary(data), Self::Stdout { .. }) => write_line(data),
            (Event::Chunk(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_), _) => Ok(()),
        }
    }

    /// Tells a person what no program needs to know.
    pub(crate) async fn remark(&mut self, remark: String) -> io::Result<()> {
        match self {
            Self::Prompt(lines) => show(lines, remark).await,
            Self::Stdout { .. } => Ok(()),
        }
    }
}

async fn show(lines: &mpsc::Sender<String>, line: String) -> io::Result<()> {
    let sent = lines.send(format!("< {line}")).await;
    sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

fn write_line(line: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(line)
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush())
        .map_err(|error| io::Error::new(error.kind(), format!("standard output: {error}")))
}

/// Spells control characters out, but for those of plain text.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            escaped.extend(character.escape_unicode());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Shows the beginning of binary data.
fn dump(data: &[u8]) -> String {
    let mut dump = format!("({} bytes)", data.len());
    for byte in data.iter().take(32) {
        dump.push_str(&format!(" {byte:02x}"));
    }
    if data.len() > 32 {
        dump.push_str(" …");
    }
    dump
}

/// Where remarks about the connection go: to standard error, or above the prompt.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    verbose: bool,
    prompt: Option<mpsc::Sender<String>>,
}

impl Log {
    pub(crate) fn new(verbose: bool, output: &Output) -> Self {
        let prompt = match output {
            Output::Prompt(lines) => Some(lines.clone()),
            Output::Stdout { .. } => None,
        };
        Self { verbose, prompt }
    }

    pub(crate) const fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Says something to those who want to know everything.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if self.verbose {
            self.warn(line());
        }
    }

    /// Says something to everybody.
    pub(crate) fn warn(&self, line: String) {
        let line = escape(&line);
        match &self.prompt {
            None => eprintln!("{line}"),
            // What is too much for the screen is too much for the eye, and is left out.
            Some(prompt) => drop(prompt.try_send(line)),
        }
    }
}
