//! The words of `$twice_cache_status` and `$twice_reason`.

use std::collections::HashSet;

use twice_core::outcome::{CacheStatus, Reason, ReasonKind};

#[test]
fn each_reason_has_a_word_of_its_own() {
    let mut seen = HashSet::new();
    for reason in Reason::ALL {
        let word = reason.as_str();
        assert!(seen.insert(word), "{word} stands for two");
        // Stable in logs, metrics and structured headers (RFC 9211 detail is a token).
        assert!(!word.is_empty() && word.len() <= 32, "{word}");
        assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{word}");
        assert!(!word.starts_with('_') && !word.ends_with('_'), "{word}");
    }
}

#[test]
fn each_reason_speaks_of_something() {
    for kind in [ReasonKind::Stored, ReasonKind::NotLookedUp, ReasonKind::NotStored] {
        assert!(Reason::ALL.iter().any(|reason| reason.kind() == kind), "{kind:?}");
    }
    for (reason, kind) in [
        (Reason::Hit, ReasonKind::Stored),
        (Reason::Stored, ReasonKind::Stored),
        (Reason::Method, ReasonKind::NotLookedUp),
        (Reason::HostMismatch, ReasonKind::NotLookedUp),
        (Reason::Status, ReasonKind::NotStored),
        (Reason::TooLarge, ReasonKind::NotStored),
    ] {
        assert_eq!(reason.kind(), kind, "{reason:?}");
    }
}

#[test]
fn the_status_words_are_nginxs_own() {
    let nginx = ["MISS", "BYPASS", "EXPIRED", "STALE", "UPDATING", "REVALIDATED", "HIT"];
    let mut seen = HashSet::new();
    for status in CacheStatus::ALL {
        assert!(nginx.contains(&status.as_str()), "{status:?}");
        assert!(seen.insert(status.as_str()), "{status:?}");
    }
}
