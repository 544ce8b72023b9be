//! `bind`: addresses to listen on.

use crate::config::limits::BIND_ADDRESSES_MAX;
use crate::config::problem::Problem;
use crate::config::row::{Kind, Phase};
use crate::config::setting::Setting;
use crate::config::text::Text;

impl Setting for Vec<Text> {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        match args {
            // An empty string is how one says "listen nowhere" in a file.
            [b""] => Ok(Vec::new()),
            _ if args.len() > BIND_ADDRESSES_MAX => Err(Problem::TooManyAddresses),
            _ => Ok(args.iter().map(|&address| Text::from(address)).collect()),
        }
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        self.iter()
            .map(Text::as_bytes)
            .collect::<Vec<_>>()
            .join(&b' ')
    }
}
