//! What a language tag looks like (RFC 5646).

use super::MAX_TAG;

/// Whether a text is a language tag of RFC 5646 2.1, but for the few that were registered before there were rules.
pub fn is_well_formed(tag: &str) -> bool {
    let mut parts = tag.split('-').peekable();
    if tag.len() > MAX_TAG || !tag.split('-').all(is_part) {
        return false;
    }
    let alpha = |part: &str, lens: &[usize]| {
        lens.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic())
    };
    let Some(language) = parts.next() else { return false };
    if !language.eq_ignore_ascii_case("x") {
        if !alpha(language, &[2, 3, 4, 5, 6, 7, 8]) {
            return false;
        }
        if language.len() <= 3 {
            for _ in 0..3 {
                parts.next_if(|part| alpha(part, &[3]));
            }
        }
        parts.next_if(|part| alpha(part, &[4]));
        parts
            .next_if(|part| alpha(part, &[2]) || part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit()));
        let variant = |part: &&str| {
            part.len() >= 5 || part.len() == 4 && part.starts_with(|first: char| first.is_ascii_digit())
        };
        while parts.next_if(variant).is_some() {}
        // Extensions: a single letter or digit other than x, and what it says.
        while parts.next_if(|part| part.len() == 1 && !part.eq_ignore_ascii_case("x")).is_some() {
            if parts.next_if(|part| part.len() >= 2).is_none() {
                return false;
            }
            while parts.next_if(|part| part.len() >= 2).is_some() {}
        }
        match parts.next() {
            None => return true,
            Some(part) if part.eq_ignore_ascii_case("x") => {}
            Some(_) => return false,
        }
    }
    // Private use: whatever comes, but something.
    parts.next().is_some()
}

fn is_part(part: &str) -> bool {
    (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
}
