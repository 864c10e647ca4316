//! The naive model: reads a whole stream at once, word by word. Shared with the fuzzer.

use twice_core::memcached::*;
use twice_core::source::MAX_VALUE;

/// An event, kept. Its command's note is the command's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Value(usize, usize, Vec<u8>),
    TooLarge(usize, usize),
    Done(usize, String),
    Wrong(Wrong),
}

/// A command.
#[derive(Clone, Debug)]
pub enum Command {
    Get(Vec<Vec<u8>>),
    Store,
    Arith,
    Delete,
    Version,
}

impl Command {
    pub fn get(keys: &[&str]) -> Self {
        Command::Get(keys.iter().map(|key| key.as_bytes().to_vec()).collect())
    }

    fn expected(&self) -> Expected {
        match self {
            Command::Get(all) => {
                let mut keys = Keys::new();
                for (number, key) in all.iter().enumerate() {
                    assert_eq!(keys.push(key), Pushed::New(number));
                }
                Expected::Get(keys)
            }
            Command::Store => Expected::Store,
            Command::Arith => Expected::Arith,
            Command::Delete => Expected::Delete,
            Command::Version => Expected::Version,
        }
    }
}

/// What the parser says of a stream that comes in these pieces.
pub fn parse<'a>(commands: &[Command], pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Said> {
    let mut parser = Parser::new();
    for (place, command) in commands.iter().enumerate() {
        parser.expect(command.expected(), place).unwrap();
    }
    let mut said = Vec::new();
    for mut piece in pieces {
        loop {
            match parser.next(&mut piece) {
                Ok(Some(Event::Value { note, key, value })) => {
                    said.push(Said::Value(*note, key, value.to_vec()))
                }
                Ok(Some(Event::TooLarge { note, key })) => said.push(Said::TooLarge(*note, key)),
                Ok(Some(Event::Done { note, reply })) => said.push(Said::Done(note, reply_text(reply))),
                Ok(None) => break assert!(piece.is_empty()),
                Err(violation) => {
                    assert_eq!(
                        parser.next(&mut piece),
                        Err(violation.clone()),
                        "it goes on after a violation"
                    );
                    said.push(Said::Wrong(violation.wrong));
                    return said;
                }
            }
        }
    }
    let done = said.iter().filter(|said| matches!(said, Said::Done(..))).count();
    assert_eq!(parser.outstanding(), commands.len() - done);
    assert_eq!(parser.give_up().collect::<Vec<_>>(), (done..commands.len()).collect::<Vec<_>>());
    said
}

fn reply_text(reply: Reply<'_>) -> String {
    match reply {
        Reply::Refused { by, text } => format!("{} {}", by.as_str(), text.escape_ascii()),
        reply => format!("{reply:?}"),
    }
}

/// What there is to say of a stream.
pub fn read(commands: &[Command], stream: &[u8]) -> Vec<Said> {
    let mut said = Vec::new();
    let wrong = Reader { commands, stream, at: 0, command: 0, seen: Vec::new() }.read(&mut said);
    said.extend(wrong.err().flatten().map(Said::Wrong));
    said
}

struct Reader<'a> {
    commands: &'a [Command],
    stream: &'a [u8],
    at: usize,
    command: usize,
    seen: Vec<usize>,
}

/// None: the stream ends here.
type Stop = Option<Wrong>;

impl Reader<'_> {
    fn read(mut self, said: &mut Vec<Said>) -> Result<(), Stop> {
        while self.at < self.stream.len() {
            let Some(command) = self.commands.get(self.command).cloned() else {
                return Err(Some(Wrong::Unasked));
            };
            let line = self.line()?;
            let reply = match &command {
                Command::Get(keys) if line.starts_with(b"VALUE ") => {
                    self.value(keys, &line, said)?;
                    continue;
                }
                command => reply(command, &line).ok_or(Some(Wrong::Reply))?,
            };
            said.push(Said::Done(self.command, reply));
            self.command += 1;
            self.seen.clear();
        }
        Ok(())
    }

    fn line(&mut self) -> Result<Vec<u8>, Stop> {
        let rest = &self.stream[self.at..];
        let Some(end) = rest.iter().take(parse::MAX_REPLY).position(|&b| b == b'\n') else {
            return Err((rest.len() >= parse::MAX_REPLY).then_some(Wrong::LineTooLong));
        };
        self.at += end + 1;
        match rest[..end].split_last() {
            Some((b'\r', line)) => Ok(line.to_vec()),
            _ => Err(Some(Wrong::LineEnd)),
        }
    }

    fn value(&mut self, keys: &[Vec<u8>], line: &[u8], said: &mut Vec<Said>) -> Result<(), Stop> {
        let words: Vec<Vec<u8>> = line.split(|&b| b == b' ').map(<[u8]>::to_vec).collect();
        let numbers: Option<Vec<u64>> = words.iter().skip(2).map(|word| digits(word)).collect();
        let (Some(numbers), 4 | 5) = (numbers, words.len()) else { return Err(Some(Wrong::Value)) };
        let key = keys.iter().position(|key| *key == words[1]).ok_or(Some(Wrong::Key))?;
        if self.seen.contains(&key) {
            return Err(Some(Wrong::Twice));
        }
        self.seen.push(key);
        if numbers[1] > parse::MAX_SKIPPED {
            return Err(Some(Wrong::Length));
        }
        let len = numbers[1] as usize;
        let rest = &self.stream[self.at..];
        if len > MAX_VALUE {
            said.push(Said::TooLarge(self.command, key));
            let end = rest.iter().skip(len).take(2);
            if end.clone().zip(b"\r\n").any(|(is, should)| is != should) {
                return Err(Some(Wrong::ValueEnd));
            }
            if end.count() < 2 {
                return Err(None);
            }
        } else {
            if rest.len() < len + 2 {
                return Err(None);
            }
            if &rest[len..len + 2] != b"\r\n" {
                return Err(Some(Wrong::ValueEnd));
            }
            said.push(Said::Value(self.command, key, rest[..len].to_vec()));
        }
        self.at += len + 2;
        Ok(())
    }
}

fn reply(command: &Command, line: &[u8]) -> Option<String> {
    let words: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    let refused = |word: &str| {
        let text = line.get(word.len() + 1..).unwrap_or_default();
        Some(format!("{word} {}", text.escape_ascii()))
    };
    let stored = matches!(command, Command::Store);
    match (words[0], command) {
        (b"SERVER_ERROR", _) => return refused("SERVER_ERROR"),
        (b"CLIENT_ERROR", _) if !stored => return refused("CLIENT_ERROR"),
        (b"ERROR", _) if !stored => return refused("ERROR"),
        (b"VERSION", Command::Version) if words.len() > 1 => return Some("Version".into()),
        _ => {}
    }
    let reply = match (line, command) {
        (b"END", Command::Get(_)) => "End".into(),
        (b"STORED", Command::Store) => "Stored".into(),
        (b"NOT_STORED", Command::Store) => "NotStored".into(),
        (b"DELETED", Command::Delete) => "Deleted".into(),
        (b"NOT_FOUND", Command::Delete | Command::Arith) => "NotFound".into(),
        (number, Command::Arith) => format!("Number({})", digits(number)?),
        _ => return None,
    };
    Some(reply)
}

fn digits(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |number, &b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
