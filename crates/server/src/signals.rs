//! SIGTERM and SIGINT mean SHUTDOWN, as configured.

use crate::shared::Shared;
use crate::{logging, startup};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;

/// Obeys them from now on, in a thread of its own.
pub(crate) fn obey(shared: Arc<Shared>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let obey = move || {
        let mut asked = false;
        for signal in signals.forever() {
            shut_down(&shared, signal == SIGINT, asked);
            asked = true;
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(obey)?;
    Ok(())
}

fn shut_down(shared: &Shared, is_int: bool, asked: bool) {
    if is_int && asked {
        logging::log(engine::host::Level::Warning, "You insist... exiting now.");
        startup::clean_up();
        std::process::exit(1);
    }
    let name = if is_int { "SIGINT" } else { "SIGTERM" };
    logging::signal(&format!("Received {name} scheduling shutdown..."));
    let mut engine = shared.engine.lock();
    let wanted = if is_int {
        engine.state.config.shutdown_on_sigint
    } else {
        engine.state.config.shutdown_on_sigterm
    };
    engine.shutdown(startup::shutdown_options(wanted));
}
