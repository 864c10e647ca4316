//! Which of a site's languages a visitor gets: `twice_languages`.
//!
//! The visitor's ranges are looked up in the order of their weights (RFC 4647 3.4): a range that names none of the
//! languages is cut at its last hyphen until it does. `*` and what names no language give the first one that the
//! visitor does not refuse by the weight 0. The work is bounded, whatever the header holds.

use std::fmt;

use super::tag::is_well_formed;
use super::{MAX_TAG, is_tag, matches, ranges};

/// Most languages of a site.
pub const MOST: usize = 64;

/// Ranges of a header that are looked at. No browser sends so many.
const RANGES: usize = 32;

/// One of the site's languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    /// As it is written in the configuration.
    pub tag: String,
    /// In lower case.
    pub lower: String,
}

/// The site's languages, at least one; the first is the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Languages {
    first: Language,
    others: Vec<Language>,
}

/// What is wrong with a list of languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadLanguages {
    /// A word that is no language tag.
    NoTag(String),
    /// One language twice.
    Twice(String),
    /// None, or more than [`MOST`].
    Count,
}

impl fmt::Display for BadLanguages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTag(tag) => {
                write!(
                    f,
                    "has the value \"{tag}\", allowed are language tags such as en, pt-BR or zh-Hant, \
                     {MAX_TAG} bytes at most"
                )
            }
            Self::Twice(tag) => write!(f, "has the value \"{tag}\" twice, allowed is once"),
            Self::Count => write!(f, "has too many values, allowed are 1 to {MOST}"),
        }
    }
}

impl Languages {
    /// The languages of these tags.
    pub fn parse<'w>(tags: impl IntoIterator<Item = &'w str>) -> Result<Self, BadLanguages> {
        let mut all: Vec<Language> = Vec::new();
        for tag in tags {
            if !is_well_formed(tag) {
                return Err(BadLanguages::NoTag(tag.to_owned()));
            }
            let lower = tag.to_ascii_lowercase();
            if all.iter().any(|other| other.lower == lower) {
                return Err(BadLanguages::Twice(tag.to_owned()));
            }
            all.push(Language { tag: tag.to_owned(), lower });
        }
        if all.is_empty() || all.len() > MOST {
            return Err(BadLanguages::Count);
        }
        let others = all.split_off(1);
        let first = all.pop().ok_or(BadLanguages::Count)?;
        Ok(Self { first, others })
    }

    /// The language of visitors who name none.
    pub fn default_language(&self) -> &Language {
        &self.first
    }

    fn iter(&self) -> impl Iterator<Item = &Language> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The language for an `Accept-Language`.
    pub fn negotiate(&self, accept_language: &[u8]) -> &Language {
        let mut asked: [(u32, &[u8]); RANGES] = [(0, b""); RANGES];
        let mut count = 0;
        let known = ranges(accept_language).filter(|(range, _)| is_tag(range) || *range == b"*");
        for (place, (range, weight)) in asked.iter_mut().zip(known) {
            *place = (weight, range);
            count += 1;
        }
        let asked = asked.get_mut(..count).unwrap_or_default();
        // Stable: of equals the first.
        asked.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        let wanted = asked.iter().filter(|(weight, range)| *weight > 0 && *range != b"*");
        let found = wanted
            .flat_map(|(_, range)| cuts(range))
            .find_map(|range| self.exactly(range).filter(|language| !is_refused(language, asked)));
        let fallback = || self.iter().find(|language| !is_refused(language, asked));
        found.or_else(fallback).unwrap_or(&self.first)
    }

    /// The language that the first range of an `Accept-Language` names, if it is one of these.
    pub fn first_named(&self, accept_language: &[u8]) -> Option<&Language> {
        let (range, weight) = ranges(accept_language).next()?;
        if weight == 0 || !is_tag(range) {
            return None;
        }
        cuts(range).find_map(|range| self.exactly(range))
    }

    fn exactly(&self, range: &[u8]) -> Option<&Language> {
        self.iter().find(|language| range.eq_ignore_ascii_case(language.lower.as_bytes()))
    }
}

/// A range, and what it is cut to step by step: at its last hyphen, and with it a single letter in front of that.
fn cuts(range: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(range), |range| {
        let mut end = range.iter().rposition(|&b| b == b'-')?;
        let rest = range.get(..end)?;
        let last = rest.iter().rposition(|&b| b == b'-').map_or(0, |at| at + 1);
        if end - last == 1 && last > 0 {
            end = last - 1;
        }
        range.get(..end).filter(|rest| !rest.is_empty())
    })
}

/// Whether of the ranges that cover a language the longest has the weight 0.
fn is_refused(language: &Language, asked: &[(u32, &[u8])]) -> bool {
    let covering = asked.iter().filter_map(|(weight, range)| {
        let len = match *range {
            b"*" => 0,
            range if matches(language.lower.as_bytes(), range) => range.len(),
            _ => return None,
        };
        Some((len, *weight))
    });
    // Of one range with two weights the greater counts.
    covering.max().is_some_and(|(_, weight)| weight == 0)
}
