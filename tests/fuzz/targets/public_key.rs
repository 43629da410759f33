//! Public keys as options and files have them: any text, and any bytes as OpenSSH writes a key.

use ringseal::PublicKey;
use ringseal_cli::public_key_argument::{PublicKeyArgument, parse_file};

use crate::text::{base64, check_error, open_ssh};

pub(crate) fn public_key(data: &[u8]) {
    let Some((form, content)) = data.split_first() else {
        return;
    };
    let line = format!("ssh-ed25519 {} comment", base64(content, usize::MAX));
    let text = match form % 2 {
        0 => core::str::from_utf8(content),
        _ => Ok(line.as_str()),
    };
    let Ok(text) = text else {
        return;
    };
    match text.parse() {
        Ok(PublicKeyArgument::Key(key)) => check_key(key, text),
        Ok(PublicKeyArgument::File(path)) => assert_eq!(path.to_str(), Some(text)),
        Err(error) => check_error(&error),
    }
    match parse_file(text) {
        Ok(key) => check_key(key, text),
        Err(error) => check_error(&error),
    }
}

/// A key that is taken is a good one, and the one that was written.
fn check_key(key: PublicKey, text: &str) {
    assert_eq!(PublicKey::from_bytes(*key.as_bytes()), Ok(key));
    assert_eq!(key.to_string().parse(), Ok(key));
    let lines = text.lines().map(str::trim);
    let mut keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let written = keys.next().expect("there is one");
    assert_eq!(keys.next(), None, "which one of them?");
    let is_digits = written.eq_ignore_ascii_case(&key.to_string());
    assert!(is_digits || written.split_whitespace().nth(1) == Some(&open_ssh(key.as_bytes())));
}
