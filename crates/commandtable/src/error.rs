//! Every error text a client can see, once.
//!
//! Handlers name a variant; the dispatcher writes it as one `-` line. Texts are those of Valkey 8.0.1.

use std::borrow::Cow;
use std::fmt;

/// Why a request was refused. A command that returns one has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A fixed text.
    Fixed(&'static str),
    /// A text with something of the request in it.
    Built(String),
    /// As [`Self::Built`], with bytes of the request that may be no text.
    Raw(Vec<u8>),
}

/// The result of a handler: the reply has been written, or nothing has happened.
pub type Outcome = Result<(), Error>;

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Error { $($(#[$doc])* pub const $name: Error = Error::Fixed($text);)* }
    };
}

fixed! {
    /// The key holds another type.
    WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value";
    /// The options do not fit the command's grammar.
    SYNTAX = "ERR syntax error";
    /// An integer argument is none, or does not fit 64 bits.
    NOT_AN_INTEGER = "ERR value is not an integer or out of range";
    /// A float argument is none.
    NOT_A_FLOAT = "ERR value is not a valid float";
    /// A count that must not be negative.
    OUT_OF_RANGE_POSITIVE = "ERR value is out of range, must be positive";
    /// An integer outside what the command takes.
    OUT_OF_RANGE = "ERR value is out of range";
    /// INCR and friends past 64 bits.
    OVERFLOW = "ERR increment or decrement would overflow";
    /// DECRBY with the one value that cannot be negated.
    DECR_OVERFLOW = "ERR decrement would overflow";
    /// INCRBYFLOAT to NaN or infinity.
    INCR_NAN_OR_INFINITY = "ERR increment would produce NaN or Infinity";
    /// The string would grow past `proto-max-bulk-len`.
    STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    /// SETRANGE and friends with a negative offset.
    OFFSET_OUT_OF_RANGE = "ERR offset is out of range";
    /// The key must exist.
    NO_SUCH_KEY = "ERR no such key";
    /// LSET beyond the ends.
    INDEX_OUT_OF_RANGE = "ERR index out of range";
    // Lists and sets.
    /// LPOS from the match before the first.
    LPOS_RANK_ZERO = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list";
    /// The one integer that cannot be negated.
    OUT_OF_RANGE_NEGATABLE = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
    /// LPOS with fewer than no results.
    COUNT_NEGATIVE = "ERR COUNT can't be negative";
    /// LPOS with fewer than no comparisons.
    LPOS_MAXLEN_NEGATIVE = "ERR MAXLEN can't be negative";
    /// A number of keys that is none.
    NUMKEYS_NOT_POSITIVE = "ERR numkeys should be greater than 0";
    /// A count that is none.
    COUNT_NOT_POSITIVE = "ERR count should be greater than 0";
    /// SINTERCARD with more keys promised than sent.
    NUMKEYS_TOO_LARGE = "ERR Number of keys can't be greater than number of args";
    /// SINTERCARD stopping before the start.
    LIMIT_NEGATIVE = "ERR LIMIT can't be negative";
    /// A number beyond 32 bits.
    OUT_OF_I32 = "ERR value is out of range, value must between -2147483648 and 2147483647";
    /// A database index that is none or too large.
    DB_OUT_OF_RANGE = "ERR DB index is out of range";
    /// SELECT with something that is no number.
    INVALID_DB = "ERR invalid DB index";
    /// A cursor that is no number.
    INVALID_CURSOR = "ERR invalid cursor";
    /// Blocking with a timeout that is no number.
    TIMEOUT_NOT_A_FLOAT = "ERR timeout is not a float or out of range";
    /// Blocking with a timeout that is no integer.
    TIMEOUT_NOT_AN_INTEGER = "ERR timeout is not an integer or out of range";
    /// Blocking for a negative time.
    TIMEOUT_NEGATIVE = "ERR timeout is negative";
    /// Blocking for longer than the clock can tell.
    TIMEOUT_OUT_OF_RANGE = "ERR timeout is out of range";
    /// Two keys that must differ.
    SAME_OBJECT = "ERR source and destination objects are the same";
    /// ZADD and friends would make a score that is no number.
    SCORE_NAN = "ERR resulting score is not a number (NaN)";
    /// A range bound that is no float.
    MIN_OR_MAX_NOT_A_FLOAT = "ERR min or max is not a float";
    /// A lexicographical bound without its `[` or `(`.
    MIN_OR_MAX_NOT_A_STRING_RANGE = "ERR min or max not valid string range item";
    /// HINCRBY on a field that holds no integer.
    HASH_VALUE_NOT_AN_INTEGER = "ERR hash value is not an integer";
    /// HINCRBYFLOAT on a field that holds no float.
    HASH_VALUE_NOT_A_FLOAT = "ERR hash value is not a float";
    /// HSET and friends with an odd number of words.
    MSET_ARITY = "ERR wrong number of arguments for 'mset' command";
    /// COMMAND GETKEYS of a command nobody knows.
    GETKEYS_COMMAND = "ERR Invalid command specified";
    /// COMMAND GETKEYS of a command that takes no keys.
    GETKEYS_NO_KEYS = "ERR The command has no key arguments";
    /// COMMAND GETKEYS with too few or too many arguments.
    GETKEYS_ARITY = "ERR Invalid number of arguments specified for command";
    /// COMMAND GETKEYS with arguments among which no keys can be told.
    GETKEYS_ARGUMENTS = "ERR Invalid arguments specified for command";
    /// No reply without a login.
    NO_AUTH = "NOAUTH Authentication required.";
    /// The name or the password is wrong.
    WRONG_PASS = "WRONGPASS invalid username-password pair or user is disabled.";
    /// AUTH with one argument while no password is set.
    AUTH_WITHOUT_PASSWORD = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?";
    /// HELLO with a version other than 2 and 3.
    NO_PROTO = "NOPROTO unsupported protocol version";
    /// HELLO with something else than a number.
    HELLO_NOT_AN_INTEGER = "ERR Protocol version is not an integer or out of range";
    /// HELLO before a login.
    HELLO_NO_AUTH = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
    /// A name with bytes that would break CLIENT LIST.
    CLIENT_NAME = "ERR Client names cannot contain spaces, newlines or special characters.";
    /// EXEC alone.
    EXEC_WITHOUT_MULTI = "ERR EXEC without MULTI";
    /// DISCARD alone.
    DISCARD_WITHOUT_MULTI = "ERR DISCARD without MULTI";
    /// A queued command was refused before.
    EXEC_ABORT = "EXECABORT Transaction discarded because of previous errors.";
    /// A command that cannot be queued.
    NOT_IN_MULTI = "ERR Command not allowed inside a transaction";
    /// A replica refuses writes.
    READ_ONLY = "READONLY You can't write against a read only replica.";
    /// The dataset is being loaded.
    LOADING = "LOADING Valkey is loading the dataset in memory";
    /// A replica without its primary refuses stale reads.
    PRIMARY_DOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    /// The last save failed.
    MISCONF = "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Valkey logs for details about the RDB error.";
    /// Over `maxmemory` and nothing can be evicted.
    OOM = "OOM command not allowed when used memory > 'maxmemory'.";
    /// Too few replicas follow.
    NO_REPLICAS = "NOREPLICAS Not enough good replicas to write.";
    /// A replica's connection asked for data.
    REPLICA_KEYSPACE = "ERR Replica can't interact with the keyspace";
    /// A snapshot is being written.
    BGSAVE_IN_PROGRESS = "ERR Background save already in progress";
    /// A rewrite of the append-only file is at work.
    REWRITE_IN_PROGRESS = "ERR Background append only file rewriting already in progress";
    /// A rewrite cannot begin: the log tells why.
    REWRITE_FAILED = "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.";
    /// CONFIG SET appendonly yes: the log tells why.
    APPEND_ONLY_FAILED = "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.";
    /// Another child is at work.
    CHILD_IN_PROGRESS = "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.";
    /// MODULE without permission.
    MODULE_DISABLED = "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.";
    /// MODULE LOAD and LOADEX: the log tells why.
    MODULE_NOT_LOADED = "ERR Error loading the extension. Please check the server logs.";
    /// MODULE UNLOAD of what is not loaded.
    NO_SUCH_MODULE = "ERR Error unloading module: no such module with that name";
    /// SCRIPT KILL and FUNCTION KILL without anything to kill.
    NO_SCRIPT_RUNS = "NOTBUSY No scripts in execution right now.";
    /// SCRIPT SHOW of a script that is not there.
    NO_SUCH_SCRIPT = "NOSCRIPT No matching script.";
    /// SCRIPT FLUSH with another word than these.
    SCRIPT_FLUSH_MODE = "ERR SCRIPT FLUSH only support SYNC|ASYNC option";
    /// FUNCTION FLUSH with another word than these.
    FUNCTION_FLUSH_MODE = "ERR FUNCTION FLUSH only supports SYNC|ASYNC option";
    /// FUNCTION LIST LIBRARYNAME without a pattern.
    NO_LIBRARY_NAME = "ERR library name argument was not given";
    /// DEBUG without permission.
    DEBUG_DISABLED = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.";
    /// OBJECT FREQ without an LFU policy.
    NO_LFU = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";
    /// OBJECT IDLETIME with an LFU policy.
    NO_LRU = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";
    /// WAIT on a replica.
    WAIT_ON_REPLICA = "ERR WAIT cannot be used with replica instances. Please also note that if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.";
    /// WAITAOF on a replica.
    WAITAOF_ON_REPLICA = "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.";
    /// WAITAOF for a local sync without an AOF.
    WAITAOF_NO_AOF = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
    /// A number that must be 0 or 1.
    NOT_ZERO_OR_ONE = "ERR value is out of range, value must between 0 and 1";
    /// A command of cluster mode.
    CLUSTER_DISABLED = "ERR This instance has cluster support disabled";
    // REPLICAOF
    /// REPLICAOF in the middle of a failover.
    REPLICAOF_FAILING_OVER = "ERR REPLICAOF not allowed while failing over.";
    /// REPLICAOF on a replica's connection.
    NOT_FOR_REPLICAS = "ERR Command is not valid when client is a replica.";
    /// REPLICAOF with a port that is none.
    INVALID_PRIMARY_PORT = "ERR Invalid master port";
    // Keys, expiry, scans.
    /// EXPIRE with options that exclude each other.
    EXPIRE_NX_AND_OTHERS = "ERR NX and XX, GT or LT options at the same time are not compatible";
    /// EXPIRE with GT and LT.
    EXPIRE_GT_AND_LT = "ERR GT and LT options at the same time are not compatible";
    /// NOVALUES elsewhere.
    SCAN_NO_VALUES = "ERR NOVALUES option can only be used in HSCAN";
    /// NOSCORES elsewhere.
    SCAN_NO_SCORES = "ERR NOSCORES option can only be used in ZSCAN";
    /// SWAPDB's first argument is no number.
    INVALID_FIRST_DB = "ERR invalid first DB index";
    /// SWAPDB's second argument is no number.
    INVALID_SECOND_DB = "ERR invalid second DB index";
    /// SAVE could not write the file. The log says why.
    SAVE_FAILED = "ERR";
    /// SHUTDOWN ABORT while nothing is shutting down.
    NO_SHUTDOWN = "ERR No shutdown in progress.";
    /// The server could not be shut down, or somebody called it off.
    SHUTDOWN_FAILED = "ERR Errors trying to SHUTDOWN. Check logs.";
    // REPLICAOF
    /// The client was unblocked by another one.
    UNBLOCKED = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
    /// The node changed its role while the client waited.
    UNBLOCKED_ROLE = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
    // Administration.
    /// CONFIG REWRITE of a server that was started without a file.
    NO_CONFIG_FILE = "ERR The server is running without a config file";
    /// CLIENT KILL of an address nobody has.
    NO_SUCH_CLIENT = "ERR No such client";
    /// CLIENT KILL ID with something that is no number of a client.
    CLIENT_ID = "ERR client-id should be greater than 0";
    /// CLIENT LIST ID with something that is no number of a client.
    INVALID_CLIENT_ID = "ERR Invalid client ID";
    /// CLIENT KILL MAXAGE with something that is no number.
    MAXAGE_NOT_AN_INTEGER = "ERR maxage is not an integer or out of range";
    /// CLIENT KILL MAXAGE of nothing.
    MAXAGE = "ERR maxage should be greater than 0";
    /// CLIENT PAUSE with an unknown mode.
    PAUSE_MODE = "ERR CLIENT PAUSE mode must be WRITE or ALL";
    /// CLIENT UNBLOCK with an unknown reason.
    UNBLOCK_REASON = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
    /// CLIENT CACHING without CLIENT TRACKING.
    CACHING = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";
    /// CLIENT CACHING YES of a client that is remembered anyway.
    CACHING_YES = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
    /// CLIENT CACHING NO of a client that is not remembered anyway.
    CACHING_NO = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
    /// CLIENT TRACKING with REDIRECT twice.
    TRACKING_ONE_REDIRECT = "ERR A client can only redirect to a single other client";
    /// CLIENT TRACKING REDIRECT to nobody.
    TRACKING_NO_SUCH_CLIENT = "ERR The client ID you want redirect to does not exist";
    /// CLIENT TRACKING PREFIX without BCAST.
    TRACKING_PREFIX_MODE = "ERR PREFIX option requires BCAST mode to be enabled";
    /// CLIENT TRACKING with another mode than the one that is on.
    TRACKING_BROADCAST_SWITCH = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.";
    /// CLIENT TRACKING BCAST with OPTIN or OPTOUT.
    TRACKING_BROADCAST_CHOICE = "ERR OPTIN and OPTOUT are not compatible with BCAST";
    /// CLIENT TRACKING OPTIN OPTOUT.
    TRACKING_BOTH_CHOICES = "ERR You can't specify both OPTIN mode and OPTOUT mode";
    /// CLIENT TRACKING with OPTIN where OPTOUT is on, or the other way round.
    TRACKING_CHOICE_SWITCH = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.";
    /// ACL GENPASS of too many bits, or none.
    GENPASS_BITS = "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096";
    /// ACL SAVE and ACL LOAD without `aclfile`.
    NO_ACL_FILE = "ERR This instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order to store users in the configuration.";
    /// ACL SAVE that could not.
    ACL_SAVE_FAILED = "ERR There was an error trying to save the ACLs. Please check the server logs for more information";
    /// SLOWLOG GET of less than all.
    SLOWLOG_COUNT = "ERR count should be greater than or equal to -1";
    /// MONITOR where nothing may block.
    MONITOR_DENIED = "ERR MONITOR isn't allowed for DENY BLOCKING client";
    /// Too many connections.
    MAX_CLIENTS = "ERR max number of clients reached";
    /// Connections from elsewhere without a password.
    PROTECTED = "DENIED Running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers, you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting from the same host the server is running, however MAKE SURE it's not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.";

    // ---- DEBUG ----

    /// DEBUG LOADAOF without one.
    DEBUG_LOADAOF = "ERR Error trying to load the AOF files, check server logs.";
    /// DEBUG RELOAD with an option there is not.
    DEBUG_RELOAD_OPTION = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.";
    /// DEBUG RELOAD could not save.
    DEBUG_RELOAD_SAVE = "ERR";
    /// DEBUG RELOAD could not load.
    DEBUG_RELOAD_LOAD = "ERR Error trying to load the RDB dump, check server logs.";
    /// DEBUG SDSLEN of something else.
    DEBUG_NOT_SDS = "ERR Not an sds encoded string.";
    /// DEBUG LISTPACK of something else.
    DEBUG_NOT_LISTPACK = "ERR Not a listpack encoded object.";
    /// DEBUG QUICKLIST of something else.
    DEBUG_NOT_QUICKLIST = "ERR Not a quicklist encoded object.";
    /// DEBUG HTSTATS-KEY of something else.
    DEBUG_NOT_A_TABLE = "ERR The value stored at the specified key is not represented using an hash table";
    /// DEBUG HTSTATS of a database there is not.
    DEBUG_NO_DATABASE = "ERR Out of range database";
    /// DEBUG QUICKLIST-PACKED-THRESHOLD.
    DEBUG_PACKED_THRESHOLD = "ERR argument must be a memory value bigger than 1 and smaller than 4gb";
    /// DEBUG PROTOCOL with a type there is not.
    DEBUG_PROTOCOL = "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false";
    /// DEBUG PROTOCOL PUSH of a RESP2 client.
    DEBUG_RESP3_ONLY = "ERR RESP2 is not supported by this command";
    /// DEBUG RESTART came back.
    DEBUG_RESTART = "ERR failed to restart the server. Check server logs.";
    /// DEBUG CLUSTERLINK without a cluster.
    DEBUG_CLUSTER_ONLY = "ERR Debug option only available for cluster mode enabled setup!";
    /// DEBUG CLIENT-EVICTION without a limit.
    DEBUG_CLIENT_EVICTION = "ERR maxmemory-clients is disabled.";
    /// DEBUG CONFIG-REWRITE-FORCE-ALL without a file.
    DEBUG_REWRITE = "ERR CONFIG-REWRITE-FORCE-ALL failed: Bad address";
}

// Hashes and sorted sets.
fixed! {
    /// HINCRBYFLOAT by an infinity.
    NAN_OR_INFINITY = "ERR value is NaN or Infinity";
    /// HRANDFIELD and ZRANDMEMBER with the one count that cannot be negated.
    COUNT_TOO_LOW = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
    /// ZADD NX XX.
    ZADD_NX_XX = "ERR XX and NX options at the same time are not compatible";
    /// ZADD with two of GT, LT and NX.
    ZADD_GT_LT_NX = "ERR GT, LT, and/or NX options at the same time are not compatible";
    /// ZADD INCR with several members.
    ZADD_INCR_PAIR = "ERR INCR option supports a single increment-element pair";
    /// ZRANGE by rank with LIMIT.
    ZRANGE_LIMIT = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
    /// ZRANGE BYLEX WITHSCORES.
    ZRANGE_LEX_SCORES = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    /// ZUNION and friends with a weight that is no number.
    WEIGHT_NOT_A_FLOAT = "ERR weight value is not a float";
}

// Streams.
fixed! {
    /// An id that is none.
    STREAM_ID = "ERR Invalid stream ID specified as stream command argument";
    /// A range from behind the last id.
    STREAM_START = "ERR invalid start ID for the interval";
    /// A range to before the first id.
    STREAM_END = "ERR invalid end ID for the interval";
    /// XADD with the id that no entry can have.
    XADD_ZERO = "ERR The ID specified in XADD must be greater than 0-0";
    /// XADD with an id that is not above the last one.
    XADD_SMALLER = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    /// XADD to a stream that has had the last id there is.
    XADD_EXHAUSTED = "ERR The stream has exhausted the last possible ID, unable to add more items";
    /// XADD of more than a node can hold.
    XADD_TOO_LARGE = "ERR Elements are too large to be stored";
    /// XADD and XTRIM with two ways to trim.
    TRIM_TWICE = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
    /// XADD with a limit of nothing.
    TRIM_LIMIT_ALONE = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
    /// XADD and XTRIM with a limit of exact trimming.
    TRIM_LIMIT_EXACT = "ERR syntax error, LIMIT cannot be used without the special ~ option";
    /// XTRIM with nothing but a limit of 0.
    TRIM_MISSING = "ERR syntax error, XTRIM must be called with a trimming strategy";
    /// XADD and XTRIM with a negative length.
    TRIM_MAXLEN = "ERR The MAXLEN argument must be >= 0.";
    /// XADD and XTRIM with a negative limit.
    TRIM_LIMIT = "ERR The LIMIT argument must be >= 0.";
    /// XSETID with a negative number of entries.
    XSETID_ADDED = "ERR entries_added must be positive";
    /// XSETID below the largest id that it says was deleted.
    XSETID_BELOW_GIVEN = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
    /// XSETID below the largest id that was deleted.
    XSETID_BELOW_DELETED = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
    /// XSETID below the last entry.
    XSETID_BELOW_LAST = "ERR The ID specified in XSETID is smaller than the target stream top item";
    /// XSETID to fewer entries added than there are.
    XSETID_TOO_FEW = "ERR The entries_added specified in XSETID is smaller than the target stream length";
    /// XGROUP CREATE of a group there is.
    BUSY_GROUP = "BUSYGROUP Consumer Group name already exists";
    /// XGROUP on a key there is not.
    XGROUP_NO_KEY = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.";
    /// XGROUP with a number of entries read that cannot be.
    ENTRIES_READ = "ERR value for ENTRIESREAD must be positive or -1";
    /// XREADGROUP without a group.
    XREADGROUP_NO_GROUP = "ERR Missing GROUP option for XREADGROUP";
    /// XREADGROUP of what is to come.
    XREADGROUP_DOLLAR = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.";
    /// XREADGROUP of the last entry.
    XREADGROUP_PLUS = "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.";
    /// XREAD of what a group has not read.
    XREAD_GREATER = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.";
    /// XREAD of the last entry of a stream that never had one.
    XREAD_PLUS = "ERR the stream last element ID is 0-0";
    /// XREAD with a group.
    XREAD_GROUP = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
    /// XREAD with an option of XREADGROUP.
    XREAD_NOACK = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.";
    /// XCLAIM of entries idle for a time that is none.
    XCLAIM_MIN_IDLE = "ERR Invalid min-idle-time argument for XCLAIM";
    /// XCLAIM with an idle time that is none.
    XCLAIM_IDLE = "ERR Invalid IDLE option argument for XCLAIM";
    /// XCLAIM with a time that is none.
    XCLAIM_TIME = "ERR Invalid TIME option argument for XCLAIM";
    /// XCLAIM with a count that is none.
    XCLAIM_RETRYCOUNT = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
    /// XAUTOCLAIM of entries idle for a time that is none.
    XAUTOCLAIM_MIN_IDLE = "ERR Invalid min-idle-time argument for XAUTOCLAIM";
    /// XAUTOCLAIM of no entries, or of more than an array can hold.
    XAUTOCLAIM_COUNT = "ERR COUNT must be > 0";
    // DUMP, RESTORE and SORT.
    /// RESTORE of a key there is.
    BUSY_KEY = "BUSYKEY Target key name already exists.";
    /// RESTORE for a negative time.
    RESTORE_TTL = "ERR Invalid TTL value, must be >= 0";
    /// RESTORE of a key that was used in the future.
    RESTORE_IDLETIME = "ERR Invalid IDLETIME value, must be >= 0";
    /// RESTORE with a counter of more than eight bits.
    RESTORE_FREQ = "ERR Invalid FREQ value, must be >= 0 and <= 255";
    /// RESTORE of bytes that DUMP has not made, or a newer version has.
    PAYLOAD_FRAME = "ERR DUMP payload version or checksum are wrong";
    /// RESTORE of what is no value.
    PAYLOAD_DATA = "ERR Bad data format";
    /// SORT of something that is no number.
    SORT_WEIGHT = "ERR One or more scores can't be converted into double";
}

// Bitmaps and LCS.
fixed! {
    /// A bit's place that is no number, or beyond `proto-max-bulk-len`.
    BIT_OFFSET = "ERR bit offset is not an integer or out of range";
    /// SETBIT to something else than 0 and 1.
    BIT_VALUE = "ERR bit is not an integer or out of range";
    /// BITPOS of something else than 0 and 1.
    BITPOS_BIT = "ERR The bit argument must be 1 or 0.";
    /// BITOP NOT of several keys.
    BITOP_NOT = "ERR BITOP NOT must be called with a single source key.";
    /// BITFIELD with a type that is none.
    BITFIELD_TYPE = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
    /// BITFIELD OVERFLOW with a word nobody knows.
    BITFIELD_OVERFLOW = "ERR Invalid OVERFLOW type specified";
    /// BITFIELD_RO that would write.
    BITFIELD_RO = "ERR BITFIELD_RO only supports the GET subcommand";
    /// LCS of what is no string.
    LCS_TYPE = "ERR The specified keys must contain string values";
    /// LCS with both LEN and IDX.
    LCS_LEN_IDX = "ERR If you want both the length and indexes, please just use IDX.";
    /// LCS of a string whose positions do not fit 32 bits.
    LCS_TOO_LONG = "ERR String too long for LCS";
    /// LCS whose table would be larger than a string may be.
    LCS_MEMORY = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
}

// Places.
fixed! {
    /// A unit of length nobody knows.
    GEO_UNIT = "ERR unsupported unit provided. please use M, KM, FT, MI";
    /// A radius that is no number.
    GEO_RADIUS_NOT_A_FLOAT = "ERR need numeric radius";
    /// A circle of less than nothing.
    GEO_RADIUS_NEGATIVE = "ERR radius cannot be negative";
    /// A width that is no number.
    GEO_WIDTH_NOT_A_FLOAT = "ERR need numeric width";
    /// A height that is no number.
    GEO_HEIGHT_NOT_A_FLOAT = "ERR need numeric height";
    /// A box of less than nothing.
    GEO_BOX_NEGATIVE = "ERR height or width cannot be negative";
    /// A search around a member there is not.
    GEO_NO_MEMBER = "ERR could not decode requested zset member";
    /// A search for no results.
    GEO_COUNT = "ERR COUNT must be > 0";
    /// ANY of how many.
    GEO_ANY_WITHOUT_COUNT = "ERR the ANY argument requires COUNT argument";
    /// GEORADIUS that stores and replies.
    GEORADIUS_STORE_WITH = "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options";
    /// GEOSEARCHSTORE that replies.
    GEOSEARCHSTORE_WITH = "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options";
}

impl Error {
    /// XREAD and XREADGROUP with an odd number of keys and ids.
    #[cold]
    pub fn unbalanced(command: &str, new: char) -> Self {
        Error::Built(format!(
            "ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{new}' must be specified."
        ))
    }

    /// XGROUP and XINFO with a group nobody knows.
    #[cold]
    pub fn no_group(key: &[u8], group: &[u8]) -> Self {
        no_group(&[
            b"No such consumer group '",
            group,
            b"' for key name '",
            key,
            b"'",
        ])
    }

    /// XPENDING, XCLAIM and XAUTOCLAIM with a key or a group nobody knows.
    #[cold]
    pub fn no_key_or_group(key: &[u8], group: &[u8]) -> Self {
        no_group(&[b"No such key '", key, b"' or consumer group '", group, b"'"])
    }

    /// XREADGROUP with a key or a group nobody knows.
    #[cold]
    pub fn no_key_or_group_to_read(key: &[u8], group: &[u8]) -> Self {
        let after = b"' in XREADGROUP with GROUP option";
        no_group(&[
            b"No such key '",
            key,
            b"' or consumer group '",
            group,
            after,
        ])
    }

    /// XCLAIM with an option nobody knows.
    #[cold]
    pub fn xclaim_option(option: &[u8]) -> Self {
        quoting("ERR Unrecognized XCLAIM option '", option, "'")
    }

    /// A place that the map does not show.
    #[cold]
    pub fn not_on_the_map(longitude: f64, latitude: f64) -> Self {
        Error::Built(format!(
            "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        ))
    }

    /// GEOSEARCH without a middle or a shape; the command goes by the name it was called by.
    #[cold]
    pub fn geo_one_of(options: &str, command: &[u8]) -> Self {
        let before = format!("ERR exactly one of {options} can be specified for ");
        quoting(&before, command, "")
    }

    /// ZUNION and friends without keys.
    #[cold]
    pub fn no_input_keys(command: &str) -> Self {
        Error::Built(format!(
            "ERR at least 1 input key is needed for '{command}' command"
        ))
    }

    /// A command nobody knows, with the start of its arguments.
    #[cold]
    pub fn unknown_command(args: &[&[u8]]) -> Self {
        let mut text = b"ERR unknown command '".to_vec();
        text.extend_from_slice(start_of(args.first().copied().unwrap_or(b""), 128));
        text.extend_from_slice(b"', with args beginning with: ");
        let start = text.len();
        for arg in args.iter().skip(1) {
            if text.len() - start >= 128 {
                break;
            }
            let room = 128 - (text.len() - start);
            text.push(b'\'');
            text.extend_from_slice(start_of(arg, room));
            text.extend_from_slice(b"' ");
        }
        Error::Raw(text)
    }

    /// EXEC itself was refused, for this reason.
    #[cold]
    pub fn exec_refused(reason: &Error) -> Self {
        let text = reason.text();
        let reason = text.strip_prefix("ERR ").unwrap_or(&text);
        Error::Built(format!(
            "EXECABORT Transaction discarded because of: {reason}"
        ))
    }

    /// A replica sends a client that asked for it to its primary.
    #[cold]
    pub fn redirect(host: &str, port: u16) -> Self {
        Error::Built(format!("REDIRECT {host}:{port}"))
    }

    /// A subcommand nobody knows.
    #[cold]
    pub fn unknown_subcommand(args: &[&[u8]]) -> Self {
        about_subcommand("ERR unknown subcommand '", args)
    }

    /// The append-only file cannot be written, for this reason.
    #[cold]
    pub fn append_only(reason: &str) -> Self {
        Error::built(format!("MISCONF Errors writing to the AOF file: {reason}"))
    }

    /// As [`Self::append_only`], for a script that may write.
    #[cold]
    pub fn append_only_script(reason: &str) -> Self {
        Error::built(format!(
            "MISCONF Valkey is configured to persist data to AOF, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts. AOF error: {reason}"
        ))
    }

    /// As [`Self::unknown_subcommand`], or the number of arguments does not fit one that is known.
    #[cold]
    pub fn subcommand_syntax(args: &[&[u8]]) -> Self {
        about_subcommand(
            "ERR unknown subcommand or wrong number of arguments for '",
            args,
        )
    }

    /// Too few or too many arguments for a command, named as `container|sub` or plain.
    #[cold]
    pub fn arity(full_name: &str) -> Self {
        Error::Built(format!(
            "ERR wrong number of arguments for '{full_name}' command"
        ))
    }

    /// EXPIRE and friends with an option nobody knows.
    #[cold]
    pub fn unsupported_option(option: &[u8]) -> Self {
        quoting("ERR Unsupported option ", option, "")
    }

    /// SCAN with a TYPE nobody knows.
    #[cold]
    pub fn unknown_type(name: &[u8]) -> Self {
        quoting("ERR unknown type name '", name, "'")
    }

    /// An expiry time beyond what the clock can tell.
    #[cold]
    pub fn invalid_expire(command: &str) -> Self {
        Error::Built(format!("ERR invalid expire time in '{command}' command"))
    }

    /// UNSUBSCRIBE and its kin from a client without subscriptions.
    #[cold]
    pub fn not_subscribed(command: &str) -> Self {
        Error::Built(format!(
            "NOSUB '{command}' command executed not in subscribed mode"
        ))
    }

    /// CONFIG REWRITE has failed.
    #[cold]
    pub fn rewriting(reason: &str) -> Self {
        Error::Built(format!("ERR Rewriting config file: {reason}"))
    }

    /// ACL CAT of a category nobody knows.
    #[cold]
    pub fn unknown_category(name: &[u8]) -> Self {
        quoting("ERR Unknown category '", start_of(name, 128), "'")
    }

    /// FUNCTION LIST with a word that does not fit.
    #[cold]
    pub fn unknown_argument(word: &[u8]) -> Self {
        quoting("ERR Unknown argument ", start_of(word, 128), "")
    }

    /// A type of client nobody knows.
    #[cold]
    pub fn client_type(name: &[u8]) -> Self {
        quoting("ERR Unknown client type '", start_of(name, 128), "'")
    }

    /// ACL DRYRUN of a user nobody knows.
    #[cold]
    pub fn user_not_found(name: &[u8]) -> Self {
        quoting("ERR User '", start_of(name, 128), "' not found")
    }

    /// ACL DRYRUN of a command nobody knows.
    #[cold]
    pub fn command_not_found(name: &[u8]) -> Self {
        quoting("ERR Command '", start_of(name, 128), "' not found")
    }

    /// A user nobody knows.
    #[cold]
    pub fn no_such_user(name: &[u8]) -> Self {
        quoting("ERR No such user '", start_of(name, 128), "'")
    }

    /// CLIENT TRACKING with prefixes that overlap; `which` tells where the other one comes from.
    #[cold]
    pub fn prefix_overlap(prefix: &[u8], which: &str, other: &[u8]) -> Self {
        let mut text = quoting("ERR Prefix '", prefix, "' overlaps with ")
            .text()
            .into_owned();
        text.push_str(which);
        let end = "'. Prefixes for a single client must not overlap.";
        text.push_str(&quoting(" prefix '", other, end).text());
        Error::built(text)
    }

    /// CLIENT SETINFO of an attribute nobody knows.
    #[cold]
    pub fn client_info_option(name: &[u8]) -> Self {
        quoting("ERR Unrecognized option '", start_of(name, 128), "'")
    }

    /// CLIENT SETINFO with bytes that would break CLIENT LIST.
    #[cold]
    pub fn client_info_value(attribute: &str) -> Self {
        Error::Built(format!(
            "ERR {attribute} cannot contain spaces, newlines or special characters."
        ))
    }

    /// LATENCY GRAPH of an event that never came.
    #[cold]
    pub fn no_samples(event: &[u8]) -> Self {
        quoting(
            "ERR No samples available for event '",
            start_of(event, 128),
            "'",
        )
    }

    /// DEBUG MALLCTL: the allocator's reason.
    #[cold]
    pub fn allocator(why: &str) -> Self {
        Error::Built(format!("ERR {why}"))
    }

    /// A text of our own making, starting with its code.
    pub fn built(text: impl Into<String>) -> Self {
        Error::Built(text.into())
    }

    /// The whole text, without the leading `-`.
    #[must_use]
    pub fn text(&self) -> Cow<'static, str> {
        match self {
            Error::Fixed(text) => Cow::Borrowed(text),
            Error::Built(text) => Cow::Owned(text.clone()),
            Error::Raw(bytes) => Cow::Owned(String::from_utf8_lossy(bytes).into_owned()),
        }
    }

    /// The whole text as it goes on the wire, without the leading `-`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Error::Fixed(text) => text.as_bytes(),
            Error::Built(text) => text.as_bytes(),
            Error::Raw(bytes) => bytes,
        }
    }

    /// The first word: what errorstats count.
    #[must_use]
    pub fn code(&self) -> &str {
        let text = match self {
            Error::Fixed(text) => text,
            Error::Built(text) => text.as_str(),
            // Made here, and their first word is ours.
            Error::Raw(bytes) => {
                let code = bytes.split(|byte| *byte == b' ').next();
                std::str::from_utf8(code.unwrap_or_default()).unwrap_or("ERR")
            }
        };
        text.split(' ').next().unwrap_or("ERR")
    }
}

// HyperLogLogs.
fixed! {
    /// A string that is none.
    HLL_NOT_ONE = "WRONGTYPE Key is not a valid HyperLogLog string value.";
    /// Registers that are not as many as they must be.
    HLL_CORRUPT = "INVALIDOBJ Corrupted HLL object detected";
    /// PFDEBUG of a key there is not.
    PFDEBUG_NO_KEY = "ERR The specified key does not exist";
    /// PFDEBUG DECODE of a dense one.
    PFDEBUG_NOT_SPARSE = "ERR HLL encoding is not sparse";
    /// PFSELFTEST of estimates that are not what they should be.
    PFSELFTEST = "TESTFAILED Too big error";
}

impl Error {
    /// PFDEBUG with a subcommand there is not.
    #[cold]
    pub fn unknown_pfdebug(subcommand: &[u8]) -> Self {
        quoting("ERR Unknown PFDEBUG subcommand '", subcommand, "'")
    }
}

// Scripts.
fixed! {
    /// A script calls what is no command.
    UNKNOWN_IN_SCRIPT = "ERR Unknown command called from script";
    /// A script calls a command with too few or too many words.
    ARITY_IN_SCRIPT = "ERR Wrong number of args calling command from script";
    /// A script calls what only clients may.
    NOT_FROM_SCRIPT = "ERR This Redis command is not allowed from script";
    /// A script asks a replica that must not be asked.
    STALE_IN_SCRIPT = "ERR Can not execute the command on a stale replica";
    /// A script that may not write does.
    WRITE_IN_READ_ONLY = "ERR Write commands are not allowed from read-only scripts.";
    /// A script that may write, called by a command that may not.
    WRITES_IN_READ_ONLY = "ERR Can not execute a script with write flag using *_ro command.";
    /// The script itself asks a replica that must not be asked.
    STALE_SCRIPT = "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script.";
    /// A script that may write, on a replica.
    READ_ONLY_SCRIPT = "READONLY Can not run script with write flag on readonly replica";
    /// A script that may write, while nothing can be saved.
    MISCONF_SCRIPT = "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts.";
    /// A script that may need memory, while there is none.
    OOM_SCRIPT = "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'";
    /// EVAL with more keys than words.
    TOO_MANY_KEYS = "ERR Number of keys can't be greater than number of args";
    /// EVAL with fewer keys than none.
    NEGATIVE_KEYS = "ERR Number of keys can't be negative";
    /// FCALL of what no library has registered.
    NO_FUNCTION = "ERR Function not found";
    /// FCALL with a number of keys that is none.
    BAD_KEY_COUNT = "ERR Bad number of keys provided";
    /// SCRIPT DEBUG: there is no debugger here.
    NO_DEBUGGER = "ERR The script debugger is not supported";
    /// SCRIPT DEBUG with another word than these.
    SCRIPT_DEBUG_MODE = "ERR Use SCRIPT DEBUG YES/SYNC/NO";
    /// SCRIPT KILL and FUNCTION KILL of a script that has written.
    UNKILLABLE = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";
    /// KILL of a script that has come by the primary's stream.
    UNKILLABLE_PRIMARY = "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.";
    /// FUNCTION RESTORE with a policy that is none.
    RESTORE_POLICY = "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.";
    /// FUNCTION RESTORE of a payload that is damaged or too new.
    RESTORE_PAYLOAD = "ERR DUMP payload version or checksum are wrong";
    /// FUNCTION RESTORE of libraries as they were before their first release.
    RESTORE_OLD = "ERR Pre-GA function format not supported";
    /// FUNCTION RESTORE of what is something else.
    RESTORE_TYPE = "ERR given type is not a function";
    /// FUNCTION RESTORE of a library that ends too early.
    RESTORE_LIBRARY = "ERR Failed loading library payload";
}

impl Error {
    /// Anything else while a script runs for long: `kind` is SCRIPT or FUNCTION.
    #[cold]
    pub fn busy(server: &str, kind: &str) -> Self {
        Error::Built(format!(
            "BUSY {server} is busy running a script. You can only call {kind} KILL or SHUTDOWN NOSAVE."
        ))
    }

    /// FUNCTION LOAD with another option than REPLACE.
    #[cold]
    pub fn unknown_load_option(option: &[u8]) -> Self {
        quoting("ERR Unknown option given: ", option, "")
    }
}

// MIGRATE.
fixed! {
    /// KEYS beside a key.
    MIGRATE_KEYS = "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string";
    /// There is no connection to the target.
    MIGRATE_CONNECTING = "IOERR error or timeout connecting to the client";
    /// The target does not take what is sent to it.
    MIGRATE_WRITING = "IOERR error or timeout writing to target instance";
    /// The target does not answer.
    MIGRATE_READING = "IOERR error or timeout reading to target instance";
    /// A key is no longer what has been sent.
    MIGRATE_CHANGED = "ERR Some keys were changed while they were copied to the target instance, and have not been removed here";
}

impl Error {
    /// The target's error, which it may have made up of anything.
    #[cold]
    pub fn target_replied(error: &[u8]) -> Self {
        Error::Raw([b"ERR Target instance replied with error: ", error].concat())
    }
}

/// At most `max` bytes of something a client sent, up to a NUL: the reference's messages are C strings.
fn start_of(bytes: &[u8], max: usize) -> &[u8] {
    let bytes = bytes.get(..max).unwrap_or(bytes);
    let end = bytes.iter().position(|byte| *byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}

/// An error that quotes the subcommand, and offers the help of the command by the name it was called by.
#[cold]
fn about_subcommand(before: &str, args: &[&[u8]]) -> Error {
    let word = |at: usize| args.get(at).copied().unwrap_or_default();
    let command = String::from_utf8_lossy(word(0)).to_ascii_uppercase();
    let after = format!("'. Try {command} HELP.");
    quoting(before, start_of(word(1), 128), &after)
}

/// The first word of errors about groups.
const NO_GROUP: &[u8] = b"NOGROUP ";

/// An error about a group, of parts that are a client's bytes up to a NUL, or ours.
fn no_group(parts: &[&[u8]]) -> Error {
    let mut text = NO_GROUP.to_vec();
    for part in parts {
        text.extend_from_slice(start_of(part, part.len()));
    }
    Error::Raw(text)
}

/// An error with a client's bytes in it, up to a NUL.
fn quoting(before: &str, bytes: &[u8], after: &str) -> Error {
    let bytes = start_of(bytes, bytes.len());
    Error::Raw([before.as_bytes(), bytes, after.as_bytes()].concat())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn built_texts_are_those_of_the_reference() {
        assert_eq!(
            Error::unknown_command(&[b"foo", b"a", b"b"]).to_string(),
            "ERR unknown command 'foo', with args beginning with: 'a' 'b' "
        );
        assert_eq!(
            Error::unknown_command(&[b"foo"]).to_string(),
            "ERR unknown command 'foo', with args beginning with: "
        );
        assert_eq!(
            Error::unknown_subcommand(&[b"config", b"x"]).to_string(),
            "ERR unknown subcommand 'x'. Try CONFIG HELP."
        );
        assert_eq!(
            Error::arity("config|get").to_string(),
            "ERR wrong number of arguments for 'config|get' command"
        );
        assert_eq!(Error::WRONG_TYPE.code(), "WRONGTYPE");
    }
}
