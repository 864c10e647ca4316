//! The pages: one block of 1,000 bytes, repeated, so that `return 200` can give them from a variable.
//!
//! Each block has 20 places that hold a value. In the template some of them hold a tag instead, which gives just
//! that value for the benchmark's request: the bytes are the same with any number of tags.

/// Bytes of the pages.
pub const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Tags in the pages.
pub const TAGS: [usize; 3] = [0, 5, 20];

/// Tag and value, in the order in which places have them.
const VALUES: [(&str, &str); 5] = [
    ("<& get cookie user Guest &>", "Ann"),
    ("<& get header X-Country &>", "FR"),
    ("<& get arg q &>", "hats"),
    ("<& get cookie lang en | upper &>", "FR"),
    ("<& get arg ref &>", "mail"),
];

/// The same values from a source of memcached: its keys, and what it holds.
pub const REMEMBERED: [(&str, &str); 5] =
    [("user", "Ann"), ("country", "FR"), ("hats", "hats"), ("lang", "fr"), ("ref", "mail")];

const TAGS_OF_REMEMBERED: [&str; 5] = [
    "<& get values user Guest &>",
    "<& get values country &>",
    "<& get values hats &>",
    "<& get values lang en | upper &>",
    "<& get values ref &>",
];

/// What the benchmark's client sends.
pub const QUERY: &str = "q=hats&ref=mail";
/// Its header lines.
pub const HEADERS: [&str; 3] =
    ["Cookie: sid=0123456789abcdef; user=Ann; lang=fr; theme=dark", "X-Country: FR", "Accept: text/html"];

const BLOCK: usize = 1_000;
const PLACES: usize = 20;

/// A page, as it is seen and as the origin gives it.
pub struct Page {
    pub size: usize,
    pub block: String,
    pub template: String,
    /// Its tags' values are remembered ones of a source.
    pub remembered: bool,
}

/// The block, with what `place` gives at each of its places.
fn block(mut place: impl FnMut(usize) -> &'static str) -> String {
    let mut text = String::new();
    let mut len = 0;
    for i in 0..PLACES {
        let piece = format!("<li class=\"item\">entry {i:02}: {{}} &amp; more</li>");
        let (before, after) = piece.split_once("{}").expect("written above");
        text += before;
        text += place(i);
        text += after;
        len += piece.len() - 2 + VALUES[i % VALUES.len()].1.len();
        let filler = (i + 1) * (BLOCK - 1) / PLACES - len;
        text.extend(std::iter::repeat_n('.', filler));
        len += filler;
    }
    text.push('\n');
    text
}

impl Page {
    /// A page with its tags spread evenly.
    pub fn new(size: usize, tags: usize, remembered: bool) -> Self {
        let blocks = size / BLOCK;
        let places = blocks * PLACES;
        let mut template = String::new();
        for b in 0..blocks {
            template += &block(|i| {
                let at = b * PLACES + i;
                let (tag, value) = VALUES[i % VALUES.len()];
                let is_tag = tags > 0 && (at * tags) / places != ((at + 1) * tags) / places;
                match is_tag {
                    false => value,
                    true if remembered => TAGS_OF_REMEMBERED[i % VALUES.len()],
                    true => tag,
                }
            });
        }
        let page = Self { size, block: block(|i| VALUES[i % VALUES.len()].1), template, remembered };
        assert_eq!(page.block.len(), BLOCK);
        assert_eq!(page.template.matches("<&").count(), tags);
        page
    }

    /// What every way must give.
    pub fn rendered(&self) -> String {
        self.block.repeat(self.size / BLOCK)
    }
}
