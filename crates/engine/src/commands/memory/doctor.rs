//! MEMORY DOCTOR: what is conspicuous about the memory of the process.

use super::{Figures, ratio};

/// Below this many bytes there is nothing to examine.
const BYTES_MIN: usize = 5 << 20;
/// An excess of fewer bytes is no issue, however big it is in proportion.
const EXCESS_MIN: usize = 10 << 20;
/// A peak this many times of what is used now is told of.
const PEAK_RATIO: f64 = 1.5;
/// How many times of what is used the process may be in memory.
const TOTAL_RATIO: f64 = 1.4;
/// The same for each layer above the one below it: allocations, pages in use, pages held, process.
const LAYER_RATIO: f64 = 1.1;
/// Buffers per client that are still small.
const CLIENT_BYTES_MAX: usize = 200 << 10;
/// Cached scripts that are not yet many.
const SCRIPTS_MAX: usize = 1000;
/// Buffers per replica that are still small.
const REPLICA_BYTES_MAX: usize = 10 << 20;

const TOO_SMALL: &str = "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back to our programming as soon as I finished rebooting.\n";
const WELL: &str = "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n";

/// The report on `figures`.
pub(super) fn report(figures: &Figures) -> String {
    if figures.total < BYTES_MIN {
        return TOO_SMALL.to_owned();
    }
    let issues = issues(figures);
    if issues.is_empty() {
        return WELL.to_owned();
    }
    let mut text =
        String::from("Sam, I detected a few issues in this Valkey instance memory implants:\n\n");
    for (name, advice) in issues {
        text.push_str(&format!(" * {name}: {advice}\n\n"));
    }
    text.push_str("I'm here to keep you safe, Sam. I want to help you.\n");
    text
}

/// What is wrong, by name, with what it means and what may help.
fn issues(figures: &Figures) -> Vec<(&'static str, &'static str)> {
    let memory = &figures.memory;
    let exceeds = |above: usize, below: usize, most: f64| {
        ratio(above, below) > most && above.saturating_sub(below) > EXCESS_MIN
    };
    let each = |bytes: usize, number: usize| bytes.checked_div(number).unwrap_or(0);
    let all = [
        (
            ratio(figures.peak, figures.total) > PEAK_RATIO,
            "Peak memory",
            "More than 150% of what is used now was used at some time. An allocator cannot give all of that back, so fragmentation looks big; the memory is used again as soon as there are more data. MEMORY PURGE may give some back, a restart gives back all.",
        ),
        (
            exceeds(memory.rss, figures.total, TOTAL_RATIO),
            "High total RSS",
            "The resident set of the process is more than 1.4 times what was allocated. With a peak (see above, if it is there) this is no issue. Otherwise the way the data change may fragment the memory.",
        ),
        (
            exceeds(memory.active, memory.allocated, LAYER_RATIO),
            "High allocator fragmentation",
            "The pages in use are more than 1.1 times what was allocated on them: after a peak (see above, if it is there), or because the way the data change fragments the memory.",
        ),
        (
            exceeds(memory.resident, memory.active, LAYER_RATIO),
            "High allocator RSS overhead",
            "The allocator holds more than 1.1 times the pages that are in use, usually after a peak (see above, if it is there). MEMORY PURGE gives them back.",
        ),
        (
            exceeds(memory.rss, memory.resident, LAYER_RATIO),
            "High process RSS overhead",
            "The process has more than 1.1 times of what its allocator holds: something besides the data takes memory.",
        ),
        (
            each(figures.replicas, figures.replicas_number) > REPLICA_BYTES_MAX,
            "Big replica buffers",
            "What waits for replicas is more than 10MB for each, on average: one of them may be slow, or its network. INFO tells how far behind each of them is, and CLIENT LIST what waits for it.",
        ),
        (
            each(figures.clients, figures.clients_number) > CLIENT_BYTES_MAX,
            "Big client buffers",
            "What is kept for clients is more than 200K for each, on average: they may read slowly, as subscribers do that cannot follow, or send very long pipelines or arguments. CLIENT LIST tells who it is.",
        ),
        (
            figures.scripts > SCRIPTS_MAX,
            "Many scripts",
            "More than 1000 scripts are cached by SCRIPT LOAD: scripts that differ in nothing but values should get these as arguments. SCRIPT FLUSH forgets them all.",
        ),
    ];
    all.into_iter()
        .filter_map(|(is, name, advice)| is.then_some((name, advice)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::MemoryFigures;

    const MB: usize = 1 << 20;

    fn healthy() -> Figures {
        Figures {
            peak: 100 * MB,
            total: 100 * MB,
            startup: 0,
            backlog: 0,
            replicas: 0,
            replicas_number: 0,
            clients: 1000,
            clients_number: 1,
            tables: Vec::new(),
            caches: (0, 0),
            scripts: 0,
            keys: 0,
            memory: MemoryFigures {
                used: 100 * MB,
                rss: 100 * MB,
                allocated: 100 * MB,
                active: 100 * MB,
                resident: 100 * MB,
                ..MemoryFigures::default()
            },
            rehashing: (0, 0),
        }
    }

    fn names(change: impl FnOnce(&mut Figures)) -> Vec<&'static str> {
        let mut figures = healthy();
        change(&mut figures);
        issues(&figures).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn each_issue_has_its_sign() {
        assert_eq!(names(|_| {}), [""; 0]);
        assert_eq!(names(|f| f.peak = 151 * MB), ["Peak memory"]);
        assert_eq!(names(|f| f.peak = 150 * MB), [""; 0]);
        assert_eq!(
            names(|f| (f.memory.rss, f.memory.resident, f.memory.active) =
                (141 * MB, 141 * MB, 141 * MB)),
            ["High total RSS", "High allocator fragmentation"]
        );
        assert_eq!(
            names(|f| (f.memory.rss, f.memory.resident) = (111 * MB, 111 * MB)),
            ["High allocator RSS overhead"]
        );
        assert_eq!(
            names(|f| f.memory.rss = 111 * MB),
            ["High process RSS overhead"]
        );
        assert_eq!(
            names(|f| (f.replicas, f.replicas_number) = (21 * MB, 2)),
            ["Big replica buffers"]
        );
        assert_eq!(
            names(|f| (f.replicas, f.replicas_number) = (21 * MB, 3)),
            [""; 0]
        );
        assert_eq!(names(|f| f.clients = 201 << 10), ["Big client buffers"]);
    }

    #[test]
    fn a_small_excess_is_none() {
        let grow = |f: &mut Figures| {
            f.total = 8 * MB;
            f.peak = 8 * MB;
            f.memory.allocated = 8 * MB;
            f.memory.active = 18 * MB;
            f.memory.resident = 18 * MB;
            f.memory.rss = 18 * MB;
        };
        assert_eq!(names(grow), [""; 0]);
    }

    #[test]
    fn the_report_lists_issues_between_two_sentences() {
        let mut figures = healthy();
        assert_eq!(report(&figures), WELL);
        figures.peak = 200 * MB;
        let text = report(&figures);
        assert!(text.starts_with(
            "Sam, I detected a few issues in this Valkey instance memory implants:\n\n * Peak memory: "
        ));
        assert!(text.ends_with("\n\nI'm here to keep you safe, Sam. I want to help you.\n"));
        figures.total = 5 * MB - 1;
        assert_eq!(report(&figures), TOO_SMALL);
    }
}
