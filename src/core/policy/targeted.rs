//! Targeted fields (RFC 9213): `CDN-Cache-Control` and whatever else `twice_honor` names that ends in `-Cache-Control`.
//!
//! They are structured fields and read strictly: one that can't be parsed as a whole, or that is empty, is ignored
//! (2.1). Which of them count is known when all lines were read, so that the lines of all are gathered.

use std::collections::BTreeMap;

use sfv::{BareItem, Dictionary, FieldType, ListEntry, Parser};

use super::{CacheControl, MAX_LIFETIME};

/// What such names end in.
const SUFFIX: &[u8] = b"-cache-control";

/// Whether a field of this name, in lower case, is a targeted one.
pub fn is_targeted(lower: &[u8]) -> bool {
    lower.len() > SUFFIX.len() && lower.ends_with(SUFFIX)
}

/// The lines of all targeted fields, joined for each name.
#[derive(Clone, Debug, Default)]
pub struct Targeted {
    fields: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Targeted {
    /// Adds a line; `lower` is its name.
    pub fn add(&mut self, lower: &[u8], value: &[u8]) {
        match self.fields.get_mut(lower) {
            Some(all) => {
                all.extend_from_slice(b", ");
                all.extend_from_slice(value);
            }
            None => _ = self.fields.insert(lower.to_vec(), value.to_vec()),
        }
    }

    /// What a field says; none where it is not there, is empty, or can't be parsed.
    pub fn read(&self, lower: &[u8]) -> Option<CacheControl> {
        let text = self.fields.get(lower)?;
        let all = Dictionary::parse(Parser::new(text)).ok().filter(|all| !all.is_empty())?;
        let mut said = CacheControl::default();
        for (key, value) in &all {
            let ListEntry::Item(item) = value else { continue };
            let value = &item.bare_item;
            match key.as_str() {
                "max-age" => said.max_age = seconds(value),
                "s-maxage" => said.s_maxage = seconds(value),
                "stale-while-revalidate" => said.stale_while_revalidate = seconds(value),
                "stale-if-error" => said.stale_if_error = seconds(value),
                "no-store" => said.no_store = is_said(value),
                // With fields or without: fields of a targeted one are nobody's habit.
                "no-cache" => said.no_cache = is_said(value),
                "private" => said.private = is_said(value),
                "public" => said.public = is_true(value),
                "must-revalidate" => said.must_revalidate = is_said(value),
                "proxy-revalidate" => said.proxy_revalidate = is_said(value),
                "must-understand" => said.must_understand = is_true(value),
                "no-transform" => said.no_transform = is_said(value),
                "immutable" => said.immutable = is_true(value),
                _ => {}
            }
        }
        Some(said)
    }
}

/// A number of seconds. What is no whole number, or below 0, is ignored as if it were not there.
fn seconds(value: &BareItem) -> Option<u64> {
    let BareItem::Integer(number) = value else { return None };
    Some(u64::try_from(i64::from(*number)).ok()?.min(MAX_LIFETIME))
}

/// What permits must be said as it is defined.
fn is_true(value: &BareItem) -> bool {
    matches!(value, BareItem::Boolean(true))
}

/// What forbids is heard in any form but `?0`.
fn is_said(value: &BareItem) -> bool {
    !matches!(value, BareItem::Boolean(false))
}
