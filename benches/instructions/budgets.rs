//! Judging: figures, and the committed table of what they may be.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};

use super::callgrind::Figure;

/// The table in `budgets.txt`.
pub(super) struct Budgets {
    /// The version of the compiler whose code was counted.
    rustc: String,
    rows: BTreeMap<String, Budget>,
}

#[derive(Default)]
struct Budget {
    /// The most instructions that an operation may take.
    most: u64,
    /// What it is to come down to.
    bar: Option<u64>,
}

impl Budgets {
    pub(super) fn read() -> Self {
        let text = fs::read_to_string(PATH).expect("the table is beside this file");
        let number = |word: &str| -> u64 { word.parse().expect("a number of instructions") };
        let (mut rustc, mut rows) = (String::new(), BTreeMap::new());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (name, most, bar) = match words[..] {
                ["rustc", version] => {
                    rustc = version.to_owned();
                    continue;
                }
                [name, most] => (name, most, None),
                [name, most, bar] => (name, most, Some(number(bar))),
                _ => panic!("not a row, its budget and its bar: {line}"),
            };
            let most = number(most);
            rows.insert(name.to_owned(), Budget { most, bar });
        }
        Self { rustc, rows }
    }

    /// Gives each figure the budget that it earns, and writes the table.
    pub(super) fn update(&mut self, figures: &[Figure]) {
        for figure in figures {
            let budget = self.rows.entry(figure.name.clone()).or_default();
            budget.most = budget_of(figure);
        }
        let mut text = format!("{HEAD}rustc {}\n", rustc_version());
        for (name, Budget { most, bar }) in &self.rows {
            let bar = bar.map(|bar| bar.to_string()).unwrap_or_default();
            text.push_str(format!("{name:48} {most:>6} {bar:>6}").trim_end());
            text.push('\n');
        }
        fs::write(PATH, text).expect("the table can be written");
    }

    /// Prints each figure beside its budget, and then what is wrong with either.
    pub(super) fn judge(&self, figures: &[Figure]) -> ExitCode {
        let mut faults = Vec::new();
        print_line("row", "instructions", "budget", "bar");
        for figure in figures {
            let (Figure { name, instructions }, new) = (figure, budget_of(figure));
            let Some(Budget { most, bar }) = self.rows.get(name) else {
                faults.push(format!("{name} has no budget: give it {new}"));
                continue;
            };
            let bar = bar.map(|bar| bar.to_string()).unwrap_or_default();
            print_line(name, &format!("{instructions:.1}"), &most.to_string(), &bar);
            let budget = *most as f64;
            if *instructions > budget {
                faults.push(format!("{name} is beyond its budget of {most}"));
            } else if *instructions < budget * SLACK {
                faults.push(format!(
                    "{name} is far below its budget of {most}: lower it to {new}"
                ));
            }
        }
        for fault in &faults {
            eprintln!("{fault}");
        }
        match self.incomparable() {
            Some(reason) => eprintln!("!! NOT JUDGED: {reason}"),
            None if faults.is_empty() => {}
            None => {
                eprintln!("{HINT}");
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }

    /// Says why what was counted here is not what the budgets are for, if so.
    fn incomparable(&self) -> Option<String> {
        let (theirs, ours) = (&self.rustc, rustc_version());
        if !runs_avx2() {
            Some("the budgets are for x86-64 with AVX2".to_owned())
        } else if *theirs != ours {
            Some(format!(
                "the budgets are for rustc {theirs}, and this is {ours}; `--update` writes them anew"
            ))
        } else {
            None
        }
    }
}

/// Returns the budget that a figure earns.
#[expect(
    clippy::cast_possible_truncation,
    reason = "an operation takes far fewer than 2^53 instructions"
)]
fn budget_of(figure: &Figure) -> u64 {
    (figure.instructions * MARGIN).ceil() as u64
}

fn print_line(name: &str, instructions: &str, budget: &str, bar: &str) {
    println!("{name:48} {instructions:>12} {budget:>6} {bar:>6}");
}

fn rustc_version() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.expect("whoever runs cargo has rustc");
    // `rustc 1.89.0 (29483883e 2025-08-04)`
    let version = String::from_utf8_lossy(&output.stdout);
    version
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(target_arch = "x86_64")]
fn runs_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn runs_avx2() -> bool {
    false
}

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/budgets.txt"
);

const HEAD: &str = "\
# Row, the most instructions that an operation may take and, where one is set, the bar to come down to.
# `cargo bench --bench 'count_*' -- --update` writes this file; benches/README.md says more.
";

const HINT: &str = "\
`cargo bench --bench 'count_*' -- --update` writes the budgets anew; the commit that raises one says why";

/// What the same code may take more with another C library, or where memory lies otherwise.
const MARGIN: f64 = 1.03;

/// Below so much of it a budget would not notice that what was won is lost again.
const SLACK: f64 = 0.9;
