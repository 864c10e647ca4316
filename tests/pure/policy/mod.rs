//! Tests of the core's policy: tables, one case a row.

mod age;
mod control;
mod decide;
mod fates;
mod fields;
mod guard;
mod heuristic;
mod honor;
mod names;
mod request;
mod stale;
mod statuses;
mod targeted;
mod valid;
mod varies;
mod withheld;

use std::sync::LazyLock;

use twice_core::policy::*;

/// Sun, 06 Nov 1994 08:49:37 GMT.
const NOW: i64 = 784_111_777;

type Lines<'a> = &'a [(&'a str, &'a str)];

static HONOR: LazyLock<Honor> = LazyLock::new(Honor::default);
static STATUSES: LazyLock<Statuses> = LazyLock::new(Statuses::default);

/// What a location says that says nothing.
fn rules(valid: &Valid) -> Rules<'_> {
    Rules {
        valid,
        tags: Tags::Marked,
        type_has_tags: true,
        honor: &HONOR,
        statuses: &STATUSES,
        heuristic: Heuristic::OFF,
        set_cookie: SetCookie::Refuse,
        authorization: false,
        no_store: false,
        stale_factor: Factor::DEFAULT,
        use_stale: UseStale::default_words(),
        now: NOW,
        delay: 0,
    }
}

fn verdict(status: u16, lines: Lines<'_>, rules: &Rules<'_>) -> Verdict {
    let names = HeaderNames::default();
    let mut facts = Facts::new(&names);
    for (name, value) in lines {
        facts.line(name.as_bytes(), value.as_bytes());
    }
    decide(status, &facts, rules)
}

fn honor(words: &str) -> Honor {
    Honor::parse(words.split(' ')).unwrap()
}
