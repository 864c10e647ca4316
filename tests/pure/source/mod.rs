//! What sources are asked by, and what they answer.

mod figures;
mod key;
mod record;
mod shown;
