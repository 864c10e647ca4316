//! Values that attack the place they stand in, in a real browser: none runs, nothing is asked of a foreign host, and
//! every value arrives as it is.
//!
//! One page is stored; a judge opens it in a frame for each value, compares the frames, calls every handler in them and
//! looks at what arrived.

mod values;

use fixture::{Answer, Browser, Memcached, Nginx, Origin};
use serde_json::Value;
use values::{HARMLESS, VALUES, is_url};

const PAGE: &str = include_str!("escaping/page.html");
const LOADED: &str = include_str!("escaping/loaded.html");
const JUDGE: &str = include_str!("escaping/judge.html");

/// The places in which a value arrives as it is.
const PROBES: [&str; 30] = [
    "title",
    "meta",
    "text",
    "double",
    "single",
    "bare",
    "area",
    "query",
    "path",
    "slash",
    "fragment",
    "input",
    "handler",
    "handler_code",
    "svg_title",
    "svg_text",
    "css",
    "single_string",
    "double_string",
    "template",
    "nested",
    "code",
    "object",
    "escaped",
    "escaped_too",
    "module",
    "json",
    "json_value",
    "branch",
    "filtered",
];

struct Site {
    nginx: Nginx,
    origin: Origin,
    /// Every host that is not this machine's address.
    foreign: Origin,
    _memcached: Memcached,
}

impl Site {
    fn start(lines: &str) -> Site {
        let (origin, foreign, memcached) = (Origin::start(), Origin::start(), Memcached::start());
        for (number, value) in VALUES.iter().enumerate() {
            memcached.client().set(&format!("v{number}"), *value, 0).expect("stored");
        }
        // A browser may take its time.
        let stored = |page| Answer::html(page).header("X-Twice-Control", "max-age=86400");
        origin.on("/page", stored(PAGE));
        origin.on("/loaded", stored(LOADED));
        origin.handle("/local", |_| Answer::new(404, ""));
        let nginx = Nginx::twice()
            .http(format!("upstream counters {{ server {}; }}", memcached.address()))
            .http("twice_source v memcached counters key=v$arg_v ttl=0 timeout=10s;")
            .server(format!("twice pages; twice_key $uri; {lines}"))
            .location("/", format!("proxy_pass {};", origin.url()))
            .start();
        Site { nginx, origin, foreign, _memcached: memcached }
    }

    /// What the judge says of this page with these values: so many at a time that a browser is done with them.
    #[track_caller]
    fn is_safe(&self, page: &str, values: &[usize], probes: &[&str]) {
        for some in values.chunks(24) {
            let some: Vec<usize> = [HARMLESS].into_iter().chain(some.iter().copied()).collect();
            let verdict = self.judge(page, &some, probes);
            assert_eq!(verdict["hits"], serde_json::json!([]), "{verdict:#}");
            assert_eq!(verdict["wrong"], serde_json::json!([]), "{verdict:#}");
            let texts = some.iter().filter(|&&number| text(number).is_some()).count();
            assert_eq!(verdict["intact"], texts * probes.len());
        }
        assert_eq!(self.asked_of_foreign_hosts(), 0, "something was asked of a foreign host");
    }

    /// What the values name there, or what they would lead there. The browser asks hosts of its maker's on its own.
    fn asked_of_foreign_hosts(&self) -> usize {
        let named = (b'a'..=b'z').map(|letter| format!("/{}", char::from(letter)));
        let led = ["/", "/local", "/page", "/loaded"].map(String::from);
        named.chain(led).map(|path| self.foreign.count(&path)).sum()
    }

    fn judge(&self, page: &str, values: &[usize], probes: &[&str]) -> Value {
        self.nginx.get(&format!("{page}?v=0")).warm().assert_cache("HIT");
        let shown: Vec<_> = values.iter().map(|&number| (number, text(number))).collect();
        let judge = JUDGE
            .replace("VALUES", &serde_json::to_string(&shown).unwrap().replace('<', "\\u003c"))
            .replace("PROBES", &serde_json::to_string(probes).unwrap())
            .replace("PAGE", page);
        let path = format!("/judge{}", page.replace('/', "-"));
        self.origin.on(&path, Answer::html(judge).header("Cache-Control", "no-store"));
        let seen = Browser::with_all_hosts_at(self.foreign.port()).open(&self.nginx.url(&path));
        let verdict =
            seen.dom.split("<pre id=\"verdict\">").nth(1).and_then(|rest| rest.split("</pre>").next());
        let verdict = verdict
            .unwrap_or_else(|| panic!("no verdict: {seen:?}"))
            .replace("&amp;", "&")
            .replace("&gt;", ">");
        assert_eq!(self.origin.count(page), 1, "all frames were hits");
        serde_json::from_str(&verdict)
            .unwrap_or_else(|error| panic!("{error}: {verdict}\n{:?}", seen.console))
    }
}

/// A value as it should arrive: of one that is no text nobody can say.
fn text(number: usize) -> Option<&'static str> {
    std::str::from_utf8(VALUES[number]).ok().filter(|text| !text.contains('\0'))
}

fn all() -> Vec<usize> {
    (0..VALUES.len()).collect()
}

#[test]
fn no_value_runs_and_each_arrives() {
    let site = Site::start("");
    site.is_safe("/page", &all(), &PROBES);
    for place in [
        "a comment of a style",
        "a script or a style without quotes",
        "srcdoc",
        "a URL that is a script",
        "a script or a style inside of SVG or XML",
        "a comment",
        "a tag outside of quotes",
        "a tag's name",
        "a comment of a script",
        "a regular expression",
        "a script of unknown type",
    ] {
        site.nginx.expect_log(&format!("bad tag in page \"/page\": no safe filter in {place} at line "));
    }
}

#[test]
fn what_a_page_loads_is_no_script() {
    let site = Site::start("");
    let values: Vec<usize> = all().into_iter().filter(|&number| !is_url(number)).collect();
    site.is_safe("/loaded", &values, &[]);
    site.nginx
        .expect_log("bad tag in page \"/loaded\": no safe filter where a value would choose what is loaded");
    // A value that is a URL is one, where the page's author has put it.
    let urls: Vec<usize> = all().into_iter().filter(|&number| is_url(number)).collect();
    site.judge("/loaded", &urls, &[]);
    assert!(site.asked_of_foreign_hosts() > 0);
}

#[test]
fn a_page_begins_as_its_type_says() {
    let origin = Origin::start();
    let tag = "<& get header x-v &>";
    let value = "</a>'\"\\";
    let nginx = Nginx::twice()
        .server("twice pages; twice_tags all; twice_types application/json application/javascript text/css text/plain;")
        .server("twice_types image/svg+xml;")
        .location("/", format!("proxy_pass {};", origin.url()))
        .start();
    for (path, content_type, page, printed) in [
        ("/html", "text/html; charset=utf-8", format!("'{tag}'"), "'&lt;/a&gt;&#39;&quot;\\'"),
        (
            "/json",
            "application/json",
            format!("{{\"a\":\"{tag}\"}}"),
            r#"{"a":"\u003c/a\u003e\u0027\u0022\\"}"#,
        ),
        ("/value", "application/json", tag.into(), r#" "\u003c/a\u003e\u0027\u0022\\" "#),
        ("/script", "application/javascript", format!("f('{tag}')"), r"f('\x3C/a\x3E\x27\x22\\')"),
        (
            "/style",
            "text/css",
            format!("a::after{{content:'{tag}'}}"),
            r"a::after{content:'\3c \2f a\3e \27 \22 \5c '}",
        ),
        ("/svg", "image/svg+xml", format!("<a b='{tag}'/>"), "<a b='&lt;/a&gt;&#39;&quot;\\'/>"),
        ("/plain", "text/plain", format!("<p {tag}>"), "<p </a>'\"\\>"),
    ] {
        let answer = Answer::new(200, page).header("Content-Type", content_type);
        origin.on(path, answer.header("Cache-Control", "max-age=60"));
        let request = nginx.get(path).header("X-V", value);
        for cache in ["MISS", "HIT"] {
            request.send().assert(200, cache, printed);
        }
    }
}

/// Half a letter at the end of a value takes a backslash or a backtick with it, in character sets that have such letters.
#[test]
fn a_value_takes_nothing_that_stands_behind_it() {
    let origin = Origin::start();
    let nginx = Nginx::twice()
        // In these character sets: a letter, and half of one.
        .server("twice pages; set $half '\u{2081}\\\\'; set $code ';hit()//';")
        .location("/", format!("proxy_pass {};", origin.url()))
        .start();
    let browser = Browser::new();
    for (path, content_type, script) in [
        (
            "/kanji",
            "text/html; charset=Shift_JIS",
            "var a = '<& get var half # &>', b = '<& get var code # &>';",
        ),
        (
            "/hanzi",
            "text/html; charset=\"gbk\"",
            "var a = `<& get var half # &>`, b = `<& get var code # &>`;",
        ),
    ] {
        // By its author's own word it runs: so a browser reads it.
        for (named, filter, seen) in [("named", "| js", "<p>ran</p>"), ("auto", "", "<p>;hit()//</p>")] {
            let page = format!(
                "<!doctype html><p><& get var code &></p>\n<script>function hit() {{ document.querySelector('p').textContent = \
                 'ran' }}</script>\n<script>{}</script>",
                script.replace('#', filter)
            );
            let path = format!("{path}_{named}");
            let answer = Answer::new(200, page).header("Content-Type", content_type);
            origin.on(&path, answer.header("X-Twice-Control", "max-age=86400"));
            nginx.get(&path).warm().assert_cache("HIT");
            let dom = browser.open(&nginx.url(&path)).dom;
            assert!(dom.contains(seen), "{path}: {dom}");
        }
        let line =
            format!("bad tag in page \"{path}_auto\": no safe filter here in this character set at line ");
        nginx.expect_log(&line);
    }
}

/// The judge sees it when a page is not safe.
#[test]
fn without_escaping_values_run() {
    for lines in ["twice_escape off;", "twice_escape html;"] {
        let site = Site::start(lines);
        let mut ran = 0;
        // Each alone: one that runs may keep the others from it.
        for number in (0..VALUES.len()).filter(|&number| number != HARMLESS).step_by(23) {
            let verdict = site.judge("/page", &[HARMLESS, number], &PROBES);
            ran += usize::from(verdict["hits"] != serde_json::json!([]));
            assert_ne!(verdict["wrong"], serde_json::json!([]));
        }
        assert!(ran > 0, "{lines}: nothing ran");
    }
}
