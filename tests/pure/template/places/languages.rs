//! Scripts, styles and JSON.

use super::table;
use twice_core::template::Start;

#[test]
fn strings_of_scripts() {
    table(
        Start::Html,
        &[
            ("<script>a = \"¤\"; b = '¤'; c = `¤`</script>", "js"),
            ("<script>a = `x${'¤'}`</script>", "js"),
            ("<script>a = `x${`¤`}¤`</script>", "js"),
            ("<script>a = `x${{a: '}'}}¤`</script>", "js"),
            ("<script>'it\\'s ¤'</script>", "js"),
            ("<script>\"a\\\\\"; '¤'</script>", "js"),
            ("<script>'a\\\r\nb¤'</script>", "js"),
            ("<script>/'/; '¤'</script>", "js"),
            ("<script>a = /[/']/; '¤'</script>", "js"),
            ("<script>a / b; '¤' / c</script>", "js"),
            ("<script>(a) / 2; '¤'</script>", "js"),
            ("<script>if (a) /'/.test(b); '¤'</script>", "js"),
            ("<script>return /'/; '¤'</script>", "js"),
            ("<script>a.return / 2; '¤'</script>", "js"),
            ("<script>a++ / 2; '¤'; 1. / 2; '¤'; a[1] / 2; '¤'</script>", "js"),
            ("<script>// it's\n'¤'</script>", "js"),
            ("<script>/* it's */'¤'</script>", "js"),
            ("<script>// it's\u{2028}'¤'</script>", "js"),
            ("<script><!-- it's\n'¤'\n--> it's\n'¤'</script>", "js"),
            ("<script type=module>'¤'</script>", "js"),
            ("<script type='Text/JavaScript'>'¤'</script>", "js"),
            ("<script type>'¤'</script>", "js"),
            ("<script type=''>'¤'</script>", "js"),
            ("<p onclick=\"f('¤')\">", "js"),
            ("<p onclick='f(&quot;¤&#34;)'>", "js"),
            ("<p onclick='f(&quot ¤&quot)'>", "js"),
            ("<p onclick='f(&#39;¤'>", "js"),
            ("<p on='¤'>", "html"),
        ],
    );
}

#[test]
fn comments_at_the_beginning() {
    table(
        Start::Html,
        &[
            ("<script>#!`\na = ¤</script>", "jsvalue"),
            ("<script>#! it's\n/\"/; a = '¤'</script>", "js"),
            ("<script type=module>#!`\na = ¤</script>", "jsvalue"),
            ("<script>#!¤</script>", "!comment of a script"),
            ("<script> #!`\na = ¤</script>", "js"),
            ("<script>class A { #a = ¤ }</script>", "jsvalue"),
            ("<script>'a\n#!\n¤</script>", "!script that can't be followed"),
            // What is beyond ASCII may be white space, so that these are comments.
            ("<script>\u{3000}--> `\na = ¤</script>", "!script that can't be followed"),
            ("<script>\u{feff}/**/-->¤</script>", "!script that can't be followed"),
            ("<script>a\u{a0}\n\u{a0}--> `\na = ¤</script>", "!script that can't be followed"),
            ("<script>\u{e9}; a --> `${b}`; a = ¤</script>", "jsvalue"),
            ("<script>a\u{e9}--> `${b}`; a = ¤</script>", "jsvalue"),
        ],
    );
    table(Start::Script, &[("\u{feff}#!`\na = ¤", "jsvalue")]);
}

/// Words behind which no value stands that could be divided.
#[test]
fn a_slash_behind_a_word() {
    table(
        Start::Html,
        &[
            ("<script type=module>export default /\"/; a = '¤'</script>", "js"),
            ("<script>class A extends /\"/ {}; a = '¤'</script>", "js"),
            ("<script>for (;;) break\n/\"/; a = '¤'</script>", "js"),
            ("<script>for (;;) continue\n/\"/; a = '¤'</script>", "js"),
            ("<script>debugger\n/\"/; a = '¤'</script>", "js"),
            ("<script>a\n++/\"/.b; a = '¤'</script>", "js"),
            ("<script>a/*\n*/--/\"/.b; a = '¤'</script>", "js"),
            ("<script>a ++/ 2; a = '¤'; this / 2; null / 2; a.default / 2; '¤'</script>", "js"),
        ],
    );
    // One of a script's own may be a module or not.
    table(Start::Script, &[("a <!-- \"\n; '¤'", "!script that can't be followed")]);
}

#[test]
fn code_of_scripts() {
    table(
        Start::Html,
        &[
            ("<script>a = ¤;</script>", "jsvalue"),
            ("<script>¤</script>", "jsvalue"),
            ("<script>f(¤, [¤], {a: ¤})</script>", "jsvalue"),
            ("<script>for (i=0;i<¤;i++);</script>", "jsvalue"),
            ("<script>a = `${¤}`</script>", "jsvalue"),
            ("<script>a = 4 /¤</script>", "jsvalue"),
            ("<script>a = <& get cookie y 1 &> / 2; b = ¤</script>", "jsvalue"),
            ("<script type=module>a = ¤</script>", "jsvalue"),
            ("<p onclick=\"f(¤)\">", "jsvalue html"),
            ("<p onclick='f(¤)'>", "jsvalue html"),
        ],
    );
}

#[test]
fn where_nothing_is_safe_in_scripts() {
    table(
        Start::Html,
        &[
            ("<script>// ¤\n</script>", "!comment of a script"),
            ("<script>/* ¤ */</script>", "!comment of a script"),
            ("<script><!-- ¤\n</script>", "!comment of a script"),
            ("<script>a\n--> ¤\n</script>", "!comment of a script"),
            ("<script>a = /¤/</script>", "!regular expression"),
            ("<script>a = /b¤/</script>", "!regular expression"),
            ("<script>a = /[¤]/</script>", "!regular expression"),
            ("<script>'\\¤'</script>", "!behind a backslash"),
            ("<script>`$¤`</script>", "!behind a $"),
            ("<script>'a\n¤'</script>", "!script that can't be followed"),
            ("<script>{} / '¤'</script>", "!script that can't be followed"),
            ("<script>) '¤'</script>", "!script that can't be followed"),
            ("<script>a\\u0062 = '¤'</script>", "!script that can't be followed"),
            ("<script type=module>a <!-- b; '¤'</script>", "!script that can't be followed"),
            ("<script type=text/x-template>¤</script>", "!unknown type"),
            ("<script type='<& get cookie y | raw &>'>'¤'</script>", "!branches end in different places"),
            ("<script type='a<& get cookie y | raw &>'>'¤'</script>", "!unknown type"),
        ],
    );
}

#[test]
fn a_script_ends_where_browsers_end_it() {
    table(
        Start::Html,
        &[
            ("<script>'</SCRIPT>¤", "html"),
            ("<script>'</script/>¤", "html"),
            ("<script>'</script a=\"¤\">", "html"),
            ("<script><!-- '</script>¤", "html"),
            ("<script><!-- <script> '</script>\n'¤'</script>", "js"),
            ("<script><!-- <script> </script> '</script>¤", "html"),
            ("<script><!-- <script> --> '</script>¤", "html"),
            ("<script><!-- <scriptx> '</script>¤", "html"),
            ("<script><!--> <script> '</script>¤", "html"),
            // Whether the value ends the escape nobody knows.
            ("<script><!--\na = '¤>'; document.write('<script>x</script>'); b = 1</script>", "js"),
        ],
    );
}

#[test]
fn json() {
    table(Start::Html, &[("<script type=application/json>{\"a\": \"¤\"}</script>", "json")]);
    table(
        Start::Html,
        &[
            ("<script type=application/ld+json>{\"a\": ¤}</script>", "jsvalue"),
            ("<script type=\"text/json\">{\"a\\\"\": ¤}</script>", "jsvalue"),
            // Its texts are the scripts that run.
            ("<script type=importmap>{\"imports\": {\"a\": \"¤\"}}</script>", "!choose what is loaded"),
            ("<script type=' ImportMap '>{\"imports\": ¤}</script>", "!choose what is loaded"),
            ("<script type='' type=application/json>`¤`</script>", "js"),
            ("<script type type=application/json>`¤`</script>", "js"),
            ("<script type/type=application/json>`¤`</script>", "js"),
            ("<script type=application/json>{\"a\\¤\": 1}</script>", "!behind a backslash"),
        ],
    );
    table(Start::Json, &[("{\"a\": \"¤\"}", "json"), ("{\"a\": ¤}", "jsvalue"), ("¤", "jsvalue")]);
}

#[test]
fn styles() {
    table(
        Start::Html,
        &[
            ("<style>a { color: ¤ }</style>", "cssword"),
            ("<style>a { width: ¤px; b: c }</style>", "cssword"),
            ("<style>a:after { content: \"¤\" '¤' }</style>", "css"),
            ("<style>.md\\:flex{} a:after { content: \"\\201C ¤\" }</style>", "css"),
            ("<style>/* it's */ a:after { content: '¤' }</style>", "css"),
            ("<style>a { b: url(¤) }</style>", "cssurl"),
            ("<style>a { b: url( '¤' ) }</style>", "cssurl"),
            ("<style>a { b: url(/a?¤) url(\"/¤\") }</style>", "url"),
            ("<style>a { b: URL(/a?¤) }</style>", "url"),
            ("<p style=\"color: ¤\">", "cssword"),
            ("<p style='b: url(¤)'>", "cssurl"),
            ("<p style='b: url(&quot;¤&quot;)'>", "cssurl"),
            ("<p style='b: \"¤\"'>", "css"),
            ("<style>/* ¤ */</style>", "!comment of a style"),
            ("<style>'\\¤'</style>", "!behind a backslash"),
            ("<style>@import '¤'</style>", "!choose what is loaded"),
            ("<style>@import url(¤)</style>", "!choose what is loaded"),
            ("<style>a { b: url(javascript:¤) }</style>", "!URL that is a script"),
            ("<style>a { b: image-set(\"¤\" 1x) }</style>", "!choose what is loaded"),
            ("<style>a { b: u\\72l('¤') }</style>", "!style that can't be followed"),
            ("<style>a { b: u\\72 l(¤) }</style>", "!style that can't be followed"),
            ("<style>a { b: url(a\\¤) }</style>", "!style that can't be followed"),
            ("<style>'a\n¤</style>", "cssword"),
            // What takes a line end with it.
            ("<style>a { b: 'a\\\r\nb\"¤' }</style>", "!style that can't be followed"),
            ("<style>a { b: '\\201C\n\"¤' }</style>", "!style that can't be followed"),
            ("<style>a { b: 'a\\\nb¤' }</style>", "css"),
            ("<style>@\\69mport '¤'</style>", "!choose what is loaded"),
            ("<style>@¤ '/a'</style>", "!choose what is loaded"),
            ("<style>@im¤ '/a'</style>", "!choose what is loaded"),
            ("<style>@media ¤ { a { b: c } }</style>", "cssword"),
        ],
    );
    table(Start::Style, &[("a { color: ¤ }", "cssword"), ("a { b: '¤' }", "css"), ("</style>'¤'", "css")]);
}

#[test]
fn scripts_of_their_own() {
    table(
        Start::Script,
        &[("a = '¤'", "js"), ("a = ¤", "jsvalue"), ("'</script>¤'", "js"), ("// ¤", "!comment of a script")],
    );
    table(Start::Plain, &[("<p ¤> ¤", "raw")]);
}

#[test]
fn character_sets() {
    const REFUSED: &str = "!in this character set";
    table(
        Start::Wide,
        &[
            ("<p title='¤'>¤</p>", "html"),
            ("<a href='/?¤'>", "url"),
            ("<script>a = ¤</script>", REFUSED),
            ("<p onclick='f(¤)'>", REFUSED),
            ("<script>a = '¤'</script>", REFUSED),
            ("<script>a = `¤`</script>", REFUSED),
            ("<p onclick=\"f('¤')\">", REFUSED),
            ("<style>a { b: '¤' }</style>", REFUSED),
            ("<script type=application/json>\"¤\"</script>", REFUSED),
            ("<!-- ¤ -->", "!in a comment"),
        ],
    );
    table(Start::Foreign, &[("¤", REFUSED), ("<p title='¤'>¤", REFUSED)]);
}

#[test]
fn content_types() {
    for (content_type, start) in [
        ("text/html", Start::Html),
        ("Text/HTML; charset=utf-8", Start::Html),
        ("", Start::Html),
        ("foo/bar", Start::Html),
        ("application/xhtml+xml", Start::Xml),
        ("image/svg+xml", Start::Xml),
        ("text/xml", Start::Xml),
        ("application/rss+xml", Start::Xml),
        ("application/json", Start::Json),
        ("application/ld+json ;a=b", Start::Json),
        ("application/javascript", Start::Script),
        ("text/javascript1.5", Start::Script),
        ("text/jscript", Start::Script),
        ("text/livescript", Start::Script),
        ("text/xsl", Start::Xml),
        ("application/json-seq", Start::Json),
        ("application/x-ndjson", Start::Json),
        ("application/manifest+json", Start::Json),
        ("text/x-javascript", Start::Script),
        ("text/css", Start::Style),
        ("text/plain", Start::Plain),
        ("text/plain; charset=utf-16", Start::Plain),
        ("text/html;charset=\"UTF-8\"", Start::Html),
        ("text/html; charset=windows-1252", Start::Html),
        ("text/html; charset=euc-jp", Start::Html),
        ("text/html; a=b; Charset=\"Shift_JIS\"", Start::Wide),
        ("text/html; charset=gb2312", Start::Wide),
        ("text/html; charset= GBK", Start::Wide),
        ("text/html; charset=big5-hkscs", Start::Wide),
        ("application/json; charset=gbk", Start::Foreign),
        ("text/html; charset=utf-16le", Start::Foreign),
        ("text/html; charset=iso-2022-jp", Start::Foreign),
    ] {
        assert_eq!(Start::of(content_type.as_bytes()), start, "{content_type}");
    }
}
