//! A public key on the command line: in hexadecimal, as OpenSSH writes it, or in a file.

use core::str::FromStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ringseal::PublicKey;

use crate::failure::Failure;

/// No file of one public key comes near it.
const MAX_SIZE: u64 = 16 * 1024;

/// What stands for a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKeyArgument {
    /// The key itself.
    Key(PublicKey),
    /// A file that holds it, read when it is needed.
    File(PathBuf),
}

impl FromStr for PublicKeyArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // As `"$(cat *.pub)"` has them. The second would be a comment to the first.
        if text.trim().contains(['\n', '\r']) {
            return Err("more than one line; give one key at a time".to_owned());
        }
        match parse(text) {
            Ok(key) => Ok(Self::Key(key)),
            // No key in either form has such a name.
            Err(_) if is_path(text) => Ok(Self::File(text.into())),
            Err(error) => Err(error),
        }
    }
}

impl PublicKeyArgument {
    /// Returns the key, reading its file if it is in one.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub fn key(&self) -> Result<PublicKey, Failure> {
        match self {
            Self::Key(key) => Ok(*key),
            Self::File(path) => {
                read(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
            }
        }
    }
}

fn is_path(text: &str) -> bool {
    let is_line = text.starts_with("ssh-") && text.contains(char::is_whitespace);
    !is_line && (text.contains('/') || text.ends_with(".pub"))
}

fn read(path: &Path) -> Result<PublicKey, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_SIZE + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot read this public key: {error}"))?;
    if text.len() as u64 > MAX_SIZE {
        return Err(format!(
            "longer than {MAX_SIZE} bytes, so it is not a public key; name the right file"
        ));
    }
    parse_file(&text)
}

/// Reads what a file of one public key holds.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_file(text: &str) -> Result<PublicKey, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err(
            "this is a private key; name the public one, which `ringseal pubkey` prints".to_owned(),
        );
    }
    let is_key = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let mut lines = text.lines().map(str::trim).filter(is_key);
    match (lines.next(), lines.next()) {
        (Some(line), None) => parse(line),
        (None, _) => Err("no public key is in this file".to_owned()),
        (Some(_), Some(_)) => Err("more than one line is in this file; keep one key".to_owned()),
    }
}

/// Reads 64 hexadecimal digits, or a line as in OpenSSH's `.pub` files.
fn parse(text: &str) -> Result<PublicKey, String> {
    let text = text.trim();
    if text.contains(char::is_whitespace) {
        return PublicKey::from_openssh(text).map_err(|error| error.to_string());
    }
    text.parse().map_err(|error| {
        format!(
            "{error}; or write a line of an OpenSSH .pub file in quotes, or the path of such a file \
             (with a / or the ending .pub)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ssh-keygen -t ed25519`, OpenSSH 9.2p1, and its last 32 bytes.
    const LINE: &str = "ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIGCkx7RQbNAUmOM8245kWlGw8ywwp0gptS45ONGJUdCp alice@example";
    const DIGITS: &str = "60a4c7b4506cd01498e33cdb8e645a51b0f32c30a74829b52e3938d18951d0a9";

    fn argument(text: &str) -> PublicKeyArgument {
        text.parse().expect("an argument")
    }

    #[test]
    fn both_forms_are_one_key() {
        let key = PublicKeyArgument::Key(DIGITS.parse().expect("a key"));
        let without_comment = LINE.rsplit_once(' ').expect("a comment").0;
        for text in [DIGITS, LINE, without_comment, &format!("{LINE}\r\n")] {
            assert_eq!(argument(text), key, "{text}");
        }
    }

    #[test]
    fn other_texts_are_files_or_refused_by_name() {
        for text in ["alice.pub", "./alice", "/etc/ssh/host.pub"] {
            assert_eq!(argument(text), PublicKeyArgument::File(text.into()));
        }
        let small_order = format!("01{}", "0".repeat(62));
        for (text, part) in [
            ("", "64 hexadecimal digits"),
            ("12", "64 hexadecimal digits"),
            ("alice", "64 hexadecimal digits"),
            ("ssh-ed25519", ".pub file in quotes"),
            (&small_order, "small order"),
            ("ssh-rsa AAAAB3NzaC1yc2E/AAA= rsa", "algorithm ssh-rsa"),
            ("ssh-ed25519 AAAA/ comment", "damaged"),
            (&LINE.replace("NTE5AAAAI", "NTE5AAAAJ"), "damaged"),
            (&format!("{LINE}\n{LINE}"), "more than one line"),
        ] {
            let error = text.parse::<PublicKeyArgument>().expect_err(text);
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }
}
