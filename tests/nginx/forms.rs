//! The forms of docs/security.md that only a site's own pages can send: a token of the visitor's session in a page that is stored
//! for everybody.

use fixture::docs::examples;
use fixture::{Answer, Nginx, Origin};

/// The application: sessions with a token each, and what it does with a form.
fn application(origin: &Origin) {
    let token = |session: Option<String>| match session.as_deref() {
        Some("ann") => Some("ann's <token>"),
        Some("bob") => Some("bob's token"),
        _ => None,
    };
    origin.handle("/_session", move |request| match token(request.cookie("persistent").map(Into::into)) {
        Some(token) => Answer::ok(format!(r#"{{"login":"x","csrf":"{token}"}}"#))
            .header("Content-Type", "application/json"),
        None => Answer::new(404, ""),
    });
    origin.handle("/transfer", move |request| {
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        let told = token(request.cookie("persistent").map(Into::into));
        let right = told.is_some_and(|token| sent == format!("csrf={token}"));
        if right { Answer::ok("sent") } else { Answer::new(403, "refused") }
    });
    let form = examples("Forms that only your own pages can send", "html").concat();
    origin.on("/", Answer::page(form));
}

#[test]
fn a_form_has_its_visitors_token() {
    let origin = Origin::start();
    application(&origin);
    let nginx = Nginx::twice()
        .http("twice_source session http /_session key=$cookie_persistent ttl=10m timeout=10s;")
        .location("/", format!("twice pages; proxy_pass {};", origin.url()))
        .location("= /_session", format!("internal; proxy_pass {};", origin.url()))
        .start();
    let token = |cookie: &str| {
        let text = nginx.get("/").cookie(cookie).send().text();
        let (_, rest) = text.split_once("name=\"csrf\" value=\"").expect("the form has its field");
        let value = rest.split_once('"').expect("the field ends").0.to_owned();
        assert!(text.contains(&format!("name=\"csrf-token\" content=\"{value}\"")), "{text}");
        value
    };
    let send = |cookie: &str, token: &str| {
        nginx.get("/transfer").method("POST").cookie(cookie).body(format!("csrf={token}")).send().status
    };
    let as_html = |text: &str| text.replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;");
    for _ in 0..2 {
        assert_eq!(token("persistent=ann"), as_html("ann's <token>"));
        assert_eq!(token("persistent=bob"), as_html("bob's token"));
        assert_eq!(token("persistent=nobody"), "");
        assert_eq!(token("x=y"), "");
    }
    assert_eq!(origin.count("/"), 1);
    // Each visitor's own one is right, and nothing else.
    assert_eq!(send("persistent=ann", "ann's <token>"), 200);
    assert_eq!(send("persistent=bob", "bob's token"), 200);
    for (cookie, token) in
        [("persistent=bob", "ann's <token>"), ("persistent=bob", ""), ("x=y", ""), ("persistent=nobody", "")]
    {
        assert_eq!(send(cookie, token), 403, "{cookie} {token}");
    }
}
