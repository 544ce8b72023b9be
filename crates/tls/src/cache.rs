//! Sessions to be taken up again: none is older than `tls-session-cache-timeout`.
//!
//! Clients that can carry a ticket carry their session themselves, sealed with a key of ours. For the others it is kept here,
//! at most as many as `tls-session-cache-size` says; the oldest go first.

use rustls::server::{ProducesTickets, StoresServerSessions};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The most sessions that are kept, whatever the parameter says.
pub(crate) const SESSIONS_MAX: usize = 1 << 20;
/// Bytes of the time in front of a session.
const TIME_BYTES: usize = 8;

/// How long a session may be taken up again.
#[derive(Clone, Copy)]
pub(crate) struct Lifetime {
    pub(crate) clock: fn() -> u64,
    /// Seconds.
    pub(crate) timeout_s: u64,
}

impl Lifetime {
    /// A session with the time in front of it.
    fn dated(&self, session: &[u8]) -> Vec<u8> {
        let mut dated = (self.clock)().to_le_bytes().to_vec();
        dated.extend_from_slice(session);
        dated
    }

    /// The session behind a time, unless that is too long ago.
    fn undated(&self, dated: &[u8]) -> Option<Vec<u8>> {
        let (time, session) = dated.split_first_chunk::<TIME_BYTES>()?;
        let age_s = (self.clock)().saturating_sub(u64::from_le_bytes(*time));
        (age_s <= self.timeout_s).then(|| session.to_vec())
    }
}

impl fmt::Debug for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.timeout_s)
    }
}

/// Tickets that run out.
#[derive(Debug)]
pub(crate) struct Tickets {
    pub(crate) sealed: Arc<dyn ProducesTickets>,
    pub(crate) lifetime: Lifetime,
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.sealed.enabled()
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.lifetime.timeout_s)
            .unwrap_or(u32::MAX)
            .min(self.sealed.lifetime())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.sealed.encrypt(&self.lifetime.dated(plain))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.lifetime.undated(&self.sealed.decrypt(cipher)?)
    }
}

/// Sessions kept for clients that carry no ticket.
pub(crate) struct Sessions {
    max: usize,
    lifetime: Lifetime,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Vec<u8>, Vec<u8>>,
    /// Keys, the oldest first. Some may be gone.
    order: VecDeque<Vec<u8>>,
}

impl Sessions {
    pub(crate) fn new(size: usize, lifetime: Lifetime) -> Self {
        let max = if size == 0 {
            SESSIONS_MAX
        } else {
            size.min(SESSIONS_MAX)
        };
        Sessions {
            max,
            lifetime,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // What it holds is right between any two of its changes.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let mut kept = self.kept();
        while kept.order.len() >= self.max {
            if let Some(oldest) = kept.order.pop_front() {
                kept.by_key.remove(&oldest);
            }
        }
        kept.order.push_back(key.clone());
        kept.by_key.insert(key, self.lifetime.dated(&value));
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.lifetime.undated(self.kept().by_key.get(key)?)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.lifetime.undated(&self.kept().by_key.remove(key)?)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} sessions for {:?}", self.max, self.lifetime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    static NOW: AtomicU64 = AtomicU64::new(1000);

    fn lifetime() -> Lifetime {
        Lifetime {
            clock: || NOW.load(Ordering::Relaxed),
            timeout_s: 300,
        }
    }

    #[test]
    fn sessions_run_out_and_the_oldest_go_first() {
        let sessions = Sessions::new(2, lifetime());
        for key in [1, 2, 3] {
            assert!(sessions.put(vec![key], vec![key; 3]));
        }
        assert_eq!(sessions.get(&[1]), None);
        assert_eq!(sessions.take(&[2]), Some(vec![2; 3]));
        assert_eq!(sessions.take(&[2]), None);
        let tickets = Tickets {
            sealed: rustls::crypto::ring::Ticketer::new().unwrap(),
            lifetime: lifetime(),
        };
        assert_eq!(tickets.lifetime(), 300);
        let ticket = tickets.encrypt(b"session").unwrap();
        NOW.store(1300, Ordering::Relaxed);
        assert_eq!(sessions.get(&[3]), Some(vec![3; 3]));
        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        NOW.store(1301, Ordering::Relaxed);
        assert_eq!(sessions.get(&[3]), None);
        assert_eq!(tickets.decrypt(&ticket), None);
        NOW.store(1000, Ordering::Relaxed);
    }
}
