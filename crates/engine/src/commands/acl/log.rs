//! ACL LOG: what was refused.

use crate::exec::{Args, Exec};
use acl::LogEntry;
use commandtable::{Error, Outcome};

/// Entries shown when no number is given.
const SHOWN: i64 = 10;

/// `ACL LOG [count | RESET]`.
///
/// Reply: the newest entries as maps; OK for RESET.
/// Errors: a count that is no number; syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL LOG (since 6.0.0).
pub(super) fn log(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let count = match args {
        [_, _] => SHOWN,
        [_, _, word] if word.eq_ignore_ascii_case(b"reset") => {
            x.state.acl_log.reset();
            x.out.ok();
            return Ok(());
        }
        [_, _, count] => dataset::number::int(count)?,
        _ => return Err(Error::subcommand_syntax(args)),
    };
    let count = usize::try_from(count).unwrap_or(0);
    let now_ms = x.now_ms();
    let shown = x.state.acl_log.entries().take(count);
    x.out.array(shown.len());
    for entry in shown {
        write(x.out, entry, now_ms);
    }
    Ok(())
}

fn write(out: &mut resp::Reply, entry: &LogEntry, now_ms: i64) {
    out.map(10);
    out.bulk(b"count");
    out.uint(usize::try_from(entry.count).unwrap_or(usize::MAX));
    for (name, value) in [
        ("reason", entry.reason.name().as_bytes()),
        ("context", entry.context.name().as_bytes()),
        ("object", &entry.object),
        ("username", &entry.user),
    ] {
        out.bulk(name.as_bytes());
        out.bulk(value);
    }
    out.bulk(b"age-seconds");
    out.double(entry.age_seconds(now_ms).to_string().as_bytes());
    out.bulk(b"client-info");
    out.bulk(&entry.client);
    out.bulk(b"entry-id");
    out.uint(usize::try_from(entry.id).unwrap_or(usize::MAX));
    for (name, time) in [
        ("timestamp-created", entry.created_ms),
        ("timestamp-last-updated", entry.updated_ms),
    ] {
        out.bulk(name.as_bytes());
        out.int(time);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Driver;

    #[test]
    fn refusals_of_one_kind_are_counted_together() {
        let mut driver = Driver::new();
        driver.send(0, &[b"CONFIG", b"SET", b"requirepass", b"x"]);
        for password in ["a", "b"] {
            driver.send(0, &[b"AUTH", password.as_bytes()]);
        }
        driver.send(0, &[b"AUTH", b"somebody", b"a"]);
        let text = |reply| String::from_utf8(reply).expect("text");
        let reply = text(driver.send(0, &[b"ACL", b"LOG"]));
        assert!(
            reply.starts_with("*2\r\n*20\r\n$5\r\ncount\r\n:1\r\n"),
            "{reply}"
        );
        assert!(reply.contains("$5\r\ncount\r\n:2\r\n"), "{reply}");
        assert!(
            reply.contains("$8\r\nusername\r\n$8\r\nsomebody\r\n"),
            "{reply}"
        );
        assert_eq!(text(driver.send(0, &[b"ACL", b"LOG", b"RESET"])), "+OK\r\n");
        assert_eq!(text(driver.send(0, &[b"ACL", b"LOG"])), "*0\r\n");
    }
}
