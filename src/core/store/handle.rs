//! A process's handle on a store: made by creating one in a region, or by attaching to one that is there.

use super::layout::{Geometry, MAGIC, Mem, TooSmall, UNIT, VERSION, at};
use super::queue::Policy;
use super::region::{RawLock, Region};
use super::section::Section;
use siphasher::sip::SipHasher13;

/// What a store is created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Random, and not told to anybody: with a known seed a visitor could make keys that share a chain.
    pub seed: [u64; 2],
    /// Processes that can use the store at once; their slots are numbered from 0.
    pub slots: u32,
    /// The greatest sum of key and value that is taken.
    pub max_page: usize,
    /// A page that nobody asked for in so long is dropped. 0: never.
    pub inactive_ms: u64,
    /// Which pages go first when room is needed.
    pub policy: Policy,
}

/// Why a region can't be attached to. Each reason calls for creating the store anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// There is no store in it.
    NoStore,
    /// Its layout is another version's.
    Version,
    /// It was created with another length.
    Length,
}

impl AttachError {
    /// The one name of this outcome.
    pub fn as_str(self) -> &'static str {
        match self {
            AttachError::NoStore => "no-store",
            AttachError::Version => "version",
            AttachError::Length => "length",
        }
    }
}

/// A store in a region of shared memory, as one process sees it.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) mem: Mem,
    seed: [u64; 2],
}

/// Gives the lock back, however the section ends.
struct Unlock<'l, L: RawLock>(&'l L);

impl<L: RawLock> Drop for Unlock<'_, L> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

impl Store {
    /// Writes an empty store into a region, see `create`.
    pub(super) fn format(region: Region, options: &Options) -> Result<Store, TooSmall> {
        let geo = Geometry::for_len(region.len(), options.slots)?;
        let mem = Mem { region, geo };
        // The magic number goes first and comes last: a store half made is none.
        region.set_u64(at::MAGIC, 0);
        region.set_u32(at::VERSION, VERSION);
        region.set_u32(at::DIRTY, 0);
        region.set_u64(at::LEN, region.len() as u64);
        let [first, second] = options.seed;
        region.set_u64(at::SEED, first);
        region.set_u64(at::SEED + 8, second);
        region.set_u32(at::SLOTS, geo.slots);
        region.set_u32(at::UNIT, UNIT as u32);
        region.set_u64(at::MAX_PAGE, options.max_page as u64);
        region.set_u64(at::INACTIVE, options.inactive_ms);
        region.set_u32(at::POLICY, options.policy as u32);
        region.set_u64(at::SAVED, 0);
        region.set_u32(at::GENERATION, 0);
        mem.format();
        region.set_u64(at::MAGIC, MAGIC);
        Ok(Store { mem, seed: options.seed })
    }

    /// Finds the store that is in a region already.
    pub fn attach(region: Region) -> Result<Store, AttachError> {
        if region.u64(at::MAGIC) != MAGIC {
            return Err(AttachError::NoStore);
        }
        if region.u32(at::VERSION) != VERSION || region.u32(at::UNIT) != UNIT as u32 {
            return Err(AttachError::Version);
        }
        if region.u64(at::LEN) != region.len() as u64 {
            return Err(AttachError::Length);
        }
        let geo = Geometry::for_len(region.len(), region.u32(at::SLOTS)).map_err(|_| AttachError::NoStore)?;
        let seed = [region.u64(at::SEED), region.u64(at::SEED + 8)];
        Ok(Store { mem: Mem { region, geo }, seed })
    }

    /// The hash of a key, by this store's seed. Needs no lock.
    pub fn hash(&self, key: &[u8]) -> u64 {
        let [first, second] = self.seed;
        SipHasher13::new_with_keys(first, second).hash(key)
    }

    /// Does something under the lock. A store that another process left half changed is rebuilt first.
    ///
    /// `work` must not call `with` on the same store: it would wait for itself.
    pub fn with<'s, L: RawLock, T>(&'s self, lock: &L, work: impl FnOnce(&mut Section<'s>) -> T) -> T {
        lock.lock();
        let _unlock = Unlock(lock);
        let mut section = Section::begin(self);
        let result = work(&mut section);
        section.finish();
        result
    }

    /// How the region is divided.
    pub fn geometry(&self) -> &Geometry {
        &self.mem.geo
    }

    pub(super) fn region(&self) -> Region {
        self.mem.region
    }
}
