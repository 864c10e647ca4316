//! Visitors of a day, estimated.

use super::Scene;

const HOUR: u64 = 3_600_000;
/// Some time of today.
const NOW: u64 = 494_000 * HOUR + 1234;

/// A hash as a keyed one would be (splitmix64).
fn hash(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn assert_near(scene: &Scene, now: u64, expected: u64, percent: f64) {
    let estimate = scene.board.visitors(now);
    let off = (estimate as f64 - expected as f64).abs() / expected as f64 * 100.0;
    assert!(off <= percent, "{estimate} is {off:.2} % off {expected}");
}

#[test]
fn the_error_is_under_two_percent() {
    let scene = Scene::new(64 << 20);
    assert_eq!(scene.board.visitors(NOW), 0);
    let mut known = 0;
    let sizes: &[u64] =
        if cfg!(miri) { &[10, 100] } else { &[10, 100, 1000, 10_000, 30_000, 50_000, 200_000, 2_000_000] };
    for &size in sizes {
        for n in known..size {
            scene.board.visit(hash(n), NOW);
        }
        known = size;
        assert_near(&scene, NOW, size, 2.0);
    }
}

#[test]
fn who_comes_again_is_one_visitor() {
    let scene = Scene::new(64 << 20);
    for hour in 0..20 {
        for n in 0..500 {
            scene.board.visit(hash(n), NOW + hour * HOUR);
        }
    }
    assert_near(&scene, NOW + 20 * HOUR, 500, 2.0);
}

#[test]
fn after_a_day_nobody_is_left() {
    let scene = Scene::new(64 << 20);
    for n in 0..1000 {
        scene.board.visit(hash(n), NOW);
    }
    for n in 0..100 {
        scene.board.visit(hash(5000 + n), NOW + 10 * HOUR);
    }
    assert_near(&scene, NOW + 24 * HOUR, 1100, 2.0);
    assert_near(&scene, NOW + 25 * HOUR, 100, 2.0);
    assert_eq!(scene.board.visitors(NOW + 40 * HOUR), 0);
    // Two days later the same slice is another hour's.
    scene.board.visit(hash(1), NOW + 50 * HOUR);
    assert_eq!(scene.board.visitors(NOW + 50 * HOUR), 1);
}

#[test]
fn a_clock_that_is_set_back_counts_on() {
    let scene = Scene::new(64 << 20);
    scene.board.visit(hash(1), NOW);
    scene.board.visit(hash(2), NOW - 30 * HOUR);
    assert_eq!(scene.board.visitors(NOW - 30 * HOUR), 1);
}

#[test]
fn a_small_zone_estimates_coarsely() {
    let scene = Scene::new(1 << 20);
    for n in 0..20_000 {
        scene.board.visit(hash(n), NOW);
    }
    assert_near(&scene, NOW, 20_000, 10.0);
}
