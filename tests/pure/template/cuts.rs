//! Properties: any page, cut anywhere, is what the naive model says; tags are where a regular
//! expression finds them.

use super::rig::{Setup, cut, print};
use crate::property::cases;
use proptest::prelude::*;
use twice_core::template::{Escape, Limits};

/// Bits that pages are made of: whole tags, parts of tags, text.
pub const BITS: &[&str] = &[
    "<&",
    "&>",
    "<",
    "&",
    ">",
    "\n",
    " ",
    "|",
    "\"",
    "'",
    ":",
    "get",
    "if",
    "unless",
    "else",
    "end",
    "pop",
    "incr",
    "decr",
    "cookie",
    "header",
    "arg",
    "var",
    "lang",
    "geo",
    "ip",
    "page",
    "abvalue",
    "include",
    "/part",
    "/..",
    "/%2e%2e/",
    "<& include /part &>",
    "<& include /none?a=b | default:'none <b>' &>",
    "<& include ../x | default:bad &>",
    "<& nonce &>",
    "<& nonce | html &>",
    "<& nonce a &>",
    "nonce",
    "current",
    "status",
    "age",
    "memcache",
    "db",
    "session",
    "18446744073709551616",
    "<& get db a &>",
    "<& get db a 'b <c>' | upper | default:x &>",
    "<& if session zero &>",
    "<& incr db a &>",
    "<& decr session 'a b' 7 &>",
    "<& incr db a seven &>",
    "<& pop session b none | upper &>",
    "a",
    "b",
    "zero",
    "Guest",
    "<b>",
    "html",
    "attr",
    "js",
    "json",
    "url",
    "href",
    "srcset",
    "css",
    "cssword",
    "cssurl",
    "jsvalue",
    "comma",
    "upper",
    "lower",
    "trim",
    "truncate:",
    "default:",
    "raw",
    "3",
    "0",
    "'a b'",
    "\"\"",
    "\u{e9}",
    "\u{2028}",
    "\\",
    "<& end &>",
    "<& else &>",
    "<& if cookie a &>",
    "<& unless cookie zero &>",
    "<& if arg none &>",
    "<& if memcache x &>",
    "<& get cookie a &>",
    "<& get cookie evil &>",
    "<& get arg none Guest | upper &>",
    "<& get arg spaces | trim | default:'<i>' | html &>",
    "<& if cookie a <b> 'no <b>' | html &>",
    "<& get cookie evil | js | truncate:3 &>",
    "\0",
    "text of some length",
];

pub fn values(_: &str, key: &[u8]) -> Vec<u8> {
    match key {
        b"a" => b"Ann".into(),
        b"b" => b"1234567.5".into(),
        b"zero" => b"0".into(),
        b"evil" => b"<&get cookie a&> \"'\\</script>\xe2\x80\xa8\xff\0".into(),
        b"spaces" => b" \t".into(),
        b"" => b"n0nce_-".into(),
        b"/part" => b"<p><&get cookie a&></p>".into(),
        b"current" | b"ip" | b"status" | b"age" => b"7".into(),
        _ => Vec::new(),
    }
}

fn page() -> impl Strategy<Value = Vec<u8>> {
    let bit = prop_oneof![
        10 => prop::sample::select(BITS).prop_map(|bit| bit.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    // Words of a tag need spaces between them more often than not.
    prop::collection::vec((bit, prop::bool::weighted(0.6)), 0..60).prop_map(|bits| {
        bits.into_iter()
            .flat_map(|(mut bit, space)| {
                bit.extend(space.then_some(b' '));
                bit
            })
            .collect()
    })
}

fn setup() -> impl Strategy<Value = Setup> {
    let delimiters = prop_oneof![
        6 => Just(("<&", "&>")),
        1 => Just(("<&", ">")),
        1 => Just(("&", "&")),
        1 => Just(("<<&", "&>&>")),
        1 => Just((" ", "e")),
    ];
    (delimiters, any::<bool>(), prop_oneof![Just(16 << 10), 1..60_usize], prop_oneof![Just(4096), 0..4_usize])
        .prop_map(|((open, close), html, tag_max, slots_max)| Setup {
            open: open.into(),
            close: close.into(),
            guard: None,
            escape: if html { Escape::Html } else { Escape::Off },
            limits: Limits { tag_max, slots_max, ..Limits::default() },
        })
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn any_page_cut_anywhere(page in page(), setup in setup(), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        setup.check(&page, &cuts, &values);
    }
}

const TOKEN: &str = "0123456789-Abcde";

proptest! {
    #![proptest_config(cases(2_000))]

    /// Some openers have the token, and some only its beginning.
    #[test]
    fn any_guarded_page_cut_anywhere(
        page in page(),
        setup in setup(),
        guards in prop::collection::vec(0..4u8, 1..20),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut guards = guards.iter().cycle();
        let mut guarded = Vec::new();
        for (at, byte) in page.iter().enumerate() {
            guarded.push(*byte);
            if page[..=at].ends_with(&setup.open) {
                guarded.extend(match guards.next() {
                    Some(0) => "",
                    Some(1) => &TOKEN[..9],
                    _ => TOKEN,
                }.as_bytes());
            }
        }
        let setup = Setup { guard: Some(TOKEN.to_owned()), ..setup };
        let printed = setup.check(&guarded, &cuts, &values);
        let compiler = setup.compile([guarded.as_slice()]);
        prop_assert!(!compiler.errors().iter().any(|error| error.tag.contains(TOKEN)));
        // Where a closer looks like an opener the token may stand behind that.
        let shown = printed.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        prop_assert!(!shown || setup.close.contains(&b'&') && setup.open == b"&");
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    /// No text of this alphabet is a good tag, so each one that is found is named by an error.
    #[test]
    fn scanner_against_regex(text in "[<&> x\n]{0,60}", delimiters in prop::sample::select(&[
        ("<&", "&>"), ("<", ">"), ("<<", ">>"), ("&", "&"), ("<&<", "<&"), ("x", ">x"), ("&<&", "&>&"),
    ][..])) {
        let (open, close) = delimiters;
        let setup = Setup { open: open.into(), close: close.into(), ..Setup::default() };
        let compiler = setup.compile([text.as_bytes()]);
        let regex = regex::Regex::new(&format!("{}(.*?){}", regex::escape(open), regex::escape(close))).unwrap();
        let found: Vec<String> =
            regex.find_iter(&text).map(|tag| tag.as_str().replace('\n', "\\n")).take(16).collect();
        let said: Vec<String> = compiler.errors().iter()
            .filter(|error| error.kind.as_str() != "unterminated tag")
            .map(|error| error.tag.clone()).collect();
        if compiler.error_count() <= 16 {
            prop_assert_eq!(&found, &said);
        } else {
            // Unterminated ones have used up the room for errors.
            prop_assert!(found.starts_with(&said));
        }
        for at in 0..=text.len() {
            let cut = setup.compile(cut(text.as_bytes(), &[at]));
            prop_assert_eq!(compiler.errors(), cut.errors());
        }
        prop_assert_eq!(print(&compiler, &setup.limits, &values), text.as_bytes());
    }
}

/// One page with everything in it, fed a byte at a time and cut in two at every place.
#[test]
fn a_page_with_everything() {
    let page = BITS.concat()
        + &BITS.join(" ")
        + &BITS.join("\n")
        + &"<& if cookie a &>x".repeat(20)
        + &"<& else &><& get arg none | default:'y z' &><& end &>".repeat(21);
    let setup = Setup::default();
    setup.check(page.as_bytes(), &(0..page.len()).collect::<Vec<_>>(), &values);
    let whole = setup.compile([page.as_bytes()]);
    for at in 0..page.len() {
        super::rig::same_program(&whole, &setup.compile(cut(page.as_bytes(), &[at])));
    }
}
