//! Answers before the answer (1xx).

use fixture::{Answer, Origin};

use super::{cached, stored};

/// nginx takes the first head that an origin sends for its answer, and what follows for its body. That is no page, whatever
/// its headers say, and disturbs none that comes later.
#[test]
fn an_interim_answer_is_never_a_page() {
    let origin = Origin::start();
    let nginx = cached(&origin, "twice_valid any 100s; twice_statuses any; keepalive_timeout 0;").start();
    let page = "HTTP/1.1 200 OK\r\nCache-Control: max-age=1000\r\nContent-Length: 4\r\n\r\npage";
    let interims = [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Twice-Control: max-age=500\r\n\r\n",
        "HTTP/1.1 199 Whatever\r\nCache-Control: max-age=500\r\nSet-Cookie: a=b\r\n\r\n",
    ];
    for (n, interim) in interims.iter().enumerate() {
        let path = format!("/{n}");
        origin.on(&path, Answer::raw(format!("{interim}{page}")));
        for count in 1..=2 {
            let mut visitor = nginx.raw();
            visitor.get(&path);
            let head = visitor.response_head();
            assert_eq!((head.cache(), head.reason()), ("MISS", "status"), "{head:?}");
            assert_eq!(origin.count(&path), count);
            // All of the origin's bytes, as without Twice.
            assert!(String::from_utf8_lossy(&visitor.rest()).ends_with(page));
        }
        origin.on(&path, Answer::html("x").header("Cache-Control", "max-age=1000"));
        stored(&nginx, &path, 1000);
    }
}
