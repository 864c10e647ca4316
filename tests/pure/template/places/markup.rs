//! Elements, attributes and comments.

use super::table;
use twice_core::template::Start;

#[test]
fn text() {
    table(
        Start::Html,
        &[
            ("¤", "html"),
            ("<p>¤</p>", "html"),
            ("a < b ¤", "html"),
            ("1 <2 ¤", "html"),
            ("&¤", "html"),
            ("<title>¤</title>", "html"),
            ("<TITLE>a</b>¤</title>", "html"),
            ("<textarea>\n¤</textarea>¤", "html"),
            ("<xmp><b>¤</xmp>", "html"),
            ("<iframe>¤</iframe>", "html"),
            ("<noembed>¤</noembed><noframes>¤</noframes>", "html"),
            ("<noscript>¤</noscript>¤", "html"),
            ("<plaintext>¤</plaintext>¤", "html"),
            ("<title></titlex>¤</title >¤", "html"),
        ],
    );
}

#[test]
fn attributes() {
    table(
        Start::Html,
        &[
            ("<p title=\"¤\">", "html"),
            ("<p title = '¤'>", "html"),
            ("<p title=¤>", "attr"),
            ("<p title=a¤ id=¤>", "attr"),
            ("<p a b/c=\"¤\">", "html"),
            ("<p \"='¤'>", "html"),
            ("<p =a=\"¤\">", "html"),
            ("<p a=\"x\"b='¤'>", "html"),
            ("<p/a=\"¤\"/>", "html"),
            ("<input value=\"¤\" name='¤'>¤", "html"),
            ("<p data-src=\"¤\" aria-label=\"¤\" class='¤'>", "html"),
            ("<a rel=\"¤\" type='¤'>", "html"),
            ("<option value=¤ selected>", "attr"),
            ("</p title=\"¤\">¤", "html"),
        ],
    );
}

#[test]
fn urls() {
    table(
        Start::Html,
        &[
            ("<a href=\"¤\">", "href"),
            ("<a href=' ¤'>", "href"),
            ("<a HREF=¤>", "href"),
            ("<img src='¤'>", "href"),
            ("<form action=\"¤\"><button formaction=\"¤\">", "href"),
            ("<svg><a xlink:href=\"¤\">", "href"),
            ("<a href=\"/¤\">", "url"),
            ("<a href=\"¤?a=1\"><a href=\"¤/b\">", "href"),
            ("<a href=\"java¤\">", "url"),
            ("<a href=\"page¤.html\">", "url"),
            ("<a href=\"?q=¤\">", "url"),
            ("<a href=\"#¤\">", "url"),
            ("<a href=/a?b=¤&c=¤>", "url"),
            ("<a href=\"/a?b=1&amp;c=¤\">", "url"),
            ("<a href=\"https://¤/\">", "url"),
            ("<a href=\"//¤\">", "url"),
            ("<a href=\"mailto:¤\">", "url"),
            ("<a href=\"&#104;ttps&colon;&sol;&sol;h/¤\">", "url"),
            ("<a href=\"javascript:¤\">", "!URL that is a script"),
            ("<a href=' JaVa\tscript:alert(¤)'>", "!URL that is a script"),
            ("<a href='java&#115;cript&colon;¤'>", "!URL that is a script"),
            (
                "<a href='java&Tab;script&#0000000000000000000000000000000000000058¤'>",
                "!open character reference",
            ),
            (
                "<a href='java&Tab;script&#0000000000000000000000000000000000000058;¤'>",
                "!URL that is a script",
            ),
            ("<a href='data:text/html,¤'>", "!URL that is a script"),
            ("<a href='a?b&¤'>", "!open character reference"),
            ("<script src=\"¤\">", "!choose what is loaded"),
            ("<script src=\"https://¤\">", "!choose what is loaded"),
            ("<script src=\"/js/¤.js\">", "url"),
            ("<script src=\"https://cdn.example/¤.js\">", "url"),
            ("<link rel=stylesheet href=¤>", "!choose what is loaded"),
            ("<base href='//a¤'>", "!choose what is loaded"),
            ("<iframe src='¤'>", "!choose what is loaded"),
            ("<img srcset=\"¤\">", "srcset"),
            ("<img srcset=\"¤ 2x\">", "srcset"),
            ("<img srcset=\"/a?¤ 2x\">", "url"),
            ("<img srcset=\"/a 2x, ¤ 3x\">", "srcset"),
            ("<img srcset=\"/a, ¤ 3x\">", "srcset"),
            ("<a attributionsrc='¤'>", "srcset"),
            ("<img srcset=\"/a ¤x\">", "!behind a URL of a list"),
            ("<meta http-equiv=refresh content=\"0; url=/a?¤\">", "url"),
            ("<meta http-equiv=refresh content=\"0; URL = '/a?¤'\">", "url"),
            ("<meta http-equiv=refresh content=\"0; url=¤\">", "!choose what is loaded"),
            ("<meta http-equiv=refresh content=\"¤\">", "!meta that may act"),
            ("<meta content=\"¤\">", "!meta that may act"),
            ("<p hx-get='¤'>", "!choose what is loaded"),
            ("<p data-hx-get='¤'>", "!choose what is loaded"),
            ("<p hx-get='/items?q=¤'>", "url"),
            ("<meta name=description content=\"¤\">", "html"),
            ("<meta property='og:title' content='¤'>", "html"),
        ],
    );
}

#[test]
fn where_nothing_is_safe() {
    table(
        Start::Html,
        &[
            ("<¤", "!in a tag's name"),
            ("</¤", "!in a tag's name"),
            ("<h¤", "!in a tag's name"),
            ("</h¤", "!in a tag's name"),
            ("<p ¤>", "!tag outside of quotes"),
            ("<p a¤>", "!tag outside of quotes"),
            ("<p a ¤>", "!tag outside of quotes"),
            ("<p a=''¤>", "!tag outside of quotes"),
            ("<p /¤>", "!tag outside of quotes"),
            ("<!¤>", "!in a comment"),
            ("<!-¤>", "!in a comment"),
            ("<!--¤-->", "!in a comment"),
            ("<!-- a --!¤>", "!in a comment"),
            ("<!-- a --¤>", "!in a comment"),
            ("<?php ¤ ?>", "!in a comment"),
            ("</ ¤>", "!in a comment"),
            ("<![CDATA[¤]]>", "!in a comment"),
            ("<svg><![CDATA[a>¤]]>", "!in a CDATA section"),
            ("<!DOCTYPE html \"¤\">", "!in a doctype"),
            ("<iframe srcdoc=\"¤\">", "!in srcdoc"),
            ("<p onclick=¤>", "!without quotes"),
            ("<p style=color:¤>", "!without quotes"),
            ("<script type=¤>", "!says what its element does"),
            ("<script type=\"¤\">", "!says what its element does"),
            ("<meta http-equiv=\"¤\">", "!says what its element does"),
            ("<link rel=\"¤\">", "!says what its element does"),
            ("<svg><animate attributeName=\"¤\">", "!says what its element does"),
            ("<svg><set to=\"¤\">", "!says what its element does"),
            ("<p @click=\"¤\">", "!a library runs"),
            ("<p x-data=\"{a: '¤'}\">", "!a library runs"),
            ("<p :title='¤'>", "!a library runs"),
            ("<p ng-click='¤'>", "!a library runs"),
            ("<p data-ng-click='¤'>", "!a library runs"),
            ("<p data-hx-on:click='¤'>", "!a library runs"),
            ("<p data-hx-vals='¤'>", "!a library runs"),
            ("<p hx-headers='¤'>", "!a library runs"),
            ("<p hx-request='¤'>", "!a library runs"),
            ("<p up-on-loaded='¤'>", "!a library runs"),
            ("<p data-dojo-props='¤'>", "!a library runs"),
            ("<p script='¤'>", "!a library runs"),
            ("<p hx-on:click='¤'>", "!a library runs"),
            ("<p hx-trigger='click[¤]'>", "!a library runs"),
            ("<p data-bind='text: ¤'>", "!a library runs"),
            ("<p wire:click=\"save('¤')\">", "!a library runs"),
            ("<p on:click='¤'>", "!a library runs"),
            ("<p on-click='¤'>", "!a library runs"),
            ("<p _='on click ¤'>", "!a library runs"),
            ("<iframe allow='¤'>", "!says what its element does"),
            ("<p xmlns:a='¤'>", "!says what its element does"),
            ("<math><annotation-xml encoding='¤'>", "!says what its element does"),
            ("<meta charset='¤'>", "!says what its element does"),
            ("<script charset='¤'>", "!says what its element does"),
            ("<title></¤", "!in a tag's name"),
            ("<title></tit¤", "!in a tag's name"),
            ("<title><¤", "!in a tag's name"),
            ("<style></st¤", "!in a tag's name"),
            ("<script>'</¤", "!in a tag's name"),
            ("<script>'<!¤", "!in a tag's name"),
            ("<script>'<!-¤", "!in a tag's name"),
            ("<script>'<¤", "!in a tag's name"),
            ("<svg><style>¤</style>", "!inside of SVG or XML"),
            ("<svg><script>'¤'</script>", "!inside of SVG or XML"),
        ],
    );
}

#[test]
fn comments_end_where_browsers_end_them() {
    for comment in [
        "<!-->",
        "<!--->",
        "<!---->",
        "<!-- a -->",
        "<!-- a --!>",
        "<!--a--b-->",
        "<!-- <!-- -->",
        "<!--<!-->",
    ] {
        table(Start::Html, &[(&format!("{comment}¤"), "html")]);
    }
    for comment in ["<!>", "<!a>", "<?a>", "</>", "</1>", "<!DOCTYPE>", "<!doctype a \">"] {
        table(Start::Html, &[(&format!("{comment}¤"), "html")]);
    }
    for comment in ["<!--a", "<!--a--!", "<!--a>", "<!--a->", "<!--a- ->", "<!--a--!->"] {
        table(Start::Html, &[(&format!("{comment}¤"), "!in a comment")]);
    }
}

#[test]
fn svg_has_its_own_rules() {
    table(Start::Html, &[("<svg><title>¤</title>¤</svg>¤", "html")]);
    table(
        Start::Html,
        &[
            ("<svg><path/></svg><style>a{b:¤}</style>", "cssword"),
            ("<svg/><style>a{b:¤}</style>", "cssword"),
            ("<svg><g><title>x</title></g></svg><script>'¤'</script>", "js"),
            ("<svg><foreignObject><p>x</p><style>a{b:¤}</style></foreignObject></svg>", "cssword"),
            // Who nests so can't be followed: both readings must agree.
            ("<svg><g></svg><script>'¤'</script>", "!branches end in different places"),
            ("<svg><p><script>'¤'</script>", "!branches end in different places"),
            ("<svg><p><title>¤</title><textarea>¤</textarea>¤", "html"),
            ("<svg><p><script>x</script>¤", "html"),
            ("<select><style>a{b:¤}</style>", "!branches end in different places"),
        ],
    );
}

/// What a `<style>` is, and whether `<![CDATA[` begins a section, says in what the page stands.
#[test]
fn html_stands_in_some_elements_of_svg_and_mathml() {
    for html in [
        "<svg><foreignObject>",
        "<svg><desc>",
        "<svg><title>",
        "<svg><g><desc>",
        "<svg><desc><svg></svg>",
        "<svg><math><desc>",
        "<math><mi>",
        "<math><mo>",
        "<math><mn>",
        "<math><ms>",
        "<math><mtext>",
        "<math><svg><mi>",
        "<math><mi><mi></mi>",
        "<math><annotation-xml encoding='text/html'>",
        "<math><annotation-xml encoding=Application/XHTML+xml>",
        "<math><annotation-xml encoding=\"text&sol;html\">",
        "<math><annotation-xml encoding='text/html' encoding='a'>",
        "<math><annotation-xml a=b encoding='text/html'/encoding>",
        "<math><mi><svg><desc>",
        "<math><mi><svg></svg>",
        "<svg><desc><math><mi>",
        "<svg><desc><math></math>",
        "<math><annotation-xml><svg><title>",
        "<math><annotation-xml encoding=a><svg><foreignObject><math><mi>",
        "<svg></svg>",
        "<math></math>",
        "<math><mi><mglyph></mglyph>",
        "<math><mi><mglyph/>",
        "<svg><desc><mglyph></mglyph>",
    ] {
        table(Start::Html, &[(&format!("{html}<style>a{{b:¤}}</style>"), "cssword")]);
    }
    for foreign in [
        "<svg>",
        "<math>",
        "<svg><mi>",
        "<svg><mtext>",
        "<svg><math>",
        "<svg><math><mi>",
        "<svg><annotation-xml encoding='text/html'>",
        "<math><desc>",
        "<math><title>",
        "<math><foreignObject>",
        "<math><svg><title>",
        "<math><annotation-xml>",
        "<math><annotation-xml encoding>",
        "<math><annotation-xml encoding='text/plain'>",
        "<math><annotation-xml encoding=' text/html'>",
        "<math><annotation-xml encoding='a' encoding='text/html'>",
        "<math><annotation-xml encoding encoding='text/html'>",
        "<math><annotation-xml encoding='text/html'></annotation-xml>",
        "<math><annotation-xml encoding='text/html'/>",
        "<math><annotation-xml><svg>",
        "<math><annotation-xml><math>",
        "<math><annotation-xml><svg><desc></desc>",
        "<svg><title></title>",
        "<svg><title/>",
        "<math><mi></mi>",
        "<math><mi/>",
        "<math><mi><mglyph>",
        "<math><mi><malignmark>",
        "<math><mi><svg>",
        "<svg><desc><math>",
        "<svg><desc><math><mi></mi>",
        "<svg><foreignObject><math><mi><svg>",
    ] {
        table(Start::Html, &[(&format!("{foreign}<style>a{{b:¤}}</style>"), "!inside of SVG or XML")]);
    }
    // In HTML `<![CDATA[` begins a comment up to the next `>`.
    for (page, sections) in [
        ("<svg><title>", true),
        ("<math><mi>", true),
        ("<math><annotation-xml encoding='text/html'>", true),
        ("<svg></svg>", false),
        ("<svg><desc></desc></svg>", false),
    ] {
        let place = if sections { "!in a CDATA section" } else { "html" };
        table(Start::Html, &[(&format!("{page}<![CDATA[>¤]]>"), place)]);
    }
    // An element of HTML may have ended by itself.
    table(
        Start::Html,
        &[
            ("<svg><desc><p><p></p><![CDATA[><a b=\"]]><p title=¤ \">", "!branches end in different places"),
            ("<math><mi><p><p></p><mglyph><style>¤", "!branches end in different places"),
        ],
    );
}

/// Elements that may end the `<svg>` in which they stand.
#[test]
fn parts_of_a_table_leave_svg() {
    for page in [
        "<table><td><svg><desc><td></td></desc><style>¤",
        "<table><svg><desc><tr></tr></desc><style>¤",
        "<table><svg><desc><table></table></desc><style>¤",
        "<template><tr><svg><desc><table><td></td></table></desc><style>¤",
        "<select><template></select></template><style>a{b:¤",
        "<math><annotation-xml encoding='<& get cookie y | raw &>'><style>¤",
    ] {
        table(Start::Html, &[(page, "!branches end in different places")]);
    }
    table(
        Start::Html,
        &[
            ("<svg><desc><table><tr><td></td></tr></table></desc></svg><style>a{b:¤}</style>", "cssword"),
            ("<svg><desc><table><tr></tr></table></desc><style>a{b:¤}</style>", "!inside of SVG or XML"),
        ],
    );
}

/// Where its end tags do not fit, text may be that of a style all the same.
#[test]
fn styles_of_svg_end_at_their_own_end_tag() {
    table(
        Start::Html,
        &[
            ("<svg><style><g></x></g>¤", "!inside of SVG or XML"),
            ("<svg><style><g></x></g></style>¤", "html"),
            ("<svg></g><style><style></style>¤", "!branches end in different places"),
            ("<svg></g><style/>¤", "!branches end in different places"),
            ("<svg></g><style></style>¤", "html"),
        ],
    );
}

#[test]
fn xml() {
    table(
        Start::Xml,
        &[
            ("<?xml version='1.0'?><a b=\"¤\">¤</a>", "html"),
            ("<!DOCTYPE html><p>¤</p>", "html"),
            ("<title>¤</title><textarea>¤</textarea>", "html"),
            ("<a href='¤'/>", "href"),
            ("<a onclick=\"f('¤')\"/>", "js"),
            ("<p onclick=\"//\n`&#10;a = ¤\"/>", "jsvalue html"),
            ("<p onclick=\"//\n¤\"/>", "!comment of a script"),
            ("<script>'¤'</script>", "!inside of SVG or XML"),
            ("<svg:style>¤</svg:style>", "!inside of SVG or XML"),
            ("<svg:script xlink:href='¤'/>", "!choose what is loaded"),
            ("<h:iframe src='¤'/>", "!choose what is loaded"),
            ("<svg:set to='¤'/>", "!says what its element does"),
            ("<h:script type='¤'>", "!says what its element does"),
            ("<!DOCTYPE a SYSTEM 'b>c<p d=\"'><p>¤", "html"),
            ("<script src='a'/>¤<script></script>¤", "html"),
            ("<![CDATA[¤]]>", "!in a CDATA section"),
            ("<![CDATA[<p>]]>¤", "html"),
            ("<?a ¤?>", "!in a processing instruction"),
            ("<?a > ?>¤", "html"),
            ("<!-- a --!> ¤", "!in a comment"),
            ("<p a=¤>", "!without quotes"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><p>¤", "!can't be followed"),
        ],
    );
}
