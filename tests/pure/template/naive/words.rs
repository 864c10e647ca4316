//! What stands inside a tag: its words, and what a number or a URI among them may be.

use super::filters::Raw;

/// The words before the filters, and the filters if there is a `|`.
pub fn words(inside: &[u8]) -> Result<(Vec<Vec<u8>>, Option<Raw>), &'static str> {
    let space = |byte: u8| b" \t\n\r\x0b\x0c".contains(&byte);
    let quote = |byte: u8| byte == b'"' || byte == b'\'';
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut filters: Option<Raw> = None;
    let mut i = 0;
    let quoted = |i: &mut usize| {
        let start = *i + 1;
        let len = inside[start..].iter().position(|&byte| byte == inside[*i]).ok_or("quote not closed")?;
        *i = start + len + 1;
        Ok::<_, &'static str>(inside[start..start + len].to_vec())
    };
    while i < inside.len() {
        if space(inside[i]) {
            i += 1;
            continue;
        }
        if inside[i] == b'|' {
            i += 1;
            filters.get_or_insert_default();
        } else if quote(inside[i]) {
            let word = quoted(&mut i)?;
            match &mut filters {
                Some(filters) => filters.push((word, None)),
                None => words.push(word),
            }
        } else {
            let start = i;
            let ends = |byte: u8| space(byte) || byte == b'|';
            while i < inside.len() && !ends(inside[i]) && (filters.is_none() || inside[i] != b':') {
                i += 1;
            }
            let word = inside[start..i].to_vec();
            let mut argument = None;
            if filters.is_some() && i < inside.len() && inside[i] == b':' {
                i += 1;
                if i < inside.len() && quote(inside[i]) {
                    argument = Some(quoted(&mut i)?);
                } else {
                    let start = i;
                    while i < inside.len() && !ends(inside[i]) {
                        i += 1;
                    }
                    argument = Some(inside[start..i].to_vec());
                }
            }
            match &mut filters {
                Some(filters) => filters.push((word, argument)),
                None => words.push(word),
            }
        }
        let commands = ["get", "if", "unless", "else", "end", "incr", "decr", "pop", "include", "nonce"];
        if words.len() == 1 && !commands.iter().any(|command| command.as_bytes() == words[0]) {
            return Err("unknown command");
        }
        if words.len() > 5 {
            return Err("too many words");
        }
    }
    match (words.is_empty(), &filters) {
        (true, None) => Err("empty tag"),
        (true, Some(_)) => Err("unknown command"),
        _ => Ok((words, filters)),
    }
}

/// A decimal number that fits 64 bits.
pub fn number(text: &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for digit in text {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    (!text.is_empty()).then_some(number)
}

/// A path from the root, of visible characters, that goes nowhere up.
pub fn uri_is_good(uri: &[u8]) -> bool {
    let path = &uri[..uri.iter().position(|&byte| byte == b'?').unwrap_or(uri.len())];
    let mut plain = Vec::new();
    let mut i = 0;
    while i < path.len() {
        if path[i] == b'%' {
            let digits = path.get(i + 1..i + 3).unwrap_or_default();
            if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
                return false;
            }
            plain.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
            i += 3;
        } else {
            plain.push(path[i]);
            i += 1;
        }
    }
    let up = |path: &[u8]| [path, b"/"].concat().windows(4).any(|part| part == b"/../");
    uri[0] == b'/'
        && uri.len() <= 2048
        && !uri.iter().any(|&byte| byte.is_ascii_control() || byte == b' ' || byte == b'#')
        && !plain.iter().any(u8::is_ascii_control)
        && !up(path)
        && !up(&plain)
}
