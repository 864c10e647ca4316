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

/// The points of these servers: place, name, weight.
pub(super) fn points<'a>(live: impl Iterator<Item = (u32, &'a str, u32)> + Clone) -> Vec<Point> {
    let count = live.clone().count();
    let total: u32 = live.clone().fold(0, |sum, (_, _, weight)| sum.saturating_add(weight));
    let mut points = Vec::new();
    for (server, name, weight) in live {
        for number in 0..hashes(weight, total, count) {
            let text = format!("{name}-{number}");
            points.extend(md5_words(text.as_bytes()).map(|at| Point { at, server }));
        }
    }
    points.sort_unstable();
    points
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
