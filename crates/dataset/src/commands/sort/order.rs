//! The order that SORT asks for. Knows texts and numbers, but neither keys nor replies.

use std::cmp::Ordering;
use std::ops::Range;

/// Texts, one behind the other in one allocation.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where each of them ends in `bytes`.
    ends: Vec<usize>,
}

impl Texts {
    /// Adds a text behind the others.
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text at `index`.
    pub(super) fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }
}

/// What elements are compared by; one weight for each.
#[derive(Debug)]
pub(super) enum Weights {
    /// By numbers, none of them NaN, and where those are the same by the elements' bytes.
    Numbers(Vec<f64>),
    /// By the elements themselves.
    Elements,
    /// By other texts. An element without one, said by the flag, comes in front of those that have one.
    Texts(Texts, Vec<bool>),
}

/// How far texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Up to a NUL, as C compares texts in its own locale.
    UpToNul,
    /// To their end.
    Whole,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// Everything that decides which of two elements comes first.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) elements: &'a Texts,
    pub(super) weights: Weights,
    pub(super) extent: Extent,
    pub(super) direction: Direction,
}

impl Order<'_> {
    /// The indexes of the elements that stand at `window` of all of them in order. Those that compare as equal stay in the
    /// order they came in, whatever the direction. What lies outside of the window is not put in order.
    pub(super) fn window(&self, window: Range<usize>) -> Vec<usize> {
        match &self.weights {
            Weights::Numbers(numbers) => {
                // Most comparisons need nothing but the number, so it stands beside the index.
                let mut keyed: Vec<(u64, usize)> = numbers
                    .iter()
                    .enumerate()
                    .map(|(index, number)| (sort_key(*number), index))
                    .collect();
                in_order(&mut keyed, window, |(left, a), (right, b)| {
                    self.directed(left.cmp(right).then_with(|| {
                        let (left, right) = (self.elements.get(*a), self.elements.get(*b));
                        left.cmp(right)
                    }))
                    .then(a.cmp(b))
                });
                keyed.into_iter().map(|(_, index)| index).collect()
            }
            Weights::Elements => self.indexes_in_order(window, |a, b| {
                self.compare_texts(self.elements.get(a), self.elements.get(b))
            }),
            Weights::Texts(texts, present) => {
                self.indexes_in_order(window, |a, b| match (present[a], present[b]) {
                    (true, true) => self.compare_texts(texts.get(a), texts.get(b)),
                    (left, right) => left.cmp(&right),
                })
            }
        }
    }

    fn indexes_in_order(
        &self,
        window: Range<usize>,
        compare: impl Fn(usize, usize) -> Ordering + Copy,
    ) -> Vec<usize> {
        let mut indexes: Vec<usize> = (0..self.elements.len()).collect();
        in_order(&mut indexes, window, |a, b| {
            self.directed(compare(*a, *b)).then(a.cmp(b))
        });
        indexes
    }

    fn directed(&self, ordering: Ordering) -> Ordering {
        match self.direction {
            Direction::Ascending => ordering,
            Direction::Descending => ordering.reverse(),
        }
    }

    fn compare_texts(&self, a: &[u8], b: &[u8]) -> Ordering {
        match self.extent {
            Extent::UpToNul => up_to_nul(a).cmp(up_to_nul(b)),
            Extent::Whole => a.cmp(b),
        }
    }
}

/// Leaves of `items` those that stand at `window` of all of them in order, which `compare` never calls equal.
fn in_order<T>(
    items: &mut Vec<T>,
    window: Range<usize>,
    compare: impl Fn(&T, &T) -> Ordering + Copy,
) {
    let end = window.end.min(items.len());
    if window.start >= end {
        items.clear();
        return;
    }
    if end < items.len() {
        items.select_nth_unstable_by(end, compare);
        items.truncate(end);
    }
    if window.start > 0 {
        items.select_nth_unstable_by(window.start, compare);
        items.drain(..window.start);
    }
    items.sort_unstable_by(compare);
}

/// A number that is ordered as `number`, which is not NaN; both zeros have the same.
fn sort_key(number: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = (number + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// A text up to its first NUL.
pub(super) fn up_to_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == 0);
    &text[..end.unwrap_or(text.len())]
}

/// A number as C's `strtod` reads it: blanks in front, nothing behind but what follows a NUL, nothing too large or too
/// small to be held exactly enough; a text without anything is zero.
pub(super) fn number(text: &[u8]) -> Option<f64> {
    let text = up_to_nul(text);
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | 9..=13))
        .count();
    let value = words::parse::parse_f64(&text[blanks..])?;
    // Too small to keep all of its digits, which counts as too small; hexadecimal ones keep them.
    let lost = value.is_subnormal() && !text.iter().any(|byte| matches!(byte, b'x' | b'X'));
    (!lost).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::{Direction, Extent, Order, Texts, Weights, number};
    use proptest::prelude::*;

    fn texts(words: &[Vec<u8>]) -> Texts {
        let mut texts = Texts::default();
        for word in words {
            texts.push(word);
        }
        texts
    }

    fn word() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(0u8), Just(b'a'), Just(b'b')], 0..4)
    }

    proptest! {
        #[test]
        fn a_window_is_a_part_of_a_stable_sort(
            words in proptest::collection::vec((word(), proptest::option::of(word()), -2i8..2), 0..40),
            from in 0usize..50,
            count in 0usize..50,
            kind in 0..3,
            whole: bool,
            descending: bool,
        ) {
            let elements: Vec<_> = words.iter().map(|(element, ..)| element.clone()).collect();
            let weights: Vec<_> = words.iter().map(|(_, text, _)| text.clone().unwrap_or_default()).collect();
            let elements = texts(&elements);
            let order = Order {
                elements: &elements,
                weights: match kind {
                    0 => Weights::Numbers(words.iter().map(|(.., number)| f64::from(*number)).collect()),
                    1 => Weights::Elements,
                    _ => Weights::Texts(
                        texts(&weights),
                        words.iter().map(|(_, text, _)| text.is_some()).collect(),
                    ),
                },
                extent: if whole { Extent::Whole } else { Extent::UpToNul },
                direction: if descending { Direction::Descending } else { Direction::Ascending },
            };
            // The plain twin: by insertion.
            let c_text = |text: &Vec<u8>| if whole {
                text.clone()
            } else {
                text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
            };
            let mut sorted: Vec<usize> = Vec::new();
            for index in 0..words.len() {
                let (element, text, number) = &words[index];
                let before = |other: &usize| {
                    let (other_element, other_text, other_number) = &words[*other];
                    let ordering = match kind {
                        0 => (other_number, other_element).cmp(&(number, element)),
                        1 => c_text(other_element).cmp(&c_text(element)),
                        _ => other_text.as_ref().map(c_text).cmp(&text.as_ref().map(c_text)),
                    };
                    if descending { ordering.is_ge() } else { ordering.is_le() }
                };
                let at = sorted.iter().take_while(|other| before(other)).count();
                sorted.insert(at, index);
            }
            let end = (from + count).min(sorted.len());
            let expected = sorted.get(from..end).unwrap_or_default();
            prop_assert_eq!(&order.window(from..from + count)[..], expected);
        }
    }

    #[test]
    fn numbers_are_those_of_the_reference() {
        for (text, value) in [
            ("", 0.0),
            ("\0abc", 0.0),
            ("1\0abc", 1.0),
            ("\t\n 1", 1.0),
            ("0x10", 16.0),
            ("0x1p-1074", 5e-324),
            ("0x.8", 0.5),
            ("5.", 5.0),
            ("inf\0x", f64::INFINITY),
            ("99999999999999999999999", 1e23),
            ("2.2250738585072014e-308", f64::MIN_POSITIVE),
        ] {
            assert_eq!(number(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            " ", "1 ", "x", "nan", "-nan", "infx", "1e", ".", "-", "- 1", "0x", "1e400", "1e-400",
            "1e-310",
        ] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }
}
