//! Tests of snapshots: round trips, and damage of every kind.

mod model;

use crate::property::cases;
use model::{CONTENT, Damage, MOST, Page, Written, read, run, write};
use proptest::prelude::*;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use twice_core::snapshot::{OpenError, Reader, Record, Step, Tally, Writer};

const SEED: [u8; 16] = *b"0123456789abcdef";

fn page(n: u64, len: usize) -> Page {
    Page {
        times: [n, n + 1, n + 2],
        windows: [n as u32, 9],
        began: n + 1,
        tag: !n,
        proven: n.is_multiple_of(2),
        counter: n.is_multiple_of(3),
        key: format!("key {n}").into_bytes(),
        value: (0..len).map(|i| (i as u64 * 31 + n) as u8).collect(),
    }
}

fn pages() -> impl Strategy<Value = Vec<Page>> {
    let bytes = |most: usize| prop::collection::vec(any::<u8>(), 0..most);
    let one =
        (any::<[u64; 3]>(), any::<[u32; 2]>(), any::<[u64; 2]>(), any::<[bool; 2]>(), bytes(40), bytes(400));
    let one = one.prop_map(|(times, windows, [began, tag], [proven, counter], key, value)| Page {
        times,
        windows,
        began,
        tag,
        proven,
        counter,
        key,
        value,
    });
    prop::collection::vec(one, 0..12)
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = 0..6000usize;
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip { at, bits }),
        place.clone().prop_map(|at| Damage::Cut { at }),
        (place.clone(), 1..1500usize).prop_map(|(at, len)| Damage::Remove { at, len }),
        (place.clone(), prop::collection::vec(any::<u8>(), 1..300))
            .prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
        (place.clone(), 1..3000usize, place).prop_map(|(from, len, to)| Damage::Copy { from, len, to }),
    ]
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn what_is_written_is_read(pages in pages(), seed in any::<[u8; 16]>()) {
        let (found, tally) = read(&write(&pages, seed).bytes, MOST).unwrap();
        prop_assert_eq!(tally, Tally { whole: pages.len() as u64, ..Tally::default() });
        prop_assert_eq!(found, pages);
    }

    #[test]
    fn damage_costs_what_it_touches_and_no_more(pages in pages(), seed in any::<[u8; 16]>(), damage in damage()) {
        run(&pages, seed, &damage);
    }
}

#[test]
fn every_byte_and_every_cut_of_a_snapshot() {
    let pages: Vec<Page> = (0..4).map(|n| page(n, 20)).collect();
    let len = write(&pages, SEED).bytes.len();
    for at in 0..len {
        run(&pages, SEED, &Damage::Flip { at, bits: 1 << (at % 8) });
        run(&pages, SEED, &Damage::Cut { at });
        for stretch in [1, 7, 8, 63, 64, 100] {
            run(&pages, SEED, &Damage::Remove { at, len: stretch });
            run(&pages, SEED, &Damage::Insert { at, bytes: vec![0; stretch] });
        }
    }
}

#[test]
fn the_lost_are_counted() {
    let pages: Vec<Page> = (0..10).map(|n| page(n, 100)).collect();
    let written = write(&pages, SEED);
    let tally_of = |bytes: &[u8]| read(bytes, MOST).unwrap().1;

    let mut bytes = written.bytes.clone();
    for n in [0, 4, 9] {
        bytes[written.places[n].start + 70] ^= 1;
    }
    assert_eq!(tally_of(&bytes), Tally { whole: 7, damaged: 3, ..Tally::default() });
    // Heads, too.
    bytes[written.places[5].start + 20] ^= 1;
    assert_eq!(tally_of(&bytes), Tally { whole: 6, damaged: 4, ..Tally::default() });
    // Without its end nobody knows how many there were.
    bytes.truncate(written.places[8].end - 1);
    assert_eq!(tally_of(&bytes), Tally { whole: 5, damaged: 4, cut: true, ..Tally::default() });
}

#[test]
fn either_end_is_enough() {
    let pages: Vec<Page> = (0..3).map(|n| page(n, 100)).collect();
    let written = write(&pages, SEED).bytes;
    let mut without_begin = written.clone();
    without_begin[..64].fill(0);
    assert_eq!(read(&without_begin, MOST).unwrap().0, pages);
    for bytes in [&written, &without_begin] {
        assert_eq!(Reader::open(Cursor::new(bytes), CONTENT, MOST).unwrap().written_ms(), 1234);
    }
    assert_eq!(read(&written[100..], MOST).unwrap().0, pages[1..]);
    let (found, tally) = read(&written[..written.len() - 1], MOST).unwrap();
    assert_eq!((found, tally.cut), (pages, true));
    without_begin.truncate(written.len() - 64);
    assert!(matches!(read(&without_begin, MOST), Err(OpenError::Foreign)));
}

#[test]
fn another_version_is_told_from_something_else() {
    let good = write(&[page(1, 100)], SEED).bytes;
    let open = |bytes: &[u8], content| Reader::open(Cursor::new(bytes), content, MOST).map(|_| ());
    assert!(open(&good, CONTENT).is_ok());
    assert!(matches!(open(&good, CONTENT + 1), Err(OpenError::Version)));
    let mut other = good.clone();
    let end = other.len() - 64;
    for at in [8, end + 8] {
        other[at] = 200;
    }
    assert!(matches!(open(&other, CONTENT), Err(OpenError::Version)));
    // One of the two is damage.
    other[8] = good[8];
    assert!(open(&other, CONTENT).is_ok());
    for foreign in [&b""[..], b"x", &[0; 64], &[0; 1000], &[b'x'; 100_000], &good[64..good.len() - 64]] {
        assert!(matches!(open(foreign, CONTENT), Err(OpenError::Foreign)), "{} bytes", foreign.len());
    }
}

#[test]
fn a_page_that_holds_a_snapshot_is_a_page() {
    let inner = write(&[page(5, 100), page(6, 100)], [9; 16]).bytes;
    let outer = vec![page(1, 10), Page { value: inner, ..page(2, 0) }, page(3, 10)];
    let written = write(&outer, SEED);
    assert_eq!(read(&written.bytes, MOST).unwrap().0, outer);
    let mut bytes = written.bytes;
    bytes[written.places[1].start + 30] ^= 1;
    assert_eq!(read(&bytes, MOST).unwrap().0, [outer[0].clone(), outer[2].clone()]);
}

#[test]
fn a_copy_of_a_stretch_brings_its_pages_again() {
    let pages: Vec<Page> = (0..5).map(|n| page(n, 50)).collect();
    let written = write(&pages, SEED);
    let (from, to) = (written.places[3].start, written.places[1].start);
    let mut bytes = written.bytes.clone();
    bytes.splice(to..to, written.bytes[from..].iter().copied());
    let (found, tally) = read(&bytes, MOST).unwrap();
    assert_eq!(found, [0, 3, 4, 1, 2, 3, 4].map(|n: usize| pages[n].clone()));
    assert_eq!(tally, Tally { whole: 7, ..Tally::default() });
}

#[test]
fn pages_above_the_limit_are_passed_over() {
    let pages: Vec<Page> =
        [10, 700_000, 300_000, 20].into_iter().zip(0..).map(|(len, n)| page(n, len)).collect();
    let bytes = write(&pages, SEED).bytes;
    assert_eq!(read(&bytes, MOST).unwrap().0, pages);
    let (found, tally) = read(&bytes, 300_000).unwrap();
    assert_eq!(found, [pages[0].clone(), pages[3].clone()]);
    assert_eq!(tally, Tally { whole: 2, too_large: 2, ..Tally::default() });
}

/// A file that yields a few bytes at a time, or an error at one place.
struct Slow {
    bytes: Cursor<Vec<u8>>,
    step: usize,
    fails_at: u64,
}

impl Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let at = self.bytes.position();
        if at >= self.fails_at {
            return Err(io::Error::other("a bad sector"));
        }
        let most = self.step.min(buf.len()).min((self.fails_at - at) as usize);
        self.bytes.read(&mut buf[..most])
    }
}

impl Seek for Slow {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn short_reads_and_failing_ones() {
    let pages: Vec<Page> = (0..20).map(|n| page(n, 1000)).collect();
    let Written { bytes, places } = write(&pages, SEED);
    let slow = Slow { bytes: Cursor::new(bytes.clone()), step: 13, fails_at: u64::MAX };
    let mut reader = Reader::open(slow, CONTENT, MOST).unwrap();
    for page in &pages {
        assert!(matches!(reader.step().unwrap(), Step::Record(record) if Page::of(&record) == *page));
    }
    assert!(matches!(reader.step().unwrap(), Step::End));

    // A sector that can't be read, where no end is.
    let mut slow = Slow { bytes: Cursor::new(bytes), step: 13, fails_at: u64::MAX };
    slow.bytes.get_mut().truncate(places[10].end);
    slow.fails_at = places[3].start as u64 + 5;
    assert!(matches!(Reader::open(slow, CONTENT, MOST), Err(OpenError::Io(_))));
}

#[test]
fn a_full_disk_is_told() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let page = page(1, 1000);
    let record: Record<'_> = page.record();
    assert!(Writer::new(Full(63), CONTENT, SEED, 0).is_err());
    let mut writer = Writer::new(Full(64 + 1200), CONTENT, SEED, 0).unwrap();
    writer.add(&record).unwrap();
    assert_eq!(writer.add(&record).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(Writer::new(Full(64 + 63), CONTENT, SEED, 0).unwrap().finish().is_err());
}
