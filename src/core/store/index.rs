//! The index: buckets of pages by hash, chained through the pages.
//!
//! Invariants
//! - Every live page is in the chain of its hash's bucket exactly once, and nothing else is. The hash is seeded, so
//!   that no visitor can choose which pages share a chain.
//! - Changed under the lock, read without it as well (`find.rs`): so a page is whole before it is linked, every change of
//!   a link is one word, and a page that leaves its chain leads nowhere from then on.

use super::entry::field;
use super::layout::{Mem, offset, unit};

impl Mem {
    pub fn bucket_at(&self, hash: u64) -> usize {
        // The upper half of the hash, scaled to the number of buckets.
        let number = ((hash >> 32) * u64::from(self.geo.buckets)) >> 32;
        self.geo.buckets_at + 4 * number as usize
    }

    /// The bucket with this number, for walks over all of them.
    pub fn numbered_bucket_at(&self, number: u32) -> usize {
        self.geo.buckets_at + 4 * number as usize
    }

    /// Changes a link of a chain: a bucket, or a page's.
    fn set_link(&self, at: usize, page: u32) {
        self.region.store_in_order(at, page);
    }

    /// The live page of this key.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let mut page = self.region.u32(self.bucket_at(hash));
        for _ in 0..self.geo.units {
            if self.kind(page) != unit::LIVE {
                return None;
            }
            if self.f64(page, field::HASH) == hash && self.key_is(page, key) {
                return Some(page);
            }
            page = self.f32(page, field::CHAIN);
        }
        None
    }

    /// A live page with this hash, whatever its key.
    pub fn find_hash(&self, hash: u64) -> Option<u32> {
        let mut page = self.region.u32(self.bucket_at(hash));
        for _ in 0..self.geo.units {
            if self.kind(page) != unit::LIVE {
                return None;
            }
            if self.f64(page, field::HASH) == hash {
                return Some(page);
            }
            page = self.f32(page, field::CHAIN);
        }
        None
    }

    /// The live page that has the key of a page which isn't in the index yet.
    pub fn find_twin(&self, page: u32) -> Option<u32> {
        let hash = self.f64(page, field::HASH);
        let mut other = self.region.u32(self.bucket_at(hash));
        for _ in 0..self.geo.units {
            if self.kind(other) != unit::LIVE {
                return None;
            }
            if self.f64(other, field::HASH) == hash && self.same_key(page, other) {
                return Some(other);
            }
            other = self.f32(other, field::CHAIN);
        }
        None
    }

    pub fn link_index(&self, page: u32) {
        let bucket = self.bucket_at(self.f64(page, field::HASH));
        self.set_f32(page, field::CHAIN, self.region.u32(bucket));
        self.set_link(bucket, page);
    }

    /// Takes a page out of its chain; false if it wasn't there.
    pub fn unlink_index(&self, page: u32) -> bool {
        let mut link = self.bucket_at(self.f64(page, field::HASH));
        for _ in 0..self.geo.units {
            let next = self.region.u32(link);
            if !self.in_arena(next) {
                return false;
            }
            let chain = offset(next, field::CHAIN);
            if next == page {
                self.set_link(link, self.region.u32(chain));
                self.set_link(chain, 0);
                return true;
            }
            link = chain;
        }
        false
    }

    /// Empties all buckets, for a rebuild. Whoever looks meanwhile without the lock finds nothing.
    pub fn clear_index(&self) {
        for number in 0..self.geo.buckets {
            self.region.set_u32(self.numbered_bucket_at(number), 0);
        }
    }
}
