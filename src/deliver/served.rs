//! Where the bytes of a page are that is about to be sent: in the store, but for what was renewed meanwhile.

use twice_core::page::{FIXED, Fixed};
use twice_core::store::{Page, Pin, Segments};

use super::{copy_out, gather, in_one_piece};
use crate::sys::Request;

/// A prefix that takes the place of the page's own, in the request's pool.
#[derive(Clone, Copy)]
pub struct Renewed {
    pub prefix: *const [u8],
    /// Where the literals are in the page that is in the store.
    pub literals_at: usize,
}

/// A page in the keeping of the request's pool, with a new header.
#[derive(Clone, Copy)]
pub struct Kept {
    pub pin: *const Pin,
    pub tag: u64,
    pub renewed: Renewed,
}

/// A page to be sent.
#[derive(Clone, Copy)]
pub struct Served<'p> {
    page: Page<'p>,
    renewed: Option<Renewed>,
}

impl<'p> Served<'p> {
    /// A page as it is stored.
    pub fn stored(page: Page<'p>) -> Self {
        Self { page, renewed: None }
    }

    /// One whose prefix may be another one by now.
    pub fn new(page: Page<'p>, renewed: Option<Renewed>) -> Self {
        Self { page, renewed }
    }

    /// What was renewed of it.
    pub fn renewed(&self) -> Option<Renewed> {
        self.renewed
    }

    /// The page that lies in the store.
    pub fn page(&self) -> Page<'p> {
        self.page
    }

    fn new_prefix<'a>(&self, _request: Request<'a>) -> Option<&'a [u8]> {
        // SAFETY: in the pool of the live request, which is the one that is asked for.
        self.renewed.map(|renewed| unsafe { &*renewed.prefix })
    }

    /// The first part of the page; none if it is no page of this layout.
    #[inline]
    pub fn fixed(&self, request: Request<'_>) -> Option<Fixed> {
        if let Some(prefix) = self.new_prefix(request) {
            return Fixed::parse(prefix);
        }
        let mut fixed = [0; FIXED];
        // SAFETY: an array of ours.
        unsafe { gather(self.page.value_part(0, FIXED), fixed.as_mut_ptr(), FIXED) }.then_some(())?;
        Fixed::parse(&fixed)
    }

    /// The fixed part and the head, in the request's pool: logs and filters read it after the page has gone.
    #[inline]
    pub fn head<'a>(&self, request: Request<'a>, fixed: &Fixed) -> Option<&'a [u8]> {
        match self.new_prefix(request) {
            Some(prefix) => prefix.get(..fixed.head_len()),
            None => copy_out(request, self.page.value_part(0, fixed.head_len()), fixed.head_len()),
        }
    }

    /// All that stands before the literals: where it lies, or copied if it lies in several pieces.
    #[inline]
    pub fn prefix<'a>(&self, request: Request<'a>, fixed: &Fixed) -> Option<&'a [u8]>
    where
        'p: 'a,
    {
        match self.new_prefix(request) {
            Some(prefix) => prefix.get(..fixed.prefix_len()),
            None => in_one_piece(request, self.page, fixed.prefix_len()),
        }
    }

    /// The literals, where they lie.
    #[inline]
    pub fn literals(&self, fixed: &Fixed) -> Segments<'p> {
        let at = self.renewed.map_or(fixed.prefix_len(), |renewed| renewed.literals_at);
        self.page.value_part(at, fixed.literals_len())
    }
}
