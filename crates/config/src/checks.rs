//! What must hold for the value of a single parameter beyond its type, and values that are quietly brought in range.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::limits::HOSTNAME_BYTES_END;
use super::problem::Problem;
use super::row::{Flags, Phase};
use super::table::{Config, Param};

/// Bounds of `hz`: it is a hint, so values outside are moved inside.
const HZ_MIN: i32 = 1;
const HZ_MAX: i32 = 500;
/// Smallest backlog, in bytes; a smaller one is made this large.
const BACKLOG_BYTES_MIN: i64 = 16 * 1024;
/// Variables that a process title may contain.
const TITLE_VARIABLES: [&[u8]; 7] = [
    b"title",
    b"listen-addr",
    b"server-mode",
    b"port",
    b"tls-port",
    b"unixsocket",
    b"config-file",
];

impl Config {
    /// Sets `param` to the value that `args` spell.
    ///
    /// # Errors
    /// The value is not one that `param` takes; what it was is then unspecified, so work on a copy.
    pub fn set(&mut self, param: Param, args: &[&[u8]], phase: Phase) -> Result<(), Problem> {
        if args.len() != 1 && !param.row().flags.contains(Flags::MULTI_ARG) {
            return Err(Problem::WrongArguments);
        }
        self.read(param, args, phase)?;
        self.check(param)
    }

    fn check(&mut self, param: Param) -> Result<(), Problem> {
        match param {
            Param::Activedefrag if self.activedefrag => Err(Problem::ActiveDefrag),
            Param::ClusterEnabled if self.cluster_enabled => Err(Problem::Cluster),
            Param::Appenddirname => file_name(
                &self.appenddirname,
                Problem::Empty("appenddirname"),
                Problem::DirIsPath,
            ),
            Param::Appendfilename => file_name(
                &self.appendfilename,
                Problem::Empty("appendfilename"),
                Problem::IsPath("appendfilename"),
            ),
            Param::Dbfilename => file_name(
                &self.dbfilename,
                Problem::Empty("dbfilename"),
                Problem::IsPath("dbfilename"),
            ),
            Param::ClusterConfigFile if self.cluster_config_file.is_empty() => {
                Err(Problem::Empty("cluster-config-file"))
            }
            Param::Dir if self.dir.is_empty() => Err(Problem::Empty("dir")),
            Param::ProcTitleTemplate => title(&self.proc_title_template),
            Param::ClusterAnnounceClientIpv4 => {
                address::<Ipv4Addr>(&self.cluster_announce_client_ipv4, Problem::Ipv4)
            }
            Param::ClusterAnnounceClientIpv6 => {
                address::<Ipv6Addr>(&self.cluster_announce_client_ipv6, Problem::Ipv6)
            }
            Param::ClusterAnnounceHostname => hostname(&self.cluster_announce_hostname),
            Param::ClusterAnnounceHumanNodename => node_name(&self.cluster_announce_human_nodename),
            Param::Hz => {
                self.hz = self.hz.clamp(HZ_MIN, HZ_MAX);
                Ok(())
            }
            Param::ReplBacklogSize => {
                self.repl_backlog_size = self.repl_backlog_size.max(BACKLOG_BYTES_MIN);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn file_name(name: &[u8], empty: Problem, path: Problem) -> Result<(), Problem> {
    match name {
        [] => Err(empty),
        _ if name.contains(&b'/') => Err(path),
        _ => Ok(()),
    }
}

/// Braces must pair up around known variables; `{{` stands for one brace. Blanks are no title.
fn title(template: &[u8]) -> Result<(), Problem> {
    if template.trim_ascii().is_empty() {
        return Err(Problem::ProcTitle);
    }
    let mut rest = template;
    while let Some(open) = rest.iter().position(|&byte| byte == b'{') {
        let after = &rest[open + 1..];
        if let Some(escaped) = after.strip_prefix(b"{") {
            rest = escaped;
            continue;
        }
        let close = after
            .iter()
            .position(|&byte| byte == b'}')
            .ok_or(Problem::ProcTitle)?;
        if !TITLE_VARIABLES.contains(&&after[..close]) {
            return Err(Problem::ProcTitle);
        }
        rest = &after[close + 1..];
    }
    Ok(())
}

fn address<A: std::str::FromStr>(text: &[u8], problem: Problem) -> Result<(), Problem> {
    let valid =
        text.is_empty() || std::str::from_utf8(text).is_ok_and(|text| text.parse::<A>().is_ok());
    if valid { Ok(()) } else { Err(problem) }
}

fn hostname(name: &[u8]) -> Result<(), Problem> {
    if name.len() >= HOSTNAME_BYTES_END {
        return Err(Problem::HostnameLength);
    }
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if name.iter().all(allowed) {
        Ok(())
    } else {
        Err(Problem::HostnameCharacter)
    }
}

/// A node name stands in a line of the cluster's node file. The reference refuses these characters only; control
/// characters, which it takes, would let a name forge further lines there.
fn node_name(name: &[u8]) -> Result<(), Problem> {
    let refused = |byte: &u8| byte.is_ascii_control() || b"!#$%&()*+;<>?@[]^{|}~".contains(byte);
    if name.iter().any(refused) {
        Err(Problem::NodeName)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_judged_as_by_the_reference() {
        for valid in [
            "}",
            "{{}",
            "{{}}",
            "{title}}",
            "a{{b",
            "{{{title}",
            "{config-file}{port}{tls-port}{unixsocket}",
        ] {
            assert_eq!(title(valid.as_bytes()), Ok(()), "{valid}");
        }
        for bad in [
            "",
            "  ",
            "{",
            "{}",
            "{ title}",
            "{Title}",
            "{listen-addr}x{",
        ] {
            assert_eq!(title(bad.as_bytes()), Err(Problem::ProcTitle), "{bad}");
        }
    }

    #[test]
    fn what_this_build_cannot_do_is_refused() {
        let mut config = Config::default();
        let param = Param::ClusterEnabled;
        assert_eq!(config.set(param, &[b"no"], Phase::Startup), Ok(()));
        assert!(config.set(param, &[b"yes"], Phase::Startup).is_err());
    }

    #[test]
    fn node_names_hold_no_line_breaks() {
        assert_eq!(node_name("a b/c:d\"'=\u{e9}".as_bytes()), Ok(()));
        for bad in ["a\n", "a\0", "a!", "~"] {
            assert_eq!(node_name(bad.as_bytes()), Err(Problem::NodeName), "{bad:?}");
        }
    }

    #[test]
    fn values_out_of_range_are_moved_inside_where_the_reference_does_so() {
        let mut config = Config::default();
        for (given, taken) in [("0", 1), ("1000", 500), ("50", 50)] {
            config
                .set(Param::Hz, &[given.as_bytes()], Phase::Runtime)
                .unwrap();
            assert_eq!(config.hz, taken);
        }
        config
            .set(Param::ReplBacklogSize, &[b"2kb"], Phase::Runtime)
            .unwrap();
        assert_eq!(config.repl_backlog_size, 16_384);
    }
}
