//! A page as it lies in the store: what is written is read, and anything else is refused or harmless.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::page::{Behind, FIXED, Fixed, Head, LAYOUT, Program, View, encode_prefix};
use twice_core::varint::{self, Cursor};

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug)]
struct Written {
    status: u16,
    texts: [Vec<u8>; 6],
    time: i64,
    lines: Lines,
    slots: Vec<u8>,
    code: Vec<u8>,
    personal: bool,
    includes: bool,
    sources: bool,
    volatile: bool,
    tag_lines: Vec<u8>,
    literals: u32,
    cold: u32,
    generation: u64,
}

impl Written {
    fn head(&self) -> Head<'_> {
        let [content_type, charset, etag, last_modified, cache_control, location] = &self.texts;
        Head {
            status: self.status,
            content_type,
            charset,
            etag,
            last_modified,
            last_modified_time: self.time,
            cache_control,
            location,
            tag_lines: &self.tag_lines,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let program = Program {
            slots: &self.slots,
            code: &self.code,
            personal: self.personal,
            includes: self.includes,
            sources: self.sources,
            volatile: self.volatile,
        };
        let (literals_len, cold_len) = (self.literals as usize, self.cold as usize);
        let behind = Behind { literals_len, cold_len, generation: self.generation };
        let lines = self.lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        encode_prefix(&self.head(), lines, &program, &behind).unwrap()
    }
}

fn text(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), len)
}

fn written() -> impl Strategy<Value = Written> {
    let texts = [text(0..40), text(0..10), text(0..40), text(0..40), text(0..300), text(0..60)];
    let lines = prop::collection::vec((text(0..20), text(0..300)), 0..20);
    let program = (text(0..200), text(0..200), text(0..9), any::<[bool; 4]>(), any::<(u32, u32, u64)>());
    (any::<u16>(), texts, any::<i64>(), lines, program).prop_map(
        |(status, texts, time, lines, (slots, code, tag_lines, flags, (literals, cold, generation)))| {
            Written {
                status,
                texts,
                time,
                lines,
                slots,
                code,
                personal: flags[0],
                includes: flags[1],
                sources: flags[2],
                volatile: flags[3],
                tag_lines,
                literals,
                cold,
                generation,
            }
        },
    )
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_is_written_is_read(page in written()) {
        let bytes = page.bytes();
        let fixed = Fixed::parse(&bytes).unwrap();
        prop_assert_eq!(Fixed::parse(&bytes[..FIXED]), Some(fixed));
        prop_assert_eq!(fixed.prefix_len(), bytes.len());
        prop_assert_eq!(fixed.literals_len(), page.literals as usize);
        prop_assert_eq!(fixed.headers as usize, page.lines.len());
        prop_assert_eq!(fixed.tagged(), !page.code.is_empty() || !page.tag_lines.is_empty());
        prop_assert_eq!(fixed.has_tag_lines(), !page.tag_lines.is_empty());
        prop_assert_eq!(fixed.volatile(), page.volatile);
        prop_assert_eq!(fixed.personal(), page.personal);
        prop_assert_eq!(fixed.includes(), page.includes);
        prop_assert_eq!((fixed.sources(), fixed.status()), (page.sources, page.status));
        prop_assert_eq!((fixed.volatile(), fixed.generation()), (page.volatile, page.generation));
        prop_assert_eq!(fixed.cold(), (bytes.len() + page.literals as usize, page.cold as usize));
        let (slots, code) = fixed.program(&bytes).unwrap();
        prop_assert_eq!((slots, code), (page.slots.as_slice(), page.code.as_slice()));
        // The head alone is enough to read the head.
        let view = View::parse(&fixed, &bytes[..fixed.head_len()]).unwrap();
        prop_assert_eq!(view.head, page.head());
        let lines: Lines = view.headers().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        prop_assert_eq!(lines, page.lines);
    }

    #[test]
    fn a_piece_of_a_page_is_no_page(page in written(), part in 0.0..1.0f64) {
        let bytes = page.bytes();
        let fixed = Fixed::parse(&bytes).unwrap();
        let cut = (bytes.len() as f64 * part) as usize;
        if cut < FIXED {
            prop_assert_eq!(Fixed::parse(&bytes[..cut]), None);
        }
        prop_assert_eq!(fixed.program(&bytes[..cut]), None);
        // Read to its end a head that was cut is one that ends early, at most.
        if let Some(view) = View::parse(&fixed, &bytes[..cut.min(fixed.head_len())]) {
            prop_assert!(view.headers().count() <= page.lines.len());
        }
    }

    #[test]
    fn garbage_is_harmless(mut bytes in text(0..400), layout in any::<bool>()) {
        if layout && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&LAYOUT.to_le_bytes());
        }
        if let Some(fixed) = Fixed::parse(&bytes) {
            let _ = fixed.program(&bytes);
            if let Some(view) = View::parse(&fixed, &bytes) {
                prop_assert!(view.headers().count() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_flipped_byte_is_harmless(page in written(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = page.bytes();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Some(fixed) = Fixed::parse(&bytes) {
            let _ = fixed.program(&bytes);
            if let Some(view) = View::parse(&fixed, &bytes) {
                prop_assert!(view.headers().count() <= bytes.len());
            }
        }
    }

    #[test]
    fn numbers_are_read_as_they_were_written(numbers in prop::collection::vec(any::<u64>(), 0..20)) {
        let mut bytes = Vec::new();
        for &number in &numbers {
            varint::put(&mut bytes, number);
        }
        let mut cursor = Cursor::new(&bytes);
        for &number in &numbers {
            prop_assert_eq!(cursor.number(), Some(number));
        }
        prop_assert!(cursor.is_empty());
        prop_assert_eq!(cursor.number(), None);
    }

    #[test]
    fn a_cursor_never_passes_its_end(bytes in text(0..40), len in any::<usize>()) {
        let mut cursor = Cursor::new(&bytes);
        if len > bytes.len() {
            prop_assert_eq!(cursor.take(len), None);
            prop_assert_eq!(cursor.rest(), bytes.as_slice());
        }
        for _ in 0..50 {
            let before = cursor.rest().len();
            match cursor.bytes() {
                Some(part) => prop_assert!(part.len() < before),
                None if cursor.rest().len() == before => break,
                None => {}
            }
        }
    }
}

#[test]
fn large_headers_keep_their_lengths() {
    let value = vec![b'v'; 70_000];
    let lines: Vec<(&[u8], &[u8])> = vec![(b"X-Large", &value); 40];
    let head = Head { status: 200, content_type: &value, ..Head::default() };
    let behind = Behind { literals_len: 5 << 20, ..Behind::default() };
    let bytes = encode_prefix(&head, lines.iter().copied(), &Program::default(), &behind).unwrap();
    let fixed = Fixed::parse(&bytes).unwrap();
    assert_eq!((fixed.literals_len(), fixed.tagged()), (5 << 20, false));
    let view = View::parse(&fixed, &bytes).unwrap();
    assert!(view.head == head && view.headers().eq(lines));
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let lay = |behind| encode_prefix(&Head::default(), std::iter::empty(), &Program::default(), &behind);
    let encode = |literals_len| lay(Behind { literals_len, ..Behind::default() });
    assert!(lay(Behind { cold_len: u32::MAX as usize + 1, ..Behind::default() }).is_none());
    assert!(encode(u32::MAX as usize).is_some());
    assert!(encode(u32::MAX as usize + 1).is_none());
    assert!(encode(usize::MAX).is_none());
}

#[test]
fn another_layout_is_no_page() {
    let bytes =
        encode_prefix(&Head::default(), std::iter::empty(), &Program::default(), &Behind::default()).unwrap();
    for layout in [0, LAYOUT + 1, u32::MAX] {
        let mut other = bytes.clone();
        other[..4].copy_from_slice(&layout.to_le_bytes());
        assert_eq!(Fixed::parse(&other), None);
    }
    assert_eq!(Fixed::parse(&[0; FIXED]), None);
    assert_eq!(Fixed::parse(b""), None);
}
