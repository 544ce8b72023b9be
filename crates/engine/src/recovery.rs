//! What becomes of a command that has failed an assertion, and of the data it may have left half changed.

use crate::client::{Client, ClientFlags};
use crate::host::Level;
use crate::state::ServerState;
use commandtable::{CommandInfo, Flags};
use dataset::Keys;
use std::any::Any;

/// What a panic says.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown")
        .to_owned()
}

/// A command of `client` has failed an assertion: the client is closed, whereby it leaves everything it is registered in.
///
/// If the data may be half changed, as they are in any case if they have been `changed`, nobody is to go on as if nothing
/// had happened: see [`forsake_history`].
#[cold]
pub(crate) fn give_up(
    keys: &mut Keys,
    state: &mut ServerState,
    client: &mut Client,
    changed: bool,
    what: &str,
) {
    state.stats.panics_caught += 1;
    let name = client
        .last_command
        .map_or("unknown", |command| command.full_name);
    let who = crate::commands::client::describe(client, state.config.hide_user_data_from_log);
    let line = format!("The command '{name}' has failed an assertion: {what}. Its client: {who}");
    state.log(Level::Warning, &line);
    client.flags.set(ClientFlags::CLOSE_NOW);
    client.attention.raise();
    if changed || client.last_command.is_none_or(may_change) {
        forsake_history(keys, state, &line);
    }
}

/// EXEC and scripts run what they are given.
fn may_change(command: &'static CommandInfo) -> bool {
    const CHANGES: Flags = Flags::WRITE.and(Flags::MAY_REPLICATE);
    command.flags.intersects(CHANGES) || command.name == "exec"
}

/// The data may be what no history leads to. Replicas synchronise anew, a replica with its primary; nobody's transaction
/// relies on what it has watched, nor anybody on what it has cached; whoever waits looks again.
///
/// What the command wanted propagated is forgotten: half of it would be worse than nothing.
pub(crate) fn forsake_history(keys: &mut Keys, state: &mut ServerState, why: &str) {
    state.log(
        Level::Warning,
        "The data may be half changed: replicas have to synchronise anew, and what was watched or cached is stale.",
    );
    keys.forget_effects();
    for db in 0..keys.dbs.len() {
        keys.signal_all_ready(db);
    }
    keys.break_all_watches();
    keys.all_stale();
    keys.dirty += 1;
    let now_ms = state.repl.now_ms;
    if state.repl.is_replica() {
        crate::primary_link::resynchronise(keys, state, why);
    }
    state.repl.with_hub(|hub, _| hub.detach(now_ms));
}

#[cfg(test)]
mod tests {
    use crate::engine::NextStep;
    use crate::exec::Exec;
    use crate::registry::{Handler, Registry};
    use crate::testing::{Driver, FREES_FAIL};
    use commandtable::Outcome;
    use dataset::Args;

    /// Client 1 has a stake in everything: it watches, caches, listens, and has a part in the history.
    fn driver_with(name: &'static str, handler: crate::exec::Handler) -> (Driver, String) {
        let mut driver = Driver::new();
        driver.send(1, &[b"HELLO", b"3"]);
        driver.send(1, &[b"CLIENT", b"TRACKING", b"ON"]);
        driver.send(1, &[b"GET", b"k"]);
        driver.send(1, &[b"WATCH", b"other"]);
        driver.send(1, &[b"MULTI"]);
        driver.send(1, &[b"PING"]);
        driver.send(2, &[b"HELLO", b"3"]);
        driver.send(2, &[b"SUBSCRIBE", b"channel"]);
        driver.send(2, &[b"WATCH", b"k"]);
        driver.pushed(1);
        driver.pushed(2);
        driver.engine.state.registry = Registry::with(&[(name, Handler::Engine(handler))]);
        let replid = driver.engine.state.repl.hub.history().replid.to_string();
        (driver, replid)
    }

    fn replid(driver: &Driver) -> String {
        driver.engine.state.repl.hub.history().replid.to_string()
    }

    /// Client 2 has failed: it is to be closed, and is nowhere afterwards.
    fn is_gone(driver: &mut Driver) {
        assert_eq!(driver.next_step(2), NextStep::Drop);
        driver.hang_up(2);
        assert_eq!(driver.engine.state.clients.len(), 2);
        assert_eq!(driver.engine.state.pubsub.counts(), (0, 0, 0));
        assert_eq!(driver.engine.state.blocking.count, 0);
        assert_eq!(driver.engine.state.stats.panics_caught, 1);
        assert!(!driver.engine.keys.effects.pending);
    }

    /// Whoever relied on the data has been told that there is nothing to rely on.
    fn nobody_goes_on(driver: &mut Driver, before: &str) {
        assert_ne!(replid(driver), before);
        assert!(driver.engine.state.repl.hub.backlog().is_none());
        assert_eq!(driver.pushed(1), b">2\r\n$10\r\ninvalidate\r\n_\r\n");
        assert_eq!(driver.send(1, &[b"EXEC"]), b"_\r\n");
    }

    #[test]
    fn a_command_that_fails_before_it_does_anything_costs_its_client_alone() {
        fn fails(_: &mut Exec<'_>, _: Args<'_>) -> Outcome {
            panic!("before");
        }
        let (mut driver, before) = driver_with("strlen", fails);
        driver.send(2, &[b"STRLEN", b"k"]);
        is_gone(&mut driver);
        assert_eq!(replid(&driver), before);
        assert_eq!(driver.pushed(1), b"");
        assert_eq!(driver.send(1, &[b"EXEC"]), b"*1\r\n+PONG\r\n");
    }

    #[test]
    fn of_a_command_that_fails_amid_its_change_nothing_travels() {
        fn fails(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
            x.propagate_as(&[b"SET", args[1], b"half"]);
            let name = x.client.last_command.map(|command| command.name);
            panic!("amid {name:?}");
        }
        let (mut driver, before) = driver_with("append", fails);
        let offset = driver.engine.state.repl.offset();
        driver.send(2, &[b"APPEND", b"k", b"v"]);
        is_gone(&mut driver);
        nobody_goes_on(&mut driver, &before);
        assert_eq!(driver.engine.state.repl.offset(), offset);
    }

    #[test]
    fn a_transaction_that_fails_half_way_is_no_history() {
        fn fails(_: &mut Exec<'_>, _: Args<'_>) -> Outcome {
            panic!("in a transaction");
        }
        let (mut driver, before) = driver_with("append", fails);
        driver.send(2, &[b"UNWATCH"]);
        driver.send(2, &[b"MULTI"]);
        driver.send(2, &[b"SET", b"k", b"v"]);
        driver.send(2, &[b"APPEND", b"k", b"v"]);
        let offset = driver.engine.state.repl.offset();
        driver.send(2, &[b"EXEC"]);
        is_gone(&mut driver);
        nobody_goes_on(&mut driver, &before);
        assert_eq!(driver.engine.state.repl.offset(), offset);
    }

    #[test]
    fn what_fails_while_it_is_settled_ends_the_history() {
        let (mut driver, before) = driver_with("strlen", |_, _| Ok(()));
        let mut words: Vec<Vec<u8>> = vec![b"RPUSH".to_vec(), b"big".to_vec()];
        words.extend((0..10_000).map(|n: u32| vec![b'x'; 100 + n as usize % 7]));
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        driver.send(2, &words);
        FREES_FAIL.set(true);
        driver.send(2, &[b"UNLINK", b"big"]);
        FREES_FAIL.set(false);
        is_gone(&mut driver);
        nobody_goes_on(&mut driver, &before);
    }

    #[test]
    fn a_waiting_client_whose_second_run_fails_is_closed_and_the_other_is_answered() {
        fn waits_then_fails(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
            assert!(!x.keys.origin.again, "in a second run");
            let Some(Handler::Data(handler)) = Registry::get().handler(x.command) else {
                unreachable!("BLPOP is a data command");
            };
            x.run_data(handler, args)
        }
        let (mut driver, before) = driver_with("blpop", waits_then_fails);
        driver.send(2, &[b"BLPOP", b"list", b"0"]);
        assert_eq!(driver.engine.state.blocking.count, 1);
        assert_eq!(driver.send(0, &[b"RPUSH", b"list", b"v"]), b":1\r\n");
        is_gone(&mut driver);
        nobody_goes_on(&mut driver, &before);
        assert_eq!(driver.send(0, &[b"LLEN", b"list"]), b":1\r\n");
    }
}
