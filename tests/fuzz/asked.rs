//! Conditions of clients, what answers without a body make of a stored page, and who audits a page: whatever the lines are.

use twice_core::audit::{Visitor, head_len, read_head, write_head};
use twice_core::conditional::{
    Conditions, Validators, Verdict, evaluate, http_date, if_range, is_alike, is_tag,
};
use twice_core::cookies;
use twice_core::page::{Behind, FIXED, Fixed, Head, Program, encode_prefix};
use twice_core::reference::{Base, on_same_origin};
use twice_core::renewal::{Line, Origin, cold, is_of_this_answer};

/// Two rows of lines, which an empty line divides: what was asked or stored, and what is said of it later.
pub fn run(lines: &[u8]) {
    let mut rows = lines.split(|&b| b == b'\n').map(line);
    let first: Vec<Line> = rows.by_ref().take_while(|line| !line.0.is_empty()).collect();
    let second: Vec<Line> = rows.filter(|line| !line.0.is_empty()).collect();
    conditions(&first, &second);
    renewal(first, &second);
    garbage(lines);
    visitors(lines);
    reference(lines);
}

fn line(text: &[u8]) -> Line {
    let at = text.iter().position(|&b| b == b':').unwrap_or(text.len());
    (text[..at].to_vec(), text.get(at + 1..).unwrap_or_default().trim_ascii().to_vec())
}

fn value<'a>(lines: &'a [Line], lower: &str) -> Option<&'a [u8]> {
    lines.iter().find(|line| line.0.eq_ignore_ascii_case(lower.as_bytes())).map(|line| line.1.as_slice())
}

fn conditions(page: &[Line], asked: &[Line]) {
    let validators = Validators {
        etag: value(page, "etag").unwrap_or_default(),
        last_modified: value(page, "last-modified").and_then(http_date),
        made: value(page, "date").and_then(http_date).unwrap_or(1_700_000_000),
    };
    let conditions = Conditions {
        if_match: value(asked, "if-match"),
        if_none_match: value(asked, "if-none-match"),
        if_modified_since: value(asked, "if-modified-since"),
        if_unmodified_since: value(asked, "if-unmodified-since"),
    };
    match evaluate(&conditions, &validators) {
        Verdict::NotModified(tag) => {
            assert!(conditions.if_none_match.is_some() || conditions.if_modified_since.is_some());
            // A client finds its copy by it: it is the page's own, or one that says the same.
            assert!(tag == validators.etag || is_alike(tag, validators.etag));
        }
        Verdict::Failed => {
            assert!(conditions.if_match.is_some() || conditions.if_unmodified_since.is_some());
        }
        Verdict::Send => {}
    }
    // What was sent with a good tag is known by that tag alone, in any list, and a part of it by a strong one.
    if is_tag(validators.etag) {
        for list in [validators.etag.to_vec(), [b"\"other\" , ", validators.etag, b",W/\"x\""].concat()] {
            let own = Conditions { if_none_match: Some(&list), ..Conditions::default() };
            assert_eq!(evaluate(&own, &validators), Verdict::NotModified(validators.etag));
            let own = Conditions { if_match: Some(&list), ..Conditions::default() };
            let weak = validators.etag.starts_with(b"W/");
            assert_eq!(evaluate(&own, &validators), if weak { Verdict::Failed } else { Verdict::Send });
        }
        assert_eq!(if_range(validators.etag, &validators), !validators.etag.starts_with(b"W/"));
    }
    if let Some(wanted) = value(asked, "if-range")
        && if_range(wanted, &validators)
    {
        let dated = http_date(wanted).is_some_and(|date| Some(date) == validators.last_modified);
        assert!(wanted == validators.etag || dated);
    }
}

/// Lines by name, in lower case; the lines of one name in their order.
fn by_name(lines: &[Line]) -> Vec<Line> {
    let mut all: Vec<Line> = lines.iter().map(|line| (line.0.to_ascii_lowercase(), line.1.clone())).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

fn renewal(lines: Vec<Line>, answer: &[Line]) {
    let mut origin = Origin { status: 200, body_len: lines.len() as u64, lines, ..Origin::default() };
    // What is sent: every second line as it came, and those of the answer.
    let sent: Vec<(&[u8], &[u8])> =
        origin.lines.iter().step_by(2).chain(answer).map(|l| (&l.0[..], &l.1[..])).collect();
    let behind = cold(&origin, &sent);
    let head = Head { status: 200, ..Head::default() };
    let known = Behind { cold_len: behind.len(), ..Behind::default() };
    let prefix = encode_prefix(&head, sent.iter().copied(), &Program::default(), &known);
    if let Some(prefix) = prefix {
        let fixed = Fixed::parse(&prefix[..FIXED]).unwrap();
        let read = Origin::read(&fixed, &prefix[..fixed.head_len()], &behind).unwrap();
        assert_eq!(by_name(&read.lines), by_name(&origin.lines));
    }
    let question = origin.question();
    if let Some(etag) = question.etag {
        // It goes out as a line of its own, and nothing of it may end the line or be a list.
        assert!(
            !etag.contains(&b'\r')
                && !etag.contains(&b'\n')
                && etag.iter().filter(|&&b| b == b'"').count() == 2
        );
        assert!(origin.is_meant(&[(b"ETag".to_vec(), etag.to_vec())]));
    }
    let _ = (origin.is_meant(answer), origin.of_head(200, answer, Some(1)));
    let bytes = |origin: &Origin| value(&origin.lines, "content-type").map(<[u8]>::to_vec);
    let before = origin.clone();
    origin.renew(answer);
    assert_eq!(bytes(&origin), bytes(&before));
    // A guard's token is in no page that is stored.
    let mut of_answer = answer.iter().filter(|line| is_of_this_answer(&line.0));
    assert!(of_answer.all(|line| before.lines.contains(line) || !origin.lines.contains(line)));
    let once = origin.clone();
    origin.renew(answer);
    assert_eq!(origin, once);
}

/// The bytes as what is stored.
fn garbage(bytes: &[u8]) {
    let head = Head { status: 200, etag: b"\"a\"", ..Head::default() };
    let known = Behind { cold_len: bytes.len(), ..Behind::default() };
    let Some(prefix) = encode_prefix(&head, std::iter::empty(), &Program::default(), &known) else { return };
    let fixed = Fixed::parse(&prefix).unwrap();
    if let Some(origin) = Origin::read(&fixed, &prefix, bytes) {
        // Each line has a byte of its own in what was read.
        assert!(origin.lines.len() <= bytes.len() + 1);
    }
    if head_len(bytes).is_some_and(|len| len <= bytes.len()) {
        let head = &bytes[..head_len(bytes).unwrap()];
        let visitor = read_head(head).unwrap();
        assert_eq!(write_head(&visitor), head);
    }
}

fn visitors(text: &[u8]) {
    let hash =
        |bytes: &[u8]| bytes.iter().fold(7u64, |hash, &b| hash.wrapping_mul(31).wrapping_add(u64::from(b)));
    let (one, other) = text.split_at(text.len() / 2);
    let of = |text: &[u8]| Visitor::new(cookies::pairs(text), text.split(|&b| b == b'\n').skip(1), hash);
    let (one, other) = (of(one), of(other));
    assert!(!one.differs_from(&one));
    assert_eq!(one.differs_from(&other), other.differs_from(&one));
    for visitor in [one, other] {
        assert_eq!(read_head(&write_head(&visitor)).as_ref(), Some(&visitor));
    }
}

fn reference(text: &[u8]) {
    let base = Base { scheme: b"http", host: b"example.com", port: 80, target: b"/a/b?c" };
    if let Some(target) = on_same_origin(text, base) {
        assert!(target.starts_with(b"/"), "{}", target.escape_ascii());
        assert!(!target.iter().any(|&b| b <= b' ' || b == 0x7f || b == b'#'));
    }
}
