//! Purges as they are written down.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::board::Purge;
use twice_core::journal::{Noted, Records};

fn purges() -> impl Strategy<Value = Vec<(u8, u64, Vec<u8>, bool, u64)>> {
    let text = proptest::collection::vec(any::<u8>(), 0..496);
    proptest::collection::vec((0..3u8, any::<u64>(), text, any::<bool>(), any::<u64>()), 0..8)
}

fn noted((kind, mark, text, soft, stamp): &(u8, u64, Vec<u8>, bool, u64)) -> Noted<'_> {
    let what = match kind {
        0 => Purge::All,
        1 => Purge::Mark(*mark),
        _ => Purge::Prefix(text),
    };
    Noted { what, soft: *soft, stamp: *stamp }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_is_written_is_read(purges in purges()) {
        let bytes: Vec<u8> = purges.iter().flat_map(|p| noted(p).encode()).collect();
        let mut records = Records::new(&bytes);
        let read: Vec<_> = records.by_ref().collect();
        let written: Vec<_> = purges.iter().map(noted).collect();
        prop_assert_eq!(read, written);
        prop_assert!(records.is_at_end());
    }

    #[test]
    fn what_is_cut_or_damaged_ends_the_reading_and_is_told(purges in purges(), at in any::<usize>(), bits in 1..=255u8, cut in any::<bool>()) {
        let mut bytes: Vec<u8> = purges.iter().flat_map(|p| noted(p).encode()).collect();
        prop_assume!(!bytes.is_empty());
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= bits }
        let mut records = Records::new(&bytes);
        let read: Vec<_> = records.by_ref().collect();
        let written: Vec<_> = purges.iter().map(noted).collect();
        prop_assert!(written.starts_with(&read));
        prop_assert!(read.len() < written.len());
        // A cut between two records can't be told.
        let ends: usize = written.iter().take(read.len()).map(|n| n.encode().len()).sum();
        prop_assert!(!records.is_at_end() || cut && ends == at);
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Records::new(&bytes).count() <= bytes.len());
    }
}
