//! Header lines of a page: one of each, true for what leaves and not for what was stored.

use fixture::effort::grows_no_faster;
use fixture::{Answer, Nginx, Origin, Response, Setup};

use super::proxied;

fn cached(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice()
        .http("add_header X-Ttl $twice_ttl always;")
        .location("/", format!("{lines} {}", proxied(origin)))
}

fn caching(value: &str) -> Answer {
    Answer::html("x").header("Cache-Control", value)
}

/// The page from its origin, then from the store.
#[track_caller]
fn miss_and_hit(nginx: &Nginx, path: &str) -> [Response; 2] {
    let miss = nginx.get(path).send();
    miss.assert_cache("MISS");
    [miss, nginx.get(path).warm()]
}

/// Not stored, and for this reason: every request comes to the origin.
#[track_caller]
fn never_stored(nginx: &Nginx, path: &str, reason: &str) {
    for _ in 0..2 {
        let page = nginx.get(path).send();
        assert_eq!((page.cache(), page.reason()), ("MISS", reason), "{path}: {page:?}");
    }
}

#[test]
fn the_locations_expires_speaks_for_hits_as_for_misses() {
    let origin = Origin::start();
    let year = "Fri, 01 Jan 2100 00:00:00 GMT";
    let page = || Answer::html("x").header("X-Twice-Control", "max-age=60, no-tags");
    origin.on("/none", page());
    origin.on("/stated", page().header("Cache-Control", "max-age=5").header("Expires", year));
    origin.on("/two", page().header("Cache-Control", "public").header("Cache-Control", "max-age=5"));
    for (time, wanted) in [("1h", "max-age=3600"), ("max", "max-age=315360000"), ("epoch", "no-cache")] {
        let nginx = cached(&origin, &format!("expires {time};")).start();
        for path in ["/none", "/stated", "/two"] {
            let [miss, hit] = miss_and_hit(&nginx, path);
            for page in [&miss, &hit] {
                assert_eq!(page.all("Cache-Control"), [wanted], "{time} {path}: {page:?}");
                assert_eq!(page.all("Expires").len(), 1, "{time} {path}: {page:?}");
                assert_ne!(page.header("Expires"), Some(year), "{time} {path}: {page:?}");
            }
            // Counted from now where it is a time from now.
            assert!(time == "1h" || hit.header("Expires") == miss.header("Expires"), "{miss:?} {hit:?}");
        }
    }
}

#[test]
fn a_personal_page_stays_private_whatever_the_location_says() {
    let origin = Origin::start();
    let page = || Answer::page("Hello <& get cookie name Guest &>");
    origin.on("/none", page());
    origin.on("/stated", page().header("Cache-Control", "public, max-age=600").header("Expires", "0"));
    for time in ["1h", "max", "epoch", "-1", "@15h", "modified 1h"] {
        let nginx = cached(&origin, &format!("expires {time};")).start();
        for path in ["/none", "/stated"] {
            for page in miss_and_hit(&nginx, path) {
                let line = page.all("Cache-Control").join(", ");
                assert!(line.contains("private"), "{time} {path}: {page:?}");
                assert!(!line.contains("public"), "{time} {path}: {page:?}");
            }
        }
    }
}

#[test]
fn a_line_that_nginx_would_add_itself_is_there_once() {
    let origin = Origin::start();
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let with = |page: Answer| page.header("Server", "Origin/1").header("Date", date);
    origin.on("/plain", with(Answer::page("x").header("X-Twice-Control", "max-age=60, no-tags")));
    origin.on("/personal", with(Answer::page("<& get cookie name Guest &>")));
    let nginx = cached(&origin, "proxy_pass_header Server; proxy_pass_header Date;").start();
    for path in ["/plain", "/personal"] {
        let [miss, hit] = miss_and_hit(&nginx, path);
        assert_eq!((miss.all("Server"), miss.all("Date")), (vec!["Origin/1"], vec![date]), "{miss:?}");
        assert_eq!((hit.all("Server").len(), hit.all("Date").len()), (1, 1), "{hit:?}");
    }
}

#[test]
fn the_time_that_a_page_spent_elsewhere_counts() {
    let origin = Origin::start();
    origin.on("/old", caching("max-age=60").header("Age", "20"));
    origin.on("/shared", caching("max-age=9, s-maxage=60").header("Age", "20"));
    origin.on("/nearly", caching("max-age=60").header("Age", "50"));
    origin.on("/over", caching("max-age=60").header("Age", "60"));
    origin.on("/long-over", caching("max-age=60").header("Age", "99999999999999999999"));
    // The control header's time is the app's word on this very answer.
    origin.on("/control", Answer::page("x").header("Age", "60"));
    let nginx = cached(&origin, "").start();
    let seconds = |page: &Response, name: &str| page.header(name).and_then(|value| value.parse::<u64>().ok());
    for path in ["/old", "/shared"] {
        let [miss, hit] = miss_and_hit(&nginx, path);
        for page in [&miss, &hit] {
            let ttl = seconds(page, "X-Ttl");
            assert!(ttl.is_some_and(|ttl| (30..=40).contains(&ttl)), "{path}: {page:?}");
        }
        assert_eq!(hit.all("Age").len(), 1, "{path}: {hit:?}");
        let age = seconds(&hit, "Age");
        assert!(age.is_some_and(|age| (20..=30).contains(&age)), "{path}: {hit:?}");
    }
    let nearly = nginx.get("/nearly").send();
    let ttl = seconds(&nearly, "X-Ttl");
    assert!(nearly.reason() == "recording" && ttl.is_some_and(|ttl| (1..=10).contains(&ttl)), "{nearly:?}");
    for path in ["/over", "/long-over"] {
        never_stored(&nginx, path, "zero_lifetime");
    }
    let [miss, hit] = miss_and_hit(&nginx, "/control");
    assert!(seconds(&miss, "X-Ttl") == Some(3600) && seconds(&hit, "Age") < Some(20), "{miss:?} {hit:?}");
}

#[test]
fn a_control_header_without_a_lifetime_stores_no_private_error_page() {
    let origin = Origin::start();
    let missing = |caching: &str| {
        Answer::new(404, "x")
            .header("Content-Type", "text/html")
            .header("X-Twice-Control", "no-tags")
            .header("Cache-Control", caching)
    };
    let nginx = cached(&origin, "").start();
    for (n, value) in ["private", "no-store", "no-cache", "max-age=60, private"].into_iter().enumerate() {
        let path = format!("/{n}");
        origin.on(&path, missing(value));
        never_stored(&nginx, &path, "cache_control");
    }
}

#[test]
fn a_quote_without_end_hides_no_word() {
    let origin = Origin::start();
    let nginx = cached(&origin, "").start();
    for (n, value) in [
        "max-age=60, ext=\"x, no-store",
        "max-age=60, ext=\"x, private",
        "max-age=60, ext=\"x\\\", no-store",
        "ext=\", max-age=60, no-store",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        origin.on(&path, caching(value));
        never_stored(&nginx, &path, "cache_control");
    }
    // Between two quotes it is text.
    origin.on("/text", caching("max-age=60, ext=\"x, no-store\""));
    nginx.get("/text").warm();
}

#[test]
fn a_digest_of_a_template_stays_behind() {
    let origin = Origin::start();
    let digests = ["Content-MD5", "Digest", "Content-Digest", "Repr-Digest"];
    let with = |page: Answer| digests.into_iter().fold(page, |page, name| page.header(name, "x=:eA==:"));
    origin.on("/personal", with(Answer::page("Hello <& get cookie name Guest &>")));
    origin.on("/filled", with(Answer::page("<& get page status &>")));
    origin.on("/plain", with(Answer::page("x").header("X-Twice-Control", "no-tags")));
    let nginx = cached(&origin, "").start();
    for (path, count) in [("/personal", 0), ("/filled", 0), ("/plain", 1)] {
        for page in miss_and_hit(&nginx, path) {
            for name in digests {
                assert_eq!(page.all(name).len(), count, "{path} {name}: {page:?}");
            }
        }
    }
}

/// What is asked of each line must not be asked of all others: a worker does nothing else meanwhile.
#[test]
fn many_header_lines_cost_as_much_each_as_few() {
    let origin = Origin::start();
    let nginx = Nginx::twice()
        .http("proxy_buffer_size 512k; proxy_buffers 4 512k; proxy_busy_buffers_size 512k; proxy_hide_header X-Hidden;")
        .location("/", proxied(&origin))
        .start();
    let workers = nginx.workers();
    let worked = || workers.iter().map(|pid| fixture::process::cpu_ns(*pid)).sum::<u64>();
    let mut pages = 0;
    let cost = |lines: usize| {
        let (tagged, tag) = ("Twice-Headers", "<& get cookie name &>");
        let page = Answer::page("page").header(tagged, "X-Tagged").header("X-Tagged", tag);
        let answer = (0..lines / 4).fold(page, |answer, n| {
            let named = answer.header(&format!("X-Shown-{n}"), "1").header(&format!("x-own-{n}"), "1");
            named.header("X-Hidden", "1").header("X-Tagged", "1")
        });
        let before = worked();
        pages += 1;
        let path = format!("/{pages}");
        origin.on(&path, answer);
        assert_eq!(nginx.raw().get(&path).response().text(), "page");
        worked() - before
    };
    grows_no_faster(1_250, cost);
    nginx.raw().get(&format!("/{pages}")).response().assert(200, "HIT", "page");
}
