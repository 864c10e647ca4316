//! The store's own account, which the master logs at its exit for a zone with `snapshot=FILE`:
//!
//! `twice: zone "NAME" accounts for all its units: arena=N free=N live=N pending=N zombie=N entries=N`

/// Units of the arena by what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub arena: u64,
    pub free: u64,
    pub live: u64,
    pub pending: u64,
    pub zombie: u64,
    pub entries: u64,
}

/// The account of a zone; an error if the log has none, more than one, or one that can't be read.
pub fn find(log: &str, zone: &str) -> Result<Account, String> {
    let start = format!("twice: zone \"{zone}\" accounts for all its units: ");
    let mut lines = log.lines().filter_map(|line| Some(line.split_once(&start)?.1));
    let line = lines.next().ok_or_else(|| {
        format!("nginx logged no line \"{start}arena=N ...\" at its exit: nobody has checked the store")
    })?;
    if lines.next().is_some() {
        return Err(format!("more than one line \"{start}\""));
    }
    let figure = |name: &str| {
        let mut words = line.split([' ', ',']).filter_map(|word| word.split_once('='));
        let value = words.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok());
        value.ok_or_else(|| format!("no figure {name} in \"{line}\""))
    };
    Ok(Account {
        arena: figure("arena")?,
        free: figure("free")?,
        live: figure("live")?,
        pending: figure("pending")?,
        zombie: figure("zombie")?,
        entries: figure("entries")?,
    })
}

impl Account {
    /// What is wrong with it when nobody fills or reads a page any more; none if nothing is. `used`: the zone has held
    /// pages before.
    pub fn flaw(&self, used: bool) -> Option<String> {
        let Self { arena, free, live, pending, zombie, entries } = *self;
        if free + live + pending + zombie != arena {
            Some(format!("units are lost: {self:?}"))
        } else if pending != 0 || zombie != 0 {
            Some(format!("what the dead held was not taken back: {self:?}"))
        } else if used && (entries == 0 || live == 0) {
            Some(format!("the pages are gone: {self:?}"))
        } else {
            None
        }
    }
}

/// The checker is checked.
pub fn prove_the_checker() {
    let line = |text: &str| {
        format!("2025/01/01 [notice] 1#1: twice: zone \"pages\" accounts for all its units: {text}\n")
    };
    let good = "arena=100 free=30 live=70 pending=0 zombie=0 entries=9";
    let parsed = find(&line(good), "pages");
    assert_eq!(parsed, Ok(Account { arena: 100, free: 30, live: 70, pending: 0, zombie: 0, entries: 9 }));
    let flaw = |text: &str| find(&line(text), "pages").map(|account| account.flaw(true).is_some());
    assert_eq!(flaw(good), Ok(false));
    for bad in [
        "arena=100 free=30 live=69 pending=0 zombie=0 entries=9",
        "arena=100 free=30 live=69 pending=1 zombie=0 entries=9",
        "arena=100 free=30 live=69 pending=0 zombie=1 entries=9",
        "arena=100 free=100 live=0 pending=0 zombie=0 entries=0",
    ] {
        assert_eq!(flaw(bad), Ok(true), "{bad}");
    }
    assert!(find("", "pages").is_err() && find(&line(good), "other").is_err());
    assert!(find(&line("arena=100 free=30"), "pages").is_err());
    assert!(find(&(line(good) + &line(good)), "pages").is_err());
}
