//! Loading a dataset in a thread of its own, so that clients are answered meanwhile.

use crate::logging;
use crate::shared::Shared;
use dataset::snapshot::LOADING_FAILED;
use engine::host::Level;
use std::sync::Arc;

/// Loads the log or the dump file, if there is one, and opens the server for everybody.
pub(crate) fn at_start(shared: &Arc<Shared>) {
    let mut engine = shared.engine.lock();
    if engine.state.config.appendonly {
        engine.begin_log_load(0);
        drop(engine);
        return load_log(shared);
    }
    drop(engine);
    let source = shared.engine.lock().begin_load();
    match source {
        Ok(None) => {
            shared.engine.lock().start_role(None);
            ready(shared);
        }
        Ok(Some((source, options))) => {
            let shared = Arc::clone(shared);
            let load = move || {
                let started = crate::clock::monotonic_ns();
                let mut progress = |bytes| {
                    shared.engine.lock().state.load_progress.loaded_bytes = bytes;
                    true
                };
                let loaded = dataset::snapshot::load(source, &options, &mut progress);
                let put = loaded
                    .map_err(|error| error.last_words())
                    .and_then(|loaded| {
                        let put = shared.engine.lock().finish_load(loaded);
                        put.map_err(|error| vec![error, LOADING_FAILED.into()])
                    });
                match put {
                    Ok(()) => {
                        let seconds = (crate::clock::monotonic_ns() - started) as f64 / 1e9;
                        logging::log(
                            Level::Notice,
                            &format!("DB loaded from disk: {seconds:.3} seconds"),
                        );
                        ready(&shared);
                    }
                    Err(lines) => fatal(&shared, &lines),
                }
            };
            if std::thread::Builder::new()
                .name("load".into())
                .spawn(load)
                .is_err()
            {
                logging::log(Level::Warning, "Can't create a thread to load the dataset");
            }
        }
        Err(error) => fatal(shared, &[error, LOADING_FAILED.into()]),
    }
}

/// Loads the append-only file, or begins one, and opens the server for everybody.
fn load_log(shared: &Arc<Shared>) {
    let load = {
        let shared = Arc::clone(shared);
        move || match crate::append::load_at_start(&shared) {
            Ok(()) => ready(&shared),
            Err(lines) => fatal(&shared, &lines),
        }
    };
    let thread = std::thread::Builder::new().name("load".into());
    if thread.spawn(load).is_err() {
        logging::log(Level::Warning, "Can't create a thread to load the dataset");
    }
}

/// The dataset cannot be loaded: says why, and ends the process.
fn fatal(shared: &Arc<Shared>, lines: &[String]) {
    for line in lines {
        logging::log(Level::Warning, line);
    }
    shared.control.exit(1);
}

fn ready(shared: &Arc<Shared>) {
    let (tcp, unix, tls, replica) = {
        let engine = shared.engine.lock();
        (
            engine.state.config.port != 0,
            !engine.state.config.unixsocket.as_bytes().is_empty(),
            engine.state.config.tls_port != 0,
            engine.state.repl.is_replica(),
        )
    };
    if tcp {
        logging::log(Level::Notice, "Ready to accept connections tcp");
    }
    if unix {
        logging::log(Level::Notice, "Ready to accept connections unix");
    }
    if tls {
        logging::log(Level::Notice, "Ready to accept connections tls");
    }
    crate::supervise::ready(replica);
}
