//! The status endpoint: figures of zones.

use fixture::{Answer, Nginx, Origin, until};

#[test]
fn figures_follow_what_happens() {
    let origin = Origin::start();
    origin.on("/a", Answer::page("x"));
    origin.on("/never", Answer::html("x"));
    let nginx = Nginx::twice()
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .location("/bypass", format!("twice pages; twice_bypass 1; proxy_pass {}/a;", origin.url()))
        .figures()
        .start();
    nginx.get("/a").send().assert_cache("MISS");
    until("it is stored", || nginx.figure("stored") == 1);
    for _ in 0..5 {
        nginx.get("/a").send().assert_cache("HIT");
    }
    nginx.get("/never").send();
    nginx.get("/bypass").send();
    for (name, expected) in [("hits", 5), ("misses", 2), ("bypassed", 1), ("fetches", 3), ("visitors_24h", 1)]
    {
        assert_eq!(nginx.figure(name), expected, "{name}");
    }
    until("the bypass is stored", || nginx.figure("pages") == 2);
    assert_eq!(nginx.figure("stored"), 2);
}

#[test]
fn figures_stay_over_a_reload() {
    let origin = Origin::start();
    origin.on("/a", Answer::page("x"));
    let nginx =
        Nginx::twice().location("/", format!("twice pages; proxy_pass {};", origin.url())).figures().start();
    nginx.get("/a").warm();
    let hits = nginx.figure("hits");
    nginx.reload();
    nginx.get("/a").send().assert_cache("HIT");
    assert_eq!(nginx.figure("hits"), hits + 1);
}

#[test]
fn visitors_are_counted_by_address() {
    let origin = Origin::start();
    origin.on("/a", Answer::page("x"));
    let nginx = Nginx::twice()
        .http("set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .figures()
        .start();
    for n in 0..100 {
        for _ in 0..2 {
            nginx.get("/a").header("X-Forwarded-For", &format!("10.1.2.{n}")).send();
        }
    }
    // An estimate by a hash with a seed of its own in each zone: two of a hundred and more, one time in some hundred zones.
    let visitors = nginx.figure("visitors_24h");
    assert!((90..=110).contains(&visitors), "{visitors}");
}

#[test]
fn one_zone_or_all_as_json_or_for_prometheus() {
    let origin = Origin::start();
    origin.on("/a", Answer::page("x"));
    let nginx = Nginx::twice()
        .http("twice_zone other 8m;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .location("= /all", "twice_status;")
        .location("= /one", "twice_status other;")
        .start();
    nginx.get("/a").warm();
    let zones = |path: &str| {
        let value: serde_json::Value = serde_json::from_slice(&nginx.get(path).send().body).unwrap();
        value["zones"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(zones("/all"), ["other", "pages"]);
    assert_eq!(zones("/one"), ["other"]);
    let text = nginx.get("/all?format=prometheus").send();
    assert_eq!(text.header("Content-Type"), Some("text/plain; version=0.0.4"));
    assert!(text.text().contains("\ntwice_stored_total{zone=\"pages\"} 1\n"), "{}", text.text());
    assert_eq!(nginx.get("/all").method("POST").body("x").send().status, 405);
    assert_eq!(nginx.get("/all").head().send().status, 200);
}
