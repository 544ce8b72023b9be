//! A table's way to new sizes, a few entries at a time.
//!
//! It leads to what [`Table::plan`] and [`Table::resize`] lead to at once: the same sizes, every key in the same place, so that
//! borders and the order of traversal agree. The table stays as it is until the new parts are complete; nobody may change it
//! meanwhile.

use super::{Census, EMPTY, Plan, Strings, Table, Value};
use crate::remains::UNITS_PER_PIECE;

/// What an entry costs, in units of work: to be looked at, or made room for; to be moved to where its hash says.
const ENTRIES_PER_UNIT: usize = 4;
const UNITS_PER_MOVE: usize = 8;

/// Entries that are handled between two looks at how much has been done.
const ENTRIES_PER_STEP: usize = 64;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Counting keys, which decides on the sizes.
    CountItems,
    CountFields,
    /// The sizes are known; whoever looks after memory agrees to them.
    Planned,
    /// Making the new parts: what stays in the array part, room behind it, empty nodes.
    CopyItems,
    FillItems,
    FillNodes,
    /// Putting into the nodes what no longer fits into the array part, and what was there.
    MoveItems,
    MoveFields,
    /// The parts can be exchanged.
    Complete,
    /// Giving back the old ones.
    Release,
}

/// Where a growth stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to be done.
    More,
    /// It wants this much room beside what there is.
    Planned(Plan),
    /// [`Growth::exchange`] is due.
    Complete,
    /// Nothing is left to be done.
    Done,
}

pub(crate) struct Growth {
    stage: Stage,
    /// The next entry of the stage.
    at: usize,
    census: Census,
    plan: Plan,
    /// The new parts; after the exchange the old ones.
    parts: Table,
}

impl Growth {
    /// Towards sizes that fit what is there and one more key.
    pub(crate) fn with_key(extra: Value) -> Self {
        let mut census = Census::default();
        census.count(extra);
        Self {
            stage: Stage::CountItems,
            at: 0,
            census,
            plan: Plan { array: 0, hash: 0 },
            parts: Table::default(),
        }
    }

    /// Towards given sizes.
    pub(crate) fn to_sizes(plan: Plan) -> Self {
        Self {
            stage: Stage::Planned,
            plan,
            ..Self::with_key(Value::Nil)
        }
    }

    fn go_on(&mut self, stage: Stage, at: usize) {
        self.stage = stage;
        self.at = at;
    }

    /// Does some work; the units that it took, and where it stands. The table must be the same in every step.
    pub(crate) fn step(&mut self, table: &Table, strings: &Strings) -> (usize, Progress) {
        let read = ENTRIES_PER_STEP / ENTRIES_PER_UNIT;
        match self.stage {
            Stage::CountItems => {
                let end = table.array.len().min(self.at + ENTRIES_PER_STEP);
                for index in self.at..end {
                    if !table.array[index].is_nil() {
                        self.census.count_item(index);
                    }
                }
                self.at = end;
                if end == table.array.len() {
                    self.go_on(Stage::CountFields, 0);
                }
                (read, Progress::More)
            }
            Stage::CountFields => {
                let end = table.nodes.len().min(self.at + ENTRIES_PER_STEP);
                for node in &table.nodes[self.at..end] {
                    if !node.value.is_nil() {
                        self.census.count(node.key);
                    }
                }
                self.at = end;
                if end == table.nodes.len() {
                    self.plan = self.census.plan();
                    self.go_on(Stage::Planned, 0);
                }
                (read, Progress::More)
            }
            Stage::Planned => {
                let nodes = Table::node_count(self.plan.hash);
                // Room only: it is written to as it is filled.
                self.parts.array = Vec::with_capacity(self.plan.array);
                self.parts.nodes = Vec::with_capacity(nodes);
                self.parts.last_free = nodes as u32;
                self.go_on(Stage::CopyItems, 0);
                (read, Progress::Planned(self.plan))
            }
            Stage::CopyItems => {
                let kept = table.array.len().min(self.plan.array);
                let end = kept.min(self.at + ENTRIES_PER_STEP);
                self.parts
                    .array
                    .extend_from_slice(&table.array[self.at..end]);
                self.at = end;
                if end == kept {
                    self.go_on(Stage::FillItems, end);
                }
                (read, Progress::More)
            }
            Stage::FillItems => {
                self.at = self.plan.array.min(self.at + ENTRIES_PER_STEP);
                self.parts.array.resize(self.at, Value::Nil);
                if self.at == self.plan.array {
                    self.go_on(Stage::FillNodes, 0);
                }
                (read, Progress::More)
            }
            Stage::FillNodes => {
                let count = Table::node_count(self.plan.hash);
                self.at = count.min(self.at + ENTRIES_PER_STEP);
                self.parts.nodes.resize(self.at, EMPTY);
                if self.at == count {
                    self.go_on(Stage::MoveItems, self.plan.array);
                }
                (read, Progress::More)
            }
            Stage::MoveItems => {
                let end = table.array.len().min(self.at + ENTRIES_PER_STEP);
                let mut moved = 0;
                for index in self.at..end {
                    let value = table.array[index];
                    if !value.is_nil() {
                        let key = Value::Number((index + 1) as f64);
                        self.parts.move_in(key, value, strings);
                        moved += 1;
                    }
                }
                self.at = end.max(self.at);
                if self.at >= table.array.len() {
                    self.go_on(Stage::MoveFields, table.nodes.len());
                }
                (read + moved * UNITS_PER_MOVE, Progress::More)
            }
            Stage::MoveFields => {
                let start = self.at.saturating_sub(ENTRIES_PER_STEP);
                let mut moved = 0;
                for node in table.nodes[start..self.at].iter().rev() {
                    if !node.value.is_nil() {
                        self.parts.move_in(node.key, node.value, strings);
                        moved += 1;
                    }
                }
                self.at = start;
                if start == 0 {
                    self.stage = Stage::Complete;
                }
                (read + moved * UNITS_PER_MOVE, Progress::More)
            }
            Stage::Complete => (0, Progress::Complete),
            Stage::Release => {
                let progress = if self.parts.release() {
                    Progress::Done
                } else {
                    Progress::More
                };
                (UNITS_PER_PIECE, progress)
            }
        }
    }

    /// Gives the table its new parts.
    pub(crate) fn exchange(&mut self, table: &mut Table) {
        debug_assert_eq!(self.stage, Stage::Complete);
        std::mem::swap(&mut self.parts.array, &mut table.array);
        std::mem::swap(&mut self.parts.nodes, &mut table.nodes);
        table.last_free = self.parts.last_free;
        self.stage = Stage::Release;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Found;

    fn grow(table: &mut Table, mut growth: Growth, strings: &Strings) {
        loop {
            match growth.step(table, strings).1 {
                Progress::More | Progress::Planned(_) => {}
                Progress::Complete => growth.exchange(table),
                Progress::Done => return,
            }
        }
    }

    fn traversal(table: &Table) -> Vec<String> {
        let mut place = 0;
        let mut seen = Vec::new();
        loop {
            match table.next_from(place) {
                Found::Pair {
                    key, value, after, ..
                } => {
                    seen.push(format!("{key:?} {value:?}"));
                    place = after;
                }
                Found::Nothing { after } => place = after,
                Found::End => return seen,
            }
        }
    }

    /// Two tables with the same history, items and fields of a random kind.
    fn twins(seed: u64, count: usize, strings: &Strings) -> (Table, Table) {
        let mut pair = (Table::default(), Table::default());
        let mut random = seed;
        for _ in 0..count {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = ((random >> 40) % (2 * count as u64)) as f64;
            let key = match (random >> 33) % 4 {
                0 => Value::Number(number + 0.5),
                1 => Value::Number(-number),
                _ => Value::Number(number),
            };
            let value = if (random >> 60) < 3 {
                Value::Nil
            } else {
                Value::Number(number)
            };
            pair.0.put(key, value, strings);
            pair.1.put(key, value, strings);
        }
        pair
    }

    #[test]
    fn step_by_step_leads_to_what_at_once_leads_to() {
        let strings = Strings::new(0);
        for seed in 1..60 {
            let (mut stepwise, mut at_once) = twins(seed, 20 * seed as usize, &strings);
            let extra = Value::Number(0.25);
            let plan = at_once.plan(extra);
            at_once.resize(plan.array, plan.hash, &strings);
            grow(&mut stepwise, Growth::with_key(extra), &strings);
            assert_eq!(stepwise.array.len(), at_once.array.len());
            assert_eq!(stepwise.nodes.len(), at_once.nodes.len());
            assert_eq!(stepwise.last_free, at_once.last_free);
            assert_eq!(stepwise.bytes(), at_once.bytes());
            assert_eq!(traversal(&stepwise), traversal(&at_once));
        }
    }

    #[test]
    fn an_array_part_that_shrinks_moves_to_the_nodes() {
        let strings = Strings::new(0);
        let (mut stepwise, mut at_once) = (Table::default(), Table::default());
        for table in [&mut stepwise, &mut at_once] {
            for index in 1..=1000 {
                let key = Value::Number(f64::from(index));
                table.put(key, key, &strings);
            }
        }
        let plan = Plan {
            array: 100,
            hash: 1000,
        };
        at_once.resize(plan.array, plan.hash, &strings);
        grow(&mut stepwise, Growth::to_sizes(plan), &strings);
        assert_eq!(stepwise.border(&strings), 1000);
        assert_eq!(stepwise.bytes(), at_once.bytes());
        assert_eq!(traversal(&stepwise), traversal(&at_once));
    }
}
