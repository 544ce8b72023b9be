//! What the main loop is told by the rest of the process.

use crate::event_loop::Inbox;
use config::Config;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

/// Exit code that means "not yet".
const RUNNING: i32 = i32::MIN;

/// What the main loop is told.
pub(crate) struct Control {
    main_loop: Arc<Inbox>,
    changed: AtomicBool,
    exit_code: AtomicI32,
    /// `proto-max-bulk-len`, for those who decode without the engine's lock.
    pub(crate) bulk_bytes_max: AtomicU64,
    /// New listening sockets to serve, made while their parameters were being set.
    pub(crate) listeners: Mutex<Option<crate::listener::Listeners>>,
    /// Handles to the sockets that are being served.
    pub(crate) listening: Mutex<crate::listener::Handles>,
}

impl Control {
    pub(crate) fn new(main_loop: Arc<Inbox>) -> Self {
        Control {
            main_loop,
            changed: AtomicBool::new(false),
            exit_code: AtomicI32::new(RUNNING),
            bulk_bytes_max: AtomicU64::new(0),
            listeners: Mutex::new(None),
            listening: Mutex::default(),
        }
    }

    /// The main loop has something to look at: listening sockets, a deadline of a waiting client, or the end.
    pub(crate) fn raise_changed(&self) {
        self.changed.store(true, Ordering::Release);
        self.main_loop.wake_loop();
    }

    /// True when something has changed since the last call.
    pub(crate) fn take_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed) && self.changed.swap(false, Ordering::AcqRel)
    }

    /// Takes over `proto-max-bulk-len`.
    pub(crate) fn limit_bulk(&self, config: &Config) {
        let bytes_max = config.proto_max_bulk_len.unsigned_abs();
        self.bulk_bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// The process is to end with this code.
    pub(crate) fn exit(&self, code: i32) {
        self.exit_code.store(code, Ordering::Release);
        self.raise_changed();
    }

    /// The code to end with, once it is time.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        let code = self.exit_code.load(Ordering::Acquire);
        (code != RUNNING).then_some(code)
    }
}
