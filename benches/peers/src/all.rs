//! Every measurement, one after the other, with one file of results and their plots.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use crate::figures::{self, Figures};
use crate::{broadcast, echo, handshake, idle, micro, plot, rounds};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Everything once, with fewer rows and connections: a look, not a figure.
    #[arg(long, conflicts_with = "reps")]
    quick: bool,

    /// How often everything is measured; each measurement has its own number otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    reps: Option<u32>,

    /// Where to write the figures, each repetition of them, as JSON.
    #[arg(long, value_name = "FILE")]
    json: PathBuf,

    /// The folder for the plots.
    #[arg(long, value_name = "DIR")]
    plots: PathBuf,
}

type Measured = Result<Vec<Figures>, Box<dyn Error>>;

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let quick = options.quick;
    let reps = |usual| options.reps.unwrap_or(usual);
    let mut all: Vec<Figures> = Vec::new();
    // Servers inherit what a measurement does to this process. `micro` does nothing to it; the next
    // keep it on one core, which `idle` does not mind; and `idle` turns off huge pages, which they
    // would.
    let steps: [(&str, &dyn Fn() -> Measured); 5] = [
        ("micro", &|| {
            micro::measure(&micro::Options {
                quick,
                reps: reps(micro::REPETITIONS),
                groups: Vec::new(),
                json: None,
            })
        }),
        ("echo", &|| {
            echo::measure(&echo::Options {
                quick,
                reps: reps(rounds::REPETITIONS),
                rows: Vec::new(),
                only: Vec::new(),
                json: None,
            })
        }),
        ("broadcast", &|| {
            broadcast::measure(&broadcast::Options {
                quick,
                reps: reps(rounds::REPETITIONS),
                receivers: broadcast::RECEIVERS,
                only: Vec::new(),
                json: None,
            })
        }),
        ("handshake", &|| {
            handshake::measure(&handshake::Options {
                quick,
                reps: reps(rounds::REPETITIONS),
                only: Vec::new(),
                json: None,
            })
        }),
        ("idle", &|| {
            idle::measure(&idle::Options {
                connections: idle::CONNECTIONS,
                quick,
                reps: reps(idle::REPETITIONS),
                only: Vec::new(),
                json: None,
            })
        }),
    ];
    for (number, (name, measure)) in steps.iter().enumerate() {
        eprintln!("== {name}, {} of {}", number + 1, steps.len());
        all.append(&mut measure().map_err(|error| format!("{name}: {error}"))?);
        // What took long is not lost if a later one fails.
        fs::write(&options.json, format!("{:#}\n", figures::to_json(&all)))?;
    }
    figures::print(&all);
    plot::draw_all(&figures::to_json(&all), &options.plots)
}
