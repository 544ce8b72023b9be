//! What must hold for a packed value that commands could have built: unique members, real scores, order.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use packed::{Element, IntBuf, Listpack};

use crate::limits::PAIRWISE_MAX;

/// The score that `text` spells; `None` when it is no number.
pub(crate) fn score(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// The score that an element of a sorted set's listpack stands for.
pub(crate) fn element_score(element: Element<'_>) -> Option<f64> {
    match element {
        Element::Int(number) => Some(number as f64),
        Element::Bytes(text) => score(text),
    }
}

/// A number that is the same for members that are the same, and rarely else.
fn digest(member: Element<'_>) -> u64 {
    /// Odd, with bits all over: 2^64 divided by the golden ratio.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let spread = |sum: u64, word: u64| (sum ^ word).wrapping_mul(SPREAD).rotate_left(29);
    let text = match member {
        Element::Int(number) => return spread(0, number as u64),
        Element::Bytes(text) => text,
    };
    // A number that is stored as text may come again as a number.
    if let [b'-' | b'0'..=b'9', ..] = text
        && let Some(number) = member.as_i64()
    {
        return spread(0, number as u64);
    }
    let sum = spread(text.len() as u64, 0);
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    if let Some(last) = text.last_chunk::<8>() {
        // The last eight bytes are part of the word before, unless the words end with them.
        let words = text.as_chunks::<8>().0.iter().chain([last]);
        words.fold(sum, |sum, word| spread(sum, u64::from_le_bytes(*word)))
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        spread(sum, half(first) << 32 | half(last))
    } else {
        text.iter()
            .fold(sum, |sum, byte| spread(sum, u64::from(*byte)))
    }
}

/// Whether two of every `step`-th elements are the same. `digests` is room to work in.
pub(crate) fn has_duplicates(listpack: &Listpack, step: usize, digests: &mut Vec<u64>) -> bool {
    let members = || listpack.iter().step_by(step.max(1));
    if listpack.len() <= PAIRWISE_MAX.saturating_mul(step) {
        let mut seen = [0; PAIRWISE_MAX];
        for (count, member) in members().enumerate() {
            let digest = digest(member);
            let earlier = seen.get(..count).unwrap_or_default();
            // Somebody may have prepared members that all have one digest, but only so many.
            if earlier.contains(&digest) && members().take(count).any(|other| other == member) {
                return true;
            }
            if let Some(slot) = seen.get_mut(count) {
                *slot = digest;
            }
        }
        return false;
    }
    // The keys are random: nobody can prepare members that all have one digest.
    let hasher = RandomState::new();
    digests.clear();
    digests.extend(members().map(|member| hasher.hash_one(member.bytes(&mut IntBuf::new()))));
    digests.sort_unstable();
    if digests.windows(2).all(|pair| pair.first() != pair.last()) {
        return false;
    }
    // Two equal digests: nearly always equal members, but only looking tells.
    let mut seen = HashSet::new();
    members().any(|member| !seen.insert(member.to_vec()))
}

/// The same elements, but for every `step`-th one that has come before, and those that follow it.
#[cold]
pub(crate) fn without_duplicates(listpack: &Listpack, step: usize) -> Listpack {
    let mut seen = HashSet::new();
    let mut kept = Listpack::with_capacity(listpack.byte_len());
    let mut keep = false;
    for (index, element) in listpack.iter().enumerate() {
        if index.is_multiple_of(step) {
            keep = seen.insert(element.to_vec());
        }
        if keep {
            match element {
                Element::Int(number) => kept.push_back_int(number),
                Element::Bytes(text) => kept.push_back(text),
            }
        }
    }
    kept
}

/// Whether members with their scores stand in the order of a sorted set.
///
/// # Errors
/// `Err(())` when a score is no number.
pub(crate) fn is_sorted(listpack: &Listpack) -> Result<bool, ()> {
    let mut sorted = true;
    let mut last: Option<(f64, Element<'_>)> = None;
    let mut elements = listpack.iter();
    while let (Some(member), Some(text)) = (elements.next(), elements.next()) {
        let score = element_score(text).ok_or(())?;
        if let Some((last_score, last_member)) = last {
            let order = last_score
                .partial_cmp(&score)
                .unwrap_or(Ordering::Greater)
                .then_with(|| {
                    last_member
                        .bytes(&mut IntBuf::new())
                        .cmp(member.bytes(&mut IntBuf::new()))
                });
            sorted &= order.is_lt();
        }
        last = Some((score, member));
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listpack(elements: &[&str]) -> Listpack {
        let mut listpack = Listpack::new();
        for element in elements {
            listpack.push_back(element.as_bytes());
        }
        listpack
    }

    #[test]
    fn scores_are_numbers_and_infinities() {
        assert_eq!(score(b"1.5"), Some(1.5));
        assert_eq!(score(b"-inf"), Some(f64::NEG_INFINITY));
        for text in ["nan", "", "x", "1 ", "\u{ff}"] {
            assert_eq!(score(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn duplicates_are_found_among_few_and_among_many() {
        let mut digests = Vec::new();
        for count in [1, 2, 7, 8, 9, 10, 300] {
            let names: Vec<String> = (0..count).map(|i| format!("{}", i * 3)).collect();
            let mut members: Vec<&str> = names.iter().map(String::as_str).collect();
            assert!(!has_duplicates(&listpack(&members), 1, &mut digests));
            members.push(members[count / 2]);
            assert!(
                has_duplicates(&listpack(&members), 1, &mut digests),
                "{count}"
            );
        }
        assert!(!has_duplicates(
            &listpack(&["a", "x", "b", "x"]),
            2,
            &mut digests
        ));
        assert!(has_duplicates(
            &listpack(&["a", "x", "a", "y"]),
            2,
            &mut digests
        ));
    }

    #[test]
    fn order_is_by_score_and_then_by_bytes() {
        let check = |elements: &[&str]| is_sorted(&listpack(elements));
        assert_eq!(check(&["a", "1", "b", "1", "a0", "2"]), Ok(true));
        assert_eq!(check(&["10", "1", "9", "1"]), Ok(true));
        assert_eq!(check(&["b", "1", "a", "1"]), Ok(false));
        assert_eq!(check(&["a", "2", "b", "1"]), Ok(false));
        assert_eq!(check(&["a", "nan"]), Err(()));
    }
}
