//! `bind`: addresses to listen on.

use crate::limits::BIND_ADDRESSES_MAX;
use crate::problem::Problem;
use crate::row::{Kind, Phase};
use crate::setting::Setting;
use crate::text::Text;

impl Setting for Vec<Text> {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        if args.len() > BIND_ADDRESSES_MAX {
            return Err(Problem::TooManyAddresses);
        }
        Ok(args.iter().map(|&address| Text::from(address)).collect())
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        self.iter()
            .map(Text::as_bytes)
            .collect::<Vec<_>>()
            .join(&b' ')
    }
}
