//! The page as two visitors may be sent it, and as a header line of its own.

use crate::rig::{Setup, Visitor, cut};
use twice_core::audit::{Fresh, Place, Value, difference, is_same};
use twice_core::page::{Behind, Head, Program, encode_prefix};
use twice_core::template::{Compiler, Limits, MAX_HEADER, Slots, State, lines};

/// A value that lies in pieces.
struct Pieces<'a>(&'a [u8]);

impl Value for Pieces<'_> {
    fn part(&self, at: usize, len: usize) -> impl Iterator<Item = &[u8]> {
        let end = at.saturating_add(len).min(self.0.len());
        self.0.get(at..end).unwrap_or_default().chunks(7)
    }
}

/// The same page but for a byte: `at` is taken modulo its length.
pub fn pages(setup: &Setup, page: &[u8], cuts: &[usize], at: usize) {
    let compile = |page: &[u8]| {
        let mut compiler = setup.compiler();
        compiler.note_origin();
        for piece in cut(page, cuts) {
            compiler.feed(piece);
        }
        compiler.finish();
        compiler
    };
    let ours = compile(page);
    let (prefix, value) = stored(&ours);
    let literals = ours.literals();
    let pieces: Vec<&[u8]> = literals.chunks(5).collect();
    let fresh = Fresh { prefix: &prefix, literals: &pieces, origin: ours.origin() };
    assert_eq!(difference(&fresh, &Pieces(&value), 0), Some(None));
    if let Some(byte) = (!page.is_empty()).then(|| at % page.len()) {
        let mut other = page.to_vec();
        other[byte] ^= 1 << (at % 8);
        let (_, theirs) = stored(&compile(&other));
        let found = difference(&fresh, &Pieces(&theirs), 0).expect("a page");
        assert_eq!(is_same(&fresh, &Pieces(&theirs), 0), Some(found.is_none()));
        assert_eq!(found.is_none(), value == theirs, "{found:?}");
        check(found, page);
    }
    // Whatever lies there: no panic, and no place that the page does not have.
    let mut broken = value;
    for (at, byte) in page.iter().enumerate().step_by(3) {
        let place = (at * 31 + usize::from(*byte)) % broken.len();
        broken[place] ^= byte;
    }
    for value in [&broken, page] {
        check(difference(&fresh, &Pieces(value), 0).flatten(), page);
        is_same(&fresh, &Pieces(value), 0);
    }
}

/// A place is one of the page.
fn check(found: Option<Place>, page: &[u8]) {
    if let Some(Place::Body { line, column }) = found {
        let text = page.split(|&b| b == b'\n').nth(line - 1);
        let len = text.unwrap_or_else(|| panic!("line {line} of {}", page.escape_ascii())).len();
        assert!((1..=len + 2).contains(&column), "column {column} of line {line} in {}", page.escape_ascii());
    }
}

/// A page's prefix, and all of it.
fn stored(compiler: &Compiler) -> (Vec<u8>, Vec<u8>) {
    let parts = compiler.parts().expect("a finished page");
    let program = if parts.tags == 0 {
        Program::default()
    } else {
        Program { slots: parts.slots, code: parts.code, personal: parts.personal, ..Program::default() }
    };
    let behind = Behind { literals_len: parts.literals.len(), ..Behind::default() };
    let head = Head { status: 200, ..Head::default() };
    let prefix = encode_prefix(&head, std::iter::empty(), &program, &behind).expect("short lengths");
    let value = [&prefix, parts.literals].concat();
    (prefix, value)
}

/// The page as the value of a header line: nothing in what a visitor brings may end it.
pub fn header(setup: &Setup, page: &[u8], lookup: &dyn Fn(&str, &[u8]) -> Vec<u8>) {
    let mut compiler = setup.compiler();
    let line = compiler.header(page);
    compiler.finish();
    let own = line.literals.iter().filter(|byte| byte.is_ascii_control()).count();
    let mut encoded = Vec::new();
    line.encode(b"X-Line", &mut encoded);
    let line = lines(&encoded).next().expect("the line that was written");
    assert_eq!((line.name, lines(&encoded).count()), (&b"X-Line"[..], 1));
    let visitor = Visitor::new(Slots::new(compiler.parts().expect("a finished page").slots), lookup);
    let (mut state, mut out) = (State::new(&Limits::default()), b"left over".to_vec());
    if line.print(&mut state, &visitor, &mut out).expect("a program that was just written") {
        assert!(out.len() <= MAX_HEADER);
        assert!(out.iter().filter(|byte| byte.is_ascii_control()).count() <= own);
    }
    // The same bytes as stored lines.
    for line in lines(page) {
        let _ = line.print(&mut state, &visitor, &mut out);
        assert!(out.len() <= MAX_HEADER);
    }
}
