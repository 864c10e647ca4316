//! Recorded traces. A line is one request, in one of these forms:
//!
//! ```text
//! time,key,size                  libCacheSim's csv; more fields may follow, and the first line may be names
//! key size                       or: time key size
//! ADDR - USER [TIME] "GET /target HTTP/1.1" 200 SIZE "REFERER" "AGENT"      nginx's access log, "combined"
//! ```
//!
//! Of an access log only GET with 200 counts. A page's size is the greatest that was seen: less was sent where a
//! client left early.

use super::trace::Trace;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A request for a key, and the bytes that answered it.
type Request<'l> = (&'l str, u32);

/// What a line says.
#[derive(Debug, PartialEq)]
pub enum Line<'l> {
    Request(Request<'l>),
    /// A request that no page cache would answer.
    Other,
    /// In none of the forms.
    Unknown,
}

pub fn parse(line: &str) -> Line<'_> {
    if line.contains("] \"") {
        return log_line(line);
    }
    let request = if line.contains(',') {
        let mut fields = line.split(',').map(str::trim);
        fields.next().and(fields.next().zip(fields.next()))
    } else {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [key, size] | [_, key, size] => Some((key, size)),
            _ => None,
        }
    };
    let request = request.and_then(|(key, size)| Some((key, bytes(size)?)));
    request.map_or(Line::Unknown, Line::Request)
}

/// Pages of more than 4 GB count as 4 GB: neither is stored.
fn bytes(digits: &str) -> Option<u32> {
    digits.parse::<u64>().ok().map(|size| u32::try_from(size).unwrap_or(u32::MAX))
}

fn log_line(line: &str) -> Line<'_> {
    // nginx writes a quote inside a field as \x22.
    let fields = line.split_once("] \"").and_then(|(_, rest)| rest.split_once("\" "));
    let Some((request, answer)) = fields else { return Line::Unknown };
    let mut answer = answer.split(' ');
    let (Some(status), Some(size)) = (answer.next(), answer.next().and_then(bytes)) else {
        return Line::Unknown;
    };
    let mut words = request.split(' ');
    match (words.next(), words.next(), status) {
        (Some("GET"), Some(target), "200") => Line::Request((target, size)),
        _ => Line::Other,
    }
}

/// A trace, and what was left out.
pub struct Recorded {
    pub trace: Trace,
    pub other: usize,
    pub unknown: usize,
}

pub fn read(name: &str) -> std::io::Result<Recorded> {
    let mut reader = BufReader::new(std::fs::File::open(name)?);
    let mut numbers: HashMap<Box<str>, u32> = HashMap::new();
    let (mut requests, mut sizes) = (Vec::new(), Vec::new());
    let (mut other, mut unknown, mut at) = (0, 0, 0u64);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        at += 1;
        let text = String::from_utf8_lossy(&line);
        match parse(text.trim()) {
            Line::Request((key, size)) => {
                let page = match numbers.get(key) {
                    Some(page) => *page,
                    None => {
                        numbers.insert(key.into(), sizes.len() as u32);
                        sizes.push(0);
                        sizes.len() as u32 - 1
                    }
                };
                let known = &mut sizes[page as usize];
                *known = size.max(*known);
                requests.push(page);
            }
            Line::Other => other += 1,
            // The first line may name the fields.
            Line::Unknown => unknown += usize::from(at > 1 && !text.trim().is_empty()),
        }
        line.clear();
    }
    let name = Path::new(name).file_name().map_or(name.into(), |name| name.to_string_lossy());
    Ok(Recorded { trace: Trace::recorded(&name, requests, sizes), other, unknown })
}
