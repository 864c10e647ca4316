//! Streams in any pieces say what the whole says, and what the naive model says.

use super::naive::{Command, Said, parse, read};
use crate::property::cases;
use proptest::prelude::*;

/// Words of streams: right ones mostly.
const WORDS: &[&str] = &[
    "END\r\n",
    "END\r\n",
    "VALUE a 0 1\r\nx\r\n",
    "VALUE b 0 5\r\nhello\r\n",
    "VALUE c 12 0 99\r\n\r\n",
    "VALUE a 0 5\r\nEND\r\n\r\n",
    "VALUE b 0 1048577\r\n",
    "VALUE a 0 3\r\n",
    "VALUE ",
    "12\r\n",
    "STORED\r\n",
    "NOT_STORED\r\n",
    "DELETED\r\n",
    "NOT_FOUND\r\n",
    "VERSION 1.6\r\n",
    "SERVER_ERROR no\r\n",
    "CLIENT_ERROR no\r\n",
    "ERROR\r\n",
    "\r\n",
    "\n",
    "x",
    "\0",
    " ",
];

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => proptest::sample::subsequence(vec!["a", "b", "c"], 1..=3).prop_map(|keys| Command::get(&keys)),
        1 => Just(Command::Store),
        1 => Just(Command::Arith),
        1 => Just(Command::Delete),
        1 => Just(Command::Version),
    ]
}

/// Commands and a stream that answers them rightly.
fn valid() -> impl Strategy<Value = (Vec<Command>, Vec<u8>)> {
    let answered = (command(), any::<u8>(), proptest::collection::vec(any::<Vec<u8>>(), 3));
    proptest::collection::vec(answered, 0..8).prop_map(|answered| {
        let mut stream = Vec::new();
        let mut commands = Vec::new();
        for (command, how, values) in answered {
            answer(&command, how, &values, &mut stream);
            commands.push(command);
        }
        (commands, stream)
    })
}

fn answer(command: &Command, how: u8, values: &[Vec<u8>], stream: &mut Vec<u8>) {
    let fixed: &[&str] = match command {
        Command::Get(keys) => {
            for (key, value) in keys.iter().zip(values).filter(|(key, _)| how & (1 << (key[0] - b'a')) != 0) {
                let key = String::from_utf8_lossy(key);
                stream.extend_from_slice(format!("VALUE {key} {how} {}\r\n", value.len()).as_bytes());
                stream.extend_from_slice(value);
                stream.extend_from_slice(b"\r\n");
            }
            &["END"]
        }
        Command::Store => &["STORED", "NOT_STORED", "SERVER_ERROR x"],
        Command::Arith => &["5", "NOT_FOUND", "CLIENT_ERROR x"],
        Command::Delete => &["DELETED", "NOT_FOUND"],
        Command::Version => &["VERSION 1"],
    };
    stream.extend_from_slice(fixed[usize::from(how) % fixed.len()].as_bytes());
    stream.extend_from_slice(b"\r\n");
}

fn cut<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.sort();
    cuts.push(stream.len());
    let mut at = 0;
    cuts.into_iter().map(|cut| &stream[std::mem::replace(&mut at, cut)..cut]).collect()
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn a_valid_stream_says_the_same_in_any_pieces(
        (commands, stream) in valid(),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        let whole = parse(&commands, [&stream[..]]);
        let is_done = |said: &&Said| matches!(said, Said::Done(..));
        prop_assert_eq!(whole.iter().filter(is_done).count(), commands.len());
        prop_assert_eq!(&read(&commands, &stream), &whole);
        prop_assert_eq!(&parse(&commands, cut(&stream, &cuts)), &whole);
        prop_assert_eq!(&parse(&commands, stream.chunks(1)), &whole);
    }

    #[test]
    fn a_stream_that_breaks_off_says_the_same_as_far_as_it_came(
        (commands, stream) in valid(),
        end in any::<usize>(),
        cuts in proptest::collection::vec(any::<usize>(), 0..5),
    ) {
        let stream = &stream[..end % (stream.len() + 1)];
        let said = parse(&commands, cut(stream, &cuts));
        prop_assert!(!said.iter().any(|said| matches!(said, Said::Wrong(_))), "{said:?}");
        prop_assert_eq!(said, read(&commands, stream));
    }

    #[test]
    fn any_stream_says_the_same_in_any_pieces(
        commands in proptest::collection::vec(command(), 0..6),
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..12),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let stream = words.concat().into_bytes();
        let expected = read(&commands, &stream);
        prop_assert_eq!(&parse(&commands, [&stream[..]]), &expected);
        prop_assert_eq!(&parse(&commands, cut(&stream, &cuts)), &expected);
        prop_assert_eq!(&parse(&commands, stream.chunks(1)), &expected);
    }
}
