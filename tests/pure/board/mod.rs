//! Tests of what a zone keeps besides its pages.

mod counters;
#[cfg(debug_assertions)]
mod crash;
mod flights;
mod stamps;
mod uniques;

use crate::store::{Lock, Memory, OPTIONS};
use twice_core::board::flights::{Flights, Owner};
use twice_core::board::{Board, Plan};
use twice_core::store::{Section, Store};

/// A board, with a store for the sake of its lock.
pub struct Scene {
    memory: Memory,
    plan: Plan,
    pub board: Board,
    store: Store,
    lock: Lock,
    _pages: Memory,
}

impl Scene {
    /// As for a zone of this size.
    pub fn new(zone: usize) -> Scene {
        let plan = Plan::for_zone(zone, true);
        let memory = Memory::new(plan.bytes());
        let board = Board::create(memory.region(), plan).unwrap();
        Scene::of(memory, plan, board)
    }

    fn of(memory: Memory, plan: Plan, board: Board) -> Scene {
        let pages = Memory::new(64 << 10);
        let store = pages.create(&OPTIONS);
        Scene { memory, plan, board, store, lock: Lock::default(), _pages: pages }
    }

    /// The same memory at another place, as another process sees it.
    #[cfg(debug_assertions)]
    pub fn copy(&self) -> Scene {
        let memory = self.memory.copy();
        let board = Board::attach(memory.region(), self.plan).unwrap();
        Scene::of(memory, self.plan, board)
    }

    fn flights<T>(&self, work: impl FnOnce(&mut Flights<'_>) -> T) -> T {
        self.store.with(&self.lock, |section| work(&mut self.board.flights(section)))
    }

    pub fn with<T>(&self, work: impl FnOnce(&mut Section<'_>) -> T) -> T {
        self.store.with(&self.lock, |section| work(section))
    }
}

/// The process of a slot.
fn owner(slot: u32) -> Owner {
    Owner { slot, pid: 1000 + slot }
}

#[test]
fn a_board_is_found_again_and_only_where_it_fits() {
    let scene = Scene::new(1 << 20);
    assert!(Board::attach(scene.memory.region(), scene.plan).is_some());
    assert!(Board::attach(scene.memory.region(), Plan::for_zone(64 << 20, true)).is_none());
    let other = Memory::new(scene.plan.bytes());
    assert!(Board::attach(other.region(), scene.plan).is_none());
    assert!(Board::create(Memory::new(4096).region(), scene.plan).is_none());
}

#[test]
fn a_board_takes_a_small_part_of_its_zone() {
    for (zone, percent) in [(1 << 20, 12), (16 << 20, 5), (256 << 20, 3), (8 << 30, 3)] {
        let bytes = Plan::for_zone(zone, true).bytes();
        assert!(bytes * 100 <= zone * percent, "{bytes} of {zone}");
    }
}
