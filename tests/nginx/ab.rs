//! A/B tests: a visitor keeps his values, and application, page and cookie agree from the first answer on.

mod first;

use std::collections::{HashMap, HashSet};

use fixture::{Answer, Nginx, Origin, Raw, Request, Response, Setup, until};

/// Enough values that no two visitors agree by chance for long.
const TEST: &str =
    "twice_ab_test button red=50 blue=50; twice_ab_test Shade-8 a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1;";
const PAGE: &str = "<& get abvalue button none &> <& get abvalue Shade-8 &>";

fn cached(origin: &Origin) -> Setup {
    Nginx::twice()
        .http("add_header X-Values \"$twice_ab_button $twice_ab_shade_8\" always;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
}

fn tested(origin: &Origin) -> Setup {
    cached(origin).http(TEST)
}

/// The id that an answer gives, if it does.
fn given(response: &Response) -> Option<String> {
    let lines = response.all("Set-Cookie");
    let ids: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("uniq=")).collect();
    assert!(ids.len() <= 1, "{response:?}");
    ids.first().map(|rest| rest.split(';').next().unwrap().to_owned())
}

fn known(request: Request, id: &str) -> Request {
    request.cookie(&format!("a=b; uniq={id}"))
}

/// What the visitor of an id sees, over a connection that stays.
fn sees(raw: &mut Raw, id: &str) -> String {
    raw.send(format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: uniq={id}\r\n\r\n"));
    let page = raw.response();
    assert_eq!(page.status, 200, "{page:?}");
    page.text()
}

#[test]
fn a_visitor_keeps_his_values_wherever_he_is_served() {
    let origin = Origin::start();
    origin.on("/", Answer::page(PAGE));
    let nginx = tested(&origin).start();
    let ids: Vec<String> = (0..20).map(|n| format!("visitor{n}")).collect();
    nginx.get("/").warm();
    let mut values: HashMap<&str, String> = HashMap::new();
    let mut check = |nginx: &Nginx| {
        // On each worker.
        let workers = nginx.workers();
        let mut done = HashSet::new();
        until("every worker has served everybody", || {
            let mut raw = nginx.raw();
            raw.send("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: uniq=x\r\n\r\n");
            let worker = raw.response().worker();
            for id in &ids {
                let seen = sees(&mut raw, id);
                assert_eq!(*values.entry(id).or_insert_with(|| seen.clone()), seen, "{id}");
            }
            done.insert(worker);
            workers.iter().all(|worker| done.contains(worker))
        });
    };
    check(&nginx);
    nginx.reload();
    check(&nginx);
    let setup = nginx.setup().clone();
    nginx.finish();
    let nginx = setup.start();
    check(&nginx);
    // Not everybody sees the same.
    assert!(values.values().collect::<HashSet<_>>().len() > 8, "{values:?}");
}

#[test]
fn a_changed_weight_moves_few_visitors() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get abvalue button &>"));
    let base = cached(&origin).http("twice_ab_test Shade-8 a=1;");
    let mut nginx = base.clone().http("twice_ab_test button red=50 blue=50 old=0;").start();
    let all = |nginx: &Nginx| -> Vec<String> {
        let mut raw = nginx.raw();
        (0..500).map(|n| sees(&mut raw, &format!("v{n}"))).collect()
    };
    let before = all(&nginx);
    nginx.write_conf(base.clone().http("twice_ab_test button blue=60 red=50;"));
    nginx.reload();
    let after = all(&nginx);
    let moved: Vec<_> = before.iter().zip(&after).filter(|(was, is)| was != is).collect();
    // A half becomes six elevenths: one in 22 moves, and to blue.
    assert!(moved.iter().all(|(_, is)| *is == "blue"), "{moved:?}");
    assert!((5..50).contains(&moved.len()), "{} of 500", moved.len());
    // Nobody is left of a value that is switched off.
    nginx.write_conf(base.http("twice_ab_test button blue=60 red=0;"));
    nginx.reload();
    assert!(all(&nginx).iter().all(|value| value == "blue"));
}

#[test]
fn the_application_is_told_on_every_way() {
    let origin = Origin::start();
    origin.on("/*", Answer::page(PAGE));
    let nginx = tested(&origin)
        .http("twice_bypass $arg_bypass;")
        .location(
            "/named/",
            format!("twice pages; twice_headers ab_value=X-Tests; proxy_pass {};", origin.url()),
        )
        .start();
    type How = fn(Request) -> Request;
    let asks: [(&str, How); 5] = [
        ("/get", |request| request),
        ("/post", |request| request.body("b")),
        ("/put", |request| request.method("PUT").body("b")),
        ("/head", Request::head),
        ("/bypass?bypass=1", |request| request),
    ];
    for (path, how) in asks {
        let answer = how(known(nginx.get(path), "ann").header("X-ABValue", "button:green")).send();
        let seen: Vec<&str> = answer.header("X-Values").unwrap().split(' ').collect();
        let told = origin.last(path.split('?').next().unwrap());
        let lines: Vec<_> =
            told.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-abvalue")).collect();
        assert_eq!(lines.len(), 1, "{path}: {lines:?}");
        // All tests, in the order of the configuration.
        assert_eq!(lines[0].1, format!("button:{},Shade-8:{}", seen[0], seen[1]), "{path}");
        assert_eq!(given(&answer), None, "{path}");
    }
    known(nginx.get("/named/x"), "ann").send();
    let told = origin.last("/named/x");
    assert!(told.header("X-Tests").is_some() && told.header("X-ABValue").is_none());
}

#[test]
fn a_test_that_is_not_there_prints_the_default() {
    let origin = Origin::start();
    origin.on(
        "/",
        Answer::page(
            "[<& get abvalue nosuch &>][<& get abvalue BUTTON none &>][<& if abvalue button 1 2 &>]",
        ),
    );
    let nginx = tested(&origin).start();
    for cache in ["MISS", "HIT"] {
        known(nginx.get("/"), "ann").send().assert(200, cache, "[][none][1]");
    }
}

#[test]
fn without_tests_no_cookie_is_set() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get abvalue button none &>"));
    let nginx = Nginx::twice()
        .http("twice_ab_cookie uniq;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .start();
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/").send();
        page.assert(200, cache, "none");
        assert_eq!(page.header("Set-Cookie"), None);
    }
    assert_eq!(origin.last("/").header("X-ABValue"), None);
}
