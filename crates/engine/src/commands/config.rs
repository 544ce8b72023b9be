//! CONFIG: reading and changing parameters, and what it takes to make them take effect.

use super::Family;
use crate::aof;
use crate::exec::{Args, Exec};
use crate::host::{Host, Level};
use crate::state::{Loading, ServerState};
use acl::User;
use commandtable::{Error, Outcome};
use config::{Access, Apply, Config, MaxmemoryPolicy, Param, ProtectedAction, SanitizeDumpPayload};
use dataset::keys::{KeyStats, Keys};
use dataset::{Eviction, LazyFree, Sanitize, Settings};
use keyspace::{Limits, StreamLimits};
use std::sync::Arc;

pub(super) static COMMANDS: Family = &[
    ("config|get", get),
    ("config|set", set),
    ("config|resetstat", reset_stat),
    ("config|rewrite", rewrite),
    ("config|help", help),
];

/// `CONFIG GET parameter [parameter ...]`: names and glob patterns.
///
/// Reply: a map of names and values.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CONFIG GET (since 2.0.0, several since 7.0.0).
fn get(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    look_up_folder(x.state);
    let shown = x.state.config.show(&args[2..]);
    x.out.map(shown.len());
    for (name, value) in shown {
        x.out.bulk(&name);
        x.out.bulk(&value);
    }
    Ok(())
}

/// `dir` is the folder the process is in: its name may have changed since it was entered.
fn look_up_folder(state: &mut ServerState) {
    state.config.dir = state.host.folder().unwrap_or_default().into();
}

/// Hands changed parameters to the process.
struct ToHost<'h>(&'h mut dyn Host);

impl Apply for ToHost<'_> {
    fn apply(&mut self, config: &Config, param: Param) -> Result<(), String> {
        self.0
            .apply(config, param)
            .inspect_err(|_| warn_of_restoring(self.0, param))
    }
}

fn warn_of_restoring(host: &dyn Host, param: Param) {
    let line = format!(
        "Failed applying new configuration. Possibly related to new {} setting. Restoring previous settings.",
        param.name()
    );
    host.log(Level::Warning, &line);
}

/// `CONFIG SET parameter value [parameter value ...]`: all or none.
///
/// Reply: OK.
/// Errors: what is wrong with which parameter.
/// Propagates: nothing.
/// Source: Valkey command reference, CONFIG SET (since 2.0.0, several since 7.0.0).
fn set(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let local = x.client.peer.loopback || x.client.peer.unix;
    let access = Access {
        protected: match x.state.config.enable_protected_configs {
            ProtectedAction::Yes => true,
            ProtectedAction::Local => local,
            ProtectedAction::No => false,
        },
        loading: x.state.loading != Loading::No,
    };
    // What a refused change goes back to.
    look_up_folder(x.state);
    let former = x.state.config.clone();
    let changed = x
        .state
        .config
        .change(&args[2..], access, &mut ToHost(&mut *x.state.host))
        .map_err(|error| Error::built(error.to_string()))?;
    adopt(x.keys, x.state);
    // First, since it may fail.
    if changed.contains(&Param::Appendonly) && switch_log(x).is_err() {
        warn_of_restoring(x.state.host.as_ref(), Param::Appendonly);
        let state = &mut *x.state;
        let host = &mut ToHost(&mut *state.host);
        state.config.go_back(former, &changed, host);
        adopt(x.keys, x.state);
        return Err(Error::APPEND_ONLY_FAILED);
    }
    curtail(x.state);
    for param in changed {
        match param {
            Param::Requirepass => password_changed(x),
            Param::MaxmemoryClients => x.state.weigh_all(),
            Param::Maxmemory => {
                warn_of_maxmemory(x);
                x.state.evicting = true;
            }
            _ => {}
        }
    }
    x.keys.effects.recording = x.state.records();
    x.out.ok();
    Ok(())
}

/// The log is switched on or off, as the parameter says.
fn switch_log(x: &mut Exec<'_>) -> Result<(), ()> {
    if !x.state.config.appendonly {
        aof::switch_off(x.keys, x.state);
        return Ok(());
    }
    let at_once = !x.must_not_block();
    aof::switch_on(x.keys, x.state, at_once).inspect_err(|()| {
        x.state.log(
            Level::Warning,
            "The server needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs for more info about the error.",
        );
    })
}

/// The default user has another password, or needs none: that counts for the next login.
fn password_changed(x: &mut Exec<'_>) {
    let password = x.state.config.requirepass.as_bytes();
    x.state.users.require_password(password);
    let user = Arc::clone(x.state.users.default_user());
    crate::users::changed(x, &user);
}

fn warn_of_maxmemory(x: &mut Exec<'_>) {
    let used = x.state.host.used_memory() as u64;
    let maxmemory = x.state.config.maxmemory;
    if maxmemory > 0 && maxmemory < used {
        x.state.log(
            Level::Warning,
            &format!(
                "WARNING: the new maxmemory value set via CONFIG SET ({maxmemory}) is smaller than the current memory usage ({used}). This will result in key eviction and/or the inability to accept new write commands depending on the maxmemory-policy."
            ),
        );
    }
}

/// `CONFIG RESETSTAT`: counters start from zero.
///
/// Reply: OK.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CONFIG RESETSTAT (since 2.0.0).
fn reset_stat(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.state.stats.reset();
    x.state.stats.log_us_before = x.state.host.log_figures().loop_us;
    x.state.repl.hub.reset_stats();
    x.state.saving.saves = 0;
    x.state.scripting.reset_evicted_scripts();
    x.state.scripting.reset_usages();
    x.state.aof.rewrites.count = 0;
    x.state.aof.rewrites.failures.clear();
    x.keys.stats = KeyStats::default();
    x.out.ok();
    Ok(())
}

/// `CONFIG REWRITE`: the configuration file says what is in force now.
///
/// Reply: OK.
/// Errors: no file, or it cannot be written.
/// Propagates: nothing.
/// Source: Valkey command reference, CONFIG REWRITE (since 2.8.0).
fn rewrite(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    if x.state.host.facts().config_file.is_empty() {
        return Err(Error::NO_CONFIG_FILE);
    }
    look_up_folder(x.state);
    let written = x.state.host.read_config_file().and_then(|old| {
        let users: Vec<Vec<Vec<u8>>> = x.state.users.iter().map(|user| words_of(user)).collect();
        let text = config::rewrite(&old, &x.state.config, &users);
        x.state.host.write_config_file(&text)
    });
    match written {
        Ok(()) => {
            x.state
                .log(Level::Notice, "CONFIG REWRITE executed with success.");
            x.out.ok();
            Ok(())
        }
        Err(reason) => {
            x.state
                .log(Level::Warning, &format!("CONFIG REWRITE failed: {reason}"));
            Err(Error::rewriting(&reason))
        }
    }
}

/// A user's name and rules.
fn words_of(user: &User) -> Vec<Vec<u8>> {
    let rules = user.rules_line();
    let rules = rules.split(|byte| *byte == b' ');
    std::iter::once(user.name())
        .chain(rules)
        .map(<[u8]>::to_vec)
        .collect()
}

/// `CONFIG HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CONFIG HELP (since 5.0.0).
fn help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "CONFIG",
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    );
    Ok(())
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Takes over every parameter that is kept in another form somewhere.
pub(crate) fn take_over(keys: &mut Keys, state: &mut ServerState) {
    adopt(keys, state);
    curtail(state);
}

/// The part of [`take_over`] that cannot be undone: something is given up where a parameter allows less, or named.
fn curtail(state: &mut ServerState) {
    state.repl.configure(&state.config);
    for sentence in state.repl.new_contradictions(&state.config) {
        state.log(Level::Warning, &sentence);
    }
    state.slowlog.trim(size(state.config.slowlog_max_len));
    state.scripting.set_limits(scripting::Limits {
        memory_bytes: size(state.config.lua_memory_limit),
        eval_scripts: size(state.config.lua_script_cache_limit),
    });
}

/// The part that the former parameters undo.
fn adopt(keys: &mut Keys, state: &mut ServerState) {
    let config = &state.config;
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
    keys.limits.stream = StreamLimits {
        node_max_bytes: size(config.stream_node_max_bytes),
        node_max_entries: config.stream_node_max_entries.unsigned_abs(),
    };
    keys.lazy = LazyFree {
        user_del: config.lazyfree_lazy_user_del,
        server_del: config.lazyfree_lazy_server_del,
        expire: config.lazyfree_lazy_expire,
    };
    keys.settings = Settings {
        string_bytes_max: config.proto_max_bulk_len.unsigned_abs(),
        hll_sparse_bytes_max: size(config.hll_sparse_max_bytes),
        memory_unlimited: config.maxmemory == 0,
        eviction: eviction_clock(config.maxmemory_policy),
        compress: config.rdbcompression,
        skip_checksums: state.debug.skip_checksums,
        sanitize: match config.sanitize_dump_payload {
            SanitizeDumpPayload::No => Sanitize::No,
            SanitizeDumpPayload::Clients => Sanitize::Clients,
            SanitizeDumpPayload::Yes => Sanitize::Yes,
        },
    };
    keys.set_events(config.notify_keyspace_events);
    state.aof.set_stamps(state.config.aof_timestamp_enabled);
    crate::cron::refresh_access_clock(keys, state);
    state.refresh_gate();
}

/// What a policy wants to be kept beside each key.
fn eviction_clock(policy: MaxmemoryPolicy) -> Eviction {
    match policy {
        MaxmemoryPolicy::AllkeysLru | MaxmemoryPolicy::VolatileLru => Eviction::Lru,
        MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu => Eviction::Lfu,
        _ => Eviction::Unclocked,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn parameters_are_set_together_and_take_effect() {
        check(
            r#"
            > CONFIG GET timeout maxmemory
            < 1) "timeout"
            < 2) "0"
            < 3) "maxmemory"
            < 4) "0"
            > CONFIG SET timeout 5 maxmemory x
            < (error) ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value
            > CONFIG GET timeout
            < 1) "timeout"
            < 2) "0"
            > CONFIG SET notify-keyspace-events KEA hash-max-listpack-entries 1
            < OK
            > CONFIG GET notify-keyspace-events
            < 1) "notify-keyspace-events"
            < 2) "AKE"
            1> SUBSCRIBE __keyevent@0__:set
            < 1) "subscribe"
            < 2) "__keyevent@0__:set"
            < 3) (integer) 1
            > SET a b
            < OK
            ~ SET a b
            1< 1) "message"
            1< 2) "__keyevent@0__:set"
            1< 3) "a"
            > CONFIG REWRITE
            < (error) ERR The server is running without a config file
            > CONFIG RESETSTAT
            < OK
            "#,
        );
    }

    #[test]
    fn a_password_counts_for_new_clients_until_it_is_taken_away() {
        check(
            r#"
            > CONFIG SET requirepass secret
            < OK
            > PING
            < PONG
            1> PING
            < (error) NOAUTH Authentication required.
            > CONFIG SET requirepass ""
            < OK
            1> PING
            < PONG
            "#,
        );
    }
}
