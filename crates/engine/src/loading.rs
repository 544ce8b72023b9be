//! The dataset at the start and by DEBUG RELOAD: from the dump file into place.

use crate::engine::Engine;
use crate::state::{LoadProgress, Loading};

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
        let Some(source) = self.state.host.open_dump()? else {
            return Ok(None);
        };
        self.state.loading = Loading::Blocking;
        self.state.load_progress = LoadProgress {
            started_at: self.keys.origin.now_ms / 1000,
            ..LoadProgress::default()
        };
        self.state.refresh_gate();
        let options = self.load_options(self.state.config.replicaof.is_some());
        Ok(Some((source, options)))
    }

    /// How a dataset is to be loaded now.
    #[must_use]
    pub fn load_options(&self, keep_expired: bool) -> dataset::snapshot::LoadOptions {
        dataset::snapshot::LoadOptions {
            keep_expired,
            ..crate::saving::load_options(&self.keys, &self.state)
        }
    }

    /// Puts the loaded dataset in place.
    pub fn finish_load(&mut self, loaded: dataset::snapshot::Loaded) {
        self.set_time();
        self.state.saving.last_load_keys = (loaded.keys_loaded, loaded.keys_expired);
        let restored = loaded.replication.as_ref().and_then(|aux| {
            Some((
                replication::ReplId::parse(aux.replid.as_bytes())?,
                aux.offset,
                aux.stream_db,
            ))
        });
        let old = self.keys.replace_all(loaded.dbs);
        self.keys.functions = loaded.functions.into();
        self.state.host.free_databases(old, false);
        self.state.loading = Loading::No;
        self.state.saving.dirty_at_save = self.keys.dirty;
        self.state.refresh_gate();
        self.start_role(restored);
        // Who continues the snapshot's history still has the keys that were dropped. One by one, as they were many.
        for (db, key) in &loaded.expired {
            self.keys.propagate_expired(*db, key);
            crate::settle::feed_each(&mut self.keys, &mut self.state);
        }
    }

    /// Takes up the configured role, with the identity that the dataset carried.
    pub fn start_role(&mut self, restored: Option<(replication::ReplId, u64, i64)>) {
        if self.state.config.replicaof.is_some() {
            crate::primary_link::follow_at_start(&mut self.keys, &mut self.state, restored);
        } else if let Some((replid, offset, _)) = restored {
            self.state
                .repl
                .with_hub(|hub, env| hub.restore(env, replid, offset));
        }
        self.settle();
    }
}
