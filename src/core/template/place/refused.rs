//! Places where no filter makes a value safe, in the words of the log.

/// A place of a tag that names no escaping filter, where none is safe: the tag prints its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A tag's name, or what may become one.
    TagName,
    /// A tag, outside of the values of its attributes.
    AttributeName,
    /// A comment.
    Comment,
    /// A document type.
    Doctype,
    /// A CDATA section.
    Cdata,
    /// A processing instruction of XML.
    Instruction,
    /// A script or a style in an attribute without quotes.
    Unquoted,
    /// An attribute that is a document: `srcdoc`.
    Document,
    /// An attribute that says what its element does, as `type` or `http-equiv`.
    Role,
    /// An attribute that a library in the browser runs, as `@click` or `x-data`.
    Library,
    /// The content of a `<meta>` that has not said what it is, or of one that refreshes, outside of the URL.
    Meta,
    /// Behind an `&` that may begin a character reference.
    Reference,
    /// A URL whose scheme makes it a script or a document.
    ScriptUrl,
    /// The beginning of the URL of a script, a frame or a style sheet.
    Resource,
    /// Behind a URL in a list of them.
    Descriptor,
    /// A script of a type that is not known.
    ScriptType,
    /// A comment in a script.
    ScriptComment,
    /// A regular expression in a script.
    Regex,
    /// Behind a backslash.
    Backslash,
    /// Behind a `$` in a template of a script.
    Dollar,
    /// A script that can't be followed.
    Script,
    /// A comment in a style.
    StyleComment,
    /// A style that can't be followed.
    Style,
    /// A script or a style inside of SVG or XML.
    ForeignCode,
    /// A character set in which a value may take what stands behind it.
    Charset,
    /// An include outside of text.
    Include,
    /// Behind branches, or a value and its default, that end in different places.
    Branches,
    /// A page that can't be followed any more.
    Lost,
}

impl Place {
    /// What the log says.
    pub fn as_str(self) -> &'static str {
        match self {
            Place::TagName => "no safe filter in a tag's name",
            Place::AttributeName => "no safe filter in a tag outside of quotes",
            Place::Comment => "no safe filter in a comment",
            Place::Doctype => "no safe filter in a doctype",
            Place::Cdata => "no safe filter in a CDATA section",
            Place::Instruction => "no safe filter in a processing instruction",
            Place::Unquoted => "no safe filter in a script or a style without quotes",
            Place::Document => "no safe filter in srcdoc",
            Place::Role => "no safe filter in an attribute that says what its element does",
            Place::Library => "no safe filter in an attribute that a library runs",
            Place::Meta => "no safe filter in the content of a meta that may act",
            Place::Reference => "no safe filter behind an open character reference",
            Place::ScriptUrl => "no safe filter in a URL that is a script",
            Place::Resource => "no safe filter where a value would choose what is loaded",
            Place::Descriptor => "no safe filter behind a URL of a list",
            Place::ScriptType => "no safe filter in a script of unknown type",
            Place::ScriptComment => "no safe filter in a comment of a script",
            Place::Regex => "no safe filter in a regular expression",
            Place::Backslash => "no safe filter behind a backslash",
            Place::Dollar => "no safe filter behind a $ of a template",
            Place::Script => "no safe filter in a script that can't be followed",
            Place::StyleComment => "no safe filter in a comment of a style",
            Place::Style => "no safe filter in a style that can't be followed",
            Place::ForeignCode => "no safe filter in a script or a style inside of SVG or XML",
            Place::Charset => "no safe filter here in this character set",
            Place::Include => "include outside of text",
            Place::Branches => "no safe filter where branches end in different places",
            Place::Lost => "no safe filter in a page that can't be followed",
        }
    }
}
