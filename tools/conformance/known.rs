//! What is known to differ from what the suite asks, and why: `tests/data/conformance/known`.
//!
//! ```text
//! # a comment
//! both: a reason, in one line, for tests that differ in each configuration of Twice
//!     test-id test-id
//!     test-id
//! default: a reason for tests that differ in this configuration
//!     test-id
//! both from 1.23: a reason that holds from this version of nginx on
//!     test-id
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::suite::{Outcome, Test, by_id};

/// What is known of one configuration: the tests of each reason, in the file's order.
pub struct Known {
    reasons: Vec<(String, Vec<String>)>,
}

impl Known {
    /// Reads the file's text for one of the configurations `ways` and a version of nginx.
    pub fn parse(text: &str, way: &str, ways: &[&str], nginx: (u32, u32)) -> Result<Self, String> {
        let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
        let mut seen = BTreeSet::new();
        // Whether the reason at hand is for this configuration; None before the first.
        let mut ours = None;
        for (number, line) in text.lines().enumerate() {
            let bad = |why: &str| Err(format!("line {}: {why}: {line}", number + 1));
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with(' ') {
                let Some(ours) = ours else { return bad("tests without a reason") };
                for id in line.split_whitespace().filter(|_| ours) {
                    if !seen.insert(id.to_owned()) {
                        return bad(&format!("{id} stands there twice"));
                    }
                    if let Some((_, ids)) = reasons.last_mut() {
                        ids.push(id.to_owned());
                    }
                }
                continue;
            }
            let Some((whose, reason)) = line.split_once(": ") else {
                return bad("neither a reason nor tests");
            };
            let (whose, since) = match whose.split_once(" from ") {
                None => (whose, Some((0, 0))),
                Some((whose, version)) => (whose, numbers(version)),
            };
            let Some(since) = since else { return bad("no such version") };
            if whose != "both" && !ways.contains(&whose) {
                return bad("no such configuration");
            }
            ours = Some((whose == "both" || whose == way) && nginx >= since);
            if ours == Some(true) {
                reasons.push((reason.to_owned(), Vec::new()));
            }
        }
        Ok(Self { reasons })
    }

    /// The tests of each reason.
    pub fn reasons(&self) -> &[(String, Vec<String>)] {
        &self.reasons
    }

    fn has(&self, id: &str) -> bool {
        self.reasons.iter().any(|(_, ids)| ids.iter().any(|known| known == id))
    }

    /// What is otherwise than known, by test.
    pub fn surprises(&self, tests: &[Test]) -> BTreeMap<String, String> {
        let all = by_id(tests);
        let mut surprises = BTreeMap::new();
        for test in tests {
            let why = match (test.outcome, self.has(&test.id)) {
                (Outcome::Passed, false) | (Outcome::Failed | Outcome::Disturbed, true) => continue,
                (Outcome::Untold, false) if self.excuses(test, &all) => continue,
                (Outcome::Passed, true) => "is known to fail, and passes".to_owned(),
                (Outcome::Untold, _) => "could not be told: what it builds on failed".to_owned(),
                (Outcome::Failed | Outcome::Disturbed, false) => format!("fails: {}", test.why),
            };
            surprises.insert(test.id.clone(), why);
        }
        for id in self.reasons.iter().flat_map(|(_, ids)| ids) {
            if !all.contains_key(id.as_str()) {
                surprises.insert(id.clone(), "is known to fail, and the suite has no such test".to_owned());
            }
        }
        surprises
    }

    /// Whether a test can't be told because one that it builds on is known to fail. The suite's tests build on each
    /// other in no circle.
    fn excuses(&self, test: &Test, all: &BTreeMap<&str, &Test>) -> bool {
        test.depends_on.iter().any(|id| {
            self.has(id)
                || all
                    .get(id.as_str())
                    .is_some_and(|test| test.outcome == Outcome::Untold && self.excuses(test, all))
        })
    }
}

/// A version such as `1.23`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Kind;

    const WAYS: [&str; 2] = ["default", "all"];
    const TEXT: &str = "# why\n\nboth: it is so\n    a b\n    c\nall: in this one\n    d\n";

    /// What the suite said: a test's name, what came of it, what it builds on.
    fn tests(told: &[(&str, Outcome, &str)]) -> Vec<Test> {
        let test = |&(id, outcome, on): &(&str, Outcome, &str)| Test {
            id: id.to_owned(),
            group: "a group".to_owned(),
            kind: Kind::Required,
            depends_on: on.split_whitespace().map(str::to_owned).collect(),
            outcome,
            why: "why".to_owned(),
        };
        told.iter().map(test).collect()
    }

    fn surprises(way: &str, told: &[(&str, Outcome, &str)]) -> Vec<String> {
        Known::parse(TEXT, way, &WAYS, (1, 22)).unwrap().surprises(&tests(told)).into_keys().collect()
    }

    #[test]
    fn what_is_as_known_is_no_surprise() {
        use Outcome::{Disturbed, Failed, Passed, Untold};
        let told = [
            ("a", Failed, ""),
            ("b", Disturbed, ""),
            ("c", Failed, ""),
            ("d", Passed, ""),
            ("e", Untold, "d a"),
            // It builds on one that can't be told for what is known.
            ("f", Untold, "e"),
        ];
        assert_eq!(surprises("default", &told), [""; 0]);
        assert_eq!(surprises("all", &told), ["d"]);
    }

    #[test]
    fn whatever_else_differs_is_told() {
        use Outcome::{Disturbed, Failed, Passed, Untold};
        let told = [
            // Known, and passes; known, and can't be told; known, and not there: "c".
            ("a", Passed, ""),
            ("b", Untold, "a"),
            ("g", Failed, ""),
            ("h", Disturbed, ""),
            // What it builds on is not known to fail.
            ("i", Untold, "g"),
            ("j", Untold, "i"),
            ("k", Passed, "g"),
        ];
        assert_eq!(surprises("default", &told), ["a", "b", "c", "g", "h", "i", "j"]);
    }

    #[test]
    fn reasons_are_those_of_the_configuration() {
        let reasons = |way| Known::parse(TEXT, way, &WAYS, (1, 22)).unwrap().reasons().to_vec();
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let shared = ("it is so".to_owned(), ids(&["a", "b", "c"]));
        assert_eq!(reasons("default"), std::slice::from_ref(&shared));
        assert_eq!(reasons("all"), [shared, ("in this one".to_owned(), ids(&["d"]))]);
    }

    #[test]
    fn a_reason_may_hold_from_a_version_on() {
        let text = "both from 1.23: it is so\n    a\n";
        let reasons = |nginx| Known::parse(text, "all", &WAYS, nginx).unwrap().reasons().len();
        assert_eq!([(1, 22), (1, 23), (1, 28), (2, 0)].map(reasons), [0, 1, 1, 1]);
    }

    #[test]
    fn a_mistake_in_the_file_is_told() {
        for text in [
            "both from old: reason\n    a\n",
            "    a\n",
            "both a\n",
            "some: reason\n",
            "both: one\n    a\nboth: two\n    b a\n",
        ] {
            assert!(Known::parse(text, "all", &WAYS, (1, 22)).is_err(), "{text}");
        }
    }
}
