//! MIGRATE: keys go to another server. [`crate::migration`] knows what becomes of them.

use super::Family;
use crate::blocking::WaitFor;
use crate::exec::{Args, Exec};
use crate::migration::{self, Target, Wish};
use commandtable::{Error, Outcome};
use dataset::{OnTimeout, number};
use std::ops::Range;

pub(super) static COMMANDS: Family = &[("migrate", migrate)];

/// Where the options begin.
const OPTIONS: usize = 6;

/// The options of MIGRATE: what they say, and where.
#[derive(Default)]
struct Options {
    copy: bool,
    replace: bool,
    /// The words behind AUTH or AUTH2.
    login: Range<usize>,
    /// Where the names behind KEYS begin.
    keys: Option<usize>,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut given = Options::default();
        let mut at = OPTIONS;
        while let Some(word) = args.get(at) {
            let login = match word.to_ascii_lowercase().as_slice() {
                b"copy" => {
                    given.copy = true;
                    0
                }
                b"replace" => {
                    given.replace = true;
                    0
                }
                b"auth" => 1,
                b"auth2" => 2,
                b"keys" if args[3].is_empty() => {
                    given.keys = Some(at + 1);
                    break;
                }
                b"keys" => return Err(Error::MIGRATE_KEYS),
                _ => return Err(Error::SYNTAX),
            };
            if login > 0 {
                given.login = at + 1..at + 1 + login;
                args.get(given.login.clone()).ok_or(Error::SYNTAX)?;
            }
            at += 1 + login;
        }
        Ok(given)
    }
}

/// The words of a MIGRATE that logs must not show.
pub(crate) fn secrets(args: Args<'_>) -> Range<usize> {
    Options::parse(args).map_or(0..0, |options| options.login)
}

/// `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key ...]`: keys
/// go to another server, and from here unless COPY is given. `timeout` is for each step, in milliseconds. Others are served
/// meanwhile, except inside of a transaction.
///
/// Reply: OK; NOKEY when there is none of the keys.
/// Errors: syntax; IOERR when the target cannot be reached or does not answer; its own errors; a key was changed meanwhile.
/// What the target has is removed also if there was an error for other keys.
/// Propagates: DEL of the keys that are gone from here.
/// Source: Valkey command reference, MIGRATE (since 2.6.0).
fn migrate(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(args)?;
    let timeout_ms = number::int(args[5])?;
    let db = number::int(args[4])?;
    let wish = Wish {
        target: Target {
            host: String::from_utf8_lossy(args[1]).into_owned(),
            port: words::int::parse_i64(args[2])
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(0),
        },
        db,
        timeout_ms,
        keys: options.keys.map_or(&args[3..4], |first| &args[first..]),
        copy: options.copy,
        replace: options.replace,
        login: &args[options.login],
    };
    x.propagate_nothing();
    let Some((shipment, sent)) = migration::pack(x.keys, x.state, x.client.id, wish)? else {
        x.out.simple(b"NOKEY");
        return Ok(());
    };
    if x.must_not_block() {
        // A transaction cannot wait: everybody does, as long as the timeout allows.
        let delivery = x.state.host.ship_now(&shipment);
        let (gone, outcome) = sent.conclude(x.keys, x.state, &delivery);
        if !gone.is_empty() {
            x.propagate_as(&migration::deletion(&gone));
        }
        // The error is written here, since something may have changed.
        match outcome {
            Ok(()) => x.out.ok(),
            Err(error) => crate::dispatch::write_error(x.state, x.out, &error),
        }
        return Ok(());
    }
    if x.state.host.ship(shipment).is_err() {
        sent.forget(x.keys);
        return Err(Error::MIGRATE_CONNECTING);
    }
    let id = sent.remember(x.state);
    x.block(WaitFor::Migration(id), args, 0, OnTimeout::Null);
    Ok(())
}
