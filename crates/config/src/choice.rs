//! Parameters that take one word, or a few, out of a list.

use super::problem::Problem;
use super::row::{Kind, Phase};
use super::setting::Setting;

/// Declares an enum whose variants are words in the configuration, in the order error messages list them.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal $(shown as $shown:literal)?,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// The words, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($word),+];
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for this value.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl Setting for $name {
            fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
                let &[word] = args else {
                    return Err(Problem::NotOneOf(Self::NAMES));
                };
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.name().as_bytes().eq_ignore_ascii_case(word))
                    .ok_or(Problem::NotOneOf(Self::NAMES))
            }

            fn print(&self, _kind: &Kind) -> Vec<u8> {
                match self {
                    $(Self::$variant => choice!(@shown $word $($shown)?).into(),)+
                }
            }
        }
    };
    (@shown $word:literal) => { $word };
    (@shown $word:literal $shown:literal) => { $shown };
}

choice! {
    /// Whether a replica refuses the data of a primary that has none.
    RefuseEmptyPrimary {
        /// Where the replica keeps its own data on disk.
        Auto = "auto",
        /// Always.
        Yes = "yes",
        /// Never.
        No = "no",
    }
}

choice! {
    /// How snapshots and streams are compressed between servers that both want it.
    ReplCompression {
        /// Not at all.
        No = "no",
        /// With LZ4.
        Lz4 = "lz4",
    }
}

choice! {
    /// Channel access of users that have no channel rule.
    AclPubsubDefault {
        /// All channels.
        Allchannels = "allchannels",
        /// None.
        Resetchannels = "resetchannels",
    }
}

choice! {
    /// When the append-only file is synced.
    AppendFsync {
        /// Once a second, in the background.
        Everysec = "everysec",
        /// Before the replies of the commands it holds are sent.
        Always = "always",
        /// When the kernel likes to.
        No = "no",
    }
}

choice! {
    /// What cluster redirections name.
    ClusterEndpointType {
        /// The IP address.
        Ip = "ip",
        /// The announced host name.
        Hostname = "hostname",
        /// Nothing: the client goes on using the host it knows.
        UnknownEndpoint = "unknown-endpoint",
    }
}

choice! {
    /// Least important messages that are logged.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// Much.
        Verbose = "verbose",
        /// What an operator wants to see.
        Notice = "notice",
        /// What is wrong.
        Warning = "warning",
        /// Nothing at all.
        Nothing = "nothing",
    }
}

choice! {
    /// Which keys are evicted.
    MaxmemoryPolicy {
        /// The least recently used of those with an expiry.
        VolatileLru = "volatile-lru",
        /// The least frequently used of those with an expiry.
        VolatileLfu = "volatile-lfu",
        /// Any of those with an expiry.
        VolatileRandom = "volatile-random",
        /// The one that expires first.
        VolatileTtl = "volatile-ttl",
        /// The least recently used.
        AllkeysLru = "allkeys-lru",
        /// The least frequently used.
        AllkeysLfu = "allkeys-lfu",
        /// Any.
        AllkeysRandom = "allkeys-random",
        /// None: writes are refused instead.
        Noeviction = "noeviction",
    }
}

choice! {
    /// Whether the kernel's out-of-memory score is set, and how the values are meant.
    OomScoreAdj {
        /// Not at all.
        No = "no",
        /// Like `relative`.
        Yes = "yes",
        /// Added to the score the process started with.
        Relative = "relative" shown as "yes",
        /// As they are.
        Absolute = "absolute",
    }
}

choice! {
    /// What to do when a command from the primary or the append-only file fails.
    PropagationErrorBehavior {
        /// Go on.
        Ignore = "ignore",
        /// Stop the server.
        Panic = "panic",
        /// Stop the server when it is a replica.
        PanicOnReplicas = "panic-on-replicas",
    }
}

choice! {
    /// Who may use something dangerous.
    ProtectedAction {
        /// Nobody.
        No = "no",
        /// Everybody.
        Yes = "yes",
        /// Connections over loopback or the unix socket.
        Local = "local",
    }
}

choice! {
    /// How a replica takes in a snapshot from a socket.
    ReplDisklessLoad {
        /// Through a file.
        Disabled = "disabled",
        /// Directly when it has no data.
        OnEmptyDb = "on-empty-db",
        /// Directly, beside the old data, which goes on being served.
        Swapdb = "swapdb",
    }
}

choice! {
    /// Whose payloads are checked in depth.
    SanitizeDumpPayload {
        /// Nobody's.
        No = "no",
        /// Everybody's.
        Yes = "yes",
        /// Those of clients that are neither the primary nor the file being loaded.
        Clients = "clients",
    }
}

choice! {
    /// The supervisor that is told about readiness.
    Supervised {
        /// Upstart.
        Upstart = "upstart",
        /// systemd.
        Systemd = "systemd",
        /// Whichever the environment points to.
        Auto = "auto",
        /// None.
        No = "no",
    }
}

choice! {
    /// The syslog facility.
    SyslogFacility {
        /// LOG_USER.
        User = "user",
        /// LOG_LOCAL0.
        Local0 = "local0",
        /// LOG_LOCAL1.
        Local1 = "local1",
        /// LOG_LOCAL2.
        Local2 = "local2",
        /// LOG_LOCAL3.
        Local3 = "local3",
        /// LOG_LOCAL4.
        Local4 = "local4",
        /// LOG_LOCAL5.
        Local5 = "local5",
        /// LOG_LOCAL6.
        Local6 = "local6",
        /// LOG_LOCAL7.
        Local7 = "local7",
    }
}

choice! {
    /// Whether clients must present a certificate.
    TlsAuthClients {
        /// It is not asked for.
        No = "no",
        /// They must.
        Yes = "yes",
        /// It is checked if they do.
        Optional = "optional",
    }
}

/// What a signal asks the shutdown to do; no option is the word `default`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOptions(u8);

impl ShutdownOptions {
    /// Save when save points are configured, wait for replicas.
    pub const DEFAULT: Self = Self(0);
    /// Save whatever the save points say.
    pub const SAVE: Self = Self(1);
    /// Do not save.
    pub const NOSAVE: Self = Self(2);
    /// Do not wait for replicas.
    pub const NOW: Self = Self(4);
    /// Exit even when saving fails.
    pub const FORCE: Self = Self(8);
    /// The words, in the order error messages list them.
    pub const NAMES: &'static [&'static str] = &["default", "save", "nosave", "now", "force"];

    const ALL: [Self; 5] = [
        Self::DEFAULT,
        Self::SAVE,
        Self::NOSAVE,
        Self::NOW,
        Self::FORCE,
    ];

    /// Whether every option of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn words() -> impl Iterator<Item = (&'static str, Self)> {
        Self::NAMES.iter().copied().zip(Self::ALL)
    }
}

impl Setting for ShutdownOptions {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        if args.is_empty() {
            return Err(Problem::NotOneOf(Self::NAMES));
        }
        let mut options = Self::DEFAULT;
        for word in args {
            let (_, option) = Self::words()
                .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word))
                .ok_or(Problem::NotOneOf(Self::NAMES))?;
            options.0 |= option.0;
        }
        if options.contains(Self::SAVE) && options.contains(Self::NOSAVE) {
            return Err(Problem::SaveAndNosave);
        }
        Ok(options)
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        if *self == Self::DEFAULT {
            return b"default".to_vec();
        }
        let set: Vec<&str> = Self::words()
            .filter(|&(_, option)| option != Self::DEFAULT && self.contains(option))
            .map(|(name, _)| name)
            .collect();
        set.join(" ").into_bytes()
    }
}
