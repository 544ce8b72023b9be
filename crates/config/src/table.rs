//! Every configuration parameter, one row each.
//!
//! A row gives the doc line, the [`Param`] variant, the typed field of [`Config`] with its default, the name and
//! alias in files and in CONFIG, how text becomes a value, and the flags. Names, bounds and defaults are those of
//! Valkey 8.0.1; a test compares the whole table with `tests/data/config-8.0.1.tsv`.

use super::choice::{
    AclPubsubDefault, AppendFsync, ClusterEndpointType, LogLevel, MaxmemoryPolicy, OomScoreAdj,
    PropagationErrorBehavior, ProtectedAction, RefuseEmptyPrimary, ReplCompression,
    ReplDisklessLoad, SanitizeDumpPayload, ShutdownOptions, Supervised, SyslogFacility,
    TlsAuthClients,
};
use super::problem::Problem;
use super::row::{
    C, Empty, Flags, Kind, Phase, Row, memory, memory_or_percent, number, octal, parameters,
};
use super::setting::Setting;
use super::special::{OomScores, OutputLimits, Percentiles, Primary, SaveRules};
use super::text::Text;
use words::events::Classes;

parameters! {
    /// Channels a new user may use before any channel rule is given.
    AclPubsubDefault acl_pubsub_default: AclPubsubDefault = AclPubsubDefault::Resetchannels,
        "acl-pubsub-default", Kind::Choice(AclPubsubDefault::NAMES), [MODIFIABLE];

    /// File that holds the ACL users; empty means users live in this file.
    Aclfile aclfile: Text = Text::default(),
        "aclfile", Kind::Text(Empty::Value), [IMMUTABLE];

    /// Entries kept by `ACL LOG`.
    AcllogMaxLen acllog_max_len: u64 = 128,
        "acllog-max-len", number(C::ULong, 0, i64::MAX as i128), [MODIFIABLE];

    /// Most CPU, in percent, that defragmentation may take.
    ActiveDefragCycleMax active_defrag_cycle_max: i32 = 25,
        "active-defrag-cycle-max", number(C::Int, 1, 99), [MODIFIABLE];

    /// Least CPU, in percent, that defragmentation takes once it runs.
    ActiveDefragCycleMin active_defrag_cycle_min: i32 = 1,
        "active-defrag-cycle-min", number(C::Int, 1, 99), [MODIFIABLE];

    /// Wasted bytes below which defragmentation does not start.
    ActiveDefragIgnoreBytes active_defrag_ignore_bytes: u64 = 104_857_600,
        "active-defrag-ignore-bytes", memory(C::SizeT, 1, i64::MAX as i128), [MODIFIABLE];

    /// Fields of one set, hash, sorted set or list handled in the main pass.
    ActiveDefragMaxScanFields active_defrag_max_scan_fields: u64 = 1000,
        "active-defrag-max-scan-fields", number(C::ULong, 1, i64::MAX as i128), [MODIFIABLE];

    /// Fragmentation, in percent, at which defragmentation starts.
    ActiveDefragThresholdLower active_defrag_threshold_lower: i32 = 10,
        "active-defrag-threshold-lower", number(C::Int, 0, 1000), [MODIFIABLE];

    /// Fragmentation, in percent, at which it uses its full effort.
    ActiveDefragThresholdUpper active_defrag_threshold_upper: i32 = 100,
        "active-defrag-threshold-upper", number(C::Int, 0, 1000), [MODIFIABLE];

    /// How hard the active expire cycle tries, from 1 to 10.
    ActiveExpireEffort active_expire_effort: i32 = 1,
        "active-expire-effort", number(C::Int, 1, 10), [MODIFIABLE];

    /// Whether memory is defragmented while the server runs.
    Activedefrag activedefrag: bool = false,
        "activedefrag", Kind::Bool, [DEBUG MODIFIABLE];

    /// Whether idle time is used to finish table rehashes.
    Activerehashing activerehashing: bool = true,
        "activerehashing", Kind::Bool, [MODIFIABLE];

    /// Whether the start-up banner is printed to a log that is not a terminal too.
    AlwaysShowLogo always_show_logo: bool = false,
        "always-show-logo", Kind::Bool, [IMMUTABLE];

    /// Whether old append-only files are kept (for tests).
    AofDisableAutoGc aof_disable_auto_gc: bool = false,
        "aof-disable-auto-gc", Kind::Bool, [MODIFIABLE HIDDEN];

    /// Whether a cut-off last record of the append-only file is dropped instead of refused.
    AofLoadTruncated aof_load_truncated: bool = true,
        "aof-load-truncated", Kind::Bool, [MODIFIABLE];

    /// CPUs the append-only file rewrite may run on.
    AofRewriteCpulist aof_rewrite_cpulist: Text = Text::default(),
        "aof-rewrite-cpulist" | "aof_rewrite_cpulist", Kind::Text(Empty::Unset), [IMMUTABLE];

    /// Whether a rewrite syncs to disk every few megabytes.
    AofRewriteIncrementalFsync aof_rewrite_incremental_fsync: bool = true,
        "aof-rewrite-incremental-fsync", Kind::Bool, [MODIFIABLE];

    /// Whether timestamps are written into the append-only file.
    AofTimestampEnabled aof_timestamp_enabled: bool = false,
        "aof-timestamp-enabled", Kind::Bool, [MODIFIABLE];

    /// Whether a rewritten append-only file starts with an RDB snapshot.
    AofUseRdbPreamble aof_use_rdb_preamble: bool = true,
        "aof-use-rdb-preamble", Kind::Bool, [MODIFIABLE];

    /// Directory, inside `dir`, of the append-only files.
    Appenddirname appenddirname: Text = Text::fixed("appendonlydir"),
        "appenddirname", Kind::Text(Empty::Value), [IMMUTABLE];

    /// Base name of the append-only files.
    Appendfilename appendfilename: Text = Text::fixed("appendonly.aof"),
        "appendfilename", Kind::Text(Empty::Value), [IMMUTABLE];

    /// When the append-only file is synced to disk.
    Appendfsync appendfsync: AppendFsync = AppendFsync::Everysec,
        "appendfsync", Kind::Choice(AppendFsync::NAMES), [MODIFIABLE];

    /// Whether every write is logged to the append-only file.
    Appendonly appendonly: bool = false,
        "appendonly", Kind::Bool, [MODIFIABLE DENY_LOADING];

    /// Size below which the append-only file is never rewritten by itself.
    AutoAofRewriteMinSize auto_aof_rewrite_min_size: i64 = 67_108_864,
        "auto-aof-rewrite-min-size", memory(C::OffT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Growth, in percent, that starts a rewrite; 0 turns it off.
    AutoAofRewritePercentage auto_aof_rewrite_percentage: i32 = 100,
        "auto-aof-rewrite-percentage", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Name of the zone the server runs in, shown to clients.
    AvailabilityZone availability_zone: Text = Text::default(),
        "availability-zone", Kind::Bytes(Empty::Value), [MODIFIABLE];

    /// CPUs the snapshot process may run on.
    BgsaveCpulist bgsave_cpulist: Text = Text::default(),
        "bgsave-cpulist" | "bgsave_cpulist", Kind::Text(Empty::Unset), [IMMUTABLE];

    /// Addresses to listen on; a leading `-` lets an address be missing.
    Bind bind: Vec<Text> = vec![Text::fixed("*"), Text::fixed("-::*")],
        "bind", Kind::Special, [MODIFIABLE MULTI_ARG];

    /// Local address of outgoing connections.
    BindSourceAddr bind_source_addr: Text = Text::default(),
        "bind-source-addr", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// CPUs the background threads may run on.
    BioCpulist bio_cpulist: Text = Text::default(),
        "bio-cpulist" | "bio_cpulist", Kind::Text(Empty::Unset), [IMMUTABLE];

    /// Milliseconds after which a running script makes others get BUSY.
    BusyReplyThreshold busy_reply_threshold: i64 = 5000,
        "busy-reply-threshold" | "lua-time-limit", number(C::LongLong, 0, i64::MAX as i128), [MODIFIABLE];

    /// Protocol version of a fresh connection (for tests).
    ClientDefaultResp client_default_resp: u32 = 2,
        "client-default-resp", number(C::UInt, 2, 3), [IMMUTABLE HIDDEN];

    /// Output buffer limits: class, hard limit, soft limit, soft seconds.
    ClientOutputBufferLimit client_output_buffer_limit: OutputLimits = OutputLimits::default(),
        "client-output-buffer-limit", Kind::Special, [MODIFIABLE MULTI_ARG];

    /// Largest query buffer of a client.
    ClientQueryBufferLimit client_query_buffer_limit: u64 = 1_073_741_824,
        "client-query-buffer-limit", memory(C::SizeT, 1024 * 1024, i64::MAX as i128), [DEBUG MODIFIABLE];

    /// Whether sharded pub/sub goes on while the cluster is down.
    ClusterAllowPubsubshardWhenDown cluster_allow_pubsubshard_when_down: bool = true,
        "cluster-allow-pubsubshard-when-down", Kind::Bool, [MODIFIABLE];

    /// Whether reads are served while the cluster is down.
    ClusterAllowReadsWhenDown cluster_allow_reads_when_down: bool = false,
        "cluster-allow-reads-when-down", Kind::Bool, [MODIFIABLE];

    /// Whether a replica may move to a primary that has none.
    ClusterAllowReplicaMigration cluster_allow_replica_migration: bool = true,
        "cluster-allow-replica-migration", Kind::Bool, [MODIFIABLE];

    /// Cluster bus port told to other nodes; 0 means the real one.
    ClusterAnnounceBusPort cluster_announce_bus_port: i32 = 0,
        "cluster-announce-bus-port", number(C::Int, 0, 65535), [MODIFIABLE];

    /// IPv4 address told to clients.
    ClusterAnnounceClientIpv4 cluster_announce_client_ipv4: Text = Text::default(),
        "cluster-announce-client-ipv4", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// IPv6 address told to clients.
    ClusterAnnounceClientIpv6 cluster_announce_client_ipv6: Text = Text::default(),
        "cluster-announce-client-ipv6", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// Host name told to other nodes.
    ClusterAnnounceHostname cluster_announce_hostname: Text = Text::default(),
        "cluster-announce-hostname", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// Readable node name used in logs.
    ClusterAnnounceHumanNodename cluster_announce_human_nodename: Text = Text::default(),
        "cluster-announce-human-nodename", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// IP address told to other nodes.
    ClusterAnnounceIp cluster_announce_ip: Text = Text::default(),
        "cluster-announce-ip", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// Client port told to other nodes; 0 means the real one.
    ClusterAnnouncePort cluster_announce_port: i32 = 0,
        "cluster-announce-port", number(C::Int, 0, 65535), [MODIFIABLE];

    /// TLS port told to other nodes; 0 means the real one.
    ClusterAnnounceTlsPort cluster_announce_tls_port: i32 = 0,
        "cluster-announce-tls-port", number(C::Int, 0, 65535), [MODIFIABLE];

    /// Seconds for which a forgotten node may not come back.
    ClusterBlacklistTtl cluster_blacklist_ttl: u64 = 60,
        "cluster-blacklist-ttl", number(C::ULong, 0, u64::MAX as i128), [MODIFIABLE];

    /// File in which the node keeps its view of the cluster.
    ClusterConfigFile cluster_config_file: Text = Text::fixed("nodes.conf"),
        "cluster-config-file", Kind::Text(Empty::Value), [IMMUTABLE];

    /// Whether the server is a cluster node.
    ClusterEnabled cluster_enabled: bool = false,
        "cluster-enabled", Kind::Bool, [IMMUTABLE];

    /// Largest send buffer of one bus link; 0 means no limit.
    ClusterLinkSendbufLimit cluster_link_sendbuf_limit: u64 = 0,
        "cluster-link-sendbuf-limit", memory(C::ULongLong, 0, u64::MAX as i128), [MODIFIABLE];

    /// Replicas a primary must keep before one may migrate away.
    ClusterMigrationBarrier cluster_migration_barrier: i32 = 1,
        "cluster-migration-barrier", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Milliseconds without an answer after which a node is failing.
    ClusterNodeTimeout cluster_node_timeout: i64 = 15000,
        "cluster-node-timeout", number(C::LongLong, 0, i64::MAX as i128), [MODIFIABLE];

    /// Milliseconds between bus pings (for tests).
    ClusterPingInterval cluster_ping_interval: i64 = 0,
        "cluster-ping-interval", number(C::LongLong, 0, i64::MAX as i128), [MODIFIABLE HIDDEN];

    /// Cluster bus port; 0 means the client port plus 10000.
    ClusterPort cluster_port: i32 = 0,
        "cluster-port", number(C::Int, 0, 65535), [IMMUTABLE];

    /// What clients are sent to in redirections.
    ClusterPreferredEndpointType cluster_preferred_endpoint_type: ClusterEndpointType = ClusterEndpointType::Ip,
        "cluster-preferred-endpoint-type", Kind::Choice(ClusterEndpointType::NAMES), [MODIFIABLE];

    /// Whether replicas never start a failover by themselves.
    ClusterReplicaNoFailover cluster_replica_no_failover: bool = false,
        "cluster-replica-no-failover" | "cluster-slave-no-failover", Kind::Bool, [MODIFIABLE];

    /// How stale, in node timeouts, a replica may be and still be promoted.
    ClusterReplicaValidityFactor cluster_replica_validity_factor: i32 = 10,
        "cluster-replica-validity-factor" | "cluster-slave-validity-factor", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Whether the cluster stops when a slot has no owner.
    ClusterRequireFullCoverage cluster_require_full_coverage: bool = true,
        "cluster-require-full-coverage", Kind::Bool, [MODIFIABLE];

    /// Whether statistics per slot are kept.
    ClusterSlotStatsEnabled cluster_slot_stats_enabled: bool = false,
        "cluster-slot-stats-enabled", Kind::Bool, [MODIFIABLE];

    /// Whether a crash writes a report to the log.
    CrashLogEnabled crash_log_enabled: bool = true,
        "crash-log-enabled", Kind::Bool, [MODIFIABLE];

    /// Whether a crash report includes a fast memory test.
    CrashMemcheckEnabled crash_memcheck_enabled: bool = true,
        "crash-memcheck-enabled", Kind::Bool, [MODIFIABLE];

    /// Whether the server detaches and runs in the background.
    Daemonize daemonize: bool = false,
        "daemonize", Kind::Bool, [IMMUTABLE];

    /// Number of databases.
    Databases databases: i32 = 16,
        "databases", number(C::Int, 1, i32::MAX as i128), [IMMUTABLE];

    /// File name of the RDB snapshot, inside `dir`.
    Dbfilename dbfilename: Text = Text::fixed("dump.rdb"),
        "dbfilename", Kind::Text(Empty::Value), [MODIFIABLE PROTECTED];

    /// Text added to crash reports (for tests).
    DebugContext debug_context: Text = Text::default(),
        "debug-context", Kind::Text(Empty::Value), [MODIFIABLE DEBUG HIDDEN];

    /// Working directory, where snapshots and append-only files live.
    Dir dir: Text = Text::default(),
        "dir", Kind::Special, [MODIFIABLE PROTECTED DENY_LOADING];

    /// Whether transparent huge pages are turned off for the process.
    DisableThp disable_thp: bool = true,
        "disable-thp", Kind::Bool, [IMMUTABLE];

    /// Whether a full sync uses a second connection for the snapshot.
    DualChannelReplicationEnabled dual_channel_replication_enabled: bool = false,
        "dual-channel-replication-enabled", Kind::Bool, [DEBUG MODIFIABLE];

    /// Whether `hz` rises with the number of clients.
    DynamicHz dynamic_hz: bool = true,
        "dynamic-hz", Kind::Bool, [MODIFIABLE];

    /// Whether debug assertions run (for tests).
    EnableDebugAssert enable_debug_assert: bool = false,
        "enable-debug-assert", Kind::Bool, [IMMUTABLE HIDDEN];

    /// Who may use DEBUG.
    EnableDebugCommand enable_debug_command: ProtectedAction = ProtectedAction::No,
        "enable-debug-command", Kind::Choice(ProtectedAction::NAMES), [IMMUTABLE];

    /// Who may use MODULE.
    EnableModuleCommand enable_module_command: ProtectedAction = ProtectedAction::No,
        "enable-module-command", Kind::Choice(ProtectedAction::NAMES), [IMMUTABLE];

    /// Who may change protected parameters.
    EnableProtectedConfigs enable_protected_configs: ProtectedAction = ProtectedAction::No,
        "enable-protected-configs", Kind::Choice(ProtectedAction::NAMES), [IMMUTABLE];

    /// Pending events that justify one more I/O thread.
    EventsPerIoThread events_per_io_thread: i32 = 2,
        "events-per-io-thread", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Whether the server presents itself as Redis OSS where that helps old tools.
    ExtendedRedisCompatibility extended_redis_compatibility: bool = false,
        "extended-redis-compatibility", Kind::Bool, [MODIFIABLE];

    /// Most fields of a hash kept as a listpack.
    HashMaxListpackEntries hash_max_listpack_entries: u64 = 512,
        "hash-max-listpack-entries" | "hash-max-ziplist-entries", number(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Longest field or value of a hash kept as a listpack.
    HashMaxListpackValue hash_max_listpack_value: u64 = 64,
        "hash-max-listpack-value" | "hash-max-ziplist-value", memory(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Whether keys and values stay out of the log.
    HideUserDataFromLog hide_user_data_from_log: bool = true,
        "hide-user-data-from-log", Kind::Bool, [MODIFIABLE];

    /// Largest sparse HyperLogLog.
    HllSparseMaxBytes hll_sparse_max_bytes: u64 = 3000,
        "hll-sparse-max-bytes", memory(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Background task rounds per second, 1 to 500.
    Hz hz: i32 = 10,
        "hz", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Start-up warnings to ignore, by name.
    IgnoreWarnings ignore_warnings: Text = Text::default(),
        "ignore-warnings", Kind::Text(Empty::Value), [MODIFIABLE];

    /// Threads that serve connections.
    IoThreads io_threads: i32 = 1,
        "io-threads", number(C::Int, 1, 128), [DEBUG IMMUTABLE];

    /// Whether I/O threads also read; kept for old files.
    IoThreadsDoReads io_threads_do_reads: bool = true,
        "io-threads-do-reads", Kind::Bool, [DEBUG IMMUTABLE];

    /// Whether the allocator returns memory in a background thread.
    JemallocBgThread jemalloc_bg_thread: bool = true,
        "jemalloc-bg-thread", Kind::Bool, [MODIFIABLE];

    /// Microseconds to wait after each loaded key (for tests).
    KeyLoadDelay key_load_delay: i32 = 0,
        "key-load-delay", number(C::Int, i32::MIN as i128, i32::MAX as i128), [MODIFIABLE HIDDEN];

    /// Milliseconds from which events are recorded by LATENCY; 0 turns it off.
    LatencyMonitorThreshold latency_monitor_threshold: i64 = 0,
        "latency-monitor-threshold", number(C::LongLong, 0, i64::MAX as i128), [MODIFIABLE];

    /// Whether latency percentiles per command are kept.
    LatencyTracking latency_tracking: bool = true,
        "latency-tracking", Kind::Bool, [MODIFIABLE];

    /// Percentiles shown by `INFO latencystats`.
    LatencyTrackingInfoPercentiles latency_tracking_info_percentiles: Percentiles = Percentiles::default(),
        "latency-tracking-info-percentiles", Kind::Special, [MODIFIABLE MULTI_ARG];

    /// Whether evicted values are freed in the background.
    LazyfreeLazyEviction lazyfree_lazy_eviction: bool = true,
        "lazyfree-lazy-eviction", Kind::Bool, [DEBUG MODIFIABLE];

    /// Whether expired values are freed in the background.
    LazyfreeLazyExpire lazyfree_lazy_expire: bool = true,
        "lazyfree-lazy-expire", Kind::Bool, [DEBUG MODIFIABLE];

    /// Whether overwritten values are freed in the background.
    LazyfreeLazyServerDel lazyfree_lazy_server_del: bool = true,
        "lazyfree-lazy-server-del", Kind::Bool, [DEBUG MODIFIABLE];

    /// Whether DEL behaves like UNLINK.
    LazyfreeLazyUserDel lazyfree_lazy_user_del: bool = true,
        "lazyfree-lazy-user-del", Kind::Bool, [DEBUG MODIFIABLE];

    /// Whether FLUSHALL, FLUSHDB and the like are ASYNC by default.
    LazyfreeLazyUserFlush lazyfree_lazy_user_flush: bool = true,
        "lazyfree-lazy-user-flush", Kind::Bool, [DEBUG MODIFIABLE];

    /// Minutes after which a use counter is lowered.
    LfuDecayTime lfu_decay_time: i32 = 1,
        "lfu-decay-time", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// How slowly a use counter grows.
    LfuLogFactor lfu_log_factor: i32 = 10,
        "lfu-log-factor", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Nodes at each end of a list that are not compressed; 0 means no compression.
    ListCompressDepth list_compress_depth: i32 = 0,
        "list-compress-depth", number(C::Int, 0, i32::MAX as i128), [DEBUG MODIFIABLE];

    /// Entries per list node, or -1 to -5 for 4 to 64 KiB.
    ListMaxListpackSize list_max_listpack_size: i32 = -2,
        "list-max-listpack-size" | "list-max-ziplist-size", number(C::Int, i32::MIN as i128, i32::MAX as i128), [MODIFIABLE];

    /// Loaded bytes between two looks at clients (for tests).
    LoadingProcessEventsIntervalBytes loading_process_events_interval_bytes: i64 = 2_097_152,
        "loading-process-events-interval-bytes", number(C::OffT, 1024, i32::MAX as i128), [MODIFIABLE HIDDEN];

    /// Locale for sorting strings; empty means that of the environment.
    LocaleCollate locale_collate: Text = Text::default(),
        "locale-collate", Kind::Text(Empty::Value), [MODIFIABLE];

    /// Log file; empty means standard output.
    Logfile logfile: Text = Text::default(),
        "logfile", Kind::Text(Empty::Value), [IMMUTABLE];

    /// How much is logged.
    Loglevel loglevel: LogLevel = LogLevel::Notice,
        "loglevel", Kind::Choice(LogLevel::NAMES), [MODIFIABLE];

    /// Milliseconds that the body of a library may take in FUNCTION LOAD and FUNCTION RESTORE.
    LuaFunctionLoadTimeout lua_function_load_timeout: u64 = 500,
        "lua-function-load-timeout", number(C::ULongLong, 1, i32::MAX as i128), [MODIFIABLE];

    /// Bytes that scripts, and functions, may take in the interpreter; what needs more ends with an error.
    LuaMemoryLimit lua_memory_limit: u64 = 67_108_864,
        "lua-memory-limit", memory(C::SizeT, 1 << 20, 1 << 32), [MODIFIABLE];

    /// Scripts that are kept only because EVAL has run them.
    LuaScriptCacheLimit lua_script_cache_limit: u64 = 500,
        "lua-script-cache-limit", number(C::ULongLong, 1, 10_000), [MODIFIABLE];

    /// Connections accepted in one go.
    MaxNewConnectionsPerCycle max_new_connections_per_cycle: u32 = 10,
        "max-new-connections-per-cycle", number(C::UInt, 1, 1000), [MODIFIABLE];

    /// TLS connections accepted in one go.
    MaxNewTlsConnectionsPerCycle max_new_tls_connections_per_cycle: u32 = 1,
        "max-new-tls-connections-per-cycle", number(C::UInt, 1, 1000), [MODIFIABLE];

    /// Most connected clients.
    Maxclients maxclients: u32 = 10000,
        "maxclients", number(C::UInt, 1, u32::MAX as i128), [MODIFIABLE];

    /// Bytes of data above which keys are evicted; 0 means no limit.
    Maxmemory maxmemory: u64 = 0,
        "maxmemory", memory(C::ULongLong, 0, u64::MAX as i128), [MODIFIABLE];

    /// Memory of all clients above which some are closed, in bytes or percent of `maxmemory`.
    MaxmemoryClients maxmemory_clients: i64 = 0,
        "maxmemory-clients", memory_or_percent(C::SSizeT, -100, i64::MAX as i128), [MODIFIABLE];

    /// How hard eviction tries before it lets commands go on, 0 to 100.
    MaxmemoryEvictionTenacity maxmemory_eviction_tenacity: i32 = 10,
        "maxmemory-eviction-tenacity", number(C::Int, 0, 100), [MODIFIABLE];

    /// Which keys are evicted when memory is full.
    MaxmemoryPolicy maxmemory_policy: MaxmemoryPolicy = MaxmemoryPolicy::Noeviction,
        "maxmemory-policy", Kind::Choice(MaxmemoryPolicy::NAMES), [MODIFIABLE];

    /// Keys sampled to find one to evict.
    MaxmemorySamples maxmemory_samples: i32 = 5,
        "maxmemory-samples", number(C::Int, 1, 64), [MODIFIABLE];

    /// Seconds of lag up to which a replica counts for `min-replicas-to-write`.
    MinReplicasMaxLag min_replicas_max_lag: i32 = 10,
        "min-replicas-max-lag" | "min-slaves-max-lag", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Replicas that must be connected for writes to be accepted.
    MinReplicasToWrite min_replicas_to_write: i32 = 0,
        "min-replicas-to-write" | "min-slaves-to-write", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Whether syncs pause while a child process writes to disk.
    NoAppendfsyncOnRewrite no_appendfsync_on_rewrite: bool = false,
        "no-appendfsync-on-rewrite", Kind::Bool, [MODIFIABLE];

    /// Classes of keyspace events to publish; empty turns them off.
    NotifyKeyspaceEvents notify_keyspace_events: Classes = Classes::NONE,
        "notify-keyspace-events", Kind::Special, [MODIFIABLE];

    /// Whether the kernel's out-of-memory score is set for the process.
    OomScoreAdj oom_score_adj: OomScoreAdj = OomScoreAdj::No,
        "oom-score-adj", Kind::Choice(OomScoreAdj::NAMES), [MODIFIABLE];

    /// Scores of a primary, a replica and a child process.
    OomScoreAdjValues oom_score_adj_values: OomScores = OomScores::default(),
        "oom-score-adj-values", Kind::Special, [MODIFIABLE MULTI_ARG];

    /// File in which the process id is written.
    Pidfile pidfile: Text = Text::default(),
        "pidfile", Kind::Text(Empty::Unset), [IMMUTABLE];

    /// TCP port; 0 means none.
    Port port: i32 = 6379,
        "port", number(C::Int, 0, 65535), [MODIFIABLE];

    /// Commands looked at together when keys are prefetched.
    PrefetchBatchMaxSize prefetch_batch_max_size: i32 = 16,
        "prefetch-batch-max-size", number(C::Int, 0, 128), [MODIFIABLE];

    /// Password sent to the primary.
    Primaryauth primaryauth: Text = Text::default(),
        "primaryauth" | "masterauth", Kind::Bytes(Empty::Unset), [MODIFIABLE SENSITIVE];

    /// User name sent to the primary.
    Primaryuser primaryuser: Text = Text::default(),
        "primaryuser" | "masteruser", Kind::Text(Empty::Unset), [MODIFIABLE SENSITIVE];

    /// Process title, with variables in braces.
    ProcTitleTemplate proc_title_template: Text = Text::fixed("{title} {listen-addr} {server-mode}"),
        "proc-title-template", Kind::Text(Empty::Value), [MODIFIABLE];

    /// What to do when a replicated command fails.
    PropagationErrorBehavior propagation_error_behavior: PropagationErrorBehavior = PropagationErrorBehavior::Ignore,
        "propagation-error-behavior", Kind::Choice(PropagationErrorBehavior::NAMES), [MODIFIABLE];

    /// Whether other hosts are refused while there is no password.
    ProtectedMode protected_mode: bool = true,
        "protected-mode", Kind::Bool, [MODIFIABLE];

    /// Longest bulk string in a request.
    ProtoMaxBulkLen proto_max_bulk_len: i64 = 536_870_912,
        "proto-max-bulk-len", memory(C::LongLong, 1024 * 1024, i64::MAX as i128), [DEBUG MODIFIABLE];

    /// Whether snapshots made for replication are deleted when nothing else needs them.
    RdbDelSyncFiles rdb_del_sync_files: bool = false,
        "rdb-del-sync-files", Kind::Bool, [MODIFIABLE];

    /// Microseconds to wait after each saved key (for tests).
    RdbKeySaveDelay rdb_key_save_delay: i32 = 0,
        "rdb-key-save-delay", number(C::Int, i32::MIN as i128, i32::MAX as i128), [MODIFIABLE HIDDEN];

    /// Whether a snapshot syncs to disk every few megabytes.
    RdbSaveIncrementalFsync rdb_save_incremental_fsync: bool = true,
        "rdb-save-incremental-fsync", Kind::Bool, [MODIFIABLE];

    /// Whether snapshots end with a checksum that is verified.
    Rdbchecksum rdbchecksum: bool = true,
        "rdbchecksum", Kind::Bool, [IMMUTABLE];

    /// Whether strings are compressed in snapshots.
    Rdbcompression rdbcompression: bool = true,
        "rdbcompression", Kind::Bool, [MODIFIABLE];

    /// Bytes of the replication stream kept for partial syncs.
    ReplBacklogSize repl_backlog_size: i64 = 10_485_760,
        "repl-backlog-size", memory(C::LongLong, 1, i64::MAX as i128), [MODIFIABLE];

    /// Seconds without replicas after which the backlog is freed; 0 means never.
    ReplBacklogTtl repl_backlog_ttl: i64 = 3600,
        "repl-backlog-ttl", number(C::TimeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// How snapshots and streams are compressed between two servers that both want it, as on a slow link.
    ReplCompression repl_compression: ReplCompression = ReplCompression::No,
        "repl-compression", Kind::Choice(ReplCompression::NAMES), [MODIFIABLE];

    /// Whether small packets to replicas may be delayed.
    ReplDisableTcpNodelay repl_disable_tcp_nodelay: bool = false,
        "repl-disable-tcp-nodelay", Kind::Bool, [MODIFIABLE];

    /// How a replica takes in a snapshot without writing it to disk.
    ReplDisklessLoad repl_diskless_load: ReplDisklessLoad = ReplDisklessLoad::Disabled,
        "repl-diskless-load", Kind::Choice(ReplDisklessLoad::NAMES), [DEBUG MODIFIABLE DENY_LOADING];

    /// Whether snapshots go to replicas without a file.
    ReplDisklessSync repl_diskless_sync: bool = true,
        "repl-diskless-sync", Kind::Bool, [DEBUG MODIFIABLE];

    /// Seconds to wait for more replicas before such a snapshot starts.
    ReplDisklessSyncDelay repl_diskless_sync_delay: i32 = 5,
        "repl-diskless-sync-delay", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Replicas that end this wait early; 0 means none.
    ReplDisklessSyncMaxReplicas repl_diskless_sync_max_replicas: i32 = 0,
        "repl-diskless-sync-max-replicas", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Seconds between pings to replicas.
    ReplPingReplicaPeriod repl_ping_replica_period: i32 = 10,
        "repl-ping-replica-period" | "repl-ping-slave-period", number(C::Int, 1, i32::MAX as i128), [MODIFIABLE];

    /// How big a file is kept of a snapshot, for replicas that come late or whose connection breaks; 0 means none.
    ReplSnapshotSpool repl_snapshot_spool: u64 = 0,
        "repl-snapshot-spool", memory(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Whether writers are slowed down before a replica that synchronises is closed for being behind.
    ReplSyncPacing repl_sync_pacing: bool = true,
        "repl-sync-pacing", Kind::Bool, [MODIFIABLE];

    /// Seconds after which a replication link counts as dead.
    ReplTimeout repl_timeout: i32 = 60,
        "repl-timeout", number(C::Int, 1, i32::MAX as i128), [MODIFIABLE];

    /// Address a replica tells its primary.
    ReplicaAnnounceIp replica_announce_ip: Text = Text::default(),
        "replica-announce-ip" | "slave-announce-ip", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// Port a replica tells its primary; 0 means the real one.
    ReplicaAnnouncePort replica_announce_port: i32 = 0,
        "replica-announce-port" | "slave-announce-port", number(C::Int, 0, 65535), [MODIFIABLE];

    /// Whether the replica is reported to Sentinel clients.
    ReplicaAnnounced replica_announced: bool = true,
        "replica-announced", Kind::Bool, [MODIFIABLE];

    /// Whether a replica carries on when it cannot write to disk.
    ReplicaIgnoreDiskWriteErrors replica_ignore_disk_write_errors: bool = false,
        "replica-ignore-disk-write-errors", Kind::Bool, [MODIFIABLE];

    /// Whether a replica leaves eviction to its primary.
    ReplicaIgnoreMaxmemory replica_ignore_maxmemory: bool = true,
        "replica-ignore-maxmemory" | "slave-ignore-maxmemory", Kind::Bool, [MODIFIABLE];

    /// Whether a replica drops old data in the background at a full sync.
    ReplicaLazyFlush replica_lazy_flush: bool = true,
        "replica-lazy-flush" | "slave-lazy-flush", Kind::Bool, [MODIFIABLE];

    /// Lower is promoted first; 0 means never.
    ReplicaPriority replica_priority: i32 = 100,
        "replica-priority" | "slave-priority", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Whether a replica refuses writes of clients.
    ReplicaReadOnly replica_read_only: bool = true,
        "replica-read-only" | "slave-read-only", Kind::Bool, [DEBUG MODIFIABLE];

    /// Whether a primary without keys may replace the data of a replica by nothing.
    ReplicaRefuseEmptyPrimary replica_refuse_empty_primary: RefuseEmptyPrimary = RefuseEmptyPrimary::Auto,
        "replica-refuse-empty-primary", Kind::Choice(RefuseEmptyPrimary::NAMES), [MODIFIABLE];

    /// Whether a replica answers while its primary is away.
    ReplicaServeStaleData replica_serve_stale_data: bool = true,
        "replica-serve-stale-data" | "slave-serve-stale-data", Kind::Bool, [MODIFIABLE];

    /// What a synchronising replica may buffer in a file beyond its memory limit, in bytes or as a share of that limit.
    ReplicaSyncBufferSpillMax replica_sync_buffer_spill_max: i64 = -400,
        "replica-sync-buffer-spill-max", memory_or_percent(C::SSizeT, -100_000, i64::MAX as i128), [MODIFIABLE];

    /// Primary to replicate: host and port.
    Replicaof replicaof: Option<Primary> = None,
        "replicaof" | "slaveof", Kind::Special, [IMMUTABLE MULTI_ARG];

    /// File for a log of requests and replies (for tests).
    ReqResLogfile req_res_logfile: Text = Text::default(),
        "req-res-logfile", Kind::Text(Empty::Unset), [IMMUTABLE HIDDEN];

    /// Password of the default user.
    Requirepass requirepass: Text = Text::default(),
        "requirepass", Kind::Bytes(Empty::Unset), [MODIFIABLE SENSITIVE];

    /// Whose snapshots and RESTORE payloads are checked in depth.
    SanitizeDumpPayload sanitize_dump_payload: SanitizeDumpPayload = SanitizeDumpPayload::No,
        "sanitize-dump-payload", Kind::Choice(SanitizeDumpPayload::NAMES), [DEBUG MODIFIABLE];

    /// Snapshot after this many seconds if this many keys changed; `""` turns it off.
    Save save: SaveRules = SaveRules::default(),
        "save", Kind::Special, [MODIFIABLE MULTI_ARG];

    /// CPUs the server may run on.
    ServerCpulist server_cpulist: Text = Text::default(),
        "server-cpulist" | "server_cpulist", Kind::Text(Empty::Unset), [IMMUTABLE];

    /// Most members of a set of integers kept as an intset.
    SetMaxIntsetEntries set_max_intset_entries: u64 = 512,
        "set-max-intset-entries", number(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Most members of a set kept as a listpack.
    SetMaxListpackEntries set_max_listpack_entries: u64 = 128,
        "set-max-listpack-entries", number(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Longest member of a set kept as a listpack.
    SetMaxListpackValue set_max_listpack_value: u64 = 64,
        "set-max-listpack-value", number(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Whether the process title is set.
    SetProcTitle set_proc_title: bool = true,
        "set-proc-title", Kind::Bool, [IMMUTABLE];

    /// How SIGINT shuts the server down.
    ShutdownOnSigint shutdown_on_sigint: ShutdownOptions = ShutdownOptions::DEFAULT,
        "shutdown-on-sigint", Kind::Choice(ShutdownOptions::NAMES), [MODIFIABLE MULTI_ARG];

    /// How SIGTERM shuts the server down.
    ShutdownOnSigterm shutdown_on_sigterm: ShutdownOptions = ShutdownOptions::DEFAULT,
        "shutdown-on-sigterm", Kind::Choice(ShutdownOptions::NAMES), [MODIFIABLE MULTI_ARG];

    /// Seconds a shutdown waits for replicas to catch up.
    ShutdownTimeout shutdown_timeout: i32 = 10,
        "shutdown-timeout", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Microseconds from which a command is logged as slow; -1 turns it off.
    SlowlogLogSlowerThan slowlog_log_slower_than: i64 = 10000,
        "slowlog-log-slower-than", number(C::LongLong, -1, i64::MAX as i128), [MODIFIABLE];

    /// Entries kept by SLOWLOG.
    SlowlogMaxLen slowlog_max_len: u64 = 128,
        "slowlog-max-len", number(C::ULong, 0, i64::MAX as i128), [MODIFIABLE];

    /// Mark set on listening sockets; 0 means none.
    SocketMarkId socket_mark_id: u32 = 0,
        "socket-mark-id", number(C::UInt, 0, u32::MAX as i128), [IMMUTABLE];

    /// Whether writes are refused after a failed snapshot.
    StopWritesOnBgsaveError stop_writes_on_bgsave_error: bool = true,
        "stop-writes-on-bgsave-error", Kind::Bool, [MODIFIABLE];

    /// Largest node of a stream; 0 means no limit.
    StreamNodeMaxBytes stream_node_max_bytes: u64 = 4096,
        "stream-node-max-bytes", memory(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Most entries in a node of a stream; 0 means no limit.
    StreamNodeMaxEntries stream_node_max_entries: i64 = 100,
        "stream-node-max-entries", number(C::LongLong, 0, i64::MAX as i128), [MODIFIABLE];

    /// How the server tells a supervisor that it is ready.
    Supervised supervised: Supervised = Supervised::No,
        "supervised", Kind::Choice(Supervised::NAMES), [IMMUTABLE];

    /// Whether to log to syslog too.
    SyslogEnabled syslog_enabled: bool = false,
        "syslog-enabled", Kind::Bool, [IMMUTABLE];

    /// Syslog facility.
    SyslogFacility syslog_facility: SyslogFacility = SyslogFacility::Local0,
        "syslog-facility", Kind::Choice(SyslogFacility::NAMES), [IMMUTABLE];

    /// Name used in syslog.
    SyslogIdent syslog_ident: Text = Text::fixed("valkey"),
        "syslog-ident", Kind::Text(Empty::Value), [IMMUTABLE];

    /// Length of the kernel's queue of new connections.
    TcpBacklog tcp_backlog: i32 = 511,
        "tcp-backlog", number(C::Int, 0, i32::MAX as i128), [IMMUTABLE];

    /// Seconds between TCP keepalive probes; 0 turns them off.
    TcpKeepalive tcp_keepalive: i32 = 300,
        "tcp-keepalive", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Seconds after which an idle client is closed; 0 means never.
    Timeout timeout: i32 = 0,
        "timeout", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Whether clients must show a certificate.
    TlsAuthClients tls_auth_clients: TlsAuthClients = TlsAuthClients::Yes,
        "tls-auth-clients", Kind::Choice(TlsAuthClients::NAMES), [MODIFIABLE];

    /// Directory of trusted CA certificates.
    TlsCaCertDir tls_ca_cert_dir: Text = Text::default(),
        "tls-ca-cert-dir", Kind::Text(Empty::Unset), [VOLATILE MODIFIABLE];

    /// File of trusted CA certificates.
    TlsCaCertFile tls_ca_cert_file: Text = Text::default(),
        "tls-ca-cert-file", Kind::Text(Empty::Unset), [VOLATILE MODIFIABLE];

    /// Certificate of the server.
    TlsCertFile tls_cert_file: Text = Text::default(),
        "tls-cert-file", Kind::Text(Empty::Unset), [VOLATILE MODIFIABLE];

    /// Cipher list up to TLS 1.2.
    TlsCiphers tls_ciphers: Text = Text::default(),
        "tls-ciphers", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// Cipher suites of TLS 1.3.
    TlsCiphersuites tls_ciphersuites: Text = Text::default(),
        "tls-ciphersuites", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// Certificate used for outgoing connections.
    TlsClientCertFile tls_client_cert_file: Text = Text::default(),
        "tls-client-cert-file", Kind::Text(Empty::Unset), [VOLATILE MODIFIABLE];

    /// Private key used for outgoing connections.
    TlsClientKeyFile tls_client_key_file: Text = Text::default(),
        "tls-client-key-file", Kind::Text(Empty::Unset), [VOLATILE MODIFIABLE];

    /// Passphrase of the client key.
    TlsClientKeyFilePass tls_client_key_file_pass: Text = Text::default(),
        "tls-client-key-file-pass", Kind::Text(Empty::Unset), [MODIFIABLE SENSITIVE];

    /// Whether the cluster bus uses TLS.
    TlsCluster tls_cluster: bool = false,
        "tls-cluster", Kind::Bool, [MODIFIABLE];

    /// Diffie-Hellman parameters.
    TlsDhParamsFile tls_dh_params_file: Text = Text::default(),
        "tls-dh-params-file", Kind::Text(Empty::Unset), [VOLATILE MODIFIABLE];

    /// Private key of the server.
    TlsKeyFile tls_key_file: Text = Text::default(),
        "tls-key-file", Kind::Text(Empty::Unset), [VOLATILE MODIFIABLE];

    /// Passphrase of the server key.
    TlsKeyFilePass tls_key_file_pass: Text = Text::default(),
        "tls-key-file-pass", Kind::Text(Empty::Unset), [MODIFIABLE SENSITIVE];

    /// TLS port; 0 means none.
    TlsPort tls_port: i32 = 0,
        "tls-port", number(C::Int, 0, 65535), [MODIFIABLE];

    /// Whether the server's cipher order wins.
    TlsPreferServerCiphers tls_prefer_server_ciphers: bool = false,
        "tls-prefer-server-ciphers", Kind::Bool, [MODIFIABLE];

    /// TLS versions to accept.
    TlsProtocols tls_protocols: Text = Text::default(),
        "tls-protocols", Kind::Text(Empty::Unset), [MODIFIABLE];

    /// Whether replication links use TLS.
    TlsReplication tls_replication: bool = false,
        "tls-replication", Kind::Bool, [MODIFIABLE];

    /// TLS sessions remembered.
    TlsSessionCacheSize tls_session_cache_size: i32 = 20480,
        "tls-session-cache-size", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Seconds a TLS session is remembered.
    TlsSessionCacheTimeout tls_session_cache_timeout: i32 = 300,
        "tls-session-cache-timeout", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE];

    /// Whether TLS sessions are remembered.
    TlsSessionCaching tls_session_caching: bool = true,
        "tls-session-caching", Kind::Bool, [MODIFIABLE];

    /// Whether certificates are refused that only OpenSSL takes, such as those of X.509 version 1. Not in the reference.
    TlsStrictCertificates tls_strict_certificates: bool = false,
        "tls-strict-certificates", Kind::Bool, [MODIFIABLE];

    /// Most keys remembered for client-side caching; 0 means no limit.
    TrackingTableMaxKeys tracking_table_max_keys: u64 = 1_000_000,
        "tracking-table-max-keys", number(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Path of the unix socket; empty means none.
    Unixsocket unixsocket: Text = Text::default(),
        "unixsocket", Kind::Text(Empty::Unset), [IMMUTABLE];

    /// Group of the unix socket.
    Unixsocketgroup unixsocketgroup: Text = Text::default(),
        "unixsocketgroup", Kind::Text(Empty::Unset), [IMMUTABLE];

    /// Permissions of the unix socket, in octal; 0 leaves them as they are.
    Unixsocketperm unixsocketperm: u32 = 0,
        "unixsocketperm", octal(C::UInt, 0, 0o777), [IMMUTABLE];

    /// Whether a panic exits instead of aborting (for tests).
    UseExitOnPanic use_exit_on_panic: bool = false,
        "use-exit-on-panic", Kind::Bool, [MODIFIABLE HIDDEN];

    /// Milliseconds of the software watchdog (for tests); 0 turns it off.
    WatchdogPeriod watchdog_period: i32 = 0,
        "watchdog-period", number(C::Int, 0, i32::MAX as i128), [MODIFIABLE HIDDEN];

    /// Most members of a sorted set kept as a listpack.
    ZsetMaxListpackEntries zset_max_listpack_entries: u64 = 128,
        "zset-max-listpack-entries" | "zset-max-ziplist-entries", number(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];

    /// Longest member of a sorted set kept as a listpack.
    ZsetMaxListpackValue zset_max_listpack_value: u64 = 64,
        "zset-max-listpack-value" | "zset-max-ziplist-value", memory(C::SizeT, 0, i64::MAX as i128), [MODIFIABLE];
}

impl Param {
    /// Its row in [`TABLE`].
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Its name, as in files.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The parameter with this name or alias, in either case.
    pub fn find(name: &[u8]) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.is_called(name))
            .map(|row| row.param)
    }
}

impl Row {
    /// Whether `name` is its name or alias, in either case.
    pub fn is_called(&self, name: &[u8]) -> bool {
        let same = |own: &str| own.as_bytes().eq_ignore_ascii_case(name);
        same(self.name) || self.alias.is_some_and(same)
    }
}
