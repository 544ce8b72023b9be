//! `maxmemory-clients`: when all clients together take too much memory, those that take most are closed.
//!
//! Source: the Valkey documentation, "Client eviction".

use crate::client::{Client, ClientFlags};
use crate::commands::client::{describe, memory_of};
use crate::core::Core;
use crate::host::Level;

/// The limit is never below this many bytes, or nobody could connect to raise it.
const LIMIT_BYTES_MIN: u64 = 128 * 1024;

impl Core {
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
        let weight = if client.flags.has(OTHERS) {
            0
        } else {
            memory_of(client)
        };
        self.client_bytes = self.client_bytes - client.weight + weight;
        client.weight = weight;
    }

    /// A client has gone, or no longer counts.
    pub(crate) fn forget_weight(&mut self, client: &mut Client) {
        self.client_bytes -= std::mem::take(&mut client.weight);
    }

    /// Weighs every client: some may have grown while nobody looked, or the limit may be new.
    pub(crate) fn weigh_all(&mut self) {
        if self.config.maxmemory_clients == 0 {
            return;
        }
        let mut clients = std::mem::take(&mut self.clients);
        for client in clients.iter_mut() {
            self.weigh_slow(client);
        }
        self.clients = clients;
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
        if self.client_bytes as u64 <= limit {
            return;
        }
        let mut clients = std::mem::take(&mut self.clients);
        let mut candidates: Vec<&mut Client> = clients
            .iter_mut()
            .filter(|client| client.weight > 0 && !client.flags.has(ClientFlags::NO_EVICT))
            .collect();
        candidates.sort_by_key(|client| std::cmp::Reverse(client.weight));
        for client in candidates {
            if self.client_bytes as u64 <= limit {
                break;
            }
            let who = describe(client, self.config.hide_user_data_from_log);
            self.log(Level::Notice, &format!("Evicting client: {who}"));
            self.forget_weight(client);
            self.stats.evicted_clients += 1;
            client.close_now();
        }
        self.clients = clients;
    }
}
