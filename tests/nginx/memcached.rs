//! Values from memcached servers: they are there, they come together, they change, and servers go and come back.

pub(crate) mod lies;
mod workers;

use std::time::Duration;

use fixture::{Answer, Memcached, Nginx, Nutcracker, Origin, Pool, Setup, patiently, until};

/// Pages whose tags ask these servers; `options` are the source's.
pub(crate) fn pages<'a>(origin: &Origin, servers: impl IntoIterator<Item = &'a str>, options: &str) -> Setup {
    let servers: String = servers.into_iter().map(|server| format!("server {server}; ")).collect();
    Nginx::twice()
        .http(format!("upstream counters {{ {servers} }}"))
        .http(format!("twice_source memcache memcached counters {options};"))
        .server("twice pages; twice_key $uri;")
        .location("/", format!("proxy_pass {};", origin.url()))
}

/// For servers that fail.
pub(crate) fn short(more: &str) -> String {
    let timeout = patiently(Duration::from_millis(300)).as_millis();
    format!("ttl=0 timeout={timeout}ms server_failure_limit=1 server_retry_timeout=50ms {more}")
}

/// Until every worker prints this.
#[track_caller]
pub(crate) fn until_all_print(nginx: &Nginx, path: &str, text: &str) {
    let mut workers = nginx.workers();
    until(&format!("all workers print {text:?}"), || {
        let response = nginx.get(path).send();
        let worker = response.header("X-Worker").and_then(|pid| pid.parse::<u32>().ok());
        if response.text() == text {
            workers.retain(|pid| Some(*pid) != worker);
        }
        workers.is_empty()
    });
}

fn of(servers: &[Memcached]) -> Vec<String> {
    servers.iter().map(Memcached::address).collect()
}

/// The same over real servers, whose values are asked for on each page.
fn asked_anew(origin: &Origin, servers: &[Memcached]) -> Setup {
    pages(origin, of(servers).iter().map(String::as_str), "ttl=0 timeout=10s")
}

#[test]
fn a_page_prints_what_the_servers_hold() {
    let origin = Origin::start();
    let servers = Memcached::start_many(3);
    let nginx = asked_anew(&origin, &servers).start();
    for server in &servers {
        for key in 0..100 {
            server.set(&format!("{key}-of-it"), &format!("<{key}>"));
        }
    }
    let tags: String = (0..100).map(|key| format!("<& get memcache {key}-of-it &> ")).collect();
    let expected: String = (0..100).map(|key| format!("&lt;{key}&gt; ")).collect();
    origin.on("/p", Answer::page(tags + "<& get memcache none missing &>"));
    assert_eq!(
        nginx.get("/p").send().text(),
        expected.clone() + "missing",
        "the visitor who caused the fetch"
    );
    assert_eq!(nginx.get("/p").warm().text(), expected + "missing");
    // Each server has its keys and no others.
    let asked: Vec<u64> = servers.iter().map(|server| server.figure("cmd_get")).collect();
    assert!(asked.iter().all(|count| *count > 0), "{asked:?}");
    nginx.finish();
}

#[test]
fn a_value_is_printed_as_it_is() {
    let origin = Origin::start();
    let servers = [Memcached::on_a_socket()];
    let nginx = asked_anew(&origin, &servers).start();
    let large = "x".repeat(900_000);
    for (key, value) in
        [("tag", "<& get cookie a &>"), ("end", "a\r\nEND\r\nb"), ("empty", ""), ("large", &large)]
    {
        servers[0].set(key, value);
        origin.on(&format!("/{key}"), Answer::page(format!("[<& get memcache {key} none | raw &>]")));
        let expected = if value.is_empty() { "none" } else { value };
        let got = nginx.get(&format!("/{key}")).warm();
        assert!(got.text() == format!("[{expected}]"), "{key}: {} bytes", got.text().len());
    }
    // A server leaves spaces behind a number that has lost a digit.
    servers[0].set("n", "10");
    servers[0].client().decrement("n", 1).unwrap();
    assert_eq!(servers[0].get("n").as_deref(), Some("9 "));
    origin.on("/n", Answer::page("[<& get memcache n | raw &>]"));
    assert_eq!(nginx.get("/n").warm().text(), "[9]");
    nginx.finish();
}

#[test]
fn the_values_of_a_page_have_a_bound_however_they_come() {
    let origin = Origin::start();
    let server = Memcached::start();
    let megabyte = "x".repeat(1_000_000);
    for key in 0..6 {
        server.set(&format!("large{key}"), &megabyte);
    }
    let tags: String = (0..6).map(|key| format!("<& if memcache large{key} y n &>")).collect();
    origin.on("/p", Answer::page(tags + "<& get memcache missing &>."));
    for ttl in ["1h", "0s"] {
        // Its own zone: the usual one has no room for so many.
        let nginx = Nginx::bare()
            .http("twice_zone large 64m elements=50%; add_header X-Cache $twice_cache_status always;")
            .http(format!("twice_source memcache memcached {} ttl={ttl} timeout=10s;", server.address()))
            .location("/", format!("twice large; proxy_pass {};", origin.url()))
            .start();
        // Asked for, and remembered if they are.
        nginx.get("/p").send().assert(200, "MISS", "yyyynn.");
        nginx.get("/p").warm().assert(200, "HIT", "yyyynn.");
        assert_eq!(nginx.get("/p").send().text(), "yyyynn.");
        nginx.finish();
    }
}

#[test]
fn what_pages_change_is_changed() {
    let origin = Origin::start();
    let servers = Memcached::start_many(2);
    let nginx = asked_anew(&origin, &servers).start();
    let value =
        |key: &str| servers.iter().find_map(|server| server.get(key)).map(|value| value.trim().to_owned());
    let on_its_server = |key: &str, text: &str| servers.iter().for_each(|server| server.set(key, text));
    origin.on(
        "/p",
        Answer::page(
            "<& incr memcache views 1 &><& incr memcache new 100 &><& decr memcache left &><& incr memcache word &>\
             <& pop memcache once &>",
        ),
    );
    on_its_server("word", "text");
    on_its_server("once", "shown once");
    assert_eq!(nginx.get("/p").send().text(), "shown once");
    // What is missing everywhere is set.
    until("the first view is counted", || value("views").as_deref() == Some("1"));
    until("it begins where it was told to", || value("new").as_deref() == Some("100"));
    until("nothing is less than none", || value("left").as_deref() == Some("0"));
    until("it is gone from its server", || servers.iter().any(|server| server.get("once").is_none()));
    nginx.get("/p").warm();
    let before = value("views").unwrap().parse::<u64>().unwrap();
    let visitors: Vec<_> = (0..40).map(|_| nginx.get("/p").spawn()).collect();
    visitors.into_iter().for_each(|visitor| assert_eq!(visitor.join().unwrap().status, 200));
    until("every view is counted", || value("views").unwrap().parse::<u64>().unwrap() >= before + 40);
    assert_eq!(value("word").as_deref(), Some("text"), "what is no number stays");
    nginx.allow_log("refused a command: CLIENT_ERROR");
    nginx.finish();
}

#[test]
fn it_also_works_through_a_nutcracker() {
    let origin = Origin::start();
    let servers = Memcached::start_many(2);
    let addresses: Vec<String> =
        servers.iter().map(|server| format!("{}:1", server.nutcracker_address())).collect();
    let proxy = Nutcracker::start(&[Pool::over(&addresses)]);
    let nginx = pages(&origin, [proxy.address(0).as_str()], "ttl=0 timeout=10s").start();
    for server in &servers {
        (0..200).for_each(|key| server.set(&format!("k{key}"), &key.to_string()));
    }
    let tags: String = (0..300).map(|key| format!("<& get memcache k{key} - &> ")).collect();
    let expected: String =
        (0..300).map(|key| if key < 200 { format!("{key} ") } else { "- ".to_owned() }).collect();
    origin.on("/p", Answer::page(tags + "<& incr memcache views 5 &>"));
    assert_eq!(nginx.get("/p").send().text(), expected);
    let views = || servers.iter().find_map(|server| server.get("views"));
    until("a key that was not there is set through the proxy, too", || views().as_deref() == Some("5"));
    assert_eq!(nginx.get("/p").warm().text(), expected);
    nginx.finish();
}

#[test]
fn a_server_that_dies_comes_back_by_itself() {
    let origin = Origin::start();
    let mut server = Memcached::start();
    let nginx = pages(&origin, [server.address().as_str()], &short("")).start();
    nginx.allow_log("memcached server");
    nginx.allow_log("connect() ");
    server.set("k", "there");
    origin.on("/p", Answer::page("<& get memcache k gone &>"));
    until_all_print(&nginx, "/p", "there");
    server.kill();
    until("its pages print their defaults", || nginx.get("/p").send().text() == "gone");
    server.restart();
    server.set("k", "back");
    until("it is asked again", || nginx.get("/p").send().text() == "back");
    server.freeze();
    until("a server that is frozen is as good as none", || nginx.get("/p").send().text() == "gone");
    server.thaw();
    until("it goes on where it was", || nginx.get("/p").send().text() == "back");
    nginx.finish();
}

#[test]
fn nginx_starts_without_its_servers() {
    let origin = Origin::start();
    let mut server = Memcached::start();
    server.kill();
    let nginx = pages(&origin, [server.address().as_str()], &short("preconnect")).start();
    nginx.allow_log("memcached server");
    nginx.allow_log("connect() ");
    origin.on("/p", Answer::page("<& get memcache k none &>"));
    assert_eq!(nginx.get("/p").send().text(), "none");
    server.restart();
    server.set("k", "there");
    until("it is asked", || nginx.get("/p").send().text() == "there");
    nginx.finish();
}
