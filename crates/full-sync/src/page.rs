//! The page: everything that was measured, told from the file of results.

use std::fmt::Write;

use crate::plots::Plot;
use crate::record::{METRICS, Metric, Report, Scenario, Unit};

/// Writes the page.
pub(crate) fn write(report: &Report, plots: &[Plot]) -> String {
    let mut page = Page(String::new());
    page.head(report);
    for scenario in report.scenarios() {
        page.scenario(report, scenario, plots);
    }
    page.failures(report);
    page.0
}

/// A figure in its unit, with as many digits as say something.
pub(crate) fn told(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => format!("{} s", digits(value)),
        Unit::Millis => format!("{} ms", digits(value)),
        Unit::Bytes => format!("{} MB", digits(value / 1e6)),
        Unit::PerSecond => format!("{value:.0}/s"),
        Unit::Count => digits(value),
    }
}

/// About three digits, without an end of zeros.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        small if small >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A row of a table.
    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        self.line(&format!("| {} |", cells.join(" | ")));
    }

    fn head(&mut self, report: &Report) {
        let machine = &report.machine;
        let settings = &report.settings;
        let versions: Vec<String> = report
            .pairings
            .iter()
            .map(|pairing| format!("{} {}", pairing.name, pairing.version))
            .collect();
        let mut text = String::from(
            "# Full synchronisations, measured\n\n\
             This page, its plots and its tables are made by `utils/bench/full-sync` from `results.json` beside it.\n\n",
        );
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "- Machine: {}, {} cores, {} GiB, {}; {}. Primary, replica and load share the cores, none is pinned.\n\
             - Command: `{}`\n\
             - Servers: {}. Both ends of a pairing are the same program.\n\
             - Dataset: strings of {} random bytes, a snapshot of about {} MB. Diskless, loaded by the parser \
             (`repl-diskless-load swapdb`), no delay, `client-output-buffer-limit replica {}`, `save \"\"`; everything \
             else as it is by default.\n\
             - Load: {} clients with one request at a time each, `LPUSH my_list` with numbers below 100000, {} writes at \
             most; it begins {} s before the replica comes. With reads, {} of the clients ask for SDIFF and SUNION of two \
             sets of {} members in turn.\n\
             - Rounds: {} of each pairing, in turns, with new servers each time. Buffers are looked at every 20 ms. The \
             synchronisation ends when the replica has all that the primary had at the moment when it was online; then the \
             load ends, and the digests of both are compared.\n\
             - What was to be reached, and what limits where it was not: [replication](../replication.md#what-a-synchronisation-costs).\n\n",
            machine.processor,
            machine.cores,
            machine.memory_bytes.div_ceil(1 << 30),
            machine.kernel,
            machine.date,
            report.command,
            versions.join(", "),
            settings.value_bytes,
            settings.size_bytes / 1_000_000,
            settings.output_limit,
            settings.clients,
            settings.requests_max,
            settings.before_s,
            settings.readers,
            settings.set_members,
            settings.rounds,
        );
        self.0.push_str(&text);
    }

    fn scenario(&mut self, report: &Report, scenario: Scenario, plots: &[Plot]) {
        self.line(match scenario {
            Scenario::Writes => "## Writes\n",
            Scenario::Reads => "## Writes beside heavy reads\n",
        });
        self.medians(report, scenario);
        for plot in plots.iter().filter(|plot| plot.scenario == scenario) {
            self.line(&format!("![{}]({})\n", plot.caption, plot.file));
        }
        self.line("### All rounds\n");
        self.rounds(report, scenario);
    }

    fn medians(&mut self, report: &Report, scenario: Scenario) {
        self.line(
            "Medians. The ratio is that of our two channels to the better one of the peers' two channels; below 1 is better \
             for us, but for rates.\n",
        );
        let names = report.pairings.iter().map(|pairing| pairing.name.clone());
        self.row(
            std::iter::once(String::new())
                .chain(names)
                .chain(["ratio".to_owned()]),
        );
        self.ruler(report.pairings.len() + 1);
        for metric in metrics(scenario) {
            let medians = report.pairings.iter().map(|pairing| {
                let median = report.median(scenario, &pairing.name, metric);
                median.map_or("-".to_owned(), |median| told(median, metric.unit))
            });
            let ratio = report.ratio(scenario, metric);
            let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            self.row(
                std::iter::once(metric.name.to_owned())
                    .chain(medians)
                    .chain([ratio]),
            );
        }
        self.line("");
    }

    /// Every figure of every round: the good ones and the bad ones.
    fn rounds(&mut self, report: &Report, scenario: Scenario) {
        self.row(
            std::iter::once(String::new())
                .chain(report.pairings.iter().map(|pairing| pairing.name.clone())),
        );
        self.ruler(report.pairings.len());
        for metric in metrics(scenario) {
            let cells = report.pairings.iter().map(|pairing| {
                let values: Vec<String> = report
                    .rounds_of(scenario, &pairing.name)
                    .map(|round| match &round.measured {
                        Some(measured) => told((metric.of)(measured), metric.unit),
                        None => "failed".to_owned(),
                    })
                    .collect();
                values.join(", ")
            });
            self.row(std::iter::once(metric.name.to_owned()).chain(cells));
        }
        self.line("");
    }

    fn ruler(&mut self, columns: usize) {
        let columns = std::iter::repeat_n("---:".to_owned(), columns);
        self.row(std::iter::once("---".to_owned()).chain(columns));
    }

    fn failures(&mut self, report: &Report) {
        self.line("## Failures\n");
        let mut any = false;
        for round in report.failures() {
            any = true;
            let text = round.failure.as_deref().unwrap_or_default();
            self.line(&format!(
                "- {}, round {}, {}: {}",
                round.scenario.name(),
                round.round,
                round.pairing,
                text.replace('\n', " ")
            ));
        }
        if !any {
            self.line("None: in every round both had the same digest in the end.");
        }
    }
}

fn metrics(scenario: Scenario) -> impl Iterator<Item = &'static Metric> {
    METRICS
        .iter()
        .filter(move |metric| !metric.of_reads || scenario == Scenario::Reads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample;

    fn page(report: &Report) -> String {
        let plots = [Plot {
            scenario: Scenario::Writes,
            caption: "Latency".to_owned(),
            file: "latency-writes.svg".to_owned(),
        }];
        write(report, &plots)
    }

    #[test]
    fn numbers_have_the_digits_that_matter() {
        assert_eq!(told(1234.5, Unit::Seconds), "1234 s");
        assert_eq!(told(12.345, Unit::Millis), "12.3 ms");
        assert_eq!(told(1.2345, Unit::Millis), "1.23 ms");
        assert_eq!(told(0.0444, Unit::Millis), "0.044 ms");
        assert_eq!(told(2_500_000.0, Unit::Bytes), "2.5 MB");
        assert_eq!(told(71_234.4, Unit::PerSecond), "71234/s");
        assert_eq!(told(1.0, Unit::Count), "1");
        assert_eq!(told(0.0, Unit::Seconds), "0 s");
        assert_eq!(told(100.0, Unit::Seconds), "100 s");
    }

    #[test]
    fn the_page_has_medians_ratios_and_all_rounds() {
        let page = page(&sample());
        for line in [
            "|  | ours-dual | ours-classic | reference-dual | newer-dual | ratio |",
            "| synchronisation | 2 s | 8 s | 4 s | 6 s | 0.50 |",
            "| writes during | 1000/s | 250/s | 500/s | 333/s | 2.00 |",
            "| synchronisation | 1 s, 2 s, 3 s | 4 s, 8 s, 12 s | 2 s, 4 s, 6 s | 3 s, 6 s, 9 s |",
            "- Command: `utils/bench/full-sync --size 50m`",
            "![Latency](latency-writes.svg)",
            "None: in every round both had the same digest in the end.",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        assert!(!page.contains("heavy reads\n"), "no round read anything");
    }

    #[test]
    fn failures_are_told() {
        let mut report = sample();
        report.rounds[0].measured = None;
        report.rounds[0].failure = Some("it took\ntoo long".to_owned());
        let page = page(&report);
        assert!(page.contains("- writes, round 1, ours-dual: it took too long\n"));
        assert!(page.contains("| synchronisation | failed, 2 s, 3 s |"));
        assert!(page.contains("| synchronisation | 2.5 s |"));
    }
}
