//! Settings that are fine alone and cancel each other.

use super::Config;

/// Tells which replication settings of `config` leave each other without effect, a sentence for each.
#[must_use]
pub fn contradictions(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    let delay = config.repl_diskless_sync_delay;
    if config.dual_channel_replication_enabled && !config.repl_diskless_sync {
        found.push("dual-channel-replication-enabled has no effect on a primary with repl-diskless-sync no".into());
    }
    let limit = config.client_output_buffer_limit.replica;
    let backlog = config.repl_backlog_size.unsigned_abs();
    for (name, bytes) in [("hard", limit.hard_bytes), ("soft", limit.soft_bytes)] {
        if bytes > 0 && bytes < backlog {
            found.push(format!("client-output-buffer-limit replica: the {name} limit of {bytes} bytes is below repl-backlog-size, which counts instead ({backlog} bytes)"));
        }
    }
    if config.repl_diskless_sync && config.timeout > 0 && config.timeout <= delay {
        found.push(format!("timeout ({} seconds) is not above repl-diskless-sync-delay ({delay} seconds): a primary of version 8.0.1 closes replicas that wait for a dual-channel synchronization", config.timeout));
    }
    if config.repl_timeout <= config.repl_ping_replica_period {
        found.push(format!("repl-timeout ({} seconds) is not above repl-ping-replica-period ({} seconds): idle links are lost between two pings", config.repl_timeout, config.repl_ping_replica_period));
    }
    if config.min_replicas_to_write > 0 && config.min_replicas_max_lag == 0 {
        found.push("min-replicas-to-write has no effect with min-replicas-max-lag 0".into());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Param, Phase};

    #[test]
    fn the_defaults_fit_each_other_and_each_contradiction_is_named() {
        assert_eq!(contradictions(&Config::default()), Vec::<String>::new());
        let cases: [&[(&str, &str)]; 5] = [
            &[
                ("dual-channel-replication-enabled", "yes"),
                ("repl-diskless-sync", "no"),
            ],
            &[("client-output-buffer-limit", "replica 1mb 0 0")],
            &[("timeout", "5")],
            &[("repl-timeout", "10")],
            &[
                ("min-replicas-to-write", "1"),
                ("min-replicas-max-lag", "0"),
            ],
        ];
        for case in cases {
            let mut config = Config::default();
            for (name, value) in case {
                let words: Vec<&[u8]> = value.split(' ').map(str::as_bytes).collect();
                let param = Param::find(name.as_bytes()).expect("a parameter");
                config.set(param, &words, Phase::Startup).expect("a value");
            }
            let found = contradictions(&config);
            assert_eq!(found.len(), 1, "{case:?}: {found:?}");
            assert!(found[0].contains(case[0].0), "{found:?}");
        }
    }
}
