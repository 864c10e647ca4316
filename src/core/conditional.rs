//! What a client's conditions make of a stored page: the whole of it, "not modified", or "the condition has failed".
//!
//! ```text
//!   If-Match ----------- none matches ------------------------------> failed (412)
//!    | not there
//!   If-Unmodified-Since - the page is younger ----------------------> failed (412)
//!    |
//!   If-None-Match ------ one matches -------------------------------> not modified (304)
//!    | not there
//!   If-Modified-Since -- the page is not younger -------------------> not modified (304)
//!    |
//!   Range with If-Range: a part only where it is a part of the very same bytes
//! ```
//!
//! The order is that of RFC 9110 13.2.2. A condition that can't be read is as if it were not there. Only GET and HEAD are
//! answered from the store, so that there is no other method to tell apart.

use std::time::UNIX_EPOCH;

/// What a response says of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators<'a> {
    /// `ETag` as it is sent; empty if there is none.
    pub etag: &'a [u8],
    /// `Last-Modified`, seconds since the epoch.
    pub last_modified: Option<i64>,
    /// When the response was made, by its origin's clock.
    pub made: i64,
}

/// A request's conditions, one line of each: several would be joined by commas (RFC 9110 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// `If-Match`.
    pub if_match: Option<&'a [u8]>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a [u8]>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a [u8]>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<&'a [u8]>,
}

/// What the conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// The page is sent.
    Send,
    /// 304, with the `ETag` that goes along. It is in the form in which the client has it, which finds its copy by it: that
    /// of a compressed page is weak.
    NotModified(&'a [u8]),
    /// 412.
    Failed,
}

/// Holds the conditions against a page with status 2xx (RFC 9110 13.2.1: others have none).
pub fn evaluate<'a>(asked: &Conditions<'a>, page: &Validators<'a>) -> Verdict<'a> {
    if let Some(list) = asked.if_match.and_then(List::read) {
        if !list.is_any() && !list.tags().any(|tag| is_same(tag, page.etag)) {
            return Verdict::Failed;
        }
    } else if let (Some(date), Some(modified)) =
        (asked.if_unmodified_since.and_then(http_date), page.last_modified)
        && modified > date
    {
        return Verdict::Failed;
    }
    if asked.if_none_match.is_some() {
        // The date has no say any more, even if nothing can be made of the list.
        return match asked.if_none_match.and_then(List::read) {
            Some(list) if list.is_any() => Verdict::NotModified(page.etag),
            Some(list) => unchanged(&list, page.etag).map_or(Verdict::Send, Verdict::NotModified),
            None => Verdict::Send,
        };
    }
    match (asked.if_modified_since.and_then(http_date), page.last_modified) {
        (Some(date), Some(modified)) if modified <= date => Verdict::NotModified(page.etag),
        _ => Verdict::Send,
    }
}

/// The tag by which a client that has one of these finds that the page is what it has; `None` if it is not.
fn unchanged<'a>(list: &List<'a>, etag: &'a [u8]) -> Option<&'a [u8]> {
    if list.tags().any(|tag| tag == etag) {
        return (!etag.is_empty()).then_some(etag);
    }
    let alike = list.tags().find(|tag| is_alike(tag, etag))?;
    // The weaker of the two is what is true of both.
    Some(if is_weak(etag) { etag } else { alike })
}

/// Whether `If-Range` lets a part go out (RFC 9110 13.1.5). A date is a strong validator only if the page can't have been
/// changed twice in its second (8.8.2.2).
pub fn if_range(value: &[u8], page: &Validators<'_>) -> bool {
    let value = value.trim_ascii();
    if value.starts_with(b"\"") || value.starts_with(WEAK) {
        return is_same(value, page.etag);
    }
    page.last_modified.is_some_and(|modified| http_date(value) == Some(modified) && modified < page.made)
}

const WEAK: &[u8] = b"W/";

fn is_weak(tag: &[u8]) -> bool {
    tag.starts_with(WEAK)
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(WEAK).unwrap_or(tag)
}

/// The strong comparison of RFC 9110 8.8.3.2.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    !one.is_empty() && one == other && !is_weak(one)
}

/// The weak comparison: both name the same, though the bytes may differ.
pub fn is_alike(one: &[u8], other: &[u8]) -> bool {
    !opaque(one).is_empty() && opaque(one) == opaque(other)
}

/// Whether a tag is one by the grammar (RFC 9110 8.8.3): what is none may mean something else where it is sent back.
pub fn is_tag(tag: &[u8]) -> bool {
    let inside = opaque(tag).strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inside.is_some_and(|inside| inside.iter().all(|&b| b == b'!' || b > b'"' && b != 0x7f))
}

/// A list of entity tags.
#[derive(Clone, Copy)]
struct List<'a>(&'a [u8]);

impl<'a> List<'a> {
    /// `None` if there is nothing in it that a page's tag could be.
    fn read(line: &'a [u8]) -> Option<Self> {
        let list = List(line);
        list.tags().next().is_some().then_some(list)
    }

    fn is_any(&self) -> bool {
        self.0.trim_ascii() == b"*"
    }

    /// The tags. One without quotes is taken as it is: there are origins that send such. What has a quote that is not
    /// closed ends the list.
    fn tags(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            loop {
                let skip = rest.iter().position(|b| !matches!(b, b' ' | b'\t' | b','))?;
                rest = rest.get(skip..)?;
                let quote = if is_weak(rest) { WEAK.len() } else { 0 };
                let end = if rest.get(quote) == Some(&b'"') {
                    let inside = rest.get(quote + 1..)?;
                    let Some(close) = inside.iter().position(|&b| b == b'"') else {
                        rest = b"";
                        return None;
                    };
                    quote + close + 2
                } else {
                    rest.iter().position(|&b| b == b',').unwrap_or(rest.len())
                };
                let (tag, after) = rest.split_at_checked(end)?;
                let next = after.iter().position(|&b| b == b',').unwrap_or(after.len());
                let (between, after) = after.split_at_checked(next)?;
                rest = after;
                // A tag with something behind it is none.
                if between.trim_ascii().is_empty() {
                    return Some(tag.trim_ascii());
                }
            }
        })
    }
}

/// Seconds since the epoch of an HTTP date (RFC 9110 5.6.7); `None` if it is none, or more than one.
pub fn http_date(text: &[u8]) -> Option<i64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(text.trim_ascii()).ok()?).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}
