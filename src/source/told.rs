//! What the error log says of a server, or of a service: one line a second for each at most, and how many others there were.

use std::fmt::Display;

use ngx::ffi::{NGX_LOG_ERR, NGX_LOG_NOTICE, NGX_LOG_WARN};
use ngx::ngx_log_error;
use twice_core::source::Failure;

use crate::seldom::Seldom;
use crate::sys;

/// When its last line was written.
#[derive(Default)]
pub struct Told(Seldom);

impl Told {
    /// It did not answer as it should. `rest_ms`: it begins to rest, which is always told.
    pub fn failed(&self, who: &dyn Display, why: Failure, what: &dyn Display, rest_ms: Option<u64>) {
        let Some(skipped) = self.0.turn().or_else(|| rest_ms.map(|_| self.0.take_skipped())) else { return };
        let rest = rest_ms.map(|rest| format!(", it rests for {rest} ms")).unwrap_or_default();
        ngx_log_error!(
            NGX_LOG_ERR,
            sys::log(),
            "twice: {} failed ({}): {}{}{}",
            who,
            why,
            what,
            rest,
            Others(skipped)
        );
    }

    /// It refused a command.
    pub fn refused(&self, who: &dyn Display, word: &str, text: &[u8]) {
        let Some(skipped) = self.0.turn() else { return };
        ngx_log_error!(
            NGX_LOG_WARN,
            sys::log(),
            "twice: {} refused a command: {} {}{}",
            who,
            word,
            text.escape_ascii(),
            Others(skipped)
        );
    }

    /// Its rest is over.
    pub fn answers_again(&self, who: &dyn Display) {
        ngx_log_error!(NGX_LOG_NOTICE, sys::log(), "twice: {} answers again", who);
    }
}

struct Others(u64);

impl Display for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} more lines left out)"),
        }
    }
}
