//! How a nonce is written.

/// Characters of a nonce.
pub const LEN: usize = 22;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// 128 bits in base64url without padding (RFC 4648 5): at home in HTML, scripts, URLs and header lines, and in the grammar
/// of a Content Security Policy.
pub fn text(random: [u8; 16]) -> [u8; LEN] {
    let bits = u128::from_be_bytes(random);
    let mut out = [0; LEN];
    // Six bits each from the highest on; the last one has two, and four zeros behind them.
    for (place, byte) in out.iter_mut().enumerate() {
        let six = match 122usize.checked_sub(6 * place) {
            Some(shift) => bits >> shift,
            None => bits << 4,
        };
        *byte = ALPHABET.get((six & 63) as usize).copied().unwrap_or(b'A');
    }
    out
}
