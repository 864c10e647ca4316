//! stub
use twice_core::source::{Change, Failure};
/// stub
pub struct Pool(pub super::Settings);
impl Pool {
    /// x
    pub fn new(settings: super::Settings, _timeout_ms: u64) -> Self {
        Self(settings)
    }
    /// x
    pub fn get(&self, _key: &[u8], _ticket: u64) -> Result<(), Failure> {
        Err(Failure::Resting)
    }
    /// x
    pub fn change(&self, _key: &[u8], _change: Change) {}
}
