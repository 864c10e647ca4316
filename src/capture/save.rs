//! A page that came whole is made one value of the store, with its program and its tag.

use twice_core::audit;
use twice_core::board::Counter;
use twice_core::fingerprint;
use twice_core::marks::Keys;
use twice_core::outcome::Reason;
use twice_core::page::Program;
use twice_core::store::Meta;
use twice_core::template::{Compiler, Limits, Origin, Sink, State, Values};

use super::headers::Snapshot;
use super::place::{Audit, Renews, ToStore, place};
use crate::conf;
use crate::ctx;
use crate::deliver::{LARGE_RUN, page_tag};
use crate::identity;
use crate::sys::Request;

/// What is stored besides the header.
pub struct Made<'a> {
    pub program: &'a Program<'a>,
    /// In one piece or several.
    pub literals: &'a [&'a [u8]],
    /// Where its tags stood, if that is known.
    pub origin: Option<&'a Origin>,
    pub generation: u64,
    /// What the store keeps for a hit ([`page_tag`]).
    pub tag: u64,
    /// The page that was asked about; none: it is a new one.
    pub renews: Option<Renews<'a>>,
}

/// Stores a page without tags.
pub fn plain(request: Request<'_>, snapshot: &Snapshot, body: &[u8]) -> Result<(), Reason> {
    let large = body.len() >= LARGE_RUN;
    let tag = page_tag(if large { 0 } else { body.len() }, large);
    let (program, literals) = (&Program::default(), &[body][..]);
    save(request, snapshot, &Made { program, literals, origin: None, generation: 0, tag, renews: None })
}

/// Stores a page with its program. A page whose template turned out to have no tag is a plain one, with the validators and
/// digests of its origin, unless a guard's token was taken out of it: then its bytes are not those that came.
pub fn tagged(request: Request<'_>, snapshot: &Snapshot, compiler: &Compiler) -> Result<(), Reason> {
    let parts = compiler.parts().ok_or(Reason::Failed)?;
    let as_it_came = parts.literals.len() as u64 == snapshot.body_len();
    if parts.tags == 0 && snapshot.tag_lines().is_empty() && as_it_came {
        return plain(request, snapshot, parts.literals);
    }
    let program = Program {
        slots: parts.slots,
        code: parts.code,
        personal: parts.personal,
        includes: parts.includes,
        sources: parts.sources,
        volatile: parts.volatile,
    };
    let literals = parts.literals;
    let generation = fingerprint::generation(&snapshot.read_as(), &program, literals);
    let (origin, tag) = (compiler.origin(), runs(&program, literals.len()));
    let made = Made { program: &program, literals: &[literals], origin, generation, tag, renews: None };
    save(request, snapshot, &made)
}

/// What a hit will join and whether it has large runs: the program is run once with all values there
/// and once with none, so that both branches of a block are seen.
fn runs(program: &Program<'_>, literals: usize) -> u64 {
    struct All(&'static [u8]);
    impl Values for All {
        fn value(&self, _slot: usize) -> Option<&[u8]> {
            Some(self.0)
        }
    }
    #[derive(Default)]
    struct Measure {
        joined: usize,
        large: bool,
    }
    impl Sink for Measure {
        fn literal(&mut self, _offset: usize, len: usize) {
            if len >= LARGE_RUN {
                self.large = true;
            } else {
                self.joined += len;
            }
        }
        fn write(&mut self, _bytes: &[u8]) {}
    }
    let mut measure = Measure::default();
    let mut joined = 0;
    for values in [All(b"1"), All(b"")] {
        measure.joined = 0;
        let mut state = State::new(&Limits::default());
        if twice_core::template::run(program.code, literals, &mut state, &values, &mut measure).is_err() {
            break;
        }
        joined = joined.max(measure.joined);
    }
    // Fragments come after the call that finds the page: it has to be kept until then.
    page_tag(joined, measure.large || program.includes)
}

/// Stores a page. Its times are those of the request's context.
pub fn save(request: Request<'_>, snapshot: &Snapshot, made: &Made<'_>) -> Result<(), Reason> {
    let Made { program, literals, origin, generation, tag, renews } = *made;
    let conf = conf::of(request);
    let ctx = ctx::get(request).ok_or(Reason::Failed)?;
    let meta = Meta {
        created_ms: ctx.created_ms,
        expires_ms: ctx.expires_ms,
        stale_s: ctx.windows.stale_s,
        error_s: ctx.windows.error_s,
        began: ctx.began,
        // Where it has passed an audit before, it is another page now.
        tag: audit::without(tag),
    };
    // SAFETY: the zone of the request's location; the key lies in the request's pool.
    let (zone, base, base_hash) = unsafe { (&*ctx.zone, &*ctx.base_key, ctx.base_hash) };
    let (host, target) = identity::url_of(request).ok_or(Reason::Failed)?;
    let marks = |keys: Keys| keys.encode(&host, &target).ok_or(Reason::TooManyKeys);
    let page = ToStore {
        zone,
        base,
        base_hash,
        stated: snapshot.stated(),
        literals,
        marks: &marks(snapshot.keys.clone())?,
        marks_of_rules: &marks(Keys::default())?,
        meta,
        max_variants: conf.max_variants,
        audit: conf.audit().map(|_| Audit { origin }),
        renews,
    };
    let len = literals.iter().map(|piece| piece.len()).sum();
    place(request, &page, |dimensions| snapshot.lay(program, (len, generation), dimensions, conf.headers()))?;
    zone.count(Counter::Stored);
    Ok(())
}
