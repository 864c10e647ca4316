//! Where in the body that came the parts of its program stand: for whoever has to say where two pages differ.
//!
//! ```text
//!   body       ab c<& get .. &>d <& if .. &>..
//!   literals   ab cd ..                          the text, and the texts of tags
//!   tags         ^literals   how many lines the tag has, and how many bytes behind its last line end
//! ```
//!
//! Noted only where it is asked for: a few bytes for each tag.

/// A tag that was compiled, or what was left out.
#[derive(Clone, Copy, Debug)]
struct Tag {
    /// Literals before it, and with its own texts.
    before: u32,
    after: u32,
    /// The code with its own.
    code: u32,
    /// Line ends inside of it, and bytes behind the last one; without any all its bytes.
    lines: u32,
    bytes: u32,
}

/// A place in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A byte of the literals.
    Literal(usize),
    /// An operation that is no text, by its offset in the code.
    Code(usize),
    /// Behind the last byte.
    End,
}

/// Where the tags of a page stood, in their order.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    tags: Vec<Tag>,
}

/// A length as it is noted. A page's parts are shorter than this.
fn short(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Origin {
    /// Notes a tag. `before`: literals before it; `after` and `code`: literals and code with its own.
    pub(super) fn note(&mut self, whole: &[u8], before: usize, after: usize, code: usize) {
        let behind = memchr::memrchr(b'\n', whole).map_or(whole.len(), |at| whole.len() - at - 1);
        self.tags.push(Tag {
            before: short(before),
            after: short(after),
            code: short(code),
            lines: short(memchr::memchr_iter(b'\n', whole).count()),
            bytes: short(behind),
        });
    }

    /// Notes bytes that were left out behind these literals and this code.
    pub(super) fn dropped(&mut self, bytes: usize, literals: usize, code: usize) {
        let (at, code, bytes) = (short(literals), short(code), short(bytes));
        self.tags.push(Tag { before: at, after: at, code, lines: 0, bytes });
    }

    /// Line and column of a place, both from 1; columns count bytes. What a tag has made stands where the tag begins.
    pub fn line_and_column(&self, literals: &[u8], at: At) -> (usize, usize) {
        let mut place = Walk { line: 1, column: 1, literal: 0, literals };
        for tag in &self.tags {
            let (before, after, code) = (tag.before as usize, tag.after as usize, tag.code as usize);
            match at {
                At::Literal(byte) if byte < before => return place.to(byte),
                At::Literal(byte) if byte < after => return place.to(before),
                At::Code(offset) if offset < code => return place.to(before),
                _ => {}
            }
            place.to(before);
            place.pass(tag.lines as usize, tag.bytes as usize);
            place.literal = after;
        }
        match at {
            At::Literal(byte) => place.to(byte),
            At::Code(_) | At::End => place.to(literals.len()),
        }
    }
}

/// A walk along a body.
struct Walk<'l> {
    line: usize,
    column: usize,
    literal: usize,
    literals: &'l [u8],
}

impl Walk<'_> {
    /// Passes lines, and bytes behind the last line end.
    fn pass(&mut self, lines: usize, bytes: usize) {
        let from = if lines > 0 { 1 } else { self.column };
        (self.line, self.column) = (self.line + lines, from + bytes);
    }

    /// Passes the text up to a byte of the literals.
    fn to(&mut self, byte: usize) -> (usize, usize) {
        let text = self.literals.get(self.literal..byte).unwrap_or_default();
        let behind = memchr::memrchr(b'\n', text).map_or(text.len(), |at| text.len() - at - 1);
        self.pass(memchr::memchr_iter(b'\n', text).count(), behind);
        self.literal = self.literal.max(byte);
        (self.line, self.column)
    }
}
