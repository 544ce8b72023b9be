//! Commands about the server as a whole.

use super::Family;
use crate::exec::{Args, Exec};
use commandtable::Outcome;
use words::version;

pub(super) static COMMANDS: Family = &[("lolwut", lolwut)];

/// Columns of the picture.
const PICTURE_COLUMNS: i64 = 48;
/// Rows of the picture.
const PICTURE_ROWS: i64 = 16;

/// `LOLWUT [VERSION version [argument ...]]`: a picture for the versions that had one, and our version.
///
/// Reply: text.
/// Errors: a version that is no number.
/// Propagates: nothing.
/// Source: Valkey command reference, LOLWUT (since 5.0.0).
fn lolwut(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let version = match args {
        [_, word, version, ..] if word.eq_ignore_ascii_case(b"version") => {
            dataset::number::int(version)?
        }
        _ => 0,
    };
    let mut text = String::new();
    if matches!(version, 5 | 6) {
        text = key_space();
        text.push('\n');
    }
    text.push_str(&format!("Redis ver. {}\n", version::VALKEY));
    x.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

/// A key on a chequered ground: two circles, a shaft and a bit.
fn key_space() -> String {
    let mut text = String::new();
    for row in 0..PICTURE_ROWS {
        for column in 0..PICTURE_COLUMNS {
            // A character is about twice as high as wide.
            let (across, down) = (column - 12, 2 * (row - 8));
            let from_ring = across * across + down * down;
            let ring = (24..=100).contains(&from_ring);
            let shaft = (10..=32).contains(&across) && (-2..=1).contains(&down);
            let bit = (26..=32).contains(&across) && (0..=6).contains(&down) && across % 3 != 2;
            text.push(if ring || shaft || bit {
                '#'
            } else if (row + column / 2) % 2 == 0 {
                '.'
            } else {
                ' '
            });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn lolwut_ends_with_the_version() {
        check(
            r#"
            > LOLWUT
            < "Redis ver. 8.0.1\n"
            > LOLWUT VERSION x
            < (error) ERR value is not an integer or out of range
            "#,
        );
    }
}
