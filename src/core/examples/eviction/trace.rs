//! What is asked for: a list of page numbers, and the size of each page.
//!
//! The made traces are the ones that eviction is usually judged by. A page's number says nothing of its size
//! unless the trace's name does.

use super::random::{Random, Zipf, mix};

/// Requests in their order. Pages are numbered from 0 without gaps.
pub struct Trace {
    pub name: String,
    /// The page of each request.
    pub requests: Vec<u32>,
    /// Bytes of each page.
    pub sizes: Vec<u32>,
    /// Capacities to try, as shares of the bytes of all pages.
    pub shares: Vec<f64>,
}

/// Who asks for what.
#[derive(Clone, Copy)]
enum Pattern {
    /// Popularity by Zipf's law.
    Zipf(f64),
    /// Zipf, and now and then a crawler that walks through all pages, half of which nobody else asks for.
    Scan,
    /// Zipf, and this share of requests for pages that are asked for once.
    Once(f64),
    /// Zipf, whose ranks are swapped little by little.
    Drift,
    /// A site of news: rank 1 is the newest page, and new ones come all the time.
    News,
    /// Zipf, and now and then half of all requests go for a hundred pages that nobody knew before.
    Crowd,
    /// All pages in turn, again and again.
    Loop,
}

/// How large pages are.
#[derive(Clone, Copy)]
enum Sizes {
    /// 2 KB each.
    One,
    /// Log-uniform from 1 to 100 KB.
    Mixed,
    /// The same, and the more popular a page is, the smaller.
    PopularSmall,
}

const SHARES: &[f64] = &[0.01, 0.05, 0.10, 0.25];
/// For loops, which a cache much smaller than they are can't do anything for. At a half S3-FIFO stands on an edge: its
/// ghost just knows a page when its turn comes again, or just not.
const LOOP_SHARES: &[f64] = &[0.25, 0.60, 0.90];

const PATTERNS: &[(&str, Pattern)] = &[
    ("zipf-0.7", Pattern::Zipf(0.7)),
    ("zipf-0.8", Pattern::Zipf(0.8)),
    ("zipf-0.9", Pattern::Zipf(0.9)),
    ("zipf-1.0", Pattern::Zipf(1.0)),
    ("zipf-1.1", Pattern::Zipf(1.1)),
    ("scan", Pattern::Scan),
    ("once-10", Pattern::Once(0.10)),
    ("once-30", Pattern::Once(0.30)),
    ("drift", Pattern::Drift),
    ("news", Pattern::News),
    ("crowd", Pattern::Crowd),
    ("loop", Pattern::Loop),
];

/// The names of the made traces.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (suffix, _) in [("", Sizes::Mixed), ("/one-size", Sizes::One)] {
        names.extend(PATTERNS.iter().map(|(name, _)| format!("{name}{suffix}")));
    }
    names.push("zipf-0.9/popular-small".into());
    names
}

/// Makes the trace of a name. `requests` is its length, `pages` how many pages have a rank.
pub fn make(name: &str, requests: usize, pages: u32) -> Option<Trace> {
    let (pattern_name, sizes) = match name.split_once('/') {
        None => (name, Sizes::Mixed),
        Some((pattern, "one-size")) => (pattern, Sizes::One),
        Some((pattern, "popular-small")) => (pattern, Sizes::PopularSmall),
        Some(_) => return None,
    };
    let pattern = PATTERNS.iter().find(|(name, _)| *name == pattern_name)?.1;
    let shares = if matches!(pattern, Pattern::Loop) { LOOP_SHARES } else { SHARES };
    let asked = ask(pattern, requests, pages);
    let size_of = |page: u32| match sizes {
        Sizes::One => 2048,
        Sizes::Mixed => log_uniform(Random::new(mix(u64::from(page))).unit()),
        // Halfway between its rank and chance.
        Sizes::PopularSmall => {
            let rank = f64::from(page) / f64::from(pages);
            log_uniform((rank + Random::new(mix(u64::from(page))).unit()) / 2.0)
        }
    };
    Some(Trace::number(name, asked, size_of, shares))
}

fn log_uniform(chance: f64) -> u32 {
    (1024.0 * 100f64.powf(chance)) as u32
}

fn ask(pattern: Pattern, requests: usize, pages: u32) -> Vec<u32> {
    let mut random = Random::new(42);
    let zipf = Zipf::new(pages, if let Pattern::Zipf(alpha) = pattern { alpha } else { 0.9 });
    let mut ranks: Vec<u32> = (0..pages).collect();
    // Pages above the ranked ones: asked for by crawlers, or once.
    let mut fresh = pages;
    let mut asked = Vec::with_capacity(requests);
    while asked.len() < requests {
        let at = asked.len() as u32;
        asked.push(match pattern {
            Pattern::Zipf(_) => zipf.rank(&mut random),
            Pattern::Scan => match (at / pages, at % pages * 2) {
                // Every second half of `pages` requests the crawler goes on where it was.
                (turn, part) if part >= pages => (turn * (pages / 2) + (part - pages) / 2) % (2 * pages),
                _ => zipf.rank(&mut random),
            },
            Pattern::Once(share) if random.unit() < share => {
                fresh += 1;
                fresh - 1
            }
            Pattern::Once(_) => zipf.rank(&mut random),
            Pattern::Drift => {
                if at.is_multiple_of(50) {
                    let (high, any) = (zipf.rank(&mut random), random.below(pages));
                    ranks.swap(high as usize, any as usize);
                }
                ranks[zipf.rank(&mut random) as usize]
            }
            Pattern::News => pages + at / 20 - zipf.rank(&mut random),
            Pattern::Crowd => {
                let (turn, part) = (at / pages, at % pages);
                if part >= pages * 3 / 4 && random.next().is_multiple_of(2) {
                    pages + turn * 100 + random.below(100)
                } else {
                    zipf.rank(&mut random)
                }
            }
            Pattern::Loop => at % (pages / 4),
        });
    }
    asked
}

impl Trace {
    /// Numbers the pages anew, in the order in which they are first asked for, so that no number is unused.
    fn number(name: &str, mut asked: Vec<u32>, size_of: impl Fn(u32) -> u32, shares: &[f64]) -> Trace {
        let mut numbers = vec![u32::MAX; asked.iter().max().map_or(0, |most| *most as usize + 1)];
        let mut sizes = Vec::new();
        for page in &mut asked {
            let number = &mut numbers[*page as usize];
            if *number == u32::MAX {
                *number = sizes.len() as u32;
                sizes.push(size_of(*page));
            }
            *page = *number;
        }
        Trace { name: name.into(), requests: asked, sizes, shares: shares.to_vec() }
    }

    /// A trace whose pages are numbered already.
    pub fn recorded(name: &str, requests: Vec<u32>, sizes: Vec<u32>) -> Trace {
        Trace { name: name.into(), requests, sizes, shares: SHARES.to_vec() }
    }

    pub fn has_one_size(&self) -> bool {
        self.sizes.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// The share of pages that are asked for once.
    pub fn asked_once(&self) -> f64 {
        let mut counts = vec![0u8; self.sizes.len()];
        for page in &self.requests {
            let count = &mut counts[*page as usize];
            *count = count.saturating_add(1);
        }
        counts.iter().filter(|count| **count == 1).count() as f64 / counts.len().max(1) as f64
    }
}
