//! Who asks: what his own request says of the answer before it has come.

/// Whose request it is. The farther down, the more there is in it for which its answer may be kept from others: what could
/// not be stored for one of these says so much of those below him, and nothing of those above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Asker {
    /// What he is sent may be for all, as far as his request tells.
    Anybody,
    /// He has a password (`Authorization`), be it a good one or none.
    WithPassword,
    /// `twice_no_store` is true of him before there is an answer.
    Unstored,
    /// Both.
    UnstoredWithPassword,
}

impl Asker {
    /// Who has a password, or not, and of whom `twice_no_store` is true, or not.
    pub const fn new(has_password: bool, is_unstored: bool) -> Self {
        match (has_password, is_unstored) {
            (false, false) => Self::Anybody,
            (true, false) => Self::WithPassword,
            (false, true) => Self::Unstored,
            (true, true) => Self::UnstoredWithPassword,
        }
    }

    /// His place in this order.
    pub(super) const fn rank(self) -> u32 {
        self as u32
    }
}
