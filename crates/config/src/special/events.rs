//! `notify-keyspace-events`.

use crate::problem::Problem;
use crate::row::{Kind, Phase};
use crate::setting::Setting;
use words::events::Classes;

impl Setting for Classes {
    fn read(&self, args: &[&[u8]], _kind: &Kind, _phase: Phase) -> Result<Self, Problem> {
        let &[letters] = args else {
            return Err(Problem::WrongArguments);
        };
        Self::from_letters(letters).ok_or(Problem::EventClass)
    }

    fn print(&self, _kind: &Kind) -> Vec<u8> {
        self.letters()
    }
}
