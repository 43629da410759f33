//! A text that lists public keys, with names for those who read logs.
//!
//! ```text
//! # one key a line, and a name behind it
//! 60a4c7b4506cd01498e33cdb8e645a51b0f32c30a74829b52e3938d18951d0a9  alice
//! ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCkx7RQbNAUmOM8245kWlGw8ywwp0gptS45ONGJUdCp bob  # spare
//! ```

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use super::{KeyError, PublicKey};

/// How many characters of a line an error shows.
const SHOWN: usize = 24;
/// Hexadecimal digits of a key.
const DIGITS: usize = 64;
/// What a line of a private key begins with.
const PEM_START: &str = "-----BEGIN ";

/// Public keys, each with the name that stands behind it, as read from a text.
///
/// * One key a line: 64 hexadecimal digits, or as OpenSSH writes it in a `.pub` file, `ssh-ed25519
///   AAAA... name`.
/// * What follows the key is its name: up to 64 characters, blanks among them, without control
///   characters, since it goes to logs. It may be missing. Two keys may have one name.
/// * Blank lines, and `#` with what is behind it at the start of a line or behind a blank, are left
///   out.
/// * The same key twice is an error: with one of the lines taken out, to bar that peer, the other
///   would still let it in.
/// * A text without any key is an error as well: it is what a write that was cut short leaves, and
///   would bar everybody.
///
/// Keys are taken by [`Verification::Strict`](super::Verification::Strict). Clones share the list, and
/// may go to other threads. Reading one key takes some microseconds.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyList {
    names: Arc<BTreeMap<PublicKey, Box<str>>>,
}

/// What is wrong with a list of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyListError {
    /// There is no key in it.
    #[error("no key is listed; write one a line, or stop the listener to let nobody in")]
    Empty,
    /// A line is not as it has to be.
    #[error("line {number}: {fault}")]
    Line {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        fault: KeyLineFault,
    },
}

/// What is wrong with a line of a list of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyLineFault {
    /// The key is not acceptable.
    #[error("\"{start}\": {error}")]
    Key {
        /// How the line begins, up to 24 characters, with what is not printable ASCII escaped.
        start: String,
        /// What is wrong with the key.
        error: KeyError,
    },
    /// The key stands in the list already.
    #[error("its key stands in line {first} already; keep one of both lines")]
    Duplicate {
        /// The other line, from 1.
        first: usize,
    },
    /// The name could do harm in a log.
    #[error("the name has a control character in it; write plain text")]
    NameControl,
    /// The name is too long for a log.
    #[error(
        "the name has {length} characters; take at most {} of them",
        KeyList::MAX_NAME_CHARS
    )]
    NameLength {
        /// How many characters it has.
        length: usize,
    },
    /// There is something in front of the key, as `authorized_keys` of OpenSSH may have it.
    #[error(
        "something stands in front of ssh-ed25519; begin the line with the key, there are no options"
    )]
    Options,
    /// It is the start of a private key.
    #[error(
        "a private key begins here; list the public one, which `ringseal pubkey` prints, and keep this one secret"
    )]
    PrivateKey,
}

impl KeyList {
    /// The longest name.
    pub const MAX_NAME_CHARS: usize = 64;

    /// Reads a list.
    ///
    /// # Errors
    ///
    /// [`KeyListError`], for the first line that is not acceptable.
    pub fn parse(text: &str) -> Result<Self, KeyListError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let at_line = |fault| KeyListError::Line { number, fault };
            let Some((key, name)) = parse_line(line).map_err(at_line)? else {
                continue;
            };
            match lines.entry(key) {
                Entry::Occupied(first) => {
                    let first = *first.get();
                    return Err(at_line(KeyLineFault::Duplicate { first }));
                }
                Entry::Vacant(place) => place.insert(number),
            };
            names.insert(key, name.into());
        }
        if names.is_empty() {
            return Err(KeyListError::Empty);
        }
        Ok(Self {
            names: Arc::new(names),
        })
    }

    /// Whether the key is listed.
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.names.contains_key(key)
    }

    /// Returns the name of a listed key, if it has one.
    #[must_use]
    pub fn name(&self, key: &PublicKey) -> Option<&str> {
        let name = self.names.get(key).map(AsRef::as_ref);
        name.filter(|name| !name.is_empty())
    }

    /// Returns how many keys there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no list is empty")]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns the keys in the order of their bytes.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.names.keys().copied()
    }
}

impl FromStr for KeyList {
    type Err = KeyListError;

    /// Does what [`parse`](Self::parse) does.
    fn from_str(text: &str) -> Result<Self, KeyListError> {
        Self::parse(text)
    }
}

/// How many keys there are, not who they are: there may be thousands.
impl fmt::Debug for KeyList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyList")
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

/// Reads the key of a line and its name; `None` where there is neither.
fn parse_line(line: &str) -> Result<Option<(PublicKey, &str)>, KeyLineFault> {
    let line = without_comment(line).trim();
    if line.is_empty() {
        return Ok(None);
    }
    if line.starts_with(PEM_START) {
        return Err(KeyLineFault::PrivateKey);
    }
    let (key, name) = parse_key(line)?;
    check_name(name)?;
    Ok(Some((key, name)))
}

fn without_comment(line: &str) -> &str {
    let begins_comment = |&(at, _): &(usize, &str)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(char::is_whitespace)
    };
    let mut marks = line.match_indices('#');
    marks
        .find(begins_comment)
        .map_or(line, |(at, _)| &line[..at])
}

/// Reads the key that `line` begins with, and returns what is behind it.
fn parse_key(line: &str) -> Result<(PublicKey, &str), KeyLineFault> {
    let (first, rest) = split_word(line);
    let (second, behind) = split_word(rest);
    // What OpenSSH writes of a key, whatever its algorithm, begins with a length below 64.
    let is_encoded = first.len() != DIGITS && second.starts_with("AAAA");
    let is_openssh = first.starts_with("ssh-") || is_encoded;
    let (key, name) = if is_openssh {
        (PublicKey::from_openssh(line), behind)
    } else {
        (first.parse(), rest)
    };
    match key {
        Ok(key) => Ok((key, name)),
        Err(_)
            if rest
                .split_ascii_whitespace()
                .any(|word| word == "ssh-ed25519") =>
        {
            Err(KeyLineFault::Options)
        }
        Err(error) => Err(KeyLineFault::Key {
            start: start_shown(line),
            error,
        }),
    }
}

/// Splits the first word off, and the blanks behind it.
fn split_word(text: &str) -> (&str, &str) {
    let is_blank = |character: char| character.is_ascii_whitespace();
    let (word, rest) = text.split_once(is_blank).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn check_name(name: &str) -> Result<(), KeyLineFault> {
    if name.contains(char::is_control) {
        return Err(KeyLineFault::NameControl);
    }
    let length = name.chars().count();
    if length > KeyList::MAX_NAME_CHARS {
        return Err(KeyLineFault::NameLength { length });
    }
    Ok(())
}

fn start_shown(line: &str) -> String {
    let shown = line.chars().take(SHOWN);
    shown.flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::super::Identity;
    use super::*;

    const OPENSSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCkx7RQbNAUmOM8245kWlGw8ywwp0gptS45ONGJUdCp";
    const HEXADECIMAL: &str = "60a4c7b4506cd01498e33cdb8e645a51b0f32c30a74829b52e3938d18951d0a9";

    fn key(seed: u8) -> PublicKey {
        Identity::from_seed(&[seed; 32]).public_key()
    }

    fn fault(text: &str) -> (usize, KeyLineFault) {
        match KeyList::parse(text) {
            Err(KeyListError::Line { number, fault }) => (number, fault),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn both_forms_are_read_with_their_names_and_comments_are_left_out() {
        let text = format!(
            "\u{feff}# who may connect\r\n\r\n  \t\r\n{}  alice, the first \r\n{OPENSSH} bob@host # spare\n\
             {}\n   {}\tC#\t#\n#{}",
            key(1),
            key(2),
            key(3).to_string().to_uppercase(),
            key(4),
        );
        let list = KeyList::parse(&text).unwrap();
        let openssh: PublicKey = HEXADECIMAL.parse().unwrap();
        for (key, name) in [
            (key(1), Some("alice, the first")),
            (openssh, Some("bob@host")),
            (key(2), None),
            (key(3), Some("C#")),
        ] {
            assert!(list.contains(&key), "{key}");
            assert_eq!(list.name(&key), name, "{key}");
        }
        assert!(!list.contains(&key(4)) && list.name(&key(4)).is_none());
        let keys: Vec<_> = list.keys().collect();
        assert_eq!((keys.len(), list.len()), (4, 4));
        assert!(keys.is_sorted());
        assert_eq!(text.parse(), Ok(list));
    }

    #[test]
    fn faults_name_the_line_and_what_to_change() {
        let good = key(1);
        let long = "n".repeat(KeyList::MAX_NAME_CHARS + 1);
        for (line, part) in [
            (good.to_string()[1..].to_string(), "63 characters"),
            (format!("{good}x"), "65 characters"),
            (
                "alice".to_string(),
                "\"alice\": public key has 5 characters",
            ),
            ("ssh-ed25519".to_string(), "damaged"),
            ("ssh-ed25519 AAAA alice".to_string(), "damaged"),
            ("ssh-rsa AAAAB3Nza x".to_string(), "algorithm ssh-rsa"),
            ("ecdsa-sha2-nistp256 AAAAE2V".to_string(), "algorithm ecdsa"),
            (format!("restrict,pty {OPENSSH}"), "there are no options"),
            (format!("{HEXADECIMAL} al\u{1b}[2Jice"), "control character"),
            (
                format!("{OPENSSH} {long}"),
                "65 characters; take at most 64",
            ),
            (format!("{HEXADECIMAL} again"), "line 2 already; keep one"),
            (format!("{OPENSSH} again"), "line 2 already; keep one"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----".to_string(),
                "ringseal pubkey",
            ),
        ] {
            let text = format!("# keys\n{HEXADECIMAL}\n\n{line}\n{good}\n");
            let (number, fault) = fault(&text);
            assert_eq!(number, 4, "{line}: {fault}");
            let shown = KeyListError::Line { number, fault }.to_string();
            assert!(shown.starts_with("line 4: "), "{shown}");
            assert!(shown.contains(part), "`{part}` is not in: {shown}");
        }
        for text in ["", "\n\n", "# none\n"] {
            assert_eq!(KeyList::parse(text), Err(KeyListError::Empty));
        }
    }

    #[test]
    fn no_more_of_a_line_is_shown_than_tells_it_apart() {
        let secret = "\u{7}".repeat(100_000);
        let (_, fault) = fault(&secret);
        assert!(fault.to_string().len() < 400, "{fault}");
        assert!(!fault.to_string().contains('\u{7}'));
    }

    proptest! {
        #[test]
        fn what_was_listed_comes_back(
            seeds in proptest::collection::btree_set(any::<u8>(), 1..8),
            name in "[a-z#][a-z #äß]{0,20}",
        ) {
            let text: String = seeds.iter().map(|&seed| format!("{} {name}\n", key(seed))).collect();
            let list = KeyList::parse(&text).unwrap();
            prop_assert_eq!(list.len(), seeds.len());
            for seed in seeds {
                prop_assert!(list.contains(&key(seed)));
                let shown = list.name(&key(seed)).unwrap_or_default();
                prop_assert!(name.starts_with(shown) || name.trim_start().starts_with(shown));
            }
        }

        #[test]
        fn nothing_panics(text in "(.|\n|ssh-ed25519|AAAA|#| ){0,64}") {
            let _ = KeyList::parse(&text);
        }
    }
}
