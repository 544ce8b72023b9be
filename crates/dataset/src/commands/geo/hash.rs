//! Geohashes: a grid over the earth whose cells are numbers, longitude and latitude taking turns bit by bit.
//!
//! Knows nothing of keys, distances and replies. The arithmetic is that of the reference step by step, since its last digits
//! are seen by clients and decide which cell a place is in.
//! Source: Valkey documentation, GEOADD, GEOHASH; the reference's replies.

/// Largest longitude, in degrees; the smallest is its negative.
pub(super) const LONGITUDE_MAX: f64 = 180.0;
/// Largest latitude that the square map holds, in degrees; the smallest is its negative.
pub(super) const LATITUDE_MAX: f64 = 85.051_128_78;
/// How often the earth is halved in each direction for a score.
pub(super) const STEPS_MAX: u32 = 26;
/// The bits of latitude.
const LATITUDE_BITS: u64 = 0x5555_5555_5555_5555;
/// The bits of longitude.
const LONGITUDE_BITS: u64 = !LATITUDE_BITS;
/// The digits of a geohash as text.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Digits of a geohash as text.
pub(super) const TEXT_BYTES: usize = 11;

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

/// From here to there, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Span {
    const fn around_zero(max: f64) -> Self {
        Span { min: -max, max }
    }

    /// Which of `1 << steps` slices a number of the span is in; the upper end is in one more.
    fn slice(self, value: f64, steps: u32) -> u32 {
        let part = (value - self.min) / (self.max - self.min);
        (part * (1_u64 << steps) as f64) as u32
    }

    /// The ends of a slice, also of one beyond the span.
    fn of_slice(self, slice: u32, steps: u32) -> Self {
        let slices = (1_u64 << steps) as f64;
        let width = self.max - self.min;
        let end = |slice: u32| self.min + (f64::from(slice) / slices) * width;
        Span {
            min: end(slice),
            max: end(slice.wrapping_add(1)),
        }
    }

    fn middle(self) -> f64 {
        (self.min + self.max) / 2.0
    }
}

const LONGITUDES: Span = Span::around_zero(LONGITUDE_MAX);
const LATITUDES: Span = Span::around_zero(LATITUDE_MAX);
/// Latitudes of the geohashes that others use.
const ALL_LATITUDES: Span = Span::around_zero(90.0);

/// A rectangle between degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) longitude: Span,
    pub(super) latitude: Span,
}

/// Which way to a neighbour, along one of the directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// To the west or the south.
    Down,
    Stay,
    /// To the east or the north.
    Up,
}

/// A cell of the grid: `bits` holds `steps` pairs of a bit of longitude and one of latitude.
///
/// What lies on the outermost east or north has a bit more, as in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    bits: u64,
    steps: u32,
}

impl Cell {
    /// The cell that a place is in.
    pub(super) fn at(point: Point, steps: u32) -> Self {
        Cell::between(point, steps, LATITUDES)
    }

    fn between(point: Point, steps: u32, latitudes: Span) -> Self {
        let latitude = latitudes.slice(point.latitude, steps);
        let longitude = LONGITUDES.slice(point.longitude, steps);
        Cell {
            bits: spread(latitude) | spread(longitude) << 1,
            steps,
        }
    }

    /// The cell of a score. Any number may have been given to ZADD.
    pub(super) fn of_score(score: f64) -> Self {
        /// 2^63.
        const TOP: f64 = 9_223_372_036_854_775_808.0;
        // What the processor makes of numbers that are no geohash is seen by clients of the reference: those below zero are
        // taken as a two's complement, those out of every range as a top bit, or as nothing if they are above.
        let low = |score: f64| {
            if (-TOP..TOP).contains(&score) {
                score as i64 as u64
            } else {
                1 << 63
            }
        };
        let bits = if score >= TOP {
            low(score - TOP) ^ (1 << 63)
        } else {
            low(score)
        };
        Cell {
            bits,
            steps: STEPS_MAX,
        }
    }

    /// The cell as the score of a place in it.
    pub(super) fn score(self) -> u64 {
        self.bits << (2 * (STEPS_MAX - self.steps))
    }

    /// The scores of the places in it, from the first to before the second.
    pub(super) fn scores(self) -> (f64, f64) {
        let next = Cell {
            bits: self.bits + 1,
            ..self
        };
        (self.score() as f64, next.score() as f64)
    }

    /// Where it is.
    pub(super) fn area(self) -> Area {
        Area {
            longitude: LONGITUDES.of_slice(gather(self.bits >> 1), self.steps),
            latitude: LATITUDES.of_slice(gather(self.bits), self.steps),
        }
    }

    /// Its middle, on the map in any case.
    pub(super) fn middle(self) -> Point {
        let area = self.area();
        Point {
            longitude: area.longitude.middle().clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: area.latitude.middle().clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }

    /// The cell beside it; on the edges of the map the one on the other side.
    pub(super) fn neighbour(self, longitude: Move, latitude: Move) -> Self {
        let bits = shift(self.bits, longitude, LONGITUDE_BITS, self.steps);
        Cell {
            bits: shift(bits, latitude, LATITUDE_BITS, self.steps),
            ..self
        }
    }
}

/// Counts the bits of `lane` up or down by one, with what the other bits say left alone; there are `steps` of each.
fn shift(bits: u64, by: Move, lane: u64, steps: u32) -> u64 {
    let used = u64::MAX >> (64 - 2 * steps);
    let (own, other) = (bits & lane, bits & !lane);
    // The foreign bits between are ones where a carry has to get through, and zeros where a borrow has to.
    let filler = !lane & used;
    let moved = match by {
        Move::Stay => return bits,
        Move::Up => own.wrapping_add(filler + 1),
        Move::Down => (own | filler).wrapping_sub(filler + 1),
    };
    moved & lane & used | other
}

/// Moves bit n of a number to bit 2n.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & LATITUDE_BITS
}

/// Moves bit 2n to bit n; the others are lost.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & LATITUDE_BITS;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}

/// The geohash that others understand: between the poles, five bits a digit. The last digit has too few bits and is 0.
pub(super) fn text(point: Point) -> [u8; TEXT_BYTES] {
    let bits = Cell::between(point, STEPS_MAX, ALL_LATITUDES).bits;
    let mut text = [DIGITS[0]; TEXT_BYTES];
    let mut below = 2 * STEPS_MAX;
    for digit in &mut text[..TEXT_BYTES - 1] {
        below -= 5;
        *digit = DIGITS[(bits >> below) as usize & 31];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Cell, LATITUDE_MAX, Move, Point, gather, spread, text};

    fn point(longitude: f64, latitude: f64) -> Point {
        Point {
            longitude,
            latitude,
        }
    }

    #[test]
    fn bits_spread_and_gather_as_one_by_one() {
        let mut number: u32 = 1;
        for _ in 0..10_000 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let plain = (0..32).fold(0, |bits, n| bits | u64::from(number >> n & 1) << (2 * n));
            assert_eq!(spread(number), plain);
            assert_eq!(gather(plain), number);
            assert_eq!(gather(plain | !plain << 1 & !super::LATITUDE_BITS), number);
        }
    }

    #[test]
    fn scores_and_texts_are_those_of_the_reference() {
        let palermo = Cell::at(point(13.361_389, 38.115_556), 26);
        assert_eq!(palermo.score(), 3_479_099_956_230_698);
        assert_eq!(Cell::of_score(palermo.score() as f64), palermo);
        assert_eq!(&text(palermo.middle()), b"sqc8b49rny0");
        let far = Cell::at(point(180.0, LATITUDE_MAX), 26);
        assert_eq!(far.score(), 3 << 52);
        assert_eq!(far.middle(), point(180.0, LATITUDE_MAX));
    }

    #[test]
    fn any_score_is_somewhere() {
        let corner = point(180.0, LATITUDE_MAX);
        assert_eq!(Cell::of_score(-1.0).middle(), corner);
        let origin = Cell::of_score(0.0).middle();
        assert_eq!(Cell::of_score(f64::INFINITY).middle(), origin);
        assert_eq!(Cell::of_score(1e30).middle(), origin);
        assert_eq!(
            Cell::of_score(f64::NEG_INFINITY).middle(),
            point(180.0, origin.latitude)
        );
    }

    #[test]
    fn neighbours_touch_and_wrap() {
        for steps in [1, 2, 13, 26] {
            let cell = Cell::at(point(12.0, 55.0), steps);
            let east = cell.neighbour(Move::Up, Move::Stay);
            let slices = 1_u64 << steps;
            let (here, there) = (gather(cell.bits >> 1), gather(east.bits >> 1));
            assert_eq!(u64::from(there), (u64::from(here) + 1) % slices);
            assert_eq!(gather(east.bits), gather(cell.bits));
            assert_eq!(east.neighbour(Move::Down, Move::Stay), cell);
            let mut south = cell;
            for _ in 0..slices.min(64) {
                south = south.neighbour(Move::Stay, Move::Down);
            }
            if slices <= 64 {
                assert_eq!(south, cell);
            }
        }
    }
}
