//! The circle of ketama: each server has points on it in proportion to its weight, a key belongs to the next point.
//!
//! Where a server's points lie depends on its name alone, how many they are on all weights: when a server goes, only its
//! own keys move, as long as the weights are equal.

use super::hash::md5_words;

/// Points for each server on average; four come from one MD5.
const POINTS: f32 = 160.0;
const POINTS_OF_A_HASH: f32 = 4.0;

/// A place on the circle. Ordered by `at` alone where that differs; servers in their order else, as a stable sort has
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    at: u32,
    /// The server's place among twemproxy's.
    server: u32,
}

/// Points that were made once, so that a server which goes or comes costs no MD5 and no sorting. A worker serves nobody
/// meanwhile: 256 servers have 40,960 points, and in an outage each of them goes by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Circle {
    /// In order, each with the number of its MD5.
    points: Vec<(Point, u32)>,
    /// MD5s of each server, by its place.
    known: Vec<u32>,
}

/// Where weights differ a server has the more points the fewer are live: so many times the usual number are kept.
const KEPT: usize = 8;

impl Circle {
    /// The points of these servers: place, name, weight.
    pub fn points<'a>(&mut self, live: impl Iterator<Item = (u32, &'a str, u32)> + Clone) -> Vec<Point> {
        let count = live.clone().count();
        let total: u32 = live.clone().fold(0, |sum, (_, _, weight)| sum.saturating_add(weight));
        if self.points.len() > KEPT * POINTS as usize * self.known.len() {
            *self = Circle::default();
        }
        let mut wanted = vec![0; self.known.len()];
        let before = self.points.len();
        for (server, name, weight) in live {
            let (place, hashes) = (server as usize, hashes(weight, total, count));
            if wanted.len() <= place {
                wanted.resize(place + 1, 0);
                self.known.resize(place + 1, 0);
            }
            if let Some((wanted, known)) = wanted.get_mut(place).zip(self.known.get_mut(place)) {
                *wanted = hashes;
                for number in *known..hashes {
                    let text = format!("{name}-{number}");
                    self.points.extend(md5_words(text.as_bytes()).map(|at| (Point { at, server }, number)));
                }
                *known = hashes.max(*known);
            }
        }
        if self.points.len() > before {
            self.points.sort_unstable();
        }
        let is_wanted = |(point, number): &&(Point, u32)| {
            wanted.get(point.server as usize).is_some_and(|wanted| number < wanted)
        };
        self.points.iter().filter(is_wanted).map(|(point, _)| *point).collect()
    }
}

/// How many MD5s a server has of so many servers and their weight. In the numbers that C's promotions give: a product
/// in 32 bits, to which a trifle is added in 64, against a quotient just below a whole number.
fn hashes(weight: u32, total: u32, servers: usize) -> u32 {
    let part = weight as f32 / total as f32;
    let product = part * POINTS / POINTS_OF_A_HASH * servers as f32;
    let sum = f64::from(product) + 0.000_000_000_1;
    (sum as f32).floor() as u32
}

/// The server of a hash: that of the first point at or after it, of the first of all behind the last.
pub(super) fn server_of(points: &[Point], hash: u32) -> Option<u32> {
    let next = points.partition_point(|point| point.at < hash);
    points.get(next).or_else(|| points.first()).map(|point| point.server)
}
