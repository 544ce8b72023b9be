//! Tables whose size follows what clients ask for.

use hashbrown::HashMap;
use std::hash::Hash;

/// Smaller tables are left alone.
const ROOM_KEPT: usize = 64;
/// A table is too large when less than one place in so many is taken.
const TOO_LARGE: usize = 8;

/// Gives the room of a table back when most of what was in it has gone: one client may have filled it in passing.
/// To be called after a removal; most calls do nothing.
#[inline]
pub fn give_back<K: Eq + Hash, V>(table: &mut HashMap<K, V>) {
    let room = table.capacity();
    if room > ROOM_KEPT && table.len() < room / TOO_LARGE {
        table.shrink_to(2 * table.len());
    }
}

#[cfg(test)]
mod tests {
    use super::give_back;
    use hashbrown::HashMap;

    #[test]
    fn a_table_that_empties_becomes_small() {
        let mut table: HashMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        for n in 0..10_000 {
            table.remove(&n);
            give_back(&mut table);
            assert!(table.capacity() <= 100 + 16 * table.len());
            assert!(
                (n + 1..10_000)
                    .step_by(999)
                    .all(|left| table.contains_key(&left))
            );
        }
    }
}
