//! `replicaof`: the primary to replicate.

use crate::problem::Problem;
use crate::row::{Kind, Phase};
use crate::setting::{Setting, lenient_integer};
use crate::text::Text;

/// Where a primary is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Host name or address.
    pub host: Text,
    /// TCP port.
    pub port: u16,
}

impl Setting for Option<Primary> {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        let &[host, port] = args else {
            return Err(Problem::WrongArguments);
        };
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            return Ok(None);
        }
        let port = lenient_integer(port)
            .and_then(|port| u16::try_from(port).ok())
            .ok_or(Problem::PrimaryPort)?;
        Ok((!host.is_empty()).then(|| Primary {
            host: Text::from(host),
            port,
        }))
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        match self {
            Some(primary) => {
                [primary.host.as_bytes(), primary.port.to_string().as_bytes()].join(&b' ')
            }
            None => Vec::new(),
        }
    }
}
