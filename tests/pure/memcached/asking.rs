//! What is asked in a turn and by whom, and the steps of a change.

use crate::property::cases;
use proptest::prelude::*;
use std::collections::BTreeMap;
use twice_core::memcached::change::{Doing, Next};
use twice_core::memcached::turn::{Full, Line, MAX_LINES, MAX_TICKETS, Turn};
use twice_core::memcached::*;
use twice_core::source::Change;

#[test]
fn a_key_is_sent_once_and_all_are_told() {
    let mut turn = Turn::default();
    assert!(turn.is_empty());
    for (key, ticket) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5)] {
        turn.ask(key.as_bytes(), ticket).unwrap();
    }
    assert_eq!(turn.keys(), 3);
    let mut lines = turn.take();
    assert!(turn.is_empty() && lines.len() == 1);
    let Line { keys, askers } = &mut lines[0];
    let mut of = |key: &str| {
        let mut tickets: Vec<u64> = askers.take(keys.find(key.as_bytes()).unwrap()).collect();
        tickets.sort();
        tickets
    };
    assert_eq!(of("a"), [1, 3, 5]);
    assert_eq!(of("a"), [0; 0], "told once");
    assert_eq!(of("c"), [4]);
    assert_eq!(askers.take_rest().collect::<Vec<_>>(), [2]);
    assert_eq!(askers.take_rest().count(), 0);
}

#[test]
fn a_turn_is_bounded() {
    let mut turn = Turn::default();
    for ticket in 0..MAX_TICKETS as u64 {
        turn.ask(b"same", ticket).unwrap();
    }
    assert_eq!(turn.ask(b"same", 0), Err(Full));

    let mut turn = Turn::default();
    let mut count = 0;
    while turn.ask(format!("{count:0200}").as_bytes(), count).is_ok() {
        count += 1;
    }
    assert_eq!(turn.keys(), count as usize);
    // A key that is sent anyhow may still be asked for.
    turn.ask(format!("{:0200}", 0).as_bytes(), 7).unwrap();
    let lines = turn.take();
    assert_eq!(lines.len(), MAX_LINES);
    let mut out = Vec::new();
    lines.iter().for_each(|line| encode::get(&mut out, &line.keys));
    assert!(out.len() < 1 << 20);
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn every_ticket_is_told_once(
        asked in proptest::collection::vec((0..3000usize, 1..200usize), 0..300),
        answered in proptest::collection::vec(any::<bool>(), 3000),
    ) {
        let mut turn = Turn::default();
        let mut by_key: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
        for (ticket, (number, len)) in asked.iter().enumerate() {
            let mut key = number.to_string().into_bytes();
            key.resize(key.len().max(*len), b'x');
            turn.ask(&key, ticket as u64).unwrap();
            by_key.entry(key).or_default().push(ticket as u64);
        }
        prop_assert_eq!(turn.keys(), by_key.len());
        let mut told = 0;
        for Line { keys, mut askers } in turn.take() {
            let mut rest = Vec::new();
            for (number, key) in keys.iter().enumerate() {
                let expected = by_key.remove(key).expect("in one line only");
                told += expected.len();
                if answered[number] {
                    let mut tickets: Vec<u64> = askers.take(number).collect();
                    tickets.sort();
                    prop_assert_eq!(tickets, expected);
                } else {
                    rest.extend(expected);
                }
            }
            let mut tickets: Vec<u64> = askers.take_rest().collect();
            tickets.sort();
            rest.sort();
            prop_assert_eq!(tickets, rest);
        }
        prop_assert_eq!(told, asked.len());
    }
}

/// The commands that a server with these replies sees, and how it ends.
fn steps(change: Change, replies: &[Reply<'_>]) -> (Vec<String>, Next) {
    let mut doing = Doing::new(b"k", change);
    let mut sent = Vec::new();
    for reply in replies {
        let mut out = Vec::new();
        doing.encode(&mut out);
        sent.push(String::from_utf8(out).unwrap());
        match doing.next(*reply) {
            Next::Send(next) => doing = next,
            end => return (sent, end),
        }
    }
    (sent, Next::Send(doing))
}

#[test]
fn the_steps_of_a_change() {
    use Reply::{Deleted, NotFound, NotStored, Number, Stored};
    const REFUSED: Reply<'_> = Reply::Refused { by: Refusal::Client, text: b"not a number" };
    const INCR: &str = "incr k 1\r\n";
    const DECR: &str = "decr k 1\r\n";
    const ADD: &str = "add k 0 0 2\r\n17\r\n";
    let rows: &[(Change, &[Reply<'_>], &[&str], Next)] = &[
        (Change::Incr(17), &[Number(5)], &[INCR], Next::Done),
        (Change::Incr(17), &[NotFound, Stored], &[INCR, ADD], Next::Done),
        (Change::Incr(17), &[NotFound, NotStored, Number(18)], &[INCR, ADD, INCR], Next::Done),
        (Change::Incr(17), &[NotFound, NotStored, NotFound], &[INCR, ADD, INCR], Next::Lost),
        (Change::Incr(17), &[REFUSED], &[INCR], Next::Lost),
        (Change::Incr(17), &[NotFound, REFUSED], &[INCR, ADD], Next::Lost),
        (Change::Decr(17), &[Number(0)], &[DECR], Next::Done),
        (Change::Decr(17), &[NotFound, Stored], &[DECR, ADD], Next::Done),
        (Change::Decr(17), &[NotFound, NotStored, Number(16)], &[DECR, ADD, DECR], Next::Done),
        (Change::Delete, &[Deleted], &["delete k\r\n"], Next::Done),
        (Change::Delete, &[NotFound], &["delete k\r\n"], Next::Done),
        (Change::Delete, &[REFUSED], &["delete k\r\n"], Next::Lost),
    ];
    for (change, replies, sent, end) in rows {
        let got = steps(*change, replies);
        assert_eq!(got.0, *sent, "{change:?} {replies:?}");
        assert_eq!(got.1, *end, "{change:?} {replies:?}");
    }
    // What answers a command is what the parser expects.
    let expected = |change, step: &[Reply<'_>]| match steps(change, step).1 {
        Next::Send(doing) => doing.encode(&mut Vec::new()),
        end => panic!("{end:?}"),
    };
    assert!(matches!(expected(Change::Incr(1), &[]), Expected::Arith));
    assert!(matches!(expected(Change::Incr(1), &[NotFound]), Expected::Store));
    assert!(matches!(expected(Change::Delete, &[]), Expected::Delete));
}
