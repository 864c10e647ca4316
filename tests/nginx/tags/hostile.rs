//! Templates that no sane author writes: the page passes, the worker lives, and memory stays within bounds.

use fixture::{Answer, Nginx, Origin, Setup, process};

/// What a worker may have used at its worst, in KB: nginx, the module, the zone, and some copies of a page.
const BOUND: usize = 160 << 10;

fn large(origin: &Origin) -> Setup {
    Nginx::bare()
        .http("twice_zone large 64m max_object=8m; add_header X-Cache $twice_cache_status;")
        .server("proxy_max_temp_file_size 0; large_client_header_buffers 8 256k;")
        .location("/", format!("twice large; twice_key $uri; proxy_pass {};", origin.url()))
}

/// As the visitor sees it, fetched and stored.
#[track_caller]
fn sees(nginx: &Nginx, path: &str, cookie: &str, page: &str) {
    let workers = nginx.workers();
    for cache in ["MISS", "HIT", "HIT"] {
        let answer = nginx.get(path).cookie(cookie).send();
        answer.assert_cache(cache);
        assert!(answer.text() == page, "{path} {cache}: {} bytes, not {}", answer.body.len(), page.len());
    }
    assert_eq!(nginx.workers(), workers);
    for pid in workers {
        if let Some(peak) = process::peak_memory(pid) {
            assert!(peak < BOUND, "{path}: the worker used {peak} KB");
        }
    }
}

#[test]
fn a_name_of_a_megabyte_is_text() {
    let origin = Origin::start();
    let tag = format!("<& get cookie {} &>", "n".repeat(1 << 20));
    origin.on("/", Answer::page(format!("{tag}\n<& get cookie name &>")));
    origin.on("/key", Answer::page(format!("<& get cookie {} x &>", "n".repeat(1025))));
    let nginx = large(&origin).start();
    sees(&nginx, "/", "name=Ann", &format!("{tag}\nAnn"));
    nginx.expect_log("bad tag in page \"/\": tag too long at line 1 in \"<& get cookie nnn");
    sees(&nginx, "/key", "name=Ann", &format!("<& get cookie {} x &>", "n".repeat(1025)));
    nginx.expect_log("bad tag in page \"/key\": key too long at line 1");
    assert!(nginx.log().lines().all(|line| line.len() < 1000));
}

#[test]
fn a_hundred_thousand_tags_are_filled() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get cookie name &>,".repeat(100_000)));
    origin.on("/blocks", Answer::page("<& if cookie name &>x<& else &>y<& end &>".repeat(100_000)));
    let nginx = large(&origin).start();
    sees(&nginx, "/", "name=Ann", &"Ann,".repeat(100_000));
    sees(&nginx, "/blocks", "name=Ann", &"x".repeat(100_000));
    nginx.get("/blocks").send().assert(200, "HIT", &"y".repeat(100_000));
}

#[test]
fn a_hundred_thousand_tags_in_a_page_too_large_to_be_stored_are_filled() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get cookie name &>0123456789,".repeat(100_000)).chunked());
    let nginx = Nginx::twice()
        .location(
            "/",
            format!(
                "twice pages; proxy_http_version 1.1; proxy_max_temp_file_size 0; proxy_pass {};",
                origin.url()
            ),
        )
        .start();
    for _ in 0..2 {
        let answer = nginx.get("/").cookie("name=Ann").send();
        assert!(answer.text() == "Ann0123456789,".repeat(100_000), "{} bytes", answer.body.len());
        answer.assert_cache("MISS");
    }
}

#[test]
fn a_hundred_thousand_different_values_are_too_many() {
    let origin = Origin::start();
    let tag = |n: usize| format!("<& get cookie n{n} - &>");
    origin.on("/", Answer::page((0..100_000).map(tag).collect::<String>()));
    let nginx = large(&origin).start();
    let page: String = (0..100_000)
        .map(|n| {
            if n == 7 {
                "Ann".to_owned()
            } else if n < 4096 {
                "-".to_owned()
            } else {
                tag(n)
            }
        })
        .collect();
    sees(&nginx, "/", "n7=Ann; n5000=Bob", &page);
    nginx.expect_log("too many different values at line 1");
    nginx.expect_log("more bad tags in page \"/\"");
    assert!(nginx.log_count("bad tag") < 100);
}

#[test]
fn values_stop_where_a_page_would_grow_without_end() {
    let origin = Origin::start();
    origin.on("/", Answer::page("<& get cookie name &>,".repeat(100_000)));
    let nginx = large(&origin).start();
    let value = "v".repeat(4096);
    // 4 MB of values, then none.
    let page = format!("{value},").repeat(1024) + &",".repeat(100_000 - 1024);
    sees(&nginx, "/", &format!("name={value}"), &page);
    nginx.expect_log("the values of a page exceed 4194304 bytes");
}

#[test]
fn openers_without_end_are_text() {
    let origin = Origin::start();
    let pages = [
        ("/openers", "<&".repeat(300_000)),
        ("/closers", "&>".repeat(300_000)),
        ("/angles", "<".repeat(600_000)),
        ("/long", format!("<& get cookie name {}", "x".repeat(600_000))),
        ("/lines", "<& get cookie name\n".repeat(30_000)),
        ("/quotes", format!("<& get cookie name '{}' &>", "x".repeat(600_000))),
        ("/nul", "\0<\0&\0".repeat(100_000)),
    ];
    let nginx = large(&origin).start();
    for (path, page) in &pages {
        origin.on(path, Answer::page(page.clone()));
        sees(&nginx, path, "name=Ann", page);
    }
    nginx.expect_log("unterminated tag");
    nginx.expect_log("tag too long");
    nginx.expect_log("more bad tags in page");
}

#[test]
fn blocks_nested_without_end_are_text_from_the_seventeenth_on() {
    let origin = Origin::start();
    let (open, close) = ("<& if cookie name &>", "<& end &>");
    let template = open.repeat(50_000) + "in" + &close.repeat(50_000);
    origin.on("/", Answer::page(template));
    origin.on("/open", Answer::page(open.repeat(50_000)));
    origin.on("/close", Answer::page(close.repeat(50_000)));
    let nginx = large(&origin).start();
    let (more, less) = (open.repeat(50_000 - 16), close.repeat(50_000 - 16));
    sees(&nginx, "/", "name=Ann", &format!("{more}in{less}"));
    nginx.get("/").send().assert(200, "HIT", "");
    sees(&nginx, "/open", "name=Ann", &more);
    sees(&nginx, "/close", "name=Ann", &close.repeat(50_000));
    nginx.expect_log("blocks nested too deep");
    nginx.expect_log("end without block");
    nginx.expect_log("more bad tags");
}

#[test]
fn an_expression_sees_no_page_larger_than_it_may_hold() {
    let origin = Origin::start();
    let tags = "<& get cookie name &>,".repeat(10_000);
    origin.on("/fits", Answer::page(tags.clone()));
    origin.on("/over", Answer::page(tags.repeat(6)).chunked());
    origin.on("/slow", Answer::page("<&".repeat(100_000)));
    let nginx = Nginx::twice()
        .server("proxy_http_version 1.1; proxy_max_temp_file_size 0; twice_delimiters \"~<&(.*?)&>\";")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .start();
    sees(&nginx, "/fits", "name=Ann", &"Ann,".repeat(10_000));
    let over = nginx.get("/over").cookie("name=Ann").send();
    assert!(over.text() == tags.repeat(6), "{} bytes", over.body.len());
    nginx.expect_log("page too long for a regular expression");
    sees(&nginx, "/slow", "name=Ann", &"<&".repeat(100_000));
}
