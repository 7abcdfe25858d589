//! Instructions per operation, each beside its budget: the rig of the `count_*` benches.
//!
//! ```text
//! cargo bench --bench 'count_*' --no-fail-fast     # count and judge: fails beyond a budget
//! cargo bench --bench 'count_*' -- 16B             # only the rows with `16B` in their names
//! cargo bench --bench 'count_*' -- --update        # count, and write the budgets anew
//! ```
//!
//! The rows are those of the other benches, under the same ids. Unlike time, instructions repeat,
//! so that a busy machine can judge them. The budgets are in `budgets.txt`; `benches/README.md`
//! says how they are kept.
//!
//! What else a program calls decides what the compiler inlines. So each topic is a program of its
//! own, in which a row for another topic moves no count.

mod budgets;
mod callgrind;

use std::env;
use std::process::ExitCode;

use budgets::Budgets;

/// What is counted.
pub(crate) struct Row {
    /// The id that its time has in the other benches.
    name: String,
    /// How many operations a batch has.
    operations: usize,
    batch: Box<dyn FnMut()>,
}

impl Row {
    pub(crate) fn new(name: String, operations: usize, batch: impl FnMut() + 'static) -> Self {
        Self {
            name,
            operations,
            batch: Box::new(batch),
        }
    }
}

/// Does what the command line says.
pub(crate) fn main(mut rows: Vec<Row>) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [callgrind::RUN, name, batches] = arguments[..] {
        let row = rows.iter_mut().find(|row| row.name == name);
        let row = row.expect("a row of that name");
        for _ in 0..batches.parse().expect("a number of batches") {
            (row.batch)();
        }
        return ExitCode::SUCCESS;
    }
    // Cargo says `--bench` where a bench is to measure, and else only tries whether it runs.
    if !arguments.contains(&"--bench") || arguments.contains(&"--test") {
        rows.iter_mut().for_each(|row| (row.batch)());
        return ExitCode::SUCCESS;
    }
    if !callgrind::is_installed() {
        eprintln!(
            "!! NOT COUNTED: valgrind is missing; on Debian `apt install valgrind` provides it"
        );
        return ExitCode::SUCCESS;
    }
    if let Some(wanted) = arguments.iter().find(|word| !word.starts_with("--")) {
        rows.retain(|row| row.name.contains(wanted));
    }
    let figures: Vec<_> = rows.iter().map(callgrind::count).collect();
    let mut budgets = Budgets::read();
    if arguments.contains(&"--update") {
        budgets.update(&figures);
        return ExitCode::SUCCESS;
    }
    budgets.judge(&figures)
}
