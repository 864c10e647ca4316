//! Whoever stores and whoever asks, in any order and with some of it lost: nobody gets a page that is not his.
//!
//! The store is a map, as it is for the module: under a base key a page or rules, under a variant's key a page. The
//! naive model knows for each page the whole request that it was made for and what its answer stated.

use crate::property::cases;
use std::collections::{BTreeMap, HashMap};

use super::set;
use proptest::prelude::*;
use twice_core::variants::*;

const COOKIES: [&str; 3] = ["a", "b", "c"];

/// The cookies of a request by number, and whose request it is.
type Request = BTreeMap<usize, String>;

#[derive(Clone, Debug)]
enum Act {
    /// A visitor asks for a page; where it isn't there the origin answers and says that it varies by these cookies.
    Ask { url: usize, request: Request, states: Vec<usize> },
    /// The same, but another worker stores between this one's reading of the rules and its publishing.
    Race { url: usize, one: Request, other: Request, states: [Vec<usize>; 2] },
    /// The store lets something go: by number, in the order of keys.
    Lose(usize),
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Page { url: usize, made_for: Request, rules: Dimensions },
    Rules(Vec<u8>),
}

#[derive(Default)]
struct Model {
    store: BTreeMap<Vec<u8>, Entry>,
    epochs: u64,
    hashes: HashMap<u64, Vec<u8>>,
}

const MAX: usize = 3;

fn base(url: usize) -> Vec<u8> {
    format!("http://h/{url}").into_bytes()
}

fn key(base: &[u8], epoch: u64, dimensions: Iter<'_>, request: &Request) -> Vec<u8> {
    let values: Vec<_> = dimensions
        .map(|dimension| {
            let Dimension::Cookie(name) = dimension else { unreachable!() };
            let number = COOKIES.iter().position(|cookie| cookie.as_bytes() == name).unwrap();
            request.get(&number).map_or(Value::Absent, |value| Value::Is(value.as_bytes()))
        })
        .collect();
    let mut out = Vec::new();
    VariantKey { epoch, values: &values, base }.write(|piece| out.extend_from_slice(piece));
    out
}

fn hash(key: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

fn stated(states: &[usize]) -> Dimensions {
    let all: Vec<_> = states.iter().map(|n| Dimension::Cookie(COOKIES[*n].as_bytes())).collect();
    set(&all)
}

/// What a worker has in hand before it publishes.
struct Ready {
    seen: Option<Vec<u8>>,
    rules: Option<Rules>,
    struck: Vec<u64>,
    key: Vec<u8>,
    page: Entry,
}

impl Model {
    fn rules(&self, url: usize) -> Option<Vec<u8>> {
        match self.store.get(&base(url)) {
            Some(Entry::Rules(bytes)) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// The two lookups.
    fn find(&self, url: usize, request: &Request) -> Option<&Entry> {
        match self.store.get(&base(url))? {
            page @ Entry::Page { .. } => Some(page),
            Entry::Rules(bytes) => {
                let view = View::parse(&bytes[..head_len(&bytes[..PREFIX]).unwrap()]).unwrap();
                self.store.get(&key(&base(url), view.epoch, view.dimensions(), request))
            }
        }
    }

    fn prepare(&mut self, url: usize, request: &Request, states: &[usize]) -> Ready {
        let seen = self.rules(url);
        let current = seen.as_ref().map(|bytes| Rules::parse(bytes).unwrap());
        self.epochs += 1;
        let mut rules = merge(current, &stated(states), self.epochs).unwrap();
        let none = Dimensions::default();
        let dimensions = rules.as_ref().map_or(&none, Rules::dimensions).clone();
        let key = match &rules {
            None => base(url),
            Some(rules) => key(&base(url), rules.epoch(), dimensions.iter(), request),
        };
        let page = Entry::Page { url, made_for: request.clone(), rules: dimensions };
        let mut struck = Vec::new();
        if let Some(rules) = &mut rules {
            self.hashes.insert(hash(&key), key.clone());
            rules.admit(hash(&key), MAX, &mut struck, |hash| {
                let key = self.hashes.get(&hash)?;
                self.store.contains_key(key).then_some(Standing { alive: true, heat: hash })
            });
        }
        Ready { seen, rules, struck, key, page }
    }

    /// True if it was published.
    fn publish(&mut self, url: usize, ready: Ready) -> bool {
        if self.rules(url) != ready.seen {
            return false;
        }
        if let Some(rules) = ready.rules {
            self.store.insert(base(url), Entry::Rules(rules.encode()));
        }
        for hash in ready.struck {
            self.store.remove(&self.hashes[&hash]);
        }
        self.store.insert(ready.key, ready.page);
        true
    }

    fn store(&mut self, url: usize, request: &Request, states: &[usize]) {
        let ready = self.prepare(url, request, states);
        assert!(self.publish(url, ready));
    }

    fn ask(&mut self, url: usize, request: &Request, states: &[usize]) -> Result<(), TestCaseError> {
        match self.find(url, request) {
            None => self.store(url, request, states),
            Some(Entry::Rules(_)) => prop_assert!(false, "rules in place of a page"),
            Some(Entry::Page { url: of, made_for, rules }) => {
                prop_assert_eq!(*of, url);
                for dimension in rules.iter() {
                    let Dimension::Cookie(name) = dimension else { unreachable!() };
                    let number = COOKIES.iter().position(|cookie| cookie.as_bytes() == name).unwrap();
                    prop_assert_eq!(made_for.get(&number), request.get(&number), "another one's variant");
                }
            }
        }
        Ok(())
    }

    /// What must hold at any time.
    fn check(&self) -> Result<(), TestCaseError> {
        for (key, entry) in &self.store {
            match entry {
                // What varies is never under a base key, what doesn't never anywhere else.
                Entry::Page { url, rules, .. } => prop_assert_eq!(*key == base(*url), rules.is_empty()),
                Entry::Rules(bytes) => {
                    let rules = Rules::parse(bytes).unwrap();
                    prop_assert!(rules.variants().len() <= MAX);
                    let begin = [&[0], rules.epoch().to_le_bytes().as_slice()].concat();
                    let live = self.store.keys().filter(|key| key.starts_with(&begin));
                    for key in live {
                        prop_assert!(rules.lists(hash(key)), "a variant that no bound counts");
                    }
                }
            }
        }
        Ok(())
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    prop::collection::btree_map(0..COOKIES.len(), "[xy]{0,1}", 0..=COOKIES.len())
}

fn any_states() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..COOKIES.len(), 0..3)
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        10 => (0..2usize, any_request(), any_states())
            .prop_map(|(url, request, states)| Act::Ask { url, request, states }),
        3 => (0..2usize, any_request(), any_request(), any_states(), any_states())
            .prop_map(|(url, one, other, a, b)| Act::Race { url, one, other, states: [a, b] }),
        2 => any::<prop::sample::Index>().prop_map(|n| Act::Lose(n.index(64))),
    ]
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn nobody_gets_another_ones_variant(acts in prop::collection::vec(any_act(), 1..40)) {
        let mut model = Model::default();
        for act in acts {
            match act {
                Act::Ask { url, request, states } => model.ask(url, &request, &states)?,
                Act::Race { url, one, other, states: [first, second] } => {
                    let ready = model.prepare(url, &one, &first);
                    model.store(url, &other, &second);
                    if !model.publish(url, ready) {
                        model.store(url, &one, &first);
                    }
                }
                Act::Lose(number) => {
                    let key = model.store.keys().nth(number % model.store.len().max(1)).cloned();
                    if let Some(key) = key {
                        model.store.remove(&key);
                    }
                }
            }
            model.check()?;
        }
    }
}
