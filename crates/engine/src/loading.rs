//! The dataset at the start and by DEBUG RELOAD: from the dump file into place.

use crate::core::{LoadProgress, Loading};
use crate::engine::Engine;

impl Engine {
    /// Opens the dump file and refuses most commands until [`Self::finish_load`]. `None` when there is no file.
    ///
    /// # Errors
    /// The file cannot be opened.
    #[expect(clippy::type_complexity, reason = "a source and how to read it")]
    pub fn begin_load(
        &mut self,
    ) -> Result<
        Option<(
            Box<dyn std::io::Read + Send>,
            dataset::snapshot::LoadOptions,
        )>,
        crate::host::HostError,
    > {
        self.set_time();
        let Some(source) = self.core.host.open_dump()? else {
            return Ok(None);
        };
        self.core.loading = Loading::Blocking;
        self.core.load_progress = LoadProgress {
            started_at: self.keys.origin.now_ms / 1000,
            ..LoadProgress::default()
        };
        self.core.refresh_gate();
        let options = self.load_options(self.core.config.replicaof.is_some());
        Ok(Some((source, options)))
    }

    /// How a dataset is to be loaded now.
    #[must_use]
    pub fn load_options(&self, keep_expired: bool) -> dataset::snapshot::LoadOptions {
        dataset::snapshot::LoadOptions {
            keep_expired,
            ..crate::saving::load_options(&self.keys, &self.core)
        }
    }

    /// Puts the loaded dataset in place.
    pub fn finish_load(&mut self, loaded: dataset::snapshot::Loaded) {
        self.set_time();
        self.core.saving.last_load_keys = (loaded.keys_loaded, loaded.keys_expired);
        let restored = loaded.replication.as_ref().and_then(|aux| {
            Some((
                replication::ReplId::parse(aux.replid.as_bytes())?,
                aux.offset,
                aux.stream_db,
            ))
        });
        let old = self.keys.replace_all(loaded.dbs);
        self.keys.functions = loaded.functions.into();
        self.core.host.free_databases(old, false);
        self.core.loading = Loading::No;
        self.core.saving.dirty_at_save = self.keys.dirty;
        self.core.refresh_gate();
        self.start_role(restored);
        // Who continues the snapshot's history still has the keys that were dropped. One by one, as they were many.
        for (db, key) in &loaded.expired {
            self.keys.propagate_expired(*db, key);
            crate::settle::feed_each(&mut self.keys, &mut self.core);
        }
    }

    /// Takes up the configured role, with the identity that the dataset carried.
    pub fn start_role(&mut self, restored: Option<(replication::ReplId, u64, i64)>) {
        if self.core.config.replicaof.is_some() {
            crate::link::follow_at_start(&mut self.keys, &mut self.core, restored);
        } else if let Some((replid, offset, _)) = restored {
            self.core
                .repl
                .with_hub(|hub, env| hub.restore(env, replid, offset));
        }
        self.settle();
    }
}
