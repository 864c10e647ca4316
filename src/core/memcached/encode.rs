//! Commands as they are sent. Each appends one whole command; how long the buffer may grow is its owner's to say.
//!
//! Keys passed [`crate::source::key::check`]. `noreply` is never sent: not every proxy knows it, and an error would be
//! answered anyhow, and be out of step.

use super::Keys;

/// `get k1 k2 ...`: asks for all the keys at once.
pub fn get(out: &mut Vec<u8>, keys: &Keys) {
    pieces(out, &[b"get", keys.in_line(), b"\r\n"]);
}

/// Counts up by one.
pub fn incr(out: &mut Vec<u8>, key: &[u8]) {
    pieces(out, &[b"incr ", key, b" 1\r\n"]);
}

/// Counts down by one, not under zero.
pub fn decr(out: &mut Vec<u8>, key: &[u8]) {
    pieces(out, &[b"decr ", key, b" 1\r\n"]);
}

/// Removes a key.
pub fn delete(out: &mut Vec<u8>, key: &[u8]) {
    pieces(out, &[b"delete ", key, b"\r\n"]);
}

/// Sets a key that is not there.
pub fn add(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    store(out, b"add ", key, value);
}

/// Sets a key.
pub fn set(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    store(out, b"set ", key, value);
}

/// Asks nothing of any key: whether the server answers.
pub fn version(out: &mut Vec<u8>) {
    pieces(out, &[b"version\r\n"]);
}

/// No flags, for ever.
fn store(out: &mut Vec<u8>, command: &[u8], key: &[u8], value: &[u8]) {
    let len = value.len().to_string();
    pieces(out, &[command, key, b" 0 0 ", len.as_bytes(), b"\r\n", value, b"\r\n"]);
}

fn pieces(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}
