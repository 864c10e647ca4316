//! Where in a URL a tag stands: at its beginning, where a value would choose the scheme, or behind that.
//!
//! ```text
//!   "  java<& x &>"        Word      may become a scheme: a value must bring no ':'
//!   "/<& x &>"             Slash     a value must not begin with '/'
//!   "https://<& x &>/..."  Host
//!   "/a?b=<& x &>"         Rest      nothing is decided any more
//! ```
//!
//! Invariant: what a browser skips (white space before a URL, line ends and tabs in it) is skipped.

use super::{CSS_URL, HREF, Place, SRCSET, URL, Want, name::Name};

/// Schemes whose rest is a script or a document.
const SCRIPTS: [&[u8]; 6] =
    [b"javascript", b"vbscript", b"livescript", b"data", b"view-source", b"filesystem"];

/// Schemes behind which a host stands.
const HOSTS: [&[u8]; 6] = [b"http", b"https", b"ftp", b"ws", b"wss", b"file"];

/// What is written for a whole URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Attribute,
    /// Several URLs, with descriptors behind them.
    List,
    Css,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Word,
    Slash,
    /// Behind the scheme, or behind two slashes.
    HostStart,
    Host,
    Rest,
    /// The rest is a script.
    Script,
    /// A list: behind a URL and a space.
    Descriptor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Url {
    at: At,
    kind: Kind,
    /// What it names is run or shown as a part of the page.
    resource: bool,
    word: Name,
    /// A list: the byte before was a comma.
    comma: bool,
}

impl Url {
    pub(super) fn new(kind: Kind, resource: bool) -> Self {
        Url { at: At::Start, kind, resource, word: Name::default(), comma: false }
    }

    pub(super) fn feed(&mut self, byte: u8) {
        if self.kind == Kind::List && self.feed_list(byte) {
            return;
        }
        if matches!(byte, b'\t' | b'\n' | b'\r') {
            return;
        }
        let slash = byte == b'/' || byte == b'\\';
        self.at = match self.at {
            At::Start if byte <= b' ' => At::Start,
            At::Start if slash => At::Slash,
            At::Start if matches!(byte, b'?' | b'#' | b':') => At::Rest,
            At::Start => {
                self.word.push(byte);
                At::Word
            }
            At::Word if byte == b':' => {
                let scheme = std::mem::take(&mut self.word);
                // A value that is not at its beginning can't have told a scheme apart.
                if scheme.is_unknown() || scheme.is_one_of(&SCRIPTS) {
                    At::Script
                } else if scheme.is_one_of(&HOSTS) {
                    At::HostStart
                } else {
                    At::Rest
                }
            }
            At::Word if slash || matches!(byte, b'?' | b'#') => {
                self.word.clear();
                At::Rest
            }
            At::Word => {
                self.word.push(byte);
                At::Word
            }
            At::Slash if slash => At::HostStart,
            At::Slash => At::Rest,
            At::HostStart if slash => At::HostStart,
            At::HostStart | At::Host if slash || matches!(byte, b'?' | b'#') => At::Rest,
            At::HostStart | At::Host => At::Host,
            other => other,
        };
    }

    /// What parts the URLs of a list; true: the byte belongs to none of them.
    fn feed_list(&mut self, byte: u8) -> bool {
        let space = byte.is_ascii_whitespace();
        let comma = std::mem::replace(&mut self.comma, byte == b',');
        match self.at {
            At::Start => space || byte == b',',
            At::Descriptor if byte != b',' => true,
            _ if space && !comma && self.at != At::Descriptor => {
                self.word.clear();
                self.at = At::Descriptor;
                true
            }
            _ if space || self.at == At::Descriptor => {
                self.word.clear();
                self.at = At::Start;
                true
            }
            _ => false,
        }
    }

    pub(super) fn want(&self) -> Result<Want, Place> {
        match self.at {
            At::Script => Err(Place::ScriptUrl),
            At::Descriptor => Err(Place::Descriptor),
            At::Start | At::HostStart | At::Host if self.resource => Err(Place::Resource),
            At::Start => Ok(Want::Filters(match self.kind {
                Kind::Attribute => HREF,
                Kind::List => SRCSET,
                Kind::Css => CSS_URL,
            })),
            _ => Ok(Want::Filters(URL)),
        }
    }

    /// A value was printed here.
    pub(super) fn value(&mut self) {
        self.comma = false;
        self.at = match self.at {
            At::Start | At::Word => {
                self.word.spoil();
                At::Word
            }
            At::Slash => At::Rest,
            At::HostStart => At::Host,
            other => other,
        };
    }
}

/// The `content` of a `<meta>` that refreshes: `0; url=...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refresh {
    word: Name,
    url: Option<Url>,
    quote: bool,
}

impl Refresh {
    pub(super) fn new() -> Self {
        Refresh { word: Name::default(), url: None, quote: false }
    }

    pub(super) fn feed(&mut self, byte: u8) {
        match &mut self.url {
            Some(_) if !self.quote && matches!(byte, b'"' | b'\'') => self.quote = true,
            Some(url) => {
                self.quote |= byte > b' ';
                url.feed(byte);
            }
            None if byte == b'=' && self.word.is(b"url") => {
                self.word.clear();
                self.url = Some(Url::new(Kind::Attribute, true));
            }
            None if byte.is_ascii_alphabetic() => self.word.push(byte),
            None if byte.is_ascii_whitespace() && self.word.is(b"url") => (),
            None => self.word.clear(),
        }
    }

    pub(super) fn want(&self) -> Result<Want, Place> {
        self.url.as_ref().map_or(Err(Place::Meta), Url::want)
    }

    pub(super) fn value(&mut self) {
        match &mut self.url {
            Some(url) => url.value(),
            None => self.word.spoil(),
        }
    }
}
