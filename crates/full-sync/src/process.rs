//! What the kernel knows of a process.

use std::fs;
use std::io;

/// Processor time so far, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Times {
    /// Of the process with all of its threads.
    pub(crate) own_s: f64,
    /// Of its children that have ended and been waited for.
    pub(crate) children_s: f64,
}

/// Times of a process, from `/proc/PID/stat`; none when it is gone.
pub(crate) fn times(pid: u32) -> Option<Times> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_times(&text, rustix::param::clock_ticks_per_second() as f64)
}

fn parse_times(text: &str, ticks_per_second: f64) -> Option<Times> {
    // Field 3 stands first behind the name, which may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |field: usize| {
        let ticks = fields.get(field - 3)?.parse::<u64>().ok()?;
        Some(ticks as f64 / ticks_per_second)
    };
    Some(Times {
        own_s: seconds(14)? + seconds(15)?,
        children_s: seconds(16)? + seconds(17)?,
    })
}

/// The processes whose parent this is.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parent = |child: &u32| {
        let text = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        let rest = text.rsplit_once(')')?.1;
        rest.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|child| parent(child) == Some(pid))
        .collect()
}

/// Forgets the peak of resident memory so far.
pub(crate) fn forget_peak(pid: u32) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

/// The peak of resident memory since it was forgotten, in bytes.
pub(crate) fn peak_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let row = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib = row.split_whitespace().next()?.parse::<u64>().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let text = "7 (a) b) R 1 7 7 0 -1 4194304 1 2 3 4 150 50 30 20 20 0 1 0 99 1000 20";
        assert_eq!(
            parse_times(text, 100.0),
            Some(Times {
                own_s: 2.0,
                children_s: 0.5
            })
        );
        assert_eq!(parse_times("7 (a) R 1", 100.0), None);
    }

    #[test]
    fn this_process_is_known() {
        let pid = std::process::id();
        assert!(times(pid).is_some());
        assert!(peak_bytes(pid).is_some_and(|bytes| bytes > 0));
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep exists");
        assert!(children(pid).contains(&child.id()));
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert!(!children(pid).contains(&child.id()));
    }
}
