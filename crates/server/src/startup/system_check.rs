//! `--check-system`: what of the system's settings harms a server that forks to save.
//!
//! Each check looks at one thing and says what is wrong with it; the texts go to standard output.

use std::fs::read_to_string;
use std::time::Duration;

/// What a check found: nothing, what is wrong, or that this system has no such thing.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Fine,
    Wrong(String),
    Unknown,
}

/// Kernel time is this share of a clock's reading at most, in percent, when it is read without a system call.
const KERNEL_PERCENT_MAX: u64 = 10;
/// For how long the clock is read.
const CLOCK_TRIAL: Duration = Duration::from_millis(50);

/// Runs all checks; the report, and whether everything is as it should be.
pub(crate) fn run() -> (String, bool) {
    let clock = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    report([
        ("slow-clocksource", slow_clock(clock.as_deref())),
        ("xen-clocksource", xen_clock(clock.as_deref())),
        (
            "overcommit",
            overcommit(read("/proc/sys/vm/overcommit_memory").as_deref()),
        ),
        (
            "THP",
            huge_pages(read("/sys/kernel/mm/transparent_hugepage/enabled").as_deref()),
        ),
    ])
}

/// The warning of a start under a system that may refuse memory to the snapshot child.
pub(crate) fn overcommit_warning() -> Option<String> {
    match overcommit(read("/proc/sys/vm/overcommit_memory").as_deref()) {
        Finding::Wrong(text) => Some(text),
        Finding::Fine | Finding::Unknown => None,
    }
}

fn read(path: &str) -> Option<String> {
    Some(read_to_string(path).ok()?.trim().to_owned())
}

fn report(findings: impl IntoIterator<Item = (&'static str, Finding)>) -> (String, bool) {
    let mut text = String::new();
    let mut fine = true;
    for (name, finding) in findings {
        let verdict = match finding {
            Finding::Fine => "OK".to_owned(),
            Finding::Unknown => "skipped".to_owned(),
            Finding::Wrong(what) => {
                fine = false;
                format!("WARNING:\n{what}")
            }
        };
        text.push_str(&format!("[{name}]...{verdict}\n"));
    }
    (text, fine)
}

/// A clock that takes a system call is read far more slowly, and it is read with every command.
fn slow_clock(name: Option<&str>) -> Finding {
    let before = crate::figures::usage(libc::RUSAGE_SELF);
    let start_ns = crate::clock::monotonic_ns();
    while u128::from(crate::clock::monotonic_ns() - start_ns) < CLOCK_TRIAL.as_nanos() {
        std::hint::black_box(crate::clock::unix_us());
    }
    let after = crate::figures::usage(libc::RUSAGE_SELF);
    let (kernel, user) = (after.0 - before.0, after.1 - before.1);
    if kernel * 100 <= (kernel + user) * KERNEL_PERCENT_MAX {
        return Finding::Fine;
    }
    Finding::Wrong(format!(
        "The system's clock is slow to read, which slows every command down. Consider another clock source; the current one is {}.",
        name.unwrap_or("unknown")
    ))
}

fn xen_clock(name: Option<&str>) -> Finding {
    match name {
        None => Finding::Unknown,
        Some("xen") => Finding::Wrong(
            "The clock source is xen, which is slow to read. Consider tsc: 'echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource'.".into(),
        ),
        Some(_) => Finding::Fine,
    }
}

fn overcommit(setting: Option<&str>) -> Finding {
    match setting {
        None => Finding::Unknown,
        Some("1") => Finding::Fine,
        Some(_) => Finding::Wrong(
            "Memory overcommit must be enabled! Without it, a background save or replication may fail under low memory condition. Being disabled, it can also cause failures without low memory condition, see https://github.com/jemalloc/jemalloc/issues/1328. To fix this issue add 'vm.overcommit_memory = 1' to /etc/sysctl.conf and then reboot or run the command 'sysctl vm.overcommit_memory=1' for this to take effect.".into(),
        ),
    }
}

fn huge_pages(setting: Option<&str>) -> Finding {
    match setting {
        None => Finding::Unknown,
        Some(setting) if setting.contains("[always]") => Finding::Wrong(
            "Transparent huge pages are always on: a fork then copies much more memory than is written, and commands take longer meanwhile. To fix this run 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled' as root, also after each reboot.".into(),
        ),
        Some(_) => Finding::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_harm_are_told_and_others_are_not() {
        assert_eq!(overcommit(Some("1")), Finding::Fine);
        assert!(matches!(overcommit(Some("0")), Finding::Wrong(_)));
        assert!(matches!(overcommit(Some("2")), Finding::Wrong(_)));
        assert_eq!(overcommit(None), Finding::Unknown);
        assert_eq!(xen_clock(Some("tsc")), Finding::Fine);
        assert!(matches!(xen_clock(Some("xen")), Finding::Wrong(_)));
        assert_eq!(huge_pages(Some("always [madvise] never")), Finding::Fine);
        assert!(matches!(
            huge_pages(Some("[always] madvise never")),
            Finding::Wrong(_)
        ));
    }

    #[test]
    fn a_report_has_a_line_for_each_check_and_fails_with_one_of_them() {
        let found = |second| report([("one", Finding::Fine), ("two", second)]);
        assert_eq!(
            found(Finding::Unknown),
            ("[one]...OK\n[two]...skipped\n".into(), true)
        );
        assert_eq!(
            found(Finding::Wrong("Bad.".into())),
            ("[one]...OK\n[two]...WARNING:\nBad.\n".into(), false)
        );
    }
}
