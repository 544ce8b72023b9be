//! Sorting as far as it is asked for.
//!
//! Which of several equal items come first is seen by clients that ask for a few of many results. So this is the quicksort
//! of Bentley and McIlroy ("Engineering a Sort Function", 1993), as in the reference, that leaves parts alone in which no
//! wanted rank is.

use std::cmp::Ordering;

/// Parts with fewer items are sorted by insertion.
const INSERTION_BELOW: usize = 7;
/// Parts with more items are split at a median of nine instead of three.
const NINTHER_ABOVE: usize = 40;

/// Puts the first `count` of the sorted items in front. The rest is in no order.
pub(super) fn sort_first<T>(items: &mut [T], count: usize, compare: impl Fn(&T, &T) -> Ordering) {
    if count >= items.len() {
        items.sort_by(compare);
        return;
    }
    // Splits that go wrong again and again are somebody's intention: then a sort that cannot be led astray takes over.
    let splits_max = 8 * (items.len().ilog2() as usize + 1);
    let mut parts = vec![(0, items.len(), splits_max)];
    while let Some((start, end, splits)) = parts.pop() {
        let part = &mut items[start..end];
        if part.len() < INSERTION_BELOW {
            insertion_sort(part, &compare);
        } else if splits == 0 {
            part.sort_by(&compare);
        } else {
            let (less, greater) = split(part, &compare);
            let above = end - greater;
            for (start, end) in [(start, start + less), (above, end)] {
                if end - start > 1 && start < count {
                    parts.push((start, end, splits - 1));
                }
            }
        }
    }
}

fn insertion_sort<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for next in 1..items.len() {
        let mut at = next;
        while at > 0 && compare(&items[at - 1], &items[at]).is_gt() {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Brings the items into three groups: less than one of them, equal to it, greater. Returns the sizes of the outer two.
fn split<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let len = items.len();
    let pivot = pivot(items, compare);
    items.swap(0, pivot);
    // Equal ones gather at both ends: in ..equal_low and behind equal_high. Between low and high is what has not been seen.
    let (mut equal_low, mut low, mut high, mut equal_high) = (1, 1, len - 1, len - 1);
    loop {
        while low <= high {
            match compare(&items[low], &items[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(equal_low, low);
                    equal_low += 1;
                }
                Ordering::Less => {}
            }
            low += 1;
        }
        while low <= high {
            match compare(&items[high], &items[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    items.swap(high, equal_high);
                    equal_high -= 1;
                }
                Ordering::Greater => {}
            }
            high -= 1;
        }
        if low > high {
            break;
        }
        items.swap(low, high);
        low += 1;
        high -= 1;
    }
    let (less, greater) = (low - equal_low, equal_high - high);
    swap_ends(&mut items[..low], equal_low.min(less));
    swap_ends(&mut items[low..], greater.min(len - 1 - equal_high));
    (less, greater)
}

/// Exchanges the first `count` items with the last.
fn swap_ends<T>(items: &mut [T], count: usize) {
    let behind = items.len() - count;
    for at in 0..count {
        items.swap(at, behind + at);
    }
}

/// Where to split at.
fn pivot<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let len = items.len();
    let (mut low, mut middle, mut high) = (0, len / 2, len - 1);
    if len == INSERTION_BELOW {
        return middle;
    }
    let median = |a: usize, b: usize, c: usize| {
        let is_less = |a: usize, b: usize| compare(&items[a], &items[b]).is_lt();
        if is_less(a, b) {
            if is_less(b, c) {
                b
            } else if is_less(a, c) {
                c
            } else {
                a
            }
        } else if is_less(c, b) {
            b
        } else if is_less(a, c) {
            a
        } else {
            c
        }
    };
    if len > NINTHER_ABOVE {
        let eighth = len / 8;
        low = median(low, low + eighth, low + 2 * eighth);
        middle = median(middle - eighth, middle, middle + eighth);
        high = median(high - 2 * eighth, high - eighth, high);
    }
    median(low, middle, high)
}

#[cfg(test)]
mod tests {
    use super::sort_first;

    #[test]
    fn the_first_are_those_of_a_whole_sort() {
        let mut state: u32 = 5;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for round in 0..3_000 {
            let len = random(1 + round % 300) as usize;
            let distinct = 1 + random(1 + round % 50);
            let mut items: Vec<u32> = (0..len).map(|_| random(distinct)).collect();
            let mut sorted = items.clone();
            sorted.sort_unstable();
            let count = random(len as u32 + 2) as usize;
            sort_first(&mut items, count, u32::cmp);
            let first = count.min(len);
            assert_eq!(items[..first], sorted[..first]);
            items.sort_unstable();
            assert_eq!(items, sorted);
        }
    }
}
