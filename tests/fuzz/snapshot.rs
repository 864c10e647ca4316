//! Snapshots: pages and damage made of the input, held against the model; and the input itself taken for a snapshot.
#![no_main]

#[path = "../pure/snapshot/model.rs"]
mod model;

use libfuzzer_sys::fuzz_target;
use model::{Damage, MOST, Page, read, run, write};

/// Takes values off the input's front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn number(&mut self) -> usize {
        let (bytes, rest) = self.0.split_at_checked(2).unwrap_or_default();
        self.0 = rest;
        bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let len = (self.number() % (most + 1)).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }
}

fuzz_target!(|data: &[u8]| {
    // Whatever the bytes are, reading them ends.
    let _ = read(data, MOST);
    let mut input = Input(data);
    let damage = match input.number() % 5 {
        0 => Damage::Flip { at: input.number(), bits: input.number() as u8 },
        1 => Damage::Cut { at: input.number() },
        2 => Damage::Remove { at: input.number(), len: input.number() },
        3 => Damage::Insert { at: input.number(), bytes: input.bytes(500).to_vec() },
        _ => Damage::Copy { from: input.number(), len: input.number(), to: input.number() },
    };
    let mut pages = Vec::new();
    while !input.0.is_empty() && pages.len() < 20 {
        let times = [input.number() as u64, input.number() as u64, input.number() as u64];
        let tag = input.number() as u64;
        let (key, value) = (input.bytes(60).to_vec(), input.bytes(600).to_vec());
        let (proven, counter) = (tag % 2 == 1, tag % 3 == 1);
        pages.push(Page { times, windows: [7, 8], began: tag, tag, proven, counter, key, value });
    }
    run(&pages, [7; 16], &damage);
    // What the input makes of a good snapshot when it is laid over it: several pieces of damage at once.
    let mut bytes = write(&pages, [7; 16]).bytes;
    for (at, byte) in data.iter().enumerate().step_by(5) {
        let place = at * 37 % bytes.len();
        bytes[place] ^= byte;
    }
    if let Ok((found, _)) = read(&bytes, MOST) {
        assert!(found.iter().all(|page| pages.contains(page)), "a page that was never written");
    }
});
