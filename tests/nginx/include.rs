//! `<& include /uri &>`: fragments of a page, fetched beside each other and each cached by its own location.

mod failing;
mod leaving;
mod sources;

use fixture::{Answer, Gate, Nginx, Origin, Response, Setup, until};

/// Pages and fragments from one origin, each with what its own headers say of it.
fn site(origin: &Origin) -> Setup {
    Nginx::twice()
        .figures()
        .location("= /status", "stub_status;")
        .location("/", format!("twice pages; twice_include_timeout 10m; proxy_pass {};", origin.url()))
}

const PAGE: &str = "<p><& include /a &>-<& include /b | default:none &></p>";

/// The page as the visitor sees it who causes its fetch, and as it comes from the store.
#[track_caller]
fn both(nginx: &Nginx, path: &str, text: &str) -> Response {
    nginx.get(path).send().assert(200, "MISS", text);
    let hit = nginx.get(path).warm();
    hit.assert(200, "HIT", text);
    assert_eq!(hit.header("Content-Length"), Some(text.len().to_string().as_str()));
    hit
}

#[test]
fn a_page_holds_its_fragments() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    origin.on("/a", Answer::html("<b>A</b>"));
    origin.on("/b", Answer::html("<b>B</b>"));
    let nginx = site(&origin).start();
    both(&nginx, "/", "<p><b>A</b>-<b>B</b></p>");
    assert!(nginx.figure("includes") >= 4);
    assert_eq!(nginx.figure("include_failures"), 0);
}

#[test]
fn both_fragments_are_asked_for_before_either_is_there() {
    for workers in [1, 2] {
        let origin = Origin::start();
        origin.on("/", Answer::page(PAGE));
        let nginx = site(&origin).workers(workers).start();
        for cache in ["MISS", "HIT"] {
            let (a, b) = (Gate::new(), Gate::new());
            origin.on("/a", Answer::html("A").gate(&a));
            origin.on("/b", Answer::html("B").gate(&b));
            let page = nginx.get("/").spawn();
            a.wait_arrived(1);
            b.wait_arrived(1);
            // The last one first.
            b.open();
            a.open();
            page.join().unwrap().assert(200, cache, "<p>A-B</p>");
            if cache == "MISS" {
                nginx.get("/").warm();
            }
        }
    }
}

#[test]
fn a_fragment_is_cached_as_its_own_location_says() {
    let origin = Origin::start();
    origin.on("/", Answer::page("[<& include /kept?b=1&a=2 &>|<& include /never &>|<& include /off/x &>]"));
    origin.on("/kept", Answer::page("kept"));
    origin.on("/never", Answer::html("never").header("Cache-Control", "no-store"));
    origin.on("/off/x", Answer::page("off"));
    let nginx = site(&origin).location("/off/", format!("twice off; proxy_pass {};", origin.url())).start();
    both(&nginx, "/", "[kept|never|off]");
    // The page alone is fetched once; a fragment that is kept is one page for all who include it, or ask for it.
    let (kept, never, off) = (origin.count("/kept"), origin.count("/never"), origin.count("/off/x"));
    for _ in 0..5 {
        nginx.get("/").send().assert(200, "HIT", "[kept|never|off]");
    }
    assert_eq!((origin.count("/kept"), origin.count("/never")), (kept, never + 5));
    assert_eq!(origin.count("/off/x"), off + 5);
    assert_eq!(origin.last("/kept").query(), "b=1&a=2");
}

#[test]
fn a_fragments_tags_are_its_own() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get cookie name &>: <& include /a &> <& include /plain &>"));
    origin.on("/a", Answer::page("<i><& get cookie name | upper &></i>"));
    // No tags of its own: the page's are not looked for in it.
    origin.on("/plain", Answer::html("<& get cookie name &>"));
    let nginx = site(&origin).start();
    for (cache, name) in [("MISS", "ann"), ("HIT", "bob"), ("HIT", "<b>")] {
        if cache == "HIT" {
            nginx.get("/").warm();
        }
        let page = nginx.get("/").cookie(&format!("name={name}")).send();
        let escaped = name.replace('<', "&lt;").replace('>', "&gt;");
        let upper = escaped.replace(name, &name.to_uppercase());
        let upper = if name == "<b>" { "&lt;B&gt;".to_owned() } else { upper };
        page.assert(200, cache, &format!("{escaped}: <i>{upper}</i> <& get cookie name &>"));
    }
}

#[test]
fn a_fragment_hears_who_the_visitor_is_and_not_what_part_he_wants() {
    let origin = Origin::start();
    origin.on("/", Answer::page("0123456789<& include /a &>"));
    origin.on("/a", Answer::html("A").header("Cache-Control", "no-store"));
    let nginx = site(&origin).start();
    both(&nginx, "/", "0123456789A");
    let part = nginx
        .get("/")
        .cookie("name=Ann")
        .range("9-10")
        .header("If-None-Match", "\"x\"")
        .header("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT")
        .header("X-Mine", "yes")
        .compressed()
        .send();
    assert_eq!((part.status, part.text().as_str()), (206, "9A"));
    let asked = origin.last("/a");
    assert_eq!(asked.header("Cookie"), Some("name=Ann"));
    assert_eq!(asked.header("X-Mine"), Some("yes"));
    for name in ["Range", "If-None-Match", "If-Modified-Since", "Accept-Encoding"] {
        assert_eq!(asked.header(name), None, "{name}");
    }
}

#[test]
fn the_page_is_the_visitors_own() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& include /a &>").header("ETag", "\"x\""));
    origin.on("/a", Answer::page("A").header("Set-Cookie", "a=b").header("X-Fragment", "yes"));
    let nginx = site(&origin).start();
    for page in [nginx.get("/").send(), nginx.get("/").warm()] {
        assert_eq!(page.header("Cache-Control"), Some("private, no-cache"));
        // What a fragment's header says is not the page's.
        for name in ["Set-Cookie", "X-Fragment"] {
            assert_eq!(page.header(name), None, "{name}");
        }
        assert_ne!(page.header("ETag"), Some("\"x\""));
    }
}

#[test]
fn a_fragment_in_a_branch_that_is_not_taken_is_not_asked_for() {
    let origin = Origin::start();
    let page = "<& if cookie user &><& include /member &><& else &><& include /guest &><& end &>";
    origin.on("/", Answer::page(page));
    origin.on("/member", Answer::html("member"));
    origin.on("/guest", Answer::html("guest"));
    let nginx = site(&origin).start();
    both(&nginx, "/", "guest");
    assert_eq!(origin.count("/member"), 0);
    let guests = origin.count("/guest");
    nginx.get("/").cookie("user=1").send().assert(200, "HIT", "member");
    assert_eq!((origin.count("/member"), origin.count("/guest")), (1, guests));
}

#[test]
fn one_fragment_in_many_places_is_fetched_once() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& include /a &>".repeat(50)));
    origin.on("/a", Answer::html("A"));
    let nginx = site(&origin).start();
    nginx.get("/").send().assert(200, "MISS", &"A".repeat(50));
    assert_eq!(origin.count("/a"), 1);
    nginx.get("/").warm();
    let before = origin.count("/a");
    nginx.get("/").send().assert(200, "HIT", &"A".repeat(50));
    assert_eq!(origin.count("/a"), before + 1);
}

#[test]
fn a_head_needs_no_fragments() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    origin.on("/plain", Answer::page("<& if cookie x &><& include /a &><& end &>12345"));
    origin.on("/a", Answer::html("A"));
    origin.on("/b", Answer::html("B"));
    let nginx = site(&origin).start();
    both(&nginx, "/", "<p>A-B</p>");
    both(&nginx, "/plain", "12345");
    let before = origin.total();
    let head = nginx.get("/").head().send();
    head.assert(200, "HIT", "");
    assert_eq!((head.header("Content-Length"), origin.total()), (None, before));
    assert_eq!(nginx.get("/plain").head().send().header("Content-Length"), Some("5"));
}

#[test]
fn the_head_of_a_page_does_not_wait_for_its_fragments() {
    let origin = Origin::start();
    let gate = Gate::new();
    origin.on("/", Answer::page("before<& include /a &>after"));
    origin.on("/a", Answer::html("A").gate(&gate));
    let nginx = site(&origin).start();
    let mut client = nginx.raw();
    let head = client.get("/").response_head();
    assert_eq!((head.status, head.cache()), (200, "MISS"));
    gate.wait_arrived(1);
    // The page is in the store before its fragment is there.
    let mut other = nginx.raw();
    other.get("/");
    gate.wait_arrived(2);
    until("it is counted", || nginx.figure("stored") == 1);
    // "6" and the end of the line are the chunk's.
    assert_eq!(String::from_utf8_lossy(&client.bytes(9)), "6\r\nbefore");
    gate.open();
    assert!(String::from_utf8_lossy(&client.bytes(18)).contains("Aafter"));
    let other = other.response();
    other.assert(200, "HIT", "beforeAafter");
}

#[test]
fn a_page_goes_on_with_each_fragment_that_comes() {
    let origin = Origin::start();
    let (a, b) = (Gate::new(), Gate::new());
    origin.on("/", Answer::page("<1><& include /a &><2><& include /b &><3>"));
    origin.on("/a", Answer::html("A").gate(&a));
    origin.on("/b", Answer::html("B").gate(&b));
    let nginx = site(&origin).start();
    let mut client = nginx.raw();
    assert_eq!(client.get("/").response_head().cache(), "MISS");
    a.wait_arrived(1);
    b.wait_arrived(1);
    let mut read = |text: &str| {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        assert_eq!(String::from_utf8_lossy(&client.bytes(chunk.len())), chunk);
    };
    read("<1>");
    a.open();
    read("A<2>");
    b.open();
    read("B<3>");
}

#[test]
fn a_large_page_holds_large_fragments() {
    let origin = Origin::start();
    let text = |letter: &str| letter.repeat(300_000);
    origin.on("/", Answer::page(text("x") + "<& include /a &>" + &text("y") + "<& include /b &>z"));
    origin.on("/a", Answer::page(text("a")));
    origin.on("/b", Answer::html(text("b")).chunked());
    let nginx = site(&origin).start();
    let page = [text("x"), text("a"), text("y"), text("b"), "z".to_owned()].concat();
    both(&nginx, "/", &page);
}
