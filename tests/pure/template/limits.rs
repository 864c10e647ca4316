//! Memory and time are bounded: huge names, many tags, no ends.

use super::rig::{Printed, Setup, Visitor, print, same_program};
use twice_core::template::*;

/// A page of this and that size is compiled, whole and in pieces; what it takes is a stated multiple.
fn compile(page: &[u8], multiple: usize) -> Compiler {
    let setup = Setup::default();
    let whole = setup.compile([page]);
    assert!(whole.size() <= multiple * page.len() + 16, "{} bytes of {}", whole.size(), page.len());
    let mut compiler = setup.compiler();
    for piece in page.chunks(1_000) {
        compiler.feed(piece);
        let held = setup.limits.tag_max + 4 * MAX_DELIMITER + 1_024;
        assert!(compiler.held() <= 2 * held, "{} bytes held", compiler.held());
    }
    compiler.finish();
    same_program(&whole, &compiler);
    whole
}

fn nothing(_: &str, _: &[u8]) -> Vec<u8> {
    Vec::new()
}

fn stays_as_it_is(page: &[u8], errors: u64) {
    let compiler = compile(page, 1);
    assert_eq!(compiler.error_count(), errors);
    assert!(print(&compiler, &Limits::default(), &nothing) == page);
}

#[test]
fn a_name_of_a_megabyte() {
    let name = "n".repeat(1 << 20);
    stays_as_it_is(format!("<& get cookie {name} &>").as_bytes(), 1);
    stays_as_it_is(format!("<& get cookie '{name}' &> <& get cookie \"{name}").as_bytes(), 2);
    stays_as_it_is("\u{e9}".repeat(1 << 19).as_bytes(), 0);
}

#[test]
fn the_longest_tag() {
    let tag = |inside: usize| {
        let rest = inside - " get cookie a ".len() - 1;
        format!("<& get cookie a {} &>", "d".repeat(rest))
    };
    let setup = Setup::default();
    let limit = setup.limits.tag_max;
    let page = tag(limit);
    assert_eq!(page.len(), limit + 4);
    for cuts in [vec![], vec![limit], vec![limit + 1], vec![limit + 2], vec![limit + 3], vec![1, limit + 3]] {
        assert_eq!(setup.check(page.as_bytes(), &cuts, &nothing).len(), limit - 15);
        let longer = tag(limit + 1);
        let compiler = setup.compile([longer.as_bytes()]);
        assert_eq!(compiler.errors()[0].kind, ErrorKind::TagTooLong);
        assert!(setup.check(longer.as_bytes(), &cuts, &nothing) == longer.as_bytes());
    }
    // What comes behind it is a page again.
    let page = format!("{}<& get cookie a ok &>", tag(limit + 1));
    assert!(setup.check(page.as_bytes(), &[7], &nothing).ends_with(b"d &>ok"));
}

#[test]
fn a_hundred_thousand_tags() {
    let compiler = compile("<&get arg a&>".repeat(100_000).as_bytes(), 1);
    assert_eq!(compiler.tags(), 100_000);
    assert_eq!(compiler.parts().unwrap().code.len(), 100_000);
    let printed = print(&compiler, &Limits::default(), &|_, _| b"<".to_vec());
    assert_eq!(printed.len(), 400_000);
    let compiler = compile("<&get arg a 1&>x".repeat(100_000).as_bytes(), 1);
    assert_eq!(print(&compiler, &Limits::default(), &nothing), b"1x".repeat(100_000));
}

#[test]
fn a_hundred_thousand_different_values() {
    let page: String = (0..100_000).map(|n| format!("<&get arg a{n}&>")).collect();
    let compiler = compile(page.as_bytes(), 2);
    assert_eq!(compiler.tags(), 4_096);
    assert_eq!(compiler.error_count(), 100_000 - 4_096);
    assert_eq!(compiler.errors()[0].kind, ErrorKind::TooManyValues);
    let printed = print(&compiler, &Limits::default(), &nothing);
    assert!(printed.starts_with(b"<&get arg a4096&>"));
    // Known ones go on working.
    let page = page + "<&get arg a7&>";
    assert_eq!(compile(page.as_bytes(), 2).tags(), 4_097);
}

#[test]
fn a_hundred_thousand_without_end() {
    stays_as_it_is("<& get cookie a\n".repeat(100_000).as_bytes(), 100_000);
    // On one line: cut off every tag_max bytes.
    let page = "<&".repeat(500_000);
    let compiler = compile(page.as_bytes(), 1);
    assert!(compiler.error_count() <= 1 + page.len() as u64 / (16 << 10));
    stays_as_it_is("<& x &>".repeat(100_000).as_bytes(), 100_000);
    stays_as_it_is("<".repeat(1 << 20).as_bytes(), 0);
    stays_as_it_is("&>".repeat(500_000).as_bytes(), 0);
    stays_as_it_is(("<&".to_owned() + &"&".repeat(1 << 20)).as_bytes(), 1);
}

#[test]
fn a_hundred_thousand_blocks() {
    let page = "<&if arg a&>".repeat(100_000);
    let compiler = compile(page.as_bytes(), 2);
    assert_eq!(compiler.tags(), 16);
    // All but 16 too deep, and 16 without end.
    assert_eq!(compiler.error_count(), 100_000);
    assert_eq!(print(&compiler, &Limits::default(), &nothing), b"");
    let balanced = page + &"<&end&>".repeat(100_000) + "after";
    let compiler = compile(balanced.as_bytes(), 2);
    assert_eq!(compiler.error_count(), 100_000 - 16);
    assert_eq!(print(&compiler, &Limits::default(), &nothing), b"after");
    let flat = "<&if arg a&>x<&else&>y<&end&>".repeat(30_000);
    assert_eq!(print(&compile(flat.as_bytes(), 1), &Limits::default(), &nothing), b"y".repeat(30_000));
    stays_as_it_is("<&end&>".repeat(100_000).as_bytes(), 100_000);
}

#[test]
fn texts_that_grow() {
    // Each js doubles the backslashes; the tag is refused before they are a megabyte.
    let backslashes = "\\".repeat(1_000);
    for filters in ["js ".repeat(16), "js ".repeat(16) + "| truncate:0", "attr js ".repeat(8)] {
        let page = format!("<& get arg a '{backslashes}' | {filters} &>");
        stays_as_it_is(page.as_bytes(), 1);
        let page = format!("<& get arg a | trim default:'{backslashes}' {filters} &>");
        compile(page.as_bytes(), 8);
    }
    let page = format!("<&if arg a {} {}|html&>", "&".repeat(7_000), "\"".repeat(7_000));
    compile(page.as_bytes(), 8);
    let page = format!("<&get arg a|trim {}&>", "default:xxxxxxxxxxxxxxxxxxxxxxxxxx ".repeat(15));
    compile(page.as_bytes(), 8);
}

#[test]
fn streaming_forgets() {
    let setup = Setup::default();
    let mut compiler = setup.compiler();
    let mut state = State::new(&setup.limits);
    let mut printed = 0;
    for n in 0..20_000 {
        compiler
            .feed(format!("some text <& get arg a{} &> and <& if arg b &>this<& end &>", n % 50).as_bytes());
        let visitor = Visitor::new(compiler.slots(), &|_, _| b"value".to_vec());
        let mut sink = Printed { literals: compiler.literals(), bytes: Vec::new(), changes: Vec::new() };
        compiler.run(&mut state, &visitor, &mut sink).unwrap();
        printed += sink.bytes.len();
        compiler.drain(&mut state);
        assert!(compiler.size() <= 4_096);
    }
    assert_eq!(printed, 20_000 * "some text value and this".len());
}

#[test]
fn all_texts_of_a_tag_grow_together() {
    // Either text fits alone; the same tag with a shorter one is good.
    let page = |n: usize, m: usize| {
        format!("<&get arg a {} | trim default:{} html html html&>", "&".repeat(n), "&".repeat(m))
    };
    for (n, m, errors) in [(40, 40, 1), (40, 10, 0), (10, 40, 0)] {
        let compiler = compile(page(n, m).as_bytes(), 9);
        assert_eq!(compiler.error_count(), errors, "{n} {m}");
        Setup::default().check(page(n, m).as_bytes(), &[], &|_, _| b" ".to_vec());
    }
}

#[test]
fn forgetting_what_was_not_run_yet() {
    let setup = Setup::default();
    let pieces =
        ["a<& get arg a &>b", "c<& if arg b &>d", "e<& else &>", "f", "<& end &>g<& get arg c x &>", "h"];
    // Runs after the pieces whose bit is set, forgets after each.
    for runs in 0..64 {
        let mut compiler = setup.compiler();
        let mut state = State::new(&setup.limits);
        let mut bytes = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            compiler.feed(piece.as_bytes());
            if n + 1 == pieces.len() {
                compiler.finish();
            }
            if runs & 1 << n != 0 || n + 1 == pieces.len() {
                let visitor = Visitor::new(compiler.slots(), &|_, key| key.repeat(usize::from(key != b"c")));
                let mut sink = Printed { literals: compiler.literals(), bytes, changes: Vec::new() };
                compiler.run(&mut state, &visitor, &mut sink).unwrap();
                bytes = sink.bytes;
            }
            compiler.drain(&mut state);
        }
        assert_eq!(String::from_utf8(bytes).unwrap(), "aabcdegxh", "{runs:b}");
    }
}

/// Runs `page` with the value under these limits.
fn limited(page: &str, value: &[u8], limits: Limits) -> (Vec<u8>, bool) {
    let compiler = Setup::default().compile([page.as_bytes()]);
    let parts = compiler.parts().unwrap();
    let visitor = Visitor(vec![value.to_vec(); 4]);
    let mut sink = Printed { literals: parts.literals, bytes: Vec::new(), changes: Vec::new() };
    let mut state = State::new(&limits);
    run(parts.code, parts.literals.len(), &mut state, &visitor, &mut sink).unwrap();
    (sink.bytes, state.truncated())
}

#[test]
fn a_value_too_long_is_missing() {
    let limits = Limits { value_max: 10, ..Limits::default() };
    let page = "<& get arg a none &><& get arg a | upper default:x &><& if arg a yes no &>";
    assert_eq!(limited(page, b"0123456789", limits), (b"01234567890123456789yes".to_vec(), false));
    assert_eq!(limited(page, b"0123456789a", limits), (b"nonexno".to_vec(), false));
}

#[test]
fn output_is_bounded() {
    let limits = Limits { output_max: 100, ..Limits::default() };
    let page = "<& get arg a &>.".repeat(30);
    // 25 values fit exactly, the rest prints nothing; text is printed all the same.
    let (printed, truncated) = limited(&page, b"1234", limits);
    assert_eq!(printed, [b"1234.".repeat(25), b".".repeat(5)].concat());
    assert!(truncated);
    assert!(!limited(&"<& get arg a &>".repeat(25), b"1234", limits).1);
    // Escaped bytes count as what is written.
    let (printed, truncated) = limited(&page, b"&", limits);
    assert_eq!(printed, [b"&amp;.".repeat(20), b".".repeat(10)].concat());
    assert!(truncated);
    // Through a chain as well; and what doesn't fit is left out whole.
    let (printed, truncated) = limited(&page.replace(" &>", " | upper &>"), b"abcdefg", limits);
    assert_eq!(printed, [b"ABCDEFG.".repeat(14), b".".repeat(16)].concat());
    assert!(truncated);
}

#[test]
fn chains_that_grow() {
    let value = "\\".repeat(60_000).into_bytes();
    let page = format!("<& get arg a | {} &>.", "js ".repeat(16)).repeat(20);
    let (printed, truncated) = limited(&page, &value, Limits::default());
    assert_eq!(printed, b".".repeat(20));
    assert!(truncated);
    let page = "<& get arg a | truncate:3 &>.".repeat(1_000);
    assert_eq!(limited(&page, &value, Limits::default()), (b"\\\\\\.".repeat(1_000), false));
}
