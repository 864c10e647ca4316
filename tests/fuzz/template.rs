//! Any page, cut anywhere, with any value: the core must print what the naive model prints; where it chooses filters by
//! their places, it must choose the same for all cuts.
//!
//! A page differs from another one where it does, and holds as a header line, too.
//!
//! An input is `setup, 4 places to cut at, length of the value, value, page`; a run is that of
//! `Setup::check` in tests/pure/template/rig.rs. A failing input is printed as a test for
//! tests/pure/template/cuts.rs.

#![no_main]

mod compared;
#[path = "../pure/template/naive/mod.rs"]
#[allow(dead_code)]
mod naive;
#[path = "../pure/template/rig.rs"]
#[allow(dead_code)]
mod rig;

use libfuzzer_sys::fuzz_target;
use rig::{Printed, Setup, Visitor};
use std::sync::{Mutex, Once};
use twice_core::template::{Escape, Limits, Slots, Start, State, run};

const DELIMITERS: [(&str, &str); 4] = [("<&", "&>"), ("&", "&"), ("<&<", "&>&>"), ("{{", "}}")];

/// The input that is being run, for the panic hook.
static CURRENT: Mutex<Option<(Setup, Vec<usize>, Vec<u8>, Vec<u8>)>> = Mutex::new(None);
static HOOK: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    HOOK.call_once(print_failures);
    let [flags, a, b, c, d, len, rest @ ..] = data else { return };
    let (value, page) = rest.split_at(rest.len().min(usize::from(*len % 32)));
    let (open, close) = DELIMITERS[usize::from(flags & 3)];
    let setup = Setup {
        open: open.into(),
        close: close.into(),
        guard: (flags & 32 != 0).then(|| "0123456789abcdef".to_owned()),
        escape: if flags & 4 == 0 { Escape::Html } else { Escape::Off },
        limits: Limits {
            tag_max: if flags & 8 == 0 { 16 << 10 } else { 40 },
            slots_max: if flags & 16 == 0 { 4096 } else { 2 },
            ..Limits::default()
        },
    };
    let cuts: Vec<usize> = [a, b, c, d].iter().map(|&&cut| usize::from(cut) * page.len() / 255).collect();
    *CURRENT.lock().unwrap() = Some((setup.clone(), cuts.clone(), value.to_vec(), page.to_vec()));
    let lookup = |_: &str, key: &[u8]| match key {
        b"a" | b"/a" | b"a b" => value.to_vec(),
        b"" => b"n0nce_-".to_vec(),
        b"zero" => b"0".to_vec(),
        b"x" => b" <'\"\\&> ".to_vec(),
        _ => Vec::new(),
    };
    setup.check(page, &cuts, &lookup);
    let start = Start::ALL[usize::from(flags >> 5) % Start::ALL.len()];
    let auto = Setup { escape: Escape::Auto(start), ..setup.clone() };
    CURRENT.lock().unwrap().as_mut().unwrap().0 = auto.clone();
    auto.check_cuts(page, &cuts, &lookup);
    compared::header(&setup, page, &lookup);
    compared::pages(&auto, page, &cuts, usize::from(*a) << 8 | usize::from(*b));

    // The same bytes as a program and as slots: they may print anything, but must end.
    let visitor = Visitor(vec![value.to_vec(); 3]);
    let mut printed = Printed { literals: value, bytes: Vec::new(), changes: Vec::new() };
    let _ = run(page, value.len(), &mut State::new(&setup.limits), &visitor, &mut printed);
    let _ = Slots::new(page).map(|slot| slot.key.len()).sum::<usize>();
});

/// A failure prints itself as a test, then goes the way of libFuzzer.
fn print_failures() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if let Some((setup, cuts, value, page)) = CURRENT.try_lock().ok().and_then(|mut input| input.take()) {
            eprintln!("#[test]\nfn found_by_fuzzing() {{");
            eprintln!("    let setup = Setup {{");
            eprintln!("        open: b\"{}\".into(),", setup.open.escape_ascii());
            eprintln!("        close: b\"{}\".into(),", setup.close.escape_ascii());
            eprintln!("        guard: {:?}.map(str::to_owned),", setup.guard);
            eprintln!("        escape: Escape::{:?},", setup.escape);
            eprintln!(
                "        limits: Limits {{ tag_max: {}, slots_max: {}, ..Limits::default() }},",
                setup.limits.tag_max, setup.limits.slots_max
            );
            eprintln!("    }};");
            eprintln!("    let value = |_: &str, key: &[u8]| match key {{");
            eprintln!("        b\"a\" => b\"{}\".to_vec(),", value.escape_ascii());
            eprintln!("        b\"\" => b\"n0nce_-\".to_vec(),");
            eprintln!("        b\"zero\" => b\"0\".to_vec(),");
            eprintln!("        b\"x\" => b\" <'\\\"\\\\&> \".to_vec(),");
            eprintln!("        _ => Vec::new(),");
            eprintln!("    }};");
            let check = if matches!(setup.escape, Escape::Auto(_)) { "check_cuts" } else { "check" };
            eprintln!("    setup.{check}(b\"{}\", &{cuts:?}, &value);", page.escape_ascii());
            eprintln!("}}");
        }
        before(info);
    }));
}
