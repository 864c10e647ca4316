//! Tests of the board.

#[cfg(debug_assertions)]
mod crash;
mod flights;

use crate::store::{Lock, Memory, OPTIONS};
use twice_core::board::flights::{Flights, Owner};
use twice_core::board::{Board, Plan};
use twice_core::store::Store;

/// A board beside a store, whose lock it has.
struct Scene {
    memory: Memory,
    board: Board,
    _store_memory: Memory,
    store: Store,
    lock: Lock,
}

impl Scene {
    fn new(zone: usize) -> Scene {
        let plan = Plan::for_zone(zone);
        let memory = Memory::new(plan.bytes());
        let board = Board::create(memory.region(), plan).unwrap();
        Scene::with_board(memory, board)
    }

    fn with_board(memory: Memory, board: Board) -> Scene {
        let store_memory = Memory::new(64 << 10);
        let store = store_memory.create(&OPTIONS);
        Scene { memory, board, _store_memory: store_memory, store, lock: Lock::default() }
    }

    #[cfg(debug_assertions)]
    fn copy(&self, zone: usize) -> Scene {
        let memory = self.memory.copy();
        let board = Board::attach(memory.region(), Plan::for_zone(zone)).unwrap();
        Scene::with_board(memory, board)
    }

    fn flights<T>(&self, work: impl FnOnce(&mut Flights<'_>) -> T) -> T {
        self.store.with(&self.lock, |section| work(&mut self.board.flights(section)))
    }
}

/// The process of a slot.
fn owner(slot: u32) -> Owner {
    Owner { slot, pid: 1000 + slot }
}

#[test]
fn a_board_is_found_again_by_its_own_plan_alone() {
    for zone in [1 << 20, 4 << 20, 64 << 20, 1 << 30] {
        let plan = Plan::for_zone(zone);
        let memory = Memory::new(plan.bytes());
        assert!(Board::attach(memory.region(), plan).is_none());
        Board::create(memory.region(), plan).unwrap();
        assert!(Board::attach(memory.region(), plan).is_some());
        for other in [64 << 10, 2 << 20, 6 << 20, 256 << 20] {
            let other = Plan::for_zone(other);
            assert_eq!(Board::attach(memory.region(), other).is_some(), other == plan);
        }
    }
    let plan = Plan::for_zone(1 << 20);
    assert!(Board::create(Memory::new(plan.bytes() - 64).region(), plan).is_none());
}
