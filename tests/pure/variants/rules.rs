//! Rules: how they are written down, how they grow, how many variants they list.

use crate::property::cases;
use std::cell::Cell;
use std::collections::HashMap;

use super::set;
use proptest::prelude::*;
use twice_core::page::{FIXED, Fixed};
use twice_core::variants::*;

use Dimension::{AbTest, AbValues, Cookie, Geo, Header, Language};

fn new(dimensions: &[Dimension<'_>], epoch: u64) -> Rules {
    merge(None, &set(dimensions), epoch).unwrap().unwrap()
}

/// Variants by hash: how they stand, and which were taken away.
#[derive(Default)]
struct Naive {
    live: HashMap<u64, Standing>,
    removed: Vec<u64>,
    asked: Cell<usize>,
}

impl Naive {
    /// Gives the number of those that went for it.
    fn store(&mut self, rules: &mut Rules, hash: u64, max: usize, heat: u64) -> usize {
        let mut struck = Vec::with_capacity(SCAN);
        rules.admit(hash, max, &mut struck, |hash| {
            self.asked.set(self.asked.get() + 1);
            self.live.get(&hash).copied()
        });
        assert!(struck.len() <= SCAN && !struck.contains(&hash));
        let dropped: Vec<_> = struck.into_iter().filter(|hash| self.live.remove(hash).is_some()).collect();
        self.removed.extend(&dropped);
        self.live.insert(hash, Standing { alive: true, heat });
        dropped.len()
    }
}

#[test]
fn a_page_that_never_varied_has_no_rules() {
    assert_eq!(merge(None, &Dimensions::default(), 7), Ok(None));
}

#[test]
fn rules_grow_and_never_shrink() {
    let mut rules = new(&[Cookie(b"a")], 1);
    Naive::default().store(&mut rules, 5, 64, 1);
    // Nothing new: the variants stay.
    for stated in [set(&[]), set(&[Cookie(b"a")])] {
        assert_eq!(merge(Some(rules.clone()), &stated, 2), Ok(Some(rules.clone())));
    }
    let grown = merge(Some(rules.clone()), &set(&[Header(b"origin"), Cookie(b"a")]), 2).unwrap().unwrap();
    assert_eq!((grown.epoch(), grown.dimensions()), (2, &set(&[Cookie(b"a"), Header(b"origin")])));
    assert_eq!(grown.variants(), [0u64; 0], "none can be found any more");
    // A cookie and a header of one name are two things, as are names in another case.
    for other in [Header(b"a"), AbTest(b"a"), Cookie(b"A")] {
        assert_eq!(merge(Some(rules.clone()), &set(&[other]), 2).unwrap().unwrap().epoch(), 2);
    }
}

#[test]
fn rules_have_a_bound() {
    let names: Vec<String> = (0..MAX_DIMENSIONS).map(|n| format!("c{n}")).collect();
    let all: Vec<_> = names.iter().map(|name| Cookie(name.as_bytes())).collect();
    let full = new(&all, 1);
    assert_eq!(merge(Some(full.clone()), &set(&[Language]), 2), Err(Unbounded));
    assert_eq!(merge(Some(full.clone()), &set(&all[3..5]), 2), Ok(Some(full)));
    let mut long = Dimensions::default();
    assert_eq!(long.add(Header(&[b'x'; MAX_NAME + 1])), Err(Unbounded));
    let names: Vec<_> = (0..MAX_DIMENSIONS as u8).map(|n| [b'a' + n; MAX_NAME]).collect();
    let longest: Vec<_> = names.iter().map(|name| Header(name)).collect();
    let bytes = new(&longest, 1).encode();
    assert_eq!(head_len(&bytes[..PREFIX]), Some(bytes.len()));
    assert!(bytes.len() <= MAX_HEAD);
}

#[test]
fn rules_are_no_page_and_a_page_is_no_rules() {
    let mut rules = new(&[Cookie(b"a"), Language, Geo, AbValues], 0x0102_0304_0506_0708);
    for hash in 0..20 {
        Naive::default().store(&mut rules, hash, 64, 1);
    }
    let bytes = rules.encode();
    assert!(bytes.len() >= FIXED && Fixed::parse(&bytes).is_none());
    let page = twice_core::page::encode_prefix(
        &twice_core::page::Head::default(),
        [].into_iter(),
        &twice_core::page::Program::default(),
        &twice_core::page::Behind::default(),
    )
    .unwrap();
    assert_eq!(head_len(&page[..PREFIX]), None);
    assert!(Rules::parse(&page).is_none() && View::parse(&page).is_none());
    assert!(is_rules(TAG) && !is_rules(0) && !is_rules(u64::MAX >> 1));
}

#[test]
fn a_view_is_the_head_alone() {
    let mut rules = new(&[Cookie(b"a"), Header(b"b")], 9);
    Naive::default().store(&mut rules, 1, 64, 1);
    let bytes = rules.encode();
    let len = head_len(&bytes[..PREFIX]).unwrap();
    assert_eq!(bytes.len(), len + 8);
    let view = View::parse(&bytes[..len]).unwrap();
    assert_eq!((view.epoch, view.dimensions().collect::<Vec<_>>()), (9, vec![Cookie(b"a"), Header(b"b")]));
    assert!(view.covers(&set(&[Header(b"b")])) && !view.covers(&set(&[Language])));
    assert!(View::parse(&bytes).is_none() && View::parse(&bytes[..len - 1]).is_none());
}

#[test]
fn the_least_used_variant_goes() {
    let (mut rules, mut shelf) = (new(&[Cookie(b"a")], 1), Naive::default());
    for hash in 0..8 {
        assert_eq!(shelf.store(&mut rules, hash, 8, 10 + hash), 0);
    }
    assert_eq!(shelf.asked.get(), 0, "nothing is looked at while there is room");
    assert_eq!(shelf.store(&mut rules, 3, 8, 99), 0, "it is listed");
    assert_eq!(shelf.store(&mut rules, 100, 8, 100), 1);
    assert_eq!(shelf.removed, [0]);
    // One whose time is over goes before one that is less used.
    shelf.live.insert(7, Standing { alive: false, heat: 1000 });
    assert_eq!(shelf.store(&mut rules, 101, 8, 100), 1);
    assert_eq!(shelf.removed, [0, 7]);
    // Those that are gone already are forgotten first.
    shelf.live.remove(&2);
    shelf.live.remove(&4);
    assert_eq!(shelf.store(&mut rules, 102, 8, 100), 0);
    assert_eq!(rules.variants().len(), 7);
    // A bound that was lowered.
    assert_eq!(shelf.store(&mut rules, 103, 2, 100), 6);
    assert_eq!(rules.variants().len(), 2);
}

#[test]
fn a_long_list_is_not_walked() {
    let (mut rules, mut shelf) = (new(&[Cookie(b"a")], 1), Naive::default());
    for hash in 0..MAX_VARIANTS as u64 {
        shelf.store(&mut rules, hash, usize::MAX, 1);
    }
    for hash in 5000..8000 {
        shelf.asked.set(0);
        assert_eq!(shelf.store(&mut rules, hash, usize::MAX, 1), 1);
        assert!(shelf.asked.get() <= SCAN);
    }
    assert_eq!((rules.variants().len(), shelf.live.len()), (MAX_VARIANTS, MAX_VARIANTS));
    // Each variant comes under review some time: none of the first ones is left.
    assert!(rules.variants().iter().filter(|hash| **hash < 1000).count() < 200);
}

#[test]
fn invented_values_leave_what_is_asked_for() {
    let (mut rules, mut shelf) = (new(&[Cookie(b"a")], 1), Naive::default());
    shelf.store(&mut rules, 1, 64, 1000);
    for hash in 2..10_000 {
        shelf.store(&mut rules, hash, 64, 1);
    }
    assert!(shelf.live.contains_key(&1) && rules.lists(1));
    assert_eq!(shelf.live.len(), 64);
}

fn any_dimension() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (0..6u8, prop::collection::vec(any::<u8>(), 0..20))
}

fn dimension<'a>((kind, name): &'a (u8, Vec<u8>)) -> Dimension<'a> {
    match kind {
        0 => Cookie(name),
        1 => Header(name),
        2 => Language,
        3 => Geo,
        4 => AbTest(name),
        _ => AbValues,
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_is_written_is_read(
        dimensions in prop::collection::vec(any_dimension(), 1..MAX_DIMENSIONS),
        epoch in any::<u64>(),
        hashes in prop::collection::vec(any::<u64>(), 0..100),
    ) {
        let dimensions: Vec<_> = dimensions.iter().map(dimension).collect();
        let mut rules = new(&dimensions, epoch);
        let mut shelf = Naive::default();
        for hash in hashes {
            shelf.store(&mut rules, hash, 64, hash);
            prop_assert!(rules.variants().len() <= 64 && rules.lists(hash));
        }
        let listed: Vec<_> = rules.variants().iter().filter(|hash| shelf.live.contains_key(hash)).collect();
        prop_assert_eq!(listed.len(), shelf.live.len(), "no variant is unknown to its rules");
        let bytes = rules.encode();
        prop_assert_eq!(Rules::parse(&bytes), Some(rules.clone()));
        let head = head_len(&bytes[..PREFIX]).unwrap();
        let view = View::parse(&bytes[..head]).unwrap();
        prop_assert!(view.dimensions().eq(rules.dimensions().iter()));
    }

    #[test]
    fn any_bytes_can_be_read(mut bytes in prop::collection::vec(any::<u8>(), 0..80), len in 0..100u32) {
        for magic in [false, true] {
            if magic && bytes.len() >= PREFIX {
                bytes[..4].copy_from_slice(b"rule");
                bytes[4..8].copy_from_slice(&len.to_le_bytes());
            }
            if let Some(rules) = Rules::parse(&bytes) {
                prop_assert_eq!(rules.encode(), bytes.clone());
            }
            if let Some(view) = View::parse(&bytes) {
                prop_assert!(view.dimensions().count() <= bytes.len());
            }
        }
    }
}
