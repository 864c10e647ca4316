//! What happens between two writes of a process that reads without the lock: anything, as long as it is done under the
//! lock. Each write of a hit, of a pin and of their ends is such a moment, and each is tried with everything that could
//! take the page away. Whatever comes out is whole, and stays so until it is let go.

use super::*;
use std::cell::RefCell;
use std::rc::Rc;
use twice_core::store::fault;

const LEN: usize = 64 * 1024;
const LENGTHS: [usize; 4] = [700, 2500, 100, 1900];

thread_local! {
    static OTHERS: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// What the others do, as `fault` can call it.
fn others() {
    if let Some(work) = OTHERS.take() {
        work();
    }
}

/// Slot 1 reads, slot 0 changes the store. All keys have one bucket.
struct Scene {
    _memory: Memory,
    store: Store,
    lock: Lock,
    slot: Slot,
}

fn hash(key: u8) -> u64 {
    7 << 32 | u64::from(key)
}

impl Scene {
    /// Four pages in one chain, and a process that has pins already.
    fn new(policy: Policy) -> Rc<Scene> {
        let memory = Memory::new(LEN);
        let store = memory.create(&Options { policy, ..OPTIONS });
        let scene = Rc::new(Scene { _memory: memory, store, lock: Lock::default(), slot: slot(1) });
        for key in 0..4 {
            scene.put(key, 1);
        }
        scene.store.with(&scene.lock, |s| s.claim_slot(&scene.slot, 1));
        let hit = scene.store.get(&scene.slot, hash(0), &[0], 1).unwrap();
        let pin = scene.store.pin(&scene.lock, &scene.slot, &hit.held).unwrap();
        drop(hit);
        scene.store.unpin(&scene.lock, &scene.slot, pin);
        scene
    }

    fn put(&self, key: u8, round: u64) {
        let len = LENGTHS.get(usize::from(key)).copied().unwrap_or(1500);
        let tag = 100 * round + u64::from(key);
        let page = self.store.with(&self.lock, |s| s.reserve(&slot(0), hash(key), &[key], len, round));
        let mut page = page.unwrap();
        self.store.write(&mut page, 0, &content(tag, len)).unwrap();
        let meta = Meta { tag, ..Meta::default() };
        self.store.with(&self.lock, |s| s.publish(page, meta, round)).unwrap();
    }

    fn assert_whole(&self, page: Page<'_>, key: u8, tag: u64, context: &str) {
        assert_eq!(tag % 100, u64::from(key), "{context}");
        assert!(holds(page, &[key], tag, LENGTHS[usize::from(key)]), "{context}");
    }

    /// What is done to the store: each bit of `deeds` is one thing. In the end all that was free has been written over.
    fn disturb(&self, deeds: u32) {
        // In a section of the reader's own nothing comes between.
        if self.lock.is_held() {
            return;
        }
        for key in 0..4u8 {
            if deeds >> key & 1 == 1 {
                self.store.with(&self.lock, |s| s.remove_key(hash(key), &[key]));
            }
        }
        if deeds & 16 != 0 {
            self.store.with(&self.lock, |s| s.mark_dirty());
        }
        if deeds & 32 != 0 {
            self.put(2, 2);
            self.put(1, 2);
        }
        for key in 10..60 {
            self.put(key, 3);
        }
        self.store.with(&self.lock, |s| s.check()).unwrap();
    }

    /// Finds a page, pins it, lets go of both, and looks at it all the time.
    fn read(&self, key: u8, context: &str) {
        let Some(hit) = self.store.get(&self.slot, hash(key), &[key], 1) else { return };
        let tag = hit.found.meta.tag;
        self.assert_whole(hit.held.page(), key, tag, context);
        let pin = self.store.pin(&self.lock, &self.slot, &hit.held).unwrap();
        self.assert_whole(hit.held.page(), key, tag, context);
        drop(hit);
        self.assert_whole(self.store.page(&pin).unwrap(), key, tag, context);
        self.store.unpin(&self.lock, &self.slot, pin);
    }
}

#[test]
fn what_is_read_is_whole_whatever_happens_between_two_writes() {
    // Miri takes seconds for one: none of the deeds, all, and two mixtures, each with a page and every fourth write.
    let (step, writes) = if cfg!(miri) { (21, 4) } else { (1, 1) };
    for deeds in (0..64).step_by(step) {
        for key in (0..4).filter(|key| !cfg!(miri) || u32::from(*key) == deeds % 4) {
            let policy = Policy::ALL[(deeds as usize + usize::from(key)) % 3];
            (0..).step_by(writes).take_while(|write| disturbed_at(*write, deeds, key, policy)).for_each(drop);
        }
    }
}

/// Reads a page and is disturbed before its nth write; false if it has not so many.
fn disturbed_at(write: u64, deeds: u32, key: u8, policy: Policy) -> bool {
    let context = format!("{}, deeds {deeds:b}, page {key}, write {write}", policy.as_str());
    let scene = Scene::new(policy);
    let other = Rc::clone(&scene);
    OTHERS.set(Some(Box::new(move || other.disturb(deeds))));
    fault::arm(write, others);
    scene.read(key, &context);
    if fault::disarm() {
        OTHERS.set(None);
        return false;
    }
    // Nothing is kept for somebody who reads no more.
    scene.store.with(&scene.lock, |s| s.clear());
    scene.store.with(&scene.lock, |s| s.mark_dirty());
    let account = scene.store.with(&scene.lock, |s| s.check()).unwrap();
    assert_eq!(account.free, account.arena, "{context}");
    true
}
