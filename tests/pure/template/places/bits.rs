//! Pages by chance: markup that is cut, nested and quoted in all the wrong ways, and tags; and values that end and begin
//! what they can.

use proptest::prelude::*;

const TAGS: &[&str] = &[
    "<& get cookie x &>",
    "<& get cookie x &>",
    "<& get cookie x &>",
    "<& get cookie y &>",
    "<& get cookie y 'a' &>",
    "<& get cookie x '\"' &>",
    "<& get cookie x '>' &>",
    "<& if cookie y &>",
    "<& else &>",
    "<& end &>",
    "<& if cookie y '<b>' &>",
    "<& if cookie y ' title=\"' ' id=\"' &>",
];

/// Whole tags: what becomes of the tree.
const ELEMENTS: &str = r#"
    <p> </p> <br> </br> <div> </div> <b> </b> <i> </i> <a> </a> <a/href=x> <nobr> <li> <dd> <h1> <hr> <font> <font/color=a>
    <button> </button> <input> <input/type=hidden> <form> </form> <object> </object> <marquee> <ruby> <rp> <image> <img>
    <html> <body> </body> <head> </head> <frameset> <frame> <base> <link> <meta>
    <title> </title> <title/> <textarea> </textarea> <style> </style> <style/> <script> </script> <script/> <xmp> </xmp>
    <iframe> </iframe> <noembed> </noembed> <noframes> </noframes> <noscript> </noscript> <plaintext>
    <svg> </svg> <svg/> <g> </g> <foreignObject> </foreignObject> <desc> </desc> <animate> <use>
    <math> </math> <mi> </mi> <mo> <mtext> <mglyph> <malignmark/> <annotation-xml> </annotation-xml>
    <annotation-xml/encoding=text/html> <annotation-xml/encoding='application/xhtml+xml'> <annotation-xml/encoding=a>
    <annotation-xml/encoding/encoding=text/html> <annotation-xml/encoding='text&#47;html'>
    <table> </table> <caption> </caption> <colgroup> <col> <tbody> <tr> </tr> <td> </td> <th>
    <select> </select> <option> <optgroup> <template> </template>
    <![CDATA[ ]]> <![CDATA[> <!--a--> <p·title=" "> a"#;

/// Bits of tags, attributes, comments.
const PIECES: &str = r#"
    < > </ /> " ' = · ¶ - -- --> --!> <! <!-- <!--> <!--- <!---> <!doctype·html> <!DOCTYPE· <? <![CDATA[ <![cdata[ ]]> ] ? !
    & &amp; &quot; &quot &#39; &#39 &#x &#x22; &lt &lt; &colon; &Tab; &NotEqualTilde; &ampx ; a b / ␀ ␌ →
    <p> </p> <p· <p/ <p·title= <p·title=" <p·title=' ·title= ·TITLE=' ·id=' ·id=a ·=" ·/id
    ·onclick="f(' ')" ·ONCLICK='f(&quot; ·style="a: ·style='b:url( ·style=a: ) (
    <a·href=" <a·href= <a·href='/b?c= <a·href=·'java <a·href="//a <a·href='&#106; :
    <svg><a·xlink:href=" <form·action=' <button·formaction=" <img·src= <object·data=' <embed·src=' <base·href=" <link·href='/a?
    <iframe·srcdoc=' <iframe·src="/a <script·src='/a <svg><use·href='# <svg><set·attributeName=href·to=' <body·background=
    <meta·http-equiv=refresh·content="0;url= <meta·http-equiv=refresh·content='/a <meta·name=a·content=' <meta·content='
    <img·srcset="/a·2x,· <img·srcset=' <link·imagesrcset='/a,· , <input·value= <input·value=' <br>
    <title> </title> </tit </title· <textarea> </textarea> </textarea/ <style> </style> <xmp> </xmp· <svg> <svg· <plaintext
    <script> </script> </SCRIPT· <script·type=" <script·type=' module application/json <math><annotation-xml·encoding=' text/html"#;

/// Bits of scripts, styles and JSON.
const LANGUAGES: &str = r#"
    <script> <script> <script>var·a·=·' <script·type=module> <script·type=application/json>{"a":" <script·type=importmap>{"
    </script> </SCRIPT· </script/ </scrip <!-- <!- --> -- - > < <script <scripts <script/ /script
    <p·onclick="f(' <p·onclick=' <p·onclick=f( <p·style=" <p·style='a:" &quot; &#39; &apos; &#34
    <style> <style> <style>a{b: <style>@import·' </style> </STYLE· <svg><style> <svg><script>
    ' " ` ' " ` \ \ $ { ${ } ( ) [ ] / /* */ // * ; : , · ¶ = + ++ a 1 . return if( url( URL(" image-set( @import· \75 ␤ ␍"#;

/// What can't be written between blanks.
const WRITTEN: [(char, &str); 7] =
    [('·', " "), ('¶', "\n"), ('␍', "\r"), ('→', "\t"), ('␌', "\u{c}"), ('␀', "\0"), ('␤', "\u{2028}")];

/// Bits of each kind, so that those that have to do with each other meet.
pub fn page() -> impl Strategy<Value = String> {
    let words = |kinds: &[&'static str]| {
        let words: Vec<&str> = kinds.iter().flat_map(|kind| kind.split_ascii_whitespace()).collect();
        let one = prop_oneof![3 => prop::sample::select(words), 1 => prop::sample::select(TAGS)];
        let written = |page: String, &(sign, text): &(char, &str)| page.replace(sign, text);
        prop::collection::vec(one, 1..18).prop_map(move |bits| WRITTEN.iter().fold(bits.concat(), written))
    };
    prop_oneof![
        words(&[ELEMENTS]),
        words(&[PIECES]),
        words(&[LANGUAGES]),
        words(&[ELEMENTS, PIECES, LANGUAGES]),
    ]
}

pub const HARMLESS: &str = "zq";

/// Each ends and begins what it can. None is blank at its ends: blanks between elements have rules of their own.
pub const HOSTILE: &[&str] = &[
    "z\"'><script>x</script><b c=d>q",
    "z onfocus=f() autofocus q",
    "z--><b>--!><b>]]><b>q",
    "z</title></textarea></style></script></xmp></iframe></noscript></svg><b>q",
    "/script q",
    "/script>",
    "!--",
    "!--<script>",
    "-",
    "->",
    "[CDATA[",
    "z'>\n\t<!--<script q",
    "javascript:f()",
    ":f()",
    "script:f()",
    "&quot;><b>",
    "#34;><b>",
    "z`=/>\\",
    "z/>",
    "svg><style>",
];
