//! What the names of elements and attributes say of what stands in them.

use super::Place;
use super::name::Name;

/// How the inside of an element reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// Text and elements.
    Markup,
    /// Text with references, up to its end tag.
    Rcdata,
    /// Bytes, up to its end tag.
    Bytes,
    /// Bytes where scripts run, elements where they don't.
    NoScript,
    Style,
    Script,
    /// Bytes to the end of the page.
    Plain,
}

/// Of an element of HTML.
pub(super) fn inside(name: &Name) -> Inside {
    match name.known() {
        Some(b"title" | b"textarea") => Inside::Rcdata,
        Some(b"xmp" | b"iframe" | b"noembed" | b"noframes") => Inside::Bytes,
        Some(b"noscript") => Inside::NoScript,
        Some(b"style") => Inside::Style,
        Some(b"script") => Inside::Script,
        Some(b"plaintext") => Inside::Plain,
        _ => Inside::Markup,
    }
}

/// Elements that have no end.
pub(super) fn is_void(name: &Name) -> bool {
    const VOID: [&[u8]; 16] = [
        b"area",
        b"base",
        b"basefont",
        b"bgsound",
        b"br",
        b"col",
        b"embed",
        b"hr",
        b"img",
        b"input",
        b"keygen",
        b"link",
        b"meta",
        b"param",
        b"source",
        b"wbr",
    ];
    name.is_one_of(&VOID) || name.is(b"track") || name.is(b"frame")
}

/// Elements that end `<svg>` or `<math>` where they stand in it.
pub(super) fn breaks_out(name: &Name) -> bool {
    const HTML: [&[u8]; 45] = [
        b"b",
        b"big",
        b"blockquote",
        b"body",
        b"br",
        b"center",
        b"code",
        b"dd",
        b"div",
        b"dl",
        b"dt",
        b"em",
        b"embed",
        b"h1",
        b"h2",
        b"h3",
        b"h4",
        b"h5",
        b"h6",
        b"head",
        b"hr",
        b"i",
        b"img",
        b"li",
        b"listing",
        b"menu",
        b"meta",
        b"nobr",
        b"ol",
        b"p",
        b"pre",
        b"ruby",
        b"s",
        b"small",
        b"span",
        b"strong",
        b"strike",
        b"sub",
        b"sup",
        b"table",
        b"tt",
        b"u",
        b"ul",
        b"var",
        b"font",
    ];
    name.is_one_of(&HTML)
}

/// By which rules the start tags in an element are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holds {
    #[default]
    Html,
    Svg,
    MathMl,
    /// HTML, but for two elements of MathML.
    MathText,
    /// MathML, but for `<svg>`.
    Annotation,
    /// Nobody knows.
    Unknown,
}

/// In an element of SVG.
pub(super) fn in_svg(name: &Name) -> Holds {
    if name.is_one_of(&[b"foreignobject", b"desc", b"title"]) { Holds::Html } else { Holds::Svg }
}

/// In an element of MathML. `encoding`: the attribute of that name, if it has one.
pub(super) fn in_math(name: &Name, encoding: Option<&Name>) -> Holds {
    const HTML: [&[u8]; 2] = [b"text/html", b"application/xhtml+xml"];
    match (name.known(), encoding) {
        (Some(b"mi" | b"mo" | b"mn" | b"ms" | b"mtext"), _) => Holds::MathText,
        (Some(b"annotation-xml"), Some(encoding)) if encoding.is_one_of(&HTML) => Holds::Html,
        (Some(b"annotation-xml"), Some(encoding)) if encoding.is_unknown() => Holds::Unknown,
        (Some(b"annotation-xml"), _) => Holds::Annotation,
        _ => Holds::MathMl,
    }
}

/// Elements of MathML that stand where all others are HTML.
pub(super) fn is_glyph(name: &Name) -> bool {
    name.is_one_of(&[b"mglyph", b"malignmark"])
}

/// Elements that end what is open up to their table.
pub(super) fn is_part_of_table(name: &Name) -> bool {
    const PARTS: [&[u8]; 9] =
        [b"caption", b"col", b"colgroup", b"tbody", b"td", b"tfoot", b"th", b"thead", b"tr"];
    name.is_one_of(&PARTS)
}

/// What an attribute's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A URL; `true`: of what is run or shown as a part of the page.
    Url(bool),
    Urls,
    Script,
    Style,
    /// The `content` of a `<meta>` that acts.
    Refresh,
    /// Nothing is safe here.
    None(Place),
}

/// What a start tag has said of itself before the attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// `<meta name=...>`: its content is a text.
    pub(super) named: bool,
    /// `<meta http-equiv=...>`: its content acts.
    pub(super) acts: bool,
}

/// Of an attribute with this name of an element with that name.
pub(super) fn kind(element: &Name, attribute: &Name, said: Said) -> Kind {
    // Too long to be one that acts, or a value is part of it.
    let Some(full) = attribute.known() else { return Kind::None(Place::AttributeName) };
    // Some libraries take theirs with `data-` before, too.
    let short = full.strip_prefix(b"data-").unwrap_or(full);
    if is_of_library(full, short) {
        return Kind::None(Place::Library);
    }
    if matches!(short, b"hx-get" | b"hx-post" | b"hx-put" | b"hx-patch" | b"hx-delete") {
        return Kind::Url(true);
    }
    if full.starts_with(b"data-") || full.starts_with(b"aria-") {
        return Kind::Text;
    }
    // In XML they say what an element is.
    if full == b"xmlns" || full.starts_with(b"xmlns:") {
        return Kind::None(Place::Role);
    }
    // Whatever the prefix stands for, `xlink:` above all.
    let name = full.rsplit(|&byte| byte == b':').next().unwrap_or(full);
    if name.len() > 2 && name.starts_with(b"on") {
        return Kind::Script;
    }
    let local = element.known().and_then(|name| name.rsplit(|&byte| byte == b':').next());
    let is = |elements: &[&[u8]]| local.is_some_and(|name| elements.contains(&name));
    let animates = is(&[b"set", b"animate", b"animatemotion", b"animatetransform", b"discard"]);
    match name {
        b"style" => Kind::Style,
        b"srcdoc" => Kind::None(Place::Document),
        b"src" => Kind::Url(is(&[b"script", b"iframe", b"frame", b"embed"])),
        b"href" => Kind::Url(is(&[b"link", b"base", b"script", b"use"])),
        b"data" | b"codebase" | b"classid" | b"archive" | b"code" if is(&[b"object", b"applet"]) => {
            Kind::Url(true)
        }
        b"manifest" => Kind::Url(true),
        b"action" | b"formaction" | b"poster" | b"cite" | b"background" | b"longdesc" | b"icon"
        | b"profile" | b"usemap" | b"lowsrc" | b"dynsrc" => Kind::Url(false),
        b"srcset" | b"imagesrcset" | b"ping" | b"attributionsrc" => Kind::Urls,
        b"content" if is(&[b"meta"]) => match said {
            Said { acts: true, .. } => Kind::Refresh,
            Said { named: true, .. } => Kind::Text,
            Said { .. } => Kind::None(Place::Meta),
        },
        b"attributename" | b"http-equiv" | b"sandbox" | b"is" | b"shadowrootmode" | b"nonce"
        | b"integrity" => Kind::None(Place::Role),
        // Whoever chooses how bytes are read chooses what they say.
        b"charset" if is(&[b"meta", b"script", b"link"]) => Kind::None(Place::Role),
        b"allow" | b"csp" if is(&[b"iframe"]) => Kind::None(Place::Role),
        b"from" | b"to" | b"by" | b"values" if animates => Kind::None(Place::Role),
        b"type" | b"rel" | b"language" | b"as"
            if is(&[b"script", b"link", b"style", b"object", b"embed"]) =>
        {
            Kind::None(Place::Role)
        }
        _ => Kind::Text,
    }
}

/// Whether a library in the browser runs what stands in an attribute. `short`: its name without `data-`.
fn is_of_library(full: &[u8], short: &[u8]) -> bool {
    const OWN: [&[u8]; 9] = [b"@", b":", b"#", b"(", b"[", b"v-", b"x-", b"wire:", b"_"];
    const WITH_DATA: [&[u8]; 11] = [
        b"ng-",
        b"hx-on",
        b"hx-vals",
        b"hx-vars",
        b"hx-headers",
        b"hx-request",
        b"hx-trigger",
        b"on:",
        b"on-",
        b"up-on",
        b"dojo-",
    ];
    const WHOLE: [&[u8]; 3] = [b"data-bind", b"data-script", b"script"];
    let begins = |name: &[u8], prefixes: &[&[u8]]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    begins(full, &OWN) || begins(short, &WITH_DATA) || WHOLE.contains(&full)
}
