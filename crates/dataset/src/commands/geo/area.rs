//! Shapes on the earth: who is in them, how far from their middle, and which cells of the grid cover them.
//!
//! The earth is a ball. Knows nothing of keys and replies. As in [`super::hash`], the arithmetic is the reference's.
//! Source: Valkey documentation, GEODIST, GEOSEARCH; the reference's replies.

use super::hash::{Area, Cell, Move, Point, STEPS_MAX, Span};

/// Radius of the earth, in metres.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
/// Half of the map's width at the equator, in metres.
const MAP_HALF: f64 = 20_037_726.37;

fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

/// How far two places are apart on the ball, in metres.
pub(super) fn distance(a: Point, b: Point) -> f64 {
    let v = ((radians(b.longitude) - radians(a.longitude)) / 2.0).sin();
    if v == 0.0 {
        return distance_of_latitudes(a.latitude, b.latitude);
    }
    let (latitude_a, latitude_b) = (radians(a.latitude), radians(b.latitude));
    let u = ((latitude_b - latitude_a) / 2.0).sin();
    let square = u * u + latitude_a.cos() * latitude_b.cos() * v * v;
    // Rounding may make opposite places a little more than opposite, of which there is no arc.
    2.0 * EARTH_RADIUS * square.sqrt().min(1.0).asin()
}

fn distance_of_latitudes(a: f64, b: f64) -> f64 {
    EARTH_RADIUS * (radians(b) - radians(a)).abs()
}

/// The form that is searched; lengths in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

/// A form around a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) middle: Point,
    pub(super) form: Form,
}

impl Shape {
    /// How far a place is from the middle, in metres, if it is inside.
    pub(super) fn distance_inside(&self, point: Point) -> Option<f64> {
        match self.form {
            Form::Circle { radius } => {
                let distance = distance(self.middle, point);
                (distance <= radius).then_some(distance)
            }
            Form::Box { width, height } => {
                if distance_of_latitudes(point.latitude, self.middle.latitude) > height / 2.0 {
                    return None;
                }
                // Along the place's own circle of latitude.
                let beside = Point {
                    latitude: point.latitude,
                    ..self.middle
                };
                if distance(point, beside) > width / 2.0 {
                    return None;
                }
                Some(distance(self.middle, point))
            }
        }
    }

    /// Degrees that hold the shape, as far as one can tell. Beyond the map or no numbers where it is huge.
    fn bounds(&self) -> Area {
        let (half_width, half_height) = match self.form {
            Form::Circle { radius } => (radius, radius),
            Form::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let Point {
            longitude,
            latitude,
        } = self.middle;
        let up = degrees(half_height / EARTH_RADIUS);
        // The end nearer to a pole has the more degrees.
        let nearer = if latitude < 0.0 {
            latitude - up
        } else {
            latitude + up
        };
        let aside = degrees(half_width / EARTH_RADIUS / radians(nearer).cos());
        Area {
            longitude: Span {
                min: longitude - aside,
                max: longitude + aside,
            },
            latitude: Span {
                min: latitude - up,
                max: latitude + up,
            },
        }
    }

    /// How fine a grid may be for nine cells to cover the shape.
    fn steps(&self) -> u32 {
        let mut reach = match self.form {
            Form::Circle { radius } => radius,
            Form::Box { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        if reach == 0.0 {
            return STEPS_MAX;
        }
        let mut steps: i32 = 1;
        while reach < MAP_HALF {
            reach *= 2.0;
            steps += 1;
        }
        // The distance may be on either side of the middle.
        steps -= 2;
        // Towards the poles the map's cells are narrower than they look.
        if self.middle.latitude.abs() > 66.0 {
            steps -= 1;
            if self.middle.latitude.abs() > 80.0 {
                steps -= 1;
            }
        }
        steps.clamp(1, STEPS_MAX as i32) as u32
    }

    /// The cells in which to look for places, in the order of the reference, which is that of unsorted results.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell> {
        let bounds = self.bounds();
        let mut steps = self.steps();
        let mut middle = Cell::at(self.middle, steps);
        if steps > 1 && !reaches(middle, &bounds) {
            steps -= 1;
            middle = Cell::at(self.middle, steps);
        }
        let area = middle.area();
        // Where the middle cell alone goes beyond the shape, those on that side have nothing of it. Two cells a side are
        // each other's neighbours on both sides.
        let coarse = steps < 2;
        let useless = move |(longitude, latitude)| {
            let aside = match longitude {
                Move::Down => area.longitude.min < bounds.longitude.min,
                Move::Stay => false,
                Move::Up => area.longitude.max > bounds.longitude.max,
            };
            let beyond = match latitude {
                Move::Down => area.latitude.min < bounds.latitude.min,
                Move::Stay => false,
                Move::Up => area.latitude.max > bounds.latitude.max,
            };
            !coarse && (aside || beyond)
        };
        let around = AROUND
            .into_iter()
            .filter(move |to| !useless(*to))
            .map(move |(longitude, latitude)| middle.neighbour(longitude, latitude));
        let mut last = None;
        // In a coarse grid the neighbour on one side is the one on the other side, too, and they come in a row.
        let around = around.filter(move |cell| last.replace(*cell) != Some(*cell));
        std::iter::once(middle).chain(around)
    }
}

/// Whether a cell and those around it hold all of the bounds.
fn reaches(cell: Cell, bounds: &Area) -> bool {
    let beside = |longitude, latitude| cell.neighbour(longitude, latitude).area();
    // Bounds that are no numbers are as good as reached.
    !(beside(Move::Stay, Move::Up).latitude.max < bounds.latitude.max
        || beside(Move::Stay, Move::Down).latitude.min > bounds.latitude.min
        || beside(Move::Up, Move::Stay).longitude.max < bounds.longitude.max
        || beside(Move::Down, Move::Stay).longitude.min > bounds.longitude.min)
}

/// The cells around another one.
const AROUND: [(Move, Move); 8] = [
    (Move::Stay, Move::Up),
    (Move::Stay, Move::Down),
    (Move::Up, Move::Stay),
    (Move::Down, Move::Stay),
    (Move::Up, Move::Up),
    (Move::Down, Move::Up),
    (Move::Up, Move::Down),
    (Move::Down, Move::Down),
];

#[cfg(test)]
mod tests {
    use super::{EARTH_RADIUS, Form, Shape, distance};
    use crate::commands::geo::hash::Point;

    fn point(longitude: f64, latitude: f64) -> Point {
        Point {
            longitude,
            latitude,
        }
    }

    #[test]
    fn opposite_places_are_half_the_earth_apart() {
        let half = std::f64::consts::PI * EARTH_RADIUS;
        for tenth in -850..=850 {
            let latitude = f64::from(tenth) / 10.0;
            let far = distance(point(0.0, latitude), point(180.0, -latitude));
            assert!((far - half).abs() < 1.0, "{latitude}: {far}");
        }
        assert_eq!(distance(point(7.0, 8.0), point(7.0, 8.0)), 0.0);
    }

    #[test]
    fn every_place_inside_is_in_exactly_one_cell() {
        let mut state: u64 = 9;
        let mut unit = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut inside = 0;
        for _ in 0..20_000 {
            let middle = point(unit() * 340.0 - 170.0, unit() * 120.0 - 60.0);
            let reach = 10_f64.powf(unit() * 5.0);
            let form = if unit() < 0.5 {
                Form::Circle { radius: reach }
            } else {
                Form::Box {
                    width: reach,
                    height: 10_f64.powf(unit() * 5.0),
                }
            };
            let shape = Shape { middle, form };
            let spread = reach / 100_000.0;
            let place = point(
                middle.longitude + (unit() - 0.5) * spread,
                middle.latitude + (unit() - 0.5) * spread,
            );
            let place = super::Cell::at(place, super::STEPS_MAX);
            if shape.distance_inside(place.middle()).is_some() {
                inside += 1;
                let holds = |(min, max): (f64, f64)| (min..max).contains(&(place.score() as f64));
                let cells = shape.cells().filter(|cell| holds(cell.scores()));
                assert_eq!(cells.count(), 1, "{shape:?} {place:?}");
            }
        }
        assert!(inside > 5_000);
    }

    #[test]
    fn huge_and_no_numbers_have_cells_too() {
        for reach in [0.0, 1e-9, 1e8, 1e300, f64::INFINITY] {
            for latitude in [-85.0, -66.5, 0.0, 80.5, 85.05112878] {
                for form in [
                    Form::Circle { radius: reach },
                    Form::Box {
                        width: reach,
                        height: 1.0,
                    },
                ] {
                    let middle = point(180.0, latitude);
                    let cells = Shape { middle, form }.cells().count();
                    assert!((1..=9).contains(&cells));
                }
            }
        }
    }
}
