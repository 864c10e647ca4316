//! Parts of stored pages: single ones and several, of plain and of filled pages, under a condition.

use fixture::{Answer, Request, Response};

use crate::validation::stored;

const ETAG: &str = "\"a\"";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn plain(body: &str) -> Answer {
    Answer::page(body).header("ETag", ETAG).header("Last-Modified", MODIFIED)
}

/// The parts of a multipart answer: place and bytes.
fn parts(answer: &Response) -> Vec<(String, String)> {
    let kind = answer.header("Content-Type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect(kind);
    let text = answer.text();
    assert_eq!(answer.header("Content-Length"), Some(text.len().to_string().as_str()));
    assert!(text.ends_with(&format!("\r\n--{boundary}--\r\n")), "{text}");
    let between = format!("\r\n--{boundary}");
    let bodies = text.split(&between).filter(|part| part.contains("\r\n\r\n"));
    bodies
        .map(|part| {
            let (head, body) = part.split_once("\r\n\r\n").unwrap();
            let place = head.split("Content-Range: bytes ").nth(1).unwrap();
            assert!(head.contains("Content-Type: text/html"), "{head}");
            (place.to_owned(), body.to_owned())
        })
        .collect()
}

fn place(first: usize, last: usize, len: usize) -> String {
    format!("{first}-{last}/{len}")
}

#[test]
fn several_parts_of_a_page() {
    let (origin, nginx) = stored("", plain("0123456789"));
    let answer = nginx.get("/").range("0-1,5-6,-1").send();
    assert_eq!((answer.status, answer.cache()), (206, "HIT"));
    let expected = [(0, 1, "01"), (5, 6, "56"), (9, 9, "9")];
    assert_eq!(parts(&answer), expected.map(|(first, last, text)| (place(first, last, 10), text.to_owned())));
    assert_eq!(answer.header("ETag"), Some(ETAG));
    // RFC 9110 14.2: a HEAD has no parts, and none that are outside.
    for range in ["0-1", "0-1,5-6", "50-60"] {
        let head = nginx.get("/").range(range).head().send();
        assert_eq!((head.status, head.cache(), head.header("Content-Range")), (200, "HIT", None), "{range}");
        assert_eq!(
            (head.header("Content-Length"), head.header("Accept-Ranges")),
            (Some("10"), Some("bytes"))
        );
    }
    // One of them that is outside is left out (RFC 9110 15.3.7.2); together too much is the whole page.
    nginx.get("/").range("0-1,50-60").send().assert(206, "HIT", "01");
    nginx.get("/").range("0-9,0-9").send().assert(200, "HIT", "0123456789");
    assert_eq!(nginx.get("/").range("10-,20-30").send().status, 416);
    assert_eq!(origin.count("/"), 1);
}

#[test]
fn what_a_whole_page_says_of_its_place_stays_out_of_its_parts() {
    // RFC 9110 14.4: it means nothing beside a 200, and beside a part of ours it would be a lie.
    let (_origin, nginx) = stored("", plain("0123456789").header("Content-Range", "bytes 0-9/100"));
    assert_eq!(nginx.get("/").send().all("Content-Range"), ["bytes 0-9/100"]);
    let part = nginx.get("/").range("2-4").send();
    part.assert(206, "HIT", "234");
    assert_eq!(part.all("Content-Range"), ["bytes 2-4/10"]);
}

#[test]
fn several_parts_of_a_large_page() {
    let text: String = (0..40_000).map(|n| format!("{n:05} ")).collect();
    let tagged = format!("{text}<& get cookie name Guest &>{text}");
    for (page, whole) in
        [(plain(&text), text.clone()), (plain(&tagged), tagged.replace("<& get cookie name Guest &>", "Ann"))]
    {
        let (_origin, nginx) = stored("", page);
        let answer = nginx.get("/").cookie("name=Ann").range("0-9,120000-120005,-12").send();
        assert_eq!((answer.status, answer.cache()), (206, "HIT"));
        let len = whole.len();
        let expected = [(0, 9), (120_000, 120_005), (len - 12, len - 1)];
        let expected =
            expected.map(|(first, last)| (place(first, last, len), whole[first..=last].to_owned()));
        assert_eq!(parts(&answer), expected);
        // One range is cut out of it where it lies.
        nginx.get("/").cookie("name=Ann").range("-6").send().assert(206, "HIT", &whole[len - 6..]);
    }
}

#[test]
fn a_part_is_of_what_the_client_has() {
    for body in ["0123456789", "01234<& get cookie name 56789 &>"] {
        let (_origin, nginx) = stored("", plain(body));
        let whole = nginx.get("/").send();
        assert_eq!((whole.text().as_str(), whole.header("Accept-Ranges")), ("0123456789", Some("bytes")));
        let tag = whole.header("ETag").unwrap();
        let ask =
            |request: Request, condition: &str| request.range("2-4").header("If-Range", condition).send();
        ask(nginx.get("/"), tag).assert(206, "HIT", "234");
        for condition in ["\"b\"", &format!("W/{tag}"), "", "*", "Sun, 06 Nov 1994 08:49:38 GMT"] {
            let page = ask(nginx.get("/"), condition);
            page.assert(200, "HIT", "0123456789");
            assert_eq!(page.all("Accept-Ranges"), ["bytes"], "{condition}");
        }
        let dated = ask(nginx.get("/"), MODIFIED);
        assert_eq!(dated.status, if tag == ETAG { 206 } else { 200 }, "a filled page has no date");
        let several = nginx.get("/").range("0-1,5-6").header("If-Range", tag).send();
        assert_eq!(parts(&several).len(), 2);
        nginx.get("/").range("0-1,5-6").header("If-Range", "\"b\"").send().assert(200, "HIT", "0123456789");
    }
    // A weak tag names no bytes, nor does a date that was not over when the page was made. nginx's filter would take them.
    let (weak, late) = ("W/\"a\"", "Sun, 06 Nov 2044 08:49:37 GMT");
    let page = Answer::page("0123456789").header("ETag", weak).header("Last-Modified", late);
    let (_origin, nginx) = stored("", page);
    for condition in [weak, late] {
        nginx.get("/").range("2-4").header("If-Range", condition).send().assert(200, "HIT", "0123456789");
    }
    // Another visitor's part is none of his.
    let (_origin, nginx) = stored("", plain("Hello <& get cookie name Guest &>!"));
    let tag = nginx.get("/").cookie("name=Ann").send().header("ETag").unwrap().to_owned();
    let part = |name: &str| {
        nginx.get("/").cookie(&format!("name={name}")).range("6-8").header("If-Range", &tag).send()
    };
    part("Ann").assert(206, "HIT", "Ann");
    part("Bob").assert(200, "HIT", "Hello Bob!");
}

/// CVE-2011-3192 and CVE-2017-7529.
#[test]
fn floods_and_overflows_do_no_harm() {
    for body in ["0123456789", "01234<& get cookie name 56789 &>"] {
        let (_origin, nginx) = stored("", plain(body));
        let flood = vec!["0-"; 1000].join(",");
        nginx.get("/").range(&flood).send().assert(200, "HIT", "0123456789");
        let steps: Vec<_> = (0..1000).map(|n| format!("5-{n}")).collect();
        nginx.get("/").range(&steps.join(",")).send().assert(200, "HIT", "0123456789");
        let negative = nginx.get("/").range("-17,-9223372036854775790").send();
        assert_eq!((negative.status, negative.text().as_str()), (200, "0123456789"));
        for range in ["-9223372036854775809", "9223372036854775808-", "--1", "5-2,x", "-", "10-11"] {
            let answer = nginx.get("/").range(range).send();
            assert_eq!((answer.status, answer.cache()), (416, "HIT"), "{range}");
            assert_eq!(answer.header("Content-Range"), Some("bytes */10"), "{range}");
            assert!(!answer.text().contains("01234"), "{range}");
        }
        // A suffix of no bytes (RFC 9110 14.1.2), and units that nobody knows.
        assert_ne!(nginx.get("/").range("-0").send().status, 206);
        nginx.get("/").header("Range", "lines=1-2").send().assert(200, "HIT", "0123456789");
    }
}

#[test]
fn ranges_are_nginxs_to_forbid() {
    let (_origin, nginx) = stored("max_ranges 0;", plain("0123456789"));
    let page = nginx.get("/").range("0-1").send();
    page.assert(200, "HIT", "0123456789");
    let (_origin, nginx) = stored("max_ranges 1;", plain("0123456789"));
    nginx.get("/").range("0-1").send().assert(206, "HIT", "01");
    nginx.get("/").range("0-1,3-4").send().assert(200, "HIT", "0123456789");
}

#[test]
fn a_compressed_page_has_no_parts() {
    let text = "page ".repeat(100);
    let (_origin, nginx) = stored("gzip on; gzip_min_length 1;", plain(&text));
    let page = nginx.get("/").compressed().range("0-1").send();
    assert_eq!(
        (page.status, page.header("Content-Encoding"), page.header("Accept-Ranges")),
        (200, Some("gzip"), None)
    );
    let page = nginx.get("/").compressed().range("0-1").header("If-Range", "\"b\"").send();
    assert_eq!(
        (page.status, page.header("Content-Encoding"), page.header("Accept-Ranges")),
        (200, Some("gzip"), None)
    );
}

/// curl goes on where it was cut off.
#[test]
fn curl_resumes_a_download() {
    let text: String = (0..30_000).map(|n| format!("{n} ")).collect();
    let (_origin, nginx) = stored("", plain(&text));
    let rest = nginx.get("/").arg("-C").arg("100000").send();
    assert_eq!((rest.status, rest.text().as_str()), (206, &text[100_000..]));
}
