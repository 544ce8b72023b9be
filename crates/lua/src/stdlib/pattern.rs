//! Lua's patterns: a matcher that goes back over a stack of choices of its own, and can be left after any step.
//!
//! Patterns end at a NUL, as in Lua 5.1, where they are C strings; `%z` stands for it.

use crate::limits::{CAPTURES_MAX, MATCH_CHOICES_MAX};

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Opened, not closed yet.
    Open,
    /// `()`: the place itself.
    Position,
    Bytes(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Capture {
    pub(crate) start: usize,
    pub(crate) length: Length,
}

/// Somewhere to go back to.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// A repetition took `count` bytes from `start` on: try one less.
    Fewer {
        start: usize,
        count: usize,
        next: usize,
    },
    /// A lazy repetition stands at `at`: try one more of the item at `item`.
    More { at: usize, item: usize, next: usize },
    /// An optional item was taken at `at`: try without it.
    Without { at: usize, next: usize },
    /// A capture was opened: take it away.
    Opened,
    /// A capture was closed: open it again.
    Closed { index: usize },
}

/// Where a match stands.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// At a place of the subject and of the pattern.
    At {
        at: usize,
        item: usize,
    },
    /// Counting how often the item from `item` to `end` matches from `start` on.
    Counting {
        start: usize,
        count: usize,
        item: usize,
        end: usize,
    },
    /// Looking for the end of a balanced piece.
    Balance {
        at: usize,
        depth: usize,
        item: usize,
    },
    Back,
}

/// What a stretch of matching led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The pattern matches from the start up to here.
    Match(usize),
    No,
    /// The budget is used up; go on later.
    Unfinished,
}

/// A match under way.
pub(crate) struct Matcher {
    pub(crate) captures: [Capture; CAPTURES_MAX],
    pub(crate) level: usize,
    choices: Vec<Choice>,
    stage: Stage,
}

type Failed = &'static str;

impl Matcher {
    pub(crate) fn new() -> Self {
        Self {
            captures: [Capture {
                start: 0,
                length: Length::Open,
            }; CAPTURES_MAX],
            level: 0,
            choices: Vec::new(),
            stage: Stage::Back,
        }
    }

    /// Begins a match at a place of the subject and of the pattern.
    pub(crate) fn begin(&mut self, at: usize, item: usize) {
        self.level = 0;
        self.choices.clear();
        self.stage = Stage::At { at, item };
    }

    /// Bytes that the choices take.
    pub(crate) fn held(&self) -> usize {
        self.choices.capacity() * size_of::<Choice>()
    }

    fn push(&mut self, choice: Choice) -> Result<(), Failed> {
        if self.choices.len() >= MATCH_CHOICES_MAX {
            return Err("pattern too complex");
        }
        self.choices.push(choice);
        Ok(())
    }

    /// Goes on until the match is decided or the budget is used up.
    pub(crate) fn run(
        &mut self,
        subject: &[u8],
        pattern: &[u8],
        budget: &mut i64,
    ) -> Result<Verdict, Failed> {
        loop {
            if *budget < 0 {
                return Ok(Verdict::Unfinished);
            }
            *budget -= 1;
            self.stage = match self.stage {
                Stage::At { at, item } => match self.item(subject, pattern, at, item)? {
                    Some(stage) => stage,
                    None => return Ok(Verdict::Match(at)),
                },
                Stage::Counting {
                    start,
                    mut count,
                    item,
                    end,
                } => {
                    let limit = count + 1024;
                    while count < limit && single(subject, start + count, pattern, item, end) {
                        count += 1;
                    }
                    *budget -= 1024 / 16;
                    if count == limit {
                        Stage::Counting {
                            start,
                            count,
                            item,
                            end,
                        }
                    } else {
                        self.push(Choice::Fewer {
                            start,
                            count,
                            next: end + 1,
                        })?;
                        Stage::At {
                            at: start + count,
                            item: end + 1,
                        }
                    }
                }
                Stage::Balance { at, depth, item } => {
                    balance(subject, pattern, at, depth, item, budget)
                }
                Stage::Back => match self.choices.pop() {
                    None => return Ok(Verdict::No),
                    Some(choice) => self.go_back(choice, subject, pattern)?,
                },
            };
        }
    }

    fn go_back(&mut self, choice: Choice, subject: &[u8], pattern: &[u8]) -> Result<Stage, Failed> {
        Ok(match choice {
            Choice::Fewer { count: 0, .. } => Stage::Back,
            Choice::Fewer { start, count, next } => {
                let count = count - 1;
                self.push(Choice::Fewer { start, count, next })?;
                Stage::At {
                    at: start + count,
                    item: next,
                }
            }
            Choice::More { at, item, next } => {
                if single(subject, at, pattern, item, next - 1) {
                    let at = at + 1;
                    self.push(Choice::More { at, item, next })?;
                    Stage::At { at, item: next }
                } else {
                    Stage::Back
                }
            }
            Choice::Without { at, next } => Stage::At { at, item: next },
            Choice::Opened => {
                self.level -= 1;
                Stage::Back
            }
            Choice::Closed { index } => {
                self.captures[index].length = Length::Open;
                Stage::Back
            }
        })
    }

    /// One item of the pattern; none at its end.
    fn item(
        &mut self,
        subject: &[u8],
        pattern: &[u8],
        at: usize,
        item: usize,
    ) -> Result<Option<Stage>, Failed> {
        let next = pattern.get(item + 1).copied();
        Ok(Some(match pattern.get(item).copied() {
            None => return Ok(None),
            Some(b'(') if next == Some(b')') => self.open(at, item + 2, Length::Position)?,
            Some(b'(') => self.open(at, item + 1, Length::Open)?,
            Some(b')') => self.close(at, item + 1)?,
            Some(b'$') if next.is_none() => {
                if at == subject.len() {
                    return Ok(None);
                }
                Stage::Back
            }
            Some(b'%') if next == Some(b'b') => {
                let (Some(_), Some(_)) = (pattern.get(item + 2), pattern.get(item + 3)) else {
                    return Err("unbalanced pattern");
                };
                if subject.get(at) == pattern.get(item + 2) {
                    Stage::Balance {
                        at: at + 1,
                        depth: 1,
                        item,
                    }
                } else {
                    Stage::Back
                }
            }
            Some(b'%') if next == Some(b'f') => frontier(subject, pattern, at, item + 2)?,
            Some(b'%') if next.is_some_and(|next| next.is_ascii_digit()) => {
                let capture = self.closed_capture(next.unwrap_or(b'0'))?;
                let Length::Bytes(length) = capture.length else {
                    // A position has no bytes that could come again.
                    return Ok(Some(Stage::Back));
                };
                let again = subject.get(capture.start..capture.start + length);
                if again.is_some() && subject.get(at..at + length) == again {
                    Stage::At {
                        at: at + length,
                        item: item + 2,
                    }
                } else {
                    Stage::Back
                }
            }
            Some(_) => self.single_item(subject, pattern, at, item)?,
        }))
    }

    fn single_item(
        &mut self,
        subject: &[u8],
        pattern: &[u8],
        at: usize,
        item: usize,
    ) -> Result<Stage, Failed> {
        let end = class_end(pattern, item)?;
        let matches = |at| single(subject, at, pattern, item, end);
        Ok(match pattern.get(end) {
            Some(b'?') => {
                if matches(at) {
                    self.push(Choice::Without { at, next: end + 1 })?;
                    Stage::At {
                        at: at + 1,
                        item: end + 1,
                    }
                } else {
                    Stage::At { at, item: end + 1 }
                }
            }
            Some(b'*') => Stage::Counting {
                start: at,
                count: 0,
                item,
                end,
            },
            Some(b'+') => {
                if matches(at) {
                    Stage::Counting {
                        start: at + 1,
                        count: 0,
                        item,
                        end,
                    }
                } else {
                    Stage::Back
                }
            }
            Some(b'-') => {
                self.push(Choice::More {
                    at,
                    item,
                    next: end + 1,
                })?;
                Stage::At { at, item: end + 1 }
            }
            _ if matches(at) => Stage::At {
                at: at + 1,
                item: end,
            },
            _ => Stage::Back,
        })
    }

    fn open(&mut self, at: usize, item: usize, length: Length) -> Result<Stage, Failed> {
        if self.level >= CAPTURES_MAX {
            return Err("too many captures");
        }
        self.captures[self.level] = Capture { start: at, length };
        self.level += 1;
        self.push(Choice::Opened)?;
        Ok(Stage::At { at, item })
    }

    fn close(&mut self, at: usize, item: usize) -> Result<Stage, Failed> {
        let open = self.captures[..self.level]
            .iter()
            .rposition(|capture| capture.length == Length::Open);
        let Some(index) = open else {
            return Err("invalid pattern capture");
        };
        let capture = &mut self.captures[index];
        capture.length = Length::Bytes(at - capture.start);
        self.push(Choice::Closed { index })?;
        Ok(Stage::At { at, item })
    }

    /// The capture that `%1` to `%9` mean.
    fn closed_capture(&self, digit: u8) -> Result<Capture, Failed> {
        let index = usize::from(digit).checked_sub(usize::from(b'1'));
        match index {
            Some(index) if index < self.level && self.captures[index].length != Length::Open => {
                Ok(self.captures[index])
            }
            _ => Err("invalid capture index"),
        }
    }
}

fn balance(
    subject: &[u8],
    pattern: &[u8],
    mut at: usize,
    mut depth: usize,
    item: usize,
    budget: &mut i64,
) -> Stage {
    let (open, close) = (pattern[item + 2], pattern[item + 3]);
    *budget -= 1024 / 16;
    let limit = at + 1024;
    while at < limit {
        let Some(byte) = subject.get(at).copied() else {
            return Stage::Back;
        };
        at += 1;
        if byte == close {
            depth -= 1;
            if depth == 0 {
                return Stage::At { at, item: item + 4 };
            }
        } else if byte == open {
            depth += 1;
        }
    }
    Stage::Balance { at, depth, item }
}

/// `%f[set]`: the byte before is outside of the set, the one at hand inside; past both ends stands a NUL.
fn frontier(subject: &[u8], pattern: &[u8], at: usize, item: usize) -> Result<Stage, Failed> {
    if pattern.get(item) != Some(&b'[') {
        return Err("missing '[' after '%f' in pattern");
    }
    let end = class_end(pattern, item)?;
    let before = at
        .checked_sub(1)
        .and_then(|at| subject.get(at))
        .copied()
        .unwrap_or(0);
    let here = subject.get(at).copied().unwrap_or(0);
    let inside = |byte| in_set(byte, &pattern[item + 1..end - 1]);
    Ok(if !inside(before) && inside(here) {
        Stage::At { at, item: end }
    } else {
        Stage::Back
    })
}

/// Where the single item that begins at `item` ends.
fn class_end(pattern: &[u8], item: usize) -> Result<usize, Failed> {
    match pattern[item] {
        b'%' => {
            if item + 1 < pattern.len() {
                Ok(item + 2)
            } else {
                Err("malformed pattern (ends with '%')")
            }
        }
        b'[' => {
            let mut at = item + 1;
            if pattern.get(at) == Some(&b'^') {
                at += 1;
            }
            // The first byte of a set is never its end.
            loop {
                match pattern.get(at) {
                    None => return Err("malformed pattern (missing ']')"),
                    Some(b'%') if at + 1 < pattern.len() => at += 2,
                    Some(_) => at += 1,
                }
                if pattern.get(at) == Some(&b']') {
                    return Ok(at + 1);
                }
            }
        }
        _ => Ok(item + 1),
    }
}

/// Whether the byte at a place of the subject matches the single item from `item` to `end`.
#[inline]
fn single(subject: &[u8], at: usize, pattern: &[u8], item: usize, end: usize) -> bool {
    let Some(byte) = subject.get(at).copied() else {
        return false;
    };
    match pattern[item] {
        b'.' => true,
        b'%' => in_class(byte, pattern[item + 1]),
        b'[' => in_set(byte, &pattern[item + 1..end - 1]),
        literal => literal == byte,
    }
}

/// Whether a byte belongs to a set, given without its brackets.
fn in_set(byte: u8, set: &[u8]) -> bool {
    let (inside, set) = match set.first() {
        Some(b'^') => (false, &set[1..]),
        _ => (true, set),
    };
    let mut at = 0;
    while at < set.len() {
        if set[at] == b'%' && at + 1 < set.len() {
            if in_class(byte, set[at + 1]) {
                return inside;
            }
            at += 2;
        } else if set.get(at + 1) == Some(&b'-') && at + 2 < set.len() {
            if (set[at]..=set[at + 2]).contains(&byte) {
                return inside;
            }
            at += 3;
        } else {
            if set[at] == byte {
                return inside;
            }
            at += 1;
        }
    }
    !inside
}

/// `%a` and the like; an upper-case letter means the opposite, any other byte itself.
fn in_class(byte: u8, class: u8) -> bool {
    let inside = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => crate::number::is_space(byte),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    inside != class.is_ascii_uppercase()
}

/// Going through a subject for matches, one after the other.
pub(crate) struct Search {
    pub(crate) matcher: Matcher,
    /// Where the match under way began.
    pub(crate) start: usize,
    /// The first item of the pattern: behind an anchor.
    item: usize,
    anchored: bool,
    running: bool,
}

impl Search {
    /// A search from a place on. `anchors` says whether `^` means the beginning.
    pub(crate) fn new(start: usize, pattern: &[u8], anchors: bool) -> Self {
        let anchored = anchors && pattern.first() == Some(&b'^');
        Self {
            matcher: Matcher::new(),
            start,
            item: usize::from(anchored),
            anchored,
            running: false,
        }
    }

    pub(crate) fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// Goes on at another place.
    pub(crate) fn move_to(&mut self, start: usize) {
        self.start = start;
        self.running = false;
    }

    /// The next match at or after `start`; its end.
    pub(crate) fn next(
        &mut self,
        subject: &[u8],
        pattern: &[u8],
        budget: &mut i64,
    ) -> Result<Verdict, Failed> {
        loop {
            match self.here(subject, pattern, budget)? {
                Verdict::No if !self.anchored && self.start < subject.len() => self.start += 1,
                verdict => return Ok(verdict),
            }
        }
    }

    /// A match exactly at `start`.
    pub(crate) fn here(
        &mut self,
        subject: &[u8],
        pattern: &[u8],
        budget: &mut i64,
    ) -> Result<Verdict, Failed> {
        if !self.running {
            self.matcher.begin(self.start, self.item);
            self.running = true;
        }
        let verdict = self.matcher.run(subject, pattern, budget)?;
        if verdict != Verdict::Unfinished {
            self.running = false;
        }
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(subject: &str, pattern: &str) -> Result<Option<(usize, usize)>, Failed> {
        let mut search = Search::new(0, pattern.as_bytes(), true);
        loop {
            // A tiny budget, so that every stage is left and continued.
            let mut budget = 3;
            match search.next(subject.as_bytes(), pattern.as_bytes(), &mut budget)? {
                Verdict::Match(end) => return Ok(Some((search.start, end))),
                Verdict::No => return Ok(None),
                Verdict::Unfinished => {}
            }
        }
    }

    #[test]
    fn patterns_match_as_the_manual_says() {
        for (subject, pattern, expected) in [
            ("hello", "l+", Some((2, 4))),
            ("hello", "^l", None),
            ("key = value", "(%w+)%s*=%s*(%w+)", Some((0, 11))),
            ("a(b(c)d)e", "%b()", Some((1, 8))),
            ("THE (quick) fox", "%f[%a]%a+", Some((0, 3))),
            ("aaab", "a-b", Some((0, 4))),
            ("aXb", "%u", Some((1, 2))),
            ("x]y", "[]]", Some((1, 2))),
            ("a-z", "[a%-z]+", Some((0, 3))),
            ("abcabc", "(abc)%1", Some((0, 6))),
            ("abc", "b?c?d?$", Some((1, 3))),
            ("", "", Some((0, 0))),
        ] {
            assert_eq!(find(subject, pattern), Ok(expected), "{subject} {pattern}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for (pattern, text) in [
            ("%", "malformed pattern (ends with '%')"),
            ("[a", "malformed pattern (missing ']')"),
            ("%f", "missing '[' after '%f' in pattern"),
            ("%b", "unbalanced pattern"),
            (")", "invalid pattern capture"),
            ("%1", "invalid capture index"),
        ] {
            assert_eq!(find("aaaa", pattern), Err(text), "{pattern}");
        }
    }

    #[test]
    fn many_choices_are_bounded() {
        let subject = "a".repeat(400_000);
        let pattern = "a?".repeat(400_000);
        assert_eq!(find(&subject, &pattern), Err("pattern too complex"));
    }

    #[test]
    fn an_exponential_pattern_is_left_when_the_budget_is_used_up() {
        let subject = "a".repeat(40);
        let pattern = "a*".repeat(40) + "b";
        let mut search = Search::new(0, pattern.as_bytes(), true);
        let mut budget = 100_000;
        let verdict = search.next(subject.as_bytes(), pattern.as_bytes(), &mut budget);
        assert_eq!(verdict, Ok(Verdict::Unfinished));
    }
}
