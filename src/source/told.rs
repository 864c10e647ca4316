//! What the error log says of a server, or of a service: one line a second for each at most, and how many others there were.

use std::cell::Cell;
use std::fmt::Display;

use ngx::ffi::{NGX_LOG_ERR, NGX_LOG_NOTICE, NGX_LOG_WARN, ngx_cycle, ngx_log_t, ngx_time};
use ngx::ngx_log_error;
use twice_core::source::Failure;

/// When its last line was written.
#[derive(Default)]
pub struct Told {
    last: Cell<Option<i64>>,
    skipped: Cell<u64>,
}

impl Told {
    /// How many lines were left out, if one may be written now.
    fn turn(&self) -> Option<u64> {
        let now = ngx_time();
        if self.last.replace(Some(now)) == Some(now) {
            self.skipped.set(self.skipped.get() + 1);
            return None;
        }
        Some(self.skipped.take())
    }

    /// It did not answer as it should. `rest_ms`: it begins to rest, which is always told.
    pub fn failed(&self, who: &dyn Display, why: Failure, what: &dyn Display, rest_ms: Option<u64>) {
        let Some(skipped) = self.turn().or_else(|| rest_ms.map(|_| self.skipped.take())) else { return };
        let rest = rest_ms.map(|rest| format!(", it rests for {rest} ms")).unwrap_or_default();
        ngx_log_error!(
            NGX_LOG_ERR,
            log(),
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
        let Some(skipped) = self.turn() else { return };
        ngx_log_error!(
            NGX_LOG_WARN,
            log(),
            "twice: {} refused a command: {} {}{}",
            who,
            word,
            text.escape_ascii(),
            Others(skipped)
        );
    }

    /// Its rest is over.
    pub fn answers_again(&self, who: &dyn Display) {
        ngx_log_error!(NGX_LOG_NOTICE, log(), "twice: {} answers again", who);
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

fn log() -> *mut ngx_log_t {
    // SAFETY: nginx's running cycle has a log.
    unsafe { (*ngx_cycle).log }
}
