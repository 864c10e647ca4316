//! What sources are asked by, and what they answer.

mod key;
mod record;
