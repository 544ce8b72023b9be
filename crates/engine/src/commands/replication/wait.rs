//! Waiting for replicas: WAIT, WAITAOF.

use crate::blocking::WaitFor;
use crate::exec::{Args, Exec};
use commandtable::{Error, Outcome};
use dataset::OnTimeout;
use dataset::number;
use dataset::number::deadline_from_ms;

/// `WAIT numreplicas timeout`: waits until that many replicas have the client's last write.
///
/// Reply: the number of replicas that have it, by then or when the time is up.
/// Errors: on a replica; not an integer; a timeout that is none.
/// Propagates: nothing; asks the replicas to acknowledge.
/// Source: Valkey command reference, WAIT (since 3.0.0).
pub(super) fn wait(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if x.state.repl.is_replica() {
        return Err(Error::WAIT_ON_REPLICA);
    }
    let wanted = number::int(args[1])?;
    let deadline_ms = deadline_from_ms(args[2], x.now_ms())?;
    let offset = x.client.write_offset;
    let acked = x.state.repl.hub.acked(offset);
    let enough = u64::try_from(wanted).map_or(true, |wanted| acked as u64 >= wanted);
    if enough || x.must_not_block() {
        x.out.uint(acked);
        return Ok(());
    }
    wait_for(x, args, deadline_ms, wanted.unsigned_abs(), None);
    Ok(())
}

/// `WAITAOF numlocal numreplicas timeout`: as WAIT, for writes that have reached the append-only files.
///
/// Reply: the number of local files, 0 or 1, and of replicas that have them.
/// Errors: on a replica; numbers that are none or out of range; a local file is wanted but `appendonly` is off.
/// Propagates: nothing; asks the replicas to acknowledge.
/// Source: Valkey command reference, WAITAOF (since 7.2.0).
pub(super) fn waitaof(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let local = number::int(args[1])?;
    if !(0..=1).contains(&local) {
        return Err(Error::NOT_ZERO_OR_ONE);
    }
    let wanted = number::positive(args[2])?;
    let deadline_ms = deadline_from_ms(args[3], x.now_ms())?;
    if x.state.repl.is_replica() {
        return Err(Error::WAITAOF_ON_REPLICA);
    }
    if local > 0 && !x.state.config.appendonly {
        return Err(Error::WAITAOF_NO_AOF);
    }
    let acked = x.state.repl.hub.acked_aof(x.client.write_offset);
    if (local == 0 && acked as u64 >= wanted) || x.must_not_block() {
        x.out.array(2);
        x.out.int(0);
        x.out.uint(acked);
        return Ok(());
    }
    wait_for(x, args, deadline_ms, wanted, Some(local.unsigned_abs()));
    Ok(())
}

/// Blocks the client until enough replicas have acknowledged its last write, and asks them to.
fn wait_for(
    x: &mut Exec<'_>,
    args: Args<'_>,
    deadline_ms: i64,
    replicas: u64,
    aof_local: Option<u64>,
) {
    let wait = WaitFor::Replicas {
        offset: x.client.write_offset,
        replicas,
        aof_local,
    };
    x.block(wait, args, deadline_ms, OnTimeout::Acknowledged);
    x.state.repl.with_hub(|hub, env| hub.request_acks(env));
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn wait_answers_at_once_when_it_can_and_later_otherwise() {
        check(
            "
            > WAIT 0 0
            < (integer) 0
            > WAIT -1 0
            < (integer) 0
            > WAIT a 0
            < (error) ERR value is not an integer or out of range
            > WAIT 0 -1
            < (error) ERR timeout is negative
            > WAIT 1 x
            < (error) ERR timeout is not an integer or out of range
            > WAITAOF 2 0 0
            < (error) ERR value is out of range, value must between 0 and 1
            > WAITAOF 1 0 0
            < (error) ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.
            > WAITAOF 0 -1 0
            < (error) ERR value is out of range, must be positive
            > WAITAOF 0 0 0
            < 1) (integer) 0
            < 2) (integer) 0
            > MULTI
            < OK
            > WAIT 3 0
            < QUEUED
            > EXEC
            < 1) (integer) 0
            1> WAIT 1 500
            + 501
            1< (integer) 0
            ",
        );
    }
}
