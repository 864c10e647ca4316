//! Answers before the answer (1xx), and statuses that nobody knows.

use fixture::{Answer, Origin};

use super::{cached, stored};

/// What an interim answer is to nginx differs: some versions take the first head for the answer. It is never stored, and
/// disturbs no page that comes later.
#[test]
fn an_interim_answer_is_never_a_page() {
    let origin = Origin::start();
    let nginx = cached(&origin, "twice_valid any 100s; twice_statuses any;").start();
    let page = "HTTP/1.1 200 OK\r\nCache-Control: max-age=1000\r\nContent-Length: 4\r\n\r\npage";
    let interims = [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nCache-Control: max-age=500\r\n\r\n",
        "HTTP/1.1 199 Whatever\r\nSet-Cookie: a=b\r\n\r\n",
    ];
    for (n, interim) in interims.iter().enumerate() {
        let path = format!("/{n}");
        origin.on(&path, Answer::raw(format!("{interim}{page}")));
        nginx.get(&path).try_send();
        let again = nginx.get(&path).try_send();
        if again.cache() == "HIT" {
            // This nginx has waited for the answer.
            assert_eq!((again.status, again.text().as_str()), (200, "page"), "{again:?}");
            assert_eq!(
                (again.header("Link"), again.header("X-Ttl").map(str::len)),
                (None, Some(3)),
                "{again:?}"
            );
        } else {
            assert_eq!(origin.count(&path), 2, "{again:?}");
        }
        // An origin that behaves is cached as ever.
        let path = format!("/{n}?good");
        origin.on(&path, Answer::html("x").header("Cache-Control", "max-age=1000"));
        origin.on(&format!("/{n}"), Answer::html("x").header("Cache-Control", "max-age=1000"));
        stored(&nginx, &path, 1000);
    }
    nginx.allow_log("upstream sent");
}
