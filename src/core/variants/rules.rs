//! What a page varies by, as it lies in the store under the page's base key.
//!
//! ```text
//! | magic, 4 | bytes of the head, 4 | epoch, 8 | dimensions ... | hash of a variant, 8 | ...
//!   <----------------------- head -------------------------->
//! ```
//!
//! A hit reads the head alone. That a value is rules says the tag that it was published with ([`TAG`]); the magic is none
//! of a page, so that neither can be taken for the other.

use super::dimension::{Dimensions, Iter, MAX_DIMENSIONS, MAX_NAME, Unbounded};

/// The tag of rules in the store. No page has it.
pub const TAG: u64 = 1 << 63;

/// Bytes that tell how long the head is.
pub const PREFIX: usize = 8;

const FIXED: usize = 16;

/// Longest head.
pub const MAX_HEAD: usize = FIXED + MAX_DIMENSIONS * (3 + MAX_NAME);

/// Most variants that a page may be allowed.
pub const MAX_VARIANTS: usize = 1024;

/// Variants that are looked at for each one that finds no place: enough to find a bad one, few enough for the lock.
pub const SCAN: usize = 64;

const MAGIC: [u8; 4] = *b"rule";

/// Whether what was published with this tag is rules.
#[inline]
pub fn is_rules(tag: u64) -> bool {
    tag & TAG != 0
}

/// Bytes of the head, from the first [`PREFIX`] of a value; `None` if it is no rules.
#[inline]
pub fn head_len(prefix: &[u8]) -> Option<usize> {
    let (magic, len) = prefix.split_first_chunk()?;
    let len = u32::from_le_bytes(*len.first_chunk()?) as usize;
    (*magic == MAGIC && (FIXED..=MAX_HEAD).contains(&len)).then_some(len)
}

/// A head, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The rules' own number, part of each variant's key.
    pub epoch: u64,
    dimensions: &'a [u8],
}

impl<'a> View<'a> {
    /// Reads a head of [`head_len`] bytes.
    #[inline]
    pub fn parse(head: &'a [u8]) -> Option<Self> {
        let (epoch, dimensions) = head.get(PREFIX..)?.split_first_chunk()?;
        (head_len(head)? == head.len()).then_some(Self { epoch: u64::from_le_bytes(*epoch), dimensions })
    }

    /// What the page varies by.
    #[inline]
    pub fn dimensions(&self) -> Iter<'a> {
        Iter::new(self.dimensions)
    }

    /// Whether the page varies by all of these.
    pub fn covers(&self, other: &Dimensions) -> bool {
        other.iter().all(|dimension| self.dimensions().any(|own| own == dimension))
    }
}

/// How a variant stands among others. The least goes first: one whose time is over, then the less used one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// It may still be served.
    pub alive: bool,
    /// How much it is used.
    pub heat: u64,
}

/// Rules, taken out of the store to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    epoch: u64,
    dimensions: Dimensions,
    variants: Vec<u64>,
}

/// The rules by which an answer is stored that varies by what is `stated`; `None` where it is the same for everybody.
/// `epoch` is one that no rules had before.
pub fn merge(current: Option<Rules>, stated: &Dimensions, epoch: u64) -> Result<Option<Rules>, Unbounded> {
    let Some(mut rules) = current else {
        let new = || Rules { epoch, dimensions: stated.clone(), variants: Vec::with_capacity(1) };
        return Ok((!stated.is_empty()).then(new));
    };
    if !rules.dimensions.covers(stated) {
        rules.dimensions.add_all(stated)?;
        rules.epoch = epoch;
        rules.variants.clear();
    }
    Ok(Some(rules))
}

impl Rules {
    /// The rules' own number.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the page varies by.
    pub fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// The hashes of the variants that were stored.
    pub fn variants(&self) -> &[u64] {
        &self.variants
    }

    /// Reads what [`Rules::encode`] wrote.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, list) = bytes.split_at_checked(head_len(bytes)?)?;
        let view = View::parse(head)?;
        let (hashes, rest) = list.as_chunks();
        if !rest.is_empty() || hashes.len() > MAX_VARIANTS {
            return None;
        }
        // With room for one more: what is done under the lock allocates nothing.
        let mut variants = Vec::with_capacity(hashes.len() + 1);
        variants.extend(hashes.iter().map(|hash| u64::from_le_bytes(*hash)));
        Some(Self { epoch: view.epoch, dimensions: Dimensions::parse(view.dimensions)?, variants })
    }

    /// The rules as they are stored.
    pub fn encode(&self) -> Vec<u8> {
        let dimensions = self.dimensions.bytes();
        let head = FIXED + dimensions.len();
        let mut out = Vec::with_capacity(head + 8 * self.variants.len());
        out.extend_from_slice(&MAGIC);
        // Bounded by `MAX_HEAD`.
        out.extend_from_slice(&(head as u32).to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(dimensions);
        out.extend(self.variants.iter().flat_map(|hash| hash.to_le_bytes()));
        out
    }

    /// Whether this variant is listed, so that it can be stored without changing the rules.
    pub fn lists(&self, hash: u64) -> bool {
        self.variants.contains(&hash)
    }

    /// Lists one more variant. Where there are `max` already, those that are gone are struck off, and if that is not
    /// enough the least used ones; of more than [`SCAN`] a part is looked at, another one each time. `standing` tells how
    /// a variant stands, and that it is gone by `None`. The hashes that are struck off go to `struck`: where these rules
    /// are published no page of such a hash may stay, be it that one was stored meanwhile.
    ///
    /// Allocates nothing after [`Rules::parse`] or [`merge`], if `struck` has room for [`SCAN`].
    pub fn admit(
        &mut self,
        hash: u64,
        max: usize,
        struck: &mut Vec<u64>,
        standing: impl Fn(u64) -> Option<Standing>,
    ) {
        if self.lists(hash) {
            return;
        }
        let max = max.clamp(1, MAX_VARIANTS);
        let all = self.variants.len();
        if all >= max {
            // The hash is as good as random: so is the part that is looked at.
            self.variants.rotate_left((hash % all as u64) as usize);
            let mut looked_at = [Standing::default(); SCAN];
            let mut kept = 0;
            let mut place = 0;
            self.variants.retain(|&other| {
                place += 1;
                if place > SCAN {
                    return true;
                }
                let standing = standing(other);
                match (standing, looked_at.get_mut(kept)) {
                    (Some(standing), Some(to)) => {
                        *to = standing;
                        kept += 1;
                    }
                    _ => struck.push(other),
                }
                standing.is_some()
            });
            while self.variants.len() >= max {
                let known = looked_at.iter().take(kept).enumerate();
                let Some((worst, _)) = known.min_by_key(|(_, standing)| **standing) else { break };
                struck.push(self.variants.remove(worst));
                looked_at.copy_within(worst + 1.., worst);
                kept -= 1;
            }
        }
        self.variants.push(hash);
    }
}
