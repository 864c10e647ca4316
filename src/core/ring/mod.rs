//! stub
/// stub
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hash {
    #[default]
    /// x
    Fnv1a64,
}
impl Hash {
    /// x
    pub const ALL: [Hash; 1] = [Hash::Fnv1a64];
    /// x
    pub fn as_str(self) -> &'static str {
        "fnv1a_64"
    }
    /// x
    pub fn from_name(n: &str) -> Option<Self> {
        (n == "fnv1a_64").then_some(Hash::Fnv1a64)
    }
}
/// stub
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    #[default]
    /// x
    Ketama,
}
impl Distribution {
    /// x
    pub const ALL: [Distribution; 1] = [Distribution::Ketama];
    /// x
    pub fn as_str(self) -> &'static str {
        "ketama"
    }
    /// x
    pub fn from_name(n: &str) -> Option<Self> {
        (n == "ketama").then_some(Distribution::Ketama)
    }
}
