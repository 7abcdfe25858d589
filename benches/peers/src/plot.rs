//! Plots of figures, as SVG: bars by ratio to the limit, a panel for each row.
//!
//! It knows JSON as `figures` writes it, so that a plot can be drawn again from a file, and nothing
//! of how anything was measured. What is drawn brings its own background, light or dark as the
//! reader prefers, because a page does not tell.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// What a measurement wrote by `--json`.
    results: PathBuf,

    /// The folder for the plots, one a group of rows.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    draw_all(
        &serde_json::from_slice(&fs::read(&options.results)?)?,
        &options.out,
    )
}

/// Draws all measurements into files of a folder, which are named after them.
pub(crate) fn draw_all(results: &Value, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let machine = results["machine"].as_str().ok_or("no machine")?;
    let measurements = results["measurements"].as_array();
    for measurement in measurements.ok_or("no measurements")? {
        let plot = Plot::read(measurement, machine).ok_or("not what a measurement writes")?;
        let path = folder.join(format!("{}.svg", plot.name));
        fs::write(&path, plot.draw()?)?;
        eprintln!("{}", path.display());
    }
    Ok(())
}

/// A measurement.
struct Plot {
    name: String,
    title: String,
    method: String,
    machine: String,
    panels: Vec<Panel>,
}

/// A row of a measurement.
struct Panel {
    title: String,
    /// What the limit takes.
    limit: String,
    /// Where the limit is on the scale.
    limit_value: f64,
    /// The best first.
    bars: Vec<Bar>,
}

/// A subject in a row.
struct Bar {
    name: String,
    class: &'static str,
    /// Its place on the scale; `None` if it failed.
    value: Option<f64>,
    label: String,
    detail: String,
}

impl Plot {
    fn read(measurement: &Value, machine: &str) -> Option<Self> {
        let unit = measurement["unit"].as_str()?;
        let repetitions = measurement["repetitions"].as_u64()?;
        let judged = measurement["judged"].as_str()?;
        let rows = measurement["rows"].as_array()?.iter();
        let panels = rows.map(|row| Panel::read(row, unit));
        let mut panels = panels.collect::<Option<Vec<_>>>()?;
        if let [panel] = &mut panels[..] {
            // The title of the whole says it.
            panel.title.clear();
        }
        let shown = if unit == BYTES { "bytes" } else { "× limit" };
        Some(Self {
            name: measurement["measurement"].as_str()?.to_owned(),
            title: measurement["title"].as_str()?.to_owned(),
            method: format!(
                "{shown}, less is better. The limit is the best floor in the same run; {judged}, \
                 {repetitions} repetition{}.",
                if repetitions == 1 { "" } else { "s" }
            ),
            machine: machine.to_owned(),
            panels,
        })
    }

    fn draw(&self) -> Result<String, Box<dyn Error>> {
        let columns = self.panels.len().min(2);
        let width = 2.0 * (MARGIN + PANEL_WIDTH) + GUTTER;
        let panel_width = (width - 2.0 * MARGIN - (columns - 1) as f64 * GUTTER) / columns as f64;
        let tallest = self.panels.iter().map(|it| it.bars.len()).max();
        let panel_height = PANEL_HEAD + tallest.unwrap_or(0) as f64 * LINE + PANEL_FOOT;
        let lines = self.panels.len().div_ceil(columns) as f64;
        let height = HEAD + lines * panel_height;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">\n\
             <style>{STYLE}</style>\n\
             <rect class=\"page\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
            escape(&self.title),
            width - 1.0,
            height - 1.0,
        );
        let texts = [
            ("h", 32.0, &self.title),
            ("m", 52.0, &self.method),
            ("m", 68.0, &self.machine),
        ];
        for (class, y, text) in texts {
            let text = escape(text);
            writeln!(
                svg,
                "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\">{text}</text>"
            )?;
        }
        for (x, class, text) in [
            (MARGIN, "f", "framewright"),
            (MARGIN + 106.0, "p", "peers"),
            (MARGIN + 174.0, "l", "hand-written floors"),
        ] {
            writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"80\" width=\"14\" height=\"10\" rx=\"2\"/>\
                 <text x=\"{}\" y=\"89\">{text}</text>",
                x + 20.0
            )?;
        }
        for (number, panel) in self.panels.iter().enumerate() {
            let x = MARGIN + NAMES + (number % columns) as f64 * (panel_width + GUTTER);
            let y = HEAD + (number / columns) as f64 * panel_height;
            writeln!(svg, "<g transform=\"translate({x:.0} {y:.0})\">")?;
            panel.draw(panel_width, &mut svg)?;
            writeln!(svg, "</g>")?;
        }
        svg += "</svg>\n";
        Ok(svg)
    }
}

impl Panel {
    fn read(row: &Value, unit: &str) -> Option<Self> {
        let subjects = row["subjects"].as_array()?.iter();
        let mut bars: Vec<_> = subjects
            .map(|subject| Bar::read(subject, unit))
            .collect::<Option<_>>()?;
        bars.sort_by(|one, other| {
            let [one, other] = [one, other].map(|it| it.value.unwrap_or(f64::INFINITY));
            one.total_cmp(&other)
        });
        let limit = row["limit"].as_f64();
        Some(Self {
            // As the rows of `echo` are named.
            title: row["row"].as_str()?.replace('x', " × "),
            limit: limit.map_or(String::new(), |it| format!("limit {}", quantity(it, unit))),
            limit_value: if unit == BYTES { limit? } else { 1.0 },
            bars,
        })
    }

    fn draw(&self, width: f64, svg: &mut String) -> Result<(), Box<dyn Error>> {
        let values = self.bars.iter().filter_map(|bar| bar.value);
        let (lowest, highest) = values.fold((self.limit_value, self.limit_value), |range, it| {
            (range.0.min(it), range.1.max(it))
        });
        let is_log = highest > MOST_LINEAR * lowest;
        let room = width - NAMES - LABELS;
        let scale = |value: f64| match is_log {
            // Half of the lowest is where the bars begin: on this scale there is no zero.
            true => room * (2.0 * value / lowest).ln() / (2.0 * highest / lowest).ln(),
            false => room * value / highest,
        };
        writeln!(
            svg,
            "<text class=\"t\" x=\"-{NAMES}\" y=\"12\">{}</text>\
             <text class=\"e\" x=\"{:.0}\" y=\"12\">{}{}</text>",
            escape(&self.title),
            width - NAMES,
            escape(&self.limit),
            if is_log { ", log scale" } else { "" },
        )?;
        for (number, bar) in self.bars.iter().enumerate() {
            let y = PANEL_HEAD + number as f64 * LINE;
            let (class, text) = (bar.class, y + 12.0);
            let bold = if class == "f" { " b" } else { "" };
            let name = escape(&bar.name);
            write!(
                svg,
                "<text class=\"n{bold}\" x=\"-7\" y=\"{text}\">{name}</text>"
            )?;
            let length = bar.value.map_or(0.0, scale);
            if bar.value.is_some() {
                let y = y + 2.0;
                write!(
                    svg,
                    "<rect class=\"{class}\" y=\"{y}\" width=\"{length:.1}\" height=\"12\" rx=\"2\"/>"
                )?;
            }
            let bold = if class == "f" { " class=\"b\"" } else { "" };
            write!(
                svg,
                "<text{bold} x=\"{:.0}\" y=\"{text}\">{}",
                length + 5.0,
                bar.label
            )?;
            if !bar.detail.is_empty() {
                let detail = &bar.detail;
                write!(svg, "<tspan dx=\"6\" class=\"m\">{detail}</tspan>")?;
            }
            writeln!(svg, "</text>")?;
        }
        let (x, y) = (scale(self.limit_value), PANEL_HEAD - 2.0);
        let height = self.bars.len() as f64 * LINE + 2.0;
        writeln!(svg, "<path class=\"d\" d=\"M{x:.1} {y}v{height}\"/>")?;
        Ok(())
    }
}

impl Bar {
    fn read(subject: &Value, unit: &str) -> Option<Self> {
        let (ratio, cost) = (subject["ratio"].as_f64(), subject["cost"].as_f64());
        let cost_label = cost.map_or(String::new(), |it| quantity(it, unit));
        let (value, label, detail) = match (unit, ratio) {
            (BYTES, _) => (cost, cost_label, String::new()),
            (_, Some(ratio)) => (Some(ratio), multiple(ratio), cost_label),
            (_, None) => (None, "failed".to_owned(), String::new()),
        };
        Some(Self {
            // As the servers of `broadcast` are named.
            name: subject["name"].as_str()?.replace("-broadcast", ""),
            class: match subject["kind"].as_str()? {
                "framewright" => "f",
                "floor" => "l",
                _ => "p",
            },
            value,
            label,
            detail,
        })
    }
}

fn multiple(ratio: f64) -> String {
    match ratio {
        ..10.0 => format!("{ratio:.2}×"),
        ..100.0 => format!("{ratio:.1}×"),
        _ => format!("{ratio:.0}×"),
    }
}

/// Writes a quantity with about three digits.
fn quantity(quantity: f64, unit: &str) -> String {
    let units = match unit {
        BYTES => ["B", "kB", "MB"],
        _ => ["ns", "µs", "ms"],
    };
    let (scaled, unit) = match quantity {
        ..1e3 => (quantity, units[0]),
        ..1e6 => (quantity / 1e3, units[1]),
        _ => (quantity / 1e6, units[2]),
    };
    match scaled {
        ..10.0 => format!("{scaled:.2} {unit}"),
        ..100.0 => format!("{scaled:.1} {unit}"),
        _ => format!("{scaled:.0} {unit}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// The unit that is shown as it is.
const BYTES: &str = "bytes";

/// From here on the highest value is so many times the lowest that bars are drawn by logarithm.
const MOST_LINEAR: f64 = 6.0;

const MARGIN: f64 = 24.0;
const GUTTER: f64 = 28.0;
const HEAD: f64 = 118.0;
const PANEL_WIDTH: f64 = 448.0;
const PANEL_HEAD: f64 = 22.0;
const PANEL_FOOT: f64 = 24.0;
const LINE: f64 = 17.0;
/// How wide the names of the bars are, and their labels.
const NAMES: f64 = 178.0;
const LABELS: f64 = 104.0;

const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;\
font-variant-numeric:tabular-nums;fill:#1f2328}\
.page{fill:#fff;stroke:#d0d7de}.h{font-size:18px;font-weight:600}.t{font-size:13px;font-weight:600}\
.m,.e{font-size:11px;font-weight:400;fill:#656d76}.e,.n{text-anchor:end}\
.b{font-weight:700}.f{fill:#e8590c}.p{fill:#b8c0c8}.l{fill:none;stroke:#8c959f;stroke-dasharray:3 2}\
.d{stroke:#57606a;stroke-dasharray:4 3;fill:none}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117;stroke:#30363d}\
.m,.e{fill:#8d96a0}.f{fill:#ff8a3d}.p{fill:#57606a}.l{stroke:#8d96a0}.d{stroke:#c9d1d9}}";
