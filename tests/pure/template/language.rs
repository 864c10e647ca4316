//! The language, line by line: a page, and what it prints for Ann.

use super::rig::Setup;
use twice_core::template::{Escape, Slots, Target, ngx_key};

/// Ann's request.
pub fn ann(target: &str, key: &[u8]) -> Vec<u8> {
    match (target, key) {
        ("cookie", b"name") => b"Ann".into(),
        ("cookie", b"Name") => b"Capital Ann".into(),
        ("cookie", b"evil") => b"<script>alert('1' & \"2\")</script>".into(),
        ("cookie", b"zero") => b"0".into(),
        ("cookie", b"tag") => b"<& get cookie name &>".into(),
        ("cookie", b"spaces") => b" \t ".into(),
        ("header", b"user-agent") => b"curl/8".into(),
        ("arg", b"q") => b"a b".into(),
        ("arg", b"n") => b"1234567".into(),
        ("var", b"host") => b"example.org".into(),
        ("lang", b"de") => b"1".into(),
        ("geo", b"ip") => b"NL".into(),
        ("ip", b"current") => b"192.0.2.1".into(),
        ("page", b"status") => b"HIT".into(),
        ("page", b"age") => b"12".into(),
        _ => Vec::new(),
    }
}

/// Checks a table, each row whole and cut at every place.
fn table(rows: &[(&str, &str)]) {
    let setup = Setup::default();
    for (page, expected) in rows {
        for cut in 0..=page.len() {
            let printed = setup.check(page.as_bytes(), &[cut], &ann);
            assert_eq!(String::from_utf8_lossy(&printed), *expected, "{page:?} cut at {cut}");
        }
        let everywhere: Vec<usize> = (0..page.len()).collect();
        setup.check(page.as_bytes(), &everywhere, &ann);
    }
}

#[test]
fn text() {
    table(&[
        ("", ""),
        ("plain", "plain"),
        ("a < b & c > d <<& &&>", "a < b & c > d <<& &&>"),
        ("<", "<"),
        ("<&", "<&"),
        ("&>", "&>"),
        ("<&>", "<&>"),
        ("<&&>", "<&&>"),
        ("<&   &>", "<&   &>"),
    ]);
}

#[test]
fn get() {
    table(&[
        ("<& get cookie name &>", "Ann"),
        ("<&get cookie name&>", "Ann"),
        ("<&\tget \x0b cookie\x0c name\r&>", "Ann"),
        ("Hi <& get cookie name &>, <& get cookie name &>!", "Hi Ann, Ann!"),
        ("<& get cookie Name &>", "Capital Ann"),
        ("<& get cookie nobody &>", ""),
        ("<& get cookie nobody guest &>", "guest"),
        ("<& get cookie nobody \"my <b>guest</b>\" &>", "my <b>guest</b>"),
        ("<& get cookie nobody '\"' &>", "\""),
        ("<& get cookie name guest &>", "Ann"),
        ("<& get cookie nobody '' &>", ""),
        ("<& get cookie zero 5 &>", "0"),
        ("<& get cookie evil &>", "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;"),
        ("<& get header User-Agent &>", "curl/8"),
        ("<& get arg q &>", "a b"),
        ("<& get var HOST &>", "example.org"),
        ("<& get lang de &>", "1"),
        ("<& get lang DE &>", "1"),
        ("<& get geo ip &>", "NL"),
        ("<& get ip current &>", "192.0.2.1"),
        ("<& get page status &> <& get page age &>", "HIT 12"),
        ("<& get 'cookie' \"name\" &>", "Ann"),
        ("<& get cookie 'name'guest &>", "Ann"),
        ("<& get cookie no'body guest &>", "guest"),
    ]);
}

#[test]
fn values_are_not_tags() {
    table(&[
        ("<& get cookie tag &>", "&lt;&amp; get cookie name &amp;&gt;"),
        ("<& get cookie tag | raw &>", "<& get cookie name &>"),
        ("<<& get cookie nobody &>& get cookie name &>", "<& get cookie name &>"),
    ]);
}

#[test]
fn scanning() {
    table(&[
        // The leftmost opener counts, a quoted closer ends the tag.
        ("<& get <& get cookie name &>", "<& get <& get cookie name &>"),
        ("<& get cookie nobody '&>' &>", "<& get cookie nobody '&>' &>"),
        // One line.
        ("<& get cookie\nname &>", "<& get cookie\nname &>"),
        ("<& get\n<& get cookie name &>", "<& get\nAnn"),
        ("<& <& \n&> <& get cookie name &>", "<& <& \n&> Ann"),
        ("<& get cookie name &", "<& get cookie name &"),
        ("<&<& get cookie name &>", "<&<& get cookie name &>"),
        ("<&& get cookie name &&>", "<&& get cookie name &&>"),
    ]);
}

#[test]
fn inline_if() {
    table(&[
        ("<& if cookie name yes no &>", "yes"),
        ("<& if cookie nobody yes no &>", "no"),
        ("<& if cookie zero yes no &>", "no"),
        ("<& if cookie nobody yes &>", ""),
        ("<& if cookie name 'Hello you' &>", "Hello you"),
        ("<& if cookie name '' no &>", ""),
        ("<& if cookie nobody '' no &>", "no"),
        ("<& if cookie name '' '' &>", ""),
        ("<& unless cookie name yes no &>", "no"),
        ("<& unless cookie nobody yes no &>", "yes"),
        ("<& unless cookie zero yes &>", "yes"),
        ("<& if cookie name <b> &>", "<b>"),
        ("<& if page status a b &>", "a"),
        ("<& if lang de ja nein &><& if lang en yes no &>", "jano"),
    ]);
}

#[test]
fn blocks() {
    table(&[
        ("<& if cookie name &>in<& end &>out", "inout"),
        ("<& if cookie nobody &>in<& end &>out", "out"),
        ("<& if cookie name &>a<& else &>b<& end &>c", "ac"),
        ("<& if cookie nobody &>a<& else &>b<& end &>c", "bc"),
        ("<& unless cookie name &>a<& else &>b<& end &>c", "bc"),
        ("<& unless cookie nobody &>a<& end &>", "a"),
        ("<& if cookie name &>\n<& get cookie name &>\n<& end &>", "\nAnn\n"),
        ("<& if cookie nobody &><& get cookie name &><& get cookie x default &><& end &>.", "."),
        ("<& if cookie nobody &><& get cookie x dflt | trim | default:y &><& else &>n<& end &>.", "n."),
        (
            "<& if cookie name &>1<& if cookie nobody &>2<& else &>3<& if arg q &>4<& end &><& end &>5<& else &>6<& end &>7",
            "13457",
        ),
        ("<& if cookie nobody &><& if cookie name &>a<& else &>b<& end &><& else &>c<& end &>", "c"),
        ("<& if cookie nobody &><& if cookie name a b &><& end &>c", "c"),
        ("<& if cookie name &>open to the end", "open to the end"),
        ("<& if cookie nobody &>open to the end", ""),
        ("<& if cookie name &><& else &>x<& else &>y<& end &>z", "z"),
        ("<& if cookie nobody &><& else &>x<& else &>y<& end &>z", "x<& else &>yz"),
        ("a<& else &>b<& end &>c", "a<& else &>b<& end &>c"),
        ("<& if cookie name | upper &>x<& end &>", "x"),
        ("<& if memcache x &>a<& else &>b<& end &>", "b"),
        ("<& unless memcache x &>a<& else &>b<& end &>", "a"),
        ("<& if cookie nobody &><& unless memcache x &>a<& end &><& end &>b", "b"),
    ]);
}

#[test]
fn nesting() {
    let page = |depth: usize| {
        let open: String = (0..depth).map(|n| format!("{n}<& if cookie name &>")).collect();
        let close: String = (0..depth).map(|n| format!("<& else &>e<& end &>{n}")).collect();
        (open, close)
    };
    let digits = |count: usize| (0..count).map(|n| n.to_string()).collect::<String>();
    let (open, close) = page(16);
    table(&[(&format!("{open}x{close}"), &format!("{}x{}", digits(16), digits(16)))]);
    // The two innermost of 18 are text, with their else and end.
    let (open, close) = page(18);
    table(&[(
        &format!("{open}x{close}"),
        &format!(
            "{}16<& if cookie name &>17<& if cookie name &>x<& else &>e<& end &>0<& else &>e<& end &>1{}",
            digits(16),
            (2..18).map(|n| n.to_string()).collect::<String>()
        ),
    )]);
}

#[test]
fn filters_and_texts() {
    table(&[
        ("<& get cookie name | upper &>", "ANN"),
        ("<& get cookie name Guest | upper &>", "ANN"),
        ("<& get cookie nobody Guest | upper &>", "GUEST"),
        ("<& get cookie nobody | default:Guest &>", "Guest"),
        ("<& get cookie nobody | default:\"a b\" &>", "a b"),
        ("<& get cookie nobody | default:'a \"b\"' upper &>", "A \"B\""),
        ("<& get cookie nobody | default:a:b &>", "a:b"),
        ("<& get cookie nobody | default:a\"b &>", "a\"b"),
        ("<& get cookie nobody | default: &>", ""),
        ("<& get cookie nobody | default:<b> &>", "<b>"),
        ("<& get cookie nobody | default:<b> html &>", "&lt;b&gt;"),
        ("<& get cookie nobody | html | default:<b> &>", "<b>"),
        ("<& get cookie nobody arg | default:x &>", "arg"),
        ("<& get cookie nobody '' | default:x &>", "x"),
        ("<& get cookie nobody '<b>' | html &>", "&lt;b&gt;"),
        ("<& get cookie nobody | default:a | default:b &>", "a"),
        ("<& get cookie nobody | default:' ' | trim | default:b &>", "b"),
        // A value that a filter empties is missing from there on.
        ("<& get cookie spaces | trim | default:none &>", "none"),
        ("<& get cookie spaces | trim | default:<i> &>.", "<i>."),
        ("<& get cookie spaces | trim | default:<i> | html &>.", "&lt;i&gt;."),
        ("<& get cookie spaces arg | trim | default:none &>", "none"),
        ("<& get cookie spaces | default:a | trim | default:b | truncate:0 default:c &>", "c"),
        ("<& get cookie name | default:a | trim | default:b | truncate:0 default:c &>.", "c."),
        ("<& get cookie name | trim | default:b &>.", "Ann."),
        ("<& if cookie name yes no | upper &>", "YES"),
        ("<& if cookie nobody yes | default:none | upper &>", "NONE"),
        ("<& if cookie name <b> | html &>", "&lt;b&gt;"),
        ("<& get arg n | comma &>", "1,234,567"),
        ("<& get cookie evil | truncate:8 &>", "&lt;script&gt;"),
        ("<& get cookie evil | truncate:8 | raw &>", "<script>"),
        ("<& get cookie evil | html | html | truncate:9 &>", "&amp;lt;s"),
        ("<& get cookie name | | upper | | &>", "ANN"),
        ("<& get cookie name | upper || lower &>", "ann"),
        ("<& get cookie name | upper | lower | &>", "ann"),
        ("<& get cookie name |upper &>", "ANN"),
        ("<& get cookie name|upper &>", "ANN"),
        ("<& get cookie name| upper|lower &>", "ann"),
        ("<& get cookie nobody |upper &>", ""),
        ("<& get cookie nobody guest|upper &>", "GUEST"),
        ("<& get cookie nobody 'a|b' &>", "a|b"),
        ("<& get cookie nobody \"x\"|upper &>", "X"),
        ("<& get cookie nobody '|' upper &>", "<& get cookie nobody '|' upper &>"),
        ("<& get cookie name | 'upper' &>", "ANN"),
        ("<& get cookie name | truncate:'2' &>", "An"),
        ("<& get cookie name | nosuch &>", "Ann"),
        ("<& get cookie evil | nosuch | truncate:1 &>", "&lt;"),
        ("<& get cookie name | upper:1 truncate truncate:-1 truncate:+1 truncate:1000001 &>", "Ann"),
        ("<& get cookie name | truncate:1000000 &>", "Ann"),
    ]);
}

#[test]
fn bad_tags_stay() {
    for page in [
        "<& &>",
        "<& hello &>",
        "<& Get cookie name &>",
        "<& get &>",
        "<& get cookie &>",
        "<& get cookie '' &>",
        "<& get '' name &>",
        "<& get cookie name a b &>",
        "<& if cookie name a b c &>",
        "<& if cookie &>",
        "<& get cookie 'name &>",
        "<& get cookie name \"a' &>",
        "<& get cookie name | default:'a &>",
        "<& get cookie name | 'upper &>",
        "<& | upper &>",
        "<& else if &>",
        "<& end if &>",
        "<& else | upper &>",
        "<& include &>",
        "<& include /a /b &>",
        "<& a b c d e f g h &>",
    ] {
        let mut errors = 0;
        table(&[(page, page)]);
        let compiler = Setup::default().compile([page.as_bytes()]);
        errors += compiler.error_count();
        assert_eq!(errors, 1, "{page}");
        assert_eq!(compiler.tags(), 0);
        assert!(!compiler.personal());
    }
}

#[test]
fn unknown_targets_and_keys_are_missing() {
    table(&[
        ("<& get memcache x &>", ""),
        ("<& get memcache x 'no <b>' | upper &>.", "NO <B>."),
        ("<& if memcache x a b &>", "b"),
        ("<& unless memcache x a b &>", "a"),
        ("<& get page nosuch d &>", "d"),
        ("<& get ip other d &>", "d"),
        ("<& get geo 192.0.2.1 d &>", "d"),
        ("<& get Cookie name d &>", "d"),
        ("<& pop memcache x d &>", "d"),
        ("<& pop cookie name d | upper &>", "D"),
        ("a<& incr memcache x &>b<& decr memcache x 5 &>c", "abc"),
        ("<& incr cookie name &>", ""),
    ]);
}

#[test]
fn without_escaping() {
    let setup = Setup { escape: Escape::Off, ..Setup::default() };
    for (page, expected) in [
        ("<& get cookie evil &>", "<script>alert('1' & \"2\")</script>"),
        ("<& get cookie evil | truncate:8 | html &>", "&lt;script&gt;"),
        ("<& get cookie nobody <b> &>", "<b>"),
    ] {
        assert_eq!(setup.check(page.as_bytes(), &[9], &ann), expected.as_bytes(), "{page}");
    }
}

#[test]
fn slots() {
    let page = b"<& get cookie a &><& if cookie a &><& get header X-Y &><& end &><& get var Host | js &>\
                 <& get cookie A &><& get page age &><& if header x-y 1 2 &><& get memcache a &>";
    let compiler = Setup::default().compile([page.as_slice()]);
    let parts = compiler.parts().unwrap();
    let slots: Vec<_> =
        Slots::new(parts.slots).map(|slot| (slot.target, slot.key.to_vec(), slot.uses, slot.hash)).collect();
    let expected = [
        (Target::Cookie, "a", 2),
        (Target::Header, "x-y", 2),
        (Target::Var, "host", 1),
        (Target::Cookie, "A", 1),
        (Target::Page, "age", 1),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|&(target, key, uses)| (target, key.as_bytes().to_vec(), uses, ngx_key(key.as_bytes())))
        .collect();
    assert_eq!(slots, expected);
    assert_eq!(parts.tags, 9);
    assert!(parts.personal);
    // ngx_hash_key("host"), as nginx computes it on a 64-bit machine.
    assert_eq!(ngx_key(b"host"), ((104 * 31 + 111) * 31 + 115) * 31 + 116);

    for (page, personal) in [
        ("<& get page age &><& if page status &><& end &>", false),
        ("<& get memcache x &>", false),
        ("<& get cookie", false),
        ("<& get lang de &>", true),
        ("<& get page age &><& if geo ip &><& end &>", true),
    ] {
        assert_eq!(Setup::default().compile([page.as_bytes()]).personal(), personal, "{page}");
    }
}

#[test]
fn programs_are_small() {
    let page = "<p>Hello <& get cookie name &>, you have <& get cookie mails none &> mails</p>".repeat(10);
    let compiler = Setup::default().compile([page.as_bytes()]);
    let parts = compiler.parts().unwrap();
    assert_eq!(parts.tags, 20);
    assert!(parts.code.len() <= 5 * 20, "{} bytes of code", parts.code.len());
    // Neighbouring literals are one, also around tags that say nothing or are bad.
    let compiler = Setup::default().compile([b"a<& get memcache x &>b<& bad &>c".as_slice()]);
    assert_eq!(compiler.parts().unwrap().code.len(), 1);
}
