//! The models against worked examples and against all there is, the store against the models.

use super::columns::{MODELS, ORACLE, STORES};
use super::file::{self, Line};
use super::model::{ANY, Fifo, Lru, Policy, Sieve};
use super::options::Options;
use super::oracle::Oracle;
use super::pages::Pages;
use super::random::{Random, Zipf};
use super::run::Score;
use super::s3fifo::{PAPER, S3Fifo, STORE};
use super::table::{Row, Table};
use super::trace::{self, Trace};

const REQUESTS: usize = 40_000;
const PAGES: u32 = 4_000;

/// Which of the requests were hits.
fn hits(policy: &mut dyn Policy, requests: &[u32]) -> Vec<u32> {
    requests.iter().copied().filter(|page| policy.request(*page, 0)).collect()
}

#[test]
fn the_store_follows_its_models() {
    for name in ["zipf-0.9/one-size", "once-30/one-size", "news/one-size", "zipf-0.9"] {
        let trace = trace::make(name, REQUESTS, PAGES).unwrap();
        for column in STORES {
            let pages = Pages::of(&trace);
            let capacity = pages.footprint() / 10;
            let store = column.score(&trace, &pages, capacity);
            let model = column.model.expect("each policy of the store has a model");
            let model = model.score(&trace, &pages, capacity);
            // The store moves a used page once in a millisecond, keeps a hundredth free only on average, and rounds
            // the size of its ghost table otherwise.
            let apart = (store.requests - model.requests).abs();
            assert!(apart < 1.0, "{} on {name}: {store:?}, model {model:?}", column.name);
        }
    }
}

#[test]
fn nobody_beats_the_oracle_where_pages_have_one_size() {
    for name in trace::names().iter().filter(|name| name.ends_with("/one-size")) {
        let trace = trace::make(name, REQUESTS / 2, PAGES).unwrap();
        let pages = Pages::of(&trace);
        let capacity = pages.footprint() / 10;
        let best = ORACLE.score(&trace, &pages, capacity);
        for column in STORES.iter().chain(MODELS) {
            let score = column.score(&trace, &pages, capacity);
            assert!(score.requests <= best.requests, "{} on {name}", column.name);
        }
    }
}

/// The most hits that any choice of what to keep can have, found by trying all of them.
fn most_hits(requests: &[u32], kept: u32, capacity: u32) -> u32 {
    let Some((page, rest)) = requests.split_first() else { return 0 };
    let with = kept | 1 << page;
    if kept == with {
        return 1 + most_hits(rest, kept, capacity);
    }
    if with.count_ones() <= capacity {
        return most_hits(rest, with, capacity);
    }
    let out = (0..32).filter(|out| with & 1 << out != 0);
    out.map(|out| most_hits(rest, with & !(1 << out), capacity)).max().unwrap_or(0)
}

#[test]
fn the_oracle_finds_the_best_that_there_is() {
    let mut random = Random::new(3);
    for case in 0..300 {
        let requests: Vec<u32> = (0..12).map(|_| random.below(6)).collect();
        let trace = Trace::recorded("tiny", requests.clone(), vec![1000; 6]);
        let pages = Pages::of(&trace);
        let capacity = 2 + case % 2;
        let mut oracle = Oracle::new(&pages.costs, u64::from(capacity * pages.costs[0]), case % 3 == 0);
        let found =
            requests.iter().zip(&pages.nexts).filter(|(page, next)| oracle.request(**page, **next)).count();
        assert_eq!(found as u32, most_hits(&requests, 0, capacity), "{requests:?} in {capacity}");
    }
}

#[test]
fn lru_and_fifo_by_hand() {
    let costs = [1; 4];
    assert_eq!(hits(&mut Lru::new(&costs, 3), &[0, 1, 2, 0, 3, 0, 1]), [0, 0]);
    assert_eq!(hits(&mut Fifo::new(&costs, 3), &[0, 1, 2, 0, 3, 0, 1]), [0]);
    // A large page makes several go.
    assert_eq!(hits(&mut Lru::new(&[1, 1, 1, 2], 3), &[0, 1, 2, 3, 2, 1]), [2]);
}

#[test]
fn sieve_by_hand() {
    let costs = [1; 6];
    // 0 is spared when 3 comes and 1 goes; the hand then stands at 2, which goes for 4.
    assert_eq!(hits(&mut Sieve::new(&costs, 3, ANY), &[0, 1, 2, 0, 3, 0, 4, 0, 3, 2]), [0, 0, 0, 3]);
    // Without chances it is FIFO.
    assert_eq!(hits(&mut Sieve::new(&costs, 3, 0), &[0, 1, 2, 0, 3, 0]), [0]);
}

#[test]
fn s3fifo_by_hand() {
    for make in [PAPER, STORE] {
        let costs = [1000; 60];
        let mut cache = S3Fifo::new(&costs, 10_000, make);
        let first: Vec<u32> = (0..10).chain([0, 0]).collect();
        assert_eq!(hits(&mut cache, &first), [0, 0]);
        // 0 has proven itself; 1 goes for 10, comes back and is known.
        assert_eq!(hits(&mut cache, &[10, 1]), [0; 0]);
        // However many come once, 0 and 1 stay.
        assert_eq!(hits(&mut cache, &(20..60).collect::<Vec<u32>>()), [0; 0]);
        assert_eq!(hits(&mut cache, &[0, 1, 2]), [0, 1]);
    }
}

#[test]
fn the_most_popular_is_asked_for_as_often_as_zipf_says() {
    let (zipf, mut random) = (Zipf::new(1000, 1.0), Random::new(1));
    let first = (0..100_000).filter(|_| zipf.rank(&mut random) == 0).count();
    // 1 / (1 + 1/2 + ... + 1/1000)
    assert!((12_900..13_900).contains(&first), "{first}");
}

#[test]
fn traces_are_the_same_each_time_and_as_their_names_say() {
    for name in trace::names() {
        let trace = trace::make(&name, REQUESTS, PAGES).unwrap();
        let again = trace::make(&name, REQUESTS, PAGES).unwrap();
        assert!(trace.requests == again.requests && trace.sizes == again.sizes, "{name}");
        assert_eq!(trace.requests.len(), REQUESTS);
        assert_eq!(trace.has_one_size(), name.ends_with("/one-size"));
        assert!(trace.sizes.iter().all(|size| (1024..=102_400).contains(size)));
    }
    let once = |name| trace::make(name, REQUESTS, PAGES).unwrap().asked_once();
    assert!((0.5..0.8).contains(&once("once-10")) && once("loop") == 0.0);
    assert!(trace::make("zipf-0.9/no-size", REQUESTS, PAGES).is_none());
    assert!(trace::make("nonsense", REQUESTS, PAGES).is_none());
}

#[test]
fn lines_of_recorded_traces_are_read() {
    for (line, meant) in [
        ("12,abc,4096", Line::Request(("abc", 4096))),
        ("12, abc, 4096, 7, get", Line::Request(("abc", 4096))),
        ("abc 4096", Line::Request(("abc", 4096))),
        ("1.5 abc 4096", Line::Request(("abc", 4096))),
        ("abc 99999999999", Line::Request(("abc", u32::MAX))),
        ("time,key,size", Line::Unknown),
        ("abc", Line::Unknown),
        ("abc -1", Line::Unknown),
        ("", Line::Unknown),
        (
            r#"10.0.0.1 - - [10/Oct/2024:13:55:36 +0000] "GET /a,b?c=1 HTTP/1.1" 200 512 "-" "curl/8, \x22x\x22""#,
            Line::Request(("/a,b?c=1", 512)),
        ),
        (r#"::1 - u [t] "POST / HTTP/1.1" 200 5 "-" "-""#, Line::Other),
        (r#"::1 - u [t] "GET / HTTP/1.1" 304 0 "-" "-""#, Line::Other),
        (r#"::1 - u [t] "\x16\x03" 400 157 "-" "-""#, Line::Other),
        (r#"::1 - u [t] "GET / HT"#, Line::Unknown),
    ] {
        assert_eq!(file::parse(line), meant, "{line}");
    }
}

#[test]
fn a_recorded_trace_is_run_like_a_made_one() {
    let name = std::env::temp_dir().join(format!("twice-eviction-{}", std::process::id()));
    std::fs::write(&name, "time,key,size\n1,a,70000\n2,b,900\nbad\n3,a,60000\n4,a,70000\n").unwrap();
    let recorded = file::read(name.to_str().unwrap()).unwrap();
    std::fs::remove_file(&name).unwrap();
    assert_eq!((recorded.unknown, recorded.other), (1, 0));
    assert_eq!(recorded.trace.requests, [0, 1, 0, 0]);
    assert_eq!(recorded.trace.sizes, [70_000, 900]);
    // The first request is the warm-up; of the other three b's is a miss.
    for column in STORES {
        let pages = Pages::of(&recorded.trace);
        let score = column.score(&recorded.trace, &pages, 2 * pages.footprint());
        assert!((score.requests - 66.7).abs() < 0.1 && score.bytes > 99.0, "{score:?}");
    }
}

#[test]
fn options_are_read_or_refused() {
    let read = |line: &str| Options::read(line.split_whitespace().map(String::from));
    let all = read("").unwrap();
    assert_eq!((all.traces, all.quick, all.size), (trace::names(), false, None));
    let some = read("--quick --trace loop --trace scan --size 0.05").unwrap();
    assert_eq!((some.traces.join(" "), some.quick, some.size), ("loop scan".into(), true, Some(0.05)));
    assert!(read("--file x").unwrap().traces.is_empty());
    for bad in ["--trace", "--trace nonsense", "--size 0", "--size 2", "--size x", "--fast"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_table_says_what_the_oracle_is() {
    let row = |trace: &str, has_one_size| Row {
        trace: trace.into(),
        share: 0.005,
        has_one_size,
        scores: vec![Score { requests: 12.34, bytes: 56.78 }],
    };
    let mut table = Table::new(vec!["LRU"]);
    table.push(row("a", true));
    let text = table.to_string();
    assert!(text.contains("0.5 % |     12.3 |") && text.contains("56.8"), "{text}");
    assert!(text.contains("Belady's MIN") && !text.contains("NP-hard"), "{text}");
    table.push(row("b", false));
    let text = table.to_string();
    assert!(text.contains("mean") && text.contains("NP-hard"), "{text}");
}
