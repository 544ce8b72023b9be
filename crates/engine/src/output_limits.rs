//! `client-output-buffer-limit`: clients that do not read what they have asked for are closed.

use crate::client::{Client, ClientFlags, ClientId};
use crate::engine::{Engine, NextStep};
use crate::host::Level;
use crate::state::ServerState;
use resp::Reply;

/// Most bytes of output a client that has not logged in may leave unread.
const UNAUTHENTICATED_OUTPUT_BYTES_MAX: usize = 1024;
/// Bytes of a reply that may grow before somebody looks at the client's limits.
const REPLY_BYTES_UNCHECKED: usize = 64 * 1024;

impl Engine {
    /// Closes a client whose output has grown past its limits; true when it did.
    pub(crate) fn check_output(
        &mut self,
        client: &mut Client,
        fresh: usize,
        next: &mut NextStep,
    ) -> bool {
        let bytes = client.output_bytes() + fresh;
        if bytes <= UNAUTHENTICATED_OUTPUT_BYTES_MAX || client.flags.has(ClientFlags::REPLICA) {
            client.over_soft_since_ms = None;
            return false;
        }
        let limit = self.state.output_limit(client);
        let now_ms = (self.state.now_ns / 1_000_000) as i64;
        let mut over = limit.hard_bytes > 0 && bytes as u64 > limit.hard_bytes;
        if limit.soft_bytes > 0 && bytes as u64 > limit.soft_bytes {
            self.state.over_soft_limit.insert(client.id);
            let since = *client.over_soft_since_ms.get_or_insert(now_ms);
            over |= now_ms - since > i64::from(limit.soft_seconds) * 1000;
        } else {
            client.over_soft_since_ms = None;
        }
        over |= client.in_flight > 16 * UNAUTHENTICATED_OUTPUT_BYTES_MAX
            && self.state.needs_login(client);
        if over {
            self.state.close_for_output(client);
            *next = NextStep::Drop;
        }
        over
    }

    /// Closes clients whose output has been above its soft limit for too long. Whether it has grown is looked at whenever
    /// output is handed over.
    pub(crate) fn check_soft_limits(&mut self) {
        for id in std::mem::take(&mut self.state.over_soft_limit) {
            self.check_output_of(id);
        }
    }

    /// As [`Self::check_output`], of a client whose connection has nothing to report.
    pub(crate) fn check_output_of(&mut self, id: ClientId) {
        let Some(slot) = self.state.clients.slot(id) else {
            return;
        };
        if let Some(mut client) = self.state.clients.take(slot) {
            let mut next = NextStep::Continue;
            self.check_output(&mut client, 0, &mut next);
            if next == NextStep::Drop {
                client.attention.raise();
            }
            self.state.clients.put_back(slot, client);
        }
    }
}

impl ServerState {
    /// The limits on the output of a client that is no replica.
    fn output_limit(&self, client: &Client) -> config::OutputLimit {
        let limits = &self.config.client_output_buffer_limit;
        if client.flags.has(ClientFlags::PUBSUB) {
            limits.pubsub
        } else {
            limits.normal
        }
    }

    /// A client's output is too large: it is to be closed, once what runs has ended.
    fn close_for_output(&mut self, client: &mut Client) {
        if client.flags.has(ClientFlags::CLOSE_NOW) {
            return;
        }
        self.stats.output_buffer_disconnections += 1;
        let hide = self.config.hide_user_data_from_log;
        let who = crate::commands::client::describe(client, hide);
        let line = format!(
            "Client {who} scheduled to be closed ASAP for overcoming of output buffer limits."
        );
        self.log(Level::Warning, &line);
        client.flags.set(ClientFlags::CLOSE_NOW);
    }

    /// While a reply grows: true when it is so long that the client is closed for it, of which nothing goes out any more.
    ///
    /// `bytes_max` bounds the replies of clients that have no limit.
    #[inline]
    pub(crate) fn refuses_reply(
        &mut self,
        client: &mut Client,
        out: &mut Reply,
        bytes_max: usize,
    ) -> bool {
        out.len() > REPLY_BYTES_UNCHECKED && self.refuses_long_reply(client, out, bytes_max)
    }

    #[cold]
    fn refuses_long_reply(
        &mut self,
        client: &mut Client,
        out: &mut Reply,
        bytes_max: usize,
    ) -> bool {
        let too_long = out.len() > self.reply_bytes_max(client).min(bytes_max);
        if too_long {
            self.refuse_reply(client, out);
        }
        too_long
    }

    /// Bytes of output that the client may have now before it is closed.
    #[inline]
    pub(crate) fn reply_bytes_max(&self, client: &Client) -> usize {
        match self.output_limit(client).hard_bytes {
            0 => usize::MAX,
            hard => usize::try_from(hard)
                .unwrap_or(usize::MAX)
                .saturating_sub(client.in_flight),
        }
    }

    /// The reply has got too long: the client is to be closed, and nothing of it goes out any more.
    #[cold]
    pub(crate) fn refuse_reply(&mut self, client: &mut Client, out: &mut Reply) {
        // For the log: nothing of it was handed over.
        client.in_flight = client.in_flight.saturating_add(out.len());
        self.close_for_output(client);
        out.take_back_all();
    }
}
