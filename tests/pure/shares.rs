use crate::property::cases;
use proptest::prelude::*;
use twice_core::shares::{MOST, Parts, Share, Shares, TooFew};
use twice_core::store::Geometry;

const SLOTS: u32 = 1024;
const M: usize = 1 << 20;

fn shares(elements: &str, local: &str) -> Shares {
    let share =
        |text: &str, default: Share| if text.is_empty() { default } else { Share::parse(text).unwrap() };
    let Shares { elements: e, local: l } = Shares::default();
    Shares { elements: share(elements, e), local: share(local, l) }
}

#[test]
fn a_share_is_a_whole_percentage_up_to_50() {
    for (text, percent) in [("0%", 0), ("1%", 1), ("05%", 5), ("50%", 50)] {
        assert_eq!(Share::parse(text), Some(Share::Percent(percent)), "{text}");
    }
    for text in ["", "%", "5", "51%", "100%", "-1%", "+1%", "1.5%", " 1%", "1 %", "1%%", "300%", "5m"] {
        assert_eq!(Share::parse(text), None, "{text}");
    }
}

#[test]
fn what_zones_have_beside_their_pages() {
    let kilobytes = |zone, elements, local| {
        Parts::of(zone, shares(elements, local), SLOTS).map(|parts| (parts.elements >> 10, parts.local >> 10))
    };
    let least = 88;
    // What nobody said anything of: by the zone's size.
    assert_eq!(kilobytes(256 * M, "", ""), Ok((13104, 5240)));
    assert_eq!(kilobytes(16 * M, "", ""), Ok((816, 324)));
    // At least what makes a store, from 2 MB on.
    assert_eq!(kilobytes(2 * M, "", ""), Ok((100, least)));
    assert_eq!(kilobytes(2 * M - 1, "", ""), Ok((100, 0)));
    assert_eq!(kilobytes(M, "", ""), Ok((0, 0)));
    // What somebody said is so, or is refused.
    assert_eq!(kilobytes(256 * M, "0%", "0%"), Ok((0, 0)));
    assert_eq!(kilobytes(M, "10%", "50%"), Ok((100, 508)));
    assert_eq!(kilobytes(2 * M, "0%", "2%"), Err(TooFew { name: "local", least: 5 }));
    assert_eq!(kilobytes(M, "8%", "0%"), Err(TooFew { name: "elements", least: 9 }));
    // What is named does: a percent of a zone is rounded down, so that 9 % of this one are four bytes too few.
    assert_eq!(kilobytes(1_001_245, "8%", "0%"), Err(TooFew { name: "elements", least: 10 }));
    assert_eq!(kilobytes(1_001_245, "10%", "0%"), Ok((96, 0)));
    assert_eq!(kilobytes(64 << 10, "50%", "0%"), Err(TooFew { name: "elements", least: 138 }));
}

fn percent() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), (0..=MOST).prop_map(|percent| format!("{percent}%"))]
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_part_makes_a_store_or_is_nothing(
        zone in prop_oneof![0..4 * M, 0..2000 * M],
        elements in percent(),
        local in percent(),
        slots in 1..2000u32,
    ) {
        let shares = shares(&elements, &local);
        let parts = match Parts::of(zone, shares, slots) {
            Ok(parts) => parts,
            Err(TooFew { name, least }) => {
                // What is named does, where it is allowed.
                let named = Share::parse(&format!("{least}%")).into_iter().map(|share| match name {
                    "elements" => Shares { elements: share, ..shares },
                    _ => Shares { local: share, ..shares },
                });
                for shares in named {
                    let again = Parts::of(zone, shares, slots);
                    prop_assert!(again.is_ok_and(|parts| parts.sum() > 0) || again.is_err_and(|why| why.name != name));
                }
                return Ok(());
            }
        };
        for (bytes, text) in [(parts.elements, &elements), (parts.local, &local)] {
            prop_assert!(bytes == 0 || Geometry::for_len(bytes, slots).is_ok());
            prop_assert!(bytes > 0 || text == "0%" || text.is_empty() && zone < 2 * M);
            prop_assert!(bytes.is_multiple_of(4096));
        }
        prop_assert!(zone < 2 * M || slots > 1024 || parts.sum() < zone);
    }
}
