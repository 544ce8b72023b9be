//! Commands that search for places: GEOSEARCH and its elders.

use super::area::{Form, Shape};
use super::hash::{Cell, Point};
use super::nearest::sort_first;
use super::{point, reply_distance, reply_point, unit};
use crate::call::{Args, Call};
use crate::commands::hashes::reply_element;
use crate::notify::Event;
use crate::number;
use commandtable::{Error, Outcome};
use keyspace::zset::Builder;
use keyspace::{Element, Limits, ScoreRange, Value, ZSet, ZSetRef};
use std::cmp::Ordering;

/// Which command it is: what stands in front of the options, and which there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    /// GEORADIUS: a place and a radius; STORE if it may write.
    Radius { writes: bool },
    /// GEORADIUSBYMEMBER: a member and a radius; STORE if it may write.
    RadiusByMember { writes: bool },
    /// GEOSEARCH: all are options.
    Search,
    /// GEOSEARCHSTORE: the destination in front.
    SearchStore,
}

impl Command {
    /// Where the searched key stands.
    fn source(self) -> usize {
        if self == Command::SearchStore { 2 } else { 1 }
    }

    /// Whether place and shape are options.
    fn searches(self) -> bool {
        matches!(self, Command::Search | Command::SearchStore)
    }

    /// Whether STORE and STOREDIST name a destination.
    fn stores(self) -> bool {
        matches!(
            self,
            Command::Radius { writes: true } | Command::RadiusByMember { writes: true }
        )
    }
}

/// What the score of a stored member says.
#[derive(Clone, Copy)]
enum Stored {
    Place,
    Distance,
}

/// The order of results.
#[derive(Clone, Copy)]
enum Order {
    NearestFirst,
    FarthestFirst,
}

/// A parsed request.
struct Query<'a> {
    middle: Option<Point>,
    form: Option<Form>,
    /// Metres in the unit of the form, which is that of the results.
    unit: f64,
    with_distance: bool,
    with_hash: bool,
    with_point: bool,
    /// The most results.
    count: Option<usize>,
    /// Whichever results are found first will do.
    any: bool,
    order: Option<Order>,
    destination: Option<&'a [u8]>,
    stored: Stored,
}

/// A place that was found.
struct Hit<'a> {
    member: Element<'a>,
    score: f64,
    point: Point,
    /// Metres.
    distance: f64,
}

impl<'a> Query<'a> {
    /// Parses a request; a member that is named must be in `zset`, if there is one.
    fn parse(args: Args<'a>, command: Command, zset: Option<ZSetRef<'_>>) -> Result<Self, Error> {
        let mut query = Query {
            middle: None,
            form: None,
            unit: 1.0,
            with_distance: false,
            with_hash: false,
            with_point: false,
            count: None,
            any: false,
            order: None,
            destination: None,
            stored: Stored::Place,
        };
        let options = match command {
            Command::Radius { .. } => {
                query.middle = Some(point(args[2], args[3])?);
                query.circle(args[4], args[5])?;
                &args[6..]
            }
            Command::RadiusByMember { .. } => {
                query.middle = Some(place_of(zset, args[2])?);
                // Of a key that is missing nothing more is asked, not even a number.
                if zset.is_some() {
                    query.circle(args[3], args[4])?;
                }
                &args[5..]
            }
            Command::Search => &args[2..],
            Command::SearchStore => {
                query.destination = Some(args[1]);
                &args[3..]
            }
        };
        query.options(options, command, zset)?;
        query.check(args, command)?;
        Ok(query)
    }

    fn options(
        &mut self,
        mut rest: Args<'a>,
        command: Command,
        zset: Option<ZSetRef<'_>>,
    ) -> Result<(), Error> {
        // Of the two ways to name the middle only one may be used, but that again and again.
        let (mut by_member, mut by_place) = (false, false);
        while let Some((word, tail)) = rest.split_first() {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            rest = tail;
            match tail {
                _ if is("withdist") => self.with_distance = true,
                _ if is("withhash") => self.with_hash = true,
                _ if is("withcoord") => self.with_point = true,
                _ if is("any") => self.any = true,
                _ if is("asc") => self.order = Some(Order::NearestFirst),
                _ if is("desc") => self.order = Some(Order::FarthestFirst),
                [count, tail @ ..] if is("count") => {
                    let count = number::int(count)?;
                    if count <= 0 {
                        return Err(Error::GEO_COUNT);
                    }
                    self.count = Some(usize::try_from(count).unwrap_or(usize::MAX));
                    rest = tail;
                }
                [key, tail @ ..] if command.stores() && (is("store") || is("storedist")) => {
                    self.destination = Some(key);
                    self.stored = if is("store") {
                        Stored::Place
                    } else {
                        Stored::Distance
                    };
                    rest = tail;
                }
                _ if command == Command::SearchStore && is("storedist") => {
                    self.stored = Stored::Distance;
                }
                [member, tail @ ..] if command.searches() && is("frommember") && !by_place => {
                    by_member = true;
                    self.middle = Some(place_of(zset, member)?);
                    rest = tail;
                }
                [longitude, latitude, tail @ ..]
                    if command.searches() && is("fromlonlat") && !by_member =>
                {
                    by_place = true;
                    self.middle = Some(point(longitude, latitude)?);
                    rest = tail;
                }
                [radius, unit, tail @ ..]
                    if command.searches()
                        && is("byradius")
                        && !matches!(self.form, Some(Form::Box { .. })) =>
                {
                    self.circle(radius, unit)?;
                    rest = tail;
                }
                [width, height, unit, tail @ ..]
                    if command.searches()
                        && is("bybox")
                        && !matches!(self.form, Some(Form::Circle { .. })) =>
                {
                    self.rectangle(width, height, unit)?;
                    rest = tail;
                }
                _ => return Err(Error::SYNTAX),
            }
        }
        Ok(())
    }

    fn circle(&mut self, radius: &[u8], name: &[u8]) -> Result<(), Error> {
        let radius = number::float(radius).map_err(|_| Error::GEO_RADIUS_NOT_A_FLOAT)?;
        if radius < 0.0 {
            return Err(Error::GEO_RADIUS_NEGATIVE);
        }
        self.unit = unit(name)?;
        let radius = radius * self.unit;
        self.form = Some(Form::Circle { radius });
        Ok(())
    }

    fn rectangle(&mut self, width: &[u8], height: &[u8], name: &[u8]) -> Result<(), Error> {
        let width = number::float(width).map_err(|_| Error::GEO_WIDTH_NOT_A_FLOAT)?;
        let height = number::float(height).map_err(|_| Error::GEO_HEIGHT_NOT_A_FLOAT)?;
        if width < 0.0 || height < 0.0 {
            return Err(Error::GEO_BOX_NEGATIVE);
        }
        self.unit = unit(name)?;
        self.form = Some(Form::Box {
            width: width * self.unit,
            height: height * self.unit,
        });
        Ok(())
    }

    /// Refuses what contradicts itself or is missing; decides the order.
    fn check(&mut self, args: Args<'_>, command: Command) -> Result<(), Error> {
        if self.destination.is_some() && (self.with_distance || self.with_hash || self.with_point) {
            return Err(if command == Command::SearchStore {
                Error::GEOSEARCHSTORE_WITH
            } else {
                Error::GEORADIUS_STORE_WITH
            });
        }
        if command.searches() && self.middle.is_none() {
            return Err(Error::geo_one_of("FROMMEMBER or FROMLONLAT", args[0]));
        }
        if command.searches() && self.form.is_none() {
            return Err(Error::geo_one_of("BYRADIUS and BYBOX", args[0]));
        }
        if self.any && self.count.is_none() {
            return Err(Error::GEO_ANY_WITHOUT_COUNT);
        }
        if self.order.is_none() && self.count.is_some() && !self.any {
            self.order = Some(Order::NearestFirst);
        }
        Ok(())
    }

    /// The results in order.
    fn run<'z>(&self, zset: ZSetRef<'z>) -> Vec<Hit<'z>> {
        let (Some(middle), Some(form)) = (self.middle, self.form) else {
            return Vec::new();
        };
        let shape = Shape { middle, form };
        let count = self.count.unwrap_or(usize::MAX);
        let enough = if self.any { count } else { usize::MAX };
        let inside = |(member, score)| {
            let point = Cell::of_score(score).middle();
            let distance = shape.distance_inside(point)?;
            Some(Hit {
                member,
                score,
                point,
                distance,
            })
        };
        let places = shape.cells().flat_map(|cell| {
            let (min, max) = cell.scores();
            let range = ScoreRange {
                min,
                max,
                min_exclusive: false,
                max_exclusive: true,
            };
            zset.by_score(&range, 0, usize::MAX, false)
        });
        let mut hits: Vec<Hit<'z>> = places.filter_map(inside).take(enough).collect();
        let by_distance = |a: &Hit<'_>, b: &Hit<'_>| {
            // No distance is NaN.
            a.distance
                .partial_cmp(&b.distance)
                .unwrap_or(Ordering::Equal)
        };
        match self.order {
            None => {}
            Some(Order::NearestFirst) => sort_first(&mut hits, count, by_distance),
            Some(Order::FarthestFirst) => sort_first(&mut hits, count, |a, b| by_distance(b, a)),
        }
        hits.truncate(count);
        hits
    }

    fn reply(&self, x: &mut resp::Reply, hits: &[Hit<'_>]) {
        let more = [self.with_distance, self.with_hash, self.with_point]
            .into_iter()
            .filter(|with| *with)
            .count();
        x.array(hits.len());
        for hit in hits {
            if more > 0 {
                x.array(more + 1);
            }
            reply_element(x, hit.member);
            if self.with_distance {
                reply_distance(x, hit.distance / self.unit);
            }
            if self.with_hash {
                x.int(hit.score as i64);
            }
            if self.with_point {
                reply_point(x, hit.point);
            }
        }
    }

    /// The sorted set of the results; `None` if there are none.
    fn build(&self, hits: &[Hit<'_>], limits: &Limits) -> Option<ZSet> {
        if hits.is_empty() {
            return None;
        }
        let mut builder = Builder::new(hits.len());
        for hit in hits {
            let score = match self.stored {
                Stored::Place => hit.score,
                Stored::Distance => hit.distance / self.unit,
            };
            // The members are those of a set, and the scores numbers.
            hit.member
                .with_bytes(|member| builder.push(member, score))
                .ok()?;
        }
        builder.finish(limits).ok()
    }
}

/// Where a member is. Where there is no key there are no results, so anywhere will do.
fn place_of(zset: Option<ZSetRef<'_>>, member: &[u8]) -> Result<Point, Error> {
    let score = match zset {
        Some(zset) => zset.score(member).ok_or(Error::GEO_NO_MEMBER)?,
        None => 0.0,
    };
    Ok(Cell::of_score(score).middle())
}

fn search(x: &mut Call<'_>, args: Args<'_>, command: Command) -> Outcome {
    let limits = x.keys.limits.clone();
    let zset = x.keys.zset(args[command.source()])?;
    let query = Query::parse(args, command, zset)?;
    let hits = zset.map_or_else(Vec::new, |zset| query.run(zset));
    let Some(destination) = query.destination else {
        query.reply(x.out, &hits);
        return Ok(());
    };
    let count = hits.len();
    let result = query.build(&hits, &limits);
    drop(hits);
    x.keys.delete_found_expired();
    match result {
        Some(zset) => {
            let event = if command == Command::SearchStore {
                "geosearchstore"
            } else {
                "georadiusstore"
            };
            x.keys.put(destination, Value::ZSet(Box::new(zset)), None);
            x.keys
                .changed(destination, Event::zset(event), count as u64);
        }
        None => {
            let lazy = x.keys.lazy.server_del;
            x.keys.delete(destination, lazy);
        }
    }
    x.out.uint(count);
    Ok(())
}

/// `GEORADIUS key longitude latitude radius M | KM | FT | MI [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]]
/// [ASC | DESC] [STORE key | STOREDIST key]`.
///
/// Reply: the members in the circle, each with what was asked for; with STORE or STOREDIST their number.
/// Errors: WRONGTYPE, syntax, numbers and units that are none, not on the map, a count that is not positive, ANY without
/// COUNT, STORE with WITH.
/// Propagates: itself when the destination changed.
/// Source: Valkey command reference, GEORADIUS (since 3.2.0).
pub(super) fn georadius(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    search(x, args, Command::Radius { writes: true })
}

/// `GEORADIUS_RO`, GEORADIUS without STORE and STOREDIST.
///
/// Reply: as GEORADIUS.
/// Errors: as GEORADIUS.
/// Propagates: nothing.
/// Source: Valkey command reference, GEORADIUS_RO (since 3.2.10).
pub(super) fn georadius_ro(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    search(x, args, Command::Radius { writes: false })
}

/// `GEORADIUSBYMEMBER key member radius M | KM | FT | MI [options of GEORADIUS]`.
///
/// Reply: as GEORADIUS.
/// Errors: as GEORADIUS, a member that is missing.
/// Propagates: itself when the destination changed.
/// Source: Valkey command reference, GEORADIUSBYMEMBER (since 3.2.0).
pub(super) fn georadiusbymember(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    search(x, args, Command::RadiusByMember { writes: true })
}

/// `GEORADIUSBYMEMBER_RO`, GEORADIUSBYMEMBER without STORE and STOREDIST.
///
/// Reply: as GEORADIUS.
/// Errors: as GEORADIUSBYMEMBER.
/// Propagates: nothing.
/// Source: Valkey command reference, GEORADIUSBYMEMBER_RO (since 3.2.10).
pub(super) fn georadiusbymember_ro(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    search(x, args, Command::RadiusByMember { writes: false })
}

/// `GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX width height unit
/// [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]`.
///
/// Reply: the members in the shape, each with what was asked for.
/// Errors: as GEORADIUS, a member that is missing, no middle or shape, or two of them.
/// Propagates: nothing.
/// Source: Valkey command reference, GEOSEARCH (since 6.2.0).
pub(super) fn geosearch(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    search(x, args, Command::Search)
}

/// `GEOSEARCHSTORE destination source [options of GEOSEARCH but WITH] [STOREDIST]`.
///
/// Reply: the number of members stored; the destination is deleted when there are none.
/// Errors: as GEOSEARCH, one of WITHCOORD, WITHDIST and WITHHASH.
/// Propagates: itself when the destination changed.
/// Source: Valkey command reference, GEOSEARCHSTORE (since 6.2.0).
pub(super) fn geosearchstore(x: &mut Call<'_>, args: Args<'_>) -> Outcome {
    search(x, args, Command::SearchStore)
}
