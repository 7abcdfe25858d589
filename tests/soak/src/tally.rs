//! What happened, in numbers.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happened, counted by many tasks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) open: Count,
    pub(crate) opened: Count,
    /// Echoes that were compared.
    pub(crate) echoes: Count,
    /// Their payload.
    pub(crate) bytes: Count,
    pub(crate) closes: Count,
    pub(crate) resets: Count,
    pub(crate) vanished: Count,
    faults: Count,
    /// The first few of the faults, in words.
    told: Mutex<Vec<String>>,
}

impl Tally {
    pub(crate) fn note_fault(&self, fault: String) {
        self.faults.add(1);
        let mut told = self.told.lock().expect("nobody panics with it");
        if told.len() < 20 {
            println!("FAILED: {fault}");
            told.push(fault);
        }
    }

    /// Returns what went wrong: the first few in words, and how many there were.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut told = self.told.lock().expect("nobody panics with it").clone();
        if self.faults.get() > 0 {
            told.push(format!("{} faults in all", self.faults.get()));
        }
        told
    }

    pub(crate) fn table(&self) -> String {
        format!(
            "connections  {:>14}\nechoes       {:>14}\nbytes        {:>14}\ncloses       {:>14}\n\
             kills        {:>14}\n  by reset   {:>14}\n  by silence {:>14}\n",
            self.opened.get(),
            self.echoes.get(),
            self.bytes.get(),
            self.closes.get(),
            self.resets.get() + self.vanished.get(),
            self.resets.get(),
            self.vanished.get(),
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} open, {} echoes, {} MB, {} kills, {} closes",
            self.open.get(),
            self.echoes.get(),
            self.bytes.get() / 1_000_000,
            self.resets.get() + self.vanished.get(),
            self.closes.get(),
        )
    }
}

/// A number that many tasks change.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn take(&self, number: u64) {
        self.0.fetch_sub(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
