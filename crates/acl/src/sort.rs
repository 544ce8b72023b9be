//! Keys that only the data tells: those of SORT's patterns, `BY weight_*` and `GET object_*`.

use crate::line::Line;
use crate::user::User;
use commandtable::{CommandInfo, Error};

/// `BY` with a star, and no right to read whatever key there is.
pub const SORT_BY_DENIED: Error =
    Error::Fixed("ERR BY option of SORT denied due to insufficient ACL permissions.");

/// `GET`, and no right to read whatever key there is.
pub const SORT_GET_DENIED: Error =
    Error::Fixed("ERR GET option of SORT denied due to insufficient ACL permissions.");

impl User {
    /// Whether the user may use the patterns of SORT or SORT_RO; any other command is let pass. The user may call the
    /// command, as [`Self::check`] has found.
    ///
    /// Options behind one that is wrong are not looked at: the command fails there.
    ///
    /// # Errors
    /// [`SORT_BY_DENIED`] or [`SORT_GET_DENIED`], whichever option comes first.
    pub fn check_sort<A: AsRef<[u8]>>(
        &self,
        command: &CommandInfo,
        args: &[A],
    ) -> Result<(), Error> {
        if self.may_everything() || !matches!(command.name, "sort" | "sort_ro") {
            return Ok(());
        }
        let Some(denied) = first_pattern(command, args) else {
            return Ok(());
        };
        if self.may_read_all_keys(command, args) {
            Ok(())
        } else {
            Err(denied)
        }
    }

    /// Whether one selector allows the command line and reading whatever key there is.
    fn may_read_all_keys<A: AsRef<[u8]>>(&self, command: &CommandInfo, args: &[A]) -> bool {
        let line = Line::new(command, args);
        self.selectors()
            .iter()
            .any(|selector| selector.reads_all_keys() && selector.judge(&line).is_ok())
    }
}

/// What is said when the first pattern that names keys is denied; `None` when there is none.
fn first_pattern<A: AsRef<[u8]>>(command: &CommandInfo, args: &[A]) -> Option<Error> {
    let mut rest = args.get(2..)?;
    loop {
        let (option, after) = rest.split_first()?;
        let is = |word: &str| option.as_ref().eq_ignore_ascii_case(word.as_bytes());
        let arguments = if is("asc") || is("desc") || is("alpha") {
            0
        } else if is("limit") {
            let numbers = after.get(..2)?;
            let is_number = |arg: &A| words::int::parse_i64(arg.as_ref()).is_some();
            if !numbers.iter().all(is_number) {
                return None;
            }
            2
        } else if is("store") && command.name == "sort" {
            1
        } else if is("by") {
            if after.first()?.as_ref().contains(&b'*') {
                return Some(SORT_BY_DENIED);
            }
            1
        } else if is("get") {
            after.first()?;
            return Some(SORT_GET_DENIED);
        } else {
            return None;
        };
        rest = after.get(arguments..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::NewChannels;
    use commandtable::find;

    fn checked(rules: &[&str], line: &str) -> Result<(), Error> {
        let mut user = User::new(b"u", NewChannels::None);
        for rule in rules {
            user.apply(rule.as_bytes(), NewChannels::None, &mut Vec::new())
                .unwrap();
        }
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        user.check_sort(find(args[0]).unwrap(), &args)
    }

    #[test]
    fn patterns_need_a_selector_that_reads_all() {
        let line = "sort a by w*";
        for (rules, wanted) in [
            (&["+@all", "~*", "&*"][..], Ok(())),
            (&["+sort", "~*"], Ok(())),
            (&["+sort", "%R~*", "%W~a"], Ok(())),
            (&["+sort", "%RW~*"], Ok(())),
            (&["+sort", "%W~*", "~a"], Err(SORT_BY_DENIED)),
            (&["+sort", "~a"], Err(SORT_BY_DENIED)),
            (&["+sort", "~a", "(+sort %R~*)"], Ok(())),
            (&["+sort", "~a", "(+get %R~*)"], Err(SORT_BY_DENIED)),
            (&["%R~*", "(+sort ~a)"], Err(SORT_BY_DENIED)),
        ] {
            assert_eq!(checked(rules, line), wanted, "{rules:?}");
        }
    }

    #[test]
    fn options_are_looked_at_in_turn() {
        for (line, wanted) in [
            ("sort a", Ok(())),
            ("sort a by nosort desc alpha limit 0 1 store b", Ok(())),
            ("sort a by w* get x", Err(SORT_BY_DENIED)),
            ("sort a GET # by w*", Err(SORT_GET_DENIED)),
            ("sort a BY x get y*->f", Err(SORT_GET_DENIED)),
            (
                "sort a desc asc alpha limit 0 1 store get get b",
                Err(SORT_GET_DENIED),
            ),
            ("sort_ro a by w*", Err(SORT_BY_DENIED)),
            // What fails for another reason.
            ("sort_ro a store b get c", Ok(())),
            ("sort a by", Ok(())),
            ("sort a get", Ok(())),
            ("sort a limit x 1 get y", Ok(())),
            ("sort a limit 1", Ok(())),
            ("sort a nonsense get y", Ok(())),
            ("mget a get by w*", Ok(())),
        ] {
            assert_eq!(checked(&["+@all", "~a", "~b"], line), wanted, "{line}");
        }
    }
}
