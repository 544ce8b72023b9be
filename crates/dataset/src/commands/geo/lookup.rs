//! Commands that look at single places.

use super::area::distance;
use super::hash::{self, Cell};
use super::{reply_distance, reply_point, unit};
use crate::call::{Args, Call};
use commandtable::{Error, Outcome};

/// `GEODIST key member1 member2 [M | KM | FT | MI]`.
///
/// Reply: the distance as a text with four digits behind the point; null when one of the members is missing.
/// Errors: WRONGTYPE, syntax, a unit nobody knows.
/// Propagates: nothing.
/// Source: Valkey command reference, GEODIST (since 3.2.0).
pub(super) fn geodist(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let unit = match &args[4..] {
        [] => 1.0,
        [name] => unit(name)?,
        _ => return Err(Error::SYNTAX),
    };
    let zset = x.keys.zset(args[1])?;
    let place = |member| {
        let score = zset.and_then(|zset| zset.score(member))?;
        Some(Cell::of_score(score).middle())
    };
    match (place(args[2]), place(args[3])) {
        (Some(a), Some(b)) => reply_distance(x.out, distance(a, b) / unit),
        _ => x.out.null(),
    }
    Ok(())
}

/// `GEOHASH key [member ...]`.
///
/// Reply: an array of geohashes as others understand them, null for members that are missing.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, GEOHASH (since 3.2.0).
pub(super) fn geohash(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let zset = x.keys.zset(args[1])?;
    x.out.array(args.len() - 2);
    for member in &args[2..] {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => x.out.bulk(&hash::text(Cell::of_score(score).middle())),
            None => x.out.null(),
        }
    }
    Ok(())
}

/// `GEOPOS key [member ...]`.
///
/// Reply: an array of pairs of longitude and latitude, null (an array's) for members that are missing.
/// Errors: WRONGTYPE.
/// Propagates: nothing.
/// Source: Valkey command reference, GEOPOS (since 3.2.0).
pub(super) fn geopos(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    let zset = x.keys.zset(args[1])?;
    x.out.array(args.len() - 2);
    for member in &args[2..] {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => reply_point(x.out, Cell::of_score(score).middle()),
            None => x.out.null_array(),
        }
    }
    Ok(())
}
