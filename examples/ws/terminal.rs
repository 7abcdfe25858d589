//! A prompt at a terminal, above which lines appear while one is typed.

use std::io::{self, Write};

use rustyline_async::{Readline, ReadlineError, ReadlineEvent, SharedWriter};
use tokio::sync::mpsc;

/// The line editor. When it is dropped, the terminal is as it was before.
pub(crate) struct Terminal {
    editor: Readline,
    screen: SharedWriter,
    lines: mpsc::Receiver<String>,
}

/// What the person at the terminal did.
pub(crate) enum Typed {
    Line(String),
    /// Ctrl-D or Ctrl-C.
    End,
}

impl Terminal {
    /// Shows the prompt. Lines that are sent to the sender appear above it.
    pub(crate) fn open() -> io::Result<(Self, mpsc::Sender<String>)> {
        let (editor, screen) = Readline::new("> ".to_owned()).map_err(into_io)?;
        let (sender, lines) = mpsc::channel(256);
        let terminal = Self {
            editor,
            screen,
            lines,
        };
        Ok((terminal, sender))
    }

    /// Waits for a line, and shows those that come meanwhile. It may be dropped at any await: what
    /// was typed stays.
    pub(crate) async fn read(&mut self) -> io::Result<Typed> {
        loop {
            tokio::select! {
                biased; // One line is on the screen before the next is taken.
                event = self.editor.readline() => return match event.map_err(into_io)? {
                    ReadlineEvent::Line(line) => {
                        self.editor.add_history_entry(line.clone());
                        Ok(Typed::Line(line))
                    }
                    ReadlineEvent::Eof | ReadlineEvent::Interrupted => Ok(Typed::End),
                },
                Some(line) = self.lines.recv() => writeln!(self.screen, "{line}")?,
            }
        }
    }

    /// Shows a line at once.
    pub(crate) fn show(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.screen, "{line}")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            if writeln!(self.screen, "{line}").is_err() || self.editor.flush().is_err() {
                break;
            }
        }
        // It also takes the prompt away. A terminal that is gone needs neither.
        let _ = self.editor.flush();
    }
}

fn into_io(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::IO(error) => error,
        ReadlineError::Closed => io::ErrorKind::BrokenPipe.into(),
    }
}
