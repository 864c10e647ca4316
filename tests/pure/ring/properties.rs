use crate::property::cases;
use std::collections::BTreeMap;

use proptest::prelude::*;
use twice_core::ring::{Distribution, Hash, Live, MAX_SERVERS, Ring, Server};

/// Different names, any weights of a site.
fn any_servers() -> impl Strategy<Value = Vec<Server>> {
    prop::collection::btree_map("[a-z0-9.:-]{1,20}", 1u32..200, 1..9)
        .prop_map(|servers| servers.into_iter().map(|(name, weight)| Server { name, weight }).collect())
}

fn any_hash() -> impl Strategy<Value = Hash> {
    prop::sample::select(&Hash::ALL[..])
}

fn any_distribution() -> impl Strategy<Value = Distribution> {
    prop::sample::select(&Distribution::ALL[..])
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

fn live(servers: usize, set: &[bool]) -> Live {
    let mut live = Live::default();
    (0..servers).filter(|number| set[*number]).for_each(|number| live.insert(number));
    live
}

proptest! {
    #![proptest_config(cases(256))]

    /// Whatever is live: a key's server is one of these, and the same as on a ring of these alone.
    #[test]
    fn a_ring_over_the_live_is_a_ring_of_the_live(
        servers in any_servers(),
        hash in any_hash(),
        distribution in any_distribution(),
        sets in prop::collection::vec(prop::collection::vec(any::<bool>(), 9), 1..4),
        keys in prop::collection::vec(any_key(), 1..20),
        random: u32,
    ) {
        let mut ring = Ring::new(&servers, distribution, hash, None).unwrap();
        for set in sets {
            let numbers: Vec<_> = (0..servers.len()).filter(|number| set[*number]).collect();
            let alone: Vec<_> = numbers.iter().map(|number| servers[*number].clone()).collect();
            let mut alone = Ring::new(&alone, distribution, hash, None).ok();
            for key in &keys {
                let found = ring.server_of(key, &live(servers.len(), &set), random);
                let all = Live::all(numbers.len());
                let expected = alone.as_mut().and_then(|ring| ring.server_of(key, &all, random));
                prop_assert_eq!(found, expected.map(|place| numbers[place]));
            }
        }
    }

    /// The order in which a configuration names servers means nothing.
    #[test]
    fn the_order_of_servers_means_nothing(
        servers in any_servers(),
        hash in any_hash(),
        distribution in any_distribution(),
        keys in prop::collection::vec(any_key(), 1..20),
        turn in 0usize..9,
        random: u32,
    ) {
        let mut turned = servers.clone();
        turned.rotate_left(turn % servers.len());
        turned.reverse();
        let mut a = Ring::new(&servers, distribution, hash, None).unwrap();
        let mut b = Ring::new(&turned, distribution, hash, None).unwrap();
        let all = Live::all(servers.len());
        for key in keys {
            let a = a.server_of(&key, &all, random).map(|number| &servers[number]);
            let b = b.server_of(&key, &all, random).map(|number| &turned[number]);
            prop_assert_eq!(a, b);
        }
    }

    /// A set is what was put into it.
    #[test]
    fn a_live_set_is_a_set(changes in prop::collection::vec((any::<bool>(), 0..MAX_SERVERS + 100), 0..60)) {
        let mut naive = BTreeMap::new();
        let mut set = Live::default();
        for (on, number) in changes {
            if on { set.insert(number) } else { set.remove(number) }
            naive.insert(number, on && number < MAX_SERVERS);
        }
        for number in 0..MAX_SERVERS + 200 {
            prop_assert_eq!(set.contains(number), naive.get(&number).copied().unwrap_or(false));
        }
    }
}

/// The lookup of modula by a naive list, in which each server stands as often as its weight says.
#[test]
fn modula_is_the_remainder_among_all_weights() {
    let weights = [3, 1, 4, 1, 5];
    let servers: Vec<_> =
        (0..).zip(weights).map(|(number, weight)| Server { name: format!("s{number}"), weight }).collect();
    let list: Vec<usize> = (0..weights.len()).flat_map(|n| vec![n; weights[n] as usize]).collect();
    let mut ring = Ring::new(&servers, Distribution::Modula, Hash::Fnv1a64, None).unwrap();
    for number in 0..1000 {
        let key = format!("key{number}");
        let expected = list[Hash::Fnv1a64.of(key.as_bytes()) as usize % list.len()];
        assert_eq!(ring.server_of(key.as_bytes(), &Live::all(5), 0), Some(expected));
    }
}

/// When a server goes, ketama's other keys stay.
#[test]
fn only_the_keys_of_a_lost_server_move() {
    let servers: Vec<_> = (0..5).map(|number| Server { name: format!("s{number}"), weight: 1 }).collect();
    let mut ring = Ring::new(&servers, Distribution::Ketama, Hash::Md5, None).unwrap();
    let mut shares = [0; 5];
    let keys: Vec<_> = (0..5000).map(|number| format!("key{number}")).collect();
    let all = Live::all(5);
    let before: Vec<_> = keys.iter().map(|key| ring.server_of(key.as_bytes(), &all, 0).unwrap()).collect();
    let mut without = all;
    without.remove(2);
    for (key, before) in keys.iter().zip(&before) {
        shares[*before] += 1;
        let after = ring.server_of(key.as_bytes(), &without, 0).unwrap();
        assert!(after != 2 && (after == *before || *before == 2), "{key}");
    }
    // Each has about a fifth.
    assert!(shares.iter().all(|share| (700..1300).contains(share)), "{shares:?}");
    // It is back as it was.
    assert!(keys.iter().zip(&before).all(|(k, s)| ring.server_of(k.as_bytes(), &all, 0) == Some(*s)));
}

#[test]
fn random_gives_each_live_server_the_same() {
    let servers: Vec<_> =
        (1..5).map(|number| Server { name: format!("s{number}"), weight: number }).collect();
    let mut ring = Ring::new(&servers, Distribution::Random, Hash::Md5, None).unwrap();
    let mut live = Live::all(4);
    let mut seen = |live: &Live| {
        let mut shares = [0; 4];
        (0..120).for_each(|random| shares[ring.server_of(b"key", live, random).unwrap()] += 1);
        shares
    };
    assert_eq!(seen(&live), [30; 4]);
    live.remove(1);
    assert_eq!(seen(&live), [40, 0, 40, 40]);
    assert_eq!(ring.server_of(b"key", &Live::default(), 7), None);
}

/// One heavy server after the other among the light ones: in such a set it has many times its usual points.
#[test]
fn points_that_were_made_once_are_those_of_a_new_ring() {
    let server = |number: usize| Server {
        name: format!("s{number}"),
        weight: if number < MAX_SERVERS / 2 { 1000 } else { 1 },
    };
    let servers: Vec<_> = (0..MAX_SERVERS).map(server).collect();
    let mut ring = Ring::new(&servers, Distribution::Ketama, Hash::Md5, None).unwrap();
    for heavy in (0..MAX_SERVERS / 2).step_by(9) {
        let numbers: Vec<_> = std::iter::once(heavy).chain(MAX_SERVERS / 2..MAX_SERVERS).collect();
        let mut live = Live::default();
        numbers.iter().for_each(|number| live.insert(*number));
        let alone: Vec<_> = numbers.iter().map(|number| servers[*number].clone()).collect();
        let mut alone = Ring::new(&alone, Distribution::Ketama, Hash::Md5, None).unwrap();
        let all = Live::all(numbers.len());
        for key in 0..200 {
            let key = format!("key{key}");
            let expected = alone.server_of(key.as_bytes(), &all, 0).map(|place| numbers[place]);
            assert_eq!(ring.server_of(key.as_bytes(), &live, 0), expected, "{heavy} {key}");
        }
    }
}
