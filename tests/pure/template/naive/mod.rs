//! The language of tags once more, in the plainest way: the whole page at once, a tree, recursion, a new
//! string for everything. It shares nothing with the core and is what the core is held against.

mod filters;
mod words;

use filters::{ESCAPING, Filter, Raw, all_texts, apply, chain, chain_bounded, check_filters};
use std::collections::HashSet;
use words::{number, uri_is_good, words};

/// Values by target and key, and what can be configured.
pub struct World<'a> {
    pub open: &'a [u8],
    pub close: &'a [u8],
    /// Empty: tags have no guard.
    pub guard: &'a [u8],
    pub escape: bool,
    pub tag_max: usize,
    pub slots_max: usize,
    pub sources: &'a [&'a str],
    pub lookup: &'a dyn Fn(&str, &[u8]) -> Vec<u8>,
}

/// A page printed, what it changes, and the names of what is wrong with it, sorted.
pub struct Page {
    pub bytes: Vec<u8>,
    pub changes: Vec<String>,
    pub errors: Vec<&'static str>,
}

enum Token {
    Text(Vec<u8>),
    Tag { whole: Vec<u8>, inside: Vec<u8> },
}

enum Node {
    Text(Vec<u8>),
    Include { uri: Vec<u8>, default: Vec<u8> },
    Nonce,
    Get { name: (String, Vec<u8>), default: Vec<u8>, filters: Vec<Filter> },
    Change(String),
    Block { name: Option<(String, Vec<u8>)>, negate: bool, then: Vec<Node>, otherwise: Vec<Node> },
}

pub fn render(page: &[u8], world: &World<'_>) -> Page {
    let mut reader =
        Reader { world, errors: Vec::new(), tokens: Vec::new(), slots: HashSet::new(), too_deep: 0 };
    reader.split(page);
    reader.tokens.reverse();
    let mut nodes = Vec::new();
    while !reader.tokens.is_empty() {
        // A stray end stops a block: at the outermost level it is text.
        let (more, stop) = reader.block(0);
        nodes.extend(more);
        if let Some((error, whole)) = stop {
            reader.errors.push(error);
            nodes.push(Node::Text(whole));
        }
    }
    let mut page = Page { bytes: Vec::new(), changes: Vec::new(), errors: Vec::new() };
    for node in &nodes {
        print(node, world, &mut page);
    }
    reader.errors.sort();
    Page { errors: reader.errors, ..page }
}

struct Reader<'a> {
    world: &'a World<'a>,
    errors: Vec<&'static str>,
    tokens: Vec<Token>,
    slots: HashSet<(String, Vec<u8>)>,
    too_deep: u32,
}

impl Reader<'_> {
    fn split(&mut self, page: &[u8]) {
        let World { open, close, tag_max, guard, .. } = *self.world;
        let open = &[open, guard].concat();
        let mut text = Vec::new();
        let mut at = 0;
        while at < page.len() {
            if !page[at..].starts_with(open) {
                text.push(page[at]);
                at += 1;
                continue;
            }
            let start = at + open.len();
            let limit = start + tag_max + close.len();
            let mut i = start;
            let end = loop {
                if i >= limit {
                    self.errors.push("tag too long");
                    let end = start + tag_max;
                    let begins = |len: &usize| page[at..end].ends_with(&open[..*len]);
                    // With a guard no token is cut.
                    let most = if guard.is_empty() { 0 } else { open.len() - 1 };
                    break end - (1..=most).rev().find(begins).unwrap_or(0);
                }
                if i >= page.len() {
                    self.errors.push("unterminated tag");
                    break page.len();
                }
                if page[i..].starts_with(close) && i + close.len() <= limit {
                    self.tokens.push(Token::Text(std::mem::take(&mut text)));
                    let whole = without(&page[at..i + close.len()], guard);
                    let inside = without(&page[start..i], guard);
                    let space = |byte: &u8| b" \t\n\r\x0b\x0c".contains(byte);
                    if guard.is_empty() || page[start..i].first().is_some_and(space) {
                        self.tokens.push(Token::Tag { whole, inside });
                    } else {
                        self.errors.push("no space after the guard");
                        self.tokens.push(Token::Text(whole));
                    }
                    at = i + close.len();
                    break at;
                }
                if page[i] == b'\n' {
                    self.errors.push("unterminated tag");
                    break i + 1;
                }
                i += 1;
            };
            text.extend(without(&page[at..end], guard));
            at = end;
        }
        self.tokens.push(Token::Text(text));
    }

    /// Nodes up to an `else`, an `end` (given back) or the page's end.
    fn block(&mut self, depth: u32) -> (Vec<Node>, Option<(&'static str, Vec<u8>)>) {
        let mut nodes = Vec::new();
        while let Some(token) = self.tokens.pop() {
            match token {
                Token::Text(text) => nodes.push(Node::Text(text)),
                Token::Tag { whole, inside } => match self.tag(&whole, &inside, depth) {
                    Ok(Some(node)) => nodes.push(node),
                    Ok(None) => (),
                    Err("else") => return (nodes, Some(("else without block", whole))),
                    Err("end") => return (nodes, Some(("end without block", whole))),
                    Err(error) => {
                        if !error.is_empty() {
                            self.errors.push(error);
                        }
                        nodes.push(Node::Text(whole));
                    }
                },
            }
        }
        (nodes, None)
    }

    fn tag(&mut self, whole: &[u8], inside: &[u8], depth: u32) -> Result<Option<Node>, &'static str> {
        let (words, filters) = words(inside)?;
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_slice()).collect();
        let word = |n: usize| words.get(n).map_or(Vec::new(), |word| word.to_vec());
        match words[0] {
            b"else" | b"end" if words.len() > 1 || filters.is_some() => return Err("too many words"),
            b"else" | b"end" if self.too_deep > 0 => {
                if words[0] == b"end" {
                    self.too_deep -= 1;
                }
                return Err("");
            }
            b"else" => return Err("else"),
            b"end" => return Err("end"),
            _ => (),
        }
        let most = if matches!(words[0], b"if" | b"unless") { 5 } else { 4 };
        if words.len() > most {
            return Err("too many words");
        }
        if words[0] == b"include" {
            if words.len() > 2 {
                return Err("too many words");
            }
            if word(1).is_empty() {
                return Err("missing word");
            }
            return Ok(Some(self.include(word(1), filters.unwrap_or_default())));
        }
        if words[0] == b"nonce" {
            if words.len() > 1 {
                return Err("too many words");
            }
            let name = ("nonce".to_owned(), Vec::new());
            if !self.slots.contains(&name) && self.slots.len() == self.world.slots_max {
                return Err("too many different values");
            }
            self.slots.insert(name);
            let (named, mut wrong) = check_filters(filters.unwrap_or_default());
            if named.iter().any(|filter| filter.name != "default" || filter.argument != Some(Vec::new())) {
                wrong.push("filter on a nonce");
            }
            self.errors.append(&mut wrong);
            return Ok(Some(Node::Nonce));
        }
        if word(1).is_empty() || word(2).is_empty() {
            return Err("missing word");
        }
        let (filters, mut wrong) = check_filters(filters.unwrap_or_default());
        let name = (String::from_utf8_lossy(&word(1)).into_owned(), word(2));
        let default = if name.0 == "unread" && word(3).is_empty() { b"0".to_vec() } else { word(3) };
        let node = match words[0] {
            b"get" => {
                all_texts(&default, &filters, 8 * whole.len())?;
                match self.name(name, &mut wrong)? {
                    Some(name) => Node::Get { name, default: default.clone(), filters },
                    None => Node::Text(chain(default.clone(), &filters)),
                }
            }
            b"pop" if self.is_source(&name.0) => {
                all_texts(&default, &filters, 8 * whole.len())?;
                let gone = change("Delete", &name);
                let name = self.name(name, &mut wrong)?.unwrap();
                let get = Node::Get { name, default: default.clone(), filters };
                Node::Block { name: None, negate: true, then: vec![get, gone], otherwise: Vec::new() }
            }
            b"incr" | b"decr" if self.is_source(&name.0) => {
                let initial = match words.get(3) {
                    None if words[0] == b"incr" => Some(1),
                    None => Some(0),
                    Some(text) => number(text),
                };
                let what = if words[0] == b"incr" { "Incr" } else { "Decr" };
                match initial {
                    Some(_) if name.1.len() > 1024 => return Err("key too long"),
                    Some(initial) => change(&format!("{what}({initial})"), &name),
                    None => {
                        wrong.push("initial value is no number");
                        Node::Text(Vec::new())
                    }
                }
            }
            b"pop" => {
                chain_bounded(word(3), &filters, 8 * whole.len())?;
                wrong.push(if known(&name.0) { "target is not a source" } else { "unknown target" });
                Node::Text(chain(word(3), &filters))
            }
            b"incr" | b"decr" => {
                wrong.push(if known(&name.0) { "target is not a source" } else { "unknown target" });
                Node::Text(Vec::new())
            }
            _ if words.len() > 3 => {
                let room = 8 * whole.len();
                let then = chain_bounded(word(3), &filters, room)?;
                let otherwise = chain_bounded(word(4), &filters, room - then.len())?;
                let negate = words[0] == b"unless";
                let name = self.name(name, &mut wrong)?;
                Node::Block {
                    name,
                    negate,
                    then: vec![Node::Text(then)],
                    otherwise: vec![Node::Text(otherwise)],
                }
            }
            _ if depth == 16 => {
                self.too_deep += 1;
                return Err("blocks nested too deep");
            }
            _ => {
                let negate = words[0] == b"unless";
                let name = self.name(name, &mut wrong).unwrap_or_else(|error| {
                    wrong.push(error);
                    None
                });
                self.errors.append(&mut wrong);
                return Ok(Some(self.rest_of_block(name, negate, depth + 1)));
            }
        };
        self.errors.append(&mut wrong);
        Ok(Some(node))
    }

    fn rest_of_block(&mut self, name: Option<(String, Vec<u8>)>, negate: bool, depth: u32) -> Node {
        let mut branches = [Vec::new(), Vec::new()];
        let mut branch = 0;
        loop {
            let (nodes, stop) = self.block(depth);
            branches[branch].extend(nodes);
            match stop {
                None => {
                    self.errors.push("block without end");
                    break;
                }
                Some(("end without block", _)) => break,
                Some(_) if branch == 0 => branch = 1,
                Some((_, whole)) => {
                    self.errors.push("second else");
                    branches[1].push(Node::Text(whole));
                }
            }
        }
        let [then, otherwise] = branches;
        Node::Block { name, negate, then, otherwise }
    }

    fn include(&mut self, uri: Vec<u8>, filters: Raw) -> Node {
        let (filters, mut wrong) = check_filters(filters);
        if filters.iter().any(|filter| filter.name != "default" && filter.name != "raw") {
            self.errors.push("filter on an include");
        }
        // That a cut escapes what was escaped is of no concern where nothing is.
        self.errors.append(&mut wrong);
        let given = |filter: &&Filter| {
            filter.name == "default" && filter.argument.as_ref().is_some_and(|a| !a.is_empty())
        };
        let default =
            filters.iter().find(given).and_then(|filter| filter.argument.clone()).unwrap_or_default();
        if !uri_is_good(&uri) {
            self.errors.push("bad URI to include");
            return Node::Text(default);
        }
        let name = ("include".to_owned(), uri.clone());
        if !self.slots.contains(&name) {
            let included = self.slots.iter().filter(|slot| slot.0 == "include").count();
            if included == 32 {
                self.errors.push("too many includes");
                return Node::Text(default);
            }
            if self.slots.len() == self.world.slots_max {
                self.errors.push("too many different values");
                return Node::Text(default);
            }
            self.slots.insert(name);
        }
        Node::Include { uri, default }
    }

    fn is_source(&self, target: &str) -> bool {
        self.world.sources.contains(&target)
    }

    /// The value's name as it is looked up, `None` if it can't be there.
    fn name(
        &mut self,
        (target, key): (String, Vec<u8>),
        wrong: &mut Vec<&'static str>,
    ) -> Result<Option<(String, Vec<u8>)>, &'static str> {
        if !known(&target) && !self.is_source(&target) {
            wrong.push("unknown target");
            return Ok(None);
        }
        if key.len() > 1024 {
            return Err("key too long");
        }
        let key = match target.as_str() {
            "header" | "var" | "lang" => key.to_ascii_lowercase(),
            _ => key,
        };
        let bad = match target.as_str() {
            "geo" => key != b"ip",
            "ip" => key != b"current",
            "page" => key != b"status" && key != b"age",
            _ => false,
        };
        if bad {
            wrong.push("unknown key");
            return Ok(None);
        }
        let name = (target, key);
        if !self.slots.contains(&name) && self.slots.len() == self.world.slots_max {
            return Err("too many different values");
        }
        self.slots.insert(name.clone());
        Ok(Some(name))
    }
}

/// The text with the token taken out.
fn without(text: &[u8], token: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if !token.is_empty() && text[at..].starts_with(token) {
            at += token.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

fn change(what: &str, (source, key): &(String, Vec<u8>)) -> Node {
    Node::Change(format!("{what} {source} {}", key.escape_ascii()))
}

fn known(target: &str) -> bool {
    ["cookie", "header", "arg", "var", "lang", "geo", "ip", "page", "abvalue"].contains(&target)
}

fn print(node: &Node, world: &World<'_>, page: &mut Page) {
    let out = &mut page.bytes;
    match node {
        Node::Change(change) => page.changes.push(change.clone()),
        Node::Text(text) => out.extend(text),
        Node::Nonce => out.extend((world.lookup)("nonce", b"")),
        Node::Include { uri, default } => {
            let fragment = (world.lookup)("include", uri);
            out.extend(if fragment.is_empty() { default } else { &fragment });
        }
        Node::Get { name, default, filters } => {
            let value = (world.lookup)(&name.0, &name.1);
            if value.is_empty() {
                return out.extend(chain(default.clone(), filters));
            }
            let mut text = value;
            for (n, filter) in filters.iter().enumerate() {
                if filter.name == "default" && text.is_empty() {
                    // From here on it is the author's.
                    return out.extend(chain(text, &filters[n..]));
                }
                text = apply(filter, text);
            }
            let escapes = |filter: &Filter| filter.name == "raw" || ESCAPING.contains(&&*filter.name);
            if world.escape && !filters.iter().any(escapes) {
                text = apply(&Filter { name: "html".into(), argument: None }, text);
            }
            out.extend(text);
        }
        Node::Block { name, negate, then, otherwise } => {
            let value = name.as_ref().map_or(Vec::new(), |name| (world.lookup)(&name.0, &name.1));
            let is = !value.is_empty() && value != b"0";
            for node in if is != *negate { then } else { otherwise } {
                print(node, world, page);
            }
        }
    }
}
