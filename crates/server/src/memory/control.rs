//! What jemalloc is asked for besides memory: settings by name (DEBUG MALLCTL), its report, and its reserve back (MEMORY).
//!
//! The allocator takes what is written by size alone, and reads some of it as a pointer: only what is known to be a number,
//! or a text, is written.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

/// Numbers that may be written; `*` stands for the number of an arena.
const NUMBERS: [&str; 8] = [
    "background_thread",
    "max_background_threads",
    "epoch",
    "thread.tcache.enabled",
    "arenas.dirty_decay_ms",
    "arenas.muzzy_decay_ms",
    "arena.*.dirty_decay_ms",
    "arena.*.muzzy_decay_ms",
];
/// Texts that may be read.
const TEXTS: [&str; 10] = [
    "version",
    "config.malloc_conf",
    "opt.dss",
    "opt.junk",
    "opt.metadata_thp",
    "opt.percpu_arena",
    "opt.stats_print_opts",
    "opt.thp",
    "opt.zero_realloc",
    DSS,
];
/// The text that may be written.
const DSS: &str = "arena.*.dss";
/// What may be written to it.
const DSS_VALUES: [&CStr; 3] = [c"disabled", c"primary", c"secondary"];

/// Reads the number `name`, and sets it if there is a value: what it was.
///
/// # Errors
/// Why not, in the system's words.
pub(crate) fn number(name: &[u8], value: Option<i64>) -> Result<i64, String> {
    if value.is_some() && !is_among(name, &NUMBERS) {
        // Whether it exists at all.
        number(name, None)?;
        return Err(told(libc::EPERM));
    }
    let name = terminated(name)?;
    // What has another size is refused without anything being read or written.
    let mut refused = libc::EINVAL;
    for size in [8, 4, 1] {
        let mut old = [0; 8];
        let new = value.map(i64::to_le_bytes);
        match control(
            &name,
            &mut old[..size],
            new.as_ref().map(|new| &new[..size]),
        ) {
            Ok(()) => return Ok(i64::from_le_bytes(old)),
            Err(libc::EINVAL) => {}
            Err(other) => {
                refused = other;
                break;
            }
        }
    }
    Err(told(refused))
}

/// Reads the text `name`, and sets it if there is a value: what it was.
///
/// # Errors
/// Why not, in the system's words.
pub(crate) fn text(name: &[u8], value: Option<&[u8]>) -> Result<Vec<u8>, String> {
    if !is_among(name, &TEXTS) {
        number(name, None)?;
        return Err(told(libc::EINVAL));
    }
    let new = match value {
        Some(value) if is_among(name, &[DSS]) => Some(
            DSS_VALUES
                .into_iter()
                .find(|known| known.to_bytes() == value)
                .ok_or_else(|| told(libc::EINVAL))?,
        ),
        Some(_) => return Err(told(libc::EPERM)),
        None => None,
    };
    let new = new.map(|new| (new.as_ptr() as usize).to_ne_bytes());
    let mut old = [0; size_of::<usize>()];
    control(
        &terminated(name)?,
        &mut old,
        new.as_ref().map(<[u8; size_of::<usize>()]>::as_slice),
    )
    .map_err(told)?;
    let old = usize::from_ne_bytes(old) as *const c_char;
    if old.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: what these names give is a terminated text that the allocator never frees.
    Ok(unsafe { CStr::from_ptr(old) }.to_bytes().to_vec())
}

/// Reads `old` and writes `new`, both of one size; the system's number of the error.
fn control(name: &CStr, old: &mut [u8], new: Option<&[u8]>) -> Result<(), i32> {
    let mut length = old.len();
    let (new, new_length) = new.map_or((ptr::null_mut(), 0), |new| {
        (new.as_ptr().cast::<c_void>().cast_mut(), new.len())
    });
    // SAFETY: the name is terminated, at most `length` bytes of `old` are written, and `new` is read only. Callers write
    // nothing that the allocator would follow as a pointer, except to a static text.
    let error = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            old.as_mut_ptr().cast(),
            &raw mut length,
            new,
            new_length,
        )
    };
    if error == 0 { Ok(()) } else { Err(error) }
}

/// Longest report, in bytes: some hundred arenas. What is reserved and not written costs nothing.
const REPORT_BYTES_MAX: usize = 1 << 20;

/// The allocator's report about itself.
pub(crate) fn report() -> String {
    /// Appends what fits: there must be no allocation while the allocator speaks.
    unsafe extern "C" fn append(report: *mut c_void, text: *const c_char) {
        // SAFETY: this is what `report` hands over below, and nobody else has it until the call returns.
        let report = unsafe { &mut *report.cast::<Vec<u8>>() };
        // SAFETY: the allocator passes terminated texts.
        let text = unsafe { CStr::from_ptr(text) }.to_bytes();
        let room = report.capacity() - report.len();
        report.extend_from_slice(&text[..text.len().min(room)]);
    }
    // The figures are as of the last epoch; an old report is better than none.
    let _ = number(b"epoch", Some(1));
    let mut report: Vec<u8> = Vec::with_capacity(REPORT_BYTES_MAX);
    // SAFETY: `append` gets the vector it expects, alive during the call, and no options are a null pointer.
    unsafe {
        tikv_jemalloc_sys::malloc_stats_print(Some(append), (&raw mut report).cast(), ptr::null());
    }
    String::from_utf8_lossy(&report).into_owned()
}

/// Gives the free pages of all arenas back to the kernel.
pub(crate) fn purge() {
    // The number means all arenas. No value is read or written, so nothing can be wrong with one.
    let name = c"arena.4096.purge";
    // SAFETY: the name is terminated, and there is neither an old value nor a new one.
    let error = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
    debug_assert_eq!(error, 0, "all arenas can be purged");
}

/// Whether `name` is one of `known`.
fn is_among(name: &[u8], known: &[&str]) -> bool {
    let arena = |name: &[u8], pattern: &str| {
        let (head, tail) = pattern.split_once('*')?;
        let number = name
            .strip_prefix(head.as_bytes())?
            .strip_suffix(tail.as_bytes())?;
        Some(!number.is_empty() && number.iter().all(u8::is_ascii_digit))
    };
    known
        .iter()
        .any(|known| name == known.as_bytes() || arena(name, known).unwrap_or(false))
}

fn terminated(name: &[u8]) -> Result<CString, String> {
    CString::new(name).map_err(|_| told(libc::ENOENT))
}

fn told(error: i32) -> String {
    crate::errno_text(&std::io::Error::from_raw_os_error(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_size_and_set_where_that_is_safe() {
        assert_eq!(number(b"arenas.quantum", None), Ok(8));
        assert_eq!(number(b"arenas.page", None), Ok(4096));
        assert_eq!(number(b"opt.abort", None), Ok(0));
        let before = number(b"arenas.muzzy_decay_ms", Some(1234)).expect("a decay time");
        assert_eq!(number(b"arenas.muzzy_decay_ms", Some(before)), Ok(1234));
        assert_eq!(number(b"arenas.muzzy_decay_ms", None), Ok(before));
        for (name, value, why) in [
            (b"nope".as_slice(), None, "No such file or directory"),
            (b"nope", Some(1), "No such file or directory"),
            (b"arenas.narenas", Some(1), "Operation not permitted"),
            (b"arena.0.extent_hooks", Some(1), "Operation not permitted"),
            (b"arena.0.purge", None, "Operation not permitted"),
            (b"arenas.muzzy_decay_ms", Some(-5), "Bad address"),
        ] {
            assert_eq!(number(name, value), Err(why.to_owned()));
        }
    }

    #[test]
    fn the_report_is_whole() {
        let report = report();
        assert!(report.starts_with("___ Begin jemalloc statistics ___\n"));
        assert!(report.ends_with("--- End jemalloc statistics ---\n"));
    }

    #[test]
    fn a_purge_gives_free_pages_back() {
        const BYTES: usize = 4 << 20;
        let dirty = || {
            number(b"epoch", Some(1)).expect("an epoch");
            number(b"stats.arenas.4096.pdirty", None).expect("a count of pages")
        };
        drop(std::hint::black_box(vec![1u8; BYTES]));
        let pages = (BYTES / 4096) as i64;
        let before = dirty();
        assert!(before >= pages, "{before}");
        purge();
        assert!(dirty() < pages);
    }

    #[test]
    fn texts_are_read_and_only_known_ones_followed() {
        let version = text(b"version", None).expect("a version");
        assert!(version.starts_with(b"5."), "{version:?}");
        let before = text(b"arena.0.dss", Some(b"disabled")).expect("a precedence");
        assert_eq!(
            text(b"arena.0.dss", Some(&before)),
            Ok(b"disabled".to_vec())
        );
        for (name, value, why) in [
            (b"nope".as_slice(), None, "No such file or directory"),
            (b"epoch", None, "Invalid argument"),
            (b"arenas.narenas", None, "Invalid argument"),
            (
                b"arena.0.dss",
                Some(b"bogus".as_slice()),
                "Invalid argument",
            ),
            (b"version", Some(b"6"), "Operation not permitted"),
        ] {
            assert_eq!(text(name, value), Err(why.to_owned()));
        }
    }
}
