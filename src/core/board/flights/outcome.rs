//! How a fetch ends, and what that says of the next one.

use super::Asker;
use crate::outcome::Reason;

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The page is in the store.
    Stored,
    /// The answer can't be stored, and the next one won't be either for so long, but for those of whom this one says nothing.
    Unstorable {
        /// At most 32 seconds.
        for_ms: u64,
        /// Who got it.
        to: Asker,
    },
    /// The answer is not stored, and the next one may be.
    Again,
    /// The origin did not answer, or with a failure.
    Failed,
    /// Nothing is known of the origin: who fetched has left.
    Abandoned,
}

impl Outcome {
    /// So long a key is remembered as one whose answer can't be stored.
    pub(super) const UNSTORABLE: Outcome = Outcome::Unstorable { for_ms: 5000, to: Asker::Anybody };

    /// What an answer that was not stored says of the next one. `status`: the answer's, where it was not stored for what
    /// its head says.
    pub const fn of_unstored(reason: Reason, status: u16) -> Outcome {
        match reason {
            // The next one will be stored, or there is one already.
            Reason::Purged | Reason::Overtaken => Outcome::Abandoned,
            // The first of those that have to agree; or the request's own doing, and anybody can make up such a one: cookies and
            // headers that may be read otherwise, or are too long for any key.
            Reason::AuditWaits | Reason::Unclear | Reason::KeyTooLong => Outcome::Again,
            Reason::Incomplete => Outcome::Failed,
            Reason::Status if status >= 500 => Outcome::Failed,
            // That there is no room, or no memory, is not the origin's fault: nobody queues, but nothing is said of it.
            _ => Outcome::UNSTORABLE,
        }
    }

    /// The same where this one had asked: why his answer can't be stored may lie in his own request, which anybody can
    /// make up.
    pub const fn to(self, asker: Asker) -> Outcome {
        match self {
            Outcome::Unstorable { for_ms, .. } => Outcome::Unstorable { for_ms, to: asker },
            outcome => outcome,
        }
    }

    /// The same for the answer to a refresh; a status of 0 says that none came. Nobody waits for a refresh, so that the
    /// next one has time.
    pub const fn of_refresh(reason: Reason, status: u16) -> Outcome {
        match Outcome::of_unstored(reason, status) {
            Outcome::Unstorable { .. } if status == 0 => Outcome::Failed,
            Outcome::Again => Outcome::UNSTORABLE,
            outcome => outcome,
        }
    }
}
