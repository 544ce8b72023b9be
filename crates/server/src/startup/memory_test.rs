//! `--test-memory`: writes patterns to much memory and looks whether they stay.

use std::hint::black_box;
use std::io::Write;

/// How often each pattern is tried.
const PASSES: u64 = 50;
const WORDS_PER_MEGABYTE: usize = (1 << 20) / 8;

/// What one word of memory is to hold, from its index and the number of the pass.
struct Pattern {
    name: &'static str,
    word: fn(u64, u64) -> u64,
}

/// Each word its own index; noise; all bits alike; bits that differ from their neighbours.
const PATTERNS: [Pattern; 4] = [
    Pattern {
        name: "Addressing test",
        word: |index, _| index,
    },
    Pattern {
        name: "Random fill",
        word: |index, pass| noise(index ^ (pass << 48)),
    },
    Pattern {
        name: "Solid fill",
        word: |index, pass| if (index ^ pass) & 1 == 0 { 0 } else { u64::MAX },
    },
    Pattern {
        name: "Checkerboard fill",
        word: |index, pass| {
            if (index ^ pass) & 1 == 0 {
                0x5555_5555_5555_5555
            } else {
                0xaaaa_aaaa_aaaa_aaaa
            }
        },
    },
];

/// Tests `megabytes` of memory and tells its progress.
///
/// # Errors
/// What is wrong: no such amount to be had, or a word that did not stay what it was.
pub(crate) fn run(megabytes: u64, progress: &mut dyn Write) -> Result<(), String> {
    let mut words = allocate(megabytes)?;
    for pass in 1..=PASSES {
        for pattern in &PATTERNS {
            // Nobody to tell when the terminal is gone.
            let _ = writeln!(progress, "[{pass}/{PASSES}] {}", pattern.name);
            fill(&mut words, pattern, pass);
            // The compiler must not conclude from the writes what the reads will find.
            black_box(words.as_mut_ptr());
            check(&words, pattern, pass)?;
        }
    }
    Ok(())
}

fn allocate(megabytes: u64) -> Result<Vec<u64>, String> {
    let refused = || format!("Unable to allocate {megabytes} megabytes: Cannot allocate memory");
    let count = usize::try_from(megabytes)
        .ok()
        .and_then(|megabytes| megabytes.checked_mul(WORDS_PER_MEGABYTE))
        .ok_or_else(refused)?;
    let mut words = Vec::new();
    words.try_reserve_exact(count).map_err(|_| refused())?;
    words.resize(count, 0);
    Ok(words)
}

fn fill(words: &mut [u64], pattern: &Pattern, pass: u64) {
    for (index, word) in words.iter_mut().enumerate() {
        *word = (pattern.word)(index as u64, pass);
    }
}

fn check(words: &[u64], pattern: &Pattern, pass: u64) -> Result<(), String> {
    let wrong = words
        .iter()
        .enumerate()
        .find(|(index, word)| **word != (pattern.word)(*index as u64, pass));
    wrong.map_or(Ok(()), |(index, word)| {
        let byte = index * 8;
        let want = (pattern.word)(index as u64, pass);
        Err(format!(
            "*** MEMORY ERROR DETECTED: {} at byte {byte}: {word:#018x} instead of {want:#018x}",
            pattern.name
        ))
    })
}

/// Bits without a pattern that a fault could happen to share.
fn noise(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^ (bits >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_found_with_every_pattern() {
        for pattern in &PATTERNS {
            let mut words = vec![0; 1000];
            fill(&mut words, pattern, 3);
            assert_eq!(check(&words, pattern, 3), Ok(()));
            words[700] ^= 1 << 40;
            let told = check(&words, pattern, 3).expect_err("a bit has flipped");
            assert!(told.contains("at byte 5600"), "{told}");
        }
    }

    #[test]
    fn every_bit_is_written_both_ways() {
        let mut seen = [0; 2];
        for pattern in &PATTERNS[2..] {
            for pass in 1..=2 {
                let word = (pattern.word)(5, pass);
                seen[0] |= !word;
                seen[1] |= word;
            }
        }
        assert_eq!(seen, [u64::MAX; 2]);
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        for megabytes in [u64::MAX, 1 << 40] {
            let told = run(megabytes, &mut std::io::sink()).expect_err("no machine has that");
            assert_eq!(
                told,
                format!("Unable to allocate {megabytes} megabytes: Cannot allocate memory")
            );
        }
    }
}
