//! Users and the connections that are theirs: logins, the check of rights, and what becomes of connections when users
//! change.

use crate::client::{Client, ClientFlags};
use crate::commands::client::{cut_off, describe};
use crate::exec::{Args, Exec};
use crate::host::Level;
use crate::state::ServerState;
use acl::{ChannelKind, Denied, LogContext, LogEvent, LogReason, NewChannels, User, Users};
use commandtable::{CommandInfo, Error, Outcome};
use config::{AclPubsubDefault, Config};
use std::sync::Arc;

/// The channels of new users and selectors.
#[must_use]
pub fn new_channels(config: &Config) -> NewChannels {
    match config.acl_pubsub_default {
        AclPubsubDefault::Allchannels => NewChannels::All,
        AclPubsubDefault::Resetchannels => NewChannels::None,
    }
}

/// What is said of a file of users that cannot be read, for this reason.
#[must_use]
pub fn unreadable(name: &[u8], reason: &str) -> String {
    let name = String::from_utf8_lossy(name);
    format!("Error loading ACLs, opening file '{name}': {reason}")
}

impl ServerState {
    /// Whether the client has to log in before it may do anything else.
    pub(crate) fn needs_login(&self, client: &Client) -> bool {
        !client.authenticated && !self.users.default_user().is_open()
    }

    /// Tells the log of rules that will not be understood forever.
    pub(crate) fn warn_of_deprecated(&self, rules: &[Vec<u8>]) {
        for rule in rules {
            let line = acl::deprecation(rule);
            self.log(Level::Warning, &String::from_utf8_lossy(&line));
        }
    }
}

/// Logs the client in; `command` is the word that has asked for it.
///
/// # Errors
/// [`Error::WRONG_PASS`], which ACL LOG shows.
pub(crate) fn log_in(x: &mut Exec<'_>, command: &[u8], name: &[u8], password: &[u8]) -> Outcome {
    if let Some(user) = x.state.users.authenticate(name, password) {
        x.client.bind(user);
        x.client.authenticated = true;
        return Ok(());
    }
    record(x, LogReason::Auth, command, name);
    Err(Error::WRONG_PASS)
}

/// Whether the client's user, as it is now, may run the command. A refusal is entered in ACL LOG.
///
/// # Errors
/// What is missing.
#[inline]
pub(crate) fn check(x: &mut Exec<'_>, command: &CommandInfo, args: Args<'_>) -> Result<(), Denied> {
    if !x.client.flags.has(ClientFlags::RESTRICTED) {
        return Ok(());
    }
    x.client.user.check(command, args).inspect_err(|denied| {
        let user = Arc::clone(&x.client.user);
        let object = denied.object(command, args);
        record(x, LogReason::Denied(denied.reason), object, user.name());
    })
}

#[cold]
fn record(x: &mut Exec<'_>, reason: LogReason, object: &[u8], user: &[u8]) {
    let in_transaction = x.client.flags.has(ClientFlags::MULTI) || x.must_not_block();
    let client = describe(x.client, false);
    let event = LogEvent {
        reason,
        context: if in_transaction {
            LogContext::Multi
        } else {
            LogContext::TopLevel
        },
        object,
        user,
        client: client.as_bytes(),
    };
    let entries_max = usize::try_from(x.state.config.acllog_max_len).unwrap_or(usize::MAX);
    let now_ms = x.now_ms();
    x.state.acl_log.record(&event, now_ms, entries_max);
}

/// A user has been put in the place of another one, or is new: its connections are told. Those that listen to what it may
/// not hear any more are closed.
pub(crate) fn changed(x: &mut Exec<'_>, now: &Arc<User>) {
    for_each(x, |client| {
        if client.user.name() == now.name() {
            adopt(client, now)
        } else {
            Rights::Suffice
        }
    });
}

/// All users have been replaced: who was one that is there no more is closed.
pub(crate) fn replaced(x: &mut Exec<'_>, users: Users) {
    x.state.users = users;
    let users = x.state.users.clone();
    for_each(x, |client| match users.get(client.user.name()) {
        Some(now) => adopt(client, now),
        None => expel(client),
    });
}

/// Users are no more: their connections are closed.
pub(crate) fn removed(x: &mut Exec<'_>, gone: &[Arc<User>]) {
    for_each(x, |client| {
        if gone.iter().any(|user| user.name() == client.user.name()) {
            expel(client)
        } else {
            Rights::Suffice
        }
    });
}

/// Whether a connection outlives a change of users.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rights {
    Suffice,
    Lost,
}

/// Has the client be this user, who has its name.
fn adopt(client: &mut Client, now: &Arc<User>) -> Rights {
    let lost = !now.keeps_channels_of(&client.user) && !may_receive_all(now, client);
    client.bind(now);
    if lost { Rights::Lost } else { Rights::Suffice }
}

/// Leaves the client without any right for what it may have begun, as a transaction.
fn expel(client: &mut Client) -> Rights {
    let nobody = User::new(client.user.name(), NewChannels::None);
    client.bind(&Arc::new(nobody));
    Rights::Lost
}

fn may_receive_all(user: &User, client: &Client) -> bool {
    client.subscriptions.as_deref().is_none_or(|subs| {
        let all = |mut names: hashbrown::hash_set::Iter<'_, Box<[u8]>>, kind| {
            names.all(|name| user.may_receive(name, kind))
        };
        all(subs.channels.iter(), ChannelKind::Name)
            && all(subs.shard_channels.iter(), ChannelKind::Name)
            && all(subs.patterns.iter(), ChannelKind::Pattern)
    })
}

/// Decides about every connection: those of clients that go are closed, that of the running one after its reply. The link
/// to a primary is nobody's.
fn for_each(x: &mut Exec<'_>, mut decide: impl FnMut(&mut Client) -> Rights) {
    let ServerState { clients, host, .. } = &mut *x.state;
    for client in clients.iter_mut() {
        if decide(client) == Rights::Lost {
            cut_off(&mut **host, client);
        }
    }
    if !x.client.flags.has(ClientFlags::PRIMARY) && decide(x.client) == Rights::Lost {
        x.client.flags.set(ClientFlags::CLOSE_AFTER_REPLY);
    }
}
