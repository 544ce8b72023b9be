//! `table.sort`: a quicksort whose comparisons may be calls.
//!
//! The pivot is the median of the ends and the middle, the smaller part waits, the larger one goes on at once; so equal
//! items end up where Lua 5.1 leaves them, and a comparison that contradicts itself is found out in the same way.

use std::cmp::Ordering;

use super::table::key;
use crate::limits::SLICE;
use crate::value::{TableId, Value};
use crate::vm::error::Error;
use crate::vm::operate::Comparison;
use crate::vm::task::{Call, NativeResult, Task};

type Result<T> = std::result::Result<T, Error>;

/// Where the sort stands: what the answer to its question decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A range begins.
    Range,
    /// Is the last item less than the first?
    Ends,
    /// Is the middle less than the first?
    MiddleFirst,
    /// Is the last less than the middle?
    LastMiddle,
    /// Is the item at `low` less than the pivot?
    Up,
    /// Is the pivot less than the item at `high`?
    Down,
}

struct Sort {
    table: TableId,
    /// Ranges that wait.
    waiting: Vec<(i64, i64)>,
    first: i64,
    last: i64,
    low: i64,
    high: i64,
    pivot: Value,
    stage: Stage,
    /// A call of the comparison is under way.
    asked: bool,
}

impl Sort {
    fn get(&self, call: &Call<'_>, index: i64) -> Value {
        call.state.heap.raw_get(self.table, key(index))
    }

    fn swap(&self, call: &mut Call<'_>, mut a: i64, mut b: i64) -> Result<()> {
        if self.get(call, a).is_nil() {
            // An item that is nil may need a place, which fails with nothing changed while the other one is not written; then
            // the other one has its place.
            std::mem::swap(&mut a, &mut b);
        }
        let (x, y) = (self.get(call, a), self.get(call, b));
        if x.is_nil() {
            return Ok(());
        }
        call.raw_set(self.table, key(b), x)?;
        call.raw_set(self.table, key(a), y)
    }

    /// The two values to be compared next; none if the range is done with.
    fn question(&mut self, call: &mut Call<'_>) -> Option<(Value, Value)> {
        Some(match self.stage {
            Stage::Range => {
                while self.first >= self.last {
                    (self.first, self.last) = self.waiting.pop()?;
                }
                self.stage = Stage::Ends;
                (self.get(call, self.last), self.get(call, self.first))
            }
            Stage::Ends => (self.get(call, self.last), self.get(call, self.first)),
            Stage::MiddleFirst => (self.get(call, self.low), self.get(call, self.first)),
            Stage::LastMiddle => (self.get(call, self.last), self.get(call, self.low)),
            Stage::Up => (self.get(call, self.low), self.pivot),
            Stage::Down => (self.pivot, self.get(call, self.high)),
        })
    }

    /// Ends the range at hand.
    fn end_range(&mut self) {
        self.first = self.last;
        self.stage = Stage::Range;
    }

    fn answer(&mut self, less: bool, call: &mut Call<'_>) -> Result<()> {
        match self.stage {
            Stage::Range => {}
            Stage::Ends => {
                if less {
                    self.swap(call, self.first, self.last)?;
                }
                if self.last - self.first == 1 {
                    self.end_range();
                } else {
                    self.low = (self.first + self.last) / 2;
                    self.stage = Stage::MiddleFirst;
                }
            }
            Stage::MiddleFirst => {
                if less {
                    self.swap(call, self.low, self.first)?;
                    return self.partition(call);
                }
                self.stage = Stage::LastMiddle;
            }
            Stage::LastMiddle => {
                if less {
                    self.swap(call, self.low, self.last)?;
                }
                return self.partition(call);
            }
            Stage::Up => {
                if less {
                    if self.low > self.last {
                        return Err(call.error("invalid order function for sorting"));
                    }
                    self.low += 1;
                } else {
                    self.stage = Stage::Down;
                    self.high -= 1;
                }
            }
            Stage::Down => {
                if less {
                    if self.high < self.first {
                        return Err(call.error("invalid order function for sorting"));
                    }
                    self.high -= 1;
                } else if self.high < self.low {
                    self.split(call)?;
                } else {
                    self.swap(call, self.low, self.high)?;
                    self.stage = Stage::Up;
                    self.low += 1;
                }
            }
        }
        Ok(())
    }

    /// The middle is at `low`: it becomes the pivot.
    fn partition(&mut self, call: &mut Call<'_>) -> Result<()> {
        if self.last - self.first == 2 {
            self.end_range();
            return Ok(());
        }
        self.pivot = self.get(call, self.low);
        self.swap(call, self.low, self.last - 1)?;
        self.low = self.first + 1;
        self.high = self.last - 1;
        self.stage = Stage::Up;
        Ok(())
    }

    /// The pivot's place is `low`: both sides of it are ranges now.
    fn split(&mut self, call: &mut Call<'_>) -> Result<()> {
        self.swap(call, self.last - 1, self.low)?;
        let (below, above) = ((self.first, self.low - 1), (self.low + 1, self.last));
        let (smaller, larger) = if self.low - self.first < self.last - self.low {
            (below, above)
        } else {
            (above, below)
        };
        self.waiting.push(larger);
        (self.first, self.last) = smaller;
        self.stage = Stage::Range;
        Ok(())
    }
}

impl Task for Sort {
    fn step(&mut self, call: &mut Call<'_>) -> Result<NativeResult> {
        let comparison = call.arg(1);
        if self.asked {
            self.asked = false;
            let less = call.result(0).is_true();
            self.answer(less, call)?;
        }
        for _ in 0..SLICE / 4 {
            let Some((a, b)) = self.question(call) else {
                return Ok(NativeResult::Return(0));
            };
            call.charge(4);
            if comparison.is_nil() {
                if let Comparison::Is(ordering) = call.state.compare_plain(a, b)? {
                    self.answer(ordering == Some(Ordering::Less), call)?;
                    continue;
                }
                let handler = call.state.less_handler(a, b)?;
                call.push(handler)?;
            } else {
                call.push(comparison)?;
            }
            call.push(a)?;
            call.push(b)?;
            self.asked = true;
            return Ok(NativeResult::Call(2));
        }
        Ok(NativeResult::Again)
    }

    fn held(&self) -> usize {
        self.waiting.capacity() * 16
    }

    fn trace(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.pivot);
    }
}

pub(super) fn sort(call: &mut Call<'_>) -> Result<NativeResult> {
    let table = call.check_table(0)?;
    let last = i64::try_from(call.state.length(table)).unwrap_or(i64::MAX);
    if !call.arg(1).is_nil() {
        call.check_function(1)?;
    }
    Ok(NativeResult::Task(Box::new(Sort {
        table,
        waiting: Vec::new(),
        first: 1,
        last,
        low: 0,
        high: 0,
        pivot: Value::Nil,
        stage: Stage::Range,
        asked: false,
    })))
}
