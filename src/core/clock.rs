//! Clocks: times are arguments, milliseconds since 1970, of a clock that each process reads when it comes to its events.

/// By so much may two processes' times of one moment differ: one of them is in the midst of a long turn. What lies further in
/// the future than that says that the clock was set back.
pub const DIFFER_MS: u64 = 5_000;
