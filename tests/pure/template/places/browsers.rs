//! Against a parser that nobody here wrote: whatever a visitor's values hold, the page has the elements, the attributes
//! and the comments that it has with harmless ones, and a value stands where its filter belongs.

use crate::property::cases;
use std::collections::BTreeSet;

use html5ever::tendril::TendrilSink;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use proptest::prelude::*;
use twice_core::template::{Compiler, Escape, Start};

use super::super::rig::{Setup, print};
use super::bits::{HARMLESS, HOSTILE, page};
use super::{VALUES, compile};

/// The document: a line for each element with the names of its attributes, comment and so on, and where values stand.
#[derive(Default)]
struct Document {
    shape: Vec<String>,
    /// What the value was taken for.
    places: BTreeSet<String>,
}

impl Document {
    fn parse(page: &str) -> Document {
        let dom = html5ever::parse_document(RcDom::default(), Default::default()).one(page);
        let mut document = Document::default();
        document.add(&dom.document, 0, "");
        document
    }

    fn add(&mut self, node: &Handle, depth: usize, parent: &str) {
        let mut name = String::new();
        match &node.data {
            NodeData::Element { name: tag, attrs, template_contents, .. } => {
                let foreign = if &*tag.ns == "http://www.w3.org/1999/xhtml" { "" } else { "foreign " };
                name = format!("{foreign}{}", tag.local);
                let mut names: Vec<String> = Vec::new();
                for attribute in attrs.borrow().iter() {
                    let attribute_name = attribute.name.local.to_string();
                    if attribute.value.contains(HARMLESS) {
                        self.places.insert(format!("attribute {attribute_name}"));
                    }
                    names.push(attribute_name.clone());
                    if is_url(&attribute_name) && runs(&attribute.value) {
                        names.push("which is a script".into());
                    }
                }
                self.shape.push(format!("{depth} {name} {names:?}"));
                if let Some(contents) = template_contents.borrow().as_ref() {
                    self.add(contents, depth + 1, "template");
                }
            }
            NodeData::Comment { contents } => self.shape.push(format!("{depth} comment {contents}")),
            NodeData::Doctype { .. } => self.shape.push(format!("{depth} doctype")),
            NodeData::Text { contents } if contents.borrow().contains(HARMLESS) => {
                self.places.insert(format!("text {parent}"));
            }
            _ => (),
        }
        for child in node.children.borrow().iter() {
            self.add(child, depth + 1, &name);
        }
    }
}

fn is_url(attribute: &str) -> bool {
    ["href", "xlink:href", "src", "action", "formaction", "background"].contains(&attribute)
}

/// Whether a URL is a script.
fn runs(url: &str) -> bool {
    let blank = |byte: char| byte <= ' ';
    let url: String = url.trim_start_matches(blank).replace(['\t', '\n', '\r'], "");
    url.get(..11).is_some_and(|scheme| scheme.eq_ignore_ascii_case("javascript:"))
}

fn printed(compiler: &Compiler, x: &str, y: &str) -> String {
    let lookup = |_: &str, key: &[u8]| if key == b"x" { x.into() } else { y.into() };
    String::from_utf8(print(compiler, &Setup::default().limits, &lookup)).unwrap()
}

/// Which filters may stand in a place.
fn fits(place: &str, filter: &str) -> bool {
    match place {
        "text script" => ["js", "jsvalue", "json"].contains(&filter),
        "text style" => ["css", "cssword", "cssurl", "url"].contains(&filter),
        // One of them is as good as another where scripts run, and no text where they don't.
        "text noscript" => true,
        "text foreign script" | "text foreign style" => false,
        "attribute srcset" | "attribute imagesrcset" => ["srcset", "url"].contains(&filter),
        // Of an object or of another element, of a meta that acts or of one that does not.
        "attribute data" | "attribute content" => ["html", "attr", "href", "url"].contains(&filter),
        "attribute onclick" => ["js", "jsvalue | html"].contains(&filter),
        "attribute style" => ["css", "cssword", "cssurl", "url"].contains(&filter),
        _ => match place.strip_prefix("attribute ") {
            Some(name) if is_url(name) => ["href", "url"].contains(&filter),
            Some(_) => ["html", "attr"].contains(&filter),
            None => filter == "html",
        },
    }
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn no_value_changes_a_page(page in page(), y in prop::sample::select(&["", HARMLESS, "z\"'><b>q"][..])) {
        no_value_changes(&page, y);
    }

    /// Nor does it matter how it comes, as what it begins, or what bytes it has.
    #[test]
    fn any_page_cut_anywhere(
        page in page(),
        garbage in prop::collection::vec(any::<u8>(), 0..6),
        cuts in prop::collection::vec(any::<usize>(), 0..9),
        start in prop::sample::select(&Start::ALL[..]),
    ) {
        let page = [garbage.as_slice(), page.as_bytes(), &garbage].concat();
        let setup = Setup { escape: Escape::Auto(start), ..Setup::default() };
        setup.check_cuts(&page, &cuts, &|_, key| if key == b"x" { HOSTILE[0].into() } else { Vec::new() });
    }

    /// One tag, and where the parser has it.
    #[test]
    fn a_filter_fits_its_place(page in page()) {
        let mut parts = page.splitn(2, "<& get cookie x &>");
        let (Some(before), Some(after)) = (parts.next(), parts.next()) else { return Ok(()) };
        if before.contains("<&") {
            return Ok(());
        }
        let after = after.split("<&").next().unwrap();
        fits_its_place(before, after);
    }
}

fn no_value_changes(page: &str, y: &str) {
    let compiler = compile(page, Escape::Auto(Start::Html));
    let harmless = if y.is_empty() { "" } else { HARMLESS };
    let expected = printed(&compiler, HARMLESS, harmless);
    let shape = Document::parse(&expected).shape;
    for x in HOSTILE {
        let got = printed(&compiler, x, y);
        assert_eq!(shape, Document::parse(&got).shape, "{page}\nwith {x:?} and {y:?}\n{expected}\n{got}");
    }
}

fn fits_its_place(before: &str, after: &str) {
    let tag = |filter: &str| format!("{before}<& get cookie x {filter}&>{after}");
    let auto = compile(&tag(""), Escape::Auto(Start::Html));
    if auto.slots().len() == 0 {
        return;
    }
    let places = Document::parse(&printed(&auto, HARMLESS, "")).places;
    const FILTERS: [&str; 12] = [
        "html",
        "attr",
        "url",
        "href",
        "srcset",
        "js",
        "json",
        "css",
        "cssword",
        "cssurl",
        "jsvalue",
        "jsvalue | html",
    ];
    // By what becomes of values: some filters make something of a missing one, too.
    let same = |filter: &&str| {
        let named = compile(&tag(&format!("| {filter} ")), Escape::Off);
        VALUES.iter().all(|value| printed(&named, value, "") == printed(&auto, value, ""))
    };
    let filter = FILTERS.into_iter().find(same).expect("a filter");
    for place in &places {
        assert!(fits(place, filter), "{before}¤{after}: {filter} in {place}");
    }
}

/// The same, of pages that would rarely come by chance.
#[test]
fn pages_that_browsers_read_in_their_own_way() {
    let x = "<& get cookie x &>";
    for page in [
        "<svg><style><a title=\"</style><p title='¤'>",
        "<svg><style>¤<p>¤</style>¤",
        "<math><style></xmp>¤</style>¤<svg><g><style></g>¤",
        "<svg><style></xmp><style>¤</style>¤</style>¤",
        "<svg></p><style><a title=\"</style>¤\">¤",
        "<svg><title><style>¤</style></title><style>¤</style></svg><style>a{b:¤}</style>",
        "<svg><foreignObject></svg></foreignObject><style>¤</style>",
        "<math><annotation-xml encoding='text/html'><style>a{b:¤}</style>",
        "<math><mi><style>¤</style></mi><mglyph><style>¤</style>",
        "<select><style>¤</style>¤<textarea>¤</textarea>¤",
        "<template><col><textarea>¤</textarea>¤<p title=\"¤\">",
        "<frameset><noframes>¤</noframes><style>¤</style>¤",
        "<noscript><p title=\"</noscript><b title='¤'>\">¤",
        "<script><!--<script></script>'¤'--></script>¤",
        "<script>'<!--'; '<script>'; '¤></script>¤",
        "<table><textarea>¤</textarea><td>¤",
        "<title><!--</title>¤--></title>¤",
        "<textarea></textareax>¤</textarea/>¤",
        "<plaintext></plaintext>¤<p title=¤>",
        "<!--><p title=¤>-->¤",
        "<p title=¤ id=¤>¤",
        "<p title=¤/id='¤'>¤",
        "<a href=¤ title='¤'>",
        "<svg><![CDATA[<p title=']]>¤'>¤",
        "<svg><![cdata[<p>¤]]>¤",
        "<svg><p><![CDATA[>¤]]>¤",
        "<svg><title><![CDATA[><a b=\"]]><p title=¤ \">¤",
        "<svg><desc><p><p></p><![CDATA[><a b=\"]]><p title=¤ \">",
        "<math><title><style>¤</style></title>¤",
        "<svg><mi><style>¤</style></mi>¤",
        "<math><mi><mglyph><style><a title=\"</style>¤\">¤",
        "<math><annotation-xml><svg><desc><style>a{b:¤}</style></desc><style>¤",
        "<table><td><svg><desc><td></td></desc><style><a title=\"</style>¤\">¤",
        "<svg></g><style><style></style>¤",
        "<script type type=application/json>'¤'</script>",
    ] {
        for (at, _) in page.match_indices('¤') {
            let (before, after) = (page[..at].replace('¤', ""), page[at + '¤'.len_utf8()..].replace('¤', ""));
            fits_its_place(&before, &after);
        }
        let page = page.replace('¤', x);
        for y in ["", HARMLESS] {
            no_value_changes(&page, y);
        }
    }
}
