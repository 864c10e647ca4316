//! What work costs. A worker does nothing else meanwhile, so that it must grow no faster than what is worked on.

/// Work on sixteen times as much costs about sixteen times as much, and not the square of that.
#[track_caller]
pub fn grows_no_faster(size: usize, work: impl Fn(usize)) {
    let cost = |size: usize| {
        let before = effort();
        work(size);
        effort() - before
    };
    cost(size);
    // What else befalls the machine comes and goes.
    let pairs = [(); 3].map(|()| ((0..16).map(|_| cost(size)).sum::<i64>(), cost(16 * size)));
    assert!(
        pairs.iter().any(|(few, many)| *many < 4 * few),
        "ns for 16 times {size}, and for {}: {pairs:?}",
        16 * size
    );
}

/// Nanoseconds that this thread has worked.
fn effort() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes one time.
    let told = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(told, 0);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
