//! Which handler runs which command.

use crate::exec;
use commandtable::CommandInfo;
use std::sync::OnceLock;

/// What runs a command.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// It works on the dataset and sees nothing else.
    Data(dataset::Handler),
    /// It works on the engine.
    Engine(exec::Handler),
}

/// The handler of each command that exists, by [`CommandInfo::id`].
#[derive(Debug)]
pub struct Registry {
    handlers: Vec<Option<Handler>>,
    /// Commands with a handler of their own or of one of their subcommands.
    known: Vec<bool>,
}

impl Registry {
    /// The handlers of this build.
    ///
    /// # Panics
    /// When a family lists a name that the command table does not know: a mistake in this crate.
    pub fn get() -> &'static Registry {
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        REGISTRY.get_or_init(|| {
            let mut registry = Registry {
                handlers: vec![None; commandtable::COUNT],
                known: vec![false; commandtable::COUNT],
            };
            let data = dataset::commands::FAMILIES.iter().copied().flatten();
            let engine = crate::commands::FAMILIES.iter().copied().flatten();
            let data = data.map(|(name, handler)| (*name, Handler::Data(*handler)));
            let engine = engine.map(|(name, handler)| (*name, Handler::Engine(*handler)));
            for (name, handler) in data.chain(engine) {
                let command = commandtable::find_full(name.as_bytes())
                    .expect("every handler names a command of the table");
                registry.handlers[command.id as usize] = Some(handler);
                registry.known[command.id as usize] = true;
                if let Some((container, _)) = name.split_once('|')
                    && let Some(container) = commandtable::find(container.as_bytes())
                {
                    registry.known[container.id as usize] = true;
                }
            }
            registry
        })
    }

    /// The handler of a command, if this build has one.
    #[inline]
    #[must_use]
    pub fn handler(&self, command: &CommandInfo) -> Option<Handler> {
        self.handlers[command.id as usize]
    }

    /// True when the command or one of its subcommands can be called.
    #[must_use]
    pub fn knows(&self, command: &CommandInfo) -> bool {
        self.known[command.id as usize]
    }

    /// The handlers of this build, with some in the place of others.
    #[cfg(test)]
    pub(crate) fn with(others: &[(&str, Handler)]) -> &'static Registry {
        let mut registry = Registry {
            handlers: Registry::get().handlers.clone(),
            known: Registry::get().known.clone(),
        };
        for (name, handler) in others {
            let command = commandtable::find_full(name.as_bytes()).expect("a command of the table");
            registry.handlers[command.id as usize] = Some(*handler);
        }
        Box::leak(Box::new(registry))
    }
}
