//! Runs a trace through a policy and counts.

use super::model::Policy;
use super::pages::Pages;
use super::trace::Trace;

/// In the first of so many parts of a trace the cache fills, and nothing is counted.
const WARM_UP: usize = 4;

/// Shares of requests and of bytes that were there, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    pub requests: f64,
    pub bytes: f64,
}

impl Score {
    /// What the better of two had in each.
    pub fn max(self, other: Score) -> Score {
        Score { requests: self.requests.max(other.requests), bytes: self.bytes.max(other.bytes) }
    }
}

/// A page that may not be stored, or is larger than the capacity, is a miss that the policy isn't told of.
pub fn run(trace: &Trace, pages: &Pages, capacity: u64, policy: &mut dyn Policy) -> Score {
    let (mut asked, mut found) = (0u64, 0u64);
    let (mut bytes_asked, mut bytes_found) = (0u64, 0u64);
    for (at, (page, next)) in trace.requests.iter().zip(&pages.nexts).enumerate() {
        let size = u64::from(pages.sizes[*page as usize]);
        let fits = pages.may_be_stored(*page) && u64::from(pages.costs[*page as usize]) <= capacity;
        let was_there = fits && policy.request(*page, *next);
        if at >= trace.requests.len() / WARM_UP {
            asked += 1;
            bytes_asked += size;
            found += u64::from(was_there);
            bytes_found += u64::from(was_there) * size;
        }
    }
    let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    Score { requests: percent(found, asked), bytes: percent(bytes_found, bytes_asked) }
}
