//! Compiles and runs pages in every way that must give the same, for the tests and the fuzz target.

use super::naive::{self, World};
use std::sync::Arc;
use twice_core::source::Change;
use twice_core::template::*;

/// The sources that tags may have as targets.
pub const SOURCES: [&str; 3] = ["db", "session", "unread"];

/// Looks a value up: target (or source), key (in lower case where case doesn't matter). Empty: missing.
pub type Lookup<'a> = &'a dyn Fn(&str, &[u8]) -> Vec<u8>;

/// The values of one visitor, by slot.
pub struct Visitor(pub Vec<Vec<u8>>);

impl Visitor {
    pub fn new<'a>(slots: impl Iterator<Item = Slot<'a>>, lookup: Lookup<'_>) -> Self {
        let find = |slot: Slot<'a>| match slot.source() {
            Some((name, key)) => lookup(str::from_utf8(name).unwrap(), key),
            None => lookup(slot.target.as_str(), slot.key),
        };
        Visitor(slots.map(find).collect())
    }
}

impl Values for Visitor {
    fn value(&self, slot: usize) -> Option<&[u8]> {
        self.0.get(slot).map(Vec::as_slice)
    }

    fn fragment(&self, slot: usize) -> Option<&[u8]> {
        self.value(slot).filter(|fragment| !fragment.is_empty())
    }
}

/// The page as printed, and what it changes.
pub struct Printed<'a> {
    pub literals: &'a [u8],
    pub bytes: Vec<u8>,
    pub changes: Vec<String>,
}

impl Sink for Printed<'_> {
    fn literal(&mut self, offset: usize, len: usize) {
        assert!(len > 0, "an empty run of literals");
        self.bytes.extend_from_slice(&self.literals[offset..offset + len]);
    }

    fn write(&mut self, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "an empty write");
        self.bytes.extend_from_slice(bytes);
    }

    fn change(&mut self, source: &[u8], key: &[u8], change: Change) {
        self.changes.push(format!("{change:?} {} {}", source.escape_ascii(), key.escape_ascii()));
    }
}

/// How a page is compiled.
#[derive(Clone, Debug)]
pub struct Setup {
    pub open: Vec<u8>,
    pub close: Vec<u8>,
    /// The token of guarded tags, which stands behind the opener.
    pub guard: Option<String>,
    pub escape: Escape,
    pub limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            open: b"<&".into(),
            close: b"&>".into(),
            guard: None,
            escape: Escape::Html,
            limits: Limits::default(),
        }
    }
}

pub fn sources() -> Sources {
    SOURCES.map(Box::from).into()
}

impl Setup {
    pub fn compiler(&self) -> Compiler {
        let mut delimiters = Delimiters::strings(&self.open, &self.close).unwrap();
        if let Some(token) = &self.guard {
            delimiters = delimiters.guarded(&Token::parse(token.as_bytes()).unwrap()).unwrap();
        }
        Compiler::new(Arc::new(delimiters), self.escape, self.limits, sources())
    }

    pub fn compile<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Compiler {
        let mut compiler = self.compiler();
        for piece in pieces {
            compiler.feed(piece);
        }
        compiler.finish();
        compiler
    }

    /// Streams a page by: each piece is printed as far as it can be, then forgotten if `drain` says so.
    pub fn stream<'a>(
        &self,
        pieces: impl IntoIterator<Item = &'a [u8]>,
        lookup: Lookup<'_>,
        drain: bool,
    ) -> ((Vec<u8>, Vec<String>), Compiler) {
        let mut compiler = self.compiler();
        let mut state = State::new(&self.limits);
        let (mut bytes, mut changes) = (Vec::new(), Vec::new());
        let mut step = |compiler: &mut Compiler| {
            let visitor = Visitor::new(compiler.slots(), lookup);
            let (so_far, made) = (std::mem::take(&mut bytes), std::mem::take(&mut changes));
            let mut printed = Printed { literals: compiler.literals(), bytes: so_far, changes: made };
            compiler.run(&mut state, &visitor, &mut printed).unwrap();
            (bytes, changes) = (printed.bytes, printed.changes);
            if drain {
                compiler.drain(&mut state);
                assert_eq!(compiler.literals().len(), 0);
            }
        };
        for piece in pieces {
            compiler.feed(piece);
            step(&mut compiler);
        }
        compiler.finish();
        step(&mut compiler);
        ((bytes, changes), compiler)
    }

    /// Everything that must hold for any page, cut anywhere. Gives the page as printed.
    pub fn check(&self, page: &[u8], cuts: &[usize], lookup: Lookup<'_>) -> Vec<u8> {
        let whole = self.compile([page]);
        let (printed, changes) = print_and_change(&whole, &self.limits, lookup);
        let naive = naive::render(
            page,
            &World {
                open: &self.open,
                close: &self.close,
                guard: self.guard.as_deref().unwrap_or_default().as_bytes(),
                escape: self.escape == Escape::Html,
                tag_max: self.limits.tag_max,
                slots_max: self.limits.slots_max,
                sources: &SOURCES,
                lookup,
            },
        );
        same("the naive model", &naive.bytes, &printed);
        assert_eq!(naive.changes, changes);
        assert_eq!(naive.errors.len() as u64, whole.error_count(), "{:?} {:?}", naive.errors, whole.errors());
        if naive.errors.len() <= MAX_ERRORS {
            let mut errors: Vec<_> = whole.errors().iter().map(|error| error.kind.as_str()).collect();
            errors.sort();
            assert_eq!(naive.errors, errors);
        }
        assert_eq!(self.check_cuts(page, cuts, lookup), (printed.clone(), changes));
        printed
    }

    /// What must hold however a page comes. Gives it as printed, and what it changes.
    pub fn check_cuts(&self, page: &[u8], cuts: &[usize], lookup: Lookup<'_>) -> (Vec<u8>, Vec<String>) {
        let whole = self.compile([page]);
        let (printed, changes) = print_and_change(&whole, &self.limits, lookup);
        assert!(whole.size() <= 9 * page.len() + 16, "{} bytes of {}", whole.size(), page.len());

        let pieces = cut(page, cuts);
        let cut = self.compile(pieces.iter().copied());
        same_program(&whole, &cut);
        let (streamed, kept) = self.stream(pieces.iter().copied(), lookup, false);
        same("streaming", &printed, &streamed.0);
        assert_eq!(streamed.1, changes);
        same_program(&whole, &kept);
        let (streamed, drained) = self.stream(pieces.iter().copied(), lookup, true);
        same("streaming and forgetting", &printed, &streamed.0);
        assert_eq!(streamed.1, changes);
        assert_eq!(whole.errors(), drained.errors());
        assert!(drained.parts().is_none());
        (printed, changes)
    }
}

/// Prints a finished page as a hit does: from what is stored.
pub fn print(compiler: &Compiler, limits: &Limits, lookup: Lookup<'_>) -> Vec<u8> {
    print_and_change(compiler, limits, lookup).0
}

/// The same, and what the page changes.
pub fn print_and_change(compiler: &Compiler, limits: &Limits, lookup: Lookup<'_>) -> (Vec<u8>, Vec<String>) {
    let parts = compiler.parts().unwrap();
    let slots = Slots::new(parts.slots);
    assert_eq!(slots.clone().collect::<Vec<_>>(), compiler.slots().collect::<Vec<_>>());
    assert_eq!(slots.remaining(), compiler.slots().len());
    let visitor = Visitor::new(slots, lookup);
    let mut printed = Printed { literals: parts.literals, bytes: Vec::new(), changes: Vec::new() };
    let mut state = State::new(limits);
    run(parts.code, parts.literals.len(), &mut state, &visitor, &mut printed).unwrap();
    (printed.bytes, printed.changes)
}

/// The pieces of a page that is cut at these places (taken modulo its length).
pub fn cut<'a>(page: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (page.len() + 1)).collect();
    cuts.sort();
    let mut pieces = Vec::new();
    let mut at = 0;
    for cut in cuts {
        pieces.push(&page[at..cut]);
        at = cut;
    }
    pieces.push(&page[at..]);
    pieces
}

pub fn same_program(a: &Compiler, b: &Compiler) {
    let (a_parts, b_parts) = (a.parts().unwrap(), b.parts().unwrap());
    same("literals", a_parts.literals, b_parts.literals);
    same("code", a_parts.code, b_parts.code);
    same("slots", a_parts.slots, b_parts.slots);
    let said =
        |parts: &Parts<'_>| (parts.personal, parts.includes, parts.sources, parts.volatile, parts.tags);
    assert_eq!(said(&a_parts), said(&b_parts));
    assert_eq!(a.errors(), b.errors());
    assert_eq!(a.error_count(), b.error_count());
}

/// As `assert_eq!`, in a form that can be read.
pub fn same(what: &str, expected: &[u8], got: &[u8]) {
    assert!(
        expected == got,
        "{what}:\nexpected \"{}\"\ngot      \"{}\"",
        expected.escape_ascii(),
        got.escape_ascii()
    );
}
