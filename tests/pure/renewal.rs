//! What a stored page's origin said, kept beside what is sent; what a 304 or a HEAD makes of it.

use crate::property::cases;
use fixture::effort::{self, grows_no_faster};
use proptest::prelude::*;
use twice_core::page::{Behind, FIXED, Fixed, Head, Program, encode_prefix};
use twice_core::policy::{Facts, HeaderNames};
use twice_core::renewal::{Line, OfHead, Origin, Question, cold};

const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

fn lines(lines: &[(&str, &str)]) -> Vec<Line> {
    lines.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn page(all: &[(&str, &str)]) -> Origin {
    Origin {
        status: 200,
        content_type: b"text/html".to_vec(),
        body_len: 10,
        lines: lines(all),
        ..Origin::default()
    }
}

/// Lines by name, the order of names forgotten.
fn sorted(all: &[Line]) -> Vec<Line> {
    let mut all: Vec<Line> =
        all.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// Stores what is sent of a page, and reads back what its origin said.
fn kept(origin: &Origin, head: &Head<'_>, sent: &[(&[u8], &[u8])]) -> (Origin, usize) {
    let all: Vec<_> = head.lines().chain(sent.iter().copied()).collect();
    let cold = cold(origin, &all);
    let head =
        Head { status: origin.status, content_type: &origin.content_type, charset: &origin.charset, ..*head };
    let behind = Behind { cold_len: cold.len(), ..Behind::default() };
    let prefix = encode_prefix(&head, sent.iter().copied(), &Program::default(), &behind).unwrap();
    let fixed = Fixed::parse(&prefix[..FIXED]).unwrap();
    (Origin::read(&fixed, &prefix[..fixed.head_len()], &cold).unwrap(), cold.len())
}

#[test]
fn what_is_sent_as_it_came_is_not_kept_twice() {
    let origin = page(&[("ETag", "\"a\""), ("X-One", "1"), ("x-two", "2"), ("X-Two", "3")]);
    let head = Head { etag: b"\"a\"", ..Head::default() };
    let (read, len) = kept(&origin, &head, &[(b"X-Two", b"2"), (b"X-Two", b"3"), (b"X-One", b"1")]);
    assert_eq!(sorted(&read.lines), sorted(&origin.lines));
    assert_eq!(len, 9);
}

#[test]
fn what_is_sent_in_another_form_is_kept() {
    let origin = page(&[
        ("ETag", "\"a\""),
        ("Cache-Control", "max-age=60"),
        ("Vary", "a"),
        ("Vary", "b"),
        ("X-Twice-Control", "max-age=9"),
        ("Last-Modified", THEN),
    ]);
    let head = Head { cache_control: b"private, no-cache", ..Head::default() };
    let (read, _) = kept(&origin, &head, &[(b"Vary", b"a, b, Cookie"), (b"X-Made", b"here")]);
    assert_eq!(sorted(&read.lines), sorted(&origin.lines));
    assert_eq!((read.status, read.body_len), (200, 10));
}

#[test]
fn a_page_is_asked_for_by_what_its_origin_gave() {
    let (tag, date) = (Some(&b"\"a\""[..]), Some(THEN.as_bytes()));
    let table: &[(&[(&str, &str)], Question<'_>)] = &[
        (&[("ETag", "\"a\""), ("Last-Modified", THEN)], Question { etag: tag, modified: date }),
        (&[("etag", "W/\"a\"")], Question { etag: Some(b"W/\"a\""), modified: None }),
        (&[("Last-Modified", THEN)], Question { etag: None, modified: date }),
        // What is said twice is said; what differs is not: the other one stays.
        (
            &[("ETag", "\"a\""), ("etag", "\"a\""), ("Last-Modified", THEN), ("last-modified", THEN)],
            Question { etag: tag, modified: date },
        ),
        (
            &[("ETag", "\"a\""), ("ETag", "\"b\""), ("Last-Modified", THEN)],
            Question { etag: None, modified: date },
        ),
        (&[("ETag", "\"a\""), ("X-Own", "1"), ("ETag", "W/\"a\"")], Question::default()),
        (
            &[("ETag", "\"a\""), ("Last-Modified", THEN), ("Last-Modified", LATER)],
            Question { etag: tag, modified: None },
        ),
        // Sent back these would mean something else.
        (&[("ETag", "*")], Question::default()),
        (&[("ETag", "a")], Question::default()),
        (&[("ETag", "\"a\", \"b\"")], Question::default()),
        (&[("Last-Modified", "yesterday")], Question::default()),
        (&[("X-Own", "1")], Question::default()),
    ];
    for (all, question) in table {
        assert_eq!(page(all).question(), *question, "{all:?}");
    }
    for (status, asked) in [(203, true), (301, false), (404, false), (204, false)] {
        let origin = Origin { status, ..page(&[("ETag", "\"a\"")]) };
        assert_eq!(origin.question().etag.is_some(), asked, "{status}");
    }
}

#[test]
fn a_304_is_about_the_page_that_was_asked_for() {
    let both: &[(&str, &str)] = &[("ETag", "\"a\""), ("Last-Modified", THEN)];
    let dated: &[(&str, &str)] = &[("Last-Modified", THEN)];
    let torn: &[(&str, &str)] = &[("ETag", "\"a\""), ("ETag", "\"b\""), ("Last-Modified", THEN)];
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)], bool, &'a str);
    let table: &[Row<'_>] = &[
        (both, &[], true, "4.3.4: it names none, and one was asked for"),
        (both, &[("ETag", "\"a\"")], true, "4.3.4"),
        (both, &[("ETag", "W/\"a\"")], true, "4.3.4: weakly the same"),
        (both, &[("ETag", "\"b\"")], false, "4.3.4: another one's"),
        (both, &[("ETag", "\"a\""), ("Last-Modified", LATER)], true, "touched, and the same"),
        (both, &[("Last-Modified", LATER)], true, "touched, and the same"),
        (dated, &[("Last-Modified", THEN)], true, "4.3.4"),
        (dated, &[("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT")], true, "5.6.7: the same date"),
        (dated, &[("Last-Modified", LATER)], false, "4.3.4: another one's"),
        (dated, &[("ETag", "\"a\"")], false, "4.3.4: a strong one that nothing stored has"),
        (dated, &[], true, "4.3.4"),
        (
            torn,
            &[("ETag", "\"a\""), ("ETag", "\"b\"")],
            true,
            "8.8.3: nothing was asked by, and nothing is named",
        ),
        (torn, &[("ETag", "\"b\"")], true, "8.8.3: one of those that it has"),
        (torn, &[("ETag", "\"c\"")], false, "4.3.4: another one's"),
        (
            torn,
            &[("ETag", "\"a\""), ("ETag", "\"b\""), ("Last-Modified", LATER)],
            false,
            "4.3.4: its date is another",
        ),
        (torn, &[("Last-Modified", THEN)], true, "4.3.4: by its date"),
        (both, &[("ETag", "\"a\""), ("ETag", "\"b\"")], true, "8.8.3: that which was asked by is there"),
        (both, &[("ETag", "\"b\""), ("ETag", "\"c\"")], false, "4.3.4: none of them is"),
        (
            dated,
            &[("Last-Modified", LATER), ("Last-Modified", THEN)],
            true,
            "the one that was asked by is there",
        ),
        (dated, &[("Last-Modified", LATER), ("Last-Modified", "yesterday")], false, "4.3.4: none of them is"),
    ];
    for (own, answer, meant, why) in table {
        assert_eq!(page(own).is_meant(&lines(answer)), *meant, "{answer:?} about {own:?} ({why})");
    }
}

#[test]
fn a_head_renews_a_page_or_says_that_it_is_another() {
    use OfHead::*;
    let both: &[(&str, &str)] = &[("ETag", "\"a\""), ("Last-Modified", THEN)];
    type Row<'a> = (u16, &'a [(&'a str, &'a str)], Option<u64>, OfHead, &'a str);
    let table: &[Row<'_>] = &[
        (200, both, Some(10), Renews, "4.3.5"),
        (200, both, None, Renews, "4.3.5: no length, none to compare"),
        (200, both, Some(11), Differs, "4.3.5: another length"),
        (200, &[("ETag", "\"a\"")], Some(10), Renews, "4.3.5: those that it has"),
        (200, &[("ETag", "W/\"a\"")], Some(10), Renews, "8.8.3.2"),
        (200, &[("Last-Modified", THEN)], Some(10), Renews, "4.3.5"),
        (200, &[("ETag", "\"b\"")], Some(10), Differs, "4.3.5"),
        (200, &[("ETag", "\"a\""), ("Last-Modified", LATER)], Some(10), Differs, "4.3.5: any"),
        (200, &[("Last-Modified", LATER)], None, Differs, "4.3.5"),
        (200, &[], Some(10), Nothing, "the same length is not the same page"),
        (200, &[], Some(11), Differs, "4.3.5: another length"),
        (200, &[], None, Nothing, "nothing to compare"),
        (200, &[("ETag", "\"a\""), ("Content-Encoding", "gzip")], None, Nothing, "another representation"),
        (200, &[("ETag", "\"a\""), ("Content-Encoding", "identity")], None, Renews, "none"),
        (200, &[("ETag", "\"a\""), ("ETag", "\"b\"")], Some(10), Renews, "8.8.3: the page's is there"),
        (200, &[("ETag", "\"b\""), ("ETag", "\"c\"")], Some(10), Differs, "4.3.5: none of them is"),
        (304, both, Some(10), Nothing, "only a 200"),
        (404, both, Some(10), Nothing, "only a 200"),
        (500, &[], Some(11), Nothing, "only a 200"),
    ];
    for (status, answer, length, says, why) in table {
        let of_page = page(both).of_head(*status, &lines(answer), *length);
        assert_eq!(of_page, *says, "{status} {answer:?} {length:?} ({why})");
    }
    let torn = page(&[("ETag", "\"a\""), ("ETag", "\"b\"")]);
    assert_eq!(torn.of_head(200, &torn.lines, Some(10)), Nothing, "8.8.3: neither has a tag");
    let untagged = page(&[]);
    assert_eq!(untagged.of_head(200, &lines(&[("ETag", "\"a\"")]), Some(10)), Differs);
}

#[test]
fn lines_of_a_304_take_the_place_of_those_of_their_name() {
    let mut origin = page(&[
        ("ETag", "\"a\""),
        ("Cache-Control", "max-age=1"),
        ("Vary", "a"),
        ("vary", "b"),
        ("X-Own", "old"),
        ("X-Stays", "1"),
        ("Content-Language", "en"),
        ("Digest", "old"),
    ]);
    origin.renew(&lines(&[
        ("cache-control", "max-age=2"),
        ("Vary", "c"),
        ("X-Own", "new"),
        ("X-Own", "newer"),
        ("X-New", "1"),
        ("Content-Type", "text/plain"),
        ("Content-Encoding", "gzip"),
        ("Content-Length", "0"),
        ("Content-Range", "bytes 0-1/2"),
        ("Digest", "new"),
        ("Repr-Digest", "new"),
    ]));
    let expected = lines(&[
        ("ETag", "\"a\""),
        ("Cache-Control", "max-age=2"),
        ("Vary", "c"),
        ("X-Own", "new"),
        ("X-Own", "newer"),
        ("X-Stays", "1"),
        ("X-New", "1"),
        ("Content-Language", "en"),
        ("Digest", "old"),
    ]);
    assert_eq!(sorted(&origin.lines), sorted(&expected));
    assert_eq!(origin.content_type, b"text/html");
}

/// What a location hides may change from one answer to the next.
#[test]
fn a_line_takes_the_place_of_one_that_was_hidden_or_shown() {
    for (old, new) in [("Vary", ":vary"), (":vary", "Vary"), (":Vary", ":vary"), ("vary", "VARY")] {
        let mut origin = page(&[(old, "a"), ("X-Own", "1")]);
        origin.renew(&lines(&[(new, "b")]));
        assert_eq!(sorted(&origin.lines), sorted(&lines(&[(new, "b"), ("X-Own", "1")])), "{old} {new}");
    }
    let mut origin = page(&[("X-Own", "1"), ("x-own", "2"), (":vary", "a"), ("X-Other", "1")]);
    origin.hide(&[&b"X-OWN"[..]].into_iter().collect());
    assert_eq!(sorted(&origin.lines), sorted(&lines(&[(":vary", "a"), ("X-Other", "1")])));
}

/// The date of an answer is when it was made: an old one would make the page as old as it was before.
#[test]
fn a_page_has_the_date_of_the_last_answer_about_it() {
    for (answer, date) in [(&[("Date", LATER)][..], Some(LATER)), (&[("X-New", "1")], None)] {
        let mut origin = page(&[("date", THEN), ("X-Own", "1")]);
        origin.renew(&lines(answer));
        let named = |name: &[u8]| origin.lines.iter().find(|line| line.0.eq_ignore_ascii_case(name));
        assert_eq!(named(b"date").map(|line| line.1.as_slice()), date.map(str::as_bytes), "{answer:?}");
        assert!(named(b"x-own").is_some());
    }
}

fn line() -> impl Strategy<Value = (String, String)> {
    ("[a-cA-C]|Vary|etag", "[a-c]{0,2}")
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_the_origin_said_is_read_back(
        came in prop::collection::vec(line(), 0..8),
        leaves in prop::collection::vec(line(), 0..8),
        recipe in any::<u64>(),
        body_len in any::<u64>(),
    ) {
        let came: Vec<(&str, &str)> = came.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let sent: Vec<(&[u8], &[u8])> = leaves.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let origin = Origin { recipe, body_len, ..page(&came) };
        let (read, _) = kept(&origin, &Head::default(), &sent);
        prop_assert_eq!(sorted(&read.lines), sorted(&origin.lines));
        prop_assert_eq!((read.recipe, read.body_len), (recipe, body_len));
    }

    #[test]
    fn garbage_is_harmless(cold in prop::collection::vec(any::<u8>(), 0..80)) {
        let prefix = encode_prefix(&Head::default(), std::iter::empty(), &Program::default(), &Behind::default()).unwrap();
        let fixed = Fixed::parse(&prefix).unwrap();
        if let Some(origin) = Origin::read(&fixed, &prefix, &cold) {
            let _ = origin.question();
        }
    }
}

/// Which lines of an answer without a body take the place of stored ones, where the page has compiled `X-Tagged` already.
#[test]
fn tags_come_with_a_body_only() {
    let mut compiled = Vec::new();
    twice_core::template::Header { literals: b"kept".to_vec(), ..Default::default() }
        .encode(b"X-Tagged", &mut compiled);
    let old = Origin { tag_lines: compiled.clone(), ..page(&[("X-Own", "old")]) };
    let head = Head { tag_lines: &compiled, ..Head::default() };
    let (mut read, _) = kept(&old, &head, &[(b"X-Own", b"old")]);
    assert_eq!((read.tag_lines.as_slice(), sorted(&read.lines)), (compiled.as_slice(), sorted(&old.lines)));
    read.renew(&lines(&[
        ("Twice-Guard", "0123456789abcdef"),
        (":twice-guard", "0123456789abcdef"),
        ("Twice-Headers", "X-Tagged, x-listed"),
        ("x-tagged", "<&0123456789abcdef nonce &>"),
        ("X-Listed", "<&0123456789abcdef nonce &>"),
        ("X-Own", "new"),
    ]));
    assert_eq!(sorted(&read.lines), lines(&[("x-own", "new")]));
    assert_eq!(read.tag_lines, compiled);
}

/// What a header line costs must not depend on how many there are: a worker does nothing else meanwhile.
#[test]
fn many_lines_cost_as_much_each_as_few() {
    let named = |count: usize, prefix: &str| -> Vec<Line> {
        (0..count).map(|n| (format!("{prefix}-{}", n * 7919 % count).into_bytes(), b"1".to_vec())).collect()
    };
    let headers = HeaderNames::default();
    let all_of = |count: usize| {
        let (stored, sent, new) = (named(count, "X-A"), named(count, "x-b"), named(count, "X-a"));
        let sent: Vec<(&[u8], &[u8])> = sent.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let origin = Origin { lines: stored, ..page(&[]) };
        let (mut read, _) = kept(&origin, &Head::default(), &sent);
        assert_eq!(read.lines.len(), count);
        read.hide(&sent.iter().map(|(name, _)| *name).collect());
        assert_eq!(read.lines.len(), count);
        let lists = vec![(b"Twice-Headers".to_vec(), b"X-Tagged".to_vec()); count];
        read.renew(&[new.clone(), lists].concat());
        assert_eq!(read.lines.len(), count);
        let mut facts = Facts::new(&headers);
        for (name, value) in &new {
            let list = [b"no-cache=\"", &name[..], b"\""].concat();
            facts.line(b"Cache-Control", &list);
            facts.line(b"Connection", &[b"X-", &name[..]].concat());
            facts.line(&[&name[..], b"-Cache-Control"].concat(), value);
        }
        assert!(new.iter().all(|(name, _)| facts.withholds(name)));
        assert!(new.iter().all(|(name, _)| facts.withholds(&[b"X-", &name[..]].concat())));
    };
    grows_no_faster(1000, |count| effort::of(|| all_of(count)));
}
