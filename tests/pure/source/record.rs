//! JSON records and the paths of their fields.

use crate::property::cases;
use proptest::prelude::*;
use serde_json::Value;
use twice_core::source::record::*;

fn at(json: &str, path: &str) -> Option<String> {
    let record = Record::parse(json.as_bytes()).unwrap_or_else(|why| panic!("{json}: {why}"));
    record.text_at(path.as_bytes()).map(|text| String::from_utf8(text.into_owned()).unwrap())
}

#[test]
fn fields() {
    const USER: &str = r#"{"login": "hugo", "age": 42, "a": {"b": ["x", {"c": 1}], "d.e": "dotted"}, "yes": true,
        "no": false, "nil": null, "empty": "", "list": [], "a.b.0": "whole", "big": 123456789012345678901234567890,
        "price": 19.90, "exp": 1E5, "neg": -0, "esc": "\u00fc\n\"", "": "nameless", "0": "zero"}"#;
    let rows = [
        ("login", Some("hugo")),
        ("age", Some("42")),
        ("a.b.1.c", Some("1")),
        // The longest key goes first.
        ("a.b.0", Some("whole")),
        ("a.d.e", Some("dotted")),
        ("yes", Some("true")),
        ("no", None),
        ("nil", None),
        ("empty", Some("")),
        ("list", Some("[]")),
        ("a.b", Some(r#"["x",{"c":1}]"#)),
        ("big", Some("123456789012345678901234567890")),
        ("price", Some("19.90")),
        ("neg", Some("-0")),
        ("esc", Some("ü\n\"")),
        ("", Some("nameless")),
        ("0", Some("zero")),
        ("Login", None),
        ("login.x", None),
        ("login.0", None),
        ("a.b.2", None),
        ("a.b.-1", None),
        ("a.b.+1", None),
        ("a.b.01", None),
        ("a.b.99999999999999999999", None),
        ("a.", None),
        (".a", None),
        ("a..b", None),
        ("none", None),
    ];
    for (path, expected) in rows {
        assert_eq!(at(USER, path).as_deref(), expected, "{path:?}");
    }
    // The exponent may be written in another way, the number is the same.
    assert_eq!(at(USER, "exp").unwrap().parse::<f64>(), Ok(1e5));
    assert_eq!(Record::parse(USER.as_bytes()).unwrap().text_at(b"\xff"), None);
}

#[test]
fn records_that_are_no_objects() {
    assert_eq!(at("[1,[2,3]]", "1.0").as_deref(), Some("2"));
    assert_eq!(at("[1]", ""), None);
    assert_eq!(at("5", "a"), None);
    assert_eq!(at("5", ""), None);
    assert_eq!(at(r#""text""#, "0"), None);
    assert_eq!(at("null", "a"), None);
    assert_eq!(at(r#"{"a":1,"a":2}"#, "a").as_deref(), Some("2"), "the last one counts");
}

#[test]
fn the_longest_beginning_counts_and_no_other() {
    let json = r#"{"a.b": {"x": 1}, "a": {"b": {"y": 2}}}"#;
    assert_eq!(at(json, "a.b.x").as_deref(), Some("1"));
    assert_eq!(at(json, "a.b.y"), None);
}

#[test]
fn what_is_no_json() {
    for text in
        ["", " ", "{", "{\"a\":1,}", "{'a':1}", "nope", "{}x", "{\"a\":\"\x01\"}", "[1,]", "NaN", "01"]
    {
        assert!(Record::parse(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(Record::parse(b"\"\xff\"").is_err());
    assert_eq!(
        Record::parse(b"{\"secret\": hunter2}").unwrap_err().to_string(),
        "no JSON from line 1, column 12 on",
        "nothing of a record is logged"
    );
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Record::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert!(Record::parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
    assert!(Record::parse("[".repeat(1 << 20).as_bytes()).is_err());
}

#[test]
fn weight_follows_what_a_record_holds() {
    let weight = |json: &str| Record::parse(json.as_bytes()).unwrap().weight();
    assert!(weight("{}") < 200);
    assert!(weight(&format!("\"{}\"", "x".repeat(1000))) >= 1000);
    assert!(weight(&format!("[{}1]", "1,".repeat(999))) >= 1000 * size_of::<Value>());
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c.]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ab01]{0,2}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Where no key holds a dot a path is a way from step to step.
fn naive<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, step| match value {
        Value::Object(fields) => fields.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok().filter(|n| n.to_string() == step)?),
        _ => None,
    })
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn a_path_is_a_way_from_step_to_step(value in json(), path in "[ab01]{0,2}(\\.[ab01]{0,2}){0,3}") {
        let expected = naive(&value, &path).and_then(|found| match found {
            Value::Null | Value::Bool(false) => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        });
        prop_assert_eq!(at(&value.to_string(), &path), expected);
    }

    #[test]
    fn any_text_is_a_record_or_none(text in any::<Vec<u8>>(), path in any::<Vec<u8>>()) {
        if let Ok(record) = Record::parse(&text) {
            record.text_at(&path);
        }
    }
}
