//! The visitor's country and address: told to the application and the client, and believed of those who may say it.

use fixture::{Answer, Nginx, Origin, Setup};

fn with(origin: &Origin, lines: &str) -> Setup {
    Nginx::twice().location("/", format!("twice pages; {lines} proxy_pass {};", origin.url()))
}

#[test]
fn the_country_goes_to_the_application_and_back() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("<& get geo ip nowhere &>"));
    let nginx = with(&origin, "twice_geo $http_x_country;").http2().start();
    let miss = nginx.get("/").header("X-Country", "NZ").header("X-Geo", "XX").send();
    miss.assert(200, "MISS", "NZ");
    assert_eq!((miss.all("X-Geo"), origin.last("/").header("X-Geo")), (vec!["NZ"], Some("NZ")));
    for country in ["DE", "NZ"] {
        let hit = nginx.get("/").header("X-Country", country).send();
        hit.assert(200, "HIT", country);
        assert_eq!(hit.all("X-Geo"), [country]);
        assert_eq!(nginx.get_h2("/").header("X-Country", country).send().all("X-Geo"), [country]);
    }
    let hit = nginx.get("/").send();
    hit.assert(200, "HIT", "nowhere");
    assert_eq!(hit.header("X-Geo"), None);
    // What passes through goes the same way.
    let post = nginx.get("/post").header("X-Country", "FR").header("X-Geo", "XX").body("b").send();
    assert_eq!((post.all("X-Geo"), origin.last("/post").header("X-Geo")), (vec!["FR"], Some("FR")));
    nginx.get("/none").header("X-Geo", "XX").send();
    assert_eq!(origin.last("/none").header("X-Geo"), None);
}

#[test]
fn what_is_no_country_goes_nowhere() {
    let origin = Origin::start();
    origin.on("/*", Answer::page("x"));
    let nginx = with(&origin, "twice_geo $arg_c; twice_key $uri;").start();
    let long = "x".repeat(65);
    for (n, bad) in ["", "a,b", "a:b", "\"a\"", "a%20b", long.as_str()].into_iter().enumerate() {
        let path = format!("/{n}?c={bad}");
        for cache in ["MISS", "HIT"] {
            let page = nginx.get(&path).send();
            page.assert_cache(cache);
            assert_eq!(page.header("X-Geo"), None, "{bad}");
        }
        assert_eq!(origin.last(&format!("/{n}")).header("X-Geo"), None, "{bad}");
    }
}

#[test]
fn no_visitor_sees_another_ones_country() {
    let origin = Origin::start();
    // An application that says what it was told.
    origin.handle("/*", |request| {
        let country = request.header("X-Geo").unwrap_or("none").to_owned();
        Answer::page("x").header("X-Geo", country)
    });
    let nginx = with(&origin, "twice_geo $http_x_country;").start();
    assert_eq!(nginx.get("/").header("X-Country", "NZ").send().all("X-Geo"), ["NZ"]);
    assert_eq!(nginx.get("/").header("X-Country", "DE").warm().all("X-Geo"), ["DE"]);
    assert_eq!(nginx.get("/").warm().header("X-Geo"), None);
}

#[test]
fn its_header_may_have_another_name() {
    let origin = Origin::start();
    origin.on("/", Answer::page("x"));
    let nginx = with(&origin, "twice_geo NZ; twice_headers geo=X-Land;").start();
    for cache in ["MISS", "HIT"] {
        let page = nginx.get("/").header("X-Land", "XX").send();
        page.assert_cache(cache);
        assert_eq!((page.all("X-Land"), page.header("X-Geo")), (vec!["NZ"], None));
    }
    assert_eq!(origin.last("/").header("X-Land"), Some("NZ"));
}

#[test]
fn an_address_is_believed_of_configured_proxies_alone() {
    let geo = "geo $country { default ZZ; 192.0.2.0/24 NZ; 198.51.100.0/24 DE; }";
    let origin = Origin::start();
    origin.on("/*", Answer::page("<& get ip current &> <& get geo ip &>"));
    let realip = "real_ip_header X-Forwarded-For; real_ip_recursive on;";
    for (trusted, seen) in [("127.0.0.0/8", "198.51.100.7 DE"), ("10.0.0.0/8", "127.0.0.1 ZZ")] {
        let nginx = with(&origin, "twice_geo $country;")
            .http(geo)
            .http(format!("set_real_ip_from {trusted}; {realip}"))
            .start();
        for cache in ["MISS", "HIT"] {
            // The last address that no trusted proxy has; those before it anybody may write.
            let page = nginx.get("/").header("X-Forwarded-For", "192.0.2.1, 198.51.100.7").send();
            page.assert(200, cache, seen);
            assert_eq!(page.header("X-Geo"), seen.split(' ').nth(1));
        }
        let plain =
            nginx.get("/").header("X-Real-IP", "192.0.2.1").header("True-Client-IP", "192.0.2.1").send();
        plain.assert(200, "HIT", "127.0.0.1 ZZ");
    }
}
