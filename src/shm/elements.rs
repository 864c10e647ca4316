//! stub
use super::Zone;
use crate::sys::Request;
use twice_core::board::flights::{Asked, Channels, Lease, Watched};
use twice_core::source::Change;
/// x
pub struct Element<'a> {
    /// x
    pub value: Option<&'a [u8]>,
}
impl Zone {
    /// x
    pub fn element_hash(&self, id: &[u8]) -> u64 {
        self.store().map_or(0, |s| s.hash(id))
    }
    /// x
    pub fn element<'a>(&self, _r: Request<'a>, _hash: u64, _id: &[u8], _now: u64) -> Option<Element<'a>> {
        None
    }
    /// x
    pub fn claim_element(&self, _hash: u64, _now: u64, _age: u64, _c: Option<u32>) -> Option<Asked> {
        None
    }
    /// x
    pub fn watch_element(&self, _hash: u64, _g: u64, _c: u32) -> Option<Watched> {
        None
    }
    /// x
    pub fn give_up_element(&self, _hash: u64, _g: u64) -> Channels {
        Channels::default()
    }
    /// x
    pub fn end_element(
        &self,
        _hash: u64,
        _id: &[u8],
        _v: Option<Option<&[u8]>>,
        _ttl: u64,
        _l: Lease,
        _now: u64,
    ) -> Channels {
        Channels::default()
    }
    /// x
    pub fn change_element(&self, _id: &[u8], _c: Change, _now: u64) {}
    /// x
    pub fn local_get(&self, _id: &[u8], _now: u64) -> Option<u64> {
        None
    }
    /// x
    pub fn local_change(&self, _id: &[u8], _c: Change, _now: u64) -> Option<u64> {
        None
    }
}
