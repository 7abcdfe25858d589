//! Figures of one measurement: rows × subjects × repetitions, as a table and as JSON.
//!
//! It knows the order in which things are measured, what a limit and a ratio are, and what a
//! failure means; how anything is measured it does not know.

use std::collections::BTreeSet;
use std::error::Error;

use serde_json::{Value, json};

use crate::servers::{Kind, Server};
use crate::{machine, table};

/// Figures of one measurement.
pub(crate) struct Figures {
    /// Its name in the JSON, which is also that of its plot.
    pub(crate) measurement: &'static str,
    /// What is measured, as a headline.
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) judged: Judged,
    rows: Vec<String>,
    subjects: Vec<Subject>,
    /// For each repetition, row and subject.
    samples: Vec<Vec<Vec<Sample>>>,
}

/// What is measured: a server, or a way to do something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// The crate whose version is reported.
    pub(crate) package: &'static str,
    pub(crate) kind: Kind,
}

/// How repetitions become one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// The median of the ratios, each formed within a repetition: what else runs on the machine is
    /// in both of its parts.
    ByMedianRatio,
    /// The ratio of the bests: what takes microseconds finds a quiet moment in one of them.
    ByBest,
}

/// What one subject came to in one row of one repetition.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// What is compared: less is better. Not a number if a peer failed.
    pub(crate) cost: f64,
    /// What is worth to be known beside it.
    pub(crate) notes: Vec<(&'static str, f64)>,
}

/// A ratio to the limit, over the repetitions.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    value: f64,
    /// (highest − lowest) / median.
    dispersion: f64,
}

/// The limit of a row in one repetition.
#[derive(Debug, Clone, Copy)]
struct Limit {
    floor: &'static str,
    cost: f64,
}

impl From<&Server> for Subject {
    fn from(server: &Server) -> Self {
        Self {
            name: server.name,
            package: server.package,
            kind: server.kind,
        }
    }
}

impl Figures {
    pub(crate) fn new(
        measurement: &'static str,
        title: String,
        unit: &'static str,
        judged: Judged,
        rows: Vec<String>,
        subjects: Vec<Subject>,
    ) -> Self {
        Self {
            measurement,
            title,
            unit,
            judged,
            rows,
            subjects,
            samples: Vec::new(),
        }
    }

    /// Measures everything once more, with what measures a row (by its number) with a subject.
    ///
    /// A peer that fails has failed the row; anything else that fails ends the run.
    pub(crate) fn repeat(
        &mut self,
        repetitions: u32,
        mut measure: impl FnMut(usize, usize) -> Result<Sample, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let round = self.samples.len() + 1;
        let mut samples = Vec::new();
        for (row, row_name) in self.rows.iter().enumerate() {
            let mut line = vec![None; self.subjects.len()];
            for turn in 0..line.len() {
                // Who goes first in one row goes later in the next, and in the next repetition.
                let place = (turn + row + round * 5) % line.len();
                let subject = self.subjects[place];
                let title = format!(
                    "{} {round}/{repetitions} {row_name:<12} {:<25}",
                    self.measurement, subject.name
                );
                line[place] = Some(match measure(row, place) {
                    Ok(sample) => {
                        eprintln!("{title}{}", sample.describe(self.unit));
                        sample
                    }
                    Err(error) if subject.kind == Kind::Peer => {
                        eprintln!("{title}FAILED: {error}");
                        Sample::failed()
                    }
                    Err(error) => {
                        return Err(format!("{row_name} with {}: {error}", subject.name).into());
                    }
                });
            }
            samples.push(line.into_iter().flatten().collect());
        }
        self.samples.push(samples);
        Ok(())
    }

    /// Draws a table with a line for each subject.
    pub(crate) fn table(&self) -> String {
        match self.rows.len() {
            1 => self.table_of_one_row(),
            _ => self.table_of_ratios(),
        }
    }

    /// Draws the costs in the only row, with a column of ratios for each of our own subjects.
    fn table_of_one_row(&self) -> String {
        let ours: Vec<_> = (self.subjects.iter().enumerate())
            .filter(|(_, subject)| subject.kind == Kind::Framewright)
            .collect();
        let mut head = ["subject", "version", self.unit, "lowest to highest"]
            .map(str::to_owned)
            .to_vec();
        head.push("ratio to the limit".into());
        head.extend((ours.iter()).map(|(_, own)| format!("to {}", own.name)));
        let mut lines = vec![head];
        for (place, subject) in self.subjects.iter().enumerate() {
            let cost = self.cost(0, place);
            let costs = sorted(self.of(0, place).iter().map(|it| it.cost));
            let range = costs.map_or("failed".to_owned(), |costs| {
                format!("{} to {}", round(costs[0]), round(costs[costs.len() - 1]))
            });
            let mut line = vec![
                subject.name.to_owned(),
                machine::version_of(subject.package).to_owned(),
                round(cost),
                range,
                format!("{:.2}", self.ratio(0, place).value),
            ];
            let ratios = ours.iter().map(|(own, _)| cost / self.cost(0, *own));
            line.extend(ratios.map(|ratio| format!("{ratio:.2}")));
            lines.push(line);
        }
        table::draw(&lines, 2)
    }

    /// Draws the ratios to the limit, with a column for each row.
    fn table_of_ratios(&self) -> String {
        let mut head = vec!["subject".to_owned(), "version".to_owned()];
        head.extend(self.rows.iter().cloned());
        let mut lines = vec![head];
        let mut limits = vec![format!("limit, {}", self.unit), String::new()];
        limits.extend((0..self.rows.len()).map(|row| round(self.limit(row))));
        lines.push(limits);
        for (place, subject) in self.subjects.iter().enumerate() {
            let version = machine::version_of(subject.package);
            let mut line = vec![subject.name.to_owned(), version.to_owned()];
            line.extend((0..self.rows.len()).map(|row| {
                let ratio = self.ratio(row, place);
                let (value, spread) = (ratio.value, 100.0 * ratio.dispersion);
                match self.judged {
                    _ if value.is_nan() => "failed".to_owned(),
                    Judged::ByMedianRatio => format!("{value:.2} ({spread:.0} %)"),
                    Judged::ByBest => format!("{value:.2} ({})", round(self.cost(row, place))),
                }
            }));
            lines.push(line);
        }
        table::draw(&lines, 2)
    }

    /// Says for each row which floor is the limit, who is ahead, and how our best stands to the
    /// best peer.
    pub(crate) fn summary(&self) -> String {
        let mut summary = String::new();
        for (row, name) in self.rows.iter().enumerate() {
            let floors: BTreeSet<_> = self.limits(row).iter().map(|it| it.floor).collect();
            let floors: Vec<_> = floors.into_iter().collect();
            let mut ratios: Vec<_> = (self.subjects.iter().enumerate())
                .filter(|(_, subject)| subject.kind != Kind::Floor)
                .map(|(place, subject)| (subject, self.ratio(row, place).value))
                .filter(|(_, ratio)| !ratio.is_nan())
                .collect();
            ratios.sort_by(|one, other| one.1.total_cmp(&other.1));
            let places: Vec<_> = (ratios.iter().take(4))
                .map(|(subject, ratio)| format!("{} {ratio:.2}", subject.name))
                .collect();
            let best = |kind| ratios.iter().find(|(it, _)| it.kind == kind);
            let duel = best(Kind::Framewright).zip(best(Kind::Peer));
            let duel = duel.map_or(String::new(), |((ours, our_ratio), (peer, peer_ratio))| {
                let ratio = our_ratio / peer_ratio;
                format!("; {} / {} = {ratio:.2}", ours.name, peer.name)
            });
            summary += &format!(
                "{name:<12} limit: {}; ahead: {}{duel}\n",
                floors.join(" or "),
                places.join(", "),
            );
            for (place, subject) in self.subjects.iter().enumerate() {
                if self.ratio(row, place).value.is_nan() {
                    summary += &format!("{name:<12} FAILED: {}\n", subject.name);
                }
            }
        }
        summary
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().enumerate().map(|(row, name)| {
            let subjects = self.subjects.iter().enumerate().map(|(place, subject)| {
                let ratio = self.ratio(row, place);
                let samples = self.of(row, place);
                let mut figure = json!({
                    "name": subject.name,
                    "version": machine::version_of(subject.package),
                    "kind": subject.kind.name(),
                    "ratio": ratio.value,
                    "dispersion": ratio.dispersion,
                    "cost": self.cost(row, place),
                    "costs": samples.iter().map(|it| it.cost).collect::<Vec<_>>(),
                });
                for (number, (note, _)) in samples[0].notes.iter().enumerate() {
                    let notes = samples.iter().map(|it| it.notes.get(number).map(|it| it.1));
                    figure[*note] = notes.collect();
                }
                figure
            });
            let limits = self.limits(row).into_iter();
            json!({
                "row": name,
                "limit": self.limit(row),
                "limits": limits.map(|it| json!({"name": it.floor, "cost": it.cost})).collect::<Vec<_>>(),
                "subjects": subjects.collect::<Vec<_>>(),
            })
        });
        json!({
            "measurement": self.measurement,
            "title": self.title,
            "unit": self.unit,
            "repetitions": self.samples.len(),
            "judged": match self.judged {
                Judged::ByMedianRatio => "median of the ratios within a repetition",
                Judged::ByBest => "ratio of the bests",
            },
            "rows": rows.collect::<Vec<_>>(),
        })
    }

    /// All samples of a subject in a row.
    fn of(&self, row: usize, subject: usize) -> Vec<&Sample> {
        self.samples.iter().map(|it| &it[row][subject]).collect()
    }

    /// What the repetitions of a subject in a row come to.
    fn cost(&self, row: usize, subject: usize) -> f64 {
        let costs = self.of(row, subject).into_iter().map(|it| it.cost);
        self.judged.of(costs)
    }

    fn ratio(&self, row: usize, subject: usize) -> Ratio {
        let samples = self.of(row, subject).into_iter();
        let ratios: Vec<_> = match self.judged {
            Judged::ByMedianRatio => samples
                .zip(self.limits(row))
                .map(|(it, limit)| it.cost / limit.cost)
                .collect(),
            Judged::ByBest => samples.map(|it| it.cost / self.limit(row)).collect(),
        };
        let highest = ratios.iter().copied().fold(f64::MIN, f64::max);
        let lowest = ratios.iter().copied().fold(f64::MAX, f64::min);
        Ratio {
            value: self.judged.of(ratios.iter().copied()),
            dispersion: (highest - lowest) / median(ratios.into_iter()),
        }
    }

    /// What the limits of a row come to.
    fn limit(&self, row: usize) -> f64 {
        self.judged.of(self.limits(row).iter().map(|it| it.cost))
    }

    /// The limit of a row in each repetition: the fastest floor.
    fn limits(&self, row: usize) -> Vec<Limit> {
        let limit = |samples: &Vec<Vec<Sample>>| {
            let floors = self.subjects.iter().zip(&samples[row]);
            floors
                .filter(|(subject, _)| subject.kind == Kind::Floor)
                .map(|(subject, sample)| Limit {
                    floor: subject.name,
                    cost: sample.cost,
                })
                .min_by(|one, other| one.cost.total_cmp(&other.cost))
        };
        self.samples.iter().filter_map(limit).collect()
    }
}

impl Judged {
    /// What the cells of a table say.
    const fn describe(self) -> &'static str {
        match self {
            Self::ByMedianRatio => {
                "as a multiple of the limit: median of the ratios, and in brackets \
                 (highest - lowest) / median"
            }
            Self::ByBest => "as a multiple of the limit, and in brackets the best itself",
        }
    }

    /// A figure that is not a number makes the whole so: who failed once has failed.
    fn of(self, figures: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::ByMedianRatio => median(figures),
            Self::ByBest => sorted(figures).map_or(f64::NAN, |figures| figures[0]),
        }
    }
}

impl Sample {
    /// A peer that failed.
    pub(crate) const fn failed() -> Self {
        Self {
            cost: f64::NAN,
            notes: Vec::new(),
        }
    }

    fn describe(&self, unit: &str) -> String {
        let notes = self.notes.iter();
        let notes = notes.map(|(name, note)| format!(", {name} {}", round(*note)));
        format!(
            "{:>9} {unit}{}",
            round(self.cost),
            notes.collect::<String>()
        )
    }
}

/// Returns the median, which is not a number if a figure is not.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    sorted(figures).map_or(f64::NAN, |figures| {
        f64::midpoint(figures[(figures.len() - 1) / 2], figures[figures.len() / 2])
    })
}

/// Returns the figures in order: `None` if there are none, or one is not a number.
fn sorted(figures: impl Iterator<Item = f64>) -> Option<Vec<f64>> {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    (!figures.is_empty() && !figures.iter().any(|it| it.is_nan())).then_some(figures)
}

/// Writes a figure with about three digits.
fn round(figure: f64) -> String {
    match figure {
        ..10.0 => format!("{figure:.2}"),
        ..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

/// Prints the tables of some measurements, and writes all of their samples as JSON.
pub(crate) fn print(all: &[Figures]) {
    println!("{}, load {}\n", machine::describe(), machine::load());
    for figures in all {
        let judged = match figures.rows.len() {
            1 => "",
            _ => figures.judged.describe(),
        };
        println!("{}\n{judged}\n\n{}", figures.title, figures.table());
        println!("{}", figures.summary());
    }
}

/// All samples of some measurements, as JSON.
pub(crate) fn to_json(all: &[Figures]) -> Value {
    json!({
        "machine": machine::describe(),
        "measurements": all.iter().map(Figures::json).collect::<Vec<_>>(),
    })
}
