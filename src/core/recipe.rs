//! What a body is read by, in one number: whether and how tags are looked for. A page that was made by another recipe, by
//! another configuration or another Twice, is not renewed but made anew.
//!
//! What a location says of it is one number from the time when the configuration is read; an answer adds its type.

use std::fmt::Debug;

use crate::marks;
use crate::page::PAGE_FORMAT;
use crate::template::Escape;

/// The number of a location: of all settings that say how its pages are read.
pub fn of_location(settings: &impl Debug) -> u64 {
    marks::of_key(format!("{:?}", (PAGE_FORMAT, settings)).as_bytes())
}

/// The number of an answer there. `has_tags`: whether its type is one of those with tags.
pub fn of_answer(location: u64, has_tags: bool, escape: Escape) -> u64 {
    let escape = match escape {
        Escape::Html => 0,
        Escape::Off => 1,
        Escape::Auto(start) => 2 + start as u8,
    };
    let mut all = [0; 10];
    let (head, tail) = all.split_at_mut(8);
    head.copy_from_slice(&location.to_le_bytes());
    tail.copy_from_slice(&[u8::from(has_tags), escape]);
    marks::of_key(&all)
}
