//! `maxmemory-clients`: when all clients together take too much memory, those that take most are closed.
//!
//! Source: the Valkey documentation, "Client eviction".

use crate::client::{Client, ClientFlags, ClientId};
use crate::commands::client::{describe, memory_of};
use crate::host::Level;
use crate::state::ServerState;
use std::collections::BTreeSet;

/// The limit is never below this many bytes, or nobody could connect to raise it.
const LIMIT_BYTES_MIN: u64 = 128 * 1024;

/// What clients take, as of when each was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// Of all clients together, in bytes.
    total: usize,
    /// Those that may be closed: bytes and client, lightest first.
    candidates: BTreeSet<(usize, ClientId)>,
}

impl ServerState {
    /// Memory that clients may take, in bytes; `None` without a limit.
    fn client_limit(&self) -> Option<u64> {
        let limit = match self.config.maxmemory_clients {
            0 => return None,
            bytes if bytes > 0 => bytes.unsigned_abs(),
            percent => {
                let part =
                    u128::from(self.config.maxmemory) * u128::from(percent.unsigned_abs()) / 100;
                u64::try_from(part).unwrap_or(u64::MAX)
            }
        };
        (limit > 0).then_some(limit.max(LIMIT_BYTES_MIN))
    }

    /// Takes note of what a client takes now. Replicas and the primary have limits of their own.
    #[inline]
    pub(crate) fn weigh(&mut self, client: &mut Client) {
        if self.config.maxmemory_clients != 0 {
            self.weigh_slow(client);
        }
    }

    #[cold]
    fn weigh_slow(&mut self, client: &mut Client) {
        const OTHERS: u32 = ClientFlags::REPLICA | ClientFlags::PRIMARY | ClientFlags::CLOSE_NOW;
        self.forget_weight(client);
        if client.flags.has(OTHERS) {
            return;
        }
        client.weight = memory_of(client);
        self.weights.total += client.weight;
        if !client.flags.has(ClientFlags::NO_EVICT) {
            self.weights.candidates.insert((client.weight, client.id));
        }
    }

    /// A client has gone, or no longer counts.
    pub(crate) fn forget_weight(&mut self, client: &mut Client) {
        if client.weight > 0 {
            self.weights.candidates.remove(&(client.weight, client.id));
            self.weights.total -= std::mem::take(&mut client.weight);
        }
    }

    /// The limit is new: every client counts from now on, or none.
    pub(crate) fn weigh_all(&mut self) {
        let ids: Vec<ClientId> = self.clients.iter().map(|client| client.id).collect();
        for id in ids {
            self.with_client(id, |state, client| {
                if state.config.maxmemory_clients == 0 {
                    state.forget_weight(client);
                } else {
                    state.weigh_slow(client);
                }
            });
        }
    }

    /// Closes the largest clients until the others fit.
    #[inline]
    pub(crate) fn evict_clients(&mut self) {
        if self.config.maxmemory_clients != 0 {
            self.evict_clients_slow();
        }
    }

    #[cold]
    fn evict_clients_slow(&mut self) {
        let Some(limit) = self.client_limit() else {
            return;
        };
        while self.weights.total as u64 > limit
            && let Some((_, id)) = self.weights.candidates.pop_last()
        {
            self.with_client(id, |state, client| {
                let who = describe(client, state.config.hide_user_data_from_log);
                state.log(Level::Notice, &format!("Evicting client: {who}"));
                state.forget_weight(client);
                state.stats.evicted_clients += 1;
                client.close_now();
            });
        }
    }
}
