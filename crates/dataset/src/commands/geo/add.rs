//! GEOADD.

use super::hash::{Cell, STEPS_MAX};
use super::{from, point};
use crate::call::{Args, Call};
use crate::commands::zsets;
use commandtable::{Error, Outcome};

/// `GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]`.
///
/// Reply: the number of new members, with CH also of moved ones.
/// Errors: WRONGTYPE, syntax, options that contradict, not a float, not on the map.
/// Propagates: `ZADD key [NX | XX] [CH] score member ...` when something changed.
/// Source: Valkey command reference, GEOADD (since 3.2.0).
pub(super) fn geoadd(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let (mut nx, mut xx) = (false, false);
    let is_option = |word: &&&[u8]| {
        nx |= word.eq_ignore_ascii_case(b"nx");
        xx |= word.eq_ignore_ascii_case(b"xx");
        [b"nx", b"xx", b"ch"]
            .iter()
            .any(|option| word.eq_ignore_ascii_case(*option))
    };
    let options = args[2..].iter().take_while(is_option).count();
    let (places, rest) = from(args, 2 + options).as_chunks::<3>();
    if !rest.is_empty() || nx && xx {
        return Err(Error::SYNTAX);
    }
    let mut scores = Vec::with_capacity(places.len());
    for [longitude, latitude, _] in places {
        let cell = Cell::at(point(longitude, latitude)?, STEPS_MAX);
        scores.push(cell.score().to_string());
    }
    let mut words: Vec<&[u8]> = Vec::with_capacity(2 + options + 2 * places.len());
    words.push(b"zadd");
    words.extend(&args[1..2 + options]);
    for ([_, _, member], score) in places.iter().zip(&scores) {
        words.extend([score.as_bytes(), *member]);
    }
    let before = x.keys.dirty;
    zsets::zadd(x, &words)?;
    if x.keys.dirty != before {
        // A score has one meaning everywhere; degrees would be computed with again.
        x.propagate_as(&words);
    }
    Ok(())
}
