//! LOLWUT: a picture, for the versions that had one.

use super::Family;
use crate::exec::{Args, Exec};
use commandtable::{Error, Outcome};
use dataset::Random;

pub(super) static COMMANDS: Family = &[("lolwut", lolwut)];

/// Most lines of a picture: the arguments alone would allow hundreds of megabytes.
const LINES_MAX: usize = 1000;

/// `LOLWUT [VERSION version [argument ...]]`: a picture for the versions that had one, and our version.
///
/// The arguments of version 5 are columns, squares per row and squares per column; those of version 6 columns and rows.
/// What is out of bounds is moved inside, what is too much is ignored.
///
/// Reply: text.
/// Errors: a version or an argument that is no number.
/// Propagates: nothing.
/// Source: Valkey command reference, LOLWUT (since 5.0.0).
fn lolwut(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let (version, sizes) = match args {
        [_, word, version, sizes @ ..] if word.eq_ignore_ascii_case(b"version") => {
            (dataset::number::int(version)?, sizes)
        }
        _ => (0, &[][..]),
    };
    let mut text = match version {
        5 => {
            let columns = size(sizes, 0, 66, 1000)?;
            let across = size(sizes, 1, 8, 200)?;
            let down = size(sizes, 2, 12, 200)?;
            let mut text = schotter(columns, across, down, &mut x.keys.rng);
            text.push_str("\nGeorg Nees - schotter, plotter on paper, 1968. ");
            text
        }
        6 => {
            let columns = size(sizes, 0, 80, 1000)?;
            let rows = size(sizes, 1, 20, LINES_MAX)?;
            let mut text = key_space(columns, rows);
            text.push('\n');
            text
        }
        _ => String::new(),
    };
    text.push_str(&format!("Redis ver. {}\n", words::version::VALKEY));
    x.out.verbatim(*b"txt", text.as_bytes());
    Ok(())
}

/// The argument at `index`, from 1 to `most`.
fn size(args: Args<'_>, index: usize, usual: usize, most: usize) -> Result<usize, Error> {
    let Some(text) = args.get(index) else {
        return Ok(usual);
    };
    let number = dataset::number::int(text)?.max(1);
    Ok(usize::try_from(number).map_or(most, |number| number.min(most)))
}

/// A canvas of dots, each character of the text holding two by four of them.
struct Canvas {
    width: usize,
    height: usize,
    dots: Vec<bool>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Canvas {
            width,
            height,
            dots: vec![false; width * height],
        }
    }

    /// Sets a dot; nothing happens outside.
    fn dot(&mut self, x: f64, y: f64) {
        let (x, y) = (x.round(), y.round());
        if x >= 0.0 && y >= 0.0 && x < self.width as f64 && y < self.height as f64 {
            self.dots[y as usize * self.width + x as usize] = true;
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (across, down) = (to.0 - from.0, to.1 - from.1);
        let steps = across.abs().max(down.abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let part = step as f64 / steps;
            self.dot(from.0 + across * part, from.1 + down * part);
        }
    }

    fn is_set(&self, x: usize, y: usize) -> bool {
        x < self.width && y < self.height && self.dots[y * self.width + x]
    }

    fn text(&self) -> String {
        // The bits of a Braille pattern, by column and row of its dots.
        const BITS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        let mut text = String::new();
        for top in (0..self.height).step_by(4) {
            for left in (0..self.width).step_by(2) {
                let mut pattern = 0x2800;
                for (column, bits) in BITS.iter().enumerate() {
                    for (row, bit) in bits.iter().enumerate() {
                        if self.is_set(left + column, top + row) {
                            pattern |= bit;
                        }
                    }
                }
                text.extend(char::from_u32(pattern));
            }
            text.push('\n');
        }
        text
    }
}

/// Squares in rows that fall into disorder from top to bottom, as in the print by Georg Nees.
fn schotter(columns: usize, across: usize, down: usize, rng: &mut Random) -> String {
    let width = 2 * columns;
    let margin = if columns > 4 { 2.0 } else { 0.0 };
    let side = (width as f64 - 2.0 * margin) / across as f64;
    let height = (side * down as f64 + 2.0 * margin) as usize;
    let mut canvas = Canvas::new(width, height.clamp(1, 4 * LINES_MAX));
    for row in 0..down {
        // The upper third stands in order.
        let disorder = ((row as f64 / down as f64) * 1.5 - 0.5).max(0.0);
        for column in 0..across {
            let mut random = |most: f64| (2.0 * rng.unit() - 1.0) * most * disorder;
            let centre = (
                margin + (column as f64 + 0.5) * side + random(side / 3.0),
                margin + (row as f64 + 0.5) * side + random(side / 3.0),
            );
            let turn = std::f64::consts::FRAC_PI_4 + random(std::f64::consts::FRAC_PI_4);
            let radius = side * std::f64::consts::FRAC_1_SQRT_2;
            let corner = |number: u8| {
                let angle = turn + f64::from(number) * std::f64::consts::FRAC_PI_2;
                (
                    centre.0 + radius * angle.cos(),
                    centre.1 + radius * angle.sin(),
                )
            };
            for number in 0..4 {
                canvas.line(corner(number), corner(number + 1));
            }
        }
    }
    canvas.text()
}

/// A key on a chequered ground: a ring, a shaft and a bit.
fn key_space(columns: usize, rows: usize) -> String {
    let mut text = String::new();
    for row in 0..rows {
        for column in 0..columns {
            // On a ground of 48 by 32 units.
            let across = (column * 48 / columns) as i64 - 12;
            let down = (row * 32 / rows) as i64 - 16;
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
    use super::*;
    use crate::testing::check;

    #[test]
    fn lolwut_ends_with_the_version() {
        check(
            r#"
            > LOLWUT
            < "Redis ver. 8.0.1\n"
            > LOLWUT VERSION x
            < (error) ERR value is not an integer or out of range
            > LOLWUT VERSION 5 1 x
            < (error) ERR value is not an integer or out of range
            > LOLWUT VERSION 6 2 1
            < "..\n\nRedis ver. 8.0.1\n"
            "#,
        );
    }

    #[test]
    fn pictures_are_as_large_as_they_are_asked_for() {
        let mut rng = Random::new(1);
        // Sizes that the reference's pictures have.
        for (columns, across, down, lines) in [
            (66, 8, 12, 49),
            (1, 1, 1, 1),
            (1, 8, 12, 1),
            (10, 3, 2, 4),
            (10, 10, 10, 5),
            (1000, 200, 200, 500),
            (1000, 1, 200, LINES_MAX),
        ] {
            let text = schotter(columns, across, down, &mut rng);
            assert_eq!(text.lines().count(), lines, "{columns} {across} {down}");
            assert!(text.lines().all(|line| line.chars().count() == columns));
        }
        assert_eq!(key_space(80, 20).lines().count(), 20);
    }

    #[test]
    fn the_first_squares_stand_in_order() {
        let text = schotter(6, 2, 1, &mut Random::new(1));
        // A margin of two dots, then two squares of four.
        assert_eq!(
            text,
            "\u{2800}\u{2864}\u{2824}\u{2864}\u{2824}\u{2844}\n\u{2800}\u{2827}\u{2824}\u{2827}\u{2824}\u{2807}\n"
        );
    }
}
