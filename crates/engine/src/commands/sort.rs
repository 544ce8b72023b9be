//! SORT and SORT_RO name keys that only the data tell: whoever uses a pattern needs the right to read any key.

use super::Family;
use crate::client::ClientFlags;
use crate::exec::{Args, Exec};
use commandtable::Outcome;
use dataset::commands::sort;

pub(super) static COMMANDS: Family = &[
    ("sort", |x, args| judged(x, args, sort::sort)),
    ("sort_ro", |x, args| judged(x, args, sort::sort_ro)),
];

/// `SORT` and `SORT_RO`, for who may use the patterns.
///
/// Reply: that of the handler.
/// Errors: BY or GET, and no right to read any key; those of the handler.
/// Propagates: what the handler propagates.
/// Source: Valkey command reference, SORT (ACL behaviour since 7.0.0).
fn judged(x: &mut Exec<'_>, args: Args<'_>, handler: dataset::Handler) -> Outcome {
    if x.client.flags.has(ClientFlags::RESTRICTED) {
        x.client.user.check_sort(x.command, args)?;
    }
    x.run_data(handler, args)
}
