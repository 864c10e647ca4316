//! Clients' conditions: what RFC 9110 13 says, a case a row.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::conditional::{
    Conditions, Validators, Verdict, evaluate, http_date, if_range, is_alike, is_tag,
};

const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Out {
    Send,
    Same(&'static str),
    Failed,
}
use Out::*;

/// ETag and Last-Modified of a page.
fn page(etag: &'static str, modified: &str) -> Validators<'static> {
    let last_modified = http_date(modified.as_bytes());
    Validators { etag: etag.as_bytes(), last_modified, made: 2_000_000_000 }
}

fn answer(lines: &[(&str, &str)], page: Validators<'_>) -> Out {
    let line = |name: &str| lines.iter().find(|line| line.0 == name).map(|line| line.1.as_bytes());
    let asked = Conditions {
        if_match: line("If-Match"),
        if_none_match: line("If-None-Match"),
        if_modified_since: line("If-Modified-Since"),
        if_unmodified_since: line("If-Unmodified-Since"),
    };
    match evaluate(&asked, &page) {
        Verdict::Send => Send,
        Verdict::NotModified(etag) => Same(String::from_utf8(etag.to_vec()).unwrap().leak()),
        Verdict::Failed => Failed,
    }
}

#[test]
fn conditions_are_held_against_the_page() {
    let strong = page("\"a\"", THEN);
    let weak = page("W/\"a\"", THEN);
    let untagged = page("", THEN);
    let undated = page("\"a\"", "");
    let bare = page("a", "");
    let nothing = page("", "");
    type Row<'a> = (Validators<'a>, &'a [(&'a str, &'a str)], Out, &'a str);
    let table: &[Row<'_>] = &[
        (strong, &[], Send, "13.1: no condition"),
        // If-None-Match compares weakly (13.1.2).
        (strong, &[("If-None-Match", "\"a\"")], Same("\"a\""), "13.1.2"),
        (strong, &[("If-None-Match", "W/\"a\"")], Same("W/\"a\""), "13.1.2, 8.8.3.2: as the client has it"),
        (weak, &[("If-None-Match", "\"a\"")], Same("W/\"a\""), "13.1.2, 8.8.3.2"),
        (weak, &[("If-None-Match", "W/\"a\"")], Same("W/\"a\""), "13.1.2, 8.8.3.2"),
        (strong, &[("If-None-Match", "W/\"a\", \"a\"")], Same("\"a\""), "the exact one goes first"),
        (strong, &[("If-None-Match", "\"b\"")], Send, "13.1.2"),
        (strong, &[("If-None-Match", "\"A\"")], Send, "8.8.3: case counts"),
        (strong, &[("If-None-Match", "w/\"a\"")], Send, "8.8.3: W is upper case"),
        (strong, &[("If-None-Match", "\"b\", \"a\"")], Same("\"a\""), "a list"),
        (strong, &[("If-None-Match", "\"b\",,\t, \"a\" ,")], Same("\"a\""), "5.6.1.2: empty elements"),
        (strong, &[("If-None-Match", "\"b\"\"a\"")], Send, "no list"),
        (strong, &[("If-None-Match", "\"a\" \"b\"")], Send, "no list"),
        (strong, &[("If-None-Match", "\"a")], Send, "no tag"),
        (strong, &[("If-None-Match", "\"x, \"a\"")], Send, "a comma inside a tag separates nothing"),
        (strong, &[("If-None-Match", "a")], Send, "no quotes"),
        (strong, &[("If-None-Match", "*")], Same("\"a\""), "13.1.2: any"),
        (strong, &[("If-None-Match", " * ")], Same("\"a\""), "13.1.2: any"),
        (strong, &[("If-None-Match", "\"*\"")], Send, "a tag"),
        (strong, &[("If-None-Match", "*, \"b\"")], Send, "not in a list"),
        (strong, &[("If-None-Match", "")], Send, "empty"),
        (untagged, &[("If-None-Match", "\"a\"")], Send, "nothing to compare"),
        (untagged, &[("If-None-Match", "\"\"")], Send, "nothing to compare"),
        (untagged, &[("If-None-Match", "")], Send, "nothing to compare"),
        (nothing, &[("If-None-Match", "*")], Same(""), "13.1.2: there is a page"),
        (bare, &[("If-None-Match", "a")], Same("a"), "an origin that sends no quotes"),
        (bare, &[("If-None-Match", "\"a\"")], Send, "that is another one"),
        // Dates (13.1.3).
        (strong, &[("If-Modified-Since", THEN)], Same("\"a\""), "13.1.3"),
        (strong, &[("If-Modified-Since", AFTER)], Same("\"a\""), "13.1.3: earlier or equal"),
        (strong, &[("If-Modified-Since", BEFORE)], Send, "13.1.3"),
        (untagged, &[("If-Modified-Since", THEN)], Same(""), "13.1.3"),
        (
            strong,
            &[("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")],
            Same("\"a\""),
            "5.6.7: obsolete",
        ),
        (strong, &[("If-Modified-Since", "Sun Nov  6 08:49:37 1994")], Same("\"a\""), "5.6.7: obsolete"),
        (strong, &[("If-Modified-Since", "784111777")], Send, "13.1.3: no date is ignored"),
        (strong, &[("If-Modified-Since", "")], Send, "13.1.3: no date is ignored"),
        (
            strong,
            &[("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT")],
            Send,
            "13.1.3: more than one is ignored",
        ),
        (undated, &[("If-Modified-Since", AFTER)], Send, "13.1.3: the page has no date"),
        // Precedence (13.2.2).
        (strong, &[("If-None-Match", "\"b\""), ("If-Modified-Since", AFTER)], Send, "13.1.3: tags go first"),
        (strong, &[("If-None-Match", "\"a\""), ("If-Modified-Since", BEFORE)], Same("\"a\""), "13.1.3"),
        (
            strong,
            &[("If-None-Match", "\"a"), ("If-Modified-Since", AFTER)],
            Send,
            "13.1.3: though it can't be read",
        ),
        (strong, &[("If-Match", "\"a\""), ("If-None-Match", "\"a\"")], Same("\"a\""), "13.2.2: both hold"),
        (strong, &[("If-Match", "\"b\""), ("If-None-Match", "\"a\"")], Failed, "13.2.2: step 1"),
        (strong, &[("If-Match", "\"a\""), ("If-Unmodified-Since", BEFORE)], Send, "13.1.4: tags go first"),
        (strong, &[("If-Unmodified-Since", BEFORE), ("If-None-Match", "\"a\"")], Failed, "13.2.2: step 2"),
        (
            strong,
            &[("If-Unmodified-Since", THEN), ("If-Modified-Since", THEN)],
            Same("\"a\""),
            "13.2.2: step 4",
        ),
        // If-Match compares strongly (13.1.1).
        (strong, &[("If-Match", "\"a\"")], Send, "13.1.1"),
        (strong, &[("If-Match", "\"b\", \"a\"")], Send, "13.1.1"),
        (strong, &[("If-Match", "W/\"a\"")], Failed, "13.1.1"),
        (weak, &[("If-Match", "W/\"a\"")], Failed, "13.1.1"),
        (strong, &[("If-Match", "\"b\"")], Failed, "13.1.1"),
        (strong, &[("If-Match", "*")], Send, "13.1.1: any"),
        (nothing, &[("If-Match", "*")], Send, "13.1.1: any"),
        (untagged, &[("If-Match", "\"a\"")], Failed, "13.1.1: none matches"),
        (strong, &[("If-Match", "\"a")], Send, "no tag is ignored"),
        (strong, &[("If-Match", "")], Send, "no tag is ignored"),
        // If-Unmodified-Since (13.1.4).
        (strong, &[("If-Unmodified-Since", THEN)], Send, "13.1.4"),
        (strong, &[("If-Unmodified-Since", AFTER)], Send, "13.1.4"),
        (strong, &[("If-Unmodified-Since", BEFORE)], Failed, "13.1.4"),
        (strong, &[("If-Unmodified-Since", "now")], Send, "13.1.4: no date is ignored"),
        (undated, &[("If-Unmodified-Since", BEFORE)], Send, "13.1.4: the page has no date"),
    ];
    for (page, lines, out, why) in table {
        assert_eq!(answer(lines, *page), *out, "{lines:?} of {page:?} ({why})");
    }
}

#[test]
fn a_part_is_one_of_the_very_same_bytes() {
    let strong = page("\"a\"", THEN);
    let weak = page("W/\"a\"", THEN);
    let modified = http_date(THEN.as_bytes()).unwrap();
    let young = Validators { made: modified, ..strong };
    let old = Validators { made: modified + 1, ..strong };
    let table = [
        (strong, "\"a\"", true, "13.1.5"),
        (strong, " \"a\" ", true, "13.1.5"),
        (strong, "\"b\"", false, "13.1.5"),
        (strong, "W/\"a\"", false, "13.1.5: the strong comparison"),
        (weak, "W/\"a\"", false, "13.1.5: the strong comparison"),
        (weak, "\"a\"", false, "13.1.5: the strong comparison"),
        (strong, "\"a\", \"b\"", false, "13.1.5: no list"),
        (strong, "*", false, "13.1.5: not any"),
        (strong, "", false, "neither"),
        (strong, THEN, true, "13.1.5: the exact date"),
        (strong, AFTER, false, "13.1.5: the exact date"),
        (strong, BEFORE, false, "13.1.5: the exact date"),
        (young, THEN, false, "8.8.2.2: it may have changed twice in this second"),
        (old, THEN, true, "8.8.2.2"),
        (page("", ""), "\"a\"", false, "nothing to compare"),
        (page("", ""), "\"\"", false, "nothing to compare"),
        (page("", ""), THEN, false, "nothing to compare"),
    ];
    for (page, value, holds, why) in table {
        assert_eq!(if_range(value.as_bytes(), &page), holds, "{value:?} of {page:?} ({why})");
    }
}

#[test]
fn tags_are_told_from_what_is_none() {
    for good in ["\"\"", "\"a\"", "W/\"a\"", "\"a,b\"", "\"\u{e9}\"", "\"!#~\""] {
        assert!(is_tag(good.as_bytes()), "{good}");
    }
    for bad in [
        "", "a", "*", "\"", "\"a", "a\"", "w/\"a\"", "W/", "W/a", "\"a\"b\"", "\"a b\"", "\"a\tb\"",
        "\"\x7f\"",
    ] {
        assert!(!is_tag(bad.as_bytes()), "{bad}");
    }
}

/// A list as RFC 9110 has it, read as slowly as can be.
fn naive(list: &[&str], etag: &str) -> bool {
    let strip = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    list.iter().any(|tag| strip(tag) == strip(etag))
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_list_is_what_its_elements_are(list in prop::collection::vec("(W/)?\"[a-c,*]{0,3}\"", 1..6), etag in "(W/)?\"[a-c,*]{0,3}\"", gap in "[ \t]{0,2}") {
        let tags: Vec<&str> = list.iter().map(String::as_str).collect();
        let line = tags.join(&format!("{gap},{gap}"));
        let asked = Conditions { if_none_match: Some(line.as_bytes()), ..Conditions::default() };
        let page = Validators { etag: etag.as_bytes(), ..Validators::default() };
        let verdict = evaluate(&asked, &page);
        prop_assert_eq!(matches!(verdict, Verdict::NotModified(_)), naive(&tags, &etag));
        if let Verdict::NotModified(told) = verdict {
            // The client has it by this name, and so has the page, weakly.
            prop_assert!(is_alike(told, etag.as_bytes()));
            prop_assert!(told == etag.as_bytes() || tags.contains(&std::str::from_utf8(told).unwrap()));
        }
        let asked = Conditions { if_match: Some(line.as_bytes()), ..Conditions::default() };
        let same = !etag.starts_with("W/") && tags.contains(&etag.as_str());
        prop_assert_eq!(evaluate(&asked, &page) == Verdict::Send, same);
    }

    #[test]
    fn garbage_is_harmless(line in prop::collection::vec(any::<u8>(), 0..60), etag in prop::collection::vec(any::<u8>(), 0..10)) {
        let page = Validators { etag: &etag, last_modified: Some(0), made: 1 };
        let some = Some(line.as_slice());
        let asked = Conditions { if_match: some, if_none_match: some, if_modified_since: some, if_unmodified_since: some };
        evaluate(&asked, &page);
        if_range(&line, &page);
    }
}
