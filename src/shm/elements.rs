//! A zone's remembered values of sources: `twice_core::elements` for a request, and for whoever fetches.
//!
//! In a zone without room for them nothing is remembered: every question goes to the source.

use twice_core::board::flights::{Channels, Lease, Watched};
use twice_core::elements::{Claim, Elements, News, Remembered, SmallValue};

use super::{ShmLock, Zone};
use crate::channel;
use crate::sys::Request;

/// A remembered value, copied to a request's pool.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// `None`: the source has no such key.
    pub value: Option<&'a [u8]>,
}

impl<'a> Element<'a> {
    /// None where memory ran out.
    pub fn copy(request: Request<'a>, from: &Remembered<'_>) -> Option<Self> {
        let value = match from.value_len() {
            None => None,
            Some(len) => Some(request.join(len, |add| from.pieces().for_each(add))?),
        };
        Some(Self { value })
    }
}

impl Zone {
    fn elements(&self) -> Option<Elements<'_, ShmLock>> {
        let (_, lock) = self.store.as_ref()?;
        Some(Elements { store: self.elements.as_ref()?, lock, board: self.board.as_ref()?, slot: &self.slot })
    }

    /// The hash of an element's id.
    pub fn element_hash(&self, id: &[u8]) -> u64 {
        self.elements().map_or(0, |elements| elements.hash(id))
    }

    /// A fresh element, copied to the request's pool. Needs no lock.
    pub fn element<'a>(
        &self,
        request: Request<'a>,
        hash: u64,
        id: &[u8],
        now_ms: u64,
    ) -> Option<Element<'a>> {
        self.look_at_element(hash, id, now_ms, |found| Element::copy(request, found)).flatten()
    }

    /// The same without a copy: `read` takes what it needs, and may not come back here.
    pub fn look_at_element<T>(
        &self,
        hash: u64,
        id: &[u8],
        now_ms: u64,
        read: impl FnOnce(&Remembered<'_>) -> T,
    ) -> Option<T> {
        self.elements()?.look(hash, id, now_ms, read)
    }

    /// Asks who fetches an element that was not found. Where the answer is "wait", this worker's channel is woken when the
    /// fetch ends. A fetch that is older than `age_ms` is overtaken.
    pub fn claim_element<'a>(
        &self,
        request: Request<'a>,
        hash: u64,
        id: &[u8],
        now_ms: u64,
        age_ms: u64,
    ) -> Claim<Element<'a>> {
        let Some(elements) = self.elements() else { return Claim::Alone };
        let copy = |found: &Remembered<'_>| Element::copy(request, found);
        match elements.claim(hash, id, now_ms, age_ms, self.owner(), channel::mine(), copy) {
            Claim::There(Some(element)) => Claim::There(element),
            Claim::Fetch(lease) => Claim::Fetch(lease),
            Claim::Wait(generation) => Claim::Wait(generation),
            Claim::There(None) | Claim::Alone => Claim::Alone,
        }
    }

    /// Whether a fetch by this process, or another, goes on and still counts: who joins it gets nothing of before a
    /// purge. Needs no lock.
    pub fn is_element_fetched(&self, hash: u64, generation: u64) -> bool {
        self.board.is_some_and(|board| board.is_element_fetched(hash, generation))
    }

    /// Whether the fetch that somebody waits for is still under way. If so, this worker's channel is woken when it ends.
    pub fn watch_element(&self, hash: u64, generation: u64) -> Option<Watched> {
        let channel = channel::mine()?;
        self.elements()?.watch(hash, generation, channel)
    }

    /// Ends the fetch of a process that is no more.
    pub fn give_up_element(&self, hash: u64, generation: u64) {
        wake(self.elements().map(|elements| elements.give_up(hash, generation)));
    }

    /// Remembers values, ends their fetches, and wakes those who wait for them.
    pub fn remember(&self, news: &[News<'_>], now_ms: u64) {
        wake(self.elements().map(|elements| elements.remember(news, now_ms)));
    }

    /// Ends fetches that brought nothing to be remembered, and wakes those who wait for them.
    pub fn end_element_fetches(&self, leases: impl IntoIterator<Item = Lease>, now_ms: u64) {
        wake(self.elements().map(|elements| elements.end(leases, now_ms)));
    }

    /// Removes an element; what is being fetched of it will not be remembered. False: it was not there.
    pub fn forget_element(&self, hash: u64, id: &[u8]) -> bool {
        let Some((there, woken)) = self.elements().map(|elements| elements.forget(hash, id)) else {
            return false;
        };
        channel::wake(woken);
        there
    }

    /// Puts another small value in the place of a fresh one, with its time. `change` runs under the zone's lock: it must
    /// only compute. False: nothing was changed.
    pub fn change_element(
        &self,
        hash: u64,
        id: &[u8],
        now_ms: u64,
        change: impl FnOnce(&[u8]) -> Option<SmallValue>,
    ) -> bool {
        self.elements().is_some_and(|elements| elements.change(hash, id, now_ms, change))
    }
}

fn wake(woken: Option<Channels>) {
    channel::wake(woken.unwrap_or_default());
}
