//! What clients and origins send, read as the border hands it over: no input may panic, and what must hold of
//! every decision holds.

#![no_main]

mod asked;

use libfuzzer_sys::fuzz_target;
use twice_core::page::{FIXED, Fixed, View};
use twice_core::policy::{
    Factor, Facts, Fate, Guard, HeaderNames, Heuristic, Honor, MAX_LIFETIME, Rules, SetCookie, Statuses,
    Steer, Tags, Times, UseStale, Valid, Wanted, Windows, Withheld, decide, never_stored,
};
use twice_core::variants::MAX_DIMENSIONS;
use twice_core::{ab, cookies, geo, key, language, variants};

fuzz_target!(|data: &[u8]| {
    let (head, lines) = data.split_at(data.len().min(4));
    let mut head = head.iter().copied().chain([0; 4]);
    let mut next = || u16::from(head.next().unwrap_or(0));
    let status = 100 + (next() << 8 | next()) % 500;
    let options = next();
    response(status, options, lines);
    client(lines);
    stored(data);
    asked::run(lines);
});

/// Header lines, one each: `name:value`.
fn response(status: u16, options: u16, lines: &[u8]) {
    let names = HeaderNames::default();
    let mut facts = Facts::new(&names);
    let mut control = false;
    for line in lines.split(|&b| b == b'\n') {
        let at = line.iter().position(|&b| b == b':').unwrap_or(line.len());
        let (name, value) = (&line[..at], line.get(at + 1..).unwrap_or_default());
        let (fate, _) = facts.line(name, value);
        if name.eq_ignore_ascii_case(b"x-twice-control") {
            assert_eq!(fate, Fate::Strip);
            control = true;
        }
        if name.eq_ignore_ascii_case(b"set-cookie") {
            assert_eq!(fate, Fate::Once);
        }
    }
    let mut valid = Valid::default();
    if options & 1 != 0 {
        let _ = valid.add("any", 60);
    }
    let tags = [Tags::Off, Tags::Marked, Tags::Guarded, Tags::All][usize::from(options >> 1) % 4];
    let honors = [
        Honor::default(),
        Honor::parse(["Surrogate-Control", "X-Accel-Expires", "CDN-Cache-Control", "Cache-Control"]).unwrap(),
        Honor::parse(["off"]).unwrap(),
    ];
    let honor = &honors[usize::from(options >> 6) % 3];
    let statuses = if options & 2 == 0 { Statuses::default() } else { Statuses::Any };
    let rules = Rules {
        valid: &valid,
        honor,
        statuses: &statuses,
        heuristic: Heuristic { percent: (options % 101) as u8, max: 1000 },
        set_cookie: if options & 4 == 0 { SetCookie::Refuse } else { SetCookie::Drop },
        delay: u64::from(options >> 4),
        tags,
        type_has_tags: options & 8 != 0,
        authorization: options & 16 != 0,
        no_store: options & 32 != 0,
        stale_factor: Factor::DEFAULT,
        use_stale: UseStale::default_words(),
        now: 1_700_000_000,
    };
    let verdict = decide(status, &facts, &rules);
    if let Ok(seconds) = verdict.store {
        assert!(seconds > 0 || verdict.windows.stale_s > 0);
        assert!(seconds <= MAX_LIFETIME && !never_stored(status));
        assert!(!rules.no_store && !facts.varies.is_beyond() && !facts.encoded);
        assert!(facts.varies.dimensions(true, &Withheld::default()).len() <= MAX_DIMENSIONS);
        // What is honored alone, or first, and forbids, is obeyed.
        let first = *honor == honors[1] && facts.surrogate.is_none() && facts.accel.is_none();
        let targeted = facts.targeted.read(b"cdn-cache-control");
        if first && targeted.is_none() {
            assert!(!facts.cache_control.forbids(status));
        }
        if first && let Some(targeted) = targeted {
            assert!(!targeted.forbids(status));
        }
        assert!(honor.has(&Steer::Control) || verdict.age >= facts.dates.age.unwrap_or(0));
    }
    let guarded = facts.guard.token().is_some();
    assert!(!verdict.tags || tags != Tags::Off && (control || guarded || tags == Tags::All));
    // Text is no tag where a guard is demanded, or where one came that is none.
    assert!(!verdict.tags || guarded || tags != Tags::Guarded && facts.guard == Guard::Missing);
    for name in ["set-cookie", "location", "etag", "twice-guard", "X-Twice-Control"] {
        assert!(!facts.tag_headers.has(name.as_bytes()));
    }
}

fn client(text: &[u8]) {
    for (name, value) in cookies::pairs(text) {
        assert!(!name.contains(&b';') && !value.contains(&b';') && !name.contains(&b'='));
    }
    let tag = language::preferred(text);
    assert!(!tag.is_empty() && tag.len() <= 35 && language::matches(tag, tag));
    let mut wanted = Wanted::default();
    wanted.cache_control(text);
    wanted.pragma(text);
    let number = text.len() as u64;
    let times = Times { expires_ms: number * 100, windows: Windows { stale_s: 1, error_s: number as u32 } };
    wanted.at(times, number, number * 150);
    visitor(text);
    let (server, header) = text.split_at(text.len() / 2);
    if let Some(behind) = key::behind_host(server, header) {
        let port = behind.strip_prefix(b".").unwrap_or(behind);
        assert!(port.is_empty() || port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit));
        key::port_of(behind);
    }
}

/// What a site knows of a visitor, and what of a query counts.
fn visitor(text: &[u8]) {
    let languages = language::Languages::parse(["en", "de", "de-CH"]).unwrap();
    let given = languages.negotiate(text);
    assert!(["en", "de", "de-CH"].contains(&given.tag.as_str()));
    let hosts = language::Hosts::parse("https://*.example.com").unwrap();
    if let Some(language) = hosts.elsewhere(&languages, b"www.example.com", text) {
        assert!(["de", "de-ch"].contains(&language.lower.as_str()));
    }
    let test = ab::Test::parse("t", ["a=1", "b=0", "c=7"]).unwrap();
    assert!(["a", "c"].contains(&test.value(text)));
    assert!(!ab::is_id(text) || text.len() <= ab::MAX_ID);
    assert!(geo::country(text).is_none_or(|country| country == text));
    let mut ignored = key::Ignored::default();
    assert!(ignored.add("u*") && ignored.add("x"));
    let (mut left, mut again) = (Vec::new(), Vec::new());
    ignored.write_target(text, |piece| left.extend_from_slice(piece));
    ignored.write_target(&left, |piece| again.extend_from_slice(piece));
    assert!(left.len() <= text.len() && left == again);
}

fn stored(bytes: &[u8]) {
    if let Some(fixed) = Fixed::parse(bytes) {
        if let Some(head) = bytes.get(..fixed.head_len()).filter(|head| head.len() >= FIXED) {
            if let Some(view) = View::parse(&fixed, head) {
                assert!(view.headers().count() <= bytes.len());
            }
        }
        fixed.program(bytes);
    }
    if let Some(rules) = variants::Rules::parse(bytes) {
        assert_eq!(rules.encode(), bytes);
        assert!(Fixed::parse(bytes).is_none());
    }
    if let Some(view) = variants::View::parse(bytes) {
        assert!(view.dimensions().count() <= bytes.len());
    }
    assert!(variants::values_of(bytes).count() <= bytes.len());
    let mut joined = 0;
    variants::join(b"accept", bytes.split(|&b| b == b'\n'), |piece| joined += piece.len());
    assert!(joined <= bytes.len() + 2);
}
