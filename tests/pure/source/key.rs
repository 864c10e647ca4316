//! Keys: the check, templates, what a purge's path stands for.

use crate::property::cases;
use proptest::prelude::*;
use twice_core::source::key::*;

#[test]
fn what_can_be_sent_as_a_key() {
    let most = vec![b'k'; MAX_KEY];
    let more = vec![b'k'; MAX_KEY + 1];
    let rows: &[(&[u8], Result<(), KeyError>)] = &[
        (b"a", Ok(())),
        (b"!~", Ok(())),
        ("ключ".as_bytes(), Ok(())),
        (b"\x80\xff", Ok(())),
        (b"a%20b", Ok(())),
        (&most, Ok(())),
        (b"", Err(KeyError::Empty)),
        (&more, Err(KeyError::TooLong)),
        (b"a b", Err(KeyError::Byte)),
        (b" ", Err(KeyError::Byte)),
        (b"a\r\nflush_all\r\n", Err(KeyError::Byte)),
        (b"a\n", Err(KeyError::Byte)),
        (b"a\0", Err(KeyError::Byte)),
        (b"\t", Err(KeyError::Byte)),
        (b"\x7f", Err(KeyError::Byte)),
    ];
    for (key, expected) in rows {
        assert_eq!(check(key), *expected, "{}", key.escape_ascii());
    }
    for byte in 0..=255 {
        assert_eq!(check(&[b'k', byte]).is_ok(), byte > 0x20 && byte != 0x7f, "{byte}");
    }
}

/// A template's pieces in words.
fn parts(text: &str) -> Result<Vec<String>, TemplateError> {
    let template = Template::parse(text.as_bytes())?;
    Ok(template
        .parts()
        .iter()
        .map(|part| match part {
            Part::Literal(text) => String::from_utf8_lossy(text).into_owned(),
            Part::Variable(variable) if variable.decoded => format!("%{}", variable.name),
            Part::Variable(variable) => format!("${}", variable.name),
            Part::TagKey => "*".into(),
        })
        .collect())
}

#[test]
fn templates() {
    let long = "k".repeat(MAX_KEY);
    let rows: &[(&str, Result<&[&str], TemplateError>)] = &[
        ("*", Ok(&["*"])),
        ("views_*", Ok(&["views_", "*"])),
        ("session_$cookie_persistent", Ok(&["session_", "%cookie_persistent"])),
        ("u_${cookie_id}s", Ok(&["u_", "%cookie_id", "s"])),
        ("u_$arg_id-*", Ok(&["u_", "$arg_id", "-", "*"])),
        ("$Host$host", Ok(&["$host", "$host"])),
        ("$COOKIE_A", Ok(&["%cookie_a"])),
        ("a{b}", Ok(&["a{b}"])),
        ("ü", Ok(&["ü"])),
        (&long, Ok(&[&long])),
        ("", Err(TemplateError::Empty)),
        ("a$", Err(TemplateError::NoName)),
        ("a$$", Err(TemplateError::NoName)),
        ("a${}", Err(TemplateError::NoName)),
        ("a$-b", Err(TemplateError::NoName)),
        ("a$1", Err(TemplateError::Capture)),
        ("a${1}", Err(TemplateError::Capture)),
        ("a${b", Err(TemplateError::Open)),
        ("a${b-c}", Err(TemplateError::Open)),
        ("a${", Err(TemplateError::Open)),
        ("a b", Err(TemplateError::Byte)),
        ("a\tb", Err(TemplateError::Byte)),
        ("a\u{7f}", Err(TemplateError::Byte)),
        (&format!("{long}*"), Err(TemplateError::TooLong)),
        (&format!("{long}k"), Err(TemplateError::TooLong)),
        (&"*-".repeat(100), Err(TemplateError::TooLong)),
    ];
    for (text, expected) in rows {
        let expected = expected.map(|parts| parts.iter().map(|part| part.to_string()).collect::<Vec<_>>());
        assert_eq!(parts(text), expected, "{text}");
    }
    assert_eq!(Template::parse(b"*"), Ok(Template::tag_key()));
}

#[test]
fn what_a_template_is_made_of() {
    // Text, begins with a variable, has the tag's key, variables.
    let rows: &[(&str, bool, bool, &[&str])] = &[
        ("*", false, true, &[]),
        ("a", false, false, &[]),
        ("$a*", true, true, &["a"]),
        ("*$a", false, true, &["a"]),
        ("x_$a_$b-${a}", false, false, &["a_", "b", "a"]),
        ("x_${a}_$b-${a}", false, false, &["a", "b"]),
    ];
    for (text, begins, tag_key, variables) in rows {
        let template = Template::parse(text.as_bytes()).unwrap();
        assert_eq!(template.starts_with_variable(), *begins, "{text}");
        assert_eq!(template.has_tag_key(), *tag_key, "{text}");
        assert_eq!(template.is_tag_key(), *text == "*", "{text}");
        assert_eq!(template.variables().collect::<Vec<_>>(), *variables, "{text}");
    }
}

/// The key for variables by name; a name that is not there is empty.
fn fill(text: &str, tag_key: &str, values: &[(&str, &str)]) -> Result<String, Unfilled> {
    let template = Template::parse(text.as_bytes()).unwrap();
    let names: Vec<&str> = template.variables().collect();
    let value = |number: usize| {
        let found = values.iter().find(|(name, _)| *name == names[number]);
        found.map(|(_, value)| value.as_bytes())
    };
    template
        .fill::<MAX_KEY>(tag_key.as_bytes(), value)
        .map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned())
}

#[test]
fn filling() {
    let bad = |why| Err(Unfilled::Bad(why));
    let long = "v".repeat(MAX_KEY);
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Result<&'a str, Unfilled>);
    let rows: &[Row<'_>] = &[
        ("*", "views_42", &[], Ok("views_42")),
        ("p_*_s", "k", &[], Ok("p_k_s")),
        ("s_$cookie_p", "k", &[("cookie_p", "abc")], Ok("s_abc")),
        ("s_$cookie_p", "k", &[("cookie_p", "a%2Fb%2fc")], Ok("s_a/b/c")),
        ("s_$cookie_p", "k", &[("cookie_p", "100%")], Ok("s_100%")),
        ("s_$cookie_p", "k", &[("cookie_p", "%zz%4")], Ok("s_%zz%4")),
        ("s_$cookie_p", "k", &[("cookie_p", "a+b")], Ok("s_a+b")),
        ("s_$cookie_p", "k", &[("cookie_p", "%2541")], Ok("s_%41")),
        ("s_$arg_p", "k", &[("arg_p", "a%2Fb")], Ok("s_a%2Fb")),
        ("s_$cookie_p", "k", &[], Err(Unfilled::Missing)),
        ("s_$cookie_p", "k", &[("cookie_p", "")], Err(Unfilled::Missing)),
        ("s_$cookie_p$arg_b", "k", &[("cookie_p", "x")], Err(Unfilled::Missing)),
        ("s_$cookie_p", "k", &[("cookie_p", "a%0d%0aflush_all")], bad(KeyError::Byte)),
        ("s_$cookie_p", "k", &[("cookie_p", "a%20b")], bad(KeyError::Byte)),
        ("s_$cookie_p", "k", &[("cookie_p", "a b")], bad(KeyError::Byte)),
        ("s_$cookie_p", "k", &[("cookie_p", "a%00")], bad(KeyError::Byte)),
        ("s_$arg_p", "k", &[("arg_p", &long)], bad(KeyError::TooLong)),
        ("$arg_p", "k", &[("arg_p", &long)], Ok(&long)),
        ("*", &long, &[], Ok(&long)),
        ("-*", &long, &[], bad(KeyError::TooLong)),
        ("*", "", &[], bad(KeyError::Empty)),
        ("*", "a b", &[], bad(KeyError::Byte)),
        ("$a$a", "k", &[("a", "x")], Ok("xx")),
    ];
    for (text, tag_key, values, expected) in rows {
        let filled = fill(text, tag_key, values);
        assert_eq!(filled.as_deref(), expected.as_deref(), "{text} {values:?}");
    }
}

#[test]
fn what_a_purge_s_path_stands_for() {
    let rows: &[(&str, &str, Result<&str, Unnamed>)] = &[
        ("s_$cookie_p", "abc", Ok("s_abc")),
        ("s_$cookie_p-$cookie_p", "a", Ok("s_a-a")),
        ("*", "views_42", Ok("views_42")),
        ("p_*", "a/b", Ok("p_a/b")),
        ("always", "anything", Ok("always")),
        ("always", "", Ok("always")),
        ("s_$cookie_p*", "abc", Err(Unnamed::Several)),
        ("s_$cookie_p$arg_a", "abc", Err(Unnamed::Several)),
        // The path is decoded already.
        ("s_$cookie_p", "a%41", Ok("s_a%41")),
        ("s_$cookie_p", "a b", Err(Unnamed::Bad(KeyError::Byte))),
        ("*", "", Err(Unnamed::Bad(KeyError::Empty))),
        ("p_*", "", Err(Unnamed::Bad(KeyError::Empty))),
        ("s_$cookie_p", "", Err(Unnamed::Bad(KeyError::Empty))),
        ("s_$cookie_p*", "", Err(Unnamed::Several)),
    ];
    for (text, path, expected) in rows {
        let named = Template::parse(text.as_bytes()).unwrap().substitute::<MAX_KEY>(path.as_bytes());
        let named = named.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
        assert_eq!(named.as_deref(), expected.as_deref(), "{text} {path}");
    }
}

#[test]
fn a_session_may_be_all_in_its_cookie() {
    let template = Template::parse(b"$cookie_token").unwrap();
    for (len, is_key) in [(MAX_KEY + 1, true), (MAX_SERVICE_KEY, true), (MAX_SERVICE_KEY + 1, false)] {
        let token = vec![b't'; len];
        let filled = template.fill::<MAX_SERVICE_KEY>(b"k", |_| Some(&token));
        assert_eq!(filled.is_ok_and(|key| key.as_bytes() == token), is_key, "{len}");
        let named = template.substitute::<MAX_SERVICE_KEY>(&token);
        assert_eq!(named.is_ok_and(|key| key.as_bytes() == token), is_key, "{len}");
        assert_eq!(template.fill::<MAX_KEY>(b"k", |_| Some(&token)), Err(Unfilled::Bad(KeyError::TooLong)));
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_visitor_reaches_nothing_outside_the_prefix(value in any::<Vec<u8>>()) {
        let template = Template::parse(b"s_$cookie_p").unwrap();
        match template.fill::<MAX_KEY>(b"k", |_| Some(&value)) {
            Ok(key) => {
                prop_assert!(key.as_bytes().starts_with(b"s_"));
                prop_assert_eq!(check(key.as_bytes()), Ok(()));
                // Nothing of it is lost.
                prop_assert_eq!(key.as_bytes()[2..].to_vec(), unquote(&value).collect::<Vec<_>>());
            }
            Err(Unfilled::Missing) => prop_assert!(value.is_empty()),
            Err(Unfilled::Bad(_)) => {
                let whole: Vec<u8> = b"s_".iter().copied().chain(unquote(&value)).collect();
                prop_assert!(check(&whole).is_err());
            }
        }
    }

    #[test]
    fn what_a_template_makes_is_a_key(text in "[a-z$*{}_%]{0,12}", tag_key in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
        if let Ok(template) = Template::parse(text.as_bytes()) {
            if let Ok(key) = template.fill::<MAX_KEY>(&tag_key, |_| Some(&value)) {
                prop_assert_eq!(check(key.as_bytes()), Ok(()));
            }
            if let Ok(key) = template.substitute::<MAX_KEY>(&value) {
                prop_assert_eq!(check(key.as_bytes()), Ok(()));
            }
        }
    }
}
