//! What new connections are made from.

use crate::cache::{Lifetime, Sessions, Tickets};
use crate::ciphers;
use crate::error::Error;
use crate::files;
use crate::protocols;
use crate::settings::{AuthClients, Outside, Settings};
use crate::verify::{Clients, Servers, Trust};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Tickets given to a client of TLS 1.3 after a handshake: each is good for one more.
const TICKETS_PER_HANDSHAKE: usize = 1;

/// What accepted connections are made from.
#[derive(Clone)]
pub struct ServerContext(pub(crate) Arc<ServerConfig>);

/// What outgoing connections are made from.
#[derive(Clone)]
pub struct ClientContext(pub(crate) Arc<ClientConfig>);

/// What the parameters and their files come to. Cheap to clone; a connection keeps what it was made from.
#[derive(Clone)]
pub struct Contexts {
    /// For each of `tls-auth-clients`: it may change at any time, without a file being read.
    no: ServerContext,
    yes: ServerContext,
    optional: ServerContext,
    client: ClientContext,
}

impl Contexts {
    /// Reads the files and makes contexts of them.
    ///
    /// # Errors
    /// A parameter or a file cannot be used.
    pub fn load(settings: &Settings, outside: &dyn Outside) -> Result<Self, Error> {
        if settings.own.cert_file.as_os_str().is_empty() {
            return Err(Error::NoCertFile);
        }
        if settings.own.key_file.as_os_str().is_empty() {
            return Err(Error::NoKeyFile);
        }
        let trusts = [&settings.ca_cert_file, &settings.ca_cert_dir]
            .iter()
            .any(|path| !path.as_os_str().is_empty());
        if settings.verifies && !trusts {
            return Err(Error::NoAuthority);
        }
        let versions = protocols::versions(&settings.protocols)?;
        let suites = ciphers::suites(&settings.ciphers, &settings.ciphersuites)?;
        let provider = Arc::new(CryptoProvider {
            cipher_suites: suites,
            ..ring::default_provider()
        });
        let own = Arc::new(files::certified_key(&settings.own, outside, &provider)?);
        let shown = match settings.client.is_set() {
            true => Arc::new(files::certified_key(&settings.client, outside, &provider)?),
            false => Arc::clone(&own),
        };
        let trust = Trust::new(
            &files::authorities(settings, outside)?,
            settings.strict_certificates,
            &provider,
        );
        files::check_dh_params(&settings.dh_params_file, outside)?;
        let maker = Maker {
            settings,
            clock: outside.clock(),
            trust: Arc::new(trust),
            versions,
            provider,
        };
        Ok(Contexts {
            no: maker.server(&own, AuthClients::No)?,
            yes: maker.server(&own, AuthClients::Yes)?,
            optional: maker.server(&own, AuthClients::Optional)?,
            client: maker.client(shown)?,
        })
    }

    /// For a connection that is being accepted.
    pub fn server(&self, auth_clients: AuthClients) -> &ServerContext {
        match auth_clients {
            AuthClients::No => &self.no,
            AuthClients::Yes => &self.yes,
            AuthClients::Optional => &self.optional,
        }
    }

    /// For a connection that is being made.
    pub fn client(&self) -> &ClientContext {
        &self.client
    }
}

/// What all contexts have in common.
struct Maker<'a> {
    settings: &'a Settings,
    clock: fn() -> u64,
    trust: Arc<Trust>,
    versions: Vec<&'static SupportedProtocolVersion>,
    provider: Arc<CryptoProvider>,
}

impl Maker<'_> {
    /// Each has a cache of its own: a session must not be taken up under another rule for clients than it was made under.
    fn server(
        &self,
        own: &Arc<CertifiedKey>,
        auth_clients: AuthClients,
    ) -> Result<ServerContext, Error> {
        let builder = ServerConfig::builder_with_details(
            Arc::clone(&self.provider),
            Arc::new(Clock(self.clock)),
        )
        .with_protocol_versions(&self.versions)
        .map_err(unusable)?;
        let builder = match auth_clients {
            AuthClients::No => builder.with_no_client_auth(),
            AuthClients::Yes | AuthClients::Optional => {
                builder.with_client_cert_verifier(Arc::new(Clients {
                    trust: Arc::clone(&self.trust),
                    mandatory: auth_clients == AuthClients::Yes,
                }))
            }
        };
        let resolver = SingleCertAndKey::from(Arc::clone(own));
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.ignore_client_order = self.settings.prefer_server_ciphers;
        if self.settings.session_caching {
            let lifetime = Lifetime {
                clock: self.clock,
                timeout_s: self.settings.session_cache_timeout_s,
            };
            let sealed = ring::Ticketer::new().map_err(unusable)?;
            config.ticketer = Arc::new(Tickets { sealed, lifetime });
            config.session_storage =
                Arc::new(Sessions::new(self.settings.session_cache_size, lifetime));
            config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(ServerContext(Arc::new(config)))
    }

    fn client(&self, shown: Arc<CertifiedKey>) -> Result<ClientContext, Error> {
        let mut config = ClientConfig::builder_with_details(
            Arc::clone(&self.provider),
            Arc::new(Clock(self.clock)),
        )
        .with_protocol_versions(&self.versions)
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Servers(Arc::clone(&self.trust))))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        // Links are few and last.
        config.resumption = Resumption::disabled();
        Ok(ClientContext(Arc::new(config)))
    }
}

fn unusable(error: impl fmt::Display) -> Error {
    Error::Unusable(error.to_string())
}

/// The time as rustls asks for it.
struct Clock(fn() -> u64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs((self.0)())))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
