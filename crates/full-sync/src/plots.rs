//! The plots: latencies and buffers over time, and bars of medians.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::page::told;
use crate::record::{METRICS, Metric, Point, Report, Scenario, Unit};

/// A plot that was drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plot {
    /// Which rounds it is of.
    pub(crate) scenario: Scenario,
    /// What a reader sees.
    pub(crate) caption: String,
    /// File name in the folder of results.
    pub(crate) file: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// Width of every plot.
const WIDTH: u32 = 960;
/// Height of a plot over time.
const HEIGHT: u32 = 420;
/// Height of a row of bars, and how many charts stand in one.
const ROW_HEIGHT: u32 = 210;
const CHARTS_IN_ROW: usize = 3;
/// No font of the machine is asked for: a viewer takes its own.
const FONT: &str = "sans-serif";
/// Sizes of letters: of titles, of titles of small charts, of everything else.
const LARGE: i32 = 20;
const MEDIUM: i32 = 17;
const SMALL: i32 = 14;
/// Latencies below this are drawn as this: the scale is logarithmic.
const LATENCY_MS_MIN: f64 = 0.05;
/// One for each pairing, in their order; told apart by those who do not see all colours.
const COLORS: &[RGBColor] = &[
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// Draws all plots into a folder.
pub(crate) fn draw(folder: &Path, report: &Report) -> Result<Vec<Plot>, Box<dyn Error>> {
    let mut plots = Vec::new();
    for scenario in report.scenarios() {
        let mut plot = |kind: &str, caption: &str, height, draw: &dyn Fn(&Area<'_>) -> Drawn| {
            let file = format!("{kind}-{}.svg", scenario.name());
            let path = folder.join(&file);
            let root = SVGBackend::new(&path, (WIDTH, height)).into_drawing_area();
            root.fill(&WHITE)?;
            draw(&root)?;
            root.present()?;
            plots.push(Plot {
                scenario,
                caption: caption.to_owned(),
                file,
            });
            Drawn::Ok(())
        };
        let lines = Lines { report, scenario };
        plot(
            "latency",
            "p99 of writes in each tenth of a second; the replica comes at 0",
            HEIGHT,
            &|area| lines.latencies(area),
        )?;
        plot(
            "buffers",
            "Replication buffers over time",
            2 * HEIGHT,
            &|area| lines.buffers(area),
        )?;
        let metrics = bars_of(report, scenario);
        let rows = u32::try_from(metrics.len().div_ceil(CHARTS_IN_ROW))?;
        plot(
            "medians",
            "Medians of all rounds",
            rows * ROW_HEIGHT,
            &|area| bars(area, report, scenario, &metrics),
        )?;
    }
    Ok(plots)
}

/// Typical rounds of all pairings in one chart.
struct Lines<'a> {
    report: &'a Report,
    scenario: Scenario,
}

impl Lines<'_> {
    /// What there is of each pairing, with its name and colour.
    fn series(&self) -> Vec<(&str, RGBColor, &[Point])> {
        let rows = self.report.pairings.iter().zip(COLORS.iter().cycle());
        rows.filter_map(|(pairing, color)| {
            let round = self
                .report
                .rounds_of(self.scenario, &pairing.name)
                .find(|round| !round.series.is_empty())?;
            Some((pairing.name.as_str(), *color, round.series.as_slice()))
        })
        .collect()
    }

    fn seconds(&self) -> std::ops::Range<f64> {
        let all = || self.series().into_iter().flat_map(|(_, _, points)| points);
        let first = all().map(|point| point.at_s).fold(-1.0, f64::min);
        let last = all().map(|point| point.at_s).fold(1.0, f64::max);
        first..last
    }

    fn latencies(&self, area: &Area<'_>) -> Drawn {
        let shown = |point: &Point| {
            let p99_ms = point.p99_ms?;
            Some((point.at_s, p99_ms.max(LATENCY_MS_MIN)))
        };
        let largest = self.largest(|point| point.p99_ms).max(1.0);
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(60)
            .caption("Writes: p99 over time", (FONT, LARGE))
            .build_cartesian_2d(self.seconds(), (LATENCY_MS_MIN..largest * 2.0).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("seconds since REPLICAOF")
            .y_desc("ms")
            .max_light_lines(1)
            .label_style((FONT, SMALL))
            .draw()?;
        for (name, color, points) in self.series() {
            chart
                .draw_series(LineSeries::new(points.iter().filter_map(shown), color))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .label_font((FONT, SMALL))
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        Ok(())
    }

    fn buffers(&self, area: &Area<'_>) -> Drawn {
        let halves = area.split_evenly((2, 1));
        self.megabytes(&halves[0], "Primary: replication buffers", |point| {
            point.primary_buffers_bytes
        })?;
        self.megabytes(&halves[1], "Replica: held back until loaded", |point| {
            point.replica_buffers_bytes
        })
    }

    fn megabytes(&self, area: &Area<'_>, title: &str, of: fn(&Point) -> Option<u64>) -> Drawn {
        let mb = |point: &Point| of(point).map(|bytes| bytes as f64 / 1e6);
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(60)
            .caption(title, (FONT, LARGE))
            .build_cartesian_2d(self.seconds(), 0.0..self.largest(mb).max(1.0) * 1.1)?;
        chart
            .configure_mesh()
            .x_desc("seconds since REPLICAOF")
            .y_desc("MB")
            .max_light_lines(1)
            .label_style((FONT, SMALL))
            .draw()?;
        for (name, color, points) in self.series() {
            let line = points
                .iter()
                .filter_map(|point| Some((point.at_s, mb(point)?)));
            chart
                .draw_series(LineSeries::new(line, color))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font((FONT, SMALL))
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        Ok(())
    }

    fn largest(&self, of: impl Fn(&Point) -> Option<f64>) -> f64 {
        let all = self.series().into_iter().flat_map(|(_, _, points)| points);
        all.filter_map(of).fold(0.0, f64::max)
    }
}

/// Figures that there are in this scenario.
fn bars_of(report: &Report, scenario: Scenario) -> Vec<&'static Metric> {
    METRICS
        .iter()
        .filter(|metric| !metric.of_reads || scenario == Scenario::Reads)
        .filter(|metric| {
            report
                .pairings
                .iter()
                .any(|pairing| report.median(scenario, &pairing.name, metric).is_some())
        })
        .collect()
}

fn bars(area: &Area<'_>, report: &Report, scenario: Scenario, metrics: &[&Metric]) -> Drawn {
    let rows = metrics.len().div_ceil(CHARTS_IN_ROW);
    let charts = area.split_evenly((rows.max(1), CHARTS_IN_ROW));
    for (area, metric) in charts.iter().zip(metrics) {
        chart_of_bars(area, report, scenario, metric)?;
    }
    Ok(())
}

/// A bar for each pairing, with its name and its value.
fn chart_of_bars(area: &Area<'_>, report: &Report, scenario: Scenario, metric: &Metric) -> Drawn {
    let rows: Vec<(&str, RGBColor, Option<f64>)> = report
        .pairings
        .iter()
        .zip(COLORS.iter().cycle())
        .map(|(pairing, color)| {
            let median = report.median(scenario, &pairing.name, metric);
            (pairing.name.as_str(), *color, median)
        })
        .collect();
    let largest = rows.iter().filter_map(|row| row.2).fold(0.0, f64::max);
    let title = match metric.unit {
        Unit::PerSecond => format!("{} (more is better)", metric.name),
        _ => metric.name.to_owned(),
    };
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .caption(title, (FONT, MEDIUM))
        // Room for the names on the left, and for the values on the right.
        .build_cartesian_2d(-0.7..1.35, 0.0..rows.len() as f64)?;
    let text = (FONT, SMALL).into_font().color(&BLACK);
    for (number, (name, color, median)) in rows.iter().rev().enumerate() {
        let y = number as f64;
        let share = match median {
            Some(median) if largest > 0.0 => median / largest,
            _ => 0.0,
        };
        let value = median.map_or("-".to_owned(), |median| told(median, metric.unit));
        chart.draw_series([Rectangle::new(
            [(0.0, y + 0.15), (share, y + 0.85)],
            color.filled(),
        )])?;
        chart.draw_series([
            Text::new((*name).to_owned(), (-0.68, y + 0.65), text.clone()),
            Text::new(value, (share + 0.02, y + 0.65), text.clone()),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample;
    use std::fs;

    #[test]
    fn plots_name_all_pairings() {
        let folder = tempfile::tempdir().expect("a folder");
        let report = sample();
        let plots = draw(folder.path(), &report).expect("they are drawn");
        let files: Vec<&str> = plots.iter().map(|plot| plot.file.as_str()).collect();
        assert_eq!(
            files,
            [
                "latency-writes.svg",
                "buffers-writes.svg",
                "medians-writes.svg"
            ]
        );
        for file in files {
            let text = fs::read_to_string(folder.path().join(file)).expect("it is there");
            for pairing in &report.pairings {
                assert!(text.contains(&pairing.name), "{file}: {}", pairing.name);
            }
        }
    }

    #[test]
    fn a_scenario_without_figures_is_drawn_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut report = sample();
        for round in &mut report.rounds {
            round.measured = None;
            round.series.clear();
            round.failure = Some("it took too long".to_owned());
        }
        report.rounds.truncate(1);
        assert!(draw(folder.path(), &report).is_ok());
    }
}
