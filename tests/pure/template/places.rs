//! `twice_escape auto`: which filter a tag gets in which place, whatever the cuts.

mod bits;
mod browsers;
mod languages;
mod markup;
mod readings;
mod values;

use super::rig::{self, Setup, same_program};
use twice_core::template::{Compiler, Escape, Start};

/// What stands for the tag in the pages of the tables.
const TAG: &str = "<& get cookie x &>";

/// Between them they tell all filters apart.
const VALUES: [&str; 5] = ["/a,b&c", "a'b:c/d,e (&\\n", "x.y-z", "7", "javascript:a"];

fn compile(page: &str, escape: Escape) -> Compiler {
    Setup { escape, ..Setup::default() }.compile([page.as_bytes()])
}

/// What a visitor gets with this value everywhere.
fn printed(compiler: &Compiler, value: &str) -> String {
    let bytes = rig::print(compiler, &Setup::default().limits, &|_, _| value.into());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// In each page `¤` is a tag: it gets these filters, or, with `!` before it, is refused with these words.
#[track_caller]
fn table(start: Start, rows: &[(&str, &str)]) {
    for (page, expected) in rows {
        let auto = compile(&page.replace('¤', TAG), Escape::Auto(start));
        let errors: Vec<&str> = auto.errors().iter().map(|error| error.kind.as_str()).collect();
        let same = match expected.strip_prefix('!') {
            None => {
                assert_eq!(errors, [""; 0], "{page}");
                format!("<& get cookie x | {expected} &>")
            }
            Some(place) => {
                assert!(errors.len() == 1, "{page}: {errors:?}, {}", printed(&auto, VALUES[0]));
                assert!(errors[0].contains(place), "{page}: {}", errors[0]);
                String::new()
            }
        };
        let same = compile(&page.replace('¤', &same), Escape::Auto(start));
        for value in VALUES {
            assert_eq!(printed(&auto, value), printed(&same, value), "{page}: not {expected}");
        }
        every_cut(&page.replace('¤', TAG), start);
    }
}

/// A page is the same program whatever its cuts.
#[track_caller]
fn every_cut(page: &str, start: Start) {
    let setup = Setup { escape: Escape::Auto(start), ..Setup::default() };
    let whole = setup.compile([page.as_bytes()]);
    for at in 0..=page.len() {
        same_program(&whole, &setup.compile(rig::cut(page.as_bytes(), &[at])));
    }
    same_program(&whole, &setup.compile(page.as_bytes().chunks(1)));
}
