//! Requests that two readers read in two ways: what an application makes of one is kept for nobody else.

use fixture::{Answer, Gate, Nginx, Origin, Received, Response, until};

use super::cached_with;

/// Cookie lines in which applications, or nginx itself, find another cookie `lang` than the one that stands there.
const ODD: [&str; 10] = [
    "LANG=evil",
    "lang =evil",
    "x=1, lang=evil",
    "x=1 lang=evil",
    "lang[]=evil",
    "lang",
    "lang=en; LANG=evil",
    "lang=en; x=1, lang=evil",
    "x=\"; lang=en; \"",
    "x=\"; lang=en",
];

fn cookies(request: &Received) -> Answer {
    Answer::page(format!("<{}>", request.header("Cookie").unwrap_or("none")))
}

fn visit(nginx: &Nginx, path: &str, cookies: Option<&str>) -> Response {
    let request = nginx.get(path);
    match cookies {
        Some(cookies) => request.cookie(cookies).send(),
        None => request.send(),
    }
}

/// The same whether the location says what its pages depend on or the answer does; also where the application hears of the one
/// cookie alone, as nginx reads it.
#[test]
fn cookies_read_otherwise() {
    let origin = Origin::start();
    origin.handle("/*", cookies);
    origin.handle("/said", |request| cookies(request).header("Twice-Cookies", "lang"));
    let pass = format!("proxy_pass {};", origin.url());
    let one = "twice_withhold Cookie; proxy_set_header Cookie \"lang=$cookie_lang\";";
    let nginx = Nginx::twice()
        .server("twice pages;")
        .location("/", format!("twice_vary_cookies lang; {pass}"))
        .location("/said", &pass)
        .location("/one", format!("twice_vary_cookies lang; {one} {pass}"))
        .start();
    for (path, none) in [("/", "<none>"), ("/said", "<none>"), ("/one", "<lang=>")] {
        // The first answer tells that the page varies at all.
        visit(&nginx, path, Some("lang=first"));
        for odd in ODD {
            let page = visit(&nginx, path, Some(odd));
            assert_eq!((page.status, page.cache(), page.reason()), (200, "MISS", "unclear"), "{path} {odd}");
        }
        for cache in ["MISS", "HIT"] {
            visit(&nginx, path, Some("lang=en")).assert(200, cache, "<lang=en>");
            visit(&nginx, path, None).assert(200, cache, none);
        }
        // Nor is anybody kept from what is there.
        for odd in ODD {
            visit(&nginx, path, Some(odd)).assert_cache("HIT");
        }
        visit(&nginx, path, Some("x=\"a, b\"; lang=en; slang=evil")).assert_cache("HIT");
    }
}

/// What the page varies by is learnt from somebody else, while an answer that does not say so is on its way.
#[test]
fn what_is_learnt_meanwhile_counts() {
    let origin = Origin::start();
    let gate = Gate::new();
    let held = gate.clone();
    origin.handle("/", move |request| match request.header("Cookie") {
        Some("LANG=evil") => Answer::page("<evil>").gate_at(1, &held),
        _ => cookies(request).header("Twice-Cookies", "lang"),
    });
    let nginx = cached_with(&origin, "twice_lock off; access_log access.log reason;")
        .http("log_format reason '$twice_reason';")
        .start();
    let odd = nginx.get("/").cookie("LANG=evil").spawn();
    gate.wait_arrived(1);
    visit(&nginx, "/", Some("lang=en")).assert(200, "MISS", "<lang=en>");
    visit(&nginx, "/", Some("lang=en")).assert(200, "HIT", "<lang=en>");
    gate.open();
    assert_eq!(odd.join().unwrap().text(), "<evil>");
    until("its fate is known", || nginx.access_log().lines().count() == 3);
    assert!(nginx.access_log().ends_with("unclear\n"), "{}", nginx.access_log());
    visit(&nginx, "/", None).assert(200, "MISS", "<none>");
}

/// Some applications take the first cookie of a name, others the last.
#[test]
fn cookies_of_one_name() {
    let origin = Origin::start();
    origin.handle("/*", |request| cookies(request).header("X-Twice-Control", "max-age=1"));
    let nginx = cached_with(&origin, "twice_vary_cookies lang; twice_stale_factor 1000;").figures().start();
    let many = (0..40).map(|n| format!("c{n}={n}; ")).collect::<String>();
    let all = ["lang=en", "lang=en; lang=evil", "lang=evil; lang=en", "lang=en; lang=en", "lang=en; lang="];
    for cookies in all {
        visit(&nginx, "/", Some(cookies)).assert(200, "MISS", &format!("<{cookies}>"));
    }
    // Wherever they stand.
    visit(&nginx, "/", Some(&format!("lang=en; {many}lang=last"))).assert_cache("MISS");
    // Each is renewed for whom it is.
    until("all are renewed", || {
        for cookies in all {
            assert_eq!(visit(&nginx, "/", Some(cookies)).text(), format!("<{cookies}>"));
        }
        nginx.figure("refreshes") >= 2 * all.len() as u64
    });
}

/// Behind CGI and its kin a header with `_` has the name of one with `-`.
#[test]
fn headers_alike() {
    let origin = Origin::start();
    let told = |request: &Received, name: &str| {
        let all = [name.to_owned(), name.replace('-', "_")];
        all.iter().filter_map(|name| request.header(name)).collect::<Vec<_>>().join(" ")
    };
    let names =
        ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Geo", "X-ABValue", "Accept-Language", "If-None-Match"];
    origin.handle("/*", move |request| {
        let all: Vec<_> = names.iter().map(|name| told(request, name)).collect();
        let lifetime = if request.target.ends_with("/short") { 1 } else { 3600 };
        Answer::page(all.join("|")).header("X-Twice-Control", format!("max-age={lifetime}"))
    });
    for switch in ["underscores_in_headers on;", "ignore_invalid_headers off;"] {
        let nginx = cached_with(
            &origin,
            "twice_withhold X-Forwarded-Host; twice_vary_headers X-Forwarded-Proto; twice_stale_factor 1000;
             twice_languages en de; twice_vary_language on;",
        )
        .http(switch)
        .start();
        let path = format!("/{}", switch.len());
        for odd in ["X_Forwarded_Host", "X_Geo", "X_ABValue", "Accept_Language", "If_None_Match"] {
            let path = format!("{path}/{odd}");
            nginx.get(&path).header(odd, "evil").send().assert(200, "MISS", "||||en|");
            nginx.get(&path).send().assert_cache("HIT");
        }
        // It counts, so that it can't be withheld.
        let path = format!("{path}/short");
        let odd = || nginx.get(&path).header("X_Forwarded_Proto", "evil");
        let page = odd().send();
        page.assert(200, "MISS", "|evil|||en|");
        assert_eq!(page.reason(), "unclear");
        nginx.get(&path).send().assert(200, "MISS", "||||en|");
        // Nor does it come with a refresh.
        let (mut page, before) = (Response::default(), origin.count(&path));
        until("the page is renewed", || {
            page = odd().send();
            assert_eq!(page.text(), "||||en|");
            origin.count(&path) >= before + 2
        });
    }
}

/// Those who wait for an answer that turns out to be an odd request's go on waiting, for the next one.
#[test]
fn an_odd_request_does_not_part_a_crowd() {
    let origin = Origin::start();
    let gate = Gate::new();
    let answer = gate.clone();
    origin.handle("/", move |request| cookies(request).gate(&answer));
    let nginx = cached_with(&origin, "twice_vary_cookies lang;").figures().start();
    let odd = nginx.get("/").cookie("LANG=evil").spawn();
    gate.wait_arrived(1);
    let crowd: Vec<_> = (0..8).map(|_| nginx.get("/").spawn()).collect();
    until("all wait", || nginx.figure("waits") == 8);
    gate.open();
    assert_eq!(odd.join().unwrap().text(), "<LANG=evil>");
    for page in crowd {
        assert_eq!(page.join().unwrap().text(), "<none>");
    }
    assert_eq!(origin.count("/"), 2);
}

/// Who is logged in by whatever reader is not stored, if the location looks for the name and not for what nginx reads.
#[test]
fn a_session_that_nginx_does_not_find() {
    let origin = Origin::start();
    origin.handle("/", |request| Answer::html(format!("<{}>", request.header("Cookie").unwrap_or("none"))));
    let nginx = cached_with(
        &origin,
        "twice_honor off; twice_valid 1h; twice_bypass $logged_in; twice_no_store $logged_in;",
    )
    .http("map $http_cookie $logged_in { default ''; '~*session' 1; }")
    .start();
    for odd in [
        "x=1 session=eve",
        "x=1, session=eve",
        "SESSION=eve",
        "session =eve",
        "x=\"; session=eve",
        "session[]=eve",
    ] {
        let page = visit(&nginx, "/", Some(odd));
        assert_eq!((page.cache(), page.reason()), ("BYPASS", "no_store"), "{odd}");
    }
    visit(&nginx, "/", None).assert(200, "MISS", "<none>");
    visit(&nginx, "/", None).assert(200, "HIT", "<none>");
}
