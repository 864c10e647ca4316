//! Branches, defaults and fragments: more than one way to a place.

use super::super::rig::{Setup, print, same_program};
use super::{compile, table};
use twice_core::template::{Escape, Start};

#[test]
fn branches_that_agree() {
    table(
        Start::Html,
        &[
            ("<& if cookie a &><b><& else &><i><& end &>¤", "html"),
            ("<& if cookie a &><b title='x'><& end &>¤", "html"),
            ("<option <& if cookie a selected &>>¤", "html"),
            ("<p class=\"<& if cookie a 'b c' d &> ¤\">", "html"),
            ("<p title=<& get cookie a &> id=¤>", "attr"),
            ("<a href=\"<& get cookie a | raw &>/x?<& get cookie b &>¤\">", "url"),
            ("<script>var a = <& get cookie a 0 &>, b = '¤'</script>", "js"),
            ("<script>var a = <& if cookie a 'true' 'false' &> / 2, b = '¤'</script>", "js"),
            ("<script>var a = '<& if cookie a b c &>¤'</script>", "js"),
            ("<& if cookie a &><script>x</script><& end &><style>b { c: ¤ }</style>", "cssword"),
        ],
    );
}

#[test]
fn branches_that_do_not() {
    table(
        Start::Html,
        &[
            ("<& if cookie a &><!--<& end &>¤", "!branches end in different places"),
            (
                "<p <& if cookie a &>title=\"<& else &>onclick=\"<& end &>¤\">",
                "!branches end in different places",
            ),
            ("<p <& if cookie a 'title=\"' 'href=\"' &>¤\">", "!branches end in different places"),
            ("<p title=<& get cookie a | trim &> onclick=\"f('¤')\">", "!branches end in different places"),
        ],
    );
    // Behind it the tracker is sure again; that it was not is said once.
    let page =
        "<p <& if cookie a 'title=\"' 'href=\"' &><& get cookie x &><& get cookie x &>\"><& get cookie x &>";
    let compiler = compile(page, Escape::Auto(Start::Html));
    assert_eq!(compiler.error_count(), 1, "{:?}", compiler.errors());
    let printed = print(&compiler, &Setup::default().limits, &|_, _| b"<v>".into());
    assert_eq!(String::from_utf8_lossy(&printed), "<p title=\"\">&lt;v&gt;");
}

#[test]
fn too_many_readings_are_none() {
    let doubt = "<& if cookie a &><!--<& else &><p a='<& end &>";
    let page = format!("{}<& get cookie x &>--><p>'>--><& get cookie x &>", doubt.repeat(3));
    let compiler = compile(&page, Escape::Auto(Start::Html));
    assert!(compiler.error_count() >= 1);
    let endings = ["<!--", "<p a='", "<p a=\"", "<title>", "<style>", "<script>", "<xmp>", "<a "];
    let ways: String = endings.iter().map(|end| format!("<& if cookie a &>{end}<& end &>")).collect();
    let page = format!("{ways}</title></style></script></xmp>'>\"><a>--><p><& get cookie x &>");
    let compiler = compile(&page, Escape::Auto(Start::Html));
    assert_eq!(
        compiler.errors().last().map(|error| error.kind.as_str()),
        Some("no safe filter in a page that can't be followed")
    );
}

#[test]
fn what_the_author_names_is_done() {
    for page in [
        "<!-- <& get cookie x | html &> -->",
        "<<& get cookie x | raw &>>",
        "<script>/<& get cookie x | js &>/</script>",
        "<a href='/files/<& get cookie x | href &>'>",
    ] {
        let auto = compile(page, Escape::Auto(Start::Html));
        assert_eq!(auto.error_count(), 0, "{page}");
        same_program(&auto, &compile(page, Escape::Off));
    }
}

#[test]
fn other_filters_come_before() {
    for (page, named) in [
        ("<p><& get cookie x | upper | truncate:3 &>", "<p><& get cookie x | upper | truncate:3 | html &>"),
        ("<a href='?<& get cookie x | trim &>'>", "<a href='?<& get cookie x | trim | url &>'>"),
    ] {
        same_program(&compile(page, Escape::Auto(Start::Html)), &compile(named, Escape::Off));
    }
}

#[test]
fn a_refused_tag_prints_its_default() {
    for (page, printed) in [
        ("<!-- <& get cookie x 'no <b>' &> -->", "<!-- no <b> -->"),
        ("<p <& get cookie x &>>", "<p >"),
        ("<p <& get cookie x 'a=\"' &>\">", "<p a=\"\">"),
        ("<!-- <& get cookie x | upper | default:none &> -->", "<!-- none -->"),
        ("<!-- <& pop db x none &> -->", "<!-- none -->"),
    ] {
        let compiler = compile(page, Escape::Auto(Start::Html));
        assert_eq!(compiler.error_count(), 1, "{page}");
        let out = print(&compiler, &Setup::default().limits, &|_, _| b"V".into());
        assert_eq!(String::from_utf8_lossy(&out), printed);
    }
}

#[test]
fn fragments_stand_in_text() {
    for (page, start, errors) in [
        ("<p><& include /a &></p>", Start::Html, 0),
        ("<p title='<& include /a &>'>", Start::Html, 1),
        ("<script><& include /a &></script>", Start::Html, 1),
        ("<script><& include /a | raw &></script>", Start::Html, 0),
        ("<p title='<& include /a | raw | default:x &>'>", Start::Html, 0),
        ("<title><& include /a &></title>", Start::Html, 1),
        ("<!--<& include /a | default:x &>-->", Start::Html, 1),
        ("{\"a\": <& include /a &>}", Start::Json, 0),
        ("{\"a\": \"<& include /a &>\"}", Start::Json, 1),
        ("a{} <& include /a &>", Start::Style, 0),
        ("f(<& include /a &>)", Start::Script, 0),
        ("<& include /a &>", Start::Plain, 0),
        ("<feed><& include /a &></feed>", Start::Xml, 0),
    ] {
        let compiler = compile(page, Escape::Auto(start));
        assert_eq!(compiler.error_count(), errors, "{page}: {:?}", compiler.errors());
        assert!(compiler.errors().iter().all(|error| error.kind.as_str() == "include outside of text"));
    }
}
