//! What each reply means to each command, and what is a violation.

use super::naive::{Command, Said, parse, read};
use twice_core::memcached::parse::{MAX_COMMANDS, MAX_KEY_BYTES, MAX_REPLY, MAX_SKIPPED};
use twice_core::memcached::*;
use twice_core::source::{self, MAX_VALUE};

use Said::{Done, TooLarge, Value};

fn done(note: usize, reply: &str) -> Said {
    Done(note, reply.into())
}

fn value(key: usize, text: &str) -> Said {
    Value(0, key, text.into())
}

fn wrong(wrong: Wrong) -> Said {
    Said::Wrong(wrong)
}

/// The parser and the model say the same, whole and byte by byte.
fn check(commands: &[Command], stream: &[u8], expected: &[Said], why: &str) {
    let text = stream.escape_ascii();
    assert_eq!(read(commands, stream), expected, "the model: {text} {why}");
    assert_eq!(parse(commands, [stream]), expected, "{text} {why}");
    assert_eq!(parse(commands, stream.chunks(1)), expected, "byte by byte: {text} {why}");
}

#[test]
fn replies_to_get() {
    let rows: &[(&str, &[Said], &str)] = &[
        ("END\r\n", &[done(0, "End")], "no key is there"),
        ("VALUE b 0 1\r\nx\r\nEND\r\n", &[value(1, "x"), done(0, "End")], ""),
        (
            "VALUE c 0 1\r\nx\r\nVALUE a 0 0\r\n\r\nEND\r\n",
            &[value(2, "x"), value(0, ""), done(0, "End")],
            "in any order; an empty value is one",
        ),
        (
            "VALUE a 4294967295 1 18446744073709551615\r\nx\r\nEND\r\n",
            &[value(0, "x"), done(0, "End")],
            "cas",
        ),
        (
            "VALUE a 0 15\r\nEND\r\nVALUE b 0 \r\nEND\r\n",
            &[value(0, "END\r\nVALUE b 0 "), done(0, "End")],
            "a value may hold replies",
        ),
        ("VALUE a 0 1\r\nx\r\n", &[value(0, "x")], "more may come"),
        ("VALUE a 0 1\r\nx\r", &[], "nor is it whole"),
        (
            "VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory\r\n",
            &[value(0, "x"), done(0, "SERVER_ERROR out of memory")],
            "what came has come",
        ),
        ("SERVER_ERROR\r\n", &[done(0, "SERVER_ERROR ")], ""),
        ("CLIENT_ERROR bad\r\n", &[done(0, "CLIENT_ERROR bad")], ""),
        ("ERROR\r\n", &[done(0, "ERROR ")], ""),
        ("ERROR Too many open connections\r\n", &[done(0, "ERROR Too many open connections")], ""),
        ("VALUE d 0 1\r\nx\r\n", &[wrong(Wrong::Key)], "another key"),
        ("VALUE A 0 1\r\nx\r\n", &[wrong(Wrong::Key)], "case matters"),
        ("VALUE  0 1\r\nx\r\n", &[wrong(Wrong::Key)], "no key"),
        ("VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\n", &[value(0, "x"), wrong(Wrong::Twice)], ""),
        ("VALUE a 0 1\r\nxy\r\n", &[wrong(Wrong::ValueEnd)], "longer than it says"),
        ("VALUE a 0 5\r\nx\r\nEND\r\n", &[wrong(Wrong::ValueEnd)], "shorter than it says"),
        ("VALUE a 0 1\r\nx\n\n", &[wrong(Wrong::ValueEnd)], ""),
        ("VALUE a 0 -1\r\n", &[wrong(Wrong::Value)], ""),
        ("VALUE a 0 +1\r\n", &[wrong(Wrong::Value)], ""),
        ("VALUE a 0 \r\n", &[wrong(Wrong::Value)], ""),
        ("VALUE a 0\r\n", &[wrong(Wrong::Value)], ""),
        ("VALUE a\r\n", &[wrong(Wrong::Value)], ""),
        ("VALUE a x 1\r\n", &[wrong(Wrong::Value)], "flags"),
        ("VALUE a 0 1 x\r\n", &[wrong(Wrong::Value)], "cas"),
        ("VALUE a 0 1 2 3\r\n", &[wrong(Wrong::Value)], "a word too many"),
        ("VALUE a 0 1 \r\n", &[wrong(Wrong::Value)], "an empty word"),
        ("VALUE a 0 18446744073709551616\r\n", &[wrong(Wrong::Value)], "2^64"),
        ("VALUE a 0 8388609\r\n", &[wrong(Wrong::Length)], "not to be skipped"),
        ("VALUE\r\n", &[wrong(Wrong::Reply)], ""),
        ("END", &[], "not whole"),
        ("END\n", &[wrong(Wrong::LineEnd)], ""),
        ("\n", &[wrong(Wrong::LineEnd)], ""),
        ("\r\n", &[wrong(Wrong::Reply)], ""),
        ("end\r\n", &[wrong(Wrong::Reply)], ""),
        ("END \r\n", &[wrong(Wrong::Reply)], ""),
        ("SERVER_ERRORS\r\n", &[wrong(Wrong::Reply)], ""),
        ("STORED\r\n", &[wrong(Wrong::Reply)], ""),
        ("5\r\n", &[wrong(Wrong::Reply)], ""),
        ("HTTP/1.1 400 Bad Request\r\n", &[wrong(Wrong::Reply)], "another service listens there"),
        ("END\r\nE", &[done(0, "End"), wrong(Wrong::Unasked)], ""),
    ];
    for (stream, expected, why) in rows {
        check(&[Command::get(&["a", "b", "c"])], stream.as_bytes(), expected, why);
    }
}

#[test]
fn replies_to_every_command() {
    // Each reply, and what it is to get, store, arith, delete, version; none: a violation.
    let rows: &[(&str, [Option<&str>; 5])] = &[
        ("END", [Some("End"), None, None, None, None]),
        ("STORED", [None, Some("Stored"), None, None, None]),
        ("NOT_STORED", [None, Some("NotStored"), None, None, None]),
        ("EXISTS", [None; 5]),
        ("0", [None, None, Some("Number(0)"), None, None]),
        ("18446744073709551615", [None, None, Some("Number(18446744073709551615)"), None, None]),
        ("18446744073709551616", [None; 5]),
        ("-1", [None; 5]),
        ("9 ", [None; 5]),
        ("", [None; 5]),
        ("NOT_FOUND", [None, None, Some("NotFound"), Some("NotFound"), None]),
        ("DELETED", [None, None, None, Some("Deleted"), None]),
        ("TOUCHED", [None; 5]),
        ("OK", [None; 5]),
        ("VERSION 1.6.18", [None, None, None, None, Some("Version")]),
        ("VERSION", [None; 5]),
        ("SERVER_ERROR x", [Some("SERVER_ERROR x"); 5]),
        ("CLIENT_ERROR cannot increment or decrement non-numeric value", {
            let refused = Some("CLIENT_ERROR cannot increment or decrement non-numeric value");
            [refused, None, refused, refused, refused]
        }),
        ("ERROR", [Some("ERROR "), None, Some("ERROR "), Some("ERROR "), Some("ERROR ")]),
        ("VALUE a 0 1", [None; 5]),
        ("\0", [None; 5]),
        ("\u{ff}", [None; 5]),
    ];
    let commands = [Command::get(&["b"]), Command::Store, Command::Arith, Command::Delete, Command::Version];
    for (line, replies) in rows {
        for (command, reply) in commands.iter().zip(replies) {
            let key = line.starts_with("VALUE") && matches!(command, Command::Get(_));
            let expected = match reply {
                Some(reply) => done(0, reply),
                None if key => wrong(Wrong::Key),
                None => wrong(Wrong::Reply),
            };
            let stream = format!("{line}\r\n");
            check(std::slice::from_ref(command), stream.as_bytes(), &[expected], &format!("{command:?}"));
        }
    }
}

#[test]
fn commands_in_one_stream() {
    let commands = [
        Command::get(&["a", "b"]),
        Command::Arith,
        Command::Store,
        Command::get(&["a"]),
        Command::Delete,
        Command::Version,
    ];
    let stream = "VALUE b 1 2\r\nhi\r\nEND\r\nNOT_FOUND\r\nSTORED\r\nVALUE a 0 1\r\n7\r\nEND\r\nDELETED\r\nVERSION x\r\n";
    check(
        &commands,
        stream.as_bytes(),
        &[
            Value(0, 1, "hi".into()),
            done(0, "End"),
            done(1, "NotFound"),
            done(2, "Stored"),
            Value(3, 0, "7".into()),
            done(3, "End"),
            done(4, "Deleted"),
            done(5, "Version"),
        ],
        "",
    );
}

#[test]
fn a_value_of_any_length() {
    for len in [0, 1, 1000, 70_000, MAX_VALUE - 1, MAX_VALUE, MAX_VALUE + 1, MAX_SKIPPED as usize] {
        let mut stream = format!("VALUE a 0 {len}\r\n").into_bytes();
        stream.extend((0..len).map(|at| (at * 7 % 256) as u8));
        let data = stream[stream.len() - len..].to_vec();
        stream.extend_from_slice(b"\r\nEND\r\n");
        let first = if len > MAX_VALUE { TooLarge(0, 0) } else { Value(0, 0, data) };
        let expected = [first, done(0, "End")];
        let commands = [Command::get(&["a"])];
        assert!(parse(&commands, [&stream[..]]) == expected, "{len}");
        for piece in [1021, 16 * 1024] {
            assert!(parse(&commands, stream.chunks(piece)) == expected, "{len} in pieces of {piece}");
        }
        if len > MAX_VALUE {
            let end = stream.len() - 7;
            stream[end] = b'x';
            let expected = [TooLarge(0, 0), wrong(Wrong::ValueEnd)];
            assert!(parse(&commands, [&stream[..]]) == expected, "{len} with a bad end");
            assert!(parse(&commands, stream.chunks(4099)) == expected, "{len} with a bad end, in pieces");
        }
    }
}

#[test]
fn lines_are_bounded() {
    let commands = [Command::get(&["a"])];
    for len in [MAX_REPLY - 1, MAX_REPLY] {
        let mut stream = b"SERVER_ERROR ".to_vec();
        stream.resize(len - 1, b'x');
        let text = String::from_utf8(stream.clone()).unwrap();
        stream.extend_from_slice(b"\r\n");
        let expected = if len < MAX_REPLY { done(0, &text) } else { wrong(Wrong::LineTooLong) };
        check(&commands, &stream, &[expected], "");
    }
    check(&commands, &vec![b'E'; 100_000], &[wrong(Wrong::LineTooLong)], "a line that never ends");
}

#[test]
fn a_violation_shows_what_came() {
    let mut parser = Parser::new();
    parser.expect(Expected::Delete, ()).unwrap();
    let mut input = &b"HTTP/1.1 \x01\"\r\n"[..];
    let violation = parser.next(&mut input).unwrap_err();
    assert_eq!(violation.to_string(), r#"no answer to this command: "HTTP/1.1 \x01\"""#);
    for (at, wrong) in Wrong::ALL.iter().enumerate() {
        assert!(Wrong::ALL.iter().skip(at + 1).all(|other| other.as_str() != wrong.as_str()));
    }
}

#[test]
fn what_is_outstanding_is_bounded() {
    let mut parser = Parser::new();
    for note in 0..MAX_COMMANDS {
        parser.expect(Expected::Arith, note).unwrap();
    }
    assert_eq!(parser.expect(Expected::Arith, 7), Err(7));
    assert_eq!(parser.first(), Some(&0));
    assert!(matches!(parser.next(&mut &b"1\r\n"[..]), Ok(Some(Event::Done { note: 0, .. }))));
    parser.expect(Expected::Arith, 7).unwrap();

    let mut parser = Parser::new();
    let mut lines = 0;
    let mut keys = 0;
    while parser.expect(Expected::Get(line(&mut keys)), ()).is_ok() {
        lines += 1;
    }
    assert!(keys > 100_000 && lines * MAX_LINE >= MAX_KEY_BYTES - MAX_LINE, "{keys} keys in {lines} lines");
    // What is answered makes room.
    assert!(matches!(parser.next(&mut &b"END\r\n"[..]), Ok(Some(Event::Done { .. }))));
    parser.expect(Expected::Get(line(&mut keys)), ()).unwrap();
    assert!(parser.expect(Expected::Get(line(&mut keys)), ()).is_err());
}

/// A full line of keys of 20 bytes.
fn line(next: &mut usize) -> Keys {
    let mut keys = Keys::new();
    while keys.push(format!("key-{next:016}").as_bytes()) != Pushed::Full {
        *next += 1;
    }
    keys
}

#[test]
fn numbers_that_were_filled_up_with_spaces() {
    for (value, meant) in [
        ("9 ", "9"),
        ("0   ", "0"),
        ("10", "10"),
        ("", ""),
        (" ", " "),
        ("9\n", "9\n"),
        ("9 \n", "9 \n"),
        ("a ", "a "),
        (" 9 ", " 9 "),
        ("1 2 ", "1 2 "),
    ] {
        assert_eq!(unpadded(value.as_bytes()), meant.as_bytes(), "{value:?}");
    }
}

#[test]
fn a_value_is_no_larger_than_a_source_s_may_be() {
    // What is skipped is more than what is taken.
    assert!(source::MAX_VALUE as u64 <= MAX_SKIPPED);
}
