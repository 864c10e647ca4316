//! Values from real memcached servers: they are there, they come together, they change, and servers go and come back.

use fixture::{Answer, Memcached, Nginx, Origin, Setup};

/// Pages whose tags ask memcached servers, which have their values by `options`.
fn pages(origin: &Origin, servers: &[Memcached], options: &str) -> Setup {
    let list: String = servers.iter().map(|server| format!("server {}; ", server.address())).collect();
    Nginx::twice()
        .http(format!("upstream counters {{ {list} }}"))
        .http(format!("twice_source memcache memcached counters {options};"))
        .server("twice pages; twice_key $uri;")
        .location("/", format!("proxy_pass {};", origin.url()))
}

#[test]
fn a_page_prints_what_the_servers_hold() {
    let origin = Origin::start();
    let servers = Memcached::start_many(3);
    let nginx = pages(&origin, &servers, "timeout=5s").start();
    for server in &servers {
        for key in 0..40 {
            server.set(&format!("k{key}"), &format!("<{key}>"));
        }
    }
    let tags: String = (0..40).map(|key| format!("<& get memcache k{key} &> ")).collect();
    let expected: String = (0..40).map(|key| format!("&lt;{key}&gt; ")).collect();
    origin.on("/p", Answer::page(tags + "<& get memcache none missing &>"));
    assert_eq!(nginx.get("/p").send().text(), expected.clone() + "missing");
    assert_eq!(nginx.get("/p").warm().text(), expected + "missing");
    nginx.finish();
}
