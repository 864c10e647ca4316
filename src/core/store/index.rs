//! The index: buckets of pages by hash, chained through the pages.
//!
//! Invariant: every live page is in the chain of bucket `hash % buckets` exactly once, and nothing else is.
//! The hash is seeded, so that no visitor can choose which pages share a chain.

use super::entry::field;
use super::layout::{Mem, unit};

impl Mem {
    pub fn bucket_at(&self, hash: u64) -> usize {
        self.geo.buckets_at + 4 * (hash & u64::from(self.geo.buckets - 1)) as usize
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
        self.region.set_u32(bucket, page);
    }

    /// Takes a page out of its chain; false if it wasn't there.
    pub fn unlink_index(&self, page: u32) -> bool {
        let bucket = self.bucket_at(self.f64(page, field::HASH));
        let after = self.f32(page, field::CHAIN);
        let mut link = self.region.u32(bucket);
        if link == page {
            self.region.set_u32(bucket, after);
            return true;
        }
        for _ in 0..self.geo.units {
            if !self.in_arena(link) {
                return false;
            }
            let next = self.f32(link, field::CHAIN);
            if next == page {
                self.set_f32(link, field::CHAIN, after);
                return true;
            }
            link = next;
        }
        false
    }
}
