//! Commands as they are sent, and the keys of a line.

use crate::property::cases;
use proptest::prelude::*;
use std::collections::HashMap;
use twice_core::memcached::*;
use twice_core::source::key::MAX_KEY;

#[test]
fn commands_as_they_are_sent() {
    let mut keys = Keys::new();
    for key in ["a", "b2", "a", "c"] {
        keys.push(key.as_bytes());
    }
    let sent = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = b"before ".to_vec();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(sent(&|out| encode::get(out, &keys)), "before get a b2 c\r\n");
    assert_eq!(sent(&|out| encode::incr(out, b"k")), "before incr k 1\r\n");
    assert_eq!(sent(&|out| encode::decr(out, b"k")), "before decr k 1\r\n");
    assert_eq!(sent(&|out| encode::delete(out, b"k")), "before delete k\r\n");
    assert_eq!(sent(&|out| encode::add(out, b"k", b"17")), "before add k 0 0 2\r\n17\r\n");
    assert_eq!(sent(&|out| encode::set(out, b"k", b"")), "before set k 0 0 0\r\n\r\n");
    assert_eq!(sent(&encode::version), "before version\r\n");
}

#[test]
fn a_line_is_bounded() {
    for len in [1, 2, 20, 249, MAX_KEY] {
        let mut keys = Keys::new();
        let key = |n: usize| {
            let mut key = n.to_string().into_bytes();
            key.resize(len.max(key.len()), b'x');
            key
        };
        let count = (0..).take_while(|&n| keys.push(&key(n)) != Pushed::Full).count();
        let mut line = Vec::new();
        encode::get(&mut line, &keys);
        assert!(line.len() <= MAX_LINE && count <= MAX_KEYS, "{} bytes, {count} keys", line.len());
        assert!(count == MAX_KEYS || line.len() + MAX_KEY >= MAX_LINE, "{} bytes, {count} keys", line.len());
        assert_eq!(keys.len(), count);
        // A full line still knows its keys.
        assert_eq!(keys.push(&key(count - 1)), Pushed::Known(count - 1));
        assert_eq!(keys.find(&key(count)), None);
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn each_key_has_one_number(all in proptest::collection::vec("[a-c]{1,4}", 0..200)) {
        let mut keys = Keys::new();
        prop_assert!(keys.is_empty());
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for key in &all {
            let next = numbers.len();
            let expected = match numbers.get(key.as_str()) {
                Some(&known) => Pushed::Known(known),
                None => Pushed::New(next),
            };
            numbers.entry(key).or_insert(next);
            prop_assert_eq!(keys.push(key.as_bytes()), expected);
        }
        prop_assert_eq!(keys.len(), numbers.len());
        for (key, &number) in &numbers {
            prop_assert_eq!(keys.find(key.as_bytes()), Some(number));
            prop_assert_eq!(keys.get(number), Some(key.as_bytes()));
        }
        prop_assert_eq!(keys.get(numbers.len()), None);
        let mut line = Vec::new();
        encode::get(&mut line, &keys);
        let joined = keys.iter().map(|key| format!(" {}", String::from_utf8_lossy(key))).collect::<String>();
        prop_assert_eq!(String::from_utf8(line).unwrap(), format!("get{joined}\r\n"));
    }
}
