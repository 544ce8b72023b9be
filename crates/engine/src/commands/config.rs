//! CONFIG: what it takes to make the parameters take effect.

use crate::core::Core;
use crate::keys::{Keys, LazyFree};
use keyspace::Limits;

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Takes over every parameter that is kept in another form somewhere.
pub(crate) fn take_over(keys: &mut Keys, core: &mut Core) {
    let config = &core.config;
    keys.limits = Limits {
        hash_max_listpack_entries: size(config.hash_max_listpack_entries),
        hash_max_listpack_value: size(config.hash_max_listpack_value),
        set_max_intset_entries: size(config.set_max_intset_entries),
        set_max_listpack_entries: size(config.set_max_listpack_entries),
        set_max_listpack_value: size(config.set_max_listpack_value),
        zset_max_listpack_entries: size(config.zset_max_listpack_entries),
        zset_max_listpack_value: size(config.zset_max_listpack_value),
        ..keys.limits.clone()
    };
    keys.limits.list.max_listpack_size = config.list_max_listpack_size;
    keys.lazy = LazyFree {
        user_del: config.lazyfree_lazy_user_del,
        server_del: config.lazyfree_lazy_server_del,
        expire: config.lazyfree_lazy_expire,
    };
    keys.set_events(config.notify_keyspace_events);
    core.repl.configure(&core.config);
    core.slowlog.trim(size(core.config.slowlog_max_len));
    crate::cron::refresh_access_clock(keys, core);
    core.refresh_gate();
}
