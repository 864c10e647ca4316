use super::Scene;
use crate::store::slot;
use twice_core::board::Counter;

#[test]
fn figures_add_up_over_all_workers() {
    let scene = Scene::new(1 << 20);
    for number in 0..100 {
        scene.board.count(&slot(number), Counter::Hits);
    }
    scene.board.count(&slot(3), Counter::IncludeFailures);
    assert_eq!(scene.board.figure(Counter::Hits), 100);
    for &counter in Counter::ALL {
        let expected = match counter {
            Counter::Hits => 100,
            Counter::IncludeFailures => 1,
            _ => 0,
        };
        assert_eq!(scene.board.figure(counter), expected, "{}", counter.as_str());
    }
}

#[test]
fn names_are_words_and_each_is_there_once() {
    let mut names: Vec<_> = Counter::ALL.iter().map(|c| c.as_str()).collect();
    assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    assert!(Counter::ALL.iter().all(|c| c.help().ends_with('.')));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Counter::ALL.len());
}
