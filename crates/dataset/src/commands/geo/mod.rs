//! Places: sorted sets whose scores are geohashes.

mod add;
mod area;
mod hash;
mod lookup;
mod nearest;
mod search;

use super::Family;
use crate::call::{Args, Handler};
use crate::number;
use commandtable::Error;
use hash::{LATITUDE_MAX, LONGITUDE_MAX, Point};
use resp::Reply;
use std::io::Write;

const fn named(name: &'static str, handler: Handler) -> (&'static str, Handler) {
    (name, handler)
}

pub(super) static COMMANDS: Family = &[
    named("geoadd", add::geoadd),
    named("geodist", lookup::geodist),
    named("geohash", lookup::geohash),
    named("geopos", lookup::geopos),
    named("georadius", search::georadius),
    named("georadius_ro", search::georadius_ro),
    named("georadiusbymember", search::georadiusbymember),
    named("georadiusbymember_ro", search::georadiusbymember_ro),
    named("geosearch", search::geosearch),
    named("geosearchstore", search::geosearchstore),
];

/// Longest text of a coordinate or a distance, in bytes: a sign, eight digits, the point and 17 digits, with room to spare.
const TEXT_BYTES_MAX: usize = 48;

/// Two arguments that are a longitude and a latitude on the map.
fn point(longitude: &[u8], latitude: &[u8]) -> Result<Point, Error> {
    let point = Point {
        longitude: number::float(longitude)?,
        latitude: number::float(latitude)?,
    };
    if point.longitude.abs() > LONGITUDE_MAX || point.latitude.abs() > LATITUDE_MAX {
        return Err(Error::not_on_the_map(point.longitude, point.latitude));
    }
    Ok(point)
}

/// Metres in a unit.
fn unit(name: &[u8]) -> Result<f64, Error> {
    match name.to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(Error::GEO_UNIT),
    }
}

/// The arguments from `at` on; none if there are fewer.
fn from<'a>(args: Args<'a>, at: usize) -> Args<'a> {
    args.get(at..).unwrap_or(&[])
}

/// Writes a place: a pair of numbers with 17 digits behind the point, but for zeros at the end.
fn reply_point(out: &mut Reply, point: Point) {
    out.array(2);
    for degrees in [point.longitude, point.latitude] {
        with_text(format_args!("{degrees:.17}"), |text| {
            let end = text.iter().rposition(|digit| *digit != b'0');
            let text = &text[..end.map_or(0, |end| end + 1)];
            out.double(text.strip_suffix(b".").unwrap_or(text));
        });
    }
}

/// Writes a distance: a text, with four digits behind the point.
fn reply_distance(out: &mut Reply, distance: f64) {
    /// 10 to the power of the digits behind the point.
    const SCALE: f64 = 10_000.0;
    // Rounded as a whole number, which is not the same as rounding the digits of the fraction.
    let scaled = (distance * SCALE).round_ties_even() as u64;
    let (whole, fraction) = (scaled / SCALE as u64, scaled % SCALE as u64);
    with_text(format_args!("{whole}.{fraction:04}"), |text| out.bulk(text));
}

/// Shows the text of a number.
fn with_text(number: std::fmt::Arguments<'_>, show: impl FnOnce(&[u8])) {
    let mut text = [0; TEXT_BYTES_MAX];
    let mut rest = text.as_mut_slice();
    let written = rest.write_fmt(number);
    let room = rest.len();
    debug_assert!(written.is_ok(), "the number is longer than any");
    show(&text[..TEXT_BYTES_MAX - room]);
}

#[cfg(test)]
mod tests;
