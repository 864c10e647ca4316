//! What is known to differ from what the suite asks, and why: `tests/data/conformance/known`.
//!
//! ```text
//! # a comment
//! both: a reason, in one line, for tests that differ in each configuration of Twice
//!     test-id test-id
//!     test-id
//! default: a reason for tests that differ in this configuration
//!     test-id
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::suite::{Outcome, Test, by_id};

/// What is known of one configuration: the tests of each reason, in the file's order.
pub struct Known {
    reasons: Vec<(String, Vec<String>)>,
}

impl Known {
    /// Reads the file's text for one of the configurations `ways`.
    pub fn parse(text: &str, way: &str, ways: &[&str]) -> Result<Self, String> {
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
                    reasons.last_mut().map(|(_, ids)| ids.push(id.to_owned()));
                }
                continue;
            }
            let Some((whose, reason)) = line.split_once(": ") else {
                return bad("neither a reason nor tests");
            };
            if whose != "both" && !ways.contains(&whose) {
                return bad("no such configuration");
            }
            ours = Some(whose == "both" || whose == way);
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
