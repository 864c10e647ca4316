//! The language of tags from end to end: every page is seen as the visitor who caused its fetch sees it, and as it
//! comes from the store.

mod hostile;
mod where_tags_are;

use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::{Answer, Nginx, Origin, Request, Setup};

fn cached(origin: &Origin) -> Setup {
    // Arguments are the visitor's here, not the page's.
    Nginx::twice()
        .server("twice pages; twice_key $uri;")
        .location("/", format!("proxy_pass {};", origin.url()))
}

/// An nginx for templates, each a page of its own.
struct Pages {
    origin: Origin,
    nginx: Nginx,
    count: AtomicUsize,
}

impl Pages {
    /// `lines` are for the server.
    fn with(lines: &str) -> Self {
        let origin = Origin::start();
        let nginx = cached(&origin).server(lines).start();
        Self { origin, nginx, count: AtomicUsize::new(0) }
    }

    fn new() -> Self {
        Self::with("")
    }

    /// Fetched and then taken from the store by the same visitor, the page reads as it should.
    #[track_caller]
    fn check(&self, template: &str, visitor: impl Fn(Request) -> Request, page: &str) {
        self.check_asked("", template, visitor, page);
    }

    #[track_caller]
    fn check_asked(&self, query: &str, template: &str, visitor: impl Fn(Request) -> Request, page: &str) {
        let path = format!("/{}", self.count.fetch_add(1, Ordering::Relaxed));
        self.origin.on(&path, Answer::page(template));
        let request = visitor(self.nginx.get(&(path + query)));
        for cache in ["MISS", "HIT"] {
            let response = request.send();
            assert!(
                response.cache() == cache && response.text() == page,
                "{template}\nexpected {cache}\n{page}\ngot {}\n{}",
                response.cache(),
                response.text()
            );
        }
    }

    /// The same for a visitor who brings this header.
    #[track_caller]
    fn check_header(&self, value: &str, template: &str, page: &str) {
        self.check(template, |request| request.header("X-V", value), page);
    }
}

fn nobody(request: Request) -> Request {
    request
}

#[test]
fn a_tag_prints_what_the_visitor_brings() {
    let pages = Pages::with("twice_geo $http_x_country; set $plan gold;");
    pages.check("<& get cookie name &>", |r| r.cookie("a=1; name=Ann"), "Ann");
    pages.check("<& get header X-Name &>", |r| r.header("x-name", "Ann"), "Ann");
    pages.check("<& get header user-agent &>", |r| r.arg("-A").arg("Ann's"), "Ann&#39;s");
    pages.check_asked("?a=1&name=Ann&b=2", "<& get arg name &>", nobody, "Ann");
    pages.check_asked("?rename=no&name=%3Cb%3E", "<& get arg name &>", nobody, "%3Cb%3E");
    pages.check("<& get var plan &> <& get var request_method &>", nobody, "gold GET");
    pages.check("<& get ip current &>", nobody, "127.0.0.1");
    pages.check("<& get geo ip &>", |r| r.header("X-Country", "NZ"), "NZ");
    pages.check("<& get page status &> <& get page age &>", nobody, "200 0");
}

#[test]
fn a_tag_knows_the_visitors_language() {
    let pages = Pages::new();
    let swiss = |request: Request| request.header("Accept-Language", "en;q=0.5, de-CH, fr;q=0.9");
    pages.check("<& get lang tag &>", swiss, "de-ch");
    pages.check("<& get lang current &>", swiss, "de-ch");
    pages.check("<& if lang de Hallo Hello &>", swiss, "Hallo");
    pages.check("<& if lang de-ch Grüezi Hallo &>", swiss, "Grüezi");
    pages.check("<& if lang en Hello Hallo &>", swiss, "Hallo");
    pages.check("<& get lang tag &>", nobody, "en-us");
}

#[test]
fn what_is_missing_prints_the_default() {
    let pages = Pages::new();
    pages.check("[<& get cookie name &>]", nobody, "[]");
    pages.check("<& get cookie name Guest &>", nobody, "Guest");
    pages.check("<& get cookie name 'dear <b>Guest</b>' &>", nobody, "dear <b>Guest</b>");
    pages.check("<& get cookie name \"it's you\" &>", nobody, "it's you");
    pages.check("<& get cookie name Guest &>", |r| r.cookie("name="), "Guest");
    pages.check("<& get cookie name Guest &>", |r| r.cookie("name=0"), "0");
    pages.check("<& get cookie name | default:Guest upper &>", nobody, "GUEST");
    pages.check("<& get cookie name | default:\"dear Guest\" &>", nobody, "dear Guest");
    pages.check("<& get header x-none Guest &>", nobody, "Guest");
    pages.check("<& get arg none Guest &>", nobody, "Guest");
    pages.check("<& get var none Guest &>", nobody, "Guest");
    pages.check("<& get var arg_none Guest &>", nobody, "Guest");
    // Without twice_geo nobody has a country.
    pages.check("<& get geo ip somewhere &>", nobody, "somewhere");
}

#[test]
fn every_filter_does_its_work() {
    let pages = Pages::with("set $padded '  x y  ';");
    let hostile = "</script><b a='1' b=\"2\">&amp;\\";
    for (value, filters, printed) in [
        (hostile, "html", "&lt;/script&gt;&lt;b a=&#39;1&#39; b=&quot;2&quot;&gt;&amp;amp;\\"),
        ("a b=`c`\"'<>&", "attr", "a&#32;b&#61;&#96;c&#96;&quot;&#39;&lt;&gt;&amp;"),
        (hostile, "js", "\\x3C/script\\x3E\\x3Cb a=\\x271\\x27 b=\\x222\\x22\\x3E\\x26amp;\\\\"),
        ("<a>\"\\", "json", "\\u003ca\\u003e\\u0022\\\\"),
        ("a b&c=d/é~", "url", "a%20b%26c%3Dd%2F%C3%A9~"),
        ("1234567", "comma", "1,234,567"),
        ("123", "comma", "123"),
        ("many", "comma", "many"),
        ("Ann <3", "upper", "ANN &lt;3"),
        ("ANN", "lower", "ann"),
        ("héllo", "truncate:2", "hé"),
        ("x", "default:y", "x"),
        ("<b>", "raw", "<b>"),
        ("1234567", "comma truncate:5 html", "1,234"),
        ("<ann>", "| upper | html", "&lt;ANN&gt;"),
    ] {
        pages.check_header(value, &format!("<& get header x-v | {filters} &>"), printed);
    }
    pages.check("[<& get var padded &>] [<& get var padded | trim &>]", nobody, "[  x y  ] [x y]");
}

#[test]
fn filters_hold_for_what_the_author_wrote() {
    let pages = Pages::new();
    pages.check("<& get cookie name '<guest>' | upper &>", nobody, "<GUEST>");
    pages.check("<& get cookie name '<guest>' | html &>", nobody, "&lt;guest&gt;");
    pages.check("<& if cookie name '<in>' '<out>' | html upper &>", nobody, "&LT;OUT&GT;");
}

#[test]
fn if_and_unless_choose_a_text() {
    let pages = Pages::new();
    let ann = |request: Request| request.cookie("name=Ann; zero=0; empty=");
    for (tag, printed) in [
        ("if cookie name in", "in"),
        ("if cookie name in out", "in"),
        ("if cookie other in", ""),
        ("if cookie other in out", "out"),
        ("if cookie zero in out", "out"),
        ("if cookie empty in out", "out"),
        ("unless cookie name out", ""),
        ("unless cookie name out in", "in"),
        ("unless cookie other out in", "out"),
        ("unless cookie zero out in", "out"),
        ("if cookie name '' out", ""),
        ("if cookie name 'Welcome <b>back</b>' out", "Welcome <b>back</b>"),
    ] {
        pages.check(&format!("[<& {tag} &>]"), ann, &format!("[{printed}]"));
    }
}

#[test]
fn blocks_nest() {
    let pages = Pages::new();
    let template = "a
<& if cookie name &>Hello <& get cookie name &>
  <& unless cookie vip &>plain<& else &>vip <& if cookie vip gold &><& end &>
<& else &>
  <& if arg next &><& get arg next &><& else &>log in<& end &>
<& end &>
z";
    let cases = [
        ("", "", "a\n\n  log in\n\nz"),
        ("?next=/x", "", "a\n\n  /x\n\nz"),
        ("", "name=Ann", "a\nHello Ann\n  plain\n\nz"),
        ("?next=/x", "name=Ann; vip=1", "a\nHello Ann\n  vip gold\n\nz"),
        ("", "vip=1", "a\n\n  log in\n\nz"),
    ];
    for (query, cookies, page) in cases {
        let visitor = |r: Request| if cookies.is_empty() { r } else { r.cookie(cookies) };
        pages.check_asked(query, template, visitor, page);
    }
    // One stored page is each of them.
    pages.origin.on("/same", Answer::page(template));
    pages.nginx.get("/same").send();
    for (query, cookies, page) in cases {
        pages.nginx.get(&format!("/same{query}")).cookie(cookies).send().assert(200, "HIT", page);
    }
}

#[test]
fn sixteen_levels_are_filled() {
    let pages = Pages::new();
    let open = |n: usize| format!("{n}<& if cookie c{n} &>");
    let template: String =
        (0..16).map(open).chain(["in".into()]).chain((0..16).map(|_| "<& end &>)".into())).collect();
    let all: String = (0..16).map(|n| format!("c{n}=1; ")).collect();
    let page: String = (0..16).map(|n| n.to_string()).collect::<String>() + "in" + &")".repeat(16);
    pages.check(&template, |r| r.cookie(&all), &page);
    pages.check(&template, |r| r.cookie("c0=1"), "01))");
}

#[test]
fn values_are_escaped_unless_the_location_says_otherwise() {
    let hostile = |request: Request| request.cookie("name=<b>\"&'");
    Pages::new().check("<& get cookie name &>", hostile, "&lt;b&gt;&quot;&amp;&#39;");
    let pages = Pages::with("twice_escape off;");
    pages.check("<& get cookie name &>", hostile, "<b>\"&'");
    pages.check("<& get cookie name | html &>", hostile, "&lt;b&gt;&quot;&amp;&#39;");
    pages.check("<& get cookie name | truncate:1 &>", hostile, "<");
}

#[test]
fn a_value_is_never_run() {
    let tag = "<& get var pid &>";
    for lines in ["twice_escape off;", "twice_escape off; twice_delimiters \"~<&(.*?)&>\";"] {
        let pages = Pages::with(lines);
        let visitor = |r: Request| r.header("X-V", tag).header("X-Open", "<&").header("X-Close", "&>");
        pages.check("<& get header x-v &>", visitor, tag);
        pages.check("<& get header x-v | raw &>", visitor, tag);
        // Not even with what stands around it.
        pages.check(
            "<& get header x-open &> get var pid <& get header x-close &>",
            visitor,
            "<& get var pid &>",
        );
        pages.check("<& if header x-v &><& get header x-v &><& end &>", visitor, tag);
    }
    let pages = Pages::new();
    pages.check_header("<& end &>", "<& get header x-v &>", "&lt;&amp; end &amp;&gt;");
    // nginx's own variables are not looked for in it either.
    pages.check_header("$pid ${pid}", "<& get header x-v &>", "$pid ${pid}");
}

#[test]
fn cookies_are_read_as_servers_read_them() {
    let pages = Pages::new();
    for (cookies, printed) in [
        ("name=first; name=second", "first"),
        ("name=a b", "a b"),
        ("  name=x  ;a=b", "x"),
        ("a=b;name=x", "x"),
        ("name=\"quoted\"", "&quot;quoted&quot;"),
        ("name=a=b=c", "a=b=c"),
        ("Name=no; NAME=no", "-"),
        ("name; a=b", "-"),
        ("xname=no; namex=no", "-"),
        ("a=name=no", "-"),
        ("; ;; =; name=x", "x"),
        ("name=%3Cb%3E", "%3Cb%3E"),
        ("name=é", "é"),
    ] {
        pages.check("<& get cookie name - &>", |r| r.cookie(cookies), printed);
    }
    // Several lines are one list.
    pages.check("<& get cookie a &><& get cookie b &>", |r| r.cookie("a=1").cookie("a=2; b=3"), "13");
}

#[test]
fn many_cookies_are_all_found() {
    let pages = Pages::new();
    let cookies: String = (0..60).map(|n| format!("c{n}=v{n}; ")).collect();
    let template: String = (0..60).rev().map(|n| format!("<& get cookie c{n} &>,")).collect();
    let page: String = (0..60).rev().map(|n| format!("v{n},")).collect();
    pages.check(&template, |r| r.cookie(&cookies), &page);
    pages.check("<& get cookie c60 none &>", |r| r.cookie(&cookies), "none");
    pages.check("<& get cookie c59 none &>", |r| r.cookie(&(cookies.clone() + "c59=second")), "v59");
}

#[test]
fn the_same_value_may_stand_in_many_places() {
    let pages = Pages::new();
    let template = "<& get cookie name &>/<& get cookie name | upper &>/<& if cookie name in &>/".repeat(100);
    pages.check(&template, |r| r.cookie("name=Ann"), &"Ann/ANN/in/".repeat(100));
}

#[test]
fn a_page_cut_anywhere_is_the_same_page() {
    let origin = Origin::start();
    let template = "é<& get cookie name '' &>
<b><&if cookie name&>Hi <& get cookie name | upper html &><&else&><a><& end &> < & <& x &> &> <& get";
    let page = "éa&lt;b\n<b>Hi A&lt;B < & <& x &> &> <& get";
    let all = 0..template.len();
    for cut in all.clone() {
        origin.on(&format!("/{cut}"), Answer::page(template).chunked().cut_at([cut]));
    }
    origin.on("/each", Answer::page(template).until_close().cut_every(1));
    let nginx = cached(&origin).server("proxy_http_version 1.1; proxy_buffering off;").start();
    nginx.expect_log("unknown command at line 2 in \"<& x &>\"");
    nginx.expect_log("unterminated tag at line 2 in \"<& get\"");
    let mut raw = nginx.raw();
    for path in all.map(|cut| format!("/{cut}")).chain(["/each".to_owned()]) {
        for cache in ["MISS", "HIT"] {
            raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: name=a<b\r\n\r\n"));
            raw.response().assert(200, cache, page);
        }
    }
}
