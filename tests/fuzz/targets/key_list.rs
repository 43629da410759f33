//! Lists of the keys that a listener admits: any text, and lines as people write them.

use ringseal::{Identity, KeyList};

use crate::input::Input;
use crate::text::{check_error, open_ssh};

/// What ends a line.
const ENDS: &[&str] = &["\n", "\r\n", "\n\n", "\r"];
/// What stands between a key and its name.
const GAPS: &[&str] = &[" ", "\t", "  ", ""];

pub(crate) fn key_list(data: &[u8]) {
    let mut input = Input::new(data);
    let text = match input.byte() % 2 {
        0 => core::str::from_utf8(input.rest()).map(str::to_owned),
        _ => Ok(compose(&mut input)),
    };
    let Ok(text) = text else {
        return;
    };
    match KeyList::parse(&text) {
        Ok(list) => check_list(&list, &text),
        Err(error) => check_error(&error.to_string()),
    }
}

/// Writes lines: a key in one of the forms, or what is none, and a name.
fn compose(input: &mut Input<'_>) -> String {
    let mut text = String::new();
    while !input.is_over() {
        let form = input.byte() % 9;
        // Few, so that some of them come twice.
        let key = Identity::from_seed(&[input.byte() % 8; 32]).public_key();
        let line = match form {
            0 | 1 => key.to_string(),
            2 => key.to_string().to_uppercase(),
            3 | 4 => format!("ssh-ed25519 {}", open_ssh(key.as_bytes())),
            5 => format!("ssh-ed25519 {}", open_ssh(input.bytes(32))),
            6 => format!(
                "from=\"192.0.2.0/24\" ssh-ed25519 {}",
                open_ssh(key.as_bytes())
            ),
            7 => "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
            _ => input.choose(&["\u{feff}", "#", "ssh-rsa", ""]).to_owned(),
        };
        let name_length = input.choose(&[0, 3, 20, 66]);
        let name = String::from_utf8_lossy(input.bytes(name_length));
        let (gap, end) = (input.choose(GAPS), input.choose(ENDS));
        text.extend([line.as_str(), gap, &name, end]);
    }
    text
}

/// What is listed can be shown in a log, stands in the text, and is read again as it is written.
fn check_list(list: &KeyList, text: &str) {
    let mut written = String::new();
    for key in list.keys() {
        let name = list.name(&key).unwrap_or_default();
        assert!(name.chars().count() <= KeyList::MAX_NAME_CHARS);
        assert!(!name.chars().any(char::is_control) && name.trim() == name);
        assert!(text.contains(name));
        written.push_str(&format!("{key} {name}\n"));
    }
    assert!(!written.is_empty() && list.len() <= text.lines().count());
    assert_eq!(KeyList::parse(&written).as_ref(), Ok(list));
}
