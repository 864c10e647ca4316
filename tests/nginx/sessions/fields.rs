//! What a page prints of a record, and what a record can't do to a page.

use super::*;

const RECORD: &str = r#"{
    "login": "ann", "age": 42, "price": 19.90, "tiny": 1.0e-7, "long": 123456789012345678901234567890, "zero": 0,
    "yes": true, "no": false, "nothing": null, "empty": "",
    "address": {"city": "Ulm", "geo": {"lat": 48.40}}, "friends": [{"name": "bob"}, {"name": "eve"}], "tags": [1, "two"],
    "a.b": "dotted", "a": {"b": "nested"}, "ümlaut": "ä"
}"#;

/// The page `/` whose tags are these, printed for somebody with this record.
fn printed(tags: &str, record: &str) -> Response {
    let origin = Origin::start();
    let nginx = site(&origin, "timeout=60s").start();
    origin.on("/", Answer::page(tags));
    origin.on("/session", Answer::ok(record));
    let first = page(&nginx, "ann");
    let hit = nginx.get("/").cookie("persistent=ann").warm();
    assert_eq!(hit.text(), first.text());
    assert_eq!(hit.header("Content-Length"), Some(hit.body.len().to_string().as_str()));
    assert_eq!(origin.count("/session"), 1);
    nginx.finish();
    hit
}

#[test]
fn fields_are_printed_as_they_are_written() {
    let rows = [
        ("login", "ann"),
        ("age", "42"),
        ("price", "19.90"),
        ("tiny", "1.0e-7"),
        ("long", "123456789012345678901234567890"),
        ("zero", "0"),
        ("yes", "true"),
        ("no", "none"),
        ("nothing", "none"),
        ("empty", "none"),
        ("absent", "none"),
        ("address.city", "Ulm"),
        ("address.geo.lat", "48.40"),
        ("address.street", "none"),
        ("address", "{&quot;city&quot;:&quot;Ulm&quot;,&quot;geo&quot;:{&quot;lat&quot;:48.40}}"),
        ("friends.0.name", "bob"),
        ("friends.1.name", "eve"),
        ("friends.2.name", "none"),
        ("friends.00.name", "none"),
        ("friends.-1.name", "none"),
        ("friends.name", "none"),
        ("tags", "[1,&quot;two&quot;]"),
        ("tags.1", "two"),
        ("login.0", "none"),
        ("a.b", "dotted"),
        ("ümlaut", "ä"),
    ];
    let tags: String = rows.iter().map(|(path, _)| format!("<& get session \"{path}\" none &>\n")).collect();
    let expected: String = rows.iter().map(|(_, text)| format!("{text}\n")).collect();
    assert_eq!(printed(&tags, RECORD).text(), expected);
}

#[test]
fn fields_choose_branches() {
    let tags = "<& if session yes &>member<& else &>guest<& end &> <& if session no 1 2 &> <& if session zero 1 2 &> \
                <& unless session nothing 1 2 &> <& if session friends.0.name 'has friends' &>";
    assert_eq!(printed(tags, RECORD).text(), "member 2 2 1 has friends");
}

#[test]
fn a_record_is_data() {
    let record = serde_json::json!({
        "name": "<script>alert('x')</script>",
        "tag": "<& get cookie persistent &><& include /session &>",
        "lines": "a\r\nSet-Cookie: evil=1\r\n\r\nb",
        "nul": "a\u{0}b",
    });
    let tags = "<& get session name &>|<& get session tag &>|<& get session tag | raw &>|<& get session lines &>|\
                '<& get session name | js &>'|<& get session nul &>";
    let page = printed(tags, &record.to_string());
    let raw = "<& get cookie persistent &><& include /session &>";
    let escaped = "&lt;&amp; get cookie persistent &amp;&gt;&lt;&amp; include /session &amp;&gt;";
    let parts: Vec<String> = page.text().split('|').map(str::to_owned).collect();
    assert_eq!(parts[0], "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
    assert_eq!(&parts[1..4], [escaped, raw, "a\r\nSet-Cookie: evil=1\r\n\r\nb"]);
    assert!(!parts[4].contains("</script>") && !parts[4].contains("('x"), "{}", parts[4]);
    assert_eq!(parts[5], "a\u{0}b");
    assert_eq!(page.header("Set-Cookie"), None);
    assert_eq!(page.header("Cache-Control"), Some("private, no-cache"));
}

#[test]
fn records_of_other_shapes_have_no_fields() {
    for record in ["[]", "7", "\"ann\"", "null", "{}", "[\"x\",\"ann\"]"] {
        let first = if record.starts_with("[\"x") { "ann" } else { "none" };
        let page = printed("<& get session login none &> <& get session 1 none &>", record);
        assert_eq!(page.text(), format!("none {first}"), "{record}");
    }
}
