//! What no compiler wrote: programs, slots and values out of thin air.

use super::rig::{Printed, Setup, Visitor};
use crate::property::cases;
use proptest::prelude::*;
use twice_core::template::*;

fn run_any(code: &[u8], literals: &[u8], limits: &Limits) -> Result<(Vec<u8>, bool), Corrupt> {
    let visitor = Visitor(vec![b"<one>".to_vec(), Vec::new(), b"0".to_vec(), b" ".to_vec()]);
    let mut printed = Printed { literals, bytes: Vec::new(), changes: Vec::new() };
    let mut state = State::new(limits);
    let result = run(code, literals.len(), &mut state, &visitor, &mut printed);
    // Text is used up once, each operation prints at most a value's worth.
    assert!(printed.bytes.len() <= literals.len() + code.len() * 30);
    if result.is_err() {
        let before = printed.bytes.len();
        assert_eq!(run(code, literals.len(), &mut state, &visitor, &mut printed), Err(Corrupt));
        assert_eq!(printed.bytes.len(), before);
    }
    result.map(|()| (printed.bytes, state.truncated()))
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn any_bytes_as_a_program(code in prop::collection::vec(prop_oneof![any::<u8>(), 0..64_u8], 0..80)) {
        let _ = run_any(&code, &[b'x'; 100], &Limits::default());
        let _ = run_any(&code, b"", &Limits { output_max: 7, ..Limits::default() });
    }

    #[test]
    fn a_program_with_one_byte_changed(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let page = b"a<& get cookie a &>b<& if cookie b &>c<& else &>d<& end &>e<& get cookie c x | trim | default:y &>";
        let compiler = Setup::default().compile([page.as_slice()]);
        let parts = compiler.parts().unwrap();
        let mut code = parts.code.to_vec();
        *at.get_mut(&mut code) = to;
        let _ = run_any(&code, parts.literals, &Limits::default());
    }

    #[test]
    fn any_bytes_as_slots(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..8_u8], 0..80)) {
        let slots = Slots::new(&bytes);
        let count = slots.remaining();
        prop_assert!(count <= bytes.len() / 11);
        prop_assert!(slots.count() <= count);
    }
}

#[test]
fn a_program_cut_short() {
    let page =
        b"a<& get cookie a &>b<& if cookie b &>c<& else &>d<& end &>e<& get cookie c x | trim | default:y &>";
    let compiler = Setup::default().compile([page.as_slice()]);
    let parts = compiler.parts().unwrap();
    for len in 0..=parts.code.len() {
        let _ = run_any(&parts.code[..len], parts.literals, &Limits::default());
        for literals in 0..parts.literals.len() {
            let _ = run_any(&parts.code[..len], &parts.literals[..literals], &Limits::default());
        }
    }
    let slots = Slots::new(parts.slots).remaining();
    assert_eq!(slots, 3);
    for len in 0..parts.slots.len() {
        assert!(Slots::new(&parts.slots[..len]).count() < slots);
    }
}

#[test]
fn huge_numbers() {
    let nines = [0xff; 20];
    assert_eq!(run_any(&nines, b"x", &Limits::default()), Err(Corrupt));
    // A text of more bytes than there are, by a length that would wrap around.
    let wrap = [&[1 << 3][..], &[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]].concat();
    assert_eq!(run_any(&wrap, b"xy", &Limits::default()), Err(Corrupt));
    let mut slots = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
    slots.extend([0; 50]);
    assert!(Slots::new(&slots).remaining() <= 4);
}
