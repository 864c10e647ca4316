//! Replies of a server that says anything, cut anywhere, against the naive model; keys and records that sources are asked
//! by and answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twice_core::source::key::{MAX_KEY, Template, check};
use twice_core::source::record::Record;

#[path = "../pure/memcached/naive.rs"]
mod naive;

use naive::Command;

fuzz_target!(|data: &[u8]| {
    let (head, stream) = data.split_at(data.len().min(4));
    let commands: Vec<Command> = head.iter().map(|&byte| command(byte)).collect();
    let whole = naive::parse(&commands, [stream]);
    assert_eq!(naive::read(&commands, stream), whole);
    let piece = 1 + usize::from(head.first().copied().unwrap_or(0)) % 7;
    assert_eq!(naive::parse(&commands, stream.chunks(piece)), whole);
    source(stream);
});

/// A command by its number.
fn command(number: u8) -> Command {
    match number % 8 {
        0 => Command::Store,
        1 => Command::Arith,
        2 => Command::Delete,
        3 => Command::Version,
        keys => Command::get(&["a", "b", "key", "long_key_42"][..usize::from(keys) - 3]),
    }
}

fn source(text: &[u8]) {
    let (first, second) = text.split_at(text.len() / 2);
    if let Ok(template) = Template::parse(first) {
        let filled = template.fill::<MAX_KEY>(second, |_| Some(second)).ok();
        for key in [filled, template.substitute(second).ok()] {
            assert!(key.is_none_or(|key| check(key.as_bytes()).is_ok()));
        }
    }
    if let Ok(record) = Record::parse(text) {
        for path in [&b"a"[..], b"a.b", b"0", b"a.0.b", first] {
            record.text_at(path);
        }
    }
}
